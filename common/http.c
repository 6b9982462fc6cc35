#include "common/http_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HTTP_POOL_MAX = 1024,       /* exchanges kept for reuse */
    HTTP_BODY_KEPT_MAX = 16384, /* bytes of body buffer kept with one */
    HTTP_DISCARD_MAX = 8 << 20, /* bytes past body_max read to be polite */
    HTTP_MEMORY_RESERVE = 4096, /* for response headers, beside header_max */
};

/* -- exchanges ------------------------------------------------------------ */

static struct plex_http_exchange *
exchange_create(struct plex_http *http)
{
    struct plex_http_exchange *ex = http->pool;

    if (ex != NULL) {
        http->pool = ex->next;
        http->pooled--;
    } else {
        ex = plex_calloc(1, sizeof *ex);
        ex->http = http;
        ex->body.max = http->config.body_max;
    }
    ex->prev = NULL;
    ex->next = http->live;
    if (http->live != NULL)
        http->live->prev = ex;
    http->live = ex;
    return ex;
}

static void
exchange_free(struct plex_http_exchange *ex)
{
    plex_buf_free(&ex->body);
    free(ex->uri);
    free(ex);
}

static void
exchange_recycle(struct plex_http_exchange *ex)
{
    struct plex_http *http = ex->http;

    if (ex->prev != NULL)
        ex->prev->next = ex->next;
    else
        http->live = ex->next;
    if (ex->next != NULL)
        ex->next->prev = ex->prev;
    if (http->pooled == HTTP_POOL_MAX) {
        exchange_free(ex);
        return;
    }
    if (ex->body.cap > HTTP_BODY_KEPT_MAX)
        plex_buf_free(&ex->body);
    ex->body.len = 0;
    ex->discarded = 0;
    ex->user = NULL;
    ex->next = http->pool;
    http->pool = ex;
    http->pooled++;
}

/* The first news of a request: its target as sent, before libmicrohttpd cuts
 * it up. What is returned becomes *con_cls below. */
static void *
on_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
    struct plex_http *http = arg;
    struct plex_http_exchange *ex = exchange_create(http);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const size_t size = strlen(uri) + 1;
    char *question;

    if (size > ex->uri_cap) {
        ex->uri = plex_reallocarray(ex->uri, size, 1);
        ex->uri_cap = size;
    }
    memcpy(ex->uri, uri, size);
    question = strchr(ex->uri, '?');
    ex->query = ex->uri + size - 1; /* "" */
    if (question != NULL) {
        *question = '\0';
        ex->query = question + 1;
    }
    ex->state = EXCHANGE_NEW;
    ex->mhd = mhd;
    ex->connection = info->socket_context;
    ex->connection->busy = true;
    return ex;
}

static void
on_completed(void *arg, struct MHD_Connection *mhd, void **con_cls,
             enum MHD_RequestTerminationCode code)
{
    struct plex_http *http = arg;
    struct plex_http_exchange *ex = *con_cls;

    (void)mhd;
    (void)code;
    if (ex == NULL)
        return;
    *con_cls = NULL;
    if (ex->state >= EXCHANGE_HANDLING)
        http->pending--;
    if (ex->stream != NULL)
        http_stream_completed(ex);
    if (ex->watch != NULL)
        http_watch_end(ex);
    ex->connection->busy = false;
    exchange_recycle(ex);
}

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    struct plex_http *http = arg;
    struct http_connection *c = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        c = plex_calloc(1, sizeof *c);
        c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)
                    ->connect_fd;
        c->next = http->connections;
        if (c->next != NULL)
            c->next->prev = c;
        http->connections = c;
        *context = c;
        return;
    }
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        http->connections = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    free(c);
}

/* -- one request ---------------------------------------------------------- */

static void
refuse_body(struct plex_http_exchange *ex)
{
    char detail[96];
    const struct plex_http_problem problem = {
        .status = 413,
        .code = "BODY_TOO_LARGE",
        .detail = detail,
        .source = ex->http->config.source,
        .request_id = "",
    };

    (void)snprintf(detail, sizeof detail,
                   "the request body is too large, at most %zu bytes are "
                   "allowed",
                   ex->http->config.body_max);
    plex_http_respond_problem(ex, &problem, NULL);
}

