/* What the worker asks of the journal. */
#include "common/mem.h"
#include "services/worker/run_log.h"
#include "services/worker/shell.h"
#include "services/worker/wire.h"

#include <stdlib.h>
#include <string.h>

static const char no_journal[] = "no journal is known";

/* One call under way. */
struct asking {
    struct work_state *state;
    uint64_t token;
    size_t n;                /* entries of an append */
    struct plex_call *call;  /* of an inspection */
    struct work_actor actor; /* of an inspection; its id is owned */
};

static struct asking *
asking_make(struct work_state *state, uint64_t token)
{
    struct asking *asking = plex_calloc(1, sizeof *asking);

    asking->state = state;
    asking->token = token;
    return asking;
}

static void
on_loaded(void *arg, enum plex_status status, const char *text,
          const struct journal_loaded *loaded)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    work_core_loaded(state->core, work_now(), asking->token, status, text,
                     loaded);
    free(asking);
    work_pump(state);
}

static void
on_fenced(void *arg, enum plex_status status, const char *text,
          uint64_t newest_epoch)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    (void)text;
    work_core_fenced(state->core, work_now(), asking->token, status,
                     newest_epoch);
    free(asking);
    work_pump(state);
}

static void
on_pendings(void *arg, enum plex_status status, const char *text,
            const struct journal_pending_item *items, size_t n,
            struct plex_bytes next)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    (void)text;
    work_core_pendings(state->core, work_now(), asking->token, status, items, n,
                       next);
    free(asking);
    work_pump(state);
}

static void
on_appended(void *arg, enum plex_status status, const char *text,
            const struct journal_result *results, size_t n)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    if (status == PLEX_OK && n != asking->n) {
        status = PLEX_UNKNOWN;
        text = "the journal answered with another number of results";
    }
    work_core_appended(state->core, work_now(), asking->token, status, text,
                       results, n);
    free(asking);
    work_pump(state);
}

/* Answered at once: the core says UNAVAILABLE or tries again later. */
static void
refuse(struct work_state *state, const struct work_action *a)
{
    const struct work_time t = work_now();

    switch (a->kind) {
    case WORK_DO_LOAD:
        work_core_loaded(state->core, t, a->token, PLEX_UNAVAILABLE, no_journal,
                         NULL);
        break;
    case WORK_DO_APPEND:
        work_core_appended(state->core, t, a->token, PLEX_UNAVAILABLE,
                           no_journal, NULL, 0);
        break;
    case WORK_DO_FENCE:
        work_core_fenced(state->core, t, a->token, PLEX_UNAVAILABLE, 0);
        break;
    default:
        work_core_pendings(state->core, t, a->token, PLEX_UNAVAILABLE, NULL, 0,
                           (struct plex_bytes){0});
        break;
    }
}

static struct journal_client
journal(const struct work_state *state)
{
    return (struct journal_client){state->host->link,
                                   reg_client_url(state->registry, "journal")};
}

void
work_journal(struct work_state *state, const struct work_action *a)
{
    struct journal_client client = journal(state);
    struct plex_context context = plex_context_none;
    struct asking *asking;

    if (client.url == NULL) {
        refuse(state, a);
        return;
    }
    asking = asking_make(state, a->token);
    context.deadline = plex_now() + WORK_JOURNAL_MS * UINT64_C(1000000);
    switch (a->kind) {
    case WORK_DO_LOAD:
        journal_client_load(&client, &context, &a->load, on_loaded, asking);
        break;
    case WORK_DO_APPEND:
        asking->n = a->append.n;
        journal_client_append(&client, &context, a->append.entries, a->append.n,
                              on_appended, asking);
        break;
    case WORK_DO_FENCE:
        journal_client_fence(&client, &context, a->fence.ranges, a->fence.n,
                             on_fenced, asking);
        break;
    default:
        journal_client_pending(&client, &context, a->pendings.first,
                               a->pendings.last, a->pendings.after,
                               a->pendings.limit, on_pendings, asking);
        break;
    }
}

/* -- an actor that is not in memory
 * ---------------------------------------------- */

static void
on_inspected(void *arg, enum plex_status status, const char *text,
             const struct journal_loaded *loaded)
{
    struct asking *asking = arg;
    struct plex_buf out = {.max = 64 << 10};
    struct work_run_words words;
    struct plex_arena arena;
    struct work_run run;
    struct plex_err err;

    plex_arena_init(&arena, 2 * JOURNAL_STATE_MAX);
    if (status == PLEX_OK && (loaded->schema_version & WORK_SCHEMA_OPEN) != 0 &&
        work_run_unpack(loaded->state, &arena, &run, &err) == PLEX_OK) {
        work_run_describe(&run, &words);
        asking->actor.run = words.state;
        asking->actor.waits_for = words.waits_for;
        asking->actor.waits_since_ms = words.since_ms;
        asking->actor.remedy = words.remedy;
    }
    if (status == PLEX_OK && loaded->last_seq == 0) {
        status = PLEX_NOT_FOUND;
        text = "neither memory nor journal knows the actor";
    }
    if (status == PLEX_OK) {
        asking->actor.sequence = loaded->last_seq;
        asking->actor.state_bytes = loaded->state.len;
        status = work_inspect_reply_pack(&asking->actor, &out, &err);
        text = err.text;
    }
    if (status == PLEX_OK)
        plex_call_reply(asking->call, (struct plex_bytes){out.data, out.len});
    else
        plex_call_fail(asking->call, status, text, (struct plex_bytes){0});
    plex_buf_free(&out);
    plex_arena_fini(&arena);
    free((char *)(uintptr_t)asking->actor.actor_id);
    free(asking);
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
    struct journal_client client = journal(state);
    const struct reg_catalog *catalog = reg_client_catalog(state->registry);
    const struct reg_actor_type *type =
        catalog == NULL ? NULL
                        : reg_catalog_type(catalog, actor->tenant, actor->ns,
                                           actor->type, NULL);
    struct journal_load load = {.actor = *actor, .recent_max = 1};
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const char *owner =
        work_core_owner(state->core, actor, &load.shard, &load.epoch);
    struct asking *asking;

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
    asking = asking_make(state, 0);
    asking->call = call;
    asking->actor = (struct work_actor){.actor_id = plex_strdup(name),
                                        .state = WORK_ACTOR_INACTIVE,
                                        .node_id = state->host->base->node,
                                        .shard = load.shard,
                                        .epoch = load.epoch,
                                        .durable = type->durable};
    journal_client_load(&client, plex_call_context(call), &load, on_inspected,
                        asking);
}
