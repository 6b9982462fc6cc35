#include "tests/contract/journal/fault_vfs.h"
#include "tests/contract/journal/store_fixture.h"

#include "services/journal/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A small workload over SQLite with one fault at each operation of the file
 * layer in turn. Whatever was acknowledged must be there afterwards; of a
 * commit that was under way all of it or nothing.
 *
 * TEST_SEEDS: disks made of each crash, 1 unless given.
 */
enum { ACTORS = 3, COMMITS = 14, PER_COMMIT = 3 };

static const char *const keys[ACTORS] = {"a", "b", "c"};
static char folder[64], base[128], live[128], after[128];

static struct {
    struct journal_store *store;
    uint64_t acked[ACTORS];  /* last turn that was acknowledged */
    uint64_t flight[ACTORS]; /* the same with the commit under way */
    unsigned failures;
} run;

/* -- workload ----------------------------------------------------------------
 */

static enum plex_status
store_open(const char *path, struct journal_store **out, struct plex_err *err)
{
    char dsn[256];
    struct journal_store_config config = {.dsn = dsn, .checkpoint_pages = 4};

    (void)snprintf(dsn, sizeof dsn, "sqlite:%s", path);
    return journal_store_open(out, &config, err);
}

/* The turns of one commit: two of one actor, one of another. */
static enum plex_status
commit_try(unsigned round, struct plex_err *err)
{
    static uint8_t state[3000];
    struct journal_entry turns[PER_COMMIT];
    struct journal_pending pendings[PER_COMMIT];
    struct journal_result results[PER_COMMIT];
    const struct journal_entry *list[PER_COMMIT];
    struct journal_result *out[PER_COMMIT];
    char ids[PER_COMMIT][16];
    struct journal_commit commit = {.entries = list,
                                    .results = out,
                                    .n_entries = PER_COMMIT,
                                    .wall_ms = NOW};
    enum plex_status status;

    memcpy(run.flight, run.acked, sizeof run.acked);
    for (size_t i = 0; i < PER_COMMIT; i++) {
        const size_t a = (round + i / 2) % ACTORS;
        const uint64_t seq = ++run.flight[a];

        (void)snprintf(ids[i], sizeof ids[i], "%zu-%llu", a,
                       (unsigned long long)seq);
        turns[i] = turn_of(keys[a], seq, ids[i]);
        if (round % 4 == 3) {
            memset(state, (int)seq, sizeof state);
            turns[i].state = (struct plex_bytes){state, sizeof state};
        }
        pendings[i] =
            (struct journal_pending){bytes_of("p"), seq, bytes_of("message")};
        turns[i].pending = &pendings[i];
        turns[i].n_pending = 1;
        list[i] = &turns[i];
        out[i] = &results[i];
    }
    status = journal_store_commit(run.store, &commit, err);
    if (status != PLEX_OK)
        return status;
    /* EXISTS: a retry, and the first one had done it after all. */
    for (size_t i = 0; i < PER_COMMIT; i++)
        ck_assert_msg(results[i].status == PLEX_OK ||
                          results[i].status == PLEX_EXISTS,
                      "entry %zu: %s", i, plex_status_name(results[i].status));
    memcpy(run.acked, run.flight, sizeof run.acked);
    return PLEX_OK;
}

/* Until the first failure, or trying each commit again after one. */
static void
work(bool retry)
{
    struct plex_err err = {0};
    struct journal_retained kept;

    for (unsigned round = 0; round < COMMITS; round++) {
        enum plex_status status = commit_try(round, &err);

        for (int i = 0; status != PLEX_OK && retry && i < 5; i++) {
            run.failures++;
            ck_assert_msg(status == PLEX_UNAVAILABLE || status == PLEX_LIMIT ||
                              status == PLEX_UNKNOWN,
                          "%s: %s", plex_status_name(status), err.text);
            status = commit_try(round, &err);
        }
        if (status != PLEX_OK) {
            ck_assert_msg(!retry, "it never works again: %s", err.text);
            return;
        }
    }
    if (journal_store_retain(run.store, NOW + 5000, 5, &kept, &err) != PLEX_OK)
        ck_assert(fault_vfs_hit());
}

/* -- checks ------------------------------------------------------------------
 */

