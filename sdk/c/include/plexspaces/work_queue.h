#ifndef PLEXSPACES_WORK_QUEUE_H
#define PLEXSPACES_WORK_QUEUE_H

#include "coord_hold.h"

/*
 * A queue of work that is taken under a lease. Who takes an item and dies
 * loses it to the next one, where it stood; what was delivered too often goes
 * to the dead letters.
 *
 *   ["work", QUEUE, PRIORITY, ID, PAYLOAD]      hidden while somebody has it
 *   ["tries", QUEUE, ID, N]                     how often it was delivered
 *   ["dead", QUEUE, ID, PAYLOAD, N, REASON]     a dead letter
 *
 * At least once: a worker that was slower than its lease and did not extend it
 * may do what another one does too; only one of them can acknowledge. One that
 * dies between the take and the count (a millisecond) is not counted.
 */
struct plex_work_queue {
    struct plex_coord coord;
    uint64_t lease_ms;
    uint32_t tries_max; /* deliveries; 0: no limit */
};
struct plex_work {
    struct plex_hold hold;
    char id[PLEX_COORD_TEXT_MAX]; /* JSON */
    uint64_t tries;               /* 1: the first delivery */
    int64_t priority;
    char *payload; /* JSON, with a final 0; owned */
};

/* Nothing has to be made. `who` as of plex_coord_init(). */
static inline int
plex_work_open(struct plex_ctx *ctx, struct plex_work_queue *out,
               const char *space, const char *queue, uint64_t lease_ms,
               uint32_t tries_max)
{
    out->lease_ms = lease_ms;
    out->tries_max = tries_max;
    return lease_ms == 0
               ? PLEX_E_INVALID
               : plex_coord_init(ctx, &out->coord, space, queue, NULL);
}
/*
 * `payload` is one value in JSON as a tuple's fields have it: "text", 12,
 * {"tuple":[...]}. Greater priorities are taken first, and older ones among
 * equals. The same `id` again within ten minutes adds nothing; NULL: a new one.
 */
static inline int
plex_work_put(struct plex_ctx *ctx, const struct plex_work_queue *q,
              const char *id, int64_t priority, const char *payload)
{
    const char *name = q->coord.name;
    char made[32], quoted[PLEX_COORD_TEXT_MAX], *json, *seed;
    struct plex_tuple_op op = {.method = PLEX_TUPLE_WRITE};
    struct plex_value ignored;
    uint8_t request[16];
    int status = PLEX_E_LIMIT;

    if (id == NULL) {
        (void)snprintf(made, sizeof made, "%016llx%04llx",
                       (unsigned long long)plex_coord_random(ctx),
                       (unsigned long long)plex_coord_random(ctx) & 0xffff);
        id = made;
    }
    if (!plex_coord_text(id, quoted))
        return PLEX_E_INVALID;
    seed = plex_tuple_format("put:%s:%s:%s", q->coord.space, name, quoted);
    json = plex_tuple_format("{\"space\":\"%s\",\"tuples\":[[\"work\",%s,%lld,"
                             "%s,%s],[\"tries\",%s,%s,0]]}",
                             q->coord.space, name, (long long)priority, quoted,
                             payload, name, quoted);
    if (seed != NULL && json != NULL) {
        plex_coord_hash(seed, request);
        op.json = json;
        op.id = request;
        status = plex_tuple_do(ctx, &op, &ignored);
    }
    free(seed);
    free(json);
    return status == -14 ? PLEX_E_EXISTS : status;
}
static inline void
plex_work_free(struct plex_work *work)
{
    free(work->payload);
    work->payload = NULL;
}
/* One more delivery; only who has the item does this. */
static inline int
plex_work_count(struct plex_ctx *ctx, const struct plex_work_queue *q,
                struct plex_work *work)
{
    const char *name = q->coord.name;
    struct plex_value fields;
    int64_t n;
    bool swapped = false;

    while (!swapped) {
        int status = plex_coord_read(
            ctx, &q->coord,
            plex_tuple_format("[\"tries\",%s,%s,{\"any\":true}]", name,
                              work->id),
            0, &fields);

        work->tries = 1;
        if (status == PLEX_E_NOT_FOUND)
            return 0; /* put by other means than plex_work_put() */
        if (status == 0 && !plex_tuple_number(&fields, 3, &n))
            status = PLEX_E_INVALID;
        if (status == 0)
            status = plex_coord_swap(
                ctx, &q->coord,
                plex_tuple_format("[\"tries\",%s,%s,%lld]", name, work->id,
                                  (long long)n),
                plex_tuple_format("[\"tries\",%s,%s,%lld]", name, work->id,
                                  (long long)n + 1),
                &swapped);
        if (status != 0)
            return status;
        work->tries = (uint64_t)n + 1;
    }
    return 0;
}
/* It is done: nobody gets it any more. PLEX_E_CONFLICT, PLEX_E_NOT_FOUND: the
 * lease was over before; another one has it or will. Frees the payload. */
static inline int
plex_work_ack(struct plex_ctx *ctx, const struct plex_work_queue *q,
              struct plex_work *work)
{
    const int status =
        plex_hold_end(ctx, &q->coord, PLEX_TUPLE_CONFIRM_CLAIM, 1, &work->hold);
    struct plex_value ignored;

