#include "services/registry/shell_lane.h"

#include "common/log.h"
#include "common/name.h"
#include "common/replies.h"
#include "services/registry/managed.h"
#include "services/registry/wire_kv.h"
#include "services/registry/wire_lock.h"
#include "services/registry/wire_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_MAX = 64 << 20,
    REPLY_MAX = 16 << 20,
    REOPEN_MS = 1000,  /* between attempts to get a lost store back */
    DEADLINE_MS = 100, /* the answer to who waits leaves so much earlier */
};

struct reg_keep {
    struct reg_keep_config config;
    struct reg_lane kv, lock, object;
    uint64_t managed_ns; /* when the suite's own objects were last taken in */
};

/* -- stores ---------------------------------------------------------------- */

static enum plex_status
load_row(void *arg, const struct reg_row *row, struct plex_err *err)
{
    struct reg_lane *lane = arg;

    plex_arena_reset(&lane->arena);
    if (row->kind == REG_ROW_COUNTER)
        err->status =
            reg_wire_counter_in(row->body, &lane->arena, &lane->counter, err);
    else
        err->status = lane->ops->load(lane, row, err);
    if (err->status == PLEX_OK)
        return PLEX_OK;
    return plex_err_wrap(err, "row %s/%s/%.64s of %s", row->tenant, row->ns,
                         row->name, lane->ops->area);
}

static void
lane_close(struct reg_lane *lane)
{
    if (lane->core != NULL)
        lane->ops->free(lane->core);
    lane->core = NULL;
    reg_rows_close(lane->rows);
    lane->rows = NULL;
}

static enum plex_status
lane_open(struct reg_lane *lane, struct plex_err *err)
{
    if (reg_rows_open(&lane->rows, lane->dsn, lane->ops->area, err) != PLEX_OK)
        return plex_err_wrap(err, "store of %s", lane->ops->area);
    lane->core = lane->ops->create(lane->config);
    lane->counter = 0;
    if (reg_rows_load(lane->rows, load_row, lane, err) != PLEX_OK) {
        lane_close(lane);
        return err->status;
    }
    lane->ops->loaded(lane->core, lane->counter, reg_lane_now());
    return PLEX_OK;
}

static void
timer_arm(struct reg_lane *lane)
{
    uint64_t wake, at;

    if (lane->core == NULL) {
        plex_timer_start(lane->timer, REOPEN_MS);
        return;
    }
    wake = lane->ops->wake(lane->core);
    at = plex_now();
    if (wake == UINT64_MAX)
        plex_timer_stop(lane->timer);
    else
        plex_timer_start(lane->timer,
                         wake <= at ? 0 : (wake - at + 999999U) / 1000000U);
}

/* -- one commit per iteration ---------------------------------------------- */

static void
reply_make(struct reg_lane *lane, const struct reg_keep_action *action,
           struct plex_replies *replies)
{
    struct plex_reply *reply =
        plex_replies_add(replies, action->call, action->status,
                         action->text == NULL ? "" : action->text, REPLY_MAX);

    if (action->status != PLEX_OK)
        return;
    plex_arena_reset(&lane->arena);
    reply->status =
        lane->ops->answer(lane, action, &reply->payload, &reply->err);
}

static enum plex_status
row_write(struct reg_lane *lane, const struct reg_keep_action *action,
          struct plex_err *err)
{
    struct plex_buf body = {.max = REG_ROW_BODY_MAX};
    struct reg_row row = {0};

    err->status = lane->ops->row(lane, action, &row, &body, err);
    if (err->status == PLEX_OK) {
        row.body = (struct plex_bytes){body.data, body.len};
        err->status = reg_rows_apply(lane->rows, &row, err);
    }
    plex_buf_free(&body);
    return err->status;
}

static enum plex_status
counter_write(struct reg_lane *lane, struct plex_err *err)
{
    struct plex_buf body = {.max = 64};
    struct reg_row row = {.kind = REG_ROW_COUNTER,
                          .tenant = "",
                          .ns = "",
                          .name = lane->ops->counter_name};

    err->status =
        reg_wire_counter_out(lane->ops->counter(lane->core), &body, err);
    if (err->status == PLEX_OK) {
        row.body = (struct plex_bytes){body.data, body.len};
        err->status = reg_rows_apply(lane->rows, &row, err);
    }
    plex_buf_free(&body);
    return err->status;
}

