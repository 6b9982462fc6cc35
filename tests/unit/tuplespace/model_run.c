/* Random requests to a core and to the model; every answer must be the same.
 */
#include "tests/unit/tuplespace/model_run.h"

#include "tests/unit/tuplespace/model.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 160, SPACES = 2 };

struct run {
    struct drive drive;
    struct model model;
    uint64_t random;
    unsigned call; /* of this step */
    unsigned open[MODEL_WAITERS + 1];
    int n_open;
    int step;
    char what[160]; /* the first difference */
};

static const char *const spaces[SPACES] = {"jobs", "other"};
static const char *const claimer = "worker";

static uint64_t
pick(struct run *run, uint64_t below)
{
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (run->random * 0x2545f4914f6cdd1dull >> 33) % below;
}

static bool
chance(struct run *run, unsigned percent)
{
    return pick(run, 100) < percent;
}

/* -- random tuples and templates ------------------------------------------- */

static struct plex_bytes
some_tuple(struct run *run)
{
    const char *name = pick(run, 2) ? "a" : "b";
    const int64_t number = (int64_t)pick(run, 5);

    switch (pick(run, 5)) {
    case 0:
        return tuple("i", number);
    case 1:
        return tuple("sf", name, (double)number);
    case 2:
        return tuple("sii", name, number, (int64_t)pick(run, 3));
    default:
        return tuple("si", name, number);
    }
}

static struct tspace_template *
some_template(struct run *run)
{
    const char *name = pick(run, 2) ? "a" : "b";
    const int64_t number = (int64_t)pick(run, 5);

    switch (pick(run, 14)) {
    case 12:
        return template("sm", name, number, (int64_t)pick(run, 5));
    case 13:
        return template("?m", number, number);
    case 0:
        return template("?");
    case 1:
        return template("I");
    case 2:
        return template("??");
    case 3:
        return template("s>", name, number);
    case 4:
        return template("?<", number);
    case 5:
        return template("svv", name, 1, 1);
    case 6:
        return template("p??", name);
    case 7:
        return template("sF", name);
    case 8:
        return template("s?", name);
    case 9:
        return template("?i", number);
    default:
        return template("si", name, number);
    }
}

static uint64_t
some_tx(struct run *run, unsigned percent)
{
    if (!chance(run, percent))
        return 0;
    if (chance(run, 5) && run->model.n_ended > 0)
        return run->model.ended[pick(run, (uint64_t)run->model.n_ended)].id;
    return run->model.txs[pick(run, MODEL_TXS)].id;
}

static struct tspace_op
some_op(struct run *run, int space, uint64_t tx)
{
    struct tspace_op out = op(run->call);

    out.where.space = spaces[space];
    out.tx = tx;
    return out;
}

/* -- steps ----------------------------------------------------------------- */

static void
do_write(struct run *run)
{
    const int space = (int)pick(run, SPACES);
    struct plex_bytes packed[3];
    struct tspace_write write = {
        .op = some_op(run, space, some_tx(run, 30)),
        .tuples = packed,
        .n_tuples = 1 + (uint32_t)pick(run, 3),
        .ttl_ms = chance(run, 20) ? 1 + pick(run, 200) : 0,
    };

    for (uint32_t i = 0; i < write.n_tuples; i++)
        packed[i] = some_tuple(run);
    tspace_core_write(run->drive.core, run->drive.now, &write);
    if (model_tx_open(&run->model, run->call, write.op.tx))
        model_write(&run->model, run->call, space, write.op.tx, packed,
                    write.n_tuples, write.ttl_ms);
}

/* Claims end at different times, or else their order would be chance. */
static uint64_t
some_lease(struct run *run)
{
    uint64_t lease_ms = 20 + pick(run, 300);

    for (int i = 0; i < MODEL_CLAIMS; i++)
        if (run->model.claims[i].open &&
            run->model.claims[i].expires == run->model.now.wall_ms + lease_ms) {
            lease_ms++;
            i = -1;
        }
    return lease_ms;
}

