#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/behaviour_fsm.h"
#include "runtime/core.h"

/* State machines: lists of events, timers, states, and what callbacks ask for
 * (plex_process_ops' fsm). Nothing of that takes place before they return. */

enum { FSM_NAME_MAX = 255 };

/* -- states -- */

const char *
rt_fsm_at_name(const struct fsm_at *at)
{
    return at->own != NULL ? at->own : at->row->name;
}

void
rt_fsm_at_clear(struct fsm_at *at)
{
    free(at->own);
    *at = (struct fsm_at){0};
}

bool
rt_fsm_is_any(const struct plex_fsm_state *row)
{
    return strcmp(row->name, PLEX_FSM_ANY) == 0;
}

/* -- lists -- */

void
rt_fsm_events_init(struct fsm_events *events)
{
    events->first = NULL;
    events->end = &events->first;
}

void
rt_fsm_events_add(struct fsm_events *events, struct fsm_event *event)
{
    event->next = NULL;
    *events->end = event;
    events->end = &event->next;
}

struct fsm_event *
rt_fsm_events_take(struct fsm_events *events)
{
    struct fsm_event *event = events->first;

    if (event == NULL)
        return NULL;
    events->first = event->next;
    if (events->first == NULL)
        events->end = &events->first;
    return event;
}

void
rt_fsm_events_prepend(struct fsm_events *to, struct fsm_events *from)
{
    if (from->first == NULL)
        return;
    *from->end = to->first;
    if (to->first == NULL)
        to->end = from->end;
    to->first = from->first;
    rt_fsm_events_init(from);
}

struct fsm_event *
rt_fsm_event_new(enum plex_fsm_event_kind kind, const char *name, uint64_t tag)
{
    struct fsm_event *event = plex_calloc(1, sizeof *event);

    event->kind = kind;
    event->name = plex_strdup(name);
    event->tag = tag;
    return event;
}

void
rt_fsm_event_free(struct fsm_event *event)
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

void
rt_fsm_timer_remove(struct fsm_timer **at)
{
    struct fsm_timer *timer = *at;

    *at = timer->next;
    free(timer->name);
    free(timer);
}

void
rt_fsm_timer_cancel(struct plex_ctx *ctx, struct fsm *fsm,
                    enum plex_fsm_event_kind kind, const char *name)
{
    struct fsm_timer **at = timer_find(fsm, kind, name);

    if (*at == NULL)
        return;
    if ((*at)->timer != 0)
        (void)plex_cancel_timer(ctx, (*at)->timer);
    rt_fsm_timer_remove(at);
}

/* The same one again replaces it. In the order in which they were set, as
 * those of 0 come. */
static void
want_do(struct plex_ctx *ctx, struct fsm *fsm, const struct fsm_want *want)
{
    struct fsm_timer *timer = *timer_find(fsm, want->kind, want->name);
    struct fsm_timer **at = &fsm->timers;

    if (want->update && timer != NULL) {
        timer->tag = want->tag;
        return;
    }
    rt_fsm_timer_cancel(ctx, fsm, want->kind, want->name);
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

void
rt_fsm_wants_free(struct fsm *fsm, struct plex_ctx *ctx)
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

/* -- what a callback may ask for -- */

/* Where the table begins with what is for all states, any name is one. */
static struct fsm_at
state_named(struct plex_ctx *ctx, struct fsm *fsm, const char *name)
{
    const struct plex_fsm_state *first = rt_behaviour(ctx)->fsm->states, *row;

    for (row = first; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0 && !rt_fsm_is_any(row))
            return (struct fsm_at){.row = row};
    }
    if (fsm->any != first || *name == '\0' || strlen(name) > FSM_NAME_MAX ||
        strcmp(name, PLEX_FSM_ANY) == 0)
        return (struct fsm_at){0};
    return (struct fsm_at){.row = first, .own = plex_strdup(name)};
}

