/* Events that are pushed: to an HTTP server of this test, and to the real
 * channel broker. */
#include "services/channel-broker/service.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"
#include "tests/integration/tuplespace/caller.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plexspaces/channel/v1/channel.pb-c.h"
#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
enum { WRITE = 801, SUBSCRIBE = 819, RECEIVE = 902, WAIT_MS = 10000 };

static char folder[64], dsn[96], target[96];
static struct plex_instance *registry, *tuplespace, *broker;
static struct caller *caller;
static const char registry_url[] = "inproc://target-registry";
static const char url[] = "inproc://target-tspace";
static const char broker_url[] = "inproc://target-broker";
static struct plex_setting registry_settings[] = {
    {"listen_url", registry_url},
    {"admin_addr", ""},
    {"store_dsn", "mem:"},
    {"log_level", "error"},
    {0},
};
static struct plex_setting settings[] = {
    {"listen_url", url},      {"registry_url", registry_url},
    {"admin_addr", ""},       {"store_dsn", dsn},
    {"log_level", "error"},   {"redeliver_ms", "3600000"},
    {"webhook_allow", "any"}, {0},
};
static struct plex_setting broker_settings[] = {
    {"listen_url", broker_url}, {"registry_url", registry_url},
    {"admin_addr", ""},         {"store_dsn", "mem:"},
    {"log_level", "error"},     {0},
};
static int server;

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

/* A socket that listens on a free port of loopback. */
static int
listener(char *to)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(to, 96, "http://127.0.0.1:%u/events", ntohs(at.sin_port));
    return fd;
}

static void
setup(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/plex-target-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/t.db", folder);
    settings[6].value = "any";
    server = listener(target);
    registry = start(&reg_service, registry_settings);
    tuplespace = start(&tspace_service, settings);
    caller = caller_start("inproc://target-caller", registry_url);
}

static void
teardown(void)
{
    static const char *const names[] = {"t.db", "t.db-wal", "t.db-shm"};
    char path[128];

    caller_stop(caller);
    plex_instance_stop(tuplespace);
    plex_instance_stop(broker);
    plex_instance_stop(registry);
    broker = NULL;
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    (void)close(server);
}

static void
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
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, url, WRITE, &request.base), NULL,
                    NULL),
        PLEX_OK);
}

static enum plex_status
subscribe(const char *to, bool guaranteed)
{
    PB(SubscribeRequest)
    request = PLEXSPACES__TUPLESPACE__V1__SUBSCRIBE_REQUEST__INIT;
    PB(Template) any = PLEXSPACES__TUPLESPACE__V1__TEMPLATE__INIT;
    char space[] = "jobs", text[600];

    (void)snprintf(text, sizeof text, "%s", to);
    request.space = space;
    request.template_ = &any;
    request.target = text;
    request.guaranteed = guaranteed;
    return caller_wait(caller_begin(caller, url, SUBSCRIBE, &request.base),
                       NULL, NULL);
}

