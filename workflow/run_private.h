#ifndef WORKFLOW_RUN_PRIVATE_H
#define WORKFLOW_RUN_PRIVATE_H

#include "workflow/graph.h"
#include "workflow/run.h"

#include <string.h>
#include <sys/queue.h>
/* Keys are ids of acts, which count up. */
#define HASH_FUNCTION(key, len, out)                                   \
    do {                                                               \
        uint64_t flow_key_;                                            \
        memcpy(&flow_key_, (key), sizeof flow_key_);                   \
        (out) = (unsigned)((flow_key_ * 0x9E3779B97F4A7C15ULL) >> 32); \
    } while (0)
#include <uthash.h>

/*
 * The engine's own: run.c life, turns, output; run_event.c events; run_step.c
 * what a step does; run_flow.c what follows what; run_error.c retries, catches,
 * parking; run_end.c stopping and compensation; run_env.c values for
 * expressions; run_timer.c what is due; run_reset.c going back; run_move.c
 * another version; run_query.c questions; run_code.c the state as bytes.
 *
 * A *frame* is a scope under way; an *act* is a step under way. Acts belong
 * to a frame; a frame belongs to the act (parallel, map) that opened it.
 */
enum phase {              /* on disk: append only */
             ACT_READY,   /* in the queue */
             ACT_CALLED,  /* an actor, a child or a server has to answer */
             ACT_WAITING, /* until due_ms */
             ACT_SIGNAL,  /* for a signal: `what` */
             ACT_ASKED,   /* for an approval */
             ACT_SPLIT,   /* for its frames */
             ACT_BACKOFF, /* until due_ms, then again */
             ACT_PARKED   /* until somebody resumes the run */
};

struct act {
    TAILQ_ENTRY(act) link;   /* all, by id */
    TAILQ_ENTRY(act) ready;  /* phase ACT_READY */
    TAILQ_ENTRY(act) beside; /* of the same frame */
    UT_hash_handle hh;       /* by id */
    uint64_t id;
    struct frame *frame; /* NULL: it compensates */
    const struct flow_node *node;
    enum phase phase;
    uint32_t attempt;
    uint32_t *tries; /* by retrier */
    json_t *data;    /* chain: the state's input */
    json_t *input;   /* after the mapping; NULL: not yet */
    json_t *items;   /* map */
    json_t *results; /* parallel, map: by index, null until there */
    uint32_t total, launched, finished, running, failed;
    uint32_t width; /* map: items at once; 0: all */
    int64_t started_ms, since_ms;
    int64_t due_ms, limit_ms, beat_ms; /* 0: none */
    int64_t beat_every_ms;
    char *what;         /* what it waits for, for people and for signals */
    bool stopping;      /* its answer is awaited only to compensate it */
    char *code, *cause; /* fails with this once its frames are gone */
    char *type, *key, *method; /* compensating: whom to call */
};
TAILQ_HEAD(act_list, act);

enum node_state { /* on disk: append only */
                  NODE_PENDING,
                  NODE_ACTIVE,
                  NODE_DONE,
                  NODE_CAUGHT, /* failed, and a step was named for that */
                  NODE_SKIPPED,
                  NODE_FAILED,
                  NODE_STOPPED
};

struct node_run {
    enum node_state state;
    uint32_t picked;
    json_t *output;
    char *code, *cause;
};

struct frame {
    TAILQ_ENTRY(frame) link; /* all, by id */
    uint32_t id;
    const struct flow_scope *scope;
    struct act *owner;      /* NULL: the root */
    uint32_t slot;          /* which branch or item */
    json_t *item;           /* of a map */
    struct node_run *nodes; /* net: by place in the scope */
    json_t **entries;       /* root chain: each state's newest input */
    struct act_list acts;
    uint32_t active; /* of acts */
    bool stopped;
    char *code, *cause; /* fails with this once nothing is active */
};
TAILQ_HEAD(frame_list, frame);

struct undo {
    const struct flow_node *node;
    char *type, *key, *method;
    json_t *input;
    char *error; /* its mapping failed: cannot be carried out */
};

struct kept_signal {
    TAILQ_ENTRY(kept_signal) link;
    char *name;
    json_t *value;
};
TAILQ_HEAD(signal_list, kept_signal);

