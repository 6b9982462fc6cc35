#ifndef SERVICES_WORKER_MODULE_H
#define SERVICES_WORKER_MODULE_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/facet.h"

/*
 * Native actor modules: shared objects from one folder, loaded when the
 * catalogue first names them and kept until the worker ends. The module
 * "builtin" is the worker's own (builtin.h).
 */
struct work_modules;

struct work_modules *work_modules_create(const char *dir);
/* Unloads all. Accepts NULL. */
void work_modules_free(struct work_modules *modules);

/*
 * The behaviour `behaviour` of the module `module`.
 *
 * Errors, each naming the module: PLEX_INVALID (its name, or its table of
 * behaviours), PLEX_NOT_FOUND (no such file or behaviour), PLEX_DENIED (it
 * leads out of the folder), PLEX_UNSUPPORTED (another ABI, or no module).
 * Failures are not remembered: the file may come later.
 */
PLEX_MUST_USE enum plex_status work_modules_find(
    struct work_modules *modules, const char *module, const char *behaviour,
    const struct plex_behaviour **out, struct plex_err *err);
/* Its facets (PLEX_MODULE_FACETS); PLEX_NOT_FOUND: it has none. */
PLEX_MUST_USE enum plex_status work_modules_facets(
    struct work_modules *modules, const char *module,
    const struct plex_facet_type **out, struct plex_err *err);

#endif
