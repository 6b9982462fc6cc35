#ifndef RUNTIME_SUPERVISOR_CORE_H
#define RUNTIME_SUPERVISOR_CORE_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/supervisor.h"

/*
 * What a supervisor decides, without a process around it: starts and ends of
 * children, requests and time go in, actions come out. It has no clock and
 * starts nothing itself, so it can be tested and modelled alone.
 *
 * Like OTP's supervisor it does one thing at a time: while children are being
 * started or stopped, everything else that comes in waits its turn, except the
 * outcome that is waited for.
 *
 * After each input pop all actions, in order; what comes of one (it started,
 * it ended) may go in before the next is popped. Pointers in an action are good
 * until one input after all have been popped.
 */
struct sup_core;
struct sup_child;

enum {
    SUP_CHILDREN_MAX = 16 << 20, /* of one supervisor */
    SUP_WAITING_MAX = 65536,     /* requests that wait */
    SUP_INTENSITY_MAX = 16 << 20,
};

/* What a child is, copied: spec of plex_child with its defaults filled in. */
struct sup_spec {
    const char *id;
    const struct plex_behaviour *behaviour;
    const void *args;
    size_t args_len;
    const char *name; /* NULL: none */
    const char *node; /* NULL: here */
    enum plex_restart restart;
    uint32_t shutdown_ms; /* or PLEX_BRUTAL_KILL, PLEX_SHUTDOWN_INFINITY */
    bool significant;
    bool is_supervisor;
};

enum sup_action_kind {
    SUP_START = 1, /* spec, run: answer with sup_core_started(run), or with
                      sup_core_timer(run) when it takes too long */
    SUP_STOP,      /* ref: exit "shutdown", then sup_core_exited() */
    SUP_KILL,      /* ref: exit "kill", then sup_core_exited() */
    SUP_TIMER,     /* run, ms: sup_core_timer(run) after so long */
    SUP_CANCEL,    /* run: that timer is not wanted any more */
    SUP_REPLY,     /* request, status, ref, text; infos or count */
    SUP_STARTED,   /* event: spec, ref */
    SUP_STOPPED,   /* event: spec, ref, text */
    SUP_RESTARTED, /* event: spec, ref, count */
    SUP_GAVE_UP,   /* event: spec, text: who ended how; count */
    SUP_READY,     /* the supervisor's own start is done */
    SUP_FAILED,    /* the start failed and is rolled back: text; the last */
    SUP_EXIT,      /* all children are stopped: end with text; the last */
};
struct sup_action {
    enum sup_action_kind kind;
    const struct sup_spec *spec;
    struct plex_ref ref;
    uint64_t run;
    uint64_t ms;
    const char *text;
    void *request;
    enum plex_status status;
    uint32_t count;                /* of restarts; of children */
    struct plex_child_info *infos; /* SUP_REPLY to WHICH: free() it */
    size_t rows;                   /* of them */
    struct plex_child_count counts;
    struct plex_plan plan; /* SUP_REPLY to PLAN */
};

struct sup_stats {
    uint64_t starts, failed_starts, restarts, stops, kills, gave_up;
};

/* Check and copy `flags` with its children. -INVALID, -EXISTS (an id twice),
 * -LIMIT; text in err. The copy owns nothing of the caller's but behaviours. */
PLEX_MUST_USE enum plex_status sup_core_create(
    const struct plex_supervisor *flags, struct sup_core **out,
    struct plex_err *err);
void sup_core_free(struct sup_core *core); /* accepts NULL */

/* -- inputs: now_ms is monotonic -- */

/* Start the children. SUP_READY or SUP_FAILED comes of it. */
void sup_core_begin(struct sup_core *core, uint64_t now_ms);
/* Outcome of SUP_START. PLEX_OK without a ref: the child does not want to run
 * (OTP's `ignore`). False: nobody waits for it any more. */
bool sup_core_started(struct sup_core *core, uint64_t now_ms, uint64_t run,
                      enum plex_status status, struct plex_ref ref,
                      const char *reason);
/* A linked process ended. False: it is none of the children. */
bool sup_core_exited(struct sup_core *core, uint64_t now_ms,
                     struct plex_ref ref, const char *reason);
void sup_core_timer(struct sup_core *core, uint64_t now_ms, uint64_t run);
/* The parent ended or asks for an end. */
void sup_core_stop(struct sup_core *core, uint64_t now_ms, const char *reason);
/* `request` comes back in SUP_REPLY; strings and child are copied.
 * -LIMIT: too many wait, and there will be no reply. */
PLEX_MUST_USE enum plex_status sup_core_request(
    struct sup_core *core, uint64_t now_ms,
    const struct plex_supervisor_request *asked, void *request);

/* -- outputs -- */

bool sup_core_pop(struct sup_core *core, struct sup_action *out);
/* No children are being started or stopped and nothing waits. */
bool sup_core_idle(const struct sup_core *core);
void sup_core_stats(const struct sup_core *core, struct sup_stats *out);
/* Whether a request is left unanswered: call until NULL before the end. */
void *sup_core_abandoned(struct sup_core *core);

#endif
