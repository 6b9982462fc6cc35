#ifndef SERVICES_JOURNAL_STORE_BACKEND_H
#define SERVICES_JOURNAL_STORE_BACKEND_H

#include "services/journal/chain.h"
#include "services/journal/codec.h"
#include "services/journal/store.h"
#include "services/journal/store_lib.h"

/* A turn as it is found. Bytes are in the caller's arena. */
struct journal_stored {
    struct journal_row row; /* state only when it was asked for */
    bool damaged;           /* does not match its checksum */
    bool chained;           /* false: from before there was a chain */
    uint8_t chain[JOURNAL_CHAIN_BYTES];
};
struct journal_stored_head {
    uint64_t newest_seq; /* 0: never seen */
    uint64_t state_seq;  /* newest turn with a state, 0: none */
    uint64_t anchor_seq; /* newest turn that was removed, 0: none */
    bool anchor_chained;
    uint8_t anchor[JOURNAL_CHAIN_BYTES]; /* its chain */
};
struct journal_stored_range {
    uint64_t first, last; /* seq; first is not 0 */
    uint32_t limit;       /* turns; also JOURNAL_PAGE_BYTES_MAX, but one */
    bool with_state;
};
struct journal_stored_state {
    bool known;        /* the turn asked for is there and `expected` is right */
    uint64_t expected; /* the turn whose state it is, 0: no state so far */
    bool found;
    uint64_t seq;
    uint32_t schema_version;
    uint64_t flags;
    struct plex_bytes state; /* as it is stored */
};

/* Reading what was. All of it is without side effects. */
struct journal_history_ops {
    enum plex_status (*head)(struct journal_store *store,
                             const struct plex_actor_id *actor,
                             struct journal_stored_head *out,
                             struct plex_err *err);
    /* Those that are there, by seq. */
    enum plex_status (*turns)(struct journal_store *store,
                              const struct plex_actor_id *actor,
                              const struct journal_stored_range *range,
                              struct plex_arena *arena,
                              struct journal_stored **out, size_t *n,
                              struct plex_err *err);
    /* The newest turn whose time is not after at_ms, 0: none is kept. Times
     * rise with the sequence unless a clock was set back. */
    enum plex_status (*seq_at)(struct journal_store *store,
                               const struct plex_actor_id *actor,
                               uint64_t at_ms, uint64_t *seq,
                               struct plex_err *err);
    /* The state after that turn, from a snapshot that is whole or the newest
     * turn with one. */
    enum plex_status (*state_at)(struct journal_store *store,
                                 const struct plex_actor_id *actor,
                                 uint64_t seq, struct plex_arena *arena,
                                 struct journal_stored_state *out,
                                 struct plex_err *err);
    /* Names of actors after that one ("": from the first), in their order. */
    enum plex_status (*actors)(struct journal_store *store, const char *after,
                               uint32_t limit, struct plex_arena *arena,
                               const char *const **out, size_t *n,
                               struct plex_err *err);
    /* Turns first..last, at most 1000, are not kept for history, and retain()
     * looks at them soon. */
    enum plex_status (*unkeep)(struct journal_store *store,
                               const struct plex_actor_id *actor,
                               uint64_t first, uint64_t last, uint64_t wall_ms,
                               struct plex_err *err);
};

/*
 * What a back end implements: all of it. Contracts are in store.h; store.c
 * has checked the arguments. The base struct comes first in each store, so
 * another one can wrap it (the simulator does, to crash in between).
 */
struct journal_store_ops {
    const char *scheme; /* of the DSN, up to the colon */
    enum plex_status (*open)(struct journal_store **out,
                             const struct journal_store_config *config,
                             struct plex_err *err);
    void (*close)(struct journal_store *store);
    enum plex_status (*epochs)(struct journal_store *store,
                               struct journal_epochs *out,
                               struct plex_err *err);
    enum plex_status (*commit)(struct journal_store *store,
                               struct journal_commit *commit,
                               struct plex_err *err);
    enum plex_status (*load)(struct journal_store *store,
                             const struct journal_load *load, uint64_t wall_ms,
                             struct plex_arena *arena,
                             struct journal_loaded *out, uint64_t *newest_epoch,
                             struct plex_err *err);
    /* Those whose status is PLEX_OK, each as by `load`. */
    void (*loads)(struct journal_store *store, struct journal_loading *loadings,
                  size_t n, uint64_t wall_ms);
    enum plex_status (*lookup)(struct journal_store *store, const char *tenant,
                               struct plex_bytes message_id, uint64_t wall_ms,
                               struct plex_arena *arena,
                               struct journal_lookup *out,
                               struct plex_err *err);
    enum plex_status (*answers)(struct journal_answering *answering,
                                struct plex_err *err);
    enum plex_status (*pending)(struct journal_store *store,
                                const struct journal_page *page,
                                struct plex_arena *arena,
                                struct journal_paged *out,
                                struct plex_err *err);
    enum plex_status (*retain)(struct journal_store *store, uint64_t wall_ms,
                               uint32_t limit, struct journal_retained *out,
                               struct plex_err *err);
    uint64_t (*bytes)(struct journal_store *store);
    /* NULL: one journal at a time has it. */
    const char *(*shared)(const struct journal_store *store);
    const struct journal_history_ops *history;
    const struct journal_key_ops *keys; /* NULL: nothing lasts here */
};

struct journal_store {
    const struct journal_store_ops *ops;
    struct journal_chain *chain; /* these two: by journal_store_open */
    struct journal_codec *codec;
};

/* load.c: what `load` wants of the records that rebuild the state. */
enum plex_status journal_load_records(struct journal_store *store,
                                      const struct journal_load *load,
                                      struct plex_arena *arena,
                                      struct journal_loaded *out,
                                      struct plex_err *err);

/* load.c: one after the other. */
void journal_loads_each(struct journal_store *store,
                        struct journal_loading *loadings, size_t n,
                        uint64_t wall_ms);

extern const struct journal_store_ops journal_store_mem;
extern const struct journal_store_ops journal_store_sqlite;
extern const struct journal_store_ops journal_store_pg;

#endif
