/*
 * A shop as a tree of supervision: a till that the shelves depend on, and a
 * cleaner who comes once.
 *
 *   shop (rest_for_one)
 *   |- till                   remembers what was sold
 *   |- shelves (one_for_all)
 *   |  |- books
 *   |  `- records
 *   `- cleaner                transient: ends when it is done
 *
 * Calls to till, books, records:
 *   {"action":"add","n":3}   count something
 *   {"action":"look"}        {"count":..., "born":...}: when this life began
 *   {"action":"crash"}       fail; its supervisor does what its strategy says
 */
#include <plexspaces/process.h>

struct keeper {
    int64_t count;
    uint64_t born_ns;
};

static int
keeper_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct keeper *own = plex_data(ctx);

    (void)args;
    (void)len;
    own->born_ns = plex_monotonic_ns(ctx);
    return 0;
}

static int
keeper_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct keeper *own = plex_data(ctx);
    const char *action;
    int64_t n = 1;

    (void)msg;
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "look";
    if (strcmp(action, "crash") == 0)
        return plex_fail(ctx, "asked to crash");
    if (strcmp(action, "add") == 0 && plex_json_int(ctx, "n", &n) >= 0)
        own->count += n;
    plex_reply_json(ctx, "{\"count\":%lld,\"born\":%llu}",
                    (long long)own->count, (unsigned long long)own->born_ns);
    return 0;
}

/* Comes, cleans for 50 ms, goes: a normal end of a transient child is no
 * reason to start it again. */
static int
cleaner_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args;
    (void)len;
    (void)plex_send_after(ctx, plex_self_ref(ctx), 50, 0, 0);
    return 0;
}
static int
cleaner_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    plex_exit_self(ctx, "normal");
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "keeper",
     .init = keeper_init,
     .handle_call = keeper_call,
     .data_size = sizeof(struct keeper)},
    {.name = "cleaner", .init = cleaner_init, .handle_info = cleaner_info},
    {0},
};
PLEX_MODULE(behaviours);
