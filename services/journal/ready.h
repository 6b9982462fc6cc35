#ifndef SERVICES_JOURNAL_READY_H
#define SERVICES_JOURNAL_READY_H

#include "services/journal/store.h"
#include "services/registry/client.h"

/*
 * Whether this journal is announced as READY: its store is open, and no other
 * one is used that keeps another store. What was written there would not be
 * known here, and actors would go on from an older state, so the one that comes
 * later waits, and says why.
 */
struct journal_ready {
    struct reg_client *registry;
    const char *node;
    char shared[PLEX_KEY_MAX + 1]; /* journal_store_shared() */
    char other[128];               /* whose store is another; "" for none */
    char closed[PLEX_ERR_TEXT_MAX];
    bool open, catalogued, draining;
};

/* Both are borrowed. */
void journal_ready_init(struct journal_ready *ready,
                        struct reg_client *registry, const char *node);
void journal_ready_open(struct journal_ready *ready,
                        const struct journal_store *store);
void journal_ready_closed(struct journal_ready *ready, const char *why);
void journal_ready_drain(struct journal_ready *ready);
/* Each catalogue that comes. */
void journal_ready_catalog(struct journal_ready *ready,
                           const struct reg_catalog *catalog);

#endif
