/* Turns of one actor that interleave where they wait. */
#include "tests/sim/aside.h"
#include "tests/sim/check.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { WAITS_MAX = 3, ACTIVE_MAX = SIM_VOLATILES };

struct turn {
    TAILQ_ENTRY(turn) link;
    struct sim_asides *asides;
    uint64_t token; /* of its newest RUN */
    uint64_t activation;
    int key;
    struct sim_payload payload;
    bool put;
    bool aside;     /* between WORK_YIELDS and RESUME */
    uint32_t waits; /* so far */
    uint32_t count; /* its place in the state */
    uint8_t *state; /* as this stretch found it */
    size_t len;
};
/* What the newest stretch of an activation left. */
struct floor {
    uint64_t activation;
    const struct turn *taken; /* by a stretch; NULL */
    uint8_t *state;
    size_t len;
};
struct sim_asides {
    struct sim *sim;
    struct sim_node *node;
    struct work_core *core;
    void (*pump)(struct sim *sim, struct sim_node *node);
    struct floor floors[ACTIVE_MAX]; /* by key - SIM_COUNTERS */
    TAILQ_HEAD(, turn) turns;
};

struct sim_asides *
sim_asides_create(struct sim *sim, struct sim_node *node,
                  struct work_core *core,
                  void (*pump)(struct sim *sim, struct sim_node *node))
{
    struct sim_asides *asides = plex_calloc(1, sizeof *asides);

    asides->sim = sim;
    asides->node = node;
    asides->core = core;
    asides->pump = pump;
    TAILQ_INIT(&asides->turns);
    return asides;
}

static void
turn_free(struct turn *turn)
{
    TAILQ_REMOVE(&turn->asides->turns, turn, link);
    free(turn->state);
    free(turn);
}

void
sim_asides_free(struct sim_asides *asides)
{
    struct turn *turn;

    while ((turn = TAILQ_FIRST(&asides->turns)) != NULL)
        turn_free(turn);
    for (int i = 0; i < ACTIVE_MAX; i++)
        free(asides->floors[i].state);
    free(asides);
}

static struct turn *
find(const struct sim_asides *asides, uint64_t token)
{
    struct turn *turn;

    TAILQ_FOREACH(turn, &asides->turns, link)
    if (turn->token == token)
        break;
    return turn;
}

static struct work_time
now(const struct sim_asides *asides)
{
    return (struct work_time){sim_mono(asides->sim, asides->node),
                              sim_wall(asides->sim, asides->node)};
}

/* -- one at a time ----------------------------------------------------------
 */

static void
floor_take(struct sim_asides *asides, struct turn *turn)
{
    struct floor *floor = &asides->floors[turn->key - SIM_COUNTERS];

    if (floor->activation != turn->activation) {
        floor->activation = turn->activation;
        floor->taken = NULL;
    } else if (floor->taken != NULL) {
        sim_fail(asides->sim, turn->key,
                 "one turn at a time: %" PRIu32 " runs while %" PRIu32 " does",
                 turn->payload.number, floor->taken->payload.number);
    } else if (floor->len != turn->len ||
               (turn->len > 0 &&
                memcmp(floor->state, turn->state, turn->len) != 0)) {
        sim_fail(asides->sim, turn->key,
                 "one turn at a time: %" PRIu32
                 " does not see what the one before it left",
                 turn->payload.number);
    }
    floor->taken = turn;
}

static void
floor_leave(struct sim_asides *asides, const struct turn *turn,
            struct plex_bytes state)
{
    struct floor *floor = &asides->floors[turn->key - SIM_COUNTERS];

    if (floor->activation != turn->activation)
        return;
    free(floor->state);
    floor->state = plex_calloc(1, state.len + 1);
    floor->len = state.len;
    if (state.len > 0)
        memcpy(floor->state, state.data, state.len);
    floor->taken = NULL;
}

/* -- stretches --------------------------------------------------------------
 */

static void on_stretch(struct sim *sim, struct sim_node *node, void *arg);
static void on_wake(struct sim *sim, struct sim_node *node, void *arg);

/* By token, not by address: a turn may be abandoned meanwhile. */
static void
later(struct sim_asides *asides, const struct turn *turn, uint64_t most_ms,
      sim_event_fn fn)
{
    uint64_t *token = plex_calloc(1, sizeof *token);

    *token = turn->token;
    sim_after(asides->sim, asides->node,
              sim_between(asides->sim, 0, most_ms * SIM_MS), fn, token, free);
}

static void
stretch(struct sim_asides *asides, struct turn *turn)
{
    floor_take(asides, turn);
    later(asides, turn, 3, on_stretch);
}

/* The core has dropped the activation: what this stretch did counts for
 * nothing. */
static bool
is_dropped(struct sim_asides *asides, const struct turn *turn)
{
    const struct plex_actor_id actor = sim_actor(turn->key);

    return work_core_activation(asides->core, &actor) != turn->activation;
}

