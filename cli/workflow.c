/* Workflows: definitions and executions. */
#include "cli/run.h"

#include "cli/print.h"
#include "cli/rest.h"
#include "common/loop.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFINITION_MAX = 1 << 20 };
#define BASE "/api/v1/workflows/"

struct workflow_config {
    const char *ns, *id, *version, *asl, *status, *definition, *labels, *signal,
        *value;
    bool replace, reject;
};
#define ROW(name, type, field, def, help)                                    \
    {                                                                        \
        name, type, offsetof(struct workflow_config, field), def, help, 0, 0 \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the workflow")
#define REPLACE                                        \
    ROW("replace", PLEX_OPTION_BOOL, replace, "false", \
        "put it in the place of the same version")

const struct plex_option cli_workflow_options[] = {NAMESPACE, {0}};
const struct plex_option cli_workflow_deploy_options[] = {
    NAMESPACE, REPLACE, {0}};
const struct plex_option cli_workflow_import_options[] = {
    NAMESPACE,
    REPLACE,
    ROW("asl", PLEX_OPTION_STRING, asl, "", "the file of the state machine"),
    ROW("id", PLEX_OPTION_STRING, id, "",
        "of the definition; without it, the file's name"),
    ROW("version", PLEX_OPTION_STRING, version, "1.0.0", "of the definition"),
    {0},
};
const struct plex_option cli_workflow_start_options[] = {
    NAMESPACE,
    ROW("id", PLEX_OPTION_STRING, id, "",
        "of the execution: the same again begins nothing new"),
    ROW("version", PLEX_OPTION_STRING, version, "",
        "of the definition; the newest without it"),
    ROW("labels", PLEX_OPTION_STRING, labels, "",
        "NAME=VALUE, several with commas"),
    ROW("signal", PLEX_OPTION_STRING, signal, "",
        "hand it this signal, also when it was begun before"),
    ROW("value", PLEX_OPTION_STRING, value, "null", "the signal's, JSON"),
    {0},
};
const struct plex_option cli_workflow_list_options[] = {
    NAMESPACE,
    ROW("status", PLEX_OPTION_STRING, status, "", "only of this status"),
    ROW("definition", PLEX_OPTION_STRING, definition, "",
        "only of this definition"),
    ROW("labels", PLEX_OPTION_STRING, labels, "",
        "only with these: NAME=VALUE, several with commas"),
    {0},
};
const struct plex_option cli_workflow_definitions_options[] = {
    NAMESPACE,
    ROW("labels", PLEX_OPTION_STRING, labels, "",
        "only with these: NAME=VALUE, several with commas"),
    {0},
};
const struct plex_option cli_workflow_fork_options[] = {
    NAMESPACE,
    ROW("id", PLEX_OPTION_STRING, id, "", "of the new execution"),
    {0},
};
const struct plex_option cli_workflow_approve_options[] = {
    NAMESPACE,
    ROW("reject", PLEX_OPTION_BOOL, reject, "false", "say no"),
    {0},
};

static const struct print_column definition_columns[] = {
    {"DEFINITION", "id", PRINT_TEXT, NULL},
    {"VERSION", "version", PRINT_TEXT, NULL},
    {"LANGUAGE", "language", PRINT_TEXT, NULL},
    {"NAME", "name", PRINT_TEXT, NULL},
    {"CREATED", "created_ms", PRINT_TIME, NULL},
    {0},
};
static const struct print_column execution_columns[] = {
    {"EXECUTION", "id", PRINT_TEXT, NULL},
    {"STATUS", "status", PRINT_TEXT, NULL},
    {"DEFINITION", "definition", PRINT_TEXT, NULL},
    {"VERSION", "version", PRINT_TEXT, NULL},
    {"STARTED", "started_ms", PRINT_TIME, NULL},
    {"ENDED", "ended_ms", PRINT_TIME, NULL},
    {0},
};
static const struct print_column history_columns[] = {
    {"SEQ", "seq", PRINT_TEXT, NULL},
    {"AT", "at_ms", PRINT_TIME, NULL},
    {"WHAT", "what", PRINT_TEXT, NULL},
    {"STEP", "step", PRINT_TEXT, NULL},
    {"ATTEMPT", "attempt", PRINT_TEXT, NULL},
    {"DETAIL", "detail", PRINT_TEXT, NULL},
    {0},
};

/* -- asking ------------------------------------------------------------------
 */

static void
path_of(struct rest_path *path, const char *what, const char *id,
        const char *verb, const struct workflow_config *config)
{
    rest_path_add(path, BASE);
    rest_path_add(path, what);
    if (id != NULL) {
        rest_path_add(path, "/");
        rest_path_segment(path, id);
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

/* -- definitions -------------------------------------------------------------
 */

int
cli_workflow_enable(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    static const char *const types[] = {
        "workflow", "workflow-catalog", "workflow-index", "workflow-http",
        "schedule", "schedule-index",   "actor-timers",   NULL};
    const struct workflow_config *workflow = config;
    struct plex_err err;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-workflows", workflow->ns,
                            "Runs of workflow definitions", types, NULL,
                            &err) != PLEX_OK)
        return cli_fail(&err);
    (void)printf("workflows run in namespace %s\n", workflow->ns);
    return 0;
}

static char *
file_read(const char *path, struct plex_err *err)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(DEFINITION_MAX + 2);
    size_t len = 0;

    if (file == NULL || text == NULL) {
        (void)plex_err_set(err, PLEX_NOT_FOUND, "%.180s: %s", path,
                           strerror(errno));
        free(text);
        text = NULL;
    } else {
        len = fread(text, 1, DEFINITION_MAX + 1, file);
        text[len] = '\0';
    }
    if (len > DEFINITION_MAX) {
        (void)plex_err_set(err, PLEX_TOO_LARGE,
                           "%.180s is larger than the 1 MiB of a definition",
                           path);
        free(text);
        text = NULL;
    }
    if (file != NULL)
        (void)fclose(file);
    return text;
}

