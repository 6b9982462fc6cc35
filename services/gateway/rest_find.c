#include "services/gateway/rest_find.h"

#include "common/mem.h"
#include "common/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"

/* One question to every worker. */
struct find {
    struct gate_found found;
    gate_found_fn done;
    void *arg;
    unsigned open;
};
struct leg {
    struct find *find;
    char url[256];
    char node_id[65];
};

bool
gate_is_worker(const struct reg_node *node)
{
    return strcmp(node->kind, "worker") == 0 && node->status != REG_NODE_LOST;
}

static const struct reg_node *
nodes_of(const struct gate *gate, size_t *n)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);

    *n = 0;
    return catalog == NULL ? NULL : reg_catalog_nodes(catalog, n);
}

static void
find_end(struct find *find)
{
    if (--find->open > 0)
        return;
    find->done(find->arg, &find->found);
    free(find);
}

static void
found_add(struct gate_found *found, const char *url, const char *node_id)
{
    const size_t used = strlen(found->nodes);

    found->n++;
    (void)snprintf(found->url, sizeof found->url, "%s", url);
    (void)snprintf(found->nodes + used, sizeof found->nodes - used, " NAME@%s",
                   node_id);
}

static void
leg_done(void *arg, const struct plex_link_result *result)
{
    struct leg *leg = arg;
    struct find *find = leg->find;

    if (result->status == PLEX_OK) {
        found_add(&find->found, leg->url, leg->node_id);
    } else if (result->status != PLEX_NOT_FOUND) {
        find->found.failed = result->status;
        (void)snprintf(find->found.failed_text, sizeof find->found.failed_text,
                       "worker %s: %.80s", leg->node_id, result->text);
    }
    free(leg);
    find_end(find);
}

static void
ask_all(struct gate *gate, const struct plex_context *context, const char *ns,
        const char *process, struct find *find)
{
    Plexspaces__Actor__V1__GetProcessRequest m =
        PLEXSPACES__ACTOR__V1__GET_PROCESS_REQUEST__INIT;
    struct plex_buf out = {.max = 64 << 10};
    struct plex_link_request request = {
        .method = PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_GET_PROCESS,
        .context = context,
        .retry = true,
        .done = leg_done};
    size_t n;
    const struct reg_node *nodes = nodes_of(gate, &n);
    struct plex_err err;

    m.process = plex_wire_text(process);
    m.namespace_ = plex_wire_text(ns);
    if (plex_wire_pack(&m.base, &out, &err) != PLEX_OK) {
        find->found.failed = err.status;
        (void)snprintf(find->found.failed_text, sizeof find->found.failed_text,
                       "%.120s", err.text);
        n = 0;
    }
    request.payload = (struct plex_bytes){out.data, out.len};
    for (size_t i = 0; i < n; i++) {
        struct leg *leg;

        if (!gate_is_worker(&nodes[i]))
            continue;
        leg = plex_calloc(1, sizeof *leg);
        leg->find = find;
        (void)snprintf(leg->url, sizeof leg->url, "%s", nodes[i].url);
        (void)snprintf(leg->node_id, sizeof leg->node_id, "%s",
                       nodes[i].node_id);
        request.peer = leg->url;
        request.arg = leg;
        find->open++;
        (void)plex_link_call(gate->host->link, &request);
    }
    plex_buf_free(&out);
}

void
gate_find_process(struct gate *gate, const struct plex_context *context,
                  const char *ns, const char *process, gate_found_fn done,
                  void *arg)
{
    const char *at = strrchr(process, '@');
    struct find *find = plex_calloc(1, sizeof *find);
    size_t n;
    const struct reg_node *nodes = nodes_of(gate, &n);

    find->done = done;
    find->arg = arg;
    find->open = 1; /* ours, until all are asked */
    if (process[0] != '<' && at == NULL) {
        ask_all(gate, context, ns, process, find);
    } else {
        const uint64_t incarnation =
            process[0] == '<' ? strtoull(process + 1, NULL, 10) : 0;

        for (size_t i = 0; i < n && find->found.n == 0; i++)
            if (gate_is_worker(&nodes[i]) &&
                (process[0] == '<' ? nodes[i].incarnation == incarnation
                                   : strcmp(nodes[i].node_id, at + 1) == 0))
                found_add(&find->found, nodes[i].url, nodes[i].node_id);
    }
    find_end(find);
}
