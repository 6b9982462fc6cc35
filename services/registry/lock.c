#include "services/registry/lock.h"
#include "services/registry/ordered.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct reg_lock_config reg_lock_defaults = {
    .locks_max = 100000,
    .waiters_max = 10000,
};

struct waiter {
    struct waiter *next; /* of the same lock, in order of coming */
    void *call;
    char *holder, *metadata;
    char version[REG_LOCK_VERSION_LEN + 1];
    uint64_t lease_ms, deadline_ns;
    uint32_t method;
};
/* A lock that is held; the node's key is "tenant NUL namespace NUL key". */
struct lock {
    struct reg_ordered_node node;
    struct reg_lock_info info; /* left_ms, expires_ms and waiters aside */
    uint64_t expires_ns;
    struct waiter *waiters, **waiters_tail;
    uint32_t n_waiters;
    size_t heap_at;  /* 1-based */
    uint64_t due_ns; /* its lease's end or its first waiter's deadline */
    uint8_t path[];
};
struct reg_locks {
    struct reg_lock_config config;
    struct reg_ordered map;
    struct lock **heap; /* by due_ns */
    size_t heap_n, heap_cap;
    uint64_t token;
    uint32_t n_waiters;
    struct reg_keep_queue queue;
};

/* -- when something is due ------------------------------------------------- */

static void
heap_put(struct reg_locks *locks, size_t at, struct lock *lock)
{
    locks->heap[at] = lock;
    lock->heap_at = at + 1;
}

static void
heap_fix(struct reg_locks *locks, size_t at)
{
    struct lock *lock = locks->heap[at];

    while (at > 0 && locks->heap[(at - 1) / 2]->due_ns > lock->due_ns) {
        heap_put(locks, at, locks->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < locks->heap_n &&
            locks->heap[child + 1]->due_ns < locks->heap[child]->due_ns)
            child++;
        if (child >= locks->heap_n ||
            locks->heap[child]->due_ns >= lock->due_ns)
            break;
        heap_put(locks, at, locks->heap[child]);
        at = child;
    }
    heap_put(locks, at, lock);
}

static void
heap_remove(struct reg_locks *locks, struct lock *lock)
{
    const size_t at = lock->heap_at - 1;
    struct lock *last = locks->heap[--locks->heap_n];

    if (last == lock)
        return;
    heap_put(locks, at, last);
    heap_fix(locks, at);
}

static void
due_set(struct reg_locks *locks, struct lock *lock)
{
    lock->due_ns = lock->expires_ns;
    for (const struct waiter *waiter = lock->waiters; waiter != NULL;
         waiter = waiter->next)
        if (waiter->deadline_ns < lock->due_ns)
            lock->due_ns = waiter->deadline_ns;
    heap_fix(locks, lock->heap_at - 1);
}

/* -- locks ----------------------------------------------------------------- */

static void
info_fini(struct reg_lock_info *info)
{
    free(info->tenant);
    free(info->ns);
    free(info->key);
    free(info->holder);
    free(info->metadata);
}

static struct reg_lock_info
info_copy(const struct reg_lock_info *from)
{
    struct reg_lock_info info = *from;

    info.tenant = plex_strdup(from->tenant);
    info.ns = plex_strdup(from->ns);
    info.key = plex_strdup(from->key);
    info.holder = plex_strdup(from->holder);
    info.metadata = plex_strdup(from->metadata);
    return info;
}

static struct reg_lock_info
info_now(const struct lock *lock, struct reg_when when)
{
    struct reg_lock_info info = info_copy(&lock->info);

    info.left_ms = lock->expires_ns > when.now_ns
                       ? (lock->expires_ns - when.now_ns) / 1000000U
                       : 0;
    info.expires_ms = when.wall_ms + info.left_ms;
    info.waiters = lock->n_waiters;
    return info;
}

static struct plex_bytes
path_make(struct plex_buf *out, const char *tenant, const char *ns,
          const char *key)
{
    const size_t t = strlen(tenant) + 1, n = strlen(ns) + 1, k = strlen(key);
    uint8_t *at;

    out->max = SIZE_MAX;
    at = plex_buf_grow(out, t + n + k);
    memcpy(at, tenant, t);
    memcpy(at + t, ns, n);
    memcpy(at + t + n, key, k);
    return (struct plex_bytes){out->data, out->len};
}

