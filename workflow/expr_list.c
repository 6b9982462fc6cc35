/* Functions on lists and objects. */
#include "common/mem.h"
#include "workflow/expr_private.h"
#include "workflow/value.h"

#include <stdlib.h>
#include <string.h>

static bool
list_at(struct flow_eval *ev, json_t **args, size_t i)
{
    if (json_is_array(args[i]))
        return flow_eval_charge(ev, json_array_size(args[i]));
    flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                    "argument %zu should be a list, not %s", i + 1,
                    flow_type_name(args[i]));
    return false;
}

static bool
object_at(struct flow_eval *ev, json_t **args, size_t i)
{
    if (json_is_object(args[i]))
        return flow_eval_charge(ev, json_object_size(args[i]));
    flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                    "argument %zu should be an object, not %s", i + 1,
                    flow_type_name(args[i]));
    return false;
}

static json_t *
fn_length(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    if (json_is_array(args[0]))
        return json_integer((json_int_t)json_array_size(args[0]));
    if (json_is_object(args[0]))
        return json_integer((json_int_t)json_object_size(args[0]));
    if (json_is_string(args[0])) {
        json_int_t count = 0;

        for (const char *c = json_string_value(args[0]); *c != '\0'; c++)
            count += ((unsigned char)*c & 0xC0) != 0x80;
        return json_integer(count);
    }
    return flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "%s has no length",
                           flow_type_name(args[0]));
}

static json_t *
fn_keys(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *key;
    json_t *list, *item;

    (void)n;
    if (!object_at(ev, args, 0))
        return NULL;
    list = json_array();
    json_object_foreach(args[0], key, item)
        json_array_append_new(list, json_string(key));
    return list;
}

static json_t *
fn_values(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *key;
    json_t *list, *item;

    (void)n;
    if (!object_at(ev, args, 0))
        return NULL;
    list = json_array();
    json_object_foreach(args[0], key, item) json_array_append(list, item);
    return list;
}

static json_t *
fn_contains(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return flow_eval_binary(ev, BIN_IN, args[1], args[0]);
}

/* max() and min() of arguments, or of one list. */
static json_t *
extreme(struct flow_eval *ev, json_t **args, size_t n, enum flow_binary how)
{
    json_t *best = NULL;
    size_t count = n;

    if (n == 1 && !list_at(ev, args, 0))
        return NULL;
    if (n == 1)
        count = json_array_size(args[0]);
    for (size_t i = 0; i < count; i++) {
        json_t *item = n == 1 ? json_array_get(args[0], i) : args[i], *less;

        if (best == NULL) {
            best = item;
            continue;
        }
        less = flow_eval_binary(ev, how, item, best);
        if (less == NULL)
            return NULL;
        best = json_is_true(less) ? item : best;
    }
    return best != NULL
               ? json_incref(best)
               : flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "the list is empty");
}

static json_t *
fn_min(struct flow_eval *ev, json_t **args, size_t n)
{
    return extreme(ev, args, n, BIN_LT);
}

static json_t *
fn_max(struct flow_eval *ev, json_t **args, size_t n)
{
    return extreme(ev, args, n, BIN_GT);
}

static json_t *
fn_sum(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *sum, *item;
    size_t i;

    (void)n;
    if (!list_at(ev, args, 0))
        return NULL;
    sum = json_integer(0);
    json_array_foreach(args[0], i, item)
    {
        json_t *next = json_is_number(item)
                           ? flow_eval_binary(ev, BIN_ADD, sum, item)
                           : flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                                             "item %zu is not a number", i);

        json_decref(sum);
        sum = next;
        if (sum == NULL)
            break;
    }
    return sum;
}

static json_t *
fn_range(struct flow_eval *ev, json_t **args, size_t n)
{
    int64_t from, to, step = 1;
    json_t *list;

    for (size_t i = 0; i < n; i++) {
        if (!json_is_integer(args[i]))
            return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                                   "argument %zu should be a whole number",
                                   i + 1);
    }
    from = json_integer_value(args[0]);
    to = json_integer_value(args[1]);
    if (n > 2)
        step = json_integer_value(args[2]);
    if (step == 0)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "the step is 0");
    list = json_array();
    while (step > 0 ? from < to : from > to) {
        if (!flow_eval_charge(ev, 1)) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, json_integer(from));
        if (__builtin_add_overflow(from, step, &from))
            break;
    }
    return list;
}

static json_t *
fn_slice(struct flow_eval *ev, json_t **args, size_t n)
{
    int64_t from, to, size;
    json_t *list;

    if (!list_at(ev, args, 0))
        return NULL;
    size = (int64_t)json_array_size(args[0]);
    from = json_integer_value(args[1]);
    to = n > 2 ? json_integer_value(args[2]) : size;
    if (!json_is_integer(args[1]) || (n > 2 && !json_is_integer(args[2])))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the bounds should be whole numbers");
    from += from < 0 ? size : 0;
    to += to < 0 ? size : 0;
    list = json_array();
    for (int64_t i = from < 0 ? 0 : from; i < to && i < size; i++)
        json_array_append(list, json_array_get(args[0], (size_t)i));
    return list;
}

static json_t *
fn_reverse(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *list;

    (void)n;
    if (!list_at(ev, args, 0))
        return NULL;
    list = json_array();
    for (size_t i = json_array_size(args[0]); i-- > 0;)
        json_array_append(list, json_array_get(args[0], i));
    return list;
}

