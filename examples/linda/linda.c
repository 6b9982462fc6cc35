/*
 * Work shared out through the tuple space. A driver writes tasks, hands take
 * them, whoever is free, and write results; nobody knows anybody. The driver
 * collects the results, and checks them against the sequential ones.
 *
 * Calls to linda/KEY: {"job":"queue"|"matrix"|"search"|"sort"|"heat",
 * "hands":3}. The space is "linda-KEY".
 *
 *   ["task", JOB, NUMBER, {"tuple":[...]}]   to be done
 *   ["done", NUMBER, {"tuple":[...]}]        its result
 *   ["row", NUMBER, {"tuple":[...]}]         of the right matrix, only read
 *   ["edge", STEP, RANK, SIDE, VALUE]        heat: what a neighbour needs
 */
#include <plexspaces/tuplespace.h>

#include <inttypes.h>

enum {
    HANDS_MAX = 8,
    ROWS = 8,     /* matrix */
    JOBS = 24,    /* queue */
    RANGE = 2000, /* search: per task */
    RANGES = 16,  /* search */
    CHUNK = 32,   /* sort, per task */
    CHUNKS = 8,   /* sort */
    CELLS = 16,   /* heat, per hand */
    STEPS = 12,   /* heat */
    NUMBERS_MAX = 256,
    WAIT_MS = 15000,
};

/* -- numbers in tuples -- */

struct numbers {
    size_t n;
    int64_t at[NUMBERS_MAX];
};

/* All that are not within quotes, in their order. */
static void
numbers_read(const struct plex_value *json, struct numbers *out)
{
    const char *at = json->data, *end = at + json->len;
    char *after;

    out->n = 0;
    while (at < end && out->n < NUMBERS_MAX) {
        if (*at == '"') {
            at = memchr(at + 1, '"', (size_t)(end - at - 1));
            if (at == NULL)
                return;
            at++;
        } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
            out->at[out->n++] = strtoll(at, &after, 10);
            at = after > at ? after : at + 1;
        } else {
            at++;
        }
    }
}

/* {"tuple":[...]} of n numbers; the caller frees. */
static char *
numbers_text(const int64_t *at, size_t n)
{
    const size_t size = n * 21 + 32;
    char *text = malloc(size);
    size_t used;

    if (text == NULL)
        return NULL;
    used = (size_t)snprintf(text, size, "{\"tuple\":[");
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRId64,
                                 i == 0 ? "" : ",", at[i]);
    (void)snprintf(text + used, size - used, "]}");
    return text;
}

/* The tuple [HEAD, {"tuple":[...]}]. */
static int
put(struct plex_ctx *ctx, const char *space, const char *head,
    const int64_t *at, size_t n)
{
    char *list = numbers_text(at, n), *tuple = NULL;
    int status = PLEX_E_LIMIT;

    if (list != NULL)
        tuple = plex_tuple_format("[%s,%s]", head, list);
    if (tuple != NULL)
        status = plex_tuple_out(ctx, space, tuple, 0);
    free(tuple);
    free(list);
    return status;
}

static int
put_task(struct plex_ctx *ctx, const char *space, const char *job, size_t i,
         const int64_t *at, size_t n)
{
    char head[64];

    (void)snprintf(head, sizeof head, "\"task\",\"%s\",%zu", job, i);
    return put(ctx, space, head, at, n);
}

/* The same pseudo-random numbers for everybody. */
static int64_t
pseudo(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ (i >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (int64_t)((i >> 33) % 1000);
}

static int64_t
password_hash(int64_t password)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (int i = 0; i < 8; i++)
        hash = (hash ^ ((uint64_t)password >> (8 * i) & 255)) *
               UINT64_C(0x100000001b3);
    return (int64_t)(hash >> 12); /* JSON has 53 bits without ado */
}

static int
by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* One step of a rod whose ends stay as they are; both with a cell around. */
static void
heat_step(const int64_t *from, int64_t *to, size_t n)
{
    for (size_t i = 1; i <= n; i++)
        to[i] = from[i] + (from[i - 1] - 2 * from[i] + from[i + 1]) / 4;
}

/* -- a hand: {"space":S} by cast; takes tasks until it is told to stop -- */

/* numbers: the row of the left matrix. */
static int
do_matrix(struct plex_ctx *ctx, const char *space, const struct numbers *task,
          int64_t *out, size_t *n)
{
    struct plex_value fields;
    struct numbers row;
    char pattern[64];
    int status;

    memset(out, 0, ROWS * sizeof *out);
    for (size_t k = 0; k < ROWS; k++) {
        (void)snprintf(pattern, sizeof pattern, "[\"row\",%zu,{\"any\":true}]",
                       k);
        status = plex_tuple_rd(ctx, space, pattern, WAIT_MS, &fields);
        if (status != 0)
            return status;
        numbers_read(&fields, &row);
        for (size_t j = 0; j < ROWS && row.n == ROWS + 1; j++)
            out[j] += task->at[1 + k] * row.at[1 + j];
    }
    *n = ROWS;
    return 0;
}

