/* plex-worker: its core, the shell's loops around it, and the actors. */
#include "services/worker/core.h"
#include "tests/sim/aside.h"
#include "tests/sim/flow.h"
#include "tests/sim/sim.h"
#include "tests/sim/visit.h"
#include "tests/sim/watch.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEARTBEAT_MS = 500,
    LEASE_MARGIN_MS = 100,
    APPEND_S = 10,
    READ_S = 5,
    ACTIONS_PER_PUMP = 100000, /* more is a loop */
};

struct worker {
    struct work_core *core;
    struct sim_flows *flows;
    struct sim_asides *asides;
    struct sim_watch table, catalog;
    struct place_table *newest; /* NULL before the first */
    bool draining;
    bool flushing; /* an end of iteration is scheduled */
};

/* The address says which behaviour a type has; those of newer code follow. */
static const char behaviours[2 * SIM_BEHAVIOURS];

static void pump(struct sim *sim, struct sim_node *node);

static struct work_time
now(const struct sim *sim, const struct sim_node *node)
{
    return (struct work_time){sim_mono(sim, node), sim_wall(sim, node)};
}

bool
sim_worker_owns(const struct sim *sim, const struct sim_node *node,
                const struct plex_actor_id *actor, uint64_t *epoch)
{
    const struct worker *worker = node->state;
    const char *url;

    if (!node->up || !work_core_lease_holds(worker->core, sim_mono(sim, node)))
        return false;
    url = work_core_owner(worker->core, actor, NULL, epoch);
    return url != NULL && url[0] == '\0';
}

struct sim_asides *
sim_worker_asides(const struct sim_node *node)
{
    return ((const struct worker *)node->state)->asides;
}

/* -- actors ---------------------------------------------------------------- */

static void
handle(struct sim *sim, struct sim_node *node, const struct work_action *run)
{
    const struct worker *worker = node->state;
    const size_t at = (size_t)((const char *)run->run.user - behaviours);
    const enum sim_behaviour behaviour =
        (enum sim_behaviour)(at % SIM_BEHAVIOURS);

    if (behaviour >= SIM_FLOW)
        sim_flows_run(worker->flows, run, behaviour,
                      (int)(at / SIM_BEHAVIOURS));
    else if (behaviour == SIM_VOLATILE)
        sim_asides_run(worker->asides, run);
    else
        sim_visit_run(sim, node, run,
                      &(struct sim_visitor){worker->core, pump, behaviour});
}

/* -- what the core wants --------------------------------------------------- */

static void
answer(struct sim *sim, struct sim_node *node, const struct work_action *action)
{
    struct worker *worker = node->state;
    struct sim_msg *reply;
    struct work_reply unpacked = {.content_type = "", .error = ""};
    struct plex_err err = {0};

    if (action->answer.status == PLEX_OK && action->answer.needs_lease &&
        !work_core_lease_holds(worker->core, sim_mono(sim, node))) {
        sim_refuse(sim, action->token, PLEX_UNKNOWN, "the lease is over");
        return;
    }
    reply = sim_msg_make();
    reply->status = action->answer.status;
    reply->text = sim_copy_text(
        reply, action->answer.text != NULL ? action->answer.text : "");
    if (reply->status == PLEX_OK) {
        const enum plex_status status = work_reply_unpack(
            action->answer.reply, &reply->arena, &unpacked, &err);

        assert(status == PLEX_OK);
        (void)status;
        unpacked.replayed = action->answer.replayed;
        unpacked.recorded = action->answer.recorded;
    }
    unpacked.table_version = action->answer.table_version;
    sim_put_reply(reply, &unpacked);
    sim_answer(sim, action->token, reply);
}

static void
append_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
            const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    work_core_appended(worker->core, now(sim, node), token, reply->status,
                       reply->text, reply->results, reply->n);
    pump(sim, node);
}

static void
load_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
          const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    work_core_loaded(worker->core, now(sim, node), token, reply->status,
                     reply->text, reply->loaded);
    pump(sim, node);
}

static void
fence_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
           const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    sim_trace(sim, -1, node, "fence: %s %s", plex_status_name(reply->status),
              reply->text);
    work_core_fenced(worker->core, now(sim, node), token, reply->status,
                     reply->epoch);
    pump(sim, node);
}

static void
pendings_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
              const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    sim_trace(sim, -1, node, "pendings: %s, %zu of them",
              plex_status_name(reply->status), reply->n);
    work_core_pendings(worker->core, now(sim, node), token, reply->status,
                       reply->items, reply->n, reply->after,
                       reply->next_due_ms);
    pump(sim, node);
}

