/*
 * Topics as process groups: readers join those that their arguments name, an
 * editor publishes, an archivist watches who comes and goes.
 *
 * Calls to editor:
 *   {"topic":"news","text":"..."}   {"readers":2}
 * Calls to reader1, reader2, reader3:
 *   {"action":"read"}               {"read":[...]}
 *   {"action":"leave","topic":"news"} and "join"
 * Calls to archivist: {"joined":...,"left":...} of the group news.
 */
#include <plexspaces/group.h>

enum { READ_MAX = 8, TEXT_MAX = 100 };

struct reader {
    uint32_t count;
    char read[READ_MAX][TEXT_MAX];
};

/* A name in the arguments {"topics":"news sport"}. */
static int
reader_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    static const char field[] = "\"topics\":\"";
    char text[256], *at, *end, *save = NULL;

    if (len >= sizeof text)
        return plex_fail(ctx, "the arguments are too long");
    memcpy(text, args, len);
    text[len] = '\0';
    at = strstr(text, field);
    if (at == NULL || (end = strchr(at += sizeof field - 1, '"')) == NULL)
        return plex_fail(ctx, "args want {\"topics\": NAMES}");
    *end = '\0';
    for (at = strtok_r(at, " ", &save); at != NULL;
         at = strtok_r(NULL, " ", &save)) {
        if (plex_group_join(ctx, at) != 0)
            return plex_fail(ctx, "could not join");
    }
    return 0;
}

/* Something was published. */
static int
reader_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct reader *own = plex_data(ctx);

    (void)snprintf(own->read[own->count++ % READ_MAX], TEXT_MAX, "%.*s",
                   (int)msg->len, (const char *)msg->payload);
    return 0;
}

static void
reader_tell(struct plex_ctx *ctx, const struct reader *own)
{
    char out[READ_MAX * (TEXT_MAX + 4) + 16];
    uint32_t from = own->count > READ_MAX ? own->count - READ_MAX : 0;
    size_t used = 0;

    out[0] = '\0';
    for (uint32_t i = from; i < own->count; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s\"%s\"",
                                 i == from ? "" : ",", own->read[i % READ_MAX]);
    plex_reply_json(ctx, "{\"read\":[%s]}", out);
}

static int
reader_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action = "read", *topic = "";
    int status = 0;

    (void)msg;
    (void)plex_json_text(ctx, "action", &action);
    (void)plex_json_text(ctx, "topic", &topic);
    if (strcmp(action, "join") == 0)
        status = plex_group_join(ctx, topic);
    else if (strcmp(action, "leave") == 0)
        status = plex_group_leave(ctx, topic);
    if (status == 0)
        reader_tell(ctx, plex_data(ctx));
    else
        plex_reply_problem(ctx, 409, "could not %s %s", action, topic);
    return 0;
}

static bool
is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
            return false;
    }
    return true;
}

static int
editor_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *topic, *text;

    (void)msg;
    if (plex_json_text(ctx, "topic", &topic) != 1 ||
        plex_json_text(ctx, "text", &text) != 1 || !is_plain(text)) {
        plex_reply_problem(ctx, 400, "topic and text, without quotes");
        return 0;
    }
    plex_reply_json(ctx, "{\"readers\":%zu}",
                    plex_group_publish(ctx, topic, 0, text, strlen(text)));
    return 0;
}

struct archivist {
    unsigned joined, left;
};
static int
archivist_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args;
    (void)len;
    return plex_group_monitor(ctx, "news", true);
}
static int
archivist_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct archivist *own = plex_data(ctx);

    if (msg->kind == PLEX_MSG_GROUP && msg->tag == 1)
        own->joined++;
    else if (msg->kind == PLEX_MSG_GROUP)
        own->left++;
    return 0;
}
static int
archivist_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct archivist *own = plex_data(ctx);

    (void)msg;
    plex_reply_json(ctx, "{\"joined\":%u,\"left\":%u}", own->joined, own->left);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "reader",
     .init = reader_init,
     .handle_call = reader_call,
     .handle_cast = reader_cast,
     .data_size = sizeof(struct reader)},
    {.name = "editor", .handle_call = editor_call},
    {.name = "archivist",
     .init = archivist_init,
     .handle_call = archivist_call,
     .handle_info = archivist_info,
     .data_size = sizeof(struct archivist)},
    {0},
};
PLEX_MODULE(behaviours);
