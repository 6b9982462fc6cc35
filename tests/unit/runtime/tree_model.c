#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/unit/runtime/tree.h"

/*
 * What supervision means, written down as plainly as possible: everything that
 * follows from one event happens at once, by recursion. It knows nothing of
 * processes or of messages; it is right where one event is over before the
 * next one comes.
 */
enum { TIMES_MAX = 256 };

struct state {
    bool alive;
    int failing; /* starts to come that fail */
    int life;    /* lives that said something; the current one is `said` */
    bool said;
    int order[TREE_KIDS + TREE_EXTRA]; /* children this life knows */
    int n_order;
    uint64_t times[TIMES_MAX]; /* of restarts */
    int n_times;
    enum plex_strategy strategy; /* of this life */
    uint32_t intensity;
};
struct model {
    const struct tree *tree;
    struct state states[TREE_MAX];
    uint64_t now;
    bool other_up;
    int rounds; /* of restarts in this step */
    bool endless;
    struct tree_log *log;
};

static void ended(struct model *m, int c, const char *reason);

static void
note(struct model *m, int s, char what, int c, const char *reason)
{
    struct state *sup = &m->states[s];

    if (!sup->said)
        sup->life++;
    sup->said = true;
    tree_log_add(m->log, s, sup->life, what, c, reason);
}

static const struct tree_node *
node(const struct model *m, int i)
{
    return &m->tree->nodes[i];
}

static int
place(const struct state *sup, int c)
{
    for (int i = 0; i < sup->n_order; i++) {
        if (sup->order[i] == c)
            return i;
    }
    return -1;
}

static void
forget(struct state *sup, int c)
{
    int at = place(sup, c);

    assert(at >= 0);
    memmove(&sup->order[at], &sup->order[at + 1],
            sizeof *sup->order * (size_t)(sup->n_order - at - 1));
    sup->n_order--;
}

/* -- stopping -- */

static void stop_kids(struct model *m, int s);

/* Its supervisor is dead: nobody stops it, it hears of that itself. That
 * takes nobody else's time. */
static void
orphan(struct model *m, int s)
{
    struct state *sup = &m->states[s];
    uint64_t now = m->now;

    for (int i = 0; i < sup->n_order; i++) {
        int c = sup->order[i];

        if (!m->states[c].alive)
            continue;
        if (node(m, c)->sup)
            stop_kids(m, c);
        m->states[c].alive = false;
        m->now = now;
    }
    sup->alive = false;
}

static const char *
stop(struct model *m, int c)
{
    const struct tree_node *spec = node(m, c);

    m->states[c].alive = false;
    if (spec->sup && spec->shutdown_ms != PLEX_BRUTAL_KILL)
        stop_kids(m, c);
    else if (spec->sup)
        orphan(m, c);
    if (spec->shutdown_ms == PLEX_BRUTAL_KILL)
        return "killed";
    if (spec->sup || spec->kind != LEAF_SLOW)
        return "shutdown";
    if (spec->slow_ms > spec->shutdown_ms) {
        m->now += spec->shutdown_ms;
        return "killed";
    }
    m->now += spec->slow_ms;
    return "shutdown";
}

static void
stop_kid(struct model *m, int s, int c)
{
    if (m->states[c].alive)
        note(m, s, '-', c, stop(m, c));
    if (node(m, c)->restart == PLEX_TEMPORARY)
        forget(&m->states[s], c);
}

static void
stop_kids(struct model *m, int s)
{
    struct state *sup = &m->states[s];

    for (int i = sup->n_order - 1; i >= 0; i--)
        stop_kid(m, s, sup->order[i]);
}

/* The supervisor itself ends. */
static void
end(struct model *m, int s)
{
    stop_kids(m, s);
    m->states[s].alive = false;
    if (node(m, s)->parent >= 0)
        ended(m, s, "shutdown");
}

/* -- starting -- */

static bool
start(struct model *m, int c)
{
    const struct tree_node *spec = node(m, c);
    struct state *own = &m->states[c];

    if (!spec->sup) {
        if (spec->remote && !m->other_up)
            return false;
        if (own->failing > 0) {
            own->failing--;
            return false;
        }
        own->alive = true;
        return true;
    }
    own->said = false;
    own->n_times = own->n_order = 0;
    own->strategy = spec->strategy;
    own->intensity = spec->intensity;
    for (int i = 0; i < spec->n_kids; i++)
        own->order[own->n_order++] = spec->kids[i];
    for (int i = 0; i < spec->n_kids; i++) {
        if (!start(m, spec->kids[i])) {
            stop_kids(m, c);
            return false;
        }
        note(m, c, '+', spec->kids[i], "");
    }
    own->alive = true;
    return true;
}

static bool
too_many(struct model *m, int s)
{
    struct state *sup = &m->states[s];
    int kept = 0;

    assert(sup->n_times < TIMES_MAX);
    sup->times[sup->n_times++] = m->now;
    for (int i = 0; i < sup->n_times; i++) {
        if (sup->times[i] + node(m, s)->period_ms >= m->now)
            sup->times[kept++] = sup->times[i];
    }
    sup->n_times = kept;
    return (uint32_t)kept > sup->intensity;
}

/* False: one did not start, and *c is it. */
static bool
start_again(struct model *m, int s, int *c)
{
    struct state *sup = &m->states[s];
    enum plex_strategy strategy = sup->strategy;
    int from = strategy == PLEX_ONE_FOR_ALL ? 0 : place(sup, *c);

    for (int i = from; i < sup->n_order; i++) {
        int kid = sup->order[i];

        if (strategy == PLEX_ONE_FOR_ONE && kid != *c)
            break;
        if (m->states[kid].alive)
            continue;
        if (!start(m, kid)) {
            *c = kid;
            return false;
        }
        note(m, s, '^', kid, "");
    }
    return true;
}

