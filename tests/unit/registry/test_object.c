/* Objects: each rule. */
#include "tests/unit/registry/object_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(what_is_registered_is_found_and_what_is_unregistered_is_not)
{
    ck_assert_int_eq(world_add_plain(3, "billing", 0), PLEX_OK);
    ck_assert_str_eq(world_told()->objects[0]->id, "billing");
    ck_assert_int_eq(world_look(3, "billing"), PLEX_OK);
    ck_assert_int_eq(world_look(0, "billing"), PLEX_OK);
    ck_assert_int_eq(world_look(4, "billing"), PLEX_NOT_FOUND);
    ck_assert_int_eq(world_by_name(REG_OBJECT_UNREGISTER, 4, "billing"),
                     PLEX_NOT_FOUND);
    ck_assert_int_eq(world_by_name(REG_OBJECT_UNREGISTER, 3, "billing"),
                     PLEX_OK);
    ck_assert_int_eq(world_look(3, "billing"), PLEX_NOT_FOUND);
    ck_assert_uint_eq(reg_objects_stats(world_objects).objects, 0);
    ck_assert_uint_eq(reg_objects_stats(world_objects).bytes, 0);
}
END_TEST

START_TEST(an_id_of_two_types_needs_its_type)
{
    (void)world_add_plain(3, "x", 0);
    (void)world_add_plain(4, "x", 0);
    ck_assert_int_eq(world_look(0, "x"), PLEX_CONFLICT);
    ck_assert_int_eq(world_look(4, "x"), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->type, 4);
}
END_TEST

START_TEST(registering_again_replaces_all_but_the_age)
{
    struct reg_object what = world_object(3, "x");
    const uint64_t made = world_when.wall_ms;
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);

    what.category = "old";
    (void)world_add(&what);
    world_later(70);
    what.category = "new";
    ck_assert_int_eq(world_add(&what), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->created_ms, made);
    ck_assert_uint_eq(world_told()->objects[0]->updated_ms, made + 70);
    ck_assert_uint_eq(world_told()->objects[0]->revision, 2);
    find.filter.category = "old";
    ck_assert_str_eq(world_found(&find), "");
    find.filter.category = "new";
    ck_assert_str_eq(world_found(&find), "x");
}
END_TEST

START_TEST(a_ttl_ends_unless_a_heartbeat_comes)
{
    (void)world_add_plain(3, "x", 5000);
    ck_assert_uint_eq(reg_objects_wake(world_objects),
                      world_when.now_ns + 5000ULL * MS);
    world_later(4000);
    ck_assert_int_eq(world_beat(3, "x", 0, ""), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->left_ms, 5000);
    world_later(4999);
    ck_assert_int_eq(world_look(3, "x"), PLEX_OK);
    world_later(1);
    ck_assert_int_eq(world_look(3, "x"), PLEX_NOT_FOUND);
    ck_assert_uint_eq(reg_objects_wake(world_objects), UINT64_MAX);
    ck_assert_ptr_null(world_store[0]);
}
END_TEST

START_TEST(a_shorter_ttl_counts_at_once_and_none_is_for_ever)
{
    (void)world_add_plain(3, "x", 50000);
    (void)world_add_plain(3, "x", 1000);
    (void)world_add_plain(3, "y", 1000);
    (void)world_add_plain(3, "y", 0);
    world_later(1000);
    ck_assert_int_eq(world_look(3, "x"), PLEX_NOT_FOUND);
    ck_assert_int_eq(world_look(3, "y"), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->left_ms, 0);
}
END_TEST

