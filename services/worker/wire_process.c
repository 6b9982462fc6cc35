#include "services/worker/wire_process.h"

#include "common/json_pb.h"
#include "common/name.h"
#include "common/utf8.h"
#include "common/wire.h"
#include "plexspaces/actor/v1/actor.pb-c.h"
#include "plexspaces/worker/v1/worker.pb-c.h"
#include "services/placement/client.h"
#include "services/registry/client.h"
#include "services/worker/node_stats.h"

#include <stdlib.h>
#include <string.h>

#define ACTOR(name) Plexspaces__Actor__V1__##name
#define WORKER(name) Plexspaces__Worker__V1__##name
#define ACTOR_TYPE(name) &plexspaces__actor__v1__##name##__descriptor

enum {
    REASON_MAX = 255,
    PAGE_DEFAULT = 1000,
    WAIT_MS_MAX = 30000,
    FACET_PAIRS_MAX = 32,
    OP_MAX = 32
};

/* -- requests -------------------------------------------------------------- */

enum plex_status
work_events_request_unpack(struct plex_bytes in, struct plex_arena *arena,
                           struct work_events_request *out,
                           struct plex_err *err)
{
    const WORKER(EventsRequest) * pb;
    ProtobufCMessage *message;

    if (plex_wire_unpack(&plexspaces__worker__v1__events_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    if (pb->limit > WORK_EVENTS_PAGE || pb->wait_ms > WAIT_MS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "limit is at most %d, wait_ms at most %d",
                            WORK_EVENTS_PAGE, WAIT_MS_MAX);
    *out = (struct work_events_request){
        pb->incarnation,
        pb->after,
        pb->limit == 0 ? WORK_EVENTS_PAGE : pb->limit,
        pb->wait_ms,
        pb->tenant,
        pb->tail,
    };
    return PLEX_OK;
}

static enum plex_status
common_check(struct work_process_request *out, bool list, struct plex_err *err)
{
    if (out->ns[0] == '\0' && !list)
        out->ns = "default";
    if (out->ns[0] != '\0' &&
        plex_name_namespace(out->ns, strlen(out->ns), err) != PLEX_OK)
        return err->status;
    if (!list && out->process[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "which process? give its name, \"name@node\" or "
                            "ref");
    return PLEX_OK;
}

static enum plex_status
list_in(const void *message, struct work_process_request *out,
        struct plex_err *err)
{
    const ACTOR(ListProcessesRequest) *pb = message;

    out->ns = pb->namespace_;
    out->supervisors = pb->supervisors;
    out->page_size = pb->page_size == 0 ? PAGE_DEFAULT : pb->page_size;
    if (out->page_size > WORK_PROCESSES_PAGE)
        return plex_err_set(err, PLEX_INVALID, "page_size is %u, at most %d",
                            out->page_size, WORK_PROCESSES_PAGE);
    return common_check(out, true, err);
}

static enum plex_status
exit_in(const void *message, struct work_process_request *out,
        struct plex_err *err)
{
    const ACTOR(ExitProcessRequest) *pb = message;

    out->ns = pb->namespace_;
    out->process = pb->process;
    out->reason = pb->reason[0] == '\0' ? "shutdown" : pb->reason;
    if (strlen(out->reason) > REASON_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "reason is %zu bytes, at most %d",
                            strlen(out->reason), REASON_MAX);
    return common_check(out, false, err);
}

static enum plex_status
start_in(const void *message, struct work_process_request *out,
         struct plex_err *err)
{
    const ACTOR(StartChildRequest) *pb = message;

    out->ns = pb->namespace_;
    out->process = pb->supervisor;
    out->child = pb->id;
    out->module = pb->module;
    out->behaviour = pb->behaviour[0] == '\0' ? pb->module : pb->behaviour;
    out->name = pb->name;
    out->args = pb->args;
    out->node = pb->node;
    out->type = pb->type;
    if (pb->type[0] != '\0' && pb->module[0] != '\0')
        return plex_err_set(err, PLEX_INVALID, "give type or module, not both");
    if (reg_word_parse(REG_WORD_RESTART, pb->restart, &out->restart, err) !=
            PLEX_OK ||
        reg_shutdown_parse(pb->shutdown, &out->shutdown_ms, err) != PLEX_OK)
        return err->status;
    return common_check(out, false, err);
}

static enum plex_status
placement_in(const ACTOR(StartChildRequest) * pb, struct plex_arena *arena,
             struct work_process_request *out, struct plex_err *err)
{
    struct plex_bytes packed;
    json_t *json;
    char *text;

    if (pb->placement == NULL)
        return PLEX_OK;
    if (pb->node[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "give node or placement, not both");
    json = plex_json_from_pb(&pb->placement->base);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    out->placement = plex_arena_strndup(arena, text, strlen(text));
    free(text);
    if (out->placement == NULL)
        return plex_wire_no_room(err);
    return place_client_need_json(out->placement, arena, &packed, err);
}

static enum plex_status
plan_words(const ACTOR(ChangeSupervisorPlanRequest) * pb,
           struct plex_plan *plan, struct plex_err *err)
{
    uint8_t word;

    if (pb->strategy[0] != '\0') {
        if (reg_word_parse(REG_WORD_STRATEGY, pb->strategy, &word, err) !=
            PLEX_OK)
            return err->status;
        plan->strategy = (enum plex_strategy)word;
        plan->set |= PLEX_PLAN_STRATEGY;
    }
    if (pb->auto_shutdown[0] != '\0') {
        if (reg_word_parse(REG_WORD_AUTO_SHUTDOWN, pb->auto_shutdown, &word,
                           err) != PLEX_OK)
            return err->status;
        plan->auto_shutdown = (enum plex_auto_shutdown)word;
        plan->set |= PLEX_PLAN_AUTO_SHUTDOWN;
    }
    return PLEX_OK;
}

static enum plex_status
plan_in(const void *message, struct work_process_request *out,
        struct plex_err *err)
{
    const ACTOR(ChangeSupervisorPlanRequest) *pb = message;
    struct plex_plan *plan = &out->plan;

    out->ns = pb->namespace_;
    out->process = pb->supervisor;
    if (plan_words(pb, plan, err) != PLEX_OK)
        return err->status;
    if (pb->has_intensity_case != 0) {
        plan->intensity = pb->intensity;
        plan->set |= PLEX_PLAN_INTENSITY;
    }
    if (pb->has_period_ms_case != 0) {
        plan->period_ms = pb->period_ms;
        plan->set |= PLEX_PLAN_PERIOD;
    }
    if (pb->has_backoff_initial_ms_case != 0) {
        plan->backoff_initial_ms = pb->backoff_initial_ms;
        plan->backoff_max_ms =
            pb->has_backoff_max_ms_case == 0 ? 0 : pb->backoff_max_ms;
        plan->set |= PLEX_PLAN_BACKOFF;
    } else if (pb->has_backoff_max_ms_case != 0) {
        return plex_err_set(err, PLEX_INVALID,
                            "backoff_max_ms wants backoff_initial_ms beside "
                            "it");
    }
    if (plan->set == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "nothing to change: give strategy, intensity, "
                            "period_ms, auto_shutdown or backoff_initial_ms");
    return common_check(out, false, err);
}

/* Those that name a supervisor and a child, and nothing else. */
static enum plex_status
child_in(const void *message, struct work_process_request *out,
         struct plex_err *err)
{
    const ACTOR(TerminateChildRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(RestartChildRequest), child) ==
                           offsetof(ACTOR(TerminateChildRequest), child) &&
                       offsetof(ACTOR(DeleteChildRequest), child) ==
                           offsetof(ACTOR(TerminateChildRequest), child),
                   "requests that name a child have one layout");
    out->ns = pb->namespace_;
    out->process = pb->supervisor;
    out->child = pb->child;
    if (out->child[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "which child? give its id");
    return common_check(out, false, err);
}

static enum plex_status
named_in(const void *message, struct work_process_request *out,
         struct plex_err *err)
{
    const ACTOR(GetProcessRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(ListChildrenRequest), namespace_) ==
                           offsetof(ACTOR(GetProcessRequest), namespace_) &&
                       offsetof(ACTOR(CountChildrenRequest), namespace_) ==
                           offsetof(ACTOR(GetProcessRequest), namespace_) &&
                       offsetof(ACTOR(ListFacetsRequest), namespace_) ==
                           offsetof(ACTOR(GetProcessRequest), namespace_) &&
                       offsetof(ACTOR(GetSupervisorPlanRequest), namespace_) ==
                           offsetof(ACTOR(GetProcessRequest), namespace_),
                   "requests that name a process have one layout");
    out->ns = pb->namespace_;
    out->process = pb->process;
    return common_check(out, false, err);
}

static enum plex_status
detach_in(const void *message, struct work_process_request *out,
          struct plex_err *err)
{
    const ACTOR(DetachFacetRequest) *pb = message;

    out->ns = pb->namespace_;
    out->process = pb->process;
    out->facet = pb->type;
    if (out->facet[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "which facet? give its type");
    return common_check(out, false, err);
}

static enum plex_status
attach_in(const void *message, struct work_process_request *out,
          struct plex_err *err)
{
    const ACTOR(AttachFacetRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(AttachFacetRequest), type) ==
                       offsetof(ACTOR(DetachFacetRequest), type),
                   "requests that name a facet have one layout");
    out->priority = pb->priority;
    if (pb->n_config > FACET_PAIRS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "config has %zu entries, at most %d", pb->n_config,
                            FACET_PAIRS_MAX);
    return detach_in(message, out, err);
}

static enum plex_status
invoke_in(const void *message, struct work_process_request *out,
          struct plex_err *err)
{
    const ACTOR(InvokeFacetRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(InvokeFacetRequest), type) ==
                       offsetof(ACTOR(DetachFacetRequest), type),
                   "requests that name a facet have one layout");
    out->op = pb->op;
    if (out->op[0] == '\0' || strlen(out->op) > OP_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "op has %zu bytes, it must have 1 to %d",
                            strlen(out->op), OP_MAX);
    return detach_in(message, out, err);
}

static enum plex_status
link_in(const void *message, struct work_process_request *out,
        struct plex_err *err)
{
    const ACTOR(LinkActorRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(LinkActorRequest), linked_actor_id) ==
                       offsetof(ACTOR(UnlinkActorRequest), linked_actor_id),
                   "requests that name two processes have one layout");
    out->ns = pb->namespace_;
    out->process = pb->actor_id;
    out->child = pb->linked_actor_id;
    return common_check(out, false, err);
}

static enum plex_status
monitor_in(const void *message, struct work_process_request *out,
           struct plex_err *err)
{
    const ACTOR(MonitorActorRequest) *pb = message;

