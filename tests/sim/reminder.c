#include "tests/sim/reminder.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 2, KEYS = 2, LIVE_MAX = 8, ID_MAX = 80 };

struct reminder {
    bool live;
    char kept[ID_MAX]; /* its id in the journal */
    char id[ID_MAX];   /* of its message */
    char name[16];
    uint64_t due_ms;
};
struct sim_reminders {
    struct reminder of[KEYS][LIVE_MAX];
    struct plex_arena arena;
};

struct sim_reminders *
sim_reminders_create(void)
{
    struct sim_reminders *reminders = plex_calloc(1, sizeof *reminders);

    plex_arena_init(&reminders->arena, 1 << 20);
    return reminders;
}

void
sim_reminders_free(struct sim_reminders *reminders)
{
    plex_arena_fini(&reminders->arena);
    free(reminders);
}

bool
sim_reminder_is(int key)
{
    return key >= FIRST && key < FIRST + KEYS;
}

bool
sim_reminder_output(uint32_t number, struct work_output *out)
{
    static const char *const names[] = {"one", "two", "three"};

    *out = (struct work_output){.kind = number % 4 == 0 ? WORK_OUT_TIMER_CANCEL
                                                        : WORK_OUT_TIMER_SET,
                                .timer = names[number / 4 % 3],
                                .delay_ms = 30 + number * 7919 % 1500};
    return number % 16 != 1;
}

static void
id_copy(char out[ID_MAX], struct plex_bytes id)
{
    assert(id.len < ID_MAX);
    memcpy(out, id.data, id.len);
    out[id.len] = '\0';
}

static struct reminder *
find(struct sim *sim, int key, struct plex_bytes id, bool kept)
{
    char text[ID_MAX];

    if (id.len >= ID_MAX)
        return NULL;
    id_copy(text, id);
    for (int i = 0; i < LIVE_MAX; i++) {
        struct reminder *r = &sim->reminders->of[key - FIRST][i];

        if (r->live && strcmp(kept ? r->kept : r->id, text) == 0)
            return r;
    }
    return NULL;
}

void
sim_reminder_came(struct sim *sim, const struct sim_node *node, int key,
                  const struct work_message *message)
{
    const struct reminder *r = find(sim, key, message->id, false);
    const uint64_t wall_ms = sim_wall(sim, node);

    /* Not live: its turn will be refused. The clock may just have been set. */
    if (r != NULL && wall_ms < r->due_ms && node->wall_before_ms < r->due_ms)
        sim_fail(sim, key, "G6: timer %s comes %" PRIu64 " ms early",
                 message->timer, r->due_ms - wall_ms);
}

static void
made(struct sim *sim, int key, const struct journal_pending *pending)
{
    struct reminder *r = find(sim, key, pending->id, true);
    struct work_message message;
    struct plex_err err;

    for (int i = 0; r == NULL && i < LIVE_MAX; i++)
        if (!sim->reminders->of[key - FIRST][i].live)
            r = &sim->reminders->of[key - FIRST][i];
    assert(r != NULL); /* there are fewer names */
    plex_arena_reset(&sim->reminders->arena);
    if (work_message_unpack(pending->message, &sim->reminders->arena, &message,
                            &err) != PLEX_OK) {
        sim_fail(sim, key, "G6: a timer does not decode: %s", err.text);
        return;
    }
    r->live = true;
    r->due_ms = pending->due_ms;
    id_copy(r->kept, pending->id);
    id_copy(r->id, message.id);
    (void)snprintf(r->name, sizeof r->name, "%s", message.timer);
}

static void
ended(struct sim *sim, int key, const char *name)
{
    for (int i = 0; i < LIVE_MAX; i++)
        if (strcmp(sim->reminders->of[key - FIRST][i].name, name) == 0)
            sim->reminders->of[key - FIRST][i].live = false;
}

/* "<actor, 16 digits>:<seq>:<n>": of a timer, as opposed to a client's. */
static bool
is_made_here(struct plex_bytes id)
{
    for (size_t i = 0; i < 16 && i < id.len; i++)
        if (memchr("0123456789abcdef", id.data[i], 16) == NULL)
            return false;
    return id.len > 17 && id.data[16] == ':';
}

void
sim_reminder_committed(struct sim *sim, int key,
                       const struct journal_entry *entry)
{
    struct work_output output;
    struct reminder *r;
    uint32_t number;

    if (entry->kind != JOURNAL_TURN)
        return;
    r = find(sim, key, entry->message_id, false);
    if (r == NULL && is_made_here(entry->message_id))
        sim_fail(
            sim, key,
            "G6: timer %.*s comes, but was cancelled, replaced or has come "
            "before",
            (int)entry->message_id.len, (const char *)entry->message_id.data);
    if (r != NULL)
        r->live = false;
    /* What the turn wanted, whatever its entry says of it. */
    if (entry->has_state) {
        memcpy(&number, entry->state.data + entry->state.len - sizeof number,
               sizeof number);
        if (sim_reminder_output(number, &output))
            ended(sim, key, output.timer);
    }
    for (size_t i = 0; i < entry->n_pending; i++)
        made(sim, key, &entry->pending[i]);
}

bool
sim_reminders_quiet(const struct sim *sim)
{
    for (int key = 0; key < KEYS; key++)
        for (int i = 0; i < LIVE_MAX; i++)
            if (sim->reminders->of[key][i].live)
                return false;
    return true;
}

void
sim_reminders_end(struct sim *sim)
{
    for (int key = 0; key < KEYS; key++)
        for (int i = 0; i < LIVE_MAX; i++)
            if (sim->reminders->of[key][i].live)
                sim_fail(sim, key + FIRST, "G6: timer %s never came",
                         sim->reminders->of[key][i].id);
}
