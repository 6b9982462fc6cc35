#include "tests/integration/worker/cluster.h"

#include "plexspaces/application/v1/application.pb-c.h"
#include "services/journal/service.h"
#include "services/placement/service.h"
#include "services/registry/service.h"
#include "services/worker/service.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { REGISTRY, PLACEMENT, JOURNAL, WORKER, PARTS = WORKER + 2 };

static char folder[64];
static char urls[PARTS][96];
static char nodes[PARTS][24];
static char dsn[96];
static struct plex_setting settings[PARTS][10];
static struct plex_instance *parts[PARTS];
static struct plex_loop *loop;
static struct plex_link *link_;
static struct place_watch *watch;
static struct plex_timer *poll;

static void
part_start(int at, const struct plex_service *service, const char *option,
           const char *value)
{
    struct plex_setting *s = settings[at];
    struct plex_err err;
    int n = 0;

    s[n++] = (struct plex_setting){"node", nodes[at]};
    s[n++] = (struct plex_setting){"listen_url", urls[at]};
    s[n++] = (struct plex_setting){"registry_url", urls[REGISTRY]};
    s[n++] = (struct plex_setting){"admin_addr", ""};
    s[n++] = (struct plex_setting){"log_level", "error"};
    s[n++] = (struct plex_setting){option, value};
    s[n] = (struct plex_setting){0};
    ck_assert_msg(plex_instance_start(&parts[at], service, s, &err) == PLEX_OK,
                  "%s: %s", nodes[at], err.text);
}

void
cluster_worker_start(int at)
{
    part_start(WORKER + at, &work_service, "module_dir", MODULE_DIR);
    ck_assert(
        plex_instance_wait_ready(parts[WORKER + at], CLUSTER_DEADLINE_MS));
}

void
cluster_worker_stop(int at)
{
    plex_instance_stop(parts[WORKER + at]);
    parts[WORKER + at] = NULL;
}

void
cluster_worker_kill(int at)
{
    plex_instance_kill(parts[WORKER + at]);
    parts[WORKER + at] = NULL;
}

void
cluster_journal_start(void)
{
    part_start(JOURNAL, &journal_service, "store_dsn", dsn);
}

void
cluster_journal_kill(void)
{
    plex_instance_kill(parts[JOURNAL]);
    parts[JOURNAL] = NULL;
}

/* -- waiting
 * ----------------------------------------------------------------------- */

static void
on_poll(void *arg)
{
    (void)arg;
}

/* Until *done, or a little later. */
static void
wait_for(const bool *done, uint64_t ms)
{
    const uint64_t until = plex_now() + ms * UINT64_C(1000000);

    while (!*done && plex_now() < until) {
        plex_timer_start(poll, 10);
        (void)uv_run(plex_loop_uv(loop), UV_RUN_ONCE);
    }
    plex_timer_stop(poll);
}

static const char *
placement_url(void *arg)
{
    (void)arg;
    return urls[PLACEMENT];
}

static void
on_table(void *arg, struct place_table *table)
{
    (void)arg;
    (void)table;
}

