/*
 * Two programs in the manner of MPI: ranks that compute each on its part, and
 * meet in collectives (docs/coordination.md). Calls to mpi/KEY:
 *
 *   {"job":"matvec"|"ocean","ranks":4}
 *
 * The actor that is called is rank 0; mpi_rank/KEY-1, -2, ... are the others.
 * Rank 0 compares the result with what it computes alone, to the last bit.
 *
 * matvec: the greatest eigenvalue of a matrix by power iteration. The rows are
 * scattered; each step multiplies them with the vector, reduces the greatest
 * element, and gathers the vector at all ranks.
 *
 * ocean: the stream function of a basin under wind, relaxed until nothing
 * changes by more than a limit. Each rank has a strip of rows, exchanges the
 * edges with its neighbours, and all agree on the greatest change.
 */
#include <plexspaces/coordination.h>

enum {
    RANKS_MAX = 8,
    ROWS = 24, /* divisible by 1, 2, 3, 4, 6 and 8 */
    POWER_STEPS = 6,
    COLUMNS = 16,
    OCEAN_STEPS = 40,
    CHECK_EVERY = 4,
    WAIT_MS = 20000,
};
static const double LIMIT = 0.02, RELAX = 0.25;

static double
pseudo(size_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (double)((x >> 33) % 1000) / 999.0;
}

/* -- matrix and vector ----------------------------------------------------- */

/* y = rows * x; the greatest element of y. */
static double
multiply(const double *rows, size_t n, const double *x, double *y)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        y[i] = 0;
        for (size_t j = 0; j < ROWS; j++)
            y[i] += rows[i * ROWS + j] * x[j];
        if (y[i] > most)
            most = y[i];
    }
    return most;
}

static void
matrix_fill(double *matrix, double *x)
{
    for (size_t i = 0; i < (size_t)ROWS * ROWS; i++)
        matrix[i] = pseudo(i);
    for (size_t i = 0; i < ROWS; i++)
        x[i] = 1;
}

static int
matvec(struct plex_ctx *ctx, struct plex_ranks *r, double *result)
{
    const struct plex_reducer most = {PLEX_MAX, NULL};
    const size_t n = ROWS / r->n;
    double matrix[ROWS * ROWS], rows[ROWS * ROWS], x[ROWS], y[ROWS];
    double mine, all = 0;
    int status;

    matrix_fill(matrix, x); /* of which only rank 0 makes use */
    status = plex_scatter(ctx, r, 0, plex_doubles(matrix, ROWS * ROWS),
                          plex_doubles(rows, n * ROWS));
    if (status == 0)
        status = plex_broadcast(ctx, r, 0, plex_doubles(x, ROWS));
    for (int step = 0; step < POWER_STEPS && status == 0; step++) {
        mine = multiply(rows, n, x, y);
        status = plex_allreduce(ctx, r, plex_doubles(&mine, 1),
                                plex_doubles(&all, 1), &most);
        for (size_t i = 0; i < n; i++)
            y[i] /= all;
        if (status == 0)
            status = plex_allgather(ctx, r, plex_doubles(y, n),
                                    plex_doubles(x, ROWS));
    }
    result[0] = all;
    memcpy(result + 1, x, sizeof x);
    return status;
}

static void
matvec_alone(double *result)
{
    double matrix[ROWS * ROWS], x[ROWS], y[ROWS], most = 0;

    matrix_fill(matrix, x);
    for (int step = 0; step < POWER_STEPS; step++) {
        most = multiply(matrix, ROWS, x, y);
        for (size_t i = 0; i < ROWS; i++)
            x[i] = y[i] / most;
    }
    result[0] = most;
    memcpy(result + 1, x, sizeof x);
}

/* -- ocean ------------------------------------------------------------------
 */

/* One step of `n` rows of which the one before and the one after are there,
 * too; the greatest change. The basin's coast is 0. */
static double
relax(double *from, double *to, size_t n, size_t first)
{
    double most = 0;

    for (size_t i = 1; i <= n; i++)
        for (size_t j = 0; j < COLUMNS; j++) {
            const double *at = from + i * COLUMNS + j;
            const double wind = pseudo((first + i - 1) * COLUMNS + j) - 0.5;
            const double west = j == 0 ? 0 : at[-1];
            const double east = j == COLUMNS - 1 ? 0 : at[1];
            const double new =
                RELAX *(at[-COLUMNS] + at[COLUMNS] + west + east - wind);
            const double change = new > *at ? new - *at : *at - new;

            to[i * COLUMNS + j] = new;
            if (change > most)
                most = change;
        }
    memcpy(from + COLUMNS, to + COLUMNS, n * COLUMNS * sizeof *to);
    return most;
}

/* The rows at either edge, to the neighbours and from them. */
static int
edges(struct plex_ctx *ctx, struct plex_ranks *r, double *rows, size_t n,
      uint64_t step)
{
    const uint32_t rank = r->rank;
    int status = 0;

    if (rank > 0)
        status = plex_rank_send(ctx, r, rank - 1, step,
                                plex_doubles(rows + COLUMNS, COLUMNS));
    if (rank + 1 < r->n && status == 0)
        status = plex_rank_send(ctx, r, rank + 1, step,
                                plex_doubles(rows + n * COLUMNS, COLUMNS));
    if (rank > 0 && status == 0)
        status = plex_rank_receive(ctx, r, rank - 1, step,
                                   plex_doubles(rows, COLUMNS));
    if (rank + 1 < r->n && status == 0)
        status =
            plex_rank_receive(ctx, r, rank + 1, step,
                              plex_doubles(rows + (n + 1) * COLUMNS, COLUMNS));
    return status;
}

