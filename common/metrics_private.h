#ifndef COMMON_METRICS_PRIVATE_H
#define COMMON_METRICS_PRIVATE_H

#include "common/metrics.h"

/* How a set is kept; for metrics*.c only. */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_series {
    struct metric_series *next;
    char *labels;
    struct plex_counter counter;
    struct plex_gauge gauge;
    struct plex_histogram *histogram;
    uint64_t (*read)(void *arg); /* instead of the stored value */
    void *arg;
    bool is_micro; /* read() gives millionths of the unit */
};

struct metric_family {
    struct metric_family *next;
    struct metric_series *series;
    const char *name;
    const char *help;
    enum metric_type type;
};

struct plex_metrics {
    struct metric_family *families;
};

struct metric_observed {
    const char *name;
    const char *help;
    const char *labels;
    uint64_t (*read)(void *arg);
    void *arg;
    bool is_micro;
};

void plex_metrics_observe_scaled(struct plex_metrics *metrics,
                                 const struct metric_observed *what);

/* How many recorded values were less than 2^bit us. */
uint64_t plex_histogram_below(const struct plex_histogram *histogram,
                              unsigned bit);
uint64_t plex_histogram_count(const struct plex_histogram *histogram);
uint64_t plex_histogram_sum_us(const struct plex_histogram *histogram);

#endif
