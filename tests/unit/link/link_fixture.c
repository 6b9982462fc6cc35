#include "tests/unit/link/link_fixture.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

const char *const transports[3] = {"inproc", "ipc", "tcp"};

void
url_make(char out[128], int transport, const char *name)
{
    unsigned port = 0;

    if (transport == 0) {
        (void)snprintf(out, 128, "inproc://test-%s", name);
    } else if (transport == 1) {
        (void)snprintf(out, 128, "ipc:///tmp/plex-test-link-%d-%s",
                       (int)getpid(), name);
    } else {
        for (const char *c = name; *c != '\0'; c++)
            port = port * 31 + (unsigned char)*c;
        /* Below the ports the system gives out by itself. */
        (void)snprintf(out, 128, "tcp://127.0.0.1:%u",
                       10000 + (port + (unsigned)getpid() * 64) % 20000);
    }
}

static void
handle_echo(void *state, struct plex_call *call)
{
    struct node *node = state;
    const struct plex_context *context = plex_call_context(call);

    (void)snprintf(node->tenant, sizeof node->tenant, "%s", context->tenant);
    (void)snprintf(node->request_id, sizeof node->request_id, "%s",
                   context->request_id);
    node->had_deadline = context->deadline > plex_now();
    node->handled++;
    plex_call_reply(call, plex_call_payload(call));
}

static void
on_abandon(void *arg, struct plex_call *call)
{
    struct node *node = arg;

    ck_assert(plex_call_abandoned(call));
    node->told++;
}

static void
handle_hold(void *state, struct plex_call *call)
{
    struct node *node = state;

    node->handled++;
    if (node->held < 64)
        node->calls[node->held] = call;
    node->held++;
    plex_call_on_abandon(call, on_abandon, node);
}

static void
handle_fail(void *state, struct plex_call *call)
{
    (void)state;
    plex_call_fail(call, PLEX_CONFLICT, "no such luck",
                   (struct plex_bytes){(const uint8_t *)"seven", 5});
}

static void
handle_note(void *state, struct plex_call *call)
{
    struct node *node = state;

    node->notes++;
    plex_call_reply(call, (struct plex_bytes){0});
}

static void
handle_order(void *state, struct plex_call *call)
{
    struct node *node = state;
    struct plex_bytes payload = plex_call_payload(call);
    uint32_t number = 0;

    memcpy(&number, payload.data, sizeof number);
    if (number != node->next_order)
        node->disorder++;
    node->next_order = number + 1;
    plex_call_reply(call, payload);
}

static const struct plex_method methods[] = {
    {METHOD_ECHO, "echo", handle_echo},    {METHOD_HOLD, "hold", handle_hold},
    {METHOD_FAIL, "fail", handle_fail},    {METHOD_NOTE, "note", handle_note},
    {METHOD_ORDER, "order", handle_order}, {0, NULL, NULL},
};

struct node *
node_here(const char *url)
{
    struct node *node = plex_calloc(1, sizeof *node);
    const struct plex_link_config config = {
        .listen_url = url,
        .methods = methods,
        .state = node,
        .metrics = node->metrics = plex_metrics_create(),
    };
    struct plex_err err;

    ck_assert_int_eq(plex_loop_create(&node->loop, &err), PLEX_OK);
    /* A stopped node's address may take a moment to be free again. */
    for (int i = 0;
         plex_link_open(&node->link, node->loop, &config, &err) != PLEX_OK;
         i++) {
        ck_assert_msg(i < 200, "%s", err.text);
        (void)usleep(10000);
    }
    (void)snprintf(node->url, sizeof node->url, "%s",
                   plex_link_url(node->link));
    return node;
}

static void
node_free(struct node *node)
{
    plex_link_close(node->link);
    plex_loop_free(node->loop);
    plex_metrics_free(node->metrics);
}

static void *
node_main(void *arg)
{
    struct node *node = arg;

    plex_loop_run(node->loop);
    node_free(node);
    return NULL;
}

struct node *
node_start(const char *url)
{
    struct node *node = node_here(url);

    node->threaded = true;
    ck_assert_int_eq(pthread_create(&node->thread, NULL, node_main, node), 0);
    return node;
}

