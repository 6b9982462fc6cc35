/* One running service, from its configuration to its end. */
#include "common/service_private.h"

#include "common/context.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    DRAIN_TICK_MS = 5,
    /* How long nothing must happen before the end, so that the last answers
     * have left the transport's own threads. */
    DRAIN_QUIET_TICKS = 3,
    DRAIN_MS_MAX = 3600000,
};

const struct plex_option plex_base_options[] = {
    {"node", PLEX_OPTION_STRING, offsetof(struct plex_base_config, node), "",
     "node id, unique in the cluster; empty: the service's name"},
    {"listen_url", PLEX_OPTION_STRING,
     offsetof(struct plex_base_config, listen_url), "tcp://127.0.0.1:0",
     "where other daemons reach this one: tcp://HOST:PORT, ipc://PATH or "
     "inproc://NAME; port 0 takes a free one"},
    {"registry_url", PLEX_OPTION_STRING,
     offsetof(struct plex_base_config, registry_url), "tcp://127.0.0.1:7401",
     "listen_url of plex-registry"},
    {"admin_addr", PLEX_OPTION_STRING,
     offsetof(struct plex_base_config, admin_addr), "127.0.0.1:0",
     "HTTP address of /healthz, /readyz, /startupz and /metrics; empty: none"},
    {"log_level", PLEX_OPTION_STRING,
     offsetof(struct plex_base_config, log_level), "info",
     "error, warn, info or debug"},
    {"drain_ms", PLEX_OPTION_U32, offsetof(struct plex_base_config, drain_ms),
     "10000", "how long requests in service may take after SIGTERM", 0,
     DRAIN_MS_MAX},
    {0},
};

enum { ADMIN_PORT_OFFSET = 1700 };

void
service_options_init(struct service_options *options,
                     const struct plex_service *service)
{
    _Static_assert(sizeof plex_base_options <= sizeof options->rows,
                   "SERVICE_BASE_OPTIONS_MAX is too small");
    memcpy(options->rows, plex_base_options, sizeof plex_base_options);
    if (service->port == 0)
        return;
    (void)snprintf(options->listen_url, sizeof options->listen_url,
                   "tcp://127.0.0.1:%u", service->port);
    (void)snprintf(options->admin_addr, sizeof options->admin_addr,
                   "127.0.0.1:%u", service->port + ADMIN_PORT_OFFSET);
    for (struct plex_option *o = options->rows; o->name != NULL; o++) {
        if (strcmp(o->name, "listen_url") == 0)
            o->def = options->listen_url;
        else if (strcmp(o->name, "admin_addr") == 0)
            o->def = options->admin_addr;
    }
}

/* Link handlers are given the state; the instance is found in front of it. */
struct state_head {
    struct plex_instance *instance;
    max_align_t state[];
};

static void *
state_create(struct plex_instance *instance)
{
    struct state_head *head =
        plex_calloc(1, sizeof *head + instance->service->state_size);

    head->instance = instance;
    return head->state;
}

static struct state_head *
state_head(void *state)
{
    return plex_container_of(state, struct state_head, state);
}

struct plex_instance *
service_of_state(void *state)
{
    return state_head(state)->instance;
}

static struct plex_instance *
of_host(const struct plex_host *host)
{
    return plex_container_of((uintptr_t)host, struct plex_instance, host);
}

struct plex_instance *
service_create(void)
{
    struct plex_instance *instance = plex_calloc(1, sizeof *instance);

    instance->notify_fd = -1;
    pthread_mutex_init(&instance->lock, NULL);
    pthread_cond_init(&instance->changed, NULL);
    return instance;
}

void
service_free(struct plex_instance *instance)
{
    pthread_mutex_destroy(&instance->lock);
    pthread_cond_destroy(&instance->changed);
    free(instance->base);
    free(instance);
}

