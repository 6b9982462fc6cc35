#include "tests/bench/actors/bench.h"

#include <stdlib.h>

/* Fork-join, chameneos, big, bank: after Savina. */

enum { BATCH = 1000, GO = 1, WORK, OVER, PING, PONG, MEET, FADED };

/* -- fork-join create: a million short lives -- */

struct child_args {
    struct plex_ref root;
};
static int
short_life(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_send(ctx, msg->from, OVER, NULL, 0);
    plex_exit_self(ctx, "normal");
    return 0;
}
static const struct plex_behaviour short_lived = {.name = "short",
                                                  .handle_info = short_life};

struct fork {
    uint64_t to_start, to_end;
};
static int
fork_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct fork *own = plex_data(ctx);

    if (msg->tag == OVER) {
        if (--own->to_end == 0)
            bench_done();
        return 0;
    }
    for (int i = 0; i < BATCH && own->to_start > 0; i++, own->to_start--)
        plex_send(ctx, bench_spawn(ctx, &short_lived, NULL, 0), WORK, NULL, 0);
    if (own->to_start > 0)
        plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static int
fork_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct fork *own = plex_data(ctx);

    (void)args;
    (void)len;
    own->to_start = own->to_end = bench_now->n;
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour fork_create = {.name = "fork_create",
                                                  .init = fork_init,
                                                  .handle_info = fork_info,
                                                  .data_size =
                                                      sizeof(struct fork)};

/* -- fork-join throughput: messages to 60, in turn -- */

enum { WORKERS = 60 };

struct worker {
    struct plex_ref root;
    uint64_t left;
};
static int
worker_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    return 0;
}
static int
worker_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct worker *own = plex_data(ctx);

    (void)msg;
    if (--own->left == 0)
        plex_send(ctx, own->root, OVER, NULL, 0);
    return 0;
}
static const struct plex_behaviour worker = {.name = "worker",
                                             .init = worker_init,
                                             .handle_info = worker_info,
                                             .data_size =
                                                 sizeof(struct worker)};
struct throughput {
    struct plex_ref workers[WORKERS];
    uint64_t rounds;
    uint32_t left;
};
static int
throughput_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct throughput *own = plex_data(ctx);

    if (msg->tag == OVER) {
        if (--own->left == 0)
            bench_done();
        return 0;
    }
    for (int k = 0; k < 16 && own->rounds > 0; k++, own->rounds--) {
        for (int i = 0; i < WORKERS; i++)
            plex_send(ctx, own->workers[i], WORK, NULL, 0);
    }
    if (own->rounds > 0)
        plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static int
throughput_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct throughput *own = plex_data(ctx);
    const struct worker one = {plex_self_ref(ctx), bench_now->n / WORKERS};

    (void)args;
    (void)len;
    for (int i = 0; i < WORKERS; i++)
        own->workers[i] = bench_spawn(ctx, &worker, &one, sizeof one);
    own->rounds = one.left;
    own->left = WORKERS;
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour throughput = {.name = "throughput",
                                                 .init = throughput_init,
                                                 .handle_info = throughput_info,
                                                 .data_size =
                                                     sizeof(struct throughput)};

/* -- chameneos: 100 meet at a mall, n meetings -- */

enum { CHAMENEOS = 100 };

struct meeting {
    uint32_t color;
};
struct chameneo {
    struct plex_ref mall;
    uint32_t color;
};

static uint32_t
complement(uint32_t a, uint32_t b)
{
    return a == b ? a : 3 - a - b;
}
static void
meet(struct plex_ctx *ctx, const struct chameneo *own)
{
    const struct meeting meeting = {own->color};

    plex_send(ctx, own->mall, MEET, &meeting, sizeof meeting);
}
static int
chameneo_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    meet(ctx, plex_data(ctx));
    return 0;
}
/* MEET comes from the mall in the name of the other: payload is who and what
 * colour; the answer goes to the other directly. */
struct introduced {
    struct plex_ref other;
    uint32_t color;
};
static int
chameneo_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct chameneo *own = plex_data(ctx);
    struct introduced who;

    if (msg->tag == FADED) {
        plex_exit_self(ctx, "normal");
        return 0;
    }
    memcpy(&who, msg->payload, sizeof who);
    own->color = complement(own->color, who.color);
    if (msg->tag == MEET) {
        const struct introduced back = {plex_self_ref(ctx), own->color};

        plex_send(ctx, who.other, PONG, &back, sizeof back);
    }
    meet(ctx, own);
    return 0;
}
static const struct plex_behaviour chameneo = {.name = "chameneo",
                                               .init = chameneo_init,
                                               .handle_info = chameneo_info,
                                               .data_size =
                                                   sizeof(struct chameneo)};
struct mall {
    struct introduced waiting; /* none: nobody */
    uint64_t meetings;
    uint32_t faded;
};
static int
mall_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct mall *own = plex_data(ctx);
    struct meeting meeting;

    memcpy(&meeting, msg->payload, sizeof meeting);
    if (own->meetings == 0) {
        plex_send(ctx, msg->from, FADED, NULL, 0);
        if (++own->faded == CHAMENEOS)
            bench_done();
        return 0;
    }
    if (plex_ref_none(own->waiting.other)) {
        own->waiting = (struct introduced){msg->from, meeting.color};
        return 0;
    }
    own->meetings--;
    plex_send(ctx, msg->from, MEET, &own->waiting, sizeof own->waiting);
    own->waiting.other = (struct plex_ref){0, 0};
    return 0;
}
static int
mall_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct mall *own = plex_data(ctx);

    (void)args;
    (void)len;
    own->meetings = bench_now->n;
    for (uint32_t i = 0; i < CHAMENEOS; i++) {
        const struct chameneo one = {plex_self_ref(ctx), i % 3};

        (void)bench_spawn(ctx, &chameneo, &one, sizeof one);
    }
    return 0;
}
static const struct plex_behaviour mall = {.name = "mall",
                                           .init = mall_init,
                                           .handle_info = mall_info,
                                           .data_size = sizeof(struct mall)};

