#include "common/dsn.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_dsn_is_its_scheme_and_the_rest)
{
    ck_assert_str_eq(plex_dsn_rest("sqlite:/a/b.db", "sqlite"), "/a/b.db");
    ck_assert_str_eq(plex_dsn_rest("mem:", "mem"), "");
    ck_assert_str_eq(plex_dsn_rest("postgres://h/d", "postgres"), "//h/d");
    ck_assert_str_eq(plex_dsn_rest("postgresql://h/d", "postgres"), "//h/d");
    ck_assert_ptr_null(plex_dsn_rest("sqlite", "sqlite"));
    ck_assert_ptr_null(plex_dsn_rest("sqlite3:/a", "sqlite"));
    ck_assert_ptr_null(plex_dsn_rest("", "mem"));
    ck_assert_ptr_null(plex_dsn_rest("postgres://h/d", "postgresql"));
}
END_TEST

START_TEST(an_unknown_dsn_is_named_without_its_password)
{
    struct plex_err err;

    ck_assert_int_eq(plex_dsn_unknown("mysql://u:secret@h/d", "mem:", &err),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "\"mysql\""));
    ck_assert_ptr_nonnull(strstr(err.text, "mem:"));
    ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("dsn");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(all, a_dsn_is_its_scheme_and_the_rest);
    tcase_add_test(all, an_unknown_dsn_is_named_without_its_password);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
