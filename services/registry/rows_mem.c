/* Nothing is kept: gone with the process. */
#include "services/registry/rows_backend.h"

#include "common/mem.h"

#include <stdlib.h>

static enum plex_status
mem_open(struct reg_rows **out, const char *dsn, const char *area,
         struct plex_err *err)
{
    struct reg_rows *rows = plex_calloc(1, sizeof *rows);

    (void)dsn;
    (void)area;
    (void)err;
    rows->ops = &reg_rows_mem;
    *out = rows;
    return PLEX_OK;
}

static void
mem_close(struct reg_rows *rows)
{
    free(rows);
}

static enum plex_status
mem_load(struct reg_rows *rows, reg_row_fn each, void *arg,
         struct plex_err *err)
{
    (void)rows;
    (void)each;
    (void)arg;
    (void)err;
    return PLEX_OK;
}

static enum plex_status
mem_begin(struct reg_rows *rows, struct plex_err *err)
{
    (void)rows;
    (void)err;
    return PLEX_OK;
}

static enum plex_status
mem_apply(struct reg_rows *rows, const struct reg_row *row,
          struct plex_err *err)
{
    (void)rows;
    (void)row;
    (void)err;
    return PLEX_OK;
}

static void
mem_rollback(struct reg_rows *rows)
{
    (void)rows;
}

const struct reg_rows_ops reg_rows_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .load = mem_load,
    .begin = mem_begin,
    .apply = mem_apply,
    .commit = mem_begin,
    .rollback = mem_rollback,
};
