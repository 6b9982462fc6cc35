/* Indexes: what they find, and that nothing else is looked at. */
#include "services/tuplespace/engine/tree.h"
#include "tests/unit/tuplespace/drive.h"

#include "common/mem.h"

#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static struct drive drive;
static uint64_t random_state;

static uint64_t
pick(uint64_t below)
{
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t x = random_state;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) % below;
}

static void
setup(void)
{
    const struct tspace_config config = {.waiters_max = 1000000,
                                         .transient = true};

    random_state = 1;
    drive_open(&drive, &config);
}

static void
teardown(void)
{
    drive_close(&drive);
}

/* -- the tree -------------------------------------------------------------- */

enum { ENTRIES = 3000 };
static struct tree_entry entries[ENTRIES];
static bool inside[ENTRIES];

static struct tree_entry
some_entry(uint64_t id)
{
    return (struct tree_entry){
        .hash = (uint32_t)pick(3),
        .key = {pick(50), pick(2)},
        .id = id,
        .pos = (uint32_t)id,
    };
}

static void
check_neighbours(const struct tree *tree)
{
    const struct tree_entry at = some_entry(pick(ENTRIES));
    const struct tree_entry *above = NULL, *below = NULL;
    struct tree_entry found;

    for (int i = 0; i < ENTRIES; i++) {
        if (!inside[i])
            continue;
        if (tree_compare(&entries[i], &at) >= 0 &&
            (above == NULL || tree_compare(&entries[i], above) < 0))
            above = &entries[i];
        if (tree_compare(&entries[i], &at) <= 0 &&
            (below == NULL || tree_compare(&entries[i], below) > 0))
            below = &entries[i];
    }
    ck_assert(tree_ceiling(tree, &at, &found) == (above != NULL));
    ck_assert(above == NULL || tree_compare(&found, above) == 0);
    ck_assert(tree_floor(tree, &at, &found) == (below != NULL));
    ck_assert(below == NULL || tree_compare(&found, below) == 0);
}

/* By age within a range: each one there is, in order, and no other. */
static void
check_scan(const struct tree *tree)
{
    struct tree_scan scan = {.low = some_entry(0),
                             .high = some_entry(UINT64_MAX),
                             .after = pick(2) ? pick(ENTRIES) : 0,
                             .newest = pick(2) == 1};
    int at = scan.newest ? ENTRIES - 1 : 0;
    uint32_t pos;

    scan.high.hash = scan.low.hash;
    tree_scan_start(&scan, tree);
    for (; at >= 0 && at < ENTRIES; at += scan.newest ? -1 : 1) {
        if (!inside[at] || entries[at].id <= scan.after ||
            tree_compare(&entries[at], &scan.low) < 0 ||
            tree_compare(&entries[at], &scan.high) > 0)
            continue;
        ck_assert(tree_scan_next(&scan, &pos));
        ck_assert_uint_eq(pos, entries[at].pos);
    }
    ck_assert(!tree_scan_next(&scan, &pos));
    tree_scan_fini(&scan);
}

START_TEST(the_tree_finds_what_a_list_finds)
{
    struct tree tree = {0};

    for (int i = 0; i < ENTRIES; i++)
        entries[i] = some_entry((uint64_t)i + 1);
    for (int round = 0; round < 12000; round++) {
        const uint64_t i = pick(ENTRIES);
        /* It grows, shrinks to nothing, and grows again. */
        const bool grow = pick(10) < (round / 3000 % 2 ? 1 : 9);

        if (inside[i] && !grow) {
            tree_remove(&tree, &entries[i]);
            inside[i] = false;
        } else if (!inside[i] && grow) {
            tree_insert(&tree, &entries[i]);
            inside[i] = true;
        }
        if (round % 40 == 0) {
            check_neighbours(&tree);
            check_scan(&tree);
        }
    }
    for (int i = 0; i < ENTRIES; i++)
        if (inside[i])
            tree_remove(&tree, &entries[i]);
    ck_assert_ptr_null(tree.root);
    ck_assert_uint_eq(tree.n_nodes, 0);
    tree_fini(&tree);
}
END_TEST

