/* The methods: decoded, given to the core, answered at the end of the
 * iteration. */
#include "services/tuplespace/shell.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { NAMES_MAX = 1000 };

/* Numbers of tuplespace.v1 TupleSpaceMethod. */
enum {
    METHOD_WRITE = 801,
    METHOD_READ,
    METHOD_TAKE,
    METHOD_COUNT,
    METHOD_EXISTS,
    METHOD_COMPARE_AND_SWAP,
    METHOD_UPDATE,
    METHOD_CLEAR,
    METHOD_COLLECT,
    METHOD_RENEW_LEASE,
    METHOD_CANCEL_LEASE,
    METHOD_BEGIN_TRANSACTION,
    METHOD_PREPARE_TRANSACTION,
    METHOD_COMMIT_TRANSACTION,
    METHOD_ABORT_TRANSACTION,
    METHOD_CONFIRM_CLAIM,
    METHOD_RELEASE_CLAIM,
    METHOD_RENEW_CLAIM,
    METHOD_SUBSCRIBE,
    METHOD_UNSUBSCRIBE,
    METHOD_ACKNOWLEDGE_EVENTS,
    METHOD_POLL_EVENTS,
    METHOD_CREATE_SPACE,
    METHOD_GET_SPACE,
    METHOD_LIST_SPACES,
    METHOD_GET_STATS,
};

/* Everything is decoded: from here on the core answers. */
static void
op_ready(struct tspace_shell *shell, struct plex_call *call,
         const struct tspace_where *where, enum tspace_reply kind,
         struct tspace_op *op)
{
    const struct plex_bytes payload = plex_call_payload(call);

    op->where.tenant = where->tenant;
    op->where.ns = where->ns;
    op->call = tspace_shell_request(shell, call, kind);
    if (op->request_id.len > 0)
        op->fingerprint = XXH3_64bits(payload.data, payload.len);
    tspace_shell_commit_later(shell);
}

static void
on_write(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_write write;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_write(plex_call_payload(call), &shell->wire, &write,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_WRITE, &write.op);
    tspace_core_write(shell->core, tspace_shell_now(), &write);
}

/* A caller that waits has gone. Either the core forgets its wait, or the
 * answer is on its way. */
static void
on_gone(void *arg, struct plex_call *call)
{
    struct tspace_request *request = arg;
    struct tspace_shell *shell = request->shell;
    uint64_t waiters;

    if (shell->core == NULL)
        return;
    waiters = tspace_core_stats(shell->core).waiters;
    tspace_core_cancel(shell->core, request);
    if (tspace_core_stats(shell->core).waiters == waiters)
        return;
    plex_call_fail(call, PLEX_CANCELLED, "the caller gave up",
                   (struct plex_bytes){0});
    tspace_shell_request_free(request);
    tspace_shell_commit_later(shell);
}

static void
read_or_take(void *arg, struct plex_call *call, bool take)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_read read;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_read(plex_call_payload(call), take, &shell->wire, &read,
                         &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_READ, &read.op);
    if (read.order == TSPACE_RANDOM)
        plex_random(&read.random, sizeof read.random);
    if (read.timeout_ms > 0)
        plex_call_on_abandon(call, on_gone, read.op.call);
    tspace_core_read(shell->core, tspace_shell_now(), &read);
    tspace_template_unref(read.template);
}

static void
on_read(void *arg, struct plex_call *call)
{
    read_or_take(arg, call, false);
}

static void
on_take(void *arg, struct plex_call *call)
{
    read_or_take(arg, call, true);
}

static void
on_count(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_count count;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_count(plex_call_payload(call), &shell->wire, &count,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_COUNT, &count.op);
    tspace_core_count(shell->core, tspace_shell_now(), &count);
    tspace_template_unref(count.template);
}

static void
on_exists(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_count count;
    struct tspace_read read = {.max_results = 1};
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_count(plex_call_payload(call), &shell->wire, &count,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    read.op = count.op;
    read.template = count.template;
    op_ready(shell, call, &where, TSPACE_REPLY_EXISTS, &read.op);
    tspace_core_read(shell->core, tspace_shell_now(), &read);
    tspace_template_unref(read.template);
}

static void
swap(void *arg, struct plex_call *call, bool update)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_swap request;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_swap(plex_call_payload(call), update, &shell->wire,
                         &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_SWAP, &request.op);
    tspace_core_swap(shell->core, tspace_shell_now(), &request);
    tspace_template_unref(request.template);
}

static void
on_compare_and_swap(void *arg, struct plex_call *call)
{
    swap(arg, call, false);
}

static void
on_update(void *arg, struct plex_call *call)
{
    swap(arg, call, true);
}

