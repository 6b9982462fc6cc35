#include "tests/sim/visit.h"

#include "common/mem.h"
#include "tests/sim/reminder.h"
#include "tests/sim/watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Messages that are handled in a row: the RUN's and what went along. */
struct visit {
    struct sim_visitor visitor;
    struct work_action run;
    struct work_ahead ahead[WORK_AHEAD_MAX];
    struct work_outcome outcomes[WORK_AHEAD_MAX + 1];
    struct work_output tells[WORK_AHEAD_MAX + 1];
    struct plex_buf packed[WORK_AHEAD_MAX + 1];
    uint8_t *states[WORK_AHEAD_MAX + 1];
    size_t n; /* handled */
};

static void
visit_free(void *arg)
{
    struct visit *visit = arg;

    for (size_t i = 0; i < visit->n; i++) {
        plex_buf_free(&visit->packed[i]);
        free(visit->states[i]);
    }
    free(visit);
}

static void
reply_put(struct visit *visit, size_t at, const struct sim_count *count)
{
    const struct work_reply reply = {
        .http_status = 200,
        .content_type = "",
        .error = "",
        .payload = {(const uint8_t *)count, sizeof *count}};
    struct plex_buf *packed = &visit->packed[at];
    struct plex_err err = {0};
    enum plex_status status;

    *packed = (struct plex_buf){.max = 4096};
    status = work_reply_pack(&reply, packed, &err);
    assert(status == PLEX_OK);
    (void)status;
    visit->outcomes[at].reply = (struct plex_bytes){packed->data, packed->len};
}

static void
tell(struct visit *visit, size_t at, const struct work_message *message,
     uint32_t number)
{
    const struct plex_actor_id *actor = visit->run.run.actor;
    struct work_output *out = &visit->tells[at];

    *out = (struct work_output){.kind = WORK_OUT_CAST,
                                .type = "sink",
                                .key = actor->key,
                                .payload = message->payload};
    if (visit->visitor.behaviour != SIM_RELAY &&
        !(sim_reminder_is(sim_key_of(actor)) &&
          sim_reminder_output(number, out)))
        return;
    visit->outcomes[at].outputs = out;
    visit->outcomes[at].n_outputs = 1;
}

/* The state is the list of the numbers of what was applied. */
static void
list_turn(struct sim *sim, struct sim_node *node, struct visit *visit,
          const struct work_message *message)
{
    const struct work_action *run = &visit->run;
    const int key = sim_key_of(run->run.actor);
    const size_t old = run->run.state.len, at = visit->n++;
    struct work_outcome *outcome = &visit->outcomes[at];
    struct sim_payload payload;
    struct sim_count count = {0};

    if (message != NULL && message->kind == WORK_TIMER) {
        sim_trace(sim, key, node, "runs timer %s", message->timer);
        sim_reminder_came(sim, node, key, message);
        return;
    }
    assert(message != NULL && message->payload.len == sizeof payload);
    memcpy(&payload, message->payload.data, sizeof payload);
    visit->states[at] = plex_calloc(1, old + sizeof(uint32_t));
    if (old > 0)
        memcpy(visit->states[at], run->run.state.data, old);
    count.count = (uint32_t)(old / sizeof(uint32_t));
    count.number = payload.number;
    if (payload.what == SIM_INCREMENT) {
        count.count++;
        memcpy(visit->states[at] + old, &payload.number, sizeof payload.number);
        outcome->state =
            (struct plex_bytes){visit->states[at], old + sizeof(uint32_t)};
        outcome->state_changed = true;
        tell(visit, at, message, payload.number);
    }
    reply_put(visit, at, &count);
    sim_trace(sim, key, node,
              "runs %s %" PRIu32 " at %" PRIu32 " (epoch %" PRIu64 ")",
              payload.what == SIM_GET ? "get" : "increment", payload.number,
              count.count, run->run.epoch);
}

static void
visit_go(struct sim *sim, struct sim_node *node, struct visit *visit)
{
    struct work_action *run = &visit->run;
    const struct work_outcome *last;

    list_turn(sim, node, visit, run->run.message);
    for (size_t i = 0; i < run->run.n_ahead && sim_chance(sim, 90); i++) {
        last = &visit->outcomes[i];
        if (!work_outcome_chains(last))
            break;
        if (last->state_changed)
            run->run.state = last->state;
        list_turn(sim, node, visit, visit->ahead[i].message);
    }
    work_core_ran_ahead(
        visit->visitor.core,
        (struct work_time){sim_mono(sim, node), sim_wall(sim, node)},
        run->token, visit->outcomes, visit->n);
}

static void
on_visit(struct sim *sim, struct sim_node *node, void *arg)
{
    struct visit *visit = arg;
    const struct sim_visitor visitor = visit->visitor;

    visit_go(sim, node, visit);
    visit_free(visit);
    visitor.pump(sim, node);
}

void
sim_visit_run(struct sim *sim, struct sim_node *node,
              const struct work_action *run, const struct sim_visitor *visitor)
{
    struct visit *visit = plex_calloc(1, sizeof *visit);

    visit->visitor = *visitor;
    visit->run = *run;
    for (size_t i = 0; i < run->run.n_ahead; i++)
        visit->ahead[i] = run->run.ahead[i];
    if (sim_chance(sim, 50)) {
        sim_after(sim, node, sim_between(sim, SIM_US, 3 * SIM_MS), on_visit,
                  visit, visit_free);
        return;
    }
    visit_go(sim, node, visit);
    visit_free(visit);
}
