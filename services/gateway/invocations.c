/* What became of a message: the journal knows, for durable actors. */
#include "common/json_text.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "services/gateway/gate.h"
#include "services/gateway/json_check.h"
#include "services/gateway/query.h"
#include "services/gateway/text.h"
#include "services/journal/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    LOOKUP_ARENA = 64 << 20,
    LOOKUP_TEXT_MAX = 128 << 20, /* a reply, escaped */
    LOOKUP_MS = 10000,
    PAUSE_MIN_MS = 20,
    PAUSE_MAX_MS = 500,
};

struct gate_lookup {
    struct gate_lookup *next, *prev; /* gate->lookups */
    struct gate *gate;
    struct plex_http_exchange *ex;
    struct plex_arena arena;
    struct plex_context context;
    char request_id[27];
    char id_text[GATE_ID_TEXT_MAX + 1];
    struct plex_bytes id;
    bool as_run;    /* looking for the guard of an open run of that id */
    uint64_t until; /* of ?wait=, plex_now() scale */
    uint32_t pause_ms;
    struct plex_timer *timer;
    struct journal_client journal;
};

static void
lookup_free(struct gate_lookup *l)
{
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        l->gate->lookups = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    l->gate->n_rest--;
    plex_timer_free(l->timer);
    plex_arena_fini(&l->arena);
    free(l);
}

static void lookup_problem(struct gate_lookup *l, unsigned status,
                           const char *code, const char *source,
                           const char *fmt, ...) PLEX_PRINTF(5, 6);