static int
want_add(struct fsm *fsm, enum plex_fsm_event_kind kind, const char *name,
         uint64_t ms, uint64_t tag, bool update)
{
    struct fsm_want *want;

    if (kind == PLEX_FSM_TIMEOUT && (name == NULL || *name == '\0'))
        return -PLEX_INVALID;
    want = plex_calloc(1, sizeof *want);
    want->kind = kind;
    want->name = plex_strdup(kind == PLEX_FSM_TIMEOUT ? name : "");
    want->ms = ms;
    want->tag = tag;
    want->update = update;
    *fsm->wants_end = want;
    fsm->wants_end = &want->next;
    return 0;
}

static int
want_goto(struct plex_ctx *ctx, struct fsm *fsm, const char *name)
{
    struct fsm_at at = {0};

    if (name != NULL)
        at = state_named(ctx, fsm, name);
    if (at.row == NULL)
        return -PLEX_INVALID;
    rt_fsm_at_clear(&fsm->goes);
    fsm->goes = at;
    return 0;
}

/* One with a message of its own, from ourselves. */
static int
insert(struct plex_ctx *ctx, struct fsm *fsm, int verb,
       const struct plex_post *post)
{
    enum plex_fsm_event_kind kind =
        verb == PLEX_FSM_DO_NEXT_CAST   ? PLEX_FSM_CAST
        : verb == PLEX_FSM_DO_NEXT_INFO ? PLEX_FSM_INFO
                                        : PLEX_FSM_INTERNAL;
    struct fsm_event *event;
    struct rt_msg *msg = rt_msg_post(
        rt_turn_of(ctx)->fiber->exec, post,
        (enum rt_kind)(kind == PLEX_FSM_CAST ? PLEX_MSG_CAST : PLEX_MSG_INFO));

    if (msg == NULL)
        return -PLEX_LIMIT;
    msg->from = plex_self_ref(ctx);
    event = rt_fsm_event_new(kind, "", post->tag);
    event->kept = msg;
    rt_fsm_events_add(&fsm->inserted, event);
    return 0;
}

/* What an enter call may ask for: nothing that is about the event. */
static bool
entering_may(int verb)
{
    return verb >= PLEX_FSM_DO_STATE_TIMEOUT &&
           verb <= PLEX_FSM_DO_TIMEOUT_UPDATE;
}

const char *
rt_fsm_state(struct plex_ctx *ctx)
{
    struct fsm *fsm;

    if (rt_behaviour(ctx)->fsm == NULL)
        return NULL;
    fsm = rt_engine_state(ctx);
    return fsm == NULL || fsm->at.row == NULL ? NULL : rt_fsm_at_name(&fsm->at);
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
    if (fsm->entering && !entering_may(verb))
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
        rt_fsm_events_add(&fsm->inserted,
                          rt_fsm_event_new(PLEX_FSM_INTERNAL, "", tag));
        return 0;
    case PLEX_FSM_DO_STATE_TIMEOUT:
        return want_add(fsm, PLEX_FSM_STATE_TIMEOUT, "", number, tag, false);
    case PLEX_FSM_DO_EVENT_TIMEOUT:
        return want_add(fsm, PLEX_FSM_EVENT_TIMEOUT, "", number, tag, false);
    case PLEX_FSM_DO_TIMEOUT:
        return want_add(fsm, PLEX_FSM_TIMEOUT, text, number, tag, false);
    case PLEX_FSM_DO_STATE_UPDATE:
        return want_add(fsm, PLEX_FSM_STATE_TIMEOUT, "", 0, tag, true);
    case PLEX_FSM_DO_EVENT_UPDATE:
        return want_add(fsm, PLEX_FSM_EVENT_TIMEOUT, "", 0, tag, true);
    case PLEX_FSM_DO_TIMEOUT_UPDATE:
        return want_add(fsm, PLEX_FSM_TIMEOUT, text, 0, tag, true);
    case PLEX_FSM_DO_NEXT_INTERNAL:
    case PLEX_FSM_DO_NEXT_CAST:
    case PLEX_FSM_DO_NEXT_INFO:
        return insert(ctx, fsm, verb,
                      &(struct plex_post){
                          .tag = tag, .payload = text, .len = (size_t)number});
    default:
        return -PLEX_INVALID;
    }
}
