/* Keys and values: each operation, and random ones against a model. */
#include "services/registry/kv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000 };

static struct reg_kv *kv;
static struct reg_when when;
static char call_mark; /* its address is the call */
/* What the last request was answered. */
static enum plex_status status;
static char text[REG_KEEP_TEXT_MAX];
static struct reg_keep_action last;
static size_t rows;

static void
last_free(void)
{
    if (last.kind == REG_KEEP_REPLY)
        reg_kv_action_free(&last);
    memset(&last, 0, sizeof last);
}

/* Pops everything; the last reply is kept. Returns how many replies. */
static int
drain(void)
{
    struct reg_keep_action action;
    int replies = 0;

    while (reg_kv_next(kv, &action)) {
        if (action.kind == REG_KEEP_ROW) {
            rows++;
            reg_kv_action_free(&action);
            continue;
        }
        last_free();
        last = action;
        status = action.status;
        snprintf(text, sizeof text, "%s",
                 action.text == NULL ? "" : action.text);
        replies++;
    }
    return replies;
}

static struct plex_bytes
bytes(const char *string)
{
    return (struct plex_bytes){(const uint8_t *)string, strlen(string)};
}

static struct reg_kv_request
request(enum reg_kv_op op, const char *key, const char *value)
{
    return (struct reg_kv_request){.op = op,
                                   .tenant = "t",
                                   .ns = "n",
                                   .key = key,
                                   .prefix = "",
                                   .after = "",
                                   .request_id = "",
                                   .value = bytes(value),
                                   .page_size = 50};
}

/* The answer, or NULL when it failed. */
static const struct reg_kv_answer *
ask(const struct reg_kv_request *what)
{
    reg_kv_request(kv, &call_mark, what, when);
    ck_assert_int_eq(drain(), 1);
    ck_assert_ptr_eq(last.call, &call_mark);
    return status == PLEX_OK ? last.answer : NULL;
}

static const struct reg_kv_answer *
op(enum reg_kv_op kind, const char *key, const char *value)
{
    const struct reg_kv_request what = request(kind, key, value);

    return ask(&what);
}

static const char *
get(const char *key)
{
    static char value[256];
    const struct reg_kv_answer *answer = op(REG_KV_GET, key, "");

    if (answer == NULL)
        return NULL;
    snprintf(value, sizeof value, "%.*s", (int)answer->recs[0]->value.len,
             (const char *)answer->recs[0]->value.data);
    return value;
}

static void
start(const struct reg_kv_config *config)
{
    kv = reg_kv_create(config);
    when = (struct reg_when){1000ULL * MS, 1700000000000};
    reg_kv_loaded(kv, 0, when);
    rows = 0;
}

static void
setup(void)
{
    start(&reg_kv_defaults);
}

static void
teardown(void)
{
    last_free();
    reg_kv_free(kv);
}

START_TEST(what_is_put_is_got_until_it_is_deleted)
{
    ck_assert_ptr_null(get("a"));
    ck_assert_int_eq(status, PLEX_NOT_FOUND);
    ck_assert_ptr_nonnull(op(REG_KV_PUT, "a", "1"));
    ck_assert_str_eq(get("a"), "1");
    ck_assert_uint_eq(op(REG_KV_PUT, "a", "two")->outcome.version, 2);
    ck_assert_str_eq(get("a"), "two");
    ck_assert(op(REG_KV_DELETE, "a", "")->outcome.done);
    ck_assert(!op(REG_KV_DELETE, "a", "")->outcome.done);
    ck_assert_ptr_null(get("a"));
    ck_assert_uint_eq(rows, 3);
    ck_assert_uint_eq(reg_kv_stats(kv).bytes, 0);
}
END_TEST

