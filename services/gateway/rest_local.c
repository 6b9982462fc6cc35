/* The rpcs that the gateway answers itself, from the catalogue, the shard
 * table and the workers. */
#include "common/mem.h"
#include "services/gateway/rest.h"
#include "services/gateway/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A worker is asked for one more than the page: is there another page? */
enum { PAGE_DEFAULT = 50, PAGE_MAX = WORK_LIST_MAX - 1 };

/* -- actors -----------------------------------------------------------------
 */

/* The order of the workers' own pages: by part of the name, so '/' sorts
 * before everything that a part may hold. In another order a page would end
 * behind actors that no page has shown. */
static int
order_of(char c)
{
    return c == '/' ? 1 : (unsigned char)c;
}

static int
actor_order(const void *a, const void *b)
{
    const char *x = ((const struct work_actor *)a)->actor_id;
    const char *y = ((const struct work_actor *)b)->actor_id;

    while (*x == *y && *x != '\0') {
        x++;
        y++;
    }
    return order_of(*x) - order_of(*y);
}

/* Those of the page that are in the state asked for, in order. */
static size_t
of_state(struct gate_rest *rest, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (rest->list.state == 0 ||
            (uint32_t)rest->actors[i].state == rest->list.state)
            rest->actors[kept++] = rest->actors[i];
    return kept;
}

static void
list_answer(struct gate_rest *rest)
{
    const size_t page = rest->list.page_size;
    const char *next = "";
    size_t n = rest->n_actors;

    if (rest->failed != PLEX_OK) {
        gate_rest_failed(rest, "worker", rest->failed, rest->failed_text,
                         false);
        return;
    }
    if (n > 0)
        qsort(rest->actors, n, sizeof *rest->actors, actor_order);
    if (n > page) {
        const char *last = rest->actors[page - 1].actor_id;

        n = page;
        next = gate_base64url(
            (struct plex_bytes){(const uint8_t *)last, strlen(last)},
            &rest->arena);
    }
    gate_rest_answer(rest,
                     gate_wire_actors(rest->actors, of_state(rest, n), next));
}

static const char *
keep(struct gate_rest *rest, const char *text)
{
    return text == NULL ? ""
                        : plex_arena_strndup(&rest->arena, text, strlen(text));
}

/* The arena bounds how much all workers together may say. */
static void
list_add(struct gate_rest *rest, const struct work_actor *actor)
{
    struct work_actor copy = *actor;

    copy.actor_id = plex_arena_strndup(&rest->arena, actor->actor_id,
                                       strlen(actor->actor_id));
    copy.node_id = plex_arena_strndup(&rest->arena, actor->node_id,
                                      strlen(actor->node_id));
    copy.run = keep(rest, actor->run);
    copy.waits_for = keep(rest, actor->waits_for);
    copy.remedy = keep(rest, actor->remedy);
    if (copy.actor_id == NULL || copy.node_id == NULL || copy.run == NULL ||
        copy.waits_for == NULL || copy.remedy == NULL) {
        rest->failed = PLEX_TOO_LARGE;
        (void)snprintf(rest->failed_text, sizeof rest->failed_text,
                       "the list is too large; ask for a smaller page_size");
        return;
    }
    rest->actors[rest->n_actors++] = copy;
}

static void
list_done(void *arg, enum plex_status status, const char *text,
          const struct work_actor *actors, size_t n)
{
    struct gate_rest *rest = arg;

    if (status != PLEX_OK) {
        rest->failed = status;
        (void)snprintf(rest->failed_text, sizeof rest->failed_text, "%.120s",
                       text);
        n = 0;
    }
    if (n > 0)
        rest->actors = plex_reallocarray(rest->actors, rest->n_actors + n,
                                         sizeof *rest->actors);
    for (size_t i = 0; i < n; i++)
        list_add(rest, &actors[i]);
    if (--rest->open == 0)
        list_answer(rest);
}

static void
local_list(struct gate_rest *rest)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const char *after = "";

    rest->list = gate_wire_list_request(rest->request);
    if (rest->list.page_size == 0)
        rest->list.page_size = PAGE_DEFAULT;
    if (rest->list.page_size > PAGE_MAX) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_size is %u, at most %d are allowed",
                          rest->list.page_size, PAGE_MAX);
        return;
    }
    if (!gate_base64url_text(rest->list.page_token, &rest->arena, &after)) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_token is not one that a list returned");
        return;
    }
    /* Every worker's first page: the merged page is among them. */
    rest->open = 1; /* ours, until all are asked */
    for (size_t i = 0; table != NULL && i < table->n_workers; i++) {
        if (rest->list.node_id[0] != '\0' &&
            strcmp(rest->list.node_id, table->workers[i].node_id) != 0)
            continue;
        rest->open++;
        work_client_list(rest->gate->host->link, table->workers[i].url,
                         &rest->context, rest->context.tenant, rest->list.ns,
                         rest->list.type, after, rest->list.page_size + 1,
                         list_done, rest);
    }
    if (--rest->open == 0)
        list_answer(rest);
}