START_TEST(keys_that_only_rise_fill_the_tree)
{
    struct tree tree = {0};
    struct tree_entry entry = {0};

    for (uint64_t i = 1; i <= 10000; i++) {
        entry.key.high = entry.id = i;
        tree_insert(&tree, &entry);
    }
    ck_assert_uint_le(tree_bytes(&tree), 10000ull * 40);
    tree_fini(&tree);
}
END_TEST

/* -- searches -------------------------------------------------------------- */

static struct plex_bytes
order(uint64_t key, uint64_t amount)
{
    return tuple("siis", "order", (int64_t)key, (int64_t)amount, "pending");
}

START_TEST(a_search_looks_at_what_matches_and_at_little_else)
{
    uint64_t before;

    for (uint64_t i = 0; i < 20000; i++)
        put(&drive, 0, order(i, pick(100000)));
    for (int i = 0; i < 3; i++) { /* the indexes are made */
        take(&drive, 0, template("si??", "order", 19000ll + i), 0);
        drive.replies[0].done = false;
        read_one(&drive, 0, template("s?>?", "order", 99980ll), 0);
    }
    while (tspace_core_wait_ms(drive.core, drive.now) == 1)
        drive_pass(&drive, 0);
    before = tspace_core_stats(drive.core).scanned;
    for (int64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(
            take(&drive, 1, template("si??", "order", i * 17), 0)->n, 1);
    ck_assert_uint_le(tspace_core_stats(drive.core).scanned - before, 1000);
    before = tspace_core_stats(drive.core).scanned;
    for (int64_t i = 0; i < 1000; i++)
        read_one(&drive, 1, template("s?>?", "order", i * 99), 0);
    ck_assert_uint_le(tspace_core_stats(drive.core).scanned - before, 1100);
}
END_TEST

START_TEST(a_search_that_takes_too_long_is_refused_until_there_is_an_index)
{
    drive.config.scan_max = 1000;
    tspace_core_free(drive.core);
    drive.core = tspace_core_create(&drive.config);
    for (uint64_t i = 0; i < 20000; i++)
        put(&drive, 0, order(i, 1));
    ck_assert_int_eq(take(&drive, 1, template("?i??", 19000ll), 0)->status,
                     PLEX_UNAVAILABLE);
    ck_assert(strstr(drive.replies[1].text, "try again") != NULL);
    while (tspace_core_wait_ms(drive.core, drive.now) == 1)
        drive_pass(&drive, 0);
    ck_assert_uint_eq(take(&drive, 1, template("?i??", 19000ll), 0)->n, 1);
    /* No index would help with this one. */
    ck_assert_uint_eq(count(&drive, 1, template("?r??", "x"))->number, 0);
    ck_assert_int_eq(drive.replies[1].status, PLEX_OK);
}
END_TEST

START_TEST(an_index_is_about_types_too)
{
    uint64_t before;

    for (int64_t i = 0; i < 5000; i++)
        put(&drive, 0, i == 4000 ? tuple("fi", 0.5, i) : tuple("ii", i, i));
    read_one(&drive, 1, template("F?"), 0);
    before = tspace_core_stats(drive.core).scanned;
    ck_assert_int_eq(read_one(&drive, 1, template("F?"), 0)->first, 4000);
    ck_assert_uint_le(tspace_core_stats(drive.core).scanned - before, 2);
}
END_TEST

START_TEST(a_set_of_values_is_looked_up_value_by_value)
{
    uint64_t before;

    for (uint64_t i = 0; i < 5000; i++)
        put(&drive, 0, order(i, 1));
    read_one(&drive, 1, template("?m??", 4500ll, 4000ll), 0);
    before = tspace_core_stats(drive.core).scanned;
    ck_assert_int_eq(
        read_one(&drive, 1, template("?m??", 4500ll, 4000ll), 0)->first, 4000);
    ck_assert_uint_eq(count(&drive, 1, template("?m??", 7ll, 7ll))->number, 1);
    ck_assert_uint_le(tspace_core_stats(drive.core).scanned - before, 4);
}
END_TEST

START_TEST(a_declared_index_is_there_from_the_first_search_on)
{
    const struct tspace_options options = {
        .n_indexes = 1, .indexes = {{.fields = 4, .exact = 2}}};
    const struct tspace_op request = op(1);
    uint64_t before;

    tspace_core_configure(drive.core, drive.now, &request, &options);
    drive_drain(&drive);
    for (uint64_t i = 0; i < 5000; i++)
        put(&drive, 0, order(i, 1));
    before = tspace_core_stats(drive.core).scanned;
    ck_assert_uint_eq(take(&drive, 2, template("?i??", 4000ll), 0)->n, 1);
    ck_assert_uint_eq(tspace_core_stats(drive.core).scanned - before, 1);
}
END_TEST

static struct plex_bytes all[3000];
static uint64_t ids[3000];

static struct plex_bytes
some_tuple(void)
{
    static const char *const texts[] = {"a", "b", "a text of many bytes, one",
                                        "a text of many bytes, two", ""};
    const char *text = texts[pick(5)];

    switch (pick(4)) {
    case 0:
        return tuple("sf", text, (double)pick(100) / 4);
    case 1:
        return tuple("ss", text, texts[pick(5)]);
    default:
        return tuple("si", text, (int64_t)pick(200));
    }
}

static struct tspace_template *
some_template(void)
{
    switch (pick(10)) {
    case 8:
        return template("?m", (int64_t)pick(200), (int64_t)pick(200));
    case 9:
        return template("sm", "b", (int64_t)pick(200), (int64_t)pick(200));
    case 0:
        return template("s?", "a");
    case 1:
        return template("?>", (int64_t)pick(200));
    case 2:
        return template("s<", "b", (int64_t)pick(200));
    case 3:
        return template("p?", "a text of many bytes, o");
    case 4:
        return template("?F");
    case 5:
        return template("?p", "a t");
    case 6:
        return template("sS", "a");
    default:
        return template("?i", (int64_t)pick(200));
    }
}

/* What a search must find first, by looking at everything. */
static uint64_t
first_of(const struct tspace_template *wanted, enum tspace_order by)
{
    struct tspace_value best = {0}, value;
    uint64_t id = 0;
    bool gave_up = false;

    for (int i = 0; i < 3000; i++) {
        bool better = id == 0 || by == TSPACE_NEWEST;

        if (ids[i] == 0 ||
            !tspace_template_match(wanted, all[i].data, &gave_up))
            continue;
        tspace_packed_get(all[i].data, 1, &value);
        if (id != 0 && (by == TSPACE_LEAST || by == TSPACE_MOST)) {
            int sign = tspace_value_compare(&value, &best);

            /* an integer and a double may be worth the same: the oldest */
            if (tspace_type_class(value.type) == TSPACE_CLASS_NUMBER &&
                tspace_type_class(best.type) == TSPACE_CLASS_NUMBER) {
                const double a = value.type == TSPACE_FLOAT
                                     ? value.real
                                     : (double)value.integer;
                const double b = best.type == TSPACE_FLOAT
                                     ? best.real
                                     : (double)best.integer;

                sign = (a > b) - (a < b);
            }
            better = by == TSPACE_LEAST ? sign < 0 : sign > 0;
        }
        if (!better)
            continue;
        id = ids[i];
        best = value;
    }
    return id;
}

START_TEST(searches_with_and_without_indexes_find_the_same)
{
    for (int i = 0; i < 3000; i++) {
        const struct plex_bytes packed = some_tuple();
        uint8_t *copy = plex_calloc(1, packed.len);

        memcpy(copy, packed.data, packed.len);
        all[i] = (struct plex_bytes){copy, packed.len};
        ids[i] = put(&drive, 0, packed);
    }
    for (int round = 0; round < 1500; round++) {
        struct tspace_read read = {.op = op(1),
                                   .template = some_template(),
                                   .order = (enum tspace_order)pick(4),
                                   .order_field = 1,
                                   .take = pick(3) == 0};
        const uint64_t want = first_of(read.template, read.order);
        const struct reply *reply = read_with(&drive, &read);

        ck_assert_uint_eq(reply->n, want != 0);
        if (want == 0)
            continue;
        ck_assert_msg(reply->ids[0] == want, "round %d order %d", round,
                      (int)read.order);
        for (int i = 0; read.take && i < 3000; i++)
            if (ids[i] == want)
                ids[i] = 0;
    }
    ck_assert_uint_ge(tspace_core_stats(drive.core).indexes, 5);
    for (int i = 0; i < 3000; i++)
        free((uint8_t *)all[i].data);
}
END_TEST

/* -- size ------------------------------------------------------------------ */

START_TEST(a_tuple_of_four_fields_takes_200_bytes_with_its_indexes)
{
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    size_t used;

    for (uint64_t i = 0; i < 50000; i++)
        put(&drive, 0, order(i, 1));
    for (int i = 0; i < 3; i++)
        take(&drive, 1, template("si?s", "order", 40000ll + i, "pending"), 0);
    while (tspace_core_wait_ms(drive.core, drive.now) == 1)
        drive_pass(&drive, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).indexes, 2);
    used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    if (used < 50000)
        printf("SKIP: this allocator does not say what is in use\n");
    else
        ck_assert_uint_le(used / 50000, 200);
}
END_TEST

