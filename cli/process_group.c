/* Process groups. */
#include "cli/process_group.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <inttypes.h>
#include <stdio.h>

struct group_config {
    const char *ns, *node;
    uint64_t ttl_ms;
};
#define ROW(name, type, field, def, help, min, max)                           \
    {                                                                         \
        name, type, offsetof(struct group_config, field), def, help, min, max \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the group", 0, 0)

const struct plex_option cli_process_group_options[] = {NAMESPACE, {0}};
const struct plex_option cli_process_group_members_options[] = {
    NAMESPACE,
    ROW("node", PLEX_OPTION_STRING, node, "", "only those there", 0, 0),
    {0},
};
const struct plex_option cli_process_group_publish_options[] = {
    NAMESPACE,
    ROW("ttl_ms", PLEX_OPTION_U64, ttl_ms, "0",
        "not delivered later; 0: whenever", 0, 86400000),
    {0},
};

static const struct print_column groups[] = {
    {"GROUP", "name", PRINT_TEXT, NULL},
    {"MEMBERS", "members", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column members[] = {
    {"PROCESS", "process", PRINT_TEXT, NULL},
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"NAME", "name", PRINT_TEXT, NULL},
    {"JOINED", "joined", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column lines[] = {
    {"process", "process", PRINT_TEXT, NULL},
    {"node", "nodeId", PRINT_TEXT, NULL},
    {"name", "name", PRINT_TEXT, NULL},
    {"joined", "joined", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column deliveries[] = {
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"RECIPIENTS", "recipients", PRINT_TEXT, NULL},
    {"FAILURES", "failures", PRINT_TEXT, NULL},
    {0},
};

static void
path_of(struct rest_path *path, const char *group, const char *rest)
{
    rest_path_add(path, "/api/v1/process-groups/");
    rest_path_segment(path, group);
    rest_path_add(path, rest);
}

/* Takes `body`, which may be NULL; prints the rows in `field` of the answer. */
static int
show(const struct cli *cli, const char *method, const struct rest_path *path,
     json_t *body, const char *field, const struct print_column *columns)
{
    struct plex_err err;
    json_t *answer;

    if (rest_ask(cli, method, path->text, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(answer);
    else
        print_table(columns, json_object_get(answer, field));
    json_decref(answer);
    return 0;
}

int
cli_process_group_list(const struct cli *cli, const struct cli_args *args,
                       const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *rows;

    rest_path_add(&path, "/api/v1/process-groups");
    rest_path_param(&path, "namespace",
                    ((const struct group_config *)config)->ns);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    if (rest_list(cli, path.text, "groups", &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(rows);
    else
        print_table(groups, rows);
    json_decref(rows);
    return 0;
}

int
cli_process_group_members(const struct cli *cli, const struct cli_args *args,
                          const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};

    path_of(&path, args->values[0], "/members");
    rest_path_param(&path, "namespace", group->ns);
    rest_path_param(&path, "node_id", group->node);
    return show(cli, "GET", &path, NULL, "members", members);
}

static int
change(const struct cli *cli, const struct cli_args *args, const void *config,
       const char *verb)
{
    struct rest_path path = {0};
    json_t *body = json_pack("{s:s, s:s}", "namespace",
                             ((const struct group_config *)config)->ns,
                             "process", args->values[1]);
    struct plex_err err;
    json_t *answer;

    path_of(&path, args->values[0], verb);
    if (rest_ask(cli, "POST", path.text, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(answer, "member"));
    else
        print_object(lines, json_object_get(answer, "member"));
    json_decref(answer);
    return 0;
}

int
cli_process_group_join(const struct cli *cli, const struct cli_args *args,
                       const void *config)
{
    return change(cli, args, config, ":join");
}

int
cli_process_group_leave(const struct cli *cli, const struct cli_args *args,
                        const void *config)
{
    return change(cli, args, config, ":leave");
}

int
cli_process_group_publish(const struct cli *cli, const struct cli_args *args,
                          const void *config)
{
    const struct group_config *group = config;
    struct rest_path path = {0};

    path_of(&path, args->values[0], ":publish");
    return show(cli, "POST", &path,
                json_pack("{s:s, s:s, s:I}", "namespace", group->ns, "text",
                          args->values[1], "ttlMs", (json_int_t)group->ttl_ms),
                "nodes", deliveries);
}
