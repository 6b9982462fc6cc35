#ifndef PLEXSPACES_FSM_H
#define PLEXSPACES_FSM_H

#include "process.h"

/*
 * A state machine in the manner of OTP's gen_statem with state functions. A
 * behaviour whose `fsm` points here is one; it needs no other callbacks but,
 * when it has arguments, `init`, which must call plex_fsm_goto() for the first
 * state, and `terminate`.
 *
 * Order of things, as gen_statem documents it: an event is handled; then the
 * transition takes place (state timeout cancelled if the state changed, enter
 * call); then postponed events are retried, oldest first, if the state
 * changed; then events inserted by plex_fsm_next_event(), in their order,
 * before anything that waits in the mailbox; timeouts of 0 after those.
 */
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
    const struct plex_msg *msg; /* CALL, CAST, INFO; else NULL */
    const char *name;           /* TIMEOUT: its name; ENTER: the old state */
    uint64_t tag;               /* the message's, or what the timeout got */
};
struct plex_fsm_state {
    const char *name; /* a row without a name ends the table */
    /* 0, or fail: the process exits. */
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
};
/* Each gives 0, or PLEX_E_INVALID for an unknown state or a verb that is not
 * allowed here. */

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

#endif
