/* Tuple spaces. */
#include "cli/tuplespace.h"

#include "cli/print.h"
#include "cli/rest.h"
#include "services/tuplespace/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BASE "/api/v1/tuplespace"
enum { POLL_MS = 20000, EVAL_POLL_MS = 50 };

struct tuple_config {
    const char *ns;
    const char *order, *events, *key, *tx;
    uint64_t ttl_ms, timeout_ms, reply_ms;
    uint32_t max, order_field, count;
};
#define ROW(name, type, field, def, help, min, max)                           \
    {                                                                         \
        name, type, offsetof(struct tuple_config, field), def, help, min, max \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the space", 0, 0)
#define CHANGES                                                       \
    ROW("request_id", PLEX_OPTION_STRING, key, "",                    \
        "the same again changes nothing and answers the same", 0, 0), \
        ROW("transaction", PLEX_OPTION_STRING, tx, "",                \
            "the id that tuplespace tx begin printed", 0, 0)

const struct plex_option cli_tuple_options[] = {NAMESPACE, {0}};
const struct plex_option cli_tuple_write_options[] = {
    NAMESPACE,
    CHANGES,
    ROW("ttl_ms", PLEX_OPTION_U64, ttl_ms, "0",
        "how long they live; 0: the space's default", 0, 2592000000),
    {0},
};
const struct plex_option cli_tuple_read_options[] = {
    NAMESPACE,
    CHANGES,
    ROW("wait_ms", PLEX_OPTION_U64, timeout_ms, "0", "how long to wait for one",
        0, 3600000),
    ROW("max", PLEX_OPTION_U32, max, "1", "how many at the most", 1, 10000),
    ROW("order", PLEX_OPTION_STRING, order, "oldest",
        "which first: oldest, newest, min, max, random", 0, 0),
    ROW("order_field", PLEX_OPTION_U32, order_field, "0",
        "the field that min and max are of, from 0", 0, 999),
    {0},
};
const struct plex_option cli_tuple_watch_options[] = {
    NAMESPACE,
    ROW("events", PLEX_OPTION_STRING, events, "",
        "only these: written, taken, expired, updated, with commas between", 0,
        0),
    ROW("count", PLEX_OPTION_U32, count, "0",
        "end after so many; 0: go on until it is stopped", 0, 0),
    {0},
};
const struct plex_option cli_tuple_tx_options[] = {
    NAMESPACE,
    ROW("lasts_ms", PLEX_OPTION_U64, timeout_ms, "60000",
        "begin: when it is aborted", 1, 3600000),
    {0},
};

const struct plex_option cli_tuple_eval_options[] = {
    NAMESPACE,
    ROW("request_id", PLEX_OPTION_STRING, key, "",
        "the eval's id: the same again changes nothing", 0, 0),
    ROW("ttl_ms", PLEX_OPTION_U64, ttl_ms, "0",
        "how long the tuple lives; 0: the space's default", 0, 2592000000),
    ROW("reply_ms", PLEX_OPTION_U64, reply_ms, "60000",
        "how long the actor may take", 1, 3600000),
    ROW("wait_ms", PLEX_OPTION_U64, timeout_ms, "0",
        "how long to wait for the tuple to be written", 0, 3600000),
    {0},
};

/* -- calls ----------------------------------------------------------------- */

/* The answer, or NULL: said, with *code. Takes `body`. */
static json_t *
ask(const struct cli *cli, const char *method, const char *path, json_t *body,
    const struct tuple_config *c, int *code)
{
    struct rest_request request = {.method = method, .path = path};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct cli patient = *cli;
    char header[320];
    struct plex_err err;
    json_t *answer = NULL;
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

    patient.timeout_s += (uint32_t)(c->timeout_ms / 1000);
    if (c->key != NULL && c->key[0] != '\0') {
        (void)snprintf(header, sizeof header, "Idempotency-Key: \"%.255s\"",
                       c->key);
        request.headers[0] = header;
    }
    request.body = text;
    *code = 0;
    if (rest_open(&rest, &patient, &err) != PLEX_OK ||
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

/* Prints a member of the answer, or in JSON all of it. Takes `answer`. */
static int
say(const struct cli *cli, json_t *answer, const char *name, int code)
{
    const json_t *value = json_object_get(answer, name);

    if (answer == NULL)
        return code;
    if (cli->json)
        print_json(answer);
    else if (json_is_string(value))
        (void)printf("%s\n", json_string_value(value));
    else if (value != NULL)
        (void)printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    json_decref(answer);
    return 0;
}

static json_t *
body_of(const struct tuple_config *c, const char *space)
{
    json_t *body = json_pack("{s:s, s:s}", "namespace", c->ns, "space", space);

    if (c->tx != NULL && c->tx[0] != '\0')
        (void)json_object_set_new(body, "transaction_id", json_string(c->tx));
    return body;
}

/* Sets `name` to what was typed; false: said, with *code. */
static bool
body_typed(json_t *body, const char *name, const char *typed, int *code)
{
    struct plex_err err;
    json_t *json = tspace_text_template(typed, &err);

    if (json == NULL) {
        (void)fprintf(stderr, "error: %s\n", err.text);
        *code = CLI_EXIT_USAGE;
        return false;
    }
    (void)json_object_set_new(body, name, json);
    return true;
}

static void
tuple_print(const json_t *tuple)
{
    char *text = json_dumps(json_object_get(tuple, "fields"), 0);

    (void)printf("%s\n", text);
    free(text);
}

/* -- commands -------------------------------------------------------------- */

int
cli_tuple_write(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct tuple_config *c = config;
    json_t *body = body_of(c, args->values[0]), *tuples = json_array();
    json_t *answer, *id;
    size_t index;
    int code;

    (void)json_object_set_new(body, "tuples", tuples);
    if (c->ttl_ms > 0)
        (void)json_object_set_new(body, "ttl_ms",
                                  json_integer((json_int_t)c->ttl_ms));
    for (int i = 1; i < args->count; i++) {
        json_t *one = json_object();

        if (!body_typed(one, "fields", args->values[i], &code)) {
            json_decref(one);
            json_decref(body);
            return code;
        }
        (void)json_array_append_new(tuples, one);
    }
    answer = ask(cli, "POST", BASE "/tuples", body, c, &code);
    if (answer == NULL)
        return code;
    if (cli->json)
        print_json(answer);
    else
        json_array_foreach(json_object_get(answer, "ids"), index, id)(void)
            printf("%s\n", json_string_value(id));
    json_decref(answer);
    return 0;
}

static int
read_or_take(const struct cli *cli, const struct cli_args *args,
             const struct tuple_config *c, const char *path)
{
    json_t *body = body_of(c, args->values[0]), *answer, *tuple, *tuples;
    size_t index;
    int code;

    if (!body_typed(body, "template", args->values[1], &code)) {
        json_decref(body);
        return code;
    }
    (void)json_object_update_new(
        body, json_pack("{s:I, s:i, s:s, s:i}", "timeout_ms",
                        (json_int_t)c->timeout_ms, "max_results", (int)c->max,
                        "order", c->order, "order_field", (int)c->order_field));
    answer = ask(cli, "POST", path, body, c, &code);
    if (answer == NULL)
        return code;
    tuples = json_object_get(answer, "tuples");
    if (cli->json)
        print_json(answer);
    else
        json_array_foreach(tuples, index, tuple) tuple_print(tuple);
    code = json_array_size(tuples) > 0 ? 0 : CLI_EXIT_REFUSED;
    json_decref(answer);
    return code;
}

int
cli_tuple_read(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return read_or_take(cli, args, config, BASE "/read");
}

int
cli_tuple_take(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return read_or_take(cli, args, config, BASE "/take");
}

int
cli_tuple_count(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    json_t *body = body_of(config, args->values[0]);
    int code = 0;
    json_t *answer;

    if (!body_typed(body, "template", args->count > 1 ? args->values[1] : "[]",
                    &code)) {
        json_decref(body);
        return code;
    }
    answer = ask(cli, "POST", BASE "/count", body, config, &code);
    return say(cli, answer, "count", code);
}

int
cli_tuple_clear(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct tuple_config *c = config;
    struct rest_path path = {0};
    json_t *answer;
    int code = 0;

    rest_path_add(&path, BASE "/tuples");
    rest_path_param(&path, "namespace", c->ns);
    rest_path_param(&path, "space", args->values[0]);
    if (args->count > 1) {
        json_t *typed = json_object();
        char *text;

        if (!body_typed(typed, "template", args->values[1], &code)) {
            json_decref(typed);
            return code;
        }
        text = json_dumps(json_object_get(typed, "template"), JSON_COMPACT);
        rest_path_param(&path, "template", text);
        free(text);
        json_decref(typed);
    }
    answer = ask(cli, "DELETE", path.text, NULL, c, &code);
    return say(cli, answer, "count", code);
}

int
cli_tuple_list(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct tuple_config *c = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *spaces, *space;
    size_t index;

    (void)args;
    rest_path_add(&path, BASE "/spaces");
    rest_path_param(&path, "namespace", c->ns);
    if (rest_list(cli, path.text, "spaces", &spaces, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(spaces);
    else
        json_array_foreach(spaces, index, space)(void)
            printf("%s\n", json_string_value(space));
    json_decref(spaces);
    return 0;
}

int
cli_tuple_stats(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    static const struct print_column lines[] = {
        {"tuples", "tuples", PRINT_TEXT, NULL},
        {"memory", "bytes", PRINT_BYTES, NULL},
        {"spaces", "spaces", PRINT_TEXT, NULL},
        {"waiting", "waiters", PRINT_TEXT, NULL},
        {"transactions", "transactions", PRINT_TEXT, NULL},
        {"claims", "claims", PRINT_TEXT, NULL},
        {"subscriptions", "subscriptions", PRINT_TEXT, NULL},
        {"indexes", "indexes", PRINT_TEXT, NULL},
        {"written", "written_total", PRINT_TEXT, NULL},
        {"taken", "taken_total", PRINT_TEXT, NULL},
        {"expired", "expired_total", PRINT_TEXT, NULL},
        {0},
    };
    static const struct print_column space_lines[] = {
        {"tuples", "tuples", PRINT_TEXT, NULL},
        {"memory", "bytes", PRINT_BYTES, NULL},
        {"waiting", "waiters", PRINT_TEXT, NULL},
        {"indexes", "indexes", PRINT_TEXT, NULL},
        {0},
    };
    const struct tuple_config *c = config;
    struct rest_path path = {0};
    json_t *answer;
    int code;

    rest_path_add(&path, args->count > 0 ? BASE "/spaces/" : BASE "/stats");
    if (args->count > 0) {
        rest_path_segment(&path, args->values[0]);
        rest_path_param(&path, "namespace", c->ns);
    }
    answer = ask(cli, "GET", path.text, NULL, c, &code);
    if (answer == NULL)
        return code;
    if (cli->json)
        print_json(answer);
    else
        print_object(args->count > 0 ? space_lines : lines, answer);
    json_decref(answer);
    return 0;
}

/* Prints those that are there; false when it was the last one wanted. */
static bool
events_print(const struct cli *cli, const json_t *answer, uint32_t *left)
{
    json_t *event;
    size_t index;

    json_array_foreach(json_object_get(answer, "events"), index, event)
    {
        if (cli->json) {
            print_json(event);
        } else {
            (void)printf("%s ",
                         json_string_value(json_object_get(event, "event")));
            tuple_print(json_object_get(event, "tuple"));
        }
        (void)fflush(stdout);
        if (*left > 0 && --*left == 0)
            return false;
    }
    return true;
}

static void
events_set(json_t *body, const char *events)
{
    json_t *list = json_array();

    for (size_t len; *events != '\0'; events += len + (events[len] == ',')) {
        len = strcspn(events, ",");
        (void)json_array_append_new(list, json_stringn(events, len));
    }
    (void)json_object_set_new(body, "events", list);
}

int
cli_tuple_watch(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    struct tuple_config c = *(const struct tuple_config *)config;
    json_t *body = body_of(&c, args->values[0]), *answer;
    struct rest_path path = {0};
    bool more = true;
    int code = 0;

    if (!body_typed(body, "template", args->count > 1 ? args->values[1] : "[]",
                    &code)) {
        json_decref(body);
        return code;
    }
    events_set(body, c.events);
    answer = ask(cli, "POST", BASE "/subscriptions", body, &c, &code);
    if (answer == NULL)
        return code;
    rest_path_add(&path, BASE "/subscriptions/");
    rest_path_segment(
        &path, json_string_value(json_object_get(answer, "subscription_id")));
    json_decref(answer);
    rest_path_add(&path, "/events");
    rest_path_param(&path, "namespace", c.ns);
    rest_path_param(&path, "timeout_ms", "20000");
    c.timeout_ms = POLL_MS;
    while (more) {
        answer = ask(cli, "GET", path.text, NULL, &c, &code);
        if (answer == NULL)
            return code;
        more = events_print(cli, answer, &c.count);
        json_decref(answer);
    }
    return 0;
}

int
cli_tuple_tx(const struct cli *cli, const struct cli_args *args,
             const void *config)
{
    struct tuple_config c = *(const struct tuple_config *)config;
    const char *verb = args->values[0];
    struct rest_path path = {0};
    json_t *body = json_pack("{s:s}", "namespace", c.ns), *answer;
    const bool begin = strcmp(verb, "begin") == 0;
    int code = 0;

    rest_path_add(&path, BASE "/transactions");
    if (begin && args->count == 1) {
        (void)json_object_set_new(body, "timeout_ms",
                                  json_integer((json_int_t)c.timeout_ms));
    } else if (!begin && args->count == 2 &&
               (strcmp(verb, "commit") == 0 || strcmp(verb, "abort") == 0)) {
        rest_path_add(&path, "/");
        rest_path_segment(&path, args->values[1]);
        rest_path_add(&path, "/");
        rest_path_add(&path, verb);
    } else {
        (void)fprintf(stderr, "error: tuplespace tx begin, tuplespace tx "
                              "commit ID, or tuplespace tx abort ID\n");
        json_decref(body);
        return CLI_EXIT_USAGE;
    }
    c.timeout_ms = 0;
    answer = ask(cli, "POST", path.text, body, &c, &code);
    return say(cli, answer, "transaction_id", code);
}

/* -- eval ------------------------------------------------------------------ */

int
cli_tuple_enable(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct tuple_config *c = config;
    int code = 0;
    json_t *answer =
        ask(cli, "POST", "/api/v1/applications",
            json_pack("{s:{s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:b, s:b}]}}",
                      "application", "name", "plexspaces-eval", "version",
                      "1.0.0", "namespace", c->ns, "description",
                      "Replies of actors that become tuples", "actorTypes",
                      "name", "tuple-eval", "module", "builtin", "behaviour",
                      "tuple-eval", "virtual", 1, "durable", 1),
            c, &code);

    (void)args;
    return say(cli, answer, "", code);
}

static json_t *
eval_body(const struct tuple_config *c, const struct cli_args *args, int *code)
{
    const char *actor = args->values[1], *slash = strchr(actor, '/');
    json_t *body = json_pack(
        "{s:s, s:s, s:s%, s:I, s:I}", "namespace", c->ns, "space",
        args->values[0], "actor_type", actor,
        slash == NULL ? strlen(actor) : (size_t)(slash - actor), "ttl_ms",
        (json_int_t)c->ttl_ms, "timeout_ms", (json_int_t)c->reply_ms);
    json_error_t error;
    json_t *message;

    if (slash != NULL)
        (void)json_object_set_new(body, "actor_key", json_string(slash + 1));
    if (c->key != NULL && c->key[0] != '\0')
        (void)json_object_set_new(body, "eval_id", json_string(c->key));
    if (args->count < 3)
        return body;
    message = json_loads(args->values[2], JSON_DECODE_ANY, &error);
    if (message == NULL) {
        (void)fprintf(stderr, "error: %.60s is no JSON: column %d: %s\n",
                      args->values[2], error.column, error.text);
        *code = CLI_EXIT_USAGE;
        json_decref(body);
        return NULL;
    }
    (void)json_object_set_new(body, "message", message);
    return body;
}

static bool
eval_runs(const json_t *answer)
{
    const char *state = json_string_value(json_object_get(answer, "state"));

    return state != NULL && strcmp(state, "running") == 0;
}

int
cli_tuple_eval(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct timespec pause = {0, EVAL_POLL_MS * 1000000};
    struct tuple_config c = *(const struct tuple_config *)config;
    uint64_t left_ms = c.timeout_ms;
    struct rest_path path = {0};
    int code = 0;
    json_t *body = eval_body(&c, args, &code), *answer;
    const char *reason;

    if (body == NULL)
        return code;
    c.timeout_ms = 0;
    c.key = ""; /* it is the eval's id */
    answer = ask(cli, "POST", BASE "/eval", body, &c, &code);
    rest_path_add(&path, BASE "/eval/");
    if (answer != NULL)
        rest_path_segment(
            &path, json_string_value(json_object_get(answer, "eval_id")));
    rest_path_param(&path, "namespace", c.ns);
    while (answer != NULL && eval_runs(answer) && left_ms > 0) {
        json_decref(answer);
        (void)nanosleep(&pause, NULL);
        left_ms -= left_ms < EVAL_POLL_MS ? left_ms : EVAL_POLL_MS;
        answer = ask(cli, "GET", path.text, NULL, &c, &code);
    }
    reason = json_string_value(json_object_get(answer, "reason"));
    if (reason != NULL && reason[0] != '\0') {
        (void)fprintf(stderr, "error: %s\n", reason);
        code = CLI_EXIT_REFUSED;
    }
    (void)say(cli, answer, "eval_id", code);
    return code;
}
