/* The laws of merging, over random lives of three replicas of every kind. */
#include "lattice/json.h"

#include "common/mem.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { REPLICAS = 3, LIVES = 80, STEPS = 40, ELEMENTS = 6 };

static uint64_t seed;

static uint64_t
chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static struct plex_buf
bytes_of(const struct lattice *lattice)
{
    struct plex_buf out = {.max = SIZE_MAX};
    struct plex_err err;

    ck_assert_int_eq(lattice_encode(lattice, &out, &err), PLEX_OK);
    ck_assert_uint_eq(out.len, lattice_bytes(lattice));
    return out;
}

static bool
same(const struct lattice *a, const struct lattice *b)
{
    struct plex_buf x = bytes_of(a), y = bytes_of(b);
    const bool is = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;

    plex_buf_free(&x);
    plex_buf_free(&y);
    return is;
}

static struct lattice *
merged(const struct lattice *a, const struct lattice *b)
{
    struct lattice *out = lattice_clone(a);

    (void)lattice_merge(out, b);
    return out;
}

static struct lattice *
leaf(enum lattice_kind kind, const struct lattice *now, uint64_t self)
{
    char text[8];
    const size_t len =
        (size_t)snprintf(text, sizeof text, "e%d", (int)chance(ELEMENTS));

    switch (kind) {
    case LATTICE_MAX:
    case LATTICE_MIN:
        return lattice_set_number(kind, (int64_t)chance(2000) - 1000);
    case LATTICE_LWW:
        return lattice_set_value(now, self, chance(20), text, len);
    case LATTICE_OR_SET:
        if (chance(2) == 0)
            return lattice_remove(now, text, len);
        return lattice_add(kind, now, self, text, len);
    case LATTICE_G_SET:
        return lattice_add(kind, now, self, text, len);
    default:
        return lattice_count(kind, now, self, chance(5),
                             kind == LATTICE_PN_COUNTER && chance(2) == 0);
    }
}

/* Inside of maps and pairs: what is there keeps its kind, new ones have any. */
static struct lattice *
change(enum lattice_kind kind, const struct lattice *now, uint64_t self,
       unsigned depth)
{
    char text[8];
    size_t len;
    const struct lattice *inner;
    enum lattice_kind inner_kind;

    if (kind != LATTICE_MAP && kind != LATTICE_PAIR)
        return leaf(kind, now, self);
    if (kind == LATTICE_MAP)
        len = (size_t)snprintf(text, sizeof text, "n%d", (int)chance(3));
    else
        len = (size_t)snprintf(text, sizeof text, "%s",
                               chance(2) == 0 ? "first" : "second");
    inner = now == NULL ? NULL : lattice_inside(now, text, len);
    inner_kind = (enum lattice_kind)(
        1 + chance(depth > 2 ? LATTICE_MAP - 2 : LATTICE_MAP));
    if (inner != NULL)
        inner_kind = lattice_kind_of(inner);
    return lattice_wrap(kind, text, len,
                        change(inner_kind, inner, self, depth + 1));
}

static void
laws(struct lattice *const r[REPLICAS])
{
    struct lattice *ab = merged(r[0], r[1]), *ba = merged(r[1], r[0]);
    struct lattice *bc = merged(r[1], r[2]);
    struct lattice *left = merged(ab, r[2]), *right = merged(r[0], bc);
    struct lattice *twice = merged(ab, r[1]);

    ck_assert(same(ab, ba));
    ck_assert(same(left, right));
    ck_assert(same(twice, ab));
    ck_assert(!lattice_merge(twice, r[0]));
    ck_assert(lattice_covers(left, r[0]) && lattice_covers(left, bc));
    lattice_free(ab);
    lattice_free(ba);
    lattice_free(bc);
    lattice_free(left);
    lattice_free(right);
    lattice_free(twice);
}

