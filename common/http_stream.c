/* Answers that go on: chunks are written as they come, until one side ends.
 * While there is nothing to send the connection is suspended, so libmicrohttpd
 * asks for more only when there is more. */
#include "common/http_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct plex_http_stream {
    /* Both NULL once the request is over. */
    struct plex_http_exchange *ex;
    struct plex_timer *beat_timer;
    struct plex_http_stream_config config;
    struct plex_buf buf;
    size_t sent; /* of buf */
    bool ended;  /* send what is left, then finish */
    bool owned;  /* the handler has not ended it and was not told of its end */
    bool suspended;
    unsigned refs; /* the exchange's and the response's */
};

static void
stream_unref(struct plex_http_stream *stream)
{
    if (--stream->refs > 0)
        return;
    plex_buf_free(&stream->buf);
    free(stream);
}

static void
stream_wake(struct plex_http_stream *stream)
{
    if (stream->ex == NULL || !stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(stream->ex->mhd);
    http_run_later(stream->ex->http);
}

static void
stream_tell(struct plex_http_stream *stream)
{
    if (!stream->owned)
        return;
    stream->owned = false;
    stream->config.closed(stream->config.arg);
}

/* libmicrohttpd wants more of the body. */
static ssize_t
on_read(void *arg, uint64_t at, char *out, size_t max)
{
    struct plex_http_stream *stream = arg;
    size_t len = stream->buf.len - stream->sent;

    (void)at;
    if (len > 0) {
        len = len < max ? len : max;
        memcpy(out, stream->buf.data + stream->sent, len);
        stream->sent += len;
        if (stream->sent == stream->buf.len)
            stream->sent = stream->buf.len = 0;
        return (ssize_t)len;
    }
    if (stream->ended || stream->ex == NULL)
        return MHD_CONTENT_READER_END_OF_STREAM;
    stream->suspended = true;
    MHD_suspend_connection(stream->ex->mhd);
    return 0;
}

static void
on_response_freed(void *arg)
{
    stream_unref(arg);
}

/* A suspended connection is not watched, so each beat asks the socket. */
static void
on_beat(void *arg)
{
    struct plex_http_stream *stream = arg;
    const char *beat = stream->config.beat;

    if (plex_http_gone(stream->ex)) {
        stream->sent = stream->buf.len = 0;
        stream->ended = true;
        stream_wake(stream);
        return;
    }
    if (stream->buf.len == stream->sent)
        (void)plex_http_stream_write(
            stream, (struct plex_bytes){(const uint8_t *)beat, strlen(beat)});
    plex_timer_start(stream->beat_timer, stream->config.beat_ms);
}

struct plex_http_stream *
plex_http_stream_begin(struct plex_http_exchange *ex, unsigned status,
                       const char *content_type,
                       const struct plex_http_header *headers,
                       const struct plex_http_stream_config *config)
{
    struct plex_http_stream *stream = plex_calloc(1, sizeof *stream);
    struct MHD_Response *response;

    stream->ex = ex;
    stream->config = *config;
    stream->buf.max = config->buffer_max;
    stream->owned = true;
    stream->refs = 2;
    stream->ended = ex->http->draining;
    response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 16384, on_read, stream, on_response_freed);
    if (response == NULL)
        abort(); /* out of memory */
    ex->stream = stream;
    if (config->beat != NULL && config->beat_ms > 0) {
        stream->beat_timer = plex_timer_create(ex->http->loop, on_beat, stream);
        plex_timer_start(stream->beat_timer, config->beat_ms);
    }
    http_respond(ex, status, content_type, headers, response);
    return stream;
}

bool
plex_http_stream_write(struct plex_http_stream *stream, struct plex_bytes bytes)
{
    const size_t left = stream->buf.len - stream->sent;
    uint8_t *to;

    if (bytes.len == 0)
        return true;
    if (bytes.len > stream->buf.max - left)
        return false;
    if (stream->sent > 0) {
        memmove(stream->buf.data, stream->buf.data + stream->sent, left);
        stream->buf.len = left;
        stream->sent = 0;
    }
    to = plex_buf_grow(&stream->buf, bytes.len);
    if (to == NULL)
        return false;
    memcpy(to, bytes.data, bytes.len);
    stream_wake(stream);
    return true;
}

void
plex_http_stream_end(struct plex_http_stream *stream)
{
    stream->owned = false;
    stream->ended = true;
    stream_wake(stream);
}

void
http_stream_drain(struct plex_http_exchange *ex)
{
    struct plex_http_stream *stream = ex->stream;

    stream->ended = true;
    stream_tell(stream);
    stream_wake(stream);
}

void
http_stream_resume(struct plex_http_exchange *ex)
{
    struct plex_http_stream *stream = ex->stream;

    stream->ended = true;
    if (!stream->suspended)
        return;
    stream->suspended = false;
    MHD_resume_connection(ex->mhd);
}

void
http_stream_completed(struct plex_http_exchange *ex)
{
    struct plex_http_stream *stream = ex->stream;

    ex->stream = NULL;
    stream->ex = NULL;
    plex_timer_free(stream->beat_timer);
    stream->beat_timer = NULL;
    stream_tell(stream);
    stream_unref(stream);
}
