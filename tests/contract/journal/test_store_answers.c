/* What is recorded for messages of actors, many at a time. */
#include "tests/contract/journal/store_fixture.h"

#include <stdlib.h>
#include <string.h>

START_TEST(answers_are_those_of_the_actor_and_not_expired)
{
    struct journal_entry turns[3] = {
        turn_of("a", 1, "id"), turn_of("b", 1, "id"), turn_of("a", 2, "old")};
    const struct journal_asked asked[6] = {
        {actor_of("a"), bytes_of("never")}, {actor_of("b"), bytes_of("id")},
        {actor_of("c"), bytes_of("id")},    {actor_of("a"), bytes_of("old")},
        {actor_of("a"), bytes_of("id")},    {actor_of("b"), bytes_of("id")}};
    struct journal_result results[6];
    struct plex_err err;

    turns[0].request_hash = 11;
    turns[1].request_hash = 12;
    turns[1].reply = bytes_of("other");
    turns[2].expires_ms = NOW;
    commit_entries(turns, 3, results);
    ck_assert_int_eq(journal_store_answers(fx.store, asked, 6, NOW, &fx.arena,
                                           results, &err),
                     PLEX_OK);
    ck_assert_int_eq(results[0].status, PLEX_NOT_FOUND);
    ck_assert_int_eq(results[2].status, PLEX_NOT_FOUND);
    ck_assert_int_eq(results[3].status, PLEX_NOT_FOUND);
    ck_assert_int_eq(results[4].status, PLEX_EXISTS);
    ck_assert_uint_eq(results[4].request_hash, 11);
    ck_bytes(results[4].reply, "r1");
    for (int i = 1; i < 6; i += 4) {
        ck_assert_int_eq(results[i].status, PLEX_EXISTS);
        ck_assert_uint_eq(results[i].request_hash, 12);
        ck_bytes(results[i].reply, "other");
    }
}
END_TEST

START_TEST(answers_that_are_too_large_together_are_asked_for_again)
{
    enum { LARGE = JOURNAL_ANSWERS_BYTES_MAX / 2 + 1 };
    uint8_t *reply = calloc(1, LARGE);
    const char *const ids[3] = {"1", "2", "3"};
    struct journal_asked asked[3];
    struct journal_result results[3];
    struct plex_err err;

    for (int i = 0; i < 3; i++) {
        struct journal_entry turn = turn_of("a", (uint64_t)i + 1, ids[i]);

        if (i != 1)
            turn.reply = (struct plex_bytes){reply, LARGE};
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
        asked[i] = (struct journal_asked){actor_of("a"), bytes_of(ids[i])};
    }
    ck_assert_int_eq(journal_store_answers(fx.store, asked, 3, NOW, &fx.arena,
                                           results, &err),
                     PLEX_OK);
    ck_assert_int_eq(results[0].status, PLEX_EXISTS);
    ck_assert_uint_eq(results[0].reply.len, LARGE);
    ck_assert_int_eq(results[1].status, PLEX_EXISTS);
    ck_assert_int_eq(results[2].status, PLEX_LIMIT);
    ck_assert_int_eq(journal_store_answers(fx.store, asked + 2, 1, NOW,
                                           &fx.arena, results, &err),
                     PLEX_OK);
    ck_assert_int_eq(results[0].status, PLEX_EXISTS);
    ck_assert_uint_eq(results[0].reply.len, LARGE);
    free(reply);
}
END_TEST

void
answers_add(TCase *t)
{
    tcase_add_test(t, answers_are_those_of_the_actor_and_not_expired);
    tcase_add_test(t, answers_that_are_too_large_together_are_asked_for_again);
}
