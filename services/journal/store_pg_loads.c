/* Several actors are loaded in two round trips: first their heads, then, of
 * those that were ever seen, states and recorded answers. What is not as it
 * mostly is (large, not whole, moved meanwhile) is loaded by itself after. */
#include "services/journal/store_pg_load.h"

#include "common/mem.h"

struct one {
    struct pg_loading loading;
    struct journal_loading *asked;
    bool alone; /* to be loaded by itself */
};

struct many {
    struct pg_store *store;
    uint64_t wall_ms;
    struct one *ones;
    size_t n;
    struct one **seen; /* that have a row */
    size_t n_seen;
};

/* -- heads ----------------------------------------------------------------- */

static enum plex_status
heads_send(struct many *m, struct plex_err *err)
{
    if (!journal_pg_send(m->store, PG_EPOCH_VERSION))
        return journal_pg_failed(m->store, NULL, err);
    journal_pg_array_text(m->store);
    for (size_t i = 0; i < m->n; i++) {
        const struct pg_loading *l = &m->ones[i].loading;

        journal_pg_add_bytes(
            m->store, 0,
            (struct plex_bytes){(const uint8_t *)l->name, l->head.name_len});
    }
    return journal_pg_send(m->store, PG_ACTORS_GET)
               ? PLEX_OK
               : journal_pg_failed(m->store, NULL, err);
}

static void
heads_take(struct many *m, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        const size_t at = (size_t)journal_pg_u64(result, i, 0) - 1;
        struct one *one;

        if (at >= m->n)
            continue;
        one = &m->ones[at];
        if (journal_pg_loading_fenced(&one->loading, &one->asked->newest_epoch,
                                      &one->asked->err) != PLEX_OK)
            continue;
        journal_pg_loading_head(&one->loading, result, i);
        m->seen[m->n_seen++] = one;
    }
}

static enum plex_status
heads_get(struct many *m, struct plex_err *err)
{
    PGresult *got[2];

    if (heads_send(m, err) != PLEX_OK ||
        journal_pg_collect(m->store, got, 2, err) != PLEX_OK)
        return err->status;
    if (journal_pg_epochs_refresh(m->store, journal_pg_u64(got[0], 0, 0),
                                  err) == PLEX_OK)
        heads_take(m, got[1]);
    PQclear(got[0]);
    PQclear(got[1]);
    return err->status;
}

/* -- states and answers ---------------------------------------------------- */

static void
param_seen(struct many *m, bool seqs)
{
    journal_pg_array_u64(m->store);
    for (size_t i = 0; i < m->n_seen; i++)
        journal_pg_add_u64(m->store, 0, m->seen[i]->loading.head.id);
    if (!seqs)
        return;
    journal_pg_array_u64(m->store);
    for (size_t i = 0; i < m->n_seen; i++)
        journal_pg_add_u64(m->store, 0, m->seen[i]->loading.head.state_seq);
}

static enum plex_status
rest_send(struct many *m, struct plex_err *err)
{
    uint32_t recent_max = 0;

    for (size_t i = 0; i < m->n_seen; i++)
        if (m->seen[i]->loading.load->recent_max > recent_max)
            recent_max = m->seen[i]->loading.load->recent_max;
    param_seen(m, true);
    if (!journal_pg_send(m->store, PG_SNAPSHOTS_GET))
        return journal_pg_failed(m->store, NULL, err);
    param_seen(m, true);
    if (!journal_pg_send(m->store, PG_TURN_STATES))
        return journal_pg_failed(m->store, NULL, err);
    param_seen(m, false);
    journal_pg_param_u64(m->store, m->wall_ms);
    journal_pg_param_u64(m->store, recent_max);
    return journal_pg_send(m->store, PG_TURNS_RECENTS)
               ? PLEX_OK
               : journal_pg_failed(m->store, NULL, err);
}

/* Whose row it is; NULL: nobody's that still matters. */
static struct one *
row_of(const struct many *m, const PGresult *result, int i, int column)
{
    const size_t at = (size_t)journal_pg_u64(result, i, column) - 1;
    struct one *one = at < m->n_seen ? m->seen[at] : NULL;

    return one == NULL || one->alone || one->asked->err.status != PLEX_OK ? NULL
                                                                          : one;
}

