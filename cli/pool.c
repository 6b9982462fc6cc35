/* Elastic pools of actors. */
#include "cli/pool.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct pool_config {
    const char *ns, *strategy, *scale_up, *scale_down, *type, *health_message;
    uint64_t min, max, initial, step, percent, failure_threshold;
    uint64_t check_ms, cooldown_ms, lease_ms, wait_ms, idle_ms, health_ms;
    uint64_t open_ms, every_ms, count;
    bool unhealthy;
};
#define ROW(name, kind, field, def, help, low, high)                          \
    {                                                                         \
        name, kind, offsetof(struct pool_config, field), def, help, low, high \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the pool", 0, 0)

const struct plex_option cli_pool_options[] = {NAMESPACE, {0}};
const struct plex_option cli_pool_create_options[] = {
    NAMESPACE,
    ROW("min", PLEX_OPTION_U64, min, "1", "members at least", 1, 1000),
    ROW("max", PLEX_OPTION_U64, max, "10", "members at most", 1, 1000),
    ROW("initial", PLEX_OPTION_U64, initial, "0", "at first; 0: min", 0, 1000),
    ROW("scale_up", PLEX_OPTION_STRING, scale_up, "0.8",
        "more members from this share lent or wanted", 0, 0),
    ROW("scale_down", PLEX_OPTION_STRING, scale_down, "0.3",
        "fewer below this share", 0, 0),
    ROW("strategy", PLEX_OPTION_STRING, strategy, "incremental",
        "incremental, percentage or exponential", 0, 0),
    ROW("step", PLEX_OPTION_U64, step, "1", "of incremental", 1, 10),
    ROW("percent", PLEX_OPTION_U64, percent, "50", "of percentage", 1, 100),
    ROW("check_ms", PLEX_OPTION_U64, check_ms, "10000", "how often it looks",
        100, 3600000),
    ROW("cooldown_ms", PLEX_OPTION_U64, cooldown_ms, "0",
        "between two changes by itself", 0, 3600000),
    ROW("lease_ms", PLEX_OPTION_U64, lease_ms, "60000",
        "how long a member is lent", 100, 86400000),
    ROW("idle_ms", PLEX_OPTION_U64, idle_ms, "0",
        "members idle for so long go, down to min; 0: only by scaling", 0,
        86400000),
    ROW("health_message", PLEX_OPTION_STRING, health_message, "",
        "JSON that idle members get; who does not answer it is replaced", 0, 0),
    ROW("health_ms", PLEX_OPTION_U64, health_ms, "30000", "how often", 100,
        86400000),
    ROW("failure_threshold", PLEX_OPTION_U64, failure_threshold, "0",
        "loans in a row that end badly open the circuit breaker; 0: none", 0,
        1000),
    ROW("open_ms", PLEX_OPTION_U64, open_ms, "30000", "for so long", 100,
        3600000),
    {0},
};
const struct plex_option cli_pool_list_options[] = {
    NAMESPACE,
    ROW("type", PLEX_OPTION_STRING, type, "", "only of this type", 0, 0),
    {0},
};
const struct plex_option cli_pool_watch_options[] = {
    NAMESPACE,
    ROW("every_ms", PLEX_OPTION_U64, every_ms, "1000", "how often", 100,
        3600000),
    ROW("count", PLEX_OPTION_U64, count, "0", "how many lines; 0: on and on", 0,
        UINT32_MAX),
    {0},
};
const struct plex_option cli_pool_checkout_options[] = {
    NAMESPACE,
    ROW("wait_ms", PLEX_OPTION_U64, wait_ms, "0",
        "how long to wait for one to come back", 0, 300000),
    {0},
};
const struct plex_option cli_pool_checkin_options[] = {
    NAMESPACE,
    ROW("unhealthy", PLEX_OPTION_BOOL, unhealthy, "false",
        "another one takes its place", 0, 0),
    {0},
};

/* POST .../POOL:VERB, or what `verb` begins with. */
static int
pool_do(const struct cli *cli, const char *method, const char *pool,
        const char *verb, const struct pool_config *config, json_t *body)
{
    struct rest_path path = {0};

    rest_path_add(&path, "/api/v1/pools");
    if (pool != NULL) {
        rest_path_add(&path, "/");
        rest_path_segment(&path, pool);
    }
    rest_path_add(&path, verb);
    rest_path_param(&path, "namespace", config->ns);
    return rest_show(cli, method, path.text, body);
}

int
cli_pool_enable(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    static const char *const types[] = {"pool", "pool-index", "pool-checkout",
                                        NULL};
    const struct pool_config *pool = config;
    struct plex_err err;
    json_t *reply;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-pools", pool->ns, "Elastic pools",
                            types, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    print_json(reply);
    json_decref(reply);
    return 0;
}

static const struct print_column pool_columns[] = {
    {"POOL", "pool_name", PRINT_TEXT, NULL},
    {"TYPE", "actor_type", PRINT_TEXT, NULL},
    {"MIN", "min", PRINT_TEXT, NULL},
    {"MAX", "max", PRINT_TEXT, NULL},
    {"STRATEGY", "strategy", PRINT_TEXT, NULL},
    {"CREATED", "created_ms", PRINT_TIME, NULL},
    {0},
};

int
cli_pool_list(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    const struct pool_config *pool = config;
    struct rest_path path = {0};
    struct plex_err err;
    json_t *rows;

    (void)args;
    rest_path_add(&path, "/api/v1/pools");
    rest_path_param(&path, "namespace", pool->ns);
    rest_path_param(&path, "actor_type", pool->type);
    if (rest_list(cli, path.text, "pools", &rows, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(rows);
    else
        print_table(pool_columns, rows);
    json_decref(rows);
    return 0;
}

static bool
share_set(json_t *body, const char *field, const char *text,
          struct plex_err *err)
{
    char *end;
    const double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value > 0 && value <= 1)) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "%s is \"%.40s\", it must be a number up to 1",
                           field, text);
        return false;
    }
    json_object_set_new(body, field, json_real(value));
    return true;
}