static void
do_read(struct run *run)
{
    const bool waits = run->model.n_waiters < MODEL_WAITERS / 2;
    struct mread want = {
        .call = run->call,
        .space = (int)pick(run, SPACES),
        .template = some_template(run),
        .tx = some_tx(run, 40),
        .timeout_ms = waits && chance(run, 30) ? 10 + pick(run, 300) : 0,
        .max = chance(run, 20) ? 1 + (uint32_t)pick(run, 5) : 1,
        .take = chance(run, 60),
        .order = chance(run, 30) ? (enum tspace_order)pick(run, 5) : 0,
    };
    struct tspace_read read;

    want.order_field =
        (uint32_t)pick(run, tspace_template_fields(want.template));
    if (want.take && want.tx == 0 && chance(run, 20)) {
        want.claim = 1 + (int)pick(run, MODEL_CLAIMS);
        want.claim_ms = some_lease(run);
    }
    if (want.order == TSPACE_RANDOM)
        want.timeout_ms = 0;
    read = (struct tspace_read){
        .op = some_op(run, want.space, want.tx),
        .template = want.template,
        .timeout_ms = want.timeout_ms,
        .max_results = want.max,
        .take = want.take,
        .order = want.order,
        .order_field = want.order_field,
        .random = run->random,
    };
    if (want.claim != 0)
        read.claim = (struct tspace_claim_of){
            {(const uint8_t *)claimer, strlen(claimer)},
            (uint64_t)want.claim,
            want.claim_ms};
    tspace_core_read(run->drive.core, run->drive.now, &read);
    drive_drain(&run->drive);
    if (!model_tx_open(&run->model, run->call, want.tx)) {
        /* answered */
    } else if (want.order != TSPACE_RANDOM) {
        model_read(&run->model, &want);
    } else if (!model_random(&run->model, &want,
                             &run->drive.replies[run->call])) {
        snprintf(run->what, sizeof run->what,
                 "step %d: a random choice that is not possible", run->step);
    }
    tspace_template_unref(want.template);
}

static void
do_count(struct run *run)
{
    const int space = (int)pick(run, SPACES);
    struct tspace_count count = {
        .op = some_op(run, space, some_tx(run, 30)),
        .template = chance(run, 30) ? template("") : some_template(run)};

    tspace_core_count(run->drive.core, run->drive.now, &count);
    if (model_tx_open(&run->model, run->call, count.op.tx))
        model_count(&run->model, run->call, space, count.op.tx, count.template);
    tspace_template_unref(count.template);
}

static void
do_swap(struct run *run)
{
    const int space = (int)pick(run, SPACES);
    struct tspace_swap swap = {.op = some_op(run, space, 0),
                               .template = some_template(run),
                               .packed = some_tuple(run)};

    tspace_core_swap(run->drive.core, run->drive.now, &swap);
    model_swap(&run->model, run->call, space, swap.template, swap.packed);
    tspace_template_unref(swap.template);
}

static void
do_collect(struct run *run)
{
    const int space = (int)pick(run, SPACES);
    const bool clear = chance(run, 30);
    struct tspace_collect collect = {
        .op = some_op(run, space, some_tx(run, 30)),
        .template = chance(run, 10) ? template("") : some_template(run),
        .to = clear ? "" : spaces[1 - space],
        .copy = !clear && chance(run, 50),
    };

    tspace_core_collect(run->drive.core, run->drive.now, &collect);
    if (model_tx_open(&run->model, run->call, collect.op.tx))
        model_collect(&run->model, run->call, space, clear ? -1 : 1 - space,
                      collect.op.tx, collect.template, collect.copy);
    tspace_template_unref(collect.template);
}

static void
do_lease(struct run *run)
{
    const int space = (int)pick(run, SPACES);
    struct tspace_lease lease = {.op = some_op(run, space, 0), .id = 1};

    if (run->model.n > 0)
        lease.id = run->model.tuples[pick(run, (uint64_t)run->model.n)]->id;
    lease.ttl_ms = pick(run, 200);
    lease.cancel = chance(run, 30);
    tspace_core_lease(run->drive.core, run->drive.now, &lease);
    model_lease(&run->model, run->call, space, lease.id, lease.ttl_ms,
                lease.cancel);
}

static void
do_tx(struct run *run)
{
    static const enum tspace_end ends[] = {TSPACE_COMMIT, TSPACE_COMMIT,
                                           TSPACE_ABORT, TSPACE_PREPARE};
    struct tspace_op request = some_op(run, 0, 0);
    const struct tspace_begin begins = {.op = request,
                                        .timeout_ms = 50 + pick(run, 400)};
    const enum tspace_end how = ends[pick(run, 4)];
    bool room = false;

    for (int i = 0; i < MODEL_TXS; i++)
        room = room || run->model.txs[i].id == 0;
    if (room && chance(run, 60)) {
        tspace_core_begin(run->drive.core, run->drive.now, &begins);
        model_begin(&run->model, run->call, begins.timeout_ms);
        return;
    }
    request.tx = some_tx(run, 100);
    if (request.tx == 0)
        request.tx = 12345;
    request.where.space = "";
    tspace_core_end(run->drive.core, run->drive.now, &request, how);
    model_end(&run->model, run->call, request.tx, how);
}

