#include "services/gateway/workflow_path.h"

#include "common/http.h"
#include "services/gateway/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/api/v1/workflows/"
#define ROOT "/api/v1/" /* "schedules" is a segment of its own */
#define SCHEDULES ROOT "schedules"
enum { SEGMENTS_MAX = 5, INDEX_SHARDS = 64 };

struct parse {
    const struct gate_workflow_in *in;
    struct plex_arena *arena;
    struct work_message *out;
    struct plex_err *err;
    char *at[SEGMENTS_MAX]; /* segments after the prefix, decoded */
    size_t n;
    json_t *message;
};

static bool
is_schedule_path(const char *path)
{
    const size_t len = sizeof SCHEDULES - 1;

    return strncmp(path, SCHEDULES, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

bool
gate_is_workflow_path(const char *path)
{
    return strncmp(path, PREFIX, sizeof PREFIX - 1) == 0 ||
           is_schedule_path(path);
}

static enum plex_status
segments(struct parse *p)
{
    const char *from =
        p->in->path +
        (is_schedule_path(p->in->path) ? sizeof ROOT : sizeof PREFIX) - 1;

    for (;;) {
        const size_t len = strcspn(from, "/");

        if (p->n == SEGMENTS_MAX)
            return plex_err_set(p->err, PLEX_NOT_FOUND, "no such path");
        p->at[p->n] = gate_alloc(p->arena, len + 1);
        if (plex_http_unescape(from, len, false, p->at[p->n], p->err) !=
            PLEX_OK)
            return p->err->status;
        p->n++;
        if (from[len] == '\0')
            return PLEX_OK;
        from += len + 1;
    }
}

static void
put(struct parse *p, const char *field, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(p->message, field, json_string(value));
}

static void
put_param(struct parse *p, const char *field, const char *param)
{
    put(p, field, gate_params_take(p->in->params, param));
}

static enum plex_status
wrong_method(struct parse *p)
{
    return plex_err_set(p->err, PLEX_UNSUPPORTED,
                        "%s does not go with this path", p->in->method);
}

static bool
is(const struct parse *p, const char *method)
{
    return strcmp(p->in->method, method) == 0;
}

/* -- definitions ----------------------------------------------------------- */

/* definitions, definitions/{id}, definitions/{id}/versions/{version} */
static enum plex_status
definitions(struct parse *p)
{
    p->out->to.type = "workflow-catalog";
    p->out->to.key = "definitions";
    if (p->n == 1) {
        put_param(p, "prefix", "prefix");
        put(p, "action", is(p, "POST") ? "create" : "list");
        return is(p, "POST") || is(p, "GET") ? PLEX_OK : wrong_method(p);
    }
    if (p->n == 3 || (p->n >= 4 && strcmp(p->at[2], "versions") != 0) ||
        p->n > 4)
        return plex_err_set(p->err, PLEX_NOT_FOUND,
                            "definitions/{id}/versions/{version} is known");
    put(p, "id", p->at[1]);
    if (p->n == 4)
        put(p, "version", p->at[3]);
    put(p, "action",
        is(p, "PUT")      ? "update"
        : is(p, "DELETE") ? "delete"
                          : "get");
    return is(p, "POST") ? wrong_method(p) : PLEX_OK;
}

/* -- executions -------------------------------------------------------------
 */

/* labels=env=prod,team=a and started_after_ms, started_before_ms. */
static bool
list_filters(struct parse *p)
{
    static const char *const times[] = {"started_after_ms",
                                        "started_before_ms"};
    const char *labels = gate_params_take(p->in->params, "labels");
    json_t *wanted = json_object();
    uint64_t ms;

    json_object_set_new(p->message, "labels", wanted);
    while (labels != NULL && *labels != '\0') {
        const size_t len = strcspn(labels, ",");
        const char *eq = memchr(labels, '=', len);

        if (eq == NULL || eq == labels) {
            (void)plex_err_set(p->err, PLEX_INVALID,
                               "labels is NAME=VALUE, several with commas");
            return false;
        }
        json_object_setn_new(
            wanted, labels, (size_t)(eq - labels),
            json_stringn(eq + 1, len - (size_t)(eq - labels) - 1));
        labels += len + (labels[len] == ',');
    }
    for (size_t i = 0; i < 2; i++) {
        const char *text = gate_params_take(p->in->params, times[i]);

        if (text == NULL || text[0] == '\0')
            continue;
        if (!gate_uint_parse(text, strlen(text), INT64_MAX, &ms)) {
            (void)plex_err_set(p->err, PLEX_INVALID,
                               "%s is no number of milliseconds", times[i]);
            return false;
        }
        json_object_set_new(p->message, times[i], json_integer((json_int_t)ms));
    }
    return true;
}

static enum plex_status
list(struct parse *p)
{
    const char *token = gate_params_take(p->in->params, "page_token");
    uint64_t shard = 0;

    /* A page is what one actor of the index knows. */
    (void)gate_params_take(p->in->params, "page_size");
    if (token != NULL && token[0] != '\0' &&
        !gate_uint_parse(token, strlen(token), INDEX_SHARDS - 1, &shard))
        return plex_err_set(p->err, PLEX_INVALID,
                            "page_token is not one that was given out");
    p->out->to.type = "workflow-index";
    p->out->to.key = gate_alloc(p->arena, 8);
    (void)snprintf((char *)(uintptr_t)p->out->to.key, 8, "%u", (unsigned)shard);
    put(p, "action", "list");
    put_param(p, "status", "status");
    put_param(p, "definition", "definition");
    if (!list_filters(p))
        return p->err->status;
    if (shard + 1 < INDEX_SHARDS)
        json_object_set_new(p->message, "next",
                            json_integer((json_int_t)shard + 1));
    return PLEX_OK;
}

/* The id that the body names under `field`, or a new one. */
static const char *
id_of(struct parse *p, const char *field)
{
    const char *id = json_string_value(json_object_get(p->message, field));
    char *key;

    if (id == NULL || id[0] == '\0')
        id = p->in->new_id;
    if (plex_name_key(id, strlen(id), p->err) != PLEX_OK)
        return NULL;
    key = gate_alloc(p->arena, strlen(id) + 1);
    return strcpy(key, id);
}

static enum plex_status
start(struct parse *p)
{
    p->out->to.key = id_of(p, "execution_id");
    if (p->out->to.key == NULL)
        return p->err->status;
    /* Only runs and schedules wait for runs. */
    json_object_del(p->message, "parent");
    put(p, "action", "start");
    return PLEX_OK;
}

/* A fork that is tried again makes the same run. */
static enum plex_status
fork_id(struct parse *p)
{
    const char *id = id_of(p, "execution_id");

    if (id == NULL)
        return p->err->status;
    put(p, "execution_id", id);
    return PLEX_OK;
}

static enum plex_status
executions(struct parse *p)
{
    static const char *const reads[] = {"history", "steps", "why", NULL};
    static const char *const writes[] = {
        "cancel",    "signals", "query",  "pause",   "resume",
        "terminate", "reset",   "update", "approve", "heartbeat",
        "task_done", "fork",    "move",   NULL};
    const char *const *verbs = is(p, "GET") ? reads : writes;

    p->out->to.type = "workflow";
    if (p->n == 1 && is(p, "GET"))
        return list(p);
    if (p->n == 1)
        return is(p, "POST") ? start(p) : wrong_method(p);
    p->out->to.key = p->at[1];
    if (plex_name_key(p->at[1], strlen(p->at[1]), p->err) != PLEX_OK)
        return p->err->status;
    if (p->n == 2) {
        put(p, "action", "get");
        return is(p, "GET") ? PLEX_OK : wrong_method(p);
    }
    for (; p->n == 3 && *verbs != NULL; verbs++)
        if (strcmp(*verbs, p->at[2]) == 0) {
            put(p, "action",
                strcmp(*verbs, "signals") == 0 ? "signal" : *verbs);
            return strcmp(*verbs, "fork") == 0 ? fork_id(p) : PLEX_OK;
        }
    return plex_err_set(p->err, PLEX_NOT_FOUND,
                        "executions/{id} knows GET history, steps, why and "
                        "POST signals, query, cancel, pause, resume, "
                        "terminate, reset, fork, move, update, approve, "
                        "heartbeat, task_done");
}

/* -- schedules -------------------------------------------------------------
 */

static enum plex_status
schedule_all(struct parse *p)
{
    if (is(p, "GET")) {
        p->out->to.type = "schedule-index";
        p->out->to.key = "schedules";
        put_param(p, "prefix", "prefix");
        put_param(p, "page_token", "page_token");
        put_param(p, "page_size", "page_size");
        put(p, "action", "list");
        return PLEX_OK;
    }
    put(p, "action", "create");
    p->out->to.key = id_of(p, "id");
    if (p->out->to.key == NULL)
        return p->err->status;
    return is(p, "POST") ? PLEX_OK : wrong_method(p);
}

/* schedules, schedules/{id}, schedules/{id}/pause */
static enum plex_status
schedules(struct parse *p)
{
    static const char *const verbs[] = {"pause", "resume", "trigger",
                                        "backfill", NULL};

    p->out->to.type = "schedule";
    if (p->n == 1)
        return schedule_all(p);
    p->out->to.key = p->at[1];
    if (plex_name_key(p->at[1], strlen(p->at[1]), p->err) != PLEX_OK)
        return p->err->status;
    if (p->n == 2) {
        put(p, "action",
            is(p, "PUT")      ? "update"
            : is(p, "DELETE") ? "delete"
                              : "get");
        return is(p, "POST") ? wrong_method(p) : PLEX_OK;
    }
    for (const char *const *verb = verbs; p->n == 3 && *verb != NULL; verb++)
        if (strcmp(*verb, p->at[2]) == 0) {
            put(p, "action", *verb);
            return is(p, "POST") ? PLEX_OK : wrong_method(p);
        }
    return plex_err_set(p->err, PLEX_NOT_FOUND,
                        "schedules/{id} knows POST pause, resume, trigger and "
                        "backfill");
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
    char *text = json_dumps(p->message, JSON_COMPACT);
    size_t len;
    char *copy;

    if (text == NULL)
        return plex_err_set(p->err, PLEX_INVALID,
                            "the request cannot be written as JSON");
    len = strlen(text);
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
gate_workflow_path(const struct gate_workflow_in *in, struct plex_arena *arena,
                   struct work_message *out, struct plex_err *err)
{
    struct parse p = {.in = in, .arena = arena, .out = out, .err = err};
    const char *ns = gate_params_take(in->params, "namespace");
    enum plex_status status;

    out->kind = WORK_CALL;
    out->to.ns = ns == NULL || ns[0] == '\0' ? "default" : ns;
    if (plex_name_namespace(out->to.ns, strlen(out->to.ns), err) != PLEX_OK ||
        segments(&p) != PLEX_OK || body(&p) != PLEX_OK) {
        json_decref(p.message);
        return err->status;
    }
    if (is_schedule_path(in->path))
        status = schedules(&p);
    else if (strcmp(p.at[0], "definitions") == 0)
        status = definitions(&p);
    else if (strcmp(p.at[0], "executions") == 0)
        status = executions(&p);
    else
        status = plex_err_set(err, PLEX_NOT_FOUND,
                              "definitions and executions are known");
    if (status == PLEX_OK)
        status = payload(&p);
    json_decref(p.message);
    return status;
}
