#ifndef WORKFLOW_RUN_H
#define WORKFLOW_RUN_H

#include "workflow/def.h"

/*
 * A run: one execution of a definition, as a pure state machine.
 *
 * Each event is one turn. It changes the state and queues commands (what must
 * happen outside) and history (what happened), which the caller takes with
 * flow_run_command and flow_run_history before it answers. The same events
 * with the same times and seeds give the same state, commands and history,
 * whether or not the state went through flow_run_encode and decode between.
 *
 * Commands may be carried out twice after a crash (the turn that gave them
 * was committed, their dispatch was not seen): every command carries `id` and
 * `attempt`, which together name it for ever; receivers deduplicate by them,
 * and an answer that is not awaited any more is ignored.
 */
struct flow_run;

enum flow_status {
    FLOW_PENDING, /* created, not started */
    FLOW_RUNNING,
    FLOW_PAUSED,
    FLOW_PARKED, /* stopped for a reason that a person can remove */
    FLOW_COMPLETED,
    FLOW_FAILED,
    FLOW_CANCELLED,
    FLOW_TERMINATED,
    FLOW_TIMED_OUT
};
const char *flow_status_name(enum flow_status status);
bool flow_status_final(enum flow_status status);

struct flow_now {
    int64_t ms;    /* wall clock of the turn; never counted backwards */
    uint64_t seed; /* fresh randomness: jitter, uuid(), random() */
};

enum flow_event_kind {
    FLOW_EVENT_TASK_DONE, /* answer to CALL, HTTP or CHILD: id, attempt,
                             ok and value, or code and cause */
    FLOW_EVENT_TIMER,     /* the timer of SET_TIMER is due (or early) */
    FLOW_EVENT_SIGNAL,    /* name, value */
    FLOW_EVENT_APPROVAL,  /* id (0: by step `name`), ok = approved, value
                             {"by", "comment", ...} */
    FLOW_EVENT_HEARTBEAT, /* id, attempt: the task is alive */
    FLOW_EVENT_CANCEL,    /* cause: stop, then compensate */
    FLOW_EVENT_PAUSE,     /* cause */
    FLOW_EVENT_RESUME,    /* from PAUSED, or PARKED: tries again */
    FLOW_EVENT_TERMINATE, /* cause: stop at once, no compensation */
    FLOW_EVENT_RESET,     /* name: a step of the outermost level */
    FLOW_EVENT_UPDATE,    /* name, value: a validated change of vars */
    FLOW_EVENT_TASK_TOKEN /* as TASK_DONE, by token: `name`, not id */
};

struct flow_event {
    enum flow_event_kind kind;
    uint64_t id;
    uint32_t attempt;
    bool ok;
    const char *name;
    const char *code;  /* of an error; PLEX_STATUS names or the callee's own */
    const char *cause; /* of an error; why, for cancel and pause */
    json_t *value;     /* borrowed; NULL is null */
    unsigned http;     /* TASK_DONE of HTTP: the status, 0 if none came */
    json_t *headers;   /* the same: object of texts, or NULL */
};

enum flow_command_kind {
    FLOW_CALL,         /* an actor: type, key, method, value */
    FLOW_CALL_CANCEL,  /* nobody waits for (id, attempt) any more */
    FLOW_SET_TIMER,    /* due_ms: replaces the run's one timer */
    FLOW_CANCEL_TIMER, /* the run's timer */
    FLOW_START_CHILD,  /* type = definition, key = run id, method = version
                          or "", value = input; `detached`: no answer */
    FLOW_CANCEL_CHILD, /* key = run id of the child */
    FLOW_HTTP,         /* method, url, headers, value = body */
    FLOW_ASK_APPROVAL, /* value {"title", "assignees", "data"} */
    FLOW_CANCEL_ASK,   /* the approval is not needed any more */
    FLOW_COMPLETE,     /* value = output */
    FLOW_FAIL,         /* code, cause; status says FAILED, CANCELLED, ... */
    FLOW_PARK,         /* cause: tell somebody */
    FLOW_CONTINUED     /* it has begun anew: value = its new input */
};

