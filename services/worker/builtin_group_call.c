/* One request to shards of a group, as a run of its own: so many are under way
 * at a time, and the group's actor only says what the group is. A request to
 * more shards than one actor asks is parted among several. */
#include "services/worker/builtin_group_request.h"

#include "runtime/group_core.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum { DESCRIBE_MS = 5000, PART_SLACK_MS = 2000, GATHER_BYTES_MAX = 4 << 20 };

struct collect {
    struct rt_gather *gather; /* NULL: a part, which only collects */
    const char *field;        /* of each answer; "" */
    json_t *rows, *answers;   /* of all shards; answers by shard */
    size_t bytes;
    uint32_t ok, enough; /* answers, 0: all */
};

static uint32_t
number_of(const json_t *object, const char *field)
{
    return (uint32_t)json_integer_value(json_object_get(object, field));
}

json_t *
work_group_json(const void *data, size_t len)
{
    json_t *json =
        len == 0 ? json_null() : json_loadb(data, len, JSON_DECODE_ANY, NULL);

    if (json == NULL)
        json = json_stringn(data, len);
    return json == NULL ? json_null() : json;
}

static json_t *
json_of(const struct plex_value *value)
{
    return work_group_json(value->data, value->len);
}

unsigned
work_group_refusal(const json_t *answer)
{
    const int64_t status = work_json_number(answer, "status");

    return strcmp(work_json_text(answer, "source"), "actor") == 0 &&
                   status >= 400 && status <= 599
               ? (unsigned)status
               : 0;
}

const char *
work_group_failure(int status)
{
    return status == PLEX_E_TIMEOUT  ? "did not answer in time"
           : status == PLEX_E_FAILED ? "failed"
                                     : "could not be reached";
}

/* -- beginning --------------------------------------------------------------
 */

/* True, or the reply says what is wrong. */
static bool
timeout_read(struct work_group_request *r)
{
    const json_t *timeout = json_object_get(r->json, "timeout_ms");

    r->timeout_ms = BUILTIN_GROUP_TIMEOUT_MS;
    if (timeout == NULL)
        return true;
    if (!json_is_integer(timeout) || json_integer_value(timeout) < 1 ||
        json_integer_value(timeout) > BUILTIN_GROUP_TIMEOUT_MAX_MS) {
        plex_reply_problem(r->ctx, 400, "timeout_ms must be 1 to %d",
                           BUILTIN_GROUP_TIMEOUT_MAX_MS);
        return false;
    }
    r->timeout_ms = (uint64_t)json_integer_value(timeout);
    return true;
}

/* What the group is: 1; 0: the reply says why not; negative: the run ends. */
int
work_group_describe(struct work_group_request *r)
{
    static const char get[] = "{\"action\":\"get\"}";
    struct plex_value value;
    json_t *answer;
    int status;

    if (!timeout_read(r))
        return 0;
    status = plex_call_wait(r->ctx, "actor-group",
                            work_json_text(r->json, "group_id"), get,
                            sizeof get - 1, DESCRIBE_MS, &value);
    if (status == PLEX_E_CANCELLED)
        return status;
    if (status != 0) {
        plex_reply_problem(r->ctx, 503, "the group's actor %s",
                           work_group_failure(status));
        return 0;
    }
    answer = json_of(&value);
    r->group = json_incref(json_object_get(answer, "group"));
    if (r->group == NULL)
        plex_reply_problem(
            r->ctx,
            work_group_refusal(answer) == 0 ? 500 : work_group_refusal(answer),
            "%.200s", work_json_text(answer, "detail"));
    json_decref(answer);
    return r->group != NULL;
}

bool
work_group_message(struct work_group_request *r)
{
    const json_t *message = json_object_get(r->json, "message");

    if (message == NULL)
        plex_reply_problem(r->ctx, 400, "message is missing: any JSON");
    else
        r->message = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
    return r->message != NULL;
}

/* -- all of them ------------------------------------------------------------
 */

