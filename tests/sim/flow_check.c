/* What is known of runs outside of them: effects as they are carried out, and
 * what the journal has committed. */
#include "tests/sim/asked.h"
#include "tests/sim/flow.h"

#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS_MAX = 64, ARENA_BYTES = 8 << 20 };

struct flow_op {
    unsigned times[SIM_EFFECTS]; /* carried out */
    bool recorded[SIM_EFFECTS];
    bool good[SIM_EFFECTS]; /* recorded as done */
    uint32_t result[SIM_EFFECTS];
    bool begun, cancelled, ended, failed; /* in the journal */
};
struct flow_timer {
    char name[40];
    uint64_t due_ms;
};
struct flow_key {
    uint32_t open; /* number of the run that is open in the journal */
    struct flow_timer timers[TIMERS_MAX];
    unsigned n_timers;
    char promise[160];
    char keep[64];
};
struct sim_flow_check {
    struct flow_op *ops; /* by number */
    uint32_t n_ops;
    uint32_t results; /* given out */
    struct flow_key keys[SIM_FLOWS + SIM_BANKS];
    struct plex_arena arena;
};

struct sim_flow_check *
sim_flow_check_create(void)
{
    struct sim_flow_check *check = plex_calloc(1, sizeof *check);

    plex_arena_init(&check->arena, ARENA_BYTES);
    return check;
}

void
sim_flow_check_free(struct sim_flow_check *check)
{
    plex_arena_fini(&check->arena);
    free(check->ops);
    free(check);
}

const char *
sim_effect_name(enum sim_effect effect)
{
    static const char *const names[SIM_EFFECTS] = {"reserve", "charge", "more",
                                                   "release", "refund"};

    return names[effect];
}

static struct flow_op *
op_of(struct sim *sim, uint32_t number)
{
    struct sim_flow_check *check = sim->flow_check;

    if (number >= check->n_ops) {
        const uint32_t n = number + 256;

        check->ops = plex_reallocarray(check->ops, n, sizeof *check->ops);
        memset(check->ops + check->n_ops, 0,
               (n - check->n_ops) * sizeof *check->ops);
        check->n_ops = n;
    }
    return &check->ops[number];
}

static struct flow_key *
key_of(struct sim *sim, int key)
{
    return &sim->flow_check->keys[key - SIM_FIRST_FLOW];
}

/* -- what runs do ------------------------------------------------------------
 */

uint32_t
sim_flow_effect(struct sim *sim, int key, uint32_t number,
                enum sim_effect effect, unsigned *times)
{
    struct flow_op *op = op_of(sim, number);

    if (op->recorded[effect])
        sim_fail(sim, key,
                 "G5: effect %s of run %" PRIu32
                 " is carried out although its result is in the journal",
                 sim_effect_name(effect), number);
    if (op->ended)
        sim_fail(sim, key,
                 "G5: effect %s of run %" PRIu32
                 " is carried out although the run has ended",
                 sim_effect_name(effect), number);
    *times = ++op->times[effect];
    return ++sim->flow_check->results;
}

void
sim_flow_ended(struct sim *sim, int key, uint32_t number, uint32_t result)
{
    const struct flow_op *op = op_of(sim, number);

    if (!op->recorded[SIM_RESERVE] || op->result[SIM_RESERVE] != result)
        sim_fail(sim, key,
                 "G5: run %" PRIu32 " got result %" PRIu32
                 " of its effect, and the journal has %" PRIu32,
                 number, result, op->result[SIM_RESERVE]);
}

void
sim_flow_promise(struct sim *sim, int key, const char *id)
{
    struct flow_key *flow = key_of(sim, key);
    const char *nonce = strchr(id, '~');

    (void)snprintf(flow->promise, sizeof flow->promise, "%s", id);
    (void)snprintf(flow->keep, sizeof flow->keep, "promise:%s",
                   nonce == NULL ? "" : nonce + 1);
    *strchr(flow->keep, '~') = ':';
}

const char *
sim_flow_to_keep(const struct sim *sim, int key)
{
    return sim->flow_check->keys[key - SIM_FIRST_FLOW].keep;
}

