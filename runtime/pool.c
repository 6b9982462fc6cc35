#include "runtime/core.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Messages and slots. An executor takes from and gives to a list of its own;
 * what one frees more than it allocates travels to the others in batches, so
 * the lock is taken once for RT_BATCH of them.
 */

static void
depot_put(struct rt_depot *depot, void *batch)
{
    pthread_mutex_lock(&depot->lock);
    if (depot->count == depot->max) {
        depot->max = depot->max == 0 ? 64 : depot->max * 2;
        depot->batches = plex_reallocarray(depot->batches, depot->max,
                                           sizeof *depot->batches);
    }
    depot->batches[depot->count++] = batch;
    pthread_mutex_unlock(&depot->lock);
}

static void *
depot_take(struct rt_depot *depot)
{
    void *batch = NULL;

    pthread_mutex_lock(&depot->lock);
    if (depot->count > 0)
        batch = depot->batches[--depot->count];
    pthread_mutex_unlock(&depot->lock);
    return batch;
}

/* -- messages -- */

void
rt_msg_refill(struct rt_exec *exec)
{
    struct rt_msg *batch = depot_take(&exec->rt->msgs);

    if (batch == NULL) {
        void *memory;

        if (posix_memalign(&memory, 64, RT_BATCH * sizeof *batch) != 0)
            memory = plex_calloc(RT_BATCH, SIZE_MAX / RT_BATCH); /* exits */
        batch = memory;
        pthread_mutex_lock(&exec->rt->msgs.lock);
        if (exec->rt->slab_count == exec->rt->slab_max) {
            exec->rt->slab_max =
                exec->rt->slab_max == 0 ? 64 : exec->rt->slab_max * 2;
            exec->rt->slabs = plex_reallocarray(
                exec->rt->slabs, exec->rt->slab_max, sizeof *exec->rt->slabs);
        }
        exec->rt->slabs[exec->rt->slab_count++] = memory;
        pthread_mutex_unlock(&exec->rt->msgs.lock);
        for (int i = 0; i < RT_BATCH; i++)
            batch[i].next = i + 1 < RT_BATCH ? &batch[i + 1] : NULL;
    }
    exec->msgs.first = batch;
    exec->msgs.count = RT_BATCH;
}

/* A batch too many: others may have it. */
void
rt_msg_surplus(struct rt_exec *exec)
{
    struct rt_msg *first = exec->msgs.first, *last = first;

    for (int i = 1; i < RT_BATCH; i++)
        last = last->next;
    exec->msgs.first = last->next;
    exec->msgs.count -= RT_BATCH;
    last->next = NULL;
    depot_put(&exec->rt->msgs, first);
}

void
rt_msg_release(struct rt_msg *msg)
{
    if (msg->release == NULL)
        free((void *)(uintptr_t)msg->payload);
    else
        msg->release((void *)(uintptr_t)msg->payload, msg->len);
}

/* -- slots -- */

static void
slots_carve(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    struct rt_proc *chunk;
    uint32_t first;

    pthread_mutex_lock(&rt->slots.lock);
    first = rt->slots_made;
    if (first >= rt->chunk_count * RT_CHUNK) {
        pthread_mutex_unlock(&rt->slots.lock);
        return;
    }
    chunk = atomic_load_explicit(&rt->chunks[first >> RT_CHUNK_BITS],
                                 memory_order_relaxed);
    if (chunk == NULL) {
        void *memory;

        if (posix_memalign(&memory, 128, RT_CHUNK * sizeof *chunk) != 0)
            memory = plex_calloc(RT_CHUNK, SIZE_MAX / RT_CHUNK); /* exits */
        chunk = memory;
        memset(chunk, 0, RT_CHUNK * sizeof *chunk);
        for (uint32_t i = 0; i < RT_CHUNK; i++) {
            chunk[i].slot = first + i;
            atomic_init(&chunk[i].inbox, RT_DEAD);
            atomic_init(&chunk[i].generation, 1);
        }
        atomic_store_explicit(&rt->chunks[first >> RT_CHUNK_BITS], chunk,
                              memory_order_release);
    }
    rt->slots_made += RT_BATCH;
    pthread_mutex_unlock(&rt->slots.lock);
    chunk += first & (RT_CHUNK - 1);
    for (int i = 0; i < RT_BATCH; i++)
        chunk[i].next = i + 1 < RT_BATCH ? &chunk[i + 1] : NULL;
    exec->slots.first = chunk;
    exec->slots.count = RT_BATCH;
}

struct rt_proc *
rt_slot_new(struct rt_exec *exec)
{
    struct rt_proc *proc;

    if (exec->slots.first == NULL) {
        exec->slots.first = depot_take(&exec->rt->slots);
        exec->slots.count = exec->slots.first != NULL ? RT_BATCH : 0;
        if (exec->slots.first == NULL)
            slots_carve(exec);
        if (exec->slots.first == NULL)
            return NULL;
    }
    proc = exec->slots.first;
    exec->slots.first = proc->next;
    exec->slots.count--;
    proc->next = NULL;
    return proc;
}

void
rt_slot_free(struct rt_exec *exec, struct rt_proc *proc)
{
    proc->next = exec->slots.first;
    exec->slots.first = proc;
    if (++exec->slots.count >= (size_t)2 * RT_BATCH) {
        struct rt_proc *last = proc;

        for (int i = 1; i < RT_BATCH; i++)
            last = last->next;
        exec->slots.first = last->next;
        exec->slots.count -= RT_BATCH;
        last->next = NULL;
        depot_put(&exec->rt->slots, proc);
    }
}

void
rt_pool_init(struct rt *rt)
{
    (void)pthread_mutex_init(&rt->msgs.lock, NULL);
    (void)pthread_mutex_init(&rt->slots.lock, NULL);
    rt->chunk_count = (rt->config.processes_max + RT_CHUNK - 1) / RT_CHUNK;
    rt->chunks = plex_calloc(rt->chunk_count, sizeof *rt->chunks);
}

void
rt_pool_fini(struct rt *rt)
{
    size_t count = rt->msgs.count * RT_BATCH + rt->outside.msgs.count;

    for (uint32_t i = 0; i < rt->exec_max; i++)
        count += rt->execs[i].msgs.count;
    assert(count == rt->slab_count * RT_BATCH); /* no message is lost */
    for (size_t i = 0; i < rt->chunk_count; i++)
        free(atomic_load(&rt->chunks[i]));
    for (size_t i = 0; i < rt->slab_count; i++)
        free(rt->slabs[i]);
    free(rt->chunks);
    free(rt->slabs);
    free(rt->msgs.batches);
    free(rt->slots.batches);
    (void)pthread_mutex_destroy(&rt->msgs.lock);
    (void)pthread_mutex_destroy(&rt->slots.lock);
}
