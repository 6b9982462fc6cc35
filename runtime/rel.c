#include "runtime/ext.h"

#include "common/mem.h"

#include <stdlib.h>

/* Relations: open addressing with linear probing; a removal moves later rows
 * of the run back, so there are no tombstones. */

static uint64_t
mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0x9e3779b97f4a7c15u;
    return value ^ (value >> 29);
}

static uint32_t
home(const struct rt_rels *rels, uint32_t kind, struct plex_ref ref,
     uint64_t number)
{
    uint64_t key = kind <= RT_REL_UNLINKING ? ref.id ^ mix(ref.node) : number;

    return (uint32_t)mix(key + kind) & rels->mask;
}

static bool
same(const struct rt_rel *row, uint32_t kind, struct plex_ref ref,
     uint64_t number)
{
    if (row->kind != kind)
        return false;
    if (kind != RT_REL_LINK && kind != RT_REL_UNLINKING &&
        row->number != number)
        return false;
    return kind == RT_REL_WATCH || kind == RT_REL_CALL ||
           kind == RT_REL_START || kind == RT_REL_GROUP ||
           kind == RT_REL_GROUP_WATCH ||
           (row->ref.id == ref.id && row->ref.node == ref.node);
}

struct rt_rel *
rt_rel_find(const struct rt_rels *rels, enum rt_rel_kind kind,
            struct plex_ref ref, uint64_t number)
{
    if (rels->count == 0)
        return NULL;
    for (uint32_t i = home(rels, kind, ref, number);;
         i = (i + 1) & rels->mask) {
        if (rels->rows[i].kind == 0)
            return NULL;
        if (same(&rels->rows[i], kind, ref, number))
            return &rels->rows[i];
    }
}

static struct rt_rel *
place(struct rt_rels *rels, uint32_t kind, struct plex_ref ref, uint64_t number)
{
    uint32_t i = home(rels, kind, ref, number);

    while (rels->rows[i].kind != 0)
        i = (i + 1) & rels->mask;
    return &rels->rows[i];
}

static void
resize(struct rt_rels *rels, uint32_t rows)
{
    struct rt_rel *old = rels->rows;
    uint32_t count = old == NULL ? 0 : rels->mask + 1;

    rels->rows = plex_calloc(rows, sizeof *rels->rows);
    rels->mask = rows - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].kind != 0)
            *place(rels, old[i].kind, old[i].ref, old[i].number) = old[i];
    }
    free(old);
}

struct rt_rel *
rt_rel_add(struct rt_rels *rels, enum rt_rel_kind kind, struct plex_ref ref,
           uint64_t number)
{
    struct rt_rel *row;

    if (rels->rows == NULL)
        resize(rels, 4);
    else if ((rels->count + 1) * 4 > (rels->mask + 1) * 3)
        resize(rels, (rels->mask + 1) * 2);
    row = place(rels, kind, ref, number);
    *row = (struct rt_rel){.kind = kind, .ref = ref, .number = number};
    rels->count++;
    return row;
}

void
rt_rel_remove(struct rt_rels *rels, struct rt_rel *rel)
{
    uint32_t hole = (uint32_t)(rel - rels->rows);

    for (uint32_t i = (hole + 1) & rels->mask; rels->rows[i].kind != 0;
         i = (i + 1) & rels->mask) {
        const struct rt_rel *row = &rels->rows[i];
        uint32_t wants = home(rels, row->kind, row->ref, row->number);

        /* May it stand at the hole, that is, not before its home? */
        if (((i - wants) & rels->mask) >= ((i - hole) & rels->mask)) {
            rels->rows[hole] = *row;
            hole = i;
        }
    }
    rels->rows[hole].kind = 0;
    rels->count--;
}

void
rt_rels_fini(struct rt_rels *rels)
{
    free(rels->rows);
    *rels = (struct rt_rels){0};
}
