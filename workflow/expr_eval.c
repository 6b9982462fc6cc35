#include "common/mem.h"
#include "workflow/expr_private.h"
#include "workflow/value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
flow_eval_fault(struct flow_eval *ev, enum flow_fault_kind kind,
                const char *fmt, ...)
{
    va_list args;
    size_t len;

    if (ev->fault->kind != FLOW_FAULT_NONE)
        return NULL;
    ev->fault->kind = kind;
    va_start(args, fmt);
    (void)vsnprintf(ev->fault->text, sizeof ev->fault->text, fmt, args);
    va_end(args);
    len = strlen(ev->fault->text);
    if (ev->column != 0)
        (void)snprintf(ev->fault->text + len, sizeof ev->fault->text - len,
                       " (column %u)", ev->column);
    return NULL;
}

bool
flow_eval_charge(struct flow_eval *ev, size_t work)
{
    if (work > FLOW_EXPR_WORK_MAX ||
        (ev->work += (unsigned)work) > FLOW_EXPR_WORK_MAX) {
        ev->work = FLOW_EXPR_WORK_MAX + 1;
        flow_eval_fault(ev, FLOW_FAULT_LIMIT,
                        "the expression takes more than %d operations",
                        FLOW_EXPR_WORK_MAX);
        return false;
    }
    return true;
}

/* splitmix64: the seed of the turn makes the numbers of the turn. */
uint64_t
flow_eval_random(struct flow_eval *ev)
{
    uint64_t z = (*ev->env->random += 0x9E3779B97F4A7C15ULL);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

const char *
flow_type_name(const json_t *value)
{
    static const char *const names[] = {"object",  "array",  "text",
                                        "number",  "number", "boolean",
                                        "boolean", "null"};

    return names[json_typeof(value)];
}

json_t *
flow_eval_text(struct flow_eval *ev, const char *text, size_t len)
{
    json_t *value;

    if (len > FLOW_VALUE_MAX)
        return flow_eval_fault(ev, FLOW_FAULT_LIMIT,
                               "a text of %zu bytes is over the limit of %d",
                               len, FLOW_VALUE_MAX);
    value = json_stringn(text, len);
    if (value == NULL)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the result is not UTF-8 text");
    return value;
}

bool
flow_value_true(const json_t *value)
{
    if (value == NULL)
        return false;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
        return json_integer_value(value) != 0;
    case JSON_REAL:
        return json_real_value(value) != 0;
    default:
        return json_is_true(value);
    }
}

/* -- references ---------------------------------------------------------------
 */

static json_t *
eval_root(struct flow_eval *ev, const struct flow_expr *x)
{
    static const char *const names[] = {
        "input", "vars", "run", "steps", "item", "index", "result", "$", "$$"};
    json_t *value =
        ev->env->root(ev->env->ctx, (enum flow_root)x->which, x->name);

    if (value != NULL)
        return json_incref(value);
    if (x->which == FLOW_ROOT_STEP)
        return flow_eval_fault(ev, FLOW_FAULT_PATH,
                               "step '%.64s' has not been run", x->name);
    return flow_eval_fault(ev, FLOW_FAULT_PATH, "there is no %s here",
                           names[x->which]);
}

/* `base` is taken over. */
static json_t *
pick_member(struct flow_eval *ev, const struct flow_expr *x, json_t *base,
            const char *name)
{
    json_t *value = json_object_get(base, name);

    if (value != NULL)
        json_incref(value);
    else if (x->lenient)
        value = json_null();
    else if (json_is_object(base))
        flow_eval_fault(ev, FLOW_FAULT_PATH, "there is no member '%.64s'",
                        name);
    else
        flow_eval_fault(ev, FLOW_FAULT_PATH,
                        "there is no member '%.64s' in a value that is %s",
                        name, flow_type_name(base));
    json_decref(base);
    return value;
}

static json_t *
pick_index(struct flow_eval *ev, const struct flow_expr *x, json_t *base,
           const json_t *at)
{
    const size_t size = json_array_size(base);
    json_int_t index = json_integer_value(at);
    json_t *value = NULL;

    if (json_is_string(at))
        return pick_member(ev, x, base, json_string_value(at));
    if (index < 0)
        index += (json_int_t)size;
    if (json_is_array(base) && json_is_integer(at) && index >= 0)
        value = json_array_get(base, (size_t)index);
    if (value != NULL)
        json_incref(value);
    else if (x->lenient)
        value = json_null();
    else if (!json_is_integer(at))
        flow_eval_fault(ev, FLOW_FAULT_TYPE,
                        "an index is a whole number or "
                        "a text");
    else if (json_is_array(base))
        flow_eval_fault(ev, FLOW_FAULT_PATH,
                        "there is no item %lld in a list of %zu",
                        (long long)json_integer_value(at), size);
    else
        flow_eval_fault(
            ev, FLOW_FAULT_PATH, "there is no item %lld in a value that is %s",
            (long long)json_integer_value(at), flow_type_name(base));
    json_decref(base);
    return value;
}

