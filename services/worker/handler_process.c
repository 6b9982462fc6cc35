/* What a turn asks of the process that it runs on (process.h). */
#include "services/worker/chain.h"
#include "services/worker/handler_private.h"

#include "sdk/c/include/plexspaces/kv.h"
#include "sdk/c/include/plexspaces/process.h"

#define NAMES (UINT64_C(1) << 63) /* of ref.id: not a process but a name */

static bool
is_replayed(struct work_handler *h)
{
    return work_ask_only_looks(h, "a message to a process") ||
           (h->durable && h->open.cursor < h->open.log.n_steps);
}

/* A replay would see another answer. */
static bool
refused(struct work_handler *h, const char *what, const char *instead)
{
    char text[256];

    if (work_ask_only_looks(h, what))
        return true;
    if (!h->durable || h->open.in_effect)
        return false;
    (void)snprintf(text, sizeof text,
                   "%s in a turn of a durable actor: what it gives is not "
                   "recorded, so a replay would go another way; use %s, or do "
                   "it inside plex_run() (durable.h)",
                   what, instead);
    h->ctx.ops->log(&h->ctx, 1, text);
    return true;
}

/* Calls of actors that wait for each other are found by their names. */
static bool
names_actor(struct work_handler *h, struct plex_ref to)
{
    char name[PLEX_TYPE_MAX + PLEX_KEY_MAX + 64];

    if ((to.id & NAMES) == 0)
        return false;
    (void)h->process_base->ref_text(&h->ctx, to, name, sizeof name);
    return strchr(name, '/') != NULL && strchr(name, '@') == NULL;
}

static int
process_ask(struct plex_ctx *ctx, struct plex_ref to,
            const struct plex_post *post, uint64_t timeout_ms,
            struct plex_msg *answer)
{
    struct work_handler *h = work_handler_of(ctx);
    struct plex_post marked;
    bool left;
    int rc;

    if (to.node == PLEX_SERVICE_NODE
            ? work_ask_only_looks(h, "plex_ask()")
            : refused(h, "plex_ask()", "plex_call_wait()"))
        return PLEX_E_UNSUPPORTED;
    work_handler_post(h, post, &marked);
    if (post->id == 0 && names_actor(h, to))
        marked.id = WORK_ASK_ID;
    left = work_handler_leave(h);
    rc = h->process_base->ask(ctx, to, &marked, timeout_ms, answer);
    if (left)
        work_handler_back(h);
    return rc;
}

static int
process_receive(struct plex_ctx *ctx, plex_match_fn match, void *arg,
                uint64_t timeout_ms, struct plex_msg *out)
{
    struct work_handler *h = work_handler_of(ctx);

    const bool is_sleep = match == NULL && out == NULL;
    bool left;
    int rc;

    if (!is_sleep && refused(h, "plex_receive()", "plex_wait_signal()"))
        return PLEX_E_UNSUPPORTED;
    if (!is_sleep && h->run->run.yields) {
        h->ctx.ops->log(&h->ctx, 1,
                        "plex_receive() in a turn of a reentrant actor: what "
                        "comes is a turn of its own");
        return PLEX_E_UNSUPPORTED;
    }
    left = work_handler_leave(h);
    rc = h->process_base->receive(ctx, match, arg, timeout_ms, out);
    if (left)
        work_handler_back(h);
    return rc;
}

static int
process_supervisor_within(struct plex_ctx *ctx, struct plex_ref supervisor,
                          const struct plex_supervisor_request *request,
                          uint64_t timeout_ms)
{
    struct work_handler *h = work_handler_of(ctx);

    if (refused(h, "a request to a supervisor", "a process that makes it"))
        return PLEX_E_UNSUPPORTED;
    return h->process_base->supervisor_within(ctx, supervisor, request,
                                              timeout_ms);
}

static int
process_supervisor(struct plex_ctx *ctx, struct plex_ref supervisor,
                   const struct plex_supervisor_request *request)
{
    return process_supervisor_within(ctx, supervisor, request, UINT64_MAX);
}

static int
process_event(struct plex_ctx *ctx, struct plex_ref manager, int verb,
              const char *handler, const char *id, const char *old_id)
{
    struct work_handler *h = work_handler_of(ctx);

    if (refused(h, "a request to an event manager", "a process that makes it"))
        return PLEX_E_UNSUPPORTED;
    return h->process_base->event(ctx, manager, verb, handler, id, old_id);
}

