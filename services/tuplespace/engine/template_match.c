/* Matching, and what an index can know about a template. */
#include "services/tuplespace/engine/bits.h"
#include "services/tuplespace/engine/template_private.h"

#include <string.h>

struct matching {
    const struct tspace_template *template;
    bool *gave_up;
    uint32_t bound; /* bit i: variable i has a value */
    struct tspace_value *variables;
};

static bool node_match(struct matching *matching, const struct node *node,
                       const struct tspace_value *value);

static bool
range_match(const struct node *node, const struct node *bounds,
            const struct tspace_value *value)
{
    const struct tspace_value *any =
        node->low_set ? &bounds[0].value : &bounds[1].value;
    int order;

    if (tspace_type_class(value->type) != tspace_type_class(any->type))
        return false;
    if (node->low_set) {
        order = tspace_value_worth(value, &bounds[0].value);
        if (order < 0 || (order == 0 && node->low_open))
            return false;
    }
    if (node->high_set) {
        order = tspace_value_worth(value, &bounds[1].value);
        if (order > 0 || (order == 0 && node->high_open))
            return false;
    }
    return true;
}

static bool
text_match(const struct node *node, const struct tspace_value *value,
           bool *gave_up)
{
    const struct plex_bytes want = node->value.bytes, have = value->bytes;

    if (value->type != node->value.type)
        return false;
    if (node->kind == TSPACE_REGEX)
        return tspace_regex_match(node->regex, have, gave_up);
    if (want.len == 0)
        return true;
    if (have.len < want.len)
        return false;
    if (node->kind == TSPACE_PREFIX)
        return memcmp(have.data, want.data, want.len) == 0;
    if (node->kind == TSPACE_SUFFIX)
        return memcmp(have.data + have.len - want.len, want.data, want.len) ==
               0;
    return memmem(have.data, have.len, want.data, want.len) != NULL;
}

static bool
nested_match(struct matching *matching, const struct node *node,
             const struct tspace_value *value)
{
    struct tspace_value field;

    if (value->type != TSPACE_TUPLE ||
        packed_fields(value->bytes.data) != node->n_items)
        return false;
    for (uint32_t i = 0; i < node->n_items; i++) {
        packed_get(value->bytes.data, i, &field);
        if (!node_match(matching, &matching->template->nodes[node->first + i],
                        &field))
            return false;
    }
    return true;
}

static bool
bind_match(struct matching *matching, const struct node *node,
           const struct tspace_value *value)
{
    struct tspace_value *variable = &matching->variables[node->variable];

    if (node->n_items == 1 &&
        !node_match(matching, &matching->template->nodes[node->first], value))
        return false;
    if (matching->bound & 1u << node->variable)
        return tspace_value_equal(variable, value);
    matching->bound |= 1u << node->variable;
    *variable = *value;
    return true;
}

static bool
node_match(struct matching *matching, const struct node *node,
           const struct tspace_value *value)
{
    const struct node *items = matching->template->nodes + node->first;
    bool given_up = false;

    switch ((enum tspace_match)node->kind) {
    case TSPACE_ANY:
        return true;
    case TSPACE_OF_TYPE:
        return value->type == node->type;
    case TSPACE_EXACT:
        return tspace_value_equal(value, &node->value);
    case TSPACE_RANGE:
        return range_match(node, items, value);
    case TSPACE_PREFIX:
    case TSPACE_SUFFIX:
    case TSPACE_CONTAINS:
    case TSPACE_REGEX:
        return text_match(node, value, matching->gave_up);
    case TSPACE_IN:
        for (uint32_t i = 0; i < node->n_items; i++)
            if (tspace_value_equal(value, &items[i].value))
                return true;
        return false;
    case TSPACE_NOT:
        /* Giving up is neither a match nor its opposite. */
        if (*matching->gave_up)
            return false;
        if (node_match(matching, items, value))
            return false;
        given_up = *matching->gave_up;
        return !given_up;
    case TSPACE_NESTED:
        return nested_match(matching, node, value);
    case TSPACE_BIND:
        return bind_match(matching, node, value);
    case TSPACE_ALL:
        for (uint32_t i = 0; i < node->n_items; i++)
            if (!node_match(matching, &items[i], value))
                return false;
        return true;
    }
    return false;
}

/* The common case without a copy of the value. */
static inline bool
exact_match(const struct node *node, const uint8_t *packed, const uint8_t *slot)
{
    const struct plex_bytes want = node->value.bytes;
    uint32_t place[2];
    int64_t integer;

    switch (node->value.type) {
    case TSPACE_NULL:
        return true;
    case TSPACE_INTEGER:
    case TSPACE_BOOLEAN:
        memcpy(&integer, slot, 8);
        return integer == node->value.integer;
    case TSPACE_STRING:
    case TSPACE_BINARY:
        memcpy(place, slot, 8);
        return place[1] == want.len &&
               (want.len == 0 ||
                memcmp(packed + place[0], want.data, want.len) == 0);
    default:
        return false;
    }
}

