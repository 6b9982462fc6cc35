#include "services/tuplespace/engine/tree.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FANOUT = 32 };

struct child {
    struct tree_node *node;
    uint64_t least, greatest; /* ids below */
};

struct tree_node {
    uint32_t n;
    bool leaf;
    /* A leaf's entries; a branch's lower bounds of its children, of which the
     * first is not used. */
    struct tree_entry entries[FANOUT];
    struct child children[]; /* FANOUT of them in a branch */
};

int
tree_compare(const struct tree_entry *a, const struct tree_entry *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->key.high != b->key.high)
        return a->key.high < b->key.high ? -1 : 1;
    if (a->key.low != b->key.low)
        return a->key.low < b->key.low ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static struct tree_node *
node_make(struct tree *tree, bool leaf)
{
    struct tree_node *node = plex_calloc(
        1, sizeof *node + (leaf ? 0 : FANOUT * sizeof node->children[0]));

    node->leaf = leaf;
    tree->n_nodes++;
    return node;
}

static void
node_free(struct tree *tree, struct tree_node *node)
{
    if (!node->leaf)
        for (uint32_t i = 0; i < node->n; i++)
            node_free(tree, node->children[i].node);
    tree->n_nodes--;
    free(node);
}

void
tree_fini(struct tree *tree)
{
    if (tree->root != NULL)
        node_free(tree, tree->root);
    tree->root = NULL;
}

uint64_t
tree_bytes(const struct tree *tree)
{
    return tree->n_nodes * sizeof(struct tree_node);
}

