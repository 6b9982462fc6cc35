#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compression, encryption at rest, rotation and shredding. */

#define KEY_1 \
    "1 0101010101010101010101010101010101010101010101010101010101010101\n"
#define KEY_2 \
    "2 0202020202020202020202020202020202020202020202020202020202020202\n"
#define KEY_1_OTHER \
    "1 ff01010101010101010101010101010101010101010101010101010101010101\n"

static const struct plex_bytes secret = {(const uint8_t *)"the-secret-of-acme",
                                         18};

/* One turn with the secret in each place that is sealed. */
static enum plex_status
secret_add(const char *tenant, uint64_t seq, const char *id)
{
    const struct journal_pending pending = {bytes_of(id), NOW, secret};
    struct journal_entry turn = turn_of("a", seq, id);
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = seq,
                                     .state = secret};

    turn.actor.tenant = snapshot.actor.tenant = tenant;
    turn.state = turn.record = turn.reply = secret;
    turn.pending = &pending;
    turn.n_pending = 1;
    if (commit_one(&turn) != PLEX_OK)
        return PLEX_INTERNAL;
    return commit_one(&snapshot);
}

/* How often the words are in all that the database has. */
static int
count_of(const char *words)
{
    char command[1024], line[64] = "-1";
    FILE *f;

    if (fixture_is("sqlite"))
        (void)snprintf(command, sizeof command,
                       "cat %s/j.db* | grep -a -o '%s' | wc -l", fx.folder,
                       words);
    else
        (void)snprintf(command, sizeof command,
                       "for t in turn pending snapshot; do psql -d '%s' -At -c "
                       "\"SET bytea_output = escape; SELECT * FROM "
                       "journal_$t\"; done | grep -a -o '%s' | wc -l",
                       fx.dsn, words);
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    (void)pclose(f);
    return atoi(line);
}

static enum plex_status
load_of(const char *tenant, struct journal_loaded *out, struct plex_err *err)
{
    struct journal_load want = {actor_of("a"), SHARD, UINT32_MAX, 10};
    uint64_t newest;

    want.actor.tenant = tenant;
    return journal_store_load(fx.store, &want, NOW, &fx.arena, out, &newest,
                              err);
}

/* Everything that was sealed is there again. */
static void
check_readable(const char *tenant, uint64_t seq)
{
    const struct journal_history want = {
        .actor = {tenant, "prod", "counter", "a"},
        .first_seq = seq,
        .last_seq = seq,
        .limit = 1,
        .with_state = true};
    struct journal_loaded loaded;
    struct journal_lookup lookup;
    struct journal_past past;
    struct plex_err err = {0};

    ck_assert_msg(load_of(tenant, &loaded, &err) == PLEX_OK, "%s", err.text);
    ck_bytes(loaded.state, "the-secret-of-acme");
    ck_assert_uint_ge(loaded.n_recent, 1);
    ck_bytes(loaded.recent[0].reply, "the-secret-of-acme");
    ck_assert_msg(journal_store_history(fx.store, &want, &fx.arena, &past,
                                        &err) == PLEX_OK,
                  "%s", err.text);
    ck_bytes(past.turns[0].state, "the-secret-of-acme");
    ck_bytes(past.turns[0].record, "the-secret-of-acme");
    ck_bytes(past.turns[0].reply, "the-secret-of-acme");
    ck_bytes(page_of(0, 99, (struct plex_bytes){0}, 9).items[0].pending.message,
             "the-secret-of-acme");
    ck_assert_int_eq(journal_store_lookup(fx.store, tenant, bytes_of("none"),
                                          NOW, &fx.arena, &lookup, &err),
                     PLEX_NOT_FOUND);
}

static uint64_t
broken_count(void)
{
    const struct journal_verify want = {.actor = {"", "", "", ""},
                                        .limit = 1000};
    struct journal_verified out;
    struct plex_err err = {0};

    ck_assert_msg(
        journal_store_verify(fx.store, &want, &fx.arena, &out, &err) == PLEX_OK,
        "%s", err.text);
    return out.n_broken;
}

