#include "services/journal/store_backend.h"

/* Turns at a time, times in one answer. */
enum { PAGE = 1000, PAGES_MAX = 10 };

static enum plex_status
head_of(struct journal_store *store, const struct plex_actor_id *actor,
        struct journal_truncated *out, struct plex_err *err)
{
    struct journal_stored_head head = {0};

    if (store->ops->history->head(store, actor, &head, err) != PLEX_OK)
        return err->status;
    out->newest_seq = head.newest_seq;
    out->oldest_seq = head.newest_seq == 0 ? 0 : head.anchor_seq + 1;
    return PLEX_OK;
}

/* What the history alone has kept goes the way that everything goes, so that
 * what is needed stays, and the chain goes on behind what is removed. */
enum plex_status
journal_store_truncate(struct journal_store *store,
                       const struct journal_truncate *want, uint64_t wall_ms,
                       struct journal_truncated *out, struct plex_err *err)
{
    struct journal_retained retained;

    *out = (struct journal_truncated){0};
    if (head_of(store, &want->actor, out, err) != PLEX_OK)
        return err->status;
    if (out->newest_seq == 0)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "the journal has nothing of the actor");
    if (want->seq == 0 || want->seq >= out->newest_seq)
        return plex_err_set(err, PLEX_INVALID,
                            "sequence is %llu: 1 to %llu can go, the newest "
                            "turn stays",
                            (unsigned long long)want->seq,
                            (unsigned long long)out->newest_seq - 1);
    for (int i = 0; i < PAGES_MAX && out->oldest_seq <= want->seq; i++) {
        const uint64_t first = out->oldest_seq;
        const uint64_t last =
            want->seq - first < PAGE ? want->seq : first + PAGE - 1;

        retained = (struct journal_retained){0};
        if (store->ops->history->unkeep(store, &want->actor, first, last,
                                        wall_ms, err) != PLEX_OK ||
            store->ops->retain(store, wall_ms, PAGE, &retained, err) !=
                PLEX_OK ||
            head_of(store, &want->actor, out, err) != PLEX_OK)
            return err->status;
        if (out->oldest_seq <= last)
            break; /* it stays, for now or for good */
    }
    return PLEX_OK;
}
