/*
 * What Linda is here, rule by rule, on every store: docs/linda.md lists these
 * tests by name. The space is kept in the store of TEST_DSN and loaded from it
 * again in the middle of each rule. LINDA_SEEDS (4) random runs follow, in
 * which every answer must be that of a model; each request is a transaction.
 * "postgres:" and "redis:" are the servers that PLEX_TEST_PG and
 * PLEX_TEST_REDIS name.
 */
#include "services/tuplespace/store_lib.h"
#include "tests/unit/tuplespace/model_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[64], dsn[256];
static uint32_t shard, file;
static bool durable = true, skip;
static struct tspace_store *store;
static struct drive drive;

/* -- the store ------------------------------------------------------------- */

static void
store_open(uint64_t *epoch)
{
    struct plex_err err = {0};

    ck_assert_msg(tspace_store_open_shard(&store, dsn, shard, epoch, &err) ==
                      PLEX_OK,
                  "%s", err.text);
}

static void
store_begin(uint64_t *epoch)
{
    /* Where nothing is yet. */
    if (folder[0] != '\0')
        (void)snprintf(dsn, sizeof dsn, "sqlite:%s/%u.db", folder, ++file);
    else
        shard++;
    store_open(epoch);
}

static void
store_apply(const struct tspace_action *action)
{
    struct plex_err err = {0};

    ck_assert_msg(tspace_store_apply(store, action, &err) == PLEX_OK, "%s",
                  err.text);
}

static void
store_commit(void)
{
    struct plex_err err = {0};

    ck_assert_msg(tspace_store_commit(store, &err) == PLEX_OK, "%s", err.text);
}

static void
store_reopen(uint64_t *epoch)
{
    tspace_store_close(store);
    store_open(epoch);
}

static void
store_load(struct tspace_core *core, struct tspace_now now)
{
    struct plex_err err = {0};

    ck_assert_msg(tspace_store_load(store, core, now, &err) == PLEX_OK, "%s",
                  err.text);
}

static void
store_close(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[300];

    tspace_store_close(store);
    store = NULL;
    for (int i = 0; i < 3 && folder[0] != '\0'; i++) {
        (void)snprintf(path, sizeof path, "%s/%u.db%s", folder, file, ends[i]);
        (void)unlink(path);
    }
}

static const struct drive_backend backend = {store_begin,  store_apply,
                                             store_commit, store_reopen,
                                             store_load,   store_close};

static void
server_choose(const char *variable)
{
    const char *url = getenv(variable);

    skip = url == NULL;
    if (skip)
        printf("SKIP: %s is not set: no server to test with\n", variable);
    else
        (void)snprintf(dsn, sizeof dsn, "%s", url);
    /* Shards that no other run has. */
    shard =
        (uint32_t)time(NULL) % 100000 * 10000 + (uint32_t)getpid() % 10 * 1000;
}

static void
store_choose(void)
{
    const char *given = getenv("TEST_DSN");

    given = given != NULL ? given : "mem:";
    durable = strcmp(given, "mem:") != 0;
    if (strcmp(given, "sqlite:") == 0) {
        (void)snprintf(folder, sizeof folder, "/tmp/plex-linda-XXXXXX");
        skip = mkdtemp(folder) == NULL;
    } else if (strcmp(given, "postgres:") == 0) {
        server_choose("PLEX_TEST_PG");
    } else if (strcmp(given, "redis:") == 0) {
        server_choose("PLEX_TEST_REDIS");
    }
}

static void
setup(void)
{
    drive_open(&drive, NULL);
    drive_keep(&drive, durable ? &backend : NULL);
}

static void
teardown(void)
{
    drive_close(&drive);
}

/* What is kept must be enough: without a store, in the test's own memory. */
static void
again(void)
{
    drive_restart(&drive);
}

/* -- the rules ------------------------------------------------------------- */

START_TEST(out_puts_a_tuple_and_in_takes_it_once)
{
    const uint64_t id = put(&drive, 0, tuple("si", "a", 1ll));

    again();
    ck_assert(take(&drive, 1, template("s?", "a"), 0)->ids[0] == id);
    ck_assert_uint_eq(take(&drive, 2, template("s?", "a"), 0)->n, 0);
    again();
    ck_assert_uint_eq(take(&drive, 3, template("s?", "a"), 0)->n, 0);
}
END_TEST

