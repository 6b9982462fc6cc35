/* Operators on two values, and ASL's comparisons. */
#include "workflow/expr_private.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <math.h>
#include <string.h>

static json_t *
real_result(struct flow_eval *ev, double value)
{
    if (!isfinite(value))
        return flow_eval_fault(ev, FLOW_FAULT_TYPE,
                               "the result is not a "
                               "finite number");
    return json_real(value);
}

static json_t *
whole_result(struct flow_eval *ev, enum flow_binary how, int64_t a, int64_t b)
{
    int64_t result;
    bool over;

    if (how == BIN_ADD) {
        over = __builtin_add_overflow(a, b, &result);
    } else if (how == BIN_SUB) {
        over = __builtin_sub_overflow(a, b, &result);
    } else if (how == BIN_MUL) {
        over = __builtin_mul_overflow(a, b, &result);
    } else {
        if (b == 0)
            return flow_eval_fault(ev, FLOW_FAULT_TYPE, "division by zero");
        over = a == INT64_MIN && b == -1;
        if (!over && how == BIN_DIV && a % b != 0)
            return json_real((double)a / (double)b);
        result = over ? 0 : how == BIN_DIV ? a / b : a % b;
    }
    if (over)
        return flow_eval_fault(ev, FLOW_FAULT_TYPE,
                               "the result does not fit in 64 bits");
    return json_integer(result);
}

static json_t *
arithmetic(struct flow_eval *ev, enum flow_binary how, const json_t *a,
           const json_t *b)
{
    double x, y;

    if (json_is_integer(a) && json_is_integer(b))
        return whole_result(ev, how, json_integer_value(a),
                            json_integer_value(b));
    x = json_number_value(a);
    y = json_number_value(b);
    switch (how) {
    case BIN_ADD:
        return real_result(ev, x + y);
    case BIN_SUB:
        return real_result(ev, x - y);
    case BIN_MUL:
        return real_result(ev, x * y);
    case BIN_DIV:
        return y != 0
                   ? real_result(ev, x / y)
                   : flow_eval_fault(ev, FLOW_FAULT_TYPE, "division by zero");
    default:
        return flow_eval_fault(ev, FLOW_FAULT_TYPE, "'%%' wants whole numbers");
    }
}

static json_t *
add_texts(struct flow_eval *ev, const json_t *a, const json_t *b)
{
    const size_t len = json_string_length(a) + json_string_length(b);

    if (len > FLOW_VALUE_MAX)
        return flow_eval_fault(ev, FLOW_FAULT_LIMIT,
                               "the text becomes too large");
    return json_sprintf("%s%s", json_string_value(a), json_string_value(b));
}

static json_t *
add_lists(struct flow_eval *ev, json_t *a, json_t *b)
{
    json_t *list;

    if (!flow_eval_charge(ev, json_array_size(a) + json_array_size(b)))
        return NULL;
    list = json_copy(a);
    json_array_extend(list, b);
    return list;
}

static json_t *
contains(struct flow_eval *ev, json_t *what, json_t *where)
{
    json_t *item;
    size_t i;

    if (json_is_object(where) && json_is_string(what))
        return json_boolean(json_object_get(where, json_string_value(what)) !=
                            NULL);
    if (json_is_string(where) && json_is_string(what))
        return json_boolean(
            strstr(json_string_value(where), json_string_value(what)) != NULL);
    if (!json_is_array(where))
        return flow_eval_fault(ev, FLOW_FAULT_TYPE,
                               "'in' wants a list, an object or a text on its "
                               "right, not %s",
                               flow_type_name(where));
    json_array_foreach(where, i, item)
    {
        const size_t size = flow_value_size(item, FLOW_VALUE_MAX) / 8;

        if (!flow_eval_charge(ev, 1 + size))
            return NULL;
        if (flow_value_equal(item, what))
            return json_true();
    }
    return json_false();
}

/* <0, 0, >0 like strcmp; *ok false: not of the same order. */
static int
order(const json_t *a, const json_t *b, bool *ok)
{
    *ok = true;
    if (json_is_string(a) && json_is_string(b))
        return strcmp(json_string_value(a), json_string_value(b));
    if (json_is_integer(a) && json_is_integer(b)) {
        const json_int_t x = json_integer_value(a), y = json_integer_value(b);

        return (x > y) - (x < y);
    }
    if (json_is_number(a) && json_is_number(b)) {
        const double x = json_number_value(a), y = json_number_value(b);

        return (x > y) - (x < y);
    }
    *ok = false;
    return 0;
}

static bool
order_is(enum flow_binary how, int c)
{
    switch (how) {
    case BIN_LT:
        return c < 0;
    case BIN_LE:
        return c <= 0;
    case BIN_GT:
        return c > 0;
    case BIN_GE:
        return c >= 0;
    default:
        return c == 0;
    }
}

