#ifndef PLEXSPACES_COORD_HOLD_H
#define PLEXSPACES_COORD_HOLD_H

#include "coord_request.h"

/* What is held under a lease: semaphore.h, election.h, work_queue.h. */

/* A claim: tuples that return to their place when `lease_ms` are over. */
struct plex_hold {
    uint64_t turn; /* 0: nothing is held */
    uint64_t lease_ms;
    uint64_t until_ns; /* plex_monotonic_ns(), on this machine only */
};
static inline uint64_t
plex_hold_until(uint64_t sent_ns, uint64_t lease_ms)
{
    /* Counted from when it was asked for, and a tenth less: clocks drift. */
    return sent_ns + (lease_ms - lease_ms / 10) * UINT64_C(1000000);
}
/* True while nobody else can have it. */
static inline bool
plex_hold_good(struct plex_ctx *ctx, const struct plex_hold *hold)
{
    return hold->turn != 0 && plex_monotonic_ns(ctx) < hold->until_ns;
}
/*
 * Take one tuple that matches, until the lease is over. `more` (or "") are
 * further members of the request; `pattern` is freed. PLEX_E_TIMEOUT: none
 * came. The lease is counted from the request, so plex_hold_settle() follows.
 */
static inline int
plex_hold_take(struct plex_ctx *ctx, const struct plex_coord *c, char *pattern,
               const char *more, uint64_t wait_ms, struct plex_hold *hold,
               struct plex_value *fields)
{
    const uint64_t turn = plex_coord_random(ctx);
    const uint64_t now = plex_monotonic_ns(ctx);
    struct plex_value answer;
    int status = PLEX_E_LIMIT;

    *fields = (struct plex_value){"", 0};
    if (pattern != NULL)
        status = plex_coord_send(
            ctx, PLEX_TUPLE_TAKE, wait_ms,
            plex_tuple_format(
                "{\"space\":\"%s\",\"template\":%s,\"timeout_ms\":%llu,%s"
                "\"claim\":{\"owner\":%s,\"turn\":%llu,\"lease_ms\":%llu}}",
                c->space, pattern, (unsigned long long)wait_ms, more, c->who,
                (unsigned long long)turn, (unsigned long long)hold->lease_ms),
            &answer);
    free(pattern);
    if (status == 0 && !plex_tuple_first(&answer, fields))
        status = PLEX_E_TIMEOUT;
    hold->turn = status == 0 ? turn : 0;
    hold->until_ns = plex_hold_until(now, hold->lease_ms);
    return status;
}
/* PLEX_E_CONFLICT or PLEX_E_NOT_FOUND: the lease was over before. */
static inline int
plex_hold_end(struct plex_ctx *ctx, const struct plex_coord *c,
              enum plex_tuple_method verb, uint64_t lease_ms,
              struct plex_hold *hold)
{
    const uint64_t now = plex_monotonic_ns(ctx);
    struct plex_value answer;
    int status;

    if (hold->turn == 0)
        return PLEX_E_NOT_FOUND;
    status = plex_coord_send(
        ctx, verb, 0,
        plex_tuple_format("{\"owner\":%s,\"turn\":%llu,\"lease_ms\":%llu}",
                          c->who, (unsigned long long)hold->turn,
                          (unsigned long long)lease_ms),
        &answer);
    if (verb == PLEX_TUPLE_RENEW_CLAIM && status == 0)
        hold->until_ns = plex_hold_until(now, lease_ms);
    else if (verb != PLEX_TUPLE_RENEW_CLAIM || status == PLEX_E_CONFLICT ||
             status == PLEX_E_NOT_FOUND)
        hold->turn = 0;
    return status;
}
/* After a take that waited: when the wait used up part of the lease, it is
 * renewed. Not before what was taken has been copied. */
static inline int
plex_hold_settle(struct plex_ctx *ctx, const struct plex_coord *c,
                 struct plex_hold *hold)
{
    const uint64_t spare = hold->lease_ms / 2 * UINT64_C(1000000);

    return plex_monotonic_ns(ctx) + spare < hold->until_ns
               ? 0
               : plex_hold_end(ctx, c, PLEX_TUPLE_RENEW_CLAIM, hold->lease_ms,
                               hold);
}

#endif
