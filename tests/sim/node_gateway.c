/* plex-gateway: its core and the shell's loops around it. */
#include "services/gateway/core.h"
#include "tests/sim/check.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { ANSWER_MS = 200 }; /* left of the deadline for telling the client */

struct request {
    struct gate_call call; /* first */
    TAILQ_ENTRY(request) next;
    uint64_t client; /* the call to answer */
    struct sim_msg *msg;
    struct plex_context context;
    struct work_message message;
    uint8_t id[16];
    uint64_t rpc; /* of the newest attempt; 0 none */
    uint32_t attempt;
    bool own_id; /* made here */
};
struct gateway {
    struct gate_core *core;
    struct sim_watch table, catalog;
    TAILQ_HEAD(, request) requests;
};

static void pump(struct sim *sim, struct sim_node *node);

static void
request_free(struct gateway *gateway, struct request *request)
{
    TAILQ_REMOVE(&gateway->requests, request, next);
    sim_msg_unref(request->msg);
    free(request);
}

static void
invoke_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
            const struct sim_msg *reply)
{
    struct gateway *gateway = node->state;
    struct request *request = arg;
    const bool has_reply =
        reply->reply != NULL &&
        (reply->status == PLEX_OK || reply->status == PLEX_NOT_OWNER);

    if (request->attempt == token)
        request->rpc = 0;
    if (reply->status != PLEX_OK)
        sim_trace(sim, sim_key_of(&request->message.to), node,
                  "request %s, attempt %u: %s %s", request->context.request_id,
                  (unsigned)token, plex_status_name(reply->status),
                  reply->text);
    gate_core_result(gateway->core, &request->call, (uint32_t)token,
                     reply->status, reply->text,
                     has_reply ? reply->reply : NULL, sim_mono(sim, node));
    pump(sim, node);
}

static void
invoke(struct sim *sim, struct sim_node *node, const struct gate_action *action)
{
    struct request *request = (struct request *)action->call;
    const uint64_t mono = sim_mono(sim, node);
    struct sim_msg *msg = sim_msg_make();

    request->message.fresh = request->own_id && request->attempt == 0;
    sim_put_message(msg, &request->message);
    sim_put_context(msg, &request->context);
    sim_trace(sim, sim_key_of(&request->message.to), node,
              "sends request %s, attempt %u, to %s",
              request->context.request_id, action->attempt, action->url);
    request->attempt = action->attempt;
    request->rpc =
        sim_rpc(sim, &(struct sim_request){
                         .from = node,
                         .url = action->url,
                         .method = SIM_INVOKE,
                         .msg = msg,
                         .timeout_ns = request->context.deadline > mono
                                           ? request->context.deadline - mono
                                           : 1,
                         .done = invoke_done,
                         .arg = request,
                         .token = action->attempt,
                     });
}

static void
respond(struct sim *sim, struct sim_node *node,
        const struct gate_action *action)
{
    struct request *request = (struct request *)action->call;
    struct sim_msg *reply = sim_msg_make();

    if (action->reply != NULL) {
        sim_put_reply(reply, action->reply);
    } else {
        const struct gate_problem *problem = &request->call.problem;

        reply->status = PLEX_UNAVAILABLE;
        reply->http_status = problem->status;
        reply->outcome_unknown = problem->outcome_unknown;
        reply->text = sim_copy_text(reply, problem->code);
        sim_trace(sim, sim_key_of(&request->message.to), node,
                  "refuses request %s: %u %s, outcome %s (%s)",
                  request->context.request_id, problem->status, problem->code,
                  problem->outcome_unknown ? "unknown" : "not done",
                  problem->detail);
    }
    if (request->rpc != 0)
        sim_rpc_cancel(sim, request->rpc);
    if (sim_call_find(sim, request->client) != NULL)
        sim_answer(sim, request->client, reply);
    else
        sim_msg_unref(reply);
    request_free(node->state, request);
}

static void
pump(struct sim *sim, struct sim_node *node)
{
    struct gateway *gateway = node->state;
    struct gate_action action;

    while (gate_core_next(gateway->core, &action)) {
        struct request *request = (struct request *)action.call;

        switch (action.kind) {
        case GATE_INVOKE:
            invoke(sim, node, &action);
            break;
        case GATE_ABANDON:
            if (request->rpc != 0 && request->attempt == action.attempt)
                sim_rpc_cancel(sim, request->rpc);
            if (request->attempt == action.attempt)
                request->rpc = 0;
            break;
        case GATE_REFRESH:
            sim_watch_hint(sim, &gateway->table, action.version);
            break;
        case GATE_RESPOND:
            respond(sim, node, &action);
            break;
        }
    }
    sim_wake_at(sim, node, gate_core_deadline(gateway->core));
}

static void
wake(struct sim *sim, struct sim_node *node)
{
    gate_core_tick(((struct gateway *)node->state)->core, sim_mono(sim, node));
    pump(sim, node);
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct gateway *gateway = node->state;
    struct request *request = plex_calloc(1, sizeof *request);

    assert(call->method == SIM_REQUEST);
    request->client = call->id;
    request->msg = sim_msg_ref(call->msg);
    request->context = call->msg->context;
    request->context.deadline = call->deadline - ANSWER_MS * SIM_MS;
    request->message = *call->msg->message;
    if (request->message.id.len == 0) {
        const uint64_t random[2] = {sim_random(sim), sim_random(sim)};

        memcpy(request->id, random, sizeof request->id);
        request->message.id =
            (struct plex_bytes){request->id, sizeof request->id};
        request->message.ttl_ms = 600000;
        request->own_id = true;
    }
    request->call.context = &request->context;
    request->call.message = &request->message;
    TAILQ_INSERT_TAIL(&gateway->requests, request, next);
    gate_core_call(gateway->core, &request->call, sim_mono(sim, node));
    pump(sim, node);
}

static void
table_changed(struct sim *sim, struct sim_node *node,
              const struct sim_msg *reply)
{
    sim_trace(sim, -1, node, "applies table %" PRIu64, reply->version);
    gate_core_table(((struct gateway *)node->state)->core, reply->table,
                    sim_mono(sim, node));
    pump(sim, node);
}

static void
catalog_changed(struct sim *sim, struct sim_node *node,
                const struct sim_msg *reply)
{
    gate_core_catalog(((struct gateway *)node->state)->core, reply->catalog);
    pump(sim, node);
}

static void
start(struct sim *sim, struct sim_node *node)
{
    struct gateway *gateway = plex_calloc(1, sizeof *gateway);

    node->state = gateway;
    TAILQ_INIT(&gateway->requests);
    gateway->core =
        gate_core_create(&(struct gate_core_config){.calls_max = 1000});
    gateway->table = (struct sim_watch){.node = node,
                                        .of = sim->placement,
                                        .method = SIM_TABLE,
                                        .changed = table_changed};
    gateway->catalog = (struct sim_watch){.node = node,
                                          .of = sim->registry,
                                          .method = SIM_CATALOG,
                                          .changed = catalog_changed};
    sim_watch_start(sim, &gateway->table);
    sim_watch_start(sim, &gateway->catalog);
}

static void
stop(struct sim *sim, struct sim_node *node)
{
    struct gateway *gateway = node->state;

    (void)sim;
    gate_core_free(gateway->core);
    while (!TAILQ_EMPTY(&gateway->requests))
        request_free(gateway, TAILQ_FIRST(&gateway->requests));
    free(gateway);
}

const struct sim_kind sim_kind_gateway = {
    .name = "gateway",
    .start = start,
    .stop = stop,
    .serve = serve,
    .wake = wake,
};
