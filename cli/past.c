/* Turns and states as the gateway and exported files have them, for people. */
#include "cli/past.h"

#include "cli/rest.h"
#include "common/context.h"
#include "common/json_pb.h"
#include "common/utf8.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VIEW_ARENA = 64 << 20, CALL_ID_BYTES = 16, KEY_ID_BYTES_MIN = 19 };

enum plex_status
past_actor(const char *text, char full[PLEX_ACTOR_NAME_MAX + 1],
           struct plex_err *err)
{
    char parsed[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_actor_id id;
    unsigned slashes = 0;
    int len;

    for (const char *c = text; *c != '\0'; c++)
        slashes += *c == '/';
    if (slashes < 1 || slashes > 3)
        return plex_err_set(err, PLEX_INVALID,
                            "actor %.80s is not of the form "
                            "[[TENANT/]NAMESPACE/]TYPE/KEY",
                            text);
    len = snprintf(full, PLEX_ACTOR_NAME_MAX + 1, "%s%s",
                   slashes == 1   ? "default/default/"
                   : slashes == 2 ? "default/"
                                  : "",
                   text);
    if (len < 0 || len > PLEX_ACTOR_NAME_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "actor %.80s... is longer than %d bytes", text,
                            PLEX_ACTOR_NAME_MAX);
    memcpy(parsed, full, (size_t)len + 1);
    if (plex_actor_parse(parsed, &id, err) != PLEX_OK)
        return err->status;
    return plex_name_actor(&id, err);
}

/* -- from the gateway -------------------------------------------------------
 */

uint64_t
past_u64(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);

    if (json_is_string(value))
        return strtoull(json_string_value(value), NULL, 10);
    return (uint64_t)json_integer_value(value);
}

enum plex_status
past_bytes(const json_t *object, const char *field, struct plex_arena *arena,
           struct plex_bytes *out, struct plex_err *err)
{
    const json_t *value = json_object_get(object, field);
    const struct plex_bytes text = {(const uint8_t *)json_string_value(value),
                                    json_string_length(value)};

    *out = (struct plex_bytes){0};
    if (text.len == 0)
        return PLEX_OK;
    if (plex_json_unbase64(text, arena, out, err) != PLEX_OK)
        return plex_err_wrap(err, "the gateway's field %s", field);
    return PLEX_OK;
}

enum plex_status
past_turn(const json_t *object, struct plex_arena *arena,
          struct journal_past_turn *out, struct plex_err *err)
{
    *out = (struct journal_past_turn){
        .seq = past_u64(object, "sequence"),
        .at_ms = past_u64(object, "atMs"),
        .expires_ms = past_u64(object, "expiresMs"),
        .request_hash = past_u64(object, "requestHash"),
        .has_state = json_is_true(json_object_get(object, "hasState")),
        .rebuilds = json_is_true(json_object_get(object, "rebuilds")),
        .schema_version = (uint32_t)past_u64(object, "schemaVersion"),
    };
    if (past_bytes(object, "messageId", arena, &out->message_id, err) !=
            PLEX_OK ||
        past_bytes(object, "reply", arena, &out->reply, err) != PLEX_OK ||
        past_bytes(object, "record", arena, &out->record, err) != PLEX_OK ||
        past_bytes(object, "state", arena, &out->state, err) != PLEX_OK ||
        past_bytes(object, "chain", arena, &out->chain, err) != PLEX_OK)
        return err->status;
    return PLEX_OK;
}

enum plex_status
past_at(const struct cli *cli, const char *actor, const struct past_of *when,
        struct plex_arena *arena, struct journal_was *was, struct plex_err *err)
{
    struct rest_path path = {0};
    enum plex_status status;
    char number[24];
    json_t *reply;

    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor);
    rest_path_add(&path, "/at");
    (void)snprintf(number, sizeof number, "%" PRIu64, when->sequence);
    rest_path_param(&path, "sequence", when->sequence == 0 ? "" : number);
    (void)snprintf(number, sizeof number, "%" PRIu64, when->time_ms);
    rest_path_param(&path, "time_ms", when->time_ms == 0 ? "" : number);
    rest_path_param(&path, "stored", when->stored ? "true" : "");
    if (rest_get(cli, path.text, &reply, err) != PLEX_OK)
        return err->status;
    *was = (struct journal_was){
        .seq = past_u64(reply, "sequence"),
        .newest_seq = past_u64(reply, "newestSequence"),
        .has_state = json_is_true(json_object_get(reply, "hasState")),
        .schema_version = (uint32_t)past_u64(reply, "schemaVersion"),
        .state_seq = past_u64(reply, "stateSequence"),
    };
    status = past_bytes(reply, "state", arena, &was->state, err);
    json_decref(reply);
    return status;
}

/* -- for people --------------------------------------------------------------
 */

/* Well-formed, and without control characters but those of lines. */
static bool
is_text(struct plex_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((bytes.data[i] < ' ' && strchr("\t\n\r", bytes.data[i]) == NULL) ||
            bytes.data[i] == 0 || bytes.data[i] == 0x7f)
            return false;
    return plex_utf8_valid(bytes.data, bytes.len);
}

json_t *
past_view_bytes(struct plex_bytes bytes)
{
    json_t *json;

    if (bytes.len == 0)
        return json_string("");
    json =
        json_loadb((const char *)bytes.data, bytes.len, JSON_DECODE_ANY, NULL);
    if (json != NULL)
        return json;
    if (is_text(bytes))
        return json_stringn((const char *)bytes.data, bytes.len);
    return json_pack("{s:o}", "base64", plex_json_base64(bytes));
}

