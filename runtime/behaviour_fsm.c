#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/behaviour.h"

/*
 * State machines in the manner of gen_statem. One message at a time comes in;
 * what it leads to (inserted events, postponed ones that are due again,
 * timeouts of 0) is worked off before the next one is taken.
 */
struct fsm_event { /* one that waits in here */
    struct fsm_event *next;
    enum plex_fsm_event_kind kind;
    struct rt_msg *kept; /* CALL, CAST, INFO */
    char *name;          /* TIMEOUT */
    uint64_t tag;
};
struct fsm_events {
    struct fsm_event *first, **end;
};
struct fsm_timer {
    struct fsm_timer *next;
    enum plex_fsm_event_kind kind; /* which timeout */
    char *name;                    /* TIMEOUT; else "" */
    uint64_t timer;                /* 0: due when no event waits */
    uint64_t tag;
};
struct fsm_want { /* a timeout asked for in a callback */
    struct fsm_want *next;
    enum plex_fsm_event_kind kind;
    char *name;
    uint64_t ms;
    uint64_t tag;
};
struct fsm {
    const struct plex_fsm_state *state;
    bool begun; /* the first state was entered */
    struct fsm_events waiting, postponed;
    struct fsm_timer *timers;
    /* What the callback under way asked for. */
    bool in_callback, entering;
    const struct plex_fsm_state *goes;
    bool repeats, postpones;
    struct fsm_events inserted;
    struct fsm_want *wants, **wants_end;
};

enum { FSM_BEGIN_TAG = 0x66736d62 };

/* -- lists -- */

static void
events_init(struct fsm_events *events)
{
    events->first = NULL;
    events->end = &events->first;
}

static void
events_add(struct fsm_events *events, struct fsm_event *event)
{
    event->next = NULL;
    *events->end = event;
    events->end = &event->next;
}

static struct fsm_event *
events_take(struct fsm_events *events)
{
    struct fsm_event *event = events->first;

    if (event == NULL)
        return NULL;
    events->first = event->next;
    if (events->first == NULL)
        events->end = &events->first;
    return event;
}

/* All of `from` before all of `to`. */
static void
events_prepend(struct fsm_events *to, struct fsm_events *from)
{
    if (from->first == NULL)
        return;
    *from->end = to->first;
    if (to->first == NULL)
        to->end = from->end;
    to->first = from->first;
    events_init(from);
}

static struct fsm_event *
event_new(enum plex_fsm_event_kind kind, const char *name, uint64_t tag)
{
    struct fsm_event *event = plex_calloc(1, sizeof *event);

    event->kind = kind;
    event->name = plex_strdup(name);
    event->tag = tag;
    return event;
}

static void
event_free(struct fsm_event *event)
{
    free(event->name);
    free(event);
}

/* -- timers -- */

static struct fsm_timer **
timer_find(struct fsm *fsm, enum plex_fsm_event_kind kind, const char *name)
{
    struct fsm_timer **at = &fsm->timers;

    while (*at != NULL &&
           ((*at)->kind != kind || strcmp((*at)->name, name) != 0))
        at = &(*at)->next;
    return at;
}

static void
timer_remove(struct fsm_timer **at)
{
    struct fsm_timer *timer = *at;

    *at = timer->next;
    free(timer->name);
    free(timer);
}

static void
timer_cancel(struct plex_ctx *ctx, struct fsm *fsm,
             enum plex_fsm_event_kind kind, const char *name)
{
    struct fsm_timer **at = timer_find(fsm, kind, name);

    if (*at == NULL)
        return;
    if ((*at)->timer != 0)
        (void)plex_cancel_timer(ctx, (*at)->timer);
    timer_remove(at);
}

/* The same one again replaces it. In the order in which they were set, as
 * those of 0 come. */
