#include "runtime/core.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Half of too many full ones goes to the others: those that were put aside
 * first. */
void
rt_cache_put(struct rt_cache *cache, struct rt_depot *depot)
{
    size_t give = cache->keep / 2;

    if (cache->full_count == cache->keep) {
        pthread_mutex_lock(&depot->lock);
        if (depot->max - depot->count < give) {
            depot->max = depot->max == 0 ? 64 : depot->max * 2;
            depot->batches = plex_reallocarray(depot->batches, depot->max,
                                               sizeof *depot->batches);
        }
        memcpy(depot->batches + depot->count, cache->full,
               give * sizeof *cache->full);
        depot->count += give;
        pthread_mutex_unlock(&depot->lock);
        cache->full_count -= give;
        memmove(cache->full, cache->full + give,
                cache->full_count * sizeof *cache->full);
    }
    cache->full[cache->full_count++] = cache->first;
    cache->first = NULL;
    cache->count = 0;
}

bool
rt_cache_take(struct rt_cache *cache, struct rt_depot *depot)
{
    if (cache->full_count == 0) {
        size_t take = cache->keep / 4;

        pthread_mutex_lock(&depot->lock);
        take = take < depot->count ? take : depot->count;
        depot->count -= take;
        if (take > 0)
            memcpy(cache->full, depot->batches + depot->count,
                   take * sizeof *cache->full);
        pthread_mutex_unlock(&depot->lock);
        cache->full_count = take;
        if (take == 0)
            return false;
    }
    cache->first = cache->full[--cache->full_count];
    cache->count = RT_BATCH;
    return true;
}

/* -- messages -- */

void
rt_msg_refill(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    struct rt_msg *batch;
    void *memory;

    if (rt_cache_take(&exec->msgs, &rt->msgs))
        return;
    if (posix_memalign(&memory, 64, RT_BATCH * sizeof *batch) != 0)
        memory = plex_calloc(RT_BATCH, SIZE_MAX / RT_BATCH); /* exits */
    batch = memory;
    pthread_mutex_lock(&rt->msgs.lock);
    if (rt->slab_count == rt->slab_max) {
        rt->slab_max = rt->slab_max == 0 ? 64 : rt->slab_max * 2;
        rt->slabs =
            plex_reallocarray(rt->slabs, rt->slab_max, sizeof *rt->slabs);
    }
    rt->slabs[rt->slab_count++] = memory;
    pthread_mutex_unlock(&rt->msgs.lock);
    for (int i = 0; i < RT_BATCH; i++)
        batch[i].next = i + 1 < RT_BATCH ? &batch[i + 1] : NULL;
    exec->msgs.first = batch;
    exec->msgs.count = RT_BATCH;
}

void
rt_msg_surplus(struct rt_exec *exec)
{
    rt_cache_put(&exec->msgs, &exec->rt->msgs);
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

    if (exec->slots.first == NULL &&
        !rt_cache_take(&exec->slots, &exec->rt->slots)) {
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
    if (exec->slots.count == RT_BATCH)
        rt_cache_put(&exec->slots, &exec->rt->slots);
    proc->next = exec->slots.first;
    exec->slots.first = proc;
    exec->slots.count++;
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
rt_pool_init_exec(struct rt_exec *exec)
{
    exec->msgs.keep = RT_KEEP_MSGS;
    exec->slots.keep = RT_KEEP_SLOTS;
    exec->timers.free.keep = RT_KEEP_TIMERS;
}

static size_t
cached(const struct rt_exec *exec)
{
    return exec->msgs.count + exec->msgs.full_count * RT_BATCH;
}

void
rt_pool_fini(struct rt *rt)
{
    size_t count = rt->msgs.count * RT_BATCH + cached(&rt->outside);

    for (uint32_t i = 0; i < rt->exec_max; i++)
        count += cached(&rt->execs[i]);
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
