/* Actors and processes by name: messages to them, making and linking them. */
#include "cli/message.h"
#include "cli/print.h"
#include "cli/rest.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct send_config {
    const char *ns, *type, *id, *sender;
    uint32_t priority;
    uint64_t ttl_ms, timeout_ms;
    bool wait;
};
enum { PRIORITY_NONE = 101 };
const struct plex_option cli_message_send_options[] = {
    {"wait", PLEX_OPTION_BOOL, offsetof(struct send_config, wait), "false",
     "for the answer, and print it", 0, 0},
    {"type", PLEX_OPTION_STRING, offsetof(struct send_config, type), "",
     "info, workflow_signal:NAME, or any text for the handler", 0, 0},
    {"id", PLEX_OPTION_STRING, offsetof(struct send_config, id), "",
     "a virtual actor handles it once", 0, 0},
    {"sender", PLEX_OPTION_STRING, offsetof(struct send_config, sender), "",
     "handed on as a header", 0, 0},
    {"priority", PLEX_OPTION_U32, offsetof(struct send_config, priority), "101",
     "0 to 100; 101: normal", 0, PRIORITY_NONE},
    {"ttl_ms", PLEX_OPTION_U64, offsetof(struct send_config, ttl_ms), "0",
     "not handled when it is older; 0: no limit", 0, 86400000},
    {"timeout_ms", PLEX_OPTION_U64, offsetof(struct send_config, timeout_ms),
     "0", "for all of it; 0 for the gateway's default", 0, 3600000},
    {"namespace", PLEX_OPTION_STRING, offsetof(struct send_config, ns),
     "default", "of the receiver", 0, 0},
    {0},
};

static void
set_text(json_t *object, const char *field, const char *value)
{
    if (value[0] != '\0')
        json_object_set_new(object, field, json_string(value));
}

/* New: the request's body. */
static json_t *
body_of(const struct send_config *how, json_t *content)
{
    json_t *body = json_object(), *message = json_object();

    json_object_set(message, "json", content);
    set_text(message, "message_type", how->type);
    set_text(message, "id", how->id);
    set_text(message, "sender_id", how->sender);
    if (how->priority < PRIORITY_NONE)
        json_object_set_new(message, "priority", json_integer(how->priority));
    json_object_set_new(message, "ttl_ms",
                        json_integer((json_int_t)how->ttl_ms));
    json_object_set_new(body, "message", message);
    json_object_set_new(body, "wait_for_response", json_boolean(how->wait));
    json_object_set_new(body, "timeout_ms",
                        json_integer((json_int_t)how->timeout_ms));
    set_text(body, "namespace", how->ns);
    return body;
}

/* To a virtual actor, or else to a process of that name. */
static void
path_of(struct rest_path *path, const char *receiver)
{
    const bool is_actor = strchr(receiver, '/') != NULL && receiver[0] != '<' &&
                          strchr(receiver, '@') == NULL;

    rest_path_add(path, is_actor ? "/api/v1/actors/" : "/api/v1/processes/");
    rest_path_segment(path, receiver);
    rest_path_add(path, "/messages");
}

static void
show(const struct cli *cli, const struct send_config *how, const json_t *answer)
{
    const json_t *response = json_object_get(answer, "response");
    const json_t *json = json_object_get(response, "json");
    const char *payload =
        json_string_value(json_object_get(response, "payload"));

    if (cli->json || !how->wait)
        print_json(answer);
    else if (json != NULL)
        print_json(json);
    else
        (void)printf("%s\n", payload == NULL ? "" : payload);
}

int
cli_message_send(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct send_config *how = config;
    struct rest_path path = {0};
    json_t *content, *answer = NULL;
    enum plex_status status;
    json_error_t wrong;
    struct plex_err err;

    content = args->count > 1
                  ? json_loads(args->values[1],
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &wrong)
                  : json_object();
    if (content == NULL) {
        (void)plex_err_set(&err, PLEX_INVALID, "that is no JSON: %.100s",
                           wrong.text);
        return cli_fail(&err);
    }
    path_of(&path, args->values[0]);
    status =
        rest_ask(cli, "POST", path.text, body_of(how, content), &answer, &err);
    if (status == PLEX_OK)
        show(cli, how, answer);
    json_decref(answer);
    json_decref(content);
    return status == PLEX_OK ? 0 : cli_fail(&err);
}

