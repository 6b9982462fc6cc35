#include "common/metrics.h"

#include "common/mem.h"
#include "common/metrics_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Sixteen buckets per power of two: the upper bound is less than 1/16
     * above any value of the bucket. */
    HISTOGRAM_SUB_BITS = 4,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_TOP_BIT = 27, /* values from 2^27 us (134 s) share the last */
    HISTOGRAM_BUCKETS =
        HISTOGRAM_SUB +
        (HISTOGRAM_TOP_BIT - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB,
};

struct plex_histogram {
    uint64_t count;
    uint64_t sum_us;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

struct plex_metrics *
plex_metrics_create(void)
{
    return plex_calloc(1, sizeof(struct plex_metrics));
}

void
plex_metrics_free(struct plex_metrics *metrics)
{
    struct metric_family *family;
    struct metric_series *series;

    if (metrics == NULL)
        return;
    while ((family = metrics->families) != NULL) {
        metrics->families = family->next;
        while ((series = family->series) != NULL) {
            family->series = series->next;
            free(series->histogram);
            free(series->labels);
            free(series);
        }
        free(family);
    }
    free(metrics);
}

/* Families and series keep the order they were made in: lists are short. */
static struct metric_family *
family_get(struct plex_metrics *metrics, const char *name, const char *help,
           enum metric_type type)
{
    struct metric_family **at = &metrics->families;

    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            assert((*at)->type == type); /* one name, one type */
            return *at;
        }
    }
    *at = plex_calloc(1, sizeof **at);
    (*at)->name = name;
    (*at)->help = help;
    (*at)->type = type;
    return *at;
}

static struct metric_series *
series_get(struct plex_metrics *metrics, const char *name, const char *help,
           const char *labels, enum metric_type type)
{
    struct metric_series **at = &family_get(metrics, name, help, type)->series;

    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->labels, labels) == 0)
            return *at;
    }
    *at = plex_calloc(1, sizeof **at);
    (*at)->labels = plex_strdup(labels);
    if (type == METRIC_HISTOGRAM)
        (*at)->histogram = plex_calloc(1, sizeof *(*at)->histogram);
    return *at;
}

struct plex_counter *
plex_metrics_counter(struct plex_metrics *metrics, const char *name,
                     const char *help, const char *labels)
{
    return &series_get(metrics, name, help, labels, METRIC_COUNTER)->counter;
}

struct plex_gauge *
plex_metrics_gauge(struct plex_metrics *metrics, const char *name,
                   const char *help, const char *labels)
{
    return &series_get(metrics, name, help, labels, METRIC_GAUGE)->gauge;
}

struct plex_histogram *
plex_metrics_histogram(struct plex_metrics *metrics, const char *name,
                       const char *help, const char *labels)
{
    return series_get(metrics, name, help, labels, METRIC_HISTOGRAM)->histogram;
}

static bool
ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

void
plex_metrics_observe_scaled(struct plex_metrics *metrics,
                            const struct metric_observed *what)
{
    struct metric_series *series = series_get(
        metrics, what->name, what->help, what->labels,
        ends_with(what->name, "_total") ? METRIC_COUNTER : METRIC_GAUGE);

    if (series->read != NULL)
        return; /* made before: the first stays */
    series->read = what->read;
    series->arg = what->arg;
    series->is_micro = what->is_micro;
}

void
plex_metrics_observe(struct plex_metrics *metrics, const char *name,
                     const char *help, const char *labels,
                     uint64_t (*read)(void *arg), void *arg)
{
    const struct metric_observed what = {name, help, labels, read, arg, false};

    plex_metrics_observe_scaled(metrics, &what);
}

static unsigned
bucket_of(uint64_t us)
{
    unsigned top, sub;

    if (us < HISTOGRAM_SUB)
        return (unsigned)us;
    if (us >> HISTOGRAM_TOP_BIT != 0)
        return HISTOGRAM_BUCKETS - 1;
    top = 63U - (unsigned)__builtin_clzll(us);
    sub = (unsigned)(us >> (top - HISTOGRAM_SUB_BITS)) & (HISTOGRAM_SUB - 1);
    return HISTOGRAM_SUB + (top - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB + sub;
}

/* The first value past the bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
    unsigned shift;

    if (bucket < HISTOGRAM_SUB)
        return bucket + 1U;
    shift = (bucket - HISTOGRAM_SUB) / HISTOGRAM_SUB;
    return (uint64_t)(HISTOGRAM_SUB + bucket % HISTOGRAM_SUB + 1) << shift;
}

void
plex_histogram_record(struct plex_histogram *histogram, uint64_t us)
{
    histogram->buckets[bucket_of(us)]++;
    histogram->count++;
    histogram->sum_us += us;
}

uint64_t
plex_histogram_quantile(const struct plex_histogram *histogram, double q)
{
    uint64_t rank, seen = 0;

    if (histogram->count == 0)
        return 0;
    q = q < 0.0 ? 0.0 : q > 1.0 ? 1.0 : q;
    rank = (uint64_t)(q * (double)histogram->count + 0.999999);
    rank = rank == 0 ? 1 : rank;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return bucket_end(i) - 1;
    }
    return bucket_end(HISTOGRAM_BUCKETS - 1) - 1;
}

uint64_t
plex_histogram_below(const struct plex_histogram *histogram, unsigned bit)
{
    uint64_t sum = 0;

    /* A power of two is always the edge of a bucket. */
    for (unsigned i = 0; i < bucket_of((uint64_t)1 << bit); i++)
        sum += histogram->buckets[i];
    return sum;
}

uint64_t
plex_histogram_count(const struct plex_histogram *histogram)
{
    return histogram->count;
}

uint64_t
plex_histogram_sum_us(const struct plex_histogram *histogram)
{
    return histogram->sum_us;
}
