/* What goes wrong, and when: each run has its own mixture. */
#include "tests/sim/boundary.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FIRST_MS = 800, LAST_MS = 8000 };

enum fault {
    CRASH_WORKER,
    CRASH_JOURNAL,
    CRASH_PLACEMENT,
    CRASH_REGISTRY,
    CRASH_GATEWAY,
    STOP_WORKER,
    STOP_OTHER,
    BREAK,
    PARTITION,
    ISOLATE,
    CLOCK,
    DRAIN,
    DEPLOY,
    DAMAGE,
    SLOW_DISK,
    N_FAULTS,
};
struct plan {
    unsigned weights[N_FAULTS];
    unsigned sum;
    uint64_t pause_ms; /* between faults, at most */
};

static void
on_start(struct sim *sim, struct sim_node *node, void *arg)
{
    struct sim_node *down = arg;

    (void)node;
    if (!down->up)
        sim_start(sim, down);
}

static void
crash(struct sim *sim, struct sim_node *node, uint64_t most_ms)
{
    sim_crash(sim, node);
    sim_after(sim, NULL, sim_between(sim, SIM_MS, most_ms * SIM_MS), on_start,
              node, NULL);
}

static struct sim_node *
any_worker(struct sim *sim)
{
    return sim->workers[sim_random(sim) % (uint64_t)sim->n_workers];
}

static struct sim_node *
any_node(struct sim *sim)
{
    return &sim->nodes[sim_random(sim) % (uint64_t)sim->n_nodes];
}

static void
halt(struct sim *sim, struct sim_node *node, uint64_t most_ms)
{
    const uint64_t for_ns = sim_between(sim, 10 * SIM_MS, most_ms * SIM_MS);

    if (!node->up || node == sim->world)
        return;
    sim_trace(sim, -1, node, "is stopped for %" PRIu64 " ms", for_ns / SIM_MS);
    if (sim->now + for_ns > node->stopped_until)
        node->stopped_until = sim->now + for_ns;
}

static void
partition(struct sim *sim, struct sim_node *a, struct sim_node *b)
{
    const uint64_t for_ns = sim_between(sim, 20 * SIM_MS, 3 * SIM_S);
    const bool breaks = sim_chance(sim, 50);

    if (a == b)
        return;
    sim_trace(sim, -1, a, "does not reach %s for %" PRIu64 " ms%s", b->name,
              for_ns / SIM_MS, breaks ? ", connection lost" : "");
    sim_net_block(sim, a, b, sim->now + for_ns);
    if (breaks)
        sim_net_break(sim, a, b);
}

static void
isolate(struct sim *sim, struct sim_node *node)
{
    const uint64_t until = sim->now + sim_between(sim, 50 * SIM_MS, 4 * SIM_S);
    const bool breaks = sim_chance(sim, 50);

    if (node == sim->world)
        return;
    sim_trace(sim, -1, node, "is cut off for %" PRIu64 " ms%s",
              (until - sim->now) / SIM_MS, breaks ? ", connections lost" : "");
    for (int i = 0; i < sim->n_nodes; i++) {
        if (&sim->nodes[i] == node)
            continue;
        sim_net_block(sim, node, &sim->nodes[i], until);
        if (breaks)
            sim_net_break(sim, node, &sim->nodes[i]);
    }
}

void
sim_clock_set(struct sim *sim, struct sim_node *node, int64_t offset_ms)
{
    const uint64_t wall_ms = sim_wall(sim, node);

    /* What was due before an earlier jump may still be on its way. */
    if (wall_ms > node->wall_before_ms)
        node->wall_before_ms = wall_ms;
    node->wall_offset_ms = offset_ms;
    sim_trace(sim, -1, node, "has a wall clock %" PRId64 " ms off", offset_ms);
}

static void
clock_jump(struct sim *sim, struct sim_node *node)
{
    /* Not far ahead: what is set by then is due that much later. */
    sim_clock_set(sim, node, (int64_t)sim_between(sim, 0, 140000) - 120000);
}

