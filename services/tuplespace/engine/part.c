/* Which shard a space, or a tuple of it, belongs to. */
#include "services/tuplespace/engine/part.h"

#include "services/tuplespace/engine/template_private.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t
text_hash(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

static uint64_t
space_hash(const struct tspace_where *where)
{
    return text_hash(where->space,
                     text_hash(where->ns, text_hash(where->tenant, 0)));
}

static uint64_t
value_hash(const struct tspace_value *value, uint64_t seed)
{
    const double real = value->real + 0.0; /* -0.0 becomes 0.0 */
    struct tspace_value field;

    seed += (uint64_t)value->type;
    switch (value->type) {
    case TSPACE_NULL:
        return XXH3_64bits_withSeed("", 0, seed);
    case TSPACE_INTEGER:
    case TSPACE_BOOLEAN:
        return XXH3_64bits_withSeed(&value->integer, sizeof value->integer,
                                    seed);
    case TSPACE_FLOAT:
        return XXH3_64bits_withSeed(&real, sizeof real, seed);
    case TSPACE_STRING:
    case TSPACE_BINARY:
        return XXH3_64bits_withSeed(value->bytes.data, value->bytes.len, seed);
    case TSPACE_TUPLE:
        break;
    }
    for (uint32_t i = 0; i < tspace_packed_fields(value->bytes.data); i++) {
        tspace_packed_get(value->bytes.data, i, &field);
        seed = value_hash(&field, seed);
    }
    return seed;
}

static uint32_t
part_of(uint64_t hash)
{
    return 1 + (uint32_t)(hash % TSPACE_PARTS);
}

uint32_t
tspace_part_space(const struct tspace_where *where)
{
    return part_of(space_hash(where));
}

uint32_t
tspace_part_tuple(const struct tspace_where *where, uint32_t partition_field,
                  const uint8_t *packed)
{
    struct tspace_value value;

    if (partition_field == TSPACE_PARTITION_OWN)
        return tspace_part_space(where);
    if (tspace_packed_fields(packed) < partition_field)
        return 0;
    tspace_packed_get(packed, partition_field - 1, &value);
    return part_of(value_hash(&value, space_hash(where)));
}

uint32_t
tspace_part_template(const struct tspace_where *where, uint32_t partition_field,
                     const struct tspace_template *template)
{
    const uint32_t field = partition_field - 1;
    const struct node *node;

    if (partition_field == TSPACE_PARTITION_OWN)
        return tspace_part_space(where);
    if (field >= template->n_fields || field >= PLAN_FIELDS ||
        (template->plan.exact >> field & 1) == 0)
        return 0;
    node = &template->nodes[template->exact_at[field]];
    return part_of(value_hash(&node->value, space_hash(where)));
}

uint32_t
tspace_parts(const struct tspace_where *where, uint32_t partition_field)
{
    if (partition_field == TSPACE_PARTITION_OWN)
        return 1u << tspace_part_space(where);
    return (1u << (TSPACE_PARTS + 1)) - 2;
}
