#include "common/loop.h"
#include "services/journal/store.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Kill -9 in the middle of commits: a child commits turns of a few actors and
 * reports each acknowledged commit over a pipe; it is killed at some moment;
 * another takes over with a fence, as workers do. What the child reported must
 * be there, with the right states, and at most the one commit that was under
 * way besides, even if a database went on with it after the child was gone.
 */
enum { ACTORS = 5, PER_COMMIT = 8, ROUNDS = 12, NOW = 1000 };

struct ack {
    uint64_t last_seq[ACTORS];
};

static char folder[64];
static char dsn[512];
static uint64_t epoch;

static struct journal_store *
store_open(void)
{
    const struct journal_store_config config = {.dsn = dsn,
                                                .checkpoint_pages = 100};
    struct journal_store *store;
    struct plex_err err;

    ck_assert_msg(journal_store_open(&store, &config, &err) == PLEX_OK, "%s",
                  err.text);
    return store;
}

static struct plex_actor_id
actor_of(unsigned i)
{
    static const char *const keys[ACTORS] = {"a", "b", "c", "d", "e"};

    return (struct plex_actor_id){"acme", "prod", "counter", keys[i]};
}

static struct journal_loaded
load(struct journal_store *store, unsigned actor, struct plex_arena *arena)
{
    const struct journal_load want = {actor_of(actor), 1, epoch, 10};
    struct journal_loaded loaded;
    struct plex_err err;
    uint64_t newest;

    ck_assert_msg(journal_store_load(store, &want, NOW, arena, &loaded, &newest,
                                     &err) == PLEX_OK,
                  "%s", err.text);
    return loaded;
}

/* Commits for ever; the state of a turn is its seq in decimal. */
static void
child_main(int out, struct ack ack)
{
    struct journal_store *store = store_open();
    struct journal_entry entries[PER_COMMIT];
    const struct journal_entry *list[PER_COMMIT];
    struct journal_result results[PER_COMMIT], *result_list[PER_COMMIT];
    char ids[PER_COMMIT][32], states[PER_COMMIT][32];
    unsigned next = 0;

    for (;;) {
        struct journal_commit commit = {.entries = list,
                                        .results = result_list,
                                        .n_entries = PER_COMMIT,
                                        .wall_ms = NOW};
        struct plex_err err;

        for (int i = 0; i < PER_COMMIT; i++, next++) {
            const unsigned actor = next % ACTORS;
            const uint64_t seq = ++ack.last_seq[actor];

            (void)snprintf(ids[i], 32, "%u:%llu", actor,
                           (unsigned long long)seq);
            (void)snprintf(states[i], 32, "%llu", (unsigned long long)seq);
            entries[i] = (struct journal_entry){
                .kind = JOURNAL_TURN,
                .actor = actor_of(actor),
                .shard = 1,
                .epoch = epoch,
                .seq = seq,
                .message_id = {(uint8_t *)ids[i], strlen(ids[i])},
                .expires_ms = NOW + 1,
                .has_state = true,
                .state = {(uint8_t *)states[i], strlen(states[i])}};
            list[i] = &entries[i];
            result_list[i] = &results[i];
        }
        if (journal_store_commit(store, &commit, &err) != PLEX_OK)
            _exit(1);
        for (int i = 0; i < PER_COMMIT; i++)
            if (results[i].status != PLEX_OK)
                _exit(2);
        if (write(out, &ack, sizeof ack) != sizeof ack)
            _exit(3);
    }
}

/* Lets a child run for a while, kills it, returns what it acknowledged. */
static struct ack
run_and_kill(struct ack from, useconds_t run_us)
{
    const uint64_t deadline = plex_now() + 20000000000U;
    struct ack ack, last = from;
    unsigned acks = 0;
    int pipes[2], status;
    pid_t child;

    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        (void)close(pipes[0]);
        child_main(pipes[1], from);
    }
    (void)close(pipes[1]);
    /* Wait for its first commit, then for the moment. */
    while (acks == 0 && plex_now() < deadline &&
           read(pipes[0], &ack, sizeof ack) == sizeof ack) {
        last = ack;
        acks++;
    }
    ck_assert_uint_gt(acks, 0);
    (void)usleep(run_us);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    ck_assert(WIFSIGNALED(status));
    while (read(pipes[0], &ack, sizeof ack) == sizeof ack)
        last = ack;
    (void)close(pipes[0]);
    return last;
}