    out->ns = pb->namespace_;
    out->process = pb->process;
    out->wait_ms = pb->wait_ms;
    if (pb->wait_ms > WAIT_MS_MAX)
        return plex_err_set(err, PLEX_INVALID, "wait_ms is at most %d",
                            WAIT_MS_MAX);
    return common_check(out, false, err);
}

static enum plex_status
config_in(const ACTOR(AttachFacetRequest) * pb, struct plex_arena *arena,
          struct work_process_request *out, struct plex_err *err)
{
    struct plex_facet_pair *pairs =
        plex_wire_array(arena, pb->n_config, sizeof *pairs);

    if (pairs == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_config; i++)
        pairs[i] =
            (struct plex_facet_pair){pb->config[i]->key, pb->config[i]->value};
    out->config = pairs;
    out->n_config = pb->n_config;
    return PLEX_OK;
}

enum plex_status
work_process_request_unpack(uint32_t method, struct plex_bytes in,
                            struct plex_arena *arena,
                            struct work_process_request *out,
                            struct plex_err *err)
{
    static const struct {
        const ProtobufCMessageDescriptor *type;
        enum plex_status (*read)(const void *message,
                                 struct work_process_request *out,
                                 struct plex_err *err);
    } rows[] = {
        [0] = {ACTOR_TYPE(list_processes_request), list_in},
        [1] = {ACTOR_TYPE(get_process_request), named_in},
        [2] = {ACTOR_TYPE(exit_process_request), exit_in},
        [4] = {ACTOR_TYPE(list_children_request), named_in},
        [5] = {ACTOR_TYPE(count_children_request), named_in},
        [6] = {ACTOR_TYPE(start_child_request), start_in},
        [7] = {ACTOR_TYPE(terminate_child_request), child_in},
        [8] = {ACTOR_TYPE(restart_child_request), child_in},
        [9] = {ACTOR_TYPE(delete_child_request), child_in},
        [10] = {ACTOR_TYPE(list_facets_request), named_in},
        [11] = {ACTOR_TYPE(attach_facet_request), attach_in},
        [12] = {ACTOR_TYPE(detach_facet_request), detach_in},
        [17] = {ACTOR_TYPE(link_actor_request), link_in},
        [18] = {ACTOR_TYPE(unlink_actor_request), link_in},
        [19] = {ACTOR_TYPE(monitor_actor_request), monitor_in},
        [20] = {ACTOR_TYPE(get_supervisor_stats_request), named_in},
        [21] = {ACTOR_TYPE(get_supervisor_plan_request), named_in},
        [22] = {ACTOR_TYPE(change_supervisor_plan_request), plan_in},
        [23] = {ACTOR_TYPE(start_child_request), start_in},
        [25] = {ACTOR_TYPE(invoke_facet_request), invoke_in},
    };
    const uint32_t row = method - WORK_METHOD_LIST_PROCESSES;
    ProtobufCMessage *message;

