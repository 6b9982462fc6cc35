/*
 * An event stream: event-sourced, of events that others append. What is
 * persisted of one is {"sequence", "data", "metadata", "event_id"}; of a
 * snapshot, which has no number, what was saved, as event type SNAPSHOT.
 *
 * The state is JSON that apply() changes as text, since it is run for every
 * event whenever a stream comes into memory:
 * {"sequence":N,"snapshot_sequence":M,"snapshot":...}, the last two once there
 * is a snapshot.
 */
#include "services/worker/builtin_private.h"

#include "services/worker/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT "$snapshot"
#define HEAD "{\"sequence\":"

enum {
    EVENTS_MAX = 1000,
    SNAPSHOT_MAX = 256 << 10,
    NUMBER_MAX = 20,
    BATCH_BYTES_MAX = (2 << 20) - (64 << 10), /* of a turn, and room */
    EVENT_BYTES_MAX = (1 << 20) - 1024,
};

/* -- the state ---------------------------------------------------------------
 */

/* The number of the last event, and what follows it in the state: "}" or
 * ",...}". */
static uint64_t
sequence_of(struct plex_ctx *ctx, const char **rest, size_t *rest_len)
{
    size_t len;
    const char *state = plex_state(ctx, &len);
    const size_t head = strlen(HEAD);
    uint64_t n = 0;
    size_t at = head;

    *rest = "}";
    *rest_len = 1;
    if (state == NULL || len <= head || memcmp(state, HEAD, head) != 0)
        return 0;
    for (; at < len && state[at] >= '0' && state[at] <= '9'; at++)
        n = n * 10 + (uint64_t)(state[at] - '0');
    if (at < len) {
        *rest = state + at;
        *rest_len = len - at;
    }
    return n;
}

static uint64_t
sequence_now(struct plex_ctx *ctx)
{
    const char *rest;
    size_t len;

    return sequence_of(ctx, &rest, &len);
}

static int
state_set(struct plex_ctx *ctx, uint64_t sequence, const char *rest, size_t len)
{
    char *text = malloc(sizeof HEAD + NUMBER_MAX + len);
    int n;

    if (text == NULL)
        return plex_fail(ctx, "no memory");
    n = snprintf(text, sizeof HEAD + NUMBER_MAX, HEAD "%" PRIu64, sequence);
    memcpy(text + n, rest, len);
    plex_state_put(ctx, text, (size_t)n + len);
    free(text);
    return 0;
}

/* The event is {"snapshot_sequence":M,"snapshot":...}: the rest of the state,
 * but for its first brace. */
static int
snapshot_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    const uint64_t sequence = sequence_now(ctx);
    char *rest;
    int rc;

    if (event->len < 2)
        return plex_fail(ctx, "a snapshot is no JSON object");
    rest = malloc(event->len);
    if (rest == NULL)
        return plex_fail(ctx, "no memory");
    memcpy(rest, event->data, event->len);
    rest[0] = ',';
    rc = state_set(ctx, sequence, rest, event->len);
    free(rest);
    return rc;
}

int
work_stream_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    const char *rest;
    size_t len;
    uint64_t sequence;

    if (strcmp(event->type, SNAPSHOT) == 0)
        return snapshot_apply(ctx, event);
    sequence = sequence_of(ctx, &rest, &len);
    return state_set(ctx, sequence + 1, rest, len);
}

/* -- appending ---------------------------------------------------------------
 */

static json_int_t
number_of(const json_t *json)
{
    return json_is_string(json) ? strtoll(json_string_value(json), NULL, 10)
                                : json_integer_value(json);
}

static int
bad(struct plex_ctx *ctx, const char *text)
{
    return work_builtin_problem(ctx, 400, "INVALID", text);
}

/* True: it is the expected one, or none is. */
static bool
expected(struct plex_ctx *ctx, const json_t *request)
{
    const json_t *wanted = json_object_get(request, "expected_sequence");
    const uint64_t is = sequence_now(ctx);
    char text[PLEX_ERR_TEXT_MAX];

    if (wanted == NULL || (uint64_t)number_of(wanted) == is)
        return true;
    (void)snprintf(text, sizeof text,
                   "the stream's last event is number %" PRIu64
                   ", expected was %" PRIu64,
                   is, (uint64_t)number_of(wanted));
    (void)work_builtin_problem(ctx, 409, "SEQUENCE_CONFLICT", text);
    return false;
}

/* What is written of it; NULL: *problem says what is wrong. The caller's. */
static char *
event_text(const json_t *event, uint64_t sequence, const char **problem)
{
    static const char *const fields[] = {"data", "metadata", "event_id"};
    const char *type = json_string_value(json_object_get(event, "event_type"));
    json_t *kept;
    char *text;

    *problem = NULL;
    if (type == NULL || type[0] == '\0' || strlen(type) > WORK_EVENT_TYPE_MAX)
        *problem = "event_type must be 1 to 255 bytes";
    else if (type[0] == '$')
        *problem = "event_type must not begin with $";
    if (*problem != NULL)
        return NULL;
    kept = json_pack("{s:I}", "sequence", (json_int_t)sequence);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (json_object_get(event, fields[i]) != NULL)
            json_object_set(kept, fields[i], json_object_get(event, fields[i]));
    text = json_dumps(kept, JSON_COMPACT);
    json_decref(kept);
    if (text == NULL)
        *problem = "an event cannot be written as JSON";
    else if (strlen(text) > EVENT_BYTES_MAX)
        *problem = "an event is larger than 1 MiB";
    if (*problem == NULL)
        return text;
    free(text);
    return NULL;
}

