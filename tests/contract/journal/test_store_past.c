#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Anything at random against a plain model of what happened: whatever the
 * journal says of the past is right, and it only ever says nothing of what
 * retention may have removed. And what the first schema left behind.
 */
enum { ACTORS = 3, TURNS_MAX = 400, STEPS = 250 };

struct model {
    uint64_t newest[ACTORS];
    uint64_t state_seq[ACTORS][TURNS_MAX]; /* after each turn, 0: none */
    uint64_t at_ms[ACTORS][TURNS_MAX];
};

static const char *const keys[ACTORS] = {"a", "b", "c"};
static unsigned rng;

static unsigned
one_of(unsigned n)
{
    return (unsigned)rand_r(&rng) % n;
}

static void
step_turn(struct model *m, uint64_t now_ms)
{
    const size_t a = one_of(ACTORS);
    const uint64_t seq = m->newest[a] + 1;
    struct journal_entry turn = turn_of(keys[a], seq, "");

    if (seq >= TURNS_MAX)
        return;
    turn.has_state = one_of(3) == 0;
    turn.at_ms = now_ms;
    turn.expires_ms = now_ms + one_of(20) * 5;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    m->newest[a] = seq;
    m->at_ms[a][seq] = now_ms;
    m->state_seq[a][seq] = turn.has_state ? seq : m->state_seq[a][seq - 1];
}

static void
step_snapshot(const struct model *m)
{
    const size_t a = one_of(ACTORS);
    char text[16];
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of(keys[a]),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = m->newest[a],
                                     .schema_version = 1};
    const uint64_t state_seq = m->state_seq[a][m->newest[a]];

    if (state_seq == 0)
        return;
    (void)snprintf(text, sizeof text, "s%u", (unsigned)state_seq);
    snapshot.state = bytes_of(text);
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
}

static void
step_retain(uint64_t now_ms)
{
    struct journal_retained kept;
    struct plex_err err = {0};

    if (one_of(3) == 0 && getenv("TEST_DSN") != NULL && !fixture_is("mem"))
        fixture_reopen();
    ck_assert_msg(journal_store_retain(fx.store, now_ms, 1 + one_of(20), &kept,
                                       &err) == PLEX_OK,
                  "%s", err.text);
}

/* Is there an answer? If so, it is right. */
static bool
check_at(const struct model *m, size_t a, uint64_t seq)
{
    const struct journal_at want = {actor_of(keys[a]), seq, 0};
    struct journal_was was;
    struct plex_err err = {0};
    char text[16];
    const enum plex_status status =
        journal_store_at(fx.store, &want, &fx.arena, &was, &err);

    if (status == PLEX_NOT_FOUND)
        return false;
    ck_assert_msg(status == PLEX_OK, "%s", err.text);
    ck_assert(was.has_state == (m->state_seq[a][seq] > 0));
    if (!was.has_state)
        return true;
    (void)snprintf(text, sizeof text, "s%u", (unsigned)m->state_seq[a][seq]);
    ck_bytes(was.state, text);
    return true;
}

static void
check_history(const struct model *m, size_t a)
{
    const struct journal_history want = {
        .actor = actor_of(keys[a]), .first_seq = 1, .limit = 1000};
    struct journal_past past;
    struct plex_err err = {0};

    ck_assert_msg(journal_store_history(fx.store, &want, &fx.arena, &past,
                                        &err) == PLEX_OK,
                  "%s", err.text);
    if (m->newest[a] == 0)
        return;
    ck_assert_uint_gt(past.n, 0);
    ck_assert_uint_eq(past.turns[past.n - 1].seq, m->newest[a]);
    for (size_t i = 0; i < past.n; i++) {
        ck_assert_uint_eq(past.turns[i].seq, past.oldest_seq + i);
        ck_assert_uint_eq(past.turns[i].at_ms, m->at_ms[a][past.turns[i].seq]);
        /* What is there can be travelled to, unless its state went before. */
        if (past.turns[i].has_state)
            ck_assert(check_at(m, a, past.turns[i].seq));
    }
    ck_assert(check_at(m, a, m->newest[a]));
}

