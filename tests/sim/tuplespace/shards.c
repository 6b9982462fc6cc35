/*
 * A space over several shards, simulated: the real cores, and takers that ask
 * all of them (engine/scatter.h) over links that delay, are cut and lose what
 * is on them; takers die in the middle. In the end each tuple has been given to
 * one taker, or is in the space; it may be gone with a taker that died or was
 * told that nobody knows, and with no other. A taker that nothing happened to
 * does not leave empty-handed while a tuple lies there untouched.
 *
 *     plex-sim-tuplespace-shards [--seeds 1..1000 | --bite]
 */
#include "common/mem.h"
#include "services/tuplespace/engine/action.h"
#include "services/tuplespace/engine/scatter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARDS = 4,
    TAKERS = 14,
    TUPLES = 8,
    MESSAGES = 4096,
    CALLS = 4096,
    FAULTS_MS = 400,
    END_MS = 2000,
    BITE_SEEDS = 2000,
    LEASE_MS = 60,
    SLACK_MS = 3, /* a wait ends by a tick */
    LOST_MS = 20, /* until both ends of a cut link know */
    /* Seeded bugs, besides enum tspace_unsafe. */
    WITHOUT_CLAIMS = 1 << 16,
    UNCONFIRMED = 1 << 17,
};

struct message {
    uint64_t at;
    bool back; /* to the taker */
    int taker, call;
    uint32_t shard; /* index into plan.shards */
    enum tspace_scatter_kind kind;
    uint64_t want;
    enum plex_status status;
    int n; /* the tuple, 0: none */
};
struct call {
    int taker;
    uint32_t shard;
    enum tspace_scatter_kind kind;
};
struct taker {
    struct tspace_scatter machine;
    uint64_t begin, until, channel[SHARDS][2]; /* order of a link */
    uint64_t wait_ms;
    bool take, begun, ended, dead, troubled;
    int waits[SHARDS]; /* the call, -1: none */
    int found, answer; /* tuple numbers */
};
struct world {
    uint64_t random, now, cut_until[TAKERS][SHARDS];
    unsigned unsafe;
    struct tspace_core *cores[SHARDS];
    struct taker takers[TAKERS];
    struct message messages[MESSAGES];
    int n_messages;
    struct call calls[CALLS];
    int n_calls;
    uint64_t written[TUPLES + 1];
    int owner[TUPLES + 1], claimed[TUPLES + 1]; /* 1 + taker */
    bool touched[TUPLES + 1], left[TUPLES + 1];
    uint32_t shard_of[TUPLES + 1];
    int n_written;
    unsigned cuts, deaths, claims, waits;
};

static const struct tspace_where here = {"acme", "default", "s"};

static uint64_t
pick(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random * 0x2545f4914f6cdd1dull >> 33) % below;
}

static bool
faulty(struct world *w, unsigned per_mille)
{
    return w->now < FAULTS_MS && pick(w, 1000) < per_mille;
}

static struct tspace_now
now_of(const struct world *w)
{
    return (struct tspace_now){(w->now + 1000) * 1000000, w->now + 100000};
}

/* -- links ----------------------------------------------------------------- */

static void
post(struct world *w, struct message m, uint64_t at)
{
    if (w->n_messages == MESSAGES)
        abort();
    m.at = at;
    w->messages[w->n_messages++] = m;
}

static void
lose(struct world *w, struct message m)
{
    struct taker *taker = &w->takers[m.taker];

    taker->troubled = true;
    m.back = true;
    m.status = PLEX_UNKNOWN;
    m.n = 0;
    if (m.kind != TSPACE_SCATTER_RELEASE && m.kind != TSPACE_SCATTER_CANCEL)
        post(w, m, w->now + LOST_MS);
    /* Its shard hears that the taker is lost. */
    m.back = false;
    m.kind = TSPACE_SCATTER_CANCEL;
    m.call = taker->waits[m.shard];
    if (m.call >= 0)
        post(w, m, w->now + LOST_MS);
}

static void
send(struct world *w, struct message m)
{
    uint64_t *last = &w->takers[m.taker].channel[m.shard][m.back];

    if (w->cut_until[m.taker][m.shard] > w->now) {
        lose(w, m);
        return;
    }
    if (*last <= w->now)
        *last = w->now;
    *last += faulty(w, 100) ? pick(w, 30) : pick(w, 3);
    post(w, m, *last + 1);
}

/* -- shards ---------------------------------------------------------------- */

static int
number_of(const struct tspace_answer *answer, uint32_t i)
{
    struct tspace_tuple tuple;
    struct tspace_value value;

    tspace_answer_tuple(answer, i, &tuple);
    tspace_packed_get(tuple.packed.data, 0, &value);
    return (int)value.integer;
}

