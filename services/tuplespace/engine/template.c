#include "services/tuplespace/engine/template.h"

#include "common/mem.h"
#include "services/tuplespace/engine/bits.h"
#include "services/tuplespace/engine/template_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    NEST_MAX = 32 /* matchers within matchers */
};

/* What the check of a template counts. */
struct sizing {
    uint32_t nodes;
    uint64_t bytes;
    bool in_not;
    bool has_regex, has_variables;
};

static enum plex_status matcher_check(const struct tspace_matcher *matcher,
                                      unsigned nest, unsigned depth,
                                      struct sizing *sizing,
                                      struct plex_err *err);

/* -- checking -------------------------------------------------------------- */

static enum plex_status
value_check(const struct tspace_value *value, unsigned depth,
            struct sizing *sizing, struct plex_err *err)
{
    uint64_t size;

    if (tspace_value_size(value, depth, &size, err) != PLEX_OK)
        return err->status;
    sizing->bytes += size;
    if (sizing->bytes > TSPACE_TUPLE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "a template has at most %d bytes",
                            TSPACE_TUPLE_MAX);
    return PLEX_OK;
}

static enum plex_status
bound_check(const struct tspace_bound *bound, struct sizing *sizing,
            struct plex_err *err)
{
    if (!bound->set)
        return PLEX_OK;
    if (bound->value.type == TSPACE_NULL || bound->value.type == TSPACE_TUPLE)
        return plex_err_set(err, PLEX_INVALID,
                            "a bound is a number, string, binary or boolean");
    return value_check(&bound->value, 1, sizing, err);
}

static enum plex_status
range_check(const struct tspace_matcher *matcher, struct sizing *sizing,
            struct plex_err *err)
{
    sizing->nodes += 2;
    if (!matcher->low.set && !matcher->high.set)
        return plex_err_set(err, PLEX_INVALID, "a range has no bound");
    if (matcher->low.set && matcher->high.set &&
        tspace_type_class(matcher->low.value.type) !=
            tspace_type_class(matcher->high.value.type))
        return plex_err_set(err, PLEX_INVALID,
                            "the bounds of a range are not of one kind");
    if (bound_check(&matcher->low, sizing, err) != PLEX_OK)
        return err->status;
    return bound_check(&matcher->high, sizing, err);
}

static enum plex_status
text_check(const struct tspace_matcher *matcher, struct sizing *sizing,
           struct plex_err *err)
{
    if (matcher->value.type != TSPACE_STRING &&
        (matcher->value.type != TSPACE_BINARY || matcher->kind == TSPACE_REGEX))
        return plex_err_set(err, PLEX_INVALID,
                            "the matcher wants a string to look for");
    return value_check(&matcher->value, 1, sizing, err);
}

static enum plex_status
items_check(const struct tspace_matcher *matcher, unsigned nest, unsigned depth,
            struct sizing *sizing, struct plex_err *err)
{
    for (uint32_t i = 0; i < matcher->n_items; i++)
        if (matcher_check(&matcher->items[i], nest + 1, depth, sizing, err) !=
            PLEX_OK)
            return err->status;
    return PLEX_OK;
}

static enum plex_status
in_check(const struct tspace_matcher *matcher, unsigned nest, unsigned depth,
         struct sizing *sizing, struct plex_err *err)
{
    if (matcher->n_items < 1 || matcher->n_items > TSPACE_IN_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a set has 1 to %d values, not %u", TSPACE_IN_MAX,
                            matcher->n_items);
    for (uint32_t i = 0; i < matcher->n_items; i++)
        if (matcher->items[i].kind != TSPACE_EXACT)
            return plex_err_set(err, PLEX_INVALID,
                                "a set consists of plain values");
    return items_check(matcher, nest, depth, sizing, err);
}

static enum plex_status
not_check(const struct tspace_matcher *matcher, unsigned nest, unsigned depth,
          struct sizing *sizing, struct plex_err *err)
{
    const bool outer = sizing->in_not;

    if (matcher->n_items != 1)
        return plex_err_set(err, PLEX_INVALID, "\"not\" has one matcher");
    sizing->in_not = true;
    if (items_check(matcher, nest, depth, sizing, err) != PLEX_OK)
        return err->status;
    sizing->in_not = outer;
    return PLEX_OK;
}

