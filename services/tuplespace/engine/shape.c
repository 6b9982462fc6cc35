#include "services/tuplespace/engine/bits.h"
#include "services/tuplespace/engine/hashed.h"

#include <assert.h>

enum {
    DEBT_MAX = 256,   /* tuples looked at in vain before an index is made */
    BUILD_MIN = 8192, /* tuples put into it by a search, at least */
    IDLE_MIN = 10000, /* searches without an index before another replaces it */
};

bool
index_def_equal(const struct index_def *a, const struct index_def *b)
{
    return a->exact == b->exact && a->types == b->types &&
           a->ordered == b->ordered;
}

/* -- hashes ---------------------------------------------------------------- */

uint64_t
index_hash_packed(const struct index_def *def, uint64_t seed,
                  const uint8_t *packed)
{
    const uint8_t *slots = packed + packed_slots(packed_fields(packed));
    struct tspace_value value;
    uint64_t hash = seed;

    for (uint64_t left = def->exact; left != 0; left &= left - 1) {
        const uint32_t field = (uint32_t)__builtin_ctzll(left);
        uint64_t of_field;

        if (packed[8 + field] == TSPACE_INTEGER) {
            memcpy(&value.integer, slots + (size_t)field * 8, 8);
            of_field = tspace_integer_hash(value.integer, seed);
        } else {
            packed_get(packed, field, &value);
            of_field = tspace_value_hash(&value, seed);
        }
        hash = tspace_fold(hash, of_field);
    }
    for (uint64_t left = def->types; left != 0; left &= left - 1)
        hash = tspace_mix(
            hash + tspace_packed_type(packed, (uint32_t)__builtin_ctzll(left)));
    return hash;
}

uint64_t
index_hash_template(const struct index_def *def, uint64_t seed,
                    const struct tspace_template *template, uint32_t of_set)
{
    uint64_t hash = seed;

    for (uint64_t left = def->exact; left != 0; left &= left - 1) {
        const uint32_t field = (uint32_t)__builtin_ctzll(left);
        uint32_t at = template->exact_at[field];

        if (!(template->plan.exact >> field & 1))
            at = template->nodes[template->plan.set_at].first + of_set;
        hash = tspace_fold(hash,
                           tspace_value_hash(&template->nodes[at].value, seed));
    }
    for (uint64_t left = def->types; left != 0; left &= left - 1) {
        const int field = __builtin_ctzll(left);
        uint64_t type = template->type_of[field];

        if (template->plan.exact >> field & 1)
            type = template->nodes[template->exact_at[field]].value.type;
        hash = tspace_mix(hash + type);
    }
    return hash;
}

uint32_t
index_hash_ordered(uint64_t hash, enum tspace_class class)
{
    return (uint32_t)tspace_mix(hash + (uint64_t) class + 1);
}

/* -- life ------------------------------------------------------------------ */

static struct index *
index_make(struct shape *shape, const struct index_def *def)
{
    struct index *index = plex_calloc(1, sizeof *index);

    index->def = *def;
    index->worth = 4 * __builtin_popcountll(def->exact) +
                   2 * __builtin_popcountll(def->types) + (def->ordered != 0);
    index->cursor = POS_NONE;
    index->used = shape->clock;
    if (def->ordered == 0)
        hashed_init(&index->hashed, index->worth == 0);
    shape->indexes[shape->n_indexes++] = index;
    return index;
}

static void
index_free(struct index *index)
{
    if (index->def.ordered == 0)
        hashed_fini(&index->hashed);
    tree_fini(&index->tree);
    free(index);
}

void
shape_init(struct shape *shape, struct tspace_core *core, struct space *space,
           uint32_t n_fields, uint64_t seed)
{
    static const struct index_def all = {0};

    *shape = (struct shape){
        .core = core,
        .space = space,
        .seed = seed,
        .n_fields = n_fields,
        .items = {.row_bytes = sizeof(uint64_t)},
    };
    index_make(shape, &all);
}

