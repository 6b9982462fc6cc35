/* Applications: one change at a time, stored before it is seen. */
#include "services/registry/core_private.h"

#include "common/mem.h"
#include "common/name.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the list -------------------------------------------------------------- */

size_t
reg_core_apps(const struct reg_core *core)
{
    return core->n_apps;
}

struct reg_app_rec *
reg_core_app(const struct reg_core *core, size_t i)
{
    return core->apps[i];
}

static int
app_compare(const struct reg_app *app, const char *tenant, const char *ns,
            const char *name)
{
    int order = strcmp(app->tenant, tenant);

    if (order == 0)
        order = strcmp(app->ns, ns);
    return order == 0 ? strcmp(app->name, name) : order;
}

size_t
reg_core_app_seek(const struct reg_core *core, const char *tenant,
                  const char *ns, const char *name)
{
    size_t low = 0, high = core->n_apps;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (app_compare(&core->apps[mid]->full.app, tenant, ns, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The index of the application, n_apps when there is none. */
static size_t
app_find(const struct reg_core *core, const struct reg_app *app)
{
    const size_t at = reg_core_app_seek(core, app->tenant, app->ns, app->name);

    if (at < core->n_apps && app_compare(&core->apps[at]->full.app, app->tenant,
                                         app->ns, app->name) == 0)
        return at;
    return core->n_apps;
}

/* -- types ----------------------------------------------------------------- */

enum {
    TYPE_KEY_MAX = PLEX_TENANT_MAX + PLEX_NAMESPACE_MAX + PLEX_TYPE_MAX + 3
};

static size_t
type_key(char key[TYPE_KEY_MAX], const struct reg_app *app, size_t type)
{
    const int len = snprintf(key, TYPE_KEY_MAX, "%s/%s/%s", app->tenant,
                             app->ns, app->types[type].name);

    assert(len > 0 && len < TYPE_KEY_MAX);
    return (size_t)len;
}

static struct reg_type_entry *
type_find(const struct reg_core *core, const struct reg_app *app, size_t type)
{
    char key[TYPE_KEY_MAX];
    const size_t len = type_key(key, app, type);
    struct reg_type_entry *entry;

    HASH_FIND(hh, core->types, key, len, entry);
    return entry;
}

static void
types_add(struct reg_core *core, struct reg_app_rec *rec)
{
    for (size_t i = 0; i < rec->full.app.n_types; i++) {
        char key[TYPE_KEY_MAX];
        const size_t len = type_key(key, &rec->full.app, i);
        struct reg_type_entry *entry = plex_calloc(1, sizeof *entry + len + 1);

        memcpy(entry->key, key, len);
        entry->app = rec;
        HASH_ADD_KEYPTR(hh, core->types, entry->key, len, entry);
    }
}

static void
types_remove(struct reg_core *core, const struct reg_app_rec *rec)
{
    for (size_t i = 0; i < rec->full.app.n_types; i++) {
        struct reg_type_entry *entry = type_find(core, &rec->full.app, i);

        assert(entry != NULL && entry->app == rec);
        HASH_DEL(core->types, entry);
        free(entry);
    }
}

static void
app_put(struct reg_core *core, struct reg_app_rec *rec)
{
    size_t at = app_find(core, &rec->full.app);

    if (at < core->n_apps) {
        types_remove(core, core->apps[at]);
        reg_app_rec_unref(core->apps[at]);
    } else {
        at = reg_core_app_seek(core, rec->full.app.tenant, rec->full.app.ns,
                               rec->full.app.name);
        memmove(&core->apps[at + 1], &core->apps[at],
                (core->n_apps - at) * sizeof(void *));
        core->n_apps++;
    }
    core->apps[at] = reg_app_rec_ref(rec);
    types_add(core, rec);
    if (rec->full.app.revision > core->revision)
        core->revision = rec->full.app.revision;
}

static void
app_remove(struct reg_core *core, size_t at)
{
    types_remove(core, core->apps[at]);
    reg_root_forget(core, &core->apps[at]->full.app);
    reg_app_rec_unref(core->apps[at]);
    core->n_apps--;
    memmove(&core->apps[at], &core->apps[at + 1],
            (core->n_apps - at) * sizeof(void *));
}

enum plex_status
reg_core_load(struct reg_core *core, const struct reg_app_full *app,
              struct plex_err *err)
{
    struct reg_app_rec *rec;

    if (core->n_apps == core->config.apps_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "more than %u applications are stored",
                            core->config.apps_max);
    rec = reg_app_copy(app);
    for (size_t i = 0; i < rec->full.app.n_types; i++)
        if (type_find(core, &rec->full.app, i) != NULL) {
            (void)plex_err_set(err, PLEX_CORRUPT,
                               "type \"%s\" is stored in two applications",
                               rec->full.app.types[i].name);
            reg_app_rec_unref(rec);
            return err->status;
        }
    app_put(core, rec);
    reg_app_rec_unref(rec);
    return PLEX_OK;
}

void
reg_core_load_revision(struct reg_core *core, uint64_t revision)
{
    if (revision > core->revision)
        core->revision = revision;
}

/* -- changes --------------------------------------------------------------- */

/* Which application has one of the types? */
static enum plex_status
types_free_check(const struct reg_core *core, const struct reg_app *app,
                 struct plex_err *err)
{
    for (size_t i = 0; i < app->n_types; i++) {
        const struct reg_type_entry *entry = type_find(core, app, i);

        if (entry != NULL && strcmp(entry->app->full.app.name, app->name) != 0)
            return plex_err_set(err, PLEX_EXISTS,
                                "actor_types[%zu].name \"%s\" belongs to "
                                "application \"%s\"; rename it or undeploy "
                                "that one",
                                i, app->types[i].name,
                                entry->app->full.app.name);
    }
    return PLEX_OK;
}

static enum plex_status
room_check(const struct reg_core *core, const struct reg_app *app,
           const struct reg_app_rec *old, struct plex_err *err)
{
    const size_t freed = old == NULL ? 0 : old->full.app.n_types;

    if (old == NULL && core->n_apps == core->config.apps_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "there are %u applications already",
                            core->config.apps_max);
    if (HASH_COUNT(core->types) - freed + app->n_types > core->config.types_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "all applications together may have %u types",
                            core->config.types_max);
    return PLEX_OK;
}

/* Fill in what the deployment gets; *done when it is what we have already. */
static enum plex_status
deploy_prepare(struct reg_core *core, struct reg_change *change, bool *done,
               struct plex_err *err)
{
    struct reg_app *app = &change->app->full.app;
    const size_t at = app_find(core, app);
    struct reg_app_rec *old = at < core->n_apps ? core->apps[at] : NULL;

    if (types_free_check(core, app, err) != PLEX_OK ||
        room_check(core, app, old, err) != PLEX_OK)
        return err->status;
    app->state = REG_APP_RUNNING;
    if (old == NULL || !reg_app_same(old, change->app)) {
        app->revision = core->revision + 1;
        return PLEX_OK;
    }
    app->revision = old->full.app.revision;
    app->deployed_ms = old->full.app.deployed_ms;
    *done = old->full.app.state == REG_APP_RUNNING;
    return PLEX_OK;
}

static enum plex_status
change_prepare(struct reg_core *core, struct reg_change *change, bool *done,
               struct plex_err *err)
{
    const struct reg_app *asked = &change->app->full.app;
    const enum reg_app_state state = asked->state;
    struct reg_app_full full;
    size_t at;

    if (change->kind == REG_CHANGE_DEPLOY)
        return deploy_prepare(core, change, done, err);
    at = app_find(core, asked);
    if (at == core->n_apps)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no application \"%.64s\" in namespace \"%.32s\"",
                            asked->name, asked->ns);
    full = core->apps[at]->full;
    *done = change->kind == REG_CHANGE_STATE && full.app.state == state;
    if (change->kind == REG_CHANGE_STATE)
        full.app.state = state;
    reg_app_rec_unref(change->app);
    change->app = reg_app_copy(&full);
    return PLEX_OK;
}

static void
change_end(struct reg_core *core)
{
    struct reg_change *change = core->changes;

    core->changes = change->next;
    if (core->changes == NULL)
        core->changes_tail = &core->changes;
    core->n_changes--;
    reg_app_rec_unref(change->app);
    free(change);
}

static void
change_reply(struct reg_core *core, const struct reg_change *change)
{
    if (change->kind == REG_CHANGE_REMOVE)
        reg_push(core, REG_ACTION_GONE, change->call);
    else
        reg_push(core, REG_ACTION_APP, change->call)->app =
            reg_app_rec_ref(change->app);
}

static void
changes_run(struct reg_core *core)
{
    while (core->changes != NULL && !core->storing) {
        struct reg_change *change = core->changes;
        struct plex_err err;
        bool done = false;

        if (change_prepare(core, change, &done, &err) != PLEX_OK) {
            reg_push_fail(core, change->call, &err);
            change_end(core);
        } else if (done) {
            change_reply(core, change);
            change_end(core);
        } else {
            core->storing = true;
            reg_push(core,
                     change->kind == REG_CHANGE_REMOVE ? REG_ACTION_DELETE
                                                       : REG_ACTION_PUT,
                     NULL)
                ->app = reg_app_rec_ref(change->app);
        }
    }
}

void
reg_core_stored(struct reg_core *core, enum plex_status status,
                const char *text, uint64_t now_ns)
{
    struct reg_change *change = core->changes;
    struct plex_err err;

    assert(core->storing && change != NULL);
    core->storing = false;
    if (status != PLEX_OK) {
        (void)plex_err_set(&err, status, "could not store it: %s", text);
        reg_push_fail(core, change->call, &err);
    } else {
        if (change->kind == REG_CHANGE_REMOVE)
            app_remove(core, app_find(core, &change->app->full.app));
        else
            app_put(core, change->app);
        reg_bump(core, now_ns);
        change_reply(core, change);
    }
    change_end(core);
    changes_run(core);
}

/* Takes `app`. */
static void
change_add(struct reg_core *core, enum reg_change_kind kind, void *call,
           struct reg_app_rec *app)
{
    struct reg_change *change;
    struct plex_err err;

    if (core->n_changes >= core->config.changes_max) {
        (void)plex_err_set(&err, PLEX_LIMIT,
                           "%zu changes wait to be stored already",
                           core->n_changes);
        reg_push_fail(core, call, &err);
        reg_app_rec_unref(app);
        return;
    }
    change = plex_calloc(1, sizeof *change);
    change->kind = kind;
    change->call = call;
    change->app = app;
    *core->changes_tail = change;
    core->changes_tail = &change->next;
    core->n_changes++;
    changes_run(core);
}

void
reg_core_deploy(struct reg_core *core, void *call,
                const struct reg_app_full *app, uint64_t now_ns,
                uint64_t wall_ms)
{
    struct reg_app_rec *rec = NULL;
    struct plex_err err;

    (void)now_ns;
    if (plex_name_tenant(app->app.tenant, strlen(app->app.tenant), &err) !=
            PLEX_OK ||
        reg_app_resolve(app, &rec, &err) != PLEX_OK) {
        reg_push_fail(core, call, &err);
        return;
    }
    rec->full.app.deployed_ms = wall_ms;
    change_add(core, REG_CHANGE_DEPLOY, call, rec);
}

static struct reg_app_rec *
named(const char *tenant, const char *ns, const char *name)
{
    const struct reg_app_full full = {
        .app = {.tenant = tenant,
                .ns = ns[0] == '\0' ? "default" : ns,
                .name = name},
    };

    return reg_app_copy(&full);
}

void
reg_core_set_state(struct reg_core *core, void *call, const char *tenant,
                   const char *ns, const char *name, enum reg_app_state state,
                   uint64_t now_ns)
{
    struct reg_app_rec *rec = named(tenant, ns, name);

    (void)now_ns;
    rec->full.app.state = state;
    change_add(core, REG_CHANGE_STATE, call, rec);
}

void
reg_core_undeploy(struct reg_core *core, void *call, const char *tenant,
                  const char *ns, const char *name, uint64_t now_ns)
{
    (void)now_ns;
    change_add(core, REG_CHANGE_REMOVE, call, named(tenant, ns, name));
}

void
reg_apps_free(struct reg_core *core)
{
    while (core->changes != NULL)
        change_end(core);
    while (core->n_apps > 0)
        app_remove(core, core->n_apps - 1);
    free(core->apps);
}
