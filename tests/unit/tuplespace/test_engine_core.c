/* The rules of single operations: write, read, take, waiting, leases. */
#include "tests/unit/tuplespace/drive.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct drive drive;

static void
setup(void)
{
    drive_open(&drive, NULL);
}

static void
teardown(void)
{
    drive_close(&drive);
}

START_TEST(take_removes_the_oldest_match)
{
    const uint64_t a = put(&drive, 0, tuple("si", "job", 1ll));
    const uint64_t b = put(&drive, 0, tuple("si", "job", 2ll));

    ck_assert(b > a);
    ck_assert_int_eq(take(&drive, 1, template("s?", "job"), 0)->first, 1);
    ck_assert_int_eq(take(&drive, 1, template("s?", "job"), 0)->first, 2);
    ck_assert_uint_eq(take(&drive, 1, template("s?", "job"), 0)->n, 0);
    ck_assert_uint_eq(drive.puts, 2);
    ck_assert_uint_eq(drive.removes, 2);
}
END_TEST

START_TEST(read_leaves_the_tuple)
{
    put(&drive, 0, tuple("i", 7ll));
    ck_assert_int_eq(read_one(&drive, 1, template("?"), 0)->first, 7);
    ck_assert_int_eq(read_one(&drive, 1, template("?"), 0)->first, 7);
}
END_TEST

START_TEST(tuples_of_other_spaces_and_tenants_are_not_seen)
{
    struct tspace_read read = {.op = op(1), .template = template("?")};

    put(&drive, 0, tuple("i", 7ll));
    read.op.where.tenant = "other";
    ck_assert_uint_eq(read_with(&drive, &read)->n, 0);
    read = (struct tspace_read){.op = op(1), .template = template("?")};
    read.op.where.space = "other";
    ck_assert_uint_eq(read_with(&drive, &read)->n, 0);
}
END_TEST

START_TEST(waiting_takers_are_served_in_the_order_of_coming)
{
    take(&drive, 1, template("s?", "job"), 1000);
    take(&drive, 2, template("sI", "job"), 1000);
    take(&drive, 3, template("??"), 1000);
    ck_assert(!drive.replies[1].done && !drive.replies[2].done);
    put(&drive, 0, tuple("si", "job", 1ll));
    ck_assert(drive.replies[1].done && !drive.replies[2].done);
    put(&drive, 0, tuple("ss", "job", "x"));
    ck_assert(!drive.replies[2].done && drive.replies[3].done);
    put(&drive, 0, tuple("si", "job", 2ll));
    ck_assert(drive.replies[2].done);
    ck_assert_uint_eq(count(&drive, 4, template("??"))->number, 0);
}
END_TEST

START_TEST(waiting_readers_before_a_taker_all_get_the_tuple)
{
    read_one(&drive, 1, template("?"), 1000);
    read_one(&drive, 2, template("?"), 1000);
    take(&drive, 3, template("?"), 1000);
    read_one(&drive, 4, template("?"), 1000);
    put(&drive, 0, tuple("i", 1ll));
    ck_assert(drive.replies[1].done && drive.replies[2].done);
    ck_assert(drive.replies[3].done && !drive.replies[4].done);
}
END_TEST

START_TEST(a_wait_ends_without_a_tuple_when_its_time_is_over)
{
    take(&drive, 1, template("?"), 100);
    ck_assert_uint_eq(tspace_core_wait_ms(drive.core, drive.now), 100);
    drive_pass(&drive, 99);
    ck_assert(!drive.replies[1].done);
    drive_pass(&drive, 1);
    ck_assert(drive.replies[1].done);
    ck_assert_uint_eq(drive.replies[1].n, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).waiters, 0);
    ck_assert(tspace_core_wait_ms(drive.core, drive.now) == UINT64_MAX);
}
END_TEST

START_TEST(a_caller_that_is_gone_takes_nothing)
{
    take(&drive, 1, template("?"), 1000);
    take(&drive, 2, template("?"), 1000);
    take(&drive, 3, template("?"), 1000);
    drive.gone[1] = true;
    tspace_core_cancel(drive.core, (void *)2);
    put(&drive, 0, tuple("i", 1ll));
    ck_assert_int_eq(drive.replies[1].status, PLEX_CANCELLED);
    ck_assert(!drive.replies[2].done);
    ck_assert(drive.replies[3].done && drive.replies[3].n == 1);
}
END_TEST

