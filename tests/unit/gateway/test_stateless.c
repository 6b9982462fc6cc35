/* Calls to stateless types: to whom, and what becomes of them. */
#include "services/gateway/core.h"
#include "tests/unit/gateway/table.h"

#include <check.h>
#include <string.h>

#define MS UINT64_C(1000000)

static struct gate_core *core;
static uint64_t now;
static uint64_t version;
static enum plex_spread route;
static enum reg_node_status statuses[2];
static char went[64]; /* "ab": to whom, in order */
static unsigned n_respond, n_abandon;

static void
catalog_set(void)
{
    const struct reg_actor_type type = {.name = "resize",
                                        .is_virtual = true,
                                        .pool = "default",
                                        .stateless = true,
                                        .route = route};
    const struct reg_app app = {.tenant = "default",
                                .ns = "default",
                                .name = "demo",
                                .state = REG_APP_RUNNING,
                                .types = &type,
                                .n_types = 1};
    const struct reg_node nodes[] = {
        {.node_id = "worker-a",
         .kind = "worker",
         .status = statuses[0],
         .incarnation = 11},
        {.node_id = "worker-b",
         .kind = "worker",
         .status = statuses[1],
         .incarnation = 12},
    };
    struct reg_catalog *catalog = reg_catalog_make(1, nodes, 2, &app, 1);

    gate_core_catalog(core, catalog);
    reg_catalog_unref(catalog);
}

/* `gone`: worker b is not there any more. */
static void
table_set(bool draining, bool gone)
{
    struct place_table *table = table_make(++version, -1, 1);

    table->workers[0].incarnation = 11;
    table->workers[1].incarnation = gone ? 13 : 12;
    table->workers[1].draining = draining;
    gate_core_table(core, table, now);
    place_table_unref(table);
}

static void
run(void)
{
    struct gate_action a;

    while (gate_core_next(core, &a)) {
        const size_t n = strlen(went);

        if (a.kind == GATE_INVOKE) {
            went[n] = a.url[strlen(a.url) - 1];
            went[n + 1] = '\0';
        }
        n_respond += a.kind == GATE_RESPOND;
        n_abandon += a.kind == GATE_ABANDON;
    }
}

struct fixture {
    struct plex_context context;
    struct work_message message;
    struct gate_call call;
    uint8_t id[16];
};

static void
call_start(struct fixture *f)
{
    static uint8_t ids;

    memset(f, 0, sizeof *f);
    f->context = plex_context_none;
    f->context.deadline = now + 5000 * MS;
    f->message.to = (struct plex_actor_id){"default", "default", "resize", ""};
    f->message.kind = WORK_CALL;
    f->id[0] = ++ids;
    f->message.id = (struct plex_bytes){f->id, sizeof f->id};
    f->call.context = &f->context;
    f->call.message = &f->message;
    gate_core_call(core, &f->call, now);
    run();
}

