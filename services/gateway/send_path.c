#include "services/gateway/send_path.h"

#include "common/http.h"
#include "common/json_pb.h"
#include "common/utf8.h"
#include "sdk/c/include/plexspaces/runtime.h"
#include "services/gateway/header.h"
#include "services/gateway/service_path.h"
#include "services/gateway/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SCRATCH_MAX = 64 << 20,
    ID_MAX = 255,
    SENDER_MAX = 512,
    TYPE_MAX = 128,
    TTL_MAX_MS = 24 * 3600 * 1000,
    TIMEOUT_MAX_MS = 3600 * 1000,
    URI_MAX = 4096,
};

struct parse {
    const struct gate_send_in *in;
    struct plex_arena *arena;  /* what stays */
    struct plex_arena scratch; /* the request while it is looked at */
    struct work_message *out;
    struct gate_send *send;
    struct plex_err *err;
    json_t *body, *all; /* as sent; checked, under the proto's names */
    const json_t *message;
    bool waits;
};

bool
gate_is_send(const struct gate_route *route)
{
    return strcmp(route->served_by, "message") == 0;
}

bool
gate_send_names(const char *segment)
{
    for (size_t i = 0; segment[i] != '\0' && segment[i] != '/'; i++)
        if (segment[i] == '@' || segment[i] == '<' ||
            strncasecmp(segment + i, "%2f", 3) == 0 ||
            strncasecmp(segment + i, "%40", 3) == 0 ||
            strncasecmp(segment + i, "%3c", 3) == 0)
            return true;
    return false;
}

/* -- reading ----------------------------------------------------------------
 */

static enum plex_status
body_read(struct parse *p)
{
    const struct plex_bytes body = p->in->body;
    ProtobufCMessage *request;
    json_error_t error;

    p->body = json_loadb((const char *)body.data, body.len,
                         JSON_REJECT_DUPLICATES, &error);
    if (p->body == NULL)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body is no JSON: line %d, column %d: %.120s",
                            error.line, error.column, error.text);
    if (!json_is_object(p->body) ||
        !json_is_object(json_object_get(p->body, "message")))
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body must be a JSON object with a message, "
                            "such as {\"message\": {\"json\": {}}}");
    if (plex_json_to_pb_as(&gate_json_form, p->body, p->in->route->request,
                           &p->scratch, &request, p->err) != PLEX_OK)
        return p->err->status;
    p->all = plex_json_from_pb_as(&gate_json_form, request);
    p->message = json_object_get(p->all, "message");
    p->waits = json_is_true(json_object_get(p->all, "wait_for_response"));
    return PLEX_OK;
}

/* A field of `object`, at most `max` bytes; NULL: that was refused. */
static const char *
text_of(struct parse *p, const json_t *object, const char *field, size_t max)
{
    const char *text = json_string_value(json_object_get(object, field));

    if (text == NULL)
        text = "";
    if (strlen(text) <= max)
        return plex_arena_strndup(p->arena, text, strlen(text));
    (void)plex_err_set(p->err, PLEX_INVALID,
                       "%s has %zu bytes, at most %zu are allowed", field,
                       strlen(text), max);
    return NULL;
}

static enum plex_status
number_of(struct parse *p, const json_t *object, const char *field,
          uint64_t max, uint64_t *out)
{
    const json_int_t n = json_integer_value(json_object_get(object, field));

    *out = n < 0 ? UINT64_MAX : (uint64_t)n;
    if (*out > max)
        return plex_err_set(p->err, PLEX_INVALID, "%s is at most %llu", field,
                            (unsigned long long)max);
    return PLEX_OK;
}

/* Was it in the body, whatever it was? */
static bool
was_sent(const struct parse *p, const char *field)
{
    return json_object_get(json_object_get(p->body, "message"), field) != NULL;
}

/* -- whom -------------------------------------------------------------------
 */

