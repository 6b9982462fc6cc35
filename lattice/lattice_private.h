#ifndef LATTICE_LATTICE_PRIVATE_H
#define LATTICE_LATTICE_PRIVATE_H

#include "lattice/lattice.h"

/* Adds that an OR-set has seen beyond a gap; never by itself. */
enum { LATTICE_DOTS = LATTICE_KINDS };

/*
 * What an entry's fields mean, by kind. (k): the key by which entries are
 * ordered; 0 and empty where nothing is said.
 *
 *   MAX, MIN       x: the value, shifted to unsigned; one entry
 *   LWW            x: when, id: who, text: the value; one entry
 *   G_SET          text (k)
 *   OR_SET         text (k), id (k), x (k): added by that add of that replica
 *   G_COUNTER, VECTOR_CLOCK      id (k), x: how many
 *   PN_COUNTER     id (k), x: up, y: down
 *   PAIR           id (k): 0 first, 1 second; inner
 *   MAP            text (k), inner
 *   DOTS           id (k), x (k)
 */
struct lattice_entry {
    uint64_t id, x, y;
    char *text; /* owned, NULL for "" */
    size_t len;
    struct lattice *inner;
};
struct lattice {
    uint8_t kind;
    struct lattice_entry *entries;
    size_t n, cap;
    /* OR_SET: adds that it has seen. Of each replica the first so many, a
     * VECTOR_CLOCK; and single ones after a gap, DOTS. Else NULL. */
    struct lattice *seen, *gaps;
};

/* By key, as of the kind. */
int lattice_order(uint8_t kind, const struct lattice_entry *a,
                  const struct lattice_entry *b);
/* Appended: the key must be greater than the last one's. Takes what it owns. */
void lattice_append(struct lattice *lattice, struct lattice_entry entry);
/* Where the key is or would be. */
size_t lattice_find(const struct lattice *lattice,
                    const struct lattice_entry *key, bool *found);
struct lattice_entry lattice_entry_copy(const struct lattice_entry *from);
void lattice_entry_free(struct lattice_entry *entry);
/* Has the OR-set seen that add? */
bool lattice_saw(const struct lattice *set, uint64_t id, uint64_t x);
/* `gaps` that follow on `seen` become part of it. */
void lattice_settle(struct lattice *seen, struct lattice *gaps);

#endif
