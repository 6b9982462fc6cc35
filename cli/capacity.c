#include "cli/capacity.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- capacity -------------------------------------------------------------- */

struct capacity_config {
    const char *labels;
};

const struct plex_option cli_node_capacity_options[] = {
    {"labels", PLEX_OPTION_STRING, offsetof(struct capacity_config, labels), "",
     "only workers with all of these: zone=a,disk=ssd", 0, 0},
    {0},
};

static const struct print_column columns[] = {
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"CORES FREE", "cpu", PRINT_TEXT, NULL},
    {"OF", "cpuTotal", PRINT_TEXT, NULL},
    {"MEMORY FREE", "memory", PRINT_BYTES, NULL},
    {"OF", "memoryTotal", PRINT_BYTES, NULL},
    {"GPUS FREE", "gpus", PRINT_TEXT, NULL},
    {"RESERVATIONS", "reservations", PRINT_TEXT, NULL},
    {"SCHEDULABLE", "schedulable", PRINT_YES_NO, NULL},
    {"LABELS", "labels", PRINT_TEXT, NULL},
    {0},
};

/* 64-bit numbers are texts in protobuf's JSON, absent when 0. */
static unsigned long long
amount(const json_t *capacity, const char *which, const char *field)
{
    const json_t *value =
        json_object_get(json_object_get(capacity, which), field);

    return json_is_string(value)
               ? strtoull(json_string_value(value), NULL, 10)
               : (unsigned long long)json_integer_value(value);
}

static bool
is_counted(const json_t *capacity, const char *what)
{
    const json_t *one;
    size_t index;

    json_array_foreach(json_object_get(capacity, "uncounted"), index, one)
    {
        if (strcmp(json_string_value(one), what) == 0)
            return false;
    }
    return true;
}

static json_t *
cores(unsigned long long millis)
{
    char text[40];

    (void)snprintf(text, sizeof text, "%.1f", (double)millis / 1000);
    return json_string(text);
}

static json_t *
labels_text(const json_t *capacity)
{
    char text[2048] = "";
    size_t len = 0;
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(capacity, "labels"), key, value)
    {
        if (len < sizeof text)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s",
                                    len == 0 ? "" : ",", key,
                                    json_string_value(value));
    }
    return json_string(text);
}

static json_t *
row_of(json_t *capacity)
{
    json_t *row = json_object();

    (void)json_object_set(row, "nodeId", json_object_get(capacity, "nodeId"));
    (void)json_object_set_new(
        row, "cpu", cores(amount(capacity, "available", "cpuMillis")));
    (void)json_object_set_new(row, "cpuTotal",
                              cores(amount(capacity, "total", "cpuMillis")));
    (void)json_object_set_new(
        row, "memory",
        json_integer((json_int_t)amount(capacity, "available", "memoryBytes")));
    (void)json_object_set_new(
        row, "memoryTotal",
        json_integer((json_int_t)amount(capacity, "total", "memoryBytes")));
    (void)json_object_set_new(
        row, "gpus",
        json_integer((json_int_t)amount(capacity, "available", "gpus")));
    (void)json_object_set_new(row, "reservations",
                              json_integer(json_integer_value(
                                  json_object_get(capacity, "reservations"))));
    (void)json_object_set_new(
        row, "schedulable",
        json_boolean(json_is_true(json_object_get(capacity, "schedulable"))));
    (void)json_object_set_new(row, "labels", labels_text(capacity));
    return row;
}

