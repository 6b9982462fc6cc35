#ifndef TESTS_SIM_CONFIG_H
#define TESTS_SIM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* What happens at one boundary of a scripted run (boundary.h). */
enum sim_strike_kind {
    SIM_CRASH,       /* of the node that is at it; it does not pass it */
    SIM_CRASH_PEER,  /* of the other side, which may not know yet */
    SIM_STOP,        /* of the node, for longer than a lease, behind it */
    SIM_LOSE,        /* the connection, and what is on it */
    SIM_UPGRADE,     /* other code is deployed */
    SIM_CLOCK_BACK,  /* of the node, by two minutes, for a second */
    SIM_CLOCK_AHEAD, /* by 15 s */
    SIM_DAMAGE,      /* the newest snapshots, and the journal crashes */
    SIM_STRIKES,
};
const char *sim_strike_name(enum sim_strike_kind kind);
struct sim_strike {
    uint64_t at; /* from 1; 0: never */
    enum sim_strike_kind kind;
};
enum { SIM_STRIKES_MAX = 2 };

struct sim_config {
    uint64_t seed;
    uint64_t steps_max;
    bool trace;       /* keep lines */
    bool trace_print; /* as they come */
    bool script;      /* few calls, and no faults but `strikes` */
    struct sim_strike strikes[SIM_STRIKES_MAX];
    bool unsafe_no_fencing;
    bool unsafe_no_dedup;
    bool unsafe_reply_before_commit;
    bool unsafe_effects_again; /* a replay does not look at the log */
    bool unsafe_two_at_once;   /* who waited goes on without being asked to */
    bool unsafe_casts_again;   /* a replay tells again what it has told */
    bool unsafe_updates_lost;  /* a replay leaves out what it was asked */
    bool unsafe_timer_early;
    bool unsafe_timer_edge;
    bool unsafe_timer_unseen;
    bool unsafe_no_undo;    /* a run that was replayed forgets to undo */
    bool unsafe_lost_write; /* a commit is confirmed and was not written */
    bool unsafe_torn_write; /* one in a crash is written without messages */
};

struct sim_outcome {
    bool ok;
    char failure[400];
    uint64_t steps, ops, acked, commits, boundaries;
    uint64_t digest; /* of everything that happened */
};
/* run.c: true when every guarantee held. */
bool sim_run(const struct sim_config *config, struct sim_outcome *outcome);

/* every.c: a strike at each boundary of a scripted run, all of them or every
 * `stride`th, and `pairs` times two strikes at random. */
struct sim_every {
    uint64_t first, last; /* seeds */
    uint64_t stride, pairs;
    uint64_t seconds; /* begin no run after this; 0: no limit */
};
int sim_every(const struct sim_config *config, const struct sim_every *every);

#endif
