#include "services/journal/shell_backup.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/journal/backup.h"
#include "services/journal/wire.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".plexjournal"

struct backups {
    struct backups_config config;
    struct plex_call *call; /* of the job that runs; NULL: none does */
    enum backups_job job;
    struct plex_task done;
    pthread_t thread;
    struct plex_arena arena; /* what the job needs and answers */
    char name[JOURNAL_BACKUP_NAME_MAX + 1];
    char path[4096];
    struct plex_err err;
    struct journal_backup *list;
    size_t n, cap;
};

/* -- on the thread ----------------------------------------------------------
 */

static void
list_add(struct backups *b, const char *name, size_t len,
         const struct journal_backup_info *info)
{
    if (b->n == JOURNAL_BACKUPS_MAX)
        return;
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 16;
        b->list = plex_reallocarray(b->list, b->cap, sizeof *b->list);
    }
    b->list[b->n++] = (struct journal_backup){
        .name = plex_arena_strndup(&b->arena, name, len),
        .backend = info->backend == BACKUP_SQLITE ? "sqlite" : "postgres",
        .schema = info->schema,
        .at_ms = info->at_ms,
        .bytes = info->bytes};
}

static int
by_time(const void *a, const void *b)
{
    const struct journal_backup *x = a, *y = b;

    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

/* Files that are no backups are passed over. */
static enum plex_status
list_read(struct backups *b, struct plex_err *err)
{
    DIR *folder = opendir(b->config.folder);
    struct dirent *file;

    if (folder == NULL && errno != ENOENT)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not read %s: %s",
                            b->config.folder, strerror(errno));
    while (folder != NULL && (file = readdir(folder)) != NULL) {
        const size_t len = strlen(file->d_name);
        struct journal_backup_info info;
        struct plex_err ignored;

        if (len <= sizeof SUFFIX - 1 ||
            strcmp(file->d_name + len - (sizeof SUFFIX - 1), SUFFIX) != 0)
            continue;
        (void)snprintf(b->path, sizeof b->path, "%s/%s", b->config.folder,
                       file->d_name);
        if (journal_backup_peek(b->path, &info, &ignored) == PLEX_OK)
            list_add(b, file->d_name, len - (sizeof SUFFIX - 1), &info);
    }
    if (folder != NULL)
        (void)closedir(folder);
    if (b->n > 0)
        qsort(b->list, b->n, sizeof *b->list, by_time);
    return PLEX_OK;
}

static enum plex_status
create(struct backups *b, struct plex_err *err)
{
    struct journal_backup_info info;

    if (mkdir(b->config.folder, 0700) != 0 && errno != EEXIST)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not create %s: %s",
                            b->config.folder, strerror(errno));
    if (journal_backup_create(b->config.dsn, b->path, plex_wall_ms(), &info,
                              err) != PLEX_OK ||
        journal_backup_check(b->path, &info, err) != PLEX_OK)
        return err->status;
    list_add(b, b->name, strlen(b->name), &info);
    return PLEX_OK;
}

static void *
job_main(void *arg)
{
    struct backups *b = arg;

    (void)pthread_setname_np(pthread_self(), "plex-jnl-backup");
    b->err.status = PLEX_OK;
    if (b->job == BACKUPS_LIST)
        b->err.status = list_read(b, &b->err);
    else if (b->job == BACKUPS_CREATE)
        b->err.status = create(b, &b->err);
    else
        b->err.status = journal_backup_restore(b->config.dsn, b->path, &b->err);
    plex_loop_post(b->config.loop, &b->done);
    return NULL;
}

/* -- on the loop ------------------------------------------------------------
 */

static void
answer(struct backups *b)
{
    struct plex_buf reply = {.max = 1 << 20};
    struct plex_call *call = b->call;
    struct plex_err *err = &b->err;

    b->call = NULL;
    if (err->status == PLEX_OK)
        err->status =
            journal_wire_backups(b->list, b->n, &b->arena, &reply, err);
    if (err->status == PLEX_OK)
        plex_call_reply(call, (struct plex_bytes){reply.data, reply.len});
    else
        plex_call_fail(call, err->status, err->text, (struct plex_bytes){0});
    plex_buf_free(&reply);
}

