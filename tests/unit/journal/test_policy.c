#include "services/journal/policy.h"

#include <check.h>
#include <string.h>

static struct journal_policy policy;
static struct plex_err err;

static void
teardown(void)
{
    journal_policy_fini(&policy);
}

START_TEST(types_have_their_own_numbers_and_others_the_common_ones)
{
    struct journal_keep keep;

    ck_assert_int_eq(
        journal_policy_parse("3600000,cart=86400000/1000,counter=0/10", &policy,
                             &err),
        PLEX_OK);
    keep = journal_policy_of(&policy, "cart");
    ck_assert_uint_eq(keep.ms, 86400000);
    ck_assert_uint_eq(keep.turns, 1000);
    keep = journal_policy_of(&policy, "counter");
    ck_assert_uint_eq(keep.ms, 0);
    ck_assert_uint_eq(keep.turns, 10);
    keep = journal_policy_of(&policy, "account");
    ck_assert_uint_eq(keep.ms, 3600000);
    ck_assert_uint_eq(keep.turns, 0);
}
END_TEST

START_TEST(nothing_keeps_nothing)
{
    ck_assert_int_eq(journal_policy_parse("", &policy, &err), PLEX_OK);
    ck_assert_uint_eq(journal_policy_of(&policy, "cart").ms, 0);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const char *const bad[][2] = {
        {"1h", "history: item \"1h\": \"h\" follows the numbers"},
        {"cart=", "history: item \"cart=\": the milliseconds must be"},
        {"5,cart=1/x", "history: item \"cart=1/x\": the turns must be"},
        {"9999999999999999999999", "the milliseconds must be"},
        {"-1", "the milliseconds must be"},
        {"=1", "actor type"},
    };

    journal_policy_fini(&policy);
    ck_assert_int_eq(journal_policy_parse(bad[_i][0], &policy, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i][1]) != NULL, "%s", err.text);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal policy");
    TCase *t = tcase_create("policy");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, types_have_their_own_numbers_and_others_the_common_ones);
    tcase_add_test(t, nothing_keeps_nothing);
    tcase_add_loop_test(t, what_is_wrong_is_named, 0, 6);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
