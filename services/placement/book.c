#include "services/placement/book.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct worker {
    struct worker *next;
    char *node_id;
    uint64_t incarnation;
    bool draining, waiting;
    struct place_amounts capacity;
    /* Wide enough for all that may be reserved: it never overflows. */
    unsigned __int128 reserved[PLACE_RESOURCES];
    struct place_label *labels;
    size_t n_labels;
    struct place_resident *residents; /* of place_book_workers() */
    size_t n_residents;
};
struct reservation {
    UT_hash_handle hh; /* in the order in which they were made */
    char *request_id, *actor;
    struct place_label *marks;
    size_t n_marks;
    struct place_amounts amounts;
    struct worker *worker;
    uint64_t until_ns;
    bool aside; /* while another one is chosen that would follow it */
};
struct place_book {
    struct place_book_config config;
    struct worker *workers, **workers_tail;
    struct reservation *reservations; /* by request id */
    uint64_t due_ns;                  /* no reservation runs out before */
    bool due_known;
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

static void
add(struct worker *worker, const struct place_amounts *amounts)
{
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        worker->reserved[i] += amounts->of[i];
}

static void
subtract(struct worker *worker, const struct place_amounts *amounts)
{
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        worker->reserved[i] -= amounts->of[i];
}

static struct place_amounts
reserved_of(const struct worker *worker)
{
    struct place_amounts amounts;

    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        amounts.of[i] = worker->reserved[i] > UINT64_MAX
                            ? UINT64_MAX
                            : (uint64_t)worker->reserved[i];
    return amounts;
}

/* -- reservations ---------------------------------------------------------- */

static struct reservation *
find(const struct place_book *book, const char *request_id)
{
    struct reservation *held;

    HASH_FIND_STR(book->reservations, request_id, held);
    return held;
}

static void
until_set(struct place_book *book, struct reservation *held, uint64_t until_ns)
{
    if (held->until_ns == book->due_ns && until_ns > held->until_ns)
        book->due_known = false;
    held->until_ns = until_ns;
    if (until_ns < book->due_ns)
        book->due_ns = until_ns;
}

static void
drop(struct place_book *book, struct reservation *held)
{
    subtract(held->worker, &held->amounts);
    HASH_DEL(book->reservations, held);
    book->n_reservations--;
    if (held->until_ns == book->due_ns)
        book->due_known = false;
    labels_free(held->marks, held->n_marks);
    free(held->request_id);
    free(held->actor);
    free(held);
}

static struct reservation *
reservation_add(struct place_book *book, const struct place_holding *of,
                struct worker *worker)
{
    struct reservation *held = plex_calloc(1, sizeof *held);

    held->request_id = plex_strdup(of->request_id);
    held->actor = plex_strdup(of->actor);
    held->marks = labels_copy(of->marks, of->n_marks);
    held->n_marks = of->n_marks;
    held->amounts = of->amounts;
    held->worker = worker;
    held->until_ns = UINT64_MAX;
    HASH_ADD_KEYPTR(hh, book->reservations, held->request_id,
                    strlen(held->request_id), held);
    book->n_reservations++;
    add(worker, &held->amounts);
    return held;
}

/* Those that run, or all. */
static void
strip(struct place_book *book, const struct worker *worker, bool all)
{
    struct reservation *held, *next;

    HASH_ITER(hh, book->reservations, held, next)
    {
        if (held->worker == worker && (all || held->until_ns == UINT64_MAX))
            drop(book, held);
    }
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
        strip(book, worker, true);
    }
    labels_free(worker->labels, worker->n_labels);
    worker->labels = labels_copy(capacity->labels, capacity->n_labels);
    worker->n_labels = capacity->n_labels;
    worker->incarnation = capacity->incarnation;
    worker->draining = capacity->draining;
    worker->waiting = capacity->waiting;
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
    strip(book, worker, true);
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
         held = held->hh.next)
        held->worker->n_residents += !held->aside;
    free_from = book->residents;
    for (struct worker *worker = book->workers; worker != NULL;
         worker = worker->next) {
        worker->residents = free_from;
        free_from += worker->n_residents;
        worker->n_residents = 0;
    }
    for (struct reservation *held = book->reservations; held != NULL;
         held = held->hh.next)
        if (!held->aside)
            held->worker->residents[held->worker->n_residents++] =
                (struct place_resident){held->actor, held->marks,
                                        held->n_marks};
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
            .ready = !worker->draining && !worker->waiting &&
                     (book->config.held_max == 0 ||
                      worker->n_residents < book->config.held_max),
            .capacity = worker->capacity,
            .reserved = reserved_of(worker),
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
holding_check(const struct place_holding *of, struct plex_err *err)
{
    if (name_check("request_id", of->request_id, true, err) != PLEX_OK ||
        name_check("actor", of->actor, false, err) != PLEX_OK ||
        labels_check(of->marks, of->n_marks, err) != PLEX_OK)
        return err->status;
    return PLEX_OK;
}

static enum plex_status
room_check(const struct place_book *book, struct plex_err *err)
{
    if (book->n_reservations < book->config.reservations_max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_LIMIT,
                        "there are %" PRIu32 " reservations already",
                        book->n_reservations);
}

