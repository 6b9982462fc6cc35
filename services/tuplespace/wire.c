/* Requests. */
#include "common/wire.h"

#include "common/name.h"
#include "services/tuplespace/target.h"
#include "services/tuplespace/wire_private.h"

#include <string.h>

enum {
    WIRE_ARENA_MAX = 256 << 20,
    WIRE_PACKED_MAX = 64 << 20,
    WIRE_PACKED_KEPT = 1 << 20,
    WIRE_TX_MS = 60000,
    WIRE_EVENTS_MAX = 1000,
    WIRE_EVENTS = 100,
    WIRE_PAGE_MAX = 1000,
    WIRE_PAGE = 50,
};

void
tspace_wire_init(struct tspace_wire *wire)
{
    plex_arena_init(&wire->arena, WIRE_ARENA_MAX);
    wire->packed = (struct plex_buf){.max = WIRE_PACKED_MAX};
}

void
tspace_wire_fini(struct tspace_wire *wire)
{
    plex_arena_fini(&wire->arena);
    plex_buf_free(&wire->packed);
}

void
tspace_wire_reset(struct tspace_wire *wire)
{
    plex_arena_reset(&wire->arena);
    wire->packed.len = 0;
    if (wire->packed.cap > WIRE_PACKED_KEPT)
        plex_buf_free(&wire->packed);
}

#define UNPACK(name, type)                                                  \
    ProtobufCMessage *message;                                              \
    const PB(type) * pb;                                                    \
    if (plex_wire_unpack(&plexspaces__tuplespace__v1__##name##__descriptor, \
                         in, &wire->arena, &message, err) != PLEX_OK)       \
        return err->status;                                                 \
    pb = (const void *)message

static enum plex_status
check_space(const char *space, struct plex_err *err)
{
    return plex_name_plain("space", space, strlen(space), err);
}

/* A text of limited length, as bytes. */
static enum plex_status
text_in(const char *name, const char *text, size_t max, struct plex_bytes *out,
        struct plex_err *err)
{
    *out = (struct plex_bytes){(const uint8_t *)text, strlen(text)};
    if (out->len <= max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "%s has %zu bytes, at most %zu are allowed", name,
                        out->len, max);
}

static enum plex_status
limit_u64(const char *name, uint64_t value, uint64_t max, struct plex_err *err)
{
    if (value <= max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID, "%s is more than %llu", name,
                        (unsigned long long)max);
}

/* Where most requests are about. */
static enum plex_status
op_in(struct tspace_op *op, const char *space, ProtobufCBinaryData request_id,
      uint64_t tx, struct plex_err *err)
{
    *op = (struct tspace_op){.where.space = space,
                             .tx = tx,
                             .request_id = plex_wire_bytes_in(request_id)};
    if (op->request_id.len > TSPACE_REQUEST_ID_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "request_id has %zu bytes, at most %d are allowed",
                            op->request_id.len, TSPACE_REQUEST_ID_MAX);
    return check_space(space, err);
}

/* -- tuples ------------------------------------------------------------------
 */

/* Appends to wire->packed, which may move. */
static enum plex_status
tuple_in(const PB(Tuple) * in, struct tspace_wire *wire, struct plex_err *err)
{
    struct tspace_value *values;

    if (tspace_wire_values(in->fields, in->n_fields, &wire->arena, &values,
                           err) != PLEX_OK)
        return err->status;
    return tspace_pack(values, (uint32_t)in->n_fields, &wire->packed, err);
}

enum plex_status
tspace_wire_write(struct plex_bytes in, struct tspace_wire *wire,
                  struct tspace_write *out, struct plex_err *err)
{
    struct plex_bytes *tuples;

