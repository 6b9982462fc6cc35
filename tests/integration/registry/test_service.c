/* The real registry and its client, each on a thread, over ipc:// links. */
#include "common/mem.h"
#include "common/wire.h"
#include "services/registry/service.h"
#include "tests/integration/registry/probe.h"

#include "plexspaces/application/v1/application.pb-c.h"
#include "plexspaces/node/v1/node.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APP(name) Plexspaces__Application__V1__##name

static char folder[64], url[128], dsn[128], probe_urls[3][128];
static struct plex_setting settings[6];
static struct plex_instance *registry;
static struct probe_result result;

static void
registry_start(void)
{
    struct plex_err err;

    ck_assert_msg(
        plex_instance_start(&registry, &reg_service, settings, &err) == PLEX_OK,
        "%s", err.text);
    ck_assert(plex_instance_wait_ready(registry, 5000));
}

static void
setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/plex-registry-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(url, sizeof url, "ipc://%s/registry", folder);
    snprintf(dsn, sizeof dsn, "sqlite:%s/r.db", folder);
    for (int i = 0; i < 3; i++)
        snprintf(probe_urls[i], sizeof probe_urls[i], "ipc://%s/probe%d",
                 folder, i);
    settings[0] = (struct plex_setting){"listen_url", url};
    settings[1] = (struct plex_setting){"registry_url", url};
    settings[2] = (struct plex_setting){"admin_addr", ""};
    settings[3] = (struct plex_setting){"store_dsn", dsn};
    settings[4] = (struct plex_setting){"log_level", "error"};
    registry_start();
}

