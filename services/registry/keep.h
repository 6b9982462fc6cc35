#ifndef SERVICES_REGISTRY_KEEP_H
#define SERVICES_REGISTRY_KEEP_H

#include "common/mem.h"
#include "services/registry/rows.h"

/*
 * What the cores of key-value (kv.h), locks (lock.h) and objects (object.h)
 * have in common. Each is
 * pure: time comes in, and rows to be written and answers to be given come out
 * of its queue. The shell writes the rows that an iteration of its loop brought
 * in one transaction and gives the answers after it.
 */
struct reg_when {
    uint64_t now_ns;  /* monotonic */
    uint64_t wall_ms; /* since 1970 */
};
static inline uint64_t
reg_when_after(struct reg_when when, uint64_t ms)
{
    return ms > (UINT64_MAX - when.now_ns) / 1000000U
               ? UINT64_MAX
               : when.now_ns + ms * 1000000U;
}

enum reg_keep_kind {
    REG_KEEP_ROW = 1, /* write `row`, or without a body remove it */
    REG_KEEP_REPLY,   /* status; with PLEX_OK what `answer` says */
};
enum { REG_KEEP_TEXT_MAX = 256 };

/* The core's own record of what to write or answer: kv.h, lock.h. */
struct reg_keep_action {
    enum reg_keep_kind kind;
    void *call;              /* the caller's token of a reply */
    enum plex_status status; /* of a reply */
    char *text;              /* of a reply that failed; owned */
    void *answer;            /* of a reply, or the row's record; owned */
};
/* A growing queue of them: [head, tail). */
struct reg_keep_queue {
    struct reg_keep_action *at;
    size_t head, tail, cap;
};

static inline struct reg_keep_action *
reg_keep_push(struct reg_keep_queue *queue, enum reg_keep_kind kind)
{
    struct reg_keep_action *action;

    if (queue->tail == queue->cap) {
        queue->cap = queue->cap == 0 ? 64 : queue->cap * 2;
        queue->at = plex_reallocarray(queue->at, queue->cap, sizeof *queue->at);
    }
    action = &queue->at[queue->tail++];
    *action = (struct reg_keep_action){.kind = kind};
    return action;
}

static inline bool
reg_keep_pop(struct reg_keep_queue *queue, struct reg_keep_action *out)
{
    if (queue->head == queue->tail) {
        queue->head = queue->tail = 0;
        return false;
    }
    *out = queue->at[queue->head++];
    return true;
}

static inline void
reg_keep_fail(struct reg_keep_queue *queue, void *call,
              const struct plex_err *err)
{
    struct reg_keep_action *action = reg_keep_push(queue, REG_KEEP_REPLY);

    action->call = call;
    action->status = err->status;
    action->text = plex_strdup(err->text);
}

#endif
