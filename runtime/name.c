#include "runtime/core.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/*
 * Names of processes, interned scopes (tenant and namespace), and aliases: refs
 * that stand for a name elsewhere. Scopes and aliases stay until the runtime
 * ends, so they are limited in number.
 */
enum { SCOPES_MAX = 1 << 20, ALIASES_MAX = 1 << 22, KEY_MAX = 1024 };

struct name_row {
    UT_hash_handle hh;
    struct plex_ref ref;
    char key[]; /* scope and name */
};
struct scope_row {
    UT_hash_handle hh;
    uint32_t index;
    struct rt_where where;
    char key[]; /* tenant, 0, ns */
};
struct alias_row {
    UT_hash_handle hh;
    uint32_t index;
    uint32_t scope;
    char *text; /* in key */
    char key[];
};
struct rt_names {
    pthread_rwlock_t lock;
    struct name_row *names;
    struct scope_row *scopes, **scope_by;
    struct alias_row *aliases, **alias_by;
    uint32_t scope_count, scope_max;
    uint32_t alias_count, alias_max;
};

struct rt_names *
rt_names_create(void)
{
    struct rt_names *names = plex_calloc(1, sizeof *names);

    (void)pthread_rwlock_init(&names->lock, NULL);
    return names;
}

void
rt_names_free(struct rt_names *names)
{
    struct name_row *name, *next_name;
    struct scope_row *scope, *next_scope;
    struct alias_row *alias, *next_alias;

    if (names == NULL)
        return;
    HASH_ITER(hh, names->names, name, next_name)
    {
        HASH_DEL(names->names, name);
        free(name);
    }
    HASH_ITER(hh, names->scopes, scope, next_scope)
    {
        HASH_DEL(names->scopes, scope);
        free(scope);
    }
    HASH_ITER(hh, names->aliases, alias, next_alias)
    {
        HASH_DEL(names->aliases, alias);
        free(alias);
    }
    free(names->scope_by);
    free(names->alias_by);
    (void)pthread_rwlock_destroy(&names->lock);
    free(names);
}

/* -- scopes -- */

uint32_t
rt_scope_of(struct rt *rt, struct rt_where where)
{
    struct rt_names *names = rt->names;
    struct scope_row *row;
    const char *tenant = where.tenant == NULL ? "" : where.tenant;
    const char *ns = where.ns == NULL ? "" : where.ns;
    size_t t = strlen(tenant) + 1, n = strlen(ns) + 1;
    char key[KEY_MAX];
    uint32_t index = UINT32_MAX;

    if (t + n > sizeof key)
        return UINT32_MAX;
    memcpy(key, tenant, t);
    memcpy(key + t, ns, n);
    pthread_rwlock_wrlock(&names->lock);
    HASH_FIND(hh, names->scopes, key, t + n, row);
    if (row == NULL && names->scope_count < SCOPES_MAX) {
        row = plex_calloc(1, sizeof *row + t + n);
        memcpy(row->key, key, t + n);
        row->index = names->scope_count++;
        row->where = (struct rt_where){row->key, row->key + t};
        if (row->index == names->scope_max) {
            names->scope_max = names->scope_max == 0 ? 16 : row->index * 2;
            names->scope_by = plex_reallocarray(
                names->scope_by, names->scope_max, sizeof(struct scope_row *));
        }
        names->scope_by[row->index] = row;
        HASH_ADD(hh, names->scopes, key, t + n, row);
    }
    if (row != NULL)
        index = row->index;
    pthread_rwlock_unlock(&names->lock);
    return index;
}

struct rt_where
rt_scope_text(struct rt *rt, uint32_t scope)
{
    struct rt_where where = {"", ""};

    pthread_rwlock_rdlock(&rt->names->lock);
    if (scope < rt->names->scope_count)
        where = rt->names->scope_by[scope]->where;
    pthread_rwlock_unlock(&rt->names->lock);
    return where;
}

/* -- names -- */

static size_t
name_key(char *key, uint32_t scope, const char *name)
{
    size_t len = strlen(name);

    memcpy(key, &scope, sizeof scope);
    memcpy(key + sizeof scope, name, len);
    return sizeof scope + len;
}

int
rt_name_set(struct rt *rt, uint32_t scope, const char *name,
            struct plex_ref ref)
{
    char key[KEY_MAX];
    struct name_row *row;
    size_t len = name_key(key, scope, name);
    int status = -PLEX_EXISTS;

    pthread_rwlock_wrlock(&rt->names->lock);
    HASH_FIND(hh, rt->names->names, key, len, row);
    if (row == NULL) {
        row = plex_calloc(1, sizeof *row + len);
        memcpy(row->key, key, len);
        row->ref = ref;
        HASH_ADD(hh, rt->names->names, key, len, row);
        status = 0;
    }
    pthread_rwlock_unlock(&rt->names->lock);
    return status;
}

void
rt_name_clear(struct rt *rt, uint32_t scope, const char *name)
{
    char key[KEY_MAX];
    struct name_row *row;
    size_t len = name_key(key, scope, name);

    pthread_rwlock_wrlock(&rt->names->lock);
    HASH_FIND(hh, rt->names->names, key, len, row);
    if (row != NULL)
        HASH_DEL(rt->names->names, row);
    pthread_rwlock_unlock(&rt->names->lock);
    free(row);
}