    UNPACK(write_request, WriteRequest);
    *out = (struct tspace_write){.ttl_ms = pb->ttl_ms};
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
            PLEX_OK ||
        text_in("owner", pb->owner, TSPACE_LEASE_OWNER_MAX, &out->owner, err) !=
            PLEX_OK ||
        text_in("metadata", pb->metadata, TSPACE_META_MAX, &out->meta, err) !=
            PLEX_OK)
        return err->status;
    if (pb->n_tuples == 0 || pb->n_tuples > TSPACE_WRITE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "tuples has %zu entries, 1 to %d are allowed",
                            pb->n_tuples, TSPACE_WRITE_MAX);
    tuples = plex_wire_array(&wire->arena, pb->n_tuples, sizeof *tuples);
    if (tuples == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_tuples; i++) {
        const size_t at = wire->packed.len;

        if (tuple_in(pb->tuples[i], wire, err) != PLEX_OK)
            return plex_err_wrap(err, "tuples[%zu]", i);
        tuples[i].len = wire->packed.len - at;
    }
    for (size_t i = 0, at = 0; i < pb->n_tuples; i++) {
        tuples[i].data = wire->packed.data + at;
        at += tuples[i].len;
    }
    out->tuples = tuples;
    out->n_tuples = (uint32_t)pb->n_tuples;
    return PLEX_OK;
}

static enum plex_status
claim_in(const PB(Claim) * in, struct tspace_claim_of *out,
         struct plex_err *err)
{
    if (in == NULL)
        return PLEX_OK;
    out->turn = in->turn;
    out->lease_ms = in->lease_ms;
    if (in->owner[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "claim.owner is missing");
    return text_in("claim.owner", in->owner, TSPACE_CLAIM_OWNER_MAX,
                   &out->owner, err);
}

static enum plex_status
order_in(const PB(ReadRequest) * pb, struct tspace_read *out,
         struct plex_err *err)
{
    static const enum tspace_order orders[] = {
        TSPACE_OLDEST, TSPACE_NEWEST, TSPACE_LEAST, TSPACE_MOST, TSPACE_RANDOM};

