/* Runs of durable actors that wait. */
#include "cli/run.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
cli_run_name(const char *text, char *out, size_t size)
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

    cli_run_name(args->values[0], name, sizeof name);
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
    cli_run_name(args->values[0], name, sizeof name);
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

static const struct print_column actor_lines[] = {
    {"actor", "actorId", PRINT_TEXT, NULL},
    {"is", "is", PRINT_TEXT, NULL},
    {"waits for", "waitsFor", PRINT_TEXT, NULL},
    {"since", "waitsSinceMs", PRINT_TIME, NULL},
    {"what helps", "remedy", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column other_lines[] = {
    {"id", "id", PRINT_TEXT, NULL},
    {"is", "is", PRINT_TEXT, NULL},
    {"waits for", "waitsFor", PRINT_TEXT, NULL},
    {"since", "sinceMs", PRINT_TIME, NULL},
    {"what helps", "remedy", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column step_columns[] = {
    {"STEP", "step", PRINT_TEXT, NULL},
    {"STATE", "state", PRINT_TEXT, NULL},
    {"WAITS FOR", "waits_for", PRINT_TEXT, NULL},
    {"SINCE", "since", PRINT_TEXT, NULL},
    {"UNTIL", "until", PRINT_TEXT, NULL},
    {"WHAT HELPS", "remedy", PRINT_TEXT, NULL},
    {0},
};

struct why {
    const struct cli *cli;
    char name[1200];            /* as given, and cut into: */
    const char *ns, *type, *id; /* ns "default" and type "" if not given */
    struct plex_err err;
};

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void
set(json_t *object, const char *field, const char *text)
{
    json_object_set_new(object, field, json_string(text));
}

/* What can be said of an actor without a run. */
static void
explain(json_t *actor)
{
    const char *state = text_of(actor, "state");
    const json_int_t waiting =
        json_integer_value(json_object_get(actor, "mailboxLength"));
    const char *is = "idle", *remedy = "nothing: send it a message";
    const char *waits_for = text_of(actor, "waitsFor");
    char text[400];

    if (strcmp(state, "ACTOR_STATE_INACTIVE") == 0) {
        is = "not in memory";
    } else if (strcmp(state, "ACTOR_STATE_ACTIVATING") == 0) {
        is = "being loaded from the journal";
        remedy = "look at plexspaces health: is the journal there?";
    } else if (strcmp(state, "ACTOR_STATE_DEACTIVATING") == 0) {
        is = "being rebuilt after a refused write";
        remedy = "it goes on by itself";
    } else if (waits_for[0] != '\0') {
        is = "turns of it are being written";
        remedy = "it goes on when the journal answers: look at plexspaces "
                 "node list --kind journal";
    } else if (waiting > 0) {
        is = "busy: messages wait";
        remedy = "look at its worker's log for a handler that is stuck";
    }
    if (waits_for[0] != '\0') {
        (void)snprintf(text, sizeof text, "%s: it waits for %s", is, waits_for);
        is = text;
    }
    set(actor, "is", is);
    set(actor, "remedy", remedy);
}

/* The command that helps a run of an actor; else what the worker says. */
static void
run_remedy(json_t *actor)
{
    const char *id = text_of(actor, "actorId");
    const char *waits_for = text_of(actor, "waitsFor");
    const char *at = strchr(waits_for, ' ');
    char text[3000] = "";

    at = at == NULL ? "" : at + 1;
    if (strcmp(text_of(actor, "run"), "parked") == 0)
        (void)snprintf(text, sizeof text,
                       "mend the cause, then plexspaces run resume %s, or "
                       "plexspaces run cancel %s",
                       id, id);
    else if (begins(waits_for, "promise "))
        (void)snprintf(text, sizeof text,
                       "plexspaces promise resolve '%.*s' [JSON]",
                       (int)strcspn(at, " "), at);
    else if (begins(waits_for, "signal "))
        (void)snprintf(text, sizeof text, "plexspaces run signal %s %.255s", id,
                       at);
    else if (begins(waits_for, "another attempt "))
        (void)snprintf(text, sizeof text,
                       "mend the cause: it is tried again at that time; or "
                       "plexspaces run cancel %s",
                       id);
    else if (begins(waits_for, "call "))
        (void)snprintf(text, sizeof text, "plexspaces why %.*s",
                       (int)strcspn(at, " "), at);
    if (text[0] != '\0')
        set(actor, "remedy", text);
    else if (text_of(actor, "remedy")[0] == '\0')
        set(actor, "remedy", "nothing: it goes on by itself");
}

static int
show(const struct why *why, const struct print_column *lines, json_t *object)
{
    if (why->cli->json)
        print_json(object);
    else
        print_object(lines, object);
    return 0;
}

/* A new reference, or NULL: err says why. */
static json_t *
actor_get(struct why *why, const char *actor_id)
{
    struct rest_path path = {0};
    json_t *reply, *actor;

    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor_id);
    if (rest_get(why->cli, path.text, &reply, &why->err) != PLEX_OK)
        return NULL;
    actor = json_incref(json_object_get(reply, "actor"));
    json_decref(reply);
    if (text_of(actor, "run")[0] == '\0') {
        explain(actor);
    } else {
        set(actor, "is", text_of(actor, "run"));
        run_remedy(actor);
    }
    return actor;
}

static int
why_actor(struct why *why, const char *given)
{
    char name[1200];
    json_t *actor;

    cli_run_name(given, name, sizeof name);
    actor = actor_get(why, name);
    if (actor == NULL)
        return cli_fail(&why->err);
    (void)show(why, actor_lines, actor);
    json_decref(actor);
    return 0;
}

/* "ACTOR~nonce~index" */
static bool
is_promise(const char *id)
{
    const char *last = strrchr(id, '~'), *first = last;

    while (first != NULL && first > id && first[-1] != '~')
        first--;
    return last != NULL && first > id && strchr(id, '/') != NULL &&
           last - first <= 8 && last > first &&
           strspn(last + 1, "0123456789") == strlen(last + 1) &&
           strspn(first, "0123456789abcdef") == (size_t)(last - first);
}

/* Somebody waits for it when the actor's run does. */
static int
why_promise(struct why *why, const char *id)
{
    char name[1200], text[1400];
    json_t *actor, *out;

    (void)snprintf(name, sizeof name, "%s", id);
    *strrchr(name, '~') = '\0';
    *strrchr(name, '~') = '\0';
    actor = actor_get(why, name);
    if (actor == NULL)
        return cli_fail(&why->err);
    (void)snprintf(text, sizeof text, "promise %s", id);
    out = json_pack("{s:s, s:O?}", "id", id, "sinceMs",
                    json_object_get(actor, "waitsSinceMs"));
    if (begins(text_of(actor, "waitsFor"), text)) {
        set(out, "is", "not kept yet");
        set(out, "waitsFor", "somebody to keep it");
        set(out, "remedy", text_of(actor, "remedy"));
    } else {
        set(out, "is",
            "not waited for: it was kept, or its run waits for something else "
            "now or is over");
        (void)snprintf(text, sizeof text, "plexspaces why %.1200s", name);
        set(out, "remedy", text);
    }
    (void)show(why, other_lines, out);
    json_decref(out);
    json_decref(actor);
    return 0;
}

/* -1: there is none of that id. */
static int
why_message(struct why *why, const char *id)
{
    struct rest_path path = {0};
    json_t *reply, *out;
    const char *status;
    char text[1400];

    rest_path_add(&path, "/api/v1/invocations/");
    rest_path_segment(&path, id);
    if (rest_get(why->cli, path.text, &reply, &why->err) != PLEX_OK)
        return why->err.status == PLEX_NOT_FOUND ? -1 : cli_fail(&why->err);
    status = text_of(reply, "status");
    out = json_pack("{s:s, s:s, s:O?}", "id", id, "is", status, "sinceMs",
                    json_object_get(reply, "at_ms"));
    if (strcmp(status, "scheduled") == 0) {
        (void)snprintf(text, sizeof text, "its time, or the run of %.1200s",
                       text_of(reply, "actor"));
        set(out, "waitsFor", text);
        (void)snprintf(text, sizeof text, "plexspaces why %.1200s",
                       text_of(reply, "actor"));
        set(out, "remedy", text);
    } else {
        set(out, "waitsFor", "");
        set(out, "remedy", "nothing: it is answered");
    }
    (void)show(why, other_lines, out);
    json_decref(out);
    json_decref(reply);
    return 0;
}

/* -- why: workflows and schedules --------------------------------------------
 */

/* The command that helps a step; else what the engine says. */
static void
step_remedy(const struct why *why, json_t *step)
{
    static const struct {
        const char *state, *verb;
        bool names_step, names_what;
    } rows[] = {
        {"WAITING_SIGNAL", "signal", false, true},
        {"WAITING_APPROVAL", "approve", true, false},
        {"PARKED", "resume", false, false},
    };
    char text[1024], ns[80] = "";

    if (strcmp(why->ns, "default") != 0)
        (void)snprintf(ns, sizeof ns, " --namespace %.60s", why->ns);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].state, text_of(step, "state")) != 0)
            continue;
        (void)snprintf(text, sizeof text,
                       "plexspaces workflow %s %.255s%s%.255s%s", rows[i].verb,
                       why->id,
                       rows[i].names_step || rows[i].names_what ? " " : "",
                       rows[i].names_step   ? text_of(step, "step")
                       : rows[i].names_what ? text_of(step, "waits_for")
                                            : "",
                       ns);
        set(step, "remedy", text);
    }
}

