/* One seed: build the cluster, let it run, and see it come to rest. */
#include "tests/sim/asked.h"
#include "tests/sim/check.h"
#include "tests/sim/engine.h"
#include "tests/sim/flow.h"
#include "tests/sim/reminder.h"
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 3, GATEWAYS = 2, REST_MS = 60000, QUIET_MS = 3000 };

static void
cluster_make(struct sim *sim)
{
    sim->world = sim_node_add(sim, &sim_kind_world, 0);
    sim->registry = sim_node_add(sim, &sim_kind_registry, 1);
    sim->placement = sim_node_add(sim, &sim_kind_placement, 1);
    sim->journal = sim_node_add(sim, &sim_kind_journal, 1);
    sim->n_workers = WORKERS;
    sim->n_gateways = GATEWAYS;
    for (int i = 0; i < WORKERS; i++)
        sim->workers[i] = sim_node_add(sim, &sim_kind_worker, i + 1);
    for (int i = 0; i < GATEWAYS; i++)
        sim->gateways[i] = sim_node_add(sim, &sim_kind_gateway, i + 1);
    for (int i = 0; i < sim->n_nodes; i++)
        sim_start(sim, &sim->nodes[i]);
    sim_deploy(sim, 0);
}

/* After clients are done and messages between actors have arrived, nothing
 * more may happen to the actors. */
static bool
at_rest(struct sim *sim, uint64_t *quiet_since)
{
    if (!sim->faults_over || !sim_clients_done(sim) || !sim_check_quiet(sim) ||
        !sim_reminders_quiet(sim))
        return false;
    if (*quiet_since == 0)
        *quiet_since = sim->now;
    return sim->now - *quiet_since > QUIET_MS * SIM_MS;
}

static void
world_run(struct sim *sim)
{
    const uint64_t most = (8000 + REST_MS) * SIM_MS;
    uint64_t quiet_since = 0;

    while (!sim->failed && !at_rest(sim, &quiet_since)) {
        if (sim->config.steps_max != 0 && sim->steps >= sim->config.steps_max)
            return;
        if (sim->now > most || !sim_step(sim)) {
            sim_check_end(sim); /* they may know more */
            sim_reminders_end(sim);
            sim_fail(sim, -1,
                     "stuck: a client still waits %d s after the last fault",
                     REST_MS / 1000);
            return;
        }
    }
    if (sim->failed)
        return;
    sim_check_end(sim);
    sim_check_store(sim, sim->journal->disk);
}

static void
world_free(struct sim *sim)
{
    for (int i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].up)
            sim->nodes[i].kind->stop(sim, &sim->nodes[i]);
    sim_journal_disk_free(sim->journal);
    sim_placement_disk_free(sim->placement);
    sim_registry_disk_free(sim->registry);
    sim_engine_fini(sim); /* drops events, which are known to the net */
    sim_net_fini(sim);
    sim_clients_free(sim);
    sim_check_fini(sim);
    sim_flow_check_free(sim->flow_check);
    sim_asked_free(sim->asked);
    sim_reminders_free(sim->reminders);
}

bool
sim_run(const struct sim_config *config, struct sim_outcome *outcome)
{
    struct sim sim = {.config = *config, .failure_key = -1};
    struct sim_check_counts counts;

    sim_random_seed(&sim, config->seed);
    sim_entropy_seed(config->seed);
    sim_check_init(&sim);
    sim.flow_check = sim_flow_check_create();
    sim.asked = sim_asked_create();
    sim.reminders = sim_reminders_create();
    sim_net_init(&sim);
    cluster_make(&sim);
    sim_clients_start(&sim);
    if (config->script)
        sim.faults_over = true;
    else
        sim_faults_start(&sim);
    world_run(&sim);
    counts = sim_check_counts(&sim);
    *outcome = (struct sim_outcome){
        .ok = !sim.failed,
        .steps = sim.steps,
        .ops = counts.ops,
        .acked = counts.acked,
        .commits = counts.commits,
        .boundaries = sim.boundaries,
        .digest = sim.random[0] ^ sim.random[3] ^ sim.steps ^ sim.now,
    };
    memcpy(outcome->failure, sim.failure, sizeof outcome->failure);
    if (sim.failed && config->trace && !config->trace_print)
        sim_print_trace(&sim, sim.failure_key, 120);
    world_free(&sim);
    return outcome->ok;
}