/* Takes `answer`. True: that is enough. */
static bool
collect_one(struct collect *c, uint32_t shard, json_t *answer,
            const char *error, uint64_t after_ms)
{
    json_t *row = json_pack("{s:I, s:b, s:I}", "shard", (json_int_t)shard, "ok",
                            error == NULL, "latency_ms", (json_int_t)after_ms);
    const json_t *value = answer;
    char *text = NULL;

    if (error == NULL && c->field[0] != '\0') {
        value = json_object_get(answer, c->field);
        if (value == NULL)
            error = "has no such field in its answer";
    }
    if (error == NULL)
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text != NULL && c->gather == NULL &&
        (c->bytes += strlen(text)) > BUILTIN_GROUP_BYTES_MAX) {
        error = "answered too much: 512 KiB are allowed in 100 shards";
        free(text);
        text = NULL;
    }
    json_object_set_new(row, "ok", json_boolean(text != NULL));
    if (text == NULL)
        json_object_set_new(row, "error",
                            json_string(error == NULL ? "is not JSON" : error));
    json_array_append_new(c->rows, row);
    if (text != NULL) {
        char name[16];

        (void)snprintf(name, sizeof name, "%u", (unsigned)shard);
        json_object_set(c->answers, name, (json_t *)(uintptr_t)value);
        c->ok++;
    }
    if (c->gather != NULL && text != NULL)
        (void)rt_gather_answer(
            c->gather, shard,
            (struct plex_bytes){(const uint8_t *)text, strlen(text)});
    else if (c->gather != NULL)
        (void)rt_gather_failure(c->gather, shard);
    free(text);
    json_decref(answer);
    if (c->gather == NULL)
        return c->enough != 0 && c->ok >= c->enough;
    return rt_gather_answer(c->gather, UINT32_MAX, (struct plex_bytes){0}) !=
           RT_GATHER_OPEN;
}

static bool
on_answer(void *arg, uint32_t shard, int status, const struct plex_value *value,
          uint64_t after_ms)
{
    json_t *answer = status == 0 ? json_of(value) : NULL;
    char text[300];

    if (status == 0 && work_group_refusal(answer) == 0)
        return collect_one(arg, shard, answer, NULL, after_ms);
    (void)snprintf(text, sizeof text, "%.280s",
                   status != 0 ? work_group_failure(status)
                               : work_json_text(answer, "detail"));
    json_decref(answer);
    return collect_one(arg, shard, NULL, text, after_ms);
}

/* What a part has collected; what it has not, failed. */
static bool
take_part(struct collect *c, const struct plex_value *value, uint32_t from,
          uint32_t to, int status)
{
    json_t *part = status == 0 ? json_of(value) : NULL, *row;
    json_t *answers = json_object_get(part, "answers");
    bool enough = false;
    size_t i;

    if (!json_is_array(json_object_get(part, "shards"))) {
        while (from < to && !enough)
            enough = collect_one(
                c, from++, NULL,
                work_group_failure(status == 0 ? PLEX_E_FAILED : status), 0);
        json_decref(part);
        return enough;
    }
    json_array_foreach(json_object_get(part, "shards"), i, row)
    {
        const bool ok = json_is_true(json_object_get(row, "ok"));
        char name[16];

        (void)snprintf(name, sizeof name, "%u",
                       (unsigned)number_of(row, "shard"));
        enough =
            collect_one(c, number_of(row, "shard"),
                        ok ? json_incref(json_object_get(answers, name)) : NULL,
                        ok ? NULL : work_json_text(row, "error"),
                        number_of(row, "latency_ms"));
        if (enough)
            break;
    }
    json_decref(part);
    return enough;
}

/* The future of a part; negative: why not. */
static int
part_start(struct work_group_request *r, uint32_t from, uint32_t to,
           uint32_t enough)
{
    json_t *group = json_copy(r->group), *body;
    char key[256], *text;
    int future;

    json_object_del(group, "bounds");
    body = json_pack(
        "{s:s, s:o, s:I, s:I, s:O, s:I, s:s, s:I}", "action", "part", "group",
        group, "from", (json_int_t)from, "to", (json_int_t)to, "message",
        json_object_get(r->json, "message"), "timeout_ms",
        (json_int_t)r->timeout_ms, "field", work_json_text(r->json, "field"),
        "enough", (json_int_t)enough);
    text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (text == NULL)
        return PLEX_E_INVALID;
    (void)snprintf(key, sizeof key, "%.200s!%u",
                   plex_self(r->ctx, NULL, NULL, NULL), (unsigned)from);
    future = plex_start_call(r->ctx, "actor-group-call", key, text,
                             strlen(text), r->timeout_ms + PART_SLACK_MS);
    free(text);
    return future;
}

