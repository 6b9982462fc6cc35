/* Keeps messages from an actor whose handler fails all the time. What becomes
 * of the breaker is logged, an event of the actor, and told to who is on the
 * topic "circuit_breaker" (event_emitter.c). */
#include "runtime/facets/breaker.h"
#include "runtime/facets/facets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct config {
    struct rt_breaker_config is;
    bool count_5xx; /* replies of 500 and more are failures */
};
#define KEY(key, field, value, def, lo, hi)                                   \
    {                                                                         \
        key, PLEX_FACET_##value, offsetof(struct config, field), def, lo, hi, \
            NULL                                                              \
    }

static const struct plex_facet_key keys[] = {
    {"mode", PLEX_FACET_CHOICE, offsetof(struct config, is.mode), "consecutive",
     0, 0, "consecutive|sliding_window|error_rate"},
    KEY("failure_threshold", is.failures, NUMBER, "5", 1, 1000000),
    KEY("error_rate", is.rate, RATIO, "0.5", 0, 0),
    KEY("window_calls", is.window_calls, NUMBER, "20", 1,
        RT_BREAKER_WINDOW_MAX),
    KEY("minimum_requests", is.minimum_calls, NUMBER, "10", 1,
        RT_BREAKER_WINDOW_MAX),
    KEY("timeout", is.open_ms, DURATION, "30s", 1, 0),
    KEY("max_half_open_requests", is.half_open_calls, NUMBER, "1", 1, 1000),
    KEY("success_threshold", is.successes, NUMBER, "2", 1, 1000),
    {"half_open", PLEX_FACET_CHOICE, offsetof(struct config, is.probe),
     "first_n", 0, 0, "first_n|sample|percentage"},
    KEY("half_open_sample", is.probe_of, NUMBER, "10", 1, 1000000),
    KEY("half_open_percentage", is.probe_percent, NUMBER, "10", 1, 100),
    KEY("request_timeout", is.call_ms, DURATION, "0", 0, 0),
    KEY("count_5xx", count_5xx, BOOL, "true", 0, 0),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;

    if (config->is.mode != RT_BREAKER_CONSECUTIVE &&
        config->is.mode != RT_BREAKER_ERROR_RATE &&
        config->is.failures > config->is.window_calls) {
        (void)snprintf(why, size,
                       "config.failure_threshold must not be more than "
                       "window_calls");
        return -1;
    }
    if (config->is.minimum_calls > config->is.window_calls &&
        config->is.mode == RT_BREAKER_ERROR_RATE) {
        (void)snprintf(why, size,
                       "config.minimum_requests must not be more than "
                       "window_calls");
        return -1;
    }
    return 0;
}

void
rt_facet_breaker_say(struct plex_facet *facet, enum rt_breaker_state before)
{
    const struct rt_breaker *breaker = facet->data;
    const char *what = facet->type->name, *was = rt_breaker_name(before);
    const char *is = rt_breaker_name(breaker->state);
    struct plex_facet_action told = {.kind = PLEX_FACET_PUBLISH,
                                     .name = "event:circuit_breaker",
                                     .text = "circuit_breaker"};
    const struct plex_facet_action event = {
        .kind = PLEX_FACET_EVENT,
        .labels = facet->actor,
        .text = rt_facet_text(facet, "%s: %s -> %s", what, was, is)};

    if (breaker->state == before)
        return;
    rt_facet_log(facet, breaker->state == RT_BREAKER_OPEN ? 1 : 2,
                 rt_facet_text(facet, "%s: breaker of %s %s -> %s",
                               facet->actor, what, was, is));
    plex_facet_act(facet, &event);
    told.payload = rt_facet_text(
        facet,
        "circuit_breaker\n{\"actor\":\"%s\",\"facet\":\"%s\","
        "\"from\":\"%s\",\"to\":\"%s\",\"at_ms\":%" PRIu64 "}",
        rt_facet_json(facet, facet->actor), what, was, is, facet->wall_ms);
    told.len = strlen(told.payload);
    plex_facet_act(facet, &told);
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    struct rt_breaker *breaker = facet->data;
    const enum rt_breaker_state was = breaker->state;
    const bool may =
        rt_breaker_begin(breaker, &config->is, facet->now_ns, &facet->token);
    uint64_t left_s;

    (void)msg;
    rt_facet_breaker_say(facet, was);
    if (may)
        return PLEX_FACET_CONTINUE;
    left_s = rt_breaker_left_ms(breaker, &config->is, facet->now_ns) / 1000 + 1;
    out->http_status = 503;
    out->text = "the circuit breaker is open: the last calls have failed";
    out->header = "Retry-After";
    out->header_value = rt_facet_text(facet, "%" PRIu64, left_s);
    return PLEX_FACET_SHORT_CIRCUIT;
}

static void
done(struct plex_facet *facet, bool failed)
{
    const struct config *config = facet->config;
    struct rt_breaker *breaker = facet->data;
    const enum rt_breaker_state was = breaker->state;

    rt_breaker_done(breaker, &config->is, facet->now_ns, facet->token, failed);
    rt_facet_breaker_say(facet, was);
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    const struct config *config = facet->config;

    (void)msg;
    (void)out;
    done(facet, (result->http_status >= 500 && config->count_5xx) ||
                    (config->is.call_ms != 0 &&
                     result->took_ns > config->is.call_ms * 1000000U));
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)msg;
    (void)text;
    (void)out;
    done(facet, true);
    return PLEX_FACET_PROPAGATE;
}

int
rt_facet_breaker_invoke(struct plex_facet *facet, const char *op,
                        struct plex_facet_out *out)
{
    static const struct {
        const char *op;
        enum rt_breaker_state state;
    } ops[] = {{"trip", RT_BREAKER_OPEN},
               {"reset", RT_BREAKER_CLOSED},
               {"disable", RT_BREAKER_DISABLED}};
    struct rt_breaker *breaker = facet->data;
    const enum rt_breaker_state was = breaker->state;
    bool known = strcmp(op, "state") == 0;

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(ops[i].op, op) == 0) {
            rt_breaker_set(breaker, ops[i].state, facet->now_ns);
            known = true;
        }
    if (!known)
        return -PLEX_UNSUPPORTED;
    rt_facet_breaker_say(facet, was);
    out->payload = rt_breaker_name(breaker->state);
    out->len = strlen(rt_breaker_name(breaker->state));
    return 0;
}

static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    (void)in;
    (void)len;
    return rt_facet_breaker_invoke(facet, op, out);
}

const struct plex_facet_type rt_facet_circuit_breaker = {
    .name = "circuit_breaker",
    .priority = 200,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct rt_breaker),
    .check = check,
    .before = before,
    .after = after,
    .error = error,
    .invoke = invoke,
};
