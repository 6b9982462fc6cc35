/* Placement over a link. */
#include "services/placement/client.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/placement/client_wire.h"

#include <stdlib.h>
#include <string.h>

#define PB(name) Plexspaces__Placement__V1__##name
#define TYPE(name) &plexspaces__placement__v1__##name##__descriptor

enum {
    METHOD_HEARTBEAT = 401,
    METHOD_WATCH_TABLE = 402,
    METHOD_LEAVE = 403,
    REQUEST_BYTES_MAX = 8192,
    REPLY_ARENA_MAX = 4096,
    TABLE_ARENA_MAX = 64 << 20,
    WATCH_MS = 30000,
    WATCH_TIMEOUT_MS = 40000,
    LEAVE_TIMEOUT_MS = 2000,
    RETRY_MS = 100,
};

_Static_assert(
    (int)METHOD_HEARTBEAT ==
            (int)
                PLEXSPACES__PLACEMENT__V1__PLACEMENT_METHOD__PLACEMENT_METHOD_HEARTBEAT &&
        (int)METHOD_WATCH_TABLE ==
            (int)
                PLEXSPACES__PLACEMENT__V1__PLACEMENT_METHOD__PLACEMENT_METHOD_WATCH_TABLE &&
        (int)METHOD_LEAVE ==
            (int)
                PLEXSPACES__PLACEMENT__V1__PLACEMENT_METHOD__PLACEMENT_METHOD_LEAVE,
    "the numbers of placement.proto");

struct call {
    const char *url;
    uint32_t method;
    uint64_t timeout_ms;
    const ProtobufCMessage *message;
    bool retry;
    plex_link_fn done;
    void *arg;
};

static uint64_t
call_make(struct plex_link *link, const struct call *call)
{
    struct plex_context context = plex_context_none;
    struct plex_buf payload = {.max = REQUEST_BYTES_MAX};
    struct plex_link_request request = {
        .peer = call->url,
        .method = call->method,
        .context = &context,
        .retry = call->retry,
        .done = call->done,
        .arg = call->arg,
    };
    struct plex_err err;
    uint64_t id;

    context.deadline = plex_now() + call->timeout_ms * 1000000U;
    if (plex_wire_pack(call->message, &payload, &err) != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "placement-request", "%s", err.text);
    request.payload = (struct plex_bytes){payload.data, payload.len};
    id = plex_link_call(link, &request);
    plex_buf_free(&payload);
    return id;
}

/* -- heartbeats ------------------------------------------------------------ */

struct heartbeat_call {
    place_heartbeat_fn done;
    void *arg;
    uint64_t sent;
};

static void
heartbeat_done(void *arg, const struct plex_link_result *result)
{
    struct heartbeat_call *call = arg;
    enum plex_status status = result->status;
    PB(HeartbeatReply) none = PLEXSPACES__PLACEMENT__V1__HEARTBEAT_REPLY__INIT;
    const PB(HeartbeatReply) *reply = &none;
    struct plex_arena arena;
    struct plex_err err = {0};

    plex_arena_init(&arena, REPLY_ARENA_MAX);
    if (status == PLEX_OK) {
        ProtobufCMessage *message;

        status = plex_wire_unpack(TYPE(heartbeat_reply), result->payload,
                                  &arena, &message, &err);
        if (status == PLEX_OK)
            reply = (PB(HeartbeatReply) *)message;
    }
    call->done(call->arg, status,
               result->status == PLEX_OK ? err.text : result->text,
               &(struct place_lease){call->sent, reply->lease_ms,
                                     reply->version, reply->hold});
    plex_arena_fini(&arena);
    free(call);
}

struct offer_pb {
    PB(Amounts) amounts;
    PB(Label) labels[PLACE_LABELS_MAX], *rows[PLACE_LABELS_MAX];
};

