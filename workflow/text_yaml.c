/* YAML as JSON values, over libyaml's document tree. Anchors are refused, so
 * that the tree is no larger than its text. */
#include "workflow/limits.h"
#include "workflow/text_private.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static enum plex_status
mark_error(struct plex_err *err, yaml_mark_t mark, const char *text)
{
    return plex_err_set(err, PLEX_INVALID, "%zu:%zu: not YAML: %s",
                        mark.line + 1, mark.column + 1,
                        text != NULL ? text : "cannot be read");
}

/* The document tree hides aliases by sharing nodes: look for them first. */
static enum plex_status
check_events(const char *text, size_t len, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    yaml_parser_t parser;
    yaml_event_t event;
    unsigned depth = 0;
    bool end = false;

    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    while (!end && status == PLEX_OK) {
        if (!yaml_parser_parse(&parser, &event)) {
            status = mark_error(err, parser.problem_mark, parser.problem);
            break;
        }
        if (event.type == YAML_ALIAS_EVENT ||
            (event.type == YAML_SCALAR_EVENT && event.data.scalar.anchor) ||
            (event.type == YAML_MAPPING_START_EVENT &&
             event.data.mapping_start.anchor) ||
            (event.type == YAML_SEQUENCE_START_EVENT &&
             event.data.sequence_start.anchor))
            status = mark_error(err, event.start_mark,
                                "anchors and aliases are not allowed: write "
                                "it out");
        else if (event.type == YAML_SCALAR_EVENT && event.data.scalar.tag)
            status = mark_error(err, event.start_mark, "tags are not allowed");
        depth += event.type == YAML_MAPPING_START_EVENT ||
                 event.type == YAML_SEQUENCE_START_EVENT;
        if (status == PLEX_OK && depth > FLOW_DEPTH_MAX)
            status = mark_error(err, event.start_mark, "nested too deep");
        depth -= event.type == YAML_MAPPING_END_EVENT ||
                 event.type == YAML_SEQUENCE_END_EVENT;
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

static json_t *
number_of(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;
    double real;

    if (!isdigit((unsigned char)*digits) && *digits != '.')
        return NULL;
    if (strspn(digits, "0123456789") == strlen(digits)) {
        errno = 0;
        const long long number = strtoll(text, &end, 10);

        return errno == 0 && *end == '\0' ? json_integer(number) : NULL;
    }
    if (strspn(digits, "0123456789.eE+-") != strlen(digits) ||
        strpbrk(digits, "0123456789") == NULL)
        return NULL;
    real = strtod(text, &end);
    return *end == '\0' && isfinite(real) ? json_real(real) : NULL;
}

static json_t *
scalar_of(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    const size_t len = node->data.scalar.length;
    json_t *number;

    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return json_stringn(text, len);
    if (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return json_null();
    if (strcmp(text, "true") == 0)
        return json_true();
    if (strcmp(text, "false") == 0)
        return json_false();
    number = number_of(text);
    return number != NULL ? number : json_stringn(text, len);
}

static json_t *value_of(yaml_document_t *doc, const yaml_node_t *node,
                        enum plex_status *status, struct plex_err *err);

static json_t *
mapping_of(yaml_document_t *doc, const yaml_node_t *node,
           enum plex_status *status, struct plex_err *err)
{
    json_t *object = json_object();
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    for (; pair < node->data.mapping.pairs.top && *status == PLEX_OK; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        const yaml_node_t *item = yaml_document_get_node(doc, pair->value);
        const char *name;
        json_t *value;

        if (key->type != YAML_SCALAR_NODE) {
            *status = mark_error(err, key->start_mark, "a key must be a text");
            break;
        }
        name = (const char *)key->data.scalar.value;
        if (strcmp(name, "<<") == 0 ||
            strlen(name) != key->data.scalar.length ||
            json_object_get(object, name) != NULL) {
            *status = mark_error(err, key->start_mark,
                                 strcmp(name, "<<") == 0
                                     ? "merge keys are not allowed"
                                     : "the same key twice");
            break;
        }
        value = value_of(doc, item, status, err);
        if (value != NULL && json_object_set_new(object, name, value) != 0)
            *status = mark_error(err, key->start_mark, "not a valid key");
    }
    return object;
}

static json_t *
value_of(yaml_document_t *doc, const yaml_node_t *node,
         enum plex_status *status, struct plex_err *err)
{
    const yaml_node_item_t *item;
    json_t *array, *value;

    if (node->type == YAML_SCALAR_NODE) {
        value = scalar_of(node);
        if (value == NULL)
            *status = mark_error(err, node->start_mark, "not a valid text");
        return value;
    }
    if (node->type == YAML_MAPPING_NODE)
        return mapping_of(doc, node, status, err);
    array = json_array();
    item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top && *status == PLEX_OK; item++) {
        value = value_of(doc, yaml_document_get_node(doc, *item), status, err);
        if (value != NULL)
            json_array_append_new(array, value);
    }
    return array;
}

enum plex_status
flow_yaml_read(const char *text, size_t len, json_t **out, struct plex_err *err)
{
    enum plex_status status = check_events(text, len, err);
    yaml_document_t doc, more;
    yaml_parser_t parser;
    const yaml_node_t *root;

    if (status != PLEX_OK)
        return status;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &doc)) {
        status = mark_error(err, parser.problem_mark, parser.problem);
        yaml_parser_delete(&parser);
        return status;
    }
    root = yaml_document_get_root_node(&doc);
    if (root == NULL)
        status =
            plex_err_set(err, PLEX_INVALID, "1:1: the definition is empty");
    else
        *out = value_of(&doc, root, &status, err);
    yaml_document_delete(&doc);
    if (status == PLEX_OK && yaml_parser_load(&parser, &more)) {
        root = yaml_document_get_root_node(&more);
        if (root != NULL)
            status =
                mark_error(err, root->start_mark, "more than one document");
        yaml_document_delete(&more);
    }
    yaml_parser_delete(&parser);
    if (status != PLEX_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

static const yaml_node_t *
find_key(yaml_document_t *doc, const yaml_node_t *node, const char *key)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *k = yaml_document_get_node(doc, pair->key);

        if (strcmp((const char *)k->data.scalar.value, key) == 0)
            return yaml_document_get_node(doc, pair->value);
    }
    return NULL;
}

static const yaml_node_t *
find(yaml_document_t *doc, const struct flow_at *at)
{
    const yaml_node_t *up;
    const yaml_node_item_t *items;

    if (at->up == NULL)
        return yaml_document_get_root_node(doc);
    up = find(doc, at->up);
    if (up == NULL)
        return NULL;
    if (at->key != NULL)
        return up->type == YAML_MAPPING_NODE ? find_key(doc, up, at->key)
                                             : NULL;
    if (up->type != YAML_SEQUENCE_NODE)
        return NULL;
    items = up->data.sequence.items.start;
    if (at->index >= (size_t)(up->data.sequence.items.top - items))
        return NULL;
    return yaml_document_get_node(doc, items[at->index]);
}

void
flow_yaml_where(const struct flow_source *source, const struct flow_at *at,
                unsigned *line, unsigned *column)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    const yaml_node_t *node;

    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)source->text,
                                 source->len);
    if (yaml_parser_load(&parser, &doc)) {
        node = find(&doc, at);
        if (node != NULL) {
            *line = (unsigned)node->start_mark.line + 1;
            *column = (unsigned)node->start_mark.column + 1;
        }
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
}
