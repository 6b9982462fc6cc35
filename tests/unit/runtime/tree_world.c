#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/unit/runtime/tree_private.h"

/* The tree as real supervisors and processes, on two nodes without threads. */

/* Callbacks have no other way to find it. One test, one thread. */
static struct world *the_world;

/* -- processes -- */

static int
leaf_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    int own;

    assert(len == sizeof own);
    memcpy(&own, args, sizeof own);
    if (the_world->failing[own] > 0) {
        the_world->failing[own]--;
        return plex_fail(ctx, "told to");
    }
    the_world->refs[own] = plex_self_ref(ctx);
    return 0;
}

static int
leaf_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_exit_self(ctx, msg->payload);
    return 0;
}

static int
slow_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    memcpy(plex_data(ctx), args, sizeof(int));
    return leaf_init(ctx, args, len);
}

static int
slow_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    *(int *)plex_data(ctx) = -1; /* ends by itself */
    return leaf_cast(ctx, msg);
}

/* Only who is told to end takes time for it. */
static void
slow_terminate(struct plex_ctx *ctx, const char *reason)
{
    int own = *(int *)plex_data(ctx);

    (void)reason;
    if (own >= 0)
        plex_sleep(ctx, the_world->tree->nodes[own].slow_ms);
}

static const struct plex_behaviour leaf_behaviours[] = {
    {.name = "plain", .init = leaf_init, .handle_call = leaf_cast},
    {.name = "traps",
     .init = leaf_init,
     .handle_call = leaf_cast,
     .trap_exit = true},
    {.name = "slow",
     .init = slow_init,
     .handle_call = slow_cast,
     .terminate = slow_terminate,
     .trap_exit = true,
     .data_size = sizeof(int)},
};

static void
child_make(struct world *w, int i, struct plex_child *out, enum tree_bite bite)
{
    const struct tree_node *node = &w->tree->nodes[i];

    w->numbers[i] = i;
    (void)snprintf(w->ids[i], sizeof w->ids[i], "%d", i);
    *out = (struct plex_child){
        .id = w->ids[i],
        .behaviour =
            node->sup ? &w->sup_behaviours[i] : &leaf_behaviours[node->kind],
        .args = &w->numbers[i],
        .args_len = sizeof(int),
        .node = node->remote ? "there" : NULL,
        .restart = node->restart,
        .shutdown_ms = node->shutdown_ms,
        .significant = node->significant,
    };
    if (bite == BITE_TRANSIENT && node->restart == PLEX_TRANSIENT &&
        !node->significant)
        out->restart = PLEX_PERMANENT;
    if (bite == BITE_SHUTDOWN && out->shutdown_ms > 0)
        out->shutdown_ms = PLEX_SHUTDOWN_INFINITY;
}

static int
client_plan(struct plex_ctx *ctx, int s, int count)
{
    struct plex_plan plan = {.set = PLEX_PLAN_STRATEGY | PLEX_PLAN_INTENSITY,
                             .strategy = step_strategy(count),
                             .intensity = step_intensity(count)};

    return plex_supervisor_plan(ctx, the_world->refs[s], &plan);
}

static int
client_call(struct plex_ctx *ctx, enum plex_supervisor_verb verb, int c)
{
    struct plex_child child;
    struct plex_ref started;
    const struct plex_supervisor_request request = {.verb = verb,
                                                    .id = the_world->ids[c],
                                                    .child = &child,
                                                    .out = &started,
                                                    .out_max = 1};

    child_make(the_world, c, &child, BITE_NONE);
    return plex_supervisor_call(
        ctx, the_world->refs[the_world->tree->nodes[c].parent], &request);
}

/* The verb, about whom, and of a plan its count. */
static int
client_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *name;
    int order[3], status;

    memcpy(order, msg->payload, sizeof order);
    if (order[0] == PLEX_SUP_PLAN)
        status = client_plan(ctx, order[1], order[2]);
    else
        status =
            client_call(ctx, (enum plex_supervisor_verb)order[0], order[1]);
    name = status >= 0 ? "OK" : plex_status_name((enum plex_status) - status);
    tree_log_add(the_world->log, -1, 0, '=', order[1], name);
    the_world->asking--;
    return 0;
}
static const struct plex_behaviour client_behaviour = {
    .name = "client", .handle_call = client_cast};

/* -- what is seen -- */