START_TEST(a_heartbeat_brings_health_and_metrics)
{
    struct reg_object_request count = world_request(REG_OBJECT_COUNT);

    (void)world_add_plain(3, "x", 0);
    (void)world_add_plain(3, "y", 0);
    ck_assert_int_eq(world_beat(3, "x", REG_HEALTH_DEGRADED, "slow"), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->health, REG_HEALTH_DEGRADED);
    ck_assert_str_eq(world_told()->objects[0]->reason, "slow");
    ck_assert_uint_eq(world_told()->objects[0]->heartbeats, 1);
    ck_assert_str_eq(world_told()->objects[0]->metrics[0].name, "load");
    ck_assert(world_told()->objects[0]->metrics[0].value == 0.5);
    (void)world_beat(0, "x", 0, "");
    ck_assert_uint_eq(world_told()->objects[0]->health, REG_HEALTH_DEGRADED);
    ck_assert_str_eq(world_told()->objects[0]->reason, "slow");
    ck_assert_int_eq(world_send(&count), PLEX_OK);
    ck_assert_uint_eq(world_told()->counts[3][REG_HEALTH_HEALTHY], 1);
    ck_assert_uint_eq(world_told()->counts[3][REG_HEALTH_DEGRADED], 1);
    ck_assert_int_eq(world_beat(3, "z", 0, ""), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(heartbeats_are_stored_when_they_say_something_or_once_a_minute)
{
    (void)world_add_plain(3, "x", 0);
    world_later(1000);
    (void)world_beat(3, "x", REG_HEALTH_HEALTHY, "");
    ck_assert_uint_eq(world_store[0]->heartbeats, 0);
    (void)world_beat(3, "x", REG_HEALTH_STOPPING, "");
    ck_assert_uint_eq(world_store[0]->health, REG_HEALTH_STOPPING);
    ck_assert_uint_eq(world_store[0]->heartbeats, 2);
    world_later(REG_OBJECT_STORE_MS - 1);
    (void)world_beat(3, "x", 0, "");
    ck_assert_uint_eq(world_store[0]->heartbeats, 2);
    world_later(1);
    (void)world_beat(3, "x", 0, "");
    ck_assert_uint_eq(world_store[0]->heartbeats, 4);
}
END_TEST

START_TEST(many_heartbeats_say_which_objects_are_missing)
{
    const struct reg_object_beat beats[] = {
        {.name = {3, "x"}, .reason = ""},
        {.name = {3, "gone"}, .reason = ""},
        {.name = {0, "y"}, .health = REG_HEALTH_UNHEALTHY, .reason = "no"},
    };
    struct reg_object_request what = world_request(REG_OBJECT_HEARTBEATS);

    (void)world_add_plain(3, "x", 0);
    (void)world_add_plain(1, "y", 0);
    what.beats = beats;
    what.n_beats = 3;
    ck_assert_int_eq(world_send(&what), PLEX_OK);
    ck_assert_uint_eq(world_told()->accepted, 2);
    ck_assert_uint_eq(world_told()->n_missing, 1);
    ck_assert_str_eq(world_told()->missing[0].id, "gone");
    (void)world_look(1, "y");
    ck_assert_uint_eq(world_told()->objects[0]->health, REG_HEALTH_UNHEALTHY);
}
END_TEST

START_TEST(filters_all_hold_and_lists_are_all_and_any)
{
    const char *both[] = {"gpu", "avx"}, *gpu[] = {"gpu"};
    const char *east[] = {"zone=east"}, *west[] = {"zone=west", "ssd"};
    const char *any[] = {"zone=none", "zone=east", "zone=west"};
    struct reg_object what = world_object(3, "a");
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);

    what.capabilities = (struct reg_texts){both, 2};
    what.labels = (struct reg_texts){east, 1};
    what.node_id = "n1";
    (void)world_add(&what);
    world_later(1);
    what = world_object(4, "b");
    what.capabilities = (struct reg_texts){gpu, 1};
    what.labels = (struct reg_texts){west, 2};
    what.health = REG_HEALTH_STARTING;
    (void)world_add(&what);
    world_later(1);
    (void)world_add_plain(4, "c", 0);

    ck_assert_str_eq(world_found(&find), "a b c");
    find.filter.capabilities = (struct reg_texts){gpu, 1};
    ck_assert_str_eq(world_found(&find), "a b");
    find.filter.capabilities = (struct reg_texts){both, 2};
    ck_assert_str_eq(world_found(&find), "a");
    find.filter.capabilities = (struct reg_texts){0};
    find.filter.labels = (struct reg_texts){any, 3};
    ck_assert_str_eq(world_found(&find), "a b");
    find.filter.labels = (struct reg_texts){any, 1};
    ck_assert_str_eq(world_found(&find), "");
    find.filter.labels = (struct reg_texts){0};
    find.filter.types = 1U << 4;
    ck_assert_str_eq(world_found(&find), "b c");
    find.filter.types = 1U << 4 | 1U << 3;
    find.filter.healths = 1U << REG_HEALTH_STARTING;
    ck_assert_str_eq(world_found(&find), "b");
    find.filter.healths = 0;
    find.filter.node_id = "n1";
    ck_assert_str_eq(world_found(&find), "a");
    find.filter.node_id = "";
    find.filter.id_prefix = "c";
    ck_assert_str_eq(world_found(&find), "c");
    find.filter.id_prefix = "";
    find.filter.age_max_ms = 1;
    ck_assert_str_eq(world_found(&find), "b c");
}
END_TEST

START_TEST(nobody_finds_what_is_another_tenants)
{
    struct reg_object_request what = world_request(REG_OBJECT_REGISTER);
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);
    struct reg_object_request count = world_request(REG_OBJECT_COUNT);

    (void)world_add_plain(3, "mine", 0);
    world_later(1);
    what.ns = "other";
    what.object = world_object(3, "elsewhere");
    (void)world_send(&what);
    what.tenant = "t2";
    what.ns = "n";
    what.object = world_object(3, "theirs");
    (void)world_send(&what);
    ck_assert_str_eq(world_found(&find), "mine");
    find.ns = "*";
    ck_assert_str_eq(world_found(&find), "mine elsewhere");
    find.tenant = "t2";
    ck_assert_str_eq(world_found(&find), "theirs");
    find.tenant = "t3";
    ck_assert_str_eq(world_found(&find), "");
    count.ns = "*";
    (void)world_send(&count);
    ck_assert_uint_eq(world_told()->counts[3][REG_HEALTH_HEALTHY], 2);
    ck_assert_int_eq(world_look(3, "theirs"), PLEX_NOT_FOUND);
    ck_assert_int_eq(world_look(3, "elsewhere"), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(pages_are_in_order_of_making_and_complete)
{
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);
    char id[16];
    int next = 0;

    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "o%02d", i);
        (void)world_add_plain(3, id, 0);
        world_later((uint64_t)i % 2);
    }
    find.page_size = 7;
    for (;;) {
        ck_assert_int_eq(world_send(&find), PLEX_OK);
        for (size_t i = 0; i < world_told()->n_objects; i++) {
            snprintf(id, sizeof id, "o%02d", next++);
            ck_assert_str_eq(world_told()->objects[i]->id, id);
        }
        ck_assert(world_told()->more == (world_told()->last != NULL));
        if (!world_told()->more)
            break;
        snprintf(id, sizeof id, "%s", world_told()->last->id);
        find.after = (struct reg_object_place){
            world_told()->last->created_ms, "n", id, world_told()->last->type};
    }
    ck_assert_int_eq(next, 50);
}
END_TEST

