/* Counters whose increment is a run of 1, 3 or 9 recorded effects. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <inttypes.h>
#include <string.h>

static int
effect(struct plex_ctx *ctx, void *arg)
{
    const int64_t *n = arg;

    plex_effect_result(ctx, n, sizeof *n);
    return 0;
}

static int
long_effect(struct plex_ctx *ctx, void *arg)
{
    plex_effect_result(ctx, arg, 8 * sizeof(int64_t));
    return 0;
}

static int
steps_handle(struct plex_ctx *ctx, int64_t steps)
{
    static const char *const names[] = {"one", "two",   "three", "four", "five",
                                        "six", "seven", "eight", "nine"};
    const char *action;
    int64_t count = 0;

    (void)plex_state_get(ctx, &count, sizeof count);
    if (plex_json_text(ctx, "action", &action) == 1 &&
        strcmp(action, "increment") == 0) {
        for (int64_t i = 0; i < steps; i++) {
            struct plex_value out;
            int status = plex_run(ctx, names[i], effect, &i, NULL, &out);

            if (status != 0)
                return plex_fail(ctx, "an effect failed");
        }
        count++;
        plex_state_put(ctx, &count, sizeof count);
    }
    plex_reply_json(ctx, "{\"count\":%" PRId64 "}", count);
    return 0;
}

#define STEPS(n)                                                            \
    static int handle_##n(struct plex_ctx *ctx, const struct plex_msg *msg) \
    {                                                                       \
        (void)msg;                                                          \
        return steps_handle(ctx, n);                                        \
    }
STEPS(1)
STEPS(3)
STEPS(9)

/* {"steps":N}: one run of N effects, each with a result of 64 bytes. */
static int
long_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t steps = 1, result[8] = {0};

    (void)msg;
    (void)plex_json_int(ctx, "steps", &steps);
    for (int64_t i = 0; i < steps; i++) {
        result[0] = i;
        if (plex_run(ctx, "step", long_effect, result, NULL, NULL) != 0)
            return plex_fail(ctx, "an effect failed");
    }
    plex_reply_json(ctx, "{\"steps\":%" PRId64 "}", steps);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "steps1", .handle_call = handle_1},
    {.name = "steps3", .handle_call = handle_3},
    {.name = "steps9", .handle_call = handle_9},
    {.name = "long", .handle_call = long_handle},
    {0},
};
PLEX_MODULE(behaviours);
