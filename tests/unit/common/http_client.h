#ifndef TESTS_UNIT_COMMON_HTTP_CLIENT_H
#define TESTS_UNIT_COMMON_HTTP_CLIENT_H

#include <stddef.h>

/* A blocking HTTP client that sends exactly the bytes it is given. */

/* Connected, or the test fails. "HOST:PORT" or "[::1]:PORT". */
int http_client_connect(const char *addr);
void http_client_send(int fd, const char *data, size_t len);
/* Read until the connection ends or `size - 1` bytes are there; NUL-terminated.
 * Fails after 10 s of silence. */
size_t http_client_read_all(int fd, char *out, size_t size);
/* Read one response by its Content-Length; the text with headers. */
size_t http_client_read_response(int fd, char *out, size_t size);
/* Connect, send, read to the end, close. The text stays until the next call. */
const char *http_client_once(const char *addr, const char *request);

#endif
