#ifndef SERVICES_GATEWAY_SEND_PATH_H
#define SERVICES_GATEWAY_SEND_PATH_H

#include "common/arena.h"
#include "services/gateway/route.h"
#include "services/worker/client.h"

/*
 * SendMessage (routes with served_by "message"): a message as the proto
 * declares it becomes one to a virtual actor, or to a process that is named.
 * Pure.
 */
struct gate_send_in {
    const struct gate_route *route;
    const struct gate_vars *vars;
    struct plex_bytes body;
    const char *tenant; /* the caller's */
};
/* What is not part of a work_message; all in the arena. */
struct gate_send {
    const char *process; /* NULL: to a virtual actor */
    const char *id;      /* as it was given, NULL: it was not */
    const char *key;     /* deduplicated by it, NULL: it is not */
    uint64_t timeout_ms; /* 0: not said */
};

enum { GATE_SEND_HEADERS_MAX = 64 };

bool gate_is_send(const struct gate_route *route);
/* Of the first segment after GATE_ACTORS_PREFIX, as sent: it names an actor
 * or a process, and is no namespace. */
bool gate_send_names(const char *segment);

/*
 * Sets of `out` all that the request says; of a message to a process:
 * process_kind (enum plex_msg_kind), tag (enum plex_priority) and ttl_ms (how
 * long it may wait in the mailbox). INVALID, DENIED, TOO_LARGE: err says what
 * is wrong.
 */
PLEX_MUST_USE enum plex_status gate_send_path(const struct gate_send_in *in,
                                              struct plex_arena *arena,
                                              struct work_message *out,
                                              struct gate_send *send,
                                              struct plex_err *err);

/* SendMessageResponse as JSON, allocated; `reply` NULL: none was waited for. */
char *gate_send_text(const char *message_id, const struct work_reply *reply);

#endif
