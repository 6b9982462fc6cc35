/* For tests/e2e/coordination.sh. coord/KEY: {"line":N}, the first line that did
 * something else than it should, or 0. party/KEY does one thing that waits for
 * others: {"status":..., ...}. */
#define _GNU_SOURCE
#include <plexspaces/coordination.h>

#define S "coord"
#define HOLDS(what)          \
    do {                     \
        if (!(what))         \
            return __LINE__; \
    } while (0)
enum { LEASE_MS = 1500, SOON_MS = 100 };

static int
semaphores(struct plex_ctx *ctx)
{
    struct plex_semaphore a, b, c;
    uint64_t n;

    HOLDS(plex_semaphore_open(ctx, &a, S, "", "a", 2) == PLEX_E_INVALID);
    HOLDS(plex_semaphore_open(ctx, &a, S, "x\n", "a", 2) == PLEX_E_INVALID);
    HOLDS(plex_semaphore_open(ctx, &a, S, "two", "a", 0) == PLEX_E_INVALID);
    HOLDS(plex_semaphore_open(ctx, &a, "No Space", "two", "a", 2) ==
          PLEX_E_INVALID);
    HOLDS(plex_semaphore_open(ctx, &a, S, "t\"wo", "a", 2) == 0);
    HOLDS(plex_semaphore_open(ctx, &b, S, "t\"wo", "b", 2) == 0);
    HOLDS(plex_semaphore_open(ctx, &c, S, "t\"wo", "c", 3) == PLEX_E_CONFLICT);
    HOLDS(plex_semaphore_open(ctx, &c, S, "t\"wo", NULL, 2) == 0);
    HOLDS(plex_semaphore_free(ctx, &a, &n) == 0 && n == 2);
    HOLDS(plex_semaphore_release(ctx, &a) == PLEX_E_NOT_FOUND);
    HOLDS(plex_semaphore_acquire(ctx, &a, 60000, 0) == 0);
    HOLDS(plex_semaphore_acquire(ctx, &a, 60000, 0) == PLEX_E_EXISTS);
    HOLDS(plex_semaphore_acquire(ctx, &b, 60000, 0) == 0);
    HOLDS(plex_semaphore_holds(ctx, &b));
    HOLDS(plex_semaphore_free(ctx, &a, &n) == 0 && n == 0);
    HOLDS(plex_semaphore_acquire(ctx, &c, 60000, 50) == PLEX_E_TIMEOUT);
    HOLDS(plex_semaphore_renew(ctx, &a) == 0);
    HOLDS(plex_semaphore_release(ctx, &a) == 0);
    HOLDS(!plex_semaphore_holds(ctx, &a));
    HOLDS(plex_semaphore_acquire(ctx, &c, SOON_MS, 1000) == 0);
    plex_sleep(ctx, SOON_MS + 1); /* its lease is over, and a waits for it */
    HOLDS(plex_semaphore_acquire(ctx, &a, 60000, 5000) == 0);
    HOLDS(!plex_semaphore_holds(ctx, &c));
    HOLDS(plex_semaphore_renew(ctx, &c) == PLEX_E_CONFLICT);
    HOLDS(plex_semaphore_release(ctx, &a) == 0);
    HOLDS(plex_semaphore_release(ctx, &b) == 0);
    HOLDS(plex_semaphore_free(ctx, &a, &n) == 0 && n == 2);
    /* Cleared away, and made again at once. */
    HOLDS(plex_tuple_clear(ctx, S, "[]") == 0);
    HOLDS(plex_semaphore_open(ctx, &a, S, "t\"wo", "a", 2) == 0);
    HOLDS(plex_semaphore_free(ctx, &a, &n) == 0 && n == 2);
    return 0;
}

