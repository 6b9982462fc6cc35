/* Event-sourced actors over a real store: what is written, how states come
 * back, and what happens when they do not. */
#include "tests/contract/worker/sourced.h"

#include "services/worker/record.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- a cart: "add N", "two", "fail", "get", "put", "say", "late" -------------
 */

struct cart {
    int64_t sum;
    int64_t events;
    uint64_t newest_ms;
};

static int
cart_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    struct cart cart = {0};
    int64_t n;

    (void)plex_state_get(ctx, &cart, sizeof cart);
    if (strcmp(event->type, "added") == 0 && plex_json_int(ctx, "n", &n) == 1) {
        cart.sum += n;
    } else if (strcmp(event->type, "told") == 0) {
        plex_cast(ctx, "cart", "other", "x", 1);
    } else {
        return plex_fail(ctx, "what event is that?");
    }
    ck_assert_uint_eq(event->at_ms, plex_turn_ms(ctx));
    cart.newest_ms = event->at_ms;
    cart.events++;
    plex_state_put(ctx, &cart, sizeof cart);
    return 0;
}

static int
cart_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct cart cart = {0};
    char text[64];
    int n;

    (void)snprintf(text, sizeof text, "%.*s", (int)msg->len,
                   (const char *)msg->payload);
    if (sscanf(text, "add %d", &n) == 1 &&
        plex_persist_json(ctx, "added", "{\"n\":%d}", n) != 0)
        return -1;
    if (strcmp(text, "two") == 0 &&
        (plex_persist_json(ctx, "added", "{\"n\":1}") != 0 ||
         plex_persist_json(ctx, "added", "{\"n\":1}") != 0))
        return -1;
    if (strcmp(text, "odd") == 0 && plex_persist(ctx, "odd", NULL, 0) != 0)
        return -1;
    if (strcmp(text, "tell") == 0 && plex_persist(ctx, "told", NULL, 0) != 0)
        return -1;
    if (strcmp(text, "bytes") == 0 && plex_persist(ctx, "\xff", NULL, 0) != 0)
        return -1;
    if (strcmp(text, "put") == 0)
        plex_state_put(ctx, &cart, sizeof cart);
    if (strcmp(text, "fail") == 0) {
        (void)plex_persist_json(ctx, "added", "{\"n\":1000}");
        return plex_fail(ctx, "asked to");
    }
    (void)plex_state_get(ctx, &cart, sizeof cart);
    plex_reply_json(ctx, "%lld of %lld", (long long)cart.sum,
                    (long long)cart.events);
    return 0;
}

static const struct plex_behaviour cart = {.name = "cart",
                                           .schema_version = 2,
                                           .handle_call = cart_call,
                                           .apply = cart_apply};

static struct sourced s;

static void
open_cart(void)
{
    if (!sourced_open(&s, &cart))
        exit(0);
}

static void
close_cart(void)
{
    sourced_close(&s);
}

static void
ck_call(const char *payload, const char *reply)
{
    const struct sourced_answer *answer = sourced_call(&s, "c", payload, NULL);

    ck_assert_msg(answer->given && answer->status == PLEX_OK, "%s: %s", payload,
                  answer->text);
    ck_assert_msg(!answer->failed, "%s: %s", payload, answer->text);
    ck_assert_str_eq(answer->payload, reply);
}

static void
ck_fails(const char *payload, const char *text)
{
    const struct sourced_answer *answer = sourced_call(&s, "c", payload, NULL);

    ck_assert(answer->given && (answer->failed || answer->status != PLEX_OK));
    ck_assert_msg(strstr(answer->text, text) != NULL, "%s", answer->text);
}

