/*
 * Answers of all shards of a group, kept for one reader who takes them as they
 * come: {"group_id","message","timeout_ms","type","shards","next","sent",
 * "rows","seq","bytes","responses","failures"}, or {"status","error"}. Up to
 * WINDOW shards are asked at a time, none more while a reader leaves
 * BYTES_ASK bytes of answers where they are.
 */
#include "services/worker/builtin_group.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = BUILTIN_GROUP_PART,
    BYTES_ASK = 2 << 20,
    BYTES_MAX = 6 << 20, /* kept at all */
    DESCRIBE_MS = 5000,
    KEPT_MS = 15 * 60000,
};

static json_t *
state_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    return state == NULL || len == 0 ? NULL : json_loadb(state, len, 0, NULL);
}

static int
state_save(struct plex_ctx *ctx, const json_t *stream)
{
    char *text = json_dumps(stream, JSON_COMPACT);

    if (text == NULL)
        return plex_fail(ctx, "the answers cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

static size_t
open_of(const json_t *stream)
{
    return json_object_size(json_object_get(stream, "sent"));
}

static bool
is_done(const json_t *stream)
{
    return json_object_get(stream, "type") != NULL && open_of(stream) == 0 &&
           work_json_number(stream, "next") ==
               work_json_number(stream, "shards");
}

/* Ask those whose turn it is. */
static void
ask_more(struct plex_ctx *ctx, json_t *stream)
{
    json_t *sent = json_object_get(stream, "sent");
    char *message = json_dumps(json_object_get(stream, "message"),
                               JSON_COMPACT | JSON_ENCODE_ANY);
    int64_t shard = work_json_number(stream, "next");

    for (; message != NULL && open_of(stream) < WINDOW &&
           shard < work_json_number(stream, "shards") &&
           work_json_number(stream, "bytes") < BYTES_ASK;
         shard++) {
        char name[24], key[256];

        (void)snprintf(name, sizeof name, "%lld", (long long)shard);
        (void)snprintf(key, sizeof key, "%.200s~%s",
                       work_json_text(stream, "group_id"), name);
        work_json_set(sent, name, (int64_t)plex_turn_ms(ctx));
        plex_call(ctx, work_json_text(stream, "type"), key, message,
                  strlen(message),
                  (uint64_t)work_json_number(stream, "timeout_ms"),
                  (uint64_t)shard + 1);
    }
    work_json_set(stream, "next", shard);
    free(message);
}

/* -- what comes back --------------------------------------------------------
 */

static void
described(struct plex_ctx *ctx, json_t *stream, enum plex_result_status status,
          const json_t *answer)
{
    const json_t *group = json_object_get(answer, "group");
    const unsigned refused = work_group_refusal(answer);

    if (status != PLEX_CALL_OK || group == NULL) {
        work_json_set(stream, "status", refused == 0 ? 503 : (int)refused);
        json_object_set_new(
            stream, "error",
            json_string(refused == 0 ? "the group's actor did not answer"
                                     : work_json_text(answer, "detail")));
        return;
    }
    json_object_set(stream, "type", json_object_get(group, "actor_type"));
    json_object_set(stream, "shards", json_object_get(group, "shard_count"));
    ask_more(ctx, stream);
}

static const char *
error_of(const json_t *stream, enum plex_result_status status,
         const json_t *answer, size_t len)
{
    if (status == PLEX_CALL_TIMEOUT)
        return "did not answer in time";
    if (status != PLEX_CALL_OK)
        return "failed";
    if (work_group_refusal(answer) != 0)
        return work_json_text(answer, "detail");
    if (len > BUILTIN_GROUP_BYTES_MAX)
        return "answered more than 512 KiB";
    if (work_json_number(stream, "bytes") + (int64_t)len > BYTES_MAX)
        return "answered, but 6 MiB of answers had not been read";
    return NULL;
}

static void
answered(struct plex_ctx *ctx, json_t *stream, int64_t shard,
         enum plex_result_status status, json_t *answer, size_t len)
{
    const char *error = error_of(stream, status, answer, len);
    json_t *sent = json_object_get(stream, "sent"), *row;
    char name[24];

    (void)snprintf(name, sizeof name, "%lld", (long long)shard);
    if (json_object_get(sent, name) == NULL)
        return;
    work_json_count(stream, "seq");
    row =
        json_pack("{s:O, s:I, s:b, s:I}", "seq", json_object_get(stream, "seq"),
                  "shard", (json_int_t)shard, "ok", error == NULL, "latency_ms",
                  (json_int_t)((int64_t)plex_turn_ms(ctx) -
                               work_json_number(sent, name)));
    if (error != NULL) {
        json_object_set_new(row, "error", json_stringn(error, strlen(error)));
    } else {
        json_object_set(row, "reply", answer);
        work_json_set(row, "bytes", (int64_t)len);
        work_json_set(stream, "bytes",
                      work_json_number(stream, "bytes") + (int64_t)len);
    }
    work_json_count(stream, error == NULL ? "responses" : "failures");
    json_array_append_new(json_object_get(stream, "rows"), row);
    json_object_del(sent, name);
    ask_more(ctx, stream);
}

int
work_group_stream_reply(struct plex_ctx *ctx, uint64_t tag,
                        enum plex_result_status status, const void *payload,
                        size_t len)
{
    json_t *stream = state_load(ctx), *answer;
    int result;

    if (stream == NULL)
        return 0; /* forgotten meanwhile */
    answer = work_group_json(payload, len);
    if (tag == 0)
        described(ctx, stream, status, answer);
    else
        answered(ctx, stream, (int64_t)tag - 1, status, answer, len);
    result = state_save(ctx, stream);
    json_decref(answer);
    json_decref(stream);
    return result;
}

/* -- who asks ---------------------------------------------------------------
 */

static int
accepted(struct plex_ctx *ctx)
{
    return work_builtin_reply(
        ctx, 202,
        json_pack("{s:s}", "request_id", plex_self(ctx, NULL, NULL, NULL)));
}

static int
begin(struct plex_ctx *ctx, const json_t *request)
{
    static const char get[] = "{\"action\":\"get\"}";
    json_t *message = json_object_get(request, "message");
    const json_t *timeout = json_object_get(request, "timeout_ms");
    const int64_t timeout_ms = timeout == NULL ? BUILTIN_GROUP_TIMEOUT_MS
                                               : json_integer_value(timeout);
    json_t *stream;
    int status;

    if (message == NULL || timeout_ms < 1 ||
        timeout_ms > BUILTIN_GROUP_TIMEOUT_MAX_MS) {
        plex_reply_problem(ctx, 400,
                           message == NULL ? "message is missing: any JSON"
                                           : "timeout_ms must be 1 to 300000");
        return 0;
    }
    stream = json_pack("{s:O, s:O, s:I, s:{}, s:[]}", "group_id",
                       json_object_get(request, "group_id"), "message", message,
                       "timeout_ms", (json_int_t)timeout_ms, "sent", "rows");
    plex_call(ctx, "actor-group", work_json_text(request, "group_id"), get,
              sizeof get - 1, DESCRIBE_MS, 0);
    plex_timer_set(ctx, "forget", KEPT_MS, "", 0);
    status = state_save(ctx, stream);
    json_decref(stream);
    return status == 0 ? accepted(ctx) : status;
}

/* What its reader has up to `after` goes. */
static bool
drop(json_t *stream, int64_t after)
{
    json_t *rows = json_object_get(stream, "rows");
    bool any = false;

    while (json_array_size(rows) > 0 &&
           work_json_number(json_array_get(rows, 0), "seq") <= after) {
        work_json_set(stream, "bytes",
                      work_json_number(stream, "bytes") -
                          work_json_number(json_array_get(rows, 0), "bytes"));
        json_array_remove(rows, 0);
        any = true;
    }
    return any;
}

static int
rows_read(struct plex_ctx *ctx, json_t *stream, const json_t *request)
{
    json_t *rows = json_object_get(stream, "rows"), *shown, *row;
    const bool dropped = drop(stream, work_json_number(request, "after"));
    const bool done = is_done(stream);
    size_t i;

    if (dropped) {
        ask_more(ctx, stream);
        if (state_save(ctx, stream) != 0)
            return -1;
    }
    shown = json_deep_copy(rows);
    json_array_foreach(shown, i, row)
    {
        json_object_del(row, "bytes");
    }
    return work_builtin_reply(
        ctx, done || json_array_size(rows) > 0 ? 200 : 202,
        json_pack("{s:o, s:b, s:I, s:I}", "answers", shown, "done", done,
                  "responses",
                  (json_int_t)work_json_number(stream, "responses"), "failures",
                  (json_int_t)work_json_number(stream, "failures")));
}

int
work_group_stream_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *stream = NULL;
    int status = 0;

    if (request == NULL)
        return 0;
    stream = state_load(ctx);
    if (strcmp(action, "begin") == 0)
        status = stream == NULL ? begin(ctx, request) : accepted(ctx);
    else if (stream == NULL)
        plex_reply_problem(ctx, 404,
                           "there is no such request, or not any more");
    else if (work_json_number(stream, "status") != 0)
        plex_reply_problem(ctx, (uint32_t)work_json_number(stream, "status"),
                           "%.300s", work_json_text(stream, "error"));
    else
        status = rows_read(ctx, stream, request);
    json_decref(stream);
    json_decref(request);
    return status;
}

int
work_group_stream_timer(struct plex_ctx *ctx, const char *timer,
                        const void *payload, size_t len)
{
    (void)timer;
    (void)payload;
    (void)len;
    plex_state_put(ctx, "", 0);
    return 0;
}
