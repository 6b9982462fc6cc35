#ifndef PLEXSPACES_ELECTION_H
#define PLEXSPACES_ELECTION_H

#include "coord_hold.h"

/*
 * Leader election. Whoever holds the seat leads; the seat is held under a
 * lease, and each leader has a term greater than all before it.
 *
 *   ["seat", NAME]               held, and so hidden, while somebody leads
 *   ["term", NAME, TERM]         the last one that was given out
 *   ["leader", NAME, TERM, WHO]  who leads, for others; ends with the lease
 *
 * Candidates are served in the order of their coming. A leader that dies, or
 * cannot reach the tuple space for the lease, has lost; the next one then
 * leads, with a greater term. One that was stopped does not know: what it
 * commands must carry its term, and receivers must refuse a lesser one than
 * they have seen (a fencing token).
 */
struct plex_election {
    struct plex_coord coord;
    struct plex_hold hold;
    uint64_t term;   /* of this leader; kept when it has lost */
    uint64_t notice; /* id of its leader tuple */
};

/* Take part. PLEX_E_INVALID. */
static inline int
plex_election_open(struct plex_ctx *ctx, struct plex_election *out,
                   const char *space, const char *name, const char *who)
{
    struct plex_coord *c = &out->coord;
    int status;

    memset(out, 0, sizeof *out);
    status = plex_coord_init(ctx, c, space, name, who);
    return status != 0
               ? status
               : plex_coord_make(
                     ctx, c,
                     plex_tuple_format("[\"term\",%s,{\"any\":true}]", c->name),
                     plex_tuple_format("[\"term\",%s,0],[\"seat\",%s]", c->name,
                                       c->name));
}
/* The next term is this one's. Nobody else does so but one that has lost the
 * seat and does not know: its term is then nobody's. */
static inline int
plex_election_term(struct plex_ctx *ctx, struct plex_election *e)
{
    const char *name = e->coord.name;
    struct plex_value fields;
    int64_t last;
    bool swapped = false;

    while (!swapped) {
        int status = plex_coord_read(
            ctx, &e->coord,
            plex_tuple_format("[\"term\",%s,{\"any\":true}]", name), 0,
            &fields);

        if (status == 0 && !plex_tuple_number(&fields, 2, &last))
            status = PLEX_E_INVALID;
        if (status == 0)
            status = plex_coord_swap(
                ctx, &e->coord,
                plex_tuple_format("[\"term\",%s,%lld]", name, (long long)last),
                plex_tuple_format("[\"term\",%s,%lld]", name,
                                  (long long)last + 1),
                &swapped);
        if (status != 0)
            return status;
    }
    e->term = (uint64_t)last + 1;
    return 0;
}
/* For others. Not needed to lead, and not waited for twice. */
static inline void
plex_election_tell(struct plex_ctx *ctx, struct plex_election *e)
{
    static const char head[] = "{\"ids\":[\"";
    struct plex_value answer;
    const int status = plex_coord_send(
        ctx, PLEX_TUPLE_WRITE, 0,
        plex_tuple_format("{\"space\":\"%s\",\"tuples\":[[\"leader\",%s,%llu,%s"
                          "]],\"ttl_ms\":%llu}",
                          e->coord.space, e->coord.name,
                          (unsigned long long)e->term, e->coord.who,
                          (unsigned long long)e->hold.lease_ms),
        &answer);

    e->notice =
        status == 0 && answer.len > sizeof head
            ? strtoull((const char *)answer.data + sizeof head - 1, NULL, 10)
            : 0;
}
static inline void
plex_election_notice(struct plex_ctx *ctx, struct plex_election *e,
                     enum plex_tuple_method verb)
{
    struct plex_value ignored;
    const int status =
        e->notice == 0
            ? PLEX_E_NOT_FOUND
            : plex_coord_send(ctx, verb, 0,
                              plex_tuple_format(
                                  "{\"space\":\"%s\",\"tuple_id\":\"%llu\","
                                  "\"ttl_ms\":%llu}",
                                  e->coord.space, (unsigned long long)e->notice,
                                  (unsigned long long)e->hold.lease_ms),
                              &ignored);

    if (verb == PLEX_TUPLE_RENEW_LEASE && status == PLEX_E_NOT_FOUND)
        plex_election_tell(ctx, e);
}
/*
 * Wait until this one leads, for lease_ms (at most 30 days): 0, and e->term.
 * PLEX_E_TIMEOUT: not in timeout_ms (at most an hour). PLEX_E_EXISTS: it leads.
 */