/* -- making ---------------------------------------------------------------- */

struct spawn_config {
    const char *ns, *args, *supervisor, *restart, *shutdown, *node, *placement;
    const char *state;
};
#define TEXT(field, fallback, help)                                       \
    {                                                                     \
#field, PLEX_OPTION_STRING, offsetof(struct spawn_config, field), \
            fallback, help, 0, 0                                          \
    }
#define NAMESPACE                                                           \
    {                                                                       \
        "namespace", PLEX_OPTION_STRING, offsetof(struct spawn_config, ns), \
            "default", "of the type", 0, 0                                  \
    }
const struct plex_option cli_actor_spawn_options[] = {
    TEXT(args, "", "JSON for its init"),
    TEXT(supervisor, "", "to start it under; the root of its application"),
    TEXT(restart, "temporary", "permanent, transient or temporary"),
    TEXT(shutdown, "", "brutal_kill, infinity or a duration like 5s"),
    TEXT(node, "", "worker to start it on"),
    TEXT(placement, "", "or what it needs, JSON: {\"cpu_cores\": 1.5}"),
    NAMESPACE,
    {0},
};
const struct plex_option cli_actor_create_options[] = {
    TEXT(state, "", "that it begins with"),
    NAMESPACE,
    {0},
};

static int
made(const struct cli *cli, const char *path, json_t *body)
{
    json_t *answer = NULL;
    struct plex_err err;

    if (rest_ask(cli, "POST", path, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(answer);
    else
        (void)printf("%s\n",
                     json_string_value(json_object_get(answer, "actorRef")));
    json_decref(answer);
    return 0;
}

int
cli_actor_spawn(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct spawn_config *how = config;
    json_t *body = json_object(), *placement;
    json_error_t wrong;
    struct plex_err err;

    set_text(body, "actor_type", args->values[0]);
    set_text(body, "actor_id", args->count > 1 ? args->values[1] : "");
    set_text(body, "namespace", how->ns);
    set_text(body, "args", how->args);
    set_text(body, "supervisor", how->supervisor);
    set_text(body, "restart", how->restart);
    set_text(body, "shutdown", how->shutdown);
    set_text(body, "node_id", how->node);
    if (how->placement[0] != '\0') {
        placement = json_loads(how->placement, JSON_REJECT_DUPLICATES, &wrong);
        if (placement == NULL) {
            json_decref(body);
            (void)plex_err_set(&err, PLEX_INVALID,
                               "placement is no JSON: %.100s", wrong.text);
            return cli_fail(&err);
        }
        json_object_set_new(body, "placement", placement);
    }
    return made(cli, "/api/v1/actors/spawn", body);
}

int
cli_actor_create(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct spawn_config *how = config;
    json_t *body = json_object();

    set_text(body, "actor_type", args->values[0]);
    set_text(body, "actor_id", args->values[1]);
    set_text(body, "namespace", how->ns);
    set_text(body, "initial_state_text", how->state);
    return made(cli, "/api/v1/actors", body);
}

/* -- linking --------------------------------------------------------------- */

struct where_config {
    const char *ns;
};
const struct plex_option cli_actor_where_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct where_config, ns),
     "default", "of the processes", 0, 0},
    {0},
};

/* The way to a process is its ref: names without a worker are others' paths. */
static enum plex_status
ref_find(const struct cli *cli, const char *ns, const char *process,
         char out[128], struct plex_err *err)
{
    struct rest_path path = {0};
    json_t *answer = NULL;
    enum plex_status status;

    rest_path_add(&path, "/api/v1/processes/");
    rest_path_segment(&path, process);
    rest_path_param(&path, "namespace", ns);
    status = rest_get(cli, path.text, &answer, err);
    if (status == PLEX_OK)
        (void)snprintf(out, 128, "%s",
                       json_string_value(json_object_get(
                           json_object_get(answer, "process"), "ref")));
    json_decref(answer);
    return status;
}