static struct tspace_template *
anything(void)
{
    const struct tspace_matcher any = {.kind = TSPACE_ANY};
    struct tspace_template *template = NULL;
    struct plex_err err;

    if (tspace_template_create(&template, &any, 1, &err) != PLEX_OK)
        abort();
    return template;
}

static void
answered(struct world *w, const struct tspace_action *action)
{
    const struct call *call = &w->calls[(uintptr_t)action->call - 1];
    struct taker *taker = &w->takers[call->taker];
    struct message m = {.back = true,
                        .taker = call->taker,
                        .shard = call->shard,
                        .kind = call->kind,
                        .status = action->status};

    if (action->status == PLEX_OK && call->kind <= TSPACE_SCATTER_WAIT &&
        action->answer->n > 0)
        m.n = number_of(action->answer, 0);
    if (m.n != 0 && taker->take) {
        w->touched[m.n] = true;
        if (call->kind == TSPACE_SCATTER_ASK ||
            (w->unsafe & WITHOUT_CLAIMS) != 0)
            w->owner[m.n] = call->taker + 1;
        else
            w->claimed[m.n] = call->taker + 1;
        w->claims += call->kind == TSPACE_SCATTER_WAIT;
    }
    if (action->status == PLEX_OK && call->kind == TSPACE_SCATTER_RELEASE)
        for (int n = 1; n <= TUPLES; n++)
            if (w->claimed[n] == call->taker + 1 &&
                w->shard_of[n] == call->shard) { /* as if written now */
                w->claimed[n] = 0;
                w->touched[n] = false;
                w->written[n] = w->now;
            }
    if (action->status == PLEX_OK && call->kind == TSPACE_SCATTER_CONFIRM)
        for (int n = 1; n <= TUPLES; n++)
            if (w->claimed[n] == call->taker + 1 && n == taker->found)
                w->owner[n] = call->taker + 1;
    if (call->kind == TSPACE_SCATTER_WAIT)
        taker->waits[call->shard] = -1;
    if (call->kind != TSPACE_SCATTER_RELEASE)
        send(w, m);
}

static void
commit(struct world *w, uint32_t shard)
{
    struct tspace_action action;

    while (tspace_core_next(w->cores[shard], &action))
        if (action.kind == TSPACE_REPLY && action.call != NULL)
            answered(w, &action);
}

static void
look(struct world *w, const struct message *m, const struct tspace_op *op)
{
    const struct taker *taker = &w->takers[m->taker];
    const char *owner = (const char *)&taker->machine;
    struct tspace_read read = {
        .op = *op,
        .template = anything(),
        .max_results = 1,
        .take = taker->take,
    };

    if (m->kind == TSPACE_SCATTER_WAIT) {
        read.timeout_ms = taker->until > w->now ? taker->until - w->now : 1;
        if (taker->take && (w->unsafe & WITHOUT_CLAIMS) == 0)
            read.claim = (struct tspace_claim_of){
                {(const uint8_t *)&owner, sizeof owner}, 0, LEASE_MS};
    }
    tspace_core_read(w->cores[m->shard], now_of(w), &read);
    tspace_template_unref(read.template);
}

static void
at_shard(struct world *w, const struct message *m)
{
    struct tspace_op op = {.where = here};
    struct tspace_claim claim = {.verb = m->kind == TSPACE_SCATTER_CONFIRM
                                             ? TSPACE_CONFIRM
                                             : TSPACE_RELEASE};
    const char *owner = (const char *)&w->takers[m->taker].machine;

    if (m->kind == TSPACE_SCATTER_CANCEL) {
        if (m->call >= 0)
            tspace_core_cancel(w->cores[m->shard],
                               (void *)(uintptr_t)(m->call + 1));
        return;
    }
    if (w->n_calls == CALLS)
        abort();
    w->calls[w->n_calls] = (struct call){m->taker, m->shard, m->kind};
    if (m->kind == TSPACE_SCATTER_WAIT)
        w->takers[m->taker].waits[m->shard] = w->n_calls;
    op.call = (void *)(uintptr_t)++w->n_calls;
    if (m->kind <= TSPACE_SCATTER_WAIT) {
        look(w, m, &op);
    } else {
        claim.op = op;
        claim.claim.owner =
            (struct plex_bytes){(const uint8_t *)&owner, sizeof owner};
        tspace_core_claim(w->cores[m->shard], now_of(w), &claim);
    }
    commit(w, m->shard);
}

/* -- takers ---------------------------------------------------------------- */

