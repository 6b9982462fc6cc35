#include "workflow/expr.h"

#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* input, item and "$" are the same value in these tables. */
static const char world_text[] =
    "{\"name\":\"Ada\",\"total\":120,\"price\":9.5,\"tags\":[\"a\",\"b\","
    "\"c\"],\"none\":null,\"empty\":[],\"nested\":{\"deep\":{\"x\":1}},"
    "\"items\":[{\"sku\":\"p\",\"qty\":2,\"price\":5},{\"sku\":\"q\","
    "\"qty\":1,\"price\":7,\"gift\":true}],\"a b\":7,\"t\":"
    "\"2026-11-22T18:00:00Z\"}";

struct seen {
    json_t *world, *context;
};

static json_t *
root(void *ctx, enum flow_root which, const char *name)
{
    struct seen *s = ctx;

    if (which == FLOW_ROOT_STEP)
        return strcmp(name, "one") == 0 || strcmp(name, "one-two") == 0
                   ? s->world
                   : NULL;
    if (which == FLOW_ROOT_CONTEXT)
        return s->context;
    return which == FLOW_ROOT_RESULT ? NULL : s->world;
}

/* The compact text of the value, or "!" and the fault. */
static void
check_value(const struct flow_expr *x, const char *text, const char *want)
{
    struct seen seen = {json_loads(world_text, 0, NULL),
                        json_loads("{\"Execution\":{\"Id\":\"r1\"}}", 0, NULL)};
    uint64_t random = 42;
    const struct flow_env env = {root, &seen, 1700000000000, &random};
    struct flow_fault fault;
    json_t *value = flow_expr_eval(x, &env, &fault);
    char *got = value != NULL ? flow_value_text(value) : NULL;

    if (want[0] == '!')
        ck_assert_msg(got == NULL && strstr(fault.text, want + 1) != NULL,
                      "%s: want %s, got %s%s", text, want, got ? got : "!",
                      fault.text);
    else
        ck_assert_msg(got != NULL && strcmp(got, want) == 0,
                      "%s: want %s, got %s%s", text, want, got ? got : "!",
                      fault.text);
    free(got);
    json_decref(value);
    json_decref(seen.world);
    json_decref(seen.context);
}

struct row {
    const char *text, *want;
};

