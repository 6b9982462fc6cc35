/* Several actors are loaded at once, each as it is by itself. */
#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 40, LARGE = 70000 };

struct loading_of {
    struct journal_load want[MANY];
    struct journal_loading all[MANY];
    char keys[MANY][8];
};

static void
loads_want(struct loading_of *l, size_t n, uint32_t recent_max)
{
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(l->keys[i], sizeof l->keys[i], "k%02zu", i);
        l->want[i] = (struct journal_load){.actor = actor_of(l->keys[i]),
                                           .shard = SHARD,
                                           .epoch = 1,
                                           .recent_max = recent_max};
        l->all[i].load = &l->want[i];
        l->all[i].arena = &fx.arena;
    }
}

static void
ck_same_bytes(struct plex_bytes a, struct plex_bytes b)
{
    ck_assert_uint_eq(a.len, b.len);
    ck_assert(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void
ck_same(const struct journal_loaded *a, const struct journal_loaded *b)
{
    ck_assert_uint_eq(a->last_seq, b->last_seq);
    ck_assert_int_eq(a->has_state, b->has_state);
    ck_assert_uint_eq(a->state_seq, b->state_seq);
    ck_assert_uint_eq(a->schema_version, b->schema_version);
    ck_same_bytes(a->state, b->state);
    ck_assert_uint_eq(a->n_recent, b->n_recent);
    for (size_t i = 0; i < a->n_recent; i++) {
        ck_assert_uint_eq(a->recent[i].seq, b->recent[i].seq);
        ck_assert_uint_eq(a->recent[i].request_hash, b->recent[i].request_hash);
        ck_assert_uint_eq(a->recent[i].expires_ms, b->recent[i].expires_ms);
        ck_same_bytes(a->recent[i].message_id, b->recent[i].message_id);
        ck_same_bytes(a->recent[i].reply, b->recent[i].reply);
    }
    ck_assert_uint_eq(a->n_records, b->n_records);
    ck_assert_uint_eq(a->next_record, b->next_record);
}

static void
ck_as_one_by_one(struct loading_of *l, size_t n)
{
    journal_store_loads(fx.store, l->all, n, NOW);
    for (size_t i = 0; i < n; i++) {
        struct journal_loaded one;
        struct plex_err err = {0};
        uint64_t newest;
        const enum plex_status status = journal_store_load(
            fx.store, &l->want[i], NOW, &fx.arena, &one, &newest, &err);

        ck_assert_msg(l->all[i].err.status == status, "%s: %s, not %s",
                      l->keys[i], l->all[i].err.text, err.text);
        ck_assert_uint_eq(l->all[i].newest_epoch, newest);
        if (status == PLEX_OK)
            ck_same(&l->all[i].out, &one);
    }
}

struct made_turn {
    char key[8], id[32];
    struct journal_entry entry;
};

static void
turn_make(struct made_turn *t, size_t actor, uint64_t seq)
{
    (void)snprintf(t->key, sizeof t->key, "k%02zu", actor);
    (void)snprintf(t->id, sizeof t->id, "m%llu", (unsigned long long)seq);
    t->entry = turn_of(t->key, seq, seq % 3 == 0 ? "" : t->id);
    t->entry.request_hash = seq * 7;
    if (seq % 5 == 0)
        t->entry.expires_ms = NOW; /* not to be seen any more */
    if (seq % 4 == 2)
        t->entry.has_state = false;
}

static void
turn_commit(size_t actor, uint64_t seq)
{
    struct made_turn turn;

    turn_make(&turn, actor, seq);
    ck_assert_int_eq(commit_one(&turn.entry), PLEX_OK);
}

/* The turns of that number of all actors that have so many: the i-th of them
 * has i % 13. One has a large state, one large replies. */
static void
turns_commit(uint64_t seq, struct plex_bytes big)
{
    static struct made_turn turns[MANY];
    struct journal_entry entries[MANY];
    struct journal_result results[MANY];
    size_t n = 0;

    for (size_t i = 0; i < MANY; i++) {
        if (i % 13 < seq)
            continue;
        turn_make(&turns[n], i, seq);
        entries[n] = turns[n].entry;
        if (i == 5)
            entries[n].state = big;
        if (i == 7)
            entries[n].reply = big;
        n++;
    }
    commit_entries(entries, n, results);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(results[i].status, PLEX_OK);
}

static void
snapshot_commit(size_t actor, uint64_t seq)
{
    char key[8];
    struct journal_entry entry;

    (void)snprintf(key, sizeof key, "k%02zu", actor);
    entry = turn_of(key, seq, "");
    entry.kind = JOURNAL_SNAPSHOT;
    entry.state = bytes_of("of a snapshot");
    entry.reply = (struct plex_bytes){0};
    ck_assert_int_eq(commit_one(&entry), PLEX_OK);
}

START_TEST(loads_give_each_what_it_has_by_itself)
{
    struct loading_of l = {0};
    uint8_t *large = calloc(1, LARGE);
    const struct plex_bytes big = {large, LARGE};

    fence(SHARD, SHARD, 1);
    for (uint64_t seq = 1; seq < 13; seq++) /* the first was never seen */
        turns_commit(seq, big);
    snapshot_commit(8, 8);
    snapshot_commit(9, 3);
    loads_want(&l, MANY, 5);
    l.want[11].actor = l.want[10].actor; /* twice */
    l.want[12].epoch = 0;
    l.want[14].recent_max = 0;
    l.want[15].recent_max = JOURNAL_RECENT_MAX;
    l.want[16].recent_max = JOURNAL_RECENT_MAX + 1;
    l.want[17].records = true;
    l.want[18].records_from = 2;
    ck_as_one_by_one(&l, MANY);
    ck_assert_int_eq(l.all[12].err.status, PLEX_FENCED);
    ck_assert_uint_eq(l.all[12].newest_epoch, 1);
    ck_assert_int_eq(l.all[16].err.status, PLEX_INVALID);
    ck_assert_uint_eq(l.all[5].out.state.len, LARGE);
    ck_assert_uint_eq(l.all[10].out.n_recent, 5);
    ck_bytes(l.all[8].out.state, "of a snapshot");
    ck_as_one_by_one(&l, 1);
    free(large);
}
END_TEST

START_TEST(loads_name_the_actor_whose_row_is_damaged)
{
    struct loading_of l = {0};

    if (fixture_is("mem"))
        return; /* there is nothing beside it that could */
    fence(SHARD, SHARD, 1);
    for (size_t i = 0; i < 3; i++)
        turn_commit(i, 1);
    fixture_sql(fixture_is("postgres")
                    ? "UPDATE journal_turn SET reply = '\\x00' WHERE actor = "
                      "(SELECT id FROM journal_actor WHERE name LIKE '%/k01')"
                    : "UPDATE journal_turn SET reply = x'00' WHERE actor = "
                      "(SELECT id FROM journal_actor WHERE name LIKE '%/k01')");
    fixture_reopen();
    loads_want(&l, 3, 5);
    ck_as_one_by_one(&l, 3);
    ck_assert_int_eq(l.all[1].err.status, PLEX_CORRUPT);
    ck_assert_ptr_nonnull(strstr(l.all[1].err.text, "k01"));
    ck_assert_int_eq(l.all[2].err.status, PLEX_OK);
}
END_TEST

START_TEST(a_turn_after_loads_is_written)
{
    struct loading_of l = {0};
    struct journal_entry stale = turn_of("k01", 1, "");

    fence(SHARD, SHARD, 1);
    for (size_t i = 0; i < 3; i++)
        for (uint64_t seq = 1; seq <= 2; seq++)
            turn_commit(i, seq);
    if (!fixture_is("mem"))
        fixture_reopen(); /* it knows nothing but what it reads */
    loads_want(&l, 4, 5);
    ck_as_one_by_one(&l, 4);
    ck_assert_int_eq(commit_one(&stale), PLEX_CONFLICT);
    for (size_t i = 0; i < 3; i++)
        turn_commit(i, 3);
    turn_commit(3, 1);
    ck_as_one_by_one(&l, 4);
    ck_assert_uint_eq(l.all[0].out.last_seq, 3);
    ck_assert_uint_eq(l.all[3].out.last_seq, 1);
}
END_TEST

void
loads_add(TCase *t)
{
    tcase_add_test(t, loads_give_each_what_it_has_by_itself);
    tcase_add_test(t, loads_name_the_actor_whose_row_is_damaged);
    tcase_add_test(t, a_turn_after_loads_is_written);
}
