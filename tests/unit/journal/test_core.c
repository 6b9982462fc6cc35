#include "services/journal/core.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1000 };

static struct journal_core *core;
static struct journal_store *store;
static struct journal_action action;

static void
make(const struct journal_core_config *config)
{
    const struct journal_store_config mem = {.dsn = "mem:"};
    struct plex_err err;

    core = journal_core_create(config);
    ck_assert_int_eq(journal_store_open(&store, &mem, &err), PLEX_OK);
}

static void
setup(void)
{
    make(&(struct journal_core_config){0});
}

static void
teardown(void)
{
    journal_core_free(core);
    journal_store_close(store);
}

static struct journal_entry
turn(const char *key, uint64_t seq, uint64_t epoch)
{
    return (struct journal_entry){.kind = JOURNAL_TURN,
                                  .actor = {"acme", "prod", "counter", key},
                                  .shard = 5,
                                  .epoch = epoch,
                                  .seq = seq};
}

static struct journal_request
append(const struct journal_entry *entries, struct journal_result *results,
       size_t n)
{
    return (struct journal_request){.kind = JOURNAL_APPEND,
                                    .entries = entries,
                                    .results = results,
                                    .n_entries = n};
}

static struct journal_request
fence(const struct journal_fence *range)
{
    return (struct journal_request){
        .kind = JOURNAL_FENCE, .ranges = range, .n_ranges = 1};
}

static struct journal_request
load(const char *key, uint64_t epoch)
{
    return (struct journal_request){
        .kind = JOURNAL_LOAD,
        .load = {{"acme", "prod", "counter", key}, 5, epoch, 10}};
}

static enum journal_action_kind
next(void)
{
    if (!journal_core_next(core, NOW, &action))
        return (enum journal_action_kind)0;
    return action.kind;
}

/* Pops a commit and does it. */
static void
commit(size_t n_entries)
{
    struct plex_err err;

    ck_assert_int_eq(next(), JOURNAL_DO_COMMIT);
    ck_assert_uint_eq(action.commit->n_entries, n_entries);
    ck_assert_int_eq(journal_store_commit(store, action.commit, &err), PLEX_OK);
    journal_core_committed(core, PLEX_OK, "");
}

static void
answered(const struct journal_request *request, enum plex_status status)
{
    ck_assert_int_eq(next(), JOURNAL_DO_ANSWER);
    ck_assert_ptr_eq(action.request, request);
    ck_assert_msg(action.status == status, "%s: %s",
                  plex_status_name(action.status), action.text);
}

START_TEST(what_one_iteration_queued_is_one_commit_answered_in_order)
{
    const struct journal_entry a[2] = {turn("a", 1, 1), turn("a", 2, 1)};
    const struct journal_entry b = turn("b", 1, 1);
    struct journal_result ra[2], rb;
    struct journal_request one = append(a, ra, 2), two = append(&b, &rb, 1);

    journal_core_submit(core, &one);
    journal_core_submit(core, &two);
    ck_assert_uint_eq(journal_core_queued(core), 2);
    commit(3);
    answered(&one, PLEX_OK);
    answered(&two, PLEX_OK);
    ck_assert_int_eq(next(), 0);
    ck_assert_int_eq(ra[1].status, PLEX_OK);
    ck_assert_int_eq(rb.status, PLEX_OK);
    ck_assert_uint_eq(journal_core_queued(core), 0);
}
END_TEST

START_TEST(while_a_commit_is_out_nothing_else_leaves)
{
    const struct journal_entry a = turn("a", 1, 1), b = turn("b", 1, 1);
    struct journal_result ra, rb;
    struct journal_request one = append(&a, &ra, 1), two = append(&b, &rb, 1);
    struct journal_request read = load("a", 1);

    journal_core_submit(core, &one);
    ck_assert_int_eq(next(), JOURNAL_DO_COMMIT);
    journal_core_submit(core, &two);
    journal_core_submit(core, &read);
    ck_assert_int_eq(next(), 0);
    journal_core_committed(core, PLEX_OK, "");
    answered(&one, PLEX_OK);
    commit(1);
    answered(&two, PLEX_OK);
    ck_assert_int_eq(next(), JOURNAL_DO_READ);
    ck_assert_ptr_eq(action.request, &read);
    ck_assert_int_eq(next(), 0);
}
END_TEST

