#ifndef SERVICES_REGISTRY_TREE_H
#define SERVICES_REGISTRY_TREE_H

#include "common/arena.h"
#include "services/registry/client.h"

/* The supervision tree of an application, as a value. */
enum {
    REG_TREE_DEPTH_MAX = 32,
    REG_TREE_CHILDREN_MAX = 100000, /* in all */
    REG_CHILD_ID_MAX = 127,
    REG_CHILD_NAME_MAX = 255,
    REG_CHILD_ARGS_MAX = 64 << 10,
    REG_INTENSITY_MAX = 1000000,
    REG_PERIOD_MAX = 3600000,  /* ms */
    REG_SHUTDOWN_MAX = 3600000 /* ms */
};

/* Deep, into `memory`, which must have room. NULL for NULL. */
const struct reg_supervisor *reg_tree_copy(struct plex_arena *memory,
                                           const struct reg_supervisor *from);
bool reg_tree_same(const struct reg_supervisor *a,
                   const struct reg_supervisor *b);

/*
 * May it be deployed? And fill in its defaults: `app` is a copy that nobody
 * else has seen. What a child's type stands for is in the application's types.
 *
 * PLEX_INVALID names the child ("supervisor.children[2].id"), what it holds
 * and what would be right.
 */
PLEX_MUST_USE enum plex_status reg_tree_check(const struct reg_app *app,
                                              struct plex_err *err);
void reg_tree_resolve(struct reg_app *app);

#endif
