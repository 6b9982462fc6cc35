#include "common/context.h"
#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What can go wrong with a file. SQLite only. */

static void
sql(const char *text)
{
    char command[1024];

    (void)snprintf(command, sizeof command, "sqlite3 %s/j.db \"%s\"", fx.folder,
                   text);
    ck_assert_int_eq(system(command), 0);
}

static enum plex_status
try_open(const char *dsn, struct plex_err *err)
{
    const struct journal_store_config config = {.dsn = dsn};
    struct journal_store *store;
    const enum plex_status status = journal_store_open(&store, &config, err);

    if (status == PLEX_OK)
        journal_store_close(store);
    return status;
}

START_TEST(a_second_journal_on_the_same_file_is_refused)
{
    struct plex_err err;

    ck_assert_int_eq(try_open(fx.dsn, &err), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use by another journal"));
}
END_TEST

START_TEST(a_file_that_is_no_database_is_corrupt)
{
    struct plex_err err;
    char dsn[256], path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/bad.db", fx.folder);
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s", path);
    f = fopen(path, "w");
    for (int i = 0; i < 2000; i++)
        (void)fputs("not a database ", f);
    (void)fclose(f);
    ck_assert_int_eq(try_open(dsn, &err), PLEX_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "bad.db"));
}
END_TEST

START_TEST(a_damaged_page_is_found_on_open)
{
    struct journal_entry turn;
    struct plex_err err;
    char path[128];
    FILE *f;

    for (unsigned i = 1; i <= 200; i++) {
        turn = turn_of("a", i, "");
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    journal_store_close(fx.store);
    fx.store = NULL;
    (void)snprintf(path, sizeof path, "%s/j.db", fx.folder);
    f = fopen(path, "r+");
    for (int page = 2; page < 9; page++) {
        (void)fseek(f, page * 4096 + 4, SEEK_SET);
        (void)fputs("damage damage damage", f);
    }
    (void)fclose(f);
    ck_assert_int_eq(try_open(fx.dsn, &err), PLEX_CORRUPT);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    struct plex_err err;

    journal_store_close(fx.store);
    fx.store = NULL;
    sql("INSERT INTO plex_migration VALUES ('journal', 99)");
    ck_assert_int_eq(try_open(fx.dsn, &err), PLEX_UNSUPPORTED);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_unavailable)
{
    struct plex_err err;

    ck_assert_int_eq(try_open("sqlite:/nowhere/at/all/j.db", &err),
                     PLEX_UNAVAILABLE);
    ck_assert_int_eq(try_open("sqlite:", &err), PLEX_INVALID);
    ck_assert_int_eq(try_open("mysql:x", &err), PLEX_INVALID);
}
END_TEST

static enum plex_status
try_load(const char *key, struct plex_err *err)
{
    const struct journal_load want = {actor_of(key), SHARD, 1, 10};
    struct journal_loaded loaded;
    uint64_t newest;

    return journal_store_load(fx.store, &want, NOW, &fx.arena, &loaded, &newest,
                              err);
}

START_TEST(a_changed_row_is_corrupt_and_names_actor_and_seq)
{
    struct journal_entry turn = turn_of("a", 1, "id");
    struct plex_err err;

    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn.actor.key = "b";
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    sql("UPDATE journal_turn SET reply = x'00' WHERE id = 1");
    ck_assert_int_eq(try_load("a", &err), PLEX_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "acme/prod/counter/a at seq 1"));
    ck_assert_int_eq(try_load("b", &err), PLEX_OK);
    sql("UPDATE journal_turn SET state = x'00' WHERE id = 2");
    ck_assert_int_eq(try_load("b", &err), PLEX_CORRUPT);
}
END_TEST

START_TEST(a_corrupt_snapshot_falls_back_to_the_one_before_and_the_turn)
{
    struct journal_entry turns[3] = {turn_of("a", 1, ""), turn_of("a", 2, ""),
                                     turn_of("a", 3, "")};
    struct journal_result results[3];
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 2,
                                     .state = bytes_of("two")};

    turns[1].has_state = turns[2].has_state = false;
    commit_entries(turns, 3, results);
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    snapshot.seq = 3;
    snapshot.state = bytes_of("three");
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_bytes(load("a", 1).state, "three");
    sql("UPDATE journal_snapshot SET state = 'xxx' WHERE seq = 3");
    ck_bytes(load("a", 1).state, "two");
    sql("UPDATE journal_snapshot SET state_hash = 1 WHERE seq = 2");
    ck_bytes(load("a", 1).state, "s1");
}
END_TEST

static void
open_limited(uint64_t pages)
{
    const struct journal_store_config config = {.dsn = fx.dsn,
                                                .pages_max = pages};
    struct plex_err err;

    journal_store_close(fx.store);
    ck_assert_msg(journal_store_open(&fx.store, &config, &err) == PLEX_OK, "%s",
                  err.text);
}

