/* What a back end of the rows implements. For rows*.c only. */
#ifndef SERVICES_REGISTRY_ROWS_BACKEND_H
#define SERVICES_REGISTRY_ROWS_BACKEND_H

#include "services/registry/rows.h"

/* Every call is required and does what rows.h says of its wrapper, which has
 * checked the arguments; begin() comes before the first apply() only. */
struct reg_rows_ops {
    const char *scheme; /* DSN up to the ':' */
    enum plex_status (*open)(struct reg_rows **out, const char *dsn,
                             const char *area, struct plex_err *err);
    void (*close)(struct reg_rows *rows);
    enum plex_status (*load)(struct reg_rows *rows, reg_row_fn each, void *arg,
                             struct plex_err *err);
    /* PLEX_FENCED when another has taken the area over. */
    enum plex_status (*begin)(struct reg_rows *rows, struct plex_err *err);
    enum plex_status (*apply)(struct reg_rows *rows, const struct reg_row *row,
                              struct plex_err *err);
    enum plex_status (*commit)(struct reg_rows *rows, struct plex_err *err);
    void (*rollback)(struct reg_rows *rows);
};

/* A back end's own struct begins with this. */
struct reg_rows {
    const struct reg_rows_ops *ops;
    bool begun;
};
enum { REG_ROWS_AREA_MAX = 15 };

extern const struct reg_rows_ops reg_rows_mem;
extern const struct reg_rows_ops reg_rows_sqlite;
extern const struct reg_rows_ops reg_rows_pg;
extern const struct reg_rows_ops reg_rows_redis;

enum plex_status reg_rows_fenced(const char *area, struct plex_err *err);

#endif