static void
restart(struct model *m, int s, int c)
{
    struct state *sup = &m->states[s];
    enum plex_strategy strategy = sup->strategy;

    for (;;) {
        if (m->endless || ++m->rounds > TREE_ROUNDS_MAX) {
            m->endless = true;
            return;
        }
        if (too_many(m, s)) {
            note(m, s, '!', c, "");
            end(m, s);
            return;
        }
        for (int i = sup->n_order - 1; i >= 0; i--) {
            if (strategy == PLEX_ONE_FOR_ONE ||
                (strategy == PLEX_REST_FOR_ONE && sup->order[i] == c))
                break;
            stop_kid(m, s, sup->order[i]);
        }
        if (start_again(m, s, &c))
            return;
    }
}

/* -- what happens -- */

static bool
all_significant_over(const struct model *m, int s)
{
    const struct state *sup = &m->states[s];

    for (int i = 0; i < sup->n_order; i++) {
        int c = sup->order[i];

        if (node(m, c)->significant && m->states[c].alive)
            return false;
    }
    return true;
}

static void
ended(struct model *m, int c, const char *reason)
{
    const struct tree_node *spec = node(m, c);
    int s = spec->parent;
    enum plex_auto_shutdown automatic;
    bool normal =
        strcmp(reason, "normal") == 0 || strcmp(reason, "shutdown") == 0;

    if (s < 0)
        return;
    automatic = node(m, s)->auto_shutdown;
    note(m, s, '-', c, reason);
    if (spec->restart == PLEX_PERMANENT ||
        (spec->restart == PLEX_TRANSIENT && !normal)) {
        restart(m, s, c);
        return;
    }
    if (spec->restart == PLEX_TEMPORARY)
        forget(&m->states[s], c);
    if (!spec->significant || automatic == PLEX_AUTO_NEVER)
        return;
    if (automatic == PLEX_AUTO_ANY_SIGNIFICANT || all_significant_over(m, s))
        end(m, s);
}

static void
answer(struct model *m, int c, const char *status)
{
    tree_log_add(m->log, -1, 0, '=', c, status);
}

static void
request(struct model *m, enum step_kind kind, int c)
{
    int s = node(m, c)->parent;
    struct state *sup;
    bool alive = m->states[c].alive;

    if (s < 0 || !m->states[s].alive) {
        answer(m, c, "NOBODY");
        return;
    }
    sup = &m->states[s];
    if (kind == STEP_ADD) {
        if (place(sup, c) >= 0) {
            answer(m, c, "EXISTS");
            return;
        }
        if (!start(m, c)) {
            answer(m, c, "FAILED");
            return;
        }
        sup->order[sup->n_order++] = c;
        note(m, s, '+', c, "");
        answer(m, c, "OK");
        return;
    }
    if (place(sup, c) < 0) {
        answer(m, c, "NOT_FOUND");
        return;
    }
    if (kind == STEP_TERMINATE) {
        stop_kid(m, s, c);
    } else if (alive) {
        answer(m, c, "CONFLICT");
        return;
    } else if (kind == STEP_DELETE) {
        forget(sup, c);
    } else if (start(m, c)) {
        note(m, s, '+', c, "");
    } else {
        answer(m, c, "FAILED");
        return;
    }
    answer(m, c, "OK");
}

/* It counts from the next end on. */
static void
plan(struct model *m, int s, int count)
{
    if (!m->states[s].alive) {
        answer(m, s, "NOBODY");
        return;
    }
    m->states[s].strategy = step_strategy(count);
    m->states[s].intensity = step_intensity(count);
    answer(m, s, "OK");
}

static void
node_down(struct model *m)
{
    m->other_up = false;
    for (int i = 0; i < m->tree->n; i++) {
        if (!node(m, i)->remote || !m->states[i].alive)
            continue;
        m->states[i].alive = false;
        ended(m, i, "noconnection");
    }
}

void
model_step(struct model *m, const struct step *step, uint64_t now_ms,
           struct tree_log *log)
{
    int c = step->node;
    bool alive = c >= 0 && m->states[c].alive;

    m->log = log;
    m->now = now_ms;
    m->rounds = 0;
    switch (step->kind) {
    case STEP_EXIT:
        if (alive) {
            m->states[c].alive = false;
            ended(m, c, step->reason);
        }
        break;
    case STEP_KILL:
        if (alive) {
            if (node(m, c)->sup)
                orphan(m, c);
            m->states[c].alive = false;
            ended(m, c, "killed");
        }
        break;
    case STEP_SHUTDOWN:
        if (alive)
            end(m, c);
        break;
    case STEP_FAILING:
        m->states[c].failing = step->count;
        break;
    case STEP_NODE_DOWN:
        if (m->other_up)
            node_down(m);
        break;
    case STEP_NODE_UP:
        m->other_up = true;
        break;
    case STEP_PLAN:
        plan(m, c, step->count);
        break;
    default:
        request(m, step->kind, c);
    }
}

void
model_begin(struct model *m, struct tree_log *log)
{
    m->log = log;
    (void)start(m, 0);
}

bool
model_endless(const struct model *m)
{
    return m->endless;
}

bool
model_alive(const struct model *m, int i)
{
    return m->states[i].alive;
}

struct model *
model_create(const struct tree *tree, uint64_t now_ms)
{
    struct model *m = plex_calloc(1, sizeof *m);

    m->tree = tree;
    m->now = now_ms;
    m->other_up = true;
    return m;
}

void
model_free(struct model *m)
{
    free(m);
}
