#include "services/registry/facet.h"

#include "runtime/facet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facets that are not chain links but what the suite does to the type. */
struct key_rule {
    const char *name;    /* NULL ends */
    uint64_t max;        /* a number from 1; 0: only "true" */
    const char *instead; /* not NULL: it is said elsewhere */
};
struct facet_rule {
    const char *type;
    const struct key_rule *keys;
};

static const struct key_rule durability_keys[] = {
    {"checkpoint_interval", 1000000},
    {"replay_on_activation", 0},
    {"replay_on_restart", 0},
    {"cache_side_effects", 0},
    {"journal_backend", 0, "the journal has one for all types: its store_dsn"},
    {"backend", 0, "the journal has one for all types: its store_dsn"},
    {"compression", 0, "the journal's store decides about it"},
    {"state_schema_version", 0, "the behaviour has it: schema_version"},
    {0},
};
static const struct key_rule reminder_keys[] = {
    {"reminders", 0,
     "actors set timers (plex_timer_set), durable ones keep them; schedules "
     "send by cron (docs/schedules.md)"},
    {"storage_backend", 0, "the journal keeps timers"},
    {"default_recurrence", 0, "a schedule says its own"},
    {"timezone", 0, "a schedule says its own"},
    {0},
};

static const struct facet_rule rules[] = {
    {"durability", durability_keys},
    {"reminder", reminder_keys},
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

enum plex_status
reg_duration_parse(const char *text, uint64_t *ms, struct plex_err *err)
{
    if (rt_facet_duration(text, ms, err) == PLEX_OK && *ms != 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.32s\" is not a duration like \"300s\", \"5m\" or "
                        "\"250ms\", at most 30 days",
                        text);
}

static enum plex_status
value_check(const struct key_rule *key, const char *value, struct plex_err *err)
{
    const size_t digits = strspn(value, "0123456789");
    uint64_t number;

    if (key->max == 0) {
        if (strcmp(value, "true") == 0)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.32s\" must be \"true\": it cannot be "
                            "switched off",
                            value);
    }
    number = digits > 12 ? 0 : strtoull(value, NULL, 10);
    if (digits > 0 && value[digits] == '\0' && number >= 1 &&
        number <= key->max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID, "\"%.32s\" must be 1 to %d", value,
                        (int)key->max);
}

static enum plex_status
key_check(const struct facet_rule *rule, const struct reg_pair *pair,
          struct plex_err *err)
{
    char known[160] = "";
    size_t used = 0;

    for (const struct key_rule *key = rule->keys; key->name != NULL; key++) {
        if (strcmp(key->name, pair->key) == 0 && key->instead != NULL)
            return plex_err_set(err, PLEX_INVALID, "config.%s: %s", key->name,
                                key->instead);
        if (strcmp(key->name, pair->key) == 0) {
            if (value_check(key, pair->value, err) != PLEX_OK)
                return plex_err_wrap(err, "config.%s", key->name);
            return PLEX_OK;
        }
        if (key->instead == NULL)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     used == 0 ? "" : ", ", key->name);
    }
    return plex_err_set(err, PLEX_INVALID,
                        "config.%.32s is unknown; %s knows %s", pair->key,
                        rule->type, used == 0 ? "no configuration" : known);
}

/* A facet of a chain: the runtime knows it, or a module of the workers will. */
static enum plex_status
chain_check(const struct reg_facet *facet, struct plex_err *err)
{
    struct plex_facet_pair pairs[REG_CONFIG_MAX];
    const struct rt_facet_spec spec = {facet->type, 0, pairs, facet->n_config};

    for (size_t i = 0; i < facet->n_config; i++)
        pairs[i] = (struct plex_facet_pair){facet->config[i].key,
                                            facet->config[i].value};
    return rt_facet_check(NULL, &spec, true, err);
}

enum plex_status
reg_facet_check(const struct reg_facet *facet, struct plex_err *err)
{
    const char *type = facet->type == NULL ? "" : facet->type;
    const struct facet_rule *rule = rule_find(type);

    if (type[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "type is missing");
    if (facet->n_config > REG_CONFIG_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "config has %zu entries, at most %d",
                            facet->n_config, REG_CONFIG_MAX);
    if (rule == NULL)
        return chain_check(facet, err);
    for (size_t i = 0; i < facet->n_config; i++)
        if (key_check(rule, &facet->config[i], err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

enum plex_status
reg_facet_process_check(const struct reg_facet *facet, struct plex_err *err)
{
    if (rule_find(facet->type) != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "facet %s is for virtual actors (virtual: true); "
                            "a process remembers in plain memory, which dies "
                            "with it",
                            facet->type);
    return PLEX_OK;
}

enum plex_status
reg_facet_stateless_check(const struct reg_facet *facet, struct plex_err *err)
{
    static const char *const may[] = {"idle_timeout", "idle_timeout_seconds",
                                      "deactivation_timeout", "reentrancy"};

    if (rule_find(facet->type) != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "facet %s keeps state, and the type is stateless: "
                            "leave out one of the two",
                            facet->type);
    if (strcmp(facet->type, "virtual_actor") != 0)
        return PLEX_OK;
    for (size_t i = 0; i < facet->n_config; i++) {
        bool known = false;

        for (size_t m = 0; m < sizeof may / sizeof may[0]; m++)
            known = known || strcmp(may[m], facet->config[i].key) == 0;
        if (!known)
            return plex_err_set(err, PLEX_INVALID,
                                "config.%.64s means nothing for a stateless "
                                "type: it has no keys and keeps nothing, and "
                                "stateless.max_local says how many there are",
                                facet->config[i].key);
    }
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

enum plex_status
reg_facets_agree(const struct reg_facet *facets, size_t n, bool durable,
                 struct plex_err *err)
{
    const char *reentrancy = NULL;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(facets[i].type, "durability") == 0)
            durable = true;
        if (strcmp(facets[i].type, "virtual_actor") != 0)
            continue;
        reentrancy = config_get(&facets[i], "reentrancy");
        at = i;
    }
    if (!durable || reentrancy == NULL || strcmp(reentrancy, "none") == 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "facets[%zu].config.reentrancy: \"%.32s\" is for types "
                        "that are not durable; the turns of this one are "
                        "recorded one after the other: \"none\", or durable: "
                        "false",
                        at, reentrancy);
}

static void
virtual_apply(const struct reg_facet *facet, struct reg_actor_type *type)
{
    const char *text = config_get(facet, "idle_timeout");
    const char *seconds = config_get(facet, "idle_timeout_seconds");
    struct plex_err err;
    uint64_t ms = 0;

    type->is_virtual = true;
    if (text == NULL)
        text = config_get(facet, "deactivation_timeout");
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
