/*
 * The other services as the gateway's clients of them would see them, decided
 * by the actor's key, so that every answer a worker can give is at hand:
 *
 *   echo    the payload comes back      fail     the handler fails
 *   lost    the worker is lost          full     the mailbox is full
 *   away    unavailable                 twice    unavailable, then fine
 *   busy    first request in flight     reused   the key was used otherwise
 *   replay  a recorded answer           meta     what the actor sees
 *   hang    until its deadline          status   201 text/plain, a header
 */
#include "tests/integration/gateway/fake_clients.h"
#include "common/mem.h"
#include "services/journal/client.h"
#include "services/placement/client.h"
#include "services/registry/client.h"
#include "services/worker/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the registry -----------------------------------------------------------
 */

struct reg_client {
    struct reg_client_config config;
    struct plex_task task;
    struct reg_catalog *catalog;
};

static void
catalog_arrives(struct plex_task *task)
{
    static const struct reg_actor_type types[] = {
        {.name = "counter",
         .module = "m",
         .behaviour = "b",
         .is_virtual = true,
         .durable = true,
         .pool = "default"},
        {.name = "volatile",
         .module = "m",
         .behaviour = "b",
         .is_virtual = true,
         .pool = "default"},
        {.name = "daemon", .module = "m", .behaviour = "b", .pool = "default"}};
    static const struct reg_app apps[] = {{.tenant = "default",
                                           .ns = "default",
                                           .name = "demo",
                                           .version = "1.0.0",
                                           .description = "",
                                           .state = REG_APP_RUNNING,
                                           .types = types,
                                           .n_types = 3}};
    static const struct reg_node nodes[] = {{.node_id = "journal",
                                             .kind = "journal",
                                             .status = REG_NODE_READY,
                                             .url = "inproc://fake-journal",
                                             .admin_addr = "",
                                             .version = "",
                                             .reason = ""},
                                            {.node_id = "worker-1",
                                             .kind = "worker",
                                             .status = REG_NODE_LOST,
                                             .url = "inproc://fake-worker",
                                             .admin_addr = "",
                                             .version = "",
                                             .reason = "its lease lapsed"}};
    struct reg_client *c = plex_container_of(task, struct reg_client, task);

    c->catalog = reg_catalog_make(1, nodes, 2, apps, 1);
    c->config.changed(c->config.arg, c->catalog);
}

struct reg_client *
reg_client_start(const struct reg_client_config *config)
{
    struct reg_client *c = plex_calloc(1, sizeof *c);

    c->config = *config;
    c->task.run = catalog_arrives;
    plex_loop_defer(config->host->loop, &c->task);
    return c;
}

void
reg_client_status(struct reg_client *client, enum reg_node_status status,
                  const char *reason)
{
    plex_service_ready(client->config.host, status == REG_NODE_READY, reason);
}

struct reg_catalog *
reg_client_catalog(const struct reg_client *client)
{
    return client->catalog;
}

const char *
reg_client_url(const struct reg_client *client, const char *kind)
{
    (void)client;
    return strcmp(kind, "journal") == 0 ? "inproc://fake-journal" : NULL;
}

const char *
reg_client_next_url(struct reg_client *client, const char *kind)
{
    return reg_client_url(client, kind);
}

void
reg_client_stop(struct reg_client *client)
{
    reg_catalog_unref(client->catalog);
    free(client);
}

/* -- placement --------------------------------------------------------------
 */

struct place_watch {
    struct plex_task task;
    struct place_table *table;
    void (*changed)(void *arg, struct place_table *table);
    void *arg;
};

static void
table_arrives(struct plex_task *task)
{
    struct place_watch *w = plex_container_of(task, struct place_watch, task);
    struct place_table *t = plex_calloc(1, sizeof *t);

    t->refs = 1;
    t->version = 1;
    t->pool = plex_strdup("default");
    t->shard_bits = PLACE_SHARD_BITS;
    t->workers = plex_calloc(1, sizeof *t->workers);
    t->workers[0].node_id = plex_strdup("worker-1");
    t->workers[0].url = plex_strdup("inproc://fake-worker");
    t->n_workers = 1;
    t->ranges = plex_calloc(1, sizeof *t->ranges);
    t->ranges[0] = (struct place_range){.last = 4095, .epoch = 1};
    t->n_ranges = 1;
    w->table = t;
    w->changed(w->arg, t);
}

