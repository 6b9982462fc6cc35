/* The object registry. */
#include "cli/object.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "/api/v1/registry/objects"

struct object_config {
    const char *ns, *type, *category, *node, *address, *version;
    const char *capabilities, *labels, *metadata, *metrics;
    const char *health, *reason;
    uint64_t ttl_ms, age_ms;
};
#define ROW(name, type, field, def, help, min, max)                            \
    {                                                                          \
        name, type, offsetof(struct object_config, field), def, help, min, max \
    }
#define TEXT(name, field, help) \
    ROW(name, PLEX_OPTION_STRING, field, "", help, 0, 0)
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "of the object; \"system\" has the suite's own", 0, 0)
#define NAMESPACES                                      \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "whose; * for all, \"system\" has the suite's own", 0, 0)
#define TYPE           \
    TEXT("type", type, \
         "actor, tuplespace, service, vm, application, workflow or node")
#define HEALTH                                                           \
    TEXT("health", health,                                               \
         "unknown, healthy, degraded, unhealthy, starting or stopping"), \
        TEXT("reason", reason, "why it is so")
#define METRICS TEXT("metrics", metrics, "numbers: load=0.7,queue=12")

const struct plex_option cli_object_register_options[] = {
    NAMESPACE,
    HEALTH,
    METRICS,
    TEXT("category", category, "a kind of your own"),
    TEXT("node", node, "where it runs"),
    TEXT("address", address, "how it is reached"),
    TEXT("version", version, "its version"),
    TEXT("capabilities", capabilities, "what it can do: gpu,avx"),
    TEXT("labels", labels, "what it is found by: zone=east,ssd"),
    TEXT("metadata", metadata, "what is to be known: owner=ann,team=b"),
    ROW("ttl_ms", PLEX_OPTION_U64, ttl_ms, "0",
        "gone when not heard of for so long; 0: never", 0, 2592000000),
    {0},
};
const struct plex_option cli_object_name_options[] = {NAMESPACE, TYPE, {0}};
const struct plex_option cli_object_types_options[] = {NAMESPACES, {0}};
const struct plex_option cli_object_heartbeat_options[] = {
    NAMESPACE, TYPE, HEALTH, METRICS, {0}};
const struct plex_option cli_object_discover_options[] = {
    NAMESPACES,
    TEXT("type", type, "any of these: service,vm"),
    TEXT("category", category, "of this kind"),
    TEXT("node", node, "that run there"),
    TEXT("capabilities", capabilities, "that can do all of this"),
    TEXT("labels", labels, "that have any of these"),
    TEXT("health", health, "any of these: healthy,degraded"),
    ROW("max_heartbeat_age_ms", PLEX_OPTION_U64, age_ms, "0",
        "heard of within so long; 0: whenever", 0, 0),
    {0},
};

