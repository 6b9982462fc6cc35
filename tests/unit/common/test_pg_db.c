#include "common/loop.h"
#include "common/pg_db.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const schema[] = {
    "CREATE TABLE test_pg_db (n BIGINT PRIMARY KEY, body BYTEA)",
    "INSERT INTO test_pg_db VALUES (7, '\\x00ff')",
};
static struct plex_pg pg;
static struct plex_err err;

static enum plex_status
try_open(const char *dsn, size_t n)
{
    const struct plex_pg_config config = {
        .dsn = dsn, .service = "test_pg_db", .schema = schema, .n_schema = n};

    return plex_pg_open(&pg, &config, &err);
}

/* False, said on stdout, where there is no Postgres to test with. */
static bool
opened(size_t n)
{
    const char *dsn = getenv("PLEX_TEST_PG");

    if (dsn == NULL) {
        printf("SKIP: PLEX_TEST_PG is not set\n");
        return false;
    }
    ck_assert_msg(try_open(dsn, n) == PLEX_OK, "%s", err.text);
    return true;
}

static void
run(const char *sql)
{
    ck_assert_msg(plex_pg_run(&pg, sql, &err) == PLEX_OK, "%s", err.text);
}

static void
forget(void)
{
    run("DROP TABLE test_pg_db;"
        "DELETE FROM plex_migration WHERE service = 'test_pg_db'");
    plex_pg_close(&pg);
}

static uint64_t
count(void)
{
    uint64_t rows, number = 0;

    ck_assert_int_eq(plex_pg_execute(&pg, "SELECT count(*) FROM test_pg_db",
                                     NULL, &rows, &number, &err),
                     PLEX_OK);
    return number;
}

START_TEST(each_migration_is_applied_once_and_a_newer_schema_refused)
{
    if (!opened(1))
        return;
    ck_assert_uint_eq(count(), 0);
    plex_pg_close(&pg);
    for (int i = 0; i < 2; i++) {
        (void)opened(2);
        ck_assert_uint_eq(count(), 1);
        plex_pg_close(&pg);
    }
    ck_assert_int_eq(try_open(getenv("PLEX_TEST_PG"), 1), PLEX_UNSUPPORTED);
    plex_pg_close(&pg);
    (void)opened(2);
    forget();
}
END_TEST

START_TEST(numbers_and_bytes_come_back_as_they_went)
{
    static const uint8_t body[] = {0, 1, 0xff};
    struct plex_pg_params params = {0};
    PGresult *result;
    uint64_t rows;

    if (!opened(2))
        return;
    plex_pg_add_u64(&params, INT64_MAX);
    plex_pg_add_bytes(&params, (struct plex_bytes){body, sizeof body});
    ck_assert_int_eq(plex_pg_execute(&pg,
                                     "INSERT INTO test_pg_db VALUES ($1, $2)",
                                     &params, &rows, NULL, &err),
                     PLEX_OK);
    ck_assert_uint_eq(rows, 1);
    result = plex_pg_query(&pg, "SELECT n, body FROM test_pg_db ORDER BY n",
                           NULL, &err);
    ck_assert_ptr_nonnull(result);
    ck_assert_uint_eq(plex_pg_u64(result, 0, 0), 7);
    ck_assert_uint_eq(plex_pg_u64(result, 1, 0), INT64_MAX);
    ck_assert_uint_eq(plex_pg_bytes(result, 1, 1).len, sizeof body);
    ck_assert_mem_eq(plex_pg_bytes(result, 1, 1).data, body, sizeof body);
    PQclear(result);
    forget();
}
END_TEST

START_TEST(a_lost_connection_is_made_again_at_once)
{
    if (!opened(2))
        return;
    run("BEGIN; DELETE FROM test_pg_db");
    ck_assert_int_eq(
        plex_pg_run(&pg, "SELECT pg_terminate_backend(pg_backend_pid())", &err),
        PLEX_UNAVAILABLE);
    ck_assert_int_eq(plex_pg_ready(&pg, &err), PLEX_OK);
    ck_assert_uint_eq(count(), 1);
    run("BEGIN; DELETE FROM test_pg_db");
    ck_assert_int_eq(plex_pg_end(&pg, PLEX_CONFLICT, &err), PLEX_CONFLICT);
    ck_assert_uint_eq(count(), 1);
    forget();
}
END_TEST

START_TEST(a_server_that_is_not_there_is_not_asked_all_the_time)
{
    ck_assert_int_eq(try_open("postgres://plex@127.0.0.1:1/plex", 2),
                     PLEX_UNAVAILABLE);
    ck_assert_uint_gt(pg.retry_ns, plex_now());
    ck_assert_int_eq(plex_pg_ready(&pg, &err), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "trying again soon"));
    plex_pg_close(&pg);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pg_db");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(all,
                   each_migration_is_applied_once_and_a_newer_schema_refused);
    tcase_add_test(all, numbers_and_bytes_come_back_as_they_went);
    tcase_add_test(all, a_lost_connection_is_made_again_at_once);
    tcase_add_test(all, a_server_that_is_not_there_is_not_asked_all_the_time);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