static int
scatter_parts(struct work_group_request *r, uint32_t shards, uint32_t enough,
              struct collect *c)
{
    int futures[PLEX_SHARDS_MAX / BUILTIN_GROUP_PART];
    uint32_t from[PLEX_SHARDS_MAX / BUILTIN_GROUP_PART];
    size_t n = 0;

    c->field = ""; /* the parts take it out of the answers */
    for (uint32_t at = 0; at < shards; at += BUILTIN_GROUP_PART, n++) {
        from[n] = at;
        futures[n] = part_start(
            r, at,
            at + BUILTIN_GROUP_PART < shards ? at + BUILTIN_GROUP_PART : shards,
            enough);
        if (futures[n] < 0)
            return futures[n];
    }
    while (n > 0) {
        struct plex_value value = {NULL, 0};
        size_t which = n;
        const int status = plex_wait_any(r->ctx, futures, n, 0, &which, &value);
        uint32_t at;

        if (which >= n)
            return status < 0 ? status : PLEX_E_FAILED;
        at = from[which];
        if (take_part(c, &value, at,
                      at + BUILTIN_GROUP_PART < shards ? at + BUILTIN_GROUP_PART
                                                       : shards,
                      status))
            return 0;
        n--;
        memmove(futures + which, futures + which + 1,
                (n - which) * sizeof *futures);
        memmove(from + which, from + which + 1, (n - which) * sizeof *from);
    }
    return 0;
}

static int
scatter(struct work_group_request *r, uint32_t from, uint32_t to,
        struct collect *c)
{
    struct plex_shards g;
    const char *no_bounds = NULL;
    json_t *group = json_copy(r->group);
    int status;

    json_object_del(group, "bounds");
    work_group_shards(group, &no_bounds, &g);
    status = plex_scatter(r->ctx, &g, from, to, r->message, strlen(r->message),
                          r->timeout_ms, on_answer, c);
    json_decref(group);
    return status;
}

static int
part(struct work_group_request *r)
{
    struct collect c = {.field = work_json_text(r->json, "field"),
                        .rows = json_array(),
                        .answers = json_object(),
                        .enough = number_of(r->json, "enough")};
    int status;

    r->group = json_incref(json_object_get(r->json, "group"));
    status = r->group == NULL || !timeout_read(r) || !work_group_message(r)
                 ? PLEX_E_INVALID
                 : scatter(r, number_of(r->json, "from"),
                           number_of(r->json, "to"), &c);
    if (status != 0) {
        json_decref(c.rows);
        json_decref(c.answers);
        return status;
    }
    return work_builtin_reply(
        r->ctx, 200,
        json_pack("{s:o, s:o}", "shards", c.rows, "answers", c.answers));
}

static enum rt_aggregate
aggregate_of(const char *name)
{
    static const char *const names[] = {"",       "concat", "merge",
                                        "reduce", "first",  "majority"};

    for (int i = RT_AGGREGATE_CONCAT; i <= RT_AGGREGATE_MAJORITY; i++)
        if (strcmp(names[i], name) == 0)
            return (enum rt_aggregate)i;
    return name[0] == '\0' ? RT_AGGREGATE_CONCAT : (enum rt_aggregate)0;
}

static int
row_compare(const void *left, const void *right)
{
    const json_t *const *a = left, *const *b = right;
    const uint32_t x = number_of(*a, "shard"), y = number_of(*b, "shard");

    return x < y ? -1 : x > y;
}

/* In order of the shards; takes `rows`. */
static json_t *
rows_sorted(json_t *rows)
{
    const size_t n = json_array_size(rows);
    json_t **all = calloc(n + 1, sizeof *all), *out = json_array();

    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = json_array_get(rows, i);
    if (all == NULL)
        return rows;
    qsort(all, n, sizeof(json_t *), row_compare);
    for (size_t i = 0; i < n; i++)
        json_array_append(out, all[i]);
    free(all);
    json_decref(rows);
    return out;
}

/* CONCAT is a list: bytes one after the other are no JSON. */
static json_t *
concat(const json_t *rows, const json_t *answers)
{
    json_t *out = json_array(), *row, *answer;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        char name[16];

        (void)snprintf(name, sizeof name, "%u",
                       (unsigned)number_of(row, "shard"));
        answer = json_object_get(answers, name);
        if (answer != NULL)
            json_array_append(out, answer);
    }
    return out;
}

