/* The kinds of steps of the native language. */
#include "common/mem.h"
#include "common/name.h"
#include "workflow/native.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_TIMEOUT_MS = 300000 }; /* of a task that says nothing */

/* Kind, the member that implies it, its members. */
static const struct {
    enum flow_kind kind;
    const char *implied_by;
    const char *members[12];
} kinds[] = {
    {FLOW_TASK, "actor", {"actor", "method"}},
    {FLOW_PASS, NULL, {NULL}},
    {FLOW_CHOICE, "choices", {"choices", "default"}},
    {FLOW_WAIT,
     "duration",
     {"duration", "duration_ms", "duration_secs", "until"}},
    {FLOW_PARALLEL, "branches", {"branches"}},
    {FLOW_MAP,
     "items",
     {"items", "each", "max_concurrency", "tolerated_failures"}},
    {FLOW_SIGNAL, "signal", {"signal"}},
    {FLOW_CHILD,
     "workflow",
     {"workflow", "workflow_version", "run_id", "detached"}},
    {FLOW_APPROVAL,
     "approval",
     {"approval", "title", "assignees", "data", "on_reject"}},
    {FLOW_HTTP_STEP, "url", {"url", "http_method", "headers", "body"}},
    {FLOW_SUCCEED, NULL, {NULL}},
    {FLOW_FAIL_STEP, "error", {"error", "cause"}},
    {FLOW_CONTINUE_STEP, NULL, {NULL}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *const common_members[] = {
    "id",         "name",         "description", "type",
    "depends_on", "timeout",      "retry",       "timeout_ms",
    "heartbeat",  "heartbeat_ms", "on_error",    "catch",
    "compensate", "input",        "output",      "config"};
enum { COMMON = sizeof common_members / sizeof *common_members };

struct flow_at
native_config(const struct flow_at *step)
{
    const struct flow_at config = flow_at_member(step, "config");

    return config.value != NULL ? config : *step;
}

static enum plex_status
known_members(struct native *n, const struct flow_at *step, enum flow_kind kind)
{
    const struct flow_at config = flow_at_member(step, "config");
    const char *names[COMMON + 13];
    size_t count = 0, own = 0;
    enum plex_status status;

    for (; kinds[kind].members[own] != NULL; own++)
        names[count++] = kinds[kind].members[own];
    names[count] = NULL;
    if (config.value != NULL) {
        status = flow_at_known(&config, names, n->err);
        if (status != PLEX_OK)
            return status;
        count = 0;
    }
    for (size_t i = 0; i < COMMON; i++)
        names[count++] = common_members[i];
    names[count] = NULL;
    return flow_at_known(step, names, n->err);
}

enum plex_status
native_kind(struct native *n, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at type = flow_at_member(at, "type");
    const char *text = json_string_value(type.value);

    if (type.value != NULL) {
        for (size_t k = 0; text != NULL && k < KINDS; k++) {
            if (strcasecmp(flow_kind_name(kinds[k].kind), text) == 0) {
                node->kind = kinds[k].kind;
                return known_members(n, at, node->kind);
            }
        }
        return flow_at_error(&type, n->err,
                             "should be task, pass, choice, wait, parallel, "
                             "map, signal, child, approval, http, succeed, "
                             "fail or continue");
    }
    for (size_t k = 0; k < KINDS; k++) {
        if ((kinds[k].implied_by != NULL &&
             json_object_get(at->value, kinds[k].implied_by) != NULL) ||
            (kinds[k].kind == FLOW_WAIT &&
             (json_object_get(at->value, "until") != NULL ||
              json_object_get(at->value, "duration_ms") != NULL))) {
            node->kind = kinds[k].kind;
            return known_members(n, at, node->kind);
        }
    }
    return flow_at_error(at, n->err,
                         "'type' is missing, and nothing else says what kind "
                         "of step it is");
}

/* -- targets ------------------------------------------------------------------
 */

static enum plex_status
literal_text(struct native *n, const struct flow_at *at, const char *text,
             size_t len, struct flow_expr **out)
{
    *out = flow_expr_literal(&n->def->pool, json_stringn(text, len));
    return *out != NULL ? PLEX_OK : native_full(n, at);
}

/* "TYPE", "TYPE/KEY": the key may hold expressions, the type may not. */
static enum plex_status
target_text(struct native *n, const struct native_level *level,
            const struct flow_at *at, unsigned roots, struct flow_target *out)
{
    const char *text = json_string_value(at->value);
    const size_t len = strcspn(text, "/");
    struct flow_at key = *at;
    struct plex_err inner;
    enum plex_status status;

    if (plex_name_type(text, len, &inner) != PLEX_OK)
        return flow_at_error(at, n->err, "%s", inner.text);
    status = literal_text(n, at, text, len, &out->type);
    if (status != PLEX_OK || text[len] == '\0')
        return status;
    key.value = flow_pool_keep(&n->def->pool, json_string(text + len + 1));
    status = flow_template_parse(&n->def->pool, &key, roots, &out->key, n->err);
    return status == PLEX_OK ? native_check_steps(n, level, &key, out->key)
                             : status;
}

static enum plex_status
read_target(struct native *n, const struct native_level *level,
            const struct flow_at *holder, unsigned roots,
            struct flow_target *out)
{
    static const char *const known[] = {"type", "key", "method", NULL};
    const struct flow_at actor = flow_at_member(holder, "actor");
    enum plex_status status;

    if (json_is_string(actor.value)) {
        status = target_text(n, level, &actor, roots, out);
    } else if (json_is_object(actor.value)) {
        status = flow_at_known(&actor, known, n->err);
        if (status == PLEX_OK)
            status =
                native_template(n, level, &actor, "type", roots, &out->type);
        if (status == PLEX_OK)
            status = native_template(n, level, &actor, "key", roots, &out->key);
        if (status == PLEX_OK)
            status = native_template(n, level, &actor, "method", roots,
                                     &out->method);
        if (status == PLEX_OK && out->type == NULL)
            status = flow_at_error(&actor, n->err, "'type' is missing");
    } else {
        status = flow_at_error(&actor, n->err,
                               "should be \"TYPE/KEY\" or an object with "
                               "type, key and method");
    }
    if (status == PLEX_OK)
        status =
            native_template(n, level, holder, "method", roots, &out->method);
    return status;
}

static enum plex_status
read_compensate(struct native *n, const struct native_level *level,
                const struct flow_at *step, struct flow_node *node)
{
    static const char *const known[] = {"actor", "method", "input", "retry",
                                        NULL};
    const struct flow_at at = flow_at_member(step, "compensate");
    const struct flow_at retry = flow_at_member(&at, "retry");
    const unsigned roots =
        native_roots(level) | FLOW_ROOT_BIT(FLOW_ROOT_RESULT);
    enum plex_status status;
    uint32_t count;

    if (at.value == NULL)
        return PLEX_OK;
    if (node->kind == FLOW_CHOICE || node->kind == FLOW_SUCCEED ||
        node->kind == FLOW_FAIL_STEP || node->kind == FLOW_CONTINUE_STEP)
        return flow_at_error(&at, n->err, "a %s does nothing to undo",
                             flow_kind_name(node->kind));
    status = flow_at_known(&at, known, n->err);
    if (status == PLEX_OK)
        status = read_target(n, level, &at, roots, &node->undo);
    if (status == PLEX_OK)
        status =
            native_template(n, level, &at, "input", roots, &node->undo.input);
    if (status == PLEX_OK && retry.value != NULL) {
        status = native_retry(n, &retry, &node->undo_retrier, &count);
        if (status == PLEX_OK && count > 1)
            return flow_at_error(&retry, n->err,
                                 "a compensation is retried whatever the "
                                 "error: non_retryable_errors has no place "
                                 "here");
    }
    node->compensated = status == PLEX_OK;
    return status;
}

/* -- choices ------------------------------------------------------------------
 */

static const char *
operator_text(const char *name)
{
    static const char *const names[][2] = {
        {"eq", "=="}, {"ne", "!="}, {"lt", "<"},  {"le", "<="},    {"gt", ">"},
        {"ge", ">="}, {"in", "in"}, {"==", "=="}, {"!=", "!="},    {"<", "<"},
        {"<=", "<="}, {">", ">"},   {">=", ">="}, {"equals", "=="}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(names[i][0], name) == 0)
            return names[i][1];
    }
    return NULL;
}

/* {variable, operator, value} as the expression it stands for. */
static enum plex_status
compare_rule(struct native *n, const struct native_level *level,
             const struct flow_at *item, struct flow_expr **out)
{
    const struct flow_at variable = flow_at_member(item, "variable");
    const struct flow_at operator= flow_at_member(item, "operator");
    const char *name = json_string_value(variable.value);
    const char *op = json_string_value(operator.value);
    json_t *value = json_object_get(item->value, "value");
    struct plex_err inner;
    enum plex_status status;
    char *text, *literal;
    int len;

    if (name == NULL || strlen(name) > FLOW_EXPR_TEXT_MAX / 2)
        return flow_at_error(item, n->err,
                             "give 'when', or 'variable', 'operator' and "
                             "'value'");
    if (op == NULL || operator_text(op) == NULL)
        return flow_at_error(&operator, n->err,
                             "should be ==, !=, <, <=, >, >= or in");
    if (flow_value_size(value != NULL ? value : json_null(),
                        FLOW_EXPR_TEXT_MAX) > FLOW_EXPR_TEXT_MAX)
        return flow_at_error(item, n->err, "the value is too large");
    literal = flow_value_text(value != NULL ? value : json_null());
    /* "$.total" is how others write input.total. */
    len = asprintf(&text, "(%s%s) %s %s",
                   strncmp(name, "$.", 2) == 0 ? "input" : "",
                   strncmp(name, "$.", 2) == 0 ? name + 1 : name,
                   operator_text(op), literal);
    free(literal);
    if (len < 0)
        abort();
    status = flow_expr_parse(&n->def->pool, text, (size_t)len,
                             native_roots(level), out, &inner);
    free(text);
    if (status != PLEX_OK)
        return flow_at_error(&variable, n->err, "in the expression, %s",
                             inner.text);
    return native_check_steps(n, level, &variable, *out);
}

static enum plex_status
read_choice(struct native *n, const struct native_level *level,
            const struct flow_at *config, struct flow_node *node)
{
    static const char *const known[] = {"when",  "variable", "operator",
                                        "value", "next",     NULL};
    const struct flow_at list = flow_at_member(config, "choices");

    for (uint32_t i = 0; i < node->n_rules; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        enum plex_status status = flow_at_known(&item, known, n->err);

        if (status == PLEX_OK)
            status = native_template(n, level, &item, "when",
                                     native_roots(level), &node->rules[i].when);
        if (status == PLEX_OK && node->rules[i].when == NULL)
            status = compare_rule(n, level, &item, &node->rules[i].when);
        if (status != PLEX_OK)
            return status;
    }
    return PLEX_OK;
}

/* -- waits
 * ---------------------------------------------------------------------
 */

static enum plex_status
read_wait(struct native *n, const struct native_level *level,
          const struct flow_at *config, struct flow_node *node)
{
    static const struct {
        const char *key;
        enum flow_wait_how how;
    } ways[] = {{"duration", FLOW_WAIT_MS},
                {"duration_ms", FLOW_WAIT_MS},
                {"duration_secs", FLOW_WAIT_SECONDS},
                {"until", FLOW_WAIT_UNTIL}};
    unsigned found = 0;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const struct flow_at at = flow_at_member(config, ways[i].key);
        const char *text = json_string_value(at.value);
        enum plex_status status;
        int64_t ms;

        if (at.value == NULL)
            continue;
        found++;
        status = native_template(n, level, config, ways[i].key,
                                 native_roots(level), &node->value);
        if (status != PLEX_OK)
            return status;
        node->wait_how = ways[i].how;
        if (text == NULL || strstr(text, "${") != NULL)
            continue;
        if (ways[i].how == FLOW_WAIT_UNTIL ? !flow_time_parse(text, &ms)
                                           : !flow_duration_parse(text, &ms))
            return flow_at_error(&at, n->err, "should be %s, or an expression",
                                 ways[i].how == FLOW_WAIT_UNTIL
                                     ? "a time like \"2026-12-01T08:00:00Z\""
                                     : "a duration like \"90s\"");
    }
    if (found != 1)
        return flow_at_error(config, n->err,
                             "give one of duration, duration_ms, "
                             "duration_secs and until");
    return PLEX_OK;
}

