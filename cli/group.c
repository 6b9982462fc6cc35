/* Groups of actors: shards, sending to one of them, asking all. */
#include "cli/group.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "/api/v1/actor-groups"

struct group_config {
    const char *ns, *partition, *bounds, *rebalance, *type, *aggregation,
        *field, *partitioner;
    uint64_t shards, min_responses, timeout_ms, rebalance_ms;
    bool cast, stream;
};
#define ROW(name, kind, field, def, help, low, high)                           \
    {                                                                          \
        name, kind, offsetof(struct group_config, field), def, help, low, high \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the group", 0, 0)
#define REBALANCE(def)                                               \
    ROW("rebalance", PLEX_OPTION_STRING, rebalance, def,             \
        "none; on_scale: tell the shards when the group is scaled; " \
        "load_based: also move keys from shards that get much",      \
        0, 0)
#define BOUNDS                                                               \
    ROW("bounds", PLEX_OPTION_STRING, bounds, "",                            \
        "of partition range: a key less than there are shards, with commas", \
        0, 0)
#define TIMEOUT                                         \
    ROW("wait_ms", PLEX_OPTION_U64, timeout_ms, "5000", \
        "how long a shard has to answer", 1, 300000)

const struct plex_option cli_group_options[] = {NAMESPACE, {0}};
const struct plex_option cli_group_create_options[] = {
    NAMESPACE,
    ROW("shards", PLEX_OPTION_U64, shards, "8", "how many", 1, 10000),
    ROW("partition", PLEX_OPTION_STRING, partition, "hash",
        "hash, range, consistent or custom", 0, 0),
    ROW("partitioner", PLEX_OPTION_STRING, partitioner, "",
        "of partition custom: the type of actor that says where a key is", 0,
        0),
    ROW("rebalance_ms", PLEX_OPTION_U64, rebalance_ms, "60000",
        "of load_based: how often it looks", 1000, 86400000),
    BOUNDS,
    REBALANCE("none"),
    {0},
};
const struct plex_option cli_group_list_options[] = {
    NAMESPACE,
    ROW("type", PLEX_OPTION_STRING, type, "", "only of this type", 0, 0),
    {0},
};
const struct plex_option cli_group_scale_options[] = {
    NAMESPACE, BOUNDS, REBALANCE(""), {0}};
const struct plex_option cli_group_send_options[] = {
    NAMESPACE,
    TIMEOUT,
    ROW("cast", PLEX_OPTION_BOOL, cast, "false", "do not wait for the reply", 0,
        0),
    {0},
};
const struct plex_option cli_group_gather_options[] = {
    NAMESPACE,
    TIMEOUT,
    ROW("aggregation", PLEX_OPTION_STRING, aggregation, "concat",
        "concat, merge, reduce, first or majority", 0, 0),
    ROW("field", PLEX_OPTION_STRING, field, "",
        "only this field of each answer", 0, 0),
    ROW("min_responses", PLEX_OPTION_U64, min_responses, "0",
        "how many must answer; 0: all", 0, 10000),
    ROW("stream", PLEX_OPTION_BOOL, stream, "false",
        "print each answer as it comes", 0, 0),
    {0},
};

static const struct print_column group_columns[] = {
    {"GROUP", "group_id", PRINT_TEXT, NULL},
    {"TYPE", "actor_type", PRINT_TEXT, NULL},
    {"SHARDS", "shard_count", PRINT_TEXT, NULL},
    {"PARTITION", "partition", PRINT_TEXT, NULL},
    {"REBALANCE", "rebalance", PRINT_TEXT, NULL},
    {"CREATED", "created_ms", PRINT_TIME, NULL},
    {0},
};

static void
path_of(struct rest_path *path, const char *group, const char *verb,
        const struct group_config *config)
{
    rest_path_add(path, BASE);
    if (group != NULL) {
        rest_path_add(path, "/");
        rest_path_segment(path, group);
    }
    rest_path_add(path, verb);
    rest_path_param(path, "namespace", config->ns);
}

static json_t *
json_of(const char *text, struct plex_err *err)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

    if (value == NULL)
        (void)plex_err_set(err, PLEX_INVALID,
                           "%.60s is no JSON: column %d: %.100s", text,
                           error.column, error.text);
    return value;
}

static void
bounds_set(json_t *body, const char *text)
{
    json_t *bounds = text[0] == '\0' ? NULL : json_array();

    while (bounds != NULL) {
        const size_t len = strcspn(text, ",");

        json_array_append_new(bounds, json_stringn(text, len));
        if (text[len] == '\0')
            break;
        text += len + 1;
    }
    if (bounds != NULL)
        json_object_set_new(body, "bounds", bounds);
}

int
cli_group_enable(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    static const char *const types[] = {
        "actor-group",       "actor-group-index",  "actor-group-call",
        "~actor-group-load", "actor-group-stream", NULL};
    const struct group_config *group = config;
    struct plex_err err;
    json_t *reply;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-groups", group->ns,
                            "Groups of actors", types, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    print_json(reply);
    json_decref(reply);
    return 0;
}

