#include "services/gateway/core.h"

#include "common/mem.h"
#include "services/gateway/core_heap.h"
#include "services/gateway/core_stateless.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

enum { CALL_NEW, CALL_FLYING, CALL_WAITING, CALL_ENDING };
enum { WHY_NO_OWNER, WHY_NOT_OWNER, WHY_UNAVAILABLE, WHY_LOST, WHY_NO_TYPE };
enum { TODO_ABANDON = 1, TODO_INVOKE = 2, TODO_RESPOND = 4 };

struct gate_core {
    struct gate_core_config config;
    struct reg_catalog *catalog;
    struct place_table *table;
    /* In order of arrival there, so that a new table treats them in order. */
    struct gate_list flying, waiting;
    struct gate_heap heap;
    struct gate_spots spots;
    struct gate_call *todo_head, *todo_tail;
    bool refresh;
    uint64_t refresh_version;
    uint32_t calls;
    uint64_t order;
    struct gate_core_stats stats;
};

/* -- calls ------------------------------------------------------------------
 */

/* Out of the heap and of whatever list its state says. */
static void
call_detach(struct gate_core *core, struct gate_call *call)
{
    gate_heap_remove(&core->heap, call);
    if (call->state == CALL_FLYING && call->route != 0)
        gate_spots_leave(&core->spots, call->worker);
    if (call->state == CALL_FLYING)
        gate_list_remove(&core->flying, call);
    else if (call->state == CALL_WAITING)
        gate_list_remove(&core->waiting, call);
    call->state = CALL_NEW;
}

static void
call_todo(struct gate_core *core, struct gate_call *call, unsigned what)
{
    call->todo = (unsigned char)(call->todo | what);
    if (call->queued)
        return;
    call->queued = true;
    call->todo_next = NULL;
    if (core->todo_tail != NULL)
        core->todo_tail->todo_next = call;
    else
        core->todo_head = call;
    core->todo_tail = call;
}

/* -- ends -------------------------------------------------------------------
 */

static void
call_end(struct gate_core *core, struct gate_call *call)
{
    call_detach(core, call);
    call->state = CALL_ENDING;
    call_todo(core, call, TODO_RESPOND);
}

static void problem_set(struct gate_call *call, unsigned status,
                        const char *code, const char *source, const char *fmt,
                        ...) PLEX_PRINTF(5, 6);

static void
problem_set(struct gate_call *call, unsigned status, const char *code,
            const char *source, const char *fmt, ...)
{
    struct gate_problem *p = &call->problem;
    va_list args;

    p->status = status;
    p->code = code;
    p->source = source;
    p->outcome_unknown = call->maybe_done;
    p->retry_after_s = status == 503 || status == 429 ? 1 : 0;
    va_start(args, fmt);
    (void)vsnprintf(p->detail, sizeof p->detail, fmt, args);
    va_end(args);
}

static const char *
outcome_text(const struct gate_call *call)
{
    return call->maybe_done ? "; the outcome is unknown"
                            : "; it was not carried out";
}

/* The deadline passed while no attempt was in flight. */
static void
call_expire(struct gate_core *core, struct gate_call *call)
{
    char last[160];

    (void)snprintf(last, sizeof last, "%.159s", call->problem.detail);
    if (call->maybe_done)
        problem_set(call, 504, "DEADLINE_EXCEEDED", "gateway",
                    "the deadline passed before a worker confirmed the call; "
                    "the outcome is unknown: a retry with the same "
                    "Idempotency-Key is safe");
    else if (call->why == WHY_NO_OWNER && call->route != 0)
        problem_set(call, 503, "NO_WORKER", "gateway",
                    "no worker is ready; the call was not carried out");
    else if (call->why == WHY_NO_OWNER || call->why == WHY_NOT_OWNER)
        problem_set(call, 503, "NO_OWNER", "gateway",
                    "no worker owns shard %u of this actor yet; the call was "
                    "not carried out",
                    call->shard);
    else if (call->why == WHY_NO_TYPE)
        problem_set(call, 503, "ACTOR_TYPE_UNAVAILABLE", "worker", "%s", last);
    else
        problem_set(call, 503, "UNAVAILABLE", "worker",
                    "%s; the call was not carried out", last);
    call_end(core, call);
}

/* -- going ------------------------------------------------------------------
 */