static void
execution_explain(struct why *why, json_t *out, json_t *steps)
{
    const char *status = text_of(out, "status");
    char text[600];
    json_t *step;
    size_t i;

    json_array_foreach(steps, i, step) step_remedy(why, step);
    set(out, "id", why->id);
    set(out, "is", status);
    set(out, "waitsFor", text_of(out, "reason"));
    json_object_set(out, "sinceMs", json_object_get(out, "since_ms"));
    (void)snprintf(text, sizeof text, "plexspaces workflow resume %.255s",
                   why->id);
    if (strcmp(status, "PAUSED") == 0 || strcmp(status, "PARKED") == 0)
        set(out, "remedy", text);
    else if (json_array_size(steps) > 0)
        set(out, "remedy", "what helps its steps");
    else
        set(out, "remedy", "nothing: it has ended");
}

/* -1: there is none of that id. */
static int
why_execution(struct why *why)
{
    struct rest_path path = {0};
    json_t *reply, *out, *steps;

    rest_path_add(&path, "/api/v1/workflows/executions/");
    rest_path_segment(&path, why->id);
    rest_path_add(&path, "/why");
    rest_path_param(&path, "namespace", why->ns);
    if (rest_get(why->cli, path.text, &reply, &why->err) != PLEX_OK)
        return why->err.status == PLEX_NOT_FOUND ? -1 : cli_fail(&why->err);
    out = json_object_get(reply, "result");
    steps = json_object_get(out, "steps");
    execution_explain(why, out, steps);
    (void)show(why, other_lines, out);
    if (!why->cli->json && json_array_size(steps) > 0)
        print_table(step_columns, steps);
    json_decref(reply);
    return 0;
}

