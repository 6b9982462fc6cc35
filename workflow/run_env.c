/* What expressions see. */
#include "workflow/run_private.h"
#include "workflow/when.h"

#include <stdio.h>
#include <string.h>

struct seen {
    struct flow_run *run;
    struct frame *frame;
    struct act *act;
    json_t *data, *result;
    json_t *made; /* array: values built for this evaluation */
};

static json_t *
keep(struct seen *s, json_t *value)
{
    if (s->made == NULL)
        s->made = json_array();
    json_array_append_new(s->made, value);
    return value;
}

static json_t *
run_value(struct seen *s)
{
    char started[FLOW_TIME_TEXT];

    flow_time_format(s->run->started_ms, started);
    return keep(s, json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", s->run->id,
                             "definition", s->run->def->id, "version",
                             s->run->def->version, "started_at", started,
                             "attempt",
                             (json_int_t)(s->act ? s->act->attempt : 0)));
}

static const char *
state_name(enum node_state state)
{
    static const char *const names[] = {"PENDING",  "RUNNING", "COMPLETED",
                                        "FAILED",   "SKIPPED", "FAILED",
                                        "CANCELLED"};

    return names[state];
}

/* {"status", "output", "error"} of a step that is settled. */
static json_t *
step_value(struct seen *s, const char *name)
{
    struct frame *frame = s->frame != NULL ? s->frame : s->run->root;
    const struct node_run *node = NULL;
    json_t *value;

    while (frame != NULL && node == NULL) {
        const uint32_t index = flow_scope_find(s->run->def, frame->scope, name);

        if (index != FLOW_NONE && frame->scope->net)
            node = flow_node_run(frame, s->run->def->nodes[index]);
        frame = frame->owner != NULL ? frame->owner->frame : NULL;
    }
    if (node == NULL || node->state <= NODE_ACTIVE)
        return NULL;
    value = json_pack("{s:s}", "status", state_name(node->state));
    if (node->output != NULL)
        json_object_set(value, "output", node->output);
    if (node->code != NULL)
        json_object_set_new(value, "error",
                            json_pack("{s:s, s:s}", "code", node->code, "cause",
                                      node->cause != NULL ? node->cause : ""));
    return keep(s, value);
}

static const struct frame *
item_frame(const struct frame *frame)
{
    while (frame != NULL && frame->item == NULL)
        frame = frame->owner != NULL ? frame->owner->frame : NULL;
    return frame;
}

/* "$$": as the Amazon States Language has it. */
static json_t *
context_value(struct seen *s)
{
    const struct frame *item = item_frame(s->frame);
    struct flow_run *run = s->run;
    char started[FLOW_TIME_TEXT], entered[FLOW_TIME_TEXT], token[512];
    json_t *value;

    flow_time_format(run->started_ms, started);
    flow_time_format(s->act != NULL ? s->act->started_ms : run->now_ms,
                     entered);
    value = json_pack("{s:{s:s, s:s, s:s, s:O}, s:{s:s, s:s}}", "Execution",
                      "Id", run->id, "Name", run->id, "StartTime", started,
                      "Input", run->input, "StateMachine", "Id", run->def->id,
                      "Name", run->def->name);
    if (s->act != NULL) {
        json_object_set_new(value, "State",
                            json_pack("{s:s, s:s, s:I}", "Name",
                                      s->act->node->id, "EnteredTime", entered,
                                      "RetryCount",
                                      (json_int_t)(s->act->attempt - 1)));
        (void)snprintf(token, sizeof token, "%.300s:%llu:%u", run->id,
                       (unsigned long long)s->act->id, s->act->attempt);
        json_object_set_new(value, "Task", json_pack("{s:s}", "Token", token));
    }
    if (item != NULL)
        json_object_set_new(value, "Map",
                            json_pack("{s:{s:I, s:O}}", "Item", "Index",
                                      (json_int_t)item->slot, "Value",
                                      item->item));
    return keep(s, value);
}

static json_t *
root(void *ctx, enum flow_root which, const char *name)
{
    struct seen *s = ctx;
    const struct frame *frame;

    switch (which) {
    case FLOW_ROOT_INPUT:
        return s->run->input;
    case FLOW_ROOT_VARS:
        return s->run->vars;
    case FLOW_ROOT_RUN:
        return run_value(s);
    case FLOW_ROOT_STEP:
        return step_value(s, name);
    case FLOW_ROOT_ITEM:
        frame = item_frame(s->frame);
        return frame != NULL ? frame->item : NULL;
    case FLOW_ROOT_INDEX:
        frame = item_frame(s->frame);
        return frame != NULL ? keep(s, json_integer(frame->slot)) : NULL;
    case FLOW_ROOT_RESULT:
        return s->result;
    case FLOW_ROOT_DATA:
        return s->data;
    default:
        return context_value(s);
    }
}

json_t *
flow_eval_in(struct flow_run *run, struct frame *frame, struct act *act,
             json_t *data, json_t *result, const struct flow_expr *x,
             struct flow_fault *fault)
{
    struct seen seen = {run, frame, act, data, result, NULL};
    const struct flow_env env = {root, &seen, run->now_ms, &run->random};
    json_t *value = flow_expr_eval(x, &env, fault);

    json_decref(seen.made);
    return value;
}
