/* Facets of processes and virtual actors while they run. */
#include "cli/process_call.h"

#include <stdio.h>
#include <stdlib.h>
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

/* The configuration, as the argument `at`; NULL: it is not given. */
static enum plex_status
settings_read(const struct cli_args *args, int at, json_t **out,
              struct plex_err *err)
{
    *out = args->count > at
               ? json_loads(args->values[at], JSON_REJECT_DUPLICATES, NULL)
               : NULL;
    if (args->count <= at || json_is_object(*out))
        return PLEX_OK;
    json_decref(*out);
    *out = NULL;
    return plex_err_set(err, PLEX_INVALID,
                        "the configuration is no JSON object like "
                        "{\"level\": \"info\"}");
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

    facets_path(&path, args->values[0]);
    if (!is_virtual(args->values[0]))
        text_set(body, "namespace", how->ns);
    text_set(body, "type", args->values[1]);
    json_object_set_new(body, "priority", json_integer(how->priority));
    if (settings_read(args, 2, &settings, &err) != PLEX_OK) {
        json_decref(body);
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

/* -- of all actors of a type -------------------------------------------------
 */

static const struct print_column declared_columns[] = {
    {"FACET", "type", PRINT_TEXT, NULL},
    {"PRIORITY", "priority", PRINT_TEXT, NULL},
    {"CONFIG", "text", PRINT_TEXT, NULL},
    {0},
};

/* The type in the application, with a list of facets; NULL: there is none. */
static json_t *
type_of(const json_t *application, const char *name, struct plex_err *err)
{
    json_t *type;
    size_t i;

    json_array_foreach(json_object_get(application, "actorTypes"), i, type)
    {
        if (strcmp(json_string_value(json_object_get(type, "name")), name) != 0)
            continue;
        if (json_object_get(type, "facets") == NULL)
            json_object_set_new(type, "facets", json_array());
        return type;
    }
    (void)plex_err_set(err, PLEX_NOT_FOUND,
                       "the application has no actor type \"%.80s\"", name);
    return NULL;
}

/* The answer, which is owned, has the application. */
static enum plex_status
application_get(const struct cli *cli, const char *name, const char *ns,
                json_t **answer, struct plex_err *err)
{
    struct rest_path path = {0};

    rest_path_add(&path, "/api/v1/applications/");
    rest_path_segment(&path, name);
    rest_path_add(&path, "/status");
    rest_path_param(&path, "namespace", ns);
    return cli_process_call(cli, "GET", &path, NULL, answer, err);
}

static int
declared_show(const struct cli *cli, json_t *answer, const char *name)
{
    struct plex_err err;
    json_t *type = type_of(json_object_get(answer, "application"), name, &err);
    json_t *facet;
    size_t i;

    if (type == NULL) {
        json_decref(answer);
        return cli_fail(&err);
    }
    json_array_foreach(json_object_get(type, "facets"), i, facet)
    {
        char *text = json_dumps(json_object_get(facet, "config"), JSON_COMPACT);

        if (!cli->json)
            json_object_set_new(facet, "text",
                                json_string(text == NULL ? "" : text));
        free(text);
    }
    json_incref(type);
    json_decref(answer);
    return cli_process_show(cli, PLEX_OK, type, "facets", declared_columns,
                            &err);
}

/* Deploy it again, as it is now; takes the answer. */
static int
deploy_again(const struct cli *cli, json_t *answer, const char *type)
{
    static const char *const output[] = {"state", "deployedMs", "tenant",
                                         "revision", "root"};
    json_t *application = json_object_get(answer, "application"), *told = NULL;
    struct rest_path path = {0};
    struct plex_err err;

    for (size_t i = 0; i < sizeof output / sizeof output[0]; i++)
        (void)json_object_del(application, output[i]);
    rest_path_add(&path, "/api/v1/applications");
    if (cli_process_call(cli, "POST", &path, answer, &told, &err) != PLEX_OK)
        return cli_fail(&err);
    return declared_show(cli, told, type);
}

int
cli_type_facets(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct cli_where_config *where = config;
    json_t *answer;
    struct plex_err err;

    if (application_get(cli, args->values[0], where->ns, &answer, &err) !=
        PLEX_OK)
        return cli_fail(&err);
    return declared_show(cli, answer, args->values[1]);
}

int
cli_type_attach(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct attach_config *how = config;
    json_t *answer, *type, *facet, *settings = NULL;
    struct plex_err err;

    if (settings_read(args, 3, &settings, &err) != PLEX_OK ||
        application_get(cli, args->values[0], how->ns, &answer, &err) !=
            PLEX_OK) {
        json_decref(settings);
        return cli_fail(&err);
    }
    type =
        type_of(json_object_get(answer, "application"), args->values[1], &err);
    if (type == NULL) {
        json_decref(settings);
        json_decref(answer);
        return cli_fail(&err);
    }
    facet = json_pack("{s:s, s:I}", "type", args->values[2], "priority",
                      (json_int_t)how->priority);
    if (settings != NULL)
        json_object_set_new(facet, "config", settings);
    json_array_append_new(json_object_get(type, "facets"), facet);
    return deploy_again(cli, answer, args->values[1]);
}

int
cli_type_detach(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct cli_where_config *where = config;
    json_t *answer, *type, *facets, *facet;
    struct plex_err err;
    size_t i;

    if (application_get(cli, args->values[0], where->ns, &answer, &err) !=
        PLEX_OK)
        return cli_fail(&err);
    type =
        type_of(json_object_get(answer, "application"), args->values[1], &err);
    facets = json_object_get(type, "facets");
    json_array_foreach(facets, i, facet)
    {
        if (strcmp(json_string_value(json_object_get(facet, "type")),
                   args->values[2]) != 0)
            continue;
        (void)json_array_remove(facets, i);
        return deploy_again(cli, answer, args->values[1]);
    }
    if (type != NULL)
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "type %.80s declares no facet %.80s",
                           args->values[1], args->values[2]);
    json_decref(answer);
    return cli_fail(&err);
}
