#include "tests/sim/flow.h"
#include "tests/sim/reminder.h"

#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 1 << PLACE_SHARD_BITS };

struct op {
    int key;
    enum sim_what what;
    bool keyed;
    bool refused; /* the client was told: not carried out */
    bool acked;
    uint32_t floor; /* count that was finished when it began */
    uint32_t place; /* 1-based in its actor's history; 0: not there */
    uint32_t sink;  /* place in the sink's history */
    uint32_t bank;  /* place in the bank's */
    uint32_t tally[SIM_TALLIES];
    bool owed; /* the tallies are to have it */
};
struct history {
    uint32_t *numbers;
    uint32_t n, cap;
    uint32_t finished; /* highest count any client has seen */
};
struct sim_check {
    struct op *ops; /* by number, from 1 */
    uint32_t n_ops, cap_ops;
    struct history histories[SIM_ACTORS];
    uint64_t epochs[SHARDS];
    uint32_t owed; /* messages that tallies do not have yet */
    struct sim_check_counts counts;
};

enum sim_behaviour
sim_behaviour_of(int key)
{
    if (key < SIM_COUNTERS)
        return SIM_COUNTER;
    if (key < SIM_COUNTERS + SIM_VOLATILES)
        return SIM_VOLATILE;
    if (key < SIM_FIRST_FLOW)
        return key < SIM_FIRST_SINK ? SIM_RELAY : SIM_SINK;
    if (key < SIM_FIRST_BANK)
        return SIM_FLOW;
    if (key >= SIM_FIRST_TALLY)
        return SIM_TALLY;
    return key < SIM_FIRST_LEDGER ? SIM_BANK : SIM_LEDGER;
}

static const char *const type_names[] = {
    [SIM_COUNTER] = "counter", [SIM_VOLATILE] = "counter-volatile",
    [SIM_RELAY] = "relay",     [SIM_SINK] = "sink",
    [SIM_FLOW] = "flow",       [SIM_BANK] = "bank",
    [SIM_LEDGER] = "ledger",   [SIM_TALLY] = "tally",
};

const char *
sim_type_name(enum sim_behaviour behaviour)
{
    return type_names[behaviour];
}

/* A relay and its sink have the same name, so that it need not be told. */
static const char *const key_names[SIM_ACTORS] = {
    "hot", "warm", "c2", "c3", "v0", "v1", "r0", "r1", "r0",
    "r1",  "f0",   "f1", "f2", "b0", "l0", "t0", "t1",
};

struct plex_actor_id
sim_actor(int key)
{
    return (struct plex_actor_id){"default", "default",
                                  type_names[sim_behaviour_of(key)],
                                  key_names[key]};
}

int
sim_key_of(const struct plex_actor_id *actor)
{
    for (int key = 0; key < SIM_ACTORS; key++) {
        const struct plex_actor_id id = sim_actor(key);

        if (plex_actor_equal(&id, actor))
            return key;
    }
    return -1;
}

void
sim_check_init(struct sim *sim)
{
    sim->check = plex_calloc(1, sizeof *sim->check);
    sim->check->n_ops = 1; /* number 0 is nobody */
    sim->check->cap_ops = 1024;
    sim->check->ops = plex_calloc(1024, sizeof(struct op));
}

void
sim_check_fini(struct sim *sim)
{
    for (int key = 0; key < SIM_ACTORS; key++)
        free(sim->check->histories[key].numbers);
    free(sim->check->ops);
    free(sim->check);
}

/* -- clients --------------------------------------------------------------- */

uint32_t
sim_check_begin(struct sim *sim, int key, enum sim_what what, bool keyed)
{
    struct sim_check *check = sim->check;
    const uint32_t number = check->n_ops++;

    if (check->n_ops > check->cap_ops) {
        check->cap_ops *= 2;
        check->ops =
            plex_reallocarray(check->ops, check->cap_ops, sizeof *check->ops);
    }
    check->ops[number] = (struct op){.key = key,
                                     .what = what,
                                     .keyed = keyed,
                                     .floor = check->histories[key].finished};
    check->counts.ops++;
    return number;
}