/* -- parallel and map
 * ----------------------------------------------------------
 */

static enum plex_status
read_parallel(struct native *n, const struct native_level *level,
              const struct flow_at *config, struct flow_node *node)
{
    static const char *const known[] = {"id", "steps", "output", NULL};
    const struct flow_at list = flow_at_member(config, "branches");
    const size_t count = json_array_size(list.value);

    if (count == 0)
        return flow_at_error(&list, n->err, "should be a list of branches");
    node->branches =
        flow_pool_alloc(&n->def->pool, count, sizeof *node->branches);
    if (node->branches == NULL)
        return native_full(n, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        const struct flow_at steps = flow_at_member(&item, "steps");
        const struct flow_at output = flow_at_member(&item, "output");
        const char *id = NULL;
        enum plex_status status = flow_at_known(&item, known, n->err);

        if (status == PLEX_OK)
            status = flow_at_text(&item, "id", FLOW_NAME_MAX, &id, n->err);
        if (status == PLEX_OK && id == NULL)
            status = flow_at_error(&item, n->err, "'id' is missing");
        for (size_t b = 0; status == PLEX_OK && b < i; b++) {
            if (strcmp(n->def->scopes[node->branches[b]]->name, id) == 0)
                status = flow_at_error(&item, n->err,
                                       "there are two branches '%.64s'", id);
        }
        if (status == PLEX_OK)
            status = native_scope(n, &steps, node->index, id, level,
                                  level->in_map, &output, &node->branches[i]);
        if (status != PLEX_OK)
            return status;
    }
    node->n_branches = (uint32_t)count;
    return PLEX_OK;
}