START_TEST(nothing_that_is_sealed_can_be_read_in_the_database)
{
    struct journal_entry again;
    struct journal_result result;

    fixture_seal("");
    ck_assert_int_eq(secret_add("acme", 1, "plain"), PLEX_OK);
    ck_assert_int_ge(count_of("secret-of-acme"), 4); /* the test can tell */
    fixture_seal(KEY_1);
    ck_assert_int_eq(secret_add("beta", 1, "sealed"), PLEX_OK);
    ck_assert_int_ge(count_of("sealed"), 1); /* ids are not secret */
    check_readable("acme", 1);
    check_readable("beta", 1);
    again = turn_of("a", 1, "sealed");
    again.actor.tenant = "beta";
    commit_entries(&again, 1, &result);
    ck_assert_int_eq(result.status, PLEX_EXISTS);
    ck_bytes(result.reply, "the-secret-of-acme");
    ck_assert_uint_eq(broken_count(), 0);
}
END_TEST

START_TEST(sealed_bytes_are_nowhere_in_the_clear)
{
    fixture_seal(KEY_1);
    for (uint64_t seq = 1; seq <= 5; seq++)
        ck_assert_int_eq(secret_add("acme", seq, "x"),
                         seq == 1 ? PLEX_OK : PLEX_INTERNAL);
    fixture_reopen();
    ck_assert_int_eq(count_of("secret-of-acme"), 0);
    check_readable("acme", 1);
}
END_TEST

START_TEST(without_the_right_key_a_load_is_denied_and_says_why)
{
    struct journal_store_config config = {.dsn = fx.dsn};
    struct journal_store *store;
    struct journal_loaded loaded;
    struct plex_err err = {0};

    fixture_seal(KEY_1);
    ck_assert_int_eq(secret_add("acme", 1, "x"), PLEX_OK);
    fixture_seal("");
    ck_assert_int_eq(load_of("acme", &loaded, &err), PLEX_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "there is no master_key_file"));
    ck_assert_uint_eq(broken_count(), 1);
    /* The wrong one, and one that lacks the number, do not even open. */
    journal_store_close(fx.store);
    fx.store = NULL;
    config.master_key_file = fx.keys;
    for (int i = 0; i < 2; i++) {
        FILE *f;

        (void)snprintf(fx.keys, sizeof fx.keys, "%s/keys", fx.folder);
        f = fopen(fx.keys, "w");
        (void)fputs(i == 0 ? KEY_1_OTHER : KEY_2, f);
        (void)fclose(f);
        ck_assert_int_eq(journal_store_open(&store, &config, &err),
                         PLEX_DENIED);
        ck_assert_msg(strstr(err.text, i == 0 ? "another key of that number"
                                              : "master_key_file lacks"),
                      "%s", err.text);
    }
    fixture_seal(KEY_1);
    check_readable("acme", 1);
}
END_TEST

START_TEST(a_new_master_key_takes_over_and_the_old_one_may_go)
{
    fixture_seal(KEY_1);
    ck_assert_int_eq(secret_add("acme", 1, "one"), PLEX_OK);
    fixture_seal(KEY_1 KEY_2);
    ck_assert_int_eq(secret_add("acme", 2, "two"), PLEX_OK);
    check_readable("acme", 1);
    fixture_seal(KEY_2);
    check_readable("acme", 1);
    check_readable("acme", 2);
    ck_assert_int_eq(secret_add("acme", 3, "three"), PLEX_OK);
    check_readable("acme", 3);
    ck_assert_uint_eq(broken_count(), 0);
}
END_TEST

