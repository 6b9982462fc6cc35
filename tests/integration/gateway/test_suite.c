/* The gateway with real services around it, all in this process. */
#include "services/gateway/service.h"
#include "services/journal/service.h"
#include "services/placement/service.h"
#include "services/registry/service.h"
#include "services/worker/service.h"
#include "tests/integration/gateway/http_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ACTORS "/api/v1/actors/default/default/counter/"
#define REGISTRY_URL "inproc://gateway-suite-registry"

enum { PARTS = 6, WORKER_A = 3, WORKER_B = 4, GATEWAY = 5 };

static struct plex_instance *parts[PARTS];
static char addr[32]; /* free_addr() */
static struct http_answer answer;

static void
part_start(int at, const struct plex_service *service, const char *node,
           const char *url, const char *option, const char *value)
{
    static struct plex_setting given[PARTS][8];
    struct plex_err err;

    given[at][0] = (struct plex_setting){"node", node};
    given[at][1] = (struct plex_setting){"listen_url", url};
    given[at][2] = (struct plex_setting){"registry_url", REGISTRY_URL};
    given[at][3] = (struct plex_setting){"admin_addr", ""};
    given[at][4] = (struct plex_setting){"log_level", "error"};
    given[at][5] = (struct plex_setting){option, value};
    if (plex_instance_start(&parts[at], service, given[at], &err) != PLEX_OK) {
        (void)fprintf(stderr, "%s: %s\n", node, err.text);
        exit(1);
    }
}

static void
deploy(void)
{
    http_do(addr, "POST", "/api/v1/applications", "",
            "{\"application\":{\"name\":\"demo\",\"version\":\"1.0.0\","
            "\"actorTypes\":[{\"name\":\"counter\",\"module\":\"counter\","
            "\"virtual\":true,\"durable\":true},{\"name\":"
            "\"counter-volatile\",\"module\":\"counter\",\"behaviour\":"
            "\"counter\",\"virtual\":true}]}}",
            &answer);
    ck_assert_msg(answer.status == 200, "%s%s", answer.head, answer.body);
}

/* A port that nobody listens on. */
static void
free_addr(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        perror("no port is free");
        exit(1);
    }
    (void)close(fd);
    (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", ntohs(at.sin_port));
}

static void
start(void)
{
    free_addr();
    part_start(0, &reg_service, "registry", REGISTRY_URL, "store_dsn", "mem:");
    part_start(1, &place_service, "placement",
               "inproc://gateway-suite-placement", "store_dsn", "mem:");
    part_start(2, &journal_service, "journal", "inproc://gateway-suite-journal",
               "store_dsn", "mem:");
    part_start(WORKER_A, &work_service, "worker-a",
               "inproc://gateway-suite-worker-a", "module_dir", MODULE_DIR);
    part_start(WORKER_B, &work_service, "worker-b",
               "inproc://gateway-suite-worker-b", "module_dir", MODULE_DIR);
    part_start(GATEWAY, &gate_service, "gateway",
               "inproc://gateway-suite-gateway", "http_addr", addr);
    for (int i = 0; i < PARTS; i++)
        if (!plex_instance_wait_ready(parts[i], 10000)) {
            (void)fprintf(stderr, "part %d is not ready\n", i);
            exit(1);
        }
    deploy();
}

static void
stop(void)
{
    for (int i = PARTS - 1; i >= 0; i--)
        plex_instance_stop(parts[i]);
}

static void
is(int status, const char *words)
{
    ck_assert_msg(answer.status == status, "%s%s", answer.head, answer.body);
    ck_assert_msg(strstr(answer.body, words) != NULL, "%s", answer.body);
}

static void
get(const char *target)
{
    http_do(addr, "GET", target, "", NULL, &answer);
}

START_TEST(a_deployed_type_answers_at_once)
{
    get(ACTORS "first?action=increment");
    is(200, "{\"count\":1}");
    get(ACTORS "first?action=get");
    is(200, "{\"count\":1}");
    http_do(addr, "POST", ACTORS "first?invocation=call", "",
            "{\"action\":\"increment\",\"amount\":41}", &answer);
    is(200, "{\"count\":42}");
    get("/api/v1/actors/default/default/counter-volatile/v?action=increment");
    is(200, "{\"count\":1}");
    get(ACTORS "first?action=explode");
    ck_assert_int_eq(answer.status, 400);
}
END_TEST

START_TEST(a_key_is_applied_once_and_answers_the_same)
{
    const char *key = "Idempotency-Key: \"once\"\r\n";

    http_do(addr, "GET", ACTORS "keyed?action=increment&amount=5", key, NULL,
            &answer);
    is(200, "{\"count\":5}");
    http_do(addr, "GET", ACTORS "keyed?action=increment&amount=5", key, NULL,
            &answer);
    is(200, "{\"count\":5}");
    ck_assert_str_eq(http_header(&answer, "Idempotency-Replayed"), "true");
    http_do(addr, "GET", ACTORS "keyed?action=increment&amount=6", key, NULL,
            &answer);
    is(422, "IDEMPOTENCY_KEY_REUSED");
    get(ACTORS "keyed?action=get");
    is(200, "{\"count\":5}");
}
END_TEST

