#ifndef SERVICES_TUPLESPACE_ENGINE_SCATTER_H
#define SERVICES_TUPLESPACE_ENGINE_SCATTER_H

#include "services/tuplespace/engine/part.h"

#include "common/err.h"

/*
 * One request to several shards, as a pure state machine: steps come out, what
 * became of them goes in.
 *
 * The shards are asked one after the other, until there are as many tuples as
 * are wanted (a take: any), or all have been asked. That is not one moment: a
 * tuple that comes to a shard which has answered already is not seen.
 *
 * When nothing was found and the request waits, all shards are asked at once
 * to wait. A take waits for a claim: of the shards that then have one, the
 * first one's is confirmed and the answer, and all others are released. So a
 * tuple goes to one taker or returns, whoever dies in between: a claim that
 * nobody confirms lapses.
 */
enum { TSPACE_SCATTER_MAX = TSPACE_PARTS + 1 };

struct tspace_scatter_plan {
    uint8_t shards[TSPACE_SCATTER_MAX]; /* in the order of asking; any order */
    uint32_t n;
    uint64_t want; /* tuples; 0: all shards are asked, their answers added up */
    bool take, wait;
    bool may_miss; /* NOT_FOUND of some is nothing, of all NOT_FOUND */
};

enum tspace_scatter_kind {
    TSPACE_SCATTER_ASK,     /* for `want` tuples, or its number, now */
    TSPACE_SCATTER_WAIT,    /* for a tuple; a take with a claim */
    TSPACE_SCATTER_CONFIRM, /* the claim */
    TSPACE_SCATTER_RELEASE, /* the claim; no answer is wanted */
    TSPACE_SCATTER_CANCEL,  /* the wait; no answer is wanted any more */
    TSPACE_SCATTER_END,     /* the last one */
};
struct tspace_scatter_step {
    enum tspace_scatter_kind kind;
    uint32_t at;             /* plan.shards[at] */
    uint64_t want;           /* ASK */
    enum plex_status status; /* END; its text is that of what failed last */
    bool more; /* END: tuples may be left, at shards[at] and after it */
};

struct tspace_scatter {
    struct tspace_scatter_plan plan;
    enum { SCATTER_TURN, SCATTER_WAIT, SCATTER_CONFIRM, SCATTER_OVER } state;
    uint32_t at;      /* TURN: who is asked */
    uint32_t waiting; /* WAIT: a bit for each that was asked and is silent */
    uint32_t winner;
    uint32_t answered; /* OK */
    uint64_t got;
    struct tspace_scatter_step steps[4 * TSPACE_SCATTER_MAX];
    uint32_t first, n;
};

void tspace_scatter_begin(struct tspace_scatter *scatter,
                          const struct tspace_scatter_plan *plan);
/* Of an ASK, a WAIT or the CONFIRM. `n`: tuples, or the number. `more`: this
 * shard has tuples left. */
void tspace_scatter_result(struct tspace_scatter *scatter, uint32_t at,
                           enum plex_status status, uint64_t n, bool more);
/* The caller is gone: whoever waits is told, and it ends CANCELLED. */
void tspace_scatter_abandon(struct tspace_scatter *scatter);
/* The next step, which is carried out now. */
bool tspace_scatter_next(struct tspace_scatter *scatter,
                         struct tspace_scatter_step *out);

#endif