void
sim_check_again(struct sim *sim, uint32_t number)
{
    sim->check->ops[number].refused = false;
}

static void
replied_get(struct sim *sim, uint32_t number, uint32_t count)
{
    const struct op *op = &sim->check->ops[number];

    if (count > sim->check->histories[op->key].n)
        sim_fail(sim, op->key,
                 "G4: get %" PRIu32 " answered %" PRIu32 ", only %" PRIu32
                 " increments are committed",
                 number, count, sim->check->histories[op->key].n);
}

static void
replied_increment(struct sim *sim, uint32_t number, uint32_t count)
{
    const struct op *op = &sim->check->ops[number];

    if (op->place == 0)
        sim_fail(sim, op->key,
                 "G4: increment %" PRIu32 " was acknowledged (count %" PRIu32
                 ") but is not committed",
                 number, count);
    else if (op->place != count)
        sim_fail(sim, op->key,
                 "G1: increment %" PRIu32 " was answered %" PRIu32
                 " but is number %" PRIu32 " in the journal",
                 number, count, op->place);
}

void
sim_check_replied(struct sim *sim, uint32_t number, uint32_t count)
{
    struct op *op = &sim->check->ops[number];
    struct history *history = &sim->check->histories[op->key];

    op->acked = true;
    sim->check->counts.acked++;
    if (sim_behaviour_of(op->key) == SIM_VOLATILE)
        return; /* its memory may be gone: sim_check_ran() looks */
    if (op->what == SIM_GET)
        replied_get(sim, number, count);
    else
        replied_increment(sim, number, count);
    if (count < op->floor || (op->what == SIM_INCREMENT && count == op->floor))
        sim_fail(sim, op->key,
                 "linearizability: %s %" PRIu32 " answered %" PRIu32
                 " but %" PRIu32 " was finished when it began",
                 op->what == SIM_GET ? "get" : "increment", number, count,
                 op->floor);
    if (count > history->finished)
        history->finished = count;
}

void
sim_check_refused(struct sim *sim, uint32_t number, bool unknown)
{
    struct op *op = &sim->check->ops[number];

    if (unknown || op->what == SIM_GET)
        return;
    op->refused = true;
    if (op->place != 0)
        sim_fail(sim, op->key,
                 "G1: increment %" PRIu32
                 " was refused as not carried out but is number %" PRIu32
                 " in the journal",
                 number, op->place);
}

void
sim_check_failed(struct sim *sim, uint32_t number)
{
    struct op *op = &sim->check->ops[number];

    op->acked = true;
    sim->check->counts.acked++;
    if (op->place != 0)
        sim_fail(sim, op->key,
                 "G1: run %" PRIu32 " was answered as failed but is number "
                 "%" PRIu32 " in the journal",
                 number, op->place);
}

bool
sim_check_answered(const struct sim *sim, uint32_t number)
{
    return sim->check->ops[number].acked;
}

uint32_t
sim_check_count(const struct sim *sim, int key)
{
    return sim->check->histories[key].n;
}

bool
sim_check_booked(const struct sim *sim, uint32_t number)
{
    return sim->check->ops[number].bank != 0;
}

void
sim_check_owe(struct sim *sim, uint32_t number)
{
    struct op *op = &sim->check->ops[number];

    op->owed = true;
    for (int i = 0; i < SIM_TALLIES; i++)
        sim->check->owed += op->tally[i] == 0;
}

void
sim_check_ran(struct sim *sim, int key, uint32_t number)
{
    struct op *op = &sim->check->ops[number];

    if (op->what == SIM_GET)
        return;
    if (op->place != 0)
        sim_fail(sim, key, "G1: volatile increment %" PRIu32 " ran twice",
                 number);
    if (op->refused)
        sim_fail(sim, key,
                 "G1: volatile increment %" PRIu32
                 " was refused as not carried out and then ran",
                 number);
    op->place = 1;
}

/* -- the journal ----------------------------------------------------------- */

