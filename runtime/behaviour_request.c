#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/core.h"
#include "runtime/supervisor_code.h"

void
rt_engine_refuse(struct plex_ctx *ctx, int status, const char *reason)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = turn->fiber->exec;

    rt_answer_status(exec, &turn->from, rt_ref(exec->rt, turn->proc), status,
                     reason);
    turn->from.call = 0;
    rt_msg_free(exec, turn->reply);
    turn->reply = NULL;
}

/* The caller of a supervisor may be killed while it waits, so its request is
 * copied: this, then the texts and arguments it points to. */
struct packed {
    struct plex_supervisor_request request; /* pointers as offsets, 0: NULL */
    struct plex_child child;
    struct plex_plan plan;
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
    if (request->verb == PLEX_SUP_PLAN && request->out != NULL)
        head.plan = *(const struct plex_plan *)request->out;
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
rt_sup_unpack(const void *bytes, size_t len, struct rt_sup_read *out)
{
    struct packed head;
    struct plex_child *child = &out->child;

    if (bytes == NULL || len < sizeof head)
        return false;
    memcpy(&head, bytes, sizeof head);
    out->request = head.request;
    out->request.id = at(bytes, head.request.id);
    out->request.child = NULL;
    out->plan = head.plan;
    out->request.out = &out->plan;
    if (!head.has_child)
        return true;
    *child = head.child;
    child->id = at(bytes, head.child.id);
    child->name = at(bytes, head.child.name);
    child->node = at(bytes, head.child.node);
    child->args = at(bytes, head.child.args);
    out->request.child = child;
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
    case PLEX_SUP_PLAN:
        memcpy(request->out, &answer->plan, sizeof answer->plan);
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

/* As ask_near(), of one on another node: behaviours go by their names. */
static int
ask_far(struct plex_ctx *ctx, struct plex_ref supervisor,
        const struct plex_supervisor_request *asked, uint64_t timeout_ms)
{
    struct rt *rt = rt_of(ctx);
    const struct plex_behaviour *behaviour =
        asked->child == NULL ? NULL : asked->child->behaviour;
    struct rt_sup_answer *read;
    struct plex_msg answer;
    char name[RT_BEHAVIOUR_TEXT] = "";
    size_t len, rows;
    void *bytes;
    int status;

    if (behaviour != NULL)
        rt_behaviour_text(rt, behaviour, false, name, sizeof name);
    bytes = rt_sup_request_write(asked, name, &len);
    rt_turn_of(ctx)->scratch = bytes;
    status = rt_ask_engine(ctx, supervisor, asked->verb, bytes, len, timeout_ms,
                           &answer);
    rt_turn_of(ctx)->scratch = NULL;
    free(bytes);
    if (status != 0)
        return status;
    read = rt_sup_answer_read(answer.payload, answer.len, &rows);
    if (read == NULL)
        return -PLEX_INTERNAL;
    status = take(asked, read, sizeof *read + rows * sizeof *read->infos);
    free(read);
    return status;
}

static int
ask_near(struct plex_ctx *ctx, struct plex_ref supervisor,
         const struct plex_supervisor_request *asked, uint64_t timeout_ms)
{
    struct plex_msg answer;
    size_t len;
    void *bytes = rt_sup_pack(asked, &len);
    int status;

    rt_turn_of(ctx)->scratch = bytes; /* freed also when we are killed */
    status = rt_ask_engine(ctx, supervisor, asked->verb, bytes, len, timeout_ms,
                           &answer);
    rt_turn_of(ctx)->scratch = NULL;
    free(bytes);
    if (status != 0)
        return status;
    if (answer.len < sizeof(struct rt_sup_answer))
        return -PLEX_INTERNAL;
    return take(asked, answer.payload, answer.len);
}

int
rt_supervisor_within(struct plex_ctx *ctx, struct plex_ref supervisor,
                     const struct plex_supervisor_request *request,
                     uint64_t timeout_ms)
{
    struct plex_supervisor_request asked = *request;

    if (asked.out_max > RT_SUP_ROWS_MAX)
        asked.out_max = RT_SUP_ROWS_MAX;
    if (asked.out == NULL)
        asked.out_max = 0;
    if (supervisor.id == 0 || rt_is_local(rt_of(ctx), supervisor))
        return ask_near(ctx, supervisor, &asked, timeout_ms);
    return ask_far(ctx, supervisor, &asked, timeout_ms);
}

int
rt_supervisor_request(struct plex_ctx *ctx, struct plex_ref supervisor,
                      const struct plex_supervisor_request *request)
{
    return rt_supervisor_within(ctx, supervisor, request, UINT64_MAX);
}
