/* One keep-alive connection: connect, send, parse the answer. The parser knows
 * what plex-gateway sends, a status line and Content-Length, and calls anything
 * else a lost connection. */
#include "tests/bench/load.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void
conn_watch(struct load_conn *conn, bool want_write, int op)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    if (want_write)
        event.events |= EPOLLOUT;
    conn->want_write = want_write;
    if (epoll_ctl(conn->load->epoll, op, conn->fd, &event) != 0) {
        perror("plex-load: epoll_ctl");
        exit(111);
    }
}

void
load_conn_close(struct load_conn *conn)
{
    if (conn->fd >= 0)
        (void)close(conn->fd);
    conn->fd = -1;
    conn->in_len = 0;
    conn->state = LOAD_CONN_CLOSED;
}

void
load_conn_fail(struct load_conn *conn, bool timeout)
{
    struct load_answer answer = {
        .sent = conn->state == LOAD_CONN_SENDING ||
                conn->state == LOAD_CONN_READING,
        .timeout = timeout,
        .now = load_now(),
    };

    load_conn_close(conn);
    load_answered(conn, &answer);
}

static void
conn_send(struct load_conn *conn)
{
    ssize_t sent;

    while (conn->out_sent < conn->out_len) {
        sent = send(conn->fd, conn->out + conn->out_sent,
                    conn->out_len - conn->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            if (!conn->want_write)
                conn_watch(conn, true, EPOLL_CTL_MOD);
            return;
        }
        if (sent < 0) {
            load_conn_fail(conn, false);
            return;
        }
        conn->out_sent += (size_t)sent;
    }
    conn->state = LOAD_CONN_READING;
    if (conn->want_write)
        conn_watch(conn, false, EPOLL_CTL_MOD);
}

static bool
conn_connect(struct load_conn *conn)
{
    int one = 1;

    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        perror("plex-load: socket");
        exit(111);
    }
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(conn->fd, (const struct sockaddr *)&conn->load->addr,
                sizeof conn->load->addr) != 0 &&
        errno != EINPROGRESS)
        return false;
    conn->state = LOAD_CONN_CONNECTING;
    conn_watch(conn, true, EPOLL_CTL_ADD);
    return true;
}

static void
conn_format(struct load_conn *conn)
{
    static const char body[] = "{\"action\":\"increment\"}";
    const struct load *load = conn->load;
    char key_header[128] = "";
    int len;

    if (load->config.keyed && conn->kind == LOAD_INCREMENT)
        (void)snprintf(key_header, sizeof key_header,
                       "Idempotency-Key: \"%s-%" PRIu64 "\"\r\n", load->prefix,
                       conn->op_id);
    if (conn->kind == LOAD_INCREMENT)
        len = snprintf(conn->out, sizeof conn->out,
                       "POST /api/v1/actors/default/default/%s/%s-%" PRIu32
                       "?invocation=call HTTP/1.1\r\n"
                       "Host: %s\r\n%s"
                       "Content-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       load->config.type, load->prefix, conn->key, load->host,
                       key_header, sizeof body - 1, body);
    else
        len = snprintf(conn->out, sizeof conn->out,
                       "GET /api/v1/actors/default/default/%s/%s-%" PRIu32
                       "?action=get HTTP/1.1\r\nHost: %s\r\n\r\n",
                       load->config.type, load->prefix, conn->key, load->host);
    assert(len > 0 && len < LOAD_REQUEST_MAX);
    conn->out_len = (size_t)len;
    conn->out_sent = 0;
}

void
load_conn_attempt(struct load_conn *conn)
{
    conn_format(conn);
    conn->in_len = 0;
    conn->sent_ns = load_now();
    if (conn->fd < 0) {
        if (!conn_connect(conn))
            load_conn_fail(conn, false);
        return;
    }
    conn->state = LOAD_CONN_SENDING;
    conn_send(conn);
}

/* The value of a header in the NUL-terminated block `head`, or NULL. */
static const char *
head_find(const char *head, const char *name)
{
    size_t len = strlen(name);
    const char *line = head;

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

/* 1: an answer; 0: more bytes are needed; -1: not understood. */
static int
conn_parse(struct load_conn *conn, struct load_answer *answer)
{
    const char *value;
    char *end;
    size_t head_len;
    unsigned long body_len;

    conn->in[conn->in_len] = '\0';
    end = strstr(conn->in, "\r\n\r\n");
    if (end == NULL)
        return conn->in_len == LOAD_RESPONSE_MAX ? -1 : 0;
    if (strncmp(conn->in, "HTTP/1.1 ", 9) != 0)
        return -1;
    head_len = (size_t)(end - conn->in) + 4;
    end[2] = '\0';
    answer->status = atoi(conn->in + 9);
    value = head_find(conn->in, "Content-Length");
    body_len = value != NULL ? strtoul(value, NULL, 10) : 0;
    value = head_find(conn->in, "Connection");
    answer->close = value != NULL && strncasecmp(value, "close", 5) == 0;
    answer->replayed = head_find(conn->in, "Idempotency-Replayed") != NULL;
    end[2] = '\r';
    if (answer->status < 100 || answer->status > 599 ||
        body_len > LOAD_RESPONSE_MAX - head_len)
        return -1;
    if (conn->in_len < head_len + body_len)
        return 0;
    if (conn->in_len > head_len + body_len)
        return -1; /* more than was asked for */
    answer->body = conn->in + head_len;
    answer->body_len = body_len;
    return 1;
}

static void
conn_read(struct load_conn *conn)
{
    struct load_answer answer = {.sent = true};
    ssize_t got;
    int parsed;

    do {
        got = recv(conn->fd, conn->in + conn->in_len,
                   LOAD_RESPONSE_MAX - conn->in_len, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return;
    if (conn->state == LOAD_CONN_READY || conn->state == LOAD_CONN_WAITING ||
        conn->state == LOAD_CONN_IDLE) {
        /* Closed while nothing was asked: the next attempt connects anew. */
        enum load_conn_state state = conn->state;

        load_conn_close(conn);
        conn->state = state;
        return;
    }
    if (got <= 0) {
        load_conn_fail(conn, false);
        return;
    }
    conn->in_len += (size_t)got;
    parsed = conn_parse(conn, &answer);
    if (parsed == 0)
        return;
    if (parsed < 0) {
        load_conn_fail(conn, false);
        return;
    }
    if (answer.close)
        load_conn_close(conn);
    else
        conn->state = LOAD_CONN_READY;
    answer.now = load_now();
    load_answered(conn, &answer);
}

void
load_conn_event(struct load_conn *conn, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (conn->fd < 0)
        return;
    if (conn->state == LOAD_CONN_CONNECTING) {
        (void)getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            load_conn_fail(conn, false);
            return;
        }
        conn->state = LOAD_CONN_SENDING;
    }
    if ((events & EPOLLOUT) != 0 && conn->state == LOAD_CONN_SENDING)
        conn_send(conn);
    if (conn->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        conn_read(conn);
}
