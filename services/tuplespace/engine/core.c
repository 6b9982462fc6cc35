/* Life of the core, and of what everything in it belongs to. */
#include "services/tuplespace/engine/core.h"

#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/part.h"

#include <assert.h>

enum { EPOCH_SHIFT = 40 };

struct tspace_core *
tspace_core_create(const struct tspace_config *config)
{
    struct tspace_core *core = plex_calloc(1, sizeof *core);

    assert(config->shard <= TSPACE_PARTS);
    assert(config->epoch <
           1ull << ((config->shard == 0 ? 64 : TSPACE_ID_SHARD) - EPOCH_SHIFT));
    core->config = *config;
    core->next_id = ((uint64_t)config->shard << TSPACE_ID_SHARD |
                     config->epoch << EPOCH_SHIFT) +
                    1;
    core->ids.row_bytes = sizeof(struct item *);
    TAILQ_INIT(&core->by_age);
    TAILQ_INIT(&core->waiters);
    return core;
}

/* -- names ----------------------------------------------------------------- */

static size_t
key_add(char *key, size_t len, size_t max, const char *part)
{
    const size_t bytes = strlen(part) + 1;

    assert(len + bytes <= max);
    memcpy(key + len, part, bytes);
    return len + bytes;
}

struct realm *
core_realm_find(const struct tspace_core *core,
                const struct tspace_where *where)
{
    char key[REALM_KEY_MAX];
    size_t len = key_add(key, 0, sizeof key, where->tenant);
    struct realm *realm;

    len = key_add(key, len, sizeof key, where->ns);
    HASH_FIND(hh, core->realms, key, len, realm);
    return realm;
}

static struct tenant *
tenant_get(struct tspace_core *core, const char *name)
{
    struct tenant *tenant;

    HASH_FIND_STR(core->tenants, name, tenant);
    if (tenant == NULL) {
        tenant = plex_calloc(1, sizeof *tenant);
        tenant->name = plex_strdup(name);
        TAILQ_INIT(&tenant->by_age);
        HASH_ADD_KEYPTR(hh, core->tenants, tenant->name, strlen(name), tenant);
    }
    return tenant;
}

struct realm *
core_realm_get(struct tspace_core *core, const struct tspace_where *where)
{
    struct realm *realm = core_realm_find(core, where);
    char key[REALM_KEY_MAX];
    size_t len;

    if (realm == NULL) {
        realm = plex_calloc(1, sizeof *realm);
        realm->tenant = tenant_get(core, where->tenant);
        realm->tenant->realms++;
        len = key_add(key, 0, sizeof key, where->tenant);
        len = key_add(key, len, sizeof key, where->ns);
        realm->key = plex_calloc(1, len);
        memcpy(realm->key, key, len);
        realm->ns = realm->key + strlen(where->tenant) + 1;
        HASH_ADD_KEYPTR(hh, core->realms, realm->key, len, realm);
    }
    realm->users++;
    return realm;
}

void
core_realm_release(struct tspace_core *core, struct realm *realm)
{
    struct tenant *tenant = realm->tenant;

    assert(realm->users > 0);
    if (--realm->users > 0)
        return;
    HASH_DEL(core->realms, realm);
    free(realm->key);
    free(realm);
    if (--tenant->realms > 0)
        return;
    HASH_DEL(core->tenants, tenant);
    free(tenant->name);
    free(tenant);
}

/* -- spaces ---------------------------------------------------------------- */

static void
space_free(struct tspace_core *core, struct space *space)
{
    for (uint32_t i = 0; i < space->n_shapes; i++) {
        if (space->shapes[i] == NULL)
            continue;
        if (core->building == space->shapes[i])
            core->building = NULL;
        listener_table_fini(&space->shapes[i]->waiters);
        listener_table_fini(&space->shapes[i]->subscriptions);
        shape_fini(space->shapes[i]);
        free(space->shapes[i]);
    }
    free(space->shapes);
    if (core->last_space == space)
        core->last_space = NULL;
    HASH_DEL(core->spaces, space);
    space->realm->apart -= space->options.partition_field != 0;
    space->realm->tenant->spaces--;
    core_realm_release(core, space->realm);
    core->stats.spaces--;
    free(space->key);
    free(space);
}