/* "cpu  1500 of 4000", each in its unit. */
static void
print_one(const json_t *capacity)
{
    static const struct {
        const char *word, *field, *unit;
    } rows[] = {
        {"cpu", "cpuMillis", "thousandths of a core"},
        {"memory", "memoryBytes", "bytes"},
        {"disk", "diskBytes", "bytes"},
        {"io", "ioBytes", "bytes a second"},
        {"network", "networkBytes", "bytes a second"},
        {"gpu", "gpus", "devices"},
    };
    json_t *labels = labels_text(capacity);

    (void)printf("%-14s%s\n", "node",
                 json_string_value(json_object_get(capacity, "nodeId")));
    (void)printf("%-14s%s\n", "labels", json_string_value(labels));
    (void)printf("%-14s%s\n", "schedulable",
                 json_is_true(json_object_get(capacity, "schedulable")) ? "yes"
                                                                        : "no");
    (void)printf("%-14s%lld\n", "reservations",
                 (long long)json_integer_value(
                     json_object_get(capacity, "reservations")));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)printf("%-14s%llu", rows[i].word,
                     amount(capacity, "reserved", rows[i].field));
        if (is_counted(capacity, rows[i].word))
            (void)printf(" of %llu", amount(capacity, "total", rows[i].field));
        (void)printf(" %s reserved\n", rows[i].unit);
    }
    json_decref(labels);
}

static int
capacity_one(const struct cli *cli, const char *node)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *answer;

    rest_path_add(&path, "/api/v1/scheduling/nodes/");
    rest_path_segment(&path, node);
    rest_path_add(&path, "/capacity");
    if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(answer, "capacity"));
    else
        print_one(json_object_get(answer, "capacity"));
    json_decref(answer);
    return 0;
}

int
cli_node_capacity(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct capacity_config *list = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *all, *one, *rows;
    size_t index;

    if (args->count == 1)
        return capacity_one(cli, args->values[0]);
    rest_path_add(&path, "/api/v1/scheduling/nodes/capacities");
    rest_path_param(&path, "labels", list->labels);
    if (rest_list(cli, path.text, "capacities", &all, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json) {
        print_json(all);
    } else {
        rows = json_array();
        json_array_foreach(all, index, one)
        {
            (void)json_array_append_new(rows, row_of(one));
        }
        print_table(columns, rows);
        json_decref(rows);
    }
    json_decref(all);
    return 0;
}

/* -- draining -------------------------------------------------------------- */

struct drain_config {
    bool force;
    uint32_t wait_s;
};

const struct plex_option cli_node_drain_options[] = {
    {"force", PLEX_OPTION_BOOL, offsetof(struct drain_config, force), "false",
     "also the only worker: calls are then refused until another comes", 0, 0},
    {"wait_s", PLEX_OPTION_U32, offsetof(struct drain_config, wait_s), "30",
     "seconds to wait until its shards have gone", 0, 86400},
    {0},
};

/* How many shards it has left. */
static enum plex_status
drain_once(struct rest *rest, const char *path, long long *left,
           struct plex_err *err)
{
    const struct rest_request request = {.method = "POST", .path = path};
    struct rest_reply reply = {0};
    const enum plex_status status = rest_call(rest, &request, &reply, err);

    *left = json_integer_value(json_object_get(reply.json, "shardsLeft"));
    rest_reply_free(&reply);
    return status;
}

int
cli_node_drain(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    const struct drain_config *drain = config;
    struct rest_path path = {0};
    struct plex_err err;
    enum plex_status status;
    long long left = 0;
    struct rest *rest;

    rest_path_add(&path, "/api/v1/nodes/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, ":drain");
    rest_path_param(&path, "force", drain->force ? "true" : "");
    if (rest_open(&rest, cli, &err) != PLEX_OK)
        return cli_fail(&err);
    status = drain_once(rest, path.text, &left, &err);
    for (uint64_t i = 0;
         status == PLEX_OK && left > 0 && i < (uint64_t)drain->wait_s * 10;
         i++) {
        (void)nanosleep(&pause, NULL);
        status = drain_once(rest, path.text, &left, &err);
    }
    rest_close(rest);
    if (status != PLEX_OK)
        return cli_fail(&err);
    (void)printf("%s has %lld shards left\n", args->values[0], left);
    return left == 0 ? 0 : CLI_EXIT_REFUSED;
}