static int
life_of(struct world *w, struct plex_ref ref, int sup)
{
    for (size_t i = w->n_lives; i-- > 0;) {
        if (plex_ref_is(w->lives[i].ref, ref))
            return w->lives[i].life;
    }
    if (w->n_lives == REFS_MAX) {
        w->endless = true; /* settle() ends it */
        return 0;
    }
    w->lives[w->n_lives] = (struct life){ref, sup, ++w->said[sup]};
    return w->lives[w->n_lives++].life;
}

static void
on_event(void *arg, const struct rt_event *event)
{
    static const char marks[] = "?+-^!";
    struct world *w = arg;
    int c, s;

    if (plex_ref_none(event->supervisor) || event->kind > RT_GAVE_UP)
        return;
    c = atoi(event->child);
    s = w->tree->nodes[c].parent;
    if (w->tree->nodes[c].sup &&
        (event->kind == RT_STARTED || event->kind == RT_RESTARTED))
        w->refs[c] = event->process;
    tree_log_add(w->log, s, life_of(w, event->supervisor, s),
                 marks[event->kind], c,
                 event->kind == RT_STOPPED ? event->reason : "");
}

/* -- two nodes -- */

/* Who carries signals tells the spawner when the other node is lost before it
 * has answered. */
static void
spawns_note(struct world *w, const struct rt_signal *signal)
{
    if (signal->kind == RT_SPAWN) {
        assert(w->n_spawns < 64);
        w->spawns[w->n_spawns++] =
            (struct plex_from){signal->from, signal->call};
    }
    for (size_t i = 0; i < w->n_spawns && signal->kind == RT_SPAWNED; i++) {
        if (plex_ref_is(w->spawns[i].ref, signal->to) &&
            w->spawns[i].call == signal->call)
            w->spawns[i--] = w->spawns[--w->n_spawns];
    }
}

static void
spawns_lost(struct world *w)
{
    while (w->n_spawns > 0) {
        const struct plex_from *lost = &w->spawns[--w->n_spawns];
        const struct rt_signal signal = {.kind = RT_SPAWNED,
                                         .from = {w->there_node, 0},
                                         .to = lost->ref,
                                         .where = {"t", "n"},
                                         .name = "",
                                         .text = "",
                                         .reason = "noconnection",
                                         .call = lost->call,
                                         .status = -PLEX_UNAVAILABLE};

        rt_deliver(w->here, &signal);
    }
}

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    struct world *w = arg;
    struct queued *at;

    if (w->there == NULL || (signal->to.id != 0 && signal->to.node != HERE &&
                             signal->to.node != w->there_node))
        return false;
    if (signal->kind == RT_JOIN || signal->kind == RT_LEAVE)
        return true;
    if (signal->kind == RT_SPAWN)
        spawns_note(w, signal);
    assert(w->queue_count < QUEUE_MAX);
    at = &w->queue[(w->queue_head + w->queue_count++) % QUEUE_MAX];
    at->signal = *signal;
    (void)snprintf(at->text, sizeof at->text, "%s",
                   signal->text == NULL ? "" : signal->text);
    (void)snprintf(at->reason, sizeof at->reason, "%s",
                   signal->reason == NULL ? "" : signal->reason);
    assert(signal->post.len <= sizeof at->payload);
    if (signal->post.len > 0)
        memcpy(at->payload, signal->post.payload, signal->post.len);
    at->signal.text = at->text;
    at->signal.reason = at->reason;
    at->signal.name = "";
    at->signal.where = (struct rt_where){"t", "n"};
    at->signal.post.payload = at->payload;
    at->signal.post.release = NULL;
    return true;
}

static size_t
deliver(struct world *w)
{
    size_t done = 0;

    while (w->queue_count > 0) {
        struct queued *at = &w->queue[w->queue_head];
        bool back = at->signal.from.node == w->there_node;

        if (back) {
            spawns_note(w, &at->signal);
            rt_deliver(w->here, &at->signal);
        } else if (w->there != NULL) {
            rt_deliver(w->there, &at->signal);
        }
        w->queue_head = (w->queue_head + 1) % QUEUE_MAX;
        w->queue_count--;
        done++;
    }
    return done;
}

static const struct plex_behaviour *
find(void *arg, const char *name)
{
    (void)arg;
    for (size_t i = 0; i < sizeof leaf_behaviours / sizeof *leaf_behaviours;
         i++) {
        if (strcmp(leaf_behaviours[i].name, name) == 0)
            return &leaf_behaviours[i];
    }
    return NULL;
}

