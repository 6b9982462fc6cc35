#include "services/worker/module.h"

#include "common/mem.h"
#include "common/name.h"
#include "services/worker/builtin.h"
#include "services/worker/builtin_lattice.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64, BEHAVIOURS_MAX = 1000, MODULES_MAX = 1000 };

struct loaded {
    struct loaded *next;
    char name[NAME_MAX_BYTES + 1];
    void *handle;
    const struct plex_module *module;
};
/* A cell's behaviour, made of its name. */
struct declared {
    struct declared *next;
    struct work_lattice *lattice;
};
struct work_modules {
    struct declared *declared;
    char *dir;
    struct loaded *loaded;
    size_t n;
};

struct work_modules *
work_modules_create(const char *dir)
{
    struct work_modules *modules = plex_calloc(1, sizeof *modules);

    modules->dir = plex_strdup(dir);
    return modules;
}

void
work_modules_free(struct work_modules *modules)
{
    struct loaded *loaded;
    struct declared *declared;

    if (modules == NULL)
        return;
    while ((declared = modules->declared) != NULL) {
        modules->declared = declared->next;
        free(declared->lattice);
        free(declared);
    }
    while ((loaded = modules->loaded) != NULL) {
        modules->loaded = loaded->next;
        (void)dlclose(loaded->handle);
        free(loaded);
    }
    free(modules->dir);
    free(modules);
}

static enum plex_status
name_check(const char *name, struct plex_err *err)
{
    const size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_BYTES ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "module name \"%.64s\" is not 1 to 64 lower-case "
                            "letters, digits, '_' or '-'",
                            name);
    return PLEX_OK;
}

/* The real file, if it is inside the folder. */
static enum plex_status
path_resolve(const struct work_modules *modules, const char *name,
             char out[PATH_MAX], struct plex_err *err)
{
    char dir[PATH_MAX], path[PATH_MAX];
    size_t len;

    if (realpath(modules->dir, dir) == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "module \"%s\": module folder \"%.100s\": %s", name,
                            modules->dir, strerror(errno));
    len = strlen(dir);
    if (snprintf(path, sizeof path, "%s/%s.so", dir, name) >= (int)sizeof path)
        return plex_err_set(err, PLEX_INVALID,
                            "module \"%s\": the path is too long", name);
    if (realpath(path, out) == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "module \"%s\": no file %s.so in the module "
                            "folder: %s",
                            name, name, strerror(errno));
    if (strncmp(out, dir, len) != 0 || out[len] != '/')
        return plex_err_set(err, PLEX_DENIED,
                            "module \"%s\" leads out of the module folder",
                            name);
    return PLEX_OK;
}

static enum plex_status
behaviour_check(const char *module, const struct plex_behaviour *table,
                size_t at, struct plex_err *err)
{
    const struct plex_behaviour *row = &table[at];
    struct plex_err why;

    if (plex_name_type(row->name, strlen(row->name), &why) != PLEX_OK)
        return plex_err_set(err, PLEX_INVALID,
                            "module \"%s\": behaviour %zu: %s", module, at + 1,
                            why.text);
    if (row->handle_call == NULL && row->handle_cast == NULL &&
        row->handle_info == NULL && row->fsm == NULL && row->events == NULL &&
        row->supervisor == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "module \"%s\": behaviour \"%s\" has neither "
                            "handle_call nor handle_cast nor handle_info",
                            module, row->name);
    for (size_t i = 0; i < at; i++)
        if (strcmp(table[i].name, row->name) == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "module \"%s\": behaviour \"%s\" is there "
                                "twice",
                                module, row->name);
    return PLEX_OK;
}

static enum plex_status
module_check(const char *name, const struct plex_module *module,
             struct plex_err *err)
{
    size_t n = 0;