static json_t *
eval_base(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *base = flow_eval(ev, x->kids[0]);

    /* a?.b of what is not there is null, as a.b?.c. */
    if (base == NULL && x->lenient && ev->fault->kind == FLOW_FAULT_PATH) {
        ev->fault->kind = FLOW_FAULT_NONE;
        base = json_null();
    }
    return base;
}

static json_t *
eval_index(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *base = eval_base(ev, x), *at, *value;

    if (base == NULL)
        return NULL;
    at = flow_eval(ev, x->kids[1]);
    if (at == NULL) {
        json_decref(base);
        return NULL;
    }
    ev->column = x->column;
    value = pick_index(ev, x, base, at);
    json_decref(at);
    return value;
}

static json_t *
eval_member(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *base = eval_base(ev, x);

    if (base == NULL)
        return NULL;
    ev->column = x->column;
    return pick_member(ev, x, base, x->name);
}

/* -- operators ----------------------------------------------------------------
 */

static json_t *
eval_logic(struct flow_eval *ev, const struct flow_expr *x)
{
    for (size_t i = 0; i < x->count; i++) {
        json_t *value = flow_eval(ev, x->kids[i]);
        const bool yes = flow_value_true(value);

        if (value == NULL)
            return NULL;
        json_decref(value);
        if (yes == (x->op == OP_OR))
            return json_boolean(x->op == OP_OR);
    }
    return json_boolean(x->op == OP_AND);
}

static json_t *
eval_coalesce(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *value = flow_eval(ev, x->kids[0]);

    if (value != NULL && !json_is_null(value))
        return value;
    if (value == NULL && ev->fault->kind != FLOW_FAULT_PATH)
        return NULL;
    json_decref(value);
    ev->fault->kind = FLOW_FAULT_NONE;
    return flow_eval(ev, x->kids[1]);
}

static json_t *
eval_exists(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *value = flow_eval(ev, x->kids[0]);

    if (value == NULL && ev->fault->kind != FLOW_FAULT_PATH)
        return NULL;
    ev->fault->kind = FLOW_FAULT_NONE;
    json_decref(value);
    return json_boolean(value != NULL);
}

static json_t *
eval_choose(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *value = flow_eval(ev, x->kids[0]);
    const bool yes = flow_value_true(value);

    if (value == NULL)
        return NULL;
    json_decref(value);
    return flow_eval(ev, x->kids[yes ? 1 : 2]);
}

static json_t *
eval_unary(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *value = flow_eval(ev, x->kids[0]), *result = NULL;

    if (value == NULL)
        return NULL;
    ev->column = x->column;
    if (x->op == OP_NOT)
        result = json_boolean(!flow_value_true(value));
    else if (json_is_integer(value) && json_integer_value(value) != INT64_MIN)
        result = json_integer(-json_integer_value(value));
    else if (json_is_real(value))
        result = json_real(-json_real_value(value));
    else
        flow_eval_fault(ev, FLOW_FAULT_TYPE, "'-' wants a number, not %s",
                        flow_type_name(value));
    json_decref(value);
    return result;
}

static json_t *
eval_two(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *a = flow_eval(ev, x->kids[0]), *b = NULL, *result = NULL;

    if (a != NULL)
        b = flow_eval(ev, x->kids[1]);
    if (b != NULL) {
        ev->column = x->column;
        result = flow_eval_binary(ev, (enum flow_binary)x->which, a, b);
    }
    json_decref(a);
    json_decref(b);
    return result;
}

/* -- building -----------------------------------------------------------------
 */

static json_t *
eval_array(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *array = json_array();

    for (size_t i = 0; i < x->count; i++) {
        json_t *item = flow_eval(ev, x->kids[i]);

        if (item == NULL) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, item);
    }
    return array;
}

static json_t *
eval_object(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *object = json_object();

    for (size_t i = 0; i + 1 < x->count; i += 2) {
        const char *name = json_string_value(x->kids[i]->value);
        json_t *item = flow_eval(ev, x->kids[i + 1]);

        if (item == NULL) {
            json_decref(object);
            return NULL;
        }
        json_object_set_new(object, name, item);
    }
    return object;
}

static bool
join_one(struct flow_eval *ev, const json_t *value, struct plex_buf *buf)
{
    const char *text = json_string_value(value);
    char *made = NULL;
    size_t len = json_string_length(value);
    uint8_t *out;

    if (text == NULL) {
        if (flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
            flow_eval_fault(ev, FLOW_FAULT_LIMIT, "the text becomes too large");
            return false;
        }
        text = made = flow_value_text(value);
        len = strlen(text);
    }
    out = plex_buf_grow(buf, len);
    if (out != NULL && len > 0)
        memcpy(out, text, len);
    else if (out == NULL)
        flow_eval_fault(ev, FLOW_FAULT_LIMIT, "the text becomes too large");
    free(made);
    return out != NULL;
}

