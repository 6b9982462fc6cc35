/* Values, packed tuples, templates. */
#include "services/tuplespace/engine/bits.h"
#include "tests/unit/tuplespace/drive.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct plex_err err;

static struct tspace_value
integer(int64_t value)
{
    return (struct tspace_value){.type = TSPACE_INTEGER, .integer = value};
}

static struct tspace_value
real(double value)
{
    return (struct tspace_value){.type = TSPACE_FLOAT, .real = value};
}

static struct tspace_value
string(const char *text)
{
    return (struct tspace_value){
        .type = TSPACE_STRING, .bytes = {(const uint8_t *)text, strlen(text)}};
}

/* -- packing --------------------------------------------------------------- */

START_TEST(a_packed_tuple_gives_its_fields_back)
{
    const struct plex_bytes packed =
        tuple("isfbnt", -5ll, "h\xc3\xa9", 2.5, 1, tuple("s", "in"));
    struct tspace_value value;

    ck_assert_int_eq(tspace_packed_check(packed, &err), PLEX_OK);
    ck_assert_uint_eq(tspace_packed_fields(packed.data), 6);
    ck_assert_uint_eq(tspace_packed_length(packed.data), packed.len);
    tspace_packed_get(packed.data, 0, &value);
    ck_assert_int_eq(value.integer, -5);
    tspace_packed_get(packed.data, 1, &value);
    ck_assert_uint_eq(value.bytes.len, 3);
    tspace_packed_get(packed.data, 3, &value);
    ck_assert_int_eq(value.type, TSPACE_BOOLEAN);
    ck_assert_int_eq(value.integer, 1);
    tspace_packed_get(packed.data, 5, &value);
    ck_assert_int_eq(value.type, TSPACE_TUPLE);
    tspace_packed_get(value.bytes.data, 0, &value);
    ck_assert_mem_eq(value.bytes.data, "in", 2);
}
END_TEST

START_TEST(what_is_no_value_is_refused)
{
    struct tspace_value bad[] = {
        real(NAN),
        string("\xff"),
        {.type = TSPACE_BOOLEAN, .integer = 2},
        {.type = 99},
        {.type = TSPACE_TUPLE, .bytes = {(const uint8_t *)"x", 1}},
    };
    struct plex_buf out = {.max = 1000};
    struct tspace_value *many = calloc(1001, sizeof *many);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(tspace_pack(&bad[i], 1, &out, &err), PLEX_INVALID);
    for (int i = 0; i < 1001; i++)
        many[i].type = TSPACE_NULL;
    ck_assert_int_eq(tspace_pack(many, 0, &out, &err), PLEX_INVALID);
    ck_assert_int_eq(tspace_pack(many, 1001, &out, &err), PLEX_INVALID);
    ck_assert_int_eq(tspace_pack(many, 1000, &out, &err), PLEX_TOO_LARGE);
    plex_buf_free(&out);
    free(many);
}
END_TEST

START_TEST(tuples_are_nested_eight_deep_and_no_deeper)
{
    struct tspace_value levels[10] = {{.type = TSPACE_NULL}};
    struct plex_buf out = {.max = 1 << 20};

    for (int i = 1; i < 10; i++)
        levels[i] = (struct tspace_value){
            .type = TSPACE_TUPLE, .fields = &levels[i - 1], .n_fields = 1};
    ck_assert_int_eq(tspace_pack(&levels[7], 1, &out, &err), PLEX_OK);
    ck_assert_int_eq(
        tspace_packed_check((struct plex_bytes){out.data, out.len}, &err),
        PLEX_OK);
    ck_assert_int_eq(tspace_pack(&levels[8], 1, &out, &err), PLEX_INVALID);
    plex_buf_free(&out);
}
END_TEST

START_TEST(every_changed_byte_is_refused_or_another_tuple)
{
    const struct plex_bytes packed =
        tuple("isbnt", 77ll, "text", 1, tuple("si", "in", 1ll));
    uint8_t copy[512];
    unsigned refused = 0;

    for (size_t at = 0; at < packed.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, packed.data, packed.len);
            copy[at] ^= (uint8_t)(1 << bit);
            refused +=
                tspace_packed_check((struct plex_bytes){copy, packed.len},
                                    &err) != PLEX_OK;
        }
    ck_assert_uint_gt(refused, 200);
    for (size_t len = 0; len < packed.len; len++)
        ck_assert_int_ne(
            tspace_packed_check((struct plex_bytes){packed.data, len}, &err),
            PLEX_OK);
}
END_TEST

/* -- order ----------------------------------------------------------------- */

