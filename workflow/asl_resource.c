/* What a Resource of the Amazon States Language stands for here. */
#include "common/mem.h"
#include "common/name.h"
#include "workflow/asl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last part of an ARN that is a name: versions and aliases come after
 * "function:NAME". */
static const char *
last_name(const char *resource, size_t *len)
{
    const char *function = strstr(resource, ":function:");
    const char *start;

    if (function != NULL) {
        start = function + strlen(":function:");
        *len = strcspn(start, ":");
        return start;
    }
    start = strrchr(resource, ':');
    start = start != NULL ? start + 1 : resource;
    *len = strlen(start);
    return start;
}

/* "ProcessOrder" is the actor type "process-order". */
static char *
type_of(const char *start, size_t len)
{
    char *type = plex_calloc(1, 2 * len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)start[i];
        const unsigned char before = i > 0 ? (unsigned char)start[i - 1] : 'A';

        if (isupper(c) && (islower(before) || isdigit(before)))
            type[n++] = '-';
        type[n++] = isalnum(c) || c == '_' ? (char)tolower(c) : '-';
    }
    return type;
}

char *
flow_asl_actor_type(const char *resource)
{
    size_t len;
    const char *start = last_name(resource, &len);

    return type_of(start, len);
}

static struct flow_expr *
text(struct asl *a, const char *value, size_t len)
{
    return flow_expr_literal(&a->def->pool, json_stringn(value, len));
}

static enum plex_status
check_type(struct asl *a, const struct flow_at *at, const char *type)
{
    struct plex_err inner;

    if (plex_name_type(type, strlen(type), &inner) != PLEX_OK)
        return flow_at_error(at, a->err, "names no actor: %s", inner.text);
    return PLEX_OK;
}

/* "TYPE", "TYPE/KEY", "TYPE/KEY/METHOD" */
static enum plex_status
actor_target(struct asl *a, const struct flow_at *at, const char *spec,
             struct flow_target *out)
{
    const size_t type_len = strcspn(spec, "/");
    const char *key = spec + type_len + (spec[type_len] == '/');
    const size_t key_len = strcspn(key, "/");
    const char *method = key + key_len + (key[key_len] == '/');
    char *type = strndup(spec, type_len);
    enum plex_status status;

    if (type == NULL)
        abort();
    status = check_type(a, at, type);
    free(type);
    if (status != PLEX_OK)
        return status;
    out->type = text(a, spec, type_len);
    if (key_len > 0)
        out->key = text(a, key, key_len);
    if (method[0] != '\0')
        out->method = text(a, method, strlen(method));
    return out->type != NULL ? PLEX_OK : asl_full(a, at);
}

/* "arn:aws:states:::SERVICE:API": the actor SERVICE, its method API. */
static enum plex_status
service_target(struct asl *a, const struct flow_at *at, const char *service,
               size_t len, struct flow_target *out)
{
    const char *colon = memrchr(service, ':', len);
    const char *name;
    size_t name_len;
    char *type;

    if (colon == NULL)
        return flow_at_error(at, a->err,
                             "should be \"arn:aws:states:::SERVICE:API\"");
    name = memrchr(service, ':', (size_t)(colon - service));
    name = name != NULL ? name + 1 : service;
    name_len = (size_t)(colon - name);
    type = type_of(name, name_len);
    out->type = text(a, type, strlen(type));
    out->method = text(a, colon + 1, len - (size_t)(colon + 1 - service));
    if (check_type(a, at, type) != PLEX_OK) {
        free(type);
        return PLEX_INVALID;
    }
    free(type);
    return out->type && out->method ? PLEX_OK : asl_full(a, at);
}

/* states:startExecution: the machine is in the parameters. */
static enum plex_status
child_target(struct asl *a, const struct flow_at *state, const char *how,
             struct flow_node *node)
{
    const struct flow_at params = flow_at_member(state, "Parameters");
    const struct flow_at arn = flow_at_member(&params, "StateMachineArn");
    const struct flow_at input = flow_at_member(&params, "Input");
    const struct flow_at name = flow_at_member(&params, "Name");
    enum plex_status status = PLEX_OK;
    size_t len;

