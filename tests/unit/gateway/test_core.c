#include "services/gateway/core.h"
#include "tests/unit/gateway/table.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

static const struct reg_actor_type types[] = {
    {.name = "counter",
     .is_virtual = true,
     .durable = true,
     .pool = "default",
     .module = "counter",
     .behaviour = "counter"},
    {.name = "volatile", .is_virtual = true, .pool = "default"},
    {.name = "daemon", .pool = "default"},
};
static const struct reg_actor_type stopped_types[] = {
    {.name = "sleeper", .is_virtual = true, .pool = "default"}};
static const struct reg_app apps[] = {
    {.tenant = "default",
     .ns = "default",
     .name = "demo",
     .state = REG_APP_RUNNING,
     .types = types,
     .n_types = 3},
    {.tenant = "default",
     .ns = "default",
     .name = "night",
     .state = REG_APP_STOPPED,
     .types = stopped_types,
     .n_types = 1},
};

static struct gate_core *core;
static uint64_t now;
static struct gate_action last; /* the newest action of run() */
static unsigned n_invoke, n_abandon, n_refresh, n_respond;
static uint64_t version;

static void
table_set(int worker, uint64_t epoch)
{
    struct place_table *t = table_make(++version, worker, epoch);

    gate_core_table(core, t, now);
    place_table_unref(t);
}

static void
catalog_set(void)
{
    struct reg_catalog *c = reg_catalog_make(1, NULL, 0, apps, 2);

    gate_core_catalog(core, c);
    reg_catalog_unref(c);
}

struct fixture {
    struct plex_context context;
    struct work_message message;
    struct gate_call call;
};

static void
call_start(struct fixture *f, const char *type, uint64_t deadline_ms)
{
    *f = (struct fixture){.context = plex_context_none};
    f->context.request_id = "r";
    f->context.deadline = now + deadline_ms * MS;
    f->message.to = (struct plex_actor_id){"default", "default", type, "k"};
    f->message.kind = WORK_CALL;
    f->message.id =
        (struct plex_bytes){(const uint8_t *)"0123456789abcdef", 16};
    f->call.context = &f->context;
    f->call.message = &f->message;
    gate_core_call(core, &f->call, now);
}

/* Pops everything. */
static void
run(void)
{
    struct gate_action a;

    while (gate_core_next(core, &a)) {
        last = a;
        n_invoke += a.kind == GATE_INVOKE;
        n_abandon += a.kind == GATE_ABANDON;
        n_refresh += a.kind == GATE_REFRESH;
        n_respond += a.kind == GATE_RESPOND;
    }
}

static void
answer(struct fixture *f, enum plex_status status,
       const struct work_reply *reply)
{
    gate_core_result(core, &f->call, f->call.attempt, status,
                     status == PLEX_OK ? "" : "because", reply, now);
    run();
}

static void
pass(uint64_t ms)
{
    now += ms * MS;
    gate_core_tick(core, now);
    run();
}

static void
setup(void)
{
    const struct gate_core_config config = {.calls_max = 3};

    now = 1000 * MS;
    version = 0;
    n_invoke = n_abandon = n_refresh = n_respond = 0;
    core = gate_core_create(&config);
    catalog_set();
    table_set(0, 1);
}

static void
teardown(void)
{
    gate_core_free(core);
}

static void
expect_problem(const struct fixture *f, unsigned status, const char *code)
{
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_int_eq(last.kind, GATE_RESPOND);
    ck_assert_ptr_eq(last.call, &f->call);
    ck_assert_ptr_null(last.reply);
    ck_assert_uint_eq(f->call.problem.status, status);
    ck_assert_str_eq(f->call.problem.code, code);
    ck_assert_uint_eq(gate_core_calls(core), 0);
}

static const struct work_reply fine = {
    .http_status = 200, .content_type = "", .error = ""};