/* What --check can tell without opening anything. */
static enum plex_status
check_url(const char *option, const char *url, struct plex_err *err)
{
    static const char *const schemes[] = {"tcp://", "ipc://", "inproc://"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const size_t len = strlen(schemes[i]);

        if (strncmp(url, schemes[i], len) == 0 && url[len] != '\0')
            return PLEX_OK;
    }
    return plex_err_set(err, PLEX_INVALID,
                        "option %s is \"%.100s\", it must be tcp://HOST:PORT, "
                        "ipc://PATH or inproc://NAME",
                        option, url);
}

static enum plex_status
check_addr(const char *option, const char *addr, struct plex_err *err)
{
    const char *port = strrchr(addr, ':');
    char *end = NULL;

    if (addr[0] == '\0' ||
        (port != NULL && port[1] >= '0' && port[1] <= '9' &&
         strtoul(port + 1, &end, 10) <= 65535 && *end == '\0'))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "option %s is \"%.100s\", it must be HOST:PORT with a "
                        "port from 0 to 65535",
                        option, addr);
}

static enum plex_status
check_base(struct plex_instance *instance, struct plex_err *err)
{
    struct plex_base_config *base = instance->base;
    enum plex_log_level level;

    if (base->node[0] == '\0')
        base->node = instance->service->name;
    if (plex_name_plain("option node", base->node, strlen(base->node), err) !=
        PLEX_OK)
        return err->status;
    if (check_url("listen_url", base->listen_url, err) != PLEX_OK ||
        check_url("registry_url", base->registry_url, err) != PLEX_OK ||
        check_addr("admin_addr", base->admin_addr, err) != PLEX_OK)
        return err->status;
    if (strncmp(base->listen_url, "tcp://", 6) == 0 &&
        check_addr("listen_url", base->listen_url + 6, err) != PLEX_OK)
        return err->status;
    if (plex_log_level_parse(base->log_level, &level, err) != PLEX_OK)
        return plex_err_wrap(err, "option log_level");
    plex_log_level_set(level);
    return PLEX_OK;
}

enum plex_status
service_configure(struct plex_instance *instance,
                  const struct plex_service *service,
                  const struct plex_setting *given, struct plex_err *err)
{
    const struct plex_option *const tables[] = {service->options,
                                                plex_base_options, NULL};

    assert(service->config_size >= sizeof(struct plex_base_config));
    instance->service = service;
    service_options_init(&instance->base_options, service);
    instance->base = plex_calloc(1, service->config_size);
    /* The service's own table comes second: it may list a common option to
     * give it another default. */
    if (plex_options_known(tables, given, err) != PLEX_OK ||
        plex_options_load(instance->base_options.rows, service->name, given,
                          instance->base, err) != PLEX_OK ||
        plex_options_load(service->options, service->name, given,
                          instance->base, err) != PLEX_OK ||
        check_base(instance, err) != PLEX_OK)
        return err->status;
    return service->check != NULL ? service->check(instance->base, err)
                                  : PLEX_OK;
}

/* -- opening -------------------------------------------------------------- */

static struct plex_method *
methods_with_ours(const struct plex_method *methods)
{
    struct plex_method *all;
    size_t count = 0;

    while (methods != NULL && methods[count].id != 0)
        count++;
    all = plex_calloc(count + 2, sizeof *all);
    if (count > 0)
        memcpy(all, methods, count * sizeof *all);
    all[count] = service_metrics_method;
    return all;
}

static enum plex_status
open_link(struct plex_instance *instance, struct plex_err *err)
{
    struct plex_link_config config = {
        .listen_url = instance->base->listen_url,
        .state = instance->state,
        .metrics = instance->host.metrics,
    };

    instance->methods = methods_with_ours(instance->service->methods);
    config.methods = instance->methods;
    if (plex_link_open(&instance->host.link, instance->host.loop, &config,
                       err) != PLEX_OK) {
        instance->host.link = NULL;
        return plex_err_wrap(err, "opening the link");
    }
    /* From here on the configuration says what is, not what was asked for. */
    instance->base->listen_url = plex_link_url(instance->host.link);
    return PLEX_OK;
}

