/* What a person may deploy: every rule names the field and says what would be
 * right. */
#include "services/registry/core_private.h"
#include "services/registry/facet.h"
#include "services/registry/tree.h"

#include "common/name.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION_MAX = 64,
    MODULE_MAX = 64,
    IDLE_DEFAULT_MS = 300000,
    MAILBOX_DEFAULT = 10000,
    MAILBOX_MAX = 1000000,
    SNAPSHOT_DEFAULT = 1000,
    SNAPSHOT_MAX = 1000000,
    PRIORITY_MAX = 10000,
    LOCAL_MAX = 1000,
    CPU_MAX = 1024,
};
static const uint64_t idle_max_ms = 30ULL * 24 * 3600 * 1000;
static const uint64_t memory_max = 1ULL << 50;

static const char *
or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* -- semantic version ------------------------------------------------------ */

/* One dot-separated list of identifiers; `numeric` ones are digits without a
 * leading zero, exactly `count` of them (0: any number). */
static const char *
identifiers(const char *at, bool numeric, unsigned count)
{
    unsigned n = 0;

    for (;; at++) {
        const char *begin = at;
        bool digits = true;

        while (isalnum((unsigned char)*at) || *at == '-')
            digits = isdigit((unsigned char)*at++) && digits;
        if (at == begin || (numeric && !digits) ||
            (numeric && *begin == '0' && at - begin > 1))
            return NULL;
        n++;
        if (*at != '.' || n == count)
            return count == 0 || n == count ? at : NULL;
    }
}

static bool
is_semver(const char *version)
{
    const char *at = version;
    size_t core = strcspn(version, "-+");
    char numbers[VERSION_MAX + 1];

    memcpy(numbers, version, core);
    numbers[core] = '\0';
    at = identifiers(numbers, true, 3);
    if (at == NULL || *at != '\0')
        return false;
    at = version + core;
    if (*at == '-' && (at = identifiers(at + 1, false, 0)) == NULL)
        return false;
    if (*at == '+' && (at = identifiers(at + 1, false, 0)) == NULL)
        return false;
    return *at == '\0';
}

static enum plex_status
version_check(const char *version, struct plex_err *err)
{
    if (version[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "version is missing; give one like \"1.0.0\"");
    if (strlen(version) > VERSION_MAX || !is_semver(version))
        return plex_err_set(err, PLEX_INVALID,
                            "version \"%.64s\" is not a semantic version like "
                            "\"1.4.0\" or \"2.0.0-rc.1\" (at most %d bytes)",
                            version, VERSION_MAX);
    return PLEX_OK;
}

/* -- types ----------------------------------------------------------------- */

static enum plex_status
word_check(const char *field, const char *text, size_t max, const char *more,
           struct plex_err *err)
{
    const size_t len = strlen(text);

    if (len == 0 || len > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s must be 1 to %zu bytes, not %zu", field, max,
                            len);
    for (size_t i = 0; i < len; i++)
        if (!islower((unsigned char)text[i]) &&
            !isdigit((unsigned char)text[i]) && strchr(more, text[i]) == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "%s \"%.64s\" may only hold lower-case "
                                "letters, digits and \"%s\"",
                                field, text, more);
    return PLEX_OK;
}

static enum plex_status
module_check(const char *module, struct plex_err *err)
{
    if (module[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "module is missing; give the module's file name "
                            "without folder or \".so\"");
    if (strchr(module, '/') != NULL || strchr(module, '.') != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "module \"%.64s\" must be a file name without "
                            "folder or \".so\"; it is looked up in the "
                            "workers' module folder",
                            module);
    return word_check("module", module, MODULE_MAX, "_-", err);
}

static enum plex_status
behaviour_check(const char *behaviour, struct plex_err *err)
{
    const size_t len = strlen(behaviour);

    if (len > PLEX_TYPE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "behaviour must be at most %d bytes, not %zu",
                            PLEX_TYPE_MAX, len);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)behaviour[i]) &&
            strchr("_-.", behaviour[i]) == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "behaviour \"%.64s\" may only hold letters, "
                                "digits and \"_-.\"",
                                behaviour);
    return PLEX_OK;
}

static enum plex_status
number_check(const char *field, uint64_t value, uint64_t max,
             struct plex_err *err)
{
    if (value > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is %" PRIu64 ", the most is %" PRIu64, field,
                            value, max);
    return PLEX_OK;
}

