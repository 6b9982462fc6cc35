/* Types of facets and what manifests say about them. */
#include "runtime/facet_private.h"

#include "common/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- names ----------------------------------------------------------------- */

/* Changed, added and lost characters, of short words; the beginning of a word
 * is near to it. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[64], columns = strlen(b);

    if (columns >= 63 || strlen(a) >= 63)
        return SIZE_MAX;
    if (a[0] != '\0' && strncmp(a, b, strlen(a)) == 0)
        return 1;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[columns];
}

static const struct plex_facet_type *
builtin_find(const char *name)
{
    for (size_t i = 0; rt_facet_builtin[i] != NULL; i++)
        if (strcmp(rt_facet_builtin[i]->name, name) == 0)
            return rt_facet_builtin[i];
    return NULL;
}

const struct plex_facet_type *
rt_facet_type(const struct rt_facet_types *types, const char *name)
{
    const char *slash = strchr(name, '/');

    if (slash == NULL)
        return builtin_find(name);
    for (size_t i = 0; types != NULL && i < types->n_modules; i++) {
        const struct rt_facet_module *module = &types->modules[i];

        if (strlen(module->module) != (size_t)(slash - name) ||
            memcmp(module->module, name, (size_t)(slash - name)) != 0)
            continue;
        for (const struct plex_facet_type *type = module->types;
             type->name != NULL; type++)
            if (strcmp(type->name, slash + 1) == 0)
                return type;
    }
    return NULL;
}

static enum plex_status
type_unknown(const char *name, struct plex_err *err)
{
    const char *nearest = rt_facet_builtin[0]->name;

    if (strchr(name, '/') != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "facet \"%.64s\" is not in any loaded module",
                            name);
    for (size_t i = 0; rt_facet_builtin[i] != NULL; i++)
        if (distance(name, rt_facet_builtin[i]->name) < distance(name, nearest))
            nearest = rt_facet_builtin[i]->name;
    return plex_err_set(err, PLEX_INVALID,
                        "facet \"%.64s\" is unknown; the nearest is \"%s\"",
                        name, nearest);
}

static bool
is_module_facet(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    const size_t module = strspn(name, letters);
    const size_t facet =
        name[module] == '/' ? strspn(name + module + 1, letters) : 0;

    return module > 0 && facet > 0 && islower((unsigned char)name[0]) &&
           islower((unsigned char)name[module + 1]) &&
           name[module + 1 + facet] == '\0' && module + facet < 64;
}

/* -- values ---------------------------------------------------------------- */

/* Digits only; false past 18 of them. */
static bool
number_parse(const char *text, size_t len, uint64_t *out)
{
    *out = 0;
    if (len == 0 || len > 18)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

enum plex_status
rt_facet_duration(const char *text, uint64_t *ms, struct plex_err *err)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1},      {"ms", 1},      {"s", 1000},
                 {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const uint64_t max = 30ULL * 86400000;
    const size_t digits = strspn(text, "0123456789");
    uint64_t number;

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text + digits, units[i].unit) == 0 &&
            number_parse(text, digits, &number) &&
            number <= max / units[i].ms) {
            *ms = number * units[i].ms;
            return PLEX_OK;
        }
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is not a duration like \"250ms\", \"30s\" "
                        "or \"5m\", at most 30 days",
                        text);
}

static enum plex_status
range_check(const struct plex_facet_key *key, uint64_t value, const char *unit,
            struct plex_err *err)
{
    if (value >= key->min && (key->max == 0 || value <= key->max))
        return PLEX_OK;
    if (key->max == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "%" PRIu64 "%s is too little, at least %" PRIu64
                            " is needed",
                            value, unit, key->min);
    return plex_err_set(err, PLEX_INVALID,
                        "%" PRIu64 "%s is out of range, it must be %" PRIu64
                        " to %" PRIu64,
                        value, unit, key->min, key->max);
}

static enum plex_status
choice_parse(const struct plex_facet_key *key, const char *text, uint32_t *out,
             struct plex_err *err)
{
    const char *at = key->choices;
    uint32_t which = 0;

    for (;; which++) {
        const size_t len = strcspn(at, "|");

        if (strlen(text) == len && memcmp(at, text, len) == 0) {
            *out = which;
            return PLEX_OK;
        }
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is none of its values: %s", text,
                        key->choices);
}

static enum plex_status
ratio_parse(const char *text, double *out, struct plex_err *err)
{
    char *end;

    *out = strtod(text, &end);
    if (text[0] != '\0' && strspn(text, "0123456789.") == strlen(text) &&
        *end == '\0' && *out >= 0 && *out <= 1)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is not a number from 0 to 1", text);
}

/* Into `to`, or only checked when it is NULL. Texts are borrowed. */
static enum plex_status
value_parse(const struct plex_facet_key *key, const char *text, void *to,
            struct plex_err *err)
{
    uint64_t number = 0;
    uint32_t choice = 0;
    double ratio = 0;
    bool yes;

