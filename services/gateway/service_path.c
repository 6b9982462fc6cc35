#include "services/gateway/service_path.h"

#include "common/http.h"
#include "common/json_pb.h"
#include "services/gateway/text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MAX_MS = 3600000, SCRATCH_MAX = 64 << 20 };

struct parse {
    const struct gate_service_in *in;
    struct plex_arena *arena;  /* what stays */
    struct plex_arena scratch; /* the request while it is looked at */
    struct work_message *out;
    struct plex_err *err;
    ProtobufCMessage *request; /* checked */
    json_t *body, *message;    /* as sent; to the actor */
};

bool
gate_is_service(const struct gate_route *route)
{
    return strcmp(route->served_by, "actor") == 0;
}

/* -- any JSON ---------------------------------------------------------------
 */

static bool
is_json(const ProtobufCMessageDescriptor *type)
{
    return strcmp(type->name, "plexspaces.api.v1.Json") == 0;
}

/* Its one field, `text`. */
static char **
json_member(const ProtobufCMessage *message)
{
    return (char **)((uintptr_t)message +
                     message->descriptor->fields[0].offset);
}

static bool
json_read(const json_t *json, ProtobufCMessage *message,
          struct plex_arena *arena, enum plex_status *status,
          struct plex_err *err)
{
    char *text;

    if (!is_json(message->descriptor))
        return false;
    text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    *json_member(message) =
        text == NULL ? NULL : plex_arena_strndup(arena, text, strlen(text));
    free(text);
    *status = *json_member(message) != NULL
                  ? PLEX_OK
                  : plex_err_set(err, PLEX_TOO_LARGE,
                                 "the request is larger than may be");
    return true;
}

static json_t *
json_write(const ProtobufCMessage *message)
{
    json_t *json;

    if (!is_json(message->descriptor))
        return NULL;
    json = json_loads(*json_member(message), JSON_DECODE_ANY, NULL);
    return json == NULL ? json_null() : json;
}

const struct plex_json_form gate_json_form = {json_read, json_write};

/* -- reading ----------------------------------------------------------------
 */

/* The proto's name, or its JSON name: lowerCamelCase. */
static bool
is_name(const char *proto, const char *given)
{
    if (strcmp(proto, given) == 0)
        return true;
    for (; *proto != '\0'; proto++, given++) {
        if (*proto == '_') {
            proto++;
            if (toupper((unsigned char)*proto) != *given)
                return false;
        } else if (*proto != *given) {
            return false;
        }
    }
    return *given == '\0';
}

static const ProtobufCFieldDescriptor *
field_of(const struct parse *p, const char *name)
{
    const ProtobufCMessageDescriptor *type = p->in->route->request;

    for (unsigned i = 0; i < type->n_fields; i++)
        if (is_name(type->fields[i].name, name))
            return &type->fields[i];
    return NULL;
}

static enum plex_status
body_read(struct parse *p)
{
    const struct plex_bytes body = p->in->body;
    json_error_t error;

    if (!p->in->route->body && body.len > 0)
        return plex_err_set(p->err, PLEX_INVALID,
                            "%s takes its arguments from the query, not from "
                            "a body",
                            p->in->route->verb);
    p->body = body.len == 0 ? json_object()
                            : json_loadb((const char *)body.data, body.len,
                                         JSON_REJECT_DUPLICATES, &error);
    if (p->body == NULL)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body is no JSON: line %d, column %d: %.120s",
                            error.line, error.column, error.text);
    if (!json_is_object(p->body))
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body must be a JSON object");
    return plex_json_to_pb_as(&gate_json_form, p->body, p->in->route->request,
                              &p->scratch, &p->request, p->err);
}

/* Remember that it was sent; its value is filled in when all is read. */
static enum plex_status
set_text(struct parse *p, const char *name, const char *value)
{
    if (plex_pb_set_text_as(&gate_json_form, p->request, name, value,
                            &p->scratch, p->err) != PLEX_OK)
        return p->err->status;
    json_object_set_new(p->body, name, json_true());
    return PLEX_OK;
}

