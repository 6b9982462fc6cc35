/* States of actors, changed from outside: docs/timetravel.md. */
#include "cli/past.h"

#include "cli/print.h"
#include "cli/rest.h"
#include "common/json_pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EDIT_ARENA = 64 << 20 };

struct set_config {
    uint32_t schema;
    bool create;
};

const struct plex_option cli_set_state_options[] = {
    {"schema", PLEX_OPTION_U32, offsetof(struct set_config, schema), "0",
     "its schema version; 0: that of the code", 0, UINT32_MAX},
    {"create", PLEX_OPTION_BOOL, offsetof(struct set_config, create), "false",
     "refuse where there is a state already", 0, 0},
    {0},
};

int
cli_journal_shred(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    json_t *body = json_pack("{s:s}", "tenant", args->values[0]);
    char *text = json_dumps(body, JSON_COMPACT);
    const struct rest_request request = {
        .method = "POST", .path = "/api/v1/journal/shred", .body = text};
    struct rest_reply got = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    enum plex_status status = rest_open(&rest, cli, &err);

    (void)config;
    if (status == PLEX_OK)
        status = rest_call(rest, &request, &got, &err);
    if (status == PLEX_OK && cli->json)
        print_json(got.json);
    else if (status == PLEX_OK)
        (void)printf("%llu keys destroyed\n",
                     (unsigned long long)past_u64(got.json, "keys"));
    rest_reply_free(&got);
    rest_close(rest);
    json_decref(body);
    free(text);
    return status == PLEX_OK ? 0 : cli_fail(&err);
}

/* Takes `body`; prints which turn it was. `after` follows the actor's name. */
static int
ask(const struct cli *cli, const char *method, const char *actor,
    const char *after, json_t *body)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *reply;

    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor);
    rest_path_add(&path, after);
    if (rest_ask(cli, method, path.text, body, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(reply);
    else
        (void)printf("turn %llu\n",
                     (unsigned long long)past_u64(reply, "sequence"));
    json_decref(reply);
    return 0;
}

int
cli_actor_set_state(const struct cli *cli, const struct cli_args *args,
                    const void *config)
{
    const struct set_config *set = config;
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_err err;

    if (past_actor(args->values[0], actor, &err) != PLEX_OK)
        return cli_fail(&err);
    return ask(cli, "PUT", actor, "/state",
               json_pack("{s:s, s:I, s:b}", "stateText", args->values[1],
                         "schemaVersion", (json_int_t)set->schema, "create",
                         set->create));
}

/* With the code, the state is made here. */
static int
put_made(const struct cli *cli, const char *actor, const char *to,
         const struct past_when *when, uint64_t time_ms)
{
    struct plex_arena arena;
    struct journal_was was;
    struct plex_err err;
    int result;

    plex_arena_init(&arena, EDIT_ARENA);
    if (past_at(cli, actor,
                &(struct past_of){when->sequence, time_ms,
                                  when->code.module[0] != '\0'},
                &arena, &was, &err) != PLEX_OK ||
        past_rebuild(cli, actor, &when->code, &arena, &was, &err) != PLEX_OK)
        result = cli_fail(&err);
    else
        result = ask(cli, "PUT", to, "/state",
                     json_pack("{s:o, s:I, s:b}", "state",
                               plex_json_base64(was.state), "schemaVersion",
                               (json_int_t)was.schema_version, "create",
                               to != actor));
    plex_arena_fini(&arena);
    return result;
}

/* `to` NULL: the same actor. */
static int
go_back(const struct cli *cli, const char *from, const char *to,
        const struct past_when *when)
{
    char actor[PLEX_ACTOR_NAME_MAX + 1], other[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_err err;
    uint64_t time_ms = 0;
    json_t *body;

    if (past_actor(from, actor, &err) != PLEX_OK ||
        (to != NULL && past_actor(to, other, &err) != PLEX_OK) ||
        (when->time[0] != '\0' &&
         past_time(when->time, &time_ms, &err) != PLEX_OK))
        return cli_fail(&err);
    if (when->code.module[0] != '\0')
        return put_made(cli, actor, to == NULL ? actor : other, when, time_ms);
    body = json_pack("{s:I, s:I}", "sequence", (json_int_t)when->sequence,
                     "timeMs", (json_int_t)time_ms);
    if (to != NULL)
        json_object_set_new(body, "toActorId", json_string(other));
    return ask(cli, "POST", actor, to == NULL ? ":restore" : ":fork", body);
}

int
cli_actor_restore(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    return go_back(cli, args->values[0], NULL, config);
}

int
cli_actor_fork(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    return go_back(cli, args->values[0], args->values[1], config);
}

static int
plain(const struct cli *cli, const struct cli_args *args, const char *method,
      const char *after, json_t *body)
{
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_err err;

    if (past_actor(args->values[0], actor, &err) == PLEX_OK)
        return ask(cli, method, actor, after, body);
    json_decref(body);
    return cli_fail(&err);
}

int
cli_actor_checkpoint(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    (void)config;
    return plain(cli, args, "POST", "/checkpoints", json_object());
}

int
cli_actor_forget(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    (void)config;
    return plain(cli, args, "DELETE", "", NULL);
}