static enum plex_status
extra_check(const struct reg_type_extra *extra, struct plex_err *err)
{
    if (!(extra->cpu_cores >= 0 && extra->cpu_cores <= CPU_MAX))
        return plex_err_set(err, PLEX_INVALID,
                            "resources.cpu_cores must be 0 to %d", CPU_MAX);
    if (number_check("resources.memory_bytes", extra->memory_bytes, memory_max,
                     err) != PLEX_OK)
        return err->status;
    if (extra->n_facets > REG_FACETS_MAX)
        return plex_err_set(err, PLEX_INVALID, "facets are %zu, at most %d",
                            extra->n_facets, REG_FACETS_MAX);
    for (size_t i = 0; i < extra->n_facets; i++) {
        const struct reg_facet *facet = &extra->facets[i];

        if (reg_facet_check(facet, err) != PLEX_OK)
            return plex_err_wrap(err, "facets[%zu]", i);
        if (facet->priority > PRIORITY_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "facets[%zu].priority is %u, the most is %d", i,
                                facet->priority, PRIORITY_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp(extra->facets[j].type, facet->type) == 0)
                return plex_err_set(err, PLEX_INVALID,
                                    "facets[%zu] repeats \"%s\"", i,
                                    facet->type);
    }
    return PLEX_OK;
}

static enum plex_status
type_check(const struct reg_actor_type *type, struct plex_err *err)
{
    const char *name = or_empty(type->name);
    const char *pool = or_empty(type->pool);

    if (plex_name_type(name, strlen(name), err) != PLEX_OK)
        return plex_err_wrap(err, "name");
    if (module_check(or_empty(type->module), err) != PLEX_OK ||
        behaviour_check(or_empty(type->behaviour), err) != PLEX_OK ||
        number_check("idle_timeout_ms", type->idle_timeout_ms, idle_max_ms,
                     err) != PLEX_OK ||
        number_check("mailbox_max", type->mailbox_max, MAILBOX_MAX, err) !=
            PLEX_OK ||
        number_check("snapshot_every", type->snapshot_every, SNAPSHOT_MAX,
                     err) != PLEX_OK)
        return err->status;
    if (pool[0] != '\0' &&
        plex_name_plain("pool", pool, strlen(pool), err) != PLEX_OK)
        return err->status;
    if (pool[0] != '\0' && strcmp(pool, "default") != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "pool is \"%s\", and calls go to the pool "
                            "\"default\" alone: leave it out",
                            pool);
    return PLEX_OK;
}

/* What keeps something has no place in a type whose activations come and go
 * with the work. */
static enum plex_status
stateless_check(const struct reg_actor_type *type,
                const struct reg_type_extra *extra, struct plex_err *err)
{
    if (!type->stateless)
        return PLEX_OK;
    if (number_check("stateless.max_local", type->max_local, LOCAL_MAX, err) !=
        PLEX_OK)
        return err->status;
    for (size_t i = 0; extra != NULL && i < extra->n_facets; i++)
        if (reg_facet_stateless_check(&extra->facets[i], err) != PLEX_OK)
            return plex_err_wrap(err, "facets[%zu]", i);
    if (type->durable || type->snapshot_every != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "%s keeps state, and the type is stateless: leave "
                            "out one of the two",
                            type->durable ? "durable" : "snapshot_every");
    return PLEX_OK;
}

/* Which earlier type has the same name? An open hash keeps 1000 types cheap.
 */
