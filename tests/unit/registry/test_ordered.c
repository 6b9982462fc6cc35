/* The ordered map against a sorted array. */
#include "services/registry/ordered.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 400, STEPS = 20000 };

struct item {
    struct reg_ordered_node node;
    char text[16];
    bool in;
};
static struct item items[KEYS];
static uint64_t seed;

static unsigned
random_below(unsigned n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % n;
}

static void
items_init(void)
{
    memset(items, 0, sizeof items);
    for (int i = 0; i < KEYS; i++) {
        snprintf(items[i].text, sizeof items[i].text, "k%03d", i);
        items[i].node.key = (const uint8_t *)items[i].text;
        items[i].node.len = strlen(items[i].text);
    }
}

static struct plex_bytes
bytes(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

static const struct item *
next_in(int from, bool above)
{
    for (int i = from + (above ? 1 : 0); i < KEYS; i++)
        if (items[i].in)
            return &items[i];
    return NULL;
}

struct walk {
    const char *prefix;
    int at;
    size_t n;
};

static void
walk_one(void *arg, struct reg_ordered_node *node)
{
    struct walk *walk = arg;
    const struct item *item = (const struct item *)node;
    const int index = (int)(item - items);

    ck_assert(item->in && index > walk->at);
    ck_assert_int_eq(strncmp(item->text, walk->prefix, strlen(walk->prefix)),
                     0);
    walk->at = index;
    walk->n++;
}

static void
walks_check(const struct reg_ordered *map)
{
    static const char *const prefixes[] = {"",     "k", "k1", "k39",
                                           "k399", "x", "a"};

    for (size_t p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++) {
        struct walk walk = {prefixes[p], -1, 0};
        size_t want = 0;

        for (int i = 0; i < KEYS; i++)
            want += items[i].in && strncmp(items[i].text, prefixes[p],
                                           strlen(prefixes[p])) == 0;
        reg_ordered_each(map, bytes(prefixes[p]), walk_one, &walk);
        ck_assert_uint_eq(walk.n, want);
    }
}

START_TEST(random_changes_keep_it_a_sorted_map)
{
    struct reg_ordered map = {0};
    size_t n = 0;

    seed = (uint64_t)_i + 1;
    items_init();
    for (int step = 0; step < STEPS; step++) {
        const int at = (int)random_below(KEYS);
        struct item *item = &items[at];
        const struct plex_bytes key = bytes(item->text);

        ck_assert_ptr_eq(reg_ordered_find(&map, key),
                         item->in ? &item->node : NULL);
        ck_assert_ptr_eq(reg_ordered_seek(&map, key, false),
                         (const void *)next_in(at, false));
        ck_assert_ptr_eq(reg_ordered_seek(&map, key, true),
                         (const void *)next_in(at, true));
        if (item->in) {
            reg_ordered_remove(&map, &item->node);
            n--;
        } else {
            reg_ordered_insert(&map, &item->node);
            n++;
        }
        item->in = !item->in;
        ck_assert_uint_eq(map.n, n);
        if (step % 1000 == 0)
            walks_check(&map);
    }
}
END_TEST

START_TEST(a_prefix_comes_before_what_it_begins)
{
    ck_assert_int_lt(reg_bytes_compare(bytes("a"), bytes("ab")), 0);
    ck_assert_int_gt(reg_bytes_compare(bytes("b"), bytes("ab")), 0);
    ck_assert_int_eq(reg_bytes_compare(bytes(""), bytes("")), 0);
    ck_assert(reg_bytes_begin(bytes("ab"), bytes("")));
    ck_assert(reg_bytes_begin(bytes("ab"), bytes("ab")));
    ck_assert(!reg_bytes_begin(bytes("a"), bytes("ab")));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ordered");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(all, random_changes_keep_it_a_sorted_map, 0, 4);
    tcase_add_test(all, a_prefix_comes_before_what_it_begins);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
