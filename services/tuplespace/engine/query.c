/* The search for tuples: which index, and in which order. */
#include "services/tuplespace/engine/query.h"
#include "services/tuplespace/engine/bits.h"
#include "services/tuplespace/engine/core_private.h"

enum {
    FEW = 32,          /* tuples that are looked through without an index */
    SCAN_MAX = 500000, /* tuples looked at while an index could be made */
    RANDOM_TRIES = 64  /* before all matches are gathered */
};

bool
query_visible(const struct tspace_core *core, const struct item *item,
              const struct tx *tx, bool take)
{
    const struct hold *hold = item->hold;

    if (item->expires_ms != 0 && item_expired(core, item) &&
        !(core->config.unsafe & TSPACE_UNSAFE_EXPIRED_TAKEN))
        return false;
    if (hold == NULL)
        return true;
    if (hold->writer != NULL && hold->writer != tx &&
        !(core->config.unsafe & TSPACE_UNSAFE_DIRTY_READ))
        return false;
    if (!take || hold->readers == 0)
        return true;
    /* Read by others: not to be taken. */
    return hold->readers == 1 && tx != NULL &&
           LIST_FIRST(&hold->entries)->tx == tx;
}

/* A search that takes too long is better repeated with an index. */
static void
postpone(struct query *query)
{
    if (!shape_want(query->shape, &query->wanted, query->scanned))
        return;
    query->core->building = query->shape;
    query->core->postponed = true;
    query->gave_up = true;
}

static bool
accept(struct query *query, const struct item *item)
{
    if (++query->scanned == query->scan_max && query->has_wanted)
        postpone(query);
    if (item->id <= query->after ||
        ((item->hold != NULL || item->expires_ms != 0) &&
         !query_visible(query->core, item, query->tx, query->take)) ||
        !tspace_template_match(query->template, item->packed, &query->gave_up))
        return false;
    query->found++;
    return true;
}

/* -- the choice of an index ------------------------------------------------ */

static struct index_def
def_wanted(const struct query *query)
{
    const struct plan *plan = &query->template->plan;
    struct index_def def = {.exact = plan->exact, .types = plan->types};

    if (query->order == TSPACE_LEAST || query->order == TSPACE_MOST)
        def.ordered = query->order_field + 1;
    else if (plan->has_range)
        def.ordered = plan->range_field + 1;
    if (def.ordered == 0 && plan->has_set)
        def.exact |= 1ull << plan->set_field;
    if (def.ordered != 0 && def.ordered <= PLAN_FIELDS)
        def.types &= ~(1ull << (def.ordered - 1));
    return def;
}

/* Is every tuple that the wanted index would find in one group of this? */
static bool
def_serves(const struct query *query, const struct index_def *def)
{
    const struct index_def *wanted = &query->wanted;
    const uint64_t typed = wanted->types | query->template->plan.exact;

    return (def->exact & ~wanted->exact) == 0 && (def->types & ~typed) == 0 &&
           (def->ordered == 0 || def->ordered == wanted->ordered);
}

static void
index_choose(struct query *query)
{
    struct shape *shape = query->shape;
    struct index *best = shape->indexes[0];

    query->index = best;
    if (shape->n_linked <= FEW)
        return;
    query->wanted = def_wanted(query);
    query->has_wanted = true;
    shape->clock++;
    for (uint32_t i = 1; i < shape->n_indexes; i++) {
        struct index *index = shape->indexes[i];

        if (index->cursor != POS_NONE || !def_serves(query, &index->def))
            continue;
        if (index->worth > best->worth)
            best = index;
    }
    if (index_def_equal(&best->def, &query->wanted))
        query->has_wanted = false;
    best->used = shape->clock;
    query->index = best;
}

/* -- all matches, sorted --------------------------------------------------- */

static void
sorted_add(struct query *query, struct item *item)
{
    if ((query->n_sorted & (query->n_sorted - 1)) == 0)
        query->sorted = plex_reallocarray(
            query->sorted, query->n_sorted == 0 ? 1 : 2 * query->n_sorted,
            sizeof *query->sorted);
    query->sorted[query->n_sorted++] = item;
}

static int
sorted_compare(const void *a, const void *b, void *arg)
{
    const struct item *const *x = a, *const *y = b;
    const struct query *query = arg;
    struct tspace_value left, right;
    int order;

    packed_get((*x)->packed, query->order_field, &left);
    packed_get((*y)->packed, query->order_field, &right);
    order = tspace_value_worth(&left, &right);
    if (order != 0)
        return query->order == TSPACE_MOST ? -order : order;
    return (*x)->id < (*y)->id ? -1 : 1;
}

