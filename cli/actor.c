#include "cli/print.h"
#include "cli/process.h"
#include "cli/rest.h"

#include "common/mem.h"
#include "common/name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTOR_BODY_MAX = 5 << 20 }; /* bytes: the gateway's own default */

struct list_config {
    const char *ns;
    const char *type;
    const char *node, *state;
};

const struct plex_option cli_actor_list_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct list_config, ns), "",
     "only of this namespace", 0, 0},
    {"type", PLEX_OPTION_STRING, offsetof(struct list_config, type), "",
     "only of this type", 0, 0},
    {"node", PLEX_OPTION_STRING, offsetof(struct list_config, node), "",
     "only in the memory of this worker", 0, 0},
    {"state", PLEX_OPTION_STRING, offsetof(struct list_config, state), "",
     "only in this one: active, activating, deactivating", 0, 0},
    {0},
};

struct send_config {
    const char *idempotency_key;
    const char *delay;
    uint64_t deadline_ms;
};

const struct plex_option cli_actor_call_options[] = {
    {"idempotency_key", PLEX_OPTION_STRING,
     offsetof(struct send_config, idempotency_key), "",
     "the same again gets the first answer", 0, 0},
    {"deadline_ms", PLEX_OPTION_U64, offsetof(struct send_config, deadline_ms),
     "0", "milliseconds for the whole call; 0 for the gateway's default", 0,
     3600000},
    {0},
};

const struct plex_option cli_actor_cast_options[] = {
    {"idempotency_key", PLEX_OPTION_STRING,
     offsetof(struct send_config, idempotency_key), "",
     "the same again does nothing new", 0, 0},
    {"delay", PLEX_OPTION_STRING, offsetof(struct send_config, delay), "",
     "deliver it later: 500ms, 10s, 5m, 1h", 0, 0},
    {0},
};

static const struct print_column actor_columns[] = {
    {"ACTOR", "actorId", PRINT_TEXT, NULL},
    {"STATE", "state", PRINT_ENUM, "ACTOR_STATE_"},
    {"NODE", "nodeId", PRINT_TEXT, NULL},
    {"SHARD", "shard", PRINT_TEXT, NULL},
    {"DURABLE", "durable", PRINT_YES_NO, NULL},
    {"TURN", "sequence", PRINT_TEXT, NULL},
    {"MESSAGES", "messagesTotal", PRINT_TEXT, NULL},
    {"STATE SIZE", "stateBytes", PRINT_BYTES, NULL},
    {"IDLE", "idleMs", PRINT_MS, NULL},
    {0},
};

static const struct print_column actor_detail[] = {
    {"actor", "actorId", PRINT_TEXT, NULL},
    {"state", "state", PRINT_ENUM, "ACTOR_STATE_"},
    {"node", "nodeId", PRINT_TEXT, NULL},
    {"shard", "shard", PRINT_TEXT, NULL},
    {"epoch", "epoch", PRINT_TEXT, NULL},
    {"durable", "durable", PRINT_YES_NO, NULL},
    {"turn", "sequence", PRINT_TEXT, NULL},
    {"messages", "messagesTotal", PRINT_TEXT, NULL},
    {"mailbox", "mailboxLength", PRINT_TEXT, NULL},
    {"state size", "stateBytes", PRINT_BYTES, NULL},
    {"idle", "idleMs", PRINT_MS, NULL},
    {"activated", "lastActivatedMs", PRINT_TIME, NULL},
    {"used", "lastAccessedMs", PRINT_TIME, NULL},
    {"idle timeout", "idleTimeoutMs", PRINT_MS, NULL},
    {0},
};

/* TYPE/KEY, NAMESPACE/TYPE/KEY or TENANT/NAMESPACE/TYPE/KEY: keys hold no
 * '/', so the number of parts decides. `full` borrows nothing. */
static enum plex_status
actor_name(const char *text, char *full, size_t size, struct plex_actor_id *id,
           struct plex_err *err)
{
    unsigned slashes = 0;
    int len;

