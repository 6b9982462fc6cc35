#ifndef SERVICES_TUPLESPACE_ENGINE_TEMPLATE_H
#define SERVICES_TUPLESPACE_ENGINE_TEMPLATE_H

#include "services/tuplespace/engine/tuple.h"

/*
 * Templates: what a tuple must look like. One matcher per field; the number of
 * fields must be the same. A template without any matcher matches every tuple
 * of every length ("everything"), where an operation says so.
 *
 * A compiled template is immutable and counted; it borrows nothing.
 */
enum {
    TSPACE_IN_MAX = 1000,       /* values of one IN */
    TSPACE_MATCHERS_MAX = 4096, /* of one template, nested ones included */
    TSPACE_REGEX_MAX = 1024,    /* bytes of a pattern */
    TSPACE_VARIABLES_MAX = 32,
};

/* In stores: never renumber. */
enum tspace_match {
    TSPACE_ANY = 1,
    TSPACE_OF_TYPE = 2,  /* type */
    TSPACE_EXACT = 3,    /* value: same type, same value */
    TSPACE_RANGE = 4,    /* low and/or high; numbers compare by worth */
    TSPACE_PREFIX = 5,   /* value: a string or binary; of that type only */
    TSPACE_SUFFIX = 6,   /* likewise */
    TSPACE_CONTAINS = 7, /* likewise */
    TSPACE_REGEX = 8,    /* value: a string, a PCRE2 pattern, searched in
                            strings; bounded effort, see below */
    TSPACE_IN = 9,       /* items: EXACT each */
    TSPACE_NOT = 10,     /* items: one, which must not match */
    TSPACE_NESTED = 11,  /* items: one per field of a nested tuple */
    TSPACE_BIND = 12,    /* variable; items: none, or one that must match too.
                            The same variable twice must bind equal values */
    TSPACE_ALL = 13,     /* items: every one must match */
};

struct tspace_bound {
    bool set;
    bool open;                 /* > or <; else >= or <= */
    struct tspace_value value; /* not null, not a tuple */
};

struct tspace_matcher {
    enum tspace_match kind;
    enum tspace_type type;
    uint32_t variable; /* 0 to TSPACE_VARIABLES_MAX - 1; the parser numbers
                          the names */
    struct tspace_value value; /* a tuple may be given by `fields` */
    struct tspace_bound low, high;
    const struct tspace_matcher *items;
    uint32_t n_items;
};

struct tspace_template;

/*
 * Check and compile. The result has one reference.
 * Errors: PLEX_INVALID (with the field: "field 3: ..."), PLEX_TOO_LARGE.
 */
PLEX_MUST_USE enum plex_status tspace_template_create(
    struct tspace_template **out, const struct tspace_matcher *matchers,
    uint32_t n_matchers, struct plex_err *err);
/* The template that only `packed` (checked) matches. */
struct tspace_template *tspace_template_exactly(const uint8_t *packed);
struct tspace_template *tspace_template_ref(struct tspace_template *template);
void tspace_template_unref(struct tspace_template *template); /* or NULL */

uint32_t tspace_template_fields(const struct tspace_template *template);

/*
 * Does `packed` match? A regular expression that gives up on a string (its
 * effort is bounded) does not match and sets *gave_up (never cleared here).
 */
bool tspace_template_match(const struct tspace_template *template,
                           const uint8_t *packed, bool *gave_up);

/* The stored form: appended to `out`; PLEX_TOO_LARGE past its maximum. */
PLEX_MUST_USE enum plex_status tspace_template_pack(
    const struct tspace_template *template, struct plex_buf *out,
    struct plex_err *err);
/* Bytes from anywhere. Errors as create. */
PLEX_MUST_USE enum plex_status tspace_template_unpack(
    struct tspace_template **out, struct plex_bytes bytes,
    struct plex_err *err);

#endif
