/* Choice rules become expressions. */
#include "workflow/asl.h"
#include "workflow/when.h"

#include <stdio.h>
#include <string.h>

enum { RULE_DEPTH_MAX = 16 };

static enum plex_status read_rule(struct asl *a, const struct flow_at *at,
                                  bool top, unsigned depth,
                                  struct flow_expr **out);

static enum plex_status
read_rules(struct asl *a, const struct flow_at *list, enum flow_logic how,
           unsigned depth, struct flow_expr **out)
{
    const size_t count = json_array_size(list->value);
    struct flow_expr **parts;

    if (count == 0)
        return flow_at_error(list, a->err, "should be a list of rules");
    parts = flow_pool_alloc(&a->def->pool, count, sizeof *parts);
    if (parts == NULL)
        return asl_full(a, list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(list, i);
        enum plex_status status =
            read_rule(a, &item, false, depth + 1, &parts[i]);

        if (status != PLEX_OK)
            return status;
    }
    *out = flow_expr_logic(&a->def->pool, how, parts, count);
    return *out != NULL ? PLEX_OK : asl_full(a, list);
}

/* What a comparison's constant must be: by the beginning of its name. */
static const char *
constant_wanted(const char *name, const json_t *value)
{
    int64_t ms;

    if (strncmp(name, "String", 6) == 0)
        return json_is_string(value) ? NULL : "a text";
    if (strncmp(name, "Numeric", 7) == 0)
        return json_is_number(value) ? NULL : "a number";
    if (strncmp(name, "Timestamp", 9) == 0)
        return json_is_string(value) &&
                       flow_time_parse(json_string_value(value), &ms)
                   ? NULL
                   : "a time such as \"2026-12-01T08:00:00Z\"";
    return json_is_boolean(value) ? NULL : "true or false";
}

/* One comparison: a member whose name is an operator, perhaps with "Path". */
static enum plex_status
read_comparison(struct asl *a, const struct flow_at *at, const char *name,
                struct flow_expr *left, struct flow_expr **out)
{
    const struct flow_at member = flow_at_member(at, name);
    const size_t len = strlen(name);
    const bool path = len > 4 && strcmp(name + len - 4, "Path") == 0;
    struct flow_expr *right = NULL;
    enum plex_status status;
    char plain[48];
    const char *wanted;

    if (len >= sizeof plain)
        return flow_at_error(&member, a->err, "unknown comparison '%.64s'",
                             name);
    (void)snprintf(plain, sizeof plain, "%.*s", (int)(path ? len - 4 : len),
                   name);
    if (path) {
        status = asl_path(a, at, name, false, &right);
        if (status != PLEX_OK)
            return status;
    } else {
        wanted = constant_wanted(name, member.value);
        right = flow_expr_literal(&a->def->pool, json_incref(member.value));
        if (right == NULL)
            return asl_full(a, &member);
        if (flow_expr_compare(&a->def->pool, plain, left, right) != NULL &&
            wanted != NULL)
            return flow_at_error(&member, a->err, "should be %s", wanted);
    }
    *out = flow_expr_compare(&a->def->pool, plain, left, right);
    if (*out == NULL || (path && (strncmp(plain, "Is", 2) == 0 ||
                                  strcmp(plain, "StringMatches") == 0)))
        return flow_at_error(&member, a->err, "unknown comparison '%.64s'",
                             name);
    return PLEX_OK;
}

static enum plex_status
read_test(struct asl *a, const struct flow_at *at, struct flow_expr **out)
{
    struct flow_expr *left = NULL;
    enum plex_status status = asl_path(a, at, "Variable", false, &left);
    const char *key;
    json_t *value;

    if (status != PLEX_OK)
        return status;
    if (left == NULL)
        return flow_at_error(at, a->err, "Variable, And, Or or Not is missing");
    json_object_foreach(at->value, key, value)
    {
        if (strcmp(key, "Variable") == 0 || strcmp(key, "Next") == 0 ||
            strcmp(key, "Comment") == 0)
            continue;
        if (*out != NULL)
            return flow_at_error(at, a->err,
                                 "a rule has one comparison, this one has "
                                 "more");
        status = read_comparison(a, at, key, left, out);
        if (status != PLEX_OK)
            return status;
    }
    return *out != NULL ? PLEX_OK
                        : flow_at_error(at, a->err, "a comparison is missing");
}

static enum plex_status
read_rule(struct asl *a, const struct flow_at *at, bool top, unsigned depth,
          struct flow_expr **out)
{
    static const char *const logic[] = {"And", "Or"};
    static const char *const known[] = {"And",  "Or",      "Not",
                                        "Next", "Comment", NULL};
    const struct flow_at negated = flow_at_member(at, "Not");
    struct flow_expr *inner = NULL;
    enum plex_status status;

    if (!json_is_object(at->value))
        return flow_at_error(at, a->err, "should be an object");
    if (depth > RULE_DEPTH_MAX)
        return flow_at_error(at, a->err, "rules nest deeper than %d levels",
                             RULE_DEPTH_MAX);
    if (!top && json_object_get(at->value, "Next") != NULL)
        return flow_at_error(at, a->err,
                             "Next belongs to the outermost rule only");
    *out = NULL;
    for (int i = 0; i < 2; i++) {
        const struct flow_at list = flow_at_member(at, logic[i]);

        if (list.value == NULL)
            continue;
        status = flow_at_known(at, known, a->err);
        return status != PLEX_OK
                   ? status
                   : read_rules(a, &list, i == 0 ? FLOW_AND : FLOW_OR, depth,
                                out);
    }
    if (negated.value == NULL)
        return read_test(a, at, out);
    status = flow_at_known(at, known, a->err);
    if (status == PLEX_OK)
        status = read_rule(a, &negated, false, depth + 1, &inner);
    if (status != PLEX_OK)
        return status;
    *out = flow_expr_logic(&a->def->pool, FLOW_NOT, &inner, 1);
    return *out != NULL ? PLEX_OK : asl_full(a, at);
}

enum plex_status
asl_choices(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at list = flow_at_member(at, "Choices");
    const size_t count = json_array_size(list.value);
    enum plex_status status;

    if (count == 0)
        return flow_at_error(&list, a->err,
                             "Choices should be a list of rules");
    node->rules = flow_pool_alloc(&a->def->pool, count, sizeof *node->rules);
    if (node->rules == NULL)
        return asl_full(a, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);

        status = asl_unsupported(a, &item, "Condition", "use JSONPath rules");
        if (status == PLEX_OK)
            status = asl_unsupported(a, &item, "Assign",
                                     "put values into the state's data");
        if (status == PLEX_OK)
            status = read_rule(a, &item, true, 0, &node->rules[i].when);
        if (status == PLEX_OK)
            status = asl_target(a, &item, "Next", node, &node->rules[i].next);
        if (status == PLEX_OK && node->rules[i].next == FLOW_NONE)
            status = flow_at_error(&item, a->err, "Next is missing");
        if (status != PLEX_OK)
            return status;
    }
    node->n_rules = (uint32_t)count;
    return asl_target(a, at, "Default", node, &node->otherwise);
}
