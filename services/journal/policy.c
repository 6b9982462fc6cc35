#include "services/journal/policy.h"

#include "common/mem.h"
#include "common/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TYPES_MAX = 1000, ITEM_MAX = 400 };
#define MS_MAX (UINT64_C(100) * 366 * 86400000) /* a century */

struct journal_keep_type {
    char *type;
    struct journal_keep keep;
};

static enum plex_status
number_parse(const char **at, uint64_t max, const char *what, uint64_t *out,
             struct plex_err *err)
{
    char *end;

    errno = 0;
    *out = **at >= '0' && **at <= '9' ? strtoull(*at, &end, 10) : 0;
    if (**at < '0' || **at > '9' || errno != 0 || *out > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s must be a number from 0 to %llu, not \"%.40s\"",
                            what, (unsigned long long)max, *at);
    *at = end;
    return PLEX_OK;
}

static enum plex_status
keep_parse(const char *at, struct journal_keep *out, struct plex_err *err)
{
    if (number_parse(&at, MS_MAX, "the milliseconds", &out->ms, err) != PLEX_OK)
        return err->status;
    if (*at == '/') {
        at++;
        if (number_parse(&at, INT32_MAX, "the turns", &out->turns, err) !=
            PLEX_OK)
            return err->status;
    }
    if (*at != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.40s\" follows the numbers, wanted is "
                            "[TYPE=]MS[/TURNS]",
                            at);
    return PLEX_OK;
}

static enum plex_status
item_parse(char *item, struct journal_policy *out, struct plex_err *err)
{
    char *value = strchr(item, '=');
    struct journal_keep_type *type;

    if (value == NULL)
        return keep_parse(item, &out->others, err);
    *value++ = '\0';
    if (plex_name_type(item, strlen(item), err) != PLEX_OK)
        return err->status;
    if (out->n_types == TYPES_MAX)
        return plex_err_set(err, PLEX_INVALID, "more than %d types", TYPES_MAX);
    out->types =
        plex_reallocarray(out->types, out->n_types + 1, sizeof *out->types);
    type = &out->types[out->n_types++];
    *type = (struct journal_keep_type){.type = plex_strdup(item)};
    return keep_parse(value, &type->keep, err);
}

enum plex_status
journal_policy_parse(const char *text, struct journal_policy *out,
                     struct plex_err *err)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, ",");
        char item[ITEM_MAX];

        if (len >= sizeof item)
            return plex_err_set(err, PLEX_INVALID,
                                "history: item \"%.40s...\" is too long", text);
        memcpy(item, text, len);
        item[len] = '\0';
        if (item_parse(item, out, err) != PLEX_OK)
            return plex_err_wrap(err, "history: item \"%.*s\"", (int)len, text);
        text += len + (text[len] == ',');
    }
    return PLEX_OK;
}

void
journal_policy_fini(struct journal_policy *policy)
{
    for (size_t i = 0; i < policy->n_types; i++)
        free(policy->types[i].type);
    free(policy->types);
    *policy = (struct journal_policy){0};
}

struct journal_keep
journal_policy_of(const struct journal_policy *policy, const char *type)
{
    for (size_t i = 0; i < policy->n_types; i++)
        if (strcmp(policy->types[i].type, type) == 0)
            return policy->types[i].keep;
    return policy->others;
}
