/* What depends on what: edges, cycles, and which step comes before which. */
#include "common/mem.h"
#include "workflow/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
local_of(const struct native_level *level, uint32_t index)
{
    return index - level->scope->nodes[0];
}

/* `from` -> `to`. The same edge twice is one that is live either way; but what
 * a choice may pick runs when it is picked, also if it depends on the choice.
 */
static enum plex_status
add_edge(struct native *n, const struct flow_at *at, uint32_t from, uint32_t to,
         bool on_done)
{
    struct flow_node *node = n->def->nodes[to];
    struct flow_edge *deps;

    for (uint32_t i = 0; i < node->n_deps; i++) {
        if (node->deps[i].from == from) {
            if (n->def->nodes[from]->kind == FLOW_CHOICE)
                node->deps[i].on_done &= on_done;
            else
                node->deps[i].on_done |= on_done;
            return PLEX_OK;
        }
    }
    if (node->n_deps == FLOW_DEPENDS_MAX)
        return flow_at_error(at, n->err,
                             "step '%.64s' depends on more than %d others",
                             node->id, FLOW_DEPENDS_MAX);
    /* Rarely more than a few: grown by copying within the pool. */
    deps = flow_pool_alloc(&n->def->pool, node->n_deps + 1, sizeof *deps);
    if (deps == NULL)
        return native_full(n, at);
    if (node->n_deps > 0)
        memcpy(deps, node->deps, node->n_deps * sizeof *deps);
    deps[node->n_deps++] = (struct flow_edge){from, on_done};
    node->deps = deps;
    return PLEX_OK;
}

static enum plex_status
find_step(struct native *n, struct native_level *level,
          const struct flow_at *at, uint32_t *out)
{
    const char *id = json_string_value(at->value);

    if (id == NULL)
        return flow_at_error(at, n->err, "should be a step's id");
    *out = flow_scope_find(n->def, level->scope, id);
    if (*out == FLOW_NONE)
        return flow_at_error(at, n->err, "there is no step '%.64s' %s", id,
                             level->up != NULL ? "at this level" : "");
    return PLEX_OK;
}

static enum plex_status
add_depends(struct native *n, struct native_level *level,
            const struct flow_at *step, uint32_t self)
{
    const struct flow_at list = flow_at_member(step, "depends_on");
    const bool one = json_is_string(list.value);
    size_t count;

    if (list.value == NULL)
        return PLEX_OK;
    if (!json_is_array(list.value) && !one)
        return flow_at_error(&list, n->err, "should be a list of step ids");
    count = one ? 1 : json_array_size(list.value);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = one ? list : flow_at_index(&list, i);
        enum plex_status status;
        uint32_t from;

        status = find_step(n, level, &item, &from);
        if (status == PLEX_OK)
            status = add_edge(n, &item, from, self, true);
        if (status != PLEX_OK)
            return status;
    }
    return PLEX_OK;
}

/* `self` may pick the step that `holder`'s member `key` names. */
static enum plex_status
add_pick(struct native *n, struct native_level *level,
         const struct flow_at *holder, const char *key, uint32_t self,
         uint32_t *to)
{
    const struct flow_at target = flow_at_member(holder, key);
    enum plex_status status;

    *to = FLOW_NONE;
    if (target.value == NULL)
        return PLEX_OK;
    status = find_step(n, level, &target, to);
    if (status == PLEX_OK)
        status = add_edge(n, &target, self, *to, false);
    return status;
}

static enum plex_status
add_choices(struct native *n, struct native_level *level,
            const struct flow_at *step, struct flow_node *node)
{
    const struct flow_at config = native_config(step);
    const struct flow_at list = flow_at_member(&config, "choices");
    const size_t count = json_array_size(list.value);

    if (count == 0)
        return flow_at_error(&list, n->err,
                             "should be a list of at least one choice");
    node->rules = flow_pool_alloc(&n->def->pool, count, sizeof *node->rules);
    if (node->rules == NULL)
        return native_full(n, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        enum plex_status status = add_pick(n, level, &item, "next", node->index,
                                           &node->rules[i].next);

        if (status != PLEX_OK)
            return status;
        if (node->rules[i].next == FLOW_NONE)
            return flow_at_error(&item, n->err, "'next' is missing");
    }
    node->n_rules = (uint32_t)count;
    return add_pick(n, level, &config, "default", node->index,
                    &node->otherwise);
}

static enum plex_status
add_catches(struct native *n, struct native_level *level,
            const struct flow_at *step, struct flow_node *node)
{
    const struct flow_at list = flow_at_member(step, "catch");
    const struct flow_at simple = flow_at_member(step, "on_error");
    const size_t count = json_array_size(list.value);
    enum plex_status status;
    uint32_t i = 0;

    if (list.value != NULL && !json_is_array(list.value))
        return flow_at_error(&list, n->err, "should be a list");
    node->catchers =
        flow_pool_alloc(&n->def->pool, count + 1, sizeof *node->catchers);
    if (node->catchers == NULL)
        return native_full(n, step);
    for (; i < count; i++) {
        static const char *const known[] = {"errors", "next", NULL};
        const struct flow_at item = flow_at_index(&list, i);

        status = flow_at_known(&item, known, n->err);
        if (status == PLEX_OK)
            status = add_pick(n, level, &item, "next", node->index,
                              &node->catchers[i].next);
        if (status == PLEX_OK && node->catchers[i].next == FLOW_NONE)
            status = flow_at_error(&item, n->err, "'next' is missing");
        if (status == PLEX_OK)
            status =
                native_codes(n, &item, "errors", &node->catchers[i].errors);
        if (status != PLEX_OK)
            return status;
    }
    if (simple.value != NULL) {
        status = add_pick(n, level, step, "on_error", node->index,
                          &node->catchers[i++].next);
        if (status != PLEX_OK)
            return status;
    }
    node->n_catchers = i;
    return PLEX_OK;
}

