/* The native language: the definition and what all steps have. */
#include "workflow/native.h"

#include "common/mem.h"
#include "common/name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum plex_status
native_full(struct native *n, const struct flow_at *at)
{
    return flow_at_error(at, n->err, "the definition is too large");
}

unsigned
native_roots(const struct native_level *level)
{
    unsigned roots =
        FLOW_ROOT_BIT(FLOW_ROOT_INPUT) | FLOW_ROOT_BIT(FLOW_ROOT_VARS) |
        FLOW_ROOT_BIT(FLOW_ROOT_RUN) | FLOW_ROOT_BIT(FLOW_ROOT_STEP);

    if (level->in_map)
        roots |= FLOW_ROOT_BIT(FLOW_ROOT_ITEM) | FLOW_ROOT_BIT(FLOW_ROOT_INDEX);
    return roots;
}

static enum plex_status
check_step(struct native *n, const struct native_level *level,
           const struct flow_at *at, const char *id)
{
    for (; level != NULL; level = level->up) {
        const uint32_t found = flow_scope_find(n->def, level->scope, id);

        if (found == FLOW_NONE)
            continue;
        if (level->now == FLOW_NONE || level->now == found ||
            native_before(level, n->def, level->now, found))
            return PLEX_OK;
        return flow_at_error(at, n->err,
                             "steps.%.64s is used here, but step '%.64s' does "
                             "not depend on it",
                             id, n->def->nodes[level->now]->id);
    }
    return flow_at_error(at, n->err, "there is no step '%.64s'", id);
}

enum plex_status
native_check_steps(struct native *n, const struct native_level *level,
                   const struct flow_at *at, struct flow_expr *x)
{
    const char *const *steps = flow_expr_steps(&n->def->pool, x);
    enum plex_status status = PLEX_OK;

    for (; *steps != NULL && status == PLEX_OK; steps++)
        status = check_step(n, level, at, *steps);
    return status;
}

enum plex_status
native_template(struct native *n, const struct native_level *level,
                const struct flow_at *at, const char *key, unsigned roots,
                struct flow_expr **out)
{
    const struct flow_at member = flow_at_member(at, key);
    enum plex_status status;

    if (member.value == NULL)
        return PLEX_OK;
    status = flow_template_parse(&n->def->pool, &member, roots, out, n->err);
    if (status == PLEX_OK)
        status = native_check_steps(n, level, &member, *out);
    return status;
}

enum plex_status
native_codes(struct native *n, const struct flow_at *at, const char *key,
             const char *const **out)
{
    const struct flow_at list = flow_at_member(at, key);
    const size_t count = json_array_size(list.value);
    const char **codes;

    *out = NULL;
    if (list.value != NULL && !json_is_array(list.value))
        return flow_at_error(&list, n->err, "should be a list of error codes");
    if (count == 0)
        return PLEX_OK;
    codes = flow_pool_alloc(&n->def->pool, count + 1, sizeof *codes);
    if (codes == NULL)
        return native_full(n, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        const char *code = json_string_value(item.value);

        if (code == NULL || code[0] == '\0' || strlen(code) > FLOW_CODE_MAX)
            return flow_at_error(&item, n->err,
                                 "should be an error code such as "
                                 "\"UNAVAILABLE\" or \"HTTP_5*\"");
        codes[i] = flow_def_strdup(n->def, code);
        if (codes[i] == NULL)
            return native_full(n, &item);
    }
    *out = codes;
    return PLEX_OK;
}

static enum plex_status
read_jitter(struct native *n, const struct flow_at *at, bool *out)
{
    const struct flow_at member = flow_at_member(at, "jitter");
    const char *text = json_string_value(member.value);

    if (text != NULL &&
        (strcasecmp(text, "full") == 0 || strcasecmp(text, "none") == 0)) {
        *out = strcasecmp(text, "full") == 0;
        return PLEX_OK;
    }
    return flow_at_bool(at, "jitter", out, n->err);
}