static int
barriers(struct plex_ctx *ctx)
{
    struct plex_barrier a, b, one;
    struct plex_latch l, m;
    uint64_t generation = 0, left;

    HOLDS(plex_barrier_open(ctx, &a, S, "pair", "a", 2) == 0);
    HOLDS(plex_barrier_open(ctx, &b, S, "pair", "b", 3) == PLEX_E_CONFLICT);
    HOLDS(plex_barrier_open(ctx, &b, S, "pair", "b", 2) == 0);
    HOLDS(plex_barrier_open(ctx, &one, S, "one", "a", 1) == 0);
    for (uint64_t i = 1; i <= 3; i++) {
        generation = 0;
        HOLDS(plex_barrier_wait(ctx, &one, 0, &generation) == 0);
        HOLDS(generation == i);
    }
    generation = 0;
    HOLDS(plex_barrier_wait(ctx, &a, 50, &generation) == PLEX_E_TIMEOUT);
    HOLDS(generation == 1);
    /* It had left: the other one alone does not pass. */
    HOLDS(plex_barrier_wait(ctx, &b, 50, &generation) == PLEX_E_TIMEOUT);
    {
        enum plex_barrier_step step;

        HOLDS(plex_barrier_move(ctx, &a, false, &generation, &step) == 0);
        HOLDS(step == PLEX_BARRIER_ARRIVED);
        HOLDS(plex_barrier_move(ctx, &a, false, &generation, &step) == 0);
        HOLDS(step == PLEX_BARRIER_ARRIVED); /* once is enough */
    }
    HOLDS(plex_barrier_wait(ctx, &b, 0, &generation) == 0);
    HOLDS(plex_barrier_wait(ctx, &a, 0, &generation) == 0); /* it is past */
    generation = 7;
    HOLDS(plex_barrier_wait(ctx, &a, 0, &generation) == PLEX_E_INVALID);

    HOLDS(plex_latch_open(ctx, &l, S, "l", "a", 2) == 0);
    HOLDS(plex_latch_open(ctx, &m, S, "l", "b", 2) == 0);
    HOLDS(plex_latch_wait(ctx, &l, 0) == PLEX_E_TIMEOUT);
    HOLDS(plex_latch_count_down(ctx, &l, &left) == 0 && left == 1);
    HOLDS(plex_latch_count_down(ctx, &l, &left) == 0 && left == 1);
    HOLDS(plex_latch_count_down(ctx, &m, &left) == 0 && left == 0);
    HOLDS(plex_latch_count_down(ctx, &m, &left) == 0 && left == 0);
    HOLDS(plex_latch_wait(ctx, &l, 0) == 0);
    return 0;
}

static int
elections(struct plex_ctx *ctx)
{
    struct plex_election a, b;
    uint64_t term, first;
    char who[64];

    HOLDS(plex_election_open(ctx, &a, S, "e", "a") == 0);
    HOLDS(plex_election_open(ctx, &b, S, "e", "b") == 0);
    HOLDS(plex_election_leader(ctx, &a, 0, 0, &term, who, sizeof who) ==
          PLEX_E_TIMEOUT);
    HOLDS(plex_election_campaign(ctx, &a, 60000, 0) == 0);
    first = a.term;
    HOLDS(plex_election_leads(ctx, &a) && first > 0);
    HOLDS(plex_election_campaign(ctx, &a, 60000, 0) == PLEX_E_EXISTS);
    HOLDS(plex_election_campaign(ctx, &b, 60000, 50) == PLEX_E_TIMEOUT);
    HOLDS(plex_election_leader(ctx, &b, 0, 0, &term, who, sizeof who) == 0);
    HOLDS(term == first && strcmp(who, "a") == 0);
    HOLDS(plex_election_renew(ctx, &a) == 0);
    HOLDS(plex_election_resign(ctx, &a) == 0);
    HOLDS(!plex_election_leads(ctx, &a));
    HOLDS(plex_election_campaign(ctx, &b, SOON_MS, 0) == 0);
    HOLDS(b.term > first);
    plex_sleep(ctx, SOON_MS + 1);
    HOLDS(!plex_election_leads(ctx, &b)); /* without asking anybody */
    HOLDS(plex_election_campaign(ctx, &a, 60000, 5000) == 0);
    HOLDS(a.term > b.term);
    HOLDS(plex_election_renew(ctx, &b) == PLEX_E_CONFLICT);
    HOLDS(plex_election_leader(ctx, &b, b.term, 0, &term, who, sizeof who) ==
          0);
    HOLDS(term == a.term && strcmp(who, "a") == 0);
    HOLDS(plex_election_resign(ctx, &a) == 0);
    return 0;
}