/* The operation into the state, once. */
static struct plex_bytes
put(struct sim_asides *asides, struct turn *turn, bool now_or_never,
    bool *changed)
{
    const struct plex_bytes same = {turn->state, turn->len};

    *changed = false;
    if (turn->put || turn->payload.what != SIM_INCREMENT)
        return same;
    if (!now_or_never && sim_chance(asides->sim, 50))
        return same;
    turn->put = *changed = true;
    turn->state = realloc(turn->state, turn->len + sizeof(uint32_t));
    assert(turn->state != NULL);
    memcpy(turn->state + turn->len, &turn->payload.number, sizeof(uint32_t));
    turn->len += sizeof(uint32_t);
    turn->count = (uint32_t)(turn->len / sizeof(uint32_t));
    if (!is_dropped(asides, turn))
        sim_check_ran(asides->sim, turn->key, turn->payload.number);
    return (struct plex_bytes){turn->state, turn->len};
}

static void
yields(struct sim_asides *asides, struct turn *turn)
{
    struct work_outcome outcome = {.phase = WORK_YIELDS};

    turn->waits++;
    turn->aside = true;
    outcome.state = put(asides, turn, false, &outcome.state_changed);
    floor_leave(asides, turn, outcome.state);
    sim_trace(asides->sim, turn->key, asides->node, "waits in %" PRIu32,
              turn->payload.number);
    later(asides, turn, 60, on_wake);
    work_core_ran(asides->core, now(asides), turn->token, &outcome);
}

static void
ends(struct sim_asides *asides, struct turn *turn)
{
    const uint64_t token = turn->token;
    struct work_outcome outcome = {.phase = WORK_ENDED};
    struct plex_buf packed = {.max = 4096};
    struct plex_err err = {0};
    struct sim_count count;
    enum plex_status status;

    outcome.state = put(asides, turn, true, &outcome.state_changed);
    floor_leave(asides, turn, outcome.state);
    count.number = turn->payload.number;
    count.count =
        turn->put ? turn->count : (uint32_t)(turn->len / sizeof(uint32_t));
    status = work_reply_pack(
        &(struct work_reply){
            .http_status = 200,
            .content_type = "",
            .error = "",
            .payload = {(const uint8_t *)&count, sizeof count}},
        &packed, &err);
    assert(status == PLEX_OK);
    (void)status;
    outcome.reply = (struct plex_bytes){packed.data, packed.len};
    sim_trace(asides->sim, turn->key, asides->node, "ends %" PRIu32,
              turn->payload.number);
    work_core_ran(asides->core, now(asides), token, &outcome);
    plex_buf_free(&packed);
    turn_free(turn);
}

static void
on_stretch(struct sim *sim, struct sim_node *node, void *arg)
{
    struct sim_asides *asides = sim_worker_asides(node);
    struct turn *turn = find(asides, *(const uint64_t *)arg);

    free(arg);
    if (turn == NULL)
        return;
    if (turn->waits < WAITS_MAX && sim_chance(sim, 40))
        yields(asides, turn);
    else
        ends(asides, turn);
    asides->pump(sim, node);
}

static void
on_wake(struct sim *sim, struct sim_node *node, void *arg)
{
    static const struct work_outcome wakes = {.phase = WORK_WAKES};
    struct sim_asides *asides = sim_worker_asides(node);
    struct turn *turn = find(asides, *(const uint64_t *)arg);

    free(arg);
    if (turn == NULL)
        return;
    if (sim->config.unsafe_two_at_once) {
        stretch(asides, turn);
        return;
    }
    work_core_ran(asides->core, now(asides), turn->token, &wakes);
    asides->pump(sim, node);
}

void
sim_asides_run(struct sim_asides *asides, const struct work_action *run)
{
    const bool resumes = run->run.how == WORK_RUN_RESUME;
    const struct plex_bytes state = run->run.state;
    struct turn *turn;

    if (resumes) {
        turn = find(asides, run->run.resumes);
        assert(turn != NULL && turn->aside);
        free(turn->state);
    } else {
        turn = plex_calloc(1, sizeof *turn);
        turn->asides = asides;
        turn->activation = run->run.activation;
        turn->key = sim_key_of(run->run.actor);
        assert(run->run.message->payload.len == sizeof turn->payload);
        memcpy(&turn->payload, run->run.message->payload.data,
               sizeof turn->payload);
        TAILQ_INSERT_TAIL(&asides->turns, turn, link);
    }
    turn->token = run->token;
    turn->aside = false;
    turn->len = run->run.has_state ? state.len : 0;
    turn->state = plex_calloc(1, turn->len + 1);
    if (turn->len > 0)
        memcpy(turn->state, state.data, turn->len);
    sim_trace(asides->sim, turn->key, asides->node, "%s %" PRIu32 " at %zu",
              resumes ? "goes on with" : "runs", turn->payload.number,
              turn->len / sizeof(uint32_t));
    stretch(asides, turn);
}

void
sim_asides_abandon(struct sim_asides *asides, uint64_t activation)
{
    struct turn *turn, *next;

    for (turn = TAILQ_FIRST(&asides->turns); turn != NULL; turn = next) {
        next = TAILQ_NEXT(turn, link);
        if (turn->activation == activation)
            turn_free(turn);
    }
}
