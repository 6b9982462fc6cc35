/*
 * Events that are pushed: one at a time and in order for each subscription, so
 * that a dead endpoint holds up its own only. Guaranteed events are in the
 * core until they are acknowledged here: what fails is forgotten, and after a
 * pause the core is asked to tell again what it has.
 */
#include "services/tuplespace/target.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/post.h"
#include "services/placement/client.h"
#include "services/tuplespace/shell.h"
#include "services/worker/client.h"

#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum {
    QUEUE_EVENTS_MAX = 1024, /* per subscription */
    QUEUE_BYTES_MAX = 4 << 20,
    SEND_MS = 10000,
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 30000,
    TARGET_POOLS_MAX = 64,
    CHANNEL_BYTES_MAX = 5 << 20,
    UNKNOWN_MAX = 100, /* pauses until an event to unknown workers fails */
};

struct pushed {
    struct pushed *next;
    uint64_t number;
    size_t len;
    char json[];
};
/* One on its way; outlives its target. */
struct job {
    struct tspace_target *target; /* NULL: nobody cares any more */
    struct pushed *event;
};
struct tspace_target {
    UT_hash_handle hh;
    uint64_t id;
    struct tspace_shell *shell;
    char *tenant, *ns, *text;
    struct tspace_target_address address;
    bool guaranteed;
    struct pushed *first, *last;
    size_t n, bytes;
    uint64_t newest; /* the highest number that was accepted */
    uint64_t done;   /* the highest that arrived */
    bool missed;     /* refused some, which the core has */
    bool failing;
    bool paused;      /* until the timer */
    unsigned unknown; /* pauses because the workers were not known yet */
    uint64_t pause_ms;
    struct job *job;
    struct plex_timer *timer;
};
/* The workers of one pool; asked for by the first event to an actor there. */
struct tspace_pool {
    struct tspace_pool *next;
    char *name;
    struct place_watch *watch;
};

/* -- the table ---------------------------------------------------------------
 */

static struct tspace_target *
target_find(struct tspace_shell *shell, uint64_t id)
{
    struct tspace_target *target;

    HASH_FIND(hh, shell->targets, &id, sizeof id, target);
    return target;
}

static void
queue_drop(struct tspace_target *target)
{
    struct pushed *event;

    while ((event = target->first) != NULL) {
        target->first = event->next;
        free(event);
    }
    target->last = NULL;
    target->n = target->bytes = 0;
}

static struct pushed *
queue_take(struct tspace_target *target)
{
    struct pushed *event = target->first;

    target->first = event->next;
    if (target->first == NULL)
        target->last = NULL;
    target->n--;
    target->bytes -= event->len;
    return event;
}

static void
target_free(struct tspace_target *target)
{
    if (target->job != NULL)
        target->job->target = NULL;
    queue_drop(target);
    plex_timer_free(target->timer);
    HASH_DEL(target->shell->targets, target);
    free(target->tenant);
    free(target->ns);
    free(target->text);
    free(target);
}

void
tspace_target_ended(struct tspace_shell *shell, uint64_t id)
{
    struct tspace_target *target = target_find(shell, id);

    if (target != NULL)
        target_free(target);
}

void
tspace_target_reset(struct tspace_shell *shell)
{
    struct tspace_target *target, *next;

    HASH_ITER(hh, shell->targets, target, next)
    {
        target_free(target);
    }
}

/* -- what became of one ------------------------------------------------------
 */

static void send_next(struct tspace_target *target);

static void
pause_begin(struct tspace_target *target, uint64_t ms)
{
    target->paused = true;
    plex_timer_start(target->timer, ms);
}

static void
failed(struct tspace_target *target, const char *text)
{
    if (!target->failing)
        plex_log(PLEX_LOG_WARN, "event_undelivered",
                 "events of subscription %llu do not reach \"%.200s\": %s",
                 (unsigned long long)target->id, target->text, text);
    target->failing = true;
    target->shell->counters->undelivered->value++;
    if (target->guaranteed) {
        queue_drop(target);
        target->missed = true;
    }
    pause_begin(target, target->pause_ms);
    target->pause_ms *= 2;
    if (target->pause_ms > PAUSE_MAX_MS)
        target->pause_ms = PAUSE_MAX_MS;
}

