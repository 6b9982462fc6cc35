/* Locks: each rule, and random histories with restarts against a model. */
#include "services/registry/lock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000, CALLS = 64 };

static struct reg_locks *locks;
static struct reg_when when;
static uint64_t versions;
static bool (*gone)(void *call);
/* What calls were answered; a call is its index plus 1. */
static struct answered {
    bool there;
    enum plex_status status;
    char version[REG_LOCK_VERSION_LEN + 1];
    char holder[32];
    uint64_t token, left_ms;
    uint32_t waiters;
    size_t n;
} answers[CALLS];
static size_t rows;
/* What the store would have. */
static struct stored {
    bool in;
    struct reg_lock_info info;
    char key[16], holder[32], metadata[32];
} store[4];
static uint64_t store_token;

static void *
call_of(int index)
{
    return (void *)(uintptr_t)(index + 1);
}

static void
row_store(const struct reg_lock_row *row)
{
    struct stored *to;

    rows++;
    if (row->lock.key[0] != 'k')
        return;
    to = &store[atoi(row->lock.key + 1)];
    to->in = !row->gone;
    if (row->gone)
        return;
    to->info = row->lock;
    snprintf(to->key, sizeof to->key, "%s", row->lock.key);
    snprintf(to->holder, sizeof to->holder, "%s", row->lock.holder);
    snprintf(to->metadata, sizeof to->metadata, "%s", row->lock.metadata);
}

static void
drain(void)
{
    struct reg_keep_action action;

    while (reg_locks_next(locks, &action)) {
        const struct reg_lock_answer *answer = action.answer;
        struct answered *to;

        if (action.kind == REG_KEEP_ROW) {
            row_store(action.answer);
        } else {
            to = &answers[(uintptr_t)action.call - 1];
            ck_assert(!to->there);
            *to = (struct answered){.there = true, .status = action.status};
            to->n = answer == NULL ? 0 : answer->n_locks;
            if (to->n == 1) {
                const struct reg_lock_info *lock = &answer->locks[0];

                snprintf(to->version, sizeof to->version, "%s", lock->version);
                snprintf(to->holder, sizeof to->holder, "%s", lock->holder);
                to->token = lock->token;
                to->left_ms = lock->left_ms;
                to->waiters = lock->waiters;
            }
        }
        reg_lock_action_free(&action);
    }
    store_token = reg_locks_token(locks);
}

static void
later(uint64_t ms)
{
    when.now_ns += ms * MS;
    when.wall_ms += ms;
    reg_locks_tick(locks, when);
    drain();
}

static struct reg_lock_request
request(enum reg_lock_op op, const char *key, const char *holder)
{
    static char version[REG_LOCK_VERSION_LEN + 1];

    snprintf(version, sizeof version, "V%025llu",
             (unsigned long long)++versions);
    return (struct reg_lock_request){.op = op,
                                     .tenant = "t",
                                     .ns = "n",
                                     .key = key,
                                     .holder = holder,
                                     .version = "",
                                     .metadata = "",
                                     .new_version = version,
                                     .lease_ms = 10000,
                                     .prefix = "",
                                     .after = "",
                                     .page_size = 50};
}

static const struct answered *
send(int call, const struct reg_lock_request *what)
{
    answers[call] = (struct answered){0};
    reg_locks_request(locks, call_of(call), what, when);
    drain();
    return &answers[call];
}

static const struct answered *
acquire(int call, const char *key, const char *holder, uint64_t wait_ms)
{
    struct reg_lock_request what = request(REG_LOCK_ACQUIRE, key, holder);

    what.wait_ms = wait_ms;
    return send(call, &what);
}

static enum plex_status
with_version(enum reg_lock_op op, const char *key, const char *holder,
             const char *version)
{
    struct reg_lock_request what = request(op, key, holder);

    what.version = version;
    return send(CALLS - 1, &what)->status;
}