START_TEST(tenants_and_namespaces_do_not_see_each_other)
{
    struct reg_kv_request other = request(REG_KV_GET, "a", "");

    (void)op(REG_KV_PUT, "a", "1");
    other.tenant = "t2";
    ck_assert_ptr_null(ask(&other));
    other.tenant = "t";
    other.ns = "n2";
    ck_assert_ptr_null(ask(&other));
    other.op = REG_KV_COUNT;
    ck_assert_uint_eq(ask(&other)->outcome.count, 0);
    other.op = REG_KV_CLEAR;
    ck_assert_uint_eq(ask(&other)->outcome.count, 0);
    ck_assert_str_eq(get("a"), "1");
}
END_TEST

START_TEST(a_key_with_a_ttl_expires_and_is_put_without_one)
{
    struct reg_kv_request put = request(REG_KV_PUT, "a", "1");
    struct reg_kv_request refresh = request(REG_KV_REFRESH, "a", "");

    put.ttl_ms = 1000;
    (void)ask(&put);
    ck_assert_uint_eq(reg_kv_wake(kv), when.now_ns + 1000ULL * MS);
    when.now_ns += 999ULL * MS;
    when.wall_ms += 999;
    ck_assert_str_eq(get("a"), "1");
    refresh.ttl_ms = 5000;
    (void)ask(&refresh);
    when.now_ns += 4999ULL * MS;
    when.wall_ms += 4999;
    ck_assert_str_eq(get("a"), "1");
    when.now_ns += MS;
    when.wall_ms += 1;
    ck_assert_ptr_null(get("a"));
    (void)ask(&put);
    refresh.ttl_ms = 0;
    (void)ask(&refresh);
    ck_assert_uint_eq(reg_kv_wake(kv), UINT64_MAX);
    ck_assert_ptr_null(op(REG_KV_REFRESH, "nope", ""));
}
END_TEST

START_TEST(cas_compares_absence_value_and_version)
{
    struct reg_kv_request cas = request(REG_KV_CAS, "a", "1");

    ck_assert(ask(&cas)->outcome.done);
    ck_assert(!ask(&cas)->outcome.done);
    ck_assert_uint_eq(((struct reg_kv_answer *)last.answer)->outcome.version,
                      1);
    cas.expect_value = true;
    cas.expected = bytes("0");
    cas.value = bytes("2");
    ck_assert(!ask(&cas)->outcome.done);
    cas.expected = bytes("1");
    ck_assert(ask(&cas)->outcome.done);
    cas.expect_value = false;
    cas.expect_version = true;
    cas.version = 1;
    ck_assert(!ask(&cas)->outcome.done);
    cas.version = 2;
    cas.value = bytes("3");
    ck_assert(ask(&cas)->outcome.done);
    ck_assert_str_eq(get("a"), "3");
}
END_TEST

START_TEST(numbers_count_within_64_bits)
{
    struct reg_kv_request add = request(REG_KV_INCREMENT, "a", "");

    add.delta = 5;
    ck_assert_int_eq(ask(&add)->outcome.number, 5);
    add.delta = -7;
    ck_assert_int_eq(ask(&add)->outcome.number, -2);
    ck_assert_str_eq(get("a"), "-2");
    (void)op(REG_KV_PUT, "a", "9223372036854775807");
    add.delta = 1;
    ck_assert_ptr_null(ask(&add));
    ck_assert_int_eq(status, PLEX_INVALID);
    ck_assert_str_eq(get("a"), "9223372036854775807");
    for (size_t i = 0; i < 5; i++) {
        static const char *const bad[] = {"x", "01", " 1", "+1", "1.0"};

        (void)op(REG_KV_PUT, "b", bad[i]);
        add.key = "b";
        ck_assert_ptr_null(ask(&add));
        ck_assert_int_eq(status, PLEX_INVALID);
    }
}
END_TEST