static void
taker_run(struct world *w, int i)
{
    struct taker *taker = &w->takers[i];
    struct tspace_scatter_step step;

    while (!taker->dead && tspace_scatter_next(&taker->machine, &step)) {
        struct message m = {
            .taker = i, .shard = step.at, .kind = step.kind, .call = -1};

        if (step.kind == TSPACE_SCATTER_END) {
            taker->ended = true;
            if (step.status == PLEX_OK)
                taker->answer = taker->found;
            else
                taker->troubled = true;
            return;
        }
        w->waits += step.kind == TSPACE_SCATTER_WAIT;
        if (step.kind == TSPACE_SCATTER_CONFIRM &&
            (w->unsafe & (UNCONFIRMED | WITHOUT_CLAIMS)) != 0) {
            tspace_scatter_result(&taker->machine, step.at, PLEX_OK, 0, false);
            continue;
        }
        if (step.kind == TSPACE_SCATTER_CANCEL)
            m.call = taker->waits[step.at];
        send(w, m);
    }
}

static void
at_taker(struct world *w, const struct message *m)
{
    struct taker *taker = &w->takers[m->taker];

    if (taker->dead || taker->ended)
        return;
    if (m->n != 0 && taker->found == 0)
        taker->found = m->n;
    tspace_scatter_result(&taker->machine, m->shard, m->status,
                          m->n != 0 ? 1 : 0, false);
    taker_run(w, m->taker);
}

static void
taker_step(struct world *w, int i)
{
    struct taker *taker = &w->takers[i];
    struct tspace_scatter_plan plan = {
        .n = SHARDS, .want = 1, .take = taker->take};

    if (!taker->begun && w->now >= taker->begin) {
        taker->begun = true;
        taker->until = w->now + taker->wait_ms;
        plan.wait = taker->wait_ms > 0;
        for (uint32_t s = 0; s < SHARDS; s++)
            plan.shards[s] = (uint8_t)(s + 1);
        tspace_scatter_begin(&taker->machine, &plan);
        taker_run(w, i);
    }
    if (!taker->begun || taker->ended || taker->dead)
        return;
    if (faulty(w, 1)) {
        taker->dead = taker->troubled = true;
        w->deaths++;
        for (uint32_t s = 0; s < SHARDS; s++)
            if (taker->waits[s] >= 0)
                post(w,
                     (struct message){.taker = i,
                                      .shard = s,
                                      .call = taker->waits[s],
                                      .kind = TSPACE_SCATTER_CANCEL},
                     w->now + LOST_MS);
    } else if (faulty(w, 1)) { /* its caller is gone */
        taker->troubled = true;
        tspace_scatter_abandon(&taker->machine);
        taker_run(w, i);
    }
}

/* -- a run ----------------------------------------------------------------- */

static void
write_one(struct world *w)
{
    const struct tspace_value value = {.type = TSPACE_INTEGER,
                                       .integer = ++w->n_written};
    const uint32_t shard = (uint32_t)pick(w, SHARDS);
    struct plex_buf packed = {.max = 4096};
    struct plex_err err;

    if (tspace_pack(&value, 1, &packed, &err) != PLEX_OK)
        abort();
    const struct plex_bytes bytes = {packed.data, packed.len};
    const struct tspace_write write = {
        .op = {.where = here}, .tuples = &bytes, .n_tuples = 1};

    w->written[w->n_written] = w->now;
    w->shard_of[w->n_written] = shard;
    tspace_core_write(w->cores[shard], now_of(w), &write);
    plex_buf_free(&packed);
    commit(w, shard);
}

static void
world_step(struct world *w)
{
    w->now++;
    if (pick(w, 60) == 0) /* several, so that several shards have one */
        for (uint64_t n = 1 + pick(w, 3); n > 0 && w->n_written < TUPLES; n--)
            write_one(w);
    if (faulty(w, 8)) {
        w->cut_until[pick(w, TAKERS)][pick(w, SHARDS)] =
            w->now + 5 + pick(w, 60);
        w->cuts++;
    }
    for (uint32_t s = 0; s < SHARDS; s++) {
        tspace_core_tick(w->cores[s], now_of(w));
        commit(w, s);
    }
    for (int i = 0; i < w->n_messages; i++) {
        const struct message m = w->messages[i];

        if (m.at > w->now)
            continue;
        memmove(&w->messages[i], &w->messages[i + 1],
                (size_t)(--w->n_messages - i) * sizeof m);
        i--;
        if (m.back)
            at_taker(w, &m);
        else
            at_shard(w, &m);
    }
    for (int i = 0; i < TAKERS; i++)
        taker_step(w, i);
}

static void
rest_look(struct world *w, uint32_t shard)
{
    struct tspace_read read = {
        .op = {.where = here}, .template = anything(), .max_results = TUPLES};
    struct tspace_action action;

    tspace_core_read(w->cores[shard], now_of(w), &read);
    tspace_template_unref(read.template);
    while (tspace_core_next(w->cores[shard], &action))
        for (uint32_t i = 0;
             action.kind == TSPACE_REPLY && i < action.answer->n; i++)
            w->left[number_of(action.answer, i)] = true;
}