static void
offer_out(const struct place_offer *offer, struct offer_pb *pb,
          PB(HeartbeatRequest) * out)
{
    place_pb_amounts_out(&offer->amounts, &pb->amounts);
    out->capacity = &pb->amounts;
    out->labels = pb->rows;
    for (size_t i = 0; i < offer->n_labels && i < PLACE_LABELS_MAX; i++) {
        plexspaces__placement__v1__label__init(&pb->labels[i]);
        pb->labels[i].key = plex_wire_text(offer->labels[i].key);
        pb->labels[i].value = plex_wire_text(offer->labels[i].value);
        pb->rows[out->n_labels++] = &pb->labels[i];
    }
}

void
place_client_heartbeat(struct plex_link *link, const char *url,
                       const struct place_heartbeat *heartbeat,
                       uint64_t timeout_ms, place_heartbeat_fn done, void *arg)
{
    PB(HeartbeatRequest)
    request = PLEXSPACES__PLACEMENT__V1__HEARTBEAT_REQUEST__INIT;
    struct heartbeat_call *pending = plex_calloc(1, sizeof *pending);
    struct offer_pb offer;
    const struct call call = {
        .url = url,
        .method = METHOD_HEARTBEAT,
        .timeout_ms = timeout_ms,
        .message = &request.base,
        .done = heartbeat_done,
        .arg = pending,
    };

    request.node_id = plex_wire_text(heartbeat->node_id);
    request.url = plex_wire_text(heartbeat->url);
    request.incarnation = heartbeat->incarnation;
    request.pool = plex_wire_text(heartbeat->pool);
    request.applied_version = heartbeat->applied_version;
    request.load = heartbeat->load;
    request.draining = heartbeat->draining;
    if (heartbeat->offer != NULL)
        offer_out(heartbeat->offer, &offer, &request);
    pending->done = done;
    pending->arg = arg;
    pending->sent = plex_now();
    (void)call_make(link, &call);
}

/* -- leaving --------------------------------------------------------------- */

struct leave_call {
    void (*done)(void *arg, enum plex_status status);
    void *arg;
};

static void
leave_done(void *arg, const struct plex_link_result *result)
{
    struct leave_call *call = arg;

    if (call->done != NULL)
        call->done(call->arg, result->status);
    free(call);
}

void
place_client_leave(struct plex_link *link, const char *url, const char *node_id,
                   uint64_t incarnation,
                   void (*done)(void *arg, enum plex_status status), void *arg)
{
    PB(LeaveRequest) request = PLEXSPACES__PLACEMENT__V1__LEAVE_REQUEST__INIT;
    struct leave_call *pending = plex_calloc(1, sizeof *pending);
    const struct call call = {
        .url = url,
        .method = METHOD_LEAVE,
        .timeout_ms = LEAVE_TIMEOUT_MS,
        .message = &request.base,
        .retry = true,
        .done = leave_done,
        .arg = pending,
    };

    request.node_id = plex_wire_text(node_id);
    request.incarnation = incarnation;
    pending->done = done;
    pending->arg = arg;
    (void)call_make(link, &call);
}

/* -- watching -------------------------------------------------------------- */

struct place_watch {
    struct plex_link *link;
    char *pool;
    const char *(*url)(void *arg);
    void (*changed)(void *arg, struct place_table *table);
    void *arg;
    struct plex_timer *timer;
    struct plex_arena arena;
    struct place_table *table;
    char *asked;   /* URL of the poll under way */
    uint64_t call; /* its id, 0: none */
    bool again;    /* poll at once when it has ended */
    bool stopped;
};

static void poll_send(void *arg);

static void
watch_free(struct place_watch *watch)
{
    if (watch->call != 0)
        return;
    plex_arena_fini(&watch->arena);
    free(watch->asked);
    free(watch->pool);
    free(watch);
}

static enum plex_status
table_take(struct place_watch *watch, struct plex_bytes payload,
           struct plex_err *err)
{
    ProtobufCMessage *message;
    PB(WatchTableReply) * reply;
    struct place_table *table;

