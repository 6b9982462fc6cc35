#ifndef SERVICES_JOURNAL_CHAIN_H
#define SERVICES_JOURNAL_CHAIN_H

#include "services/journal/store_lib.h"

/*
 * The chain of an actor's turns: each has the hash over itself and the hash of
 * the turn before, SHA-256 over the bytes as they are stored. Nobody can
 * change, add or remove a turn in between without changing every later hash;
 * of turns that are sealed nobody without the key can make those either. On
 * disk: never changes.
 */
struct journal_chain;

enum { JOURNAL_CHAIN_KEY_BYTES = 32 };

/* `key` is copied; NULL: none, and hashes of sealed turns are worth nothing.
 * NULL when there is no SHA-256. */
struct journal_chain *journal_chain_create(const uint8_t *key);
bool journal_chain_keyed(const struct journal_chain *chain);
void journal_chain_free(struct journal_chain *chain); /* accepts NULL */

/* `prev` is the hash of the turn before, all zero for the first one; it may
 * be `out`. */
void journal_chain_next(struct journal_chain *chain,
                        const uint8_t prev[JOURNAL_CHAIN_BYTES],
                        const char *actor, size_t actor_len,
                        const struct journal_row *row,
                        uint8_t out[JOURNAL_CHAIN_BYTES]);

#endif
