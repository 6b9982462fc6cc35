#ifndef SERVICES_TUPLESPACE_ROUTE_H
#define SERVICES_TUPLESPACE_ROUTE_H

#include "services/tuplespace/shell.h"

/* -- shell_route.c: spaces that are placed apart
 * -------------------------------
 */

/* True: the request is another shard's, or several shards', or was refused;
 * nothing is left to do. */
bool tspace_route_write(struct tspace_asked *asked,
                        const struct tspace_write *write);
bool tspace_route_read(struct tspace_asked *asked,
                       const struct tspace_read *read);
bool tspace_route_count(struct tspace_asked *asked,
                        const struct tspace_count *count);
bool tspace_route_swap(struct tspace_asked *asked,
                       const struct tspace_swap *swap);
bool tspace_route_collect(struct tspace_asked *asked,
                          const struct tspace_collect *collect);
bool tspace_route_id(struct tspace_asked *asked, const struct tspace_op *op,
                     uint64_t id);
bool tspace_route_claims(struct tspace_asked *asked);
bool tspace_route_subscribe(struct tspace_asked *asked,
                            const struct tspace_subscribe *subscribe);
bool tspace_route_subscription(struct tspace_asked *asked, uint64_t id);
bool tspace_route_create(struct tspace_asked *asked, const char *space,
                         const struct tspace_options *options);
bool tspace_route_get(struct tspace_asked *asked, const char *space,
                      const struct tspace_space_stats *stats);
/* From another tuple space. */
void tspace_route_arrived(void *server, struct plex_call *call);
/* Carry the request out at its shard, which is owned here. */
void tspace_route_here(const struct tspace_asked *asked, uint32_t shard);
/* Ask the owner of the shard; the id of plex_link_cancel(), or 0: `err`. */
uint64_t tspace_route_there(struct tspace_server *server,
                            const struct tspace_wire_shard *request,
                            const struct plex_context *context,
                            plex_link_fn done, void *arg, struct plex_err *err);

/* -- shell_scatter.c: one request to several shards
 * ----------------------------
 */

/* `shards` are asked in turn, lowest first; `last`, if any, at the end. */
struct tspace_spread_of {
    uint32_t shards; /* a bit each */
    uint32_t last;   /* 1 + shard; 0: none */
    enum {
        TSPACE_SPREAD_READ,
        TSPACE_SPREAD_NUMBER, /* added up */
        TSPACE_SPREAD_EXISTS,
        TSPACE_SPREAD_SPACE,
        TSPACE_SPREAD_EMPTY,
    } kind;
    bool may_miss;
    const struct tspace_read *read;         /* READ */
    const char *space;                      /* SPACE */
    const struct tspace_space_stats *stats; /* SPACE: the options */
};
void tspace_spread_begin(const struct tspace_asked *asked,
                         const struct tspace_spread_of *of);
/* When the link has ended. */
void tspace_spreads_stop(struct tspace_server *server);

#endif
