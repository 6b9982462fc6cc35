#ifndef COMMON_SERVICE_PRIVATE_H
#define COMMON_SERVICE_PRIVATE_H

#include "common/http.h"
#include "common/service.h"

#include <pthread.h>

/* What service*.c share: one running service and its admin HTTP. */

enum service_phase {
    SERVICE_STARTING,
    SERVICE_RUNNING,
    SERVICE_DRAINING,  /* the service finishes, its link still serves */
    SERVICE_FINISHING, /* the link refuses, what it has is answered */
    SERVICE_ENDED,
};

enum {
    SERVICE_REASON_MAX = 256,
    SERVICE_ROUTES_MAX = 16,
    SERVICE_BASE_OPTIONS_MAX = 8
};

struct service_route {
    const char *path;
    const char *content_type;
    enum plex_status (*render)(void *arg, struct plex_buf *out,
                               struct plex_err *err);
    void *arg;
};

/* The common options with this service's defaults. */
struct service_options {
    struct plex_option rows[SERVICE_BASE_OPTIONS_MAX];
    char listen_url[64], admin_addr[32];
};

struct plex_instance {
    const struct plex_service *service;
    struct service_options base_options; /* defaults are borrowed from here */
    struct plex_base_config *base; /* the configuration; base comes first */
    struct plex_host host;
    void *state; /* behind it, in the same block: see state_create() */
    struct plex_method *methods;
    struct plex_http *admin; /* NULL: none */
    struct service_route routes[SERVICE_ROUTES_MAX];
    size_t n_routes;

    /* Loop thread. */
    enum service_phase phase;
    bool ready;
    bool was_ready;
    char reason[SERVICE_REASON_MAX];
    bool aborted;
    struct plex_err abort_err;
    struct plex_timer *drain_timer;
    uint64_t drain_until; /* plex_now() scale, ns */
    unsigned quiet_ticks; /* of the drain timer, in a row */
    int notify_fd;        /* -1: none */

    /* Between threads, under `lock`; `changed` is signalled. */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, start_failed, seen_ready, ended, loop_open;
    struct plex_err start_err;
    struct plex_task stop_task, kill_task;
    bool stop_posted, kill_posted;
};

void service_options_init(struct service_options *options,
                          const struct plex_service *service);
/* Load defaults, environment and `given` and check them. */
enum plex_status service_configure(struct plex_instance *instance,
                                   const struct plex_service *service,
                                   const struct plex_setting *given,
                                   struct plex_err *err);
/* Memory only, no activity. */
struct plex_instance *service_create(void);
void service_free(struct plex_instance *instance);

/* Loop, link, admin HTTP and the service itself. On failure all is closed. */
enum plex_status service_open(struct plex_instance *instance,
                              struct plex_err *err);
/* After the loop has ended: stop the service and close everything. */
void service_close(struct plex_instance *instance);
/* Loop thread: drain; or end the loop at once. */
void service_begin_drain(struct plex_instance *instance);
void service_end(struct plex_instance *instance);

/* Admin HTTP; an empty address is none. */
enum plex_status service_admin_open(struct plex_instance *instance,
                                    struct plex_err *err);
/* The built-in link method, SYSTEM_METHOD_GET_METRICS. */
extern const struct plex_method service_metrics_method;
/* From a handler's first argument to the instance. */
struct plex_instance *service_of_state(void *state);

#endif
