#include "services/registry/rows_backend.h"

#include "common/dsn.h"

#include <assert.h>
#include <string.h>

static const struct reg_rows_ops *const backends[] = {
    &reg_rows_mem,
    &reg_rows_sqlite,
    &reg_rows_pg,
    &reg_rows_redis,
};

static const struct reg_rows_ops *
backend_find(const char *dsn, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (plex_dsn_rest(dsn, backends[i]->scheme) != NULL)
            return backends[i];
    (void)plex_dsn_unknown(
        dsn, "mem:, sqlite:PATH, postgres://... or redis://HOST:PORT", err);
    return NULL;
}

enum plex_status
reg_rows_check(const char *dsn, struct plex_err *err)
{
    return backend_find(dsn, err) == NULL ? err->status : PLEX_OK;
}

const char *
reg_rows_backend(const struct reg_rows *rows)
{
    return rows->ops->scheme;
}

enum plex_status
reg_rows_open(struct reg_rows **out, const char *dsn, const char *area,
              struct plex_err *err)
{
    const struct reg_rows_ops *ops = backend_find(dsn, err);

    assert(area[0] != '\0' && strlen(area) <= REG_ROWS_AREA_MAX);
    return ops == NULL ? err->status : ops->open(out, dsn, area, err);
}

void
reg_rows_close(struct reg_rows *rows)
{
    if (rows == NULL)
        return;
    reg_rows_rollback(rows);
    rows->ops->close(rows);
}

enum plex_status
reg_rows_load(struct reg_rows *rows, reg_row_fn each, void *arg,
              struct plex_err *err)
{
    return rows->ops->load(rows, each, arg, err);
}

enum plex_status
reg_rows_apply(struct reg_rows *rows, const struct reg_row *row,
               struct plex_err *err)
{
    assert(strlen(row->name) <= REG_ROW_NAME_MAX &&
           strchr(row->tenant, '/') == NULL && strchr(row->ns, '/') == NULL);
    if (row->body.len > REG_ROW_BODY_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "row \"%.64s\" has %zu bytes, at most %d",
                            row->name, row->body.len, REG_ROW_BODY_MAX);
    if (!rows->begun && rows->ops->begin(rows, err) != PLEX_OK)
        return err->status;
    rows->begun = true;
    return rows->ops->apply(rows, row, err);
}

enum plex_status
reg_rows_commit(struct reg_rows *rows, struct plex_err *err)
{
    if (!rows->begun)
        return PLEX_OK;
    rows->begun = false;
    return rows->ops->commit(rows, err);
}

void
reg_rows_rollback(struct reg_rows *rows)
{
    if (rows->begun)
        rows->ops->rollback(rows);
    rows->begun = false;
}

enum plex_status
reg_rows_fenced(const char *area, struct plex_err *err)
{
    return plex_err_set(err, PLEX_FENCED,
                        "another registry has taken the area \"%s\" of the "
                        "store over",
                        area);
}
