#include "services/journal/codec_private.h"
#include "services/journal/store_backend.h"

#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each tenant has a random key of its own, wrapped by a key that is derived
 * from the master key. Destroying the row destroys what it sealed. A new
 * master key lets each tenant's next record make a new key; the old ones stay
 * for reading, wrapped by the new master key.
 */
static const char wrap_context[crypto_kdf_CONTEXTBYTES + 1] = "pxjnlwrp";

/* -- wrapping -------------------------------------------------------------- */

/* What a wrapped key is bound to. */
static size_t
bind_to(const struct journal_key_row *row, char out[96])
{
    const int n = snprintf(out, 96, "%s/%u", row->tenant, row->born);

    return (size_t)n;
}

static void
wrap(struct journal_codec *codec, const struct journal_master_key *master,
     const uint8_t key[JOURNAL_KEY_BYTES], struct journal_key_row *row)
{
    uint8_t by[JOURNAL_KEY_BYTES];
    char bound[96];
    const size_t n = bind_to(row, bound);

    row->master = master->id;
    (void)crypto_kdf_derive_from_key(by, sizeof by, 1, wrap_context,
                                     master->bytes);
    journal_codec_nonce(codec, row->wrapped);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        row->wrapped + SEAL_NONCE_BYTES, NULL, key, JOURNAL_KEY_BYTES,
        (const uint8_t *)bound, n, NULL, row->wrapped, by);
    sodium_memzero(by, sizeof by);
}

static enum plex_status
unwrap(const struct journal_codec *codec, const struct journal_key_row *row,
       uint8_t key[JOURNAL_KEY_BYTES], struct plex_err *err)
{
    const struct journal_master_key *master =
        journal_keyring_find(&codec->config.ring, row->master);
    uint8_t by[JOURNAL_KEY_BYTES];
    char bound[96];
    const size_t n = bind_to(row, bound);
    int failed;

    if (master == NULL)
        return plex_err_set(err, PLEX_DENIED,
                            "key %u of tenant %s is wrapped by master key %u, "
                            "which master_key_file lacks",
                            row->id, row->tenant, row->master);
    (void)crypto_kdf_derive_from_key(by, sizeof by, 1, wrap_context,
                                     master->bytes);
    failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
        key, NULL, NULL, row->wrapped + SEAL_NONCE_BYTES,
        sizeof row->wrapped - SEAL_NONCE_BYTES, (const uint8_t *)bound, n,
        row->wrapped, by);
    sodium_memzero(by, sizeof by);
    if (failed != 0)
        return plex_err_set(err, PLEX_DENIED,
                            "key %u of tenant %s does not open with master "
                            "key %u: it is another key of that number",
                            row->id, row->tenant, row->master);
    return PLEX_OK;
}

/* -- memory ---------------------------------------------------------------- */

void
journal_keys_clear(struct journal_codec *codec)
{
    struct codec_key *key, *next;

    HASH_CLEAR(by_tenant, codec->by_tenant);
    HASH_ITER(by_id, codec->by_id, key, next)
    {
        HASH_DELETE(by_id, codec->by_id, key);
        sodium_memzero(key, sizeof *key);
        free(key);
    }
}

void
journal_keys_forget(struct journal_store *store)
{
    if (store->codec != NULL)
        journal_keys_clear(store->codec);
}

const struct codec_key *
journal_keys_current(const struct journal_codec *codec, const char *tenant)
{
    struct codec_key *key;

    HASH_FIND(by_tenant, codec->by_tenant, tenant, strlen(tenant), key);
    return key;
}

static struct codec_key *
key_keep(struct journal_codec *codec, const struct journal_key_row *row,
         const uint8_t bytes[JOURNAL_KEY_BYTES])
{
    struct codec_key *key;

    HASH_FIND(by_id, codec->by_id, &row->id, sizeof row->id, key);
    if (key != NULL)
        return key;
    key = plex_calloc(1, sizeof *key);
    key->id = row->id;
    memcpy(key->bytes, bytes, sizeof key->bytes);
    (void)snprintf(key->tenant, sizeof key->tenant, "%s", row->tenant);
    HASH_ADD(by_id, codec->by_id, id, sizeof key->id, key);
    return key;
}

/* -- getting them ---------------------------------------------------------- */

enum plex_status
journal_keys_get(struct journal_store *store, uint32_t id, const uint8_t **out,
                 struct plex_err *err)
{
    struct journal_codec *codec = store->codec;
    struct journal_key_row row = {.id = id};
    uint8_t bytes[JOURNAL_KEY_BYTES];
    struct codec_key *key;

    HASH_FIND(by_id, codec->by_id, &id, sizeof id, key);
    if (key == NULL) {
        if (!codec->seals)
            return plex_err_set(err, PLEX_DENIED,
                                "it is sealed and there is no master_key_file");
        if (store->ops->keys->get(store, &row, err) != PLEX_OK)
            return err->status != PLEX_NOT_FOUND
                       ? err->status
                       : plex_err_set(err, PLEX_DENIED,
                                      "it is sealed with key %u, which has "
                                      "been destroyed",
                                      id);
        if (unwrap(codec, &row, bytes, err) != PLEX_OK)
            return err->status;
        key = key_keep(codec, &row, bytes);
        sodium_memzero(bytes, sizeof bytes);
    }
    *out = key->bytes;
    return PLEX_OK;
}

