/* Requests and answers of HTTP for processes, as they come from other nodes:
 * what is read must travel on as the same bytes. */
#include "runtime/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_post post = {0};
    const struct rt_http *http;
    const char *name, *value;
    struct plex_msg view;
    const void *bytes;
    size_t len, seen = 0;

    if (!rt_http_read(data, size, &post))
        return 0;
    http = rt_http_behind(post.payload, post.len);
    rt_http_view(http, &view);
    seen = strlen(view.method) + strlen(view.path) + strlen(view.subpath) +
           strlen(view.query) + strlen(view.content_type);
    for (size_t i = 0; rt_http_header_at(http, i, &name, &value); i++)
        if (rt_http_header(http, name) == NULL ||
            (seen += strlen(value)) > size)
            abort();
    bytes = rt_http_bytes(http, &len);
    if (len != size || memcmp(bytes, data, size) != 0)
        abort();
    post.release((void *)(uintptr_t)post.payload, post.len);
    return 0;
}