static uint64_t
random_next(struct query *query)
{
    query->random += 0x9e3779b97f4a7c15ull;
    return tspace_mix(query->random);
}

static void
sorted_order(struct query *query)
{
    if (query->order != TSPACE_RANDOM) {
        if (query->n_sorted > 1)
            qsort_r(query->sorted, query->n_sorted, sizeof *query->sorted,
                    sorted_compare, query);
        return;
    }
    for (uint32_t i = query->n_sorted; i > 1; i--) {
        const uint32_t other = (uint32_t)(random_next(query) % i);
        struct item *item = query->sorted[i - 1];

        query->sorted[i - 1] = query->sorted[other];
        query->sorted[other] = item;
    }
}

/* A few attempts to hit a match: every one is equally likely. */
static bool
random_hit(struct query *query)
{
    const struct shape *shape = query->shape;

    for (uint32_t i = 0; i < RANDOM_TRIES && shape->n_positions > 0; i++) {
        const uint32_t pos =
            (uint32_t)(random_next(query) % shape->n_positions);
        const uint64_t row = *(uint64_t *)rows_at(&shape->items, pos);
        struct item *item = (struct item *)(uintptr_t)row;

        if (row & 1 || !item->linked || !accept(query, item))
            continue;
        sorted_add(query, item);
        return true;
    }
    return false;
}

/* -- one group ------------------------------------------------------------- */

static uint32_t
group_end(const struct query *query, uint32_t of_set)
{
    const struct hashed *hashed = &query->index->hashed;
    const uint32_t hash = (uint32_t)index_hash_template(
        &query->index->def, query->shape->seed, query->template, of_set);

    return query->order == TSPACE_NEWEST ? hashed_last(hashed, hash)
                                         : hashed_first(hashed, hash);
}

/* A group for each value of the set. */
static void
union_open(struct query *query)
{
    const struct plan *plan = &query->template->plan;

    query->mode = QUERY_UNION;
    query->n_heads = query->template->nodes[plan->set_at].n_items;
    query->heads = plex_calloc(query->n_heads, sizeof *query->heads);
    for (uint32_t i = 0; i < query->n_heads; i++)
        query->heads[i] = group_end(query, i);
}

static void
group_open(struct query *query)
{
    const struct plan *plan = &query->template->plan;
    const struct hashed *hashed = &query->index->hashed;
    const struct item *after;

    if (query->index->def.exact & ~plan->exact) {
        union_open(query);
        return;
    }
    query->mode = QUERY_GROUP;
    query->pos = group_end(query, 0);
    if (query->after == 0 || query->order == TSPACE_NEWEST ||
        query->pos == POS_NONE)
        return;
    /* Go on where the last answer ended, if that tuple is still there. */
    after = core_item_find(query->core, query->after);
    if (after != NULL && after->shape == query->shape && after->linked &&
        ((const struct hashed_node *)rows_at(&hashed->nodes, after->pos))
                ->hash ==
            ((const struct hashed_node *)rows_at(&hashed->nodes, query->pos))
                ->hash)
        query->pos = hashed_next(hashed, after->pos);
}

/* Two values of the set may be the same, so all at the same tuple move on. */
static void
union_step(struct query *query, uint32_t pos)
{
    const struct hashed *hashed = &query->index->hashed;
    const uint32_t next = query->order == TSPACE_NEWEST
                              ? hashed_prev(hashed, pos)
                              : hashed_next(hashed, pos);

    for (uint32_t i = 0; i < query->n_heads; i++)
        if (query->heads[i] == pos)
            query->heads[i] = next;
}

static struct item *
union_next(struct query *query)
{
    const bool newest = query->order == TSPACE_NEWEST;

    while (!query->gave_up) {
        struct item *best = NULL;

        for (uint32_t i = 0; i < query->n_heads; i++) {
            struct item *item;

            if (query->heads[i] == POS_NONE)
                continue;
            item = shape_item(query->shape, query->heads[i]);
            if (best == NULL || (item->id > best->id) == newest)
                best = item;
        }
        if (best == NULL)
            return NULL;
        union_step(query, best->pos);
        if (accept(query, best))
            return best;
    }
    return NULL;
}