/* numbers: the first password, the hash that is looked for. */
static void
do_search(const struct numbers *task, int64_t *out, size_t *n)
{
    out[0] = -1;
    for (int64_t i = task->at[1]; i < task->at[1] + RANGE; i++)
        if (password_hash(i) == task->at[2])
            out[0] = i;
    *n = 1;
}

static int
edge_swap(struct plex_ctx *ctx, const char *space, int64_t step, int64_t rank,
          int side, int64_t mine, int64_t *other)
{
    const int64_t neighbour = rank + (side == 0 ? -1 : 1);
    struct plex_value fields;
    struct numbers got;
    char text[128];
    int status;

    (void)snprintf(text, sizeof text,
                   "[\"edge\",%" PRId64 ",%" PRId64 ",%d,%" PRId64 "]", step,
                   rank, side, mine);
    status = plex_tuple_out(ctx, space, text, 0);
    if (status != 0)
        return status;
    (void)snprintf(text, sizeof text,
                   "[\"edge\",%" PRId64 ",%" PRId64 ",%d,{\"any\":true}]", step,
                   neighbour, 1 - side);
    status = plex_tuple_in(ctx, space, text, WAIT_MS, &fields);
    if (status != 0)
        return status;
    numbers_read(&fields, &got);
    *other = got.at[3];
    return 0;
}

/* numbers: how many parts, the part with a cell on either side. */
static int
do_heat(struct plex_ctx *ctx, const char *space, const struct numbers *task,
        int64_t *out, size_t *n)
{
    const int64_t rank = task->at[0], size = task->at[1];
    int64_t cells[CELLS + 2], next[CELLS + 2];
    int status = 0;

    memcpy(cells, task->at + 2, sizeof cells);
    for (int64_t step = 0; step < STEPS && status == 0; step++) {
        memcpy(next, cells, sizeof next);
        heat_step(cells, next, CELLS);
        memcpy(cells, next, sizeof cells);
        if (rank > 0)
            status = edge_swap(ctx, space, step, rank, 0, cells[1], &cells[0]);
        if (rank < size - 1 && status == 0)
            status = edge_swap(ctx, space, step, rank, 1, cells[CELLS],
                               &cells[CELLS + 1]);
    }
    memcpy(out, cells + 1, CELLS * sizeof *out);
    *n = CELLS;
    return status;
}

static int
do_task(struct plex_ctx *ctx, const char *space, const char *job,
        const struct numbers *task)
{
    int64_t out[NUMBERS_MAX];
    size_t n = task->n - 1;
    char head[64];
    int status = 0;

    memcpy(out, task->at + 1, n * sizeof *out);
    if (strcmp(job, "matrix") == 0)
        status = do_matrix(ctx, space, task, out, &n);
    else if (strcmp(job, "search") == 0)
        do_search(task, out, &n);
    else if (strcmp(job, "sort") == 0)
        qsort(out, n, sizeof *out, by_value);
    else if (strcmp(job, "heat") == 0)
        status = do_heat(ctx, space, task, out, &n);
    else
        out[0] *= out[0]; /* queue */
    (void)snprintf(head, sizeof head, "\"done\",%" PRId64, task->at[0]);
    return status != 0 ? status : put(ctx, space, head, out, n);
}

/* "JOB" of ["task","JOB",...]. */
static bool
job_of(const struct plex_value *fields, char *out, size_t size)
{
    static const char head[] = "[\"task\",\"";
    const char *from = (const char *)fields->data + sizeof head - 1, *to;

    if (fields->len < sizeof head ||
        memcmp(fields->data, head, sizeof head - 1) != 0)
        return false;
    to = memchr(from, '"', fields->len - (sizeof head - 1));
    if (to == NULL || (size_t)(to - from) >= size)
        return false;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
    return true;
}

static int
hand(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const char any[] = "[\"task\",{\"type\":\"string\"},{\"any\":true},"
                              "{\"any\":true}]";
    struct plex_value fields;
    struct numbers task;
    char job[16], space[64];
    const char *name;

    (void)msg;
    if (plex_json_text(ctx, "space", &name) != 1)
        return plex_fail(ctx, "which space?");
    (void)snprintf(space, sizeof space, "%s", name);
    for (;;) {
        const int status = plex_tuple_in(ctx, space, any, 2 * WAIT_MS, &fields);

        if (status != 0) {
            plex_logf(ctx, 1, "no task: %d %.*s", status, (int)fields.len,
                      (const char *)fields.data);
            return 0;
        }
        if (!job_of(&fields, job, sizeof job) || strcmp(job, "stop") == 0)
            return 0;
        numbers_read(&fields, &task);
        if (task.n < 2 || do_task(ctx, space, job, &task) != 0)
            return plex_fail(ctx, "the task could not be done");
    }
}

