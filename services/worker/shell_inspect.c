/* An actor that is not in memory: what the journal has of it. */
#include "common/mem.h"
#include "services/worker/run_log.h"
#include "services/worker/shell.h"
#include "services/worker/wire.h"

#include <stdlib.h>
#include <string.h>

static const char no_journal[] = "no journal is known";

struct inspection {
    struct work_state *state;
    struct plex_call *call;
    struct journal_load load;
    char parts[PLEX_ACTOR_NAME_MAX + 1]; /* of load.actor */
    struct work_actor actor;             /* its id is owned */
    struct plex_bytes run; /* owned: the log of an open run, packed */
    struct plex_bytes *records;
    size_t n_records;
};

static struct plex_bytes
keep(struct plex_bytes from)
{
    uint8_t *copy = plex_reallocarray(NULL, 1, from.len + 1);

    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    return (struct plex_bytes){copy, from.len};
}

static void
inspection_free(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->n_records; i++)
        free((void *)(uintptr_t)inspection->records[i].data);
    free(inspection->records);
    free((void *)(uintptr_t)inspection->run.data);
    free((char *)(uintptr_t)inspection->actor.actor_id);
    free(inspection);
}

static void
inspection_end(struct inspection *inspection, enum plex_status status,
               const char *text)
{
    struct plex_buf out = {.max = 64 << 10};
    struct plex_err err;

    if (status == PLEX_OK && inspection->actor.sequence == 0) {
        status = PLEX_NOT_FOUND;
        text = "neither memory nor journal knows the actor";
    }
    if (status == PLEX_OK) {
        status = work_inspect_reply_pack(&inspection->actor, &out, &err);
        text = err.text;
    }
    if (status == PLEX_OK)
        plex_call_reply(inspection->call,
                        (struct plex_bytes){out.data, out.len});
    else
        plex_call_fail(inspection->call, status, text, (struct plex_bytes){0});
    plex_buf_free(&out);
    inspection_free(inspection);
}

/* Its open run in words. */
static void
run_describe(struct inspection *inspection)
{
    struct plex_buf whole = {.max = JOURNAL_STATE_MAX};
    struct work_run_words words;
    struct plex_arena arena;
    enum plex_status status;
    struct work_run run;
    struct plex_err err;

    plex_arena_init(&arena, 2 * JOURNAL_STATE_MAX);
    status = work_run_fold(inspection->run, inspection->records,
                           inspection->n_records, &whole, &err);
    if (status == PLEX_OK)
        status = work_run_unpack((struct plex_bytes){whole.data, whole.len},
                                 &arena, &run, &err);
    if (status == PLEX_OK) {
        work_run_describe(&run, &words);
        inspection->actor.run = words.state;
        inspection->actor.waits_for = words.waits_for;
        inspection->actor.waits_since_ms = words.since_ms;
        inspection->actor.remedy = words.remedy;
    }
    inspection_end(inspection, status, err.text);
    plex_buf_free(&whole);
    plex_arena_fini(&arena);
}

static void
on_inspected(void *arg, enum plex_status status, const char *text,
             const struct journal_loaded *loaded)
{
    struct inspection *inspection = arg;
    struct work_state *state = inspection->state;
    struct journal_client client =
        work_journal_client(state, inspection->load.shard);

    uint64_t next = status == PLEX_OK ? loaded->next_record : 0;

    if (status == PLEX_OK && inspection->load.records_from == 0) {
        inspection->actor.sequence = loaded->last_seq;
        inspection->actor.state_bytes = loaded->state.len;
        if ((loaded->schema_version & WORK_SCHEMA_OPEN) != 0)
            inspection->run = keep(loaded->state);
        if (loaded->state_seq < loaded->last_seq)
            next = loaded->state_seq + 1;
    }
    if (status != PLEX_OK || inspection->run.data == NULL) {
        inspection_end(inspection, status, text);
        return;
    }
    inspection->records = plex_reallocarray(
        inspection->records, inspection->n_records + loaded->n_records + 1,
        sizeof *inspection->records);
    for (size_t i = 0; i < loaded->n_records; i++)
        inspection->records[inspection->n_records++] =
            keep(loaded->records[i].bytes);
    if (next == 0) {
        run_describe(inspection);
        return;
    }
    inspection->load.records_from = next;
    journal_client_load(&client, plex_call_context(inspection->call),
                        &inspection->load, on_inspected, inspection);
}

/* Of one that is not durable there may be the state it was passivated with. */
static bool
persists(const struct reg_actor_type *type)
{
    struct rt_facet_virtual is;
    struct plex_arena arena;
    struct plex_err err;
    bool yes;

    plex_arena_init(&arena, 64 << 10);
    yes = work_virtual_of(type, &arena, &is, &err) == PLEX_OK && is.persist;
    plex_arena_fini(&arena);
    return yes;
}

void
work_inspect_journal(struct work_state *state, struct plex_call *call,
                     const struct plex_actor_id *actor)
{
    struct journal_client client;
    const struct reg_catalog *catalog = reg_client_catalog(state->registry);
    const struct reg_actor_type *type =
        catalog == NULL ? NULL
                        : reg_catalog_type(catalog, actor->tenant, actor->ns,
                                           actor->type, NULL);
    struct journal_load load = {.actor = *actor};
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const char *owner =
        work_core_owner(state->core, actor, &load.shard, &load.epoch);
    struct inspection *inspection;
    struct plex_err err;

    client = work_journal_client(state, load.shard);
    if (owner == NULL || owner[0] != '\0' || client.url == NULL) {
        plex_call_fail(
            call, client.url == NULL ? PLEX_UNAVAILABLE : PLEX_NOT_OWNER,
            client.url == NULL ? no_journal : "another worker owns the actor",
            (struct plex_bytes){0});
        return;
    }
    if (type == NULL || (!type->durable && !persists(type))) {
        plex_call_fail(call, PLEX_NOT_FOUND, "the actor is not in memory",
                       (struct plex_bytes){0});
        return;
    }
    plex_actor_format(actor, name, sizeof name);
    inspection = plex_calloc(1, sizeof *inspection);
    inspection->state = state;
    inspection->call = call;
    inspection->load = load;
    memcpy(inspection->parts, name, sizeof name);
    if (plex_actor_parse(inspection->parts, &inspection->load.actor, &err) !=
        PLEX_OK)
        abort(); /* it was one */
    inspection->actor = (struct work_actor){.actor_id = plex_strdup(name),
                                            .state = WORK_ACTOR_INACTIVE,
                                            .node_id = state->host->base->node,
                                            .shard = load.shard,
                                            .epoch = load.epoch,
                                            .durable = type->durable};
    journal_client_load(&client, plex_call_context(call), &load, on_inspected,
                        inspection);
}