static void
lookup_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
            const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    sim_trace(sim, -1, node, "looked up: %s", plex_status_name(reply->status));
    work_core_looked_up(worker->core, now(sim, node), token, reply->status,
                        reply->text, reply->results, reply->n);
    pump(sim, node);
}

static void
send_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
          const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    if (reply->status != PLEX_OK)
        sim_trace(sim, -1, node, "was not heard: %s %s",
                  plex_status_name(reply->status), reply->text);
    work_core_sent(worker->core, now(sim, node), token, reply->status,
                   reply->reply);
    pump(sim, node);
}

/* As entries, of which only these parts are looked at. */
static void
put_asked(struct sim_msg *msg, const struct journal_asked *asked, size_t n)
{
    struct journal_entry *entries = plex_calloc(n, sizeof *entries);

    for (size_t i = 0; i < n; i++) {
        entries[i].kind = JOURNAL_TURN;
        entries[i].actor = asked[i].actor;
        entries[i].message_id = asked[i].message_id;
    }
    sim_put_entries(msg, entries, n);
    free(entries);
}

static void
ask(struct sim *sim, struct sim_node *node, const struct work_action *action)
{
    struct sim_request request = {
        .from = node,
        .url = sim->journal->url,
        .msg = sim_msg_make(),
        .timeout_ns = READ_S * SIM_S,
        .retry = true,
        .token = action->token,
    };
    struct sim_msg *msg = request.msg;

    switch (action->kind) {
    case WORK_DO_APPEND:
        request.method = SIM_APPEND;
        request.timeout_ns = APPEND_S * SIM_S;
        request.done = append_done;
        sim_put_entries(msg, action->append.entries, action->append.n);
        break;
    case WORK_DO_LOAD:
        request.method = SIM_LOAD;
        request.done = load_done;
        msg->load = action->load;
        msg->load.actor = sim_copy_actor(msg, &action->load.actor);
        break;
    case WORK_DO_FENCE:
        request.method = SIM_FENCE;
        request.done = fence_done;
        msg->ranges = sim_copy(msg, action->fence.ranges,
                               action->fence.n * sizeof *msg->ranges);
        msg->n = action->fence.n;
        break;
    case WORK_DO_LOOKUP:
        request.method = SIM_LOOKUP;
        request.done = lookup_done;
        put_asked(msg, action->lookup.asked, action->lookup.n);
        break;
    case WORK_DO_PENDINGS:
        request.method = SIM_PENDINGS;
        request.done = pendings_done;
        msg->first = action->pendings.first;
        msg->last = action->pendings.last;
        msg->limit = action->pendings.limit;
        msg->until_ms = action->pendings.until_ms;
        msg->after = sim_copy_bytes(msg, action->pendings.after);
        break;
    default:
        assert(action->kind == WORK_DO_SEND);
        request.method = SIM_INVOKE;
        request.done = send_done;
        request.retry = false;
        request.url = action->send.url;
        request.timeout_ns = action->send.timeout_ms * SIM_MS;
        sim_put_message(msg, action->send.message);
        sim_trace(sim, sim_key_of(&action->send.message->to), node,
                  "tells %s/%s to %s", action->send.message->to.type,
                  action->send.message->to.key, action->send.url);
        break;
    }
    (void)sim_rpc(sim, &request);
}

static void
abandon(struct worker *worker, uint64_t activation)
{
    sim_flows_abandon(worker->flows, activation);
    sim_asides_abandon(worker->asides, activation);
}

static void
actions(struct sim *sim, struct sim_node *node)
{
    struct worker *worker = node->state;
    struct work_action action;
    unsigned n = 0;

    while (work_core_next(worker->core, &action)) {
        if (++n > ACTIONS_PER_PUMP) {
            sim_fail(sim, -1, "stuck: %s goes round in circles", node->name);
            return;
        }
        if (action.kind == WORK_DO_RUN)
            handle(sim, node, &action);
        else if (action.kind == WORK_DO_ANSWER)
            answer(sim, node, &action);
        else if (action.kind == WORK_DO_REVOKE)
            sim_flows_revoke(worker->flows, action.revoke.activation);
        else if (action.kind == WORK_DO_ABANDON)
            abandon(worker, action.abandon.activation);
        else
            ask(sim, node, &action);
    }
}

/* The end of the loop's iteration. */
static void
on_flush(struct sim *sim, struct sim_node *node, void *arg)
{
    struct worker *worker = node->state;
    uint64_t due;

    (void)arg;
    worker->flushing = false;
    work_core_flush(worker->core);
    actions(sim, node);
    due = work_core_due_in(worker->core, now(sim, node));
    sim_wake_at(sim, node, due == UINT64_MAX ? due : sim_mono(sim, node) + due);
}

