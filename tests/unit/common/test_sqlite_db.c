#include "common/sqlite_db.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const schema[] = {
    "CREATE TABLE one (n INTEGER PRIMARY KEY, body BLOB)",
    "INSERT INTO one VALUES (7, x'00ff')",
};
static char folder[] = "/tmp/plex-sqlite.XXXXXX";
static char path[64];
static struct plex_err err;

static void
setup(void)
{
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/x.db", folder);
}

static void
teardown(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};

    for (int i = 0; i < 4; i++) {
        char name[80];

        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

static enum plex_status
try_open(struct plex_sqlite *sqlite, enum plex_sqlite_owner owner, size_t n)
{
    const struct plex_sqlite_config config = {
        .path = path,
        .service = "test",
        .schema = schema,
        .n_schema = n,
        .owner = owner,
        .busy_ms = 1,
    };

    return plex_sqlite_open(sqlite, &config, &err);
}

static void
opened(struct plex_sqlite *sqlite, size_t n)
{
    ck_assert_msg(try_open(sqlite, PLEX_SQLITE_SHARED, n) == PLEX_OK, "%s",
                  err.text);
}

static void
run(struct plex_sqlite *sqlite, const char *sql)
{
    ck_assert_msg(plex_sqlite_run(sqlite, sql, &err) == PLEX_OK, "%s",
                  err.text);
}

static uint64_t
number(struct plex_sqlite *sqlite, const char *sql)
{
    uint64_t value;

    ck_assert_int_eq(plex_sqlite_get(sqlite, sql, &value, &err), PLEX_OK);
    return value;
}

START_TEST(each_migration_is_applied_once)
{
    struct plex_sqlite sqlite;

    opened(&sqlite, 1);
    ck_assert_uint_eq(number(&sqlite, "SELECT count(*) FROM one"), 0);
    plex_sqlite_close(&sqlite);
    for (int i = 0; i < 2; i++) {
        opened(&sqlite, 2);
        ck_assert_uint_eq(number(&sqlite, "SELECT n FROM one"), 7);
        plex_sqlite_close(&sqlite);
    }
}
END_TEST

START_TEST(a_newer_schema_is_not_opened)
{
    struct plex_sqlite sqlite;

    opened(&sqlite, 2);
    plex_sqlite_close(&sqlite);
    ck_assert_int_eq(try_open(&sqlite, PLEX_SQLITE_SHARED, 1),
                     PLEX_UNSUPPORTED);
    plex_sqlite_close(&sqlite);
}
END_TEST

START_TEST(an_owned_file_is_in_use)
{
    for (int owner = PLEX_SQLITE_ALONE; owner <= PLEX_SQLITE_LOCKED; owner++) {
        struct plex_sqlite first, second;

        ck_assert_int_eq(try_open(&first, (enum plex_sqlite_owner)owner, 2),
                         PLEX_OK);
        ck_assert_int_eq(try_open(&second, (enum plex_sqlite_owner)owner, 2),
                         PLEX_UNAVAILABLE);
        ck_assert_ptr_nonnull(strstr(err.text, "in use"));
        ck_assert_ptr_nonnull(strstr(err.text, path));
        plex_sqlite_close(&second);
        plex_sqlite_close(&first);
        ck_assert_int_eq(try_open(&first, (enum plex_sqlite_owner)owner, 2),
                         PLEX_OK);
        plex_sqlite_close(&first);
    }
}
END_TEST

START_TEST(a_failed_transaction_leaves_nothing)
{
    struct plex_sqlite sqlite;

    opened(&sqlite, 2);
    run(&sqlite, "BEGIN; DELETE FROM one");
    ck_assert_int_eq(plex_sqlite_end(&sqlite, PLEX_CONFLICT, &err),
                     PLEX_CONFLICT);
    ck_assert_uint_eq(number(&sqlite, "SELECT count(*) FROM one"), 1);
    run(&sqlite, "BEGIN; DELETE FROM one");
    ck_assert_int_eq(plex_sqlite_end(&sqlite, PLEX_OK, &err), PLEX_OK);
    ck_assert_uint_eq(number(&sqlite, "SELECT count(*) FROM one"), 0);
    plex_sqlite_close(&sqlite);
}
END_TEST

START_TEST(a_full_file_is_a_limit)
{
    struct plex_sqlite sqlite;

    opened(&sqlite, 2);
    run(&sqlite, "PRAGMA max_page_count = 8");
    ck_assert_int_eq(plex_sqlite_run(&sqlite,
                                     "INSERT INTO one VALUES"
                                     " (8, zeroblob(100000))",
                                     &err),
                     PLEX_LIMIT);
    plex_sqlite_close(&sqlite);
}
END_TEST

START_TEST(another_file_is_corrupt)
{
    struct plex_sqlite sqlite;
    FILE *file = fopen(path, "w");

    for (int i = 0; i < 100; i++)
        (void)fputs("this is no database, not at all\n", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(try_open(&sqlite, PLEX_SQLITE_SHARED, 2), PLEX_CORRUPT);
    plex_sqlite_close(&sqlite);
}
END_TEST

static enum plex_status
take_row(void *arg, sqlite3_stmt *row, struct plex_err *error)
{
    const struct plex_bytes body = plex_sqlite_bytes(row, 1);

    if (++*(int *)arg == 2)
        return plex_err_set(error, PLEX_FAILED, "stop");
    ck_assert_uint_eq(plex_sqlite_u64(row, 0), 7);
    ck_assert_uint_eq(body.len, 2);
    ck_assert_uint_eq(body.data[1], 0xff);
    return PLEX_OK;
}

START_TEST(rows_come_until_one_is_refused)
{
    struct plex_sqlite sqlite;
    int rows = 0;

    opened(&sqlite, 2);
    run(&sqlite, "INSERT INTO one VALUES (8, x''), (9, x'')");
    ck_assert_int_eq(plex_sqlite_each(&sqlite, "SELECT * FROM one ORDER BY n",
                                      take_row, &rows, &err),
                     PLEX_FAILED);
    ck_assert_int_eq(rows, 2);
    plex_sqlite_close(&sqlite);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sqlite_db");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, each_migration_is_applied_once);
    tcase_add_test(all, a_newer_schema_is_not_opened);
    tcase_add_test(all, an_owned_file_is_in_use);
    tcase_add_test(all, a_failed_transaction_leaves_nothing);
    tcase_add_test(all, a_full_file_is_a_limit);
    tcase_add_test(all, another_file_is_corrupt);
    tcase_add_test(all, rows_come_until_one_is_refused);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