START_TEST(a_read_sees_the_appends_before_it_and_does_not_wait_for_later_ones)
{
    const struct journal_fence range = {0, 4095, 1};
    const struct journal_entry a = turn("a", 1, 1);
    struct journal_result ra;
    struct journal_request fenced = fence(&range), first = load("a", 1),
                           one = append(&a, &ra, 1), second = load("a", 1);

    journal_core_submit(core, &fenced);
    commit(0);
    answered(&fenced, PLEX_OK);
    journal_core_submit(core, &first);
    journal_core_submit(core, &one);
    journal_core_submit(core, &second);
    ck_assert_int_eq(next(), JOURNAL_DO_READ);
    ck_assert_ptr_eq(action.request, &first);
    commit(1);
    answered(&one, PLEX_OK);
    ck_assert_int_eq(next(), JOURNAL_DO_READ);
    ck_assert_ptr_eq(action.request, &second);
}
END_TEST

START_TEST(a_stale_epoch_is_fenced_without_asking_the_store)
{
    const struct journal_fence range = {0, 10, 7};
    const struct journal_entry entries[2] = {turn("a", 1, 6), turn("b", 1, 7)};
    struct journal_result results[2];
    struct journal_request fenced = fence(&range);
    struct journal_request both = append(entries, results, 2);
    struct journal_request stale = append(entries, results, 1);

    journal_core_submit(core, &fenced);
    commit(0);
    answered(&fenced, PLEX_OK);
    ck_assert_uint_eq(journal_core_epoch(core, 10), 7);
    ck_assert_uint_eq(journal_core_epoch(core, 11), 0);
    journal_core_submit(core, &both);
    commit(1);
    answered(&both, PLEX_OK);
    ck_assert_int_eq(results[0].status, PLEX_FENCED);
    ck_assert_uint_eq(results[0].newest_epoch, 7);
    ck_assert_int_eq(results[1].status, PLEX_OK);
    journal_core_submit(core, &stale);
    answered(&stale, PLEX_OK);
    ck_assert_int_eq(results[0].status, PLEX_FENCED);
}
END_TEST

START_TEST(a_fence_below_the_newest_epoch_raises_nothing)
{
    const struct journal_fence high = {3, 3, 7};
    const struct journal_fence low[2] = {{0, 2, 6}, {3, 5, 6}};
    struct journal_request first = fence(&high);
    struct journal_request second = {
        .kind = JOURNAL_FENCE, .ranges = low, .n_ranges = 2};

    journal_core_submit(core, &first);
    commit(0);
    answered(&first, PLEX_OK);
    journal_core_submit(core, &second);
    answered(&second, PLEX_FENCED);
    ck_assert_uint_eq(action.newest_epoch, 7);
    ck_assert_uint_eq(journal_core_epoch(core, 0), 0);
}
END_TEST

START_TEST(a_load_under_a_new_epoch_fences_first)
{
    struct journal_request read = load("a", 4), stale = load("a", 3);

    journal_core_submit(core, &read);
    commit(0);
    ck_assert_int_eq(next(), JOURNAL_DO_READ);
    ck_assert_uint_eq(journal_core_epoch(core, 5), 4);
    journal_core_submit(core, &stale);
    answered(&stale, PLEX_FENCED);
    ck_assert_uint_eq(action.newest_epoch, 4);
}
END_TEST

START_TEST(a_load_whose_fence_failed_is_refused)
{
    struct journal_request read = load("a", 4);

    journal_core_submit(core, &read);
    ck_assert_int_eq(next(), JOURNAL_DO_COMMIT);
    journal_core_committed(core, PLEX_UNAVAILABLE, "no disk");
    answered(&read, PLEX_UNAVAILABLE);
    ck_assert_int_eq(next(), 0);
}
END_TEST