static void
call_wait(struct gate_core *core, struct gate_call *call, unsigned char why,
          uint64_t until)
{
    call_detach(core, call);
    call->state = CALL_WAITING;
    call->why = why;
    call->target = NULL;
    call->wake =
        until < call->context->deadline ? until : call->context->deadline;
    call->order = ++core->order;
    gate_list_append(&core->waiting, call);
    gate_heap_push(&core->heap, call);
}

static void
call_pause(struct gate_core *core, struct gate_call *call, unsigned char why,
           uint64_t now_ns)
{
    const uint32_t doublings = call->pauses < 6 ? call->pauses : 6;
    uint64_t pause_ms = (uint64_t)GATE_BACKOFF_MIN_MS << doublings;

    if (pause_ms > GATE_BACKOFF_MAX_MS)
        pause_ms = GATE_BACKOFF_MAX_MS;
    call->pauses++;
    call_wait(core, call, why, now_ns + pause_ms * NS_PER_MS);
}

static void
call_send(struct gate_core *core, struct gate_call *call,
          const struct place_worker *to)
{
    call->state = CALL_FLYING;
    call->target = to;
    core->stats.attempts++;
    core->stats.retries += call->attempt > 0;
    call->attempt++;
    gate_list_append(&core->flying, call);
    call_todo(core, call, TODO_INVOKE);
}

/* To the owner, or whom a stateless type's route picks, or into the waiting
 * room. */
static void
call_route(struct gate_core *core, struct gate_call *call)
{
    const struct place_worker *owner = NULL;

    call_detach(core, call);
    if (call->route != 0) {
        owner = gate_spots_pick(&core->spots, call->route, call->message,
                                call->refused);
        call->worker = owner == NULL ? 0 : owner->incarnation;
    } else if (core->table != NULL) {
        call->shard = plex_shard_of(plex_actor_hash(&call->message->to),
                                    core->table->shard_bits);
        owner = place_table_owner(core->table, call->shard);
    }
    if (owner == NULL) {
        core->stats.waits++;
        call_wait(core, call, WHY_NO_OWNER, UINT64_MAX);
        return;
    }
    if (call->route == 0)
        call->epoch = place_table_find(core->table, call->shard)->epoch;
    call_send(core, call, owner);
}

/* An attempt that nobody has seen yet never was one. */
static void
call_abandon(struct gate_core *core, struct gate_call *call)
{
    if (call->todo & TODO_INVOKE) {
        call->todo = (unsigned char)(call->todo & ~TODO_INVOKE);
        call->attempt--;
        core->stats.attempts--;
        return;
    }
    call->abandoned = call->attempt;
    call->maybe_done = true;
    core->stats.unknown++;
    call_todo(core, call, TODO_ABANDON);
}

/* -- inputs -----------------------------------------------------------------
 */

struct gate_core *
gate_core_create(const struct gate_core_config *config)
{
    struct gate_core *core = plex_calloc(1, sizeof *core);

    core->config = *config;
    core->spots.last = SIZE_MAX;
    return core;
}

void
gate_core_free(struct gate_core *core)
{
    if (core == NULL)
        return;
    reg_catalog_unref(core->catalog);
    place_table_unref(core->table);
    gate_heap_fini(&core->heap);
    gate_spots_fini(&core->spots);
    free(core);
}

/* Stateless calls that wait because nobody was ready. */
static void
spots_wake(struct gate_core *core)
{
    struct gate_call *const last = core->waiting.tail;

    if (!gate_spots_any(&core->spots))
        return;
    for (struct gate_call *c = core->waiting.head, *next; c != NULL; c = next) {
        next = c == last ? NULL : c->next;
        if (c->route != 0 && c->why == WHY_NO_OWNER)
            call_route(core, c);
    }
}

void
gate_core_catalog(struct gate_core *core, struct reg_catalog *catalog)
{
    struct reg_catalog *old = core->catalog;

    core->catalog = reg_catalog_ref(catalog);
    gate_spots_set(&core->spots, core->catalog, core->table);
    spots_wake(core);
    reg_catalog_unref(old);
}

/* Whoever had it has gone: it has a while to say something. */
static void
call_grace(struct gate_core *core, struct gate_call *call, uint64_t now_ns)
{
    if (call->heap_at != 0)
        return;
    call->wake = now_ns + GATE_GRACE_MS * NS_PER_MS;
    if (call->wake < call->context->deadline) {
        call->order = ++core->order;
        gate_heap_push(&core->heap, call);
    }
}