static int
process_event_request(struct plex_ctx *ctx, struct plex_ref manager,
                      const struct plex_event_request *request,
                      struct plex_msg *answer)
{
    struct work_handler *h = work_handler_of(ctx);

    if (refused(h, "a request to an event manager", "a process that makes it"))
        return PLEX_E_UNSUPPORTED;
    return h->process_base->event_request(ctx, manager, request, answer);
}

/* -- what takes effect at once: not again when a run is replayed ----------- */

static int
process_send(struct plex_ctx *ctx, struct plex_ref to,
             const struct plex_post *post)
{
    struct work_handler *h = work_handler_of(ctx);

    if (!is_replayed(h))
        return h->process_base->send(ctx, to, post);
    if (post->release != NULL)
        post->release((void *)(uintptr_t)post->payload, post->len);
    return 0;
}

static void
process_call(struct plex_ctx *ctx, struct plex_ref to,
             const struct plex_post *post, uint64_t timeout_ms)
{
    struct work_handler *h = work_handler_of(ctx);

    if (!is_replayed(h))
        h->process_base->call(ctx, to, post, timeout_ms);
    else if (post->release != NULL)
        post->release((void *)(uintptr_t)post->payload, post->len);
}

static void
process_exit(struct plex_ctx *ctx, struct plex_ref whom, const char *reason)
{
    struct work_handler *h = work_handler_of(ctx);

    if (!is_replayed(h))
        h->process_base->exit(ctx, whom, reason);
}

/* -- what must find the activation ------------------------------------------
 */

static void
process_link(struct plex_ctx *ctx, struct plex_ref other)
{
    struct work_handler *h = work_handler_of(ctx);

    if (work_ask_only_looks(h, "a link"))
        return;
    h->holds = true;
    h->process_base->link(ctx, other);
}

static uint64_t
process_monitor(struct plex_ctx *ctx, struct plex_ref other)
{
    struct work_handler *h = work_handler_of(ctx);

    if (work_ask_only_looks(h, "a monitor"))
        return 0;
    h->holds = true;
    return h->process_base->monitor(ctx, other);
}

static int
process_spawn(struct plex_ctx *ctx, const struct plex_spawn *how,
              struct plex_ref *out)
{
    struct work_handler *h = work_handler_of(ctx);

    if (work_ask_only_looks(h, "plex_spawn()"))
        return PLEX_E_UNSUPPORTED;
    h->holds = h->holds || how->link || how->monitor;
    return h->process_base->spawn(ctx, how, out);
}

/* -- not of an activation ----------------------------------------------------
 */

/* The process is the worker's: what comes to it is turned into turns. */
static int
process_become(struct plex_ctx *ctx, const struct plex_behaviour *next)
{
    (void)ctx;
    (void)next;
    return PLEX_E_UNSUPPORTED;
}

/* Whoever waits is answered when the turn takes effect. */
static struct plex_from
process_reply_later(struct plex_ctx *ctx)
{
    (void)ctx;
    return (struct plex_from){{0, 0}, 0};
}

static int
process_forward(struct plex_ctx *ctx, struct plex_ref to)
{
    (void)ctx;
    (void)to;
    return PLEX_E_UNSUPPORTED;
}

static int
process_then(struct plex_ctx *ctx, uint64_t tag, const void *payload,
             size_t len)
{
    (void)ctx;
    (void)tag;
    (void)payload;
    (void)len;
    return PLEX_E_UNSUPPORTED;
}

static int
process_idle_after(struct plex_ctx *ctx, uint64_t ms, uint64_t tag)
{
    (void)ctx;
    (void)ms;
    (void)tag;
    return PLEX_E_UNSUPPORTED;
}

const struct plex_process_ops *
work_process_ops(struct work_handler *h, const struct plex_process_ops *base)
{
    h->holds = false;
    if (base == NULL)
        return NULL;
    if (h->process_base != base) {
        h->process_base = base;
        h->process = *base;
        h->process.ask = process_ask;
        h->process.receive = process_receive;
        h->process.supervisor = process_supervisor;
        h->process.supervisor_within = process_supervisor_within;
        h->process.event = process_event;
        h->process.event_request = process_event_request;
        h->process.send = process_send;
        h->process.call = process_call;
        h->process.exit = process_exit;
        h->process.link = process_link;
        h->process.monitor = process_monitor;
        h->process.spawn = process_spawn;
        h->process.become = process_become;
        h->process.reply_later = process_reply_later;
        h->process.forward = process_forward;
        h->process.then = process_then;
        h->process.idle_after = process_idle_after;
    }
    return &h->process;
}
