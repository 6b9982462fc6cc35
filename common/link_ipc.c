/*
 * ipc:///path: frames over Unix stream sockets, on the link's own loop. A
 * frame is its length, 4 bytes big endian, and its bytes. No thread is handed
 * anything: a frame is written by the iteration that filled it and read by
 * the one that the socket wakes. nng carries tcp:// (docs/decisions/0005).
 */
#include "common/link_transport.h"

#include "common/link.h"
#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum {
    HEADER = 4,
    READ_BYTES = 256 << 10, /* scratch of an inbox, shared by connections */
    CONNECTIONS_MAX = 4096,
    BACKLOG = 512,
    REDIAL_MIN_MS = 10,
    REDIAL_MAX_MS = 100,
    SEND_BYTES = 2 << 20, /* of a socket, as far as the kernel lets */
    LAST_FRAME_MS = 100,  /* a frame under way is waited for when closing */
};

static const char scheme[] = "ipc://";

/* -- inbox ----------------------------------------------------------------- */

struct ipc_inbox {
    struct plex_inbox base;
    uv_pipe_t listener;
    const struct plex_inbox_events *events;
    void *arg;
    char *url;
    struct ipc_conn *conns;
    unsigned handles; /* open ones: the last to go frees the inbox */
    unsigned n_conns;
    bool closed;
    char *scratch;
};

struct ipc_conn {
    uv_pipe_t pipe;
    struct ipc_inbox *inbox;
    struct ipc_conn *prev, *next;
    uint64_t id;
    bool closed;
    /* Bytes of a frame that the last read did not complete: header first. */
    uint8_t *part;
    size_t part_len;
    size_t part_cap;
};

static void
inbox_release(struct ipc_inbox *inbox)
{
    if (--inbox->handles > 0)
        return;
    free(inbox->scratch);
    free(inbox->url);
    free(inbox);
}

static void
conn_closed(uv_handle_t *handle)
{
    struct ipc_conn *conn = handle->data;
    struct ipc_inbox *inbox = conn->inbox;

    free(conn->part);
    free(conn);
    inbox_release(inbox);
}

static void
conn_close(struct ipc_conn *conn)
{
    struct ipc_inbox *inbox = conn->inbox;

    if (conn->closed)
        return;
    conn->closed = true;
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        inbox->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    inbox->n_conns--;
    uv_close((uv_handle_t *)&conn->pipe, conn_closed);
}

static void
conn_end(struct ipc_conn *conn)
{
    const uint64_t id = conn->id;
    struct ipc_inbox *inbox = conn->inbox;

    conn_close(conn);
    if (!inbox->closed)
        inbox->events->conn_lost(inbox->arg, id);
}

/* Length of the frame that begins at `at`; 0 when it breaks the limit. */
static size_t
frame_length(struct ipc_conn *conn, const uint8_t *at)
{
    const size_t len =
        (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];

    if (len > 0 && len <= PLEX_LINK_FRAME_MAX)
        return len;
    plex_log(PLEX_LOG_WARN, "link-frame-length",
             "dropped a connection to %s: a frame of %zu bytes, 1 to %d are "
             "allowed",
             conn->inbox->url, len, PLEX_LINK_FRAME_MAX);
    return 0;
}

/* Move bytes into the partial frame until it has `want` of them. */
static bool
part_fill(struct ipc_conn *conn, size_t want, const uint8_t **at, size_t *len)
{
    const size_t missing = want - conn->part_len;
    const size_t take = *len < missing ? *len : missing;

    if (want > conn->part_cap) {
        conn->part = plex_reallocarray(conn->part, want, 1);
        conn->part_cap = want;
    }
    memcpy(conn->part + conn->part_len, *at, take);
    conn->part_len += take;
    *at += take;
    *len -= take;
    return conn->part_len == want;
}

static void
part_drop(struct ipc_conn *conn)
{
    conn->part_len = 0;
    if (conn->part_cap <= READ_BYTES)
        return;
    free(conn->part);
    conn->part = NULL;
    conn->part_cap = 0;
}

static void
conn_frame(struct ipc_conn *conn, const uint8_t *data, size_t len)
{
    struct ipc_inbox *inbox = conn->inbox;

    inbox->events->frame(inbox->arg, conn->id, (struct plex_bytes){data, len});
}

/* Finish the frame that an earlier read began. False: more bytes are needed,
 * or the connection was ended. */
