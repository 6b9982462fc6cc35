/* The real registry and placement, and workers that only keep their leases,
 * each on a thread, over ipc:// links. */
#include "services/placement/service.h"
#include "services/registry/service.h"
#include "tests/integration/placement/worker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], registry_url[128], placement_url[128], dsn[128];
static struct plex_setting registry_settings[6], placement_settings[8];
static struct plex_instance *registry, *placement;

static void
placement_start(void)
{
    struct plex_err err;

    ck_assert_msg(plex_instance_start(&placement, &place_service,
                                      placement_settings, &err) == PLEX_OK,
                  "%s", err.text);
}

static void
setup(void)
{
    struct plex_err err;

    snprintf(folder, sizeof folder, "/tmp/plex-placement-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(registry_url, sizeof registry_url, "ipc://%s/registry", folder);
    snprintf(placement_url, sizeof placement_url, "ipc://%s/place", folder);
    snprintf(dsn, sizeof dsn, "sqlite:%s/p.db", folder);
    registry_settings[0] = (struct plex_setting){"listen_url", registry_url};
    registry_settings[1] = (struct plex_setting){"admin_addr", ""};
    registry_settings[2] = (struct plex_setting){"store_dsn", "mem:"};
    registry_settings[3] = (struct plex_setting){"log_level", "error"};
    placement_settings[0] = (struct plex_setting){"listen_url", placement_url};
    placement_settings[1] = (struct plex_setting){"registry_url", registry_url};
    placement_settings[2] = (struct plex_setting){"admin_addr", ""};
    placement_settings[3] = (struct plex_setting){"store_dsn", dsn};
    placement_settings[4] = (struct plex_setting){"settle_ms", "200"};
    placement_settings[5] = (struct plex_setting){"log_level", "error"};
    ck_assert_int_eq(
        plex_instance_start(&registry, &reg_service, registry_settings, &err),
        PLEX_OK);
    placement_start();
}

static void
teardown(void)
{
    char command[128];

    plex_instance_stop(placement);
    plex_instance_stop(registry);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(the_first_worker_gets_everything_the_second_its_half)
{
    struct worker *a = worker_start("a", folder, registry_url);
    struct worker *b;

    ck_assert(worker_until_owns(a, 4096));
    b = worker_start("b", folder, registry_url);
    ck_assert(worker_until_owns(b, 2048));
    ck_assert(worker_until_owns(a, 2048));
    worker_stop(b);
    ck_assert(worker_until_owns(a, 4096));
    worker_stop(a);
}
END_TEST

START_TEST(a_killed_workers_shards_move_with_a_higher_epoch)
{
    struct worker *a = worker_start("a", folder, registry_url);
    struct worker *b;
    uint64_t epoch;

    ck_assert(worker_until_owns(a, 4096));
    b = worker_start("b", folder, registry_url);
    ck_assert(worker_until_owns(b, 2048));
    epoch = b->epoch0;
    worker_kill(a);
    ck_assert(worker_until_owns(b, 4096));
    ck_assert_uint_gt(b->epoch0, epoch);
    worker_stop(b);
}
END_TEST

START_TEST(owners_keep_their_shards_when_placement_restarts)
{
    struct worker *a = worker_start("a", folder, registry_url);
    uint64_t version, epoch;

    ck_assert(worker_until_owns(a, 4096));
    version = a->version;
    epoch = a->epoch0;
    plex_instance_kill(placement);
    placement_start();
    ck_assert(plex_instance_wait_ready(placement, 5000));
    ck_assert(worker_drain(a, "a", 4096));
    ck_assert(worker_until_owns(a, 0));
    ck_assert_uint_gt(a->version, version);
    ck_assert_uint_eq(a->epoch0, epoch);
    worker_stop(a);
}
END_TEST

START_TEST(draining_moves_every_shard)
{
    struct worker *a = worker_start("a", folder, registry_url);
    struct worker *b;

    ck_assert(worker_until_owns(a, 4096));
    b = worker_start("b", folder, registry_url);
    ck_assert(worker_until_owns(b, 2048));
    ck_assert(!worker_drain(b, "nobody", 0));
    ck_assert_int_eq(b->drain_status, PLEX_NOT_FOUND);
    ck_assert(worker_drain(b, "a", 0));
    ck_assert(worker_until_owns(b, 4096));
    worker_stop(a);
    worker_stop(b);
}
END_TEST

START_TEST(a_second_placement_waits_until_the_first_has_ended)
{
    char url[128];
    struct plex_setting settings[8];
    struct plex_instance *second;
    struct plex_err err;

    memcpy(settings, placement_settings, sizeof settings);
    snprintf(url, sizeof url, "ipc://%s/place2", folder);
    settings[0].value = url;
    settings[6] = (struct plex_setting){"node", "placement-2"};
    ck_assert(plex_instance_wait_ready(placement, 5000));
    ck_assert_int_eq(
        plex_instance_start(&second, &place_service, settings, &err), PLEX_OK);
    ck_assert(!plex_instance_wait_ready(second, 500));
    plex_instance_stop(placement);
    ck_assert(plex_instance_wait_ready(second, 8000));
    placement = second;
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.service");
    TCase *tc = tcase_create("service");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_first_worker_gets_everything_the_second_its_half);
    tcase_add_test(tc, a_killed_workers_shards_move_with_a_higher_epoch);
    tcase_add_test(tc, owners_keep_their_shards_when_placement_restarts);
    tcase_add_test(tc, draining_moves_every_shard);
    tcase_add_test(tc, a_second_placement_waits_until_the_first_has_ended);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
