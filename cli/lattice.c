/* Cells: values that are merged. */
#include "cli/lattice.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lattice_config {
    const char *ns, *kind, *path, *token;
    bool encoded;
};
#define ROW(name, kind, field, def, help)                                   \
    {                                                                       \
        name, kind, offsetof(struct lattice_config, field), def, help, 0, 0 \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the cell")
#define READING                                            \
    NAMESPACE,                                             \
        ROW("encoded", PLEX_OPTION_BOOL, encoded, "false", \
            "show what merge takes, too"),                 \
        ROW("token", PLEX_OPTION_STRING, token, "",        \
            "of an earlier answer of a causal type: not before it")

const struct plex_option cli_lattice_options[] = {NAMESPACE, {0}};
const struct plex_option cli_lattice_get_options[] = {READING, {0}};
const struct plex_option cli_lattice_update_options[] = {
    READING,
    ROW("kind", PLEX_OPTION_STRING, kind, "",
        "of a cell of the type lattice: g_counter, map/or_set, ..."),
    ROW("path", PLEX_OPTION_STRING, path, "",
        "into maps and pairs: NAME[/NAME...]"),
    {0},
};

int
cli_lattice_enable(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    static const char *const types[] = {"lattice", NULL};
    const struct lattice_config *lattice = config;
    struct plex_err err;
    json_t *reply;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-lattices", lattice->ns, "Lattices",
                            types, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    print_json(reply);
    json_decref(reply);
    return 0;
}

/* /api/v1/lattices/TYPE/KEY and the verb; false: it is no TYPE/KEY. */
static bool
path_make(struct rest_path *path, const char *cell, const char *verb,
          const struct lattice_config *config)
{
    const char *key = strchr(cell, '/');
    char type[129];

    if (key == NULL || key == cell || key[1] == '\0' ||
        (size_t)(key - cell) >= sizeof type) {
        (void)fprintf(stderr, "%s is no cell: name one as TYPE/KEY\n", cell);
        return false;
    }
    (void)snprintf(type, sizeof type, "%.*s", (int)(key - cell), cell);
    rest_path_add(path, "/api/v1/lattices/");
    rest_path_segment(path, type);
    rest_path_add(path, "/");
    rest_path_segment(path, key + 1);
    rest_path_add(path, verb);
    rest_path_param(path, "namespace", config->ns);
    return true;
}

int
cli_lattice_get(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct lattice_config *lattice = config;
    struct rest_path path = {0};

    if (!path_make(&path, args->values[0], "", lattice))
        return CLI_EXIT_USAGE;
    rest_path_param(&path, "encoded", lattice->encoded ? "true" : "");
    rest_path_param(&path, "token", lattice->token);
    return rest_show(cli, "GET", path.text, NULL);
}

static json_t *
names_of(const char *path)
{
    json_t *names = json_array();

    for (;;) {
        const size_t len = strcspn(path, "/");

        json_array_append_new(names, json_stringn(path, len));
        if (path[len] == '\0')
            return names;
        path += len + 1;
    }
}

/* POST; takes `body`. */
static int
post(const struct cli *cli, const struct cli_args *args, const char *verb,
     const struct lattice_config *config, json_t *body)
{
    struct rest_path path = {0};

    if (!path_make(&path, args->values[0], verb, config)) {
        json_decref(body);
        return CLI_EXIT_USAGE;
    }
    if (config->encoded)
        json_object_set_new(body, "encoded", json_true());
    if (config->token[0] != '\0')
        json_object_set_new(body, "token", json_string(config->token));
    return rest_show(cli, "POST", path.text, body);
}

/* Takes `value`, called `name`; NULL: there is none. */
static int
update(const struct cli *cli, const struct cli_args *args,
       const struct lattice_config *config, const char *op, const char *name,
       json_t *value)
{
    json_t *body = json_pack("{s:s}", "op", op);

    if (value != NULL)
        json_object_set_new(body, name, value);
    if (config->kind[0] != '\0')
        json_object_set_new(body, "kind", json_string(config->kind));
    if (config->path[0] != '\0')
        json_object_set_new(body, "path", names_of(config->path));
    return post(cli, args, ":update", config, body);
}

int
cli_lattice_add(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    return update(cli, args, config, "add", "value",
                  json_string(args->values[1]));
}

int
cli_lattice_remove(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    return update(cli, args, config, "remove", "value",
                  json_string(args->values[1]));
}

int
cli_lattice_set(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    json_t *value = json_loads(args->values[1],
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    if (value == NULL) {
        (void)fprintf(stderr, "%s is no JSON value\n", args->values[1]);
        return CLI_EXIT_USAGE;
    }
    return update(cli, args, config, "set", "value", value);
}

static int
count(const struct cli *cli, const struct cli_args *args, const void *config,
      const char *op)
{
    const char *text = args->count > 1 ? args->values[1] : "1";
    char *end;
    const long long by = strtoll(text, &end, 10);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "%s is no number\n", text);
        return CLI_EXIT_USAGE;
    }
    return update(cli, args, config, op, "by", json_integer(by));
}

int
cli_lattice_increment(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    return count(cli, args, config, "increment");
}

int
cli_lattice_decrement(const struct cli *cli, const struct cli_args *args,
                      const void *config)
{
    return count(cli, args, config, "decrement");
}

int
cli_lattice_merge(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    return post(cli, args, ":merge", config,
                json_pack("{s:s}", "state", args->values[1]));
}
