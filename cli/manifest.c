/* Over libyaml's document tree and a schema table: libcyaml, which builds on
 * the same parser, knows no mappings with free keys (a facet's config). */
#include "cli/manifest.h"
#include "cli/manifest_state.h"

#include "common/mem.h"
#include "runtime/facet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum field_type {
    FIELD_TEXT,
    FIELD_BOOL,
    FIELD_INTEGER, /* 0 .. 2^63-1 */
    FIELD_NUMBER,
    FIELD_OBJECT, /* of `fields` */
    FIELD_LIST,   /* of objects of `fields` */
    FIELD_MAP,    /* of texts, free keys */
    FIELD_JSON,   /* anything; its JSON, as a text */
    FIELD_TEXTS,  /* a list of texts */
};

struct field {
    const char *name; /* NULL ends */
    enum field_type type;
    bool required;
    const struct field *fields;
    const char *as; /* the name it is another name of, or NULL */
};

static const struct field facet_fields[] = {
    {"type", FIELD_TEXT, true, NULL},
    {"priority", FIELD_INTEGER, false, NULL},
    {"config", FIELD_MAP, false, NULL},
    {0},
};
static const struct field resource_fields[] = {
    {"cpu_cores", FIELD_NUMBER, false, NULL},
    {"memory_bytes", FIELD_INTEGER, false, NULL},
    {0},
};
static const struct field stateless_fields[] = {
    {"max_local", FIELD_INTEGER, false, NULL},
    {"route", FIELD_TEXT, false, NULL},
    {0},
};
static const struct field state_fields[] = {
    {"mode", FIELD_TEXT, true, NULL},
    {"kind", FIELD_TEXT, false, NULL},
    {"consistency", FIELD_TEXT, false, NULL},
    {"kept_in", FIELD_TEXT, false, NULL},
    {0},
};
static const struct field type_fields[] = {
    {"name", FIELD_TEXT, true, NULL},
    {"module", FIELD_TEXT, false, NULL}, /* needed without state */
    {"state", FIELD_OBJECT, false, state_fields},
    {"behaviour", FIELD_TEXT, false, NULL},
    {"virtual", FIELD_BOOL, false, NULL},
    {"durable", FIELD_BOOL, false, NULL},
    {"idle_timeout_ms", FIELD_INTEGER, false, NULL},
    {"mailbox_max", FIELD_INTEGER, false, NULL},
    {"snapshot_every", FIELD_INTEGER, false, NULL},
    {"pool", FIELD_TEXT, false, NULL},
    {"facets", FIELD_LIST, false, facet_fields},
    {"resources", FIELD_OBJECT, false, resource_fields},
    {"stateless", FIELD_OBJECT, false, stateless_fields},
    {0},
};
static const struct field affinity_fields[] = {
    {"apart", FIELD_BOOL, false, NULL},
    {"actor", FIELD_TEXT, false, NULL},
    {"mark", FIELD_TEXT, false, NULL},
    {"value", FIELD_TEXT, false, NULL},
    {0},
};
static const struct field placement_fields[] = {
    {"profile", FIELD_TEXT, false, NULL},
    {"cpu_cores", FIELD_NUMBER, false, NULL},
    {"memory_bytes", FIELD_INTEGER, false, NULL},
    {"disk_bytes", FIELD_INTEGER, false, NULL},
    {"io_bytes", FIELD_INTEGER, false, NULL},
    {"network_bytes", FIELD_INTEGER, false, NULL},
    {"gpus", FIELD_INTEGER, false, NULL},
    {"labels", FIELD_MAP, false, NULL},
    {"preferred_nodes", FIELD_TEXTS, false, NULL},
    {"avoided_nodes", FIELD_TEXTS, false, NULL},
    {"affinity", FIELD_LIST, false, affinity_fields},
    {"strategy", FIELD_TEXT, false, NULL},
    {"marks", FIELD_MAP, false, NULL},
    {0},
};
/* A child may be a supervisor, and so on: the reader bounds the depth. */
static const struct field supervisor_fields[10];
static const struct field child_fields[] = {
    {"id", FIELD_TEXT, true, NULL},
    {"type", FIELD_TEXT, false, NULL},
    {"module", FIELD_TEXT, false, NULL},
    {"behaviour", FIELD_TEXT, false, NULL},
    {"supervisor", FIELD_OBJECT, false, supervisor_fields},
    {"name", FIELD_TEXT, false, NULL},
    {"args", FIELD_JSON, false, NULL},
    {"restart", FIELD_TEXT, false, NULL},
    {"shutdown", FIELD_TEXT, false, NULL},
    {"significant", FIELD_BOOL, false, NULL},
    {"node", FIELD_TEXT, false, NULL},
    {"placement", FIELD_OBJECT, false, placement_fields},
    {"facets", FIELD_LIST, false, facet_fields},
    {"child_id", FIELD_TEXT, false, NULL, "id"},
    {"shutdown_timeout", FIELD_TEXT, false, NULL, "shutdown"},
    {0},
};
static const struct field supervisor_fields[10] = {
    {"strategy", FIELD_TEXT, false, NULL},
    {"intensity", FIELD_INTEGER, false, NULL},
    {"period_ms", FIELD_INTEGER, false, NULL},
    {"auto_shutdown", FIELD_TEXT, false, NULL},
    {"children", FIELD_LIST, false, child_fields},
    {"backoff_initial_ms", FIELD_INTEGER, false, NULL},
    {"backoff_max_ms", FIELD_INTEGER, false, NULL},
    {"max_restarts", FIELD_INTEGER, false, NULL, "intensity"},
    {"max_restart_window_ms", FIELD_INTEGER, false, NULL, "period_ms"},
    {0},
};
static const struct field manifest_fields[] = {
    {"name", FIELD_TEXT, true, NULL},
    {"version", FIELD_TEXT, true, NULL},
    {"namespace", FIELD_TEXT, false, NULL},
    {"description", FIELD_TEXT, false, NULL},
    {"actor_types", FIELD_LIST, false, type_fields},
    {"supervisor", FIELD_OBJECT, false, supervisor_fields},
    {0},
};