    *out = (struct work_process_request){.ns = "",
                                         .process = "",
                                         .reason = "",
                                         .child = "",
                                         .type = "",
                                         .module = "",
                                         .behaviour = "",
                                         .name = "",
                                         .args = "",
                                         .node = "",
                                         .placement = "",
                                         .facet = "",
                                         .op = ""};
    if (plex_wire_unpack(rows[row].type, in, arena, &message, err) != PLEX_OK)
        return err->status;
    if (rows[row].read(message, out, err) != PLEX_OK)
        return err->status;
    if (method == WORK_METHOD_GET_STATS)
        return work_stats_in(message, out, err);
    if (method == WORK_METHOD_ATTACH_FACET)
        return config_in((const void *)message, arena, out, err);
    return method == WORK_METHOD_START_CHILD ||
                   method == WORK_METHOD_CHANGE_CHILD
               ? placement_in((const void *)message, arena, out, err)
               : PLEX_OK;
}

/* -- answers --------------------------------------------------------------- */

/* Users name things as they like; strings on the wire are UTF-8. */
static char *
clean(const char *text, struct plex_arena *arena)
{
    size_t len;
    char *copy;

    if (text == NULL)
        text = "";
    len = strlen(text);
    if (plex_utf8_valid((const uint8_t *)text, len))
        return plex_wire_text(text);
    copy = plex_arena_strndup(arena, text, len);
    for (size_t i = 0; copy != NULL && i < len; i++)
        if ((unsigned char)copy[i] >= 0x80)
            copy[i] = '?';
    return copy == NULL ? plex_wire_text("") : copy;
}

static char *
ref_out(struct plex_ref ref, struct plex_arena *arena)
{
    char text[NODE_REF_TEXT], *copy;

    (void)node_ref_text(ref, text);
    copy = plex_arena_strndup(arena, text, strlen(text));
    return copy == NULL ? plex_wire_text("") : copy;
}

static void
process_out(const struct work_node *node, const struct rt_info *in,
            struct plex_arena *arena, ACTOR(Process) * out)
{
    char label[sizeof in->behaviour];