    if (status == 0)
        (void)plex_coord_send(
            ctx, PLEX_TUPLE_TAKE, 0,
            plex_tuple_format("{\"space\":\"%s\",\"template\":[\"tries\",%s,%s,"
                              "{\"any\":true}]}",
                              q->coord.space, q->coord.name, work->id),
            &ignored);
    plex_work_free(work);
    return status;
}
/* Give it back, to be delivered again after delay_ms. Frees the payload. */
static inline int
plex_work_nack(struct plex_ctx *ctx, const struct plex_work_queue *q,
               struct plex_work *work, uint64_t delay_ms)
{
    const int status = plex_hold_end(ctx, &q->coord,
                                     delay_ms == 0 ? PLEX_TUPLE_RELEASE_CLAIM
                                                   : PLEX_TUPLE_RENEW_CLAIM,
                                     delay_ms == 0 ? 1 : delay_ms, &work->hold);

    work->hold.turn = 0;
    plex_work_free(work);
    return status;
}
/* Keep it for the queue's lease from now. PLEX_E_CONFLICT, PLEX_E_NOT_FOUND:
 * it is not this one's any more. */
static inline int
plex_work_extend(struct plex_ctx *ctx, const struct plex_work_queue *q,
                 struct plex_work *work)
{
    return plex_hold_end(ctx, &q->coord, PLEX_TUPLE_RENEW_CLAIM, q->lease_ms,
                         &work->hold);
}
/* To the dead letters. Who dies in between leaves it in the queue too, and the
 * next one finds that it is buried already. Frees the payload. */
static inline int
plex_work_bury(struct plex_ctx *ctx, const struct plex_work_queue *q,
               struct plex_work *work, const char *reason)
{
    char quoted[PLEX_COORD_TEXT_MAX];
    const char *name = q->coord.name;
    int status;

    if (!plex_coord_text(reason, quoted))
        return PLEX_E_INVALID;
    status = plex_work_extend(ctx, q, work); /* is it still this one's? */
    if (status != 0)
        return status;
    status = plex_coord_make(
        ctx, &q->coord,
        plex_tuple_format("[\"dead\",%s,%s,{\"any\":true},{\"any\":true},"
                          "{\"any\":true}]",
                          name, work->id),
        plex_tuple_format("[\"dead\",%s,%s,%s,%llu,%s]", name, work->id,
                          work->payload, (unsigned long long)work->tries,
                          quoted));
    if (status != 0)
        return status;
    return plex_work_ack(ctx, q, work);
}
static inline int
plex_work_read(const struct plex_value *fields, struct plex_work *out)
{
    struct plex_value id;

    if (!plex_tuple_number(fields, 2, &out->priority) ||
        !plex_tuple_field(fields, 3, &id) || id.len >= sizeof out->id)
        return PLEX_E_INVALID;
    memcpy(out->id, id.data, id.len);
    out->id[id.len] = '\0';
    out->payload = plex_tuple_field_copy(fields, 4);
    return out->payload == NULL ? PLEX_E_LIMIT : 0;
}
/*
 * The next item, for the queue's lease. PLEX_E_TIMEOUT: none came in
 * timeout_ms (at most an hour). Those that were delivered tries_max times
 * already are buried on the way.
 */
static inline int
plex_work_get(struct plex_ctx *ctx, const struct plex_work_queue *q,
              uint64_t timeout_ms, struct plex_work *out)
{
    for (;;) {
        struct plex_value fields;
        int status;

        memset(out, 0, sizeof *out);
        out->hold.lease_ms = q->lease_ms;
        status = plex_hold_take(
            ctx, &q->coord,
            plex_tuple_format("[\"work\",%s,{\"type\":\"int64\"},"
                              "{\"type\":\"string\"},{\"any\":true}]",
                              q->coord.name),
            "\"order\":\"max\",\"order_field\":2,", timeout_ms, &out->hold,
            &fields);
        if (status != 0)
            return status;
        status = plex_work_read(&fields, out);
        if (status == 0)
            status = plex_hold_settle(ctx, &q->coord, &out->hold);
        if (status == 0)
            status = plex_work_count(ctx, q, out);
        if (status == 0 && (q->tries_max == 0 || out->tries <= q->tries_max))
            return 0;
        if (status == 0) {
            out->tries--;
            status = plex_work_bury(ctx, q, out, "delivered too often");
        }
        plex_work_free(out);
        if (out->hold.turn != 0)
            (void)plex_hold_end(ctx, &q->coord, PLEX_TUPLE_RELEASE_CLAIM, 1,
                                &out->hold);
        if (status != 0 && status != PLEX_E_CONFLICT &&
            status != PLEX_E_NOT_FOUND)
            return status;
    }
}
/* Those that wait, or the dead letters; not those that somebody has. */
static inline int
plex_work_size(struct plex_ctx *ctx, const struct plex_work_queue *q, bool dead,
               uint64_t *n)
{
    char *pattern = plex_tuple_format(
        dead ? "[\"dead\",%s,{\"any\":true},{\"any\":true},{\"any\":true},"
               "{\"any\":true}]"
             : "[\"work\",%s,{\"any\":true},{\"any\":true},{\"any\":true}]",
        q->coord.name);
    int status = PLEX_E_LIMIT;

    if (pattern != NULL)
        status = plex_tuple_count(ctx, q->coord.space, pattern, n);
    free(pattern);
    return status;
}

#endif
