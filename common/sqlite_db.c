#include "common/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { BUSY_MS = 1000 };

/* -- statements ------------------------------------------------------------ */

enum plex_status
plex_sqlite_failure(const struct plex_sqlite *sqlite, struct plex_err *err)
{
    const int code = sqlite3_errcode(sqlite->db) & 0xff;
    enum plex_status status = PLEX_UNAVAILABLE;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        status = PLEX_CORRUPT;
    else if (code == SQLITE_FULL)
        status = PLEX_LIMIT;
    else if (code == SQLITE_TOOBIG)
        status = PLEX_TOO_LARGE;
    return plex_err_set(err, status, "SQLite: %s",
                        code == SQLITE_BUSY
                            ? "the file is in use by another process"
                            : sqlite3_errmsg(sqlite->db));
}

enum plex_status
plex_sqlite_run(struct plex_sqlite *sqlite, const char *sql,
                struct plex_err *err)
{
    if (sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return plex_sqlite_failure(sqlite, err);
    return PLEX_OK;
}

void
plex_sqlite_rollback(struct plex_sqlite *sqlite)
{
    (void)sqlite3_exec(sqlite->db, "ROLLBACK", NULL, NULL, NULL);
}

enum plex_status
plex_sqlite_end(struct plex_sqlite *sqlite, enum plex_status status,
                struct plex_err *err)
{
    if (status == PLEX_OK)
        status = plex_sqlite_run(sqlite, "COMMIT", err);
    if (status != PLEX_OK)
        plex_sqlite_rollback(sqlite);
    return status;
}

enum plex_status
plex_sqlite_prepare(struct plex_sqlite *sqlite, const char *sql,
                    sqlite3_stmt **out, struct plex_err *err)
{
    if (sqlite3_prepare_v2(sqlite->db, sql, -1, out, NULL) != SQLITE_OK)
        return plex_sqlite_failure(sqlite, err);
    return PLEX_OK;
}

enum plex_status
plex_sqlite_prepare_all(struct plex_sqlite *sqlite, const char *const *sql,
                        size_t n, sqlite3_stmt **out, struct plex_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (sqlite3_prepare_v3(sqlite->db, sql[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &out[i],
                               NULL) != SQLITE_OK)
            return plex_sqlite_failure(sqlite, err);
    return PLEX_OK;
}

void
plex_sqlite_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    (void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

void
plex_sqlite_bind_u64(sqlite3_stmt *stmt, int at, uint64_t number)
{
    (void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)number);
}

void
plex_sqlite_bind_bytes(sqlite3_stmt *stmt, int at, struct plex_bytes bytes)
{
    /* A NULL pointer would be bound as NULL, not as no bytes. */
    (void)sqlite3_bind_blob64(stmt, at,
                              bytes.len == 0 ? (const void *)"" : bytes.data,
                              bytes.len, SQLITE_STATIC);
}

const char *
plex_sqlite_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

uint64_t
plex_sqlite_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

struct plex_bytes
plex_sqlite_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column);
    const int len = sqlite3_column_bytes(stmt, column);

    return (struct plex_bytes){data, data == NULL ? 0 : (size_t)len};
}

enum plex_status
plex_sqlite_step(struct plex_sqlite *sqlite, sqlite3_stmt *stmt,
                 struct plex_err *err)
{
    enum plex_status status = PLEX_OK;

    if (sqlite3_step(stmt) != SQLITE_DONE)
        status = plex_sqlite_failure(sqlite, err);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    return status;
}