struct reader {
    const char *name;
    yaml_document_t document;
    unsigned visited;
    unsigned depth;
};

static enum plex_status read_object(struct reader *reader, yaml_node_t *node,
                                    const char *what,
                                    const struct field *fields, json_t **out,
                                    struct plex_err *err);

static enum plex_status
offence(const struct reader *reader, const yaml_node_t *node,
        struct plex_err *err, const char *text, const char *value)
{
    return plex_err_set(err, PLEX_INVALID, "%.80s:%zu:%zu: %s%.40s",
                        reader->name, node->start_mark.line + 1,
                        node->start_mark.column + 1, text, value);
}

static const char *
node_kind(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a mapping";
    default:
        return "a text";
    }
}

static enum plex_status
wrong_type(const struct reader *reader, const yaml_node_t *node,
           const char *what, const char *right, struct plex_err *err)
{
    if (node->type == YAML_SCALAR_NODE)
        return plex_err_set(err, PLEX_INVALID,
                            "%.80s:%zu:%zu: %s is \"%.40s\", it must be %s",
                            reader->name, node->start_mark.line + 1,
                            node->start_mark.column + 1, what,
                            (const char *)node->data.scalar.value, right);
    return plex_err_set(err, PLEX_INVALID,
                        "%.80s:%zu:%zu: %s is %s, it must be %s", reader->name,
                        node->start_mark.line + 1, node->start_mark.column + 1,
                        what, node_kind(node), right);
}

/* The text of a scalar; PLEX_INVALID for anything else and for a NUL in it. */
static enum plex_status
read_scalar(const struct reader *reader, const yaml_node_t *node,
            const char *what, const char *right, const char **out,
            struct plex_err *err)
{
    if (node->type != YAML_SCALAR_NODE)
        return wrong_type(reader, node, what, right, err);
    *out = (const char *)node->data.scalar.value;
    if (strlen(*out) != node->data.scalar.length)
        return offence(reader, node, err, "a NUL byte in ", what);
    return PLEX_OK;
}

static enum plex_status
read_text(const struct reader *reader, const yaml_node_t *node,
          const char *what, json_t **out, struct plex_err *err)
{
    const char *text;
    enum plex_status status =
        read_scalar(reader, node, what, "a text", &text, err);

    if (status != PLEX_OK)
        return status;
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (text[0] == '\0' || strcmp(text, "~") == 0 ||
         strcmp(text, "null") == 0))
        return wrong_type(reader, node, what, "a text, or left out", err);
    *out = json_string(text);
    if (*out == NULL)
        return offence(reader, node, err, "bad UTF-8 in ", what);
    return PLEX_OK;
}

