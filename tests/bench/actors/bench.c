#include "tests/bench/actors/bench.h"

#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/* bench_actors [--row NAME] [--n N] [--runs R] [--executors E]: a line for each
 * run: ROW <tab> operations <tab> seconds <tab> CPU seconds <tab> bytes per
 * process <tab> lateness in us, 0 where a row does not measure it. */

struct bench *bench_now;
static sem_t done;

uint64_t
bench_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double
cpu_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void
bench_done(void)
{
    (void)sem_post(&done);
}

static void
die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_actors: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

struct plex_ref
bench_spawn(struct plex_ctx *ctx, const struct plex_behaviour *behaviour,
            const void *args, size_t len)
{
    const struct plex_spawn how = {
        .behaviour = behaviour, .args = args, .args_len = len};
    struct plex_ref ref = {0, 0};
    int status = plex_spawn(ctx, &how, &ref);

    if (status != 0)
        die("could not spawn", plex_status_text((enum plex_status) - status));
    return ref;
}

static void
run(const struct bench_row *row, uint64_t n, uint32_t executors)
{
    const struct rt_config config = {.executors = executors,
                                     .processes_max = 24u << 20,
                                     .node = 1,
                                     .node_id = "bench"};
    const struct plex_spawn how = {.behaviour = row->root};
    struct bench bench = {.n = n, .executors = executors};
    struct plex_ref root;
    struct plex_err err;
    uint64_t began;
    double cpu;

    if (rt_create(&config, &bench.rt, &err) != PLEX_OK)
        die("could not create a runtime", err.text);
    rt_start(bench.rt);
    bench.ops = row->ops_per_n * (double)n;
    bench_now = &bench;
    cpu = cpu_seconds();
    began = bench_clock_ns();
    if (rt_spawn(bench.rt, (struct rt_where){"bench", "bench"}, &how, NULL,
                 NULL, &root) != 0)
        die(row->name, "could not spawn");
    while (sem_wait(&done) != 0 && errno == EINTR)
        ;
    if (bench.seconds <= 0)
        bench.seconds = (double)(bench_clock_ns() - began) / 1e9;
    cpu = cpu_seconds() - cpu;
    (void)printf("%s\t%.0f\t%.6f\t%.6f\t%.0f\t%.0f\n", row->name, bench.ops,
                 bench.seconds, cpu, bench.bytes, bench.late_us);
    (void)fflush(stdout);
    rt_stop(bench.rt);
    rt_free(bench.rt);
}

struct options {
    const char *row;
    uint64_t n;
    int runs;
    uint32_t executors;
};

static struct options
parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"row", required_argument, NULL, 'r'},
        {"n", required_argument, NULL, 'n'},
        {"runs", required_argument, NULL, 'u'},
        {"executors", required_argument, NULL, 'e'},
        {0, 0, NULL, 0}};
    struct options options = {NULL, 0, 1,
                              (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'r')
            options.row = optarg;
        else if (c == 'n')
            options.n = strtoull(optarg, NULL, 10);
        else if (c == 'u')
            options.runs = atoi(optarg);
        else if (c == 'e')
            options.executors = (uint32_t)strtoul(optarg, NULL, 10);
        else
            exit(2);
    }
    return options;
}

static int
rows(const struct bench_row *row, const struct options *options)
{
    int ran = 0;

    for (; row->name != NULL; row++) {
        if (options->row != NULL && strcmp(options->row, row->name) != 0)
            continue;
        for (int i = 0; i < options->runs; i++)
            run(row, options->n != 0 ? options->n : row->n, options->executors);
        ran++;
    }
    return ran;
}

int
main(int argc, char **argv)
{
    const struct options options = parse(argc, argv);
    int ran;

    (void)sem_init(&done, 0, 0);
    ran = rows(bench_messages, &options);
    ran += rows(bench_savina, &options);
    ran += rows(bench_life, &options);
    if (ran == 0)
        die("there is no such row", options.row);
    return EXIT_SUCCESS;
}
