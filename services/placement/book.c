#include "services/placement/book.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct worker *next;
    char *node_id;
    uint64_t incarnation;
    bool draining;
    struct place_amounts capacity, reserved;
    struct place_label *labels;
    size_t n_labels;
    struct place_resident *residents; /* of place_book_workers() */
    size_t n_residents;
};
struct reservation {
    struct reservation *next;
    char *request_id, *actor;
    struct place_label *marks;
    size_t n_marks;
    struct place_amounts amounts;
    struct worker *worker;
    uint64_t until_ns;
};
struct place_book {
    struct place_book_config config;
    struct worker *workers, **workers_tail;
    struct reservation *reservations;
    uint32_t n_workers, n_reservations;
    struct place_candidate *candidates; /* scratch */
    struct place_resident *residents;   /* scratch */
};

/* -- parts ----------------------------------------------------------------- */

static struct place_label *
labels_copy(const struct place_label *from, size_t n)
{
    struct place_label *labels = plex_calloc(n + 1, sizeof *labels);

    for (size_t i = 0; i < n; i++)
        labels[i] = (struct place_label){plex_strdup(from[i].key),
                                         plex_strdup(from[i].value)};
    return labels;
}

static void
labels_free(struct place_label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)labels[i].key);
        free((void *)(uintptr_t)labels[i].value);
    }
    free(labels);
}

static enum plex_status
name_check(const char *what, const char *name, bool needed,
           struct plex_err *err)
{
    const size_t len = strlen(name);

    if (len > PLACE_BOOK_NAME_MAX || (needed && len == 0))
        return plex_err_set(err, PLEX_INVALID,
                            "%s has %zu bytes, it must have %d to %d", what,
                            len, needed, PLACE_BOOK_NAME_MAX);
    return PLEX_OK;
}

static enum plex_status
labels_check(const struct place_label *labels, size_t n, struct plex_err *err)
{
    if (n > PLACE_BOOK_LABELS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%zu labels, at most %d are allowed", n,
                            PLACE_BOOK_LABELS_MAX);
    for (size_t i = 0; i < n; i++)
        if (name_check("a label's key", labels[i].key, true, err) != PLEX_OK ||
            name_check("a label's value", labels[i].value, false, err) !=
                PLEX_OK)
            return err->status;
    return PLEX_OK;
}

/* -- sums ------------------------------------------------------------------ */

/* Sums stop at the largest number; a capacity without a limit has no sum. */
static void
add(struct place_amounts *to, const struct place_amounts *amounts)
{
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        if (__builtin_add_overflow(to->of[i], amounts->of[i], &to->of[i]))
            to->of[i] = UINT64_MAX;
}

/* Anew rather than by subtraction: a sum that stopped cannot be undone. */
static void
sum(struct place_book *book, struct worker *worker)
{
    worker->reserved = (struct place_amounts){{0}};
    for (const struct reservation *held = book->reservations; held != NULL;
         held = held->next)
        if (held->worker == worker)
            add(&worker->reserved, &held->amounts);
}

/* -- reservations ---------------------------------------------------------- */

static struct reservation **
find(struct reservation *const *from, const char *request_id)
{
    struct reservation **at = (struct reservation **)(uintptr_t)from;

    while (*at != NULL && strcmp((*at)->request_id, request_id) != 0)
        at = &(*at)->next;
    return at;
}

static void
reservation_free(struct reservation *held)
{
    labels_free(held->marks, held->n_marks);
    free(held->request_id);
    free(held->actor);
    free(held);
}

/* Without what it leaves free: sum() follows. */
static void
drop(struct place_book *book, struct reservation **at)
{
    struct reservation *held = *at;

    *at = held->next;
    book->n_reservations--;
    reservation_free(held);
}

static void
strip(struct place_book *book, struct worker *worker)
{
    for (struct reservation **at = &book->reservations; *at != NULL;)
        if ((*at)->worker == worker)
            drop(book, at);
        else
            at = &(*at)->next;
    worker->reserved = (struct place_amounts){{0}};
}

/* -- workers --------------------------------------------------------------- */

static struct worker **
worker_at(struct place_book *book, const char *node_id)
{
    struct worker **at = &book->workers;

    while (*at != NULL && strcmp((*at)->node_id, node_id) != 0)
        at = &(*at)->next;
    return at;
}

