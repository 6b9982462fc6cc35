#ifndef SERVICES_JOURNAL_SHELL_BACKUP_H
#define SERVICES_JOURNAL_SHELL_BACKUP_H

#include "common/link.h"
#include "common/loop.h"

/*
 * Backups of the daemon: files of one folder, made, listed and restored for
 * callers over the link. One job at a time, on a thread of its own.
 */
struct backups;

enum backups_job { BACKUPS_CREATE = 1, BACKUPS_LIST, BACKUPS_RESTORE };

struct backups_config {
    struct plex_loop *loop;
    const char *dsn;
    const char *folder; /* "": there are no backups */
    /* Loop thread. Close the store before a restore: PLEX_CONFLICT when it is
     * not empty. Open it again after. */
    enum plex_status (*restore_begin)(void *arg, struct plex_err *err);
    void (*restore_end)(void *arg);
    void *arg;
};

/* The strings are borrowed. */
struct backups *backups_create(const struct backups_config *config);
/* Waits for a job that runs. Accepts NULL. */
void backups_free(struct backups *backups);
void backups_call(struct backups *backups, enum backups_job job,
                  struct plex_call *call);

#endif