/* "type/key", "namespace/type/key" or all of it. */
static enum plex_status
actor_named(struct parse *p, const char *ns, const char *name)
{
    char full[2 * PLEX_ACTOR_NAME_MAX + 2], *copy;
    unsigned slashes = 0;

    for (const char *at = name; *at != '\0'; at++)
        slashes += *at == '/';
    if (slashes == 1)
        (void)snprintf(full, sizeof full, "%s/%s/%s", p->in->tenant, ns, name);
    else if (slashes == 2)
        (void)snprintf(full, sizeof full, "%s/%s", p->in->tenant, name);
    else
        (void)snprintf(full, sizeof full, "%s", name);
    copy = plex_arena_strndup(p->arena, full, strlen(full));
    if (copy == NULL || plex_actor_parse(copy, &p->out->to, p->err) != PLEX_OK)
        return p->err->status;
    if (strcmp(p->out->to.tenant, p->in->tenant) != 0)
        return plex_err_set(p->err, PLEX_DENIED,
                            "the actor belongs to tenant \"%s\", the caller "
                            "to \"%s\"",
                            p->out->to.tenant, p->in->tenant);
    return plex_name_actor(&p->out->to, p->err);
}

static enum plex_status
receiver(struct parse *p)
{
    const char *ns = text_of(p, p->all, "namespace", PLEX_NAMESPACE_MAX);
    const size_t raw = p->in->vars->at[0].value_len;
    char *name = gate_alloc(p->arena, raw + 1);
    const char *again;

    if (ns == NULL)
        return p->err->status;
    if (ns[0] == '\0')
        ns = "default";
    if (plex_name_namespace(ns, strlen(ns), p->err) != PLEX_OK ||
        plex_http_unescape(p->in->vars->at[0].value, raw, false, name,
                           p->err) != PLEX_OK)
        return p->err->status;
    if (name[0] == '\0' || strlen(name) > PLEX_ACTOR_NAME_MAX ||
        !plex_utf8_valid((const uint8_t *)name, strlen(name)))
        return plex_err_set(p->err, PLEX_INVALID,
                            "receiver_id must be 1 to %d bytes of UTF-8",
                            PLEX_ACTOR_NAME_MAX);
    again = text_of(p, p->message, "receiver_id", PLEX_ACTOR_NAME_MAX);
    if (again == NULL)
        return p->err->status;
    if (again[0] != '\0' && strcmp(again, name) != 0)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the path names \"%.80s\", the message \"%.80s\"",
                            name, again);
    /* A ref, a name and where it is, or, under /processes, any path. */
    if (name[0] != '<' && strchr(name, '@') == NULL &&
        strchr(name, '/') != NULL &&
        strncmp(p->in->route->path, "/api/v1/processes/", 18) != 0)
        return actor_named(p, ns, name);
    p->send->process = name;
    p->out->to = (struct plex_actor_id){p->in->tenant, ns, "process", "-"};
    return PLEX_OK;
}

/* -- what -------------------------------------------------------------------
 */

/* To an open run that waits for it. */
static enum plex_status
signal_named(struct parse *p, const char *name)
{
    char *timer;

    if (p->send->process != NULL || p->waits || name[0] == '\0')
        return plex_err_set(p->err, PLEX_INVALID,
                            "workflow_signal:NAME goes to a virtual actor, "
                            "and nothing answers it");
    timer = gate_alloc(p->arena, strlen(name) + 8);
    (void)sprintf(timer, "signal:%s", name);
    p->out->timer = timer;
    p->out->kind = WORK_RESOLVE;
    return PLEX_OK;
}

static enum plex_status
type_set(struct parse *p)
{
    const char *type = text_of(p, p->message, "message_type", TYPE_MAX);
    const bool info = type != NULL && strcmp(type, "info") == 0;

    if (type == NULL)
        return p->err->status;
    p->out->kind = p->waits ? WORK_CALL : WORK_CAST;
    p->out->process_kind = p->waits ? PLEX_MSG_CALL : PLEX_MSG_CAST;
    if (strncmp(type, "workflow_signal:", 16) == 0)
        return signal_named(p, type + 16);
    if (strncmp(type, "workflow_", 9) == 0)
        return plex_err_set(p->err, PLEX_INVALID,
                            "message_type is \"%.60s\"; workflows are started "
                            "and queried at /api/v1/workflows",
                            type);
    if (p->waits && (info || strcmp(type, "cast") == 0))
        return plex_err_set(p->err, PLEX_INVALID,
                            "nothing answers a message of type \"%s\": leave "
                            "wait_for_response out",
                            type);
    if (info) {
        p->out->process_kind = PLEX_MSG_INFO;
        if (p->send->process == NULL)
            p->out->kind = WORK_INFO;
    }
    return PLEX_OK;
}

