#include "tests/integration/placement/worker.h"

#include "common/mem.h"
#include "common/wire.h"

#include "plexspaces/node/v1/node.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BEAT_MS = 100, SHARDS = 1 << PLACE_SHARD_BITS };

struct worker_config {
    struct plex_base_config base;
};
struct worker_state {
    struct worker *worker;
};
static struct worker *starting; /* plex_instance_start() waits for start() */

static const char *
placement_url(void *arg)
{
    struct worker *worker = arg;

    return reg_client_url(worker->registry, "placement");
}

static void
on_table(void *arg, struct place_table *table)
{
    struct worker *worker = arg;
    unsigned shards = 0;

    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct place_worker *owner = place_table_owner(table, i);

        shards += owner != NULL && strcmp(owner->node_id, worker->node) == 0 &&
                  owner->incarnation == worker->host->incarnation;
    }
    pthread_mutex_lock(&worker->lock);
    worker->version = table->version;
    worker->epoch0 = place_table_find(table, 0)->epoch;
    worker->shards = shards;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    plex_timer_start(worker->timer, 0);
}

static void
on_beaten(void *arg, enum plex_status status, const char *text,
          const struct place_lease *lease)
{
    struct worker *worker = arg;

    (void)text;
    worker->beating = false;
    if (status != PLEX_OK)
        return;
    if (worker->watch != NULL)
        place_watch_hint(worker->watch, lease->version);
    pthread_mutex_lock(&worker->lock);
    if (lease->lease_ms > 0)
        worker->lease_end = lease->sent + lease->lease_ms * 1000000U;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

static void
on_timer(void *arg)
{
    struct worker *worker = arg;
    const char *url = placement_url(worker);
    struct place_table *table =
        worker->watch == NULL ? NULL : place_watch_table(worker->watch);
    const struct place_heartbeat heartbeat = {
        .node_id = worker->node,
        .url = plex_link_url(worker->host->link),
        .incarnation = worker->host->incarnation,
        .pool = "",
        .applied_version = table == NULL ? 0 : table->version,
    };

    plex_timer_start(worker->timer, url == NULL ? 5 : BEAT_MS);
    if (url == NULL || worker->beating)
        return;
    worker->beating = true;
    place_client_heartbeat(worker->host->link, url, &heartbeat, 1000, on_beaten,
                           worker);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct worker *worker = starting;

    (void)config;
    (void)err;
    ((struct worker_state *)arg)->worker = worker;
    worker->host = host;
    worker->registry = reg_client_start(&(struct reg_client_config){
        .host = host, .kind = "worker", .arg = worker});
    worker->timer = plex_timer_create(host->loop, on_timer, worker);
    worker->watch = place_watch_start(host->link, host->loop, "", placement_url,
                                      on_table, worker);
    reg_client_status(worker->registry, REG_NODE_READY, "");
    plex_timer_start(worker->timer, 0);
    return PLEX_OK;
}

static void
drain(void *arg)
{
    struct worker *worker = ((struct worker_state *)arg)->worker;
    const char *url = placement_url(worker);

    if (worker->leave && url != NULL)
        place_client_leave(worker->host->link, url, worker->node,
                           worker->host->incarnation, NULL, NULL);
}

static void
stop(void *arg)
{
    struct worker *worker = ((struct worker_state *)arg)->worker;

    place_watch_stop(worker->watch);
    reg_client_stop(worker->registry);
    plex_timer_free(worker->timer);
}

static const struct plex_option no_options[] = {{0}};
static const struct plex_method no_methods[] = {{0}};
static const struct plex_service service = {
    .name = "worker",
    .summary = "a test",
    .options = no_options,
    .config_size = sizeof(struct worker_config),
    .state_size = sizeof(struct worker_state),
    .methods = no_methods,
    .start = start,
    .drain = drain,
    .stop = stop,
};

struct worker *
worker_start(const char *node, const char *folder, const char *registry_url)
{
    struct worker *worker = plex_calloc(1, sizeof *worker);
    struct plex_err err;

    snprintf(worker->node, sizeof worker->node, "%s", node);
    snprintf(worker->url, sizeof worker->url, "ipc://%s/%s", folder, node);
    worker->given[0] = (struct plex_setting){"node", worker->node};
    worker->given[1] = (struct plex_setting){"listen_url", worker->url};
    worker->given[2] = (struct plex_setting){"registry_url", registry_url};
    worker->given[3] = (struct plex_setting){"admin_addr", ""};
    worker->given[4] = (struct plex_setting){"log_level", "error"};
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    starting = worker;
    if (plex_instance_start(&worker->instance, &service, worker->given, &err) !=
        PLEX_OK) {
        fprintf(stderr, "worker: %s\n", err.text);
        abort();
    }
    return worker;
}

static void
worker_free(struct worker *worker)
{
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->changed);
    free(worker);
}

