#ifndef SERVICES_WORKER_BUILTIN_LATTICE_H
#define SERVICES_WORKER_BUILTIN_LATTICE_H

#include "lattice/declare.h"
#include "lattice/json.h"
#include "sdk/c/include/plexspaces/actor.h"

/*
 * Cells as built-in behaviours (docs/lattices.md): builtin_lattice.c the one
 * with an owner. What a type declares is in its behaviour's name; each name has
 * a behaviour of its own.
 *
 * A message is a JSON object: {"action":"get"|"update"|"merge", ...}. Without
 * an action it is an update when it has "op", else a get.
 */
struct work_lattice {
    struct plex_behaviour behaviour; /* first */
    struct lattice_declared declared;
    char name[LATTICE_NAME_MAX];
};
/* NULL: err says why. To be freed with free(). */
struct work_lattice *work_lattice_behaviour(const char *name,
                                            struct plex_err *err);

/* For an owner of any kind: the behaviour "lattice". */
int work_lattice_call(struct plex_ctx *ctx, const struct plex_msg *msg);

enum work_lattice_action {
    WORK_LATTICE_GET = 1,
    WORK_LATTICE_UPDATE,
    WORK_LATTICE_MERGE,
};
struct work_lattice_request {
    enum work_lattice_action action;
    json_t *json;          /* owned */
    struct lattice *state; /* owned; of a merge */
};
/* PLEX_INVALID. Fini always. */
PLEX_MUST_USE enum plex_status work_lattice_request_init(
    struct work_lattice_request *request, const void *payload, size_t len,
    struct plex_err *err);
void work_lattice_request_fini(struct work_lattice_request *request);
/* An encoded lattice as a JSON text, and from it (json may be anything). */
json_t *work_lattice_text(const struct lattice *lattice);
PLEX_MUST_USE enum plex_status work_lattice_parse(const json_t *text,
                                                  struct lattice **out,
                                                  struct plex_err *err);
/* {"value","kind","durable"}, and "state" where the request asks for it; a new
 * reference. `cell` may be NULL: nothing was ever written. */
json_t *work_lattice_answer(const struct lattice *cell, const char *kinds,
                            bool durable, const json_t *request);
/* Is it within the limits and of the declared kind? */
PLEX_MUST_USE enum plex_status work_lattice_check(const struct lattice *cell,
                                                  const struct lattice *delta,
                                                  const char *kinds,
                                                  struct plex_err *err);

#endif