    plexspaces__actor__v1__process__init(out);
    (void)snprintf(label, sizeof label, "%.*s", (int)node_label(in->behaviour),
                   in->behaviour);
    out->ref = ref_out(in->ref, arena);
    out->name = clean(in->name, arena);
    out->node_id = plex_wire_text(node->config.host->base->node);
    out->namespace_ = clean(in->where.ns, arena);
    out->behaviour = plex_arena_strndup(arena, label, strlen(label));
    if (out->behaviour == NULL)
        out->behaviour = plex_wire_text("");
    out->state = plex_wire_text(in->state);
    out->is_supervisor = in->is_supervisor;
    out->supervisor = ref_out(in->supervisor, arena);
    out->child = clean(in->child, arena);
    out->parent = ref_out(in->parent, arena);
    out->mailbox_length = in->mailbox;
    out->links = in->links;
    out->monitors = in->monitors;
    out->messages_total = in->messages;
    out->running_ms = in->running_ns / 1000000;
    out->bytes = in->bytes;
    out->trap_exit = in->trap_exit;
    out->health = plex_wire_text(node_health(node, in));
}

enum plex_status
work_processes_pack(const struct work_node *node, const struct rt_info *infos,
                    size_t n, bool truncated, struct plex_arena *arena,
                    struct plex_buf *out, struct plex_err *err)
{
    ACTOR(ListProcessesResponse)
    pb = PLEXSPACES__ACTOR__V1__LIST_PROCESSES_RESPONSE__INIT;
    ACTOR(Process) *rows = plex_wire_array(arena, n, sizeof *rows);