enum plex_status
plex_sqlite_number(struct plex_sqlite *sqlite, sqlite3_stmt *stmt, bool *found,
                   uint64_t *number, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    const int code = sqlite3_step(stmt);

    *found = code == SQLITE_ROW;
    if (*found)
        *number = plex_sqlite_u64(stmt, 0);
    /* A statement that writes and returns has written only when it ended. */
    if ((code != SQLITE_ROW && code != SQLITE_DONE) ||
        (*found && sqlite3_step(stmt) != SQLITE_DONE))
        status = plex_sqlite_failure(sqlite, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

enum plex_status
plex_sqlite_done(struct plex_sqlite *sqlite, sqlite3_stmt *stmt,
                 struct plex_err *err)
{
    bool found;
    uint64_t number;

    return plex_sqlite_number(sqlite, stmt, &found, &number, err);
}

enum plex_status
plex_sqlite_get(struct plex_sqlite *sqlite, const char *sql, uint64_t *number,
                struct plex_err *err)
{
    sqlite3_stmt *stmt;
    bool found;

    *number = 0;
    if (plex_sqlite_prepare(sqlite, sql, &stmt, err) != PLEX_OK)
        return err->status;
    return plex_sqlite_number(sqlite, stmt, &found, number, err);
}

enum plex_status
plex_sqlite_each(struct plex_sqlite *sqlite, const char *sql,
                 plex_sqlite_row_fn each, void *arg, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    sqlite3_stmt *stmt;
    int code = SQLITE_DONE;

    if (plex_sqlite_prepare(sqlite, sql, &stmt, err) != PLEX_OK)
        return err->status;
    while (status == PLEX_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW)
        status = each(arg, stmt, err);
    if (status == PLEX_OK && code != SQLITE_DONE)
        status = plex_sqlite_failure(sqlite, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

/* -- opening --------------------------------------------------------------- */

/* A file of its own: closing any descriptor of the database file would drop
 * the locks SQLite holds on it. */
static enum plex_status
lock_take(struct plex_sqlite *sqlite, const struct plex_sqlite_config *config,
          struct plex_err *err)
{
    char name[4096];
    const int len = snprintf(name, sizeof name, "%s-lock", config->path);

    if (len < 0 || (size_t)len >= sizeof name)
        return plex_err_set(err, PLEX_INVALID, "store_dsn: path is too long");
    sqlite->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (sqlite->lock_fd < 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "%s: %s", name,
                            strerror(errno));
    if (flock(sqlite->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "the file is in use by another %s; one at a time "
                            "may open it",
                            config->service);
    return PLEX_OK;
}

static enum plex_status
version_read(struct plex_sqlite *sqlite, const char *service, uint64_t *version,
             struct plex_err *err)
{
    sqlite3_stmt *stmt;
    bool found;

    *version = 0;
    if (plex_sqlite_prepare(sqlite,
                            "SELECT coalesce(max(version), 0)"
                            " FROM plex_migration WHERE service = ?1",
                            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, service);
    return plex_sqlite_number(sqlite, stmt, &found, version, err);
}

static enum plex_status
version_write(struct plex_sqlite *sqlite, const char *service, uint64_t version,
              struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (plex_sqlite_prepare(sqlite,
                            "INSERT INTO plex_migration (service, version)"
                            " VALUES (?1, ?2)",
                            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, service);
    plex_sqlite_bind_u64(stmt, 2, version);
    return plex_sqlite_done(sqlite, stmt, err);
}

static enum plex_status
migrate(struct plex_sqlite *sqlite, const struct plex_sqlite_config *config,
        struct plex_err *err)
{
    uint64_t version;

    if (plex_sqlite_run(sqlite,
                        "CREATE TABLE IF NOT EXISTS plex_migration (service"
                        " TEXT, version INTEGER,"
                        " PRIMARY KEY (service, version))",
                        err) != PLEX_OK ||
        version_read(sqlite, config->service, &version, err) != PLEX_OK)
        return err->status;
    if (version > config->n_schema)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "schema version %llu is newer than this program's "
                            "%zu",
                            (unsigned long long)version, config->n_schema);
    for (; version < config->n_schema; version++)
        if (plex_sqlite_run(sqlite, config->schema[version], err) != PLEX_OK ||
            version_write(sqlite, config->service, version + 1, err) != PLEX_OK)
            return plex_err_wrap(err, "migration %llu",
                                 (unsigned long long)version + 1);
    return PLEX_OK;
}

static enum plex_status
connect_file(struct plex_sqlite *sqlite,
             const struct plex_sqlite_config *config, struct plex_err *err)
{
    if (sqlite3_open_v2(config->path, &sqlite->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return plex_sqlite_failure(sqlite, err);
    (void)sqlite3_busy_timeout(sqlite->db,
                               config->busy_ms > 0 ? config->busy_ms : BUSY_MS);
    if (config->pragmas != NULL &&
        plex_sqlite_run(sqlite, config->pragmas, err) != PLEX_OK)
        return err->status;
    /* Before the file is first read: then the index is never shared. */
    if (config->owner == PLEX_SQLITE_ALONE &&
        plex_sqlite_run(sqlite, "PRAGMA locking_mode = EXCLUSIVE", err) !=
            PLEX_OK)
        return err->status;
    return plex_sqlite_run(
        sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err);
}

static enum plex_status
open_steps(struct plex_sqlite *sqlite, const struct plex_sqlite_config *config,
           struct plex_err *err)
{
    if (config->owner == PLEX_SQLITE_LOCKED &&
        lock_take(sqlite, config, err) != PLEX_OK)
        return err->status;
    if (connect_file(sqlite, config, err) != PLEX_OK)
        return err->status;
    if (config->check != NULL && config->check(sqlite, err) != PLEX_OK)
        return err->status;
    if (plex_sqlite_run(sqlite,
                        config->owner == PLEX_SQLITE_ALONE ? "BEGIN EXCLUSIVE"
                                                           : "BEGIN IMMEDIATE",
                        err) != PLEX_OK)
        return err->status;
    return plex_sqlite_end(sqlite, migrate(sqlite, config, err), err);
}

enum plex_status
plex_sqlite_open(struct plex_sqlite *sqlite,
                 const struct plex_sqlite_config *config, struct plex_err *err)
{
    *sqlite = (struct plex_sqlite){.lock_fd = -1};
    if (config->path[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "store_dsn names no file, it must be sqlite:PATH");
    if (open_steps(sqlite, config, err) != PLEX_OK)
        return plex_err_wrap(err, "could not open %s", config->path);
    return PLEX_OK;
}

void
plex_sqlite_close(struct plex_sqlite *sqlite)
{
    (void)sqlite3_close(sqlite->db);
    /* The lock goes last: until now the file was in use. */
    if (sqlite->lock_fd >= 0)
        (void)close(sqlite->lock_fd);
    *sqlite = (struct plex_sqlite){.lock_fd = -1};
}
