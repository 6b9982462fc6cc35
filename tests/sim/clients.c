/* Clients that call actors through the gateways, and know what they may
 * believe of each outcome. */
#include "tests/sim/asked.h"
#include "tests/sim/edit.h"
#include "tests/sim/flow.h"
#include "tests/sim/sim.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 8, TIMEOUT_MS = 5000, WORK_MS = 9000 };

struct client {
    int index;
    int key;
    enum sim_what what;
    bool keyed;
    bool again; /* it has its answer and asks once more */
    uint32_t number;
    uint32_t attempts;
    bool unknown;  /* some attempt may have been carried out */
    bool idle;     /* and will not begin anything more */
    uint32_t done; /* of its script */
};
struct sim_clients {
    struct client clients[CLIENTS];
    int n;
    uint64_t requests;
};

static void on_next(struct sim *sim, struct sim_node *node, void *arg);
static void attempt(struct sim *sim, struct client *client);
static void nudge_later(struct sim *sim, struct client *client);

static void
think(struct sim *sim, struct client *client, uint64_t most_ms)
{
    sim_after(sim, sim->world, sim_between(sim, 0, most_ms * SIM_MS), on_next,
              client, NULL);
}

static void
finish(struct sim *sim, struct client *client)
{
    client->number = 0;
    think(sim, client, 40);
}

static void
on_retry(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)node;
    attempt(sim, arg);
}

static void
failed(struct sim *sim, struct client *client, const struct sim_msg *reply)
{
    const bool unknown = reply->outcome_unknown ||
                         reply->status == PLEX_UNKNOWN ||
                         reply->status == PLEX_TIMEOUT;

    sim_trace(sim, client->key, sim->world,
              "client %d: %" PRIu32 " failed: %s %s%s", client->index,
              client->number, plex_status_name(reply->status), reply->text,
              unknown ? ", outcome unknown" : "");
    client->unknown = client->unknown || unknown;
    if (!client->again)
        sim_check_refused(sim, client->number, client->unknown);
    if (!client->keyed || client->again) {
        finish(sim, client);
        return;
    }
    sim_after(sim, sim->world, sim_between(sim, 5 * SIM_MS, 400 * SIM_MS),
              on_retry, client, NULL);
}

static void
request_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
             const struct sim_msg *reply)
{
    struct client *client = arg;
    struct sim_count count;

    (void)node, (void)token;
    if (reply->status == PLEX_OK && reply->reply->failed &&
        sim_behaviour_of(client->key) == SIM_FLOW &&
        client->what == SIM_INCREMENT) {
        sim_trace(sim, client->key, sim->world,
                  "client %d: run %" PRIu32 " failed", client->index,
                  client->number);
        sim_flow_failed(sim, client->key, client->number);
        finish(sim, client);
        return;
    }
    if (reply->status == PLEX_OK && reply->reply->failed &&
        sim_behaviour_of(client->key) == SIM_VOLATILE) {
        finish(sim, client); /* part of it may be done */
        return;
    }
    if (reply->status != PLEX_OK || reply->reply->failed ||
        reply->reply->payload.len != sizeof count) {
        failed(sim, client, reply);
        return;
    }
    memcpy(&count, reply->reply->payload.data, sizeof count);
    sim_trace(sim, client->key, sim->world,
              "client %d: %" PRIu32 " answered %" PRIu32 "%s", client->index,
              client->number, count.count,
              reply->reply->replayed ? " (replayed)" : "");
    if (count.number != client->number)
        sim_fail(sim, client->key,
                 "G1: the request %" PRIu32 " got the answer of %" PRIu32,
                 client->number, count.number);
    sim_check_replied(sim, client->number, count.count);
    if (client->keyed && !client->again && sim_chance(sim, 15)) {
        client->again = true;
        sim_after(sim, sim->world, sim_between(sim, 0, 300 * SIM_MS), on_retry,
                  client, NULL);
        return;
    }
    finish(sim, client);
}