static void
want_do(struct plex_ctx *ctx, struct fsm *fsm, const struct fsm_want *want)
{
    struct fsm_timer *timer, **at = &fsm->timers;

    timer_cancel(ctx, fsm, want->kind, want->name);
    if (want->ms == UINT64_MAX)
        return;
    timer = plex_calloc(1, sizeof *timer);

    timer->kind = want->kind;
    timer->name = plex_strdup(want->name);
    timer->tag = want->tag;
    if (want->ms > 0)
        timer->timer =
            plex_send_after(ctx, plex_self_ref(ctx), want->ms, 0, want->tag);
    while (*at != NULL)
        at = &(*at)->next;
    *at = timer;
}

/* -- what a callback may ask for -- */

static const struct plex_fsm_state *
state_named(struct plex_ctx *ctx, const char *name)
{
    const struct plex_fsm_state *state = rt_behaviour(ctx)->fsm->states;

    for (; state->name != NULL; state++) {
        if (strcmp(state->name, name) == 0)
            return state;
    }
    return NULL;
}

static int
want_add(struct fsm *fsm, enum plex_fsm_event_kind kind, const char *name,
         uint64_t ms, uint64_t tag)
{
    struct fsm_want *want;

    if (kind == PLEX_FSM_TIMEOUT && (name == NULL || *name == '\0'))
        return -PLEX_INVALID;
    want = plex_calloc(1, sizeof *want);
    want->kind = kind;
    want->name = plex_strdup(kind == PLEX_FSM_TIMEOUT ? name : "");
    want->ms = ms;
    want->tag = tag;
    *fsm->wants_end = want;
    fsm->wants_end = &want->next;
    return 0;
}

static int
want_goto(struct plex_ctx *ctx, struct fsm *fsm, const char *name)
{
    const struct plex_fsm_state *state =
        name == NULL ? NULL : state_named(ctx, name);

    if (state == NULL)
        return -PLEX_INVALID;
    fsm->goes = state;
    return 0;
}

int
rt_fsm(struct plex_ctx *ctx, int verb, const char *text, uint64_t number,
       uint64_t tag)
{
    struct fsm *fsm;

    if (rt_behaviour(ctx)->fsm == NULL)
        return -PLEX_INVALID;
    fsm = rt_engine_state(ctx);
    if (fsm == NULL || !fsm->in_callback)
        return -PLEX_INVALID;
    /* Entering a state changes nothing about what is being handled. */
    if (fsm->entering && verb < PLEX_FSM_DO_STATE_TIMEOUT)
        return -PLEX_INVALID;
    switch (verb) {
    case PLEX_FSM_DO_GOTO:
        return want_goto(ctx, fsm, text);
    case PLEX_FSM_DO_REPEAT:
        fsm->repeats = true;
        return 0;
    case PLEX_FSM_DO_POSTPONE:
        if (!fsm->begun)
            return -PLEX_INVALID;
        fsm->postpones = true;
        return 0;
    case PLEX_FSM_DO_NEXT_EVENT:
        events_add(&fsm->inserted, event_new(PLEX_FSM_INTERNAL, "", tag));
        return 0;
    case PLEX_FSM_DO_STATE_TIMEOUT:
        return want_add(fsm, PLEX_FSM_STATE_TIMEOUT, "", number, tag);
    case PLEX_FSM_DO_EVENT_TIMEOUT:
        return want_add(fsm, PLEX_FSM_EVENT_TIMEOUT, "", number, tag);
    case PLEX_FSM_DO_TIMEOUT:
        return want_add(fsm, PLEX_FSM_TIMEOUT, text, number, tag);
    default:
        return -PLEX_INVALID;
    }
}

/* -- transitions -- */

static int
call(struct plex_ctx *ctx, struct fsm *fsm, const struct plex_fsm_event *event)
{
    int failed;

    fsm->in_callback = true;
    fsm->entering = event->kind == PLEX_FSM_ENTER;
    failed = fsm->state->handle(ctx, event);
    fsm->in_callback = false;
    fsm->entering = false;
    return failed;
}

static int
enter(struct plex_ctx *ctx, struct fsm *fsm, const char *before)
{
    const struct plex_fsm_event event = {.kind = PLEX_FSM_ENTER,
                                         .name = before};

    return fsm->state->enter ? call(ctx, fsm, &event) : 0;
}

