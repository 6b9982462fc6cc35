/* Time, randomness, nodes and the trace. */
#include "tests/sim/sim.h"

#include "common/mem.h"
#include "tests/sim/boundary.h"
#include "tests/sim/check.h"
#include "tests/sim/engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_event {
    uint64_t at;
    uint64_t order;
    struct sim_node *node;
    uint64_t life;
    sim_event_fn fn;
    void *arg;
    void (*drop)(void *arg);
};

/* -- randomness: xoshiro256** seeded by splitmix64 ------------------------- */

static uint64_t
rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t
sim_random(struct sim *sim)
{
    uint64_t *s = sim->random;
    const uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void
sim_random_seed(struct sim *sim, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        sim->random[i] = z ^ (z >> 31);
    }
}

uint64_t
sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + sim_random(sim) % (high - low + 1);
}

bool
sim_chance(struct sim *sim, unsigned percent)
{
    return sim_random(sim) % 100 < percent;
}

/* -- events: a binary heap by time, then by order of making ---------------- */

static bool
before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void
heap_push(struct sim_heap *heap, struct sim_event *event)
{
    size_t i = heap->n++;

    if (heap->n > heap->cap) {
        heap->cap = heap->cap == 0 ? 1024 : heap->cap * 2;
        heap->at = plex_reallocarray(heap->at, heap->cap, sizeof *heap->at);
    }
    for (; i > 0 && before(event, heap->at[(i - 1) / 2]); i = (i - 1) / 2)
        heap->at[i] = heap->at[(i - 1) / 2];
    heap->at[i] = event;
}

static struct sim_event *
heap_pop(struct sim_heap *heap)
{
    struct sim_event *first, *last;
    size_t i = 0, child;

    if (heap->n == 0)
        return NULL;
    first = heap->at[0];
    last = heap->at[--heap->n];
    while ((child = 2 * i + 1) < heap->n) {
        if (child + 1 < heap->n && before(heap->at[child + 1], heap->at[child]))
            child++;
        if (!before(heap->at[child], last))
            break;
        heap->at[i] = heap->at[child];
        i = child;
    }
    heap->at[i] = last;
    return first;
}

void
sim_after(struct sim *sim, struct sim_node *node, uint64_t delay_ns,
          sim_event_fn fn, void *arg, void (*drop)(void *arg))
{
    struct sim_event *event = plex_calloc(1, sizeof *event);

    event->at = sim->now + delay_ns;
    event->order = sim->events++;
    event->node = node;
    event->life = node != NULL ? node->life : 0;
    event->fn = fn;
    event->arg = arg;
    event->drop = drop;
    heap_push(&sim->heap, event);
}

static void
event_free(struct sim_event *event, bool dropped)
{
    if (dropped && event->drop != NULL)
        event->drop(event->arg);
    free(event);
}

bool
sim_step(struct sim *sim)
{
    struct sim_event *event = heap_pop(&sim->heap);

    if (event == NULL)
        return false;
    if (event->node != NULL &&
        (!event->node->up || event->life != event->node->life)) {
        event_free(event, true);
        return true;
    }
    assert(event->at >= sim->now);
    sim->now = event->at;
    if (event->node != NULL && event->node->stopped_until > sim->now) {
        event->at = event->node->stopped_until; /* order keeps its place */
        heap_push(&sim->heap, event);
        return true;
    }
    sim->steps++;
    event->fn(sim, event->node, event->arg);
    event_free(event, false);
    sim_boundary_after(sim);
    return true;
}

void
sim_engine_fini(struct sim *sim)
{
    struct sim_event *event;

    while ((event = heap_pop(&sim->heap)) != NULL)
        event_free(event, true);
    free(sim->heap.at);
    for (size_t i = 0; i < sim->n_lines; i++)
        free(sim->lines[i].text);
    free(sim->lines);
}

/* -- nodes ----------------------------------------------------------------- */

struct sim_node *
sim_node_add(struct sim *sim, const struct sim_kind *kind, int number)
{
    struct sim_node *node = &sim->nodes[sim->n_nodes];

    assert(sim->n_nodes < SIM_NODES_MAX);
    *node = (struct sim_node){.kind = kind, .index = sim->n_nodes++};
    (void)snprintf(node->name, sizeof node->name, "%s-%d", kind->name, number);
    (void)snprintf(node->url, sizeof node->url, "sim://%s-%d", kind->name,
                   number);
    node->mono_offset = sim_between(sim, SIM_S, 1000 * SIM_S);
    node->wake_at = UINT64_MAX;
    return node;
}

