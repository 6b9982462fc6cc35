/* The store that keeps nothing: what a tuple space holds is in its core. */
#include "common/mem.h"
#include "services/tuplespace/store_backend.h"

#include <stdlib.h>

static enum plex_status
mem_open(struct tspace_store **out, const char *rest, struct plex_err *err)
{
    if (rest[0] != '\0')
        return plex_err_set(err, PLEX_INVALID, "\"mem:\" takes no parameters");
    *out = plex_calloc(1, sizeof **out);
    return PLEX_OK;
}

static void
mem_close(struct tspace_store *store)
{
    free(store);
}

static enum plex_status
mem_begin(struct tspace_store *store, struct plex_err *err)
{
    (void)store, (void)err;
    return PLEX_OK;
}

static enum plex_status
mem_apply(struct tspace_store *store, const struct tspace_action *action,
          struct plex_err *err)
{
    (void)store, (void)action, (void)err;
    return PLEX_OK;
}

static void
mem_rollback(struct tspace_store *store)
{
    (void)store;
}

static enum plex_status
mem_load(struct tspace_store *store, struct tspace_core *core,
         struct plex_err *err)
{
    (void)store, (void)core, (void)err;
    return PLEX_OK;
}

const struct tspace_store_ops tspace_store_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .begin = mem_begin,
    .apply = mem_apply,
    .commit = mem_begin,
    .rollback = mem_rollback,
    .load = mem_load,
};
