/* The encoding: protobuf as of lattice.v1, written and read by hand, because
 * messages nest and what is read has to be canonical. */
#include "lattice/lattice_private.h"

#include "common/mem.h"
#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { LATTICE_FIELD_KIND = 1, LATTICE_FIELD_ENTRY, LATTICE_FIELD_SEEN };
enum { LATTICE_FIELD_GAPS = LATTICE_FIELD_SEEN + 1 };
enum { ENTRY_TEXT = 1, ENTRY_ID, ENTRY_X, ENTRY_Y, ENTRY_INNER };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2 };

/* -- sizes ----------------------------------------------------------------- */

static size_t
varint_size(uint64_t value)
{
    return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

static size_t
bytes_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

static size_t
entry_size(const struct lattice_entry *entry)
{
    size_t size = 0;

    if (entry->len > 0)
        size += bytes_size(entry->len);
    if (entry->id != 0)
        size += 1 + 8;
    if (entry->x != 0)
        size += 1 + varint_size(entry->x);
    if (entry->y != 0)
        size += 1 + varint_size(entry->y);
    if (entry->inner != NULL)
        size += bytes_size(lattice_bytes(entry->inner));
    return size;
}

size_t
lattice_bytes(const struct lattice *lattice)
{
    size_t size = 2;

    for (size_t i = 0; i < lattice->n; i++)
        size += bytes_size(entry_size(&lattice->entries[i]));
    if (lattice->seen != NULL && lattice->seen->n > 0)
        size += bytes_size(lattice_bytes(lattice->seen));
    if (lattice->gaps != NULL && lattice->gaps->n > 0)
        size += bytes_size(lattice_bytes(lattice->gaps));
    return size;
}

size_t
lattice_entries(const struct lattice *lattice)
{
    size_t n = lattice->n;

    for (size_t i = 0; i < lattice->n; i++)
        if (lattice->entries[i].inner != NULL)
            n += lattice_entries(lattice->entries[i].inner);
    if (lattice->seen != NULL)
        n += lattice->seen->n + lattice->gaps->n;
    return n;
}

enum plex_status
lattice_room(const struct lattice *into, const struct lattice *from,
             struct plex_err *err)
{
    /* Merging takes no more than both do: look closer only when that is too
     * much. */
    size_t bytes = lattice_bytes(into) + lattice_bytes(from);
    size_t entries = lattice_entries(into) + lattice_entries(from);
    struct lattice *both;

    if (bytes <= LATTICE_BYTES_MAX && entries <= LATTICE_ENTRIES_MAX)
        return PLEX_OK;
    both = lattice_clone(into);
    (void)lattice_merge(both, from);
    bytes = lattice_bytes(both);
    entries = lattice_entries(both);
    lattice_free(both);
    if (bytes > LATTICE_BYTES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the lattice would take %zu bytes, at most %d",
                            bytes, LATTICE_BYTES_MAX);
    if (entries > LATTICE_ENTRIES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the lattice would have %zu entries, at most %d",
                            entries, LATTICE_ENTRIES_MAX);
    return PLEX_OK;
}

/* -- writing --------------------------------------------------------------- */

static uint8_t *
varint_write(uint64_t value, uint8_t *at)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *
tag_write(unsigned field, unsigned type, uint8_t *at)
{
    *at = (uint8_t)(field << 3 | type);
    return at + 1;
}

static uint8_t *
number_write(unsigned field, uint64_t value, uint8_t *at)
{
    return value == 0 ? at
                      : varint_write(value, tag_write(field, WIRE_VARINT, at));
}

static uint8_t *lattice_write(const struct lattice *lattice, uint8_t *at);

static uint8_t *
nested_write(unsigned field, const struct lattice *nested, uint8_t *at)
{
    at = tag_write(field, WIRE_BYTES, at);
    at = varint_write(lattice_bytes(nested), at);
    return lattice_write(nested, at);
}

static uint8_t *
entry_write(const struct lattice_entry *entry, uint8_t *at)
{
    at = tag_write(LATTICE_FIELD_ENTRY, WIRE_BYTES, at);
    at = varint_write(entry_size(entry), at);
    if (entry->len > 0) {
        at = tag_write(ENTRY_TEXT, WIRE_BYTES, at);
        at = varint_write(entry->len, at);
        memcpy(at, entry->text, entry->len);
        at += entry->len;
    }
    if (entry->id != 0) {
        at = tag_write(ENTRY_ID, WIRE_64, at);
        for (unsigned i = 0; i < 8; i++)
            *at++ = (uint8_t)(entry->id >> (8 * i));
    }
    at = number_write(ENTRY_X, entry->x, at);
    at = number_write(ENTRY_Y, entry->y, at);
    if (entry->inner != NULL)
        at = nested_write(ENTRY_INNER, entry->inner, at);
    return at;
}

static uint8_t *
lattice_write(const struct lattice *lattice, uint8_t *at)
{
    at = number_write(LATTICE_FIELD_KIND, lattice->kind, at);
    for (size_t i = 0; i < lattice->n; i++)
        at = entry_write(&lattice->entries[i], at);
    if (lattice->seen != NULL && lattice->seen->n > 0)
        at = nested_write(LATTICE_FIELD_SEEN, lattice->seen, at);
    if (lattice->gaps != NULL && lattice->gaps->n > 0)
        at = nested_write(LATTICE_FIELD_GAPS, lattice->gaps, at);
    return at;
}

enum plex_status
lattice_encode(const struct lattice *lattice, struct plex_buf *out,
               struct plex_err *err)
{
    const size_t size = lattice_bytes(lattice);
    uint8_t *at = plex_buf_grow(out, size);

    if (at == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the lattice takes %zu bytes: no room", size);
    (void)lattice_write(lattice, at);
    return PLEX_OK;
}

/* -- reading --------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end;
};
struct decoder {
    size_t entries; /* so far, of all levels */
    struct plex_err *err;
};

static bool
refuse(struct decoder *decoder, const char *what)
{
    (void)plex_err_set(decoder->err, PLEX_INVALID, "a lattice's encoding %s",
                       what);
    return false;
}

static bool
varint_read(struct reader *in, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 10 && in->at < in->end; i++) {
        const uint8_t byte = *in->at++;

        if (i == 9 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return byte != 0 || i == 0; /* no shorter way to say it */
        }
    }
    return false;
}

