#ifndef SERVICES_WORKER_BUILTIN_GROUP_H
#define SERVICES_WORKER_BUILTIN_GROUP_H

#include "sdk/c/include/plexspaces/shard.h"

#include <jansson.h>

/*
 * Groups of actors as built-in behaviours (docs/groups.md):
 *
 *   actor-group        what a group is; the key is its id
 *   actor-group-load   what its shards get, when it is balanced; not durable
 *   actor-group-index  the groups of a namespace; key "groups"
 *   actor-group-call   one request to shards of a group; the key is its own
 *   actor-group-stream answers of all shards, read as they come; its own key
 *
 * A group's description as JSON, everywhere the same: {"group_id",
 * "actor_type","shard_count","partition","bounds","partitioner","seed",
 * "rebalance","rebalance_ms","weights","created_ms","scaled_ms"}. Shared by
 * builtin_group*.c only.
 */
enum {
    BUILTIN_GROUP_PART = 100,            /* shards that one actor asks */
    BUILTIN_GROUP_BYTES_MAX = 512 << 10, /* of all answers of a part */
    BUILTIN_GROUP_MEASURED_MAX = 1000, /* shards of a group that is balanced */
    BUILTIN_GROUP_TIMEOUT_MS = 5000,
    BUILTIN_GROUP_TIMEOUT_MAX_MS = 300000,
};

/* A description as what shard.h takes; borrows from it. `bounds` has room for
 * PLEX_SHARDS_MAX. */
void work_group_shards(const json_t *group, const char **bounds,
                       struct plex_shards *out);
/* JSON, or the text that it is; new. */
json_t *work_group_json(const void *data, size_t len);
/* The HTTP status of an actor's refusal, or 0. */
unsigned work_group_refusal(const json_t *answer);
/* True: the message is a JSON object with "action"; else the reply says no. */
int work_group_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_group_timer(struct plex_ctx *ctx, const char *timer,
                     const void *payload, size_t len);
int work_group_load_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_group_stream_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_group_stream_reply(struct plex_ctx *ctx, uint64_t tag,
                            enum plex_result_status status, const void *payload,
                            size_t len);
int work_group_stream_timer(struct plex_ctx *ctx, const char *timer,
                            const void *payload, size_t len);
int work_group_request_call(struct plex_ctx *ctx, const struct plex_msg *msg);

#endif