static void
pump(struct sim *sim, struct sim_node *node)
{
    struct worker *worker = node->state;

    actions(sim, node);
    if (worker->flushing)
        return;
    worker->flushing = true;
    sim_after(sim, node, sim_between(sim, 0, 30 * SIM_US), on_flush, NULL,
              NULL);
}

static void
wake(struct sim *sim, struct sim_node *node)
{
    work_core_tick(((struct worker *)node->state)->core, now(sim, node));
    pump(sim, node);
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct worker *worker = node->state;
    struct plex_context context = call->msg->context;

    assert(call->method == SIM_INVOKE);
    context.deadline = call->deadline;
    work_core_deliver(worker->core, now(sim, node), call->id, &context,
                      call->msg->message);
    pump(sim, node);
}

/* -- the shell's loops ----------------------------------------------------- */

static bool
owns_something(const struct sim_node *node)
{
    const struct worker *worker = node->state;
    const struct place_table *table = worker->newest;

    for (size_t i = 0; table != NULL && i < table->n_ranges; i++) {
        const int32_t at = table->ranges[i].worker;

        if (table->ranges[i].moving ||
            (at >= 0 && table->workers[at].incarnation == node->incarnation))
            return true;
    }
    return false;
}

static void
on_back(struct sim *sim, struct sim_node *node, void *arg)
{
    struct sim_node *worker = arg;

    (void)node;
    if (!worker->up)
        sim_start(sim, worker);
}

/* It ends; whoever drained it starts it again, as an upgrade would. */
static void
on_left(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)arg;
    sim_crash(sim, node);
    sim_after(sim, NULL, sim_between(sim, SIM_MS, SIM_S), on_back, node, NULL);
}

static void
leave_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
           const struct sim_msg *reply)
{
    (void)arg, (void)token, (void)reply;
    sim_after(sim, node, SIM_MS, on_left, NULL, NULL);
}

static void
leave(struct sim *sim, struct sim_node *node)
{
    struct sim_msg *msg = sim_msg_make();

    sim_trace(sim, -1, node, "has no shards left and leaves");
    msg->heartbeat.node_id = node->name;
    msg->heartbeat.incarnation = node->incarnation;
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = node,
                           .url = sim->placement->url,
                           .method = SIM_LEAVE,
                           .msg = msg,
                           .timeout_ns = SIM_S,
                           .done = leave_done,
                       });
}

static void
table_changed(struct sim *sim, struct sim_node *node,
              const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    place_table_unref(worker->newest);
    worker->newest = place_table_ref(reply->table);
    work_core_table(worker->core, now(sim, node), reply->table);
    sim_trace(sim, -1, node, "applies table %" PRIu64, reply->version);
    sim_check_leases(sim);
    pump(sim, node);
    if (worker->draining && !owns_something(node))
        leave(sim, node);
}

static void
catalog_changed(struct sim *sim, struct sim_node *node,
                const struct sim_msg *reply)
{
    struct worker *worker = node->state;
    struct work_type types[16] = {0};
    size_t n_apps, n = 0;
    const struct reg_app *apps = reg_catalog_apps(reply->catalog, &n_apps);

    for (size_t a = 0; a < n_apps; a++)
        for (size_t i = 0; i < apps[a].n_types && n < 16; i++) {
            const struct reg_actor_type *type = &apps[a].types[i];
            const char digit = apps[a].version[strlen(apps[a].version) - 1];
            size_t b = 0;

            while (strcmp(sim_type_name((enum sim_behaviour)b), type->name) !=
                   0)
                b++;
            types[n++] = (struct work_type){
                .tenant = apps[a].tenant,
                .ns = apps[a].ns,
                .name = type->name,
                .state = apps[a].state == REG_APP_RUNNING ? WORK_TYPE_RUNNING
                                                          : WORK_TYPE_STOPPED,
                .durable = type->durable,
                .idle_timeout_ms =
                    b == SIM_COUNTER ? 20 : type->idle_timeout_ms,
                .mailbox_max = type->mailbox_max,
                .snapshot_every = type->snapshot_every,
                .schema_version = 1,
                .sourced = sim_flow_sourced((enum sim_behaviour)b),
                .reentrancy = b == SIM_VOLATILE ? WORK_REENTRANT_ALWAYS
                                                : WORK_REENTRANT_NONE,
                .user = behaviours + b +
                        (b == SIM_FLOW && digit % 2 != 0 ? SIM_BEHAVIOURS : 0),
            };
        }
    work_core_types(worker->core, now(sim, node), types, n);
    pump(sim, node);
}

