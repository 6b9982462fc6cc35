#ifndef TESTS_CONTRACT_WORKER_SOURCED_H
#define TESTS_CONTRACT_WORKER_SOURCED_H

#include "sdk/c/include/plexspaces/sourced.h"
#include "services/journal/store.h"
#include "services/worker/handler.h"

/*
 * A worker's core, the SDK's side of its turns and a journal's store (TEST_DSN
 * as in the contract suite of the journal), in one thread. A crash throws the
 * worker away, with or without what it was writing.
 */
enum { SOURCED_ANSWERS_MAX = 4096 };

struct sourced_answer {
    bool given;
    enum plex_status status;
    bool failed, replayed;
    char text[512];
    char payload[128];
};
struct sourced {
    struct journal_store *store;
    struct work_core *core;
    struct work_handler *handler;
    struct work_type type;
    struct work_time t;
    uint64_t epoch;
    uint64_t calls;
    struct sourced_answer answers[SOURCED_ANSWERS_MAX];
    bool unnamed;    /* calls without an id of theirs have none at all */
    size_t crash_at; /* counts appends down; 0: before it, 1: after it */
    bool crash_written;
    bool crashed;
    size_t n_loads, n_restores, n_records, n_snapshots;
    char folder[64], dsn[512];
    struct plex_arena arena;
};

/* False, having said why: there is nothing to test against. */
bool sourced_open(struct sourced *s, const struct plex_behaviour *behaviour);
void sourced_close(struct sourced *s);
/* Another module, or another worker: all activations are gone. */
void sourced_restart(struct sourced *s, const struct plex_behaviour *behaviour);
/* A call with that message id (NULL: a fresh one). */
const struct sourced_answer *sourced_call(struct sourced *s, const char *key,
                                          const char *payload, const char *id);
/* The journal opens its files again. */
void sourced_reopen(struct sourced *s);
/* What the journal has of an actor, without the worker. */
struct journal_was sourced_at(struct sourced *s, const char *key, uint64_t seq);
struct journal_past sourced_history(struct sourced *s, const char *key,
                                    uint64_t first);
void sourced_sql(struct sourced *s, const char *text);
bool sourced_is(const char *scheme);

#endif
