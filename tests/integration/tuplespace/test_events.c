/* Guaranteed events that are polled: more of them than wait in memory. */
#include "services/registry/service.h"
#include "services/tuplespace/service.h"
#include "tests/integration/tuplespace/caller.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
enum {
    WRITE = 801,
    SUBSCRIBE = 819,
    ACKNOWLEDGE = 821,
    POLL = 822,
    WAIT_MS = 10000,
    BUFFER = 4096, /* what the service keeps in memory for a poller */
    KEPT = 5000,   /* events_max */
    BULK = 10000,
    LARGE = 1000 * 1000,
};

static struct plex_instance *registry, *tuplespace;
static struct caller *caller;
static const char registry_url[] = "inproc://events-registry";
static const char url[] = "inproc://events-tspace";
static struct plex_setting registry_settings[] = {
    {"listen_url", registry_url},
    {"admin_addr", ""},
    {"store_dsn", "mem:"},
    {"log_level", "error"},
    {0},
};
/* It is never told again by itself: what is lost in between stays lost. */
static struct plex_setting settings[] = {
    {"listen_url", url},    {"registry_url", registry_url},
    {"admin_addr", ""},     {"store_dsn", "mem:"},
    {"log_level", "error"}, {"redeliver_ms", "3600000"},
    {"events_max", "5000"}, {0},
};

static struct plex_instance *
start(const struct plex_service *service, struct plex_setting *with)
{
    struct plex_instance *instance = NULL;
    struct plex_err err = {0};

    ck_assert_msg(plex_instance_start(&instance, service, with, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    ck_assert(plex_instance_wait_ready(instance, WAIT_MS));
    return instance;
}

static void
setup(void)
{
    registry = start(&reg_service, registry_settings);
    tuplespace = start(&tspace_service, settings);
    caller = caller_start("inproc://events-caller", registry_url);
}

static void
teardown(void)
{
    caller_stop(caller);
    plex_instance_stop(tuplespace);
    plex_instance_stop(registry);
}

/* `n` tuples of one field, in one request. */
static struct caller_call *
write_to(char *space, size_t n, size_t bytes)
{
    PB(WriteRequest) request = PLEXSPACES__TUPLESPACE__V1__WRITE_REQUEST__INIT;
    PB(Tuple) tuple = PLEXSPACES__TUPLESPACE__V1__TUPLE__INIT;
    PB(Tuple) **tuples = calloc(n, sizeof *tuples);
    PB(Field) field = PLEXSPACES__TUPLESPACE__V1__FIELD__INIT;
    PB(Field) * fields[] = {&field};
    uint8_t *filler = calloc(1, bytes + 1);
    struct caller_call *call;

    field.value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES;
    field.bytes = (ProtobufCBinaryData){bytes, filler};
    tuple.n_fields = 1;
    tuple.fields = fields;
    for (size_t i = 0; i < n; i++)
        tuples[i] = &tuple;
    request.space = space;
    request.n_tuples = n;
    request.tuples = tuples;
    call = caller_begin(caller, url, WRITE, &request.base);
    free(filler);
    free(tuples);
    return call;
}

static struct caller_call *
write_begin(size_t n)
{
    char space[] = "jobs";

    return write_to(space, n, 8);
}

static void
ok(struct caller_call *call)
{
    ck_assert_msg(caller_wait(call, NULL, NULL) == PLEX_OK, "%s",
                  caller_text(caller));
}

static uint64_t
subscribe(void)
{
    PB(SubscribeRequest)
    request = PLEXSPACES__TUPLESPACE__V1__SUBSCRIBE_REQUEST__INIT;
    PB(Template) any = PLEXSPACES__TUPLESPACE__V1__TEMPLATE__INIT;
    ProtobufCMessage *message = NULL;
    char space[] = "jobs";
    uint64_t id;

    request.space = space;
    request.template_ = &any;
    request.guaranteed = true;
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, url, SUBSCRIBE, &request.base),
                    &plexspaces__tuplespace__v1__subscribe_reply__descriptor,
                    &message),
        PLEX_OK);
    id = ((const PB(SubscribeReply) *)message)->subscription_id;
    protobuf_c_message_free_unpacked(message, NULL);
    return id;
}

static struct caller_call *
acknowledge_begin(uint64_t subscription, uint64_t up_to)
{
    PB(AcknowledgeEventsRequest)
    request = PLEXSPACES__TUPLESPACE__V1__ACKNOWLEDGE_EVENTS_REQUEST__INIT;

    request.subscription_id = subscription;
    request.up_to = up_to;
    return caller_begin(caller, url, ACKNOWLEDGE, &request.base);
}

