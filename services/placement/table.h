#ifndef SERVICES_PLACEMENT_TABLE_H
#define SERVICES_PLACEMENT_TABLE_H

#include "services/placement/client.h"

/*
 * Making tables. One reference for the caller; workers and ranges are copied,
 * room for exactly n of each.
 */
struct place_table *place_table_make(const char *pool, uint64_t version,
                                     unsigned shard_bits,
                                     const struct place_worker *workers,
                                     size_t n_workers,
                                     const struct place_range *ranges,
                                     size_t n_ranges);

/*
 * Is it whole? The ranges cover all shards in order and name listed workers
 * only, epochs are not 0, node ids and URLs are there.
 *
 * Errors: PLEX_INVALID naming the range or worker.
 */
PLEX_MUST_USE enum plex_status place_table_check(
    const struct place_table *table, struct plex_err *err);

#endif
