/*
 * Connections and calls, with the promises of common/link.h: envelopes of one
 * connection stay in order, a call ends exactly once, and the loss of a peer
 * ends its calls as "outcome unknown" unless they may be sent again.
 */
#include "tests/sim/boundary.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define uthash_malloc(size) plex_calloc(1, size)
#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits(key, len))
#include <uthash.h>

enum {
    CONNECT_MS = 1000, /* a call that could not leave fails after this */
    RECONNECT_MS = 20,
};

struct packet {
    STAILQ_ENTRY(packet) next;
    bool is_reply;
    enum sim_method method;
    uint64_t rpc;
    struct sim_msg *msg;
};
/* One direction of a connection. */
struct lane {
    STAILQ_HEAD(, packet) packets;
    uint64_t last; /* arrival of the newest */
    struct sim_node *from, *to;
};
struct connection {
    uint64_t generation;
    uint64_t blocked_until;
    struct lane lanes[2]; /* from the lower index; from the higher */
};
struct rpc {
    UT_hash_handle hh;
    uint64_t id;
    struct sim_request request;
    struct sim_node *to;
    uint64_t from_life;
    uint64_t deadline;   /* world time */
    uint64_t trying;     /* world time when it first could not leave; 0 */
    uint64_t generation; /* of the connection it was sent on */
    bool sent;           /* and not known to be lost */
    bool ever_sent;
};
struct served {
    UT_hash_handle hh;
    struct sim_call call;
};
struct sim_net {
    uint64_t ids;
    struct rpc *rpcs;        /* hash, in order of making */
    struct ending *endings;  /* hash */
    struct served *servings; /* hash, in order of making */
    struct connection connections[SIM_NODES_MAX][SIM_NODES_MAX];
};

/* What a packet's event carries; the packet itself is in the lane. */
struct arrival {
    struct sim_msg *msg;
    uint64_t rpc;
    uint64_t generation;
    struct sim_node *from;
    uint64_t from_life;
    struct sim_node *to;
    enum sim_method method;
    bool is_reply;
};
/* A call that has failed and whose caller hears of it in the next event. */
struct ending {
    UT_hash_handle hh;
    uint64_t id; /* the call's */
    struct sim_net *net;
    struct sim_request request;
    struct sim_msg *reply;
    bool cancelled; /* meanwhile, by its caller */
};

static struct connection *
connection_of(struct sim *sim, const struct sim_node *a,
              const struct sim_node *b)
{
    return a->index < b->index ? &sim->net->connections[a->index][b->index]
                               : &sim->net->connections[b->index][a->index];
}

static struct lane *
lane_of(struct sim *sim, struct sim_node *from, struct sim_node *to)
{
    struct connection *c = connection_of(sim, from, to);
    struct lane *lane = &c->lanes[from->index < to->index ? 0 : 1];

    lane->from = from;
    lane->to = to;
    return lane;
}

void
sim_net_init(struct sim *sim)
{
    sim->net = plex_calloc(1, sizeof *sim->net);
    for (int a = 0; a < SIM_NODES_MAX; a++)
        for (int b = 0; b < SIM_NODES_MAX; b++)
            for (int i = 0; i < 2; i++)
                STAILQ_INIT(&sim->net->connections[a][b].lanes[i].packets);
}

static void
lane_clear(struct lane *lane)
{
    struct packet *packet;

    while ((packet = STAILQ_FIRST(&lane->packets)) != NULL) {
        STAILQ_REMOVE_HEAD(&lane->packets, next);
        sim_msg_unref(packet->msg);
        free(packet);
    }
}

static void
rpc_free(struct sim *sim, struct rpc *rpc)
{
    HASH_DEL(sim->net->rpcs, rpc);
    sim_msg_unref(rpc->request.msg);
    free(rpc);
}

static void
served_free(struct sim *sim, struct served *served)
{
    HASH_DEL(sim->net->servings, served);
    sim_msg_unref(served->call.msg);
    free(served);
}

void
sim_net_fini(struct sim *sim)
{
    while (sim->net->rpcs != NULL)
        rpc_free(sim, sim->net->rpcs);
    while (sim->net->servings != NULL)
        served_free(sim, sim->net->servings);
    for (int a = 0; a < SIM_NODES_MAX; a++)
        for (int b = 0; b < SIM_NODES_MAX; b++)
            for (int i = 0; i < 2; i++)
                lane_clear(&sim->net->connections[a][b].lanes[i]);
    free(sim->net);
}

/* -- packets --------------------------------------------------------------- */

