#ifndef PLEXSPACES_REMINDER_H
#define PLEXSPACES_REMINDER_H

#include "actor.h"

#include <inttypes.h>

/*
 * Reminders: messages that an actor gets again and again, also after it has
 * left memory, its worker or this world. For once, plex_timer_set() of a
 * durable actor is enough and survives as well.
 *
 * A thin layer over schedules (docs/schedules.md): a reminder is the schedule
 * "TYPE.KEY.NAME", seen and paused like any other. The namespace must run
 * them: `plexspaces workflow enable`. The actor gets a cast
 *   {"action":"reminder","reminder":NAME,"payload":P,"schedule":{...}}
 * never early, each once, in order; of what was missed while everything was
 * down, the last one only.
 */

enum { PLEX_REMINDER_NAME_MAX = 64, PLEX_REMINDER_TEXT_MAX = 2048 };

/* Inside a JSON text; false when there is no room. */
static inline bool
plex_reminder_escape(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (n + 3 > size)
            return false;
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
    return true;
}

/* "TYPE.KEY.NAME": 0, or fails the turn. */
static inline int
plex_reminder_id(struct plex_ctx *ctx, const char *name, char *out, size_t size)
{
    const char *tenant, *ns, *type, *key = plex_self(ctx, &tenant, &ns, &type);
    const int len = snprintf(out, size, "%s.%s.%s", type, key, name);

    if (name[0] == '\0' || strpbrk(name, "/\"\\") != NULL ||
        strlen(name) > PLEX_REMINDER_NAME_MAX)
        return plex_fail(ctx, "a reminder's name has 1 to 64 bytes, none of "
                              "them / \" \\");
    if (len < 0 || (size_t)len >= size)
        return plex_fail(ctx, "type, key and name of a reminder may have 200 "
                              "bytes together");
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
    const char *tenant, *ns, *type, *key = plex_self(ctx, &tenant, &ns, &type);
    char id[201], safe_key[520], text[PLEX_REMINDER_TEXT_MAX], when[128];
    const uint64_t at = plex_turn_ms(ctx) + first_ms;
    int len;

    if (plex_reminder_id(ctx, name, id, sizeof id) != 0)
        return -1;
    if (!plex_reminder_escape(key, safe_key, sizeof safe_key))
        return plex_fail(ctx, "the key is too long for a reminder");
    if (every_ms == 0)
        (void)snprintf(when, sizeof when, "\"at_ms\":%" PRIu64, at);
    else
        (void)snprintf(when, sizeof when,
                       "\"every_ms\":%" PRIu64 ",\"catch_up_ms\":%" PRIu64
                       ",\"start_at_ms\":%" PRIu64
                       ",\"max_occurrences\":%" PRIu64,
                       every_ms, every_ms, at, max);
    len = snprintf(text, sizeof text,
                   "{\"action\":\"update\",%s,\"actor\":\"%s/%s\","
                   "\"method\":\"reminder\",\"input\":{\"reminder\":\"%s\","
                   "\"payload\":%s}}",
                   when, type, safe_key, name,
                   payload == NULL ? "null" : payload);
    if (len < 0 || (size_t)len >= sizeof text)
        return plex_fail(ctx, "a reminder's payload may have about 1 KiB");
    plex_cast(ctx, "schedule", id, text, (size_t)len);
    return 0;
}

/* One that is not there is no error. */
static inline int
plex_reminder_cancel(struct plex_ctx *ctx, const char *name)
{
    static const char text[] = "{\"action\":\"delete\"}";
    char id[201];

    if (plex_reminder_id(ctx, name, id, sizeof id) != 0)
        return -1;
    plex_cast(ctx, "schedule", id, text, sizeof text - 1);
    return 0;
}

#endif
