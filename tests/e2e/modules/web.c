/* A process that answers HTTP in its own way. */
#include <plexspaces/process.h>

struct site {
    struct plex_from owed;
};

static int
echo(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *colour = plex_header(ctx, "x-colour");
    const char *secret = plex_header(ctx, "Authorization");

    plex_reply_json(
        ctx,
        "{\"method\":\"%s\",\"path\":\"%s\",\"subpath\":\"%s\","
        "\"query\":\"%s\",\"type\":\"%s\",\"colour\":\"%s\","
        "\"secret\":%s,\"body\":\"%.*s\"}",
        msg->method, msg->path, msg->subpath, msg->query, msg->content_type,
        colour == NULL ? "" : colour, secret == NULL ? "false" : "true",
        msg->method[0] == 'P' ? (int)msg->len : 0, (const char *)msg->payload);
    return 0;
}

static int
call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct site *site = plex_data(ctx);
    const char *what = msg->subpath;

    if (strcmp(what, "teapot") == 0) {
        plex_reply_header(ctx, "X-Pot", "tea");
        plex_reply_status(ctx, 418, "image/svg+xml", "<svg/>", 6);
        plex_reply_header(ctx, "Cache-Control", "no-store");
    } else if (strcmp(what, "later") == 0) {
        site->owed = plex_reply_later(ctx);
        (void)plex_send_after(ctx, plex_self_ref(ctx), 20, 0, 1);
    } else if (strcmp(what, "there") == 0 &&
               strcmp(plex_self(ctx, NULL, NULL, NULL), "site") == 0) {
        return plex_forward(ctx, plex_whereis(ctx, "there@worker-2"));
    } else if (strcmp(what, "wrong") == 0) {
        plex_reply_header(ctx, "X Pot", "tea");
    } else {
        return echo(ctx, msg);
    }
    return 0;
}

static int
info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const char *const headers[] = {"X-Late", "yes", NULL};
    const struct plex_http_answer answer = {.status = 203,
                                            .content_type = "text/csv",
                                            .headers = headers,
                                            .payload = "a,b",
                                            .len = 3};
    struct site *site = plex_data(ctx);

    (void)msg;
    return plex_answer_http(ctx, &site->owed, &answer);
}

static const struct plex_behaviour behaviours[] = {
    {.name = "site",
     .handle_call = call,
     .handle_info = info,
     .data_size = sizeof(struct site)},
    {0},
};
PLEX_MODULE(behaviours);