START_TEST(a_request_id_has_its_effect_once)
{
    struct reg_kv_request add = request(REG_KV_INCREMENT, "a", "");

    add.delta = 1;
    add.request_id = "r1";
    add.digest = 7;
    ck_assert_int_eq(ask(&add)->outcome.number, 1);
    ck_assert_int_eq(ask(&add)->outcome.number, 1);
    ck_assert_str_eq(get("a"), "1");
    add.digest = 8;
    ck_assert_ptr_null(ask(&add));
    ck_assert_int_eq(status, PLEX_MISMATCH);
    add.ns = "n2";
    ck_assert_int_eq(ask(&add)->outcome.number, 1);
    add.ns = "n";
    add.digest = 7;
    when.now_ns += 601000ULL * MS;
    when.wall_ms += 601000;
    ck_assert_int_eq(ask(&add)->outcome.number, 2);
}
END_TEST

START_TEST(lists_are_in_order_and_in_pages)
{
    struct reg_kv_request list = request(REG_KV_LIST, NULL, "");
    const struct reg_kv_answer *answer;

    for (int i = 9; i >= 0; i--) {
        char key[16];

        snprintf(key, sizeof key, "k/%d", i);
        (void)op(REG_KV_PUT, key, "v");
    }
    (void)op(REG_KV_PUT, "j", "v");
    (void)op(REG_KV_PUT, "l", "v");
    list.prefix = "k/";
    list.page_size = 4;
    answer = ask(&list);
    ck_assert_uint_eq(answer->n_recs, 4);
    ck_assert(answer->more);
    ck_assert_str_eq(answer->recs[3]->key, "k/3");
    list.after = "k/7";
    answer = ask(&list);
    ck_assert_uint_eq(answer->n_recs, 2);
    ck_assert(!answer->more);
    ck_assert_str_eq(answer->recs[1]->key, "k/9");
    list.op = REG_KV_COUNT;
    ck_assert_uint_eq(ask(&list)->outcome.count, 10);
    list.prefix = "";
    ck_assert_uint_eq(ask(&list)->outcome.count, 12);
    list.op = REG_KV_CLEAR;
    list.prefix = "k";
    ck_assert_uint_eq(ask(&list)->outcome.count, 10);
    list.op = REG_KV_STATS;
    ck_assert_uint_eq(ask(&list)->keys, 2);
}
END_TEST

START_TEST(many_are_put_all_or_none)
{
    const struct reg_kv_pair pairs[] = {
        {"a", bytes("1")}, {"b", bytes("2")}, {"a", bytes("3")}};
    struct reg_kv_config config = reg_kv_defaults;
    struct reg_kv_request put = request(REG_KV_MULTI_PUT, NULL, "");
    const struct reg_kv_answer *answer;

    put.pairs = pairs;
    put.n_pairs = 3;
    ck_assert_uint_eq(ask(&put)->outcome.version, 3);
    ck_assert_str_eq(get("a"), "3");
    put.op = REG_KV_MULTI_GET;
    answer = ask(&put);
    ck_assert_uint_eq(answer->n_recs, 3);
    teardown();
    config.keys_max = 1;
    start(&config);
    put.op = REG_KV_MULTI_PUT;
    ck_assert_ptr_null(ask(&put));
    ck_assert_int_eq(status, PLEX_LIMIT);
    ck_assert_uint_eq(reg_kv_stats(kv).keys, 0);
    ck_assert_uint_eq(rows, 0);
}
END_TEST

START_TEST(limits_refuse_what_is_too_much_and_nothing_else)
{
    struct reg_kv_config config = reg_kv_defaults;
    static char big[4096];

    teardown();
    config.keys_max = 2;
    config.bytes_max = 4096;
    start(&config);
    memset(big, 'x', sizeof big - 1);
    ck_assert_ptr_nonnull(op(REG_KV_PUT, "a", "1"));
    ck_assert_ptr_nonnull(op(REG_KV_PUT, "b", "1"));
    ck_assert_ptr_null(op(REG_KV_PUT, "c", "1"));
    ck_assert_int_eq(status, PLEX_LIMIT);
    ck_assert_ptr_null(op(REG_KV_PUT, "a", big));
    ck_assert_int_eq(status, PLEX_LIMIT);
    ck_assert_str_eq(get("a"), "1");
    ck_assert_ptr_nonnull(op(REG_KV_PUT, "a", "2"));
}
END_TEST

