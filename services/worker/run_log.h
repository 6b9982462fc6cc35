#ifndef SERVICES_WORKER_RUN_LOG_H
#define SERVICES_WORKER_RUN_LOG_H

#include "services/worker/client.h"

/*
 * An open run: a turn of a durable actor whose handler waits. While it is
 * open, the actor's stored state is this, packed, with WORK_SCHEMA_OPEN set in
 * its schema version: the user's state as it was when the run began, the
 * message that is being handled, and everything the handler has asked for with
 * the results that have come. A handler that was lost is run again over it.
 */
#define WORK_SCHEMA_NONE 0x40000000u /* the user has no state */
#define WORK_SCHEMA_MASK 0x3fffffffu

/* Tags of calls whose reply is for an open run, and names of its timers. */
#define WORK_TAG_RUN (UINT64_C(1) << 63)
#define WORK_TIMER_RUN '\x01'
/* Before the id of the call's message: whose run is to be cancelled. */
#define WORK_CANCEL_CALL "cancel:"

enum {
    WORK_STEPS_MAX = 10000,       /* of one run */
    WORK_RUN_BYTES_MAX = 4 << 20, /* packed */
    WORK_STEP_RESULT_MAX = 1 << 20,
    WORK_STEP_NAME_MAX = 255,
};

enum work_step_kind { /* also in the journal: never renumber */
                      WORK_STEP_EFFECT = 1,
                      WORK_STEP_CALL = 2,
                      WORK_STEP_SLEEP = 3,
                      WORK_STEP_PROMISE = 4,
                      WORK_STEP_SIGNAL = 5,
                      WORK_STEP_VERSION = 6,
                      WORK_STEP_UPDATE = 7, /* accepted: handler_update.c */
                      WORK_STEP_ANSWER = 8, /* of the update before it; result:
                                               a packed work_reply */
                      WORK_STEP_KINDS,
};
/*
 * Between the attempts of an effect its run sleeps: one step before that of
 * the effect, whose name begins with this, not done while it waits; its result
 * is how many attempts there were (4 bytes) and why the last one failed.
 */
#define WORK_STEP_RETRY "retry "
struct work_step {
    enum work_step_kind kind;
    const char *name; /* never NULL */
    bool done;
    bool used;
    enum plex_status status;
    struct plex_bytes result;
    uint64_t at_ms;
    uint64_t due_ms;
    uint64_t order; /* when done: results are numbered as they come */
    bool unsaved;   /* in memory: no stretch has carried its change yet */
};
struct work_run {
    bool has_state;
    struct plex_bytes state;
    struct plex_bytes message; /* work_message_pack()ed */
    uint64_t started_ms;
    struct work_step *steps;
    size_t n_steps;
    struct work_step *signals;
    size_t n_signals;
    const char *parked; /* never NULL */
    uint64_t cancelled; /* order; 0: not */
    uint64_t order;     /* newest given out */
    uint32_t continued; /* how often it has begun anew */
    uint64_t told;      /* messages and timers that have left, beside steps */
};

/*
 * What one stretch added to the log. The first stretch of a run writes the
 * whole of it as the actor's state; those after it write only this, in the
 * record of their turn, and now and then the whole again.
 */
struct work_run_delta {
    size_t first_step;
    const struct work_step *steps; /* new */
    size_t n_steps;
    const uint32_t *changed; /* numbers of older ones that changed */
    const struct work_step *changes;
    size_t n_changed;
    size_t first_signal;
    const struct work_step *signals; /* new */
    size_t n_signals;
    const uint32_t *used; /* numbers of signals that were handed out */
    size_t n_used;
    const char *parked;
    uint64_t cancelled, order, told;
};
/* The log after the deltas, oldest first; space is taken from `arena`, texts
 * and bytes stay where they are. CORRUPT: one does not continue the log. */
PLEX_MUST_USE enum plex_status work_run_apply(
    struct work_run *run, const struct work_run_delta *const *deltas, size_t n,
    struct plex_arena *arena, struct plex_err *err);
/* Is it too large to be packed? TOO_LARGE. */
PLEX_MUST_USE enum plex_status work_run_check(const struct work_run *run,
                                              struct plex_err *err);
/* TOO_LARGE over WORK_RUN_BYTES_MAX beside the user's state. */
PLEX_MUST_USE enum plex_status work_run_pack(const struct work_run *run,
                                             struct plex_buf *out,
                                             struct plex_err *err);
/* Bytes are borrowed from `in` or in `arena`. CORRUPT. */
PLEX_MUST_USE enum plex_status work_run_unpack(struct plex_bytes in,
                                               struct plex_arena *arena,
                                               struct work_run *out,
                                               struct plex_err *err);

/* What an actor's run waits for, in words, and what would help. */
struct work_run_words {
    const char *state; /* static: "waiting", "parked" */
    char waits_for[1400];
    const char *remedy; /* static */
    uint64_t since_ms;
};
/* Of a run that is not in memory. */
void work_run_describe(const struct work_run *run, struct work_run_words *out);
/* What a run waits for in a step that is a sleep. As snprintf. */
int work_run_sleep_text(const struct work_step *step, char *out, size_t size);
void work_retry_read(const struct work_step *step, uint32_t *n, char *why,
                     size_t size);
/* What helps against waiting for `waits_for`; static. */
const char *work_run_remedy(bool parked, const char *waits_for);

#endif
