#include "tests/contract/journal/store_fixture.h"

/* Turns of one actor that are to go before their time, and sums. */

static void
begin(void)
{
    fx.history = "3600000/500";
    fixture_reopen();
}

static void
turns_add(const char *key, uint64_t n, uint64_t expires_ms)
{
    for (uint64_t seq = 1; seq <= n; seq++) {
        struct journal_entry turn = turn_of(key, seq, "");

        turn.at_ms = NOW + seq;
        turn.expires_ms = expires_ms;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
}

static enum plex_status
truncated(const char *key, uint64_t seq, uint64_t wall_ms,
          struct journal_truncated *out)
{
    const struct journal_truncate want = {actor_of(key), seq};
    struct plex_err err;

    return journal_store_truncate(fx.store, &want, wall_ms, out, &err);
}

static void
truncates_to(const char *key, uint64_t seq, uint64_t wall_ms, uint64_t oldest)
{
    struct journal_truncated out;

    ck_assert_int_eq(truncated(key, seq, wall_ms, &out), PLEX_OK);
    ck_assert_uint_eq(out.oldest_seq, oldest);
}

static struct journal_verified
sums(const char *key, const char *tenant)
{
    struct journal_verify want = {
        .actor = actor_of(key), .limit = 10000, .tenant = tenant};
    struct journal_verified out;
    struct plex_err err = {0};

    if (key[0] == '\0')
        want.actor = (struct plex_actor_id){"", "", "", ""};
    ck_assert_msg(
        journal_store_verify(fx.store, &want, &fx.arena, &out, &err) == PLEX_OK,
        "%s", err.text);
    ck_assert_uint_eq(out.n_broken, 0);
    return out;
}

START_TEST(turns_of_one_actor_go_when_it_is_truncated)
{
    struct journal_truncated out;

    begin();
    turns_add("a", 20, NOW);
    turns_add("b", 20, NOW);
    truncates_to("a", 10, NOW + 1000, 11);
    ck_assert_uint_eq(sums("a", "").turns, 10);
    ck_assert_uint_eq(sums("b", "").turns, 20);
    ck_bytes(load("a", 1).state, "s20");
    truncates_to("a", 5, NOW + 1000, 11); /* it was done */
    ck_assert_int_eq(truncated("a", 20, NOW + 1000, &out), PLEX_INVALID);
    ck_assert_int_eq(truncated("a", 0, NOW + 1000, &out), PLEX_INVALID);
    ck_assert_int_eq(truncated("nobody", 1, NOW + 1000, &out), PLEX_NOT_FOUND);
    truncates_to("a", 19, NOW + 1000, 20);
    if (!fixture_is("mem"))
        fixture_reopen();
    ck_assert_uint_eq(load("a", 1).last_seq, 20);
    ck_bytes(load("a", 1).state, "s20");
    ck_assert_uint_eq(sums("a", "").turns, 1);
}
END_TEST

START_TEST(a_turn_whose_id_is_remembered_stays_until_that_ends)
{
    struct journal_entry turn;
    struct journal_retained kept = {0};
    struct plex_err err;

    begin();
    turns_add("a", 2, NOW);
    turn = turn_of("a", 3, "id");
    turn.expires_ms = NOW + 60000;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn = turn_of("a", 4, "");
    turn.expires_ms = NOW;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    truncates_to("a", 3, NOW + 1000, 3);
    ck_assert_int_eq(
        journal_store_retain(fx.store, NOW + 60001, 500, &kept, &err), PLEX_OK);
    truncates_to("a", 3, NOW + 60002, 4);
}
END_TEST

START_TEST(records_that_a_state_is_made_of_stay_until_there_is_a_newer_one)
{
    struct journal_entry turn;

    begin();
    for (uint64_t seq = 1; seq <= 6; seq++) {
        turn = turn_of("a", seq, "");
        turn.expires_ms = NOW;
        turn.has_state = seq == 6; /* a checkpoint */
        turn.rebuilds = !turn.has_state;
        turn.record = bytes_of("event");
        if (seq == 6)
            truncates_to("a", 4, NOW + 1000, 1);
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    truncates_to("a", 5, NOW + 1000, 6);
    ck_bytes(load("a", 1).state, "s6");
}
END_TEST

START_TEST(many_turns_go_at_once)
{
    begin();
    turns_add("a", 1300, NOW);
    truncates_to("a", 1200, NOW + 1000, 1201);
    ck_assert_uint_eq(sums("a", "").turns, 100);
}
END_TEST

START_TEST(sums_are_of_one_tenant)
{
    struct journal_entry other = turn_of("a", 1, "");
    struct journal_verified all, mine;

    turns_add("a", 3, NOW);
    turns_add("b", 4, NOW);
    mine = sums("", other.actor.tenant);
    other.actor.tenant = "zebra";
    ck_assert_int_eq(commit_one(&other), PLEX_OK);
    other.actor.tenant = "aardvark";
    ck_assert_int_eq(commit_one(&other), PLEX_OK);
    all = sums("", "");
    ck_assert_uint_eq(all.turns, 9);
    ck_assert_uint_eq(all.actors, 4);
    ck_assert_uint_eq(mine.turns, 7);
    ck_assert_uint_eq(mine.actors, 2);
    ck_assert_uint_gt(mine.bytes, 7);
    ck_assert_uint_gt(all.bytes, mine.bytes);
    ck_assert_uint_eq(sums("", turn_of("a", 1, "").actor.tenant).bytes,
                      mine.bytes);
    ck_assert_uint_eq(sums("", "zebra").actors, 1);
    ck_assert_uint_eq(sums("", "zeb").actors, 0);
}
END_TEST

void
truncate_add(TCase *t)
{
    tcase_add_test(t, turns_of_one_actor_go_when_it_is_truncated);
    tcase_add_test(t, a_turn_whose_id_is_remembered_stays_until_that_ends);
    tcase_add_test(
        t, records_that_a_state_is_made_of_stay_until_there_is_a_newer_one);
    tcase_add_test(t, many_turns_go_at_once);
    tcase_add_test(t, sums_are_of_one_tenant);
}