static void
worker_free(struct worker *worker)
{
    labels_free(worker->labels, worker->n_labels);
    free(worker->node_id);
    free(worker);
}

enum plex_status
place_book_worker(struct place_book *book,
                  const struct place_capacity *capacity, struct plex_err *err)
{
    struct worker *worker;

    if (name_check("node_id", capacity->node_id, true, err) != PLEX_OK ||
        labels_check(capacity->labels, capacity->n_labels, err) != PLEX_OK)
        return err->status;
    if (capacity->incarnation == 0)
        return plex_err_set(err, PLEX_INVALID, "incarnation must not be 0");
    worker = *worker_at(book, capacity->node_id);
    if (worker == NULL && book->n_workers == book->config.workers_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "there are %" PRIu32 " workers "
                            "already",
                            book->n_workers);
    if (worker == NULL) {
        worker = plex_calloc(1, sizeof *worker);
        worker->node_id = plex_strdup(capacity->node_id);
        *book->workers_tail = worker;
        book->workers_tail = &worker->next;
        book->n_workers++;
    } else if (worker->incarnation != capacity->incarnation) {
        strip(book, worker);
    }
    labels_free(worker->labels, worker->n_labels);
    worker->labels = labels_copy(capacity->labels, capacity->n_labels);
    worker->n_labels = capacity->n_labels;
    worker->incarnation = capacity->incarnation;
    worker->draining = capacity->draining;
    worker->capacity = capacity->amounts;
    return PLEX_OK;
}

void
place_book_worker_gone(struct place_book *book, const char *node_id)
{
    struct worker **at = worker_at(book, node_id);
    struct worker *worker = *at;

    if (worker == NULL)
        return;
    strip(book, worker);
    *at = worker->next;
    if (book->workers_tail == &worker->next)
        book->workers_tail = at;
    book->n_workers--;
    worker_free(worker);
}

/* Everybody's residents, one after the other in one array. */
static void
residents_fill(struct place_book *book)
{
    struct place_resident *free_from;

    book->residents = plex_reallocarray(
        book->residents, book->n_reservations + 1, sizeof *book->residents);
    for (struct reservation *held = book->reservations; held != NULL;
         held = held->next)
        held->worker->n_residents++;
    free_from = book->residents;
    for (struct worker *worker = book->workers; worker != NULL;
         worker = worker->next) {
        worker->residents = free_from;
        free_from += worker->n_residents;
        worker->n_residents = 0;
    }
    for (struct reservation *held = book->reservations; held != NULL;
         held = held->next)
        held->worker->residents[held->worker->n_residents++] =
            (struct place_resident){held->actor, held->marks, held->n_marks};
}

const struct place_candidate *
place_book_workers(struct place_book *book, size_t *n)
{
    size_t i = 0;

    for (struct worker *worker = book->workers; worker != NULL;
         worker = worker->next)
        worker->n_residents = 0;
    residents_fill(book);
    for (struct worker *worker = book->workers; worker != NULL;
         worker = worker->next) {
        book->candidates[i++] = (struct place_candidate){
            .node_id = worker->node_id,
            .ready = !worker->draining,
            .capacity = worker->capacity,
            .reserved = worker->reserved,
            .labels = worker->labels,
            .n_labels = worker->n_labels,
            .residents = worker->residents,
            .n_residents = worker->n_residents,
        };
    }
    *n = i;
    return book->candidates;
}

/* -- reserving ------------------------------------------------------------- */

static enum plex_status
ask_check(const struct place_ask *ask, struct plex_err *err)
{
    if (name_check("request_id", ask->request_id, true, err) != PLEX_OK ||
        name_check("actor", ask->actor, false, err) != PLEX_OK ||
        labels_check(ask->marks, ask->n_marks, err) != PLEX_OK)
        return err->status;
    return PLEX_OK;
}

static void
held_set(const struct reservation *held, bool again, struct place_held *out)
{
    *out = (struct place_held){held->worker->node_id, held->worker->incarnation,
                               again};
}

/* Sets *out to the worker that fits. */
static enum plex_status
choose(struct place_book *book, const struct place_ask *ask,
       struct worker **out, struct plex_err *err)
{
    size_t n, at;
    const struct place_candidate *workers = place_book_workers(book, &n);