/* Codes that are not retried are a retrier of their own, before the other. */
enum plex_status
native_retry(struct native *n, const struct flow_at *at,
             struct flow_retrier **out, uint32_t *count)
{
    static const char *const known[] = {"max_attempts",
                                        "initial_interval",
                                        "initial_interval_ms",
                                        "backoff_rate",
                                        "max_interval",
                                        "max_interval_ms",
                                        "jitter",
                                        "retryable_errors",
                                        "non_retryable_errors",
                                        NULL};
    struct flow_retrier *r = flow_pool_alloc(&n->def->pool, 2, sizeof *r);
    struct flow_retrier main = {
        .first_ms = 1000, .max_ms = 60000, .rate = 2, .retries = 2};
    const char *const *never = NULL;
    enum plex_status status;
    int64_t attempts = 3;

    if (r == NULL)
        return native_full(n, at);
    status = flow_at_known(at, known, n->err);
    if (status == PLEX_OK)
        status = flow_at_int(at, "max_attempts", 1, 1000, &attempts, n->err);
    if (status == PLEX_OK)
        status = flow_at_duration(at, "initial_interval", 300000,
                                  &main.first_ms, n->err);
    if (status == PLEX_OK)
        status = flow_at_number(at, "backoff_rate", 1, 10, &main.rate, n->err);
    if (status == PLEX_OK)
        status =
            flow_at_duration(at, "max_interval", 3600000, &main.max_ms, n->err);
    if (status == PLEX_OK)
        status = read_jitter(n, at, &main.jitter);
    if (status == PLEX_OK)
        status = native_codes(n, at, "retryable_errors", &main.errors);
    if (status == PLEX_OK)
        status = native_codes(n, at, "non_retryable_errors", &never);
    if (status != PLEX_OK)
        return status;
    main.retries = (uint32_t)attempts - 1;
    if (main.max_ms < main.first_ms)
        main.max_ms = main.first_ms;
    *count = 0;
    if (never != NULL)
        r[(*count)++] = (struct flow_retrier){
            .errors = never, .first_ms = 1, .max_ms = 1, .rate = 1};
    r[(*count)++] = main;
    *out = r;
    return PLEX_OK;
}

/* -- a level of steps ---------------------------------------------------------
 */

static bool
id_valid(const char *id)
{
    size_t len = 0;

    for (; id[len] != '\0'; len++) {
        if (!isalnum((unsigned char)id[len]) && strchr("_-", id[len]) == NULL)
            return false;
    }
    return len > 0 && len <= FLOW_NAME_MAX && id[0] != '-';
}

static enum plex_status
add_steps(struct native *n, struct flow_scope *scope, const struct flow_at *at)
{
    enum plex_status status;

    for (size_t i = 0; i < json_array_size(at->value); i++) {
        const struct flow_at step = flow_at_index(at, i);
        const struct flow_at id_at = flow_at_member(&step, "id");
        struct flow_node *node;
        const char *id = NULL;

        if (!json_is_object(step.value))
            return flow_at_error(&step, n->err, "should be an object");
        status = flow_at_text(&step, "id", FLOW_NAME_MAX, &id, n->err);
        if (status != PLEX_OK)
            return status;
        if (id == NULL)
            return flow_at_error(&step, n->err, "'id' is missing");
        if (!id_valid(id))
            return flow_at_error(&id_at, n->err,
                                 "a step's id has letters, digits, '_', '-'");
        node = flow_def_add_node(n->def, scope, id);
        if (node == NULL)
            return flow_at_error(&step, n->err,
                                 "a definition has at most %d steps",
                                 FLOW_STEPS_MAX);
        status = native_kind(n, &step, node);
        if (status != PLEX_OK)
            return status;
    }
    flow_scope_sort(n->def, scope);
    for (uint32_t i = 1; i < scope->n_nodes; i++) {
        const uint32_t a = scope->by_name[i - 1], b = scope->by_name[i];

        if (strcmp(n->def->nodes[a]->id, n->def->nodes[b]->id) == 0) {
            const uint32_t later = a > b ? a : b;
            const struct flow_at step =
                flow_at_index(at, later - scope->nodes[0]);

            return flow_at_error(&step, n->err, "there are two steps '%.64s'",
                                 n->def->nodes[later]->id);
        }
    }
    return PLEX_OK;
}