/* result: the number of steps, and the basin. */
static int
ocean(struct plex_ctx *ctx, struct plex_ranks *r, double *result)
{
    const struct plex_reducer most = {PLEX_MAX, NULL};
    const size_t n = ROWS / r->n;
    double rows[(ROWS + 2) * COLUMNS] = {0}, next[(ROWS + 2) * COLUMNS] = {0};
    double mine, all = 1;
    uint64_t step = 0;
    int status = 0;

    while (step < OCEAN_STEPS && all > LIMIT && status == 0) {
        status = edges(ctx, r, rows, n, step);
        mine = relax(rows, next, n, r->rank * n);
        if (++step % CHECK_EVERY == 0 && status == 0)
            status = plex_allreduce(ctx, r, plex_doubles(&mine, 1),
                                    plex_doubles(&all, 1), &most);
    }
    result[0] = (double)step;
    if (status == 0)
        status =
            plex_gather(ctx, r, 0, plex_doubles(rows + COLUMNS, n * COLUMNS),
                        plex_doubles(result + 1, ROWS * COLUMNS));
    return status;
}

static void
ocean_alone(double *result)
{
    double rows[(ROWS + 2) * COLUMNS] = {0}, next[(ROWS + 2) * COLUMNS] = {0};
    double change = 1;
    int step = 0;

    while (step < OCEAN_STEPS && change > LIMIT) {
        const double last = relax(rows, next, ROWS, 0);

        if (++step % CHECK_EVERY == 0)
            change = last;
    }
    result[0] = step;
    memcpy(result + 1, rows + COLUMNS, ROWS * COLUMNS * sizeof *rows);
}

/* -- actors ---------------------------------------------------------------- */

static const struct job {
    const char *name;
    int (*rank)(struct plex_ctx *ctx, struct plex_ranks *r, double *result);
    void (*alone)(double *result);
    size_t n;
} jobs[] = {
    {"matvec", matvec, matvec_alone, 1 + ROWS},
    {"ocean", ocean, ocean_alone, 1 + ROWS *COLUMNS},
};

static const struct job *
job_find(struct plex_ctx *ctx)
{
    const char *name = "matvec";

    (void)plex_json_text(ctx, "job", &name);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
        if (strcmp(jobs[i].name, name) == 0)
            return &jobs[i];
    return NULL;
}

static int
other_rank(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct job *job = job_find(ctx);
    const char *group = "";
    int64_t rank = 0, n = 0;
    double result[1 + ROWS * COLUMNS];
    struct plex_ranks r;

    (void)msg;
    (void)plex_json_text(ctx, "group", &group);
    (void)plex_json_int(ctx, "rank", &rank);
    (void)plex_json_int(ctx, "ranks", &n);
    if (job == NULL || rank < 1 || n > RANKS_MAX ||
        plex_ranks_open(ctx, &r, "mpi", group, (uint32_t)rank, (uint32_t)n) !=
            0)
        return plex_fail(ctx, "not a rank of any job");
    r.timeout_ms = WAIT_MS;
    if (job->rank(ctx, &r, result) != 0)
        plex_logf(ctx, 1, "rank %u did not come to round %llu", r.missing,
                  (unsigned long long)r.round);
    return 0;
}

/* The others begin at once: plex_cast() would wait for the end of this turn. */
static void
others_call(struct plex_ctx *ctx, const struct job *job, const char *group,
            int64_t ranks)
{
    const char *key = plex_self(ctx, NULL, NULL, NULL);
    char name[128], request[256];

    for (int64_t i = 1; i < ranks; i++) {
        (void)snprintf(name, sizeof name, "mpi_rank/%.64s-%d", key, (int)i);
        (void)snprintf(request, sizeof request,
                       "{\"job\":\"%s\",\"group\":\"%s\",\"rank\":%d,"
                       "\"ranks\":%d}",
                       job->name, group, (int)i, (int)ranks);
        plex_cast_ref(ctx, plex_whereis(ctx, name), 0, request,
                      strlen(request));
    }
}

static int
first_rank(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct job *job = job_find(ctx);
    double result[1 + ROWS * COLUMNS], want[1 + ROWS * COLUMNS];
    int64_t ranks = 3;
    struct plex_ranks r;
    char group[32];
    int status;

    (void)msg;
    (void)plex_json_int(ctx, "ranks", &ranks);
    if (job == NULL || ranks < 1 || ranks > RANKS_MAX || ROWS % ranks != 0) {
        plex_reply_problem(ctx, 400,
                           "job is matvec or ocean; ranks 1, 2, 3, 4, 6 or 8");
        return 0;
    }
    /* Each run of a job is a group of its own. */
    (void)snprintf(group, sizeof group, "%016llx",
                   (unsigned long long)plex_coord_random(ctx));
    status = plex_ranks_open(ctx, &r, "mpi", group, 0, (uint32_t)ranks);
    r.timeout_ms = WAIT_MS;
    others_call(ctx, job, group, ranks);
    if (status == 0)
        status = job->rank(ctx, &r, result);
    if (status != 0) {
        plex_reply_problem(ctx, 503, "rank %u is missing: %d", r.missing,
                           status);
        return 0;
    }
    job->alone(want);
    plex_reply_json(
        ctx,
        "{\"ok\":%s,\"job\":\"%s\",\"ranks\":%d,\"rounds\":%llu,"
        "\"first\":%.6g}",
        memcmp(result, want, job->n * sizeof *want) == 0 ? "true" : "false",
        job->name, (int)ranks, (unsigned long long)r.round, result[0]);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "first", .handle_call = first_rank},
    {.name = "rank", .handle_call = other_rank, .handle_cast = other_rank},
    {0},
};
PLEX_MODULE(behaviours);