START_TEST(rd_leaves_the_tuple)
{
    put(&drive, 0, tuple("i", 1ll));
    ck_assert_uint_eq(read_one(&drive, 1, template("I"), 0)->n, 1);
    again();
    ck_assert_uint_eq(read_one(&drive, 2, template("I"), 0)->n, 1);
}
END_TEST

START_TEST(equal_tuples_are_as_many_as_were_written)
{
    for (int i = 0; i < 3; i++)
        put(&drive, 0, tuple("s", "same"));
    again();
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(take(&drive, 1, template("s", "same"), 0)->n, 1);
    ck_assert_uint_eq(take(&drive, 1, template("s", "same"), 0)->n, 0);
}
END_TEST

START_TEST(a_match_has_the_length_the_types_and_the_values_of_the_template)
{
    put(&drive, 0, tuple("si", "a", 1ll));
    again();
    ck_assert_uint_eq(read_one(&drive, 1, template("s", "a"), 0)->n, 0);
    ck_assert_uint_eq(read_one(&drive, 1, template("s??", "a"), 0)->n, 0);
    ck_assert_uint_eq(read_one(&drive, 1, template("sF", "a"), 0)->n, 0);
    ck_assert_uint_eq(read_one(&drive, 1, template("s?", "b"), 0)->n, 0);
    ck_assert_uint_eq(read_one(&drive, 1, template("sI", "a"), 0)->n, 1);
}
END_TEST

START_TEST(the_oldest_match_comes_first)
{
    for (int64_t i = 0; i < 5; i++)
        put(&drive, 0, tuple("i", i));
    again();
    for (int64_t i = 0; i < 5; i++)
        ck_assert_int_eq(take(&drive, 1, template("?"), 0)->first, i);
}
END_TEST

START_TEST(in_waits_for_a_tuple_and_the_first_to_come_gets_it)
{
    again();
    take(&drive, 1, template("s?", "a"), 1000);
    take(&drive, 2, template("s?", "a"), 1000);
    put(&drive, 0, tuple("si", "b", 0ll));
    ck_assert(!drive.replies[1].done);
    put(&drive, 0, tuple("si", "a", 1ll));
    ck_assert(drive.replies[1].done && !drive.replies[2].done);
    again();
    ck_assert_uint_eq(count(&drive, 3, template(""))->number, 1);
}
END_TEST

START_TEST(a_lease_that_ends_takes_the_tuple_along)
{
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {
        .op = op(0), .tuples = &packed, .n_tuples = 1, .ttl_ms = 100};

    write_with(&drive, &write);
    drive_pass(&drive, 99);
    again();
    ck_assert_uint_eq(read_one(&drive, 1, template("?"), 0)->n, 1);
    drive.now.wall_ms += 1;
    again();
    ck_assert_uint_eq(read_one(&drive, 2, template("?"), 0)->n, 0);
}
END_TEST

START_TEST(a_retried_take_gives_the_tuple_it_took)
{
    struct tspace_read read = {.op = op(1), .take = true};
    uint64_t id;

    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    read.op.request_id = (struct plex_bytes){(const uint8_t *)"once", 4};
    read.template = template("?");
    id = read_with(&drive, &read)->ids[0];
    again();
    read.op.call = (void *)2;
    read.template = template("?");
    ck_assert(read_with(&drive, &read)->ids[0] == id);
    ck_assert_uint_eq(count(&drive, 3, template(""))->number, 1);
}
END_TEST

START_TEST(a_transaction_happens_as_a_whole_or_not_at_all)
{
    for (int commit = 0; commit < 2; commit++) {
        const uint64_t tx = begin(&drive, 1, 1000);
        const struct plex_bytes packed = tuple("s", "new");
        struct tspace_write write = {
            .op = op(2), .tuples = &packed, .n_tuples = 1};
        struct tspace_read read = {
            .op = op(3), .template = template("s", "old"), .take = true};

        put(&drive, 0, tuple("s", "old"));
        write.op.tx = read.op.tx = tx;
        write_with(&drive, &write);
        ck_assert_uint_eq(read_with(&drive, &read)->n, 1);
        end(&drive, 4, tx, commit ? TSPACE_COMMIT : TSPACE_ABORT);
        again();
        ck_assert_uint_eq(take(&drive, 5, template("s", "old"), 0)->n +
                              2 * take(&drive, 6, template("s", "new"), 0)->n,
                          commit ? 2 : 1);
    }
}
END_TEST

