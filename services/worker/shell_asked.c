/* Queries of runs that have ended: as long as the journal has its turns, the
 * last run of an actor is gone through once more, to its end, and asked. */
#include "services/worker/shell_past.h"

#include "common/mem.h"
#include "services/worker/client.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_BACK = 10000 /* turns */ };

struct asked {
    struct work_past past; /* first */
    struct work_message query, message;
    struct plex_actor_id actor;
    uint32_t shard;
    uint64_t first, last; /* turns that are looked at */
    uint64_t found;       /* of the log as a whole; 0: not yet */
    uint64_t looked;      /* turns */
    bool has_whole, closed;
    uint32_t schema_version;
    struct plex_bytes whole; /* owned */
    struct plex_bytes *records;
    size_t n;
    struct plex_buf log;
};

static const char no_run[] =
    "no run of this actor is open, and the journal has none that has ended";

static void
asked_end(struct asked *asked)
{
    for (size_t i = 0; i < asked->n; i++)
        free((void *)(uintptr_t)asked->records[i].data);
    free(asked->records);
    free((void *)(uintptr_t)asked->whole.data);
    plex_buf_free(&asked->log);
}

static void
fail(struct asked *asked, enum plex_status status, const char *text)
{
    asked_end(asked);
    work_past_fail(&asked->past, status, text);
}

static void
answered(struct work_past *past, const struct work_outcome *outcome)
{
    plex_call_reply(past->call, outcome->reply);
    asked_end((struct asked *)(void *)past);
    work_past_end(past);
}

static struct plex_bytes
keep(struct plex_bytes from)
{
    uint8_t *copy = plex_reallocarray(NULL, 1, from.len + 1);

    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    return (struct plex_bytes){copy, from.len};
}

/* The run's log is complete. */
static void
run(struct asked *asked)
{
    struct work_past *past = &asked->past;
    struct work_action action = {.run = {.how = WORK_RUN_REPLAY}};
    struct plex_err err;

    asked->log.max = JOURNAL_STATE_MAX;
    if (work_run_fold(asked->whole, asked->records, asked->n, &asked->log,
                      &err) != PLEX_OK ||
        work_run_message((struct plex_bytes){asked->log.data, asked->log.len},
                         &past->arena, &asked->message, &err) != PLEX_OK ||
        work_past_bind(past, &asked->actor, &err) != PLEX_OK) {
        fail(asked, err.status, err.text);
        return;
    }
    past->ran = answered;
    action.run.actor = &asked->actor;
    action.run.message = &asked->message;
    action.run.asked = &asked->query;
    action.run.state = (struct plex_bytes){asked->log.data, asked->log.len};
    action.run.has_state = true;
    action.run.schema_version = asked->schema_version;
    work_past_run(past, &action);
}

static void on_page(void *arg, enum plex_status status, const char *text,
                    const struct journal_past *past);

static void
ask_page(struct asked *asked, uint64_t from)
{
    struct work_state *state = asked->past.state;
    struct journal_client client = work_journal_client(state, asked->shard);
    struct plex_context context = plex_context_none;
    const struct journal_history want = {.actor = asked->actor,
                                         .first_seq = from,
                                         .last_seq = asked->last,
                                         .limit = JOURNAL_HISTORY_MAX,
                                         .with_state = asked->found != 0};

    if (client.url == NULL) {
        fail(asked, PLEX_UNAVAILABLE, "no journal is known");
        return;
    }
    context.deadline = plex_now() + WORK_JOURNAL_MS * UINT64_C(1000000);
    journal_client_history(&client, &context, &want, on_page, asked);
}

