#ifndef SERVICES_WORKER_BUILTIN_WORKFLOW_H
#define SERVICES_WORKER_BUILTIN_WORKFLOW_H

#include "services/worker/builtin_private.h"

/* Shared by builtin_workflow*.c only: a run during one turn. */
enum {
    WF_TAG_DEFINITION = 0, /* of calls; others are id and attempt of a step */
    WF_TAG_MOVE = 1,
    WF_ATTEMPT_BITS = 20,
    WF_EARLY_MAX = 1000,    /* signals kept before the run begins */
    WF_FORK_MAX = 2 << 20,  /* bytes of a state that travels in a message */
    WF_QUERY_MAX = 4 << 20, /* bytes of what a query gives */
};

#define WF_TIMER "workflow" /* the engine's; and when it is forgotten */
#define WF_TIMER_RETENTION "retention"

struct wf {
    struct plex_ctx *ctx;
    json_t *definition; /* as the catalogue gave it; NULL: not yet */
    json_t *meta;       /* input, labels, parent, status, early, ... */
    json_t *history;
    struct flow_def *def;
    struct flow_run *run; /* NULL: PENDING, or it ended before it began */
};

const char *work_wf_self(const struct wf *wf);
/* A text member; "" when absent. */
const char *work_wf_text(const json_t *object, const char *field);
struct flow_now work_wf_now(struct plex_ctx *ctx);

/* builtin_workflow_state.c */
/* 1: there is a run; 0: there is none; negative: it does not decode. */
int work_wf_load(struct wf *wf, struct plex_ctx *ctx);
void work_wf_forget(struct wf *wf); /* nothing was loaded any more */
int work_wf_save(struct wf *wf);
void work_wf_erase(struct wf *wf); /* and nothing else in this turn */
bool work_wf_ended(const struct wf *wf);
void work_wf_status(struct wf *wf, const char *status, bool final);
/* Everything the engine wants, into this turn. */
int work_wf_apply(struct wf *wf);
json_t *work_wf_describe(struct wf *wf);
/* The reply is what is to be told; 202 to who waits for the end, before it. */
int work_wf_look(struct wf *wf, const json_t *request);

/* builtin_workflow_command.c */
void work_wf_obey(struct wf *wf, const struct flow_command *c);
/* Tell who waits for this run, if anybody does, how it ended. */
void work_wf_tell(struct wf *wf, const json_t *parent);
/* The same for a run that cannot be `parent`'s. */
void work_wf_refuse_parent(struct wf *wf, const json_t *parent,
                           const char *code, const char *cause);

/* builtin_workflow_start.c */
/* A new run, whose definition is asked for; not saved yet. */
void work_wf_begin(struct wf *wf, const json_t *request);
int work_wf_start(struct wf *wf, const json_t *request);
int work_wf_start_again(struct wf *wf, const json_t *request);
/* The answer of the catalogue, to a start or to a move. */
int work_wf_definition(struct wf *wf, uint64_t tag,
                       enum plex_result_status status, const void *payload,
                       size_t len);
/* The run ends before it began. */
int work_wf_never(struct wf *wf, const char *status, const char *code,
                  const char *cause);
int work_wf_fork(struct wf *wf, const json_t *request);
int work_wf_adopt(struct wf *wf, const json_t *request);
int work_wf_move(struct wf *wf, const json_t *request);
/* Could it, to the definition in the request? Changes nothing. */
int work_wf_check_move(struct wf *wf, const json_t *request);

#endif