static enum plex_status
actions_apply(struct reg_lane *lane, struct plex_replies *replies,
              struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    struct reg_keep_action action;
    bool wrote = false;

    while (lane->ops->next(lane->core, &action)) {
        if (action.kind == REG_KEEP_REPLY) {
            reply_make(lane, &action, replies);
        } else if (status == PLEX_OK) {
            status = row_write(lane, &action, err);
            wrote = true;
        }
        lane->ops->action_free(&action);
    }
    return status == PLEX_OK && wrote ? counter_write(lane, err) : status;
}

/* What the core holds was not stored: forget it and start from the store. One
 * that is another registry's by now is not ours to open again. */
static void
store_lost(struct reg_lane *lane, struct plex_replies *replies,
           const struct plex_err *err)
{
    struct reg_keep_action action;

    plex_log(PLEX_LOG_ERROR, "keep-store-lost", "%s: %s", lane->ops->area,
             err->text);
    lane->failures->value++;
    reg_rows_rollback(lane->rows);
    lane->ops->dismiss(lane->core, err->text);
    while (lane->ops->next(lane->core, &action)) {
        if (action.kind == REG_KEEP_REPLY)
            reply_make(lane, &action, replies);
        lane->ops->action_free(&action);
    }
    plex_replies_send(replies, err);
    if (err->status == PLEX_FENCED)
        plex_service_abort(lane->host, err);
    lane_close(lane);
}

static void
commit_run(struct plex_task *task)
{
    struct reg_lane *lane = plex_container_of(task, struct reg_lane, commit);
    struct plex_replies replies = {0};
    struct plex_err err = {0};
    enum plex_status status;

    lane->committing = false;
    if (lane->core == NULL)
        return;
    status = actions_apply(lane, &replies, &err);
    if (status == PLEX_OK)
        status = reg_rows_commit(lane->rows, &err);
    lane->commits->value++;
    if (status == PLEX_OK)
        plex_replies_send(&replies, NULL);
    else
        store_lost(lane, &replies, &err);
    timer_arm(lane);
}

static void
commit_defer(struct reg_lane *lane)
{
    if (lane->committing)
        return;
    lane->committing = true;
    plex_loop_defer(lane->host->loop, &lane->commit);
}

static void
on_timer(void *arg)
{
    struct reg_lane *lane = arg;
    struct plex_err err = {0};

    if (lane->core == NULL) {
        if (lane_open(lane, &err) != PLEX_OK)
            plex_log(PLEX_LOG_WARN, "keep-store", "%s", err.text);
        else
            plex_log(PLEX_LOG_INFO, "keep-store", "%s: the store is back",
                     lane->ops->area);
        timer_arm(lane);
        return;
    }
    lane->ops->tick(lane->core, reg_lane_now());
    commit_defer(lane);
}

/* -- requests -------------------------------------------------------------- */

/* Readies the arena; false: it was answered. */
static bool
call_begin(struct reg_lane *lane, struct plex_call *call)
{
    struct plex_err err;

    plex_arena_reset(&lane->arena);
    if (lane->core != NULL && !lane->draining)
        return true;
    (void)plex_err_set(&err, PLEX_UNAVAILABLE,
                       lane->draining ? "plex-registry stops"
                                      : "the store of %s is lost",
                       lane->ops->area);
    plex_call_refuse(call, &err);
    return false;
}

static const char *
tenant_of(const struct plex_call *call)
{
    const char *tenant = plex_call_context(call)->tenant;

    return tenant[0] == '\0' ? "default" : tenant;
}

static const char *
ns_of(const struct plex_call *call, const char *given)
{
    const char *ns = given[0] != '\0' ? given : plex_call_context(call)->ns;

    return ns[0] == '\0' ? "default" : ns;
}

/* At most as long as the caller itself will wait for the answer. */
static uint64_t
patience(const struct plex_call *call, uint64_t wanted_ms)
{
    const uint64_t deadline = plex_call_context(call)->deadline;
    const uint64_t at = plex_now() + (uint64_t)DEADLINE_MS * 1000000U;
    const uint64_t left = deadline > at ? (deadline - at) / 1000000U : 0;

    return deadline == 0 || wanted_ms < left ? wanted_ms : left;
}

