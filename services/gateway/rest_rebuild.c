/* States of event-sourced actors at some turn: the journal has the events, and
 * a worker runs the actor's code over them, page by page, beside the actor. */
#include "services/gateway/rest_fold.h"

#include "common/mem.h"
#include "services/worker/client.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 100000 };

struct rebuilding {
    struct gate_rest *rest;
    struct plex_actor_id actor; /* in the request's arena */
    gate_rest_was_fn done;
    struct journal_was was;
    uint8_t *state; /* was.state */
    struct journal_record *records;
    size_t n, turns;
    uint64_t next; /* page; 0: it was the last */
};

static void ask(struct rebuilding *r);

static void
records_free(struct rebuilding *r)
{
    for (size_t i = 0; i < r->n; i++)
        free((void *)(uintptr_t)r->records[i].bytes.data);
    free(r->records);
    r->records = NULL;
    r->n = 0;
}

static void
finish(struct rebuilding *r, enum plex_status status, const char *text)
{
    if (status == PLEX_OK && r->turns > 0)
        r->was.state_seq = r->was.seq;
    r->done(r->rest, status, text, &r->was);
    records_free(r);
    free(r->state);
    free(r);
}

static void
state_set(struct rebuilding *r, struct plex_bytes state)
{
    uint8_t *copy = plex_reallocarray(NULL, 1, state.len + 1);

    if (state.len > 0)
        memcpy(copy, state.data, state.len);
    free(r->state);
    r->state = copy;
    r->was.state = (struct plex_bytes){copy, state.len};
}

static void
on_rebuilt(void *arg, enum plex_status status, const char *text,
           const struct work_rebuilt *rebuilt)
{
    struct rebuilding *r = arg;

    if (status != PLEX_OK) {
        finish(r, status, text);
        return;
    }
    r->was.has_state = rebuilt->has_state;
    r->was.schema_version = rebuilt->schema_version;
    state_set(r, rebuilt->state);
    if (r->next != 0)
        ask(r);
    else
        finish(r, PLEX_OK, "");
}

/* Who runs its code. NULL: nobody. */
static const char *
worker_of(const struct gate_rest *rest, const struct plex_actor_id *actor)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const struct place_worker *owner =
        table == NULL
            ? NULL
            : place_table_owner(table, plex_shard_of(plex_actor_hash(actor),
                                                     table->shard_bits));

    return owner == NULL ? NULL : owner->url;
}

static void
run(struct rebuilding *r)
{
    struct gate_rest *rest = r->rest;
    const struct work_rebuild of = {.actor = r->actor,
                                    .has_state = r->was.has_state,
                                    .state = r->was.state,
                                    .schema_version = r->was.schema_version,
                                    .records = r->records,
                                    .n_records = r->n};
    const char *url = worker_of(rest, &r->actor);

    if (url == NULL)
        finish(r, PLEX_UNAVAILABLE,
               "no worker owns this actor's shard at the moment");
    else
        work_client_rebuild(rest->gate->host->link, url, &rest->context, &of,
                            on_rebuilt, r);
}

static void
on_page(void *arg, enum plex_status status, const char *text,
        const struct journal_past *past)
{
    struct rebuilding *r = arg;

    if (status != PLEX_OK) {
        finish(r, status, text);
        return;
    }
    records_free(r);
    r->records = plex_calloc(past->n + 1, sizeof *r->records);
    for (size_t i = 0; i < past->n; i++) {
        const struct journal_past_turn *turn = &past->turns[i];
        uint8_t *copy;

        if (!turn->rebuilds)
            continue;
        copy = plex_reallocarray(NULL, 1, turn->record.len + 1);
        if (turn->record.len > 0)
            memcpy(copy, turn->record.data, turn->record.len);
        r->records[r->n++] = (struct journal_record){turn->seq,
                                                     turn->at_ms,
                                                     turn->schema_version,
                                                     {copy, turn->record.len}};
    }
    r->next = past->next_seq;
    r->turns += r->n;
    if (r->turns > TURNS_MAX)
        finish(r, PLEX_TOO_LARGE,
               "the state is made of more than 100000 turns since the last "
               "snapshot; plexspaces actor at --module makes it elsewhere");
    else if (r->n > 0)
        run(r);
    else if (r->next != 0)
        ask(r);
    else
        finish(r, PLEX_OK, "");
}

static void
ask(struct rebuilding *r)
{
    struct gate_rest *rest = r->rest;
    struct journal_client journal = {
        rest->gate->host->link,
        reg_client_next_url(rest->gate->registry, "journal")};
    const struct journal_history want = {.actor = r->actor,
                                         .first_seq = r->next,
                                         .last_seq = r->was.seq,
                                         .limit = JOURNAL_HISTORY_MAX};

    journal_client_history(&journal, &rest->context, &want, on_page, r);
}

void
gate_rest_rebuild(struct gate_rest *rest, const struct plex_actor_id *actor,
                  const struct journal_was *was, gate_rest_was_fn done)
{
    struct rebuilding *r;

    if (was->state_seq >= was->seq) {
        done(rest, PLEX_OK, "", was);
        return;
    }
    r = plex_calloc(1, sizeof *r);
    r->rest = rest;
    r->actor = *actor;
    r->done = done;
    r->was = *was;
    r->next = was->state_seq + 1;
    state_set(r, was->state);
    ask(r);
}
