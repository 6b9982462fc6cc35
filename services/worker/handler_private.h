#ifndef SERVICES_WORKER_HANDLER_PRIVATE_H
#define SERVICES_WORKER_HANDLER_PRIVATE_H

#include "sdk/c/include/plexspaces/durable.h"
#include "sdk/c/include/plexspaces/sourced.h"
#include "services/worker/handler.h"
#include "services/worker/json_field.h"
#include "services/worker/record.h"
#include "services/worker/run_log.h"

/* Shared by handler*.c only. */
enum {
    FAIL_TEXT_MAX = 512,
    REPLY_HEADERS_MAX = 32,
    CONTENT_TYPE_MAX = 255,
    OUTPUT_BYTES_MAX = 13 << 20,
    KEPT_BYTES_MAX = 64 << 10, /* of a buffer between turns */
};

#include "services/worker/handler_ask.h"

/* The handler's side of an open run. */
struct work_handler_run {
    bool is_open; /* it has waited, or is replayed */
    struct work_run log;
    size_t steps_cap, signals_cap;
    size_t cursor;   /* of the next command, among the steps */
    bool dirty;      /* the log has what no stretch has carried yet */
    bool clean;      /* everything before this moment is durable */
    bool shielded;   /* cancelling does not reach in here */
    uint64_t now_ms; /* of the newest result that was handed out */
    uint64_t random; /* how many were drawn */
    uint32_t nonce;  /* of the run: late results of another are dropped */
    struct plex_arena arena; /* of the log, names and results */
    struct plex_buf opened;  /* the packed log */
    struct plex_bytes effect;
    size_t saved_steps, saved_signals; /* that the journal knows of */
    size_t whole_bytes; /* of the log as it was written last as a whole */
    size_t delta_bytes; /* of what was written of it since */
    uint64_t issued;    /* messages and timers that the callback asked for */
    bool continues;     /* once the callback has returned; with: */
    struct plex_bytes next;   /* payload */
    const char *effect_error; /* in the arena; NULL */
    bool in_effect;
    char waits_for[1400];
    struct work_asked_of *asks; /* what the run answers; in the arena */
    size_t n_asks;
    bool takes;               /* updates, where it waits */
    bool in_update;           /* one is being carried out */
    bool stopped;             /* run.asked: it could not be gone through */
    struct plex_bytes answer; /* of the update that this stretch ends */
};
/* Events of a turn, or of a state that is being rebuilt. */
struct work_handler_events {
    struct work_event *rows;
    size_t n, cap, bytes;
    bool applying;
    const struct plex_event *now; /* applying: NULL when migrating */
    struct work_json json;        /* of it */
};
/* What the turn or stretch is recorded with: handler_record.c. */
struct work_handler_record {
    bool has_seed;
    uint8_t seed[WORK_SEED_BYTES];
    uint64_t drawn;                 /* how often */
    bool headers[WORK_HEADERS_MAX]; /* that the callback looked at */
    struct plex_buf input, packed;
};
struct work_handler {
    struct plex_ctx ctx; /* first: callbacks get its address */
    const struct work_action *run;
    uint64_t wall_ms;
    struct plex_arena arena; /* of outputs and reply */
    struct work_json json;
    bool failed;
    char error[FAIL_TEXT_MAX];
    bool state_changed;
    struct plex_buf state;
    bool replied;
    struct work_reply reply;
    struct work_header headers[REPLY_HEADERS_MAX];
    struct work_output *outputs;
    size_t n_outputs, outputs_cap;
    struct plex_buf packed; /* the reply */
    bool has_base;          /* the state when the turn began */
    struct plex_bytes base;
    bool durable;
    struct work_handler_run open;
    struct work_handler_events events;
    struct work_handler_record record;
    const struct work_message *message; /* NULL: activated */
    const struct work_turn *turn;
    struct rt_facets *facets; /* NULL: none */
    work_wait_fn wait;        /* NULL: cannot */
    void *wait_arg;
    struct work_outcome *outcome; /* to be filled before waiting */
    const struct plex_process_ops *process_base; /* the runtime's */
    struct plex_process_ops process;             /* what callbacks get */
    struct work_handler_ask look, update;
    bool holds;   /* the activation has links or monitors */
    bool yielded; /* part of the turn has taken effect */
};

