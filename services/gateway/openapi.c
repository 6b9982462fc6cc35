#include "services/gateway/openapi.h"

#include "services/gateway/route.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 256 };

/* protobuf's JSON name of a field: lowerCamelCase. */
static const char *
json_name(const char *proto, char out[NAME_MAX_BYTES])
{
    size_t n = 0;
    bool up = false;

    for (; *proto != '\0' && n + 1 < NAME_MAX_BYTES; proto++) {
        if (*proto == '_') {
            up = true;
            continue;
        }
        out[n++] = up ? (char)toupper((unsigned char)*proto) : *proto;
        up = false;
    }
    out[n] = '\0';
    return out;
}

/* The tuple space's messages have a JSON form of their own, and so have those
 * of services of actors: names as in the proto, 64-bit integers as numbers;
 * tuples and templates as lists. */
static bool
is_plain(const ProtobufCMessageDescriptor *message)
{
    static const char *const packages[] = {
        "plexspaces.tuplespace.v1", "plexspaces.workflow.v1",
        "plexspaces.schedule.v1", "plexspaces.group.v1", "plexspaces.run.v1"};

    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
        if (strcmp(message->package_name, packages[i]) == 0)
            return true;
    return false;
}

/* NULL: it has its members. */
static json_t *
plain_schema(const ProtobufCMessageDescriptor *message)
{
    const char *name = message->short_name;

    if (strcmp(message->name, "plexspaces.api.v1.Json") == 0)
        return json_pack("{s:s}", "description", "any JSON value");
    if (!is_plain(message))
        return NULL;
    if (strcmp(name, "Field") == 0)
        return json_pack("{s:s}", "description",
                         "a JSON value; {\"bytes\": base64}, {\"tuple\": "
                         "[...]}, {\"int\": text}, {\"float\": text}");
    if (strcmp(name, "Template") == 0)
        return json_pack("{s:s, s:{}, s:s}", "type", "array", "items",
                         "description",
                         "for each field an exact value, or an object as "
                         "matcher: {\"any\": true}, {\"gt\": 1}, ...");
    if (strcmp(name, "Tuple") == 0)
        return json_pack(
            "{s:[{s:s, s:{}}, {s:s, s:{s:{s:s}, s:{s:s, s:{}}, s:{s:s}, "
            "s:{s:s}, s:{s:s}}}], s:s}",
            "oneOf", "type", "array", "items", "type", "object", "properties",
            "id", "type", "string", "fields", "type", "array", "items",
            "expires_ms", "type", "integer", "owner", "type", "string",
            "metadata", "type", "string", "description",
            "a list of fields in requests, an object in answers");
    return NULL;
}

static void message_add(json_t *schemas,
                        const ProtobufCMessageDescriptor *message);

static json_t *
reference(const char *name)
{
    return json_pack("{s:o}", "$ref",
                     json_sprintf("#/components/schemas/%s", name));
}

static json_t *
enum_schema(const ProtobufCEnumDescriptor *type)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < type->n_values; i++)
        json_array_append_new(names, json_string(type->values[i].name));
    return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static bool
is_wide(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_SINT64 ||
           type == PROTOBUF_C_TYPE_UINT64;
}

/* Of one value of the field; `plain`: of a message that is_plain(). */
static json_t *
value_schema(json_t *schemas, const ProtobufCFieldDescriptor *field, bool plain)
{
    if (plain && is_wide(field->type))
        return json_pack("{s:s}", "type", "integer");
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_pack("{s:s}", "type", "number");
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_pack("{s:s, s:s}", "type", "string", "format", "int64");
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_pack("{s:s, s:s}", "type", "string", "format", "uint64");
    case PROTOBUF_C_TYPE_STRING:
        return json_pack("{s:s}", "type", "string");
    case PROTOBUF_C_TYPE_BYTES:
        return json_pack("{s:s, s:s}", "type", "string", "format", "byte");
    case PROTOBUF_C_TYPE_ENUM:
        return enum_schema(field->descriptor);
    case PROTOBUF_C_TYPE_MESSAGE:
        message_add(schemas, field->descriptor);
        return reference(
            ((const ProtobufCMessageDescriptor *)field->descriptor)->name);
    default:
        return json_pack("{s:s}", "type", "integer");
    }
}

/* protobuf-c shows a map as repeated entries with exactly key and value. */
static bool
is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;

    return field->label == PROTOBUF_C_LABEL_REPEATED &&
           field->type == PROTOBUF_C_TYPE_MESSAGE && entry->n_fields == 2 &&
           strlen(entry->short_name) > 5 &&
           strcmp(entry->short_name + strlen(entry->short_name) - 5, "Entry") ==
               0;
}

static json_t *
field_schema(json_t *schemas, const ProtobufCFieldDescriptor *field, bool plain)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;

    if (is_map(field))
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
                         value_schema(schemas, &entry->fields[1], plain));
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return json_pack("{s:s, s:o}", "type", "array", "items",
                         value_schema(schemas, field, plain));
    return value_schema(schemas, field, plain);
}

/* Actors name the token of the next page as the other lists do. */
static const char *
name_of(const ProtobufCMessageDescriptor *message, const char *field,
        char out[NAME_MAX_BYTES])
{
    const bool token =
        strcmp(field, "next_page_token") == 0 &&
        strcmp(message->package_name, "plexspaces.tuplespace.v1") != 0;

    return is_plain(message) && !token ? field : json_name(field, out);
}

