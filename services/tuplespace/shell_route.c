/*
 * Spaces that are placed apart from their namespace. The namespace's shard
 * knows how, so every request comes there first; what is elsewhere is carried
 * out by the shard it belongs to, here or at the service that owns it. How a
 * space is placed never changes once it is in use, so an owner that is none any
 * more sends nothing to a wrong place: at worst it is refused there.
 */
#include "common/loop.h"
#include "common/mem.h"
#include "services/tuplespace/client.h"
#include "services/tuplespace/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(TSPACE_PARTS + 1 == TSPACE_SHARDS, "shards have a place in ids");

enum {
    WAIT_MAX_S = 3600 + 60, /* of a request without a deadline */
    REQUEST_MAX = 17 << 20,
};

/* -- one shard ---------------------------------------------------------------
 */

struct relay {
    struct tspace_server *server;
    struct plex_call *call;
    uint64_t id;
};

static void
relay_done(void *arg, const struct plex_link_result *result)
{
    struct relay *relay = arg;
    enum plex_status status = result->status;

    if (result->outcome_unknown && status == PLEX_UNAVAILABLE)
        status = PLEX_UNKNOWN;
    plex_call_on_abandon(relay->call, NULL, NULL);
    if (status == PLEX_OK)
        plex_call_reply(relay->call, result->payload);
    else
        plex_call_fail(relay->call, status, result->text,
                       (struct plex_bytes){0});
    free(relay);
}

static void
relay_gone(void *arg, struct plex_call *call)
{
    struct relay *relay = arg;

    (void)call;
    plex_link_cancel(relay->server->host->link, relay->id);
}

uint64_t
tspace_route_there(struct tspace_server *server,
                   const struct tspace_wire_shard *request,
                   const struct plex_context *context, plex_link_fn done,
                   void *arg, struct plex_err *err)
{
    const struct reg_node *owner = tspace_client_owner(
        reg_client_catalog(server->registry), request->shard);
    struct plex_buf out = {.max = REQUEST_MAX};
    struct plex_context with = *context;
    uint64_t id = 0;

    if (owner == NULL ||
        strcmp(owner->node_id, server->host->base->node) == 0) {
        (void)plex_err_set(err, PLEX_NOT_OWNER,
                           "shard %u has no other owner yet", request->shard);
        return 0;
    }
    if (with.deadline == 0)
        with.deadline = plex_now() + WAIT_MAX_S * UINT64_C(1000000000);
    if (tspace_wire_shard_out(request, &out, err) == PLEX_OK)
        id = plex_link_call(server->host->link,
                            &(struct plex_link_request){
                                .peer = owner->url,
                                .method = TSPACE_METHOD_AT_SHARD,
                                .context = &with,
                                .payload = {out.data, out.len},
                                .done = done,
                                .arg = arg,
                            });
    plex_buf_free(&out);
    return id;
}

void
tspace_route_here(const struct tspace_asked *asked, uint32_t shard)
{
    struct tspace_shell *shell = &asked->shell->server->shells[shard];
    struct tspace_asked there = *asked;
    struct plex_err err;

    if (shell->core == NULL) {
        (void)plex_err_set(&err, PLEX_UNAVAILABLE, "the store is lost");
        tspace_asked_refuse(asked, &err);
        return;
    }
    tspace_wire_reset(&shell->wire);
    there.shell = shell;
    there.placed = true;
    there.method->ask(&there);
}

/* The request is this shard's. */
static bool
send(struct tspace_asked *asked, uint32_t shard)
{
    struct tspace_server *server = asked->shell->server;
    const struct tspace_wire_shard request = {shard, asked->method->id,
                                              asked->payload};
    struct relay *relay;
    struct plex_err err;

    if (server->shells[shard].owned) {
        tspace_route_here(asked, shard);
        return true;
    }
    relay = plex_calloc(1, sizeof *relay);
    relay->server = server;
    relay->call = asked->call;
    relay->id =
        tspace_route_there(server, &request, plex_call_context(asked->call),
                           relay_done, relay, &err);
    if (relay->id != 0) {
        plex_call_on_abandon(asked->call, relay_gone, relay);
        return true;
    }
    free(relay);
    tspace_asked_refuse(asked, &err);
    return true;
}

