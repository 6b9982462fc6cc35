/*
 * What the shards of a group get: requests that go through the service, counted
 * by an actor that is not durable, so that counting costs no write. Its state
 * is a row for each shard; what was counted is forgotten with its worker, and
 * balancing then waits until there is enough again.
 */
#include "services/worker/builtin_group.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

struct row {
    uint64_t requests, failures, sum_ms, max_ms;
    uint64_t window; /* requests since they were last taken */
};
struct load {
    uint64_t since_ms;
    uint64_t n;
    struct row rows[];
};

/* A copy with room for `n` rows at least; NULL: no memory. */
static struct load *
load_of(struct plex_ctx *ctx, uint64_t n)
{
    size_t len;
    const struct load *old = plex_state(ctx, &len);
    struct load *load;

    if (len < sizeof *old || len < sizeof *old + old->n * sizeof *old->rows)
        len = 0;
    if (len > 0 && old->n > n)
        n = old->n;
    load = calloc(1, sizeof *load + n * sizeof *load->rows);
    if (load == NULL)
        return NULL;
    if (len > 0)
        memcpy(load, old, sizeof *old + old->n * sizeof *old->rows);
    else
        load->since_ms = plex_turn_ms(ctx);
    load->n = n;
    return load;
}

static void
load_put(struct plex_ctx *ctx, const struct load *load)
{
    plex_state_put(ctx, load, sizeof *load + load->n * sizeof *load->rows);
}

static int
add(struct plex_ctx *ctx, const json_t *request)
{
    const int64_t shard = work_json_number(request, "shard");
    const int64_t ms = work_json_number(request, "latency_ms");
    struct load *load;
    struct row *row;

    if (shard < 0 || shard >= BUILTIN_GROUP_MEASURED_MAX || ms < 0)
        return 0;
    load = load_of(ctx, (uint64_t)shard + 1);
    if (load == NULL)
        return 0;
    row = &load->rows[shard];
    row->requests++;
    row->window++;
    row->failures += json_is_true(json_object_get(request, "failed"));
    row->sum_ms += (uint64_t)ms;
    row->max_ms = row->max_ms > (uint64_t)ms ? row->max_ms : (uint64_t)ms;
    load_put(ctx, load);
    free(load);
    return 0;
}

static json_t *
show(const struct load *load)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < load->n; i++) {
        const struct row *row = &load->rows[i];

        json_array_append_new(
            rows, json_pack("{s:I, s:I, s:I, s:I, s:I}", "shard", (json_int_t)i,
                            "requests", (json_int_t)row->requests, "failures",
                            (json_int_t)row->failures, "mean_ms",
                            (json_int_t)(row->requests == 0
                                             ? 0
                                             : row->sum_ms / row->requests),
                            "max_ms", (json_int_t)row->max_ms));
    }
    return json_pack("{s:I, s:o}", "since_ms", (json_int_t)load->since_ms,
                     "shards", rows);
}

/* What came since it was taken before; begins anew. */
static json_t *
take(struct plex_ctx *ctx, struct load *load)
{
    json_t *loads = json_array();

    for (size_t i = 0; i < load->n; i++) {
        json_array_append_new(loads,
                              json_integer((json_int_t)load->rows[i].window));
        load->rows[i].window = 0;
    }
    load_put(ctx, load);
    return json_pack("{s:o}", "loads", loads);
}

int
work_group_load_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    struct load *load = NULL;
    int status = 0;

    if (request == NULL)
        return 0;
    if (strcmp(action, "add") == 0)
        status = add(ctx, request);
    else if ((load = load_of(ctx, 0)) == NULL)
        status = plex_fail(ctx, "no memory");
    else if (strcmp(action, "get") == 0)
        status = work_builtin_reply(ctx, 200, show(load));
    else if (strcmp(action, "take") == 0)
        status = work_builtin_reply(ctx, 200, take(ctx, load));
    else
        plex_reply_problem(ctx, 400, "get is known");
    free(load);
    json_decref(request);
    return status;
}