/* Successors from predecessors. */
static enum plex_status
add_outs(struct native *n, struct flow_scope *scope, const struct flow_at *at)
{
    struct flow_node **nodes = n->def->nodes;

    for (uint32_t i = 0; i < scope->n_nodes; i++) {
        const struct flow_node *node = nodes[scope->nodes[i]];

        for (uint32_t d = 0; d < node->n_deps; d++)
            nodes[node->deps[d].from]->n_outs++;
    }
    for (uint32_t i = 0; i < scope->n_nodes; i++) {
        struct flow_node *node = nodes[scope->nodes[i]];

        node->outs =
            flow_pool_alloc(&n->def->pool, node->n_outs, sizeof *node->outs);
        if (node->outs == NULL)
            return native_full(n, at);
        node->n_outs = 0;
    }
    for (uint32_t i = 0; i < scope->n_nodes; i++) {
        const struct flow_node *node = nodes[scope->nodes[i]];

        for (uint32_t d = 0; d < node->n_deps; d++) {
            struct flow_node *from = nodes[node->deps[d].from];

            from->outs[from->n_outs++] = node->index;
        }
    }
    return PLEX_OK;
}

/* Name the steps of one cycle: from any step that is left, back along the
 * dependencies that are left, until one comes twice. */
static enum plex_status
cycle_error(struct native *n, struct native_level *level,
            const struct flow_at *steps, const uint32_t *waiting)
{
    struct flow_scope *scope = level->scope;
    uint32_t at = 0, seen[8] = {0}, count = 0;
    char names[200] = "";
    struct flow_at item;

    while (waiting[at] == 0)
        at++;
    /* Walking n steps back surely ends inside a cycle. */
    for (uint32_t step = 0; step < scope->n_nodes + 8; step++) {
        const struct flow_node *node = n->def->nodes[scope->nodes[at]];

        for (uint32_t d = 0; d < node->n_deps; d++) {
            const uint32_t from = local_of(level, node->deps[d].from);

            if (waiting[from] > 0) {
                at = from;
                break;
            }
        }
        if (step >= scope->n_nodes && count < 8)
            seen[count++] = at;
        if (count > 1 && seen[count - 1] == seen[0])
            break;
    }
    item = flow_at_index(steps, seen[0]);
    for (uint32_t i = count; i-- > 0;) {
        const size_t len = strlen(names);

        (void)snprintf(names + len, sizeof names - len, "%s%.32s",
                       len ? " -> " : "",
                       n->def->nodes[scope->nodes[seen[i]]]->id);
    }
    return flow_at_error(&item, n->err, "the steps form a cycle: %s", names);
}

/* Kahn's algorithm; `before` of a step is the union of its predecessors'. */
static enum plex_status
add_order(struct native *n, struct native_level *level,
          const struct flow_at *steps)
{
    struct flow_scope *scope = level->scope;
    const uint32_t count = scope->n_nodes;
    const size_t row = (count + 7) / 8;
    uint32_t *waiting = plex_calloc(count + 1, sizeof *waiting);
    uint32_t *ready = plex_calloc(count + 1, sizeof *ready);
    enum plex_status status = PLEX_OK;
    uint32_t n_ready = 0, done = 0;

    level->before = plex_calloc(count + 1, row);
    for (uint32_t i = 0; i < count; i++) {
        waiting[i] = n->def->nodes[scope->nodes[i]]->n_deps;
        if (waiting[i] == 0)
            ready[n_ready++] = i;
    }
    while (done < n_ready) {
        const uint32_t i = ready[done++];
        const struct flow_node *node = n->def->nodes[scope->nodes[i]];

        for (uint32_t o = 0; o < node->n_outs; o++) {
            const uint32_t to = local_of(level, node->outs[o]);

            for (size_t b = 0; b < row; b++)
                level->before[to * row + b] |= level->before[i * row + b];
            level->before[to * row + i / 8] |= (uint8_t)(1U << (i % 8));
            if (--waiting[to] == 0)
                ready[n_ready++] = to;
        }
    }
    if (done < count)
        status = cycle_error(n, level, steps, waiting);
    free(waiting);
    free(ready);
    return status;
}

bool
native_before(const struct native_level *level, const struct flow_def *def,
              uint32_t step, uint32_t earlier)
{
    const size_t row = (level->scope->n_nodes + 7) / 8;
    const uint32_t a = local_of(level, step), b = local_of(level, earlier);

    (void)def;
    return (level->before[a * row + b / 8] >> (b % 8)) & 1;
}

enum plex_status
native_net(struct native *n, struct native_level *level,
           const struct flow_at *steps)
{
    struct flow_scope *scope = level->scope;
    enum plex_status status = PLEX_OK;

    for (uint32_t i = 0; i < scope->n_nodes && status == PLEX_OK; i++) {
        const struct flow_at step = flow_at_index(steps, i);
        struct flow_node *node = n->def->nodes[scope->nodes[i]];

        status = add_depends(n, level, &step, node->index);
        if (status == PLEX_OK && node->kind == FLOW_CHOICE)
            status = add_choices(n, level, &step, node);
        if (status == PLEX_OK)
            status = add_catches(n, level, &step, node);
    }
    if (status == PLEX_OK)
        status = add_outs(n, scope, steps);
    if (status == PLEX_OK)
        status = add_order(n, level, steps);
    return status;
}