static enum plex_status
params_read(struct parse *p)
{
    for (size_t i = 0; i < p->in->params->n; i++) {
        struct gate_param *param = &p->in->params->at[i];

        param->taken = true;
        if (field_of(p, param->name) == NULL)
            return plex_err_set(p->err, PLEX_INVALID,
                                "query parameter \"%.60s\" is not known here",
                                param->name);
        if (set_text(p, param->name, param->value) != PLEX_OK)
            return p->err->status;
    }
    return PLEX_OK;
}

static enum plex_status
vars_read(struct parse *p)
{
    for (size_t i = 0; i < p->in->vars->n; i++) {
        const char *name = plex_arena_strndup(
            &p->scratch, p->in->vars->at[i].name, p->in->vars->at[i].name_len);
        char *value =
            plex_arena_alloc(&p->scratch, p->in->vars->at[i].value_len + 1);

        if (name == NULL || value == NULL)
            return plex_err_set(p->err, PLEX_TOO_LARGE,
                                "the request is larger than may be");
        if (plex_http_unescape(p->in->vars->at[i].value,
                               p->in->vars->at[i].value_len, false, value,
                               p->err) != PLEX_OK)
            return plex_err_wrap(p->err, "%s in the path", name);
        if (value[0] == '\0')
            return plex_err_set(p->err, PLEX_INVALID, "%s in the path is empty",
                                name);
        if (set_text(p, name, value) != PLEX_OK)
            return p->err->status;
    }
    return PLEX_OK;
}

/* -- the message ------------------------------------------------------------
 */

/* What was sent, checked and under the proto's names. */
static void
message_make(struct parse *p)
{
    json_t *all = plex_json_from_pb_as(&gate_json_form, p->request), *sent;
    const char *name;

    p->message = json_object();
    json_object_foreach(p->body, name, sent)
    {
        const ProtobufCFieldDescriptor *field = field_of(p, name);
        json_t *value = json_object_get(all, field->name);

        /* What may be anything also may be null. */
        if (json_is_null(sent) && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            is_json(field->descriptor))
            value = sent;
        if (value != NULL)
            json_object_set(p->message, field->name, value);
    }
    json_decref(all);
}

static const char *
text_of(const struct parse *p, const char *field)
{
    const char *text = json_string_value(json_object_get(p->message, field));

    return text == NULL ? "" : text;
}

static enum plex_status
key_set(struct parse *p, const char *key, size_t len)
{
    char *copy;

    if (plex_name_key(key, len, p->err) != PLEX_OK)
        return p->err->status;
    copy = gate_alloc(p->arena, len + 1);
    memcpy(copy, key, len);
    copy[len] = '\0';
    p->out->to.key = copy;
    return PLEX_OK;
}

/* {@field} names an actor: what serves it is in its namespace, under the key
 * TYPE.KEY. A type has no dot. */
static enum plex_status
actor_key(struct parse *p, const char *field)
{
    char name[PLEX_ACTOR_NAME_MAX + 1], key[PLEX_ACTOR_NAME_MAX + 1];
    const char *text = text_of(p, field);
    struct plex_actor_id actor;

    if (strlen(text) > PLEX_ACTOR_NAME_MAX)
        return plex_err_set(p->err, PLEX_INVALID, "%s is longer than %d bytes",
                            field, PLEX_ACTOR_NAME_MAX);
    strcpy(name, text);
    if (plex_actor_parse(name, &actor, p->err) != PLEX_OK ||
        plex_name_actor(&actor, p->err) != PLEX_OK)
        return p->err->status;
    if (strcmp(actor.tenant, p->out->to.tenant) != 0)
        return plex_err_set(p->err, PLEX_DENIED,
                            "the actor belongs to tenant \"%s\", the caller "
                            "to \"%s\"",
                            actor.tenant, p->out->to.tenant);
    p->out->to.ns =
        strcpy(gate_alloc(p->arena, strlen(actor.ns) + 1), actor.ns);
    (void)snprintf(key, sizeof key, "%s.%s", actor.type, actor.key);
    return key_set(p, key, strlen(key));
}

/* The key's template: a text, {field}, {field|what if it is empty}, or
 * {@field}. */