static void
check_actor(struct journal_store *store, size_t a, bool flown)
{
    const struct journal_load want = {actor_of(keys[a]), SHARD, 9, 10};
    struct journal_loaded loaded;
    struct plex_err err = {0};
    uint64_t newest;

    ck_assert_msg(journal_store_load(store, &want, NOW, &fx.arena, &loaded,
                                     &newest, &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert_uint_eq(loaded.last_seq, flown ? run.flight[a] : run.acked[a]);
    if (loaded.last_seq > 0) {
        ck_assert(loaded.has_state);
        ck_assert_uint_eq(loaded.state_seq, loaded.last_seq);
    }
}

static uint64_t
last_seq(struct journal_store *store, size_t a)
{
    const struct journal_load want = {actor_of(keys[a]), SHARD, 9, 0};
    struct journal_loaded loaded;
    struct plex_err err = {0};
    uint64_t newest;

    ck_assert_msg(journal_store_load(store, &want, NOW, &fx.arena, &loaded,
                                     &newest, &err) == PLEX_OK,
                  "%s", err.text);
    return loaded.last_seq;
}

static void
check_pendings(struct journal_store *store)
{
    const struct journal_page page = {.last = 99, .limit = 100};
    struct journal_paged paged;
    struct plex_err err = {0};

    ck_assert_msg(
        journal_store_pending(store, &page, &fx.arena, &paged, &err) == PLEX_OK,
        "%s", err.text);
    for (size_t i = 0; i < paged.n; i++)
        for (size_t a = 0; a < ACTORS; a++)
            if (strcmp(paged.items[i].owner.key, keys[a]) == 0)
                ck_assert_uint_eq(paged.items[i].pending.due_ms,
                                  last_seq(store, a));
}

static void
check_store(struct journal_store *store, bool may_fly)
{
    const struct journal_verify everyone = {.actor = {"", "", "", ""},
                                            .limit = 10000};
    struct journal_verified verified;
    struct plex_err err = {0};
    bool flown = false;

    plex_arena_reset(&fx.arena);
    for (size_t a = 0; a < ACTORS && may_fly; a++)
        flown = flown || last_seq(store, a) != run.acked[a];
    for (size_t a = 0; a < ACTORS; a++)
        check_actor(store, a, flown);
    check_pendings(store);
    ck_assert_msg(journal_store_verify(store, &everyone, &fx.arena, &verified,
                                       &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert_msg(verified.n_broken == 0, "turn %llu of %s %s",
                  (unsigned long long)verified.broken[0].seq,
                  verified.broken[0].actor.key, verified.broken[0].text);
}

/* -- cases -------------------------------------------------------------------
 */

static void
db_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char name[200];

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)remove(name);
    }
}

static void
file_copy(const char *from, const char *to)
{
    static char data[1 << 20];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    size_t n;

    ck_assert(in != NULL && out != NULL);
    n = fread(data, 1, sizeof data, in);
    ck_assert(n > 0 && n < sizeof data);
    ck_assert_uint_eq(fwrite(data, 1, n, out), n);
    (void)fclose(in);
    (void)fclose(out);
}

static void
setup(void)
{
    struct plex_err err = {0};

    plex_arena_init(&fx.arena, 64 << 20);
    memset(&run, 0, sizeof run);
    (void)snprintf(folder, sizeof folder, "/tmp/plex-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(base, sizeof base, "%s/base.db", folder);
    (void)snprintf(live, sizeof live, "%s/live.db", folder);
    (void)snprintf(after, sizeof after, "%s/after.db", folder);
    fault_vfs_arm(FAULT_NONE, 0, 0);
    ck_assert_msg(store_open(base, &run.store, &err) == PLEX_OK, "%s",
                  err.text);
    journal_store_close(run.store);
}

static void
teardown(void)
{
    char command[100];

    plex_arena_fini(&fx.arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The workload with a fault. False when it was over before the fault came. */
static bool
run_with(enum fault fault, uint64_t at, uint64_t times)
{
    struct plex_err err = {0};

    memset(&run, 0, sizeof run);
    db_remove(live);
    file_copy(base, live);
    fault_vfs_arm(fault, at, times);
    if (store_open(live, &run.store, &err) == PLEX_OK)
        work(fault != FAULT_CRASH);
    else
        ck_assert_msg(fault_vfs_hit(), "%s", err.text);
    return fault_vfs_hit();
}

static unsigned
seeds(void)
{
    const char *text = getenv("TEST_SEEDS");

    return text ? (unsigned)atoi(text) : 1;
}

/* The disk number `n` of the crash at that operation: nothing, all, or
 * something of what was not flushed. */
static unsigned
seed_of(uint64_t at, unsigned n)
{
    const unsigned turn = (unsigned)at % 5 + n;

    return turn < 2 ? turn : (unsigned)at + 1000 * n;
}

static void
check_recovered(uint64_t at, unsigned n)
{
    struct journal_store *recovered;
    struct plex_err err = {0};
    char path[160];

    (void)snprintf(path, sizeof path, "%s%u", after, n);
    ck_assert_msg(store_open(path, &recovered, &err) == PLEX_OK,
                  "operation %llu: %s", (unsigned long long)at, err.text);
    check_store(recovered, true);
    journal_store_close(recovered);
}

START_TEST(after_a_crash_at_any_operation_what_was_acknowledged_is_there)
{
    uint64_t at = 1;

    for (; run_with(FAULT_CRASH, at, 1); at++) {
        for (unsigned n = 0; n < seeds(); n++) {
            char path[160];

            (void)snprintf(path, sizeof path, "%s%u", after, n);
            fault_vfs_image(live, path, seed_of(at, n));
        }
        /* The daemon that died lets go of its files only now. */
        journal_store_close(run.store);
        fault_vfs_arm(FAULT_NONE, 0, 0);
        for (unsigned n = 0; n < seeds(); n++)
            check_recovered(at, n);
    }
    journal_store_close(run.store);
    ck_assert_uint_gt(at, 50); /* else it tested nothing */
}
END_TEST

/* One failure, then all is well again: nothing is lost, nothing is stuck. */
START_TEST(after_a_failed_operation_the_journal_goes_on)
{
    static const enum fault faults[] = {FAULT_WRITE, FAULT_WRITE_PART,
                                        FAULT_FULL, FAULT_SYNC};
    struct journal_store *recovered;
    struct plex_err err = {0};
    unsigned failures = 0;
    uint64_t at = 1;

    for (; run_with(faults[_i], at, 1); at += 2) {
        failures += run.failures;
        if (run.store == NULL)
            continue; /* it failed while it was opened */
        check_store(run.store, false);
        journal_store_close(run.store);
        run.store = NULL;
        fault_vfs_arm(FAULT_NONE, 0, 0);
        ck_assert_msg(store_open(live, &recovered, &err) == PLEX_OK,
                      "operation %llu: %s", (unsigned long long)at, err.text);
        check_store(recovered, false);
        journal_store_close(recovered);
    }
    journal_store_close(run.store);
    ck_assert_uint_gt(failures, 3);
}
END_TEST

/* A crash while the file is made and its schema brought up to date. */
START_TEST(after_a_crash_while_it_is_made_it_can_be_made)
{
    struct journal_store *recovered;
    struct plex_err err = {0};
    uint64_t at = 1;

    for (;; at++) {
        db_remove(live);
        fault_vfs_arm(FAULT_CRASH, at, 1);
        if (store_open(live, &run.store, &err) == PLEX_OK)
            break;
        fault_vfs_image(live, after, at % 4 < 2 ? at % 4 : (unsigned)at);
        fault_vfs_arm(FAULT_NONE, 0, 0);
        ck_assert_msg(store_open(after, &recovered, &err) == PLEX_OK,
                      "operation %llu: %s", (unsigned long long)at, err.text);
        check_store(recovered, false);
        journal_store_close(recovered);
    }
    journal_store_close(run.store);
    ck_assert_uint_gt(at, 20);
}
END_TEST

/* The checks above can fail: they would on a disk that says it has flushed. */
START_TEST(a_disk_that_lies_about_flushing_loses_what_was_acknowledged)
{
    struct journal_store *recovered;
    struct plex_err err = {0};
    uint64_t kept = 0, acked = 0;

    (void)run_with(FAULT_LIE, 1, UINT64_MAX);
    fault_vfs_image(live, after, 0);
    journal_store_close(run.store);
    fault_vfs_arm(FAULT_NONE, 0, 0);
    ck_assert_int_eq(store_open(after, &recovered, &err), PLEX_OK);
    for (size_t a = 0; a < ACTORS; a++) {
        kept += last_seq(recovered, a);
        acked += run.acked[a];
    }
    journal_store_close(recovered);
    ck_assert_uint_eq(acked, COMMITS * PER_COMMIT);
    ck_assert_uint_lt(kept, acked);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal crash consistency");
    TCase *t = tcase_create("sqlite");
    SRunner *runner;
    int failed;

    fault_vfs_install();
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(
        t, after_a_crash_at_any_operation_what_was_acknowledged_is_there);
    tcase_add_loop_test(t, after_a_failed_operation_the_journal_goes_on, 0, 4);
    tcase_add_test(t, after_a_crash_while_it_is_made_it_can_be_made);
    tcase_add_test(t,
                   a_disk_that_lies_about_flushing_loses_what_was_acknowledged);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
