/* Runs of durable actors that wait. */
#include "cli/run.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* TYPE/KEY, NAMESPACE/TYPE/KEY or TENANT/NAMESPACE/TYPE/KEY. */
static void
full_name(const char *text, char *out, size_t size)
{
    unsigned slashes = 0;

    for (const char *c = text; *c != '\0'; c++)
        slashes += *c == '/';
    (void)snprintf(out, size, "%s%s",
                   slashes == 1   ? "default/default/"
                   : slashes == 2 ? "default/"
                                  : "",
                   text);
}

static int
post(const struct cli *cli, const struct rest_path *path, const char *body)
{
    const struct rest_request request = {
        .method = "POST", .path = path->text, .body = body};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    int code = 0;

    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK)
        code = cli_fail(&err);
    else
        (void)printf("accepted\n");
    rest_reply_free(&reply);
    rest_close(rest);
    return code;
}

static const char *
body_of(const struct cli_args *args, int at)
{
    return args->count > at ? args->values[at] : "null";
}

static int
run_verb(const struct cli *cli, const struct cli_args *args, const char *verb)
{
    struct rest_path path = {0};
    char name[1200];

    full_name(args->values[0], name, sizeof name);
    rest_path_add(&path, "/api/v1/runs/");
    rest_path_segment(&path, name);
    rest_path_add(&path, verb);
    return post(cli, &path, "{}");
}

int
cli_run_signal(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    struct rest_path path = {0};
    char name[1200];

    (void)config;
    full_name(args->values[0], name, sizeof name);
    rest_path_add(&path, "/api/v1/runs/");
    rest_path_segment(&path, name);
    rest_path_add(&path, "/signals/");
    rest_path_segment(&path, args->values[1]);
    return post(cli, &path, body_of(args, 2));
}

int
cli_run_cancel(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    (void)config;
    return run_verb(cli, args, ":cancel");
}

int
cli_run_resume(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    (void)config;
    return run_verb(cli, args, ":resume");
}

static int
promise_verb(const struct cli *cli, const struct cli_args *args,
             const char *verb)
{
    struct rest_path path = {0};

    rest_path_add(&path, "/api/v1/promises/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, verb);
    return post(cli, &path, body_of(args, 1));
}

int
cli_promise_resolve(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    (void)config;
    return promise_verb(cli, args, ":resolve");
}

int
cli_promise_reject(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    (void)config;
    return promise_verb(cli, args, ":reject");
}

/* -- why ---------------------------------------------------------------------
 */

static const struct print_column why_lines[] = {
    {"actor", "actorId", PRINT_TEXT, NULL},
    {"is", "is", PRINT_TEXT, NULL},
    {"waits for", "waitsFor", PRINT_TEXT, NULL},
    {"since", "waitsSinceMs", PRINT_TIME, NULL},
    {"what helps", "remedy", PRINT_TEXT, NULL},
    {0},
};

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* What can be said of an actor without a run. */
static void
explain(json_t *actor)
{
    const char *state = text_of(actor, "state");
    const json_int_t waiting =
        json_integer_value(json_object_get(actor, "mailboxLength"));
    const char *is = "idle", *remedy = "nothing: send it a message";

    if (strcmp(state, "ACTOR_STATE_INACTIVE") == 0) {
        is = "not in memory";
    } else if (strcmp(state, "ACTOR_STATE_ACTIVATING") == 0) {
        is = "being loaded from the journal";
        remedy = "look at plexspaces health: is the journal there?";
    } else if (strcmp(state, "ACTOR_STATE_DEACTIVATING") == 0) {
        is = "being rebuilt after a refused write";
        remedy = "it goes on by itself";
    } else if (waiting > 0) {
        is = "busy: messages wait";
        remedy = "look at its worker's log for a handler that is stuck";
    }
    json_object_set_new(actor, "is", json_string(is));
    json_object_set_new(actor, "remedy", json_string(remedy));
}

int
cli_why(const struct cli *cli, const struct cli_args *args, const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply, *actor;
    char name[1200];

    (void)config;
    full_name(args->values[0], name, sizeof name);
    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, name);
    if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    actor = json_object_get(reply, "actor");
    if (text_of(actor, "run")[0] != '\0')
        json_object_set_new(actor, "is", json_string(text_of(actor, "run")));
    else
        explain(actor);
    if (cli->json)
        print_json(actor);
    else
        print_object(why_lines, actor);
    json_decref(reply);
    return 0;
}
