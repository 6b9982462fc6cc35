/* The events of a stream, out of the turns of the actor that keeps it
 * (services/worker/builtin_stream.c). */
#include "services/gateway/rest_state.h"

#include "common/mem.h"
#include "services/worker/client.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/history/v1/history.pb-c.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, BYTES_MAX = 8 << 20 };

struct stream {
    struct gate_rest *rest;
    struct plex_actor_id actor; /* that keeps it; in the request's arena */
    uint64_t turn, from;        /* where to go on */
    uint32_t limit;
    json_t *events;
    size_t bytes;
};

static void ask(struct stream *stream);

static void
finish(struct stream *stream, uint64_t next_turn)
{
    char token[48];
    json_t *out = json_pack("{s:O}", "events", stream->events);

    if (next_turn != 0) {
        (void)snprintf(token, sizeof token, "%" PRIu64 ".%" PRIu64, next_turn,
                       stream->from);
        json_object_set_new(out, "next_page_token", json_string(token));
    }
    gate_rest_answer(stream->rest, out);
    json_decref(stream->events);
    free(stream);
}

/* False: there is no room for it on this page. */
static bool
event_take(struct stream *stream, const struct journal_past_turn *turn,
           const struct work_event *event)
{
    json_t *kept;
    uint64_t sequence;

    if (event->type[0] == '$')
        return true; /* a snapshot */
    kept = json_loadb((const char *)event->data.data, event->data.len, 0, NULL);
    sequence = (uint64_t)json_integer_value(json_object_get(kept, "sequence"));
    if (kept == NULL || sequence < stream->from) {
        json_decref(kept);
        return true;
    }
    if (json_array_size(stream->events) == stream->limit ||
        (stream->bytes > 0 && stream->bytes + event->data.len > BYTES_MAX)) {
        json_decref(kept);
        return false;
    }
    json_object_set_new(kept, "event_type", json_string(event->type));
    json_object_set_new(kept, "at_ms", json_integer((json_int_t)turn->at_ms));
    json_object_set_new(kept, "turn", json_integer((json_int_t)turn->seq));
    json_array_append_new(stream->events, kept);
    stream->bytes += event->data.len;
    stream->from = sequence + 1;
    return true;
}

/* False: the page is full, and this turn has more. */
static bool
turn_take(struct stream *stream, const struct journal_past_turn *turn,
          struct plex_err *err)
{
    struct plex_arena arena;
    const struct work_event *events = NULL;
    size_t n = 0;
    bool room = true;

    plex_arena_init(&arena, 16 << 20);
    err->status = PLEX_OK;
    if (turn->record.len > 0 &&
        work_record_events(turn->record, &arena, &events, &n, err) == PLEX_OK)
        for (size_t i = 0; i < n && room; i++)
            room = event_take(stream, turn, &events[i]);
    plex_arena_fini(&arena);
    return room;
}

static void
fail(struct stream *stream, enum plex_status status, const char *text)
{
    gate_rest_failed(stream->rest, "journal", status, text, false);
    json_decref(stream->events);
    free(stream);
}

static void
on_page(void *arg, enum plex_status status, const char *text,
        const struct journal_past *past)
{
    struct stream *stream = arg;
    struct plex_err err;

    if (status != PLEX_OK) {
        fail(stream, status, text);
        return;
    }
    for (size_t i = 0; i < past->n; i++) {
        const bool room = turn_take(stream, &past->turns[i], &err);

        if (err.status != PLEX_OK) {
            fail(stream, err.status, err.text);
            return;
        }
        if (!room) {
            finish(stream, past->turns[i].seq);
            return;
        }
    }
    stream->turn = past->next_seq;
    if (past->next_seq == 0)
        finish(stream, 0);
    else
        ask(stream);
}

static void
ask(struct stream *stream)
{
    struct gate_rest *rest = stream->rest;
    struct journal_client journal = {
        rest->gate->host->link,
        reg_client_next_url(rest->gate->registry, "journal")};
    const struct journal_history want = {.actor = stream->actor,
                                         .first_seq = stream->turn,
                                         .limit = JOURNAL_HISTORY_MAX};

    journal_client_history(&journal, &rest->context, &want, on_page, stream);
}

/* The actor beside the one that is named: event-stream/TYPE.KEY. */
static bool
keeper_of(struct gate_rest *rest, const char *actor_id,
          struct plex_actor_id *out)
{
    char key[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_err err;

    if (!gate_rest_actor(rest, actor_id, out))
        return false;
    (void)snprintf(key, sizeof key, "%s.%s", out->type, out->key);
    out->type = "event-stream";
    out->key = plex_arena_strndup(&rest->arena, key, strlen(key));
    if (out->key != NULL && plex_name_key(key, strlen(key), &err) == PLEX_OK)
        return true;
    gate_rest_problem(rest, 400, "INVALID", "gateway", "%s",
                      out->key == NULL ? "the name is too long" : err.text);
    return false;
}

void
gate_rest_stream(struct gate_rest *rest)
{
    const Plexspaces__History__V1__ReplayEventsFromRequest *m =
        (const Plexspaces__History__V1__ReplayEventsFromRequest *)rest->request;
    struct stream *stream,
        want = {.rest = rest,
                .turn = 1,
                .from = m->from_sequence,
                .limit = m->page_size == 0 ? PAGE_DEFAULT : m->page_size};
    int end = 0;

    if (want.limit > PAGE_MAX) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_size is %u, at most %d are allowed", want.limit,
                          PAGE_MAX);
        return;
    }
    if (m->page_token[0] != '\0' &&
        (sscanf(m->page_token, "%" SCNu64 ".%" SCNu64 "%n", &want.turn,
                &want.from, &end) != 2 ||
         m->page_token[end] != '\0' || want.turn == 0)) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_token is not one that was returned");
        return;
    }
    if (!keeper_of(rest, m->actor_id, &want.actor))
        return;
    stream = plex_calloc(1, sizeof *stream);
    *stream = want;
    stream->events = json_array();
    ask(stream);
}
