#include "services/gateway/local.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

bool
gate_is_local(const char *host_or_origin)
{
    const char *at = strstr(host_or_origin, "://");
    char name[64];
    size_t len;
    struct in_addr ip4;

    at = at == NULL ? host_or_origin : at + 3;
    if (*at == '[')
        return strncmp(at, "[::1]", 5) == 0 && (at[5] == ':' || at[5] == '\0');
    len = strcspn(at, ":");
    if (len == 0 || len >= sizeof name)
        return false;
    memcpy(name, at, len);
    name[len] = '\0';
    if (inet_pton(AF_INET, name, &ip4) == 1)
        return ntohl(ip4.s_addr) >> 24 == 127;
    return strcasecmp(name, "localhost") == 0;
}