static enum plex_status
read_plain(const struct reader *reader, const yaml_node_t *node,
           enum field_type type, const char *what, json_t **out,
           struct plex_err *err)
{
    const char *right = type == FIELD_BOOL      ? "true or false"
                        : type == FIELD_INTEGER ? "a whole number"
                                                : "a number";
    const char *text;
    char *end = NULL;
    enum plex_status status =
        read_scalar(reader, node, what, right, &text, err);

    if (status != PLEX_OK)
        return status;
    *out = NULL;
    errno = 0;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        /* "5" with quotes is a text, in YAML and here. */
    } else if (type == FIELD_BOOL) {
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            *out = json_boolean(text[0] == 't');
    } else if (text[0] >= '0' && text[0] <= '9') {
        if (type == FIELD_INTEGER)
            *out = json_integer(strtoll(text, &end, 10));
        else
            *out = json_real(strtod(text, &end));
        if (errno != 0 || *end != '\0') {
            json_decref(*out);
            *out = NULL;
        }
    }
    if (*out == NULL)
        return wrong_type(reader, node, what, right, err);
    return PLEX_OK;
}

static enum plex_status read_json(struct reader *reader, yaml_node_t *node,
                                  const char *what, json_t **out,
                                  struct plex_err *err);

/* What is no text in a facet's configuration goes in as its JSON. */
static enum plex_status
read_map(struct reader *reader, yaml_node_t *node, const char *what,
         json_t **out, struct plex_err *err)
{
    const char *last = strrchr(what, '.');
    const bool config = last != NULL && strcmp(last, ".config") == 0;
    json_t *map;
    enum plex_status status = PLEX_OK;

    if (node->type != YAML_MAPPING_NODE)
        return wrong_type(reader, node, what, "a mapping of texts", err);
    map = json_object();
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && status == PLEX_OK; pair++) {
        yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
        yaml_node_t *item =
            yaml_document_get_node(&reader->document, pair->value);
        const char *name, *text;
        json_t *value = NULL;

        if (++reader->visited > MANIFEST_NODES_MAX)
            status = offence(reader, key, err, "too many values", "");
        else
            status = read_scalar(reader, key, "a key", "a text", &name, err);
        if (status == PLEX_OK && config && item->type != YAML_SCALAR_NODE)
            status = read_json(reader, item, name, &value, err);
        else if (status == PLEX_OK)
            status = read_scalar(reader, item, name, "a text", &text, err);
        if (status == PLEX_OK && json_object_get(map, name) != NULL)
            status = offence(reader, key, err, "a second ", name);
        if (status == PLEX_OK && value == NULL)
            value = json_string(text);
        if (status == PLEX_OK && json_object_set(map, name, value) != 0)
            status = offence(reader, item, err, "bad UTF-8 in ", name);
        json_decref(value);
    }
    if (status == PLEX_OK)
        *out = map;
    else
        json_decref(map);
    return status;
}

/* -- facets ---------------------------------------------------------------- */

/* Where the key is that the text names as "config.KEY"; else `facet`. */
static const yaml_node_t *
facet_place(struct reader *reader, const yaml_node_t *facet, const char *text)
{
    const char *named = strstr(text, "config.");
    const size_t len = named == NULL ? 0 : strcspn(named + 7, " :\"");

    for (yaml_node_pair_t *pair = facet->data.mapping.pairs.start;
         len > 0 && pair < facet->data.mapping.pairs.top; pair++) {
        const yaml_node_t *config =
            yaml_document_get_node(&reader->document, pair->value);

        if (config->type != YAML_MAPPING_NODE)
            continue;
        for (yaml_node_pair_t *entry = config->data.mapping.pairs.start;
             entry < config->data.mapping.pairs.top; entry++) {
            const yaml_node_t *key =
                yaml_document_get_node(&reader->document, entry->key);

            if (key->type == YAML_SCALAR_NODE &&
                key->data.scalar.length == len &&
                strncmp((const char *)key->data.scalar.value, named + 7, len) ==
                    0)
                return key;
        }
    }
    return facet;
}

