/*
 * How fast event-sourced actors come into memory: bench_sourced [DSN [TURNS]].
 * The worker's core, the handler and a journal's store in one thread, without a
 * link: a first call after a restart, TURNS records of one event after no
 * snapshot (records a second), and 1000 after a snapshot of 4 KiB (ms).
 * The DSN as for the contract tests: "sqlite:" (a fresh file), "mem:".
 */
#include "tests/contract/worker/sourced.h"

#include "common/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL = 1000, STATE_BYTES = 4096, ROUNDS = 5, BATCH = 3000 };

struct state {
    uint64_t events;
    uint8_t rest[STATE_BYTES - 8];
};

static int
apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    struct state state = {0};

    (void)event;
    (void)plex_state_get(ctx, &state, sizeof state);
    state.events++;
    plex_state_put(ctx, &state, sizeof state);
    return 0;
}

static int
handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct state state = {0};

    if (msg->len > 3 && plex_persist(ctx, "added", msg->payload, msg->len) != 0)
        return -1;
    (void)plex_state_get(ctx, &state, sizeof state);
    plex_reply_json(ctx, "%llu", (unsigned long long)state.events);
    return 0;
}

static const struct plex_behaviour behaviour = {
    .name = "cart", .schema_version = 1, .handle_call = handle, .apply = apply};

/* `n` events of 100 bytes, each a turn. */
static void
fill(struct sourced *s, const char *key, uint64_t n)
{
    static const char event[] =
        "{\"sku\":\"apple\",\"quantity\":3,\"price\":\"1.20\",\"note\":\""
        "a note that makes the event a hundred bytes long\"}";

    for (uint64_t i = 0; i < n; i++) {
        if (i % BATCH == 0) { /* the answers' table is small */
            s->calls = 0;
            memset(s->answers, 0, sizeof s->answers);
            s->unnamed = true;
        }
        (void)sourced_call(s, key, event, NULL);
    }
}

static double
first_call_ms(struct sourced *s, const char *key, uint64_t events)
{
    const struct sourced_answer *answer;
    uint64_t began;

    s->calls = 0;
    memset(s->answers, 0, sizeof s->answers);
    sourced_restart(s, &behaviour);
    began = plex_now();
    answer = sourced_call(s, key, "get", NULL);
    if (!answer->given || strtoull(answer->payload, NULL, 10) != events) {
        (void)fprintf(stderr, "the state is not what it should be: %s%s\n",
                      answer->payload, answer->text);
        exit(1);
    }
    return (double)(plex_now() - began) / 1e6;
}

static double
best_ms(struct sourced *s, const char *key, uint64_t events)
{
    double best = 1e9;

    for (int i = 0; i < ROUNDS; i++) {
        const double ms = first_call_ms(s, key, events);

        best = ms < best ? ms : best;
    }
    return best;
}

int
main(int argc, char **argv)
{
    static struct sourced s;
    uint64_t turns = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    double ms;

    if (setenv("TEST_DSN", argc > 1 ? argv[1] : "sqlite:", 1) != 0 ||
        !sourced_open(&s, &behaviour))
        return 1;
    s.type.snapshot_every = UINT32_MAX;
    sourced_restart(&s, &behaviour);
    fill(&s, "long", turns);
    ms = best_ms(&s, "long", turns);
    printf("%-10s %llu records of one event each: %.0f ms, %.0f records/s\n",
           s.dsn, (unsigned long long)turns, ms, (double)turns * 1000 / ms);
    s.type.snapshot_every = TAIL;
    sourced_restart(&s, &behaviour);
    fill(&s, "tail", TAIL);
    s.type.snapshot_every = UINT32_MAX;
    sourced_restart(&s, &behaviour);
    fill(&s, "tail", TAIL);
    ms = best_ms(&s, "tail", 2 * TAIL);
    printf("%-10s snapshot of %d bytes and %d records: %.2f ms\n", s.dsn,
           STATE_BYTES, TAIL, ms);
    sourced_close(&s);
    return 0;
}
