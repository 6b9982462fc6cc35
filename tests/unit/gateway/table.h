#ifndef TESTS_UNIT_GATEWAY_TABLE_H
#define TESTS_UNIT_GATEWAY_TABLE_H

#include "services/placement/client.h"

/* All shards at one worker: 0 (inproc://a) or 1 (inproc://b), -1 for nobody,
 * -2 for nobody while they are on the move. */
struct place_table *table_make(uint64_t version, int worker, uint64_t epoch);

#endif
