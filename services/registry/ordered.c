#include "services/registry/ordered.h"

#include <assert.h>
#include <string.h>

int
reg_bytes_compare(struct plex_bytes a, struct plex_bytes b)
{
    const size_t both = a.len < b.len ? a.len : b.len;
    const int order = both == 0 ? 0 : memcmp(a.data, b.data, both);

    if (order != 0)
        return order;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

bool
reg_bytes_begin(struct plex_bytes bytes, struct plex_bytes prefix)
{
    return bytes.len >= prefix.len &&
           (prefix.len == 0 ||
            memcmp(bytes.data, prefix.data, prefix.len) == 0);
}

/* FNV-1a, then a finalizer: keys that differ in their ends only would have
 * priorities in order. */
static uint64_t
priority_of(const struct reg_ordered_node *node)
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < node->len; i++)
        hash = (hash ^ node->key[i]) * 0x100000001b3U;
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdU;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53U;
    return hash ^ hash >> 33;
}

struct reg_ordered_node *
reg_ordered_find(const struct reg_ordered *map, struct plex_bytes key)
{
    struct reg_ordered_node *node = map->root;

    while (node != NULL) {
        const int order = reg_bytes_compare(key, reg_ordered_key(node));

        if (order == 0)
            break;
        node = order < 0 ? node->left : node->right;
    }
    return node;
}

struct reg_ordered_node *
reg_ordered_seek(const struct reg_ordered *map, struct plex_bytes key,
                 bool above)
{
    struct reg_ordered_node *node = map->root, *best = NULL;

    while (node != NULL) {
        const int order = reg_bytes_compare(reg_ordered_key(node), key);

        if (order > 0 || (order == 0 && !above)) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

/* Where the pointer to the node with that key is, or belongs. */
static struct reg_ordered_node **
place_of(struct reg_ordered *map, const struct reg_ordered_node *node)
{
    struct reg_ordered_node **at = &map->root;

    while (*at != NULL) {
        const int order =
            reg_bytes_compare(reg_ordered_key(node), reg_ordered_key(*at));

        if (order == 0)
            break;
        at = order < 0 ? &(*at)->left : &(*at)->right;
    }
    return at;
}

/* What is below `key` goes to *left, the rest to *right. */
static void
split(struct reg_ordered_node *node, struct plex_bytes key,
      struct reg_ordered_node **left, struct reg_ordered_node **right)
{
    while (node != NULL)
        if (reg_bytes_compare(reg_ordered_key(node), key) < 0) {
            *left = node;
            left = &node->right;
            node = node->right;
        } else {
            *right = node;
            right = &node->left;
            node = node->left;
        }
    *left = NULL;
    *right = NULL;
}

void
reg_ordered_insert(struct reg_ordered *map, struct reg_ordered_node *node)
{
    struct reg_ordered_node **at = &map->root;

    node->priority = priority_of(node);
    while (*at != NULL && (*at)->priority >= node->priority) {
        const int order =
            reg_bytes_compare(reg_ordered_key(node), reg_ordered_key(*at));

        assert(order != 0);
        at = order < 0 ? &(*at)->left : &(*at)->right;
    }
    split(*at, reg_ordered_key(node), &node->left, &node->right);
    *at = node;
    map->n++;
}

void
reg_ordered_remove(struct reg_ordered *map, struct reg_ordered_node *node)
{
    struct reg_ordered_node **at = place_of(map, node);
    struct reg_ordered_node *left = node->left, *right = node->right;

    assert(*at == node);
    while (left != NULL && right != NULL)
        if (left->priority >= right->priority) {
            *at = left;
            at = &left->right;
            left = left->right;
        } else {
            *at = right;
            at = &right->left;
            right = right->left;
        }
    *at = left != NULL ? left : right;
    node->left = node->right = NULL;
    map->n--;
}

void
reg_ordered_replace(struct reg_ordered *map, struct reg_ordered_node *old,
                    struct reg_ordered_node *node)
{
    struct reg_ordered_node **at = place_of(map, old);

    assert(*at == old);
    node->left = old->left;
    node->right = old->right;
    node->priority = old->priority;
    old->left = old->right = NULL;
    *at = node;
}

/* As deep as the tree is high: a treap of a million is about 50 high. */
static void
each_below(struct reg_ordered_node *node, struct plex_bytes prefix,
           reg_ordered_fn each, void *arg)
{
    while (node != NULL) {
        const struct plex_bytes key = reg_ordered_key(node);
        const bool inside = reg_bytes_begin(key, prefix);

        if (!inside && reg_bytes_compare(key, prefix) < 0) {
            node = node->right;
            continue;
        }
        each_below(node->left, prefix, each, arg);
        if (!inside)
            return;
        each(arg, node);
        node = node->right;
    }
}

void
reg_ordered_each(const struct reg_ordered *map, struct plex_bytes prefix,
                 reg_ordered_fn each, void *arg)
{
    each_below(map->root, prefix, each, arg);
}
