/* The JSON form: templates. */
#include "services/tuplespace/client_json.h"

#include <stdio.h>
#include <string.h>

#define KIND(name) PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_##name

/* The members of one object, each a pattern of its own. */
enum { MEMBERS_MAX = 13 };
struct members {
    PB(Pattern) * at[MEMBERS_MAX];
    size_t n;
    PB(Range) * range; /* all bounds are one */
};

struct member {
    const char *name;
    enum plex_status (*read)(struct tspace_json *in, const json_t *json,
                             PB(Pattern) * out);
};

static enum plex_status
refuse(struct tspace_json *in, const char *text)
{
    return plex_err_set(in->err, PLEX_INVALID, "%s", text);
}

/* -- one member ---------------------------------------------------------------
 */

static enum plex_status
any_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    (void)out;
    return json_is_true(json) ? PLEX_OK
                              : refuse(in, "\"any\" can only be true");
}

static enum plex_status
type_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    static const struct {
        const char *name;
        Plexspaces__Tuplespace__V1__FieldType type;
    } types[] = {
        {"int64", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_INTEGER},
        {"double", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_FLOAT},
        {"string", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_STRING},
        {"bool", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_BOOLEAN},
        {"bytes", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_BINARY},
        {"null", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_NULL},
        {"tuple", PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_TUPLE},
    };
    const char *name = json_string_value(json);

    for (size_t i = 0; name != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) {
            out->kind_case = KIND(TYPE);
            out->type = types[i].type;
            return PLEX_OK;
        }
    return refuse(in, "\"type\" must be \"int64\", \"double\", \"string\", "
                      "\"bool\", \"bytes\", \"null\" or \"tuple\"");
}

static PB(Field) * value_in(struct tspace_json *in, const json_t *json)
{
    PB(Field) *field = tspace_json_alloc(in, sizeof *field);

    if (field == NULL)
        return NULL;
    plexspaces__tuplespace__v1__field__init(field);
    return tspace_json_field(in, json, field) == PLEX_OK ? field : NULL;
}

static enum plex_status
exact_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(EXACT);
    out->exact = value_in(in, json);
    return out->exact != NULL ? PLEX_OK : in->err->status;
}

static enum plex_status
prefix_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(PREFIX);
    out->prefix = value_in(in, json);
    return out->prefix != NULL ? PLEX_OK : in->err->status;
}

static enum plex_status
suffix_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(SUFFIX);
    out->suffix = value_in(in, json);
    return out->suffix != NULL ? PLEX_OK : in->err->status;
}

static enum plex_status
contains_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(CONTAINS);
    out->contains = value_in(in, json);
    return out->contains != NULL ? PLEX_OK : in->err->status;
}

static enum plex_status
text_in(struct tspace_json *in, const json_t *json, const char *name,
        char **out)
{
    if (!json_is_string(json))
        return plex_err_set(in->err, PLEX_INVALID, "\"%s\" must be text", name);
    *out = tspace_json_alloc(in, json_string_length(json) + 1);
    if (*out == NULL)
        return in->err->status;
    memcpy(*out, json_string_value(json), json_string_length(json) + 1);
    return PLEX_OK;
}

static enum plex_status
regex_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(REGEX);
    return text_in(in, json, "regex", &out->regex);
}

static enum plex_status
bind_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(BIND);
    return text_in(in, json, "bind", &out->bind);
}

static enum plex_status
in_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    PB(FieldList) *list = tspace_json_alloc(in, sizeof *list);

    if (list == NULL)
        return in->err->status;
    plexspaces__tuplespace__v1__field_list__init(list);
    out->kind_case = KIND(IN);
    out->in = list;
    return tspace_json_fields(in, json, &list->n_fields, &list->fields);
}

static enum plex_status
not_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(NOT);
    out->not_ = tspace_json_alloc(in, sizeof *out->not_);
    if (out->not_ == NULL)
        return in->err->status;
    plexspaces__tuplespace__v1__pattern__init(out->not_);
    return tspace_json_pattern(in, json, out->not_);
}

static enum plex_status
nested_in(struct tspace_json *in, const json_t *json, PB(Template) * *out)
{
    *out = tspace_json_alloc(in, sizeof **out);
    if (*out == NULL)
        return in->err->status;
    plexspaces__tuplespace__v1__template__init(*out);
    return tspace_json_template(in, json, *out);
}

static enum plex_status
all_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(ALL);
    return nested_in(in, json, &out->all);
}

static enum plex_status
tuple_in(struct tspace_json *in, const json_t *json, PB(Pattern) * out)
{
    out->kind_case = KIND(TUPLE);
    return nested_in(in, json, &out->tuple);
}

static const struct member known[] = {
    {"any", any_in},       {"type", type_in},     {"exact", exact_in},
    {"prefix", prefix_in}, {"suffix", suffix_in}, {"contains", contains_in},
    {"regex", regex_in},   {"bind", bind_in},     {"in", in_in},
    {"not", not_in},       {"all", all_in},       {"tuple", tuple_in},
    {NULL, NULL},
};

/* -- an object ----------------------------------------------------------------
 */

