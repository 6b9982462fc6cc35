/* Bytes that no honest peer sends, put on the wire with nng itself. */
#include "tests/unit/link/link_fixture.h"

#include "common/link_frame.h"
#include "common/mem.h"

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdlib.h>
#include <string.h>

/* A peer made of raw sockets; its frames say what we like. */
struct raw {
    nng_socket push;
    nng_socket pull;
    char url[128];
};

static void
raw_push_open(struct raw *raw, const char *to)
{
    ck_assert_int_eq(nng_push0_open(&raw->push), 0);
    ck_assert_int_eq(nng_dial(raw->push, to, NULL, 0), 0);
}

static void
raw_pull_open(struct raw *raw, const char *name)
{
    url_make(raw->url, 2, name);
    ck_assert_int_eq(nng_pull0_open(&raw->pull), 0);
    ck_assert_int_eq(nng_socket_set_ms(raw->pull, NNG_OPT_RECVTIMEO, WAIT_MS),
                     0);
    ck_assert_int_eq(nng_listen(raw->pull, raw->url, NULL, 0), 0);
}

static void
raw_send(struct raw *raw, const void *data, size_t len)
{
    ck_assert_int_eq(nng_send(raw->push, (void *)(uintptr_t)data, len, 0), 0);
}

static void
raw_envelope(struct raw *raw, const struct plex_envelope *envelope,
             uint64_t incarnation)
{
    const struct plex_frame_head head = {
        .from = {(const uint8_t *)raw->url, strlen(raw->url)},
        .incarnation = incarnation,
    };
    struct plex_frame *frame = plex_frame_create(&head, 0);

    (void)plex_frame_append(frame, envelope, plex_envelope_size(envelope));
    raw_send(raw, frame->data, frame->len);
    plex_frame_free(frame);
}

static struct node *
server_start(void)
{
    char url[128];

    url_make(url, 2, "server");
    return node_start(url);
}

static uint64_t
bad_frames(struct node *node)
{
    return plex_metrics_counter(node->metrics,
                                "plexspaces_link_frames_bad_total", "", "")
        ->value;
}

static atomic_uint bad_seen;

static void
look_at_bad(struct node *node)
{
    bad_seen = (unsigned)bad_frames(node);
}

