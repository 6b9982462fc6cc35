/* What the worker asks of the journal. */
#include "common/mem.h"
#include "services/worker/shell.h"

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

struct journal_client
work_journal_client(const struct work_state *state)
{
    return (struct journal_client){state->host->link,
                                   reg_client_url(state->registry, "journal")};
}

void
work_journal(struct work_state *state, const struct work_action *a)
{
    struct journal_client client = work_journal_client(state);
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