static enum plex_status
read_map(struct native *n, const struct native_level *level,
         const struct flow_at *config, struct flow_node *node)
{
    static const char *const known[] = {"steps", "output", NULL};
    const struct flow_at each = flow_at_member(config, "each");
    const struct flow_at steps = flow_at_member(&each, "steps");
    const struct flow_at output = flow_at_member(&each, "output");
    enum plex_status status;

    if (each.value == NULL)
        return flow_at_error(config, n->err,
                             "'each' is missing: the steps for one item");
    status = flow_at_known(&each, known, n->err);
    if (status == PLEX_OK)
        status = native_template(n, level, config, "items", native_roots(level),
                                 &node->value);
    if (status == PLEX_OK && node->value == NULL)
        status = flow_at_error(config, n->err, "'items' is missing");
    if (status == PLEX_OK)
        status = flow_at_int(config, "max_concurrency", 0, FLOW_ACTIVE_MAX,
                             &node->concurrency, n->err);
    if (status == PLEX_OK)
        status = flow_at_int(config, "tolerated_failures", 0, FLOW_ACTIVE_MAX,
                             &node->tolerated, n->err);
    node->branches = flow_pool_alloc(&n->def->pool, 1, sizeof *node->branches);
    if (status == PLEX_OK && node->branches == NULL)
        status = native_full(n, config);
    if (status == PLEX_OK)
        status = native_scope(n, &steps, node->index, "", level, true, &output,
                              &node->branches[0]);
    node->n_branches = 1;
    return status;
}

