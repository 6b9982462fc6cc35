/* Keys and values. */
#include "cli/print.h"
#include "cli/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kv_config {
    const char *ns;
    const char *expected, *request_id;
    uint64_t expected_version, ttl_ms, since;
    uint32_t timeout_ms;
};
#define ROW(name, type, field, def, help, min, max)                        \
    {                                                                      \
        name, type, offsetof(struct kv_config, field), def, help, min, max \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the key", 0, 0)
#define REQUEST_ID                                        \
    ROW("request_id", PLEX_OPTION_STRING, request_id, "", \
        "the same again changes nothing and answers the same", 0, 0)

const struct plex_option cli_kv_options[] = {NAMESPACE, {0}};
const struct plex_option cli_kv_put_options[] = {
    NAMESPACE,
    ROW("ttl_ms", PLEX_OPTION_U64, ttl_ms, "0",
        "how long it lives; 0: for ever", 0, 2592000000),
    REQUEST_ID,
    {0},
};
const struct plex_option cli_kv_cas_options[] = {
    NAMESPACE,
    ROW("expected", PLEX_OPTION_STRING, expected, "",
        "what the value must be; neither: the key must not exist", 0, 0),
    ROW("expected_version", PLEX_OPTION_U64, expected_version, "0",
        "what the version must be", 0, 0),
    REQUEST_ID,
    {0},
};
const struct plex_option cli_kv_change_options[] = {NAMESPACE, REQUEST_ID, {0}};
const struct plex_option cli_kv_watch_options[] = {
    NAMESPACE,
    ROW("since", PLEX_OPTION_U64, since, "0",
        "changes after this revision; 0: from now on", 0, 0),
    ROW("watch_ms", PLEX_OPTION_U32, timeout_ms, "25000",
        "how long to wait for the first one", 1, 60000),
    {0},
};

static const struct print_column columns[] = {
    {"KEY", "key", PRINT_TEXT, NULL},
    {"VALUE", "text", PRINT_TEXT, NULL},
    {"VERSION", "version", PRINT_TEXT, NULL},
    {"UPDATED", "updatedMs", PRINT_TIME, NULL},
    {"TTL", "ttlMs", PRINT_MS, NULL},
    {0},
};

/* -- calls ----------------------------------------------------------------- */

static void
path_of(struct rest_path *path, const char *key, const char *verb)
{
    rest_path_add(path, "/api/v1/keyvalue/");
    rest_path_segment(path, key);
    rest_path_add(path, verb);
}

/* The answer, or NULL: said, with *code. Takes `body`. */
static json_t *
send(const struct cli *cli, const char *method, const char *path, json_t *body,
     int *code)
{
    struct rest_request request = {.method = method, .path = path};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    json_t *answer = NULL;
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

    request.body = text;
    *code = 0;
    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK)
        *code = cli_fail(&err);
    else
        answer = json_incref(reply.json);
    rest_reply_free(&reply);
    rest_close(rest);
    json_decref(body);
    free(text);
    return answer;
}

/* Prints one field of the answer, or in JSON all of it. */
static int
say(const struct cli *cli, json_t *answer, const char *field, int code)
{
    const json_t *value = json_object_get(answer, field);

    if (answer == NULL)
        return code;
    if (cli->json)
        print_json(answer);
    else if (json_is_string(value))
        (void)printf("%s\n", json_string_value(value));
    else if (json_is_boolean(value))
        (void)printf("%s\n", json_is_true(value) ? "yes" : "no");
    else
        print_json(value);
    json_decref(answer);
    return code;
}

static json_t *
body_of(const struct kv_config *kv)
{
    json_t *body = json_object();

    (void)json_object_set_new(body, "namespace", json_string(kv->ns));
    if (kv->request_id != NULL && kv->request_id[0] != '\0')
        (void)json_object_set_new(body, "requestId",
                                  json_string(kv->request_id));
    return body;
}

static void
body_u64(json_t *body, const char *field, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    (void)json_object_set_new(body, field, json_string(text));
}

/* -- commands -------------------------------------------------------------- */

int
cli_kv_get(const struct cli *cli, const struct cli_args *args,
           const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    const json_t *entry;
    json_t *answer;
    int code;

    path_of(&path, args->values[0], "");
    rest_path_param(&path, "namespace", kv->ns);
    rest_path_param(&path, "as_text", "true");
    answer = send(cli, "GET", path.text, NULL, &code);
    if (answer == NULL)
        return code;
    entry = json_object_get(answer, "entry");
    if (cli->json) {
        print_json(entry);
    } else {
        const char *text = json_string_value(json_object_get(entry, "text"));
        const char *value = json_string_value(json_object_get(entry, "value"));

        (void)printf("%s\n", text != NULL && text[0] != '\0' ? text
                             : value != NULL                 ? value
                                                             : "");
    }
    json_decref(answer);
    return 0;
}

int
cli_kv_put(const struct cli *cli, const struct cli_args *args,
           const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    json_t *body = body_of(kv), *answer;
    int code;

    (void)json_object_set_new(body, "text", json_string(args->values[1]));
    path_of(&path, args->values[0], kv->ttl_ms > 0 ? ":putWithTtl" : "");
    if (kv->ttl_ms > 0)
        body_u64(body, "ttlMs", kv->ttl_ms);
    answer = send(cli, kv->ttl_ms > 0 ? "POST" : "PUT", path.text, body, &code);
    return say(cli, answer, "version", code);
}

