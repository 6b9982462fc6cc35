#ifndef SERVICES_WORKER_BUILTIN_POOL_PRIVATE_H
#define SERVICES_WORKER_BUILTIN_POOL_PRIVATE_H

#include "services/worker/builtin_json.h"
#include "services/worker/builtin_pool.h"

/* Shared by builtin_pool_state.c and builtin_pool_lend.c only: the parts of a
 * pool's state, which the former describes. */
static inline json_t *
pool_members(const json_t *pool)
{
    return json_object_get(pool, "members");
}
static inline json_t *
pool_waiters(const json_t *pool)
{
    return json_object_get(pool, "waiters");
}
static inline bool
pool_is_out(const json_t *member)
{
    return json_object_get(member, "checkout") != NULL;
}
static inline bool
pool_is(const json_t *pool, const char *field)
{
    return json_is_true(json_object_get(pool, field));
}
static inline int64_t
pool_out(const json_t *pool)
{
    int64_t n = 0;
    size_t i;
    json_t *member;

    json_array_foreach(pool_members(pool), i, member)
    {
        n += pool_is_out(member);
    }
    return n;
}

/* As many members as are wanted: idle ones go at once, the others as they come
 * back; new ones come. */
void work_pool_settle(json_t *pool, uint64_t now_ms);
/* As many wanted as are needed. */
void work_pool_adapt(json_t *pool, uint64_t now_ms);
/* How the loan of `member` ended; work_pool_settle() is the caller's. */
void work_pool_loan_end(json_t *pool, const json_t *member, bool well,
                        uint64_t now_ms);
/* {"state","failures","until_ms"} of its breaker, new; NULL: it has none. */
json_t *work_pool_breaker_show(const json_t *pool, uint64_t now_ms);
/* When an idle member is to be asked how it is, ms since 1970. */
int64_t work_pool_probe_due(const json_t *pool);

#endif
