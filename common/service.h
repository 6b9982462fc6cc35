#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include "common/link.h"
#include "common/loop.h"
#include "common/metrics.h"
#include "common/option.h"

/*
 * Everything a daemon of the suite must say about itself. The skeleton does
 * the rest: options, logging, signals, loop, link, admin HTTP, metrics,
 * readiness, drain, exit code. A service never knows whether it is a thread
 * of `plexspaces dev` or a process of its own.
 */

/* Settings every service has; the first member of each config struct. A
 * service that lists one of these options in its own table as well gives it
 * another default. From start() on, listen_url and admin_addr are the real
 * ones, where port 0 was asked for. */
struct plex_base_config {
    const char *node;         /* node id, unique in the cluster */
    const char *listen_url;   /* link inbox */
    const char *registry_url; /* link inbox of plex-registry */
    const char *admin_addr;   /* admin HTTP, "" for none */
    const char *log_level;
    uint32_t drain_ms;
};
extern const struct plex_option plex_base_options[];

/* What the skeleton hands to a service; borrowed, valid until stop returns. */
struct plex_host {
    struct plex_loop *loop;
    struct plex_link *link; /* open and serving .methods */
    struct plex_metrics *metrics;
    const struct plex_base_config *base;
    uint64_t incarnation; /* random, new for each start */
};

struct plex_service {
    const char *name;                  /* "journal": PLEXSPACES_JOURNAL_... */
    const char *summary;               /* one line for --help */
    const struct plex_option *options; /* its own; offsets into config */
    size_t config_size;                /* begins with plex_base_config */
    size_t state_size;                 /* zeroed before start */
    const struct plex_method *methods; /* id 0 ends */
    /* Default ports on 127.0.0.1: `port` of the link, `port` + 1700 of the
     * admin address. 0: any free ones. */
    uint16_t port;

    /* Check a loaded configuration without side effects; for --check. */
    enum plex_status (*check)(const void *config, struct plex_err *err);
    /* Open what the service needs. Loop thread, before the loop runs; link
     * requests arrive only after it returned. On failure nothing may stay
     * open. Must not wait for peers: become ready later instead. */
    enum plex_status (*start)(void *state, const void *config,
                              const struct plex_host *host,
                              struct plex_err *err);
    /* Optional: begin to finish. The loop goes on, and the link serves, until
     * drained() is true or drain_ms have passed; then the link refuses new
     * requests and those in service are waited for. */
    void (*drain)(void *state);
    bool (*drained)(void *state); /* NULL: true */
    /* Release everything start() opened. After the loop ended; every link call
     * has had its done() by then, and events may still be sent. */
    void (*stop)(void *state);
};

/* Exit codes: 0 clean, 100 fix the configuration, 111 try again later. */
enum { PLEX_EXIT_CONFIG = 100, PLEX_EXIT_TEMPORARY = 111 };
int plex_service_main(const struct plex_service *service, int argc,
                      char **argv);

/* -- called by the service, on its loop thread ---------------------------- */

/* Ready or not, with the reason when not; /readyz says it, and the first
 * "ready" writes a newline to PLEXSPACES_NOTIFY_FD. Starts not ready. */
void plex_service_ready(const struct plex_host *host, bool ready,
                        const char *reason);
/* Give up: log, drain and exit with the status' exit code. */
void plex_service_abort(const struct plex_host *host,
                        const struct plex_err *err);
/* More admin routes: GET `path` answers with what `render` appends. */
void plex_service_admin_route(const struct plex_host *host, const char *path,
                              const char *content_type,
                              enum plex_status (*render)(void *arg,
                                                         struct plex_buf *out,
                                                         struct plex_err *err),
                              void *arg);

/* -- several services in one process (plexspaces dev, tests) --------------- */

struct plex_instance;

/* Start on a thread of its own; returns when start() has. `given` and its
 * strings must live as long as the instance. */
PLEX_MUST_USE enum plex_status plex_instance_start(
    struct plex_instance **out, const struct plex_service *service,
    const struct plex_setting *given, struct plex_err *err);
/* Any thread. True once plex_service_ready(true) was called. Blocks until
 * ready, ended or `timeout_ms` passed. */
bool plex_instance_wait_ready(struct plex_instance *instance,
                              uint32_t timeout_ms);
/* Drain, stop, join, free. Accepts NULL. */
void plex_instance_stop(struct plex_instance *instance);
/* End at once without drain: the nearest to a crash a thread can do. */
void plex_instance_kill(struct plex_instance *instance);
const char *plex_instance_admin_addr(const struct plex_instance *instance);

#endif