static void
wants_free(struct fsm *fsm, struct plex_ctx *ctx)
{
    struct fsm_want *want;

    while ((want = fsm->wants) != NULL) {
        fsm->wants = want->next;
        if (ctx != NULL)
            want_do(ctx, fsm, want);
        free(want->name);
        free(want);
    }
    fsm->wants_end = &fsm->wants;
}

/* The callback for `event` is done: what it asked for takes place, in the
 * order that gen_statem documents. Takes the event. */
static int
transition(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_event *event)
{
    const char *before = fsm->state->name;
    bool changes = fsm->goes != NULL && fsm->goes != fsm->state;
    int failed = 0;

    if (changes) {
        timer_cancel(ctx, fsm, PLEX_FSM_STATE_TIMEOUT, "");
        fsm->state = fsm->goes;
    }
    if (event != NULL && fsm->postpones)
        events_add(&fsm->postponed, event);
    else if (event != NULL)
        event_free(event);
    if (changes || fsm->repeats || !fsm->begun)
        failed = enter(ctx, fsm, before);
    fsm->begun = true;
    fsm->goes = NULL;
    fsm->repeats = fsm->postpones = false;
    if (failed != 0)
        return failed;
    if (changes)
        events_prepend(&fsm->waiting, &fsm->postponed);
    events_prepend(&fsm->waiting, &fsm->inserted);
    wants_free(fsm, ctx);
    return 0;
}

/* -- events -- */

static bool
is_message(enum plex_fsm_event_kind kind)
{
    return kind <= PLEX_FSM_INFO;
}

/* Call the state with it; `msg` is there for messages. Takes the event. */
static int
handle_event(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_event *event,
             const struct plex_msg *msg)
{
    const struct plex_fsm_event said = {.kind = event->kind,
                                        .msg = msg,
                                        .name = event->name,
                                        .tag = event->tag};
    int failed;

    timer_cancel(ctx, fsm, PLEX_FSM_EVENT_TIMEOUT, "");
    failed = call(ctx, fsm, &said);
    if (failed != 0 || rt_turn_of(ctx)->exiting) {
        event_free(event);
        return failed;
    }
    if (msg != NULL && fsm->postpones)
        event->kept = rt_keep(ctx);
    else if (msg != NULL)
        rt_settle(ctx);
    return transition(ctx, fsm, event);
}

/* A timeout of 0 is the newest of what has come already. */
static struct fsm_event *
zero_take(struct fsm *fsm)
{
    struct fsm_timer **at = &fsm->timers;
    struct fsm_event *event;

    while (*at != NULL && (*at)->timer != 0)
        at = &(*at)->next;
    if (*at == NULL)
        return NULL;
    event = event_new((*at)->kind, (*at)->name, (*at)->tag);
    timer_remove(at);
    return event;
}

/* What waits in here, until nothing does. */
static int
work_off(struct plex_ctx *ctx, struct fsm *fsm)
{
    struct fsm_event *event;
    struct plex_msg msg;
    int failed = 0;

    while (failed == 0 && !rt_turn_of(ctx)->exiting) {
        event = events_take(&fsm->waiting);
        if (event == NULL)
            event = zero_take(fsm);
        if (event == NULL)
            break;
        if (!is_message(event->kind)) {
            failed = handle_event(ctx, fsm, event, NULL);
            continue;
        }
        rt_recall(ctx, event->kept, &msg);
        event->kept = NULL;
        failed = handle_event(ctx, fsm, event, &msg);
    }
    return failed;
}

static bool
is_begin(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    return msg->kind == PLEX_MSG_INFO && msg->tag == FSM_BEGIN_TAG &&
           plex_ref_is(msg->from, plex_self_ref(ctx));
}

static enum plex_fsm_event_kind
kind_of(const struct plex_msg *msg)
{
    return msg->kind == PLEX_MSG_CALL   ? PLEX_FSM_CALL
           : msg->kind == PLEX_MSG_CAST ? PLEX_FSM_CAST
                                        : PLEX_FSM_INFO;
}

