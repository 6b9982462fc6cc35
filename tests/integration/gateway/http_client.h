#ifndef TESTS_INTEGRATION_GATEWAY_HTTP_CLIENT_H
#define TESTS_INTEGRATION_GATEWAY_HTTP_CLIENT_H

/* The smallest HTTP client that is enough: one request, one connection. */
struct http_answer {
    int status;
    char head[8192]; /* status line and headers */
    char body[1 << 20];
};

/* `headers` is "" or lines that end in "\r\n"; `body` NULL for none. Fails the
 * process when there is no answer within ten seconds. */
void http_do(const char *addr, const char *method, const char *target,
             const char *headers, const char *body, struct http_answer *out);
/* The value of a response header, NULL when absent; valid until the next
 * call. */
const char *http_header(const struct http_answer *answer, const char *name);

#endif