void
shape_fini(struct shape *shape)
{
    for (uint32_t i = 0; i < shape->n_indexes; i++)
        index_free(shape->indexes[i]);
    rows_free(&shape->items);
}

uint64_t
shape_index_bytes(const struct shape *shape)
{
    uint64_t bytes = rows_bytes(&shape->items);

    for (uint32_t i = 0; i < shape->n_indexes; i++)
        bytes += shape->indexes[i]->def.ordered == 0
                     ? hashed_bytes(&shape->indexes[i]->hashed)
                     : tree_bytes(&shape->indexes[i]->tree);
    return bytes;
}

/* -- positions ------------------------------------------------------------- */

void
shape_place(struct shape *shape, struct item *item)
{
    uint64_t *row;

    if (shape->free != 0) {
        item->pos = shape->free - 1;
        row = rows_at(&shape->items, item->pos);
        shape->free = (uint32_t)(*row >> 1);
    } else {
        item->pos = shape->n_positions++;
        if (item->pos >= shape->items.room)
            rows_grow(&shape->items);
        row = rows_at(&shape->items, item->pos);
    }
    *row = (uintptr_t)item;
    shape->n_items++;
}

void
shape_unplace(struct shape *shape, struct item *item)
{
    assert(!item->linked);
    *(uint64_t *)rows_at(&shape->items, item->pos) =
        (uint64_t)shape->free << 1 | 1;
    shape->free = item->pos + 1;
    shape->n_items--;
}

/* -- members --------------------------------------------------------------- */

static struct tree_entry
entry_of(const struct shape *shape, const struct index *index,
         const struct item *item)
{
    struct tspace_value value;

    packed_get(item->packed, index->def.ordered - 1, &value);
    return (struct tree_entry){
        .key = tspace_value_key(&value),
        .id = item->id,
        .hash = index_hash_ordered(
            index_hash_packed(&index->def, shape->seed, item->packed),
            tspace_type_class(value.type)),
        .pos = item->pos,
    };
}

static void
index_insert(struct shape *shape, struct index *index, const struct item *item)
{
    struct tree_entry entry;

    if (index->def.ordered == 0) {
        hashed_insert(shape, &index->hashed, item->pos,
                      (uint32_t)index_hash_packed(&index->def, shape->seed,
                                                  item->packed));
        return;
    }
    entry = entry_of(shape, index, item);
    tree_insert(&index->tree, &entry);
}

static void
index_remove(struct shape *shape, struct index *index, const struct item *item)
{
    struct tree_entry entry;

    if (index->def.ordered == 0) {
        hashed_remove(&index->hashed, item->pos);
        return;
    }
    entry = entry_of(shape, index, item);
    tree_remove(&index->tree, &entry);
}

/* While an index is built it has what is older than its cursor. */
static bool
index_has(const struct shape *shape, const struct index *index,
          const struct item *item)
{
    return index->cursor == POS_NONE ||
           item->id < shape_item(shape, index->cursor)->id;
}

void
shape_link(struct shape *shape, struct item *item)
{
    for (uint32_t i = 0; i < shape->n_indexes; i++)
        if (index_has(shape, shape->indexes[i], item))
            index_insert(shape, shape->indexes[i], item);
    item->linked = true;
    shape->n_linked++;
}

void
shape_unlink(struct shape *shape, struct item *item)
{
    const struct hashed *all = &shape->indexes[0]->hashed;

    for (uint32_t i = shape->n_indexes; i-- > 0;) {
        struct index *index = shape->indexes[i];

        if (index->cursor == item->pos)
            index->cursor = hashed_next(all, item->pos);
        else if (index_has(shape, index, item))
            index_remove(shape, index, item);
    }
    item->linked = false;
    shape->n_linked--;
}