START_TEST(limits_are_kept)
{
    const struct reg_object_config small = {.objects_max = 2,
                                            .bytes_max = 1 << 20};

    reg_objects_free(world_objects);
    world_objects = reg_objects_create(&small);
    ck_assert_int_eq(world_add_plain(3, "a", 0), PLEX_OK);
    ck_assert_int_eq(world_add_plain(3, "b", 0), PLEX_OK);
    ck_assert_int_eq(world_add_plain(3, "c", 0), PLEX_LIMIT);
    ck_assert_int_eq(world_add_plain(3, "b", 1000), PLEX_OK);
    world_later(1000);
    ck_assert_int_eq(world_add_plain(3, "c", 0), PLEX_OK);
}
END_TEST

START_TEST(a_heartbeat_without_room_leaves_its_metrics_out)
{
    struct reg_object_config tight = {.objects_max = 2, .bytes_max = 1 << 20};

    reg_objects_free(world_objects);
    world_objects = reg_objects_create(&tight);
    ck_assert_int_eq(world_add_plain(3, "a", 5000), PLEX_OK);
    tight.bytes_max = reg_objects_stats(world_objects).bytes;
    reg_objects_free(world_objects);
    world_objects = reg_objects_create(&tight);
    ck_assert_int_eq(world_add_plain(3, "a", 5000), PLEX_OK);
    ck_assert_int_eq(world_add_plain(3, "b", 0), PLEX_LIMIT);
    world_later(4000);
    ck_assert_int_eq(world_beat(3, "a", 0, ""), PLEX_OK);
    ck_assert_uint_eq(world_told()->objects[0]->n_metrics, 0);
    ck_assert_uint_eq(world_told()->objects[0]->left_ms, 5000);
    ck_assert_uint_le(reg_objects_stats(world_objects).bytes, tight.bytes_max);
}
END_TEST