static void
history_add(struct history *history, uint32_t number)
{
    if (history->n == history->cap) {
        history->cap = history->cap == 0 ? 256 : history->cap * 2;
        history->numbers = plex_reallocarray(history->numbers, history->cap,
                                             sizeof *history->numbers);
    }
    history->numbers[history->n++] = number;
}

/* Where an operation stands in the history of that actor. */
static uint32_t *
place_of(struct op *op, int key)
{
    switch (sim_behaviour_of(key)) {
    case SIM_SINK:
        return &op->sink;
    case SIM_BANK:
        return &op->bank;
    case SIM_TALLY:
        return &op->tally[key - SIM_FIRST_TALLY];
    default:
        return &op->place;
    }
}

/* The newest operation of the history has just been committed. */
static void
committed_op(struct sim *sim, int key, uint32_t number)
{
    struct sim_check *check = sim->check;
    const struct history *history = &check->histories[key];
    struct op *op;
    uint32_t *place;

    if (number == 0 || number >= check->n_ops) {
        sim_fail(sim, key,
                 "the state names operation %" PRIu32
                 ", which nobody asked for",
                 number);
        return;
    }
    op = &check->ops[number];
    place = place_of(op, key);
    if (*place != 0)
        sim_fail(sim, key,
                 "G1: operation %" PRIu32
                 " is applied twice, as number %" PRIu32 " and number %" PRIu32,
                 number, *place, history->n);
    if (op->refused && place == &op->place)
        sim_fail(sim, key,
                 "G1: increment %" PRIu32
                 " was refused as not carried out and then committed",
                 number);
    *place = history->n;
    if (sim_behaviour_of(key) != SIM_TALLY)
        return;
    check->owed -= op->owed;
    sim_flow_told(sim, key, number);
}

/* What reached the sink is a prefix of what its relay committed. */
static void
committed_order(struct sim *sim, int key)
{
    const struct history *sink = &sim->check->histories[key];
    const struct history *relay = &sim->check->histories[key - SIM_SINKS];
    const uint32_t at = sink->n - 1;

    if (at >= relay->n)
        sim_fail(sim, key,
                 "G4: the sink got message %" PRIu32
                 " before its relay's turn was committed",
                 sink->numbers[at]);
    else if (relay->numbers[at] != sink->numbers[at])
        sim_fail(sim, key,
                 "G2: the sink's message number %" PRIu32 " is %" PRIu32
                 ", its relay sent %" PRIu32 " there",
                 at + 1, sink->numbers[at], relay->numbers[at]);
}

static void
committed_state(struct sim *sim, int key, struct plex_bytes state,
                bool snapshot)
{
    struct history *history = &sim->check->histories[key];
    const uint32_t n = (uint32_t)(state.len / sizeof(uint32_t));
    const uint32_t expect = history->n + (snapshot ? 0 : 1);
    const size_t common = (n < history->n ? n : history->n) * sizeof(uint32_t);
    uint32_t number;

    if (common > 0 && memcmp(state.data, history->numbers, common) != 0) {
        sim_fail(sim, key,
                 "G3: a committed state contradicts the history before it");
        return;
    }
    if ((sim_behaviour_of(key) == SIM_FLOW ||
         sim_behaviour_of(key) == SIM_BANK ||
         sim_behaviour_of(key) == SIM_LEDGER) &&
        n == history->n)
        return; /* its run has failed, or it was edited */
    if (snapshot ? n > expect : n != expect) {
        sim_fail(sim, key,
                 "G3: a state of %" PRIu32
                 " operations was committed after %" PRIu32,
                 n, history->n);
        return;
    }
    if (snapshot)
        return;
    memcpy(&number, state.data + common, sizeof number);
    history_add(history, number);
    committed_op(sim, key, number);
    if (sim_behaviour_of(key) == SIM_SINK)
        committed_order(sim, key);
}