static inline struct work_handler *
work_handler_of(struct plex_ctx *ctx)
{
    return plex_container_of(ctx, struct work_handler, ctx);
}

/* handler.c */
int work_handler_fail(struct plex_ctx *ctx, const char *reason);
/* Into the turn's arena; fails the turn when it is full. */
struct plex_bytes work_handler_copy(struct work_handler *h, const void *data,
                                    size_t len);
const char *work_handler_text(struct work_handler *h, const char *text);
struct work_output *work_handler_output(struct work_handler *h);

/* Undo what the callback did, for another attempt. */
void work_handler_reset(struct work_handler *h);
/* To the behaviour itself. */
int work_handler_deliver(struct work_handler *h,
                         const struct plex_behaviour *behaviour,
                         const struct plex_msg *msg);

/* ops->state_put, whoever asks. */
void work_handler_state_put(struct work_handler *h, const void *state,
                            size_t len);
const void *work_handler_state(struct plex_ctx *ctx, size_t *len);
const char *work_handler_self(struct plex_ctx *ctx, const char **tenant,
                              const char **ns, const char **type);
void work_handler_log(struct plex_ctx *ctx, int level, const char *text);

/* handler_continue.c */
uint32_t work_run_nonce(const struct work_handler *h);
/* ops->durable->continue_as_new. */
int work_run_continue_as_new(struct plex_ctx *ctx, const void *payload,
                             size_t len);
/* The callback has returned and wants it. True: it is to be called again, over
 * a new log that is durable. */
bool work_run_continue(struct work_handler *h);
/* handler_run.c: the callback has returned although more is recorded: the run
 * was parked, and the callback is to be called again. */
bool work_run_left_out(struct work_handler *h);
/* The same: one that came before it was waited for. */
void work_run_signal_add(struct work_handler *h, const char *name,
                         struct plex_bytes value);

/* handler_edit.c: the message is a WORK_EDIT. */
int work_handler_edit(struct work_handler *h);

/* handler_events.c */
/* `state` of that schema becomes the actor's, migrated where that is needed. */
void work_events_adopt(struct work_handler *h, struct plex_bytes state,
                       uint32_t schema_version);
/* ops->persist. */
int work_events_persist(struct plex_ctx *ctx, const char *type,
                        const void *data, size_t len);
/* run.how is RESTORE: the state is h->state afterwards. */
void work_events_restore(struct work_handler *h);
/* After work_run_begin(): the state that an open run began with may be of an
 * older schema. A run whose state cannot be migrated is parked. False: the run
 * has failed. */
bool work_events_reopen(struct work_handler *h);
/* The events of the turn that ends. */
void work_events_end(struct work_handler *h, struct work_outcome *out);
void work_events_fini(struct work_handler *h);

/* handler_record.c */
void work_record_begin(struct work_handler *h);
/* ops->random. */
void work_record_random(struct work_handler *h, void *out, size_t len);
/* The callback looked at that header. */
void work_record_header(struct work_handler *h, size_t index);
/* What the turn or stretch was made of, into `out`. False: nothing fits. */
bool work_record_put(struct work_handler *h, const struct work_run_delta *delta,
                     struct work_outcome *out);
void work_record_fini(struct work_handler *h);

/* handler_process.c: what the turn's callbacks get; accepts NULL. */
const struct plex_process_ops *work_process_ops(
    struct work_handler *h, const struct plex_process_ops *base);

/* handler_aside.c: around a wait. False: the turn keeps the floor, and does not
 * come back to it. */
bool work_handler_leave(struct work_handler *h);
void work_handler_back(struct work_handler *h);
/* What is sent is the state or the message, perhaps: those may go while the
 * turn stands aside. Fills `out`. */
