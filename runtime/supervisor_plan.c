#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/supervisor_private.h"

/*
 * Changing the plan of a supervisor that runs, as OTP does when code changes:
 * processes are left alone, and what happens next follows the new plan.
 */

static bool
is_simple(enum plex_strategy strategy)
{
    return strategy == PLEX_SIMPLE_ONE_FOR_ONE;
}

static bool
has_significant(const struct sup_core *core)
{
    const struct sup_child *child;

    if (core->template != NULL && core->template->spec.significant)
        return true;
    TAILQ_FOREACH(child, &core->children, order)
    {
        if (child->box->spec.significant)
            return true;
    }
    return false;
}

static struct plex_supervisor
merged(const struct sup_core *core, const struct plex_plan *plan)
{
    struct plex_supervisor flags = core->flags;

    if ((plan->set & PLEX_PLAN_STRATEGY) != 0)
        flags.strategy = plan->strategy;
    if ((plan->set & PLEX_PLAN_INTENSITY) != 0)
        flags.intensity = plan->intensity;
    if ((plan->set & PLEX_PLAN_PERIOD) != 0)
        flags.period_ms = plan->period_ms == 0 ? 5000 : plan->period_ms;
    if ((plan->set & PLEX_PLAN_AUTO_SHUTDOWN) != 0)
        flags.auto_shutdown = plan->auto_shutdown;
    if ((plan->set & PLEX_PLAN_BACKOFF) != 0) {
        flags.backoff_initial_ms = plan->backoff_initial_ms;
        flags.backoff_max_ms = plan->backoff_max_ms;
    }
    return flags;
}

enum plex_status
sup_plan_change(struct sup_core *core, const struct plex_plan *plan,
                const char **why)
{
    struct plex_supervisor flags = merged(core, plan);
    struct plex_err ignored;

    *why = "";
    if (is_simple(flags.strategy) != is_simple(core->flags.strategy)) {
        *why = "simple_one_for_one is for ever";
        return PLEX_INVALID;
    }
    if (sup_flags_check(&flags, &ignored) != PLEX_OK) {
        *why = "no such strategy or auto_shutdown, or intensity is too high";
        return PLEX_INVALID;
    }
    if (flags.auto_shutdown == PLEX_AUTO_NEVER && has_significant(core)) {
        *why = "a child is significant: auto_shutdown cannot be never";
        return PLEX_CONFLICT;
    }
    core->flags = flags;
    return PLEX_OK;
}

void
sup_plan_tell(const struct sup_core *core, struct plex_plan *out)
{
    *out = (struct plex_plan){
        .strategy = core->flags.strategy,
        .intensity = core->flags.intensity,
        .period_ms = core->flags.period_ms,
        .auto_shutdown = core->flags.auto_shutdown,
        .backoff_initial_ms = core->flags.backoff_initial_ms,
        .backoff_max_ms = core->flags.backoff_max_ms,
    };
}

/* Actions that have not been popped may name it. */
static void
box_retire(struct sup_core *core, struct sup_spec_box *box)
{
    struct sup_child *shell = plex_calloc(1, sizeof *shell);

    shell->box = box;
    TAILQ_INSERT_TAIL(&core->gone, shell, order);
}

bool
sup_spec_replace(struct sup_core *core, struct sup_spec_box *box)
{
    struct sup_child *child;
    struct sup_spec_box *before = core->template;

    if (before != NULL) { /* those that run keep theirs */
        core->template = box;
        box_retire(core, before);
        return true;
    }
    child = sup_child_by_id(core, box->spec.id);
    if (child == NULL)
        return false;
    before = child->box;
    /* The table finds it by the text of its specification. */
    HASH_DELETE(by_id, core->by_id, child);
    child->box = box;
    HASH_ADD_KEYPTR(by_id, core->by_id, box->spec.id, strlen(box->spec.id),
                    child);
    box_retire(core, before);
    return true;
}
