#include "services/journal/client_wire.h"
#include "services/journal/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct plex_arena arena;
static struct plex_buf buf;
static struct plex_err err;
static struct journal_request request;

static void
setup(void)
{
    plex_arena_init(&arena, 32 << 20);
    buf = (struct plex_buf){.max = 16 << 20};
    request = (struct journal_request){0};
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
    plex_buf_free(&buf);
}

static struct plex_bytes
text(const char *t)
{
    return (struct plex_bytes){(const uint8_t *)t, strlen(t)};
}

static bool
same(struct plex_bytes a, struct plex_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static enum plex_status
decode(enum journal_request_kind kind)
{
    return journal_wire_request(kind, (struct plex_bytes){buf.data, buf.len},
                                &arena, &request, &err);
}

static struct plex_bytes
packed(void)
{
    return (struct plex_bytes){buf.data, buf.len};
}

static const struct plex_actor_id actor = {"acme", "prod", "counter", "a/b"};
static const struct plex_actor_id good = {"acme", "prod", "counter", "a"};

START_TEST(an_append_survives_the_wire)
{
    const struct journal_pending pending[2] = {{text("p1"), 11, text("m1")},
                                               {text("p2"), 22, text("")}};
    const struct plex_bytes settled[2] = {text("x"), text("y")};
    const struct journal_entry in[3] = {{.kind = JOURNAL_TURN,
                                         .actor = good,
                                         .shard = 4095,
                                         .epoch = 3,
                                         .seq = 1ULL << 40,
                                         .message_id = text("id"),
                                         .request_hash = UINT64_MAX,
                                         .expires_ms = 5,
                                         .at_ms = 6,
                                         .reply = text("reply"),
                                         .pending = pending,
                                         .n_pending = 2,
                                         .settled = settled,
                                         .n_settled = 2,
                                         .has_state = true,
                                         .state = text("state"),
                                         .schema_version = 8,
                                         .record = text("record"),
                                         .rebuilds = true},
                                        {.kind = JOURNAL_SETTLE,
                                         .actor = good,
                                         .shard = 1,
                                         .epoch = 2,
                                         .settled = settled,
                                         .n_settled = 1},
                                        {.kind = JOURNAL_SNAPSHOT,
                                         .actor = good,
                                         .shard = 1,
                                         .epoch = 2,
                                         .seq = 3,
                                         .state = text("snap"),
                                         .schema_version = 4}};
    const struct journal_entry *out;

    ck_assert_int_eq(journal_pack_append(in, 3, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_APPEND), PLEX_OK);
    ck_assert_uint_eq(request.n_entries, 3);
    out = &request.entries[0];
    ck_assert_int_eq(out->kind, JOURNAL_TURN);
    ck_assert(plex_actor_equal(&out->actor, &good));
    ck_assert_uint_eq(out->shard, 4095);
    ck_assert_uint_eq(out->seq, 1ULL << 40);
    ck_assert_uint_eq(out->request_hash, UINT64_MAX);
    ck_assert_uint_eq(out->expires_ms, 5);
    ck_assert_uint_eq(out->at_ms, 6);
    ck_assert(out->has_state && same(out->state, text("state")));
    ck_assert(same(out->message_id, text("id")));
    ck_assert(same(out->reply, text("reply")));
    ck_assert_uint_eq(out->schema_version, 8);
    ck_assert(same(out->record, text("record")) && out->rebuilds);
    ck_assert_uint_eq(out->n_pending, 2);
    ck_assert(same(out->pending[1].id, text("p2")));
    ck_assert_uint_eq(out->pending[0].due_ms, 11);
    ck_assert(same(out->pending[0].message, text("m1")));
    ck_assert_uint_eq(out->n_settled, 2);
    ck_assert(same(out->settled[1], text("y")));
    ck_assert_int_eq(request.entries[1].kind, JOURNAL_SETTLE);
    ck_assert_uint_eq(request.entries[1].n_settled, 1);
    ck_assert_int_eq(request.entries[2].kind, JOURNAL_SNAPSHOT);
    ck_assert(same(request.entries[2].state, text("snap")));
    ck_assert_uint_eq(request.entries[2].seq, 3);
}
END_TEST

START_TEST(bad_requests_say_where)
{
    struct journal_entry in[2] = {
        {.kind = JOURNAL_SETTLE, .actor = good, .epoch = 1},
        {.kind = JOURNAL_SETTLE, .actor = actor, .epoch = 1}};

    ck_assert_int_eq(journal_pack_append(in, 2, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_APPEND), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "entries[1]: actor key"));
    buf.len = 0; /* an empty message: no entries */
    ck_assert_int_eq(decode(JOURNAL_APPEND), PLEX_INVALID);
    ck_assert_int_eq(decode(JOURNAL_FENCE), PLEX_INVALID);
    ck_assert_int_eq(decode(JOURNAL_LOAD), PLEX_INVALID);
    ck_assert_int_eq(decode(JOURNAL_LOOKUP), PLEX_INVALID);
}
END_TEST