json_t *
flow_eval_binary(struct flow_eval *ev, enum flow_binary how, json_t *a,
                 json_t *b)
{
    static const char *const names[] = {
        "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"};
    bool ok;
    int c;

    if (how == BIN_EQ || how == BIN_NE) {
        if (!flow_eval_charge(ev, flow_value_size(a, FLOW_VALUE_MAX) / 8))
            return NULL;
        return json_boolean(flow_value_equal(a, b) == (how == BIN_EQ));
    }
    if (how == BIN_IN)
        return contains(ev, a, b);
    if (how < BIN_IN) {
        c = order(a, b, &ok);
        if (ok)
            return json_boolean(order_is(how, c));
    } else if (json_is_number(a) && json_is_number(b)) {
        return arithmetic(ev, how, a, b);
    } else if (how == BIN_ADD && json_is_string(a) && json_is_string(b)) {
        return add_texts(ev, a, b);
    } else if (how == BIN_ADD && json_is_array(a) && json_is_array(b)) {
        return add_lists(ev, a, b);
    }
    return flow_eval_fault(ev, FLOW_FAULT_TYPE,
                           "'%s' cannot be used on %s and %s", names[how],
                           flow_type_name(a), flow_type_name(b));
}

/* -- ASL's comparisons --------------------------------------------------------
 */

enum compare_type {
    CMP_TEXT,
    CMP_NUMBER,
    CMP_BOOLEAN,
    CMP_TIME,
    CMP_MATCH,
    CMP_IS
};
enum is_what {
    IS_PRESENT,
    IS_NULL,
    IS_BOOLEAN,
    IS_NUMERIC,
    IS_STRING,
    IS_TIMESTAMP
};

static const struct {
    const char *name;
    enum compare_type type;
    unsigned how;
} compares[] = {
    {"StringEquals", CMP_TEXT, BIN_EQ},
    {"StringLessThan", CMP_TEXT, BIN_LT},
    {"StringGreaterThan", CMP_TEXT, BIN_GT},
    {"StringLessThanEquals", CMP_TEXT, BIN_LE},
    {"StringGreaterThanEquals", CMP_TEXT, BIN_GE},
    {"StringMatches", CMP_MATCH, 0},
    {"NumericEquals", CMP_NUMBER, BIN_EQ},
    {"NumericLessThan", CMP_NUMBER, BIN_LT},
    {"NumericGreaterThan", CMP_NUMBER, BIN_GT},
    {"NumericLessThanEquals", CMP_NUMBER, BIN_LE},
    {"NumericGreaterThanEquals", CMP_NUMBER, BIN_GE},
    {"BooleanEquals", CMP_BOOLEAN, BIN_EQ},
    {"TimestampEquals", CMP_TIME, BIN_EQ},
    {"TimestampLessThan", CMP_TIME, BIN_LT},
    {"TimestampGreaterThan", CMP_TIME, BIN_GT},
    {"TimestampLessThanEquals", CMP_TIME, BIN_LE},
    {"TimestampGreaterThanEquals", CMP_TIME, BIN_GE},
    {"IsPresent", CMP_IS, IS_PRESENT},
    {"IsNull", CMP_IS, IS_NULL},
    {"IsBoolean", CMP_IS, IS_BOOLEAN},
    {"IsNumeric", CMP_IS, IS_NUMERIC},
    {"IsString", CMP_IS, IS_STRING},
    {"IsTimestamp", CMP_IS, IS_TIMESTAMP},
};

int
flow_compare_find(const char *name)
{
    for (size_t i = 0; i < sizeof compares / sizeof *compares; i++) {
        if (strcmp(compares[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static bool
is_time(const json_t *value, int64_t *ms)
{
    return json_is_string(value) &&
           flow_time_parse(json_string_value(value), ms);
}

static bool
is_what(enum is_what what, const json_t *value)
{
    int64_t ms;

    switch (what) {
    case IS_PRESENT:
        return value != NULL;
    case IS_NULL:
        return json_is_null(value);
    case IS_BOOLEAN:
        return json_is_boolean(value);
    case IS_NUMERIC:
        return json_is_number(value);
    case IS_STRING:
        return json_is_string(value);
    default:
        return is_time(value, &ms);
    }
}

/* Values of another type are not equal, smaller or larger: false. */
static bool
compare(enum compare_type type, unsigned how, const json_t *a, const json_t *b)
{
    int64_t x, y;
    bool ok;
    int c;

    switch (type) {
    case CMP_TEXT:
    case CMP_NUMBER:
        c = order(a, b, &ok);
        return ok && json_is_string(a) == (type == CMP_TEXT) &&
               order_is((enum flow_binary)how, c);
    case CMP_BOOLEAN:
        return json_is_boolean(a) && json_is_boolean(b) &&
               json_is_true(a) == json_is_true(b);
    case CMP_TIME:
        return is_time(a, &x) && is_time(b, &y) &&
               order_is((enum flow_binary)how, (x > y) - (x < y));
    default:
        return json_is_string(a) && json_is_string(b) &&
               flow_glob(json_string_value(b), json_string_value(a), false);
    }
}

json_t *
flow_eval_compare(struct flow_eval *ev, const struct flow_expr *x)
{
    const enum compare_type type = compares[x->which].type;
    json_t *a = flow_eval(ev, x->kids[0]), *b;
    bool yes;

    if (a == NULL) {
        /* Only IsPresent may ask about what is not there. */
        if (ev->fault->kind != FLOW_FAULT_PATH || type != CMP_IS ||
            compares[x->which].how != IS_PRESENT)
            return NULL;
        ev->fault->kind = FLOW_FAULT_NONE;
    }
    b = flow_eval(ev, x->kids[1]);
    if (b == NULL) {
        json_decref(a);
        return NULL;
    }
    if (type == CMP_IS)
        yes =
            is_what((enum is_what)compares[x->which].how, a) == json_is_true(b);
    else
        yes = compare(type, compares[x->which].how, a, b);
    json_decref(a);
    json_decref(b);
    return json_boolean(yes);
}
