#include "tests/integration/registry/probe.h"

#include "common/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct probe_config {
    struct plex_base_config base;
};
struct probe_state {
    struct probe *probe;
};

/* Which probe is being started; start() runs on its own thread, but
 * plex_instance_start() waits for it. */
static struct probe *starting;

static void
on_changed(void *arg, struct reg_catalog *catalog)
{
    struct probe *probe = arg;
    size_t n;

    (void)reg_catalog_nodes(catalog, &n);
    pthread_mutex_lock(&probe->lock);
    reg_catalog_unref(probe->catalog);
    probe->catalog = reg_catalog_ref(catalog);
    probe->catalogs++;
    if (n < probe->fewest_nodes)
        probe->fewest_nodes = n;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
}

static void
on_refused(void *arg, const char *text)
{
    struct probe *probe = arg;

    (void)text;
    pthread_mutex_lock(&probe->lock);
    probe->refusals++;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct probe_state *state = arg;
    struct probe *probe = starting;

    (void)config;
    (void)err;
    state->probe = probe;
    probe->host = host;
    probe->client = reg_client_start(&(struct reg_client_config){
        .host = host,
        .kind = "probe",
        .changed = on_changed,
        .refused = on_refused,
        .arg = probe,
    });
    reg_client_status(probe->client, REG_NODE_READY, "");
    return PLEX_OK;
}

static void
stop(void *arg)
{
    struct probe_state *state = arg;

    reg_client_stop(state->probe->client);
}

static const struct plex_option no_options[] = {{0}};
static const struct plex_method no_methods[] = {{0}};
static const struct plex_service service = {
    .name = "probe",
    .summary = "a test",
    .options = no_options,
    .config_size = sizeof(struct probe_config),
    .state_size = sizeof(struct probe_state),
    .methods = no_methods,
    .start = start,
    .stop = stop,
};

struct probe *
probe_start(const char *node, const char *url, const char *registry_url)
{
    struct probe *probe = plex_calloc(1, sizeof *probe);
    static _Thread_local struct plex_setting rows[8][6];
    static _Thread_local unsigned next;
    struct plex_setting *given = rows[next++ % 8];
    struct plex_err err;

    given[0] = (struct plex_setting){"node", node};
    given[1] = (struct plex_setting){"listen_url", url};
    given[2] = (struct plex_setting){"registry_url", registry_url};
    given[3] = (struct plex_setting){"admin_addr", ""};
    given[4] = (struct plex_setting){0};
    pthread_mutex_init(&probe->lock, NULL);
    pthread_cond_init(&probe->changed, NULL);
    probe->fewest_nodes = SIZE_MAX;
    starting = probe;
    if (plex_instance_start(&probe->instance, &service, given, &err) !=
        PLEX_OK) {
        fprintf(stderr, "probe: %s\n", err.text);
        abort();
    }
    return probe;
}

static void
probe_free(struct probe *probe)
{
    reg_catalog_unref(probe->catalog);
    pthread_mutex_destroy(&probe->lock);
    pthread_cond_destroy(&probe->changed);
    free(probe);
}

void
probe_stop(struct probe *probe)
{
    if (probe == NULL)
        return;
    plex_instance_stop(probe->instance);
    probe_free(probe);
}

void
probe_kill(struct probe *probe)
{
    plex_instance_kill(probe->instance);
    probe_free(probe);
}

/* -- calling --------------------------------------------------------------- */

struct call {
    struct plex_task task;
    struct probe *probe;
    const char *peer;
    uint32_t method;
    const char *tenant;
    struct plex_bytes payload;
    struct probe_result *out;
    bool done;
};

static void
call_done(void *arg, const struct plex_link_result *result)
{
    struct call *call = arg;

    pthread_mutex_lock(&call->probe->lock);
    call->out->status = result->status;
    snprintf(call->out->text, sizeof call->out->text, "%s", result->text);
    call->out->len = 0;
    if (result->payload.len > 0 && result->payload.len <= PROBE_PAYLOAD_MAX) {
        memcpy(call->out->payload, result->payload.data, result->payload.len);
        call->out->len = result->payload.len;
    }
    call->done = true;
    pthread_cond_broadcast(&call->probe->changed);
    pthread_mutex_unlock(&call->probe->lock);
}

static void
call_send(struct plex_task *task)
{
    struct call *call = plex_container_of(task, struct call, task);
    struct plex_context context = plex_context_none;

    context.tenant = call->tenant;
    context.deadline = plex_now() + UINT64_C(10000000000);
    (void)plex_link_call(call->probe->host->link, &(struct plex_link_request){
                                                      .peer = call->peer,
                                                      .method = call->method,
                                                      .context = &context,
                                                      .payload = call->payload,
                                                      .done = call_done,
                                                      .arg = call,
                                                  });
}

void
probe_call(struct probe *probe, const char *peer, uint32_t method,
           const char *tenant, struct plex_bytes payload,
           struct probe_result *out)
{
    struct call call = {
        .task = {.run = call_send},
        .probe = probe,
        .peer = peer,
        .method = method,
        .tenant = tenant,
        .payload = payload,
        .out = out,
    };

    plex_loop_post(probe->host->loop, &call.task);
    pthread_mutex_lock(&probe->lock);
    while (!call.done)
        pthread_cond_wait(&probe->changed, &probe->lock);
    pthread_mutex_unlock(&probe->lock);
}

bool
probe_until(struct probe *probe,
            bool (*test)(struct reg_catalog *catalog, void *arg), void *arg)
{
    struct timespec until;
    bool met;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&probe->lock);
    for (;;) {
        met = probe->catalog != NULL && test(probe->catalog, arg);
        if (met || pthread_cond_timedwait(&probe->changed, &probe->lock,
                                          &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&probe->lock);
    return met;
}
