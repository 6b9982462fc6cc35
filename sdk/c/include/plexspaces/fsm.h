#ifndef PLEXSPACES_FSM_H
#define PLEXSPACES_FSM_H

#include "process.h"

/*
 * A state machine in the manner of OTP's gen_statem. A behaviour whose `fsm`
 * points here is one; it needs no other callbacks but, when it has arguments,
 * `init`, which calls plex_fsm_goto() when the first state is not that of the
 * first row, and `terminate`.
 *
 * A row PLEX_FSM_ANY is for all states: its function gets the events of those
 * rows that have none. When it is the first row (handle_event_function), every
 * name is a state (at most 255 bytes), and init has to choose the first one.
 * plex_fsm_state() is the state that the machine is in.
 *
 * Order of things, as gen_statem documents it: an event is handled; then the
 * transition takes place (state timeout cancelled if the state changed, enter
 * call); then postponed events are retried, oldest first, if the state
 * changed; then events inserted by plex_fsm_next_event(), in their order,
 * before anything that waits in the mailbox; timeouts of 0 after those.
 */
#define PLEX_FSM_ANY "*"
enum plex_fsm_event_kind {
    PLEX_FSM_CALL = 1, /* answer with plex_reply, or plex_reply_later */
    PLEX_FSM_CAST,
    PLEX_FSM_INFO,
    PLEX_FSM_INTERNAL,      /* plex_fsm_next_event() */
    PLEX_FSM_STATE_TIMEOUT, /* dies when the state changes */
    PLEX_FSM_EVENT_TIMEOUT, /* dies with the next event */
    PLEX_FSM_TIMEOUT,       /* generic, by name: lives until it fires */
    PLEX_FSM_ENTER,         /* the state was entered; msg is NULL */
};
struct plex_fsm_event {
    enum plex_fsm_event_kind kind;
    /* CALL, CAST, INFO, and INTERNAL with a payload; else NULL. */
    const struct plex_msg *msg;
    const char *name; /* TIMEOUT: its name; ENTER: the old state */
    uint64_t tag;     /* the message's, or what the timeout got */
};
struct plex_fsm_state {
    const char *name; /* a row without a name ends the table */
    /* 0, or fail: the process exits. NULL: that of PLEX_FSM_ANY. */
    int (*handle)(struct plex_ctx *ctx, const struct plex_fsm_event *event);
    bool enter; /* also called with PLEX_FSM_ENTER */
};
struct plex_fsm {
    const struct plex_fsm_state *states; /* the first is the initial one */
};
enum plex_fsm_verb {
    PLEX_FSM_DO_GOTO = 1, /* text: state; the same one: no transition */
    PLEX_FSM_DO_REPEAT,   /* as if entered again */
    PLEX_FSM_DO_POSTPONE, /* not in ENTER */
    PLEX_FSM_DO_NEXT_EVENT,
    PLEX_FSM_DO_STATE_TIMEOUT, /* ms; UINT64_MAX cancels */
    PLEX_FSM_DO_EVENT_TIMEOUT,
    PLEX_FSM_DO_TIMEOUT, /* text: its name */
    PLEX_FSM_DO_STATE_UPDATE,
    PLEX_FSM_DO_EVENT_UPDATE,
    PLEX_FSM_DO_TIMEOUT_UPDATE,
    PLEX_FSM_DO_NEXT_INTERNAL, /* text: payload; number: its length */
    PLEX_FSM_DO_NEXT_CAST,
    PLEX_FSM_DO_NEXT_INFO,
};
/* Each gives 0, or PLEX_E_INVALID for an unknown state or a verb that is not
 * allowed here. */

/* NULL: this is no state machine, or none that has begun. */
static inline const char *
plex_fsm_state(struct plex_ctx *ctx)
{
    return ctx->process->fsm_state(ctx);
}
#define plex_fsm_goto(ctx, state) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_GOTO, (state), 0, 0))
#define plex_fsm_repeat_state(ctx) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_REPEAT, "", 0, 0))
#define plex_fsm_postpone(ctx) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_POSTPONE, "", 0, 0))
#define plex_fsm_next_event(ctx, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_NEXT_EVENT, "", 0, (tag)))
#define plex_fsm_state_timeout(ctx, ms, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_STATE_TIMEOUT, "", (ms), (tag)))
#define plex_fsm_event_timeout(ctx, ms, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_EVENT_TIMEOUT, "", (ms), (tag)))
#define plex_fsm_timeout(ctx, name, ms, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_TIMEOUT, (name), (ms), (tag)))
/* Give a timeout that runs another tag; one that does not run is due at once.
 */
#define plex_fsm_state_timeout_update(ctx, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_STATE_UPDATE, "", 0, (tag)))
#define plex_fsm_event_timeout_update(ctx, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_EVENT_UPDATE, "", 0, (tag)))
#define plex_fsm_timeout_update(ctx, name, tag) \
    ((ctx)->process->fsm((ctx), PLEX_FSM_DO_TIMEOUT_UPDATE, (name), 0, (tag)))

/* As plex_fsm_next_event(), with a payload (copied) and of a kind: INTERNAL, or
 * CAST or INFO as if this process had sent it. Others: PLEX_E_INVALID. */
static inline int
plex_fsm_next_event_of(struct plex_ctx *ctx, enum plex_fsm_event_kind kind,
                       uint64_t tag, const void *payload, size_t len)
{
    int verb = kind == PLEX_FSM_INTERNAL ? PLEX_FSM_DO_NEXT_INTERNAL
               : kind == PLEX_FSM_CAST   ? PLEX_FSM_DO_NEXT_CAST
               : kind == PLEX_FSM_INFO   ? PLEX_FSM_DO_NEXT_INFO
                                         : 0;

    return ctx->process->fsm(ctx, verb, (const char *)payload, len, tag);
}

#endif
