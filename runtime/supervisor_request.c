#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/supervisor_private.h"

static const struct plex_ref nobody;

/* -- making and unmaking a core -- */

enum plex_status
sup_flags_check(const struct plex_supervisor *flags, struct plex_err *err)
{
    if (flags->strategy < PLEX_ONE_FOR_ONE ||
        flags->strategy > PLEX_SIMPLE_ONE_FOR_ONE)
        return plex_err_set(err, PLEX_INVALID,
                            "a supervisor's strategy is %d, not 1 to 4",
                            (int)flags->strategy);
    if (flags->auto_shutdown > PLEX_AUTO_ALL_SIGNIFICANT)
        return plex_err_set(err, PLEX_INVALID, "auto_shutdown is %d, not 0..2",
                            (int)flags->auto_shutdown);
    if (flags->intensity > SUP_INTENSITY_MAX)
        return plex_err_set(err, PLEX_LIMIT, "intensity %u is over %d",
                            flags->intensity, SUP_INTENSITY_MAX);
    return PLEX_OK;
}

static enum plex_status
template_check(const struct plex_supervisor *flags, struct plex_err *err)
{
    const struct plex_child *children = flags->children;

    if (flags->strategy == PLEX_SIMPLE_ONE_FOR_ONE &&
        (children == NULL || children[0].id == NULL || children[1].id != NULL))
        return plex_err_set(err, PLEX_INVALID,
                            "simple_one_for_one wants exactly one child: the "
                            "template");
    return PLEX_OK;
}

static enum plex_status
children_make(struct sup_core *core, const struct plex_child *children,
              struct plex_err *err)
{
    const struct plex_child *child;
    struct sup_spec_box *box;
    enum plex_status status;

    for (child = children; child != NULL && child->id != NULL; child++) {
        if (core->count == SUP_CHILDREN_MAX)
            return plex_err_set(err, PLEX_LIMIT, "more than %d children",
                                SUP_CHILDREN_MAX);
        if (sup_child_by_id(core, child->id) != NULL)
            return plex_err_set(err, PLEX_EXISTS, "two children are named %s",
                                child->id);
        status = sup_spec_make(core, child, &box, err);
        if (status != PLEX_OK)
            return status;
        if (core->flags.strategy == PLEX_SIMPLE_ONE_FOR_ONE)
            core->template = box;
        else
            (void)sup_child_add(core, box);
    }
    return PLEX_OK;
}

enum plex_status
sup_core_create(const struct plex_supervisor *flags, struct sup_core **out,
                struct plex_err *err)
{
    struct sup_core *core;
    enum plex_status status = sup_flags_check(flags, err);

    *out = NULL;
    if (status == PLEX_OK)
        status = template_check(flags, err);
    if (status != PLEX_OK)
        return status;
    core = plex_calloc(1, sizeof *core);
    core->flags = *flags;
    core->flags.children = NULL;
    if (core->flags.period_ms == 0)
        core->flags.period_ms = 5000;
    TAILQ_INIT(&core->children);
    TAILQ_INIT(&core->gone);
    TAILQ_INIT(&core->inputs);
    status = children_make(core, flags->children, err);
    if (status != PLEX_OK) {
        sup_core_free(core);
        return status;
    }
    *out = core;
    return PLEX_OK;
}

void
sup_input_free(struct sup_input *input)
{
    if (input == NULL)
        return;
    free((void *)(uintptr_t)input->asked.id);
    sup_spec_unref(input->spec);
    free(input->plan);
    free(input);
}

void *
sup_core_abandoned(struct sup_core *core)
{
    struct sup_input *input = core->asked;
    void *request;

    core->asked = NULL;
    if (input == NULL) {
        TAILQ_FOREACH(input, &core->inputs, next)
        {
            if (input->kind == SUP_IN_REQUEST)
                break;
        }
        if (input == NULL)
            return NULL;
        sup_input_drop(core, input);
    }
    request = input->request;
    sup_input_free(input);
    return request;
}

