/* Time zones: TZif files (RFC 8536) and the POSIX rules at their end. */
#include "common/mem.h"
#include "workflow/cron_private.h"
#include "workflow/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 8192, TYPES_MAX = 256, OFFSET_MAX = 26 * 3600 };

/* Mm.w.d, Jn or n, and the time of day. */
struct change {
    char kind; /* 'M', 'J', 'N' */
    int month, week, day;
    int32_t second;
};

struct rule {
    bool there, dst;
    int32_t standard, summer; /* seconds east */
    struct change start, end; /* of summer */
};

struct flow_zone {
    size_t count;
    int64_t *times;
    uint8_t *kinds;
    int32_t offsets[TYPES_MAX];
    struct rule rule; /* after the last of `times` */
};

/* -- POSIX rules
 * ------------------------------------------------------------------------- */

static bool
take_number(const char **at, int max, int *out)
{
    int number = 0, digits = 0;

    for (; isdigit((unsigned char)**at) && digits < 5; (*at)++, digits++)
        number = number * 10 + (**at - '0');
    *out = number;
    return digits > 0 && number <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool
take_time(const char **at, int32_t *out)
{
    int parts[3] = {0, 0, 0}, sign = 1;

    if (**at == '-' || **at == '+')
        sign = *(*at)++ == '-' ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        if (!take_number(at, i == 0 ? 167 : 59, &parts[i]))
            return false;
        if (**at != ':')
            break;
        (*at)++;
    }
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool
take_name(const char **at)
{
    const char *start = *at;

    if (**at == '<') {
        while (**at != '\0' && **at != '>')
            (*at)++;
        return *(*at)++ == '>';
    }
    while (isalpha((unsigned char)**at))
        (*at)++;
    return *at - start >= 3;
}

static bool
take_change(const char **at, struct change *out)
{
    out->second = 2 * 3600;
    if (*(*at)++ != ',')
        return false;
    out->kind = **at == 'M' || **at == 'J' ? *(*at)++ : 'N';
    if (out->kind == 'M') {
        if (!take_number(at, 12, &out->month) || out->month < 1 ||
            *(*at)++ != '.' || !take_number(at, 5, &out->week) ||
            out->week < 1 || *(*at)++ != '.' || !take_number(at, 6, &out->day))
            return false;
    } else if (!take_number(at, 365, &out->day) ||
               (out->kind == 'J' && out->day < 1)) {
        return false;
    }
    if (**at == '/') {
        (*at)++;
        return take_time(at, &out->second);
    }
    return true;
}

static bool
parse_rule(const char *at, struct rule *out)
{
    int32_t west;

    if (*at == '\0')
        return true;
    if (!take_name(&at) || !take_time(&at, &west))
        return false;
    out->there = true;
    out->standard = -west;
    if (*at == '\0')
        return true;
    out->dst = true;
    out->summer = out->standard + 3600;
    if (!take_name(&at))
        return false;
    if (*at != ',' && *at != '\0') {
        if (!take_time(&at, &west))
            return false;
        out->summer = -west;
    }
    return take_change(&at, &out->start) && take_change(&at, &out->end) &&
           *at == '\0';
}

/* Days since 1970 of a change in `year`. */
static int64_t
change_day(const struct change *c, int year)
{
    const int64_t first = flow_days_of(year, 1, 1);
    const bool leap = flow_month_days(year, 2) == 29;
    int64_t day;
    int last;

    if (c->kind == 'J')
        return first + c->day - 1 + (leap && c->day >= 60);
    if (c->kind == 'N')
        return first + c->day;
    last = flow_month_days(year, c->month);
    day = flow_days_of(year, c->month, 1);
    /* 1970-01-01 was a Thursday: 4. */
    day += (c->day - (int)(((day % 7) + 11) % 7) + 7) % 7;
    day += 7 * (c->week - 1);
    while (day >= flow_days_of(year, c->month, 1) + last)
        day -= 7;
    return day;
}

static int64_t
change_utc(const struct change *c, int year, int32_t offset)
{
    return change_day(c, year) * 86400 + c->second - offset;
}

static int
year_of(int64_t utc_s)
{
    return flow_date_of(utc_s * 1000).year;
}

static int32_t
rule_offset(const struct rule *rule, int64_t utc)
{
    int64_t start, end;
    int year;
    bool summer;

    if (!rule->dst)
        return rule->standard;
    year = year_of(utc + rule->standard);
    start = change_utc(&rule->start, year, rule->standard);
    end = change_utc(&rule->end, year, rule->summer);
    summer =
        start < end ? utc >= start && utc < end : !(utc >= end && utc < start);
    return summer ? rule->summer : rule->standard;
}

static int64_t
rule_next_change(const struct rule *rule, int64_t utc)
{
    const int year = year_of(utc);
    int64_t next = INT64_MAX;

    if (!rule->there || !rule->dst)
        return INT64_MAX;
    for (int y = year - 1; y <= year + 1; y++) {
        const int64_t start = change_utc(&rule->start, y, rule->standard);
        const int64_t end = change_utc(&rule->end, y, rule->summer);

        if (start > utc && start < next)
            next = start;
        if (end > utc && end < next)
            next = end;
    }
    return next;
}

/* -- TZif
 * ----------------------------------------------------------------------------------
 */

struct tzif {
    const uint8_t *at, *end;
    uint32_t isut, isstd, leap, times, types, chars;
    uint8_t version;
};

static uint64_t
big_endian(const uint8_t *at, size_t len)
{
    uint64_t number = 0;

    for (size_t i = 0; i < len; i++)
        number = number << 8 | at[i];
    return number;
}

static bool
take_header(struct tzif *t)
{
    uint32_t *const counts[] = {&t->isut,  &t->isstd, &t->leap,
                                &t->times, &t->types, &t->chars};

    if (t->end - t->at < 44 || memcmp(t->at, "TZif", 4) != 0)
        return false;
    t->version = t->at[4];
    for (size_t i = 0; i < 6; i++) {
        *counts[i] = (uint32_t)big_endian(t->at + 20 + 4 * i, 4);
        if (*counts[i] > CHANGES_MAX)
            return false;
    }
    t->at += 44;
    return t->types >= 1 && t->types <= TYPES_MAX;
}

static size_t
body_size(const struct tzif *t, size_t width)
{
    return t->times * (width + 1) + t->types * 6 + t->chars +
           t->leap * (width + 4) + t->isstd + t->isut;
}

static bool
take_body(struct tzif *t, size_t width, struct flow_zone *zone)
{
    const uint8_t *kinds, *types;

    if ((size_t)(t->end - t->at) < body_size(t, width))
        return false;
    zone->count = t->times;
    zone->times = plex_calloc(t->times + 1, sizeof *zone->times);
    zone->kinds = plex_calloc(t->times + 1, 1);
    kinds = t->at + t->times * width;
    types = kinds + t->times;
    for (uint32_t i = 0; i < t->times; i++) {
        const uint64_t raw = big_endian(t->at + i * width, width);

        zone->times[i] = width == 8 ? (int64_t)raw : (int32_t)(uint32_t)raw;
        zone->kinds[i] = kinds[i];
        if (kinds[i] >= t->types ||
            (i > 0 && zone->times[i] <= zone->times[i - 1]))
            return false;
    }
    for (uint32_t i = 0; i < t->types; i++) {
        zone->offsets[i] = (int32_t)(uint32_t)big_endian(types + i * 6, 4);
        if (zone->offsets[i] > OFFSET_MAX || zone->offsets[i] < -OFFSET_MAX)
            return false;
    }
    t->at += body_size(t, width);
    return true;
}

/* "\nRULE\n" */
static bool
take_footer(struct tzif *t, struct flow_zone *zone)
{
    char text[128];
    size_t len = 0;

    if (t->at == t->end || *t->at++ != '\n')
        return false;
    while (t->at < t->end && *t->at != '\n' && len + 1 < sizeof text)
        text[len++] = (char)*t->at++;
    text[len] = '\0';
    return t->at < t->end && *t->at == '\n' && strlen(text) == len &&
           parse_rule(text, &zone->rule);
}

enum plex_status
flow_zone_parse(const void *data, size_t len, struct flow_zone **out,
                struct plex_err *err)
{
    struct tzif t = {.at = data, .end = (const uint8_t *)data + len};
    struct flow_zone *zone = plex_calloc(1, sizeof *zone);
    bool ok = take_header(&t);

    *out = NULL;
    if (ok && t.version >= '2') {
        /* The first body is for old readers. */
        ok = (size_t)(t.end - t.at) >= body_size(&t, 4);
        if (ok)
            t.at += body_size(&t, 4);
        ok = ok && take_header(&t) && take_body(&t, 8, zone) &&
             take_footer(&t, zone);
    } else if (ok) {
        ok = take_body(&t, 4, zone);
    }
    if (!ok) {
        flow_zone_free(zone);
        return plex_err_set(err, PLEX_INVALID,
                            "this is no time zone file (TZif)");
    }
    *out = zone;
    return PLEX_OK;
}

enum plex_status
flow_zone_fixed(const char *text, struct flow_zone **out, struct plex_err *err)
{
    struct flow_zone *zone;
    int32_t offset = 0;
    int hours, minutes;
    char sign, rest;

    *out = NULL;
    if (strcmp(text, "UTC") != 0 && strcmp(text, "Z") != 0) {
        if (sscanf(text, "%c%2d:%2d%c", &sign, &hours, &minutes, &rest) != 3 ||
            (sign != '+' && sign != '-') || strlen(text) != 6 || hours < 0 ||
            hours > 23 || minutes < 0 || minutes > 59)
            return plex_err_set(err, PLEX_INVALID,
                                "'%.32s' should be \"UTC\" or like \"+05:30\"",
                                text);
        offset = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    }
    zone = plex_calloc(1, sizeof *zone);
    zone->rule = (struct rule){.there = true, .standard = offset};
    *out = zone;
    return PLEX_OK;
}

void
flow_zone_free(struct flow_zone *zone)
{
    if (zone == NULL)
        return;
    free(zone->times);
    free(zone->kinds);
    free(zone);
}

/* -- questions
 * ------------------------------------------------------------------------------
 */

/* Changes at or before `utc`. */
static size_t
changes_until(const struct flow_zone *zone, int64_t utc)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (zone->times[middle] <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t
flow_zone_offset(const struct flow_zone *zone, int64_t utc_s)
{
    const size_t before = changes_until(zone, utc_s);

    if (before == zone->count && zone->rule.there)
        return rule_offset(&zone->rule, utc_s);
    return zone->offsets[before > 0 ? zone->kinds[before - 1] : 0];
}

int64_t
flow_zone_next_change(const struct flow_zone *zone, int64_t utc_s)
{
    const size_t before = changes_until(zone, utc_s);

    if (before < zone->count)
        return zone->times[before];
    return rule_next_change(&zone->rule, utc_s);
}

int64_t
flow_zone_utc(const struct flow_zone *zone, int64_t local_s)
{
    const int32_t early = flow_zone_offset(zone, local_s - OFFSET_MAX);
    int64_t utc = local_s - early;
    int64_t change = flow_zone_next_change(zone, local_s - OFFSET_MAX);

    /* Follow the changes up to where the wall shows the time, or has passed
     * it. */
    for (int i = 0; i < 16 && change <= utc; i++) {
        const int32_t offset = flow_zone_offset(zone, change);

        if (local_s - offset < change)
            return change; /* skipped: the gap ends here */
        utc = local_s - offset;
        change = flow_zone_next_change(zone, change);
    }
    return utc;
}