static int
duty(struct plex_ctx *ctx, struct plex_election *e, void *arg)
{
    int *calls = (int *)arg;

    if (*calls == 100) /* slower than its lease: it loses */
        plex_sleep(ctx, 2 * SOON_MS);
    (void)e;
    return ++*calls == 3 ? 0 : 1;
}
static void
duty_lost(struct plex_ctx *ctx, struct plex_election *e, void *arg)
{
    (void)ctx;
    (void)e;
    *(int *)arg = -1;
}
static int
duties(struct plex_ctx *ctx)
{
    struct plex_election a;
    int calls = 0;
    const struct plex_election_duty work = {.work = duty,
                                            .lost = duty_lost,
                                            .arg = &calls,
                                            .lease_ms = SOON_MS,
                                            .timeout_ms = 1000};

    HOLDS(plex_election_open(ctx, &a, S, "d", "a") == 0);
    HOLDS(plex_election_lead(ctx, &a, &work) == 0 && calls == 3);
    calls = 100;
    HOLDS(plex_election_lead(ctx, &a, &work) == PLEX_E_CONFLICT);
    HOLDS(calls == -1);
    return 0;
}

static int
queues(struct plex_ctx *ctx)
{
    struct plex_work_queue q;
    struct plex_work w, v;
    uint64_t n;

    HOLDS(plex_work_open(ctx, &q, S, "q", 60000, 2) == 0);
    HOLDS(plex_work_get(ctx, &q, 0, &w) == PLEX_E_TIMEOUT);
    HOLDS(plex_work_put(ctx, &q, "one", 0, "\"first\"") == 0);
    HOLDS(plex_work_put(ctx, &q, "one", 0, "\"first\"") == 0);
    HOLDS(plex_work_put(ctx, &q, "one", 0, "\"other\"") == PLEX_E_EXISTS);
    HOLDS(plex_work_put(ctx, &q, "bad", 0, "[not JSON") == PLEX_E_INVALID);
    HOLDS(plex_work_put(ctx, &q, NULL, 5, "{\"tuple\":[1,\"x\"]}") == 0);
    HOLDS(plex_work_size(ctx, &q, false, &n) == 0 && n == 2);
    HOLDS(plex_work_get(ctx, &q, 0, &w) == 0); /* the greater priority */
    HOLDS(w.priority == 5 && w.tries == 1);
    HOLDS(strcmp(w.payload, "{\"tuple\":[1,\"x\"]}") == 0);
    HOLDS(plex_work_get(ctx, &q, 0, &v) == 0);
    HOLDS(strcmp(v.id, "\"one\"") == 0);
    HOLDS(strcmp(v.payload, "\"first\"") == 0);
    HOLDS(plex_work_extend(ctx, &q, &v) == 0);
    HOLDS(plex_work_ack(ctx, &q, &w) == 0);
    HOLDS(plex_work_ack(ctx, &q, &w) == PLEX_E_NOT_FOUND);
    HOLDS(plex_work_nack(ctx, &q, &v, 50) == 0);
    HOLDS(plex_work_get(ctx, &q, 0, &v) == PLEX_E_TIMEOUT); /* not yet */
    HOLDS(plex_work_get(ctx, &q, 5000, &v) == 0 && v.tries == 2);
    HOLDS(plex_work_nack(ctx, &q, &v, 0) == 0);
    HOLDS(plex_work_get(ctx, &q, 0, &v) == PLEX_E_TIMEOUT); /* too often */
    HOLDS(plex_work_size(ctx, &q, true, &n) == 0 && n == 1);
    HOLDS(plex_work_size(ctx, &q, false, &n) == 0 && n == 0);
    HOLDS(plex_tuple_count(ctx, S,
                           "[\"tries\",\"q\",{\"any\":true},{\"any\":true}]",
                           &n) == 0 &&
          n == 0);
    /* A worker that is slower than its lease. */
    q.lease_ms = SOON_MS;
    HOLDS(plex_work_put(ctx, &q, NULL, 0, "3") == 0);
    HOLDS(plex_work_get(ctx, &q, 0, &w) == 0);
    HOLDS(plex_work_get(ctx, &q, 5000, &v) == 0 && v.tries == 2);
    HOLDS(plex_work_ack(ctx, &q, &w) == PLEX_E_CONFLICT);
    HOLDS(plex_work_bury(ctx, &q, &v, "not mine") == 0);
    HOLDS(plex_work_size(ctx, &q, true, &n) == 0 && n == 2);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct plex_ctx *ctx);
} tests[] = {
    {"semaphores", semaphores}, {"barriers", barriers},
    {"elections", elections},   {"duties", duties},
    {"queues", queues},
};