static void
take_over(struct journal_store *store)
{
    const struct journal_fence range = {0, 9, ++epoch};
    uint64_t newest = 0;
    struct journal_commit commit = {
        .fences = &range, .fence_newest = &newest, .n_fences = 1};
    struct plex_err err = {0};

    ck_assert_msg(journal_store_commit(store, &commit, &err) == PLEX_OK, "%s",
                  err.text);
    ck_assert_uint_eq(newest, 0);
}

static struct ack
verify(const struct ack *acked)
{
    struct journal_store *store = store_open();
    struct plex_arena arena;
    struct ack found;
    uint64_t more = 0;

    plex_arena_init(&arena, 16 << 20);
    take_over(store);
    for (unsigned i = 0; i < ACTORS; i++) {
        const struct journal_loaded loaded = load(store, i, &arena);
        char state[32];

        found.last_seq[i] = loaded.last_seq;
        ck_assert_msg(loaded.last_seq >= acked->last_seq[i],
                      "actor %u: acknowledged %llu, found %llu", i,
                      (unsigned long long)acked->last_seq[i],
                      (unsigned long long)loaded.last_seq);
        more += loaded.last_seq - acked->last_seq[i];
        (void)snprintf(state, sizeof state, "%llu",
                       (unsigned long long)loaded.last_seq);
        ck_assert_uint_eq(loaded.state_seq, loaded.last_seq);
        ck_assert_uint_eq(loaded.state.len, strlen(state));
        ck_assert(memcmp(loaded.state.data, state, strlen(state)) == 0);
        ck_assert_uint_gt(loaded.n_recent, 0);
        ck_assert_uint_eq(loaded.recent[0].seq, loaded.last_seq);
    }
    ck_assert(more == 0 || more == PER_COMMIT); /* whole commits only */
    plex_arena_fini(&arena);
    journal_store_close(store);
    return found;
}

static void
kill_many(void)
{
    struct ack ack = {0};

    epoch = 1;
    for (useconds_t i = 0; i < ROUNDS; i++) {
        ack = run_and_kill(ack, 1000 + i * 7919 % 60000);
        ack = verify(&ack);
    }
    ck_assert_uint_gt(ack.last_seq[0], ROUNDS);
}

START_TEST(nothing_acknowledged_is_lost_by_kill_9)
{
    char command[100];

    (void)snprintf(folder, sizeof folder, "/tmp/plex-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/j.db", folder);
    kill_many();
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(nothing_acknowledged_on_postgres_is_lost_by_kill_9)
{
    const char *url = getenv("PLEX_TEST_PG");
    char command[1024];

    if (url == NULL) {
        printf("SKIP: PLEX_TEST_PG is not set\n");
        return;
    }
    (void)snprintf(command, sizeof command,
                   "psql -q -d '%s' -c 'SET client_min_messages = warning; "
                   "DROP SCHEMA IF EXISTS journal_crash CASCADE; "
                   "CREATE SCHEMA journal_crash'",
                   url);
    ck_assert_int_eq(system(command), 0);
    (void)snprintf(dsn, sizeof dsn,
                   "%s%coptions=-csearch_path%%3Djournal_crash", url,
                   strchr(url, '?') ? '&' : '?');
    kill_many();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal crash");
    TCase *t = tcase_create("crash");
    SRunner *runner;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_test(t, nothing_acknowledged_is_lost_by_kill_9);
    tcase_add_test(t, nothing_acknowledged_on_postgres_is_lost_by_kill_9);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