START_TEST(a_failed_commit_fails_its_requests_and_raises_no_epoch)
{
    const struct journal_fence range = {0, 10, 7};
    const struct journal_entry a = turn("a", 1, 1);
    struct journal_result result;
    struct journal_request fenced = fence(&range), one = append(&a, &result, 1);

    journal_core_submit(core, &fenced);
    journal_core_submit(core, &one);
    ck_assert_int_eq(next(), JOURNAL_DO_COMMIT);
    journal_core_committed(core, PLEX_UNKNOWN, "connection lost");
    answered(&fenced, PLEX_UNKNOWN);
    ck_assert_str_eq(action.text, "connection lost");
    answered(&one, PLEX_UNKNOWN);
    ck_assert_uint_eq(journal_core_epoch(core, 0), 0);
}
END_TEST

START_TEST(requests_are_not_split_and_a_commit_keeps_to_its_limit)
{
    struct journal_entry entries[3] = {turn("a", 1, 1), turn("b", 1, 1),
                                       turn("c", 1, 1)};
    struct journal_entry late = turn("d", 1, 1);
    struct journal_result results[3], result;
    struct journal_request big = append(entries, results, 3);
    struct journal_request small = append(&late, &result, 1);

    teardown();
    make(&(struct journal_core_config){.commit_entries_max = 2});
    journal_core_submit(core, &big);
    journal_core_submit(core, &small);
    commit(3);
    answered(&big, PLEX_OK);
    commit(1);
    answered(&small, PLEX_OK);
}
END_TEST

START_TEST(a_full_queue_says_limit)
{
    struct journal_entry a = turn("a", 1, 1), b = turn("b", 1, 1);
    struct journal_result ra, rb;
    struct journal_request one = append(&a, &ra, 1), two = append(&b, &rb, 1);

    teardown();
    make(&(struct journal_core_config){.queue_entries_max = 1});
    journal_core_submit(core, &one);
    journal_core_submit(core, &two);
    answered(&two, PLEX_LIMIT);
    commit(1);
    answered(&one, PLEX_OK);
    journal_core_submit(core, &two);
    commit(1);
}
END_TEST

START_TEST(bytes_in_the_queue_are_limited_too)
{
    static const uint8_t state[3000];
    struct journal_entry a = turn("a", 1, 1);
    struct journal_result result;
    struct journal_request one = append(&a, &result, 1);

    teardown();
    make(&(struct journal_core_config){.queue_bytes_max = 2000});
    a.has_state = true;
    a.state = (struct plex_bytes){state, sizeof state};
    journal_core_submit(core, &one);
    answered(&one, PLEX_LIMIT);
}
END_TEST

static enum plex_status
refused(struct journal_entry entry)
{
    struct journal_result result;
    struct journal_request request = append(&entry, &result, 1);

    journal_core_submit(core, &request);
    ck_assert_int_eq(next(), JOURNAL_DO_ANSWER);
    ck_assert_ptr_nonnull(strstr(action.text, "entry 0: "));
    ck_assert_uint_eq(journal_core_queued(core), 0);
    return action.status;
}

START_TEST(entries_out_of_their_limits_are_refused_before_anything)
{
    struct journal_entry entry = turn("a", 0, 1);
    struct journal_pending pending = {0};

    ck_assert_int_eq(refused(entry), PLEX_INVALID);
    entry = turn("a", 1, 0);
    ck_assert_int_eq(refused(entry), PLEX_INVALID);
    entry = turn("a", 1, 1), entry.shard = JOURNAL_SHARD_MAX + 1;
    ck_assert_int_eq(refused(entry), PLEX_INVALID);
    entry = turn("a", 1, 1), entry.message_id.len = JOURNAL_ID_MAX + 1;
    ck_assert_int_eq(refused(entry), PLEX_INVALID);
    entry = turn("a", 1, 1), entry.state.len = JOURNAL_STATE_MAX + 1;
    ck_assert_int_eq(refused(entry), PLEX_TOO_LARGE);
    entry = turn("a", 1, 1), entry.pending = &pending, entry.n_pending = 1;
    ck_assert_int_eq(refused(entry), PLEX_INVALID);
    entry = turn("a", 1, 1), entry.kind = (enum journal_entry_kind)9;
    ck_assert_int_eq(refused(entry), PLEX_INVALID);
}
END_TEST

