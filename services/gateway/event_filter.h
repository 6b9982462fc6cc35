#ifndef SERVICES_GATEWAY_EVENT_FILTER_H
#define SERVICES_GATEWAY_EVENT_FILTER_H

#include "common/err.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which events somebody wants, and those that wait for a slow client. Pure. */

/* Texts as they were given; NULL and "" are no condition. */
struct gate_event_wish {
    const char *types;         /* "stopped,gave_up"; also terminated, failed */
    const char *name_pattern;  /* of name or child, with * and ? */
    const char *node_id;       /* exactly */
    const char *actor_pattern; /* of name, child or ref: regular expression */
    const char *node_pattern;  /* of the worker: the same */
    const char *tags;          /* "behaviour=cart,namespace=shop": all */
};
struct gate_event_filter {
    char *types, *name_pattern, *node_id, *tags; /* owned */
    regex_t actor, node;
    bool has_actor, has_node;
};
struct gate_event_view { /* of an event; never NULL */
    const char *type, *reason, *name, *child, *process, *node_id;
    const char *ns, *behaviour, *supervisor;
};
enum { GATE_EVENT_PATTERN_MAX = 256 };

/* INVALID says what is wrong. Expressions are POSIX's extended ones without
 * repetition counts and back-references, which could take for ever. */
PLEX_MUST_USE enum plex_status gate_event_filter_init(
    struct gate_event_filter *filter, const struct gate_event_wish *wish,
    struct plex_err *err);
void gate_event_filter_fini(struct gate_event_filter *filter);
/* May anything of this worker be wanted? */
bool gate_event_node(const struct gate_event_filter *filter,
                     const char *node_id);
bool gate_event_wanted(const struct gate_event_filter *filter,
                       const struct gate_event_view *event);

/* -- what waits --------------------------------------------------------------
 */

enum gate_drop {
    GATE_DROP_BLOCK = 0, /* nothing new is asked for while it is full */
    GATE_DROP_OLDEST,
    GATE_DROP_NEWEST,
};
enum {
    GATE_QUEUE_DEFAULT = 1000,
    GATE_QUEUE_MAX = 100000,
    GATE_QUEUE_BYTES = 16 << 20, /* is full, too */
};
/* "block", "drop_oldest", "drop_newest" in any case; "" is block. */
PLEX_MUST_USE enum plex_status gate_drop_parse(const char *text,
                                               enum gate_drop *out,
                                               struct plex_err *err);

struct gate_event_queue {
    char **frames; /* a ring, each owned */
    size_t head, n, cap, max, bytes;
    enum gate_drop drop;
    uint64_t dropped; /* since the last gate_queue_dropped() */
};
void gate_queue_init(struct gate_event_queue *queue, size_t max,
                     enum gate_drop drop);
void gate_queue_fini(struct gate_event_queue *queue);
bool gate_queue_full(const struct gate_event_queue *queue);
/* Takes the frame. With BLOCK it is kept also when the queue is full. */
void gate_queue_push(struct gate_event_queue *queue, char *frame);
/* The next one, borrowed; NULL: none. */
const char *gate_queue_first(const struct gate_event_queue *queue);
void gate_queue_pop(struct gate_event_queue *queue);
/* How many were dropped since it was asked last. */
uint64_t gate_queue_dropped(struct gate_event_queue *queue);

#endif