int
cli_group_create(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};
    json_t *body = json_pack(
        "{s:s, s:s, s:I, s:s, s:s}", "group_id", args->values[0], "actor_type",
        args->values[1], "shard_count", (json_int_t)group->shards, "partition",
        group->partition, "rebalance", group->rebalance);

    if (group->partitioner[0] != '\0')
        json_object_set_new(body, "partitioner",
                            json_string(group->partitioner));
    if (strcmp(group->rebalance, "load_based") == 0)
        json_object_set_new(body, "rebalance_ms",
                            json_integer((json_int_t)group->rebalance_ms));
    bounds_set(body, group->bounds);
    path_of(&path, NULL, "", group);
    return rest_show(cli, "POST", path.text, body);
}

int
cli_group_get(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], "", config);
    return rest_show(cli, "GET", path.text, NULL);
}

int
cli_group_list(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};
    json_t *groups;
    struct plex_err err;

    (void)args;
    path_of(&path, NULL, "", group);
    rest_path_param(&path, "actor_type", group->type);
    if (rest_list(cli, path.text, "groups", &groups, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(groups);
    else
        print_table(group_columns, groups);
    json_decref(groups);
    return 0;
}

int
cli_group_scale(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};
    char *end;
    const long shards = strtol(args->values[1], &end, 10);
    json_t *body;

    if (*end != '\0' || shards < 1 || shards > 10000) {
        (void)fprintf(stderr, "error: SHARDS must be 1 to 10000\n");
        return CLI_EXIT_USAGE;
    }
    body = json_pack("{s:I}", "shard_count", (json_int_t)shards);
    if (group->rebalance[0] != '\0')
        json_object_set_new(body, "rebalance", json_string(group->rebalance));
    bounds_set(body, group->bounds);
    path_of(&path, args->values[0], ":scale", group);
    return rest_show(cli, "POST", path.text, body);
}

int
cli_group_send(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *message = json_of(args->count > 2 ? args->values[2] : "{}", &err);

    if (message == NULL)
        return cli_fail(&err);
    path_of(&path, args->values[0], "/shards:send", group);
    return rest_show(cli, "POST", path.text,
                     json_pack("{s:s, s:o, s:b, s:I}", "partition_key",
                               args->values[1], "message", message,
                               "wait_for_response", !group->cast, "timeout_ms",
                               (json_int_t)group->timeout_ms));
}

int
cli_group_rebalance(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], ":rebalance", config);
    return rest_show(cli, "POST", path.text, json_object());
}

int
cli_group_load(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    static const struct print_column columns[] = {
        {"SHARD", "shard", PRINT_TEXT, NULL},
        {"REQUESTS", "requests", PRINT_TEXT, NULL},
        {"FAILURES", "failures", PRINT_TEXT, NULL},
        {"MEAN_MS", "mean_ms", PRINT_TEXT, NULL},
        {"MAX_MS", "max_ms", PRINT_TEXT, NULL},
        {0},
    };
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    path_of(&path, args->values[0], "/load", config);
    if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(reply);
    else
        print_table(columns, json_object_get(reply, "shards"));
    json_decref(reply);
    return 0;
}

/* True: there is more to come. */
static bool
answers_print(const json_t *reply, json_int_t *after)
{
    const json_t *rows = json_object_get(reply, "answers");
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        char *line = json_dumps(row, JSON_COMPACT);

        (void)printf("%s\n", line);
        free(line);
        *after = json_integer_value(json_object_get(row, "seq"));
    }
    (void)fflush(stdout);
    return !json_is_true(json_object_get(reply, "done"));
}

static int
gather_stream(const struct cli *cli, const char *name,
              const struct group_config *group, json_t *message)
{
    struct rest_path begin = {0};
    struct plex_err err;
    json_t *reply;
    char id[64] = "";
    json_int_t after = 0;
    bool more = true;

    path_of(&begin, name, ":scatterGatherStream", group);
    if (rest_ask(cli, "POST", begin.text,
                 json_pack("{s:o, s:I}", "message", message, "timeout_ms",
                           (json_int_t)group->timeout_ms),
                 &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    (void)snprintf(id, sizeof id, "/scatters/%.40s",
                   json_string_value(json_object_get(reply, "request_id")));
    json_decref(reply);
    while (more) {
        struct rest_path path = {0};
        char text[24];

        path_of(&path, name, id, group);
        (void)snprintf(text, sizeof text, "%lld", (long long)after);
        rest_path_param(&path, "after", text);
        rest_path_param(&path, "wait_ms", "20000");
        if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
            return cli_fail(&err);
        more = answers_print(reply, &after);
        json_decref(reply);
    }
    return 0;
}

int
cli_group_gather(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *message = json_of(args->count > 1 ? args->values[1] : "{}", &err);

    if (message == NULL)
        return cli_fail(&err);
    if (group->stream)
        return gather_stream(cli, args->values[0], group, message);
    path_of(&path, args->values[0], ":scatterGather", group);
    return rest_show(cli, "POST", path.text,
                     json_pack("{s:o, s:s, s:s, s:I, s:I}", "message", message,
                               "aggregation", group->aggregation, "field",
                               group->field, "min_responses",
                               (json_int_t)group->min_responses, "timeout_ms",
                               (json_int_t)group->timeout_ms));
}

int
cli_group_delete(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], "", config);
    return rest_show(cli, "DELETE", path.text, NULL);
}
