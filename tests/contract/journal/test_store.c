#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(an_actor_never_seen_loads_empty)
{
    const struct journal_loaded loaded = load("new", 10);

    ck_assert_uint_eq(loaded.last_seq, 0);
    ck_assert(!loaded.has_state);
    ck_assert_uint_eq(loaded.n_recent, 0);
}
END_TEST

START_TEST(a_turn_is_loaded_with_its_state_and_answer)
{
    const struct journal_entry turn = turn_of("a", 1, "id-1");
    struct journal_loaded loaded;

    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    loaded = load("a", 10);
    ck_assert_uint_eq(loaded.last_seq, 1);
    ck_assert(loaded.has_state);
    ck_assert_uint_eq(loaded.state_seq, 1);
    ck_assert_uint_eq(loaded.schema_version, 1);
    ck_bytes(loaded.state, "s1");
    ck_assert_uint_eq(loaded.n_recent, 1);
    ck_bytes(loaded.recent[0].message_id, "id-1");
    ck_bytes(loaded.recent[0].reply, "r1");
    ck_assert_uint_eq(loaded.recent[0].request_hash, UINT64_MAX - 1);
    ck_assert_uint_eq(loaded.recent[0].expires_ms, NOW + 1000);
    ck_assert_uint_eq(loaded.recent[0].seq, 1);
}
END_TEST

START_TEST(many_turns_of_one_actor_go_into_one_commit)
{
    struct journal_entry turns[20];
    struct journal_result results[20];
    struct journal_loaded loaded;
    char ids[20][8];

    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(ids[i], 8, "id-%u", i);
        turns[i] = turn_of("a", i + 1, ids[i]);
    }
    commit_entries(turns, 20, results);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(results[i].status, PLEX_OK);
    loaded = load("a", 5);
    ck_assert_uint_eq(loaded.last_seq, 20);
    ck_bytes(loaded.state, "s20");
    ck_assert_uint_eq(loaded.n_recent, 5);
    ck_assert_uint_eq(loaded.recent[0].seq, 20);
    ck_assert_uint_eq(loaded.recent[4].seq, 16);
}
END_TEST

START_TEST(a_gap_in_the_sequence_is_a_conflict_and_fails_what_follows)
{
    struct journal_entry turns[5] = {turn_of("a", 1, "1"), turn_of("a", 3, "3"),
                                     turn_of("a", 2, "2"), turn_of("b", 1, "1"),
                                     turn_of("a", 4, "4")};
    struct journal_result results[5];

    commit_entries(turns, 5, results);
    ck_assert_int_eq(results[0].status, PLEX_OK);
    ck_assert_int_eq(results[1].status, PLEX_CONFLICT);
    ck_assert_int_eq(results[2].status, PLEX_CONFLICT);
    ck_assert_int_eq(results[3].status, PLEX_OK);
    ck_assert_int_eq(results[4].status, PLEX_CONFLICT);
    ck_assert_uint_eq(load("a", 9).last_seq, 1);
    ck_assert_uint_eq(load("a", 9).n_recent, 1);
    ck_assert_uint_eq(load("b", 9).last_seq, 1);
    /* The next commit starts afresh. */
    ck_assert_int_eq(commit_one(&turns[2]), PLEX_OK);
}
END_TEST

START_TEST(a_recorded_id_is_answered_with_the_first_reply)
{
    struct journal_entry turns[3] = {
        turn_of("a", 1, "id"), turn_of("a", 2, "id"), turn_of("b", 1, "id")};
    struct journal_result results[3];

    commit_entries(turns, 3, results);
    ck_assert_int_eq(results[0].status, PLEX_OK);
    ck_assert_int_eq(results[1].status, PLEX_EXISTS);
    ck_assert_uint_eq(results[1].request_hash, UINT64_MAX - 1);
    ck_bytes(results[1].reply, "r1");
    ck_assert_int_eq(results[2].status, PLEX_OK); /* another actor's */
    /* The same turn once more, as a retry of the link would send it. */
    commit_entries(turns, 1, results);
    ck_assert_int_eq(results[0].status, PLEX_EXISTS);
    ck_bytes(results[0].reply, "r1");
    ck_assert_uint_eq(load("a", 9).last_seq, 1);
}
END_TEST