void
sup_core_free(struct sup_core *core)
{
    struct sup_child *child;
    struct sup_action action;

    if (core == NULL)
        return;
    while (sup_core_abandoned(core) != NULL)
        ;
    while (sup_core_pop(core, &action))
        free(action.infos);
    while ((child = TAILQ_FIRST(&core->children)) != NULL)
        sup_child_remove(core, child);
    sup_gone_free(core);
    sup_spec_unref(core->template);
    free(core->actions);
    free(core->times);
    free(core->text);
    free(core->parent_reason);
    free(core);
}

/* -- requests -- */

enum plex_status
sup_core_request(struct sup_core *core, uint64_t now_ms,
                 const struct plex_supervisor_request *asked, void *request)
{
    struct sup_input *input;
    struct plex_err err;
    enum plex_status status;

    assert(request != NULL);
    if (asked->verb < PLEX_SUP_START || asked->verb > PLEX_SUP_CHANGE)
        return PLEX_INVALID;
    if (asked->verb == PLEX_SUP_START && core->template == NULL &&
        asked->child == NULL)
        return PLEX_INVALID;
    if ((asked->verb == PLEX_SUP_CHANGE && asked->child == NULL) ||
        (asked->verb == PLEX_SUP_PLAN && asked->out == NULL))
        return PLEX_INVALID;
    if (core->waiting >= SUP_WAITING_MAX)
        return PLEX_LIMIT;
    input = plex_calloc(1, sizeof *input);
    if (asked->verb == PLEX_SUP_START && core->template != NULL) {
        input->spec = sup_spec_instance(core, asked->child);
    } else if (asked->verb == PLEX_SUP_START ||
               asked->verb == PLEX_SUP_CHANGE) {
        status = sup_spec_make(core, asked->child, &input->spec, &err);
        if (status != PLEX_OK) {
            free(input);
            return status;
        }
    } else if (asked->verb == PLEX_SUP_PLAN) {
        input->plan = plex_calloc(1, sizeof *input->plan);
        *input->plan = *(const struct plex_plan *)asked->out;
    }
    input->kind = SUP_IN_REQUEST;
    input->asked = *asked;
    input->asked.child = NULL;
    input->asked.out = NULL;
    input->asked.id = plex_strdup(asked->id == NULL ? "" : asked->id);
    input->request = request;
    sup_input_add(core, input);
    sup_core_wake(core, now_ms);
    return PLEX_OK;
}

static void
reply(struct sup_core *core, struct sup_input *input, enum plex_status status,
      struct plex_ref ref, const char *text)
{
    struct sup_action *action = sup_push(core, SUP_REPLY, NULL);

    action->request = input->request;
    action->status = status;
    action->ref = ref;
    action->text = text;
    if (status == PLEX_OK && input->asked.verb == PLEX_SUP_WHICH)
        sup_child_list(core, input->asked.out_max, action);
    if (status == PLEX_OK && input->asked.verb == PLEX_SUP_COUNT)
        sup_child_tally(core, &action->counts);
    if (status == PLEX_OK && input->asked.verb == PLEX_SUP_PLAN)
        sup_plan_tell(core, &action->plan);
    sup_input_free(input);
}

void
sup_request_done(struct sup_core *core, enum plex_status status,
                 struct plex_ref ref, const char *text)
{
    struct sup_input *input = core->asked;

    core->asked = NULL;
    core->op = SUP_OP_NONE;
    reply(core, input, status, ref, text);
}

static void
do_start(struct sup_core *core, struct sup_input *input)
{
    struct sup_child *child = NULL;
    struct sup_spec_box *box = input->spec;

    if (core->template == NULL)
        child = sup_child_by_id(core, box->spec.id);
    if (child != NULL) {
        reply(core, input, PLEX_EXISTS,
              child->state == SUP_RUNNING ? child->key : nobody,
              "a child of that id is there");
        return;
    }
    if (core->count == SUP_CHILDREN_MAX) {
        reply(core, input, PLEX_LIMIT, nobody, "too many children");
        return;
    }
    input->spec = NULL;
    child = sup_child_add(core, box);
    core->op = SUP_OP_ADD;
    core->asked = input;
    sup_start_one(core, child);
}

