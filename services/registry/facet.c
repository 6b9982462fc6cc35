#include "services/registry/facet.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum value_kind {
    VALUE_DURATION,
    VALUE_SECONDS, /* 1..2592000 */
    VALUE_TURNS,   /* 1..1000000 */
    VALUE_TRUE,    /* what the suite does anyway */
    VALUE_LAZY,
};
struct key_rule {
    const char *name; /* NULL ends */
    enum value_kind kind;
};
struct facet_rule {
    const char *type;
    const struct key_rule *keys;
};

static const struct key_rule virtual_actor_keys[] = {
    {"idle_timeout", VALUE_DURATION},
    {"idle_timeout_seconds", VALUE_SECONDS},
    {"activation_strategy", VALUE_LAZY},
    {0},
};
static const struct key_rule durability_keys[] = {
    {"checkpoint_interval", VALUE_TURNS},
    {"replay_on_activation", VALUE_TRUE},
    {"cache_side_effects", VALUE_TRUE},
    {0},
};
static const struct key_rule no_keys[] = {{0}};

static const struct facet_rule rules[] = {
    {"virtual_actor", virtual_actor_keys},
    {"durability", durability_keys},
    {"timer", no_keys},
    {"reminder", no_keys},
    {"metrics", no_keys},
    {"logging", no_keys},
};
enum { RULES = sizeof rules / sizeof rules[0] };

static const struct facet_rule *
rule_find(const char *type)
{
    for (size_t i = 0; i < RULES; i++)
        if (strcmp(rules[i].type, type) == 0)
            return &rules[i];
    return NULL;
}

/* Digits only, 1..max; 0 for anything else. */
static uint64_t
number_parse(const char *text, size_t len, uint64_t max)
{
    uint64_t value = 0;

    if (len == 0 || len > 12)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return 0;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value <= max ? value : 0;
}

enum plex_status
reg_duration_parse(const char *text, uint64_t *ms, struct plex_err *err)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1},      {"ms", 1},      {"s", 1000},
                 {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const uint64_t max = 30ULL * 86400000;
    const size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text + digits, units[i].unit) == 0) {
            *ms = units[i].ms * number_parse(text, digits, max / units[i].ms);
            if (*ms != 0)
                return PLEX_OK;
        }
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is not a duration like \"300s\", \"5m\" or "
                        "\"250ms\", at most 30 days",
                        text);
}

static enum plex_status
value_check(enum value_kind kind, const char *value, struct plex_err *err)
{
    uint64_t ms;

    switch (kind) {
    case VALUE_DURATION:
        return reg_duration_parse(value, &ms, err);
    case VALUE_SECONDS:
        if (number_parse(value, strlen(value), 2592000) != 0)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.32s\" must be 1 to 2592000 seconds", value);
    case VALUE_TURNS:
        if (number_parse(value, strlen(value), 1000000) != 0)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.32s\" must be 1 to 1000000 turns", value);
    case VALUE_TRUE:
        if (strcmp(value, "true") == 0)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.32s\" must be \"true\": it cannot be "
                            "switched off",
                            value);
    case VALUE_LAZY:
        break;
    }
    if (strcmp(value, "lazy") == 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is not supported, only \"lazy\" is", value);
}

static enum plex_status
key_check(const struct facet_rule *rule, const struct reg_pair *pair,
          struct plex_err *err)
{
    char known[160] = "";
    size_t used = 0;

    for (const struct key_rule *key = rule->keys; key->name != NULL; key++) {
        if (strcmp(key->name, pair->key) == 0) {
            if (value_check(key->kind, pair->value, err) != PLEX_OK)
                return plex_err_wrap(err, "config.%s", key->name);
            return PLEX_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 used == 0 ? "" : ", ", key->name);
    }
    return plex_err_set(err, PLEX_INVALID,
                        "config.%.32s is unknown; %s knows %s", pair->key,
                        rule->type, used == 0 ? "no configuration" : known);
}

enum plex_status
reg_facet_check(const struct reg_facet *facet, struct plex_err *err)
{
    const char *type = facet->type == NULL ? "" : facet->type;
    const struct facet_rule *rule = rule_find(type);
    char known[120] = "";
    size_t used = 0;

    if (rule == NULL) {
        for (size_t i = 0; i < RULES; i++)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     i == 0 ? "" : ", ", rules[i].type);
        return plex_err_set(err, PLEX_INVALID,
                            "type \"%.32s\" is unknown; known are %s", type,
                            known);
    }
    if (facet->n_config > REG_CONFIG_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "config has %zu entries, at most %d",
                            facet->n_config, REG_CONFIG_MAX);
    for (size_t i = 0; i < facet->n_config; i++)
        if (key_check(rule, &facet->config[i], err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

static const char *
config_get(const struct reg_facet *facet, const char *key)
{
    for (size_t i = 0; i < facet->n_config; i++)
        if (strcmp(facet->config[i].key, key) == 0)
            return facet->config[i].value;
    return NULL;
}

static void
virtual_apply(const struct reg_facet *facet, struct reg_actor_type *type)
{
    const char *text = config_get(facet, "idle_timeout");
    const char *seconds = config_get(facet, "idle_timeout_seconds");
    struct plex_err err;
    uint64_t ms = 0;

    type->is_virtual = true;
    if (type->idle_timeout_ms != 0)
        return;
    if (text != NULL && reg_duration_parse(text, &ms, &err) == PLEX_OK)
        type->idle_timeout_ms = ms;
    else if (seconds != NULL)
        type->idle_timeout_ms = strtoull(seconds, NULL, 10) * 1000;
}

void
reg_facet_apply(const struct reg_facet *facet, struct reg_actor_type *type)
{
    const char *turns;

    if (strcmp(facet->type, "virtual_actor") == 0) {
        virtual_apply(facet, type);
    } else if (strcmp(facet->type, "durability") == 0) {
        type->durable = true;
        turns = config_get(facet, "checkpoint_interval");
        if (turns != NULL && type->snapshot_every == 0)
            type->snapshot_every = (uint32_t)strtoul(turns, NULL, 10);
    }
}
