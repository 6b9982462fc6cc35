/* Clients that leave while they wait. libmicrohttpd does not look at the
 * socket of a suspended connection, so the loop does. */
#include "common/http_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>

struct http_watch {
    uv_poll_t poll;
    struct plex_http_exchange *ex;
    void (*fn)(void *arg);
    void *arg;
};

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
http_watch_end(struct plex_http_exchange *ex)
{
    struct http_watch *watch = ex->watch;

    ex->watch = NULL;
    /* Its descriptor is out of the loop's epoll when this returns. */
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
    struct http_watch *watch = poll->data;
    void (*const fn)(void *arg) = watch->fn;
    void *const arg = watch->arg;

    if (status == 0 && (events & UV_DISCONNECT) == 0)
        return;
    http_watch_end(watch->ex);
    fn(arg);
}

void
plex_http_on_gone(struct plex_http_exchange *ex, void (*fn)(void *arg),
                  void *arg)
{
    struct http_watch *watch;

    assert(ex->watch == NULL);
    watch = plex_calloc(1, sizeof *watch);
    watch->ex = ex;
    watch->fn = fn;
    watch->arg = arg;
    watch->poll.data = watch;
    if (uv_poll_init(plex_loop_uv(ex->http->loop), &watch->poll,
                     ex->connection->fd) != 0) {
        free(watch);
        return;
    }
    ex->watch = watch;
    (void)uv_poll_start(&watch->poll, UV_DISCONNECT, on_event);
}