START_TEST(a_cast_can_be_looked_up)
{
    char location[600];

    http_do(addr, "POST", ACTORS "cast", "", "{\"action\":\"increment\"}",
            &answer);
    is(202, "accepted");
    (void)snprintf(location, sizeof location, "%s",
                   http_header(&answer, "Location"));
    get(location);
    is(200, "\"status\":\"succeeded\"");
    is(200, "\"reply\":{\"count\":1}");
    http_do(addr, "POST", ACTORS "cast", "Idempotency-Key: c-1\r\n",
            "{\"action\":\"increment\"}", &answer);
    (void)snprintf(location, sizeof location, "%s",
                   http_header(&answer, "Location"));
    get(location);
    is(200, "\"reply\":{\"count\":2}");
}
END_TEST

START_TEST(a_delayed_cast_is_scheduled_and_then_done)
{
    char location[600];

    http_do(addr, "POST", ACTORS "later?delay=300ms", "",
            "{\"action\":\"increment\"}", &answer);
    is(202, "due_ms");
    (void)snprintf(location, sizeof location, "%s",
                   http_header(&answer, "Location"));
    get(location);
    is(200, "\"status\":\"scheduled\"");
    strcat(location, "?wait=5s");
    get(location);
    is(200, "\"status\":\"succeeded\"");
    get(ACTORS "later?action=get");
    is(200, "{\"count\":1}");
}
END_TEST

START_TEST(the_suite_can_be_looked_at)
{
    get(ACTORS "looked?action=increment");
    is(200, "1");
    get("/api/v1/actors/default%2Fdefault%2Fcounter%2Flooked");
    is(200, "\"ACTOR_STATE_ACTIVE\"");
    get("/api/v1/actors?type=counter");
    is(200, "default/default/counter/looked");
    get("/api/v1/nodes");
    is(200, "\"worker-a\"");
    get("/api/v1/system/metrics/worker-a");
    is(200, "plexspaces_");
    get("/api/v1/applications/demo/status");
    is(200, "APPLICATION_STATE_RUNNING");
    get("/api/v1/applications");
    is(200, "\"demo\"");
    get("/api/v1/applications/nope/status");
    ck_assert_int_eq(answer.status, 404);
}
END_TEST

START_TEST(a_stopped_application_answers_503_until_it_is_started)
{
    http_do(addr, "POST", "/api/v1/applications/demo:stop", "", NULL, &answer);
    is(200, "APPLICATION_STATE_STOPPED");
    get(ACTORS "first?action=get");
    is(503, "APPLICATION_STOPPED");
    http_do(addr, "POST", "/api/v1/applications/demo:start", "", NULL, &answer);
    is(200, "APPLICATION_STATE_RUNNING");
    get(ACTORS "first?action=get");
    is(200, "count");
}
END_TEST

START_TEST(an_undeployed_type_is_404)
{
    http_do(addr, "DELETE", "/api/v1/applications/demo", "", NULL, &answer);
    ck_assert_int_eq(answer.status, 200);
    get(ACTORS "first?action=get");
    is(404, "ACTOR_TYPE_NOT_FOUND");
    deploy();
    get(ACTORS "first?action=get");
    is(200, "count");
}
END_TEST

START_TEST(durable_actors_answer_again_when_their_worker_is_killed)
{
    const time_t begin = time(NULL);
    char target[200];

    for (int i = 0; i < 32; i++) {
        (void)snprintf(target, sizeof target, ACTORS "k%d?action=increment", i);
        get(target);
        is(200, "{\"count\":1}");
    }
    plex_instance_kill(parts[WORKER_A]);
    parts[WORKER_A] = NULL;
    for (int i = 0; i < 32; i++) {
        (void)snprintf(target, sizeof target, ACTORS "k%d?action=increment", i);
        get(target);
        is(200, "{\"count\":2}");
    }
    ck_assert_int_le(time(NULL) - begin, 5);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.suite");
    TCase *tc = tcase_create("suite");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, start, stop);
    tcase_add_test(tc, a_deployed_type_answers_at_once);
    tcase_add_test(tc, a_key_is_applied_once_and_answers_the_same);
    tcase_add_test(tc, a_cast_can_be_looked_up);
    tcase_add_test(tc, a_delayed_cast_is_scheduled_and_then_done);
    tcase_add_test(tc, the_suite_can_be_looked_at);
    tcase_add_test(tc, a_stopped_application_answers_503_until_it_is_started);
    tcase_add_test(tc, an_undeployed_type_is_404);
    tcase_add_test(tc, durable_actors_answer_again_when_their_worker_is_killed);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