static void
message_fill(struct sim *sim, struct client *client, struct sim_msg *msg)
{
    const struct sim_payload payload = {(uint32_t)client->what, client->number};
    struct plex_context context = plex_context_none;
    struct work_message message = {
        .to = sim_actor(client->key),
        .kind = WORK_CALL,
        .request_hash = ((uint64_t)client->what << 32) | client->number,
        .method = "POST",
        .path = "/",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {(const uint8_t *)&payload, sizeof payload},
        .sender = "",
        .timer = "",
    };
    char id[32], request_id[32];

    if (client->keyed) {
        message.keyed = true;
        message.ttl_ms = 24u * 3600 * 1000;
        message.id.len =
            (size_t)snprintf(id, sizeof id, "kop-%" PRIu32, client->number);
        message.id.data = (const uint8_t *)id;
    }
    (void)snprintf(request_id, sizeof request_id, "r%" PRIu64,
                   ++sim->clients->requests);
    context.tenant = "default";
    context.ns = "default";
    context.request_id = request_id;
    sim_put_message(msg, &message);
    sim_put_context(msg, &context);
}

static void
attempt(struct sim *sim, struct client *client)
{
    struct sim_msg *msg = sim_msg_make();
    const uint64_t gateway = sim_between(sim, 0, (uint64_t)sim->n_gateways - 1);
    const bool hasty = sim_chance(sim, 6);

    client->attempts++;
    if (client->attempts > 1)
        sim_check_again(sim, client->number);
    message_fill(sim, client, msg);
    sim_trace(sim, client->key, sim->world,
              "client %d: %s %" PRIu32 "%s as request %s to %s", client->index,
              client->what == SIM_GET ? "get" : "increment", client->number,
              client->keyed ? " (keyed)" : "", msg->context.request_id,
              sim->gateways[gateway]->name);
    (void)sim_rpc(
        sim, &(struct sim_request){
                 .from = sim->world,
                 .url = sim->gateways[gateway]->url,
                 .method = SIM_REQUEST,
                 .msg = msg,
                 .timeout_ns =
                     (hasty ? sim_between(sim, 250, 900) : TIMEOUT_MS) * SIM_MS,
                 .done = request_done,
                 .arg = client,
             });
}

static int
pick_key(struct sim *sim)
{
    const uint64_t at = sim_random(sim) % 100;

    if (at < 32)
        return 0;
    if (at < 48)
        return 1;
    if (at < 56)
        return SIM_FIRST_FLOW + (int)(at % SIM_FLOWS);
    if (at < 66)
        return SIM_FIRST_LEDGER;
    if (at < 78)
        return at < 72 ? 2 : 3;
    if (at < 88)
        return SIM_COUNTERS + (int)(at % SIM_VOLATILES);
    return SIM_COUNTERS + SIM_VOLATILES + (int)(at % SIM_RELAYS);
}

/* -- who keeps promises, resumes what is parked and cancels some -- */

struct nudge {
    struct client *client;
    uint32_t number;
};

static void
nudged(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
       const struct sim_msg *reply)
{
    (void)sim, (void)node, (void)arg, (void)token, (void)reply;
}

/* To the run that is open now, whosever it is. */
static void
resolve_send(struct sim *sim, int key, const char *what)
{
    const uint64_t gateway = sim_between(sim, 0, (uint64_t)sim->n_gateways - 1);
    struct plex_context context = plex_context_none;
    struct sim_msg *msg = sim_msg_make();
    struct work_message message = {
        .to = sim_actor(key),
        .kind = WORK_RESOLVE,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {(const uint8_t *)"yes", 3},
        .sender = "",
        .timer = what,
    };
    char request_id[32];

    (void)snprintf(request_id, sizeof request_id, "r%" PRIu64,
                   ++sim->clients->requests);
    context.tenant = "default";
    context.ns = "default";
    context.request_id = request_id;
    sim_put_message(msg, &message);
    sim_put_context(msg, &context);
    sim_trace(sim, key, sim->world, "sends %s as request %s", what, request_id);
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = sim->world,
                           .url = sim->gateways[gateway]->url,
                           .method = SIM_REQUEST,
                           .msg = msg,
                           .timeout_ns = TIMEOUT_MS * SIM_MS,
                           .done = nudged,
                       });
}

static void
on_nudge(struct sim *sim, struct sim_node *node, void *arg)
{
    const struct nudge nudge = *(const struct nudge *)arg;
    struct client *client = nudge.client;
    const char *keep;

    (void)node;
    free(arg);
    if (client->number != nudge.number || sim_check_answered(sim, nudge.number))
        return;
    keep = sim_flow_to_keep(sim, client->key);
    if (keep[0] != '\0' && sim_chance(sim, 50))
        resolve_send(sim, client->key, keep);
    if (sim_chance(sim, 40))
        sim_asked_send(sim, client->key);
    if (nudge.number % 29 == 0 || sim_chance(sim, 5))
        resolve_send(sim, client->key, "resume");
    if (nudge.number % 23 == 0 && sim_chance(sim, 30))
        resolve_send(sim, client->key, "cancel");
    if (nudge.number % 5 == 0)
        sim_edit_send(sim, nudge.number / 5);
    nudge_later(sim, client);
}