void
worker_stop(struct worker *worker)
{
    worker->leave = true;
    plex_instance_stop(worker->instance);
    worker_free(worker);
}

void
worker_kill(struct worker *worker)
{
    plex_instance_kill(worker->instance);
    worker_free(worker);
}

static struct timespec
ten_seconds_on(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    return until;
}

bool
worker_until_owns(struct worker *worker, unsigned shards)
{
    const struct timespec until = ten_seconds_on();
    bool met;

    pthread_mutex_lock(&worker->lock);
    do {
        met = worker->shards == shards && worker->version != 0 &&
              plex_now() < worker->lease_end;
    } while (!met && pthread_cond_timedwait(&worker->changed, &worker->lock,
                                            &until) != ETIMEDOUT);
    pthread_mutex_unlock(&worker->lock);
    return met;
}

/* -- draining -------------------------------------------------------------- */

struct drain_call {
    struct plex_task task;
    struct worker *worker;
    const char *node;
};

static void
drain_done(void *arg, const struct plex_link_result *result)
{
    struct worker *worker = arg;
    struct plex_arena arena;
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_init(&arena, 4096);
    pthread_mutex_lock(&worker->lock);
    worker->drain_status = result->status;
    if (result->status == PLEX_OK &&
        plex_wire_unpack(&plexspaces__node__v1__drain_node_response__descriptor,
                         result->payload, &arena, &message, &err) == PLEX_OK)
        worker->shards_left =
            ((Plexspaces__Node__V1__DrainNodeResponse *)message)->shards_left;
    worker->drained = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    plex_arena_fini(&arena);
}

static void
drain_send(struct plex_task *task)
{
    struct drain_call *call = plex_container_of(task, struct drain_call, task);
    Plexspaces__Node__V1__DrainNodeRequest request =
        PLEXSPACES__NODE__V1__DRAIN_NODE_REQUEST__INIT;
    struct plex_buf out = {.max = 1024};
    struct plex_err err;

    request.node_id = (char *)(uintptr_t)call->node;
    request.force = true;
    if (plex_wire_pack(&request.base, &out, &err) != PLEX_OK)
        abort();
    (void)plex_link_call(call->worker->host->link,
                         &(struct plex_link_request){
                             .peer = placement_url(call->worker),
                             .method = 203,
                             .context = &plex_context_none,
                             .payload = {out.data, out.len},
                             .done = drain_done,
                             .arg = call->worker,
                         });
    plex_buf_free(&out);
}

bool
worker_drain(struct worker *worker, const char *node, unsigned left)
{
    const struct timespec until = ten_seconds_on();
    struct drain_call call = {
        .task = {.run = drain_send}, .worker = worker, .node = node};
    bool late = false;

    do {
        worker->drained = false;
        plex_loop_post(worker->host->loop, &call.task);
        pthread_mutex_lock(&worker->lock);
        while (!worker->drained)
            late = pthread_cond_timedwait(&worker->changed, &worker->lock,
                                          &until) == ETIMEDOUT;
        pthread_mutex_unlock(&worker->lock);
    } while (worker->drain_status == PLEX_OK && worker->shards_left > left &&
             !late);
    return worker->drain_status == PLEX_OK && worker->shards_left <= left;
}