static enum plex_status
read_steps(struct native *n, struct native_level *level,
           const struct flow_at *at, const struct flow_at *output)
{
    enum plex_status status = native_net(n, level, at);

    for (uint32_t i = 0; i < level->scope->n_nodes && status == PLEX_OK; i++) {
        const struct flow_at step = flow_at_index(at, i);

        level->now = level->scope->nodes[i];
        status = native_step(n, level, &step, n->def->nodes[level->now]);
    }
    level->now = FLOW_NONE;
    if (status == PLEX_OK && output->value != NULL) {
        status = flow_template_parse(&n->def->pool, output, native_roots(level),
                                     &level->scope->output, n->err);
        if (status == PLEX_OK)
            status = native_check_steps(n, level, output, level->scope->output);
    }
    return status;
}

enum plex_status
native_scope(struct native *n, const struct flow_at *at, uint32_t owner,
             const char *name, const struct native_level *up, bool in_map,
             const struct flow_at *output, uint32_t *index)
{
    struct native_level level = {.up = up, .now = FLOW_NONE, .in_map = in_map};
    enum plex_status status;

    if (!json_is_array(at->value) || json_array_size(at->value) == 0)
        return flow_at_error(at, n->err, "should be a list of steps");
    level.scope =
        flow_def_add_scope(n->def, owner, name, json_array_size(at->value));
    if (level.scope == NULL)
        return flow_at_error(at, n->err, "a definition has at most %d steps",
                             FLOW_STEPS_MAX);
    if (level.scope->depth >= FLOW_NESTING_MAX)
        return flow_at_error(at, n->err, "steps nest deeper than %d levels",
                             FLOW_NESTING_MAX);
    *index = n->def->n_scopes - 1;
    status = add_steps(n, level.scope, at);
    if (status == PLEX_OK)
        status = read_steps(n, &level, at, output);
    free(level.before);
    return status;
}

/* -- the definition -----------------------------------------------------------
 */

static enum plex_status
read_text(struct native *n, const struct flow_at *root, const char *key,
          const char **out)
{
    const char *text = NULL;
    enum plex_status status =
        flow_at_text(root, key, FLOW_NAME_MAX, &text, n->err);

    if (status == PLEX_OK && text != NULL) {
        *out = flow_def_strdup(n->def, text);
        if (*out == NULL)
            return native_full(n, root);
    }
    return status;
}

static enum plex_status
read_names(struct native *n, const struct flow_at *root)
{
    const struct flow_at id = flow_at_member(root, "id");
    const struct flow_at version = flow_at_member(root, "version");
    enum plex_status status;

    status = read_text(n, root, "id", &n->def->id);
    if (status == PLEX_OK && !id_valid(n->def->id))
        status = id.value == NULL
                     ? flow_at_error(root, n->err, "'id' is missing")
                     : flow_at_error(&id, n->err,
                                     "an id has letters, digits, '_', '-'");
    n->def->name = n->def->id;
    if (status == PLEX_OK)
        status = read_text(n, root, "name", &n->def->name);
    if (status == PLEX_OK)
        status = read_text(n, root, "version", &n->def->version);
    if (status == PLEX_OK && !flow_semver_valid(n->def->version))
        status = flow_at_error(&version, n->err,
                               "should be a version like \"1.2.3\"");
    return status;
}

static enum plex_status
read_labels(struct native *n, const struct flow_at *root)
{
    const struct flow_at labels = flow_at_member(root, "labels");
    const struct flow_at vars = flow_at_member(root, "vars");
    const char *key;
    json_t *value;

    if (labels.value != NULL && !json_is_object(labels.value))
        return flow_at_error(&labels, n->err, "should be an object of texts");
    json_object_foreach(labels.value, key, value)
    {
        const struct flow_at label = flow_at_member(&labels, key);

        if (!json_is_string(value))
            return flow_at_error(&label, n->err, "should be a text");
    }
    json_object_update(n->def->labels, labels.value);
    if (vars.value != NULL && !json_is_object(vars.value))
        return flow_at_error(&vars, n->err, "should be an object");
    json_object_update(n->def->vars, vars.value);
    return PLEX_OK;
}