START_TEST(a_hundred_thousand_blocked_takers_each_get_their_tuple)
{
    enum { WAITERS = 100000 };
    uint64_t before;

    drive.quiet = true;
    for (int64_t i = 0; i < WAITERS; i++) {
        struct tspace_read read = {.op = op(0),
                                   .template = template("si", "job", i),
                                   .max_results = 1,
                                   .timeout_ms = 60000,
                                   .take = true};

        tspace_core_read(drive.core, drive.now, &read);
        tspace_template_unref(read.template);
    }
    ck_assert_uint_eq(tspace_core_stats(drive.core).waiters, WAITERS);
    before = tspace_core_stats(drive.core).scanned;
    for (int64_t i = WAITERS - 1; i >= 0; i--) {
        drive.replies[0].done = false;
        struct plex_bytes packed = tuple("si", "job", i);
        struct tspace_write write = {
            .op = op(1), .tuples = &packed, .n_tuples = 1};

        drive.replies[1].done = false;
        tspace_core_write(drive.core, drive.now, &write);
        drive_drain(&drive);
        ck_assert(drive.replies[0].done && drive.replies[0].first == i);
    }
    ck_assert_uint_eq(tspace_core_stats(drive.core).waiters, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).tuples, 0);
    ck_assert_uint_eq(tspace_core_stats(drive.core).scanned, before);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("index");
    TCase *tcase = tcase_create("indexes");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_tree_finds_what_a_list_finds);
    tcase_add_test(tcase, keys_that_only_rise_fill_the_tree);
    tcase_add_test(tcase, a_search_looks_at_what_matches_and_at_little_else);
    tcase_add_test(
        tcase, a_search_that_takes_too_long_is_refused_until_there_is_an_index);
    tcase_add_test(tcase, an_index_is_about_types_too);
    tcase_add_test(tcase, a_set_of_values_is_looked_up_value_by_value);
    tcase_add_test(tcase, a_declared_index_is_there_from_the_first_search_on);
    tcase_add_test(tcase, searches_with_and_without_indexes_find_the_same);
    tcase_add_test(tcase,
                   a_tuple_of_four_fields_takes_200_bytes_with_its_indexes);
    tcase_add_test(tcase,
                   a_hundred_thousand_blocked_takers_each_get_their_tuple);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