static uint64_t
read_ready(void *arg)
{
    const struct plex_instance *instance = arg;

    return instance->ready ? 1 : 0;
}

static void
open_metrics(struct plex_instance *instance)
{
    struct plex_metrics *metrics = plex_metrics_create();
    char labels[256];

    instance->host.metrics = metrics;
    (void)snprintf(labels, sizeof labels,
                   "service=\"%s\",node=\"%s\",version=\"%s\"",
                   instance->service->name, instance->base->node, PLEX_VERSION);
    plex_metrics_gauge(metrics, "plexspaces_service_info",
                       "Always 1; the labels say which service this is.",
                       labels)
        ->value = 1;
    plex_metrics_observe(metrics, "plexspaces_service_ready",
                         "1 if the service is ready, else 0.", "", read_ready,
                         instance);
    plex_metrics_process(metrics);
}

/* In the reverse order of service_open(); any part may be missing. */
static void
close_parts(struct plex_instance *instance)
{
    plex_timer_free(instance->drain_timer);
    plex_http_close(instance->admin);
    plex_link_close(instance->host.link);
    plex_loop_free(instance->host.loop);
    plex_metrics_free(instance->host.metrics);
    free(instance->methods);
    if (instance->state != NULL)
        free(state_head(instance->state));
    instance->state = NULL;
}

static void on_drain_tick(void *arg);

enum plex_status
service_open(struct plex_instance *instance, struct plex_err *err)
{
    struct plex_host *host = &instance->host;

    plex_log_bind(instance->service->name, instance->base->node);
    if (plex_loop_create(&host->loop, err) != PLEX_OK)
        return err->status;
    instance->drain_timer =
        plex_timer_create(host->loop, on_drain_tick, instance);
    plex_random(&host->incarnation, sizeof host->incarnation);
    host->base = instance->base;
    (void)snprintf(instance->reason, sizeof instance->reason, "starting");
    instance->state = state_create(instance);
    open_metrics(instance);
    if (open_link(instance, err) != PLEX_OK ||
        service_admin_open(instance, err) != PLEX_OK ||
        instance->service->start(instance->state, instance->base, host, err) !=
            PLEX_OK) {
        close_parts(instance);
        return err->status;
    }
    if (instance->phase == SERVICE_STARTING) /* start() may have aborted */
        instance->phase = SERVICE_RUNNING;
    plex_log_with(PLEX_LOG_INFO, "started",
                  (const struct plex_log_field[]){
                      PLEX_F_TEXT("url", instance->base->listen_url),
                      PLEX_F_TEXT("admin", instance->base->admin_addr),
                      PLEX_F_TEXT("version", PLEX_VERSION),
                      {0},
                  },
                  "started");
    return PLEX_OK;
}

/* -- life ----------------------------------------------------------------- */

static void
signal_change(struct plex_instance *instance, bool *what)
{
    pthread_mutex_lock(&instance->lock);
    *what = true;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
}

static void
first_ready(struct plex_instance *instance)
{
    instance->was_ready = true;
    if (instance->notify_fd >= 0) {
        if (write(instance->notify_fd, "\n", 1) < 0)
            plex_log(PLEX_LOG_WARN, "notify-failed",
                     "could not tell the supervisor that the service is ready");
        (void)close(instance->notify_fd);
        instance->notify_fd = -1;
    }
    signal_change(instance, &instance->seen_ready);
}

void
plex_service_ready(const struct plex_host *host, bool ready, const char *reason)
{
    struct plex_instance *instance = of_host(host);
    const char *text = ready || reason == NULL ? "" : reason;

    if (instance->phase > SERVICE_RUNNING) /* not ready, whatever is said */
        return;
    if (instance->ready == ready && strcmp(instance->reason, text) == 0)
        return;
    if (ready)
        plex_log(PLEX_LOG_INFO, "ready", "ready");
    else if (instance->ready)
        plex_log(PLEX_LOG_WARN, "not-ready", "not ready: %s", text);
    instance->ready = ready;
    (void)snprintf(instance->reason, sizeof instance->reason, "%s", text);
    if (ready && !instance->was_ready)
        first_ready(instance);
}