START_TEST(events_make_the_state_and_are_what_is_written)
{
    struct journal_past past;
    struct work_record record;
    struct plex_err err;

    ck_call("add 3", "3 of 1");
    ck_call("add 4", "7 of 2");
    ck_call("two", "9 of 4");
    ck_call("get", "9 of 4");
    past = sourced_history(&s, "c", 1);
    ck_assert_uint_eq(past.n, 4);
    for (size_t i = 0; i < 3; i++)
        ck_assert(past.turns[i].rebuilds && !past.turns[i].has_state);
    ck_assert(!past.turns[3].rebuilds && !past.turns[3].has_state);
    ck_assert_int_eq(
        work_record_unpack(past.turns[2].record, &s.arena, &record, &err),
        PLEX_OK);
    ck_assert_uint_eq(record.n_events, 2);
    ck_assert_str_eq(record.events[1].type, "added");
    ck_assert_mem_eq(record.events[1].data.data, "{\"n\":1}", 7);
    ck_assert_uint_eq(past.turns[2].schema_version, 2);
}
END_TEST

START_TEST(a_state_comes_back_from_its_events)
{
    ck_call("add 3", "3 of 1");
    ck_call("add 4", "7 of 2");
    ck_call("get", "7 of 2");
    sourced_restart(&s, &cart);
    ck_call("get", "7 of 2");
    ck_assert_uint_eq(s.n_restores, 1);
    ck_assert_uint_eq(s.n_records, 2);
    ck_call("add 1", "8 of 3");
    sourced_reopen(&s);
    sourced_restart(&s, &cart);
    ck_call("get", "8 of 3");
}
END_TEST

START_TEST(a_snapshot_spares_the_events_before_it)
{
    char reply[32];

    for (int i = 1; i <= 25; i++) {
        (void)snprintf(reply, sizeof reply, "%d of %d", i, i);
        ck_call("add 1", reply);
    }
    ck_assert_uint_eq(s.n_snapshots, 2);
    sourced_restart(&s, &cart);
    ck_call("add 1", "26 of 26");
    ck_assert_uint_eq(s.n_records, 5);
    /* Records that were loaded count: the next snapshot is not put off. */
    for (int i = 27; i <= 30; i++) {
        (void)snprintf(reply, sizeof reply, "%d of %d", i, i);
        ck_call("add 1", reply);
    }
    ck_assert_uint_eq(s.n_snapshots, 3);
}
END_TEST

START_TEST(snapshots_come_by_bytes_and_by_time)
{
    struct plex_behaviour by_bytes = cart, by_time = cart;

    s.type.snapshot_every = 1000000;
    by_bytes.snapshot_bytes = 100;
    sourced_restart(&s, &by_bytes);
    for (int i = 0; i < 20; i++)
        (void)sourced_call(&s, "c", "add 1", NULL);
    ck_assert_uint_ge(s.n_snapshots, 3);
    ck_assert_uint_le(s.n_snapshots, 10);
    s.n_snapshots = 0;
    by_time.snapshot_ms = 10; /* each call takes one */
    sourced_restart(&s, &by_time);
    for (int i = 0; i < 22; i++)
        (void)sourced_call(&s, "d", "add 1", NULL);
    ck_assert_uint_eq(s.n_snapshots, 2);
}
END_TEST

START_TEST(a_failed_turn_leaves_no_event)
{
    ck_call("add 3", "3 of 1");
    ck_fails("fail", "asked to");
    ck_call("get", "3 of 1");
    sourced_restart(&s, &cart);
    ck_call("get", "3 of 1");
}
END_TEST

START_TEST(what_apply_may_not_do_fails_the_turn)
{
    ck_fails("odd", "what event is that?");
    ck_fails("tell", "apply() may only look at the event");
    ck_fails("put", "changes its state by events");
    ck_fails("bytes", "1 to 255 bytes of UTF-8");
    ck_call("get", "0 of 0");
    ck_assert_uint_eq(sourced_history(&s, "c", 1).turns[0].record.len > 0 &&
                          sourced_history(&s, "c", 1).turns[0].rebuilds,
                      0);
}
END_TEST

START_TEST(repeated_messages_persist_once)
{
    ck_assert_str_eq(sourced_call(&s, "c", "add 3", "same")->payload, "3 of 1");
    ck_assert(sourced_call(&s, "c", "add 3", "same")->replayed);
    sourced_restart(&s, &cart);
    ck_assert(sourced_call(&s, "c", "add 3", "same")->replayed);
    ck_call("get", "3 of 1");
}
END_TEST

