/* plex-sim: run seeds, replay one, prove that the checkers bite. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_VIOLATION = 1, EXIT_USAGE = 100, BITE_SEEDS = 250 };

struct options {
    uint64_t first, last;
    uint64_t seconds; /* begin no seed after this; 0: no limit */
    bool trace;
    bool bite;
    bool boundaries;
    struct sim_every every;
    struct sim_config config;
};

static void
usage(FILE *out)
{
    (void)fputs(
        "usage: plex-sim [--seeds A..B] [--steps N] [--seconds S] [--trace]\n"
        "                [--unsafe no-fencing|no-dedup|reply-before-commit|\n"
        "                 "
        "effects-again|casts-again|updates-lost|timer-early|no-undo|\n"
        "                 lost-write|torn-write|two-at-once|timer-edge|\n"
        "                 timer-unseen]\n"
        "       plex-sim --boundaries [--seeds A..B] [--stride N] [--pairs N]\n"
        "       plex-sim --strike KIND@N [--strike KIND@N] --seeds A\n"
        "       plex-sim --bite\n"
        "\n"
        "  --seeds A..B  seeds to run, or one seed (1..50)\n"
        "  --steps N     end each run after N events\n"
        "  --seconds S   begin no further seed after S seconds\n"
        "  --trace       print every event of each run\n"
        "  --unsafe X    switch off a protection: the run should fail\n"
        "  --boundaries  scripted runs, with each strike at each boundary\n"
        "  --stride N    at every Nth only\n"
        "  --pairs N     and N times with two strikes, per seed\n"
        "  --strike K@N  a scripted run with that strike at boundary N:\n"
        "                crash, crash-peer, stop, lose, upgrade, clock-back,\n"
        "                clock-ahead, damage\n"
        "  --bite        check that each --unsafe is caught\n"
        "\n"
        "exit: 0 every guarantee held, 1 one was violated, 100 usage\n",
        out);
}

static bool
parse_number(const char *text, uint64_t *out, const char **rest)
{
    char *end;

    *out = strtoull(text, &end, 10);
    *rest = end;
    return end != text;
}

static bool
parse_seeds(struct options *options, const char *text)
{
    const char *rest;

    if (!parse_number(text, &options->first, &rest))
        return false;
    options->last = options->first;
    if (*rest == '\0')
        return true;
    return strncmp(rest, "..", 2) == 0 &&
           parse_number(rest + 2, &options->last, &rest) && *rest == '\0' &&
           options->first <= options->last;
}

struct protection {
    const char *name;
    size_t at; /* in struct sim_config */
};
static const struct protection protections[] = {
    {"no-fencing", offsetof(struct sim_config, unsafe_no_fencing)},
    {"no-dedup", offsetof(struct sim_config, unsafe_no_dedup)},
    {"reply-before-commit",
     offsetof(struct sim_config, unsafe_reply_before_commit)},
    {"effects-again", offsetof(struct sim_config, unsafe_effects_again)},
    {"two-at-once", offsetof(struct sim_config, unsafe_two_at_once)},
    {"casts-again", offsetof(struct sim_config, unsafe_casts_again)},
    {"updates-lost", offsetof(struct sim_config, unsafe_updates_lost)},
    {"timer-early", offsetof(struct sim_config, unsafe_timer_early)},
    {"lost-write", offsetof(struct sim_config, unsafe_lost_write)},
    {"torn-write", offsetof(struct sim_config, unsafe_torn_write)},
    {"timer-edge", offsetof(struct sim_config, unsafe_timer_edge)},
    {"timer-unseen", offsetof(struct sim_config, unsafe_timer_unseen)},
    {"no-undo", offsetof(struct sim_config, unsafe_no_undo)},
};
enum { PROTECTIONS = sizeof protections / sizeof protections[0] };

static bool
parse_unsafe(struct sim_config *config, const char *text)
{
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (strcmp(text, protections[i].name) == 0) {
            *(bool *)((char *)config + protections[i].at) = true;
            return true;
        }
    return false;
}

static bool
parse_strike(struct sim_config *config, const char *text)
{
    const char *at = strchr(text, '@'), *rest;
    struct sim_strike *s = config->strikes;

    if (s->at != 0)
        s++;
    config->script = true;
    for (int kind = 0; at != NULL && kind < SIM_STRIKES; kind++) {
        const char *name = sim_strike_name((enum sim_strike_kind)kind);

        s->kind = (enum sim_strike_kind)kind;
        if (strlen(name) == (size_t)(at - text) &&
            strncmp(name, text, (size_t)(at - text)) == 0)
            return parse_number(at + 1, &s->at, &rest) && *rest == '\0';
    }
    return false;
}