/* -- the others
 * ------------------------------------------------------------------
 */

struct member {
    const char *key;
    struct flow_expr **out;
    bool required;
};

static enum plex_status
read_members(struct native *n, const struct native_level *level,
             const struct flow_at *at, const struct member *members)
{
    enum plex_status status = PLEX_OK;

    for (; members->key != NULL && status == PLEX_OK; members++) {
        status = native_template(n, level, at, members->key,
                                 native_roots(level), members->out);
        if (status == PLEX_OK && members->required && *members->out == NULL)
            status = flow_at_error(at, n->err, "'%s' is missing", members->key);
    }
    return status;
}

static enum plex_status
read_child(struct native *n, const struct native_level *level,
           const struct flow_at *config, struct flow_node *node)
{
    const struct member members[] = {
        {"workflow", &node->target.type, true},
        {"workflow_version", &node->target.method, false},
        {"run_id", &node->target.key, false},
        {0}};
    enum plex_status status = read_members(n, level, config, members);

    if (status == PLEX_OK)
        status = flow_at_bool(config, "detached", &node->detached, n->err);
    return status;
}

static enum plex_status
read_approval(struct native *n, const struct native_level *level,
              const struct flow_at *config, struct flow_node *node)
{
    const struct flow_at how = flow_at_member(config, "on_reject");
    const char *text = json_string_value(how.value);
    const struct member members[] = {{"approval", &node->value, false},
                                     {"title", &node->value, false},
                                     {"assignees", &node->detail, false},
                                     {"data", &node->params, false},
                                     {0}};

    if (how.value != NULL &&
        (text == NULL || (strcmp(text, "fail") && strcmp(text, "pass"))))
        return flow_at_error(&how, n->err, "should be 'fail' or 'pass'");
    node->reject_passes = text != NULL && strcmp(text, "pass") == 0;
    return read_members(n, level, config, members);
}

