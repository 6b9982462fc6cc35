/* States by their type. */
#include "workflow/asl.h"
#include "workflow/when.h"

#include <stdio.h>
#include <string.h>

enum { ASL_SECONDS_MAX = 99999999 };

#define DATA_FIELDS "InputPath", "OutputPath"
#define RESULT_FIELDS "Parameters", "ResultSelector", "ResultPath"
#define ERROR_FIELDS "Retry", "Catch"
#define COMMON_FIELDS "Type", "Comment", "QueryLanguage"
#define NEXT_FIELDS "Next", "End"

static const struct type {
    const char *name;
    enum flow_kind kind;
    const char *fields[28];
} types[] = {
    {"Task",
     FLOW_TASK,
     {COMMON_FIELDS, NEXT_FIELDS, DATA_FIELDS, RESULT_FIELDS, ERROR_FIELDS,
      "Resource", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds",
      "HeartbeatSecondsPath", "Credentials"}},
    {"Pass",
     FLOW_PASS,
     {COMMON_FIELDS, NEXT_FIELDS, DATA_FIELDS, "Parameters", "ResultPath",
      "Result"}},
    {"Choice", FLOW_CHOICE, {COMMON_FIELDS, DATA_FIELDS, "Choices", "Default"}},
    {"Wait",
     FLOW_WAIT,
     {COMMON_FIELDS, NEXT_FIELDS, DATA_FIELDS, "Seconds", "SecondsPath",
      "Timestamp", "TimestampPath"}},
    {"Succeed", FLOW_SUCCEED, {COMMON_FIELDS, DATA_FIELDS}},
    {"Fail",
     FLOW_FAIL_STEP,
     {COMMON_FIELDS, "Error", "ErrorPath", "Cause", "CausePath"}},
    {"Parallel",
     FLOW_PARALLEL,
     {COMMON_FIELDS, NEXT_FIELDS, DATA_FIELDS, RESULT_FIELDS, ERROR_FIELDS,
      "Branches"}},
    {"Map",
     FLOW_MAP,
     {COMMON_FIELDS, NEXT_FIELDS, DATA_FIELDS, RESULT_FIELDS, ERROR_FIELDS,
      "Iterator", "ItemProcessor", "ItemsPath", "ItemSelector",
      "MaxConcurrency", "MaxConcurrencyPath", "ToleratedFailureCount",
      "ToleratedFailurePercentage", "Label"}},
};

static enum plex_status
find_type(struct asl *a, const struct flow_at *at, const struct type **out)
{
    const struct flow_at member = flow_at_member(at, "Type");
    const char *name = json_string_value(member.value);

    for (size_t i = 0; name != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *out = &types[i];
            return PLEX_OK;
        }
    }
    return flow_at_error(&member, a->err,
                         "Type should be Task, Pass, Choice, Wait, Succeed, "
                         "Fail, Parallel or Map");
}

/* -- data
 * -----------------------------------------------------------------------------
 */

/* InputPath, OutputPath: null discards, "$" is everything. */
static enum plex_status
read_filter(struct asl *a, const struct flow_at *at, const char *key,
            struct flow_expr **out, bool *discard)
{
    const struct flow_at member = flow_at_member(at, key);

    *discard = json_is_null(member.value);
    if (*discard)
        return PLEX_OK;
    if (json_is_string(member.value) &&
        strcmp(json_string_value(member.value), "$") == 0)
        return PLEX_OK;
    return asl_path(a, at, key, false, out);
}

static enum plex_status
read_place(struct asl *a, const struct flow_at *at, struct flow_place *place,
           bool *discard)
{
    const struct flow_at member = flow_at_member(at, "ResultPath");
    struct plex_err inner;

    *discard = json_is_null(member.value);
    if (member.value == NULL || *discard)
        return PLEX_OK;
    if (!json_is_string(member.value))
        return flow_at_error(&member, a->err,
                             "should be a reference path or null");
    if (flow_place_parse(&a->def->pool, json_string_value(member.value), place,
                         &inner) != PLEX_OK)
        return flow_at_error(&member, a->err, "%s", inner.text);
    return PLEX_OK;
}