/* Those that a chain is made of: here, because here is known where it says
 * so. The registry checks them again, and those it carries out itself. */
static enum plex_status
facet_check(struct reader *reader, const yaml_node_t *node, const json_t *facet,
            struct plex_err *err)
{
    struct plex_facet_pair pairs[RT_FACET_PAIRS];
    struct rt_facet_spec spec = {
        .type = json_string_value(json_object_get(facet, "type")),
        .config = pairs};
    const json_t *config = json_object_get(facet, "config"), *value;
    const yaml_node_t *at;
    struct plex_err why;
    const char *key;

    if (strcmp(spec.type, "durability") == 0 ||
        strcmp(spec.type, "reminder") == 0 ||
        json_object_size(config) > RT_FACET_PAIRS)
        return PLEX_OK;
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        pairs[spec.n_config++] =
            (struct plex_facet_pair){key, json_string_value(value)};
    }
    if (rt_facet_check(NULL, &spec, true, &why) == PLEX_OK)
        return PLEX_OK;
    at = facet_place(reader, node, why.text);
    return plex_err_set(err, PLEX_INVALID, "%.80s:%zu:%zu: %s", reader->name,
                        at->start_mark.line + 1, at->start_mark.column + 1,
                        why.text);
}

static enum plex_status
read_list(struct reader *reader, yaml_node_t *node, const char *what,
          const struct field *fields, json_t **out, struct plex_err *err)
{
    char member[96];
    json_t *list, *value;
    struct plex_err why;
    enum plex_status status = PLEX_OK;

    if (node->type != YAML_SEQUENCE_NODE)
        return wrong_type(reader, node, what, "a list", err);
    list = json_array();
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top && status == PLEX_OK; item++) {
        (void)snprintf(member, sizeof member, "%.60s[%zu]", what,
                       json_array_size(list));
        status = read_object(reader,
                             yaml_document_get_node(&reader->document, *item),
                             member, fields, &value, err);
        if (status == PLEX_OK)
            (void)json_array_append_new(list, value);
        if (status == PLEX_OK && fields == type_fields &&
            manifest_state(value, &why) != PLEX_OK)
            status = offence(reader,
                             yaml_document_get_node(&reader->document, *item),
                             err, why.text, "");
        if (status == PLEX_OK && fields == facet_fields)
            status = facet_check(
                reader, yaml_document_get_node(&reader->document, *item), value,
                err);
    }
    if (status == PLEX_OK)
        *out = list;
    else
        json_decref(list);
    return status;
}

static enum plex_status
read_texts(struct reader *reader, const yaml_node_t *node, const char *what,
           json_t **out, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    json_t *value;

    if (node->type != YAML_SEQUENCE_NODE)
        return wrong_type(reader, node, what, "a list", err);
    *out = json_array();
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top && status == PLEX_OK; item++) {
        const yaml_node_t *one =
            yaml_document_get_node(&reader->document, *item);

        if (++reader->visited > MANIFEST_NODES_MAX)
            status = offence(reader, one, err, "too many values, at ", what);
        else
            status = read_text(reader, one, what, &value, err);
        if (status == PLEX_OK)
            (void)json_array_append_new(*out, value);
    }
    if (status != PLEX_OK)
        json_decref(*out);
    return status;
}