START_TEST(values_are_in_one_order_and_keys_agree)
{
    struct tspace_value nested[2] = {
        {.type = TSPACE_TUPLE, .bytes = tuple("ii", 1ll, 1ll)},
        {.type = TSPACE_TUPLE, .bytes = tuple("ii", 1ll, 2ll)}};
    const struct tspace_value values[] = {
        {.type = TSPACE_NULL},
        {.type = TSPACE_BOOLEAN, .integer = 0},
        {.type = TSPACE_BOOLEAN, .integer = 1},
        real(-INFINITY),
        integer(INT64_MIN),
        integer(-3),
        real(-2.5),
        integer(0),
        real(0.5),
        integer(1),
        real(1.0),
        integer((1ll << 53)),
        integer((1ll << 53) + 1),
        real(9007199254740994.0),
        integer(INT64_MAX - 1),
        integer(INT64_MAX),
        real(9223372036854775808.0),
        real(INFINITY),
        string(""),
        string("a"),
        string("a longer text, over sixteen"),
        string("a longer text, over sixty"),
        string("b"),
        {.type = TSPACE_BINARY, .bytes = {(const uint8_t *)"a", 1}},
        nested[0],
        nested[1],
    };
    const int n = sizeof values / sizeof values[0];

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const int order = tspace_value_compare(&values[i], &values[j]);
            const struct tspace_key a = tspace_value_key(&values[i]);
            const struct tspace_key b = tspace_value_key(&values[j]);

            ck_assert_msg((order < 0) == (i < j) && (order > 0) == (i > j),
                          "%d and %d", i, j);
            ck_assert(tspace_value_equal(&values[i], &values[j]) == (i == j));
            if (i < j && tspace_type_class(values[i].type) ==
                             tspace_type_class(values[j].type))
                ck_assert(a.high < b.high ||
                          (a.high == b.high && a.low <= b.low));
        }
}
END_TEST

START_TEST(zeros_are_equal_and_hash_equal)
{
    const struct tspace_value plus = real(0.0), minus = real(-0.0);
    const struct tspace_value a = {.type = TSPACE_TUPLE,
                                   .bytes = tuple("f", 0.0)};
    const struct tspace_value b = {.type = TSPACE_TUPLE,
                                   .bytes = tuple("f", -0.0)};

    ck_assert(tspace_value_equal(&plus, &minus));
    ck_assert(tspace_value_hash(&plus, 1) == tspace_value_hash(&minus, 1));
    ck_assert(tspace_value_equal(&a, &b));
    ck_assert(tspace_value_hash(&a, 1) == tspace_value_hash(&b, 1));
}
END_TEST

/* -- templates ------------------------------------------------------------- */

static bool
fits(struct tspace_template *wanted, struct plex_bytes packed)
{
    struct plex_buf out = {.max = 1 << 20};
    struct tspace_template *copy;
    bool gave_up = false, fit;

    fit = tspace_template_match(wanted, packed.data, &gave_up);
    ck_assert(!gave_up);
    /* Through its stored form it is the same template. */
    ck_assert_int_eq(tspace_template_pack(wanted, &out, &err), PLEX_OK);
    ck_assert_int_eq(tspace_template_unpack(
                         &copy, (struct plex_bytes){out.data, out.len}, &err),
                     PLEX_OK);
    ck_assert(tspace_template_match(copy, packed.data, &gave_up) == fit);
    tspace_template_unref(copy);
    tspace_template_unref(wanted);
    plex_buf_free(&out);
    return fit;
}

static struct tspace_template *
one(struct tspace_matcher matcher)
{
    struct tspace_template *out = NULL;

    ck_assert_msg(tspace_template_create(&out, &matcher, 1, &err) == PLEX_OK,
                  "%s", err.text);
    return out;
}

static struct tspace_matcher
exact(struct tspace_value value)
{
    return (struct tspace_matcher){.kind = TSPACE_EXACT, .value = value};
}