START_TEST(reads_and_fences_survive_the_wire)
{
    const struct journal_load load = {good, 7, 8, 9};
    const struct journal_fence ranges[2] = {{0, 1, 2}, {3, 4, 5}};
    const struct journal_asked asked[2] = {{good, text("a")},
                                           {good, text("b")}};

    ck_assert_int_eq(journal_pack_load(&load, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_LOAD), PLEX_OK);
    ck_assert(plex_actor_equal(&request.load.actor, &good));
    ck_assert_uint_eq(request.load.shard, 7);
    ck_assert_uint_eq(request.load.epoch, 8);
    ck_assert_uint_eq(request.load.recent_max, 9);
    buf.len = 0;
    ck_assert_int_eq(journal_pack_fence(ranges, 2, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_FENCE), PLEX_OK);
    ck_assert_uint_eq(request.n_ranges, 2);
    ck_assert_uint_eq(request.ranges[1].epoch, 5);
    buf.len = 0;
    ck_assert_int_eq(journal_pack_lookup("acme", text("id"), &buf, &err),
                     PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_LOOKUP), PLEX_OK);
    ck_assert_str_eq(request.tenant, "acme");
    ck_assert(same(request.message_id, text("id")));
    buf.len = 0;
    ck_assert_int_eq(journal_pack_answers(asked, 2, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_ANSWERS), PLEX_OK);
    ck_assert_uint_eq(request.n_asked, 2);
    ck_assert(plex_actor_equal(&request.asked[1].actor, &good));
    ck_assert(same(request.asked[1].message_id, text("b")));
    buf.len = 0;
    ck_assert_int_eq(journal_pack_pending(1, 2, text("t"), 3, &buf, &err),
                     PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_PENDING), PLEX_OK);
    ck_assert_uint_eq(request.page.last, 2);
    ck_assert_uint_eq(request.page.limit, 3);
    ck_assert(same(request.page.after, text("t")));
    ck_assert_uint_eq(request.page.until_ms, 0);
    buf.len = 0;
    ck_assert_int_eq(
        journal_pack_due(&(struct journal_due){1, 2, 77, text("t"), 3}, &buf,
                         &err),
        PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_PENDING), PLEX_OK);
    ck_assert_uint_eq(request.page.until_ms, 77);
    ck_assert_uint_eq(request.page.limit, 3);
}
END_TEST

