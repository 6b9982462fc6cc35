#include "services/placement/wire_schedule.h"

#include "common/name.h"
#include "common/utf8.h"
#include "common/wire.h"
#include "services/placement/client_wire.h"
#include "services/placement/wire.h"

#include "plexspaces/scheduling/v1/scheduling.pb-c.h"

#include <stdio.h>
#include <string.h>

#define PB(name) Plexspaces__Scheduling__V1__##name
#define TYPE(name) &plexspaces__scheduling__v1__##name##__descriptor

enum {
    REQUEST_ID_MAX = 64,
    NAME_MAX_BYTES = 255,
    ARGS_MAX = 64 << 10,
    PAGE_DEFAULT = 50,
    NEED_BYTES_MAX = 16384,
};

/* -- requests -------------------------------------------------------------- */

static enum plex_status
text_check(const char *what, const char *text, size_t max, bool needed,
           struct plex_err *err)
{
    const size_t len = strlen(text);

    if (len > max || (needed && len == 0))
        return plex_err_set(err, PLEX_INVALID,
                            "%s has %zu bytes, it must have %d to %zu", what,
                            len, needed, max);
    return PLEX_OK;
}

/* Requests of children begin with a worker's incarnation, so these differ. */
static enum plex_status
id_in(const char *id, const char *ns, struct plex_arena *arena,
      struct place_schedule *out, struct plex_err *err)
{
    char scoped[PLACE_BOOK_NAME_MAX + 1];

    out->request_id = id;
    out->ns = ns[0] == '\0' ? "default" : ns;
    if (text_check("request_id", id, REQUEST_ID_MAX, true, err) != PLEX_OK ||
        plex_name_plain("namespace", out->ns, strlen(out->ns), err) != PLEX_OK)
        return err->status;
    (void)snprintf(scoped, sizeof scoped, "%s/%s/%s", out->tenant, out->ns, id);
    out->scoped = plex_arena_strndup(arena, scoped, strlen(scoped));
    return out->scoped == NULL ? plex_wire_no_room(err) : PLEX_OK;
}

static enum plex_status
need_in(const Plexspaces__Application__V1__Placement *in,
        struct plex_arena *arena, struct place_schedule *out,
        struct plex_err *err)
{
    struct plex_buf packed = {.max = NEED_BYTES_MAX};
    struct place_need need = {0};
    enum plex_status status = PLEX_OK;

    if (in != NULL)
        status = plex_wire_pack(&in->base, &packed, err);
    if (status == PLEX_OK)
        status = place_pb_need_in((struct plex_bytes){packed.data, packed.len},
                                  out->tenant, out->ns, arena, &need, err);
    plex_buf_free(&packed);
    if (status != PLEX_OK)
        return plex_err_wrap(err, "requirements");
    out->ask = (struct place_ask){
        .request_id = out->scoped,
        .actor = out->scoped,
        .marks = need.marks,
        .n_marks = need.n_marks,
        .need = need.need,
    };
    return PLEX_OK;
}

static enum plex_status
schedule_in(const PB(ScheduleActorRequest) * in, struct plex_arena *arena,
            struct place_schedule *out, struct plex_err *err)
{
    if (id_in(in->request_id, in->namespace_, arena, out, err) != PLEX_OK ||
        plex_name_type(in->module, strlen(in->module), err) != PLEX_OK ||
        text_check("behaviour", in->behaviour, PLEX_TYPE_MAX, false, err) !=
            PLEX_OK ||
        text_check("name", in->name, NAME_MAX_BYTES, false, err) != PLEX_OK ||
        text_check("args", in->args, ARGS_MAX, false, err) != PLEX_OK)
        return err->status;
    if (strpbrk(in->name, "/@<") != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "name \"%.40s\" must not have any of \"/@<\"",
                            in->name);
    out->module = in->module;
    out->behaviour = in->behaviour[0] == '\0' ? in->module : in->behaviour;
    out->name = in->name;
    out->args = in->args;
    return need_in(in->requirements, arena, out, err);
}

static enum plex_status
filter_in(char *text, struct plex_arena *arena, struct place_schedule *out,
          struct plex_err *err)
{
    struct place_label *labels =
        plex_wire_array(arena, PLACE_LABELS_MAX, sizeof *labels);
    char *next, *value;

