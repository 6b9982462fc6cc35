/* What the worker asks of the journal. */
#include "common/log.h"
#include "common/mem.h"
#include "services/worker/core_journals.h"
#include "services/worker/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_journal[] = "no journal is known";

/* One call under way. */
struct asking {
    struct work_state *state;
    uint64_t token;
    size_t n; /* entries of an append */
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
            struct plex_bytes next, uint64_t next_due_ms)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    (void)text;
    work_core_pendings(state->core, work_now(), asking->token, status, items, n,
                       next, next_due_ms);
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

static void
on_looked_up(void *arg, enum plex_status status, const char *text,
             const struct journal_result *results, size_t n)
{
    struct asking *asking = arg;
    struct work_state *state = asking->state;

    work_core_looked_up(state->core, work_now(), asking->token, status, text,
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
    case WORK_DO_LOOKUP:
        work_core_looked_up(state->core, t, a->token, PLEX_UNAVAILABLE,
                            no_journal, NULL, 0);
        break;
    default:
        work_core_pendings(state->core, t, a->token, PLEX_UNAVAILABLE, NULL, 0,
                           (struct plex_bytes){0}, 0);
        break;
    }
}

/* -- which one ------------------------------------------------------------- */

/* The journals that share the shards, in order. */
struct work_journals {
    struct journal_calls calls;
    char *nodes[JOURNAL_REPLICAS_MAX];
    char *urls[JOURNAL_REPLICAS_MAX];
    uint32_t n;
};

void
work_journals_start(struct work_state *state)
{
    state->journals = plex_calloc(1, sizeof *state->journals);
    journal_calls_init(&state->journals->calls);
}

static void
journals_clear(struct work_journals *journals)
{
    for (uint32_t i = 0; i < journals->n; i++) {
        free(journals->nodes[i]);
        free(journals->urls[i]);
    }
    journals->n = 0;
}

void
work_journals_free(struct work_state *state)
{
    journals_clear(state->journals);
    free(state->journals);
    state->journals = NULL;
}

static bool
same_journals(const struct work_journals *journals,
              const struct reg_node *const *nodes, size_t n)
{
    if (n != journals->n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(nodes[i]->url, journals->urls[i]) != 0 ||
            strcmp(nodes[i]->node_id, journals->nodes[i]) != 0)
            return false;
    return true;
}

/* What is on its way to one that is no longer there. */
static const char *
moves_to(void *arg, const char *url)
{
    const struct work_journals *journals = arg;

    for (uint32_t i = 0; i < journals->n; i++)
        if (strcmp(journals->urls[i], url) == 0)
            return NULL;
    return journals->urls[0];
}

void
work_journals_catalog(struct work_state *state,
                      const struct reg_catalog *catalog)
{
    struct work_journals *journals = state->journals;
    const struct reg_node *nodes[JOURNAL_REPLICAS_MAX];
    const size_t n =
        reg_catalog_replicas(catalog, "journal", nodes, JOURNAL_REPLICAS_MAX);
    char list[512] = "";

    /* With none there is nobody to move to: the link goes on trying. */
    if (n == 0 || same_journals(journals, nodes, n))
        return;
    if (journals->n > 0 || n > 1) {
        for (size_t i = 0; i < n; i++)
            (void)snprintf(list + strlen(list), sizeof list - strlen(list),
                           "%s%s", i == 0 ? "" : ", ", nodes[i]->node_id);
        plex_log(PLEX_LOG_INFO, "worker.journals",
                 "the journals that share the shards are now: %s", list);
    }
    journals_clear(journals);
    journals->n = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        journals->nodes[i] = plex_strdup(nodes[i]->node_id);
        journals->urls[i] = plex_strdup(nodes[i]->url);
    }
    work_core_journals(state->core, journals->n);
    journal_calls_move(&journals->calls, moves_to, journals);
}

struct journal_client
work_journal_client(const struct work_state *state, uint32_t shard)
{
    const struct work_journals *journals = state->journals;

    /* The core may not have changed over to those of the last catalogue yet. */
    return (struct journal_client){
        state->host->link,
        journals->n == 0
            ? NULL
            : journals->urls[work_core_journal_of(state->core, shard) %
                             journals->n],
        NULL};
}

const char *
work_journal_name(struct work_state *state, uint32_t shard)
{
    const struct work_journals *journals = state->journals;
    char text[PLEX_KEY_MAX + 16] = "a journal, and none is known";
    const char *copy;

    if (journals->n > 0)
        (void)snprintf(
            text, sizeof text, "journal %s",
            journals->nodes[work_core_journal_of(state->core, shard) %
                            journals->n]);
    copy = plex_arena_strndup(&state->arena, text, strlen(text));
    return copy == NULL ? "journal" : copy;
}

/* Of a range, the first: that all are looked at by one costs nothing. */
static uint32_t
shard_of(const struct work_state *state, const struct work_action *a)
{
    uint32_t shard = 0;

    switch (a->kind) {
    case WORK_DO_LOAD:
        return a->load.shard;
    case WORK_DO_APPEND:
        return a->append.entries[0].shard;
    case WORK_DO_LOOKUP:
        (void)work_core_owner(state->core, &a->lookup.asked[0].actor, &shard,
                              NULL);
        return shard;
    case WORK_DO_FENCE:
        return a->fence.ranges[0].first;
    default:
        return a->pendings.first;
    }
}

/* -- asking ---------------------------------------------------------------- */

void
work_journal(struct work_state *state, const struct work_action *a)
{
    struct journal_client client =
        work_journal_client(state, shard_of(state, a));
    struct plex_context context = plex_context_none;
    struct asking *asking;

    if (client.url == NULL) {
        refuse(state, a);
        return;
    }
    client.calls = &state->journals->calls;
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
    case WORK_DO_LOOKUP:
        journal_client_answers(&client, &context, a->lookup.asked, a->lookup.n,
                               on_looked_up, asking);
        break;
    case WORK_DO_FENCE:
        journal_client_fence(&client, &context, a->fence.ranges, a->fence.n,
                             on_fenced, asking);
        break;
    default:
        journal_client_due(
            &client, &context,
            &(struct journal_due){a->pendings.first, a->pendings.last,
                                  a->pendings.until_ms, a->pendings.after,
                                  a->pendings.limit},
            on_pendings, asking);
        break;
    }
}