static enum plex_status
read_payload(struct asl *a, const struct flow_at *at, const char *key,
             struct flow_expr **out)
{
    const struct flow_at member = flow_at_member(at, key);

    if (member.value == NULL)
        return PLEX_OK;
    return flow_payload_parse(&a->def->pool, &member, out, a->err);
}

static enum plex_status
read_data(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    enum plex_status status =
        read_filter(a, at, "InputPath", &node->in_path, &node->in_discard);

    if (status == PLEX_OK)
        status = read_filter(a, at, "OutputPath", &node->out_path,
                             &node->out_discard);
    if (status == PLEX_OK)
        status = read_place(a, at, &node->place, &node->result_discard);
    if (status == PLEX_OK)
        status = read_payload(a, at, "ResultSelector", &node->selector);
    if (status == PLEX_OK && node->kind != FLOW_MAP && node->params == NULL)
        status = read_payload(a, at, "Parameters", &node->params);
    return status;
}

static enum plex_status
read_next(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    enum plex_status status = asl_target(a, at, "Next", node, &node->next);
    bool end = false;

    if (status == PLEX_OK)
        status = flow_at_bool(at, "End", &end, a->err);
    if (status == PLEX_OK && end == (node->next != FLOW_NONE))
        status = flow_at_error(at, a->err,
                               end ? "has both Next and End"
                                   : "should have a Next, or \"End\": true");
    return status;
}

/* -- errors
 * ----------------------------------------------------------------------------
 */

static enum plex_status
read_retrier(struct asl *a, const struct flow_at *at, bool last,
             struct flow_retrier *out)
{
    static const char *const known[] = {
        "ErrorEquals",     "IntervalSeconds", "MaxAttempts", "BackoffRate",
        "MaxDelaySeconds", "JitterStrategy",  "Comment",     NULL};
    const struct flow_at jitter = flow_at_member(at, "JitterStrategy");
    const char *how = json_string_value(jitter.value);
    int64_t seconds = 1, attempts = 3, max = 0;
    enum plex_status status = flow_at_known(at, known, a->err);

    out->rate = 2;
    if (status == PLEX_OK)
        status = asl_errors(a, at, &out->errors);
    if (status == PLEX_OK && strcmp(out->errors[0], "States.ALL") == 0 && !last)
        status =
            flow_at_error(at, a->err, "States.ALL belongs in the last retrier");
    if (status == PLEX_OK)
        status = flow_at_int(at, "IntervalSeconds", 1, ASL_SECONDS_MAX,
                             &seconds, a->err);
    if (status == PLEX_OK)
        status = flow_at_int(at, "MaxAttempts", 0, 99999999, &attempts, a->err);
    if (status == PLEX_OK)
        status = flow_at_number(at, "BackoffRate", 1, 1e6, &out->rate, a->err);
    if (status == PLEX_OK)
        status = flow_at_int(at, "MaxDelaySeconds", 1, 31622400, &max, a->err);
    if (status == PLEX_OK && jitter.value != NULL &&
        (how == NULL || (strcmp(how, "FULL") && strcmp(how, "NONE"))))
        status = flow_at_error(&jitter, a->err, "should be FULL or NONE");
    out->jitter = how != NULL && strcmp(how, "FULL") == 0;
    out->first_ms = seconds * 1000;
    out->max_ms = max * 1000;
    out->retries = (uint32_t)attempts;
    return status;
}

