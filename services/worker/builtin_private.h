#ifndef SERVICES_WORKER_BUILTIN_PRIVATE_H
#define SERVICES_WORKER_BUILTIN_PRIVATE_H

#include "sdk/c/include/plexspaces/sourced.h"
#include "services/worker/builtin.h"
#include "workflow/limits.h"
#include "workflow/run.h"

/* Shared by builtin*.c only. */
enum { BUILTIN_HISTORY_MAX = 1000 };

/* The message as a JSON object; NULL: the reply says what is wrong. */
json_t *work_builtin_request(struct plex_ctx *ctx, const struct plex_msg *msg,
                             const char **action);
/* Replies with `value`, whose reference it takes. */
int work_builtin_reply(struct plex_ctx *ctx, uint32_t http_status,
                       json_t *value);
/* Casts `value`, whose reference it takes. */
void work_builtin_cast(struct plex_ctx *ctx, const char *type, const char *key,
                       json_t *value);
/* Of an error: its HTTP status and text as the reply. */
int work_builtin_refuse(struct plex_ctx *ctx, const struct plex_err *err);

/* The same with a code of its own, such as "POOL_DRAINING". */
int work_builtin_problem(struct plex_ctx *ctx, uint32_t http_status,
                         const char *code, const char *text);

/* builtin_catalog.c */
int work_catalog_call(struct plex_ctx *ctx, const struct plex_msg *msg);
/* What a definition needs to be parsed: {"language","id","version","text"}. */
struct flow_def *work_definition_parse(const json_t *definition,
                                       struct plex_err *err);

/* builtin_index.c */
int work_index_call(struct plex_ctx *ctx, const struct plex_msg *msg);
/* Tell the index about an execution. */
void work_index_put(struct plex_ctx *ctx, const char *execution, json_t *entry);
void work_index_remove(struct plex_ctx *ctx, const char *execution);

/* builtin_kept.c: of runs that end in one way only the newest `max` are kept;
 * these are also actors of the index. */
enum { BUILTIN_KEPT_MAX = 1000 };
void work_kept_tell(struct plex_ctx *ctx, const char *outcome,
                    const char *definition, const char *execution,
                    uint32_t max);
bool work_kept_is(const char *key);
int work_kept_call(struct plex_ctx *ctx, const char *action,
                   const json_t *request);

/* builtin_http.c: {"method","url","headers","body","timeout_ms"} gives
 * {"http_status","http_headers","body"} or {"http_error","code"}. */
int work_http_call(struct plex_ctx *ctx, const struct plex_msg *msg);

/* builtin_workflow.c */
int work_workflow_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_workflow_reply(struct plex_ctx *ctx, uint64_t tag,
                        enum plex_result_status status, const void *payload,
                        size_t len);
int work_workflow_timer(struct plex_ctx *ctx, const char *timer,
                        const void *payload, size_t len);

/* builtin_names.c: what there is of a kind in a namespace, listed by pages. An
 * actor of `type`; its key and the field of the rows are `rows`. */
struct work_names {
    const char *type, *rows;
    size_t max; /* listed */
};
extern const struct work_names work_group_names, work_pool_names,
    work_schedule_names;
/* Takes `row`. */
void work_names_tell(struct plex_ctx *ctx, const struct work_names *names,
                     const char *id, json_t *row);
void work_names_untell(struct plex_ctx *ctx, const struct work_names *names,
                       const char *id);
int work_group_index_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_pool_index_call(struct plex_ctx *ctx, const struct plex_msg *msg);

/* builtin_schedule.c; its index is builtin_names.c */
int work_schedule_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_schedule_reply(struct plex_ctx *ctx, uint64_t tag,
                        enum plex_result_status status, const void *payload,
                        size_t len);
int work_schedule_timer(struct plex_ctx *ctx, const char *timer,
                        const void *payload, size_t len);
int work_schedule_index_call(struct plex_ctx *ctx, const struct plex_msg *msg);

/* builtin_stream.c: proto/public/plexspaces/history/v1/history.proto, Event
 * streams */
int work_stream_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_stream_apply(struct plex_ctx *ctx, const struct plex_event *event);

/* builtin_index.c: 1 when "env=prod,team=a" are all among the labels, "" always
 * is; -1: that is no such text. */
int work_labels_match(const json_t *has, const char *wanted);

/* builtin_timer.c: proto/public/plexspaces/timer/v1/timer.proto */
int work_timers_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_timers_timer(struct plex_ctx *ctx, const char *timer,
                      const void *payload, size_t len);

/* builtin_eval.c: proto/public/plexspaces/tuplespace/v1/eval.proto */
int work_eval_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_eval_reply(struct plex_ctx *ctx, uint64_t tag,
                    enum plex_result_status outcome, const void *payload,
                    size_t len);

#endif
