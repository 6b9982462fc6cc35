/*
 * One transaction per iteration of the loop: what the core wants stored is
 * stored together, and only then are answers and events let out. A space that
 * keeps nothing answers the same way, without the transaction.
 */
#include "services/tuplespace/shell.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/tuplespace/store_backend.h"

#include <stdlib.h>
#include <string.h>

enum {
    COMMIT_BYTES = 8 << 20, /* more in one iteration is several transactions */
    OUT_MAX = 1 << 30,
    OUT_KEPT = 4 << 20,
};

/* -- requests ----------------------------------------------------------------
 */

struct tspace_request *
tspace_shell_request(struct tspace_shell *shell, struct plex_call *call,
                     enum tspace_reply kind)
{
    struct tspace_request *request = shell->requests;

    if (request == NULL)
        request = plex_calloc(1, sizeof *request);
    else
        shell->requests = request->next;
    *request =
        (struct tspace_request){.shell = shell, .call = call, .kind = kind};
    return request;
}

void
tspace_shell_request_free(struct tspace_request *request)
{
    request->next = request->shell->requests;
    request->shell->requests = request;
}

bool
tspace_request_cancel(struct tspace_request *request)
{
    struct tspace_shell *shell = request->shell;

    if (shell->core == NULL || !tspace_core_cancel(shell->core, request))
        return false;
    tspace_shell_request_free(request);
    tspace_shell_commit_later(shell);
    return true;
}

/* -- what leaves -------------------------------------------------------------
 */

static struct tspace_outgoing *
outgoing_add(struct tspace_shell *shell)
{
    struct tspace_outgoing *outgoing;

    if (shell->n_outgoing == shell->outgoing_cap) {
        shell->outgoing_cap =
            shell->outgoing_cap == 0 ? 256 : shell->outgoing_cap * 2;
        shell->outgoing = plex_reallocarray(
            shell->outgoing, shell->outgoing_cap, sizeof *shell->outgoing);
    }
    outgoing = &shell->outgoing[shell->n_outgoing++];
    *outgoing = (struct tspace_outgoing){.at = shell->out.len};
    return outgoing;
}

/* NUL-terminated; cut when there is no room, which is no more than a text. */
static size_t
out_text(struct tspace_shell *shell, const void *text, size_t len)
{
    const size_t at = shell->out.len;
    uint8_t *to = plex_buf_grow(&shell->out, len + 1);

    if (to == NULL)
        return at;
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
    return at;
}

static void
fail_outgoing(struct tspace_shell *shell, struct tspace_outgoing *outgoing,
              enum plex_status status, const char *text)
{
    const size_t len = strlen(text);

    outgoing->status = status;
    outgoing->at = out_text(shell, text, len);
    outgoing->len = shell->out.len > outgoing->at ? len : 0;
}

static void
add_reply(struct tspace_shell *shell, const struct tspace_action *action)
{
    struct tspace_outgoing *outgoing = outgoing_add(shell);
    struct tspace_request *request = action->call;
    const size_t at = shell->out.len;
    struct plex_err err;

    outgoing->request = request;
    if (request->call != NULL)
        plex_call_on_abandon(request->call, NULL, NULL);
    if (action->status != PLEX_OK) {
        fail_outgoing(shell, outgoing, action->status, action->text);
        return;
    }
    if (request->about == TSPACE_ABOUT_SUBSCRIBED)
        request->subscription = action->answer->number;
    if (request->call == NULL && request->done == NULL)
        return;
    plex_arena_reset(&shell->wire.arena);
    shell->out.max =
        at + TSPACE_REPLY_MAX < OUT_MAX ? at + TSPACE_REPLY_MAX : OUT_MAX;
    if (tspace_wire_answer(request->kind, action->answer, &shell->wire.arena,
                           &shell->out, &err) == PLEX_OK) {
        outgoing->len = shell->out.len - at;
        return;
    }
    shell->out.max = OUT_MAX;
    shell->out.len = at;
    fail_outgoing(shell, outgoing, err.status, err.text);
}

