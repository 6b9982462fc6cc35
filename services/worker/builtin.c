#include "services/worker/builtin_group.h"
#include "services/worker/builtin_lattice.h"
#include "services/worker/builtin_pool.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

json_t *
work_builtin_request(struct plex_ctx *ctx, const struct plex_msg *msg,
                     const char **action)
{
    json_error_t error;
    json_t *request = json_loadb(msg->payload == NULL ? "" : msg->payload,
                                 msg->len, JSON_REJECT_DUPLICATES, &error);

    if (!json_is_object(request)) {
        plex_reply_problem(ctx, 400, "the message is no JSON object: %s",
                           request == NULL ? error.text : "another value");
        json_decref(request);
        return NULL;
    }
    *action = json_string_value(json_object_get(request, "action"));
    if (*action == NULL)
        *action = "";
    return request;
}

int
work_builtin_reply(struct plex_ctx *ctx, uint32_t http_status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(value);
    if (text == NULL)
        return plex_fail(ctx, "the reply cannot be written as JSON");
    plex_reply_status(ctx, http_status, "application/json", text, strlen(text));
    free(text);
    return 0;
}

void
work_builtin_cast(struct plex_ctx *ctx, const char *type, const char *key,
                  json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    json_decref(value);
    if (text == NULL)
        (void)plex_fail(ctx, "a message cannot be written as JSON");
    else
        plex_cast(ctx, type, key, text, strlen(text));
    free(text);
}

int
work_builtin_refuse(struct plex_ctx *ctx, const struct plex_err *err)
{
    int status = plex_status_http(err->status);

    if (status < 400 || status > 599 || status == 499)
        status = 500;
    plex_reply_problem(ctx, (uint32_t)status, "%s", err->text);
    return 0;
}

int
work_builtin_problem(struct plex_ctx *ctx, uint32_t http_status,
                     const char *code, const char *text)
{
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:s, s:s}", "status", (json_int_t)http_status, "title",
        "the actor refused", "code", code, "detail", text, "source", "actor");
    char *out = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

    json_decref(json);
    if (out == NULL)
        return plex_fail(ctx, "a problem cannot be written as JSON");
    plex_reply_status(ctx, http_status, "application/problem+json", out,
                      strlen(out));
    free(out);
    return 0;
}

const struct plex_behaviour work_builtin_behaviours[] = {
    {.name = "workflow",
     .schema_version = 1,
     .handle_call = work_workflow_call,
     .handle_timer = work_workflow_timer,
     .handle_reply = work_workflow_reply},
    {.name = "workflow-catalog",
     .schema_version = 1,
     .handle_call = work_catalog_call},
    {.name = "workflow-index",
     .schema_version = 1,
     .handle_call = work_index_call},
    {.name = "workflow-http",
     .schema_version = 1,
     .handle_call = work_http_call},
    {.name = "schedule",
     .schema_version = 1,
     .handle_call = work_schedule_call,
     .handle_timer = work_schedule_timer,
     .handle_reply = work_schedule_reply},
    {.name = "schedule-index",
     .schema_version = 1,
     .handle_call = work_schedule_index_call},
    {.name = "event-stream",
     .schema_version = 1,
     .handle_call = work_stream_call,
     .apply = work_stream_apply,
     .snapshot_bytes = 1 << 20},
    {.name = "actor-timers",
     .schema_version = 1,
     .handle_call = work_timers_call,
     .handle_timer = work_timers_timer},
    {.name = "actor-group",
     .schema_version = 1,
     .handle_call = work_group_call,
     .handle_timer = work_group_timer},
    {.name = "actor-group-index",
     .schema_version = 1,
     .handle_call = work_group_index_call},
    {.name = "actor-group-load",
     .schema_version = 1,
     .handle_call = work_group_load_call},
    {.name = "actor-group-stream",
     .schema_version = 1,
     .handle_call = work_group_stream_call,
     .handle_reply = work_group_stream_reply,
     .handle_timer = work_group_stream_timer},
    {.name = "actor-group-call",
     .schema_version = 1,
     .handle_call = work_group_request_call},
    {.name = "pool",
     .schema_version = 1,
     .handle_call = work_pool_call,
     .handle_timer = work_pool_timer,
     .handle_reply = work_pool_reply},
    {.name = "pool-index",
     .schema_version = 1,
     .handle_call = work_pool_index_call},
    {.name = "pool-checkout",
     .schema_version = 1,
     .handle_call = work_pool_checkout_call},
    {.name = "tuple-eval",
     .schema_version = 1,
     .handle_call = work_eval_call,
     .handle_reply = work_eval_reply},
    {.name = "lattice", .schema_version = 1, .handle_call = work_lattice_call},
    {0},
};