START_TEST(several_recorded_ids_are_answered_in_one_commit)
{
    struct journal_entry turns[3] = {turn_of("a", 1, "1"), turn_of("b", 1, "2"),
                                     turn_of("c", 1, "3")};
    struct journal_result results[3];

    turns[1].reply = bytes_of("a longer reply of b");
    commit_entries(turns, 3, results);
    commit_entries(turns, 3, results);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(results[i].status, PLEX_EXISTS);
    ck_bytes(results[0].reply, "r1");
    ck_bytes(results[1].reply, "a longer reply of b");
    ck_bytes(results[2].reply, "r1");
}
END_TEST

START_TEST(an_expired_id_may_be_used_again)
{
    struct journal_entry turn = turn_of("a", 1, "id");
    struct journal_loaded loaded;

    turn.expires_ms = NOW; /* over */
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    ck_assert_uint_eq(load("a", 9).n_recent, 0);
    turn = turn_of("a", 2, "id");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    loaded = load("a", 9);
    ck_assert_uint_eq(loaded.n_recent, 1);
    ck_assert_uint_eq(loaded.recent[0].seq, 2);
    turn.seq = 3;
    ck_assert_int_eq(commit_one(&turn), PLEX_EXISTS);
}
END_TEST

START_TEST(turns_without_an_id_are_not_remembered)
{
    struct journal_entry turns[2] = {turn_of("a", 1, ""), turn_of("a", 2, "")};
    struct journal_result results[2];

    turns[1].has_state = false;
    commit_entries(turns, 2, results);
    ck_assert_int_eq(results[1].status, PLEX_OK);
    ck_assert_uint_eq(load("a", 9).n_recent, 0);
    ck_assert_uint_eq(load("a", 9).last_seq, 2);
    ck_assert_uint_eq(load("a", 9).state_seq, 1);
    commit_entries(turns, 1, results);
    ck_assert_int_eq(results[0].status, PLEX_CONFLICT);
}
END_TEST

START_TEST(a_stale_epoch_is_fenced)
{
    struct journal_entry turn = turn_of("a", 1, "id");
    struct journal_result result;
    const struct journal_load want = {actor_of("a"), SHARD, 4, 1};
    struct journal_loaded loaded;
    struct plex_err err;
    uint64_t newest;

    fence(0, 100, 5);
    turn.epoch = 4;
    commit_entries(&turn, 1, &result);
    ck_assert_int_eq(result.status, PLEX_FENCED);
    ck_assert_uint_eq(result.newest_epoch, 5);
    ck_assert_int_eq(journal_store_load(fx.store, &want, NOW, &fx.arena,
                                        &loaded, &newest, &err),
                     PLEX_FENCED);
    ck_assert_uint_eq(newest, 5);
    turn.epoch = 5;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn = turn_of("a", 2, "");
    turn.epoch = 6; /* newer than fenced: raises */
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn.epoch = 5, turn.seq = 3;
    ck_assert_int_eq(commit_one(&turn), PLEX_FENCED);
    turn.shard = 101, turn.epoch = 1; /* not in the range */
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
}
END_TEST

START_TEST(a_fence_below_the_newest_epoch_is_refused)
{
    const struct journal_fence ranges[2] = {{50, 60, 4}, {101, 200, 4}};
    uint64_t newest[2];
    struct journal_commit commit = {
        .fences = ranges, .fence_newest = newest, .n_fences = 2};
    struct journal_epochs epochs = {0};
    struct plex_err err;

    fence(0, 100, 5);
    fence(0, 100, 5); /* again: the same */
    ck_assert_int_eq(journal_store_commit(fx.store, &commit, &err), PLEX_OK);
    ck_assert_uint_eq(newest[0], 5);
    ck_assert_uint_eq(newest[1], 0);
    ck_assert_int_eq(journal_store_epochs(fx.store, &epochs, &err), PLEX_OK);
    ck_assert_uint_eq(journal_epochs_get(&epochs, 100), 5);
    ck_assert_uint_eq(journal_epochs_get(&epochs, 101), 4);
    ck_assert_uint_eq(journal_epochs_get(&epochs, 201), 0);
    journal_epochs_fini(&epochs);
}
END_TEST

START_TEST(a_fence_and_the_first_turn_under_it_go_into_one_commit)
{
    const struct journal_fence range = {0, 4095, 3};
    uint64_t newest;
    struct journal_entry old = turn_of("a", 1, "1"), new = turn_of("a", 1, "2");
    const struct journal_entry *entries[] = {&old, &new};
    struct journal_result r[2], *results[] = {&r[0], &r[1]};
    struct journal_commit commit = {.fences = &range,
                                    .fence_newest = &newest,
                                    .n_fences = 1,
                                    .entries = entries,
                                    .results = results,
                                    .n_entries = 2,
                                    .wall_ms = NOW};
    struct plex_err err;

    old.epoch = 2;
    new.epoch = 3;
    ck_assert_int_eq(journal_store_commit(fx.store, &commit, &err), PLEX_OK);
    ck_assert_int_eq(r[0].status, PLEX_FENCED);
    ck_assert_int_eq(r[1].status, PLEX_OK);
}
END_TEST

