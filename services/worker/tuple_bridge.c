#include "services/worker/tuple_bridge.h"

#include "common/mem.h"
#include "common/name.h"
#include "sdk/c/include/plexspaces/tuplespace.h"
#include "services/tuplespace/client.h"
#include "services/worker/node_queue.h"
#include "services/worker/wire_tuple.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAITING_MAX = 100000,
    CALL_MS = 8000,  /* beside what the request itself waits */
    AGAIN_MS = 5000, /* until a moved namespace is found */
    PAUSE_MS = 20,   /* between attempts */
    ARENA_MAX = 32 << 20,
};

/* One request of a process, from its signal to the answer. */
struct errand {
    struct work_link link;
    struct errand *next, **at; /* of those that pause */
    struct work_tuple_bridge *bridge;
    struct plex_timer *timer;
    struct plex_arena arena;
    struct plex_bytes packed;
    char tenant[65], ns[33];
    uint64_t deadline, again_until;
    struct plex_ref from;
    uint64_t call;
    uint32_t method;
    bool once; /* it must not be sent twice */
    size_t len;
    unsigned char request[];
};
struct work_tuple_bridge {
    const struct plex_host *host;
    struct rt *rt;
    const struct reg_client *registry;
    struct work_queue queue;
    struct errand *paused;
    struct plex_task task;
    _Atomic uint32_t waiting;
    _Atomic bool stopped;
};

static void
errand_free(struct errand *errand)
{
    plex_timer_free(errand->timer);
    plex_arena_fini(&errand->arena);
    atomic_fetch_sub(&errand->bridge->waiting, 1);
    free(errand);
}

/* Takes the errand. */
static void
answer(struct errand *errand, enum plex_status status, const char *text)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    const size_t len = strlen(text);
    const struct plex_tuple_wire_answer head = {
        .status = -(int32_t)status,
        .len = (uint32_t)len,
    };
    struct rt_signal signal = {.kind = RT_ANSWER,
                               .from = {PLEX_SERVICE_NODE, 1},
                               .to = errand->from,
                               .where = {"", ""},
                               .name = "",
                               .text = "",
                               .reason = "",
                               .call = errand->call};
    unsigned char *bytes = plex_calloc(1, sizeof head + len + 1);

    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, text, len);
    signal.post.payload = bytes;
    signal.post.len = sizeof head + len;
    if (!atomic_load(&bridge->stopped))
        rt_deliver(bridge->rt, &signal);
    free(bytes);
    errand_free(errand);
}

static void errand_send(struct errand *errand);

static void
on_again(void *arg)
{
    struct errand *errand = arg;

    *errand->at = errand->next;
    if (errand->next != NULL)
        errand->next->at = errand->at;
    plex_timer_free(errand->timer);
    errand->timer = NULL;
    errand_send(errand);
}

/* The owner may not know yet that it is; a first attempt of the same request
 * may still be under way. Both pass. */
static bool
again(struct errand *errand, enum plex_status status)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    const uint64_t now = plex_now();

    if (errand->again_until == 0)
        errand->again_until = status == PLEX_IN_FLIGHT
                                  ? errand->deadline
                                  : now + AGAIN_MS * UINT64_C(1000000);
    if ((status != PLEX_NOT_OWNER && status != PLEX_IN_FLIGHT) ||
        now > errand->again_until || atomic_load(&bridge->stopped))
        return false;
    errand->next = bridge->paused;
    errand->at = &bridge->paused;
    if (errand->next != NULL)
        errand->next->at = &errand->next;
    bridge->paused = errand;
    errand->timer = plex_timer_create(bridge->host->loop, on_again, errand);
    plex_timer_start(errand->timer, PAUSE_MS);
    return true;
}

static void
on_done(void *arg, const struct plex_link_result *result)
{
    struct errand *errand = arg;
    enum plex_status status = result->status;
    struct plex_err err;
    char *json = NULL;

    if (again(errand, status))
        return;
    if (status == PLEX_OK &&
        work_tuple_unpack(errand->method, result->payload, &errand->arena,
                          &json, &err) != PLEX_OK) {
        answer(errand, err.status, err.text);
        return;
    }
    if (result->outcome_unknown && errand->once)
        status = PLEX_UNKNOWN;
    answer(errand, status, status == PLEX_OK ? json : result->text);
    free(json);
}

