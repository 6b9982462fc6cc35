#include "services/worker/client.h"

#include "common/mem.h"
#include "common/wire.h"
#include "services/worker/wire.h"
#include "services/worker/wire_rebuild.h"

#include <stdlib.h>
#include <string.h>

/* One call under way. */
struct pending_call {
    work_invoke_fn invoked;
    work_list_fn listed;
    bool inspect;
    void *arg;
};

static struct pending_call *
call_make(void *arg)
{
    struct pending_call *call = plex_calloc(1, sizeof *call);

    call->arg = arg;
    return call;
}

static enum plex_status
status_of(const struct plex_link_result *result)
{
    return result->status != PLEX_OK && result->outcome_unknown
               ? PLEX_UNKNOWN
               : result->status;
}

static void
on_invoked(void *arg, const struct plex_link_result *result)
{
    struct pending_call *call = arg;
    enum plex_status status = status_of(result);
    const char *text = result->text;
    const bool has_reply = status == PLEX_OK || (status == PLEX_NOT_OWNER &&
                                                 result->payload.len > 0);
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    if (has_reply &&
        work_reply_unpack(result->payload, &arena, &reply, &err) != PLEX_OK) {
        status = PLEX_UNKNOWN;
        text = err.text;
    }
    call->invoked(call->arg, status, text,
                  has_reply && status != PLEX_UNKNOWN ? &reply : NULL);
    plex_arena_fini(&arena);
    free(call);
}

/* What could not even be packed is reported as the link reports failures:
 * through done(), never inside the call. A link request of method 0 with an
 * empty peer does that. */
static uint64_t
send(struct plex_link *link, const char *url, uint32_t method,
     const struct plex_context *context, enum plex_status packed,
     const struct plex_buf *buf, plex_link_fn done, struct pending_call *call)
{
    const struct plex_link_request request = {
        .peer = packed == PLEX_OK ? url : "",
        .method = method,
        .context = context,
        .payload = {buf->data, buf->len},
        .done = done,
        .arg = call,
    };

    return plex_link_call(link, &request);
}

uint64_t
work_client_invoke(struct plex_link *link, const char *url,
                   const struct plex_context *context,
                   const struct work_message *message, work_invoke_fn done,
                   void *arg)
{
    struct pending_call *call = call_make(arg);
    struct plex_buf buf = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_err err;
    uint64_t id;

    call->invoked = done;
    id = send(link, url, WORK_METHOD_INVOKE, context,
              work_message_pack(message, &buf, &err), &buf, on_invoked, call);
    plex_buf_free(&buf);
    return id;
}

static void
on_listed(void *arg, const struct plex_link_result *result)
{
    struct pending_call *call = arg;
    struct work_actor *actors = NULL, one;
    enum plex_status status = result->status;
    const char *text = result->text;
    struct plex_arena arena;
    struct plex_err err;
    size_t n = 0;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    if (status == PLEX_OK && call->inspect) {
        status = work_inspect_reply_unpack(result->payload, &arena, &one, &err);
        actors = &one;
        n = 1;
    } else if (status == PLEX_OK) {
        status =
            work_list_reply_unpack(result->payload, &arena, &actors, &n, &err);
    }
    if (status != PLEX_OK) {
        text = result->status == PLEX_OK ? err.text : text;
        actors = NULL;
        n = 0;
    }
    call->listed(call->arg, status, text, actors, n);
    plex_arena_fini(&arena);
    free(call);
}

void
work_client_list(struct plex_link *link, const char *url,
                 const struct plex_context *context, const char *tenant,
                 const char *ns, const char *type, const char *after,
                 uint32_t limit, work_list_fn done, void *arg)
{
    const struct work_list_request request = {tenant, ns, type, after, limit};
    struct pending_call *call = call_make(arg);
    struct plex_buf buf = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_err err;

    call->listed = done;
    (void)send(link, url, WORK_METHOD_LIST, context,
               work_list_request_pack(&request, &buf, &err), &buf, on_listed,
               call);
    plex_buf_free(&buf);
}

void
work_client_inspect(struct plex_link *link, const char *url,
                    const struct plex_context *context,
                    const struct plex_actor_id *actor, work_list_fn done,
                    void *arg)
{
    struct pending_call *call = call_make(arg);
    struct plex_buf buf = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_err err;

    call->listed = done;
    call->inspect = true;
    (void)send(link, url, WORK_METHOD_INSPECT, context,
               work_inspect_request_pack(actor, &buf, &err), &buf, on_listed,
               call);
    plex_buf_free(&buf);
}

/* -- states of the past ---------------------------------------------------- */

struct rebuilding {
    work_rebuilt_fn done;
    void *arg;
};

static void
on_rebuilt(void *arg, const struct plex_link_result *result)
{
    struct rebuilding *rebuilding = arg;
    enum plex_status status = result->status;
    const char *text = result->text;
    struct work_rebuilt rebuilt;
    struct plex_arena arena;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    if (status == PLEX_OK) {
        status = work_rebuilt_unpack(result->payload, &arena, &rebuilt, &err);
        text = status == PLEX_OK ? "" : err.text;
    }
    rebuilding->done(rebuilding->arg, status, text,
                     status == PLEX_OK ? &rebuilt : NULL);
    plex_arena_fini(&arena);
    free(rebuilding);
}

void
work_client_rebuild(struct plex_link *link, const char *url,
                    const struct plex_context *context,
                    const struct work_rebuild *rebuild, work_rebuilt_fn done,
                    void *arg)
{
    struct rebuilding *rebuilding = plex_calloc(1, sizeof *rebuilding);
    struct plex_buf buf = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_err err;
    const bool fits = work_rebuild_pack(rebuild, &buf, &err) == PLEX_OK;
    const struct plex_link_request request = {
        .peer = fits ? url : "",
        .method = WORK_METHOD_REBUILD,
        .context = context,
        .payload = {buf.data, buf.len},
        .done = on_rebuilt,
        .arg = rebuilding,
    };

    rebuilding->done = done;
    rebuilding->arg = arg;
    (void)plex_link_call(link, &request);
    plex_buf_free(&buf);
}