static int
coord(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *name = "";

    (void)msg;
    (void)plex_json_text(ctx, "test", &name);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (strcmp(tests[i].name, name) == 0) {
            plex_reply_json(ctx, "{\"line\":%d}", tests[i].run(ctx));
            return 0;
        }
    plex_reply_problem(ctx, 400, "there is no test %s", name);
    return 0;
}

/* -- parties --------------------------------------------------------------- */

/* Two generations of a barrier, one latch. */
static int
party_meet(struct plex_ctx *ctx, int64_t n)
{
    struct plex_barrier b;
    struct plex_latch l;
    uint64_t generation;
    int status = plex_barrier_open(ctx, &b, S, "meet", NULL, (uint32_t)n);

    for (int i = 0; i < 2 && status == 0; i++) {
        generation = 0;
        status = plex_barrier_wait(ctx, &b, 20000, &generation);
    }
    if (status == 0)
        status = plex_latch_open(ctx, &l, S, "meet", NULL, (uint32_t)n);
    if (status == 0)
        status = plex_latch_count_down(ctx, &l, NULL);
    if (status == 0)
        status = plex_latch_wait(ctx, &l, 20000);
    plex_reply_json(ctx, "{\"status\":%d,\"generation\":%llu}", status,
                    (unsigned long long)generation);
    return 0;
}

/* Every collective, `rounds` times; from `from` on a second time with other
 * numbers, which must not count: what a rank does that was restarted. */
static int
rank_all(struct plex_ctx *ctx, struct plex_ranks *r, double *check)
{
    static const struct plex_reducer sum = {PLEX_SUM, NULL};
    static const struct plex_reducer least = {PLEX_MIN, NULL};
    static const struct plex_reducer most = {PLEX_MAX, NULL};
    const int64_t n = r->n, rank = r->rank;
    int64_t one[2], all[2 * 8], out[2];
    double real, reals;

    for (int64_t i = 0; i < 2 * n; i++)
        all[i] = 10 * i;
    HOLDS(plex_scatter(ctx, r, 1, plex_int64s(all, 2 * (size_t)n),
                       plex_int64s(one, 2)) == 0);
    HOLDS(one[0] == 20 * rank && one[1] == 20 * rank + 10);
    memset(all, 0, sizeof all);
    HOLDS(plex_gather(ctx, r, 0, plex_int64s(one, 2),
                      plex_int64s(all, 2 * (size_t)n)) == 0);
    for (int64_t i = 0; rank == 0 && i < 2 * n; i++)
        HOLDS(all[i] == 10 * i);
    out[0] = rank == 2 ? 77 : -1;
    HOLDS(plex_broadcast(ctx, r, 2, plex_int64s(out, 1)) == 0 && out[0] == 77);
    one[0] = rank;
    one[1] = -rank;
    HOLDS(plex_allreduce(ctx, r, plex_int64s(one, 2), plex_int64s(out, 2),
                         &sum) == 0);
    HOLDS(out[0] == n * (n - 1) / 2 && out[1] == -out[0]);
    HOLDS(plex_allreduce(ctx, r, plex_int64s(one, 2), plex_int64s(out, 2),
                         &least) == 0);
    HOLDS(out[0] == 0 && out[1] == -(n - 1));
    real = 0.1 * (double)(rank + 1);
    HOLDS(plex_allreduce(ctx, r, plex_doubles(&real, 1),
                         plex_doubles(&reals, 1), &most) == 0);
    HOLDS(reals == 0.1 * (double)n);
    HOLDS(plex_allreduce(ctx, r, plex_doubles(&real, 1),
                         plex_doubles(&reals, 1), &sum) == 0);
    *check += reals;
    HOLDS(plex_allgather(ctx, r, plex_int64s(one, 1),
                         plex_int64s(all, (size_t)n)) == 0);
    for (int64_t i = 0; i < n; i++)
        HOLDS(all[i] == i);
    one[0] = rank;
    HOLDS(plex_rank_send(ctx, r, (uint32_t)((rank + 1) % n), r->round,
                         plex_int64s(one, 1)) == 0);
    HOLDS(plex_rank_receive(ctx, r, (uint32_t)((rank + n - 1) % n), r->round,
                            plex_int64s(out, 1)) == 0);
    HOLDS(out[0] == (rank + n - 1) % n);
    HOLDS(plex_ranks_barrier(ctx, r) == 0);
    return 0;
}