static void
collect(void *arg, struct plex_call *call, bool clear)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_collect request;
    struct plex_err err = {0};
    enum plex_status status;

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    status = (clear ? tspace_wire_clear : tspace_wire_collect)(
        plex_call_payload(call), &shell->wire, &request, &err);
    if (status != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_COUNT, &request.op);
    tspace_core_collect(shell->core, tspace_shell_now(), &request);
    tspace_template_unref(request.template);
}

static void
on_clear(void *arg, struct plex_call *call)
{
    collect(arg, call, true);
}

static void
on_collect(void *arg, struct plex_call *call)
{
    collect(arg, call, false);
}

static void
lease(void *arg, struct plex_call *call, bool cancel)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_lease request;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_lease(plex_call_payload(call), cancel, &shell->wire,
                          &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_LEASE, &request.op);
    tspace_core_lease(shell->core, tspace_shell_now(), &request);
}

static void
on_renew_lease(void *arg, struct plex_call *call)
{
    lease(arg, call, false);
}

static void
on_cancel_lease(void *arg, struct plex_call *call)
{
    lease(arg, call, true);
}

/* -- transactions and claims -------------------------------------------------
 */

static void
on_begin(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_begin begin;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_begin(plex_call_payload(call), &shell->wire, &begin,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_BEGIN, &begin.op);
    tspace_core_begin(shell->core, tspace_shell_now(), &begin);
}

static void
end(void *arg, struct plex_call *call, enum tspace_end how)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_op op;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_end(plex_call_payload(call), &shell->wire, &op, &err) !=
        PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_EMPTY, &op);
    tspace_core_end(shell->core, tspace_shell_now(), &op, how);
}

static void
on_prepare(void *arg, struct plex_call *call)
{
    end(arg, call, TSPACE_PREPARE);
}

static void
on_commit(void *arg, struct plex_call *call)
{
    end(arg, call, TSPACE_COMMIT);
}

static void
on_abort(void *arg, struct plex_call *call)
{
    end(arg, call, TSPACE_ABORT);
}

static void
claim(void *arg, struct plex_call *call, enum tspace_claim_verb verb)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_claim request;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_claim(plex_call_payload(call), verb, &shell->wire, &request,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_COUNT, &request.op);
    tspace_core_claim(shell->core, tspace_shell_now(), &request);
}

static void
on_confirm(void *arg, struct plex_call *call)
{
    claim(arg, call, TSPACE_CONFIRM);
}

static void
on_release(void *arg, struct plex_call *call)
{
    claim(arg, call, TSPACE_RELEASE);
}

static void
on_renew_claim(void *arg, struct plex_call *call)
{
    claim(arg, call, TSPACE_RENEW);
}

/* -- subscriptions -----------------------------------------------------------
 */

static void
on_subscribe(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_subscribe subscribe;
    struct tspace_request *about;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_subscribe(plex_call_payload(call), &shell->wire, &subscribe,
                              &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    if (shell->server->post == NULL && subscribe.target.len > 4 &&
        memcmp(subscribe.target.data, "http", 4) == 0) {
        plex_call_fail(call, PLEX_DENIED,
                       "webhooks are not allowed here (webhook_allow)",
                       (struct plex_bytes){0});
        tspace_template_unref(subscribe.template);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_SUBSCRIBE, &subscribe.op);
    about = subscribe.op.call;
    about->about = TSPACE_ABOUT_SUBSCRIBED;
    about->guaranteed = subscribe.guaranteed;
    about->pushed = subscribe.target.len > 0;
    tspace_core_subscribe(shell->core, tspace_shell_now(), &subscribe);
    tspace_template_unref(subscribe.template);
}

static void
subscription_end(void *arg, struct plex_call *call, bool unsubscribe)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_subscription request;
    struct tspace_request *about;
    struct plex_err err = {0};
    enum plex_status status;

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    status = (unsubscribe ? tspace_wire_unsubscribe : tspace_wire_acknowledge)(
        plex_call_payload(call), &shell->wire, &request, &err);
    if (status != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_EMPTY, &request.op);
    about = request.op.call;
    about->about =
        unsubscribe ? TSPACE_ABOUT_UNSUBSCRIBED : TSPACE_ABOUT_ACKNOWLEDGED;
    about->subscription = request.id;
    about->up_to = request.up_to;
    tspace_core_subscription(shell->core, tspace_shell_now(), &request);
}

static void
on_unsubscribe(void *arg, struct plex_call *call)
{
    subscription_end(arg, call, true);
}

static void
on_acknowledge(void *arg, struct plex_call *call)
{
    subscription_end(arg, call, false);
}

static void
on_poll(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_where where;
    struct tspace_wire_poll poll;
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_poll(plex_call_payload(call), &shell->wire, &poll, &err) !=
        PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    tspace_events_poll(shell, call, &where, &poll);
}

/* -- spaces ------------------------------------------------------------------
 */