static const char *
wrong_with(const struct world *w)
{
    int given[TUPLES + 1] = {0};

    for (int i = 0; i < TAKERS; i++) {
        const struct taker *taker = &w->takers[i];

        if (!taker->ended && !taker->dead)
            return "a taker was never answered";
        if (taker->take)
            given[taker->answer]++;
        for (int n = 1; n <= TUPLES && taker->answer == 0; n++)
            if (!taker->troubled && w->left[n] && !w->touched[n] &&
                w->written[n] + SLACK_MS < taker->until)
                return "a taker found nothing where a tuple lay";
    }
    for (int n = 1; n <= TUPLES; n++) {
        const struct taker *owner =
            w->owner[n] == 0 ? NULL : &w->takers[w->owner[n] - 1];

        if (given[n] > 1)
            return "a tuple was given to two";
        if (given[n] > 0 && w->left[n])
            return "a tuple that was given is still there";
        if (given[n] == 0 && !w->left[n] &&
            (owner == NULL || (!owner->troubled && owner->answer != n)))
            return "a tuple is lost";
    }
    return NULL;
}

static const char *
run(struct world *w, uint64_t seed, unsigned unsafe)
{
    const char *wrong;

    *w = (struct world){.random = seed * 0x9e3779b97f4a7c15ull + 1,
                        .unsafe = unsafe};
    for (uint32_t s = 0; s < SHARDS; s++)
        w->cores[s] = tspace_core_create(&(struct tspace_config){
            .epoch = 1,
            .shard = s + 1,
            .hash_seed = seed,
            .transient = true,
            .requests_max = 1000,
            .unsafe = unsafe & 0xffff,
        });
    for (int i = 0; i < TAKERS; i++) {
        struct taker *taker = &w->takers[i];

        taker->begin = pick(w, 120);
        taker->take = pick(w, 5) > 0;
        taker->wait_ms = pick(w, 4) > 0 ? 20 + pick(w, 200) : 0;
        for (int s = 0; s < SHARDS; s++)
            taker->waits[s] = -1;
    }
    while (w->now < END_MS)
        world_step(w);
    for (uint32_t s = 0; s < SHARDS; s++)
        rest_look(w, s);
    wrong = wrong_with(w);
    for (uint32_t s = 0; s < SHARDS; s++)
        tspace_core_free(w->cores[s]);
    return wrong;
}

static int
seeds(struct world *w, unsigned long long from, unsigned long long to)
{
    unsigned cuts = 0, deaths = 0, claims = 0, waits = 0;

    for (unsigned long long seed = from; seed <= to; seed++) {
        const char *wrong = run(w, seed, 0);

        cuts += w->cuts;
        deaths += w->deaths;
        claims += w->claims;
        waits += w->waits;
        if (wrong == NULL)
            continue;
        printf("VIOLATION: %s (--seeds %llu..%llu)\n", wrong, seed, seed);
        return EXIT_FAILURE;
    }
    printf("%llu runs: %u links cut, %u takers died, %u waits, %u claims\n",
           to - from + 1, cuts, deaths, waits, claims);
    return EXIT_SUCCESS;
}

/* Each seeded bug has to be found within so many seeds. */
static int
bite(struct world *w)
{
    static const struct {
        const char *name;
        unsigned unsafe;
    } bugs[] = {
        {"a wait takes without a claim", WITHOUT_CLAIMS},
        {"a claim is not confirmed", UNCONFIRMED},
        {"a claim that ended is lost", TSPACE_UNSAFE_CLAIM_LOST},
    };
    int status = EXIT_SUCCESS;

    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        unsigned long long seed = 1;

        while (seed <= BITE_SEEDS && run(w, seed, bugs[i].unsafe) == NULL)
            seed++;
        printf(seed <= BITE_SEEDS ? "%s: found with seed %llu\n"
                                  : "FAIL %s: not found in %llu seeds\n",
               bugs[i].name, seed);
        if (seed > BITE_SEEDS)
            status = EXIT_FAILURE;
    }
    return status;
}

int
main(int argc, char **argv)
{
    struct world *w = plex_calloc(1, sizeof *w);
    unsigned long long from = 1, to = 300;
    int status = 100;

    if (argc == 2 && strcmp(argv[1], "--bite") == 0)
        status = bite(w);
    else if (argc == 1 || (argc == 3 && strcmp(argv[1], "--seeds") == 0 &&
                           sscanf(argv[2], "%llu..%llu", &from, &to) == 2))
        status = seeds(w, from, to);
    else
        (void)fprintf(
            stderr,
            "usage: plex-sim-tuplespace-shards [--seeds A..B | --bite]\n");
    free(w);
    return status;
}
