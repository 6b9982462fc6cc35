/*
 * The tuple space's engine in process: bench-tuplespace-core [--tuples N]
 * [--pairs N] [--range-tuples N] [--waiters N] [--only NAME]. One line of text
 * per measurement.
 */
#include "common/mem.h"
#include "services/tuplespace/engine/action.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 20000 };

static const struct tspace_where where = {"bench", "default", "space"};
static const char *only;

static uint64_t
now_ns(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

/* A service asks the clock once per turn of its loop, not per request. */
static struct tspace_now
now(void)
{
    return (struct tspace_now){1000000000, 1000000};
}

static uint64_t
mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static bool
wanted(const char *name)
{
    return only == NULL || strcmp(only, name) == 0;
}

/* -- the core, driven ------------------------------------------------------ */

struct bench {
    struct tspace_core *core;
    struct plex_buf packed;
    uint64_t answered, found, postponed;
};

static void
bench_open(struct bench *bench)
{
    const struct tspace_config config = {
        .epoch = 1,
        .hash_seed = 12345,
        .waiters_max = 10000000,
        .requests_max = 1000,
        .transient = true,
    };

    *bench = (struct bench){.core = tspace_core_create(&config),
                            .packed = {.max = 4096}};
}

static void
bench_close(struct bench *bench)
{
    tspace_core_free(bench->core);
    plex_buf_free(&bench->packed);
}

static void
drain(struct bench *bench)
{
    struct tspace_action action;

    while (tspace_core_next(bench->core, &action)) {
        if (action.kind != TSPACE_REPLY)
            continue;
        if (action.status == PLEX_UNAVAILABLE) { /* an index is being made */
            bench->postponed++;
            continue;
        }
        if (action.status != PLEX_OK) {
            fprintf(stderr, "refused: %s\n", action.text);
            exit(1);
        }
        bench->answered++;
        bench->found += action.answer->n;
    }
}

/* ["order", key, amount, "pending"] */
static void
order_values(struct tspace_value values[4], int64_t key, int64_t amount)
{
    values[0] = (struct tspace_value){.type = TSPACE_STRING,
                                      .bytes = {(const uint8_t *)"order", 5}};
    values[1] = (struct tspace_value){.type = TSPACE_INTEGER, .integer = key};
    values[2] =
        (struct tspace_value){.type = TSPACE_INTEGER, .integer = amount};
    values[3] = (struct tspace_value){.type = TSPACE_STRING,
                                      .bytes = {(const uint8_t *)"pending", 7}};
}

static void
write_order(struct bench *bench, int64_t key, int64_t amount)
{
    struct tspace_value values[4];
    struct plex_bytes packed;
    struct tspace_write write = {
        .op = {.where = where}, .tuples = &packed, .n_tuples = 1};
    struct plex_err err;

    order_values(values, key, amount);
    bench->packed.len = 0;
    if (tspace_pack(values, 4, &bench->packed, &err) != PLEX_OK)
        abort();
    packed = (struct plex_bytes){bench->packed.data, bench->packed.len};
    tspace_core_write(bench->core, now(), &write);
    drain(bench);
}

static void
matchers_exact(struct tspace_matcher matchers[4], int64_t key)
{
    struct tspace_value values[4];

    order_values(values, key, 0);
    memset(matchers, 0, 4 * sizeof *matchers);
    for (int i = 0; i < 4; i++) {
        matchers[i].kind = i == 2 ? TSPACE_ANY : TSPACE_EXACT;
        matchers[i].value = values[i];
    }
}

static void
read_matching(struct bench *bench, const struct tspace_matcher *matchers,
              bool take, uint64_t timeout_ms)
{
    struct tspace_template *template;
    struct tspace_read read = {.op = {.where = where},
                               .take = take,
                               .max_results = 1,
                               .timeout_ms = timeout_ms};
    struct plex_err err;

    if (tspace_template_create(&template, matchers, 4, &err) != PLEX_OK)
        abort();
    read.template = template;
    tspace_core_read(bench->core, now(), &read);
    tspace_template_unref(template);
    drain(bench);
}

static void
take_order(struct bench *bench, int64_t key)
{
    struct tspace_matcher matchers[4];

    matchers_exact(matchers, key);
    read_matching(bench, matchers, true, 0);
}

/* As a service's loop does it when it has nothing else to do. */
static void
build(struct bench *bench)
{
    const uint64_t began = now_ns();
    uint64_t longest = 0;

    while (tspace_core_wait_ms(bench->core, now()) <= 1) {
        const uint64_t start = now_ns();

        tspace_core_tick(bench->core, now());
        if (now_ns() - start > longest)
            longest = now_ns() - start;
    }
    printf("index made in %.0f ms, at most %.1f ms at a time\n",
           (double)(now_ns() - began) / 1e6, (double)longest / 1e6);
}

/* -- figures --------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void
figures(const char *name, uint64_t n, uint64_t ns, uint32_t *samples,
        uint64_t n_samples)
{
    printf("%-40s %10.0f /s", name, (double)n * 1e9 / (double)ns);
    if (n_samples > 0) {
        qsort(samples, n_samples, sizeof *samples, compare);
        printf("   p50 %.2f us  p99 %.2f us  max %.1f us",
               samples[n_samples / 2] / 1e3,
               samples[n_samples * 99 / 100] / 1e3,
               samples[n_samples - 1] / 1e3);
    }
    printf("\n");
    fflush(stdout);
}

static void
pairs(struct bench *bench, const char *name, uint64_t tuples, uint64_t n,
      bool fresh)
{
    uint32_t *samples = plex_calloc(SAMPLES, sizeof *samples);
    uint64_t began, start, taken;

    taken = bench->found;
    began = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        const int64_t key = (int64_t)(tuples + i);

        write_order(bench, key, 1);
        take_order(bench, fresh ? key : (int64_t)(mixed(i) % tuples));
        if (!fresh) /* what was there stays as much */
            take_order(bench, key),
                write_order(bench, (int64_t)(mixed(i) % tuples), 1);
    }
    const uint64_t ns = now_ns() - began;

    taken = bench->found - taken;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        start = now_ns();
        write_order(bench, (int64_t)(tuples + i), 1);
        take_order(bench, (int64_t)(tuples + i));
        samples[i] = (uint32_t)(now_ns() - start);
    }
    figures(name, fresh ? n : 2 * n, ns, samples, SAMPLES);
    if (taken < n)
        printf("  only %llu were found\n", (unsigned long long)taken);
    free(samples);
}

