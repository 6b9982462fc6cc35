/* Cron expressions: reading them, and the next local time that matches. */
#include "workflow/cron.h"

#include "workflow/cron_private.h"
#include "workflow/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YEARS_MAX = 30 };

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of `min`, and so on */
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY",
                                          "JUN", "JUL", "AUG", "SEP", "OCT",
                                          "NOV", "DEC", NULL};
static const char *const day_names[] = {"SUN", "MON", "TUE", "WED",
                                        "THU", "FRI", "SAT", NULL};
static const struct field fields[] = {
    {"second", 0, 59, NULL},       {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},         {"day", 1, 31, NULL},
    {"month", 1, 12, month_names}, {"weekday", 0, 7, day_names},
};
enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static enum plex_status
wrong(const struct field *f, struct plex_err *err, const char *item,
      const char *what)
{
    return plex_err_set(err, PLEX_INVALID, "cron field %s: '%.32s' %s", f->name,
                        item, what);
}

/* A number or a name; moves on. */
static bool
take_value(const struct field *f, const char **at, int *out)
{
    char *end;

    if (isdigit((unsigned char)**at)) {
        *out = (int)strtol(*at, &end, 10);
        if (end - *at > 4)
            return false;
        *at = end;
        return *out >= f->min && *out <= f->max;
    }
    for (int i = 0; f->names != NULL && f->names[i] != NULL; i++) {
        if (strncasecmp(*at, f->names[i], 3) == 0 &&
            (!isalpha((unsigned char)(*at)[3]) || toupper((*at)[3]) == 'L')) {
            *out = f->min + i;
            *at += 3;
            return true;
        }
    }
    return false;
}

static void
set_bits(uint64_t *bits, int from, int to, int step)
{
    for (int i = from; i <= to; i += step)
        *bits |= (uint64_t)1 << i;
}

/* "L" as a day; "MON#2" and "FRIL" as weekdays. */
static bool
special(struct flow_cron *cron, int field, const char *at, int value)
{
    if (field == WEEKDAY && at[0] == '#' && at[1] >= '1' && at[1] <= '5' &&
        at[2] == '\0') {
        cron->weekday_nth[value % 7] |= (uint8_t)(1 << (at[1] - '0'));
        return true;
    }
    if (field == WEEKDAY && (at[0] == 'L' || at[0] == 'l') && at[1] == '\0') {
        cron->weekday_nth[value % 7] |= 1 << 7;
        return true;
    }
    return false;
}

static enum plex_status
parse_item(struct flow_cron *cron, int field, const char *item, uint64_t *bits,
           bool *any, struct plex_err *err)
{
    const struct field *f = &fields[field];
    const char *at = item;
    int from = f->min, to = f->max, step = 1;
    char *end;

    if (field == DAY && strcasecmp(item, "L") == 0) {
        cron->last_day = true;
        return PLEX_OK;
    }
    if (*at == '*' || *at == '?') {
        at++;
        *any = *any || *at == '\0';
        if (field == WEEKDAY)
            to = 6;
    } else {
        if (!take_value(f, &at, &from))
            return wrong(f, err, item, "is not a value of it");
        if (special(cron, field, at, from))
            return PLEX_OK;
        to = *at == '/' ? f->max : from;
        if (*at == '-') {
            at++;
            if (!take_value(f, &at, &to))
                return wrong(f, err, item, "has a wrong end");
            if (to < from)
                return wrong(f, err, item, "goes backwards");
        }
    }
    if (*at == '/') {
        step = (int)strtol(at + 1, &end, 10);
        if (!isdigit((unsigned char)at[1]) || end - at > 4 || step < 1 ||
            step > f->max)
            return wrong(f, err, item, "has a wrong step");
        at = end;
    }
    if (*at != '\0')
        return wrong(f, err, item, "has something after it");
    set_bits(bits, from, to, step);
    return PLEX_OK;
}

static enum plex_status
parse_field(struct flow_cron *cron, int field, char *text, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    uint64_t bits = 0;
    bool any = false;
    char *item;

    while (status == PLEX_OK && (item = strsep(&text, ",")) != NULL)
        status = parse_item(cron, field, item, &bits, &any, err);
    switch (field) {
    case SECOND:
        cron->seconds = bits;
        break;
    case MINUTE:
        cron->minutes = bits;
        break;
    case HOUR:
        cron->hours = (uint32_t)bits;
        cron->any_hour = any;
        break;
    case DAY:
        cron->days = (uint32_t)bits;
        cron->any_day = any;
        break;
    case MONTH:
        cron->months = (uint32_t)bits;
        break;
    default:
        cron->weekdays = (uint8_t)((bits | bits >> 7) & 0x7F);
        cron->any_weekday = any;
    }
    return status;
}

