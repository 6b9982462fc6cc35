#ifndef SERVICES_PLACEMENT_BOOK_H
#define SERVICES_PLACEMENT_BOOK_H

#include "services/placement/select.h"

/*
 * What workers can hold and what is reserved on them. Pure: time comes in,
 * everything is copied. A reservation is known by its request id and lasts
 * until it is released, runs out, or its worker is gone. It is renewed by
 * asking again with the same id, and once its worker says that it holds it,
 * it does not run out any more.
 */
struct place_book;

enum {
    PLACE_BOOK_NAME_MAX = 255, /* ids, keys and values, in bytes */
    PLACE_BOOK_LABELS_MAX = 64,
};
struct place_book_config {
    uint32_t workers_max;
    uint32_t reservations_max;
    uint32_t held_max; /* on one worker; 0: as many as there may be */
};

/* What a worker says of itself, whenever it changes. */
struct place_capacity {
    const char *node_id;
    uint64_t incarnation; /* not 0; new at each start */
    bool draining;
    bool waiting; /* what it holds is not known yet: it gets nothing new */
    struct place_amounts amounts;
    const struct place_label *labels;
    size_t n_labels;
};
struct place_ask {
    const char *request_id;          /* 1.. bytes; the caller scopes it */
    const char *actor;               /* who will live there; "" for nobody */
    const struct place_label *marks; /* its labels, for affinity of others */
    size_t n_marks;
    struct place_requirement need;
    uint64_t until_ns; /* when the reservation runs out */
    /* There is one of this actor at a time: what other requests have reserved
     * for it counts as free and nobody's, and ends when this is reserved. */
    bool alone;
};
/* Borrowed until the next call that changes the book. */
struct place_held {
    const char *node_id;
    uint64_t incarnation;
    bool again; /* it was reserved before */
    bool runs;  /* its worker holds it */
    struct place_amounts amounts;
};
/* What runs on a worker, as the worker says. */
struct place_holding {
    const char *request_id, *actor;
    const struct place_label *marks;
    size_t n_marks;
    struct place_amounts amounts;
};

struct place_book *place_book_create(const struct place_book_config *config);
void place_book_free(struct place_book *book); /* accepts NULL */

/* Another incarnation than before: what the last one held is gone. A worker
 * that drains keeps what it holds and gets nothing new. INVALID, LIMIT. */
PLEX_MUST_USE enum plex_status place_book_worker(
    struct place_book *book, const struct place_capacity *capacity,
    struct plex_err *err);
/* It left or lost its lease: its reservations end. Unknown ones are fine. */
void place_book_worker_gone(struct place_book *book, const char *node_id);

/*
 * Reserve. The same id again: the same worker, with the new end, as long as
 * that worker lives and does not drain; if it drains, the reservation moves to
 * another worker, or stays when there is none. MISMATCH when the amounts or
 * the actor differ from what the id reserved; UNAVAILABLE when nothing fits
 * now (nothing is reserved); INVALID; LIMIT.
 */
PLEX_MUST_USE enum plex_status place_book_reserve(struct place_book *book,
                                                  const struct place_ask *ask,
                                                  struct place_held *out,
                                                  struct plex_err *err);
/* NOT_FOUND: never reserved, released, run out, or the worker is gone. */
PLEX_MUST_USE enum plex_status place_book_find(const struct place_book *book,
                                               const char *request_id,
                                               struct place_held *out,
                                               struct plex_err *err);
/*
 * It runs on that worker: it lasts until it is released or the worker is gone,
 * whether or not it was known, fits, or was meant for another worker.
 * NOT_FOUND for a worker that is not known, INVALID, LIMIT.
 */
PLEX_MUST_USE enum plex_status place_book_hold(
    struct place_book *book, const char *node_id,
    const struct place_holding *holding, struct plex_err *err);
/* What runs on that worker is to be said anew. What has not started stays. */
void place_book_forget(struct place_book *book, const char *node_id);
void place_book_drain(struct place_book *book, const char *node_id);
/* What it holds is not known, or is again. */
void place_book_wait(struct place_book *book, const char *node_id,
                     bool waiting);
/* The actor has ended. True if there was one. */
bool place_book_release(struct place_book *book, const char *request_id);
/* End what has run out by now; returns how many. */
size_t place_book_expire(struct place_book *book, uint64_t now_ns);
/* When place_book_expire() is due; UINT64_MAX for never. */
uint64_t place_book_due(struct place_book *book);

uint32_t place_book_count(const struct place_book *book);

/* The workers, in order of announcement, as place_select() sees them.
 * Borrowed until the next call that changes the book. */
const struct place_candidate *place_book_workers(struct place_book *book,
                                                 size_t *n);

#endif
