#ifndef TESTS_UNIT_RUNTIME_TREE_H
#define TESTS_UNIT_RUNTIME_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/c/include/plexspaces/supervisor.h"

/* Random trees of supervision, what may happen to them, and what is seen of
 * it: shared by the model (tree_model.c) and the runtime under test
 * (tree_world.c), who know nothing of each other. */

enum { TREE_MAX = 48, TREE_KIDS = 5, TREE_EXTRA = 8, TREE_ROUNDS_MAX = 1000 };

enum leaf_kind {
    LEAF_PLAIN, /* ends at the signal */
    LEAF_TRAPS, /* ends through terminate */
    LEAF_SLOW,  /* needs slow_ms for it */
};
struct tree_node {
    int parent; /* -1: the root */
    bool sup;
    bool dynamic; /* not there at the start: added by a request */
    bool remote;  /* on the other node */
    enum plex_restart restart;
    bool significant;
    uint32_t shutdown_ms;
    /* leaves */
    enum leaf_kind kind;
    uint32_t slow_ms;
    /* supervisors */
    enum plex_strategy strategy;
    uint32_t intensity, period_ms;
    enum plex_auto_shutdown auto_shutdown;
    int kids[TREE_KIDS]; /* those that are there at the start */
    int n_kids;
};
struct tree {
    struct tree_node nodes[TREE_MAX];
    int n;
};

enum step_kind {
    STEP_EXIT,     /* leaf: `reason` */
    STEP_KILL,     /* anybody */
    STEP_SHUTDOWN, /* supervisor */
    STEP_FAILING,  /* leaf: its next `count` starts fail */
    STEP_TERMINATE,
    STEP_RESTART,
    STEP_DELETE,
    STEP_ADD,
    STEP_PLAN, /* supervisor: another strategy and intensity, of `count` */
    STEP_NODE_DOWN,
    STEP_NODE_UP,
    STEP_KINDS
};
struct step {
    enum step_kind kind;
    int node;
    const char *reason;
    int count;
    uint32_t gap_ms; /* before it */
};

/* What one supervisor said, in order; `life` counts the lives of a supervisor
 * that said something. Lines of different supervisors have no order. */
struct tree_line {
    int sup, life;
    char what; /* + ^ - ! as in the events; = status of a request */
    int node;
    char reason[16];
};
/* What the count of a STEP_PLAN means. */
static inline enum plex_strategy
step_strategy(int count)
{
    return (enum plex_strategy)(1 + count % 3);
}
static inline uint32_t
step_intensity(int count)
{
    return (uint32_t)count / 3;
}
struct tree_log {
    struct tree_line *lines;
    size_t n, max;
};
void tree_log_add(struct tree_log *log, int sup, int life, char what, int node,
                  const char *reason);
void tree_log_clear(struct tree_log *log);
void tree_log_free(struct tree_log *log);
/* NULL: the same; else where they differ. Sorts both. */
const char *tree_log_differ(struct tree_log *model, struct tree_log *world);
void tree_log_print(const char *title, const struct tree_log *log);

struct tree_random {
    uint64_t state;
};
uint32_t tree_below(struct tree_random *random, uint32_t n);
void tree_make(struct tree *tree, struct tree_random *random);
void tree_print(const struct tree *tree);
void tree_step(const struct tree *tree, struct tree_random *random,
               struct step *out);
void tree_step_print(const struct step *step);

/* -- the model: what OTP's documentation says must be seen -- */

struct model;
struct model *model_create(const struct tree *tree, uint64_t now_ms);
void model_free(struct model *model);
void model_step(struct model *model, const struct step *step, uint64_t now_ms,
                struct tree_log *log);
bool model_alive(const struct model *model, int node);
/* A supervisor restarts a child that cannot start, and its siblings take so
 * long to stop each time that it never gives up: rightly so, but nobody waits
 * for the end of it. */
bool model_endless(const struct model *model);
/* Start the root. */
void model_begin(struct model *model, struct tree_log *log);

/* -- the world: the runtime -- */

struct world;
/* `bite`: a mistake to be made, which the comparison must find; 0: none. */
enum tree_bite {
    BITE_NONE = 0,
    BITE_ORDER,     /* children in another order */
    BITE_INTENSITY, /* one restart too many is allowed */
    BITE_SIBLING,   /* rest_for_one forgets the rest */
    BITE_PERIOD,    /* restarts are never forgotten */
    BITE_TRANSIENT, /* transient ones are permanent */
    BITE_SHUTDOWN,  /* nobody is killed for being slow */
    BITE_KINDS
};
struct world *world_create(const struct tree *tree, uint64_t seed,
                           enum tree_bite bite);
void world_free(struct world *world);
void world_begin(struct world *world, struct tree_log *log);
void world_step(struct world *world, const struct step *step, uint64_t now_ms,
                struct tree_log *log);
bool world_alive(const struct world *world, int node);
bool world_endless(const struct world *world); /* as the model's */
uint64_t world_now_ms(const struct world *world);
/* Several things at once; nobody foretells what comes of it, but these must
 * hold afterwards: NULL, or what does not. */
void world_storm(struct world *world, const struct step *steps, int n,
                 uint64_t now_ms, struct tree_log *log);
const char *world_sound(struct world *world, const struct tree_log *log);
size_t world_processes(const struct world *world);

#endif