static enum plex_status
read_http(struct native *n, const struct native_level *level,
          const struct flow_at *config, struct flow_node *node)
{
    const struct member members[] = {{"url", &node->value, true},
                                     {"http_method", &node->detail, false},
                                     {"headers", &node->headers, false},
                                     {"body", &node->params, false},
                                     {0}};

    return read_members(n, level, config, members);
}

static enum plex_status
read_kind(struct native *n, const struct native_level *level,
          const struct flow_at *config, struct flow_node *node)
{
    const struct member signal[] = {{"signal", &node->value, true}, {0}};
    const struct member fail[] = {
        {"error", &node->value, true}, {"cause", &node->detail, false}, {0}};

    switch (node->kind) {
    case FLOW_TASK:
        return read_target(n, level, config, native_roots(level),
                           &node->target);
    case FLOW_CHOICE:
        return read_choice(n, level, config, node);
    case FLOW_WAIT:
        return read_wait(n, level, config, node);
    case FLOW_PARALLEL:
        return read_parallel(n, level, config, node);
    case FLOW_MAP:
        return read_map(n, level, config, node);
    case FLOW_SIGNAL:
        return read_members(n, level, config, signal);
    case FLOW_CHILD:
        return read_child(n, level, config, node);
    case FLOW_APPROVAL:
        return read_approval(n, level, config, node);
    case FLOW_HTTP_STEP:
        return read_http(n, level, config, node);
    case FLOW_FAIL_STEP:
        return read_members(n, level, config, fail);
    case FLOW_CONTINUE_STEP:
        return level->up == NULL
                   ? PLEX_OK
                   : flow_at_error(config, n->err,
                                   "a run begins anew from its outermost "
                                   "level only");
    default:
        return PLEX_OK;
    }
}

static bool
is_called(enum flow_kind kind)
{
    return kind == FLOW_TASK || kind == FLOW_HTTP_STEP;
}

static enum plex_status
read_limits(struct native *n, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at retry = flow_at_member(at, "retry");
    const int64_t max =
        is_called(node->kind) ? FLOW_STEP_TIMEOUT_MAX_MS : FLOW_WAIT_MAX_MS;
    enum plex_status status;

    if (is_called(node->kind)) {
        node->timeout_ms = STEP_TIMEOUT_MS;
        node->retriers = n->retriers;
        node->n_retriers = n->n_retriers;
    }
    status = flow_at_duration(at, "timeout", max, &node->timeout_ms, n->err);
    if (status == PLEX_OK)
        status =
            flow_at_duration(at, "heartbeat", max, &node->heartbeat_ms, n->err);
    if (status == PLEX_OK && retry.value != NULL)
        status = native_retry(n, &retry, &node->retriers, &node->n_retriers);
    return status;
}

enum plex_status
native_step(struct native *n, struct native_level *level,
            const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at config = native_config(at);
    const char *title = NULL;
    enum plex_status status =
        flow_at_text(at, "name", FLOW_NAME_MAX, &title, n->err);

    if (status == PLEX_OK && title != NULL) {
        node->title = flow_def_strdup(n->def, title);
        if (node->title == NULL)
            return native_full(n, at);
    }
    if (status == PLEX_OK)
        status = read_limits(n, at, node);
    if (status == PLEX_OK)
        status = native_template(n, level, at, "input", native_roots(level),
                                 &node->params);
    if (status == PLEX_OK)
        status = read_kind(n, level, &config, node);
    if (status == PLEX_OK)
        status = native_template(n, level, at, "output",
                                 native_roots(level) |
                                     FLOW_ROOT_BIT(FLOW_ROOT_RESULT),
                                 &node->selector);
    if (status == PLEX_OK)
        status = read_compensate(n, level, at, node);
    return status;
}
