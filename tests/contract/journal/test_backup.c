#include "services/journal/backup.h"
#include "tests/contract/journal/store_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Backup of a journal that is being written, and restore into another. */

static char path[160], target[512];

static void
setup(void)
{
    char command[1024];

    fixture_setup();
    (void)snprintf(path, sizeof path, "%s/one.plexjournal", fx.folder);
    if (fixture_is("sqlite")) {
        (void)snprintf(target, sizeof target, "sqlite:%s/restored.db",
                       fx.folder);
        return;
    }
    (void)snprintf(command, sizeof command,
                   "psql -q -d '%s' -c 'SET client_min_messages = warning; "
                   "DROP SCHEMA IF EXISTS journal_restored CASCADE; CREATE "
                   "SCHEMA journal_restored'",
                   getenv("PLEX_TEST_PG"));
    ck_assert_int_eq(system(command), 0);
    (void)snprintf(target, sizeof target,
                   "%s%coptions=-csearch_path%%3Djournal_restored",
                   getenv("PLEX_TEST_PG"),
                   strchr(getenv("PLEX_TEST_PG"), '?') ? '&' : '?');
}

static void
fill(uint64_t turns)
{
    for (uint64_t seq = 1; seq <= turns; seq++) {
        const struct journal_pending pending = {bytes_of("timer"), NOW + seq,
                                                bytes_of("the-message")};
        struct journal_entry turn = turn_of("a", seq, "");

        turn.pending = &pending;
        turn.n_pending = 1;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
        turn = turn_of("b", seq, "");
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
}

static struct journal_backup_info
backup(void)
{
    struct journal_backup_info info;
    struct plex_err err = {0};

    ck_assert_msg(journal_backup_create(fx.dsn, path, NOW, &info, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    return info;
}

/* The fixture's store becomes the restored one. */
static void
restored_open(void)
{
    struct plex_err err = {0};

    ck_assert_msg(journal_backup_restore(target, path, &err) == PLEX_OK, "%s",
                  err.text);
    journal_store_close(fx.store);
    fx.store = NULL;
    (void)snprintf(fx.dsn, sizeof fx.dsn, "%s", target);
    fixture_reopen();
}

START_TEST(what_was_saved_is_there_again_and_goes_on)
{
    const struct journal_verify everyone = {.actor = {"", "", "", ""},
                                            .limit = 10000};
    struct journal_entry turn = turn_of("a", 91, "");
    struct journal_verified verified;
    struct journal_backup_info info;
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("b"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 90,
                                     .state = bytes_of("snapshot")};
    struct plex_err err = {0};

    fence(0, 4095, 1);
    fill(90);
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    fence(0, 4095, 77);
    info = backup();
    ck_assert_uint_eq(info.at_ms, NOW);
    ck_assert_uint_gt(info.bytes, 1000);
    ck_assert_int_eq(access(path, R_OK), 0);
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_OK);
    turn.epoch = 77;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK); /* not in the backup */
    restored_open();
    ck_assert_uint_eq(load("a", 9).last_seq, 90);
    ck_bytes(load("a", 9).state, "s90");
    ck_bytes(load("b", 9).state, "snapshot");
    ck_assert_uint_eq(page_of(0, 99, (struct plex_bytes){0}, 9).n, 1);
    ck_assert_int_eq(
        journal_store_verify(fx.store, &everyone, &fx.arena, &verified, &err),
        PLEX_OK);
    ck_assert_uint_eq(verified.n_broken, 0);
    ck_assert_uint_eq(verified.turns, 180);
    /* Epochs were left behind, ids go on behind the old ones. */
    turn.epoch = 1;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn = turn_of("new", 1, "");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    fixture_reopen();
    ck_assert_uint_eq(load("a", 9).last_seq, 91);
    ck_assert_uint_eq(load("new", 9).last_seq, 1);
}
END_TEST

START_TEST(a_store_that_is_not_empty_is_left_alone)
{
    struct journal_store_config config = {.dsn = target,
                                          .master_key_file = fx.keys};
    struct journal_store *one = fx.store;
    struct journal_entry turn = turn_of("precious", 1, "");
    struct plex_err err = {0};

    fill(3);
    (void)backup();
    ck_assert_int_eq(journal_store_open(&fx.store, &config, &err), PLEX_OK);
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    journal_store_close(fx.store);
    ck_assert_int_eq(journal_backup_restore(target, path, &err), PLEX_CONFLICT);
    ck_assert_int_eq(journal_store_open(&fx.store, &config, &err), PLEX_OK);
    ck_assert_uint_eq(load("precious", 1).last_seq, 1);
    ck_assert_uint_eq(load("a", 1).last_seq, 0);
    journal_store_close(fx.store);
    fx.store = one;
}
END_TEST

START_TEST(a_backup_is_not_written_over_another)
{
    struct journal_backup_info info;
    struct plex_err err = {0};

    (void)backup();
    ck_assert_int_eq(journal_backup_create(fx.dsn, path, NOW, &info, &err),
                     PLEX_EXISTS);
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_OK);
}
END_TEST

