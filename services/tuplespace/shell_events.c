/*
 * Subscriptions without a target: their events wait here for PollEvents. The
 * core numbers and stores guaranteed ones and tells them again until they are
 * acknowledged, so that losing what is here loses nothing of them.
 */
#include "services/tuplespace/shell.h"

#include "common/log.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum {
    BUFFER_EVENTS_MAX = 4096, /* per subscription */
    BUFFER_BYTES_MAX = 4 << 20,
    IDLE_MS = 60000, /* a best effort one that nobody polls is dropped */
    SWEEP_MS = 10000,
    REPLY_BYTES_MAX = 8 << 20,
    NAMES_MAX = 64 + 32,
};

struct waiting_event {
    struct waiting_event *next;
    uint64_t number;
    size_t len;
    uint8_t bytes[];
};

struct tspace_sub {
    UT_hash_handle hh;
    uint64_t id;
    struct tspace_shell *shell;
    char tenant[NAMES_MAX + 1];
    char ns[NAMES_MAX + 1];
    bool asking; /* whether it exists, of the core */
    bool best_effort;
    uint64_t polled_ns;
    struct waiting_event *first, *last;
    size_t n, bytes;
    uint64_t newest; /* the highest number that was here */
    bool missed;     /* the core has some after it that are not here */
    /* Who polls. */
    struct plex_call *call;
    struct tspace_wire_poll poll;
    struct plex_timer *timer;
};

/* -- the table ---------------------------------------------------------------
 */

static struct tspace_sub *
sub_find(struct tspace_shell *shell, uint64_t id)
{
    struct tspace_sub *sub;

    HASH_FIND(hh, shell->subs, &id, sizeof id, sub);
    return sub;
}

static struct tspace_sub *
sub_make(struct tspace_shell *shell, uint64_t id,
         const struct tspace_where *where)
{
    struct tspace_sub *sub = sub_find(shell, id);

    if (sub != NULL)
        return sub;
    sub = plex_calloc(1, sizeof *sub);
    sub->id = id;
    sub->shell = shell;
    strncpy(sub->tenant, where->tenant, NAMES_MAX);
    strncpy(sub->ns, where->ns, NAMES_MAX);
    sub->polled_ns = plex_now();
    HASH_ADD(hh, shell->subs, id, sizeof sub->id, sub);
    return sub;
}

static void
event_drop_first(struct tspace_sub *sub)
{
    struct waiting_event *event = sub->first;

    sub->first = event->next;
    if (sub->first == NULL)
        sub->last = NULL;
    sub->n--;
    sub->bytes -= event->len;
    free(event);
}

static void
sub_free(struct tspace_sub *sub)
{
    while (sub->first != NULL)
        event_drop_first(sub);
    plex_timer_free(sub->timer);
    HASH_DEL(sub->shell->subs, sub);
    free(sub);
}

/* -- polling -----------------------------------------------------------------
 */

static struct plex_call *
poll_end(struct tspace_sub *sub)
{
    struct plex_call *call = sub->call;

    sub->call = NULL;
    sub->polled_ns = plex_now();
    if (sub->timer != NULL)
        plex_timer_stop(sub->timer);
    if (call != NULL)
        plex_call_on_abandon(call, NULL, NULL);
    return call;
}

static void
poll_fail(struct tspace_sub *sub, enum plex_status status, const char *text)
{
    struct plex_call *call = poll_end(sub);

    if (call != NULL)
        plex_call_fail(call, status, text, (struct plex_bytes){0});
}

/* Answer with what is there, which may be nothing. Best effort events are gone
 * with it; guaranteed ones stay until acknowledged. */
static void
poll_answer(struct tspace_sub *sub)
{
    const struct tspace_wire_poll poll = sub->poll;
    struct plex_call *call = poll_end(sub);
    struct plex_buf out = {.max = TSPACE_REPLY_MAX};
    struct plex_err err;
    uint32_t n = 0;

    for (struct waiting_event *e = sub->first, *next;
         e != NULL && n < poll.max_events && out.len < REPLY_BYTES_MAX;
         e = next) {
        const struct plex_bytes bytes = {e->bytes, e->len};

        next = e->next;
        if (e->number != 0 && e->number <= poll.after)
            continue;
        n++;
        if (tspace_wire_events_reply(&bytes, 1, &out, &err) != PLEX_OK)
            break;
        if (e->number == 0)
            event_drop_first(sub);
    }
    plex_call_reply(call, (struct plex_bytes){out.data, out.len});
    plex_buf_free(&out);
}

