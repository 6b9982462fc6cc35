#ifndef CLI_DEV_H
#define CLI_DEV_H

#include "common/service.h"

#include <limits.h>

/*
 * plex-dev, what `plexspaces dev` runs: the whole suite on one machine, as
 * threads of one process over inproc:// links or as supervised daemons over
 * ipc:// links.
 */
enum {
    DEV_WORKERS_MAX = 64,
    DEV_JOURNALS_MAX = 16,
    DEV_PARTS_MAX = 5 + DEV_JOURNALS_MAX + DEV_WORKERS_MAX,
    DEV_SETTINGS_MAX = 8,
    DEV_STAGES = 6,
    DEV_STOP_MS = 10000, /* to drain; SIGKILL afterwards */
};

struct dev_config {
    const char *data;
    const char *http;
    const char *grpc;
    const char *store;
    const char *modules;
    const char *log_level;
    uint32_t workers;
    uint32_t journals;
    bool processes;
};

/* One service to start: "worker-2" and what it is told. */
struct dev_part {
    const char *service; /* "worker" */
    const struct plex_service *code;
    char name[32];
    unsigned stage; /* stopped in this order, lowest first */
    char listen_url[160];
    char store_dsn[PATH_MAX + 64];
    struct plex_setting settings[DEV_SETTINGS_MAX + 1];
};

struct dev {
    struct dev_config config;
    char data[PATH_MAX]; /* absolute */
    char run[PATH_MAX + 8];
    char sockets[PATH_MAX + 8]; /* `run`, or a shorter folder under /tmp */
    char modules[PATH_MAX];
    char backups[PATH_MAX + 8];
    char logs[PATH_MAX + 8]; /* of facets */
    char bin[PATH_MAX];      /* where this program lies */
    char http[128];          /* with the real port */
    int lock;
    uint64_t began_ns;
    struct dev_part parts[DEV_PARTS_MAX];
    size_t count;
};

/* dev_data.c: the folder and the lock on it. PLEX_CONFLICT when another dev
 * has it; daemons that a killed dev left behind are ended first. */
PLEX_MUST_USE enum plex_status dev_data_open(struct dev *dev,
                                             struct plex_err *err);
void dev_data_close(struct dev *dev);
/* RUN/NAME.pid; pid 0 removes it. */
void dev_data_pid(const struct dev *dev, const char *name, long pid);

/* dev_plan.c: fill parts, in the order they start. */
PLEX_MUST_USE enum plex_status dev_plan(struct dev *dev, struct plex_err *err);

/* Run until SIGINT or SIGTERM; the exit code. Both are blocked already. */
int dev_run_threads(struct dev *dev);
int dev_run_processes(struct dev *dev);

/* The lines that say it is ready. */
void dev_announce(const struct dev *dev);

#endif