static const struct row native[] = {
    {"1 + 2 * 3", "7"},
    {"(1 + 2) * 3", "9"},
    {"7 / 2", "3.5"},
    {"6 / 2", "3"},
    {"-7 % 4", "-3"},
    {"2 - 3 - 4", "-5"},
    {"1 / 0", "!division by zero"},
    {"9223372036854775807 + 1", "!does not fit"},
    {"1.5 + 1", "2.5"},
    {"1 == 1.0", "true"},
    {"'a' < 'b'", "true"},
    {"1 < 'b'", "!cannot be used on number and text"},
    {"'a' + \"b\"", "\"ab\""},
    {"[1] + [2]", "[1,2]"},
    {"'x' + 1", "!'+' cannot be used on text and number"},
    {"!true || 1 < 2 && 2 < 1", "false"},
    {"input.total > 100 ? 'big' : 'small'", "\"big\""},
    {"false ? 1 : false ? 2 : 3", "3"},
    {"input.none ?? 'd'", "\"d\""},
    {"input.missing ?? 'd'", "\"d\""},
    {"input.missing.more ?? 'd'", "\"d\""},
    {"input.missing", "!there is no member 'missing' (column 7)"},
    {"input.name.x", "!there is no member 'x' in a value that is text"},
    {"input?.missing", "null"},
    {"input?.missing?.more", "null"},
    {"input.missing?.more", "null"},
    {"input.tags[0]", "\"a\""},
    {"input.tags[-1]", "\"c\""},
    {"input.tags[3]", "!there is no item 3 in a list of 3"},
    {"input.tags?[3]", "null"},
    {"input['a b']", "7"},
    {"input.nested.deep", "{\"x\":1}"},
    {"steps.one.total", "120"},
    {"steps['one-two'].total", "120"},
    {"steps.two.total", "!step 'two' has not been run"},
    {"result", "!there is no result here"},
    {"exists(input.name) && !exists(input.nope)", "true"},
    {"'b' in input.tags", "true"},
    {"'name' in input", "true"},
    {"'d' in 'Ada'", "true"},
    {"1 in 2", "!'in' wants"},
    {"map(input.items, i, i.qty * i.price)", "[10,7]"},
    {"filter(input.items, i, i.qty > 1)",
     "[{\"sku\":\"p\",\"qty\":2,\"price\":5}]"},
    {"any(input.items, i, i.sku == 'q')", "true"},
    {"all(input.items, i, i.sku == 'q')", "false"},
    {"map([1,2], a, map([10,20], b, a * b))", "[[10,20],[20,40]]"},
    {"sum(map(input.items, i, i.qty * i.price))", "17"},
    {"{a: 1, 'b c': [true, null]}", "{\"a\":1,\"b c\":[true,null]}"},
    {"length(input.tags) + length('\\u00e9x') + length(input.nested)", "6"},
    {"upper('ab') + lower('CD') + trim('  e ')", "\"ABcde\""},
    {"split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]"},
    {"join(input.tags, '-')", "\"a-b-c\""},
    {"join([1, true, {}], ',')", "\"1,true,{}\""},
    {"replace('aXbX', 'X', '--')", "\"a--b--\""},
    {"substring('h\\u00e9llo', 1, 3)", "\"\xc3\xa9ll\""},
    {"starts_with(input.name, 'A') && ends_with(input.name, 'a')", "true"},
    {"matches('report-12.csv', 'report-*.csv')", "true"},
    {"matches('abc', 'a?d')", "false"},
    {"[floor(1.7), ceil(1.2), round(2.5), abs(-3)]", "[1,2,3,3]"},
    {"[min(3, 1, 2), max([4, 9, 5])]", "[1,9]"},
    {"max([])", "!the list is empty"},
    {"number('12') + 1", "13"},
    {"number('x')", "!is not a number"},
    {"text(12) + text('a') + text([1])", "\"12a[1]\""},
    {"[type(1), type('a'), type(null), type([]), type({}), type(true)]",
     "[\"number\",\"text\",\"null\",\"array\",\"object\",\"boolean\"]"},
    {"now()", "1700000000000"},
    {"time(input.t)", "1795370400000"},
    {"format_time(time('2024-02-29T12:00:00.5+01:00'))",
     "\"2024-02-29T11:00:00.500Z\""},
    {"time('2023-02-29T12:00:00Z')", "!is not an RFC 3339 time"},
    {"duration('1h30m')", "5400000"},
    {"range(0, 3) + range(5, 3, -1)", "[0,1,2,5,4]"},
    {"range(0, 1000000)", "!more than 100000 operations"},
    {"slice([1,2,3,4], 1, -1)", "[2,3]"},
    {"sort([3, 1, 2])", "[1,2,3]"},
    {"sort(['b', 'a'])", "[\"a\",\"b\"]"},
    {"sort([1, 'a'])", "!cannot be used"},
    {"unique([1, 2, 1.0, 2])", "[1,2]"},
    {"reverse(flatten([[1], 2, [3, 4]]))", "[4,3,2,1]"},
    {"merge({a: 1, b: 2}, {b: 3})", "{\"a\":1,\"b\":3}"},
    {"pick({a: 1, b: 2}, ['a'])", "{\"a\":1}"},
    {"omit({a: 1, b: 2}, ['a'])", "{\"b\":2}"},
    {"keys(input.nested) + values({a: 1})", "[\"deep\",1]"},
    {"contains(input.tags, 'b')", "true"},
    {"pointer(input, '/items/1/sku')", "\"q\""},
    {"pointer(input, '/a~1b')", "!there is nothing at"},
    {"parse_json('{\"a\":[1]}').a[0]", "1"},
    {"json({a: 1})", "\"{\\\"a\\\":1}\""},
    {"base64_decode(base64_encode('hi'))", "\"hi\""},
    {"hash('hello', 'SHA-256')",
     "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""},
    {"length(uuid())", "36"},
    {"random() < 1", "true"},
    {"fail('no ' + input.name)", "!no Ada"},
    {"'\\n\\u20ac'", "\"\\n\xe2\x82\xac\""},
};

START_TEST(native_expressions_give_these_values)
{
    const struct row *row = &native[_i];
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_msg(flow_expr_parse(&pool, row->text, strlen(row->text), ~0U, &x,
                                  &err) == PLEX_OK,
                  "%s: %s", row->text, err.text);
    check_value(x, row->text, row->want);
    flow_pool_fini(&pool);
}
END_TEST

static const struct row wrong[] = {
    {"", "1:1: an expression is expected"},
    {"1 +", "1:4: an expression is expected"},
    {"1 2", "1:3: an operator or the end"},
    {"(1", "1:3: ')' is expected at the end"},
    {"foo", "1:1: unknown name 'foo'"},
    {"foo(1)", "1:1: there is no function 'foo'"},
    {"upper()", "1:1: upper() has 1 to 1 arguments, not 0"},
    {"input.", "1:7: a member's name"},
    {"steps", "1:1: name a step"},
    {"steps[1]", "1:7: a step's name in quotes"},
    {"'abc", "1:1: the text that begins here does not end"},
    {"'a\\q'", "1:3: unknown escape"},
    {"99999999999999999999", "1:1: the number is too large"},
    {"1.2.3", "1:1: '1.2.3' is not a number"},
    {"map([1], 2, 3)", "1:10: a name for the item"},
    {"@", "1:1: '@' is known in filters"},
    {"a\n ? b", "1:1: unknown name"},
    {"1 ==\n  %", "2:3: an expression cannot begin with '%'"},
    {"{1: 2}", "1:2: a member's name"},
    {"item", "1:1: 'item' is not known here"},
};

START_TEST(wrong_expressions_say_where)
{
    const struct row *row = &wrong[_i];
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_int_eq(flow_expr_parse(&pool, row->text, strlen(row->text),
                                     ~FLOW_ROOT_BIT(FLOW_ROOT_ITEM), &x, &err),
                     PLEX_INVALID);
    ck_assert_msg(strncmp(err.text, row->want, strlen(row->want)) == 0,
                  "%s: want %s, got %s", row->text, row->want, err.text);
    flow_pool_fini(&pool);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    static const char *const opens[] = {"(",   "[",          "-",     "!",
                                        "{a:", "map([1],x,", "input["};
    char text[4000];
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    for (size_t o = 0; o < sizeof opens / sizeof *opens; o++) {
        text[0] = '\0';
        for (int i = 0; i < 300; i++)
            strcat(text, opens[o]);
        flow_pool_init(&pool, 1 << 20);
        ck_assert_int_eq(
            flow_expr_parse(&pool, text, strlen(text), ~0U, &x, &err),
            PLEX_INVALID);
        ck_assert_msg(strstr(err.text, "deep") != NULL, "%s", err.text);
        flow_pool_fini(&pool);
    }
}
END_TEST

static const struct row paths[] = {
    {"$.total", "120"},
    {"$", NULL},
    {"$['a b']", "7"},
    {"$.items[1].sku", "\"q\""},
    {"$.items[-1].qty", "1"},
    {"$.items[*].sku", "[\"p\",\"q\"]"},
    {"$..sku", "[\"p\",\"q\"]"},
    {"$.items[0,1].qty", "[2,1]"},
    {"$.tags[1:]", "[\"b\",\"c\"]"},
    {"$.tags[:-1]", "[\"a\",\"b\"]"},
    {"$.tags[0:3:2]", "[\"a\",\"c\"]"},
    {"$.items[?(@.qty > 1)].sku", "[\"p\"]"},
    {"$.items[?(@.gift)].sku", "[\"q\"]"},
    {"$.items[?(@.sku == 'q' && @.price < $.total)].price", "[7]"},
    {"$.nested.*", "[{\"x\":1}]"},
    {"$$.Execution.Id", "\"r1\""},
    {"$.missing", "!there is no member 'missing'"},
    {"$.missing[*]", "[]"},
    {"States.Format('Hi {}, {} \\{\\}', $.name, $.total)",
     "\"Hi Ada, 120 {}\""},
    {"States.Format('{}')", "!arguments"},
    {"States.StringToJson('[1]')", "[1]"},
    {"States.JsonToString($.tags)", "\"[\\\"a\\\",\\\"b\\\",\\\"c\\\"]\""},
    {"States.Array($.total, 'x', null, true, 1.5)",
     "[120,\"x\",null,true,1.5]"},
    {"States.ArrayPartition($.tags, 2)", "[[\"a\",\"b\"],[\"c\"]]"},
    {"States.ArrayContains($.tags, 'c')", "true"},
    {"States.ArrayRange(1, 9, 2)", "[1,3,5,7,9]"},
    {"States.ArrayRange(1, 2000, 1)", "!at most 1000"},
    {"States.ArrayGetItem($.tags, 1)", "\"b\""},
    {"States.ArrayGetItem($.tags, 5)", "!an index"},
    {"States.ArrayLength($.tags)", "3"},
    {"States.ArrayUnique(States.Array(1,2,1))", "[1,2]"},
    {"States.Base64Encode('Data to encode')", "\"RGF0YSB0byBlbmNvZGU=\""},
    {"States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", "\"Data to encode\""},
    {"States.Hash('input data', 'SHA-1')",
     "\"aaff4a450a104cd177d28d18d74485e8cae074b7\""},
    {"States.Hash('a', 'MD5')", "\"0cc175b9c0f1b6a831c399e269772661\""},
    {"States.Hash('a', 'CRC')", "!is not MD5"},
    {"States.JsonMerge($.nested, States.StringToJson('{\"y\":2}'), false)",
     "{\"deep\":{\"x\":1},\"y\":2}"},
    {"States.JsonMerge($.nested, $.nested, true)", "!deep merging"},
    {"States.MathAdd($.total, -1)", "119"},
    {"States.StringSplit('1,2,3', ',')", "[\"1\",\"2\",\"3\"]"},
    {"States.StringSplit('This.is+a,test=string', '.+,=')",
     "[\"This\",\"is\",\"a\",\"test\",\"string\"]"},
    {"States.MathRandom(5, 6)", "5"},
    {"States.ArrayLength(States.StringSplit(States.UUID(), '-'))", "5"},
    {"States.Format('it\\'s {}', 1)", "\"it's 1\""},
};

START_TEST(paths_and_intrinsics_give_these_values)
{
    const struct row *row = &paths[_i];
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_msg(flow_path_parse(&pool, row->text, true, &x, &err) == PLEX_OK,
                  "%s: %s", row->text, err.text);
    if (row->want != NULL)
        check_value(x, row->text, row->want);
    flow_pool_fini(&pool);
}
END_TEST

static const char *const wrong_paths[] = {
    "",
    "a",
    "$.",
    "$..",
    "$[",
    "$['a'",
    "$.a b",
    "$[?(@.a]",
    "$[?@.a]",
    "States.Nope(1)",
    "States.Format",
    "States.Format('a'",
    "$.a[1:2:0]",
    "States.MathAdd(1)",
    "$.a[99999999999]",
    "$[1,]",
    "$.tags[a]",
};

START_TEST(wrong_paths_are_refused)
{
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_msg(flow_path_parse(&pool, wrong_paths[_i], true, &x, &err) ==
                      PLEX_INVALID,
                  "%s", wrong_paths[_i]);
    ck_assert_msg(strchr(err.text, ':') != NULL, "%s", err.text);
    flow_pool_fini(&pool);
}
END_TEST

static const struct {
    const char *place, *data, *value, *want;
} places[] = {
    {"$", "{\"a\":1}", "2", "2"},
    {"$.b", "{\"a\":1}", "2", "{\"a\":1,\"b\":2}"},
    {"$.b.c", "{\"a\":1}", "2", "{\"a\":1,\"b\":{\"c\":2}}"},
    {"$.a[1]", "{\"a\":[1,2]}", "9", "{\"a\":[1,9]}"},
    {"$.a[2]", "{\"a\":[1,2]}", "9", NULL},
    {"$.a.b", "{\"a\":1}", "9", NULL},
    {"$['x y']", "{}", "1", "{\"x y\":1}"},
};

START_TEST(a_result_is_put_where_its_path_says)
{
    json_t *data = json_loads(places[_i].data, 0, NULL);
    json_t *value = json_loads(places[_i].value, JSON_DECODE_ANY, NULL), *got;
    struct flow_place place;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_int_eq(flow_place_parse(&pool, places[_i].place, &place, &err),
                     PLEX_OK);
    got = flow_place_set(&place, data, value);
    if (places[_i].want == NULL) {
        ck_assert_ptr_null(got);
    } else {
        char *text = flow_value_text(got);
        char *before = flow_value_text(data);

        ck_assert_str_eq(text, places[_i].want);
        ck_assert_str_eq(before, places[_i].data); /* data is never changed */
        free(text);
        free(before);
    }
    json_decref(got);
    json_decref(data);
    json_decref(value);
    flow_pool_fini(&pool);
}
END_TEST

START_TEST(a_place_is_a_reference_path)
{
    static const char *const not [] = {"$$.a", "$.a[*]", "$..a", "$.a[-1]",
                                       "a"};
    struct flow_place place;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        ck_assert_int_eq(flow_place_parse(&pool, not [i], &place, &err),
                         PLEX_INVALID);
    flow_pool_fini(&pool);
}
END_TEST

/* A value doubled many times shares itself: its text would be endless. */
START_TEST(a_result_that_shares_itself_is_still_bounded)
{
    static const char text[] =
        "json(map([1],a,map([[a,a,a,a,a,a,a,a]],b,map([[b,b,b,b,b,b,b,b]],c,"
        "map([[c,c,c,c,c,c,c,c]],d,map([[d,d,d,d,d,d,d,d]],e,map([[e,e,e,e,e,"
        "e,e,e]],f,[f,f,f,f,f,f,f,f])))))))";
    struct flow_expr *x = NULL;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_msg(flow_expr_parse(&pool, text, strlen(text), ~0U, &x, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    check_value(x, text, "!too large");
    flow_pool_fini(&pool);
}
END_TEST

static const struct row values[] = {
    {"null", NULL},
    {"[1,-1,9223372036854775807,-9223372036854775808]", NULL},
    {"[1.5,-0.25,1e300]", NULL},
    {"{\"b\":1,\"a\":{\"\":\"\\u20ac\"}}", NULL},
    {"\"text\"", NULL},
    {"[true,false,null,[],{}]", NULL},
};

START_TEST(values_come_back_from_the_compact_form)
{
    json_t *value = json_loads(values[_i].text, JSON_DECODE_ANY, NULL), *back;
    struct plex_buf buf = {.max = 4096};
    struct flow_writer w = {.buf = &buf};
    struct flow_reader r;

    flow_put_value(&w, value);
    flow_put_value(&w, value); /* written once if it is a container */
    flow_put_text(&w, NULL);
    flow_put_text(&w, "");
    flow_put_i(&w, INT64_MIN);
    ck_assert(!w.full);
    r = (struct flow_reader){.at = buf.data, .end = buf.data + buf.len};
    for (int i = 0; i < 2; i++) {
        back = flow_get_value(&r);
        ck_assert_ptr_nonnull(back);
        ck_assert(flow_value_equal(value, back));
        json_decref(back);
    }
    ck_assert_ptr_null(flow_get_text(&r, 10));
    char *empty = flow_get_text(&r, 10);
    ck_assert_str_eq(empty, "");
    free(empty);
    ck_assert(flow_get_i(&r) == INT64_MIN);
    ck_assert(!r.bad && r.at == r.end);
    flow_reader_fini(&r);
    flow_writer_fini(&w);
    plex_buf_free(&buf);
    json_decref(value);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int
main(void)
{
    Suite *suite = suite_create("expr");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, native_expressions_give_these_values, 0,
                        COUNT(native));
    tcase_add_loop_test(tc, wrong_expressions_say_where, 0, COUNT(wrong));
    tcase_add_test(tc, nesting_is_bounded);
    tcase_add_loop_test(tc, paths_and_intrinsics_give_these_values, 0,
                        COUNT(paths));
    tcase_add_loop_test(tc, wrong_paths_are_refused, 0, COUNT(wrong_paths));
    tcase_add_loop_test(tc, a_result_is_put_where_its_path_says, 0,
                        COUNT(places));
    tcase_add_test(tc, a_place_is_a_reference_path);
    tcase_add_test(tc, a_result_that_shares_itself_is_still_bounded);
    tcase_add_loop_test(tc, values_come_back_from_the_compact_form, 0,
                        COUNT(values));
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
