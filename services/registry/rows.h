#ifndef SERVICES_REGISTRY_ROWS_H
#define SERVICES_REGISTRY_ROWS_H

#include "common/bytes.h"

/*
 * What key-value, locks and objects keep: rows of opaque bytes, each in an area
 * ("kv", "lock", "object") under a kind, tenant, namespace and name; written in
 * transactions, read once at the start.
 *
 * An area has one owner, the one that opened it last: the commits of an earlier
 * one are PLEX_FENCED. A store belongs to one thread; calls block. Back ends by
 * DSN: "mem:", "sqlite:PATH", "postgres://...", "redis://HOST:PORT[/DB]".
 * Failures of the back end itself are PLEX_UNAVAILABLE (the outcome of a commit
 * is then unknown), a full disk PLEX_LIMIT, damaged data PLEX_CORRUPT.
 */
struct reg_rows;

enum reg_row_kind { /* in stores: never changes */
                    REG_ROW_COUNTER = 1,
                    REG_ROW_VALUE = 2,
                    REG_ROW_LOCK = 3,
                    REG_ROW_REQUEST = 4,
                    REG_ROW_OBJECT = 5,
};
enum { REG_ROW_NAME_MAX = 1100, REG_ROW_BODY_MAX = 2 << 20 };

struct reg_row {
    enum reg_row_kind kind;
    const char *tenant, *ns; /* without '/'; "" of counters */
    const char *name;        /* UTF-8 */
    struct plex_bytes body;
    bool gone; /* remove it; no body */
};

/* PLEX_INVALID for a DSN that names no back end. */
PLEX_MUST_USE enum plex_status reg_rows_check(const char *dsn,
                                              struct plex_err *err);
/* "mem", "sqlite", ... */
const char *reg_rows_backend(const struct reg_rows *rows);
/* `area`: letters; takes the area over from whoever had it. */
PLEX_MUST_USE enum plex_status reg_rows_open(struct reg_rows **out,
                                             const char *dsn, const char *area,
                                             struct plex_err *err);
void reg_rows_close(struct reg_rows *rows); /* accepts NULL */

/* Every row of the area, in no order; `each` stops it by an error. */
typedef enum plex_status (*reg_row_fn)(void *arg, const struct reg_row *row,
                                       struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_rows_load(struct reg_rows *rows,
                                             reg_row_fn each, void *arg,
                                             struct plex_err *err);
/* Write in the open transaction, which the first call begins; later writes of
 * a row count. After a failure: reg_rows_rollback(). */
PLEX_MUST_USE enum plex_status reg_rows_apply(struct reg_rows *rows,
                                              const struct reg_row *row,
                                              struct plex_err *err);
/* Durable on PLEX_OK; on failure nothing is, unless the outcome is unknown.
 * Without anything applied: PLEX_OK. */
PLEX_MUST_USE enum plex_status reg_rows_commit(struct reg_rows *rows,
                                               struct plex_err *err);
void reg_rows_rollback(struct reg_rows *rows);

#endif