static void
message_add(json_t *schemas, const ProtobufCMessageDescriptor *message)
{
    json_t *properties, *schema;
    char name[NAME_MAX_BYTES];

    if (json_object_get(schemas, message->name) != NULL)
        return;
    schema = plain_schema(message);
    if (schema != NULL) {
        json_object_set_new(schemas, message->name, schema);
        return;
    }
    properties = json_object();
    schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties",
                       properties, "additionalProperties", 0);
    /* Before its fields, which may refer to it. */
    json_object_set_new(schemas, message->name, schema);
    for (unsigned i = 0; i < message->n_fields; i++)
        json_object_set_new(
            properties, name_of(message, message->fields[i].name, name),
            field_schema(schemas, &message->fields[i], is_plain(message)));
}

static bool
in_path(const char *path, const char *field)
{
    char want[NAME_MAX_BYTES];

    (void)snprintf(want, sizeof want, "{%s}", field);
    return strstr(path, want) != NULL;
}

static json_t *
parameters(json_t *schemas, const struct gate_route *route)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < route->request->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &route->request->fields[i];
        const bool path = in_path(route->path, field->name);

        if (!path && (route->body || field->type == PROTOBUF_C_TYPE_MESSAGE ||
                      field->label == PROTOBUF_C_LABEL_REPEATED))
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:b, s:o}", "name", field->name, "in",
                      path ? "path" : "query", "required", path, "schema",
                      value_schema(schemas, field, is_plain(route->request))));
    }
    return list;
}

/* 200 with `schema` (taken), or a problem. */
static json_t *
responses(json_t *schema)
{
    return json_pack(
        "{s:{s:s, s:{s:{s:o}}}, s:{s:s, s:{s:{s:o}}}}", "200", "description",
        "done", "content", "application/json", "schema", schema, "default",
        "description", "a problem, RFC 9457", "content",
        "application/problem+json", "schema", reference("Problem"));
}

static void
route_add(json_t *paths, json_t *schemas, const struct gate_route *route)
{
    json_t *item = json_object_get(paths, route->path), *operation;
    char verb[8] = "";

    for (size_t i = 0; i + 1 < sizeof verb && route->verb[i] != '\0'; i++)
        verb[i] = (char)tolower((unsigned char)route->verb[i]);
    if (item == NULL) {
        item = json_object();
        json_object_set_new(paths, route->path, item);
    }
    message_add(schemas, route->response);
    operation =
        json_pack("{s:s, s:[o], s:o, s:o}", "operationId", route->rpc, "tags",
                  json_stringn(route->rpc, strcspn(route->rpc, ".")),
                  "parameters", parameters(schemas, route), "responses",
                  responses(reference(route->response->name)));
    if (route->body) {
        message_add(schemas, route->request);
        json_object_set_new(operation, "requestBody",
                            json_pack("{s:b, s:{s:{s:o}}}", "required", 1,
                                      "content", "application/json", "schema",
                                      reference(route->request->name)));
    }
    json_object_set_new(item, verb, operation);
}

static json_t *
path_parameter(const char *name)
{
    return json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", "path",
                     "required", 1, "schema", "type", "string");
}

/* The surface that no rpc stands for. */
static void
actors_add(json_t *paths)
{
    static const char *const verbs[] = {"get", "post", "put", "delete"};
    json_t *item =
        json_pack("{s:[o,o,o,o]}", "parameters", path_parameter("tenant"),
                  path_parameter("namespace"), path_parameter("type"),
                  path_parameter("key"));

    for (size_t i = 0; i < 4; i++) {
        const bool call = i == 0 || i == 3;
        json_t *operation = json_pack(
            "{s:o, s:[s], s:s, s:o}", "operationId",
            json_sprintf("actors.%s", verbs[i]), "tags", "Actors", "summary",
            call ? "Call the actor: query parameters in, its reply out"
                 : "Cast to the actor (202), or call it with "
                   "?invocation=call",
            "responses", responses(json_object()));

        if (!call)
            json_object_set_new(operation, "requestBody",
                                json_pack("{s:{s:{s:{}}}}", "content",
                                          "application/json", "schema"));
        json_object_set_new(item, verbs[i], operation);
    }
    json_object_set_new(
        paths, "/api/v1/actors/{tenant}/{namespace}/{type}/{key}", item);
    json_object_set_new(
        paths, "/api/v1/invocations/{id}",
        json_pack("{s:[o], s:{s:s, s:[s], s:s, s:o}}", "parameters",
                  path_parameter("id"), "get", "operationId", "invocations.get",
                  "tags", "Actors", "summary", "What became of a message",
                  "responses", responses(json_object())));
}

static json_t *
problem_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, "
                     "s:{s:s}, s:{s:s}, s:{s:s}}}",
                     "type", "object", "properties", "type", "type", "string",
                     "title", "type", "string", "status", "type", "integer",
                     "detail", "type", "string", "code", "type", "string",
                     "source", "type", "string", "request_id", "type", "string",
                     "outcome_unknown", "type", "boolean");
}

char *
gate_openapi_text(void)
{
    json_t *paths = json_object(), *schemas = json_object(), *document;
    char *text;

    json_object_set_new(schemas, "Problem", problem_schema());
    for (const struct gate_route *r = gate_routes; r->path != NULL; r++)
        route_add(paths, schemas, r);
    actors_add(paths);
    document =
        json_pack("{s:s, s:{s:s, s:s}, s:o, s:{s:o}}", "openapi", "3.1.0",
                  "info", "title", "PlexSpaces", "version", PLEX_VERSION,
                  "paths", paths, "components", "schemas", schemas);
    text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return text;
}