/* A commit of one turn with a state of 10 kB and one of a new actor. */
static enum plex_status
commit_large(uint64_t seq, struct plex_err *err)
{
    static uint8_t state[10000]; /* what zstd cannot make smaller */
    char id[16];
    struct journal_entry a, b;
    const struct journal_entry *entries[] = {&a, &b};
    struct journal_result r[2], *results[] = {&r[0], &r[1]};
    struct journal_commit commit = {
        .entries = entries, .results = results, .n_entries = 2, .wall_ms = NOW};
    enum plex_status status;

    plex_random(state, sizeof state);
    (void)snprintf(id, sizeof id, "id-%u", (unsigned)seq);
    b = turn_of(id, 1, id);
    a = turn_of("a", seq, id);
    a.state = (struct plex_bytes){state, sizeof state};
    status = journal_store_commit(fx.store, &commit, err);
    if (status == PLEX_OK) {
        ck_assert_int_eq(r[0].status, PLEX_OK);
        ck_assert_int_eq(r[1].status, PLEX_OK);
    }
    return status;
}

START_TEST(a_full_disk_refuses_and_loses_nothing_acknowledged)
{
    struct plex_err err;
    uint64_t seq = 0;
    char key[16];

    fence(0, 99, 1);
    open_limited(120);
    while (commit_large(seq + 1, &err) == PLEX_OK && seq < 1000)
        seq++;
    ck_assert_int_eq(err.status, PLEX_LIMIT);
    ck_assert_uint_gt(seq, 5);
    /* Memory agrees with the file about the turn that failed. */
    ck_assert_uint_eq(load("a", 1).last_seq, seq);
    ck_assert_int_eq(commit_large(seq + 1, &err), PLEX_LIMIT);
    open_limited(4000);
    ck_assert_uint_eq(load("a", 1).last_seq, seq);
    (void)snprintf(key, sizeof key, "id-%u", (unsigned)seq + 1);
    ck_assert_uint_eq(load(key, 1).last_seq, 0);
    ck_assert_int_eq(commit_large(seq + 1, &err), PLEX_OK);
}
END_TEST

START_TEST(it_works_again_once_there_is_room_without_being_reopened)
{
    struct plex_err err;
    struct journal_entry small = turn_of("small", 1, "small");
    uint64_t seq = 0;

    open_limited(120);
    while (commit_large(seq + 1, &err) == PLEX_OK && seq < 1000)
        seq++;
    ck_assert_int_eq(err.status, PLEX_LIMIT);
    /* What still fits goes in, next to failures. */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(commit_large(seq + 1, &err), PLEX_LIMIT);
        small.seq = (uint64_t)i + 1;
        small.message_id.len = 0;
        ck_assert_int_eq(commit_one(&small), PLEX_OK);
    }
    fixture_reopen();
    ck_assert_uint_eq(load("small", 1).last_seq, 3);
    ck_assert_uint_eq(load("a", 1).last_seq, seq);
}
END_TEST

START_TEST(heads_left_behind_are_recomputed_after_a_crash)
{
    struct journal_entry turn;

    for (unsigned i = 1; i <= 50; i++) {
        turn = turn_of(i % 2 ? "odd" : "even", (i + 1) / 2, "");
        turn.has_state = i <= 20;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    /* A copy of the files while they are open is what a crash leaves. */
    {
        char command[400];

        (void)snprintf(command, sizeof command,
                       "cp %s/j.db %s/k.db; cp %s/j.db-wal %s/k.db-wal",
                       fx.folder, fx.folder, fx.folder, fx.folder);
        ck_assert_int_eq(system(command), 0);
        (void)snprintf(fx.dsn, sizeof fx.dsn, "sqlite:%s/k.db", fx.folder);
    }
    fixture_reopen();
    ck_assert_uint_eq(load("odd", 1).last_seq, 25);
    ck_assert_uint_eq(load("even", 1).last_seq, 25);
    ck_assert_uint_eq(load("odd", 1).state_seq, 10);
    ck_bytes(load("even", 1).state, "s10");
}
END_TEST

void
faults_add(Suite *suite)
{
    TCase *t = tcase_create("faults");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_test(t, a_second_journal_on_the_same_file_is_refused);
    tcase_add_test(t, a_file_that_is_no_database_is_corrupt);
    tcase_add_test(t, a_damaged_page_is_found_on_open);
    tcase_add_test(t, a_newer_schema_is_refused);
    tcase_add_test(t, a_folder_that_is_not_there_is_unavailable);
    tcase_add_test(t, a_changed_row_is_corrupt_and_names_actor_and_seq);
    tcase_add_test(
        t, a_corrupt_snapshot_falls_back_to_the_one_before_and_the_turn);
    tcase_add_test(t, a_full_disk_refuses_and_loses_nothing_acknowledged);
    tcase_add_test(t, it_works_again_once_there_is_room_without_being_reopened);
    tcase_add_test(t, heads_left_behind_are_recomputed_after_a_crash);
    suite_add_tcase(suite, t);
}