struct place_watch *
place_watch_start(struct plex_link *link, struct plex_loop *loop,
                  const char *pool, const char *(*url)(void *arg),
                  void (*changed)(void *arg, struct place_table *table),
                  void *arg)
{
    struct place_watch *w = plex_calloc(1, sizeof *w);

    (void)link;
    (void)pool;
    (void)url;
    w->changed = changed;
    w->arg = arg;
    w->task.run = table_arrives;
    plex_loop_defer(loop, &w->task);
    fake_loop = loop;
    return w;
}

void
place_watch_hint(struct place_watch *watch, uint64_t version)
{
    (void)watch;
    (void)version;
}

struct place_table *
place_watch_table(const struct place_watch *watch)
{
    return watch->table;
}

void
place_watch_stop(struct place_watch *watch)
{
    place_table_unref(watch->table);
    free(watch);
}

/* -- the worker -------------------------------------------------------------
 */

/* Of the one gateway under test; its thread's. */
_Thread_local struct plex_loop *fake_loop;
static _Thread_local unsigned twice;

struct invoked {
    struct plex_task task;
    struct plex_timer *timer;
    const struct work_message *message;
    struct work_header header;
    char text[1000];
    work_invoke_fn done;
    void *arg;
};

static void
invoked_end(struct invoked *i, enum plex_status status,
            const struct work_reply *reply)
{
    i->done(i->arg, status, status == PLEX_OK ? "" : "said the fake", reply);
    plex_timer_free(i->timer);
    free(i);
}

static void
reply_meta(struct invoked *i, struct work_reply *reply)
{
    const struct work_message *m = i->message;
    int n = snprintf(i->text, sizeof i->text,
                     "{\"method\":\"%s\",\"subpath\":\"%s\",\"kind\":%d,"
                     "\"headers\":%zu,\"delay\":%d}",
                     m->method, m->subpath, m->kind, m->n_headers,
                     (int)m->delay_ms);

    reply->payload = (struct plex_bytes){(uint8_t *)i->text, (size_t)n};
}

static void
reply_status(struct invoked *i, struct work_reply *reply)
{
    i->header = (struct work_header){"X-Mine", "yes"};
    reply->http_status = 201;
    reply->content_type = "text/plain";
    reply->headers = &i->header;
    reply->n_headers = 1;
    reply->payload = (struct plex_bytes){(const uint8_t *)"made", 4};
}

static void
invoked_run(struct plex_task *task)
{
    struct invoked *i = plex_container_of(task, struct invoked, task);
    const char *key = i->message->to.key;
    struct work_reply reply = {.content_type = "", .error = ""};
    enum plex_status status = PLEX_OK;

    reply.payload = i->message->payload;
    reply.due_ms = i->message->delay_ms > 0 ? 1700000000000 : 0;
    if (strcmp(key, "fail") == 0) {
        reply.failed = true;
        reply.error = "it \"broke\"";
    } else if (strcmp(key, "meta") == 0) {
        reply_meta(i, &reply);
    } else if (strcmp(key, "status") == 0) {
        reply_status(i, &reply);
    } else if (strcmp(key, "replay") == 0) {
        reply.replayed = true;
    } else if (strcmp(key, "lost") == 0) {
        status = PLEX_UNKNOWN;
    } else if (strcmp(key, "full") == 0) {
        status = PLEX_LIMIT;
    } else if (strcmp(key, "away") == 0) {
        status = PLEX_UNAVAILABLE;
    } else if (strcmp(key, "twice") == 0) {
        status = ++twice % 2 == 1 ? PLEX_UNAVAILABLE : PLEX_OK;
    } else if (strcmp(key, "busy") == 0) {
        status = PLEX_IN_FLIGHT;
    } else if (strcmp(key, "reused") == 0) {
        status = PLEX_MISMATCH;
    }
    invoked_end(i, status, status == PLEX_OK ? &reply : NULL);
}

static void
invoked_timeout(void *arg)
{
    invoked_end(arg, PLEX_TIMEOUT, NULL);
}

uint64_t
work_client_invoke(struct plex_link *link, const char *url,
                   const struct plex_context *context,
                   const struct work_message *message, work_invoke_fn done,
                   void *arg)
{
    struct invoked *i = plex_calloc(1, sizeof *i);

    (void)link;
    (void)url;
    i->message = message;
    i->done = done;
    i->arg = arg;
    i->task.run = invoked_run;
    if (strcmp(message->to.key, "hang") == 0) {
        i->timer = plex_timer_create(fake_loop, invoked_timeout, i);
        plex_timer_start(i->timer,
                         (context->deadline - plex_now()) / 1000000 + 1);
    } else {
        plex_loop_defer(fake_loop, &i->task);
    }
    return 1;
}

