#ifndef SERVICES_GATEWAY_LOCAL_H
#define SERVICES_GATEWAY_LOCAL_H

#include <stdbool.h>

/*
 * Development mode asks for no credentials and so must not be reachable
 * through a browser: a page from elsewhere can send requests to loopback
 * (Origin names the page's site), and a name of its own can be made to point
 * there (Host names it). docs/http.md, "Browsers".
 */

/* Does a Host header ("localhost:8080", "127.0.0.1", "[::1]:80") or an Origin
 * ("http://localhost:3000") name this machine? */
bool gate_is_local(const char *host_or_origin);

#endif
