/* Values and templates, in and out. */
#include "common/wire.h"
#include "services/tuplespace/wire_private.h"

#include <string.h>

#define VALUE(name) PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_##name
#define KIND(name) PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_##name

enum { VARIABLE_NAME_MAX = 64 };

/* -- values ------------------------------------------------------------------
 */

enum plex_status
tspace_wire_value(const PB(Field) * in, struct plex_arena *arena,
                  struct tspace_value *out, struct plex_err *err)
{
    struct tspace_value *fields;

    *out = (struct tspace_value){.type = TSPACE_NULL};
    switch (in->value_case) {
    case VALUE(INT):
        out->type = TSPACE_INTEGER;
        out->integer = in->int_;
        break;
    case VALUE(FLOAT):
        out->type = TSPACE_FLOAT;
        out->real = in->float_;
        break;
    case VALUE(STRING):
        out->type = TSPACE_STRING;
        out->bytes.data = (const uint8_t *)in->string;
        out->bytes.len = strlen(in->string);
        break;
    case VALUE(BOOL):
        out->type = TSPACE_BOOLEAN;
        out->integer = in->bool_ != 0;
        break;
    case VALUE(BYTES):
        out->type = TSPACE_BINARY;
        out->bytes = plex_wire_bytes_in(in->bytes);
        break;
    case VALUE(TUPLE):
        out->type = TSPACE_TUPLE;
        if (tspace_wire_values(in->tuple->fields, in->tuple->n_fields, arena,
                               &fields, err) != PLEX_OK)
            return err->status;
        out->fields = fields;
        out->n_fields = (uint32_t)in->tuple->n_fields;
        break;
    case VALUE(_NOT_SET):
    default:
        break;
    }
    return PLEX_OK;
}

enum plex_status
tspace_wire_values(PB(Field) * *in, size_t n, struct plex_arena *arena,
                   struct tspace_value **out, struct plex_err *err)
{
    struct tspace_value *values;

    if (n == 0 || n > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "it has %zu fields, 1 to %d are allowed", n,
                            TSPACE_FIELDS_MAX);
    values = plex_wire_array(arena, n, sizeof *values);
    if (values == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++)
        if (tspace_wire_value(in[i], arena, &values[i], err) != PLEX_OK)
            return plex_err_wrap(err, "field %zu", i);
    *out = values;
    return PLEX_OK;
}

static bool value_out(const struct tspace_value *in, struct plex_arena *arena,
                      PB(Field) * out);

static bool
fields_out(const uint8_t *packed, struct plex_arena *arena, size_t *n,
           PB(Field) * **out)
{
    const uint32_t count = tspace_packed_fields(packed);
    PB(Field) *fields = plex_arena_alloc(arena, count * sizeof *fields);
    PB(Field) **list = plex_arena_alloc(arena, count * sizeof *list);
    struct tspace_value value;

    if (fields == NULL || list == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        list[i] = &fields[i];
        tspace_packed_get(packed, i, &value);
        if (!value_out(&value, arena, &fields[i]))
            return false;
    }
    *n = count;
    *out = list;
    return true;
}

static bool
value_out(const struct tspace_value *in, struct plex_arena *arena,
          PB(Field) * out)
{
    plexspaces__tuplespace__v1__field__init(out);
    switch (in->type) {
    case TSPACE_INTEGER:
        out->value_case = VALUE(INT);
        out->int_ = in->integer;
        break;
    case TSPACE_FLOAT:
        out->value_case = VALUE(FLOAT);
        out->float_ = in->real;
        break;
    case TSPACE_STRING:
        out->value_case = VALUE(STRING);
        out->string = plex_arena_strndup(arena, (const char *)in->bytes.data,
                                         in->bytes.len);
        return out->string != NULL;
    case TSPACE_BOOLEAN:
        out->value_case = VALUE(BOOL);
        out->bool_ = in->integer != 0;
        break;
    case TSPACE_BINARY:
        out->value_case = VALUE(BYTES);
        out->bytes = plex_wire_bytes(in->bytes);
        break;
    case TSPACE_TUPLE:
        out->value_case = VALUE(TUPLE);
        out->tuple = plex_arena_alloc(arena, sizeof *out->tuple);
        if (out->tuple == NULL)
            return false;
        plexspaces__tuplespace__v1__field_list__init(out->tuple);
        return fields_out(in->bytes.data, arena, &out->tuple->n_fields,
                          &out->tuple->fields);
    case TSPACE_NULL:
        break;
    }
    return true;
}

