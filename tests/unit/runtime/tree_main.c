#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/runtime/tree.h"

/*
 * plex-sim-actors --seeds A..B [--steps N] [--bite NAME] [--storm | --dump]
 * [--hours H] [--verbose]
 *
 * For each seed a random tree of supervision and a random life for it, once by
 * the runtime and once by the model; whatever they see differently is printed
 * with the seed. With --bite the runtime is given a mistake that must be found:
 * exit status 0 then means that it was.
 *
 * With --dump nothing is run: trees, steps and what the model expects are
 * printed as Erlang terms, for otp_compare.erl to play on OTP's own
 * supervisor. There are no other nodes then, and restarts are never forgotten.
 *
 * With --hours the seeds go on until lives of so many hours, by the clock that
 * the runtime and the model are given, have been led.
 *
 * With --storm several things happen at once. What comes of that depends on
 * their order, so only what must hold in any case is checked.
 */
enum { STORM_MAX = 12 };

static const char *const bites[BITE_KINDS] = {
    "none", "order", "intensity", "sibling", "period", "transient", "shutdown"};

struct run {
    unsigned long first, last;
    int steps;
    enum tree_bite bite;
    bool verbose, storm, dump;
    uint64_t happened, lines;
    uint64_t lived_ms, until_ms, endless;
};

static int
alive_differs(const struct tree *tree, const struct model *model,
              const struct world *world)
{
    size_t n = 0;

    for (int i = 0; i < tree->n; i++) {
        if (model_alive(model, i) != world_alive(world, i))
            return i;
        n += model_alive(model, i);
    }
    return n == world_processes(world) ? -1 : tree->n;
}

static bool
compare(struct run *run, const struct tree *tree, struct model *model,
        struct world *world, struct tree_log logs[2])
{
    const char *differ = tree_log_differ(&logs[0], &logs[1]);
    int alive = differ == NULL ? alive_differs(tree, model, world) : -1;

    run->lines += logs[0].n;
    if (run->verbose) {
        tree_log_print("model", &logs[0]);
        tree_log_print("world", &logs[1]);
    }
    if (differ != NULL && run->bite == BITE_NONE)
        (void)printf("%s\n", differ);
    if (alive >= 0 && run->bite == BITE_NONE)
        (void)printf("alive or not: %d of %d (%zu processes)\n", alive, tree->n,
                     world_processes(world));
    tree_log_clear(&logs[0]);
    tree_log_clear(&logs[1]);
    return differ == NULL && alive < 0;
}

static bool
seed_run(struct run *run, unsigned long seed)
{
    struct tree_random random = {seed};
    struct tree_log logs[2] = {0};
    struct tree tree;
    struct model *model;
    struct world *world;
    struct step step;
    bool same;

    tree_make(&tree, &random);
    if (run->verbose)
        tree_print(&tree);
    world = world_create(&tree, seed, run->bite);
    model = model_create(&tree, world_now_ms(world));
    model_begin(model, &logs[0]);
    world_begin(world, &logs[1]);
    same = compare(run, &tree, model, world, logs);
    for (int i = 0; same && i < run->steps && model_alive(model, 0); i++) {
        uint64_t now;

        tree_step(&tree, &random, &step);
        if (run->verbose)
            tree_step_print(&step);
        now = world_now_ms(world) + 1 + step.gap_ms;
        model_step(model, &step, now, &logs[0]);
        if (model_endless(model)) {
            run->endless++;
            break;
        }
        world_step(world, &step, now, &logs[1]);
        same = compare(run, &tree, model, world, logs);
        run->happened++;
        if (!same && run->bite == BITE_NONE)
            (void)printf("seed %lu step %d:\n", seed, i);
        if (!same && run->bite == BITE_NONE)
            tree_step_print(&step);
    }
    run->lived_ms += world_now_ms(world);
    world_free(world);
    model_free(model);
    tree_log_free(&logs[0]);
    tree_log_free(&logs[1]);
    return same;
}

static bool
storm_run(struct run *run, unsigned long seed)
{
    struct tree_random random = {seed};
    struct tree_log log = {0};
    struct step steps[STORM_MAX];
    struct tree tree;
    struct world *world;
    const char *wrong;

    tree_make(&tree, &random);
    if (run->verbose)
        tree_print(&tree);
    world = world_create(&tree, seed, run->bite);
    world_begin(world, &log);
    wrong = world_sound(world, &log);
    for (int i = 0; wrong == NULL && i < run->steps && world_alive(world, 0);
         i++) {
        int n = 1 + (int)tree_below(&random, STORM_MAX);

        for (int k = 0; k < n; k++) {
            tree_step(&tree, &random, &steps[k]);
            if (run->verbose)
                tree_step_print(&steps[k]);
        }
        world_storm(world, steps, n, world_now_ms(world) + 1 + steps[0].gap_ms,
                    &log);
        if (world_endless(world)) {
            run->endless++;
            break;
        }
        wrong = world_sound(world, &log);
        run->happened += (uint64_t)n;
    }
    run->lines += log.n;
    if (wrong != NULL)
        (void)printf("seed %lu: %s\n", seed, wrong);
    if (wrong != NULL && run->verbose)
        tree_log_print("world", &log);
    run->lived_ms += world_now_ms(world);
    world_free(world);
    tree_log_free(&log);
    return wrong == NULL;
}

