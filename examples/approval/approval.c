/*
 * An expense that a person approves: the run hands out a promise, waits for it
 * (for days, if need be), reminds once, and books the result once.
 */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <string.h>

/* Where the promise's id can be read while the run waits. */
static int
publish(struct plex_ctx *ctx, void *arg)
{
    plex_logf(ctx, 2, "waiting for approval: %s", (const char *)arg);
    plex_effect_result(ctx, arg, strlen(arg));
    return 0;
}

static int
remind(struct plex_ctx *ctx, void *arg)
{
    (void)arg;
    plex_logf(ctx, 2, "still waiting for approval");
    return 0;
}

/* {"amount":N,"patience_ms":N}: waits twice that long. */
static int
expense_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t patience = 3600000;
    struct plex_value decision;
    char id[1200];
    int promise, status;

    (void)msg;
    if (plex_json_int(ctx, "patience_ms", &patience) < 0 || patience <= 0) {
        plex_reply_problem(ctx, 400, "patience_ms must be a positive integer");
        return 0;
    }
    promise = plex_start_promise(ctx, id, sizeof id);
    if (promise < 0 || plex_run(ctx, "publish", publish, id, NULL, NULL) != 0)
        return plex_fail(ctx, "the promise could not be made");
    status = plex_wait(ctx, promise, (uint64_t)patience, &decision);
    if (status == PLEX_E_TIMEOUT) {
        (void)plex_run(ctx, "remind", remind, NULL, NULL, NULL);
        status = plex_wait(ctx, promise, (uint64_t)patience, &decision);
    }
    if (status == PLEX_E_CANCELLED) {
        plex_reply_json(ctx, "{\"status\":\"cancelled\"}");
    } else if (status == PLEX_E_TIMEOUT) {
        plex_state_put(ctx, "expired", 7);
        plex_reply_json(ctx, "{\"status\":\"expired\"}");
    } else if (status != 0) {
        plex_state_put(ctx, "rejected", 8);
        plex_reply_json(ctx, "{\"status\":\"rejected\"}");
    } else {
        plex_state_put(ctx, "approved", 8);
        plex_reply_json(ctx, "{\"status\":\"approved\",\"decision\":%.*s}",
                        (int)decision.len, (const char *)decision.data);
    }
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "expense", .handle_call = expense_handle},
    {0},
};
PLEX_MODULE(behaviours);