/* The newest turn that has the log of a run as a whole. */
static void
look(struct asked *asked, const struct journal_past *past)
{
    uint64_t found = 0;

    for (size_t i = 0; i < past->n; i++) {
        const struct journal_past_turn *turn = &past->turns[i];

        if (asked->first == 0)
            asked->first = turn->seq;
        if (turn->has_state && (turn->schema_version & WORK_SCHEMA_OPEN) != 0)
            found = turn->seq;
    }
    asked->looked += past->n;
    if (found != 0)
        asked->message.tag = found; /* the newest so far */
    if (past->next_seq != 0 &&
        (asked->last == 0 || past->next_seq <= asked->last)) {
        ask_page(asked, past->next_seq);
    } else if (asked->message.tag != 0) {
        asked->found = asked->message.tag;
        asked->last = 0;
        ask_page(asked, asked->found);
    } else if (asked->first > past->oldest_seq && asked->first > 1 &&
               asked->looked < LOOK_BACK) {
        asked->last = asked->first - 1;
        asked->first = asked->last > JOURNAL_HISTORY_MAX
                           ? asked->last - JOURNAL_HISTORY_MAX
                           : 1;
        ask_page(asked, asked->first);
    } else {
        fail(asked, PLEX_CONFLICT, no_run);
    }
}

/* From there on: what was added, until the state is the actor's again. */
static void
collect(struct asked *asked, const struct journal_past *past)
{
    asked->records = plex_reallocarray(asked->records, asked->n + past->n + 1,
                                       sizeof *asked->records);
    for (size_t i = 0; i < past->n && !asked->closed; i++) {
        const struct journal_past_turn *turn = &past->turns[i];

        if (turn->seq == asked->found && turn->has_state) {
            asked->has_whole = true;
            asked->schema_version = turn->schema_version;
            asked->whole = keep(turn->state);
            continue;
        }
        asked->closed = turn->has_state;
        if (turn->rebuilds || asked->closed)
            asked->records[asked->n++] = keep(turn->record);
    }
    if (asked->closed && asked->has_whole)
        run(asked);
    else if (past->next_seq != 0)
        ask_page(asked, past->next_seq);
    else
        fail(asked, PLEX_CONFLICT, no_run);
}

static void
on_page(void *arg, enum plex_status status, const char *text,
        const struct journal_past *past)
{
    struct asked *asked = arg;

    if (status != PLEX_OK)
        fail(asked, status, text);
    else if (asked->found == 0)
        look(asked, past);
    else
        collect(asked, past);
}

/* -- queries that the core has ----------------------------------------------
 */

/* Its request is gone by the time that the core says that no run is open. */
struct work_ask {
    struct work_ask *next;
    struct plex_call *call;
    size_t len;
    uint8_t packed[];
};

void
work_asked_keep(struct work_state *state, struct plex_call *call)
{
    const struct plex_bytes packed = plex_call_payload(call);
    struct work_ask *ask = plex_calloc(1, sizeof *ask + packed.len);

    ask->call = call;
    ask->len = packed.len;
    memcpy(ask->packed, packed.data, packed.len);
    ask->next = state->asks;
    state->asks = ask;
}

static void
begin(struct work_state *state, const struct work_ask *ask)
{
    struct asked *asked =
        (void *)work_past_make(state, ask->call, sizeof *asked);
    struct plex_arena *arena = &asked->past.arena;
    uint8_t *packed = plex_arena_alloc(arena, ask->len + 1);
    struct plex_err err;
    uint64_t epoch;

    if (packed != NULL)
        memcpy(packed, ask->packed, ask->len);
    if (packed == NULL ||
        work_message_unpack((struct plex_bytes){packed, ask->len}, arena,
                            &asked->query, &err) != PLEX_OK) {
        fail(asked, PLEX_CONFLICT, no_run);
        return;
    }
    asked->actor = asked->query.to;
    (void)work_core_owner(state->core, &asked->actor, &asked->shard, &epoch);
    ask_page(asked, 0);
}

bool
work_asked_answers(struct work_state *state, struct plex_call *call,
                   enum plex_status status)
{
    struct work_ask **at = &state->asks, *ask;

    while (*at != NULL && (*at)->call != call)
        at = &(*at)->next;
    ask = *at;
    if (ask == NULL)
        return false;
    *at = ask->next;
    if (status == PLEX_CONFLICT)
        begin(state, ask);
    free(ask);
    return status == PLEX_CONFLICT;
}

void
work_asked_free(struct work_state *state)
{
    struct work_ask *ask;

    while ((ask = state->asks) != NULL) {
        state->asks = ask->next;
        free(ask);
    }
}
