/* Keeps nothing. "mem:shared" is of several services, each with its shards:
 * one that moves to another service begins empty there. */
#include "services/tuplespace/store_backend.h"

#include "common/loop.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    EPOCH_MASK = (1 << 23) - 1,
    SHARED_MASK = (1 << 19) - 1, /* ids have a shard besides */
};

static enum plex_status
mem_check(const char *rest, struct plex_err *err)
{
    if (rest[0] == '\0' || strcmp(rest, "shared") == 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "store \"mem:%.60s\" has something after \"mem:\" "
                        "that is not \"shared\"",
                        rest);
}

/* Ids of before a restart should not be given out again: the clock is the best
 * that is there. */
static enum plex_status
mem_open(struct tspace_store **out, const char *rest, uint32_t shard,
         uint64_t *epoch, struct plex_err *err)
{
    (void)shard;
    (void)err;
    *out = plex_calloc(1, sizeof **out);
    *epoch =
        (plex_wall_ms() / 1000) & (rest[0] == '\0' ? EPOCH_MASK : SHARED_MASK);
    if (*epoch == 0)
        *epoch = 1;
    return PLEX_OK;
}

static void
mem_close(struct tspace_store *store)
{
    free(store);
}

static enum plex_status
mem_commit(struct tspace_store *store, const struct tspace_change *changes,
           size_t n, struct plex_err *err)
{
    (void)store;
    (void)changes;
    (void)n;
    (void)err;
    return PLEX_OK;
}

static enum plex_status
mem_load(struct tspace_store *store, tspace_load_fn each, void *arg,
         struct plex_err *err)
{
    (void)store;
    (void)each;
    (void)arg;
    (void)err;
    return PLEX_OK;
}

/* Nobody else can have it open. */
static enum plex_status
mem_verify(struct tspace_store *base, struct plex_err *err)
{
    (void)base;
    (void)err;
    return PLEX_OK;
}

const struct tspace_store_ops tspace_store_mem = {
    .scheme = "mem",
    .check = mem_check,
    .open = mem_open,
    .close = mem_close,
    .verify = mem_verify,
    .commit = mem_commit,
    .load = mem_load,
};
