#include "common/context.h"
#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* History, time travel and the chain of hashes. */

static struct journal_past
history(const struct journal_history *want)
{
    struct journal_past out;
    struct plex_err err = {0};

    ck_assert_msg(
        journal_store_history(fx.store, want, &fx.arena, &out, &err) == PLEX_OK,
        "%s", err.text);
    return out;
}

static enum plex_status
state_at(const char *key, uint64_t seq, uint64_t at_ms, struct journal_was *out)
{
    const struct journal_at want = {actor_of(key), seq, at_ms};
    struct plex_err err;

    return journal_store_at(fx.store, &want, &fx.arena, out, &err);
}

static struct journal_verified
verify(const char *key, struct plex_bytes after, uint32_t limit)
{
    struct journal_verify want = {
        .actor = actor_of(key ? key : ""), .after = after, .limit = limit};
    struct journal_verified out;
    struct plex_err err = {0};

    if (key == NULL)
        want.actor = (struct plex_actor_id){"", "", "", ""};
    ck_assert_msg(
        journal_store_verify(fx.store, &want, &fx.arena, &out, &err) == PLEX_OK,
        "%s", err.text);
    return out;
}

/* Turns 1..n of the actor, 10 ms apart from NOW on. */
static void
turns_add(const char *key, uint64_t first, uint64_t n)
{
    for (uint64_t seq = first; seq < first + n; seq++) {
        struct journal_entry turn = turn_of(key, seq, "");

        turn.at_ms = NOW + 10 * seq;
        turn.expires_ms = turn.at_ms;
        turn.record = bytes_of(seq % 2 ? "odd" : "even");
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
}

static uint64_t
forget(uint64_t wall_ms)
{
    struct journal_retained kept = {.more = true};
    struct plex_err err = {0};
    uint64_t removed = 0;

    /* Only what the actors' rows have is looked at; closing writes them. */
    if (!fixture_is("mem") && getenv("TEST_DSN") != NULL)
        fixture_reopen();
    for (int i = 0; i < 1000 && kept.more; i++, removed += kept.removed)
        ck_assert_msg(
            journal_store_retain(fx.store, wall_ms, 50, &kept, &err) == PLEX_OK,
            "%s", err.text);
    return removed;
}

START_TEST(a_history_is_read_in_pages)
{
    struct journal_history want = {.actor = actor_of("a"),
                                   .first_seq = 1,
                                   .limit = 60,
                                   .with_state = true};
    struct journal_past past;
    uint64_t seq = 1;

    turns_add("b", 1, 3);
    turns_add("a", 1, 200);
    for (int pages = 1; want.first_seq != 0; pages++) {
        past = history(&want);
        ck_assert_uint_eq(past.n, pages < 4 ? 60 : 20);
        ck_assert_uint_eq(past.newest_seq, 200);
        ck_assert_uint_eq(past.oldest_seq, 1);
        for (size_t i = 0; i < past.n; i++, seq++) {
            char text[8];

            ck_assert_uint_eq(past.turns[i].seq, seq);
            ck_assert_uint_eq(past.turns[i].at_ms, NOW + 10 * seq);
            (void)snprintf(text, sizeof text, "s%u", (unsigned)seq);
            ck_bytes(past.turns[i].state, text);
            text[0] = 'r';
            ck_bytes(past.turns[i].reply, text);
            ck_bytes(past.turns[i].record, seq % 2 ? "odd" : "even");
            ck_assert_uint_eq(past.turns[i].chain.len, JOURNAL_CHAIN_BYTES);
        }
        want.first_seq = past.next_seq;
    }
    ck_assert_uint_eq(seq, 201);
}
END_TEST

START_TEST(a_history_is_cut_by_sequence_and_time)
{
    struct journal_history want = {
        .actor = actor_of("a"), .limit = 5, .with_state = false};
    struct journal_past past;

    past = history(&want); /* never seen */
    ck_assert_uint_eq(past.n, 0);
    ck_assert_uint_eq(past.newest_seq, 0);
    turns_add("a", 1, 150);
    past = history(&want); /* the newest */
    ck_assert_uint_eq(past.n, 5);
    ck_assert_uint_eq(past.turns[0].seq, 146);
    ck_assert_uint_eq(past.turns[0].state.len, 0);
    ck_assert(past.turns[0].has_state);
    ck_assert_uint_eq(past.next_seq, 0);
    want.first_seq = 70, want.last_seq = 72;
    past = history(&want);
    ck_assert_uint_eq(past.n, 3);
    ck_assert_uint_eq(past.turns[2].seq, 72);
    ck_assert_uint_eq(past.next_seq, 0);
    want.first_seq = 1, want.last_seq = 0, want.limit = 1000;
    want.from_ms = NOW + 305, want.to_ms = NOW + 340;
    past = history(&want);
    ck_assert_uint_eq(past.n, 4);
    ck_assert_uint_eq(past.turns[0].seq, 31);
    ck_assert_uint_eq(past.turns[3].seq, 34);
    want.from_ms = NOW + 10000, want.to_ms = 0;
    ck_assert_uint_eq(history(&want).n, 0);
    want.from_ms = 0, want.to_ms = NOW;
    ck_assert_uint_eq(history(&want).n, 0);
}
END_TEST

START_TEST(a_page_of_history_is_limited_in_bytes)
{
    static uint8_t state[3 << 20]; /* and what zstd cannot make smaller */
    const struct journal_history want = {
        .actor = actor_of("a"), .first_seq = 1, .limit = 9, .with_state = true};
    struct journal_past past;

    plex_random(state, sizeof state);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        struct journal_entry turn = turn_of("a", seq, "");

        turn.state = (struct plex_bytes){state, sizeof state};
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    past = history(&want);
    ck_assert_uint_eq(past.n, 2);
    ck_assert_uint_eq(past.next_seq, 3);
}
END_TEST

START_TEST(a_state_of_the_past_is_found_by_sequence_and_time)
{
    struct journal_entry turn;
    struct journal_was was;

    ck_assert_int_eq(state_at("a", 1, 0, &was), PLEX_NOT_FOUND);
    turns_add("a", 1, 130);
    turn = turn_of("a", 131, "");
    turn.has_state = false;
    turn.at_ms = NOW + 1310;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    ck_assert_int_eq(state_at("a", 7, 0, &was), PLEX_OK);
    ck_bytes(was.state, "s7");
    ck_assert_uint_eq(was.state_seq, 7);
    ck_assert_uint_eq(was.newest_seq, 131);
    ck_assert_int_eq(state_at("a", 131, 0, &was), PLEX_OK);
    ck_bytes(was.state, "s130");
    ck_assert_uint_eq(was.seq, 131);
    ck_assert_uint_eq(was.state_seq, 130);
    ck_assert_int_eq(state_at("a", 0, NOW + 459, &was), PLEX_OK);
    ck_assert_uint_eq(was.seq, 45);
    ck_bytes(was.state, "s45");
    ck_assert_int_eq(state_at("a", 0, NOW + 99999, &was), PLEX_OK);
    ck_assert_uint_eq(was.seq, 131);
    ck_assert_int_eq(state_at("a", 0, NOW + 9, &was), PLEX_OK);
    ck_assert(!was.has_state && was.seq == 0);
    ck_assert_int_eq(state_at("a", 132, 0, &was), PLEX_NOT_FOUND);
    ck_assert_int_eq(state_at("a", 0, 0, &was), PLEX_INVALID);
}
END_TEST

START_TEST(the_history_is_kept_for_as_long_as_its_policy_says)
{
    const struct journal_history want = {
        .actor = actor_of("a"), .first_seq = 1, .limit = 1000};
    struct journal_past past;
    struct journal_was was;

    fx.history = "5,counter=500/30";
    fixture_reopen();
    turns_add("a", 1, 100); /* at NOW + 10 ... NOW + 1000 */
    ck_assert_uint_eq(forget(NOW + 1010), 51);
    past = history(&want);
    ck_assert_uint_eq(past.oldest_seq, 52);
    ck_assert_uint_eq(past.n, 49);
    ck_assert_uint_eq(past.turns[0].seq, 52);
    ck_assert_uint_eq(verify("a", (struct plex_bytes){0}, 1000).n_broken, 0);
    ck_assert_uint_eq(forget(NOW + 9999), 19); /* the newest 30 stay */
    past = history(&want);
    ck_assert_uint_eq(past.oldest_seq, 71);
    ck_assert_uint_eq(past.n, 30);
    ck_assert_int_eq(state_at("a", 71, 0, &was), PLEX_OK);
    ck_bytes(was.state, "s71");
    ck_assert_int_eq(state_at("a", 70, 0, &was), PLEX_NOT_FOUND);
    ck_assert_int_eq(state_at("a", 0, NOW + 5, &was), PLEX_NOT_FOUND);
    ck_assert_uint_eq(verify(NULL, (struct plex_bytes){0}, 1000).n_broken, 0);
}
END_TEST

START_TEST(a_turn_behind_one_that_is_kept_is_kept)
{
    struct journal_entry turn = turn_of("a", 1, "");
    const struct journal_history want = {
        .actor = actor_of("a"), .first_seq = 1, .limit = 1000};

    turn.expires_ms = NOW + 5000;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turns_add("a", 2, 5);
    ck_assert_uint_eq(forget(NOW + 100), 0);
    ck_assert_uint_eq(history(&want).n, 6);
}
END_TEST

START_TEST(the_newest_state_moves_to_a_snapshot_when_its_turn_goes)
{
    struct journal_was was;
    struct journal_verified verified;

    turns_add("a", 1, 3);
    for (uint64_t seq = 4; seq <= 6; seq++) {
        struct journal_entry turn = turn_of("a", seq, "");

        turn.has_state = false;
        turn.expires_ms = NOW;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    ck_assert_uint_eq(forget(NOW + 5000), 5);
    ck_bytes(load("a", 1).state, "s3");
    ck_assert_uint_eq(load("a", 1).state_seq, 3);
    ck_assert_uint_eq(load("a", 1).last_seq, 6);
    ck_assert_int_eq(state_at("a", 5, 0, &was), PLEX_OK);
    ck_bytes(was.state, "s3");
    ck_assert_int_eq(state_at("a", 6, 0, &was), PLEX_OK);
    ck_bytes(was.state, "s3");
    ck_assert_int_eq(state_at("a", 2, 0, &was), PLEX_NOT_FOUND);
    turns_add("a", 7, 1);
    ck_bytes(load("a", 1).state, "s7");
    /* The state after 5 may have been another one, for all that is left. */
    ck_assert_uint_eq(forget(NOW + 5000), 1);
    ck_assert_int_eq(state_at("a", 5, 0, &was), PLEX_NOT_FOUND);
    verified = verify("a", (struct plex_bytes){0}, 100);
    ck_assert_uint_eq(verified.turns, 1);
    ck_assert_uint_eq(verified.n_broken, 0);
}
END_TEST

START_TEST(records_that_rebuild_a_state_stay_until_two_snapshots_are_newer)
{
    const struct journal_history want = {
        .actor = actor_of("a"), .first_seq = 1, .limit = 1000};
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 4,
                                     .state = bytes_of("four")};
    struct journal_was was;

    for (uint64_t seq = 1; seq <= 10; seq++) {
        struct journal_entry turn = turn_of("a", seq, "");

        turn.has_state = false;
        turn.rebuilds = true;
        turn.record = bytes_of("event");
        turn.expires_ms = NOW;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    ck_assert_uint_eq(forget(NOW + 1), 0);
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_assert_uint_eq(forget(NOW + 3700000), 0);
    snapshot.seq = 8;
    snapshot.state = bytes_of("eight");
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_assert_uint_eq(forget(NOW + 7400000), 4);
    ck_assert_uint_eq(history(&want).turns[0].seq, 5);
    ck_assert(history(&want).turns[0].rebuilds);
    ck_bytes(load("a", 1).state, "eight");
    ck_assert_int_eq(state_at("a", 7, 0, &was), PLEX_OK);
    ck_bytes(was.state, "four");
    ck_assert_uint_eq(was.state_seq, 4);
    ck_assert_int_eq(state_at("a", 10, 0, &was), PLEX_OK);
    ck_bytes(was.state, "eight");
    if (fixture_is("mem") || getenv("TEST_DSN") == NULL)
        return;
    fixture_sql("UPDATE journal_snapshot SET state_hash = 1 WHERE seq = 8");
    ck_bytes(load("a", 1).state, "four");
    ck_assert_int_eq(state_at("a", 10, 0, &was), PLEX_OK);
    ck_bytes(was.state, "four");
}
END_TEST

/* -- the chain ------------------------------------------------------------- */

START_TEST(a_chain_that_holds_is_verified_in_pages)
{
    struct journal_verified v = {0};
    struct plex_bytes after = {0};
    uint64_t turns = 0, actors = 0;
    int pages = 0;

    turns_add("a", 1, 70);
    turns_add("b", 1, 1);
    turns_add("c", 1, 30);
    do {
        v = verify(NULL, after, 25);
        ck_assert_uint_eq(v.n_broken, 0);
        ck_assert_uint_eq(v.unchained, 0);
        turns += v.turns;
        actors += v.actors;
        after = v.next;
    } while (v.next.len > 0 && ++pages < 20);
    ck_assert_uint_eq(turns, 101);
    ck_assert_uint_eq(actors, 3);
    v = verify("c", (struct plex_bytes){0}, 100);
    ck_assert_uint_eq(v.turns, 30);
    ck_assert_uint_eq(v.next.len, 0);
}
END_TEST

START_TEST(a_token_of_someone_else_is_no_place_in_a_verification)
{
    const struct journal_verify want = {
        .actor = {"", "", "", ""}, .after = bytes_of("nonsense"), .limit = 1};
    struct journal_verified out;
    struct plex_err err;

    ck_assert_int_eq(
        journal_store_verify(fx.store, &want, &fx.arena, &out, &err),
        PLEX_INVALID);
}
END_TEST

static void
broken_at(const char *key, uint64_t seq, const char *text)
{
    const struct journal_verified v = verify(NULL, (struct plex_bytes){0}, 500);

    ck_assert_uint_eq(v.n_broken, 1);
    ck_assert_str_eq(v.broken[0].actor.key, key);
    ck_assert_uint_eq(v.broken[0].seq, seq);
    ck_assert_str_eq(v.broken[0].text, text);
    ck_assert_uint_eq(v.actors, 2);
}

START_TEST(what_was_changed_behind_the_journals_back_is_found)
{
    if (fixture_is("mem") || getenv("TEST_DSN") == NULL)
        return;
    turns_add("a", 1, 10);
    turns_add("b", 1, 10);
    fixture_reopen(); /* heads are written back */
    /* Turns 4 and 5 of b change places: each is whole. */
    fixture_sql("UPDATE journal_turn SET seq = 100 WHERE seq = 4 AND actor = "
                "(SELECT id FROM journal_actor WHERE name LIKE '%/b'); "
                "UPDATE journal_turn SET reply = reply || reply WHERE seq = 5 "
                "AND actor = (SELECT id FROM journal_actor WHERE name LIKE "
                "'%/b')");
    fixture_sql("UPDATE journal_turn SET seq = 4 WHERE seq = 100");
    broken_at("b", 5, "does not match its checksum");
    fixture_sql("DELETE FROM journal_turn WHERE seq IN (4, 5) AND actor = "
                "(SELECT id FROM journal_actor WHERE name LIKE '%/b')");
    broken_at("b", fixture_is("sqlite") ? 1 : 4, "is missing");
}
END_TEST

START_TEST(a_chain_that_was_made_again_in_part_is_found)
{
    const char *const steal =
        fixture_is("sqlite")
            ? "UPDATE journal_turn SET chain = zeroblob(32) WHERE id = 3"
            : "UPDATE journal_turn SET chain = decode(repeat('00', 32), "
              "'hex') WHERE seq = 3";

    if (fixture_is("mem") || getenv("TEST_DSN") == NULL)
        return;
    turns_add("a", 1, 10);
    turns_add("b", 1, 2);
    fixture_sql(steal);
    broken_at("a", 3, "does not match the chain");
    fixture_sql(fixture_is("sqlite")
                    ? "UPDATE journal_turn SET chain = NULL WHERE id = 3"
                    : "UPDATE journal_turn SET chain = '' WHERE seq = 3");
    broken_at("a", 3, "has no chain though the one before has");
}
END_TEST

void
history_add(Suite *suite)
{
    TCase *t = tcase_create("history");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_history_is_read_in_pages);
    tcase_add_test(t, a_history_is_cut_by_sequence_and_time);
    tcase_add_test(t, a_page_of_history_is_limited_in_bytes);
    tcase_add_test(t, a_state_of_the_past_is_found_by_sequence_and_time);
    tcase_add_test(t, the_history_is_kept_for_as_long_as_its_policy_says);
    tcase_add_test(t, a_turn_behind_one_that_is_kept_is_kept);
    tcase_add_test(t, the_newest_state_moves_to_a_snapshot_when_its_turn_goes);
    tcase_add_test(
        t, records_that_rebuild_a_state_stay_until_two_snapshots_are_newer);
    tcase_add_test(t, a_chain_that_holds_is_verified_in_pages);
    tcase_add_test(t, a_token_of_someone_else_is_no_place_in_a_verification);
    tcase_add_test(t, what_was_changed_behind_the_journals_back_is_found);
    tcase_add_test(t, a_chain_that_was_made_again_in_part_is_found);
    past_add(t);
    truncate_add(t);
    suite_add_tcase(suite, t);
}