/* -- big: 120, each pings random others, one ping at a time -- */

enum { BIG = 120 };

struct big {
    struct plex_ref root;
    const struct plex_ref *all;
    uint64_t left;
    uint32_t random;
};
static struct plex_ref big_all[BIG];

static void
big_ping(struct plex_ctx *ctx, struct big *own)
{
    plex_send(ctx, own->all[bench_random(&own->random) % BIG], PING, NULL, 0);
}
static int
big_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    return 0;
}
static int
big_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct big *own = plex_data(ctx);

    if (msg->tag == PING)
        plex_send(ctx, msg->from, PONG, NULL, 0);
    else if (own->left-- == 0)
        plex_send(ctx, own->root, OVER, NULL, 0);
    else
        big_ping(ctx, own);
    return 0;
}
static const struct plex_behaviour big_one = {.name = "big",
                                              .init = big_init,
                                              .handle_info = big_info,
                                              .data_size = sizeof(struct big)};
static int
big_root_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    uint32_t *left = plex_data(ctx);

    (void)args;
    (void)len;
    *left = BIG;
    for (uint32_t i = 0; i < BIG; i++) {
        const struct big one = {plex_self_ref(ctx), big_all, bench_now->n / BIG,
                                i + 1};

        big_all[i] = bench_spawn(ctx, &big_one, &one, sizeof one);
    }
    for (uint32_t i = 0; i < BIG; i++)
        plex_send(ctx, big_all[i], GO, NULL, 0);
    return 0;
}
static int
big_root_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint32_t *left = plex_data(ctx);

    (void)msg;
    if (--*left == 0)
        bench_done();
    return 0;
}
static const struct plex_behaviour big_root = {.name = "big_root",
                                               .init = big_root_init,
                                               .handle_info = big_root_info,
                                               .data_size = sizeof(uint32_t)};

/* -- bank: a teller, 1000 accounts; credit, debit and two answers each -- */

enum { ACCOUNTS = 1000, CREDIT = 1, DEBIT, DEBITED, CREDITED };

struct transfer {
    struct plex_ref dest;
    double amount;
};
struct account {
    double balance;
    struct plex_ref teller;
};
static int
account_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, len);
    return 0;
}
static int
account_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct account *own = plex_data(ctx);
    struct transfer transfer;

    switch (msg->tag) {
    case CREDIT:
        memcpy(&transfer, msg->payload, sizeof transfer);
        own->balance -= transfer.amount;
        plex_send(ctx, transfer.dest, DEBIT, &transfer, sizeof transfer);
        break;
    case DEBIT:
        memcpy(&transfer, msg->payload, sizeof transfer);
        own->balance += transfer.amount;
        plex_send(ctx, msg->from, DEBITED, NULL, 0);
        break;
    default:
        plex_send(ctx, own->teller, CREDITED, NULL, 0);
    }
    return 0;
}
static const struct plex_behaviour account = {.name = "account",
                                              .init = account_init,
                                              .handle_info = account_info,
                                              .data_size =
                                                  sizeof(struct account)};
struct teller {
    struct plex_ref accounts[ACCOUNTS];
    uint64_t to_start, to_end;
    uint32_t random;
};
static int
teller_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct teller *own = plex_data(ctx);
    struct transfer transfer;

    if (msg->tag == CREDITED) {
        if (--own->to_end == 0)
            bench_done();
        return 0;
    }
    for (int i = 0; i < BATCH && own->to_start > 0; i++, own->to_start--) {
        transfer.dest = own->accounts[bench_random(&own->random) % ACCOUNTS];
        transfer.amount = (double)(bench_random(&own->random) % 1000);
        plex_send(ctx, own->accounts[bench_random(&own->random) % ACCOUNTS],
                  CREDIT, &transfer, sizeof transfer);
    }
    if (own->to_start > 0)
        plex_send(ctx, plex_self_ref(ctx), 0, NULL, 0);
    return 0;
}
static int
teller_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct teller *own = plex_data(ctx);
    const struct account one = {1e9, plex_self_ref(ctx)};

    (void)args;
    (void)len;
    for (int i = 0; i < ACCOUNTS; i++)
        own->accounts[i] = bench_spawn(ctx, &account, &one, sizeof one);
    own->to_start = own->to_end = bench_now->n;
    own->random = 1;
    plex_send(ctx, plex_self_ref(ctx), 0, NULL, 0);
    return 0;
}
static const struct plex_behaviour teller = {.name = "teller",
                                             .init = teller_init,
                                             .handle_info = teller_info,
                                             .data_size =
                                                 sizeof(struct teller)};

const struct bench_row bench_savina[] = {
    {"fork-create", 1000000, &fork_create, 1},
    {"fork-throughput", 6000000, &throughput, 1},
    {"chameneos", 1000000, &mall, 1},
    {"big", 2400000, &big_root, 1},
    {"bank", 1000000, &teller, 1},
    {0},
};
