#ifndef PLEXSPACES_BARRIER_H
#define PLEXSPACES_BARRIER_H

#include "coord_request.h"

/*
 * Barriers and latches. Each is one tuple that compare-and-swap moves on, so
 * that no death in between leaves half a step:
 *
 *   ["barrier", NAME, PARTIES, GENERATION, {"tuple":["", WHO...]}]
 *   ["latch", NAME, COUNT, LEFT, {"tuple":["", WHO...]}]
 *
 * A party that has arrived and then dies has arrived: the others pass. When it
 * comes again under the same `who` (a restart), it is not counted twice. One
 * that dies before keeps the others waiting until their timeout. The tuples
 * stay until the space is cleared.
 */
enum { PLEX_PARTIES_MAX = 998 };

/* Is `who` (JSON) among {"tuple":["",...]}? *n is how many are there. */
static inline bool
plex_party_is(const struct plex_value *list, const char *who, size_t *n)
{
    static const char head[] = "{\"tuple\":";
    struct plex_value inner, field;
    bool found = false;
    size_t i = 0;

    *n = 0;
    if (list->len <= sizeof head)
        return false;
    inner.data = (const char *)list->data + sizeof head - 1;
    inner.len = list->len - sizeof head; /* without the last '}' */
    for (; plex_tuple_field(&inner, i, &field); i++)
        found = found || (i > 0 && plex_tuple_field_is(&field, who));
    *n = i > 0 ? i - 1 : 0;
    return found;
}
/* The list with `who` at its end; the caller frees. */
static inline char *
plex_party_add(const struct plex_value *list, const char *who)
{
    return plex_tuple_format("%.*s,%s]}", (int)list->len - 2,
                             (const char *)list->data, who);
}
/* The list without it; the caller frees. */
static inline char *
plex_party_remove(const struct plex_value *list, const char *who)
{
    char *text =
        plex_tuple_format("%.*s", (int)list->len, (const char *)list->data);
    char *with = plex_tuple_format(",%s", who), *at, *after;

    for (at = text;
         text != NULL && with != NULL && (at = strstr(at, with)) != NULL;
         at++) {
        after = at + strlen(with);
        if (*after != ',' && *after != ']')
            continue;
        memmove(at, after, strlen(after) + 1);
        break;
    }
    free(with);
    return text;
}

/* -- barriers -------------------------------------------------------------- */

struct plex_barrier {
    struct plex_coord coord;
    uint32_t parties;
};
enum plex_barrier_step {
    PLEX_BARRIER_ARRIVED, /* wait for the others */
    PLEX_BARRIER_PASSED,
    PLEX_BARRIER_GONE, /* withdrawn */
};

static inline char *
plex_barrier_any(const struct plex_barrier *b)
{
    return plex_tuple_format(
        "[\"barrier\",%s,{\"any\":true},{\"any\":true},{\"any\":true}]",
        b->coord.name);
}
/* Make it, or use the one that is there; 1 to 998 parties. PLEX_E_CONFLICT:
 * one of that name is for another number of parties. */
