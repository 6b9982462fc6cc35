#ifndef SERVICES_REGISTRY_FACET_H
#define SERVICES_REGISTRY_FACET_H

#include "services/registry/core.h"

/* The facets this build knows, their configuration, and what they set. */

/* PLEX_INVALID names the facet or key and lists the known ones. */
PLEX_MUST_USE enum plex_status reg_facet_check(const struct reg_facet *facet,
                                               struct plex_err *err);
/* May a type have it that is not virtual, whose actors are processes? */
PLEX_MUST_USE enum plex_status reg_facet_process_check(
    const struct reg_facet *facet, struct plex_err *err);
/* And one whose activations are alike? */
PLEX_MUST_USE enum plex_status reg_facet_stateless_check(
    const struct reg_facet *facet, struct plex_err *err);
/* After a successful check. What the type says itself comes first. */
void reg_facet_apply(const struct reg_facet *facet,
                     struct reg_actor_type *type);

/* "300s", "5m", "2h", "250ms" or milliseconds; 1 ms to 30 days. */
PLEX_MUST_USE enum plex_status reg_duration_parse(const char *text,
                                                  uint64_t *ms,
                                                  struct plex_err *err);

/* Do those of a type, of which each is good, go together? */
PLEX_MUST_USE enum plex_status reg_facets_agree(const struct reg_facet *facets,
                                                size_t n, bool durable,
                                                struct plex_err *err);

#endif
