#ifndef PLEXSPACES_COLLECTIVE_H
#define PLEXSPACES_COLLECTIVE_H

#include "ranks.h"

/*
 * Each rank of a group calls the same collectives in the same order. They give
 * 0, PLEX_E_TIMEOUT (r->missing did not come), PLEX_E_INVALID (the sizes
 * differ, or root is no rank), PLEX_E_TOO_LARGE, or what the tuple space says.
 */
enum plex_reduction { PLEX_SUM, PLEX_MIN, PLEX_MAX, PLEX_FOLD };
struct plex_reducer {
    enum plex_reduction how;
    /* PLEX_FOLD: acc[i] = f(acc[i], in[i]), lower ranks first. */
    void (*fold)(struct plex_array acc, struct plex_array in);
};

/* `data` of root, at all. */
static inline int
plex_broadcast(struct plex_ctx *ctx, struct plex_ranks *r, uint32_t root,
               struct plex_array data)
{
    if (root >= r->n)
        return PLEX_E_INVALID;
    return plex_ranks_end(
        r, r->rank == root
               ? plex_ranks_put(ctx, r, r->round, "broadcast", -1, data)
               : plex_ranks_get(ctx, r, r->round, "broadcast", root, -1, data));
}
/* Part i of root's `all`, n times as long as `mine`, at rank i. `all` counts
 * at root only. */
static inline int
plex_scatter(struct plex_ctx *ctx, struct plex_ranks *r, uint32_t root,
             struct plex_array all, struct plex_array mine)
{
    int status = 0;

    if (root >= r->n || (r->rank == root && all.n != mine.n * r->n))
        return PLEX_E_INVALID;
    for (uint32_t i = 0; i < r->n && r->rank == root && status == 0; i++)
        status = plex_ranks_put(ctx, r, r->round, "scatter", i,
                                plex_array_part(all, i, mine.n));
    if (status == 0)
        status =
            plex_ranks_get(ctx, r, r->round, "scatter", root, r->rank, mine);
    return plex_ranks_end(r, status);
}
/* Every rank's `mine`, one after the other, in root's `all`. */
static inline int
plex_gather(struct plex_ctx *ctx, struct plex_ranks *r, uint32_t root,
            struct plex_array mine, struct plex_array all)
{
    int status;

    if (root >= r->n || (r->rank == root && all.n != mine.n * r->n))
        return PLEX_E_INVALID;
    status = plex_ranks_put(ctx, r, r->round, "gather", root, mine);
    for (uint32_t i = 0; i < r->n && r->rank == root && status == 0; i++)
        status = plex_ranks_get(ctx, r, r->round, "gather", i, root,
                                plex_array_part(all, i, mine.n));
    return plex_ranks_end(r, status);
}
static inline void
plex_array_fold(struct plex_array acc, struct plex_array in,
                const struct plex_reducer *how)
{
    if (how->how == PLEX_FOLD) {
        how->fold(acc, in);
        return;
    }
    for (size_t i = 0; i < acc.n; i++) {
        if (acc.of == PLEX_INT64) {
            int64_t *a = (int64_t *)acc.at + i, b = ((int64_t *)in.at)[i];

            if (how->how == PLEX_SUM) /* wraps around, as unsigned do */
                *a = (int64_t)((uint64_t)*a + (uint64_t)b);
            else if ((how->how == PLEX_MIN) == (b < *a))
                *a = b;
        } else {
            double *a = (double *)acc.at + i, b = ((double *)in.at)[i];

            if (how->how == PLEX_SUM)
                *a += b;
            else if (how->how == PLEX_MIN ? b < *a : b > *a)
                *a = b;
        }
    }
}
/* out[i] of root: all ranks' mine[i], reduced. `out` may not be `mine`. */
static inline int
plex_reduce(struct plex_ctx *ctx, struct plex_ranks *r, uint32_t root,
            struct plex_array mine, struct plex_array out,
            const struct plex_reducer *how)
{
    struct plex_array one = mine;
    int status;

    if (root >= r->n || (r->rank == root && out.n != mine.n) ||
        (how->how == PLEX_FOLD && how->fold == NULL))
        return PLEX_E_INVALID;
    status = plex_ranks_put(ctx, r, r->round, "reduce", root, mine);
    one.at = malloc(mine.n * sizeof(int64_t) + 1);
    if (one.at == NULL)
        status = PLEX_E_LIMIT;
    for (uint32_t i = 0; i < r->n && r->rank == root && status == 0; i++) {
        status = plex_ranks_get(ctx, r, r->round, "reduce", i, root,
                                i == 0 ? out : one);
        if (i > 0 && status == 0)
            plex_array_fold(out, one, how);
    }
    free(one.at);
    return plex_ranks_end(r, status);
}
/* The same at all ranks: two rounds, by way of rank 0. */
static inline int
plex_allreduce(struct plex_ctx *ctx, struct plex_ranks *r,
               struct plex_array mine, struct plex_array out,
               const struct plex_reducer *how)
{
    const uint64_t round = r->round;
    int status = out.n != mine.n ? PLEX_E_INVALID
                                 : plex_reduce(ctx, r, 0, mine, out, how);

    if (status == 0)
        status = plex_broadcast(ctx, r, 0, out);
    if (status != 0)
        r->round = round;
    return status;
}
static inline int
plex_allgather(struct plex_ctx *ctx, struct plex_ranks *r,
               struct plex_array mine, struct plex_array all)
{
    const uint64_t round = r->round;
    int status = all.n != mine.n * r->n ? PLEX_E_INVALID
                                        : plex_gather(ctx, r, 0, mine, all);

    if (status == 0)
        status = plex_broadcast(ctx, r, 0, all);
    if (status != 0)
        r->round = round;
    return status;
}
/* Until all ranks have called it. */
static inline int
plex_ranks_barrier(struct plex_ctx *ctx, struct plex_ranks *r)
{
    int64_t one = 1, sum = 0;
    const struct plex_reducer how = {PLEX_SUM, NULL};

    return plex_allreduce(ctx, r, plex_int64s(&one, 1), plex_int64s(&sum, 1),
                          &how);
}
/* When all ranks are done with the job: removes what is left of it. */
static inline int
plex_ranks_clear(struct plex_ctx *ctx, const struct plex_ranks *r)
{
    char *pattern = plex_tuple_format(
        "[\"rank\",%s,{\"any\":true},{\"any\":true},{\"any\":true},"
        "{\"any\":true},{\"any\":true}]",
        r->coord.name);
    int status = PLEX_E_LIMIT;

    if (pattern != NULL)
        status = plex_tuple_clear(ctx, r->coord.space, pattern);
    free(pattern);
    return status;
}

#endif
