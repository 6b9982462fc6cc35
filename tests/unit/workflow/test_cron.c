#include "common/mem.h"
#include "workflow/cron.h"
#include "workflow/when.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct plex_err err;

/* A file with nothing but the rule that holds for ever. */
static struct flow_zone *
zone_of(const char *rule, int32_t first_offset)
{
    uint8_t file[400] = "TZif2";
    struct flow_zone *zone = NULL;
    size_t half = 44 + 6 + 4;

    file[39] = 1; /* one type */
    file[43] = 4; /* "LMT" */
    for (int i = 0; i < 4; i++)
        file[44 + i] = (uint8_t)((uint32_t)first_offset >> (24 - 8 * i));
    memcpy(file + 50, "LMT", 4);
    memcpy(file + half, file, half);
    (void)snprintf((char *)file + 2 * half, sizeof file - 2 * half, "\n%s\n",
                   rule);
    ck_assert_msg(flow_zone_parse(file, 2 * half + strlen(rule) + 2, &zone,
                                  &err) == PLEX_OK,
                  "%s: %s", rule, err.text);
    return zone;
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK "EST5EDT,M3.2.0,M11.1.0"
#define SYDNEY "AEST-10AEDT,M10.1.0,M4.1.0/3"
#define DUBLIN "IST-1GMT0,M10.5.0,M3.5.0/1"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

static int64_t
utc(const char *text)
{
    int64_t ms;

    ck_assert_msg(flow_time_parse(text, &ms), "%s", text);
    return ms;
}

static const struct {
    const char *cron, *rule, *after, *want[4];
} nexts[] = {
    {"* * * * *",
     "UTC0",
     "2026-11-22T18:00:30Z",
     {"2026-11-22T18:01:00Z", "2026-11-22T18:02:00Z"}},
    {"*/15 9-10 * * 1-5",
     "UTC0",
     "2026-11-20T10:45:00Z",
     {"2026-11-23T09:00:00Z", "2026-11-23T09:15:00Z"}},
    {"0 0 29 2 *",
     "UTC0",
     "2026-01-01T00:00:00Z",
     {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
    {"0 0 31 * *",
     "UTC0",
     "2026-01-31T00:00:00Z",
     {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}},
    {"0 0 L * *",
     "UTC0",
     "2026-01-31T00:00:00Z",
     {"2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"}},
    {"0 12 13 * FRI",
     "UTC0",
     "2026-11-01T00:00:00Z",
     {"2026-11-06T12:00:00Z", "2026-11-13T12:00:00Z", "2026-11-20T12:00:00Z"}},
    {"0 12 * * MON#2",
     "UTC0",
     "2026-11-01T00:00:00Z",
     {"2026-11-09T12:00:00Z", "2026-12-14T12:00:00Z"}},
    {"0 12 ? * FRIL",
     "UTC0",
     "2026-11-01T00:00:00Z",
     {"2026-11-27T12:00:00Z", "2026-12-25T12:00:00Z"}},
    {"0 0 * * 7", "UTC0", "2026-11-22T00:00:00Z", {"2026-11-29T00:00:00Z"}},
    {"0 0 * * 5-7",
     "UTC0",
     "2026-11-22T00:00:00Z",
     {"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"}},
    {"10,40 30 12 * * *",
     "UTC0",
     "2026-11-22T12:30:10Z",
     {"2026-11-22T12:30:40Z", "2026-11-23T12:30:10Z"}},
    {"5/20 * * * *",
     "UTC0",
     "2026-11-22T12:00:00Z",
     {"2026-11-22T12:05:00Z", "2026-11-22T12:25:00Z", "2026-11-22T12:45:00Z",
      "2026-11-22T13:05:00Z"}},
    {"@daily", "UTC0", "2026-12-31T12:00:00Z", {"2027-01-01T00:00:00Z"}},
    {"@yearly", "UTC0", "2026-12-31T12:00:00Z", {"2027-01-01T00:00:00Z"}},
    {"0 0 30 2 *", "UTC0", "2026-01-01T00:00:00Z", {"never"}},
    {"0 9 * * *", BERLIN, "2026-07-01T00:00:00Z", {"2026-07-01T07:00:00Z"}},
    {"0 9 * * *", BERLIN, "2026-01-01T00:00:00Z", {"2026-01-01T08:00:00Z"}},
    /* 02:30 does not occur on 2026-03-29: run when the gap ends, 03:00. */
    {"30 2 * * *",
     BERLIN,
     "2026-03-28T12:00:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
    /* Several in the gap are one. */
    {"0,20,40 2 * * *",
     BERLIN,
     "2026-03-28T12:00:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
    /* 02:30 occurs twice on 2026-10-25: the first time only. */
    {"30 2 * * *",
     BERLIN,
     "2026-10-24T12:00:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
    {"30 2 * * *", BERLIN, "2026-10-25T00:45:00Z", {"2026-10-26T01:30:00Z"}},
    /* Every hour goes on every hour, through both changes. */
    {"30 * * * *",
     BERLIN,
     "2026-10-24T23:45:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
    {"30 * * * *",
     BERLIN,
     "2026-03-29T00:15:00Z",
     {"2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"}},
    {"0 * * * *",
     BERLIN,
     "2026-03-29T00:15:00Z",
     {"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
    {"30 1 * * *",
     NEW_YORK,
     "2026-10-31T12:00:00Z",
     {"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
    {"30 2 * * *",
     NEW_YORK,
     "2026-03-07T12:00:00Z",
     {"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
    {"30 2 * * *",
     SYDNEY,
     "2026-10-03T00:00:00Z",
     {"2026-10-03T16:00:00Z", "2026-10-04T15:30:00Z"}},
    {"0 12 * * *", DUBLIN, "2026-01-10T00:00:00Z", {"2026-01-10T12:00:00Z"}},
    {"0 12 * * *", DUBLIN, "2026-07-10T00:00:00Z", {"2026-07-10T11:00:00Z"}},
    {"15 2 * * *",
     LORD_HOWE,
     "2026-10-03T00:00:00Z",
     {"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
};

START_TEST(the_next_time_is_this)
{
    struct flow_zone *zone = zone_of(nexts[_i].rule, 0);
    int64_t at = utc(nexts[_i].after);
    struct flow_cron cron;
    char got[FLOW_TIME_TEXT];

    ck_assert_msg(flow_cron_parse(nexts[_i].cron, &cron, &err) == PLEX_OK,
                  "%s: %s", nexts[_i].cron, err.text);
    for (int i = 0; i < 4 && nexts[_i].want[i] != NULL; i++) {
        at = flow_cron_next(&cron, zone, at);
        if (strcmp(nexts[_i].want[i], "never") == 0) {
            ck_assert(at == INT64_MAX);
            break;
        }
        flow_time_format(at, got);
        ck_assert_msg(strcmp(got, nexts[_i].want[i]) == 0,
                      "%s in %s: %d: want %s, got %s", nexts[_i].cron,
                      nexts[_i].rule, i, nexts[_i].want[i], got);
    }
    flow_zone_free(zone);
}
END_TEST

static const struct {
    const char *text, *error;
} wrong[] = {
    {"", "has 5 fields"},
    {"* * * *", "has 5 fields"},
    {"* * * * * * *", "has 5 fields"},
    {"60 * * * *", "cron field minute: '60' is not a value of it"},
    {"* 24 * * *", "cron field hour: '24'"},
    {"* * 0 * *", "cron field day: '0'"},
    {"* * * 13 *", "cron field month: '13'"},
    {"* * * * 8", "cron field weekday: '8'"},
    {"* * * FOO *", "cron field month: 'FOO'"},
    {"5-1 * * * *", "cron field minute: '5-1' goes backwards"},
    {"*/0 * * * *", "has a wrong step"},
    {"*/x * * * *", "has a wrong step"},
    {"1,,2 * * * *", "cron field minute: '' is not"},
    {"1x * * * *", "cron field minute: '1x' has something after it"},
    {"1-x * * * *", "has a wrong end"},
    {"* * * * MON#6", "has something after it"},
    {"@often", "has 5 fields"},
};

START_TEST(a_wrong_expression_is_refused)
{
    struct flow_cron cron;

    ck_assert_int_eq(flow_cron_parse(wrong[_i].text, &cron, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, wrong[_i].error) != NULL, "%s: %s",
                  wrong[_i].text, err.text);
}
END_TEST

START_TEST(a_fixed_zone_is_an_offset)
{
    static const char *const not [] = {"",       "CET",    "+5",    "+05:3",
                                       "+24:00", "+05:60", "05:30", "+05:300"};
    struct flow_zone *zone = NULL;

    ck_assert_int_eq(flow_zone_fixed("-05:30", &zone, &err), PLEX_OK);
    ck_assert_int_eq(flow_zone_offset(zone, 0), -19800);
    flow_zone_free(zone);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        ck_assert_msg(flow_zone_fixed(not [i], &zone, &err) == PLEX_INVALID,
                      "%s", not [i]);
}
END_TEST

static struct flow_zone *
system_zone(const char *name)
{
    const char *folder = getenv("TZDIR");
    struct flow_zone *zone = NULL;
    char path[256];
    uint8_t *data;
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof path, "%s/%s",
                   folder != NULL ? folder : "/usr/share/zoneinfo", name);
    file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    data = plex_calloc(1, 1 << 16);
    len = fread(data, 1, 1 << 16, file);
    (void)fclose(file);
    ck_assert_msg(flow_zone_parse(data, len, &zone, &err) == PLEX_OK, "%s: %s",
                  path, err.text);
    free(data);
    return zone;
}

/* The C library reads the same files: it must agree at any moment. */
START_TEST(offsets_are_those_of_the_c_library)
{
    static const char *const names[] = {
        "Europe/Berlin",     "America/New_York",  "Australia/Lord_Howe",
        "Asia/Kolkata",      "America/Sao_Paulo", "Europe/Dublin",
        "Africa/Casablanca", "Pacific/Apia"};
    uint64_t random = 12345;
    int seen = 0;

    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct flow_zone *zone = system_zone(names[n]);

        if (zone == NULL)
            continue;
        seen++;
        setenv("TZ", names[n], 1);
        tzset();
        for (int i = 0; i < 2000; i++) {
            time_t at;
            struct tm tm;

            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            at = (time_t)((random >> 20) % 3900000000ULL);
            ck_assert_ptr_nonnull(localtime_r(&at, &tm));
            ck_assert_msg(flow_zone_offset(zone, at) == tm.tm_gmtoff,
                          "%s at %lld: %d, not %ld", names[n], (long long)at,
                          flow_zone_offset(zone, at), tm.tm_gmtoff);
        }
        flow_zone_free(zone);
    }
    if (seen == 0)
        printf("SKIP: no time zone files on this machine\n");
}
END_TEST

static bool
clock_matches(const struct flow_cron *cron, const struct flow_date *d)
{
    return (cron->minutes >> d->minute & 1) && (cron->hours >> d->hour & 1) &&
           (cron->months >> d->month & 1) && (cron->days >> d->day & 1) &&
           (cron->weekdays >> d->weekday & 1);
}

/* With "*" as the hour it is what looking at the clock every minute gives. */
START_TEST(an_expression_for_every_hour_is_what_the_clock_shows)
{
    static const char *const rules[] = {BERLIN, NEW_YORK, SYDNEY, LORD_HOWE};
    static const char *const texts[] = {"*/7 * * * *", "0 * * * *",
                                        "59,30 * * 3,4,10,11 *", "45 * * * 0"};

    for (size_t r = 0; r < 4; r++) {
        struct flow_zone *zone = zone_of(rules[r], 0);
        const struct flow_cron *c;
        struct flow_cron cron;

        ck_assert_int_eq(flow_cron_parse(texts[r], &cron, &err), PLEX_OK);
        c = &cron;
        for (int64_t day = 0; day < 365; day += 7) {
            int64_t at = utc("2026-01-01T00:00:00Z") + day * 86400000;
            int64_t next = flow_cron_next(c, zone, at - 1);

            /* The weeks with changes in them, and some without. */
            if ((day > 112 && day < 266) || day < 50)
                continue;
            for (int minute = 0; minute < 7 * 1440; minute++, at += 60000) {
                const struct flow_date d = flow_date_of(
                    at + 1000 * (int64_t)flow_zone_offset(zone, at / 1000));

                ck_assert_msg(clock_matches(c, &d) == (next == at),
                              "%s %s at %lld", rules[r], texts[r],
                              (long long)at);
                if (next == at)
                    next = flow_cron_next(c, zone, at);
            }
        }
        flow_zone_free(zone);
    }
}
END_TEST

START_TEST(a_file_that_is_cut_is_no_zone)
{
    uint8_t file[200] = "TZif2";
    struct flow_zone *zone = NULL;

    file[39] = 1;
    ck_assert_int_eq(flow_zone_parse(file, 0, &zone, &err), PLEX_INVALID);
    ck_assert_int_eq(flow_zone_parse(file, 44, &zone, &err), PLEX_INVALID);
    ck_assert_int_eq(flow_zone_parse(file, 100, &zone, &err), PLEX_INVALID);
}
END_TEST

START_TEST(an_interval_keeps_its_beat)
{
    struct flow_schedule s = {.every_ms = 1000, .start_ms = 500};
    int64_t times[8];

    ck_assert_int_eq(flow_schedule_next(&s, NULL, 0), 500);
    ck_assert_int_eq(flow_schedule_next(&s, NULL, 500), 1500);
    ck_assert_int_eq(flow_schedule_next(&s, NULL, 1499), 1500);
    s.end_ms = 3500;
    ck_assert(flow_schedule_next(&s, NULL, 2500) == INT64_MAX);
    ck_assert_uint_eq(flow_schedule_between(&s, NULL, 500, 9999, times, 8), 3);
    ck_assert_int_eq(times[0], 500);
    ck_assert_int_eq(times[2], 2500);
    ck_assert_uint_eq(flow_schedule_between(&s, NULL, 501, 2500, times, 8), 1);
    ck_assert_uint_eq(flow_schedule_between(&s, NULL, 0, 9999, times, 2), 2);
}
END_TEST

START_TEST(jitter_is_late_never_early_and_always_the_same)
{
    struct flow_schedule s = {.every_ms = 1000, .jitter_ms = 100};
    int64_t least = INT64_MAX, most = 0;

    for (int64_t at = 0; at < 1000000; at += 1000) {
        const int64_t due = flow_schedule_due(&s, at, 7);

        ck_assert_int_eq(due, flow_schedule_due(&s, at, 7));
        ck_assert(due >= at && due <= at + 100);
        least = due - at < least ? due - at : least;
        most = due - at > most ? due - at : most;
    }
    ck_assert(least < 5 && most > 95);
}
END_TEST

static const struct {
    enum flow_overlap overlap;
    enum flow_firing fires[3];
    unsigned started_later;
} overlaps[] = {
    {FLOW_OVERLAP_SKIP, {FLOW_FIRE_START, FLOW_FIRE_SKIP, FLOW_FIRE_SKIP}, 0},
    {FLOW_OVERLAP_BUFFER_ONE,
     {FLOW_FIRE_START, FLOW_FIRE_WAIT, FLOW_FIRE_SKIP},
     1},
    {FLOW_OVERLAP_BUFFER_ALL,
     {FLOW_FIRE_START, FLOW_FIRE_WAIT, FLOW_FIRE_WAIT},
     2},
    {FLOW_OVERLAP_ALLOW,
     {FLOW_FIRE_START, FLOW_FIRE_START, FLOW_FIRE_START},
     0},
    {FLOW_OVERLAP_CANCEL,
     {FLOW_FIRE_START, FLOW_FIRE_REPLACE, FLOW_FIRE_REPLACE},
     0},
};

START_TEST(overlaps_are_dealt_with_by_policy)
{
    const struct flow_schedule s = {.every_ms = 1000,
                                    .overlap = overlaps[_i].overlap};
    struct flow_schedule_state state = {0};
    unsigned later = 0;

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(flow_schedule_fire(&s, &state, 1000 * i, 1000 * i),
                         overlaps[_i].fires[i]);
    for (int i = 0; i < 5; i++)
        later += flow_schedule_ended(&s, &state);
    ck_assert_uint_eq(later, overlaps[_i].started_later);
    ck_assert_uint_eq(state.running, 0);
    ck_assert_int_eq(state.last_ms, 2000);
}
END_TEST

START_TEST(what_was_missed_too_long_ago_is_left_out)
{
    struct flow_schedule s = {
        .every_ms = 1000, .catchup_ms = 5000, .max_count = 2};
    struct flow_schedule_state state = {0};

    ck_assert_int_eq(flow_schedule_fire(&s, &state, 1000, 6001),
                     FLOW_FIRE_SKIP);
    ck_assert_int_eq(flow_schedule_fire(&s, &state, 2000, 6001),
                     FLOW_FIRE_START);
    (void)flow_schedule_ended(&s, &state);
    ck_assert_int_eq(flow_schedule_fire(&s, &state, 3000, 6001),
                     FLOW_FIRE_START);
    (void)flow_schedule_ended(&s, &state);
    ck_assert_int_eq(flow_schedule_fire(&s, &state, 4000, 6001),
                     FLOW_FIRE_SKIP); /* max_count */
    ck_assert_uint_eq(state.count, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cron");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_next_time_is_this, 0,
                        sizeof nexts / sizeof *nexts);
    tcase_add_loop_test(tc, a_wrong_expression_is_refused, 0,
                        sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, a_fixed_zone_is_an_offset);
    tcase_add_test(tc, offsets_are_those_of_the_c_library);
    tcase_add_test(tc, an_expression_for_every_hour_is_what_the_clock_shows);
    tcase_add_test(tc, a_file_that_is_cut_is_no_zone);
    tcase_add_test(tc, an_interval_keeps_its_beat);
    tcase_add_test(tc, jitter_is_late_never_early_and_always_the_same);
    tcase_add_loop_test(tc, overlaps_are_dealt_with_by_policy, 0,
                        sizeof overlaps / sizeof *overlaps);
    tcase_add_test(tc, what_was_missed_too_long_ago_is_left_out);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