static bool
space_idle(const struct space *space)
{
    return space->tuples == 0 && space->waiters == 0 &&
           space->subscriptions == 0 && space->outputs == 0 &&
           !space->configured;
}

struct space *
core_space_find(struct tspace_core *core, const struct tspace_where *where)
{
    struct space *space = core->last_space;
    char key[SPACE_KEY_MAX];
    size_t len;

    if (space != NULL && strcmp(space->where.space, where->space) == 0 &&
        strcmp(space->where.tenant, where->tenant) == 0 &&
        strcmp(space->where.ns, where->ns) == 0)
        return space;
    len = key_add(key, 0, sizeof key, where->tenant);
    len = key_add(key, len, sizeof key, where->ns);
    len = key_add(key, len, sizeof key, where->space);
    HASH_FIND(hh, core->spaces, key, len, space);
    if (space != NULL)
        core->last_space = space;
    return space;
}

static bool
space_fits(const struct tspace_core *core, const struct tenant *tenant)
{
    const struct tspace_config *config = &core->config;

    return core->restoring || ((config->spaces_max == 0 ||
                                core->stats.spaces < config->spaces_max) &&
                               (config->tenant_spaces_max == 0 ||
                                tenant->spaces < config->tenant_spaces_max));
}

/* Spaces that nothing is in exist in memory only: they make room. */
static bool
space_room(struct tspace_core *core, const struct tenant *tenant)
{
    struct space *space, *next;

    if (space_fits(core, tenant))
        return true;
    HASH_ITER(hh, core->spaces, space, next)
    {
        if (space_idle(space))
            space_free(core, space);
    }
    return space_fits(core, tenant);
}

struct space *
core_space_get(struct tspace_core *core, const struct tspace_where *where)
{
    struct space *space = core_space_find(core, where);
    char key[SPACE_KEY_MAX];
    struct realm *realm;
    size_t len;

    if (space != NULL)
        return space;
    realm = core_realm_get(core, where);
    if (!space_room(core, realm->tenant)) {
        core_realm_release(core, realm);
        return NULL;
    }
    space = plex_calloc(1, sizeof *space);
    space->realm = realm;
    realm->tenant->spaces++;
    len = key_add(key, 0, sizeof key, where->tenant);
    len = key_add(key, len, sizeof key, where->ns);
    len = key_add(key, len, sizeof key, where->space);
    space->key = plex_calloc(1, len);
    memcpy(space->key, key, len);
    space->where.tenant = space->key;
    space->where.ns = space->where.tenant + strlen(where->tenant) + 1;
    space->where.space = space->where.ns + strlen(where->ns) + 1;
    TAILQ_INIT(&space->watchers);
    HASH_ADD_KEYPTR(hh, core->spaces, space->key, len, space);
    core->stats.spaces++;
    return space;
}

struct shape *
core_shape_find(const struct space *space, uint32_t n_fields)
{
    return n_fields < space->n_shapes ? space->shapes[n_fields] : NULL;
}

struct shape *
core_shape_get(struct tspace_core *core, struct space *space, uint32_t n_fields)
{
    struct shape *shape = core_shape_find(space, n_fields);

    if (shape != NULL)
        return shape;
    if (n_fields >= space->n_shapes) {
        space->shapes = plex_reallocarray(space->shapes, n_fields + 1,
                                          sizeof(struct shape *));
        while (space->n_shapes <= n_fields)
            space->shapes[space->n_shapes++] = NULL;
    }
    shape = plex_calloc(1, sizeof *shape);
    shape_init(shape, core, space, n_fields, core->config.hash_seed);
    space->shapes[n_fields] = shape;
    for (uint32_t i = 0; i < space->options.n_indexes; i++) {
        const struct tspace_index *index = &space->options.indexes[i];

        if (index->fields == n_fields)
            shape_declare(shape, &(struct index_def){index->exact, index->types,
                                                     index->ordered});
    }
    return shape;
}

/* -- the end --------------------------------------------------------------- */

static void
items_free(struct tspace_core *core)
{
    for (uint32_t i = 0; i < core->n_id_buckets; i++) {
        struct item *item = *(struct item **)rows_at(&core->ids, i);

        while (item != NULL) {
            struct item *next = item->id_next;

            item->linked = false;
            item_unref(item);
            item = next;
        }
    }
    rows_free(&core->ids);
}

