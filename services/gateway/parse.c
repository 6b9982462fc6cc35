#include "services/gateway/parse.h"

#include "common/http.h"
#include "common/utf8.h"
#include "services/gateway/header.h"
#include "services/gateway/json_check.h"
#include "services/gateway/query.h"
#include "services/gateway/run_path.h"
#include "services/gateway/service_path.h"
#include "services/gateway/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum prefer { PREFER_NOTHING, PREFER_WAIT, PREFER_ASYNC };

/* One request being parsed. */
struct parse {
    const struct gate_rules *rules;
    const struct gate_input *input;
    struct plex_arena *arena;
    struct gate_request *out;
    struct gate_problem *problem;
    struct gate_params params;
    bool key_in_path;
    enum prefer prefer;
    uint64_t wait_ms;     /* from Prefer; UINT64_MAX: not said */
    uint64_t deadline_ms; /* from the header; 0: not said */
    const char *key;      /* Idempotency-Key */
};

static bool refuse(struct parse *p, unsigned status, const char *code,
                   const char *fmt, ...) PLEX_PRINTF(4, 5);

static bool
refuse(struct parse *p, unsigned status, const char *code, const char *fmt, ...)
{
    va_list args;

    *p->problem = (struct gate_problem){
        .status = status, .code = code, .source = "gateway"};
    va_start(args, fmt);
    (void)vsnprintf(p->problem->detail, sizeof p->problem->detail, fmt, args);
    va_end(args);
    return false;
}

/* -- path -------------------------------------------------------------------
 */

size_t
gate_path_segments(const char *path)
{
    const size_t prefix = sizeof GATE_ACTORS_PREFIX - 1;
    size_t n = 1;

    if (strncmp(path, GATE_ACTORS_PREFIX, prefix) != 0)
        return 0;
    for (const char *at = path + prefix; *at != '\0'; at++)
        n += *at == '/';
    return n;
}

/* The segment at *at, decoded; *at moves behind it and its '/'. */
static char *
segment_take(struct parse *p, const char **at, const char *what, size_t *len)
{
    const size_t raw = strcspn(*at, "/");
    char *text = gate_alloc(p->arena, raw + 1);
    struct plex_err err;

    if (plex_http_unescape(*at, raw, false, text, &err) != PLEX_OK) {
        (void)refuse(p, 400, "INVALID_PATH", "%s: %s", what, err.text);
        return NULL;
    }
    *at += raw;
    if (**at == '/')
        ++*at;
    *len = strlen(text);
    return text;
}

typedef enum plex_status (*name_fn)(const char *text, size_t len,
                                    struct plex_err *err);

/* A name that must be there. */
static char *
name_take(struct parse *p, const char **at, const char *what, name_fn check)
{
    size_t len;
    char *text = segment_take(p, at, what, &len);
    struct plex_err err;

    if (text == NULL)
        return NULL;
    if (check(text, len, &err) != PLEX_OK) {
        (void)refuse(p, 400, "INVALID_PATH", "%s", err.text);
        return NULL;
    }
    return text;
}

/* What follows the key. */
static bool
parse_subpath(struct parse *p, const char *at)
{
    const size_t raw = strlen(at);
    char *text = gate_alloc(p->arena, raw + 1);
    struct plex_err err;

    p->out->message.subpath = text;
    if (plex_http_unescape(at, raw, false, text, &err) != PLEX_OK)
        return refuse(p, 400, "INVALID_PATH", "subpath: %s", err.text);
    if (!plex_utf8_valid((const uint8_t *)text, strlen(text)))
        return refuse(p, 400, "INVALID_PATH", "subpath is not UTF-8");
    return true;
}

/* To a run that waits. */
static bool
parse_run_path(struct parse *p)
{
    struct work_message *m = &p->out->message;
    struct plex_err err;

    m->subpath = "";
    p->key_in_path = true;
    if (gate_run_path(p->input->route, p->input->vars, p->arena, m, &err) !=
        PLEX_OK)
        return refuse(p, 400, "INVALID_PATH", "%s", err.text);
    if (strcmp(m->to.tenant, p->rules->tenant) != 0)
        return refuse(p, 403, "TENANT_FORBIDDEN",
                      "the path names tenant \"%s\", the caller belongs to "
                      "\"%s\"",
                      m->to.tenant, p->rules->tenant);
    return true;
}