static bool
gone_of(void *call)
{
    return gone != NULL && gone(call);
}

static void
start(void)
{
    struct reg_lock_config config = reg_lock_defaults;

    config.gone = gone_of;
    config.locks_max = 8;
    config.waiters_max = 8;
    locks = reg_locks_create(&config);
}

static void
setup(void)
{
    when = (struct reg_when){5000ULL * MS, 1700000000000};
    gone = NULL;
    rows = 0;
    store_token = 0;
    memset(store, 0, sizeof store);
    memset(answers, 0, sizeof answers);
    start();
}

static void
teardown(void)
{
    reg_locks_free(locks);
}

START_TEST(one_holder_at_a_time_and_growing_tokens)
{
    char version[REG_LOCK_VERSION_LEN + 1];

    ck_assert_uint_eq(acquire(0, "a", "x", 0)->token, 1);
    snprintf(version, sizeof version, "%s", answers[0].version);
    ck_assert_int_eq(acquire(1, "a", "y", 0)->status, PLEX_EXISTS);
    ck_assert_int_eq(with_version(REG_LOCK_RELEASE, "a", "y", version),
                     PLEX_CONFLICT);
    ck_assert_int_eq(with_version(REG_LOCK_RELEASE, "a", "x", "other"),
                     PLEX_CONFLICT);
    ck_assert_int_eq(with_version(REG_LOCK_RELEASE, "a", "x", version),
                     PLEX_OK);
    ck_assert_int_eq(with_version(REG_LOCK_RELEASE, "a", "x", version),
                     PLEX_NOT_FOUND);
    ck_assert_uint_eq(acquire(2, "a", "y", 0)->token, 2);
    ck_assert_uint_eq(acquire(3, "b", "y", 0)->token, 3);
}
END_TEST

START_TEST(the_same_holder_keeps_its_tenure)
{
    char version[REG_LOCK_VERSION_LEN + 1];

    (void)acquire(0, "a", "x", 0);
    snprintf(version, sizeof version, "%s", answers[0].version);
    later(9000);
    ck_assert_str_eq(acquire(1, "a", "x", 0)->version, version);
    ck_assert_uint_eq(answers[1].token, 1);
    ck_assert_uint_eq(answers[1].left_ms, 10000);
    later(9999);
    ck_assert_int_eq(acquire(2, "a", "y", 0)->status, PLEX_EXISTS);
}
END_TEST

START_TEST(a_lease_lapses_unless_it_is_renewed)
{
    char version[REG_LOCK_VERSION_LEN + 1];

    (void)acquire(0, "a", "x", 0);
    snprintf(version, sizeof version, "%s", answers[0].version);
    later(9999);
    ck_assert_int_eq(with_version(REG_LOCK_RENEW, "a", "x", version), PLEX_OK);
    later(9999);
    ck_assert_int_eq(acquire(1, "a", "y", 0)->status, PLEX_EXISTS);
    later(1);
    ck_assert_int_eq(with_version(REG_LOCK_RENEW, "a", "x", version),
                     PLEX_NOT_FOUND);
    ck_assert_uint_eq(acquire(2, "a", "y", 0)->token, 2);
}
END_TEST

START_TEST(who_waits_is_served_in_turn)
{
    (void)acquire(0, "a", "x", 0);
    ck_assert(!acquire(1, "a", "y", 60000)->there);
    ck_assert(!acquire(2, "a", "z", 60000)->there);
    ck_assert_int_eq(
        with_version(REG_LOCK_RELEASE, "a", "x", answers[0].version), PLEX_OK);
    ck_assert_int_eq(answers[1].status, PLEX_OK);
    ck_assert_uint_eq(answers[1].token, 2);
    ck_assert_uint_eq(answers[1].waiters, 1);
    ck_assert(!answers[2].there);
    later(10000);
    ck_assert_uint_eq(answers[2].token, 3);
    ck_assert_uint_eq(answers[2].waiters, 0);
}
END_TEST