static bool
text_out(struct plex_bytes in, struct plex_arena *arena, char **out)
{
    if (in.len == 0)
        return true; /* "" already */
    *out = plex_arena_strndup(arena, (const char *)in.data, in.len);
    return *out != NULL;
}

PB(Tuple) *
    tspace_wire_tuple(const struct tspace_tuple *in, struct plex_arena *arena)
{
    PB(Tuple) *out = plex_arena_alloc(arena, sizeof *out);

    if (out == NULL)
        return NULL;
    plexspaces__tuplespace__v1__tuple__init(out);
    out->id = in->id;
    out->expires_ms = in->expires_ms;
    out->written_ms = in->written_ms;
    if (!text_out(in->owner, arena, &out->owner) ||
        !text_out(in->meta, arena, &out->metadata) ||
        !fields_out(in->packed.data, arena, &out->n_fields, &out->fields))
        return NULL;
    return out;
}

/* -- templates ---------------------------------------------------------------
 */

struct parse {
    struct plex_arena *arena;
    struct plex_err *err;
    const char *names[TSPACE_VARIABLES_MAX];
    uint32_t n_names;
};

static enum plex_status pattern_in(struct parse *parse, const PB(Pattern) * in,
                                   struct tspace_matcher *out);

/* Room for `n` items of `out`. */
static struct tspace_matcher *
items_make(struct parse *parse, struct tspace_matcher *out, size_t n)
{
    struct tspace_matcher *items =
        plex_wire_array(parse->arena, n, sizeof *items);

    if (items == NULL)
        (void)plex_wire_no_room(parse->err);
    out->items = items;
    out->n_items = (uint32_t)n;
    return items;
}

static enum plex_status
patterns_in(struct parse *parse, PB(Pattern) * *in, size_t n,
            struct tspace_matcher *out)
{
    struct tspace_matcher *items;

    if (n == 0 || n > TSPACE_FIELDS_MAX)
        return plex_err_set(parse->err, PLEX_INVALID,
                            "it has %zu fields, 1 to %d are allowed", n,
                            TSPACE_FIELDS_MAX);
    items = items_make(parse, out, n);
    if (items == NULL)
        return parse->err->status;
    for (size_t i = 0; i < n; i++)
        if (pattern_in(parse, in[i], &items[i]) != PLEX_OK)
            return plex_err_wrap(parse->err, "field %zu", i);
    return PLEX_OK;
}

static enum plex_status
value_pattern(struct parse *parse, enum tspace_match kind, const PB(Field) * in,
              struct tspace_matcher *out)
{
    out->kind = kind;
    return tspace_wire_value(in, parse->arena, &out->value, parse->err);
}

static enum plex_status
bound_in(struct parse *parse, const PB(Field) * open, const PB(Field) * closed,
         const char *which, struct tspace_bound *out)
{
    if (open != NULL && closed != NULL)
        return plex_err_set(parse->err, PLEX_INVALID,
                            "a range has two %s bounds", which);
    out->open = open != NULL;
    out->set = open != NULL || closed != NULL;
    return out->set ? tspace_wire_value(open != NULL ? open : closed,
                                        parse->arena, &out->value, parse->err)
                    : PLEX_OK;
}

static enum plex_status
range_in(struct parse *parse, const PB(Range) * in, struct tspace_matcher *out)
{
    out->kind = TSPACE_RANGE;
    if (bound_in(parse, in->gt, in->gte, "lower", &out->low) != PLEX_OK)
        return parse->err->status;
    return bound_in(parse, in->lt, in->lte, "upper", &out->high);
}

static enum plex_status
set_in(struct parse *parse, const PB(FieldList) * in,
       struct tspace_matcher *out)
{
    struct tspace_matcher *items;

