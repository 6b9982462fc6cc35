#ifndef TESTS_UNIT_TUPLESPACE_DRIVE_H
#define TESTS_UNIT_TUPLESPACE_DRIVE_H

/* A core with a clock that the test moves, a store made of a hash table, and
 * the answers of all calls. */
#include "services/tuplespace/engine/action.h"

enum { CALLS_MAX = 1024, IDS_MAX = 64 };

struct reply {
    bool done;
    enum plex_status status;
    char text[200];
    uint32_t n;
    uint64_t ids[IDS_MAX]; /* of the first tuples, or of those written */
    uint64_t number, cursor;
    int64_t first; /* the first integer field of the first tuple */
};
struct heard {
    uint64_t subscription, number, lost, tuple;
    enum tspace_event event;
};

/* Where it is kept, if not in a hash table. */
struct drive_backend {
    /* Everything from before is gone; *epoch is the core's. */
    void (*open)(uint64_t *epoch);
    void (*apply)(const struct tspace_action *action);
    void (*commit)(void);
    /* Open again what was committed, and load it. */
    void (*reopen)(uint64_t *epoch);
    void (*load)(struct tspace_core *core, struct tspace_now now);
    void (*close)(void);
};

struct drive {
    const struct drive_backend *backend; /* NULL: the hash table */
    struct tspace_core *core;
    struct tspace_config config;
    struct tspace_now now;
    struct reply replies[CALLS_MAX];
    struct heard heard[64];
    unsigned n_heard;
    unsigned puts, removes;
    struct stored *stored; /* what a store would have now */
    bool gone[CALLS_MAX];
    bool quiet; /* do not keep what is stored */
};

extern const struct tspace_where here;

void drive_open(struct drive *drive, const struct tspace_config *config);
/* To be called right after drive_open; NULL changes nothing. */
void drive_keep(struct drive *drive, const struct drive_backend *backend);
void drive_close(struct drive *drive);
/* Another core, from what is stored. Waiting calls stay without an answer. */
void drive_restart(struct drive *drive);
void drive_drain(struct drive *drive);
void drive_pass(struct drive *drive, uint64_t ms); /* and tick */
unsigned drive_stored(const struct drive *drive, enum tspace_record record);

/*
 * Packed tuples and templates from a format: i (int64_t), f (double), s
 * (string), b (int), n null, t (struct plex_bytes: a packed tuple). Templates
 * also: ? any, I S F a type, > < (int64_t), p prefix, r regex (both strings),
 * v (int) a variable, m (int64_t, int64_t) one of two.
 */
struct plex_bytes tuple(const char *format, ...); /* valid for 16 calls */
struct tspace_template *template(const char *format, ...);

struct tspace_op op(unsigned call);
uint64_t put(struct drive *drive, unsigned call, struct plex_bytes packed);
/* Each takes the template. */
struct reply *take(struct drive *drive, unsigned call,
                   struct tspace_template *template, uint64_t timeout_ms);
struct reply *read_one(struct drive *drive, unsigned call,
                       struct tspace_template *template, uint64_t timeout_ms);
struct reply *read_with(struct drive *drive, struct tspace_read *read);
struct reply *count(struct drive *drive, unsigned call,
                    struct tspace_template *template);
uint64_t begin(struct drive *drive, unsigned call, uint64_t timeout_ms);
struct reply *end(struct drive *drive, unsigned call, uint64_t tx,
                  enum tspace_end how);
struct reply *write_with(struct drive *drive, struct tspace_write *write);

#endif
