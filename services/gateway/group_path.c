#include "services/gateway/group_path.h"

#include "common/http.h"
#include "services/gateway/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "/api/v1/actor-groups"

struct parse {
    const struct gate_workflow_in *in;
    struct plex_arena *arena;
    struct work_message *out;
    struct plex_err *err;
    json_t *message;
};

bool
gate_is_group_path(const char *path)
{
    const size_t len = sizeof ROOT - 1;

    return strncmp(path, ROOT, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

static bool
is(const struct parse *p, const char *method)
{
    return strcmp(p->in->method, method) == 0;
}

static void
put(struct parse *p, const char *field, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(p->message, field, json_string(value));
}

static enum plex_status
wrong_method(struct parse *p)
{
    return plex_err_set(p->err, PLEX_UNSUPPORTED,
                        "%s does not go with this path", p->in->method);
}

/* -- the paths --------------------------------------------------------------
 */

/* The group's actor: create, get, scale, delete. */
static enum plex_status
to_group(struct parse *p, const char *id, const char *action)
{
    char *key;

    if (plex_name_key(id, strlen(id), p->err) != PLEX_OK)
        return p->err->status;
    key = gate_alloc(p->arena, strlen(id) + 1);
    p->out->to.type = "actor-group";
    p->out->to.key = strcpy(key, id);
    put(p, "action", action);
    return PLEX_OK;
}

/* An actor of its own for each request to shards. */
static enum plex_status
to_shards(struct parse *p, const char *id, const char *action)
{
    if (!is(p, "POST"))
        return wrong_method(p);
    p->out->to.type = "actor-group-call";
    p->out->to.key = p->in->new_id;
    put(p, "group_id", id);
    put(p, "action", action);
    return PLEX_OK;
}

static enum plex_status
all(struct parse *p)
{
    const char *id;

    if (is(p, "GET")) {
        p->out->to.type = "actor-group-index";
        p->out->to.key = "groups";
        put(p, "actor_type", gate_params_take(p->in->params, "actor_type"));
        put(p, "action", "list");
        return PLEX_OK;
    }
    if (!is(p, "POST"))
        return wrong_method(p);
    id = json_string_value(json_object_get(p->message, "group_id"));
    return to_group(p, id == NULL || id[0] == '\0' ? p->in->new_id : id,
                    "create");
}

/* {id}, {id}:scale, {id}:scatterGather, {id}/shards:send */
static enum plex_status
one(struct parse *p, char *rest)
{
    char *verb = rest + strcspn(rest, ":/");
    char *id = gate_alloc(p->arena, (size_t)(verb - rest) + 1);

    if (plex_http_unescape(rest, (size_t)(verb - rest), false, id, p->err) !=
        PLEX_OK)
        return p->err->status;
    if (id[0] == '\0')
        return plex_err_set(p->err, PLEX_NOT_FOUND, "the group's id is empty");
    if (*verb == '\0' && (is(p, "GET") || is(p, "DELETE")))
        return to_group(p, id, is(p, "GET") ? "get" : "delete");
    if (*verb == '\0')
        return wrong_method(p);
    if (strcmp(verb, ":scale") == 0)
        return is(p, "POST") ? to_group(p, id, "scale") : wrong_method(p);
    if (strcmp(verb, ":scatterGather") == 0)
        return to_shards(p, id, "scatterGather");
    if (strcmp(verb, "/shards:send") == 0)
        return to_shards(p, id, "send");
    return plex_err_set(p->err, PLEX_NOT_FOUND,
                        "actor-groups/{id} knows GET, DELETE and POST :scale, "
                        ":scatterGather, /shards:send");
}

/* -- all ---------------------------------------------------------------------
 */

static enum plex_status
body(struct parse *p)
{
    json_error_t error;

    p->message =
        p->in->body.len == 0
            ? json_object()
            : json_loadb((const char *)p->in->body.data, p->in->body.len,
                         JSON_REJECT_DUPLICATES, &error);
    if (p->message == NULL)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body is no JSON: line %d, column %d: %.120s",
                            error.line, error.column, error.text);
    if (!json_is_object(p->message))
        return plex_err_set(p->err, PLEX_INVALID,
                            "the body must be a JSON object");
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
gate_group_path(const struct gate_workflow_in *in, struct plex_arena *arena,
                struct work_message *out, struct plex_err *err)
{
    struct parse p = {.in = in, .arena = arena, .out = out, .err = err};
    const char *ns = gate_params_take(in->params, "namespace");
    const char *rest = in->path + sizeof ROOT - 1;
    enum plex_status status;

    out->kind = WORK_CALL;
    out->to.ns = ns == NULL || ns[0] == '\0' ? "default" : ns;
    status = plex_name_namespace(out->to.ns, strlen(out->to.ns), err);
    if (status == PLEX_OK)
        status = body(&p);
    if (status == PLEX_OK)
        status = *rest == '\0' ? all(&p)
                               : one(&p, plex_arena_strndup(arena, rest + 1,
                                                            strlen(rest + 1)));
    if (status == PLEX_OK)
        status = payload(&p);
    json_decref(p.message);
    return status;
}
