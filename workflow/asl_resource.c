/* What a Resource of the Amazon States Language stands for here. */
#include "common/mem.h"
#include "common/name.h"
#include "workflow/asl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The last part of an ARN that is a name: versions and aliases come after
 * "function:NAME". */
static const char *
last_name(const char *resource, size_t *len)
{
    const char *function = strstr(resource, ":function:");
    const char *start;

    if (function != NULL) {
        start = function + strlen(":function:");
        *len = strcspn(start, ":");
        return start;
    }
    start = strrchr(resource, ':');
    start = start != NULL ? start + 1 : resource;
    *len = strlen(start);
    return start;
}

char *
flow_asl_actor_type(const char *resource)
{
    size_t len;
    const char *start = last_name(resource, &len);
    char *type = plex_calloc(1, len + 2);

    for (size_t i = 0; i < len; i++) {
        const char c = start[i];

        type[i] = isalnum((unsigned char)c) || c == '_' || c == '-' ? c : '-';
    }
    if (isupper((unsigned char)type[0]))
        type[0] = (char)tolower(type[0]);
    return type;
}
