/* Backups of the journal, and whether its chain of hashes holds. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 3000 };

static const struct print_column backup_columns[] = {
    {"BACKUP", "name", PRINT_TEXT, NULL},
    {"TIME", "atMs", PRINT_TIME, NULL},
    {"SIZE", "bytes", PRINT_BYTES, NULL},
    {"STORE", "backend", PRINT_TEXT, NULL},
    {"SCHEMA", "schema", PRINT_TEXT, NULL},
    {0},
};

/* -- verify ------------------------------------------------------------------
 */

struct verified {
    uint64_t turns, actors, unchained;
    json_t *broken;
};

static enum plex_status
verify_all(const struct cli *cli, const char *actor, struct verified *all,
           struct plex_err *err)
{
    char token[TOKEN_MAX] = "";

    do {
        struct rest_path path = {0};
        const char *next;
        json_t *reply;

        rest_path_add(&path, "/api/v1/journal/verify");
        rest_path_param(&path, "actor_id", actor);
        rest_path_param(&path, "page_token", token);
        if (rest_get(cli, path.text, &reply, err) != PLEX_OK)
            return err->status;
        all->turns += past_u64(reply, "turns");
        all->actors += past_u64(reply, "actors");
        all->unchained += past_u64(reply, "unchained");
        (void)json_array_extend(all->broken, json_object_get(reply, "broken"));
        next = json_string_value(json_object_get(reply, "nextPageToken"));
        (void)snprintf(token, sizeof token, "%s", next == NULL ? "" : next);
        json_decref(reply);
    } while (token[0] != '\0');
    return PLEX_OK;
}

static void
verify_print(const struct cli *cli, const struct verified *all)
{
    const json_t *row;
    size_t i;

    if (cli->json) {
        json_t *json =
            json_pack("{s:I, s:I, s:I, s:O}", "turns", (json_int_t)all->turns,
                      "actors", (json_int_t)all->actors, "unchained",
                      (json_int_t)all->unchained, "broken", all->broken);

        print_json(json);
        json_decref(json);
        return;
    }
    json_array_foreach(all->broken, i, row)
    {
        const char *actor = json_string_value(json_object_get(row, "actorId"));
        const char *text = json_string_value(json_object_get(row, "text"));

        (void)printf("broken: %s, turn %" PRIu64 ": %s\n",
                     actor == NULL || actor[0] == '\0'
                         ? "an actor of another tenant"
                         : actor,
                     past_u64(row, "sequence"), text == NULL ? "" : text);
    }
    (void)printf("%" PRIu64 " turns of %" PRIu64 " actors, %zu broken\n",
                 all->turns, all->actors, json_array_size(all->broken));
    if (all->unchained > 0)
        (void)printf("%" PRIu64 " turns are from before there was a chain\n",
                     all->unchained);
}

int
cli_journal_verify(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    struct verified all = {.broken = json_array()};
    char actor[PLEX_ACTOR_NAME_MAX + 1] = "";
    struct plex_err err;
    int code = 0;

    (void)config;
    if ((args->count > 0 &&
         past_actor(args->values[0], actor, &err) != PLEX_OK) ||
        verify_all(cli, actor, &all, &err) != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        verify_print(cli, &all);
        code = json_array_size(all.broken) == 0 ? 0 : CLI_EXIT_REFUSED;
    }
    json_decref(all.broken);
    return code;
}

/* -- backups -----------------------------------------------------------------
 */

static int
show(const struct cli *cli, const char *method, const char *path,
     const json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    const struct rest_request request = {
        .method = method, .path = path, .body = text};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    int code = 0;

    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK)
        code = cli_fail(&err);
    else if (cli->json)
        print_json(json_object_get(reply.json, "backups"));
    else if (json_array_size(json_object_get(reply.json, "backups")) == 0 &&
             strcmp(method, "GET") != 0)
        (void)printf("restored\n");
    else
        print_table(backup_columns, json_object_get(reply.json, "backups"));
    rest_reply_free(&reply);
    rest_close(rest);
    free(text);
    return code;
}

int
cli_backup_create(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    json_t *body = json_pack("{s:s}", "name", args->values[0]);
    int code;

    (void)config;
    code = show(cli, "POST", "/api/v1/backups", body);
    json_decref(body);
    return code;
}

int
cli_backup_list(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    (void)args, (void)config;
    return show(cli, "GET", "/api/v1/backups", NULL);
}

int
cli_backup_restore(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    struct rest_path path = {0};
    json_t *body = json_object();
    int code;

    (void)config;
    rest_path_add(&path, "/api/v1/backups/");
    rest_path_segment(&path, args->values[0]);
    rest_path_add(&path, ":restore");
    code = show(cli, "POST", path.text, body);
    json_decref(body);
    return code;
}
