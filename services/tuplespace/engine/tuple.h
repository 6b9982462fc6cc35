#ifndef SERVICES_TUPLESPACE_ENGINE_TUPLE_H
#define SERVICES_TUPLESPACE_ENGINE_TUPLE_H

#include "common/bytes.h"

#include <stdint.h>

/*
 * Values, and tuples in their packed form: one run of bytes that is held in
 * memory, stored and sent as it is. All numbers are little endian:
 *
 *   version u8 (1), zero u8, fields u16, length u32 (of everything)
 *   one type u8 per field, then zeros up to a multiple of 8
 *   one slot of 8 bytes per field: the integer, the double, 0 or 1 for a
 *   boolean, 0 for null; for strings, binary and nested tuples offset u32
 *   (from the start) and length u32 of their bytes
 *   those bytes, in the order of the fields, without gaps
 *
 * A tuple has one packed form only, so equal tuples are equal bytes (but for
 * 0.0 and -0.0, which are equal values). No alignment is needed.
 */
enum {
    TSPACE_FIELDS_MAX = 1000,
    TSPACE_DEPTH_MAX = 8,       /* tuples within tuples; the outer one is 1 */
    TSPACE_TUPLE_MAX = 1 << 20, /* bytes of a packed tuple */
    TSPACE_PACK_VERSION = 1,
};

/* In stores and on the wire: never renumber. */
enum tspace_type {
    TSPACE_INTEGER = 1,
    TSPACE_FLOAT = 2,
    TSPACE_STRING = 3,
    TSPACE_BOOLEAN = 4,
    TSPACE_BINARY = 5,
    TSPACE_NULL = 6,
    TSPACE_TUPLE = 7,
};

struct tspace_value {
    enum tspace_type type;
    uint32_t n_fields; /* TUPLE, to be packed: see fields */
    int64_t integer;   /* also booleans: 0 or 1 */
    double real;
    struct plex_bytes bytes; /* STRING (no NUL), BINARY; TUPLE: packed */
    /* TUPLE, when it is to be packed: its values; NULL: `bytes` has it. Never
     * set by the functions below. */
    const struct tspace_value *fields;
};

/*
 * Append the packed form of a tuple to `out`.
 * Errors: PLEX_INVALID (field count, type, NaN, invalid UTF-8, a boolean that
 * is neither 0 nor 1, nested too deep), PLEX_TOO_LARGE.
 */
PLEX_MUST_USE enum plex_status tspace_pack(const struct tspace_value *fields,
                                           uint32_t n_fields,
                                           struct plex_buf *out,
                                           struct plex_err *err);

/* Are these bytes a packed tuple? Everything below, and the core, wants to be
 * sure of that. Errors: PLEX_INVALID, PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status tspace_packed_check(struct plex_bytes packed,
                                                   struct plex_err *err);

uint32_t tspace_packed_length(const uint8_t *packed);
uint32_t tspace_packed_fields(const uint8_t *packed);
enum tspace_type tspace_packed_type(const uint8_t *packed, uint32_t field);
/* Borrows from `packed`. */
void tspace_packed_get(const uint8_t *packed, uint32_t field,
                       struct tspace_value *out);

/* Same type and same value; 0.0 equals -0.0. Both without `fields`. */
bool tspace_value_equal(const struct tspace_value *a,
                        const struct tspace_value *b);
/*
 * A total order: null, booleans, numbers (integers and doubles by what they
 * are worth, exactly; of equals the integer is first), strings, binary (both
 * bytewise), tuples (field by field, then the shorter). Negative, 0, positive.
 */
int tspace_value_compare(const struct tspace_value *a,
                         const struct tspace_value *b);
/* Equal values hash equal under the same seed. */
uint64_t tspace_value_hash(const struct tspace_value *value, uint64_t seed);

/* The first 16 bytes of a value's place in the order, as two numbers: if
 * a < b, then key(a) <= key(b), for values of one class. */
struct tspace_key {
    uint64_t high, low;
};
struct tspace_key tspace_value_key(const struct tspace_value *value);

/* The classes of the order; numbers are one class. */
enum tspace_class {
    TSPACE_CLASS_NULL,
    TSPACE_CLASS_BOOLEAN,
    TSPACE_CLASS_NUMBER,
    TSPACE_CLASS_STRING,
    TSPACE_CLASS_BINARY,
    TSPACE_CLASS_TUPLE,
    TSPACE_CLASSES,
};
enum tspace_class tspace_type_class(enum tspace_type type);

#endif
