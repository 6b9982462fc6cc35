/*
 * What the workflow core costs by itself, in process: runs of 1, 3 and 9
 * tasks in a row, with and without writing the state down after every turn;
 * and a map. Prints one line each: runs/s, steps/s, bytes of the last state.
 */
#include "common/mem.h"
#include "workflow/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct flow_def *
chain_of(int steps)
{
    struct flow_def *def = NULL;
    struct plex_err err;
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    fputs("id: bench\nsteps:\n", file);
    for (int i = 0; i < steps; i++) {
        (void)fprintf(file, "- {id: s%d, actor: 'work/${input.key}', ", i);
        if (i > 0)
            (void)fprintf(file,
                          "depends_on: [s%d], input: {n: "
                          "'${steps.s%d.output.n + 1}'}}\n",
                          i - 1, i - 1);
        else
            fputs("input: {n: 0}}\n", file);
    }
    (void)fclose(file);
    if (flow_def_parse(text, len, &def, &err) != PLEX_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    free(text);
    return def;
}

static struct flow_def *
map_of(int items)
{
    struct flow_def *def = NULL;
    struct plex_err err;
    char text[256];

    (void)snprintf(text, sizeof text,
                   "id: bench\nsteps:\n- id: m\n  items: '${range(0, %d)}'\n"
                   "  each: {steps: [{id: s, actor: work, input: {n: "
                   "'${item}'}}]}\n",
                   items);
    if (flow_def_parse(text, strlen(text), &def, &err) != PLEX_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return def;
}

struct pending {
    uint64_t id;
    json_t *value;
};

static size_t
write_down(struct flow_run *run, struct plex_buf *buf)
{
    struct plex_err err;

    buf->len = 0;
    if (flow_run_encode(run, buf, &err) != PLEX_OK)
        exit(1);
    return buf->len;
}

/* One run from start to end; the steps it took. */
static unsigned
one_run(struct flow_def *def, json_t *input, bool written, struct plex_buf *buf,
        size_t *state)
{
    struct flow_run *run = flow_run_create(def, "run-1");
    static struct pending pending[20000];
    struct flow_now now = {1700000000000, 1};
    struct flow_command command;
    struct flow_history past;
    struct plex_err err;
    unsigned first = 0, last = 0;

    if (flow_run_start(run, input, &now, &err) != PLEX_OK)
        exit(1);
    for (;;) {
        struct flow_event done = {
            .kind = FLOW_EVENT_TASK_DONE, .attempt = 1, .ok = true};

        while (flow_run_history(run, &past))
            ;
        while (flow_run_command(run, &command)) {
            if (command.kind == FLOW_CALL)
                pending[last++] =
                    (struct pending){command.id, json_incref(command.value)};
        }
        if (written)
            *state = write_down(run, buf);
        if (first == last)
            break;
        done.id = pending[first].id;
        done.value = pending[first].value;
        now.ms++;
        if (flow_run_event(run, &done, &now, &err) != PLEX_OK)
            exit(1);
        json_decref(pending[first++].value);
    }
    if (flow_run_status(run) != FLOW_COMPLETED)
        exit(1);
    flow_run_free(run);
    return last;
}

static void
measure(const char *name, struct flow_def *def, bool written)
{
    json_t *input = json_pack("{s:s, s:i}", "key", "k1", "amount", 100);
    struct plex_buf buf = {.max = 16 << 20};
    const double start = seconds();
    unsigned long runs = 0, steps = 0;
    double spent;
    size_t state = 0;

    do {
        steps += one_run(def, input, written, &buf, &state);
        runs++;
        spent = seconds() - start;
    } while (spent < 1);
    printf("%-10s %-8s %9.0f runs/s %10.0f steps/s %8.2f us/step", name,
           written ? "written" : "", (double)runs / spent,
           (double)steps / spent, spent / (double)steps * 1e6);
    if (written)
        printf(" %7zu bytes", state);
    printf("\n");
    plex_buf_free(&buf);
    json_decref(input);
    flow_def_unref(def);
}

int
main(void)
{
    static const int sizes[] = {1, 3, 9};
    char name[32];

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        (void)snprintf(name, sizeof name, "%d tasks", sizes[i]);
        measure(name, chain_of(sizes[i]), false);
        measure(name, chain_of(sizes[i]), true);
    }
    measure("map 100", map_of(100), false);
    measure("map 100", map_of(100), true);
    measure("map 9000", map_of(9000), false);
    return 0;
}
