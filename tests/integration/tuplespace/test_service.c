/* The real plex-tuplespace and plex-registry, each on a thread, over links. */
#include "services/registry/service.h"
#include "services/tuplespace/service.h"
#include "tests/integration/tuplespace/caller.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
enum { WRITE = 801, READ, TAKE, COUNT, WAIT_MS = 10000 };

static char folder[64], dsn[96];
static struct plex_instance *registry, *tuplespace;
static struct caller *caller;
static const char registry_url[] = "inproc://tspace-registry";
static const char url[] = "inproc://tspace";
static struct plex_setting registry_settings[] = {
    {"listen_url", registry_url},
    {"admin_addr", ""},
    {"store_dsn", "mem:"},
    {"log_level", "error"},
    {0},
};
static struct plex_setting settings[] = {
    {"listen_url", url}, {"registry_url", registry_url}, {"admin_addr", ""},
    {"store_dsn", dsn},  {"log_level", "error"},         {0},
};

static void
tuplespace_start(void)
{
    struct plex_err err = {0};

    ck_assert_msg(plex_instance_start(&tuplespace, &tspace_service, settings,
                                      &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert(plex_instance_wait_ready(tuplespace, WAIT_MS));
}

static void
setup(void)
{
    struct plex_err err = {0};

    (void)snprintf(folder, sizeof folder, "/tmp/plex-tspace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/t.db", folder);
    ck_assert_int_eq(
        plex_instance_start(&registry, &reg_service, registry_settings, &err),
        PLEX_OK);
    tuplespace_start();
    caller = caller_start("inproc://tspace-caller", registry_url);
}

static void
teardown(void)
{
    static const char *const names[] = {"t.db", "t.db-wal", "t.db-shm"};
    char path[128];

    caller_stop(caller);
    plex_instance_stop(tuplespace);
    plex_instance_stop(registry);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static enum plex_status
write_one(int64_t value)
{
    PB(WriteRequest) request = PLEXSPACES__TUPLESPACE__V1__WRITE_REQUEST__INIT;
    PB(Tuple) tuple = PLEXSPACES__TUPLESPACE__V1__TUPLE__INIT;
    PB(Tuple) * tuples[] = {&tuple};
    PB(Field) field = PLEXSPACES__TUPLESPACE__V1__FIELD__INIT;
    PB(Field) * fields[] = {&field};
    char space[] = "jobs";

    field.value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT;
    field.int_ = value;
    tuple.n_fields = 1;
    tuple.fields = fields;
    request.space = space;
    request.n_tuples = 1;
    request.tuples = tuples;
    return caller_wait(caller_begin(caller, url, WRITE, &request.base), NULL,
                       NULL);
}

static struct caller_call *
take_begin(uint64_t timeout_ms)
{
    PB(ReadRequest) request = PLEXSPACES__TUPLESPACE__V1__READ_REQUEST__INIT;
    PB(Template) any = PLEXSPACES__TUPLESPACE__V1__TEMPLATE__INIT;
    PB(Pattern) pattern = PLEXSPACES__TUPLESPACE__V1__PATTERN__INIT;
    PB(Pattern) * patterns[] = {&pattern};
    char space[] = "jobs";

    any.n_fields = 1;
    any.fields = patterns;
    request.space = space;
    request.template_ = &any;
    request.timeout_ms = timeout_ms;
    return caller_begin(caller, url, TAKE, &request.base);
}

/* The taken number, or -1 when there was none. */
static int64_t
take_end(struct caller_call *call)
{
    ProtobufCMessage *message = NULL;
    const PB(ReadReply) * reply;
    int64_t value = -1;

    ck_assert_int_eq(
        caller_wait(call, &plexspaces__tuplespace__v1__read_reply__descriptor,
                    &message),
        PLEX_OK);
    reply = (const void *)message;
    if (reply->n_tuples > 0)
        value = reply->tuples[0]->fields[0]->int_;
    protobuf_c_message_free_unpacked(message, NULL);
    return value;
}

START_TEST(tuples_are_written_and_taken_over_a_link)
{
    ck_assert_int_eq(write_one(7), PLEX_OK);
    ck_assert_int_eq(write_one(8), PLEX_OK);
    ck_assert_int_eq(take_end(take_begin(0)), 7);
    ck_assert_int_eq(take_end(take_begin(0)), 8);
    ck_assert_int_eq(take_end(take_begin(0)), -1);
}
END_TEST

START_TEST(a_waiting_take_is_answered_by_a_write)
{
    struct caller_call *waiting = take_begin(5000);

    ck_assert_int_eq(take_end(take_begin(1)), -1); /* runs out by a timer */
    ck_assert_int_eq(write_one(9), PLEX_OK);
    ck_assert_int_eq(take_end(waiting), 9);
}
END_TEST

START_TEST(tuples_survive_the_end_of_the_daemon)
{
    ck_assert_int_eq(write_one(10), PLEX_OK);
    plex_instance_kill(tuplespace);
    tuplespace_start();
    ck_assert_int_eq(take_end(take_begin(0)), 10);
}
END_TEST

START_TEST(a_drain_answers_those_who_wait)
{
    struct caller_call *waiting = take_begin(5000);

    ck_assert_int_eq(take_end(take_begin(0)), -1); /* the first has arrived */
    plex_instance_stop(tuplespace);
    tuplespace = NULL;
    ck_assert_int_eq(caller_wait(waiting, NULL, NULL), PLEX_UNAVAILABLE);
    ck_assert_str_eq(caller_text(caller), "the tuple space is shutting down");
}
END_TEST

START_TEST(bad_requests_say_what_is_wrong)
{
    PB(CountRequest) request = PLEXSPACES__TUPLESPACE__V1__COUNT_REQUEST__INIT;
    char space[] = "jobs/../other";

    request.space = space;
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, url, COUNT, &request.base), NULL,
                    NULL),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(caller_text(caller), "space"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace service");
    TCase *tcase = tcase_create("service");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tuples_are_written_and_taken_over_a_link);
    tcase_add_test(tcase, a_waiting_take_is_answered_by_a_write);
    tcase_add_test(tcase, tuples_survive_the_end_of_the_daemon);
    tcase_add_test(tcase, a_drain_answers_those_who_wait);
    tcase_add_test(tcase, bad_requests_say_what_is_wrong);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