static void
lookup_problem(struct gate_lookup *l, unsigned status, const char *code,
               const char *source, const char *fmt, ...)
{
    char text[PLEX_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gate_answer_error(l->gate, l->ex, status, code, source, l->request_id, "%s",
                      text);
    lookup_free(l);
}

/* -- the answer -------------------------------------------------------------
 */

static void put(struct plex_buf *out, const char *fmt, ...) PLEX_PRINTF(2, 3);

static void
put(struct plex_buf *out, const char *fmt, ...)
{
    char text[256];
    uint8_t *room;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    room = n < 0 || (size_t)n >= sizeof text ? NULL
                                             : plex_buf_grow(out, (size_t)n);
    if (room != NULL)
        memcpy(room, text, (size_t)n);
}

static void
put_raw(struct plex_buf *out, const void *data, size_t len)
{
    uint8_t *room = len == 0 ? NULL : plex_buf_grow(out, len);

    if (room != NULL)
        memcpy(room, data, len);
}

/* With its quotes. */
static void
put_string(struct plex_buf *out, const char *text, size_t len)
{
    uint8_t *room = plex_buf_grow(out, 6 * len + 2);
    size_t used;

    if (room == NULL)
        return;
    room[0] = '"';
    used = plex_json_escape((char *)room + 1, 6 * len, text, len);
    room[used + 1] = '"';
    out->len -= 6 * len - used;
}

static void
put_member(struct plex_buf *out, const char *name, const char *text)
{
    put(out, ",\"%s\":", name);
    put_string(out, text, strlen(text));
}

/* JSON as it is, other text as a string, other bytes as base64url. */
static void
put_payload(struct gate_lookup *l, struct plex_buf *out,
            const struct work_reply *reply)
{
    const struct plex_bytes body = reply->payload;
    const bool json =
        reply->content_type[0] == '\0' ||
        strncasecmp(reply->content_type, "application/json", 16) == 0;
    struct plex_err err;
    const char *text;

    if (body.len == 0) {
        put(out, ",\"reply\":null");
    } else if (json && gate_json_check(body, &err) == PLEX_OK) {
        put(out, ",\"reply\":");
        put_raw(out, body.data, body.len);
    } else if (plex_utf8_valid(body.data, body.len)) {
        put(out, ",\"reply\":");
        put_string(out, (const char *)body.data, body.len);
    } else {
        put(out, ",\"reply_base64url\":\"");
        text = gate_base64url(body, &l->arena);
        put_raw(out, text, strlen(text));
        put(out, "\"");
    }
}

static bool
put_done(struct gate_lookup *l, struct plex_buf *out,
         const struct journal_lookup *found)
{
    struct work_reply reply;
    struct plex_err err;

    if (work_reply_unpack(found->reply, &l->arena, &reply, &err) != PLEX_OK) {
        plex_buf_free(out);
        lookup_problem(l, 500, "CORRUPT", "journal",
                       "the recorded reply cannot be read: %.150s", err.text);
        return false;
    }
    put(out, ",\"status\":\"%s\",\"at_ms\":%" PRIu64,
        reply.failed ? "failed" : "succeeded", found->at_ms);
    if (reply.failed) {
        put_member(out, "error", reply.error);
        return true;
    }
    put(out, ",\"http_status\":%u",
        reply.http_status == 0 ? 200 : reply.http_status);
    put_member(out, "content_type",
               reply.content_type[0] == '\0' ? "application/json"
                                             : reply.content_type);
    put_payload(l, out, &reply);
    return true;
}

static void
lookup_answer(struct gate_lookup *l, const struct journal_lookup *found)
{
    static const struct plex_http_header headers[] = {
        {"Cache-Control", "no-store"}, {0}};
    struct plex_buf out = {.max = LOOKUP_TEXT_MAX};
    char actor[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(&found->actor, actor, sizeof actor);
    put(&out, "{\"message_id\":\"");
    put_raw(&out, l->id_text, strlen(l->id_text));
    put(&out, "\"");
    put_member(&out, "actor", actor);
    if (found->waiting)
        put(&out, ",\"status\":\"scheduled\",\"due_ms\":%" PRIu64,
            found->due_ms);
    else if (!put_done(l, &out, found))
        return;
    put(&out, "}\n");
    gate_answer(l->gate, l->ex, 200, "application/json", headers,
                (struct plex_bytes){out.data, out.len});
    plex_buf_free(&out);
    lookup_free(l);
}

/* -- asking -----------------------------------------------------------------
 */

static void lookup_ask(struct gate_lookup *l);

static void
lookup_again(void *arg)
{
    struct gate_lookup *l = arg;

    if (plex_http_gone(l->ex))
        lookup_problem(l, 503, "CANCELLED", "gateway", "the client is gone");
    else
        lookup_ask(l);
}

/* Whether there is time left to wait, and the wait begun. */
static bool
lookup_wait(struct gate_lookup *l)
{
    const uint64_t now = plex_now();
    uint64_t left_ms;

    if (now >= l->until)
        return false;
    left_ms = (l->until - now + 999999) / 1000000;
    if (l->timer == NULL)
        l->timer = plex_timer_create(l->gate->host->loop, lookup_again, l);
    plex_timer_start(l->timer, l->pause_ms < left_ms ? l->pause_ms : left_ms);
    l->pause_ms =
        l->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : l->pause_ms * 2;
    return true;
}

static void lookup_send(struct gate_lookup *l, struct plex_bytes id);

/* A message whose handler waits is not answered yet: its run has a guard. */
static void
lookup_run(struct gate_lookup *l)
{
    uint8_t *id = gate_alloc(&l->arena, l->id.len + 2);

    l->as_run = true;
    memcpy(id, "w:", 2);
    if (l->id.len > 0)
        memcpy(id + 2, l->id.data, l->id.len);
    lookup_send(l, (struct plex_bytes){id, l->id.len + 2});
}

static void
lookup_done(void *arg, enum plex_status status, const char *text,
            const struct journal_lookup *found)
{
    struct gate_lookup *l = arg;

    if (status == PLEX_NOT_FOUND && !l->as_run)
        lookup_run(l);
    else if (status == PLEX_NOT_FOUND)
        lookup_problem(l, 404, "INVOCATION_NOT_FOUND", "gateway",
                       "nothing is recorded under this id; it is unknown, "
                       "too old, or of an actor that is not durable: those "
                       "are not recorded");
    else if (status != PLEX_OK)
        lookup_problem(l, (unsigned)plex_status_http(status),
                       plex_status_name(status), "journal", "%.200s", text);
    else if (!found->waiting || !lookup_wait(l))
        lookup_answer(l, found);
}

static void
lookup_send(struct gate_lookup *l, struct plex_bytes id)
{
    l->journal.link = l->gate->host->link;
    l->journal.url = reg_client_next_url(l->gate->registry, "journal");
    if (l->journal.url == NULL) {
        lookup_problem(l, 503, "UNAVAILABLE", "gateway",
                       "no journal is registered");
        return;
    }
    l->context.deadline = plex_now() + (uint64_t)LOOKUP_MS * 1000000;
    journal_client_lookup(&l->journal, &l->context, l->context.tenant, id,
                          lookup_done, l);
}

static void
lookup_ask(struct gate_lookup *l)
{
    l->as_run = false;
    lookup_send(l, l->id);
}

/* ?wait=10s */
static bool
parse_wait(struct gate_lookup *l)
{
    const char *query = plex_http_query(l->ex);
    struct gate_params params;
    struct plex_err err;
    const char *wait;
    uint64_t wait_ms = 0;

    if (strlen(query) > GATE_QUERY_MAX) {
        lookup_problem(l, 414, "URI_TOO_LONG", "gateway",
                       "the query may have %d bytes", GATE_QUERY_MAX);
        return false;
    }
    if (gate_params_parse(query, &l->arena, &params, &err) != PLEX_OK) {
        lookup_problem(l, 400, "INVALID_QUERY", "gateway", "%s", err.text);
        return false;
    }
    wait = gate_params_take(&params, "wait");
    if (params.n > (wait != NULL ? 1U : 0U)) {
        lookup_problem(l, 400, "INVALID_QUERY", "gateway",
                       "only the query parameter wait is known here");
        return false;
    }
    if (wait != NULL &&
        !gate_duration_parse(wait, l->gate->rules.deadline_max_ms, &wait_ms)) {
        lookup_problem(l, 400, "INVALID_QUERY", "gateway",
                       "wait must be a whole number and ms, s, m or h, such "
                       "as 10s, and at most %ums",
                       l->gate->rules.deadline_max_ms);
        return false;
    }
    l->until = plex_now() + wait_ms * 1000000;
    return true;
}

static struct gate_lookup *
lookup_create(struct gate *gate, struct plex_http_exchange *ex)
{
    struct gate_lookup *l = plex_calloc(1, sizeof *l);
    uint8_t id[16];

    gate->n_rest++;
    l->gate = gate;
    l->next = gate->lookups;
    if (l->next != NULL)
        l->next->prev = l;
    gate->lookups = l;
    l->ex = ex;
    l->pause_ms = PAUSE_MIN_MS;
    plex_arena_init(&l->arena, LOOKUP_ARENA);
    plex_id_make(id, plex_wall_ms());
    plex_id_format(id, l->request_id);
    l->context = plex_context_none;
    l->context.tenant = gate->rules.tenant;
    l->context.request_id = l->request_id;
    return l;
}

void
gate_invocation_begin(struct gate *gate, struct plex_http_exchange *ex)
{
    static const struct plex_http_header allow[] = {{"Allow", "GET"}, {0}};
    const char *text = plex_http_path(ex) + sizeof GATE_INVOCATIONS_PREFIX - 1;
    struct gate_problem no_get = {.status = 405,
                                  .code = "METHOD_NOT_ALLOWED",
                                  .source = "gateway",
                                  .detail =
                                      "an invocation is looked at with GET"};
    struct gate_lookup *l;
    struct plex_err err;

    if (strcmp(plex_http_method(ex), "GET") != 0) {
        gate_answer_problem(gate, ex, &no_get, "", allow);
        return;
    }
    if (gate->n_rest >= GATE_REST_MAX) {
        gate_answer_error(gate, ex, 503, "OVERLOADED", "gateway", "",
                          "%d requests are in service, which is the limit",
                          GATE_REST_MAX);
        return;
    }
    l = lookup_create(gate, ex);
    if (gate_id_parse(text, &l->arena, &l->id, &err) != PLEX_OK) {
        lookup_problem(l, 400, "INVALID", "gateway", "%s", err.text);
        return;
    }
    gate_id_format(l->id, l->id_text);
    if (parse_wait(l))
        lookup_ask(l);
}

void
gate_invocations_fini(struct gate *gate)
{
    while (gate->lookups != NULL)
        lookup_problem(gate->lookups, 503, "DRAINING", "gateway",
                       "the gateway is stopping");
}
