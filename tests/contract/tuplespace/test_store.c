/*
 * What every back end of the tuple space promises. TEST_DSN "sqlite:" gets a
 * file of its own for each test; "postgres:" and "redis:" are the servers that
 * PLEX_TEST_PG and PLEX_TEST_REDIS name, with a shard of its own for each test.
 */
#include "services/tuplespace/store_lib.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[64], dsn[256];
static uint32_t shard;
static bool durable, is_file, skip;
static struct plex_err err;
static uint64_t epoch;
static const struct tspace_where here = {"default", "default", "jobs"};
static const struct tspace_where other = {"default", "default", "other"};
static const struct tspace_now now = {1, 1000};

static void
server_setup(const char *variable)
{
    const char *url = getenv(variable);

    skip = url == NULL;
    if (skip)
        printf("SKIP: %s is not set: no server to test with\n", variable);
    else
        (void)snprintf(dsn, sizeof dsn, "%s", url);
}

static void
setup(void)
{
    static uint32_t n;
    const char *given = getenv("TEST_DSN");

    given = given != NULL ? given : "mem:";
    durable = strcmp(given, "mem:") != 0;
    is_file = strcmp(given, "sqlite:") == 0;
    skip = false;
    shard = 0;
    (void)snprintf(folder, sizeof folder, "/tmp/plex-tspace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    if (is_file)
        (void)snprintf(dsn, sizeof dsn, "%s%s/t.db", given, folder);
    else
        (void)snprintf(dsn, sizeof dsn, "%s", given);
    if (strcmp(given, "postgres:") == 0)
        server_setup("PLEX_TEST_PG");
    else if (strcmp(given, "redis:") == 0)
        server_setup("PLEX_TEST_REDIS");
    if (durable && !is_file)
        shard = (uint32_t)time(NULL) % 1000000 * 1000 +
                (uint32_t)getpid() % 10 * 100 + n++;
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

    ck_assert_msg(tspace_store_open_shard(&store, dsn, shard, &epoch, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    return store;
}

static struct tspace_core *
core_make(void)
{
    const struct tspace_config config = {
        .epoch = epoch,
        .spaces_max = 1000,
        .tuples_max = 100000,
        .bytes_max = 1 << 30,
        .waiters_max = 4,
        .requests_max = 100,
        .tx_max = 10,
        .subscriptions_max = 10,
        .events_max = 100,
        .transient = !durable,
    };

    return tspace_core_create(&config);
}

/* The last answer; `*puts` counts what was to be stored. */
static struct tspace_answer last;
static unsigned puts_;

static void
apply(struct tspace_core *core, struct tspace_store *store)
{
    struct tspace_action action;

    puts_ = 0;
    while (tspace_core_next(core, &action)) {
        if (action.kind == TSPACE_PUT || action.kind == TSPACE_REMOVE)
            ck_assert_msg(tspace_store_apply(store, &action, &err) == PLEX_OK,
                          "%s", err.text);
        puts_ +=
            action.kind == TSPACE_PUT && action.record == TSPACE_RECORD_TUPLE;
        if (action.kind != TSPACE_REPLY)
            continue;
        ck_assert_msg(action.status == PLEX_OK, "%s", action.text);
        last = *action.answer;
    }
}

static const struct tspace_value inner[] = {
    {.type = TSPACE_STRING, .bytes = {(const uint8_t *)"in", 2}}};
static const struct tspace_value fields[] = {
    {.type = TSPACE_STRING, .bytes = {(const uint8_t *)"job", 3}},
    {.type = TSPACE_INTEGER, .integer = INT64_MIN},
    {.type = TSPACE_FLOAT, .real = 2.5},
    {.type = TSPACE_BOOLEAN, .integer = 1},
    {.type = TSPACE_BINARY, .bytes = {(const uint8_t *)"\0\1", 2}},
    {.type = TSPACE_NULL},
    {.type = TSPACE_TUPLE, .fields = inner, .n_fields = 1},
};

static void
write_to(struct tspace_core *core, const struct tspace_where *where, uint32_t n,
         const char *request_id)
{
    struct plex_buf packed = {.max = 4096};
    struct plex_bytes tuples[8];
    struct tspace_write write = {
        .op.where = *where, .tuples = tuples, .n_tuples = n};

    ck_assert_int_eq(tspace_pack(fields, 7, &packed, &err), PLEX_OK);
    for (uint32_t i = 0; i < n; i++)
        tuples[i] = (struct plex_bytes){packed.data, packed.len};
    if (request_id != NULL)
        write.op.request_id = (struct plex_bytes){(const uint8_t *)request_id,
                                                  strlen(request_id)};
    tspace_core_write(core, now, &write);
    plex_buf_free(&packed);
}

static struct tspace_template *
template_make(void)
{
    struct tspace_matcher matchers[7] = {{0}};
    struct tspace_template *template = NULL;

    for (int i = 0; i < 7; i++)
        matchers[i] =
            (struct tspace_matcher){.kind = TSPACE_EXACT, .value = fields[i]};
    ck_assert_msg(tspace_template_create(&template, matchers, 7, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    return template;
}

static void
take_some(struct tspace_core *core, const struct tspace_where *where,
          uint32_t n, const char *request_id)
{
    struct tspace_read read = {
        .op.where = *where, .max_results = n, .take = true};

    read.template = template_make();
    if (request_id != NULL)
        read.op.request_id = (struct plex_bytes){(const uint8_t *)request_id,
                                                 strlen(request_id)};
    tspace_core_read(core, now, &read);
    tspace_template_unref(read.template);
}

static uint64_t
count_in(struct tspace_core *core, struct tspace_store *store,
         const struct tspace_where *where)
{
    struct tspace_count count = {.op.where = *where};

    count.template = template_make();
    tspace_core_count(core, now, &count);
    tspace_template_unref(count.template);
    apply(core, store);
    return last.number;
}

static void
commit(struct tspace_store *store)
{
    ck_assert_msg(tspace_store_commit(store, &err) == PLEX_OK, "%s", err.text);
}

static struct tspace_core *
reopened(struct tspace_store **store, struct tspace_core *core)
{
    tspace_core_free(core);
    tspace_store_close(*store);
    *store = opened();
    core = core_make();
    ck_assert_msg(tspace_store_load(*store, core, now, &err) == PLEX_OK, "%s",
                  err.text);
    return core;
}

START_TEST(what_was_committed_is_there_after_reopening)
{
    struct tspace_store *store;
    struct tspace_core *core;

    if (skip)
        return;
    store = opened();
    core = core_make();
    write_to(core, &here, 5, NULL);
    write_to(core, &other, 1, NULL);
    take_some(core, &here, 2, NULL);
    apply(core, store);
    commit(store);
    take_some(core, &here, 1, NULL);
    apply(core, store);
    commit(store);
    core = reopened(&store, core);
    ck_assert_uint_eq(count_in(core, store, &here), durable ? 2 : 0);
    ck_assert_uint_eq(count_in(core, store, &other), durable ? 1 : 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(what_was_rolled_back_is_gone)
{
    struct tspace_store *store;
    struct tspace_core *core;

    if (skip)
        return;
    store = opened();
    core = core_make();
    write_to(core, &here, 2, NULL);
    apply(core, store);
    tspace_store_rollback(store);
    commit(store);
    core = reopened(&store, core);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(answers_to_request_ids_survive)
{
    struct tspace_store *store;
    struct tspace_core *core;
    uint64_t first;

    if (skip)
        return;
    store = opened();
    core = core_make();
    write_to(core, &here, 3, "write-1");
    apply(core, store);
    first = last.first_id;
    take_some(core, &here, 2, "take-1");
    apply(core, store);
    commit(store);
    core = reopened(&store, core);
    write_to(core, &here, 3, "write-1");
    apply(core, store);
    ck_assert_uint_eq(puts_, 0); /* stored before, or nothing ever is */
    if (durable)
        ck_assert_uint_eq(last.first_id, first);
    take_some(core, &here, 2, "take-1");
    apply(core, store);
    ck_assert_uint_eq(last.n, 2);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

/* A record may be put and removed again and again, within one transaction and
 * over several. */
START_TEST(the_last_change_of_a_record_counts)
{
    struct tspace_store *store;
    struct tspace_core *core;
    struct tspace_swap swap = {.op.where = here};
    struct plex_buf packed = {.max = 4096};

    if (skip)
        return;
    store = opened();
    core = core_make();
    write_to(core, &here, 3, NULL);
    take_some(core, &here, 3, NULL);
    apply(core, store);
    commit(store);
    write_to(core, &here, 1, NULL);
    apply(core, store);
    commit(store);
    ck_assert_int_eq(tspace_pack(fields, 2, &packed, &err), PLEX_OK);
    swap.template = template_make();
    swap.packed = (struct plex_bytes){packed.data, packed.len};
    tspace_core_swap(core, now, &swap);
    tspace_template_unref(swap.template);
    plex_buf_free(&packed);
    apply(core, store);
    commit(store);
    core = reopened(&store, core);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, durable ? 1 : 0);
    ck_assert_uint_eq(count_in(core, store, &here), 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(many_tuples_and_spaces_come_back)
{
    char name[32];
    struct tspace_where where = {"default", "ns", name};
    struct tspace_store *store;
    struct tspace_core *core;

    if (skip)
        return;
    store = opened();
    core = core_make();
    for (int i = 0; i < 700; i++) {
        (void)snprintf(name, sizeof name, "space-%d", i);
        write_to(core, &where, 8, NULL);
    }
    apply(core, store);
    commit(store);
    core = reopened(&store, core);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, durable ? 5600 : 0);
    (void)snprintf(name, sizeof name, "space-%d", 699);
    ck_assert_uint_eq(count_in(core, store, &where), durable ? 8 : 0);
    tspace_core_free(core);
    tspace_store_close(store);
}
END_TEST

START_TEST(each_opening_raises_the_epoch)
{
    struct tspace_store *store;
    uint64_t before;

    if (skip || !durable)
        return;
    store = opened();
    before = epoch;
    ck_assert_uint_ge(before, 1);
    tspace_store_close(store);
    store = opened();
    ck_assert_uint_eq(epoch, before + 1);
    tspace_store_close(store);
}
END_TEST

START_TEST(an_older_epoch_cannot_commit)
{
    struct tspace_store *old, *new;
    struct tspace_core *core;

    if (skip || !durable || is_file)
        return;
    old = opened();
    core = core_make();
    write_to(core, &here, 1, NULL);
    apply(core, old);
    commit(old);
    new = opened();
    write_to(core, &here, 2, NULL);
    apply(core, old);
    ck_assert_int_eq(tspace_store_commit(old, &err), PLEX_FENCED);
    tspace_core_free(core);
    tspace_store_close(old);
    core = core_make();
    ck_assert_msg(tspace_store_load(new, core, now, &err) == PLEX_OK, "%s",
                  err.text);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 1);
    tspace_core_free(core);
    tspace_store_close(new);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    static const char *const bad[] = {
        "mongo:x",        "sqlite:",
        "mem:x",          "postgres:",
        "redis:x",        "redis://",
        "redis://host:0", "redis://host:99999",
        "redis://host/x", "redis://host?durable",
        "redis://:1",     "",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(tspace_store_check(bad[i], &err) == PLEX_INVALID, "%s",
                      bad[i]);
        ck_assert_str_ne(err.text, "");
    }
    ck_assert_int_eq(tspace_store_check("redis://u:p@h:1/2?relaxed", &err),
                     PLEX_OK);
    ck_assert_int_eq(tspace_store_check("redis://[bad", &err), PLEX_OK);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_unavailable)
{
    static const char *const away[] = {"postgres://nobody@127.0.0.1:1/none",
                                       "redis://127.0.0.1:1"};
    struct tspace_store *store = NULL;

    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(tspace_store_open(&store, away[i], &epoch, &err),
                         PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(a_file_is_opened_by_one_at_a_time)
{
    struct tspace_store *store, *second = NULL;

    if (!is_file)
        return;
    store = opened();
    ck_assert_int_eq(tspace_store_open(&second, dsn, &epoch, &err),
                     PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    tspace_store_close(store);
}
END_TEST

START_TEST(a_file_of_something_else_is_corrupt)
{
    struct tspace_store *store = NULL;
    FILE *file;

    if (!is_file)
        return;
    file = fopen(dsn + strlen("sqlite:"), "w");
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is not a database\n", file);
    (void)fclose(file);
    ck_assert_int_eq(tspace_store_open(&store, dsn, &epoch, &err),
                     PLEX_CORRUPT);
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
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_was_committed_is_there_after_reopening);
    tcase_add_test(tcase, what_was_rolled_back_is_gone);
    tcase_add_test(tcase, answers_to_request_ids_survive);
    tcase_add_test(tcase, the_last_change_of_a_record_counts);
    tcase_add_test(tcase, many_tuples_and_spaces_come_back);
    tcase_add_test(tcase, each_opening_raises_the_epoch);
    tcase_add_test(tcase, an_older_epoch_cannot_commit);
    tcase_add_test(tcase, bad_addresses_are_refused);
    tcase_add_test(tcase, a_server_that_is_not_there_is_unavailable);
    tcase_add_test(tcase, a_file_is_opened_by_one_at_a_time);
    tcase_add_test(tcase, a_file_of_something_else_is_corrupt);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
