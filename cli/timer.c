#include "cli/timer.h"

#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct timer_config {
    const char *every, *cron, *time_zone, *at, *delay, *end_at, *method, *data;
    uint32_t max_occurrences;
    bool replace;
};
#define ROW(name, type, field, def, help)                                 \
    {                                                                     \
        name, type, offsetof(struct timer_config, field), def, help, 0, 0 \
    }

const struct plex_option cli_timer_options[] = {
    ROW("every", PLEX_OPTION_STRING, every, "", "such as 90s or 1h30m"),
    ROW("cron", PLEX_OPTION_STRING, cron, "", "five fields, or six"),
    ROW("time_zone", PLEX_OPTION_STRING, time_zone, "", "Europe/Berlin; UTC"),
    ROW("at", PLEX_OPTION_STRING, at, "",
        "once, or first: 2026-12-01T08:00:00Z"),
    ROW("delay", PLEX_OPTION_STRING, delay, "", "once, or first: after 90s"),
    ROW("end_at", PLEX_OPTION_STRING, end_at, "", "not at or after"),
    ROW("method", PLEX_OPTION_STRING, method, "", "the message's \"action\""),
    ROW("data", PLEX_OPTION_STRING, data, "", "JSON, the message's payload"),
    {"max_occurrences", PLEX_OPTION_U32,
     offsetof(struct timer_config, max_occurrences), "0", "0: no end", 0,
     UINT32_MAX},
    ROW("replace", PLEX_OPTION_BOOL, replace, "false",
        "the one that has this name"),
    {0},
};

static const struct print_column timer_columns[] = {
    {"TIMER", "timer_name", PRINT_TEXT, NULL},
    {"ACTIVE", "is_active", PRINT_YES_NO, NULL},
    {"FIRED", "fire_count", PRINT_TEXT, NULL},
    {"NEXT", "next_fire_time", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column reminder_columns[] = {
    {"REMINDER", "reminder_name", PRINT_TEXT, NULL},
    {"ACTIVE", "is_active", PRINT_YES_NO, NULL},
    {"FIRED", "fire_count", PRINT_TEXT, NULL},
    {"NEXT", "next_fire_time", PRINT_TEXT, NULL},
    {0},
};

/* ".../actors/{actor}/timers[/NAME]" */
static enum plex_status
path_of(struct rest_path *path, const char *kinds, const char *actor,
        const char *name, struct plex_err *err)
{
    char full[PLEX_ACTOR_NAME_MAX + 1];

    if (past_actor(actor, full, err) != PLEX_OK)
        return err->status;
    rest_path_add(path, "/api/v1/actors/");
    rest_path_segment(path, full);
    rest_path_add(path, "/");
    rest_path_add(path, kinds);
    if (name != NULL) {
        rest_path_add(path, "/");
        rest_path_segment(path, name);
    }
    return PLEX_OK;
}

static void
put(json_t *body, const char *field, const char *value)
{
    if (value[0] != '\0')
        json_object_set_new(body, field, json_string(value));
}

static json_t *
body_of(const struct timer_config *c, struct plex_err *err)
{
    json_t *body = json_object(), *data;
    json_error_t error;

    put(body, "interval", c->every);
    put(body, "cron", c->cron);
    put(body, "time_zone", c->time_zone);
    put(body, "first_fire_time", c->at);
    put(body, "delay", c->delay);
    put(body, "end_at", c->end_at);
    put(body, "method", c->method);
    if (c->max_occurrences > 0)
        json_object_set_new(body, "max_occurrences",
                            json_integer(c->max_occurrences));
    if (c->data[0] == '\0')
        return body;
    data = json_loads(c->data, JSON_DECODE_ANY, &error);
    if (data == NULL) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "--data is no JSON: column %d: %.100s", error.column,
                           error.text);
        json_decref(body);
        return NULL;
    }
    json_object_set_new(body, "callback_data", data);
    return body;
}

static int
set(const struct cli *cli, const struct cli_args *args,
    const struct timer_config *config, const char *kinds, const char *field)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *body = body_of(config, &err);

    if (body == NULL ||
        path_of(&path, kinds, args->values[0],
                config->replace ? args->values[1] : NULL, &err) != PLEX_OK) {
        json_decref(body);
        return cli_fail(&err);
    }
    if (!config->replace)
        put(body, field, args->values[1]);
    return rest_show(cli, config->replace ? "PUT" : "POST", path.text, body);
}

static int
list(const struct cli *cli, const struct cli_args *args, const char *kinds,
     const struct print_column *columns)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *rows;

    if (path_of(&path, kinds, args->values[0], NULL, &err) != PLEX_OK ||
        rest_list(cli, path.text, kinds, &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(rows);
    else
        print_table(columns, rows);
    json_decref(rows);
    return 0;
}

static int
one(const struct cli *cli, const struct cli_args *args, const char *kinds,
    const char *method)
{
    struct rest_path path = {0};
    struct plex_err err;

    if (path_of(&path, kinds, args->values[0], args->values[1], &err) !=
        PLEX_OK)
        return cli_fail(&err);
    return rest_show(cli, method, path.text, NULL);
}

int
cli_timer_register(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return set(cli, args, config, "timers", "timer_name");
}

int
cli_timer_list(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    (void)config;
    return list(cli, args, "timers", timer_columns);
}

int
cli_timer_get(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    (void)config;
    return one(cli, args, "timers", "GET");
}

int
cli_timer_unregister(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    (void)config;
    return one(cli, args, "timers", "DELETE");
}

int
cli_reminder_register(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    return set(cli, args, config, "reminders", "reminder_name");
}

int
cli_reminder_list(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    (void)config;
    return list(cli, args, "reminders", reminder_columns);
}

int
cli_reminder_get(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    (void)config;
    return one(cli, args, "reminders", "GET");
}

int
cli_reminder_unregister(const struct cli *cli, const struct cli_args *args,
                        const void *config)
{
    (void)config;
    return one(cli, args, "reminders", "DELETE");
}
