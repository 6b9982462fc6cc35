/*
 * A stateless type: work that any worker may do, and who asks for it. See
 * docs/actors.md.
 */
#include <plexspaces/actor.h>
#include <plexspaces/process.h>

#include <string.h>

/* {"ms":N} takes so long; the answer says who did it. */
static int
resize(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *who = plex_self(ctx, NULL, NULL, NULL);
    int64_t ms = 0;

    (void)msg;
    if (plex_json_int(ctx, "ms", &ms) == 1 && ms > 0 && ms <= 60000)
        plex_sleep(ctx, (uint64_t)ms);
    plex_reply_json(ctx, "{\"by\":\"%s\"}", who);
    return 0;
}

/* Asks for it, and passes the answer on: as a process and as an actor. */
static int
shop(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_msg answer;
    const int status = plex_ask(ctx, plex_whereis(ctx, "resize/any"), 0,
                                msg->payload, msg->len, 5000, &answer);

    if (status != 0)
        plex_reply_problem(ctx, 502, "resize: %d %s", status, answer.reason);
    else
        plex_reply(ctx, "application/json", answer.payload, answer.len);
    return 0;
}

/* The same with a message of the turn, whose answer is kept. */
static int
gallery(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    if (strcmp(msg->method, "GET") == 0)
        plex_reply(ctx, "application/json", len == 0 ? "null" : state,
                   len == 0 ? 4 : len);
    else
        plex_call(ctx, "resize", "any", "{}", 2, 5000, 1);
    return 0;
}

static int
gallery_reply(struct plex_ctx *ctx, uint64_t tag,
              enum plex_result_status status, const void *payload, size_t len)
{
    (void)tag;
    if (status == PLEX_CALL_OK)
        plex_state_put(ctx, payload, len);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "resize", .handle_call = resize},
    {.name = "shop", .handle_call = shop},
    {.name = "gallery", .handle_call = gallery, .handle_reply = gallery_reply},
    {0},
};
PLEX_MODULE(behaviours);