static void
on_create_space(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct tspace_options options;
    struct tspace_where where;
    struct tspace_op op = {0};
    struct plex_err err = {0};

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    if (tspace_wire_space(plex_call_payload(call), &shell->wire,
                          &op.where.space, &options, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    op_ready(shell, call, &where, TSPACE_REPLY_EMPTY, &op);
    tspace_core_configure(shell->core, tspace_shell_now(), &op, &options);
}

static void
on_get_space(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct plex_buf reply = {.max = TSPACE_REPLY_MAX};
    struct tspace_space_stats stats;
    struct tspace_where where;
    struct plex_err err = {0};
    enum plex_status status;

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    status = tspace_wire_get_space(plex_call_payload(call), &shell->wire,
                                   &where.space, &err);
    if (status == PLEX_OK &&
        !tspace_core_space_stats(shell->core, &where, &stats))
        status = plex_err_set(&err, PLEX_NOT_FOUND,
                              "there is no space \"%s\" in namespace \"%s\"",
                              where.space, where.ns);
    if (status == PLEX_OK)
        status = tspace_wire_space_reply(where.space, &stats,
                                         &shell->wire.arena, &reply, &err);
    plex_call_answer(call, status, &reply, &err);
    plex_buf_free(&reply);
}

static void
on_list_spaces(void *arg, struct plex_call *call)
{
    struct tspace_shell *shell;
    struct plex_buf reply = {.max = TSPACE_REPLY_MAX};
    const char *names[NAMES_MAX + 1];
    struct tspace_wire_list list;
    struct tspace_where where;
    struct plex_err err = {0};
    enum plex_status status;
    uint32_t n;

    shell = tspace_server_begin(arg, call, &where);
    if (shell == NULL)
        return;
    status =
        tspace_wire_list(plex_call_payload(call), &shell->wire, &list, &err);
    if (status == PLEX_OK) {
        n = tspace_core_spaces(shell->core, &where, list.after, names,
                               list.max + 1);
        status = tspace_wire_list_reply(names, n < list.max ? n : list.max,
                                        n > list.max, &reply, &err);
    }
    plex_call_answer(call, status, &reply, &err);
    plex_buf_free(&reply);
}

static void
on_get_stats(void *arg, struct plex_call *call)
{
    struct plex_buf reply = {.max = TSPACE_REPLY_MAX};
    struct tspace_stats stats;
    struct plex_err err = {0};

    tspace_server_stats(arg, &stats);
    plex_call_answer(call, tspace_wire_stats_reply(&stats, &reply, &err),
                     &reply, &err);
    plex_buf_free(&reply);
}

const struct plex_method tspace_server_methods[] = {
    {METHOD_WRITE, "tuplespace.write", on_write},
    {METHOD_TAKE, "tuplespace.take", on_take},
    {METHOD_READ, "tuplespace.read", on_read},
    {METHOD_COUNT, "tuplespace.count", on_count},
    {METHOD_EXISTS, "tuplespace.exists", on_exists},
    {METHOD_COMPARE_AND_SWAP, "tuplespace.compare_and_swap",
     on_compare_and_swap},
    {METHOD_UPDATE, "tuplespace.update", on_update},
    {METHOD_CLEAR, "tuplespace.clear", on_clear},
    {METHOD_COLLECT, "tuplespace.collect", on_collect},
    {METHOD_RENEW_LEASE, "tuplespace.renew_lease", on_renew_lease},
    {METHOD_CANCEL_LEASE, "tuplespace.cancel_lease", on_cancel_lease},
    {METHOD_BEGIN_TRANSACTION, "tuplespace.begin", on_begin},
    {METHOD_PREPARE_TRANSACTION, "tuplespace.prepare", on_prepare},
    {METHOD_COMMIT_TRANSACTION, "tuplespace.commit", on_commit},
    {METHOD_ABORT_TRANSACTION, "tuplespace.abort", on_abort},
    {METHOD_CONFIRM_CLAIM, "tuplespace.confirm_claim", on_confirm},
    {METHOD_RELEASE_CLAIM, "tuplespace.release_claim", on_release},
    {METHOD_RENEW_CLAIM, "tuplespace.renew_claim", on_renew_claim},
    {METHOD_SUBSCRIBE, "tuplespace.subscribe", on_subscribe},
    {METHOD_UNSUBSCRIBE, "tuplespace.unsubscribe", on_unsubscribe},
    {METHOD_ACKNOWLEDGE_EVENTS, "tuplespace.acknowledge", on_acknowledge},
    {METHOD_POLL_EVENTS, "tuplespace.poll_events", on_poll},
    {METHOD_CREATE_SPACE, "tuplespace.create_space", on_create_space},
    {METHOD_GET_SPACE, "tuplespace.get_space", on_get_space},
    {METHOD_LIST_SPACES, "tuplespace.list_spaces", on_list_spaces},
    {METHOD_GET_STATS, "tuplespace.get_stats", on_get_stats},
    {0},
};
