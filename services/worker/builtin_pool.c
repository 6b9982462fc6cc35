/* Elastic pools: the behaviours. What is lent, and until when, is durable. */
#include "services/worker/builtin_pool.h"

#include "sdk/c/include/plexspaces/durable.h"
#include "services/worker/builtin_json.h"
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_LEN = 200,
    TIMEOUT_MAX_MS = 300000,
    ASK_MS = 5000,
    PROBE_MS = 5000,
    AGAIN_MS = 100,
    AGAIN_MAX_MS = 800,
};

/* -- the pool -------------------------------------------------------------- */

#define DRAINING "POOL_DRAINING"
#define EXHAUSTED "POOL_EXHAUSTED"

static json_t *
state_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    return state == NULL || len == 0 ? NULL : json_loadb(state, len, 0, NULL);
}

static int
state_save(struct plex_ctx *ctx, const json_t *pool)
{
    const uint64_t now = plex_turn_ms(ctx);
    char *text = json_dumps(pool, JSON_COMPACT);

    if (text == NULL)
        return plex_fail(ctx, "the pool cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    plex_timer_set(ctx, "look", work_pool_due(pool, now) - now, "", 0);
    return 0;
}

static int
stats_reply(struct plex_ctx *ctx, const json_t *pool)
{
    return work_builtin_reply(
        ctx, 200,
        json_pack("{s:o}", "pool", work_pool_stats(pool, plex_turn_ms(ctx))));
}

static bool
name_fits(const char *name)
{
    const size_t len = strlen(name);

    return len >= 1 && len <= NAME_MAX_LEN &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == len;
}

static int
create(struct plex_ctx *ctx, const json_t *there, const json_t *request)
{
    const char *name = plex_self(ctx, NULL, NULL, NULL);
    struct plex_err err;
    json_t *pool;
    int status;

    if (there != NULL) {
        plex_reply_problem(ctx, 409, "pool \"%.100s\" exists", name);
        return 0;
    }
    if (work_json_text(request, "actor_type")[0] == '\0' || !name_fits(name)) {
        plex_reply_problem(ctx, 400,
                           "actor_type is needed, and a pool_name of 1 to %d "
                           "letters, digits, '.', '_' and '-'",
                           NAME_MAX_LEN);
        return 0;
    }
    pool = work_pool_create(name, request, plex_turn_ms(ctx), &err);
    if (pool == NULL)
        return work_builtin_refuse(ctx, &err);
    work_names_tell(ctx, &work_pool_names, name, work_pool_row(pool));
    status = state_save(ctx, pool);
    if (status == 0)
        status = stats_reply(ctx, pool);
    json_decref(pool);
    return status;
}

/* What changes the pool; the answer is *out, or without it the statistics. */
static enum plex_status
change(json_t *pool, const char *action, const json_t *request, uint64_t now_ms,
       json_t **out, struct plex_err *err)
{
    const char *id = work_json_text(request, "checkout_id");

    if (strcmp(action, "checkout") == 0)
        return work_pool_checkout(
            pool, id, json_is_true(json_object_get(request, "waits")), now_ms,
            out, err);
    if (strcmp(action, "checkin") == 0)
        return work_pool_checkin(
            pool, id, !json_is_true(json_object_get(request, "unhealthy")),
            now_ms, err);
    if (strcmp(action, "renew") == 0)
        return work_pool_renew(pool, id, now_ms, out, err);
    if (strcmp(action, "scale") == 0)
        return work_pool_scale(pool, work_json_number(request, "workers"),
                               work_json_number(request, "delta"), now_ms, err);
    if (strcmp(action, "pause") == 0)
        work_pool_pause(pool, true);
    else if (strcmp(action, "resume") == 0)
        work_pool_pause(pool, false);
    else if (strcmp(action, "drain") == 0)
        work_pool_drain(pool);
    else if (strcmp(action, "forget") == 0)
        work_pool_forget(pool, id);
    else if (strcmp(action, "stats") != 0)
        return plex_err_set(err, PLEX_INVALID, "action \"%.40s\" is not known",
                            action);
    return PLEX_OK;
}

static int
refuse(struct plex_ctx *ctx, const struct plex_err *err)
{
    if (err->status == PLEX_CONFLICT)
        return work_builtin_problem(ctx, 503, DRAINING, err->text);
    if (err->status == PLEX_FENCED)
        return work_builtin_problem(ctx, 503, "POOL_CIRCUIT_OPEN", err->text);
    if (err->status == PLEX_UNAVAILABLE)
        return work_builtin_problem(ctx, 503, EXHAUSTED, err->text);
    return work_builtin_refuse(ctx, err);
}

static int
act(struct plex_ctx *ctx, json_t *pool, const char *action,
    const json_t *request)
{
    const uint64_t now = plex_turn_ms(ctx);
    json_t *out = NULL;
    struct plex_err err;
    enum plex_status status;

    work_pool_look(pool, now);
    status = change(pool, action, request, now, &out, &err);
    if (state_save(ctx, pool) != 0) {
        json_decref(out);
        return -1;
    }
    if (status != PLEX_OK)
        return refuse(ctx, &err);
    if (out != NULL)
        return work_builtin_reply(ctx, 200, out);
    return stats_reply(ctx, pool);
}

int
work_pool_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *pool;
    int status = 0;

    if (request == NULL)
        return 0;
    pool = state_load(ctx);
    if (strcmp(action, "create") == 0) {
        status = create(ctx, pool, request);
    } else if (pool == NULL) {
        plex_reply_problem(ctx, 404, "pool \"%.100s\" does not exist",
                           plex_self(ctx, NULL, NULL, NULL));
    } else if (strcmp(action, "delete") == 0) {
        plex_timer_cancel(ctx, "look");
        work_names_untell(ctx, &work_pool_names,
                          plex_self(ctx, NULL, NULL, NULL));
        plex_state_put(ctx, "", 0);
        status = work_builtin_reply(ctx, 200, json_object());
    } else {
        status = act(ctx, pool, action, request);
    }
    json_decref(pool);
    json_decref(request);
    return status;
}