static void
add_event(struct tspace_shell *shell, const struct tspace_action *action)
{
    const struct tspace_notice *notice = action->notice;
    struct tspace_outgoing *outgoing;
    struct plex_err err;
    size_t at;

    at = shell->out.len;
    plex_arena_reset(&shell->wire.arena);
    if (tspace_wire_event(notice, &shell->wire.arena, &shell->out, &err) !=
        PLEX_OK) {
        plex_log(PLEX_LOG_WARN, "event_dropped", "%s", err.text);
        shell->out.len = at;
        return;
    }
    outgoing = outgoing_add(shell);
    outgoing->at = at;
    outgoing->len = shell->out.len - at;
    outgoing->subscription = notice->subscription;
    outgoing->number = notice->number;
    outgoing->previous = notice->previous;
    outgoing->guaranteed = notice->guaranteed;
    outgoing->where = tspace_store_place(shell->store, &action->where)->where;
    outgoing->target_len = notice->target.len;
    outgoing->target_at =
        out_text(shell, notice->target.data, notice->target.len);
}

/* What is known of the subscription now that its request was carried out. */
static void
note_subscription(struct tspace_shell *shell,
                  const struct tspace_request *request)
{
    const struct plex_context *context;
    struct tspace_where where;

    switch (request->about) {
    case TSPACE_ABOUT_SUBSCRIBED:
        if (request->pushed)
            break;
        context = plex_call_context(request->call);
        where = (struct tspace_where){context->tenant, context->ns, ""};
        tspace_events_subscribed(shell, request->subscription, &where,
                                 request->guaranteed);
        break;
    case TSPACE_ABOUT_UNSUBSCRIBED:
        tspace_events_unsubscribed(shell, request->subscription);
        break;
    case TSPACE_ABOUT_ACKNOWLEDGED:
        tspace_events_acknowledged(shell, request->subscription,
                                   request->up_to);
        break;
    case TSPACE_ABOUT_NOTHING:
    case TSPACE_ABOUT_POLL:
    case TSPACE_ABOUT_TARGET:
        break;
    }
}

static void
send_reply(struct tspace_shell *shell, const struct tspace_outgoing *o)
{
    struct tspace_request *request = o->request;
    const struct plex_bytes bytes = {shell->out.data + o->at, o->len};
    const char *text =
        o->status == PLEX_OK || o->len == 0 ? "" : (const char *)bytes.data;

    if (request->about == TSPACE_ABOUT_POLL) {
        tspace_events_known(request, o->status, text);
        return;
    }
    if (request->about == TSPACE_ABOUT_TARGET && o->status == PLEX_NOT_FOUND)
        tspace_target_ended(shell, request->subscription);
    if (o->status == PLEX_OK)
        note_subscription(shell, request);
    if (request->done != NULL)
        request->done(request->arg, o->status, text,
                      o->status == PLEX_OK ? bytes : (struct plex_bytes){0});
    else if (request->call != NULL && o->status == PLEX_OK)
        plex_call_reply(request->call, bytes);
    else if (request->call != NULL)
        plex_call_fail(request->call, o->status, text, (struct plex_bytes){0});
    tspace_shell_request_free(request);
}

static void
outgoing_send(struct tspace_shell *shell)
{
    for (size_t i = 0; i < shell->n_outgoing; i++) {
        if (shell->outgoing[i].request != NULL)
            send_reply(shell, &shell->outgoing[i]);
        else
            tspace_events_deliver(shell, &shell->outgoing[i]);
    }
    shell->n_outgoing = 0;
    shell->out.len = 0;
    shell->out.max = OUT_MAX;
    if (shell->out.cap > OUT_KEPT)
        plex_buf_free(&shell->out);
}

/* Nothing of it, or nobody knows what, was stored. */
static void
outgoing_fail(struct tspace_shell *shell, const struct plex_err *err)
{
    const enum plex_status status = err->status == PLEX_UNKNOWN ? PLEX_UNKNOWN
                                    : err->status == PLEX_FENCED
                                        ? PLEX_NOT_OWNER
                                        : PLEX_UNAVAILABLE;

    for (size_t i = 0; i < shell->n_outgoing; i++) {
        struct tspace_request *request = shell->outgoing[i].request;

        if (request == NULL)
            continue;
        if (request->about == TSPACE_ABOUT_POLL) {
            tspace_events_known(request, status, err->text);
            continue;
        }
        if (request->done != NULL)
            request->done(request->arg, status, err->text,
                          (struct plex_bytes){0});
        else if (request->call != NULL)
            plex_call_fail(request->call, status, err->text,
                           (struct plex_bytes){0});
        tspace_shell_request_free(request);
    }
    shell->n_outgoing = 0;
    shell->out.len = 0;
    shell->out.max = OUT_MAX;
}

/* -- the commit --------------------------------------------------------------
 */

/* Send what is to be stored; when that is nothing and there are answers, what
 * they stand on is asked for. */
