#include "services/journal/backup.h"

#include "common/mem.h"
#include "common/sqlite_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal_sqlite_schema.h"

enum { READ_BYTES = 1 << 18 };

static const char *
path_of(const char *dsn)
{
    return dsn + strlen("sqlite:");
}

static char *
beside(const char *path, const char *suffix)
{
    const size_t len = strlen(path);
    char *out = plex_calloc(1, len + strlen(suffix) + 1);

    memcpy(out, path, len);
    memcpy(out + len, suffix, strlen(suffix) + 1);
    return out;
}

static void
remove_db(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char *full = beside(path, suffixes[i]);

        (void)unlink(full);
        free(full);
    }
}

static enum plex_status
sqlite_error(sqlite3 *db, const char *what, struct plex_err *err)
{
    struct plex_sqlite failed = {.db = db};

    (void)plex_sqlite_failure(&failed, err);
    return plex_err_wrap(err, "%s", what);
}

/* All of `from` as it is at one moment: a reader does not stop the writer of a
 * database with a log, and sees nothing of what it does meanwhile. */
static enum plex_status
db_copy(sqlite3 *from, sqlite3 *to, struct plex_err *err)
{
    sqlite3_backup *job = sqlite3_backup_init(to, "main", from, "main");
    int rc;

    if (job == NULL)
        return sqlite_error(to, "could not begin to copy", err);
    rc = sqlite3_backup_step(job, -1);
    (void)sqlite3_backup_finish(job);
    if (rc == SQLITE_DONE)
        return PLEX_OK;
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "the database is in use, try again");
    return sqlite_error(to, "could not copy the database", err);
}

static enum plex_status
db_open(const char *path, int flags, sqlite3 **out, struct plex_err *err)
{
    if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        sqlite3_busy_timeout(*out, 5000) == SQLITE_OK)
        return PLEX_OK;
    (void)sqlite_error(*out, path, err);
    (void)sqlite3_close(*out);
    *out = NULL;
    return err->status;
}

/* -- create ---------------------------------------------------------------- */

static enum plex_status
copy_make(const char *from, const char *to, uint64_t *schema,
          struct plex_err *err)
{
    sqlite3 *source = NULL, *target = NULL;
    struct plex_sqlite copied;
    enum plex_status status =
        db_open(from, SQLITE_OPEN_READWRITE, &source, err);

    if (status == PLEX_OK)
        status = db_open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                         &target, err);
    if (status == PLEX_OK)
        status = db_copy(source, target, err);
    /* A file by itself, without a log. */
    if (status == PLEX_OK &&
        sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL,
                     NULL) != SQLITE_OK)
        status = sqlite_error(target, "could not finish the copy", err);
    copied = (struct plex_sqlite){.db = target};
    if (status == PLEX_OK)
        status = plex_sqlite_get(&copied,
                                 "SELECT max(version) FROM plex_migration "
                                 "WHERE service = 'journal'",
                                 schema, err);
    (void)sqlite3_close(target);
    (void)sqlite3_close(source);
    return status;
}

static enum plex_status
file_add(struct backup_writer *w, const char *path, struct plex_err *err)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = plex_calloc(1, READ_BYTES);
    enum plex_status status = PLEX_OK;
    size_t n;

    if (file == NULL)
        status = plex_err_set(err, PLEX_UNAVAILABLE, "could not open %s: %s",
                              path, strerror(errno));
    while (status == PLEX_OK && (n = fread(data, 1, READ_BYTES, file)) > 0)
        status = backup_write(w, 1, (struct plex_bytes){data, n}, err);
    if (file != NULL && ferror(file))
        status = plex_err_set(err, PLEX_UNAVAILABLE, "could not read %s: %s",
                              path, strerror(errno));
    if (file != NULL)
        (void)fclose(file);
    free(data);
    return status;
}

static enum plex_status
sql_create(const char *dsn, const char *path, uint64_t wall_ms,
           struct plex_err *err)
{
    struct backup_header header = {BACKUP_SQLITE, 0, wall_ms};
    char *copy = beside(path, ".db");
    struct backup_writer w;
    uint64_t schema = 0;
    enum plex_status status;

