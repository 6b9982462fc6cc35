/*
 * A chat room: everyone in it is a supervised process and a member of the
 * process group "lobby", on whatever worker it runs. Calls:
 *
 *   {"action":"say","text":"hello"}   to everyone, also on other workers
 *   {"action":"read"}                 what this one has heard, the last 16
 *   {"action":"who"}                  how many are in the room
 *   {"action":"visit"}                ask the virtual actor counter/lobby, of
 * the counter example, to count one more
 *   {"action":"crash"}                and be restarted, having forgotten all
 */
#include <plexspaces/group.h>

#include <inttypes.h>

enum { HEARD_MAX = 16, LINE_MAX = 200 };

struct guest {
    char nick[32];
    uint64_t count;
    char heard[HEARD_MAX][LINE_MAX];
};

/* The value of "nick" in {"nick":"..."}: the manifest's args. */
static void
nick_of(const char *args, size_t len, char *out, size_t size)
{
    static const char field[] = "\"nick\":\"";
    const char *at = len == 0 ? NULL : strstr(args, field);
    size_t n = 0;

    if (at != NULL)
        for (at += sizeof field - 1; *at != '\0' && *at != '"'; at++)
            if (n + 1 < size)
                out[n++] = *at;
    out[n] = '\0';
}

static int
guest_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct guest *guest = plex_data(ctx);
    char text[256];

    if (len >= sizeof text)
        return plex_fail(ctx, "the arguments are too long");
    memcpy(text, args, len);
    text[len] = '\0';
    nick_of(text, len, guest->nick, sizeof guest->nick);
    if (guest->nick[0] == '\0')
        return plex_fail(ctx, "args want {\"nick\": NAME}");
    return plex_group_join(ctx, "lobby");
}

/* Somebody said something, perhaps this one. */
static int
guest_heard(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct guest *guest = plex_data(ctx);
    char *line = guest->heard[guest->count++ % HEARD_MAX];

    (void)snprintf(line, LINE_MAX, "%.*s", (int)msg->len,
                   (const char *)msg->payload);
    return 0;
}

static void
say(struct plex_ctx *ctx)
{
    struct guest *guest = plex_data(ctx);
    const char *text;
    char line[LINE_MAX];
    int len;

    if (plex_json_text(ctx, "text", &text) != 1) {
        plex_reply_problem(ctx, 400, "text is missing");
        return;
    }
    for (const char *at = text; *at != '\0'; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20) {
            plex_reply_problem(ctx, 400, "say it without quotes");
            return;
        }
    len = snprintf(line, sizeof line, "%s: %s", guest->nick, text);
    len = len < LINE_MAX ? len : LINE_MAX - 1;
    plex_reply_json(ctx, "{\"heard_by\":%zu}",
                    plex_group_publish(ctx, "lobby", 0, line, (size_t)len));
}

static void
read_out(struct plex_ctx *ctx)
{
    const struct guest *guest = plex_data(ctx);
    const uint64_t from =
        guest->count > HEARD_MAX ? guest->count - HEARD_MAX : 0;
    char out[HEARD_MAX * (LINE_MAX + 4) + 64];
    size_t used = 0;

    for (uint64_t i = from; i < guest->count; i++)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%s\"%s\"",
                             i == from ? "" : ",", guest->heard[i % HEARD_MAX]);
    out[used] = '\0';
    plex_reply_json(ctx, "{\"nick\":\"%s\",\"heard\":[%s]}", guest->nick, out);
}

/* Another actor is asked; other processes run while this one waits. */
static void
visit(struct plex_ctx *ctx)
{
    static const char more[] = "{\"action\":\"increment\"}";
    struct plex_msg answer;
    const int status = plex_ask(ctx, plex_whereis(ctx, "counter/lobby"), 0,
                                more, sizeof more - 1, 5000, &answer);

    if (status == 0)
        plex_reply(ctx, "application/json", answer.payload, answer.len);
    else
        plex_reply_problem(ctx, 503, "the counter did not answer");
}

static int
guest_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;

    (void)msg;
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "";
    if (strcmp(action, "say") == 0)
        say(ctx);
    else if (strcmp(action, "read") == 0)
        read_out(ctx);
    else if (strcmp(action, "who") == 0)
        plex_reply_json(ctx, "{\"in_the_room\":%zu}",
                        plex_group_members(ctx, "lobby", false, NULL, 0));
    else if (strcmp(action, "visit") == 0)
        visit(ctx);
    else if (strcmp(action, "crash") == 0)
        return plex_fail(ctx, "asked to crash");
    else
        plex_reply_problem(ctx, 400,
                           "action is say, read, who, visit or crash");
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "guest",
     .data_size = sizeof(struct guest),
     .init = guest_init,
     .handle_call = guest_call,
     .handle_cast = guest_heard},
    {0},
};
PLEX_MODULE(behaviours);
