#ifndef SERVICES_WORKER_CORE_JOURNALS_H
#define SERVICES_WORKER_CORE_JOURNALS_H

#include "services/journal/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

/*
 * Several journals may share a store, each for a range of the shards. Who
 * writes what does not matter to what is stored: the store checks epochs,
 * sequences and ids. It matters to the order: what an actor writes goes through
 * one journal, and when the ranges change nothing more goes out until
 * everything that did is answered. Journals do not wait for each other
 * otherwise: each has its own batches.
 */
struct work_core;
struct work_time;

/* There are `n` (1..JOURNAL_REPLICAS_MAX) from now on, or other ones. */
void work_core_journals(struct work_core *core, uint32_t n);
/* Which one, from 0, a shard belongs to. */
uint32_t work_core_journal_of(const struct work_core *core, uint32_t shard);

/* What follows is private to the core. */
struct write;
struct journal_outlet {
    TAILQ_HEAD(write_list, write) unwritten;
    size_t appends; /* in flight */
};
struct journal_outlets {
    struct journal_outlet at[JOURNAL_REPLICAS_MAX];
    uint32_t n, wanted;
    bool changing; /* as soon as nothing is in flight */
};
void work_outlets_init(struct journal_outlets *outlets);
struct journal_outlet *work_outlet(struct work_core *core, uint32_t shard);
/* False: nothing may go out now. */
bool work_outlets_open(struct work_core *core);

#endif