START_TEST(a_call_goes_to_the_owner_and_its_reply_comes_back)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    ck_assert_uint_eq(n_invoke, 1);
    ck_assert_str_eq(last.url, "inproc://a");
    ck_assert_uint_eq(last.attempt, 1);
    answer(&f, PLEX_OK, &fine);
    ck_assert_int_eq(last.kind, GATE_RESPOND);
    ck_assert_ptr_eq(last.reply, &fine);
    ck_assert_uint_eq(gate_core_calls(core), 0);
    ck_assert_uint_eq(gate_core_deadline(core), UINT64_MAX);
}
END_TEST

START_TEST(an_unknown_type_is_404)
{
    struct fixture f;

    call_start(&f, "nope", 1000);
    run();
    expect_problem(&f, 404, "ACTOR_TYPE_NOT_FOUND");
    ck_assert_str_eq(f.call.problem.detail,
                     "actor type \"nope\" is not deployed in default/default");
}
END_TEST

START_TEST(a_stopped_application_is_503)
{
    struct fixture f;

    call_start(&f, "sleeper", 1000);
    run();
    expect_problem(&f, 503, "APPLICATION_STOPPED");
}
END_TEST

START_TEST(a_type_that_is_not_virtual_has_no_instance)
{
    struct fixture f;

    call_start(&f, "daemon", 1000);
    run();
    expect_problem(&f, 404, "NO_LIVE_INSTANCE");
}
END_TEST

START_TEST(a_failed_handler_is_500_of_the_actor)
{
    static const struct work_reply failed = {
        .content_type = "", .failed = true, .error = "division by zero"};
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    answer(&f, PLEX_OK, &failed);
    ck_assert_ptr_eq(last.reply, &failed);
    ck_assert_uint_eq(f.call.problem.status, 500);
    ck_assert_str_eq(f.call.problem.source, "actor");
    ck_assert_str_eq(f.call.problem.detail, "division by zero");
}
END_TEST

START_TEST(without_an_owner_a_call_waits_for_one)
{
    struct fixture f;

    table_set(-1, 1);
    call_start(&f, "counter", 1000);
    run();
    ck_assert_uint_eq(n_invoke + n_respond, 0);
    ck_assert_uint_eq(gate_core_deadline(core), now + 1000 * MS);
    pass(500);
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_invoke, 1);
    ck_assert_str_eq(last.url, "inproc://b");
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(without_an_owner_until_the_deadline_it_is_503)
{
    struct fixture f;

    table_set(-1, 1);
    call_start(&f, "counter", 1000);
    pass(999);
    ck_assert_uint_eq(n_respond, 0);
    pass(1);
    expect_problem(&f, 503, "NO_OWNER");
    ck_assert_uint_eq(f.call.problem.retry_after_s, 1);
    ck_assert(!f.call.problem.outcome_unknown);
}
END_TEST

START_TEST(a_call_before_the_first_table_waits)
{
    const struct gate_core_config config = {.calls_max = 3};
    struct fixture f;

    gate_core_free(core);
    core = gate_core_create(&config);
    call_start(&f, "counter", 1000);
    run();
    expect_problem(&f, 503, "STARTING");
    catalog_set();
    call_start(&f, "counter", 1000);
    run();
    ck_assert_uint_eq(n_respond, 1);
    table_set(0, 1);
    run();
    ck_assert_uint_eq(n_invoke, 1);
    answer(&f, PLEX_OK, &fine);
}
END_TEST

START_TEST(not_owner_asks_for_the_table_and_tries_again)
{
    static const struct work_reply newer = {
        .content_type = "", .error = "", .table_version = 7};
    struct fixture f;

    call_start(&f, "volatile", 1000);
    run();
    answer(&f, PLEX_NOT_OWNER, &newer);
    ck_assert_uint_eq(n_refresh, 1);
    ck_assert_uint_eq(n_invoke, 1);
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_invoke, 2);
    ck_assert_str_eq(last.url, "inproc://b");
    ck_assert_uint_eq(last.attempt, 2);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(unavailable_is_tried_again_with_growing_pauses)
{
    struct fixture f;
    uint64_t before = 0;

    call_start(&f, "volatile", 60000);
    run();
    for (unsigned i = 1; i < 10; i++) {
        uint64_t pause;

        answer(&f, PLEX_UNAVAILABLE, NULL);
        ck_assert_uint_eq(n_invoke, i);
        pause = gate_core_deadline(core) - now;
        ck_assert_uint_ge(pause, before);
        ck_assert_uint_le(pause, GATE_BACKOFF_MAX_MS * MS);
        before = pause;
        pass(pause / MS);
        ck_assert_uint_eq(n_invoke, i + 1);
    }
    ck_assert_uint_eq(before, GATE_BACKOFF_MAX_MS * MS);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(gate_core_stats(core)->retries, 9);
}
END_TEST