/* The engine alone: tuples packed and templates compiled before. */
static void
prepared_pairs(struct bench *bench, uint64_t tuples, uint64_t n)
{
    enum { PREPARED = 4096 };
    struct tspace_template **templates =
        plex_calloc(PREPARED, sizeof(struct tspace_template *));
    struct plex_bytes *packed = plex_calloc(PREPARED, sizeof *packed);
    struct plex_buf buf = {.max = PREPARED * 100};
    struct tspace_write write = {.op = {.where = where}, .n_tuples = 1};
    struct tspace_read read = {
        .op = {.where = where}, .take = true, .max_results = 1};
    const uint64_t found = bench->found;
    uint64_t began;

    for (uint64_t i = 0; i < PREPARED; i++) {
        struct tspace_value values[4];
        struct tspace_matcher matchers[4];
        struct plex_err err;

        order_values(values, (int64_t)(tuples + i), 1);
        matchers_exact(matchers, (int64_t)(tuples + i));
        packed[i].len = buf.len;
        if (tspace_pack(values, 4, &buf, &err) != PLEX_OK ||
            tspace_template_create(&templates[i], matchers, 4, &err) != PLEX_OK)
            abort();
    }
    for (uint64_t i = PREPARED, end = buf.len; i-- > 0;) {
        packed[i].data = buf.data + packed[i].len;
        end -= packed[i].len = end - packed[i].len;
    }
    began = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t at = mixed(i) % PREPARED;

        write.tuples = &packed[at];
        tspace_core_write(bench->core, now(), &write);
        drain(bench);
        read.template = templates[at];
        tspace_core_read(bench->core, now(), &read);
        drain(bench);
    }
    figures("write and take it, prepared", n, now_ns() - began, NULL, 0);
    if (bench->found - found < 2 * n)
        printf("  only %llu were found\n",
               (unsigned long long)(bench->found - found));
    for (uint64_t i = 0; i < PREPARED; i++)
        tspace_template_unref(templates[i]);
    free(templates);
    free(packed);
    plex_buf_free(&buf);
}

static void
bench_pairs(uint64_t tuples, uint64_t n)
{
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct bench bench;
    struct tspace_stats stats;
    uint64_t began;

    bench_open(&bench);
    began = now_ns();
    for (uint64_t i = 0; i < tuples; i++)
        write_order(&bench, (int64_t)i, 1);
    figures("write, no index but by age", tuples, now_ns() - began, NULL, 0);
    take_order(&bench, (int64_t)tuples / 2); /* wants the index */
    write_order(&bench, (int64_t)tuples / 2, 1);
    build(&bench);
    stats = tspace_core_stats(bench.core);
    printf("%llu tuples of 4 fields: %.1f bytes each, of which %.1f of indexes "
           "(%llu indexes)\n",
           (unsigned long long)stats.tuples,
           (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) /
               (double)stats.tuples,
           (double)stats.index_bytes / (double)stats.tuples,
           (unsigned long long)stats.indexes);
    prepared_pairs(&bench, tuples, n);
    if (only != NULL && strcmp(only, "prepared") == 0) {
        bench_close(&bench);
        return;
    }
    pairs(&bench, "write and take it, exact template", tuples, n, true);
    pairs(&bench, "write and take another, exact template", tuples, n / 2,
          false);
    bench_close(&bench);
}