void
sim_flow_timer(struct sim *sim, const struct sim_node *node, int key,
               const char *name)
{
    const struct flow_key *flow = key_of(sim, key);

    /* The newest: each wait between the attempts of an effect has its name. */
    for (unsigned i = flow->n_timers; i-- > 0;)
        if (strcmp(flow->timers[i].name, name) == 0) {
            /* It may have been due when the clock was set back. */
            if (sim_wall(sim, node) < flow->timers[i].due_ms &&
                node->wall_before_ms < flow->timers[i].due_ms)
                sim_fail(sim, key, "G6: timer %s comes %" PRIu64 " ms early",
                         name + 1,
                         flow->timers[i].due_ms - sim_wall(sim, node));
            return;
        }
    sim_fail(sim, key, "G6: timer %s was never written", name + 1);
}

/* -- what the journal has ----------------------------------------------------
 */

static void
timers_seen(struct sim *sim, int key, const struct journal_entry *entry)
{
    struct flow_key *flow = key_of(sim, key);

    for (size_t i = 0; i < entry->n_pending; i++) {
        struct flow_timer *timer = &flow->timers[flow->n_timers % TIMERS_MAX];
        struct work_message message;
        struct plex_err err;

        if (work_message_unpack(entry->pending[i].message,
                                &sim->flow_check->arena, &message,
                                &err) != PLEX_OK ||
            message.kind != WORK_TIMER)
            continue;
        if (flow->n_timers == TIMERS_MAX) { /* the oldest has long come */
            memmove(flow->timers, flow->timers + 1,
                    (TIMERS_MAX - 1) * sizeof *flow->timers);
            flow->n_timers--;
            timer = &flow->timers[flow->n_timers];
        }
        (void)snprintf(timer->name, sizeof timer->name, "%s", message.timer);
        timer->due_ms = entry->pending[i].due_ms;
        flow->n_timers++;
    }
}

static void
step_seen(struct sim *sim, int key, uint32_t number,
          const struct work_step *step)
{
    struct flow_op *op = op_of(sim, number);
    uint32_t result = 0;
    int e = 0;

    if (step->kind != WORK_STEP_EFFECT || !step->done)
        return;
    while (e < SIM_EFFECTS &&
           strcmp(sim_effect_name((enum sim_effect)e), step->name) != 0)
        e++;
    if (e == SIM_EFFECTS)
        return;
    if (step->result.len == sizeof result)
        memcpy(&result, step->result.data, sizeof result);
    if (op->recorded[e] && op->result[e] != result)
        sim_fail(sim, key,
                 "G5: the recorded result of effect %s of run %" PRIu32
                 " has changed",
                 step->name, number);
    if (step->status == PLEX_OK && op->times[e] == 0)
        sim_fail(sim, key,
                 "G5: effect %s of run %" PRIu32
                 " is recorded and was never carried out",
                 step->name, number);
    op->recorded[e] = true;
    op->good[e] = step->status == PLEX_OK;
    op->result[e] = result;
}

static void
run_seen(struct sim *sim, int key, const struct journal_entry *entry)
{
    struct plex_arena *arena = &sim->flow_check->arena;
    struct work_message message;
    struct sim_payload payload;
    struct work_run run;
    struct plex_err err;

    if (work_run_unpack(entry->state, arena, &run, &err) != PLEX_OK ||
        work_message_unpack(run.message, arena, &message, &err) != PLEX_OK ||
        message.payload.len != sizeof payload) {
        sim_fail(sim, key, "G4: a run that does not decode is committed");
        return;
    }
    memcpy(&payload, message.payload.data, sizeof payload);
    key_of(sim, key)->open = payload.number;
    op_of(sim, payload.number)->begun = true;
    if (run.cancelled != 0)
        op_of(sim, payload.number)->cancelled = true;
    for (size_t i = 0; i < run.n_steps; i++) {
        step_seen(sim, key, payload.number, &run.steps[i]);
        sim_asked_seen(sim, key, payload.number, i, &run.steps[i]);
    }
}