static void
do_terminate(struct sup_core *core, struct sup_input *input,
             struct sup_child *child)
{
    core->asked = input;
    if (sup_stop_one(core, child)) {
        core->op = SUP_OP_TERMINATE;
        core->cursor = child;
        return;
    }
    sup_stopped(core, child);
    sup_request_done(core, PLEX_OK, nobody, "");
}

static void
do_move(struct sup_core *core, struct sup_input *input, struct sup_child *child)
{
    if (child->state != SUP_RUNNING || child->ended) {
        reply(core, input, PLEX_CONFLICT, nobody, "the child does not run");
        return;
    }
    core->op = SUP_OP_MOVE;
    core->asked = input;
    core->cursor = child;
    (void)sup_stop_one(core, child);
}

/* RESTART and DELETE: of one that is not running. */
static void
do_stopped_one(struct sup_core *core, struct sup_input *input,
               struct sup_child *child)
{
    if (child->state == SUP_RESTARTING) {
        reply(core, input, PLEX_CONFLICT, nobody,
              "the child is being restarted");
    } else if (child->state != SUP_NONE) {
        reply(core, input, PLEX_CONFLICT, child->key, "the child is running");
    } else if (input->asked.verb == PLEX_SUP_DELETE) {
        sup_child_remove(core, child);
        reply(core, input, PLEX_OK, nobody, "");
    } else {
        core->op = SUP_OP_AGAIN;
        core->asked = input;
        sup_start_one(core, child);
    }
}

static void
do_one(struct sup_core *core, struct sup_input *input)
{
    const struct plex_supervisor_request *asked = &input->asked;
    bool simple = core->template != NULL;
    struct sup_child *child;

    if (simple &&
        ((asked->verb != PLEX_SUP_TERMINATE && asked->verb != PLEX_SUP_MOVE) ||
         asked->ref.node == 0)) {
        reply(core, input, PLEX_INVALID, nobody,
              "not for simple_one_for_one: terminate takes a reference");
        return;
    }
    child = simple ? sup_child_by_ref(core, asked->ref)
                   : sup_child_by_id(core, asked->id);
    if (child == NULL)
        reply(core, input, PLEX_NOT_FOUND, nobody, "there is no such child");
    else if (asked->verb == PLEX_SUP_TERMINATE)
        do_terminate(core, input, child);
    else if (asked->verb == PLEX_SUP_MOVE)
        do_move(core, input, child);
    else
        do_stopped_one(core, input, child);
}

/* A significant child may have come while the request waited for its turn:
 * what was checked then is checked again. */
static void
do_plan(struct sup_core *core, struct sup_input *input)
{
    const char *why = "";
    enum plex_status status = sup_plan_change(core, input->plan, &why);

    reply(core, input, status, nobody, why);
}

static void
do_change(struct sup_core *core, struct sup_input *input)
{
    if (input->spec->spec.significant &&
        core->flags.auto_shutdown == PLEX_AUTO_NEVER) {
        reply(core, input, PLEX_INVALID, nobody,
              "the child is significant, but auto_shutdown is never");
    } else if (sup_spec_replace(core, input->spec)) {
        input->spec = NULL;
        reply(core, input, PLEX_OK, nobody, "");
    } else {
        reply(core, input, PLEX_NOT_FOUND, nobody, "there is no such child");
    }
}

void
sup_request_do(struct sup_core *core, struct sup_input *input)
{
    switch (input->asked.verb) {
    case PLEX_SUP_PLAN:
        do_plan(core, input);
        break;
    case PLEX_SUP_CHANGE:
        do_change(core, input);
        break;
    case PLEX_SUP_START:
        do_start(core, input);
        break;
    case PLEX_SUP_WHICH:
    case PLEX_SUP_COUNT:
        reply(core, input, PLEX_OK, nobody, "");
        break;
    default:
        do_one(core, input);
    }
}
