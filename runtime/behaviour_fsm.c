#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/around.h"
#include "runtime/behaviour_fsm.h"

/*
 * State machines in the manner of gen_statem. One message at a time comes in;
 * what it leads to (inserted events, postponed ones that are due again,
 * timeouts of 0) is worked off before the next one is taken.
 */
enum { FSM_BEGIN_TAG = 0x66736d62 };

/* -- transitions -- */

static int
call(struct plex_ctx *ctx, struct fsm *fsm, const struct plex_fsm_event *event)
{
    const struct plex_fsm_state *row =
        fsm->at.row->handle != NULL ? fsm->at.row : fsm->any;
    int failed;

    fsm->in_callback = true;
    fsm->entering = event->kind == PLEX_FSM_ENTER;
    failed = row->handle(ctx, event);
    fsm->in_callback = false;
    fsm->entering = false;
    return failed;
}

static int
enter(struct plex_ctx *ctx, struct fsm *fsm, const char *before)
{
    const struct plex_fsm_event event = {.kind = PLEX_FSM_ENTER,
                                         .name = before};

    return fsm->at.row->enter ? call(ctx, fsm, &event) : 0;
}

/* The callback for `event` is done: what it asked for takes place, in the
 * order that gen_statem documents. Takes the event. */
static int
transition(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_event *event)
{
    struct fsm_at before = fsm->at;
    bool changes =
        fsm->goes.row != NULL &&
        strcmp(rt_fsm_at_name(&fsm->goes), rt_fsm_at_name(&fsm->at)) != 0;
    int failed = 0;

    if (changes) {
        rt_fsm_timer_cancel(ctx, fsm, PLEX_FSM_STATE_TIMEOUT, "");
        fsm->at = fsm->goes;
        fsm->goes = (struct fsm_at){0};
        fsm->before = before.own;
    }
    if (event != NULL && fsm->postpones)
        rt_fsm_events_add(&fsm->postponed, event);
    else if (event != NULL)
        rt_fsm_event_free(event);
    if (changes || fsm->repeats || !fsm->begun)
        failed = enter(ctx, fsm, rt_fsm_at_name(&before));
    free(fsm->before);
    fsm->before = NULL;
    fsm->begun = true;
    rt_fsm_at_clear(&fsm->goes);
    fsm->repeats = fsm->postpones = false;
    if (failed != 0)
        return failed;
    if (changes)
        rt_fsm_events_prepend(&fsm->waiting, &fsm->postponed);
    rt_fsm_events_prepend(&fsm->waiting, &fsm->inserted);
    rt_fsm_wants_free(fsm, ctx);
    return 0;
}

/* -- events -- */

static void
events_fini(struct plex_ctx *ctx, struct fsm_events *events)
{
    struct fsm_event *event;

    if (events->end == NULL)
        return;
    while ((event = rt_fsm_events_take(events)) != NULL) {
        if (event->kept != NULL)
            rt_drop(ctx, event->kept);
        rt_fsm_event_free(event);
    }
}

struct visit {
    struct fsm *fsm;
    const struct plex_fsm_event *event;
};

static int
visit_deliver(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct visit *visit = arg;
    struct plex_fsm_event event = *visit->event;

    event.msg = msg;
    return call(ctx, visit->fsm, &event);
}

/* What a failed attempt has asked for is not done. */
static void
visit_undo(struct plex_ctx *ctx, void *arg)
{
    struct fsm *fsm = ((struct visit *)arg)->fsm;

    rt_fsm_at_clear(&fsm->goes);
    fsm->repeats = fsm->postpones = false;
    events_fini(ctx, &fsm->inserted);
    rt_fsm_wants_free(fsm, NULL);
}

/* A message through the machine's facets, if it has some. */
static int
call_message(struct plex_ctx *ctx, struct fsm *fsm,
             const struct plex_fsm_event *event)
{
    struct visit visit = {fsm, event};
    const struct rt_around_use use = {visit_deliver, visit_undo, &visit};

    if (event->kind > PLEX_FSM_INFO ||
        rt_turn_of(ctx)->proc->engine != &rt_engine_around)
        return call(ctx, fsm, event);
    return rt_around_run(ctx, event->msg, &use);
}

