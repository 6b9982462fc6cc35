/* What a callback may ask for: effects, waits, calls, promises, signals. */
#include "services/worker/handler_private.h"

#include "common/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    RETRY_ATTEMPTS = 5,
    RETRY_INITIAL_MS = 100,
    RETRY_FACTOR_PCT = 200,
    RETRY_MAX_MS = 60000,
    RETRY_JITTER_PCT = 20,
    KEEP_MAX = 1 << 20,
    LOST_MAX = 10, /* attempts, some of which were lost with their workers */
};
#define SLEEP_MAX_MS (UINT64_C(3650) * 24 * 3600 * 1000)

/* -- waiting --------------------------------------------------------------- */

static void
timer_name(const struct work_handler *h, size_t index, char out[32])
{
    (void)snprintf(out, 32, "%c%zu:%" PRIx32, WORK_TIMER_RUN, index,
                   h->open.nonce);
}

/* A sleep, or the end of somebody's patience: its index among the steps. */
static int
sleep_start(struct work_handler *h, const char *name, uint64_t ms)
{
    struct work_output *out;
    struct work_step *step;
    char timer[32];
    int status;

    if (ms > SLEEP_MAX_MS) {
        (void)work_handler_fail(&h->ctx, "a sleep can last for ten years");
        return PLEX_E_INVALID;
    }
    status = work_run_command(h, WORK_STEP_SLEEP, name, &step);
    if (status < 0)
        return status;
    if (status == 1)
        return (int)(h->open.cursor - 1);
    step = work_step_add(h, WORK_STEP_SLEEP, name);
    out = step == NULL ? NULL : work_handler_output(h);
    if (out == NULL)
        return PLEX_E_LIMIT;
    step->due_ms = h->wall_ms + ms;
    timer_name(h, h->open.cursor - 1, timer);
    out->kind = WORK_OUT_TIMER_SET;
    out->timer = work_handler_text(h, timer);
    out->delay_ms = ms;
    return (int)(h->open.cursor - 1);
}

/* The first of them that was done, and its order; SIZE_MAX: none. */
static size_t
first_done(const struct work_handler *h, const int *futures, size_t n,
           uint64_t *out)
{
    const struct work_run *log = &h->open.log;
    uint64_t order =
        log->cancelled != 0 && !h->open.shielded ? log->cancelled : UINT64_MAX;
    size_t first = SIZE_MAX;

    for (size_t i = 0; i < n; i++) {
        const struct work_step *step = &log->steps[futures[i]];

        if (step->done && step->order < order) {
            order = step->order;
            first = i;
        }
    }
    *out = order;
    return first;
}

static void
wait_text(const struct work_handler *h, const int *futures, size_t n,
          char text[1400])
{
    const struct work_step *step = &h->open.log.steps[futures[0]];
    int len;

    if (step->kind == WORK_STEP_SLEEP)
        len = work_run_sleep_text(step, text, 1400);
    else
        len = snprintf(text, 1400, "%s %s", work_step_kind_name(step->kind),
                       step->name);
    if (n > 1)
        (void)snprintf(text + len, 1400 - (size_t)len, " or %zu others", n - 1);
}

/* Index into `futures`, or negative. With `takes` updates are carried out that
 * come before the first of them, now and in every replay. */
static int
wait_first(struct work_handler *h, const int *futures, size_t n, bool takes)
{
    char text[1400];
    uint64_t order;
    size_t first;
    int status;

    for (;;) {
        first = first_done(h, futures, n, &order);
        status = takes ? work_update_next(h, order) : 0;
        if (status < 0)
            return status;
        if (status > 0)
            continue;
        if (first != SIZE_MAX)
            return (int)first;
        if (work_run_cancelled(h))
            return PLEX_E_CANCELLED;
        wait_text(h, futures, n, text);
        h->open.takes = takes && !h->open.in_update;
        status = work_run_stretch(h, WORK_WAITS, text);
        h->open.takes = false;
        if (status != 0)
            return status;
    }
}

/* Nobody waits for that timer any more. */
void
work_run_timer_stop(struct work_handler *h, size_t index)
{
    struct work_step *step = &h->open.log.steps[index];
    struct work_output *out;
    char timer[32];

    if (step->done)
        return;
    /* Done, but after whatever ended the waiting: a replay decides alike. */
    work_step_done(h, step, PLEX_CANCELLED, (struct plex_bytes){0});
    out = work_handler_output(h);
    if (out == NULL)
        return;
    timer_name(h, index, timer);
    out->kind = WORK_OUT_TIMER_CANCEL;
    out->timer = work_handler_text(h, timer);
}

