#ifndef SERVICES_GATEWAY_HEADER_H
#define SERVICES_GATEWAY_HEADER_H

#include <stdbool.h>

/* What the gateway does with a request header. */
enum gate_header {
    GATE_HEADER_PASS, /* the actor sees it */
    GATE_HEADER_DROP, /* hop by hop, credentials, ours or forged */
    GATE_HEADER_CONTENT_TYPE,
    GATE_HEADER_PREFER,
    GATE_HEADER_KEY,
    GATE_HEADER_DEADLINE,
    GATE_HEADER_TRACE,
};
enum gate_header gate_header_classify(const char *name);
/* Whether an actor may set it on its reply. */
bool gate_header_replyable(const char *name, const char *value);

#endif
