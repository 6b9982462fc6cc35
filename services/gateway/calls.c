/* Calls to actors: HTTP on one side, links on the other, the core between. */
#include "services/gateway/calls.h"
#include "common/mem.h"
#include "services/gateway/header.h"
#include "services/gateway/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MIN_MS = 5, PAUSE_MAX_MS = 250 };

/* One message under way to a worker; outlives its answer when abandoned. */
struct gate_attempt {
    struct gate_attempt *next; /* in the pool */
    struct gate_work *work;
    uint32_t number;
    uint64_t link_id;
};

/* -- pools ------------------------------------------------------------------
 */

static struct gate_work *
work_take(struct gate *gate)
{
    struct gate_work *work = gate->works;

    if (work != NULL) {
        gate->works = work->next;
        gate->n_works--;
    } else {
        work = plex_calloc(1, sizeof *work);
        work->gate = gate;
        plex_arena_init(&work->arena, GATE_PARSE_ARENA);
    }
    work->wait_until = UINT64_MAX;
    work->n_headers = 0;
    work->too_many_headers = false;
    work->answered = false;
    return work;
}

static void
work_free(struct gate_work *work)
{
    plex_timer_free(work->timer);
    plex_arena_fini(&work->arena);
    free(work);
}

/* Once it is answered and no attempt is open. */
void
gate_work_release(struct gate_work *work)
{
    struct gate *gate = work->gate;

    if (!work->answered || work->attempts > 0)
        return;
    if (gate->stopped || gate->n_works == GATE_WORKS_POOLED_MAX) {
        work_free(work);
        return;
    }
    plex_arena_reset(&work->arena);
    work->next = gate->works;
    gate->works = work;
    gate->n_works++;
}

static struct gate_attempt *
attempt_take(struct gate *gate)
{
    struct gate_attempt *attempt = gate->attempts;

    if (attempt == NULL)
        return plex_calloc(1, sizeof *attempt);
    gate->attempts = attempt->next;
    return attempt;
}

static void
pools_free(struct gate *gate)
{
    while (gate->works != NULL) {
        struct gate_work *work = gate->works;

        gate->works = work->next;
        work_free(work);
    }
    while (gate->attempts != NULL) {
        struct gate_attempt *attempt = gate->attempts;

        gate->attempts = attempt->next;
        free(attempt);
    }
}

/* -- answers ----------------------------------------------------------------
 */

/* Response headers, with room for what they say. */
struct answer {
    struct plex_http_header headers[WORK_HEADERS_MAX + 8];
    size_t n;
    char actor[3 * PLEX_ACTOR_NAME_MAX + 1];
    char id[GATE_ID_TEXT_MAX + 1];
    char location[sizeof GATE_INVOCATIONS_PREFIX + GATE_ID_TEXT_MAX];
    char trace[56];
};

static void
header_add(struct answer *a, const char *name, const char *value)
{
    assert(a->n + 1 < sizeof a->headers / sizeof *a->headers);
    a->headers[a->n++] = (struct plex_http_header){name, value};
}

