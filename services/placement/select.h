#ifndef SERVICES_PLACEMENT_SELECT_H
#define SERVICES_PLACEMENT_SELECT_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which worker should run an actor, by what the actor needs and what workers
 * have left. Pure: the caller gives the candidates and, for the strategy
 * "random", the randomness. docs/placement.md has the rules for people.
 *
 * Steps: drop workers that are not ready, that are avoided, whose labels
 * differ, that affinity forbids, that have too little left; if a preferred
 * worker remains, drop those that are not preferred; then the strategy picks.
 */
enum place_resource {
    PLACE_CPU,     /* thousandths of a core */
    PLACE_MEMORY,  /* bytes */
    PLACE_DISK,    /* bytes */
    PLACE_IO,      /* bytes a second */
    PLACE_NETWORK, /* bytes a second */
    PLACE_GPU,     /* devices */
    PLACE_RESOURCES
};
/* As a capacity: not measured, so never what stands in the way. */
#define PLACE_UNLIMITED UINT64_MAX

struct place_amounts {
    uint64_t of[PLACE_RESOURCES];
};
struct place_label {
    const char *key, *value;
};

/* What runs on a worker already. */
struct place_resident {
    const char *actor; /* its id */
    const struct place_label *labels;
    size_t n_labels;
};
struct place_candidate {
    const char *node_id;
    bool ready; /* alive and not draining */
    struct place_amounts capacity;
    struct place_amounts reserved; /* may exceed the capacity */
    const struct place_label *labels;
    size_t n_labels;
    const struct place_resident *residents;
    size_t n_residents;
};

/* Typical needs. They fill only the amounts that are 0. */
enum place_profile {
    PLACE_PROFILE_NONE,
    PLACE_PROFILE_CPU_INTENSIVE,
    PLACE_PROFILE_MEMORY_INTENSIVE,
    PLACE_PROFILE_IO_INTENSIVE,
    PLACE_PROFILE_NETWORK_INTENSIVE,
    PLACE_PROFILE_BALANCED,
};
enum place_strategy {
    PLACE_BEST_FIT, /* the fullest worker that still fits */
    PLACE_SPREAD,   /* the fewest residents, then the emptiest */
    PLACE_RANDOM,
    PLACE_PREFER_LOCAL, /* the local worker if it fits, else best fit */
};

/* Near: on a worker with such a resident. Apart: on one without. Both must
 * hold; they are not wishes. */
struct place_affinity {
    bool apart;
    const char *actor; /* this one, or, when NULL, any with this label */
    struct place_label label;
};
struct place_requirement {
    struct place_amounts amounts;
    const struct place_label *labels; /* the worker must have all of them */
    size_t n_labels;
    const char *const *prefer, *const *avoid; /* node ids */
    size_t n_prefer, n_avoid;
    const char *const *unreachable; /* for who asks, now */
    size_t n_unreachable;
    const struct place_affinity *affinity;
    size_t n_affinity;
    enum place_strategy strategy;
    const char *local;   /* PREFER_LOCAL: who asks; NULL: nobody */
    uint64_t randomness; /* RANDOM */
};

/* Words as "cpu_intensive" and "best_fit", in any case; "" gives NONE and
 * BEST_FIT. PLEX_INVALID lists the known ones. */
PLEX_MUST_USE enum plex_status place_profile_parse(const char *text,
                                                   enum place_profile *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status place_strategy_parse(const char *text,
                                                    enum place_strategy *out,
                                                    struct plex_err *err);
void place_profile_fill(enum place_profile profile,
                        struct place_amounts *amounts);

/* 0..1,000,000: how full the worker would be with `more` on it, best fit takes
 * the most. 0.4 cpu + 0.4 memory + 0.2 (1 - |cpu - memory|). What has no
 * capacity, or no limit, counts as empty. */
uint32_t place_score(const struct place_candidate *candidate,
                     const struct place_amounts *more);

/*
 * The index of the worker. The order of the candidates matters to "random"
 * only: where workers are equal, the lowest node id wins. PLEX_UNAVAILABLE
 * when none fits now; the text counts why.
 */
PLEX_MUST_USE enum plex_status place_select(
    const struct place_candidate *candidates, size_t n,
    const struct place_requirement *need, size_t *out, struct plex_err *err);

#endif