    pb.processes = plex_wire_array(arena, n, sizeof *pb.processes);
    if (rows == NULL || pb.processes == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        process_out(node, &infos[i], arena, &rows[i]);
        pb.processes[i] = &rows[i];
    }
    pb.n_processes = n;
    pb.truncated = truncated;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_process_pack(const struct work_node *node, const struct rt_info *info,
                  struct plex_arena *arena, struct plex_buf *out,
                  struct plex_err *err)
{
    /* EXIT's answer looks the same: a process in field 1. */
    ACTOR(GetProcessResponse)
    pb = PLEXSPACES__ACTOR__V1__GET_PROCESS_RESPONSE__INIT;
    ACTOR(Process) process;

    process_out(node, info, arena, &process);
    pb.process = &process;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_children_pack(const struct plex_child_info *children, size_t n,
                   struct plex_arena *arena, struct plex_buf *out,
                   struct plex_err *err)
{
    ACTOR(ListChildrenResponse)
    pb = PLEXSPACES__ACTOR__V1__LIST_CHILDREN_RESPONSE__INIT;
    ACTOR(ChildInfo) *rows = plex_wire_array(arena, n, sizeof *rows);

    pb.children = plex_wire_array(arena, n, sizeof *pb.children);
    if (rows == NULL || pb.children == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        plexspaces__actor__v1__child_info__init(&rows[i]);
        rows[i].id = clean(children[i].id, arena);
        rows[i].ref = ref_out(children[i].ref, arena);
        rows[i].restart = plex_wire_text(
            reg_word_text(REG_WORD_RESTART, (uint8_t)children[i].restart));
        rows[i].is_supervisor = children[i].is_supervisor;
        rows[i].restarting = children[i].restarting;
        rows[i].significant = children[i].significant;
        rows[i].restarts = children[i].restarts;
        pb.children[i] = &rows[i];
    }
    pb.n_children = n;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_count_pack(const struct plex_child_count *count, struct plex_buf *out,
                struct plex_err *err)
{
    ACTOR(CountChildrenResponse)
    pb = PLEXSPACES__ACTOR__V1__COUNT_CHILDREN_RESPONSE__INIT;

    pb.specs = count->specs;
    pb.active = count->active;
    pb.supervisors = count->supervisors;
    pb.workers = count->workers;
    return plex_wire_pack(&pb.base, out, err);
}

/* GET's and CHANGE's answers look the same: the plan in field 1. */
enum plex_status
work_plan_pack(const struct plex_plan *plan, struct plex_buf *out,
               struct plex_err *err)
{
    ACTOR(GetSupervisorPlanResponse)
    pb = PLEXSPACES__ACTOR__V1__GET_SUPERVISOR_PLAN_RESPONSE__INIT;
    ACTOR(SupervisorPlan)
    inner = PLEXSPACES__ACTOR__V1__SUPERVISOR_PLAN__INIT;

