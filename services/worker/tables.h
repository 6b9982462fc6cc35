#ifndef SERVICES_WORKER_TABLES_H
#define SERVICES_WORKER_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A hash table and a heap of embedded nodes: no allocation per entry, O(1) and
 * O(log n).
 */
struct hnode {
    struct hnode *next;
    uint64_t hash;
};
struct htab {
    struct hnode **rows;
    size_t cap; /* a power of two, or 0 */
    size_t n;
};
void work_htab_put(struct htab *tab, struct hnode *node, uint64_t hash);
void work_htab_take(struct htab *tab, struct hnode *node);
/* First and next node with exactly this hash. */
struct hnode *work_htab_first(const struct htab *tab, uint64_t hash);
struct hnode *work_htab_next(const struct hnode *node);
struct hnode *work_htab_any(const struct htab *tab); /* NULL: empty */
void work_htab_fini(struct htab *tab);

/* Smallest key first; equal keys in the order they were put in. */
struct heap;
struct heap_node {
    uint64_t key;
    uint64_t order;
    struct heap *heap; /* it is in; NULL: none */
    size_t pos;        /* 1-based */
    int kind;          /* the owner's */
};
struct heap {
    struct heap_node **nodes;
    size_t n, cap;
    uint64_t orders;
};
void work_heap_put(struct heap *heap, struct heap_node *node, uint64_t key);
/* Ignores a node that is in no heap. */
void work_heap_take(struct heap_node *node);
struct heap_node *work_heap_top(const struct heap *heap); /* NULL: empty */
void work_heap_fini(struct heap *heap);

#endif
