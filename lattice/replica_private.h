#ifndef LATTICE_REPLICA_PRIVATE_H
#define LATTICE_REPLICA_PRIVATE_H

#include "lattice/replica.h"

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct cell {
    UT_hash_handle hh;
    size_t at; /* in `cells` */
    struct lattice *lattice;
    uint64_t version, kept; /* changes; up to which an owner has them */
    uint64_t hash;          /* of `hashed`, another version: to be made */
    uint64_t hashed;
    bool foreign;     /* changed by others */
    uint64_t told_in; /* the message that tells of it, */
    size_t told_at;   /* and where there */
    size_t len;
    char key[];
};
/* A change, in the order in which it came. */
struct change {
    struct cell *cell;
    struct lattice *delta; /* owned */
    size_t bytes;
    uint64_t from; /* the peer; 0: made here */
};
struct peer {
    uint64_t id;
    uint64_t acked; /* of our changes it has these */
    /* Under way: */
    bool flying;
    uint64_t flight, sent_ms;
    uint64_t flight_upto;
    size_t flight_cells; /* FULL: where the next message begins */
    /* It is being told everything: cells from here on, then it has `upto`. */
    bool full;
    size_t full_at;
    uint64_t full_upto;
    bool heard;       /* it has told us all that it had, once */
    uint64_t confirm; /* its message that we are to confirm; 0: none */
    bool digest;      /* it is to get ours */
    uint64_t differs_head, differs_own; /* as of its last digest */
    bool differs;
};
struct lattice_replica {
    struct lattice_replica_config config;
    struct cell *by_key, **cells;
    size_t n_cells, cap_cells, own_cells;
    struct change *log; /* changes (head - n_log, head] */
    size_t n_log, log_at, log_bytes;
    uint64_t head, changes; /* of the log; of all cells */
    struct lattice *seen;
    struct peer *peers;
    size_t n_peers, cap_peers, next_digest;
    uint64_t flights, digest_ms, refused;
};

/* What a peer tells of a cell; false: it does not fit. */
bool lattice_replica_hear(struct lattice_replica *replica, uint64_t from,
                          const char *key, size_t len,
                          const struct lattice *heard);

/* What a message may have; see proto/internal/plexspaces/lattice. */
struct gossip {
    uint64_t flight; /* 0: no cells */
    bool all;        /* `seen` holds once this is taken */
    struct lattice *seen;
    uint64_t confirm;
    bool has_digest;
    uint64_t digest, head;
};
struct gossip_cell {
    const char *key;
    size_t len;
    const struct lattice *lattice;
};
/* Appended; false past the buffer's maximum. */
bool lattice_gossip_write(const struct gossip *gossip, struct plex_buf *out);
bool lattice_gossip_cell_write(const struct gossip_cell *cell,
                               struct plex_buf *out);
size_t lattice_gossip_cell_bytes(const struct gossip_cell *cell);
/* The head; *cells is what lattice_gossip_cell_read() goes through. `seen` is
 * owned by the caller, also after an error. */
PLEX_MUST_USE enum plex_status lattice_gossip_read(struct plex_bytes in,
                                                   struct gossip *out,
                                                   struct plex_bytes *cells,
                                                   struct plex_err *err);
/* The next cell, *lattice NULL where it is none that fits; false at the end or
 * at what is no cell, then cells->len is not 0. The key is borrowed. */
bool lattice_gossip_cell_read(struct plex_bytes *cells, const char **key,
                              size_t *len, struct lattice **lattice);

#endif