/* -- watching -- */

static struct reg_kv_request
watch(const char *key, const char *prefix, uint64_t since)
{
    struct reg_kv_request what = request(REG_KV_WATCH, key, "");

    what.prefix = prefix;
    what.since = since;
    what.timeout_ms = 10000;
    return what;
}

START_TEST(a_watch_hears_what_happened_since)
{
    struct reg_kv_request what = watch(NULL, "a", 1);
    const struct reg_kv_answer *answer;

    (void)op(REG_KV_PUT, "x", "1");
    (void)op(REG_KV_PUT, "a1", "1");
    (void)op(REG_KV_PUT, "b", "1");
    (void)op(REG_KV_DELETE, "a1", "");
    answer = ask(&what);
    ck_assert_uint_eq(answer->n_events, 2);
    ck_assert_int_eq(answer->events[0].kind, REG_KV_EVENT_PUT);
    ck_assert_int_eq(answer->events[1].kind, REG_KV_EVENT_DELETE);
    ck_assert_uint_eq(answer->revision, 4);
    ck_assert(!answer->lost);
}
END_TEST

START_TEST(a_watch_waits_for_the_first_change_of_its_own)
{
    struct reg_kv_request what = watch("a", "", 0);
    const struct reg_kv_answer *answer;
    char watcher;

    reg_kv_request(kv, &watcher, &what, when);
    ck_assert_int_eq(drain(), 0);
    (void)op(REG_KV_PUT, "ab", "1");
    what = request(REG_KV_PUT, "a", "1");
    reg_kv_request(kv, &call_mark, &what, when);
    ck_assert_int_eq(drain(), 2);
    ck_assert_ptr_eq(last.call, &watcher);
    answer = last.answer;
    ck_assert_uint_eq(answer->n_events, 1);
    ck_assert_uint_eq(answer->events[0].revision, 2);
    ck_assert_uint_eq(reg_kv_stats(kv).watchers, 0);
}
END_TEST

START_TEST(a_watch_ends_with_nothing_in_time)
{
    struct reg_kv_request what = watch("a", "", 0);
    const struct reg_kv_answer *answer;

    (void)op(REG_KV_PUT, "b", "1");
    reg_kv_request(kv, &call_mark, &what, when);
    (void)drain();
    (void)op(REG_KV_PUT, "c", "1");
    ck_assert_uint_eq(reg_kv_wake(kv), when.now_ns + 10000ULL * MS);
    when.now_ns += 10000ULL * MS;
    reg_kv_tick(kv, when);
    ck_assert_int_eq(drain(), 1);
    answer = last.answer;
    ck_assert_uint_eq(answer->n_events, 0);
    ck_assert_uint_eq(answer->revision, 2);
    ck_assert(!answer->lost);
}
END_TEST

START_TEST(who_watches_from_too_long_ago_is_told_so)
{
    struct reg_kv_config config = reg_kv_defaults;
    struct reg_kv_request what = watch(NULL, "", 1);
    char key[16];

    teardown();
    config.events_max = 4;
    start(&config);
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "k%d", i);
        (void)op(REG_KV_PUT, key, "v");
    }
    ck_assert(ask(&what)->lost);
    what.since = 2;
    ck_assert_uint_eq(ask(&what)->n_events, 4);
    what.since = 7;
    ck_assert(ask(&what)->lost);
    /* One change that pushes its own events out. */
    what.since = 6;
    reg_kv_request(kv, &call_mark, &what, when);
    ck_assert_int_eq(drain(), 0);
    what = request(REG_KV_CLEAR, NULL, "");
    reg_kv_request(kv, &call_mark, &what, when);
    ck_assert_int_eq(drain(), 2);
    ck_assert(((struct reg_kv_answer *)last.answer)->lost);
}
END_TEST