static json_t *
fn_flatten(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *list, *item;
    size_t i;

    (void)n;
    if (!list_at(ev, args, 0))
        return NULL;
    list = json_array();
    json_array_foreach(args[0], i, item)
    {
        if (!json_is_array(item)) {
            json_array_append(list, item);
        } else if (flow_eval_charge(ev, json_array_size(item))) {
            json_array_extend(list, item);
        } else {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* First come, first kept. Quadratic, and charged as such. */
json_t *
flow_fn_unique(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *list, *item, *kept;
    size_t i, j;

    (void)n;
    if (!list_at(ev, args, 0))
        return NULL;
    list = json_array();
    json_array_foreach(args[0], i, item)
    {
        const size_t size = 1 + flow_value_size(item, FLOW_VALUE_MAX) / 64;
        bool found = false;

        if (!flow_eval_charge(ev, size * (1 + json_array_size(list) / 8))) {
            json_decref(list);
            return NULL;
        }
        json_array_foreach(list, j, kept) found =
            found || flow_value_equal(kept, item);
        if (!found)
            json_array_append(list, item);
    }
    return list;
}

/* Merge sort by the order of '<': stable, and a fault ends it. */
static bool
merge_sort(struct flow_eval *ev, json_t **items, json_t **spare, size_t n)
{
    const size_t half = n / 2;
    size_t a = 0, b = half, out = 0;

    if (n < 2)
        return true;
    if (!merge_sort(ev, items, spare, half) ||
        !merge_sort(ev, items + half, spare, n - half) ||
        !flow_eval_charge(ev, n))
        return false;
    while (a < half || b < n) {
        bool second = a == half;

        if (a < half && b < n) {
            json_t *less = flow_eval_binary(ev, BIN_LT, items[b], items[a]);

            if (less == NULL)
                return false;
            second = json_is_true(less);
        }
        spare[out++] = second ? items[b++] : items[a++];
    }
    memcpy(items, spare, n * sizeof(json_t *));
    return true;
}

static json_t *
fn_sort(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t **items, *list = NULL;
    size_t size;

    (void)n;
    if (!list_at(ev, args, 0))
        return NULL;
    size = json_array_size(args[0]);
    items = plex_calloc(2 * size + 1, sizeof(json_t *));
    for (size_t i = 0; i < size; i++)
        items[i] = json_array_get(args[0], i);
    if (merge_sort(ev, items, items + size, size)) {
        list = json_array();
        for (size_t i = 0; i < size; i++)
            json_array_append(list, items[i]);
    }
    free(items);
    return list;
}

json_t *
flow_fn_merge(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *merged;

    for (size_t i = 0; i < n; i++) {
        if (!object_at(ev, args, i))
            return NULL;
    }
    merged = json_copy(args[0]);
    for (size_t i = 1; i < n; i++)
        json_object_update(merged, args[i]);
    return merged;
}

static json_t *
pick(struct flow_eval *ev, json_t **args, bool keep)
{
    const char *key;
    json_t *out, *item, *name;
    size_t i;

    if (!object_at(ev, args, 0) || !list_at(ev, args, 1))
        return NULL;
    out = json_object();
    json_object_foreach(args[0], key, item)
    {
        bool named = false;

        if (!flow_eval_charge(ev, json_array_size(args[1]))) {
            json_decref(out);
            return NULL;
        }
        json_array_foreach(args[1], i, name) named =
            named ||
            (json_is_string(name) && strcmp(json_string_value(name), key) == 0);
        if (named == keep)
            json_object_set(out, key, item);
    }
    return out;
}

static json_t *
fn_pick(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return pick(ev, args, true);
}

static json_t *
fn_omit(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return pick(ev, args, false);
}

/* One reference token of a JSON Pointer, "~1" and "~0" undone, into `out`. */
static const char *
pointer_token(const char *c, char *out, size_t size)
{
    size_t len = 0;

    for (c++; *c != '\0' && *c != '/'; c++) {
        char plain = *c;

        if (*c == '~' && (c[1] == '0' || c[1] == '1'))
            plain = *++c == '1' ? '/' : '~';
        if (len + 1 < size)
            out[len++] = plain;
    }
    out[len] = '\0';
    return c;
}

/* RFC 6901. */
static json_t *
fn_pointer(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = json_string_value(args[1]), *c = text;
    json_t *value = args[0];
    char token[512];

    (void)n;
    if (text == NULL || (*text != '\0' && *text != '/'))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "argument 2 should be a JSON Pointer, such as "
                               "\"/a/0\"");
    while (*c != '\0' && value != NULL) {
        c = pointer_token(c, token, sizeof token);
        if (!flow_eval_charge(ev, 1))
            return NULL;
        if (json_is_array(value) && token[0] != '\0' &&
            strspn(token, "0123456789") == strlen(token) &&
            strlen(token) < 10 && (token[0] != '0' || token[1] == '\0'))
            value = json_array_get(value, (size_t)strtoul(token, NULL, 10));
        else
            value = json_object_get(value, token);
    }
    if (value == NULL)
        return flow_eval_fault(ev, FLOW_FAULT_PATH,
                               "there is nothing at "
                               "'%.60s'",
                               text);
    return json_incref(value);
}

const struct flow_function flow_list_functions[] = {
    {"length", 1, 1, fn_length},   {"keys", 1, 1, fn_keys},
    {"values", 1, 1, fn_values},   {"contains", 2, 2, fn_contains},
    {"min", 1, 16, fn_min},        {"max", 1, 16, fn_max},
    {"sum", 1, 1, fn_sum},         {"range", 2, 3, fn_range},
    {"slice", 2, 3, fn_slice},     {"reverse", 1, 1, fn_reverse},
    {"flatten", 1, 1, fn_flatten}, {"unique", 1, 1, flow_fn_unique},
    {"sort", 1, 1, fn_sort},       {"merge", 1, 16, flow_fn_merge},
    {"pick", 2, 2, fn_pick},       {"omit", 2, 2, fn_omit},
    {"pointer", 2, 2, fn_pointer}, {0},
};
