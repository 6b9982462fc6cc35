/* What a group of actors is. The state of an actor-group is its description,
 * empty when there is none. */
#include "services/worker/builtin_group.h"

#include "runtime/group_core.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 200 };
static const char *const partitions[] = {NULL, "hash", "range", "consistent",
                                         "custom"};

static enum plex_partition
partition_of(const char *name)
{
    for (int i = PLEX_PARTITION_HASH; i <= PLEX_PARTITION_CUSTOM; i++)
        if (strcmp(partitions[i], name) == 0)
            return (enum plex_partition)i;
    return (enum plex_partition)0;
}

void
work_group_shards(const json_t *group, const char **bounds,
                  struct plex_shards *out)
{
    const json_t *list = json_object_get(group, "bounds"), *bound;
    size_t i;

    *out = (struct plex_shards){
        .type = work_json_text(group, "actor_type"),
        .group = work_json_text(group, "group_id"),
        .shards =
            (uint32_t)json_integer_value(json_object_get(group, "shard_count")),
        .partition = partition_of(work_json_text(group, "partition")),
        .seed = (uint64_t)json_integer_value(json_object_get(group, "seed")),
        .bounds = bounds,
        .weights = work_json_text(group, "weights"),
    };
    json_array_foreach(list, i, bound)
    {
        if (i < PLEX_SHARDS_MAX)
            bounds[i] = json_string_value(bound);
    }
}

/* -- checking -------------------------------------------------------------- */

static enum plex_status
bounds_check(const json_t *group, struct plex_err *err)
{
    const json_t *list = json_object_get(group, "bounds"), *bound;
    const size_t shards =
        (size_t)json_integer_value(json_object_get(group, "shard_count"));
    size_t i;

    if (partition_of(work_json_text(group, "partition")) !=
        PLEX_PARTITION_RANGE)
        return json_array_size(list) == 0
                   ? PLEX_OK
                   : plex_err_set(err, PLEX_INVALID,
                                  "bounds go with partition range only");
    if (!json_is_array(list) || json_array_size(list) + 1 != shards)
        return plex_err_set(err, PLEX_INVALID,
                            "bounds must be a list of %zu texts, one less "
                            "than there are shards",
                            shards - 1);
    json_array_foreach(list, i, bound)
    {
        if (!json_is_string(bound) ||
            strlen(json_string_value(bound)) != json_string_length(bound))
            return plex_err_set(err, PLEX_INVALID, "bounds[%zu] is no text", i);
    }
    return PLEX_OK;
}

static bool
is_balanced(const json_t *group)
{
    return strcmp(work_json_text(group, "rebalance"), "load_based") == 0;
}

static enum plex_status
rebalance_check(const json_t *group, struct plex_err *err)
{
    const char *rebalance = work_json_text(group, "rebalance");
    const enum plex_partition partition =
        partition_of(work_json_text(group, "partition"));
    const int64_t every_ms = work_json_number(group, "rebalance_ms");

    if (partition == PLEX_PARTITION_CUSTOM &&
        work_json_text(group, "partitioner")[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "partition custom needs a partitioner: the type of "
                            "actor that says where a key is");
    if (strcmp(rebalance, "none") == 0 || strcmp(rebalance, "on_scale") == 0)
        return PLEX_OK;
    if (!is_balanced(group))
        return plex_err_set(err, PLEX_INVALID,
                            "rebalance is \"%.40s\"; none, on_scale and "
                            "load_based are known",
                            rebalance);
    if (partition != PLEX_PARTITION_HASH &&
        partition != PLEX_PARTITION_CONSISTENT)
        return plex_err_set(err, PLEX_INVALID,
                            "rebalance load_based goes with partition hash and "
                            "consistent");
    if (work_json_number(group, "shard_count") > BUILTIN_GROUP_MEASURED_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "rebalance load_based is for up to %d shards",
                            BUILTIN_GROUP_MEASURED_MAX);
    if (every_ms < 1000 || every_ms > 86400000)
        return plex_err_set(err, PLEX_INVALID,
                            "rebalance_ms must be 1000 to 86400000");
    return PLEX_OK;
}

/* What the pure core says of it is what there is to say. */
static enum plex_status
group_check(const json_t *group, struct plex_err *err)
{
    const json_t *count = json_object_get(group, "shard_count");
    const char **bounds;
    struct plex_shards g;
    struct rt_group_map *map = NULL;
    enum plex_status status;

    if (!json_is_integer(count) || json_integer_value(count) < 1 ||
        json_integer_value(count) > PLEX_SHARDS_MAX)
        return plex_err_set(err, PLEX_INVALID, "shard_count must be 1 to %d",
                            PLEX_SHARDS_MAX);
    if (partition_of(work_json_text(group, "partition")) == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "partition is \"%.40s\"; hash, range, consistent "
                            "and custom are known",
                            work_json_text(group, "partition"));
    if (rebalance_check(group, err) != PLEX_OK)
        return err->status;
    if (bounds_check(group, err) != PLEX_OK)
        return err->status;
    bounds = calloc(PLEX_SHARDS_MAX, sizeof *bounds);
    if (bounds == NULL)
        return plex_err_set(err, PLEX_LIMIT, "no memory for the bounds");
    work_group_shards(group, bounds, &g);
    /* A ring cannot be wrong, and is dear to make. */
    status = g.partition == PLEX_PARTITION_CONSISTENT ||
                     g.partition == PLEX_PARTITION_CUSTOM
                 ? PLEX_OK
                 : rt_group_create(
                       &(struct rt_group_config){
                           .partition = (enum rt_partition)g.partition,
                           .shards = g.shards,
                           .bounds = bounds,
                       },
                       &map, err);
    rt_group_free(map);
    free(bounds);
    return status;
}

/* -- keeping --------------------------------------------------------------- */

static json_t *
state_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    return state == NULL || len == 0 ? NULL : json_loadb(state, len, 0, NULL);
}

