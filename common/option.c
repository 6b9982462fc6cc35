#include "common/option.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_NAME_MAX = 64, OPTION_ENV_MAX = 160 };

static void
env_name(const char *service, const char *name, char out[OPTION_ENV_MAX])
{
    (void)snprintf(out, OPTION_ENV_MAX, "PLEXSPACES_%s%s%s", service,
                   service[0] != '\0' ? "_" : "", name);
    for (char *c = out; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (*c == '-')
            *c = '_';
    }
}

static uint64_t
number_max(const struct plex_option *option)
{
    if (option->max != 0)
        return option->max;
    return option->type == PLEX_OPTION_U32 ? UINT32_MAX : UINT64_MAX;
}

/* Digits only: strtoull alone would take signs, spaces and "". */
static bool
parse_number(const char *text, uint64_t *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static enum plex_status
set_number(const struct plex_option *option, const char *text,
           const char *source, void *target, struct plex_err *err)
{
    const uint64_t max = number_max(option);
    uint64_t number;

    if (!parse_number(text, &number) || number < option->min || number > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is \"%.60s\", it must be a whole number from "
                            "%" PRIu64 " to %" PRIu64,
                            source, text, option->min, max);
    if (option->type == PLEX_OPTION_U32)
        *(uint32_t *)target = (uint32_t)number;
    else
        *(uint64_t *)target = number;
    return PLEX_OK;
}

static enum plex_status
set_bool(const char *text, const char *source, bool *target,
         struct plex_err *err)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *target = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *target = false;
    else
        return plex_err_set(err, PLEX_INVALID,
                            "%s is \"%.60s\", it must be true or false", source,
                            text);
    return PLEX_OK;
}

static enum plex_status
set_value(const struct plex_option *option, const char *text,
          const char *source, void *config, struct plex_err *err)
{
    void *target = (char *)config + option->offset;

    switch (option->type) {
    case PLEX_OPTION_STRING:
    case PLEX_OPTION_SECRET:
        *(const char **)target = text;
        return PLEX_OK;
    case PLEX_OPTION_U32:
    case PLEX_OPTION_U64:
        return set_number(option, text, source, target, err);
    case PLEX_OPTION_BOOL:
        return set_bool(text, source, target, err);
    }
    assert(false); /* a type this file does not know */
    return PLEX_INTERNAL;
}

static const char *
given_value(const struct plex_setting *given, const char *name)
{
    const char *value = NULL; /* the last one wins, as on command lines */

    for (; given != NULL && given->name != NULL; given++) {
        if (strcmp(given->name, name) == 0)
            value = given->value;
    }
    return value;
}

static enum plex_status
load_one(const struct plex_option *option, const char *service,
         const struct plex_setting *given, void *config, struct plex_err *err)
{
    char source[OPTION_ENV_MAX + 32], env[OPTION_ENV_MAX];
    const char *text = given_value(given, option->name);

    env_name(service, option->name, env);
    if (text != NULL)
        (void)snprintf(source, sizeof source, "option %s", option->name);
    else if ((text = getenv(env)) != NULL)
        (void)snprintf(source, sizeof source, "environment variable %s", env);
    else {
        text = option->def;
        (void)snprintf(source, sizeof source, "default of option %s",
                       option->name);
    }
    return set_value(option, text ? text : "", source, config, err);
}

