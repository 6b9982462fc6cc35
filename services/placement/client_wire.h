#ifndef SERVICES_PLACEMENT_CLIENT_WIRE_H
#define SERVICES_PLACEMENT_CLIENT_WIRE_H

#include "common/arena.h"
#include "services/placement/client.h"

#include "plexspaces/placement/v1/placement.pb-c.h"

/*
 * Tables between plain structs and protobuf, for wire.c and client.c.
 *
 * place_pb_table_out() borrows strings and takes its arrays from the arena.
 * place_pb_table_in() checks that the table is whole; one reference for the
 * caller.
 *
 * Errors: PLEX_TOO_LARGE past the arena's ceiling, PLEX_INVALID.
 */
PLEX_MUST_USE enum plex_status place_pb_table_out(
    const struct place_table *in, struct plex_arena *arena,
    Plexspaces__Placement__V1__Table **out, struct plex_err *err);
PLEX_MUST_USE enum plex_status place_pb_table_in(
    const Plexspaces__Placement__V1__Table *in, struct plex_arena *arena,
    struct place_table **out, struct plex_err *err);

void place_pb_amounts_out(const struct place_amounts *in,
                          Plexspaces__Placement__V1__Amounts *out);
struct place_amounts place_pb_amounts_in(
    const Plexspaces__Placement__V1__Amounts *in);
/* Strings borrowed; NULL past the arena's ceiling. */
const struct place_label *place_pb_labels_in(
    Plexspaces__Placement__V1__Label *const *in, size_t n,
    struct plex_arena *arena);

/* What a packed application.v1 Placement asks for, in the words of one tenant
 * and namespace; borrows from the arena. INVALID says what would be right. */
struct place_need {
    struct place_requirement need;
    const struct place_label *marks;
    size_t n_marks;
};
PLEX_MUST_USE enum plex_status place_pb_need_in(
    struct plex_bytes placement, const char *tenant, const char *ns,
    struct plex_arena *arena, struct place_need *out, struct plex_err *err);

#endif