static int
state_save(struct plex_ctx *ctx, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    if (text == NULL || strlen(text) > (8u << 20)) {
        free(text);
        return plex_fail(ctx, "the state would be larger than 8 MiB");
    }
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

/* Lists show no bounds: they may be long. */
static void
index_tell(struct plex_ctx *ctx, const json_t *group)
{
    json_t *row = json_copy((json_t *)(uintptr_t)group);

    json_object_del(row, "bounds");
    json_object_del(row, "weights");
    work_names_tell(ctx, &work_group_names, work_json_text(group, "group_id"),
                    row);
}

static int
group_reply(struct plex_ctx *ctx, json_t *group)
{
    return work_builtin_reply(ctx, 200, json_pack("{s:O}", "group", group));
}

/* Short enough for the names of shards and of requests made of it. */
static bool
name_fits(const char *name)
{
    const size_t len = strlen(name);

    return len >= 1 && len <= NAME_MAX_LEN &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == len;
}

/* What goes with certain partitions and ways of balancing only. */
static void
rest_take(json_t *group, const json_t *request)
{
    json_t *partitioner = json_object_get(request, "partitioner");
    json_t *every = json_object_get(request, "rebalance_ms");

    if (partitioner != NULL)
        json_object_set(group, "partitioner", partitioner);
    if (every != NULL)
        json_object_set(group, "rebalance_ms", every);
    if (is_balanced(group) && work_json_number(group, "rebalance_ms") == 0)
        work_json_set(group, "rebalance_ms", 60000);
}

static int
keep(struct plex_ctx *ctx, const json_t *group)
{
    if (is_balanced(group))
        plex_timer_set(ctx, "balance",
                       (uint64_t)work_json_number(group, "rebalance_ms"), "",
                       0);
    else
        plex_timer_cancel(ctx, "balance");
    index_tell(ctx, group);
    return state_save(ctx, group);
}

static int
create(struct plex_ctx *ctx, json_t *group, const json_t *request)
{
    const char *partition = work_json_text(request, "partition");
    const char *rebalance = work_json_text(request, "rebalance");
    const json_t *bounds = json_object_get(request, "bounds");
    struct plex_err err;
    int status;
    json_t *made;

    if (work_json_text(request, "actor_type")[0] == '\0') {
        plex_reply_problem(ctx, 400, "actor_type is missing");
        return 0;
    }
    if (!name_fits(plex_self(ctx, NULL, NULL, NULL))) {
        plex_reply_problem(ctx, 400,
                           "group_id must be 1 to %d letters, digits, '.', "
                           "'_' and '-'",
                           NAME_MAX_LEN);
        return 0;
    }
    made = json_pack(
        "{s:s, s:s, s:O?, s:s, s:s, s:I, s:I}", "group_id",
        plex_self(ctx, NULL, NULL, NULL), "actor_type",
        work_json_text(request, "actor_type"), "shard_count",
        json_object_get(request, "shard_count"), "partition",
        partition[0] == '\0' ? "hash" : partition, "rebalance",
        rebalance[0] == '\0' ? "none" : rebalance, "seed",
        (json_int_t)json_integer_value(json_object_get(request, "seed")),
        "created_ms", (json_int_t)plex_turn_ms(ctx));
    if (bounds != NULL)
        json_object_set(made, "bounds", (json_t *)(uintptr_t)bounds);
    rest_take(made, request);
    if (group != NULL || group_check(made, &err) != PLEX_OK) {
        if (group != NULL)
            plex_reply_problem(ctx, 409, "group \"%.100s\" exists",
                               work_json_text(group, "group_id"));
        else
            (void)work_builtin_refuse(ctx, &err);
        json_decref(made);
        return 0;
    }
    status = keep(ctx, made);
    if (status == 0)
        status = group_reply(ctx, made);
    json_decref(made);
    return status;
}

/* Every shard there is or was hears what the group is now and was before: it
 * alone knows its keys, and hands over those that have moved. */
static void
shards_tell(struct plex_ctx *ctx, const json_t *before, const json_t *after)
{
    const json_int_t was =
        json_integer_value(json_object_get(before, "shard_count"));
    const json_int_t is =
        json_integer_value(json_object_get(after, "shard_count"));
    const json_int_t all = was > is ? was : is;
    char key[256];

    for (json_int_t from = 0; from < all; from += BUILTIN_GROUP_PART) {
        const json_int_t to =
            from + BUILTIN_GROUP_PART < all ? from + BUILTIN_GROUP_PART : all;

        (void)snprintf(key, sizeof key, "%.200s!%d",
                       work_json_text(after, "group_id"), (int)from);
        work_builtin_cast(ctx, "actor-group-call", key,
                          json_pack("{s:s, s:I, s:I, s:O, s:O}", "action",
                                    "tell", "from", from, "to", to, "before",
                                    before, "after", after));
    }
}

static int
scale(struct plex_ctx *ctx, json_t *group, const json_t *request)
{
    static const char *const fields[] = {"shard_count", "rebalance", "bounds"};
    json_t *after = json_copy(group), *reply;
    struct plex_err err;
    int status;

    for (size_t i = 0; i < 3; i++)
        if (json_object_get(request, fields[i]) != NULL)
            json_object_set(after, fields[i],
                            json_object_get(request, fields[i]));
    rest_take(after, request);
    json_object_del(after, "weights"); /* of as many as there were */
    json_object_set_new(after, "scaled_ms",
                        json_integer((json_int_t)plex_turn_ms(ctx)));
    if (json_object_get(request, "shard_count") == NULL ||
        group_check(after, &err) != PLEX_OK) {
        if (json_object_get(request, "shard_count") == NULL)
            plex_reply_problem(ctx, 400, "shard_count is missing");
        else
            (void)work_builtin_refuse(ctx, &err);
        json_decref(after);
        return 0;
    }
    if (strcmp(work_json_text(after, "rebalance"), "none") != 0)
        shards_tell(ctx, group, after);
    status = keep(ctx, after);
    reply = json_pack("{s:O, s:O}", "group", after, "previous_shard_count",
                      json_object_get(group, "shard_count"));
    json_decref(after);
    if (status != 0) {
        json_decref(reply);
        return status;
    }
    return work_builtin_reply(ctx, 200, reply);
}

/* Other shares: worked out of the group as it was at scaled_ms. */
static int
weigh(struct plex_ctx *ctx, json_t *group, const json_t *request)
{
    json_t *after;
    int status;

    if (!is_balanced(group) || work_json_number(group, "scaled_ms") !=
                                   work_json_number(request, "scaled_ms")) {
        plex_reply_problem(ctx, 409, "the group has changed meanwhile");
        return 0;
    }
    after = json_copy(group);
    json_object_set(after, "weights", json_object_get(request, "weights"));
    /* Later than before, by whatever clock. */
    work_json_set(after, "scaled_ms",
                  work_json_number(group, "scaled_ms") <
                          (int64_t)plex_turn_ms(ctx)
                      ? (int64_t)plex_turn_ms(ctx)
                      : work_json_number(group, "scaled_ms") + 1);
    shards_tell(ctx, group, after);
    status = keep(ctx, after);
    if (status == 0)
        status = group_reply(ctx, after);
    json_decref(after);
    return status;
}

int
work_group_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
                 size_t len)
{
    json_t *group = state_load(ctx);
    const char *self = plex_self(ctx, NULL, NULL, NULL);
    char key[256];

    (void)timer;
    (void)payload;
    (void)len;
    if (group != NULL && is_balanced(group)) {
        (void)snprintf(key, sizeof key, "%.200s!balance!%llu", self,
                       (unsigned long long)plex_turn_ms(ctx));
        work_builtin_cast(
            ctx, "actor-group-call", key,
            json_pack("{s:s, s:s}", "action", "rebalance", "group_id", self));
        plex_timer_set(ctx, "balance",
                       (uint64_t)work_json_number(group, "rebalance_ms"), "",
                       0);
    }
    json_decref(group);
    return 0;
}

static int
group_delete(struct plex_ctx *ctx, const json_t *group)
{
    work_names_untell(ctx, &work_group_names,
                      work_json_text(group, "group_id"));
    plex_timer_cancel(ctx, "balance");
    plex_state_put(ctx, "", 0);
    return work_builtin_reply(ctx, 200, json_object());
}

int
work_group_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *group;
    int status = 0;

    if (request == NULL)
        return 0;
    group = state_load(ctx);
    if (strcmp(action, "create") == 0)
        status = create(ctx, group, request);
    else if (group == NULL)
        plex_reply_problem(ctx, 404, "group \"%.100s\" does not exist",
                           plex_self(ctx, NULL, NULL, NULL));
    else if (strcmp(action, "get") == 0)
        status = group_reply(ctx, group);
    else if (strcmp(action, "scale") == 0)
        status = scale(ctx, group, request);
    else if (strcmp(action, "weigh") == 0)
        status = weigh(ctx, group, request);
    else if (strcmp(action, "delete") == 0)
        status = group_delete(ctx, group);
    else
        plex_reply_problem(ctx, 400, "action \"%.40s\" is not known", action);
    json_decref(group);
    json_decref(request);
    return status;
}
