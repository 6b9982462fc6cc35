#ifndef TESTS_UNIT_TUPLESPACE_MODEL_H
#define TESTS_UNIT_TUPLESPACE_MODEL_H

/*
 * Linda with transactions and claims, as plainly as can be written: one list
 * of tuples that is looked through from the oldest on. It says what a core
 * must answer to every call.
 */
#include "tests/unit/tuplespace/drive.h"

enum {
    MODEL_TUPLES = 4096,
    MODEL_TXS = 4,
    MODEL_CLAIMS = 3,
    MODEL_WAITERS = 32,
    MODEL_ENTRIES = 512,
    MODEL_ENDED = 256
};

struct mtuple {
    uint64_t id, expires;
    struct plex_bytes packed; /* owned */
    int space;
    uint64_t writer, taker; /* transactions */
    int claim;              /* 1 + its number */
    int readers;
    bool dead;
};
enum mkind { M_WRITTEN, M_TAKEN, M_READ };
struct mtx {
    uint64_t id; /* 0: none */
    bool prepared;
    uint64_t deadline_ns;
    struct mentry {
        struct mtuple *tuple;
        enum mkind kind;
    } entries[MODEL_ENTRIES];
    int n;
};
struct mended {
    uint64_t id;
    bool committed, durable;
};
struct mclaim {
    bool open;
    uint64_t expires;
    int ended; /* 0: never was; 1 confirmed, 2 released or lapsed */
    int n_ended;
};
struct mwaiter {
    unsigned call;
    int space;
    struct tspace_template *template;
    uint64_t deadline_ns, tx, claim_ms;
    bool take;
    int claim;
};
struct model {
    struct mtuple *tuples[MODEL_TUPLES];
    int n;
    struct mtx txs[MODEL_TXS];
    struct mended ended[MODEL_ENDED];
    int n_ended;
    struct mclaim claims[MODEL_CLAIMS];
    struct mwaiter waiters[MODEL_WAITERS];
    int n_waiters;
    uint64_t next_id;
    struct tspace_now now;
    struct reply expected[CALLS_MAX];
};

void model_init(struct model *model, const struct tspace_now *now,
                uint64_t epoch);
void model_fini(struct model *model);
struct mtx *model_tx(struct model *model, uint64_t id);
/* A call that refers to a transaction that is not open is answered. */
bool model_tx_open(struct model *model, unsigned call, uint64_t id);
void model_write(struct model *model, unsigned call, int space, uint64_t tx,
                 const struct plex_bytes *packed, uint32_t n, uint64_t ttl);
struct mread {
    unsigned call;
    int space;
    struct tspace_template *template;
    uint64_t tx, timeout_ms, after;
    uint32_t max;
    bool take;
    enum tspace_order order;
    uint32_t order_field;
    int claim; /* 1 + number */
    uint64_t claim_ms;
};
void model_read(struct model *model, const struct mread *read);
/* For RANDOM: what a core chose must be possible; does it as the core did. */
bool model_random(struct model *model, const struct mread *read,
                  const struct reply *got);
void model_count(struct model *model, unsigned call, int space, uint64_t tx,
                 const struct tspace_template *template);
void model_swap(struct model *model, unsigned call, int space,
                const struct tspace_template *template,
                struct plex_bytes packed);
void model_collect(struct model *model, unsigned call, int space, int to,
                   uint64_t tx, const struct tspace_template *template,
                   bool copy);
void model_lease(struct model *model, unsigned call, int space, uint64_t id,
                 uint64_t ttl, bool cancel);
void model_begin(struct model *model, unsigned call, uint64_t timeout_ms);
void model_end(struct model *model, unsigned call, uint64_t id,
               enum tspace_end how);
void model_claim(struct model *model, unsigned call, int claim,
                 enum tspace_claim_verb verb, uint64_t lease_ms);
void model_tick(struct model *model);
void model_restart(struct model *model, uint64_t epoch);

#endif