/* The operations in a record's events. */
static void
committed_events(struct sim *sim, int key, struct plex_bytes bytes)
{
    struct work_record record;
    struct plex_arena arena;
    struct plex_err err;
    uint32_t number;

    plex_arena_init(&arena, 1 << 20);
    if (work_record_unpack(bytes, &arena, &record, &err) != PLEX_OK) {
        sim_fail(sim, key, "G4: a record does not decode: %s", err.text);
        record.n_events = 0;
    }
    for (size_t i = 0; i < record.n_events; i++) {
        memcpy(&number, record.events[i].data.data, sizeof number);
        history_add(&sim->check->histories[key], number);
        committed_op(sim, key, number);
    }
    plex_arena_fini(&arena);
}

static void
committed_what(struct sim *sim, int key, const struct journal_entry *entry)
{
    const enum sim_behaviour behaviour = sim_behaviour_of(key);

    if (behaviour == SIM_FLOW || behaviour == SIM_BANK) {
        sim_flow_committed(sim, key, entry);
        if ((entry->schema_version & WORK_SCHEMA_OPEN) != 0)
            return; /* its state is a log */
    }
    if (sim_reminder_is(key))
        sim_reminder_committed(sim, key, entry);
    if (behaviour == SIM_LEDGER && entry->rebuilds)
        committed_events(sim, key, entry->record);
    else if (entry->has_state || entry->kind == JOURNAL_SNAPSHOT)
        committed_state(sim, key, entry->state,
                        entry->kind == JOURNAL_SNAPSHOT);
}

static void
committed_entry(struct sim *sim, const struct journal_entry *entry)
{
    struct sim_check *check = sim->check;
    const int key = sim_key_of(&entry->actor);

    if (entry->epoch < check->epochs[entry->shard])
        sim_fail(sim, key,
                 "G3: shard %" PRIu32 " accepted epoch %" PRIu64
                 " after epoch %" PRIu64,
                 entry->shard, entry->epoch, check->epochs[entry->shard]);
    check->epochs[entry->shard] = entry->epoch;
    if (key < 0)
        return;
    check->counts.turns += entry->kind == JOURNAL_TURN;
    committed_what(sim, key, entry);
    sim_trace(sim, key, sim->journal,
              "committed %s/%s kind %d seq %" PRIu64 " epoch %" PRIu64
              "%s, %" PRIu32 " operations",
              entry->actor.type, entry->actor.key, (int)entry->kind, entry->seq,
              entry->epoch, entry->has_state ? " +state" : "",
              check->histories[key].n);
}

void
sim_check_committed(struct sim *sim, const struct journal_commit *commit)
{
    struct sim_check *check = sim->check;

    check->counts.commits++;
    for (size_t i = 0; i < commit->n_fences; i++) {
        const struct journal_fence *fence = &commit->fences[i];

        if (commit->fence_newest[i] != 0)
            continue;
        for (uint32_t s = fence->first; s <= fence->last && s < SHARDS; s++)
            if (check->epochs[s] < fence->epoch)
                check->epochs[s] = fence->epoch;
    }
    for (size_t i = 0; i < commit->n_entries; i++)
        if (commit->results[i]->status == PLEX_OK)
            committed_entry(sim, commit->entries[i]);
}

/* The list of operations: the user's state in an open run, or a snapshot and
 * the events after it. */
static struct plex_bytes
loaded_list(const struct journal_loaded *loaded, struct plex_arena *arena)
{
    struct plex_buf list = {.max = 1 << 20};
    struct work_record record;
    struct plex_bytes out;
    struct work_run run;
    struct plex_err err;

    if ((loaded->schema_version & WORK_SCHEMA_OPEN) != 0)
        return work_run_unpack(loaded->state, arena, &run, &err) == PLEX_OK
                   ? run.state
                   : (struct plex_bytes){0};
    if (loaded->n_records == 0)
        return loaded->state;
    if (loaded->state.len > 0)
        memcpy(plex_buf_grow(&list, loaded->state.len), loaded->state.data,
               loaded->state.len);
    for (size_t i = 0; i < loaded->n_records; i++) {
        if (work_record_unpack(loaded->records[i].bytes, arena, &record,
                               &err) != PLEX_OK)
            continue;
        for (size_t k = 0; k < record.n_events; k++)
            memcpy(plex_buf_grow(&list, sizeof(uint32_t)),
                   record.events[k].data.data, sizeof(uint32_t));
    }
    out = (struct plex_bytes){plex_arena_alloc(arena, list.len + 1), list.len};
    memcpy((void *)(uintptr_t)out.data, list.data, list.len);
    plex_buf_free(&list);
    return out;
}