static void
nudge_later(struct sim *sim, struct client *client)
{
    struct nudge *nudge = plex_calloc(1, sizeof *nudge);

    *nudge = (struct nudge){client, client->number};
    sim_after(sim, sim->world, sim_between(sim, 50 * SIM_MS, 400 * SIM_MS),
              on_nudge, nudge, free);
}

/* Runs whose numbers make them plain, waiting for a promise, failing and
 * undone; messages between actors; events up to a snapshot and beyond. */
static const int scripts[][10] = {
    {SIM_FIRST_FLOW, SIM_FIRST_FLOW + 1, SIM_FIRST_FLOW, -1},
    {SIM_COUNTERS + SIM_VOLATILES, 0, SIM_FIRST_FLOW + 1,
     SIM_COUNTERS + SIM_VOLATILES, -1},
    {SIM_FIRST_LEDGER, SIM_FIRST_LEDGER, SIM_FIRST_LEDGER, SIM_FIRST_LEDGER,
     SIM_FIRST_LEDGER, SIM_FIRST_LEDGER, SIM_FIRST_LEDGER, SIM_FIRST_LEDGER,
     -1},
};
enum { SCRIPTS = sizeof scripts / sizeof scripts[0] };

static bool
script_next(struct client *client)
{
    client->key = scripts[client->index][client->done++];
    client->what = SIM_INCREMENT;
    client->keyed = true;
    return client->key >= 0;
}

static bool
random_next(struct sim *sim, struct client *client)
{
    const bool increment = sim_chance(sim, 75);

    client->key = pick_key(sim);
    client->what = increment ? SIM_INCREMENT : SIM_GET;
    client->keyed =
        increment && sim_behaviour_of(client->key) != SIM_VOLATILE &&
        (sim_behaviour_of(client->key) == SIM_FLOW || sim_chance(sim, 60));
    return sim->now <= WORK_MS * SIM_MS;
}

static void
on_next(struct sim *sim, struct sim_node *node, void *arg)
{
    struct client *client = arg;

    (void)node;
    if (!(sim->config.script ? script_next(client)
                             : random_next(sim, client))) {
        client->idle = true;
        return;
    }
    client->again = client->unknown = false;
    client->attempts = 0;
    client->number =
        sim_check_begin(sim, client->key, client->what, client->keyed);
    attempt(sim, client);
    if (client->what == SIM_INCREMENT &&
        sim_behaviour_of(client->key) == SIM_FLOW)
        nudge_later(sim, client);
}

void
sim_clients_start(struct sim *sim)
{
    sim->clients = plex_calloc(1, sizeof *sim->clients);
    sim->clients->n = sim->config.script ? SCRIPTS : CLIENTS;
    for (int i = 0; i < sim->clients->n; i++) {
        sim->clients->clients[i].index = i;
        think(sim, &sim->clients->clients[i], 500);
    }
}

bool
sim_clients_done(const struct sim *sim)
{
    for (int i = 0; i < sim->clients->n; i++)
        if (!sim->clients->clients[i].idle)
            return false;
    return true;
}

void
sim_clients_free(struct sim *sim)
{
    free(sim->clients);
}

/* -- the operator ---------------------------------------------------------- */

static void
deploy_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
            const struct sim_msg *reply)
{
    (void)node, (void)arg;
    if (reply->status != PLEX_OK)
        sim_deploy(sim, (int)token);
}

void
sim_deploy(struct sim *sim, int version)
{
    struct sim_msg *msg = sim_msg_make();

    msg->app = version;
    sim_trace(sim, -1, sim->world, "deploys version 1.0.%d", version);
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = sim->world,
                           .url = sim->registry->url,
                           .method = SIM_DEPLOY,
                           .msg = msg,
                           .timeout_ns = 2 * SIM_S,
                           .done = deploy_done,
                           .token = (uint64_t)version,
                       });
}

static void
start(struct sim *sim, struct sim_node *node)
{
    (void)sim, (void)node;
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    (void)sim, (void)node, (void)call;
}

const struct sim_kind sim_kind_world = {
    .name = "clients",
    .start = start,
    .stop = start,
    .serve = serve,
    .wake = start,
};