int
cli_kv_delete(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    json_t *answer;
    int code;

    path_of(&path, args->values[0], "");
    rest_path_param(&path, "namespace", kv->ns);
    answer = send(cli, "DELETE", path.text, NULL, &code);
    return say(cli, answer, "deleted", code);
}

int
cli_kv_list(const struct cli *cli, const struct cli_args *args,
            const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *entries;

    rest_path_add(&path, "/api/v1/keyvalue");
    rest_path_param(&path, "namespace", kv->ns);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    rest_path_param(&path, "with_values", "true");
    rest_path_param(&path, "as_text", "true");
    if (rest_list(cli, path.text, "entries", &entries, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(entries);
    else
        print_table(columns, entries);
    json_decref(entries);
    return 0;
}

int
cli_kv_cas(const struct cli *cli, const struct cli_args *args,
           const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    json_t *body = body_of(kv), *answer;
    bool swapped;
    int code;

    (void)json_object_set_new(body, "text", json_string(args->values[1]));
    if (kv->expected[0] != '\0')
        (void)json_object_set_new(body, "expectedText",
                                  json_string(kv->expected));
    if (kv->expected_version != 0)
        body_u64(body, "expectedVersion", kv->expected_version);
    path_of(&path, args->values[0], ":cas");
    answer = send(cli, "POST", path.text, body, &code);
    if (answer == NULL)
        return code;
    swapped = json_is_true(json_object_get(answer, "swapped"));
    return say(cli, answer, "swapped", swapped ? 0 : CLI_EXIT_REFUSED);
}

int
cli_kv_increment(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct rest_path path = {0};
    json_t *body = body_of(config), *answer;
    int code;

    (void)json_object_set_new(
        body, "delta", json_string(args->count > 1 ? args->values[1] : "1"));
    path_of(&path, args->values[0], ":increment");
    answer = send(cli, "POST", path.text, body, &code);
    return say(cli, answer, "value", code);
}

int
cli_kv_clear(const struct cli *cli, const struct cli_args *args,
             const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    json_t *answer;
    int code;

    rest_path_add(&path, "/api/v1/keyvalue:clearPrefix");
    rest_path_param(&path, "namespace", kv->ns);
    rest_path_param(&path, "prefix", args->values[0]);
    answer = send(cli, "DELETE", path.text, NULL, &code);
    return say(cli, answer, "deleted", code);
}

int
cli_kv_stats(const struct cli *cli, const struct cli_args *args,
             const void *config)
{
    static const struct print_column lines[] = {
        {"backend", "backend", PRINT_TEXT, NULL},
        {"keys", "keys", PRINT_TEXT, NULL},
        {"values", "valueBytes", PRINT_BYTES, NULL},
        {"keys of all", "keysTotal", PRINT_TEXT, NULL},
        {"memory of all", "bytesTotal", PRINT_BYTES, NULL},
        {"revision", "revision", PRINT_TEXT, NULL},
        {"watchers", "watchers", PRINT_TEXT, NULL},
        {0},
    };
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    json_t *answer;
    int code;

    (void)args;
    rest_path_add(&path, "/api/v1/keyvalue/stats");
    rest_path_param(&path, "namespace", kv->ns);
    answer = send(cli, "GET", path.text, NULL, &code);
    if (answer == NULL)
        return code;
    if (cli->json)
        print_json(answer);
    else
        print_object(lines, answer);
    json_decref(answer);
    return 0;
}

static void
event_print(const json_t *event)
{
    const json_t *entry = json_object_get(event, "entry");
    const char *kind = json_string_value(json_object_get(event, "kind"));
    const char *key = json_string_value(json_object_get(entry, "key"));
    const char *text = json_string_value(json_object_get(entry, "text"));
    const char *revision =
        json_string_value(json_object_get(event, "revision"));

    (void)printf("%s %s %s%s%s\n", revision == NULL ? "" : revision,
                 kind == NULL ? "" : kind + strlen("EVENT_KIND_"),
                 key == NULL ? "" : key,
                 text != NULL && text[0] != '\0' ? " " : "",
                 text == NULL ? "" : text);
}

int
cli_kv_watch(const struct cli *cli, const struct cli_args *args,
             const void *config)
{
    const struct kv_config *kv = config;
    struct rest_path path = {0};
    char number[24];
    json_t *answer, *event;
    size_t index;
    int code;

    rest_path_add(&path, "/api/v1/keyvalue:watch");
    rest_path_param(&path, "namespace", kv->ns);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    rest_path_param(&path, "as_text", "true");
    (void)snprintf(number, sizeof number, "%" PRIu64, kv->since);
    rest_path_param(&path, "since", number);
    (void)snprintf(number, sizeof number, "%u", kv->timeout_ms);
    rest_path_param(&path, "timeout_ms", number);
    answer = send(cli, "GET", path.text, NULL, &code);
    if (answer == NULL)
        return code;
    if (json_is_true(json_object_get(answer, "lost")))
        (void)fprintf(stderr,
                      "warning: changes since %" PRIu64
                      " are forgotten; list, then watch from there\n",
                      kv->since);
    if (cli->json)
        print_json(answer);
    else
        json_array_foreach(json_object_get(answer, "events"), index, event)
            event_print(event);
    json_decref(answer);
    return 0;
}
