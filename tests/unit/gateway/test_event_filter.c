/* Which events somebody wants, and what waits for who is slow. */
#include "common/mem.h"
#include "services/gateway/event_filter.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gate_event_view crash = {
    .type = "stopped",
    .reason = "crash",
    .name = "cart-7",
    .child = "seven",
    .process = "<1.2.3>",
    .node_id = "worker-2",
    .ns = "shop",
    .behaviour = "cart",
    .supervisor = "carts",
};

static const struct {
    struct gate_event_wish wish;
    bool wanted;
} wishes[] = {
    {{NULL}, true},
    {{.types = "started,stopped"}, true},
    {{.types = "started"}, false},
    {{.types = "failed"}, true},
    {{.types = "terminated"}, false},
    {{.types = "facet,critical"}, true},
    {{.name_pattern = "cart-*"}, true},
    {{.name_pattern = "sev?n"}, true},
    {{.name_pattern = "cart"}, false},
    {{.actor_pattern = "^cart-[0-9]+$"}, true},
    {{.actor_pattern = "^sev"}, true},
    {{.actor_pattern = "^<1\\.2\\."}, true},
    {{.actor_pattern = "^art"}, false},
    {{.tags = "behaviour=cart"}, true},
    {{.tags = "behaviour=cart,namespace=shop,supervisor=carts"}, true},
    {{.tags = "behaviour=cart,namespace=shopping"}, false},
    {{.tags = "child=seven,name=cart-7"}, true},
    {{.tags = "behaviour="}, false},
    {{.types = "stopped", .actor_pattern = "7", .tags = "name=x"}, false},
};

START_TEST(all_conditions_must_hold)
{
    struct gate_event_filter filter;
    struct plex_err err;

    ck_assert_msg(gate_event_filter_init(&filter, &wishes[_i].wish, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    ck_assert(gate_event_wanted(&filter, &crash) == wishes[_i].wanted);
    gate_event_filter_fini(&filter);
}
END_TEST

START_TEST(terminated_is_a_normal_end)
{
    static const char *const reasons[] = {"normal", "shutdown",
                                          "shutdown:done"};
    const struct gate_event_wish wish = {.types = "terminated"};
    struct gate_event_view view = crash;
    struct gate_event_filter filter;
    struct plex_err err;

    view.reason = reasons[_i];
    ck_assert(gate_event_filter_init(&filter, &wish, &err) == PLEX_OK);
    ck_assert(gate_event_wanted(&filter, &view));
    gate_event_filter_fini(&filter);
}
END_TEST

START_TEST(only_workers_that_are_wanted_are_asked)
{
    const struct gate_event_wish by_name = {.node_id = "worker-2"};
    const struct gate_event_wish by_pattern = {.node_pattern = "-[12]$"};
    struct gate_event_filter filter;
    struct plex_err err;

    ck_assert(gate_event_filter_init(&filter, &by_name, &err) == PLEX_OK);
    ck_assert(gate_event_node(&filter, "worker-2"));
    ck_assert(!gate_event_node(&filter, "worker-22"));
    gate_event_filter_fini(&filter);
    ck_assert(gate_event_filter_init(&filter, &by_pattern, &err) == PLEX_OK);
    ck_assert(gate_event_node(&filter, "worker-2"));
    ck_assert(!gate_event_node(&filter, "worker-3"));
    gate_event_filter_fini(&filter);
}
END_TEST

static const struct {
    struct gate_event_wish wish;
    const char *text;
} bad[] = {
    {{.types = "started,ended"}, "no events of type \"ended\""},
    {{.types = ","}, "no events of type \"\""},
    {{.tags = "colour=red"}, "no tag"},
    {{.tags = "behaviour"}, "no tag"},
    {{.tags = "name=a,,"}, "no tag"},
    {{.actor_pattern = "("}, "actor_id_pattern is no regular expression"},
    {{.node_pattern = "[a"}, "node_id_pattern is no regular expression"},
    {{.actor_pattern = "a{9}"}, "repetition counts"},
    {{.actor_pattern = "(a)\\1"}, "back-references"},
};

START_TEST(what_is_no_condition_is_refused)
{
    struct gate_event_filter filter;
    struct plex_err err;

    ck_assert(gate_event_filter_init(&filter, &bad[_i].wish, &err) ==
              PLEX_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i].text) != NULL, "%s", err.text);
    gate_event_filter_fini(&filter);
}
END_TEST

