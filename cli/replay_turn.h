#ifndef CLI_REPLAY_TURN_H
#define CLI_REPLAY_TURN_H

#include "sdk/c/include/plexspaces/actor.h"
#include "services/journal/export.h"

/*
 * Recorded turns, run again with a behaviour: each gets what it got then (its
 * state, message, time, random numbers, results of effects), and what it does
 * is compared with what was written. Nothing is carried out.
 */
struct replay;
enum replay_kind {
    REPLAY_SAME = 1,
    REPLAY_DIFFERS,
    REPLAY_SKIPPED, /* it cannot be run again: why says what is missing */
};
struct replay_verdict {
    enum replay_kind kind;
    char why[1600]; /* "" when it is the same; else both sides */
};

/* `head` stays valid. */
struct replay *replay_create(const struct plex_behaviour *behaviour,
                             const struct journal_export_head *head);
void replay_free(struct replay *replay); /* accepts NULL */
/* Run the turn that comes next. */
void replay_turn(struct replay *replay, const struct journal_past_turn *turn,
                 struct replay_verdict *verdict);
/* The actor is as it was recorded after that turn; each turn in order, whether
 * it was run or not. */
void replay_advance(struct replay *replay,
                    const struct journal_past_turn *turn);
/* "same", "differs", "skipped" */
const char *replay_says(enum replay_kind kind);

#endif
