/* JSONPaths that may match more than one value: the result is a list. */
#include "workflow/expr_private.h"

#include <string.h>

struct select {
    struct flow_eval *ev;
    struct flow_expr *const *segments;
    size_t count;
    json_t *out;
};

static void walk(struct select *s, size_t level, json_t *value);

static void
walk_children(struct select *s, size_t level, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, item) walk(s, level, item);
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, item) walk(s, level, item);
    }
}

static void
walk_index(struct select *s, size_t level, json_t *value, int64_t index)
{
    json_t *item;

    if (index < 0)
        index += (int64_t)json_array_size(value);
    item = index >= 0 ? json_array_get(value, (size_t)index) : NULL;
    if (item != NULL)
        walk(s, level, item);
}

static void
walk_slice(struct select *s, size_t level, json_t *value, const json_t *parts)
{
    const int64_t size = (int64_t)json_array_size(value);
    const json_t *step_part = json_array_get(parts, 2);
    const int64_t step =
        json_is_integer(step_part) ? json_integer_value(step_part) : 1;
    int64_t bounds[2] = {0, size};

    for (size_t i = 0; i < 2; i++) {
        const json_t *part = json_array_get(parts, i);

        if (json_is_integer(part)) {
            bounds[i] = json_integer_value(part);
            bounds[i] += bounds[i] < 0 ? size : 0;
            if (bounds[i] < 0)
                bounds[i] = 0;
            if (bounds[i] > size)
                bounds[i] = size;
        }
    }
    for (int64_t i = bounds[0]; i < bounds[1]; i += step)
        walk(s, level, json_array_get(value, (size_t)i));
}

static void
walk_union(struct select *s, size_t level, json_t *value, const json_t *parts)
{
    json_t *part;
    size_t i;

    json_array_foreach((json_t *)parts, i, part)
    {
        if (json_is_integer(part)) {
            walk_index(s, level, value, json_integer_value(part));
        } else {
            json_t *item = json_object_get(value, json_string_value(part));

            if (item != NULL)
                walk(s, level, item);
        }
    }
}

/* A filter that asks for what is not there does not match; a filter that is
 * only a path asks whether it is there. */
static bool
matches(struct select *s, const struct flow_expr *segment, json_t *item)
{
    const struct flow_expr *test = segment->kids[0];
    json_t *value;
    bool yes;

    s->ev->locals[segment->slot] = item;
    value = flow_eval(s->ev, test);
    if (value == NULL) {
        if (s->ev->fault->kind == FLOW_FAULT_PATH ||
            s->ev->fault->kind == FLOW_FAULT_TYPE)
            s->ev->fault->kind = FLOW_FAULT_NONE;
        return false;
    }
    yes =
        flow_value_true(value) || test->op == OP_MEMBER || test->op == OP_INDEX;
    json_decref(value);
    return yes;
}

static void
walk_filter(struct select *s, size_t level, json_t *value)
{
    const struct flow_expr *segment = s->segments[level];
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (matches(s, segment, item))
                walk(s, level + 1, item);
        }
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, item)
        {
            if (matches(s, segment, item))
                walk(s, level + 1, item);
        }
    }
}

static void
walk(struct select *s, size_t level, json_t *value)
{
    const struct flow_expr *segment;
    json_t *item;

    if (s->ev->fault->kind != FLOW_FAULT_NONE || !flow_eval_charge(s->ev, 1))
        return;
    if (level == s->count) {
        json_array_append(s->out, value);
        return;
    }
    segment = s->segments[level];
    switch (segment->op) {
    case SEG_NAME:
        item = json_object_get(value, segment->name);
        if (item != NULL)
            walk(s, level + 1, item);
        break;
    case SEG_INDEX:
        walk_index(s, level + 1, value, segment->number);
        break;
    case SEG_WILD:
        walk_children(s, level + 1, value);
        break;
    case SEG_DESCEND:
        walk(s, level + 1, value);
        walk_children(s, level, value);
        break;
    case SEG_SLICE:
        walk_slice(s, level + 1, value, segment->value);
        break;
    case SEG_UNION:
        walk_union(s, level + 1, value, segment->value);
        break;
    default:
        walk_filter(s, level, value);
    }
}

json_t *
flow_eval_select(struct flow_eval *ev, const struct flow_expr *x)
{
    struct select s = {ev, x->kids + 1, x->count - 1, NULL};
    json_t *base = flow_eval(ev, x->kids[0]);

    if (base == NULL)
        return NULL;
    ev->column = x->column;
    s.out = json_array();
    walk(&s, 0, base);
    json_decref(base);
    if (ev->fault->kind != FLOW_FAULT_NONE) {
        json_decref(s.out);
        return NULL;
    }
    return s.out;
}
