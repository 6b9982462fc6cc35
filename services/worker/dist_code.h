#ifndef SERVICES_WORKER_DIST_CODE_H
#define SERVICES_WORKER_DIST_CODE_H

#include "common/arena.h"
#include "runtime/runtime.h"

/*
 * Signals between workers as they travel: the wire form of worker.v1 Signals,
 * written and read by hand, because a signal is made on one executor and read
 * once. Pure.
 */
struct work_batch {
    uint64_t node;       /* incarnation of the sender */
    uint64_t session;    /* grows when the sender has forgotten the receiver */
    uint64_t sequence;   /* of the batch in it; from 1 */
    const char *node_id; /* of the sender, with the first of a session */
    const char *url;
};
enum {
    WORK_BATCH_HEAD_MAX = 400,
    WORK_SIGNAL_MAX = 6 << 20, /* bytes, one */
};

/* Bytes of the signal in a batch, 0 when it is too large; and those bytes.
 * `node` is the sender's incarnation. Returns the end. */
size_t work_signal_size(const struct rt_signal *signal, uint64_t node);
uint8_t *work_signal_write(const struct rt_signal *signal, uint64_t node,
                           uint8_t *out);
/* At most WORK_BATCH_HEAD_MAX bytes; returns how many. Signals follow. */
size_t work_batch_write(const struct work_batch *batch, uint8_t *out);

struct work_batch_reader {
    const uint8_t *at, *end;
    struct work_batch batch;
    uint64_t to; /* node of signals whose receiver is a process */
};
/* The head. Strings are copied into the arena. PLEX_INVALID. */
PLEX_MUST_USE enum plex_status work_batch_open(struct work_batch_reader *reader,
                                               struct plex_bytes in,
                                               uint64_t own_node,
                                               struct plex_arena *arena,
                                               struct plex_err *err);
/* The next signal: *more false at the end. Strings are in the arena, the
 * payload is borrowed from the batch. PLEX_INVALID, PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status work_batch_next(struct work_batch_reader *reader,
                                               struct plex_arena *arena,
                                               struct rt_signal *out,
                                               bool *more,
                                               struct plex_err *err);

#endif
