/* In memory: the reference, and gone with the process. */
#include "services/placement/store_backend.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

struct mem_table {
    struct mem_table *next; /* by name */
    char *pool;
    uint64_t version;
    struct plex_buf body;
};
struct mem_store {
    struct place_store base;
    struct mem_table *tables;
    char *holder;
    uint64_t epoch;
    uint64_t until_ms;
};

static enum plex_status
mem_open(struct place_store **out, const char *dsn, struct plex_err *err)
{
    struct mem_store *mem = plex_calloc(1, sizeof *mem);

    (void)dsn;
    (void)err;
    mem->base.ops = &place_store_mem;
    *out = &mem->base;
    return PLEX_OK;
}

static void
mem_close(struct place_store *store)
{
    struct mem_store *mem = (struct mem_store *)store;
    struct mem_table *table;

    while ((table = mem->tables) != NULL) {
        mem->tables = table->next;
        plex_buf_free(&table->body);
        free(table->pool);
        free(table);
    }
    free(mem->holder);
    free(mem);
}

static enum plex_status
mem_lead(struct place_store *store, const char *holder, uint64_t now_ms,
         uint64_t ttl_ms, uint64_t *epoch, struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;

    if (mem->holder != NULL && mem->until_ms > now_ms &&
        strcmp(mem->holder, holder) != 0)
        return plex_err_set(err, PLEX_CONFLICT, "%s leads", mem->holder);
    free(mem->holder);
    mem->holder = plex_strdup(holder);
    mem->until_ms = now_ms + ttl_ms;
    *epoch = ++mem->epoch;
    return PLEX_OK;
}

static enum plex_status
mem_renew(struct place_store *store, uint64_t epoch, uint64_t now_ms,
          uint64_t ttl_ms, struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;

    if (mem->epoch != epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    mem->until_ms = now_ms + ttl_ms;
    return PLEX_OK;
}

static enum plex_status
mem_load(struct place_store *store, place_table_fn each, void *arg,
         struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    struct mem_table *table;

    for (table = mem->tables; table != NULL; table = table->next) {
        const struct plex_bytes body = {table->body.data, table->body.len};

        if (each(arg, table->pool, table->version, body, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
mem_save(struct place_store *store, const struct place_save *save,
         struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    struct mem_table **at = &mem->tables, *table;
    uint8_t *to;

    while (*at != NULL && strcmp((*at)->pool, save->pool) < 0)
        at = &(*at)->next;
    table = *at;
    if (table != NULL && strcmp(table->pool, save->pool) != 0)
        table = NULL;
    if (mem->epoch != save->leader_epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    if ((table == NULL ? 0 : table->version) != save->expect_version)
        return plex_err_set(err, PLEX_CONFLICT,
                            "the table of pool %s is not of the version "
                            "expected",
                            save->pool);
    if (table == NULL) {
        table = plex_calloc(1, sizeof *table);
        table->pool = plex_strdup(save->pool);
        table->body.max = PLACE_BODY_MAX;
        table->next = *at;
        *at = table;
    }
    table->version = save->version;
    table->body.len = 0;
    to = plex_buf_grow(&table->body, save->body.len);
    if (save->body.len > 0)
        memcpy(to, save->body.data, save->body.len);
    return PLEX_OK;
}

const struct place_store_ops place_store_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .lead = mem_lead,
    .renew = mem_renew,
    .load = mem_load,
    .save = mem_save,
};
