#ifndef SERVICES_WORKER_BUILTIN_GROUP_REQUEST_H
#define SERVICES_WORKER_BUILTIN_GROUP_REQUEST_H

#include "services/worker/builtin_group.h"

/* One request to shards of a group, as a run. Shared by builtin_group_call.c
 * and builtin_group_send.c only. */
struct work_group_request {
    struct plex_ctx *ctx;
    const json_t *json;
    json_t *group; /* once it is described */
    char *message; /* to the shards, as JSON */
    uint64_t timeout_ms;
};

/* What the group is: 1; 0: the reply says why not; negative: the run ends. */
int work_group_describe(struct work_group_request *r);
/* The message to shards; false: the reply says what is wrong. */
bool work_group_message(struct work_group_request *r);
/* Why a call failed: "did not answer in time". */
const char *work_group_failure(int status);

/* To the shard that has a key. */
int work_group_send(struct work_group_request *r);
/* Other shares for the shards, by what they got. */
int work_group_rebalance(struct work_group_request *r);

#endif
