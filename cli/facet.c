/* Facets of processes and virtual actors while they run. */
#include "cli/process_call.h"

#include <stdio.h>
#include <string.h>

struct attach_config {
    const char *ns;
    uint32_t priority;
};
const struct plex_option cli_facet_attach_options[] = {
    CLI_NAMESPACE(struct attach_config, "default", "of the process"),
    {"priority", PLEX_OPTION_U32, offsetof(struct attach_config, priority), "0",
     "higher ones are outside; 0: the facet's own", 0, 10000},
    {0},
};
static const struct print_column facet_columns[] = {
    {"FACET", "type", PRINT_TEXT, NULL},
    {"PRIORITY", "priority", PRINT_TEXT, NULL},
    {0},
};

static void
text_set(json_t *body, const char *field, const char *value)
{
    json_object_set_new(body, field, json_string(value));
}

/* TYPE/KEY, NAMESPACE/TYPE/KEY or with the tenant: a virtual actor. */
static bool
is_virtual(const char *name)
{
    return strchr(name, '/') != NULL && strchr(name, '@') == NULL &&
           name[0] != '<';
}

static void
facets_path(struct rest_path *path, const char *name)
{
    char full[1100];
    unsigned slashes = 0;

    for (const char *c = name; *c != '\0'; c++)
        slashes += *c == '/';
    (void)snprintf(full, sizeof full, "%s%s",
                   slashes == 1   ? "default/default/"
                   : slashes == 2 ? "default/"
                                  : "",
                   name);
    rest_path_add(path,
                  is_virtual(name) ? "/api/v1/actors/" : "/api/v1/processes/");
    rest_path_segment(path, is_virtual(name) ? full : name);
    rest_path_add(path, "/facets");
}

int
cli_process_facets(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    const struct cli_where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    facets_path(&path, args->values[0]);
    if (!is_virtual(args->values[0]))
        rest_path_param(&path, "namespace", where->ns);
    status = cli_process_call(cli, "GET", &path, NULL, &answer, &err);
    return cli_process_show(cli, status, answer, "facets", facet_columns, &err);
}

int
cli_process_attach(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    const struct attach_config *how = config;
    struct rest_path path = {0};
    json_t *body = json_object(), *answer = NULL, *settings = NULL;
    struct plex_err err;
    enum plex_status status;
    json_error_t where;

    facets_path(&path, args->values[0]);
    if (!is_virtual(args->values[0]))
        text_set(body, "namespace", how->ns);
    text_set(body, "type", args->values[1]);
    json_object_set_new(body, "priority", json_integer(how->priority));
    if (args->count > 2)
        settings = json_loads(args->values[2], JSON_REJECT_DUPLICATES, &where);
    if (args->count > 2 && !json_is_object(settings)) {
        json_decref(settings);
        json_decref(body);
        (void)plex_err_set(&err, PLEX_INVALID,
                           "the configuration is no JSON object like "
                           "{\"level\": \"info\"}");
        return cli_fail(&err);
    }
    if (settings != NULL)
        json_object_set_new(body, "config", settings);
    status = cli_process_call(cli, "POST", &path, body, &answer, &err);
    return cli_process_show(cli, status, answer, "facets", facet_columns, &err);
}

int
cli_process_detach(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    const struct cli_where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    facets_path(&path, args->values[0]);
    rest_path_add(&path, "/");
    rest_path_segment(&path, args->values[1]);
    if (!is_virtual(args->values[0]))
        rest_path_param(&path, "namespace", where->ns);
    status = cli_process_call(cli, "DELETE", &path, NULL, &answer, &err);
    return cli_process_show(cli, status, answer, "facets", facet_columns, &err);
}

int
cli_process_invoke(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    const struct cli_where_config *where = config;
    json_t *body = json_object(), *answer = NULL;
    struct rest_path path = {0};
    struct plex_err err;

    facets_path(&path, args->values[0]);
    rest_path_add(&path, "/");
    rest_path_segment(&path, args->values[1]);
    rest_path_add(&path, ":invoke");
    if (!is_virtual(args->values[0]))
        text_set(body, "namespace", where->ns);
    text_set(body, "op", args->values[2]);
    if (cli_process_call(cli, "POST", &path, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(answer);
    else
        (void)printf("%s\n",
                     json_string_value(json_object_get(answer, "result")));
    json_decref(answer);
    return 0;
}
