/* Which tuple space owns which shard: every party computes it from the
 * catalogue. That two of them have different catalogues for a moment is
 * settled by the epoch in the store. */
#include "services/tuplespace/client.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint32_t
tspace_client_shard(const char *tenant, const char *ns)
{
    const uint64_t hash = XXH3_64bits_withSeed(
        ns, strlen(ns), XXH3_64bits(tenant, strlen(tenant)));

    return (uint32_t)(hash % TSPACE_SHARDS);
}

/* Rendezvous hashing: a node that comes or goes moves only its own shards. */
const struct reg_node *
tspace_client_owner(const struct reg_catalog *catalog, uint32_t shard)
{
    const struct reg_node *nodes, *best = NULL;
    uint64_t best_score = 0;
    size_t n;

    if (catalog == NULL)
        return NULL;
    nodes = reg_catalog_nodes(catalog, &n);
    for (size_t i = 0; i < n; i++) {
        const struct reg_node *node = &nodes[i];
        uint64_t score;

        if (strcmp(node->kind, "tuplespace") != 0 ||
            (node->status != REG_NODE_READY &&
             node->status != REG_NODE_STARTING))
            continue;
        score = XXH3_64bits_withSeed(node->node_id, strlen(node->node_id),
                                     shard + 1);
        if (best == NULL || score > best_score ||
            (score == best_score && strcmp(node->node_id, best->node_id) < 0)) {
            best = node;
            best_score = score;
        }
    }
    return best;
}

const char *
tspace_client_url(const struct reg_catalog *catalog, const char *tenant,
                  const char *ns)
{
    const struct reg_node *node =
        tspace_client_owner(catalog, tspace_client_shard(tenant, ns));

    return node != NULL ? node->url : NULL;
}
