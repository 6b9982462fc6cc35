/* In memory: the reference, and gone with the process. */
#include "services/registry/store_backend.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

struct mem_app {
    struct mem_app *next; /* in order */
    char *tenant, *ns, *name;
    uint64_t revision;
    struct plex_buf body;
};
struct mem_store {
    struct reg_store base;
    struct mem_app *apps;
    uint64_t revision;
};

static enum plex_status
mem_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    struct mem_store *mem = plex_calloc(1, sizeof *mem);

    (void)dsn;
    (void)err;
    mem->base.ops = &reg_store_mem;
    *out = &mem->base;
    return PLEX_OK;
}

static int
compare(const struct mem_app *a, const struct reg_store_app *b)
{
    int order = strcmp(a->tenant, b->tenant);

    if (order == 0)
        order = strcmp(a->ns, b->ns);
    return order == 0 ? strcmp(a->name, b->name) : order;
}

/* Where it is, or where it belongs. */
static struct mem_app **
seek(struct mem_store *mem, const struct reg_store_app *app, bool *found)
{
    struct mem_app **at = &mem->apps;

    while (*at != NULL && compare(*at, app) < 0)
        at = &(*at)->next;
    *found = *at != NULL && compare(*at, app) == 0;
    return at;
}

static void
drop(struct mem_app **at)
{
    struct mem_app *app = *at;

    *at = app->next;
    free(app->tenant);
    free(app->ns);
    free(app->name);
    plex_buf_free(&app->body);
    free(app);
}

static void
mem_close(struct reg_store *store)
{
    struct mem_store *mem = (struct mem_store *)store;

    while (mem->apps != NULL)
        drop(&mem->apps);
    free(mem);
}

static enum plex_status
mem_load(struct reg_store *store, reg_store_fn each, void *arg,
         uint64_t *revision, struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    struct mem_app *at;

    *revision = mem->revision;
    for (at = mem->apps; at != NULL; at = at->next) {
        const struct reg_store_app app = {
            .tenant = at->tenant,
            .ns = at->ns,
            .name = at->name,
            .revision = at->revision,
            .body = {at->body.data, at->body.len},
        };

        if (each(arg, &app, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
mem_put(struct reg_store *store, const struct reg_store_app *app,
        struct plex_err *err)
{
    struct mem_store *mem = (struct mem_store *)store;
    bool found;
    struct mem_app **at = seek(mem, app, &found), *copy;
    uint8_t *to;

    (void)err;
    if (!found) {
        copy = plex_calloc(1, sizeof *copy);
        copy->tenant = plex_strdup(app->tenant);
        copy->ns = plex_strdup(app->ns);
        copy->name = plex_strdup(app->name);
        copy->body.max = REG_BODY_MAX;
        copy->next = *at;
        *at = copy;
    }
    copy = *at;
    copy->revision = app->revision;
    copy->body.len = 0;
    to = plex_buf_grow(&copy->body, app->body.len);
    if (app->body.len > 0)
        memcpy(to, app->body.data, app->body.len);
    if (app->revision > mem->revision)
        mem->revision = app->revision;
    return PLEX_OK;
}

static enum plex_status
mem_remove(struct reg_store *store, const struct reg_store_app *app,
           struct plex_err *err)
{
    bool found;
    struct mem_app **at = seek((struct mem_store *)store, app, &found);

    (void)err;
    if (found)
        drop(at);
    return PLEX_OK;
}

const struct reg_store_ops reg_store_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .load = mem_load,
    .put = mem_put,
    .remove = mem_remove,
};
