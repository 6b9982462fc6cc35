#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "services/journal/store.h"
#include "tests/sim/sim.h"

/*
 * The guarantees, checked while the run goes on.
 *
 * Every actor of the run has an index, its "key". A durable actor's state is
 * the list of the operations it has applied, in order, so what the journal
 * commits says exactly what happened:
 *
 * G1  no operation is in a list twice; an acknowledged increment is in it, at
 *     the place its reply said; an operation that was refused as "not carried
 *     out" never is. A volatile actor runs no operation twice.
 * G2  what an actor sent to another arrives there in the order of its turns.
 * G3  the journal accepts no epoch older than one it has accepted, and no two
 *     workers with valid leases own one shard.
 * G4  a reply leaves only after its turn is committed, and what is committed
 *     can be loaded after every crash.
 * And the counter is linearizable: a reply lies between what was finished
 * before the call began and what is committed when it arrives.
 */
enum {
    SIM_COUNTERS = 4,  /* keys 0..3, of type counter; the first two are hot */
    SIM_VOLATILES = 2, /* 4..5, counter-volatile */
    SIM_RELAYS = 2,    /* 6..7, relay: tells each increment to its sink */
    SIM_SINKS = 2,     /* 8..9 */
    SIM_FLOWS = 3,     /* 10..12, flow: runs that wait (flow.h) */
    SIM_BANKS = 1,     /* 13, bank: what flows call */
    SIM_LEDGERS = 1,   /* 14, ledger: event-sourced */
    SIM_TALLIES = 2,   /* 15..16, tally: flows tell them how far they are */
    SIM_FIRST_SINK = SIM_COUNTERS + SIM_VOLATILES + SIM_RELAYS,
    SIM_FIRST_FLOW = SIM_FIRST_SINK + SIM_SINKS,
    SIM_FIRST_BANK = SIM_FIRST_FLOW + SIM_FLOWS,
    SIM_FIRST_LEDGER = SIM_FIRST_BANK + SIM_BANKS,
    SIM_FIRST_TALLY = SIM_FIRST_LEDGER + SIM_LEDGERS,
    SIM_ACTORS = SIM_FIRST_TALLY + SIM_TALLIES,
};
enum sim_behaviour {
    SIM_COUNTER,
    SIM_VOLATILE,
    SIM_RELAY,
    SIM_SINK,
    SIM_TALLY,
    SIM_FLOW,
    SIM_BANK,
    SIM_LEDGER,
    SIM_BEHAVIOURS,
};
const char *sim_type_name(enum sim_behaviour behaviour);

enum sim_behaviour sim_behaviour_of(int key);
struct plex_actor_id sim_actor(int key);
/* -1 when it is none of ours. */
int sim_key_of(const struct plex_actor_id *actor);

/* What a client wants; `number` names the operation in states. */
enum sim_what { SIM_INCREMENT = 1, SIM_GET = 2 };
struct sim_payload {
    uint32_t what;
    uint32_t number;
};
/* What an actor answers. */
struct sim_count {
    uint32_t count;
    uint32_t number;
};

void sim_check_init(struct sim *sim);
void sim_check_fini(struct sim *sim);

/* A client begins an operation; returns its number. */
uint32_t sim_check_begin(struct sim *sim, int key, enum sim_what what,
                         bool keyed);
/* A keyed one is asked for again. */
void sim_check_again(struct sim *sim, uint32_t number);
/* Its outcome at the client. `unknown`: it may have happened. */
void sim_check_replied(struct sim *sim, uint32_t number, uint32_t count);
void sim_check_refused(struct sim *sim, uint32_t number, bool unknown);
/* Its run ended as failed, which is an answer. */
void sim_check_failed(struct sim *sim, uint32_t number);
bool sim_check_answered(const struct sim *sim, uint32_t number);
/* How many operations of an actor are committed. */
uint32_t sim_check_count(const struct sim *sim, int key);
/* Has the bank booked it, durably? */
bool sim_check_booked(const struct sim *sim, uint32_t number);
/* Its run has ended well: both tallies are to hear of it, once. */
void sim_check_owe(struct sim *sim, uint32_t number);
/* A worker runs a handler of a volatile actor. */
void sim_check_ran(struct sim *sim, int key, uint32_t number);
/* The journal's disk has this now. */
void sim_check_committed(struct sim *sim, const struct journal_commit *commit);
/* After each crash of the journal, and at the end. */
void sim_check_store(struct sim *sim, struct journal_store *store);
/* After each table or lease of a worker. */
void sim_check_leases(struct sim *sim);
/* Has every message between actors arrived? */
bool sim_check_quiet(const struct sim *sim);
/* When all is quiet. */
void sim_check_end(struct sim *sim);

struct sim_check_counts {
    uint64_t ops, acked, commits, turns;
};
struct sim_check_counts sim_check_counts(const struct sim *sim);

/* Of node_worker.c: does the worker believe, with a valid lease, that it owns
 * the actor's shard? */
bool sim_worker_owns(const struct sim *sim, const struct sim_node *node,
                     const struct plex_actor_id *actor, uint64_t *epoch);

#endif