static void
refuse_framing(struct plex_http_exchange *ex)
{
    const struct plex_http_problem problem = {
        .status = 400,
        .code = "AMBIGUOUS_LENGTH",
        .detail = "the request says more than once how long its body is; send "
                  "one Content-Length, or Transfer-Encoding: chunked alone",
        .source = ex->http->config.source,
        .request_id = "",
    };
    static const struct plex_http_header close[] = {{"Connection", "close"},
                                                    {0}};

    plex_http_respond_problem(ex, &problem, close);
}

static enum MHD_Result
begin_handling(struct plex_http_exchange *ex)
{
    ex->state = EXCHANGE_HANDLING;
    ex->http->pending++;
    if (ex->ambiguous)
        refuse_framing(ex);
    else if (ex->discarded > 0)
        refuse_body(ex);
    else
        ex->http->config.handle(ex->http->config.arg, ex);
    /* The handler may have answered, and then the exchange is recycled only
     * after libmicrohttpd has sent the response: it is still ours here. */
    if (ex->state == EXCHANGE_DROPPED)
        return MHD_NO;
    if (ex->state == EXCHANGE_HANDLING) {
        ex->state = EXCHANGE_WAITING;
        MHD_suspend_connection(ex->mhd);
    }
    return MHD_YES;
}

static void
count_framing(void *arg, const char *name, const char *value)
{
    unsigned *count = arg;

    (void)value;
    if (strcasecmp(name, "Content-Length") == 0 ||
        strcasecmp(name, "Transfer-Encoding") == 0)
        ++*count;
}

/* Headers are complete. Who forwards to us might have read another end of a
 * body whose length is said twice, and what follows would then be a request
 * that nobody checked: it is refused and the connection ends. A body that is
 * announced too large is refused before it is sent if the client waits for our
 * word, or if it is not worth reading; the connection ends then. */
static enum MHD_Result
begin_reading(struct plex_http_exchange *ex, const char *method)
{
    const char *length = plex_http_request_header(ex, "Content-Length");
    const char *expect = plex_http_request_header(ex, "Expect");
    const uint64_t max = ex->http->config.body_max;
    unsigned framing = 0;
    uint64_t size;

    ex->method = method;
    ex->state = EXCHANGE_READING;
    plex_http_each_header(ex, count_framing, &framing);
    ex->ambiguous = framing > 1;
    if (ex->ambiguous)
        return begin_handling(ex);
    size = length != NULL ? strtoull(length, NULL, 10) : 0;
    if (size <= max || (expect == NULL && size - max <= HTTP_DISCARD_MAX))
        return MHD_YES;
    ex->discarded = 1;
    return begin_handling(ex);
}

static enum MHD_Result
read_body(struct plex_http_exchange *ex, const char *data, size_t size)
{
    uint8_t *to;

    if (ex->discarded == 0) {
        to = plex_buf_grow(&ex->body, size);
        if (to != NULL) {
            memcpy(to, data, size);
            return MHD_YES;
        }
        plex_buf_free(&ex->body);
    }
    ex->discarded += size;
    return ex->discarded <= HTTP_DISCARD_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result
on_access(void *arg, struct MHD_Connection *mhd, const char *url,
          const char *method, const char *version, const char *data,
          size_t *data_size, void **con_cls)
{
    struct plex_http_exchange *ex = *con_cls;

    (void)arg;
    (void)mhd;
    (void)url;
    (void)version;
    if (ex == NULL || ex->state == EXCHANGE_DROPPED)
        return MHD_NO;
    if (ex->state == EXCHANGE_NEW)
        return begin_reading(ex, method);
    if (ex->state != EXCHANGE_READING)
        return MHD_YES; /* resumed with its response queued */
    if (*data_size > 0) {
        const size_t size = *data_size;

        *data_size = 0;
        return read_body(ex, data, size);
    }
    return begin_handling(ex);
}

/* Percent-encoding is the business of whoever knows what the parts mean. */
static size_t
keep_escapes(void *arg, struct MHD_Connection *mhd, char *text)
{
    (void)arg;
    (void)mhd;
    return strlen(text);
}

static void on_log(void *arg, const char *fmt, va_list ap) PLEX_PRINTF(2, 0);

static void
on_log(void *arg, const char *fmt, va_list ap)
{
    char text[256];

    (void)arg;
    (void)vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    plex_log(PLEX_LOG_DEBUG, "http-library", "%s", text);
}

/* -- driving libmicrohttpd ------------------------------------------------ */

/* The timer is moved only to fire earlier; when it fires too early, nothing
 * is due and it is armed again. So a busy server does not touch it. */
static void
arm_timer(struct plex_http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    uint64_t due;

    if (MHD_get_timeout(http->mhd, &wait_ms) != MHD_YES)
        return; /* no connections: sleep for good */
    due = plex_loop_now(http->loop) + wait_ms * 1000000U + 1;
    if (http->timer_due != 0 && http->timer_due <= due)
        return;
    http->timer_due = due;
    plex_timer_start(http->timer, wait_ms);
}

static void
run(struct plex_http *http)
{
    if (http->closed)
        return;
    (void)MHD_run(http->mhd);
    arm_timer(http);
}

static void
on_timer(void *arg)
{
    struct plex_http *http = arg;

    http->timer_due = 0;
    run(http);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

/* Whoever lets go last frees: libuv's handle or the deferred task. */
static void
free_if_released(struct plex_http *http)
{
    if (http->closed && !http->run_deferred && !http->poll_open)
        free(http);
}

static void
on_deferred(struct plex_task *task)
{
    struct plex_http *http =
        plex_container_of(task, struct plex_http, run_task);

    http->run_deferred = false;
    run(http);
    free_if_released(http);
}

void
http_run_later(struct plex_http *http)
{
    if (http->run_deferred)
        return;
    http->run_deferred = true;
    plex_loop_defer(http->loop, &http->run_task);
}

static struct MHD_Daemon *
start_daemon(struct plex_http *http, int fd)
{
    const struct plex_http_config *c = &http->config;

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_access, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, http,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)c->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)c->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        c->header_max + HTTP_MEMORY_RESERVE, MHD_OPTION_END);
}