static void
arrived(struct tspace_target *target, uint64_t number)
{
    const struct tspace_where where = {target->tenant, target->ns, ""};

    target->failing = false;
    target->pause_ms = PAUSE_MIN_MS;
    if (target->guaranteed) {
        target->done = number;
        if (target->shell->core != NULL)
            tspace_events_ask(target->shell, &where, target->id,
                              TSPACE_ACKNOWLEDGE, number, NULL);
    }
    send_next(target);
}

static void
job_done(void *arg, enum plex_status status, const char *text)
{
    struct job *job = arg;
    struct tspace_target *target = job->target;
    const uint64_t number = job->event->number;

    free(job->event);
    free(job);
    if (target == NULL)
        return;
    target->job = NULL;
    if (status == PLEX_OK)
        arrived(target, number);
    else
        failed(target, text);
}

/* What is not acknowledged comes again from its first on; nothing new may come
 * in between, so what the core has said already goes out before. */
static void
tell_again(struct tspace_target *target)
{
    struct tspace_shell *shell = target->shell;
    const uint64_t id = target->id;
    struct tspace_request *request;
    struct tspace_where where;

    tspace_shell_commit(shell);
    target = target_find(shell, id);
    if (target == NULL || shell->core == NULL)
        return;
    target->missed = false;
    target->newest = target->done;
    request = tspace_shell_request(shell, NULL, TSPACE_REPLY_EMPTY);
    request->about = TSPACE_ABOUT_TARGET;
    request->subscription = id;
    where = (struct tspace_where){target->tenant, target->ns, ""};
    tspace_events_ask(shell, &where, id, TSPACE_REDELIVER, 0, request);
}

static void
on_pause_end(void *arg)
{
    struct tspace_target *target = arg;

    target->paused = false;
    if (target->missed && target->first == NULL && target->job == NULL)
        tell_again(target);
    else
        send_next(target);
}

/* -- sending -----------------------------------------------------------------
 */

static void
on_invoked(void *arg, enum plex_status status, const char *text,
           const struct work_reply *reply)
{
    (void)reply;
    job_done(arg, status, text);
}

static void
on_sent(void *arg, const struct plex_link_result *result)
{
    job_done(arg, result->status, result->text);
}

static const char *
placement_url(void *arg)
{
    const struct tspace_server *server = arg;

    return reg_client_url(server->registry, "placement");
}

static void
on_table(void *arg, struct place_table *table)
{
    (void)arg;
    (void)table;
}

static struct place_table *
pool_table(struct tspace_server *server, const char *name)
{
    struct tspace_pool *pool;
    unsigned n = 0;

    for (pool = server->pools; pool != NULL; pool = pool->next, n++)
        if (strcmp(pool->name, name) == 0)
            return place_watch_table(pool->watch);
    if (n >= TARGET_POOLS_MAX)
        return NULL;
    pool = plex_calloc(1, sizeof *pool);
    pool->name = plex_strdup(name);
    pool->next = server->pools;
    server->pools = pool;
    pool->watch = place_watch_start(server->host->link, server->host->loop,
                                    name, placement_url, on_table, server);
    return NULL;
}

static const char *
worker_url(struct tspace_server *server, const struct plex_actor_id *id,
           struct plex_err *err)
{
    const struct reg_catalog *catalog = reg_client_catalog(server->registry);
    const struct reg_actor_type *type;
    const struct place_worker *owner = NULL;
    struct place_table *table;

    type = catalog == NULL
               ? NULL
               : reg_catalog_type(catalog, id->tenant, id->ns, id->type, NULL);
    if (type == NULL) {
        (void)plex_err_set(err, PLEX_NOT_FOUND,
                           "no actor type \"%s\" is deployed in namespace "
                           "\"%s\"",
                           id->type, id->ns);
        return NULL;
    }
    table = pool_table(server, type->pool);
    if (table != NULL)
        owner = place_table_owner(
            table, plex_shard_of(plex_actor_hash(id), table->shard_bits));
    if (owner == NULL)
        (void)plex_err_set(err, PLEX_UNAVAILABLE,
                           "no worker of pool \"%s\" has the actor now",
                           type->pool);
    return owner == NULL ? NULL : owner->url;
}

