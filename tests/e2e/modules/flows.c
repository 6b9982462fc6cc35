/* Handlers that wait, as tests/e2e/durable.sh wants them. With -DNEWER the
 * code asks for something else than older runs have recorded. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct note {
    const char *file, *line;
};

/* A line at the end of a file: an effect that can be counted. */
static int
note_effect(struct plex_ctx *ctx, void *arg)
{
    const struct note *note = arg;
    FILE *file = fopen(note->file, "a");

    if (file == NULL) {
        plex_effect_error(ctx, "the file cannot be opened");
        return 7;
    }
    (void)fprintf(file, "%s\n", note->line);
    (void)fclose(file);
    plex_effect_result(ctx, note->line, strlen(note->line));
    return 0;
}

/* {"file":F}: notes "a", sleeps, notes "b". */
static int
twice_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_retry retry = {.attempts = 2, .initial_ms = 10};
    struct note note;
    int64_t ms = 500;

    (void)msg;
    if (plex_json_text(ctx, "file", &note.file) != 1)
        return plex_fail(ctx, "file is missing");
    (void)plex_json_int(ctx, "ms", &ms);
    note.line = "a";
    if (plex_run(ctx, "first", note_effect, &note, &retry, NULL) != 0)
        return plex_fail(ctx, "cancelled before the first");
#ifdef NEWER
    if (plex_run(ctx, "between", note_effect, &note, &retry, NULL) != 0)
        return plex_fail(ctx, "cancelled in between");
#endif
#ifdef SHORTER
    return 0;
#endif
    if (plex_durable_sleep(ctx, (uint64_t)ms) == PLEX_E_CANCELLED) {
        plex_reply_json(ctx, "{\"status\":\"cancelled\"}");
        return 0;
    }
    note.line = "b";
    if (plex_run(ctx, "second", note_effect, &note, &retry, NULL) != 0)
        return plex_fail(ctx, "cancelled before the second");
    plex_state_put(ctx, "done", 4);
    plex_reply_json(ctx, "{\"status\":\"done\"}");
    return 0;
}

/* Waits for "go" twice, in order. */
static int
signals_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value one, two;

    (void)msg;
    if (plex_wait_signal(ctx, "go", 0, &one) != 0 ||
        plex_wait_signal(ctx, "go", 0, &two) != 0)
        return plex_fail(ctx, "cancelled");
    plex_reply_json(ctx, "[%.*s,%.*s]", (int)one.len, (const char *)one.data,
                    (int)two.len, (const char *)two.data);
    return 0;
}

/* {"left":N,"file":F}: notes, waits for "next", and begins anew until nothing
 * is left; the state counts, and what the signals bring is added up. */
static int
epochs_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t left = 0, sums[2] = {0, 0}; /* of epochs, of signals */
    struct plex_value value;
    struct note note;
    char line[32], next[700];
    int len;

    (void)msg;
    if (plex_json_text(ctx, "file", &note.file) != 1)
        return plex_fail(ctx, "file is missing");
    (void)plex_json_int(ctx, "left", &left);
    (void)plex_state_get(ctx, sums, sizeof sums);
    (void)snprintf(line, sizeof line, "%d", (int)left);
    note.line = line;
    if (plex_run(ctx, "note", note_effect, &note, NULL, NULL) != 0 ||
        plex_wait_signal(ctx, "next", 0, &value) != 0)
        return plex_fail(ctx, "cancelled");
    sums[0]++;
    sums[1] += atoi(value.data);
    plex_state_put(ctx, sums, sizeof sums);
    if (left == 0) {
        plex_reply_json(ctx, "{\"epochs\":%d,\"sum\":%d}", (int)sums[0],
                        (int)sums[1]);
        return 0;
    }
    len = snprintf(next, sizeof next, "{\"left\":%d,\"file\":\"%s\"}",
                   (int)left - 1, note.file);
    return plex_continue_as_new(ctx, next, (size_t)len);
}

/* {"file":F}: casts to twice/KEY-1, waits for "go", casts to twice/KEY-2, has
 * an effect, waits for "go" again: each of the two notes once. */
static int
tells_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value value;
    struct note note = {.line = "told"};
    char text[700], key[100];
    int len;

    (void)msg;
    if (plex_json_text(ctx, "file", &note.file) != 1)
        return plex_fail(ctx, "file is missing");
    for (int i = 1; i <= 2; i++) {
        len = snprintf(text, sizeof text, "{\"file\":\"%s.%d\",\"ms\":1}",
                       note.file, i);
        (void)snprintf(key, sizeof key, "%s-%d",
                       plex_self(ctx, NULL, NULL, NULL), i);
        plex_cast(ctx, "twice", key, text, (size_t)len);
        if ((i == 2 &&
             plex_run(ctx, "note", note_effect, &note, NULL, NULL) != 0) ||
            plex_wait_signal(ctx, "go", 0, &value) != 0)
            return plex_fail(ctx, "cancelled");
    }
    return 0;
}

static int
vain_effect(struct plex_ctx *ctx, void *arg)
{
    (void)note_effect(ctx, arg);
    plex_effect_error(ctx, "in vain");
    return 9;
}

/* {"file":F,"attempts":N,"ms":M}: notes each attempt of an effect that fails,
 * and whether it was cancelled. */
static int
tries_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_retry retry = {.factor_pct = 100, .jitter_pct = 1};
    struct note note = {.line = "try"};
    int64_t attempts = 3, ms = 100;

    (void)msg;
    if (plex_json_text(ctx, "file", &note.file) != 1)
        return plex_fail(ctx, "file is missing");
    (void)plex_json_int(ctx, "attempts", &attempts);
    (void)plex_json_int(ctx, "ms", &ms);
    retry.attempts = (uint32_t)attempts;
    retry.initial_ms = (uint32_t)ms;
    return plex_fail(ctx, plex_run(ctx, "vain", vain_effect, &note, &retry,
                                   NULL) == PLEX_E_CANCELLED
                              ? "cancelled"
                              : "failed");
}

static const struct plex_behaviour behaviours[] = {
    {.name = "twice", .handle_call = twice_handle},
    {.name = "signals", .handle_call = signals_handle},
    {.name = "epochs", .handle_call = epochs_handle},
    {.name = "tells", .handle_call = tells_handle},
    {.name = "tries", .handle_call = tries_handle},
    {0},
};
PLEX_MODULE(behaviours);