static void
file_change(long at, int with)
{
    FILE *f = fopen(path, "r+");
    int was;

    ck_assert_ptr_nonnull(f);
    (void)fseek(f, at, SEEK_SET);
    was = getc(f);
    (void)fseek(f, at, SEEK_SET);
    (void)putc(was ^ with, f);
    (void)fclose(f);
}

START_TEST(a_byte_that_was_changed_anywhere_is_found)
{
    struct journal_backup_info info;
    struct plex_err err = {0};
    uint64_t bytes;

    fill(5);
    bytes = backup().bytes;
    for (uint64_t at = 0; at < bytes; at += at < 64 ? 1 : 997) {
        file_change((long)at, 0x40);
        ck_assert_msg(journal_backup_check(path, &info, &err) != PLEX_OK,
                      "byte %llu", (unsigned long long)at);
        file_change((long)at, 0x40);
    }
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_OK);
    file_change((long)bytes / 2, 1);
    ck_assert_int_eq(journal_backup_restore(target, path, &err), PLEX_CORRUPT);
    file_change((long)bytes / 2, 1);
    ck_assert_int_eq(truncate(path, (off_t)bytes - 1), 0);
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_CORRUPT);
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_CORRUPT);
}
END_TEST

START_TEST(a_failure_leaves_no_file)
{
    struct journal_backup_info info;
    struct plex_err err = {0};

    ck_assert_int_eq(
        journal_backup_create(fx.dsn, "/nowhere/at/all", NOW, &info, &err),
        PLEX_UNAVAILABLE);
    ck_assert_int_eq(journal_backup_create("mem:", path, NOW, &info, &err),
                     PLEX_UNSUPPORTED);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(what_is_sealed_stays_sealed_and_opens_with_its_keys)
{
    char command[400];

    fixture_seal(
        "3 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    fill(3);
    (void)backup();
    (void)snprintf(command, sizeof command, "! grep -q 'the-message' %s", path);
    ck_assert_int_eq(system(command), 0);
    restored_open();
    ck_bytes(load("a", 9).state, "s3");
    ck_bytes(page_of(0, 99, (struct plex_bytes){0}, 9).items[0].pending.message,
             "the-message");
}
END_TEST

static atomic_bool stop_writing;

static void *
write_on(void *arg)
{
    (void)arg;
    for (uint64_t seq = 101; !stop_writing && seq < 5000; seq++) {
        struct journal_entry turn[2] = {turn_of("a", seq, ""),
                                        turn_of("b", seq, "")};
        const struct journal_entry *list[2] = {&turn[0], &turn[1]};
        struct journal_result results[2], *out[2] = {&results[0], &results[1]};
        struct journal_commit commit = {
            .entries = list, .results = out, .n_entries = 2, .wall_ms = NOW};
        struct plex_err err = {0};

        if (journal_store_commit(fx.store, &commit, &err) != PLEX_OK)
            break;
    }
    return NULL;
}

START_TEST(a_backup_beside_writing_is_of_one_moment)
{
    pthread_t thread;

    fill(100);
    stop_writing = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, write_on, NULL), 0);
    (void)backup();
    stop_writing = true;
    (void)pthread_join(thread, NULL);
    restored_open();
    ck_assert_uint_ge(load("a", 0).last_seq, 100);
    ck_assert_uint_eq(load("a", 0).last_seq, load("b", 0).last_seq);
}
END_TEST

