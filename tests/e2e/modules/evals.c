/* For tests/e2e/evals.sh: actors whose replies become tuples. */
#include <plexspaces/durable.h>

/* {"n":N,"ms":M}: ["slow",N] after M ms, wherever it goes on. */
static int
slow(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t n = 0, ms = 0;

    (void)msg;
    (void)plex_json_int(ctx, "n", &n);
    (void)plex_json_int(ctx, "ms", &ms);
    if (ms > 0 && plex_durable_sleep(ctx, (uint64_t)ms) != 0)
        return plex_fail(ctx, "cancelled");
    plex_reply_json(ctx, "[\"slow\",%lld]", (long long)n);
    return 0;
}

/* {"how":"fail"|"refuse"|"text"|"object"|...} */
static int
odd(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *how = "";

    (void)msg;
    (void)plex_json_text(ctx, "how", &how);
    if (strcmp(how, "fail") == 0)
        return plex_fail(ctx, "it fails");
    if (strcmp(how, "refuse") == 0)
        plex_reply_problem(ctx, 400, "it refuses");
    else if (strcmp(how, "text") == 0)
        plex_reply(ctx, "text/plain", "tuple?", 6);
    else if (strcmp(how, "object") == 0)
        plex_reply_json(ctx, "[{\"no\":\"value\"}]");
    else
        plex_reply_json(ctx, "[\"key\",\"%s\"]",
                        plex_self(ctx, NULL, NULL, NULL));
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "slow", .handle_call = slow},
    {.name = "odd", .handle_call = odd},
    {0},
};
PLEX_MODULE(behaviours);