static bool
has_news(const struct tspace_sub *sub)
{
    return sub->first != NULL &&
           (sub->last->number == 0 || sub->last->number > sub->poll.after);
}

static void
on_poll_timer(void *arg)
{
    struct tspace_sub *sub = arg;

    if (sub->call != NULL)
        poll_answer(sub);
}

static void
on_poll_gone(void *arg, struct plex_call *call)
{
    struct tspace_sub *sub = arg;

    (void)call;
    poll_fail(sub, PLEX_CANCELLED, "the caller gave up");
}

/* Have the core tell again what has not been here, once there is room. */
static void
catch_up(struct tspace_sub *sub)
{
    const struct tspace_where where = {sub->tenant, sub->ns, ""};

    if (!sub->missed || sub->n > 0 || sub->shell->core == NULL)
        return;
    sub->missed = false;
    tspace_events_ask(sub->shell, &where, sub->id, TSPACE_REDELIVER, 0, NULL);
}

static void
poll_start(struct tspace_sub *sub, struct plex_call *call,
           const struct tspace_wire_poll *poll)
{
    if (sub->call != NULL) /* one at a time: the newest */
        poll_answer(sub);
    sub->call = call;
    sub->poll = *poll;
    sub->polled_ns = plex_now();
    if (sub->asking)
        return;
    if (poll->acknowledge != 0) {
        const struct tspace_where where = {sub->tenant, sub->ns, ""};

        tspace_events_ask(sub->shell, &where, sub->id, TSPACE_ACKNOWLEDGE,
                          poll->acknowledge, NULL);
        tspace_events_acknowledged(sub->shell, sub->id, poll->acknowledge);
    }
    catch_up(sub);
    if (poll->timeout_ms == 0 || has_news(sub)) {
        poll_answer(sub);
        return;
    }
    plex_call_on_abandon(call, on_poll_gone, sub);
    if (sub->timer == NULL)
        sub->timer =
            plex_timer_create(sub->shell->host->loop, on_poll_timer, sub);
    plex_timer_start(sub->timer, poll->timeout_ms);
}

void
tspace_events_ask(struct tspace_shell *shell, const struct tspace_where *where,
                  uint64_t id, enum tspace_subscription_verb verb,
                  uint64_t up_to, struct tspace_request *request)
{
    const struct tspace_subscription ask = {
        .op.call = request != NULL
                       ? request
                       : tspace_shell_request(shell, NULL, TSPACE_REPLY_EMPTY),
        .op.where = {where->tenant, where->ns, ""},
        .id = id,
        .verb = verb,
        .up_to = up_to,
    };

    tspace_core_subscription(shell->core, tspace_shell_now(), &ask);
    tspace_shell_commit_later(shell);
}

void
tspace_events_poll(struct tspace_shell *shell, struct plex_call *call,
                   const struct tspace_where *where,
                   const struct tspace_wire_poll *poll)
{
    struct tspace_sub *sub = sub_find(shell, poll->subscription);
    struct tspace_request *request;

    if (sub != NULL && (strcmp(sub->tenant, where->tenant) != 0 ||
                        strcmp(sub->ns, where->ns) != 0)) {
        plex_call_fail(call, PLEX_NOT_FOUND, "there is no such subscription",
                       (struct plex_bytes){0});
        return;
    }
    if (sub != NULL) {
        poll_start(sub, call, poll);
        return;
    }
    /* Not heard of since the start: does the core know it? If so, it tells
     * again what is not acknowledged. */
    sub = sub_make(shell, poll->subscription, where);
    sub->asking = true;
    sub->call = call;
    sub->poll = *poll;
    request = tspace_shell_request(shell, NULL, TSPACE_REPLY_EMPTY);
    request->about = TSPACE_ABOUT_POLL;
    request->subscription = poll->subscription;
    tspace_events_ask(shell, where, poll->subscription, TSPACE_REDELIVER, 0,
                      request);
}

void
tspace_events_known(struct tspace_request *request, enum plex_status status,
                    const char *text)
{
    struct tspace_sub *sub = sub_find(request->shell, request->subscription);
    struct plex_call *call;

    tspace_shell_request_free(request);
    if (sub == NULL || !sub->asking)
        return;
    sub->asking = false;
    if (status != PLEX_OK) {
        poll_fail(sub, status,
                  text[0] != '\0' ? text : "there is no such subscription");
        sub_free(sub);
        return;
    }
    call = sub->call;
    sub->call = NULL;
    if (call != NULL)
        poll_start(sub, call, &sub->poll);
}