/* -- files that may not grow beyond a size --------------------------------- */

enum cut { CUT_FAILS, CUT_KILLS };

/* In a process of its own: 0 when the backup was made. */
static int
cut_child(char **argv)
{
    const struct rlimit limit = {strtoul(argv[4], NULL, 10), RLIM_INFINITY};
    struct journal_backup_info info;
    struct plex_err err;

    if (atoi(argv[5]) == CUT_FAILS)
        (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 3;
    return journal_backup_create(argv[2], argv[3], NOW, &info, &err) == PLEX_OK
               ? 0
               : 2;
}

static bool
cut_backup(uint64_t limit, enum cut cut)
{
    char size[32], how[8];
    int status;
    pid_t pid;

    (void)snprintf(size, sizeof size, "%llu", (unsigned long long)limit);
    (void)snprintf(how, sizeof how, "%d", (int)cut);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)execl("/proc/self/exe", "test", "--cut", fx.dsn, path, size, how,
                    (char *)NULL);
        _exit(3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 3);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Files whose names begin as the backup's does. */
static int
files_of_backup(void)
{
    DIR *folder = opendir(fx.folder);
    const struct dirent *entry;
    int n = 0;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL)
        n += strncmp(entry->d_name, "one.plexjournal", 15) == 0;
    (void)closedir(folder);
    return n;
}

START_TEST(a_backup_cut_off_at_any_size_is_none_and_is_in_nobodys_way)
{
    const enum cut cut = (enum cut)_i;
    struct journal_backup_info info;
    struct plex_err err = {0};
    uint64_t bytes;

    fill(60);
    bytes = backup().bytes;
    ck_assert_int_eq(unlink(path), 0);
    for (uint64_t at = 0; at < bytes; at += bytes / 16 + 1) {
        ck_assert_msg(!cut_backup(at, cut), "%llu of %llu bytes",
                      (unsigned long long)at, (unsigned long long)bytes);
        ck_assert_int_ne(access(path, F_OK), 0);
        if (cut == CUT_FAILS)
            ck_assert_int_eq(files_of_backup(), 0);
    }
    (void)backup();
    ck_assert_int_eq(journal_backup_check(path, &info, &err), PLEX_OK);
    ck_assert_int_eq(files_of_backup(), 1);
    ck_assert_uint_eq(load("a", 60).last_seq, 60);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("journal backup");
    TCase *t = tcase_create("backup");

    tcase_add_checked_fixture(t, setup, fixture_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, what_was_saved_is_there_again_and_goes_on);
    tcase_add_test(t, a_store_that_is_not_empty_is_left_alone);
    tcase_add_test(t, a_backup_is_not_written_over_another);
    tcase_add_test(t, a_byte_that_was_changed_anywhere_is_found);
    tcase_add_test(t, a_failure_leaves_no_file);
    tcase_add_test(t, what_is_sealed_stays_sealed_and_opens_with_its_keys);
    tcase_add_test(t, a_backup_beside_writing_is_of_one_moment);
    tcase_add_loop_test(
        t, a_backup_cut_off_at_any_size_is_none_and_is_in_nobodys_way, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int
main(int argc, char **argv)
{
    SRunner *runner;
    int failed;

    if (argc == 6 && strcmp(argv[1], "--cut") == 0)
        return cut_child(argv);
    if (fixture_skipped())
        return 0;
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