void
tspace_route_arrived(void *arg, struct plex_call *call)
{
    struct tspace_server *server = arg;
    struct tspace_asked asked = {.call = call, .placed = true};
    struct tspace_wire_shard request;
    struct plex_err err;

    plex_arena_reset(&server->arena);
    if (tspace_wire_shard(plex_call_payload(call), &server->arena, &request,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    asked.method = tspace_method_find(request.method);
    asked.payload = request.payload;
    if (!server->shared || request.shard >= server->n_shells ||
        asked.method == NULL) {
        (void)plex_err_set(&err, PLEX_INVALID,
                           "shard %u or method %u is not one of this tuple "
                           "space",
                           request.shard, request.method);
        plex_call_refuse(call, &err);
        return;
    }
    asked.shell = &server->shells[request.shard];
    if (tspace_server_begin(server, &asked))
        asked.method->ask(&asked);
}

/* -- which one ---------------------------------------------------------------
 */

static bool
refuse(const struct tspace_asked *asked, enum plex_status status,
       const char *text)
{
    struct plex_err err;

    (void)plex_err_set(&err, status, "%s", text);
    tspace_asked_refuse(asked, &err);
    return true;
}

static struct tspace_where
full(const struct tspace_asked *asked, const char *space)
{
    return (struct tspace_where){asked->where.tenant, asked->where.ns, space};
}

/* How the space is placed; 0: with its namespace, or this is its place. */
static uint32_t
partition(const struct tspace_asked *asked, const char *space)
{
    const struct tspace_where where = full(asked, space);

    return asked->placed || !asked->shell->server->shared
               ? 0
               : tspace_core_partition(asked->shell->core, &where);
}

static const char in_transaction[] =
    "a transaction is about spaces that are placed with their namespace; this "
    "one has a partition_field or its own_shard";
static const char unbound[] =
    "the space is partitioned by a field: here the template must have an exact "
    "value for it";

bool
tspace_route_write(struct tspace_asked *asked, const struct tspace_write *write)
{
    const struct tspace_where where = full(asked, write->op.where.space);
    const uint32_t by = partition(asked, where.space);
    uint32_t shard = 0;

    if (by == 0)
        return false;
    if (write->op.tx != 0)
        return refuse(asked, PLEX_UNSUPPORTED, in_transaction);
    for (uint32_t i = 0; i < write->n_tuples; i++) {
        const uint32_t of =
            tspace_part_tuple(&where, by, write->tuples[i].data);

        if (of == 0)
            return refuse(asked, PLEX_INVALID,
                          "the space is partitioned by a field that a tuple "
                          "does not have");
        if (shard != 0 && of != shard)
            return refuse(asked, PLEX_INVALID,
                          "the space is partitioned by a field: the tuples of "
                          "one write must have the same value there");
        shard = of;
    }
    return send(asked, shard);
}

/* What several shards cannot do as one. */
static const char *
unscattered(const struct tspace_read *read)
{
    const bool waits = read->timeout_ms > 0;

    if (read->order != TSPACE_OLDEST && read->order != TSPACE_RANDOM)
        return "an order over the shards of a partitioned space is not kept: "
               "name the value of its partition_field, or order oldest";
    if (waits && read->take && read->op.request_id.len > 0)
        return "a take that waits at all shards of a partitioned space has no "
               "request id: name the value of its partition_field";
    if (waits && read->claim.owner.len > 0)
        return "a claim that waits at all shards of a partitioned space is "
               "not possible: name the value of its partition_field";
    return NULL;
}

bool
tspace_route_read(struct tspace_asked *asked, const struct tspace_read *read)
{
    const struct tspace_where where = full(asked, read->op.where.space);
    const uint32_t by = partition(asked, where.space);
    const char *text = unscattered(read);
    uint32_t shard;

    if (by == 0)
        return false;
    if (read->op.tx != 0)
        return refuse(asked, PLEX_UNSUPPORTED, in_transaction);
    if (read->id != 0)
        return tspace_route_id(asked, &read->op, read->id);
    shard = tspace_part_template(&where, by, read->template);
    if (shard != 0)
        return send(asked, shard);
    if (text != NULL)
        return refuse(asked, PLEX_UNSUPPORTED, text);
    tspace_spread_begin(asked, &(struct tspace_spread_of){
                                   .shards = tspace_parts(&where, by),
                                   .kind = TSPACE_SPREAD_READ,
                                   .read = read,
                               });
    return true;
}

bool
tspace_route_count(struct tspace_asked *asked, const struct tspace_count *count)
{
    const struct tspace_where where = full(asked, count->op.where.space);
    const uint32_t by = partition(asked, where.space);
    uint32_t shard;

    if (by == 0)
        return false;
    if (count->op.tx != 0)
        return refuse(asked, PLEX_UNSUPPORTED, in_transaction);
    shard = tspace_part_template(&where, by, count->template);
    if (shard != 0)
        return send(asked, shard);
    tspace_spread_begin(
        asked,
        &(struct tspace_spread_of){
            .shards = tspace_parts(&where, by),
            .kind = asked->method == tspace_method_find(TSPACE_METHOD_EXISTS)
                        ? TSPACE_SPREAD_EXISTS
                        : TSPACE_SPREAD_NUMBER,
        });
    return true;
}

/* The shard that gave out the id. */
static uint32_t
shard_of_id(uint64_t id)
{
    return (uint32_t)(id >> TSPACE_ID_SHARD) & TSPACE_PARTS;
}

bool
tspace_route_id(struct tspace_asked *asked, const struct tspace_op *op,
                uint64_t id)
{
    const uint32_t shard = shard_of_id(id);

    /* An id of shard 0 is none of such a space: the core says so. */
    if (partition(asked, op->where.space) == 0 || shard == 0)
        return false;
    return op->tx != 0 ? refuse(asked, PLEX_UNSUPPORTED, in_transaction)
                       : send(asked, shard);
}

bool
tspace_route_swap(struct tspace_asked *asked, const struct tspace_swap *swap)
{
    const struct tspace_where where = full(asked, swap->op.where.space);
    const uint32_t by = partition(asked, where.space);
    uint32_t shard;

    if (by == 0)
        return false;
    if (swap->op.tx != 0)
        return refuse(asked, PLEX_UNSUPPORTED, in_transaction);
    shard = swap->id != 0 ? shard_of_id(swap->id)
                          : tspace_part_template(&where, by, swap->template);
    if (shard == 0)
        return swap->id == 0 && refuse(asked, PLEX_UNSUPPORTED, unbound);
    if (tspace_part_tuple(&where, by, swap->packed.data) != shard)
        return refuse(asked, PLEX_INVALID,
                      "the new value of the field that the space is "
                      "partitioned by belongs to another shard: take the "
                      "tuple and write another one");
    return send(asked, shard);
}

bool
tspace_route_collect(struct tspace_asked *asked,
                     const struct tspace_collect *collect)
{
    const struct tspace_where where = full(asked, collect->op.where.space);
    const uint32_t by = partition(asked, where.space);
    const struct tspace_count as_count = {collect->op, collect->template};

    if (by == 0 &&
        (collect->to[0] == '\0' || partition(asked, collect->to) == 0))
        return false;
    if (collect->to[0] != '\0')
        return refuse(asked, PLEX_UNSUPPORTED,
                      "tuples are collected between spaces that are placed "
                      "with their namespace; one of these has a "
                      "partition_field or its own_shard");
    return tspace_route_count(asked, &as_count);
}

bool
tspace_route_claims(struct tspace_asked *asked)
{
    struct tspace_spread_of of = {.kind = TSPACE_SPREAD_NUMBER,
                                  .may_miss = true};

    if (asked->placed || !asked->shell->server->shared)
        return false;
    of.shards = tspace_core_parts(asked->shell->core, &asked->where);
    if (of.shards == 0)
        return false;
    of.shards |= 1u << asked->shell->shard;
    tspace_spread_begin(asked, &of);
    return true;
}

bool
tspace_route_subscribe(struct tspace_asked *asked,
                       const struct tspace_subscribe *subscribe)
{
    const struct tspace_where where = full(asked, subscribe->op.where.space);
    const uint32_t by = partition(asked, where.space);
    uint32_t shard;

    if (by == 0)
        return false;
    shard = tspace_part_template(&where, by, subscribe->template);
    return shard == 0 ? refuse(asked, PLEX_UNSUPPORTED, unbound)
                      : send(asked, shard);
}

bool
tspace_route_subscription(struct tspace_asked *asked, uint64_t id)
{
    const uint32_t shard = shard_of_id(id);

    return !asked->placed && asked->shell->server->shared && shard != 0 &&
           shard != asked->shell->shard && send(asked, shard);
}

bool
tspace_route_create(struct tspace_asked *asked, const char *space,
                    const struct tspace_options *options)
{
    const struct tspace_where where = full(asked, space);
    uint32_t by = options->partition_field;

    if (asked->placed || !asked->shell->server->shared)
        return false;
    if (by == 0)
        by = partition(asked, space);
    /* What is to be refused is refused before anything is done elsewhere. */
    if (by == 0 || !tspace_core_may_place(asked->shell->core, &where, by))
        return false;
    tspace_spread_begin(asked, &(struct tspace_spread_of){
                                   .shards = tspace_parts(&where, by),
                                   .last = 1 + asked->shell->shard,
                                   .kind = TSPACE_SPREAD_EMPTY,
                               });
    return true;
}

bool
tspace_route_get(struct tspace_asked *asked, const char *space,
                 const struct tspace_space_stats *stats)
{
    const struct tspace_where where = full(asked, space);
    const uint32_t by = partition(asked, space);

    if (by == 0)
        return false;
    tspace_spread_begin(asked, &(struct tspace_spread_of){
                                   .shards = tspace_parts(&where, by),
                                   .kind = TSPACE_SPREAD_SPACE,
                                   .space = space,
                                   .stats = stats,
                               });
    return true;
}