static void
strike(struct sim *sim, enum fault fault)
{
    struct sim_node *a = any_node(sim), *b = any_node(sim);

    switch (fault) {
    case CRASH_WORKER:
        crash(sim, any_worker(sim), 3000);
        break;
    case CRASH_JOURNAL:
        crash(sim, sim->journal, 1500);
        break;
    case CRASH_PLACEMENT:
        crash(sim, sim->placement, 2500);
        break;
    case CRASH_REGISTRY:
        crash(sim, sim->registry, 2500);
        break;
    case CRASH_GATEWAY:
        crash(sim, sim->gateways[sim_random(sim) % 2], 1000);
        break;
    case STOP_WORKER:
        halt(sim, any_worker(sim), 4000);
        break;
    case STOP_OTHER:
        halt(sim, a, 2500);
        break;
    case BREAK:
        if (a != b) {
            sim_trace(sim, -1, a, "loses its connection to %s", b->name);
            sim_net_break(sim, a, b);
        }
        break;
    case PARTITION:
        partition(sim, a, b);
        break;
    case ISOLATE:
        isolate(sim, sim_chance(sim, 60) ? any_worker(sim) : a);
        break;
    case CLOCK:
        clock_jump(sim, a);
        break;
    case DRAIN:
        a = any_worker(sim);
        if (a->up)
            sim_worker_drain(sim, a);
        break;
    case DEPLOY:
        sim_deploy(sim, ++sim->version);
        break;
    case DAMAGE:
        sim_journal_damage(sim, sim->journal);
        crash(sim, sim->journal, 1500);
        break;
    case SLOW_DISK:
        sim->disk_slow_until = sim->now + sim_between(sim, SIM_MS, 4 * SIM_S);
        sim_trace(sim, -1, sim->journal, "has a slow disk");
        break;
    case N_FAULTS:
        break;
    }
}

/* Everything works again; what is down comes back. */
static void
heal(struct sim *sim)
{
    sim_trace(sim, -1, NULL, "faults are over");
    sim->faults_over = true;
    for (int i = 0; i < sim->n_nodes; i++) {
        sim_clock_set(sim, &sim->nodes[i], 0);
        if (!sim->nodes[i].up)
            sim_start(sim, &sim->nodes[i]);
    }
}

static void
on_fault(struct sim *sim, struct sim_node *node, void *arg)
{
    struct plan *plan = arg;
    uint64_t at = sim_random(sim) % plan->sum;
    int fault = 0;

    (void)node;
    if (sim->now > LAST_MS * SIM_MS) {
        heal(sim);
        free(plan);
        return;
    }
    while (at >= plan->weights[fault])
        at -= plan->weights[fault++];
    strike(sim, (enum fault)fault);
    sim_after(sim, NULL, sim_between(sim, SIM_MS, plan->pause_ms * SIM_MS),
              on_fault, plan, free);
}

void
sim_faults_start(struct sim *sim)
{
    static const unsigned usual[N_FAULTS] = {
        [CRASH_WORKER] = 12,  [CRASH_JOURNAL] = 8, [CRASH_PLACEMENT] = 4,
        [CRASH_REGISTRY] = 3, [CRASH_GATEWAY] = 5, [STOP_WORKER] = 12,
        [STOP_OTHER] = 6,     [BREAK] = 12,        [PARTITION] = 10,
        [ISOLATE] = 6,        [CLOCK] = 4,         [DRAIN] = 4,
        [DEPLOY] = 2,         [DAMAGE] = 2,        [SLOW_DISK] = 3,
    };
    struct plan *plan = plex_calloc(1, sizeof *plan);

    for (int i = 0; i < N_FAULTS; i++) {
        const uint64_t kind = sim_random(sim) % 4;

        /* Some runs see none of a kind, some see a lot. */
        plan->weights[i] = usual[i] * (kind == 0 ? 0 : kind == 3 ? 3 : 1);
        plan->sum += plan->weights[i];
    }
    plan->weights[BREAK]++;
    plan->sum++;
    plan->pause_ms = sim_between(sim, 150, 1500);
    sim_after(sim, NULL, FIRST_MS * SIM_MS, on_fault, plan, free);
}
