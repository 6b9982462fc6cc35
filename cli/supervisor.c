/* The plan of a supervisor that runs, and what its children are. */
#include "cli/print.h"
#include "cli/process.h"
#include "cli/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct plan_config {
    const char *ns;
    const char *strategy, *intensity, *period_ms, *auto_shutdown;
    const char *backoff_initial_ms, *backoff_max_ms;
};
#define TEXT(field, help)                                                    \
    {                                                                        \
#field, PLEX_OPTION_STRING, offsetof(struct plan_config, field), "", \
            (help), 0, 0                                                     \
    }
const struct plex_option cli_supervisor_plan_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct plan_config, ns),
     "default", "of the supervisor", 0, 0},
    TEXT(strategy, "one_for_one, one_for_all or rest_for_one"),
    TEXT(intensity, "restarts allowed within the period"),
    TEXT(period_ms, "0: 5000"),
    TEXT(auto_shutdown, "never, any_significant or all_significant"),
    TEXT(backoff_initial_ms, "before a restart; 0: none"),
    TEXT(backoff_max_ms, "with the initial one; 0: 60000"),
    {0},
};

static const struct print_column plan_detail[] = {
    {"strategy", "strategy", PRINT_TEXT, NULL},
    {"intensity", "intensity", PRINT_TEXT, NULL},
    {"period", "periodMs", PRINT_MS, NULL},
    {"auto shutdown", "autoShutdown", PRINT_TEXT, NULL},
    {"back-off from", "backoffInitialMs", PRINT_MS, NULL},
    {"back-off to", "backoffMaxMs", PRINT_MS, NULL},
    {0},
};

static void
path_of(struct rest_path *path, const char *supervisor, const char *suffix)
{
    rest_path_add(path, "/api/v1/supervisors/");
    rest_path_segment(path, supervisor);
    rest_path_add(path, suffix);
}

static enum plex_status
set_number(json_t *body, const char *option, const char *field,
           const char *text, struct plex_err *err)
{
    unsigned long long value;
    char *end;

    if (text[0] == '\0')
        return PLEX_OK;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (strchr("0123456789", text[0]) == NULL || *end != '\0' || errno != 0 ||
        value > UINT32_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "--%s is \"%.40s\", not a number from 0 to %u",
                            option, text, UINT32_MAX);
    json_object_set_new(body, field, json_integer((json_int_t)value));
    return PLEX_OK;
}

/* What is to change; an empty object: nothing is. */
static enum plex_status
plan_body(const struct plan_config *plan, json_t *body, struct plex_err *err)
{
    if (plan->strategy[0] != '\0')
        json_object_set_new(body, "strategy", json_string(plan->strategy));
    if (plan->auto_shutdown[0] != '\0')
        json_object_set_new(body, "autoShutdown",
                            json_string(plan->auto_shutdown));
    if (set_number(body, "intensity", "intensity", plan->intensity, err) !=
            PLEX_OK ||
        set_number(body, "period-ms", "periodMs", plan->period_ms, err) !=
            PLEX_OK ||
        set_number(body, "backoff-initial-ms", "backoffInitialMs",
                   plan->backoff_initial_ms, err) != PLEX_OK ||
        set_number(body, "backoff-max-ms", "backoffMaxMs", plan->backoff_max_ms,
                   err) != PLEX_OK)
        return err->status;
    return PLEX_OK;
}

int
cli_supervisor_plan(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct plan_config *plan = config;
    struct rest_path path = {0};
    json_t *body = json_object(), *answer = NULL;
    const json_t *part;
    bool changes;
    struct plex_err err;

    if (plan_body(plan, body, &err) != PLEX_OK) {
        json_decref(body);
        return cli_fail(&err);
    }
    changes = json_object_size(body) > 0;
    path_of(&path, args->values[0], ":plan");
    if (changes) {
        json_object_set_new(body, "namespace", json_string(plan->ns));
    } else {
        rest_path_param(&path, "namespace", plan->ns);
        json_decref(body);
        body = NULL;
    }
    if (rest_ask(cli, changes ? "POST" : "GET", path.text, body, &answer,
                 &err) != PLEX_OK)
        return cli_fail(&err);
    part = json_object_get(answer, "plan");
    if (cli->json)
        print_json(part);
    else
        print_object(plan_detail, part);
    json_decref(answer);
    return 0;
}

int
cli_child_change(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *body = cli_child_body(args, config, &err), *answer = NULL;

    if (body == NULL)
        return cli_fail(&err);
    path_of(&path, args->values[0], "/children/");
    rest_path_segment(&path, args->values[1]);
    if (rest_ask(cli, "PUT", path.text, body, &answer, &err) != PLEX_OK)
        return cli_fail(&err);
    json_decref(answer);
    (void)printf("done\n");
    return 0;
}