/* Call the state with it; `msg` is there for what has one. Takes the event. */
static int
handle_event(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_event *event,
             const struct plex_msg *msg)
{
    const struct plex_fsm_event said = {.kind = event->kind,
                                        .msg = msg,
                                        .name = event->name,
                                        .tag = event->tag};
    int failed;

    rt_fsm_timer_cancel(ctx, fsm, PLEX_FSM_EVENT_TIMEOUT, "");
    failed = call_message(ctx, fsm, &said);
    if (failed != 0 || rt_turn_of(ctx)->exiting) {
        rt_fsm_event_free(event);
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
    event = rt_fsm_event_new((*at)->kind, (*at)->name, (*at)->tag);
    rt_fsm_timer_remove(at);
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
        event = rt_fsm_events_take(&fsm->waiting);
        if (event == NULL)
            event = zero_take(fsm);
        if (event == NULL)
            break;
        if (event->kept == NULL) {
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
        event = rt_fsm_event_new(kind_of(msg), "", msg->tag);
        event->kept = rt_keep(ctx);
    }
    failed = transition(ctx, fsm, NULL);
    if (event != NULL)
        rt_fsm_events_add(&fsm->waiting, event);
    return failed != 0 ? failed : work_off(ctx, fsm);
}

/* The first state is that of the table's first row, unless that is for all
 * states: then init has to say it, as in OTP. NULL, or what is wrong. */
static const char *
table_check(const struct plex_fsm *table, struct fsm *fsm)
{
    const struct plex_fsm_state *row = table->states;
    bool lacks = false;

    if (row == NULL || row->name == NULL)
        return "a state machine without states";
    for (; row->name != NULL; row++) {
        if (rt_fsm_is_any(row))
            fsm->any = row;
        lacks |= row->handle == NULL;
    }
    if (lacks && (fsm->any == NULL || fsm->any->handle == NULL))
        return "a state without a function, and none for all states";
    return NULL;
}

/* The first state is entered when the start is over, as in OTP: who started
 * this one does not wait for that. */
static int
engine_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    struct fsm *fsm = rt_engine_state(ctx);
    const char *wrong = table_check(behaviour->fsm, fsm);
    int failed = 0;

    rt_fsm_events_init(&fsm->waiting);
    rt_fsm_events_init(&fsm->postponed);
    rt_fsm_events_init(&fsm->inserted);
    fsm->wants_end = &fsm->wants;
    if (wrong != NULL)
        return plex_fail(ctx, wrong);
    fsm->in_callback = true;
    if (behaviour->init != NULL)
        failed = behaviour->init(ctx, args, len);
    fsm->in_callback = false;
    fsm->at = fsm->goes;
    fsm->goes = (struct fsm_at){0};
    if (fsm->at.row == NULL && fsm->any != behaviour->fsm->states)
        fsm->at.row = behaviour->fsm->states;
    if (failed == 0 && fsm->at.row == NULL && !rt_turn_of(ctx)->exiting)
        return plex_fail(ctx, "init chose no first state");
    if (failed == 0)
        plex_send(ctx, plex_self_ref(ctx), FSM_BEGIN_TAG, NULL, 0);
    return failed;
}

static int
timer_fired(struct plex_ctx *ctx, struct fsm *fsm, struct fsm_timer **at)
{
    struct fsm_event *event =
        rt_fsm_event_new((*at)->kind, (*at)->name, (*at)->tag);

    rt_fsm_timer_remove(at);
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
    failed = handle_event(ctx, fsm,
                          rt_fsm_event_new(kind_of(msg), "", msg->tag), msg);
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
engine_fini(struct plex_ctx *ctx, void *state)
{
    struct fsm *fsm = state;

    events_fini(ctx, &fsm->waiting);
    events_fini(ctx, &fsm->postponed);
    events_fini(ctx, &fsm->inserted);
    if (fsm->wants_end != NULL)
        rt_fsm_wants_free(fsm, NULL);
    while (fsm->timers != NULL)
        rt_fsm_timer_remove(&fsm->timers);
    rt_fsm_at_clear(&fsm->at);
    rt_fsm_at_clear(&fsm->goes);
    free(fsm->before);
}

const struct rt_engine rt_engine_fsm = {
    .state_size = sizeof(struct fsm),
    .init = engine_init,
    .handle = engine_handle,
    .reply = engine_reply,
    .terminate = engine_terminate,
    .fini = engine_fini,
};