static bool
more_set(json_t *body, const struct pool_config *pool, struct plex_err *err)
{
    const struct {
        const char *field;
        uint64_t value;
    } numbers[] = {{"idle_ms", pool->idle_ms},
                   {"health_ms", pool->health_ms},
                   {"failure_threshold", pool->failure_threshold},
                   {"open_ms", pool->open_ms}};
    json_t *message;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_object_set_new(body, numbers[i].field,
                            json_integer((json_int_t)numbers[i].value));
    if (pool->health_message[0] == '\0')
        return true;
    message = json_loads(pool->health_message, JSON_DECODE_ANY, NULL);
    if (message == NULL) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "health_message is no JSON: %.60s",
                           pool->health_message);
        return false;
    }
    json_object_set_new(body, "health_message", message);
    return true;
}

int
cli_pool_create(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    const struct pool_config *pool = config;
    struct plex_err err;
    json_t *body = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "pool_name",
        args->values[0], "actor_type", args->values[1], "min",
        (json_int_t)pool->min, "max", (json_int_t)pool->max, "initial",
        (json_int_t)pool->initial, "strategy", pool->strategy, "step",
        (json_int_t)pool->step, "percent", (json_int_t)pool->percent,
        "check_ms", (json_int_t)pool->check_ms, "cooldown_ms",
        (json_int_t)pool->cooldown_ms, "lease_ms", (json_int_t)pool->lease_ms);

    if (!more_set(body, pool, &err) ||
        !share_set(body, "scale_up", pool->scale_up, &err) ||
        !share_set(body, "scale_down", pool->scale_down, &err)) {
        json_decref(body);
        return cli_fail(&err);
    }
    return pool_do(cli, "POST", NULL, "", pool, body);
}

int
cli_pool_stats(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return pool_do(cli, "GET", args->values[0], "/stats", config, NULL);
}

