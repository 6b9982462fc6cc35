#include "services/journal/backup.h"

#include "common/dsn.h"

#include <stddef.h>
#include <sys/stat.h>

static const struct journal_backup_ops *const backends[] = {
    &journal_backup_sqlite, &journal_backup_pg};

static const struct journal_backup_ops *
backend_find(const char *dsn, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (plex_dsn_rest(dsn, backends[i]->scheme) != NULL)
            return backends[i];
    (void)plex_err_set(err, PLEX_UNSUPPORTED,
                       "there is no backup of what is kept in memory");
    return NULL;
}

static void
info_fill(const char *path, const struct backup_header *header,
          struct journal_backup_info *out)
{
    struct stat st;

    *out = (struct journal_backup_info){header->backend, header->schema,
                                        header->at_ms, 0};
    if (stat(path, &st) == 0)
        out->bytes = (uint64_t)st.st_size;
}

enum plex_status
journal_backup_peek(const char *path, struct journal_backup_info *out,
                    struct plex_err *err)
{
    struct backup_reader r;
    const enum plex_status status = backup_open(&r, path, err);

    if (status == PLEX_OK)
        info_fill(path, &r.header, out);
    backup_close(&r);
    return status;
}

enum plex_status
journal_backup_check(const char *path, struct journal_backup_info *out,
                     struct plex_err *err)
{
    struct backup_reader r;
    struct plex_bytes data;
    uint32_t part;
    bool end = false;
    enum plex_status status = backup_open(&r, path, err);

    if (status == PLEX_OK)
        info_fill(path, &r.header, out);
    while (status == PLEX_OK && !end)
        status = backup_read(&r, &end, &part, &data, err);
    backup_close(&r);
    return status;
}

enum plex_status
journal_backup_create(const char *dsn, const char *path, uint64_t wall_ms,
                      struct journal_backup_info *out, struct plex_err *err)
{
    const struct journal_backup_ops *ops = backend_find(dsn, err);

    if (ops == NULL || ops->create(dsn, path, wall_ms, err) != PLEX_OK)
        return err->status;
    return journal_backup_peek(path, out, err);
}

enum plex_status
journal_backup_restore(const char *dsn, const char *path, struct plex_err *err)
{
    const struct journal_backup_ops *ops = backend_find(dsn, err);
    struct journal_backup_info info;
    struct backup_reader r;
    enum plex_status status;

    if (ops == NULL || journal_backup_check(path, &info, err) != PLEX_OK)
        return err->status;
    if (info.backend != ops->backend)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the backup is of another back end than the store");
    status = backup_open(&r, path, err);
    if (status == PLEX_OK)
        status = ops->restore(dsn, &r, err);
    backup_close(&r);
    return status;
}