    inner.strategy = plex_wire_text(
        reg_word_text(REG_WORD_STRATEGY, (uint8_t)plan->strategy));
    inner.intensity = plan->intensity;
    inner.period_ms = plan->period_ms;
    inner.auto_shutdown = plex_wire_text(
        reg_word_text(REG_WORD_AUTO_SHUTDOWN, (uint8_t)plan->auto_shutdown));
    inner.backoff_initial_ms = plan->backoff_initial_ms;
    inner.backoff_max_ms = plan->backoff_max_ms;
    pb.plan = &inner;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_ref_pack(struct plex_ref ref, struct plex_buf *out, struct plex_err *err)
{
    /* START's and RESTART's answers look the same: a ref in field 1. */
    ACTOR(StartChildResponse)
    pb = PLEXSPACES__ACTOR__V1__START_CHILD_RESPONSE__INIT;
    char text[NODE_REF_TEXT];

    pb.ref = plex_wire_text(node_ref_text(ref, text));
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_down_pack(struct plex_ref process, const char *reason, bool down,
               struct plex_arena *arena, struct plex_buf *out,
               struct plex_err *err)
{
    ACTOR(MonitorActorResponse)
    pb = PLEXSPACES__ACTOR__V1__MONITOR_ACTOR_RESPONSE__INIT;
    char text[NODE_REF_TEXT];

    pb.process = plex_wire_text(node_ref_text(process, text));
    pb.down = down;
    pb.reason = clean(reason, arena);
    return plex_wire_pack(&pb.base, out, err);
}

const char *
work_event_type(enum rt_event_kind kind)
{
    static const char *const types[] = {
        [RT_STARTED] = "started",     [RT_STOPPED] = "stopped",
        [RT_RESTARTED] = "restarted", [RT_GAVE_UP] = "gave_up",
        [RT_STUCK] = "stuck",         [RT_RESUMED] = "resumed",
        [RT_ACTIVATED] = "activated", [RT_DEACTIVATED] = "deactivated",
        [RT_FACET] = "facet",
    };

    return kind < sizeof types / sizeof *types && types[kind] != NULL
               ? types[kind]
               : "";
}

static void
event_out(const struct work_node *node, const struct node_event *in,
          struct plex_arena *arena, ACTOR(Event) * out)
{
    plexspaces__actor__v1__event__init(out);
    out->sequence = in->sequence;
    out->node_id = plex_wire_text(node->config.host->base->node);
    out->wall_ms = in->wall_ms;
    out->type = plex_wire_text(work_event_type(in->kind));
    out->process = ref_out(in->process, arena);
    out->name = clean(in->name, arena);
    out->namespace_ = clean(in->ns_name, arena);
    out->supervisor = clean(in->supervisor_name, arena);
    out->child = clean(in->child, arena);
    out->behaviour = clean(in->behaviour, arena);
    out->reason = clean(in->reason, arena);
    out->count = in->count;
    out->stuck_ms = in->ns / 1000000;
}

enum plex_status
work_events_reply_pack(const struct work_node *node, uint64_t next,
                       const struct node_event *const *events, size_t n,
                       struct plex_arena *arena, struct plex_buf *out,
                       struct plex_err *err)
{
    WORKER(EventsReply) pb = PLEXSPACES__WORKER__V1__EVENTS_REPLY__INIT;
    ACTOR(Event) *rows = plex_wire_array(arena, n, sizeof *rows);

    pb.events = plex_wire_array(arena, n, sizeof *pb.events);
    if (rows == NULL || pb.events == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        event_out(node, events[i], arena, &rows[i]);
        pb.events[i] = &rows[i];
    }
    pb.n_events = n;
    pb.incarnation = node->config.host->incarnation;
    pb.next = next;
    pb.lost = atomic_load(&node->events_lost);
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_facet_result_pack(const char *result, struct plex_buf *out,
                       struct plex_err *err)
{
    ACTOR(InvokeFacetResponse)
    response = PLEXSPACES__ACTOR__V1__INVOKE_FACET_RESPONSE__INIT;

    response.result = plex_wire_text(result);
    return plex_wire_pack(&response.base, out, err);
}

enum plex_status
work_facets_pack(const char *lines, struct plex_arena *arena,
                 struct plex_buf *out, struct plex_err *err)
{
    ACTOR(ListFacetsResponse)
    response = PLEXSPACES__ACTOR__V1__LIST_FACETS_RESPONSE__INIT;
    ACTOR(AttachedFacet) * rows;
    size_t n = 0;

    for (const char *at = lines; *at != '\0'; at++)
        n += *at == '\n';
    rows = plex_wire_array(arena, n, sizeof *rows);
    response.facets = plex_wire_array(arena, n, sizeof *response.facets);
    if (rows == NULL || response.facets == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const size_t len = strcspn(lines, "\n"),
                     digits = strspn(lines, "0123456789");

        plexspaces__actor__v1__attached_facet__init(&rows[i]);
        rows[i].priority = (uint32_t)strtoul(lines, NULL, 10);
        rows[i].type =
            plex_arena_strndup(arena, lines + digits + 1, len - digits - 1);
        if (rows[i].type == NULL)
            return plex_wire_no_room(err);
        response.facets[response.n_facets++] = &rows[i];
        lines += len + 1;
    }
    return plex_wire_pack(&response.base, out, err);
}
