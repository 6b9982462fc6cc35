#ifndef RUNTIME_FACETS_BREAKER_H
#define RUNTIME_FACETS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A circuit breaker: CLOSED lets everything through and counts failures; OPEN
 * lets nothing through until open_ms have passed; HALF_OPEN lets a few through
 * to see. Pure; used by the facets circuit_breaker and http_client and by
 * pools.
 */
enum rt_breaker_mode {
    RT_BREAKER_CONSECUTIVE = 0, /* failures in a row */
    RT_BREAKER_SLIDING_WINDOW,  /* failures among the last window_calls */
    RT_BREAKER_ERROR_RATE,      /* their share, of at least minimum_calls */
};
enum rt_breaker_state {
    RT_BREAKER_CLOSED = 0,
    RT_BREAKER_OPEN,
    RT_BREAKER_HALF_OPEN,
    RT_BREAKER_DISABLED, /* lets everything through */
};
enum rt_breaker_probe { /* whom HALF_OPEN lets through */
                        RT_BREAKER_FIRST_N = 0, /* who comes first */
                        RT_BREAKER_SAMPLE,      /* one of every probe_of */
                        RT_BREAKER_PERCENTAGE,  /* probe_percent of a hundred,
                                                   evenly */
};
enum { RT_BREAKER_WINDOW_MAX = 256 };

struct rt_breaker_config {
    uint32_t mode;
    uint64_t failures;     /* CONSECUTIVE and SLIDING_WINDOW: as many open it */
    double rate;           /* ERROR_RATE: this share opens it */
    uint64_t window_calls; /* 1..RT_BREAKER_WINDOW_MAX */
    uint64_t minimum_calls; /* ERROR_RATE: fewer do not count */
    uint64_t open_ms;
    uint64_t half_open_calls; /* let through at once in HALF_OPEN */
    uint64_t successes;       /* as many in HALF_OPEN close it */
    uint32_t probe;
    uint64_t probe_of, probe_percent; /* at least 1 */
    /* A call of HALF_OPEN that is under way for longer has failed; 0: it may
     * be under way for ever. Whether a call that has ended took too long is
     * the caller's to say. */
    uint64_t call_ms;
};
struct rt_breaker { /* zero: CLOSED */
    enum rt_breaker_state state;
    uint64_t opened_ns;
    uint64_t in_row;    /* failures */
    uint64_t under_way; /* in HALF_OPEN */
    uint64_t good;      /* in HALF_OPEN */
    uint64_t came;      /* in HALF_OPEN, let through or not */
    uint64_t begun_ns;  /* in HALF_OPEN: the last one that was let through */
    uint64_t era;       /* of the state: what began in an earlier one does not
                           count */
    uint8_t window[RT_BREAKER_WINDOW_MAX]; /* 1: failed */
    uint64_t calls;                        /* in the window, ever */
    uint64_t failed;                       /* in the window */
};

/* May a call begin? *ticket goes to rt_breaker_done(). */
bool rt_breaker_begin(struct rt_breaker *breaker,
                      const struct rt_breaker_config *config, uint64_t now_ns,
                      uint64_t *ticket);
void rt_breaker_done(struct rt_breaker *breaker,
                     const struct rt_breaker_config *config, uint64_t now_ns,
                     uint64_t ticket, bool failed);
/* How long an OPEN one stays so; 0 otherwise. */
uint64_t rt_breaker_left_ms(const struct rt_breaker *breaker,
                            const struct rt_breaker_config *config,
                            uint64_t now_ns);
/* By hand. */
void rt_breaker_set(struct rt_breaker *breaker, enum rt_breaker_state state,
                    uint64_t now_ns);
const char *rt_breaker_name(enum rt_breaker_state state);

#endif
