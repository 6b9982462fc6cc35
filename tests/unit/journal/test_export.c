#include "services/journal/export.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *data;
static size_t size;
static struct plex_err err;

static struct plex_bytes
text(const char *t)
{
    return (struct plex_bytes){(const uint8_t *)t, strlen(t)};
}

static const struct plex_actor_id actor = {"acme", "prod", "cart", "7"};

static struct journal_past_turn
turn_of(uint64_t seq)
{
    return (struct journal_past_turn){.seq = seq,
                                      .at_ms = 1000 + seq,
                                      .message_id = text("id"),
                                      .reply = text("reply"),
                                      .record = text("record"),
                                      .has_state = true,
                                      .schema_version = 3,
                                      .state = text("state"),
                                      .chain = text("chain")};
}

static void
make(uint64_t first, uint64_t last)
{
    const struct journal_export_head head = {
        .actor = actor,
        .at_ms = 77,
        .oldest_seq = 2,
        .newest_seq = 9,
        .has_base = first > 1,
        .base = {.seq = first - 1, .has_state = true, .state = text("before")}};
    struct journal_export_file *file;

    ck_assert_int_eq(
        journal_export_create(&file, open_memstream(&data, &size), &head, &err),
        PLEX_OK);
    for (uint64_t seq = first; seq <= last; seq++) {
        const struct journal_past_turn turn = turn_of(seq);

        ck_assert_int_eq(journal_export_turn(file, &turn, &err), PLEX_OK);
    }
    ck_assert_int_eq(journal_export_finish(file, PLEX_OK, &err), PLEX_OK);
}

/* Turns that were read, -1: something is wrong with it. */
static int
read_all(size_t n)
{
    FILE *in = n > 0 ? fmemopen(data, n, "r") : fopen("/dev/null", "r");
    struct journal_export_file *file;
    struct journal_export_head head;
    struct journal_past_turn turn;
    enum plex_status status;
    bool end = false;
    int turns = 0;

    status = journal_export_open(&file, in, &head, &err);
    if (status != PLEX_OK)
        return -1;
    while (!end && status == PLEX_OK) {
        status = journal_export_next(file, &end, &turn, &err);
        turns += status == PLEX_OK && !end;
    }
    journal_export_close(file);
    return status == PLEX_OK ? turns : -1;
}

static void
teardown(void)
{
    free(data);
    data = NULL;
}

START_TEST(what_was_exported_is_read_again)
{
    struct journal_export_file *file;
    struct journal_export_head head;
    struct journal_past_turn turn;
    bool end;

    make(3, 5);
    ck_assert_int_eq(
        journal_export_open(&file, fmemopen(data, size, "r"), &head, &err),
        PLEX_OK);
    ck_assert(plex_actor_equal(&head.actor, &actor));
    ck_assert_uint_eq(head.at_ms, 77);
    ck_assert_uint_eq(head.newest_seq, 9);
    ck_assert(head.has_base && head.base.has_state);
    ck_assert_uint_eq(head.base.seq, 2);
    for (uint64_t seq = 3; seq <= 5; seq++) {
        ck_assert_int_eq(journal_export_next(file, &end, &turn, &err), PLEX_OK);
        ck_assert(!end);
        ck_assert_uint_eq(turn.seq, seq);
        ck_assert_uint_eq(turn.at_ms, 1000 + seq);
        ck_assert_uint_eq(turn.schema_version, 3);
        ck_assert(memcmp(turn.record.data, "record", 6) == 0);
        ck_assert(memcmp(turn.state.data, "state", 5) == 0);
    }
    ck_assert(memcmp(head.base.state.data, "before", 6) == 0);
    ck_assert_int_eq(journal_export_next(file, &end, &turn, &err), PLEX_OK);
    ck_assert(end);
    journal_export_close(file);
}
END_TEST

START_TEST(a_byte_that_was_changed_anywhere_is_found)
{
    make(1, 4);
    ck_assert_int_eq(read_all(size), 4);
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(data[i] ^ 1);
        ck_assert_msg(read_all(size) == -1, "byte %zu", i);
        data[i] = (char)(data[i] ^ 1);
    }
}
END_TEST

START_TEST(a_file_that_is_cut_off_is_not_taken_for_a_whole_one)
{
    make(1, 3);
    for (size_t n = 0; n < size; n++)
        ck_assert_int_eq(read_all(n), -1);
}
END_TEST

START_TEST(an_empty_history_is_a_whole_file)
{
    make(1, 0);
    ck_assert_int_eq(read_all(size), 0);
}
END_TEST

START_TEST(turns_out_of_order_are_refused)
{
    const struct journal_export_head head = {.actor = actor};
    const struct journal_past_turn turn = turn_of(4);
    struct journal_export_file *file;

    ck_assert_int_eq(
        journal_export_create(&file, open_memstream(&data, &size), &head, &err),
        PLEX_OK);
    ck_assert_int_eq(journal_export_turn(file, &turn, &err), PLEX_OK);
    ck_assert_int_eq(journal_export_turn(file, &turn, &err), PLEX_OK);
    ck_assert_int_eq(journal_export_finish(file, PLEX_OK, &err), PLEX_OK);
    ck_assert_int_eq(read_all(size), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "record 3 of the export is out"));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal export");
    TCase *t = tcase_create("export");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, what_was_exported_is_read_again);
    tcase_add_test(t, a_byte_that_was_changed_anywhere_is_found);
    tcase_add_test(t, a_file_that_is_cut_off_is_not_taken_for_a_whole_one);
    tcase_add_test(t, an_empty_history_is_a_whole_file);
    tcase_add_test(t, turns_out_of_order_are_refused);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