/* The events after `after`; each is the next, or the next after `*lost`. The
 * number of the last one, or `after` when none came in time. */
static uint64_t
poll_after(uint64_t subscription, uint64_t after, uint64_t *lost)
{
    PB(PollEventsRequest)
    request = PLEXSPACES__TUPLESPACE__V1__POLL_EVENTS_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    const PB(PollEventsReply) * reply;

    request.subscription_id = subscription;
    request.timeout_ms = 2000;
    request.max_events = 1000;
    request.after = after;
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, url, POLL, &request.base),
                    &plexspaces__tuplespace__v1__poll_events_reply__descriptor,
                    &message),
        PLEX_OK);
    reply = (const void *)message;
    for (size_t i = 0; i < reply->n_events; i++) {
        ck_assert_uint_gt(reply->events[i]->number, after);
        *lost += reply->events[i]->number - after - 1;
        after = reply->events[i]->number;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return after;
}

static uint64_t
poll_until(uint64_t subscription, uint64_t after, uint64_t until,
           uint64_t *lost)
{
    while (after < until) {
        const uint64_t last = poll_after(subscription, after, lost);

        ck_assert_msg(last > after, "nothing came after event %llu",
                      (unsigned long long)after);
        after = last;
    }
    return after;
}

START_TEST(events_that_did_not_fit_come_when_the_poller_has_caught_up)
{
    const uint64_t id = subscribe();
    uint64_t lost = 0, last;

    ok(write_begin(BUFFER + 100));
    last = poll_until(id, 0, BUFFER, &lost);
    ck_assert_uint_eq(last, BUFFER);
    ok(acknowledge_begin(id, last));
    ck_assert_uint_eq(poll_until(id, last, BUFFER + 100, &lost), BUFFER + 100);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

/* What comes while the service is busy is done in one iteration of its loop:
 * the acknowledgement makes room, and the next event to be told is not the next
 * one of the subscription. */
START_TEST(events_written_with_the_acknowledgement_do_not_overtake)
{
    const uint64_t id = subscribe();
    struct caller_call *calls[4];
    uint64_t lost = 0, last;
    char bulk[] = "bulk";

    ok(write_begin(BUFFER + 100));
    last = poll_until(id, 0, BUFFER, &lost);
    calls[0] = write_to(bulk, BULK, 8);
    calls[1] = acknowledge_begin(id, last);
    calls[2] = write_begin(1);
    calls[3] = write_begin(1);
    for (unsigned i = 0; i < 4; i++)
        ok(calls[i]);
    ck_assert_uint_eq(poll_until(id, last, BUFFER + 102, &lost), BUFFER + 102);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_small_event_does_not_overtake_a_large_one_without_room)
{
    char space[] = "jobs";
    uint64_t lost = 0, id;

    plex_instance_stop(tuplespace);
    settings[6].value = "5";
    tuplespace = start(&tspace_service, settings);
    settings[6].value = "5000";
    id = subscribe();
    for (unsigned i = 0; i < 5; i++)
        ok(write_to(space, 1, LARGE));
    ok(write_begin(1)); /* event 6; the first is kept no more */
    ck_assert_uint_eq(poll_until(id, 0, 4, &lost), 4);
    ok(acknowledge_begin(id, 4));
    ck_assert_uint_eq(poll_until(id, 4, 6, &lost), 6);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(after_more_events_than_are_kept_the_oldest_kept_one_comes)
{
    const uint64_t id = subscribe();
    uint64_t lost = 0, last;

    ok(write_begin(KEPT));
    ok(write_begin(KEPT));
    last = poll_until(id, 0, BUFFER, &lost);
    ok(acknowledge_begin(id, last));
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_gt(poll_after(id, last, &lost), KEPT);
    ck_assert_uint_eq(lost, KEPT - BUFFER);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace_events");
    TCase *tcase = tcase_create("events");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase,
                   events_that_did_not_fit_come_when_the_poller_has_caught_up);
    tcase_add_test(tcase,
                   events_written_with_the_acknowledgement_do_not_overtake);
    tcase_add_test(tcase,
                   a_small_event_does_not_overtake_a_large_one_without_room);
    tcase_add_test(tcase,
                   after_more_events_than_are_kept_the_oldest_kept_one_comes);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