static void
dump_tree(const struct tree *tree)
{
    (void)printf("{tree, [");
    for (int i = 0; i < tree->n; i++) {
        const struct tree_node *node = &tree->nodes[i];

        (void)printf("%s\n {%d, %d, %s, %s, %d, %s, %u, %d, %u, %d, %u, %d, [",
                     i == 0 ? "" : ",", i, node->parent,
                     node->sup ? "supervisor" : "leaf",
                     node->dynamic ? "dynamic" : "static", (int)node->restart,
                     node->significant ? "true" : "false", node->shutdown_ms,
                     (int)node->kind, node->slow_ms, (int)node->strategy,
                     node->intensity, (int)node->auto_shutdown);
        for (int k = 0; k < node->n_kids; k++)
            (void)printf("%s%d", k == 0 ? "" : ",", node->kids[k]);
        (void)printf("]}");
    }
    (void)printf("]}.\n");
}

static void
dump_log(const char *what, const struct step *step, struct tree_log *log)
{
    bool first = true;

    (void)tree_log_differ(log, log); /* sorts it */
    (void)printf("{%s, %d, %d, '%s', %d, [", what, (int)step->kind, step->node,
                 step->reason, step->count);
    for (size_t i = 0; i < log->n; i++) {
        const struct tree_line *line = &log->lines[i];

        if (line->what == '!')
            continue;
        (void)printf("%s{%d,%d,'%c',%d,'%s'}", first ? "" : ",", line->sup,
                     line->life, line->what == '^' ? '+' : line->what,
                     line->node, line->reason);
        first = false;
    }
    (void)printf("]}.\n");
    tree_log_clear(log);
}

static bool
seed_dump(struct run *run, unsigned long seed)
{
    struct tree_random random = {seed};
    struct tree_log log = {0};
    struct step step = {.reason = ""};
    struct tree tree;
    struct model *model;

    tree_make(&tree, &random);
    for (int i = 0; i < tree.n; i++) {
        tree.nodes[i].remote = false;
        tree.nodes[i].period_ms = 1000000000;
    }
    (void)printf("{seed, %lu}.\n", seed);
    dump_tree(&tree);
    model = model_create(&tree, 0);
    model_begin(model, &log);
    dump_log("starts", &step, &log);
    for (int i = 0; i < run->steps && model_alive(model, 0); i++) {
        tree_step(&tree, &random, &step);
        if (step.kind == STEP_NODE_DOWN || step.kind == STEP_NODE_UP ||
            step.kind == STEP_PLAN)
            continue;
        model_step(model, &step, 0, &log);
        dump_log("step", &step, &log);
    }
    (void)printf("{done, %s}.\n", model_alive(model, 0) ? "alive" : "dead");
    model_free(model);
    tree_log_free(&log);
    return true;
}

static enum tree_bite
bite_named(const char *name)
{
    for (int i = 1; i < BITE_KINDS; i++) {
        if (strcmp(bites[i], name) == 0)
            return (enum tree_bite)i;
    }
    (void)fprintf(stderr,
                  "no such mistake: %s (order, intensity, sibling, period, "
                  "transient, shutdown)\n",
                  name);
    exit(2);
}

static void
parse(struct run *run, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            run->verbose = true;
        else if (strcmp(argv[i], "--storm") == 0)
            run->storm = true;
        else if (strcmp(argv[i], "--dump") == 0)
            run->dump = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0 &&
                 sscanf(argv[i + 1], "%lu..%lu", &run->first, &run->last) == 2)
            i++;
        else if (i + 1 < argc && strcmp(argv[i], "--steps") == 0)
            run->steps = atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--hours") == 0)
            run->until_ms = strtoul(argv[++i], NULL, 10) * 3600000;
        else if (i + 1 < argc && strcmp(argv[i], "--bite") == 0)
            run->bite = bite_named(argv[++i]);
        else {
            (void)fprintf(stderr,
                          "usage: %s --seeds A..B [--steps N] "
                          "[--bite NAME] [--storm | --dump] [--hours H] "
                          "[--verbose]\n",
                          argv[0]);
            exit(2);
        }
    }
}

int
main(int argc, char **argv)
{
    struct run run = {.first = 1, .last = 200, .steps = 60};
    unsigned long bad = 0, seed;

    parse(&run, argc, argv);
    for (seed = run.first; run.dump && seed <= run.last; seed++)
        (void)seed_dump(&run, seed);
    if (run.dump)
        return EXIT_SUCCESS;
    for (seed = run.first;
         (seed <= run.last || run.lived_ms < run.until_ms) && bad < 10; seed++)
        bad += !(run.storm ? storm_run(&run, seed) : seed_run(&run, seed));
    if (run.bite != BITE_NONE) {
        (void)printf("%s: %s within %lu seeds\n", bites[run.bite],
                     bad > 0 ? "found" : "NOT FOUND", seed - run.first);
        return bad > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    (void)printf("%lu seeds, %lu steps, %lu lines, %.1f h, %lu endless: %lu "
                 "differ\n",
                 seed - run.first, (unsigned long)run.happened,
                 (unsigned long)run.lines, (double)run.lived_ms / 3600000,
                 (unsigned long)run.endless, bad);
    return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