    plex_arena_reset(&watch->arena);
    if (plex_wire_unpack(TYPE(watch_table_reply), payload, &watch->arena,
                         &message, err) != PLEX_OK)
        return err->status;
    reply = (PB(WatchTableReply) *)message;
    if (reply->unchanged || reply->table == NULL)
        return PLEX_OK;
    if (place_pb_table_in(reply->table, &watch->arena, &table, err) != PLEX_OK)
        return err->status;
    if (watch->table != NULL && table->version <= watch->table->version) {
        place_table_unref(table);
        return PLEX_OK;
    }
    place_table_unref(watch->table);
    watch->table = table;
    watch->changed(watch->arg, table);
    return PLEX_OK;
}

static void
poll_done(void *arg, const struct plex_link_result *result)
{
    struct place_watch *watch = arg;
    enum plex_status status = result->status;
    const bool again = watch->again;
    struct plex_err err;

    watch->call = 0;
    watch->again = false;
    if (watch->stopped) {
        watch_free(watch);
        return;
    }
    if (status == PLEX_OK) {
        status = table_take(watch, result->payload, &err);
        if (status != PLEX_OK)
            plex_log(PLEX_LOG_WARN, "placement-table", "%s", err.text);
    }
    if (status == PLEX_OK || again)
        poll_send(watch);
    else if (!watch->stopped)
        plex_timer_start(watch->timer, RETRY_MS);
}

static void
poll_send(void *arg)
{
    struct place_watch *watch = arg;
    PB(WatchTableRequest)
    request = PLEXSPACES__PLACEMENT__V1__WATCH_TABLE_REQUEST__INIT;
    struct call call = {
        .method = METHOD_WATCH_TABLE,
        .timeout_ms = WATCH_TIMEOUT_MS,
        .message = &request.base,
        .done = poll_done,
        .arg = watch,
    };

    if (watch->stopped || watch->call != 0)
        return;
    call.url = watch->url(watch->arg);
    if (call.url == NULL) {
        plex_timer_start(watch->timer, RETRY_MS);
        return;
    }
    free(watch->asked);
    watch->asked = plex_strdup(call.url);
    request.have_version = watch->table == NULL ? 0 : watch->table->version;
    request.timeout_ms = WATCH_MS;
    request.pool = watch->pool;
    watch->call = call_make(watch->link, &call);
}

struct place_watch *
place_watch_start(struct plex_link *link, struct plex_loop *loop,
                  const char *pool, const char *(*url)(void *arg),
                  void (*changed)(void *arg, struct place_table *table),
                  void *arg)
{
    struct place_watch *watch = plex_calloc(1, sizeof *watch);

    watch->link = link;
    watch->pool = plex_strdup(pool);
    watch->url = url;
    watch->changed = changed;
    watch->arg = arg;
    watch->timer = plex_timer_create(loop, poll_send, watch);
    plex_arena_init(&watch->arena, TABLE_ARENA_MAX);
    poll_send(watch);
    return watch;
}

void
place_watch_hint(struct place_watch *watch, uint64_t version)
{
    const char *url;

    if (watch->stopped ||
        (watch->table != NULL && watch->table->version >= version))
        return;
    if (watch->call == 0) {
        plex_timer_stop(watch->timer);
        poll_send(watch);
        return;
    }
    /* The poll under way answers by itself, unless it went to a placement
     * that is no longer the one. */
    url = watch->url(watch->arg);
    if (url == NULL || strcmp(url, watch->asked) == 0)
        return;
    watch->again = true;
    plex_link_cancel(watch->link, watch->call);
}

struct place_table *
place_watch_table(const struct place_watch *watch)
{
    return watch->table;
}

void
place_watch_stop(struct place_watch *watch)
{
    if (watch == NULL)
        return;
    watch->stopped = true;
    plex_timer_free(watch->timer);
    watch->timer = NULL;
    if (watch->call != 0)
        plex_link_cancel(watch->link, watch->call);
    place_table_unref(watch->table);
    watch->table = NULL;
    watch_free(watch);
}