START_TEST(unavailable_until_the_deadline_says_why)
{
    struct fixture f;

    call_start(&f, "counter", 3);
    run();
    answer(&f, PLEX_UNAVAILABLE, NULL);
    pass(2);
    answer(&f, PLEX_UNAVAILABLE, NULL);
    pass(1);
    expect_problem(&f, 503, "UNAVAILABLE");
    ck_assert_str_eq(f.call.problem.detail,
                     "because; the call was not carried out");
}
END_TEST

START_TEST(a_durable_call_of_a_lost_worker_is_sent_again)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    answer(&f, PLEX_UNKNOWN, NULL);
    ck_assert_uint_eq(n_respond, 0);
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_invoke, 2);
    ck_assert_str_eq(last.url, "inproc://b");
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_durable_call_that_stays_unconfirmed_is_504_unknown)
{
    struct fixture f;

    call_start(&f, "counter", 500);
    run();
    answer(&f, PLEX_UNKNOWN, NULL);
    table_set(-1, 1);
    pass(100);
    ck_assert_uint_eq(n_respond, 0);
    pass(400);
    expect_problem(&f, 504, "DEADLINE_EXCEEDED");
    ck_assert(f.call.problem.outcome_unknown);
}
END_TEST

START_TEST(a_volatile_call_of_a_lost_worker_is_never_sent_again)
{
    struct fixture f;

    call_start(&f, "volatile", 1000);
    run();
    answer(&f, PLEX_UNKNOWN, NULL);
    expect_problem(&f, 503, "OUTCOME_UNKNOWN");
    ck_assert(f.call.problem.outcome_unknown);
    table_set(1, 2);
    pass(900);
    ck_assert_uint_eq(n_invoke, 1);
}
END_TEST

START_TEST(a_durable_call_in_flight_follows_its_shard)
{
    struct fixture f;
    uint32_t first;

    call_start(&f, "counter", 10000);
    run();
    first = f.call.attempt;
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_abandon, 1);
    ck_assert_uint_eq(n_invoke, 2);
    ck_assert_str_eq(last.url, "inproc://b");
    gate_core_result(core, &f.call, first, PLEX_OK, "", &fine, now);
    run();
    ck_assert_uint_eq(n_respond, 0);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_uint_eq(gate_core_stats(core)->moved, 1);
}
END_TEST

START_TEST(a_call_in_flight_stays_while_its_shard_is_on_the_move)
{
    struct fixture f;

    call_start(&f, "counter", 10000);
    run();
    table_set(-2, 1);
    run();
    ck_assert_uint_eq(n_abandon, 0);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_durable_call_in_flight_waits_when_its_worker_is_gone)
{
    struct fixture f;

    call_start(&f, "counter", 10000);
    run();
    table_set(-1, 1);
    run();
    ck_assert_uint_eq(n_abandon, 1);
    ck_assert_uint_eq(n_invoke, 1);
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_invoke, 2);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_volatile_call_in_flight_gets_some_grace_when_its_shard_moves)
{
    struct fixture f, g;

    call_start(&f, "volatile", 10000);
    run();
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_abandon, 0);
    pass(GATE_GRACE_MS - 1);
    ck_assert_uint_eq(n_respond, 0);
    pass(1);
    ck_assert_uint_eq(n_abandon, 1);
    expect_problem(&f, 503, "OUTCOME_UNKNOWN");
    n_respond = 0;
    call_start(&g, "volatile", 10000);
    run();
    table_set(0, 3);
    pass(10);
    answer(&g, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
    pass(GATE_GRACE_MS);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_timeout_is_504_with_unknown_outcome)
{
    struct fixture f;

    call_start(&f, "counter", 100);
    run();
    now += 100 * MS;
    answer(&f, PLEX_TIMEOUT, NULL);
    expect_problem(&f, 504, "DEADLINE_EXCEEDED");
    ck_assert(f.call.problem.outcome_unknown);
}
END_TEST

