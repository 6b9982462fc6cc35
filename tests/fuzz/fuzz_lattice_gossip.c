/* Messages between replicas: whatever comes, cells stay within their limits
 * and can be told to others, who have the same then. */
#include "lattice/replica.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lattice_replica *
with_peer(uint64_t self, uint64_t peer)
{
    struct lattice_replica *replica =
        lattice_replica_create(&(struct lattice_replica_config){
            .self = self, .causal = true, .kind = LATTICE_OR_SET});

    lattice_replica_peer_up(replica, peer);
    return replica;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lattice_replica *one = with_peer(1, 2), *two = with_peer(2, 1);
    struct plex_buf out = {.max = LATTICE_GOSSIP_MAX};
    struct plex_err err;
    uint64_t to;

    if (lattice_replica_receive(one, 1, 2, (struct plex_bytes){data, size},
                                &err) != PLEX_OK &&
        err.text[0] == '\0')
        abort();
    for (int i = 0; i < 4; i++) {
        if (lattice_replica_next(one, 5000, &to, &out) &&
            lattice_replica_receive(two, 5000, 1,
                                    (struct plex_bytes){out.data, out.len},
                                    &err) != PLEX_OK)
            abort();
        if (lattice_replica_next(two, 5000, &to, &out) &&
            lattice_replica_receive(one, 5000, 2,
                                    (struct plex_bytes){out.data, out.len},
                                    &err) != PLEX_OK)
            abort();
    }
    plex_buf_free(&out);
    lattice_replica_free(one);
    lattice_replica_free(two);
    return 0;
}
