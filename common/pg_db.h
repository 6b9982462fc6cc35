#ifndef COMMON_PG_DB_H
#define COMMON_PG_DB_H

#include "common/bytes.h"

#include <libpq-fe.h>

/*
 * One connection to Postgres, made again when it was lost; the service's schema
 * is brought up to date whenever one is made. In the library plex_pg, which
 * only the daemons with this back end link.
 *
 * Belongs to one thread; calls block, a statement for 5 s at the most and
 * connecting for 2 s. Where nothing else is said a failure is PLEX_UNAVAILABLE
 * (the outcome of a write is then unknown), PLEX_LIMIT (disk full) or
 * PLEX_CORRUPT.
 */
struct plex_pg_config {
    const char *dsn;
    const char *service; /* whose migrations: a column of plex_migration */
    /* Every migration in order, as plex_embed_schema() of cmake embeds them. */
    const char *const *schema;
    size_t n_schema;
};
struct plex_pg {
    struct plex_pg_config config;
    char *dsn;
    PGconn *conn;      /* NULL: not connected */
    uint64_t retry_ns; /* monotonic: no new connection before */
};

/* PLEX_UNSUPPORTED for a schema newer than this program. Close it after a
 * failure too. All of `config` but dsn is borrowed. */
PLEX_MUST_USE enum plex_status plex_pg_open(struct plex_pg *pg,
                                            const struct plex_pg_config *config,
                                            struct plex_err *err);
void plex_pg_close(struct plex_pg *pg); /* after plex_pg_open() */
/* Before each use: connected, with no transaction open. A lost connection is
 * made again at once, and when that fails not before half a second later. */
PLEX_MUST_USE enum plex_status plex_pg_ready(struct plex_pg *pg,
                                             struct plex_err *err);
/* Why `result` is not what was wanted; NULL: the connection's last failure. */
enum plex_status plex_pg_failure(const struct plex_pg *pg,
                                 const PGresult *result, struct plex_err *err);

/* Parameters of one statement; zero-initialise. All as text but bytes. Texts
 * and bytes are borrowed. */
enum { PLEX_PG_PARAMS_MAX = 8, PLEX_PG_NUMBER_MAX = 24 };
struct plex_pg_params {
    int n;
    const char *values[PLEX_PG_PARAMS_MAX];
    int lengths[PLEX_PG_PARAMS_MAX];
    int formats[PLEX_PG_PARAMS_MAX]; /* 1: binary */
    char numbers[PLEX_PG_PARAMS_MAX][PLEX_PG_NUMBER_MAX];
};
void plex_pg_add_text(struct plex_pg_params *params, const char *text);
void plex_pg_add_u64(struct plex_pg_params *params, uint64_t number);
void plex_pg_add_bytes(struct plex_pg_params *params, struct plex_bytes bytes);

/* Several statements at once, no results. */
PLEX_MUST_USE enum plex_status plex_pg_run(struct plex_pg *pg, const char *sql,
                                           struct plex_err *err);
/* NULL on failure, else for PQclear(). `params` may be NULL. The columns are
 * binary: plex_pg_u64() and plex_pg_bytes() read them. */
PLEX_MUST_USE PGresult *plex_pg_query(struct plex_pg *pg, const char *sql,
                                      const struct plex_pg_params *params,
                                      struct plex_err *err);
uint64_t plex_pg_u64(const PGresult *result, int row, int column); /* bigint */
struct plex_bytes plex_pg_bytes(const PGresult *result, int row, int column);
/* *rows: how many it changed or returned. *first: the number (of any type) in
 * the first column of the first row, as it was when there is none; NULL: not
 * wanted. */
PLEX_MUST_USE enum plex_status plex_pg_execute(
    struct plex_pg *pg, const char *sql, const struct plex_pg_params *params,
    uint64_t *rows, uint64_t *first, struct plex_err *err);
/* End a transaction: COMMIT when `status` is PLEX_OK, else ROLLBACK. Returns
 * the first error. */
PLEX_MUST_USE enum plex_status plex_pg_end(struct plex_pg *pg,
                                           enum plex_status status,
                                           struct plex_err *err);

#endif
