#include "workflow/asl.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASL_NAME_MAX = 80, ASL_SECONDS_MAX = 99999999 };

enum plex_status
asl_full(struct asl *a, const struct flow_at *at)
{
    return flow_at_error(at, a->err, "the definition is too large");
}

enum plex_status
asl_unsupported(struct asl *a, const struct flow_at *at, const char *key,
                const char *instead)
{
    const struct flow_at member = flow_at_member(at, key);

    if (member.value == NULL)
        return PLEX_OK;
    flow_at_error(&member, a->err, "%s is not supported here: %s", key,
                  instead);
    a->err->status = PLEX_UNSUPPORTED;
    return PLEX_UNSUPPORTED;
}

enum plex_status
asl_path(struct asl *a, const struct flow_at *at, const char *key,
         bool functions, struct flow_expr **out)
{
    const struct flow_at member = flow_at_member(at, key);
    struct plex_err inner;

    if (member.value == NULL)
        return PLEX_OK;
    if (!json_is_string(member.value))
        return flow_at_error(&member, a->err,
                             "should be a path such as \"$.order\"");
    if (flow_path_parse(&a->def->pool, json_string_value(member.value),
                        functions, out, &inner) != PLEX_OK)
        return flow_at_error(&member, a->err, "%s", inner.text);
    return PLEX_OK;
}

enum plex_status
asl_target(struct asl *a, const struct flow_at *at, const char *key,
           const struct flow_node *node, uint32_t *out)
{
    const struct flow_at member = flow_at_member(at, key);
    const char *name = json_string_value(member.value);

    *out = FLOW_NONE;
    if (member.value == NULL)
        return PLEX_OK;
    if (name == NULL)
        return flow_at_error(&member, a->err, "should be a state's name");
    *out = flow_scope_find(a->def, a->def->scopes[node->scope], name);
    if (*out == FLOW_NONE)
        return flow_at_error(&member, a->err,
                             "there is no state '%.80s' in these States", name);
    return PLEX_OK;
}

/* ErrorEquals: a list; "States.ALL" only alone. */
enum plex_status
asl_errors(struct asl *a, const struct flow_at *at, const char *const **out)
{
    const struct flow_at list = flow_at_member(at, "ErrorEquals");
    const size_t count = json_array_size(list.value);
    const char **codes;

    if (count == 0)
        return flow_at_error(&list, a->err,
                             "should be a list of at least one error name");
    codes = flow_pool_alloc(&a->def->pool, count + 1, sizeof *codes);
    if (codes == NULL)
        return asl_full(a, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        const char *code = json_string_value(item.value);

        if (code == NULL || code[0] == '\0' || strlen(code) > FLOW_CODE_MAX)
            return flow_at_error(&item, a->err, "should be an error name");
        if (strcmp(code, "States.ALL") == 0 && count > 1)
            return flow_at_error(&item, a->err, "States.ALL must appear alone");
        codes[i] = flow_def_strdup(a->def, code);
        if (codes[i] == NULL)
            return asl_full(a, &item);
    }
    *out = codes;
    return PLEX_OK;
}

/* -- a machine: the definition, a branch, an item's processor
 * ----------------------- */

static enum plex_status
add_states(struct asl *a, struct flow_scope *scope,
           const struct flow_at *states)
{
    const char *name;
    json_t *value;

    json_object_foreach(states->value, name, value)
    {
        const struct flow_at state = flow_at_member(states, name);

        if (!json_is_object(value))
            return flow_at_error(&state, a->err, "should be an object");
        if (name[0] == '\0' || strlen(name) > ASL_NAME_MAX * 4)
            return flow_at_error(&state, a->err,
                                 "a state's name has 1 to %d characters",
                                 ASL_NAME_MAX);
        if (flow_def_add_node(a->def, scope, name) == NULL)
            return flow_at_error(&state, a->err,
                                 "a definition has at most %d states",
                                 FLOW_STEPS_MAX);
    }
    flow_scope_sort(a->def, scope);
    return PLEX_OK;
}

static enum plex_status
check_language(struct asl *a, const struct flow_at *at)
{
    const struct flow_at language = flow_at_member(at, "QueryLanguage");
    const char *text = json_string_value(language.value);

    if (language.value == NULL || (text && strcmp(text, "JSONPath") == 0))
        return PLEX_OK;
    return asl_unsupported(a, at, "QueryLanguage", "only JSONPath is");
}

enum plex_status
asl_machine(struct asl *a, const struct flow_at *at, uint32_t owner,
            const char *name, uint32_t *index)
{
    const struct flow_at states = flow_at_member(at, "States");
    const struct flow_at start = flow_at_member(at, "StartAt");
    enum plex_status status = check_language(a, at);
    struct flow_scope *scope;

    if (status != PLEX_OK)
        return status;
    if (json_object_size(states.value) == 0)
        return flow_at_error(&states, a->err, "States should have states");
    scope =
        flow_def_add_scope(a->def, owner, name, json_object_size(states.value));
    if (scope == NULL)
        return flow_at_error(&states, a->err,
                             "a definition has at most %d states",
                             FLOW_STEPS_MAX);
    if (scope->depth >= FLOW_NESTING_MAX)
        return flow_at_error(at, a->err, "states nest deeper than %d levels",
                             FLOW_NESTING_MAX);
    *index = a->def->n_scopes - 1;
    status = add_states(a, scope, &states);
    if (status != PLEX_OK)
        return status;
    if (!json_is_string(start.value))
        return flow_at_error(&start, a->err,
                             "StartAt should be a state's name");
    scope->start =
        flow_scope_find(a->def, scope, json_string_value(start.value));
    if (scope->start == FLOW_NONE)
        return flow_at_error(&start, a->err, "there is no state '%.80s'",
                             json_string_value(start.value));
    for (uint32_t i = 0; i < scope->n_nodes && status == PLEX_OK; i++) {
        struct flow_node *node = a->def->nodes[scope->nodes[i]];
        const struct flow_at state = flow_at_member(&states, node->id);

        status = check_language(a, &state);
        if (status == PLEX_OK)
            status = asl_state(a, &state, node);
    }
    return status;
}

enum plex_status
flow_asl_compile(struct flow_def *def, const struct flow_at *root,
                 const struct flow_asl_options *options, struct plex_err *err)
{
    static const char *const known[] = {
        "Comment",        "StartAt",       "States", "Version",
        "TimeoutSeconds", "QueryLanguage", NULL};
    const struct flow_at version = flow_at_member(root, "Version");
    const char *text = json_string_value(version.value);
    struct asl a = {def, options, err};
    enum plex_status status = flow_at_known(root, known, err);
    int64_t seconds = 0;
    uint32_t index;

    if (status == PLEX_OK && version.value != NULL &&
        (text == NULL || strcmp(text, "1.0") != 0))
        status = flow_at_error(&version, err, "should be \"1.0\"");
    if (status == PLEX_OK)
        status = flow_at_int(root, "TimeoutSeconds", 1, ASL_SECONDS_MAX,
                             &seconds, err);
    def->timeout_ms = seconds * 1000;
    if (status == PLEX_OK)
        status = asl_machine(&a, root, FLOW_NONE, "", &index);
    return status;
}