/* The next field is this one, else nothing is taken. */
static bool
next_is(struct reader *in, unsigned field, unsigned type)
{
    if (in->at == in->end || *in->at != (field << 3 | type))
        return false;
    in->at++;
    return true;
}

static bool
nested_open(struct reader *in, struct reader *out)
{
    uint64_t len;

    if (!varint_read(in, &len) || len > (uint64_t)(in->end - in->at))
        return false;
    out->at = in->at;
    out->end = in->at += len;
    return true;
}

static bool lattice_read(struct decoder *decoder, struct reader in,
                         uint8_t wanted, unsigned depth, struct lattice **out);

/* A number that is there is not 0. */
static bool
number_read(struct reader *in, unsigned field, uint64_t *out)
{
    return !next_is(in, field, WIRE_VARINT) ||
           (varint_read(in, out) && *out != 0);
}

static bool
text_read(struct reader *in, struct lattice_entry *out)
{
    struct reader text;

    if (!next_is(in, ENTRY_TEXT, WIRE_BYTES))
        return true;
    if (!nested_open(in, &text) || text.at == text.end ||
        text.end - text.at > LATTICE_VALUE_MAX)
        return false;
    if (!plex_utf8_valid(text.at, (size_t)(text.end - text.at)) ||
        memchr(text.at, '\0', (size_t)(text.end - text.at)) != NULL)
        return false;
    out->len = (size_t)(text.end - text.at);
    out->text = plex_calloc(1, out->len + 1);
    memcpy(out->text, text.at, out->len);
    return true;
}

static bool
id_read(struct reader *in, struct lattice_entry *out)
{
    if (!next_is(in, ENTRY_ID, WIRE_64))
        return true;
    if (in->end - in->at < 8)
        return false;
    for (unsigned i = 0; i < 8; i++)
        out->id |= (uint64_t)*in->at++ << (8 * i);
    return out->id != 0;
}

static bool
entry_read(struct decoder *decoder, struct reader in, unsigned depth,
           struct lattice_entry *out)
{
    struct reader nested;

    if (++decoder->entries > LATTICE_ENTRIES_MAX)
        return refuse(decoder, "has too many entries");
    if (!text_read(&in, out) || !id_read(&in, out) ||
        !number_read(&in, ENTRY_X, &out->x) ||
        !number_read(&in, ENTRY_Y, &out->y))
        return refuse(decoder, "has a bad entry");
    if (next_is(&in, ENTRY_INNER, WIRE_BYTES)) {
        if (depth >= LATTICE_DEPTH_MAX)
            return refuse(decoder, "is nested too deeply");
        if (!nested_open(&in, &nested) ||
            !lattice_read(decoder, nested, 0, depth + 1, &out->inner))
            return refuse(decoder, "has a bad inner lattice");
    }
    return in.at == in.end || refuse(decoder, "has unknown fields");
}

