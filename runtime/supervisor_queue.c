#include <stdlib.h>

#include "common/mem.h"
#include "runtime/supervisor_private.h"

static void
ring_grow(struct sup_core *core)
{
    size_t max = core->actions_max == 0 ? 16 : core->actions_max * 2, i;
    struct sup_action *wider = plex_calloc(max, sizeof *wider);

    for (i = 0; i < core->actions_count; i++)
        wider[i] = core->actions[(core->head + i) & (core->actions_max - 1)];
    free(core->actions);
    core->actions = wider;
    core->actions_max = max;
    core->head = 0;
}

/* There are at most a few per child: all that one operation does. */
struct sup_action *
sup_push(struct sup_core *core, enum sup_action_kind kind,
         const struct sup_child *child)
{
    struct sup_action *action;

    if (core->actions_count == core->actions_max)
        ring_grow(core);
    action = &core->actions[(core->head + core->actions_count++) &
                            (core->actions_max - 1)];
    *action = (struct sup_action){.kind = kind};
    if (child != NULL) {
        action->spec = &child->box->spec;
        if (child->key.node != 0)
            action->ref = child->key;
    }
    return action;
}

bool
sup_core_pop(struct sup_core *core, struct sup_action *out)
{
    if (core->actions_count == 0)
        return false;
    *out = core->actions[core->head];
    core->head = (core->head + 1) & (core->actions_max - 1);
    core->actions_count--;
    return true;
}

void
sup_input_add(struct sup_core *core, struct sup_input *input)
{
    assert(!input->queued);
    input->queued = true;
    core->waiting += input->kind == SUP_IN_REQUEST;
    TAILQ_INSERT_TAIL(&core->inputs, input, next);
}

void
sup_input_drop(struct sup_core *core, struct sup_input *input)
{
    if (!input->queued)
        return;
    input->queued = false;
    core->waiting -= input->kind == SUP_IN_REQUEST;
    TAILQ_REMOVE(&core->inputs, input, next);
}

static void
times_grow(struct sup_core *core)
{
    size_t max = core->times_max == 0 ? 4 : core->times_max * 2, i;
    uint64_t *wider = plex_calloc(max, sizeof *wider);

    for (i = 0; i < core->times_count; i++)
        wider[i] = core->times[(core->times_head + i) & (core->times_max - 1)];
    free(core->times);
    core->times = wider;
    core->times_max = max;
    core->times_head = 0;
}

/*
 * A restart that is exactly `period_ms` old still counts, as in OTP. Never
 * more than intensity + 1 times are kept: one more ends the supervisor.
 */
bool
sup_restart_count(struct sup_core *core)
{
    uint64_t period = core->flags.period_ms;
    size_t mask = core->times_max - 1;

    while (core->times_count > 0 &&
           core->times[core->times_head & mask] + period < core->now_ms) {
        core->times_head = (core->times_head + 1) & mask;
        core->times_count--;
    }
    if (core->times_count == core->times_max)
        times_grow(core);
    core->times[(core->times_head + core->times_count) &
                (core->times_max - 1)] = core->now_ms;
    core->times_count++;
    return core->times_count <= core->flags.intensity;
}