static bool
parse_path(struct parse *p)
{
    struct plex_actor_id *to = &p->out->message.to;
    const char *path = p->input->path;
    const char *at = path + sizeof GATE_ACTORS_PREFIX - 1;
    const size_t segments = gate_path_segments(path);

    to->tenant = p->rules->tenant;
    to->key = "-";
    p->out->message.subpath = "";
    if (!plex_utf8_valid((const uint8_t *)path, strlen(path)))
        return refuse(p, 400, "INVALID_PATH",
                      "the path is not UTF-8; percent-encode other bytes");
    if (segments > 2 &&
        (to->tenant = name_take(p, &at, "tenant", plex_name_tenant)) == NULL)
        return false;
    to->ns = name_take(p, &at, "namespace", plex_name_namespace);
    if (to->ns == NULL)
        return false;
    to->type = name_take(p, &at, "actor type", plex_name_type);
    if (to->type == NULL)
        return false;
    if (strcmp(to->tenant, p->rules->tenant) != 0)
        return refuse(p, 403, "TENANT_FORBIDDEN",
                      "the path names tenant \"%s\", the caller belongs to "
                      "\"%s\"",
                      to->tenant, p->rules->tenant);
    p->key_in_path = segments > 3;
    if (!p->key_in_path)
        return true;
    to->key = name_take(p, &at, "actor key", plex_name_key);
    return to->key != NULL && (*at == '\0' || parse_subpath(p, at));
}

/* -- headers ----------------------------------------------------------------
 */

static bool
parse_prefer(struct parse *p, const char *value)
{
    while (*value != '\0') {
        size_t len;

        value += strspn(value, " \t,");
        len = strcspn(value, ",");
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        if (len == 13 && strncasecmp(value, "respond-async", len) == 0) {
            if (p->prefer == PREFER_NOTHING)
                p->prefer = PREFER_ASYNC;
        } else if (len >= 5 && strncasecmp(value, "wait=", 5) == 0) {
            if (!gate_uint_parse(value + 5, len - 5, 1000000, &p->wait_ms))
                return refuse(p, 400, "INVALID_HEADER",
                              "Prefer: wait must be whole seconds, such as "
                              "wait=10");
            p->wait_ms *= 1000;
            p->prefer = p->wait_ms == 0 ? PREFER_ASYNC : PREFER_WAIT;
        }
        value += len; /* other preferences are ignored, as RFC 7240 says */
    }
    return true;
}

static bool
parse_deadline(struct parse *p, const char *value)
{
    if (gate_uint_parse(value, strlen(value), p->rules->deadline_max_ms,
                        &p->deadline_ms) &&
        p->deadline_ms > 0)
        return true;
    return refuse(p, 400, "INVALID_HEADER",
                  "X-Request-Deadline-Ms must be a number from 1 to %u",
                  p->rules->deadline_max_ms);
}

static bool
parse_key(struct parse *p, const char *value)
{
    struct plex_err err;

    if (p->key != NULL)
        return refuse(p, 400, "INVALID_HEADER",
                      "Idempotency-Key is given twice");
    p->key = gate_key_parse(value, p->arena, &err);
    if (p->key == NULL)
        return refuse(p, 400, "INVALID_HEADER", "%s", err.text);
    return true;
}

static bool
header_pass(struct parse *p, const struct work_header *header)
{
    struct work_message *m = &p->out->message;

    if (!plex_utf8_valid((const uint8_t *)header->value, strlen(header->value)))
        return refuse(p, 400, "INVALID_HEADER", "header %.60s is not UTF-8",
                      header->name);
    if (m->n_headers == WORK_HEADERS_MAX)
        return refuse(p, 431, "TOO_MANY_HEADERS",
                      "more than %d headers for the actor", WORK_HEADERS_MAX);
    p->out->headers[m->n_headers++] = *header;
    return true;
}

