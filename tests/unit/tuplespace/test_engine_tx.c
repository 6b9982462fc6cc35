/* Transactions, claims and subscriptions. */
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

static uint64_t
put_in(unsigned call, uint64_t tx, struct plex_bytes packed)
{
    struct tspace_write write = {
        .op = op(call), .tuples = &packed, .n_tuples = 1};

    write.op.tx = tx;
    return write_with(&drive, &write)->ids[0];
}

static struct reply *
look_in(unsigned call, uint64_t tx, struct tspace_template *wanted, bool takes,
        uint64_t timeout_ms)
{
    struct tspace_read read = {.op = op(call),
                               .template = wanted,
                               .take = takes,
                               .timeout_ms = timeout_ms};

    read.op.tx = tx;
    return read_with(&drive, &read);
}

/* -- transactions ---------------------------------------------------------- */

START_TEST(tuples_written_in_a_transaction_are_seen_inside_only)
{
    const uint64_t tx = begin(&drive, 1, 1000);

    put_in(2, tx, tuple("i", 1ll));
    ck_assert_uint_eq(drive.puts, 0);
    ck_assert_uint_eq(look_in(3, tx, template("?"), false, 0)->n, 1);
    ck_assert_uint_eq(read_one(&drive, 4, template("?"), 0)->n, 0);
    take(&drive, 5, template("?"), 100);
    ck_assert(!drive.replies[5].done);
    end(&drive, 6, tx, TSPACE_COMMIT);
    ck_assert(drive.replies[5].done && drive.replies[5].n == 1);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 0);
}
END_TEST

START_TEST(tuples_taken_in_a_transaction_return_to_their_place_on_abort)
{
    const uint64_t tx = begin(&drive, 1, 1000);

    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    ck_assert_int_eq(look_in(2, tx, template("?"), true, 0)->first, 1);
    ck_assert_int_eq(read_one(&drive, 3, template("?"), 0)->first, 2);
    end(&drive, 4, tx, TSPACE_ABORT);
    ck_assert_int_eq(read_one(&drive, 5, template("?"), 0)->first, 1);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 2);
}
END_TEST

START_TEST(tuples_read_in_a_transaction_are_not_taken_by_others)
{
    const uint64_t tx = begin(&drive, 1, 1000);

    put(&drive, 0, tuple("i", 1ll));
    look_in(2, tx, template("?"), false, 0);
    ck_assert_uint_eq(read_one(&drive, 3, template("?"), 0)->n, 1);
    ck_assert_uint_eq(take(&drive, 4, template("?"), 0)->n, 0);
    take(&drive, 5, template("?"), 100);
    ck_assert(!drive.replies[5].done);
    end(&drive, 6, tx, TSPACE_COMMIT);
    ck_assert(drive.replies[5].done);
}
END_TEST

static struct reply *
swap_in(unsigned call, uint64_t tx, struct tspace_template *old,
        struct plex_bytes packed)
{
    struct tspace_swap swap = {
        .op = op(call), .template = old, .packed = packed};

    swap.op.tx = tx;
    drive.replies[call] = (struct reply){0};
    tspace_core_swap(drive.core, drive.now, &swap);
    tspace_template_unref(old);
    drive_drain(&drive);
    return &drive.replies[call];
}

START_TEST(a_tuple_is_swapped_in_a_transaction_when_that_is_committed)
{
    for (int commit = 0; commit < 2; commit++) {
        const uint64_t tx = begin(&drive, 1, 1000);

        put(&drive, 0, tuple("si", "x", 1ll));
        swap_in(2, tx, template("si", "x", 1ll), tuple("si", "x", 2ll));
        ck_assert_uint_eq(drive.replies[2].n, 1);
        /* Again, what the transaction itself wrote; then what is not there. */
        swap_in(3, tx, template("si", "x", 2ll), tuple("si", "x", 3ll));
        ck_assert_uint_eq(drive.replies[3].n, 1);
        swap_in(4, tx, template("si", "x", 1ll), tuple("si", "x", 9ll));
        ck_assert_int_eq(drive.replies[4].status, PLEX_OK);
        ck_assert_uint_eq(drive.replies[4].n, 0);
        ck_assert_uint_eq(count(&drive, 5, template("s?", "x"))->number, 0);
        /* Nobody else swaps what it holds. */
        swap_in(6, 0, template("si", "x", 1ll), tuple("si", "x", 8ll));
        ck_assert_uint_eq(drive.replies[6].n, 0);
        end(&drive, 7, tx, commit ? TSPACE_COMMIT : TSPACE_ABORT);
        drive_restart(&drive);
        ck_assert_uint_eq(
            take(&drive, 8, template("si", "x", commit ? 3ll : 1ll), 0)->n, 1);
        ck_assert_uint_eq(count(&drive, 9, template("s?", "x"))->number, 0);
        ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 0);
    }
}
END_TEST