static int
party_rank(struct plex_ctx *ctx, int64_t rank, int64_t n)
{
    struct plex_ranks r;
    const char *text = "g";
    char group[64];
    int64_t pause_ms = 0;
    double check = 0;
    int line = 0;

    (void)plex_json_text(ctx, "group", &text);
    (void)snprintf(group, sizeof group, "%s", text);
    if (n > 8 ||
        plex_ranks_open(ctx, &r, S, group, (uint32_t)rank, (uint32_t)n) != 0)
        return plex_fail(ctx, "rank < n <= 8");
    r.timeout_ms = 20000;
    (void)plex_json_int(ctx, "pause_ms", &pause_ms);
    for (int i = 0; i < 3 && line == 0; i++) {
        line = rank_all(ctx, &r, &check);
        if (pause_ms > 0)
            plex_sleep(ctx, (uint64_t)pause_ms);
    }
    plex_reply_json(ctx, "{\"line\":%d,\"round\":%llu,\"check\":%.17g}", line,
                    (unsigned long long)r.round, check);
    return 0;
}

/* The second fold of a rank that was restarted: other numbers. */
static int
party_again(struct plex_ctx *ctx, int64_t rank, int64_t value)
{
    const struct plex_reducer sum = {PLEX_SUM, NULL};
    struct plex_ranks r;
    int64_t out = 0;
    int status = plex_ranks_open(ctx, &r, S, "again", (uint32_t)rank, 2);

    r.timeout_ms = 300;
    if (status == 0)
        status = plex_allreduce(ctx, &r, plex_int64s(&value, 1),
                                plex_int64s(&out, 1), &sum);
    plex_reply_json(ctx,
                    "{\"status\":%d,\"sum\":%lld,\"round\":%llu,"
                    "\"missing\":%u}",
                    status, (long long)out, (unsigned long long)r.round,
                    r.missing);
    return 0;
}

/* -- what is held by one that dies ------------------------------------------
 */

/* A permit, a seat or an item of work. */
struct thing {
    struct plex_semaphore s;
    struct plex_election e;
    struct plex_work_queue q;
    struct plex_work w;
    long long number; /* the term; which delivery it is */
};

static int
thing_get(struct plex_ctx *ctx, const char *what, uint64_t lease_ms,
          uint64_t wait_ms, struct thing *t)
{
    int status = PLEX_E_INVALID;

    memset(t, 0, sizeof *t);
    if (strcmp(what, "permit") == 0) {
        status = plex_semaphore_open(ctx, &t->s, S, "killed", NULL, 1);
        if (status == 0)
            status = plex_semaphore_acquire(ctx, &t->s, lease_ms, wait_ms);
    } else if (strcmp(what, "seat") == 0) {
        status = plex_election_open(ctx, &t->e, S, "killed", NULL);
        if (status == 0)
            status = plex_election_campaign(ctx, &t->e, lease_ms, wait_ms);
        t->number = (long long)t->e.term;
    } else if (strcmp(what, "work") == 0) {
        status = plex_work_open(ctx, &t->q, S, "killed", lease_ms, 3);
        if (status == 0)
            status = plex_work_get(ctx, &t->q, wait_ms, &t->w);
        t->number = (long long)t->w.tries;
    }
    return status;
}
static int
thing_renew(struct plex_ctx *ctx, const char *what, struct thing *t)
{
    if (strcmp(what, "permit") == 0)
        return plex_semaphore_renew(ctx, &t->s);
    if (strcmp(what, "seat") == 0)
        return plex_election_renew(ctx, &t->e);
    return plex_work_extend(ctx, &t->q, &t->w);
}
static int
thing_end(struct plex_ctx *ctx, const char *what, struct thing *t)
{
    if (strcmp(what, "permit") == 0)
        return plex_semaphore_release(ctx, &t->s);
    if (strcmp(what, "seat") == 0)
        return plex_election_resign(ctx, &t->e);
    return plex_work_ack(ctx, &t->q, &t->w);
}

