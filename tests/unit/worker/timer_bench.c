#include "tests/unit/worker/timer_bench.h"

#include "common/mem.h"
#include "services/worker/builtin.h"
#include "services/worker/handler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS_MAX = 1200, TEXT_MAX = 70000 };

struct timer {
    char name[WORK_TIMER_NAME_MAX + 1];
    uint64_t due;
};
struct timer_bench {
    const struct plex_behaviour *behaviour;
    struct work_handler *handler;
    struct plex_actor_id self;
    uint64_t now;
    uint8_t *state;
    size_t len;
    struct timer timers[TIMERS_MAX];
    unsigned n, sent;
    char reply[TEXT_MAX], newest[TEXT_MAX];
    unsigned status;
};

struct timer_bench *
timer_bench_create(void)
{
    struct timer_bench *b = plex_calloc(1, sizeof *b);

    b->behaviour = work_builtin_behaviours;
    while (strcmp(b->behaviour->name, "actor-timers") != 0)
        b->behaviour++;
    b->handler = work_handler_create();
    b->self =
        (struct plex_actor_id){"acme", "default", "actor-timers", "meter.m.1"};
    b->now = UINT64_C(1795000000000);
    return b;
}

void
timer_bench_free(struct timer_bench *b)
{
    work_handler_free(b->handler);
    free(b->state);
    free(b);
}

static void
timer_drop(struct timer_bench *b, const char *name)
{
    for (unsigned i = 0; i < b->n; i++)
        if (strcmp(b->timers[i].name, name) == 0)
            b->timers[i--] = b->timers[--b->n];
}

static void
text_set(char *out, struct plex_bytes bytes)
{
    const size_t len = bytes.len < TEXT_MAX ? bytes.len : TEXT_MAX - 1;

    if (len > 0)
        memcpy(out, bytes.data, len);
    out[len] = '\0';
}

static void
outputs_take(struct timer_bench *b, const struct work_outcome *outcome)
{
    for (size_t i = 0; i < outcome->n_outputs; i++) {
        const struct work_output *out = &outcome->outputs[i];

        if (out->kind == WORK_OUT_CAST) {
            b->sent++;
            text_set(b->newest, out->payload);
            continue;
        }
        timer_drop(b, out->timer);
        if (out->kind != WORK_OUT_TIMER_SET)
            continue;
        assert(b->n < TIMERS_MAX);
        (void)snprintf(b->timers[b->n].name, sizeof b->timers[0].name, "%s",
                       out->timer);
        b->timers[b->n++].due = b->now + out->delay_ms;
    }
}

static void
turn(struct timer_bench *b, const struct work_message *message)
{
    const struct work_action action = {
        .kind = WORK_DO_RUN,
        .token = 1,
        .run = {.how = WORK_RUN_MESSAGE,
                .activation = 1,
                .settled = true,
                .durable = true,
                .actor = &b->self,
                .message = message,
                .request_id = "",
                .state = {b->state, b->len},
                .has_state = b->state != NULL},
    };
    struct work_outcome outcome;
    struct work_reply reply;
    struct plex_arena arena;
    struct plex_err err;
    enum plex_status status;

    work_handler_run(b->handler,
                     &(struct work_turn){.behaviour = b->behaviour,
                                         .run = &action,
                                         .wall_ms = b->now},
                     &outcome);
    plex_arena_init(&arena, 16 << 20);
    status = work_reply_unpack(outcome.reply, &arena, &reply, &err);
    assert(status == PLEX_OK);
    (void)status;
    b->status = outcome.failed           ? 500
                : reply.http_status == 0 ? 200
                                         : reply.http_status;
    text_set(b->reply, reply.payload);
    plex_arena_fini(&arena);
    if (outcome.failed)
        return;
    outputs_take(b, &outcome);
    if (outcome.state_changed) {
        free(b->state);
        b->len = outcome.state.len;
        b->state = plex_reallocarray(NULL, 1, b->len + 1);
        if (b->len > 0)
            memcpy(b->state, outcome.state.data, b->len);
    }
}

static struct work_message
message_of(struct timer_bench *b, enum work_kind kind)
{
    return (struct work_message){.to = b->self,
                                 .kind = kind,
                                 .method = "",
                                 .path = "",
                                 .subpath = "",
                                 .query = "",
                                 .content_type = "",
                                 .sender = "",
                                 .timer = ""};
}

unsigned
timer_bench_ask(struct timer_bench *b, const char *request, size_t len)
{
    struct work_message message = message_of(b, WORK_CALL);

    message.payload = (struct plex_bytes){(const uint8_t *)request, len};
    turn(b, &message);
    return b->status;
}

const char *
timer_bench_reply(const struct timer_bench *b)
{
    return b->reply;
}

void
timer_bench_sleep(struct timer_bench *b, uint64_t ms)
{
    b->now += ms;
}

/* The one that is due first; NULL: none until then. */
static struct timer *
timer_first(struct timer_bench *b, uint64_t until)
{
    struct timer *first = NULL;

    for (unsigned i = 0; i < b->n; i++)
        if (b->timers[i].due <= until &&
            (first == NULL || b->timers[i].due < first->due))
            first = &b->timers[i];
    return first;
}

unsigned
timer_bench_pass(struct timer_bench *b, uint64_t ms, unsigned turns)
{
    const uint64_t until = b->now + ms;
    unsigned fired = 0;
    struct timer *first;

    while (fired < turns && (first = timer_first(b, until)) != NULL) {
        struct work_message message = message_of(b, WORK_TIMER);
        struct timer due = *first;

        if (due.due > b->now)
            b->now = due.due;
        timer_drop(b, due.name);
        message.timer = due.name;
        turn(b, &message);
        fired++;
    }
    if (b->now < until)
        b->now = until;
    return fired;
}

unsigned
timer_bench_sent(const struct timer_bench *b)
{
    return b->sent;
}

const char *
timer_bench_newest(const struct timer_bench *b)
{
    return b->newest;
}

uint64_t
timer_bench_now(const struct timer_bench *b)
{
    return b->now;
}
