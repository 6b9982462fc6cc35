#include "services/journal/store.h"

#include "services/journal/store_backend.h"

#include "common/dsn.h"

#include <assert.h>
#include <string.h>

static const struct journal_store_ops *const backends[] = {
    &journal_store_mem, &journal_store_sqlite, &journal_store_pg};

static const struct journal_store_ops *
backend_find(const char *dsn, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (plex_dsn_rest(dsn, backends[i]->scheme) != NULL)
            return backends[i];
    (void)plex_dsn_unknown(dsn, "mem:, sqlite:PATH or postgres://...", err);
    return NULL;
}

enum plex_status
journal_store_check(const char *dsn, struct plex_err *err)
{
    return backend_find(dsn, err) == NULL ? err->status : PLEX_OK;
}

static enum plex_status
crypto_open(struct journal_store *store,
            const struct journal_store_config *config, struct plex_err *err)
{
    struct journal_codec_config coding = {.compress_bytes =
                                              config->compress_bytes};
    const char *file = config->master_key_file;
    uint8_t key[JOURNAL_CHAIN_KEY_BYTES];
    bool keyed;

    if (file != NULL && file[0] != '\0' && store->ops->keys != NULL &&
        journal_keyring_read(file, &coding.ring, err) != PLEX_OK)
        return err->status;
    store->codec = journal_codec_create(&coding);
    journal_keyring_wipe(&coding.ring);
    if (store->codec == NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "libsodium or zstd could not be started");
    if (journal_keys_open(store, key, &keyed, err) != PLEX_OK)
        return err->status;
    store->chain = journal_chain_create(keyed ? key : NULL);
    explicit_bzero(key, sizeof key);
    return store->chain != NULL ? PLEX_OK
                                : plex_err_set(err, PLEX_UNSUPPORTED,
                                               "OpenSSL offers no SHA-256");
}

enum plex_status
journal_store_open(struct journal_store **out,
                   const struct journal_store_config *config,
                   struct plex_err *err)
{
    const struct journal_store_ops *ops = backend_find(config->dsn, err);

    *out = NULL;
    if (ops == NULL || ops->open(out, config, err) != PLEX_OK)
        return err->status;
    if (crypto_open(*out, config, err) == PLEX_OK)
        return PLEX_OK;
    journal_store_close(*out);
    *out = NULL;
    return err->status;
}

void
journal_store_close(struct journal_store *store)
{
    if (store == NULL)
        return;
    journal_chain_free(store->chain);
    journal_codec_free(store->codec);
    store->ops->close(store);
}

const char *
journal_store_name(const struct journal_store *store)
{
    return store->ops->scheme;
}

enum plex_status
journal_store_epochs(struct journal_store *store, struct journal_epochs *out,
                     struct plex_err *err)
{
    assert(out->by_shard == NULL);
    return store->ops->epochs(store, out, err);
}

enum plex_status
journal_store_commit(struct journal_store *store, struct journal_commit *commit,
                     struct plex_err *err)
{
    return store->ops->commit(store, commit, err);
}

static enum plex_status
load_check(const struct journal_load *load, struct plex_err *err)
{
    if (load->recent_max <= JOURNAL_RECENT_MAX)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "load wants %u recent answers, at most %d are given",
                        load->recent_max, JOURNAL_RECENT_MAX);
}

void
journal_store_loads(struct journal_store *store,
                    struct journal_loading *loadings, size_t n,
                    uint64_t wall_ms)
{
    assert(n > 0 && n <= JOURNAL_LOADS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct journal_loading *l = &loadings[i];

        l->out = (struct journal_loaded){0};
        l->newest_epoch = 0;
        l->err.status = load_check(l->load, &l->err);
    }
    store->ops->loads(store, loadings, n, wall_ms);
    for (size_t i = 0; i < n; i++) {
        struct journal_loading *l = &loadings[i];

        if (l->err.status == PLEX_OK)
            l->err.status = journal_load_records(store, l->load, l->arena,
                                                 &l->out, &l->err);
    }
}

enum plex_status
journal_store_load(struct journal_store *store, const struct journal_load *load,
                   uint64_t wall_ms, struct plex_arena *arena,
                   struct journal_loaded *out, uint64_t *newest_epoch,
                   struct plex_err *err)
{
    *out = (struct journal_loaded){0};
    *newest_epoch = 0;
    if (load_check(load, err) != PLEX_OK)
        return err->status;
    if (store->ops->load(store, load, wall_ms, arena, out, newest_epoch, err) !=
        PLEX_OK)
        return err->status;
    return journal_load_records(store, load, arena, out, err);
}

enum plex_status
journal_store_lookup(struct journal_store *store, const char *tenant,
                     struct plex_bytes message_id, uint64_t wall_ms,
                     struct plex_arena *arena, struct journal_lookup *out,
                     struct plex_err *err)
{
    *out = (struct journal_lookup){0};
    return store->ops->lookup(store, tenant, message_id, wall_ms, arena, out,
                              err);
}

enum plex_status
journal_store_answers(struct journal_store *store,
                      const struct journal_asked *asked, size_t n,
                      uint64_t wall_ms, struct plex_arena *arena,
                      struct journal_result *out, struct plex_err *err)
{
    struct journal_answering answering = {
        .store = store,
        .asked = asked,
        .n = n,
        .wall_ms = wall_ms,
        .arena = arena,
        .out = out,
    };

    assert(n > 0 && n <= JOURNAL_ASKED_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct journal_result){.status = PLEX_NOT_FOUND};
    return store->ops->answers(&answering, err);
}

enum plex_status
journal_store_pending(struct journal_store *store,
                      const struct journal_page *page, struct plex_arena *arena,
                      struct journal_paged *out, struct plex_err *err)
{
    *out = (struct journal_paged){0};
    return store->ops->pending(store, page, arena, out, err);
}

enum plex_status
journal_store_retain(struct journal_store *store, uint64_t wall_ms,
                     uint32_t limit, struct journal_retained *out,
                     struct plex_err *err)
{
    *out = (struct journal_retained){0};
    return store->ops->retain(store, wall_ms, limit, out, err);
}

enum plex_status
journal_store_shred(struct journal_store *store, const char *tenant,
                    uint64_t *n, struct plex_err *err)
{
    return journal_keys_shred(store, tenant, n, err);
}

enum plex_status
journal_store_empty(struct journal_store *store, bool *empty,
                    struct plex_err *err)
{
    const char *const *names;
    struct plex_arena arena;
    size_t n = 0;
    enum plex_status status;

    plex_arena_init(&arena, 1 << 20);
    status = store->ops->history->actors(store, "", 1, &arena, &names, &n, err);
    plex_arena_fini(&arena);
    *empty = n == 0;
    return status;
}

const char *
journal_store_shared(const struct journal_store *store)
{
    return store->ops->shared == NULL ? "" : store->ops->shared(store);
}

uint64_t
journal_store_bytes(struct journal_store *store)
{
    return store->ops->bytes(store);
}