static const char *
shorthand(const char *text)
{
    static const char *const names[][2] = {
        {"@yearly", "0 0 1 1 *"},  {"@annually", "0 0 1 1 *"},
        {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
        {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(names[i][0], text) == 0)
            return names[i][1];
    }
    return text;
}

enum plex_status
flow_cron_parse(const char *text, struct flow_cron *out, struct plex_err *err)
{
    char copy[256], *rest = copy, *parts[7], *part;
    enum plex_status status = PLEX_OK;
    int count = 0;

    *out = (struct flow_cron){.seconds = 1};
    if (strlen(text) >= sizeof copy)
        return plex_err_set(err, PLEX_INVALID,
                            "a cron expression has at most %zu bytes",
                            sizeof copy - 1);
    (void)snprintf(copy, sizeof copy, "%s", shorthand(text));
    while ((part = strsep(&rest, " \t")) != NULL && count < 7) {
        if (*part != '\0')
            parts[count++] = part;
    }
    if (count != 5 && count != 6)
        return plex_err_set(err, PLEX_INVALID,
                            "a cron expression has 5 fields (minute hour day "
                            "month weekday), or 6 with seconds first: '%.64s' "
                            "has not",
                            text);
    for (int i = 0; i < count && status == PLEX_OK; i++)
        status = parse_field(out, i + 6 - count, parts[i], err);
    return status;
}

/* -- matching
 * -------------------------------------------------------------------------- */

static bool
weekday_matches(const struct flow_cron *cron, const struct flow_date *d)
{
    const uint8_t nth = cron->weekday_nth[d->weekday];
    const int last = flow_month_days(d->year, d->month);

    if (cron->weekdays >> d->weekday & 1)
        return true;
    if (nth >> ((d->day - 1) / 7 + 1) & 1)
        return true;
    return (nth >> 7 & 1) && d->day + 7 > last;
}

static bool
day_matches(const struct flow_cron *cron, const struct flow_date *d)
{
    const bool day =
        (cron->days >> d->day & 1) ||
        (cron->last_day && d->day == flow_month_days(d->year, d->month));
    const bool weekday = weekday_matches(cron, d);

    if (cron->any_day || cron->any_weekday)
        return (day || cron->any_day) && (weekday || cron->any_weekday);
    return day || weekday;
}

/* The lowest bit at or above `from`; -1: none. */
static int
next_bit(uint64_t bits, int from)
{
    if (from > 63)
        return -1;
    bits >>= from;
    return bits != 0 ? from + __builtin_ctzll(bits) : -1;
}

/* The first time of day at or after the date's that matches. */
static bool
time_in_day(const struct flow_cron *cron, struct flow_date *d)
{
    int hour = next_bit(cron->hours, d->hour), minute, second;

    if (hour != d->hour)
        d->minute = d->second = 0;
    for (; hour >= 0; hour = next_bit(cron->hours, hour + 1)) {
        minute = next_bit(cron->minutes, d->minute);
        if (minute != d->minute)
            d->second = 0;
        for (; minute >= 0; minute = next_bit(cron->minutes, minute + 1)) {
            second = next_bit(cron->seconds, d->second);
            if (second >= 0) {
                d->hour = hour;
                d->minute = minute;
                d->second = second;
                return true;
            }
            d->second = 0;
        }
        d->minute = d->second = 0;
    }
    return false;
}

static void
next_day(struct flow_date *d)
{
    d->hour = d->minute = d->second = 0;
    d->weekday = (d->weekday + 1) % 7;
    if (++d->day <= flow_month_days(d->year, d->month))
        return;
    d->day = 1;
    if (++d->month <= 12)
        return;
    d->month = 1;
    d->year++;
}

int64_t
flow_cron_next_local(const struct flow_cron *cron, int64_t local_s)
{
    struct flow_date d = flow_date_of((local_s + 1) * 1000);
    const int last_year = d.year + YEARS_MAX;

    while (d.year <= last_year) {
        if ((cron->months >> d.month & 1) && day_matches(cron, &d) &&
            time_in_day(cron, &d))
            return flow_date_ms(&d) / 1000;
        next_day(&d);
    }
    return INT64_MAX;
}

/* -- in a zone
 * ------------------------------------------------------------------------- */

/* The hour is "*": whatever the clock on the wall shows counts, also what it
 * shows twice. So each stretch without a change of the offset is searched. */
static int64_t
next_by_clock(const struct flow_cron *cron, const struct flow_zone *zone,
              int64_t after)
{
    for (int stretch = 0; stretch < 4 * YEARS_MAX; stretch++) {
        const int64_t change = flow_zone_next_change(zone, after);
        const int32_t offset = flow_zone_offset(zone, after);
        const int64_t local = flow_cron_next_local(cron, after + offset);

        if (local == INT64_MAX)
            return INT64_MAX;
        if (local - offset < change)
            return local - offset;
        /* Not before the change: from its first second on. */
        if (flow_cron_next_local(cron,
                                 change + flow_zone_offset(zone, change) - 1) ==
            change + flow_zone_offset(zone, change))
            return change;
        after = change;
    }
    return INT64_MAX;
}

int64_t
flow_cron_next(const struct flow_cron *cron, const struct flow_zone *zone,
               int64_t after_ms)
{
    const int64_t after =
        after_ms >= 0 ? after_ms / 1000 : -((-after_ms + 999) / 1000);
    int64_t local = after + flow_zone_offset(zone, after), utc;

    if (after_ms > 253402300799000 || after_ms < -62135596800000)
        return INT64_MAX;
    if (cron->any_hour) {
        utc = next_by_clock(cron, zone, after);
        return utc == INT64_MAX ? utc : utc * 1000;
    }
    do {
        local = flow_cron_next_local(cron, local);
        if (local == INT64_MAX)
            return INT64_MAX;
        utc = flow_zone_utc(zone, local);
    } while (utc <= after);
    return utc * 1000;
}