static void
heartbeat_done(struct sim *sim, struct sim_node *node, void *arg,
               uint64_t token, const struct sim_msg *reply)
{
    struct worker *worker = node->state;

    (void)arg;
    if (reply->status != PLEX_OK) {
        sim_trace(sim, -1, node, "heartbeat: %s %s",
                  plex_status_name(reply->status), reply->text);
        return;
    }
    if (reply->lease_ms > LEASE_MARGIN_MS)
        work_core_lease(worker->core, now(sim, node),
                        token + (reply->lease_ms - LEASE_MARGIN_MS) * SIM_MS,
                        reply->version);
    sim_watch_hint(sim, &worker->table, reply->version);
    sim_check_leases(sim);
    pump(sim, node);
}

static void
announced(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
          const struct sim_msg *reply)
{
    (void)sim, (void)node, (void)arg, (void)token, (void)reply;
}

static void
announce(struct sim *sim, struct sim_node *node)
{
    struct sim_msg *msg = sim_msg_make();

    msg->node = (struct reg_node){
        .node_id = node->name,
        .kind = "worker",
        .status = REG_NODE_READY,
        .url = node->url,
        .admin_addr = "",
        .incarnation = node->incarnation,
        .version = "0",
        .reason = "",
    };
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = node,
                           .url = sim->registry->url,
                           .method = SIM_ANNOUNCE,
                           .msg = msg,
                           .timeout_ns = SIM_S,
                           .done = announced,
                       });
}

static void
on_heartbeat(struct sim *sim, struct sim_node *node, void *arg)
{
    struct worker *worker = node->state;
    struct sim_msg *msg = sim_msg_make();

    (void)arg;
    msg->heartbeat = (struct place_heartbeat){
        .node_id = node->name,
        .url = node->url,
        .incarnation = node->incarnation,
        .pool = "default",
        .applied_version = work_core_applied_version(worker->core),
        .draining = worker->draining,
    };
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = node,
                           .url = sim->placement->url,
                           .method = SIM_HEARTBEAT,
                           .msg = msg,
                           .timeout_ns = SIM_S,
                           .done = heartbeat_done,
                           .token = sim_mono(sim, node),
                       });
    announce(sim, node);
    sim_after(sim, node, HEARTBEAT_MS * SIM_MS, on_heartbeat, NULL, NULL);
}

void
sim_worker_drain(struct sim *sim, struct sim_node *node)
{
    struct worker *worker = node->state;

    sim_trace(sim, -1, node, "drains");
    worker->draining = true;
}

static void
start(struct sim *sim, struct sim_node *node)
{
    struct worker *worker = plex_calloc(1, sizeof *worker);
    struct work_core_config config = work_core_defaults;

    config.node_id = node->name;
    config.incarnation = node->incarnation;
    config.hash_seed = sim->config.seed;
    config.ahead_max = 1 + (uint32_t)(sim->config.seed % 7);
    config.unsafe_no_dedup = sim->config.unsafe_no_dedup;
    config.unsafe_reply_before_commit = sim->config.unsafe_reply_before_commit;
    config.unsafe_timer_early = sim->config.unsafe_timer_early;
    config.unsafe_timer_edge = sim->config.unsafe_timer_edge;
    config.unsafe_timer_unseen = sim->config.unsafe_timer_unseen;
    config.window_pends = 2; /* timers leave memory whenever they may */
    node->state = worker;
    worker->core = work_core_create(&config);
    worker->flows = sim_flows_create(sim, node, worker->core, pump);
    worker->asides = sim_asides_create(sim, node, worker->core, pump);
    worker->table = (struct sim_watch){.node = node,
                                       .of = sim->placement,
                                       .method = SIM_TABLE,
                                       .changed = table_changed};
    worker->catalog = (struct sim_watch){.node = node,
                                         .of = sim->registry,
                                         .method = SIM_CATALOG,
                                         .changed = catalog_changed};
    sim_watch_start(sim, &worker->table);
    sim_watch_start(sim, &worker->catalog);
    on_heartbeat(sim, node, NULL);
}

static void
stop(struct sim *sim, struct sim_node *node)
{
    struct worker *worker = node->state;

    (void)sim;
    sim_flows_free(worker->flows);
    sim_asides_free(worker->asides);
    work_core_free(worker->core);
    place_table_unref(worker->newest);
    free(worker);
}

const struct sim_kind sim_kind_worker = {
    .name = "worker",
    .start = start,
    .stop = stop,
    .serve = serve,
    .wake = wake,
};
