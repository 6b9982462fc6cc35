#ifndef SERVICES_TUPLESPACE_ENGINE_TREE_H
#define SERVICES_TUPLESPACE_ENGINE_TREE_H

#include "services/tuplespace/engine/tuple.h"

/*
 * A B+ tree of rows ordered by (hash, key, id) in which every branch knows the
 * least and the greatest id below it. So besides the order of keys it answers
 * "the oldest within this range of keys" in logarithmic time.
 */
struct tree_entry {
    struct tspace_key key;
    uint64_t id;
    uint32_t hash;
    uint32_t pos; /* not part of the order */
};

struct tree_node;
struct tree {
    struct tree_node *root; /* NULL: empty */
    uint64_t n_nodes;
    uint64_t n_entries;
};

/* Zero-initialise. The entry must not be there. */
void tree_insert(struct tree *tree, const struct tree_entry *entry);
/* Must be there. */
void tree_remove(struct tree *tree, const struct tree_entry *entry);
void tree_fini(struct tree *tree);
uint64_t tree_bytes(const struct tree *tree);

int tree_compare(const struct tree_entry *a, const struct tree_entry *b);
/* The first entry at or after, the last at or before; false: none. */
bool tree_ceiling(const struct tree *tree, const struct tree_entry *at,
                  struct tree_entry *out);
bool tree_floor(const struct tree *tree, const struct tree_entry *at,
                struct tree_entry *out);

/*
 * The entries from `low` to `high` in the order of their ids, oldest or newest
 * first, those with an id of at most `after` left out. The tree must not
 * change meanwhile. Zero-initialise once; fini frees what it grew.
 */
struct tree_scan {
    struct tree_entry low, high;
    uint64_t after;
    bool newest;
    struct tree_pending {
        uint64_t order;
        const struct tree_node *node; /* NULL: an entry */
        uint32_t pos;
    } * heap;
    uint32_t n, room;
};
void tree_scan_start(struct tree_scan *scan, const struct tree *tree);
bool tree_scan_next(struct tree_scan *scan, uint32_t *pos);
void tree_scan_fini(struct tree_scan *scan);

#endif
