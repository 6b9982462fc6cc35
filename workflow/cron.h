#ifndef WORKFLOW_CRON_H
#define WORKFLOW_CRON_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Schedules as arithmetic: cron expressions, time zones, what is due.
 *
 * A time zone is data: the bytes of a TZif file, read by whoever may read
 * files, parsed here.
 */
struct flow_zone;

/* The contents of e.g. Europe/Berlin's TZif file (version 1 to 4). */
PLEX_MUST_USE enum plex_status flow_zone_parse(const void *data, size_t len,
                                               struct flow_zone **out,
                                               struct plex_err *err);
/* "UTC" or a fixed offset, "+05:30". */
PLEX_MUST_USE enum plex_status flow_zone_fixed(const char *text,
                                               struct flow_zone **out,
                                               struct plex_err *err);
void flow_zone_free(struct flow_zone *zone);
/* Seconds east of UTC at a moment (seconds since 1970, UTC). */
int32_t flow_zone_offset(const struct flow_zone *zone, int64_t utc_s);

/*
 * Five fields (minute hour day month weekday) or six (second first); "*",
 * lists, ranges, steps, names (JAN, MON), 7 for Sunday, "L" as the last day,
 * "MON#2" as the second Monday, "FRIL" as the last Friday, "?" as "*";
 * @yearly @monthly @weekly @daily @hourly. As in cron(8), when both day and
 * weekday are restricted either may match.
 */
struct flow_cron {
    uint64_t seconds, minutes; /* bit n: the n-th */
    uint32_t hours, days, months;
    uint8_t weekdays;
    uint8_t weekday_nth[7]; /* bit n: the n-th of the month, bit 7: last */
    bool last_day;
    bool any_day, any_weekday; /* the field was "*" */
    bool any_hour;             /* runs through hours that a change repeats */
};
PLEX_MUST_USE enum plex_status flow_cron_parse(const char *text,
                                               struct flow_cron *out,
                                               struct plex_err *err);

/*
 * The first moment after `after_ms` that matches, in `zone`; INT64_MAX if
 * there is none within 30 years. A moment that a change of clocks skips
 * (02:30 in spring) is run when the gap ends; one that occurs twice (02:30 in
 * autumn) is run the first time only, unless the hour is "*".
 */
int64_t flow_cron_next(const struct flow_cron *cron,
                       const struct flow_zone *zone, int64_t after_ms);

/* -- schedules ------------------------------------------------------------- */
enum flow_overlap {
    FLOW_OVERLAP_SKIP,       /* while one runs, others are left out */
    FLOW_OVERLAP_BUFFER_ONE, /* one waits */
    FLOW_OVERLAP_BUFFER_ALL, /* all wait, in order */
    FLOW_OVERLAP_ALLOW,      /* all run */
    FLOW_OVERLAP_CANCEL      /* the running one is cancelled */
};

struct flow_schedule {
    bool by_cron; /* else every `every_ms` from `start_ms` */
    struct flow_cron cron;
    int64_t every_ms;
    int64_t start_ms;   /* nothing before; 0: no bound */
    int64_t end_ms;     /* nothing at or after; 0: no bound */
    int64_t catchup_ms; /* missed ones older than this are left out; 0: none */
    int64_t jitter_ms;  /* each is late by 0..jitter, by its own time */
    uint64_t max_count; /* 0: no bound */
    enum flow_overlap overlap;
};

/* The first nominal time after `after_ms`; INT64_MAX: never again. */
int64_t flow_schedule_next(const struct flow_schedule *s,
                           const struct flow_zone *zone, int64_t after_ms);
/* When to wake for it: nominal plus its jitter (a hash of nominal and seed). */
int64_t flow_schedule_due(const struct flow_schedule *s, int64_t nominal_ms,
                          uint64_t seed);

struct flow_schedule_state {
    int64_t last_ms; /* the newest nominal time dealt with */
    uint64_t count;  /* started so far */
    uint32_t running;
    uint32_t waiting; /* buffered, not started */
};

enum flow_firing {
    FLOW_FIRE_START,
    FLOW_FIRE_WAIT,
    FLOW_FIRE_SKIP,
    FLOW_FIRE_REPLACE
};

/* What to do with one nominal time, given what runs; `state` moves on. A
 * missed one older than the catch-up window is FLOW_FIRE_SKIP. */
enum flow_firing flow_schedule_fire(const struct flow_schedule *s,
                                    struct flow_schedule_state *state,
                                    int64_t nominal_ms, int64_t now_ms);
/* One of the running ended: true if a waiting one starts now. */
bool flow_schedule_ended(const struct flow_schedule *s,
                         struct flow_schedule_state *state);

/* Nominal times in [from_ms, to_ms), at most `max`, for a backfill. */
size_t flow_schedule_between(const struct flow_schedule *s,
                             const struct flow_zone *zone, int64_t from_ms,
                             int64_t to_ms, int64_t *out, size_t max);

#endif