/* -- events ------------------------------------------------------------------
 */

void
tspace_events_subscribed(struct tspace_shell *shell, uint64_t id,
                         const struct tspace_where *where, bool guaranteed)
{
    sub_make(shell, id, where)->best_effort = !guaranteed;
}

/* False: it is here, or was; or one before it has never been here, and both
 * come again. */
static bool
is_next(struct tspace_sub *sub, const struct tspace_outgoing *event)
{
    if (!event->guaranteed)
        return true;
    if (event->number <= sub->newest)
        return false;
    if (event->previous > sub->newest)
        sub->missed = true;
    return event->previous <= sub->newest;
}

static bool
has_room(const struct tspace_sub *sub, size_t len)
{
    return sub->n < BUFFER_EVENTS_MAX && sub->bytes + len <= BUFFER_BYTES_MAX;
}

void
tspace_events_deliver(struct tspace_shell *shell,
                      const struct tspace_outgoing *event)
{
    struct waiting_event *e;
    struct tspace_sub *sub;

    if (event->target_len > 0) {
        tspace_target_deliver(shell, event);
        return;
    }
    sub = sub_make(shell, event->subscription, &event->where);
    sub->best_effort = !event->guaranteed;
    if (!is_next(sub, event))
        return;
    /* A guaranteed one comes again; of the others the oldest are lost. */
    if (event->guaranteed && !has_room(sub, event->len) && sub->n > 0) {
        sub->missed = true;
        return;
    }
    while (sub->n > 0 && !has_room(sub, event->len))
        event_drop_first(sub);
    e = plex_calloc(1, sizeof *e + event->len);
    e->number = event->number;
    e->len = event->len;
    memcpy(e->bytes, shell->out.data + event->at, event->len);
    if (sub->last != NULL)
        sub->last->next = e;
    else
        sub->first = e;
    sub->last = e;
    sub->n++;
    sub->bytes += e->len;
    if (e->number > sub->newest)
        sub->newest = e->number;
    if (sub->call != NULL && !sub->asking && has_news(sub))
        poll_answer(sub);
}

void
tspace_events_acknowledged(struct tspace_shell *shell, uint64_t id,
                           uint64_t up_to)
{
    struct tspace_sub *sub = sub_find(shell, id);

    while (sub != NULL && sub->first != NULL && sub->first->number != 0 &&
           sub->first->number <= up_to)
        event_drop_first(sub);
    if (sub != NULL)
        catch_up(sub);
}

void
tspace_events_unsubscribed(struct tspace_shell *shell, uint64_t id)
{
    struct tspace_sub *sub = sub_find(shell, id);

    tspace_target_ended(shell, id);
    if (sub == NULL)
        return;
    poll_fail(sub, PLEX_NOT_FOUND, "the subscription was ended");
    sub_free(sub);
}

void
tspace_events_reset(struct tspace_shell *shell, const char *text)
{
    struct tspace_sub *sub, *next;

    tspace_target_reset(shell);
    HASH_ITER(hh, shell->subs, sub, next)
    {
        poll_fail(sub, PLEX_UNAVAILABLE, text);
        sub_free(sub);
    }
}

/* Nobody can ask for events of a best effort subscription whose subscriber has
 * forgotten it or died. */
static void
on_sweep(void *arg)
{
    struct tspace_shell *shell = arg;
    const uint64_t now = plex_now();
    struct tspace_sub *sub, *next;

    HASH_ITER(hh, shell->subs, sub, next)
    {
        const struct tspace_where where = {sub->tenant, sub->ns, ""};

        if (sub->call != NULL || sub->asking ||
            now - sub->polled_ns < (uint64_t)IDLE_MS * 1000000)
            continue;
        if (sub->best_effort && shell->core != NULL)
            tspace_events_ask(shell, &where, sub->id, TSPACE_UNSUBSCRIBE, 0,
                              NULL);
        sub_free(sub);
    }
    plex_timer_start(shell->sweep, SWEEP_MS);
}

void
tspace_events_init(struct tspace_shell *shell)
{
    shell->sweep = plex_timer_create(shell->host->loop, on_sweep, shell);
    plex_timer_start(shell->sweep, SWEEP_MS);
}

void
tspace_events_fini(struct tspace_shell *shell)
{
    struct tspace_sub *sub, *next;

    plex_timer_free(shell->sweep);
    tspace_target_reset(shell);
    HASH_ITER(hh, shell->subs, sub, next)
    {
        sub->call = NULL; /* the link has ended it */
        sub_free(sub);
    }
}