/* -- effects --------------------------------------------------------------- */

static void
ctx_effect_result(struct plex_ctx *ctx, const void *data, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);

    h->open.effect.len = len;
    h->open.effect.data =
        len > WORK_STEP_RESULT_MAX ? NULL : work_run_keep(h, data, len);
}

static void
ctx_effect_error(struct plex_ctx *ctx, const char *reason)
{
    struct work_handler *h = work_handler_of(ctx);

    h->open.effect_error =
        work_run_text(h, reason == NULL ? "no reason given" : reason);
}

static bool
is_fatal(const struct plex_retry *retry, int code)
{
    for (const int *at = retry->fatal; at != NULL && *at != 0; at++)
        if (*at == code)
            return true;
    return false;
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static uint64_t
retry_wait_ms(const struct plex_retry *retry, uint32_t attempt)
{
    const double factor =
        or_default(retry->factor_pct, RETRY_FACTOR_PCT) / 100.0;
    const double max = or_default(retry->max_ms, RETRY_MAX_MS);
    const uint32_t jitter = or_default(retry->jitter_pct, RETRY_JITTER_PCT);
    double ms = or_default(retry->initial_ms, RETRY_INITIAL_MS);
    uint32_t random;

    for (uint32_t i = 1; i < attempt && ms < max; i++)
        ms *= factor;
    if (ms > max)
        ms = max;
    plex_random(&random, sizeof random);
    return (uint64_t)(ms * (1.0 - (jitter > 100 ? 100 : jitter) / 100.0 *
                                      (random / (double)UINT32_MAX)));
}

/* One attempt: its code, and why. */
static int
attempt(struct work_handler *h, plex_effect_fn fn, void *arg)
{
    int code;

    h->open.effect = (struct plex_bytes){0};
    h->open.effect_error = NULL;
    h->open.in_effect = true;
    code = fn(&h->ctx, arg);
    h->open.in_effect = false;
    return code;
}

/* An effect may begin: another worker may have the actor otherwise, and carry
 * it out as well, or have its result. 0, or the run has failed. */
static int
permit_await(struct work_handler *h)
{
    int status = 0;

    while (status == 0 && h->turn->may != NULL &&
           !h->turn->may(h->turn->wait_arg))
        status = work_run_stretch(h, WORK_COMMITS, "the worker's lease");
    return status;
}

/* An effect that is being carried out. */
struct trying {
    const char *name;
    plex_effect_fn fn;
    void *arg;
    const struct plex_retry *retry;
    int at;          /* the step that waits for another attempt; -1: none yet */
    uint32_t n;      /* attempts so far */
    uint64_t due_ms; /* of the next one */
    char why[256];
};
enum tried { TRIED_DONE, TRIED_FATAL, TRIED_AGAIN, TRIED_USED_UP };

/* One more attempt has come to nothing. */
static enum tried
try_counted(const struct work_handler *h, struct trying *t, uint32_t least)
{
    uint32_t max = or_default(t->retry->attempts, RETRY_ATTEMPTS);

    max = max < least ? least : max;
    t->n++;
    if (t->n >= max && max != UINT32_MAX)
        return TRIED_USED_UP;
    t->due_ms = h->wall_ms + retry_wait_ms(t->retry, t->n);
    return TRIED_AGAIN;
}

/* The run was lost where this effect was next: perhaps an attempt was under
 * way, and it may be what the worker has died of. Others die for other reasons,
 * so it takes more than a few to give up. */
static enum tried
try_lost(const struct work_handler *h, struct trying *t)
{
    (void)snprintf(t->why, sizeof t->why,
                   "its worker was lost while it was carried out");
    return try_counted(h, t, LOST_MAX);
}

static enum tried
try_once(struct work_handler *h, struct trying *t)
{
    const int code =
        permit_await(h) == 0 ? attempt(h, t->fn, t->arg) : PLEX_E_FAILED;

    if (h->failed)
        return TRIED_FATAL;
    if (code == 0 && h->open.effect.len <= WORK_STEP_RESULT_MAX)
        return TRIED_DONE;
    if (code == 0) {
        (void)snprintf(t->why, sizeof t->why,
                       "its result is %zu bytes long, 1 MiB is allowed",
                       h->open.effect.len);
        return TRIED_USED_UP;
    }
    (void)snprintf(t->why, sizeof t->why, "code %d: %s", code,
                   h->open.effect_error == NULL ? "no reason given"
                                                : h->open.effect_error);
    return is_fatal(t->retry, code) ? TRIED_FATAL : try_counted(h, t, 0);
}

/* What the turn that is run again has of it; nothing is carried out. */
static enum tried
try_again(struct work_handler *h, struct trying *t, int *status)
{
    const struct work_run_delta *delta = h->turn->again->run;
    const struct work_step *step = work_run_again(h, WORK_STEP_EFFECT, t->name);
    char text[700];

    if (step != NULL) {
        h->open.effect = step->result;
        *status = -(int)step->status;
        return TRIED_DONE;
    }
    step = work_retry_again(h, t->name, t->at);
    if (step != NULL) {
        work_retry_read(step, &t->n, t->why, sizeof t->why);
        t->due_ms = step->due_ms;
        return TRIED_AGAIN;
    }
    if (delta != NULL && delta->parked[0] != '\0') {
        *status = work_run_park(h, delta->parked);
        return TRIED_DONE;
    }
    (void)snprintf(text, sizeof text,
                   "the code asks for effect \"%s\" as step %zu, which the "
                   "turn did not have",
                   t->name, h->open.log.n_steps);
    (void)work_handler_fail(&h->ctx, text);
    return TRIED_FATAL;
}

/* Until another attempt may begin: 0, or why none will. */
static int
try_settled(struct work_handler *h, struct trying *t)
{
    int status = 0;

    while (status == 0) {
        const bool waits = t->at >= 0 && !h->open.log.steps[t->at].done;

        if (waits) {
            status = wait_first(h, &t->at, 1, false);
            if (status == PLEX_E_CANCELLED)
                work_run_timer_stop(h, (size_t)t->at);
        } else if (h->open.log.parked[0] != '\0') {
            /* replayed: it was parked here */
            status = work_run_park(h, h->open.log.parked);
            work_retry_reset(h, t->at, &t->n);
        } else if (h->open.dirty || h->n_outputs > 0 || !h->open.clean) {
            status = work_run_stretch(h, WORK_COMMITS,
                                      "what was done so far to be durable");
        } else {
            return work_run_cancelled(h) ? PLEX_E_CANCELLED : 0;
        }
    }
    return status;
}

/* Nobody waits for the outcome of one attempt: it takes another, later. */
static int
try_later(struct work_handler *h, struct trying *t)
{
    struct work_output *out;
    char timer[32];

    t->at = work_retry_put(h, t->name, t->at, t->n, t->due_ms, t->why);
    out = t->at < 0 ? NULL : work_handler_output(h);
    if (out == NULL)
        return PLEX_E_LIMIT;
    timer_name(h, (size_t)t->at, timer);
    out->kind = WORK_OUT_TIMER_SET;
    out->timer = work_handler_text(h, timer);
    out->delay_ms = t->due_ms > h->wall_ms ? t->due_ms - h->wall_ms : 0;
    return 0;
}

static int
effect_new(struct work_handler *h, struct trying *t)
{
    char text[600];
    int status;

    while ((status = try_settled(h, t)) == 0) {
        const enum tried tried =
            h->turn->again != NULL               ? try_again(h, t, &status)
            : h->run->run.how == WORK_RUN_REPLAY ? try_lost(h, t)
                                                 : try_once(h, t);

        if (tried == TRIED_DONE)
            break;
        if (tried == TRIED_FATAL) {
            status = PLEX_E_FAILED;
            h->open.effect =
                (struct plex_bytes){(uint8_t *)t->why, strlen(t->why)};
            return status;
        }
        if (tried == TRIED_AGAIN) {
            status = try_later(h, t);
        } else {
            (void)snprintf(text, sizeof text,
                           "effect \"%s\" failed for good: %s", t->name,
                           t->why);
            status = work_run_park(h, text);
            work_retry_reset(h, t->at, &t->n);
        }
        if (status != 0)
            break;
    }
    if (status != 0 && h->turn->again == NULL)
        h->open.effect = (struct plex_bytes){0};
    return status;
}

static int
ctx_run(struct plex_ctx *ctx, const char *name, plex_effect_fn fn, void *arg,
        const struct plex_retry *retry, struct plex_value *out)
{
    static const struct plex_retry defaults = {0};
    struct work_handler *h = work_handler_of(ctx);
    struct trying t = {.name = name,
                       .fn = fn,
                       .arg = arg,
                       .retry = retry == NULL ? &defaults : retry};
    struct work_step *step;
    int status;

    t.at = work_retry_find(h, name, &t.n);
    status = work_run_command(h, WORK_STEP_EFFECT, name, &step);
    if (status < 0)
        return status;
    if (status == 0) {
        status = effect_new(h, &t);
        if (h->failed)
            return PLEX_E_FAILED;
        step = work_step_add(h, WORK_STEP_EFFECT, name);
        if (step == NULL)
            return PLEX_E_LIMIT;
        work_step_done(h, step, (enum plex_status) - status, h->open.effect);
        h->open.clean = false;
    }
    return work_step_give(h, step, out);
}

/* -- sleeping and waiting ----------------------------------------------------
 */

static int
ctx_sleep(struct plex_ctx *ctx, uint64_t ms)
{
    struct work_handler *h = work_handler_of(ctx);
    const int future = sleep_start(h, "sleep", ms);
    int first;

    if (future < 0)
        return future;
    first = wait_first(h, &future, 1, true);
    if (first < 0) {
        if (first == PLEX_E_CANCELLED)
            work_run_timer_stop(h, (size_t)future);
        return first;
    }
    (void)work_step_give(h, &h->open.log.steps[future], NULL);
    return 0;
}

enum { WAIT_MAX = 256 };

static int
futures_check(struct work_handler *h, const int *futures, size_t n)
{
    if (!h->durable || h->wait == NULL)
        return PLEX_E_UNSUPPORTED;
    if (n == 0 || n > WAIT_MAX) {
        (void)work_handler_fail(&h->ctx, "wait for 1 to 256 futures");
        return PLEX_E_INVALID;
    }
    for (size_t i = 0; i < n; i++)
        if (futures[i] < 0 || (size_t)futures[i] >= h->open.log.n_steps) {
            (void)work_handler_fail(&h->ctx, "that is not a future");
            return PLEX_E_INVALID;
        }
    return 0;
}

static int
ctx_wait(struct plex_ctx *ctx, const int *futures, size_t n,
         uint64_t timeout_ms, size_t *which, struct plex_value *out)
{
    struct work_handler *h = work_handler_of(ctx);
    int all[WAIT_MAX + 1], timeout = -1, first;
    int status = futures_check(h, futures, n);

    if (status != 0)
        return status;
    memcpy(all, futures, n * sizeof *all);
    if (timeout_ms > 0) {
        timeout = sleep_start(h, "timeout", timeout_ms);
        if (timeout < 0)
            return timeout;
        all[n] = timeout;
    }
    first = wait_first(h, all, timeout < 0 ? n : n + 1, true);
    if (timeout >= 0 && first != (int)n)
        work_run_timer_stop(h, (size_t)timeout);
    if (first < 0)
        return first;
    if (first == (int)n) {
        (void)work_step_give(h, &h->open.log.steps[timeout], NULL);
        return PLEX_E_TIMEOUT;
    }
    if (which != NULL)
        *which = (size_t)first;
    return work_step_give(h, &h->open.log.steps[all[first]], out);
}

/* -- what comes from elsewhere -----------------------------------------------
 */

static int
ctx_call(struct plex_ctx *ctx, const char *type, const char *key,
         const void *payload, size_t len, uint64_t timeout_ms)
{
    struct work_handler *h = work_handler_of(ctx);
    char name[WORK_STEP_NAME_MAX + 1];
    struct work_output *out;
    struct work_step *step;
    int status;

    if (type == NULL || key == NULL)
        return PLEX_E_INVALID;
    (void)snprintf(name, sizeof name, "%s/%s", type, key);
    status = work_run_command(h, WORK_STEP_CALL, name, &step);
    if (status < 0)
        return status;
    if (status == 1)
        return (int)(h->open.cursor - 1);
    if (work_run_cancelled(h))
        return PLEX_E_CANCELLED;
    step = work_step_add(h, WORK_STEP_CALL, name);
    if (step == NULL)
        return PLEX_E_LIMIT;
    h->ctx.ops->send(
        ctx, true,
        WORK_TAG_RUN | (uint64_t)h->open.nonce << 32 | (h->open.cursor - 1),
        timeout_ms == 0 ? 3600000 : timeout_ms, type, key, payload, len);
    out = h->n_outputs == 0 ? NULL : &h->outputs[h->n_outputs - 1];
    if (h->failed || out == NULL)
        return PLEX_E_INVALID;
    return (int)(h->open.cursor - 1);
}

/* Its id is its name, so that whoever looks at the run can keep it. */
static int
ctx_promise(struct plex_ctx *ctx, char *id, size_t size)
{
    struct work_handler *h = work_handler_of(ctx);
    char text[PLEX_ACTOR_NAME_MAX + 64], actor[PLEX_ACTOR_NAME_MAX + 1];
    struct work_step *step;
    const char *name;
    int len, status;

    plex_actor_format(h->run->run.actor, actor, sizeof actor);
    len = snprintf(text, sizeof text, "%s~%" PRIx32 "~%zu", actor,
                   h->open.nonce, h->open.cursor);
    name = len > WORK_STEP_NAME_MAX ? "promise" : text;
    status = work_run_command(h, WORK_STEP_PROMISE, name, &step);
    if (status < 0)
        return status;
    if (status == 0 && work_step_add(h, WORK_STEP_PROMISE, name) == NULL)
        return PLEX_E_LIMIT;
    if (id == NULL || (size_t)len >= size) {
        (void)work_handler_fail(ctx, "the buffer for the promise's id is too "
                                     "small");
        return PLEX_E_LIMIT;
    }
    memcpy(id, text, (size_t)len + 1);
    return (int)(h->open.cursor - 1);
}

static int
ctx_signal(struct plex_ctx *ctx, const char *name)
{
    struct work_handler *h = work_handler_of(ctx);
    struct work_step *step;
    int status = work_run_command(h, WORK_STEP_SIGNAL, name, &step);

    if (status < 0)
        return status;
    if (status == 0) {
        if (work_step_add(h, WORK_STEP_SIGNAL, name) == NULL)
            return PLEX_E_LIMIT;
        work_run_signals(h);
    }
    return (int)(h->open.cursor - 1);
}

/* -- versions, randomness, memory ---------------------------------------------
 */

static int
number_of(struct plex_bytes text)
{
    char digits[16] = "";

    if (text.len < sizeof digits)
        memcpy(digits, text.data, text.len);
    return atoi(digits);
}

static int
ctx_version(struct plex_ctx *ctx, const char *name, int newest)
{
    struct work_handler *h = work_handler_of(ctx);
    const struct work_run *log = &h->open.log;
    struct work_step *step;
    char text[16];
    int len;

    if (!h->durable || h->wait == NULL || h->failed)
        return newest;
    if (h->open.cursor < log->n_steps) {
        const struct work_step *recorded = &log->steps[h->open.cursor];

        /* A run that passed here before the change was made knows nothing of
         * it and goes the old way. */
        if (recorded->kind != WORK_STEP_VERSION ||
            strcmp(recorded->name, name) != 0)
            return 0;
        h->open.cursor++;
        return number_of(recorded->result);
    }
    if (h->turn->again != NULL) {
        const struct work_step *was =
            work_run_again(h, WORK_STEP_VERSION, name);

        if (was == NULL)
            return 0;
        newest = number_of(was->result);
    }
    step = work_step_add(h, WORK_STEP_VERSION, name);
    if (step == NULL)
        return newest;
    len = snprintf(text, sizeof text, "%d", newest);
    work_step_done(h, step, PLEX_OK,
                   (struct plex_bytes){(const uint8_t *)text, (size_t)len});
    return newest;
}

static void
ctx_random(struct plex_ctx *ctx, void *out, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);
    uint8_t *at = out;

    while (len > 0) {
        const uint64_t value = XXH3_64bits_withSeed(
            &h->open.random, sizeof h->open.random, h->open.nonce);
        const size_t n = len < sizeof value ? len : sizeof value;

        h->open.random++;
        memcpy(at, &value, n);
        at += n;
        len -= n;
    }
}

static void *
ctx_keep(struct plex_ctx *ctx, size_t size)
{
    struct work_handler *h = work_handler_of(ctx);
    void *out = size > KEEP_MAX ? NULL : plex_arena_alloc(&h->open.arena, size);

    if (out != NULL)
        memset(out, 0, size);
    return out;
}

static void
ctx_shield(struct plex_ctx *ctx, bool on)
{
    work_handler_of(ctx)->open.shielded = on;
}

const struct plex_durable_ops work_durable_ops = {
    .effect_result = ctx_effect_result,
    .effect_error = ctx_effect_error,
    .run = ctx_run,
    .sleep = ctx_sleep,
    .call = ctx_call,
    .promise = ctx_promise,
    .signal = ctx_signal,
    .wait = ctx_wait,
    .version = ctx_version,
    .random = ctx_random,
    .keep = ctx_keep,
    .shield = ctx_shield,
    .continue_as_new = work_run_continue_as_new,
    .on_query = work_ask_on_query,
    .on_update = work_ask_on_update,
};
