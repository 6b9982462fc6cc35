/* Lattices in memory: entries ordered by key, and merging. */
#include "lattice/lattice_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[LATTICE_KINDS] = {
    [LATTICE_MAX] = "max",
    [LATTICE_MIN] = "min",
    [LATTICE_LWW] = "lww",
    [LATTICE_G_SET] = "g_set",
    [LATTICE_OR_SET] = "or_set",
    [LATTICE_G_COUNTER] = "g_counter",
    [LATTICE_PN_COUNTER] = "pn_counter",
    [LATTICE_VECTOR_CLOCK] = "vector_clock",
    [LATTICE_PAIR] = "pair",
    [LATTICE_MAP] = "map",
};

enum lattice_kind
lattice_kind_parse(const char *text, size_t len)
{
    for (int i = 1; i < LATTICE_KINDS; i++)
        if (strlen(kind_names[i]) == len &&
            memcmp(kind_names[i], text, len) == 0)
            return (enum lattice_kind)i;
    return (enum lattice_kind)0;
}

const char *
lattice_kind_text(enum lattice_kind kind)
{
    return kind > 0 && kind < LATTICE_KINDS ? kind_names[kind] : "";
}

/* -- life ------------------------------------------------------------------ */

struct lattice *
lattice_create(enum lattice_kind kind)
{
    struct lattice *lattice = plex_calloc(1, sizeof *lattice);

    lattice->kind = (uint8_t)kind;
    if (kind == LATTICE_OR_SET) {
        lattice->seen = lattice_create(LATTICE_VECTOR_CLOCK);
        lattice->gaps = lattice_create((enum lattice_kind)LATTICE_DOTS);
    }
    return lattice;
}

void
lattice_entry_free(struct lattice_entry *entry)
{
    free(entry->text);
    lattice_free(entry->inner);
}

void
lattice_free(struct lattice *lattice)
{
    if (lattice == NULL)
        return;
    for (size_t i = 0; i < lattice->n; i++)
        lattice_entry_free(&lattice->entries[i]);
    lattice_free(lattice->seen);
    lattice_free(lattice->gaps);
    free(lattice->entries);
    free(lattice);
}

struct lattice_entry
lattice_entry_copy(const struct lattice_entry *from)
{
    struct lattice_entry copy = *from;

    if (from->text != NULL) {
        copy.text = plex_calloc(1, from->len + 1);
        memcpy(copy.text, from->text, from->len);
    }
    if (from->inner != NULL)
        copy.inner = lattice_clone(from->inner);
    return copy;
}

struct lattice *
lattice_clone(const struct lattice *lattice)
{
    struct lattice *copy = plex_calloc(1, sizeof *copy);

    copy->kind = lattice->kind;
    for (size_t i = 0; i < lattice->n; i++)
        lattice_append(copy, lattice_entry_copy(&lattice->entries[i]));
    if (lattice->seen != NULL) {
        copy->seen = lattice_clone(lattice->seen);
        copy->gaps = lattice_clone(lattice->gaps);
    }
    return copy;
}

enum lattice_kind
lattice_kind_of(const struct lattice *lattice)
{
    return (enum lattice_kind)lattice->kind;
}

/* -- entries --------------------------------------------------------------- */

static int
number_order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int
text_order(const struct lattice_entry *a, const struct lattice_entry *b)
{
    const size_t len = a->len < b->len ? a->len : b->len;
    const int order = len == 0 ? 0 : memcmp(a->text, b->text, len);

    return order != 0 ? order : number_order(a->len, b->len);
}

int
lattice_order(uint8_t kind, const struct lattice_entry *a,
              const struct lattice_entry *b)
{
    int order;

    if (kind == LATTICE_MAX || kind == LATTICE_MIN || kind == LATTICE_LWW)
        return 0; /* there is one */
    order = text_order(a, b);
    if (order == 0)
        order = number_order(a->id, b->id);
    if (order == 0 && (kind == LATTICE_OR_SET || kind == LATTICE_DOTS))
        order = number_order(a->x, b->x);
    return order;
}

