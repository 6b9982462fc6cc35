/* Requests that wait for tuples, found from the tuple: grouped by the values
 * that their templates ask for. */
#include "services/tuplespace/engine/core_private.h"

enum { BUCKETS_FIRST = 16 };

static struct listener_group **
bucket_of(const struct listener_set *set, uint64_t hash)
{
    return &set->buckets[hash & (set->n_buckets - 1)];
}

static struct listener_group *
group_find(const struct listener_set *set, uint64_t hash)
{
    struct listener_group *group = *bucket_of(set, hash);

    while (group != NULL && group->hash != hash)
        group = group->chain;
    return group;
}

static void
set_grow(struct listener_set *set)
{
    const uint32_t n = set->n_buckets;
    struct listener_group **old = set->buckets;

    set->n_buckets = n == 0 ? BUCKETS_FIRST : n * 2;
    set->buckets = plex_calloc(set->n_buckets, sizeof(struct listener_group *));
    for (uint32_t i = 0; i < n; i++) {
        struct listener_group *group = old[i];

        while (group != NULL) {
            struct listener_group *next = group->chain;

            group->chain = *bucket_of(set, group->hash);
            *bucket_of(set, group->hash) = group;
            group = next;
        }
    }
    free(old);
}

static struct listener_set *
set_get(struct listener_table *table, const struct index_def *def)
{
    static const struct index_def all = {0};

    for (uint32_t i = 0; i < table->n_sets; i++)
        if (index_def_equal(&table->sets[i].def, def))
            return &table->sets[i];
    /* The last set is for all that would need one set too many. */
    if (table->n_sets >= SETS_MAX - 1 && !index_def_equal(def, &all))
        return set_get(table, &all);
    table->sets =
        plex_reallocarray(table->sets, table->n_sets + 1, sizeof *table->sets);
    table->sets[table->n_sets] = (struct listener_set){.def = *def};
    return &table->sets[table->n_sets++];
}

void
listener_add(struct tspace_core *core, struct listener_table *table,
             struct shape *shape, struct listener *listener,
             struct tspace_template *template)
{
    const struct index_def def = {.exact = template->plan.exact,
                                  .types = template->plan.types};
    struct listener_set *set = set_get(table, &def);
    struct listener_group *group = NULL;
    uint64_t hash;

    listener->template = tspace_template_ref(template);
    listener->shape = shape;
    listener->number = ++core->next_number;
    hash = index_hash_template(&set->def, shape->seed, template, 0);
    if (set->n_buckets > 0)
        group = group_find(set, hash);
    if (group == NULL) {
        if (set->n_groups >= set->n_buckets)
            set_grow(set);
        group = plex_calloc(1, sizeof *group);
        group->hash = hash;
        group->chain = *bucket_of(set, hash);
        *bucket_of(set, hash) = group;
        set->n_groups++;
    }
    listener->group = group;
    listener->next = NULL;
    listener->prev = group->last;
    if (group->last != NULL)
        group->last->next = listener;
    else
        group->first = listener;
    group->last = listener;
    table->n++;
}

static void
group_free(struct listener_table *table, struct listener_set *set,
           struct listener_group *group)
{
    struct listener_group **link = bucket_of(set, group->hash);

    while (*link != group)
        link = &(*link)->chain;
    *link = group->chain;
    free(group);
    if (--set->n_groups > 0)
        return;
    free(set->buckets);
    *set = table->sets[--table->n_sets];
}

/* The set of a group: the one whose template hash it has. */
static struct listener_set *
set_of(struct listener_table *table, const struct listener_group *group)
{
    for (uint32_t i = 0; i < table->n_sets; i++) {
        struct listener_set *set = &table->sets[i];
        struct listener_group *found = *bucket_of(set, group->hash);

        while (found != NULL && found != group)
            found = found->chain;
        if (found == group)
            return set;
    }
    return NULL;
}

void
listener_remove(struct listener_table *table, struct listener *listener)
{
    struct listener_group *group = listener->group;

    if (listener->prev != NULL)
        listener->prev->next = listener->next;
    else
        group->first = listener->next;
    if (listener->next != NULL)
        listener->next->prev = listener->prev;
    else
        group->last = listener->prev;
    table->n--;
    if (group->first == NULL)
        group_free(table, set_of(table, group), group);
    tspace_template_unref(listener->template);
}

void
listener_table_fini(struct listener_table *table)
{
    for (uint32_t i = 0; i < table->n_sets; i++)
        free(table->sets[i].buckets);
    free(table->sets);
}

void
listener_walk_start(struct listener_walk *walk,
                    const struct listener_table *table, uint64_t seed,
                    const uint8_t *packed)
{
    walk->n = 0;
    for (uint32_t i = 0; i < table->n_sets; i++) {
        const struct listener_set *set = &table->sets[i];
        const struct listener_group *group =
            group_find(set, index_hash_packed(&set->def, seed, packed));

        if (group != NULL)
            walk->heads[walk->n++] = group->first;
    }
}

struct listener *
listener_walk_next(struct listener_walk *walk)
{
    struct listener *first = NULL;
    uint32_t from = 0;

    for (uint32_t i = 0; i < walk->n; i++)
        if (walk->heads[i] != NULL &&
            (first == NULL || walk->heads[i]->number < first->number)) {
            first = walk->heads[i];
            from = i;
        }
    if (first != NULL)
        walk->heads[from] = first->next;
    return first;
}