static struct reply *
lease_in(unsigned call, uint64_t tx, uint64_t id, bool cancel)
{
    struct tspace_lease lease = {
        .op = op(call), .id = id, .ttl_ms = 5000, .cancel = cancel};

    lease.op.tx = tx;
    drive.replies[call] = (struct reply){0};
    tspace_core_lease(drive.core, drive.now, &lease);
    drive_drain(&drive);
    return &drive.replies[call];
}

START_TEST(leases_are_renewed_and_cancelled_in_a_transaction)
{
    const uint64_t tx = begin(&drive, 1, 1000);
    const uint64_t old = put(&drive, 0, tuple("i", 1ll));
    const uint64_t own = put_in(2, tx, tuple("i", 2ll));
    const uint64_t gone = put_in(3, tx, tuple("i", 3ll));

    ck_assert_int_eq(lease_in(4, tx, own, false)->status, PLEX_OK);
    ck_assert_int_eq(lease_in(5, tx, old, false)->status, PLEX_UNSUPPORTED);
    ck_assert_int_eq(lease_in(6, 0, own, false)->status, PLEX_NOT_FOUND);
    ck_assert_int_eq(lease_in(7, tx, gone, true)->status, PLEX_OK);
    ck_assert_int_eq(lease_in(8, tx, old, true)->status, PLEX_OK);
    ck_assert_uint_eq(count(&drive, 9, template("?"))->number, 0);
    end(&drive, 10, tx, TSPACE_COMMIT);
    ck_assert_int_eq(read_one(&drive, 11, template("?"), 0)->first, 2);
    drive_restart(&drive);
    drive_pass(&drive, 5000);
    ck_assert_uint_eq(count(&drive, 12, template("?"))->number, 0);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 0);
}
END_TEST

START_TEST(a_commit_happens_exactly_once_even_across_a_restart)
{
    const uint64_t tx = begin(&drive, 1, 1000);

    put_in(2, tx, tuple("i", 1ll));
    ck_assert_int_eq(end(&drive, 3, tx, TSPACE_COMMIT)->status, PLEX_OK);
    ck_assert_int_eq(end(&drive, 4, tx, TSPACE_COMMIT)->status, PLEX_OK);
    ck_assert_int_eq(end(&drive, 5, tx, TSPACE_ABORT)->status, PLEX_CONFLICT);
    drive_restart(&drive);
    ck_assert_int_eq(end(&drive, 6, tx, TSPACE_COMMIT)->status, PLEX_OK);
    ck_assert_uint_eq(count(&drive, 7, template("?"))->number, 1);
    ck_assert_int_eq(end(&drive, 8, 999, TSPACE_COMMIT)->status,
                     PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_transaction_whose_time_runs_out_is_aborted)
{
    const uint64_t tx = begin(&drive, 1, 100);

    put(&drive, 0, tuple("i", 1ll));
    look_in(2, tx, template("?"), true, 0);
    look_in(3, tx, template("i", 9ll), true, 500);
    drive_pass(&drive, 100);
    ck_assert_int_eq(drive.replies[3].status, PLEX_CONFLICT);
    ck_assert_int_eq(end(&drive, 4, tx, TSPACE_COMMIT)->status, PLEX_CONFLICT);
    ck_assert(strstr(drive.replies[4].text, "time ran out") != NULL);
    ck_assert_uint_eq(count(&drive, 5, template("?"))->number, 1);
    ck_assert_int_eq(look_in(6, tx, template("?"), false, 0)->status,
                     PLEX_CONFLICT);
}
END_TEST

START_TEST(a_prepared_transaction_survives_a_restart_and_can_then_be_ended)
{
    for (int commit = 0; commit < 2; commit++) {
        const uint64_t tx = begin(&drive, 1, 1000);

        put(&drive, 0, tuple("si", "x", 1ll));
        look_in(2, tx, template("s?", "x"), true, 0);
        put_in(3, tx, tuple("si", "y", 2ll));
        ck_assert_int_eq(end(&drive, 4, tx, TSPACE_PREPARE)->status, PLEX_OK);
        ck_assert_int_eq(look_in(5, tx, template("??"), false, 0)->status,
                         PLEX_CONFLICT);
        drive_restart(&drive);
        drive_pass(&drive, 10000);
        ck_assert_uint_eq(count(&drive, 6, template("??"))->number, 0);
        end(&drive, 7, tx, commit ? TSPACE_COMMIT : TSPACE_ABORT);
        ck_assert_int_eq(drive.replies[7].status, PLEX_OK);
        drive_restart(&drive);
        ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TX), 0);
        ck_assert_uint_eq(
            take(&drive, 8, template("s?", commit ? "y" : "x"), 0)->n, 1);
        ck_assert_uint_eq(count(&drive, 9, template("??"))->number, 0);
    }
}
END_TEST