static bool
conn_resume(struct ipc_conn *conn, const uint8_t **at, size_t *len)
{
    size_t size;

    if (conn->part_len < HEADER && !part_fill(conn, HEADER, at, len))
        return false;
    size = frame_length(conn, conn->part);
    if (size == 0) {
        conn_end(conn);
        return false;
    }
    if (!part_fill(conn, HEADER + size, at, len))
        return false;
    conn_frame(conn, conn->part + HEADER, size);
    part_drop(conn);
    return !conn->closed;
}

static void
conn_feed(struct ipc_conn *conn, const uint8_t *at, size_t len)
{
    size_t size;

    if (conn->part_len > 0 && !conn_resume(conn, &at, &len))
        return;
    while (len >= HEADER && !conn->closed) {
        size = frame_length(conn, at);
        if (size == 0) {
            conn_end(conn);
            return;
        }
        if (len - HEADER < size)
            break;
        conn_frame(conn, at + HEADER, size);
        at += HEADER + size;
        len -= HEADER + size;
    }
    if (len > 0 && !conn->closed)
        (void)conn_resume(conn, &at, &len);
}

static void
conn_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct ipc_conn *conn = handle->data;

    (void)hint;
    *buf = uv_buf_init(conn->inbox->scratch, READ_BYTES);
}

static void
conn_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ipc_conn *conn = stream->data;

    if (n < 0)
        conn_end(conn);
    else if (n > 0 && !conn->closed)
        conn_feed(conn, (const uint8_t *)buf->base, (size_t)n);
}

static void
on_connection(uv_stream_t *listener, int status)
{
    static atomic_uint_fast64_t last_id;
    struct ipc_inbox *inbox = listener->data;
    struct ipc_conn *conn;

    if (status != 0)
        return; /* out of descriptors: libuv tries again */
    conn = plex_calloc(1, sizeof *conn);
    conn->inbox = inbox;
    conn->id = atomic_fetch_add(&last_id, 1) + 1;
    conn->pipe.data = conn;
    (void)uv_pipe_init(listener->loop, &conn->pipe, 0);
    inbox->handles++;
    inbox->n_conns++;
    conn->next = inbox->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    inbox->conns = conn;
    if (uv_accept(listener, (uv_stream_t *)&conn->pipe) != 0 ||
        inbox->n_conns > CONNECTIONS_MAX ||
        uv_read_start((uv_stream_t *)&conn->pipe, conn_alloc, conn_read) != 0)
        conn_close(conn);
}

static enum plex_status
path_check(const char *url, struct sockaddr_un *addr, struct plex_err *err)
{
    const char *path = url + sizeof scheme - 1;
    const size_t len = strlen(path);

    if (len == 0 || len >= sizeof addr->sun_path)
        return plex_err_set(err, PLEX_INVALID,
                            "the socket path of %.150s has %zu bytes, 1 to %zu "
                            "are allowed",
                            url, len, sizeof addr->sun_path - 1);
    memset(addr, 0, sizeof *addr);
    addr->sun_family = AF_UNIX;
    memcpy(addr->sun_path, path, len + 1);
    return PLEX_OK;
}

/* A socket file that nobody listens on is what a killed process left. */
static void
remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    int fd, rv;

    if (lstat(addr->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    rv = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
    if (rv != 0 && errno == ECONNREFUSED)
        (void)unlink(addr->sun_path);
    (void)close(fd);
}

static void
listener_closed(uv_handle_t *handle)
{
    inbox_release(handle->data);
}

static enum plex_status
ipc_inbox_open(struct plex_inbox **out, struct plex_loop *loop, const char *url,
               const struct plex_inbox_events *events, void *arg,
               struct plex_err *err)
{
    struct ipc_inbox *inbox;
    struct sockaddr_un addr;
    int rv;

    if (path_check(url, &addr, err) != PLEX_OK)
        return err->status;
    remove_stale(&addr);
    inbox = plex_calloc(1, sizeof *inbox);
    inbox->base.transport = &plex_transport_ipc;
    inbox->events = events;
    inbox->arg = arg;
    inbox->url = plex_strdup(url);
    inbox->scratch = plex_calloc(1, READ_BYTES);
    inbox->handles = 1;
    inbox->listener.data = inbox;
    (void)uv_pipe_init(plex_loop_uv(loop), &inbox->listener, 0);
    if ((rv = uv_pipe_bind(&inbox->listener, addr.sun_path)) != 0 ||
        (rv = uv_listen((uv_stream_t *)&inbox->listener, BACKLOG,
                        on_connection)) != 0) {
        inbox->closed = true;
        uv_close((uv_handle_t *)&inbox->listener, listener_closed);
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not listen on %.150s: %s", url,
                            uv_strerror(rv));
    }
    *out = &inbox->base;
    return PLEX_OK;
}