static bool
parse_header(struct parse *p, const struct work_header *header)
{
    switch (gate_header_classify(header->name)) {
    case GATE_HEADER_DROP:
        return true;
    case GATE_HEADER_CONTENT_TYPE:
        p->out->message.content_type = header->value;
        if (plex_utf8_valid((const uint8_t *)header->value,
                            strlen(header->value)))
            return true;
        return refuse(p, 400, "INVALID_HEADER", "Content-Type is not UTF-8");
    case GATE_HEADER_PREFER:
        return parse_prefer(p, header->value);
    case GATE_HEADER_KEY:
        return parse_key(p, header->value);
    case GATE_HEADER_DEADLINE:
        return parse_deadline(p, header->value);
    case GATE_HEADER_TRACE:
        /* A malformed one is as good as none, says Trace Context. */
        if (plex_trace_parse(header->value, &p->out->context.trace) != PLEX_OK)
            p->out->context.trace = (struct plex_trace){0};
        return true;
    default:
        return header_pass(p, header);
    }
}

static bool
parse_headers(struct parse *p)
{
    struct work_message *m = &p->out->message;
    const size_t n = p->input->n_headers;

    p->out->headers =
        n == 0 ? NULL
               : gate_alloc(p->arena,
                            (n < WORK_HEADERS_MAX ? n : WORK_HEADERS_MAX) *
                                sizeof *p->out->headers);
    m->content_type = "";
    for (size_t i = 0; i < n; i++)
        if (!parse_header(p, &p->input->headers[i]))
            return false;
    m->headers = p->out->headers;
    return true;
}

/* -- query ------------------------------------------------------------------
 */

static bool
parse_delay(struct parse *p)
{
    const char *delay = gate_params_take(&p->params, "delay");

    if (delay == NULL)
        return true;
    if (!gate_duration_parse(delay, (uint64_t)GATE_DELAY_MAX_H * 3600 * 1000,
                             &p->out->message.delay_ms))
        return refuse(p, 400, "INVALID_QUERY",
                      "delay must be a whole number and ms, s, m or h, such "
                      "as 10s, and at most %dh",
                      GATE_DELAY_MAX_H);
    if (p->out->message.kind != WORK_CAST)
        return refuse(p, 400, "INVALID_QUERY",
                      "delay is for casts; add invocation=cast");
    return true;
}

/* Of an update: when it is answered. */
static bool
parse_wait_for(struct parse *p)
{
    const char *wait_for = p->out->message.kind == WORK_UPDATE
                               ? gate_params_take(&p->params, "wait_for")
                               : NULL;

    if (wait_for == NULL || strcmp(wait_for, "completed") == 0)
        return true;
    p->out->message.tag = WORK_UPDATE_ACCEPTED;
    return strcmp(wait_for, "accepted") == 0 ||
           refuse(p, 400, "INVALID_QUERY",
                  "wait_for is \"%.60s\"; completed and accepted are known",
                  wait_for);
}

static bool
parse_kind(struct parse *p)
{
    const char *how = gate_params_take(&p->params, "invocation");
    const char first = p->input->method[0];
    bool call = first == 'G' || first == 'D';

    if (p->prefer != PREFER_NOTHING)
        call = p->prefer == PREFER_WAIT;
    if (p->input->route != NULL) {
        if (how == NULL)
            return parse_wait_for(p);
        return refuse(p, 400, "INVALID_QUERY",
                      "invocation is for messages to actors");
    }
    if (how != NULL) {
        call = strcmp(how, "call") == 0;
        if (!call && strcmp(how, "cast") != 0)
            return refuse(p, 400, "INVALID_QUERY",
                          "invocation is \"%.60s\"; call and cast are known",
                          how);
    }
    p->out->message.kind = call ? WORK_CALL : WORK_CAST;
    return true;
}

static bool
parse_query(struct parse *p)
{
    struct plex_err err;

    if (!plex_utf8_valid((const uint8_t *)p->input->query,
                         strlen(p->input->query)))
        return refuse(p, 400, "INVALID_QUERY",
                      "the query is not UTF-8; percent-encode other bytes");
    if (gate_params_parse(p->input->query, p->arena, &p->params, &err) !=
        PLEX_OK)
        return refuse(p, 400, "INVALID_QUERY", "%s", err.text);
    if (!p->key_in_path) {
        const char *key = gate_params_take(&p->params, "key");

        p->out->key_missing = key == NULL;
        if (key != NULL && plex_name_key(key, strlen(key), &err) != PLEX_OK)
            return refuse(p, 400, "INVALID_QUERY", "%s", err.text);
        if (key != NULL)
            p->out->message.to.key = key;
    }
    return parse_kind(p) && parse_delay(p);
}

/* -- body -------------------------------------------------------------------
 */