/* What YAML says as JSON: a plain scalar that is a JSON value is that. */
static enum plex_status
json_of(struct reader *reader, yaml_node_t *node, const char *what,
        json_t **out, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    const char *text;
    json_t *item;

    *out = NULL;
    if (++reader->visited > MANIFEST_NODES_MAX)
        return offence(reader, node, err, "too many values, at ", what);
    if (reader->depth > MANIFEST_DEPTH_MAX)
        return offence(reader, node, err, "nested too deeply: ", what);
    if (node->type == YAML_SCALAR_NODE) {
        status = read_scalar(reader, node, what, "a text", &text, err);
        if (status == PLEX_OK &&
            node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
            *out = strcmp(text, "~") == 0 || text[0] == '\0'
                       ? json_null()
                       : json_loads(text, JSON_DECODE_ANY, NULL);
        if (status == PLEX_OK && *out == NULL)
            *out = json_string(text);
        return status == PLEX_OK && *out == NULL
                   ? offence(reader, node, err, "bad UTF-8 in ", what)
                   : status;
    }
    reader->depth++;
    *out = node->type == YAML_SEQUENCE_NODE ? json_array() : json_object();
    for (yaml_node_item_t *i = node->data.sequence.items.start;
         node->type == YAML_SEQUENCE_NODE && status == PLEX_OK &&
         i < node->data.sequence.items.top;
         i++) {
        status = json_of(reader, yaml_document_get_node(&reader->document, *i),
                         what, &item, err);
        if (status == PLEX_OK)
            (void)json_array_append_new(*out, item);
    }
    for (yaml_node_pair_t *i = node->data.mapping.pairs.start;
         node->type == YAML_MAPPING_NODE && status == PLEX_OK &&
         i < node->data.mapping.pairs.top;
         i++) {
        yaml_node_t *key = yaml_document_get_node(&reader->document, i->key);

        status = read_scalar(reader, key, "a key", "a text", &text, err);
        if (status == PLEX_OK && json_object_get(*out, text) != NULL)
            status = offence(reader, key, err, "a second ", text);
        if (status == PLEX_OK)
            status = json_of(
                reader, yaml_document_get_node(&reader->document, i->value),
                what, &item, err);
        if (status == PLEX_OK && json_object_set_new(*out, text, item) != 0)
            status = offence(reader, key, err, "bad UTF-8 in ", what);
    }
    reader->depth--;
    if (status != PLEX_OK)
        json_decref(*out);
    return status;
}

static enum plex_status
read_json(struct reader *reader, yaml_node_t *node, const char *what,
          json_t **out, struct plex_err *err)
{
    json_t *json;
    char *text;

    if (json_of(reader, node, what, &json, err) != PLEX_OK)
        return err->status;
    text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    *out = json_string(text);
    free(text);
    json_decref(json);
    return PLEX_OK;
}

static enum plex_status
read_field(struct reader *reader, yaml_node_t *node, const char *what,
           const struct field *field, json_t **out, struct plex_err *err)
{
    if (++reader->visited > MANIFEST_NODES_MAX)
        return offence(reader, node, err, "too many values, at ", what);
    switch (field->type) {
    case FIELD_TEXT:
        return read_text(reader, node, what, out, err);
    case FIELD_BOOL:
    case FIELD_INTEGER:
    case FIELD_NUMBER:
        return read_plain(reader, node, field->type, what, out, err);
    case FIELD_OBJECT:
        return read_object(reader, node, what, field->fields, out, err);
    case FIELD_LIST:
        return read_list(reader, node, what, field->fields, out, err);
    case FIELD_MAP:
        return read_map(reader, node, what, out, err);
    case FIELD_JSON:
        return read_json(reader, node, what, out, err);
    case FIELD_TEXTS:
        return read_texts(reader, node, what, out, err);
    }
    return PLEX_INTERNAL;
}

static enum plex_status
unknown_key(const struct reader *reader, const yaml_node_t *key,
            const char *name, const struct field *fields, struct plex_err *err)
{
    char known[192] = "";
    size_t used = 0;

    for (; fields->name != NULL && used < sizeof known; fields++)
        used += (size_t)snprintf(known + used, sizeof known - used, " %s",
                                 fields->name);
    return plex_err_set(err, PLEX_INVALID,
                        "%.60s:%zu:%zu: unknown key %.32s; known are%s",
                        reader->name, key->start_mark.line + 1,
                        key->start_mark.column + 1, name, known);
}

static enum plex_status
read_pair(struct reader *reader, const yaml_node_pair_t *pair, const char *what,
          const struct field *fields, json_t *object, struct plex_err *err)
{
    yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    yaml_node_t *node = yaml_document_get_node(&reader->document, pair->value);
    const struct field *field = fields;
    const char *name;
    char path[96];
    json_t *value;
    enum plex_status status =
        read_scalar(reader, key, "a key", "a text", &name, err);

    if (status != PLEX_OK)
        return status;
    while (field->name != NULL && strcmp(field->name, name) != 0)
        field++;
    if (field->name == NULL)
        return unknown_key(reader, key, name, fields, err);
    if (field->as != NULL)
        name = field->as;
    if (json_object_get(object, name) != NULL)
        return offence(reader, key, err, "a second ", name);
    (void)snprintf(path, sizeof path, "%.60s%s%s", what,
                   what[0] != '\0' ? "." : "", name);
    status = read_field(reader, node, path, field, &value, err);
    if (status == PLEX_OK)
        (void)json_object_set_new(object, name, value);
    return status;
}

static enum plex_status
read_object(struct reader *reader, yaml_node_t *node, const char *what,
            const struct field *fields, json_t **out, struct plex_err *err)
{
    json_t *object;
    enum plex_status status = PLEX_OK;

    if (node->type != YAML_MAPPING_NODE)
        return wrong_type(reader, node, what[0] != '\0' ? what : "the manifest",
                          "a mapping", err);
    if (++reader->depth > MANIFEST_DEPTH_MAX)
        return offence(reader, node, err, "nested too deeply: ", what);
    object = json_object();
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top && status == PLEX_OK; pair++)
        status = read_pair(reader, pair, what, fields, object, err);
    for (const struct field *f = fields; f->name != NULL && status == PLEX_OK;
         f++) {
        if (f->required && json_object_get(object, f->name) == NULL)
            status = offence(reader, node, err, "missing key ", f->name);
    }
    reader->depth--;
    if (status == PLEX_OK)
        *out = object;
    else
        json_decref(object);
    return status;
}