void
plex_service_abort(const struct plex_host *host, const struct plex_err *err)
{
    struct plex_instance *instance = of_host(host);

    if (instance->aborted)
        return;
    plex_log(PLEX_LOG_ERROR, "aborted", "%s", err->text);
    instance->aborted = true;
    instance->abort_err = *err;
    service_begin_drain(instance);
}

void
plex_service_admin_route(const struct plex_host *host, const char *path,
                         const char *content_type,
                         enum plex_status (*render)(void *arg,
                                                    struct plex_buf *out,
                                                    struct plex_err *err),
                         void *arg)
{
    struct plex_instance *instance = of_host(host);

    assert(instance->n_routes < SERVICE_ROUTES_MAX);
    instance->routes[instance->n_routes++] =
        (struct service_route){path, content_type, render, arg};
}

void
service_end(struct plex_instance *instance)
{
    if (instance->phase == SERVICE_ENDED)
        return;
    instance->phase = SERVICE_ENDED;
    plex_timer_stop(instance->drain_timer);
    plex_loop_quit(instance->host.loop);
}

void
service_begin_drain(struct plex_instance *instance)
{
    if (instance->phase >= SERVICE_DRAINING)
        return;
    plex_log(PLEX_LOG_INFO, "draining", "draining for at most %u ms",
             instance->base->drain_ms);
    instance->ready = false;
    (void)snprintf(instance->reason, sizeof instance->reason, "draining");
    instance->phase = SERVICE_DRAINING;
    instance->drain_until =
        plex_now() + (uint64_t)instance->base->drain_ms * 1000000U;
    if (instance->service->drain != NULL)
        instance->service->drain(instance->state);
    plex_timer_start(instance->drain_timer, 0);
}

/* First the service finishes while its link still serves, since it may need
 * others and they it; then the link refuses and what it has is answered. */
static void
on_drain_tick(void *arg)
{
    struct plex_instance *instance = arg;
    const struct plex_service *service = instance->service;
    bool quiet;

    if (instance->phase == SERVICE_DRAINING &&
        (service->drained == NULL || service->drained(instance->state))) {
        instance->phase = SERVICE_FINISHING;
        plex_link_drain(instance->host.link);
        if (instance->admin != NULL)
            plex_http_drain(instance->admin);
    }
    quiet =
        instance->phase == SERVICE_FINISHING &&
        plex_link_serving(instance->host.link) == 0 &&
        (instance->admin == NULL || plex_http_pending(instance->admin) == 0);
    instance->quiet_ticks = quiet ? instance->quiet_ticks + 1 : 0;
    if (instance->quiet_ticks >= DRAIN_QUIET_TICKS) {
        service_end(instance);
    } else if (plex_now() >= instance->drain_until) {
        plex_log(PLEX_LOG_WARN, "drain-timeout",
                 "still busy after %u ms, ending anyway",
                 instance->base->drain_ms);
        service_end(instance);
    } else {
        plex_timer_start(instance->drain_timer, DRAIN_TICK_MS);
    }
}

void
service_close(struct plex_instance *instance)
{
    /* Nobody may post to a loop that is about to go. */
    pthread_mutex_lock(&instance->lock);
    instance->loop_open = false;
    pthread_mutex_unlock(&instance->lock);
    /* Nothing may ask the service once it has stopped, and every call is told
     * its end while what it points to is still there. */
    plex_http_close(instance->admin);
    instance->admin = NULL;
    plex_link_end(instance->host.link);
    instance->service->stop(instance->state);
    /* Once more round the loop: what stop() sent leaves. */
    (void)uv_run(plex_loop_uv(instance->host.loop), UV_RUN_NOWAIT);
    plex_log(PLEX_LOG_INFO, "stopped", "stopped");
    close_parts(instance);
}