/* Enter the first state; a message that was faster than our own waits. */
static int
begin(struct plex_ctx *ctx, struct fsm *fsm, const struct plex_msg *msg)
{
    struct fsm_event *event = NULL;
    int failed;

    if (!is_begin(ctx, msg)) {
        event = event_new(kind_of(msg), "", msg->tag);
        event->kept = rt_keep(ctx);
    }
    if (fsm->goes != NULL)
        fsm->state = fsm->goes;
    fsm->goes = NULL;
    failed = transition(ctx, fsm, NULL);
    if (event != NULL)
        events_add(&fsm->waiting, event);
    return failed != 0 ? failed : work_off(ctx, fsm);
}

/* The first state is entered when the start is over, as in OTP: who started
 * this one does not wait for that. */
static int
engine_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    struct fsm *fsm = rt_engine_state(ctx);
    int failed = 0;

    events_init(&fsm->waiting);
    events_init(&fsm->postponed);
    events_init(&fsm->inserted);
    fsm->wants_end = &fsm->wants;
    fsm->state = behaviour->fsm->states;
    if (fsm->state == NULL || fsm->state->name == NULL)
        return plex_fail(ctx, "a state machine without states");
    fsm->in_callback = true;
    if (behaviour->init != NULL)
        failed = behaviour->init(ctx, args, len);
    fsm->in_callback = false;
    if (failed == 0)
        plex_send(ctx, plex_self_ref(ctx), FSM_BEGIN_TAG, NULL, 0);
    return failed;
}

static int
timer_fired(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_timer **at)
{
    struct fsm_event *event = event_new((*at)->kind, (*at)->name, (*at)->tag);

    timer_remove(at);
    rt_settle(ctx);
    return handle_event(ctx, fsm, event, NULL);
}

static int
engine_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct fsm *fsm = rt_engine_state(ctx);
    struct fsm_timer **at = &fsm->timers;
    int failed;

    if (msg->kind == RT_KIND_ENGINE) {
        rt_engine_refuse(ctx, -PLEX_INVALID, "it is no supervisor");
        return 0;
    }
    if (!fsm->begun)
        return begin(ctx, fsm, msg);
    if (is_begin(ctx, msg))
        return 0;
    if (msg->kind == PLEX_MSG_TIMER) {
        while (*at != NULL && (*at)->timer != rt_turn_of(ctx)->msg->number)
            at = &(*at)->next;
        if (*at != NULL) {
            failed = timer_fired(ctx, fsm, at);
            return failed != 0 ? failed : work_off(ctx, fsm);
        }
    }
    failed = handle_event(ctx, fsm, event_new(kind_of(msg), "", msg->tag), msg);
    return failed != 0 ? failed : work_off(ctx, fsm);
}

static int
engine_reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
             const void *payload, size_t len)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);

    if (behaviour->handle_reply == NULL)
        return 0;
    return behaviour->handle_reply(ctx, tag, status, payload, len);
}

static void
engine_terminate(struct plex_ctx *ctx, const char *reason)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);

    if (behaviour->terminate != NULL)
        behaviour->terminate(ctx, reason);
}

static void
events_fini(struct plex_ctx *ctx, struct fsm_events *events)
{
    struct fsm_event *event;

    if (events->end == NULL)
        return;
    while ((event = events_take(events)) != NULL) {
        if (event->kept != NULL)
            rt_drop(ctx, event->kept);
        event_free(event);
    }
}

static void
engine_fini(struct plex_ctx *ctx, void *state)
{
    struct fsm *fsm = state;

    events_fini(ctx, &fsm->waiting);
    events_fini(ctx, &fsm->postponed);
    events_fini(ctx, &fsm->inserted);
    if (fsm->wants_end != NULL)
        wants_free(fsm, NULL);
    while (fsm->timers != NULL)
        timer_remove(&fsm->timers);
}

const struct rt_engine rt_engine_fsm = {
    .state_size = sizeof(struct fsm),
    .init = engine_init,
    .handle = engine_handle,
    .reply = engine_reply,
    .terminate = engine_terminate,
    .fini = engine_fini,
};