struct listed {
    struct plex_task task;
    work_list_fn done;
    void *arg;
    char after[PLEX_ACTOR_NAME_MAX + 1];
    uint32_t limit;
    bool one;
};

static void
listed_run(struct plex_task *task)
{
    static const char *const ids[] = {"default/default/counter/a",
                                      "default/default/counter/b",
                                      "default/default/counter/c"};
    struct listed *l = plex_container_of(task, struct listed, task);
    struct work_actor actors[3];
    size_t n = 0;

    for (size_t i = 0; i < 3 && n < l->limit; i++)
        if (l->one ? strcmp(ids[i], l->after) == 0
                   : strcmp(ids[i], l->after) > 0)
            actors[n++] = (struct work_actor){.actor_id = ids[i],
                                              .state = WORK_ACTOR_ACTIVE,
                                              .node_id = "worker-1",
                                              .durable = true};
    if (l->one && n == 0)
        l->done(l->arg, PLEX_NOT_FOUND, "no such actor", NULL, 0);
    else
        l->done(l->arg, PLEX_OK, "", actors, n);
    free(l);
}

static struct listed *
listed_start(uint32_t limit, work_list_fn done, void *arg)
{
    struct listed *l = plex_calloc(1, sizeof *l);

    l->limit = limit;
    l->done = done;
    l->arg = arg;
    l->task.run = listed_run;
    plex_loop_defer(fake_loop, &l->task);
    return l;
}

void
work_client_list(struct plex_link *link, const char *url,
                 const struct plex_context *context, const char *tenant,
                 const char *ns, const char *type, const char *after,
                 uint32_t limit, work_list_fn done, void *arg)
{
    (void)link, (void)url, (void)context, (void)tenant, (void)ns, (void)type;
    (void)snprintf(listed_start(limit, done, arg)->after,
                   PLEX_ACTOR_NAME_MAX + 1, "%s", after);
}

void
work_client_inspect(struct plex_link *link, const char *url,
                    const struct plex_context *context,
                    const struct plex_actor_id *actor, work_list_fn done,
                    void *arg)
{
    struct listed *l = listed_start(1, done, arg);

    (void)link, (void)url, (void)context;
    l->one = true;
    plex_actor_format(actor, l->after, sizeof l->after);
}

/* No test here asks for a state that code makes. */
void
work_client_rebuild(struct plex_link *link, const char *url,
                    const struct plex_context *context,
                    const struct work_rebuild *rebuild, work_rebuilt_fn done,
                    void *arg)
{
    (void)link, (void)url, (void)context, (void)rebuild, (void)done, (void)arg;
    abort();
}

/* -- the journal ------------------------------------------------------------
 */

struct looked {
    struct plex_task task;
    uint8_t first; /* of the id */
    journal_lookup_fn done;
    void *arg;
};

/* Ids of keys that begin with 'd' are done, 's' scheduled, 'b' binary. */
static void
looked_run(struct plex_task *task)
{
    struct looked *l = plex_container_of(task, struct looked, task);
    struct journal_lookup found = {
        .actor = {"default", "default", "counter", "a"},
        .waiting = l->first == 's',
        .due_ms = 7,
        .at_ms = 5};
    struct work_reply reply = {.content_type = "", .error = ""};
    struct plex_buf buf = {.max = 1000};
    struct plex_err err;

    reply.payload =
        l->first == 'b'
            ? (struct plex_bytes){(const uint8_t *)"\xff\xfe", 2}
            : (struct plex_bytes){(const uint8_t *)"{\"count\":3}", 11};
    if (work_reply_pack(&reply, &buf, &err) != PLEX_OK)
        abort();
    found.reply = (struct plex_bytes){buf.data, buf.len};
    if (l->first == 'd' || l->first == 's' || l->first == 'b')
        l->done(l->arg, PLEX_OK, "", &found);
    else
        l->done(l->arg, PLEX_NOT_FOUND, "nothing", NULL);
    plex_buf_free(&buf);
    free(l);
}

void
journal_client_lookup(struct journal_client *client,
                      const struct plex_context *context, const char *tenant,
                      struct plex_bytes message_id, journal_lookup_fn done,
                      void *arg)
{
    struct looked *l = plex_calloc(1, sizeof *l);

    (void)client, (void)context, (void)tenant;
    l->first = message_id.len > 18 ? message_id.data[18] : 0;
    if (message_id.len > 2 && memcmp(message_id.data, "w:", 2) == 0)
        l->first = 'u'; /* no run is open */
    l->done = done;
    l->arg = arg;
    l->task.run = looked_run;
    plex_loop_defer(fake_loop, &l->task);
}