    if ((unsigned)pb->order >= sizeof orders / sizeof orders[0])
        return plex_err_set(err, PLEX_INVALID, "order %d is not known",
                            (int)pb->order);
    out->order = orders[pb->order];
    out->order_field = pb->order_field;
    return PLEX_OK;
}

enum plex_status
tspace_wire_read(struct plex_bytes in, bool take, struct tspace_wire *wire,
                 struct tspace_read *out, struct plex_err *err)
{
    UNPACK(read_request, ReadRequest);
    *out = (struct tspace_read){
        .id = pb->tuple_id,
        .timeout_ms = pb->timeout_ms,
        .max_results = pb->max_results == 0 ? 1 : pb->max_results,
        .take = take,
        .after = pb->cursor,
    };
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
            PLEX_OK ||
        limit_u64("timeout_ms", pb->timeout_ms, TSPACE_WAIT_MAX_MS, err) !=
            PLEX_OK ||
        limit_u64("max_results", pb->max_results, TSPACE_RESULTS_MAX, err) !=
            PLEX_OK ||
        order_in(pb, out, err) != PLEX_OK ||
        claim_in(pb->claim, &out->claim, err) != PLEX_OK)
        return err->status;
    if (!take)
        out->op.request_id = (struct plex_bytes){0};
    if (!take && pb->claim != NULL)
        return plex_err_set(err, PLEX_INVALID, "claim is for take");
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_count(struct plex_bytes in, struct tspace_wire *wire,
                  struct tspace_count *out, struct plex_err *err)
{
    UNPACK(count_request, CountRequest);
    *out = (struct tspace_count){0};
    if (op_in(&out->op, pb->space, (ProtobufCBinaryData){0}, pb->transaction_id,
              err) != PLEX_OK)
        return err->status;
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_swap(struct plex_bytes in, bool update, struct tspace_wire *wire,
                 struct tspace_swap *out, struct plex_err *err)
{
    UNPACK(swap_request, SwapRequest);
    *out = (struct tspace_swap){.id = pb->tuple_id, .ttl_ms = pb->ttl_ms};
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
        PLEX_OK)
        return err->status;
    if (update && pb->tuple_id == 0)
        return plex_err_set(err, PLEX_INVALID, "tuple_id is missing");
    if (!update && (pb->template_ == NULL || pb->template_->n_fields == 0))
        return plex_err_set(err, PLEX_INVALID, "template is missing");
    if (pb->tuple == NULL)
        return plex_err_set(err, PLEX_INVALID, "tuple is missing");
    if (tuple_in(pb->tuple, wire, err) != PLEX_OK)
        return plex_err_wrap(err, "tuple");
    out->packed = (struct plex_bytes){wire->packed.data, wire->packed.len};
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_clear(struct plex_bytes in, struct tspace_wire *wire,
                  struct tspace_collect *out, struct plex_err *err)
{
    UNPACK(clear_request, ClearRequest);
    *out = (struct tspace_collect){.to = ""};
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
        PLEX_OK)
        return err->status;
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_collect(struct plex_bytes in, struct tspace_wire *wire,
                    struct tspace_collect *out, struct plex_err *err)
{
    UNPACK(collect_request, CollectRequest);
    *out =
        (struct tspace_collect){.to = pb->to, .max = pb->max, .copy = pb->copy};
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
            PLEX_OK ||
        limit_u64("max", pb->max, TSPACE_RESULTS_MAX, err) != PLEX_OK)
        return err->status;
    if (check_space(pb->to, err) != PLEX_OK)
        return plex_err_wrap(err, "to");
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_lease(struct plex_bytes in, bool cancel, struct tspace_wire *wire,
                  struct tspace_lease *out, struct plex_err *err)
{
    UNPACK(lease_request, LeaseRequest);
    *out = (struct tspace_lease){
        .id = pb->tuple_id, .ttl_ms = pb->ttl_ms, .cancel = cancel};
    if (op_in(&out->op, pb->space, pb->request_id, pb->transaction_id, err) !=
        PLEX_OK)
        return err->status;
    if (pb->tuple_id == 0)
        return plex_err_set(err, PLEX_INVALID, "tuple_id is missing");
    return text_in("owner", pb->owner, TSPACE_LEASE_OWNER_MAX, &out->owner,
                   err);
}

/* -- transactions and claims -------------------------------------------------
 */

/* Of requests that belong to no space. */
static enum plex_status
op_bare(struct tspace_op *op, ProtobufCBinaryData request_id,
        struct plex_err *err)
{
    if (op_in(op, "none", request_id, 0, err) != PLEX_OK)
        return err->status;
    op->where.space = "";
    return PLEX_OK;
}

enum plex_status
tspace_wire_begin(struct plex_bytes in, struct tspace_wire *wire,
                  struct tspace_begin *out, struct plex_err *err)
{
    UNPACK(begin_transaction_request, BeginTransactionRequest);
    *out = (struct tspace_begin){
        .timeout_ms = pb->timeout_ms == 0 ? WIRE_TX_MS : pb->timeout_ms};
    if (limit_u64("timeout_ms", pb->timeout_ms, TSPACE_TX_MAX_MS, err) !=
        PLEX_OK)
        return err->status;
    return op_bare(&out->op, pb->request_id, err);
}

enum plex_status
tspace_wire_end(struct plex_bytes in, struct tspace_wire *wire,
                struct tspace_op *out, struct plex_err *err)
{
    UNPACK(end_transaction_request, EndTransactionRequest);
    if (op_bare(out, pb->request_id, err) != PLEX_OK)
        return err->status;
    out->tx = pb->transaction_id;
    if (out->tx == 0)
        return plex_err_set(err, PLEX_INVALID, "transaction_id is missing");
    return PLEX_OK;
}

enum plex_status
tspace_wire_claim(struct plex_bytes in, enum tspace_claim_verb verb,
                  struct tspace_wire *wire, struct tspace_claim *out,
                  struct plex_err *err)
{
    UNPACK(claim_request, ClaimRequest);
    *out = (struct tspace_claim){.verb = verb};
    out->claim.turn = pb->turn;
    out->claim.lease_ms = pb->lease_ms;
    if (op_bare(&out->op, (ProtobufCBinaryData){0}, err) != PLEX_OK)
        return err->status;
    if (pb->owner[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "owner is missing");
    return text_in("owner", pb->owner, TSPACE_CLAIM_OWNER_MAX,
                   &out->claim.owner, err);
}

/* -- subscriptions -----------------------------------------------------------
 */

static enum plex_status
target_in(const char *target, struct plex_bytes *out, struct plex_err *err)
{
    struct tspace_target_address address;

    if (tspace_target_parse(target, &address, err) != PLEX_OK)
        return err->status;
    return text_in("target", target, TSPACE_TARGET_MAX, out, err);
}

enum plex_status
tspace_wire_subscribe(struct plex_bytes in, struct tspace_wire *wire,
                      struct tspace_subscribe *out, struct plex_err *err)
{
    UNPACK(subscribe_request, SubscribeRequest);
    *out = (struct tspace_subscribe){
        .guaranteed = pb->guaranteed,
        .ttl_ms = pb->ttl_ms,
    };
    if (op_in(&out->op, pb->space, pb->request_id, 0, err) != PLEX_OK ||
        target_in(pb->target, &out->target, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < pb->n_events; i++)
        out->events |= (unsigned)pb->events[i];
    if (pb->n_events == 0)
        out->events = TSPACE_EVENTS_ALL;
    if (out->events == 0 || (out->events & ~(unsigned)TSPACE_EVENTS_ALL) != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "events has one that is not "
                            "known");
    return tspace_wire_template(pb->template_, &wire->arena, &out->template,
                                err);
}

enum plex_status
tspace_wire_unsubscribe(struct plex_bytes in, struct tspace_wire *wire,
                        struct tspace_subscription *out, struct plex_err *err)
{
    UNPACK(unsubscribe_request, UnsubscribeRequest);
    *out = (struct tspace_subscription){.id = pb->subscription_id,
                                        .verb = TSPACE_UNSUBSCRIBE};
    return op_bare(&out->op, (ProtobufCBinaryData){0}, err);
}

enum plex_status
tspace_wire_acknowledge(struct plex_bytes in, struct tspace_wire *wire,
                        struct tspace_subscription *out, struct plex_err *err)
{
    UNPACK(acknowledge_events_request, AcknowledgeEventsRequest);
    *out = (struct tspace_subscription){.id = pb->subscription_id,
                                        .verb = TSPACE_ACKNOWLEDGE,
                                        .up_to = pb->up_to};
    return op_bare(&out->op, (ProtobufCBinaryData){0}, err);
}

enum plex_status
tspace_wire_poll(struct plex_bytes in, struct tspace_wire *wire,
                 struct tspace_wire_poll *out, struct plex_err *err)
{
    UNPACK(poll_events_request, PollEventsRequest);
    *out = (struct tspace_wire_poll){
        .subscription = pb->subscription_id,
        .timeout_ms = pb->timeout_ms,
        .max_events = pb->max_events == 0 ? WIRE_EVENTS : pb->max_events,
        .after = pb->after,
        .acknowledge = pb->acknowledge,
    };
    if (limit_u64("max_events", pb->max_events, WIRE_EVENTS_MAX, err) !=
        PLEX_OK)
        return err->status;
    return limit_u64("timeout_ms", pb->timeout_ms, TSPACE_WAIT_MAX_MS, err);
}

/* -- spaces ------------------------------------------------------------------
 */

static enum plex_status
bits_in(const char *name, const uint32_t *fields, size_t n, uint32_t arity,
        uint64_t *out, struct plex_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (fields[i] >= 64 || fields[i] >= arity)
            return plex_err_set(err, PLEX_INVALID,
                                "%s has field %u; fields are counted from 0, "
                                "below the arity and 64",
                                name, fields[i]);
        *out |= 1ull << fields[i];
    }
    return PLEX_OK;
}

static enum plex_status
index_in(const PB(Index) * in, struct tspace_index *out, struct plex_err *err)
{
    out->fields = in->arity;
    if (in->arity == 0 || in->arity > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "arity is %u, 1 to %d are allowed", in->arity,
                            TSPACE_FIELDS_MAX);
    if (bits_in("exact", in->exact, in->n_exact, in->arity, &out->exact, err) !=
            PLEX_OK ||
        bits_in("types", in->types, in->n_types, in->arity, &out->types, err) !=
            PLEX_OK)
        return err->status;
    if (in->n_ordered > 1 ||
        (in->n_ordered == 1 && in->ordered[0] >= in->arity))
        return plex_err_set(err, PLEX_INVALID,
                            "ordered may have one field, below the arity");
    out->ordered = in->n_ordered == 1 ? in->ordered[0] + 1 : 0;
    return PLEX_OK;
}

static enum plex_status
partition_in(const PB(SpaceOptions) * in, uint32_t *out, struct plex_err *err)
{
    *out = 0;
    if (in->partition_case ==
            PLEXSPACES__TUPLESPACE__V1__SPACE_OPTIONS__PARTITION_OWN_SHARD &&
        in->own_shard)
        *out = TSPACE_PARTITION_OWN;
    if (in->partition_case !=
        PLEXSPACES__TUPLESPACE__V1__SPACE_OPTIONS__PARTITION_PARTITION_FIELD)
        return PLEX_OK;
    *out = in->partition_field + 1;
    if (in->partition_field < TSPACE_PARTITION_FIELDS)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "partition_field is %u; fields are counted from 0, "
                        "below %d",
                        in->partition_field, TSPACE_PARTITION_FIELDS);
}

enum plex_status
tspace_wire_space(struct plex_bytes in, struct tspace_wire *wire,
                  const char **space, struct tspace_options *options,
                  struct plex_err *err)
{
    const PB(SpaceOptions) * from;