static int
definition_send(const struct cli *cli, const struct workflow_config *config,
                json_t *body)
{
    struct rest_path path = {0};
    const json_t *definition;
    struct plex_err err;
    json_t *reply;

    /* A replacement goes by the id and version in the text itself. */
    json_object_set_new(body, "replace", json_boolean(config->replace));
    path_of(&path, "definitions", NULL, "", config);
    if (rest_ask(cli, "POST", path.text, body, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    definition = json_object_get(reply, "definition");
    if (cli->json)
        print_json(definition);
    else
        (void)printf("%s %s\n",
                     json_string_value(json_object_get(definition, "id")),
                     json_string_value(json_object_get(definition, "version")));
    json_decref(reply);
    return 0;
}

int
cli_workflow_deploy(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    struct plex_err err;
    char *text = file_read(args->values[0], &err);
    int code;

    if (text == NULL)
        return cli_fail(&err);
    code = definition_send(cli, config, json_pack("{s:s}", "text", text));
    free(text);
    return code;
}

int
cli_workflow_import(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct workflow_config *workflow = config;
    char name[256], *dot, *text;
    struct plex_err err;
    int code;

    (void)args;
    if (workflow->asl[0] == '\0') {
        (void)fprintf(stderr, "error: --asl FILE is needed\n");
        return CLI_EXIT_USAGE;
    }
    text = file_read(workflow->asl, &err);
    if (text == NULL)
        return cli_fail(&err);
    (void)snprintf(name, sizeof name, "%s", workflow->asl);
    (void)memmove(name, basename(name), strlen(basename(name)) + 1);
    dot = strchr(name, '.');
    if (dot != NULL)
        *dot = '\0';
    code = definition_send(
        cli, config,
        json_pack("{s:s, s:s, s:s, s:s}", "language", "asl", "id",
                  workflow->id[0] != '\0' ? workflow->id : name, "version",
                  workflow->version, "text", text));
    free(text);
    return code;
}

int
cli_workflow_definitions(const struct cli *cli, const struct cli_args *args,
                         const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    path_of(&path, "definitions", NULL, "", config);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    rest_path_param(&path, "labels",
                    ((const struct workflow_config *)config)->labels);
    if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(reply, "definitions"));
    else
        print_table(definition_columns, json_object_get(reply, "definitions"));
    json_decref(reply);
    return 0;
}

int
cli_workflow_delete(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    rest_path_add(&path, BASE "definitions/");
    rest_path_segment(&path, args->values[0]);
    if (args->count > 1) {
        rest_path_add(&path, "/versions/");
        rest_path_segment(&path, args->values[1]);
    }
    rest_path_param(&path, "namespace",
                    ((const struct workflow_config *)config)->ns);
    if (rest_ask(cli, "DELETE", path.text, NULL, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    json_decref(reply);
    (void)printf("deleted\n");
    return 0;
}

/* -- executions
 * ---------------------------------------------------------------- */

/* "env=prod,team=a" as an object. */
static json_t *
labels_of(const char *text)
{
    json_t *labels = json_object();

    while (*text != '\0') {
        const size_t len = strcspn(text, ",");
        const size_t name = strcspn(text, "=,");

        if (name > 0 && name < len)
            json_object_setn_new(labels, text, name,
                                 json_stringn(text + name + 1, len - name - 1));
        text += len + (text[len] == ',');
    }
    return labels;
}

int
cli_workflow_start(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    const struct workflow_config *workflow = config;
    struct rest_path path = {0};
    json_t *body, *input, *reply;
    struct plex_err err;

    input = json_of(args->count > 1 ? args->values[1] : "{}", &err);
    if (input == NULL)
        return cli_fail(&err);
    body =
        json_pack("{s:s, s:o}", "definition", args->values[0], "input", input);
    if (workflow->id[0] != '\0')
        json_object_set_new(body, "execution_id", json_string(workflow->id));
    if (workflow->version[0] != '\0')
        json_object_set_new(body, "version", json_string(workflow->version));
    if (workflow->labels[0] != '\0')
        json_object_set_new(body, "labels", labels_of(workflow->labels));
    if (workflow->signal[0] != '\0') {
        input = json_of(workflow->value, &err);
        if (input == NULL) {
            json_decref(body);
            return cli_fail(&err);
        }
        json_object_set_new(
            body, "signal",
            json_pack("{s:s, s:o}", "name", workflow->signal, "value", input));
    }
    path_of(&path, "executions", NULL, "", config);
    if (rest_ask(cli, "POST", path.text, body, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(reply);
    else
        (void)printf("%s\n",
                     json_string_value(json_object_get(reply, "execution_id")));
    json_decref(reply);
    return 0;
}

int
cli_workflow_list(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct workflow_config *workflow = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *rows;

    (void)args;
    path_of(&path, "executions", NULL, "", config);
    rest_path_param(&path, "status", workflow->status);
    rest_path_param(&path, "definition", workflow->definition);
    rest_path_param(&path, "labels", workflow->labels);
    if (rest_list(cli, path.text, "executions", &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(rows);
    else
        print_table(execution_columns, rows);
    json_decref(rows);
    return 0;
}

int
cli_workflow_status(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    struct rest_path path = {0};

    path_of(&path, "executions", args->values[0], "", config);
    return rest_show(cli, "GET", path.text, NULL);
}

int
cli_workflow_history(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    path_of(&path, "executions", args->values[0], "/history", config);
    if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(reply, "history"));
    else
        print_table(history_columns, json_object_get(reply, "history"));
    json_decref(reply);
    return 0;
}

static bool
is_final(const char *status)
{
    static const char *const names[] = {"COMPLETED", "FAILED", "CANCELLED",
                                        "TERMINATED", "TIMED_OUT"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(status, names[i]) == 0)
            return true;
    return false;
}

/* In ms; less than what the client itself waits for an answer. */
static unsigned
wait_of(const struct cli *cli, uint64_t left_ms)
{
    const uint64_t max = cli->timeout_s > 20 ? 10000 : cli->timeout_s * 500ULL;

    return left_ms < 1 ? 1U : (unsigned)(left_ms > max ? max : left_ms);
}

/* One request waits for as long as there is time, and a gateway that stops
 * answers early. */
int
cli_workflow_wait(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const uint64_t until = plex_now() + (uint64_t)cli->timeout_s * 1000000000;
    const char *status;
    char wait_ms[16];
    struct plex_err err;
    json_t *reply = NULL;
    uint64_t now;
    int code;

    do {
        struct rest_path path = {0};

        json_decref(reply);
        now = plex_now();
        (void)snprintf(wait_ms, sizeof wait_ms, "%u",
                       wait_of(cli, now < until ? (until - now) / 1000000 : 0));
        path_of(&path, "executions", args->values[0], "", config);
        rest_path_param(&path, "wait_ms", wait_ms);
        if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
            return cli_fail(&err);
        status = json_string_value(json_object_get(reply, "status"));
    } while (status != NULL && !is_final(status) && plex_now() < until);
    code = status != NULL && strcmp(status, "COMPLETED") == 0
               ? 0
               : CLI_EXIT_REFUSED;
    print_json(reply);
    json_decref(reply);
    return code;
}

int
cli_workflow_remove(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    path_of(&path, "executions", args->values[0], "", config);
    if (rest_ask(cli, "DELETE", path.text, NULL, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    json_decref(reply);
    (void)printf("removed\n");
    return 0;
}

/* POST of a verb with "name" and "value" from the arguments. */
static int
send_verb(const struct cli *cli, const struct cli_args *args,
          const struct workflow_config *config, const char *verb, json_t *body)
{
    struct rest_path path = {0};

    path_of(&path, "executions", args->values[0], verb, config);
    return rest_show(cli, "POST", path.text, body);
}

static int
send_value(const struct cli *cli, const struct cli_args *args,
           const void *config, const char *verb)
{
    struct plex_err err;
    json_t *value = json_of(args->count > 2 ? args->values[2] : "null", &err);

    if (value == NULL)
        return cli_fail(&err);
    return send_verb(
        cli, args, config, verb,
        json_pack("{s:s, s:o}", "name", args->values[1], "value", value));
}

int
cli_workflow_signal(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    return send_value(cli, args, config, "/signals");
}

int
cli_workflow_update(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    return send_value(cli, args, config, "/update");
}

int
cli_workflow_approve(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct workflow_config *workflow = config;

    return send_verb(cli, args, config, "/approve",
                     json_pack("{s:s, s:b}", "name", args->values[1], "ok",
                               !workflow->reject));
}

int
cli_workflow_reset(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return send_verb(cli, args, config, "/reset",
                     json_pack("{s:s}", "step", args->values[1]));
}

int
cli_workflow_fork(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct workflow_config *workflow = config;

    return send_verb(cli, args, config, "/fork",
                     json_pack("{s:s, s:s}", "step", args->values[1],
                               "execution_id", workflow->id));
}

int
cli_workflow_move(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    return send_verb(
        cli, args, config, "/move",
        json_pack("{s:s}", "version", args->count > 1 ? args->values[1] : ""));
}

int
cli_workflow_query(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return send_verb(cli, args, config, "/query",
                     json_pack("{s:s}", "name", args->values[1]));
}

#define REASON(name)                                                         \
    int cli_workflow_##name(const struct cli *cli,                           \
                            const struct cli_args *args, const void *config) \
    {                                                                        \
        return send_verb(cli, args, config, "/" #name,                       \
                         json_pack("{s:s}", "reason",                        \
                                   args->count > 1 ? args->values[1] : "")); \
    }
REASON(cancel)
REASON(pause)
REASON(resume)
REASON(terminate)
#undef REASON

static int
read_verb(const struct cli *cli, const struct cli_args *args,
          const struct workflow_config *config, const char *verb)
{
    struct rest_path path = {0};

    path_of(&path, "executions", args->values[0], verb, config);
    return rest_show(cli, "GET", path.text, NULL);
}

int
cli_workflow_steps(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return read_verb(cli, args, config, "/steps");
}

int
cli_workflow_why(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    return read_verb(cli, args, config, "/why");
}