/* Header values are ASCII: other bytes of the key, and '%', are encoded. */
static void
actor_text(const struct plex_actor_id *actor, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    char name[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(actor, name, sizeof name);
    for (const char *at = name; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;

        if (c > 0x20 && c < 0x7f && c != '%') {
            *out++ = *at;
            continue;
        }
        *out++ = '%';
        *out++ = hex[c >> 4];
        *out++ = hex[c & 15];
    }
    *out = '\0';
}

static void
answer_begin(const struct gate_work *work, struct answer *a)
{
    const struct gate_request *request = &work->request;

    a->n = 0;
    actor_text(&request->message.to, a->actor);
    if (!request->sends || request->send.process == NULL)
        header_add(a, "X-Plexspaces-Actor", a->actor);
    gate_id_format(request->message.id, a->id);
    header_add(a, "X-Plexspaces-Message-Id", a->id);
    if (memcmp(&request->context.trace, &plex_context_none.trace,
               sizeof request->context.trace) != 0) {
        plex_trace_format(&request->context.trace, a->trace);
        header_add(a, "traceparent", a->trace);
    }
}

static void
answer_accepted(struct gate_work *work, struct answer *a,
                const struct work_reply *reply)
{
    char body[GATE_ID_TEXT_MAX + 100], due[40] = "";
    int len;

    if (reply->due_ms > 0)
        (void)snprintf(due, sizeof due, ",\"due_ms\":%" PRIu64, reply->due_ms);
    (void)snprintf(a->location, sizeof a->location, "%s%s",
                   GATE_INVOCATIONS_PREFIX, a->id);
    header_add(a, "Location", a->location);
    header_add(a, NULL, NULL);
    len = snprintf(body, sizeof body,
                   "{\"message_id\":\"%s\",\"status\":\"accepted\"%s}\n", a->id,
                   due);
    gate_answer(work->gate, work->ex, 202, "application/json", a->headers,
                (struct plex_bytes){(const uint8_t *)body, (size_t)len});
}

/* SendMessageResponse. */
static void
answer_sent(struct gate_work *work, struct answer *a,
            const struct work_reply *reply)
{
    const char *given = work->request.send.id;
    const bool waited = work->request.message.kind == WORK_CALL;
    char *text =
        gate_send_text(given == NULL ? a->id : given, waited ? reply : NULL);

    header_add(a, NULL, NULL);
    gate_answer(work->gate, work->ex, waited ? 200 : 202, "application/json",
                a->headers,
                (struct plex_bytes){(const uint8_t *)text, strlen(text)});
    free(text);
}

static void
answer_reply(struct gate_work *work, struct answer *a,
             const struct work_reply *reply)
{
    const unsigned status = reply->http_status < 200 || reply->http_status > 599
                                ? 200
                                : reply->http_status;

    for (size_t i = 0; i < reply->n_headers && i < WORK_HEADERS_MAX; i++)
        if (gate_header_replyable(reply->headers[i].name,
                                  reply->headers[i].value))
            header_add(a, reply->headers[i].name, reply->headers[i].value);
    header_add(a, NULL, NULL);
    gate_answer(work->gate, work->ex, status,
                reply->content_type[0] == '\0' ? "application/json"
                                               : reply->content_type,
                a->headers, reply->payload);
}

/* -- waiting for an end -----------------------------------------------------
 *
 * What has not ended answers 202 to a client that waits: it is looked at again
 * after a pause that doubles. */

static void
wait_unlink(struct gate_work *work)
{
    *work->link = work->next;
    if (work->next != NULL)
        work->next->link = work->link;
    work->link = NULL;
    work->gate->n_waiting--;
}

static void
wait_again(void *arg)
{
    static const char look[] = "{\"action\":\"get\",\"wait\":true}";
    struct gate_work *work = arg;
    struct gate *gate = work->gate;
    struct gate_request *request = &work->request;
    const uint64_t now = plex_loop_now(gate->host->loop);

    wait_unlink(work);
    if (plex_http_gone(work->ex))
        work->wait_until = 0; /* whatever it is, it ends this */
    plex_id_make(request->id, plex_wall_ms());
    request->message.id = (struct plex_bytes){request->id, sizeof request->id};
    request->message.keyed = false;
    request->message.request_hash = 0;
    request->message.payload =
        (struct plex_bytes){(const uint8_t *)look, sizeof look - 1};
    request->context.deadline =
        now + (uint64_t)gate->rules.deadline_default_ms * 1000000;
    work->call = (struct gate_call){.context = &request->context,
                                    .message = &request->message};
    gate_core_call(gate->core, &work->call, now);
    gate_calls_run(gate);
}

/* True: it will be looked at again, so this is not the answer yet. */
static bool
work_waits(struct gate_work *work, const struct work_reply *reply)
{
    struct gate *gate = work->gate;
    const uint64_t now = plex_loop_now(gate->host->loop);
    uint64_t left_ms;

    if (work->request.wait_ms == 0 || reply == NULL || reply->failed ||
        reply->http_status != 202 || gate->draining ||
        gate->n_waiting >= GATE_CALL_WAITS_MAX)
        return false;
    if (work->wait_until == UINT64_MAX) {
        work->wait_until = now + (uint64_t)work->request.wait_ms * 1000000;
        work->pause_ms = PAUSE_MIN_MS;
    }
    if (now >= work->wait_until)
        return false;
    left_ms = (work->wait_until - now + 999999) / 1000000;
    if (work->timer == NULL)
        work->timer = plex_timer_create(gate->host->loop, wait_again, work);
    plex_timer_start(work->timer,
                     work->pause_ms < left_ms ? work->pause_ms : left_ms);
    work->pause_ms =
        work->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : work->pause_ms * 2;
    work->link = &gate->waiting;
    work->next = gate->waiting;
    if (work->next != NULL)
        work->next->link = &work->next;
    gate->waiting = work;
    gate->n_waiting++;
    return true;
}

void
gate_calls_drain(struct gate *gate)
{
    gate->draining = true;
    while (gate->waiting != NULL) {
        plex_timer_stop(gate->waiting->timer);
        wait_again(gate->waiting);
    }
}

void
gate_work_answer(struct gate_work *work, const struct work_reply *reply)
{
    struct gate *gate = work->gate;
    const struct work_message *message = &work->request.message;
    struct answer a;

    if (work_waits(work, reply))
        return;
    work->answered = true;
    answer_begin(work, &a);
    if (reply != NULL && reply->replayed && message->keyed)
        header_add(&a, "Idempotency-Replayed", "true");
    if (reply != NULL && work->request.sends && !reply->failed) {
        answer_sent(work, &a, reply);
    } else if (reply != NULL && message->kind == WORK_CAST) {
        answer_accepted(work, &a, reply);
    } else if (reply != NULL && !reply->failed) {
        answer_reply(work, &a, reply);
    } else {
        header_add(&a, NULL, NULL);
        gate_answer_problem(gate, work->ex, &work->call.problem,
                            work->request.request_id, a.headers);
    }
    work->ex = NULL;
    if (work->request.wait_ms == 0)
        plex_histogram_record(
            gate->metrics.calls,
            (plex_loop_now(gate->host->loop) - work->started) / 1000);
    gate_work_release(work);
}

/* When nothing can be asked any more. */
static void
wait_refuse(struct gate_work *work)
{
    wait_unlink(work);
    work->call.problem = (struct gate_problem){.status = 503,
                                               .code = "DRAINING",
                                               .source = "gateway",
                                               .retry_after_s = 1};
    (void)snprintf(work->call.problem.detail, sizeof work->call.problem.detail,
                   "the gateway is stopping");
    gate_work_answer(work, NULL);
}

/* -- the core's wishes ------------------------------------------------------
 */

static void
attempt_done(void *arg, enum plex_status status, const char *text,
             const struct work_reply *reply)
{
    struct gate_attempt *attempt = arg;
    struct gate_work *work = attempt->work;
    struct gate *gate = work->gate;
    const uint32_t number = attempt->number;

    if (work->attempt == attempt)
        work->attempt = NULL;
    work->attempts--;
    if (gate->stopped) {
        free(attempt);
        work->answered = true;
        gate_work_release(work);
        return;
    }
    attempt->next = gate->attempts;
    gate->attempts = attempt;
    if (work->answered) {
        gate_work_release(work);
        return;
    }
    gate_core_result(gate->core, &work->call, number, status, text, reply,
                     plex_loop_now(gate->host->loop));
    gate_calls_run(gate);
}

static void
work_invoke(struct gate_work *work, const struct gate_action *action)
{
    struct gate *gate = work->gate;
    struct gate_attempt *attempt = attempt_take(gate);

    attempt->work = work;
    attempt->number = action->attempt;
    work->attempt = attempt;
    work->attempts++;
    work->request.message.fresh = !work->request.message.keyed && !work->sent;
    work->sent = true;
    attempt->link_id =
        work_client_invoke(gate->host->link, action->url, work->call.context,
                           work->call.message, attempt_done, attempt);
}

static void
work_abandon(struct gate_work *work, uint32_t number)
{
    if (work->attempt != NULL && work->attempt->number == number)
        plex_link_cancel(work->gate->host->link, work->attempt->link_id);
}

static void
timer_update(struct gate *gate)
{
    const uint64_t at = gate_core_deadline(gate->core);
    const uint64_t now = plex_loop_now(gate->host->loop);

    if (at == gate->timer_at)
        return;
    gate->timer_at = at;
    if (at == UINT64_MAX)
        plex_timer_stop(gate->timer);
    else
        plex_timer_start(gate->timer,
                         at <= now ? 0 : (at - now + 999999) / 1000000);
}

void
gate_calls_run(struct gate *gate)
{
    struct gate_action action;

    /* What cancelling or answering leads to is done by the loop below. */
    if (gate->running)
        return;
    gate->running = true;
    while (gate_core_next(gate->core, &action)) {
        struct gate_work *work =
            action.call == NULL
                ? NULL
                : plex_container_of(action.call, struct gate_work, call);

        switch (action.kind) {
        case GATE_INVOKE:
            work_invoke(work, &action);
            break;
        case GATE_ABANDON:
            work_abandon(work, action.attempt);
            break;
        case GATE_REFRESH:
            place_watch_hint(gate->watch, action.version);
            break;
        case GATE_RESPOND:
            gate_work_answer(work, action.reply);
            break;
        }
    }
    gate->running = false;
    timer_update(gate);
}

void
gate_calls_fini(struct gate *gate)
{
    gate->draining = true;
    while (gate->waiting != NULL)
        wait_refuse(gate->waiting);
    /* Only calls that wait are left; for them every deadline has come. */
    gate_core_tick(gate->core, UINT64_MAX);
    gate_calls_run(gate);
    gate->stopped = true;
    pools_free(gate);
}

/* -- requests ---------------------------------------------------------------
 */

static void
header_collect(void *arg, const char *name, const char *value)
{
    struct gate_work *work = arg;

    if (work->n_headers == GATE_HEADERS_IN_MAX)
        work->too_many_headers = true;
    else
        work->headers[work->n_headers++] = (struct work_header){name, value};
}

/* A path that names no key of a type that needs one. */
static bool
key_needed(const struct gate *gate, const struct gate_request *request)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);
    const struct plex_actor_id *to = &request->message.to;
    const struct reg_actor_type *type =
        catalog == NULL
            ? NULL
            : reg_catalog_type(catalog, to->tenant, to->ns, to->type, NULL);

    return type != NULL && type->is_virtual && !type->stateless;
}