struct flow_command {
    enum flow_command_kind kind;
    uint64_t id;      /* of the step's execution; unique in the run */
    uint32_t attempt; /* from 1 */
    const char *step; /* "ship", "each/pay" */
    const char *type, *key, *method, *url;
    const char *code, *cause;
    json_t *value;
    json_t *headers;
    int64_t due_ms;     /* SET_TIMER */
    int64_t timeout_ms; /* CALL, HTTP: how long the run will wait */
    bool detached;      /* START_CHILD: no answer; CALL: by task token */
    bool compensating;
    enum flow_status status;
};

struct flow_history {
    uint64_t seq; /* from 1, no gaps */
    int64_t at_ms;
    const char *what; /* "STEP_STARTED", "STEP_COMPLETED", "RUN_FAILED", ... */
    const char *step; /* "" for the run itself */
    uint64_t id;
    uint32_t attempt;
    const char *detail; /* an error, a reason, a signal's name; "" */
};

/* `run_id` names the run in commands; `def` is referenced. */
struct flow_run *flow_run_create(struct flow_def *def, const char *run_id);
void flow_run_free(struct flow_run *run);

/* Start it: once. PLEX_TOO_LARGE: the input; PLEX_EXISTS: it was started. */
PLEX_MUST_USE enum plex_status flow_run_start(struct flow_run *run,
                                              json_t *input,
                                              const struct flow_now *now,
                                              struct plex_err *err);

/* PLEX_OK: taken in (also when it came too late to matter: answers,
 * heartbeats and timers never fail). Else nothing changed: PLEX_CONFLICT (the
 * run has ended, or is not in the status for this), PLEX_NOT_FOUND (no such
 * step, update or approval), PLEX_INVALID (an update its rule refuses),
 * PLEX_TOO_LARGE, PLEX_LIMIT. */
PLEX_MUST_USE enum plex_status flow_run_event(struct flow_run *run,
                                              const struct flow_event *event,
                                              const struct flow_now *now,
                                              struct plex_err *err);

/* The next command or history entry; its pointers are valid until the next
 * call on the run. */
bool flow_run_command(struct flow_run *run, struct flow_command *out);
bool flow_run_history(struct flow_run *run, struct flow_history *out);

enum flow_status flow_run_status(const struct flow_run *run);
const char *flow_run_id(const struct flow_run *run);
const struct flow_def *flow_run_def(const struct flow_run *run);
json_t *flow_run_output(const struct flow_run *run);    /* borrowed, or NULL */
const char *flow_run_code(const struct flow_run *run);  /* of the error; "" */
const char *flow_run_cause(const struct flow_run *run); /* "" */

/* "status", "current_steps", "context", "steps", "why", or a query of the
 * definition. New reference; NULL: PLEX_NOT_FOUND (no such query), or
 * PLEX_FAILED (its expression). */
json_t *flow_run_query(struct flow_run *run, const char *name, int64_t now_ms,
                       struct plex_err *err);

/* The state as bytes (appended). PLEX_TOO_LARGE past buf->max. Commands and
 * history that were not taken are not part of it. */
PLEX_MUST_USE enum plex_status flow_run_encode(const struct flow_run *run,
                                               struct plex_buf *buf,
                                               struct plex_err *err);
/* PLEX_CORRUPT; PLEX_UNSUPPORTED (a newer form); PLEX_MISMATCH (the state of
 * another definition). */
PLEX_MUST_USE enum plex_status flow_run_decode(struct flow_def *def,
                                               struct plex_bytes bytes,
                                               struct flow_run **out,
                                               struct plex_err *err);

/* A new run that has done what `run` had done before `step`, which it does
 * again. What the first run would compensate stays the first run's. */
PLEX_MUST_USE enum plex_status flow_run_fork(
    const struct flow_run *run, const char *run_id, const char *step,
    const struct flow_now *now, struct flow_run **out, struct plex_err *err);

/* Go on with another version of the definition. Steps are the same if their
 * paths and kinds are; new ones run when what they depend on is settled.
 * PLEX_CONFLICT, and nothing changed: a step that is under way, or has to be
 * compensated if the run fails, is not in `def`. */
PLEX_MUST_USE enum plex_status flow_run_move(struct flow_run *run,
                                             struct flow_def *def,
                                             const struct flow_now *now,
                                             struct plex_err *err);

/* For tests: break the engine on purpose; a checker must notice. */
enum flow_bug { FLOW_BUG_NONE, FLOW_BUG_SKIP_COMPENSATION };
void flow_run_seed_bug(struct flow_run *run, enum flow_bug bug);

#endif