/* Which workers a pool has is asked for by the first event that goes there: it
 * waits for the answer, as do those behind it. */
static bool
wait_for_workers(struct tspace_target *target)
{
    struct tspace_server *server = target->shell->server;
    const struct reg_catalog *catalog = reg_client_catalog(server->registry);
    const struct reg_actor_type *type =
        target->address.kind != TSPACE_TARGET_ACTOR || catalog == NULL
            ? NULL
            : reg_catalog_type(catalog, target->tenant, target->ns,
                               target->address.type, NULL);

    if (type == NULL || pool_table(server, type->pool) != NULL ||
        target->unknown >= UNKNOWN_MAX) {
        target->unknown = 0;
        return false;
    }
    target->unknown++;
    pause_begin(target, PAUSE_MIN_MS);
    return true;
}

/* The same event again has the same id: it is done once. */
static void
id_make(const struct tspace_target *target, const struct pushed *event,
        uint8_t id[16])
{
    plex_random(id, 16);
    if (!target->guaranteed)
        return;
    for (unsigned i = 0; i < 8; i++) {
        id[i] = (uint8_t)(target->id >> (56 - 8 * i));
        id[8 + i] = (uint8_t)(event->number >> (56 - 8 * i));
    }
}

static struct plex_context
context_of(const struct tspace_target *target)
{
    struct plex_context context = plex_context_none;

    context.tenant = target->tenant;
    context.ns = target->ns;
    context.principal = "tuplespace";
    context.deadline = plex_now() + SEND_MS * UINT64_C(1000000);
    return context;
}

static enum plex_status
send_actor(struct tspace_target *target, struct job *job, struct plex_err *err)
{
    struct tspace_server *server = target->shell->server;
    const struct plex_context context = context_of(target);
    uint8_t id[16];
    const struct work_message message = {
        .to = {target->tenant, target->ns, target->address.type,
               target->address.rest},
        .kind = WORK_CAST,
        .id = {id, sizeof id},
        .method = "POST",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "application/json",
        .payload = {(const uint8_t *)job->event->json, job->event->len},
        .sender = "",
        .timer = "",
    };
    const char *url = worker_url(server, &message.to, err);

    if (url == NULL)
        return err->status;
    id_make(target, job->event, id);
    work_client_invoke(server->host->link, url, &context, &message, on_invoked,
                       job);
    return PLEX_OK;
}

static enum plex_status
send_channel(struct tspace_target *target, struct job *job,
             struct plex_err *err)
{
    struct tspace_server *server = target->shell->server;
    const char *url = reg_client_url(server->registry, "channel-broker");
    const struct plex_context context = context_of(target);
    struct plex_buf out = {.max = CHANNEL_BYTES_MAX};
    const struct plex_bytes payload = {(const uint8_t *)job->event->json,
                                       job->event->len};
    uint8_t id[16];

    if (url == NULL)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "no channel broker is known");
    id_make(target, job->event, id);
    if (tspace_wire_channel_send(target->address.rest, id, payload, &out,
                                 err) == PLEX_OK)
        plex_link_call(server->host->link, &(struct plex_link_request){
                                               .peer = url,
                                               .method = TSPACE_CHANNEL_SEND,
                                               .context = &context,
                                               .payload = {out.data, out.len},
                                               .done = on_sent,
                                               .arg = job,
                                           });
    plex_buf_free(&out);
    return err->status;
}

static enum plex_status
send_http(struct tspace_target *target, struct job *job, struct plex_err *err)
{
    struct tspace_server *server = target->shell->server;
    const struct plex_bytes body = {(const uint8_t *)job->event->json,
                                    job->event->len};

    if (server->post == NULL)
        return plex_err_set(err, PLEX_DENIED,
                            "webhook_allow is none: nothing is posted");
    if (!plex_post_send(server->post, target->text, "application/json", body,
                        SEND_MS, job_done, job))
        return plex_err_set(err, PLEX_LIMIT, "too many requests are under way");
    return PLEX_OK;
}