static struct lock *
find(const struct reg_locks *locks, const char *tenant, const char *ns,
     const char *key)
{
    struct plex_buf buf = {0};
    struct lock *lock = (struct lock *)reg_ordered_find(
        &locks->map, path_make(&buf, tenant, ns, key));

    plex_buf_free(&buf);
    return lock;
}

static struct lock *
lock_add(struct reg_locks *locks, const char *tenant, const char *ns,
         const char *key)
{
    struct plex_buf buf = {0};
    const struct plex_bytes path = path_make(&buf, tenant, ns, key);
    struct lock *lock = plex_calloc(1, sizeof *lock + path.len);

    memcpy(lock->path, path.data, path.len);
    lock->node.key = lock->path;
    lock->node.len = path.len;
    plex_buf_free(&buf);
    lock->info.tenant = plex_strdup(tenant);
    lock->info.ns = plex_strdup(ns);
    lock->info.key = plex_strdup(key);
    lock->waiters_tail = &lock->waiters;
    lock->due_ns = UINT64_MAX;
    reg_ordered_insert(&locks->map, &lock->node);
    if (locks->heap_n == locks->heap_cap) {
        locks->heap_cap = locks->heap_cap == 0 ? 64 : locks->heap_cap * 2;
        locks->heap =
            plex_reallocarray(locks->heap, locks->heap_cap, sizeof(void *));
    }
    heap_put(locks, locks->heap_n++, lock);
    return lock;
}

static void
waiter_remove(struct reg_locks *locks, struct lock *lock, struct waiter **at)
{
    struct waiter *waiter = *at;

    *at = waiter->next;
    if (lock->waiters_tail == &waiter->next)
        lock->waiters_tail = at;
    lock->n_waiters--;
    locks->n_waiters--;
    free(waiter->holder);
    free(waiter->metadata);
    free(waiter);
}

static void
lock_free(struct reg_locks *locks, struct lock *lock)
{
    while (lock->waiters != NULL)
        waiter_remove(locks, lock, &lock->waiters);
    info_fini(&lock->info);
    free(lock);
}

static void
row_push(struct reg_locks *locks, const struct lock *lock, bool gone)
{
    struct reg_lock_row *row = plex_calloc(1, sizeof *row);

    row->gone = gone;
    row->lock = info_copy(&lock->info);
    reg_keep_push(&locks->queue, REG_KEEP_ROW)->answer = row;
}

/* -- answers --------------------------------------------------------------- */

static void
answer_lock(struct reg_locks *locks, void *call, uint32_t method,
            const struct lock *lock, struct reg_when when)
{
    struct reg_keep_action *action =
        reg_keep_push(&locks->queue, REG_KEEP_REPLY);
    struct reg_lock_answer *answer = plex_calloc(1, sizeof *answer);

    answer->method = method;
    action->call = call;
    action->answer = answer;
    if (lock == NULL)
        return;
    answer->locks = plex_calloc(1, sizeof *answer->locks);
    answer->locks[0] = info_now(lock, when);
    answer->n_locks = 1;
}

static void
fail(struct reg_locks *locks, void *call, const struct plex_err *err)
{
    reg_keep_fail(&locks->queue, call, err);
}

static void
fail_held(struct reg_locks *locks, void *call, const struct lock *lock,
          struct reg_when when)
{
    struct plex_err err;
    const uint64_t left =
        lock->expires_ns > when.now_ns ? lock->expires_ns - when.now_ns : 0;

    (void)plex_err_set(&err, PLEX_EXISTS,
                       "lock \"%.80s\" is held by \"%.80s\" for %" PRIu64
                       " ms more",
                       lock->info.key, lock->info.holder, left / 1000000U);
    fail(locks, call, &err);
}

/* -- tenures --------------------------------------------------------------- */

static void
text_set(char **to, const char *text)
{
    char *copy = plex_strdup(text);

    free(*to);
    *to = copy;
}

