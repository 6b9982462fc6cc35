/* The intrinsic functions of the Amazon States Language, and the table of all
 * functions. */
#include "common/mem.h"
#include "workflow/expr_private.h"
#include "workflow/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *
wrong(struct flow_eval *ev, size_t i, const char *what)
{
    return flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "argument %zu should be %s",
                           i + 1, what);
}

static bool
put(struct flow_eval *ev, struct plex_buf *buf, const char *text, size_t len)
{
    uint8_t *out = plex_buf_grow(buf, len);

    if (out == NULL)
        flow_eval_fault(ev, FLOW_FAULT_LIMIT, "the text becomes too large");
    else if (len > 0)
        memcpy(out, text, len);
    return out != NULL;
}

static bool
put_argument(struct flow_eval *ev, struct plex_buf *buf, json_t *value)
{
    char *text;
    bool ok;

    if (json_is_string(value))
        return put(ev, buf, json_string_value(value),
                   json_string_length(value));
    if (flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        flow_eval_fault(ev, FLOW_FAULT_LIMIT, "the text becomes too large");
        return false;
    }
    text = flow_value_text(value);
    ok = put(ev, buf, text, strlen(text));
    free(text);
    return ok;
}

/* "{}" is the next argument; "\{", "\}" and "\\" are those characters. */
static json_t *
states_format(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *c = json_string_value(args[0]);
    struct plex_buf buf = {.max = FLOW_VALUE_MAX};
    json_t *result = NULL;
    size_t used = 1;
    bool ok = true;

    if (c == NULL)
        return wrong(ev, 0, "a text");
    while (ok && *c != '\0') {
        if (c[0] == '{' && c[1] == '}') {
            ok = used < n && put_argument(ev, &buf, args[used]);
            used++;
            c += 2;
        } else {
            c += *c == '\\' && c[1] != '\0' && strchr("{}\\", c[1]) != NULL;
            ok = put(ev, &buf, c++, 1);
        }
    }
    if (used != n)
        flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                        "there are %zu arguments for another number of {}",
                        n - 1);
    else if (ok)
        result = flow_eval_text(ev, buf.data != NULL ? (char *)buf.data : "",
                                buf.len);
    plex_buf_free(&buf);
    return result;
}

static json_t *
states_array(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *list = json_array();

    (void)ev;
    for (size_t i = 0; i < n; i++)
        json_array_append(list, args[i]);
    return list;
}

static json_t *
states_partition(struct flow_eval *ev, json_t **args, size_t n)
{
    const json_int_t size = json_integer_value(args[1]);
    json_t *list, *part = NULL, *item;
    size_t i;

    (void)n;
    if (!json_is_array(args[0]))
        return wrong(ev, 0, "an array");
    if (!json_is_integer(args[1]) || size < 1)
        return wrong(ev, 1, "a whole number above 0");
    if (!flow_eval_charge(ev, json_array_size(args[0])))
        return NULL;
    list = json_array();
    json_array_foreach(args[0], i, item)
    {
        if (i % (size_t)size == 0) {
            part = json_array();
            json_array_append_new(list, part);
        }
        json_array_append(part, item);
    }
    return list;
}

static json_t *
states_contains(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    if (!json_is_array(args[0]))
        return wrong(ev, 0, "an array");
    return flow_eval_binary(ev, BIN_IN, args[1], args[0]);
}

static json_t *
states_range(struct flow_eval *ev, json_t **args, size_t n)
{
    int64_t at, to, step;
    json_t *list;

    for (size_t i = 0; i < n; i++) {
        if (!json_is_integer(args[i]))
            return wrong(ev, i, "a whole number");
    }
    at = json_integer_value(args[0]);
    to = json_integer_value(args[1]);
    step = json_integer_value(args[2]);
    if (step == 0)
        return wrong(ev, 2, "other than 0");
    list = json_array();
    while (step > 0 ? at <= to : at >= to) {
        if (json_array_size(list) == 1000) {
            json_decref(list);
            return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                                   "a range has at most 1000 items");
        }
        json_array_append_new(list, json_integer(at));
        if (__builtin_add_overflow(at, step, &at))
            break;
    }
    return list;
}

