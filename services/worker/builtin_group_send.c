/* A request to the shard that has a key; and the shares of the keys that the
 * shards have, worked out of how much each got. */
#include "services/worker/builtin_group_request.h"

#include "runtime/group_core.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 5000 };

/* -- one shard --------------------------------------------------------------
 */

/* Which shard a type of the user's says: 0; PLEX_E_*: it did not. */
static int
ask_partitioner(struct work_group_request *r, uint32_t *shard)
{
    const json_t *count = json_object_get(r->group, "shard_count");
    json_t *question = json_pack(
        "{s:s, s:O, s:O, s:O}", "action", "shard_of", "group_id",
        json_object_get(r->group, "group_id"), "key",
        json_object_get(r->json, "partition_key"), "shard_count", count);
    char *text = json_dumps(question, JSON_COMPACT);
    struct plex_value value = {NULL, 0};
    json_t *answer;
    int status;

    json_decref(question);
    status = plex_call_wait(r->ctx, work_json_text(r->group, "partitioner"),
                            work_json_text(r->group, "group_id"), text,
                            strlen(text), r->timeout_ms, &value);
    free(text);
    if (status != 0)
        return status;
    answer = work_group_json(value.data, value.len);
    if (!json_is_integer(json_object_get(answer, "shard")) ||
        work_json_number(answer, "shard") < 0 ||
        work_json_number(answer, "shard") >= json_integer_value(count))
        status = PLEX_E_INVALID;
    *shard = (uint32_t)work_json_number(answer, "shard");
    json_decref(answer);
    return status;
}

/* Which shard, and its actor's key: 1; 0: the reply says why not. */
static int
locate(struct work_group_request *r, uint32_t *shard, char key[256])
{
    const char *partition_key = work_json_text(r->json, "partition_key");
    const char **bounds = calloc(PLEX_SHARDS_MAX, sizeof *bounds);
    struct plex_shards g;
    int status = 0;

    if (bounds == NULL)
        return plex_fail(r->ctx, "no memory for the bounds");
    work_group_shards(r->group, bounds, &g);
    if (g.partition == PLEX_PARTITION_CUSTOM)
        status = ask_partitioner(r, shard);
    else
        *shard = plex_shard_of(&g, partition_key, strlen(partition_key));
    if (status == 0 && !plex_shard_key(&g, *shard, key))
        status = PLEX_E_INVALID;
    free(bounds);
    if (status == PLEX_E_CANCELLED)
        return status;
    if (status == PLEX_E_INVALID)
        plex_reply_problem(r->ctx, 502,
                           "the partitioner %.100s/%.100s did not say "
                           "{\"shard\": a number below shard_count}",
                           work_json_text(r->group, "partitioner"), g.group);
    else if (status != 0)
        plex_reply_problem(r->ctx, 502, "the partitioner %.100s %s",
                           work_json_text(r->group, "partitioner"),
                           work_group_failure(status));
    return status == 0;
}

/* What a shard got is counted where groups are balanced by it. */
static void
count(struct work_group_request *r, uint32_t shard, int64_t latency_ms,
      bool failed)
{
    if (strcmp(work_json_text(r->group, "rebalance"), "load_based") == 0)
        work_builtin_cast(r->ctx, "actor-group-load",
                          work_json_text(r->group, "group_id"),
                          json_pack("{s:s, s:I, s:I, s:b}", "action", "add",
                                    "shard", (json_int_t)shard, "latency_ms",
                                    (json_int_t)latency_ms, "failed", failed));
}

static int
send_answer(struct work_group_request *r, int status,
            const struct plex_value *value, json_t *row)
{
    json_t *reply;

    if (status == PLEX_E_CANCELLED) {
        json_decref(row);
        return status;
    }
    reply = status == 0 ? work_group_json(value->data, value->len) : NULL;
    if (status != 0)
        plex_reply_problem(r->ctx, status == PLEX_E_TIMEOUT ? 504 : 502,
                           "shard %u %s",
                           (unsigned)work_json_number(row, "shard"),
                           work_group_failure(status));
    else if (work_group_refusal(reply) != 0)
        plex_reply_problem(r->ctx, work_group_refusal(reply),
                           "shard %u: %.400s",
                           (unsigned)work_json_number(row, "shard"),
                           work_json_text(reply, "detail"));
    if (status != 0 || work_group_refusal(reply) != 0) {
        json_decref(reply);
        json_decref(row);
        return 0;
    }
    json_object_set_new(row, "reply", reply);
    return work_builtin_reply(r->ctx, 200, row);
}