static enum plex_status
payload_set(struct parse *p)
{
    const json_t *base64 = json_object_get(p->message, "payload");
    const json_t *json = json_object_get(p->message, "json");
    const bool has_bytes = was_sent(p, "payload");
    const bool has_json = was_sent(p, "json");
    struct work_message *m = p->out;
    char *text;

    m->content_type = text_of(p, p->message, "content_type", ID_MAX);
    if (m->content_type == NULL)
        return p->err->status;
    if (has_bytes && has_json)
        return plex_err_set(p->err, PLEX_INVALID,
                            "give payload (base64) or json, not both");
    if (has_bytes) {
        const struct plex_bytes in = {
            (const uint8_t *)json_string_value(base64),
            json_string_length(base64)};

        if (plex_json_unbase64(in, p->arena, &m->payload, p->err) != PLEX_OK)
            return p->err->status;
        if (m->content_type[0] == '\0')
            m->content_type = "application/octet-stream";
    } else if (has_json) {
        text = json == NULL ? strdup("null")
                            : json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        if (text == NULL)
            return plex_err_set(p->err, PLEX_INVALID, "json is no JSON");
        m->payload.len = strlen(text);
        m->payload.data =
            (const uint8_t *)plex_arena_strndup(p->arena, text, m->payload.len);
        free(text);
        m->content_type = "application/json";
    }
    if ((m->payload.data == NULL && m->payload.len > 0) ||
        m->payload.len > WORK_PAYLOAD_MAX)
        return plex_err_set(p->err, PLEX_TOO_LARGE,
                            "the payload may have %d bytes", WORK_PAYLOAD_MAX);
    return PLEX_OK;
}

static bool
is_token(const char *name)
{
    return name[0] != '\0' && strlen(name) <= ID_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.!#$%&'*+^`|~") == strlen(name);
}

static bool
is_value(const char *value)
{
    for (const char *at = value; *at != '\0'; at++)
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
            return false;
    return strlen(value) <= URI_MAX;
}

static void
header_add(struct work_header *headers, struct work_message *m,
           const char *name, const char *value)
{
    if (value[0] != '\0')
        headers[m->n_headers++] = (struct work_header){name, value};
}

/* Its own, and what of the message the SDK has no other place for. */
static enum plex_status
headers_set(struct parse *p)
{
    json_t *map = json_object_get(p->message, "headers"), *value;
    struct work_header *headers =
        gate_alloc(p->arena, (GATE_SEND_HEADERS_MAX + 4) * sizeof *headers);
    const char *sender = text_of(p, p->message, "sender_id", SENDER_MAX);
    const char *type = text_of(p, p->message, "message_type", TYPE_MAX);
    struct work_message *m = p->out;
    const char *name;

    m->n_headers = 0;
    m->headers = headers;
    if (sender == NULL || type == NULL)
        return p->err->status;
    if (json_object_size(map) > GATE_SEND_HEADERS_MAX)
        return plex_err_set(p->err, PLEX_TOO_LARGE,
                            "%zu headers, at most %d are allowed",
                            json_object_size(map), GATE_SEND_HEADERS_MAX);
    json_object_foreach(map, name, value)
    {
        const char *text = json_string_value(value);

        if (!is_token(name) || text == NULL || !is_value(text) ||
            gate_header_classify(name) != GATE_HEADER_PASS)
            return plex_err_set(p->err, PLEX_INVALID,
                                "header \"%.60s\" is none that a message may "
                                "have",
                                name);
        header_add(headers, m, plex_arena_strndup(p->arena, name, strlen(name)),
                   plex_arena_strndup(p->arena, text, strlen(text)));
    }
    if (!is_value(sender) || !is_value(type))
        return plex_err_set(p->err, PLEX_INVALID,
                            "sender_id and message_type have no control "
                            "characters");
    header_add(headers, m, "sender-id", sender);
    header_add(headers, m, "message-type", type);
    return PLEX_OK;
}

static enum plex_status
uri_set(struct parse *p)
{
    const char *path = text_of(p, p->message, "uri_path", URI_MAX);
    const char *method = text_of(p, p->message, "uri_method", 16);

    if (path == NULL || method == NULL)
        return p->err->status;
    if (!is_value(path) || (method[0] != '\0' && !is_token(method)))
        return plex_err_set(p->err, PLEX_INVALID,
                            "uri_path and uri_method are such as \"/orders\" "
                            "and \"POST\"");
    p->out->path = path;
    p->out->method = method;
    p->out->query = "";
    return PLEX_OK;
}

