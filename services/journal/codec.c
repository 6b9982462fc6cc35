#include "services/journal/codec_private.h"
#include "services/journal/store_backend.h"

#include "common/mem.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert(SEAL_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
              "the nonce's size");
static_assert(SEAL_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "the tag's size");
static_assert(JOURNAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "the key's size");

enum {
    COMPRESS_BYTES = 4096,
    COMPRESS_SNAPSHOT_BYTES = 256,
    SCRATCH_MAX = 128 << 20,
    BOUND_MAX = 1 + JOURNAL_ID_MAX + 32 + PLEX_ACTOR_NAME_MAX,
};

struct journal_codec *
journal_codec_create(const struct journal_codec_config *config)
{
    struct journal_codec *codec = plex_calloc(1, sizeof *codec);

    codec->config = *config;
    if (codec->config.compress_bytes == 0)
        codec->config.compress_bytes = COMPRESS_BYTES;
    codec->seals = config->ring.n > 0;
    codec->zstd = ZSTD_createCCtx();
    codec->unzstd = ZSTD_createDCtx();
    if (sodium_init() < 0 || codec->zstd == NULL || codec->unzstd == NULL) {
        journal_codec_free(codec);
        return NULL;
    }
    randombytes_buf(codec->nonce, sizeof codec->nonce);
    plex_arena_init(&codec->scratch, SCRATCH_MAX);
    return codec;
}

void
journal_codec_free(struct journal_codec *codec)
{
    if (codec == NULL)
        return;
    journal_keys_clear(codec);
    journal_keyring_wipe(&codec->config.ring);
    (void)ZSTD_freeCCtx(codec->zstd);
    (void)ZSTD_freeDCtx(codec->unzstd);
    plex_arena_fini(&codec->scratch);
    free(codec);
}

void
journal_codec_nonce(struct journal_codec *codec, uint8_t out[SEAL_NONCE_BYTES])
{
    memcpy(out, codec->nonce, SEAL_NONCE_BYTES);
    sodium_increment(codec->nonce + 16, SEAL_NONCE_BYTES - 16);
}

/* -- sealing --------------------------------------------------------------- */

/* What sealed bytes are bound to: they open nowhere else. */
static size_t
bind_to(const struct journal_coding *c, uint8_t out[BOUND_MAX])
{
    const uint64_t fixed[] = {htole64(c->flags), htole64(c->seq),
                              htole64(c->pending_id.len)};
    size_t n = 0;

    assert(c->pending_id.len <= JOURNAL_ID_MAX &&
           c->name_len <= PLEX_ACTOR_NAME_MAX);
    out[n++] = (uint8_t)c->piece;
    memcpy(out + n, fixed, sizeof fixed);
    n += sizeof fixed;
    if (c->pending_id.len > 0)
        memcpy(out + n, c->pending_id.data, c->pending_id.len);
    n += c->pending_id.len;
    memcpy(out + n, c->name, c->name_len);
    return n + c->name_len;
}

static struct plex_bytes
seal(struct journal_codec *codec, const struct codec_key *key,
     const struct journal_coding *coding, struct plex_bytes in)
{
    uint8_t bound[BOUND_MAX], *out;
    const size_t n_bound = bind_to(coding, bound);

    if (in.len == 0)
        return in;
    out = plex_arena_alloc(&codec->scratch,
                           SEAL_NONCE_BYTES + in.len + SEAL_TAG_BYTES);
    assert(out != NULL); /* entries are limited far below */
    journal_codec_nonce(codec, out);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + SEAL_NONCE_BYTES, NULL, in.data, in.len, bound, n_bound, NULL,
        out, key->bytes);
    return (struct plex_bytes){out, SEAL_NONCE_BYTES + in.len + SEAL_TAG_BYTES};
}

static enum plex_status
unseal(struct journal_store *store, const struct journal_coding *coding,
       struct plex_bytes in, struct plex_arena *arena, struct plex_bytes *out,
       struct plex_err *err)
{
    const uint32_t id = (uint32_t)(coding->flags >> JOURNAL_FLAG_KEY_BITS);
    uint8_t bound[BOUND_MAX], *opened;
    const size_t n_bound = bind_to(coding, bound);
    const uint8_t *key;

    if (journal_keys_get(store, id, &key, err) != PLEX_OK)
        return err->status;
    if (in.len < SEAL_NONCE_BYTES + SEAL_TAG_BYTES)
        return plex_err_set(err, PLEX_CORRUPT,
                            "sealed bytes of actor %.*s are cut off",
                            (int)coding->name_len, coding->name);
    opened = plex_arena_alloc(arena, in.len);
    if (opened == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%zu bytes do not fit the answer's memory limit",
                            in.len);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            opened, NULL, NULL, in.data + SEAL_NONCE_BYTES,
            in.len - SEAL_NONCE_BYTES, bound, n_bound, in.data, key) != 0)
        return plex_err_set(err, PLEX_CORRUPT,
                            "sealed bytes of actor %.*s do not open with "
                            "their key",
                            (int)coding->name_len, coding->name);
    *out =
        (struct plex_bytes){opened, in.len - SEAL_NONCE_BYTES - SEAL_TAG_BYTES};
    return PLEX_OK;
}

