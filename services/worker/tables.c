#include "services/worker/tables.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>

static void
htab_grow(struct htab *tab)
{
    const size_t cap = tab->cap == 0 ? 64 : tab->cap * 2;
    struct hnode **rows = plex_calloc(cap, sizeof(struct hnode *));

    for (size_t i = 0; i < tab->cap; i++)
        for (struct hnode *node = tab->rows[i], *next; node != NULL;
             node = next) {
            struct hnode **row = &rows[node->hash & (cap - 1)];

            next = node->next;
            node->next = *row;
            *row = node;
        }
    free(tab->rows);
    tab->rows = rows;
    tab->cap = cap;
}

void
work_htab_put(struct htab *tab, struct hnode *node, uint64_t hash)
{
    struct hnode **row;

    if (tab->n >= tab->cap)
        htab_grow(tab);
    row = &tab->rows[hash & (tab->cap - 1)];
    node->hash = hash;
    node->next = *row;
    *row = node;
    tab->n++;
}

void
work_htab_take(struct htab *tab, struct hnode *node)
{
    struct hnode **at = &tab->rows[node->hash & (tab->cap - 1)];

    while (*at != node) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    tab->n--;
}

static struct hnode *
same_hash(struct hnode *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct hnode *
work_htab_first(const struct htab *tab, uint64_t hash)
{
    if (tab->n == 0)
        return NULL;
    return same_hash(tab->rows[hash & (tab->cap - 1)], hash);
}

struct hnode *
work_htab_next(const struct hnode *node)
{
    return same_hash(node->next, node->hash);
}

struct hnode *
work_htab_any(const struct htab *tab)
{
    for (size_t i = 0; i < tab->cap; i++)
        if (tab->rows[i] != NULL)
            return tab->rows[i];
    return NULL;
}

void
work_htab_fini(struct htab *tab)
{
    free(tab->rows);
    *tab = (struct htab){0};
}

static bool
before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void
set(struct heap *heap, size_t pos, struct heap_node *node)
{
    heap->nodes[pos - 1] = node;
    node->pos = pos;
}

static void
sift_up(struct heap *heap, struct heap_node *node, size_t pos)
{
    while (pos > 1 && before(node, heap->nodes[pos / 2 - 1])) {
        set(heap, pos, heap->nodes[pos / 2 - 1]);
        pos /= 2;
    }
    set(heap, pos, node);
}

static void
sift_down(struct heap *heap, struct heap_node *node, size_t pos)
{
    for (size_t child; (child = pos * 2) <= heap->n; pos = child) {
        if (child < heap->n &&
            before(heap->nodes[child], heap->nodes[child - 1]))
            child++;
        if (!before(heap->nodes[child - 1], node))
            break;
        set(heap, pos, heap->nodes[child - 1]);
    }
    set(heap, pos, node);
}

void
work_heap_put(struct heap *heap, struct heap_node *node, uint64_t key)
{
    assert(node->heap == NULL);
    if (heap->n == heap->cap) {
        heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
        heap->nodes = plex_reallocarray(heap->nodes, heap->cap,
                                        sizeof(struct heap_node *));
    }
    node->heap = heap;
    node->key = key;
    node->order = heap->orders++;
    heap->n++;
    sift_up(heap, node, heap->n);
}

void
work_heap_take(struct heap_node *node)
{
    struct heap *heap = node->heap;
    const size_t pos = node->pos;
    struct heap_node *last;

    if (heap == NULL)
        return;
    assert(heap->nodes[pos - 1] == node);
    node->heap = NULL;
    last = heap->nodes[--heap->n];
    if (last == node)
        return;
    if (pos > 1 && before(last, heap->nodes[pos / 2 - 1]))
        sift_up(heap, last, pos);
    else
        sift_down(heap, last, pos);
}

struct heap_node *
work_heap_top(const struct heap *heap)
{
    return heap->n == 0 ? NULL : heap->nodes[0];
}

void
work_heap_fini(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}
