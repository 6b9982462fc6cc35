#ifndef TESTS_UNIT_RUNTIME_TREE_PRIVATE_H
#define TESTS_UNIT_RUNTIME_TREE_PRIVATE_H

#include "runtime/runtime.h"
#include "tests/unit/runtime/tree.h"

/* The world, for what makes it go round and for what looks at it. */

enum { REFS_MAX = 8192, QUEUE_MAX = 4096, HERE = 1, BUDGET = 100000 };

struct life { /* of a supervisor that said something */
    struct plex_ref ref;
    int sup, life;
};
struct queued { /* a signal between the nodes */
    struct rt_signal signal;
    char text[64], reason[64], payload[256];
};
struct world {
    const struct tree *tree;
    struct rt *here, *there;
    uint64_t there_node;
    uint64_t now_ns, seed;
    struct plex_ref refs[TREE_MAX];
    int failing[TREE_MAX];
    struct life lives[REFS_MAX];
    size_t n_lives;
    int said[TREE_MAX];
    struct queued queue[QUEUE_MAX];
    size_t queue_head, queue_count;
    struct tree_log *log;
    struct plex_behaviour sup_behaviours[TREE_MAX];
    struct plex_supervisor sups[TREE_MAX];
    struct plex_child children[TREE_MAX][TREE_KIDS + 1];
    char ids[TREE_MAX][8];
    int numbers[TREE_MAX];
    struct plex_from spawns[64]; /* on the other node, not yet answered */
    size_t n_spawns;
    struct plex_ref client;
    int asking;
    bool asked[TREE_MAX];   /* to be terminated, by request */
    bool planned[TREE_MAX]; /* it has had another strategy */
    bool endless;
};

#endif