    if (labels == NULL)
        return plex_wire_no_room(err);
    out->labels = labels;
    for (char *at = text; at != NULL && *at != '\0'; at = next) {
        next = strchr(at, ',');
        if (next != NULL)
            *next++ = '\0';
        value = strchr(at, '=');
        if (value == NULL || out->n_labels == PLACE_LABELS_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "labels must be KEY=VALUE,..., at most %d",
                                PLACE_LABELS_MAX);
        *value++ = '\0';
        labels[out->n_labels++] = (struct place_label){at, value};
    }
    return PLEX_OK;
}

enum plex_status
place_wire_schedule(uint32_t method, const char *tenant, struct plex_bytes in,
                    struct plex_arena *arena, struct place_schedule *out,
                    struct plex_err *err)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        TYPE(schedule_actor_request),
        TYPE(get_scheduling_status_request),
        TYPE(get_node_capacity_request),
        TYPE(list_node_capacities_request),
    };
    const PB(GetSchedulingStatusRequest) * status;
    const PB(ListNodeCapacitiesRequest) * list;
    ProtobufCMessage *message;

    *out = (struct place_schedule){.tenant = tenant};
    if (plex_wire_unpack(types[method - PLACE_METHOD_SCHEDULE], in, arena,
                         &message, err) != PLEX_OK)
        return err->status;
    switch (method) {
    case PLACE_METHOD_SCHEDULE:
        return schedule_in((const void *)message, arena, out, err);
    case PLACE_METHOD_STATUS:
        status = (const void *)message;
        return id_in(status->request_id, status->namespace_, arena, out, err);
    case PLACE_METHOD_CAPACITY:
        out->node_id =
            ((const PB(GetNodeCapacityRequest) *)(const void *)message)
                ->node_id;
        return PLEX_OK;
    default:
        list = (const void *)message;
        out->page_token = list->page_token;
        out->page_size = list->page_size == 0 ? PAGE_DEFAULT : list->page_size;
        if (out->page_size > PLACE_PAGE_MAX)
            return plex_err_set(err, PLEX_INVALID, "page_size must be 1 to %d",
                                PLACE_PAGE_MAX);
        return filter_in(list->labels, arena, out, err);
    }
}

/* -- replies --------------------------------------------------------------- */

enum plex_status
place_wire_scheduled(const char *request_id, const struct place_held *held,
                     bool runs, const char *process, struct plex_buf *out,
                     struct plex_err *err)
{
    /* The two answers have the same fields. */
    PB(ScheduleActorResponse)
    reply = PLEXSPACES__SCHEDULING__V1__SCHEDULE_ACTOR_RESPONSE__INIT;
    PB(SchedulingStatus)
    status = PLEXSPACES__SCHEDULING__V1__SCHEDULING_STATUS__INIT;

    status.request_id = plex_wire_text(request_id);
    status.node_id = plex_wire_text(held->node_id);
    status.process = plex_wire_text(process);
    status.state =
        runs
            ? PLEXSPACES__SCHEDULING__V1__SCHEDULING_STATE__SCHEDULING_STATE_SCHEDULED
            : PLEXSPACES__SCHEDULING__V1__SCHEDULING_STATE__SCHEDULING_STATE_PENDING;
    reply.status = &status;
    return plex_wire_pack(&reply.base, out, err);
}

struct capacity_pb {
    PB(NodeCapacity) whole;
    PB(Resources) total, reserved, available;
    char *uncounted[PLACE_RESOURCES];
};

static void
resources_set(const struct place_amounts *in, PB(Resources) * out)
{
    plexspaces__scheduling__v1__resources__init(out);
    out->cpu_millis = in->of[PLACE_CPU];
    out->memory_bytes = in->of[PLACE_MEMORY];
    out->disk_bytes = in->of[PLACE_DISK];
    out->io_bytes = in->of[PLACE_IO];
    out->network_bytes = in->of[PLACE_NETWORK];
    out->gpus = in->of[PLACE_GPU];
}