static void
held_set(const struct reservation *held, bool again, struct place_held *out)
{
    *out = (struct place_held){
        .node_id = held->worker->node_id,
        .incarnation = held->worker->incarnation,
        .again = again,
        .runs = held->until_ns == UINT64_MAX,
        .amounts = held->amounts,
    };
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
    if (held->until_ns == UINT64_MAX) { /* it runs there */
        held_set(held, true, out);
        return PLEX_OK;
    }
    if (from->draining && choose(book, ask, &to, &none) != PLEX_OK)
        to = from; /* better there than nowhere */
    held->worker = to;
    until_set(book, held, ask->until_ns);
    if (to != from) {
        subtract(from, &held->amounts);
        add(to, &held->amounts);
    }
    held_set(held, to == from, out);
    return PLEX_OK;
}

/* What the actor had until now; how many there are. */
static uint32_t
set_aside(struct place_book *book, const struct place_ask *ask)
{
    uint32_t n = 0;

    for (struct reservation *held = ask->alone ? book->reservations : NULL;
         held != NULL; held = held->hh.next)
        if (strcmp(held->actor, ask->actor) == 0) {
            held->aside = true;
            subtract(held->worker, &held->amounts);
            n++;
        }
    return n;
}

static void
take_back(struct place_book *book, bool ended)
{
    struct reservation *held, *next;

    HASH_ITER(hh, book->reservations, held, next)
    {
        if (!held->aside)
            continue;
        held->aside = false;
        add(held->worker, &held->amounts);
        if (ended)
            drop(book, held);
    }
}

enum plex_status
place_book_reserve(struct place_book *book, const struct place_ask *ask,
                   struct place_held *out, struct plex_err *err)
{
    const struct place_holding of = {
        .request_id = ask->request_id,
        .actor = ask->actor,
        .marks = ask->marks,
        .n_marks = ask->n_marks,
        .amounts = ask->need.amounts,
    };
    struct reservation *held;
    struct worker *worker;
    enum plex_status status;
    uint32_t aside;

    if (holding_check(&of, err) != PLEX_OK)
        return err->status;
    held = find(book, ask->request_id);
    if (held != NULL)
        return renew(book, held, ask, out, err);
    aside = set_aside(book, ask);
    status = aside > 0 ? PLEX_OK : room_check(book, err);
    if (status == PLEX_OK)
        status = choose(book, ask, &worker, err);
    if (aside > 0)
        take_back(book, status == PLEX_OK);
    if (status != PLEX_OK)
        return status;
    held = reservation_add(book, &of, worker);
    until_set(book, held, ask->until_ns);
    held_set(held, false, out);
    return PLEX_OK;
}

enum plex_status
place_book_hold(struct place_book *book, const char *node_id,
                const struct place_holding *holding, struct plex_err *err)
{
    struct worker *worker = *worker_at(book, node_id);
    struct reservation *held;

    if (worker == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no worker \"%.64s\" has said what it can hold",
                            node_id);
    if (holding_check(holding, err) != PLEX_OK)
        return err->status;
    held = find(book, holding->request_id);
    if (held != NULL)
        drop(book, held);
    if (room_check(book, err) != PLEX_OK)
        return err->status;
    (void)reservation_add(book, holding, worker);
    return PLEX_OK;
}

void
place_book_forget(struct place_book *book, const char *node_id)
{
    const struct worker *worker = *worker_at(book, node_id);

    if (worker != NULL)
        strip(book, worker, false);
}

void
place_book_drain(struct place_book *book, const char *node_id)
{
    struct worker *worker = *worker_at(book, node_id);

    if (worker != NULL)
        worker->draining = true;
}

void
place_book_wait(struct place_book *book, const char *node_id, bool waiting)
{
    struct worker *worker = *worker_at(book, node_id);

    if (worker != NULL)
        worker->waiting = waiting;
}

enum plex_status
place_book_find(const struct place_book *book, const char *request_id,
                struct place_held *out, struct plex_err *err)
{
    const struct reservation *held = find(book, request_id);

    if (held == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "request %.80s has nothing reserved", request_id);
    held_set(held, true, out);
    return PLEX_OK;
}

bool
place_book_release(struct place_book *book, const char *request_id)
{
    struct reservation *held = find(book, request_id);

    if (held == NULL)
        return false;
    drop(book, held);
    return true;
}

size_t
place_book_expire(struct place_book *book, uint64_t now_ns)
{
    struct reservation *held, *next;
    size_t n = 0;

    if (place_book_due(book) > now_ns)
        return 0;
    HASH_ITER(hh, book->reservations, held, next)
    {
        if (held->until_ns <= now_ns) {
            drop(book, held);
            n++;
        }
    }
    return n;
}

uint64_t
place_book_due(struct place_book *book)
{
    if (book->due_known)
        return book->due_ns;
    book->due_ns = UINT64_MAX;
    for (const struct reservation *held = book->reservations; held != NULL;
         held = held->hh.next)
        if (held->until_ns < book->due_ns)
            book->due_ns = held->until_ns;
    book->due_known = true;
    return book->due_ns;
}

uint32_t
place_book_count(const struct place_book *book)
{
    return book->n_reservations;
}

/* -- life ------------------------------------------------------------------ */

struct place_book *
place_book_create(const struct place_book_config *config)
{
    struct place_book *book = plex_calloc(1, sizeof *book);

    book->config = *config;
    book->workers_tail = &book->workers;
    book->due_ns = UINT64_MAX;
    book->due_known = true;
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