/* Idle members are asked how they are. */
static void
probe(struct plex_ctx *ctx, json_t *pool)
{
    uint64_t numbers[BUILTIN_POOL_PROBES_MAX];
    const size_t n = work_pool_probe(pool, plex_turn_ms(ctx), numbers);
    char *message = n == 0 ? NULL
                           : json_dumps(json_object_get(pool, "health_message"),
                                        JSON_COMPACT | JSON_ENCODE_ANY);
    char key[256];

    for (size_t i = 0; message != NULL && i < n; i++) {
        work_pool_member_key(pool, numbers[i], key);
        plex_call(ctx, work_json_text(pool, "type"), key, message,
                  strlen(message), PROBE_MS, numbers[i]);
    }
    free(message);
}

/* An answer, and no refusal. */
static bool
is_well(enum plex_result_status status, const void *payload, size_t len)
{
    json_t *answer;
    bool refused;

    if (status != PLEX_CALL_OK)
        return false;
    answer = len == 0 ? NULL : json_loadb(payload, len, JSON_DECODE_ANY, NULL);
    refused = strcmp(work_json_text(answer, "source"), "actor") == 0 &&
              work_json_number(answer, "status") >= 400;
    json_decref(answer);
    return !refused;
}

int
work_pool_reply(struct plex_ctx *ctx, uint64_t tag,
                enum plex_result_status outcome, const void *payload,
                size_t len)
{
    json_t *pool = state_load(ctx);
    int status = 0;

    if (pool != NULL) {
        work_pool_look(pool, plex_turn_ms(ctx));
        work_pool_probed(pool, tag, is_well(outcome, payload, len),
                         plex_turn_ms(ctx));
        status = state_save(ctx, pool);
    }
    json_decref(pool);
    return status;
}

