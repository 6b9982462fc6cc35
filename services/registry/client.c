/* Announces this node and keeps a copy of the catalogue, whatever happens to
 * the registry meanwhile. */
#include "services/registry/client.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/registry/client_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANNOUNCE_MS = 500, /* a third of the lease */
    ANNOUNCE_TIMEOUT_MS = 1000,
    RETRY_MS = 100,
    REFUSED_MS_MAX = 10000,
    WATCH_MS = 30000,
    WATCH_TIMEOUT_MS = 40000,
    REQUEST_BYTES_MAX = 2 << 20, /* thousands of claims */
    REPLICAS_MAX = 16,
    CATALOG_ARENA_MAX = 256 << 20,
};

struct reg_client {
    struct reg_client_config config;
    const char *url; /* the registry's */
    enum reg_node_status status;
    char *reason;
    uint64_t started_ms;
    uint64_t lease_end;     /* plex_now() scale; 0: none yet */
    uint64_t refused_since; /* 0: we are not */
    bool stopped;
    unsigned pending;  /* calls whose done() has not run */
    uint64_t announce; /* call ids, 0: none under way */
    uint64_t announce_sent;
    bool announce_again;
    uint64_t watch;
    uint64_t have; /* catalogue version */
    struct plex_timer *announce_timer;
    struct plex_timer *watch_timer;
    struct plex_arena arena;
    struct reg_catalog *catalog;
    size_t turn; /* of reg_client_next_url() */
    bool said_ready, said_anything;
};

static void watch_send(void *arg);
static void announce_send(void *arg);

static void
client_free(struct reg_client *client)
{
    if (client->pending > 0)
        return;
    plex_arena_fini(&client->arena);
    free(client->reason);
    free(client);
}

static void
call(struct reg_client *client, uint32_t method, uint64_t timeout_ms,
     const ProtobufCMessage *message, plex_link_fn done, uint64_t *id)
{
    struct plex_context context = plex_context_none;
    struct plex_buf payload = {.max = REQUEST_BYTES_MAX};
    struct plex_err err;
    struct plex_link_request request = {
        .peer = client->url,
        .method = method,
        .context = &context,
        .retry = true,
        .done = done,
        .arg = client,
    };

    context.deadline = plex_now() + timeout_ms * 1000000U;
    context.principal = client->config.host->base->node;
    if (plex_wire_pack(message, &payload, &err) != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "registry-request", "%s", err.text);
    request.payload = (struct plex_bytes){payload.data, payload.len};
    client->pending++;
    *id = plex_link_call(client->config.host->link, &request);
    plex_buf_free(&payload);
}

/* -- readiness ------------------------------------------------------------- */

static void
ready_say(struct reg_client *client)
{
    const bool leased = plex_now() < client->lease_end;
    const bool ready = client->status == REG_NODE_READY && leased;
    const char *reason = client->reason;

    if (client->stopped)
        return;
    if (client->status == REG_NODE_READY && !leased)
        reason = client->refused_since != 0
                     ? "another node of this name holds a lease"
                     : "plex-registry does not answer";
    /* A changed reason is worth saying only while we are not ready. */
    if (client->said_anything && client->said_ready && ready)
        return;
    client->said_anything = true;
    client->said_ready = ready;
    plex_service_ready(client->config.host, ready, ready ? "" : reason);
}

/* -- announcing ------------------------------------------------------------ */

static void
refused(struct reg_client *client, const char *text)
{
    const uint64_t now = plex_now();

    if (client->refused_since == 0) {
        client->refused_since = now;
        plex_log(PLEX_LOG_WARN, "registry-refused", "%s", text);
    }
    if (client->config.refused != NULL)
        client->config.refused(client->config.arg, text);
    if (now - client->refused_since > REFUSED_MS_MAX * UINT64_C(1000000)) {
        struct plex_err err;

        (void)plex_err_set(&err, PLEX_EXISTS, "%s", text);
        plex_service_abort(client->config.host, &err);
    }
}

static void
granted(struct reg_client *client, struct plex_bytes payload)
{
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_reset(&client->arena);
    if (plex_wire_unpack(&plexspaces__registry__v1__announce_reply__descriptor,
                         payload, &client->arena, &message, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_WARN, "registry-reply", "%s", err.text);
        return;
    }
    client->refused_since = 0;
    client->lease_end =
        client->announce_sent +
        ((Plexspaces__Registry__V1__AnnounceReply *)message)->lease_ms *
            1000000U;
}