/* What a line of `watch` shows. */
static json_t *
watch_row(const json_t *pool)
{
    const json_t *wait = json_object_get(pool, "wait");
    const json_t *hold = json_object_get(pool, "hold");
    json_t *row = json_copy((json_t *)(uintptr_t)pool);

    json_object_set(row, "wait_p95_ms", json_object_get(wait, "p95_ms"));
    json_object_set(row, "wait_p99_ms", json_object_get(wait, "p99_ms"));
    json_object_set(row, "hold_p95_ms", json_object_get(hold, "p95_ms"));
    json_object_set(row, "hold_p99_ms", json_object_get(hold, "p99_ms"));
    return row;
}

static void
watch_print(const struct cli *cli, const json_t *pool, bool first)
{
    static const char *const columns[] = {
        "workers",     "out",         "waiting",     "checkouts",  "expired",
        "wait_p95_ms", "wait_p99_ms", "hold_p95_ms", "hold_p99_ms"};
    const size_t n = sizeof columns / sizeof columns[0];
    json_t *row = watch_row(pool);
    char *line = cli->json ? json_dumps(pool, JSON_COMPACT) : NULL;

    for (size_t i = 0; line == NULL && first && i < n; i++)
        (void)printf("%-12s", columns[i]);
    if (line == NULL && first)
        (void)putchar('\n');
    for (size_t i = 0; line == NULL && i < n; i++)
        (void)printf("%-12lld", (long long)json_integer_value(
                                    json_object_get(row, columns[i])));
    (void)printf("%s\n", line == NULL ? "" : line);
    (void)fflush(stdout);
    free(line);
    json_decref(row);
}

int
cli_pool_watch(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct pool_config *pool = config;
    const struct timespec pause = {.tv_sec = (time_t)(pool->every_ms / 1000),
                                   .tv_nsec =
                                       (long)(pool->every_ms % 1000) * 1000000};
    struct rest_path path = {0};
    struct plex_err err;

    rest_path_add(&path, "/api/v1/pools/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, "/stats");
    rest_path_param(&path, "namespace", pool->ns);
    for (uint64_t i = 0; pool->count == 0 || i < pool->count; i++) {
        json_t *reply;

        if (i > 0)
            (void)nanosleep(&pause, NULL);
        if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
            return cli_fail(&err);
        watch_print(cli, json_object_get(reply, "pool"), i == 0);
        json_decref(reply);
    }
    return 0;
}

int
cli_pool_checkout(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct pool_config *pool = config;

    return pool_do(cli, "POST", args->values[0], ":checkout", pool,
                   json_pack("{s:I}", "timeout_ms", (json_int_t)pool->wait_ms));
}

int
cli_pool_checkin(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct pool_config *pool = config;

    return pool_do(cli, "POST", args->values[0], ":checkin", pool,
                   json_pack("{s:s, s:b}", "checkout_id", args->values[1],
                             "unhealthy", pool->unhealthy));
}

int
cli_pool_renew(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return pool_do(cli, "POST", args->values[0], ":renew", config,
                   json_pack("{s:s}", "checkout_id", args->values[1]));
}

int
cli_pool_scale(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const char *text = args->values[1];
    const bool by = text[0] == '+' || text[0] == '-';
    char *end;
    const long long number = strtoll(text, &end, 10);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "%s is no number\n", text);
        return CLI_EXIT_USAGE;
    }
    return pool_do(
        cli, "POST", args->values[0], ":scale", config,
        json_pack("{s:I}", by ? "delta" : "workers", (json_int_t)number));
}

int
cli_pool_pause(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return pool_do(cli, "POST", args->values[0], ":pauseScaling", config,
                   json_object());
}

int
cli_pool_resume(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    return pool_do(cli, "POST", args->values[0], ":resumeScaling", config,
                   json_object());
}

int
cli_pool_drain(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return pool_do(cli, "POST", args->values[0], ":drain", config,
                   json_object());
}

int
cli_pool_delete(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    return pool_do(cli, "DELETE", args->values[0], "", config, NULL);
}