    node->kind = FLOW_CHILD;
    node->detached = how[0] == '\0';
    node->wrapped = !node->detached;
    node->text_output = strcmp(how, ".sync") == 0;
    if (json_is_string(arn.value)) {
        const char *id = last_name(json_string_value(arn.value), &len);

        node->target.type = text(a, id, len);
    } else {
        status =
            asl_path(a, &params, "StateMachineArn.$", true, &node->target.type);
        if (status == PLEX_OK && node->target.type == NULL)
            status = flow_at_error(state, a->err,
                                   "Parameters should have a StateMachineArn");
    }
    if (status == PLEX_OK && json_is_string(name.value))
        node->target.key = text(a, json_string_value(name.value),
                                json_string_length(name.value));
    else if (status == PLEX_OK)
        status = asl_path(a, &params, "Name.$", true, &node->target.key);
    if (status == PLEX_OK && input.value != NULL)
        status =
            flow_payload_parse(&a->def->pool, &input, &node->params, a->err);
    else if (status == PLEX_OK)
        status = asl_path(a, &params, "Input.$", true, &node->params);
    if (status == PLEX_OK && node->params == NULL)
        node->params = flow_expr_literal(&a->def->pool, json_object());
    return status;
}

/* The integration pattern at the end, ".sync" and so on; "" if none. */
static size_t
without_pattern(const char *resource, const char **pattern)
{
    static const char *const patterns[] = {".waitForTaskToken", ".sync:2",
                                           ".sync"};
    const size_t len = strlen(resource);

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const size_t end = strlen(patterns[i]);

        if (len > end && strcmp(resource + len - end, patterns[i]) == 0) {
            *pattern = patterns[i];
            return len - end;
        }
    }
    *pattern = "";
    return len;
}

static bool
is(const char *resource, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(resource, name, len) == 0;
}

enum plex_status
asl_resource(struct asl *a, const struct flow_at *state, struct flow_node *node)
{
    static const char states[] = "arn:aws:states:::";
    static const char own[] = "arn:plexspaces:";
    const struct flow_at at = flow_at_member(state, "Resource");
    const char *resource = json_string_value(at.value), *mapped, *pattern;
    enum plex_status status;
    size_t len;
    char *type;

    if (resource == NULL || resource[0] == '\0')
        return flow_at_error(&at, a->err,
                             "Resource should be a text that names what is "
                             "called");
    mapped =
        json_string_value(json_object_get(a->options->resources, resource));
    len = without_pattern(resource, &pattern);
    node->token = strcmp(pattern, ".waitForTaskToken") == 0;
    if (mapped != NULL)
        return actor_target(
            a, &at, mapped + (strncmp(mapped, "actor:", 6) == 0 ? 6 : 0),
            &node->target);
    if (strncmp(resource, "actor:", 6) == 0)
        return actor_target(a, &at, resource + 6, &node->target);
    if (strncmp(resource, own, strlen(own)) == 0)
        return actor_target(a, &at, strrchr(resource, ':') + 1, &node->target);
    if (is(resource, len, "arn:aws:states:::lambda:invoke")) {
        node->wrapped = true;
        return PLEX_OK;
    }
    if (is(resource, len, "arn:aws:states:::states:startExecution"))
        return child_target(a, state, pattern, node);
    if (strncmp(resource, states, strlen(states)) == 0)
        return service_target(a, &at, resource + strlen(states),
                              len - strlen(states), &node->target);
    type = flow_asl_actor_type(resource);
    node->target.type = text(a, type, strlen(type));
    status = check_type(a, &at, type);
    free(type);
    return status == PLEX_OK && node->target.type == NULL ? asl_full(a, &at)
                                                          : status;
}