static struct rt *
node_create(struct world *w, uint64_t node, const char *id)
{
    const struct rt_config config = {.node = node,
                                     .node_id = id,
                                     .seed = w->seed,
                                     .on_event = on_event,
                                     .on_remote = on_remote,
                                     .find = find,
                                     .arg = w};
    struct plex_err err;
    struct rt *rt;
    enum plex_status status = rt_create(&config, &rt, &err);

    assert(status == PLEX_OK);
    return rt;
}

/* -- running -- */

static void
run(struct world *w)
{
    size_t done, all = 0;

    do {
        done = rt_step(w->here, w->now_ns, w->now_ns / 1000000, 1000);
        if (w->there != NULL)
            done += rt_step(w->there, w->now_ns, w->now_ns / 1000000, 1000);
        done += deliver(w);
        all += done;
        if (all > BUDGET) {
            (void)fprintf(stderr, "it does not come to rest\n");
            abort();
        }
    } while (done > 0);
}

/* Nobody here waits for longer than 25 ms but for what comes anyway. */
static void
settle(struct world *w)
{
    uint64_t due;
    int rounds = 0;

    run(w);
    while ((due = rt_due_ns(w->here)) <= w->now_ns + 100000000) {
        if (w->endless || ++rounds > 10 * TREE_ROUNDS_MAX) {
            w->endless = true;
            return;
        }
        w->now_ns = due > w->now_ns ? due : w->now_ns + 1;
        run(w);
    }
}

static void
flags_make(struct world *w, int i, enum tree_bite bite)
{
    const struct tree_node *node = &w->tree->nodes[i];
    struct plex_supervisor *flags = &w->sups[i];

    *flags = (struct plex_supervisor){.strategy = node->strategy,
                                      .intensity = node->intensity,
                                      .period_ms = node->period_ms,
                                      .auto_shutdown = node->auto_shutdown,
                                      .children = w->children[i]};
    if (bite == BITE_INTENSITY)
        flags->intensity++;
    if (bite == BITE_PERIOD)
        flags->period_ms = 1000000000;
    if (bite == BITE_SIBLING && node->strategy == PLEX_REST_FOR_ONE)
        flags->strategy = PLEX_ONE_FOR_ONE;
    for (int k = 0; k < node->n_kids; k++)
        child_make(w, node->kids[bite == BITE_ORDER ? node->n_kids - 1 - k : k],
                   &w->children[i][k], bite);
    w->sup_behaviours[i] =
        (struct plex_behaviour){.name = "sup", .supervisor = flags};
}

struct world *
world_create(const struct tree *tree, uint64_t seed, enum tree_bite bite)
{
    struct world *w = plex_calloc(1, sizeof *w);

    w->tree = tree;
    w->seed = seed;
    w->now_ns = 1000000000;
    w->there_node = 2;
    the_world = w;
    for (int i = 0; i < tree->n; i++) {
        if (tree->nodes[i].sup)
            flags_make(w, i, bite);
    }
    w->here = node_create(w, HERE, "here");
    w->there = node_create(w, w->there_node, "there");
    return w;
}

void
world_free(struct world *w)
{
    rt_stop(w->here);
    rt_free(w->here);
    if (w->there != NULL) {
        rt_stop(w->there);
        rt_free(w->there);
    }
    free(w);
}

static struct plex_ref
spawn(struct world *w, const struct plex_behaviour *behaviour)
{
    const struct plex_spawn how = {.behaviour = behaviour};
    struct plex_ref ref = {0, 0};
    int status =
        rt_spawn(w->here, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref);

    assert(status == 0);
    return ref;
}

void
world_begin(struct world *w, struct tree_log *log)
{
    w->log = log;
    w->client = spawn(w, &client_behaviour);
    w->refs[0] = spawn(w, &w->sup_behaviours[0]);
    settle(w);
}

bool
world_alive(const struct world *w, int i)
{
    struct rt *rt = w->refs[i].node == HERE ? w->here : w->there;
    struct rt_info info;

    if (w->refs[i].id == 0 || rt == NULL ||
        (w->refs[i].node != HERE && w->refs[i].node != w->there_node))
        return false;
    return rt_inspect(rt, w->refs[i], &info) == 0;
}

bool
world_endless(const struct world *w)
{
    return w->endless;
}

uint64_t
world_now_ms(const struct world *w)
{
    return w->now_ns / 1000000;
}

