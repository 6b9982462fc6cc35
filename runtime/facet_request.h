#ifndef RUNTIME_FACET_REQUEST_H
#define RUNTIME_FACET_REQUEST_H

#include "common/bytes.h"
#include "runtime/facet.h"

/* What others ask about the facets of an actor or process while it runs. */

/* May it be attached to what runs? PLEX_INVALID: it says how a type of actors
 * is run, and stands around nothing. */
PLEX_MUST_USE enum plex_status rt_facet_attach_check(const char *type,
                                                     struct plex_err *err);

/* A request as bytes: verb and priority, then texts. */
void rt_facets_pack(const struct plex_facet_request *request,
                    struct plex_buf *out);
struct rt_facets_asked { /* texts borrowed from the bytes */
    struct plex_facet_request request;
    struct plex_facet_pair pairs[RT_FACET_PAIRS];
};
bool rt_facets_unpack(const void *bytes, size_t len,
                      struct rt_facets_asked *out);
/*
 * LIST, ATTACH and DETACH of a chain, which may be NULL for the first and the
 * last: nothing is attached then. `out` gets a line "PRIORITY NAME" for each
 * that is attached afterwards, in order of the chain.
 */
PLEX_MUST_USE enum plex_status rt_facets_change(
    struct rt_facets *chain, const struct rt_facet_types *types,
    const struct plex_facet_request *request, struct rt_facet_when when,
    struct plex_buf *out, struct plex_err *err);

/* Join its group, unless that has as many members as it may. */
void rt_facet_join(struct plex_ctx *ctx,
                   const struct plex_facet_action *action);

#endif
