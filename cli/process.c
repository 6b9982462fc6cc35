/* Processes and their supervisors. */
#include "cli/process_call.h"

#include "common/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct plex_option cli_process_options[] = {
    CLI_NAMESPACE(struct cli_where_config, "default", "of the process"),
    {0},
};
const struct plex_option cli_process_list_options[] = {
    CLI_NAMESPACE(struct cli_where_config, "", "only of this namespace"),
    {0},
};

struct exit_config {
    const char *ns;
    const char *reason;
};
const struct plex_option cli_process_exit_options[] = {
    CLI_NAMESPACE(struct exit_config, "default", "of the process"),
    {"reason", PLEX_OPTION_STRING, offsetof(struct exit_config, reason),
     "shutdown", "crash, normal, shutdown, kill, or any text", 0, 0},
    {0},
};

struct start_config {
    const char *ns;
    const char *behaviour, *name, *args, *restart, *shutdown, *node, *placement;
};
#define TEXT(field, help)                                                     \
    {                                                                         \
#field, PLEX_OPTION_STRING, offsetof(struct start_config, field), "", \
            (help), 0, 0                                                      \
    }
const struct plex_option cli_child_start_options[] = {
    CLI_NAMESPACE(struct start_config, "default", "of the supervisor"),
    TEXT(behaviour, "of the module; the module's name when not given"),
    TEXT(name, "to register"),
    TEXT(args, "JSON for its init"),
    TEXT(restart, "permanent, transient or temporary"),
    TEXT(shutdown, "brutal_kill, infinity or a duration like 5s"),
    TEXT(node, "worker to start it on"),
    TEXT(placement, "or what it needs, JSON: {\"cpu_cores\": 1.5}"),
    {0},
};