static void
delta_seen(struct sim *sim, int key, const struct journal_entry *entry)
{
    const uint32_t number = key_of(sim, key)->open;
    struct work_record record;
    struct plex_err err;

    if (number == 0 || entry->record.len == 0 ||
        work_record_unpack(entry->record, &sim->flow_check->arena, &record,
                           &err) != PLEX_OK ||
        record.run == NULL)
        return;
    if (record.run->cancelled != 0)
        op_of(sim, number)->cancelled = true;
    for (size_t i = 0; i < record.run->n_steps; i++) {
        step_seen(sim, key, number, &record.run->steps[i]);
        sim_asked_seen(sim, key, number, record.run->first_step + i,
                       &record.run->steps[i]);
    }
    for (size_t i = 0; i < record.run->n_changed; i++)
        step_seen(sim, key, number, &record.run->changes[i]);
}

static void
undone_check(struct sim *sim, int key, uint32_t number, enum sim_effect what,
             enum sim_effect undo)
{
    const struct flow_op *op = op_of(sim, number);

    if (op->good[what] && op->times[undo] == 0)
        sim_fail(sim, key,
                 "G5: run %" PRIu32
                 " failed and its effect %s was not undone by %s",
                 number, sim_effect_name(what), sim_effect_name(undo));
}

static void
end_seen(struct sim *sim, int key, const struct journal_entry *entry)
{
    const uint32_t n = (uint32_t)(entry->state.len / sizeof(uint32_t));
    struct flow_key *flow = key_of(sim, key);
    const uint32_t number = flow->open;
    struct flow_op *op = op_of(sim, number);

    if (number == 0) {
        sim_fail(sim, key, "G4: a state was committed without a run");
        return;
    }
    flow->open = 0;
    flow->keep[0] = '\0';
    op->ended = true;
    op->failed = n == sim_check_count(sim, key);
    if (op->failed) {
        undone_check(sim, key, number, SIM_RESERVE, SIM_RELEASE);
        undone_check(sim, key, number, SIM_CHARGE, SIM_REFUND);
        return;
    }
    sim_asked_closed(sim, key, number);
    if (!op->good[SIM_RESERVE] || !op->good[SIM_CHARGE])
        sim_fail(sim, key, "G5: run %" PRIu32 " ended well without its effects",
                 number);
    if (op->times[SIM_RELEASE] > 0 || op->times[SIM_REFUND] > 0)
        sim_fail(sim, key, "G5: run %" PRIu32 " ended well and was undone",
                 number);
    if (!sim_check_booked(sim, number))
        sim_fail(sim, key,
                 "G4: run %" PRIu32 " ended before its call was committed",
                 number);
    sim_check_owe(sim, number);
}

void
sim_flow_committed(struct sim *sim, int key, const struct journal_entry *entry)
{
    if (entry->kind != JOURNAL_TURN)
        return;
    plex_arena_reset(&sim->flow_check->arena);
    timers_seen(sim, key, entry);
    if (sim_behaviour_of(key) == SIM_BANK)
        return;
    if (entry->has_state && (entry->schema_version & WORK_SCHEMA_OPEN) != 0)
        run_seen(sim, key, entry);
    delta_seen(sim, key, entry);
    if (entry->has_state && (entry->schema_version & WORK_SCHEMA_OPEN) == 0)
        end_seen(sim, key, entry);
}

void
sim_flow_told(struct sim *sim, int key, uint32_t number)
{
    const struct flow_op *op = op_of(sim, number);
    const bool charged = key == SIM_FIRST_TALLY || op->good[SIM_CHARGE];

    if (!op->begun || !charged)
        sim_fail(sim, key,
                 "G4: run %" PRIu32
                 " has told a tally what the journal does not have",
                 number);
}

void
sim_flow_unwanted(struct sim *sim, int key, uint32_t number)
{
    if (!op_of(sim, number)->cancelled)
        sim_fail(sim, key,
                 "G2: the call of run %" PRIu32
                 " is cancelled, and the run is not",
                 number);
}

void
sim_flow_failed(struct sim *sim, int key, uint32_t number)
{
    const struct flow_op *op = op_of(sim, number);

    if (!op->ended || !op->failed)
        sim_fail(sim, key,
                 "G4: run %" PRIu32
                 " was answered as failed, and the journal does not have that",
                 number);
    sim_check_failed(sim, number);
}
