#include "tests/integration/tuplespace/two_spaces.h"

#include "common/loop.h"
#include "services/gateway/service.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING(x) #x
#define TEXT(x) STRING(x)
#define GATEWAY_ADDR "127.0.0.1:" TEXT(TWO_SPACES_PORT)
enum { WAIT_MS = 10000 };

static struct plex_instance *registry, *spaces[2], *gateway;
struct http_answer answer;
static const char registry_url[] = "inproc://tspace-shards-registry";

static void
instance_start(struct plex_instance **out, const struct plex_service *service,
               const struct plex_setting *settings)
{
    struct plex_err err = {0};

    ck_assert_msg(plex_instance_start(out, service, settings, &err) == PLEX_OK,
                  "%s", err.text);
}

void
ask(const char *method, const char *target, const char *body)
{
    http_do(GATEWAY_ADDR, method, target,
            body != NULL ? "Content-Type: application/json\r\n" : "", body,
            &answer);
}

void
post(const char *target, const char *body)
{
    ask("POST", target, body);
}

void
post_keyed(const char *target, const char *key, const char *body)
{
    char headers[256];

    (void)snprintf(headers, sizeof headers,
                   "Content-Type: application/json\r\n"
                   "Idempotency-Key: \"%s\"\r\n",
                   key);
    http_do(GATEWAY_ADDR, "POST", target, headers, body, &answer);
}

void
is(int status, const char *words)
{
    ck_assert_msg(answer.status == status, "%s%s", answer.head, answer.body);
    ck_assert_msg(strstr(answer.body, words) != NULL, "\"%s\" is not in %s",
                  words, answer.body);
}

uint64_t
number(const char *name)
{
    json_t *json = json_loads(answer.body, 0, NULL);
    json_t *value = json_object_get(json, name);
    uint64_t out;

    ck_assert_msg(value != NULL, "no %s in %s", name, answer.body);
    out = json_is_string(value) ? strtoull(json_string_value(value), NULL, 10)
                                : (uint64_t)json_integer_value(value);
    json_decref(json);
    return out;
}

void
two_spaces_start(void)
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
        {"listen_url", "inproc://tspace-shards-gateway"},
        {"registry_url", registry_url},
        {"admin_addr", ""},
        {"log_level", "error"},
        {0},
    };
    static const char *const nodes[] = {"shards-0", "shards-1"};
    static const char *const urls[] = {"inproc://tspace-shards-0",
                                       "inproc://tspace-shards-1"};
    const uint64_t end = plex_now() + (uint64_t)WAIT_MS * 1000000;
    uint64_t tuples = 0;

    instance_start(&registry, &reg_service, registry_settings);
    for (int i = 0; i < 2; i++) {
        const struct plex_setting of[] = {
            {"node", nodes[i]},
            {"listen_url", urls[i]},
            {"registry_url", registry_url},
            {"admin_addr", ""},
            {"store_dsn", "mem:shared"},
            {"log_level", "error"},
            {0},
        };

        instance_start(&spaces[i], &tspace_service, of);
        ck_assert(plex_instance_wait_ready(spaces[i], WAIT_MS));
    }
    instance_start(&gateway, &gate_service, settings);
    /* Until every shard has its owner, and everybody knows it. */
    do {
        tuples = 0;
        post(BASE "/spaces", "{\"space\":\"first\",\"options\":{"
                             "\"partition_field\":0}}");
        ck_assert_msg(plex_now() < end, "%s", answer.body);
        if (answer.status != 200)
            continue;
        post(BASE "/count", "{\"space\":\"first\",\"template\":[]}");
        tuples = answer.status == 200;
    } while (tuples == 0);
}

void
two_spaces_stop(void)
{
    plex_instance_stop(gateway);
    for (int i = 0; i < 2; i++)
        plex_instance_stop(spaces[i]);
    plex_instance_stop(registry);
}