START_TEST(patience_ends)
{
    (void)acquire(0, "a", "x", 0);
    (void)acquire(1, "a", "y", 3000);
    ck_assert_uint_eq(reg_locks_wake(locks), when.now_ns + 3000ULL * MS);
    later(2999);
    ck_assert(!answers[1].there);
    later(1);
    ck_assert_int_eq(answers[1].status, PLEX_EXISTS);
    ck_assert_uint_eq(reg_locks_stats(locks).waiters, 0);
}
END_TEST

static bool
second_is_gone(void *call)
{
    return call == call_of(1);
}

START_TEST(who_does_not_wait_any_more_gets_nothing)
{
    (void)acquire(0, "a", "x", 0);
    (void)acquire(1, "a", "y", 60000);
    (void)acquire(2, "a", "z", 60000);
    gone = second_is_gone;
    later(10000);
    ck_assert_uint_eq(answers[1].n, 0);
    ck_assert_uint_eq(answers[2].token, 2);
}
END_TEST

START_TEST(a_holder_that_asks_anew_keeps_its_place)
{
    (void)acquire(0, "a", "x", 0);
    (void)acquire(1, "a", "y", 60000);
    (void)acquire(2, "a", "z", 60000);
    ck_assert(!acquire(3, "a", "y", 60000)->there);
    ck_assert_int_eq(answers[1].status, PLEX_CANCELLED);
    later(10000);
    ck_assert_uint_eq(answers[3].token, 2);
    ck_assert(!answers[2].there);
}
END_TEST

START_TEST(an_operator_can_take_it_away)
{
    (void)acquire(0, "a", "x", 0);
    (void)acquire(1, "a", "y", 60000);
    ck_assert_int_eq(with_version(REG_LOCK_DELETE, "a", "", ""), PLEX_OK);
    ck_assert_uint_eq(answers[1].token, 2);
    ck_assert_int_eq(with_version(REG_LOCK_RENEW, "a", "x", answers[0].version),
                     PLEX_CONFLICT);
    ck_assert_int_eq(with_version(REG_LOCK_DELETE, "b", "", ""),
                     PLEX_NOT_FOUND);
}
END_TEST

