#ifndef SERVICES_REGISTRY_CLIENT_WIRE_H
#define SERVICES_REGISTRY_CLIENT_WIRE_H

#include "services/registry/core.h"

#include "plexspaces/registry/v1/registry.pb-c.h"

/*
 * Nodes and applications between plain structs and protobuf, for wire.c and
 * client.c. Nothing is copied but arrays, which go to the arena: results live
 * as long as input and arena.
 *
 * Errors: PLEX_TOO_LARGE past the arena's ceiling.
 */
void reg_pb_node_out(const struct reg_node *in,
                     Plexspaces__Node__V1__Node *out);
void reg_pb_node_in(const Plexspaces__Node__V1__Node *in, struct reg_node *out);

PLEX_MUST_USE enum plex_status reg_pb_app_out(
    const struct reg_app_full *in, struct plex_arena *arena,
    Plexspaces__Application__V1__Application **out, struct plex_err *err);
/* Structure only; reg_app_resolve() says whether it is acceptable. Errors: also
 * PLEX_INVALID for counts over the limits of core.h. */
PLEX_MUST_USE enum plex_status reg_pb_app_in(
    const Plexspaces__Application__V1__Application *in,
    struct plex_arena *arena, struct reg_app_full *out, struct plex_err *err);

/* The catalogue a watch brought. One reference for the caller. */
PLEX_MUST_USE enum plex_status reg_pb_catalog_in(
    const Plexspaces__Registry__V1__WatchReply *in, struct plex_arena *arena,
    struct reg_catalog **out, struct plex_err *err);

#endif