static enum plex_status
syntax_error(const yaml_parser_t *parser, const char *name,
             struct plex_err *err)
{
    return plex_err_set(
        err, PLEX_INVALID, "%.80s:%zu:%zu: not YAML: %s%s%s", name,
        parser->problem_mark.line + 1, parser->problem_mark.column + 1,
        parser->context != NULL ? parser->context : "",
        parser->context != NULL ? ", " : "",
        parser->problem != NULL ? parser->problem : "unreadable");
}

enum plex_status
manifest_parse(struct plex_bytes text, const char *name, json_t **out,
               struct plex_err *err)
{
    struct reader reader = {.name = name};
    yaml_parser_t parser;
    yaml_node_t *root;
    struct plex_err why;
    enum plex_status status;

    if (text.len > MANIFEST_BYTES_MAX)
        return plex_err_set(err, PLEX_INVALID, "%.80s is longer than %d bytes",
                            name, MANIFEST_BYTES_MAX);
    if (yaml_parser_initialize(&parser) == 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "out of memory");
    yaml_parser_set_input_string(&parser, text.data, text.len);
    if (yaml_parser_load(&parser, &reader.document) == 0) {
        status = syntax_error(&parser, name, err);
        yaml_parser_delete(&parser);
        return status;
    }
    root = yaml_document_get_root_node(&reader.document);
    if (root == NULL)
        status = plex_err_set(err, PLEX_INVALID, "%.80s:1:1: the file is empty",
                              name);
    else
        status = read_object(&reader, root, "", manifest_fields, out, err);
    if (status == PLEX_OK && json_object_get(*out, "actor_types") == NULL &&
        json_object_get(*out, "supervisor") == NULL) {
        status = offence(&reader, root, err, "missing key ", "actor_types");
        json_decref(*out);
    }
    if (status == PLEX_OK && manifest_kept(*out, &why) != PLEX_OK) {
        status = offence(&reader, root, err, why.text, "");
        json_decref(*out);
    }
    yaml_document_delete(&reader.document);
    yaml_parser_delete(&parser);
    return status;
}

enum plex_status
manifest_load(const char *path, json_t **out, struct plex_err *err)
{
    FILE *file = fopen(path, "rb");
    uint8_t *text;
    size_t len;
    bool failed;
    enum plex_status status;

    if (file == NULL)
        return plex_err_set(err, PLEX_INVALID, "could not open %.120s: %s",
                            path, strerror(errno));
    text = plex_calloc(1, MANIFEST_BYTES_MAX + 2);
    len = fread(text, 1, MANIFEST_BYTES_MAX + 1, file);
    failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed)
        status = plex_err_set(err, PLEX_INVALID, "could not read %.120s: %s",
                              path, strerror(errno));
    else
        status = manifest_parse((struct plex_bytes){text, len}, path, out, err);
    free(text);
    return status;
}
