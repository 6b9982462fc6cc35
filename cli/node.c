#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct list_config {
    const char *kind;
};

const struct plex_option cli_node_list_options[] = {
    {"kind", PLEX_OPTION_STRING, offsetof(struct list_config, kind), "",
     "only these: worker, journal, ...", 0, 0},
    {0},
};

static const struct print_column node_columns[] = {
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"KIND", "kind", PRINT_TEXT, NULL},
    {"STATUS", "status", PRINT_ENUM, "NODE_STATUS_"},
    {"SHARDS", "shards", PRINT_TEXT, NULL},
    {"ACTORS", "activations", PRINT_TEXT, NULL},
    {"MEMORY", "residentBytes", PRINT_BYTES, NULL},
    {"HEARTBEAT", "heartbeatAgeMs", PRINT_MS, NULL},
    {"STARTED", "startedMs", PRINT_TIME, NULL},
    {"URL", "url", PRINT_TEXT, NULL},
    {"REASON", "reason", PRINT_TEXT, NULL},
    {0},
};

static const struct print_column node_detail[] = {
    {"node", "nodeId", PRINT_TEXT, NULL},
    {"kind", "kind", PRINT_TEXT, NULL},
    {"status", "status", PRINT_ENUM, "NODE_STATUS_"},
    {"reason", "reason", PRINT_TEXT, NULL},
    {"url", "url", PRINT_TEXT, NULL},
    {"admin", "adminAddr", PRINT_TEXT, NULL},
    {"version", "version", PRINT_TEXT, NULL},
    {"incarnation", "incarnation", PRINT_HEX, NULL},
    {"started", "startedMs", PRINT_TIME, NULL},
    {"heartbeat", "heartbeatAgeMs", PRINT_MS, NULL},
    {"lease left", "leaseLeftMs", PRINT_MS, NULL},
    {"shards", "shards", PRINT_TEXT, NULL},
    {"actors", "activations", PRINT_TEXT, NULL},
    {"memory", "residentBytes", PRINT_BYTES, NULL},
    {0},
};

int
cli_node_list(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    const struct list_config *list = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *nodes;

    (void)args;
    rest_path_add(&path, "/api/v1/nodes");
    rest_path_param(&path, "kind", list->kind);
    if (rest_list(cli, path.text, "nodes", &nodes, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(nodes);
    else
        print_table(node_columns, nodes);
    json_decref(nodes);
    return 0;
}

int
cli_node_status(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *answer;

    (void)config;
    rest_path_add(&path, "/api/v1/nodes/");
    rest_path_segment(&path, args->values[0]);
    if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(answer, "node"));
    else
        print_object(node_detail, json_object_get(answer, "node"));
    json_decref(answer);
    return 0;
}

/* -- the suite as a whole -------------------------------------------------- */

struct health_config {
    uint32_t wait_s;
};

const struct plex_option cli_health_options[] = {
    {"wait_s", PLEX_OPTION_U32, offsetof(struct health_config, wait_s), "0",
     "seconds to wait until it is healthy", 0, 86400},
    {0},
};

static const struct print_column health_columns[] = {
    {"COMPONENT", "kind", PRINT_TEXT, NULL},
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"STATUS", "status", PRINT_ENUM, "HEALTH_STATUS_"},
    {"REASON", "reason", PRINT_TEXT, NULL},
    {0},
};

static bool
health_is_good(const json_t *answer)
{
    const char *text = json_string_value(json_object_get(answer, "status"));

    return text != NULL && strcmp(text, "HEALTH_STATUS_HEALTHY") == 0;
}

static enum plex_status
health_wait(const struct cli *cli, uint32_t wait_s, json_t **answer,
            struct plex_err *err)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    struct timespec now;
    time_t end;
    enum plex_status status;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec + (time_t)wait_s;
    for (;;) {
        status = rest_get(cli, "/api/v1/system/health", answer, err);
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if ((status == PLEX_OK && health_is_good(*answer)) ||
            status == PLEX_INVALID || now.tv_sec >= end)
            return status;
        if (status == PLEX_OK)
            json_decref(*answer);
        (void)nanosleep(&pause, NULL);
    }
}

int
cli_health(const struct cli *cli, const struct cli_args *args,
           const void *config)
{
    const struct health_config *health = config;
    const struct print_column overall = {"health", "status", PRINT_ENUM,
                                         "HEALTH_STATUS_"};
    const struct print_column lines[] = {overall, {0}};
    struct plex_err err;
    json_t *answer;
    bool good;

    (void)args;
    if (health_wait(cli, health->wait_s, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json) {
        print_json(answer);
    } else {
        print_object(lines, answer);
        print_table(health_columns, json_object_get(answer, "components"));
    }
    good = health_is_good(answer);
    json_decref(answer);
    return good ? 0 : CLI_EXIT_REFUSED;
}

static enum plex_status
metrics_one(const struct cli *cli, const char *node, struct plex_err *err)
{
    struct rest_path path = {0};
    const char *text;
    json_t *answer;

    rest_path_add(&path, "/api/v1/system/metrics/");
    rest_path_segment(&path, node);
    if (rest_get(cli, path.text, &answer, err) != PLEX_OK)
        return plex_err_wrap(err, "metrics of %.64s", node);
    text = json_string_value(json_object_get(answer, "text"));
    if (cli->json)
        print_json(answer);
    else
        (void)printf("%s", text != NULL ? text : "");
    json_decref(answer);
    return PLEX_OK;
}

int
cli_metrics(const struct cli *cli, const struct cli_args *args,
            const void *config)
{
    struct plex_err err;
    json_t *nodes, *node;
    size_t index;
    int code = 0;

    (void)config;
    if (args->count == 1)
        return metrics_one(cli, args->values[0], &err) == PLEX_OK
                   ? 0
                   : cli_fail(&err);
    if (rest_list(cli, "/api/v1/nodes", "nodes", &nodes, &err) != PLEX_OK)
        return cli_fail(&err);
    json_array_foreach(nodes, index, node)
    {
        const char *id = json_string_value(json_object_get(node, "nodeId"));

        if (!cli->json)
            (void)printf("# node %s\n", id != NULL ? id : "");
        if (metrics_one(cli, id != NULL ? id : "", &err) != PLEX_OK)
            code = cli_fail(&err);
    }
    json_decref(nodes);
    return code;
}
