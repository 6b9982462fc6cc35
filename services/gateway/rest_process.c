/*
 * What is asked about processes: any worker may have the one that is named, so
 * all are asked, and then the one that has it. Lists are those of all workers.
 */
#include "common/mem.h"
#include "services/gateway/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"

#define ACTOR(name) PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_##name

/* One question to every worker. */
struct fan {
    struct gate_rest *rest;
    const struct gate_route *route; /* of the answers */
    unsigned open;
    unsigned found;
    char url[256]; /* of a worker that has it */
    char nodes[200];
    json_t *list;
    bool truncated;
    enum plex_status failed;
    char failed_text[200];
};
struct leg {
    struct fan *fan;
    char url[256];
    char node_id[65];
};

/* -- who is asked ------------------------------------------------------------
 */

static const struct reg_node *
workers(const struct gate *gate, size_t *n)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);

    *n = 0;
    return catalog == NULL ? NULL : reg_catalog_nodes(catalog, n);
}

static bool
is_there(const struct reg_node *node)
{
    return strcmp(node->kind, "worker") == 0 && node->status != REG_NODE_LOST;
}

/* The text of a field, "" when there is none. */
static const char *
field_text(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor,
                                                        name);

    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING)
        return "";
    return *(char *const *)(const void *)((const char *)message +
                                          field->offset);
}

static void
answer_unknown(struct gate_rest *rest, const char *process)
{
    gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "gateway",
                      "no worker has a process \"%.120s\" in that namespace",
                      process);
}

/* -- the answers -------------------------------------------------------------
 */

static void
list_add(struct fan *fan, json_t *json)
{
    json_t *rows = json_object_get(json, "processes");

    if (json_is_array(rows))
        (void)json_array_extend(fan->list, rows);
    fan->truncated =
        fan->truncated || json_is_true(json_object_get(json, "truncated"));
}

static void
fan_end(struct fan *fan)
{
    struct gate_rest *rest = fan->rest;

    if (fan->failed != PLEX_OK) {
        gate_rest_failed(rest, "worker", fan->failed, fan->failed_text, false);
    } else if (fan->list != NULL) {
        json_t *all = json_object();

        json_object_set(all, "processes", fan->list);
        json_object_set_new(all, "truncated", json_boolean(fan->truncated));
        gate_rest_answer(rest, all);
    } else if (fan->found == 0) {
        const char *process = field_text(rest->request, "process");

        answer_unknown(rest, process[0] != '\0'
                                 ? process
                                 : field_text(rest->request, "supervisor"));
    } else if (fan->found > 1) {
        gate_rest_problem(rest, 409, "NAME_AMBIGUOUS", "gateway",
                          "several workers have a process of that name, say "
                          "which:%s",
                          fan->nodes);
    } else {
        gate_rest_forward(rest, fan->url);
    }
    json_decref(fan->list);
    free(fan);
}

static void
found(struct fan *fan, const struct leg *leg)
{
    const size_t used = strlen(fan->nodes);

    fan->found++;
    (void)snprintf(fan->url, sizeof fan->url, "%s", leg->url);
    (void)snprintf(fan->nodes + used, sizeof fan->nodes - used, " NAME@%s",
                   leg->node_id);
}

static void
leg_done(void *arg, const struct plex_link_result *result)
{
    struct leg *leg = arg;
    struct fan *fan = leg->fan;
    ProtobufCMessage *message;
    json_t *json = NULL;
    struct plex_err err;

    if (result->status == PLEX_NOT_FOUND) {
        /* Others may have it. */
    } else if (result->status != PLEX_OK) {
        fan->failed = result->status;
        (void)snprintf(fan->failed_text, sizeof fan->failed_text,
                       "worker %s: %.80s", leg->node_id, result->text);
    } else if (fan->list == NULL) {
        found(fan, leg);
    } else if (gate_wire_response(fan->route, result->payload,
                                  &fan->rest->arena, &message, &json,
                                  &err) == PLEX_OK) {
        list_add(fan, json);
        json_decref(json);
    }
    free(leg);
    if (--fan->open == 0)
        fan_end(fan);
}

static void
ask_all(struct gate_rest *rest, uint32_t method,
        const ProtobufCMessage *message)
{
    struct fan *fan = plex_calloc(1, sizeof *fan);
    struct plex_link_request request = {.method = method,
                                        .context = &rest->context,
                                        .retry = true,
                                        .done = leg_done};
    size_t n;
    const struct reg_node *nodes = workers(rest->gate, &n);
    struct plex_err err;

    fan->rest = rest;
    fan->route = rest->route;
    if (method == ACTOR(LIST_PROCESSES))
        fan->list = json_array();
    fan->open = 1; /* ours, until all are asked */
    if (gate_wire_pack(message, &rest->arena, &request.payload, &err) !=
        PLEX_OK) {
        fan->failed = err.status;
        (void)snprintf(fan->failed_text, sizeof fan->failed_text, "%.120s",
                       err.text);
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct leg *leg;

        if (!is_there(&nodes[i]))
            continue;
        leg = plex_calloc(1, sizeof *leg);
        leg->fan = fan;
        (void)snprintf(leg->url, sizeof leg->url, "%s", nodes[i].url);
        (void)snprintf(leg->node_id, sizeof leg->node_id, "%s",
                       nodes[i].node_id);
        request.peer = leg->url;
        request.arg = leg;
        fan->open++;
        (void)plex_link_call(rest->gate->host->link, &request);
    }
    if (--fan->open == 0)
        fan_end(fan);
}

/* -- the beginning -----------------------------------------------------------
 */

/* A ref or "name@node" says where: forward at once. */
static void
forward_to(struct gate_rest *rest, const char *process, const char *node_id,
           uint64_t incarnation)
{
    size_t n;
    const struct reg_node *nodes = workers(rest->gate, &n);

    for (size_t i = 0; i < n; i++)
        if (is_there(&nodes[i]) &&
            (node_id != NULL ? strcmp(nodes[i].node_id, node_id) == 0
                             : nodes[i].incarnation == incarnation)) {
            gate_rest_forward(rest, nodes[i].url);
            return;
        }
    answer_unknown(rest, process);
}

void
gate_rest_process(struct gate_rest *rest)
{
    const char *process = field_text(rest->request, "process");
    Plexspaces__Actor__V1__GetProcessRequest find =
        PLEXSPACES__ACTOR__V1__GET_PROCESS_REQUEST__INIT;
    const char *at;

    if (process[0] == '\0')
        process = field_text(rest->request, "supervisor");
    /* A second exit or start is not the first one again. */
    rest->once = rest->route->body;
    if (rest->route->number == ACTOR(LIST_PROCESSES)) {
        ask_all(rest, rest->route->number, rest->request);
        return;
    }
    at = strrchr(process, '@');
    if (process[0] == '<') {
        forward_to(rest, process, NULL, strtoull(process + 1, NULL, 10));
    } else if (at != NULL) {
        forward_to(rest, process, at + 1, 0);
    } else {
        find.process = (char *)(uintptr_t)process;
        find.namespace_ =
            (char *)(uintptr_t)field_text(rest->request, "namespace");
        ask_all(rest, ACTOR(GET_PROCESS), &find.base);
    }
}
