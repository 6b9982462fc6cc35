#ifndef SERVICES_REGISTRY_WIRE_TREE_H
#define SERVICES_REGISTRY_WIRE_TREE_H

#include "services/registry/tree.h"

#include "plexspaces/application/v1/application.pb-c.h"

/*
 * Trees between plain structs and protobuf, for client_wire.c. Only arrays are
 * allocated, in the arena. NULL gives NULL.
 */

/* PLEX_INVALID: a word that is none, with the child's path. PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status reg_pb_tree_in(
    const Plexspaces__Application__V1__Supervisor *in, struct plex_arena *arena,
    const struct reg_supervisor **out, struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_pb_tree_out(
    const struct reg_supervisor *in, struct plex_arena *arena,
    Plexspaces__Application__V1__Supervisor **out, struct plex_err *err);

/* wire_child.c: children with a module and facets get a type of their own, at
 * the end of the application's, which the message is changed for. */
PLEX_MUST_USE enum plex_status reg_pb_children_types(
    Plexspaces__Application__V1__Application *app, struct plex_arena *arena,
    struct plex_err *err);

#endif
