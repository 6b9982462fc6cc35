#include "services/journal/client.h"

#include "common/mem.h"
#include "services/journal/client_call.h"
#include "services/journal/client_wire.h"
#include "services/journal/methods.h"

#include <stdlib.h>

enum { REPLY_ARENA_MAX = 64 << 20 };

static void call_done(void *arg, const struct plex_link_result *result);

static uint64_t
send_to(struct journal_call *call, struct plex_link *link, const char *url,
        const struct plex_context *context, uint32_t method,
        struct plex_bytes payload)
{
    return plex_link_call(link, &(struct plex_link_request){
                                    .peer = url,
                                    .method = method,
                                    .context = context,
                                    .payload = payload,
                                    .retry = true,
                                    .done = call_done,
                                    .arg = call,
                                });
}

/* -- moving ---------------------------------------------------------------- */

void
journal_calls_init(struct journal_calls *calls)
{
    TAILQ_INIT(&calls->under_way);
}

void
journal_calls_move(struct journal_calls *calls,
                   const char *(*to)(void *arg, const char *url), void *arg)
{
    struct journal_call *call;

    TAILQ_FOREACH(call, &calls->under_way, under_way)
    {
        const char *next = to(arg, call->next != NULL ? call->next : call->url);

        if (next == NULL)
            continue;
        free(call->next);
        call->next = plex_strdup(next);
        plex_link_cancel(call->link, call->id);
    }
}

/* True when it is under way again. */
static bool
moved(struct journal_call *call, enum plex_status status)
{
    struct plex_context context = plex_context_none;

    if (call->next == NULL || status != PLEX_CANCELLED)
        return false;
    free(call->url);
    call->url = call->next;
    call->next = NULL;
    context.deadline = call->deadline;
    call->id =
        send_to(call, call->link, call->url, &context, call->method,
                (struct plex_bytes){call->payload.data, call->payload.len});
    return true;
}

static void
call_keep(struct journal_call *call, const struct journal_client *client,
          const struct plex_context *context, uint32_t method)
{
    call->calls = client->calls;
    call->link = client->link;
    call->deadline = context->deadline;
    call->method = method;
    call->url = plex_strdup(client->url);
    TAILQ_INSERT_TAIL(&call->calls->under_way, call, under_way);
}

static void
call_free(struct journal_call *call)
{
    if (call->calls != NULL) {
        TAILQ_REMOVE(&call->calls->under_way, call, under_way);
        free(call->url);
        free(call->next);
    }
    plex_buf_free(&call->payload);
    free(call);
}

/* -- calls ----------------------------------------------------------------- */

static void
call_done(void *arg, const struct plex_link_result *result)
{
    struct journal_call *call = arg;
    enum plex_status status = result->status;
    const char *text = result->text;
    struct plex_arena arena;

    if (moved(call, status))
        return;
    if (call->err.status != PLEX_OK) {
        status = call->err.status;
        text = call->err.text;
    } else if (status != PLEX_OK && result->outcome_unknown && call->changes) {
        status = PLEX_UNKNOWN;
    }
    plex_arena_init(&arena, REPLY_ARENA_MAX);
    call->finish(call, status, text, result->payload, &arena);
    plex_arena_fini(&arena);
    call_free(call);
}

/* What cannot be sent fails as everything else: later, on the loop. A call to
 * nobody is the link's way of doing that. */
void
journal_call_send(struct journal_client *client,
                  const struct plex_context *context, uint32_t method,
                  struct journal_call *call)
{
    if (call->err.status == PLEX_OK && client->url == NULL)
        (void)plex_err_set(&call->err, PLEX_UNAVAILABLE,
                           "no journal is known to the registry");
    call->id =
        send_to(call, client->link,
                call->err.status == PLEX_OK ? client->url : "", context, method,
                (struct plex_bytes){call->payload.data, call->payload.len});
    if (client->calls != NULL && call->err.status == PLEX_OK)
        call_keep(call, client, context, method);
    else
        plex_buf_free(&call->payload);
}

struct journal_call *
journal_call_make(journal_finish_fn finish, void *arg)
{
    struct journal_call *call = plex_calloc(1, sizeof *call);

    call->finish = finish;
    call->payload.max = JOURNAL_CALL_BYTES_MAX;
    call->arg = arg;
    return call;
}

/* -- append ---------------------------------------------------------------- */

static void
append_finish(struct journal_call *call, enum plex_status status,
              const char *text, struct plex_bytes payload,
              struct plex_arena *arena)
{
    struct journal_result *results = NULL;
    struct plex_err err;