START_TEST(watchers_are_limited_and_dismissed)
{
    struct reg_kv_config config = reg_kv_defaults;
    struct reg_kv_request what = watch("a", "", 0);

    teardown();
    config.watchers_max = 1;
    start(&config);
    reg_kv_request(kv, &call_mark, &what, when);
    ck_assert_ptr_null(ask(&what));
    ck_assert_int_eq(status, PLEX_LIMIT);
    reg_kv_dismiss(kv, "stops");
    ck_assert_int_eq(drain(), 1);
    ck_assert_int_eq(status, PLEX_UNAVAILABLE);
}
END_TEST

/* -- restarts and a model -- */

enum { KEYS = 12, STEPS = 4000 };
struct model {
    struct {
        bool in;
        char value[16];
        uint64_t expires_ms;
        uint64_t version;
    } keys[KEYS];
    uint64_t revision;
};
/* What the store would have. */
static struct stored {
    bool in;
    char value[16];
    uint64_t version, updated_ms, expires_ms;
} store[KEYS];
static struct model model;
static uint64_t seed;

static unsigned
random_below(unsigned n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % n;
}

static void
stored_row(const struct reg_kv_row *row)
{
    struct stored *to;

    if (row->kind != REG_ROW_VALUE)
        return;
    to = &store[atoi(row->rec->key + 1)];
    to->in = !row->gone;
    snprintf(to->value, sizeof to->value, "%.*s", (int)row->rec->value.len,
             (const char *)row->rec->value.data);
    to->version = row->rec->version;
    to->updated_ms = row->rec->updated_ms;
    to->expires_ms = row->rec->expires_ms;
}

/* As a process that dies after its last commit. */
static void
restart(void)
{
    const uint64_t revision = reg_kv_revision(kv);

    teardown();
    kv = reg_kv_create(&reg_kv_defaults);
    for (int i = 0; i < KEYS; i++) {
        struct reg_kv_rec rec = {.value = bytes(store[i].value),
                                 .version = store[i].version,
                                 .updated_ms = store[i].updated_ms,
                                 .expires_ms = store[i].expires_ms};
        char key[8];

        snprintf(key, sizeof key, "k%d", i);
        if (store[i].in)
            reg_kv_load(kv, "t", "n", key, &rec);
        if (store[i].in && i % 2 == 0)
            reg_kv_load(kv, "t", "n", key, &rec);
    }
    reg_kv_loaded(kv, revision, when);
}

static void
model_expire(void)
{
    for (int i = 0; i < KEYS; i++)
        if (model.keys[i].in && model.keys[i].expires_ms != 0 &&
            model.keys[i].expires_ms <= when.wall_ms) {
            model.keys[i].in = false;
            model.revision++;
        }
}

static void
model_put(int at, const char *value, uint64_t expires_ms)
{
    model.keys[at].in = true;
    snprintf(model.keys[at].value, sizeof model.keys[at].value, "%s", value);
    model.keys[at].expires_ms = expires_ms;
    model.keys[at].version = ++model.revision;
}

static void
step_pop(void)
{
    struct reg_keep_action action;

    while (reg_kv_next(kv, &action)) {
        if (action.kind == REG_KEEP_ROW) {
            stored_row(action.answer);
            reg_kv_action_free(&action);
            continue;
        }
        last_free();
        last = action;
    }
}

