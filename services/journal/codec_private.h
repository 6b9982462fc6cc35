#ifndef SERVICES_JOURNAL_CODEC_PRIVATE_H
#define SERVICES_JOURNAL_CODEC_PRIVATE_H

#include "services/journal/codec.h"

#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>
#include <zstd.h>

/* Of codec.c and keys.c. */
enum { SEAL_NONCE_BYTES = 24, SEAL_TAG_BYTES = 16, KEYS_MAX = 65536 };

struct codec_key {
    UT_hash_handle by_id, by_tenant; /* by_tenant: the current one only */
    uint32_t id;
    bool current;
    char tenant[PLEX_TENANT_MAX + 1];
    uint8_t bytes[JOURNAL_KEY_BYTES];
};

struct journal_codec {
    struct journal_codec_config config;
    bool seals;
    struct codec_key *by_id, *by_tenant;
    uint8_t nonce[SEAL_NONCE_BYTES]; /* 16 random bytes, 8 that count */
    struct plex_arena scratch;       /* what is being written */
    ZSTD_CCtx *zstd;
    ZSTD_DCtx *unzstd;
};

/* Never the same twice. */
void journal_codec_nonce(struct journal_codec *codec,
                         uint8_t out[SEAL_NONCE_BYTES]);
/* NULL when journal_keys_ensure has not been asked for it. */
const struct codec_key *journal_keys_current(const struct journal_codec *codec,
                                             const char *tenant);
PLEX_MUST_USE enum plex_status journal_keys_get(struct journal_store *store,
                                                uint32_t id,
                                                const uint8_t **key,
                                                struct plex_err *err);
void journal_keys_clear(struct journal_codec *codec);

#endif
