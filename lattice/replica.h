#ifndef LATTICE_REPLICA_H
#define LATTICE_REPLICA_H

#include "lattice/lattice.h"

/*
 * The cells of one type on one worker, and what it tells the other workers'
 * replicas of them. Pure: time comes in, messages go out.
 *
 * What changes is told as deltas, in order, one message under way for each
 * peer, sent again until it is confirmed. A peer that is new, or for which too
 * much has come together, is told everything. Now and then peers compare a
 * digest of all cells: where two that rest differ twice, each tells the other
 * everything.
 *
 * A causal replica passes on what it hears, so that whoever hears of a change
 * has heard of what its writer knew; others tell of their own changes only.
 */
struct lattice_replica;

enum {
    LATTICE_CELLS_MAX = 10000, /* made here; others' come on top */
    LATTICE_KEY_MAX = 512,
    LATTICE_LOG_MAX = 4096,      /* deltas that can be told by themselves */
    LATTICE_LOG_BYTES = 4 << 20, /* and their bytes */
    LATTICE_GOSSIP_BYTES = 256 << 10, /* of a message, or one cell */
    LATTICE_GOSSIP_MAX = 4 << 20,     /* never more */
    LATTICE_AGAIN_MS = 500,
    LATTICE_DIGEST_MS = 2000,
    LATTICE_PEERS_MAX = 1024,
};

struct lattice_replica_config {
    uint64_t self; /* of this life: never used before; not 0 */
    bool causal;
    enum lattice_kind kind; /* of all cells */
};
struct lattice_replica *lattice_replica_create(
    const struct lattice_replica_config *config);
void lattice_replica_free(struct lattice_replica *replica); /* accepts NULL */

/* NULL: there is none yet. Borrowed until the next change. */
const struct lattice *lattice_replica_get(const struct lattice_replica *replica,
                                          const char *key, size_t len);
size_t lattice_replica_cells(const struct lattice_replica *replica);
/* A change made here. `kept`: an owner has it. PLEX_TOO_LARGE, PLEX_LIMIT. */
PLEX_MUST_USE enum plex_status lattice_replica_change(
    struct lattice_replica *replica, const char *key, size_t len,
    const struct lattice *delta, bool kept, struct plex_err *err);

/* -- others ---------------------------------------------------------------- */

void lattice_replica_peer_up(struct lattice_replica *replica, uint64_t peer);
/* What came from others has to be kept by us now. */
void lattice_replica_peer_down(struct lattice_replica *replica, uint64_t peer);
/* How many there are, and how many of them have told all that they had. */
size_t lattice_replica_peers(const struct lattice_replica *replica,
                             size_t *heard);
/* The next message, to *peer; false: none for now. `out` is emptied first; its
 * max is to be LATTICE_GOSSIP_MAX or more. */
bool lattice_replica_next(struct lattice_replica *replica, uint64_t now_ms,
                          uint64_t *peer, struct plex_buf *out);
/* When that may be different, if nothing comes before. */
uint64_t lattice_replica_due(const struct lattice_replica *replica,
                             uint64_t now_ms);
/* Has every peer confirmed all there is to tell it? */
bool lattice_replica_settled(const struct lattice_replica *replica);
/* PLEX_INVALID: it is no message; nothing was done from there on. Cells that
 * do not fit are left out, and counted. */
PLEX_MUST_USE enum plex_status lattice_replica_receive(
    struct lattice_replica *replica, uint64_t now_ms, uint64_t from,
    struct plex_bytes message, struct plex_err *err);
uint64_t lattice_replica_refused(const struct lattice_replica *replica);

/* -- what it has seen (causal) --------------------------------------------- */

/* Of every replica how many changes: a VECTOR_CLOCK; borrowed. */
const struct lattice *lattice_replica_seen(
    const struct lattice_replica *replica);

/* -- keeping --------------------------------------------------------------- */

/* A cell that no owner has as it is, after the one at *at (0 at first), and
 * its version, for below. */
bool lattice_replica_unkept(const struct lattice_replica *replica, size_t *at,
                            const char **key, size_t *len,
                            const struct lattice **cell, uint64_t *version);
/* An owner has that version. */
void lattice_replica_kept(struct lattice_replica *replica, const char *key,
                          size_t len, uint64_t version);

#endif
