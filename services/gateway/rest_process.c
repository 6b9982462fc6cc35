/*
 * What is asked about processes: any worker may have the one that is named, so
 * all are asked, and then the one that has it. Lists are those of all workers.
 */
#include "common/mem.h"
#include "services/gateway/rest.h"
#include "services/gateway/rest_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"

#define ACTOR(name) PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_##name

enum { WAIT_MS_MAX = 30000 };

/* A list of every worker's. */
struct fan {
    struct gate_rest *rest;
    const struct gate_route *route; /* of the answers */
    unsigned open;
    json_t *list;
    bool truncated;
    enum plex_status failed;
    char failed_text[200];
};
struct leg {
    struct fan *fan;
    char node_id[65];
};

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
    } else {
        json_t *all = json_object();

        json_object_set(all, "processes", fan->list);
        json_object_set_new(all, "truncated", json_boolean(fan->truncated));
        gate_rest_answer(rest, all);
    }
    json_decref(fan->list);
    free(fan);
}

static void
leg_done(void *arg, const struct plex_link_result *result)
{
    struct leg *leg = arg;
    struct fan *fan = leg->fan;
    ProtobufCMessage *message;
    json_t *json = NULL;
    struct plex_err err;

    if (result->status != PLEX_OK && result->status != PLEX_NOT_FOUND) {
        fan->failed = result->status;
        (void)snprintf(fan->failed_text, sizeof fan->failed_text,
                       "worker %s: %.80s", leg->node_id, result->text);
    } else if (result->status == PLEX_OK &&
               gate_wire_response(fan->route, result->payload,
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
list_all(struct gate_rest *rest)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    struct fan *fan = plex_calloc(1, sizeof *fan);
    struct plex_link_request request = {.method = rest->route->number,
                                        .context = &rest->context,
                                        .retry = true,
                                        .done = leg_done};
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);
    struct plex_err err;

    fan->rest = rest;
    fan->route = rest->route;
    fan->list = json_array();
    fan->open = 1; /* ours, until all are asked */
    if (gate_wire_pack(rest->request, &rest->arena, &request.payload, &err) !=
        PLEX_OK) {
        fan->failed = err.status;
        (void)snprintf(fan->failed_text, sizeof fan->failed_text, "%.120s",
                       err.text);
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct leg *leg;

        if (!gate_is_worker(&nodes[i]))
            continue;
        leg = plex_calloc(1, sizeof *leg);
        leg->fan = fan;
        (void)snprintf(leg->node_id, sizeof leg->node_id, "%s",
                       nodes[i].node_id);
        request.peer = nodes[i].url;
        request.arg = leg;
        fan->open++;
        (void)plex_link_call(rest->gate->host->link, &request);
    }
    if (--fan->open == 0)
        fan_end(fan);
}

/* -- one of them -------------------------------------------------------------
 */

static const char *
process_of(const struct gate_rest *rest)
{
    const char *process = field_text(rest->request, "process");

    return process[0] != '\0' ? process
                              : field_text(rest->request, "supervisor");
}

static void
on_found(void *arg, const struct gate_found *found)
{
    struct gate_rest *rest = arg;

    if (found->failed != PLEX_OK)
        gate_rest_failed(rest, "worker", found->failed, found->failed_text,
                         false);
    else if (found->n == 0)
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "gateway",
                          "no worker has a process \"%.120s\" in that "
                          "namespace",
                          process_of(rest));
    else if (found->n > 1)
        gate_rest_problem(rest, 409, "NAME_AMBIGUOUS", "gateway",
                          "several workers have a process of that name, say "
                          "which:%s",
                          found->nodes);
    else
        gate_rest_forward(rest, found->url);
}

static uint32_t
wait_of(const struct gate_rest *rest)
{
    return ((const Plexspaces__Actor__V1__MonitorActorRequest *)(const void *)
                rest->request)
        ->wait_ms;
}

/* What names no process any of them answers: they all know of all groups. */
static void
any_worker(struct gate_rest *rest)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (gate_is_worker(&nodes[i]) && nodes[i].status == REG_NODE_READY) {
            gate_rest_forward(rest, nodes[i].url);
            return;
        }
    gate_rest_problem(rest, 503, "UNAVAILABLE", "gateway",
                      "no worker is ready");
}

void
gate_rest_process(struct gate_rest *rest)
{
    /* A second exit or start is not the first one again. */
    rest->once = rest->route->body;
    if (rest->route->number == ACTOR(MONITOR_ACTOR))
        rest->context.deadline +=
            (uint64_t)(wait_of(rest) > WAIT_MS_MAX ? WAIT_MS_MAX
                                                   : wait_of(rest)) *
            1000000;
    if (rest->route->number == ACTOR(LIST_PROCESSES))
        list_all(rest);
    else if (process_of(rest)[0] == '\0')
        any_worker(rest);
    else
        gate_find_process(rest->gate, &rest->context,
                          field_text(rest->request, "namespace"),
                          process_of(rest), on_found, rest);
}
