#ifndef LATTICE_DECLARE_H
#define LATTICE_DECLARE_H

#include "lattice/lattice.h"

/*
 * What a type of cells is declared as (docs/lattices.md), and the name of the
 * built-in behaviour that says so: "lattice.map.or_set" for cells with one
 * owner, "lattice-replica.eventual.KEPT_IN.map.or_set" (KEPT_IN may be "-") for
 * those with a replica on each worker. Pure.
 */
enum lattice_consistency {
    LATTICE_LINEARIZABLE = 1,
    LATTICE_READ_COMMITTED,
    LATTICE_CAUSAL,
    LATTICE_EVENTUAL,
};
enum { LATTICE_KINDS_MAX = 127, LATTICE_KEPT_MAX = 128 };
struct lattice_declared {
    enum lattice_consistency consistency;
    char kinds[LATTICE_KINDS_MAX + 1];  /* "map/or_set"; "": not declared */
    char kept_in[LATTICE_KEPT_MAX + 1]; /* a type with owners; "": nowhere */
};

/* PLEX_INVALID: none of the words, and which those are. "" is linearizable. */
PLEX_MUST_USE enum plex_status lattice_consistency_parse(
    const char *text, enum lattice_consistency *out, struct plex_err *err);

/* Texts as they are in a manifest; NULL where nothing is said. PLEX_INVALID
 * says what does not go together. */
PLEX_MUST_USE enum plex_status lattice_declare(const char *kind,
                                               const char *consistency,
                                               const char *kept_in,
                                               struct lattice_declared *out,
                                               struct plex_err *err);

enum { LATTICE_NAME_MAX = 300 };
/* The behaviour's name. */
void lattice_declared_name(const struct lattice_declared *declared,
                           char out[LATTICE_NAME_MAX]);
/* From it: PLEX_NOT_FOUND for a name of something else, PLEX_INVALID. */
PLEX_MUST_USE enum plex_status lattice_declared_parse(
    const char *name, struct lattice_declared *out, struct plex_err *err);

#endif
