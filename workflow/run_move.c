/* Another version of the definition for a run that is under way. */
#include "common/mem.h"
#include "workflow/run_private.h"

#include <stdlib.h>
#include <string.h>

struct move {
    struct flow_run *run;
    struct flow_def *to;
    uint32_t *nodes;  /* by old index; FLOW_NONE: gone */
    uint32_t *scopes; /* the same for scopes */
};

static uint32_t
match_scope(const struct move *m, const struct flow_scope *old)
{
    const struct flow_node *owner;

    if (old->owner == FLOW_NONE)
        return 0;
    if (m->nodes[old->owner] == FLOW_NONE)
        return FLOW_NONE;
    owner = m->to->nodes[m->nodes[old->owner]];
    for (uint32_t i = 0; i < owner->n_branches; i++) {
        if (strcmp(m->to->scopes[owner->branches[i]]->name, old->name) == 0)
            return owner->branches[i];
    }
    return FLOW_NONE;
}

/* From the outside in: a scope comes after the one its owner is in. */
static void
match(struct move *m)
{
    const struct flow_def *from = m->run->def;

    for (uint32_t i = 0; i < from->n_scopes; i++) {
        const struct flow_scope *old = from->scopes[i];

        m->scopes[i] = match_scope(m, old);
        for (uint32_t n = 0; n < old->n_nodes; n++) {
            const struct flow_node *node = from->nodes[old->nodes[n]];
            uint32_t found = FLOW_NONE;

            if (m->scopes[i] != FLOW_NONE)
                found = flow_scope_find(m->to, m->to->scopes[m->scopes[i]],
                                        node->id);
            if (found != FLOW_NONE && m->to->nodes[found]->kind != node->kind)
                found = FLOW_NONE;
            m->nodes[node->index] = found;
        }
    }
}

static uint32_t
scope_index(const struct flow_def *def, const struct flow_scope *scope)
{
    uint32_t i = 0;

    while (def->scopes[i] != scope)
        i++;
    return i;
}

static bool
same_branches(const struct move *m, const struct flow_node *old,
              const struct flow_node *new)
{
    if (old->n_branches != new->n_branches)
        return false;
    for (uint32_t i = 0; i < old->n_branches; i++) {
        if (m->scopes[old->branches[i]] != new->branches[i])
            return false;
    }
    return true;
}

static enum plex_status
gone(const struct move *m, const struct flow_node *node, const char *why,
     struct plex_err *err)
{
    return plex_err_set(err, PLEX_CONFLICT,
                        "version %s of workflow '%s' has no %s '%.128s', "
                        "which %s",
                        m->to->version, m->to->id, flow_kind_name(node->kind),
                        node->path, why);
}

static enum plex_status
check(const struct move *m, struct plex_err *err)
{
    const struct flow_run *run = m->run;
    const struct act *act;

    TAILQ_FOREACH(act, &run->acts, link)
    {
        const uint32_t index = m->nodes[act->node->index];

        if (index == FLOW_NONE ||
            (act->phase == ACT_SPLIT &&
             !same_branches(m, act->node, m->to->nodes[index])))
            return gone(m, act->node, "is under way with the same branches",
                        err);
        if (act->frame == NULL && !m->to->nodes[index]->compensated)
            return gone(m, act->node, "is being compensated", err);
    }
    for (uint32_t i = 0; i < run->n_undos; i++) {
        const uint32_t index = m->nodes[run->undos[i].node->index];

        if (index == FLOW_NONE || !m->to->nodes[index]->compensated)
            return gone(m, run->undos[i].node,
                        "has a compensation that may be needed", err);
    }
    return PLEX_OK;
}

static void
move_net(const struct move *m, struct frame *frame, const struct flow_scope *to)
{
    struct node_run *nodes = plex_calloc(to->n_nodes, sizeof *nodes);

    for (uint32_t i = 0; i < to->n_nodes; i++)
        nodes[i].picked = FLOW_NONE;
    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        struct node_run *old = &frame->nodes[i];
        const uint32_t index = m->nodes[frame->scope->nodes[i]];

        if (index == FLOW_NONE) {
            json_decref(old->output);
            free(old->code);
            free(old->cause);
            continue;
        }
        if (old->picked != FLOW_NONE)
            old->picked = m->nodes[old->picked];
        nodes[index - to->nodes[0]] = *old;
    }
    free(frame->nodes);
    frame->nodes = nodes;
}

static void
move_chain(const struct move *m, struct frame *frame,
           const struct flow_scope *to)
{
    json_t **entries = plex_calloc(to->n_nodes, sizeof(json_t *));

    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        const uint32_t index = m->nodes[frame->scope->nodes[i]];

        if (index == FLOW_NONE)
            json_decref(frame->entries[i]);
        else
            entries[index - to->nodes[0]] = frame->entries[i];
    }
    free(frame->entries);
    frame->entries = entries;
}

static void
apply(const struct move *m)
{
    struct flow_run *run = m->run;
    struct frame *frame;
    struct act *act;

    TAILQ_FOREACH(frame, &run->frames, link)
    {
        const struct flow_scope *to =
            m->to->scopes[m->scopes[scope_index(run->def, frame->scope)]];

        if (frame->nodes != NULL)
            move_net(m, frame, to);
        if (frame->entries != NULL)
            move_chain(m, frame, to);
        frame->scope = to;
    }
    TAILQ_FOREACH(act, &run->acts, link)
    {
        act->node = m->to->nodes[m->nodes[act->node->index]];
        free(act->tries);
        act->tries = plex_calloc(act->node->n_retriers + 1, sizeof *act->tries);
    }
    for (uint32_t i = 0; i < run->n_undos; i++)
        run->undos[i].node = m->to->nodes[m->nodes[run->undos[i].node->index]];
    flow_def_ref(m->to);
    flow_def_unref(run->def);
    run->def = m->to;
}

/* Commands that were not taken name steps of the old definition, which goes. */
static void
keep_names(struct flow_run *run)
{
    struct out *out;

    TAILQ_FOREACH(out, &run->commands, link)
    {
        if (out->texts[SAY_STEP] == NULL)
            flow_say(out, SAY_STEP, out->command.step);
    }
}

enum plex_status
flow_run_move(struct flow_run *run, struct flow_def *def,
              const struct flow_now *now, struct plex_err *err)
{
    struct move m = {.run = run, .to = def};
    enum plex_status status;
    struct frame *frame;

    if (strcmp(run->def->id, def->id) != 0 ||
        run->def->language != def->language)
        return plex_err_set(err, PLEX_CONFLICT,
                            "run '%s' is of workflow '%s', not '%s'", run->id,
                            run->def->id, def->id);
    m.nodes = plex_calloc(run->def->n_nodes, sizeof *m.nodes);
    m.scopes = plex_calloc(run->def->n_scopes, sizeof *m.scopes);
    match(&m);
    status = check(&m, err);
    if (status == PLEX_OK) {
        flow_turn_begin(run, now);
        keep_names(run);
        apply(&m);
        flow_note(run, "RUN_MOVED", "", 0, 0, "%s", def->version);
        TAILQ_FOREACH(frame, &run->frames, link)
        {
            if (frame->nodes != NULL && !frame->stopped &&
                !flow_status_final(run->status))
                flow_net_catch_up(run, frame);
        }
        flow_settle_turn(run);
    }
    free(m.nodes);
    free(m.scopes);
    return status;
}
