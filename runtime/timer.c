#include "runtime/core.h"

#include "common/mem.h"

#include <stdlib.h>

enum {
    FREE = 0,
    ARMED,
    FIRED,
    CANCELLED, /* its executor has still to take it out of its heap */
    STATE_BITS = 2,
    CHUNK = 4096,
    CHUNKS_MAX = 16384,
    PENDING_MAX = 1000, /* messages of one interval nobody has handled yet */
};

struct rt_timer {
    _Atomic uint64_t word; /* generation, state */
    struct rt_timer *next; /* free, or cancelled */
    uint32_t index;        /* in the table */
    uint32_t exec;
    size_t at; /* in the heap */
    _Atomic uint32_t pending;
    struct rt_timer_set set;
};
struct rt_timer_table {
    struct rt_depot depot;
    size_t made; /* under its lock */
    _Atomic(struct rt_timer *) chunks[CHUNKS_MAX];
};

struct rt_timer_table *
rt_timer_table_create(void)
{
    struct rt_timer_table *table = plex_calloc(1, sizeof *table);

    (void)pthread_mutex_init(&table->depot.lock, NULL);
    return table;
}

void
rt_timer_table_free(struct rt_timer_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i * CHUNK < table->made; i++)
        free(atomic_load(&table->chunks[i]));
    free(table->depot.batches);
    (void)pthread_mutex_destroy(&table->depot.lock);
    free(table);
}

void
rt_timers_fini(struct rt_timers *timers)
{
    free(timers->heap);
}

/* A batch that nobody has had before; false: too many. */
static bool
timers_carve(struct rt_exec *exec)
{
    struct rt_timer_table *table = exec->rt->timers;
    struct rt_timer *chunk;
    size_t first;

    pthread_mutex_lock(&table->depot.lock);
    first = table->made;
    if (first == (size_t)CHUNKS_MAX * CHUNK) {
        pthread_mutex_unlock(&table->depot.lock);
        return false;
    }
    chunk = atomic_load_explicit(&table->chunks[first / CHUNK],
                                 memory_order_relaxed);
    if (chunk == NULL) {
        chunk = plex_calloc(CHUNK, sizeof *chunk);
        for (uint32_t i = 0; i < CHUNK; i++) {
            chunk[i].index = (uint32_t)first + i;
            atomic_init(&chunk[i].word, (uint64_t)1 << STATE_BITS);
        }
        atomic_store_explicit(&table->chunks[first / CHUNK], chunk,
                              memory_order_release);
    }
    table->made += RT_BATCH;
    pthread_mutex_unlock(&table->depot.lock);
    chunk += first % CHUNK;
    for (int i = 0; i < RT_BATCH; i++)
        chunk[i].next = i + 1 < RT_BATCH ? &chunk[i + 1] : NULL;
    exec->timers.free.first = chunk;
    exec->timers.free.count = RT_BATCH;
    return true;
}

static struct rt_timer *
timer_new(struct rt_exec *exec)
{
    struct rt_cache *cache = &exec->timers.free;
    struct rt_timer *timer;

    if (cache->first == NULL &&
        !rt_cache_take(cache, &exec->rt->timers->depot) && !timers_carve(exec))
        return NULL;
    timer = cache->first;
    cache->first = timer->next;
    cache->count--;
    return timer;
}

/* The number that users see: generation (32 bits) and index + 1. */
static uint64_t
timer_number(const struct rt_timer *timer, uint64_t word)
{
    return (word >> STATE_BITS) << 32 | (timer->index + 1u);
}

static struct rt_timer *
timer_find(const struct rt *rt, uint64_t number, uint64_t *word)
{
    uint32_t index = (uint32_t)number - 1;
    struct rt_timer *chunk;

    *word = number >> 32 << STATE_BITS;
    if (number == 0 || index / CHUNK >= CHUNKS_MAX)
        return NULL;
    chunk = atomic_load_explicit(&rt->timers->chunks[index / CHUNK],
                                 memory_order_acquire);
    return chunk == NULL ? NULL : chunk + index % CHUNK;
}

/* Whoever moved the word to FREE gives the timer back. */
static uint64_t
freed(uint64_t word)
{
    uint64_t generation = ((word >> STATE_BITS) + 1) & 0xffffffffu;

    return (generation == 0 ? 1 : generation) << STATE_BITS;
}

static void
timer_give(struct rt_exec *exec, struct rt_timer *timer)
{
    struct rt_cache *cache = &exec->timers.free;

    if (cache->count == RT_BATCH)
        rt_cache_put(cache, &exec->rt->timers->depot);
    timer->next = cache->first;
    cache->first = timer;
    cache->count++;
}

static bool
timer_move(struct rt_timer *timer, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(
        &timer->word, &from, to, memory_order_acq_rel, memory_order_acquire);
}

