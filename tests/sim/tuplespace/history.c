#include "tests/sim/tuplespace/history.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct held {
    int16_t key, n;
    int16_t written; /* by this step; stays when it is swapped */
    int16_t claim;   /* hidden by this step; -1: nobody */
    bool expired;    /* while it was hidden */
};
struct place {
    uint64_t done;
    int n;
    struct held tuples[SPACE_MAX]; /* the oldest first */
};
struct seen {
    UT_hash_handle hh;
    size_t len;
    uint8_t bytes[];
};
struct search {
    const struct history *history;
    struct seen *seen;
};

static size_t
place_len(const struct place *place)
{
    return offsetof(struct place, tuples) +
           (size_t)place->n * sizeof place->tuples[0];
}

static bool
seen_before(struct search *search, const struct place *place)
{
    const size_t len = place_len(place);
    struct seen *seen;

    HASH_FIND(hh, search->seen, place, len, seen);
    if (seen != NULL)
        return true;
    seen = plex_calloc(1, sizeof *seen + len);
    seen->len = len;
    memcpy(seen->bytes, place, len);
    HASH_ADD_KEYPTR(hh, search->seen, seen->bytes, len, seen);
    return false;
}

static int
first_of(const struct place *place, int key)
{
    for (int i = 0; i < place->n; i++)
        if (place->tuples[i].key == key && place->tuples[i].claim < 0)
            return i;
    return -1;
}

static void
drop(struct place *place, int at)
{
    place->n--;
    memmove(&place->tuples[at], &place->tuples[at + 1],
            (size_t)(place->n - at) * sizeof place->tuples[0]);
}

static bool
all_is(const struct place *place, const struct history *history)
{
    int seen = 0;

    for (int i = 0; i < place->n; i++) {
        if (place->tuples[i].claim >= 0)
            continue;
        if (seen == history->n_all ||
            history->all[seen++] != place->tuples[i].n)
            return false;
    }
    return seen == history->n_all;
}

static bool
ends(struct place *place, const struct step *step)
{
    for (int i = 0; i < place->n; i++) {
        struct held *held = &place->tuples[i];

        if (step->kind == STEP_LAPSE && held->claim == step->of) {
            held->claim = -1;
            if (held->expired)
                drop(place, i);
            return true;
        }
        if (step->kind == STEP_EXPIRE && held->written == step->of) {
            if (held->claim >= 0)
                held->expired = true;
            else
                drop(place, i);
            return true;
        }
    }
    /* What was taken in time does not expire. */
    return step->kind == STEP_EXPIRE &&
           (place->done >> (unsigned)step->of & 1) != 0;
}

/* What the space is after step `i`; false: it cannot have been answered so. */
static bool
apply(struct place *place, const struct history *history, int i)
{
    const struct step *step = &history->steps[i];
    const int at = first_of(place, step->key);

    switch (step->kind) {
    case STEP_WRITE:
        memset(&place->tuples[place->n], 0, sizeof place->tuples[0]);
        place->tuples[place->n].key = (int16_t)step->key;
        place->tuples[place->n].n = (int16_t)step->n;
        place->tuples[place->n].written = (int16_t)i;
        place->tuples[place->n++].claim = -1;
        return true;
    case STEP_SWAP:
        if (at >= 0)
            place->tuples[at].n = (int16_t)step->n;
        return step->answer == (at >= 0);
    case STEP_READ:
    case STEP_TAKE:
    case STEP_CLAIM:
        if (step->answer != (at < 0 ? 0 : place->tuples[at].n))
            return false;
        if (at >= 0 && step->kind == STEP_TAKE)
            drop(place, at);
        else if (at >= 0 && step->kind == STEP_CLAIM)
            place->tuples[at].claim = (int16_t)i;
        return true;
    case STEP_ALL:
        return all_is(place, history);
    case STEP_LAPSE:
    case STEP_EXPIRE:
        break;
    }
    return ends(place, step);
}

static bool
explain(struct search *search, const struct place *place)
{
    const struct history *history = search->history;
    uint64_t first_end = UINT64_MAX;
    bool whole = true;

    if (seen_before(search, place))
        return false;
    for (int i = 0; i < history->n; i++) {
        if ((place->done >> i & 1) != 0)
            continue;
        whole = false;
        if (history->steps[i].end < first_end)
            first_end = history->steps[i].end;
    }
    for (int i = 0; i < history->n; i++) {
        struct place next;

        if ((place->done >> i & 1) != 0 || history->steps[i].begin > first_end)
            continue;
        memcpy(&next, place, sizeof next);
        if (!apply(&next, history, i))
            continue;
        next.done |= UINT64_C(1) << i;
        if (explain(search, &next))
            return true;
    }
    return whole;
}

bool
history_is_linearizable(const struct history *history)
{
    struct search search = {.history = history};
    struct seen *seen, *next;
    struct place empty;
    bool good;

    memset(&empty, 0, sizeof empty); /* its padding is compared, too */
    good = explain(&search, &empty);
    HASH_ITER(hh, search.seen, seen, next)
    {
        HASH_DEL(search.seen, seen);
        free(seen);
    }
    return good;
}