START_TEST(transactions_that_wait_for_each_other_are_not_left_waiting)
{
    const uint64_t one = begin(&drive, 1, 10000);
    const uint64_t two = begin(&drive, 2, 10000);

    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    look_in(3, one, template("i", 1ll), true, 0);
    look_in(4, two, template("i", 2ll), true, 0);
    look_in(5, one, template("i", 2ll), true, 5000);
    ck_assert(!drive.replies[5].done);
    look_in(6, two, template("i", 1ll), true, 5000);
    ck_assert_int_eq(drive.replies[6].status, PLEX_CONFLICT);
    ck_assert(strstr(drive.replies[6].text, "each other") != NULL);
    ck_assert(drive.replies[5].done && drive.replies[5].n == 1);
    ck_assert_int_eq(end(&drive, 7, two, TSPACE_COMMIT)->status, PLEX_CONFLICT);
    ck_assert_int_eq(end(&drive, 8, one, TSPACE_COMMIT)->status, PLEX_OK);
}
END_TEST

START_TEST(who_waits_for_a_write_from_outside_is_not_deadlocked)
{
    const uint64_t one = begin(&drive, 1, 10000);
    const uint64_t two = begin(&drive, 2, 10000);

    put(&drive, 0, tuple("i", 1ll));
    look_in(3, one, template("i", 1ll), true, 0);
    look_in(4, one, template("i", 7ll), true, 5000);
    look_in(5, two, template("i", 1ll), true, 5000);
    ck_assert(!drive.replies[4].done && !drive.replies[5].done);
    put(&drive, 0, tuple("i", 7ll));
    ck_assert(drive.replies[4].done);
}
END_TEST

START_TEST(a_transaction_is_about_several_spaces)
{
    const uint64_t tx = begin(&drive, 1, 1000);
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {.op = op(2), .tuples = &packed, .n_tuples = 1};

    write.op.where.space = "other";
    write.op.tx = tx;
    put(&drive, 0, packed);
    write_with(&drive, &write);
    look_in(3, tx, template("?"), true, 0);
    end(&drive, 4, tx, TSPACE_ABORT);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 1);
    ck_assert_uint_eq(count(&drive, 5, template("?"))->number, 1);
}
END_TEST

START_TEST(another_tenant_cannot_use_or_end_a_transaction)
{
    const uint64_t tx = begin(&drive, 1, 1000);
    struct tspace_op request = op(2);

    request.where.tenant = "other";
    request.tx = tx;
    tspace_core_end(drive.core, drive.now, &request, TSPACE_ABORT);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[2].status, PLEX_NOT_FOUND);
    ck_assert_int_eq(end(&drive, 3, tx, TSPACE_COMMIT)->status, PLEX_OK);
}
END_TEST