/* Which fields the kind has: docs in lattice_private.h. */
static bool
fits(uint8_t kind, const struct lattice_entry *e)
{
    const bool text = e->len > 0, inner = e->inner != NULL;
    const bool plain = !text && !inner && e->y == 0;

    if (kind != LATTICE_LWW && e->len > LATTICE_TEXT_MAX)
        return false;
    switch (kind) {
    case LATTICE_MAX:
    case LATTICE_MIN:
        return plain && e->id == 0;
    case LATTICE_LWW:
        return text && !inner && e->id != 0 && e->x != 0 && e->y == 0 &&
               e->x <= lattice_count_max;
    case LATTICE_G_SET:
        return !inner && e->id == 0 && e->x == 0 && e->y == 0;
    case LATTICE_OR_SET:
        return !inner && e->id != 0 && e->x != 0 && e->y == 0 &&
               e->x <= lattice_count_max;
    case LATTICE_G_COUNTER:
    case LATTICE_VECTOR_CLOCK:
    case LATTICE_DOTS:
        return plain && e->id != 0 && e->x != 0 && e->x <= lattice_count_max;
    case LATTICE_PN_COUNTER:
        return !text && !inner && e->id != 0 && (e->x != 0 || e->y != 0) &&
               e->x <= lattice_count_max && e->y <= lattice_count_max;
    case LATTICE_PAIR:
        return !text && inner && e->id <= 1 && e->x == 0 && e->y == 0;
    default:
        return inner && e->id == 0 && e->x == 0 && e->y == 0;
    }
}

static bool
single(uint8_t kind)
{
    return kind == LATTICE_MAX || kind == LATTICE_MIN || kind == LATTICE_LWW;
}

static bool
entries_read(struct decoder *decoder, struct reader *in, unsigned depth,
             struct lattice *out)
{
    while (next_is(in, LATTICE_FIELD_ENTRY, WIRE_BYTES)) {
        struct lattice_entry entry = {0};
        struct reader nested;
        bool good;

        if (!nested_open(in, &nested))
            return refuse(decoder, "is cut off");
        good = entry_read(decoder, nested, depth, &entry);
        if (good &&
            (!fits(out->kind, &entry) ||
             (out->n > 0 && (single(out->kind) ||
                             lattice_order(out->kind, &out->entries[out->n - 1],
                                           &entry) >= 0))))
            good = refuse(decoder, "has an entry that is not of its kind, or "
                                   "not in order");
        if (!good) {
            lattice_entry_free(&entry);
            return false;
        }
        lattice_append(out, entry);
    }
    return true;
}

/* What an OR-set has seen: all that it has, and nothing said twice. */
static bool
seen_read(struct decoder *decoder, struct reader *in, unsigned depth,
          struct lattice *out)
{
    struct reader nested;
    struct lattice **parts[] = {&out->seen, &out->gaps};
    const uint8_t kinds[] = {LATTICE_VECTOR_CLOCK, LATTICE_DOTS};
    size_t gaps;

    for (unsigned i = 0; i < 2; i++) {
        struct lattice *part;

        if (!next_is(in, LATTICE_FIELD_SEEN + i, WIRE_BYTES))
            continue;
        if (!nested_open(in, &nested) ||
            !lattice_read(decoder, nested, kinds[i], depth, &part))
            return refuse(decoder, "has no good account of what was seen");
        lattice_free(*parts[i]);
        *parts[i] = part;
        if (part->n == 0)
            return refuse(decoder, "has an empty account of what was seen");
    }
    gaps = out->gaps->n;
    lattice_settle(out->seen, out->gaps);
    if (out->gaps->n != gaps)
        return refuse(decoder, "says twice what was seen");
    for (size_t i = 0; i < out->n; i++)
        if (!lattice_saw(out, out->entries[i].id, out->entries[i].x))
            return refuse(decoder, "has elements that were never added");
    return true;
}

static bool
lattice_read(struct decoder *decoder, struct reader in, uint8_t wanted,
             unsigned depth, struct lattice **out)
{
    uint64_t kind;
    struct lattice *lattice;

    *out = NULL;
    if (!next_is(&in, LATTICE_FIELD_KIND, WIRE_VARINT) ||
        !varint_read(&in, &kind) || kind == 0 ||
        (wanted == 0 ? kind >= LATTICE_KINDS : kind != wanted))
        return refuse(decoder, "is of no known kind");
    lattice = lattice_create((enum lattice_kind)kind);
    if (entries_read(decoder, &in, depth, lattice) &&
        (kind != LATTICE_OR_SET || seen_read(decoder, &in, depth, lattice)) &&
        (in.at == in.end || refuse(decoder, "has unknown fields"))) {
        *out = lattice;
        return true;
    }
    lattice_free(lattice);
    return false;
}

enum plex_status
lattice_decode(struct plex_bytes in, struct lattice **out, struct plex_err *err)
{
    struct decoder decoder = {.err = err};

    *out = NULL;
    if (in.len > LATTICE_BYTES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "a lattice of %zu bytes, at most %d are read",
                            in.len, LATTICE_BYTES_MAX);
    if (!lattice_read(&decoder, (struct reader){in.data, in.data + in.len}, 0,
                      0, out))
        return err->status;
    return PLEX_OK;
}