    if (module->abi != PLEX_ABI)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "module \"%s\" was built for ABI %u, this worker "
                            "has %u",
                            name, module->abi, PLEX_ABI);
    if (module->behaviours == NULL || module->behaviours[0].name == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "module \"%s\" has no behaviours", name);
    for (; module->behaviours[n].name != NULL; n++) {
        if (n == BEHAVIOURS_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "module \"%s\" has more than %d behaviours, "
                                "or its table has no end",
                                name, BEHAVIOURS_MAX);
        if (behaviour_check(name, module->behaviours, n, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
module_load(struct work_modules *modules, const char *name,
            const struct plex_module **out, struct plex_err *err)
{
    const struct plex_module *module;
    char path[PATH_MAX];
    struct loaded *loaded;
    void *handle;

    if (modules->n == MODULES_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "module \"%s\": %d modules are loaded already",
                            name, MODULES_MAX);
    if (path_resolve(modules, name, path, err) != PLEX_OK)
        return err->status;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "module \"%s\" could not be loaded: %s", name,
                            dlerror());
    module = dlsym(handle, "plex_module");
    if (module == NULL) {
        (void)dlclose(handle);
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "module \"%s\" defines no plex_module: does it "
                            "end with PLEX_MODULE()?",
                            name);
    }
    if (module_check(name, module, err) != PLEX_OK) {
        (void)dlclose(handle);
        return err->status;
    }
    loaded = plex_calloc(1, sizeof *loaded);
    (void)snprintf(loaded->name, sizeof loaded->name, "%s", name);
    loaded->handle = handle;
    loaded->module = module;
    loaded->next = modules->loaded;
    modules->loaded = loaded;
    modules->n++;
    *out = module;
    return PLEX_OK;
}

static enum plex_status
builtin_find(struct work_modules *modules, const char *name,
             const struct plex_behaviour **out, struct plex_err *err)
{
    const struct plex_behaviour *row = work_builtin_behaviours;
    struct declared *made;
    struct work_lattice *lattice;
    unsigned n = 0;

    for (; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            break;
    for (made = modules->declared; made != NULL && row->name == NULL;
         made = made->next, n++)
        if (strcmp(made->lattice->name, name) == 0)
            row = &made->lattice->behaviour;
    *out = row;
    if (row->name != NULL)
        return PLEX_OK;
    lattice = work_lattice_behaviour(name, err);
    if (lattice == NULL && err->status == PLEX_NOT_FOUND)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "module \"builtin\" has no behaviour \"%.64s\"",
                            name);
    if (lattice == NULL)
        return err->status;
    if (n >= MODULES_MAX) {
        free(lattice);
        return plex_err_set(err, PLEX_LIMIT,
                            "more than %d declarations of lattices",
                            MODULES_MAX);
    }
    made = plex_calloc(1, sizeof *made);
    made->lattice = lattice;
    made->next = modules->declared;
    modules->declared = made;
    *out = &lattice->behaviour;
    return PLEX_OK;
}

enum plex_status
work_modules_find(struct work_modules *modules, const char *module,
                  const char *behaviour, const struct plex_behaviour **out,
                  struct plex_err *err)
{
    const struct plex_module *found = NULL;

    if (name_check(module, err) != PLEX_OK)
        return err->status;
    if (strcmp(module, "builtin") == 0)
        return builtin_find(modules, behaviour, out, err);
    for (const struct loaded *l = modules->loaded; l != NULL; l = l->next)
        if (strcmp(l->name, module) == 0)
            found = l->module;
    if (found == NULL && module_load(modules, module, &found, err) != PLEX_OK)
        return err->status;
    for (*out = found->behaviours; (*out)->name != NULL; ++*out)
        if (strcmp((*out)->name, behaviour) == 0)
            return PLEX_OK;
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "module \"%s\" has no behaviour \"%.64s\"", module,
                        behaviour);
}

enum plex_status
work_modules_facets(struct work_modules *modules, const char *module,
                    const struct plex_facet_type **out, struct plex_err *err)
{
    const struct plex_module *loaded = NULL;
    const struct plex_facet_type *const *facets;

    if (name_check(module, err) != PLEX_OK)
        return err->status;
    for (const struct loaded *l = modules->loaded; l != NULL; l = l->next)
        if (strcmp(l->name, module) == 0)
            loaded = l->module;
    if (loaded == NULL && module_load(modules, module, &loaded, err) != PLEX_OK)
        return err->status;
    for (const struct loaded *l = modules->loaded; l != NULL; l = l->next) {
        if (strcmp(l->name, module) != 0)
            continue;
        facets = dlsym(l->handle, "plex_module_facets");
        if (facets == NULL || *facets == NULL)
            break;
        *out = *facets;
        return PLEX_OK;
    }
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "module \"%s\" has no facets: does it end with "
                        "PLEX_MODULE_FACETS()?",
                        module);
}