static void
stateless_review(struct gate_core *core, struct gate_call *call,
                 uint64_t now_ns)
{
    call->target = gate_spots_find(&core->spots, call->worker);
    if (call->target != NULL)
        return;
    if (call->todo & TODO_INVOKE) {
        call_abandon(core, call);
        call_route(core, call);
        return;
    }
    call_grace(core, call, now_ns);
}

/* The table has changed under a call in flight. */
static void
flying_review(struct gate_core *core, struct gate_call *call, uint64_t now_ns)
{
    const struct place_range *range =
        place_table_find(core->table, call->shard);
    const struct place_worker *owner =
        place_table_owner(core->table, call->shard);

    if (call->route != 0) {
        stateless_review(core, call, now_ns);
        return;
    }
    if (owner != NULL && range->epoch == call->epoch) {
        call->target = owner;
        return;
    }
    call->target = NULL;
    if (call->todo & TODO_INVOKE) {
        call_abandon(core, call);
        call_route(core, call);
        return;
    }
    /* On the move: its old owner still answers. */
    if (owner == NULL && range->moving)
        return;
    if (call->durable) {
        core->stats.moved++;
        call_abandon(core, call);
        call_route(core, call);
        return;
    }
    call_grace(core, call, now_ns);
}

static void
waiting_review(struct gate_core *core, struct gate_call *call)
{
    const uint32_t shard = plex_shard_of(plex_actor_hash(&call->message->to),
                                         core->table->shard_bits);

    if (call->route != 0)
        return; /* spots_wake() */
    if (place_table_owner(core->table, shard) == NULL)
        return;
    if (call->attempt > 0 &&
        place_table_find(core->table, shard)->epoch == call->epoch &&
        call->why != WHY_NO_OWNER)
        return;
    call->pauses = 0;
    call_route(core, call);
}

void
gate_core_table(struct gate_core *core, struct place_table *table,
                uint64_t now_ns)
{
    struct place_table *old = core->table;
    struct gate_call *const last_flying = core->flying.tail;
    struct gate_call *const last_waiting = core->waiting.tail;

    if (old != NULL && table->version <= old->version)
        return;
    core->table = place_table_ref(table);
    gate_spots_set(&core->spots, core->catalog, core->table);
    for (struct gate_call *c = core->flying.head, *next; c != NULL; c = next) {
        next = c == last_flying ? NULL : c->next;
        flying_review(core, c, now_ns);
    }
    for (struct gate_call *c = core->waiting.head, *next; c != NULL; c = next) {
        next = c == last_waiting ? NULL : c->next;
        waiting_review(core, c);
    }
    spots_wake(core);
    place_table_unref(old);
}

/* Whether the catalogue lets the call go; otherwise the problem is set. */
static bool
call_permitted(struct gate_core *core, struct gate_call *call)
{
    const struct plex_actor_id *to = &call->message->to;
    const struct reg_actor_type *type;
    const struct reg_app *app;

    if (core->catalog == NULL)
        problem_set(call, 503, "STARTING", "gateway",
                    "the catalogue has not arrived from the registry yet");
    else if ((type = reg_catalog_type(core->catalog, to->tenant, to->ns,
                                      to->type, &app)) == NULL)
        problem_set(call, 404, "ACTOR_TYPE_NOT_FOUND", "gateway",
                    "actor type \"%s\" is not deployed in %s/%s", to->type,
                    to->tenant, to->ns);
    else if (app->state != REG_APP_RUNNING)
        problem_set(call, 503, "APPLICATION_STOPPED", "gateway",
                    "application \"%s\" of actor type \"%s\" is stopped",
                    app->name, to->type);
    else if (!type->is_virtual)
        problem_set(call, 404, "NO_LIVE_INSTANCE", "gateway",
                    "actor type \"%s\" is not virtual and none of it is "
                    "running",
                    to->type);
    else {
        call->durable = type->durable;
        call->route = type->stateless ? type->route : (enum plex_spread)0;
        return true;
    }
    return false;
}