static void
teardown(void)
{
    char command[128];

    plex_instance_stop(registry);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const struct reg_node *
node_of(struct reg_catalog *catalog, const char *node_id)
{
    size_t n;
    const struct reg_node *nodes = reg_catalog_nodes(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(nodes[i].node_id, node_id) == 0)
            return &nodes[i];
    return NULL;
}

static bool
is_ready(struct reg_catalog *catalog, void *node_id)
{
    const struct reg_node *node = node_of(catalog, node_id);

    return node != NULL && node->status == REG_NODE_READY;
}

static bool
is_lost_or_gone(struct reg_catalog *catalog, void *node_id)
{
    const struct reg_node *node = node_of(catalog, node_id);

    return node == NULL || node->status == REG_NODE_LOST;
}

static bool
is_gone(struct reg_catalog *catalog, void *node_id)
{
    return node_of(catalog, node_id) == NULL;
}

static bool
has_type(struct reg_catalog *catalog, void *type)
{
    return reg_catalog_type(catalog, "default", "default", type, NULL) != NULL;
}

static enum plex_status
call(struct probe *probe, uint32_t method, const ProtobufCMessage *message)
{
    struct plex_buf out = {.max = PROBE_PAYLOAD_MAX};
    struct plex_err err;

    ck_assert_int_eq(plex_wire_pack(message, &out, &err), PLEX_OK);
    probe_call(probe, url, method, "default",
               (struct plex_bytes){out.data, out.len}, &result);
    plex_buf_free(&out);
    return result.status;
}

static enum plex_status
deploy(struct probe *probe, char *name, char *type)
{
    APP(ActorType) pb_type = PLEXSPACES__APPLICATION__V1__ACTOR_TYPE__INIT;
    APP(ActorType) * types[] = {&pb_type};
    APP(Application) app = PLEXSPACES__APPLICATION__V1__APPLICATION__INIT;
    APP(DeployApplicationRequest)
    request = PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_REQUEST__INIT;

    pb_type.name = type;
    pb_type.module = (char *)"counter";
    pb_type.durable = true;
    app.name = name;
    app.version = (char *)"1.0.0";
    app.actor_types = types;
    app.n_actor_types = 1;
    request.application = &app;
    return call(probe, 301, &request.base);
}

START_TEST(everybody_is_in_everybodys_catalogue)
{
    struct probe *a = probe_start("a", probe_urls[0], url);
    struct probe *b = probe_start("b", probe_urls[1], url);

    ck_assert(plex_instance_wait_ready(a->instance, 5000));
    ck_assert(probe_until(a, is_ready, (void *)"b"));
    ck_assert(probe_until(b, is_ready, (void *)"a"));
    ck_assert(probe_until(b, is_ready, (void *)"registry"));
    probe_stop(b);
    /* A clean end withdraws at once. */
    ck_assert(probe_until(a, is_gone, (void *)"b"));
    probe_stop(a);
}
END_TEST

START_TEST(a_killed_node_is_lost_and_its_name_free_again)
{
    struct probe *a = probe_start("a", probe_urls[0], url);
    struct probe *b = probe_start("b", probe_urls[1], url);

    ck_assert(probe_until(a, is_ready, (void *)"b"));
    probe_kill(b);
    b = probe_start("b", probe_urls[1], url);
    ck_assert(plex_instance_wait_ready(b->instance, 5000));
    ck_assert(probe_until(a, is_ready, (void *)"b"));
    probe_kill(b);
    ck_assert(probe_until(a, is_lost_or_gone, (void *)"b"));
    probe_stop(a);
}
END_TEST

START_TEST(a_second_node_of_the_name_is_refused)
{
    struct probe *a = probe_start("a", probe_urls[0], url);
    struct probe *again;

    ck_assert(plex_instance_wait_ready(a->instance, 5000));
    again = probe_start("a", probe_urls[1], url);
    ck_assert(!plex_instance_wait_ready(again->instance, 700));
    pthread_mutex_lock(&again->lock);
    ck_assert_uint_gt(again->refusals, 0);
    pthread_mutex_unlock(&again->lock);
    probe_kill(again);
    probe_stop(a);
}
END_TEST

START_TEST(what_is_deployed_reaches_the_watchers_and_survives_a_restart)
{
    struct probe *a = probe_start("a", probe_urls[0], url);

    ck_assert(probe_until(a, is_ready, (void *)"a"));
    ck_assert_msg(deploy(a, (char *)"shop", (char *)"cart") == PLEX_OK, "%s",
                  result.text);
    ck_assert(probe_until(a, has_type, (void *)"cart"));
    pthread_mutex_lock(&a->lock);
    a->fewest_nodes = SIZE_MAX;
    pthread_mutex_unlock(&a->lock);
    plex_instance_kill(registry);
    registry_start();
    ck_assert_msg(deploy(a, (char *)"other", (char *)"till") == PLEX_OK, "%s",
                  result.text);
    ck_assert(probe_until(a, has_type, (void *)"till"));
    ck_assert(probe_until(a, has_type, (void *)"cart"));
    ck_assert(probe_until(a, is_ready, (void *)"a"));
    pthread_mutex_lock(&a->lock);
    /* Itself and the registry: no catalogue of the new life was without. */
    ck_assert_uint_eq(a->fewest_nodes, 2);
    pthread_mutex_unlock(&a->lock);
    probe_stop(a);
}
END_TEST

START_TEST(bad_requests_are_told_what_is_wrong)
{
    struct probe *a = probe_start("a", probe_urls[0], url);
    APP(DeployApplicationRequest)
    empty = PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_REQUEST__INIT;
    APP(UndeployApplicationRequest)
    nothing = PLEXSPACES__APPLICATION__V1__UNDEPLOY_APPLICATION_REQUEST__INIT;
    Plexspaces__Node__V1__GetNodeRequest node =
        PLEXSPACES__NODE__V1__GET_NODE_REQUEST__INIT;
    Plexspaces__Node__V1__ListNodesRequest list =
        PLEXSPACES__NODE__V1__LIST_NODES_REQUEST__INIT;

    ck_assert_int_eq(deploy(a, (char *)"shop", (char *)"Cart"), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(result.text, "actor_types[0]: name"));
    ck_assert_int_eq(call(a, 301, &empty.base), PLEX_INVALID);
    ck_assert_str_eq(result.text, "application is missing");
    nothing.name = (char *)"nothing";
    ck_assert_int_eq(call(a, 306, &nothing.base), PLEX_NOT_FOUND);
    node.node_id = (char *)"nobody";
    ck_assert_int_eq(call(a, 202, &node.base), PLEX_NOT_FOUND);
    list.page_size = 1001;
    ck_assert_int_eq(call(a, 201, &list.base), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(result.text, "page_size"));
    probe_call(a, url, 301, "default",
               (struct plex_bytes){(const uint8_t *)"\xff\xff\xff", 3},
               &result);
    ck_assert_int_eq(result.status, PLEX_INVALID);
    probe_stop(a);
}
END_TEST

START_TEST(lists_come_in_pages)
{
    struct probe *a = probe_start("a", probe_urls[0], url);
    char names[5][8], types[5][8];
    struct plex_arena arena;
    ProtobufCMessage *message;
    struct plex_err err;
    APP(ListApplicationsRequest)
    request = PLEXSPACES__APPLICATION__V1__LIST_APPLICATIONS_REQUEST__INIT;
    APP(ListApplicationsResponse) * page;
    char token[100] = "";
    size_t seen = 0;

    for (int i = 0; i < 5; i++) {
        snprintf(names[i], sizeof names[i], "app%d", i);
        snprintf(types[i], sizeof types[i], "t%d", i);
        ck_assert_int_eq(deploy(a, names[i], types[i]), PLEX_OK);
    }
    plex_arena_init(&arena, 1 << 20);
    do {
        request.page_size = 2;
        request.page_token = token;
        ck_assert_int_eq(call(a, 302, &request.base), PLEX_OK);
        ck_assert_int_eq(
            plex_wire_unpack(
                &plexspaces__application__v1__list_applications_response__descriptor,
                (struct plex_bytes){result.payload, result.len}, &arena,
                &message, &err),
            PLEX_OK);
        page = (APP(ListApplicationsResponse) *)message;
        for (size_t i = 0; i < page->n_applications; i++)
            ck_assert_str_eq(page->applications[i]->name, names[seen++]);
        snprintf(token, sizeof token, "%s", page->next_page_token);
    } while (token[0] != '\0');
    ck_assert_uint_eq(seen, 5);
    plex_arena_fini(&arena);
    probe_stop(a);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry.service");
    TCase *tc = tcase_create("service");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, everybody_is_in_everybodys_catalogue);
    tcase_add_test(tc, a_killed_node_is_lost_and_its_name_free_again);
    tcase_add_test(tc, a_second_node_of_the_name_is_refused);
    tcase_add_test(
        tc, what_is_deployed_reaches_the_watchers_and_survives_a_restart);
    tcase_add_test(tc, bad_requests_are_told_what_is_wrong);
    tcase_add_test(tc, lists_come_in_pages);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
