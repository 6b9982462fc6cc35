#include "common/link_impl.h"

void
plex_link_end(struct plex_link *link)
{
    link->draining = true;
    link->closing = true;
    for (size_t i = 0; i < link->peer_buckets; i++) {
        for (struct link_peer *p = link->peers[i]; p != NULL; p = p->next)
            link_calls_cancel_all(p);
    }
    while (link_calls_finish(link))
        ; /* done() may call again, and is told again */
    link->closing = false;
}