START_TEST(a_shredded_tenant_is_gone_and_others_are_not)
{
    struct journal_loaded loaded;
    struct plex_err err = {0};
    uint64_t n = 0;

    fixture_seal(KEY_1);
    ck_assert_int_eq(secret_add("acme", 1, "one"), PLEX_OK);
    ck_assert_int_eq(secret_add("beta", 1, "one"), PLEX_OK);
    ck_assert_msg(journal_store_shred(fx.store, "acme", &n, &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(load_of("acme", &loaded, &err), PLEX_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "has been destroyed"));
    fixture_reopen();
    ck_assert_int_eq(load_of("acme", &loaded, &err), PLEX_DENIED);
    ck_assert_int_eq(load_of("beta", &loaded, &err), PLEX_OK);
    ck_bytes(loaded.state, "the-secret-of-acme");
    /* The chain needs no tenant's key. */
    ck_assert_uint_eq(broken_count(), 0);
    /* Should the tenant come back, it has a new key. */
    ck_assert_int_eq(secret_add("acme", 2, "two"), PLEX_OK);
    ck_assert_int_eq(load_of("acme", &loaded, &err), PLEX_DENIED);
    ck_assert_int_eq(journal_store_shred(fx.store, "acme", &n, &err), PLEX_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(journal_store_shred(fx.store, "acme", &n, &err), PLEX_OK);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(shredding_needs_something_sealed)
{
    struct plex_err err;
    uint64_t n;

    fixture_seal("");
    ck_assert_int_eq(journal_store_shred(fx.store, "acme", &n, &err),
                     PLEX_UNSUPPORTED);
}
END_TEST

START_TEST(another_journal_seals_with_no_key_that_was_destroyed)
{
    struct journal_store_config config = {.dsn = fx.dsn};
    struct journal_store *one, *two;
    struct journal_entry turn;
    struct journal_loaded loaded;
    struct plex_err err = {0};
    uint64_t n;

    if (!fixture_is("postgres"))
        return;
    fixture_seal(KEY_1);
    config.master_key_file = fx.keys;
    ck_assert_int_eq(secret_add("acme", 1, "one"), PLEX_OK);
    ck_assert_int_eq(journal_store_open(&two, &config, &err), PLEX_OK);
    one = fx.store;
    fx.store = two;
    turn = turn_of("other", 1, "");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK); /* now it has the key */
    ck_assert_int_eq(journal_store_shred(one, "acme", &n, &err), PLEX_OK);
    turn = turn_of("other", 2, "");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    ck_assert_int_eq(
        journal_store_load(
            one,
            &(struct journal_load){actor_of("other"), SHARD, UINT32_MAX, 0},
            NOW, &fx.arena, &loaded, &n, &err),
        PLEX_OK);
    ck_bytes(loaded.state, "s2");
    fx.store = one;
    journal_store_close(two);
}
END_TEST

START_TEST(sealed_bytes_open_only_where_they_were_put)
{
    struct journal_loaded loaded;
    struct journal_entry turn = turn_of("a", 1, "");
    struct plex_err err = {0};

    fixture_seal(KEY_1);
    turn.state = bytes_of("of-a");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn.actor.key = "b";
    turn.state = bytes_of("of-b");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    fixture_reopen();
    /* Exchanged with their hashes: only the seal can tell. */
    fixture_sql("UPDATE journal_turn SET state = (SELECT t.state FROM "
                "journal_turn t WHERE t.actor <> journal_turn.actor), "
                "state_hash = (SELECT t.state_hash FROM journal_turn t WHERE "
                "t.actor <> journal_turn.actor)");
    ck_assert_int_eq(load_of("acme", &loaded, &err), PLEX_CORRUPT);
}
END_TEST

START_TEST(large_states_and_snapshots_are_compressed)
{
    static char text[200000];
    struct journal_entry turn = turn_of("a", 1, "");
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 2};
    struct journal_was was;
    const struct journal_at at = {actor_of("a"), 1, 0};
    struct plex_err err;

    fixture_seal("");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "compressible "[i % 13];
    turn.state = (struct plex_bytes){(const uint8_t *)text, sizeof text};
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    turn = turn_of("a", 2, "");
    ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    snapshot.state = (struct plex_bytes){(const uint8_t *)text, 1000};
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_assert_uint_eq(load("a", 0).state.len, 1000);
    ck_assert_int_eq(journal_store_at(fx.store, &at, &fx.arena, &was, &err),
                     PLEX_OK);
    ck_assert_uint_eq(was.state.len, sizeof text);
    ck_assert(memcmp(was.state.data, text, sizeof text) == 0);
    ck_assert_int_le(count_of("compressible compressible"), 2);
    ck_assert_uint_eq(broken_count(), 0);
}
END_TEST

void
keys_add(Suite *suite)
{
    TCase *t = tcase_create("keys");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, nothing_that_is_sealed_can_be_read_in_the_database);
    tcase_add_test(t, sealed_bytes_are_nowhere_in_the_clear);
    tcase_add_test(t, without_the_right_key_a_load_is_denied_and_says_why);
    tcase_add_test(t, a_new_master_key_takes_over_and_the_old_one_may_go);
    tcase_add_test(t, a_shredded_tenant_is_gone_and_others_are_not);
    tcase_add_test(t, shredding_needs_something_sealed);
    tcase_add_test(t, another_journal_seals_with_no_key_that_was_destroyed);
    tcase_add_test(t, sealed_bytes_open_only_where_they_were_put);
    tcase_add_test(t, large_states_and_snapshots_are_compressed);
    suite_add_tcase(suite, t);
}
