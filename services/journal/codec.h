#ifndef SERVICES_JOURNAL_CODEC_H
#define SERVICES_JOURNAL_CODEC_H

#include "services/journal/keyring.h"
#include "services/journal/store_lib.h"

/*
 * How states, replies, records and the messages of pendings are stored:
 * states compressed with zstd (level 1), and, where there is a master key,
 * everything sealed with XChaCha20-Poly1305 under a key of the tenant. What is
 * sealed is bound to its actor, sequence and place. A row's flags say how it
 * was coded; on disk: never changes.
 *
 * Sealed: nonce (24 bytes), ciphertext, tag (16). Empty bytes stay empty.
 */
struct journal_store;
struct journal_codec;

struct journal_codec_config {
    struct journal_keyring ring; /* empty: nothing is sealed */
    size_t compress_bytes; /* states of turns from this size on; 0: 4096 */
};
struct journal_codec *journal_codec_create(
    const struct journal_codec_config *config);
void journal_codec_free(struct journal_codec *codec); /* accepts NULL */

/* -- keys.c: the keys of tenants, in the store's table journal_tenant_key,
 * wrapped by the master key. */
struct journal_key_row {
    uint32_t id;                      /* from 1; never used again */
    char tenant[PLEX_TENANT_MAX + 1]; /* "": the key of the chains */
    uint32_t born;   /* master key that was current when it was made */
    uint32_t master; /* master key that wraps it now */
    uint8_t wrapped[24 + JOURNAL_KEY_BYTES + 16];
};
/* What a back end keeps of them. Each is a transaction of its own. */
struct journal_key_ops {
    /* The row of that id or, when it is 0, of tenant and born. PLEX_NOT_FOUND.
     */
    enum plex_status (*get)(struct journal_store *store,
                            struct journal_key_row *row, struct plex_err *err);
    /* Add it, unless there is one of that tenant and born. */
    enum plex_status (*add)(struct journal_store *store,
                            const struct journal_key_row *row,
                            struct plex_err *err);
    /* The first row after that id whose master is another one. NOT_FOUND. */
    enum plex_status (*stale)(struct journal_store *store, uint32_t after,
                              uint32_t master, struct journal_key_row *row,
                              struct plex_err *err);
    /* Change master and wrapped. */
    enum plex_status (*set)(struct journal_store *store,
                            const struct journal_key_row *row,
                            struct plex_err *err);
    /* Destroy all of the tenant. */
    enum plex_status (*drop)(struct journal_store *store, const char *tenant,
                             uint64_t *n, struct plex_err *err);
};

/* After opening: wrap with the current master key what others wrap, and give
 * the key of the chains; *keyed is false when nothing is sealed. */
PLEX_MUST_USE enum plex_status journal_keys_open(
    struct journal_store *store, uint8_t chain_key[JOURNAL_KEY_BYTES],
    bool *keyed, struct plex_err *err);
/* Before a commit, outside of its transaction: have the key of every tenant
 * in it. */
struct journal_commit;
PLEX_MUST_USE enum plex_status journal_keys_ensure(
    struct journal_store *store, const struct journal_commit *commit,
    struct plex_err *err);
/* Another journal may have destroyed some: ask the table again. */
void journal_keys_forget(struct journal_store *store);
/* Destroy the tenant's keys, so that nothing of it that is stored can be read
 * again. What it does from now on gets a new one. */
PLEX_MUST_USE enum plex_status journal_keys_shred(struct journal_store *store,
                                                  const char *tenant,
                                                  uint64_t *n,
                                                  struct plex_err *err);

/* -- writing. The result is valid until the next of these two on the store. */
struct journal_coded {
    const char *tenant;
    const char *name; /* of the actor */
    size_t name_len;
};
/* State, reply and record, with their hashes and flags. */
void journal_code_row(struct journal_store *store,
                      const struct journal_coded *of, bool snapshot,
                      struct journal_row *row);
/* The message. Returns the flags. */
uint64_t journal_code_pending(struct journal_store *store,
                              const struct journal_coded *of,
                              struct journal_pending *pending);

/* -- reading */
enum journal_piece {
    JOURNAL_PIECE_STATE = 1,
    JOURNAL_PIECE_REPLY,
    JOURNAL_PIECE_RECORD,
    JOURNAL_PIECE_MESSAGE,
};
struct journal_coding {
    enum journal_piece piece;
    uint64_t flags;
    const char *name; /* of the actor */
    size_t name_len;
    uint64_t seq;                 /* but of a message */
    struct plex_bytes pending_id; /* of a message */
};
/* A copy in `arena` of what was stored. PLEX_DENIED: sealed with a key that is
 * not there (any more); PLEX_CORRUPT; PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status journal_decode(
    struct journal_store *store, const struct journal_coding *coding,
    struct plex_bytes in, struct plex_arena *arena, struct plex_bytes *out,
    struct plex_err *err);

#endif