void
sim_check_store(struct sim *sim, struct journal_store *store)
{
    struct plex_arena arena;

    plex_arena_init(&arena, 16 << 20);
    for (int key = 0; key < SIM_ACTORS; key++) {
        const struct history *history = &sim->check->histories[key];
        const struct plex_actor_id id = sim_actor(key);
        const uint32_t shard =
            plex_shard_of(plex_actor_hash(&id), PLACE_SHARD_BITS);
        const struct journal_load load = {.actor = id,
                                          .shard = shard,
                                          .epoch = sim->check->epochs[shard],
                                          .recent_max = 10,
                                          .records = sim_behaviour_of(key) ==
                                                     SIM_LEDGER};
        struct plex_bytes list;
        struct journal_loaded loaded;
        struct plex_err err = {0};
        uint64_t newest;

        plex_arena_reset(&arena);
        if (journal_store_load(store, &load, sim_wall(sim, sim->journal),
                               &arena, &loaded, &newest, &err) != PLEX_OK)
            sim_fail(sim, key, "G4: %s/%s cannot be loaded: %s", id.type,
                     id.key, err.text);
        else if (list = loaded_list(&loaded, &arena),
                 list.len != history->n * sizeof(uint32_t) ||
                     (history->n > 0 &&
                      memcmp(list.data, history->numbers, list.len) != 0))
            sim_fail(sim, key,
                     "G4: %s/%s was loaded with %zu operations, %" PRIu32
                     " are committed",
                     id.type, id.key, list.len / sizeof(uint32_t), history->n);
    }
    plex_arena_fini(&arena);
}

/* -- leases ---------------------------------------------------------------- */

void
sim_check_leases(struct sim *sim)
{
    for (int key = 0; key < SIM_ACTORS; key++) {
        const struct plex_actor_id id = sim_actor(key);
        const struct sim_node *owner = NULL;
        uint64_t epoch, first = 0;

        for (int i = 0; i < sim->n_workers; i++) {
            if (!sim_worker_owns(sim, sim->workers[i], &id, &epoch))
                continue;
            if (owner != NULL)
                sim_fail(sim, key,
                         "G3: %s (epoch %" PRIu64 ") and %s (epoch %" PRIu64
                         ") own %s/%s, both with a valid lease",
                         owner->name, first, sim->workers[i]->name, epoch,
                         id.type, id.key);
            owner = sim->workers[i];
            first = epoch;
        }
    }
}

/* -- the end --------------------------------------------------------------- */

bool
sim_check_quiet(const struct sim *sim)
{
    const struct history *histories = sim->check->histories;

    for (int key = SIM_FIRST_SINK; key < SIM_FIRST_FLOW; key++)
        if (histories[key].n != histories[key - SIM_SINKS].n)
            return false;
    return sim->check->owed == 0;
}

void
sim_check_end(struct sim *sim)
{
    struct sim_check *check = sim->check;

    for (uint32_t i = 1; i < check->n_ops; i++)
        if (check->ops[i].keyed && !check->ops[i].acked)
            sim_fail(
                sim, check->ops[i].key,
                "stuck: keyed increment %" PRIu32 " was never acknowledged", i);
    for (int key = SIM_FIRST_SINK; key < SIM_FIRST_FLOW; key++)
        if (check->histories[key].n != check->histories[key - SIM_SINKS].n)
            sim_fail(sim, key,
                     "G2: the sink got %" PRIu32 " of %" PRIu32 " messages",
                     check->histories[key].n,
                     check->histories[key - SIM_SINKS].n);
    if (check->owed != 0)
        sim_fail(sim, SIM_FIRST_TALLY,
                 "G2: %" PRIu32 " messages of runs never arrived", check->owed);
}

struct sim_check_counts
sim_check_counts(const struct sim *sim)
{
    return sim->check->counts;
}
