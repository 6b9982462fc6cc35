/*
 * Ping and pong: two processes, found by name, that call each other's patience.
 *
 *   {"rounds":1000}   ping asks pong so often, waiting for each answer, and
 *                     says how long that took
 */
#include <plexspaces/process.h>

enum { ROUNDS_MAX = 1000000 };

/* -- pong: whatever is asked comes back -- */

static int
pong_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, msg->content_type, msg->payload, msg->len);
    return 0;
}

/* -- ping -- */

static int
ping_rounds(struct plex_ctx *ctx, struct plex_ref pong, int64_t rounds)
{
    struct plex_msg answer;
    int64_t i;
    int status;

    for (i = 0; i < rounds; i++) {
        status = plex_ask(ctx, pong, 0, &i, sizeof i, 1000, &answer);
        if (status != 0)
            return status;
        if (answer.len != sizeof i || memcmp(answer.payload, &i, sizeof i) != 0)
            return PLEX_E_FAILED;
    }
    return 0;
}

static int
ping_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_ref pong = plex_whereis(ctx, "pong");
    int64_t rounds = 1;
    uint64_t began, took;
    int status;

    (void)msg;
    if (plex_json_int(ctx, "rounds", &rounds) < 0 || rounds < 1 ||
        rounds > ROUNDS_MAX) {
        plex_reply_problem(ctx, 400, "rounds is a number from 1 to %d",
                           ROUNDS_MAX);
        return 0;
    }
    began = plex_monotonic_ns(ctx);
    status = ping_rounds(ctx, pong, rounds);
    took = plex_monotonic_ns(ctx) - began;
    if (status == PLEX_E_NOT_FOUND)
        plex_reply_problem(ctx, 503, "pong is not there just now");
    else if (status != 0)
        plex_reply_problem(ctx, 500, "pong did not answer: %d", status);
    else
        plex_reply_json(ctx, "{\"rounds\":%lld,\"us\":%llu}", (long long)rounds,
                        (unsigned long long)took / 1000);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "ping", .handle_call = ping_call},
    {.name = "pong", .handle_call = pong_call},
    {0},
};
PLEX_MODULE(behaviours);
