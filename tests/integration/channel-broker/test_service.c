/* The real plex-channel-broker and plex-registry, each on a thread. */
#include "services/channel-broker/service.h"
#include "services/registry/service.h"
#include "tests/integration/tuplespace/caller.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plexspaces/channel/v1/channel.pb-c.h"

#define PB(name) Plexspaces__Channel__V1__##name
enum { SEND = 901, RECEIVE, ACK, NACK, GET_STATS, WAIT_MS = 10000 };

static char folder[64], dsn[96];
static struct plex_instance *registry, *broker;
static struct caller *caller;
static const char registry_url[] = "inproc://broker-registry";
static const char url[] = "inproc://broker";
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
static char channel[] = "orders";

static void
broker_start(void)
{
    struct plex_err err = {0};

    ck_assert_msg(plex_instance_start(&broker, &broker_service, settings,
                                      &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert(plex_instance_wait_ready(broker, WAIT_MS));
}

static void
setup(void)
{
    struct plex_err err = {0};

    (void)snprintf(folder, sizeof folder, "/tmp/plex-broker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/b.db", folder);
    ck_assert_int_eq(
        plex_instance_start(&registry, &reg_service, registry_settings, &err),
        PLEX_OK);
    broker_start();
    caller = caller_start("inproc://broker-caller", registry_url);
}

static void
teardown(void)
{
    static const char *const names[] = {"b.db", "b.db-wal", "b.db-shm"};
    char path[128];

    caller_stop(caller);
    plex_instance_stop(broker);
    plex_instance_stop(registry);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static enum plex_status
send_one(const char *text)
{
    PB(SendRequest) request = PLEXSPACES__CHANNEL__V1__SEND_REQUEST__INIT;
    PB(Message) message = PLEXSPACES__CHANNEL__V1__MESSAGE__INIT;
    PB(Message) * messages[] = {&message};
    uint8_t payload[32];

    message.payload.len = strlen(text);
    message.payload.data = payload;
    memcpy(payload, text, message.payload.len);
    request.channel = channel;
    request.n_messages = 1;
    request.messages = messages;
    return caller_wait(caller_begin(caller, url, SEND, &request.base), NULL,
                       NULL);
}

static struct caller_call *
receive_begin(uint64_t timeout_ms, uint64_t visibility_ms)
{
    PB(ReceiveRequest) request = PLEXSPACES__CHANNEL__V1__RECEIVE_REQUEST__INIT;

    request.channel = channel;
    request.timeout_ms = timeout_ms;
    request.visibility_ms = visibility_ms;
    return caller_begin(caller, url, RECEIVE, &request.base);
}

struct received {
    size_t n;
    char text[32];
    uint8_t id[16];
    uint32_t count;
};

static struct received
receive_end(struct caller_call *call)
{
    ProtobufCMessage *message = NULL;
    const PB(ReceiveReply) * reply;
    struct received received = {0};

    ck_assert_int_eq(
        caller_wait(call, &plexspaces__channel__v1__receive_reply__descriptor,
                    &message),
        PLEX_OK);
    reply = (const void *)message;
    received.n = reply->n_messages;
    if (received.n > 0) {
        const PB(Message) *first = reply->messages[0];

        memcpy(received.text, first->payload.data, first->payload.len);
        memcpy(received.id, first->id.data, 16);
        received.count = first->delivery_count;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return received;
}

static uint32_t
ack(uint8_t id[16])
{
    PB(AckRequest) request = PLEXSPACES__CHANNEL__V1__ACK_REQUEST__INIT;
    ProtobufCBinaryData ids[] = {{16, id}};
    ProtobufCMessage *message = NULL;
    uint32_t acked;

    request.channel = channel;
    request.n_ids = 1;
    request.ids = ids;
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, url, ACK, &request.base),
                    &plexspaces__channel__v1__ack_reply__descriptor, &message),
        PLEX_OK);
    acked = ((const PB(AckReply) *)(const void *)message)->acked;
    protobuf_c_message_free_unpacked(message, NULL);
    return acked;
}

START_TEST(messages_are_sent_received_and_acknowledged)
{
    struct received received;

    ck_assert_int_eq(send_one("one"), PLEX_OK);
    received = receive_end(receive_begin(0, 0));
    ck_assert_str_eq(received.text, "one");
    ck_assert_uint_eq(ack(received.id), 1);
    ck_assert_uint_eq(ack(received.id), 0);
    ck_assert_uint_eq(receive_end(receive_begin(0, 0)).n, 0);
}
END_TEST

START_TEST(a_waiting_receiver_is_answered_by_a_send)
{
    struct caller_call *waiting = receive_begin(5000, 0);

    ck_assert_uint_eq(receive_end(receive_begin(1, 0)).n, 0);
    ck_assert_int_eq(send_one("two"), PLEX_OK);
    ck_assert_str_eq(receive_end(waiting).text, "two");
}
END_TEST

START_TEST(what_is_not_acknowledged_comes_again)
{
    struct received received;

    ck_assert_int_eq(send_one("three"), PLEX_OK);
    ck_assert_uint_eq(receive_end(receive_begin(0, 20)).count, 1);
    received = receive_end(receive_begin(5000, 0));
    ck_assert_str_eq(received.text, "three");
    ck_assert_uint_eq(received.count, 2);
}
END_TEST

START_TEST(messages_survive_the_end_of_the_daemon)
{
    struct received received;

    ck_assert_int_eq(send_one("four"), PLEX_OK);
    received = receive_end(receive_begin(0, 0));
    ck_assert_str_eq(received.text, "four");
    plex_instance_kill(broker);
    broker_start();
    received = receive_end(receive_begin(0, 0));
    ck_assert_str_eq(received.text, "four");
    ck_assert_uint_eq(ack(received.id), 1);
    plex_instance_kill(broker);
    broker_start();
    ck_assert_uint_eq(receive_end(receive_begin(0, 0)).n, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("channel-broker service");
    TCase *tcase = tcase_create("service");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, messages_are_sent_received_and_acknowledged);
    tcase_add_test(tcase, a_waiting_receiver_is_answered_by_a_send);
    tcase_add_test(tcase, what_is_not_acknowledged_comes_again);
    tcase_add_test(tcase, messages_survive_the_end_of_the_daemon);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