/* How many of a leaf's entries are before `at`. */
static uint32_t
leaf_before(const struct tree_node *node, const struct tree_entry *at)
{
    uint32_t from = 0, to = node->n;

    while (from < to) {
        const uint32_t mid = (from + to) / 2;

        if (tree_compare(&node->entries[mid], at) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* The child where `at` belongs. */
static uint32_t
branch_of(const struct tree_node *node, const struct tree_entry *at)
{
    uint32_t from = 1, to = node->n;

    while (from < to) {
        const uint32_t mid = (from + to) / 2;

        if (tree_compare(&node->entries[mid], at) <= 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from - 1;
}

/* What the parent of `child->node` has to know. */
static void
child_sum(struct child *child)
{
    const struct tree_node *node = child->node;
    uint64_t least = UINT64_MAX, greatest = 0;

    for (uint32_t i = 0; i < node->n; i++) {
        const uint64_t low =
            node->leaf ? node->entries[i].id : node->children[i].least;
        const uint64_t high =
            node->leaf ? node->entries[i].id : node->children[i].greatest;

        least = low < least ? low : least;
        greatest = high > greatest ? high : greatest;
    }
    child->least = least;
    child->greatest = greatest;
}

/* -- insert ---------------------------------------------------------------- */

/* Move the upper half into a new node. A node that grows at its end is left
 * nearly full: keys that only ever rise fill the tree. */
static struct tree_node *
node_split(struct tree *tree, struct tree_node *node, bool at_end)
{
    struct tree_node *right = node_make(tree, node->leaf);
    const uint32_t keep = at_end ? FANOUT - 2 : FANOUT / 2;

    right->n = node->n - keep;
    node->n = keep;
    memcpy(right->entries, node->entries + keep,
           right->n * sizeof right->entries[0]);
    if (!node->leaf)
        memcpy(right->children, node->children + keep,
               right->n * sizeof right->children[0]);
    return right;
}

static void
branch_insert(struct tree_node *node, uint32_t at, struct tree_node *child)
{
    memmove(node->entries + at + 1, node->entries + at,
            (node->n - at) * sizeof node->entries[0]);
    memmove(node->children + at + 1, node->children + at,
            (node->n - at) * sizeof node->children[0]);
    node->n++;
    /* A branch's first bound is not used, but it is kept: it is the bound of
     * the branch itself. */
    node->entries[at] = child->entries[0];
    node->children[at].node = child;
    child_sum(&node->children[at]);
}

/* Returns the node split off to the right, or NULL. */
static struct tree_node *
node_insert(struct tree *tree, struct tree_node *node,
            const struct tree_entry *entry)
{
    struct tree_node *split = NULL, *into = node;
    uint32_t at;

    if (node->leaf) {
        at = leaf_before(node, entry);
        if (node->n == FANOUT) {
            split = node_split(tree, node, at == FANOUT);
            if (at > node->n || (at == node->n &&
                                 tree_compare(&split->entries[0], entry) < 0)) {
                into = split;
                at -= node->n;
            }
        }
        memmove(into->entries + at + 1, into->entries + at,
                (into->n - at) * sizeof into->entries[0]);
        into->entries[at] = *entry;
        into->n++;
        return split;
    }
    at = branch_of(node, entry);
    struct child *child = &node->children[at];
    struct tree_node *grown = node_insert(tree, child->node, entry);

    if (grown == NULL) {
        child->least = entry->id < child->least ? entry->id : child->least;
        child->greatest =
            entry->id > child->greatest ? entry->id : child->greatest;
        return NULL;
    }
    child_sum(child);
    if (node->n == FANOUT) {
        split = node_split(tree, node, at + 1 == FANOUT);
        if (at >= node->n) {
            into = split;
            at -= node->n;
        }
    }
    branch_insert(into, at + 1, grown);
    return split;
}

void
tree_insert(struct tree *tree, const struct tree_entry *entry)
{
    struct tree_node *right, *root;

    if (tree->root == NULL)
        tree->root = node_make(tree, true);
    right = node_insert(tree, tree->root, entry);
    tree->n_entries++;
    if (right == NULL)
        return;
    root = node_make(tree, false);
    branch_insert(root, 0, tree->root);
    branch_insert(root, 1, right);
    tree->root = root;
}

/* -- remove ---------------------------------------------------------------- */

static void
node_remove(struct tree *tree, struct tree_node *node,
            const struct tree_entry *entry)
{
    struct tree_node *below;
    uint32_t at;

    if (node->leaf) {
        at = leaf_before(node, entry);
        assert(at < node->n && tree_compare(&node->entries[at], entry) == 0);
        node->n--;
        memmove(node->entries + at, node->entries + at + 1,
                (node->n - at) * sizeof node->entries[0]);
        return;
    }
    at = branch_of(node, entry);
    below = node->children[at].node;
    node_remove(tree, below, entry);
    if (below->n > 0) {
        if (entry->id == node->children[at].least ||
            entry->id == node->children[at].greatest)
            child_sum(&node->children[at]);
        return;
    }
    node_free(tree, below);
    node->n--;
    memmove(node->entries + at, node->entries + at + 1,
            (node->n - at) * sizeof node->entries[0]);
    memmove(node->children + at, node->children + at + 1,
            (node->n - at) * sizeof node->children[0]);
}

void
tree_remove(struct tree *tree, const struct tree_entry *entry)
{
    struct tree_node *root;

    assert(tree->root != NULL);
    node_remove(tree, tree->root, entry);
    tree->n_entries--;
    while (!tree->root->leaf && tree->root->n == 1) {
        root = tree->root;
        tree->root = root->children[0].node;
        root->n = 0;
        node_free(tree, root);
    }
    if (tree->root->n == 0)
        tree_fini(tree);
}

/* -- search ---------------------------------------------------------------- */

bool
tree_ceiling(const struct tree *tree, const struct tree_entry *at,
             struct tree_entry *out)
{
    const struct tree_node *node = tree->root, *next = NULL;
    uint32_t i;

    while (node != NULL && !node->leaf) {
        i = branch_of(node, at);
        if (i + 1 < node->n)
            next = node->children[i + 1].node;
        node = node->children[i].node;
    }
    if (node == NULL)
        return false;
    i = leaf_before(node, at);
    if (i == node->n) {
        if (next == NULL)
            return false;
        while (!next->leaf)
            next = next->children[0].node;
        node = next;
        i = 0;
    }
    *out = node->entries[i];
    return true;
}

bool
tree_floor(const struct tree *tree, const struct tree_entry *at,
           struct tree_entry *out)
{
    const struct tree_node *node = tree->root, *before = NULL;
    uint32_t i;

    while (node != NULL && !node->leaf) {
        i = branch_of(node, at);
        if (i > 0)
            before = node->children[i - 1].node;
        node = node->children[i].node;
    }
    if (node == NULL)
        return false;
    i = leaf_before(node, at);
    if (i < node->n && tree_compare(&node->entries[i], at) == 0) {
        *out = node->entries[i];
        return true;
    }
    if (i == 0) {
        if (before == NULL)
            return false;
        while (!before->leaf)
            before = before->children[before->n - 1].node;
        node = before;
        i = node->n;
    }
    *out = node->entries[i - 1];
    return true;
}

/* -- by age ---------------------------------------------------------------- */

static void
pending_push(struct tree_scan *scan, struct tree_pending pending)
{
    uint32_t at = scan->n++;

    if (scan->n > scan->room) {
        scan->room = scan->room == 0 ? 256 : scan->room * 2;
        scan->heap =
            plex_reallocarray(scan->heap, scan->room, sizeof *scan->heap);
    }
    while (at > 0 && scan->heap[(at - 1) / 2].order > pending.order) {
        scan->heap[at] = scan->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    scan->heap[at] = pending;
}

static struct tree_pending
pending_pop(struct tree_scan *scan)
{
    const struct tree_pending top = scan->heap[0];
    const struct tree_pending last = scan->heap[--scan->n];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= scan->n)
            break;
        if (child + 1 < scan->n &&
            scan->heap[child + 1].order < scan->heap[child].order)
            child++;
        if (scan->heap[child].order >= last.order)
            break;
        scan->heap[at] = scan->heap[child];
        at = child;
    }
    scan->heap[at] = last;
    return top;
}

static void
node_push(struct tree_scan *scan, const struct tree_node *node)
{
    uint32_t i;

    if (node->leaf) {
        for (i = leaf_before(node, &scan->low);
             i < node->n && tree_compare(&node->entries[i], &scan->high) <= 0;
             i++) {
            const struct tree_entry *entry = &node->entries[i];

            if (entry->id > scan->after)
                pending_push(scan, (struct tree_pending){
                                       scan->newest ? ~entry->id : entry->id,
                                       NULL, entry->pos});
        }
        return;
    }
    for (i = branch_of(node, &scan->low);
         i < node->n &&
         (i == 0 || tree_compare(&node->entries[i], &scan->high) <= 0);
         i++) {
        const struct child *child = &node->children[i];

        if (child->greatest > scan->after)
            pending_push(scan,
                         (struct tree_pending){scan->newest ? ~child->greatest
                                                            : child->least,
                                               child->node, 0});
    }
}

void
tree_scan_start(struct tree_scan *scan, const struct tree *tree)
{
    scan->n = 0;
    if (tree->root != NULL)
        node_push(scan, tree->root);
}

bool
tree_scan_next(struct tree_scan *scan, uint32_t *pos)
{
    while (scan->n > 0) {
        const struct tree_pending pending = pending_pop(scan);

        if (pending.node == NULL) {
            *pos = pending.pos;
            return true;
        }
        node_push(scan, pending.node);
    }
    return false;
}

void
tree_scan_fini(struct tree_scan *scan)
{
    free(scan->heap);
    *scan = (struct tree_scan){0};
}