static PB(NodeCapacity) *
    capacity_out(const struct place_candidate *worker, struct plex_arena *arena)
{
    static const char *const words[] = {
        [PLACE_CPU] = "cpu", [PLACE_MEMORY] = "memory",   [PLACE_DISK] = "disk",
        [PLACE_IO] = "io",   [PLACE_NETWORK] = "network", [PLACE_GPU] = "gpu",
    };
    struct capacity_pb *pb = plex_wire_array(arena, 1, sizeof *pb);
    PB(NodeCapacity__LabelsEntry) *labels =
        plex_wire_array(arena, worker->n_labels, sizeof *labels);
    PB(NodeCapacity__LabelsEntry) **rows =
        plex_wire_array(arena, worker->n_labels, sizeof *rows);
    struct place_amounts total = worker->capacity, available = {{0}};

    if (pb == NULL || labels == NULL || rows == NULL)
        return NULL;
    plexspaces__scheduling__v1__node_capacity__init(&pb->whole);
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        if (total.of[i] == PLACE_UNLIMITED) {
            total.of[i] = 0;
            pb->uncounted[pb->whole.n_uncounted++] = plex_wire_text(words[i]);
        } else if (total.of[i] > worker->reserved.of[i]) {
            available.of[i] = total.of[i] - worker->reserved.of[i];
        }
    for (size_t i = 0; i < worker->n_labels; i++) {
        plexspaces__scheduling__v1__node_capacity__labels_entry__init(
            &labels[i]);
        labels[i].key = plex_wire_text(worker->labels[i].key);
        labels[i].value = plex_wire_text(worker->labels[i].value);
        rows[i] = &labels[i];
    }
    resources_set(&total, &pb->total);
    resources_set(&worker->reserved, &pb->reserved);
    resources_set(&available, &pb->available);
    pb->whole.node_id = plex_wire_text(worker->node_id);
    pb->whole.total = &pb->total;
    pb->whole.reserved = &pb->reserved;
    pb->whole.available = &pb->available;
    pb->whole.uncounted = pb->uncounted;
    pb->whole.labels = rows;
    pb->whole.n_labels = worker->n_labels;
    pb->whole.reservations = (uint32_t)worker->n_residents;
    pb->whole.schedulable = worker->ready;
    return &pb->whole;
}

enum plex_status
place_wire_capacity(const struct place_candidate *worker,
                    struct plex_arena *arena, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(GetNodeCapacityResponse)
    reply = PLEXSPACES__SCHEDULING__V1__GET_NODE_CAPACITY_RESPONSE__INIT;

    reply.capacity = capacity_out(worker, arena);
    if (reply.capacity == NULL)
        return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
place_wire_capacities(const struct place_candidate *const *workers, size_t n,
                      const char *next, struct plex_arena *arena,
                      struct plex_buf *out, struct plex_err *err)
{
    PB(ListNodeCapacitiesResponse)
    reply = PLEXSPACES__SCHEDULING__V1__LIST_NODE_CAPACITIES_RESPONSE__INIT;

    reply.capacities = plex_wire_array(arena, n, sizeof *reply.capacities);
    if (reply.capacities == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        reply.capacities[i] = capacity_out(workers[i], arena);
        if (reply.capacities[i] == NULL)
            return plex_wire_no_room(err);
    }
    reply.n_capacities = n;
    reply.next_page_token = plex_wire_text(next);
    return plex_wire_pack(&reply.base, out, err);
}

/* -- the worker ------------------------------------------------------------ */

enum plex_status
place_wire_start(const struct place_schedule *schedule,
                 const struct place_held *held, struct plex_arena *arena,
                 struct plex_buf *out, struct plex_err *err)
{
    Plexspaces__Placement__V1__StartRequest request =
        PLEXSPACES__PLACEMENT__V1__START_REQUEST__INIT;
    struct plex_buf packed = {.max = NEED_BYTES_MAX};
    enum plex_status status =
        place_wire_held(&schedule->ask, held, arena, &packed, err);

    request.tenant = plex_wire_text(schedule->tenant);
    request.namespace_ = plex_wire_text(schedule->ns);
    request.module = plex_wire_text(schedule->module);
    request.behaviour = plex_wire_text(schedule->behaviour);
    request.name = plex_wire_text(schedule->name);
    request.args = plex_wire_text(schedule->args);
    request.request_id = plex_wire_text(schedule->scoped);
    request.held =
        plex_wire_bytes((struct plex_bytes){packed.data, packed.len});
    if (status == PLEX_OK)
        status = plex_wire_pack(&request.base, out, err);
    plex_buf_free(&packed);
    return status;
}

enum plex_status
place_wire_started(struct plex_bytes in, struct plex_arena *arena,
                   const char **process, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(&plexspaces__placement__v1__start_reply__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    *process =
        ((const Plexspaces__Placement__V1__StartReply *)(const void *)message)
            ->process;
    return PLEX_OK;
}
