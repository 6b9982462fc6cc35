/* Event streams, and what the journal has of actors. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOKEN_MAX = 3000 };

struct stream_config {
    const char *ns;
};
const struct plex_option cli_stream_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct stream_config, ns),
     "default", "the namespace of the streams", 0, 0},
    {0},
};

int
cli_journal_enable(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    static const char *const types[] = {"event-stream", NULL};
    const struct stream_config *stream = config;
    struct plex_err err;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-streams", stream->ns,
                            "Event streams", types, NULL, &err) != PLEX_OK)
        return cli_fail(&err);
    (void)printf("namespace %s has event streams\n", stream->ns);
    return 0;
}

/* -- sums and truncation -----------------------------------------------------
 */

int
cli_journal_stats(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    char actor[PLEX_ACTOR_NAME_MAX + 1] = "", token[TOKEN_MAX] = "";
    uint64_t turns = 0, actors = 0, bytes = 0;
    struct plex_err err;
    json_t *reply;

    (void)config;
    if (args->count > 0 && past_actor(args->values[0], actor, &err) != PLEX_OK)
        return cli_fail(&err);
    do {
        struct rest_path path = {0};
        const char *next;

        rest_path_add(&path, "/api/v1/journal/stats");
        rest_path_param(&path, "actor_id", actor);
        rest_path_param(&path, "page_token", token);
        if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
            return cli_fail(&err);
        turns += past_u64(reply, "turns");
        actors += past_u64(reply, "actors");
        bytes += past_u64(reply, "bytes");
        next = json_string_value(json_object_get(reply, "nextPageToken"));
        (void)snprintf(token, sizeof token, "%s", next == NULL ? "" : next);
        json_decref(reply);
    } while (token[0] != '\0');
    if (!cli->json) {
        (void)printf("%" PRIu64 " turns of %" PRIu64 " actors, %" PRIu64
                     " bytes\n",
                     turns, actors, bytes);
        return 0;
    }
    reply = json_pack("{s:I, s:I, s:I}", "turns", (json_int_t)turns, "actors",
                      (json_int_t)actors, "bytes", (json_int_t)bytes);
    print_json(reply);
    json_decref(reply);
    return 0;
}

int
cli_journal_truncate(const struct cli *cli, const struct cli_args *args,
                     const void *config)
{
    char actor[PLEX_ACTOR_NAME_MAX + 1] = "", body[64];
    struct rest_path path = {0};
    struct rest_request request = {.method = "POST", .body = body};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    char *end;
    const uint64_t sequence = strtoull(args->values[1], &end, 10);
    int code = 0;

    (void)config;
    if (*end != '\0' || args->values[1][0] == '-')
        (void)plex_err_set(&err, PLEX_INVALID,
                           "%.40s is no sequence: a number is wanted",
                           args->values[1]);
    else
        err.status = past_actor(args->values[0], actor, &err);
    if (err.status != PLEX_OK)
        return cli_fail(&err);
    (void)snprintf(body, sizeof body, "{\"sequence\":%" PRIu64 "}", sequence);
    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor);
    rest_path_add(&path, "/journal/truncate");
    request.path = path.text;
    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK)
        code = cli_fail(&err);
    else if (cli->json)
        print_json(reply.json);
    else
        (void)printf("turns %" PRIu64 " to %" PRIu64 " are there\n",
                     past_u64(reply.json, "oldestSequence"),
                     past_u64(reply.json, "newestSequence"));
    rest_reply_free(&reply);
    rest_close(rest);
    return code;
}