static void
on_done(struct plex_task *task)
{
    struct backups *b = plex_container_of(task, struct backups, done);

    (void)pthread_join(b->thread, NULL);
    if (b->job == BACKUPS_RESTORE)
        b->config.restore_end(b->config.arg);
    if (b->job != BACKUPS_LIST && b->err.status == PLEX_OK)
        plex_log(PLEX_LOG_INFO,
                 b->job == BACKUPS_CREATE ? "journal-backup-made"
                                          : "journal-backup-restored",
                 "backup %s", b->name);
    else if (b->err.status != PLEX_OK)
        plex_log(PLEX_LOG_WARN, "journal-backup-failed", "backup %s: %s",
                 b->name, b->err.text);
    answer(b);
}

static void
on_ignored(struct plex_task *task)
{
    (void)task;
}

static enum plex_status
name_check(const char *name, struct plex_err *err)
{
    const size_t len = strlen(name);

    if (len == 0 || len > JOURNAL_BACKUP_NAME_MAX || name[0] == '.' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789._-") != len)
        return plex_err_set(err, PLEX_INVALID,
                            "name of a backup is 1 to %d letters, digits, "
                            "'.', '_' and '-', and begins with no '.'",
                            JOURNAL_BACKUP_NAME_MAX);
    return PLEX_OK;
}

static enum plex_status
job_prepare(struct backups *b, enum backups_job job, struct plex_call *call,
            struct plex_err *err)
{
    const char *name = "";

    if (b->call != NULL)
        return plex_err_set(err, PLEX_LIMIT,
                            "another backup or restore is under way");
    if (b->config.folder[0] == '\0')
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the journal has no backup_folder");
    plex_arena_reset(&b->arena);
    b->n = 0;
    if (journal_wire_backup_in(plex_call_payload(call), &b->arena, &name,
                               err) != PLEX_OK)
        return err->status;
    if (job != BACKUPS_LIST && name_check(name, err) != PLEX_OK)
        return err->status;
    (void)snprintf(b->name, sizeof b->name, "%.*s", JOURNAL_BACKUP_NAME_MAX,
                   name);
    if (snprintf(b->path, sizeof b->path, "%s/%s" SUFFIX, b->config.folder,
                 b->name) >= (int)sizeof b->path)
        return plex_err_set(err, PLEX_INVALID, "backup_folder is too long");
    return PLEX_OK;
}

void
backups_call(struct backups *b, enum backups_job job, struct plex_call *call)
{
    struct plex_err err = {0};
    enum plex_status status = job_prepare(b, job, call, &err);

    if (status == PLEX_OK && job == BACKUPS_RESTORE)
        status = b->config.restore_begin(b->config.arg, &err);
    if (status == PLEX_OK) {
        b->job = job;
        b->call = call;
        if (pthread_create(&b->thread, NULL, job_main, b) == 0)
            return;
        b->call = NULL;
        status =
            plex_err_set(&err, PLEX_UNAVAILABLE, "could not start a thread");
        if (job == BACKUPS_RESTORE)
            b->config.restore_end(b->config.arg);
    }
    plex_call_fail(call, status, err.text, (struct plex_bytes){0});
}

struct backups *
backups_create(const struct backups_config *config)
{
    struct backups *b = plex_calloc(1, sizeof *b);

    b->config = *config;
    b->done.run = on_done;
    plex_arena_init(&b->arena, 16 << 20);
    return b;
}

void
backups_free(struct backups *b)
{
    if (b == NULL)
        return;
    if (b->call != NULL) {
        (void)pthread_join(b->thread, NULL);
        /* What it posted must not run once this is gone. */
        b->done.run = on_ignored;
        plex_loop_flush(b->config.loop);
    }
    plex_arena_fini(&b->arena);
    free(b->list);
    free(b);
}
