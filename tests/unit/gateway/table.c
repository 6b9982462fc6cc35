#include "tests/unit/gateway/table.h"

#include "common/mem.h"

struct place_table *
table_make(uint64_t version, int worker, uint64_t epoch)
{
    struct place_table *t = plex_calloc(1, sizeof *t);

    t->refs = 1;
    t->version = version;
    t->pool = plex_strdup("default");
    t->shard_bits = PLACE_SHARD_BITS;
    t->workers = plex_calloc(2, sizeof *t->workers);
    t->workers[0].node_id = plex_strdup("worker-a");
    t->workers[0].url = plex_strdup("inproc://a");
    t->workers[1].node_id = plex_strdup("worker-b");
    t->workers[1].url = plex_strdup("inproc://b");
    t->n_workers = 2;
    t->ranges = plex_calloc(1, sizeof *t->ranges);
    t->ranges[0] = (struct place_range){
        .last = 4095,
        .epoch = epoch,
        .worker = worker < 0 ? -1 : worker,
        .moving = worker == -2,
    };
    t->n_ranges = 1;
    return t;
}