static void
announce_done(void *arg, const struct plex_link_result *result)
{
    struct reg_client *client = arg;
    uint64_t delay = ANNOUNCE_MS;

    client->pending--;
    client->announce = 0;
    if (client->stopped) {
        client_free(client);
        return;
    }
    if (result->status == PLEX_OK)
        granted(client, result->payload);
    else if (result->status == PLEX_EXISTS)
        refused(client, result->text);
    if (result->status != PLEX_OK)
        delay = RETRY_MS;
    if (client->announce_again)
        delay = 0;
    client->announce_again = false;
    ready_say(client);
    if (result->status != PLEX_CANCELLED)
        plex_timer_start(client->announce_timer, delay);
}

/* What it returns, and request->trees, is to be freed. */
static Plexspaces__Registry__V1__TreeClaim *
claims_out(const struct reg_node *node,
           Plexspaces__Registry__V1__AnnounceRequest *request)
{
    Plexspaces__Registry__V1__TreeClaim *trees =
        plex_calloc(node->n_claims + 1, sizeof *trees);

    request->n_trees = node->n_claims;
    request->trees = plex_calloc(node->n_claims + 1, sizeof *request->trees);
    for (size_t i = 0; i < node->n_claims; i++) {
        plexspaces__registry__v1__tree_claim__init(&trees[i]);
        trees[i].tenant = plex_wire_text(node->claims[i].tenant);
        trees[i].namespace_ = plex_wire_text(node->claims[i].ns);
        trees[i].application = plex_wire_text(node->claims[i].app);
        trees[i].epoch = node->claims[i].epoch;
        request->trees[i] = &trees[i];
    }
    return trees;
}

static void
announce_send(void *arg)
{
    struct reg_client *client = arg;
    const struct plex_host *host = client->config.host;
    Plexspaces__Registry__V1__AnnounceRequest request;
    Plexspaces__Registry__V1__TreeClaim *trees;
    Plexspaces__Node__V1__Node node_pb;
    struct reg_node node = {
        .node_id = host->base->node,
        .kind = client->config.kind,
        .status = client->status,
        .url = plex_link_url(host->link),
        .admin_addr = host->base->admin_addr,
        .incarnation = host->incarnation,
        .version = PLEX_VERSION,
        .started_ms = client->started_ms,
        .reason = client->reason,
        .resident_bytes = plex_metrics_resident(),
    };

    ready_say(client);
    if (client->announce != 0) {
        client->announce_again = true;
        return;
    }
    if (client->config.describe != NULL)
        client->config.describe(client->config.arg, &node);
    reg_pb_node_out(&node, &node_pb);
    plexspaces__registry__v1__announce_request__init(&request);
    request.node = &node_pb;
    trees = claims_out(&node, &request);
    request.without_trees = node.without_trees;
    client->announce_sent = plex_now();
    call(client,
         PLEXSPACES__REGISTRY__V1__REGISTRY_METHOD__REGISTRY_METHOD_ANNOUNCE,
         ANNOUNCE_TIMEOUT_MS, &request.base, announce_done, &client->announce);
    free(trees);
    free(request.trees);
}

/* -- watching -------------------------------------------------------------- */

static enum plex_status
catalog_take(struct reg_client *client, struct plex_bytes payload,
             struct plex_err *err)
{
    ProtobufCMessage *message;
    Plexspaces__Registry__V1__WatchReply *reply;
    struct reg_catalog *catalog;

    plex_arena_reset(&client->arena);
    if (plex_wire_unpack(&plexspaces__registry__v1__watch_reply__descriptor,
                         payload, &client->arena, &message, err) != PLEX_OK)
        return err->status;
    reply = (Plexspaces__Registry__V1__WatchReply *)message;
    if (reply->unchanged)
        return PLEX_OK;
    if (reg_pb_catalog_in(reply, &client->arena, &catalog, err) != PLEX_OK)
        return err->status;
    reg_catalog_unref(client->catalog);
    client->catalog = catalog;
    client->have = reg_catalog_version(catalog);
    if (client->config.changed != NULL)
        client->config.changed(client->config.arg, catalog);
    return PLEX_OK;
}

