#include "workflow/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS ((int64_t)86400000)

/* Days from civil, after Howard Hinnant's chrono algorithms: years begin in
 * March, eras are of 400 years. */
int64_t
flow_days_of(int year, int month, int day)
{
    const int64_t y = (int64_t)year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t of_era = y - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    const int64_t doy = of_year + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + doy -
           719468;
}

int
flow_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

int64_t
flow_date_ms(const struct flow_date *date)
{
    return flow_days_of(date->year, date->month, date->day) * DAY_MS +
           (((int64_t)date->hour * 60 + date->minute) * 60 + date->second) *
               1000 +
           date->ms;
}

struct flow_date
flow_date_of(int64_t ms)
{
    const int64_t days = ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
    const int64_t rest = ms - days * DAY_MS;
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    struct flow_date date = {0};

    date.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    date.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    date.year = (int)(yoe + era * 400 + (date.month <= 2));
    date.weekday = (int)(((days % 7) + 11) % 7);
    date.hour = (int)(rest / 3600000);
    date.minute = (int)(rest / 60000 % 60);
    date.second = (int)(rest / 1000 % 60);
    date.ms = (int)(rest % 1000);
    return date;
}

/* Exactly `count` digits; moves on. */
static bool
digits(const char **at, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool
parse_fraction(const char **at, int *ms)
{
    int scale = 100;

    if (**at != '.')
        return true;
    (*at)++;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, scale /= 10)
        *ms += scale * (**at - '0');
    return true;
}

static bool
parse_zone(const char *at, int64_t *shift_ms)
{
    int hours, minutes, sign = 1;

    *shift_ms = 0;
    if (strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    if (*at != '+' && *at != '-')
        return false;
    sign = *at++ == '-' ? -1 : 1;
    if (!digits(&at, 2, &hours) || *at++ != ':' || !digits(&at, 2, &minutes) ||
        *at != '\0' || hours > 23 || minutes > 59)
        return false;
    *shift_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
    return true;
}

bool
flow_time_parse(const char *text, int64_t *ms)
{
    struct flow_date d = {0};
    int64_t shift;

    if (!digits(&text, 4, &d.year) || *text++ != '-' ||
        !digits(&text, 2, &d.month) || *text++ != '-' ||
        !digits(&text, 2, &d.day) || d.month < 1 || d.month > 12 || d.day < 1 ||
        d.day > flow_month_days(d.year, d.month))
        return false;
    if (*text != 'T' && *text != 't' && *text != ' ')
        return false;
    text++;
    if (!digits(&text, 2, &d.hour) || *text++ != ':' ||
        !digits(&text, 2, &d.minute) || *text++ != ':' ||
        !digits(&text, 2, &d.second) || d.hour > 23 || d.minute > 59 ||
        d.second > 60 || !parse_fraction(&text, &d.ms) ||
        !parse_zone(text, &shift))
        return false;
    *ms = flow_date_ms(&d) - shift;
    return true;
}

void
flow_time_format(int64_t ms, char out[FLOW_TIME_TEXT])
{
    const struct flow_date d = flow_date_of(ms);
    size_t len;

    (void)snprintf(out, FLOW_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d",
                   d.year % 10000, d.month, d.day, d.hour, d.minute, d.second);
    len = strlen(out);
    if (d.ms != 0)
        (void)snprintf(out + len, FLOW_TIME_TEXT - len, ".%03dZ", d.ms);
    else
        (void)snprintf(out + len, FLOW_TIME_TEXT - len, "Z");
}

static int64_t
unit_ms(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t len = strlen(units[i].name);

        if (strncmp(*at, units[i].name, len) == 0 &&
            !isalpha((unsigned char)(*at)[len])) {
            *at += len;
            return units[i].ms;
        }
    }
    return 0;
}

bool
flow_duration_parse(const char *text, int64_t *ms)
{
    int64_t total = 0, unit;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        int64_t number = 0;

        if (!isdigit((unsigned char)*text))
            return false;
        for (; isdigit((unsigned char)*text); text++) {
            number = number * 10 + (*text - '0');
            if (number > (int64_t)1 << 40)
                return false;
        }
        unit = unit_ms(&text);
        if (unit == 0 || number > ((int64_t)1 << 50) / unit)
            return false;
        total += number * unit;
        if (total > (int64_t)1 << 50)
            return false;
    }
    *ms = total;
    return true;
}