START_TEST(the_newest_snapshot_is_loaded_unless_a_turn_is_newer)
{
    struct journal_entry entry = turn_of("a", 1, "1");
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 1,
                                     .state = bytes_of("snapshot"),
                                     .schema_version = 9};
    struct journal_loaded loaded;

    ck_assert_int_eq(commit_one(&entry), PLEX_OK);
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    loaded = load("a", 1);
    ck_bytes(loaded.state, "snapshot");
    ck_assert_uint_eq(loaded.schema_version, 9);
    ck_assert_uint_eq(loaded.state_seq, 1);
    entry = turn_of("a", 2, "2");
    ck_assert_int_eq(commit_one(&entry), PLEX_OK);
    ck_bytes(load("a", 1).state, "s2");
    snapshot.seq = 3; /* of a turn that is not there */
    ck_assert_int_eq(commit_one(&snapshot), PLEX_CONFLICT);
    snapshot.seq = 1; /* older: no harm */
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_bytes(load("a", 1).state, "s2");
}
END_TEST

static void
add_pending(const char *key, uint64_t seq, uint32_t shard, const char *id,
            uint64_t due_ms)
{
    const struct journal_pending pending = {bytes_of(id), due_ms,
                                            bytes_of("message")};
    struct journal_entry turn = turn_of(key, seq, "");

    turn.shard = shard;
    turn.pending = &pending;
    turn.n_pending = 1;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
}

START_TEST(pendings_are_paged_by_shard_and_due_time)
{
    struct journal_paged page;

    add_pending("a", 1, 10, "x", 300);
    add_pending("b", 1, 10, "x", 200);
    add_pending("c", 1, 10, "y", 200);
    add_pending("d", 1, 9, "z", 900);
    add_pending("e", 1, 11, "other shard", 1);
    page = page_of(9, 10, (struct plex_bytes){0}, 3);
    ck_assert_uint_eq(page.n, 3);
    ck_assert_str_eq(page.items[0].owner.key, "d");
    ck_assert_str_eq(page.items[1].owner.key, "b");
    ck_assert_str_eq(page.items[2].owner.key, "c");
    ck_assert_str_eq(page.items[2].owner.tenant, "acme");
    ck_bytes(page.items[2].pending.id, "y");
    ck_bytes(page.items[2].pending.message, "message");
    ck_assert_uint_eq(page.items[2].pending.due_ms, 200);
    ck_assert_uint_gt(page.next.len, 0);
    page = page_of(9, 10, page.next, 3);
    ck_assert_uint_eq(page.n, 1);
    ck_assert_str_eq(page.items[0].owner.key, "a");
    ck_assert_uint_eq(page.next.len, 0);
}
END_TEST

static struct journal_paged
due_before(uint32_t first, uint32_t last, uint64_t until_ms,
           struct plex_bytes after, uint32_t limit)
{
    const struct journal_page page = {first, last, after, limit, until_ms};
    struct journal_paged out;
    struct plex_err err = {0};

    ck_assert_msg(journal_store_pending(fx.store, &page, &fx.arena, &out,
                                        &err) == PLEX_OK,
                  "%s", err.text);
    return out;
}

START_TEST(what_is_due_is_paged_and_what_comes_next_is_told)
{
    struct plex_bytes after = {0};
    struct journal_paged page;
    char key[16];
    int n = 0, pages = 0;

    ck_assert_uint_eq(due_before(0, 4095, NOW, after, 9).next_due_ms, 0);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        add_pending(key, 1, 100 * (i % 4), key, 1000 + i);
    }
    do { /* shards 100 and 200, due at 1001, 1002, 1005, ... */
        page = due_before(1, 299, 1021, after, 3);
        for (size_t i = 0; i < page.n; i++, n++) {
            (void)snprintf(key, sizeof key, "k%d",
                           n < 5 ? 1 + 4 * n : 2 + 4 * (n - 5));
            ck_assert_str_eq(page.items[i].owner.key, key);
        }
        after = page.next;
        ck_assert_uint_eq(page.next_due_ms, after.len > 0 ? 0 : 1021);
    } while (after.len > 0 && ++pages < 10);
    ck_assert_int_eq(n, 10);
    page = due_before(0, 4095, 1000, after, 9);
    ck_assert_uint_eq(page.n, 0);
    ck_assert_uint_eq(page.next_due_ms, 1000);
    page = due_before(0, 4095, 5000, after, 100);
    ck_assert_uint_eq(page.n, 40);
    ck_assert_uint_eq(page.next_due_ms, 0);
    page = due_before(300, 4095, 1004, after, 100);
    ck_assert_uint_eq(page.n, 1);
    ck_assert_uint_eq(page.next_due_ms, 1007);
}
END_TEST