static const struct print_column columns[] = {
    {"OBJECT", "objectId", PRINT_TEXT, NULL},
    {"TYPE", "objectType", PRINT_ENUM, ""},
    {"NAMESPACE", "namespace", PRINT_TEXT, NULL},
    {"CATEGORY", "category", PRINT_TEXT, NULL},
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"HEALTH", "health", PRINT_ENUM, ""},
    {"HEARD OF", "heartbeatMs", PRINT_TIME, NULL},
    {"LEFT", "leftMs", PRINT_MS, NULL},
    {"ADDRESS", "address", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column lines[] = {
    {"object", "objectId", PRINT_TEXT, NULL},
    {"type", "objectType", PRINT_ENUM, ""},
    {"namespace", "namespace", PRINT_TEXT, NULL},
    {"category", "category", PRINT_TEXT, NULL},
    {"node", "nodeId", PRINT_TEXT, NULL},
    {"address", "address", PRINT_TEXT, NULL},
    {"version", "version", PRINT_TEXT, NULL},
    {"health", "health", PRINT_ENUM, ""},
    {"reason", "healthReason", PRINT_TEXT, NULL},
    {"capabilities", "capabilities", PRINT_TEXT, NULL},
    {"labels", "labels", PRINT_TEXT, NULL},
    {"metadata", "metadata", PRINT_TEXT, NULL},
    {"metrics", "metrics", PRINT_TEXT, NULL},
    {"ttl", "ttlMs", PRINT_MS, NULL},
    {"left", "leftMs", PRINT_MS, NULL},
    {"created", "createdMs", PRINT_TIME, NULL},
    {"updated", "updatedMs", PRINT_TIME, NULL},
    {"heard of", "heartbeatMs", PRINT_TIME, NULL},
    {"heartbeats", "heartbeats", PRINT_TEXT, NULL},
    {"managed", "managed", PRINT_YES_NO, NULL},
    {0},
};
static const struct print_column counts[] = {
    {"TYPE", "objectType", PRINT_ENUM, ""},
    {"TOTAL", "total", PRINT_TEXT, NULL},
    {"HEALTHY", "healthy", PRINT_TEXT, NULL},
    {"DEGRADED", "degraded", PRINT_TEXT, NULL},
    {"UNHEALTHY", "unhealthy", PRINT_TEXT, NULL},
    {"STARTING", "starting", PRINT_TEXT, NULL},
    {"STOPPING", "stopping", PRINT_TEXT, NULL},
    {"UNKNOWN", "unknown", PRINT_TEXT, NULL},
    {0},
};

/* -- bodies ---------------------------------------------------------------- */

/* Nothing for "". */
static void
set(json_t *body, const char *field, const char *text)
{
    if (text[0] != '\0')
        (void)json_object_set_new(body, field, json_string(text));
}

/* The names of enums are in capitals. */
static const char *
upper(const char *text, char out[64])
{
    size_t i = 0;

    for (; text[i] != '\0' && i < 63; i++)
        out[i] = (char)toupper((unsigned char)text[i]);
    out[i] = '\0';
    return out;
}

static void
set_name(json_t *body, const char *field, const char *text)
{
    char name[64];

    set(body, field, upper(text, name));
}

/* "a,b" as an array. */
static void
set_list(json_t *body, const char *field, const char *text)
{
    char *copy = strdup(text), *save = NULL;
    json_t *list = json_array();

    for (char *part = copy == NULL ? NULL : strtok_r(copy, ",", &save);
         part != NULL; part = strtok_r(NULL, ",", &save))
        (void)json_array_append_new(list, json_string(part));
    if (json_array_size(list) > 0)
        (void)json_object_set(body, field, list);
    json_decref(list);
    free(copy);
}

/* "a=1,b=2" as an object of texts or numbers. */
static enum plex_status
set_map(json_t *body, const char *field, const char *text, bool numbers,
        struct plex_err *err)
{
    char *copy = strdup(text), *save = NULL;
    json_t *map = json_object();

    err->status = PLEX_OK;
    for (char *part = copy == NULL ? NULL : strtok_r(copy, ",", &save);
         part != NULL && err->status == PLEX_OK;
         part = strtok_r(NULL, ",", &save)) {
        char *value = strchr(part, '='), *end = NULL;
        const double number = value == NULL ? 0 : strtod(value + 1, &end);

        if (value == NULL || (numbers && (end == value + 1 || *end != '\0'))) {
            (void)plex_err_set(err, PLEX_INVALID, "\"%.64s\" in --%s is not %s",
                               part, field,
                               numbers ? "NAME=NUMBER" : "NAME=TEXT");
            break;
        }
        *value = '\0';
        (void)json_object_set_new(
            map, part, numbers ? json_real(number) : json_string(value + 1));
    }
    if (json_object_size(map) > 0)
        (void)json_object_set(body, field, map);
    json_decref(map);
    free(copy);
    return err->status;
}

/* -- commands -------------------------------------------------------------- */

/* Takes `body`; prints the object of the answer, or `done`. */
static int
act(const struct cli *cli, const char *method, const char *path, json_t *body,
    const char *done)
{
    struct plex_err err;
    json_t *answer;
    const json_t *object;

    if (rest_ask(cli, method, path, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    object = json_object_get(answer, "object");
    if (cli->json)
        print_json(object == NULL ? answer : object);
    else if (object != NULL)
        print_object(lines, object);
    else
        (void)printf("%s\n", done);
    json_decref(answer);
    return 0;
}

static void
path_of(struct rest_path *path, const char *id, const char *verb)
{
    rest_path_add(path, BASE "/");
    rest_path_segment(path, id);
    rest_path_add(path, verb);
}

/* Its type and namespace, as a query. */
static void
path_name(struct rest_path *path, const char *id,
          const struct object_config *config)
{
    char type[64];

    path_of(path, id, "");
    rest_path_param(path, "namespace", config->ns);
    rest_path_param(path, "object_type", upper(config->type, type));
}

int
cli_object_register(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct object_config *object = config;
    json_t *body = json_object();
    struct plex_err err;

    set_name(body, "objectType", args->values[0]);
    set(body, "objectId", args->values[1]);
    set(body, "namespace", object->ns);
    set(body, "category", object->category);
    set(body, "nodeId", object->node);
    set(body, "address", object->address);
    set(body, "version", object->version);
    set_list(body, "capabilities", object->capabilities);
    set_list(body, "labels", object->labels);
    set_name(body, "health", object->health);
    set(body, "healthReason", object->reason);
    (void)json_object_set_new(body, "ttlMs",
                              json_integer((json_int_t)object->ttl_ms));
    if (set_map(body, "metadata", object->metadata, false, &err) != PLEX_OK ||
        set_map(body, "metrics", object->metrics, true, &err) != PLEX_OK) {
        json_decref(body);
        return cli_fail(&err);
    }
    return act(cli, "POST", BASE, body, "");
}

int
cli_object_unregister(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    struct rest_path path = {0};

    path_name(&path, args->values[0], config);
    return act(cli, "DELETE", path.text, NULL, "unregistered");
}

int
cli_object_lookup(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    struct rest_path path = {0};

    path_name(&path, args->values[0], config);
    return act(cli, "GET", path.text, NULL, "");
}

int
cli_object_heartbeat(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct object_config *object = config;
    struct rest_path path = {0};
    json_t *body = json_object();
    struct plex_err err;

    path_of(&path, args->values[0], "/heartbeat");
    set(body, "namespace", object->ns);
    set_name(body, "objectType", object->type);
    set_name(body, "health", object->health);
    set(body, "healthReason", object->reason);
    if (set_map(body, "metrics", object->metrics, true, &err) != PLEX_OK) {
        json_decref(body);
        return cli_fail(&err);
    }
    return act(cli, "POST", path.text, body, "");
}

/* Takes `rows`. */
static int
show(const struct cli *cli, json_t *rows, const struct print_column *shown)
{
    if (cli->json)
        print_json(rows);
    else
        print_table(shown, rows);
    json_decref(rows);
    return 0;
}

int
cli_object_discover(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct object_config *object = config;
    struct rest_path path = {0};
    struct plex_err err;
    char age[24] = "";
    json_t *rows;

    if (object->age_ms != 0)
        (void)snprintf(age, sizeof age, "%" PRIu64, object->age_ms);
    rest_path_add(&path, BASE);
    rest_path_param(&path, "namespace", object->ns);
    rest_path_param(&path, "object_type", object->type);
    rest_path_param(&path, "category", object->category);
    rest_path_param(&path, "node_id", object->node);
    rest_path_param(&path, "capabilities", object->capabilities);
    rest_path_param(&path, "labels", object->labels);
    rest_path_param(&path, "health", object->health);
    rest_path_param(&path, "max_heartbeat_age_ms", age);
    rest_path_param(&path, "id_prefix", args->count > 0 ? args->values[0] : "");
    if (rest_list(cli, path.text, "objects", &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    return show(cli, rows, columns);
}

int
cli_object_types(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *answer, *types;

    (void)args;
    rest_path_add(&path, "/api/v1/registry/types");
    rest_path_param(&path, "namespace",
                    ((const struct object_config *)config)->ns);
    if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    types = json_incref(json_object_get(answer, "types"));
    json_decref(answer);
    return show(cli, types, counts);
}
