#include "tests/sim/boundary.h"

#include <assert.h>
#include <inttypes.h>

enum { STOP_MS = 4000, CLOCK_MS = 1000 };

const char *
sim_strike_name(enum sim_strike_kind kind)
{
    static const char *const names[SIM_STRIKES] = {
        "crash",   "crash-peer", "stop",        "lose",
        "upgrade", "clock-back", "clock-ahead", "damage",
    };

    assert(kind < SIM_STRIKES);
    return names[kind];
}

static const char *
boundary_name(enum sim_boundary at)
{
    static const char *const names[] = {
        "sending", "arrival of", "write for",
        "written", "effect",     "carried out",
    };

    return names[at];
}

static bool
counts(enum sim_method method)
{
    return method >= SIM_APPEND && method <= SIM_REQUEST;
}

static void
on_clock(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)arg;
    sim_clock_set(sim, node, 0);
}

static void
dies(struct sim *sim, struct sim_node *node)
{
    if (node != NULL && node != sim->world && sim->dying == NULL)
        sim->dying = node;
}

/* Does what is at the boundary come about? */
static bool
strike(struct sim *sim, enum sim_strike_kind kind, struct sim_node *node,
       struct sim_node *peer)
{
    switch (kind) {
    case SIM_CRASH:
        dies(sim, node);
        break;
    case SIM_CRASH_PEER:
        dies(sim, peer);
        break;
    case SIM_STOP:
        if (node != sim->world)
            node->stopped_until = sim->now + STOP_MS * SIM_MS;
        break;
    case SIM_LOSE:
        if (peer == NULL)
            break;
        sim_net_break(sim, node, peer);
        return false;
    case SIM_UPGRADE:
        sim_deploy(sim, ++sim->version);
        break;
    case SIM_CLOCK_BACK:
    case SIM_CLOCK_AHEAD:
        sim_clock_set(sim, node, kind == SIM_CLOCK_BACK ? -120000 : 15000);
        sim_after(sim, node, CLOCK_MS * SIM_MS, on_clock, NULL, NULL);
        break;
    case SIM_DAMAGE:
        sim_journal_damage(sim, sim->journal);
        dies(sim, sim->journal);
        break;
    case SIM_STRIKES:
        break;
    }
    return true;
}

bool
sim_boundary(struct sim *sim, struct sim_node *node, struct sim_node *peer,
             enum sim_boundary at, enum sim_method method)
{
    bool passes = true;

    if (!sim->config.script || !counts(method))
        return true;
    if (sim->dying == node)
        return false;
    sim->boundaries++;
    for (int i = 0; i < SIM_STRIKES_MAX; i++) {
        const struct sim_strike *s = &sim->config.strikes[i];

        if (s->at != sim->boundaries)
            continue;
        sim_trace(sim, -1, node, "boundary %" PRIu64 ", %s %s%s%s: %s",
                  sim->boundaries, boundary_name(at), sim_method_name(method),
                  peer == NULL ? "" : ", other side ",
                  peer == NULL ? "" : peer->name, sim_strike_name(s->kind));
        passes = strike(sim, s->kind, node, peer) && passes;
    }
    return passes && sim->dying != node;
}

static void
on_back(struct sim *sim, struct sim_node *node, void *arg)
{
    struct sim_node *down = arg;

    (void)node;
    if (!down->up)
        sim_start(sim, down);
}

void
sim_boundary_after(struct sim *sim)
{
    struct sim_node *node = sim->dying;

    if (node == NULL)
        return;
    sim->dying = NULL;
    sim_crash(sim, node);
    /* Within its lease, or when others have taken over. */
    sim_after(sim, NULL,
              sim_chance(sim, 50) ? sim_between(sim, SIM_MS, 200 * SIM_MS)
                                  : sim_between(sim, 2 * SIM_S, 4 * SIM_S),
              on_back, node, NULL);
}