START_TEST(limits_and_the_end)
{
    for (int i = 0; i < 8; i++) {
        char key[8];

        snprintf(key, sizeof key, "l%d", i);
        ck_assert_int_eq(acquire(i, key, "x", 0)->status, PLEX_OK);
    }
    ck_assert_int_eq(acquire(8, "l8", "x", 0)->status, PLEX_LIMIT);
    for (int i = 0; i < 8; i++) {
        char holder[8];

        snprintf(holder, sizeof holder, "h%d", i);
        ck_assert(!acquire(10 + i, "l0", holder, 60000)->there);
    }
    ck_assert_int_eq(acquire(20, "l0", "h8", 60000)->status, PLEX_LIMIT);
    reg_locks_dismiss(locks, "stops");
    drain();
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(answers[10 + i].status, PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(lists_are_in_pages_and_by_holder)
{
    struct reg_lock_request list = request(REG_LOCK_LIST, NULL, "");

    (void)acquire(0, "p/a", "x", 0);
    (void)acquire(1, "p/b", "y", 0);
    (void)acquire(2, "p/c", "x", 0);
    (void)acquire(3, "q", "x", 0);
    list.prefix = "p/";
    ck_assert_uint_eq(send(4, &list)->n, 3);
    list.page_size = 2;
    ck_assert_uint_eq(send(5, &list)->n, 2);
    list.after = "p/b";
    ck_assert_uint_eq(send(6, &list)->n, 1);
    list.after = "";
    list.holder = "x";
    ck_assert_uint_eq(send(7, &list)->n, 2);
    list.tenant = "t2";
    ck_assert_uint_eq(send(8, &list)->n, 0);
}
END_TEST

/* -- histories ------------------------------------------------------------- */

enum { KEYS = 4, HOLDERS = 5, STEPS = 5000 };
static uint64_t seed;
/* The model: who holds what, and who waits. */
static struct held {
    bool in;
    int holder;
    uint64_t expires_ns, token;
    char version[REG_LOCK_VERSION_LEN + 1];
    int waiting[CALLS];
    int n_waiting;
} held[KEYS];
static struct {
    bool waits;
    int key, holder;
    uint64_t deadline_ns;
} waits[CALLS];
static uint64_t last_token;

static unsigned
random_below(unsigned n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % n;
}

static void
model_grant(int key, int holder, const struct answered *answer)
{
    ck_assert_int_eq(answer->status, PLEX_OK);
    ck_assert_uint_gt(answer->token, last_token);
    last_token = answer->token;
    held[key].in = true;
    held[key].holder = holder;
    held[key].token = answer->token;
    held[key].expires_ns = when.now_ns + 10000ULL * MS;
    snprintf(held[key].version, sizeof held[key].version, "%s",
             answer->version);
}

/* The lock is free at this moment: the first that waits must have it. */
static void
model_free(int key)
{
    struct held *lock = &held[key];
    int call;

    lock->in = false;
    if (lock->n_waiting == 0)
        return;
    call = lock->waiting[0];
    memmove(lock->waiting, lock->waiting + 1,
            sizeof lock->waiting[0] * (size_t)--lock->n_waiting);
    ck_assert_msg(answers[call].there, "call %d waits for k%d in vain", call,
                  key);
    waits[call].waits = false;
    model_grant(key, waits[call].holder, &answers[call]);
}

static void
model_waiter_end(int call)
{
    struct held *lock = &held[waits[call].key];
    int at = 0;

    while (lock->waiting[at] != call)
        at++;
    lock->n_waiting--;
    memmove(lock->waiting + at, lock->waiting + at + 1,
            sizeof lock->waiting[0] * (size_t)(lock->n_waiting - at));
    waits[call].waits = false;
}

/* A lease that is over goes to the first who waits, then patience ends. Tokens
 * say in which order the locks were given. */
static void
model_tick(void)
{
    for (;;) {
        int first = -1;

        for (int key = 0; key < KEYS; key++)
            if (held[key].in && held[key].expires_ns <= when.now_ns &&
                (first < 0 || held[key].n_waiting == 0 ||
                 (held[first].n_waiting > 0 &&
                  answers[held[key].waiting[0]].token <
                      answers[held[first].waiting[0]].token)))
                first = key;
        if (first < 0)
            break;
        model_free(first);
    }
    for (int i = 0; i < CALLS; i++)
        if (waits[i].waits && waits[i].deadline_ns <= when.now_ns) {
            ck_assert(answers[i].there);
            ck_assert_int_eq(answers[i].status, PLEX_EXISTS);
            model_waiter_end(i);
        }
}

static int
call_free(void)
{
    for (int i = 0; i < CALLS - 1; i++)
        if (!waits[i].waits)
            return i;
    return -1;
}

static void
step_acquire(int key, int holder)
{
    const int call = call_free();
    const uint64_t wait_ms =
        random_below(2) == 0 ? 0 : 1000 + random_below(20000);
    const struct answered *answer;
    char key_text[8], holder_text[8];
    int older = -1;

    snprintf(key_text, sizeof key_text, "k%d", key);
    snprintf(holder_text, sizeof holder_text, "h%d", holder);
    for (int i = 0; i < CALLS; i++)
        if (waits[i].waits && waits[i].key == key && waits[i].holder == holder)
            older = i;
    answer = acquire(call, key_text, holder_text, wait_ms);
    if (!held[key].in) {
        model_grant(key, holder, answer);
    } else if (held[key].holder == holder) {
        ck_assert_uint_eq(answer->token, held[key].token);
        held[key].expires_ns = when.now_ns + 10000ULL * MS;
    } else if (wait_ms == 0) {
        ck_assert_int_eq(answer->status, PLEX_EXISTS);
    } else if (!answer->there) {
        struct held *lock = &held[key];

        waits[call].waits = true;
        waits[call].key = key;
        waits[call].holder = holder;
        waits[call].deadline_ns = when.now_ns + wait_ms * MS;
        if (older < 0) {
            lock->waiting[lock->n_waiting++] = call;
            return;
        }
        ck_assert_int_eq(answers[older].status, PLEX_CANCELLED);
        for (int i = 0; i < lock->n_waiting; i++)
            if (lock->waiting[i] == older)
                lock->waiting[i] = call;
        waits[older].waits = false;
    } else {
        ck_assert_int_eq(answer->status, PLEX_LIMIT);
    }
}

static void
step_own(int key, enum reg_lock_op op)
{
    char key_text[8], holder_text[8];
    enum plex_status status;

    snprintf(key_text, sizeof key_text, "k%d", key);
    snprintf(holder_text, sizeof holder_text, "h%d", held[key].holder);
    status = with_version(op, key_text, holder_text, held[key].version);
    ck_assert_int_eq(status, held[key].in ? PLEX_OK : PLEX_NOT_FOUND);
    if (!held[key].in)
        return;
    if (op == REG_LOCK_RENEW)
        held[key].expires_ns = when.now_ns + 10000ULL * MS;
    else
        model_free(key);
}

/* A process that dies: who waits hears nothing; who holds has a whole lease. */
static void
restart(void)
{
    teardown();
    start();
    memset(waits, 0, sizeof waits);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(store[i].in, held[i].in);
        held[i].n_waiting = 0;
        if (!store[i].in)
            continue;
        ck_assert_uint_eq(store[i].info.token, held[i].token);
        store[i].info.tenant = "t";
        store[i].info.ns = "n";
        store[i].info.key = store[i].key;
        store[i].info.holder = store[i].holder;
        store[i].info.metadata = store[i].metadata;
        reg_locks_load(locks, &store[i].info, when);
        reg_locks_load(locks, &store[i].info, when);
        held[i].expires_ns = when.now_ns + 10000ULL * MS;
    }
    reg_locks_loaded(locks, store_token);
}

START_TEST(random_histories_with_restarts_agree_with_a_model)
{
    memset(held, 0, sizeof held);
    memset(waits, 0, sizeof waits);
    last_token = 0;
    seed = (uint64_t)_i + 1;
    for (int i = 0; i < STEPS; i++) {
        const int key = (int)random_below(KEYS);

        later(random_below(4) == 0 ? random_below(4000) : 0);
        model_tick();
        switch (random_below(6)) {
        case 0:
            step_own(key, REG_LOCK_RENEW);
            break;
        case 1:
            step_own(key, REG_LOCK_RELEASE);
            break;
        case 2:
            if (random_below(40) == 0)
                restart();
            break;
        default:
            step_acquire(key, (int)random_below(HOLDERS));
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("lock");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, one_holder_at_a_time_and_growing_tokens);
    tcase_add_test(all, the_same_holder_keeps_its_tenure);
    tcase_add_test(all, a_lease_lapses_unless_it_is_renewed);
    tcase_add_test(all, who_waits_is_served_in_turn);
    tcase_add_test(all, patience_ends);
    tcase_add_test(all, who_does_not_wait_any_more_gets_nothing);
    tcase_add_test(all, a_holder_that_asks_anew_keeps_its_place);
    tcase_add_test(all, an_operator_can_take_it_away);
    tcase_add_test(all, limits_and_the_end);
    tcase_add_test(all, lists_are_in_pages_and_by_holder);
    tcase_add_loop_test(all, random_histories_with_restarts_agree_with_a_model,
                        0, 20);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