static int
link_two(const struct cli *cli, const struct cli_args *args, const char *ns,
         bool links)
{
    struct rest_path path = {0};
    json_t *answer = NULL, *body = NULL;
    enum plex_status status;
    struct plex_err err;
    char ref[128];

    status = ref_find(cli, ns, args->values[0], ref, &err);
    if (status == PLEX_OK) {
        rest_path_add(&path, "/api/v1/actors/");
        rest_path_segment(&path, ref);
        rest_path_add(&path, "/links");
        if (links) {
            body = json_object();
            set_text(body, "linked_actor_id", args->values[1]);
            set_text(body, "namespace", ns);
        } else {
            rest_path_add(&path, "/");
            rest_path_segment(&path, args->values[1]);
            rest_path_param(&path, "namespace", ns);
        }
        status = rest_ask(cli, links ? "POST" : "DELETE", path.text, body,
                          &answer, &err);
    }
    json_decref(answer);
    return status == PLEX_OK ? 0 : cli_fail(&err);
}

int
cli_actor_link(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return link_two(cli, args, ((const struct where_config *)config)->ns, true);
}

int
cli_actor_unlink(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    return link_two(cli, args, ((const struct where_config *)config)->ns,
                    false);
}

/* Asks again and again; from the second time on by ref, of which also the end
 * that came between is known. */
int
cli_actor_monitor(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct where_config *where = config;
    const char *process = args->values[0];
    struct plex_err err;
    char ref[128];

    for (;;) {
        struct rest_path path = {0};
        json_t *answer = NULL;

        rest_path_add(&path, "/api/v1/processes/");
        rest_path_segment(&path, process);
        rest_path_add(&path, "/monitor");
        rest_path_param(&path, "namespace", where->ns);
        rest_path_param(&path, "wait_ms", "5000");
        if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
            return cli_fail(&err);
        (void)snprintf(ref, sizeof ref, "%s",
                       json_string_value(json_object_get(answer, "process")));
        process = ref;
        if (json_is_true(json_object_get(answer, "down"))) {
            if (cli->json)
                print_json(answer);
            else
                (void)printf("%s\n", json_string_value(
                                         json_object_get(answer, "reason")));
            json_decref(answer);
            return 0;
        }
        json_decref(answer);
    }
}

/* -- statistics ------------------------------------------------------------ */

static const struct print_column stats_detail[] = {
    {"failures", "failures", PRINT_TEXT, NULL},
    {"restarts", "restarts", PRINT_TEXT, NULL},
    {"gave up", "gaveUp", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column restart_columns[] = {
    {"WHEN", "wallMs", PRINT_TIME, NULL},
    {"CHILD", "child", PRINT_TEXT, NULL},
    {"TIMES", "count", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column pattern_columns[] = {
    {"REASON", "reason", PRINT_TEXT, NULL},
    {"TIMES", "times", PRINT_TEXT, NULL},
    {0},
};

static void
patterns_print(json_t *patterns)
{
    json_t *rows = json_array(), *times;
    const char *reason;

    json_object_foreach(patterns, reason, times)
    {
        json_t *row = json_object();

        json_object_set_new(row, "reason", json_string(reason));
        json_object_set(row, "times", times);
        json_array_append_new(rows, row);
    }
    if (json_array_size(rows) > 0) {
        (void)printf("\n");
        print_table(pattern_columns, rows);
    }
    json_decref(rows);
}

int
cli_supervisor_stats(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    const struct where_config *where = config;
    struct rest_path path = {0};
    json_t *answer = NULL;
    struct plex_err err;

    rest_path_add(&path, "/api/v1/supervisors/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, ":stats");
    rest_path_param(&path, "namespace", where->ns);
    if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json) {
        print_json(answer);
    } else {
        const json_t *history = json_object_get(answer, "restartHistory");

        print_object(stats_detail, answer);
        patterns_print(json_object_get(answer, "failurePatterns"));
        if (json_array_size(history) > 0) {
            (void)printf("\n");
            print_table(restart_columns, history);
        }
    }
    json_decref(answer);
    return 0;
}
