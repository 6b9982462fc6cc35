/* What the engine asks for, as outputs of the turn. */
#include "services/worker/builtin_workflow.h"
#include "services/worker/handler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_DEFAULT_MS = 3600000, KEY_WHOLE_MAX = 200 };

/* -- commands
 * ------------------------------------------------------------------ */

static void
call(struct wf *wf, const struct flow_command *c)
{
    json_t *value = c->value == NULL ? json_object() : json_deep_copy(c->value);
    const uint64_t tag = c->id << WF_ATTEMPT_BITS | c->attempt;
    uint64_t timeout = (uint64_t)c->timeout_ms;
    char *text;

    if (timeout == 0 || timeout > CALL_DEFAULT_MS)
        timeout = CALL_DEFAULT_MS;
    if (c->method != NULL && c->method[0] != '\0' && json_is_object(value) &&
        json_object_get(value, "action") == NULL)
        json_object_set_new(value, "action", json_string(c->method));
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    if (text == NULL) {
        (void)plex_fail(wf->ctx, "a task's input cannot be written as JSON");
        return;
    }
    if (c->detached)
        plex_cast(wf->ctx, c->type, c->key, text, strlen(text));
    else
        plex_call(wf->ctx, c->type, c->key, text, strlen(text), timeout, tag);
    free(text);
}

static void
child(struct wf *wf, const struct flow_command *c)
{
    json_t *start =
        json_pack("{s:s, s:s, s:s, s:O}", "action", "start", "definition",
                  c->type, "version", c->method == NULL ? "" : c->method,
                  "input", c->value == NULL ? json_null() : c->value);

    if (!c->detached)
        json_object_set_new(start, "parent",
                            json_pack("{s:s, s:I, s:i}", "execution",
                                      work_wf_self(wf), "id", (json_int_t)c->id,
                                      "attempt", (int)c->attempt));
    work_builtin_cast(wf->ctx, "workflow", c->key, start);
}

/* An http step is carried out by an actor of its own: it may wait. */
static void
http(struct wf *wf, const struct flow_command *c)
{
    const char *self = work_wf_self(wf);
    char key[256];
    json_t *request = json_pack(
        "{s:s, s:s, s:s, s:I}", "action", "request", "method",
        c->method == NULL ? "GET" : c->method, "url", c->url, "timeout_ms",
        (json_int_t)(c->timeout_ms == 0 ? 30000 : c->timeout_ms));
    char *text;

    if (c->headers != NULL)
        json_object_set(request, "headers", c->headers);
    if (c->value != NULL)
        json_object_set(request, "body", c->value);
    /* The key only spreads the load: nothing is remembered under it. */
    if (strlen(self) > KEY_WHOLE_MAX)
        self = "long";
    (void)snprintf(key, sizeof key, "%s.%" PRIu64 ".%u", self, c->id,
                   c->attempt);
    text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (text != NULL)
        plex_call(wf->ctx, "workflow-http", key, text, strlen(text),
                  CALL_DEFAULT_MS, c->id << WF_ATTEMPT_BITS | c->attempt);
    free(text);
}

static void
cancel_child(struct wf *wf, const struct flow_command *c)
{
    work_builtin_cast(wf->ctx, "workflow", c->key,
                      json_pack("{s:s, s:s}", "action", "cancel", "reason",
                                "the parent does not wait any more"));
}

static void
tell(struct wf *wf, const json_t *parent, bool ok, json_t *more)
{
    const char *type = work_wf_text(parent, "type");
    json_t *done = json_pack("{s:s, s:O, s:O, s:b}", "action", "child_done",
                             "id", json_object_get(parent, "id"), "attempt",
                             json_object_get(parent, "attempt"), "ok", ok);

    json_object_update_new(done, more);
    work_builtin_cast(wf->ctx, type[0] == '\0' ? "workflow" : type,
                      work_wf_text(parent, "execution"), done);
}

void
work_wf_tell(struct wf *wf, const json_t *parent)
{
    const char *status = work_wf_text(wf->meta, "status");
    const char *code = work_wf_text(wf->meta, "code");
    const char *cause = work_wf_text(wf->meta, "cause");
    json_t *output = NULL;

    if (!json_is_object(parent))
        return;
    if (wf->run != NULL) {
        status = flow_status_name(flow_run_status(wf->run));
        output = flow_run_output(wf->run);
        code = flow_run_code(wf->run);
        cause = flow_run_cause(wf->run);
    }
    if (strcmp(status, "COMPLETED") == 0)
        tell(
            wf, parent, true,
            json_pack("{s:O}", "value", output == NULL ? json_null() : output));
    else
        tell(wf, parent, false,
             json_pack("{s:s, s:s}", "code", code[0] == '\0' ? status : code,
                       "cause", cause));
}

void
work_wf_refuse_parent(struct wf *wf, const json_t *parent, const char *code,
                      const char *cause)
{
    if (json_is_object(parent))
        tell(wf, parent, false,
             json_pack("{s:s, s:s}", "code", code, "cause", cause));
}

void
work_wf_obey(struct wf *wf, const struct flow_command *c)
{
    const int64_t now = (int64_t)plex_turn_ms(wf->ctx);

    switch (c->kind) {
    case FLOW_CALL:
        call(wf, c);
        break;
    case FLOW_SET_TIMER:
        plex_timer_set(wf->ctx, WF_TIMER,
                       c->due_ms > now ? (uint64_t)(c->due_ms - now) : 0, "",
                       0);
        break;
    case FLOW_CANCEL_TIMER:
        plex_timer_cancel(wf->ctx, WF_TIMER);
        break;
    case FLOW_START_CHILD:
        child(wf, c);
        break;
    case FLOW_CANCEL_CHILD:
        cancel_child(wf, c);
        break;
    case FLOW_HTTP:
        http(wf, c);
        break;
    case FLOW_COMPLETE:
    case FLOW_FAIL:
        if (json_object_get(wf->meta, "next") == NULL)
            work_wf_tell(wf, json_object_get(wf->meta, "parent"));
        break;
    case FLOW_CONTINUED:
        json_object_set_new(wf->meta, "continued",
                            json_integer(1 + json_integer_value(json_object_get(
                                                 wf->meta, "continued"))));
        break;
    case FLOW_CALL_CANCEL: /* a late answer is ignored */
        work_handler_call_cancel(wf->ctx,
                                 c->id << WF_ATTEMPT_BITS | c->attempt);
        break;
    case FLOW_ASK_APPROVAL: /* "why" and "steps" show it */
    case FLOW_CANCEL_ASK:
    case FLOW_PARK:
        break;
    }
}