static bool
call_admit(struct gate_core *core, struct gate_call *call, uint64_t now_ns)
{
    if (core->calls > core->config.calls_max)
        problem_set(call, 503, "OVERLOADED", "gateway",
                    "%u calls are in service, which is the gateway's limit",
                    core->config.calls_max);
    else if (call->context->deadline <= now_ns)
        problem_set(call, 504, "DEADLINE_EXCEEDED", "gateway",
                    "the deadline had passed before the call was routed; it "
                    "was not carried out");
    else
        return call_permitted(core, call);
    return false;
}

void
gate_core_call(struct gate_core *core, struct gate_call *call, uint64_t now_ns)
{
    assert(call->state == CALL_NEW && call->context->deadline != 0);
    core->calls++;
    call->accepted = now_ns;
    call->problem.detail[0] = '\0';
    if (call_admit(core, call, now_ns))
        call_route(core, call);
    else
        call_end(core, call);
}

/* The attempt surely did nothing: try again. */
static void
result_again(struct gate_core *core, struct gate_call *call,
             enum plex_status status, const char *text,
             const struct work_reply *reply, uint64_t now_ns)
{
    const uint64_t version = reply == NULL ? 0 : reply->table_version;

    call->refused = call->worker;
    /* It may have been stopped or undeployed meanwhile. */
    if (!call->maybe_done && !call_permitted(core, call)) {
        call_end(core, call);
        return;
    }
    (void)snprintf(call->problem.detail, sizeof call->problem.detail, "%s",
                   text[0] == '\0' ? plex_status_text(status) : text);
    if (status == PLEX_NOT_OWNER &&
        (core->table == NULL || version > core->table->version)) {
        core->refresh = true;
        if (version > core->refresh_version)
            core->refresh_version = version;
    }
    call_pause(core, call,
               status == PLEX_NOT_OWNER || status == PLEX_FENCED
                   ? WHY_NOT_OWNER
                   : WHY_UNAVAILABLE,
               now_ns);
}

/* The attempt may have been carried out. */
static void
result_unknown(struct gate_core *core, struct gate_call *call,
               enum plex_status status, const char *text, uint64_t now_ns)
{
    core->stats.unknown++;
    call->maybe_done = true;
    if (now_ns + NS_PER_MS >= call->context->deadline ||
        (status == PLEX_TIMEOUT && !call->durable)) {
        problem_set(call, 504, "DEADLINE_EXCEEDED", "gateway",
                    "the deadline passed while the worker had the call; the "
                    "outcome is unknown");
        call_end(core, call);
    } else if (call->durable && status != PLEX_CANCELLED) {
        (void)snprintf(call->problem.detail, sizeof call->problem.detail, "%s",
                       text);
        core->refresh = true;
        call_pause(core, call, WHY_LOST, now_ns);
    } else {
        problem_set(call, 503, "OUTCOME_UNKNOWN", "gateway",
                    "the worker was lost while it had the call (%.80s); it "
                    "may have been carried out and was not sent again",
                    text);
        call_end(core, call);
    }
}

static void
result_refused(struct gate_core *core, struct gate_call *call,
               enum plex_status status, const char *text)
{
    if (status == PLEX_IN_FLIGHT)
        problem_set(call, 409, "IDEMPOTENCY_KEY_IN_FLIGHT", "gateway",
                    "the first request with this Idempotency-Key is still "
                    "being handled; ask again later");
    else if (status == PLEX_MISMATCH)
        problem_set(call, 422, "IDEMPOTENCY_KEY_REUSED", "gateway",
                    "this Idempotency-Key was used with another request to "
                    "this actor; use a new key");
    else
        problem_set(call, (unsigned)plex_status_http(status),
                    plex_status_name(status), "worker", "%.180s%s",
                    text[0] == '\0' ? plex_status_text(status) : text,
                    outcome_text(call));
    call_end(core, call);
}

static void
result_ok(struct gate_core *core, struct gate_call *call,
          const struct work_reply *reply)
{
    assert(reply != NULL);
    call->reply = reply;
    if (reply->failed) {
        call->maybe_done = false;
        problem_set(call, 500, "ACTOR_FAILED", "actor", "%s",
                    reply->error[0] == '\0' ? "the actor failed"
                                            : reply->error);
    }
    call_end(core, call);
}

