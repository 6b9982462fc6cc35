#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Several journals on one database. Postgres only, but for the first. */

enum { ACTORS = 4, RACERS = 3, ROUNDS = 150 };

static const char *const keys[ACTORS] = {"a", "b", "c", "d"};

START_TEST(turns_without_a_state_keep_the_state_before)
{
    struct journal_entry turns[] = {turn_of("a", 1, "1"), turn_of("a", 2, "2"),
                                    turn_of("a", 3, "3"), turn_of("a", 4, "4")};

    ck_assert_int_eq(commit_one(&turns[0]), PLEX_OK);
    for (int i = 1; i < 4; i++) {
        turns[i].has_state = false;
        turns[i].state = (struct plex_bytes){0};
        ck_assert_int_eq(commit_one(&turns[i]), PLEX_OK);
        ck_assert_uint_eq(load("a", 9).last_seq, (uint64_t)i + 1);
        ck_assert_uint_eq(load("a", 9).state_seq, 1);
        ck_bytes(load("a", 9).state, "s1");
        if (fixture_is("sqlite") || fixture_is("postgres"))
            fixture_reopen();
    }
}
END_TEST

START_TEST(what_another_journal_wrote_is_noticed)
{
    const struct journal_store_config config = {.dsn = fx.dsn,
                                                .master_key_file = fx.keys};
    struct journal_entry turns[] = {turn_of("a", 1, "1"), turn_of("a", 2, "2"),
                                    turn_of("a", 3, ""), turn_of("a", 4, "4")};
    struct journal_store *one = fx.store, *two;
    struct plex_err err;

    if (!fixture_is("postgres"))
        return;
    ck_assert_int_eq(journal_store_open(&two, &config, &err), PLEX_OK);
    ck_assert_int_eq(commit_one(&turns[0]), PLEX_OK);
    fx.store = two;
    ck_assert_int_eq(commit_one(&turns[1]), PLEX_OK);
    ck_assert_int_eq(commit_one(&turns[2]), PLEX_OK);
    fx.store = one;
    ck_assert_int_eq(commit_one(&turns[2]), PLEX_CONFLICT);
    turns[3].has_state = false;
    ck_assert_int_eq(commit_one(&turns[3]), PLEX_OK);
    ck_assert_uint_eq(load("a", 9).state_seq, 3);
    fx.store = two;
    ck_assert_int_eq(commit_one(&turns[3]), PLEX_EXISTS);
    journal_store_close(one);
}
END_TEST

/* The racers share the file libcheck notes every assertion in with their
 * parent, so theirs are asserts of their own. */
static void
racer_must(bool held, const char *what, const struct plex_err *err)
{
    if (held)
        return;
    (void)fprintf(stderr, "racer: %s: %s\n", what, err->text);
    _exit(1);
}

static uint64_t
racer_last_seq(const char *key)
{
    const struct journal_load want = {actor_of(key), SHARD, UINT32_MAX, 0};
    struct journal_loaded out;
    struct plex_err err = {0};
    uint64_t newest;

    plex_arena_reset(&fx.arena);
    racer_must(journal_store_load(fx.store, &want, NOW, &fx.arena, &out,
                                  &newest, &err) == PLEX_OK,
               "load", &err);
    return out.last_seq;
}

static int
racer_commit(const struct journal_entry *turns, size_t n)
{
    const struct journal_entry *list[ACTORS];
    struct journal_result results[ACTORS], *out[ACTORS];
    struct journal_commit commit = {
        .entries = list, .results = out, .n_entries = n, .wall_ms = NOW};
    struct plex_err err = {0};
    int ok = 0;

    for (size_t i = 0; i < n; i++) {
        list[i] = &turns[i];
        out[i] = &results[i];
    }
    racer_must(journal_store_commit(fx.store, &commit, &err) == PLEX_OK,
               "commit", &err);
    for (size_t i = 0; i < n; i++) {
        racer_must(results[i].status == PLEX_OK ||
                       results[i].status == PLEX_CONFLICT,
                   "a turn's result", &err);
        ok += results[i].status == PLEX_OK;
    }
    return ok;
}

static int
appended(uint64_t round, unsigned *rng)
{
    struct journal_entry turns[ACTORS];
    char ids[ACTORS][32];
    size_t n = 0;

    for (size_t i = 0; i < ACTORS; i++) {
        /* Every journal names the actors in another order. */
        const char *key = keys[(i + (size_t)getpid()) % ACTORS];

        if (rand_r(rng) % 3 == 0)
            continue;
        (void)snprintf(ids[n], sizeof ids[n], "%d-%llu-%zu", (int)getpid(),
                       (unsigned long long)round, n);
        turns[n] = turn_of(key, racer_last_seq(key) + 1, ids[n]);
        if (rand_r(rng) % 2 == 0) /* may be removed at once */
            turns[n].expires_ms = 0;
        n++;
    }
    return n == 0 ? 0 : racer_commit(turns, n);
}

static int
race(void)
{
    const struct journal_store_config config = {.dsn = fx.dsn,
                                                .master_key_file = fx.keys};
    struct journal_retained kept;
    struct plex_err err = {0};
    unsigned rng = (unsigned)getpid();
    int ok = 0;

    racer_must(journal_store_open(&fx.store, &config, &err) == PLEX_OK, "open",
               &err);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        ok += appended(round, &rng);
        if (round % 10 == 0)
            racer_must(journal_store_retain(fx.store, NOW, 100, &kept, &err) ==
                           PLEX_OK,
                       "retain", &err);
    }
    journal_store_close(fx.store);
    return ok;
}

START_TEST(journals_that_race_for_actors_write_each_turn_once)
{
    int pipes[2], ok = 0;
    uint64_t turns = 0;

    if (!fixture_is("postgres"))
        return;
    ck_assert_int_eq(pipe(pipes), 0);
    for (int i = 0; i < RACERS; i++) {
        if (fork() == 0) {
            const int mine = race();

            _exit(write(pipes[1], &mine, sizeof mine) != sizeof mine);
        }
    }
    for (int i = 0; i < RACERS; i++) {
        int theirs, status;

        ck_assert_int_gt(wait(&status), 0);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ck_assert_int_eq((int)read(pipes[0], &theirs, sizeof theirs),
                         (int)sizeof theirs);
        ok += theirs;
    }
    /* One sequence number for each turn that was acknowledged. */
    for (int i = 0; i < ACTORS; i++)
        turns += load(keys[i], 0).last_seq;
    ck_assert_uint_eq(turns, (uint64_t)ok);
    ck_assert_int_gt(ok, ROUNDS);
}
END_TEST

void
shared_add(Suite *suite)
{
    TCase *t = tcase_create("shared");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, turns_without_a_state_keep_the_state_before);
    tcase_add_test(t, what_another_journal_wrote_is_noticed);
    tcase_add_test(t, journals_that_race_for_actors_write_each_turn_once);
    suite_add_tcase(suite, t);
}