    remove_db(copy);
    status = copy_make(path_of(dsn), copy, &schema, err);
    header.schema = (uint32_t)schema;
    if (status == PLEX_OK)
        status = backup_create(&w, path, &header, err);
    if (status == PLEX_OK)
        status = backup_finish(&w, file_add(&w, copy, err), err);
    remove_db(copy);
    free(copy);
    return status;
}

/* -- restore --------------------------------------------------------------- */

static enum plex_status
file_extract(struct backup_reader *r, const char *path, struct plex_err *err)
{
    FILE *file = fopen(path, "we");
    enum plex_status status = PLEX_OK;
    struct plex_bytes data;
    uint32_t part;
    bool end = false;

    if (file == NULL)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not create %s: %s",
                            path, strerror(errno));
    while (status == PLEX_OK && !end) {
        status = backup_read(r, &end, &part, &data, err);
        if (status == PLEX_OK && !end &&
            fwrite(data.data, 1, data.len, file) != data.len)
            status = plex_err_set(err, PLEX_LIMIT, "could not write %s: %s",
                                  path, strerror(errno));
    }
    if (fclose(file) != 0 && status == PLEX_OK)
        status = plex_err_set(err, PLEX_LIMIT, "could not write %s: %s", path,
                              strerror(errno));
    return status;
}

static enum plex_status
check_row(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const char *text = plex_sqlite_text(row, 0);

    (void)arg;
    if (strcmp(text, "ok") == 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_CORRUPT, "the copy is damaged: %.150s", text);
}

/* The epochs of the store are kept: they are of the workers that are now. */
static enum plex_status
fill(struct plex_sqlite *store, const char *copy, struct plex_err *err)
{
    struct plex_sqlite source = {0};
    uint64_t actors = 0;
    enum plex_status status;

    if (plex_sqlite_get(store,
                        "SELECT (SELECT count(*) FROM (SELECT 1 FROM "
                        "journal_actor LIMIT 1)) + (SELECT count(*) FROM "
                        "(SELECT 1 FROM journal_pending LIMIT 1))",
                        &actors, err) != PLEX_OK)
        return err->status;
    if (actors > 0)
        return plex_err_set(
            err, PLEX_CONFLICT,
            "the store is not empty; restore into an empty one");
    if (db_open(copy, SQLITE_OPEN_READWRITE, &source.db, err) != PLEX_OK)
        return err->status;
    status = plex_sqlite_each(&source, "PRAGMA quick_check(1)", check_row, NULL,
                              err);
    if (status == PLEX_OK)
        status = plex_sqlite_run(&source, "DELETE FROM journal_epoch", err);
    if (status == PLEX_OK)
        status = db_copy(source.db, store->db, err);
    (void)sqlite3_close(source.db);
    return status;
}

static enum plex_status
sql_restore(const char *dsn, struct backup_reader *r, struct plex_err *err)
{
    const size_t n_schema =
        sizeof journal_sqlite_schema / sizeof *journal_sqlite_schema;
    const struct plex_sqlite_config config = {.path = path_of(dsn),
                                              .service = "journal",
                                              .schema = journal_sqlite_schema,
                                              .n_schema = n_schema,
                                              .owner = PLEX_SQLITE_LOCKED,
                                              .busy_ms = 5000};
    char *copy = beside(path_of(dsn), ".restore");
    struct plex_sqlite store;
    enum plex_status status;

    if (r->header.schema > n_schema) {
        free(copy);
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the backup has schema version %u, this program "
                            "knows versions up to %zu",
                            r->header.schema, n_schema);
    }
    remove_db(copy);
    status = file_extract(r, copy, err);
    if (status == PLEX_OK) {
        status = plex_sqlite_open(&store, &config, err);
        if (status == PLEX_OK)
            status = fill(&store, copy, err);
        plex_sqlite_close(&store);
    }
    remove_db(copy);
    free(copy);
    return status;
}

const struct journal_backup_ops journal_backup_sqlite = {
    .scheme = "sqlite",
    .backend = BACKUP_SQLITE,
    .create = sql_create,
    .restore = sql_restore,
};