START_TEST(an_expired_tuple_is_invisible_at_once_and_removed_by_a_tick)
{
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {
        .op = op(0), .tuples = &packed, .n_tuples = 1, .ttl_ms = 50};

    write_with(&drive, &write);
    drive.now.wall_ms += 50;
    ck_assert_uint_eq(take(&drive, 1, template("?"), 0)->n, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 1);
    drive_pass(&drive, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 0);
    ck_assert_uint_eq(drive.removes, 1);
}
END_TEST

START_TEST(a_lease_is_renewed_by_its_owner_only_and_not_after_its_end)
{
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {.op = op(0),
                                 .tuples = &packed,
                                 .n_tuples = 1,
                                 .ttl_ms = 50,
                                 .owner = {(const uint8_t *)"me", 2}};
    struct tspace_lease lease = {.op = op(1), .ttl_ms = 100};

    lease.id = write_with(&drive, &write)->ids[0];
    tspace_core_lease(drive.core, drive.now, &lease);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[1].status, PLEX_DENIED);
    lease.op = op(2);
    lease.owner = write.owner;
    tspace_core_lease(drive.core, drive.now, &lease);
    drive_pass(&drive, 99);
    ck_assert_int_eq(drive.replies[2].status, PLEX_OK);
    ck_assert_uint_eq(count(&drive, 3, template("?"))->number, 1);
    drive_pass(&drive, 1);
    lease.op = op(4);
    tspace_core_lease(drive.core, drive.now, &lease);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[4].status, PLEX_NOT_FOUND);
    lease.op = op(5);
    lease.ttl_ms = TSPACE_TTL_MAX_MS + 1;
    tspace_core_lease(drive.core, drive.now, &lease);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[5].status, PLEX_INVALID);
}
END_TEST

START_TEST(orders_choose_among_matches)
{
    static const int64_t values[] = {5, -3, 9, 9, 0};
    struct tspace_read read;
    unsigned seen = 0;

    for (int i = 0; i < 5; i++)
        put(&drive, 0, tuple("si", "p", values[i]));
    read = (struct tspace_read){
        .op = op(1), .template = template("s?", "p"), .order = TSPACE_NEWEST};
    ck_assert_int_eq(read_with(&drive, &read)->first, 0);
    read.template = template("s?", "p");
    read.order = TSPACE_LEAST;
    read.order_field = 1;
    ck_assert_int_eq(read_with(&drive, &read)->first, -3);
    read.template = template("s?", "p");
    read.order = TSPACE_MOST;
    ck_assert_int_eq(read_with(&drive, &read)->first, 9);
    ck_assert_uint_eq(drive.replies[1].ids[0] & 0xff, 3); /* the older one */
    for (uint64_t random = 0; random < 100; random++) {
        read.template = template("s?", "p");
        read.order = TSPACE_RANDOM;
        read.random = random;
        seen |= 1u << (read_with(&drive, &read)->ids[0] & 0xff);
    }
    ck_assert_uint_eq(seen, 0x3e); /* all five */
}
END_TEST

START_TEST(a_cursor_goes_on_where_the_last_answer_ended)
{
    struct tspace_read read = {.op = op(1), .max_results = 3};
    unsigned n = 0, pages = 0;

    for (int64_t i = 0; i < 10; i++)
        put(&drive, 0, i % 2 ? tuple("i", i) : tuple("is", i, "even"));
    do {
        const struct reply *reply;

        read.template = template("");
        reply = read_with(&drive, &read);
        n += reply->n;
        pages++;
        read.after = reply->cursor;
    } while (read.after != 0);
    ck_assert_uint_eq(n, 10);
    ck_assert_uint_eq(pages, 4);
}
END_TEST

