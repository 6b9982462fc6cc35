/*
 * A page with readers on every worker: whoever reads it is counted and
 * remembered by the worker's own replicas. See docs/lattices.md.
 */
#include <plexspaces/lattice.h>

/* {"reader":"ada"}: how often it was read, and who is known to read it. */
static int
page(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_msg answer;
    const char *reader = "somebody", *readers;
    int64_t reads = 0;
    size_t len;

    (void)msg;
    (void)plex_json_text(ctx, "reader", &reader);
    if (plex_lattice_count(ctx, "likes/page", 1, &answer) != 0 ||
        !plex_lattice_number(&answer, &reads)) {
        plex_reply_problem(ctx, 503, "it could not be counted");
        return 0;
    }
    if (plex_lattice_element(ctx, "rooms/page", true, reader, &answer) != 0 ||
        (readers = plex_lattice_value(&answer, &len)) == NULL) {
        plex_reply_problem(ctx, 503, "the reader could not be noted");
        return 0;
    }
    plex_reply_json(ctx, "{\"reads\":%lld,\"readers\":%.*s}", (long long)reads,
                    (int)len, readers);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "page", .handle_call = page},
    {0},
};
PLEX_MODULE(behaviours);