static bool
work_parse(struct gate_work *work, struct plex_http_exchange *ex,
           const struct gate_route *route, const struct gate_vars *vars)
{
    struct gate *gate = work->gate;
    struct gate_problem *problem = &work->call.problem;
    struct gate_input input = {.method = plex_http_method(ex),
                               .route = route,
                               .vars = vars,
                               .path = plex_http_path(ex),
                               .query = plex_http_query(ex),
                               .headers = work->headers,
                               .body = plex_http_body(ex),
                               .now_ns = work->started};

    plex_http_each_header(ex, header_collect, work);
    input.n_headers = work->n_headers;
    plex_id_make(input.id, plex_wall_ms());
    if (work->too_many_headers) {
        *problem = (struct gate_problem){
            .status = 431, .code = "TOO_MANY_HEADERS", .source = "gateway"};
        (void)snprintf(problem->detail, sizeof problem->detail,
                       "more than %d headers", GATE_HEADERS_IN_MAX);
        return false;
    }
    if (!gate_parse(&gate->rules, &input, &work->arena, &work->request,
                    problem))
        return false;
    if (!work->request.key_missing || !key_needed(gate, &work->request))
        return true;
    *problem = (struct gate_problem){
        .status = 400, .code = "ACTOR_KEY_MISSING", .source = "gateway"};
    (void)snprintf(problem->detail, sizeof problem->detail,
                   "actor type \"%s\" is virtual: name the actor by a path "
                   "segment after the type or by ?key=",
                   work->request.message.to.type);
    return false;
}

static void
work_refuse(struct gate_work *work, struct plex_http_exchange *ex)
{
    static const struct plex_http_header allow[] = {
        {"Allow", "GET, POST, PUT, DELETE"}, {0}};

    gate_answer_problem(work->gate, ex, &work->call.problem, "",
                        work->call.problem.status == 405 ? allow : NULL);
    work->answered = true;
    gate_work_release(work);
}

void
gate_call_begin(struct gate *gate, struct plex_http_exchange *ex,
                const struct gate_route *route, const struct gate_vars *vars)
{
    struct gate_work *work = work_take(gate);

    work->sent = false;
    work->ex = ex;
    work->started = plex_loop_now(gate->host->loop);
    if (!work_parse(work, ex, route, vars)) {
        work_refuse(work, ex);
        return;
    }
    work->call = (struct gate_call){.context = &work->request.context,
                                    .message = &work->request.message};
    if (gate_call_directly(work))
        return;
    gate_core_call(gate->core, &work->call, work->started);
    gate_calls_run(gate);
}
