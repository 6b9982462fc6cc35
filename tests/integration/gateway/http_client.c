#include "tests/integration/gateway/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static void
die(const char *what)
{
    perror(what);
    abort();
}

static int
dial(const char *addr)
{
    const struct timeval patience = {.tv_sec = 10};
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(addr, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) !=
            0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    return fd;
}

static void
send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* an early answer closes the connection: read it */
        data += n;
        len -= (size_t)n;
    }
}

void
http_do(const char *addr, const char *method, const char *target,
        const char *headers, const char *body, struct http_answer *out)
{
    static char text[2 << 20];
    const size_t len = body == NULL ? 0 : strlen(body);
    const int fd = dial(addr);
    size_t got = 0;
    char *end;
    int n;

    n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n",
                 method, target);
    n += snprintf(text + n, sizeof text - (size_t)n, "Connection: close\r\n%s",
                  headers);
    if (body != NULL)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "Content-Length: %zu\r\n", len);
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    send_all(fd, text, (size_t)n);
    if (body != NULL)
        send_all(fd, body, len);
    for (ssize_t r; got < sizeof text - 1; got += (size_t)r) {
        r = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (r <= 0)
            break;
    }
    (void)close(fd);
    text[got] = '\0';
    end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        die("no answer");
    *end = '\0';
    (void)snprintf(out->head, sizeof out->head, "%.8000s\r\n", text);
    (void)snprintf(out->body, sizeof out->body, "%.1000000s", end + 4);
    out->status = atoi(text + 9);
}

const char *
http_header(const struct http_answer *answer, const char *name)
{
    static char value[2048];
    const size_t len = strlen(name);

    for (const char *at = answer->head; (at = strstr(at, "\r\n")) != NULL;) {
        at += 2;
        if (strncasecmp(at, name, len) != 0 || at[len] != ':')
            continue;
        (void)snprintf(value, sizeof value, "%.*s",
                       (int)strcspn(at + len + 2, "\r"), at + len + 2);
        return value;
    }
    return NULL;
}
