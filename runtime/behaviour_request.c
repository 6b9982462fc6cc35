#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/behaviour.h"

/* The caller of a supervisor may be killed while it waits, so its request is
 * copied: this, then the texts and arguments it points to. */
struct packed {
    struct plex_supervisor_request request; /* pointers as offsets, 0: NULL */
    struct plex_child child;
    bool has_child;
};

struct packer {
    char *bytes; /* NULL: only count */
    size_t len;
};

static const void *
put(struct packer *to, const void *bytes, size_t len)
{
    size_t at = to->len;

    if (bytes == NULL)
        return NULL;
    if (to->bytes != NULL)
        memcpy(to->bytes + at, bytes, len);
    to->len += len;
    return (const void *)(uintptr_t)at;
}

static const char *
put_text(struct packer *to, const char *text)
{
    return put(to, text, text == NULL ? 0 : strlen(text) + 1);
}

static void
pack(struct packer *to, const struct plex_supervisor_request *request)
{
    struct packed head = {.request = *request};

    to->len = sizeof head;
    head.request.id = put_text(to, request->id);
    head.request.out = NULL;
    if (request->child != NULL) {
        head.has_child = true;
        head.child = *request->child;
        head.child.id = put_text(to, head.child.id);
        head.child.name = put_text(to, head.child.name);
        head.child.node = put_text(to, head.child.node);
        head.child.args =
            put(to, head.child.args_len == 0 ? NULL : head.child.args,
                head.child.args_len);
    }
    if (to->bytes != NULL)
        memcpy(to->bytes, &head, sizeof head);
}

void *
rt_sup_pack(const struct plex_supervisor_request *request, size_t *len)
{
    struct packer to = {0};

    pack(&to, request);
    to.bytes = plex_calloc(1, to.len);
    pack(&to, request);
    *len = to.len;
    return to.bytes;
}

static const void *
at(const void *bytes, const void *offset)
{
    return offset == NULL ? NULL : (const char *)bytes + (uintptr_t)offset;
}

bool
rt_sup_unpack(const void *bytes, size_t len,
              struct plex_supervisor_request *request, struct plex_child *child)
{
    struct packed head;

    if (bytes == NULL || len < sizeof head)
        return false;
    memcpy(&head, bytes, sizeof head);
    *request = head.request;
    request->id = at(bytes, head.request.id);
    request->child = NULL;
    if (!head.has_child)
        return true;
    *child = head.child;
    child->id = at(bytes, head.child.id);
    child->name = at(bytes, head.child.name);
    child->node = at(bytes, head.child.node);
    child->args = at(bytes, head.child.args);
    request->child = child;
    return true;
}

static int
take(const struct plex_supervisor_request *request,
     const struct rt_sup_answer *answer, size_t len)
{
    size_t rows = (len - sizeof *answer) / sizeof *answer->infos;

    if (answer->status < 0 || request->out == NULL || request->out_max == 0)
        return answer->status;
    switch (request->verb) {
    case PLEX_SUP_WHICH:
        if (rows > request->out_max)
            rows = request->out_max;
        memcpy(request->out, answer->infos, rows * sizeof *answer->infos);
        break;
    case PLEX_SUP_COUNT:
        memcpy(request->out, &answer->counts, sizeof answer->counts);
        break;
    case PLEX_SUP_START:
    case PLEX_SUP_RESTART:
        memcpy(request->out, &answer->ref, sizeof answer->ref);
        break;
    default:
        break;
    }
    return answer->status;
}

int
rt_supervisor_request(struct plex_ctx *ctx, struct plex_ref supervisor,
                      const struct plex_supervisor_request *request)
{
    struct plex_supervisor_request asked = *request;
    struct plex_msg answer;
    size_t len;
    void *bytes;
    int status;

    if (asked.out_max > RT_SUP_ROWS_MAX)
        asked.out_max = RT_SUP_ROWS_MAX;
    if (asked.out == NULL)
        asked.out_max = 0;
    bytes = rt_sup_pack(&asked, &len);
    rt_turn_of(ctx)->scratch = bytes; /* freed also when we are killed */
    status = rt_ask_engine(ctx, supervisor, request->verb, bytes, len,
                           UINT64_MAX, &answer);
    rt_turn_of(ctx)->scratch = NULL;
    free(bytes);
    if (status != 0)
        return status;
    if (answer.len < sizeof(struct rt_sup_answer))
        return -PLEX_INTERNAL;
    return take(request, answer.payload, answer.len);
}
