#ifndef PLEXSPACES_SEMAPHORE_H
#define PLEXSPACES_SEMAPHORE_H

#include "coord_hold.h"

/*
 * A counting semaphore: PERMITS tuples ["permit", NAME], and one
 * ["semaphore", NAME, PERMITS]. A permit is held under a lease: whoever dies,
 * or does not renew in time, loses it, and the longest waiter has it then.
 * Waiters are served in the order of their coming. Nothing of it is lost when
 * the tuple space restarts (unless its store is mem:).
 *
 * A holder that was stopped for longer than the lease goes on believing until
 * it looks: plex_semaphore_holds() before each step that must not overlap.
 * Where that is not enough, use the term of an election as a fencing token.
 */
struct plex_semaphore {
    struct plex_coord coord;
    struct plex_hold hold; /* one permit at a time for each of these */
};

/*
 * Make it, or use the one that is there. 1 to 9,999 permits. PLEX_E_INVALID;
 * PLEX_E_CONFLICT: one of that name has another number of permits.
 */
static inline int
plex_semaphore_open(struct plex_ctx *ctx, struct plex_semaphore *out,
                    const char *space, const char *name, const char *who,
                    uint32_t permits)
{
    struct plex_coord *c = &out->coord;
    const int status = plex_coord_init(ctx, c, space, name, who);
    struct plex_value fields;
    const size_t each = strlen(c->name) + 16;
    char *tuples;
    size_t used;
    int64_t have;
    int made;

    memset(&out->hold, 0, sizeof out->hold);
    if (status != 0)
        return status;
    if (permits < 1 || permits > 9999)
        return PLEX_E_INVALID;
    tuples = (char *)malloc(each * permits + each + 64);
    if (tuples == NULL)
        return PLEX_E_LIMIT;
    used = (size_t)snprintf(tuples, each + 64, "[\"semaphore\",%s,%u]", c->name,
                            permits);
    for (uint32_t i = 0; i < permits; i++)
        used +=
            (size_t)snprintf(tuples + used, each, ",[\"permit\",%s]", c->name);
    made = plex_coord_make(
        ctx, c, plex_tuple_format("[\"semaphore\",%s,{\"any\":true}]", c->name),
        tuples);
    if (made != 0)
        return made;
    made = plex_coord_read(
        ctx, c, plex_tuple_format("[\"semaphore\",%s,{\"any\":true}]", c->name),
        0, &fields);
    if (made != 0)
        return made;
    return plex_tuple_number(&fields, 2, &have) && have == (int64_t)permits
               ? 0
               : PLEX_E_CONFLICT;
}
/*
 * One permit for lease_ms (at most 30 days). PLEX_E_TIMEOUT: none was free in
 * timeout_ms (0: do not wait; at most an hour); PLEX_E_EXISTS: this one holds
 * a permit already. A caller that dies while it waits takes none.
 */
static inline int
plex_semaphore_acquire(struct plex_ctx *ctx, struct plex_semaphore *s,
                       uint64_t lease_ms, uint64_t timeout_ms)
{
    struct plex_value ignored;
    int status;

    if (plex_hold_good(ctx, &s->hold))
        return PLEX_E_EXISTS;
    s->hold.lease_ms = lease_ms;
    status = plex_hold_take(ctx, &s->coord,
                            plex_tuple_format("[\"permit\",%s]", s->coord.name),
                            "", timeout_ms, &s->hold, &ignored);
    return status != 0 ? status : plex_hold_settle(ctx, &s->coord, &s->hold);
}
/* Hold it for lease_ms from now. PLEX_E_CONFLICT, PLEX_E_NOT_FOUND: the lease
 * was over, somebody else may hold it. */
static inline int
plex_semaphore_renew(struct plex_ctx *ctx, struct plex_semaphore *s)
{
    return plex_hold_end(ctx, &s->coord, PLEX_TUPLE_RENEW_CLAIM,
                         s->hold.lease_ms, &s->hold);
}
/* Give it back. An error, as of renew, says that the lease was over before. */
static inline int
plex_semaphore_release(struct plex_ctx *ctx, struct plex_semaphore *s)
{
    return plex_hold_end(ctx, &s->coord, PLEX_TUPLE_RELEASE_CLAIM, 1, &s->hold);
}
/* Without asking: true while it cannot be anybody else's. */
static inline bool
plex_semaphore_holds(struct plex_ctx *ctx, const struct plex_semaphore *s)
{
    return plex_hold_good(ctx, &s->hold);
}
/* How many are free just now. */
static inline int
plex_semaphore_free(struct plex_ctx *ctx, const struct plex_semaphore *s,
                    uint64_t *free_permits)
{
    char *pattern = plex_tuple_format("[\"permit\",%s]", s->coord.name);
    int status = PLEX_E_LIMIT;

    if (pattern != NULL)
        status = plex_tuple_count(ctx, s->coord.space, pattern, free_permits);
    free(pattern);
    return status;
}

#endif
