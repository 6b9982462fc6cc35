#include "runtime/around.h"
#include "runtime/circle.h"
#include "runtime/process_facets.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

/* Starting processes from a process, here and on other nodes. */

enum { REMOTE_START_MS = 30000 };

void
rt_behaviour_text(struct rt *rt, const struct plex_behaviour *behaviour,
                  bool is_child, char *out, size_t size)
{
    if (rt->config.name_of == NULL ||
        !rt->config.name_of(rt->config.arg, behaviour, is_child, out, size))
        (void)snprintf(out, size, "%s", behaviour->name);
}

static int
spawn_remote(struct rt_turn *turn, const struct plex_spawn *how,
             const struct rt_child_start *child, struct plex_ref *out,
             struct plex_msg *answer)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt *rt = exec->rt;
    struct rt_ext *ext = rt_ext(exec, turn->proc);
    bool linked = how->link || child != NULL;
    bool wait = child == NULL || child->tag == 0;
    char text[RT_BEHAVIOUR_TEXT];
    struct rt_signal signal = {
        .kind = RT_SPAWN,
        .from = rt_ref(rt, turn->proc),
        .where = rt_scope_text(rt, atomic_load(&turn->proc->scope)),
        .name = how->name == NULL ? "" : how->name,
        .text = text,
        .reason = how->node,
        .linked = linked,
        .monitored = how->monitor,
        .post = {.payload = how->args, .len = how->args_len},
        .child = child == NULL ? NULL : child->child,
    };
    int status;

    if (rt->config.on_remote == NULL)
        return -PLEX_NOT_FOUND;
    rt_behaviour_text(rt, how->behaviour, child != NULL, text, sizeof text);
    signal.call =
        wait ? rt_expect(turn, (struct plex_ref){0, 0}) : ++ext->calls;
    ext->start_link = wait && linked;
    if (!wait)
        rt_rel_add(&ext->rels, RT_REL_START, (struct plex_ref){0, 0},
                   signal.call)
            ->aux = child->tag;
    if (!rt->config.on_remote(rt->config.arg, &signal)) {
        ext->start_link = false;
        if (wait)
            ext->awaited = 0;
        else
            rt_rel_remove(&ext->rels,
                          rt_rel_find(&ext->rels, RT_REL_START,
                                      (struct plex_ref){0, 0}, signal.call));
        return -PLEX_NOT_FOUND;
    }
    if (!wait)
        return 0;
    status = rt_await(turn, rt_now(exec) + (uint64_t)REMOTE_START_MS * 1000000,
                      answer, out);
    ext->start_link = false;
    if (status != 0)
        *out = (struct plex_ref){0, 0};
    else if (how->monitor) {
        uint64_t number = rt_monitor(turn->fiber->exec, turn->proc, *out);

        if (how->monitor_out != NULL)
            *how->monitor_out = number;
    }
    return status;
}

static int
start(struct rt_turn *turn, const struct plex_spawn *how,
      const struct rt_child_start *child, struct rt_facet_plan *plan,
      struct plex_ref *out, struct plex_msg *answer)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_proc *self = turn->proc;
    const bool wait = child == NULL ? how->wait : child->tag == 0;
    struct rt_start start = {
        .how = how,
        .plan = plan,
        .scope = atomic_load(&self->scope),
        .turn = turn,
        .child = child == NULL          ? NULL
                 : child->child == NULL ? ""
                                        : child->child,
    };
    struct plex_ref from;
    struct rt_rel *row;
    int status;

    *out = (struct plex_ref){0, 0};
    if (how->behaviour == NULL || how->behaviour->name == NULL)
        return -PLEX_INVALID;
    if (how->node != NULL && strcmp(how->node, exec->rt->node_id) != 0)
        return spawn_remote(turn, how, child, out, answer);
    if (wait || child != NULL)
        start.starter =
            (struct plex_from){rt_ref(exec->rt, self),
                               wait ? rt_expect(turn, (struct plex_ref){0, 0})
                                    : ++rt_ext(exec, self)->calls};
    status = rt_start_proc(exec, &start, out);
    if (status != 0) {
        rt_facet_plan_free(plan);
        if (wait)
            self->ext->awaited = 0;
        return status;
    }
    if (wait) {
        struct plex_ref born = *out;

        rt_awaits_set(exec->rt, self, born);
        status = rt_await(turn, UINT64_MAX, answer, &from);
        rt_awaits_end(self);
        if (status != 0) {
            rt_link_remove(turn->fiber->exec, self, born);
            *out = (struct plex_ref){0, 0};
        }
        return status;
    }
    if (child != NULL) {
        row = rt_rel_add(&rt_ext(exec, self)->rels, RT_REL_START, *out,
                         start.starter.call);
        row->aux = child->tag;
    }
    return 0;
}

