#ifndef PLEXSPACES_REMINDER_H
#define PLEXSPACES_REMINDER_H

#include "actor.h"

#include <inttypes.h>

/*
 * Reminders: messages that an actor gets again and again, also after it has
 * left memory, its worker or this world. For once, plex_timer_set() of a
 * durable actor is enough and survives as well.
 *
 * A thin layer over the actor's reminders as TimerService knows them
 * (docs/schedules.md): `plexspaces reminder list TYPE/KEY` shows them. The
 * namespace must have them: `plexspaces workflow enable`. The actor gets a cast
 *   {"action":"reminder","reminder":NAME,"payload":P,"schedule":{...}}
 * never early, each once, in order; of what was missed while everything was
 * down, the last one only.
 */

enum { PLEX_REMINDER_NAME_MAX = 64, PLEX_REMINDER_TEXT_MAX = 2048 };

/* The key of the actor's reminders: 0, or fails the turn. */
static inline int
plex_reminder_key(struct plex_ctx *ctx, const char *name, char *out,
                  size_t size)
{
    const char *tenant, *ns, *type, *key = plex_self(ctx, &tenant, &ns, &type);
    const int len = snprintf(out, size, "%s.%s", type, key);

    if (name[0] == '\0' || strpbrk(name, "/\"\\") != NULL ||
        strlen(name) > PLEX_REMINDER_NAME_MAX)
        return plex_fail(ctx, "a reminder's name has 1 to 64 bytes, none of "
                              "them / \" \\");
    if (len < 0 || (size_t)len >= size)
        return plex_fail(ctx, "type and key of an actor with reminders may "
                              "have 254 bytes together");
    return 0;
}

/*
 * First after `first_ms` from now, then every `every_ms` (0: only once), at
 * most `max` times (0: no end). The same name again replaces it. `payload` is
 * JSON; NULL is null. Takes effect with the turn. Negative fails the turn.
 */
static inline int
plex_reminder_set(struct plex_ctx *ctx, const char *name, uint64_t first_ms,
                  uint64_t every_ms, uint64_t max, const char *payload)
{
    char key[256], text[PLEX_REMINDER_TEXT_MAX], every[64] = "";
    int len;

    if (plex_reminder_key(ctx, name, key, sizeof key) != 0)
        return -1;
    if (every_ms != 0)
        (void)snprintf(every, sizeof every, "\"interval_ms\":%" PRIu64 ",",
                       every_ms);
    len = snprintf(text, sizeof text,
                   "{\"action\":\"reminder.replace\",%s"
                   "\"delay_ms\":%" PRIu64 ",\"max_occurrences\":%" PRIu64
                   ",\"reminder_name\":\"%s\",\"callback_data\":%s}",
                   every, first_ms, max, name,
                   payload == NULL ? "null" : payload);
    if (len < 0 || (size_t)len >= sizeof text)
        return plex_fail(ctx, "a reminder's payload may have about 1 KiB");
    plex_cast(ctx, "actor-timers", key, text, (size_t)len);
    return 0;
}

/* One that is not there is no error. */
static inline int
plex_reminder_cancel(struct plex_ctx *ctx, const char *name)
{
    char key[256], text[200];

    if (plex_reminder_key(ctx, name, key, sizeof key) != 0)
        return -1;
    (void)snprintf(text, sizeof text,
                   "{\"action\":\"reminder.unregister\","
                   "\"reminder_name\":\"%s\"}",
                   name);
    plex_cast(ctx, "actor-timers", key, text, strlen(text));
    return 0;
}

#endif