void
node_stop(struct node *node)
{
    if (node->threaded) {
        plex_loop_quit(node->loop);
        (void)pthread_join(node->thread, NULL);
    } else {
        node_free(node);
    }
    free(node);
}

static void
run_task(struct plex_task *task)
{
    struct node *node = plex_container_of(task, struct node, task);

    node->task_fn(node);
    node->task_done = true;
}

void
node_do(struct node *node, void (*fn)(struct node *node))
{
    node->task.run = run_task;
    node->task_fn = fn;
    node->task_done = false;
    plex_loop_post(node->loop, &node->task);
    while (!node->task_done)
        (void)usleep(500);
}

void
node_release(struct node *node)
{
    for (unsigned i = 0; i < node->held && i < 64; i++)
        plex_call_reply(node->calls[i],
                        (struct plex_bytes){(const uint8_t *)"late", 4});
    node->held = 0;
}

void
node_look(struct node *node)
{
    unsigned n = 0;

    for (unsigned i = 0; i < node->held && i < 64; i++)
        n += plex_call_abandoned(node->calls[i]);
    node->abandoned = n;
}

void
node_drain(struct node *node)
{
    plex_link_drain(node->link);
}

static void
nothing(void *arg)
{
    (void)arg;
}

/* Run the loop until `until` says so, looking again at least every 2 ms. */
static void
run_until(struct node *here, bool (*until)(const void *what, unsigned want),
          const void *what, unsigned want, uint64_t ms)
{
    const uint64_t end = plex_now() + ms * 1000000U;
    struct plex_timer *tick = plex_timer_create(here->loop, nothing, NULL);

    while (!until(what, want) && plex_now() < end) {
        plex_timer_start(tick, 2);
        (void)uv_run(plex_loop_uv(here->loop), UV_RUN_ONCE);
    }
    plex_timer_free(tick);
}

static bool
count_reached(const void *what, unsigned want)
{
    return *(const unsigned *)what >= want;
}

static bool
atomic_reached(const void *what, unsigned want)
{
    return atomic_load((atomic_uint *)(uintptr_t)what) >= want;
}

static bool
never(const void *what, unsigned want)
{
    (void)what;
    return want == 1;
}

void
wait_count(struct node *here, const unsigned *counter, unsigned want)
{
    run_until(here, count_reached, counter, want, WAIT_MS);
    ck_assert_uint_ge(*counter, want);
}

void
wait_atomic(struct node *here, atomic_uint *counter, unsigned want)
{
    run_until(here, atomic_reached, counter, want, WAIT_MS);
    ck_assert_uint_ge(atomic_load(counter), want);
}

void
run_ms(struct node *here, unsigned ms)
{
    run_until(here, never, NULL, 0, ms);
}

void
on_done(void *arg, const struct plex_link_result *result)
{
    struct outcome *out = arg;

    out->done++;
    out->status = result->status;
    out->unknown = result->outcome_unknown;
    (void)snprintf(out->text, sizeof out->text, "%s", result->text);
    out->len = result->payload.len;
    if (out->len > 0)
        memcpy(out->bytes, result->payload.data,
               out->len < sizeof out->bytes ? out->len : sizeof out->bytes);
}

uint64_t
call_with(struct node *here, const char *peer, uint32_t method,
          const char *payload, unsigned timeout_ms, bool retry,
          struct outcome *out)
{
    struct plex_context context = plex_context_none;
    struct plex_link_request request = {
        .peer = peer,
        .method = method,
        .context = &context,
        .payload = {(const uint8_t *)payload, strlen(payload)},
        .retry = retry,
        .done = on_done,
        .arg = out,
    };
    uint64_t id;

    memset(out, 0, sizeof *out);
    context.tenant = "acme";
    context.ns = "default";
    context.request_id = "req-1";
    context.deadline = plex_now() + (uint64_t)timeout_ms * 1000000U;
    id = plex_link_call(here->link, &request);
    ck_assert_uint_eq(out->done, 0); /* never inside the call */
    return id;
}

uint64_t
call_to(struct node *here, const char *peer, uint32_t method,
        const char *payload, struct outcome *out)
{
    return call_with(here, peer, method, payload, WAIT_MS, false, out);
}