static enum plex_status
key_make(struct parse *p)
{
    const char *key = p->in->route->key, *value = key;
    char name[64];

    if (key[0] == '{') {
        const size_t len = strcspn(key + 1, "|}");

        (void)snprintf(name, sizeof name, "%.*s", (int)len, key + 1);
        if (name[0] == '@')
            return actor_key(p, name + 1);
        value = text_of(p, name);
        if (value[0] == '\0' && key[len + 1] == '|')
            return key_set(p, key + len + 2, strcspn(key + len + 2, "}"));
    }
    return key_set(p, value, strlen(value));
}

/* A type's name, or {field} that has it. */
static enum plex_status
type_set(struct parse *p)
{
    const char *type = p->in->route->actor, *value;
    char name[64];

    p->out->to.type = type;
    if (type[0] != '{')
        return PLEX_OK;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(type + 1, "}"),
                   type + 1);
    value = text_of(p, name);
    if (plex_name_type(value, strlen(value), p->err) != PLEX_OK)
        return p->err->status;
    p->out->to.type = strcpy(gate_alloc(p->arena, strlen(value) + 1), value);
    return PLEX_OK;
}

static enum plex_status
address(struct parse *p)
{
    const struct gate_route *route = p->in->route;
    const char *ns = text_of(p, "namespace");
    char *copy;

    if (ns[0] == '\0')
        ns = "default";
    if (plex_name_namespace(ns, strlen(ns), p->err) != PLEX_OK)
        return p->err->status;
    copy = gate_alloc(p->arena, strlen(ns) + 1);
    p->out->to.ns = strcpy(copy, ns);
    p->out->kind = WORK_CALL;
    if (type_set(p) != PLEX_OK)
        return p->err->status;
    json_object_del(p->message, "namespace");
    if (route->new_id != NULL && text_of(p, route->new_id)[0] == '\0')
        json_object_set_new(p->message, route->new_id,
                            json_string(p->in->new_id));
    json_object_set_new(p->message, "action", json_string(route->action));
    return key_make(p);
}

static enum plex_status
wait_take(struct parse *p, uint32_t *wait_ms)
{
    const json_int_t ms =
        json_integer_value(json_object_get(p->message, "wait_ms"));

    *wait_ms = (uint32_t)ms;
    if (ms > WAIT_MAX_MS)
        return plex_err_set(p->err, PLEX_INVALID,
                            "wait_ms is %lld; an hour is the most",
                            (long long)ms);
    json_object_del(p->message, "wait_ms");
    if (ms > 0)
        json_object_set_new(p->message, "wait", json_true());
    return PLEX_OK;
}

static enum plex_status
payload(struct parse *p)
{
    char *text = json_dumps(p->message, JSON_COMPACT), *copy;
    const size_t len = text == NULL ? 0 : strlen(text);

    if (text == NULL)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the request cannot be written as JSON");
    copy =
        len > WORK_PAYLOAD_MAX ? NULL : plex_arena_strndup(p->arena, text, len);
    free(text);
    if (copy == NULL)
        return plex_err_set(p->err, PLEX_TOO_LARGE,
                            "the request is larger than may be");
    p->out->payload = (struct plex_bytes){(const uint8_t *)copy, len};
    p->out->content_type = "application/json";
    return PLEX_OK;
}

enum plex_status
gate_service_path(const struct gate_service_in *in, struct plex_arena *arena,
                  struct work_message *out, uint32_t *wait_ms,
                  struct plex_err *err)
{
    struct parse p = {.in = in, .arena = arena, .out = out, .err = err};
    enum plex_status status;

    plex_arena_init(&p.scratch, SCRATCH_MAX);
    status = body_read(&p);
    if (status == PLEX_OK)
        status = params_read(&p);
    if (status == PLEX_OK)
        status = vars_read(&p);
    if (status == PLEX_OK) {
        message_make(&p);
        status = address(&p);
    }
    if (status == PLEX_OK)
        status = wait_take(&p, wait_ms);
    if (status == PLEX_OK)
        status = payload(&p);
    json_decref(p.body);
    json_decref(p.message);
    plex_arena_fini(&p.scratch);
    return status;
}