START_TEST(expressions_have_their_length)
{
    char text[GATE_EVENT_PATTERN_MAX + 2];
    const struct gate_event_wish wish = {.actor_pattern = text};
    struct gate_event_filter filter;
    struct plex_err err;

    memset(text, 'a', sizeof text);
    text[GATE_EVENT_PATTERN_MAX + 1] = '\0';
    ck_assert(gate_event_filter_init(&filter, &wish, &err) == PLEX_INVALID);
    gate_event_filter_fini(&filter);
    text[GATE_EVENT_PATTERN_MAX] = '\0';
    ck_assert(gate_event_filter_init(&filter, &wish, &err) == PLEX_OK);
    gate_event_filter_fini(&filter);
}
END_TEST

/* -- what waits -------------------------------------------------------------
 */

static void
push(struct gate_event_queue *queue, int from, int to)
{
    char text[12];

    for (int i = from; i <= to; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        gate_queue_push(queue, plex_strdup(text));
    }
}

static void
comes(struct gate_event_queue *queue, int from, int to)
{
    for (int i = from; i <= to; i++) {
        ck_assert_ptr_nonnull(gate_queue_first(queue));
        ck_assert_int_eq(atoi(gate_queue_first(queue)), i);
        gate_queue_pop(queue);
    }
}

START_TEST(the_oldest_is_dropped)
{
    struct gate_event_queue queue;

    gate_queue_init(&queue, 100, GATE_DROP_OLDEST);
    push(&queue, 1, 250);
    ck_assert_uint_eq(gate_queue_dropped(&queue), 150);
    ck_assert_uint_eq(gate_queue_dropped(&queue), 0);
    comes(&queue, 151, 250);
    ck_assert_ptr_null(gate_queue_first(&queue));
    ck_assert_uint_eq(queue.bytes, 0);
    gate_queue_fini(&queue);
}
END_TEST

START_TEST(the_newest_is_dropped)
{
    struct gate_event_queue queue;

    gate_queue_init(&queue, 100, GATE_DROP_NEWEST);
    push(&queue, 1, 250);
    comes(&queue, 1, 50);
    push(&queue, 251, 260);
    comes(&queue, 51, 100);
    comes(&queue, 251, 260);
    ck_assert_uint_eq(gate_queue_dropped(&queue), 150);
    gate_queue_fini(&queue);
}
END_TEST

START_TEST(who_blocks_loses_nothing)
{
    struct gate_event_queue queue;

    gate_queue_init(&queue, 100, GATE_DROP_BLOCK);
    push(&queue, 1, 99);
    ck_assert(!gate_queue_full(&queue));
    push(&queue, 100, 120); /* of an answer that was under way */
    ck_assert(gate_queue_full(&queue));
    comes(&queue, 1, 120);
    ck_assert_uint_eq(gate_queue_dropped(&queue), 0);
    gate_queue_fini(&queue);
}
END_TEST

START_TEST(policies_have_their_words)
{
    enum gate_drop drop;
    struct plex_err err;

    ck_assert(gate_drop_parse("", &drop, &err) == PLEX_OK);
    ck_assert_int_eq(drop, GATE_DROP_BLOCK);
    ck_assert(gate_drop_parse("DROP_OLDEST", &drop, &err) == PLEX_OK);
    ck_assert_int_eq(drop, GATE_DROP_OLDEST);
    ck_assert(gate_drop_parse("drop_newest", &drop, &err) == PLEX_OK);
    ck_assert_int_eq(drop, GATE_DROP_NEWEST);
    ck_assert(gate_drop_parse("forget", &drop, &err) == PLEX_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("event_filter");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, all_conditions_must_hold, 0,
                        sizeof wishes / sizeof *wishes);
    tcase_add_loop_test(tcase, terminated_is_a_normal_end, 0, 3);
    tcase_add_test(tcase, only_workers_that_are_wanted_are_asked);
    tcase_add_loop_test(tcase, what_is_no_condition_is_refused, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_test(tcase, expressions_have_their_length);
    tcase_add_test(tcase, the_oldest_is_dropped);
    tcase_add_test(tcase, the_newest_is_dropped);
    tcase_add_test(tcase, who_blocks_loses_nothing);
    tcase_add_test(tcase, policies_have_their_words);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
