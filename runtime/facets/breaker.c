#include "runtime/facets/breaker.h"

#include <string.h>

void
rt_breaker_set(struct rt_breaker *breaker, enum rt_breaker_state state,
               uint64_t now_ns)
{
    const uint64_t era = breaker->era + 1;

    memset(breaker, 0, sizeof *breaker);
    breaker->state = state;
    breaker->era = era;
    breaker->opened_ns = now_ns;
}

uint64_t
rt_breaker_left_ms(const struct rt_breaker *breaker,
                   const struct rt_breaker_config *config, uint64_t now_ns)
{
    const uint64_t past_ms = (now_ns - breaker->opened_ns) / 1000000U;

    if (breaker->state != RT_BREAKER_OPEN || past_ms >= config->open_ms)
        return 0;
    return config->open_ms - past_ms;
}

static bool
is_probe(const struct rt_breaker_config *config, uint64_t nth)
{
    switch ((enum rt_breaker_probe)config->probe) {
    case RT_BREAKER_SAMPLE:
        return nth % config->probe_of == 0;
    case RT_BREAKER_PERCENTAGE:
        return (nth * config->probe_percent) % 100 < config->probe_percent;
    case RT_BREAKER_FIRST_N:
        break;
    }
    return true;
}

/* May one more go through to see? */
static bool
probe_begin(struct rt_breaker *breaker, const struct rt_breaker_config *config,
            uint64_t now_ns)
{
    const uint64_t nth = breaker->came++;

    if (breaker->under_way < config->half_open_calls) {
        if (!is_probe(config, nth))
            return false;
        breaker->begun_ns = now_ns;
        return true;
    }
    if (config->call_ms != 0 &&
        now_ns - breaker->begun_ns > config->call_ms * 1000000U)
        rt_breaker_set(breaker, RT_BREAKER_OPEN, now_ns);
    return false;
}

bool
rt_breaker_begin(struct rt_breaker *breaker,
                 const struct rt_breaker_config *config, uint64_t now_ns,
                 uint64_t *ticket)
{
    if (breaker->state == RT_BREAKER_OPEN &&
        rt_breaker_left_ms(breaker, config, now_ns) == 0)
        rt_breaker_set(breaker, RT_BREAKER_HALF_OPEN, now_ns);
    *ticket = breaker->era;
    if (breaker->state == RT_BREAKER_OPEN ||
        (breaker->state == RT_BREAKER_HALF_OPEN &&
         !probe_begin(breaker, config, now_ns)))
        return false;
    breaker->under_way++;
    return true;
}

static void
window_add(struct rt_breaker *breaker, const struct rt_breaker_config *config,
           bool failed)
{
    const uint64_t size = config->window_calls;
    uint8_t *at = &breaker->window[breaker->calls % size];

    if (breaker->calls >= size)
        breaker->failed -= *at;
    *at = failed;
    breaker->failed += failed;
    breaker->calls++;
}

static bool
should_open(const struct rt_breaker *breaker,
            const struct rt_breaker_config *config)
{
    const uint64_t calls = breaker->calls < config->window_calls
                               ? breaker->calls
                               : config->window_calls;

    switch ((enum rt_breaker_mode)config->mode) {
    case RT_BREAKER_CONSECUTIVE:
        return breaker->in_row >= config->failures;
    case RT_BREAKER_SLIDING_WINDOW:
        return breaker->failed >= config->failures;
    case RT_BREAKER_ERROR_RATE:
        return calls >= config->minimum_calls && breaker->failed > 0 &&
               (double)breaker->failed >= config->rate * (double)calls;
    }
    return false;
}

void
rt_breaker_done(struct rt_breaker *breaker,
                const struct rt_breaker_config *config, uint64_t now_ns,
                uint64_t ticket, bool failed)
{
    if (ticket != breaker->era || breaker->state == RT_BREAKER_DISABLED)
        return;
    if (breaker->under_way > 0)
        breaker->under_way--;
    if (breaker->state == RT_BREAKER_HALF_OPEN) {
        if (failed)
            rt_breaker_set(breaker, RT_BREAKER_OPEN, now_ns);
        else if (++breaker->good >= config->successes)
            rt_breaker_set(breaker, RT_BREAKER_CLOSED, now_ns);
        return;
    }
    breaker->in_row = failed ? breaker->in_row + 1 : 0;
    window_add(breaker, config, failed);
    if (failed && should_open(breaker, config))
        rt_breaker_set(breaker, RT_BREAKER_OPEN, now_ns);
}

const char *
rt_breaker_name(enum rt_breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half_open",
                                        "disabled"};

    return names[state];
}
