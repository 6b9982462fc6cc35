/* The methods: decoded, sent on where another shard is meant, given to the
 * core, answered at the end of the iteration. */
#include "services/tuplespace/route.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { NAMES_MAX = 1000 };

void
tspace_asked_refuse(const struct tspace_asked *asked,
                    const struct plex_err *err)
{
    if (asked->done != NULL)
        asked->done(asked->arg, err->status, err->text, (struct plex_bytes){0});
    else
        plex_call_refuse(asked->call, err);
}

/* With what is in `reply`, or with the error. */
static void
answer_now(const struct tspace_asked *asked, enum plex_status status,
           struct plex_buf *reply, struct plex_err *err)
{
    if (asked->done != NULL)
        asked->done(asked->arg, status, err->text,
                    (struct plex_bytes){reply->data, reply->len});
    else
        plex_call_answer(asked->call, status, reply, err);
    plex_buf_free(reply);
}

/* Everything is decoded: from here on the core answers. */
static struct tspace_request *
op_ready(const struct tspace_asked *asked, enum tspace_reply kind,
         struct tspace_op *op)
{
    struct tspace_request *request =
        tspace_shell_request(asked->shell, asked->call, kind);

    request->done = asked->done;
    request->arg = asked->arg;
    if (asked->made != NULL)
        *asked->made = request;
    op->where.tenant = asked->where.tenant;
    op->where.ns = asked->where.ns;
    op->call = request;
    if (op->request_id.len > 0)
        op->fingerprint = XXH3_64bits(asked->payload.data, asked->payload.len);
    tspace_shell_commit_later(asked->shell);
    return request;
}

static void
ask_write(struct tspace_asked *asked)
{
    struct tspace_write write;
    struct plex_err err = {0};

    if (tspace_wire_write(asked->payload, &asked->shell->wire, &write, &err) !=
        PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_write(asked, &write))
        return;
    op_ready(asked, TSPACE_REPLY_WRITE, &write.op);
    tspace_core_write(asked->shell->core, tspace_shell_now(), &write);
}

/* A caller that waits has gone. Either the core forgets its wait, or the
 * answer is on its way. */
static void
on_gone(void *arg, struct plex_call *call)
{
    struct tspace_request *request = arg;

    if (tspace_request_cancel(request))
        plex_call_fail(call, PLEX_CANCELLED, "the caller gave up",
                       (struct plex_bytes){0});
}

