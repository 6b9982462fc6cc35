/* plex-placement: the table's core, and a disk with the leader's lease. */
#include "services/placement/core.h"
#include "tests/sim/sim.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LEADER_MS = 3000, RENEW_MS = 1000 };

struct disk {
    struct place_table *table; /* of the one pool; NULL at first */
    uint64_t leader_epoch;
};
struct placement {
    struct place_core *core;
    struct place_action saving; /* its table is a reference */
    bool is_saving;
};

static void pump(struct sim *sim, struct sim_node *node);

static enum plex_status
disk_save(struct disk *disk, const struct place_action *save)
{
    const uint64_t version = disk->table != NULL ? disk->table->version : 0;

    if (save->leader_epoch != disk->leader_epoch)
        return PLEX_FENCED;
    if (version != save->expect_version)
        return PLEX_CONFLICT;
    place_table_unref(disk->table);
    disk->table = place_table_ref(save->table);
    return PLEX_OK;
}

static void
on_saved(struct sim *sim, struct sim_node *node, void *arg)
{
    struct placement *placement = node->state;
    const struct place_action save = placement->saving;
    enum plex_status status = PLEX_UNAVAILABLE;

    (void)arg;
    placement->is_saving = false;
    if (sim->faults_over || !sim_chance(sim, 1))
        status = disk_save(node->disk, &save);
    place_core_saved(placement->core, save.table->pool, save.table->version,
                     status, sim_mono(sim, node), sim_wall(sim, node));
    place_table_unref(save.table);
    pump(sim, node);
}

static void
answer(struct sim *sim, const struct place_action *action)
{
    const uint64_t call = (uint64_t)(uintptr_t)action->call;
    struct sim_msg *reply;

    if (action->kind == PLACE_ACTION_FAIL) {
        sim_refuse(sim, call, action->status, action->text);
        return;
    }
    reply = sim_msg_make();
    reply->lease_ms = action->lease_ms;
    reply->version = action->version;
    if (action->kind == PLACE_ACTION_TABLE && action->table != NULL)
        reply->table = place_table_ref(action->table);
    sim_answer(sim, call, reply);
}

static void
pump(struct sim *sim, struct sim_node *node)
{
    struct placement *placement = node->state;
    struct place_action action;

    while (place_core_next(placement->core, &action)) {
        if (action.kind == PLACE_ACTION_SAVE) {
            placement->saving = action;
            placement->is_saving = true;
            sim_after(sim, node, sim_between(sim, 100 * SIM_US, 4 * SIM_MS),
                      on_saved, NULL, NULL);
            continue; /* it keeps the reference */
        }
        if (action.kind == PLACE_ACTION_NOTE)
            sim_trace(sim, -1, node, "%s", action.text);
        else
            answer(sim, &action);
        place_table_unref(action.table);
    }
    sim_wake_at(sim, node, place_core_wake(placement->core));
}

static void
wake(struct sim *sim, struct sim_node *node)
{
    struct placement *placement = node->state;

    place_core_tick(placement->core, sim_mono(sim, node), sim_wall(sim, node));
    pump(sim, node);
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct placement *placement = node->state;
    void *token = (void *)(uintptr_t)call->id;
    const uint64_t now = sim_mono(sim, node);

    if (call->method == SIM_HEARTBEAT)
        place_core_heartbeat(placement->core, token, &call->msg->heartbeat, now,
                             sim_wall(sim, node));
    else if (call->method == SIM_TABLE)
        place_core_watch(placement->core, token, "default", call->msg->version,
                         2000, now);
    else
        place_core_leave(placement->core, token, call->msg->heartbeat.node_id,
                         call->msg->heartbeat.incarnation, now,
                         sim_wall(sim, node));
    pump(sim, node);
}

static void
lead(struct sim *sim, struct sim_node *node)
{
    struct placement *placement = node->state;
    struct disk *disk = node->disk;
    const uint64_t now = sim_mono(sim, node);

    if (placement->is_saving)
        return; /* only its outcome says what is saved */
    if (place_core_leads(placement->core)) {
        place_core_renewed(placement->core, now + LEADER_MS * SIM_MS);
        return;
    }
    disk->leader_epoch++;
    place_core_lead(placement->core, disk->leader_epoch,
                    now + LEADER_MS * SIM_MS, &disk->table,
                    disk->table != NULL ? 1 : 0, now);
    sim_trace(sim, -1, node, "leads with epoch %" PRIu64, disk->leader_epoch);
}

static void
on_renew(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)arg;
    /* A stopped process learns first that its time is over. */
    place_core_tick(((struct placement *)node->state)->core,
                    sim_mono(sim, node), sim_wall(sim, node));
    lead(sim, node);
    pump(sim, node);
    sim_after(sim, node, RENEW_MS * SIM_MS, on_renew, NULL, NULL);
}

static void
start(struct sim *sim, struct sim_node *node)
{
    struct placement *placement = plex_calloc(1, sizeof *placement);

    if (node->disk == NULL)
        node->disk = plex_calloc(1, sizeof(struct disk));
    node->state = placement;
    placement->core = place_core_create(&place_core_defaults);
    lead(sim, node);
    pump(sim, node);
    sim_after(sim, node, RENEW_MS * SIM_MS, on_renew, NULL, NULL);
}

static void
stop(struct sim *sim, struct sim_node *node)
{
    struct placement *placement = node->state;

    /* The write under way is complete or lost. */
    if (placement->is_saving && sim_chance(sim, 50))
        (void)disk_save(node->disk, &placement->saving);
    if (placement->is_saving)
        place_table_unref(placement->saving.table);
    place_core_free(placement->core);
    free(placement);
}

void
sim_placement_disk_free(struct sim_node *node)
{
    struct disk *disk = node->disk;

    if (disk != NULL)
        place_table_unref(disk->table);
    free(disk);
    node->disk = NULL;
}

const struct sim_kind sim_kind_placement = {
    .name = "placement",
    .start = start,
    .stop = stop,
    .serve = serve,
    .wake = wake,
};