static inline int
plex_barrier_open(struct plex_ctx *ctx, struct plex_barrier *out,
                  const char *space, const char *name, const char *who,
                  uint32_t parties)
{
    struct plex_coord *c = &out->coord;
    struct plex_value fields;
    int64_t have;
    int status = plex_coord_init(ctx, c, space, name, who);

    out->parties = parties;
    if (status == 0 && (parties < 1 || parties > PLEX_PARTIES_MAX))
        status = PLEX_E_INVALID;
    if (status == 0)
        status = plex_coord_make(
            ctx, c, plex_barrier_any(out),
            plex_tuple_format("[\"barrier\",%s,%u,1,{\"tuple\":[\"\"]}]",
                              c->name, parties));
    if (status == 0)
        status = plex_coord_read(ctx, c, plex_barrier_any(out), 0, &fields);
    if (status != 0)
        return status;
    return plex_tuple_number(&fields, 2, &have) && have == (int64_t)parties
               ? 0
               : PLEX_E_CONFLICT;
}
/* The tuple that follows when `b` arrives or withdraws; NULL: no memory. */
static inline char *
plex_barrier_next(const struct plex_barrier *b, int64_t generation,
                  const struct plex_value *list, bool leave, bool last)
{
    char *left = NULL, *tuple;

    if (last)
        return plex_tuple_format("[\"barrier\",%s,%u,%lld,{\"tuple\":[\"\"]}]",
                                 b->coord.name, b->parties,
                                 (long long)generation + 1);
    left = leave ? plex_party_remove(list, b->coord.who)
                 : plex_party_add(list, b->coord.who);
    if (left == NULL)
        return NULL;
    tuple = plex_tuple_format("[\"barrier\",%s,%u,%lld,%s]", b->coord.name,
                              b->parties, (long long)generation, left);
    free(left);
    return tuple;
}
/* Arrive at *generation (0: the current one, which is set), or leave it. */
static inline int
plex_barrier_move(struct plex_ctx *ctx, const struct plex_barrier *b,
                  bool leave, uint64_t *generation,
                  enum plex_barrier_step *step)
{
    for (;;) {
        struct plex_value fields, list;
        char *old, *next;
        int64_t now;
        bool here, last, swapped;
        size_t n;
        int status =
            plex_coord_read(ctx, &b->coord, plex_barrier_any(b), 0, &fields);

        if (status != 0)
            return status;
        if (!plex_tuple_number(&fields, 3, &now) ||
            !plex_tuple_field(&fields, 4, &list))
            return PLEX_E_INVALID;
        if (*generation == 0)
            *generation = (uint64_t)now;
        *step = PLEX_BARRIER_PASSED;
        if (*generation < (uint64_t)now)
            return 0;
        if (*generation > (uint64_t)now)
            return PLEX_E_INVALID; /* nobody can be ahead */
        here = plex_party_is(&list, b->coord.who, &n);
        last = !leave && n + 1 >= b->parties;
        *step = leave ? PLEX_BARRIER_GONE : PLEX_BARRIER_ARRIVED;
        if (here != leave)
            return 0;
        old = plex_tuple_format("%.*s", (int)fields.len,
                                (const char *)fields.data);
        next = plex_barrier_next(b, now, &list, leave, last);
        status = plex_coord_swap(ctx, &b->coord, old, next, &swapped);
        if (status != 0)
            return status;
        if (swapped && last)
            *step = PLEX_BARRIER_PASSED;
        if (swapped)
            return 0;
    }
}
/*
 * Arrive, and wait until all have. *generation: 0 for the current one, and
 * afterwards the one that was passed (the first is 1). Who was restarted says
 * the generation it was to pass: one that is past returns 0 at once, and an
 * arrival before the restart counts. PLEX_E_TIMEOUT: not all came in
 * timeout_ms (at most an hour): this party has left again, as if it had not
 * come. PLEX_E_NOT_FOUND: the barrier was cleared away.
 */
static inline int
plex_barrier_wait(struct plex_ctx *ctx, const struct plex_barrier *b,
                  uint64_t timeout_ms, uint64_t *generation)
{
    enum plex_barrier_step step;
    struct plex_value fields;
    int status = plex_barrier_move(ctx, b, false, generation, &step);

    if (status != 0 || step == PLEX_BARRIER_PASSED)
        return status;
    status = plex_coord_read(
        ctx, &b->coord,
        plex_tuple_format("[\"barrier\",%s,{\"any\":true},{\"gt\":%llu},"
                          "{\"any\":true}]",
                          b->coord.name, (unsigned long long)*generation),
        timeout_ms, &fields);
    if (status != PLEX_E_NOT_FOUND)
        return status;
    status = plex_barrier_move(ctx, b, true, generation, &step);
    if (status == 0 && step == PLEX_BARRIER_GONE)
        status = PLEX_E_TIMEOUT;
    return status;
}

#endif