static void
get_done(void *arg, enum plex_status status, const char *text,
         const struct work_actor *actors, size_t n)
{
    struct gate_rest *rest = arg;
    const enum gate_local what = gate_wire_local(rest->route);
    const bool found = status == PLEX_OK && n > 0;

    if (!found && status != PLEX_NOT_FOUND)
        gate_rest_failed(rest, "worker",
                         status == PLEX_OK ? PLEX_INTERNAL : status, text,
                         false);
    else if (what == GATE_LOCAL_ACTOR_EXISTS)
        gate_rest_answer(
            rest, gate_wire_exists(found, found && actors[0].state !=
                                                       WORK_ACTOR_INACTIVE));
    else if (what == GATE_LOCAL_DEACTIVATE_ACTOR)
        /* What is in memory still has something to do. */
        gate_rest_answer(rest,
                         gate_wire_deactivated(found && actors[0].state !=
                                                            WORK_ACTOR_INACTIVE
                                                   ? WORK_ACTOR_DEACTIVATING
                                                   : WORK_ACTOR_INACTIVE));
    else if (!found)
        gate_rest_problem(rest, 404, "ACTOR_NOT_FOUND", "worker", "%s", text);
    else if (what == GATE_LOCAL_GET_OR_ACTIVATE)
        gate_rest_answer(rest,
                         gate_wire_activated(&actors[0], !rest->was_active));
    else
        gate_rest_answer(rest, gate_wire_actor(&actors[0]));
}

static bool
is_stateless(const struct gate *gate, const struct plex_actor_id *actor)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);
    const struct reg_actor_type *type =
        catalog == NULL ? NULL
                        : reg_catalog_type(catalog, actor->tenant, actor->ns,
                                           actor->type, NULL);

    return type != NULL && type->stateless;
}

/* The worker that is part of the activation's name, "NODE~3". */
static const struct place_worker *
activation_owner(struct gate_rest *rest, const struct plex_actor_id *actor)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const char *end = strrchr(actor->key, '~');
    const size_t len = end == NULL ? 0 : (size_t)(end - actor->key);

    for (size_t i = 0; table != NULL && len > 0 && i < table->n_workers; i++)
        if (strlen(table->workers[i].node_id) == len &&
            strncmp(table->workers[i].node_id, actor->key, len) == 0)
            return &table->workers[i];
    gate_rest_problem(rest, 404, "ACTOR_NOT_FOUND", "gateway",
                      "actor type \"%s\" is stateless: only its activations "
                      "have names, like \"%s/worker-1~0\"; the list of actors "
                      "shows them",
                      actor->type, actor->type);
    return NULL;
}

const struct place_worker *
gate_rest_owner(struct gate_rest *rest, struct plex_actor_id *actor)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const char *name = gate_wire_actor_id(rest->request);
    const struct place_worker *owner = NULL;
    struct plex_err err;
    char *own;

    /* One more shows what is too long. */
    own = plex_arena_strndup(&rest->arena, name,
                             strnlen(name, PLEX_ACTOR_NAME_MAX + 1));
    if (own == NULL || plex_actor_parse(own, actor, &err) != PLEX_OK) {
        gate_rest_problem(rest, 400, "INVALID", "gateway", "%s",
                          own == NULL ? "the request is too large" : err.text);
        return NULL;
    }
    if (strcmp(actor->tenant, rest->context.tenant) != 0) {
        gate_rest_problem(rest, 403, "TENANT_FORBIDDEN", "gateway",
                          "the actor belongs to tenant \"%s\", the caller to "
                          "\"%s\"",
                          actor->tenant, rest->context.tenant);
        return NULL;
    }
    rest->context.ns = actor->ns;
    if (is_stateless(rest->gate, actor))
        return activation_owner(rest, actor);
    if (table != NULL)
        owner = place_table_owner(
            table, plex_shard_of(plex_actor_hash(actor), table->shard_bits));
    if (owner == NULL) /* rest is gone after this */
        gate_rest_problem(rest, 503, "NO_OWNER", "gateway",
                          "no worker owns this actor's shard at the moment");
    return owner;
}

static void
local_get(struct gate_rest *rest)
{
    struct plex_actor_id actor = {"", "", "", ""};
    const struct place_worker *owner = gate_rest_owner(rest, &actor);

    if (owner != NULL)
        work_client_inspect(rest->gate->host->link, owner->url, &rest->context,
                            &actor, get_done, rest);
}

/* It has been told: how is it now? */
static void
told(void *arg, enum plex_status status, const char *text,
     const struct work_reply *reply)
{
    struct gate_rest *rest = arg;

    (void)reply;
    if (status == PLEX_OK)
        local_get(rest);
    else
        gate_rest_failed(rest, "worker", status, text, false);
}

static void
local_tell(struct gate_rest *rest, enum work_kind kind)
{
    struct plex_actor_id actor = {"", "", "", ""};
    const struct place_worker *owner = gate_rest_owner(rest, &actor);
    const struct work_message message = {
        .to = actor,
        .kind = kind,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };

    if (owner != NULL)
        (void)work_client_invoke(rest->gate->host->link, owner->url,
                                 &rest->context, &message, told, rest);
}

