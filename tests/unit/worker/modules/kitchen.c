/* A module that uses everything the SDK has. */
#include <plexspaces/actor.h>

static int
kitchen_activated(struct plex_ctx *ctx)
{
    int64_t state = 7;

    plex_state_put(ctx, &state, sizeof state);
    return 0;
}

static void
tell_self(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *tenant, *ns, *type, *key = plex_self(ctx, &tenant, &ns, &type);
    const char *header = plex_header(ctx, "X-Test");

    plex_reply_header(ctx, "x-made-by", "kitchen");
    plex_reply_json(ctx,
                    "{\"self\":\"%s/%s/%s/%s\",\"id\":\"%s\","
                    "\"method\":\"%s\",\"header\":\"%s\",\"ms\":%llu,"
                    "\"epoch\":%llu}",
                    tenant, ns, type, key, msg->id, msg->method,
                    header == NULL ? "" : header,
                    (unsigned long long)plex_turn_ms(ctx),
                    (unsigned long long)plex_fencing_token(ctx));
}

static int
kitchen_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *word;
    int64_t n = 3;
    uint8_t dice[8];

    if (plex_json_text(ctx, "do", &word) != 1)
        return plex_fail(ctx, "nothing to do");
    plex_turn_random(ctx, dice, sizeof dice);
    if (strcmp(word, "self") == 0) {
        tell_self(ctx, msg);
    } else if (strcmp(word, "send") == 0) {
        plex_cast(ctx, "kitchen", "other", "hi", 2);
        plex_call(ctx, "kitchen", "other", "ho", 2, 1000, 42);
        plex_timer_set(ctx, "t", 500, "x", 1);
        plex_timer_cancel(ctx, "u");
        plex_logf(ctx, 2, "sent %d", 4);
    } else if (strcmp(word, "put") == 0) {
        if (plex_json_int(ctx, "n", &n) < 0)
            return plex_fail(ctx, "n is no integer");
        plex_state_put(ctx, &n, sizeof n);
        n = 0;
        if (!plex_state_get(ctx, &n, sizeof n))
            return plex_fail(ctx, "the state is not what was put");
        plex_reply_json(ctx, "%lld", (long long)n);
    } else if (strcmp(word, "refuse") == 0) {
        plex_reply_problem(ctx, 409, "not \"%s\"", "today");
    } else if (strcmp(word, "twice") == 0) {
        plex_reply(ctx, "text/plain", "a", 1);
        plex_reply(ctx, "text/plain", "b", 1);
    } else if (strcmp(word, "split") == 0) {
        plex_reply_header(ctx, "x", "a\r\nb: c");
    } else if (strcmp(word, "badkey") == 0) {
        plex_cast(ctx, "kitchen", "a/b", NULL, 0);
    } else if (strcmp(word, "badtime") == 0) {
        plex_call(ctx, "kitchen", "a", NULL, 0, 0, 0);
    } else if (strcmp(word, "flood") == 0) {
        for (int i = 0; i < 1001; i++)
            plex_cast(ctx, "kitchen", "a", NULL, 0);
    } else if (strcmp(word, "long") == 0) {
        plex_reply_json(ctx, "\"%02000d\"", 1);
    } else if (strcmp(word, "silent") == 0) {
        return 1;
    }
    return 0;
}

static int
kitchen_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
              size_t len)
{
    if (strcmp(timer, "t") != 0 || len != 1 || memcmp(payload, "x", 1) != 0)
        return plex_fail(ctx, "another timer");
    plex_state_put(ctx, "timer", 5);
    return 0;
}

static int
kitchen_reply(struct plex_ctx *ctx, uint64_t tag,
              enum plex_result_status status, const void *payload, size_t len)
{
    (void)payload;
    if (tag != 42 || status != PLEX_CALL_TIMEOUT || len != 0)
        return plex_fail(ctx, "another reply");
    plex_state_put(ctx, "reply", 5);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "kitchen",
     .schema_version = 3,
     .activated = kitchen_activated,
     .handle_call = kitchen_call,
     .handle_timer = kitchen_timer,
     .handle_reply = kitchen_reply},
    {0},
};
PLEX_MODULE(behaviours);