static const char *
ipc_inbox_url(const struct plex_inbox *base)
{
    return plex_container_of(base, struct ipc_inbox, base)->url;
}

static void
ipc_inbox_close(struct plex_inbox *base)
{
    struct ipc_inbox *inbox = plex_container_of(base, struct ipc_inbox, base);

    inbox->closed = true;
    while (inbox->conns != NULL)
        conn_close(inbox->conns);
    uv_close((uv_handle_t *)&inbox->listener, listener_closed);
}

/* -- outbox ---------------------------------------------------------------- */

enum outbox_state { DIALLING, PAUSED, UP };

struct ipc_outbox {
    struct plex_outbox base;
    struct plex_loop *loop;
    const struct plex_outbox_events *events;
    void *arg;
    char *path;
    enum outbox_state state;
    uv_pipe_t *pipe; /* of the current attempt or connection; frees itself */
    struct plex_timer *timer;
    uint64_t redial_ms;
    bool closed;
};

/* One attempt to connect and the connection that comes of it. Lives until its
 * handle is closed, which can be later than its outbox. */
struct ipc_dial {
    uv_pipe_t pipe;
    uv_connect_t request;
    uv_write_t write;
    struct ipc_outbox *outbox; /* NULL: let go */
    struct plex_frame *frame;  /* being written */
    struct plex_timer *linger;
    uint8_t header[HEADER]; /* of `frame` */
    char sink[64];          /* peers send nothing; reading tells when they go */
};

static void outbox_dial(struct ipc_outbox *outbox);

static void
dial_closed(uv_handle_t *handle)
{
    struct ipc_dial *dial = handle->data;

    plex_frame_free(dial->frame);
    plex_timer_free(dial->linger);
    free(dial);
}

static void
dial_close(struct ipc_dial *dial)
{
    dial->outbox = NULL;
    if (!uv_is_closing((uv_handle_t *)&dial->pipe))
        uv_close((uv_handle_t *)&dial->pipe, dial_closed);
}

static struct ipc_dial *
outbox_let_go(struct ipc_outbox *outbox)
{
    struct ipc_dial *dial = outbox->pipe == NULL ? NULL : outbox->pipe->data;

    outbox->pipe = NULL;
    if (dial != NULL)
        dial->outbox = NULL;
    return dial;
}

static void
outbox_free(struct ipc_outbox *outbox)
{
    plex_timer_free(outbox->timer);
    free(outbox->path);
    free(outbox);
}

static void
outbox_pause(struct ipc_outbox *outbox)
{
    outbox->state = PAUSED;
    plex_timer_start(outbox->timer, outbox->redial_ms);
    outbox->redial_ms *= 2;
    if (outbox->redial_ms > REDIAL_MAX_MS)
        outbox->redial_ms = REDIAL_MAX_MS;
}

static void
outbox_lost(struct ipc_outbox *outbox)
{
    struct ipc_dial *dial = outbox_let_go(outbox);

    dial_close(dial);
    outbox_pause(outbox);
    outbox->events->lost(outbox->arg); /* may close the outbox: last */
}

static void
dial_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct ipc_dial *dial = handle->data;

    (void)hint;
    *buf = uv_buf_init(dial->sink, sizeof dial->sink);
}

static void
dial_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct ipc_dial *dial = stream->data;

    (void)buf;
    if (n >= 0)
        return;
    if (dial->outbox != NULL)
        outbox_lost(dial->outbox);
    else
        dial_close(dial);
}

static void
on_connected(uv_connect_t *request, int status)
{
    struct ipc_dial *dial = request->data;
    struct ipc_outbox *outbox = dial->outbox;
    int bytes = SEND_BYTES;

    if (outbox == NULL)
        return; /* let go, and closing */
    /* A large frame leaves at once, however busy this loop is then. */
    (void)uv_send_buffer_size((uv_handle_t *)&dial->pipe, &bytes);
    if (status == 0)
        status =
            uv_read_start((uv_stream_t *)&dial->pipe, dial_alloc, dial_read);
    if (status != 0) {
        dial_close(outbox_let_go(outbox));
        outbox_pause(outbox);
        return;
    }
    outbox->state = UP;
    outbox->redial_ms = REDIAL_MIN_MS;
    outbox->events->connected(outbox->arg);
}

