#ifndef SERVICES_TUPLESPACE_ENGINE_INDEX_H
#define SERVICES_TUPLESPACE_ENGINE_INDEX_H

/*
 * The tuples of one length in one space (a shape) and their indexes. Every
 * tuple has a position; an index is about positions. Index 0 has all of them
 * in one group, oldest first.
 */
#include "services/tuplespace/engine/core.h"
#include "services/tuplespace/engine/rows.h"
#include "services/tuplespace/engine/template_private.h"
#include "services/tuplespace/engine/tree.h"

#include <sys/queue.h>

enum { POS_NONE = UINT32_MAX };

struct hold; /* core_private.h: who has this tuple locked or claimed */
struct shape;

struct item {
    uint64_t id;
    struct shape *shape;
    struct item *id_next;
    struct hold *hold;
    uint32_t pos;
    uint32_t refs;
    uint32_t due_at; /* 1 + place in the heap of leases; 0: none */
    bool linked;     /* in the indexes: may be found */
    bool gone;       /* no longer in the space; others may have references */
    /* From here on it is the stored record. */
    uint32_t body_bytes;
    uint64_t written_ms;
    uint64_t expires_ms;
    uint8_t packed[]; /* then, unless both are empty: owner u8 length, owner,
                         meta u16 length, meta */
};

struct index_def {
    uint64_t exact, types;
    uint32_t ordered; /* 1 + field; 0: hashed */
};

/* Groups of equal hash, found by linear hashing; each oldest first. The head
 * of a group has its tail as prev, and the next group of its bucket as chain.
 */
struct hashed_node {
    uint32_t hash, next, prev, chain;
};
struct hashed {
    struct rows nodes;   /* by position */
    struct rows buckets; /* 1 + the position of a head; 0: empty */
    uint32_t n_buckets, mask, n_groups;
    uint32_t only; /* the head of a single group */
    bool single;
};

struct index {
    struct index_def def;
    int worth; /* how much a search is narrowed down by it */
    bool declared;
    /* While it is being built: the oldest tuple not yet in it. */
    uint32_t cursor;
    uint64_t used; /* the shape's clock when it was last of use */
    struct hashed hashed;
    struct tree tree;
};

struct want {
    struct index_def def;
    uint64_t debt; /* tuples looked at in vain for want of this index */
};

/* Requests that wait for tuples like those of their template. */
struct listener;
struct listener_group {
    struct listener_group *chain;
    uint64_t hash;
    struct listener *first, *last;
};
struct listener_set {
    struct index_def def;
    struct listener_group **buckets;
    uint32_t n_buckets, n_groups;
};
enum { SETS_MAX = 16 };
struct listener_table {
    struct listener_set *sets;
    uint32_t n_sets;
    uint32_t n; /* listeners */
};

struct tspace_core;

struct shape {
    struct tspace_core *core;
    struct space *space;
    uint64_t seed;
    uint32_t n_fields;
    uint32_t n_linked;
    uint32_t n_items;
    uint32_t n_positions;
    uint32_t free;     /* 1 + a free position; 0: none */
    struct rows items; /* uint64_t: the item, or 1 + 2 * the next free */
    struct index *indexes[TSPACE_INDEXES_MAX + 1];
    uint32_t n_indexes;
    uint64_t clock;
    struct want wants[4];
    struct listener_table waiters, subscriptions;
    LIST_HEAD(, tx_entry) held; /* by transactions */
};

static inline struct item *
shape_item(const struct shape *shape, uint32_t pos)
{
    return (struct item *)(uintptr_t) * (uint64_t *)rows_at(&shape->items, pos);
}

void shape_init(struct shape *shape, struct tspace_core *core,
                struct space *space, uint32_t n_fields, uint64_t seed);
/* core_item.c: the tuple with this id, in any shape. */
struct item *core_item_find(const struct tspace_core *core, uint64_t id);
void shape_fini(struct shape *shape);                       /* not the items */
void shape_place(struct shape *shape, struct item *item);   /* a position */
void shape_unplace(struct shape *shape, struct item *item); /* gives it back */
void shape_link(struct shape *shape, struct item *item);
void shape_unlink(struct shape *shape, struct item *item);
/* `to` takes the position of `from`, whose id it has. */
void shape_replace(struct shape *shape, struct item *from, struct item *to);
void shape_declare(struct shape *shape, const struct index_def *def);
void shape_undeclare(struct shape *shape);
/* A search looked at `scanned` tuples because `def` was not there. True: the
 * index will be there soon, or is now. */
bool shape_want(struct shape *shape, const struct index_def *def,
                uint64_t scanned);
bool shape_building(const struct shape *shape);
/* True while there is more to build. */
bool shape_build(struct shape *shape, uint64_t steps);
uint64_t shape_index_bytes(const struct shape *shape);

bool index_def_equal(const struct index_def *a, const struct index_def *b);
uint64_t index_hash_packed(const struct index_def *def, uint64_t seed,
                           const uint8_t *packed);
/* The template has a value or type for each field of the definition, but
 * perhaps a set for one: value number `of_set` of it. */
uint64_t index_hash_template(const struct index_def *def, uint64_t seed,
                             const struct tspace_template *template,
                             uint32_t of_set);
/* What an ordered index has as hash: also the class of its field. */
uint32_t index_hash_ordered(uint64_t hash, enum tspace_class class);

uint32_t hashed_first(const struct hashed *hashed, uint32_t hash);
uint32_t hashed_last(const struct hashed *hashed, uint32_t hash);
uint32_t hashed_next(const struct hashed *hashed, uint32_t pos);
uint32_t hashed_prev(const struct hashed *hashed, uint32_t pos);

#endif