static void
kv_call(struct reg_lane *lane, struct plex_call *call, uint32_t method)
{
    struct reg_kv_request request;
    struct plex_err err;
    char id[PLEX_REQUEST_ID_MAX + 8];

    if (!call_begin(lane, call))
        return;
    if (reg_wire_kv_request(method, plex_call_payload(call), &lane->arena,
                            &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    request.tenant = tenant_of(call);
    request.ns = ns_of(call, request.ns);
    /* The gateway repeats a request whose outcome it does not know: these two
     * must not happen twice. */
    if (request.request_id[0] == '\0' &&
        (request.op == REG_KV_CAS || request.op == REG_KV_INCREMENT) &&
        plex_call_context(call)->request_id[0] != '\0') {
        (void)snprintf(id, sizeof id, "call:%s",
                       plex_call_context(call)->request_id);
        request.request_id = id;
    }
    request.timeout_ms = patience(call, request.timeout_ms);
    reg_kv_request(lane->core, call, &request, reg_lane_now());
    commit_defer(lane);
}

static void
lock_call(struct reg_lane *lane, struct plex_call *call, uint32_t method)
{
    struct reg_lock_request request;
    char version[REG_LOCK_VERSION_LEN + 1];
    struct plex_err err;
    uint8_t id[16];

    if (!call_begin(lane, call))
        return;
    if (reg_wire_lock_request(method, plex_call_payload(call), &lane->arena,
                              &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    plex_id_make(id, plex_wall_ms());
    plex_id_format(id, version);
    request.new_version = version;
    request.tenant = tenant_of(call);
    request.ns = ns_of(call, request.ns);
    request.wait_ms = patience(call, request.wait_ms);
    reg_locks_request(lane->core, call, &request, reg_lane_now());
    commit_defer(lane);
}

/* The suite's own are in a namespace that no tenant has. */
static enum plex_status
object_scope(const struct plex_call *call, struct reg_object_request *request,
             struct plex_err *err)
{
    const bool reads = request->op == REG_OBJECT_LOOKUP ||
                       request->op == REG_OBJECT_DISCOVER ||
                       request->op == REG_OBJECT_COUNT;

    request->tenant = tenant_of(call);
    request->ns = ns_of(call, request->ns);
    if (strcmp(request->ns, REG_MANAGED_NS) != 0)
        return PLEX_OK;
    request->tenant = REG_MANAGED_TENANT;
    if (reads)
        return PLEX_OK;
    return plex_err_set(err, PLEX_DENIED,
                        "namespace \"" REG_MANAGED_NS
                        "\" is kept by the suite itself");
}

static void
object_call(struct reg_keep *keep, struct plex_call *call, uint32_t method)
{
    struct reg_lane *lane = &keep->object;
    const struct reg_when when = reg_lane_now();
    struct reg_object_request request;
    struct plex_err err;

    if (!call_begin(lane, call))
        return;
    if (reg_wire_object_request(method, plex_call_payload(call), &lane->arena,
                                &request, &err) != PLEX_OK ||
        object_scope(call, &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    reg_managed_refresh(lane->core, keep->config.catalogue, &keep->managed_ns,
                        when);
    reg_objects_request(lane->core, call, &request, when);
    commit_defer(lane);
}

static void
keep_call(void *state, struct plex_call *call, uint32_t method)
{
    struct reg_keep *keep = *(struct reg_keep **)state;

    if (method <= REG_KV_METHOD_LAST)
        kv_call(&keep->kv, call, method);
    else if (method >= REG_OBJECT_METHOD_FIRST)
        object_call(keep, call, method);
    else
        lock_call(&keep->lock, call, method);
}

#define X(id, name)                                            \
    void reg_keep_on_##id(void *state, struct plex_call *call) \
    {                                                          \
        keep_call(state, call, id);                            \
    }
REG_KEEP_METHODS(X)
#undef X

/* -- life ------------------------------------------------------------------ */

static uint64_t
read_keys(void *arg)
{
    const struct reg_lane *lane = arg;

    return lane->core == NULL ? 0 : reg_kv_stats(lane->core).keys;
}

static uint64_t
read_bytes(void *arg)
{
    const struct reg_lane *lane = arg;

    return lane->core == NULL ? 0 : reg_kv_stats(lane->core).bytes;
}

static uint64_t
read_held(void *arg)
{
    const struct reg_lane *lane = arg;

    return lane->core == NULL ? 0 : reg_locks_stats(lane->core).held;
}

static uint64_t
read_waiters(void *arg)
{
    const struct reg_lane *lane = arg;

    return lane->core == NULL ? 0 : reg_locks_stats(lane->core).waiters;
}

static uint64_t
read_objects(void *arg)
{
    const struct reg_lane *lane = arg;

    return lane->core == NULL ? 0 : reg_objects_stats(lane->core).objects;
}

static void
metrics_open(struct reg_keep *keep, struct plex_metrics *metrics)
{
    plex_metrics_observe(metrics, "plexspaces_registry_keys", "Keys held.", "",
                         read_keys, &keep->kv);
    plex_metrics_observe(metrics, "plexspaces_registry_key_bytes",
                         "Memory of keys and values.", "", read_bytes,
                         &keep->kv);
    plex_metrics_observe(metrics, "plexspaces_registry_locks", "Locks held.",
                         "", read_held, &keep->lock);
    plex_metrics_observe(metrics, "plexspaces_registry_lock_waiters",
                         "Callers that wait for a lock.", "", read_waiters,
                         &keep->lock);
    plex_metrics_observe(metrics, "plexspaces_registry_objects",
                         "Objects registered.", "", read_objects,
                         &keep->object);
}

static enum plex_status
lane_start(struct reg_lane *lane, const struct reg_lane_ops *ops,
           const struct reg_keep_config *config, const char *dsn,
           const struct plex_host *host, struct plex_err *err)
{
    char labels[32];

    (void)snprintf(labels, sizeof labels, "area=\"%s\"", ops->area);
    lane->ops = ops;
    lane->config = config;
    lane->dsn = dsn;
    lane->host = host;
    lane->commit.run = commit_run;
    lane->commits = plex_metrics_counter(
        host->metrics, "plexspaces_registry_commits_total",
        "Transactions of keys, locks and objects.", labels);
    lane->failures = plex_metrics_counter(
        host->metrics, "plexspaces_registry_store_failures_total",
        "Transactions of keys, locks and objects that failed.", labels);
    plex_arena_init(&lane->arena, ARENA_MAX);
    lane->timer = plex_timer_create(host->loop, on_timer, lane);
    if (lane_open(lane, err) == PLEX_OK)
        timer_arm(lane);
    return err->status;
}

enum plex_status
reg_keep_check(const struct reg_keep_config *config, struct plex_err *err)
{
    if (reg_rows_check(config->kv_dsn, err) != PLEX_OK)
        return plex_err_wrap(err, "kv_dsn");
    if (reg_rows_check(config->lock_dsn, err) != PLEX_OK)
        return plex_err_wrap(err, "lock_dsn");
    if (reg_rows_check(config->object_dsn, err) != PLEX_OK)
        return plex_err_wrap(err, "object_dsn");
    return PLEX_OK;
}

enum plex_status
reg_keep_start(struct reg_keep **out, const struct reg_keep_config *config,
               const struct plex_host *host, struct plex_err *err)
{
    struct reg_keep *keep = plex_calloc(1, sizeof *keep);

    keep->config = *config;
    *out = keep;
    err->status = PLEX_OK;
    if (lane_start(&keep->kv, &reg_lane_kv, &keep->config, config->kv_dsn, host,
                   err) != PLEX_OK ||
        lane_start(&keep->lock, &reg_lane_lock, &keep->config, config->lock_dsn,
                   host, err) != PLEX_OK ||
        lane_start(&keep->object, &reg_lane_object, &keep->config,
                   config->object_dsn, host, err) != PLEX_OK) {
        reg_keep_stop(keep);
        *out = NULL;
        return err->status;
    }
    metrics_open(keep, host->metrics);
    return PLEX_OK;
}

static void
lane_drain(struct reg_lane *lane)
{
    lane->draining = true;
    if (lane->core == NULL)
        return;
    lane->ops->dismiss(lane->core, "plex-registry stops");
    commit_defer(lane);
}

void
reg_keep_drain(struct reg_keep *keep)
{
    lane_drain(&keep->kv);
    lane_drain(&keep->lock);
    lane_drain(&keep->object);
}

static void
lane_stop(struct reg_lane *lane)
{
    lane_close(lane);
    plex_timer_free(lane->timer);
    plex_arena_fini(&lane->arena);
}

void
reg_keep_stop(struct reg_keep *keep)
{
    if (keep == NULL)
        return;
    lane_stop(&keep->kv);
    lane_stop(&keep->lock);
    lane_stop(&keep->object);
    free(keep);
}
