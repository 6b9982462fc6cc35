#ifndef SERVICES_WORKER_CORE_TURN_H
#define SERVICES_WORKER_CORE_TURN_H

#include "services/worker/client.h"

/* What turns of a type may do while one waits (docs/actors.md). */
enum work_reentrancy {
    WORK_REENTRANT_NONE = 0,
    WORK_REENTRANT_CHAIN = 1,  /* calls that the waiting turn led to run */
    WORK_REENTRANT_ALWAYS = 2, /* every message does */
};

/* What a handler asked for besides state and reply. */
enum work_output_kind {
    WORK_OUT_CAST = 1,
    WORK_OUT_CALL = 2,
    WORK_OUT_TIMER_SET = 3,
    WORK_OUT_TIMER_CANCEL = 4,
    WORK_OUT_CALL_CANCEL = 5, /* the run that answers it is to be cancelled */
};
struct work_output {
    enum work_output_kind kind;
    const char *type; /* cast, call: the receiver */
    const char *key;
    const char *timer; /* timers: the name */
    uint64_t delay_ms; /* timer: due; call: timeout */
    uint64_t tag;      /* call, its cancelling */
    struct plex_bytes payload;
};
/* Where a turn stands when the handler has returned or waits (run_log.h). */
enum work_phase {
    WORK_ENDED = 0,   /* the turn is over; it never waited */
    WORK_WAITS = 1,   /* for a reply, timer, promise or signal */
    WORK_COMMITS = 2, /* until everything so far is durable */
    WORK_CLOSED = 3,  /* the turn is over; it has waited */
    WORK_PARKED = 4,  /* cannot go on: waits for a WORK_RESOLVE "resume" */
    /* The turn waits, and others of the actor may run meanwhile: what it did so
     * far takes effect now. No reply yet. */
    WORK_YIELDS = 5,
    WORK_WAKES = 6, /* that turn wants to go on: it waits for RESUME */
    /* A run that waits has answered what was asked of it, and waits as before:
     * nothing but `reply` counts. */
    WORK_ANSWERS = 7,
};
struct work_outcome {
    enum work_phase phase; /* WORK_WAITS to WORK_PARKED: durable actors only */
    /* WAITS, COMMITS, PARKED: `state`, when changed, is the packed open run.
     * CLOSED: `state` is the user's, none without has_state. */
    bool has_state;
    const char *waits_for; /* WAITS, PARKED: for people; copied */
    bool failed;           /* state and outputs are then ignored */
    bool state_changed;
    struct plex_bytes state; /* when changed */
    struct plex_bytes reply; /* work_reply_pack()ed; also when failed */
    const struct work_output *outputs;
    size_t n_outputs;
    struct plex_bytes record; /* work_record_pack()ed; also when failed */
    /* The state after the turn is made by going through the record again:
     * nothing of it is written (record.h); `state`, when changed, is it. */
    bool rebuilds;
    /* Something must find the activation as it is (links, monitors): it is
     * not passivated for being idle until a turn says otherwise. */
    bool holds;
    bool takes;               /* WAITS: updates, too */
    struct plex_bytes answer; /* packed reply: an update has been carried out */
};

#endif
