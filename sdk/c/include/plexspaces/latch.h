#ifndef PLEXSPACES_LATCH_H
#define PLEXSPACES_LATCH_H

#include "barrier.h"

/* A latch: opens when it has been counted down, and stays open. */
struct plex_latch {
    struct plex_coord coord;
    uint32_t count;
};

static inline char *
plex_latch_any(const struct plex_latch *l)
{
    return plex_tuple_format(
        "[\"latch\",%s,{\"any\":true},{\"any\":true},{\"any\":true}]",
        l->coord.name);
}
/* Make it, or use the one that is there; a count of 1 to 998. PLEX_E_CONFLICT:
 * one of that name began with another count. */
static inline int
plex_latch_open(struct plex_ctx *ctx, struct plex_latch *out, const char *space,
                const char *name, const char *who, uint32_t count)
{
    struct plex_coord *c = &out->coord;
    struct plex_value fields;
    int64_t have;
    int status = plex_coord_init(ctx, c, space, name, who);

    out->count = count;
    if (status == 0 && (count < 1 || count > PLEX_PARTIES_MAX))
        status = PLEX_E_INVALID;
    if (status == 0)
        status = plex_coord_make(
            ctx, c, plex_latch_any(out),
            plex_tuple_format("[\"latch\",%s,%u,%u,{\"tuple\":[\"\"]}]",
                              c->name, count, count));
    if (status == 0)
        status = plex_coord_read(ctx, c, plex_latch_any(out), 0, &fields);
    if (status != 0)
        return status;
    return plex_tuple_number(&fields, 2, &have) && have == (int64_t)count
               ? 0
               : PLEX_E_CONFLICT;
}
/* Count down, once for each `who`: again, also after a restart, does nothing.
 * *left (may be NULL): how many are missing. Without effect on an open one. */
static inline int
plex_latch_count_down(struct plex_ctx *ctx, const struct plex_latch *l,
                      uint64_t *left)
{
    for (;;) {
        struct plex_value fields, list;
        char *old, *names, *next = NULL;
        int64_t now;
        bool swapped, here;
        size_t n;
        int status =
            plex_coord_read(ctx, &l->coord, plex_latch_any(l), 0, &fields);

        if (status != 0)
            return status;
        if (!plex_tuple_number(&fields, 3, &now) ||
            !plex_tuple_field(&fields, 4, &list))
            return PLEX_E_INVALID;
        here = plex_party_is(&list, l->coord.who, &n);
        if (left != NULL)
            *left = (uint64_t)now;
        if (here || now == 0)
            return 0;
        old = plex_tuple_format("%.*s", (int)fields.len,
                                (const char *)fields.data);
        names = plex_party_add(&list, l->coord.who);
        if (names != NULL)
            next = plex_tuple_format("[\"latch\",%s,%u,%lld,%s]", l->coord.name,
                                     l->count, (long long)now - 1, names);
        free(names);
        status = plex_coord_swap(ctx, &l->coord, old, next, &swapped);
        if (left != NULL)
            *left = (uint64_t)now - 1;
        if (status != 0 || swapped)
            return status;
    }
}
/* Until it is open. PLEX_E_TIMEOUT: not in timeout_ms (0: look only; at most
 * an hour). */
static inline int
plex_latch_wait(struct plex_ctx *ctx, const struct plex_latch *l,
                uint64_t timeout_ms)
{
    struct plex_value fields;
    const int status = plex_coord_read(
        ctx, &l->coord,
        plex_tuple_format("[\"latch\",%s,{\"any\":true},0,{\"any\":true}]",
                          l->coord.name),
        timeout_ms, &fields);

    return status == PLEX_E_NOT_FOUND ? PLEX_E_TIMEOUT : status;
}

#endif
