#include "common/loop.h"

#include "common/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

struct task_queue {
    struct plex_task *head;
    struct plex_task **tail;
};

struct plex_loop {
    uv_loop_t uv;
    /* A pipe, not uv_async's eventfd: the kernel wakes a pipe's reader where
     * the writer runs, which saves the trip to a sleeping core (74 us to 11 us
     * for a call and its reply between two idle loops). */
    int wake_fd[2];
    uv_poll_t wake;
    uv_prepare_t before_sleep;
    pthread_mutex_t lock;     /* guards posted, nothing else */
    struct task_queue posted; /* from any thread */
    struct task_queue deferred;
    atomic_bool quit;
    /* Who is about to write to the pipe, without the lock: the loop must not
     * be freed under them. */
    atomic_uint waking;
};

struct plex_timer {
    uv_timer_t uv;
    plex_timer_fn fn;
    void *arg;
};

static void
queue_init(struct task_queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
}

static void
queue_push(struct task_queue *queue, struct plex_task *task)
{
    assert(task->run != NULL);
    task->next = NULL;
    *queue->tail = task;
    queue->tail = &task->next;
}

/* Run what was queued on entry; tasks posted meanwhile wait for a next turn. */
static void
run_posted(struct plex_loop *loop)
{
    struct plex_task *task, *next;

    pthread_mutex_lock(&loop->lock);
    task = loop->posted.head;
    queue_init(&loop->posted);
    pthread_mutex_unlock(&loop->lock);
    for (; task != NULL; task = next) {
        next = task->next; /* run() may free its task */
        task->run(task);
    }
}

static void
run_deferred(struct plex_loop *loop)
{
    struct plex_task *task;

    while ((task = loop->deferred.head) != NULL) {
        loop->deferred.head = task->next;
        if (loop->deferred.head == NULL)
            loop->deferred.tail = &loop->deferred.head;
        task->run(task);
    }
}

void
plex_loop_wake(struct plex_loop *loop)
{
    if (loop == NULL)
        return;
    /* A full pipe is as good as a written one. */
    (void)!write(loop->wake_fd[1], "", 1);
    atomic_fetch_sub_explicit(&loop->waking, 1, memory_order_release);
}

static void
on_wake(uv_poll_t *wake, int status, int events)
{
    struct plex_loop *loop = wake->data;
    char sink[64];

    (void)status;
    (void)events;
    (void)!read(loop->wake_fd[0], sink, sizeof sink);
    run_posted(loop);
    if (atomic_load(&loop->quit))
        uv_stop(&loop->uv);
}

static void
on_before_sleep(uv_prepare_t *prepare)
{
    run_deferred(prepare->data);
}

enum plex_status
plex_loop_create(struct plex_loop **out, struct plex_err *err)
{
    struct plex_loop *loop = plex_calloc(1, sizeof *loop);
    int rv;

    if ((rv = uv_loop_init(&loop->uv)) != 0) {
        free(loop);
        return plex_err_set(err, PLEX_LIMIT, "could not create event loop: %s",
                            uv_strerror(rv));
    }
    if (pipe2(loop->wake_fd, O_NONBLOCK | O_CLOEXEC) != 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return plex_err_set(err, PLEX_LIMIT,
                            "could not create loop wake-up: %s",
                            strerror(errno));
    }
    (void)uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd[0]);
    loop->wake.data = loop;
    (void)uv_poll_start(&loop->wake, UV_READABLE, on_wake);
    (void)signal(SIGPIPE, SIG_IGN); /* libuv writes to sockets without care */
    (void)uv_prepare_init(&loop->uv, &loop->before_sleep);
    loop->before_sleep.data = loop;
    (void)uv_prepare_start(&loop->before_sleep, on_before_sleep);
    pthread_mutex_init(&loop->lock, NULL);
    queue_init(&loop->posted);
    queue_init(&loop->deferred);
    *out = loop;
    return PLEX_OK;
}

void
plex_loop_free(struct plex_loop *loop)
{
    int rv;

    if (loop == NULL)
        return;
    plex_loop_flush(loop);
    /* Whoever posted last, or asked to quit, may still be in there. */
    pthread_mutex_lock(&loop->lock);
    pthread_mutex_unlock(&loop->lock);
    while (atomic_load_explicit(&loop->waking, memory_order_acquire) != 0)
        (void)sched_yield();
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->before_sleep, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* run close callbacks */
    rv = uv_loop_close(&loop->uv);
    assert(rv == 0); /* a handle is still open: a bug */
    (void)rv;
    (void)close(loop->wake_fd[0]);
    (void)close(loop->wake_fd[1]);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

struct plex_loop *
plex_loop_put(struct plex_loop *loop, struct plex_task *task)
{
    bool was_empty;

    pthread_mutex_lock(&loop->lock);
    was_empty = loop->posted.head == NULL;
    queue_push(&loop->posted, task);
    /* Counted under the lock: whoever runs the task sees it. */
    if (was_empty)
        atomic_fetch_add_explicit(&loop->waking, 1, memory_order_relaxed);
    pthread_mutex_unlock(&loop->lock);
    return was_empty ? loop : NULL;
}

void
plex_loop_post(struct plex_loop *loop, struct plex_task *task)
{
    plex_loop_wake(plex_loop_put(loop, task));
}

void
plex_loop_defer(struct plex_loop *loop, struct plex_task *task)
{
    queue_push(&loop->deferred, task);
}

void
plex_loop_run(struct plex_loop *loop)
{
    while (!atomic_load(&loop->quit))
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void
plex_loop_quit(struct plex_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    atomic_store(&loop->quit, true);
    atomic_fetch_add_explicit(&loop->waking, 1, memory_order_relaxed);
    pthread_mutex_unlock(&loop->lock);
    plex_loop_wake(loop);
}

static bool
has_posted(struct plex_loop *loop)
{
    bool any;

    pthread_mutex_lock(&loop->lock);
    any = loop->posted.head != NULL;
    pthread_mutex_unlock(&loop->lock);
    return any;
}

void
plex_loop_flush(struct plex_loop *loop)
{
    while (loop->deferred.head != NULL || has_posted(loop)) {
        run_posted(loop);
        run_deferred(loop);
    }
}

uint64_t
plex_loop_now(const struct plex_loop *loop)
{
    return uv_now(&loop->uv) * 1000000U;
}

static uint64_t
clock_ns(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t
plex_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
plex_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000U;
}

void *
plex_loop_uv(struct plex_loop *loop)
{
    return &loop->uv;
}

static void
on_timer(uv_timer_t *uv)
{
    struct plex_timer *timer = uv->data;

    timer->fn(timer->arg);
}

struct plex_timer *
plex_timer_create(struct plex_loop *loop, plex_timer_fn fn, void *arg)
{
    struct plex_timer *timer = plex_calloc(1, sizeof *timer);

    (void)uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fn = fn;
    timer->arg = arg;
    return timer;
}

void
plex_timer_start(struct plex_timer *timer, uint64_t delay_ms)
{
    uv_update_time(timer->uv.loop); /* else a busy loop fires early */
    (void)uv_timer_start(&timer->uv, on_timer, delay_ms, 0);
}

void
plex_timer_stop(struct plex_timer *timer)
{
    (void)uv_timer_stop(&timer->uv);
}

static void
timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
plex_timer_free(struct plex_timer *timer)
{
    if (timer != NULL)
        uv_close((uv_handle_t *)&timer->uv, timer_closed);
}
