/* The tuple space over HTTP: registry, tuple space and gateway, each on a
 * thread, asked by a client that speaks JSON. */
#include "common/loop.h"
#include "services/gateway/service.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"
#include "tests/integration/gateway/http_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE "/api/v1/tuplespace"
#define GATEWAY_ADDR "127.0.0.1:18486"
enum { WAIT_MS = 10000 };

static struct plex_instance *registry, *tuplespace, *gateway;
static struct http_answer answer;
static const char registry_url[] = "inproc://tspace-rest-registry";

static void
instance_start(struct plex_instance **out, const struct plex_service *service,
               const struct plex_setting *settings)
{
    struct plex_err err = {0};

    ck_assert_msg(plex_instance_start(out, service, settings, &err) == PLEX_OK,
                  "%s", err.text);
}

static void
tuplespace_start(void)
{
    static const struct plex_setting settings[] = {
        {"listen_url", "inproc://tspace-rest"},
        {"registry_url", registry_url},
        {"admin_addr", ""},
        {"store_dsn", "mem:"},
        {"log_level", "error"},
        {0},
    };

    instance_start(&tuplespace, &tspace_service, settings);
    ck_assert(plex_instance_wait_ready(tuplespace, WAIT_MS));
}

static void
post(const char *target, const char *body)
{
    http_do(GATEWAY_ADDR, "POST", target, "Content-Type: application/json\r\n",
            body, &answer);
}

static void
post_keyed(const char *target, const char *key, const char *body)
{
    char headers[256];

    (void)snprintf(headers, sizeof headers,
                   "Content-Type: application/json\r\n"
                   "Idempotency-Key: \"%s\"\r\n",
                   key);
    http_do(GATEWAY_ADDR, "POST", target, headers, body, &answer);
}

static void
get(const char *target)
{
    http_do(GATEWAY_ADDR, "GET", target, "", NULL, &answer);
}

static void
is(int status, const char *words)
{
    ck_assert_msg(answer.status == status, "%s%s", answer.head, answer.body);
    ck_assert_msg(strstr(answer.body, words) != NULL, "\"%s\" is not in %s",
                  words, answer.body);
}

static void
setup(void)
{
    static const struct plex_setting registry_settings[] = {
        {"listen_url", registry_url},
        {"admin_addr", ""},
        {"store_dsn", "mem:"},
        {"log_level", "error"},
        {0},
    };
    static const struct plex_setting settings[] = {
        {"http_addr", GATEWAY_ADDR},
        {"listen_url", "inproc://tspace-rest-gateway"},
        {"registry_url", registry_url},
        {"admin_addr", ""},
        {"log_level", "error"},
        {0},
    };
    const uint64_t end = plex_now() + (uint64_t)WAIT_MS * 1000000;

    instance_start(&registry, &reg_service, registry_settings);
    tuplespace_start();
    instance_start(&gateway, &gate_service, settings);
    do {
        get(BASE "/stats");
        ck_assert_msg(plex_now() < end, "%s", answer.body);
    } while (answer.status != 200);
}

static void
teardown(void)
{
    plex_instance_stop(gateway);
    plex_instance_stop(tuplespace);
    plex_instance_stop(registry);
}

/* The text of a member of the answer. */
static const char *
member(const char *name)
{
    static char text[64];
    json_t *json = json_loads(answer.body, 0, NULL);
    json_t *value = json_object_get(json, name);

    ck_assert_msg(value != NULL, "no %s in %s", name, answer.body);
    if (json_is_array(value))
        value = json_array_get(value, 0);
    if (json_is_object(value))
        value = json_object_get(value, "id");
    ck_assert_msg(json_is_string(value), "%s", answer.body);
    (void)snprintf(text, sizeof text, "%s", json_string_value(value));
    json_decref(json);
    return text;
}

