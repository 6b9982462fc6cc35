/* Steps made of frames: parallel and map. */
#include "common/mem.h"
#include "workflow/run_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *
nulls(uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_null());
    return list;
}

static void
reset_split(struct act *act, uint32_t total)
{
    json_decref(act->results);
    act->results = nulls(total);
    act->total = total;
    act->launched = act->finished = act->running = act->failed = 0;
}

void
flow_parallel_begin(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;

    if (!flow_act_clocks(run, act))
        return;
    reset_split(act, node->n_branches);
    flow_set_text(&act->what, "its branches");
    flow_act_phase(run, act, ACT_SPLIT);
    for (uint32_t i = 0; i < node->n_branches; i++) {
        act->launched++;
        act->running++;
        flow_frame_open(run, node->branches[i], act, i, act->input, NULL);
    }
}

static void
map_launch(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    const uint32_t width = act->width > 0 ? act->width : FLOW_ACTIVE_MAX;

    while (act->launched < act->total && act->running < width &&
           (act->running == 0 || run->n_acts < FLOW_ACTIVE_MAX / 2)) {
        json_t *item = json_array_get(act->items, act->launched);
        const uint32_t slot = act->launched++;
        json_t *data = json_incref(item);
        struct flow_fault fault;

        act->running++;
        if (node->per_item != NULL) {
            /* Its `$` is the map's input, `$$.Map.Item` this item. */
            struct frame here = {.scope = run->def->scopes[node->branches[0]],
                                 .owner = act,
                                 .slot = slot,
                                 .item = item};

            json_decref(data);
            data = flow_eval_in(run, &here, act, act->input, NULL,
                                node->per_item, &fault);
            if (data == NULL) {
                act->running--;
                act->launched = act->total;
                flow_set_text(&act->code,
                              flow_error_code(run, ERROR_EXPRESSION));
                flow_set_text(&act->cause, fault.text);
                return;
            }
            run->estimate += fault.size;
        }
        flow_frame_open(run, node->branches[0], act, slot, data, item);
        json_decref(data);
    }
}

/* MaxConcurrency, or what its path says. False: the act has failed. */
static bool
map_width(struct flow_run *run, struct act *act)
{
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};
    json_t *value;
    json_int_t width;

    act->width = (uint32_t)act->node->concurrency;
    if (act->node->detail == NULL)
        return true;
    value = flow_act_eval(run, act, act->input, NULL, act->node->detail);
    if (value == NULL)
        return false;
    width = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(value);
    if (width >= 0 && width <= FLOW_ACTIVE_MAX) {
        act->width = (uint32_t)width;
        return true;
    }
    (void)snprintf(fault.text, sizeof fault.text,
                   "MaxConcurrencyPath should give 0 to %d", FLOW_ACTIVE_MAX);
    flow_act_fault(run, act, &fault);
    return false;
}

void
flow_map_begin(struct flow_run *run, struct act *act)
{
    json_t *items =
        act->node->value != NULL
            ? flow_act_eval(run, act, act->input, NULL, act->node->value)
            : json_incref(act->input);
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};

    if (items == NULL)
        return;
    if (!json_is_array(items)) {
        json_decref(items);
        (void)snprintf(fault.text, sizeof fault.text,
                       "the items of a map should be a list");
        flow_act_fault(run, act, &fault);
        return;
    }
    json_decref(act->items);
    act->items = items;
    if (!map_width(run, act) || !flow_act_clocks(run, act))
        return;
    reset_split(act, (uint32_t)json_array_size(items));
    if (act->total == 0) {
        flow_act_succeed(run, act, json_array());
        return;
    }
    flow_set_text(&act->what, "its items");
    flow_act_phase(run, act, ACT_SPLIT);
    map_launch(run, act);
    if (act->code != NULL && act->running == 0)
        flow_act_fail(run, act, act->code, act->cause);
}

static json_t *
split_result(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    json_t *object;

    if (node->kind != FLOW_PARALLEL || run->def->language == FLOW_ASL)
        return json_incref(act->results);
    object = json_object();
    for (uint32_t i = 0; i < node->n_branches; i++)
        json_object_set(object, run->def->scopes[node->branches[i]]->name,
                        json_array_get(act->results, i));
    return object;
}

void
flow_slot_done(struct flow_run *run, struct act *owner, uint32_t slot,
               json_t *output)
{
    json_array_set_new(owner->results, slot, output);
    owner->running--;
    owner->finished++;
    if (owner->code == NULL && owner->node->kind == FLOW_MAP)
        map_launch(run, owner);
    if (owner->code != NULL) {
        /* An item could not be started: the map fails. */
        flow_act_stop_frames(run, owner);
        if (owner->running == 0)
            flow_act_fail(run, owner, owner->code, owner->cause);
        return;
    }
    if (owner->finished == owner->total)
        flow_act_succeed(run, owner, split_result(run, owner));
}
