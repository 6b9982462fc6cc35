#include "services/journal/client.h"
#include "services/journal/keyring.h"
#include "services/journal/policy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

START_TEST(a_snapshot_is_due_by_turns_bytes_or_time)
{
    const struct journal_snapshot_rule rule = {10, 1000, 60};
    const struct journal_snapshot_rule never = {0};

    ck_assert(!journal_snapshot_due(&rule, 9, 999, 59));
    ck_assert(journal_snapshot_due(&rule, 10, 0, 0));
    ck_assert(journal_snapshot_due(&rule, 1, 1000, 0));
    ck_assert(journal_snapshot_due(&rule, 1, 0, 60));
    ck_assert(!journal_snapshot_due(&rule, 0, 0, 1000)); /* nothing new */
    ck_assert(!journal_snapshot_due(&never, 1000, 1000000, 1000000));
}
END_TEST

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

START_TEST(the_largest_number_is_the_current_key)
{
    struct journal_keyring ring;

    ck_assert_int_eq(journal_keyring_parse("# two\n1 " HEX "\n\n 12\t" HEX
                                           " # newest\r\n",
                                           &ring, &err),
                     PLEX_OK);
    ck_assert_uint_eq(ring.n, 2);
    ck_assert_uint_eq(journal_keyring_current(&ring)->id, 12);
    ck_assert_uint_eq(journal_keyring_find(&ring, 1)->bytes[1], 0x11);
    ck_assert_ptr_null(journal_keyring_find(&ring, 2));
}
END_TEST

START_TEST(a_keyring_that_is_wrong_is_refused_by_line_and_not_shown)
{
    static const char *const bad[][2] = {
        {"", "there is no key"},
        {"\n1 00", "line 2: key 1 is not 64 hexadecimal"},
        {"0 " HEX, "line 1: a number from 1"},
        {"2 " HEX "\n2 " HEX, "line 2: key 2 comes after key 2"},
        {"1 " HEX "00", "line 1: key 1 is not 64"},
        {"1 " HEX " more", "line 1: more follows key 1"},
        {HEX, "line 1"},
        {"1\n" HEX, "line 1: key 1 is not 64"},
    };
    struct journal_keyring ring;

    ck_assert_int_eq(journal_keyring_parse(bad[_i][0], &ring, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i][1]) != NULL, "%s", err.text);
    ck_assert_ptr_null(strstr(err.text, "2233"));
}
END_TEST

START_TEST(a_key_file_that_others_may_read_is_refused)
{
    char path[] = "/tmp/plex-keys-XXXXXX";
    const int fd = mkstemp(path);
    struct journal_keyring ring;

    ck_assert_int_eq((int)write(fd, "1 " HEX "\n", 67), 67);
    (void)fchmod(fd, 0640);
    ck_assert_int_eq(journal_keyring_read(path, &ring, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "mode must be 0600"));
    (void)fchmod(fd, 0400);
    ck_assert_int_eq(journal_keyring_read(path, &ring, &err), PLEX_OK);
    ck_assert_int_eq(journal_keyring_read("/nowhere", &ring, &err),
                     PLEX_INVALID);
    (void)unlink(path);
    (void)close(fd);
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
    tcase_add_test(t, a_snapshot_is_due_by_turns_bytes_or_time);
    tcase_add_test(t, the_largest_number_is_the_current_key);
    tcase_add_loop_test(
        t, a_keyring_that_is_wrong_is_refused_by_line_and_not_shown, 0, 8);
    tcase_add_test(t, a_key_file_that_others_may_read_is_refused);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