static void
manage(uint64_t version, const char *a, const char *b)
{
    struct reg_object what;

    /* Without a heartbeat, as applications are. */
    reg_objects_managed_begin(world_objects, version);
    for (int i = 0; i < 2; i++) {
        what = world_object(REG_OBJECT_NODE, i == 0 ? a : b);
        what.tenant = "t";
        what.ns = "n";
        if (what.id[0] != '\0')
            reg_objects_managed(world_objects, &what);
    }
    reg_objects_managed_end(world_objects);
    world_later(0);
}

START_TEST(managed_objects_come_and_go_and_nobody_changes_them)
{
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);

    manage(7, "w1", "w2");
    ck_assert_uint_eq(reg_objects_managed_version(world_objects), 7);
    ck_assert_int_eq(world_look(0, "w1"), PLEX_OK);
    ck_assert(world_told()->objects[0]->managed);
    world_later(1000);
    find.filter.age_max_ms = 10;
    ck_assert_str_eq(world_found(&find), "w1 w2");
    ck_assert_int_eq(world_add_plain(REG_OBJECT_NODE, "w1", 0), PLEX_CONFLICT);
    ck_assert_int_eq(world_beat(REG_OBJECT_NODE, "w1", 0, ""), PLEX_CONFLICT);
    ck_assert_int_eq(world_by_name(REG_OBJECT_UNREGISTER, 0, "w1"),
                     PLEX_CONFLICT);
    manage(8, "w2", "");
    ck_assert_int_eq(world_look(0, "w1"), PLEX_NOT_FOUND);
    ck_assert_int_eq(world_look(0, "w2"), PLEX_OK);
    ck_assert_int_eq(world_add_plain(REG_OBJECT_NODE, "w1", 0), PLEX_OK);
    manage(9, "w1", "w2");
    (void)world_look(0, "w1");
    ck_assert(!world_told()->objects[0]->managed);
    world_restart();
    ck_assert_int_eq(world_look(0, "w2"), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_restart_keeps_objects_and_gives_their_whole_ttl_again)
{
    const char *labels[] = {"l"};
    const struct reg_pair pair = {"k", "v"};
    struct reg_object what = world_object(6, "w");

    what.labels = (struct reg_texts){labels, 1};
    what.metadata = &pair;
    what.n_metadata = 1;
    what.ttl_ms = 5000;
    (void)world_add(&what);
    world_later(4000);
    world_restart();
    world_later(4999);
    ck_assert_int_eq(world_look(6, "w"), PLEX_OK);
    ck_assert_str_eq(world_told()->objects[0]->labels.at[0], "l");
    ck_assert_str_eq(world_told()->objects[0]->metadata[0].value, "v");
    world_later(1);
    ck_assert_int_eq(world_look(6, "w"), PLEX_NOT_FOUND);
    (void)world_add_plain(6, "next", 0);
    ck_assert_uint_gt(world_told()->objects[0]->revision, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry.object");
    TCase *tcase = tcase_create("object");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, world_setup, world_teardown);
    tcase_add_test(tcase,
                   what_is_registered_is_found_and_what_is_unregistered_is_not);
    tcase_add_test(tcase, an_id_of_two_types_needs_its_type);
    tcase_add_test(tcase, registering_again_replaces_all_but_the_age);
    tcase_add_test(tcase, a_ttl_ends_unless_a_heartbeat_comes);
    tcase_add_test(tcase, a_shorter_ttl_counts_at_once_and_none_is_for_ever);
    tcase_add_test(tcase, a_heartbeat_brings_health_and_metrics);
    tcase_add_test(
        tcase, heartbeats_are_stored_when_they_say_something_or_once_a_minute);
    tcase_add_test(tcase, many_heartbeats_say_which_objects_are_missing);
    tcase_add_test(tcase, filters_all_hold_and_lists_are_all_and_any);
    tcase_add_test(tcase, nobody_finds_what_is_another_tenants);
    tcase_add_test(tcase, pages_are_in_order_of_making_and_complete);
    tcase_add_test(tcase, limits_are_kept);
    tcase_add_test(tcase, a_heartbeat_without_room_leaves_its_metrics_out);
    tcase_add_test(tcase, managed_objects_come_and_go_and_nobody_changes_them);
    tcase_add_test(tcase,
                   a_restart_keeps_objects_and_gives_their_whole_ttl_again);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