/* All that is refused is refused before the first is persisted. */
static const char *
batch_problem(const json_t *events, uint64_t sequence)
{
    const char *problem = NULL;
    size_t bytes = 0;

    if (!json_is_array(events) || json_array_size(events) == 0)
        return "there are no events to append";
    if (json_array_size(events) > EVENTS_MAX)
        return "more than 1000 events cannot be appended together";
    for (size_t i = 0; i < json_array_size(events) && problem == NULL; i++) {
        const json_t *event = json_array_get(events, i);
        char *text = event_text(event, sequence + i + 1, &problem);

        if (text != NULL)
            bytes +=
                strlen(text) +
                strlen(json_string_value(json_object_get(event, "event_type")));
        free(text);
    }
    if (problem == NULL && bytes > BATCH_BYTES_MAX)
        problem = "events that are appended together have more than 1.9 MiB";
    return problem;
}

static int
append(struct plex_ctx *ctx, const json_t *request, const json_t *events)
{
    const uint64_t before = sequence_now(ctx);
    const char *problem;

    if (!expected(ctx, request))
        return 0;
    problem = batch_problem(events, before);
    if (problem != NULL)
        return bad(ctx, problem);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        char *text = event_text(event, before + i + 1, &problem);
        const int rc = plex_persist(
            ctx, json_string_value(json_object_get(event, "event_type")), text,
            strlen(text));

        free(text);
        if (rc != 0)
            return -1;
    }
    return work_builtin_reply(
        ctx, 200,
        json_pack("{s:I, s:I}", "first_sequence", (json_int_t)(before + 1),
                  "last_sequence", (json_int_t)sequence_now(ctx)));
}

static int
append_one(struct plex_ctx *ctx, const json_t *request, json_t *event)
{
    json_t *events = json_array();
    int rc;

    if (event == NULL)
        event = json_object(); /* which has no type */
    json_array_append(events, event);
    json_decref(event);
    rc = append(ctx, request, events);
    json_decref(events);
    return rc;
}

/* "record.TYPE": what else is in the request is the event's data. */
static int
record(struct plex_ctx *ctx, const json_t *request, const char *type)
{
    json_t *data = json_copy((json_t *)(uintptr_t)request);

    json_object_del(data, "action");
    json_object_del(data, "actor_id");
    return append_one(
        ctx, request,
        json_pack("{s:s, s:o}", "event_type", type, "data", data));
}

/* -- the rest ----------------------------------------------------------------
 */

static int
show(struct plex_ctx *ctx)
{
    size_t len;
    const char *state = plex_state(ctx, &len);

    if (state == NULL || len == 0)
        plex_reply_json(ctx, HEAD "0}");
    else
        plex_reply_status(ctx, 200, "application/json", state, len);
    return 0;
}

static int
snapshot_save(struct plex_ctx *ctx, const json_t *request)
{
    const uint64_t last = sequence_now(ctx);
    const json_t *wanted = json_object_get(request, "sequence");
    const uint64_t sequence =
        number_of(wanted) == 0 ? last : (uint64_t)number_of(wanted);
    json_t *data = json_object_get(request, "data"), *kept;
    char *text;
    int rc;

    if (data == NULL)
        return bad(ctx, "data is missing");
    if (sequence > last)
        return work_builtin_problem(ctx, 409, "SEQUENCE_CONFLICT",
                                    "the stream has no event of that sequence");
    kept = json_pack("{s:I, s:O}", "snapshot_sequence", (json_int_t)sequence,
                     "snapshot", data);
    text = json_dumps(kept, JSON_COMPACT);
    json_decref(kept);
    if (text == NULL || strlen(text) > SNAPSHOT_MAX) {
        free(text);
        return bad(ctx, "the snapshot is larger than 256 KiB");
    }
    rc = plex_persist(ctx, SNAPSHOT, text, strlen(text));
    free(text);
    return rc == 0 ? show(ctx) : -1;
}

int
work_stream_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    int rc;

    if (request == NULL)
        return 0;
    if (strcmp(action, "append_event") == 0)
        rc = append_one(ctx, request, json_incref(request));
    else if (strcmp(action, "append") == 0)
        rc = append_one(ctx, request,
                        json_incref(json_object_get(request, "entry")));
    else if (strcmp(action, "append_batch") == 0)
        rc = append(ctx, request, json_object_get(request, "entries"));
    else if (strcmp(action, "append_events") == 0)
        rc = append(ctx, request, json_object_get(request, "events"));
    else if (strncmp(action, "record.", 7) == 0)
        rc = record(ctx, request, action + 7);
    else if (strcmp(action, "save_snapshot") == 0)
        rc = snapshot_save(ctx, request);
    else if (strcmp(action, "get") == 0)
        rc = show(ctx);
    else
        rc = bad(ctx, "an event stream knows no such action");
    json_decref(request);
    return rc;
}
