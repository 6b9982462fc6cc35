#include "tests/unit/common/http_client.h"

#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int
http_client_connect(const char *addr)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval limit = {.tv_sec = 10};
    char host[128];
    char *colon, *name = host;
    struct addrinfo *info;
    int fd;

    (void)snprintf(host, sizeof host, "%s", addr);
    colon = strrchr(host, ':');
    ck_assert_ptr_nonnull(colon);
    *colon = '\0';
    if (name[0] == '[') {
        name++;
        colon[-1] = '\0';
    }
    ck_assert_int_eq(getaddrinfo(name, colon + 1, &hints, &info), 0);
    fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(connect(fd, info->ai_addr, info->ai_addrlen), 0);
    freeaddrinfo(info);
    return fd;
}

void
http_client_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; /* the server has seen enough */
        ck_assert_int_gt(n, 0);
        data += n;
        len -= (size_t)n;
    }
}

size_t
http_client_read_all(int fd, char *out, size_t size)
{
    size_t used = 0;

    while (used + 1 < size) {
        const ssize_t n = recv(fd, out + used, size - 1 - used, 0);

        if (n < 0 && errno == ECONNRESET)
            break;
        ck_assert_int_ge(n, 0); /* else: silent for too long */
        if (n == 0)
            break;
        used += (size_t)n;
    }
    out[used] = '\0';
    return used;
}

size_t
http_client_read_response(int fd, char *out, size_t size)
{
    size_t used = 0, want = SIZE_MAX;
    char *end, *length;

    out[0] = '\0';
    while (used < want) {
        const ssize_t n = recv(fd, out + used, 1, 0);

        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        ck_assert_int_eq(n, 1);
        used++;
        ck_assert_uint_lt(used, size);
        out[used] = '\0';
        end = want == SIZE_MAX ? strstr(out, "\r\n\r\n") : NULL;
        if (end != NULL) {
            length = strcasestr(out, "content-length:");
            want = used + (length ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    return used;
}

const char *
http_client_once(const char *addr, const char *request)
{
    static char text[1 << 18];
    const int fd = http_client_connect(addr);

    http_client_send(fd, request, strlen(request));
    (void)http_client_read_all(fd, text, sizeof text);
    (void)close(fd);
    return text;
}
