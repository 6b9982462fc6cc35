#include "services/journal/store_pg_work.h"

#include "common/mem.h"

#include <string.h>

enum { HEADS_MAX = 1 << 17 };

/* -- memory of heads ------------------------------------------------------- */

void
journal_pg_heads_forget(struct pg_store *store)
{
    struct pg_head *known, *next;

    HASH_ITER(hh, store->heads, known, next)
    {
        HASH_DEL(store->heads, known);
        free(known);
    }
}

static struct pg_head *
known_find(struct pg_store *store, const struct head *head)
{
    struct pg_head *known;

    HASH_FIND(hh, store->heads, head->name, head->name_len, known);
    return known;
}

static void
known_set(struct pg_store *store, const struct head *head)
{
    struct pg_head *known = known_find(store, head);

    if (known == NULL) {
        if (HASH_COUNT(store->heads) >= HEADS_MAX) {
            known = store->heads;
            HASH_DEL(store->heads, known);
            free(known);
        }
        known = plex_calloc(1, sizeof *known + head->name_len);
        known->name_len = head->name_len;
        memcpy(known->name, head->name, head->name_len);
        HASH_ADD_KEYPTR(hh, store->heads, known->name, known->name_len, known);
    }
    known->id = head->id;
    known->last_seq = head->last_seq;
    known->state_seq = head->state_seq;
    memcpy(known->chain, head->chain, sizeof known->chain);
    known->verified = head->verified;
}

void
journal_pg_head_learn(struct pg_store *store, const struct head *head)
{
    const struct pg_head *known = known_find(store, head);

    if (known == NULL || known->last_seq != head->last_seq)
        known_set(store, head);
}

void
journal_pg_heads_keep(struct work *w)
{
    for (size_t i = 0; i < w->n_heads; i++)
        known_set(w->store, &w->heads[i]);
}

static size_t
heads_recall(struct work *w)
{
    size_t unknown = 0;

    for (size_t i = 0; i < w->n_heads; i++) {
        const struct pg_head *known = known_find(w->store, &w->heads[i]);

        if (known == NULL) {
            unknown++;
            continue;
        }
        w->heads[i].id = known->id;
        w->heads[i].last_seq = known->last_seq;
        w->heads[i].state_seq = known->state_seq;
        memcpy(w->heads[i].chain, known->chain, sizeof known->chain);
        w->heads[i].verified = known->verified;
    }
    return unknown;
}

static enum plex_status
heads_fetched(struct work *w, const PGresult *result, struct plex_err *err)
{
    struct head **asked = journal_work_alloc(w, w->n_heads * sizeof *asked);
    size_t n = 0;

    for (size_t i = 0; i < w->n_heads; i++)
        if (w->heads[i].id == 0)
            asked[n++] = &w->heads[i];
    for (int i = 0; i < PQntuples(result); i++) {
        const size_t at = (size_t)journal_pg_u64(result, i, 0) - 1;

        if (at < n)
            journal_work_head_read(asked[at], result, i);
    }
    for (size_t i = 0; i < n; i++)
        if (asked[i]->id == 0)
            return plex_err_set(err, PLEX_INTERNAL,
                                "Postgres: actor %s has no row",
                                asked[i]->name);
    return PLEX_OK;
}

/* A transaction of its own that does not wait for the disk: the log is written
 * in order, so no turn can survive a crash that its actor does not. */
static enum plex_status
heads_fetch(struct work *w, struct plex_err *err)
{
    struct pg_store *store = w->store;
    PGresult *got[3];

    if (!journal_pg_send(store, PG_SYNC_OFF))
        return journal_pg_failed(store, NULL, err);
    (void)journal_work_param_names(w, true);
    if (!journal_pg_send(store, PG_ACTORS_MAKE))
        return journal_pg_failed(store, NULL, err);
    (void)journal_work_param_names(w, true);
    if (!journal_pg_send(store, PG_ACTORS_GET))
        return journal_pg_failed(store, NULL, err);
    if (journal_pg_collect(store, got, 3, err) != PLEX_OK)
        return err->status;
    (void)heads_fetched(w, got[2], err);
    for (int i = 0; i < 3; i++)
        PQclear(got[i]);
    return err->status;
}

/* -- commit ---------------------------------------------------------------- */

static bool
is_plain(const struct pg_store *store, const struct journal_commit *commit)
{
    if (store->conn == NULL || store->epoch_version == 0 ||
        commit->n_fences > 0 || commit->unsafe_no_fencing)
        return false;
    for (size_t i = 0; i < commit->n_entries; i++)
        if (commit->entries[i]->epoch !=
            journal_epochs_get(&store->epochs, commit->entries[i]->shard))
            return false;
    return true;
}

static bool
all_good(const struct work *w)
{
    for (size_t i = 0; i < w->commit->n_entries; i++)
        if (!w->ok[i])
            return false;
    /* An id that was used twice, and had expired in between. */
    for (const struct mark *m = w->messages; m != NULL; m = m->hh.next)
        if (m->recorded)
            return false;
    return true;
}

static bool
send_append(struct work *w)
{
    struct pg_store *store = w->store;

    journal_pg_param_u64(store, store->epoch_version);
    journal_pg_param_u64(store, store->removals);
    journal_pg_array_u64(store);
    journal_pg_array_u64(store);
    for (size_t i = 0; i < w->n_heads; i++) {
        struct head *head = &w->heads[i];

        if (!head->moved || head->verified == store->removals)
            continue;
        journal_pg_add_u64(store, 1, head->id);
        journal_pg_add_u64(store, 0, head->first_seq);
        head->verified = store->removals;
    }
    (void)journal_work_param_turns(w);
    return journal_pg_send(store, PG_APPEND) && journal_work_send_others(w);
}

static enum plex_status
run(struct work *w, struct plex_err *err)
{
    if (heads_recall(w) > 0 && heads_fetch(w, err) != PLEX_OK)
        return err->status;
    journal_work_decide(w);
    if (!all_good(w))
        return PLEX_CONFLICT;
    return send_append(w) ? journal_pg_collect_commit(w->store, err)
                          : journal_pg_failed(w->store, NULL, err);
}

enum plex_status
journal_pg_commit_fast(struct pg_store *store, struct journal_commit *commit,
                       struct plex_err *err)
{
    struct work w;
    enum plex_status status;

    if (!is_plain(store, commit))
        return PLEX_CONFLICT;
    journal_work_init(&w, store, commit);
    status = run(&w, err);
    if (status == PLEX_OK)
        journal_pg_heads_keep(&w);
    journal_work_fini(&w);
    return status;
}