static bool
is_json(const char *content_type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof json - 1;

    if (content_type[0] == '\0')
        return true;
    return strncasecmp(content_type, json, len) == 0 &&
           (content_type[len] == '\0' || content_type[len] == ';' ||
            content_type[len] == ' ');
}

static bool
parse_body(struct parse *p)
{
    struct work_message *m = &p->out->message;
    const char first = p->input->method[0];
    struct plex_err err;

    m->payload = p->input->body;
    if (first == 'G' || first == 'D') {
        if (m->payload.len > 0)
            return refuse(p, 400, "INVALID_BODY",
                          "%s takes its arguments from the query, not from a "
                          "body",
                          p->input->method);
        m->payload = gate_params_json(&p->params, p->arena);
        m->content_type = "application/json";
        return true;
    }
    if (m->payload.len > WORK_PAYLOAD_MAX)
        return refuse(p, 413, "BODY_TOO_LARGE",
                      "the body has %zu bytes, at most %d are allowed",
                      m->payload.len, WORK_PAYLOAD_MAX);
    if (m->payload.len > 0 && is_json(m->content_type) &&
        gate_json_check(m->payload, &err) != PLEX_OK)
        return refuse(p, 400, "INVALID_JSON",
                      "the body is %s; say Content-Type for anything but JSON",
                      err.text);
    return true;
}

/* -- all --------------------------------------------------------------------
 */

static void
hash_part(XXH3_state_t *state, const void *part, size_t len)
{
    const uint64_t size = len;

    (void)XXH3_64bits_update(state, &size, sizeof size);
    (void)XXH3_64bits_update(state, part, len);
}

/* What "the same request" means for an Idempotency-Key. */
static uint64_t
request_hash(const struct parse *p)
{
    const struct work_message *m = &p->out->message;
    XXH3_state_t state;

    (void)XXH3_64bits_reset(&state);
    hash_part(&state, m->method, strlen(m->method));
    hash_part(&state, m->path, strlen(m->path));
    /* An update is the same one, whenever it is to be answered. */
    hash_part(&state, m->query, m->kind == WORK_UPDATE ? 0 : strlen(m->query));
    hash_part(&state, m->content_type, strlen(m->content_type));
    hash_part(&state, m->payload.data, m->payload.len);
    return XXH3_64bits_digest(&state);
}

static void
set_id(struct parse *p)
{
    struct gate_request *out = p->out;
    struct work_message *m = &out->message;

    memcpy(out->id, p->input->id, sizeof out->id);
    plex_id_format(out->id, out->request_id);
    m->id = (struct plex_bytes){out->id, sizeof out->id};
    m->ttl_ms = GATE_TTL_MS;
    if (p->key == NULL)
        return;
    m->id = gate_id_of_key(&m->to, p->key, p->arena);
    m->keyed = true;
    m->ttl_ms = GATE_TTL_KEYED_MS;
    m->request_hash = request_hash(p);
}

static void
set_context(struct parse *p)
{
    struct plex_context *c = &p->out->context;
    uint64_t ms = p->deadline_ms;

    if (ms == 0)
        ms = p->prefer == PREFER_WAIT && p->wait_ms < p->rules->deadline_max_ms
                 ? p->wait_ms
                 : p->rules->deadline_default_ms;
    else if (p->prefer == PREFER_WAIT && p->wait_ms < ms)
        ms = p->wait_ms;
    c->tenant = p->out->message.to.tenant;
    c->ns = p->out->message.to.ns;
    c->principal = "";
    c->roles = "";
    c->request_id = p->out->request_id;
    c->deadline = p->input->now_ns + ms * 1000000;
}

/* A request with a key, sent again, names what the first one named. */
static void
new_id(const struct parse *p, char name[27])
{
    uint8_t id[16];
    XXH3_state_t state;
    XXH128_canonical_t hash;

    plex_id_format(p->input->id, name);
    if (p->key == NULL)
        return;
    (void)XXH3_128bits_reset(&state);
    (void)XXH3_128bits_update(&state, p->key, strlen(p->key) + 1);
    (void)XXH3_128bits_update(&state, p->input->path, strlen(p->input->path));
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&state));
    memcpy(id, hash.digest, sizeof id);
    plex_id_format(id, name);
}