static uint64_t
latency(struct sim *sim)
{
    const uint64_t kind = sim_random(sim) % 100;

    if (kind < 90)
        return sim_between(sim, 40 * SIM_US, 300 * SIM_US);
    if (kind < 99)
        return sim_between(sim, 300 * SIM_US, 3 * SIM_MS);
    return sim_between(sim, 3 * SIM_MS, 40 * SIM_MS);
}

static void
arrival_drop(void *arg)
{
    struct arrival *arrival = arg;

    sim_msg_unref(arrival->msg);
    free(arrival);
}

static void
request_arrives(struct sim *sim, struct sim_node *node,
                const struct arrival *arrival)
{
    struct served *served = plex_calloc(1, sizeof *served);
    struct sim_call *call = &served->call;
    struct rpc *rpc;

    HASH_FIND(hh, sim->net->rpcs, &arrival->rpc, sizeof arrival->rpc, rpc);
    *call = (struct sim_call){
        .id = ++sim->net->ids,
        .at = node,
        .from = arrival->from,
        .from_life = arrival->from_life,
        .rpc = arrival->rpc,
        .method = arrival->method,
        .connection = arrival->generation,
        .deadline = sim_mono(sim, node) + 5 * SIM_S,
        .msg = sim_msg_ref(arrival->msg),
    };
    if (rpc != NULL && rpc->deadline > sim->now)
        call->deadline = sim_mono(sim, node) + (rpc->deadline - sim->now);
    HASH_ADD(hh, sim->net->servings, call.id, sizeof call->id, served);
    node->kind->serve(sim, node, call);
}

static void
reply_arrives(struct sim *sim, struct sim_node *node,
              const struct arrival *arrival)
{
    struct sim_request request;
    struct rpc *rpc;

    HASH_FIND(hh, sim->net->rpcs, &arrival->rpc, sizeof arrival->rpc, rpc);
    if (rpc == NULL)
        return; /* it has ended, or this is a second reply */
    request = rpc->request;
    sim_msg_ref(request.msg);
    rpc_free(sim, rpc);
    request.done(sim, node, request.arg, request.token, arrival->msg);
    sim_msg_unref(request.msg);
}

static void
on_arrival(struct sim *sim, struct sim_node *node, void *arg)
{
    struct arrival *arrival = arg;

    if (!sim_boundary(sim, node, arrival->from, SIM_AT_ARRIVAL,
                      arrival->method))
        ;
    else if (arrival->is_reply)
        reply_arrives(sim, node, arrival);
    else
        request_arrives(sim, node, arrival);
    arrival_drop(arrival);
}

/* The head of the lane has come through. One pump is scheduled per packet. */
static void
on_pump(struct sim *sim, struct sim_node *node, void *arg)
{
    struct lane *lane = arg;
    struct connection *c = connection_of(sim, lane->from, lane->to);
    struct packet *packet = STAILQ_FIRST(&lane->packets);
    struct arrival *arrival;

    (void)node;
    if (packet == NULL)
        return; /* lost with the connection */
    if (c->blocked_until > sim->now) {
        sim_after(sim, NULL, c->blocked_until - sim->now + latency(sim),
                  on_pump, lane, NULL);
        return;
    }
    STAILQ_REMOVE_HEAD(&lane->packets, next);
    arrival = plex_calloc(1, sizeof *arrival);
    *arrival = (struct arrival){
        .msg = packet->msg,
        .rpc = packet->rpc,
        .generation = c->generation,
        .from = lane->from,
        .from_life = lane->from->life,
        .method = packet->method,
        .is_reply = packet->is_reply,
    };
    free(packet);
    sim_after(sim, lane->to, 0, on_arrival, arrival, arrival_drop);
}

/* Takes over the packet's msg. */
static void
packet_send(struct sim *sim, struct sim_node *from, struct sim_node *to,
            const struct packet *content)
{
    struct lane *lane = lane_of(sim, from, to);
    struct packet *packet;
    uint64_t at = sim->now + latency(sim);

    if (!sim_boundary(sim, from, to, SIM_AT_SEND, content->method)) {
        sim_msg_unref(content->msg);
        return;
    }
    packet = plex_calloc(1, sizeof *packet);
    if (at <= lane->last)
        at = lane->last + 1;
    lane->last = at;
    *packet = *content;
    STAILQ_INSERT_TAIL(&lane->packets, packet, next);
    sim_after(sim, NULL, at - sim->now, on_pump, lane, NULL);
}

/* -- calling --------------------------------------------------------------- */