json_t *
past_view_time(uint64_t ms)
{
    const time_t seconds = (time_t)(ms / 1000);
    char day[64] = "", text[80];
    struct tm utc;

    if (ms == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return json_null();
    (void)snprintf(text, sizeof text, "%s.%03uZ", day, (unsigned)(ms % 1000));
    return json_string(text);
}

static json_t *
step_view(const struct work_step *step, size_t index)
{
    static const char *const kinds[] = {"unknown", "effect",  "call",
                                        "sleep",   "promise", "signal",
                                        "version", "update",  "answer"};
    const bool known =
        step->kind > 0 && (size_t)step->kind < sizeof kinds / sizeof kinds[0];
    json_t *view = json_pack("{s:I, s:s, s:s, s:b}", "step", (json_int_t)index,
                             "kind", kinds[known ? step->kind : 0], "name",
                             step->name, "done", step->done);

    if (view == NULL) /* a name that is not UTF-8 */
        view = json_pack("{s:I, s:b}", "step", (json_int_t)index, "done",
                         step->done);
    if (step->done) {
        json_object_set_new(view, "status",
                            json_string(plex_status_name(step->status)));
        json_object_set_new(view, "result", past_view_bytes(step->result));
        json_object_set_new(view, "time", past_view_time(step->at_ms));
    } else if (step->due_ms != 0) {
        json_object_set_new(view, "due", past_view_time(step->due_ms));
    }
    return view;
}

static json_t *
run_view(const struct work_run *run, uint32_t schema_version,
         struct plex_arena *arena)
{
    json_t *view = json_object(), *steps = json_array();
    struct work_message message;
    struct plex_err err;

    json_object_set_new(view, "started", past_view_time(run->started_ms));
    if (work_message_unpack(run->message, arena, &message, &err) == PLEX_OK)
        json_object_set_new(view, "message", past_view_bytes(message.payload));
    if (run->parked[0] != '\0')
        json_object_set_new(view, "parked", json_string(run->parked));
    if (run->cancelled != 0)
        json_object_set_new(view, "cancelled", json_true());
    json_object_set_new(view, "state",
                        past_view_state(run->has_state, run->state,
                                        schema_version & WORK_SCHEMA_MASK));
    for (size_t i = 0; i < run->n_steps; i++)
        json_array_append_new(steps, step_view(&run->steps[i], i));
    json_object_set_new(view, "steps", steps);
    return json_pack("{s:o}", "run", view);
}

json_t *
past_view_state(bool has_state, struct plex_bytes state,
                uint32_t schema_version)
{
    struct plex_arena arena;
    struct work_run run;
    struct plex_err err;
    json_t *view = NULL;

    if (!has_state)
        return json_null();
    if ((schema_version & WORK_SCHEMA_OPEN) == 0)
        return (schema_version & WORK_SCHEMA_NONE) != 0
                   ? json_null()
                   : past_view_bytes(state);
    plex_arena_init(&arena, VIEW_ARENA);
    if (work_run_unpack(state, &arena, &run, &err) == PLEX_OK)
        view = run_view(&run, schema_version, &arena);
    plex_arena_fini(&arena);
    return view != NULL ? view : past_view_bytes(state);
}

/* What HTTP calls it: docs/http.md, X-Message-Id. */
static json_t *
message_view(struct plex_bytes id)
{
    char text[27];
    json_t *base64, *view;
    char *key;
    size_t n;

    if (id.len == 0)
        return json_null();
    if (id.len == CALL_ID_BYTES) {
        plex_id_format(id.data, text);
        return json_string(text);
    }
    if (id.data[0] != 'k' || id.len < KEY_ID_BYTES_MIN)
        return past_view_bytes(id);
    base64 = plex_json_base64((struct plex_bytes){id.data + 1, id.len - 1});
    view = json_sprintf("k-%s", json_string_value(base64));
    json_decref(base64);
    key = view == NULL ? NULL : strdup(json_string_value(view));
    json_decref(view);
    if (key == NULL)
        return json_null();
    n = strcspn(key, "=");
    for (size_t i = 2; i < n; i++)
        key[i] = (char)(key[i] == '+' ? '-' : key[i] == '/' ? '_' : key[i]);
    view = json_stringn(key, n);
    free(key);
    return view;
}

static json_t *
reply_view(struct plex_bytes packed)
{
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;
    json_t *view;

    if (packed.len == 0)
        return json_null();
    plex_arena_init(&arena, VIEW_ARENA);
    if (work_reply_unpack(packed, &arena, &reply, &err) != PLEX_OK)
        view = past_view_bytes(packed);
    else if (reply.failed)
        view =
            json_pack("{s:o}", "failed",
                      past_view_bytes((struct plex_bytes){
                          (const uint8_t *)reply.error, strlen(reply.error)}));
    else if (reply.payload.len == 0)
        view = json_null();
    else
        view = past_view_bytes(reply.payload);
    plex_arena_fini(&arena);
    return view;
}

json_t *
past_view_turn(const struct journal_past_turn *turn)
{
    json_t *view = json_object(), *events;

    json_object_set_new(view, "sequence", json_integer((json_int_t)turn->seq));
    json_object_set_new(view, "time", past_view_time(turn->at_ms));
    json_object_set_new(view, "message", message_view(turn->message_id));
    past_view_record(turn->record, view);
    json_object_set_new(view, "reply", reply_view(turn->reply));
    if (turn->has_state)
        json_object_set_new(
            view, "state",
            past_view_state(true, turn->state, turn->schema_version));
    events = past_view_events(turn->record);
    if (events != NULL)
        json_object_set_new(view, "events", events);
    return view;
}