void
cluster_start(int workers)
{
    static const char *const kinds[PARTS] = {"registry", "placement", "journal",
                                             "worker-1", "worker-2"};
    static const struct plex_method none[] = {{0}};
    static int generation;
    char own[96];
    struct plex_err err;

    (void)snprintf(folder, sizeof folder, "/tmp/plex-worker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    generation++;
    for (int i = 0; i < PARTS; i++) {
        (void)snprintf(urls[i], sizeof urls[i], "inproc://wt%d-%s", generation,
                       kinds[i]);
        (void)snprintf(nodes[i], sizeof nodes[i], "%s", kinds[i]);
        parts[i] = NULL;
    }
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/journal.db", folder);
    (void)snprintf(own, sizeof own, "inproc://wt%d-client", generation);
    part_start(REGISTRY, &reg_service, "store_dsn", "mem:");
    part_start(PLACEMENT, &place_service, "store_dsn", "mem:");
    cluster_journal_start();
    for (int i = 0; i < workers; i++)
        part_start(WORKER + i, &work_service, "module_dir", MODULE_DIR);
    for (int i = 0; i < WORKER + workers; i++)
        ck_assert_msg(plex_instance_wait_ready(parts[i], CLUSTER_DEADLINE_MS),
                      "%s is not ready", nodes[i]);
    ck_assert_int_eq(plex_loop_create(&loop, &err), PLEX_OK);
    ck_assert_int_eq(plex_link_open(&link_, loop,
                                    &(struct plex_link_config){
                                        .listen_url = own, .methods = none},
                                    &err),
                     PLEX_OK);
    poll = plex_timer_create(loop, on_poll, NULL);
    watch = place_watch_start(link_, loop, "default", placement_url, on_table,
                              NULL);
    cluster_deploy();
}

void
cluster_stop(void)
{
    char command[100];

    place_watch_stop(watch);
    plex_timer_free(poll);
    plex_link_close(link_);
    plex_loop_free(loop);
    for (int i = PARTS - 1; i >= 0; i--)
        plex_instance_stop(parts[i]);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* -- the application
 * ------------------------------------------------------------------ */

static struct {
    bool done;
    enum plex_status status;
    char text[256];
} plain;

static void
on_plain(void *arg, const struct plex_link_result *result)
{
    (void)arg;
    plain.done = true;
    plain.status = result->status;
    (void)snprintf(plain.text, sizeof plain.text, "%s", result->text);
}

static struct plex_context
context(const char *tenant)
{
    struct plex_context context = plex_context_none;

    context.tenant = tenant;
    context.ns = "default";
    context.request_id = "test";
    context.deadline = plex_now() + UINT64_C(5000) * 1000000;
    return context;
}

static void
call_plain(const char *peer, uint32_t method, struct plex_bytes payload)
{
    const struct plex_context c = context("default");
    const struct plex_link_request request = {.peer = peer,
                                              .method = method,
                                              .context = &c,
                                              .payload = payload,
                                              .done = on_plain};

    plain.done = false;
    (void)plex_link_call(link_, &request);
    wait_for(&plain.done, CLUSTER_DEADLINE_MS);
    ck_assert(plain.done);
}

void
cluster_deploy(void)
{
    Plexspaces__Application__V1__DeployApplicationRequest request =
        PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_REQUEST__INIT;
    Plexspaces__Application__V1__Application app =
        PLEXSPACES__APPLICATION__V1__APPLICATION__INIT;
    Plexspaces__Application__V1__ActorType types[3], *rows[3];
    uint8_t packed[1024];

    for (int i = 0; i < 3; i++) {
        plexspaces__application__v1__actor_type__init(&types[i]);
        types[i].module = i < 2 ? "counter" : "absent";
        types[i].behaviour = "counter";
        types[i].virtual_ = true;
        types[i].durable = i != 1;
        types[i].name = (char *[]){"counter", "volatile", "absent"}[i];
        rows[i] = &types[i];
    }
    app.name = "demo";
    app.version = "1.0.0";
    app.namespace_ = "default";
    app.actor_types = rows;
    app.n_actor_types = 3;
    request.application = &app;
    call_plain(urls[REGISTRY], 301,
               (struct plex_bytes){
                   packed, protobuf_c_message_pack(&request.base, packed)});
    ck_assert_msg(plain.status == PLEX_OK, "%s", plain.text);
}

void
cluster_application(uint32_t method)
{
    Plexspaces__Application__V1__StopApplicationRequest request =
        PLEXSPACES__APPLICATION__V1__STOP_APPLICATION_REQUEST__INIT;
    uint8_t packed[128];

    request.name = "demo";
    request.namespace_ = "default";
    call_plain(urls[REGISTRY], method,
               (struct plex_bytes){
                   packed, protobuf_c_message_pack(&request.base, packed)});
    ck_assert_msg(plain.status == PLEX_OK, "%s", plain.text);
}

/* -- calls
 * ----------------------------------------------------------------------------------
 */

static void
on_invoked(void *arg, enum plex_status status, const char *text,
           const struct work_reply *reply)
{
    struct cluster_reply *out = arg;

    out->done = true;
    out->status = status;
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    if (reply == NULL)
        return;
    (void)snprintf(out->payload, sizeof out->payload, "%.*s",
                   (int)reply->payload.len, (const char *)reply->payload.data);
    out->http_status = reply->http_status;
    out->failed = reply->failed;
    out->replayed = reply->replayed;
    out->recorded = reply->recorded;
    out->table_version = reply->table_version;
}

static const char *
owner_url(const struct plex_actor_id *id)
{
    const struct place_table *table = place_watch_table(watch);
    const struct place_worker *worker =
        table == NULL
            ? NULL
            : place_table_owner(
                  table, plex_shard_of(plex_actor_hash(id), table->shard_bits));

    return worker == NULL ? NULL : worker->url;
}

static struct cluster_reply
try_with(const struct cluster_call *call, const char *id, int worker)
{
    const struct plex_context c =
        context(call->tenant == NULL ? "default" : call->tenant);
    const struct work_message m = {
        .to = {"default", "default",
               call->type == NULL ? "counter" : call->type, call->key},
        .kind = call->kind == 0 ? WORK_CALL : call->kind,
        .id = {(const uint8_t *)id, strlen(id)},
        .request_hash = call->hash,
        .ttl_ms = 600000,
        .delay_ms = call->delay_ms,
        .method = "POST",
        .path = "/x",
        .subpath = "",
        .query = "",
        .content_type = "application/json",
        .payload = {(const uint8_t *)call->payload, strlen(call->payload)},
        .sender = "",
        .timer = "",
    };
    struct cluster_reply reply = {.status = PLEX_UNAVAILABLE};
    const char *url = worker >= 0 ? urls[WORKER + worker] : owner_url(&m.to);

    if (url == NULL)
        return reply;
    (void)work_client_invoke(link_, url, &c, &m, on_invoked, &reply);
    wait_for(&reply.done, CLUSTER_DEADLINE_MS);
    ck_assert(reply.done);
    return reply;
}

static void
fresh(char id[32])
{
    static unsigned long n;

    (void)snprintf(id, 32, "fresh-%lu", ++n);
}

struct cluster_reply
cluster_try(const struct cluster_call *call, int worker)
{
    char id[32];

    fresh(id);
    return try_with(call, call->id == NULL ? id : call->id, worker);
}

struct cluster_reply
cluster_call(const struct cluster_call *call)
{
    const uint64_t until = plex_now() + CLUSTER_DEADLINE_MS * UINT64_C(1000000);
    const bool never = false;
    struct cluster_reply reply;
    char id[32];

    fresh(id);
    do {
        reply = try_with(call, call->id == NULL ? id : call->id, -1);
        if (reply.status != PLEX_UNAVAILABLE &&
            reply.status != PLEX_NOT_OWNER && reply.status != PLEX_UNKNOWN &&
            reply.status != PLEX_TIMEOUT)
            return reply;
        wait_for(&never, 20);
    } while (plex_now() < until);
    return reply;
}

enum plex_status
cluster_raw(struct plex_bytes payload)
{
    call_plain(urls[WORKER], 601, payload);
    return plain.status;
}

void
cluster_until(const struct cluster_call *call, const char *payload)
{
    const uint64_t until = plex_now() + CLUSTER_DEADLINE_MS * UINT64_C(1000000);
    const bool never = false;
    struct cluster_reply reply;

    do {
        reply = cluster_call(call);
        if (strcmp(reply.payload, payload) == 0)
            return;
        wait_for(&never, 20);
    } while (plex_now() < until);
    ck_abort_msg("waited for %s, it is %s (%s)", payload, reply.payload,
                 reply.text);
}

/* -- looking
 * ----------------------------------------------------------------------------------
 */

static struct {
    bool done;
    enum plex_status status;
    size_t n;
    char first[256];
    enum work_actor_state state;
    uint64_t sequence;
} listed;

static void
on_listed(void *arg, enum plex_status status, const char *text,
          const struct work_actor *actors, size_t n)
{
    (void)arg;
    (void)text;
    listed.done = true;
    listed.status = status;
    listed.n = n;
    if (n > 0) {
        (void)snprintf(listed.first, sizeof listed.first, "%s",
                       actors[0].actor_id);
        listed.state = actors[0].state;
        listed.sequence = actors[0].sequence;
    }
}

size_t
cluster_list(const char *type, char *first)
{
    const struct plex_context c = context("default");

    listed.done = false;
    work_client_list(link_, urls[WORKER], &c, "default", "", type, "", 100,
                     on_listed, NULL);
    wait_for(&listed.done, CLUSTER_DEADLINE_MS);
    ck_assert_int_eq(listed.status, PLEX_OK);
    (void)snprintf(first, 256, "%s", listed.first);
    return listed.n;
}

enum plex_status
cluster_inspect(const char *type, const char *key, enum work_actor_state *state,
                uint64_t *sequence)
{
    const struct plex_context c = context("default");
    const struct plex_actor_id id = {"default", "default", type, key};

    listed.done = false;
    work_client_inspect(link_, owner_url(&id), &c, &id, on_listed, NULL);
    wait_for(&listed.done, CLUSTER_DEADLINE_MS);
    *state = listed.state;
    *sequence = listed.sequence;
    return listed.status;
}