    switch (key->kind) {
    case PLEX_FACET_TEXT:
        if (range_check(key, strlen(text), " bytes", err) == PLEX_OK)
            memcpy(to, &text, sizeof text);
        return err->status;
    case PLEX_FACET_NUMBER:
        if (!number_parse(text, strlen(text), &number))
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.32s\" is not a whole number", text);
        if (range_check(key, number, "", err) == PLEX_OK)
            memcpy(to, &number, sizeof number);
        return err->status;
    case PLEX_FACET_SECONDS:
        if (!number_parse(text, strlen(text), &number))
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.32s\" is not a number of seconds", text);
        if (range_check(key, number, " s", err) == PLEX_OK) {
            number *= 1000;
            memcpy(to, &number, sizeof number);
        }
        return err->status;
    case PLEX_FACET_DURATION:
        if (rt_facet_duration(text, &number, err) == PLEX_OK &&
            range_check(key, number, " ms", err) == PLEX_OK)
            memcpy(to, &number, sizeof number);
        return err->status;
    case PLEX_FACET_BOOL:
        yes = strcmp(text, "true") == 0;
        if (!yes && strcmp(text, "false") != 0)
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.32s\" is not \"true\" or \"false\"", text);
        memcpy(to, &yes, sizeof yes);
        return PLEX_OK;
    case PLEX_FACET_RATIO:
        if (ratio_parse(text, &ratio, err) == PLEX_OK)
            memcpy(to, &ratio, sizeof ratio);
        return err->status;
    case PLEX_FACET_CHOICE:
        if (choice_parse(key, text, &choice, err) == PLEX_OK)
            memcpy(to, &choice, sizeof choice);
        return err->status;
    }
    return plex_err_set(err, PLEX_INTERNAL, "key %s has an unknown kind",
                        key->name);
}

/* -- one facet ------------------------------------------------------------- */

