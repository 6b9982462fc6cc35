#ifndef SERVICES_TUPLESPACE_ENGINE_QUERY_H
#define SERVICES_TUPLESPACE_ENGINE_QUERY_H

#include "services/tuplespace/engine/core_types.h"

/*
 * One search. The first members are the caller's to set, the others zero. What
 * it finds may be taken while it goes on when `order` is OLDEST or NEWEST and
 * the next one was asked for before; so gather first, then change.
 */
struct query {
    struct tspace_core *core;
    struct space *space;
    const struct tspace_template *template;
    struct tx *tx;
    bool take;
    enum tspace_order order;
    uint32_t order_field;
    uint64_t random;
    uint64_t after;
    bool many; /* more than one match is wanted */
    /* its own */
    enum query_mode {
        QUERY_NONE,
        QUERY_GROUP,
        QUERY_UNION,
        QUERY_RANGE,
        QUERY_KEYS,
        QUERY_SORTED,
        QUERY_EVERY
    } mode;
    struct shape *shape;
    struct index *index;
    struct index_def wanted;
    bool has_wanted;
    uint32_t pos;
    struct tree_scan scan;
    struct tree_entry low, high, at;
    int class;
    bool in_group;
    struct item **sorted;
    uint32_t n_sorted, next_sorted;
    uint32_t *heads;
    uint32_t n_heads;
    uint64_t scanned, found, scan_max;
    bool gave_up;
};
void query_open(struct query *query);
struct item *query_next(struct query *query);
void query_close(struct query *query);
/* May `tx` (NULL: nobody's) see it, and take it? */
bool query_visible(const struct tspace_core *core, const struct item *item,
                   const struct tx *tx, bool take);

#endif
