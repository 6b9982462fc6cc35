/* Elastic pools of actors. */
#include "cli/pool.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>

struct pool_config {
    const char *ns, *strategy, *scale_up, *scale_down;
    uint64_t min, max, initial, step, percent;
    uint64_t check_ms, cooldown_ms, lease_ms, wait_ms;
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
    static const char *const types[] = {"pool", "pool-checkout", NULL};
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

    if (!share_set(body, "scale_up", pool->scale_up, &err) ||
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