/* Both nodes' processes but the client. */
size_t
world_processes(const struct world *w)
{
    struct rt_stats stats;
    size_t n;

    rt_stats(w->here, &stats);
    n = stats.processes - 1;
    if (w->there != NULL) {
        rt_stats(w->there, &stats);
        n += stats.processes;
    }
    return n;
}

/* As in OTP, when a child whose restart failed is terminated before it is
 * tried again, nobody tries the siblings that were to come after it. */
static void
asked(struct world *w, int c, int parent)
{
    const struct tree_node *sup = &w->tree->nodes[parent];

    w->asked[c] = true;
    if (sup->strategy == PLEX_ONE_FOR_ONE && !w->planned[parent])
        return;
    for (int k = 0; k < sup->n_kids; k++)
        w->asked[sup->kids[k]] = true;
}

static void
request(struct world *w, const struct step *step)
{
    static const enum plex_supervisor_verb verbs[STEP_KINDS] = {
        [STEP_TERMINATE] = PLEX_SUP_TERMINATE,
        [STEP_RESTART] = PLEX_SUP_RESTART,
        [STEP_DELETE] = PLEX_SUP_DELETE,
        [STEP_ADD] = PLEX_SUP_START,
        [STEP_PLAN] = PLEX_SUP_PLAN};
    const bool plans = step->kind == STEP_PLAN;
    const int order[3] = {(int)verbs[step->kind], step->node, step->count};
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST, .payload = order, .len = sizeof order};
    int parent = plans ? step->node : w->tree->nodes[step->node].parent;

    if (parent < 0 || !world_alive(w, parent)) {
        tree_log_add(w->log, -1, 0, '=', step->node, "NOBODY");
        return;
    }
    w->asking++;
    if (step->kind == STEP_TERMINATE || step->kind == STEP_DELETE)
        asked(w, step->node, parent);
    if (plans)
        w->planned[step->node] = true;
    (void)rt_send(w->here, w->client, &post);
}

static void
other_node(struct world *w, bool up)
{
    if (up && w->there == NULL) {
        w->there = node_create(w, ++w->there_node, "there");
    } else if (!up && w->there != NULL) {
        rt_stop(w->there);
        rt_free(w->there);
        w->there = NULL;
        w->queue_count = 0;
        rt_node_down(w->here, w->there_node, "there");
        spawns_lost(w);
    }
}

static void
tell(struct world *w, int i, const char *reason)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST, .payload = reason, .len = strlen(reason) + 1};

    if (world_alive(w, i))
        (void)rt_send(w->refs[i].node == HERE ? w->here : w->there, w->refs[i],
                      &post);
}

static void
signal_exit(struct world *w, int i, const char *reason)
{
    if (world_alive(w, i))
        rt_exit(w->refs[i].node == HERE ? w->here : w->there, w->refs[i],
                reason);
}

static void
act(struct world *w, const struct step *step)
{
    switch (step->kind) {
    case STEP_EXIT:
        tell(w, step->node, step->reason);
        break;
    case STEP_KILL:
        signal_exit(w, step->node, "kill");
        break;
    case STEP_SHUTDOWN:
        signal_exit(w, step->node, "shutdown");
        break;
    case STEP_FAILING:
        w->failing[step->node] = step->count;
        break;
    case STEP_NODE_DOWN:
        other_node(w, false);
        break;
    case STEP_NODE_UP:
        other_node(w, true);
        break;
    default:
        request(w, step);
    }
}

void
world_step(struct world *w, const struct step *step, uint64_t now_ms,
           struct tree_log *log)
{
    w->log = log;
    assert(now_ms * 1000000 >= w->now_ns);
    w->now_ns = now_ms * 1000000;
    act(w, step);
    settle(w);
    if (w->asking > 0) {
        (void)fprintf(stderr, "a supervisor does not answer\n");
        abort();
    }
}

/* -- storms -- */

void
world_storm(struct world *w, const struct step *steps, int n, uint64_t now_ms,
            struct tree_log *log)
{
    w->log = log;
    w->now_ns = now_ms * 1000000;
    for (int i = 0; i < n; i++) {
        act(w, &steps[i]);
        /* Some of them find the others half way. */
        if (i % 3 == 1) {
            (void)rt_step(w->here, w->now_ns, w->now_ns / 1000000,
                          (size_t)steps[i].count);
            (void)deliver(w);
        }
    }
    settle(w);
}