static PB(Pattern) *
    pattern_add(struct tspace_json *in, struct members *members)
{
    PB(Pattern) *pattern = tspace_json_alloc(in, sizeof *pattern);

    if (pattern == NULL)
        return NULL;
    plexspaces__tuplespace__v1__pattern__init(pattern);
    members->at[members->n++] = pattern;
    return pattern;
}

static enum plex_status
range_add(struct tspace_json *in, const char *name, const json_t *json,
          struct members *members)
{
    PB(Pattern) * pattern;
    PB(Field) * *bound;

    if (members->range == NULL) {
        pattern = pattern_add(in, members);
        members->range = tspace_json_alloc(in, sizeof *members->range);
        if (pattern == NULL || members->range == NULL)
            return in->err->status;
        plexspaces__tuplespace__v1__range__init(members->range);
        pattern->kind_case = KIND(RANGE);
        pattern->range = members->range;
    }
    bound = name[0] == 'g'
                ? (name[2] == 'e' ? &members->range->gte : &members->range->gt)
                : (name[2] == 'e' ? &members->range->lte : &members->range->lt);
    *bound = value_in(in, json);
    return *bound != NULL ? PLEX_OK : in->err->status;
}

static bool
is_bound(const char *name)
{
    return strcmp(name, "gt") == 0 || strcmp(name, "gte") == 0 ||
           strcmp(name, "lt") == 0 || strcmp(name, "lte") == 0;
}

static enum plex_status
member_add(struct tspace_json *in, const char *name, const json_t *json,
           struct members *members)
{
    const struct member *member = known;
    PB(Pattern) * pattern;

    if (is_bound(name))
        return range_add(in, name, json, members);
    while (member->name != NULL && strcmp(member->name, name) != 0)
        member++;
    if (member->name == NULL)
        return plex_err_set(in->err, PLEX_INVALID,
                            "\"%.40s\" is not a matcher; there are any, type, "
                            "gt, gte, lt, lte, prefix, suffix, contains, "
                            "regex, in, not, bind, all, tuple, bytes, int, "
                            "float",
                            name);
    pattern = pattern_add(in, members);
    return pattern != NULL ? member->read(in, json, pattern) : in->err->status;
}

static enum plex_status
object_in(struct tspace_json *in, json_t *json, PB(Pattern) * out)
{
    struct members members = {.n = 0};
    PB(Template) * all;

    if (json_object_size(json) == 0 || json_object_size(json) > MEMBERS_MAX)
        return refuse(in, "is an object without a matcher, such as "
                          "{\"any\": true} or {\"gt\": 1}");
    for (void *it = json_object_iter(json); it != NULL;
         it = json_object_iter_next(json, it))
        if (member_add(in, json_object_iter_key(it), json_object_iter_value(it),
                       &members) != PLEX_OK)
            return in->err->status;
    if (members.n == 1) {
        *out = *members.at[0];
        return PLEX_OK;
    }
    all = tspace_json_alloc(in, sizeof *all);
    if (all == NULL)
        return in->err->status;
    plexspaces__tuplespace__v1__template__init(all);
    all->fields = tspace_json_alloc(in, members.n * sizeof *all->fields);
    if (all->fields == NULL)
        return in->err->status;
    memcpy(all->fields, members.at, members.n * sizeof *all->fields);
    all->n_fields = members.n;
    out->kind_case = KIND(ALL);
    out->all = all;
    return PLEX_OK;
}

enum plex_status
tspace_json_pattern(struct tspace_json *in, const json_t *json,
                    PB(Pattern) * out)
{
    enum plex_status status;

    /* A nested tuple is matched field by field: its fields may be matchers. */
    if (!json_is_object(json) ||
        (tspace_json_is_value(json) && json_object_get(json, "tuple") == NULL))
        return exact_in(in, json, out);
    if (in->depth >= TSPACE_JSON_DEPTH_MAX)
        return plex_err_set(in->err, PLEX_INVALID,
                            "has matchers within matchers, at most %d are "
                            "allowed",
                            TSPACE_JSON_DEPTH_MAX);
    in->depth++;
    status = object_in(in, (json_t *)(uintptr_t)json, out);
    in->depth--;
    return status;
}

enum plex_status
tspace_json_template(struct tspace_json *in, const json_t *json,
                     PB(Template) * out)
{
    const size_t n = json_array_size(json);
    PB(Pattern) * patterns;

    /* At the top, an empty one stands for everything. */
    if (in->depth == 0 && json_is_array(json) && n == 0)
        return PLEX_OK;
    if (tspace_json_list(in, json, "fields") != PLEX_OK)
        return in->err->status;
    patterns = tspace_json_alloc(in, n * sizeof *patterns);
    out->fields = tspace_json_alloc(in, n * sizeof *out->fields);
    if (patterns == NULL || out->fields == NULL)
        return in->err->status;
    for (size_t i = 0; i < n; i++) {
        plexspaces__tuplespace__v1__pattern__init(&patterns[i]);
        out->fields[i] = &patterns[i];
        if (tspace_json_pattern(in, json_array_get(json, i), &patterns[i]) !=
            PLEX_OK)
            return plex_err_wrap(in->err, "field %zu", i);
    }
    out->n_fields = n;
    return PLEX_OK;
}
