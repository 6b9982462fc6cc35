/* Addresses and percent-encoding. */
#include "common/http_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HTTP_BACKLOG = 1024, HTTP_HOST_MAX = 64 };

/* "127.0.0.1:80" and "[::1]:80" into host and port. */
static enum plex_status
split_addr(const char *addr, char host[HTTP_HOST_MAX], const char **port,
           struct plex_err *err)
{
    const char *begin = addr, *end, *colon = strrchr(addr, ':');
    size_t len;

    if (colon == NULL)
        goto bad;
    end = colon;
    if (addr[0] == '[') {
        if (colon[-1] != ']')
            goto bad;
        begin++;
        end--;
    }
    len = (size_t)(end - begin);
    if (len == 0 || len >= HTTP_HOST_MAX ||
        (addr[0] != '[' && memchr(begin, ':', len) != NULL) ||
        colon[1] == '\0' || strspn(colon + 1, "0123456789") > 5 ||
        colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        goto bad;
    memcpy(host, begin, len);
    host[len] = '\0';
    *port = colon + 1;
    return PLEX_OK;
bad:
    return plex_err_set(err, PLEX_INVALID,
                        "address \"%.80s\" is not HOST:PORT or [IPV6]:PORT",
                        addr);
}

static enum plex_status
bind_socket(const struct addrinfo *info, const char *addr, int *out,
            struct plex_err *err)
{
    const int one = 1;
    int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not make a socket for %s: %s", addr,
                            strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (info->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(fd, HTTP_BACKLOG) != 0) {
        const int cause = errno;

        (void)close(fd);
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not listen on %s: %s",
                            addr, strerror(cause));
    }
    *out = fd;
    return PLEX_OK;
}

static void
real_addr(int fd, const char *host, char *real, size_t size)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;
    unsigned port = 0;

    if (getsockname(fd, (struct sockaddr *)&name, &len) == 0)
        port = name.ss_family == AF_INET6
                   ? ntohs(((struct sockaddr_in6 *)(void *)&name)->sin6_port)
                   : ntohs(((struct sockaddr_in *)(void *)&name)->sin_port);
    (void)snprintf(real, size, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                   host, port);
}

enum plex_status
http_listen(const char *addr, int *fd, char *real, size_t real_size,
            struct plex_err *err)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    char host[HTTP_HOST_MAX];
    struct addrinfo *info;
    enum plex_status status;
    const char *port = NULL;
    int rv;

    if (split_addr(addr, host, &port, err) != PLEX_OK)
        return err->status;
    rv = getaddrinfo(host, port, &hints, &info);
    if (rv != 0)
        return plex_err_set(err, PLEX_INVALID, "address \"%.80s\": %s", addr,
                            gai_strerror(rv));
    status = bind_socket(info, addr, fd, err);
    if (status == PLEX_OK)
        real_addr(*fd, host, real, real_size);
    freeaddrinfo(info);
    return status;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum plex_status
plex_http_unescape(const char *text, size_t len, bool plus_is_space, char *out,
                   struct plex_err *err)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            const int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            const int low = high >= 0 ? hex_value(text[i + 2]) : -1;

            if (low < 0)
                return plex_err_set(err, PLEX_INVALID,
                                    "bad percent-encoding at byte %zu; two "
                                    "hexadecimal digits must follow '%%'",
                                    i + 1);
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return plex_err_set(err, PLEX_INVALID,
                                "NUL at byte %zu is not allowed", i + 1);
        *out++ = c;
    }
    *out = '\0';
    return PLEX_OK;
}
