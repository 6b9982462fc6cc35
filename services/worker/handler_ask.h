#ifndef SERVICES_WORKER_HANDLER_ASK_H
#define SERVICES_WORKER_HANDLER_ASK_H

/* A part of handler_private.h, which includes it: what others ask of a run that
 * waits. */
struct work_handler;

/* What the callback said that it answers. */
struct work_asked_of {
    const char *name;
    bool is_update;
    plex_asked_fn check, fn;
    void *arg;
};
/* A query, or the check of an update; or an update. */
struct work_handler_ask {
    bool on;
    struct plex_ctx_ops ops;         /* what it may do */
    const struct plex_ctx_ops *rest; /* what the callback may */
    struct plex_arena arena;         /* of the reply */
    struct plex_buf packed;
    struct work_json json;
    struct work_reply reply;
    size_t reply_max;
    bool replied, failed;
    char error[FAIL_TEXT_MAX];
};

/* handler_ask.c */
/* ops->durable->on_query, on_update. */
int work_ask_on_query(struct plex_ctx *ctx, const char *name, plex_asked_fn fn,
                      void *arg);
int work_ask_on_update(struct plex_ctx *ctx, const char *name,
                       plex_asked_fn check, plex_asked_fn fn, void *arg);
/* What came to the run that waits (h->run) is answered by h->outcome, and
 * changed nothing: a query, an update that is refused or known. */
bool work_ask_came(struct work_handler *h);
/* NULL: there is none of that name. */
struct work_asked_of *work_ask_find(const struct work_handler *h,
                                    const char *name, bool is_update);
/* From here to the end replies and failures are those of what was asked. */
void work_ask_begin(struct work_handler *h, struct work_handler_ask *ask,
                    const struct work_message *m);
int work_ask_call(struct work_handler *h, plex_asked_fn fn, void *arg,
                  const struct work_message *m);
/* The packed reply, until the next one begins. */
struct plex_bytes work_ask_end(struct work_handler *h,
                               struct work_handler_ask *ask);
void work_ask_problem(struct work_handler *h, uint32_t http_status,
                      const char *code, const char *text);
/* run.asked: the code has come to something that is not recorded; it cannot be
 * gone through. Negative. */
int work_ask_past_stops(struct work_handler *h, enum work_phase phase,
                        const char *waits_for);
/* It has come to its end: it is asked, and the turn's reply is the answer. */
void work_ask_past(struct work_handler *h);
/* True, and it fails, while something is on that may only look. */
bool work_ask_only_looks(struct work_handler *h, const char *what);
/* A turn begins; another one may have been left in the middle. */
void work_ask_reset(struct work_handler *h);
void work_ask_init(struct work_handler *h);
void work_ask_fini(struct work_handler *h);

/* handler_update.c */
/* Is its id one that the log has? Then the packed reply is in *reply. */
bool work_update_known(const struct work_handler *h,
                       const struct work_message *m, struct plex_bytes *reply,
                       bool *same);
/* Into the log: it is the next step. */
void work_update_accept(struct work_handler *h, const struct work_message *m);
/* The next step is an update that came before the result of that order: it is
 * carried out. 1; 0: it is not; negative: the run cannot go on. */
int work_update_next(struct work_handler *h, uint64_t order);

#endif