static struct item *
group_next(struct query *query)
{
    const struct hashed *hashed = &query->index->hashed;

    while (query->pos != POS_NONE && !query->gave_up) {
        struct item *item = shape_item(query->shape, query->pos);

        query->pos = query->order == TSPACE_NEWEST
                         ? hashed_prev(hashed, query->pos)
                         : hashed_next(hashed, query->pos);
        if (query->pos != POS_NONE)
            __builtin_prefetch(shape_item(query->shape, query->pos));
        if (accept(query, item))
            return item;
    }
    return NULL;
}

static struct item *
sorted_next(struct query *query)
{
    while (query->next_sorted < query->n_sorted) {
        struct item *item = query->sorted[query->next_sorted++];

        if (item->linked)
            return item;
    }
    return NULL;
}

static void
sorted_open(struct query *query)
{
    struct item *item;

    if (query->order == TSPACE_RANDOM && !query->many && random_hit(query)) {
        query->mode = QUERY_SORTED;
        return;
    }
    group_open(query);
    while ((item = query->mode == QUERY_UNION ? union_next(query)
                                              : group_next(query)) != NULL)
        sorted_add(query, item);
    sorted_order(query);
    query->mode = QUERY_SORTED;
}

/* -- an ordered index ------------------------------------------------------ */

static const struct tspace_key key_min = {0, 0};
static const struct tspace_key key_max = {UINT64_MAX, UINT64_MAX};

static void
bounds_set(struct query *query, enum tspace_class class)
{
    const struct plan *plan = &query->template->plan;
    const bool bounded = plan->has_range &&
                         plan->range_field + 1 == query->index->def.ordered &&
                         plan->range_class == class;
    const uint32_t hash = index_hash_ordered(
        index_hash_template(&query->index->def, query->shape->seed,
                            query->template, 0),
        class);

    query->low =
        (struct tree_entry){.key = bounded ? plan->low : key_min, .hash = hash};
    query->high = (struct tree_entry){
        .key = bounded ? plan->high : key_max, .hash = hash, .id = UINT64_MAX};
}

static void
range_open(struct query *query)
{
    query->mode = QUERY_RANGE;
    bounds_set(query, query->template->plan.range_class);
    query->scan = (struct tree_scan){
        .low = query->low,
        .high = query->high,
        .after = query->after,
        .newest = query->order == TSPACE_NEWEST,
    };
    tree_scan_start(&query->scan, &query->index->tree);
}

static struct item *
range_next(struct query *query)
{
    uint32_t pos;

    while (!query->gave_up && tree_scan_next(&query->scan, &pos)) {
        struct item *item = shape_item(query->shape, pos);

        if (accept(query, item))
            return item;
    }
    return NULL;
}

/* The next group of entries with equal keys, of one class after the other. */
static bool
keys_group(struct query *query, struct tree_entry *first)
{
    const bool least = query->order == TSPACE_LEAST;
    const struct tree *tree = &query->index->tree;

    for (;;) {
        bool found;

        if (least)
            found = tree_ceiling(tree, &query->at, first) &&
                    tree_compare(first, &query->high) <= 0;
        else
            found = tree_floor(tree, &query->at, first) &&
                    tree_compare(first, &query->low) >= 0;
        if (found)
            return true;
        if (query->template->plan.has_range &&
            query->template->plan.range_field == query->order_field)
            return false;
        query->class += least ? 1 : -1;
        if (query->class < 0 || query->class >= TSPACE_CLASSES)
            return false;
        bounds_set(query, (enum tspace_class)query->class);
        query->at = least ? query->low : query->high;
    }
}

/* What comes after the group of equal keys at `at`. */
static void
keys_leave(struct query *query)
{
    query->in_group = false;
    query->at.id = query->order == TSPACE_LEAST ? UINT64_MAX : 0;
}

/* The next entry of the group, oldest first; false: there are no more. */
static bool
keys_step(struct query *query, struct tree_entry *entry)
{
    if (!tree_ceiling(&query->index->tree, &query->at, entry) ||
        entry->hash != query->at.hash ||
        entry->key.high != query->at.key.high ||
        entry->key.low != query->at.key.low) {
        keys_leave(query);
        return false;
    }
    query->at.id = entry->id + 1;
    return true;
}

static void
keys_open(struct query *query)
{
    const bool least = query->order == TSPACE_LEAST;
    const struct plan *plan = &query->template->plan;

    query->mode = QUERY_KEYS;
    query->class = least ? 0 : TSPACE_CLASSES - 1;
    if (plan->has_range && plan->range_field == query->order_field)
        query->class = (int)plan->range_class;
    bounds_set(query, (enum tspace_class)query->class);
    query->at = least ? query->low : query->high;
}