void work_handler_post(struct work_handler *h, const struct plex_post *post,
                       struct plex_post *out);

/* handler_facets.c */
#define WORK_FACETS_TIMER "$facets"
/* Before the turn's callback: the chain is there. False: the turn failed. */
bool work_facets_begin(struct work_handler *h);
/* A message through the chain to the behaviour. */
int work_facets_message(struct work_handler *h,
                        const struct plex_behaviour *behaviour,
                        const struct plex_msg *msg);
/* The timer WORK_FACETS_TIMER. */
int work_facets_tick(struct work_handler *h,
                     const struct plex_behaviour *behaviour);
/* After the callback. */
void work_facets_after(struct work_handler *h);
/* The message is a WORK_FACETS. */
int work_facets_asked(struct work_handler *h);
/* ops->facet. */
int work_facets_request(struct plex_ctx *ctx,
                        struct plex_facet_request *request);

/* handler_commands.c */
extern const struct plex_durable_ops work_durable_ops;
/* Nobody waits for that sleep any more. */
void work_run_timer_stop(struct work_handler *h, size_t index);

/* handler_run.c */
/* Into the run's arena; NULL fails the turn. */
void *work_run_keep(struct work_handler *h, const void *data, size_t len);
const char *work_run_text(struct work_handler *h, const char *text);
/* A new step at the end of the log; NULL: too many, the turn fails. */
struct work_step *work_step_add(struct work_handler *h,
                                enum work_step_kind kind, const char *name);
void work_step_done(struct work_handler *h, struct work_step *step,
                    enum plex_status status, struct plex_bytes result);
/* Hand a result to the callback: its time passes. */
int work_step_give(struct work_handler *h, const struct work_step *step,
                   struct plex_value *out);
const char *work_step_kind_name(enum work_step_kind kind);
/* Signals that came to the steps that wait for them. */
void work_run_signals(struct work_handler *h);
bool work_run_cancelled(const struct work_handler *h);
/* End this stretch and begin the next one. 0, or the run has failed. */
int work_run_stretch(struct work_handler *h, enum work_phase phase,
                     const char *waits_for);
/* Until somebody resumes the run: 0; or cancels it: PLEX_E_CANCELLED. */
int work_run_park(struct work_handler *h, const char *reason);
/*
 * The next command of the callback. 1: *step is recorded; 0: it is new, and
 * *step is NULL; negative: it cannot be. Where the code now asks for something
 * else than the record holds, it is parked, and looked at again when resumed.
 */
int work_run_command(struct work_handler *h, enum work_step_kind kind,
                     const char *name, struct work_step **step);
/* Before the callback. False: the stored run does not decode. */
bool work_run_begin(struct work_handler *h);
/* The record of the turn that ends, with what is new in its log. */
void work_run_record(struct work_handler *h, struct work_outcome *out);
/* handler_retry.c: the step before an effect by which its run waits for
 * another attempt. Index, -1: there is none; how many attempts there were. */
int work_retry_find(struct work_handler *h, const char *effect, uint32_t *n);
/* It waits, again; -1: the run has too many steps. */
int work_retry_put(struct work_handler *h, const char *effect, int at,
                   uint32_t n, uint64_t due_ms, const char *why);
/* Resumed after all were used up: they begin anew. */
void work_retry_reset(struct work_handler *h, int at, uint32_t *n);
/* As the turn that is run again left it; NULL: it has none. */
const struct work_step *work_retry_again(const struct work_handler *h,
                                         const char *effect, int at);
/* What was recorded of the new step that comes next, for a turn that is run
 * again; NULL: there is no such step of that kind and name. */
const struct work_step *work_run_again(struct work_handler *h,
                                       enum work_step_kind kind,
                                       const char *name);
/* After it: what remains of the run's timers is cancelled. */
void work_run_end(struct work_handler *h);
void work_run_init(struct work_handler *h);
void work_run_fini(struct work_handler *h);

#endif