START_TEST(tuples_are_written_read_taken_and_counted)
{
    post(BASE "/tuples", "{\"space\":\"s\",\"tuples\":[[\"order\",12,true],"
                         "[\"order\",150,false]],\"ttl_ms\":0}");
    is(200, "{\"ids\":[\"");
    post(BASE "/read", "{\"space\":\"s\",\"template\":[\"order\",{\"gt\":100},"
                       "{\"any\":true}]}");
    is(200, "\"fields\":[\"order\",150,false]}]");
    post(BASE "/count", "{\"space\":\"s\",\"template\":[\"order\","
                        "{\"any\":true},{\"any\":true}]}");
    is(200, "{\"count\":2}");
    post(BASE "/exists", "{\"space\":\"s\",\"template\":[\"x\"]}");
    is(200, "{\"exists\":false}");
    post(BASE "/take", "{\"space\":\"s\",\"template\":[\"order\",{\"any\":true}"
                       ",{\"any\":true}],\"max_results\":5,\"order\":\"max\","
                       "\"order_field\":1}");
    is(200, "[{\"id\":\"");
    is(200, "\"fields\":[\"order\",150,false]},{\"id\"");
    post(BASE "/take", "{\"space\":\"s\",\"template\":[\"order\",{\"any\":true}"
                       ",{\"any\":true}]}");
    is(200, "{\"tuples\":[]");
}
END_TEST

START_TEST(all_values_come_back_as_they_were)
{
    static const char tuple[] =
        "[\"\xc3\xa4\",-1,1.5,1.0,true,false,null,{\"bytes\":\"AAH/\"},"
        "{\"tuple\":[\"in\",{\"tuple\":[2]}]},{\"int\":\"9223372036854775807\"}"
        ",{\"int\":\"-9223372036854775808\"},{\"float\":\"-Infinity\"}]";
    char body[1024];

    (void)snprintf(body, sizeof body, "{\"space\":\"v\",\"tuples\":[%s]}",
                   tuple);
    post(BASE "/tuples", body);
    is(200, "ids");
    (void)snprintf(body, sizeof body, "{\"space\":\"v\",\"template\":%s}",
                   tuple);
    post(BASE "/take", body);
    is(200, tuple);
}
END_TEST

START_TEST(namespaces_and_spaces_are_apart)
{
    post(BASE "/tuples",
         "{\"space\":\"a\",\"namespace\":\"n1\",\"tuples\":[[1]]}");
    is(200, "ids");
    post(BASE "/count", "{\"space\":\"a\",\"template\":[]}");
    is(200, "{\"count\":0}");
    post(BASE "/count",
         "{\"space\":\"a\",\"namespace\":\"n1\",\"template\":[]}");
    is(200, "{\"count\":1}");
    get(BASE "/spaces?namespace=n1");
    is(200, "{\"spaces\":[\"a\"]");
    post(BASE "/count",
         "{\"space\":\"a\",\"namespace\":\"../n\",\"template\":[]}");
    is(400, "namespace");
}
END_TEST

START_TEST(a_keyed_take_gives_the_same_tuple_again)
{
    static const char take[] = "{\"space\":\"k\",\"template\":[\"job\","
                               "{\"type\":\"int64\"}]}";

    post_keyed(BASE "/tuples", "w1",
               "{\"space\":\"k\",\"tuples\":[[\"job\",1]]}");
    is(200, "ids");
    post_keyed(BASE "/tuples", "w1",
               "{\"space\":\"k\",\"tuples\":[[\"job\",1]]}");
    is(200, "ids");
    post_keyed(BASE "/tuples", "w1",
               "{\"space\":\"k\",\"tuples\":[[\"job\",2]]}");
    is(422, "MISMATCH");
    post_keyed(BASE "/take", "t1", take);
    is(200, "[\"job\",1]");
    post_keyed(BASE "/take", "t1", take);
    is(200, "[\"job\",1]");
    post_keyed(BASE "/take", "t2", take);
    is(200, "{\"tuples\":[]");
}
END_TEST

static int
dial_and_send(const char *request)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(18486)};
    const struct timeval patience = {.tv_sec = 10};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(send(fd, request, strlen(request), 0),
                     (ssize_t)strlen(request));
    return fd;
}

