/* Schedules: what is due, and what to do about it. */
#include "workflow/cron.h"

enum { WAITING_MAX = 1000 };

/* The first of start + n * every after `after`. */
static int64_t
next_interval(const struct flow_schedule *s, int64_t after)
{
    int64_t since, steps, next;

    if (s->every_ms < 1)
        return INT64_MAX;
    if (after < s->start_ms)
        return s->start_ms;
    since = after - s->start_ms;
    steps = since / s->every_ms + 1;
    if (__builtin_mul_overflow(steps, s->every_ms, &next) ||
        __builtin_add_overflow(next, s->start_ms, &next))
        return INT64_MAX;
    return next;
}

int64_t
flow_schedule_next(const struct flow_schedule *s, const struct flow_zone *zone,
                   int64_t after_ms)
{
    int64_t next;

    if (s->by_cron) {
        if (s->start_ms > 0 && after_ms < s->start_ms - 1)
            after_ms = s->start_ms - 1;
        next = flow_cron_next(&s->cron, zone, after_ms);
    } else {
        next = next_interval(s, after_ms);
    }
    return s->end_ms > 0 && next >= s->end_ms ? INT64_MAX : next;
}

int64_t
flow_schedule_due(const struct flow_schedule *s, int64_t nominal_ms,
                  uint64_t seed)
{
    uint64_t z = (uint64_t)nominal_ms + seed * 0x9E3779B97F4A7C15ULL;

    if (s->jitter_ms <= 0)
        return nominal_ms;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    return nominal_ms + (int64_t)(z % ((uint64_t)s->jitter_ms + 1));
}

enum flow_firing
flow_schedule_fire(const struct flow_schedule *s,
                   struct flow_schedule_state *state, int64_t nominal_ms,
                   int64_t now_ms)
{
    state->last_ms = nominal_ms;
    if (s->catchup_ms > 0 && now_ms - nominal_ms > s->catchup_ms)
        return FLOW_FIRE_SKIP;
    if (s->max_count > 0 && state->count >= s->max_count)
        return FLOW_FIRE_SKIP;
    if (state->running == 0 || s->overlap == FLOW_OVERLAP_ALLOW) {
        state->running++;
        state->count++;
        return FLOW_FIRE_START;
    }
    if (s->overlap == FLOW_OVERLAP_SKIP ||
        (s->overlap == FLOW_OVERLAP_BUFFER_ONE && state->waiting > 0) ||
        state->waiting == WAITING_MAX)
        return FLOW_FIRE_SKIP;
    state->count++;
    if (s->overlap == FLOW_OVERLAP_CANCEL)
        return FLOW_FIRE_REPLACE;
    state->waiting++;
    return FLOW_FIRE_WAIT;
}

bool
flow_schedule_ended(const struct flow_schedule *s,
                    struct flow_schedule_state *state)
{
    (void)s;
    if (state->running > 0)
        state->running--;
    if (state->running > 0 || state->waiting == 0)
        return false;
    state->waiting--;
    state->running++;
    return true;
}

size_t
flow_schedule_between(const struct flow_schedule *s,
                      const struct flow_zone *zone, int64_t from_ms,
                      int64_t to_ms, int64_t *out, size_t max)
{
    int64_t at = from_ms - 1;
    size_t count = 0;

    while (count < max) {
        at = flow_schedule_next(s, zone, at);
        if (at >= to_ms)
            break;
        out[count++] = at;
    }
    return count;
}