static struct item *
keys_next(struct query *query)
{
    struct tree_entry entry;
    struct item *item;

    for (;;) {
        if ((item = sorted_next(query)) != NULL)
            return item;
        if (query->gave_up)
            return NULL;
        if (!query->in_group) {
            if (!keys_group(query, &entry))
                return NULL;
            query->at = entry;
            query->at.id = 0;
            query->in_group = true;
        }
        /* Numbers with equal keys are equal, so one at a time is in order;
         * strings may differ after their key, so all of them are sorted. */
        query->n_sorted = query->next_sorted = 0;
        while (keys_step(query, &entry)) {
            item = shape_item(query->shape, entry.pos);
            if (!accept(query, item))
                continue;
            sorted_add(query, item);
            if (query->class <= TSPACE_CLASS_NUMBER)
                break;
        }
        if (query->class > TSPACE_CLASS_NUMBER)
            sorted_order(query);
    }
}

/* -- every tuple of the space ---------------------------------------------- */

static void
every_open(struct query *query)
{
    const struct item *after = core_item_find(query->core, query->after);

    query->mode = QUERY_EVERY;
    query->heads =
        plex_calloc(query->space->n_shapes + 1, sizeof *query->heads);
    for (uint32_t i = 0; i < query->space->n_shapes; i++) {
        const struct shape *shape = query->space->shapes[i];
        const struct hashed *all;

        query->heads[i] = POS_NONE;
        if (shape == NULL)
            continue;
        all = &shape->indexes[0]->hashed;
        if (query->order == TSPACE_NEWEST)
            query->heads[i] = hashed_last(all, (uint32_t)shape->seed);
        else if (after != NULL && after->shape == shape && after->linked)
            query->heads[i] = hashed_next(all, after->pos);
        else
            query->heads[i] = hashed_first(all, (uint32_t)shape->seed);
    }
}

static struct item *
every_next(struct query *query)
{
    const bool newest = query->order == TSPACE_NEWEST;

    for (;;) {
        uint32_t from = POS_NONE;
        struct item *best = NULL;

        for (uint32_t i = 0; i < query->space->n_shapes; i++) {
            struct item *item;

            if (query->heads[i] == POS_NONE)
                continue;
            item = shape_item(query->space->shapes[i], query->heads[i]);
            if (best == NULL || (item->id > best->id) == newest) {
                best = item;
                from = i;
            }
        }
        if (best == NULL)
            return NULL;
        const struct hashed *all = &best->shape->indexes[0]->hashed;

        query->heads[from] =
            newest ? hashed_prev(all, best->pos) : hashed_next(all, best->pos);
        if (accept(query, best))
            return best;
    }
}

/* -- the whole ------------------------------------------------------------- */

void
query_open(struct query *query)
{
    const uint32_t n_fields = tspace_template_fields(query->template);
    const bool by_field =
        query->order == TSPACE_LEAST || query->order == TSPACE_MOST;

    query->mode = QUERY_NONE;
    query->scan_max = query->core->config.scan_max != 0
                          ? query->core->config.scan_max
                          : SCAN_MAX;
    if (query->space == NULL)
        return;
    if (n_fields == 0) {
        every_open(query);
        return;
    }
    query->shape = core_shape_find(query->space, n_fields);
    if (query->shape == NULL || query->shape->n_linked == 0)
        return;
    index_choose(query);
    if (query->index->def.ordered != 0 && by_field)
        keys_open(query);
    else if (query->index->def.ordered != 0)
        range_open(query);
    else if (by_field || query->order == TSPACE_RANDOM)
        sorted_open(query);
    else
        group_open(query);
}

struct item *
query_next(struct query *query)
{
    switch (query->mode) {
    case QUERY_GROUP:
        return group_next(query);
    case QUERY_UNION:
        return union_next(query);
    case QUERY_RANGE:
        return range_next(query);
    case QUERY_KEYS:
        return keys_next(query);
    case QUERY_SORTED:
        return sorted_next(query);
    case QUERY_EVERY:
        return every_next(query);
    case QUERY_NONE:
        break;
    }
    return NULL;
}

void
query_close(struct query *query)
{
    query->core->stats.scanned += query->scanned;
    /* Looking at a few in vain is cheaper than an index. */
    if (query->has_wanted && query->scanned > query->found + FEW)
        (void)shape_want(query->shape, &query->wanted,
                         query->scanned - query->found);
    if (query->has_wanted && shape_building(query->shape))
        query->core->building = query->shape;
    tree_scan_fini(&query->scan);
    free(query->sorted);
    free(query->heads);
}