/* Answer the next request, which has to say `expected`, with `status`. */
static void
answer(const char *expected, const char *status)
{
    struct pollfd ready = {.fd = server, .events = POLLIN};
    char text[8192], reply[128];
    size_t n = 0;
    int fd;

    ck_assert_int_eq(poll(&ready, 1, WAIT_MS), 1);
    fd = accept(server, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    /* The event is the last: its closing braces end the request. */
    do {
        const ssize_t got = read(fd, text + n, sizeof text - 1 - n);

        ck_assert_int_gt(got, 0);
        n += (size_t)got;
        text[n] = '\0';
    } while (n < 2 || text[n - 1] != '}');
    ck_assert_msg(strstr(text, expected) != NULL, "%s is not in %s", expected,
                  text);
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: application/json"));
    (void)snprintf(reply, sizeof reply,
                   "HTTP/1.1 %s\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n\r\n",
                   status);
    ck_assert_int_eq(write(fd, reply, strlen(reply)), (ssize_t)strlen(reply));
    (void)close(fd);
}

START_TEST(a_guaranteed_event_is_posted_until_it_is_accepted)
{
    ck_assert_int_eq(subscribe(target, true), PLEX_OK);
    write_one(7);
    answer("\"number\":1,", "503 Not now");
    write_one(8);
    answer("\"number\":1,", "500 Nor now");
    answer("\"number\":1,", "200 OK");
    answer("\"number\":2,", "204 No Content");
    write_one(9);
    answer("\"number\":3,", "200 OK");
}
END_TEST

START_TEST(what_was_not_accepted_is_posted_after_a_restart)
{
    ck_assert_int_eq(subscribe(target, true), PLEX_OK);
    write_one(7);
    answer("\"number\":1,", "200 OK");
    write_one(8);
    answer("\"number\":2,", "503 Not now");
    plex_instance_stop(tuplespace);
    tuplespace = start(&tspace_service, settings);
    answer("\"number\":2,", "200 OK");
    write_one(9);
    answer("\"number\":3,", "200 OK");
}
END_TEST

START_TEST(a_dead_endpoint_does_not_hold_up_another)
{
    char dead[96];
    int fd = listener(dead);

    ck_assert_int_eq(subscribe(dead, true), PLEX_OK);
    (void)close(fd); /* from now on it refuses */
    ck_assert_int_eq(subscribe(target, false), PLEX_OK);
    for (int64_t i = 0; i < 20; i++) {
        write_one(i);
        answer("\"event\":\"written\"", "200 OK");
    }
}
END_TEST

static void
news_arrive(void)
{
    Plexspaces__Channel__V1__ReceiveRequest receive =
        PLEXSPACES__CHANNEL__V1__RECEIVE_REQUEST__INIT;
    const Plexspaces__Channel__V1__ReceiveReply *reply;
    ProtobufCMessage *message = NULL;
    char name[] = "news";

    receive.channel = name;
    receive.timeout_ms = WAIT_MS;
    ck_assert_int_eq(
        caller_wait(caller_begin(caller, broker_url, RECEIVE, &receive.base),
                    &plexspaces__channel__v1__receive_reply__descriptor,
                    &message),
        PLEX_OK);
    reply = (const void *)message;
    ck_assert_uint_eq(reply->n_messages, 1);
    ck_assert_ptr_nonnull(memmem(reply->messages[0]->payload.data,
                                 reply->messages[0]->payload.len,
                                 "\"fields\":[7]", 12));
    protobuf_c_message_free_unpacked(message, NULL);
}

START_TEST(a_channel_gets_the_events)
{
    broker = start(&broker_service, broker_settings);
    ck_assert_int_eq(subscribe("channel:news", true), PLEX_OK);
    write_one(7);
    news_arrive();
}
END_TEST

START_TEST(targets_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "ftp://x/", "actor:",  "actor:/k",    "actor:cart", "actor:cart/",
        "channel:", "http://", "http://u@x/", "nowhere",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(subscribe(bad[i], false) == PLEX_INVALID, "%s: %s",
                      bad[i], caller_text(caller));
    ck_assert_ptr_nonnull(strstr(caller_text(caller), "actor:TYPE/KEY"));
}
END_TEST

START_TEST(webhooks_may_be_forbidden)
{
    plex_instance_stop(tuplespace);
    settings[6].value = "none";
    tuplespace = start(&tspace_service, settings);
    ck_assert_int_eq(subscribe(target, false), PLEX_DENIED);
    ck_assert_int_eq(subscribe("channel:news", false), PLEX_OK);
}
END_TEST

START_TEST(webhooks_may_be_for_public_addresses_only)
{
    struct pollfd ready = {.fd = server, .events = POLLIN};
    char by_name[96];

    plex_instance_stop(tuplespace);
    settings[6].value = "public";
    tuplespace = start(&tspace_service, settings);
    (void)snprintf(by_name, sizeof by_name, "http://localhost%s",
                   strrchr(target, ':'));
    broker = start(&broker_service, broker_settings);
    ck_assert_int_eq(subscribe(target, true), PLEX_OK);
    ck_assert_int_eq(subscribe(by_name, true), PLEX_OK);
    ck_assert_int_eq(subscribe("channel:news", true), PLEX_OK);
    write_one(7);
    news_arrive();
    ck_assert_int_eq(poll(&ready, 1, 300), 0); /* one would have come by now */
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace_targets");
    TCase *tcase = tcase_create("targets");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_guaranteed_event_is_posted_until_it_is_accepted);
    tcase_add_test(tcase, what_was_not_accepted_is_posted_after_a_restart);
    tcase_add_test(tcase, a_dead_endpoint_does_not_hold_up_another);
    tcase_add_test(tcase, a_channel_gets_the_events);
    tcase_add_test(tcase, targets_that_are_none_are_refused);
    tcase_add_test(tcase, webhooks_may_be_forbidden);
    tcase_add_test(tcase, webhooks_may_be_for_public_addresses_only);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