/* The row of that tenant and birth, made when there is none. */
static enum plex_status
row_ensure(struct journal_store *store, struct journal_key_row *row,
           struct plex_err *err)
{
    struct journal_codec *codec = store->codec;
    uint8_t bytes[JOURNAL_KEY_BYTES];

    if (store->ops->keys->get(store, row, err) == PLEX_OK)
        return PLEX_OK;
    if (err->status != PLEX_NOT_FOUND)
        return err->status;
    randombytes_buf(bytes, sizeof bytes);
    wrap(codec, journal_keyring_current(&codec->config.ring), bytes, row);
    sodium_memzero(bytes, sizeof bytes);
    err->status = PLEX_OK;
    if (store->ops->keys->add(store, row, err) != PLEX_OK)
        return err->status;
    /* Another journal may have been faster: its key is the one. */
    return store->ops->keys->get(store, row, err);
}

static enum plex_status
key_ensure(struct journal_store *store, const char *tenant, uint32_t born,
           struct codec_key **out, struct plex_err *err)
{
    struct journal_key_row row = {.born = born};
    uint8_t bytes[JOURNAL_KEY_BYTES];

    (void)snprintf(row.tenant, sizeof row.tenant, "%s", tenant);
    if (row_ensure(store, &row, err) != PLEX_OK ||
        unwrap(store->codec, &row, bytes, err) != PLEX_OK)
        return err->status;
    *out = key_keep(store->codec, &row, bytes);
    sodium_memzero(bytes, sizeof bytes);
    return PLEX_OK;
}

enum plex_status
journal_keys_ensure(struct journal_store *store,
                    const struct journal_commit *commit, struct plex_err *err)
{
    struct journal_codec *codec = store->codec;
    struct codec_key *key;

    if (!codec->seals)
        return PLEX_OK;
    if (HASH_CNT(by_id, codec->by_id) > KEYS_MAX)
        journal_keys_clear(codec);
    for (size_t i = 0; i < commit->n_entries; i++) {
        const char *tenant = commit->entries[i]->actor.tenant;

        if (journal_keys_current(codec, tenant) != NULL)
            continue;
        if (key_ensure(store, tenant,
                       journal_keyring_current(&codec->config.ring)->id, &key,
                       err) != PLEX_OK)
            return err->status;
        if (!key->current)
            HASH_ADD(by_tenant, codec->by_tenant, tenant, strlen(key->tenant),
                     key);
        key->current = true;
    }
    return PLEX_OK;
}

/* -- opening, rotation, shredding ------------------------------------------ */

static enum plex_status
rewrap(struct journal_store *store, struct plex_err *err)
{
    struct journal_codec *codec = store->codec;
    const struct journal_master_key *master =
        journal_keyring_current(&codec->config.ring);
    struct journal_key_row row = {0};
    uint8_t bytes[JOURNAL_KEY_BYTES];
    unsigned n = 0;

    while (store->ops->keys->stale(store, row.id, master->id, &row, err) ==
           PLEX_OK) {
        if (unwrap(codec, &row, bytes, err) != PLEX_OK)
            return err->status;
        wrap(codec, master, bytes, &row);
        sodium_memzero(bytes, sizeof bytes);
        if (store->ops->keys->set(store, &row, err) != PLEX_OK)
            return err->status;
        n++;
    }
    if (n > 0)
        plex_log(PLEX_LOG_INFO, "journal-keys-wrapped",
                 "%u keys are now wrapped by master key %u", n, master->id);
    if (err->status != PLEX_NOT_FOUND)
        return err->status;
    return err->status = PLEX_OK;
}

enum plex_status
journal_keys_open(struct journal_store *store,
                  uint8_t chain_key[JOURNAL_KEY_BYTES], bool *keyed,
                  struct plex_err *err)
{
    struct codec_key *key;

    *keyed = store->codec->seals;
    if (!*keyed)
        return PLEX_OK;
    /* The chains go on under one key for ever: its birth is no master's. */
    if (rewrap(store, err) != PLEX_OK ||
        key_ensure(store, "", 0, &key, err) != PLEX_OK)
        return err->status;
    memcpy(chain_key, key->bytes, JOURNAL_KEY_BYTES);
    return PLEX_OK;
}

enum plex_status
journal_keys_shred(struct journal_store *store, const char *tenant, uint64_t *n,
                   struct plex_err *err)
{
    *n = 0;
    if (store->ops->keys == NULL || !store->codec->seals)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "nothing is sealed here: there is no "
                            "master_key_file");
    journal_keys_clear(store->codec);
    return store->ops->keys->drop(store, tenant, n, err);
}
