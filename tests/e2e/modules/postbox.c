/* Says what has come, and remembers the last of what nobody waited for: as an
 * actor in its state, as a process in its memory. */
#include <plexspaces/process.h>

struct box {
    char last[512];
};

static void
describe(struct plex_ctx *ctx, const struct plex_msg *msg, char *out,
         size_t size)
{
    const char *type = plex_header(ctx, "message-type");
    const char *sender = plex_header(ctx, "sender-id");
    const char *colour = plex_header(ctx, "x-colour");

    (void)snprintf(out, size,
                   "{\"kind\":%u,\"type\":\"%s\",\"sender\":\"%s\","
                   "\"colour\":\"%s\",\"priority\":%u,\"method\":\"%s\","
                   "\"path\":\"%s\",\"content\":\"%s\",\"len\":%d}",
                   (unsigned)msg->kind, type == NULL ? "" : type,
                   sender == NULL ? "" : sender, colour == NULL ? "" : colour,
                   (unsigned)msg->priority, msg->method, msg->path,
                   msg->content_type, (int)msg->len);
}

static int
take(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct box *box = plex_data(ctx), mine = {""};

    if (box == NULL)
        box = &mine;
    describe(ctx, msg, box->last, sizeof box->last);
    if (box == &mine)
        plex_state_put(ctx, box, sizeof *box);
    return 0;
}

static int
answer(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct box *box = plex_data(ctx), mine = {""};
    const char *action;
    char text[512];

    if (plex_json_text(ctx, "action", &action) != 1)
        action = "";
    if (strcmp(action, "last") == 0) {
        if (box == NULL) {
            box = &mine;
            (void)plex_state_get(ctx, box, sizeof *box);
        }
        plex_reply_json(ctx, "{\"last\":%s}",
                        box->last[0] == '\0' ? "null" : box->last);
    } else if (strcmp(action, "fail") == 0) {
        return plex_fail(ctx, "asked to fail");
    } else if (strcmp(action, "text") == 0) {
        plex_reply_status(ctx, 404, "text/plain", "nothing", 7);
        plex_reply_header(ctx, "X-Why", "because");
    } else if (strcmp(action, "sleep") == 0) {
        plex_sleep(ctx, 60000);
    } else {
        describe(ctx, msg, text, sizeof text);
        plex_reply_json(ctx, "%s", text);
    }
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "box",
     .handle_call = answer,
     .handle_cast = take,
     .handle_info = take},
    {.name = "clerk",
     .handle_call = answer,
     .handle_cast = take,
     .handle_info = take,
     .data_size = sizeof(struct box)},
    {0},
};
PLEX_MODULE(behaviours);