static void
send_next(struct tspace_target *target)
{
    struct plex_err err = {0};
    enum plex_status status;
    struct job *job;

    if (target->job != NULL || target->paused)
        return;
    if (target->first == NULL) {
        if (target->missed)
            pause_begin(target, 0);
        return;
    }
    if (wait_for_workers(target))
        return;
    job = plex_calloc(1, sizeof *job);
    job->target = target;
    job->event = queue_take(target);
    target->job = job;
    switch (target->address.kind) {
    case TSPACE_TARGET_ACTOR:
        status = send_actor(target, job, &err);
        break;
    case TSPACE_TARGET_CHANNEL:
        status = send_channel(target, job, &err);
        break;
    default:
        status = send_http(target, job, &err);
        break;
    }
    if (status != PLEX_OK)
        job_done(job, status, err.text);
}

/* -- events come -------------------------------------------------------------
 */

/* NULL: the target cannot be read, which a subscription's never is. */
static struct tspace_target *
target_make(struct tspace_shell *shell, const struct tspace_outgoing *event)
{
    struct tspace_target *target = target_find(shell, event->subscription);
    struct plex_err err;

    if (target != NULL)
        return target;
    target = plex_calloc(1, sizeof *target);
    target->id = event->subscription;
    target->shell = shell;
    target->tenant = plex_strdup(event->where.tenant);
    target->ns = plex_strdup(event->where.ns);
    target->text =
        plex_strdup((const char *)shell->out.data + event->target_at);
    target->guaranteed = event->guaranteed;
    target->pause_ms = PAUSE_MIN_MS;
    target->timer = plex_timer_create(shell->host->loop, on_pause_end, target);
    HASH_ADD(hh, shell->targets, id, sizeof target->id, target);
    if (tspace_target_parse(target->text, &target->address, &err) == PLEX_OK)
        return target;
    plex_log(PLEX_LOG_WARN, "event_dropped", "%s", err.text);
    target_free(target);
    return NULL;
}

static bool
is_full(const struct tspace_target *target, size_t len)
{
    return target->n > 0 && (target->n >= QUEUE_EVENTS_MAX ||
                             target->bytes + len > QUEUE_BYTES_MAX);
}

void
tspace_target_deliver(struct tspace_shell *shell,
                      const struct tspace_outgoing *event)
{
    struct tspace_target *target = target_make(shell, event);
    struct pushed *pushed;
    char *json;

    if (target == NULL || (event->guaranteed &&
                           (target->missed || event->number <= target->newest)))
        return;
    json = tspace_wire_event_json(
        (struct plex_bytes){shell->out.data + event->at, event->len},
        event->subscription);
    if (json == NULL)
        return;
    while (is_full(target, strlen(json)) && !event->guaranteed)
        free(queue_take(target));
    target->missed = event->guaranteed && is_full(target, strlen(json));
    if (!target->missed) {
        pushed = plex_calloc(1, sizeof *pushed + strlen(json) + 1);
        pushed->number = event->number;
        pushed->len = strlen(json);
        memcpy(pushed->json, json, pushed->len);
        if (target->last != NULL)
            target->last->next = pushed;
        else
            target->first = pushed;
        target->last = pushed;
        target->n++;
        target->bytes += pushed->len;
        if (pushed->number > target->newest)
            target->newest = pushed->number;
    }
    free(json);
    send_next(target);
}

/* -- life --------------------------------------------------------------------
 */

static const struct {
    const char *word;
    bool on;
    enum plex_post_reach reach;
} allowed[] = {
    {"any", true, PLEX_POST_ANY},
    {"public", true, PLEX_POST_PUBLIC},
    {"none", false, PLEX_POST_ANY},
};

enum plex_status
tspace_targets_check(const char *webhook_allow, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(webhook_allow, allowed[i].word) == 0)
            return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "webhook_allow is \"%.40s\": it is any, public or "
                        "none",
                        webhook_allow);
}

void
tspace_targets_start(struct tspace_server *server)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (allowed[i].on &&
            strcmp(server->config.webhook_allow, allowed[i].word) == 0)
            server->post =
                plex_post_create(server->host->loop, allowed[i].reach);
}

void
tspace_targets_stop(struct tspace_server *server)
{
    struct tspace_pool *pool;

    plex_post_free(server->post);
    while ((pool = server->pools) != NULL) {
        server->pools = pool->next;
        place_watch_stop(pool->watch);
        free(pool->name);
        free(pool);
    }
}
