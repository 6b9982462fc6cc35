#ifndef SERVICES_PLACEMENT_BOOK_H
#define SERVICES_PLACEMENT_BOOK_H

#include "services/placement/select.h"

/*
 * What workers can hold and what is reserved on them. Pure: time comes in,
 * everything is copied. A reservation is known by its request id and lasts
 * until it is released, runs out, or its worker is gone; its holder renews it
 * by asking again with the same id.
 */
struct place_book;

enum {
    PLACE_BOOK_NAME_MAX = 255, /* ids, keys and values, in bytes */
    PLACE_BOOK_LABELS_MAX = 64,
};
struct place_book_config {
    uint32_t workers_max;
    uint32_t reservations_max;
};

/* What a worker says of itself, whenever it changes. */
struct place_capacity {
    const char *node_id;
    uint64_t incarnation; /* not 0; new at each start */
    bool draining;
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
};
/* Borrowed until the next call that changes the book. */
struct place_held {
    const char *node_id;
    uint64_t incarnation;
    bool again; /* it was reserved before */
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
/* The actor has ended. True if there was one. */
bool place_book_release(struct place_book *book, const char *request_id);
/* End what has run out by now; returns how many. */
size_t place_book_expire(struct place_book *book, uint64_t now_ns);
/* When place_book_expire() is due; UINT64_MAX for never. */
uint64_t place_book_due(const struct place_book *book);

/* The workers, in order of announcement, as place_select() sees them.
 * Borrowed until the next call that changes the book. */
const struct place_candidate *place_book_workers(struct place_book *book,
                                                 size_t *n);

#endif