static void
reserve(struct lattice *lattice, size_t n)
{
    if (n <= lattice->cap)
        return;
    lattice->cap = n <= 4 ? 4 : n + n / 2;
    lattice->entries = plex_reallocarray(lattice->entries, lattice->cap,
                                         sizeof *lattice->entries);
}

void
lattice_append(struct lattice *lattice, struct lattice_entry entry)
{
    reserve(lattice, lattice->n + 1);
    lattice->entries[lattice->n++] = entry;
}

size_t
lattice_find(const struct lattice *lattice, const struct lattice_entry *key,
             bool *found)
{
    size_t low = 0, high = lattice->n;

    *found = false;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order =
            lattice_order(lattice->kind, &lattice->entries[mid], key);

        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* -- merging --------------------------------------------------------------- */

static bool
raise_to(uint64_t *value, uint64_t to)
{
    if (to <= *value)
        return false;
    *value = to;
    return true;
}

/* The newest write; what has all of it the same is the same. */
static bool
newest(struct lattice_entry *into, const struct lattice_entry *from)
{
    int order = number_order(into->x, from->x);

    if (order == 0)
        order = number_order(into->id, from->id);
    if (order == 0)
        order = text_order(into, from);
    if (order >= 0)
        return false;
    lattice_entry_free(into);
    *into = lattice_entry_copy(from);
    return true;
}

/* Of equal keys. */
static bool
join(uint8_t kind, struct lattice_entry *into, const struct lattice_entry *from)
{
    bool changed;

    switch (kind) {
    case LATTICE_MIN:
        if (from->x >= into->x)
            return false;
        into->x = from->x;
        return true;
    case LATTICE_LWW:
        return newest(into, from);
    case LATTICE_MAX:
    case LATTICE_G_COUNTER:
    case LATTICE_VECTOR_CLOCK:
        return raise_to(&into->x, from->x);
    case LATTICE_PN_COUNTER:
        changed = raise_to(&into->x, from->x);
        return raise_to(&into->y, from->y) || changed;
    case LATTICE_PAIR:
    case LATTICE_MAP:
        return lattice_merge(into->inner, from->inner);
    default:
        return false; /* a set: it is there */
    }
}

/* Two ordered runs become one. */
static bool
merge_many(struct lattice *into, const struct lattice *from)
{
    struct lattice merged = {.kind = into->kind};
    bool changed = false;
    size_t a = 0, b = 0;

    reserve(&merged, into->n + from->n);
    while (a < into->n || b < from->n) {
        const int order = a == into->n ? 1
                          : b == from->n
                              ? -1
                              : lattice_order(into->kind, &into->entries[a],
                                              &from->entries[b]);

        if (order > 0) {
            lattice_append(&merged, lattice_entry_copy(&from->entries[b++]));
            changed = true;
            continue;
        }
        if (order == 0)
            changed =
                join(into->kind, &into->entries[a], &from->entries[b++]) ||
                changed;
        lattice_append(&merged, into->entries[a++]);
    }
    free(into->entries);
    into->entries = merged.entries;
    into->n = merged.n;
    into->cap = merged.cap;
    return changed;
}

/* A few: each is looked for, the rest stays where it is. */
static bool
merge_few(struct lattice *into, const struct lattice *from)
{
    bool changed = false;

    for (size_t i = 0; i < from->n; i++) {
        bool found;
        const size_t at = lattice_find(into, &from->entries[i], &found);

        if (found) {
            changed = join(into->kind, &into->entries[at], &from->entries[i]) ||
                      changed;
            continue;
        }
        reserve(into, into->n + 1);
        memmove(&into->entries[at + 1], &into->entries[at],
                (into->n - at) * sizeof *into->entries);
        into->entries[at] = lattice_entry_copy(&from->entries[i]);
        into->n++;
        changed = true;
    }
    return changed;
}

static bool
merge_entries(struct lattice *into, const struct lattice *from)
{
    return from->n <= 8 ? merge_few(into, from) : merge_many(into, from);
}

/* -- OR-sets --------------------------------------------------------------- */

bool
lattice_saw(const struct lattice *set, uint64_t id, uint64_t x)
{
    const struct lattice_entry key = {.id = id, .x = x};
    bool found;
    size_t at;

    at = lattice_find(set->seen, &key, &found);
    if (found && set->seen->entries[at].x >= x)
        return true;
    (void)lattice_find(set->gaps, &key, &found);
    return found;
}

void
lattice_settle(struct lattice *seen, struct lattice *gaps)
{
    size_t kept = 0;

    for (size_t i = 0; i < gaps->n; i++) {
        const struct lattice_entry dot = gaps->entries[i];
        bool found;
        const size_t at = lattice_find(seen, &dot, &found);
        const uint64_t upto = found ? seen->entries[at].x : 0;

        if (dot.x > upto + 1) {
            gaps->entries[kept++] = dot;
        } else if (dot.x == upto + 1) {
            const struct lattice one = {
                .kind = LATTICE_VECTOR_CLOCK,
                .entries = &(struct lattice_entry){.id = dot.id, .x = dot.x},
                .n = 1};

            (void)merge_entries(seen, &one);
        }
    }
    gaps->n = kept;
}

/* Each element's add stays that both have, or that one has and the other has
 * never seen. */
static bool
merge_set(struct lattice *into, const struct lattice *from)
{
    struct lattice merged = {.kind = into->kind};
    bool changed = false;
    size_t a = 0, b = 0;

    reserve(&merged, into->n + from->n);
    while (a < into->n || b < from->n) {
        struct lattice_entry *x = a < into->n ? &into->entries[a] : NULL;
        const struct lattice_entry *y = b < from->n ? &from->entries[b] : NULL;
        const int order = a == into->n   ? 1
                          : b == from->n ? -1
                                         : lattice_order(into->kind, x, y);

        if (order == 0 || (order < 0 && !lattice_saw(from, x->id, x->x))) {
            lattice_append(&merged, *x);
        } else if (order < 0) {
            lattice_entry_free(x);
            changed = true;
        } else if (!lattice_saw(into, y->id, y->x)) {
            lattice_append(&merged, lattice_entry_copy(y));
            changed = true;
        }
        a += order <= 0;
        b += order >= 0;
    }
    free(into->entries);
    into->entries = merged.entries;
    into->n = merged.n;
    into->cap = merged.cap;
    changed = merge_entries(into->seen, from->seen) || changed;
    for (size_t i = 0; i < from->gaps->n && !changed; i++)
        changed = !lattice_saw(into, from->gaps->entries[i].id,
                               from->gaps->entries[i].x);
    (void)merge_entries(into->gaps, from->gaps);
    lattice_settle(into->seen, into->gaps);
    return changed;
}

bool
lattice_merge(struct lattice *into, const struct lattice *from)
{
    struct lattice *copy;

    if (from->kind < into->kind)
        return false;
    if (from->kind > into->kind) {
        copy = lattice_clone(from);
        for (size_t i = 0; i < into->n; i++)
            lattice_entry_free(&into->entries[i]);
        free(into->entries);
        lattice_free(into->seen);
        lattice_free(into->gaps);
        *into = *copy;
        free(copy);
        return true;
    }
    return into->kind == LATTICE_OR_SET ? merge_set(into, from)
                                        : merge_entries(into, from);
}

bool
lattice_covers(const struct lattice *a, const struct lattice *b)
{
    struct lattice *copy = lattice_clone(a);
    const bool changed = lattice_merge(copy, b);

    lattice_free(copy);
    return !changed;
}