int
work_pool_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
                size_t len)
{
    json_t *pool = state_load(ctx);
    int status = 0;

    (void)timer;
    (void)payload;
    (void)len;
    if (pool != NULL) {
        work_pool_look(pool, plex_turn_ms(ctx));
        probe(ctx, pool);
        status = state_save(ctx, pool);
    }
    json_decref(pool);
    return status;
}

/* -- a checkout ------------------------------------------------------------ */

/* Asks the pool: its answer, new, and the HTTP status of a refusal; NULL: it
 * could not be asked. */
static json_t *
ask(struct plex_ctx *ctx, const char *pool, const char *action, bool waits,
    int *status)
{
    json_t *message =
        json_pack("{s:s, s:s, s:b}", "action", action, "checkout_id",
                  plex_self(ctx, NULL, NULL, NULL), "waits", waits);
    char *text = json_dumps(message, JSON_COMPACT);
    struct plex_value value;
    json_t *answer = NULL;

    json_decref(message);
    *status =
        plex_call_wait(ctx, "pool", pool, text, strlen(text), ASK_MS, &value);
    free(text);
    if (*status == 0)
        answer = json_loadb(value.data, value.len, 0, NULL);
    return answer;
}

/* Takes the pool's refusal, NULL when it could not be asked. */
static int
checkout_refuse(struct plex_ctx *ctx, json_t *answer, bool waited)
{
    const char *code = work_json_text(answer, "code");
    int status;

    if (answer == NULL)
        status = work_builtin_problem(ctx, 503, "POOL_UNREACHABLE",
                                      "the pool cannot be reached");
    else
        status = work_builtin_problem(
            ctx, (uint32_t)work_json_number(answer, "status"),
            waited && strcmp(code, EXHAUSTED) == 0 ? "POOL_TIMEOUT" : code,
            work_json_text(answer, "detail"));
    json_decref(answer);
    return status;
}

static int
checkout(struct plex_ctx *ctx, const char *pool, uint64_t timeout_ms)
{
    uint64_t waited = 0, pause = AGAIN_MS;

    for (;;) {
        const bool waits = waited < timeout_ms;
        int status;
        json_t *answer = ask(ctx, pool, "checkout", waits, &status);
        const int64_t refusal = work_json_number(answer, "status");

        if (status == PLEX_E_CANCELLED) {
            json_decref(answer);
            return status;
        }
        if (answer != NULL && refusal == 0)
            return work_builtin_reply(ctx, 200, answer);
        /* 503 and a place in the queue, unless it drains. */
        if (!waits || (answer != NULL && refusal != 503) ||
            strcmp(work_json_text(answer, "code"), DRAINING) == 0) {
            int ignored;

            status = checkout_refuse(ctx, answer, timeout_ms > 0);
            if (timeout_ms > 0)
                json_decref(ask(ctx, pool, "forget", false, &ignored));
            return status;
        }
        json_decref(answer);
        pause = pause < timeout_ms - waited ? pause : timeout_ms - waited;
        status = plex_durable_sleep(ctx, pause);
        if (status != 0)
            return status;
        waited += pause;
        pause = pause * 2 < AGAIN_MAX_MS ? pause * 2 : AGAIN_MAX_MS;
    }
}

int
work_pool_checkout_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    const int64_t timeout_ms = work_json_number(request, "timeout_ms");
    int status = 0;

    if (request == NULL)
        return 0;
    if (strcmp(action, "checkout") != 0 || timeout_ms < 0 ||
        timeout_ms > TIMEOUT_MAX_MS ||
        work_json_text(request, "pool_name")[0] == '\0')
        plex_reply_problem(ctx, 400, "timeout_ms must be 0 to %d",
                           TIMEOUT_MAX_MS);
    else
        status = checkout(ctx, work_json_text(request, "pool_name"),
                          (uint64_t)timeout_ms);
    json_decref(request);
    return status;
}