/* -- claims ---------------------------------------------------------------- */

static struct reply *
claim_take(unsigned call, uint64_t turn, uint64_t lease_ms)
{
    struct tspace_read read = {
        .op = op(call),
        .template = template("?"),
        .take = true,
        .claim = {{(const uint8_t *)"actor", 5}, turn, lease_ms}};

    return read_with(&drive, &read);
}

static struct reply *
claim_end(unsigned call, uint64_t turn, enum tspace_claim_verb verb,
          uint64_t lease_ms)
{
    const struct tspace_claim claim = {
        .op = op(call),
        .claim = {{(const uint8_t *)"actor", 5}, turn, lease_ms},
        .verb = verb};

    drive.replies[call].done = false;
    tspace_core_claim(drive.core, drive.now, &claim);
    drive_drain(&drive);
    return &drive.replies[call];
}

START_TEST(a_confirmed_claim_takes_for_good)
{
    put(&drive, 0, tuple("i", 1ll));
    claim_take(1, 7, 1000);
    drive_restart(&drive);
    ck_assert_uint_eq(count(&drive, 2, template("?"))->number, 0);
    ck_assert_uint_eq(claim_end(3, 7, TSPACE_CONFIRM, 0)->number, 1);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 0);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_CLAIM), 0);
    drive_restart(&drive);
    ck_assert_int_eq(claim_end(4, 7, TSPACE_CONFIRM, 0)->status, PLEX_OK);
    ck_assert_int_eq(claim_end(5, 7, TSPACE_RELEASE, 0)->status, PLEX_CONFLICT);
    ck_assert_int_eq(claim_end(6, 8, TSPACE_CONFIRM, 0)->status,
                     PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_claim_that_lapses_returns_its_tuples_to_their_places)
{
    put(&drive, 0, tuple("i", 1ll));
    put(&drive, 0, tuple("i", 2ll));
    claim_take(1, 7, 100);
    drive_pass(&drive, 99);
    ck_assert_int_eq(claim_end(2, 7, TSPACE_RENEW, 50)->status, PLEX_OK);
    drive_pass(&drive, 49);
    ck_assert_int_eq(read_one(&drive, 3, template("?"), 0)->first, 2);
    take(&drive, 4, template("i", 1ll), 100);
    drive_pass(&drive, 1);
    ck_assert(drive.replies[4].done && drive.replies[4].first == 1);
    ck_assert_int_eq(claim_end(5, 7, TSPACE_CONFIRM, 0)->status, PLEX_CONFLICT);
    drive_restart(&drive);
    ck_assert_int_eq(claim_end(6, 7, TSPACE_CONFIRM, 0)->status, PLEX_CONFLICT);
    ck_assert_uint_eq(count(&drive, 7, template("?"))->number, 1);
}
END_TEST

START_TEST(a_confirmation_after_the_lease_is_refused_even_without_a_tick)
{
    put(&drive, 0, tuple("i", 1ll));
    claim_take(1, 7, 100);
    drive.now.wall_ms += 100;
    ck_assert_int_eq(claim_end(2, 7, TSPACE_CONFIRM, 0)->status, PLEX_CONFLICT);
    ck_assert_uint_eq(take(&drive, 3, template("?"), 0)->n, 1);
}
END_TEST

START_TEST(a_waiting_taker_may_claim)
{
    struct tspace_read read = {
        .op = op(1),
        .template = template("?"),
        .take = true,
        .timeout_ms = 1000,
        .claim = {{(const uint8_t *)"actor", 5}, 3, 100}};

    read_with(&drive, &read);
    put(&drive, 0, tuple("i", 1ll));
    ck_assert(drive.replies[1].done);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 1);
    ck_assert_uint_eq(claim_end(2, 3, TSPACE_RELEASE, 0)->number, 1);
    ck_assert_uint_eq(count(&drive, 3, template("?"))->number, 1);
}
END_TEST