static const struct plex_facet_key *
key_find(const struct plex_facet_type *type, const char *name)
{
    for (const struct plex_facet_key *key = type->keys;
         key != NULL && key->name != NULL; key++)
        if (strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

static enum plex_status
key_unknown(const struct plex_facet_type *type, const char *name,
            struct plex_err *err)
{
    const char *nearest;

    if (type->keys == NULL || type->keys[0].name == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "config.%.32s is unknown; %s knows no "
                            "configuration",
                            name, type->name);
    nearest = type->keys[0].name;
    for (const struct plex_facet_key *key = type->keys; key->name != NULL;
         key++)
        if (distance(name, key->name) < distance(name, nearest))
            nearest = key->name;
    return plex_err_set(err, PLEX_INVALID,
                        "config.%.32s is unknown to %s; the nearest is \"%s\"",
                        name, type->name, nearest);
}

static const char *
pair_find(const struct rt_facet_spec *spec, const char *key)
{
    for (size_t i = 0; i < spec->n_config; i++)
        if (strcmp(spec->config[i].key, key) == 0)
            return spec->config[i].value;
    return NULL;
}

static enum plex_status
pairs_check(const struct plex_facet_type *type,
            const struct rt_facet_spec *spec, struct plex_err *err)
{
    if (spec->priority > RT_FACET_PRIORITY_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "priority is %u, it must be 1 to %d",
                            spec->priority, RT_FACET_PRIORITY_MAX);
    if (spec->n_config > RT_FACET_PAIRS)
        return plex_err_set(err, PLEX_INVALID,
                            "config has %zu entries, at most %d",
                            spec->n_config, RT_FACET_PAIRS);
    for (size_t i = 0; i < spec->n_config; i++) {
        const struct plex_facet_pair *pair = &spec->config[i];

        if (key_find(type, pair->key) == NULL)
            return key_unknown(type, pair->key, err);
        if (strlen(pair->value) > RT_FACET_VALUE_MAX)
            return plex_err_set(
                err, PLEX_INVALID, "config.%s has %zu bytes, at most %d",
                pair->key, strlen(pair->value), RT_FACET_VALUE_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp(spec->config[j].key, pair->key) == 0)
                return plex_err_set(err, PLEX_INVALID,
                                    "config.%s is given twice", pair->key);
    }
    return PLEX_OK;
}

static bool
is_alias(const struct plex_facet_key *key)
{
    return key->initial != NULL && strcmp(key->initial, PLEX_FACET_ALIAS) == 0;
}

/* Another name of `key` that is given, too; NULL: none. */
static const char *
given_as(const struct plex_facet_type *type, const struct rt_facet_spec *spec,
         const struct plex_facet_key *key)
{
    for (const struct plex_facet_key *other = type->keys; other != key; other++)
        if (other->offset == key->offset &&
            pair_find(spec, other->name) != NULL)
            return other->name;
    return NULL;
}

/* Given values are copied behind the struct, defaults are constants. */
static enum plex_status
values_parse(const struct plex_facet_type *type,
             const struct rt_facet_spec *spec, unsigned char *values,
             struct plex_err *err)
{
    char *texts = (char *)values + type->config_size;

    for (const struct plex_facet_key *key = type->keys;
         key != NULL && key->name != NULL; key++) {
        const char *text = pair_find(spec, key->name);

        if (is_alias(key) && text == NULL)
            continue;
        if (is_alias(key) && given_as(type, spec, key) != NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "config.%s says the same as config.%s: give "
                                "one of the two",
                                key->name, given_as(type, spec, key));
        if (text == NULL && key->initial == NULL)
            return plex_err_set(err, PLEX_INVALID, "config.%s is missing",
                                key->name);
        err->status = PLEX_OK;
        if (text == NULL) {
            text = key->initial;
        } else {
            const size_t size = strlen(text) + 1;

            text = memcpy(texts, text, size);
            texts += size;
        }
        if (value_parse(key, text, values + key->offset, err) != PLEX_OK)
            return plex_err_wrap(err, "config.%s", key->name);
    }
    return PLEX_OK;
}

enum plex_status
rt_facet_config_make(const struct rt_facet_types *types,
                     const struct rt_facet_spec *spec,
                     struct rt_facet_config *out, struct plex_err *err)
{
    const struct plex_facet_type *type = rt_facet_type(types, spec->type);
    char why[PLEX_ERR_TEXT_MAX] = "";
    size_t size;

    *out = (struct rt_facet_config){.type = type};
    if (type == NULL)
        return type_unknown(spec->type, err);
    if (pairs_check(type, spec, err) != PLEX_OK)
        return plex_err_wrap(err, "facet %s", type->name);
    size = type->config_size + 1;
    for (size_t i = 0; i < spec->n_config; i++)
        size += strlen(spec->config[i].value) + 1;
    out->values = plex_calloc(1, size);
    out->priority = spec->priority == 0 ? type->priority : spec->priority;
    (void)snprintf(out->name, sizeof out->name, "%s", spec->type);
    if (values_parse(type, spec, out->values, err) == PLEX_OK &&
        type->check != NULL && type->check(out->values, why, sizeof why) != 0)
        (void)plex_err_set(err, PLEX_INVALID, "%s", why);
    if (err->status == PLEX_OK)
        return PLEX_OK;
    rt_facet_config_fini(out);
    return plex_err_wrap(err, "facet %s", type->name);
}

void
rt_facet_config_fini(struct rt_facet_config *config)
{
    free(config->values);
    config->values = NULL;
}

enum plex_status
rt_facet_check(const struct rt_facet_types *types,
               const struct rt_facet_spec *spec, bool lenient,
               struct plex_err *err)
{
    struct rt_facet_config config;

    err->status = PLEX_OK;
    if (lenient && strchr(spec->type, '/') != NULL &&
        rt_facet_type(types, spec->type) == NULL) {
        if (is_module_facet(spec->type))
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "facet \"%.64s\" is not written as "
                            "\"module/facet\" in lower case",
                            spec->type);
    }
    if (rt_facet_config_make(types, spec, &config, err) != PLEX_OK)
        return err->status;
    rt_facet_config_fini(&config);
    return PLEX_OK;
}

/* -- plans ----------------------------------------------------------------- */

enum plex_status
rt_facet_plan_create(const struct rt_facet_types *types,
                     const struct rt_facet_spec *specs, size_t n,
                     struct rt_facet_plan **out, struct plex_err *err)
{
    struct rt_facet_plan *plan = plex_calloc(1, sizeof *plan);

    err->status = PLEX_OK;
    for (size_t i = 0; i < n && err->status == PLEX_OK; i++) {
        struct rt_facet_config config;
        size_t at = plan->n;

        if (plan->n == RT_FACETS_MAX) {
            (void)plex_err_set(err, PLEX_LIMIT, "%zu facets, at most %d", n,
                               RT_FACETS_MAX);
        } else if (rt_facet_plan_config(plan, specs[i].type) != NULL) {
            (void)plex_err_set(err, PLEX_EXISTS, "facet %s is given twice",
                               specs[i].type);
        } else if (rt_facet_config_make(types, &specs[i], &config, err) ==
                   PLEX_OK) {
            for (; at > 0 && plan->at[at - 1].priority < config.priority; at--)
                plan->at[at] = plan->at[at - 1];
            plan->at[at] = config;
            plan->n++;
        }
    }
    if (err->status != PLEX_OK) {
        rt_facet_plan_free(plan);
        return err->status;
    }
    *out = plan;
    return PLEX_OK;
}

void
rt_facet_plan_free(struct rt_facet_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->n; i++)
        rt_facet_config_fini(&plan->at[i]);
    free(plan);
}

const void *
rt_facet_plan_config(const struct rt_facet_plan *plan, const char *type)
{
    for (size_t i = 0; plan != NULL && i < plan->n; i++)
        if (strcmp(plan->at[i].name, type) == 0)
            return plan->at[i].values;
    return NULL;
}