/* At every write, before it and after it. */
START_TEST(a_worker_may_die_at_any_write)
{
    char key[16], id[16];

    for (int written = 0; written < 2; written++)
        for (size_t at = 1; at <= 14; at++) {
            (void)snprintf(key, sizeof key, "k%d-%zu", written, at);
            s.crash_at = at;
            s.crash_written = written == 1;
            for (int i = 1; i <= 13; i++) {
                const struct sourced_answer *answer;

                (void)snprintf(id, sizeof id, "i%d", i);
                answer = sourced_call(&s, key, "add 1", id);
                if (!answer->given) /* the caller asks again */
                    answer = sourced_call(&s, key, "add 1", id);
                ck_assert(answer->given && answer->status == PLEX_OK);
                (void)snprintf(id, sizeof id, "%d of %d", i, i);
                ck_assert_str_eq(answer->payload, id);
            }
            s.crash_at = 0;
        }
}
END_TEST

START_TEST(more_records_than_a_page_are_gone_through_in_order)
{
    enum { TURNS = 2300 };
    char reply[32];

    s.type.snapshot_every = 1000000;
    sourced_restart(&s, &cart);
    for (int i = 1; i <= TURNS; i++)
        (void)sourced_call(&s, "c", "add 1", NULL);
    sourced_restart(&s, &cart);
    s.n_restores = s.n_loads = 0;
    (void)snprintf(reply, sizeof reply, "%d of %d", TURNS, TURNS);
    ck_call("get", reply);
    ck_assert_uint_eq(s.n_records, TURNS);
    ck_assert_uint_eq(s.n_restores, 3);
    ck_assert_uint_eq(s.n_loads, 3);
}
END_TEST

/* -- other versions of the code ----------------------------------------------
 */

static int
picky_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    (void)event;
    return plex_fail(ctx, "I take none of these");
}

START_TEST(code_that_refuses_an_event_is_told_of_and_loses_nothing)
{
    struct plex_behaviour picky = cart;

    picky.apply = picky_apply;
    ck_call("add 3", "3 of 1");
    sourced_restart(&s, &picky);
    ck_fails("get", "could not be rebuilt at turn 1: I take none of these");
    ck_fails("add 1", "I take none of these");
    sourced_restart(&s, &cart);
    ck_call("get", "3 of 1");
}
END_TEST

START_TEST(events_of_newer_code_are_refused)
{
    struct plex_behaviour older = cart;

    older.schema_version = 1;
    ck_call("add 3", "3 of 1");
    sourced_restart(&s, &older);
    ck_fails("get", "newer schema version");
    sourced_restart(&s, &cart);
    ck_call("get", "3 of 1");
}
END_TEST

/* Since version 3 the sum is in hundredths; older events mean whole ones. */
static int
cents_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    struct cart now = {0};
    int64_t n = 0;

    (void)plex_state_get(ctx, &now, sizeof now);
    ck_assert_int_eq(plex_json_int(ctx, "n", &n), 1);
    now.sum += event->schema_version < 3 ? n * 100 : n;
    now.events++;
    plex_state_put(ctx, &now, sizeof now);
    return 0;
}

static int
cents_migrate(struct plex_ctx *ctx, uint32_t from)
{
    struct cart now;

    ck_assert_uint_eq(from, 2);
    if (!plex_state_get(ctx, &now, sizeof now))
        return plex_fail(ctx, "that is no cart");
    now.sum *= 100;
    plex_state_put(ctx, &now, sizeof now);
    return 0;
}

static const struct plex_behaviour cents = {.name = "cart",
                                            .schema_version = 3,
                                            .handle_call = cart_call,
                                            .migrate = cents_migrate,
                                            .apply = cents_apply};

START_TEST(snapshots_are_migrated_and_older_events_known)
{
    char reply[32];

    for (int i = 1; i <= 12; i++) { /* a snapshot after 10 */
        (void)snprintf(reply, sizeof reply, "%d of %d", i, i);
        ck_call("add 1", reply);
    }
    sourced_restart(&s, &cents);
    ck_call("get", "1200 of 12");
    ck_call("add 5", "1205 of 13");
    sourced_restart(&s, &cents);
    ck_call("get", "1205 of 13");
    for (int i = 14; i <= 22; i++) { /* and a snapshot of the new schema */
        (void)snprintf(reply, sizeof reply, "%d of %d", 1205 + (i - 13) * 5, i);
        ck_call("add 5", reply);
    }
    ck_assert_uint_ge(s.n_snapshots, 2);
    sourced_restart(&s, &cents);
    ck_call("get", "1250 of 22");
}
END_TEST