static bool
parse_valued(struct options *options, const char *name, const char *value)
{
    const char *rest = "";

    if (strcmp(name, "--seeds") == 0)
        return parse_seeds(options, value);
    if (strcmp(name, "--unsafe") == 0)
        return parse_unsafe(&options->config, value);
    if (strcmp(name, "--strike") == 0)
        return parse_strike(&options->config, value);
    if (strcmp(name, "--stride") == 0)
        return parse_number(value, &options->every.stride, &rest) &&
               *rest == '\0' && options->every.stride > 0;
    if (strcmp(name, "--pairs") == 0)
        return parse_number(value, &options->every.pairs, &rest) &&
               *rest == '\0';
    if (strcmp(name, "--steps") == 0)
        return parse_number(value, &options->config.steps_max, &rest) &&
               *rest == '\0';
    if (strcmp(name, "--seconds") == 0)
        return parse_number(value, &options->seconds, &rest) && *rest == '\0';
    return false;
}

static bool
parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options->trace = true;
        else if (strcmp(argv[i], "--bite") == 0)
            options->bite = true;
        else if (strcmp(argv[i], "--boundaries") == 0)
            options->boundaries = true;
        else if (i + 1 < argc && parse_valued(options, argv[i], argv[i + 1]))
            i++;
        else
            return false;
    }
    return true;
}

static uint64_t
clock_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The first that is switched off. */
static const char *
unsafe_name(const struct sim_config *config)
{
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (*(const bool *)((const char *)config + protections[i].at))
            return protections[i].name;
    return NULL;
}

/* The same again, now keeping what happens. */
static void
explain(const struct sim_config *failed, const struct sim_outcome *first)
{
    const char *unsafe = unsafe_name(failed);
    struct sim_config config = *failed;
    struct sim_outcome again;

    config.trace = true;
    config.trace_print = false;
    (void)sim_run(&config, &again);
    printf("FAIL seed %" PRIu64 ": %s\n", config.seed, first->failure);
    if (again.digest != first->digest)
        printf("     the replay differs: the simulator is not deterministic\n");
    printf("     replay: plex-sim --seeds %" PRIu64 "%s%s --trace\n",
           config.seed, unsafe == NULL ? "" : " --unsafe ",
           unsafe == NULL ? "" : unsafe);
}

static int
run_seeds(const struct options *options)
{
    const uint64_t began = clock_ms();
    struct sim_config config = options->config;
    struct sim_outcome outcome;
    uint64_t done = 0, steps = 0, ops = 0, acked = 0, commits = 0;

    config.trace = config.trace_print = options->trace;
    for (uint64_t seed = options->first; seed <= options->last; seed++) {
        if (options->seconds != 0 &&
            clock_ms() - began >= options->seconds * 1000)
            break;
        config.seed = seed;
        if (!sim_run(&config, &outcome)) {
            if (options->trace)
                printf("FAIL seed %" PRIu64 ": %s\n", seed, outcome.failure);
            else
                explain(&config, &outcome);
            return EXIT_VIOLATION;
        }
        done++;
        steps += outcome.steps;
        ops += outcome.ops;
        acked += outcome.acked;
        commits += outcome.commits;
    }
    printf("ok: %" PRIu64 " seeds (from %" PRIu64 "), %" PRIu64
           " events, %" PRIu64 " operations, %" PRIu64 " acknowledged, %" PRIu64
           " commits, %.1f s\n",
           done, options->first, steps, ops, acked, commits,
           (double)(clock_ms() - began) / 1000);
    return EXIT_SUCCESS;
}

/* A checker that never fires proves nothing. */
static int
bite(void)
{
    int result = EXIT_SUCCESS;

    for (size_t i = 0; i < PROTECTIONS; i++) {
        struct sim_config config = {0};
        struct sim_outcome outcome = {.ok = true};

        (void)parse_unsafe(&config, protections[i].name);
        for (config.seed = 1; config.seed <= BITE_SEEDS; config.seed++)
            if (!sim_run(&config, &outcome))
                break;
        if (outcome.ok) {
            printf("FAIL %s: not caught in %d seeds\n", protections[i].name,
                   BITE_SEEDS);
            result = EXIT_VIOLATION;
        } else {
            printf("ok: %s is caught by seed %" PRIu64 ": %s\n",
                   protections[i].name, config.seed, outcome.failure);
        }
    }
    return result;
}

int
main(int argc, char **argv)
{
    struct options options = {.first = 1, .last = 50, .every.stride = 1};

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (!parse(&options, argc, argv)) {
        usage(stderr);
        return EXIT_USAGE;
    }
    options.every.first = options.first;
    options.every.last = options.last;
    options.every.seconds = options.seconds;
    if (options.boundaries)
        return sim_every(&options.config, &options.every);
    return options.bite ? bite() : run_seeds(&options);
}