static void
tenure_begin(struct reg_locks *locks, struct lock *lock, const char *holder,
             const char *version, struct reg_when when)
{
    text_set(&lock->info.holder, holder);
    (void)snprintf(lock->info.version, sizeof lock->info.version, "%s",
                   version);
    lock->info.token = ++locks->token;
    lock->info.acquired_ms = when.wall_ms;
}

/* A lease from now on; what changed is written. */
static void
lease_begin(struct reg_locks *locks, struct lock *lock, uint64_t lease_ms,
            const char *metadata, struct reg_when when)
{
    lock->info.lease_ms = lease_ms;
    lock->info.renewed_ms = when.wall_ms;
    lock->expires_ns = reg_when_after(when, lease_ms);
    if (metadata != NULL)
        text_set(&lock->info.metadata, metadata);
    row_push(locks, lock, false);
    due_set(locks, lock);
}

/* To the first who still waits, or it is nobody's. */
static void
tenure_end(struct reg_locks *locks, struct lock *lock, struct reg_when when)
{
    while (lock->waiters != NULL) {
        struct waiter *waiter = lock->waiters;

        if (locks->config.gone == NULL || !locks->config.gone(waiter->call)) {
            tenure_begin(locks, lock, waiter->holder, waiter->version, when);
            lease_begin(locks, lock, waiter->lease_ms, waiter->metadata, when);
            lock->n_waiters--; /* the answer does not count it */
            answer_lock(locks, waiter->call, waiter->method, lock, when);
            lock->n_waiters++;
            waiter_remove(locks, lock, &lock->waiters);
            due_set(locks, lock);
            return;
        }
        answer_lock(locks, waiter->call, waiter->method, NULL, when);
        waiter_remove(locks, lock, &lock->waiters);
    }
    row_push(locks, lock, true);
    heap_remove(locks, lock);
    reg_ordered_remove(&locks->map, &lock->node);
    lock_free(locks, lock);
}

/* -- operations ------------------------------------------------------------ */

static void
wait_begin(struct reg_locks *locks, void *call, struct lock *lock,
           const struct reg_lock_request *request, struct reg_when when)
{
    struct waiter **at = &lock->waiters;
    struct waiter *waiter;
    struct plex_err err;

    while (*at != NULL && strcmp((*at)->holder, request->holder) != 0)
        at = &(*at)->next;
    waiter = *at;
    if (waiter == NULL && locks->n_waiters >= locks->config.waiters_max) {
        (void)plex_err_set(&err, PLEX_LIMIT,
                           "%u callers wait for locks already, as many as may",
                           locks->n_waiters);
        fail(locks, call, &err);
        return;
    }
    if (waiter != NULL) {
        /* It keeps its place, as when its connection broke meanwhile. */
        (void)plex_err_set(&err, PLEX_CANCELLED,
                           "the same holder asked anew for lock \"%.80s\"",
                           request->key);
        fail(locks, waiter->call, &err);
    } else {
        waiter = plex_calloc(1, sizeof *waiter);
        waiter->holder = plex_strdup(request->holder);
        *lock->waiters_tail = waiter;
        lock->waiters_tail = &waiter->next;
        lock->n_waiters++;
        locks->n_waiters++;
    }
    text_set(&waiter->metadata, request->metadata);
    (void)snprintf(waiter->version, sizeof waiter->version, "%s",
                   request->new_version);
    waiter->call = call;
    waiter->method = request->method;
    waiter->lease_ms = request->lease_ms;
    waiter->deadline_ns = reg_when_after(when, request->wait_ms);
    due_set(locks, lock);
}

static void
acquire(struct reg_locks *locks, void *call,
        const struct reg_lock_request *request, struct reg_when when)
{
    struct lock *lock = find(locks, request->tenant, request->ns, request->key);
    struct plex_err err;

    if (lock != NULL && strcmp(lock->info.holder, request->holder) != 0) {
        if (request->wait_ms == 0)
            fail_held(locks, call, lock, when);
        else
            wait_begin(locks, call, lock, request, when);
        return;
    }
    if (lock == NULL && locks->map.n >= locks->config.locks_max) {
        (void)plex_err_set(&err, PLEX_LIMIT,
                           "%zu locks are held, as many as may (locks_max)",
                           locks->map.n);
        fail(locks, call, &err);
        return;
    }
    if (lock == NULL) {
        lock = lock_add(locks, request->tenant, request->ns, request->key);
        tenure_begin(locks, lock, request->holder, request->new_version, when);
    }
    lease_begin(locks, lock, request->lease_ms, request->metadata, when);
    answer_lock(locks, call, request->method, lock, when);
}

