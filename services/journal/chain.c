#include "services/journal/chain.h"

#include "common/mem.h"

#include <assert.h>
#include <endian.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Small pieces are gathered: a call per piece costs more than copying it. */
enum { GATHER_MAX = 2048 };

/* OpenSSL's SHA-256 uses the processor's instructions for it, which makes it
 * more than twice as fast as libsodium's BLAKE2b on such short inputs. */
struct journal_chain {
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    bool keyed;
    uint8_t key[JOURNAL_CHAIN_KEY_BYTES];
    size_t n;
    uint8_t bytes[GATHER_MAX];
};

struct journal_chain *
journal_chain_create(const uint8_t *key)
{
    struct journal_chain *chain = plex_calloc(1, sizeof *chain);

    chain->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    chain->hash = EVP_MD_CTX_new();
    if (chain->sha256 == NULL || chain->hash == NULL) {
        journal_chain_free(chain);
        return NULL;
    }
    chain->keyed = key != NULL;
    if (key != NULL)
        memcpy(chain->key, key, sizeof chain->key);
    return chain;
}

void
journal_chain_free(struct journal_chain *chain)
{
    if (chain == NULL)
        return;
    EVP_MD_CTX_free(chain->hash);
    EVP_MD_free(chain->sha256);
    explicit_bzero(chain->key, sizeof chain->key);
    free(chain);
}

bool
journal_chain_keyed(const struct journal_chain *chain)
{
    return chain->keyed;
}

static void
flush(struct journal_chain *chain)
{
    const int done = EVP_DigestUpdate(chain->hash, chain->bytes, chain->n);

    assert(done == 1);
    (void)done;
    chain->n = 0;
}

static void
add(struct journal_chain *chain, const void *data, size_t len)
{
    if (len == 0)
        return;
    if (chain->n + len > sizeof chain->bytes)
        flush(chain);
    if (len > sizeof chain->bytes) {
        const int done = EVP_DigestUpdate(chain->hash, data, len);

        assert(done == 1);
        (void)done;
        return;
    }
    memcpy(chain->bytes + chain->n, data, len);
    chain->n += len;
}

/* The lengths come before what they are of, so no input is the beginning of
 * another: the key in front makes this a code that only its owner can make. */
void
journal_chain_next(struct journal_chain *chain,
                   const uint8_t prev[JOURNAL_CHAIN_BYTES], const char *actor,
                   size_t actor_len, const struct journal_row *row,
                   uint8_t out[JOURNAL_CHAIN_BYTES])
{
    const uint64_t fixed[] = {
        htole64(row->seq),
        htole64(row->at_ms),
        htole64(row->expires_ms),
        htole64(row->request_hash),
        htole64((uint64_t)row->has_state << 32 | row->schema_version),
        htole64(row->flags),
        htole64(actor_len),
        htole64(row->message_id.len),
        htole64(row->reply.len),
        htole64(row->record.len),
        htole64(row->state.len)};
    int done = EVP_DigestInit_ex2(chain->hash, chain->sha256, NULL);

    assert(done == 1);
    chain->n = 0;
    if (chain->keyed && (row->flags & JOURNAL_FLAG_SEALED) != 0)
        add(chain, chain->key, sizeof chain->key);
    add(chain, prev, JOURNAL_CHAIN_BYTES);
    add(chain, fixed, sizeof fixed);
    add(chain, actor, actor_len);
    add(chain, row->message_id.data, row->message_id.len);
    add(chain, row->reply.data, row->reply.len);
    add(chain, row->record.data, row->record.len);
    add(chain, row->state.data, row->state.len);
    flush(chain);
    done = EVP_DigestFinal_ex(chain->hash, out, NULL);
    assert(done == 1);
    (void)done;
}
