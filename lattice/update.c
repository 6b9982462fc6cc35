/* Updates as deltas, and what a lattice says. */
#include "lattice/lattice_private.h"

#include "common/mem.h"

#include <assert.h>
#include <string.h>

/* Signed numbers in the order of unsigned ones. */
static const uint64_t shift = UINT64_C(1) << 63;

static struct lattice_entry
with_text(const char *text, size_t len)
{
    const struct lattice_entry from = {.text = (char *)(uintptr_t)text,
                                       .len = len};

    return len == 0 ? (struct lattice_entry){0} : lattice_entry_copy(&from);
}

static struct lattice *
one(enum lattice_kind kind, struct lattice_entry entry)
{
    struct lattice *delta = lattice_create(kind);

    lattice_append(delta, entry);
    return delta;
}

struct lattice *
lattice_set_number(enum lattice_kind kind, int64_t value)
{
    return one(kind, (struct lattice_entry){.x = (uint64_t)value ^ shift});
}

struct lattice *
lattice_set_value(const struct lattice *now, uint64_t self, uint64_t at_ms,
                  const char *value, size_t len)
{
    struct lattice_entry entry = with_text(value, len);

    entry.id = self;
    entry.x = at_ms > 0 ? at_ms : 1;
    if (now != NULL && now->n > 0 && now->entries[0].x >= entry.x)
        entry.x = now->entries[0].x + 1;
    if (entry.x > lattice_count_max)
        entry.x = lattice_count_max;
    return one(LATTICE_LWW, entry);
}

/* The adds of an element that the set has: [*begin, the result). */
static size_t
adds_of(const struct lattice *set, const char *text, size_t len, size_t *begin)
{
    const struct lattice_entry key = {.text = (char *)(uintptr_t)text,
                                      .len = len};
    bool found;
    size_t at = lattice_find(set, &key, &found); /* before all of them */

    *begin = at;
    while (at < set->n && set->entries[at].len == len &&
           (len == 0 || memcmp(set->entries[at].text, text, len) == 0))
        at++;
    return at;
}

static void
dot_note(struct lattice *set, uint64_t id, uint64_t x)
{
    struct lattice dot = {.kind = LATTICE_DOTS,
                          .entries = &(struct lattice_entry){.id = id, .x = x},
                          .n = 1};

    (void)lattice_merge(set->gaps, &dot);
}

static struct lattice *
without(const struct lattice *now, const char *text, size_t len)
{
    struct lattice *delta = lattice_create(LATTICE_OR_SET);
    size_t at = 0, end = 0;

    if (now != NULL)
        end = adds_of(now, text, len, &at);
    for (; at < end; at++)
        dot_note(delta, now->entries[at].id, now->entries[at].x);
    return delta;
}

struct lattice *
lattice_remove(const struct lattice *now, const char *text, size_t len)
{
    struct lattice *delta = without(now, text, len);

    lattice_settle(delta->seen, delta->gaps);
    return delta;
}

static uint64_t
newest_of(const struct lattice *set, uint64_t self)
{
    uint64_t newest = lattice_clock(set->seen, self);

    for (size_t i = 0; i < set->gaps->n; i++)
        if (set->gaps->entries[i].id == self &&
            set->gaps->entries[i].x > newest)
            newest = set->gaps->entries[i].x;
    return newest;
}

struct lattice *
lattice_add(enum lattice_kind set, const struct lattice *now, uint64_t self,
            const char *text, size_t len)
{
    const uint64_t x =
        now == NULL || set == LATTICE_G_SET ? 1 : newest_of(now, self) + 1;
    struct lattice_entry entry;
    struct lattice *delta;

    if (x > lattice_count_max)
        return NULL;
    entry = with_text(text, len);
    if (set == LATTICE_G_SET)
        return one(LATTICE_G_SET, entry);
    delta = without(now, text, len);
    entry.id = self;
    entry.x = x;
    dot_note(delta, self, entry.x);
    lattice_append(delta, entry);
    lattice_settle(delta->seen, delta->gaps);
    return delta;
}

struct lattice *
lattice_count(enum lattice_kind counter, const struct lattice *now,
              uint64_t self, uint64_t by, bool down)
{
    struct lattice_entry entry = {.id = self};
    bool found = false;
    size_t at;

    if (now != NULL) {
        at = lattice_find(now, &entry, &found);
        if (found) {
            entry.x = now->entries[at].x;
            entry.y = now->entries[at].y;
        }
    }
    if (by > lattice_count_max ||
        (down ? entry.y : entry.x) > lattice_count_max - by)
        return NULL;
    if (by == 0)
        return lattice_create(counter);
    *(down ? &entry.y : &entry.x) += by;
    return one(counter, entry);
}

struct lattice *
lattice_wrap(enum lattice_kind outer, const char *text, size_t len,
             struct lattice *inner)
{
    struct lattice_entry entry = {0};

    if (outer == LATTICE_MAP)
        entry = with_text(text, len);
    else
        entry.id = len == 6; /* "second" */
    entry.inner = inner;
    return one(outer, entry);
}

/* -- reading --------------------------------------------------------------- */

bool
lattice_number(const struct lattice *lattice, int64_t *out)
{
    if (lattice->n == 0)
        return false;
    *out = (int64_t)(lattice->entries[0].x ^ shift);
    return true;
}

int64_t
lattice_total(const struct lattice *counter)
{
    __extension__ __int128 total = 0;

    for (size_t i = 0; i < counter->n; i++)
        total += (__int128)counter->entries[i].x - counter->entries[i].y;
    return total > INT64_MAX   ? INT64_MAX
           : total < INT64_MIN ? INT64_MIN
                               : (int64_t)total;
}

const char *
lattice_value(const struct lattice *lww, size_t *len)
{
    *len = lww->n == 0 ? 0 : lww->entries[0].len;
    return *len == 0 ? NULL : lww->entries[0].text;
}

uint64_t
lattice_clock(const struct lattice *clock, uint64_t replica)
{
    const struct lattice_entry key = {.id = replica};
    bool found;
    const size_t at = lattice_find(clock, &key, &found);

    return found ? clock->entries[at].x : 0;
}

const struct lattice *
lattice_inside(const struct lattice *outer, const char *text, size_t len)
{
    struct lattice_entry key = {0};
    bool found;
    size_t at;

    if (outer->kind == LATTICE_MAP) {
        key.text = (char *)(uintptr_t)text;
        key.len = len;
    } else {
        key.id = len == 6;
    }
    at = lattice_find(outer, &key, &found);
    return found ? outer->entries[at].inner : NULL;
}

bool
lattice_next(const struct lattice *lattice, size_t *at,
             struct lattice_item *out)
{
    const struct lattice_entry *entry;

    if (*at >= lattice->n)
        return false;
    entry = &lattice->entries[*at];
    *out = (struct lattice_item){
        .text = entry->text == NULL ? "" : entry->text,
        .len = entry->len,
        .replica = entry->id,
        .count = entry->x,
        .inner = entry->inner,
    };
    if (lattice->kind == LATTICE_PAIR) {
        out->text = entry->id == 0 ? "first" : "second";
        out->len = strlen(out->text);
    }
    /* Adds of one element follow each other. */
    do
        ++*at;
    while (lattice->kind == LATTICE_OR_SET && *at < lattice->n &&
           lattice->entries[*at].len == out->len &&
           memcmp(out->text, out->len == 0 ? "" : lattice->entries[*at].text,
                  out->len) == 0);
    return true;
}