static void
parts_free(struct tspace_core *core)
{
    struct subscription *subscription, *next_subscription;
    struct claim *claim, *next_claim;
    struct tx *tx, *next_tx;

    while (!TAILQ_EMPTY(&core->waiters))
        core_waiter_free(core, TAILQ_FIRST(&core->waiters));
    HASH_ITER(hh, core->txs, tx, next_tx)
    {
        core_tx_free(core, tx);
    }
    HASH_ITER(hh, core->claims, claim, next_claim)
    {
        core_claim_free(core, claim);
    }
    HASH_ITER(hh, core->subscriptions, subscription, next_subscription)
    {
        core_subscription_end(core, subscription, false);
    }
    while (!TAILQ_EMPTY(&core->by_age))
        core_memory_free(core, TAILQ_FIRST(&core->by_age), false);
}

void
tspace_core_free(struct tspace_core *core)
{
    struct space *space, *next_space;

    if (core == NULL)
        return;
    core_restore_free(core);
    parts_free(core);
    core_outputs_free(core);
    items_free(core);
    HASH_ITER(hh, core->spaces, space, next_space)
    {
        space_free(core, space);
    }
    assert(core->realms == NULL && core->tenants == NULL);
    free(core->wall.dues);
    free(core->mono.dues);
    free(core->spare);
    free(core);
}

/* -- what there is --------------------------------------------------------- */

struct tspace_stats
tspace_core_stats(const struct tspace_core *core)
{
    struct tspace_stats stats = core->stats;
    const struct space *space;

    stats.indexes = stats.index_bytes = 0;
    for (space = core->spaces; space != NULL; space = space->hh.next)
        for (uint32_t i = 0; i < space->n_shapes; i++)
            if (space->shapes[i] != NULL) {
                stats.indexes += space->shapes[i]->n_indexes;
                stats.index_bytes += shape_index_bytes(space->shapes[i]);
            }
    stats.index_bytes += rows_bytes(&core->ids);
    return stats;
}

bool
tspace_core_space_stats(const struct tspace_core *core,
                        const struct tspace_where *where,
                        struct tspace_space_stats *out)
{
    const struct space *space =
        core_space_find((struct tspace_core *)core, where);

    if (space == NULL)
        return false;
    *out = (struct tspace_space_stats){
        .options = space->options,
        .tuples = space->tuples,
        .bytes = space->bytes,
        .waiters = space->waiters,
    };
    for (uint32_t i = 0; i < space->n_shapes; i++)
        if (space->shapes[i] != NULL)
            out->indexes += space->shapes[i]->n_indexes;
    return true;
}

uint32_t
tspace_core_partition(const struct tspace_core *core,
                      const struct tspace_where *where)
{
    const struct space *space =
        core_space_find((struct tspace_core *)core, where);

    return space == NULL ? 0 : space->options.partition_field;
}

uint32_t
tspace_core_parts(const struct tspace_core *core, const struct tspace_where *of)
{
    const struct realm *realm = core_realm_find(core, of);
    const struct space *space;
    uint32_t parts = 0;

    if (realm == NULL || realm->apart == 0)
        return 0;
    for (space = core->spaces; space != NULL; space = space->hh.next)
        if (space->realm == realm && space->options.partition_field != 0)
            parts |=
                tspace_parts(&space->where, space->options.partition_field);
    return parts;
}

static int
name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

uint32_t
tspace_core_spaces(const struct tspace_core *core,
                   const struct tspace_where *of, const char *after,
                   const char **names, uint32_t max)
{
    const struct realm *realm = core_realm_find(core, of);
    const struct space *space;
    const char **all;
    uint32_t n = 0;

    if (realm == NULL)
        return 0;
    all = plex_calloc(core->stats.spaces + 1, sizeof *all);
    for (space = core->spaces; space != NULL; space = space->hh.next)
        if (space->realm == realm && !space_idle(space) &&
            strcmp(space->where.space, after) > 0)
            all[n++] = space->where.space;
    qsort(all, n, sizeof *all, name_compare);
    n = n < max ? n : max;
    memcpy(names, all, n * sizeof *all);
    free(all);
    return n;
}