void
gate_core_result(struct gate_core *core, struct gate_call *call,
                 uint32_t attempt, enum plex_status status, const char *text,
                 const struct work_reply *reply, uint64_t now_ns)
{
    if (call->state != CALL_FLYING || attempt != call->attempt)
        return;
    assert((call->todo & TODO_INVOKE) == 0);
    gate_heap_remove(&core->heap, call);
    switch (status) {
    case PLEX_OK:
        result_ok(core, call, reply);
        break;
    case PLEX_NOT_OWNER:
    case PLEX_FENCED:
    case PLEX_UNAVAILABLE:
        result_again(core, call, status, text, reply, now_ns);
        break;
    case PLEX_UNKNOWN:
    case PLEX_TIMEOUT:
    case PLEX_CANCELLED:
        result_unknown(core, call, status, text, now_ns);
        break;
    case PLEX_NOT_FOUND:
        /* The worker's catalogue may be a moment behind ours. */
        result_again(core, call, status, text, reply, now_ns);
        if (call->state != CALL_WAITING)
            break;
        call->why = WHY_NO_TYPE;
        if (now_ns - call->accepted >= GATE_TYPE_LAG_MS * NS_PER_MS)
            call_expire(core, call);
        break;
    default:
        /* A refusal now says nothing about an earlier, lost attempt: go on
         * until it is known what became of that. */
        if (status == PLEX_INTERNAL || status == PLEX_CORRUPT)
            call->maybe_done = true;
        if ((status == PLEX_LIMIT && call->maybe_done) ||
            (status == PLEX_IN_FLIGHT && !call->message->keyed))
            result_again(core, call, status, text, reply, now_ns);
        else
            result_refused(core, call, status, text);
        break;
    }
}

void
gate_core_tick(struct gate_core *core, uint64_t now_ns)
{
    struct gate_call *call;

    while ((call = gate_heap_first(&core->heap)) != NULL &&
           call->wake <= now_ns) {
        gate_heap_remove(&core->heap, call);
        if (call->state == CALL_FLYING) {
            call_abandon(core, call);
            problem_set(call, 503, "OUTCOME_UNKNOWN", "gateway",
                        "the actor moved to another worker while its old one "
                        "had the call; it may have been carried out and was "
                        "not sent again");
            call_end(core, call);
        } else if (call->context->deadline <= now_ns) {
            call_expire(core, call);
        } else {
            call_route(core, call);
        }
    }
}

uint64_t
gate_core_deadline(const struct gate_core *core)
{
    const struct gate_call *call = gate_heap_first(&core->heap);

    return call == NULL ? UINT64_MAX : call->wake;
}

/* -- outputs ----------------------------------------------------------------
 */

static void
action_of(struct gate_core *core, struct gate_call *call,
          struct gate_action *out)
{
    *out = (struct gate_action){.call = call, .attempt = call->attempt};
    if (call->todo & TODO_ABANDON) {
        call->todo = (unsigned char)(call->todo & ~TODO_ABANDON);
        out->kind = GATE_ABANDON;
        out->attempt = call->abandoned;
    } else if (call->todo & TODO_INVOKE) {
        call->todo = (unsigned char)(call->todo & ~TODO_INVOKE);
        out->kind = GATE_INVOKE;
        out->url = call->target->url;
        out->node_id = call->target->node_id;
    } else {
        call->todo = 0;
        out->kind = GATE_RESPOND;
        out->reply = call->reply;
        core->calls--;
    }
}

bool
gate_core_next(struct gate_core *core, struct gate_action *out)
{
    struct gate_call *call;

    if (core->refresh) {
        *out = (struct gate_action){.kind = GATE_REFRESH,
                                    .version = core->refresh_version};
        core->refresh = false;
        core->refresh_version = 0;
        return true;
    }
    while ((call = core->todo_head) != NULL && call->todo == 0) {
        core->todo_head = call->todo_next;
        call->queued = false;
        if (core->todo_head == NULL)
            core->todo_tail = NULL;
    }
    if (call == NULL)
        return false;
    action_of(core, call, out);
    if (call->todo == 0) {
        core->todo_head = call->todo_next;
        call->queued = false;
        if (core->todo_head == NULL)
            core->todo_tail = NULL;
    }
    return true;
}

uint32_t
gate_core_calls(const struct gate_core *core)
{
    return core->calls;
}

const struct reg_catalog *
gate_core_catalog_now(const struct gate_core *core)
{
    return core->catalog;
}

const struct place_table *
gate_core_table_now(const struct gate_core *core)
{
    return core->table;
}

const struct gate_core_stats *
gate_core_stats(const struct gate_core *core)
{
    return &core->stats;
}
