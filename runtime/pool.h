#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Things that one executor allocates and another one frees, all day: messages,
 * slots, timers. Each takes from and gives to a cache of its own; what is too
 * much there goes to a depot, in whole batches, for whoever has none.
 */
enum {
    RT_BATCH = 64,      /* things moved at once */
    RT_KEEP_MSGS = 32,  /* batches that an executor keeps, */
    RT_KEEP_SLOTS = 4,  /* before others may have them */
    RT_KEEP_TIMERS = 16 /* at most RT_KEEP_MSGS */
};

struct rt_depot {
    pthread_mutex_t lock;
    void **batches; /* each the first of RT_BATCH linked things */
    size_t count, max;
};
/* A batch in use, and full ones. A burst of some thousand messages goes round
 * in here, and stays in this core's cache. How they are linked is the affair
 * of whoever has them. */
struct rt_cache {
    void *first;  /* linked */
    size_t count; /* at most RT_BATCH */
    size_t full_count, keep;
    void *full[RT_KEEP_MSGS];
};

/* The batch in use is full (count is RT_BATCH): begin another one. */
void rt_cache_put(struct rt_cache *cache, struct rt_depot *depot);
/* The batch in use is empty: take one. False: there is none. */
bool rt_cache_take(struct rt_cache *cache, struct rt_depot *depot);

#endif