static void
expect_bad(struct node *server, struct node *client, unsigned want)
{
    struct outcome out;

    for (int i = 0; i < 2000 && bad_seen < want; i++) {
        node_do(server, look_at_bad);
        run_ms(client, 2);
    }
    ck_assert_uint_eq(bad_seen, want);
    (void)call_to(client, server->url, METHOD_ECHO, "still here", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
}

START_TEST(rubbish_is_dropped_counted_and_harms_nobody)
{
    static const uint8_t groups[] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
    static const uint8_t version[] = {0x08, 0x07, 0x12, 0x01, 'x', 0x18, 0x01};
    static const uint8_t nobody[] = {0x08, 0x01, 0x12, 0x03, 'a',
                                     ':',  '/',  0x18, 0x01};
    uint8_t *nested = plex_calloc(1, 90000);
    struct node *server = server_start();
    struct node *client = node_here("tcp://127.0.0.1:0");
    struct raw raw;

    bad_seen = 0;
    memset(nested, 0x2a, 90000);
    raw_push_open(&raw, server->url);
    raw_send(&raw, "", 0);
    raw_send(&raw, "GET / HTTP/1.1\r\n\r\n", 18);
    raw_send(&raw, groups, sizeof groups);
    raw_send(&raw, version, sizeof version);
    raw_send(&raw, nobody, sizeof nobody);
    raw_send(&raw, nested, 90000);
    expect_bad(server, client, 6);
    (void)nng_close(raw.push);
    node_stop(client);
    node_stop(server);
    free(nested);
}
END_TEST

START_TEST(an_oversized_frame_is_dropped_unread)
{
    struct node *server = server_start();
    struct node *client = node_here("tcp://127.0.0.1:0");
    uint8_t *huge = plex_calloc(1, PLEX_LINK_FRAME_MAX + 1);
    struct outcome out;
    struct raw raw;

    raw_push_open(&raw, server->url);
    raw_send(&raw, huge, PLEX_LINK_FRAME_MAX + 1);
    run_ms(client, 50);
    (void)call_to(client, server->url, METHOD_ECHO, "still here", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    node_do(server, look_at_bad);
    ck_assert_uint_eq(bad_seen, 0);
    (void)nng_close(raw.push);
    node_stop(client);
    node_stop(server);
    free(huge);
}
END_TEST

/* Decode the next frame's first envelope at the raw peer. */
static void
raw_receive(struct raw *raw, struct plex_envelope *out, uint8_t *keep,
            size_t size)
{
    struct plex_frame_reader reader;
    struct plex_err err;
    size_t len = size;

    ck_assert_int_eq(nng_recv(raw->pull, keep, &len, 0), 0);
    ck_assert_int_eq(
        plex_frame_open(&reader, (struct plex_bytes){keep, len}, &err),
        PLEX_OK);
    ck_assert_int_eq(plex_frame_next(&reader, out, &err), PLEX_OK);
}

START_TEST(a_request_sent_again_while_it_is_served_is_handled_once)
{
    struct plex_envelope request = {.id = 77,
                                    .kind = PLEX_ENVELOPE_REQUEST,
                                    .method = METHOD_HOLD,
                                    .timeout_ms = WAIT_MS};
    const struct plex_envelope note = {.kind = PLEX_ENVELOPE_EVENT,
                                       .method = METHOD_NOTE};
    struct node *server = server_start();
    struct node *client = node_here("tcp://127.0.0.1:0");
    struct plex_envelope reply;
    uint8_t bytes[1024];
    struct raw raw;

    raw_pull_open(&raw, "raw");
    raw_push_open(&raw, server->url);
    raw_envelope(&raw, &request, 5);
    wait_atomic(client, &server->held, 1);
    (void)nng_close(raw.push); /* lost: abandoned, then asked for again */
    raw_push_open(&raw, server->url);
    request.attempt = 1;
    raw_envelope(&raw, &request, 5);
    raw_envelope(&raw, &note, 5);
    wait_atomic(client, &server->notes, 1);
    ck_assert_uint_eq(server->handled, 1);
    node_do(server, node_release);
    raw_receive(&raw, &reply, bytes, sizeof bytes);
    ck_assert_int_eq(reply.kind, PLEX_ENVELOPE_REPLY);
    ck_assert_uint_eq(reply.id, 77);
    ck_assert_mem_eq(reply.payload.data, "late", 4);
    /* From another life the same id is another request. */
    raw_envelope(&raw, &request, 6);
    wait_atomic(client, &server->handled, 2);
    (void)nng_close(raw.push);
    (void)nng_close(raw.pull);
    node_stop(client);
    node_stop(server);
}
END_TEST

START_TEST(a_new_incarnation_ends_calls_to_the_old_one)
{
    const struct plex_envelope note = {.kind = PLEX_ENVELOPE_EVENT,
                                       .method = METHOD_NOTE};
    struct node *client = node_here("tcp://127.0.0.1:0");
    struct plex_envelope got;
    struct outcome once, retried;
    uint8_t bytes[1024];
    uint64_t id;
    struct raw raw;

    raw_pull_open(&raw, "raw");
    raw_push_open(&raw, client->url);
    raw_envelope(&raw, &note, 1);
    wait_atomic(client, &client->notes, 1);
    (void)call_to(client, raw.url, METHOD_HOLD, "a", &once);
    run_ms(client, 50);
    raw_receive(&raw, &got, bytes, sizeof bytes);
    (void)call_with(client, raw.url, METHOD_HOLD, "b", WAIT_MS, true, &retried);
    run_ms(client, 50);
    raw_receive(&raw, &got, bytes, sizeof bytes);
    id = got.id;
    ck_assert_uint_eq(got.attempt, 0);
    raw_envelope(&raw, &note, 2);
    wait_count(client, &once.done, 1);
    ck_assert_int_eq(once.status, PLEX_UNKNOWN);
    ck_assert(once.unknown);
    ck_assert_uint_eq(retried.done, 0);
    run_ms(client, 50);
    raw_receive(&raw, &got, bytes, sizeof bytes);
    ck_assert_uint_eq(got.id, id); /* the same id, the next attempt */
    ck_assert_uint_eq(got.attempt, 1);
    (void)nng_close(raw.push);
    (void)nng_close(raw.pull);
    node_stop(client);
}
END_TEST

START_TEST(replies_that_nobody_asked_for_are_ignored)
{
    struct plex_envelope reply = {.kind = PLEX_ENVELOPE_REPLY,
                                  .payload = {(const uint8_t *)"x", 1}};
    const struct plex_envelope note = {.kind = PLEX_ENVELOPE_EVENT,
                                       .method = METHOD_NOTE};
    const uint64_t ids[] = {1, 1 << 24, 1 << 24 | 5, UINT64_MAX};
    struct node *client = node_here("tcp://127.0.0.1:0");
    struct raw raw;

    raw_pull_open(&raw, "raw");
    raw_push_open(&raw, client->url);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        reply.id = ids[i];
        raw_envelope(&raw, &reply, 1);
        reply.kind = PLEX_ENVELOPE_CANCEL;
        raw_envelope(&raw, &reply, 1);
        reply.kind = PLEX_ENVELOPE_REPLY;
    }
    raw_envelope(&raw, &note, 1);
    wait_atomic(client, &client->notes, 1);
    (void)nng_close(raw.push);
    (void)nng_close(raw.pull);
    node_stop(client);
}
END_TEST

TCase *
tcase_link_bad(void)
{
    TCase *tcase = tcase_create("rubbish");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, rubbish_is_dropped_counted_and_harms_nobody);
    tcase_add_test(tcase, an_oversized_frame_is_dropped_unread);
    tcase_add_test(tcase,
                   a_request_sent_again_while_it_is_served_is_handled_once);
    tcase_add_test(tcase, a_new_incarnation_ends_calls_to_the_old_one);
    tcase_add_test(tcase, replies_that_nobody_asked_for_are_ignored);
    return tcase;
}