    for (const char *c = text; *c != '\0'; c++)
        slashes += *c == '/';
    if (slashes < 1 || slashes > 3)
        return plex_err_set(err, PLEX_INVALID,
                            "actor %.80s is not of the form "
                            "[[TENANT/]NAMESPACE/]TYPE/KEY",
                            text);
    len = snprintf(full, size, "%s%s",
                   slashes == 1   ? "default/default/"
                   : slashes == 2 ? "default/"
                                  : "",
                   text);
    if (len < 0 || (size_t)len >= size)
        return plex_err_set(err, PLEX_INVALID,
                            "actor %.80s... is longer than %d bytes", text,
                            PLEX_ACTOR_NAME_MAX);
    if (plex_actor_parse(full, id, err) != PLEX_OK)
        return err->status;
    return plex_name_actor(id, err);
}

int
cli_actor_list(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct list_config *list = config;
    struct rest_path path = {0};
    char state[40];
    struct plex_err err;
    json_t *actors;

    (void)args;
    rest_path_add(&path, "/api/v1/actors");
    rest_path_param(&path, "namespace", list->ns);
    rest_path_param(&path, "type", list->type);
    rest_path_param(&path, "node_id", list->node);
    if (list->state[0] != '\0') {
        int n = snprintf(state, sizeof state, "ACTOR_STATE_%.20s", list->state);

        for (int i = 0; i < n; i++)
            state[i] = (char)toupper((unsigned char)state[i]);
        rest_path_param(&path, "state", state);
    }
    if (rest_list(cli, path.text, "actors", &actors, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(actors);
    else
        print_table(actor_columns, actors);
    json_decref(actors);
    if (!cli->json && list->type[0] == '\0')
        cli_process_append(cli, list->ns);
    return 0;
}

int
cli_actor_status(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    char full[PLEX_ACTOR_NAME_MAX + 2], name[PLEX_ACTOR_NAME_MAX + 1];
    struct rest_path path = {0};
    struct plex_actor_id id;
    struct plex_err err;
    json_t *answer;

    (void)config;
    if (actor_name(args->values[0], full, sizeof full, &id, &err) != PLEX_OK)
        return cli_fail(&err);
    plex_actor_format(&id, name, sizeof name);
    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, name);
    if (rest_get(cli, path.text, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(answer, "actor"));
    else
        print_object(actor_detail, json_object_get(answer, "actor"));
    json_decref(answer);
    return 0;
}

static const struct print_column exists_detail[] = {
    {"exists", "exists", PRINT_YES_NO, NULL},
    {"active", "active", PRINT_YES_NO, NULL},
    {0},
};
static const struct print_column left_detail[] = {
    {"state", "state", PRINT_ENUM, "ACTOR_STATE_"},
    {0},
};

/* /api/v1/actors/NAME/verb; the answer is owned. */
static enum plex_status
actor_verb(const struct cli *cli, const struct cli_args *args,
           const char *method, const char *verb, json_t **answer,
           struct plex_err *err)
{
    char full[PLEX_ACTOR_NAME_MAX + 2], name[PLEX_ACTOR_NAME_MAX + 1];
    struct rest_request request = {.method = method};
    struct rest_reply reply = {0};
    struct rest_path path = {0};
    struct plex_actor_id id;
    enum plex_status status;
    struct rest *rest;

    if (actor_name(args->values[0], full, sizeof full, &id, err) != PLEX_OK)
        return err->status;
    plex_actor_format(&id, name, sizeof name);
    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, name);
    rest_path_add(&path, verb);
    request.path = path.text;
    status = rest_open(&rest, cli, err);
    if (status != PLEX_OK)
        return status;
    status = rest_call(rest, &request, &reply, err);
    *answer = status == PLEX_OK ? json_incref(reply.json) : NULL;
    rest_reply_free(&reply);
    rest_close(rest);
    return status;
}

int
cli_actor_activate(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    struct plex_err err;
    json_t *answer;

    (void)config;
    if (actor_verb(cli, args, "POST", "/activate", &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(json_object_get(answer, "actor"));
    else
        print_object(actor_detail, json_object_get(answer, "actor"));
    json_decref(answer);
    return 0;
}

int
cli_actor_deactivate(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    struct plex_err err;
    json_t *answer;

    (void)config;
    if (actor_verb(cli, args, "POST", "/deactivate", &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(answer);
    else
        print_object(left_detail, answer);
    json_decref(answer);
    return 0;
}

int
cli_actor_exists(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct plex_err err;
    json_t *answer;
    bool exists;

    (void)config;
    if (actor_verb(cli, args, "GET", "/exists", &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(answer);
    else
        print_object(exists_detail, answer);
    exists = json_is_true(json_object_get(answer, "exists"));
    json_decref(answer);
    return exists ? 0 : 1;
}

/* The JSON to send, owned: given, {} or standard input. */
static enum plex_status
body_read(const struct cli_args *args, char **out, struct plex_err *err)
{
    json_error_t error;
    json_t *json;
    size_t len;
    char *body;

    if (args->count < 2) {
        body = plex_strdup("{}");
    } else if (strcmp(args->values[1], "-") == 0) {
        body = plex_calloc(1, ACTOR_BODY_MAX + 2);
        len = fread(body, 1, ACTOR_BODY_MAX + 1, stdin);
        if (len > ACTOR_BODY_MAX) {
            free(body);
            return plex_err_set(err, PLEX_INVALID,
                                "standard input is longer than %d bytes",
                                ACTOR_BODY_MAX);
        }
    } else {
        body = plex_strdup(args->values[1]);
    }
    json = json_loads(body, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        free(body);
        return plex_err_set(err, PLEX_INVALID,
                            "the message is not JSON: line %d, column %d: %s",
                            error.line, error.column, error.text);
    }
    json_decref(json);
    *out = body;
    return PLEX_OK;
}

static void
send_headers(const struct send_config *send, struct rest_request *request,
             char key[512], char deadline[64])
{
    int used = 0;

    if (send->idempotency_key[0] != '\0') {
        (void)snprintf(key, 512, "Idempotency-Key: %s", send->idempotency_key);
        request->headers[used++] = key;
    }
    if (send->deadline_ms > 0) {
        (void)snprintf(deadline, 64, "X-Request-Deadline-Ms: %llu",
                       (unsigned long long)send->deadline_ms);
        request->headers[used++] = deadline;
    }
}

static int
actor_send(const struct cli *cli, const struct cli_args *args,
           const struct send_config *send, const char *invocation)
{
    char full[PLEX_ACTOR_NAME_MAX + 2], key[512], deadline[64];
    struct rest_path path = {0};
    struct rest_request request = {.method = "POST", .path = path.text};
    struct rest_reply reply = {0};
    struct plex_actor_id id;
    struct plex_err err;
    struct rest *rest = NULL;
    char *body = NULL;
    enum plex_status status;

    if (strlen(send->idempotency_key) > 255)
        status = plex_err_set(&err, PLEX_INVALID,
                              "idempotency key is longer than 255 bytes");
    else if ((status = actor_name(args->values[0], full, sizeof full, &id,
                                  &err)) == PLEX_OK &&
             (status = body_read(args, &body, &err)) == PLEX_OK)
        status = rest_open(&rest, cli, &err);
    if (status == PLEX_OK) {
        const char *const parts[] = {id.tenant, id.ns, id.type, id.key};

        rest_path_add(&path, "/api/v1/actors");
        for (int i = 0; i < 4; i++) {
            rest_path_add(&path, "/");
            rest_path_segment(&path, parts[i]);
        }
        rest_path_param(&path, "invocation", invocation);
        rest_path_param(&path, "delay", send->delay != NULL ? send->delay : "");
        send_headers(send, &request, key, deadline);
        request.body = body;
        status = rest_call(rest, &request, &reply, &err);
    }
    if (status == PLEX_OK)
        (void)printf("%s\n", reply.body);
    rest_reply_free(&reply);
    rest_close(rest);
    free(body);
    return status == PLEX_OK ? 0 : cli_fail(&err);
}

int
cli_actor_call(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return actor_send(cli, args, config, "call");
}

int
cli_actor_cast(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return actor_send(cli, args, config, "cast");
}