void
shape_replace(struct shape *shape, struct item *from, struct item *to)
{
    bool moves[TSPACE_INDEXES_MAX + 1] = {false};

    assert(from->linked && from->id == to->id);
    for (uint32_t i = 1; i < shape->n_indexes; i++) {
        struct index *index = shape->indexes[i];

        if (!index_has(shape, index, from))
            continue;
        moves[i] = index->def.ordered != 0 ||
                   (uint32_t)index_hash_packed(&index->def, shape->seed,
                                               from->packed) !=
                       (uint32_t)index_hash_packed(&index->def, shape->seed,
                                                   to->packed);
        if (moves[i])
            index_remove(shape, index, from);
    }
    *(uint64_t *)rows_at(&shape->items, from->pos) = (uintptr_t)to;
    to->pos = from->pos;
    to->linked = true;
    from->linked = false;
    for (uint32_t i = 1; i < shape->n_indexes; i++)
        if (moves[i])
            index_insert(shape, shape->indexes[i], to);
}

/* -- indexes by use -------------------------------------------------------- */

static uint32_t
index_find(const struct shape *shape, const struct index_def *def)
{
    for (uint32_t i = 0; i < shape->n_indexes; i++)
        if (index_def_equal(&shape->indexes[i]->def, def))
            return i;
    return POS_NONE;
}

static bool
index_room(struct shape *shape)
{
    uint32_t idle = 0;

    if (shape->n_indexes <= TSPACE_INDEXES_MAX)
        return true;
    for (uint32_t i = 1; i < shape->n_indexes; i++)
        if (!shape->indexes[i]->declared &&
            (idle == 0 || shape->indexes[i]->used < shape->indexes[idle]->used))
            idle = i;
    if (idle == 0 || shape->clock - shape->indexes[idle]->used < IDLE_MIN)
        return false;
    index_free(shape->indexes[idle]);
    shape->indexes[idle] = shape->indexes[--shape->n_indexes];
    return true;
}

static struct index *
index_begin(struct shape *shape, const struct index_def *def)
{
    struct index *index;

    if (!index_room(shape))
        return NULL;
    index = index_make(shape, def);
    index->cursor =
        hashed_first(&shape->indexes[0]->hashed, (uint32_t)shape->seed);
    return index;
}

void
shape_declare(struct shape *shape, const struct index_def *def)
{
    const uint32_t at = index_find(shape, def);
    struct index *index;

    if (at == 0)
        return;
    shape->clock += IDLE_MIN; /* a declared one is worth any made by use */
    index = at != POS_NONE ? shape->indexes[at] : index_begin(shape, def);
    if (index != NULL)
        index->declared = true;
}

void
shape_undeclare(struct shape *shape)
{
    for (uint32_t i = 0; i < shape->n_indexes; i++)
        shape->indexes[i]->declared = false;
}

bool
shape_building(const struct shape *shape)
{
    for (uint32_t i = 1; i < shape->n_indexes; i++)
        if (shape->indexes[i]->cursor != POS_NONE)
            return true;
    return false;
}

bool
shape_build(struct shape *shape, uint64_t steps)
{
    const struct hashed *all = &shape->indexes[0]->hashed;
    bool more = false;

    for (uint32_t i = 1; i < shape->n_indexes; i++) {
        struct index *index = shape->indexes[i];

        while (index->cursor != POS_NONE && steps > 0) {
            const struct item *item = shape_item(shape, index->cursor);

            index_insert(shape, index, item);
            index->cursor = hashed_next(all, index->cursor);
            steps--;
        }
        more = more || index->cursor != POS_NONE;
    }
    return more;
}

bool
shape_want(struct shape *shape, const struct index_def *def, uint64_t scanned)
{
    struct want *want = &shape->wants[0];

    if (index_find(shape, def) != POS_NONE) {
        shape_build(shape, BUILD_MIN + scanned / 4);
        return true;
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (index_def_equal(&shape->wants[i].def, def)) {
            want = &shape->wants[i];
            break;
        }
        if (shape->wants[i].debt < want->debt)
            want = &shape->wants[i];
    }
    if (!index_def_equal(&want->def, def))
        *want = (struct want){.def = *def};
    want->debt += scanned;
    if (want->debt < DEBT_MAX)
        return false;
    want->debt = 0;
    if (index_begin(shape, def) == NULL)
        return false;
    shape_build(shape, BUILD_MIN + scanned / 4);
    return true;
}
