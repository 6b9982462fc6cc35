/*
 * Facets around the callbacks of a process: an engine of its own, which runs
 * the behaviour's callbacks, or those that an engine calls, through the chain.
 * So a process without facets does not even look whether it has any.
 */
#include "runtime/process_facets_private.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTOR_MAX = 1024 };

/* -- which ------------------------------------------------------------------
 */

/* Never called: a behaviour whose `migrate` this is, is the first member of a
 * struct rt_faceted. Processes have no use for that callback. */
int
rt_around_mark(struct plex_ctx *ctx, uint32_t from)
{
    (void)ctx, (void)from;
    return -1;
}

enum plex_status
rt_around_may(const struct rt_engine *engine, struct plex_err *err)
{
    if (engine == NULL || engine == &rt_engine_around ||
        engine == &rt_engine_fsm || engine == &rt_engine_events)
        return PLEX_OK;
    return plex_err_set(err, PLEX_UNSUPPORTED,
                        "facets stand around callbacks; a supervisor has none");
}

enum plex_status
rt_faceted_init(struct rt_faceted *out, const struct plex_behaviour *from,
                const struct rt_facet_plan *plan,
                const struct rt_facet_types *types, struct plex_err *err)
{
    if (from->supervisor != NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facets stand around callbacks; behaviour %s is a "
                            "supervisor, which has none",
                            from->name);
    *out = (struct rt_faceted){*from, plan, types};
    out->is.migrate = rt_around_mark;
    return PLEX_OK;
}

/* -- time --------------------------------------------------------------------
 */

void
rt_around_arm(struct plex_ctx *ctx, struct rt_around *around)
{
    const uint64_t due = rt_facets_due_ns(around->chain);
    struct rt_exec *exec = rt_around_exec(ctx);
    const struct rt_timer_set set = {
        .to = rt_ref(exec->rt, rt_turn_of(ctx)->proc),
        .kind = RT_KIND_NAMED_TIMER,
        .deadline_ns = due,
    };

    if (due == around->due_ns)
        return;
    if (around->timer != 0)
        (void)rt_timer_cancel(exec, around->timer);
    around->due_ns = due;
    around->timer = due == UINT64_MAX ? 0 : rt_timer_set(exec, &set);
}

bool
rt_around_timer(struct rt_turn *turn, int *rc)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_around *around = rt_around_of(ctx);

    if (around == NULL || around->timer != turn->msg->number)
        return false;
    around->timer = 0;
    around->due_ns = UINT64_MAX;
    rt_facets_tick(around->chain, rt_around_when(ctx));
    *rc = rt_around_act(ctx, around);
    if ((turn->proc->flags & RT_PROC_DYING) == 0)
        rt_around_arm(ctx, around);
    return true;
}

/* -- life -------------------------------------------------------------------
 */

struct rt_around *
rt_around_make(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_ext *ext = rt_ext(rt_around_exec(ctx), turn->proc);

    if (ext->around == NULL) {
        ext->around = plex_calloc(1, sizeof *ext->around);
        ext->around->due_ns = UINT64_MAX;
    }
    if (turn->proc->engine != &rt_engine_around)
        ext->around->inner = turn->proc->engine;
    turn->proc->engine = &rt_engine_around;
    return ext->around;
}

/* "tenant/namespace/behaviour/name", and the behaviour as people know it. */
enum plex_status
rt_around_chain(struct plex_ctx *ctx, struct rt_around *around,
                struct plex_err *err)
{
    const struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt *rt = rt_around_exec(ctx)->rt;
    const struct rt_where where =
        rt_scope_text(rt, atomic_load(&rt_turn_of(ctx)->proc->scope));
    const char *behaviour = rt_behaviour(ctx)->name;
    char actor[ACTOR_MAX], family[256], ref[300];

    (void)snprintf(family, sizeof family, "%.*s", (int)strcspn(behaviour, "="),
                   behaviour);
    if (proc->ext->name != NULL)
        (void)snprintf(ref, sizeof ref, "%s", proc->ext->name);
    else if (proc->ext->child != NULL && proc->ext->child[0] != '\0')
        (void)snprintf(ref, sizeof ref, "%s", proc->ext->child);
    else
        (void)rt_ref_text(rt, rt_ref(rt, proc), ref, sizeof ref);
    (void)snprintf(actor, sizeof actor, "%s/%s/%s/%s", where.tenant, where.ns,
                   family, ref);
    return rt_facets_create(around->plan, actor, family, rt_around_when(ctx),
                            &around->chain, err);
}

