#ifndef WORKFLOW_WHEN_H
#define WORKFLOW_WHEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Civil time without a clock: proleptic Gregorian, ms since 1970 in UTC. */
struct flow_date {
    int year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
    int hour, minute, second, ms;
    int weekday; /* 0 = Sunday; filled by flow_date_of */
};

int64_t flow_days_of(int year, int month, int day); /* since 1970-01-01 */
int flow_month_days(int year, int month);
int64_t flow_date_ms(const struct flow_date *date);
struct flow_date flow_date_of(int64_t ms);

/* RFC 3339 ("2026-11-22T18:00:00Z", fractions, "+01:00"). */
bool flow_time_parse(const char *text, int64_t *ms);
enum { FLOW_TIME_TEXT = 32 };
void flow_time_format(int64_t ms, char out[FLOW_TIME_TEXT]);

/* "90s", "1h30m", "2d", "500ms", "1.5h" is refused. */
bool flow_duration_parse(const char *text, int64_t *ms);

#endif