static void
watch_done(void *arg, const struct plex_link_result *result)
{
    struct reg_client *client = arg;
    enum plex_status status = result->status;
    struct plex_err err;

    client->pending--;
    client->watch = 0;
    if (client->stopped) {
        client_free(client);
        return;
    }
    if (status == PLEX_OK) {
        status = catalog_take(client, result->payload, &err);
        if (status != PLEX_OK)
            plex_log(PLEX_LOG_WARN, "registry-catalog", "%s", err.text);
    }
    if (status == PLEX_OK)
        watch_send(client);
    else if (status != PLEX_CANCELLED)
        plex_timer_start(client->watch_timer, RETRY_MS);
}

static void
watch_send(void *arg)
{
    struct reg_client *client = arg;
    Plexspaces__Registry__V1__WatchRequest request;

    plexspaces__registry__v1__watch_request__init(&request);
    request.have_version = client->have;
    request.timeout_ms = WATCH_MS;
    call(client,
         PLEXSPACES__REGISTRY__V1__REGISTRY_METHOD__REGISTRY_METHOD_WATCH,
         WATCH_TIMEOUT_MS, &request.base, watch_done, &client->watch);
}

/* -- life ------------------------------------------------------------------ */

struct reg_client *
reg_client_start(const struct reg_client_config *config)
{
    struct reg_client *client = plex_calloc(1, sizeof *client);
    const struct plex_host *host = config->host;

    client->config = *config;
    /* The registry announces itself like everybody else, to itself. */
    client->url = strcmp(config->kind, "registry") == 0
                      ? plex_link_url(host->link)
                      : host->base->registry_url;
    client->status = REG_NODE_STARTING;
    client->reason = plex_strdup("starting");
    client->started_ms = plex_wall_ms();
    plex_arena_init(&client->arena, CATALOG_ARENA_MAX);
    client->announce_timer =
        plex_timer_create(host->loop, announce_send, client);
    client->watch_timer = plex_timer_create(host->loop, watch_send, client);
    /* Not yet: start() may still say that we are ready. */
    plex_timer_start(client->announce_timer, 0);
    watch_send(client);
    return client;
}

void
reg_client_status(struct reg_client *client, enum reg_node_status status,
                  const char *reason)
{
    if (client->status == status && strcmp(client->reason, reason) == 0)
        return;
    client->status = status;
    free(client->reason);
    client->reason = plex_strdup(reason);
    announce_send(client);
}

void
reg_client_announce(struct reg_client *client)
{
    announce_send(client);
}

uint64_t
reg_client_lease_end(const struct reg_client *client)
{
    return client->lease_end;
}

struct reg_catalog *
reg_client_catalog(const struct reg_client *client)
{
    return client->catalog;
}

const char *
reg_client_url(const struct reg_client *client, const char *kind)
{
    const struct reg_node *node;

    if (client->catalog == NULL)
        return NULL;
    node = reg_catalog_service(client->catalog, kind);
    return node == NULL ? NULL : node->url;
}

const char *
reg_client_next_url(struct reg_client *client, const char *kind)
{
    const struct reg_node *nodes[REPLICAS_MAX];
    size_t n = 0;

    if (client->catalog != NULL)
        n = reg_catalog_replicas(client->catalog, kind, nodes, REPLICAS_MAX);
    return n == 0 ? NULL : nodes[client->turn++ % n]->url;
}

static void
withdraw(struct reg_client *client)
{
    const struct plex_host *host = client->config.host;
    struct plex_buf payload = {.max = REQUEST_BYTES_MAX};
    Plexspaces__Registry__V1__WithdrawRequest request;
    struct plex_err err;

    plexspaces__registry__v1__withdraw_request__init(&request);
    request.node_id = (char *)(uintptr_t)host->base->node;
    request.incarnation = host->incarnation;
    if (plex_wire_pack(&request.base, &payload, &err) == PLEX_OK)
        plex_link_event(
            host->link, client->url,
            PLEXSPACES__REGISTRY__V1__REGISTRY_METHOD__REGISTRY_METHOD_WITHDRAW,
            &plex_context_none, (struct plex_bytes){payload.data, payload.len});
    plex_buf_free(&payload);
}

void
reg_client_stop(struct reg_client *client)
{
    if (client == NULL)
        return;
    client->stopped = true;
    plex_timer_free(client->announce_timer);
    plex_timer_free(client->watch_timer);
    withdraw(client);
    if (client->announce != 0)
        plex_link_cancel(client->config.host->link, client->announce);
    if (client->watch != 0)
        plex_link_cancel(client->config.host->link, client->watch);
    reg_catalog_unref(client->catalog);
    client->catalog = NULL;
    client_free(client);
}
