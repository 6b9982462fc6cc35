/*
 * Bytes on a Unix socket of a link, in pieces of any size: what comes out as
 * frames must be what the lengths say, whatever the pieces were. The first
 * byte of the input sets the size of the pieces.
 */
#include "common/link.h"
#include "common/link_transport.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plex_loop *loop;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static const uint8_t *expected; /* the next frame's header */
static size_t left;             /* bytes there */
static bool lost;

/* Length of the frame at `expected` if it is whole and allowed, else 0. */
static size_t
expected_frame(void)
{
    size_t len;

    if (left < 4)
        return 0;
    len = (size_t)expected[0] << 24 | (size_t)expected[1] << 16 |
          (size_t)expected[2] << 8 | expected[3];
    return len <= PLEX_LINK_FRAME_MAX && len <= left - 4 ? len : 0;
}

static void
on_frame(void *arg, uint64_t conn, struct plex_bytes frame)
{
    (void)arg;
    assert(conn != 0);
    assert(frame.len > 0 && frame.len == expected_frame());
    assert(memcmp(frame.data, expected + 4, frame.len) == 0);
    expected += 4 + frame.len;
    left -= 4 + frame.len;
}

static void
on_lost(void *arg, uint64_t conn)
{
    (void)arg;
    (void)conn;
    lost = true;
}

static void
listen_once(void)
{
    static const struct plex_inbox_events events = {.frame = on_frame,
                                                    .conn_lost = on_lost};
    struct plex_inbox *inbox;
    struct plex_err err;
    char url[128];

    if (loop != NULL)
        return;
    (void)snprintf(url, sizeof url, "ipc:///tmp/plex-fuzz-ipc-%d",
                   (int)getpid());
    memcpy(address.sun_path, url + 6, strlen(url + 6) + 1);
    if (plex_loop_create(&loop, &err) != PLEX_OK ||
        plex_transport_ipc.inbox_open(&inbox, loop, url, &events, NULL, &err) !=
            PLEX_OK)
        abort();
}

static void
turn(void)
{
    (void)uv_run(plex_loop_uv(loop), UV_RUN_NOWAIT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t piece;
    int fd;

    listen_once();
    if (size == 0 || size > 1 << 16)
        return 0;
    piece = (size_t)data[0] * data[0] + 1;
    expected = data + 1;
    left = size - 1;
    lost = false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert(fd >= 0);
    assert(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    for (size_t at = 1; at < size && !lost; at += piece) {
        const size_t n = size - at < piece ? size - at : piece;

        (void)!send(fd, data + at, n, MSG_NOSIGNAL);
        turn();
    }
    (void)close(fd);
    while (!lost)
        turn();
    assert(expected_frame() == 0); /* every whole frame has come out */
    return 0;
}
