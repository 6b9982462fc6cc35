/* Runs that call runs, as tests/e2e/cancel.sh wants them. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <stdio.h>
#include <string.h>

/* A line at the end of a file: an effect that can be counted. */
static int
note_effect(struct plex_ctx *ctx, void *arg)
{
    const char *what = arg, *path;
    FILE *file;

    if (plex_json_text(ctx, "file", &path) != 1 ||
        (file = fopen(path, "a")) == NULL) {
        plex_effect_error(ctx, "the file cannot be opened");
        return 7;
    }
    (void)fprintf(file, "%s %s\n", what, plex_self(ctx, NULL, NULL, NULL));
    (void)fclose(file);
    return 0;
}

/* {"file":F,"to":"b,c"}: notes, calls tree/b which calls tree/c, which waits
 * for "go"; all undo what they did when they are cancelled. */
static int
tree_work(struct plex_ctx *ctx, struct plex_saga *saga)
{
    const char *to = "", *path = "", *rest;
    struct plex_value value;
    char text[700], key[64];
    int len;

    (void)plex_json_text(ctx, "to", &to);
    (void)plex_json_text(ctx, "file", &path);
    if (plex_run(ctx, "do", note_effect, "do", NULL, NULL) != 0)
        return -1;
    (void)plex_saga_add(saga, "undo", note_effect, "undo");
    if (to[0] == '\0')
        return plex_wait_signal(ctx, "go", 0, &value);
    rest = strchr(to, ',');
    (void)snprintf(key, sizeof key, "%.*s",
                   rest == NULL ? (int)strlen(to) : (int)(rest - to), to);
    len = snprintf(text, sizeof text, "{\"file\":\"%s\",\"to\":\"%s\"}", path,
                   rest == NULL ? "" : rest + 1);
    return plex_call_wait(ctx, "tree", key, text, (size_t)len, 0, &value);
}

static int
tree_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_saga saga = {0};

    (void)msg;
    if (tree_work(ctx, &saga) != 0) {
        (void)plex_saga_undo(ctx, &saga);
        return plex_fail(ctx, "cancelled");
    }
    plex_reply_json(ctx, "{\"status\":\"done\"}");
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "tree", .handle_call = tree_handle},
    {0},
};
PLEX_MODULE(behaviours);