uint64_t
sim_mono(const struct sim *sim, const struct sim_node *node)
{
    return sim->now + node->mono_offset;
}

uint64_t
sim_wall(const struct sim *sim, const struct sim_node *node)
{
    return (uint64_t)((int64_t)(SIM_WALL_START_MS + sim->now / SIM_MS) +
                      node->wall_offset_ms);
}

static void
on_wake(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)arg;
    if (node->wake_at > sim->now)
        return; /* the wish was changed meanwhile */
    node->wake_at = UINT64_MAX;
    node->kind->wake(sim, node);
}

void
sim_wake_at(struct sim *sim, struct sim_node *node, uint64_t mono_ns)
{
    uint64_t at;

    if (mono_ns == UINT64_MAX) {
        node->wake_at = UINT64_MAX;
        return;
    }
    at = mono_ns > node->mono_offset ? mono_ns - node->mono_offset : 0;
    at = at > sim->now ? at : sim->now;
    if (node->wake_at == at)
        return;
    node->wake_at = at;
    sim_after(sim, node, at - sim->now, on_wake, NULL, NULL);
}

struct sim_node *
sim_find(struct sim *sim, const char *url)
{
    for (int i = 0; i < sim->n_nodes; i++)
        if (strcmp(sim->nodes[i].url, url) == 0)
            return &sim->nodes[i];
    return NULL;
}

void
sim_start(struct sim *sim, struct sim_node *node)
{
    assert(!node->up);
    node->up = true;
    node->life++;
    node->stopped_until = 0;
    node->wake_at = UINT64_MAX;
    node->incarnation = sim_random(sim) | 1;
    sim_trace(sim, -1, node, "starts");
    node->kind->start(sim, node);
}

void
sim_crash(struct sim *sim, struct sim_node *node)
{
    if (!node->up)
        return;
    sim_trace(sim, -1, node, "crashes");
    node->kind->stop(sim, node);
    node->up = false;
    node->state = NULL;
    sim_net_crashed(sim, node);
}

/* -- telling --------------------------------------------------------------- */

static void
line_print(const struct sim_line *line)
{
    printf("%12.6f %s\n", (double)line->at / 1e9, line->text);
}

void
sim_trace(struct sim *sim, int key, const struct sim_node *node,
          const char *fmt, ...)
{
    struct sim_line line = {sim->now, key, NULL};
    char text[SIM_TEXT_MAX];
    int used;
    va_list ap;

    if (!sim->config.trace)
        return;
    used = snprintf(text, sizeof text, "%-12s ",
                    node != NULL ? node->name : "world");
    va_start(ap, fmt);
    (void)vsnprintf(text + used, sizeof text - (size_t)used, fmt, ap);
    va_end(ap);
    line.text = plex_strdup(text);
    if (sim->config.trace_print)
        line_print(&line);
    if (sim->n_lines == SIM_TRACE_MAX) {
        free(line.text);
        return;
    }
    if (sim->lines == NULL)
        sim->lines = plex_calloc(SIM_TRACE_MAX, sizeof *sim->lines);
    sim->lines[sim->n_lines++] = line;
}

void
sim_fail(struct sim *sim, int key, const char *fmt, ...)
{
    va_list ap;

    if (sim->failed)
        return; /* the first one is the one to understand */
    sim->failed = true;
    sim->failure_key = key;
    va_start(ap, fmt);
    (void)vsnprintf(sim->failure, sizeof sim->failure, fmt, ap);
    va_end(ap);
    sim_trace(sim, key, NULL, "VIOLATION %s", sim->failure);
}

/* The last lines about that key, what happened to nodes meanwhile, and of a
 * sink also what its relay did. */
void
sim_print_trace(const struct sim *sim, int key, size_t most)
{
    const int relay =
        key >= 0 && sim_behaviour_of(key) == SIM_SINK ? key - SIM_SINKS : key;
    size_t first = sim->n_lines, found = 0;

    while (first > 0 && found < most) {
        const int of = sim->lines[--first].key;

        if (key < 0 || of < 0 || of == key || of == relay)
            found++;
    }
    for (size_t i = first; i < sim->n_lines; i++) {
        const int of = sim->lines[i].key;

        if (key < 0 || of < 0 || of == key || of == relay)
            line_print(&sim->lines[i]);
    }
}