static void
snapshots_take(struct many *m, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        struct one *one = row_of(m, result, i, 6);

        if (one == NULL)
            continue;
        if (PQgetisnull(result, i, 4))
            one->alone = true;
        else
            (void)journal_pg_loading_snapshot(&one->loading, result, i,
                                              &one->asked->err);
    }
}

static void
states_take(struct many *m, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        struct one *one = row_of(m, result, i, 13);

        if (one == NULL)
            continue;
        if (PQgetisnull(result, i, 9) || PQgetisnull(result, i, 12))
            one->alone = true;
        else
            (void)journal_pg_loading_turn(&one->loading, result, i,
                                          &one->asked->err);
    }
}

static void
recents_take(struct many *m, const PGresult *result)
{
    const int n = PQntuples(result);

    for (int from = 0, to; from < n; from = to) {
        struct one *one = row_of(m, result, from, 12);
        bool large = false;

        for (to = from; to < n && journal_pg_u64(result, to, 12) ==
                                      journal_pg_u64(result, from, 12);
             to++)
            large = large || PQgetisnull(result, to, 9);
        if (one == NULL)
            continue;
        if (large)
            one->alone = true;
        else
            (void)journal_pg_loading_recent(&one->loading, result, from, to,
                                            &one->asked->err);
    }
}

static enum plex_status
rest_get(struct many *m, struct plex_err *err)
{
    PGresult *got[3];

    if (m->n_seen == 0)
        return PLEX_OK;
    if (rest_send(m, err) != PLEX_OK ||
        journal_pg_collect(m->store, got, 3, err) != PLEX_OK)
        return err->status;
    snapshots_take(m, got[0]);
    states_take(m, got[1]);
    recents_take(m, got[2]);
    for (int i = 0; i < 3; i++)
        PQclear(got[i]);
    for (size_t i = 0; i < m->n_seen; i++) {
        struct one *one = m->seen[i];

        /* Not whole, or moved since the head was read. */
        if (!one->asked->out.has_state && one->loading.head.state_seq != 0)
            one->alone = true;
    }
    return PLEX_OK;
}

/* -- the whole ------------------------------------------------------------- */

static bool
is_plain(const struct journal_loading *asked)
{
    return asked->err.status == PLEX_OK && asked->load->records_from == 0 &&
           asked->load->recent_max <= PG_LOADS_RECENT_MAX;
}

static void
load_alone(struct many *m, struct journal_loading *asked)
{
    asked->out = (struct journal_loaded){0};
    asked->newest_epoch = 0;
    asked->err.status = PLEX_OK;
    asked->err.status =
        journal_pg_load(&m->store->base, asked->load, m->wall_ms, asked->arena,
                        &asked->out, &asked->newest_epoch, &asked->err);
}

static void
load_together(struct many *m)
{
    struct plex_err err = {0};

    if (journal_pg_connect(m->store, &err) == PLEX_OK &&
        heads_get(m, &err) == PLEX_OK && rest_get(m, &err) == PLEX_OK)
        return;
    for (size_t i = 0; i < m->n; i++)
        if (m->ones[i].asked->err.status == PLEX_OK)
            m->ones[i].asked->err = err;
}

void
journal_pg_loads(struct journal_store *base, struct journal_loading *loadings,
                 size_t n, uint64_t wall_ms)
{
    struct many m = {.store = (struct pg_store *)base,
                     .wall_ms = wall_ms,
                     .ones = plex_calloc(n, sizeof *m.ones),
                     .seen = plex_calloc(n, sizeof *m.seen)};

    for (size_t i = 0; n > 1 && i < n; i++) {
        struct one *one = &m.ones[m.n];

        if (!is_plain(&loadings[i]))
            continue;
        one->asked = &loadings[i];
        journal_pg_loading_init(&one->loading, m.store, loadings[i].load,
                                loadings[i].arena, &loadings[i].out);
        m.n++;
    }
    if (m.n > 0)
        load_together(&m);
    for (size_t i = 0, k = 0; i < n; i++) {
        if (k < m.n && m.ones[k].asked == &loadings[i]) {
            if (m.ones[k++].alone)
                load_alone(&m, &loadings[i]);
        } else if (loadings[i].err.status == PLEX_OK) {
            load_alone(&m, &loadings[i]);
        }
    }
    free(m.ones);
    free(m.seen);
}