START_TEST(each_kind_of_matcher_matches_what_it_says)
{
    const struct tspace_matcher set[] = {exact(integer(1)), exact(string("x"))};
    const struct tspace_matcher range = {
        .kind = TSPACE_RANGE,
        .low = {true, false, integer(1)},
        .high = {true, true, real(2.5)},
    };
    const struct tspace_matcher both[] = {
        {.kind = TSPACE_SUFFIX, .value = string("ing")},
        {.kind = TSPACE_CONTAINS, .value = string("r")}};

    ck_assert(fits(template("?"), tuple("n")));
    ck_assert(!fits(template("?"), tuple("nn")));
    ck_assert(fits(template("I"), tuple("i", 1ll)));
    ck_assert(!fits(template("I"), tuple("f", 1.0)));
    ck_assert(fits(template("i", 1ll), tuple("i", 1ll)));
    ck_assert(!fits(template("i", 1ll), tuple("f", 1.0)));
    ck_assert(fits(one(range), tuple("i", 1ll)));
    ck_assert(fits(one(range), tuple("f", 2.25)));
    ck_assert(!fits(one(range), tuple("f", 2.5)));
    ck_assert(!fits(one(range), tuple("s", "2")));
    ck_assert(fits(template("p", "ab"), tuple("s", "abc")));
    ck_assert(!fits(template("p", "ab"), tuple("s", "a")));
    ck_assert(fits(template("r", "^[a-c]+$"), tuple("s", "abc")));
    ck_assert(!fits(template("r", "^[a-c]+$"), tuple("s", "abd")));
    ck_assert(fits(one((struct tspace_matcher){
                       .kind = TSPACE_IN, .items = set, .n_items = 2}),
                   tuple("s", "x")));
    ck_assert(!fits(one((struct tspace_matcher){
                        .kind = TSPACE_IN, .items = set, .n_items = 2}),
                    tuple("i", 2ll)));
    ck_assert(fits(one((struct tspace_matcher){
                       .kind = TSPACE_NOT, .items = set, .n_items = 1}),
                   tuple("i", 2ll)));
    ck_assert(fits(one((struct tspace_matcher){
                       .kind = TSPACE_ALL, .items = both, .n_items = 2}),
                   tuple("s", "string")));
    ck_assert(!fits(one((struct tspace_matcher){
                        .kind = TSPACE_ALL, .items = both, .n_items = 2}),
                    tuple("s", "sing")));
    ck_assert(fits(one((struct tspace_matcher){
                       .kind = TSPACE_NESTED, .items = set, .n_items = 2}),
                   tuple("t", tuple("is", 1ll, "x"))));
    ck_assert(!fits(one((struct tspace_matcher){
                        .kind = TSPACE_NESTED, .items = set, .n_items = 2}),
                    tuple("t", tuple("is", 1ll, "y"))));
}
END_TEST

START_TEST(the_same_variable_binds_equal_values)
{
    ck_assert(fits(template("vsv", 1, "x", 1), tuple("isi", 5ll, "x", 5ll)));
    ck_assert(!fits(template("vsv", 1, "x", 1), tuple("isi", 5ll, "x", 6ll)));
    ck_assert(fits(template("vsv", 1, "x", 2), tuple("isi", 5ll, "x", 6ll)));
}
END_TEST

static enum plex_status
refused(struct tspace_matcher matcher)
{
    struct tspace_template *out;

    return tspace_template_create(&out, &matcher, 1, &err);
}

START_TEST(bad_templates_are_refused_with_the_field)
{
    const struct tspace_matcher variable = {.kind = TSPACE_BIND};
    struct tspace_matcher deep[40] = {{.kind = TSPACE_ANY}};

    for (int i = 1; i < 40; i++)
        deep[i] = (struct tspace_matcher){
            .kind = TSPACE_NOT, .items = &deep[i - 1], .n_items = 1};
    ck_assert_int_eq(refused(deep[39]), PLEX_INVALID);
    ck_assert_int_eq(refused(exact(real(NAN))), PLEX_INVALID);
    ck_assert(strncmp(err.text, "field 1: ", 9) == 0);
    ck_assert_int_eq(refused((struct tspace_matcher){.kind = TSPACE_RANGE}),
                     PLEX_INVALID);
    ck_assert_int_eq(
        refused((struct tspace_matcher){.kind = TSPACE_RANGE,
                                        .low = {true, false, integer(1)},
                                        .high = {true, false, string("x")}}),
        PLEX_INVALID);
    ck_assert_int_eq(refused((struct tspace_matcher){
                         .kind = TSPACE_NOT, .items = &variable, .n_items = 1}),
                     PLEX_INVALID);
    ck_assert_int_eq(refused((struct tspace_matcher){.kind = TSPACE_REGEX,
                                                     .value = string("(")}),
                     PLEX_INVALID);
    ck_assert_int_eq(
        refused((struct tspace_matcher){
            .kind = TSPACE_REGEX, .value = string("((a{1000}){1000}){1000}")}),
        PLEX_INVALID);
    ck_assert_int_eq(
        refused((struct tspace_matcher){.kind = TSPACE_BIND,
                                        .variable = TSPACE_VARIABLES_MAX}),
        PLEX_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuple");
    TCase *tcase = tcase_create("values and templates");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, a_packed_tuple_gives_its_fields_back);
    tcase_add_test(tcase, what_is_no_value_is_refused);
    tcase_add_test(tcase, tuples_are_nested_eight_deep_and_no_deeper);
    tcase_add_test(tcase, every_changed_byte_is_refused_or_another_tuple);
    tcase_add_test(tcase, values_are_in_one_order_and_keys_agree);
    tcase_add_test(tcase, zeros_are_equal_and_hash_equal);
    tcase_add_test(tcase, each_kind_of_matcher_matches_what_it_says);
    tcase_add_test(tcase, the_same_variable_binds_equal_values);
    tcase_add_test(tcase, bad_templates_are_refused_with_the_field);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
