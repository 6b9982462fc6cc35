#include "services/journal/store_pg.h"

#include <string.h>

enum { RETAIN_ROUND_MS = 3600000 };

/* The parameters of RETAIN_SEEN. */
static void
params_seen(struct pg_store *store, uint64_t wall_ms, uint32_t limit)
{
    journal_pg_param_u64(store, wall_ms);
    journal_pg_param_u64(store, store->retain_after.ms);
    journal_pg_param_u64(store, store->retain_after.actor);
    journal_pg_param_u64(store, store->retain_after.seq);
    journal_pg_param_u64(store, limit);
}

/* Columns of PG_RETAIN_HOLDS. The checksum of a snapshot's row is another one
 * than the turn's. */
static void
params_carry(struct pg_store *store, const PGresult *holds)
{
    for (int i = 0; i < 3; i++)
        journal_pg_array_u64(store);
    for (int i = 0; i < PQntuples(holds); i++) {
        const struct journal_row row = {
            .seq = journal_pg_u64(holds, i, 1),
            .has_state = 1,
            .schema_version = (uint32_t)journal_pg_u64(holds, i, 2),
            .state_hash = journal_pg_u64(holds, i, 3),
            .flags =
                journal_pg_u64(holds, i, 4) & ~(uint64_t)JOURNAL_FLAG_REBUILDS,
        };

        journal_pg_add_u64(store, 2, journal_pg_u64(holds, i, 0));
        journal_pg_add_u64(store, 1, row.seq);
        journal_pg_add_u64(
            store, 0,
            journal_row_checksum(&row, PQgetvalue(holds, i, 5),
                                 (size_t)PQgetlength(holds, i, 5)));
    }
}

/* What holds an actor's newest state and is to go leaves it in a snapshot. */
static enum plex_status
states_carry(struct pg_store *store, uint64_t wall_ms, uint32_t limit,
             struct plex_err *err)
{
    PGresult *holds, *result;

    params_seen(store, wall_ms, limit);
    if (journal_pg_query(store, PG_RETAIN_HOLDS, &holds, err) != PLEX_OK)
        return err->status;
    if (PQntuples(holds) > 0) {
        params_carry(store, holds);
        if (journal_pg_query(store, PG_RETAIN_CARRY, &result, err) == PLEX_OK)
            PQclear(result);
    }
    PQclear(holds);
    return err->status;
}

static enum plex_status
retain_next(struct pg_store *store, uint64_t wall_ms,
            struct journal_retained *out, struct plex_err *err)
{
    PGresult *result;

    journal_pg_param_u64(store, wall_ms);
    if (journal_pg_query(store, PG_RETAIN_NEXT, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0)
        out->next_ms = journal_pg_u64(result, 0, 0);
    PQclear(result);
    return PLEX_OK;
}

enum plex_status
journal_pg_retain(struct journal_store *base, uint64_t wall_ms, uint32_t limit,
                  struct journal_retained *out, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    PGresult *got[2], *result;
    uint64_t seen;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    /* Turns that were an actor's newest are looked at again once an hour. */
    if (wall_ms - store->retain_began_ms > RETAIN_ROUND_MS) {
        store->retain_began_ms = wall_ms;
        store->retain_after = (struct pg_expiry){0};
    }
    if (states_carry(store, wall_ms, limit, err) != PLEX_OK)
        return err->status;
    /* Appends trust that turns do not disappear under them. */
    if (!journal_pg_send(store, PG_LOCK))
        return journal_pg_failed(store, NULL, err);
    params_seen(store, wall_ms, limit);
    if (!journal_pg_send(store, PG_RETAIN))
        return journal_pg_failed(store, NULL, err);
    if (journal_pg_collect(store, got, 2, err) != PLEX_OK)
        return err->status;
    PQclear(got[0]);
    result = got[1];
    seen = journal_pg_u64(result, 0, 0);
    out->removed = journal_pg_u64(result, 0, 1);
    if (seen > 0)
        store->retain_after = (struct pg_expiry){journal_pg_u64(result, 0, 2),
                                                 journal_pg_u64(result, 0, 3),
                                                 journal_pg_u64(result, 0, 4)};
    if (out->removed > 0)
        store->removals = journal_pg_u64(result, 0, 5);
    PQclear(result);
    out->more = seen == limit;
    return out->more ? PLEX_OK : retain_next(store, wall_ms, out, err);
}