START_TEST(results_survive_the_wire)
{
    const struct journal_result in[3] = {
        {.status = PLEX_OK},
        {.status = PLEX_FENCED, .newest_epoch = 9},
        {.status = PLEX_EXISTS, .request_hash = 7, .reply = text("r")}};
    struct journal_result *out;
    uint64_t newest;

    ck_assert_int_eq(journal_wire_results(in, 3, &arena, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_append(packed(), 3, &arena, &out, &err),
                     PLEX_OK);
    ck_assert_int_eq(out[0].status, PLEX_OK);
    ck_assert_int_eq(out[1].status, PLEX_FENCED);
    ck_assert_uint_eq(out[1].newest_epoch, 9);
    ck_assert_int_eq(out[2].status, PLEX_EXISTS);
    ck_assert(same(out[2].reply, text("r")));
    ck_assert_int_eq(journal_unpack_append(packed(), 2, &arena, &out, &err),
                     PLEX_INVALID);
    buf.len = 0;
    ck_assert_int_eq(journal_wire_fenced(77, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_fence(packed(), &arena, &newest, &err),
                     PLEX_OK);
    ck_assert_uint_eq(newest, 77);
}
END_TEST

START_TEST(answers_to_reads_survive_the_wire)
{
    const struct journal_recorded recent = {text("id"), 1, 2, text("r"), 3};
    const struct journal_loaded in = {.last_seq = 9,
                                      .has_state = true,
                                      .state = text("s"),
                                      .schema_version = 4,
                                      .state_seq = 8,
                                      .recent = &recent,
                                      .n_recent = 1};
    const struct journal_lookup found = {good, true, 5, 6, text("x")};
    const struct journal_pending_item item = {good, {text("p"), 7, text("m")}};
    const struct journal_paged paged = {&item, 1, text("next")};
    struct journal_loaded loaded;
    struct journal_lookup lookup;
    struct journal_replied_page page;

    ck_assert_int_eq(journal_wire_loaded(&in, &arena, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_load(packed(), &arena, &loaded, &err),
                     PLEX_OK);
    ck_assert_uint_eq(loaded.last_seq, 9);
    ck_assert_uint_eq(loaded.state_seq, 8);
    ck_assert(same(loaded.state, text("s")));
    ck_assert_uint_eq(loaded.n_recent, 1);
    ck_assert_uint_eq(loaded.recent[0].seq, 3);
    ck_assert(same(loaded.recent[0].reply, text("r")));
    buf.len = 0;
    ck_assert_int_eq(journal_wire_lookup(&found, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_lookup(packed(), &arena, &lookup, &err),
                     PLEX_OK);
    ck_assert(lookup.waiting && lookup.due_ms == 5 && lookup.at_ms == 6);
    ck_assert(plex_actor_equal(&lookup.actor, &good));
    buf.len = 0;
    ck_assert_int_eq(journal_wire_paged(&paged, &arena, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_pending(packed(), &arena, &page, &err),
                     PLEX_OK);
    ck_assert_uint_eq(page.n, 1);
    ck_assert(same(page.items[0].pending.message, text("m")));
    ck_assert(same(page.next, text("next")));
}
END_TEST

START_TEST(the_past_survives_the_wire)
{
    const struct journal_past_turn turn = {
        1,           2,    3,    4, text("id"), text("r"),
        text("rec"), true, true, 5, text("s"),  text("c")};
    const struct journal_past past = {&turn, 1, 6, 7, 8};
    const struct journal_was was = {1, 2, true, text("s"), 3, 4};
    const struct journal_history history = {good, 1, 2, 3, 4, 5, true};
    const struct journal_at at = {good, 1, 2};
    struct journal_past past_out;
    struct journal_was was_out;

    ck_assert_int_eq(journal_wire_past(&past, &arena, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_past(packed(), &arena, &past_out, &err),
                     PLEX_OK);
    ck_assert_uint_eq(past_out.n, 1);
    ck_assert_uint_eq(past_out.next_seq, 6);
    ck_assert_uint_eq(past_out.oldest_seq, 7);
    ck_assert_uint_eq(past_out.newest_seq, 8);
    ck_assert_uint_eq(past_out.turns[0].seq, 1);
    ck_assert_uint_eq(past_out.turns[0].request_hash, 4);
    ck_assert(past_out.turns[0].has_state && past_out.turns[0].rebuilds);
    ck_assert(same(past_out.turns[0].record, text("rec")));
    ck_assert(same(past_out.turns[0].state, text("s")));
    ck_assert(same(past_out.turns[0].chain, text("c")));
    buf.len = 0;
    ck_assert_int_eq(journal_wire_was(&was, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_was(packed(), &arena, &was_out, &err),
                     PLEX_OK);
    ck_assert_uint_eq(was_out.seq, 1);
    ck_assert_uint_eq(was_out.newest_seq, 2);
    ck_assert_uint_eq(was_out.state_seq, 4);
    ck_assert(same(was_out.state, text("s")));
    buf.len = 0;
    ck_assert_int_eq(journal_pack_history(&history, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_HISTORY), PLEX_OK);
    ck_assert_uint_eq(request.history.to_ms, 4);
    ck_assert_uint_eq(request.history.limit, 5);
    ck_assert(request.history.with_state);
    buf.len = 0;
    ck_assert_int_eq(journal_pack_at(&at, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_AT), PLEX_OK);
    ck_assert_uint_eq(request.at.at_ms, 2);
}
END_TEST

START_TEST(what_is_broken_survives_the_wire)
{
    const struct journal_broken broken = {good, 4, "why"};
    const struct journal_verified in = {1, 2, 3, &broken, 1, text("next")};
    const struct journal_verify one = {good, text("after"), 6};
    const struct journal_verify all = {{"", "", "", ""}, {0}, 6};
    struct journal_verified out;

    ck_assert_int_eq(journal_wire_verified(&in, &arena, &buf, &err), PLEX_OK);
    ck_assert_int_eq(journal_unpack_verified(packed(), &arena, &out, &err),
                     PLEX_OK);
    ck_assert_uint_eq(out.turns, 1);
    ck_assert_uint_eq(out.actors, 2);
    ck_assert_uint_eq(out.unchained, 3);
    ck_assert_uint_eq(out.n_broken, 1);
    ck_assert(plex_actor_equal(&out.broken[0].actor, &good));
    ck_assert_str_eq(out.broken[0].text, "why");
    ck_assert(same(out.next, text("next")));
    buf.len = 0;
    ck_assert_int_eq(journal_pack_verify(&one, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_VERIFY), PLEX_OK);
    ck_assert_str_eq(request.verify.actor.key, "a");
    ck_assert(same(request.verify.after, text("after")));
    buf.len = 0;
    ck_assert_int_eq(journal_pack_verify(&all, &buf, &err), PLEX_OK);
    ck_assert_int_eq(decode(JOURNAL_VERIFY), PLEX_OK);
    ck_assert_str_eq(request.verify.actor.key, "");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal wire");
    TCase *t = tcase_create("wire");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_append_survives_the_wire);
    tcase_add_test(t, bad_requests_say_where);
    tcase_add_test(t, reads_and_fences_survive_the_wire);
    tcase_add_test(t, results_survive_the_wire);
    tcase_add_test(t, answers_to_reads_survive_the_wire);
    tcase_add_test(t, the_past_survives_the_wire);
    tcase_add_test(t, what_is_broken_survives_the_wire);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