/* The lock that the request shows to be its own, or NULL: answered. */
static struct lock *
own(struct reg_locks *locks, void *call, const struct reg_lock_request *request)
{
    struct lock *lock = find(locks, request->tenant, request->ns, request->key);
    struct plex_err err;

    if (lock == NULL)
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "nobody holds lock \"%.80s\": it was never taken, "
                           "released, or its lease is over",
                           request->key);
    else if (strcmp(lock->info.holder, request->holder) != 0)
        (void)plex_err_set(&err, PLEX_CONFLICT,
                           "lock \"%.80s\" is held by \"%.80s\", not by "
                           "\"%.80s\"",
                           request->key, lock->info.holder, request->holder);
    else if (strcmp(lock->info.version, request->version) != 0)
        (void)plex_err_set(&err, PLEX_CONFLICT,
                           "lock \"%.80s\" is in another tenure of \"%.80s\" "
                           "than \"%.30s\"",
                           request->key, request->holder, request->version);
    else
        return lock;
    fail(locks, call, &err);
    return NULL;
}

static void
list(struct reg_locks *locks, void *call,
     const struct reg_lock_request *request, struct reg_when when)
{
    const bool after = request->after[0] != '\0' &&
                       strcmp(request->after, request->prefix) >= 0;
    struct plex_buf prefix_buf = {0}, from = {0};
    const struct plex_bytes prefix =
        path_make(&prefix_buf, request->tenant, request->ns, request->prefix);
    struct reg_lock_answer *answer;
    struct reg_ordered_node *node;

    answer_lock(locks, call, request->method, NULL, when);
    answer = locks->queue.at[locks->queue.tail - 1].answer;
    answer->locks = plex_calloc(request->page_size, sizeof *answer->locks);
    node = reg_ordered_seek(&locks->map,
                            path_make(&from, request->tenant, request->ns,
                                      after ? request->after : request->prefix),
                            after);
    while (node != NULL && reg_bytes_begin(reg_ordered_key(node), prefix)) {
        const struct lock *lock = (const struct lock *)node;

        if (request->holder[0] == '\0' ||
            strcmp(request->holder, lock->info.holder) == 0) {
            answer->more = answer->n_locks == request->page_size;
            if (answer->more)
                break;
            answer->locks[answer->n_locks++] = info_now(lock, when);
        }
        node = reg_ordered_seek(&locks->map, reg_ordered_key(node), true);
    }
    plex_buf_free(&prefix_buf);
    plex_buf_free(&from);
}

static void
look_or_delete(struct reg_locks *locks, void *call,
               const struct reg_lock_request *request, struct reg_when when)
{
    struct lock *lock = find(locks, request->tenant, request->ns, request->key);
    struct plex_err err;

    if (lock == NULL) {
        (void)plex_err_set(&err, PLEX_NOT_FOUND, "nobody holds lock \"%.80s\"",
                           request->key);
        fail(locks, call, &err);
    } else if (request->op == REG_LOCK_GET) {
        answer_lock(locks, call, request->method, lock, when);
    } else {
        tenure_end(locks, lock, when);
        answer_lock(locks, call, request->method, NULL, when);
    }
}

void
reg_locks_request(struct reg_locks *locks, void *call,
                  const struct reg_lock_request *request, struct reg_when when)
{
    struct lock *lock;

    reg_locks_tick(locks, when);
    switch (request->op) {
    case REG_LOCK_ACQUIRE:
        acquire(locks, call, request, when);
        return;
    case REG_LOCK_RENEW:
        lock = own(locks, call, request);
        if (lock == NULL)
            return;
        lease_begin(locks, lock,
                    request->lease_ms != 0 ? request->lease_ms
                                           : lock->info.lease_ms,
                    NULL, when);
        answer_lock(locks, call, request->method, lock, when);
        return;
    case REG_LOCK_RELEASE:
        lock = own(locks, call, request);
        if (lock == NULL)
            return;
        tenure_end(locks, lock, when);
        answer_lock(locks, call, request->method, NULL, when);
        return;
    case REG_LOCK_LIST:
        list(locks, call, request, when);
        return;
    default:
        look_or_delete(locks, call, request, when);
    }
}

