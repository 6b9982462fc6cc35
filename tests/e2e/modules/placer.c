/* Processes that code places by what they need. */
#include <plexspaces/process.h>
#include <plexspaces/supervisor.h>

#define NEEDS "{\"cpu_cores\":0.5,\"labels\":{\"zone\":\"b\"}}"

static int
call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "text/plain", msg->payload, msg->len);
    return 0;
}

static const struct plex_behaviour placed = {.name = "placed",
                                             .handle_call = call};
static const struct plex_child children[] = {
    {.id = "in-code",
     .behaviour = &placed,
     .name = "in-code",
     .node = NEEDS,
     .shutdown_ms = PLEX_SHUTDOWN_DEFAULT},
    {0},
};
static const struct plex_supervisor flags = {
    .strategy = PLEX_ONE_FOR_ONE, .intensity = 10, .children = children};

static int
starter_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const struct plex_spawn how = {.behaviour = &placed,
                                   .name = "spawned",
                                   .node = NEEDS,
                                   .link = true,
                                   .wait = true};
    const struct plex_spawn wrong = {
        .behaviour = &placed, .node = "{\"cpu\":1}", .wait = true};
    struct plex_ref ref;

    (void)args;
    (void)len;
    if (plex_spawn(ctx, &wrong, &ref) != PLEX_E_INVALID)
        return plex_fail(ctx, "a wrong need was taken");
    return plex_spawn(ctx, &how, &ref) == 0
               ? 0
               : plex_fail(ctx, "it could not be placed");
}

static const struct plex_behaviour behaviours[] = {
    {.name = "placed", .handle_call = call},
    {.name = "tree", .supervisor = &flags},
    {.name = "starter", .init = starter_init, .handle_call = call},
    {0},
};
PLEX_MODULE(behaviours);