static size_t
duplicate_of(const struct reg_app *app, size_t i, uint16_t *slots)
{
    const char *name = app->types[i].name;
    unsigned hash = 2166136261U;

    for (const char *at = name; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    for (hash %= 2048; slots[hash] != 0; hash = (hash + 1) % 2048)
        if (strcmp(app->types[slots[hash] - 1].name, name) == 0)
            return (size_t)slots[hash] - 1;
    slots[hash] = (uint16_t)(i + 1);
    return i;
}

static enum plex_status
types_check(const struct reg_app_full *in, struct plex_err *err)
{
    uint16_t slots[2048] = {0};

    _Static_assert(REG_TYPES_MAX < 2048, "the hash above must have room");
    if ((in->app.n_types == 0 && in->app.supervisor == NULL) ||
        in->app.n_types > REG_TYPES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "actor_types must be 1 to %d, not %zu",
                            REG_TYPES_MAX, in->app.n_types);
    for (size_t i = 0; i < in->app.n_types; i++) {
        size_t first;

        if (type_check(&in->app.types[i], err) != PLEX_OK ||
            (in->extras != NULL &&
             extra_check(&in->extras[i], err) != PLEX_OK) ||
            stateless_check(&in->app.types[i],
                            in->extras == NULL ? NULL : &in->extras[i],
                            err) != PLEX_OK)
            return plex_err_wrap(err, "actor_types[%zu]", i);
        first = duplicate_of(&in->app, i, slots);
        if (first != i)
            return plex_err_set(err, PLEX_INVALID,
                                "actor_types[%zu].name \"%s\" is that of "
                                "actor_types[%zu] too",
                                i, in->app.types[i].name, first);
        if (in->extras != NULL &&
            reg_facets_agree(in->extras[i].facets, in->extras[i].n_facets,
                             in->app.types[i].durable, err) != PLEX_OK)
            return plex_err_wrap(err, "actor_types[%zu]", i);
    }
    return PLEX_OK;
}

static enum plex_status
app_check(const struct reg_app_full *in, struct plex_err *err)
{
    const char *name = or_empty(in->app.name);
    const char *ns = or_empty(in->app.ns);
    const char *description = or_empty(in->app.description);

    if (plex_name_plain("name", name, strlen(name), err) != PLEX_OK ||
        version_check(or_empty(in->app.version), err) != PLEX_OK)
        return err->status;
    if (ns[0] != '\0' && plex_name_namespace(ns, strlen(ns), err) != PLEX_OK)
        return err->status;
    if (strlen(description) > REG_DESCRIPTION_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "description must be at most %d bytes, not %zu",
                            REG_DESCRIPTION_MAX, strlen(description));
    return types_check(in, err);
}

/* -- defaults -------------------------------------------------------------- */

static void
type_resolve(struct reg_actor_type *type, const struct reg_type_extra *extra)
{
    for (size_t i = 0; i < extra->n_facets; i++)
        reg_facet_apply(&extra->facets[i], type);
    if (type->behaviour[0] == '\0')
        type->behaviour = type->name;
    if (type->idle_timeout_ms == 0)
        type->idle_timeout_ms = IDLE_DEFAULT_MS;
    if (type->mailbox_max == 0)
        type->mailbox_max = MAILBOX_DEFAULT;
    if (type->snapshot_every == 0)
        type->snapshot_every = SNAPSHOT_DEFAULT;
    if (type->pool[0] == '\0')
        type->pool = "default";
}

static enum plex_status
processes_check(const struct reg_app_full *full, struct plex_err *err)
{
    const struct reg_app *app = &full->app;

    for (size_t i = 0; i < app->n_types; i++) {
        const struct reg_actor_type *type = &app->types[i];
        const struct reg_type_extra *extra = &full->extras[i];

        if (!type->is_virtual &&
            (extra->cpu_cores > 0 || extra->memory_bytes > 0))
            return plex_err_set(err, PLEX_INVALID,
                                "actor_types[%zu]: resources are what virtual "
                                "actors reserve, and the type is not virtual: "
                                "its child says placement",
                                i);

        for (size_t j = 0; j < type->n_facets && !type->is_virtual; j++)
            if (reg_facet_process_check(&type->facets[j], err) != PLEX_OK)
                return plex_err_wrap(err, "actor_types[%zu]: facets[%zu]", i,
                                     j);
    }
    return PLEX_OK;
}

enum plex_status
reg_app_resolve(const struct reg_app_full *in, struct reg_app_rec **out,
                struct plex_err *err)
{
    struct reg_app_rec *rec;

    if (app_check(in, err) != PLEX_OK)
        return err->status;
    rec = reg_app_copy(in);
    if (rec->full.app.ns[0] == '\0')
        rec->full.app.ns = "default";
    /* The copy is ours: nobody else has seen it yet. */
    for (size_t i = 0; i < rec->full.app.n_types; i++)
        type_resolve((struct reg_actor_type *)&rec->full.app.types[i],
                     &rec->full.extras[i]);
    /* Types are what they are only now: a facet may make them virtual. */
    if (processes_check(&rec->full, err) != PLEX_OK ||
        reg_tree_check(&rec->full.app, err) != PLEX_OK) {
        reg_app_rec_unref(rec);
        return err->status;
    }
    reg_tree_resolve(&rec->full.app);
    *out = rec;
    return PLEX_OK;
}