/* -- the driver -- */

struct plan {
    char job[16], space[64];
    int64_t hands;
    size_t tasks;
    int64_t *want; /* the sequential result, and how long one task's is */
    size_t each;
    int status;
};

static int64_t *
room(struct plan *plan, size_t tasks, size_t each)
{
    plan->tasks = tasks;
    plan->each = each;
    plan->want = calloc(tasks * each + 1, sizeof *plan->want);
    if (plan->want == NULL)
        plan->status = PLEX_E_LIMIT;
    return plan->want;
}

static void
task_add(struct plex_ctx *ctx, struct plan *plan, size_t i, const int64_t *at,
         size_t n)
{
    if (plan->status == 0)
        plan->status = put_task(ctx, plan->space, plan->job, i, at, n);
}

static void
plan_queue(struct plex_ctx *ctx, struct plan *plan)
{
    int64_t *want = room(plan, JOBS, 1);

    for (size_t i = 0; i < JOBS && want != NULL; i++) {
        const int64_t x = pseudo(i);

        want[i] = x * x;
        task_add(ctx, plan, i, &x, 1);
    }
}

static void
plan_matrix(struct plex_ctx *ctx, struct plan *plan)
{
    int64_t a[ROWS][ROWS], b[ROWS][ROWS], *want = room(plan, ROWS, ROWS);
    char head[32];

    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < ROWS; j++) {
            a[i][j] = pseudo(i * ROWS + j) - 500;
            b[i][j] = pseudo(1000 + i * ROWS + j) - 500;
        }
    for (size_t i = 0; i < ROWS && plan->status == 0; i++) {
        (void)snprintf(head, sizeof head, "\"row\",%zu", i);
        plan->status = put(ctx, plan->space, head, b[i], ROWS);
        task_add(ctx, plan, i, a[i], ROWS);
        for (size_t j = 0; j < ROWS; j++)
            for (size_t k = 0; k < ROWS; k++)
                want[i * ROWS + j] += a[i][k] * b[k][j];
    }
}

static void
plan_search(struct plex_ctx *ctx, struct plan *plan)
{
    const int64_t password = 12345;
    int64_t *want = room(plan, RANGES, 1), task[2];

    task[1] = password_hash(password);
    for (size_t i = 0; i < RANGES && want != NULL; i++) {
        task[0] = (int64_t)i * RANGE;
        want[i] =
            password >= task[0] && password < task[0] + RANGE ? password : -1;
        task_add(ctx, plan, i, task, 2);
    }
}

static void
plan_sort(struct plex_ctx *ctx, struct plan *plan)
{
    int64_t *want = room(plan, CHUNKS, CHUNK);

    for (size_t i = 0; i < CHUNKS * CHUNK && want != NULL; i++)
        want[i] = pseudo(i);
    for (size_t i = 0; i < CHUNKS && want != NULL; i++)
        task_add(ctx, plan, i, want + i * CHUNK, CHUNK);
    if (want != NULL)
        qsort(want, CHUNKS * CHUNK, sizeof *want, by_value);
}

/* As many tasks as hands: all must be under way at once. */
static void
plan_heat(struct plex_ctx *ctx, struct plan *plan)
{
    const size_t parts = (size_t)plan->hands, n = parts * CELLS;
    int64_t from[HANDS_MAX * CELLS + 2], to[HANDS_MAX * CELLS + 2];
    int64_t task[CELLS + 3], *want = room(plan, parts, CELLS);

    for (size_t i = 0; i < n + 2; i++)
        from[i] = pseudo(i) * 1000;
    for (size_t i = 0; i < parts; i++) {
        task[0] = (int64_t)parts;
        memcpy(task + 1, from + i * CELLS, (CELLS + 2) * sizeof *task);
        task_add(ctx, plan, i, task, CELLS + 3);
    }
    for (int step = 0; step < STEPS; step++) {
        memcpy(to, from, sizeof to);
        heat_step(from, to, n);
        memcpy(from, to, sizeof from);
    }
    if (want != NULL)
        memcpy(want, from + 1, n * sizeof *want);
}

static const struct {
    const char *job;
    void (*plan)(struct plex_ctx *ctx, struct plan *plan);
} jobs[] = {
    {"queue", plan_queue}, {"matrix", plan_matrix}, {"search", plan_search},
    {"sort", plan_sort},   {"heat", plan_heat},
};