static void
answer(struct fixture *f, enum plex_status status)
{
    static const struct work_reply done = {
        .http_status = 200, .content_type = "", .error = ""};

    gate_core_result(core, &f->call, f->call.attempt, status,
                     status == PLEX_OK ? "" : "because",
                     status == PLEX_OK ? &done : NULL, now);
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
start(enum plex_spread how)
{
    route = how;
    catalog_set();
    table_set(false, false);
}

static void
setup(void)
{
    const struct gate_core_config config = {.calls_max = 100};

    now = 1000 * MS;
    version = 0;
    went[0] = '\0';
    n_respond = n_abandon = 0;
    statuses[0] = statuses[1] = REG_NODE_READY;
    core = gate_core_create(&config);
}

static void
teardown(void)
{
    gate_core_free(core);
}

START_TEST(calls_go_to_each_in_turn_whoever_owns_the_shards)
{
    struct fixture f[4];

    start(PLEX_SPREAD_ROUND_ROBIN);
    for (int i = 0; i < 4; i++)
        call_start(&f[i]);
    ck_assert_str_eq(went, "abab");
}
END_TEST

START_TEST(calls_go_to_whom_we_have_given_least)
{
    struct fixture f[6];

    start(PLEX_SPREAD_LEAST_LOADED);
    for (int i = 0; i < 4; i++)
        call_start(&f[i]);
    ck_assert_str_eq(went, "abab");
    answer(&f[1], PLEX_OK); /* b has one, a has two */
    answer(&f[3], PLEX_OK); /* b has none */
    call_start(&f[4]);
    call_start(&f[5]);
    ck_assert_str_eq(went, "ababbb");
}
END_TEST

START_TEST(at_random_both_get_some)
{
    struct fixture f[60];

    start(PLEX_SPREAD_RANDOM);
    for (int i = 0; i < 60; i++)
        call_start(&f[i]);
    ck_assert_ptr_nonnull(strchr(went, 'a'));
    ck_assert_ptr_nonnull(strchr(went, 'b'));
}
END_TEST

START_TEST(who_refuses_is_not_asked_again_at_once)
{
    struct fixture f;

    start(PLEX_SPREAD_LEAST_LOADED);
    call_start(&f);
    answer(&f, PLEX_UNAVAILABLE);
    pass(10);
    ck_assert_str_eq(went, "ab");
    answer(&f, PLEX_OK);
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_lost_call_is_not_sent_twice)
{
    struct fixture f, next;

    start(PLEX_SPREAD_ROUND_ROBIN);
    call_start(&f);
    answer(&f, PLEX_UNKNOWN);
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_str_eq(f.call.problem.code, "OUTCOME_UNKNOWN");
    statuses[0] = REG_NODE_LOST;
    catalog_set();
    call_start(&next);
    ck_assert_str_eq(went, "ab");
}
END_TEST

START_TEST(workers_that_drain_or_are_not_ready_get_none)
{
    struct fixture f[3];

    start(PLEX_SPREAD_ROUND_ROBIN);
    table_set(true, false);
    call_start(&f[0]);
    call_start(&f[1]);
    ck_assert_str_eq(went, "aa");
    statuses[0] = REG_NODE_DRAINING;
    catalog_set();
    call_start(&f[2]); /* nobody: it waits */
    ck_assert_str_eq(went, "aa");
    table_set(false, false);
    run();
    ck_assert_str_eq(went, "aab");
    answer(&f[0], PLEX_OK); /* what it had it ends */
    ck_assert_uint_eq(n_respond, 1);
}
END_TEST

START_TEST(a_call_that_nobody_takes_ends_with_its_deadline)
{
    struct fixture f;

    statuses[0] = statuses[1] = REG_NODE_STARTING;
    start(PLEX_SPREAD_ROUND_ROBIN);
    call_start(&f);
    pass(5000);
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_str_eq(f.call.problem.code, "NO_WORKER");
}
END_TEST

START_TEST(a_call_to_a_worker_that_has_left_ends_as_unknown)
{
    struct fixture f[2];

    start(PLEX_SPREAD_ROUND_ROBIN);
    call_start(&f[0]);
    call_start(&f[1]);
    table_set(false, true);
    run();
    pass(GATE_GRACE_MS);
    ck_assert_uint_eq(n_abandon, 1);
    ck_assert_uint_eq(n_respond, 1);
    ck_assert_str_eq(f[1].call.problem.code, "OUTCOME_UNKNOWN");
    answer(&f[0], PLEX_OK);
    ck_assert_uint_eq(n_respond, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stateless");
    TCase *tests = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, calls_go_to_each_in_turn_whoever_owns_the_shards);
    tcase_add_test(tests, calls_go_to_whom_we_have_given_least);
    tcase_add_test(tests, at_random_both_get_some);
    tcase_add_test(tests, who_refuses_is_not_asked_again_at_once);
    tcase_add_test(tests, a_lost_call_is_not_sent_twice);
    tcase_add_test(tests, workers_that_drain_or_are_not_ready_get_none);
    tcase_add_test(tests, a_call_that_nobody_takes_ends_with_its_deadline);
    tcase_add_test(tests, a_call_to_a_worker_that_has_left_ends_as_unknown);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