static enum plex_status
read_retry(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at list = flow_at_member(at, "Retry");
    const size_t count = json_array_size(list.value);

    if (list.value == NULL)
        return PLEX_OK;
    if (!json_is_array(list.value) || count > FLOW_RETRIERS_MAX)
        return flow_at_error(&list, a->err,
                             "should be a list of at most %d retriers",
                             FLOW_RETRIERS_MAX);
    node->retriers =
        flow_pool_alloc(&a->def->pool, count + 1, sizeof *node->retriers);
    if (node->retriers == NULL)
        return asl_full(a, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        enum plex_status status =
            read_retrier(a, &item, i + 1 == count, &node->retriers[i]);

        if (status != PLEX_OK)
            return status;
    }
    node->n_retriers = (uint32_t)count;
    return PLEX_OK;
}

static enum plex_status
read_catch(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    static const char *const known[] = {"ErrorEquals", "Next", "ResultPath",
                                        "Comment", NULL};
    const struct flow_at list = flow_at_member(at, "Catch");
    const size_t count = json_array_size(list.value);

    if (list.value == NULL)
        return PLEX_OK;
    if (!json_is_array(list.value))
        return flow_at_error(&list, a->err, "should be a list of catchers");
    node->catchers =
        flow_pool_alloc(&a->def->pool, count + 1, sizeof *node->catchers);
    if (node->catchers == NULL)
        return asl_full(a, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        struct flow_catcher *catcher = &node->catchers[i];
        enum plex_status status =
            asl_unsupported(a, &item, "Assign", "use ResultPath");

        if (status == PLEX_OK)
            status = flow_at_known(&item, known, a->err);
        if (status == PLEX_OK)
            status = asl_errors(a, &item, &catcher->errors);
        if (status == PLEX_OK &&
            strcmp(catcher->errors[0], "States.ALL") == 0 && i + 1 < count)
            status = flow_at_error(&item, a->err,
                                   "States.ALL belongs in the last catcher");
        if (status == PLEX_OK)
            status = asl_target(a, &item, "Next", node, &catcher->next);
        if (status == PLEX_OK && catcher->next == FLOW_NONE)
            status = flow_at_error(&item, a->err, "Next is missing");
        if (status == PLEX_OK)
            status = read_place(a, &item, &catcher->place, &catcher->discard);
        if (status != PLEX_OK)
            return status;
    }
    node->n_catchers = (uint32_t)count;
    return PLEX_OK;
}

/* -- types
 * ------------------------------------------------------------------------------
 */

static enum plex_status
read_task(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    int64_t timeout = 0, beat = 0;
    enum plex_status status = asl_resource(a, at, node);

    if (status == PLEX_OK)
        status = flow_at_int(at, "TimeoutSeconds", 1, ASL_SECONDS_MAX, &timeout,
                             a->err);
    if (status == PLEX_OK)
        status = flow_at_int(at, "HeartbeatSeconds", 1, ASL_SECONDS_MAX, &beat,
                             a->err);
    if (status == PLEX_OK && timeout > 0 && beat >= timeout)
        status = flow_at_error(
            at, a->err, "HeartbeatSeconds should be less than TimeoutSeconds");
    if (status == PLEX_OK)
        status =
            asl_path(a, at, "TimeoutSecondsPath", false, &node->timeout_path);
    if (status == PLEX_OK)
        status = asl_path(a, at, "HeartbeatSecondsPath", false,
                          &node->heartbeat_path);
    node->timeout_ms = timeout * 1000;
    node->heartbeat_ms = beat * 1000;
    return status;
}

static enum plex_status
read_pass(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at result = flow_at_member(at, "Result");

    if (result.value == NULL)
        return PLEX_OK;
    node->params = flow_expr_literal(&a->def->pool, json_incref(result.value));
    return node->params != NULL ? PLEX_OK : asl_full(a, at);
}