    /* An answer that cannot be read: it was done, or part of it. */
    if (status == PLEX_OK && journal_unpack_append(payload, call->n, arena,
                                                   &results, &err) != PLEX_OK) {
        status = PLEX_UNKNOWN;
        text = err.text;
    }
    if (status == PLEX_OK)
        call->done.append(call->arg, status, text, results, call->n);
    else
        call->done.append(call->arg, status, text, NULL, 0);
}

void
journal_client_append(struct journal_client *client,
                      const struct plex_context *context,
                      const struct journal_entry *entries, size_t n,
                      journal_append_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(append_finish, arg);

    call->n = n;
    call->changes = true;
    call->done.append = done;
    call->err.status =
        journal_pack_append(entries, n, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_APPEND, call);
}

/* -- load ------------------------------------------------------------------ */

static void
load_finish(struct journal_call *call, enum plex_status status,
            const char *text, struct plex_bytes payload,
            struct plex_arena *arena)
{
    struct journal_loaded loaded;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_load(payload, arena, &loaded, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.load(call->arg, status, text,
                    status == PLEX_OK ? &loaded : NULL);
}

void
journal_client_load(struct journal_client *client,
                    const struct plex_context *context,
                    const struct journal_load *load, journal_load_fn done,
                    void *arg)
{
    struct journal_call *call = journal_call_make(load_finish, arg);

    call->done.load = done;
    call->err.status = journal_pack_load(load, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_LOAD, call);
}

/* -- fence ----------------------------------------------------------------- */

static void
fence_finish(struct journal_call *call, enum plex_status status,
             const char *text, struct plex_bytes payload,
             struct plex_arena *arena)
{
    uint64_t newest = 0;
    struct plex_err err;

    if (status == PLEX_FENCED &&
        journal_unpack_fence(payload, arena, &newest, &err) != PLEX_OK)
        newest = 0;
    call->done.fence(call->arg, status, text, newest);
}

void
journal_client_fence(struct journal_client *client,
                     const struct plex_context *context,
                     const struct journal_fence *ranges, size_t n,
                     journal_fence_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(fence_finish, arg);

    call->changes = true;
    call->done.fence = done;
    call->err.status =
        journal_pack_fence(ranges, n, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_FENCE, call);
}

/* -- lookup ---------------------------------------------------------------- */

static void
lookup_finish(struct journal_call *call, enum plex_status status,
              const char *text, struct plex_bytes payload,
              struct plex_arena *arena)
{
    struct journal_lookup found;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_lookup(payload, arena, &found, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.lookup(call->arg, status, text,
                      status == PLEX_OK ? &found : NULL);
}

void
journal_client_lookup(struct journal_client *client,
                      const struct plex_context *context, const char *tenant,
                      struct plex_bytes message_id, journal_lookup_fn done,
                      void *arg)
{
    struct journal_call *call = journal_call_make(lookup_finish, arg);

    call->done.lookup = done;
    call->err.status =
        journal_pack_lookup(tenant, message_id, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_LOOKUP, call);
}

/* -- answers --------------------------------------------------------------- */

static void
answers_finish(struct journal_call *call, enum plex_status status,
               const char *text, struct plex_bytes payload,
               struct plex_arena *arena)
{
    struct journal_result *results = NULL;
    struct plex_err err;

    if (status == PLEX_OK && journal_unpack_append(payload, call->n, arena,
                                                   &results, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.append(call->arg, status, text,
                      status == PLEX_OK ? results : NULL,
                      status == PLEX_OK ? call->n : 0);
}

void
journal_client_answers(struct journal_client *client,
                       const struct plex_context *context,
                       const struct journal_asked *asked, size_t n,
                       journal_append_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(answers_finish, arg);

    call->n = n;
    call->done.append = done;
    call->err.status =
        journal_pack_answers(asked, n, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_ANSWERS, call);
}

/* -- pending --------------------------------------------------------------- */

static void
pending_finish(struct journal_call *call, enum plex_status status,
               const char *text, struct plex_bytes payload,
               struct plex_arena *arena)
{
    struct journal_replied_page page = {0};
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_pending(payload, arena, &page, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
        page = (struct journal_replied_page){0};
    }
    call->done.pending(call->arg, status, text, page.items, page.n, page.next);
}

void
journal_client_pending(struct journal_client *client,
                       const struct plex_context *context, uint32_t first,
                       uint32_t last, struct plex_bytes after, uint32_t limit,
                       journal_pending_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(pending_finish, arg);

    call->done.pending = done;
    call->err.status = journal_pack_pending(first, last, after, limit,
                                            &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_PENDING, call);
}