START_TEST(a_page_token_of_someone_else_is_invalid)
{
    const struct journal_page page = {0, 1, bytes_of("nonsense"), 1};
    struct journal_paged out;
    struct plex_err err;

    ck_assert_int_eq(
        journal_store_pending(fx.store, &page, &fx.arena, &out, &err),
        PLEX_INVALID);
}
END_TEST

START_TEST(settling_removes_a_pending_with_or_without_a_turn)
{
    const struct plex_bytes one = bytes_of("one"), two = bytes_of("two"),
                            none = bytes_of("not there");
    struct journal_entry turn = turn_of("a", 3, "");
    struct journal_entry settle = {.kind = JOURNAL_SETTLE,
                                   .actor = actor_of("a"),
                                   .shard = SHARD,
                                   .epoch = 1,
                                   .settled = &two,
                                   .n_settled = 1};

    add_pending("a", 1, SHARD, "one", 5);
    add_pending("a", 2, SHARD, "two", 5);
    add_pending("b", 1, SHARD, "one", 6);
    turn.settled = &one;
    turn.n_settled = 1;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    ck_assert_uint_eq(page_of(0, 99, (struct plex_bytes){0}, 9).n, 2);
    ck_assert_int_eq(commit_one(&settle), PLEX_OK);
    settle.settled = &none;
    ck_assert_int_eq(commit_one(&settle), PLEX_OK);
    settle.actor.key = "unknown";
    ck_assert_int_eq(commit_one(&settle), PLEX_OK);
    ck_assert_uint_eq(page_of(0, 99, (struct plex_bytes){0}, 9).n, 1);
    ck_assert_str_eq(
        page_of(0, 99, (struct plex_bytes){0}, 9).items[0].owner.key, "b");
}
END_TEST

START_TEST(a_pending_of_the_same_id_replaces_the_former_one)
{
    const struct plex_bytes id = bytes_of("tick");
    const struct journal_pending again = {id, 77, bytes_of("new")};
    struct journal_entry turns[3];
    struct journal_result results[3];
    struct journal_paged page;

    add_pending("a", 1, SHARD, "tick", 5);
    add_pending("a", 2, SHARD, "tick", 6);
    page = page_of(0, 99, (struct plex_bytes){0}, 9);
    ck_assert_uint_eq(page.n, 1);
    ck_assert_uint_eq(page.items[0].pending.due_ms, 6);
    /* A periodic timer's turn settles it and sets it again; then, in the
     * same commit, it is set and settled once more. */
    turns[0] = turn_of("a", 3, "");
    turns[0].settled = &id, turns[0].n_settled = 1;
    turns[0].pending = &again, turns[0].n_pending = 1;
    turns[1] = turns[0], turns[1].seq = 4;
    commit_entries(turns, 2, results);
    page = page_of(0, 99, (struct plex_bytes){0}, 9);
    ck_assert_uint_eq(page.n, 1);
    ck_assert_uint_eq(page.items[0].pending.due_ms, 77);
    turns[0].seq = 5;
    turns[1] = turn_of("a", 6, "");
    turns[1].settled = &id, turns[1].n_settled = 1;
    commit_entries(turns, 2, results);
    ck_assert_int_eq(results[1].status, PLEX_OK);
    ck_assert_uint_eq(page_of(0, 99, (struct plex_bytes){0}, 9).n, 0);
}
END_TEST

static enum plex_status
lookup(const char *tenant, const char *id, struct journal_lookup *out)
{
    struct plex_err err;

    return journal_store_lookup(fx.store, tenant, bytes_of(id), NOW, &fx.arena,
                                out, &err);
}

