#include "services/worker/tuple_bridge.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "sdk/c/include/plexspaces/tuplespace.h"
#include "services/tuplespace/client.h"
#include "services/worker/node_queue.h"
#include "services/worker/wire_tuple.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/*
 * Nothing that a process took is lost because it ended (its worker lives):
 * while it waits, its end is watched, and ends the wait. A take that waits is
 * claimed, and confirmed before the process gets what was taken: until then
 * the claim returns it. After that it is written anew, at the end of the
 * order, when the process turns out not to have read its answer.
 */
enum {
    WAITING_MAX = 100000,
    CALL_MS = 8000,  /* beside what the request itself waits */
    AGAIN_MS = 5000, /* until a moved namespace is found */
    PAUSE_MS = 20,   /* between attempts */
    ARENA_MAX = 32 << 20,
    CLAIM_MS = 10000, /* from the take to the confirmation */
    OWNER_MAX = 40,
};
enum phase { ASKING, CONFIRMING, RELEASING };

/* What comes from other threads. */
enum item_kind { ITEM_ASK, ITEM_DOWN, ITEM_BACK };
struct item {
    struct work_link link;
    enum item_kind kind;
};
struct gone {
    struct item item;
    uint64_t watch;
};

/* One request of a process, from its signal to the answer, and, when that has
 * taken something, until it was read. */
struct errand {
    struct item item;
    struct errand *next, **at; /* of those that pause */
    struct work_tuple_bridge *bridge;
    struct plex_timer *timer;
    struct plex_arena arena;
    struct plex_bytes packed; /* what is sent now, and its method */
    uint32_t sending;
    enum phase phase;
    char tenant[65], ns[33];
    uint64_t deadline, again_until;
    uint64_t link_id;
    struct plex_ref from;
    uint64_t call;
    uint32_t method;
    bool once;         /* it must not be sent twice */
    bool marks;        /* the process marks what it has read */
    bool claimed;      /* by `turn` */
    bool gone;         /* the process */
    uint64_t watch;    /* 0: it is not watched */
    UT_hash_handle hh; /* by watch */
    uint64_t turn;
    uint8_t own_id[16];
    char *json; /* the answer while it is confirmed, or not yet read */
    size_t len;
    unsigned char request[];
};
struct work_tuple_bridge {
    const struct plex_host *host;
    struct rt *rt;
    const struct reg_client *registry;
    struct work_queue queue;
    struct errand *paused;
    struct errand *watched;
    struct plex_task task;
    uint64_t number;
    char owner[OWNER_MAX]; /* of claims */
    _Atomic uint32_t waiting;
    _Atomic uint32_t refs; /* its own, and of each errand */
    _Atomic bool stopped;
};
/* An answer, in front of the bytes that the process sees. */
struct parcel {
    struct errand *errand;
    size_t mark; /* where it is */
    unsigned char bytes[];
};

static void
bridge_unref(struct work_tuple_bridge *bridge)
{
    if (atomic_fetch_sub(&bridge->refs, 1) == 1)
        free(bridge);
}

/* Any thread, once it has neither timer nor watch. */
static void
errand_free(struct errand *errand)
{
    struct work_tuple_bridge *bridge = errand->bridge;

    plex_timer_free(errand->timer);
    plex_arena_fini(&errand->arena);
    atomic_fetch_sub(&bridge->waiting, 1);
    free(errand->json);
    free(errand);
    bridge_unref(bridge);
}

static void
bridge_push(struct work_tuple_bridge *bridge, struct item *item,
            enum item_kind kind)
{
    item->kind = kind;
    if (work_queue_push(&bridge->queue, &item->link))
        plex_loop_post(bridge->host->loop, &bridge->task);
}

/* -- watching processes ---------------------------------------------------- */

static struct rt_signal
signal_to(const struct errand *errand, enum rt_signal_kind kind)
{
    return (struct rt_signal){.kind = kind,
                              .from = PLEX_SERVICE_TUPLES,
                              .to = errand->from,
                              .where = {"", ""},
                              .name = "",
                              .text = "",
                              .reason = "",
                              .call = errand->watch};
}

static void
watch(struct errand *errand)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    struct rt_signal signal;

    if (errand->from.id == 0)
        return;
    errand->watch = ++bridge->number;
    HASH_ADD(hh, bridge->watched, watch, sizeof errand->watch, errand);
    signal = signal_to(errand, RT_MONITOR);
    rt_deliver(bridge->rt, &signal);
}

