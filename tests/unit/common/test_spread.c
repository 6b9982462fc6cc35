#include "common/spread.h"

#include <check.h>
#include <stdbool.h>

enum { NOT = 9 }; /* in the rows below */

static const struct {
    enum plex_spread how;
    uint32_t load[4];
    size_t last;
    uint64_t random;
    size_t picked;
} rows[] = {
    {PLEX_SPREAD_ROUND_ROBIN, {5, 0, 0, 0}, SIZE_MAX, 0, 0},
    {PLEX_SPREAD_ROUND_ROBIN, {0, 5, 0, 0}, 0, 0, 1},
    {PLEX_SPREAD_ROUND_ROBIN, {0, 0, 0, 0}, 3, 0, 0},
    {PLEX_SPREAD_ROUND_ROBIN, {0, NOT, NOT, 0}, 0, 0, 3},
    {PLEX_SPREAD_ROUND_ROBIN, {0, NOT, NOT, NOT}, 0, 0, 0},
    {PLEX_SPREAD_ROUND_ROBIN, {0, 0, 0, 0}, 7, 0, 0}, /* there were more */
    {PLEX_SPREAD_LEAST_LOADED, {3, 2, 1, 2}, SIZE_MAX, 0, 2},
    {PLEX_SPREAD_LEAST_LOADED, {1, 1, 1, 1}, 1, 0, 2}, /* equal: the next */
    {PLEX_SPREAD_LEAST_LOADED, {NOT, 4, 5, NOT}, SIZE_MAX, 0, 1},
    {PLEX_SPREAD_RANDOM, {0, 0, 0, 0}, SIZE_MAX, 6, 2},
    {PLEX_SPREAD_RANDOM, {NOT, 0, NOT, 0}, SIZE_MAX, 0, 1},
    {PLEX_SPREAD_RANDOM, {NOT, 0, NOT, 0}, SIZE_MAX, 1, 3},
    {PLEX_SPREAD_RANDOM, {NOT, NOT, NOT, NOT}, 2, 1, PLEX_SPREAD_NOBODY},
    {PLEX_SPREAD_ROUND_ROBIN, {NOT, NOT, NOT, NOT}, 2, 1, PLEX_SPREAD_NOBODY},
};

START_TEST(each_way_picks_whom_it_should)
{
    uint32_t load[4];
    size_t last = rows[_i].last, picked;

    for (int i = 0; i < 4; i++)
        load[i] = rows[_i].load[i] == NOT ? PLEX_SPREAD_NOT : rows[_i].load[i];
    picked = plex_spread_pick(rows[_i].how, load, 4, &last, rows[_i].random);
    ck_assert_uint_eq(picked, rows[_i].picked);
    ck_assert_uint_eq(last,
                      picked == PLEX_SPREAD_NOBODY ? rows[_i].last : picked);
}
END_TEST

START_TEST(words_are_read_and_written)
{
    for (int i = PLEX_SPREAD_ROUND_ROBIN; i <= PLEX_SPREAD_RANDOM; i++)
        ck_assert_int_eq(
            plex_spread_parse(plex_spread_text((enum plex_spread)i)), i);
    ck_assert_int_eq(plex_spread_parse(""), 0);
    ck_assert_int_eq(plex_spread_parse("fastest"), 0);
    ck_assert_str_eq(plex_spread_text((enum plex_spread)0), "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("spread");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, each_way_picks_whom_it_should, 0,
                        (int)(sizeof rows / sizeof rows[0]));
    tcase_add_test(tcase, words_are_read_and_written);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
