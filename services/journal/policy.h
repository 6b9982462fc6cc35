#ifndef SERVICES_JOURNAL_POLICY_H
#define SERVICES_JOURNAL_POLICY_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * How long turns are kept beyond what deduplication needs: a time, a number of
 * the actor's newest turns, or whichever of both keeps more. As text a list of
 * [TYPE=]MS[/TURNS], the one without a type for all others:
 * "3600000,cart=86400000/1000,counter=0/10". "" keeps nothing.
 */
struct journal_keep {
    uint64_t ms, turns;
};

struct journal_policy {
    struct journal_keep others;
    struct journal_keep_type *types; /* owned */
    size_t n_types;
};

/* Fill an empty *out; the caller's to fini, also after an error. PLEX_INVALID
 * names the item. */
PLEX_MUST_USE enum plex_status journal_policy_parse(const char *text,
                                                    struct journal_policy *out,
                                                    struct plex_err *err);
void journal_policy_fini(struct journal_policy *policy);
struct journal_keep journal_policy_of(const struct journal_policy *policy,
                                      const char *type);

#endif