/* Takes it, says so by a tuple, and keeps it until this worker is killed. */
static int
party_hold(struct plex_ctx *ctx, const char *what)
{
    struct thing t;
    int status = thing_get(ctx, what, LEASE_MS, 20000, &t);
    char *tuple =
        plex_tuple_format("[\"held\",\"%s\",%d,%lld]", what, status, t.number);

    if (tuple != NULL)
        (void)plex_tuple_out(ctx, S, tuple, 0);
    free(tuple);
    for (int i = 0; i < 200 && status == 0; i++) {
        plex_sleep(ctx, LEASE_MS / 5);
        status = thing_renew(ctx, what, &t);
    }
    plex_work_free(&t.w);
    return 0;
}

/* The next one that has it, and gives it back; how long it waited. */
static int
party_next(struct plex_ctx *ctx, const char *what, int64_t wait_ms)
{
    const uint64_t began = plex_monotonic_ns(ctx);
    struct thing t;
    int status = thing_get(ctx, what, 60000, (uint64_t)wait_ms, &t);

    if (status == 0)
        status = thing_end(ctx, what, &t);
    plex_reply_json(
        ctx, "{\"status\":%d,\"number\":%lld,\"ms\":%llu}", status, t.number,
        (unsigned long long)(plex_monotonic_ns(ctx) - began) / 1000000);
    return 0;
}

/* Ten times: take a number and put it back, one greater, while nobody else
 * may: in three steps, which two at once would disturb. */
static int
party_mutex(struct plex_ctx *ctx)
{
    struct plex_semaphore s;
    struct plex_value fields;
    char tuple[64];
    int64_t n;
    int status = plex_semaphore_open(ctx, &s, S, "mutex", NULL, 1);

    for (int i = 0; i < 10 && status == 0; i++) {
        status = plex_semaphore_acquire(ctx, &s, 20000, 20000);
        if (status == 0)
            status = plex_tuple_rdp(ctx, S, "[\"n\",{\"any\":true}]", &fields);
        if (status != 0 || !plex_tuple_number(&fields, 1, &n))
            break;
        (void)snprintf(tuple, sizeof tuple, "[\"n\",%lld]", (long long)n + 1);
        status = plex_tuple_inp(ctx, S, "[\"n\",{\"any\":true}]", &fields);
        if (status == 0)
            status = plex_tuple_out(ctx, S, tuple, 0);
        if (status == 0)
            status = plex_semaphore_release(ctx, &s);
    }
    plex_reply_json(ctx, "{\"status\":%d}", status);
    return 0;
}

/* Does what is in the queue until there is nothing for longer than a lease. */
static int
party_hand(struct plex_ctx *ctx)
{
    struct plex_work_queue q;
    struct plex_work w;
    char tuple[64];
    int status = plex_work_open(ctx, &q, S, "stress", 1000, 10), done = 0;

    while (status == 0 && (status = plex_work_get(ctx, &q, 2500, &w)) == 0) {
        plex_sleep(ctx, 40);
        (void)snprintf(tuple, sizeof tuple, "[\"did\",%.16s,%d]", w.payload,
                       (int)w.tries);
        status = plex_tuple_out(ctx, S, tuple, 0);
        if (plex_work_ack(ctx, &q, &w) == 0)
            done++;
    }
    plex_reply_json(ctx, "{\"status\":%d,\"done\":%d}", status, done);
    return 0;
}

static int
party(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *name = "", *thing = "";
    char what[32];
    int64_t n = 3, rank = 0;

    (void)msg;
    (void)plex_json_text(ctx, "do", &name);
    (void)plex_json_text(ctx, "what", &thing);
    (void)plex_json_int(ctx, "n", &n);
    (void)plex_json_int(ctx, "rank", &rank);
    (void)snprintf(what, sizeof what, "%s", thing);
    if (strcmp(name, "meet") == 0)
        return party_meet(ctx, n);
    if (strcmp(name, "rank") == 0)
        return party_rank(ctx, rank, n);
    if (strcmp(name, "again") == 0)
        return party_again(ctx, rank, n);
    if (strcmp(name, "hold") == 0)
        return party_hold(ctx, what);
    if (strcmp(name, "next") == 0)
        return party_next(ctx, what, rank);
    if (strcmp(name, "mutex") == 0)
        return party_mutex(ctx);
    if (strcmp(name, "hand") == 0)
        return party_hand(ctx);
    return plex_fail(ctx, "do what?");
}

static const struct plex_behaviour behaviours[] = {
    {.name = "coord", .handle_call = coord},
    {.name = "party", .handle_call = party, .handle_cast = party},
    {0},
};
PLEX_MODULE(behaviours);