START_TEST(a_tuple_that_expires_while_it_is_claimed_does_not_return)
{
    const struct plex_bytes packed = tuple("i", 1ll);
    struct tspace_write write = {
        .op = op(0), .tuples = &packed, .n_tuples = 1, .ttl_ms = 50};

    write_with(&drive, &write);
    claim_take(1, 7, 100);
    drive_pass(&drive, 60);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 1);
    claim_end(2, 7, TSPACE_RELEASE, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 0);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_TUPLE), 0);
}
END_TEST

/* -- subscriptions --------------------------------------------------------- */

static uint64_t
subscribe(unsigned call, struct tspace_template *wanted, unsigned events,
          bool guaranteed, uint64_t ttl_ms)
{
    const struct tspace_subscribe request = {
        .op = op(call),
        .template = wanted,
        .events = events,
        .guaranteed = guaranteed,
        .ttl_ms = ttl_ms,
        .target = {(const uint8_t *)"me", 2}};

    tspace_core_subscribe(drive.core, drive.now, &request);
    tspace_template_unref(wanted);
    drive_drain(&drive);
    ck_assert_int_eq(drive.replies[call].status, PLEX_OK);
    return drive.replies[call].number;
}

static enum plex_status
subscription(unsigned call, uint64_t id, enum tspace_subscription_verb verb,
             uint64_t up_to)
{
    const struct tspace_subscription request = {
        .op = op(call), .id = id, .verb = verb, .up_to = up_to};

    drive.replies[call].done = false;
    tspace_core_subscription(drive.core, drive.now, &request);
    drive_drain(&drive);
    return drive.replies[call].status;
}

START_TEST(subscribers_hear_what_they_asked_for)
{
    const struct plex_bytes packed = tuple("si", "a", 5ll);
    struct tspace_write write = {
        .op = op(0), .tuples = &packed, .n_tuples = 1, .ttl_ms = 10};

    subscribe(1, template("s?", "a"), TSPACE_EVENTS_ALL, false, 0);
    subscribe(2, template(""), TSPACE_EXPIRED, false, 0);
    put(&drive, 3, tuple("si", "a", 1ll));
    put(&drive, 4, tuple("si", "b", 1ll));
    take(&drive, 5, template("??"), 0);
    take(&drive, 6, template("??"), 0);
    write_with(&drive, &write);
    drive_pass(&drive, 10);
    ck_assert_uint_eq(drive.n_heard, 5);
    ck_assert_int_eq(drive.heard[0].event, TSPACE_WRITTEN);
    ck_assert_int_eq(drive.heard[1].event, TSPACE_TAKEN);
    ck_assert_int_eq(drive.heard[2].event, TSPACE_WRITTEN);
    ck_assert_int_eq(drive.heard[3].event, TSPACE_EXPIRED);
    ck_assert_int_eq(drive.heard[4].event, TSPACE_EXPIRED);
}
END_TEST

START_TEST(transactions_are_heard_of_at_their_commit)
{
    const uint64_t tx = begin(&drive, 1, 1000);

    subscribe(2, template("?"), TSPACE_EVENTS_ALL, false, 0);
    put_in(3, tx, tuple("i", 1ll));
    ck_assert_uint_eq(drive.n_heard, 0);
    end(&drive, 4, tx, TSPACE_COMMIT);
    ck_assert_uint_eq(drive.n_heard, 1);
}
END_TEST

START_TEST(guaranteed_events_are_repeated_until_acknowledged)
{
    const uint64_t id = subscribe(1, template("?"), TSPACE_WRITTEN, true, 0);

    for (int64_t i = 0; i < 3; i++)
        put(&drive, 0, tuple("i", i));
    ck_assert_uint_eq(drive.n_heard, 3);
    ck_assert_uint_eq(drive.heard[2].number, 3);
    ck_assert_int_eq(subscription(2, id, TSPACE_ACKNOWLEDGE, 1), PLEX_OK);
    drive_pass(&drive, 5000);
    ck_assert_uint_eq(drive.n_heard, 5);
    ck_assert_uint_eq(drive.heard[3].number, 2);
    drive_restart(&drive); /* repeats what is not acknowledged */
    drive_drain(&drive);
    ck_assert_uint_eq(drive.n_heard, 7);
    ck_assert_int_eq(subscription(3, id, TSPACE_ACKNOWLEDGE, 3), PLEX_OK);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_EVENT), 0);
    drive_restart(&drive);
    drive_drain(&drive);
    ck_assert_uint_eq(drive.n_heard, 7);
    put(&drive, 0, tuple("i", 9ll));
    ck_assert_uint_eq(drive.heard[7].number, 4);
    ck_assert_int_eq(subscription(4, id, TSPACE_UNSUBSCRIBE, 0), PLEX_OK);
    ck_assert_int_eq(subscription(5, id, TSPACE_UNSUBSCRIBE, 0),
                     PLEX_NOT_FOUND);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_SUBSCRIPTION), 0);
    ck_assert_uint_eq(drive_stored(&drive, TSPACE_RECORD_EVENT), 0);
}
END_TEST

