#ifndef SERVICES_TUPLESPACE_ENGINE_PART_H
#define SERVICES_TUPLESPACE_ENGINE_PART_H

#include "services/tuplespace/engine/core.h"

/*
 * Where the tuples of a space are that is placed apart from its namespace: as a
 * whole in one shard (TSPACE_PARTITION_OWN), or each in the shard of the value
 * of one field. Shards are numbered from 1 to TSPACE_PARTS; 0 is none. The
 * result is part of what stores hold: it never changes.
 */
enum { TSPACE_PARTS = 15 };

uint32_t tspace_part_space(const struct tspace_where *where);
/* `partition_field` as in the options. 0: the tuple has no such field. */
uint32_t tspace_part_tuple(const struct tspace_where *where,
                           uint32_t partition_field, const uint8_t *packed);
/* 0: what matches may be in several. */
uint32_t tspace_part_template(const struct tspace_where *where,
                              uint32_t partition_field,
                              const struct tspace_template *template);
/* All shards of the space, a bit each. */
uint32_t tspace_parts(const struct tspace_where *where,
                      uint32_t partition_field);

#endif