/* Why, of the first shard that failed. */
static void
first_error(const json_t *rows, struct plex_err *err)
{
    const size_t len = strlen(err->text);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (json_object_get(row, "error") == NULL)
            continue;
        (void)snprintf(err->text + len, sizeof err->text - len,
                       "; shard %u: %.100s", (unsigned)number_of(row, "shard"),
                       work_json_text(row, "error"));
        return;
    }
}

static int
gather_reply(struct work_group_request *r, struct collect *c,
             enum rt_aggregate aggregate)
{
    const size_t asked = json_array_size(c->rows);
    struct plex_bytes bytes;
    struct plex_err err;
    json_t *result;

    (void)rt_gather_end(c->gather);
    if (rt_gather_result(c->gather, &bytes, &err) != PLEX_OK) {
        first_error(c->rows, &err);
        return work_builtin_refuse(r->ctx, &err);
    }
    c->rows = rows_sorted(c->rows);
    result = aggregate == RT_AGGREGATE_CONCAT
                 ? concat(c->rows, c->answers)
                 : json_of(&(struct plex_value){bytes.data, bytes.len});
    return work_builtin_reply(r->ctx, 200,
                              json_pack("{s:o, s:I, s:I, s:O}", "result",
                                        result, "responses", (json_int_t)c->ok,
                                        "failures", (json_int_t)(asked - c->ok),
                                        "shards", c->rows));
}

static int
gather(struct work_group_request *r)
{
    const char *name = work_json_text(r->json, "aggregation");
    struct rt_gather_config config = {.aggregate = aggregate_of(name),
                                      .min_responses =
                                          number_of(r->json, "min_responses"),
                                      .bytes_max = GATHER_BYTES_MAX};
    struct collect c = {.field = work_json_text(r->json, "field")};
    struct plex_err err;
    uint32_t enough;
    int status;

    if (!work_group_message(r))
        return 0;
    status = work_group_describe(r);
    if (status <= 0)
        return status;
    config.shards = number_of(r->group, "shard_count");
    if (rt_gather_create(&config, &c.gather, &err) != PLEX_OK)
        return work_builtin_refuse(r->ctx, &err);
    c.rows = json_array();
    c.answers = json_object();
    enough = config.aggregate != RT_AGGREGATE_FIRST ? 0
             : config.min_responses == 0            ? 1
                                                    : config.min_responses;
    status = config.shards <= BUILTIN_GROUP_PART
                 ? scatter(r, 0, config.shards, &c)
                 : scatter_parts(r, config.shards, enough, &c);
    if (status == 0)
        status = gather_reply(r, &c, config.aggregate);
    json_decref(c.rows);
    json_decref(c.answers);
    rt_gather_free(c.gather);
    return status;
}

/* -- scaling ----------------------------------------------------------------
 */

static int
tell(struct work_group_request *r)
{
    const uint32_t to = number_of(r->json, "to");
    const json_t *after = json_object_get(r->json, "after");
    json_t *message;
    char key[256];

    for (uint32_t i = number_of(r->json, "from"); i < to; i++) {
        (void)snprintf(key, sizeof key, "%.200s~%u",
                       work_json_text(after, "group_id"), (unsigned)i);
        message = json_copy((json_t *)(uintptr_t)after);
        json_object_set_new(message, "action", json_string("group_scaled"));
        json_object_set_new(message, "shard", json_integer((json_int_t)i));
        json_object_set(
            message, "previous_shard_count",
            json_object_get(json_object_get(r->json, "before"), "shard_count"));
        work_builtin_cast(r->ctx, work_json_text(after, "actor_type"), key,
                          message);
    }
    return 0;
}

int
work_group_request_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct work_group_request r = {.ctx = ctx};
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    int status = 0;

    if (request == NULL)
        return 0;
    r.json = request;
    if (strcmp(action, "send") == 0)
        status = work_group_send(&r);
    else if (strcmp(action, "scatterGather") == 0)
        status = gather(&r);
    else if (strcmp(action, "part") == 0)
        status = part(&r);
    else if (strcmp(action, "rebalance") == 0)
        status = work_group_rebalance(&r);
    else if (strcmp(action, "tell") == 0)
        status = tell(&r);
    else
        plex_reply_problem(ctx, 400, "action \"%.40s\" is not known", action);
    json_decref(r.group);
    json_decref(request);
    free(r.message);
    return status;
}
