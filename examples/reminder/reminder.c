/*
 * A plant that wants water: it is reminded again and again, for as long as it
 * is in the pot, whoever is killed meanwhile. {"action":"pot","every_ms":N},
 * {"action":"get"}, {"action":"remove"}.
 */
#include <plexspaces/reminder.h>

#include <string.h>

struct plant {
    int64_t watered;
};

static int
plant_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plant plant = {0};
    const char *action;
    int64_t every;

    (void)msg;
    (void)plex_state_get(ctx, &plant, sizeof plant);
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "";
    if (strcmp(action, "pot") == 0) {
        if (plex_json_int(ctx, "every_ms", &every) != 1 || every <= 0) {
            plex_reply_problem(ctx, 400, "every_ms must be positive");
            return 0;
        }
        if (plex_reminder_set(ctx, "water", (uint64_t)every, (uint64_t)every, 0,
                              "{\"litres\":1}") != 0)
            return -1;
    } else if (strcmp(action, "reminder") == 0) {
        plant.watered++;
        plex_state_put(ctx, &plant, sizeof plant);
    } else if (strcmp(action, "remove") == 0) {
        if (plex_reminder_cancel(ctx, "water") != 0)
            return -1;
    }
    plex_reply_json(ctx, "{\"watered\":%" PRId64 "}", plant.watered);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "plant", .handle_call = plant_handle},
    {0},
};
PLEX_MODULE(behaviours);
