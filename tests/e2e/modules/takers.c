/* For tests/e2e/takers.sh: processes and workers that die between the take of
 * a tuple and its arrival. */
#define _GNU_SOURCE
#include <plexspaces/tuplespace.h>

#define S "takers"
enum { TRIES = 300, WAITS_MS = 20, SOON_NS = 700000, LATER_NS = 3000000 };
static const struct plex_behaviour behaviours[];
enum { TAKER, WRITER };

/* Takes ["x", N], once or waiting for it, and says so by ["got", N]. */
static int
taker_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)len;
    plex_send(ctx, plex_self_ref(ctx), 0, args, len);
    return 0;
}
static int
taker(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value got;
    const char *at;
    char tuple[64];
    int64_t wait_ms;

    memcpy(&wait_ms, msg->payload, sizeof wait_ms);
    if (plex_tuple_in(ctx, S, "[\"x\",{\"any\":true}]", (uint64_t)wait_ms,
                      &got) == 0 &&
        (at = (const char *)memchr(got.data, ',', got.len)) != NULL) {
        (void)snprintf(tuple, sizeof tuple, "[\"got\",%ld]",
                       strtol(at + 1, NULL, 10));
        (void)plex_tuple_out(ctx, S, tuple, 0);
    }
    plex_exit_self(ctx, "normal");
    return 0;
}
static int
writer(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    char tuple[64];
    int64_t i;

    memcpy(&i, msg->payload, sizeof i);
    (void)snprintf(tuple, sizeof tuple, "[\"x\",%ld]", (long)i);
    (void)plex_tuple_out(ctx, S, tuple, 0);
    plex_exit_self(ctx, "normal");
    return 0;
}
static struct plex_ref
start(struct plex_ctx *ctx, int row, int64_t arg)
{
    const struct plex_spawn how = {.behaviour = &behaviours[row],
                                   .args = &arg,
                                   .args_len = sizeof arg,
                                   .wait = true};
    struct plex_ref ref = {0, 0};

    (void)plex_spawn(ctx, &how, &ref);
    return ref;
}
static void
spin(struct plex_ctx *ctx, uint64_t ns)
{
    const uint64_t until = plex_monotonic_ns(ctx) + ns;

    while (plex_monotonic_ns(ctx) < until)
        ;
}

/* It waits, is killed, and a tuple is written: somebody else gets it. */
static int
waits(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value got;
    int lost = 0;

    (void)msg;
    for (int i = 0; i < 20; i++) {
        struct plex_ref ref = start(ctx, TAKER, 60000);

        plex_sleep(ctx, WAITS_MS);
        plex_exit(ctx, ref, "kill");
        plex_sleep(ctx, WAITS_MS);
        if (plex_tuple_out(ctx, S, "[\"x\",1]", 0) != 0 ||
            plex_tuple_inp(ctx, S, "[\"x\",1]", &got) != 0)
            lost++;
    }
    plex_reply_json(ctx, "{\"lost\":%d}", lost);
    return 0;
}

/* It is killed at about the time when its tuple comes. wait_ms 0: it asks for
 * one that is there. */
static int
race(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int lost = 0, read = 0, back = 0;
    int64_t wait_ms = 60000;
    uint64_t random;

    (void)msg;
    (void)plex_json_int(ctx, "wait_ms", &wait_ms);
    for (int64_t i = 0; i < TRIES; i++) {
        struct plex_value got;
        struct plex_ref ref = {0, 0};
        char pattern[64];

        plex_turn_random(ctx, &random, sizeof random);
        if (wait_ms > 0) {
            ref = start(ctx, TAKER, wait_ms);
            plex_sleep(ctx, 2);
            (void)start(ctx, WRITER, i);
        } else {
            (void)snprintf(pattern, sizeof pattern, "[\"x\",%ld]", (long)i);
            (void)plex_tuple_out(ctx, S, pattern, 0);
            ref = start(ctx, TAKER, wait_ms);
        }
        spin(ctx, random % (wait_ms > 0 ? LATER_NS : SOON_NS));
        plex_exit(ctx, ref, "kill");
        (void)snprintf(pattern, sizeof pattern,
                       "[{\"in\":[\"x\",\"got\"]},%ld]", (long)i);
        if (plex_tuple_in(ctx, S, pattern, 5000, &got) != 0)
            lost++;
        else if (memcmp(got.data, "[\"x\"", 4) == 0)
            back++;
        else
            read++;
    }
    plex_reply_json(ctx, "{\"lost\":%d,\"read\":%d,\"back\":%d}", lost, read,
                    back);
    return 0;
}

/* Waits for a tuple of a space that is spread over shards. */
static int
spread(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value got;
    const int status = plex_tuple_in(
        ctx, "spread", "[\"p\",{\"type\":\"int64\"}]", 20000, &got);

    (void)msg;
    plex_reply_json(ctx, "{\"status\":%d,\"got\":%.*s}", status, (int)got.len,
                    (const char *)got.data);
    return 0;
}

/* A durable run that takes two of them, each once. */
static int
once(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_tuple_op take = {
        .method = PLEX_TUPLE_TAKE,
        .json = "{\"space\":\"once\",\"template\":[\"n\",{\"any\":true}],"
                "\"timeout_ms\":30000}",
        .wait_ms = 30000};
    struct plex_value first, second, a = {"", 0}, b = {"", 0};

    (void)msg;
    if (plex_tuple_once(ctx, "first", &take, &first) != 0 ||
        plex_tuple_once(ctx, "second", &take, &second) != 0)
        return plex_fail(ctx, "the tuple space refused");
    (void)plex_tuple_first(&first, &a);
    (void)plex_tuple_first(&second, &b);
    plex_reply_json(ctx, "{\"first\":%.*s,\"second\":%.*s}", (int)a.len,
                    (const char *)a.data, (int)b.len, (const char *)b.data);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    [TAKER] = {.name = "taker", .init = taker_init, .handle_info = taker},
    [WRITER] = {.name = "writer", .init = taker_init, .handle_info = writer},
    {.name = "waits", .handle_call = waits},
    {.name = "race", .handle_call = race},
    {.name = "spread", .handle_call = spread},
    {.name = "once", .handle_call = once},
    {0},
};
PLEX_MODULE(behaviours);