static enum plex_status
bind_check(const struct tspace_matcher *matcher, unsigned nest, unsigned depth,
           struct sizing *sizing, struct plex_err *err)
{
    if (matcher->variable >= TSPACE_VARIABLES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a template has at most %d variables",
                            TSPACE_VARIABLES_MAX);
    if (sizing->in_not)
        return plex_err_set(err, PLEX_INVALID,
                            "a variable within \"not\" binds nothing");
    if (matcher->n_items > 1)
        return plex_err_set(err, PLEX_INVALID,
                            "a variable has at most one matcher");
    sizing->has_variables = true;
    return items_check(matcher, nest, depth, sizing, err);
}

static enum plex_status
nested_check(const struct tspace_matcher *matcher, unsigned nest,
             unsigned depth, struct sizing *sizing, struct plex_err *err)
{
    if (depth >= TSPACE_DEPTH_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "tuples may be nested %d deep, no deeper",
                            TSPACE_DEPTH_MAX);
    if (matcher->n_items < 1 || matcher->n_items > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a tuple has 1 to %d fields, not %u",
                            TSPACE_FIELDS_MAX, matcher->n_items);
    return items_check(matcher, nest, depth + 1, sizing, err);
}

static enum plex_status
matcher_check(const struct tspace_matcher *matcher, unsigned nest,
              unsigned depth, struct sizing *sizing, struct plex_err *err)
{
    if (nest > NEST_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "matchers may be nested %d deep, no deeper",
                            NEST_MAX);
    if (++sizing->nodes > TSPACE_MATCHERS_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "a template has at most %d matchers",
                            TSPACE_MATCHERS_MAX);
    switch (matcher->kind) {
    case TSPACE_ANY:
        return PLEX_OK;
    case TSPACE_OF_TYPE:
        if (matcher->type >= TSPACE_INTEGER && matcher->type <= TSPACE_TUPLE)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID, "%d is no type of field",
                            (int)matcher->type);
    case TSPACE_EXACT:
        return value_check(&matcher->value, depth, sizing, err);
    case TSPACE_RANGE:
        return range_check(matcher, sizing, err);
    case TSPACE_REGEX:
        sizing->has_regex = true;
        return text_check(matcher, sizing, err);
    case TSPACE_PREFIX:
    case TSPACE_SUFFIX:
    case TSPACE_CONTAINS:
        return text_check(matcher, sizing, err);
    case TSPACE_IN:
        return in_check(matcher, nest, depth, sizing, err);
    case TSPACE_NOT:
        return not_check(matcher, nest, depth, sizing, err);
    case TSPACE_NESTED:
        return nested_check(matcher, nest, depth, sizing, err);
    case TSPACE_BIND:
        return bind_check(matcher, nest, depth, sizing, err);
    case TSPACE_ALL:
        if (matcher->n_items == 0)
            return plex_err_set(err, PLEX_INVALID, "\"all\" has no matcher");
        return items_check(matcher, nest, depth, sizing, err);
    }
    return plex_err_set(err, PLEX_INVALID, "%d is no kind of matcher",
                        (int)matcher->kind);
}

/* -- filling --------------------------------------------------------------- */

static void
value_copy(struct tspace_template *template, const struct tspace_value *value,
           struct tspace_value *copy)
{
    uint8_t *room = template->bytes + template->n_bytes;
    size_t len = value->bytes.len;

    copy->type = value->type;
    if (value->type == TSPACE_FLOAT) {
        copy->real = value->real;
        return;
    }
    if (value->type != TSPACE_STRING && value->type != TSPACE_BINARY &&
        value->type != TSPACE_TUPLE) {
        copy->integer = value->integer;
        return;
    }
    if (value->type == TSPACE_TUPLE && value->fields != NULL)
        len = tspace_pack_into(value->fields, value->n_fields, room);
    else if (len > 0)
        memcpy(room, value->bytes.data, len);
    copy->bytes = (struct plex_bytes){room, len};
    template->n_bytes += (uint32_t)len;
}

static void
range_fill(struct tspace_template *template, struct node *node,
           const struct tspace_matcher *matcher)
{
    struct node *bounds = &template->nodes[template->n_nodes];

    node->first = template->n_nodes;
    node->n_items = 2;
    template->n_nodes += 2;
    bounds[0].kind = bounds[1].kind = TSPACE_EXACT;
    node->low_set = matcher->low.set;
    node->high_set = matcher->high.set;
    node->low_open = matcher->low.open;
    node->high_open = matcher->high.open;
    if (matcher->low.set)
        value_copy(template, &matcher->low.value, &bounds[0].value);
    if (matcher->high.set)
        value_copy(template, &matcher->high.value, &bounds[1].value);
}

/* Takes `n` nodes for the matchers, then theirs for their items. */
static enum plex_status
nodes_fill(struct tspace_template *template,
           const struct tspace_matcher *matchers, uint32_t n,
           struct plex_err *err)
{
    const uint32_t first = template->n_nodes;