START_TEST(events_past_the_limit_are_counted_as_lost)
{
    const struct tspace_config config = {.events_max = 2};
    uint64_t id;

    drive_close(&drive);
    drive_open(&drive, &config);
    id = subscribe(1, template("?"), TSPACE_WRITTEN, true, 0);
    for (int64_t i = 0; i < 5; i++)
        put(&drive, 0, tuple("i", i));
    drive.n_heard = 0;
    subscription(2, id, TSPACE_REDELIVER, 0);
    ck_assert_uint_eq(drive.n_heard, 2);
    ck_assert_uint_eq(drive.heard[0].number, 4);
    ck_assert_uint_eq(drive.heard[0].lost + drive.heard[1].lost, 3);
}
END_TEST

START_TEST(a_subscription_ends_with_its_lease)
{
    subscribe(1, template("?"), TSPACE_WRITTEN, true, 100);
    drive_pass(&drive, 100);
    put(&drive, 0, tuple("i", 1ll));
    ck_assert_uint_eq(drive.n_heard, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).subscriptions, 0);
}
END_TEST

static void
add_claims(TCase *tcase)
{
    tcase_add_test(tcase, a_confirmed_claim_takes_for_good);
    tcase_add_test(tcase,
                   a_claim_that_lapses_returns_its_tuples_to_their_places);
    tcase_add_test(
        tcase, a_confirmation_after_the_lease_is_refused_even_without_a_tick);
    tcase_add_test(tcase, a_waiting_taker_may_claim);
    tcase_add_test(tcase,
                   a_tuple_that_expires_while_it_is_claimed_does_not_return);
}

int
main(void)
{
    Suite *suite = suite_create("tx");
    TCase *tcase = tcase_create("transactions, claims, subscriptions");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tuples_written_in_a_transaction_are_seen_inside_only);
    tcase_add_test(
        tcase, tuples_taken_in_a_transaction_return_to_their_place_on_abort);
    tcase_add_test(tcase, tuples_read_in_a_transaction_are_not_taken_by_others);
    tcase_add_test(tcase, a_commit_happens_exactly_once_even_across_a_restart);
    tcase_add_test(tcase, a_transaction_whose_time_runs_out_is_aborted);
    tcase_add_test(tcase,
                   a_tuple_is_swapped_in_a_transaction_when_that_is_committed);
    tcase_add_test(tcase, leases_are_renewed_and_cancelled_in_a_transaction);
    tcase_add_test(
        tcase, a_prepared_transaction_survives_a_restart_and_can_then_be_ended);
    tcase_add_test(tcase,
                   transactions_that_wait_for_each_other_are_not_left_waiting);
    tcase_add_test(tcase, who_waits_for_a_write_from_outside_is_not_deadlocked);
    tcase_add_test(tcase, a_transaction_is_about_several_spaces);
    tcase_add_test(tcase, another_tenant_cannot_use_or_end_a_transaction);
    add_claims(tcase);
    tcase_add_test(tcase, subscribers_hear_what_they_asked_for);
    tcase_add_test(tcase, transactions_are_heard_of_at_their_commit);
    tcase_add_test(tcase, guaranteed_events_are_repeated_until_acknowledged);
    tcase_add_test(tcase, events_past_the_limit_are_counted_as_lost);
    tcase_add_test(tcase, a_subscription_ends_with_its_lease);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
