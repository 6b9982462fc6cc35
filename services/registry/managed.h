#ifndef SERVICES_REGISTRY_MANAGED_H
#define SERVICES_REGISTRY_MANAGED_H

#include "services/registry/core.h"
#include "services/registry/object.h"

/* Nodes are objects of this namespace, which every tenant may read; an
 * application is one of its own tenant and namespace. */
#define REG_MANAGED_TENANT ""
#define REG_MANAGED_NS "system"

/* Takes them in when the catalogue has changed, or when *last_ns, which is
 * moved on, is a while ago: heartbeats of nodes change no version. */
void reg_managed_refresh(struct reg_objects *objects,
                         const struct reg_core *core, uint64_t *last_ns,
                         struct reg_when when);

#endif