struct plex_ref
rt_name_find(struct rt *rt, uint32_t scope, const char *name)
{
    struct plex_ref ref = {0, 0};
    char key[KEY_MAX];
    struct name_row *row;
    size_t len;

    if (strlen(name) > 512)
        return ref;
    len = name_key(key, scope, name);
    pthread_rwlock_rdlock(&rt->names->lock);
    HASH_FIND(hh, rt->names->names, key, len, row);
    if (row != NULL)
        ref = row->ref;
    pthread_rwlock_unlock(&rt->names->lock);
    return ref;
}

/* -- aliases -- */

struct plex_ref
rt_alias(struct rt *rt, uint32_t scope, const char *name)
{
    struct rt_names *names = rt->names;
    struct plex_ref ref = {0, 0};
    struct alias_row *row;
    char key[KEY_MAX];
    size_t len;

    if (strlen(name) > 600)
        return ref;
    len = name_key(key, scope, name) + 1;
    key[len - 1] = '\0';
    pthread_rwlock_rdlock(&names->lock);
    HASH_FIND(hh, names->aliases, key, len, row);
    pthread_rwlock_unlock(&names->lock);
    if (row == NULL) {
        pthread_rwlock_wrlock(&names->lock);
        HASH_FIND(hh, names->aliases, key, len, row);
        if (row == NULL && names->alias_count < ALIASES_MAX) {
            row = plex_calloc(1, sizeof *row + len);
            memcpy(row->key, key, len);
            row->text = row->key + sizeof scope;
            row->scope = scope;
            row->index = names->alias_count++;
            if (row->index == names->alias_max) {
                names->alias_max = row->index == 0 ? 16 : row->index * 2;
                names->alias_by =
                    plex_reallocarray(names->alias_by, names->alias_max,
                                      sizeof(struct alias_row *));
            }
            names->alias_by[row->index] = row;
            HASH_ADD(hh, names->aliases, key, len, row);
        }
        pthread_rwlock_unlock(&names->lock);
    }
    if (row != NULL)
        ref = (struct plex_ref){rt->config.node, RT_ALIAS | row->index};
    return ref;
}

const char *
rt_alias_text(struct rt *rt, struct plex_ref ref, uint32_t *scope)
{
    struct rt_names *names = rt->names;
    uint64_t index = ref.id & ~RT_ALIAS;
    const char *text = NULL;

    if (ref.node != rt->config.node || (ref.id & RT_ALIAS) == 0)
        return NULL;
    pthread_rwlock_rdlock(&names->lock);
    if (index < names->alias_count) {
        text = names->alias_by[index]->text;
        *scope = names->alias_by[index]->scope;
    }
    pthread_rwlock_unlock(&names->lock);
    return text;
}

bool
rt_alias_at(struct rt *rt, struct plex_ref ref, const char *node_id)
{
    uint32_t scope;
    const char *text = rt_alias_text(rt, ref, &scope);
    const char *at = text == NULL ? NULL : strrchr(text, '@');

    return at != NULL && (node_id[0] == '\0' || strcmp(at + 1, node_id) == 0);
}

struct plex_ref
rt_whereis_in(struct rt *rt, uint32_t scope, const char *name)
{
    const char *at = name == NULL ? NULL : strrchr(name, '@');
    char local[256];

    if (name == NULL || *name == '\0')
        return (struct plex_ref){0, 0};
    if (at != NULL && strcmp(at + 1, rt->node_id) == 0) {
        if ((size_t)(at - name) >= sizeof local)
            return (struct plex_ref){0, 0};
        memcpy(local, name, (size_t)(at - name));
        local[at - name] = '\0';
        return rt_name_find(rt, scope, local);
    }
    if (at != NULL || strchr(name, '/') != NULL)
        return rt_alias(rt, scope, name);
    return rt_name_find(rt, scope, name);
}

size_t
rt_ref_text(struct rt *rt, struct plex_ref ref, char *out, size_t size)
{
    struct rt_proc *proc;
    uint32_t scope;
    const char *alias = rt_alias_text(rt, ref, &scope);
    int n = -1;

    if (alias != NULL) {
        n = snprintf(out, size, "%s", alias);
    } else if (rt_is_local(rt, ref) && (proc = rt_slot(rt, ref.id)) != NULL) {
        pthread_mutex_lock(&rt->stripes[proc->slot % RT_STRIPES]);
        if (atomic_load(&proc->generation) == (uint32_t)(ref.id >> 32) &&
            proc->ext != NULL && proc->ext->name != NULL)
            n = snprintf(out, size, "%s@%s", proc->ext->name, rt->node_id);
        pthread_mutex_unlock(&rt->stripes[proc->slot % RT_STRIPES]);
    }
    if (n < 0)
        n = snprintf(out, size, "<%llx.%u.%u>", (unsigned long long)ref.node,
                     (unsigned)ref.id, (unsigned)(ref.id >> 32));
    return n < 0 ? 0 : (size_t)n;
}
