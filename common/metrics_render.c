/* Prometheus' text format, and what it says about this process. */
#include "common/metrics_private.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    RENDER_LINE_MAX = 1024,
    /* Bucket bounds shown: 2^6 us (64 us) to 2^26 us (67 s). They are edges of
     * the recorded buckets, so the counts are exact. */
    RENDER_BIT_MIN = 6,
    RENDER_BIT_MAX = 26,
};

static bool put(struct plex_buf *out, const char *fmt, ...) PLEX_PRINTF(2, 3);

static bool
put(struct plex_buf *out, const char *fmt, ...)
{
    char line[RENDER_LINE_MAX];
    uint8_t *to;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        return false;
    to = plex_buf_grow(out, (size_t)n);
    if (to == NULL)
        return false;
    memcpy(to, line, (size_t)n);
    return true;
}

/* Help texts are code, but a stray newline would break the whole page. */
static bool
put_help(struct plex_buf *out, const char *name, const char *help)
{
    char text[RENDER_LINE_MAX / 2];
    size_t used = 0;

    for (; *help != '\0' && used + 3 < sizeof text; help++) {
        if (*help == '\\' || *help == '\n') {
            text[used++] = '\\';
            text[used++] = *help == '\n' ? 'n' : '\\';
        } else {
            text[used++] = *help;
        }
    }
    text[used] = '\0';
    return put(out, "# HELP %s %s\n", name, text);
}

static bool
put_sample(struct plex_buf *out, const char *name, const char *suffix,
           const char *labels)
{
    if (labels[0] == '\0')
        return put(out, "%s%s ", name, suffix);
    return put(out, "%s%s{%s} ", name, suffix, labels);
}

static bool
put_micro(struct plex_buf *out, uint64_t micro)
{
    return put(out, "%" PRIu64 ".%06" PRIu64 "\n", micro / 1000000,
               micro % 1000000);
}

static bool
put_bucket(struct plex_buf *out, const char *name, const char *labels,
           const char *le, uint64_t count)
{
    return put(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels,
               labels[0] != '\0' ? "," : "", le, count);
}

static bool
put_histogram(struct plex_buf *out, const char *name,
              const struct metric_series *series)
{
    const struct plex_histogram *h = series->histogram;
    char le[32];

    for (unsigned bit = RENDER_BIT_MIN; bit <= RENDER_BIT_MAX; bit++) {
        (void)snprintf(le, sizeof le, "%.6f", (double)(1U << bit) / 1e6);
        if (!put_bucket(out, name, series->labels, le,
                        plex_histogram_below(h, bit)))
            return false;
    }
    return put_bucket(out, name, series->labels, "+Inf",
                      plex_histogram_count(h)) &&
           put_sample(out, name, "_sum", series->labels) &&
           put_micro(out, plex_histogram_sum_us(h)) &&
           put_sample(out, name, "_count", series->labels) &&
           put(out, "%" PRIu64 "\n", plex_histogram_count(h));
}

static bool
put_series(struct plex_buf *out, const struct metric_family *family,
           const struct metric_series *series)
{
    if (family->type == METRIC_HISTOGRAM)
        return put_histogram(out, family->name, series);
    if (!put_sample(out, family->name, "", series->labels))
        return false;
    if (series->read != NULL && series->is_micro)
        return put_micro(out, series->read(series->arg));
    if (series->read != NULL)
        return put(out, "%" PRIu64 "\n", series->read(series->arg));
    if (family->type == METRIC_COUNTER)
        return put(out, "%" PRIu64 "\n", series->counter.value);
    return put(out, "%" PRId64 "\n", series->gauge.value);
}

static bool
put_family(struct plex_buf *out, const struct metric_family *family)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    if (!put_help(out, family->name, family->help) ||
        !put(out, "# TYPE %s %s\n", family->name, types[family->type]))
        return false;
    for (const struct metric_series *s = family->series; s != NULL;
         s = s->next) {
        if (!put_series(out, family, s))
            return false;
    }
    return true;
}

enum plex_status
plex_metrics_render(const struct plex_metrics *metrics, struct plex_buf *out,
                    struct plex_err *err)
{
    for (const struct metric_family *f = metrics->families; f != NULL;
         f = f->next) {
        if (!put_family(out, f))
            return plex_err_set(err, PLEX_TOO_LARGE,
                                "metrics do not fit in %zu bytes", out->max);
    }
    return PLEX_OK;
}

uint64_t
plex_metrics_resident(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
read_resident(void *arg)
{
    (void)arg;
    return plex_metrics_resident();
}

static uint64_t
read_cpu_us(void *arg)
{
    struct rusage usage;

    (void)arg;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint64_t
read_open_fds(void *arg)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    (void)arg;
    if (dir == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count - 1; /* but the one of this folder */
}

/* Field `index` (from 1, as in proc(5)) of /proc/self/stat. */
static unsigned long long
stat_field(int index)
{
    char text[1024];
    unsigned long long value = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    const char *at = NULL;

    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) != NULL)
        at = strrchr(text, ')'); /* the name may hold anything */
    for (int i = 2; at != NULL && i < index; i++)
        at = strchr(at + 1, ' ');
    if (at != NULL)
        value = strtoull(at + 1, NULL, 10);
    (void)fclose(file);
    return value;
}

static unsigned long long
boot_time(void)
{
    char line[256];
    unsigned long long seconds = 0;
    FILE *file = fopen("/proc/stat", "re");

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "btime %llu", &seconds) == 1)
            break;
    }
    (void)fclose(file);
    return seconds;
}

void
plex_metrics_process(struct plex_metrics *metrics)
{
    enum { STAT_START_TIME = 22 };
    const struct metric_observed cpu = {
        "process_cpu_seconds_total",
        "User and system CPU time of the process, in seconds.",
        "",
        read_cpu_us,
        NULL,
        true,
    };

    plex_metrics_observe_scaled(metrics, &cpu);
    plex_metrics_observe(metrics, "process_resident_memory_bytes",
                         "Resident memory of the process, in bytes.", "",
                         read_resident, NULL);
    plex_metrics_observe(metrics, "process_open_fds",
                         "Open file descriptors of the process.", "",
                         read_open_fds, NULL);
    plex_metrics_gauge(metrics, "process_start_time_seconds",
                       "Start of the process, in seconds since 1970.", "")
        ->value =
        (int64_t)(boot_time() + stat_field(STAT_START_TIME) /
                                    (unsigned long long)sysconf(_SC_CLK_TCK));
}