int
work_group_send(struct work_group_request *r)
{
    const char *type;
    struct plex_value value = {NULL, 0};
    char key[256];
    uint32_t shard = 0;
    uint64_t began_ms;
    int64_t latency_ms;
    json_t *row;
    int status;

    if (!json_is_string(json_object_get(r->json, "partition_key"))) {
        plex_reply_problem(r->ctx, 400, "partition_key is missing: a text");
        return 0;
    }
    if (!work_group_message(r))
        return 0;
    status = work_group_describe(r);
    if (status <= 0)
        return status;
    status = locate(r, &shard, key);
    if (status <= 0)
        return status;
    type = work_json_text(r->group, "actor_type");
    row = json_pack("{s:I, s:s+++}", "shard", (json_int_t)shard, "actor", type,
                    "/", key, "");
    began_ms = plex_turn_ms(r->ctx);
    if (json_is_false(json_object_get(r->json, "wait_for_response"))) {
        plex_cast(r->ctx, type, key, r->message, strlen(r->message));
        count(r, shard, 0, false);
        return work_builtin_reply(r->ctx, 202, row);
    }
    status = plex_call_wait(r->ctx, type, key, r->message, strlen(r->message),
                            r->timeout_ms, &value);
    latency_ms = (int64_t)(plex_turn_ms(r->ctx) - began_ms);
    work_json_set(row, "latency_ms", latency_ms);
    count(r, shard, latency_ms, status != 0);
    return send_answer(r, status, &value, row);
}

/* -- balancing --------------------------------------------------------------
 */

/* Ask an actor with JSON, taken: its answer, new; NULL: there is none, and the
 * reply says so, or *status that the run ends. */
static json_t *
ask(struct work_group_request *r, const char *type, json_t *question,
    int *status)
{
    char *text = json_dumps(question, JSON_COMPACT);
    struct plex_value value = {NULL, 0};
    json_t *answer;

    json_decref(question);
    *status = plex_call_wait(r->ctx, type, work_json_text(r->group, "group_id"),
                             text, strlen(text), ASK_MS, &value);
    free(text);
    if (*status == PLEX_E_CANCELLED)
        return NULL;
    if (*status != 0) {
        plex_reply_problem(r->ctx, 503, "%s/%.200s %s", type,
                           work_json_text(r->group, "group_id"),
                           work_group_failure(*status));
        *status = 0;
        return NULL;
    }
    answer = work_group_json(value.data, value.len);
    if (work_group_refusal(answer) == 0)
        return answer;
    plex_reply_problem(r->ctx, work_group_refusal(answer), "%.300s",
                       work_json_text(answer, "detail"));
    json_decref(answer);
    return NULL;
}

/* "100,80,120", or NULL: nothing is to change. */
static char *
weights_make(const json_t *group, const json_t *loads)
{
    const uint32_t n = (uint32_t)work_json_number(group, "shard_count");
    const char *list = work_json_text(group, "weights");
    uint64_t *load = calloc(n, sizeof *load);
    uint16_t *weights = calloc(n, sizeof *weights);
    char *text = calloc(n, 8);
    size_t len = 0;
    bool changed = load != NULL && weights != NULL && text != NULL;

    for (uint32_t i = 0; changed && i < n; i++) {
        load[i] = (uint64_t)json_integer_value(json_array_get(loads, i));
        weights[i] = (uint16_t)plex_shard_weight_(&list);
    }
    changed = changed && rt_group_balance(load, weights, n);
    for (uint32_t i = 0; changed && i < n; i++)
        len += (size_t)snprintf(text + len, 8, "%s%u", i == 0 ? "" : ",",
                                (unsigned)weights[i]);
    free(load);
    free(weights);
    if (!changed) {
        free(text);
        return NULL;
    }
    return text;
}

int
work_group_rebalance(struct work_group_request *r)
{
    json_t *answer, *loads, *weigh;
    char *weights;
    int status = work_group_describe(r);

    if (status <= 0)
        return status;
    if (strcmp(work_json_text(r->group, "rebalance"), "load_based") != 0) {
        plex_reply_problem(r->ctx, 409,
                           "the group is not balanced: its rebalance is %.40s, "
                           "not load_based",
                           work_json_text(r->group, "rebalance"));
        return 0;
    }
    loads = ask(r, "actor-group-load", json_pack("{s:s}", "action", "take"),
                &status);
    if (loads == NULL)
        return status;
    weights = weights_make(r->group, json_object_get(loads, "loads"));
    json_decref(loads);
    if (weights == NULL)
        return work_builtin_reply(
            r->ctx, 200,
            json_pack("{s:O, s:b}", "group", r->group, "changed", false));
    weigh = json_pack("{s:s, s:s, s:O?}", "action", "weigh", "weights", weights,
                      "scaled_ms", json_object_get(r->group, "scaled_ms"));
    free(weights);
    answer = ask(r, "actor-group", weigh, &status);
    if (answer == NULL)
        return status;
    json_object_set_new(answer, "changed", json_true());
    return work_builtin_reply(r->ctx, 200, answer);
}
