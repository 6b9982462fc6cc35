#include "tests/unit/runtime/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* -- logs -- */

void
tree_log_add(struct tree_log *log, int sup, int life, char what, int node,
             const char *reason)
{
    struct tree_line *line;

    if (log->n == log->max) {
        log->max = log->max == 0 ? 64 : 2 * log->max;
        log->lines =
            plex_reallocarray(log->lines, log->max, sizeof *log->lines);
    }
    line = &log->lines[log->n++];
    memset(line, 0, sizeof *line);
    line->sup = sup;
    line->life = life;
    line->what = what;
    line->node = node;
    (void)snprintf(line->reason, sizeof line->reason, "%s", reason);
}

void
tree_log_clear(struct tree_log *log)
{
    log->n = 0;
}

void
tree_log_free(struct tree_log *log)
{
    free(log->lines);
}

/* By supervisor and life, otherwise as it was: insertion sort is stable. */
static void
sort(struct tree_log *log)
{
    for (size_t i = 1; i < log->n; i++) {
        struct tree_line line = log->lines[i];
        size_t at = i;

        while (at > 0 && (log->lines[at - 1].sup > line.sup ||
                          (log->lines[at - 1].sup == line.sup &&
                           log->lines[at - 1].life > line.life))) {
            log->lines[at] = log->lines[at - 1];
            at--;
        }
        log->lines[at] = line;
    }
}

static void
line_text(const struct tree_log *log, size_t i, char *out, size_t size)
{
    const struct tree_line *line = &log->lines[i];

    if (i >= log->n)
        (void)snprintf(out, size, "nothing more");
    else
        (void)snprintf(out, size, "supervisor %d life %d: %c%d %s", line->sup,
                       line->life, line->what, line->node, line->reason);
}

const char *
tree_log_differ(struct tree_log *model, struct tree_log *world)
{
    static char text[256];
    char one[100], two[100];
    size_t i;

    sort(model);
    sort(world);
    for (i = 0; i < model->n && i < world->n; i++) {
        if (memcmp(&model->lines[i], &world->lines[i], sizeof *model->lines) !=
            0)
            break;
    }
    if (i == model->n && i == world->n)
        return NULL;
    line_text(model, i, one, sizeof one);
    line_text(world, i, two, sizeof two);
    (void)snprintf(text, sizeof text, "expected %s, saw %s", one, two);
    return text;
}

void
tree_log_print(const char *title, const struct tree_log *log)
{
    char text[100];

    for (size_t i = 0; i < log->n; i++) {
        line_text(log, i, text, sizeof text);
        (void)printf("    %s: %s\n", title, text);
    }
}

/* -- random trees: splitmix64 -- */

uint32_t
tree_below(struct tree_random *random, uint32_t n)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* Periods end in 500 ms and gaps are whole seconds: a stop that takes some
 * milliseconds never decides whether a restart still counts. */
static void
supervisor_make(struct tree_node *node, struct tree_random *random)
{
    node->sup = true;
    node->strategy = (enum plex_strategy)(1 + tree_below(random, 3));
    node->intensity = tree_below(random, 5);
    node->period_ms = 1500 + 1000 * tree_below(random, 5);
    node->auto_shutdown = (enum plex_auto_shutdown)tree_below(random, 3);
    node->shutdown_ms =
        tree_below(random, 8) == 0 ? PLEX_BRUTAL_KILL : PLEX_SHUTDOWN_INFINITY;
}

static void
leaf_make(struct tree_node *node, struct tree_random *random)
{
    static const uint32_t shutdowns[] = {PLEX_BRUTAL_KILL, 10, 20, 5000};

    node->kind = (enum leaf_kind)tree_below(random, 3);
    node->slow_ms = 5 + 10 * tree_below(random, 3);
    node->shutdown_ms = shutdowns[tree_below(random, 4)];
}

static void
child_make(struct tree *tree, int i, int parent, struct tree_random *random)
{
    struct tree_node *node = &tree->nodes[i];

    node->parent = parent;
    node->restart = (enum plex_restart)tree_below(random, 3);
    if (tree->nodes[parent].auto_shutdown != PLEX_AUTO_NEVER &&
        node->restart != PLEX_PERMANENT)
        node->significant = tree_below(random, 2) == 0;
}

