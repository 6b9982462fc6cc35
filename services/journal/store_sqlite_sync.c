#include "services/journal/store_sqlite.h"

#include "common/mem.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * The checkpoint thread. Moving the log into the database means writing and
 * flushing many pages; done by the committing thread it would be the slowest
 * commit of each thousand. It touches nothing but its own connection.
 *
 * The log restarts from its beginning only after a checkpoint that reached
 * its end, which one that runs beside commits cannot. So the thread moves the
 * bulk, and once little came in meanwhile, the committing thread does the rest.
 */
struct sql_sync {
    sqlite3 *db;     /* the thread's */
    sqlite3 *writer; /* the committing thread's */
    int pages_mark;
    int pages_started; /* in the log when the last run began; writer's own */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t wake;
    bool running, stopping; /* running: asked for and not finished */
};

static void *
sync_main(void *arg)
{
    struct sql_sync *sync = arg;

    (void)pthread_setname_np(pthread_self(), "plex-jnl-sync");
    (void)pthread_mutex_lock(&sync->mutex);
    while (!sync->stopping) {
        if (!sync->running) {
            (void)pthread_cond_wait(&sync->wake, &sync->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&sync->mutex);
        /* A failure (full disk) leaves the log as it is; the next try comes
         * with the next commit. */
        (void)sqlite3_wal_checkpoint_v2(sync->db, NULL,
                                        SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        (void)pthread_mutex_lock(&sync->mutex);
        sync->running = false;
    }
    (void)pthread_mutex_unlock(&sync->mutex);
    return NULL;
}

static int
wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    journal_sql_sync_note(arg, pages);
    return SQLITE_OK;
}

static bool
sync_begin(struct sql_sync *sync, bool wanted)
{
    bool free;

    (void)pthread_mutex_lock(&sync->mutex);
    free = !sync->running;
    if (free && wanted) {
        sync->running = true;
        (void)pthread_cond_signal(&sync->wake);
    }
    (void)pthread_mutex_unlock(&sync->mutex);
    return free;
}

void
journal_sql_sync_note(struct sql_sync *sync, int pages)
{
    const int new = pages - sync->pages_started;

    if (new < 0)
        sync->pages_started = 0; /* the log has restarted */
    if (pages < sync->pages_mark)
        return;
    if (sync->pages_started > 0 && new <= sync->pages_mark / 8) {
        if (sync_begin(sync, false))
            (void)sqlite3_wal_checkpoint_v2(
                sync->writer, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    } else if (sync_begin(sync, true)) {
        sync->pages_started = pages;
    }
}

enum plex_status
journal_sql_sync_start(struct sql_store *store, struct plex_err *err)
{
    struct sql_sync *sync = plex_calloc(1, sizeof *sync);

    sync->writer = store->sqlite.db;
    sync->pages_mark = (int)store->checkpoint_pages;
    (void)pthread_mutex_init(&sync->mutex, NULL);
    (void)pthread_cond_init(&sync->wake, NULL);
    if (sqlite3_open_v2(store->path, &sync->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(sync->db,
                     "PRAGMA synchronous=FULL; SELECT 1 FROM "
                     "journal_mark;",
                     NULL, NULL, NULL) != SQLITE_OK ||
        pthread_create(&sync->thread, NULL, sync_main, sync) != 0) {
        (void)sqlite3_close(sync->db);
        free(sync);
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not start the checkpoint thread of %s",
                            store->path);
    }
    store->sync = sync;
    (void)sqlite3_wal_hook(store->sqlite.db, wal_hook, sync);
    return PLEX_OK;
}

void
journal_sql_sync_stop(struct sql_sync *sync)
{
    if (sync == NULL)
        return;
    (void)sqlite3_wal_hook(sync->writer, NULL, NULL);
    (void)pthread_mutex_lock(&sync->mutex);
    sync->stopping = true;
    (void)pthread_cond_signal(&sync->wake);
    (void)pthread_mutex_unlock(&sync->mutex);
    (void)pthread_join(sync->thread, NULL);
    (void)sqlite3_close(sync->db);
    (void)pthread_cond_destroy(&sync->wake);
    (void)pthread_mutex_destroy(&sync->mutex);
    free(sync);
}