static int
op_spawn(struct plex_ctx *ctx, const struct plex_spawn *how,
         struct rt_facet_plan *plan, struct plex_ref *out)
{
    struct plex_msg answer = {.reason = ""};
    struct plex_ref ref;
    int status = start(rt_turn_of(ctx), how, NULL, plan,
                       out == NULL ? &ref : out, &answer);
    char text[512];

    if (status != 0 && answer.reason[0] != '\0') {
        (void)snprintf(text, sizeof text, "could not start %s: %.400s",
                       how->behaviour->name, answer.reason);
        ctx->ops->log(ctx, 3, text);
    }
    return status;
}

int
rt_op_spawn(struct plex_ctx *ctx, const struct plex_spawn *how,
            struct plex_ref *out)
{
    return op_spawn(ctx, how, NULL, out);
}

static enum plex_status
plan_make(struct plex_ctx *ctx, const struct plex_spawn *how,
          const struct plex_facet_use *facets, size_t n,
          struct rt_facet_plan **out, struct plex_err *err)
{
    struct rt_facet_spec specs[RT_FACETS_MAX];
    struct rt_faceted checked;

    if (n > RT_FACETS_MAX)
        return plex_err_set(err, PLEX_LIMIT, "%zu facets, at most %d", n,
                            RT_FACETS_MAX);
    if (how->node != NULL && strcmp(how->node, rt_of(ctx)->node_id) != 0)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facets of a process on another worker; it can "
                            "attach them itself");
    if (rt_faceted_init(&checked, how->behaviour, NULL, NULL, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        specs[i] = (struct rt_facet_spec){facets[i].facet, facets[i].priority,
                                          facets[i].config, facets[i].n_config};
        if (rt_facet_attach_check(facets[i].facet, err) != PLEX_OK)
            return err->status;
    }
    return rt_facet_plan_create(NULL, specs, n, out, err);
}

int
rt_op_spawn_faceted(struct plex_ctx *ctx, const struct plex_spawn *how,
                    const struct plex_facet_use *facets, size_t n,
                    struct plex_ref *out)
{
    struct rt_facet_plan *plan = NULL;
    struct plex_err err;

    if (n == 0 || how->behaviour == NULL || how->behaviour->name == NULL)
        return op_spawn(ctx, how, NULL, out);
    if (plan_make(ctx, how, facets, n, &plan, &err) != PLEX_OK) {
        ctx->ops->log(ctx, 1, err.text);
        return -(int)err.status;
    }
    return op_spawn(ctx, how, plan, out);
}

int
rt_spawn_child(struct plex_ctx *ctx, const struct rt_child_start *child,
               struct plex_ref *out)
{
    struct plex_msg answer = {.reason = ""};
    int status = start(rt_turn_of(ctx), child->how, child, NULL, out, &answer);

    if (child->reason != NULL && child->reason_size > 0)
        (void)snprintf(child->reason, child->reason_size, "%s",
                       status == 0 ? ""
                       : answer.reason[0] != 0
                           ? answer.reason
                           : plex_status_text((enum plex_status) - status));
    return status;
}