    UNPACK(create_space_request, CreateSpaceRequest);
    *options = (struct tspace_options){0};
    *space = pb->space;
    if (check_space(pb->space, err) != PLEX_OK)
        return err->status;
    from = pb->options;
    if (from == NULL)
        return PLEX_OK;
    options->tuples_max = from->tuples_max;
    options->bytes_max = from->bytes_max;
    options->waiters_max = from->waiters_max;
    options->default_ttl_ms = from->default_ttl_ms;
    if (partition_in(from, &options->partition_field, err) != PLEX_OK)
        return err->status;
    if (from->n_indexes > TSPACE_INDEXES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "indexes has %zu entries, at most %d are allowed",
                            from->n_indexes, TSPACE_INDEXES_MAX);
    options->n_indexes = (uint32_t)from->n_indexes;
    for (size_t i = 0; i < from->n_indexes; i++)
        if (index_in(from->indexes[i], &options->indexes[i], err) != PLEX_OK)
            return plex_err_wrap(err, "indexes[%zu]", i);
    return PLEX_OK;
}

enum plex_status
tspace_wire_get_space(struct plex_bytes in, struct tspace_wire *wire,
                      const char **space, struct plex_err *err)
{
    UNPACK(get_space_request, GetSpaceRequest);
    *space = pb->space;
    return check_space(pb->space, err);
}

enum plex_status
tspace_wire_list(struct plex_bytes in, struct tspace_wire *wire,
                 struct tspace_wire_list *out, struct plex_err *err)
{
    UNPACK(list_spaces_request, ListSpacesRequest);
    out->after = pb->page_token;
    out->max = pb->page_size == 0 ? WIRE_PAGE : pb->page_size;
    return limit_u64("page_size", pb->page_size, WIRE_PAGE_MAX, err);
}