static void
unwatch(struct errand *errand)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    struct rt_signal signal;

    if (errand->watch == 0)
        return;
    HASH_DEL(bridge->watched, errand);
    signal = signal_to(errand, RT_DEMONITOR);
    if (!errand->gone && !atomic_load(&bridge->stopped))
        rt_deliver(bridge->rt, &signal);
    errand->watch = 0;
}

/* -- answering ------------------------------------------------------------- */

/* Any thread: the process has read it, or never will. */
static void
parcel_release(void *payload, size_t len)
{
    struct parcel *parcel = plex_container_of(payload, struct parcel, bytes);
    struct errand *errand = parcel->errand;

    (void)len;
    if (errand != NULL) {
        if (parcel->bytes[parcel->mark] == 0 &&
            !atomic_load(&errand->bridge->stopped))
            bridge_push(errand->bridge, &errand->item, ITEM_BACK);
        else
            errand_free(errand);
    }
    free(parcel);
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
    struct rt_signal signal;
    struct parcel *parcel;

    unwatch(errand);
    if (errand->from.id == 0 || atomic_load(&bridge->stopped)) {
        errand_free(errand);
        return;
    }
    signal = signal_to(errand, RT_ANSWER);
    signal.from = (struct plex_ref){PLEX_SERVICE_NODE, 1};
    signal.call = errand->call;
    parcel = plex_calloc(1, sizeof *parcel + sizeof head + len + 2);
    parcel->mark = sizeof head + len + 1;
    memcpy(parcel->bytes, &head, sizeof head);
    memcpy(parcel->bytes + sizeof head, text, len);
    signal.post.payload = parcel->bytes;
    signal.post.len = sizeof head + len + 2;
    signal.post.release = parcel_release;
    if (errand->marks && status == PLEX_OK && errand->json != NULL &&
        errand->method == PLEX_TUPLE_TAKE && work_tuple_some(errand->json))
        parcel->errand = errand;
    else
        errand_free(errand);
    rt_deliver(bridge->rt, &signal);
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
    if (errand->gone && errand->phase == ASKING)
        answer(errand, PLEX_CANCELLED, "");
    else
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

/* Confirm or release what was claimed. */
static void
errand_claim(struct errand *errand, enum phase phase)
{
    const struct work_tuple_ask ask = {
        .owner = {(const uint8_t *)errand->bridge->owner,
                  strlen(errand->bridge->owner)},
        .turn = errand->turn};
    struct plex_err err;

    if (work_tuple_pack_claim(&ask, &errand->arena, &errand->packed, &err) !=
        PLEX_OK) {
        answer(errand, err.status, err.text); /* the claim lapses */
        return;
    }
    errand->phase = phase;
    errand->sending = phase == CONFIRMING ? PLEX_TUPLE_CONFIRM_CLAIM
                                          : PLEX_TUPLE_RELEASE_CLAIM;
    errand->once = false;
    errand->again_until = 0;
    errand->deadline = plex_now() + CALL_MS * UINT64_C(1000000);
    errand_send(errand);
}

static void
confirmed(struct errand *errand, const struct plex_link_result *result)
{
    if (errand->phase == RELEASING)
        answer(errand, PLEX_CANCELLED, "");
    else if (result->status == PLEX_OK)
        answer(errand, PLEX_OK, errand->json);
    else if (result->status == PLEX_CONFLICT ||
             result->status == PLEX_NOT_FOUND)
        answer(errand, PLEX_UNAVAILABLE,
               "what was taken came too late and went back");
    else
        answer(errand, PLEX_UNKNOWN, result->text);
}

static enum plex_status errand_pack(struct errand *errand, bool claim,
                                    uint64_t *timeout_ms, struct plex_err *err);

/* All shards of a space that is spread over them wait with claims of their
 * own, and take no other. */
static bool
unclaimed(struct errand *errand, enum plex_status status)
{
    uint64_t timeout_ms;
    struct plex_err err;

    if (status != PLEX_UNSUPPORTED || !errand->claimed || errand->gone ||
        errand_pack(errand, false, &timeout_ms, &err) != PLEX_OK)
        return false;
    errand_send(errand);
    return true;
}

static void
on_done(void *arg, const struct plex_link_result *result)
{
    struct errand *errand = arg;
    enum plex_status status = result->status;
    struct plex_err err;

    errand->link_id = 0;
    if (!errand->gone && again(errand, status))
        return;
    if (errand->phase != ASKING) {
        confirmed(errand, result);
        return;
    }
    if (errand->gone && errand->claimed) {
        errand_claim(errand, RELEASING);
        return;
    }
    if (unclaimed(errand, status))
        return;
    if (status == PLEX_OK &&
        work_tuple_unpack(errand->method, result->payload, &errand->arena,
                          &errand->json, &err) != PLEX_OK) {
        answer(errand, err.status, err.text);
        return;
    }
    if (result->outcome_unknown && errand->once)
        status = PLEX_UNKNOWN;
    if (status == PLEX_OK && errand->claimed && work_tuple_some(errand->json))
        errand_claim(errand, CONFIRMING);
    else
        answer(errand, status, status == PLEX_OK ? errand->json : result->text);
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
        .method = errand->sending,
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
    errand->link_id = plex_link_call(bridge->host->link, &request);
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
    errand->method = errand->sending = wire.method;
    errand->marks = wire.marks == 1;
    errand->once = wire.id_len == 0 && !work_tuple_is_reading(wire.method);
    return true;
}

/* `claim`: when it is a take that waits. */
static enum plex_status
errand_pack(struct errand *errand, bool claim, uint64_t *timeout_ms,
            struct plex_err *err)
{
    struct work_tuple_bridge *bridge = errand->bridge;
    struct work_tuple_packed packed;
    struct work_tuple_ask ask;

    if (!errand_read(errand, &ask))
        return plex_err_set(err, PLEX_INVALID,
                            "not a request to the tuple space");
    if (claim && errand->once && errand->marks) {
        plex_random(errand->own_id, sizeof errand->own_id);
        errand->turn = ++bridge->number;
        ask.own_id = (struct plex_bytes){errand->own_id, sizeof errand->own_id};
        ask.owner = (struct plex_bytes){(const uint8_t *)bridge->owner,
                                        strlen(bridge->owner)};
        ask.turn = errand->turn;
        ask.lease_ms = CLAIM_MS;
    }
    if (work_tuple_pack(&ask, &errand->arena, &packed, err) != PLEX_OK)
        return err->status;
    errand->packed = packed.bytes;
    errand->claimed = packed.claimed;
    if (packed.claimed)
        errand->once = false;
    *timeout_ms = packed.timeout_ms;
    return PLEX_OK;
}

static void
errand_begin(struct errand *errand)
{
    uint64_t timeout_ms;
    struct plex_err err;

    if (errand_pack(errand, true, &timeout_ms, &err) != PLEX_OK) {
        answer(errand, err.status, err.text);
        return;
    }
    if (timeout_ms > 0)
        watch(errand);
    errand->deadline = plex_now() + (CALL_MS + timeout_ms) * UINT64_C(1000000);
    errand_send(errand);
}

static void
errand_gone(struct work_tuple_bridge *bridge, uint64_t number)
{
    struct errand *errand;

    HASH_FIND(hh, bridge->watched, &number, sizeof number, errand);
    if (errand == NULL)
        return;
    errand->gone = true;
    /* What is being confirmed comes back when nobody reads it; what pauses
     * ends after the pause. */
    if (errand->phase == ASKING && errand->link_id != 0)
        plex_link_cancel(bridge->host->link, errand->link_id);
}

/* -- giving back ----------------------------------------------------------- */

static struct errand *
errand_create(struct work_tuple_bridge *bridge, size_t len)
{
    struct errand *errand = plex_calloc(1, sizeof *errand + len);

    atomic_fetch_add(&bridge->refs, 1);
    plex_arena_init(&errand->arena, ARENA_MAX);
    errand->bridge = bridge;
    errand->len = len;
    return errand;
}

/* A request of the bridge itself, which nobody waits for. Takes `json`. */
static void
write_back(const struct errand *of, char *json)
{
    struct work_tuple_bridge *bridge = of->bridge;
    struct plex_tuple_wire wire = {
        .method = PLEX_TUPLE_WRITE,
        .tenant_len = (uint32_t)strlen(of->tenant),
        .ns_len = (uint32_t)strlen(of->ns),
        .json_len = (uint32_t)strlen(json),
        .id_len = sizeof wire.id,
    };
    struct errand *errand = errand_create(
        bridge, sizeof wire + wire.tenant_len + wire.ns_len + wire.json_len);
    unsigned char *at = errand->request;

    plex_random(wire.id, sizeof wire.id);
    memcpy(at, &wire, sizeof wire);
    memcpy(at += sizeof wire, of->tenant, wire.tenant_len);
    memcpy(at += wire.tenant_len, of->ns, wire.ns_len);
    memcpy(at + wire.ns_len, json, wire.json_len);
    free(json);
    atomic_fetch_add(&bridge->waiting, 1);
    errand_begin(errand);
}

/* Its process did not read what it took. With an id of its own it, or who
 * repeats it, asks again and gets the same; with a claim of its own that
 * returns it. */
static void
errand_back(struct errand *errand)
{
    struct work_tuple_ask ask;
    char *json;

    if (errand_read(errand, &ask) && ask.id.len == 0)
        for (size_t i = 0; (json = work_tuple_again(ask.json, errand->json, i,
                                                    plex_wall_ms())) != NULL;
             i++)
            write_back(errand, json);
    errand_free(errand);
}

static void
on_item(struct work_tuple_bridge *bridge, struct item *item)
{
    struct gone *gone;

    switch (item->kind) {
    case ITEM_ASK:
        errand_begin(plex_container_of(item, struct errand, item));
        break;
    case ITEM_BACK:
        errand_back(plex_container_of(item, struct errand, item));
        break;
    case ITEM_DOWN:
        gone = plex_container_of(item, struct gone, item);
        errand_gone(bridge, gone->watch);
        free(gone);
        break;
    }
}

static void
on_task(struct plex_task *task)
{
    struct work_tuple_bridge *bridge =
        plex_container_of(task, struct work_tuple_bridge, task);
    struct work_link *link = work_queue_take(&bridge->queue);

    while (link != NULL) {
        struct item *item = plex_container_of(link, struct item, link);

        link = link->next;
        on_item(bridge, item);
    }
}

/* -- signals, on executors ------------------------------------------------- */

static bool
bridge_down(struct work_tuple_bridge *bridge, uint64_t number)
{
    struct gone *gone = plex_calloc(1, sizeof *gone);

    gone->watch = number;
    bridge_push(bridge, &gone->item, ITEM_DOWN);
    return true;
}

bool
work_tuple_bridge_take(struct work_tuple_bridge *bridge,
                       const struct rt_signal *signal)
{
    struct errand *errand;

    if (signal->kind == RT_DOWN)
        return bridge_down(bridge, signal->call);
    if (signal->kind != RT_SEND || signal->call == 0)
        return false;
    if (atomic_fetch_add(&bridge->waiting, 1) >= WAITING_MAX) {
        atomic_fetch_sub(&bridge->waiting, 1);
        return false;
    }
    errand = errand_create(bridge, signal->post.len);
    errand->from = signal->from;
    errand->call = signal->call;
    if (errand->len > 0)
        memcpy(errand->request, signal->post.payload, errand->len);
    bridge_push(bridge, &errand->item, ITEM_ASK);
    return true;
}

struct work_tuple_bridge *
work_tuple_bridge_create(const struct plex_host *host, struct rt *rt)
{
    struct work_tuple_bridge *bridge = plex_calloc(1, sizeof *bridge);
    uint64_t random;

    plex_random(&random, sizeof random);
    (void)snprintf(bridge->owner, sizeof bridge->owner, "worker-%016llx",
                   (unsigned long long)random);
    bridge->host = host;
    bridge->rt = rt;
    bridge->task.run = on_task;
    atomic_store(&bridge->refs, 1);
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
        unwatch(errand);
        errand_free(errand);
    }
}

void
work_tuple_bridge_free(struct work_tuple_bridge *bridge)
{
    struct work_link *link = work_queue_take(&bridge->queue);

    while (link != NULL) {
        struct item *item = plex_container_of(link, struct item, link);

        link = link->next;
        if (item->kind == ITEM_DOWN)
            free(plex_container_of(item, struct gone, item));
        else
            errand_free(plex_container_of(item, struct errand, item));
    }
    bridge_unref(bridge);
}
