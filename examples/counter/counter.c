/* A counter: {"action":"increment","amount":2} and {"action":"get"}. */
#include <plexspaces/actor.h>

#include <inttypes.h>
#include <string.h>

static int
counter_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    int64_t count = 0, amount = 1;

    (void)msg;
    (void)plex_state_get(ctx, &count, sizeof count);
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "";
    if (strcmp(action, "increment") == 0) {
        if (plex_json_int(ctx, "amount", &amount) < 0 ||
            __builtin_add_overflow(count, amount, &count)) {
            plex_reply_problem(ctx, 400, "amount is not a usable integer");
            return 0;
        }
        plex_state_put(ctx, &count, sizeof count);
    } else if (strcmp(action, "get") != 0) {
        plex_reply_problem(ctx, 400, "action must be increment or get");
        return 0;
    }
    plex_reply_json(ctx, "{\"count\":%" PRId64 "}", count);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "counter", .handle_call = counter_handle},
    {0},
};
PLEX_MODULE(behaviours);