static json_t *
states_get_item(struct flow_eval *ev, json_t **args, size_t n)
{
    json_t *item = NULL;

    (void)n;
    if (!json_is_array(args[0]))
        return wrong(ev, 0, "an array");
    if (json_is_integer(args[1]) && json_integer_value(args[1]) >= 0)
        item = json_array_get(args[0], (size_t)json_integer_value(args[1]));
    return item != NULL ? json_incref(item)
                        : wrong(ev, 1, "an index of the array");
}

static json_t *
states_length(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    if (!json_is_array(args[0]))
        return wrong(ev, 0, "an array");
    return json_integer((json_int_t)json_array_size(args[0]));
}

static json_t *
states_merge(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    if (!json_is_boolean(args[2]))
        return wrong(ev, 2, "false");
    if (json_is_true(args[2]))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "deep merging is not supported; the third "
                               "argument is false, as in AWS");
    return flow_fn_merge(ev, args, 2);
}

static json_t *
states_random(struct flow_eval *ev, json_t **args, size_t n)
{
    struct flow_env env = *ev->env;
    int64_t from, to;
    uint64_t own, number;

    for (size_t i = 0; i < n; i++) {
        if (!json_is_integer(args[i]))
            return wrong(ev, i, "a whole number");
    }
    from = json_integer_value(args[0]);
    to = json_integer_value(args[1]);
    if (from >= to)
        return wrong(ev, 1, "larger than the first");
    if (n > 2) {
        const struct flow_env *kept = ev->env;

        own = (uint64_t)json_integer_value(args[2]);
        env.random = &own;
        ev->env = &env;
        number = flow_eval_random(ev);
        ev->env = kept;
    } else {
        number = flow_eval_random(ev);
    }
    return json_integer(
        (int64_t)((uint64_t)from + number % ((uint64_t)to - (uint64_t)from)));
}

static json_t *
states_add(struct flow_eval *ev, json_t **args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(args[i]))
            return wrong(ev, i, "a number");
    }
    return flow_eval_binary(ev, BIN_ADD, args[0], args[1]);
}

/* Any character of the second text separates; nothing between two is left
 * out. */
static json_t *
states_split(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *c = json_string_value(args[0]);
    const char *by = json_string_value(args[1]);
    json_t *list;

    (void)n;
    if (c == NULL || by == NULL)
        return wrong(ev, c == NULL ? 0 : 1, "a text");
    if (!flow_eval_charge(ev, strlen(c)))
        return NULL;
    list = json_array();
    for (c += strspn(c, by); *c != '\0'; c += strspn(c, by)) {
        const size_t len = strcspn(c, by);

        json_array_append_new(list, json_stringn(c, len));
        c += len;
    }
    return list;
}

const struct flow_function flow_states_functions[] = {
    {"States.Format", 1, 16, states_format},
    {"States.StringToJson", 1, 1, flow_fn_parse_json},
    {"States.JsonToString", 1, 1, flow_fn_json},
    {"States.Array", 0, 16, states_array},
    {"States.ArrayPartition", 2, 2, states_partition},
    {"States.ArrayContains", 2, 2, states_contains},
    {"States.ArrayRange", 3, 3, states_range},
    {"States.ArrayGetItem", 2, 2, states_get_item},
    {"States.ArrayLength", 1, 1, states_length},
    {"States.ArrayUnique", 1, 1, flow_fn_unique},
    {"States.Base64Encode", 1, 1, flow_fn_base64_encode},
    {"States.Base64Decode", 1, 1, flow_fn_base64_decode},
    {"States.Hash", 2, 2, flow_fn_hash},
    {"States.JsonMerge", 3, 3, states_merge},
    {"States.MathRandom", 2, 3, states_random},
    {"States.MathAdd", 2, 2, states_add},
    {"States.StringSplit", 2, 2, states_split},
    {"States.UUID", 0, 0, flow_fn_uuid},
    {0},
};

static const struct flow_function *const tables[] = {
    flow_functions, flow_list_functions, flow_states_functions};

const struct flow_function *
flow_function_find(const char *name, size_t len, bool states)
{
    for (size_t t = 0; t < 3; t++) {
        for (const struct flow_function *f = tables[t]; f->name; f++) {
            if (states == (t == 2) && strlen(f->name) == len &&
                memcmp(f->name, name, len) == 0)
                return f;
        }
    }
    return NULL;
}