/* Into `got`, in the order of the tasks. */
static int
collect(struct plex_ctx *ctx, const struct plan *plan, int64_t *got)
{
    struct plex_value fields;
    struct numbers result;
    char pattern[64];

    for (size_t i = 0; i < plan->tasks; i++) {
        int status;

        (void)snprintf(pattern, sizeof pattern, "[\"done\",%zu,{\"any\":true}]",
                       i);
        status = plex_tuple_in(ctx, plan->space, pattern, WAIT_MS, &fields);
        if (status != 0)
            return status;
        numbers_read(&fields, &result);
        if (result.n != plan->each + 1)
            return PLEX_E_FAILED;
        memcpy(got + i * plan->each, result.at + 1, plan->each * sizeof *got);
    }
    return 0;
}

/* The chunks are sorted; which of them has the least next? */
static void
merge(int64_t *got)
{
    int64_t all[CHUNKS * CHUNK];
    size_t at[CHUNKS] = {0};

    for (size_t i = 0; i < CHUNKS * CHUNK; i++) {
        size_t least = CHUNKS;

        for (size_t c = 0; c < CHUNKS; c++)
            if (at[c] < CHUNK &&
                (least == CHUNKS ||
                 got[c * CHUNK + at[c]] < got[least * CHUNK + at[least]]))
                least = c;
        all[i] = got[least * CHUNK + at[least]++];
    }
    memcpy(got, all, sizeof all);
}

/* The hands begin at once: plex_cast() would wait for the end of this turn. */
static void
hands_call(struct plex_ctx *ctx, const struct plan *plan, const char *key)
{
    char name[128], request[96];

    (void)snprintf(request, sizeof request, "{\"space\":\"%s\"}", plan->space);
    for (int64_t i = 0; i < plan->hands; i++) {
        (void)snprintf(name, sizeof name, "linda_hand/%.40s-%" PRId64, key, i);
        plex_cast_ref(ctx, plex_whereis(ctx, name), 0, request,
                      strlen(request));
    }
}

static void
work(struct plex_ctx *ctx, struct plan *plan, size_t job, const char *key)
{
    const int64_t none = 0;
    int64_t *got;
    size_t n;

    plan->status = plex_tuple_clear(ctx, plan->space, "[]");
    if (plan->status == 0)
        jobs[job].plan(ctx, plan);
    if (plan->status != 0) {
        plex_reply_problem(ctx, 503, "the tuple space refused: %d",
                           plan->status);
        return;
    }
    n = plan->tasks * plan->each;
    got = calloc(n + 1, sizeof *got);
    hands_call(ctx, plan, key);
    plan->status = got == NULL ? PLEX_E_LIMIT : collect(ctx, plan, got);
    for (int64_t i = 0; i < plan->hands; i++)
        (void)put_task(ctx, plan->space, "stop", 0, &none, 1);
    if (plan->status == 0 && strcmp(plan->job, "sort") == 0)
        merge(got);
    if (plan->status != 0)
        plex_reply_problem(ctx, 503, "results are missing: %d", plan->status);
    else
        plex_reply_json(ctx,
                        "{\"ok\":%s,\"job\":\"%s\",\"tasks\":%zu,"
                        "\"numbers\":%zu}",
                        memcmp(got, plan->want, n * sizeof *got) == 0 ? "true"
                                                                      : "false",
                        plan->job, plan->tasks, n);
    free(got);
}

static int
driver(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *key = plex_self(ctx, NULL, NULL, NULL), *name = "queue";
    const size_t known = sizeof jobs / sizeof jobs[0];
    struct plan plan = {.hands = 3};
    size_t job = 0;

    (void)msg;
    (void)plex_json_text(ctx, "job", &name);
    (void)plex_json_int(ctx, "hands", &plan.hands);
    while (job < known && strcmp(jobs[job].job, name) != 0)
        job++;
    if (job == known || plan.hands < 1 || plan.hands > HANDS_MAX ||
        strlen(key) > 40) {
        plex_reply_problem(ctx, 400,
                           "job is queue, matrix, search, sort or heat; hands "
                           "1 to %d; the key at most 40 characters",
                           HANDS_MAX);
        return 0;
    }
    (void)snprintf(plan.job, sizeof plan.job, "%s", name);
    (void)snprintf(plan.space, sizeof plan.space, "linda-%s", key);
    work(ctx, &plan, job, key);
    free(plan.want);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "driver", .handle_call = driver},
    {.name = "hand", .handle_call = hand, .handle_cast = hand},
    {0},
};
PLEX_MODULE(behaviours);