static enum plex_status
read_wait(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    static const char *const keys[] = {"Seconds", "SecondsPath", "Timestamp",
                                       "TimestampPath"};
    enum plex_status status = PLEX_OK;
    unsigned found = 0;
    int64_t ms, seconds;

    for (size_t i = 0; i < 4 && status == PLEX_OK; i++) {
        const struct flow_at member = flow_at_member(at, keys[i]);

        if (member.value == NULL)
            continue;
        found++;
        node->wait_how = i < 2 ? FLOW_WAIT_SECONDS : FLOW_WAIT_UNTIL;
        if (i % 2 == 1) {
            status = asl_path(a, at, keys[i], false, &node->value);
            continue;
        }
        if (i == 0)
            status =
                flow_at_int(at, keys[i], 0, ASL_SECONDS_MAX, &seconds, a->err);
        else if (!json_is_string(member.value) ||
                 !flow_time_parse(json_string_value(member.value), &ms))
            status = flow_at_error(
                &member, a->err,
                "should be a time such as \"2026-12-01T08:00:00Z\"");
        node->value =
            flow_expr_literal(&a->def->pool, json_incref(member.value));
    }
    if (status == PLEX_OK && found != 1)
        status = flow_at_error(at, a->err,
                               "should have one of Seconds, SecondsPath, "
                               "Timestamp and TimestampPath");
    return status;
}

static enum plex_status
read_fail(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    struct flow_expr **const out[] = {&node->value, &node->detail};
    static const char *const keys[] = {"Error", "Cause"};
    static const char *const paths[] = {"ErrorPath", "CausePath"};
    enum plex_status status = PLEX_OK;

    for (size_t i = 0; i < 2 && status == PLEX_OK; i++) {
        const char *text = NULL;

        status = flow_at_text(at, keys[i], FLOW_VALUE_MAX, &text, a->err);
        if (status == PLEX_OK && text != NULL)
            *out[i] = flow_expr_literal(&a->def->pool, json_string(text));
        else if (status == PLEX_OK)
            status = asl_path(a, at, paths[i], true, out[i]);
    }
    return status;
}

static enum plex_status
read_parallel(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    static const char *const known[] = {"Comment", "StartAt", "States",
                                        "QueryLanguage", NULL};
    const struct flow_at list = flow_at_member(at, "Branches");
    const size_t count = json_array_size(list.value);

    if (count == 0 || count > FLOW_STEPS_MAX)
        return flow_at_error(&list, a->err,
                             "Branches should be a list of machines");
    node->branches =
        flow_pool_alloc(&a->def->pool, count, sizeof *node->branches);
    if (node->branches == NULL)
        return asl_full(a, &list);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(&list, i);
        enum plex_status status = flow_at_known(&item, known, a->err);
        char name[16];

        (void)snprintf(name, sizeof name, "%zu", i);
        if (status == PLEX_OK)
            status =
                asl_machine(a, &item, node->index, name, &node->branches[i]);
        if (status != PLEX_OK)
            return status;
    }
    node->n_branches = (uint32_t)count;
    return PLEX_OK;
}

static enum plex_status
read_body(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    static const char *const known[] = {"Comment",       "StartAt",
                                        "States",        "ProcessorConfig",
                                        "QueryLanguage", NULL};
    static const char *const config[] = {"Mode", "ExecutionType", NULL};
    const struct flow_at new_form = flow_at_member(at, "ItemProcessor");
    const struct flow_at old_form = flow_at_member(at, "Iterator");
    const struct flow_at *body = new_form.value != NULL ? &new_form : &old_form;
    const struct flow_at mode = flow_at_member(body, "ProcessorConfig");
    enum plex_status status;

    if (body->value == NULL || (new_form.value && old_form.value))
        return flow_at_error(at, a->err,
                             "should have an ItemProcessor (or the older "
                             "Iterator)");
    status = flow_at_known(body, known, a->err);
    if (status == PLEX_OK && mode.value != NULL)
        status = flow_at_known(&mode, config, a->err);
    node->branches = flow_pool_alloc(&a->def->pool, 1, sizeof *node->branches);
    if (status == PLEX_OK && node->branches == NULL)
        status = asl_full(a, at);
    if (status == PLEX_OK)
        status = asl_machine(a, body, node->index, "", &node->branches[0]);
    node->n_branches = 1;
    return status;
}