    template->n_nodes += n;
    for (uint32_t i = 0; i < n; i++) {
        const struct tspace_matcher *matcher = &matchers[i];
        struct node *node = &template->nodes[first + i];

        node->kind = (uint8_t)matcher->kind;
        node->type = (uint8_t)matcher->type;
        node->variable = (uint8_t)matcher->variable;
        if (matcher->kind == TSPACE_RANGE) {
            range_fill(template, node, matcher);
        } else if (matcher->kind == TSPACE_EXACT ||
                   (matcher->kind >= TSPACE_PREFIX &&
                    matcher->kind <= TSPACE_REGEX)) {
            value_copy(template, &matcher->value, &node->value);
        } else if (matcher->kind >= TSPACE_IN) {
            node->first = template->n_nodes;
            node->n_items = matcher->n_items;
            if (nodes_fill(template, matcher->items, matcher->n_items, err) !=
                PLEX_OK)
                return err->status;
        }
        if (matcher->kind == TSPACE_REGEX &&
            tspace_regex_create(&node->regex, node->value.bytes, err) !=
                PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static struct tspace_template *
template_alloc(uint32_t n_fields, const struct sizing *sizing)
{
    const uint32_t planned = n_fields < PLAN_FIELDS ? n_fields : PLAN_FIELDS;
    const size_t nodes = sizing->nodes * sizeof(struct node);
    /* Not calloc, which is several times slower. */
    struct tspace_template *template =
        plex_reallocarray(NULL, 1,
                          sizeof *template + nodes +
                              planned * (sizeof(uint32_t) + 1) + sizing->bytes);

    memset(template, 0, sizeof *template + nodes);
    template->refs = 1;
    template->n_fields = n_fields;
    template->has_regex = sizing->has_regex;
    template->has_variables = sizing->has_variables;
    template->nodes = (struct node *)(template + 1);
    template->exact_at = (uint32_t *)(template->nodes + sizing->nodes);
    template->type_of = (uint8_t *)(template->exact_at + planned);
    template->bytes = template->type_of + planned;
    return template;
}

/* Nothing about it can be wrong. */
static bool
plain(const struct tspace_matcher *matcher)
{
    return matcher->kind == TSPACE_ANY ||
           (matcher->kind == TSPACE_EXACT &&
            (matcher->value.type == TSPACE_INTEGER ||
             matcher->value.type == TSPACE_NULL));
}

enum plex_status
tspace_template_create(struct tspace_template **out,
                       const struct tspace_matcher *matchers,
                       uint32_t n_matchers, struct plex_err *err)
{
    struct sizing sizing = {0};
    struct tspace_template *template;

    if (n_matchers > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a template has at most %d fields, not %u",
                            TSPACE_FIELDS_MAX, n_matchers);
    for (uint32_t i = 0; i < n_matchers; i++) {
        if (plain(&matchers[i])) {
            sizing.nodes++;
            continue;
        }
        if (matcher_check(&matchers[i], 1, 1, &sizing, err) != PLEX_OK)
            return plex_err_wrap(err, "field %u", i + 1);
    }
    template = template_alloc(n_matchers, &sizing);
    if (nodes_fill(template, matchers, n_matchers, err) != PLEX_OK) {
        tspace_template_unref(template);
        return err->status;
    }
    assert(template->n_bytes == sizing.bytes);
    tspace_plan_make(template);
    *out = template;
    return PLEX_OK;
}

struct tspace_template *
tspace_template_exactly(const uint8_t *packed)
{
    const uint32_t n = tspace_packed_fields(packed);
    struct tspace_matcher *matchers = plex_calloc(n, sizeof *matchers);
    struct tspace_template *template;
    struct plex_err err;
    enum plex_status status;

    for (uint32_t i = 0; i < n; i++) {
        matchers[i].kind = TSPACE_EXACT;
        tspace_packed_get(packed, i, &matchers[i].value);
    }
    status = tspace_template_create(&template, matchers, n, &err);
    assert(status == PLEX_OK);
    free(matchers);
    return template;
}

struct tspace_template *
tspace_template_ref(struct tspace_template *template)
{
    template->refs++;
    return template;
}

void
tspace_template_unref(struct tspace_template *template)
{
    if (template == NULL || --template->refs > 0)
        return;
    if (template->has_regex)
        for (uint32_t i = 0; i < template->n_nodes; i++)
            tspace_regex_free(template->nodes[i].regex);
    free(template);
}

uint32_t
tspace_template_fields(const struct tspace_template *template)
{
    return template->n_fields;
}
