#ifndef SERVICES_WORKER_BUILTIN_LATTICE_REPLICA_H
#define SERVICES_WORKER_BUILTIN_LATTICE_REPLICA_H

#include "common/name.h"
#include "lattice/replica.h"
#include "services/worker/builtin_lattice.h"

#include <stdatomic.h>

/*
 * The replica of a type of cells on one worker: a process. node_lattice.c
 * starts one for each such type; those of a type find each other by a process
 * group of the same name, and what they tell each other are ordinary messages
 * (lattice/replica.h).
 *
 * builtin_lattice_front.c are the type's activations: they ask it, in calls
 * with a JSON object:
 *
 *   {"action":"get"|"update"|"merge", "key", ...}  as they got it, and
 *   "recalled": the state that the owner has of the cell, or null
 *   "kept": true    an owner has what is merged
 *
 * It answers {"answer":{...}}, {"refused":HTTP status,"detail"},
 * {"recall":true}: nothing is known of that cell, ask the owner first, or
 * {"behind":true}: it has not seen what the token says, or has just begun and
 * not heard from the others yet.
 */
struct work_lattice_peer {
    uint64_t id;
    struct plex_ref ref;
};
struct work_lattice_site {
    char type[PLEX_TYPE_MAX + 1];
    struct lattice_declared declared;
    size_t others; /* workers that were there when it began */
    /* Of the process; here, because one that is killed cannot free them. */
    struct lattice_replica *replica;
    struct work_lattice_peer *peers;
    size_t n_peers, cap_peers;
    struct plex_buf out;
    /* For all: */
    _Atomic bool busy;               /* there is something to tell or to keep */
    _Atomic uint64_t cells, refused; /* as of its last look */
    _Atomic bool hurry;              /* the worker goes: keep everything now */
};
enum { WORK_LATTICE_HURRY = 1, WORK_LATTICE_STOP }; /* casts to it */

/* When no process uses it any more. */
void work_lattice_site_fini(struct work_lattice_site *site);

/* Arguments: a pointer to the site, which outlives it. */
extern const struct plex_behaviour work_lattice_replica_behaviour;

/* Its name and its group: "lattice.TYPE". */
enum { WORK_LATTICE_GROUP_MAX = PLEX_TYPE_MAX + 16 };
void work_lattice_group(const char *type, char out[WORK_LATTICE_GROUP_MAX]);

/* A call to a type with replicas. */
int work_lattice_front_call(struct plex_ctx *ctx, const struct plex_msg *msg);

#endif