/* -- time ------------------------------------------------------------------ */

static void
waiters_expire(struct reg_locks *locks, struct lock *lock, struct reg_when when)
{
    struct waiter **at = &lock->waiters;

    while (*at != NULL)
        if ((*at)->deadline_ns <= when.now_ns) {
            fail_held(locks, (*at)->call, lock, when);
            waiter_remove(locks, lock, at);
        } else {
            at = &(*at)->next;
        }
    due_set(locks, lock);
}

/* A lease that ends when a waiter's patience does ends first. */
void
reg_locks_tick(struct reg_locks *locks, struct reg_when when)
{
    while (locks->heap_n > 0 && locks->heap[0]->due_ns <= when.now_ns) {
        struct lock *lock = locks->heap[0];

        if (lock->expires_ns <= when.now_ns)
            tenure_end(locks, lock, when);
        else
            waiters_expire(locks, lock, when);
    }
}

uint64_t
reg_locks_wake(const struct reg_locks *locks)
{
    return locks->heap_n == 0 ? UINT64_MAX : locks->heap[0]->due_ns;
}

void
reg_locks_dismiss(struct reg_locks *locks, const char *why)
{
    struct plex_err err;

    (void)plex_err_set(&err, PLEX_UNAVAILABLE, "%s", why);
    for (size_t i = 0; i < locks->heap_n; i++) {
        struct lock *lock = locks->heap[i];

        while (lock->waiters != NULL) {
            fail(locks, lock->waiters->call, &err);
            waiter_remove(locks, lock, &lock->waiters);
        }
    }
}

/* -- life ------------------------------------------------------------------ */

struct reg_locks *
reg_locks_create(const struct reg_lock_config *config)
{
    struct reg_locks *locks = plex_calloc(1, sizeof *locks);

    locks->config = *config;
    return locks;
}

void
reg_locks_free(struct reg_locks *locks)
{
    struct reg_keep_action action;

    if (locks == NULL)
        return;
    while (reg_keep_pop(&locks->queue, &action))
        reg_lock_action_free(&action);
    for (size_t i = 0; i < locks->heap_n; i++)
        lock_free(locks, locks->heap[i]);
    free(locks->heap);
    free(locks->queue.at);
    free(locks);
}

void
reg_lock_action_free(struct reg_keep_action *action)
{
    struct reg_lock_answer *answer = action->answer;
    struct reg_lock_row *row = action->answer;

    free(action->text);
    if (action->answer == NULL)
        return;
    if (action->kind == REG_KEEP_ROW) {
        info_fini(&row->lock);
    } else {
        for (size_t i = 0; i < answer->n_locks; i++)
            info_fini(&answer->locks[i]);
        free(answer->locks);
    }
    free(action->answer);
}

void
reg_locks_load(struct reg_locks *locks, const struct reg_lock_info *from,
               struct reg_when when)
{
    struct lock *lock;

    if (find(locks, from->tenant, from->ns, from->key) != NULL)
        return;
    lock = lock_add(locks, from->tenant, from->ns, from->key);
    info_fini(&lock->info);
    lock->info = info_copy(from);
    lock->expires_ns = reg_when_after(when, from->lease_ms);
    if (from->token > locks->token)
        locks->token = from->token;
    due_set(locks, lock);
}

void
reg_locks_loaded(struct reg_locks *locks, uint64_t token)
{
    if (token > locks->token)
        locks->token = token;
}

bool
reg_locks_next(struct reg_locks *locks, struct reg_keep_action *out)
{
    return reg_keep_pop(&locks->queue, out);
}

uint64_t
reg_locks_token(const struct reg_locks *locks)
{
    return locks->token;
}

struct reg_lock_stats
reg_locks_stats(const struct reg_locks *locks)
{
    return (struct reg_lock_stats){.held = locks->map.n,
                                   .waiters = locks->n_waiters};
}