static enum plex_status
store_send(struct tspace_shell *shell, struct plex_err *err)
{
    const bool changes = tspace_store_waiting(shell->store) > 0;

    if (!changes && shell->n_outgoing == 0)
        return PLEX_OK;
    shell->sent = plex_now();
    shell->stores = changes;
    return tspace_store_send(shell->store, err);
}

static enum plex_status
store_finish(struct tspace_shell *shell, struct plex_err *err)
{
    enum plex_status status;

    if (shell->sent == 0)
        return PLEX_OK;
    status = tspace_store_finish(shell->store, err);
    if (shell->stores) {
        shell->counters->commits->value++;
        plex_histogram_record(shell->counters->commit_time,
                              (plex_now() - shell->sent) / 1000);
    }
    shell->sent = 0;
    return status;
}

static enum plex_status
store_commit(struct tspace_shell *shell, struct plex_err *err)
{
    return store_send(shell, err) == PLEX_OK ? store_finish(shell, err)
                                             : err->status;
}

static enum plex_status
action_apply(struct tspace_shell *shell, const struct tspace_action *action,
             struct plex_err *err)
{
    enum plex_status status;

    switch (action->kind) {
    case TSPACE_PUT:
    case TSPACE_REMOVE:
        return tspace_store_apply(shell->store, action, err);
    case TSPACE_NOTIFY:
        shell->counters->events->value++;
        add_event(shell, action);
        return PLEX_OK;
    case TSPACE_REPLY:
        break;
    }
    add_reply(shell, action);
    /* Everything that this answer stands on has been seen. */
    if (tspace_store_waiting(shell->store) < COMMIT_BYTES &&
        shell->out.len < COMMIT_BYTES)
        return PLEX_OK;
    status = store_commit(shell, err);
    if (status == PLEX_OK)
        outgoing_send(shell);
    return status;
}

static enum plex_status
actions_apply(struct tspace_shell *shell, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    struct tspace_action action;

    while (status == PLEX_OK && tspace_core_next(shell->core, &action))
        status = action_apply(shell, &action, err);
    return status == PLEX_OK ? store_send(shell, err) : status;
}

/* The core's last words: answers only. */
static void
abandon(struct tspace_shell *shell, struct plex_err *err)
{
    struct tspace_action action;

    shell->sent = 0;
    tspace_store_rollback(shell->store);
    tspace_core_fail_waiters(shell->core, err->text);
    while (tspace_core_next(shell->core, &action))
        if (action.kind == TSPACE_REPLY)
            add_reply(shell, &action);
    outgoing_fail(shell, err);
    tspace_shell_lost(shell, err);
}

static void
send(struct tspace_shell *shell)
{
    struct plex_err err = {0};

    if (actions_apply(shell, &err) != PLEX_OK)
        abandon(shell, &err);
}

static void
finish(struct tspace_shell *shell)
{
    struct plex_err err = {0};

    if (shell->core != NULL) {
        if (store_finish(shell, &err) == PLEX_OK)
            outgoing_send(shell);
        else
            abandon(shell, &err);
    }
    tspace_shell_arm(shell);
}

void
tspace_shell_commit(struct tspace_shell *shell)
{
    if (shell->core == NULL)
        return;
    send(shell);
    finish(shell);
}

/* All shards' stores work at the same time. */
static void
commit_run(struct plex_task *task)
{
    struct tspace_server *server =
        plex_container_of(task, struct tspace_server, commit);
    bool sent[TSPACE_PARTS + 1] = {false};

    server->committing = false;
    for (uint32_t i = 0; i < server->n_shells; i++) {
        struct tspace_shell *shell = &server->shells[i];

        sent[i] = shell->committing && shell->core != NULL;
        shell->committing = false;
        if (sent[i])
            send(shell);
    }
    for (uint32_t i = 0; i < server->n_shells; i++)
        if (sent[i])
            finish(&server->shells[i]);
}

void
tspace_shell_commit_later(struct tspace_shell *shell)
{
    struct tspace_server *server = shell->server;

    shell->committing = true;
    if (server->committing)
        return;
    server->committing = true;
    server->commit.run = commit_run;
    plex_loop_defer(shell->host->loop, &server->commit);
}

void
tspace_shell_commit_init(struct tspace_shell *shell)
{
    shell->out.max = OUT_MAX;
}

void
tspace_shell_commit_fini(struct tspace_shell *shell)
{
    struct tspace_request *request;

    while ((request = shell->requests) != NULL) {
        shell->requests = request->next;
        free(request);
    }
    free(shell->outgoing);
    plex_buf_free(&shell->out);
}
