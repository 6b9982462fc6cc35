#include "tests/bench/actors/bench.h"

/* One-way sends, ping-pong, the ring, counting. */

enum { BATCH = 1000, WINDOW = 64, GO = 1, TICK, ACK, PING, PONG, OVER };

/* -- one-way: a sender, a receiver who acknowledges every batch -- */

struct pair {
    struct plex_ref root, other;
    uint64_t left; /* sender: to send; receiver: to come */
    uint64_t open; /* batches not acknowledged */
    uint32_t in_batch;
};

static int
sink_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    return 0;
}
static int
sink_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct pair *own = plex_data(ctx);

    own->left--;
    if (++own->in_batch == BATCH || own->left == 0) {
        own->in_batch = 0;
        plex_send(ctx, msg->from, ACK, NULL, 0);
    }
    if (own->left == 0)
        plex_send(ctx, own->root, OVER, NULL, 0);
    return 0;
}
static const struct plex_behaviour sink = {.name = "sink",
                                           .init = sink_init,
                                           .handle_info = sink_info,
                                           .data_size = sizeof(struct pair)};

static int
source_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct pair *own = plex_data(ctx);

    if (msg->tag == ACK)
        own->open--;
    if (own->left == 0 || own->open >= WINDOW)
        return 0;
    for (uint32_t i = 0; i < BATCH && own->left > 0; i++, own->left--)
        plex_send(ctx, own->other, TICK, NULL, 0);
    own->open++;
    if (own->open < WINDOW)
        plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static int
source_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct pair *own = plex_data(ctx);
    struct pair other;

    memcpy(own, args, len);
    other = *own;
    own->other = bench_spawn(ctx, &sink, &other, sizeof other);
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour source = {.name = "source",
                                             .init = source_init,
                                             .handle_info = source_info,
                                             .data_size = sizeof(struct pair)};

/* -- ping-pong -- */

static int
pong_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_send(ctx, msg->from, PONG, NULL, 0);
    return 0;
}
static const struct plex_behaviour pong = {.name = "pong",
                                           .handle_info = pong_info};

static int
ping_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct pair *own = plex_data(ctx);

    (void)msg;
    if (own->left-- == 0)
        plex_send(ctx, own->root, OVER, NULL, 0);
    else
        plex_send(ctx, own->other, PING, NULL, 0);
    return 0;
}
static int
ping_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct pair *own = plex_data(ctx);

    memcpy(own, args, len);
    own->other = bench_spawn(ctx, &pong, NULL, 0);
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour ping = {.name = "ping",
                                           .init = ping_init,
                                           .handle_info = ping_info,
                                           .data_size = sizeof(struct pair)};

/* -- who starts the pairs and waits for all -- */

static int
pairs_start(struct plex_ctx *ctx, const struct plex_behaviour *behaviour,
            uint64_t count)
{
    const struct pair args = {.root = plex_self_ref(ctx),
                              .left = bench_now->n / count};
    uint64_t *left = plex_data(ctx);

    *left = count;
    for (uint64_t i = 0; i < count; i++)
        (void)bench_spawn(ctx, behaviour, &args, sizeof args);
    return 0;
}
static int
root_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t *left = plex_data(ctx);

    (void)msg;
    if (--*left == 0)
        bench_done();
    return 0;
}

#define ROOT(name_, behaviour_, count_)                                   \
    static int name_##_init(struct plex_ctx *ctx, const void *args,       \
                            size_t len)                                   \
    {                                                                     \
        (void)args;                                                       \
        (void)len;                                                        \
        return pairs_start(ctx, behaviour_, count_);                      \
    }                                                                     \
    static const struct plex_behaviour name_ = {.name = #name_,           \
                                                .init = name_##_init,     \
                                                .handle_info = root_info, \
                                                .data_size =              \
                                                    sizeof(uint64_t)};
ROOT(send_1, &source, 1)
ROOT(send_100, &source, 100)
ROOT(ping_1, &ping, 1)
ROOT(ping_500, &ping, 500)

/* -- ring: 1000 in a circle, one token -- */

enum { RING = 1000 };

struct ring_node {
    struct plex_ref next;
};

static int
ring_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct ring_node *own = plex_data(ctx);

    if (msg->tag == 0)
        bench_done();
    else
        plex_send(ctx, own->next, msg->tag - 1, NULL, 0);
    return 0;
}
static int
ring_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    return 0;
}
static const struct plex_behaviour ring_node = {.name = "ring_node",
                                                .init = ring_init,
                                                .handle_info = ring_info,
                                                .data_size =
                                                    sizeof(struct ring_node)};

/* The root is the last of the circle. */
static int
ring_root_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct ring_node *own = plex_data(ctx);
    struct ring_node next = {plex_self_ref(ctx)};

    (void)args;
    (void)len;
    for (int i = 1; i < RING; i++)
        next.next = bench_spawn(ctx, &ring_node, &next, sizeof next);
    own->next = next.next;
    plex_send(ctx, own->next, bench_now->n, NULL, 0);
    return 0;
}
static const struct plex_behaviour ring_root = {.name = "ring_root",
                                                .init = ring_root_init,
                                                .handle_info = ring_info,
                                                .data_size =
                                                    sizeof(struct ring_node)};

/* -- counting: all increments, then what it has come to -- */

static int
counter_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t *count = plex_data(ctx);

    if (msg->tag == TICK)
        ++*count;
    else
        plex_send(ctx, msg->from, *count, NULL, 0);
    return 0;
}
static const struct plex_behaviour counter = {.name = "counter",
                                              .handle_info = counter_info,
                                              .data_size = sizeof(uint64_t)};

struct counting {
    struct plex_ref counter;
    uint64_t left;
};
static int
counting_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct counting *own = plex_data(ctx);

    if (msg->from.id == own->counter.id) {
        if (msg->tag != bench_now->n)
            abort();
        bench_done();
        return 0;
    }
    for (int i = 0; i < BATCH && own->left > 0; i++, own->left--)
        plex_send(ctx, own->counter, TICK, NULL, 0);
    if (own->left > 0)
        plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    else
        plex_send(ctx, own->counter, OVER, NULL, 0);
    return 0;
}
static int
counting_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct counting *own = plex_data(ctx);

    (void)args;
    (void)len;
    own->counter = bench_spawn(ctx, &counter, NULL, 0);
    own->left = bench_now->n;
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour counting = {.name = "counting",
                                               .init = counting_init,
                                               .handle_info = counting_info,
                                               .data_size =
                                                   sizeof(struct counting)};

const struct bench_row bench_messages[] = {
    {"send-1", 10000000, &send_1, 1},
    {"send-100", 10000000, &send_100, 1},
    {"pingpong-1", 2000000, &ping_1, 2},
    {"pingpong-500", 5000000, &ping_500, 2},
    {"ring-1000", 5000000, &ring_root, 1},
    {"counting", 1000000, &counting, 1},
    {0},
};