/* -- the heap: four children each -- */

static bool
before(const struct rt_timer_entry *a, const struct rt_timer_entry *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns
                                            : a->age < b->age;
}

static void
heap_put(struct rt_timers *timers, size_t at, struct rt_timer_entry entry)
{
    timers->heap[at] = entry;
    entry.timer->at = at;
}

static void
heap_up(struct rt_timers *timers, size_t at, struct rt_timer_entry entry)
{
    while (at > 0 && before(&entry, &timers->heap[(at - 1) / 4])) {
        heap_put(timers, at, timers->heap[(at - 1) / 4]);
        at = (at - 1) / 4;
    }
    heap_put(timers, at, entry);
}

static void
heap_down(struct rt_timers *timers, size_t at, struct rt_timer_entry entry)
{
    for (;;) {
        size_t child = at * 4 + 1, least = child;

        if (child >= timers->count)
            break;
        for (size_t i = child + 1; i < child + 4 && i < timers->count; i++) {
            if (before(&timers->heap[i], &timers->heap[least]))
                least = i;
        }
        if (!before(&timers->heap[least], &entry))
            break;
        heap_put(timers, at, timers->heap[least]);
        at = least;
    }
    heap_put(timers, at, entry);
}

static void
heap_add(struct rt_timers *timers, struct rt_timer *timer)
{
    struct rt_timer_entry entry = {timer->set.deadline_ns, ++timers->age,
                                   timer};

    if (timers->count == timers->max) {
        timers->max = timers->max == 0 ? 64 : timers->max * 2;
        timers->heap =
            plex_reallocarray(timers->heap, timers->max, sizeof *timers->heap);
    }
    heap_up(timers, timers->count++, entry);
    atomic_store_explicit(&timers->live, timers->count, memory_order_relaxed);
}

static void
heap_remove(struct rt_timers *timers, size_t at)
{
    struct rt_timer_entry last = timers->heap[--timers->count];

    atomic_store_explicit(&timers->live, timers->count, memory_order_relaxed);
    if (at == timers->count)
        return;
    if (at > 0 && before(&last, &timers->heap[(at - 1) / 4]))
        heap_up(timers, at, last);
    else
        heap_down(timers, at, last);
}

/* -- timers of the dead -- */

static bool
receiver_is_gone(struct rt_exec *exec, const struct rt_timer *timer)
{
    struct plex_ref to = timer->set.to;
    struct rt_proc *proc =
        rt_is_local(exec->rt, to) ? rt_slot(exec->rt, to.id) : NULL;

    return proc != NULL &&
           atomic_load_explicit(&proc->generation, memory_order_relaxed) !=
               (uint32_t)(to.id >> 32);
}

/* For each that is set two are looked at, wherever they are in the heap: so at
 * most about half of it is waste. */
static void
bury_some(struct rt_exec *exec)
{
    struct rt_timers *timers = &exec->timers;

    for (int i = 0; i < 2 && timers->count > 0; i++) {
        size_t at = timers->look++ % timers->count;
        struct rt_timer *timer = timers->heap[at].timer;
        uint64_t word =
            atomic_load_explicit(&timer->word, memory_order_relaxed);

        if ((word & ((1 << STATE_BITS) - 1)) != ARMED ||
            !receiver_is_gone(exec, timer) ||
            !timer_move(timer, word, freed(word)))
            continue;
        heap_remove(timers, at);
        timer_give(exec, timer);
    }
}

/* -- what processes do -- */

uint64_t
rt_timer_set(struct rt_exec *exec, const struct rt_timer_set *set)
{
    struct rt_timer *timer = timer_new(exec);
    uint64_t word;

    if (timer == NULL)
        return 0;
    timer->set = *set;
    timer->exec = exec->index;
    atomic_store_explicit(&timer->pending, 0, memory_order_relaxed);
    word = atomic_load_explicit(&timer->word, memory_order_relaxed);
    atomic_store_explicit(&timer->word, word | ARMED, memory_order_release);
    heap_add(&exec->timers, timer);
    bury_some(exec);
    return timer_number(timer, word);
}

bool
rt_timer_cancel(struct rt_exec *exec, uint64_t number)
{
    uint64_t word;
    struct rt_timer *timer = timer_find(exec->rt, number, &word), *head;
    struct rt_exec *owner;

    if (timer == NULL)
        return false;
    if (timer_move(timer, word | FIRED, freed(word))) {
        timer_give(exec, timer); /* its message finds another generation */
        return false;
    }
    if (!timer_move(timer, word | ARMED, word | CANCELLED))
        return false;
    owner = &exec->rt->execs[timer->exec];
    if (owner == exec) {
        heap_remove(&exec->timers, timer->at);
        atomic_store_explicit(&timer->word, freed(word), memory_order_release);
        timer_give(exec, timer);
        return true;
    }
    head = atomic_load_explicit(&owner->cancelled, memory_order_relaxed);
    do
        timer->next = head;
    while (!atomic_compare_exchange_weak_explicit(&owner->cancelled, &head,
                                                  timer, memory_order_release,
                                                  memory_order_relaxed));
    return true;
}

