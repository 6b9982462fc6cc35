#include "services/journal/store_pg.h"

#include <stdio.h>
#include <string.h>

/* The first row of a query for a key's columns. PLEX_NOT_FOUND. */
static enum plex_status
row_query(struct pg_store *store, enum pg_statement which,
          struct journal_key_row *row, struct plex_err *err)
{
    struct plex_bytes wrapped;
    PGresult *result;

    if (journal_pg_query(store, which, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) == 0) {
        PQclear(result);
        return plex_err_set(err, PLEX_NOT_FOUND, "there is no such key");
    }
    wrapped = journal_pg_bytes(result, 0, 4);
    row->id = (uint32_t)journal_pg_u64(result, 0, 0);
    (void)snprintf(row->tenant, sizeof row->tenant, "%s",
                   PQgetvalue(result, 0, 1));
    row->born = (uint32_t)journal_pg_u64(result, 0, 2);
    row->master = (uint32_t)journal_pg_u64(result, 0, 3);
    memset(row->wrapped, 0, sizeof row->wrapped);
    if (wrapped.len == sizeof row->wrapped)
        memcpy(row->wrapped, wrapped.data, wrapped.len);
    PQclear(result);
    return PLEX_OK;
}

static enum plex_status
run(struct pg_store *store, enum pg_statement which, struct plex_err *err)
{
    PGresult *result;

    if (journal_pg_query(store, which, &result, err) != PLEX_OK)
        return err->status;
    PQclear(result);
    return PLEX_OK;
}

static enum plex_status
pg_key_get(struct journal_store *base, struct journal_key_row *row,
           struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_u64(store, row->id);
    journal_pg_param_text(store, row->tenant, strlen(row->tenant));
    journal_pg_param_u64(store, row->born);
    return row_query(store, PG_KEY_GET, row, err);
}

static enum plex_status
pg_key_add(struct journal_store *base, const struct journal_key_row *row,
           struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;

    journal_pg_param_text(store, row->tenant, strlen(row->tenant));
    journal_pg_param_u64(store, row->born);
    journal_pg_param_u64(store, row->master);
    journal_pg_param_bytes(
        store, (struct plex_bytes){row->wrapped, sizeof row->wrapped});
    return run(store, PG_KEY_ADD, err);
}

static enum plex_status
pg_key_stale(struct journal_store *base, uint32_t after, uint32_t master,
             struct journal_key_row *row, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_u64(store, after);
    journal_pg_param_u64(store, master);
    return row_query(store, PG_KEY_STALE, row, err);
}

static enum plex_status
pg_key_set(struct journal_store *base, const struct journal_key_row *row,
           struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;

    journal_pg_param_u64(store, row->id);
    journal_pg_param_u64(store, row->master);
    journal_pg_param_bytes(
        store, (struct plex_bytes){row->wrapped, sizeof row->wrapped});
    return run(store, PG_KEY_SET, err);
}

/* Other journals remember keys: the epochs' version tells them to ask again
 * before they seal anything more. */
static enum plex_status
pg_key_drop(struct journal_store *base, const char *tenant, uint64_t *n,
            struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    PGresult *got[3];

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    if (!journal_pg_send(store, PG_LOCK))
        return journal_pg_failed(store, NULL, err);
    journal_pg_param_text(store, tenant, strlen(tenant));
    if (!journal_pg_send(store, PG_KEY_DROP) ||
        !journal_pg_send(store, PG_EPOCH_BUMP))
        return journal_pg_failed(store, NULL, err);
    if (journal_pg_collect(store, got, 3, err) != PLEX_OK)
        return err->status;
    *n = journal_pg_u64(got[1], 0, 0);
    for (int i = 0; i < 3; i++)
        PQclear(got[i]);
    /* What was there must not be left in the table's pages. */
    return run(store, PG_KEY_VACUUM, err);
}

const struct journal_key_ops journal_pg_keys = {
    .get = pg_key_get,
    .add = pg_key_add,
    .stale = pg_key_stale,
    .set = pg_key_set,
    .drop = pg_key_drop,
};