void
rt_around_start(struct rt_exec *exec, struct rt_proc *proc,
                struct rt_facet_plan *own)
{
    const struct rt_faceted *of =
        (const struct rt_faceted *)(const void *)atomic_load(&proc->behaviour);
    struct rt_around *around = plex_calloc(1, sizeof *around);

    around->due_ns = UINT64_MAX;
    around->own = own;
    around->plan = own;
    if (own == NULL) {
        around->plan = of->plan;
        around->types = of->types;
    }
    around->inner = proc->engine;
    rt_ext(exec, proc)->around = around;
    proc->engine = &rt_engine_around;
}

static int
init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct rt_around *around = rt_around_of(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;
    struct plex_err err = {0};

    if (rt_around_chain(ctx, around, &err) != PLEX_OK)
        return ctx->ops->fail(ctx, err.text);
    if (around->inner != NULL) {
        if (ext->engine_state == NULL)
            ext->engine_state = plex_calloc(1, around->inner->state_size);
        return around->inner->init(ctx, args, len);
    }
    return behaviour->init == NULL ? 0 : behaviour->init(ctx, args, len);
}

int
rt_around_begun(struct rt_turn *turn)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_around *around = rt_around_of(ctx);

    rt_facets_init_complete(around->chain, rt_around_when(ctx));
    if (rt_around_act(ctx, around) != 0 || turn->failed)
        return -1;
    if ((turn->proc->flags & RT_PROC_DYING) == 0)
        rt_around_arm(ctx, around);
    return 0;
}

static void
terminate(struct plex_ctx *ctx, const char *reason)
{
    struct rt_around *around = rt_around_of(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);

    around->told = true;
    if (around->chain != NULL) {
        rt_facets_terminate(around->chain, reason, rt_around_when(ctx));
        (void)rt_around_act(ctx, around);
    }
    if (around->inner != NULL)
        around->inner->terminate(ctx, reason);
    else if (behaviour->terminate != NULL)
        behaviour->terminate(ctx, reason);
}

static void
fini(struct plex_ctx *ctx, void *state)
{
    const struct rt_engine *inner = rt_around_of(ctx)->inner;

    if (inner != NULL)
        inner->fini(ctx, state);
}

/* The process is past acting: what goes to the outside still does. */
static void
last_actions(struct rt_exec *exec, const struct rt_proc *proc,
             struct rt_facets *chain)
{
    const struct rt_config *config = &exec->rt->config;
    struct plex_facet_action action;
    char name[512];

    while (rt_facets_next(chain, &action)) {
        if (action.kind == PLEX_FACET_LOG && action.name == NULL &&
            config->on_log != NULL) {
            (void)rt_ref_text(exec->rt, rt_ref(exec->rt, proc), name,
                              sizeof name);
            config->on_log(config->arg, name, action.level, action.text);
        } else if (config->on_facet != NULL &&
                   (action.kind == PLEX_FACET_COUNT ||
                    action.kind == PLEX_FACET_OBSERVE ||
                    action.kind == PLEX_FACET_GAUGE ||
                    action.kind == PLEX_FACET_LOG ||
                    action.kind == PLEX_FACET_SPAN)) {
            config->on_facet(config->arg, &action);
        }
    }
}

void
rt_around_end(struct rt_exec *exec, struct rt_proc *proc, const char *reason)
{
    struct rt_around *around = proc->ext->around;

    proc->ext->around = NULL;
    if (around->timer != 0)
        (void)rt_timer_cancel(exec, around->timer);
    if (around->chain != NULL) {
        if (around->calling)
            rt_facets_end(around->chain, &around->call);
        if ((proc->flags & RT_PROC_KILLED) == 0) {
            if (!around->told)
                rt_facets_terminate(around->chain, reason,
                                    rt_around_when_of(exec));
            rt_facets_detach_all(around->chain, rt_around_when_of(exec));
        }
        last_actions(exec, proc, around->chain);
        rt_facets_free(around->chain);
    }
    rt_facet_plan_free(around->own);
    free(around);
}

static int
reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
      const void *payload, size_t len)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    const struct rt_engine *inner = rt_around_of(ctx)->inner;

    if (inner != NULL)
        return inner->reply == NULL
                   ? 0
                   : inner->reply(ctx, tag, status, payload, len);
    return behaviour->handle_reply == NULL
               ? 0
               : behaviour->handle_reply(ctx, tag, status, payload, len);
}

const struct rt_engine rt_engine_around = {
    .init = init,
    .handle = rt_around_handle,
    .reply = reply,
    .terminate = terminate,
    .fini = fini,
};