START_TEST(a_request_id_gives_the_first_answer_again)
{
    struct tspace_read read = {.op = op(1), .take = true};
    uint64_t id;

    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    read.op.request_id = (struct plex_bytes){(const uint8_t *)"abc", 3};
    read.template = template("?");
    id = read_with(&drive, &read)->ids[0];
    drive_restart(&drive);
    read.op.call = (void *)2;
    read.template = template("?");
    ck_assert(read_with(&drive, &read)->ids[0] == id);
    ck_assert_uint_eq(count(&drive, 3, template("?"))->number, 1);
    read.op.call = (void *)4;
    read.op.fingerprint = 9;
    read.template = template("?");
    ck_assert_int_eq(read_with(&drive, &read)->status, PLEX_MISMATCH);
    read.op.fingerprint = 0;
    drive_pass(&drive, TSPACE_REMEMBER_MS);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_REQUEST), 0);
    read.op.call = (void *)5;
    read.template = template("?");
    ck_assert_int_eq(read_with(&drive, &read)->first, 2);
}
END_TEST

START_TEST(a_request_id_whose_first_request_waits_is_in_flight)
{
    struct tspace_read read = {.op = op(1), .take = true, .timeout_ms = 100};

    read.op.request_id = (struct plex_bytes){(const uint8_t *)"abc", 3};
    read.template = template("?");
    read_with(&drive, &read);
    read.op.call = (void *)2;
    read.template = template("?");
    ck_assert_int_eq(read_with(&drive, &read)->status, PLEX_IN_FLIGHT);
    put(&drive, 0, tuple("i", 1ll));
    ck_assert(drive.replies[1].done);
    read.op.call = (void *)3;
    read.template = template("?");
    ck_assert_int_eq(read_with(&drive, &read)->first, 1);
}
END_TEST

START_TEST(swap_replaces_in_place_and_wakes_who_waits_for_the_new)
{
    struct tspace_swap swap = {.op = op(1), .packed = tuple("si", "n", 2ll)};
    uint64_t id;

    id = put(&drive, 0, tuple("si", "n", 1ll));
    put(&drive, 0, tuple("si", "n", 9ll));
    read_one(&drive, 2, template("si", "n", 2ll), 1000);
    swap.template = template("si", "n", 1ll);
    tspace_core_swap(drive.core, drive.now, &swap);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.replies[1].n, 1);
    ck_assert(drive.replies[1].ids[0] == id);
    ck_assert(drive.replies[2].done);
    swap.op = op(3); /* the same again: it is not 1 any more */
    tspace_core_swap(drive.core, drive.now, &swap);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.replies[3].n, 0);
    tspace_template_unref(swap.template);
    ck_assert_int_eq(take(&drive, 4, template("s?", "n"), 0)->first, 2);
}
END_TEST

START_TEST(collect_moves_copies_and_clears)
{
    struct tspace_collect collect = {.op = op(1), .to = "other", .copy = true};
    struct tspace_stats stats;

    for (int64_t i = 0; i < 4; i++)
        put(&drive, 0, tuple("si", i < 3 ? "a" : "b", i));
    collect.template = template("s?", "a");
    tspace_core_collect(drive.core, drive.now, &collect);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.replies[1].number, 3);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 7);
    collect.copy = false;
    collect.op = op(2);
    tspace_core_collect(drive.core, drive.now, &collect);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.replies[2].number, 3);
    ck_assert_uint_eq(count(&drive, 3, template(""))->number, 1);
    tspace_template_unref(collect.template);
    collect.template = template("");
    collect.op = op(4);
    collect.op.where.space = "other";
    collect.to = "";
    tspace_core_collect(drive.core, drive.now, &collect);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.replies[4].number, 6);
    tspace_template_unref(collect.template);
    stats = tspace_core_stats(drive.core);
    ck_assert_uint_eq(stats.tuples, 1);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 1);
}
END_TEST

START_TEST(quotas_of_spaces_are_kept_and_survive_a_restart)
{
    const struct tspace_options options = {
        .tuples_max = 2, .waiters_max = 1, .default_ttl_ms = 100};
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_op request = op(1);
    struct tspace_write write = {.op = op(2), .tuples = &packed, .n_tuples = 1};

    tspace_core_configure(drive.core, drive.now, &request, &options);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[1].status, PLEX_OK);
    drive_restart(&drive);
    put(&drive, 0, packed);
    put(&drive, 0, packed);
    ck_assert_int_eq(write_with(&drive, &write)->status, PLEX_LIMIT);
    take(&drive, 3, template("ii", 1ll, 1ll), 10);
    ck_assert_int_eq(take(&drive, 4, template("ii", 1ll, 1ll), 10)->status,
                     PLEX_LIMIT);
    drive_pass(&drive, 100);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 0);
}
END_TEST