struct out {
    TAILQ_ENTRY(out) link;
    struct flow_command command;
    char *texts[7]; /* owned; command points here */
};
TAILQ_HEAD(out_list, out);

struct past {
    TAILQ_ENTRY(past) link;
    struct flow_history entry;
    char *detail;
};
TAILQ_HEAD(past_list, past);

struct flow_run {
    struct flow_def *def;
    char *id;
    enum flow_status status;
    enum flow_status ending; /* what it will be after compensation, or 0 */
    bool undoing;
    json_t *input, *vars, *output;
    char *code, *cause;
    char *reason; /* why paused or parked */
    int64_t started_ms, since_ms, limit_ms, now_ms, ended_ms;
    uint64_t next_act, history_seq, random, entered;
    uint32_t next_frame;
    uint32_t undone;  /* compensations carried out */
    int64_t armed_ms; /* the timer outside; 0: none */
    size_t estimate;  /* at least the encoded size */
    struct frame *root;
    struct frame_list frames;
    struct act_list acts, ready;
    struct act *by_id;
    uint32_t n_acts;
    struct undo *undos;
    uint32_t n_undos, cap_undos;
    struct signal_list signals;
    uint32_t n_signals;
    /* not part of the state */
    uint32_t turn_steps;
    int64_t soonest; /* of what was set in this turn */
    enum flow_bug bug;
    struct out_list commands;
    struct past_list history;
    struct out *taken;
    struct past *told;
};

/* -- run.c -------------------------------------------------------------------
 */
/* Cut it before what is not UTF-8: a text from outside, or cut itself. */
char *flow_clean(char *text);
void flow_set_text(char **to, const char *text); /* NULL, or a clean copy */
void flow_note(struct flow_run *run, const char *what, const char *step,
               uint64_t id, uint32_t attempt, const char *fmt, ...)
    PLEX_PRINTF(6, 7);
/* A new command at the end of the queue; texts are set by flow_say. */
struct out *flow_emit(struct flow_run *run, enum flow_command_kind kind,
                      const struct act *act);
enum { SAY_STEP, SAY_TYPE, SAY_KEY, SAY_METHOD, SAY_URL, SAY_CODE, SAY_CAUSE };
void flow_say(struct out *out, int which, const char *text);
void flow_drop_commands(struct flow_run *run);
void flow_loop(struct flow_run *run); /* start what is ready */
void flow_turn_begin(struct flow_run *run, const struct flow_now *now);
void flow_settle_turn(struct flow_run *run);
PLEX_MUST_USE enum plex_status flow_check_value(json_t *value, const char *what,
                                                struct plex_err *err);
struct flow_run *flow_run_blank(struct flow_def *def, const char *run_id);

/* -- run_flow.c
 * ------------------------------------------------------------------ */
struct frame *flow_frame_open(struct flow_run *run, uint32_t scope,
                              struct act *owner, uint32_t slot, json_t *data,
                              json_t *item);
struct frame *flow_frame_blank(struct flow_run *run,
                               const struct flow_scope *scope);
void flow_frame_close(struct flow_run *run, struct frame *frame);
struct act *flow_act_new(struct flow_run *run, struct frame *frame,
                         const struct flow_node *node, json_t *data);
struct act *flow_act_blank(struct flow_run *run, const struct flow_node *node);
void flow_act_free(struct flow_run *run, struct act *act);
/* Into its frame, if it has one. */
void flow_act_join(struct act *act, struct frame *frame);
/* Once its id is known. */
void flow_act_index(struct flow_run *run, struct act *act);
struct act *flow_act_find(const struct flow_run *run, uint64_t id);
void flow_act_phase(struct flow_run *run, struct act *act, enum phase phase);
/* The step is done; `output` is taken over. The act is gone afterwards. */
void flow_act_settle(struct flow_run *run, struct act *act, json_t *output,
                     enum node_state state, uint32_t picked);
struct node_run *flow_node_run(const struct frame *frame,
                               const struct flow_node *node);
void flow_net_start(struct flow_run *run, struct frame *frame);
/* Start or skip whatever is pending and can be decided. */
void flow_net_catch_up(struct flow_run *run, struct frame *frame);