static void
schedule_explain(const struct why *why, json_t *schedule)
{
    const json_t *upcoming = json_object_get(schedule, "upcoming");
    const size_t running =
        json_array_size(json_object_get(schedule, "running"));
    const char *first = json_string_value(json_array_get(upcoming, 0));
    char text[600];

    set(schedule, "is", running > 0 ? "running" : "waiting");
    set(schedule, "waitsFor", first == NULL ? "" : first);
    (void)snprintf(text, sizeof text,
                   "nothing, until then; plexspaces schedule trigger %.255s "
                   "does it now",
                   why->id);
    set(schedule, "remedy", text);
    if (json_is_true(json_object_get(schedule, "paused"))) {
        set(schedule, "is", "paused");
        set(schedule, "waitsFor",
            text_of(schedule, "reason")[0] == '\0'
                ? "to be resumed"
                : text_of(schedule, "reason"));
        (void)snprintf(text, sizeof text, "plexspaces schedule resume %.255s",
                       why->id);
        set(schedule, "remedy", text);
    } else if (first == NULL) {
        set(schedule, "is",
            running > 0 ? "running, for the last time" : "over");
        set(schedule, "remedy", "nothing is due any more: create it anew");
    }
}

/* -1: there is none of that id. */
static int
why_schedule(struct why *why)
{
    struct rest_path path = {0};
    json_t *reply;

    rest_path_add(&path, "/api/v1/schedules/");
    rest_path_segment(&path, why->id);
    rest_path_param(&path, "namespace", why->ns);
    if (rest_get(why->cli, path.text, &reply, &why->err) != PLEX_OK)
        return why->err.status == PLEX_NOT_FOUND ? -1 : cli_fail(&why->err);
    schedule_explain(why, reply);
    (void)show(why, other_lines, reply);
    json_decref(reply);
    return 0;
}

/* [[TENANT/]NAMESPACE/]TYPE/ID, or an id alone. */
static void
name_cut(struct why *why, const char *given)
{
    char *at[4] = {NULL}, *rest = why->name;
    size_t n = 0;

    (void)snprintf(why->name, sizeof why->name, "%s", given);
    while (n < 3 && strchr(rest, '/') != NULL) {
        at[n++] = rest;
        rest = strchr(rest, '/');
        *rest++ = '\0';
    }
    why->id = rest;
    why->type = n > 0 ? at[n - 1] : "";
    why->ns = n > 1 ? at[n - 2] : "default";
}

int
cli_why(const struct cli *cli, const struct cli_args *args, const void *config)
{
    const char *given = args->values[0];
    struct why why = {.cli = cli};
    int code = -1;

    (void)config;
    name_cut(&why, given);
    if (is_promise(given))
        return why_promise(&why, given);
    if (strcmp(why.type, "workflow") == 0)
        code = why_execution(&why);
    else if (strcmp(why.type, "schedule") == 0)
        code = why_schedule(&why);
    else if (why.type[0] != '\0')
        return why_actor(&why, given);
    if (why.type[0] != '\0')
        return code < 0 ? cli_fail(&why.err) : code;
    if (begins(given, "k-") ||
        (strlen(given) == 26 &&
         strspn(given, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 26))
        code = why_message(&why, given);
    if (code < 0)
        code = why_execution(&why);
    if (code < 0)
        code = why_schedule(&why);
    if (code >= 0)
        return code;
    (void)plex_err_set(&why.err, PLEX_NOT_FOUND,
                       "no message, execution or schedule has the id %.100s; "
                       "an actor is TYPE/KEY",
                       given);
    return cli_fail(&why.err);
}