START_TEST(a_prepared_transaction_survives)
{
    const uint64_t tx = begin(&drive, 1, 1000);
    struct tspace_read read = {
        .op = op(2), .template = template("?"), .take = true};

    put(&drive, 0, tuple("i", 1ll));
    read.op.tx = tx;
    read_with(&drive, &read);
    end(&drive, 3, tx, TSPACE_PREPARE);
    again();
    ck_assert_uint_eq(count(&drive, 4, template("?"))->number, 0);
    ck_assert_int_eq(end(&drive, 5, tx, TSPACE_ABORT)->status, PLEX_OK);
    again();
    ck_assert_uint_eq(count(&drive, 6, template("?"))->number, 1);
}
END_TEST

START_TEST(a_claim_is_kept_until_it_is_confirmed_or_lapses)
{
    struct tspace_claim claim = {.op = op(9),
                                 .claim = {{(const uint8_t *)"w", 1}, 1, 0}};

    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    for (uint64_t turn = 1; turn <= 2; turn++) {
        struct tspace_read read = {
            .op = op(1),
            .template = template("?"),
            .take = true,
            .claim = {{(const uint8_t *)"w", 1}, turn, 100}};

        read_with(&drive, &read);
    }
    again();
    ck_assert_uint_eq(count(&drive, 2, template("?"))->number, 0);
    tspace_core_claim(drive.core, drive.now, &claim);
    drive_pass(&drive, 100);
    again();
    ck_assert_int_eq(take(&drive, 3, template("?"), 0)->first, 2);
    ck_assert_uint_eq(count(&drive, 4, template("?"))->number, 0);
}
END_TEST

START_TEST(guaranteed_events_are_told_until_they_are_acknowledged)
{
    struct tspace_subscribe subscribe = {.op = op(1),
                                         .template = template("?"),
                                         .events = TSPACE_WRITTEN,
                                         .guaranteed = true};

    tspace_core_subscribe(drive.core, drive.now, &subscribe);
    tspace_template_unref(subscribe.template);
    drive_drain(&drive);
    put(&drive, 0, tuple("i", 1ll));
    again();
    drive_drain(&drive);
    ck_assert_uint_eq(drive.n_heard, 2);
    ck_assert_uint_eq(drive.heard[1].number, 1);
}
END_TEST

START_TEST(random_runs_are_answered_as_the_model_says)
{
    const char *text = getenv("LINDA_SEEDS");
    const uint64_t seeds = text != NULL ? strtoull(text, NULL, 10) : 4;
    char what[MODEL_WHAT];

    for (uint64_t seed = 1; seed <= seeds; seed++)
        ck_assert_msg(model_run(seed, durable ? &backend : NULL, 0, what),
                      "seed %llu: %s", (unsigned long long)seed, what);
}
END_TEST

static void
rules_add(TCase *rules)
{
    tcase_add_test(rules, out_puts_a_tuple_and_in_takes_it_once);
    tcase_add_test(rules, rd_leaves_the_tuple);
    tcase_add_test(rules, equal_tuples_are_as_many_as_were_written);
    tcase_add_test(
        rules, a_match_has_the_length_the_types_and_the_values_of_the_template);
    tcase_add_test(rules, the_oldest_match_comes_first);
    tcase_add_test(rules, in_waits_for_a_tuple_and_the_first_to_come_gets_it);
    tcase_add_test(rules, a_lease_that_ends_takes_the_tuple_along);
    tcase_add_test(rules, a_retried_take_gives_the_tuple_it_took);
    tcase_add_test(rules, a_transaction_happens_as_a_whole_or_not_at_all);
    tcase_add_test(rules, a_prepared_transaction_survives);
    tcase_add_test(rules, a_claim_is_kept_until_it_is_confirmed_or_lapses);
    tcase_add_test(rules,
                   guaranteed_events_are_told_until_they_are_acknowledged);
}

int
main(void)
{
    Suite *suite = suite_create("linda");
    TCase *rules = tcase_create("rules"), *random = tcase_create("random");
    SRunner *runner;
    int failed;

    store_choose();
    if (skip)
        return 0;
    tcase_add_checked_fixture(rules, setup, teardown);
    rules_add(rules);
    tcase_set_timeout(random, 0);
    tcase_add_test(random, random_runs_are_answered_as_the_model_says);
    suite_add_tcase(suite, rules);
    suite_add_tcase(suite, random);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (folder[0] != '\0')
        (void)rmdir(folder);
    return failed != 0;
}
