#include "cli/manifest.h"
#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct application_config {
    const char *ns;
};

const struct plex_option cli_application_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct application_config, ns),
     "", "of the application; empty for default (list: for all)", 0, 0},
    {0},
};

static const struct print_column application_columns[] = {
    {"APPLICATION", "name", PRINT_TEXT, NULL},
    {"NAMESPACE", "namespace", PRINT_TEXT, NULL},
    {"VERSION", "version", PRINT_TEXT, NULL},
    {"STATE", "state", PRINT_ENUM, "APPLICATION_STATE_"},
    {"TYPES", "actorTypes", PRINT_COUNT, NULL},
    {"REVISION", "revision", PRINT_TEXT, NULL},
    {"DEPLOYED", "deployedMs", PRINT_TIME, NULL},
    {"DESCRIPTION", "description", PRINT_TEXT, NULL},
    {0},
};

static const struct print_column type_columns[] = {
    {"TYPE", "name", PRINT_TEXT, NULL},
    {"MODULE", "module", PRINT_TEXT, NULL},
    {"BEHAVIOUR", "behaviour", PRINT_TEXT, NULL},
    {"VIRTUAL", "virtual", PRINT_YES_NO, NULL},
    {"DURABLE", "durable", PRINT_YES_NO, NULL},
    {"POOL", "pool", PRINT_TEXT, NULL},
    {"FACETS", "facets", PRINT_COUNT, NULL},
    {0},
};

static void
application_print(const struct cli *cli, json_t *application)
{
    json_t *rows;

    if (cli->json) {
        print_json(application);
        return;
    }
    rows = json_array();
    (void)json_array_append(rows, application);
    print_table(application_columns, rows);
    (void)printf("\n");
    print_table(type_columns, json_object_get(application, "actorTypes"));
    json_decref(rows);
}

/* Send; print the application in the answer, or `done` where there is none. */
static int
application_send(const struct cli *cli, const struct rest_request *request,
                 const char *done)
{
    struct rest_reply reply = {0};
    struct rest *rest;
    struct plex_err err;
    json_t *application;

    if (rest_open(&rest, cli, &err) != PLEX_OK)
        return cli_fail(&err);
    if (rest_call(rest, request, &reply, &err) != PLEX_OK) {
        rest_reply_free(&reply);
        rest_close(rest);
        return cli_fail(&err);
    }
    application = json_object_get(reply.json, "application");
    if (application != NULL)
        application_print(cli, application);
    else if (cli->json)
        (void)printf("{}\n");
    else
        (void)printf("%s\n", done);
    rest_reply_free(&reply);
    rest_close(rest);
    return 0;
}

int
cli_application_deploy(const struct cli *cli, const struct cli_args *args,
                       const void *config)
{
    struct rest_request request = {.method = "POST",
                                   .path = "/api/v1/applications"};
    struct plex_err err;
    json_t *application, *envelope;
    char *body;
    int code;

    (void)config;
    if (manifest_load(args->values[0], &application, &err) != PLEX_OK)
        return cli_fail(&err);
    envelope = json_object();
    (void)json_object_set_new(envelope, "application", application);
    body = json_dumps(envelope, JSON_COMPACT);
    request.body = body;
    code = application_send(cli, &request, "deployed");
    free(body);
    json_decref(envelope);
    return code;
}

int
cli_application_list(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct application_config *list = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *applications;

    (void)args;
    rest_path_add(&path, "/api/v1/applications");
    rest_path_param(&path, "namespace", list->ns);
    if (rest_list(cli, path.text, "applications", &applications, &err) !=
        PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(applications);
    else
        print_table(application_columns, applications);
    json_decref(applications);
    return 0;
}

/* "/api/v1/applications/NAME" + suffix, with the namespace in the query. */
static int
application_act(const struct cli *cli, const struct cli_args *args,
                const void *config, const char *method, const char *suffix,
                const char *done)
{
    const struct application_config *application = config;
    struct rest_path path = {0};
    struct rest_request request = {.method = method, .path = path.text};

    rest_path_add(&path, "/api/v1/applications/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, suffix);
    rest_path_param(&path, "namespace", application->ns);
    return application_send(cli, &request, done);
}

int
cli_application_status(const struct cli *cli, const struct cli_args *args,
                       const void *config)
{
    return application_act(cli, args, config, "GET", "/status", "");
}

int
cli_application_stop(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    return application_act(cli, args, config, "POST", ":stop", "stopped");
}

int
cli_application_start(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    return application_act(cli, args, config, "POST", ":start", "started");
}

int
cli_application_undeploy(const struct cli *cli, const struct cli_args *args,
                         const void *config)
{
    return application_act(cli, args, config, "DELETE", "", "undeployed");
}
