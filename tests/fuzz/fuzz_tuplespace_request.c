/* The tuple space's requests, decoded and carried out. The first byte chooses
 * which one the rest is. */
#include "services/tuplespace/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tspace_now now = {1, 1};
static const struct tspace_config config = {
    .epoch = 1,
    .hash_seed = 7,
    .spaces_max = 100,
    .tuples_max = 20000,
    .bytes_max = 1 << 24,
    .waiters_max = 100,
    .requests_max = 100,
    .tx_max = 10,
    .subscriptions_max = 10,
    .events_max = 100,
};

static enum tspace_reply kind;

/* What tuple spaces say to each other. */
static void
shards(unsigned which, struct plex_bytes in, struct tspace_wire *wire)
{
    const struct tspace_wire_part part = {1, 2, 3, "w", 4};
    struct plex_buf out = {.max = 16 << 20};
    struct tspace_wire_counted counted;
    struct tspace_wire_shard request;
    struct tspace_space_stats stats = {0};
    struct plex_err err;

    if (which == 240)
        (void)!tspace_wire_shard(in, &wire->arena, &request, &err);
    else if (which == 241)
        (void)!tspace_wire_read_part(in, &part, &wire->arena, &out, &err);
    else if (which == 242)
        (void)!tspace_wire_read_counted(in, &wire->arena, &counted, &err);
    else if (which == 243)
        (void)!tspace_wire_space_counted(in, &wire->arena, &stats, &err);
    plex_buf_free(&out);
}

static void
carry_out(struct tspace_core *core, struct tspace_wire *wire)
{
    struct plex_buf out = {.max = 16 << 20};
    struct tspace_action action;
    struct plex_err err;

    while (tspace_core_next(core, &action)) {
        out.len = 0;
        if (action.kind == TSPACE_REPLY && action.status == PLEX_OK)
            (void)!tspace_wire_answer(kind, action.answer, &wire->arena, &out,
                                      &err);
        else if (action.kind == TSPACE_NOTIFY)
            (void)!tspace_wire_event(action.notice, &wire->arena, &out, &err);
    }
    plex_buf_free(&out);
}

static void
place(struct tspace_op *op)
{
    op->where.tenant = op->where.ns = "default";
}

static void
tuples(unsigned which, struct plex_bytes in, struct tspace_wire *wire,
       struct tspace_core *core)
{
    struct tspace_write write;
    struct tspace_read read;
    struct tspace_swap swap;
    struct plex_err err;

    if (which == 0 && tspace_wire_write(in, wire, &write, &err) == PLEX_OK) {
        place(&write.op);
        kind = TSPACE_REPLY_WRITE;
        tspace_core_write(core, now, &write);
    } else if ((which == 1 || which == 2) &&
               tspace_wire_read(in, which == 2, wire, &read, &err) == PLEX_OK) {
        place(&read.op);
        kind = TSPACE_REPLY_READ;
        tspace_core_read(core, now, &read);
        tspace_template_unref(read.template);
    } else if ((which == 3 || which == 4) &&
               tspace_wire_swap(in, which == 4, wire, &swap, &err) == PLEX_OK) {
        place(&swap.op);
        kind = TSPACE_REPLY_SWAP;
        tspace_core_swap(core, now, &swap);
        tspace_template_unref(swap.template);
    }
}

static void
many(unsigned which, struct plex_bytes in, struct tspace_wire *wire,
     struct tspace_core *core)
{
    struct tspace_collect collect;
    struct tspace_count count;
    struct tspace_lease lease;
    struct plex_err err;

    kind = TSPACE_REPLY_COUNT;
    if (which == 5 && tspace_wire_count(in, wire, &count, &err) == PLEX_OK) {
        place(&count.op);
        tspace_core_count(core, now, &count);
        tspace_template_unref(count.template);
    } else if ((which == 6 || which == 7) &&
               (which == 6 ? tspace_wire_clear : tspace_wire_collect)(
                   in, wire, &collect, &err) == PLEX_OK) {
        place(&collect.op);
        tspace_core_collect(core, now, &collect);
        tspace_template_unref(collect.template);
    } else if ((which == 8 || which == 9) &&
               tspace_wire_lease(in, which == 9, wire, &lease, &err) ==
                   PLEX_OK) {
        place(&lease.op);
        kind = TSPACE_REPLY_LEASE;
        tspace_core_lease(core, now, &lease);
    }
}

static void
rest(unsigned which, struct plex_bytes in, struct tspace_wire *wire,
     struct tspace_core *core)
{
    struct tspace_subscribe subscribe;
    struct tspace_options options;
    struct tspace_wire_list list;
    struct tspace_wire_poll poll;
    struct tspace_begin begin;
    struct tspace_claim claim;
    struct tspace_op op = {0};
    struct plex_err err;

    kind = TSPACE_REPLY_EMPTY;
    if (which == 10 && tspace_wire_begin(in, wire, &begin, &err) == PLEX_OK) {
        place(&begin.op);
        tspace_core_begin(core, now, &begin);
    } else if (which == 11 && tspace_wire_end(in, wire, &op, &err) == PLEX_OK) {
        place(&op);
        tspace_core_end(core, now, &op, TSPACE_COMMIT);
    } else if (which == 12 && tspace_wire_claim(in, TSPACE_CONFIRM, wire,
                                                &claim, &err) == PLEX_OK) {
        place(&claim.op);
        tspace_core_claim(core, now, &claim);
    } else if (which == 13 &&
               tspace_wire_subscribe(in, wire, &subscribe, &err) == PLEX_OK) {
        place(&subscribe.op);
        tspace_core_subscribe(core, now, &subscribe);
        tspace_template_unref(subscribe.template);
    } else if (which == 14 && tspace_wire_space(in, wire, &op.where.space,
                                                &options, &err) == PLEX_OK) {
        place(&op);
        tspace_core_configure(core, now, &op, &options);
    } else if (which == 15) {
        (void)!tspace_wire_list(in, wire, &list, &err);
        (void)!tspace_wire_poll(in, wire, &poll, &err);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tspace_core *core;
    struct tspace_wire wire;
    struct plex_bytes in;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    tspace_wire_init(&wire);
    wire.arena.max = 16 << 20;
    core = tspace_core_create(&config);
    shards(data[0], in, &wire);
    tuples(data[0] % 16, in, &wire, core);
    many(data[0] % 16, in, &wire, core);
    rest(data[0] % 16, in, &wire, core);
    carry_out(core, &wire);
    tspace_core_free(core);
    tspace_wire_fini(&wire);
    return 0;
}