static void
step(void)
{
    const int at = (int)random_below(KEYS);
    struct reg_kv_request what = request(REG_KV_PUT, NULL, "");
    char key[8], value[16];
    int64_t number;

    snprintf(key, sizeof key, "k%d", at);
    snprintf(value, sizeof value, "%u", random_below(5));
    what.key = key;
    what.value = bytes(value);
    model_expire();
    switch (random_below(6)) {
    case 0:
        what.ttl_ms = random_below(2) == 0 ? 0 : 1000 + random_below(5000);
        model_put(at, value, what.ttl_ms == 0 ? 0 : when.wall_ms + what.ttl_ms);
        break;
    case 1:
        what.op = REG_KV_DELETE;
        model.revision += model.keys[at].in;
        model.keys[at].in = false;
        break;
    case 2:
        what.op = REG_KV_CAS;
        what.expect_value = true;
        what.expected = bytes("1");
        if (model.keys[at].in && strcmp(model.keys[at].value, "1") == 0)
            model_put(at, value, model.keys[at].expires_ms);
        break;
    case 3:
        what.op = REG_KV_INCREMENT;
        what.delta = 3;
        number = model.keys[at].in ? atoi(model.keys[at].value) : 0;
        snprintf(value, sizeof value, "%d", (int)number + 3);
        model_put(at, value, model.keys[at].in ? model.keys[at].expires_ms : 0);
        break;
    case 4:
        what.op = REG_KV_CLEAR;
        what.prefix = "k1";
        for (int i = 0; i < KEYS; i++)
            if ((i == 1 || i >= 10) && model.keys[i].in) {
                model.keys[i].in = false;
                model.revision++;
            }
        break;
    default:
        what.op = REG_KV_GET;
    }
    reg_kv_request(kv, &call_mark, &what, when);
    step_pop();
}

static void
model_check(void)
{
    ck_assert_uint_eq(reg_kv_revision(kv), model.revision);
    for (int i = 0; i < KEYS; i++) {
        struct reg_kv_request what = request(REG_KV_GET, NULL, "");
        const struct reg_kv_rec *rec;
        char key[8];

        snprintf(key, sizeof key, "k%d", i);
        what.key = key;
        reg_kv_request(kv, &call_mark, &what, when);
        step_pop();
        ck_assert_int_eq(last.status == PLEX_OK, model.keys[i].in);
        if (!model.keys[i].in)
            continue;
        rec = ((struct reg_kv_answer *)last.answer)->recs[0];
        ck_assert_uint_eq(rec->version, model.keys[i].version);
        ck_assert_uint_eq(rec->expires_ms, model.keys[i].expires_ms);
        ck_assert_uint_eq(rec->value.len, strlen(model.keys[i].value));
    }
}

START_TEST(random_histories_with_restarts_agree_with_a_model)
{
    memset(&model, 0, sizeof model);
    memset(store, 0, sizeof store);
    seed = (uint64_t)_i + 1;
    for (int i = 0; i < STEPS; i++) {
        const unsigned ms = random_below(300);

        when.now_ns += (uint64_t)ms * MS;
        when.wall_ms += ms;
        step();
        if (random_below(100) == 0)
            restart();
        if (i % 50 == 0) {
            model_expire();
            model_check();
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("kv");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, what_is_put_is_got_until_it_is_deleted);
    tcase_add_test(all, tenants_and_namespaces_do_not_see_each_other);
    tcase_add_test(all, a_key_with_a_ttl_expires_and_is_put_without_one);
    tcase_add_test(all, cas_compares_absence_value_and_version);
    tcase_add_test(all, numbers_count_within_64_bits);
    tcase_add_test(all, a_request_id_has_its_effect_once);
    tcase_add_test(all, lists_are_in_order_and_in_pages);
    tcase_add_test(all, many_are_put_all_or_none);
    tcase_add_test(all, limits_refuse_what_is_too_much_and_nothing_else);
    tcase_add_test(all, a_watch_hears_what_happened_since);
    tcase_add_test(all, a_watch_waits_for_the_first_change_of_its_own);
    tcase_add_test(all, a_watch_ends_with_nothing_in_time);
    tcase_add_test(all, who_watches_from_too_long_ago_is_told_so);
    tcase_add_test(all, watchers_are_limited_and_dismissed);
    tcase_add_loop_test(all, random_histories_with_restarts_agree_with_a_model,
                        0, 10);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
