#ifndef SERVICES_TUPLESPACE_ENGINE_TEMPLATE_PRIVATE_H
#define SERVICES_TUPLESPACE_ENGINE_TEMPLATE_PRIVATE_H

/* A compiled template, for the files that match, store and plan with it. */

#include "services/tuplespace/engine/template.h"

enum {
    NODE_NONE = UINT32_MAX,
    PLAN_FIELDS = 64 /* fields that an index can be about */
};

struct regex; /* template_regex.c */

struct node {
    uint8_t kind; /* enum tspace_match */
    uint8_t type;
    uint8_t variable;
    bool low_set, low_open, high_set, high_open;
    uint32_t first; /* items: nodes first to first + n_items - 1. A RANGE has
                       two: its bounds */
    uint32_t n_items;
    struct tspace_value value;
    struct regex *regex;
};

/* What an index can do for a template: the first 64 fields. */
struct plan {
    uint64_t exact;  /* bit i: field i has the value of node exact_at[i] */
    uint64_t types;  /* bit i: field i has type type_of[i] */
    bool only_exact; /* nothing but exact and any in all fields */
    /* The first field, if any, whose values are a set: node in_at. */
    bool has_set;
    uint32_t set_field, set_at;
    /* The first field, if any, whose values are within a range. */
    bool has_range;
    uint32_t range_field;
    enum tspace_class range_class;
    struct tspace_key low, high; /* inclusive */
};

struct tspace_template {
    uint32_t refs;
    uint32_t n_fields; /* 0: everything */
    uint32_t n_nodes;
    uint32_t n_bytes;
    bool has_regex, has_variables;
    struct plan plan;
    struct node *nodes; /* one per field, then their items */
    uint32_t *exact_at; /* per field below 64 with its bit in plan.exact */
    uint8_t *type_of;   /* likewise, plan.types */
    uint8_t *bytes;
};

void tspace_plan_make(struct tspace_template *template);

PLEX_MUST_USE enum plex_status tspace_regex_create(struct regex **out,
                                                   struct plex_bytes pattern,
                                                   struct plex_err *err);
void tspace_regex_free(struct regex *regex); /* accepts NULL */
bool tspace_regex_match(const struct regex *regex, struct plex_bytes text,
                        bool *gave_up);

#endif