static void
errand_send(struct errand *errand)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    struct plex_context context = plex_context_none;
    struct reg_catalog *catalog =
        bridge->registry == NULL ? NULL : reg_client_catalog(bridge->registry);
    const char *url = tspace_client_url(catalog, errand->tenant, errand->ns);
    const struct plex_link_request request = {
        .peer = url,
        .method = errand->method,
        .context = &context,
        .payload = errand->packed,
        .retry = !errand->once,
        .done = on_done,
        .arg = errand,
    };

    if (url == NULL) {
        if (!again(errand, PLEX_NOT_OWNER))
            answer(errand, PLEX_UNAVAILABLE, "no tuplespace is registered");
        return;
    }
    context.tenant = errand->tenant;
    context.ns = errand->ns;
    context.deadline = errand->deadline;
    (void)plex_link_call(bridge->host->link, &request);
}

/* The request was made by sdk's tuplespace.h in this very process. */
static bool
errand_read(struct errand *errand, struct work_tuple_ask *ask)
{
    struct plex_tuple_wire wire;
    const uint8_t *at = errand->request + sizeof wire;

    if (errand->len < sizeof wire)
        return false;
    memcpy(&wire, errand->request, sizeof wire);
    if (wire.tenant_len >= sizeof errand->tenant ||
        wire.ns_len >= sizeof errand->ns || wire.id_len > sizeof wire.id ||
        errand->len - sizeof wire !=
            (size_t)wire.tenant_len + wire.ns_len + wire.json_len)
        return false;
    memcpy(errand->tenant, at, wire.tenant_len);
    memcpy(errand->ns, at + wire.tenant_len, wire.ns_len);
    /* The id lies in the request too, which the errand keeps. */
    *ask = (struct work_tuple_ask){
        .method = wire.method,
        .json = {at + wire.tenant_len + wire.ns_len, wire.json_len},
        .id = {errand->request + offsetof(struct plex_tuple_wire, id),
               wire.id_len},
    };
    errand->method = wire.method;
    errand->once = wire.id_len == 0 && !work_tuple_is_reading(wire.method);
    return true;
}

static void
errand_begin(struct errand *errand)
{
    struct work_tuple_ask ask;
    uint64_t wait_ms = 0;
    struct plex_err err;

    if (!errand_read(errand, &ask)) {
        answer(errand, PLEX_INVALID, "not a request to the tuple space");
        return;
    }
    if (work_tuple_pack(&ask, &errand->arena, &errand->packed, &wait_ms,
                        &err) != PLEX_OK) {
        answer(errand, err.status, err.text);
        return;
    }
    errand->deadline = plex_now() + (CALL_MS + wait_ms) * UINT64_C(1000000);
    errand_send(errand);
}

static void
on_task(struct plex_task *task)
{
    struct work_tuple_bridge *bridge =
        plex_container_of(task, struct work_tuple_bridge, task);
    struct work_link *link = work_queue_take(&bridge->queue);

    while (link != NULL) {
        struct errand *errand = plex_container_of(link, struct errand, link);

        link = link->next;
        errand_begin(errand);
    }
}

bool
work_tuple_bridge_take(struct work_tuple_bridge *bridge,
                       const struct rt_signal *signal)
{
    struct errand *errand;

    if (atomic_fetch_add(&bridge->waiting, 1) >= WAITING_MAX) {
        atomic_fetch_sub(&bridge->waiting, 1);
        return false;
    }
    errand = plex_calloc(1, sizeof *errand + signal->post.len);
    plex_arena_init(&errand->arena, ARENA_MAX);
    errand->bridge = bridge;
    errand->from = signal->from;
    errand->call = signal->call;
    errand->len = signal->post.len;
    if (errand->len > 0)
        memcpy(errand->request, signal->post.payload, errand->len);
    if (work_queue_push(&bridge->queue, &errand->link))
        plex_loop_post(bridge->host->loop, &bridge->task);
    return true;
}

struct work_tuple_bridge *
work_tuple_bridge_create(const struct plex_host *host, struct rt *rt)
{
    struct work_tuple_bridge *bridge = plex_calloc(1, sizeof *bridge);

    bridge->host = host;
    bridge->rt = rt;
    bridge->task.run = on_task;
    return bridge;
}

void
work_tuple_bridge_registry(struct work_tuple_bridge *bridge,
                           const struct reg_client *registry)
{
    bridge->registry = registry;
}

void
work_tuple_bridge_stop(struct work_tuple_bridge *bridge)
{
    atomic_store(&bridge->stopped, true);
    bridge->registry = NULL;
    while (bridge->paused != NULL) {
        struct errand *errand = bridge->paused;

        bridge->paused = errand->next;
        if (errand->next != NULL)
            errand->next->at = &bridge->paused;
        errand_free(errand);
    }
}

void
work_tuple_bridge_free(struct work_tuple_bridge *bridge)
{
    struct work_link *link = work_queue_take(&bridge->queue);

    while (link != NULL) {
        struct errand *errand = plex_container_of(link, struct errand, link);

        link = link->next;
        errand_free(errand);
    }
    free(bridge);
}