/* To the actors that provide a service. */
static bool
parse_service(struct parse *p)
{
    struct work_message *m = &p->out->message;
    char id[27];
    struct gate_service_in in = {.route = p->input->route,
                                 .vars = p->input->vars,
                                 .params = &p->params,
                                 .body = p->input->body,
                                 .new_id = id};
    struct plex_err err;

    m->subpath = "";
    m->to.tenant = p->rules->tenant;
    p->key_in_path = true;
    if (!parse_headers(p))
        return false;
    if (gate_params_parse(p->input->query, p->arena, &p->params, &err) !=
        PLEX_OK)
        return refuse(p, 400, "INVALID_QUERY", "%s", err.text);
    new_id(p, id);
    if (gate_service_path(&in, p->arena, m, &p->out->wait_ms, &err) != PLEX_OK)
        return refuse(p, (unsigned)plex_status_http(err.status),
                      err.status == PLEX_DENIED ? "TENANT_FORBIDDEN"
                                                : "INVALID_REQUEST",
                      "%s", err.text);
    return true;
}

/* SendMessage: all but trace and deadline is in the body. */
static bool
parse_send(struct parse *p)
{
    struct work_message *m = &p->out->message;
    struct gate_send *send = &p->out->send;
    const struct gate_send_in in = {.route = p->input->route,
                                    .vars = p->input->vars,
                                    .body = p->input->body,
                                    .tenant = p->rules->tenant};
    struct plex_err err;

    p->key_in_path = true;
    p->out->sends = true;
    m->subpath = "";
    if (!parse_headers(p))
        return false;
    if (p->input->query[0] != '\0')
        return refuse(p, 400, "INVALID_QUERY",
                      "a message is said in the body, not in the query");
    if (gate_send_path(&in, p->arena, m, send, &err) != PLEX_OK)
        return refuse(p, (unsigned)plex_status_http(err.status),
                      err.status == PLEX_DENIED ? "TENANT_FORBIDDEN"
                                                : "INVALID_REQUEST",
                      "%s", err.text);
    if (send->key != NULL)
        p->key = send->key;
    if (send->timeout_ms > p->rules->deadline_max_ms)
        send->timeout_ms = p->rules->deadline_max_ms;
    if (send->timeout_ms > 0)
        p->deadline_ms = send->timeout_ms;
    p->prefer = PREFER_NOTHING;
    return true;
}

static bool
method_known(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0 ||
           strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0;
}

bool
gate_parse(const struct gate_rules *rules, const struct gate_input *input,
           struct plex_arena *arena, struct gate_request *out,
           struct gate_problem *problem)
{
    struct parse p;
    uint64_t wait_ms;

    p.rules = rules;
    p.input = input;
    p.arena = arena;
    p.out = out;
    p.problem = problem;
    p.params.n = 0;
    p.prefer = PREFER_NOTHING;
    p.wait_ms = UINT64_MAX;
    p.deadline_ms = 0;
    p.key = NULL;
    out->context = plex_context_none;
    out->message = (struct work_message){.method = input->method,
                                         .path = input->path,
                                         .query = input->query,
                                         .sender = "",
                                         .timer = ""};
    out->key_missing = false;
    out->wait_ms = 0;
    out->sends = false;
    if (!method_known(input->method))
        return refuse(&p, 405, "METHOD_NOT_ALLOWED",
                      "actors are called with GET, POST, PUT and DELETE");
    if (strlen(input->path) > GATE_PATH_MAX ||
        strlen(input->query) > GATE_QUERY_MAX)
        return refuse(&p, 414, "URI_TOO_LONG",
                      "the path may have %d bytes and the query %d",
                      GATE_PATH_MAX, GATE_QUERY_MAX);
    if (input->route != NULL && gate_is_service(input->route)) {
        if (!parse_service(&p))
            return false;
    } else if (input->route != NULL && gate_is_send(input->route)) {
        if (!parse_send(&p))
            return false;
    } else if (!(input->route != NULL ? parse_run_path(&p) : parse_path(&p)) ||
               !parse_headers(&p) || !parse_query(&p) || !parse_body(&p)) {
        return false;
    }
    wait_ms = out->message.ttl_ms;
    set_id(&p);
    if (out->sends && out->send.process != NULL)
        out->message.ttl_ms = wait_ms; /* in the mailbox */
    set_context(&p);
    return true;
}