void
tree_make(struct tree *tree, struct tree_random *random)
{
    int target = 3 + (int)tree_below(random, TREE_MAX - TREE_EXTRA - 3);
    bool remote = tree_below(random, 2) == 0;

    memset(tree, 0, sizeof *tree);
    supervisor_make(&tree->nodes[0], random);
    tree->nodes[0].parent = -1;
    tree->nodes[0].intensity = tree_below(random, 40); /* mostly a long life */
    tree->n = 1;
    for (int tries = 0; tries < 200 && tree->n < target; tries++) {
        int p = (int)tree_below(random, (uint32_t)tree->n);
        struct tree_node *parent = &tree->nodes[p];
        int i = tree->n;

        if (!parent->sup || parent->n_kids == TREE_KIDS)
            continue;
        child_make(tree, i, p, random);
        if (tree_below(random, 3) == 0)
            supervisor_make(&tree->nodes[i], random);
        else
            leaf_make(&tree->nodes[i], random);
        if (!tree->nodes[i].sup && remote) {
            tree->nodes[i].remote = true;
            tree->nodes[i].kind = LEAF_PLAIN;
            remote = false;
        }
        parent->kids[parent->n_kids++] = i;
        tree->n++;
    }
    for (int extra = 0; extra < TREE_EXTRA; extra++) {
        int p = (int)tree_below(random, (uint32_t)tree->n);

        if (!tree->nodes[p].sup)
            continue;
        child_make(tree, tree->n, p, random);
        leaf_make(&tree->nodes[tree->n], random);
        tree->nodes[tree->n++].dynamic = true;
    }
}

void
tree_print(const struct tree *tree)
{
    static const char *const strategies[] = {"", "one", "all", "rest"};

    for (int i = 0; i < tree->n; i++) {
        const struct tree_node *node = &tree->nodes[i];

        (void)printf("  %d under %d: restart %d%s shutdown %d%s%s", i,
                     node->parent, (int)node->restart,
                     node->significant ? " significant" : "",
                     (int)node->shutdown_ms, node->remote ? " remote" : "",
                     node->dynamic ? " dynamic" : "");
        if (node->sup)
            (void)printf(" %s %u/%u auto %d\n", strategies[node->strategy],
                         node->intensity, node->period_ms,
                         (int)node->auto_shutdown);
        else
            (void)printf(" leaf %d slow %u\n", (int)node->kind, node->slow_ms);
    }
}

static const char *const step_names[STEP_KINDS] = {
    "exit",   "kill", "shutdown", "failing",   "terminate", "restart",
    "delete", "add",  "plan",     "node down", "node up"};

void
tree_step(const struct tree *tree, struct tree_random *random, struct step *out)
{
    static const char *const reasons[] = {"crash", "crash", "normal",
                                          "shutdown"};
    uint32_t dice = tree_below(random, 100);
    const struct tree_node *node;

    *out = (struct step){.node = (int)tree_below(random, (uint32_t)tree->n)};
    node = &tree->nodes[out->node];
    out->gap_ms = 1000 * tree_below(random, 4);
    out->reason = reasons[tree_below(random, 4)];
    out->count = 1 + (int)tree_below(random, 3);
    if (node->sup)
        out->kind = dice < 25   ? STEP_KILL
                    : dice < 40 ? STEP_SHUTDOWN
                    : dice < 65 ? STEP_TERMINATE
                    : dice < 90 ? STEP_RESTART
                                : STEP_PLAN;
    else if (dice < 8)
        out->kind = STEP_FAILING;
    else if (dice < 14)
        out->kind = STEP_TERMINATE;
    else if (dice < 22)
        out->kind = STEP_RESTART;
    else if (dice < 25)
        out->kind = STEP_DELETE;
    else if (dice < 27)
        out->kind = STEP_NODE_DOWN;
    else if (dice < 30)
        out->kind = STEP_NODE_UP;
    else if (dice < 45)
        out->kind = STEP_KILL;
    else
        out->kind = STEP_EXIT;
    if (out->kind == STEP_PLAN)
        out->count = (int)tree_below(random, 15);
    if (node->dynamic && dice % 3 == 0)
        out->kind = STEP_ADD;
}

void
tree_step_print(const struct step *step)
{
    (void)printf("  after %u: %s %d %s %d\n", step->gap_ms,
                 step_names[step->kind], step->node, step->reason, step->count);
}