static inline bool
plainly_exact(const struct node *node)
{
    return node->kind == TSPACE_EXACT && node->value.type != TSPACE_FLOAT &&
           node->value.type != TSPACE_TUPLE;
}

bool
tspace_template_match(const struct tspace_template *template,
                      const uint8_t *packed, bool *gave_up)
{
    struct tspace_value variables[TSPACE_VARIABLES_MAX];
    struct matching matching = {template, gave_up, 0, variables};
    struct tspace_value value;
    const uint8_t *slot;

    if (template->n_fields == 0)
        return true;
    if (packed_fields(packed) != template->n_fields)
        return false;
    slot = packed + packed_slots(template->n_fields);
    for (uint32_t i = 0; i < template->n_fields; i++, slot += 8) {
        const struct node *node = &template->nodes[i];

        if (node->kind == TSPACE_ANY)
            continue;
        if (node->kind == TSPACE_EXACT && packed[8 + i] != node->value.type)
            return false;
        if (plainly_exact(node)) {
            if (!exact_match(node, packed, slot))
                return false;
            continue;
        }
        packed_get(packed, i, &value);
        if (!node_match(&matching, node, &value))
            return false;
    }
    return true;
}

/* -- the plan -------------------------------------------------------------- */

static const struct tspace_key key_min = {0, 0};
static const struct tspace_key key_max = {UINT64_MAX, UINT64_MAX};

static void
plan_range(struct plan *plan, uint32_t field, enum tspace_class class,
           struct tspace_key low, struct tspace_key high)
{
    if (plan->has_range)
        return;
    plan->has_range = true;
    plan->range_field = field;
    plan->range_class = class;
    plan->low = low;
    plan->high = high;
}

/* Strings that begin with `prefix` have keys up to this one. */
static struct tspace_key
prefix_end(const struct tspace_value *prefix)
{
    const size_t len = prefix->bytes.len;
    struct tspace_key key = tspace_value_key(prefix);

    if (len < 8)
        key.high |= UINT64_MAX >> len * 8;
    if (len <= 8)
        key.low = UINT64_MAX;
    else if (len < 16)
        key.low |= UINT64_MAX >> (len - 8) * 8;
    return key;
}

static void
plan_node(struct tspace_template *template, uint32_t field, uint32_t at)
{
    const struct node *node = &template->nodes[at];
    const struct node *items = template->nodes + node->first;
    struct plan *plan = &template->plan;

    switch ((enum tspace_match)node->kind) {
    case TSPACE_EXACT:
        plan->exact |= 1ull << field;
        template->exact_at[field] = at;
        break;
    case TSPACE_OF_TYPE:
        plan->types |= 1ull << field;
        template->type_of[field] = node->type;
        break;
    case TSPACE_RANGE:
        plan_range(plan, field,
                   tspace_type_class(items[node->low_set ? 0 : 1].value.type),
                   node->low_set ? tspace_value_key(&items[0].value) : key_min,
                   node->high_set ? tspace_value_key(&items[1].value)
                                  : key_max);
        break;
    case TSPACE_PREFIX:
        plan_range(plan, field, tspace_type_class(node->value.type),
                   tspace_value_key(&node->value), prefix_end(&node->value));
        break;
    case TSPACE_IN:
        if (!plan->has_set) {
            plan->has_set = true;
            plan->set_field = field;
            plan->set_at = at;
        }
        break;
    case TSPACE_BIND:
    case TSPACE_ALL:
        for (uint32_t i = 0; i < node->n_items; i++)
            plan_node(template, field, node->first + i);
        break;
    default:
        break;
    }
}

void
tspace_plan_make(struct tspace_template *template)
{
    struct plan *plan = &template->plan;

    plan->only_exact = true;
    for (uint32_t i = 0; i < template->n_fields; i++) {
        const uint8_t kind = template->nodes[i].kind;

        if (i < PLAN_FIELDS)
            plan_node(template, i, i);
        if (kind != TSPACE_ANY && (kind != TSPACE_EXACT || i >= PLAN_FIELDS))
            plan->only_exact = false;
    }
    /* A value says more than a type or a range does. */
    plan->types &= ~plan->exact;
    if (plan->has_range && plan->exact >> plan->range_field & 1)
        plan->has_range = false;
    if (plan->has_set && plan->exact >> plan->set_field & 1)
        plan->has_set = false;
}