START_TEST(requests_out_of_their_limits_are_refused)
{
    const struct journal_fence wrong = {4, 3, 1}, zero = {0, 1, 0},
                               far = {0, JOURNAL_SHARD_MAX + 1, 1};
    struct journal_request requests[] = {
        append(NULL, NULL, 0),
        fence(&wrong),
        fence(&zero),
        fence(&far),
        load("a", 0),
        {.kind = JOURNAL_LOOKUP, .tenant = "acme"},
        {.kind = JOURNAL_PENDING, .page = {0, 1, {0}, 0}},
        {.kind = JOURNAL_PENDING, .page = {1, 0, {0}, 1}},
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        journal_core_submit(core, &requests[i]);
        answered(&requests[i], PLEX_INVALID);
    }
    ck_assert_int_eq(next(), 0);
}
END_TEST

START_TEST(the_unsafe_switch_accepts_stale_epochs)
{
    const struct journal_fence range = {0, 10, 7};
    struct journal_entry a = turn("a", 1, 7), b = turn("a", 2, 6);
    struct journal_result result;
    struct journal_request fenced = fence(&range), one = append(&a, &result, 1);
    struct journal_request two = append(&b, &result, 1), read = load("a", 1);

    teardown();
    make(&(struct journal_core_config){.unsafe_no_fencing = true});
    journal_core_submit(core, &fenced);
    journal_core_submit(core, &one);
    commit(1);
    answered(&fenced, PLEX_OK);
    answered(&one, PLEX_OK);
    journal_core_submit(core, &two);
    commit(1);
    answered(&two, PLEX_OK);
    ck_assert_int_eq(result.status, PLEX_OK);
    journal_core_submit(core, &read);
    ck_assert_int_eq(next(), JOURNAL_DO_READ);
}
END_TEST

START_TEST(epochs_only_rise)
{
    struct journal_epochs epochs = {0}, copy = {0};

    ck_assert(journal_epochs_raise(&epochs, &(struct journal_fence){1, 3, 5}));
    ck_assert(!journal_epochs_raise(&epochs, &(struct journal_fence){2, 3, 4}));
    ck_assert(journal_epochs_raise(
        &epochs, &(struct journal_fence){3, JOURNAL_SHARD_MAX, 6}));
    ck_assert_uint_eq(journal_epochs_get(&epochs, 0), 0);
    ck_assert_uint_eq(journal_epochs_get(&epochs, 2), 5);
    ck_assert_uint_eq(journal_epochs_get(&epochs, JOURNAL_SHARD_MAX), 6);
    ck_assert_uint_eq(journal_epochs_max(&epochs, 0, 2), 5);
    journal_epochs_copy(&epochs, &copy);
    ck_assert_uint_eq(journal_epochs_max(&copy, 0, JOURNAL_SHARD_MAX), 6);
    journal_epochs_fini(&epochs);
    journal_epochs_fini(&copy);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal core");
    TCase *t = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t,
                   what_one_iteration_queued_is_one_commit_answered_in_order);
    tcase_add_test(t, while_a_commit_is_out_nothing_else_leaves);
    tcase_add_test(
        t, a_read_sees_the_appends_before_it_and_does_not_wait_for_later_ones);
    tcase_add_test(t, a_stale_epoch_is_fenced_without_asking_the_store);
    tcase_add_test(t, a_fence_below_the_newest_epoch_raises_nothing);
    tcase_add_test(t, a_load_under_a_new_epoch_fences_first);
    tcase_add_test(t, a_load_whose_fence_failed_is_refused);
    tcase_add_test(t, a_failed_commit_fails_its_requests_and_raises_no_epoch);
    tcase_add_test(t, requests_are_not_split_and_a_commit_keeps_to_its_limit);
    tcase_add_test(t, a_full_queue_says_limit);
    tcase_add_test(t, bytes_in_the_queue_are_limited_too);
    tcase_add_test(t, entries_out_of_their_limits_are_refused_before_anything);
    tcase_add_test(t, requests_out_of_their_limits_are_refused);
    tcase_add_test(t, the_unsafe_switch_accepts_stale_epochs);
    tcase_add_test(t, epochs_only_rise);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