static const struct print_column process_columns[] = {
    {"NAME", "name", PRINT_TEXT, NULL},
    {"CHILD", "child", PRINT_TEXT, NULL},
    {"BEHAVIOUR", "behaviour", PRINT_TEXT, NULL},
    {"STATE", "state", PRINT_TEXT, NULL},
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"NAMESPACE", "namespace", PRINT_TEXT, NULL},
    {"MAILBOX", "mailboxLength", PRINT_TEXT, NULL},
    {"MESSAGES", "messagesTotal", PRINT_TEXT, NULL},
    {"MEMORY", "bytes", PRINT_BYTES, NULL},
    {"REF", "ref", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column process_detail[] = {
    {"process", "ref", PRINT_TEXT, NULL},
    {"name", "name", PRINT_TEXT, NULL},
    {"behaviour", "behaviour", PRINT_TEXT, NULL},
    {"state", "state", PRINT_TEXT, NULL},
    {"node", "nodeId", PRINT_TEXT, NULL},
    {"namespace", "namespace", PRINT_TEXT, NULL},
    {"supervisor", "supervisor", PRINT_TEXT, NULL},
    {"child", "child", PRINT_TEXT, NULL},
    {"parent", "parent", PRINT_TEXT, NULL},
    {"is supervisor", "isSupervisor", PRINT_YES_NO, NULL},
    {"traps exits", "trapExit", PRINT_YES_NO, NULL},
    {"mailbox", "mailboxLength", PRINT_TEXT, NULL},
    {"links", "links", PRINT_TEXT, NULL},
    {"monitors", "monitors", PRINT_TEXT, NULL},
    {"messages", "messagesTotal", PRINT_TEXT, NULL},
    {"running for", "runningMs", PRINT_MS, NULL},
    {"memory", "bytes", PRINT_BYTES, NULL},
    {0},
};
static const struct print_column child_columns[] = {
    {"CHILD", "id", PRINT_TEXT, NULL},
    {"RESTART", "restart", PRINT_TEXT, NULL},
    {"SUPERVISOR", "isSupervisor", PRINT_YES_NO, NULL},
    {"SIGNIFICANT", "significant", PRINT_YES_NO, NULL},
    {"RESTARTS", "restarts", PRINT_TEXT, NULL},
    {"RESTARTING", "restarting", PRINT_YES_NO, NULL},
    {"REF", "ref", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column count_detail[] = {
    {"specs", "specs", PRINT_TEXT, NULL},
    {"active", "active", PRINT_TEXT, NULL},
    {"supervisors", "supervisors", PRINT_TEXT, NULL},
    {"workers", "workers", PRINT_TEXT, NULL},
    {0},
};

/* -- calls ----------------------------------------------------------------- */

enum plex_status
cli_process_call(const struct cli *cli, const char *method,
                 struct rest_path *path, json_t *body, json_t **out,
                 struct plex_err *err)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    const struct rest_request request = {
        .method = method, .path = path->text, .body = text};
    struct rest_reply reply = {0};
    struct rest *rest;
    enum plex_status status = rest_open(&rest, cli, err);

    if (status == PLEX_OK) {
        status = rest_call(rest, &request, &reply, err);
        *out = status == PLEX_OK ? json_incref(reply.json) : NULL;
        rest_reply_free(&reply);
        rest_close(rest);
    }
    json_decref(body);
    free(text);
    return status;
}

static void
path_of(struct rest_path *path, const char *prefix, const char *name,
        const char *suffix)
{
    rest_path_add(path, prefix);
    rest_path_segment(path, name);
    rest_path_add(path, suffix);
}

static void
set_text(json_t *body, const char *field, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(body, field, json_string(value));
}

int
cli_process_show(const struct cli *cli, enum plex_status status, json_t *answer,
                 const char *field, const struct print_column *columns,
                 const struct plex_err *err)
{
    const json_t *part =
        field == NULL ? answer : json_object_get(answer, field);

    if (status != PLEX_OK)
        return cli_fail(err);
    if (cli->json)
        print_json(part);
    else if (json_is_array(part))
        print_table(columns, part);
    else if (columns != NULL)
        print_object(columns, part);
    json_decref(answer);
    return 0;
}

/* -- processes ------------------------------------------------------------- */

static enum plex_status
list(const struct cli *cli, const char *ns, bool supervisors, json_t **out,
     struct plex_err *err)
{
    struct rest_path path = {0};
    enum plex_status status;
    json_t *answer = NULL;

    rest_path_add(&path, "/api/v1/processes");
    rest_path_param(&path, "page_size", "10000");
    rest_path_param(&path, "namespace", ns);
    if (supervisors)
        rest_path_param(&path, "supervisors", "true");
    status = rest_get(cli, path.text, &answer, err);
    if (status != PLEX_OK)
        return status;
    *out = json_incref(json_object_get(answer, "processes"));
    if (json_is_true(json_object_get(answer, "truncated")))
        (void)fprintf(stderr, "these are not all: a worker has more than "
                              "10000\n");
    json_decref(answer);
    return PLEX_OK;
}

int
cli_process_list(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct cli_where_config *where = config;
    json_t *processes = NULL;
    struct plex_err err;
    enum plex_status status = list(cli, where->ns, false, &processes, &err);

    (void)args;
    return cli_process_show(cli, status, processes, NULL, process_columns,
                            &err);
}

void
cli_process_append(const struct cli *cli, const char *ns)
{
    json_t *processes = NULL;
    struct plex_err err;

    if (list(cli, ns, false, &processes, &err) != PLEX_OK)
        return; /* the actors were told */
    if (json_array_size(processes) > 0) {
        (void)printf("\n");
        print_table(process_columns, processes);
    }
    json_decref(processes);
}

int
cli_supervisor_list(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct cli_where_config *where = config;
    json_t *processes = NULL;
    struct plex_err err;
    enum plex_status status = list(cli, where->ns, true, &processes, &err);

    (void)args;
    return cli_process_show(cli, status, processes, NULL, process_columns,
                            &err);
}

int
cli_process_inspect(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct cli_where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    path_of(&path, "/api/v1/processes/", args->values[0], "");
    rest_path_param(&path, "namespace", where->ns);
    status = cli_process_call(cli, "GET", &path, NULL, &answer, &err);
    /* TYPE/KEY looks like SUPERVISOR/CHILD. */
    if (status == PLEX_NOT_FOUND && strchr(args->values[0], '/') != NULL)
        return cli_actor_status(cli, args, NULL);
    return cli_process_show(cli, status, answer, "process", process_detail,
                            &err);
}

int
cli_process_exit(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct exit_config *how = config;
    struct rest_path path = {0};
    json_t *body = json_object(), *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    path_of(&path, "/api/v1/processes/", args->values[0], ":exit");
    set_text(body, "namespace", how->ns);
    set_text(body, "reason", how->reason);
    status = cli_process_call(cli, "POST", &path, body, &answer, &err);
    if (status == PLEX_OK && !cli->json) {
        const json_t *process = json_object_get(answer, "process");

        (void)printf("sent \"%s\" to %s on %s\n", how->reason,
                     json_string_value(json_object_get(process, "ref")),
                     json_string_value(json_object_get(process, "nodeId")));
        json_decref(answer);
        return 0;
    }
    return cli_process_show(cli, status, answer, "process", process_detail,
                            &err);
}

/* -- the tree -------------------------------------------------------------- */

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* Under whom it stands: its supervisor, or, where that is on another worker,
 * who started it. */
static const char *
above(const json_t *process)
{
    const char *supervisor = text_of(process, "supervisor");

    return supervisor[0] != '\0' ? supervisor : text_of(process, "parent");
}

static void
print_plain(const char *text)
{
    for (; *text != '\0'; text++)
        (void)putchar(iscntrl((unsigned char)*text) ? '?' : *text);
}

static void
tree_line(const json_t *process)
{
    const char *name = text_of(process, "name");
    const char *child = text_of(process, "child");

    print_plain(child[0] != '\0'  ? child
                : name[0] != '\0' ? name
                                  : text_of(process, "ref"));
    if (name[0] != '\0' && child[0] != '\0' && strcmp(name, child) != 0) {
        (void)printf(" (");
        print_plain(name);
        (void)printf(")");
    }
    (void)printf("  ");
    print_plain(text_of(process, "behaviour"));
    (void)printf("  %s  on %s", text_of(process, "state"),
                 text_of(process, "nodeId"));
    (void)printf("\n");
}

struct tree {
    json_t *processes;
    json_t *below; /* ref -> array of processes */
};

static void
tree_print(const struct tree *tree, const json_t *process, const char *prefix,
           unsigned depth)
{
    json_t *children = json_object_get(tree->below, text_of(process, "ref"));
    const size_t n = json_array_size(children);
    char next[256];

    for (size_t i = 0; i < n && depth < 40; i++) {
        const json_t *child = json_array_get(children, i);

        (void)printf("%s%s", prefix, i + 1 == n ? "`- " : "|- ");
        tree_line(child);
        (void)snprintf(next, sizeof next, "%.240s%s", prefix,
                       i + 1 == n ? "   " : "|  ");
        tree_print(tree, child, next, depth + 1);
    }
}

static json_t *
tree_json(const struct tree *tree, const json_t *process, unsigned depth)
{
    json_t *children = json_object_get(tree->below, text_of(process, "ref"));
    json_t *out = json_deep_copy(process), *list = json_array();

    for (size_t i = 0; i < json_array_size(children) && depth < 40; i++)
        json_array_append_new(
            list, tree_json(tree, json_array_get(children, i), depth + 1));
    if (json_array_size(list) > 0)
        json_object_set(out, "children", list);
    json_decref(list);
    return out;
}

static void
tree_sort(struct tree *tree, const char *only, json_t *roots)
{
    json_t *known = json_object(), *process;
    size_t i;

    json_array_foreach(tree->processes, i, process)
    {
        json_object_set_new(known, text_of(process, "ref"), json_true());
    }
    json_array_foreach(tree->processes, i, process)
    {
        const char *up = above(process);
        const bool root = json_object_get(known, up) == NULL;

        if (!root) {
            json_t *list = json_object_get(tree->below, up);

            if (list == NULL) {
                list = json_array();
                json_object_set_new(tree->below, up, list);
            }
            json_array_append(list, process);
        }
        if (only == NULL ? root
                         : strcmp(text_of(process, "name"), only) == 0 ||
                               strcmp(text_of(process, "ref"), only) == 0)
            json_array_append(roots, process);
    }
    json_decref(known);
}

int
cli_process_tree(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct cli_where_config *where = config;
    const char *only = args->count > 0 ? args->values[0] : NULL;
    struct tree tree = {.below = json_object()};
    json_t *roots = json_array(), *out = json_array(), *process;
    struct plex_err err;
    size_t i;

    if (list(cli, where->ns, false, &tree.processes, &err) != PLEX_OK) {
        json_decref(tree.below);
        json_decref(roots);
        json_decref(out);
        return cli_fail(&err);
    }
    tree_sort(&tree, only, roots);
    json_array_foreach(roots, i, process)
    {
        if (cli->json) {
            json_array_append_new(out, tree_json(&tree, process, 0));
            continue;
        }
        tree_line(process);
        tree_print(&tree, process, "", 0);
    }
    if (cli->json)
        print_json(out);
    json_decref(out);
    json_decref(roots);
    json_decref(tree.below);
    json_decref(tree.processes);
    return 0;
}

/* -- supervisors ----------------------------------------------------------- */

int
cli_supervisor_which(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct cli_where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    path_of(&path, "/api/v1/supervisors/", args->values[0], "/children");
    rest_path_param(&path, "namespace", where->ns);
    status = cli_process_call(cli, "GET", &path, NULL, &answer, &err);
    return cli_process_show(cli, status, answer, "children", child_columns,
                            &err);
}

int
cli_supervisor_count(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct cli_where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    path_of(&path, "/api/v1/supervisors/", args->values[0], ":count");
    rest_path_param(&path, "namespace", where->ns);
    status = cli_process_call(cli, "GET", &path, NULL, &answer, &err);
    return cli_process_show(cli, status, answer, NULL, count_detail, &err);
}

static int
child_call(const struct cli *cli, const struct cli_args *args, const char *ns,
           const char *method, const char *suffix)
{
    struct rest_path path = {0};
    json_t *body = NULL, *answer = NULL;
    struct plex_err err;
    enum plex_status status;

    path_of(&path, "/api/v1/supervisors/", args->values[0], "/children/");
    rest_path_segment(&path, args->values[1]);
    rest_path_add(&path, suffix);
    if (strcmp(method, "POST") == 0) {
        body = json_object();
        set_text(body, "namespace", ns);
    } else {
        rest_path_param(&path, "namespace", ns);
    }
    status = cli_process_call(cli, method, &path, body, &answer, &err);
    if (status == PLEX_OK && !cli->json) {
        (void)printf("%s\n", text_of(answer, "ref")[0] != '\0'
                                 ? text_of(answer, "ref")
                                 : "done");
        json_decref(answer);
        return 0;
    }
    return cli_process_show(cli, status, answer, NULL, NULL, &err);
}

int
cli_child_restart(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct cli_where_config *where = config;

    return child_call(cli, args, where->ns, "POST", ":restart");
}

int
cli_child_terminate(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct cli_where_config *where = config;

    return child_call(cli, args, where->ns, "POST", ":terminate");
}

int
cli_child_delete(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct cli_where_config *where = config;

    return child_call(cli, args, where->ns, "DELETE", "");
}

json_t *
cli_child_body(const struct cli_args *args, const void *config,
               struct plex_err *err)
{
    const struct start_config *start = config;
    json_t *body = json_object(), *placement;
    json_error_t where;

    set_text(body, "namespace", start->ns);
    set_text(body, "id", args->count > 1 ? args->values[1] : "");
    set_text(body, "module", args->count > 2 ? args->values[2] : "");
    set_text(body, "behaviour", start->behaviour);
    set_text(body, "name", start->name);
    set_text(body, "args", start->args);
    set_text(body, "restart", start->restart);
    set_text(body, "shutdown", start->shutdown);
    set_text(body, "node", start->node);
    if (start->placement[0] == '\0')
        return body;
    placement = json_loads(start->placement, JSON_REJECT_DUPLICATES, &where);
    if (placement != NULL) {
        json_object_set_new(body, "placement", placement);
        return body;
    }
    json_decref(body);
    (void)plex_err_set(err, PLEX_INVALID, "placement is no JSON: %s",
                       where.text);
    return NULL;
}

int
cli_child_start(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *body = cli_child_body(args, config, &err), *answer = NULL;
    enum plex_status status;

    if (body == NULL)
        return cli_fail(&err);
    path_of(&path, "/api/v1/supervisors/", args->values[0], "/children");
    status = cli_process_call(cli, "POST", &path, body, &answer, &err);
    if (status == PLEX_OK && !cli->json) {
        (void)printf("%s\n", text_of(answer, "ref"));
        json_decref(answer);
        return 0;
    }
    return cli_process_show(cli, status, answer, NULL, NULL, &err);
}
