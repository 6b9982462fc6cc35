#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include "common/bytes.h"

#include <stdint.h>

/*
 * Metrics of one service instance, in Prometheus' text format 0.0.4.
 *
 * A set is filled at start; series are updated by its loop thread only (plain
 * adds, no atomics) and rendered by the same thread. Names follow Prometheus:
 * plexspaces_<area>_<what>_<unit>[_total]. Labels are fixed when a series is
 * made, so cardinality is bounded by the code; `labels` is the text between
 * the braces, e.g. "status=\"ok\"", or "".
 */
struct plex_metrics;

struct plex_counter {
    uint64_t value;
};
struct plex_gauge {
    int64_t value;
};
/* Log-linear buckets over microseconds: 1 us .. 100 s, error under 7 %. */
struct plex_histogram;

struct plex_metrics *plex_metrics_create(void);
void plex_metrics_free(struct plex_metrics *metrics);

/* The series belongs to the set. `name` and `help` are borrowed for ever,
 * `labels` is copied. Making the same series twice returns the first. */
struct plex_counter *plex_metrics_counter(struct plex_metrics *metrics,
                                          const char *name, const char *help,
                                          const char *labels);
struct plex_gauge *plex_metrics_gauge(struct plex_metrics *metrics,
                                      const char *name, const char *help,
                                      const char *labels);
struct plex_histogram *plex_metrics_histogram(struct plex_metrics *metrics,
                                              const char *name,
                                              const char *help,
                                              const char *labels);
/* A gauge or counter whose value is asked for when rendering. */
void plex_metrics_observe(struct plex_metrics *metrics, const char *name,
                          const char *help, const char *labels,
                          uint64_t (*read)(void *arg), void *arg);

void plex_histogram_record(struct plex_histogram *histogram, uint64_t us);
/* Upper bound in us of the bucket that holds quantile q in 0..1; 0 if empty. */
uint64_t plex_histogram_quantile(const struct plex_histogram *histogram,
                                 double q);

/* Append the exposition to `out`; PLEX_TOO_LARGE past its maximum. */
PLEX_MUST_USE enum plex_status plex_metrics_render(
    const struct plex_metrics *metrics, struct plex_buf *out,
    struct plex_err *err);

/* process_resident_memory_bytes, process_cpu_seconds_total, process_start_time
 * _seconds and process_open_fds of this process. */
void plex_metrics_process(struct plex_metrics *metrics);
/* Bytes of memory this process holds now; 0 when that cannot be read. */
uint64_t plex_metrics_resident(void);

#endif