/* -- state actors migrate, too -----------------------------------------------
 */

static int
plain_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t n = 0;

    (void)plex_state_get(ctx, &n, sizeof n);
    if (msg->len > 0 && *(const char *)msg->payload == '+') {
        n++;
        plex_state_put(ctx, &n, sizeof n);
    }
    plex_reply_json(ctx, "%lld", (long long)n);
    return 0;
}

static int
plain_migrate(struct plex_ctx *ctx, uint32_t from)
{
    int64_t n;

    if (!plex_state_get(ctx, &n, sizeof n) || n == 13)
        return plex_fail(ctx, "13 brings bad luck");
    n = n * 1000 + from;
    plex_state_put(ctx, &n, sizeof n);
    return 0;
}

START_TEST(states_of_an_older_schema_are_migrated_before_the_first_turn)
{
    struct plex_behaviour old = {.name = "cart",
                                 .schema_version = 4,
                                 .handle_call = plain_call},
                          new = old;

    new.schema_version = 6;
    new.migrate = plain_migrate;
    sourced_restart(&s, &old);
    ck_call("+", "1");
    ck_call("+", "2");
    sourced_restart(&s, &new);
    ck_call("?", "2004");
    sourced_restart(&s, &new); /* nothing was written by looking */
    ck_call("+", "2005");
    sourced_restart(&s, &new);
    ck_call("?", "2005");
    sourced_restart(&s, &old);
    ck_fails("?", "newer schema version");
}
END_TEST

START_TEST(a_state_that_does_not_migrate_stays_as_it_is)
{
    struct plex_behaviour old = {.name = "cart",
                                 .schema_version = 4,
                                 .handle_call = plain_call},
                          new = old;
    char reply[8];

    new.schema_version = 6;
    new.migrate = plain_migrate;
    sourced_restart(&s, &old);
    for (int i = 1; i <= 13; i++) {
        (void)snprintf(reply, sizeof reply, "%d", i);
        ck_call("+", reply);
    }
    sourced_restart(&s, &new);
    ck_fails("?", "could not be migrated: 13 brings bad luck");
    sourced_restart(&s, &old);
    ck_call("?", "13");
}
END_TEST

/* -- damage -------------------------------------------------------------------
 */

START_TEST(a_corrupt_snapshot_is_skipped_for_the_events_before_it)
{
    char reply[32];

    if (sourced_is("mem"))
        return; /* nothing there to damage */
    for (int i = 1; i <= 25; i++) {
        (void)snprintf(reply, sizeof reply, "%d of %d", i, i);
        ck_call("add 1", reply);
    }
    sourced_sql(&s, "UPDATE journal_snapshot SET state = 'x' WHERE seq = 20");
    sourced_reopen(&s);
    sourced_restart(&s, &cart);
    ck_call("get", "25 of 25");
    ck_assert_uint_eq(s.n_records, 15);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        events_make_the_state_and_are_what_is_written,
        a_state_comes_back_from_its_events,
        a_snapshot_spares_the_events_before_it,
        snapshots_come_by_bytes_and_by_time,
        a_failed_turn_leaves_no_event,
        what_apply_may_not_do_fails_the_turn,
        repeated_messages_persist_once,
        a_worker_may_die_at_any_write,
        more_records_than_a_page_are_gone_through_in_order,
        code_that_refuses_an_event_is_told_of_and_loses_nothing,
        events_of_newer_code_are_refused,
        snapshots_are_migrated_and_older_events_known,
        states_of_an_older_schema_are_migrated_before_the_first_turn,
        a_state_that_does_not_migrate_stays_as_it_is,
        a_corrupt_snapshot_is_skipped_for_the_events_before_it,
    };
    Suite *suite = suite_create("event-sourced actors");
    TCase *t = tcase_create("sourced");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, open_cart, close_cart);
    tcase_set_timeout(t, 60);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
