#ifndef SERVICES_REGISTRY_ORDERED_H
#define SERVICES_REGISTRY_ORDERED_H

#include "common/bytes.h"

/*
 * An ordered map of embedded nodes, by bytes: a treap whose priorities are
 * hashes of the keys, so that its shape depends on its content only.
 */
struct reg_ordered_node { /* embed; zero before inserting */
    struct reg_ordered_node *left, *right;
    uint64_t priority;
    const uint8_t *key; /* borrowed from the object around it */
    size_t len;
};
struct reg_ordered { /* zero-initialise */
    struct reg_ordered_node *root;
    size_t n;
};

struct reg_ordered_node *reg_ordered_find(const struct reg_ordered *map,
                                          struct plex_bytes key);
/* The first node with a key that is >= `key`, or with `above` one that is
 * greater; NULL at the end. */
struct reg_ordered_node *reg_ordered_seek(const struct reg_ordered *map,
                                          struct plex_bytes key, bool above);
/* The key must not be there. */
void reg_ordered_insert(struct reg_ordered *map, struct reg_ordered_node *node);
/* The node must be there. */
void reg_ordered_remove(struct reg_ordered *map, struct reg_ordered_node *node);
/* Put `node` in the place of `old`, which has the same key. */
void reg_ordered_replace(struct reg_ordered *map, struct reg_ordered_node *old,
                         struct reg_ordered_node *node);

/* Every node whose key begins with `prefix`, in order; the map must not change
 * meanwhile. */
typedef void (*reg_ordered_fn)(void *arg, struct reg_ordered_node *node);
void reg_ordered_each(const struct reg_ordered *map, struct plex_bytes prefix,
                      reg_ordered_fn each, void *arg);

static inline struct plex_bytes
reg_ordered_key(const struct reg_ordered_node *node)
{
    return (struct plex_bytes){node->key, node->len};
}
/* memcmp() order; a prefix comes before what it begins. */
int reg_bytes_compare(struct plex_bytes a, struct plex_bytes b);
bool reg_bytes_begin(struct plex_bytes bytes, struct plex_bytes prefix);

#endif