static json_t *
eval_join(struct flow_eval *ev, const struct flow_expr *x)
{
    struct plex_buf buf = {.max = FLOW_VALUE_MAX};
    json_t *result;

    for (size_t i = 0; i < x->count; i++) {
        json_t *part = flow_eval(ev, x->kids[i]);
        const bool ok = part != NULL && join_one(ev, part, &buf);

        json_decref(part);
        if (!ok) {
            plex_buf_free(&buf);
            return NULL;
        }
    }
    result =
        flow_eval_text(ev, buf.data != NULL ? (char *)buf.data : "", buf.len);
    plex_buf_free(&buf);
    return result;
}

static json_t *
eval_call(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *small[8], **args = small, *result = NULL;
    size_t n = 0;

    if (x->count > 8)
        args = plex_calloc(x->count, sizeof *args);
    while (n < x->count && (args[n] = flow_eval(ev, x->kids[n])) != NULL)
        n++;
    ev->column = x->column;
    if (n == x->count)
        result = x->function->call(ev, args, n);
    while (n > 0)
        json_decref(args[--n]);
    if (args != small)
        free(args);
    return result;
}

/* map, filter, any, all over the list `list`. */
static json_t *
each_item(struct flow_eval *ev, const struct flow_expr *x, json_t *list)
{
    const enum flow_each how = (enum flow_each)x->which;
    json_t *out = how <= EACH_FILTER ? json_array() : NULL;
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        json_t *value;
        bool yes;

        ev->locals[x->slot] = item;
        value = flow_eval(ev, x->kids[1]);
        yes = flow_value_true(value);
        if (value == NULL) {
            json_decref(out);
            return NULL;
        }
        if (how == EACH_MAP)
            json_array_append(out, value);
        else if (how == EACH_FILTER && yes)
            json_array_append(out, item);
        json_decref(value);
        if ((how == EACH_ANY && yes) || (how == EACH_ALL && !yes))
            return json_boolean(how == EACH_ANY);
    }
    return out != NULL ? out : json_boolean(how == EACH_ALL);
}

static json_t *
eval_each(struct flow_eval *ev, const struct flow_expr *x)
{
    json_t *list = flow_eval(ev, x->kids[0]), *result;

    if (list == NULL)
        return NULL;
    ev->column = x->column;
    if (json_is_array(list))
        result = each_item(ev, x, list);
    else
        result =
            flow_eval_fault(ev, FLOW_FAULT_TYPE, "a list is wanted, not %s",
                            flow_type_name(list));
    json_decref(list);
    return result;
}

json_t *
flow_eval(struct flow_eval *ev, const struct flow_expr *x)
{
    if (!flow_eval_charge(ev, 1))
        return NULL;
    switch (x->op) {
    case OP_LITERAL:
        return json_incref(x->value);
    case OP_ROOT:
        ev->column = x->column;
        return eval_root(ev, x);
    case OP_LOCAL:
        return json_incref(ev->locals[x->which]);
    case OP_MEMBER:
        return eval_member(ev, x);
    case OP_INDEX:
        return eval_index(ev, x);
    case OP_SELECT:
        return flow_eval_select(ev, x);
    case OP_NOT:
    case OP_NEGATE:
        return eval_unary(ev, x);
    case OP_AND:
    case OP_OR:
        return eval_logic(ev, x);
    case OP_COALESCE:
        return eval_coalesce(ev, x);
    case OP_CHOOSE:
        return eval_choose(ev, x);
    case OP_BINARY:
        return eval_two(ev, x);
    case OP_ARRAY:
        return eval_array(ev, x);
    case OP_OBJECT:
        return eval_object(ev, x);
    case OP_JOIN:
        return eval_join(ev, x);
    case OP_CALL:
        return eval_call(ev, x);
    case OP_EACH:
        return eval_each(ev, x);
    case OP_EXISTS:
        return eval_exists(ev, x);
    case OP_COMPARE:
        return flow_eval_compare(ev, x);
    default:
        return flow_eval_fault(ev, FLOW_FAULT_TYPE, "not an expression");
    }
}

json_t *
flow_expr_eval(const struct flow_expr *expr, const struct flow_env *env,
               struct flow_fault *fault)
{
    struct flow_eval ev = {.env = env, .fault = fault};
    json_t *value;

    fault->kind = FLOW_FAULT_NONE;
    fault->text[0] = '\0';
    value = flow_eval(&ev, expr);
    if (value == NULL)
        return NULL;
    ev.column = 0;
    fault->size = flow_value_size(value, FLOW_VALUE_MAX);
    if (fault->size > FLOW_VALUE_MAX) {
        json_decref(value);
        return flow_eval_fault(&ev, FLOW_FAULT_LIMIT,
                               "the result has more than %d bytes or nests "
                               "deeper than %d",
                               FLOW_VALUE_MAX, FLOW_DEPTH_MAX);
    }
    return value;
}