static void
do_claim(struct run *run)
{
    const int number = (int)pick(run, MODEL_CLAIMS);
    struct tspace_claim claim = {
        .op = some_op(run, 0, 0),
        .claim = {{(const uint8_t *)claimer, strlen(claimer)},
                  (uint64_t)number + 1,
                  some_lease(run)},
        .verb = (enum tspace_claim_verb)pick(run, 3),
    };

    tspace_core_claim(run->drive.core, run->drive.now, &claim);
    model_claim(&run->model, run->call, number, claim.verb,
                claim.claim.lease_ms);
}

static void
do_pass(struct run *run)
{
    const uint64_t ms = 1 + pick(run, 80);

    run->drive.now.mono_ns += ms * 1000000;
    run->drive.now.wall_ms += ms;
    run->model.now = run->drive.now;
    tspace_core_tick(run->drive.core, run->drive.now);
    model_tick(&run->model);
    run->drive.replies[run->call].done = true;
    run->model.expected[run->call].done = true;
}

static void
do_restart(struct run *run)
{
    drive_restart(&run->drive);
    model_restart(&run->model, run->drive.config.epoch);
    run->n_open = 0;
}

/* -- comparing ------------------------------------------------------------- */

static bool
same(const struct reply *a, const struct reply *b)
{
    if (a->done != b->done || a->status != b->status)
        return false;
    if (!a->done || a->status != PLEX_OK)
        return true;
    return a->n == b->n && a->number == b->number && a->cursor == b->cursor &&
           memcmp(a->ids, b->ids, a->n * sizeof a->ids[0]) == 0;
}

static void
compare(struct run *run)
{
    int kept = 0;

    for (int i = 0; i < run->n_open; i++) {
        const unsigned call = run->open[i];
        const struct reply *got = &run->drive.replies[call];
        const struct reply *want = &run->model.expected[call];

        if (run->what[0] == '\0' && !same(got, want))
            snprintf(run->what, sizeof run->what,
                     "step %d call %u: done %d status %d n %u number %llu "
                     "id %llx, not %d %d %u %llu %llx",
                     run->step, call, got->done, (int)got->status, got->n,
                     (unsigned long long)got->number,
                     (unsigned long long)got->ids[0], want->done,
                     (int)want->status, want->n,
                     (unsigned long long)want->number,
                     (unsigned long long)want->ids[0]);
        if (!want->done)
            run->open[kept++] = call;
    }
    run->n_open = kept;
}

static void
step(struct run *run)
{
    const uint64_t dice = pick(run, 100);

    run->call = (unsigned)run->step + 1;
    run->drive.now.mono_ns++; /* no two deadlines at once */
    run->model.now = run->drive.now;
    run->open[run->n_open++] = run->call;
    if (dice < 28)
        do_write(run);
    else if (dice < 60)
        do_read(run);
    else if (dice < 64)
        do_count(run);
    else if (dice < 68)
        do_swap(run);
    else if (dice < 71)
        do_collect(run);
    else if (dice < 74)
        do_lease(run);
    else if (dice < 84)
        do_tx(run);
    else if (dice < 89)
        do_claim(run);
    else if (dice < 99)
        do_pass(run);
    else
        do_restart(run);
    drive_drain(&run->drive);
    compare(run);
}

/* Many tuples, so that indexes are made and used. */
static void
fill(struct run *run)
{
    struct plex_bytes packed[1];
    struct tspace_write write = {.tuples = packed, .n_tuples = 1};

    for (int i = 0; i < 150; i++) {
        run->call = 0;
        run->drive.replies[0].done = false;
        write.op = some_op(run, 0, 0);
        packed[0] = some_tuple(run);
        tspace_core_write(run->drive.core, run->drive.now, &write);
        model_write(&run->model, 0, 0, 0, packed, 1, 0);
        drive_drain(&run->drive);
    }
}

bool
model_run(uint64_t seed, const struct drive_backend *backend, unsigned unsafe,
          char what[MODEL_WHAT])
{
    struct run *run = plex_calloc(1, sizeof *run);
    const struct tspace_config config = {.unsafe = unsafe};
    bool good;

    run->random = seed * 0x9e3779b97f4a7c15ull + 1;
    run->n_open = 0;
    run->what[0] = '\0';
    drive_open(&run->drive, &config);
    drive_keep(&run->drive, backend);
    model_init(&run->model, &run->drive.now, run->drive.config.epoch);
    if (chance(run, 25))
        fill(run);
    for (run->step = 0; run->step < STEPS && run->what[0] == '\0'; run->step++)
        step(run);
    good = run->what[0] == '\0';
    model_fini(&run->model);
    drive_close(&run->drive);
    snprintf(what, MODEL_WHAT, "%s", run->what);
    free(run);
    return good;
}