    if (place_select(workers, n, &ask->need, &at, err) != PLEX_OK)
        return err->status;
    *out = *worker_at(book, workers[at].node_id);
    return PLEX_OK;
}

static enum plex_status
renew(struct place_book *book, struct reservation *held,
      const struct place_ask *ask, struct place_held *out, struct plex_err *err)
{
    struct worker *from = held->worker, *to = from;
    struct plex_err none;

    if (memcmp(&held->amounts, &ask->need.amounts, sizeof held->amounts) != 0 ||
        strcmp(held->actor, ask->actor) != 0)
        return plex_err_set(err, PLEX_MISMATCH,
                            "request %.80s has reserved something else",
                            ask->request_id);
    if (from->draining && choose(book, ask, &to, &none) != PLEX_OK)
        to = from; /* better there than nowhere */
    held->worker = to;
    held->until_ns = ask->until_ns;
    if (to != from) {
        sum(book, from);
        sum(book, to);
    }
    held_set(held, to == from, out);
    return PLEX_OK;
}

enum plex_status
place_book_reserve(struct place_book *book, const struct place_ask *ask,
                   struct place_held *out, struct plex_err *err)
{
    struct reservation *held;
    struct worker *worker;

    if (ask_check(ask, err) != PLEX_OK)
        return err->status;
    held = *find(&book->reservations, ask->request_id);
    if (held != NULL)
        return renew(book, held, ask, out, err);
    if (book->n_reservations == book->config.reservations_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "there are %" PRIu32 " reservations already",
                            book->n_reservations);
    if (choose(book, ask, &worker, err) != PLEX_OK)
        return err->status;
    held = plex_calloc(1, sizeof *held);
    held->request_id = plex_strdup(ask->request_id);
    held->actor = plex_strdup(ask->actor);
    held->marks = labels_copy(ask->marks, ask->n_marks);
    held->n_marks = ask->n_marks;
    held->amounts = ask->need.amounts;
    held->worker = worker;
    held->until_ns = ask->until_ns;
    held->next = book->reservations;
    book->reservations = held;
    book->n_reservations++;
    add(&worker->reserved, &held->amounts);
    held_set(held, false, out);
    return PLEX_OK;
}

enum plex_status
place_book_find(const struct place_book *book, const char *request_id,
                struct place_held *out, struct plex_err *err)
{
    const struct reservation *held = *find(&book->reservations, request_id);

    if (held == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "request %.80s has nothing reserved", request_id);
    held_set(held, true, out);
    return PLEX_OK;
}

bool
place_book_release(struct place_book *book, const char *request_id)
{
    struct reservation **at = find(&book->reservations, request_id);
    struct worker *worker;

    if (*at == NULL)
        return false;
    worker = (*at)->worker;
    drop(book, at);
    sum(book, worker);
    return true;
}

size_t
place_book_expire(struct place_book *book, uint64_t now_ns)
{
    size_t n = 0;

    for (struct reservation **at = &book->reservations; *at != NULL;)
        if ((*at)->until_ns <= now_ns) {
            drop(book, at);
            n++;
        } else {
            at = &(*at)->next;
        }
    for (struct worker *worker = book->workers; worker != NULL && n > 0;
         worker = worker->next)
        sum(book, worker);
    return n;
}

uint64_t
place_book_due(const struct place_book *book)
{
    uint64_t due = UINT64_MAX;

    for (const struct reservation *held = book->reservations; held != NULL;
         held = held->next)
        if (held->until_ns < due)
            due = held->until_ns;
    return due;
}

/* -- life ------------------------------------------------------------------ */

struct place_book *
place_book_create(const struct place_book_config *config)
{
    struct place_book *book = plex_calloc(1, sizeof *book);

    book->config = *config;
    book->workers_tail = &book->workers;
    book->candidates =
        plex_calloc(config->workers_max + 1, sizeof *book->candidates);
    return book;
}

void
place_book_free(struct place_book *book)
{
    if (book == NULL)
        return;
    while (book->workers != NULL)
        place_book_worker_gone(book, book->workers->node_id);
    free(book->candidates);
    free(book->residents);
    free(book);
}