static void
check_all(const struct model *m)
{
    const struct journal_verify want = {.actor = {"", "", "", ""},
                                        .limit = 10000};
    struct journal_verified verified;
    struct plex_err err = {0};

    plex_arena_reset(&fx.arena);
    for (size_t a = 0; a < ACTORS; a++) {
        check_history(m, a);
        for (uint64_t seq = 1; seq <= m->newest[a]; seq += 1 + one_of(4))
            (void)check_at(m, a, seq);
    }
    ck_assert_msg(journal_store_verify(fx.store, &want, &fx.arena, &verified,
                                       &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert_uint_eq(verified.n_broken, 0);
}

START_TEST(whatever_is_said_of_the_past_is_right)
{
    static struct model m;
    uint64_t now_ms = NOW;

    rng = (unsigned)_i + 1;
    memset(&m, 0, sizeof m);
    fx.history = _i % 2 ? "30/5" : "";
    fixture_reopen();
    for (int i = 0; i < STEPS; i++) {
        now_ms += one_of(10);
        switch (one_of(10)) {
        case 0:
            step_snapshot(&m);
            break;
        case 1:
            step_retain(now_ms);
            break;
        case 2:
            check_all(&m);
            break;
        default:
            step_turn(&m, now_ms);
        }
    }
    check_all(&m);
}
END_TEST

/* The tables as version 1 made them, with the rows that are there. */
static void
downgrade(void)
{
    journal_store_close(fx.store);
    fx.store = NULL;
    if (fixture_is("sqlite"))
        fixture_sql(
            "CREATE TABLE t AS SELECT id, actor, seq, prev, at_ms, "
            "expires_ms, request_hash, has_state, schema_version, state_hash, "
            "checksum, message_id, reply, state FROM journal_turn; DROP TABLE "
            "journal_turn; ALTER TABLE t RENAME TO journal_turn; CREATE TABLE "
            "s AS SELECT id, actor, seq, schema_version, state_hash, "
            "checksum, state FROM journal_snapshot; DROP TABLE "
            "journal_snapshot; ALTER TABLE s RENAME TO journal_snapshot; "
            "DROP TABLE journal_tenant_key; "
            "CREATE UNIQUE INDEX journal_snapshot_by_seq ON journal_snapshot "
            "(actor, seq); DROP TABLE journal_seek; DROP TABLE "
            "journal_anchor; ALTER TABLE journal_pending DROP COLUMN flags; "
            "DELETE FROM plex_migration WHERE service = 'journal' AND "
            "version > 1");
    else
        fixture_sql(
            "ALTER TABLE journal_turn DROP COLUMN keep_ms, DROP COLUMN "
            "keep_turns, DROP COLUMN flags, DROP COLUMN chain, DROP COLUMN "
            "record_hash, DROP COLUMN record; CREATE INDEX "
            "journal_turn_by_expiry ON journal_turn (expires_ms, actor, seq); "
            "DROP TABLE journal_anchor; ALTER TABLE journal_pending DROP "
            "COLUMN flags; ALTER TABLE journal_snapshot DROP COLUMN flags; "
            "DROP TABLE journal_tenant_key; "
            "DROP FUNCTION journal_seq_at; DROP FUNCTION journal_due; DROP "
            "FUNCTION journal_next_due; DELETE FROM plex_migration WHERE "
            "service = 'journal' AND version > 1");
    fixture_reopen();
}

START_TEST(what_the_first_schema_left_is_read_and_continued)
{
    const struct journal_history want = {
        .actor = actor_of("a"), .first_seq = 1, .limit = 100, .with_state = 1};
    const struct journal_verify all = {.actor = {"", "", "", ""},
                                       .limit = 1000};
    struct journal_entry turn;
    struct journal_verified verified;
    struct journal_past past;
    struct plex_err err = {0};
    struct model m = {0};

    if (fixture_is("mem") || getenv("TEST_DSN") == NULL ||
        getenv("TEST_SEALED") != NULL)
        return;
    for (uint64_t seq = 1; seq <= 80; seq++) {
        if (seq == 71)
            downgrade();
        turn = turn_of("a", seq, "");
        turn.has_state = seq < 9;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
        m.state_seq[0][seq] = seq < 9 ? seq : 8;
    }
    ck_assert_int_eq(
        journal_store_history(fx.store, &want, &fx.arena, &past, &err),
        PLEX_OK);
    ck_assert_uint_eq(past.n, 80);
    ck_assert_uint_eq(past.turns[0].chain.len, 0);
    ck_bytes(past.turns[7].state, "s8");
    ck_assert_uint_eq(past.turns[79].chain.len, JOURNAL_CHAIN_BYTES);
    for (uint64_t seq = 1; seq <= 80; seq += 6)
        ck_assert(check_at(&m, 0, seq));
    ck_assert_int_eq(
        journal_store_verify(fx.store, &all, &fx.arena, &verified, &err),
        PLEX_OK);
    ck_assert_uint_eq(verified.n_broken, 0);
    ck_assert_uint_eq(verified.unchained, 70);
    ck_assert_uint_eq(verified.turns, 80);
}
END_TEST

void
past_add(TCase *t)
{
    tcase_add_loop_test(t, whatever_is_said_of_the_past_is_right, 0, 6);
    tcase_add_test(t, what_the_first_schema_left_is_read_and_continued);
}