/* -- compressing ----------------------------------------------------------- */

/* True when it got smaller by an eighth at least. */
static bool
compress(struct journal_codec *codec, struct plex_bytes *bytes)
{
    const size_t room = bytes->len - bytes->len / 8;
    uint8_t *out = plex_arena_alloc(&codec->scratch, room);
    size_t n;

    if (out == NULL)
        return false;
    n = ZSTD_compressCCtx(codec->zstd, out, room, bytes->data, bytes->len, 1);
    if (ZSTD_isError(n))
        return false; /* also: no room */
    *bytes = (struct plex_bytes){out, n};
    return true;
}

static enum plex_status
expand(struct journal_codec *codec, const struct journal_coding *coding,
       struct plex_bytes in, struct plex_arena *arena, struct plex_bytes *out,
       struct plex_err *err)
{
    const unsigned long long size = ZSTD_getFrameContentSize(in.data, in.len);
    uint8_t *data;

    if (size > JOURNAL_STATE_MAX) /* also: unknown */
        return plex_err_set(err, PLEX_CORRUPT,
                            "compressed state of actor %.*s is not one",
                            (int)coding->name_len, coding->name);
    data = plex_arena_alloc(arena, (size_t)size + 1);
    if (data == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%llu bytes do not fit the answer's memory limit",
                            size);
    if (ZSTD_decompressDCtx(codec->unzstd, data, (size_t)size, in.data,
                            in.len) != size)
        return plex_err_set(err, PLEX_CORRUPT,
                            "compressed state of actor %.*s does not expand",
                            (int)coding->name_len, coding->name);
    *out = (struct plex_bytes){data, (size_t)size};
    return PLEX_OK;
}

/* -- rows ------------------------------------------------------------------ */

/* Only what has changed needs another hash. */
void
journal_code_row(struct journal_store *store, const struct journal_coded *of,
                 bool snapshot, struct journal_row *row)
{
    struct journal_codec *codec = store->codec;
    struct journal_coding coding = {
        .name = of->name, .name_len = of->name_len, .seq = row->seq};
    const struct codec_key *key;
    const size_t min =
        snapshot ? COMPRESS_SNAPSHOT_BYTES : codec->config.compress_bytes;

    plex_arena_reset(&codec->scratch);
    if (row->state.len >= min && compress(codec, &row->state))
        row->flags |= JOURNAL_FLAG_ZSTD;
    if (codec->seals) {
        key = journal_keys_current(codec, of->tenant);
        assert(key != NULL);
        row->flags |= JOURNAL_FLAG_SEALED | (uint64_t)key->id
                                                << JOURNAL_FLAG_KEY_BITS;
        /* A state moves from its turn to a snapshot as it is. */
        coding.flags = row->flags & ~(uint64_t)JOURNAL_FLAG_REBUILDS;
        coding.piece = JOURNAL_PIECE_STATE;
        row->state = seal(codec, key, &coding, row->state);
        coding.piece = JOURNAL_PIECE_REPLY;
        row->reply = seal(codec, key, &coding, row->reply);
        coding.piece = JOURNAL_PIECE_RECORD;
        row->record = seal(codec, key, &coding, row->record);
    }
    if (!codec->seals && (row->flags & JOURNAL_FLAG_ZSTD) == 0)
        return; /* as it was */
    if (row->has_state)
        row->state_hash = journal_state_hash(row->state);
    row->record_hash = journal_record_hash(row->record);
}

uint64_t
journal_code_pending(struct journal_store *store,
                     const struct journal_coded *of,
                     struct journal_pending *pending)
{
    struct journal_codec *codec = store->codec;
    struct journal_coding coding = {.piece = JOURNAL_PIECE_MESSAGE,
                                    .name = of->name,
                                    .name_len = of->name_len,
                                    .pending_id = pending->id};
    const struct codec_key *key;

    if (!codec->seals)
        return 0;
    plex_arena_reset(&codec->scratch);
    key = journal_keys_current(codec, of->tenant);
    assert(key != NULL);
    coding.flags = JOURNAL_FLAG_SEALED | (uint64_t)key->id
                                             << JOURNAL_FLAG_KEY_BITS;
    pending->message = seal(codec, key, &coding, pending->message);
    return coding.flags;
}

enum plex_status
journal_decode(struct journal_store *store, const struct journal_coding *coding,
               struct plex_bytes in, struct plex_arena *arena,
               struct plex_bytes *out, struct plex_err *err)
{
    struct journal_coding own = *coding;
    const bool packed = coding->piece == JOURNAL_PIECE_STATE &&
                        (coding->flags & JOURNAL_FLAG_ZSTD) != 0;

    own.flags &= ~(uint64_t)JOURNAL_FLAG_REBUILDS;
    *out = (struct plex_bytes){0};
    if (in.len == 0)
        return PLEX_OK;
    if ((own.flags & JOURNAL_FLAG_SEALED) != 0) {
        if (unseal(store, &own, in, arena, packed ? &in : out, err) != PLEX_OK)
            return err->status;
    } else if (!packed) {
        return journal_bytes_copy(in, arena, out, err);
    }
    return packed ? expand(store->codec, &own, in, arena, out, err) : PLEX_OK;
}