static void
ending_drop(void *arg)
{
    struct ending *ending = arg;

    HASH_DEL(ending->net->endings, ending);
    sim_msg_unref(ending->reply);
    free(ending);
}

static void
on_ending(struct sim *sim, struct sim_node *node, void *arg)
{
    struct ending *ending = arg;

    if (!ending->cancelled)
        ending->request.done(sim, node, ending->request.arg,
                             ending->request.token, ending->reply);
    ending_drop(ending);
}

/* End it without a reply. */
static void
rpc_fail(struct sim *sim, struct rpc *rpc, enum plex_status status,
         const char *text)
{
    struct ending *ending = plex_calloc(1, sizeof *ending);

    ending->id = rpc->id;
    ending->net = sim->net;
    ending->request = rpc->request;
    ending->reply = sim_msg_make();
    ending->reply->status = status;
    ending->reply->text = text;
    ending->reply->outcome_unknown = rpc->ever_sent;
    HASH_ADD(hh, sim->net->endings, id, sizeof ending->id, ending);
    sim_after(sim, rpc->request.from, 0, on_ending, ending, ending_drop);
    rpc_free(sim, rpc);
}

struct again {
    uint64_t rpc;
};

static void rpc_send(struct sim *sim, struct rpc *rpc);

static void
on_again(struct sim *sim, struct sim_node *node, void *arg)
{
    const struct again *again = arg;
    struct rpc *rpc;

    (void)node;
    HASH_FIND(hh, sim->net->rpcs, &again->rpc, sizeof again->rpc, rpc);
    if (rpc != NULL && !rpc->sent)
        rpc_send(sim, rpc);
    free(arg);
}

static void
again_later(struct sim *sim, const struct rpc *rpc, uint64_t delay)
{
    struct again *again = plex_calloc(1, sizeof *again);

    again->rpc = rpc->id;
    sim_after(sim, rpc->request.from, delay, on_again, again, free);
}

/* A request that lingered somewhere and comes once more. */
static void
on_duplicate(struct sim *sim, struct sim_node *node, void *arg)
{
    struct arrival *late = arg;
    const struct packet packet = {
        .method = late->method, .rpc = late->rpc, .msg = late->msg};

    (void)node;
    if (late->to->up &&
        connection_of(sim, late->from, late->to)->blocked_until <= sim->now) {
        sim_msg_ref(late->msg);
        packet_send(sim, late->from, late->to, &packet);
    }
    arrival_drop(late);
}

static void
maybe_duplicate(struct sim *sim, struct rpc *rpc)
{
    struct arrival *late;

    if (!rpc->request.retry || sim->faults_over || !sim_chance(sim, 1))
        return;
    late = plex_calloc(1, sizeof *late);
    late->msg = sim_msg_ref(rpc->request.msg);
    late->rpc = rpc->id;
    late->method = rpc->request.method;
    late->from = rpc->request.from;
    late->to = rpc->to;
    sim_after(sim, rpc->request.from, sim_between(sim, SIM_MS, 2 * SIM_S),
              on_duplicate, late, arrival_drop);
}

static void
rpc_send(struct sim *sim, struct rpc *rpc)
{
    struct sim_node *from = rpc->request.from;
    struct connection *c = connection_of(sim, from, rpc->to);
    const uint64_t id = rpc->id;

    if (!rpc->to->up || c->blocked_until > sim->now) {
        if (rpc->trying == 0)
            rpc->trying = sim->now;
        if (!rpc->request.retry && !rpc->ever_sent &&
            sim->now - rpc->trying >= CONNECT_MS * SIM_MS)
            rpc_fail(sim, rpc, PLEX_UNAVAILABLE, "peer cannot be reached");
        else
            again_later(sim, rpc, RECONNECT_MS * SIM_MS);
        return;
    }
    rpc->trying = 0;
    rpc->sent = rpc->ever_sent = true;
    rpc->generation = c->generation;
    packet_send(sim, from, rpc->to,
                &(struct packet){.method = rpc->request.method,
                                 .rpc = rpc->id,
                                 .msg = sim_msg_ref(rpc->request.msg)});
    /* What was struck on the way may have ended it. */
    HASH_FIND(hh, sim->net->rpcs, &id, sizeof id, rpc);
    if (rpc != NULL)
        maybe_duplicate(sim, rpc);
}

static void
on_deadline(struct sim *sim, struct sim_node *node, void *arg)
{
    const struct again *again = arg;
    struct rpc *rpc;

    (void)node;
    HASH_FIND(hh, sim->net->rpcs, &again->rpc, sizeof again->rpc, rpc);
    if (rpc != NULL)
        rpc_fail(sim, rpc, PLEX_TIMEOUT, "deadline exceeded");
    free(arg);
}