static void
outbox_dial(struct ipc_outbox *outbox)
{
    struct ipc_dial *dial = plex_calloc(1, sizeof *dial);

    dial->outbox = outbox;
    dial->pipe.data = dial;
    dial->request.data = dial;
    dial->write.data = dial;
    (void)uv_pipe_init(plex_loop_uv(outbox->loop), &dial->pipe, 0);
    outbox->pipe = &dial->pipe;
    outbox->state = DIALLING;
    uv_pipe_connect(&dial->request, &dial->pipe, outbox->path, on_connected);
}

static void
on_redial(void *arg)
{
    outbox_dial(arg);
}

static enum plex_status
ipc_outbox_open(struct plex_outbox **out, struct plex_loop *loop,
                const char *url, const struct plex_outbox_events *events,
                void *arg, struct plex_err *err)
{
    struct ipc_outbox *outbox;
    struct sockaddr_un addr;

    if (path_check(url, &addr, err) != PLEX_OK)
        return err->status;
    outbox = plex_calloc(1, sizeof *outbox);
    outbox->base.transport = &plex_transport_ipc;
    outbox->loop = loop;
    outbox->events = events;
    outbox->arg = arg;
    outbox->path = plex_strdup(addr.sun_path);
    outbox->redial_ms = REDIAL_MIN_MS;
    outbox->timer = plex_timer_create(loop, on_redial, outbox);
    outbox_dial(outbox);
    *out = &outbox->base;
    return PLEX_OK;
}

static void
on_written(uv_write_t *request, int status)
{
    struct ipc_dial *dial = request->data;
    struct ipc_outbox *outbox = dial->outbox;

    plex_frame_free(dial->frame);
    dial->frame = NULL;
    if (outbox == NULL)
        dial_close(dial); /* the last frame of a closed outbox */
    else if (status == 0)
        outbox->events->writable(outbox->arg);
    /* else the read sees the end as well */
}

/* What the socket did not take at once, after `done` bytes. */
static void
write_rest(struct ipc_dial *dial, size_t done)
{
    struct plex_frame *frame = dial->frame;
    uv_buf_t bufs[2] = {
        uv_buf_init((char *)dial->header, HEADER),
        uv_buf_init((char *)frame->data, (unsigned)frame->len),
    };
    const unsigned first = done < HEADER ? 0 : 1;
    const size_t skip = first == 0 ? done : done - HEADER;

    bufs[first].base += skip;
    bufs[first].len -= skip;
    if (uv_write(&dial->write, (uv_stream_t *)&dial->pipe, bufs + first,
                 2 - first, on_written) == 0)
        return;
    plex_frame_free(frame); /* the read sees the end as well */
    dial->frame = NULL;
}

static bool
ipc_outbox_send(struct plex_outbox *base, struct plex_frame *frame)
{
    struct ipc_outbox *outbox =
        plex_container_of(base, struct ipc_outbox, base);
    struct ipc_dial *dial = outbox->pipe->data;
    uv_buf_t bufs[2];
    int n;

    assert(outbox->state == UP && dial->frame == NULL);
    for (int i = 0; i < HEADER; i++)
        dial->header[i] = (uint8_t)(frame->len >> (24 - 8 * i));
    bufs[0] = uv_buf_init((char *)dial->header, HEADER);
    bufs[1] = uv_buf_init((char *)frame->data, (unsigned)frame->len);
    n = uv_try_write((uv_stream_t *)&dial->pipe, bufs, 2);
    if (n >= 0 && (size_t)n == HEADER + frame->len) {
        plex_frame_free(frame);
        return true;
    }
    if (n < 0 && n != UV_EAGAIN) {
        plex_frame_free(frame); /* a broken pipe also ends the read */
        return false;
    }
    dial->frame = frame;
    write_rest(dial, n < 0 ? 0 : (size_t)n);
    return false;
}

static void
on_linger_over(void *arg)
{
    dial_close(arg);
}

static void
ipc_outbox_close(struct plex_outbox *base)
{
    struct ipc_outbox *outbox =
        plex_container_of(base, struct ipc_outbox, base);
    struct ipc_dial *dial = outbox_let_go(outbox);

    if (dial != NULL && dial->frame != NULL) {
        dial->linger = plex_timer_create(outbox->loop, on_linger_over, dial);
        plex_timer_start(dial->linger, LAST_FRAME_MS);
    } else if (dial != NULL) {
        dial_close(dial);
    }
    outbox_free(outbox);
}

const struct plex_transport plex_transport_ipc = {
    .scheme = scheme,
    .inbox_open = ipc_inbox_open,
    .inbox_url = ipc_inbox_url,
    .inbox_close = ipc_inbox_close,
    .outbox_open = ipc_outbox_open,
    .outbox_send = ipc_outbox_send,
    .outbox_close = ipc_outbox_close,
};