START_TEST(bad_requests_get_clear_errors)
{
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {.op = op(1),
                                 .tuples = &packed,
                                 .n_tuples = 1,
                                 .ttl_ms = TSPACE_TTL_MAX_MS + 1};
    struct tspace_read read = {
        .op = op(2), .template = template("?"), .max_results = 10001};

    ck_assert_int_eq(write_with(&drive, &write)->status, PLEX_INVALID);
    ck_assert_int_eq(read_with(&drive, &read)->status, PLEX_INVALID);
    read = (struct tspace_read){.op = op(3),
                                .template = template("?"),
                                .timeout_ms = TSPACE_WAIT_MAX_MS + 1};
    ck_assert_int_eq(read_with(&drive, &read)->status, PLEX_INVALID);
    read = (struct tspace_read){.op = op(4), .template = template("?")};
    read.op.tx = 77;
    ck_assert_int_eq(read_with(&drive, &read)->status, PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_regular_expression_that_takes_too_long_is_refused)
{
    char text[60];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put(&drive, 0, tuple("s", text));
    ck_assert_uint_eq(count(&drive, 1, template("r", "^a+$"))->number, 1);
    ck_assert_int_eq(
        read_one(&drive, 2, template("r", "^(a|aa)+[bc]$"), 0)->status,
        PLEX_LIMIT);
    take(&drive, 3, template("r", "^(a|aa)+[bc]$"), 1000);
    ck_assert_int_eq(drive.replies[3].status, PLEX_LIMIT);
    take(&drive, 4, template("r", "^z(a|aa)+[bc]$"), 1000);
    text[0] = 'z';
    put(&drive, 0, tuple("s", text));
    ck_assert_int_eq(drive.replies[4].status, PLEX_LIMIT);
}
END_TEST

START_TEST(everything_acknowledged_survives_a_restart)
{
    uint64_t id;

    put(&drive, 0, tuple("si", "a", 1ll));
    put(&drive, 0, tuple("si", "b", 2ll));
    id = put(&drive, 0, tuple("tf", tuple("ib", 5ll, 1), 2.5));
    take(&drive, 1, template("s?", "a"), 0);
    drive_restart(&drive);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 2);
    ck_assert(read_one(&drive, 2, template("?F"), 0)->ids[0] == id);
    ck_assert(put(&drive, 0, tuple("i", 1ll)) > id);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("core");
    TCase *tcase = tcase_create("operations");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, take_removes_the_oldest_match);
    tcase_add_test(tcase, read_leaves_the_tuple);
    tcase_add_test(tcase, tuples_of_other_spaces_and_tenants_are_not_seen);
    tcase_add_test(tcase, waiting_takers_are_served_in_the_order_of_coming);
    tcase_add_test(tcase, waiting_readers_before_a_taker_all_get_the_tuple);
    tcase_add_test(tcase, a_wait_ends_without_a_tuple_when_its_time_is_over);
    tcase_add_test(tcase, a_caller_that_is_gone_takes_nothing);
    tcase_add_test(tcase,
                   an_expired_tuple_is_invisible_at_once_and_removed_by_a_tick);
    tcase_add_test(tcase,
                   a_lease_is_renewed_by_its_owner_only_and_not_after_its_end);
    tcase_add_test(tcase, orders_choose_among_matches);
    tcase_add_test(tcase, a_cursor_goes_on_where_the_last_answer_ended);
    tcase_add_test(tcase, a_request_id_gives_the_first_answer_again);
    tcase_add_test(tcase, a_request_id_whose_first_request_waits_is_in_flight);
    tcase_add_test(tcase,
                   swap_replaces_in_place_and_wakes_who_waits_for_the_new);
    tcase_add_test(tcase, collect_moves_copies_and_clears);
    tcase_add_test(tcase, quotas_of_spaces_are_kept_and_survive_a_restart);
    tcase_add_test(tcase, bad_requests_get_clear_errors);
    tcase_add_test(tcase, a_regular_expression_that_takes_too_long_is_refused);
    tcase_add_test(tcase, everything_acknowledged_survives_a_restart);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