/* On a thread of its own, where http_do() must not be used. */
static void
raw(const char *request, char *out, size_t size)
{
    const int fd = dial_and_send(request);
    size_t used = 0;
    ssize_t n;

    while (used + 1 < size &&
           (n = recv(fd, out + used, size - 1 - used, 0)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    (void)close(fd);
}

/* Writes once the other one waits. */
static void *
write_later(void *arg)
{
    static const char body[] = "{\"space\":\"w\",\"tuples\":[[\"late\"]]}";
    char request[512], out[4096];

    (void)arg;
    do
        raw("GET " BASE "/stats HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: close\r\n\r\n",
            out, sizeof out);
    while (strstr(out, "\"waiters\":1") == NULL);
    (void)snprintf(request, sizeof request,
                   "POST " BASE "/tuples HTTP/1.1\r\nHost: localhost\r\n"
                   "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                   sizeof body - 1, body);
    raw(request, out, sizeof out);
    return NULL;
}

START_TEST(a_take_waits_for_its_tuple)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, write_later, NULL), 0);
    post(BASE "/take",
         "{\"space\":\"w\",\"template\":[\"late\"],\"timeout_ms\":60000}");
    is(200, "[\"late\"]");
    (void)pthread_join(thread, NULL);
    post(BASE "/take",
         "{\"space\":\"w\",\"template\":[\"late\"],\"timeout_ms\":20}");
    is(200, "{\"tuples\":[]");
}
END_TEST

static void
wait_for_stat(const char *words)
{
    const uint64_t end = plex_now() + (uint64_t)WAIT_MS * 1000000;

    do {
        get(BASE "/stats");
        ck_assert_msg(plex_now() < end, "no %s in %s", words, answer.body);
    } while (strstr(answer.body, words) == NULL);
}

