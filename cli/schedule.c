/* Schedules: docs/schedules.md. */
#include "cli/run.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "/api/v1/schedules"

struct schedule_config {
    const char *ns, *cron, *every, *at, *time_zone, *start_at, *end_at,
        *catch_up, *jitter, *overlap, *workflow, *version, *actor, *method,
        *input, *note;
    uint32_t max_occurrences;
    bool wait, replace;
};
#define ROW(name, type, field, def, help)                                    \
    {                                                                        \
        name, type, offsetof(struct schedule_config, field), def, help, 0, 0 \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the schedule")

const struct plex_option cli_schedule_options[] = {NAMESPACE, {0}};
const struct plex_option cli_schedule_create_options[] = {
    NAMESPACE,
    ROW("cron", PLEX_OPTION_STRING, cron, "", "five fields, or six"),
    ROW("every", PLEX_OPTION_STRING, every, "", "such as 90s or 1h30m"),
    ROW("at", PLEX_OPTION_STRING, at, "", "once, such as 2026-12-01T08:00:00Z"),
    ROW("time_zone", PLEX_OPTION_STRING, time_zone, "", "Europe/Berlin; UTC"),
    ROW("start_at", PLEX_OPTION_STRING, start_at, "", "not before"),
    ROW("end_at", PLEX_OPTION_STRING, end_at, "", "not at or after"),
    ROW("catch_up", PLEX_OPTION_STRING, catch_up, "",
        "what was missed for longer is left out; 1d"),
    ROW("jitter", PLEX_OPTION_STRING, jitter, "", "late by up to this"),
    ROW("overlap", PLEX_OPTION_STRING, overlap, "",
        "skip, buffer_one, buffer_all, allow or cancel"),
    ROW("workflow", PLEX_OPTION_STRING, workflow, "", "a definition's id"),
    ROW("version", PLEX_OPTION_STRING, version, "", "of the definition"),
    ROW("actor", PLEX_OPTION_STRING, actor, "", "TYPE/KEY"),
    ROW("method", PLEX_OPTION_STRING, method, "", "the actor's \"action\""),
    ROW("input", PLEX_OPTION_STRING, input, "", "JSON"),
    ROW("note", PLEX_OPTION_STRING, note, "", "for people"),
    {"max_occurrences", PLEX_OPTION_U32,
     offsetof(struct schedule_config, max_occurrences), "0", "0: no end", 0,
     UINT32_MAX},
    ROW("wait", PLEX_OPTION_BOOL, wait, "false",
        "the actor's answer ends the occurrence"),
    ROW("replace", PLEX_OPTION_BOOL, replace, "false",
        "the one that has this id"),
    {0},
};

static const struct print_column columns[] = {
    {"SCHEDULE", "id", PRINT_TEXT, NULL},
    {"WHEN", "when", PRINT_TEXT, NULL},
    {"WHAT", "what", PRINT_TEXT, NULL},
    {"PAUSED", "paused", PRINT_TEXT, NULL},
    {"CREATED", "created_ms", PRINT_TIME, NULL},
    {0},
};

static void
path_of(struct rest_path *path, const char *id, const char *verb,
        const struct schedule_config *config)
{
    rest_path_add(path, BASE);
    if (id != NULL) {
        rest_path_add(path, "/");
        rest_path_segment(path, id);
    }
    rest_path_add(path, verb);
    rest_path_param(path, "namespace", config->ns);
}

static void
put(json_t *body, const char *field, const char *value)
{
    if (value[0] != '\0')
        json_object_set_new(body, field, json_string(value));
}

int
cli_schedule_create(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct schedule_config *c = config;
    json_t *body = json_object(), *input = NULL;
    struct rest_path path = {0};
    json_error_t error;

    put(body, "cron", c->cron);
    put(body, "every", c->every);
    put(body, "at", c->at);
    put(body, "time_zone", c->time_zone);
    put(body, "start_at", c->start_at);
    put(body, "end_at", c->end_at);
    put(body, "catch_up", c->catch_up);
    put(body, "jitter", c->jitter);
    put(body, "overlap", c->overlap);
    put(body, "workflow", c->workflow);
    put(body, "version", c->version);
    put(body, "actor", c->actor);
    put(body, "method", c->method);
    put(body, "note", c->note);
    if (c->max_occurrences > 0)
        json_object_set_new(body, "max_occurrences",
                            json_integer(c->max_occurrences));
    if (c->wait)
        json_object_set_new(body, "wait", json_true());
    if (c->input[0] != '\0') {
        input = json_loads(c->input, JSON_DECODE_ANY, &error);
        if (input == NULL) {
            (void)fprintf(stderr, "error: the input is no JSON: column %d\n",
                          error.column);
            json_decref(body);
            return CLI_EXIT_USAGE;
        }
        json_object_set_new(body, "input", input);
    }
    if (!c->replace)
        put(body, "id", args->values[0]);
    path_of(&path, c->replace ? args->values[0] : NULL, "", c);
    return rest_show(cli, c->replace ? "PUT" : "POST", path.text, body);
}

/* What a person wants to see of it: "every 5s", "workflow report". */
static void
row_describe(json_t *row)
{
    static const char *const whens[] = {"cron", "every", "at"};
    const json_t *spec = json_object_get(row, "spec");
    const char *workflow = json_string_value(json_object_get(spec, "workflow"));
    const char *actor = json_string_value(json_object_get(spec, "actor"));

    for (size_t i = 0; i < sizeof whens / sizeof whens[0]; i++) {
        const char *text = json_string_value(json_object_get(spec, whens[i]));

        if (text != NULL)
            json_object_set_new(row, "when",
                                json_sprintf("%s %s", whens[i], text));
    }
    json_object_set_new(
        row, "what",
        workflow != NULL
            ? json_sprintf("workflow %s", workflow)
            : json_sprintf("actor %s", actor == NULL ? "" : actor));
    json_object_set_new(row, "paused",
                        json_string(json_is_true(json_object_get(row, "paused"))
                                        ? "yes"
                                        : "no"));
}

int
cli_schedule_list(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    struct rest_path path = {0};
    json_t *rows, *row;
    struct plex_err err;
    size_t i;

    path_of(&path, NULL, "", config);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    if (rest_list(cli, path.text, "schedules", &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json) {
        print_json(rows);
    } else {
        json_array_foreach(rows, i, row) row_describe(row);
        print_table(columns, rows);
    }
    json_decref(rows);
    return 0;
}

static int
verb(const struct cli *cli, const struct cli_args *args,
     const struct schedule_config *config, const char *method, const char *name,
     json_t *body)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], name, config);
    return rest_show(cli, method, path.text, body);
}

int
cli_schedule_get(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    return verb(cli, args, config, "GET", "", NULL);
}

int
cli_schedule_delete(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    return verb(cli, args, config, "DELETE", "", NULL);
}

int
cli_schedule_pause(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return verb(
        cli, args, config, "POST", "/pause",
        json_pack("{s:s}", "reason", args->count > 1 ? args->values[1] : ""));
}

int
cli_schedule_resume(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    return verb(cli, args, config, "POST", "/resume", json_object());
}

int
cli_schedule_trigger(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    return verb(cli, args, config, "POST", "/trigger", json_object());
}

int
cli_schedule_backfill(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    return verb(cli, args, config, "POST", "/backfill",
                json_pack("{s:s, s:s}", "start_at", args->values[1], "end_at",
                          args->values[2]));
}
