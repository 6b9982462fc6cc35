/* A table of dice, as tests/e2e/replay.sh wants it. With -DLOADED its dice are
 * others, with -DEAGER it asks for more, with -DBROKEN it crashes when it is
 * asked for a game that there is not. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct table {
    int64_t rolls, sum, last_ms;
};

/* A line at the end of a file: to see that no replay does it again. */
static int
note_effect(struct plex_ctx *ctx, void *arg)
{
    FILE *file = fopen(arg, "a");

    if (file == NULL)
        return 7;
    (void)fprintf(file, "noted\n");
    (void)fclose(file);
    plex_effect_result(ctx, "noted", 5);
    return 0;
}

static int
die(struct plex_ctx *ctx)
{
    uint8_t random;

    plex_turn_random(ctx, &random, sizeof random);
#ifdef LOADED
    return 7; /* never recorded */
#else
    return random % 6 + 1;
#endif
}

static int
roll(struct plex_ctx *ctx, struct table *table)
{
    const char *who = plex_header(ctx, "x-player");
    const int first = die(ctx), second = die(ctx);

    table->rolls++;
    table->sum += first + second;
    table->last_ms = (int64_t)plex_turn_ms(ctx);
    plex_state_put(ctx, table, sizeof *table);
    plex_timer_set(ctx, "dust", 3600000, "d", 1);
#ifdef EAGER
    plex_timer_set(ctx, "more", 1000, "m", 1);
#endif
    plex_reply_json(ctx,
                    "{\"who\":\"%s\",\"dice\":[%d,%d],\"sum\":%" PRId64 "}",
                    who == NULL ? "" : who, first, second, table->sum);
    return 0;
}

/* Notes into the file, without waiting for anything. */
static int
note(struct plex_ctx *ctx, const char *file, struct table *table)
{
    if (plex_run(ctx, "note", note_effect, (void *)(uintptr_t)file, NULL,
                 NULL) != 0)
        return plex_fail(ctx, "it could not be noted");
    table->rolls++;
    plex_state_put(ctx, table, sizeof *table);
    plex_reply_json(ctx, "{\"noted\":true}");
    return 0;
}

/* Notes, sleeps, waits for somebody, notes. */
static int
tour(struct plex_ctx *ctx, const char *file, struct table *table)
{
    struct plex_value value;

    if (plex_run(ctx, "begin", note_effect, (void *)(uintptr_t)file, NULL,
                 NULL) != 0 ||
        plex_durable_sleep(ctx, 20) != 0 ||
#ifdef EAGER
        plex_durable_sleep(ctx, 30) != 0 ||
#endif
        plex_wait_signal(ctx, "go", 0, &value) != 0 ||
        plex_run(ctx, "end", note_effect, (void *)(uintptr_t)file, NULL,
                 NULL) != 0)
        return plex_fail(ctx, "the tour was cancelled");
    table->sum += atoi(value.data);
    plex_state_put(ctx, table, sizeof *table);
    plex_reply_json(ctx, "{\"sum\":%" PRId64 "}", table->sum);
    return 0;
}

static int
dice_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct table table = {0};
    const char *action = "", *file = "";

    (void)msg;
    (void)plex_state_get(ctx, &table, sizeof table);
    (void)plex_json_text(ctx, "action", &action);
    (void)plex_json_text(ctx, "file", &file);
    if (strcmp(action, "roll") == 0)
        return roll(ctx, &table);
    if (strcmp(action, "note") == 0)
        return note(ctx, file, &table);
    if (strcmp(action, "tour") == 0)
        return tour(ctx, file, &table);
#ifdef BROKEN
    __builtin_trap();
#endif
    return plex_fail(ctx, "there is no such game");
}

static const struct plex_behaviour behaviours[] = {
    {.name = "dice", .handle_call = dice_handle},
    {0},
};
PLEX_MODULE(behaviours);