static inline int
plex_election_campaign(struct plex_ctx *ctx, struct plex_election *e,
                       uint64_t lease_ms, uint64_t timeout_ms)
{
    struct plex_value ignored;
    int status;

    if (plex_hold_good(ctx, &e->hold))
        return PLEX_E_EXISTS;
    e->hold.lease_ms = lease_ms;
    status = plex_hold_take(ctx, &e->coord,
                            plex_tuple_format("[\"seat\",%s]", e->coord.name),
                            "", timeout_ms, &e->hold, &ignored);
    if (status != 0)
        return status;
    status = plex_election_term(ctx, e);
    /* The seat was still held when the term was given out, so no later leader
     * has a lesser one. Without this a slow winner could outbid it. */
    if (status == 0)
        status = plex_hold_end(ctx, &e->coord, PLEX_TUPLE_RENEW_CLAIM, lease_ms,
                               &e->hold);
    if (status == 0)
        plex_election_tell(ctx, e);
    else if (e->hold.turn != 0)
        (void)plex_hold_end(ctx, &e->coord, PLEX_TUPLE_RELEASE_CLAIM, 1,
                            &e->hold);
    return status;
}
/* Lead for lease_ms from now: every third of it, say. PLEX_E_CONFLICT,
 * PLEX_E_NOT_FOUND: it has lost. Another error: nobody knows yet; try again
 * while plex_election_leads(). */
static inline int
plex_election_renew(struct plex_ctx *ctx, struct plex_election *e)
{
    const int status = plex_hold_end(ctx, &e->coord, PLEX_TUPLE_RENEW_CLAIM,
                                     e->hold.lease_ms, &e->hold);

    if (status == 0)
        plex_election_notice(ctx, e, PLEX_TUPLE_RENEW_LEASE);
    return status;
}
/* Without asking: true while nobody else can lead. */
static inline bool
plex_election_leads(struct plex_ctx *ctx, const struct plex_election *e)
{
    return plex_hold_good(ctx, &e->hold);
}
/* The next candidate leads at once. An error, as of renew: it had lost. */
static inline int
plex_election_resign(struct plex_ctx *ctx, struct plex_election *e)
{
    plex_election_notice(ctx, e, PLEX_TUPLE_CANCEL_LEASE);
    e->notice = 0;
    return plex_hold_end(ctx, &e->coord, PLEX_TUPLE_RELEASE_CLAIM, 1, &e->hold);
}
/*
 * Wait for a leader of a term greater than `after` (0: any), and who it is, cut
 * at `size`: to watch an election, ask again with the term that came.
 * PLEX_E_TIMEOUT: none in timeout_ms (0: look only).
 */
static inline int
plex_election_leader(struct plex_ctx *ctx, const struct plex_election *e,
                     uint64_t after, uint64_t timeout_ms, uint64_t *term,
                     char *who, size_t size)
{
    struct plex_value answer, fields, field;
    int64_t number;
    int status = plex_coord_send(
        ctx, PLEX_TUPLE_READ, timeout_ms,
        plex_tuple_format("{\"space\":\"%s\",\"template\":[\"leader\",%s,"
                          "{\"gt\":%llu},{\"any\":true}],\"order\":\"max\","
                          "\"order_field\":2,\"timeout_ms\":%llu}",
                          e->coord.space, e->coord.name,
                          (unsigned long long)after,
                          (unsigned long long)timeout_ms),
        &answer);

    if (status == 0 && !plex_tuple_first(&answer, &fields))
        status = PLEX_E_TIMEOUT;
    if (status != 0)
        return status;
    if (!plex_tuple_number(&fields, 2, &number) ||
        !plex_tuple_field(&fields, 3, &field))
        return PLEX_E_INVALID;
    *term = (uint64_t)number;
    plex_tuple_field_text(&field, who, size);
    return 0;
}
/*
 * Lead and work: `work` is called again and again while this one leads, and
 * should return within a third of the lease: 1 to go on, 0 when all is done
 * (it resigns), an error to give up (it resigns). Then, when it has lost,
 * `lost` (may be NULL) is told, and this returns PLEX_E_CONFLICT.
 */
struct plex_election_duty {
    int (*work)(struct plex_ctx *ctx, struct plex_election *e, void *arg);
    void (*lost)(struct plex_ctx *ctx, struct plex_election *e, void *arg);
    void *arg;
    uint64_t lease_ms;
    uint64_t timeout_ms; /* for the campaign */
};
static inline int
plex_election_lead(struct plex_ctx *ctx, struct plex_election *e,
                   const struct plex_election_duty *duty)
{
    int status =
        plex_election_campaign(ctx, e, duty->lease_ms, duty->timeout_ms);
    int done = 1;

    if (status != 0)
        return status;
    while (done > 0 && plex_election_leads(ctx, e)) {
        done = duty->work(ctx, e, duty->arg);
        if (done > 0)
            (void)plex_election_renew(ctx, e);
    }
    if (done <= 0) {
        (void)plex_election_resign(ctx, e);
        return done;
    }
    e->hold.turn = 0;
    if (duty->lost != NULL)
        duty->lost(ctx, e, duty->arg);
    return PLEX_E_CONFLICT;
}

#endif