static enum plex_status
read_failure(struct native *n, const struct flow_at *root)
{
    const struct flow_at member = flow_at_member(root, "on_failure");
    const char *text = json_string_value(member.value);

    if (member.value == NULL)
        return PLEX_OK;
    if (text == NULL || (strcmp(text, "fail") && strcmp(text, "park")))
        return flow_at_error(&member, n->err, "should be 'fail' or 'park'");
    n->def->park = strcmp(text, "park") == 0;
    return PLEX_OK;
}

/* updates: {name: {check: expression, set: {...}}}; queries: {name: value} */
static enum plex_status
read_named(struct native *n, const struct flow_at *root, bool updates)
{
    static const char *const known[] = {"check", "set", NULL};
    const struct flow_at all =
        flow_at_member(root, updates ? "updates" : "queries");
    const struct native_level level = {.scope = n->def->scopes[0],
                                       .now = FLOW_NONE};
    const unsigned extra = updates ? FLOW_ROOT_BIT(FLOW_ROOT_RESULT) : 0;
    struct flow_named *list;
    enum plex_status status;
    uint32_t count = 0;
    const char *key;
    json_t *value;

    if (all.value == NULL)
        return PLEX_OK;
    if (!json_is_object(all.value))
        return flow_at_error(&all, n->err, "should be an object");
    list = flow_pool_alloc(&n->def->pool, json_object_size(all.value),
                           sizeof *list);
    if (list == NULL)
        return native_full(n, &all);
    json_object_foreach(all.value, key, value)
    {
        const struct flow_at item = flow_at_member(&all, key);
        struct flow_named *one = &list[count++];

        one->name = flow_def_strdup(n->def, key);
        if (!updates) {
            status = native_template(n, &level, &all, key, native_roots(&level),
                                     &one->value);
        } else {
            status = flow_at_known(&item, known, n->err);
            if (status == PLEX_OK)
                status =
                    native_template(n, &level, &item, "check",
                                    native_roots(&level) | extra, &one->check);
            if (status == PLEX_OK)
                status =
                    native_template(n, &level, &item, "set",
                                    native_roots(&level) | extra, &one->value);
            if (status == PLEX_OK && one->value == NULL)
                status = flow_at_error(&item, n->err, "'set' is missing");
        }
        if (status != PLEX_OK)
            return status;
    }
    *(updates ? &n->def->updates : &n->def->queries) = list;
    *(updates ? &n->def->n_updates : &n->def->n_queries) = count;
    return PLEX_OK;
}

enum plex_status
flow_native_compile(struct flow_def *def, const struct flow_at *root,
                    struct plex_err *err)
{
    static const char *const known[] = {"id",
                                        "name",
                                        "description",
                                        "version",
                                        "labels",
                                        "vars",
                                        "default_retry",
                                        "default_timeout",
                                        "on_failure",
                                        "default_timeout_ms",
                                        "steps",
                                        "output",
                                        "updates",
                                        "queries",
                                        NULL};
    struct native n = {.def = def, .err = err};
    const struct flow_at steps = flow_at_member(root, "steps");
    const struct flow_at retry = flow_at_member(root, "default_retry");
    const struct flow_at output = flow_at_member(root, "output");
    enum plex_status status = flow_at_known(root, known, err);
    uint32_t index;

    if (status == PLEX_OK)
        status = read_names(&n, root);
    if (status == PLEX_OK)
        status = read_labels(&n, root);
    if (status == PLEX_OK)
        status = read_failure(&n, root);
    if (status == PLEX_OK)
        status =
            flow_at_duration(root, "default_timeout", FLOW_RUN_TIMEOUT_MAX_MS,
                             &def->timeout_ms, err);
    if (status == PLEX_OK && retry.value != NULL)
        status = native_retry(&n, &retry, &n.retriers, &n.n_retriers);
    if (status == PLEX_OK)
        status = native_scope(&n, &steps, FLOW_NONE, "", NULL, false, &output,
                              &index);
    if (status == PLEX_OK)
        status = read_named(&n, root, true);
    if (status == PLEX_OK)
        status = read_named(&n, root, false);
    return status;
}