static void
bench_range(uint64_t tuples)
{
    uint32_t *samples = plex_calloc(SAMPLES, sizeof *samples);
    struct tspace_matcher matchers[4];
    struct bench bench;
    uint64_t began, start;
    const uint64_t n = 20000;

    bench_open(&bench);
    for (uint64_t i = 0; i < tuples; i++)
        write_order(&bench, (int64_t)i, (int64_t)(mixed(i) % (tuples * 4)));
    matchers_exact(matchers, 0);
    matchers[1].kind = matchers[3].kind = TSPACE_ANY;
    matchers[2].kind = TSPACE_RANGE;
    matchers[2].low.set = true;
    matchers[2].low.value.type = TSPACE_INTEGER;
    matchers[2].low.value.integer = (int64_t)(tuples * 4 - 8);
    matchers[2].high = matchers[2].low;
    matchers[2].high.value.integer += 8;
    start = now_ns();
    read_matching(&bench, matchers, false, 0); /* wants the index */
    read_matching(&bench, matchers, false, 0);
    printf("two searches over %llu tuples without an index: %.1f ms\n",
           (unsigned long long)tuples, (double)(now_ns() - start) / 1e6);
    build(&bench);
    for (int wide = 0; wide < 2; wide++) {
        const uint64_t found = bench.found;
        char name[80];

        began = now_ns();
        for (uint64_t i = 0; i < n; i++) {
            const int64_t low =
                (int64_t)(mixed(i) % (tuples * 4)) - (wide ? 0 : 10);

            matchers[2].low.value.integer = low;
            matchers[2].high.value.integer =
                wide ? (int64_t)tuples * 4 : low + 10;
            start = now_ns();
            read_matching(&bench, matchers, false, 0);
            samples[i] = (uint32_t)(now_ns() - start);
        }
        snprintf(name, sizeof name, "one exact, one range (%s), %llu tuples",
                 wide ? "wide" : "narrow", (unsigned long long)tuples);
        figures(name, n, now_ns() - began, samples, n);
        printf("  %.1f %% found one\n",
               (double)(bench.found - found) * 100 / (double)n);
    }
    free(samples);
    bench_close(&bench);
}

static void
bench_waiters(uint64_t waiters)
{
    struct tspace_matcher matchers[4];
    struct bench bench;
    uint64_t began;

    bench_open(&bench);
    began = now_ns();
    for (uint64_t i = 0; i < waiters; i++) {
        matchers_exact(matchers, (int64_t)i);
        read_matching(&bench, matchers, true, 3600000);
    }
    figures("block a taker, template of its own", waiters, now_ns() - began,
            NULL, 0);
    began = now_ns();
    for (uint64_t i = 0; i < waiters; i++)
        write_order(&bench, (int64_t)(mixed(i) % waiters), 1);
    figures("write that wakes one, or none", waiters, now_ns() - began, NULL,
            0);
    bench_close(&bench);
}

/* A worker that claimed tuples at random dies: all return to their places. */
static void
bench_claims(uint64_t tuples, uint64_t n)
{
    struct tspace_matcher matchers[4];
    struct tspace_template *template;
    struct tspace_read read = {
        .op = {.where = where},
        .take = true,
        .max_results = 1,
        .order = TSPACE_RANDOM,
        .claim = {{(const uint8_t *)"worker", 6}, 1, 1000}};
    struct tspace_now later = now();
    struct bench bench;
    struct plex_err err;
    uint64_t began;

    bench_open(&bench);
    for (uint64_t i = 0; i < tuples; i++)
        write_order(&bench, (int64_t)i, 1);
    matchers_exact(matchers, 0);
    matchers[1].kind = TSPACE_ANY;
    if (tspace_template_create(&template, matchers, 4, &err) != PLEX_OK)
        abort();
    read.template = template;
    began = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        read.random = i;
        tspace_core_read(bench.core, now(), &read);
        drain(&bench);
    }
    figures("claim one at random", n, now_ns() - began, NULL, 0);
    later.wall_ms += 1000;
    began = now_ns();
    tspace_core_tick(bench.core, later);
    drain(&bench);
    figures("return a tuple to its place", n, now_ns() - began, NULL, 0);
    tspace_template_unref(template);
    bench_close(&bench);
}

int
main(int argc, char **argv)
{
    uint64_t tuples = 1000000, n = 2000000, range = 1000000, waiters = 100000;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--tuples") == 0)
            tuples = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--pairs") == 0)
            n = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--range-tuples") == 0)
            range = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--waiters") == 0)
            waiters = strtoull(argv[i + 1], NULL, 10);
    }
    if (wanted("pairs") || wanted("prepared"))
        bench_pairs(tuples, n);
    if (wanted("range"))
        bench_range(range);
    if (wanted("claims"))
        bench_claims(tuples, tuples / 100);
    if (wanted("waiters"))
        bench_waiters(waiters);
    return 0;
}