uint64_t
sim_rpc(struct sim *sim, const struct sim_request *request)
{
    struct rpc *rpc = plex_calloc(1, sizeof *rpc);
    struct again *again = plex_calloc(1, sizeof *again);
    const uint64_t id = ++sim->net->ids;

    rpc->id = id;
    rpc->request = *request;
    rpc->to = sim_find(sim, request->url);
    assert(rpc->to != NULL && request->from != NULL);
    rpc->from_life = request->from->life;
    rpc->deadline = sim->now + request->timeout_ns;
    HASH_ADD(hh, sim->net->rpcs, id, sizeof rpc->id, rpc);
    again->rpc = rpc->id;
    sim_after(sim, request->from, request->timeout_ns, on_deadline, again,
              free);
    rpc_send(sim, rpc);
    return id;
}

void
sim_rpc_cancel(struct sim *sim, uint64_t id)
{
    struct ending *ending;
    struct rpc *rpc;

    HASH_FIND(hh, sim->net->rpcs, &id, sizeof id, rpc);
    if (rpc != NULL)
        rpc_free(sim, rpc);
    HASH_FIND(hh, sim->net->endings, &id, sizeof id, ending);
    if (ending != NULL)
        ending->cancelled = true;
}

/* -- serving --------------------------------------------------------------- */

struct sim_call *
sim_call_find(struct sim *sim, uint64_t id)
{
    struct served *served;

    HASH_FIND(hh, sim->net->servings, &id, sizeof id, served);
    return served != NULL ? &served->call : NULL;
}

void
sim_answer(struct sim *sim, uint64_t id, struct sim_msg *reply)
{
    struct served *served;
    const struct sim_call *call;

    HASH_FIND(hh, sim->net->servings, &id, sizeof id, served);
    assert(served != NULL);
    call = &served->call;
    if (call->from->up && call->from->life == call->from_life &&
        connection_of(sim, call->at, call->from)->generation ==
            call->connection)
        packet_send(sim, call->at, call->from,
                    &(struct packet){.is_reply = true,
                                     .method = call->method,
                                     .rpc = call->rpc,
                                     .msg = reply});
    else
        sim_msg_unref(reply);
    served_free(sim, served);
}

void
sim_refuse(struct sim *sim, uint64_t id, enum plex_status status,
           const char *text)
{
    struct sim_msg *reply = sim_msg_make();

    reply->status = status;
    reply->text = sim_copy_text(reply, text);
    sim_answer(sim, id, reply);
}

/* -- faults ---------------------------------------------------------------- */

static void
rpc_lost(struct sim *sim, struct rpc *rpc, uint64_t delay)
{
    rpc->sent = false;
    if (rpc->request.retry)
        again_later(sim, rpc, delay);
    else
        rpc_fail(sim, rpc, PLEX_UNKNOWN, "the peer was lost");
}

void
sim_net_break(struct sim *sim, struct sim_node *a, struct sim_node *b)
{
    struct connection *c = connection_of(sim, a, b);
    const uint64_t delay = sim_between(sim, SIM_MS, 100 * SIM_MS);
    struct rpc *rpc, *next;

    c->generation++;
    lane_clear(&c->lanes[0]);
    lane_clear(&c->lanes[1]);
    HASH_ITER(hh, sim->net->rpcs, rpc, next)
    {
        const bool here = (rpc->request.from == a && rpc->to == b) ||
                          (rpc->request.from == b && rpc->to == a);

        if (here && rpc->sent)
            rpc_lost(sim, rpc, delay);
    }
}

void
sim_net_block(struct sim *sim, struct sim_node *a, struct sim_node *b,
              uint64_t until)
{
    struct connection *c = connection_of(sim, a, b);

    if (until > c->blocked_until)
        c->blocked_until = until;
}

void
sim_net_crashed(struct sim *sim, struct sim_node *node)
{
    struct served *served, *after;
    struct rpc *rpc, *next;

    HASH_ITER(hh, sim->net->rpcs, rpc, next)
    {
        if (rpc->request.from == node)
            rpc_free(sim, rpc);
    }
    HASH_ITER(hh, sim->net->servings, served, after)
    {
        if (served->call.at == node)
            served_free(sim, served);
    }
    for (int i = 0; i < sim->n_nodes; i++)
        if (&sim->nodes[i] != node)
            sim_net_break(sim, node, &sim->nodes[i]);
}
