#ifndef SERVICES_WORKER_HANDLER_PRIVATE_H
#define SERVICES_WORKER_HANDLER_PRIVATE_H

#include "sdk/c/include/plexspaces/durable.h"
#include "services/worker/handler.h"
#include "services/worker/json_field.h"
#include "services/worker/run_log.h"

/* Shared by handler*.c only. */
enum {
    FAIL_TEXT_MAX = 512,
    REPLY_HEADERS_MAX = 32,
    CONTENT_TYPE_MAX = 255,
    OUTPUT_BYTES_MAX = 13 << 20,
    KEPT_BYTES_MAX = 64 << 10, /* of a buffer between turns */
};

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
    const char *effect_error; /* in the arena; NULL */
    bool in_effect;
    char waits_for[160];
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
    const struct work_message *message; /* NULL: activated */
    work_wait_fn wait;                  /* NULL: cannot */
    void *wait_arg;
    struct work_outcome *outcome; /* to be filled before waiting */
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

/* handler_run.c */
extern const struct plex_durable_ops work_durable_ops;
/* Before the callback. False: the stored run does not decode. */
bool work_run_begin(struct work_handler *h);
/* After it: what remains of the run's timers is cancelled. */
void work_run_end(struct work_handler *h);
void work_run_init(struct work_handler *h);
void work_run_fini(struct work_handler *h);

#endif
