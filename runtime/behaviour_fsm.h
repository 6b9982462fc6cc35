#ifndef RUNTIME_BEHAVIOUR_FSM_H
#define RUNTIME_BEHAVIOUR_FSM_H

#include "runtime/behaviour.h"

/* What a state machine holds between its callbacks. */

struct fsm_event { /* one that waits in here */
    struct fsm_event *next;
    enum plex_fsm_event_kind kind;
    struct rt_msg *kept; /* CALL, CAST, INFO; INTERNAL: may have one */
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
    bool update; /* only what it says, if it runs */
};
struct fsm_at { /* a state */
    const struct plex_fsm_state *row;
    char *own; /* name of one without a row of its own; NULL */
};
struct fsm {
    struct fsm_at at;
    const struct plex_fsm_state *any; /* for all states; NULL */
    bool begun;                       /* the first state was entered */
    struct fsm_events waiting, postponed;
    struct fsm_timer *timers;
    /* What the callback under way asked for. */
    bool in_callback, entering;
    struct fsm_at goes; /* row NULL: nowhere */
    char *before;       /* while another state is entered: its own name */
    bool repeats, postpones;
    struct fsm_events inserted;
    struct fsm_want *wants, **wants_end;
};

void rt_fsm_events_init(struct fsm_events *events);
void rt_fsm_events_add(struct fsm_events *events, struct fsm_event *event);
struct fsm_event *rt_fsm_events_take(struct fsm_events *events);
/* All of `from` before all of `to`. */
void rt_fsm_events_prepend(struct fsm_events *to, struct fsm_events *from);
struct fsm_event *rt_fsm_event_new(enum plex_fsm_event_kind kind,
                                   const char *name, uint64_t tag);
void rt_fsm_event_free(struct fsm_event *event);

void rt_fsm_timer_remove(struct fsm_timer **at);
void rt_fsm_timer_cancel(struct plex_ctx *ctx, struct fsm *fsm,
                         enum plex_fsm_event_kind kind, const char *name);
/* What callbacks asked for takes place; without ctx it is dropped. */
void rt_fsm_wants_free(struct fsm *fsm, struct plex_ctx *ctx);

const char *rt_fsm_at_name(const struct fsm_at *at);
void rt_fsm_at_clear(struct fsm_at *at);
bool rt_fsm_is_any(const struct plex_fsm_state *row);

#endif
