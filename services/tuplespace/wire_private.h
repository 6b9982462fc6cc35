#ifndef SERVICES_TUPLESPACE_WIRE_PRIVATE_H
#define SERVICES_TUPLESPACE_WIRE_PRIVATE_H

#include "services/tuplespace/wire.h"

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

/* What the files wire*.c share. */
#define PB(name) Plexspaces__Tuplespace__V1__##name

/* Into the engine's values; nested ones lie in the arena. */
enum plex_status tspace_wire_value(const PB(Field) * in,
                                   struct plex_arena *arena,
                                   struct tspace_value *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_values(PB(Field) * *in, size_t n,
                                    struct plex_arena *arena,
                                    struct tspace_value **out,
                                    struct plex_err *err);
/* A new reference. No patterns at all: everything. */
enum plex_status tspace_wire_template(const PB(Template) * in,
                                      struct plex_arena *arena,
                                      struct tspace_template **out,
                                      struct plex_err *err);

/* NULL: the arena is full. */
PB(Tuple) *
    tspace_wire_tuple(const struct tspace_tuple *in, struct plex_arena *arena);

#endif