START_TEST(a_passed_deadline_is_refused_before_routing)
{
    struct fixture f;

    call_start(&f, "counter", 0);
    run();
    expect_problem(&f, 504, "DEADLINE_EXCEEDED");
    ck_assert(!f.call.problem.outcome_unknown);
    ck_assert_uint_eq(n_invoke, 0);
}
END_TEST

START_TEST(a_full_mailbox_is_429)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    answer(&f, PLEX_LIMIT, NULL);
    expect_problem(&f, 429, "LIMIT");
    ck_assert_uint_eq(f.call.problem.retry_after_s, 1);
}
END_TEST

START_TEST(a_full_mailbox_after_a_lost_attempt_is_waited_for)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    answer(&f, PLEX_UNKNOWN, NULL);
    pass(2);
    answer(&f, PLEX_LIMIT, NULL);
    ck_assert_uint_eq(n_respond, 0);
    pass(4);
    answer(&f, PLEX_OK, &fine);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_key_in_flight_is_409_and_a_reused_one_422)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    f.message.keyed = true;
    run();
    answer(&f, PLEX_IN_FLIGHT, NULL);
    expect_problem(&f, 409, "IDEMPOTENCY_KEY_IN_FLIGHT");
    n_respond = 0;
    call_start(&f, "counter", 1000);
    f.message.keyed = true;
    run();
    answer(&f, PLEX_MISMATCH, NULL);
    expect_problem(&f, 422, "IDEMPOTENCY_KEY_REUSED");
}
END_TEST

START_TEST(a_worker_that_never_learns_the_type_is_503)
{
    struct fixture f;

    call_start(&f, "counter", 60000);
    run();
    for (int i = 0; i < 200 && n_respond == 0; i++) {
        answer(&f, PLEX_NOT_FOUND, NULL);
        if (n_respond == 0)
            pass((gate_core_deadline(core) - now) / MS);
    }
    expect_problem(&f, 503, "ACTOR_TYPE_UNAVAILABLE");
    ck_assert_str_eq(f.call.problem.detail, "because");
    ck_assert_uint_ge(now, (1000 + GATE_TYPE_LAG_MS) * MS);
}
END_TEST

START_TEST(a_type_undeployed_meanwhile_is_404)
{
    struct reg_catalog *none = reg_catalog_make(2, NULL, 0, NULL, 0);
    struct fixture f;

    call_start(&f, "counter", 60000);
    run();
    gate_core_catalog(core, none);
    reg_catalog_unref(none);
    answer(&f, PLEX_NOT_FOUND, NULL);
    expect_problem(&f, 404, "ACTOR_TYPE_NOT_FOUND");
}
END_TEST

START_TEST(calls_beyond_the_limit_are_503)
{
    struct fixture f[4];

    for (int i = 0; i < 4; i++)
        call_start(&f[i], "counter", 1000);
    run();
    ck_assert_uint_eq(n_invoke, 3);
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_str_eq(f[3].call.problem.code, "OVERLOADED");
    for (int i = 0; i < 3; i++)
        answer(&f[i], PLEX_OK, &fine);
    ck_assert_uint_eq(gate_core_calls(core), 0);
}
END_TEST

START_TEST(an_attempt_nobody_saw_moves_without_being_abandoned)
{
    struct fixture f;

    call_start(&f, "volatile", 1000);
    table_set(1, 2);
    run();
    ck_assert_uint_eq(n_invoke, 1);
    ck_assert_uint_eq(n_abandon, 0);
    ck_assert_str_eq(last.url, "inproc://b");
    ck_assert_uint_eq(last.attempt, 1);
    ck_assert(!f.call.maybe_done);
    answer(&f, PLEX_OK, &fine);
}
END_TEST