bool
rt_timer_claim(struct rt_exec *exec, uint64_t number)
{
    uint64_t word;
    struct rt_timer *timer = timer_find(exec->rt, number, &word);

    if (timer == NULL)
        return false;
    if (timer_move(timer, word | FIRED, freed(word))) {
        timer_give(exec, timer);
        return true;
    }
    if (atomic_load_explicit(&timer->word, memory_order_acquire) !=
        (word | ARMED))
        return false;
    atomic_fetch_sub_explicit(&timer->pending, 1, memory_order_relaxed);
    return true;
}

/* -- firing -- */

static struct rt_msg *
timer_msg(struct rt_exec *exec, const struct rt_timer *timer, uint64_t number)
{
    struct rt_msg *msg = rt_msg_new(exec, timer->set.kind);

    msg->tag = timer->set.tag;
    msg->number = number;
    msg->from = timer->set.from;
    return msg;
}

static void
fire_once(struct rt_exec *exec, struct rt_timer *timer, uint64_t word)
{
    struct plex_ref to = timer->set.to;
    struct rt_msg *msg;

    heap_remove(&exec->timers, timer->at);
    msg = timer_msg(exec, timer, timer_number(timer, word));
    if (!timer_move(timer, word | ARMED, word | FIRED)) {
        /* Cancelled just now; it waits in the list of the cancelled. */
        rt_msg_free(exec, msg);
        timer->at = SIZE_MAX;
        return;
    }
    /* From here on the timer is the receiver's, or whoever drops it. */
    (void)rt_route(exec, to, msg);
}

static void
fire_again(struct rt_exec *exec, struct rt_timer *timer, uint64_t word)
{
    struct rt_timer_entry entry = timer->set.interval_ns > 0
                                      ? exec->timers.heap[timer->at]
                                      : (struct rt_timer_entry){0};

    if (atomic_load_explicit(&timer->pending, memory_order_relaxed) <
        PENDING_MAX) {
        struct rt_msg *msg = timer_msg(exec, timer, timer_number(timer, word));

        atomic_fetch_add_explicit(&timer->pending, 1, memory_order_relaxed);
        if (!rt_route(exec, timer->set.to, msg)) {
            if (timer_move(timer, word | ARMED, freed(word))) {
                heap_remove(&exec->timers, timer->at);
                timer_give(exec, timer);
                return;
            }
        }
    }
    /* The next one is counted from when this was due, not from now. */
    timer->set.deadline_ns += timer->set.interval_ns;
    entry.deadline_ns = timer->set.deadline_ns;
    entry.age = ++exec->timers.age;
    heap_down(&exec->timers, timer->at, entry);
}

static void
take_cancelled(struct rt_exec *exec)
{
    struct rt_timer *timer, *next;

    if (atomic_load_explicit(&exec->cancelled, memory_order_relaxed) == NULL)
        return;
    timer =
        atomic_exchange_explicit(&exec->cancelled, NULL, memory_order_acquire);
    for (; timer != NULL; timer = next) {
        uint64_t word =
            atomic_load_explicit(&timer->word, memory_order_relaxed);

        next = timer->next;
        if (timer->at != SIZE_MAX)
            heap_remove(&exec->timers, timer->at);
        atomic_store_explicit(&timer->word, freed(word), memory_order_release);
        timer_give(exec, timer);
    }
}

void
rt_timers_run(struct rt_exec *exec)
{
    struct rt_timers *timers = &exec->timers;

    take_cancelled(exec);
    while (timers->count > 0 && timers->heap[0].deadline_ns <= exec->now_ns) {
        struct rt_timer *timer = timers->heap[0].timer;
        uint64_t word =
            atomic_load_explicit(&timer->word, memory_order_acquire);
        uint64_t generation = word & ~(uint64_t)((1 << STATE_BITS) - 1);

        if ((word & ((1 << STATE_BITS) - 1)) != ARMED) {
            heap_remove(timers, 0);
            timer->at = SIZE_MAX; /* in the list of the cancelled */
        } else if (timer->set.interval_ns > 0) {
            fire_again(exec, timer, generation);
        } else {
            fire_once(exec, timer, generation);
        }
    }
}

uint64_t
rt_timers_due(const struct rt_exec *exec)
{
    return exec->timers.count == 0 ? UINT64_MAX
                                   : exec->timers.heap[0].deadline_ns;
}