static void
survives_encoding(const struct lattice *lattice)
{
    struct plex_buf bytes = bytes_of(lattice);
    struct lattice *back;
    struct plex_err err = {0};

    ck_assert_msg(lattice_decode((struct plex_bytes){bytes.data, bytes.len},
                                 &back, &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert(same(lattice, back));
    lattice_free(back);
    plex_buf_free(&bytes);
}

/* A replica changes, merging the delta or the whole; or hears of another. */
static void
step(enum lattice_kind kind, struct lattice *r[REPLICAS])
{
    const size_t who = chance(REPLICAS);
    struct lattice *delta, *whole;
    bool changes;

    if (chance(4) == 0) {
        (void)lattice_merge(r[who], r[chance(REPLICAS)]);
        return;
    }
    delta = change(kind, r[who], who + 1, 0);
    ck_assert_ptr_nonnull(delta);
    survives_encoding(delta);
    changes = !lattice_covers(r[who], delta);
    whole = merged(r[who], delta);
    ck_assert(changes == !same(whole, r[who]));
    for (size_t i = 0; i < REPLICAS; i++) {
        struct lattice *by_whole = merged(r[i], whole);
        struct lattice *by_delta = merged(r[i], r[who]);

        (void)lattice_merge(by_delta, delta);
        ck_assert(same(by_whole, by_delta));
        lattice_free(by_whole);
        lattice_free(by_delta);
    }
    (void)lattice_merge(r[who], delta);
    ck_assert(same(whole, r[who]));
    lattice_free(whole);
    lattice_free(delta);
}

START_TEST(merging_obeys_the_laws)
{
    const enum lattice_kind kind = (enum lattice_kind)_i;

    for (uint64_t life = 1; life <= LIVES; life++) {
        struct lattice *r[REPLICAS];

        seed = life * UINT64_C(0x9e3779b97f4a7c15);
        for (size_t i = 0; i < REPLICAS; i++)
            r[i] = lattice_create(kind);
        for (int s = 0; s < STEPS; s++)
            step(kind, r);
        laws(r);
        survives_encoding(r[chance(REPLICAS)]);
        for (size_t i = 0; i < REPLICAS; i++)
            lattice_free(r[i]);
    }
}
END_TEST

/* Compared with what the definition says, where nothing is concurrent. */
START_TEST(a_set_without_concurrency_is_a_set)
{
    bool in[ELEMENTS] = {0};
    struct lattice *set = lattice_create(LATTICE_OR_SET);

    seed = 77;
    for (int s = 0; s < 2000; s++) {
        const uint64_t e = chance(ELEMENTS), self = 1 + chance(4);
        const bool add = chance(2) == 0;
        const char text = (char)('a' + e);
        struct lattice_item item;
        size_t at = 0, n = 0;
        struct lattice *delta =
            add ? lattice_add(LATTICE_OR_SET, set, self, &text, 1)
                : lattice_remove(set, &text, 1);

        (void)lattice_merge(set, delta);
        lattice_free(delta);
        in[e] = add;
        while (lattice_next(set, &at, &item)) {
            ck_assert(in[item.text[0] - 'a']);
            n++;
        }
        for (size_t i = 0; i < ELEMENTS; i++)
            n -= in[i];
        ck_assert_uint_eq(n, 0);
    }
    /* No tombstones: what it has seen is a number per replica. */
    ck_assert_uint_le(lattice_bytes(set), ELEMENTS * 20 + 4 * 16 + 16);
    lattice_free(set);
}
END_TEST

START_TEST(an_add_wins_over_a_remove_that_has_not_seen_it)
{
    struct lattice *a = lattice_create(LATTICE_OR_SET), *b, *delta;
    struct lattice_item item;
    size_t at = 0;

    delta = lattice_add(LATTICE_OR_SET, a, 1, "x", 1);
    (void)lattice_merge(a, delta);
    lattice_free(delta);
    b = lattice_clone(a);
    delta = lattice_remove(a, "x", 1);
    (void)lattice_merge(a, delta);
    lattice_free(delta);
    ck_assert(!lattice_next(a, &at, &item));
    delta = lattice_add(LATTICE_OR_SET, b, 2, "x", 1);
    (void)lattice_merge(b, delta);
    lattice_free(delta);
    (void)lattice_merge(a, b);
    ck_assert(lattice_next(a, &at, &item));
    ck_assert_uint_eq(item.replica, 2);
    ck_assert(!lattice_next(a, &at, &item));
    lattice_free(a);
    lattice_free(b);
}
END_TEST

START_TEST(counters_know_their_bounds)
{
    struct lattice *full =
        lattice_count(LATTICE_G_COUNTER, NULL, 1, lattice_count_max, false);
    struct lattice *other =
        lattice_count(LATTICE_G_COUNTER, NULL, 2, lattice_count_max, false);

    ck_assert_ptr_null(lattice_count(LATTICE_G_COUNTER, full, 1, 1, false));
    ck_assert_ptr_null(
        lattice_count(LATTICE_G_COUNTER, NULL, 1, UINT64_MAX, false));
    (void)lattice_merge(full, other);
    ck_assert_int_eq(lattice_total(full), INT64_MAX);
    survives_encoding(full);
    lattice_free(full);
    lattice_free(other);
}
END_TEST

START_TEST(too_much_is_refused_before_it_is_merged)
{
    struct lattice *set = lattice_create(LATTICE_G_SET), *more;
    struct plex_err err;
    char text[1000];

    memset(text, 'x', sizeof text);
    for (int i = 0; i < 1040; i++) {
        struct lattice *delta;

        (void)snprintf(text, 8, "%06d", i);
        text[6] = 'x';
        delta = lattice_add(LATTICE_G_SET, set, 1, text, sizeof text);
        (void)lattice_merge(set, delta);
        lattice_free(delta);
    }
    more = lattice_add(LATTICE_G_SET, set, 1, "again", 5);
    ck_assert_int_eq(lattice_room(set, more, &err), PLEX_OK);
    /* As large together as too much, but the same. */
    ck_assert_int_eq(lattice_room(set, set, &err), PLEX_OK);
    lattice_free(more);
    more = lattice_create(LATTICE_G_SET);
    for (int i = 0; i < 20; i++) {
        struct lattice *delta;

        (void)snprintf(text, 8, "y%05d", i);
        text[6] = 'y';
        delta = lattice_add(LATTICE_G_SET, set, 1, text, sizeof text);
        (void)lattice_merge(more, delta);
        lattice_free(delta);
    }
    ck_assert_int_eq(lattice_room(set, more, &err), PLEX_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(err.text, "at most 1048576"));
    lattice_free(more);
    lattice_free(set);
}
END_TEST

static void
refused(const char *bytes, size_t len)
{
    struct lattice *out;
    struct plex_err err;

    ck_assert_int_eq(
        lattice_decode((struct plex_bytes){(const uint8_t *)bytes, len}, &out,
                       &err),
        PLEX_INVALID);
    ck_assert_ptr_null(out);
}
#define REFUSED(text) refused(text, sizeof(text) - 1)

START_TEST(what_is_not_canonical_is_refused)
{
    REFUSED("");
    REFUSED("\x08");
    REFUSED("\x08\x00");
    REFUSED("\x08\x0b");                 /* never by itself */
    REFUSED("\x08\x84\x00");             /* a longer way to say 4 */
    REFUSED("\x08\x04\x12\x03\x0a\x01"); /* cut off */
    REFUSED("\x08\x04\x12\x03\x0a\x01z\x12\x03\x0a\x01z"); /* twice */
    REFUSED("\x08\x04\x12\x03\x0a\x01z\x12\x03\x0a\x01m"); /* not in order */
    REFUSED("\x08\x04\x12\x02\x18\x05");     /* a set that counts */
    REFUSED("\x08\x04\x12\x03\x0a\x01\xff"); /* no text */
    REFUSED("\x08\x04\x12\x03\x0a\x01\x00"); /* nor this */
    REFUSED("\x08\x01\x12\x02\x18\x00");     /* a 0 that is said */
    REFUSED("\x08\x04\x99");                 /* unknown field */
    /* An element that was never added. */
    REFUSED("\x08\x05\x12\x0e\x0a\x01z\x11\x01\0\0\0\0\0\0\0\x18\x01");
}
END_TEST

START_TEST(nesting_has_an_end)
{
    struct lattice *deep = lattice_set_number(LATTICE_MAX, 7);
    struct plex_buf bytes;
    struct lattice *out;
    struct plex_err err;

    for (int i = 0; i < LATTICE_DEPTH_MAX; i++)
        deep = lattice_wrap(LATTICE_MAP, "n", 1, deep);
    survives_encoding(deep);
    deep = lattice_wrap(LATTICE_MAP, "n", 1, deep);
    bytes = bytes_of(deep);
    ck_assert_int_eq(
        lattice_decode((struct plex_bytes){bytes.data, bytes.len}, &out, &err),
        PLEX_INVALID);
    plex_buf_free(&bytes);
    lattice_free(deep);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("laws");
    Suite *suite = suite_create("lattice");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 100);
    tcase_add_loop_test(tests, merging_obeys_the_laws, 1, LATTICE_KINDS);
    tcase_add_test(tests, a_set_without_concurrency_is_a_set);
    tcase_add_test(tests, an_add_wins_over_a_remove_that_has_not_seen_it);
    tcase_add_test(tests, counters_know_their_bounds);
    tcase_add_test(tests, too_much_is_refused_before_it_is_merged);
    tcase_add_test(tests, what_is_not_canonical_is_refused);
    tcase_add_test(tests, nesting_has_an_end);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