START_TEST(a_lookup_finds_what_waits_and_what_is_done_in_the_tenant_only)
{
    struct journal_entry turn = turn_of("a", 1, "done");
    struct journal_lookup out;

    turn.at_ms = NOW - 5;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    add_pending("a", 2, SHARD, "waits", NOW + 50);
    ck_assert_int_eq(lookup("acme", "done", &out), PLEX_OK);
    ck_assert(!out.waiting);
    ck_assert_uint_eq(out.at_ms, NOW - 5);
    ck_bytes(out.reply, "r1");
    ck_assert_str_eq(out.actor.key, "a");
    ck_assert_int_eq(lookup("acme", "waits", &out), PLEX_OK);
    ck_assert(out.waiting);
    ck_assert_uint_eq(out.due_ms, NOW + 50);
    ck_assert_int_eq(lookup("acme", "never", &out), PLEX_NOT_FOUND);
    ck_assert_int_eq(lookup("acm", "done", &out), PLEX_NOT_FOUND);
    ck_assert_int_eq(lookup("other", "waits", &out), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(retention_forgets_expired_ids_and_keeps_the_state)
{
    struct journal_entry turn;
    struct journal_retained kept = {.more = true};
    struct plex_err err;
    uint64_t removed = 0;
    char ids[10][8];

    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(ids[i], 8, "id-%u", i);
        turn = turn_of("a", i + 1, ids[i]);
        turn.has_state = i < 6;
        turn.expires_ms = i < 8 ? NOW : NOW + 500;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
    fixture_is("mem") ? (void)0 : fixture_reopen();
    for (int i = 0; i < 100 && kept.more; i++, removed += kept.removed)
        ck_assert_int_eq(journal_store_retain(fx.store, NOW, 3, &kept, &err),
                         PLEX_OK);
    ck_assert(!kept.more);
    ck_assert_uint_ge(removed, 7);
    ck_assert_uint_eq(kept.next_ms, NOW + 500);
    ck_assert_uint_eq(load("a", 99).n_recent, 2);
    ck_bytes(load("a", 99).state, "s6");
    ck_assert_uint_eq(load("a", 99).last_seq, 10);
    turn = turn_of("a", 11, "id-0");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
}
END_TEST

START_TEST(reopening_finds_everything)
{
    struct journal_entry turns[2] = {turn_of("a", 1, "1"),
                                     turn_of("a", 2, "2")};
    struct journal_result results[2];
    struct journal_loaded loaded;

    if (fixture_is("mem"))
        return;
    fence(0, 4095, 1);
    commit_entries(turns, 2, results);
    add_pending("b", 1, SHARD, "p", 1);
    fixture_reopen();
    loaded = load("a", 9);
    ck_assert_uint_eq(loaded.last_seq, 2);
    ck_assert_uint_eq(loaded.n_recent, 2);
    ck_bytes(loaded.state, "s2");
    ck_assert_uint_eq(page_of(0, 99, (struct plex_bytes){0}, 9).n, 1);
    turns[0].epoch = 1;
    ck_assert_int_eq(commit_one(&turns[0]), PLEX_EXISTS);
    turns[1] = turn_of("a", 3, "3");
    ck_assert_int_eq(commit_one(&turns[1]), PLEX_OK);
    fence(3, 3, 2);
    fixture_reopen();
    turns[1].shard = 3;
    ck_assert_int_eq(commit_one(&turns[1]), PLEX_FENCED);
}
END_TEST

START_TEST(a_state_of_the_largest_size_comes_back)
{
    const size_t size = JOURNAL_STATE_MAX;
    uint8_t *state = malloc(size);
    struct journal_entry turn = turn_of("a", 1, "big");
    struct journal_loaded loaded;

    for (size_t i = 0; i < size; i++)
        state[i] = (uint8_t)(i * 31 >> 3);
    turn.state = (struct plex_bytes){state, size};
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    loaded = load("a", 1);
    ck_assert_uint_eq(loaded.state.len, size);
    ck_assert(memcmp(loaded.state.data, state, size) == 0);
    free(state);
}
END_TEST

START_TEST(a_load_that_does_not_fit_its_memory_says_so)
{
    const struct journal_load want = {actor_of("a"), SHARD, 1, 1};
    struct journal_entry turn = turn_of("a", 1, "big");
    struct journal_loaded loaded;
    struct plex_arena small;
    struct plex_err err;
    uint64_t newest;
    static uint8_t state[100000];

    turn.state = (struct plex_bytes){state, sizeof state};
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    plex_arena_init(&small, 1000);
    ck_assert_int_eq(journal_store_load(fx.store, &want, NOW, &small, &loaded,
                                        &newest, &err),
                     PLEX_TOO_LARGE);
    plex_arena_fini(&small);
}
END_TEST

START_TEST(a_lost_connection_to_postgres_is_replaced)
{
    struct journal_entry turn = turn_of("a", 1, "1");
    char command[1024];

    if (!fixture_is("postgres"))
        return;
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    (void)snprintf(command, sizeof command,
                   "psql -q -d '%s' -c \"SELECT pg_terminate_backend(pid) FROM "
                   "pg_stat_activity WHERE application_name = "
                   "'plex-journal'\" >/dev/null",
                   getenv("PLEX_TEST_PG"));
    ck_assert_int_eq(system(command), 0);
    turn = turn_of("a", 2, "2");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    ck_assert_uint_eq(load("a", 1).last_seq, 2);
}
END_TEST

START_TEST(two_journals_on_one_database_agree)
{
    const struct journal_store_config config = {.dsn = fx.dsn,
                                                .master_key_file = fx.keys};
    struct journal_entry first = turn_of("a", 1, "1");
    struct journal_entry second = turn_of("a", 2, "2");
    struct journal_store *one = fx.store, *two;
    struct plex_err err;

    if (!fixture_is("postgres"))
        return;
    ck_assert_int_eq(journal_store_open(&two, &config, &err), PLEX_OK);
    ck_assert_int_eq(commit_one(&first), PLEX_OK);
    fx.store = two;
    ck_assert_int_eq(commit_one(&second), PLEX_OK);
    ck_assert_int_eq(commit_one(&first), PLEX_EXISTS);
    fence(0, 4095, 9);
    fx.store = one;
    second.seq = 3;
    ck_assert_int_eq(commit_one(&second), PLEX_FENCED);
    second.epoch = 9;
    ck_assert_int_eq(commit_one(&second), PLEX_EXISTS);
    journal_store_close(two);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("journal store");
    TCase *t = tcase_create("contract");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_add_test(t, an_actor_never_seen_loads_empty);
    tcase_add_test(t, a_turn_is_loaded_with_its_state_and_answer);
    tcase_add_test(t, many_turns_of_one_actor_go_into_one_commit);
    tcase_add_test(t,
                   a_gap_in_the_sequence_is_a_conflict_and_fails_what_follows);
    tcase_add_test(t, a_recorded_id_is_answered_with_the_first_reply);
    tcase_add_test(t, several_recorded_ids_are_answered_in_one_commit);
    tcase_add_test(t, an_expired_id_may_be_used_again);
    tcase_add_test(t, turns_without_an_id_are_not_remembered);
    tcase_add_test(t, a_stale_epoch_is_fenced);
    tcase_add_test(t, a_fence_below_the_newest_epoch_is_refused);
    tcase_add_test(t, a_fence_and_the_first_turn_under_it_go_into_one_commit);
    tcase_add_test(t, the_newest_snapshot_is_loaded_unless_a_turn_is_newer);
    tcase_add_test(t, pendings_are_paged_by_shard_and_due_time);
    tcase_add_test(t, what_is_due_is_paged_and_what_comes_next_is_told);
    tcase_add_test(t, a_page_token_of_someone_else_is_invalid);
    tcase_add_test(t, settling_removes_a_pending_with_or_without_a_turn);
    tcase_add_test(t, a_pending_of_the_same_id_replaces_the_former_one);
    tcase_add_test(
        t, a_lookup_finds_what_waits_and_what_is_done_in_the_tenant_only);
    answers_add(t);
    loads_add(t);
    tcase_add_test(t, retention_forgets_expired_ids_and_keeps_the_state);
    tcase_add_test(t, reopening_finds_everything);
    tcase_add_test(t, a_state_of_the_largest_size_comes_back);
    tcase_add_test(t, a_load_that_does_not_fit_its_memory_says_so);
    tcase_add_test(t, a_lost_connection_to_postgres_is_replaced);
    tcase_add_test(t, two_journals_on_one_database_agree);
    suite_add_tcase(s, t);
    if (fixture_is("sqlite"))
        faults_add(s);
    shared_add(s);
    history_add(s);
    records_tests_add(s);
    if (!fixture_is("mem") && getenv("TEST_DSN") != NULL &&
        getenv("TEST_SEALED") == NULL)
        keys_add(s);
    return s;
}

int
main(void)
{
    SRunner *runner;
    int failed;

    if (fixture_skipped())
        return 0;
    runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