    out->kind = TSPACE_IN;
    if (in->n_fields == 0 || in->n_fields > TSPACE_IN_MAX)
        return plex_err_set(parse->err, PLEX_INVALID,
                            "\"in\" has %zu values, 1 to %d are allowed",
                            in->n_fields, TSPACE_IN_MAX);
    items = items_make(parse, out, in->n_fields);
    if (items == NULL)
        return parse->err->status;
    for (size_t i = 0; i < in->n_fields; i++)
        if (value_pattern(parse, TSPACE_EXACT, in->fields[i], &items[i]) !=
            PLEX_OK)
            return parse->err->status;
    return PLEX_OK;
}

static enum plex_status
not_in(struct parse *parse, const PB(Pattern) * in, struct tspace_matcher *out)
{
    struct tspace_matcher *item;

    out->kind = TSPACE_NOT;
    item = items_make(parse, out, 1);
    return item == NULL ? parse->err->status : pattern_in(parse, in, item);
}

static enum plex_status
bind_in(struct parse *parse, const char *name, struct tspace_matcher *out)
{
    const size_t len = strlen(name);
    uint32_t i = 0;

    if (len == 0 || len > VARIABLE_NAME_MAX)
        return plex_err_set(parse->err, PLEX_INVALID,
                            "a variable has %zu characters, 1 to %d are "
                            "allowed",
                            len, VARIABLE_NAME_MAX);
    while (i < parse->n_names && strcmp(parse->names[i], name) != 0)
        i++;
    if (i == TSPACE_VARIABLES_MAX)
        return plex_err_set(parse->err, PLEX_INVALID, "more than %d variables",
                            TSPACE_VARIABLES_MAX);
    if (i == parse->n_names)
        parse->names[parse->n_names++] = name;
    out->kind = TSPACE_BIND;
    out->variable = i;
    return PLEX_OK;
}

static enum plex_status
pattern_in(struct parse *parse, const PB(Pattern) * in,
           struct tspace_matcher *out)
{
    switch (in->kind_case) {
    case KIND(EXACT):
        return value_pattern(parse, TSPACE_EXACT, in->exact, out);
    case KIND(TYPE):
        out->kind = TSPACE_OF_TYPE;
        out->type = (enum tspace_type)in->type;
        return PLEX_OK;
    case KIND(RANGE):
        return range_in(parse, in->range, out);
    case KIND(PREFIX):
        return value_pattern(parse, TSPACE_PREFIX, in->prefix, out);
    case KIND(SUFFIX):
        return value_pattern(parse, TSPACE_SUFFIX, in->suffix, out);
    case KIND(CONTAINS):
        return value_pattern(parse, TSPACE_CONTAINS, in->contains, out);
    case KIND(REGEX):
        out->kind = TSPACE_REGEX;
        out->value.type = TSPACE_STRING;
        out->value.bytes.data = (const uint8_t *)in->regex;
        out->value.bytes.len = strlen(in->regex);
        return PLEX_OK;
    case KIND(IN):
        return set_in(parse, in->in, out);
    case KIND(NOT):
        return not_in(parse, in->not_, out);
    case KIND(TUPLE):
        out->kind = TSPACE_NESTED;
        return patterns_in(parse, in->tuple->fields, in->tuple->n_fields, out);
    case KIND(ALL):
        out->kind = TSPACE_ALL;
        return patterns_in(parse, in->all->fields, in->all->n_fields, out);
    case KIND(BIND):
        return bind_in(parse, in->bind, out);
    case KIND(_NOT_SET):
    default:
        out->kind = TSPACE_ANY;
        return PLEX_OK;
    }
}

enum plex_status
tspace_wire_template(const PB(Template) * in, struct plex_arena *arena,
                     struct tspace_template **out, struct plex_err *err)
{
    struct parse parse = {.arena = arena, .err = err};
    struct tspace_matcher top = {.kind = TSPACE_NESTED};

    if (in != NULL && in->n_fields > 0 &&
        patterns_in(&parse, in->fields, in->n_fields, &top) != PLEX_OK)
        return plex_err_wrap(err, "template");
    if (tspace_template_create(out, top.items, top.n_items, err) != PLEX_OK)
        return plex_err_wrap(err, "template");
    return PLEX_OK;
}
