#ifndef RUNTIME_FACET_PRIVATE_H
#define RUNTIME_FACET_PRIVATE_H

#include "runtime/facet.h"

/* Shared by facet.c (chains), facet_call.c (messages through them),
 * facet_action.c (what they do) and facet_config.c (types and plans). */

/* One facet's configuration, parsed: `values` is the struct, then its texts. */
struct rt_facet_config {
    const struct plex_facet_type *type;
    uint32_t priority;
    void *values;
    char name[80]; /* as the manifest wrote it: "module/facet" */
};
struct rt_facet_plan {
    size_t n;
    struct rt_facet_config at[RT_FACETS_MAX]; /* in order of a chain */
};

struct rt_facet_entry {
    struct plex_facet facet; /* first: hooks get it */
    struct rt_facet_config config;
    bool owns_config;
    uint64_t serial;
    uint64_t wake_ns;
};
/* Memory that hooks asked for: a list of blocks. */
struct rt_facet_block {
    struct rt_facet_block *next;
    _Alignas(16) unsigned char data[];
};
struct rt_facet_action {
    struct rt_facet_action *next;
    struct plex_facet_action action;
    char bytes[];
};

struct rt_facets {
    struct rt_facet_entry *at[RT_FACETS_MAX];
    size_t n;
    uint64_t serials;
    bool complete;              /* the actor's beginning is over */
    struct rt_facet_call *call; /* whose hooks run; NULL: none's */
    void *scratch;              /* blocks until the next call */
    struct rt_facet_action *first, **last, *popped;
    size_t n_actions;
    uint64_t dropped;
    uint64_t random;
    struct rt_facet_when when;
    char *blob; /* of the last save */
    char *actor, *family;
};

/* facet_config.c */
PLEX_MUST_USE enum plex_status rt_facet_config_make(
    const struct rt_facet_types *types, const struct rt_facet_spec *spec,
    struct rt_facet_config *out, struct plex_err *err);
void rt_facet_config_fini(struct rt_facet_config *config);

/* facet_action.c: the ops of every chain. */
extern const struct plex_facet_ops rt_facet_ops;
void rt_facet_blocks_free(void **list);
void rt_facet_actions_free(struct rt_facets *chain);

/* facet.c */
/* At the beginning of whatever calls hooks. */
void rt_facet_begin(struct rt_facets *chain, struct rt_facet_call *call,
                    struct rt_facet_when when);
/* Readies the facet for one hook. */
struct plex_facet *rt_facet_ready(struct rt_facets *chain,
                                  struct rt_facet_entry *entry);
struct rt_facet_entry *rt_facet_find(const struct rt_facets *chain,
                                     const char *type);
struct rt_facet_entry *rt_facet_by_serial(const struct rt_facets *chain,
                                          uint64_t serial);

#endif
