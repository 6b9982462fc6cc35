#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include <check.h>
#include <string.h>

/* Records of turns, and what the records of a run's stretches make of its log.
 */

static struct plex_arena arena;

static void
setup(void)
{
    plex_arena_init(&arena, 16 << 20);
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
}

static struct plex_bytes
bytes(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

#define ck_text(b, text)                                  \
    do {                                                  \
        ck_assert_uint_eq((b).len, strlen(text));         \
        ck_assert_mem_eq((b).data, (text), strlen(text)); \
    } while (0)

static struct plex_bytes
packed(const struct work_record *record)
{
    struct plex_buf buf = {.max = 8 << 20};
    struct plex_err err = {0};
    uint8_t *copy;
    size_t len;

    ck_assert_msg(work_record_pack(record, &buf, &err) == PLEX_OK, "%s",
                  err.text);
    copy = plex_arena_alloc(&arena, buf.len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, buf.data, buf.len);
    len = buf.len;
    plex_buf_free(&buf);
    return (struct plex_bytes){copy, len};
}

START_TEST(a_record_comes_back_as_it_was_written)
{
    const uint8_t seed[WORK_SEED_BYTES] = {1, 2, 3};
    const struct work_event event = {"added", bytes("{}")};
    const struct work_command command = {.kind = 2,
                                         .type = "account",
                                         .key = "a",
                                         .timer = "",
                                         .delay_ms = 5,
                                         .tag = 7,
                                         .payload = bytes("p"),
                                         .payload_bytes = 1,
                                         .payload_hash = 99};
    const struct work_record record = {.at_ms = 12,
                                       .events = &event,
                                       .n_events = 1,
                                       .what = WORK_RECORD_RESULT,
                                       .input = bytes("in"),
                                       .epoch = 3,
                                       .seed = {seed, sizeof seed},
                                       .commands = &command,
                                       .n_commands = 1};
    struct work_record out;
    struct plex_err err;

    ck_assert_int_eq(work_record_unpack(packed(&record), &arena, &out, &err),
                     PLEX_OK);
    ck_assert_uint_eq(out.at_ms, 12);
    ck_assert_str_eq(out.events[0].type, "added");
    ck_assert_int_eq(out.what, WORK_RECORD_RESULT);
    ck_text(out.input, "in");
    ck_assert_uint_eq(out.epoch, 3);
    ck_assert_uint_eq(out.seed.len, WORK_SEED_BYTES);
    ck_assert_uint_eq(out.n_commands, 1);
    ck_assert_str_eq(out.commands[0].type, "account");
    ck_assert_uint_eq(out.commands[0].payload_hash, 99);
    ck_assert_uint_eq(out.commands[0].tag, 7);
    ck_assert_ptr_null(out.run);
}
END_TEST

/* -- the log of a run ------------------------------------------------------ */

static struct plex_bytes
log_of_one_step(void)
{
    struct work_step step = {.kind = WORK_STEP_CALL, .name = "a"};
    const struct work_run run = {.has_state = true,
                                 .state = bytes("before"),
                                 .message = bytes("m"),
                                 .started_ms = 5,
                                 .steps = &step,
                                 .n_steps = 1,
                                 .parked = ""};
    struct plex_buf buf = {.max = 1 << 20};
    struct plex_err err;
    uint8_t *copy;
    size_t len;

    ck_assert_int_eq(work_run_pack(&run, &buf, &err), PLEX_OK);
    copy = plex_arena_alloc(&arena, buf.len);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, buf.data, buf.len);
    len = buf.len;
    plex_buf_free(&buf);
    return (struct plex_bytes){copy, len};
}

static enum plex_status
fold(const struct work_run_delta *deltas, size_t n, struct work_run *out)
{
    struct plex_bytes records[8];
    static struct plex_buf buf;
    struct plex_err err;

    plex_buf_free(&buf);
    buf = (struct plex_buf){.max = 8 << 20};
    for (size_t i = 0; i < n; i++)
        records[i] = packed(&(struct work_record){.run = &deltas[i]});
    records[n] = packed(&(struct work_record){.at_ms = 1}); /* of no run */
    if (work_run_fold(log_of_one_step(), records, n + 1, &buf, &err) != PLEX_OK)
        return err.status;
    return work_run_unpack((struct plex_bytes){buf.data, buf.len}, &arena, out,
                           &err);
}

START_TEST(what_stretches_added_makes_the_whole_log)
{
    const uint32_t zero = 0;
    const struct work_step done = {.kind = WORK_STEP_CALL,
                                   .name = "a",
                                   .done = true,
                                   .result = bytes("r"),
                                   .order = 1};
    const struct work_step effect = {.kind = WORK_STEP_EFFECT,
                                     .name = "e",
                                     .done = true,
                                     .result = bytes("x"),
                                     .order = 2};
    const struct work_step signal = {
        .kind = WORK_STEP_SIGNAL, .name = "s", .result = bytes("v")};
    const struct work_run_delta deltas[] = {
        {.first_step = 1,
         .steps = &effect,
         .n_steps = 1,
         .changed = &zero,
         .changes = &done,
         .n_changed = 1,
         .parked = "broken",
         .order = 2},
        {.first_step = 2,
         .signals = &signal,
         .n_signals = 1,
         .parked = "",
         .order = 2},
        {.first_step = 2,
         .first_signal = 1,
         .used = &zero,
         .n_used = 1,
         .parked = "",
         .cancelled = 3,
         .order = 3},
    };
    struct work_run run;

    ck_assert_int_eq(fold(deltas, 1, &run), PLEX_OK);
    ck_assert_str_eq(run.parked, "broken");
    ck_assert_int_eq(fold(deltas, 3, &run), PLEX_OK);
    ck_assert(run.has_state);
    ck_text(run.state, "before");
    ck_assert_uint_eq(run.n_steps, 2);
    ck_assert(run.steps[0].done);
    ck_text(run.steps[0].result, "r");
    ck_assert_str_eq(run.steps[1].name, "e");
    ck_assert_uint_eq(run.n_signals, 1);
    ck_assert(run.signals[0].used);
    ck_assert_str_eq(run.parked, "");
    ck_assert_uint_eq(run.cancelled, 3);
    ck_assert_uint_eq(run.order, 3);
}
END_TEST

START_TEST(records_that_do_not_continue_a_log_are_corrupt)
{
    const uint32_t two = 2;
    const struct work_step step = {.kind = WORK_STEP_EFFECT, .name = "e"};
    const struct work_run_delta missing = {.first_step = 2, .parked = ""};
    const struct work_run_delta beyond = {.first_step = 1,
                                          .changed = &two,
                                          .changes = &step,
                                          .n_changed = 1,
                                          .parked = ""};
    const struct work_run_delta signal = {
        .first_step = 1, .used = &two, .n_used = 1, .parked = ""};
    struct work_run run;

    ck_assert_int_eq(fold(&missing, 1, &run), PLEX_CORRUPT);
    ck_assert_int_eq(fold(&beyond, 1, &run), PLEX_CORRUPT);
    ck_assert_int_eq(fold(&signal, 1, &run), PLEX_CORRUPT);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("record");
    TCase *t = tcase_create("record");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_record_comes_back_as_it_was_written);
    tcase_add_test(t, what_stretches_added_makes_the_whole_log);
    tcase_add_test(t, records_that_do_not_continue_a_log_are_corrupt);
    suite_add_tcase(suite, t);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