static void
read_or_take(struct tspace_asked *asked, bool take)
{
    struct tspace_request *request;
    struct tspace_read read;
    struct plex_err err = {0};

    if (tspace_wire_read(asked->payload, take, &asked->shell->wire, &read,
                         &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (!tspace_route_read(asked, &read)) {
        request = op_ready(asked, TSPACE_REPLY_READ, &read.op);
        if (read.order == TSPACE_RANDOM)
            plex_random(&read.random, sizeof read.random);
        if (read.timeout_ms > 0 && asked->call != NULL)
            plex_call_on_abandon(asked->call, on_gone, request);
        tspace_core_read(asked->shell->core, tspace_shell_now(), &read);
    }
    tspace_template_unref(read.template);
}

static void
ask_read(struct tspace_asked *asked)
{
    read_or_take(asked, false);
}

static void
ask_take(struct tspace_asked *asked)
{
    read_or_take(asked, true);
}

static void
ask_count(struct tspace_asked *asked)
{
    struct tspace_count count;
    struct plex_err err = {0};

    if (tspace_wire_count(asked->payload, &asked->shell->wire, &count, &err) !=
        PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (!tspace_route_count(asked, &count)) {
        op_ready(asked, TSPACE_REPLY_COUNT, &count.op);
        tspace_core_count(asked->shell->core, tspace_shell_now(), &count);
    }
    tspace_template_unref(count.template);
}

static void
ask_exists(struct tspace_asked *asked)
{
    struct tspace_count count;
    struct tspace_read read = {.max_results = 1};
    struct plex_err err = {0};

    if (tspace_wire_count(asked->payload, &asked->shell->wire, &count, &err) !=
        PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (!tspace_route_count(asked, &count)) {
        read.op = count.op;
        read.template = count.template;
        op_ready(asked, TSPACE_REPLY_EXISTS, &read.op);
        tspace_core_read(asked->shell->core, tspace_shell_now(), &read);
    }
    tspace_template_unref(count.template);
}

static void
swap(struct tspace_asked *asked, bool update)
{
    struct tspace_swap request;
    struct plex_err err = {0};

    if (tspace_wire_swap(asked->payload, update, &asked->shell->wire, &request,
                         &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (!tspace_route_swap(asked, &request)) {
        op_ready(asked, TSPACE_REPLY_SWAP, &request.op);
        tspace_core_swap(asked->shell->core, tspace_shell_now(), &request);
    }
    tspace_template_unref(request.template);
}

static void
ask_compare_and_swap(struct tspace_asked *asked)
{
    swap(asked, false);
}

static void
ask_update(struct tspace_asked *asked)
{
    swap(asked, true);
}

static void
collect(struct tspace_asked *asked, bool clear)
{
    struct tspace_collect request;
    struct plex_err err = {0};

    if ((clear ? tspace_wire_clear : tspace_wire_collect)(
            asked->payload, &asked->shell->wire, &request, &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (!tspace_route_collect(asked, &request)) {
        op_ready(asked, TSPACE_REPLY_COUNT, &request.op);
        tspace_core_collect(asked->shell->core, tspace_shell_now(), &request);
    }
    tspace_template_unref(request.template);
}

static void
ask_clear(struct tspace_asked *asked)
{
    collect(asked, true);
}

static void
ask_collect(struct tspace_asked *asked)
{
    collect(asked, false);
}

static void
lease(struct tspace_asked *asked, bool cancel)
{
    struct tspace_lease request;
    struct plex_err err = {0};

    if (tspace_wire_lease(asked->payload, cancel, &asked->shell->wire, &request,
                          &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_id(asked, &request.op, request.id))
        return;
    op_ready(asked, TSPACE_REPLY_LEASE, &request.op);
    tspace_core_lease(asked->shell->core, tspace_shell_now(), &request);
}

static void
ask_renew_lease(struct tspace_asked *asked)
{
    lease(asked, false);
}

static void
ask_cancel_lease(struct tspace_asked *asked)
{
    lease(asked, true);
}

/* -- transactions and claims -------------------------------------------------
 */

static void
ask_begin(struct tspace_asked *asked)
{
    struct tspace_begin begin;
    struct plex_err err = {0};

    if (tspace_wire_begin(asked->payload, &asked->shell->wire, &begin, &err) !=
        PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    op_ready(asked, TSPACE_REPLY_BEGIN, &begin.op);
    tspace_core_begin(asked->shell->core, tspace_shell_now(), &begin);
}

static void
end(struct tspace_asked *asked, enum tspace_end how)
{
    struct tspace_op op;
    struct plex_err err = {0};

    if (tspace_wire_end(asked->payload, &asked->shell->wire, &op, &err) !=
        PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    op_ready(asked, TSPACE_REPLY_EMPTY, &op);
    tspace_core_end(asked->shell->core, tspace_shell_now(), &op, how);
}

static void
ask_prepare(struct tspace_asked *asked)
{
    end(asked, TSPACE_PREPARE);
}

static void
ask_commit(struct tspace_asked *asked)
{
    end(asked, TSPACE_COMMIT);
}

static void
ask_abort(struct tspace_asked *asked)
{
    end(asked, TSPACE_ABORT);
}

static void
claim(struct tspace_asked *asked, enum tspace_claim_verb verb)
{
    struct tspace_claim request;
    struct plex_err err = {0};

    if (tspace_wire_claim(asked->payload, verb, &asked->shell->wire, &request,
                          &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_claims(asked))
        return;
    op_ready(asked, TSPACE_REPLY_COUNT, &request.op);
    tspace_core_claim(asked->shell->core, tspace_shell_now(), &request);
}

static void
ask_confirm(struct tspace_asked *asked)
{
    claim(asked, TSPACE_CONFIRM);
}

static void
ask_release(struct tspace_asked *asked)
{
    claim(asked, TSPACE_RELEASE);
}

static void
ask_renew_claim(struct tspace_asked *asked)
{
    claim(asked, TSPACE_RENEW);
}

/* -- subscriptions -----------------------------------------------------------
 */

static void
subscribe_here(struct tspace_asked *asked, struct tspace_subscribe *subscribe)
{
    struct tspace_request *about =
        op_ready(asked, TSPACE_REPLY_SUBSCRIBE, &subscribe->op);

    about->about = TSPACE_ABOUT_SUBSCRIBED;
    about->guaranteed = subscribe->guaranteed;
    about->pushed = subscribe->target.len > 0;
    tspace_core_subscribe(asked->shell->core, tspace_shell_now(), subscribe);
}

static void
ask_subscribe(struct tspace_asked *asked)
{
    struct tspace_subscribe subscribe;
    struct plex_err err = {0};

    if (tspace_wire_subscribe(asked->payload, &asked->shell->wire, &subscribe,
                              &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_subscribe(asked, &subscribe)) {
        tspace_template_unref(subscribe.template);
        return;
    }
    if (asked->shell->server->post == NULL && subscribe.target.len > 4 &&
        memcmp(subscribe.target.data, "http", 4) == 0) {
        (void)plex_err_set(&err, PLEX_DENIED,
                           "webhooks are not allowed here (webhook_allow)");
        tspace_asked_refuse(asked, &err);
    } else {
        subscribe_here(asked, &subscribe);
    }
    tspace_template_unref(subscribe.template);
}

static void
subscription_end(struct tspace_asked *asked, bool unsubscribe)
{
    struct tspace_subscription request;
    struct tspace_request *about;
    struct plex_err err = {0};

    if ((unsubscribe ? tspace_wire_unsubscribe : tspace_wire_acknowledge)(
            asked->payload, &asked->shell->wire, &request, &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_subscription(asked, request.id))
        return;
    about = op_ready(asked, TSPACE_REPLY_EMPTY, &request.op);
    about->about =
        unsubscribe ? TSPACE_ABOUT_UNSUBSCRIBED : TSPACE_ABOUT_ACKNOWLEDGED;
    about->subscription = request.id;
    about->up_to = request.up_to;
    tspace_core_subscription(asked->shell->core, tspace_shell_now(), &request);
}

static void
ask_unsubscribe(struct tspace_asked *asked)
{
    subscription_end(asked, true);
}

static void
ask_acknowledge(struct tspace_asked *asked)
{
    subscription_end(asked, false);
}

static void
ask_poll(struct tspace_asked *asked)
{
    struct tspace_wire_poll poll;
    struct plex_err err = {0};

    if (tspace_wire_poll(asked->payload, &asked->shell->wire, &poll, &err) !=
        PLEX_OK)
        tspace_asked_refuse(asked, &err);
    else if (!tspace_route_subscription(asked, poll.subscription))
        tspace_events_poll(asked->shell, asked->call, &asked->where, &poll);
}

/* -- spaces ------------------------------------------------------------------
 */

static void
ask_create_space(struct tspace_asked *asked)
{
    struct tspace_options options;
    struct tspace_op op = {0};
    struct plex_err err = {0};

    if (tspace_wire_space(asked->payload, &asked->shell->wire, &op.where.space,
                          &options, &err) != PLEX_OK) {
        tspace_asked_refuse(asked, &err);
        return;
    }
    if (tspace_route_create(asked, op.where.space, &options))
        return;
    op_ready(asked, TSPACE_REPLY_EMPTY, &op);
    tspace_core_configure(asked->shell->core, tspace_shell_now(), &op,
                          &options);
}

static void
ask_get_space(struct tspace_asked *asked)
{
    struct plex_buf reply = {.max = TSPACE_REPLY_MAX};
    struct tspace_where where = asked->where;
    struct tspace_space_stats stats;
    struct plex_err err = {0};
    enum plex_status status;

    status = tspace_wire_get_space(asked->payload, &asked->shell->wire,
                                   &where.space, &err);
    if (status == PLEX_OK &&
        !tspace_core_space_stats(asked->shell->core, &where, &stats))
        status = plex_err_set(&err, PLEX_NOT_FOUND,
                              "there is no space \"%s\" in namespace \"%s\"",
                              where.space, where.ns);
    if (status == PLEX_OK && tspace_route_get(asked, where.space, &stats))
        return;
    if (status == PLEX_OK)
        status = tspace_wire_space_reply(
            where.space, &stats, &asked->shell->wire.arena, &reply, &err);
    answer_now(asked, status, &reply, &err);
}

static void
ask_list_spaces(struct tspace_asked *asked)
{
    struct plex_buf reply = {.max = TSPACE_REPLY_MAX};
    const char *names[NAMES_MAX + 1];
    struct tspace_wire_list list;
    struct plex_err err = {0};
    enum plex_status status;
    uint32_t n;

    status = tspace_wire_list(asked->payload, &asked->shell->wire, &list, &err);
    if (status == PLEX_OK) {
        n = tspace_core_spaces(asked->shell->core, &asked->where, list.after,
                               names, list.max + 1);
        status = tspace_wire_list_reply(names, n < list.max ? n : list.max,
                                        n > list.max, &reply, &err);
    }
    answer_now(asked, status, &reply, &err);
}

/* -- the table ---------------------------------------------------------------
 */

/* Numbers of tuplespace.v1 TupleSpaceMethod; TSPACE_METHOD_STATS is apart. */
#define METHODS(X)           \
    X(801, write)            \
    X(802, read)             \
    X(803, take)             \
    X(804, count)            \
    X(805, exists)           \
    X(806, compare_and_swap) \
    X(807, update)           \
    X(808, clear)            \
    X(809, collect)          \
    X(810, renew_lease)      \
    X(811, cancel_lease)     \
    X(812, begin)            \
    X(813, prepare)          \
    X(814, commit)           \
    X(815, abort)            \
    X(816, confirm)          \
    X(817, release)          \
    X(818, renew_claim)      \
    X(819, subscribe)        \
    X(820, unsubscribe)      \
    X(821, acknowledge)      \
    X(822, poll)             \
    X(823, create_space)     \
    X(824, get_space)        \
    X(825, list_spaces)

static const struct tspace_method methods[] = {
#define ROW(id, name) {id, ask_##name},
    METHODS(ROW)
#undef ROW
};

const struct tspace_method *
tspace_method_find(uint32_t id)
{
    const size_t n = sizeof methods / sizeof methods[0];

    return id < methods[0].id || id >= methods[0].id + n
               ? NULL
               : &methods[id - methods[0].id];
}

static void
begin_call(struct tspace_server *server, struct plex_call *call, uint32_t id)
{
    struct tspace_asked asked = {
        .call = call,
        .method = tspace_method_find(id),
        .payload = plex_call_payload(call),
    };

    if (tspace_server_begin(server, &asked))
        asked.method->ask(&asked);
}

#define HANDLER(id, name)                                    \
    static void on_##name(void *arg, struct plex_call *call) \
    {                                                        \
        begin_call(arg, call, id);                           \
    }
METHODS(HANDLER)

static void
on_stats(void *arg, struct plex_call *call)
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
#define LINK(id, name) {id, "tuplespace." #name, on_##name},
    METHODS(LINK){826, "tuplespace.get_stats", on_stats},
    {TSPACE_METHOD_AT_SHARD, "tuplespace.at_shard", tspace_route_arrived},
    {0},
};