enum plex_status
plex_options_load(const struct plex_option *options, const char *service,
                  const struct plex_setting *given, void *config,
                  struct plex_err *err)
{
    for (; options->name != NULL; options++) {
        if (load_one(options, service, given, config, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

/* Edit distance; names are short, so one row on the stack is enough. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[OPTION_NAME_MAX + 1];
    const size_t la = strlen(a), lb = strlen(b);

    if (la > OPTION_NAME_MAX || lb > OPTION_NAME_MAX)
        return OPTION_NAME_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);

            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

static const struct plex_option *
find_option(const struct plex_option *const *tables, const char *name)
{
    for (; *tables != NULL; tables++) {
        for (const struct plex_option *o = *tables; o->name != NULL; o++) {
            if (strcmp(o->name, name) == 0)
                return o;
        }
    }
    return NULL;
}

static enum plex_status
unknown_option(const struct plex_option *const *tables, const char *name,
               struct plex_err *err)
{
    const char *nearest = NULL;
    size_t best = OPTION_NAME_MAX;

    for (; *tables != NULL; tables++) {
        for (const struct plex_option *o = *tables; o->name != NULL; o++) {
            const size_t d = distance(o->name, name);

            if (d < best) {
                best = d;
                nearest = o->name;
            }
        }
    }
    if (nearest == NULL)
        return plex_err_set(err, PLEX_INVALID, "unknown option \"%.80s\"",
                            name);
    return plex_err_set(err, PLEX_INVALID,
                        "unknown option \"%.80s\"; the nearest is \"%s\"", name,
                        nearest);
}

enum plex_status
plex_options_known(const struct plex_option *const *tables,
                   const struct plex_setting *given, struct plex_err *err)
{
    for (; given != NULL && given->name != NULL; given++) {
        if (find_option(tables, given->name) == NULL)
            return unknown_option(tables, given->name, err);
    }
    return PLEX_OK;
}

/* "--drain-ms=5" gives "drain_ms" in `name` and "5", or NULL without '='. */
static enum plex_status
split_argument(const char *arg, char name[OPTION_NAME_MAX + 1],
               const char **value, struct plex_err *err)
{
    const char *equals;
    size_t len;

    if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "unexpected argument \"%.80s\"; options begin "
                            "with --",
                            arg);
    arg += 2;
    equals = strchr(arg, '=');
    *value = equals != NULL ? equals + 1 : NULL;
    len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
    if (len > OPTION_NAME_MAX)
        len = OPTION_NAME_MAX; /* longer than any name: unknown either way */
    for (size_t i = 0; i < len; i++)
        name[i] = arg[i] == '-' ? '_' : arg[i];
    name[len] = '\0';
    return PLEX_OK;
}

enum plex_status
plex_options_argv(const struct plex_option *const *tables, int argc,
                  char **argv, struct plex_setting *given, size_t max,
                  struct plex_err *err)
{
    char name[OPTION_NAME_MAX + 1];
    const struct plex_option *option;
    const char *value = NULL;
    size_t used = 0;

    for (int i = 1; i < argc; i++) {
        if (split_argument(argv[i], name, &value, err) != PLEX_OK)
            return err->status;
        option = find_option(tables, name);
        if (option == NULL)
            return unknown_option(tables, name, err);
        if (value == NULL && option->type == PLEX_OPTION_BOOL)
            value = "true";
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL)
            return plex_err_set(err, PLEX_INVALID, "option %s has no value",
                                option->name);
        if (used == max)
            return plex_err_set(err, PLEX_INVALID,
                                "more than %zu options were given", max);
        given[used++] = (struct plex_setting){option->name, value};
    }
    given[used] = (struct plex_setting){0};
    return PLEX_OK;
}

static void
help_range(const struct plex_option *option)
{
    switch (option->type) {
    case PLEX_OPTION_U32:
    case PLEX_OPTION_U64:
        if (option->min == 0 && option->max == 0)
            break;
        printf(", %" PRIu64 " to %" PRIu64, option->min, number_max(option));
        break;
    case PLEX_OPTION_BOOL:
        printf(", true or false");
        break;
    case PLEX_OPTION_STRING:
    case PLEX_OPTION_SECRET:
        break;
    }
}

void
plex_options_help(const struct plex_option *options, const char *service)
{
    char env[OPTION_ENV_MAX], flag[OPTION_NAME_MAX + 1];

    for (; options->name != NULL; options++) {
        (void)snprintf(flag, sizeof flag, "%s", options->name);
        for (char *c = flag; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        env_name(service, options->name, env);
        printf("  --%s\n      %s\n      %s, default ", flag, options->help,
               env);
        if (options->def == NULL || options->def[0] == '\0')
            printf("empty");
        else
            printf("%s", options->def);
        help_range(options);
        printf("\n");
    }
}