START_TEST(a_client_that_leaves_takes_nothing)
{
    static const char body[] =
        "{\"space\":\"g\",\"template\":[\"x\"],\"timeout_ms\":60000}";
    char request[512];
    int fd;

    (void)snprintf(request, sizeof request,
                   "POST " BASE "/take HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   sizeof body - 1, body);
    fd = dial_and_send(request);
    wait_for_stat("\"waiters\":1");
    (void)close(fd);
    wait_for_stat("\"waiters\":0");
    post(BASE "/tuples", "{\"space\":\"g\",\"tuples\":[[\"x\"]]}");
    post(BASE "/count", "{\"space\":\"g\",\"template\":[\"x\"]}");
    is(200, "{\"count\":1}");
}
END_TEST

START_TEST(tuples_are_swapped_updated_moved_and_cleared)
{
    char target[256], id[64];

    post(BASE "/tuples", "{\"space\":\"u\",\"tuples\":[[\"n\",1],[\"n\",5]]}");
    (void)snprintf(id, sizeof id, "%s", member("ids"));
    post(BASE "/compare-and-swap", "{\"space\":\"u\",\"template\":[\"n\",1],"
                                   "\"tuple\":[\"n\",2]}");
    is(200, "{\"swapped\":true,\"tuple\":{\"id\":");
    post(BASE "/compare-and-swap", "{\"space\":\"u\",\"template\":[\"n\",1],"
                                   "\"tuple\":[\"n\",3]}");
    is(200, "{\"swapped\":false}");
    (void)snprintf(target, sizeof target, BASE "/tuples/%s", id);
    http_do(GATEWAY_ADDR, "PUT", target, "",
            "{\"space\":\"u\",\"tuple\":[\"n\",4]}", &answer);
    is(200, "[\"n\",4]");
    post(BASE "/collect", "{\"space\":\"u\",\"template\":[\"n\",{\"lt\":5}],"
                          "\"to\":\"moved\"}");
    is(200, "{\"count\":1}");
    post(BASE "/collect",
         "{\"space\":\"u\",\"template\":[],\"to\":\"moved\",\"copy\":true}");
    is(200, "{\"count\":1}");
    http_do(GATEWAY_ADDR, "DELETE",
            BASE "/tuples?space=moved&template=%5B%22n%22%2C5%5D", "", NULL,
            &answer);
    is(200, "{\"count\":1}");
    http_do(GATEWAY_ADDR, "DELETE", BASE "/tuples?space=moved", "", NULL,
            &answer);
    is(200, "{\"count\":1}");
    post(BASE "/count", "{\"space\":\"u\",\"template\":[]}");
    is(200, "{\"count\":1}");
}
END_TEST

START_TEST(leases_are_renewed_and_cancelled_by_their_owner)
{
    char target[256], id[64];

    post(BASE "/tuples", "{\"space\":\"l\",\"tuples\":[[1]],\"ttl_ms\":60000,"
                         "\"owner\":\"me\",\"metadata\":\"m\"}");
    (void)snprintf(id, sizeof id, "%s", member("ids"));
    (void)snprintf(target, sizeof target, BASE "/tuples/%s/renew-lease", id);
    post(target, "{\"space\":\"l\",\"ttl_ms\":90000,\"owner\":\"you\"}");
    is(403, "DENIED");
    post(target, "{\"space\":\"l\",\"ttl_ms\":90000,\"owner\":\"me\"}");
    is(200, "\"expires_ms\":");
    is(200, "\"owner\":\"me\",\"metadata\":\"m\"");
    (void)snprintf(target, sizeof target, BASE "/tuples/%s/cancel-lease", id);
    post(target, "{\"space\":\"l\",\"owner\":\"me\"}");
    is(200, "");
    post(target, "{\"space\":\"l\",\"owner\":\"me\"}");
    is(404, "NOT_FOUND");
    post(BASE "/tuples", "{\"space\":\"l\",\"tuples\":[[1]],\"ttl_ms\":-1}");
    is(400, "ttl_ms");
    post(BASE "/tuples",
         "{\"space\":\"l\",\"tuples\":[[1]],\"ttl_ms\":99999999999}");
    is(400, "INVALID");
}
END_TEST

START_TEST(transactions_are_committed_and_aborted_once)
{
    char target[256], body[256], tx[64];

    post(BASE "/transactions", "{\"timeout_ms\":60000}");
    (void)snprintf(tx, sizeof tx, "%s", member("transaction_id"));
    (void)snprintf(body, sizeof body,
                   "{\"space\":\"t\",\"tuples\":[[1]],\"transaction_id\":%s}",
                   tx);
    post(BASE "/tuples", body);
    is(200, "ids");
    post(BASE "/count", "{\"space\":\"t\",\"template\":[1]}");
    is(200, "{\"count\":0}");
    (void)snprintf(target, sizeof target, BASE "/transactions/%s/commit", tx);
    post(target, "{}");
    is(200, "{}");
    post(target, "{}");
    is(200, "{}");
    post(BASE "/count", "{\"space\":\"t\",\"template\":[1]}");
    is(200, "{\"count\":1}");
    (void)snprintf(target, sizeof target, BASE "/transactions/%s/abort", tx);
    post(target, "{}");
    is(409, "CONFLICT");
    post(BASE "/transactions/77/commit", "{}");
    is(404, "NOT_FOUND");
}
END_TEST

START_TEST(claims_are_confirmed_and_released)
{
    post(BASE "/tuples", "{\"space\":\"c\",\"tuples\":[[1],[2]]}");
    post(BASE "/take", "{\"space\":\"c\",\"template\":[{\"any\":true}],"
                       "\"claim\":{\"owner\":\"w\",\"turn\":1,"
                       "\"lease_ms\":60000}}");
    is(200, "\"fields\":[1]");
    post(BASE "/claims/release", "{\"owner\":\"w\",\"turn\":1}");
    is(200, "{\"count\":1}");
    post(BASE "/take", "{\"space\":\"c\",\"template\":[{\"any\":true}],"
                       "\"claim\":{\"owner\":\"w\",\"turn\":2,"
                       "\"lease_ms\":60000}}");
    is(200, "\"fields\":[1]");
    post(BASE "/claims/confirm", "{\"owner\":\"w\",\"turn\":2}");
    is(200, "{\"count\":1}");
    post(BASE "/claims/release", "{\"owner\":\"w\",\"turn\":2}");
    is(409, "CONFLICT");
    post(BASE "/count", "{\"space\":\"c\",\"template\":[]}");
    is(200, "{\"count\":1}");
}
END_TEST

START_TEST(spaces_have_options_and_quotas)
{
    post(BASE "/spaces", "{\"space\":\"q\",\"options\":{\"tuples_max\":2,"
                         "\"indexes\":[{\"arity\":2,\"exact\":[0],"
                         "\"ordered\":[1]}]}}");
    is(200, "{}");
    get(BASE "/spaces/q");
    is(200, "\"tuples_max\":2");
    is(200, "\"indexes\":[{\"arity\":2,\"exact\":[0],\"types\":[],"
            "\"ordered\":[1]}]");
    post(BASE "/tuples", "{\"space\":\"q\",\"tuples\":[[1],[2],[3]]}");
    is(429, "LIMIT");
    post(BASE "/tuples", "{\"space\":\"q\",\"tuples\":[[1],[2]]}");
    is(200, "ids");
    get(BASE "/spaces/none");
    is(404, "none");
    get(BASE "/spaces");
    is(200, "\"q\"");
}
END_TEST

START_TEST(guaranteed_events_wait_until_acknowledged)
{
    char target[256], id[64];

    post(BASE "/subscriptions", "{\"space\":\"e\",\"template\":[\"x\","
                                "{\"any\":true}],\"events\":[\"written\"],"
                                "\"guaranteed\":true}");
    (void)snprintf(id, sizeof id, "%s", member("subscription_id"));
    post(BASE "/tuples",
         "{\"space\":\"e\",\"tuples\":[[\"x\",1],[\"y\",1],[\"x\",2]]}");
    (void)snprintf(target, sizeof target,
                   BASE "/subscriptions/%s/events?timeout_ms=5000&max_events=1",
                   id);
    get(target);
    is(200, "{\"events\":[{\"event\":\"written\",\"number\":1,\"lost\":0,");
    (void)snprintf(target, sizeof target,
                   BASE "/subscriptions/%s/events?timeout_ms=5000", id);
    get(target);
    is(200, "\"number\":1");
    is(200, "\"number\":2");
    (void)snprintf(target, sizeof target, BASE "/subscriptions/%s/acknowledge",
                   id);
    post(target, "{\"up_to\":1}");
    is(200, "{}");
    (void)snprintf(target, sizeof target,
                   BASE "/subscriptions/%s/events?timeout_ms=5000", id);
    get(target);
    is(200, "{\"events\":[{\"event\":\"written\",\"number\":2");
    (void)snprintf(target, sizeof target,
                   BASE "/subscriptions/%s/events?acknowledge=2", id);
    get(target);
    is(200, "{\"events\":[]}");
    (void)snprintf(target, sizeof target, BASE "/subscriptions/%s", id);
    http_do(GATEWAY_ADDR, "DELETE", target, "", NULL, &answer);
    is(200, "{}");
    (void)snprintf(target, sizeof target, BASE "/subscriptions/%s/events", id);
    get(target);
    is(404, "NOT_FOUND");
}
END_TEST

/* Read until `want` has come. */
static void
expect(int fd, const char *want)
{
    static char text[65536];
    size_t used = 0;

    text[0] = '\0';
    while (strstr(text, want) == NULL) {
        const ssize_t n = recv(fd, text + used, sizeof text - 1 - used, 0);

        ck_assert_msg(n > 0, "no \"%s\" in \"%s\"", want, text);
        used += (size_t)n;
        text[used] = '\0';
    }
}

START_TEST(events_are_streamed)
{
    const int fd = dial_and_send(
        "GET " BASE "/subscribe?space=ev&template=%5B%7B%22any%22%3Atrue%7D%5D"
        "&events=written,taken HTTP/1.1\r\nHost: localhost\r\n\r\n");

    expect(fd, "subscription_id");
    post(BASE "/tuples", "{\"space\":\"ev\",\"tuples\":[[5]]}");
    expect(fd, "event: written\ndata: {\"event\":\"written\"");
    post(BASE "/take", "{\"space\":\"ev\",\"template\":[5]}");
    expect(fd, "event: taken\n");
    (void)close(fd);
    /* The gateway notices at its next beat. */
    get(BASE "/subscribe?space=ev&bad=1");
    is(400, "bad");
    get(BASE "/subscribe?space=ev&template=5");
    is(400, "template");
    get(BASE "/subscribe?subscription_id=x");
    is(400, "numbers");
}
END_TEST

START_TEST(bad_requests_say_what_is_wrong)
{
    static const struct {
        const char *target, *body, *words;
    } bad[] = {
        {"/tuples", "{\"space\":\"s\",\"tuples\":[]}", "1 to 10000"},
        {"/tuples", "{\"space\":\"s\",\"tuples\":[[]]}", "0 fields"},
        {"/tuples", "{\"space\":\"a/b\",\"tuples\":[[1]]}", "space"},
        {"/tuples", "{\"tuples\":[[1]]}", "space"},
        {"/tuples", "{\"space\":\"s\",\"tuples\":[[1]],\"x\":1}", "x is not"},
        {"/tuples", "{", "not JSON"},
        {"/tuples", "{\"space\":\"s\",\"tuples\":[[1e999]]}", "not JSON"},
        {"/read", "{\"space\":\"s\",\"template\":[{\"regex\":\"(\"}]}",
         "template"},
        {"/read", "{\"space\":\"s\",\"template\":[{\"gt\":1,\"gte\":2}]}",
         "lower"},
        {"/read", "{\"space\":\"s\",\"template\":[1],\"timeout_ms\":3600001}",
         "timeout_ms"},
        {"/read", "{\"space\":\"s\",\"template\":[1],\"max_results\":10001}",
         "max_results"},
        {"/read",
         "{\"space\":\"s\",\"template\":[1],\"claim\":{\"owner\":\"x\"}}",
         "claim"},
        {"/take", "{\"space\":\"s\",\"template\":[],\"timeout_ms\":1}",
         "template"},
        {"/transactions", "{\"timeout_ms\":3600001}", "timeout_ms"},
        {"/subscriptions",
         "{\"space\":\"s\",\"template\":[1],\"events\":[\"read\"]}", "events"},
        {"/spaces",
         "{\"space\":\"s\",\"options\":{\"indexes\":[{\"arity\":1,"
         "\"exact\":[1]}]}}",
         "exact"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char target[256];

        (void)snprintf(target, sizeof target, BASE "%s", bad[i].target);
        post(target, bad[i].body);
        is(400, bad[i].words);
    }
    post_keyed(BASE "/tuples", "", "{\"space\":\"s\",\"tuples\":[[1]]}");
    is(400, "INVALID_IDEMPOTENCY_KEY");
    http_do(GATEWAY_ADDR, "PATCH", BASE "/tuples", "", "{}", &answer);
    is(405, "METHOD_NOT_ALLOWED");
}
END_TEST

START_TEST(openapi_describes_the_json_form)
{
    json_t *document, *schemas;

    get("/openapi.json");
    ck_assert_int_eq(answer.status, 200);
    document = json_loads(answer.body, 0, NULL);
    schemas =
        json_object_get(json_object_get(document, "components"), "schemas");
    ck_assert_str_eq(
        json_string_value(json_object_get(
            json_object_get(schemas, "plexspaces.tuplespace.v1.Template"),
            "type")),
        "array");
    ck_assert_ptr_nonnull(json_object_get(
        json_object_get(
            json_object_get(schemas, "plexspaces.tuplespace.v1.WriteRequest"),
            "properties"),
        "ttl_ms"));
    json_decref(document);
}
END_TEST

START_TEST(a_tuple_space_that_is_away_is_503)
{
    plex_instance_stop(tuplespace);
    tuplespace = NULL;
    post(BASE "/tuples", "{\"space\":\"s\",\"tuples\":[[1]]}");
    is(503, "UNAVAILABLE");
    tuplespace_start();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace rest");
    TCase *tcase = tcase_create("rest");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tuples_are_written_read_taken_and_counted);
    tcase_add_test(tcase, all_values_come_back_as_they_were);
    tcase_add_test(tcase, namespaces_and_spaces_are_apart);
    tcase_add_test(tcase, a_keyed_take_gives_the_same_tuple_again);
    tcase_add_test(tcase, a_take_waits_for_its_tuple);
    tcase_add_test(tcase, a_client_that_leaves_takes_nothing);
    tcase_add_test(tcase, tuples_are_swapped_updated_moved_and_cleared);
    tcase_add_test(tcase, leases_are_renewed_and_cancelled_by_their_owner);
    tcase_add_test(tcase, transactions_are_committed_and_aborted_once);
    tcase_add_test(tcase, claims_are_confirmed_and_released);
    tcase_add_test(tcase, spaces_have_options_and_quotas);
    tcase_add_test(tcase, guaranteed_events_wait_until_acknowledged);
    tcase_add_test(tcase, events_are_streamed);
    tcase_add_test(tcase, bad_requests_say_what_is_wrong);
    tcase_add_test(tcase, openapi_describes_the_json_form);
    tcase_add_test(tcase, a_tuple_space_that_is_away_is_503);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
