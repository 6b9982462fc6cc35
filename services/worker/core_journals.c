/* Which journal writes what. */
#include "services/worker/core_private.h"

#include <assert.h>

void
work_outlets_init(struct journal_outlets *outlets)
{
    for (size_t i = 0; i < JOURNAL_REPLICAS_MAX; i++)
        TAILQ_INIT(&outlets->at[i].unwritten);
    outlets->n = outlets->wanted = 1;
}

uint32_t
work_core_journal_of(const struct work_core *core, uint32_t shard)
{
    /* The shard of what is not keyed comes after the last one. */
    if (core->outlets.n == 1 || shard >= core->n_shards)
        return 0;
    return (uint32_t)((uint64_t)shard * core->outlets.n / core->n_shards);
}

struct journal_outlet *
work_outlet(struct work_core *core, uint32_t shard)
{
    return &core->outlets.at[work_core_journal_of(core, shard)];
}

void
work_core_journals(struct work_core *core, uint32_t n)
{
    assert(n >= 1 && n <= JOURNAL_REPLICAS_MAX);
    core->outlets.wanted = n;
    core->outlets.changing = true;
}

bool
work_outlets_open(struct work_core *core)
{
    struct journal_outlets *outlets = &core->outlets;
    struct write_list waiting;
    struct write *write;

    if (!outlets->changing)
        return true;
    if (core->stats.appends > 0)
        return false;
    TAILQ_INIT(&waiting);
    for (uint32_t i = 0; i < outlets->n; i++)
        TAILQ_CONCAT(&waiting, &outlets->at[i].unwritten, link);
    outlets->n = outlets->wanted;
    outlets->changing = false;
    while ((write = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, write, link);
        TAILQ_INSERT_TAIL(&work_outlet(core, write->entry.shard)->unwritten,
                          write, link);
    }
    return true;
}
