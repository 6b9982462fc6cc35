/* What is asked of a run that waits: queries and updates. */
#include "cli/run.h"

#include "cli/rest.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct update_config {
    const char *wait_for, *key;
};
#define ROW(name, field, def, help)                                           \
    {                                                                         \
        name, PLEX_OPTION_STRING, offsetof(struct update_config, field), def, \
            help, 0, 0                                                        \
    }
const struct plex_option cli_run_update_options[] = {
    ROW("wait_for", wait_for, "completed",
        "completed, or accepted: as soon as it is in the journal"),
    ROW("idempotency_key", key, "", "the same again is answered, not repeated"),
    {0},
};

/* `verb` is "/query/" or "/update/"; prints what the run replied. */
static int
ask(const struct cli *cli, const struct cli_args *args, const char *verb,
    const struct update_config *update)
{
    struct rest_path path = {0};
    struct rest_request request = {.method = "POST",
                                   .path = path.text,
                                   .body = args->count > 2 ? args->values[2]
                                                           : "null"};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    char name[1200], key[512];
    struct plex_err err;
    int code = 0;

    cli_run_name(args->values[0], name, sizeof name);
    rest_path_add(&path, "/api/v1/runs/");
    rest_path_segment(&path, name);
    rest_path_add(&path, verb);
    rest_path_segment(&path, args->values[1]);
    if (update != NULL) {
        rest_path_param(&path, "wait_for", update->wait_for);
        (void)snprintf(key, sizeof key, "Idempotency-Key: %s", update->key);
        request.headers[0] = update->key[0] == '\0' ? NULL : key;
    }
    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK)
        code = cli_fail(&err);
    else
        (void)printf("%s\n", reply.body == NULL ? "" : reply.body);
    rest_reply_free(&reply);
    rest_close(rest);
    return code;
}

int
cli_run_query(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    (void)config;
    return ask(cli, args, "/query/", NULL);
}

int
cli_run_update(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return ask(cli, args, "/update/", config);
}