/* 0 low, 25 normal, 50 high, 75 system, 100 signal. */
static enum plex_priority
band_of(const struct parse *p, uint64_t priority)
{
    if (!was_sent(p, "priority"))
        return PLEX_PRIORITY_NORMAL;
    return priority < 25   ? PLEX_PRIORITY_LOW
           : priority < 50 ? PLEX_PRIORITY_NORMAL
           : priority < 75 ? PLEX_PRIORITY_HIGH
                           : PLEX_PRIORITY_SYSTEM;
}

static enum plex_status
limits_set(struct parse *p)
{
    uint64_t priority, ttl_ms, timestamp;

    if (number_of(p, p->message, "priority", 100, &priority) != PLEX_OK ||
        number_of(p, p->message, "ttl_ms", TTL_MAX_MS, &ttl_ms) != PLEX_OK ||
        number_of(p, p->message, "timestamp_ms", INT64_MAX, &timestamp) !=
            PLEX_OK ||
        number_of(p, p->all, "timeout_ms", TIMEOUT_MAX_MS,
                  &p->send->timeout_ms) != PLEX_OK)
        return p->err->status;
    if (p->send->process != NULL) {
        p->out->tag = band_of(p, priority);
        p->out->ttl_ms = ttl_ms;
    } else if (ttl_ms > 0 &&
               (p->send->timeout_ms == 0 || ttl_ms < p->send->timeout_ms)) {
        /* It is not tried any longer than it may live. */
        p->send->timeout_ms = ttl_ms;
    }
    return PLEX_OK;
}

static bool
is_key(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            return false;
    return true;
}

static enum plex_status
ids_set(struct parse *p)
{
    const char *id = text_of(p, p->message, "id", ID_MAX);
    const char *key = text_of(p, p->message, "idempotency_key", GATE_KEY_MAX);

    if (id == NULL || key == NULL)
        return p->err->status;
    if (!is_key(id) || !is_key(key))
        return plex_err_set(p->err, PLEX_INVALID,
                            "id and idempotency_key are printable ASCII");
    p->send->id = id[0] == '\0' ? NULL : id;
    p->send->key = key[0] != '\0' ? key : p->send->id;
    return PLEX_OK;
}

enum plex_status
gate_send_path(const struct gate_send_in *in, struct plex_arena *arena,
               struct work_message *out, struct gate_send *send,
               struct plex_err *err)
{
    struct parse p = {
        .in = in, .arena = arena, .out = out, .send = send, .err = err};
    enum plex_status status;

    *send = (struct gate_send){0};
    plex_arena_init(&p.scratch, SCRATCH_MAX);
    status = body_read(&p);
    if (status == PLEX_OK)
        status = receiver(&p);
    if (status == PLEX_OK)
        status = type_set(&p);
    if (status == PLEX_OK)
        status = payload_set(&p);
    if (status == PLEX_OK)
        status = headers_set(&p);
    if (status == PLEX_OK)
        status = uri_set(&p);
    if (status == PLEX_OK)
        status = limits_set(&p);
    if (status == PLEX_OK)
        status = ids_set(&p);
    json_decref(p.body);
    json_decref(p.all);
    plex_arena_fini(&p.scratch);
    return status;
}

/* -- the answer -------------------------------------------------------------
 */

static json_t *
response_of(const struct work_reply *reply)
{
    json_t *out = json_object(), *headers = json_object(), *value = NULL;
    const char *type = reply->content_type[0] == '\0' ? "application/json"
                                                      : reply->content_type;

    json_object_set_new(out, "status",
                        json_integer(reply->http_status == 0
                                         ? 200
                                         : (json_int_t)reply->http_status));
    json_object_set_new(out, "contentType", json_string(type));
    if (strncasecmp(type, "application/json", 16) == 0 &&
        reply->payload.len > 0)
        value = json_loadb((const char *)reply->payload.data,
                           reply->payload.len, JSON_DECODE_ANY, NULL);
    if (value != NULL)
        json_object_set_new(out, "json", value);
    else if (reply->payload.len > 0)
        json_object_set_new(out, "payload", plex_json_base64(reply->payload));
    for (size_t i = 0; i < reply->n_headers; i++)
        json_object_set_new(headers, reply->headers[i].name,
                            json_string(reply->headers[i].value));
    json_object_set_new(out, "headers", headers);
    return out;
}

char *
gate_send_text(const char *message_id, const struct work_reply *reply)
{
    json_t *all = json_object();
    char *text;

    json_object_set_new(all, "messageId", json_string(message_id));
    if (reply != NULL)
        json_object_set_new(all, "response", response_of(reply));
    text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}
