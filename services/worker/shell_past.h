#ifndef SERVICES_WORKER_SHELL_PAST_H
#define SERVICES_WORKER_SHELL_PAST_H

#include "services/worker/shell.h"

/*
 * Turns that belong to no activation: the code that runs here over what is
 * recorded, beside the live actor. Only the caller hears of them.
 */
struct work_past {
    struct work_bound bound; /* first: what its RUN has for `user` */
    struct work_state *state;
    struct plex_call *call;
    struct plex_arena arena;
    uint64_t activation;
    /* Answers the call, and ends it. */
    void (*ran)(struct work_past *past, const struct work_outcome *outcome);
};
enum { WORK_PASTS_MAX = 16, WORK_PAST_ARENA_MAX = 64 << 20 };

/* `size` is of the struct that begins with it. */
struct work_past *work_past_make(struct work_state *state,
                                 struct plex_call *call, size_t size);
/* LIMIT, NOT_FOUND: the code of that type does not run here, or too much
 * does. */
PLEX_MUST_USE enum plex_status work_past_bind(struct work_past *past,
                                              const struct plex_actor_id *actor,
                                              struct plex_err *err);
/* Fills the rest of `action` in; what it points to stays until ran(). */
void work_past_run(struct work_past *past, struct work_action *action);
void work_past_fail(struct work_past *past, enum plex_status status,
                    const char *text);
void work_past_end(struct work_past *past);

#endif