/* -- run_step.c
 * -------------------------------------------------------------------- */
void flow_act_begin(struct flow_run *run, struct act *act);
/* It has its result, taken over: map it, remember what undoes it, go on. */
void flow_act_succeed(struct flow_run *run, struct act *act, json_t *result);

/* `x` over `data` (a chain) or what the run knows (a net); NULL: the act has
 * failed, and may be gone. */
json_t *flow_act_eval(struct flow_run *run, struct act *act, json_t *data,
                      json_t *result, const struct flow_expr *x);
/* Timeout and heartbeat from now on. False: the act has failed. */
bool flow_act_clocks(struct flow_run *run, struct act *act);

/* -- run_split.c
 * ------------------------------------------------------------------- */
void flow_parallel_begin(struct flow_run *run, struct act *act);
void flow_map_begin(struct flow_run *run, struct act *act);
/* One frame of `owner` ended; `output` is taken over. */
void flow_slot_done(struct flow_run *run, struct act *owner, uint32_t slot,
                    json_t *output);

/* -- run_error.c
 * ------------------------------------------------------------------- */
enum engine_error {
    ERROR_TIMEOUT,
    ERROR_HEARTBEAT,
    ERROR_EXPRESSION,
    ERROR_RUNTIME,
    ERROR_NO_CHOICE,
    ERROR_RESULT_PATH,
    ERROR_TOLERANCE,
    ERROR_REJECTED
};
const char *flow_error_code(const struct flow_run *run,
                            enum engine_error error);
void flow_act_fail(struct flow_run *run, struct act *act, const char *code,
                   const char *cause);
void flow_act_fault(struct flow_run *run, struct act *act,
                    const struct flow_fault *fault);
void flow_act_park(struct flow_run *run, struct act *act, const char *reason);
void flow_run_park(struct flow_run *run, const char *reason);
void flow_frame_fail(struct flow_run *run, struct frame *frame,
                     const char *code, const char *cause);

/* -- run_end.c
 * --------------------------------------------------------------------- */
/* Tell the outside that nobody waits for the act any more. */
void flow_act_forget(struct flow_run *run, struct act *act);
/* Stop everything in the frame; with `drain`, acts whose outcome decides what
 * has to be compensated stay until it is known (frame->active counts). */
void flow_frame_stop(struct flow_run *run, struct frame *frame, bool drain);
/* The same for the frames of an act. */
void flow_act_stop_frames(struct flow_run *run, struct act *act);
/* An act of a stopped frame is gone: go on where that was waited for. */
void flow_frame_drained(struct flow_run *run, struct frame *frame);
void flow_run_end(struct flow_run *run, enum flow_status ending,
                  const char *code, const char *cause);
/* From the first step, with `input`, which is taken over: the same run. */
void flow_run_anew(struct flow_run *run, json_t *input);
void flow_run_finish(struct flow_run *run, enum flow_status status);
void flow_run_complete(struct flow_run *run, json_t *output);
void flow_undo_push(struct flow_run *run, struct act *act, json_t *result);
void flow_undo_next(struct flow_run *run);
void flow_undo_begin(struct flow_run *run, struct act *act);
void flow_undo_free(struct undo *undo);

/* -- run_env.c
 * --------------------------------------------------------------------- */
/* NULL: fault filled. `frame`, `act`, `data` and `result` may be NULL. */
json_t *flow_eval_in(struct flow_run *run, struct frame *frame, struct act *act,
                     json_t *data, json_t *result, const struct flow_expr *x,
                     struct flow_fault *fault);

/* -- run_timer.c
 * ------------------------------------------------------------------- */
void flow_run_due(struct flow_run *run);
/* Something is due at `ms`: remember the soonest. Returns `ms`. */
int64_t flow_wake_at(struct flow_run *run, int64_t ms);
int64_t flow_run_next_due(const struct flow_run *run); /* INT64_MAX: never */

/* -- run_reset.c
 * ------------------------------------------------------------------- */
PLEX_MUST_USE enum plex_status flow_run_reset(struct flow_run *run,
                                              const char *step,
                                              struct plex_err *err);

/* -- run_code.c
 * -------------------------------------------------------------------- */
size_t flow_run_size(const struct flow_run *run);

#endif