enum plex_status
plex_http_open(struct plex_http **out, struct plex_loop *loop,
               const struct plex_http_config *c, struct plex_err *err)
{
    struct plex_http *http;
    char addr[sizeof http->addr];
    int fd, epoll_fd;

    if (http_listen(c->addr, &fd, addr, sizeof addr, err) != PLEX_OK)
        return err->status;
    http = plex_calloc(1, sizeof *http);
    http->loop = loop;
    http->config = *c;
    http->run_task.run = on_deferred;
    (void)snprintf(http->addr, sizeof http->addr, "%s", addr);
    http->mhd = start_daemon(http, fd);
    if (http->mhd == NULL) {
        (void)close(fd);
        free(http);
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not start the HTTP server on %s", addr);
    }
    epoll_fd =
        MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    (void)uv_poll_init(plex_loop_uv(loop), &http->poll, epoll_fd);
    http->poll.data = http;
    http->poll_open = true;
    (void)uv_poll_start(&http->poll, UV_READABLE, on_poll);
    http->timer = plex_timer_create(loop, on_timer, http);
    *out = http;
    return PLEX_OK;
}

void
plex_http_drain(struct plex_http *http)
{
    MHD_socket fd;

    if (http->draining)
        return;
    http->draining = true;
    fd = MHD_quiesce_daemon(http->mhd);
    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
    /* An idle connection sees its end; a request that is on the way already
     * is still read and answered. */
    for (struct http_connection *c = http->connections; c != NULL;
         c = c->next) {
        if (!c->busy)
            (void)shutdown(c->fd, SHUT_RD);
    }
    for (struct plex_http_exchange *ex = http->live; ex != NULL; ex = ex->next)
        if (ex->stream != NULL)
            http_stream_drain(ex);
    http_run_later(http);
}

size_t
plex_http_pending(const struct plex_http *http)
{
    return http->pending;
}

const char *
plex_http_addr(const struct plex_http *http)
{
    return http->addr;
}

static void
on_poll_closed(uv_handle_t *handle)
{
    struct plex_http *http = handle->data;

    http->poll_open = false;
    free_if_released(http);
}

void
plex_http_close(struct plex_http *http)
{
    struct plex_http_exchange *ex;

    if (http == NULL)
        return;
    uv_close((uv_handle_t *)&http->poll, on_poll_closed);
    plex_timer_free(http->timer);
    /* libmicrohttpd may not be stopped while connections are suspended. */
    for (ex = http->live; ex != NULL; ex = ex->next) {
        if (ex->watch != NULL)
            http_watch_end(ex);
        if (ex->state == EXCHANGE_WAITING)
            MHD_resume_connection(ex->mhd);
        else if (ex->stream != NULL)
            http_stream_resume(ex);
        ex->state = EXCHANGE_DROPPED;
    }
    MHD_stop_daemon(http->mhd);
    assert(http->live == NULL);
    while ((ex = http->pool) != NULL) {
        http->pool = ex->next;
        exchange_free(ex);
    }
    http->closed = true;
}