START_TEST(an_old_table_is_ignored)
{
    struct fixture f;

    table_set(1, 2);
    version = 0;
    table_set(0, 1);
    call_start(&f, "counter", 1000);
    run();
    ck_assert_str_eq(last.url, "inproc://b");
    answer(&f, PLEX_OK, &fine);
}
END_TEST

START_TEST(waiting_calls_leave_in_the_order_they_came)
{
    struct fixture f[3];
    struct gate_action a;

    table_set(-1, 1);
    for (int i = 0; i < 3; i++)
        call_start(&f[i], "counter", 1000 - (uint64_t)i);
    table_set(0, 2);
    for (int i = 0; i < 3; i++) {
        ck_assert(gate_core_next(core, &a));
        ck_assert_ptr_eq(a.call, &f[i].call);
    }
    for (int i = 0; i < 3; i++)
        answer(&f[i], PLEX_OK, &fine);
}
END_TEST

START_TEST(a_closing_link_is_503_and_not_tried_again)
{
    struct fixture f;

    call_start(&f, "counter", 1000);
    run();
    answer(&f, PLEX_CANCELLED, NULL);
    expect_problem(&f, 503, "OUTCOME_UNKNOWN");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.core");
    TCase *tc = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_call_goes_to_the_owner_and_its_reply_comes_back);
    tcase_add_test(tc, an_unknown_type_is_404);
    tcase_add_test(tc, a_stopped_application_is_503);
    tcase_add_test(tc, a_type_that_is_not_virtual_has_no_instance);
    tcase_add_test(tc, a_failed_handler_is_500_of_the_actor);
    tcase_add_test(tc, without_an_owner_a_call_waits_for_one);
    tcase_add_test(tc, without_an_owner_until_the_deadline_it_is_503);
    tcase_add_test(tc, a_call_before_the_first_table_waits);
    tcase_add_test(tc, not_owner_asks_for_the_table_and_tries_again);
    tcase_add_test(tc, unavailable_is_tried_again_with_growing_pauses);
    tcase_add_test(tc, unavailable_until_the_deadline_says_why);
    tcase_add_test(tc, a_durable_call_of_a_lost_worker_is_sent_again);
    tcase_add_test(tc, a_durable_call_that_stays_unconfirmed_is_504_unknown);
    tcase_add_test(tc, a_volatile_call_of_a_lost_worker_is_never_sent_again);
    tcase_add_test(tc, a_durable_call_in_flight_follows_its_shard);
    tcase_add_test(tc, a_call_in_flight_stays_while_its_shard_is_on_the_move);
    tcase_add_test(tc, a_durable_call_in_flight_waits_when_its_worker_is_gone);
    tcase_add_test(
        tc, a_volatile_call_in_flight_gets_some_grace_when_its_shard_moves);
    tcase_add_test(tc, a_timeout_is_504_with_unknown_outcome);
    tcase_add_test(tc, a_passed_deadline_is_refused_before_routing);
    tcase_add_test(tc, a_full_mailbox_is_429);
    tcase_add_test(tc, a_full_mailbox_after_a_lost_attempt_is_waited_for);
    tcase_add_test(tc, a_key_in_flight_is_409_and_a_reused_one_422);
    tcase_add_test(tc, a_worker_that_never_learns_the_type_is_503);
    tcase_add_test(tc, a_type_undeployed_meanwhile_is_404);
    tcase_add_test(tc, calls_beyond_the_limit_are_503);
    tcase_add_test(tc, an_attempt_nobody_saw_moves_without_being_abandoned);
    tcase_add_test(tc, an_old_table_is_ignored);
    tcase_add_test(tc, waiting_calls_leave_in_the_order_they_came);
    tcase_add_test(tc, a_closing_link_is_503_and_not_tried_again);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
