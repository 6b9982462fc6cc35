/* A service as a thread, for several in one process. */
#include "common/service_private.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { THREAD_STACK_BYTES = 1 << 20 };

static void
on_stop(struct plex_task *task)
{
    service_begin_drain(
        plex_container_of(task, struct plex_instance, stop_task));
}

static void
on_kill(struct plex_task *task)
{
    service_end(plex_container_of(task, struct plex_instance, kill_task));
}

/* True if the loop took it: it may have ended by itself. */
static void
post(struct plex_instance *instance, struct plex_task *task, bool *posted)
{
    pthread_mutex_lock(&instance->lock);
    if (instance->loop_open && !*posted) {
        *posted = true;
        plex_loop_post(instance->host.loop, task);
    }
    pthread_mutex_unlock(&instance->lock);
}

static void
set_started(struct plex_instance *instance, bool failed)
{
    pthread_mutex_lock(&instance->lock);
    instance->started = true;
    instance->start_failed = failed;
    instance->loop_open = !failed;
    instance->ended = failed;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
}

static void *
thread_main(void *arg)
{
    struct plex_instance *instance = arg;
    char name[16];

    (void)snprintf(name, sizeof name, "%s", instance->service->name);
    (void)pthread_setname_np(pthread_self(), name);
    if (service_open(instance, &instance->start_err) != PLEX_OK) {
        set_started(instance, true);
        return NULL;
    }
    set_started(instance, false);
    plex_loop_run(instance->host.loop);
    service_close(instance);
    pthread_mutex_lock(&instance->lock);
    instance->ended = true;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
    return NULL;
}

static enum plex_status
start_thread(struct plex_instance *instance, struct plex_err *err)
{
    pthread_attr_t attr;
    int rv;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    rv = pthread_create(&instance->thread, &attr, thread_main, instance);
    (void)pthread_attr_destroy(&attr);
    if (rv != 0)
        return plex_err_set(err, PLEX_LIMIT, "could not start a thread: %s",
                            strerror(rv));
    return PLEX_OK;
}

enum plex_status
plex_instance_start(struct plex_instance **out,
                    const struct plex_service *service,
                    const struct plex_setting *given, struct plex_err *err)
{
    struct plex_instance *instance = service_create();

    instance->stop_task.run = on_stop;
    instance->kill_task.run = on_kill;
    if (service_configure(instance, service, given, err) != PLEX_OK ||
        start_thread(instance, err) != PLEX_OK) {
        service_free(instance);
        return err->status;
    }
    pthread_mutex_lock(&instance->lock);
    while (!instance->started)
        pthread_cond_wait(&instance->changed, &instance->lock);
    pthread_mutex_unlock(&instance->lock);
    if (instance->start_failed) {
        *err = instance->start_err;
        (void)pthread_join(instance->thread, NULL);
        service_free(instance);
        return err->status;
    }
    *out = instance;
    return PLEX_OK;
}

bool
plex_instance_wait_ready(struct plex_instance *instance, uint32_t timeout_ms)
{
    struct timespec until;
    bool ready;
    int rv = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&instance->lock);
    while (!instance->seen_ready && !instance->ended && rv != ETIMEDOUT)
        rv =
            pthread_cond_timedwait(&instance->changed, &instance->lock, &until);
    ready = instance->seen_ready;
    pthread_mutex_unlock(&instance->lock);
    return ready;
}

static void
join(struct plex_instance *instance)
{
    (void)pthread_join(instance->thread, NULL);
    service_free(instance);
}

void
plex_instance_stop(struct plex_instance *instance)
{
    if (instance == NULL)
        return;
    post(instance, &instance->stop_task, &instance->stop_posted);
    join(instance);
}

void
plex_instance_kill(struct plex_instance *instance)
{
    if (instance == NULL)
        return;
    post(instance, &instance->kill_task, &instance->kill_posted);
    join(instance);
}

const char *
plex_instance_admin_addr(const struct plex_instance *instance)
{
    return instance->base->admin_addr;
}
