#ifndef PLEXSPACES_RANKS_H
#define PLEXSPACES_RANKS_H

#include "coord_request.h"

/*
 * Ranks 0..n-1, wherever they run, that exchange numbers in the manner of MPI:
 * one to another here, all of them in collective.h. All call the same
 * collectives in the same order; each is a round:
 *
 *   ["rank", GROUP, ROUND, WHAT, FROM, TO, "NUMBERS"]    TO -1: all
 *
 * Nothing is taken: what a rank gives in a round is written once, whatever
 * happens, and stays for keep_ms. So a rank that died and was restarted may
 * begin again with round 0, or where its state says that it was: what it gives
 * a second time does not count (the first does, also when it differs), and
 * what it missed is still there. One that stays away makes the others return
 * PLEX_E_TIMEOUT with `missing` set; the round does not advance then, and the
 * same call may be made again.
 *
 * GROUP names one run of one job: ranks of a later one need another name, for
 * the first run's numbers are remembered. Doubles are exact; reductions
 * are done in the order of the ranks, so their result is always the same.
 */
enum {
    PLEX_RANKS_MAX = 1000,
    PLEX_RANKS_KEEP_MS = 600000,
    PLEX_RANKS_NUMBERS_MAX = 40000, /* of one part: a tuple has 1 MiB */
};
struct plex_ranks {
    struct plex_coord coord;
    uint32_t rank, n;
    uint64_t round; /* of the next collective; restore it, or let it be 0 */
    uint64_t timeout_ms; /* of each; at most an hour */
    uint64_t keep_ms;
    uint32_t missing; /* after PLEX_E_TIMEOUT: who was waited for */
};
enum plex_number { PLEX_INT64, PLEX_DOUBLE };
struct plex_array {
    enum plex_number of;
    void *at; /* int64_t or double */
    size_t n;
};
static inline struct plex_array
plex_int64s(int64_t *at, size_t n)
{
    const struct plex_array array = {PLEX_INT64, at, n};
    return array;
}
static inline struct plex_array
plex_doubles(double *at, size_t n)
{
    const struct plex_array array = {PLEX_DOUBLE, at, n};
    return array;
}
/* PLEX_E_INVALID: names, or not rank < n <= 1000. */
static inline int
plex_ranks_open(struct plex_ctx *ctx, struct plex_ranks *out, const char *space,
                const char *group, uint32_t rank, uint32_t n)
{
    memset(out, 0, sizeof *out);
    out->rank = rank;
    out->n = n;
    out->timeout_ms = 30000;
    out->keep_ms = PLEX_RANKS_KEEP_MS;
    return n > PLEX_RANKS_MAX || rank >= n
               ? PLEX_E_INVALID
               : plex_coord_init(ctx, &out->coord, space, group, NULL);
}

/* -- numbers as text, and one part of a round ------------------------------ */

static inline struct plex_array
plex_array_part(struct plex_array a, size_t i, size_t n)
{
    const size_t each = a.of == PLEX_INT64 ? sizeof(int64_t) : sizeof(double);

    a.at = (char *)a.at + i * n * each;
    a.n = n;
    return a;
}
/* The caller frees; NULL: no memory. */
static inline char *
plex_array_text(struct plex_array a)
{
    const size_t size = a.n * 26 + 1;
    char *text = (char *)malloc(size);
    size_t used = 0;

    if (text == NULL)
        return NULL;
    text[0] = '\0';
    for (size_t i = 0; i < a.n; i++)
        used += (size_t)(a.of == PLEX_INT64
                             ? snprintf(text + used, size - used, "%lld ",
                                        (long long)((int64_t *)a.at)[i])
                             : snprintf(text + used, size - used, "%.17g ",
                                        ((double *)a.at)[i]));
    return text;
}
/* False: there are not as many as there should be. */
static inline bool
plex_array_read(const char *text, struct plex_array a)
{
    char *end;

    for (size_t i = 0; i < a.n; i++, text = end) {
        if (a.of == PLEX_INT64)
            ((int64_t *)a.at)[i] = strtoll(text, &end, 10);
        else
            ((double *)a.at)[i] = strtod(text, &end);
        if (end == text)
            return false;
    }
    while (*text == ' ')
        text++;
    return *text == '\0';
}
/* What this rank gives to `to` (-1: all). */
static inline int
plex_ranks_put(struct plex_ctx *ctx, const struct plex_ranks *r, uint64_t round,
               const char *what, int64_t to, struct plex_array part)
{
    struct plex_tuple_op op = {.method = PLEX_TUPLE_WRITE};
    struct plex_value ignored;
    char *text, *head, *json = NULL;
    uint8_t id[16];
    int status = PLEX_E_LIMIT;

    if (part.n > PLEX_RANKS_NUMBERS_MAX)
        return PLEX_E_TOO_LARGE;
    text = plex_array_text(part);
    head = plex_tuple_format("[\"rank\",%s,%llu,\"%s\",%u,%lld", r->coord.name,
                             (unsigned long long)round, what, r->rank,
                             (long long)to);
    if (text != NULL && head != NULL)
        json = plex_tuple_format(
            "{\"space\":\"%s\",\"tuples\":[%s,\"%s\"]],\"ttl_ms\":%llu}",
            r->coord.space, head, text, (unsigned long long)r->keep_ms);
    free(text);
    if (json != NULL) {
        text = plex_tuple_format("%s:%s", r->coord.space, head);
        plex_coord_hash(text == NULL ? head : text, id);
        free(text);
        op.json = json;
        op.id = id;
        status = plex_tuple_do(ctx, &op, &ignored);
    }
    free(head);
    free(json);
    return status == -14 ? 0 : status; /* given before: that counts */
}
/* What `from` gave to `to`. */
static inline int
plex_ranks_get(struct plex_ctx *ctx, struct plex_ranks *r, uint64_t round,
               const char *what, uint32_t from, int64_t to,
               struct plex_array out)
{
    struct plex_value fields, field;
    char *text;
    int status = plex_coord_read(
        ctx, &r->coord,
        plex_tuple_format("[\"rank\",%s,%llu,\"%s\",%u,%lld,{\"any\":true}]",
                          r->coord.name, (unsigned long long)round, what, from,
                          (long long)to),
        r->timeout_ms, &fields);

    r->missing = from;
    if (status == PLEX_E_NOT_FOUND)
        return PLEX_E_TIMEOUT;
    if (status != 0)
        return status;
    if (!plex_tuple_field(&fields, 6, &field) || field.len < 2)
        return PLEX_E_INVALID;
    text = plex_tuple_format("%.*s", (int)field.len - 2,
                             (const char *)field.data + 1);
    if (text == NULL)
        return PLEX_E_LIMIT;
    status = plex_array_read(text, out) ? 0 : PLEX_E_INVALID;
    free(text);
    return status;
}
static inline int
plex_ranks_end(struct plex_ranks *r, int status)
{
    if (status == 0)
        r->round++;
    return status;
}

/* -- from one to another: `tag` is what a round is to collectives ---------- */

static inline int
plex_rank_send(struct plex_ctx *ctx, const struct plex_ranks *r, uint32_t to,
               uint64_t tag, struct plex_array data)
{
    return to >= r->n ? PLEX_E_INVALID
                      : plex_ranks_put(ctx, r, tag, "send", to, data);
}
static inline int
plex_rank_receive(struct plex_ctx *ctx, struct plex_ranks *r, uint32_t from,
                  uint64_t tag, struct plex_array out)
{
    return from >= r->n
               ? PLEX_E_INVALID
               : plex_ranks_get(ctx, r, tag, "send", from, r->rank, out);
}

#endif
