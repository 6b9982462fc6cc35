#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>

/* Loading with the records that rebuild the state. */

static enum plex_status
load_records(uint64_t from, struct journal_loaded *out)
{
    const struct journal_load want = {.actor = actor_of("a"),
                                      .shard = SHARD,
                                      .epoch = 1,
                                      .records = from == 0,
                                      .records_from = from};
    uint64_t newest;
    struct plex_err err;

    return journal_store_load(fx.store, &want, NOW, &fx.arena, out, &newest,
                              &err);
}

/* Every fourth turn is no record. */
static void
records_add(uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        struct journal_entry turn = turn_of("a", seq, "");
        char text[16];

        (void)snprintf(text, sizeof text, "e%u", (unsigned)seq);
        turn.has_state = false;
        turn.rebuilds = seq % 4 != 0;
        turn.record = bytes_of(text);
        turn.at_ms = NOW + seq;
        turn.schema_version = 3;
        ck_assert_int_eq(commit_one(&turn), PLEX_OK);
    }
}

START_TEST(a_load_brings_the_records_after_the_state)
{
    struct journal_entry snapshot = {.kind = JOURNAL_SNAPSHOT,
                                     .actor = actor_of("a"),
                                     .shard = SHARD,
                                     .epoch = 1,
                                     .seq = 5,
                                     .state = bytes_of("five")};
    struct journal_loaded loaded;

    ck_assert_int_eq(load_records(0, &loaded), PLEX_OK);
    ck_assert_uint_eq(loaded.n_records, 0);
    records_add(1, 10);
    ck_assert_int_eq(load_records(0, &loaded), PLEX_OK);
    ck_assert(!loaded.has_state);
    ck_assert_uint_eq(loaded.n_records, 8);
    ck_assert_uint_eq(loaded.next_record, 0);
    ck_assert_uint_eq(loaded.records[0].seq, 1);
    ck_assert_uint_eq(loaded.records[3].seq, 5);
    ck_assert_uint_eq(loaded.records[3].at_ms, NOW + 5);
    ck_assert_uint_eq(loaded.records[3].schema_version, 3);
    ck_bytes(loaded.records[3].bytes, "e5");
    ck_assert_int_eq(commit_one(&snapshot), PLEX_OK);
    ck_assert_int_eq(load_records(0, &loaded), PLEX_OK);
    ck_bytes(loaded.state, "five");
    ck_assert_uint_eq(loaded.n_records, 4);
    ck_bytes(loaded.records[0].bytes, "e6");
    ck_assert_uint_eq(load("a", 0).n_records, 0); /* not asked for */
}
END_TEST

START_TEST(the_records_of_a_load_come_by_pages)
{
    struct journal_loaded loaded;
    uint64_t from = 0, n = 0, last = 0;
    int pages = 0;

    records_add(1, 2100);
    do {
        ck_assert_int_eq(load_records(from, &loaded), PLEX_OK);
        ck_assert_uint_eq(loaded.last_seq, 2100);
        for (size_t i = 0; i < loaded.n_records; i++) {
            ck_assert_uint_gt(loaded.records[i].seq, last);
            last = loaded.records[i].seq;
        }
        n += loaded.n_records;
        from = loaded.next_record;
        pages++;
    } while (from != 0);
    ck_assert_uint_eq(n, 1575);
    ck_assert_int_eq(pages, 3);
    ck_assert_int_eq(load_records(2101, &loaded), PLEX_OK);
    ck_assert_uint_eq(loaded.n_records, 0);
}
END_TEST

void
records_tests_add(Suite *suite)
{
    TCase *t = tcase_create("records");

    tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_load_brings_the_records_after_the_state);
    tcase_add_test(t, the_records_of_a_load_come_by_pages);
    suite_add_tcase(suite, t);
}
