#ifndef COMMON_SQLITE_DB_H
#define COMMON_SQLITE_DB_H

#include "common/bytes.h"

#include <sqlite3.h>
#include <stdbool.h>

/*
 * One SQLite file as a service keeps it: WAL, every commit flushed, its schema
 * brought up to date on opening. In the library plex_sqlite, which only the
 * daemons with this back end link.
 *
 * Belongs to one thread; calls block. Where nothing else is said a failure is
 * PLEX_UNAVAILABLE (also: in use by another process), PLEX_CORRUPT, PLEX_LIMIT
 * (disk full) or PLEX_TOO_LARGE.
 */
struct plex_sqlite {
    sqlite3 *db;
    int lock_fd; /* -1: none */
};

enum plex_sqlite_owner {
    PLEX_SQLITE_SHARED, /* several processes, by SQLite's own locks */
    /* One connection of one process; its index is in memory, not in a file. */
    PLEX_SQLITE_ALONE,
    /* One process, which may open more connections: PATH-lock is locked. */
    PLEX_SQLITE_LOCKED,
};

struct plex_sqlite_config {
    const char *path;
    const char *service; /* whose migrations: a column of plex_migration */
    /* Every migration in order, as plex_embed_schema() of cmake embeds them. */
    const char *const *schema;
    size_t n_schema;
    enum plex_sqlite_owner owner;
    int busy_ms;         /* how long to wait for a lock, 0: 1 s */
    const char *pragmas; /* set first of all; may be NULL */
    /* Called before the schema is looked at; may be NULL. */
    enum plex_status (*check)(struct plex_sqlite *sqlite, struct plex_err *err);
};

/* PLEX_INVALID for an empty path, PLEX_UNSUPPORTED for a schema newer than
 * this program. Close it after a failure too. */
PLEX_MUST_USE enum plex_status plex_sqlite_open(
    struct plex_sqlite *sqlite, const struct plex_sqlite_config *config,
    struct plex_err *err);
/* After plex_sqlite_open(), also a failed one. Finalize every statement first.
 */
void plex_sqlite_close(struct plex_sqlite *sqlite);

/* The last failure of the connection. */
enum plex_status plex_sqlite_failure(const struct plex_sqlite *sqlite,
                                     struct plex_err *err);
/* Statements without parameters and results. */
PLEX_MUST_USE enum plex_status plex_sqlite_run(struct plex_sqlite *sqlite,
                                               const char *sql,
                                               struct plex_err *err);
/* End a transaction: COMMIT when `status` is PLEX_OK, else, or when that
 * fails, ROLLBACK. Returns the first error. */
PLEX_MUST_USE enum plex_status plex_sqlite_end(struct plex_sqlite *sqlite,
                                               enum plex_status status,
                                               struct plex_err *err);
void plex_sqlite_rollback(struct plex_sqlite *sqlite);

/* sqlite3_finalize() it. */
PLEX_MUST_USE enum plex_status plex_sqlite_prepare(struct plex_sqlite *sqlite,
                                                   const char *sql,
                                                   sqlite3_stmt **out,
                                                   struct plex_err *err);
/* The same for `n` statements; on failure the rest of `out` is as it was. */
PLEX_MUST_USE enum plex_status plex_sqlite_prepare_all(
    struct plex_sqlite *sqlite, const char *const *sql, size_t n,
    sqlite3_stmt **out, struct plex_err *err);

/* Parameters, from 1; texts and bytes are borrowed until the statement is
 * reset. Numbers above INT64_MAX are kept as negative ones. */
void plex_sqlite_bind_text(sqlite3_stmt *stmt, int at, const char *text);
void plex_sqlite_bind_u64(sqlite3_stmt *stmt, int at, uint64_t number);
void plex_sqlite_bind_bytes(sqlite3_stmt *stmt, int at,
                            struct plex_bytes bytes);
/* Columns, from 0; valid until the next step. */
const char *plex_sqlite_text(sqlite3_stmt *stmt, int column);
uint64_t plex_sqlite_u64(sqlite3_stmt *stmt, int column);
struct plex_bytes plex_sqlite_bytes(sqlite3_stmt *stmt, int column);

/* Run a statement without results and make it ready for the next time. */
PLEX_MUST_USE enum plex_status plex_sqlite_step(struct plex_sqlite *sqlite,
                                                sqlite3_stmt *stmt,
                                                struct plex_err *err);
/* The same once: the statement is finalized. */
PLEX_MUST_USE enum plex_status plex_sqlite_done(struct plex_sqlite *sqlite,
                                                sqlite3_stmt *stmt,
                                                struct plex_err *err);
/* Run a statement of at most one row once and finalize it. Without a row
 * *found is false and *number as it was. */
PLEX_MUST_USE enum plex_status plex_sqlite_number(struct plex_sqlite *sqlite,
                                                  sqlite3_stmt *stmt,
                                                  bool *found, uint64_t *number,
                                                  struct plex_err *err);
/* The number a query without parameters returns, 0 without a row. */
PLEX_MUST_USE enum plex_status plex_sqlite_get(struct plex_sqlite *sqlite,
                                               const char *sql,
                                               uint64_t *number,
                                               struct plex_err *err);

/* `each` row of a query without parameters; its error stops it. */
typedef enum plex_status (*plex_sqlite_row_fn)(void *arg, sqlite3_stmt *row,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_sqlite_each(struct plex_sqlite *sqlite,
                                                const char *sql,
                                                plex_sqlite_row_fn each,
                                                void *arg,
                                                struct plex_err *err);

#endif