/* Was it in memory? Then it is activated. */
static void
was(void *arg, enum plex_status status, const char *text,
    const struct work_actor *actors, size_t n)
{
    struct gate_rest *rest = arg;

    (void)text; /* what is wrong will be so again */
    rest->was_active =
        status == PLEX_OK && n > 0 && actors[0].state != WORK_ACTOR_INACTIVE;
    local_tell(rest, WORK_ACTIVATE);
}

static void
local_get_or_activate(struct gate_rest *rest)
{
    struct plex_actor_id actor = {"", "", "", ""};
    const struct place_worker *owner = gate_rest_owner(rest, &actor);

    if (owner != NULL)
        work_client_inspect(rest->gate->host->link, owner->url, &rest->context,
                            &actor, was, rest);
}

/* -- system -----------------------------------------------------------------
 */

static void
local_info(struct gate_rest *rest)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);

    gate_rest_answer(rest,
                     gate_wire_info(PLEX_VERSION, "development",
                                    table == NULL ? 0 : 1U << table->shard_bits,
                                    table == NULL ? 0 : table->version));
}

static const struct {
    const char *kind;
    enum gate_health when_missing;
} expected[] = {
    {"registry", GATE_UNHEALTHY},      {"placement", GATE_UNHEALTHY},
    {"journal", GATE_UNHEALTHY},       {"worker", GATE_UNHEALTHY},
    {"gateway", GATE_DEGRADED},        {"tuplespace", GATE_DEGRADED},
    {"channel-broker", GATE_DEGRADED},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

static enum gate_health
node_health(enum reg_node_status status)
{
    switch (status) {
    case REG_NODE_READY:
        return GATE_HEALTHY;
    case REG_NODE_LOST:
        return GATE_UNHEALTHY;
    default:
        return GATE_DEGRADED;
    }
}

static void
local_health(struct gate_rest *rest)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    size_t n_nodes = 0, n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n_nodes);
    struct gate_component *components =
        plex_calloc(n_nodes + EXPECTED, sizeof *components);
    bool ready[EXPECTED] = {false};
    enum gate_health all = GATE_HEALTHY;

    for (size_t i = 0; i < n_nodes; i++) {
        const enum gate_health health = node_health(nodes[i].status);

        components[n++] = (struct gate_component){
            nodes[i].kind, nodes[i].node_id, nodes[i].reason, health};
        if (health != GATE_HEALTHY)
            all = GATE_DEGRADED;
        for (size_t k = 0; k < EXPECTED; k++)
            if (health == GATE_HEALTHY &&
                strcmp(expected[k].kind, nodes[i].kind) == 0)
                ready[k] = true;
    }
    for (size_t k = 0; k < EXPECTED; k++) {
        if (ready[k])
            continue;
        components[n++] = (struct gate_component){
            expected[k].kind, "", "none is ready", expected[k].when_missing};
        if (expected[k].when_missing > all)
            all = expected[k].when_missing;
    }
    gate_rest_answer(rest, gate_wire_health(all, components, n));
    free(components);
}

static void
local_metrics(struct gate_rest *rest)
{
    const char *node_id = gate_wire_node_id(rest->request);
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(nodes[i].node_id, node_id) != 0)
            continue;
        if (nodes[i].status == REG_NODE_LOST)
            gate_rest_problem(rest, 503, "NODE_LOST", "gateway",
                              "node \"%s\" is lost", node_id);
        else
            gate_rest_forward(rest, nodes[i].url);
        return;
    }
    gate_rest_problem(rest, 404, "NODE_NOT_FOUND", "gateway",
                      "no node \"%.64s\" is registered", node_id);
}

void
gate_rest_local(struct gate_rest *rest, enum gate_local what)
{
    switch (what) {
    case GATE_LOCAL_LIST_ACTORS:
        local_list(rest);
        break;
    case GATE_LOCAL_GET_ACTOR:
    case GATE_LOCAL_ACTOR_EXISTS:
        local_get(rest);
        break;
    case GATE_LOCAL_GET_OR_ACTIVATE:
        local_get_or_activate(rest);
        break;
    case GATE_LOCAL_ACTIVATE_ACTOR:
        local_tell(rest, WORK_ACTIVATE);
        break;
    case GATE_LOCAL_DEACTIVATE_ACTOR:
        local_tell(rest, WORK_DEACTIVATE);
        break;
    case GATE_LOCAL_SYSTEM_INFO:
        local_info(rest);
        break;
    case GATE_LOCAL_HEALTH:
        local_health(rest);
        break;
    case GATE_LOCAL_FACETS:
        gate_rest_facets(rest);
        break;
    case GATE_LOCAL_EVENTS:
        gate_rest_events(rest);
        break;
    case GATE_LOCAL_METRICS:
    default:
        local_metrics(rest);
        break;
    }
}