static enum plex_status
read_map(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    const struct flow_at selector = flow_at_member(at, "ItemSelector");
    const struct flow_at older = flow_at_member(at, "Parameters");
    enum plex_status status = PLEX_OK;

    if (selector.value != NULL && older.value != NULL)
        return flow_at_error(&older, a->err,
                             "is the older name of ItemSelector: give one");
    status = read_payload(
        a, at, selector.value != NULL ? "ItemSelector" : "Parameters",
        &node->per_item);
    if (status == PLEX_OK)
        status = asl_path(a, at, "ItemsPath", false, &node->value);
    if (status == PLEX_OK)
        status = flow_at_int(at, "MaxConcurrency", 0, FLOW_ACTIVE_MAX,
                             &node->concurrency, a->err);
    if (status == PLEX_OK)
        status = asl_path(a, at, "MaxConcurrencyPath", false, &node->detail);
    if (status == PLEX_OK)
        status = flow_at_int(at, "ToleratedFailureCount", 0, INT32_MAX,
                             &node->tolerated, a->err);
    if (status == PLEX_OK)
        status = flow_at_number(at, "ToleratedFailurePercentage", 0, 100,
                                &node->tolerated_percent, a->err);
    if (status == PLEX_OK)
        status = read_body(a, at, node);
    return status;
}

static enum plex_status
read_type(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    switch (node->kind) {
    case FLOW_TASK:
        return read_task(a, at, node);
    case FLOW_PASS:
        return read_pass(a, at, node);
    case FLOW_CHOICE:
        return asl_choices(a, at, node);
    case FLOW_WAIT:
        return read_wait(a, at, node);
    case FLOW_FAIL_STEP:
        return read_fail(a, at, node);
    case FLOW_PARALLEL:
        return read_parallel(a, at, node);
    case FLOW_MAP:
        return read_map(a, at, node);
    default:
        return PLEX_OK;
    }
}

static enum plex_status
refuse_others(struct asl *a, const struct flow_at *at)
{
    static const char *const fields[][2] = {
        {"Assign", "put values into the state's data"},
        {"Arguments", "it belongs to JSONata; use Parameters"},
        {"Output", "it belongs to JSONata; use ResultPath and OutputPath"},
        {"ItemReader", "items come from the state's input"},
        {"ItemBatcher", "use States.ArrayPartition before the Map"},
        {"ResultWriter", "results are the state's output"},
        {"ToleratedFailureCountPath", "give ToleratedFailureCount"},
        {"ToleratedFailurePercentagePath", "give ToleratedFailurePercentage"},
    };
    enum plex_status status = PLEX_OK;

    for (size_t i = 0; i < sizeof fields / sizeof *fields && status == PLEX_OK;
         i++)
        status = asl_unsupported(a, at, fields[i][0], fields[i][1]);
    return status;
}

enum plex_status
asl_state(struct asl *a, const struct flow_at *at, struct flow_node *node)
{
    const struct type *type = NULL;
    enum plex_status status = find_type(a, at, &type);

    if (status == PLEX_OK)
        status = refuse_others(a, at);
    if (status == PLEX_OK)
        status = flow_at_known(at, type->fields, a->err);
    if (status != PLEX_OK)
        return status;
    node->kind = type->kind;
    if (type->kind != FLOW_CHOICE && type->kind != FLOW_SUCCEED &&
        type->kind != FLOW_FAIL_STEP)
        status = read_next(a, at, node);
    if (status == PLEX_OK)
        status = read_type(a, at, node);
    if (status == PLEX_OK)
        status = read_data(a, at, node);
    if (status == PLEX_OK)
        status = read_retry(a, at, node);
    if (status == PLEX_OK)
        status = read_catch(a, at, node);
    return status;
}
