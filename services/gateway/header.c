#include "services/gateway/header.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct row {
    unsigned char len;
    unsigned char what;
    const char *name;
};

#define ROW(name, what)                 \
    {                                   \
        sizeof name - 1, (what), (name) \
    }
static const struct row rows[] = {
    ROW("content-type", GATE_HEADER_CONTENT_TYPE),
    ROW("prefer", GATE_HEADER_PREFER),
    ROW("idempotency-key", GATE_HEADER_KEY),
    ROW("x-request-deadline-ms", GATE_HEADER_DEADLINE),
    ROW("traceparent", GATE_HEADER_TRACE),
    /* About the connection or the framing, not about the request. */
    ROW("connection", GATE_HEADER_DROP),
    ROW("content-length", GATE_HEADER_DROP),
    ROW("expect", GATE_HEADER_DROP),
    ROW("keep-alive", GATE_HEADER_DROP),
    ROW("proxy-connection", GATE_HEADER_DROP),
    ROW("te", GATE_HEADER_DROP),
    ROW("trailer", GATE_HEADER_DROP),
    ROW("transfer-encoding", GATE_HEADER_DROP),
    ROW("upgrade", GATE_HEADER_DROP),
    /* Credentials, and names that only the gateway may give. */
    ROW("authorization", GATE_HEADER_DROP),
    ROW("cookie", GATE_HEADER_DROP),
    ROW("proxy-authenticate", GATE_HEADER_DROP),
    ROW("proxy-authorization", GATE_HEADER_DROP),
    ROW("x-api-key", GATE_HEADER_DROP),
    ROW("x-role", GATE_HEADER_DROP),
    ROW("x-roles", GATE_HEADER_DROP),
    ROW("x-tenant-id", GATE_HEADER_DROP),
    ROW("x-user-id", GATE_HEADER_DROP),
    ROW("tracestate", GATE_HEADER_DROP),
};

enum gate_header
gate_header_classify(const char *name)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].len == len && strcasecmp(rows[i].name, name) == 0)
            return (enum gate_header)rows[i].what;
    if (len > 13 && strncasecmp(name, "x-plexspaces-", 13) == 0)
        return GATE_HEADER_DROP;
    return GATE_HEADER_PASS;
}

static bool
is_token(const char *name)
{
    for (; *name != '\0'; name++) {
        const unsigned char c = (unsigned char)*name;

        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return true;
}

bool
gate_header_replyable(const char *name, const char *value)
{
    static const char *const ours[] = {"date", "idempotency-replayed"};
    const enum gate_header what = gate_header_classify(name);

    if (name[0] == '\0' || !is_token(name) || strpbrk(value, "\r\n") != NULL)
        return false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(name, ours[i]) == 0)
            return false;
    return what == GATE_HEADER_PASS;
}
