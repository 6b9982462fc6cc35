/* What every back end of the tuple space promises. TEST_DSN "sqlite:" gets a
 * file of its own for each test. */
#include "services/tuplespace/store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], dsn[128];
static bool durable;
static struct plex_err err;
static const struct tspace_where here = {"default", "default", "jobs"};
static const struct tspace_config config = {
    .spaces_max = 10,
    .tuples_max = 100000,
    .bytes_max = 1 << 30,
    .waiters_max = 4,
    .requests_max = 100,
};
static const struct tspace_now now = {1, 1000};

static void
setup(void)
{
    const char *given = getenv("TEST_DSN");

    given = given != NULL ? given : "mem:";
    durable = strcmp(given, "mem:") != 0;
    (void)snprintf(folder, sizeof folder, "/tmp/plex-tspace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    if (durable)
        (void)snprintf(dsn, sizeof dsn, "%s%s/t.db", given, folder);
    else
        (void)snprintf(dsn, sizeof dsn, "%s", given);
    err = (struct plex_err){0};
}

static void
teardown(void)
{
    static const char *const names[] = {"t.db", "t.db-wal", "t.db-shm"};
    char path[128];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static struct tspace_store *
opened(void)
{
    struct tspace_store *store = NULL;

    ck_assert_msg(tspace_store_open(&store, dsn, &err) == PLEX_OK, "%s",
                  err.text);
    return store;
}

static void
apply(struct tspace_core *core, struct tspace_store *store)
{
    struct tspace_action action;

    while (tspace_core_next(core, &action))
        if (action.kind != TSPACE_REPLY)
            ck_assert_msg(tspace_store_apply(store, &action, &err) == PLEX_OK,
                          "%s", err.text);
}

static void
write_some(struct tspace_core *core, uint8_t id, uint32_t n,
           const char *request_id)
{
    static const struct tspace_field fields[] = {
        {.type = TSPACE_STRING, .bytes = {(const uint8_t *)"job", 3}},
        {.type = TSPACE_INTEGER, .integer = -7},
        {.type = TSPACE_FLOAT, .real = 2.5},
        {.type = TSPACE_BOOLEAN, .integer = 1},
        {.type = TSPACE_BINARY, .bytes = {(const uint8_t *)"\0\1", 2}},
        {.type = TSPACE_NULL},
    };
    const struct tspace_tuple tuple = {.fields = fields, .n_fields = 6};
    struct tspace_tuple tuples[8];
    struct tspace_write write = {
        .where = here, .tuples = tuples, .n_tuples = n};

    for (uint32_t i = 0; i < n; i++)
        tuples[i] = tuple;
    write.first_id[0] = id;
    if (request_id != NULL)
        write.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, TSPACE_ID_BYTES};
    tspace_core_write(core, now, NULL, &write);
}

static const struct tspace_pattern pattern[] = {
    {TSPACE_EXACT,
     {.type = TSPACE_STRING, .bytes = {(const uint8_t *)"job", 3}}},
    {TSPACE_EXACT, {.type = TSPACE_INTEGER, .integer = -7}},
    {TSPACE_EXACT, {.type = TSPACE_FLOAT, .real = 2.5}},
    {TSPACE_EXACT, {.type = TSPACE_BOOLEAN, .integer = 1}},
    {TSPACE_EXACT,
     {.type = TSPACE_BINARY, .bytes = {(const uint8_t *)"\0\1", 2}}},
    {TSPACE_EXACT, {.type = TSPACE_NULL}},
};

static void
take_some(struct tspace_core *core, uint32_t n, const char *request_id)
{
    struct tspace_read read = {.where = here,
                               .patterns = pattern,
                               .n_patterns = 6,
                               .max_results = n,
                               .take = true};

    if (request_id != NULL)
        read.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, TSPACE_ID_BYTES};
    tspace_core_read(core, now, NULL, &read);
}

static struct tspace_core *
reopened(struct tspace_store **store)
{
    struct tspace_core *core = tspace_core_create(&config);

    tspace_store_close(*store);
    *store = opened();
    ck_assert_msg(tspace_store_load(*store, core, &err) == PLEX_OK, "%s",
                  err.text);
    return core;
}

START_TEST(what_was_committed_is_there_after_reopening)
{
    struct tspace_core *core = tspace_core_create(&config);
    struct tspace_store *store = opened();

    write_some(core, 1, 5, NULL);
    take_some(core, 2, NULL);
    apply(core, store);
    ck_assert_int_eq(tspace_store_commit(store, &err), PLEX_OK);
    tspace_core_free(core);
    core = reopened(&store);
    ck_assert_uint_eq(tspace_core_count(core, now, &here, pattern, 6),
                      durable ? 3 : 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(what_was_rolled_back_is_gone)
{
    struct tspace_core *core = tspace_core_create(&config);
    struct tspace_store *store = opened();

    write_some(core, 1, 2, NULL);
    apply(core, store);
    tspace_store_rollback(store);
    tspace_core_free(core);
    core = reopened(&store);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(answers_to_request_ids_survive)
{
    struct tspace_core *core = tspace_core_create(&config);
    struct tspace_store *store = opened();
    struct tspace_action action;
    unsigned puts = 0, taken = 0;

    write_some(core, 1, 3, "write-1---------");
    take_some(core, 2, "take-1----------");
    apply(core, store);
    ck_assert_int_eq(tspace_store_commit(store, &err), PLEX_OK);
    tspace_core_free(core);
    core = reopened(&store);
    write_some(core, 9, 3, "write-1---------");
    take_some(core, 2, "take-1----------");
    while (tspace_core_next(core, &action)) {
        puts += action.kind == TSPACE_PUT;
        if (action.kind == TSPACE_REPLY && !action.answer->is_write)
            taken = action.answer->n;
        else if (action.kind == TSPACE_REPLY && durable)
            ck_assert_uint_eq(action.answer->first_id[0], 1);
    }
    ck_assert_uint_eq(puts, durable ? 0 : 3);
    ck_assert_uint_eq(taken, 2);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(unknown_schemes_are_refused)
{
    struct tspace_store *store;

    ck_assert_int_eq(tspace_store_open(&store, "redis:x", &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "sqlite:FILE"));
    ck_assert_int_eq(tspace_store_check("sqlite:", &err), PLEX_INVALID);
}
END_TEST

START_TEST(a_file_is_opened_by_one_at_a_time)
{
    struct tspace_store *store, *second = NULL;

    if (!durable) {
        printf("SKIP: %s has no file\n", dsn);
        return;
    }
    store = opened();
    ck_assert_int_eq(tspace_store_open(&second, dsn, &err), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    tspace_store_close(store);
}
END_TEST

START_TEST(a_file_of_something_else_is_corrupt)
{
    struct tspace_store *store = NULL;
    FILE *file;

    if (!durable) {
        printf("SKIP: %s has no file\n", dsn);
        return;
    }
    file = fopen(dsn + strlen("sqlite:"), "w");
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is not a database\n", file);
    (void)fclose(file);
    ck_assert_int_eq(tspace_store_open(&store, dsn, &err), PLEX_CORRUPT);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace store");
    TCase *tcase = tcase_create("store");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_committed_is_there_after_reopening);
    tcase_add_test(tcase, what_was_rolled_back_is_gone);
    tcase_add_test(tcase, answers_to_request_ids_survive);
    tcase_add_test(tcase, unknown_schemes_are_refused);
    tcase_add_test(tcase, a_file_is_opened_by_one_at_a_time);
    tcase_add_test(tcase, a_file_of_something_else_is_corrupt);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
