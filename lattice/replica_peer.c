/* What replicas tell each other. */
#include "lattice/replica_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* -- peers ----------------------------------------------------------------- */

static struct peer *
peer_find(struct lattice_replica *replica, uint64_t id)
{
    for (size_t i = 0; i < replica->n_peers; i++)
        if (replica->peers[i].id == id)
            return &replica->peers[i];
    return NULL;
}

void
lattice_replica_peer_up(struct lattice_replica *replica, uint64_t id)
{
    if (peer_find(replica, id) != NULL || id == replica->config.self ||
        replica->n_peers == LATTICE_PEERS_MAX)
        return;
    if (replica->n_peers == replica->cap_peers) {
        replica->cap_peers =
            replica->cap_peers == 0 ? 4 : replica->cap_peers * 2;
        replica->peers = plex_reallocarray(replica->peers, replica->cap_peers,
                                           sizeof *replica->peers);
    }
    replica->peers[replica->n_peers++] =
        (struct peer){.id = id, .full = true, .full_upto = replica->head};
}

void
lattice_replica_peer_down(struct lattice_replica *replica, uint64_t id)
{
    struct peer *peer = peer_find(replica, id);

    if (peer == NULL)
        return;
    *peer = replica->peers[--replica->n_peers];
    for (size_t i = 0; i < replica->n_cells; i++)
        if (replica->cells[i]->foreign)
            replica->cells[i]->kept = 0;
}

size_t
lattice_replica_peers(const struct lattice_replica *replica, size_t *heard)
{
    *heard = 0;
    for (size_t i = 0; i < replica->n_peers; i++)
        *heard += replica->peers[i].heard;
    return replica->n_peers;
}

static void
confirmed(struct lattice_replica *replica, struct peer *peer, uint64_t flight)
{
    if (!peer->flying || peer->flight != flight)
        return;
    peer->flying = false;
    if (!peer->full) {
        peer->acked = peer->flight_upto;
        return;
    }
    peer->full_at = peer->flight_cells;
    if (peer->full_at >= replica->n_cells) {
        peer->full = false;
        peer->acked = peer->full_upto;
    }
}

static void
tell_all(struct lattice_replica *replica, struct peer *peer)
{
    peer->full = true;
    peer->full_at = 0;
    peer->full_upto = replica->head;
    peer->flying = false;
}

static uint64_t digest_of(struct lattice_replica *replica);

/* Two digests in a row that differ, with nothing changed between them. */
static void
compare(struct lattice_replica *replica, struct peer *peer,
        const struct gossip *gossip)
{
    const bool differ = digest_of(replica) != gossip->digest;

    if (differ && peer->differs && peer->differs_head == gossip->head &&
        peer->differs_own == replica->changes && !peer->full && !peer->flying) {
        tell_all(replica, peer);
        peer->differs = false;
        return;
    }
    peer->differs = differ;
    peer->differs_head = gossip->head;
    peer->differs_own = replica->changes;
}

enum plex_status
lattice_replica_receive(struct lattice_replica *replica, uint64_t now_ms,
                        uint64_t from, struct plex_bytes message,
                        struct plex_err *err)
{
    struct peer *peer = peer_find(replica, from);
    struct plex_bytes cells;
    struct gossip gossip;
    struct lattice *heard;
    const char *key;
    size_t len;
    enum plex_status status =
        lattice_gossip_read(message, &gossip, &cells, err);

    (void)now_ms;
    while (status == PLEX_OK &&
           lattice_gossip_cell_read(&cells, &key, &len, &heard)) {
        if (heard == NULL ||
            !lattice_replica_hear(replica, from, key, len, heard))
            replica->refused++;
        lattice_free(heard);
    }
    if (status == PLEX_OK && cells.len > 0)
        status = plex_err_set(err, PLEX_INVALID,
                              "a message of a replica has a bad cell");
    if (status == PLEX_OK && gossip.all && gossip.seen != NULL)
        (void)lattice_merge(replica->seen, gossip.seen);
    lattice_free(gossip.seen);
    if (status != PLEX_OK || peer == NULL)
        return status;
    peer->heard = peer->heard || gossip.all;
    if (gossip.flight != 0)
        peer->confirm = gossip.flight;
    if (gossip.confirm != 0)
        confirmed(replica, peer, gossip.confirm);
    if (gossip.has_digest)
        compare(replica, peer, &gossip);
    return PLEX_OK;
}

/* -- digests --------------------------------------------------------------- */

/* FNV-1a; who sends a digest is one of us. */
static uint64_t
hash_on(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t
digest_of(struct lattice_replica *replica)
{
    struct plex_buf bytes = {.max = SIZE_MAX};
    struct plex_err err;
    uint64_t sum = 0;

    for (size_t i = 0; i < replica->n_cells; i++) {
        struct cell *cell = replica->cells[i];

        if (cell->version == 0)
            continue;
        if (cell->hashed != cell->version) {
            bytes.len = 0;
            cell->hash = hash_on(UINT64_C(14695981039346656037), cell->key,
                                 cell->len + 1);
            if (lattice_encode(cell->lattice, &bytes, &err) == PLEX_OK)
                cell->hash = hash_on(cell->hash, bytes.data, bytes.len);
            cell->hashed = cell->version;
        }
        sum += cell->hash;
    }
    plex_buf_free(&bytes);
    return sum;
}

/* -- telling --------------------------------------------------------------- */

/* What one message tells of a cell: it, or a delta. */
struct told {
    struct gossip_cell cell;
    struct lattice *owned; /* NULL: borrowed */
};
struct telling {
    uint64_t flight;
    struct told *items;
    size_t n, cap, bytes;
};

/* False: it has to wait for another message. */
static bool
tell(struct telling *telling, struct cell *cell, const struct lattice *lattice)
{
    const struct gossip_cell is = {cell->key, cell->len, lattice};
    const size_t bytes = lattice_gossip_cell_bytes(&is) + 8;
    struct told *item;

    if (telling->n > 0 && telling->bytes + bytes > LATTICE_GOSSIP_BYTES)
        return false;
    telling->bytes += bytes;
    if (cell->told_in == telling->flight) {
        item = &telling->items[cell->told_at];
        if (item->owned == NULL)
            item->owned = lattice_clone(item->cell.lattice);
        (void)lattice_merge(item->owned, lattice);
        item->cell.lattice = item->owned;
        return true;
    }
    cell->told_in = telling->flight;
    cell->told_at = telling->n;
    if (telling->n == telling->cap) {
        telling->cap = telling->cap == 0 ? 16 : telling->cap * 2;
        telling->items = plex_reallocarray(telling->items, telling->cap,
                                           sizeof *telling->items);
    }
    telling->items[telling->n++] = (struct told){.cell = is};
    return true;
}

/* Cells from full_at on. */
static void
tell_cells(struct lattice_replica *replica, struct peer *peer,
           struct telling *telling)
{
    size_t at = peer->full_at;

    while (at < replica->n_cells &&
           (replica->cells[at]->version == 0 ||
            tell(telling, replica->cells[at], replica->cells[at]->lattice)))
        at++;
    peer->flight_cells = at;
}

/* Changes after those it has, each cell's as one. */
static void
tell_changes(struct lattice_replica *replica, struct peer *peer,
             struct telling *telling)
{
    const uint64_t first = replica->head - replica->n_log;
    uint64_t at = peer->acked;

    for (; at < replica->head; at++) {
        const size_t place =
            (replica->log_at + (size_t)(at - first)) % LATTICE_LOG_MAX;
        const struct change *change = &replica->log[place];

        if (change->from != peer->id &&
            !tell(telling, change->cell, change->delta))
            break;
    }
    peer->flight_upto = at;
}

static void
telling_fini(struct telling *telling)
{
    for (size_t i = 0; i < telling->n; i++)
        lattice_free(telling->items[i].owned);
    free(telling->items);
}

/* Is the message that ends with this the one after which the peer has all? */
static bool
has_all(const struct lattice_replica *replica, const struct peer *peer)
{
    return peer->full ? peer->flight_cells == replica->n_cells &&
                            peer->full_upto == replica->head
                      : peer->flight_upto == replica->head;
}

static bool
write_all(const struct gossip *gossip, const struct telling *telling,
          struct plex_buf *out)
{
    out->len = 0;
    if (!lattice_gossip_write(gossip, out))
        return false;
    for (size_t i = 0; i < telling->n; i++)
        if (!lattice_gossip_cell_write(&telling->items[i].cell, out))
            return false;
    return true;
}

/* What is told, and whether anything is. */
static void
choose(struct lattice_replica *replica, struct peer *peer, uint64_t now_ms,
       struct telling *telling, struct gossip *gossip)
{
    telling->flight = replica->flights + 1;
    if (!peer->full && peer->acked < replica->head - replica->n_log)
        tell_all(replica, peer);
    if (peer->full)
        tell_cells(replica, peer, telling);
    else
        tell_changes(replica, peer, telling);
    if (telling->n == 0 && !peer->full) { /* all of it is the peer's own */
        peer->flying = false;
        peer->acked = peer->flight_upto;
        return;
    }
    replica->flights++;
    peer->flying = true;
    peer->flight = gossip->flight = telling->flight;
    peer->sent_ms = now_ms;
    gossip->all = has_all(replica, peer);
    if (gossip->all && replica->config.causal)
        gossip->seen = replica->seen;
}

static bool
has_news(const struct lattice_replica *replica, const struct peer *peer,
         uint64_t now_ms)
{
    if (peer->flying)
        return now_ms >= peer->sent_ms + LATTICE_AGAIN_MS;
    return peer->full || peer->acked < replica->head;
}

static bool
peer_next(struct lattice_replica *replica, struct peer *peer, uint64_t now_ms,
          struct plex_buf *out)
{
    struct telling telling = {0};
    struct gossip gossip = {.confirm = peer->confirm,
                            .has_digest = peer->digest};
    bool some;

    if (has_news(replica, peer, now_ms))
        choose(replica, peer, now_ms, &telling, &gossip);
    if (peer->digest) {
        gossip.digest = digest_of(replica);
        gossip.head = replica->changes;
    }
    peer->confirm = 0;
    peer->digest = false;
    some = gossip.flight != 0 || gossip.confirm != 0 || gossip.has_digest;
    if (some && !write_all(&gossip, &telling, out)) {
        replica->refused++; /* sent again, in vain: a digest will show it */
        some = false;
    }
    telling_fini(&telling);
    return some;
}

bool
lattice_replica_next(struct lattice_replica *replica, uint64_t now_ms,
                     uint64_t *id, struct plex_buf *out)
{
    if (replica->n_peers > 0 &&
        now_ms >= replica->digest_ms + LATTICE_DIGEST_MS) {
        replica->digest_ms = now_ms;
        replica->next_digest = (replica->next_digest + 1) % replica->n_peers;
        replica->peers[replica->next_digest].digest = true;
    }
    for (size_t i = 0; i < replica->n_peers; i++) {
        struct peer *peer = &replica->peers[i];

        *id = peer->id;
        if ((peer->confirm != 0 || peer->digest ||
             has_news(replica, peer, now_ms)) &&
            peer_next(replica, peer, now_ms, out))
            return true;
    }
    return false;
}

uint64_t
lattice_replica_due(const struct lattice_replica *replica, uint64_t now_ms)
{
    uint64_t due = replica->n_peers == 0
                       ? UINT64_MAX
                       : replica->digest_ms + LATTICE_DIGEST_MS;

    for (size_t i = 0; i < replica->n_peers; i++) {
        const struct peer *peer = &replica->peers[i];

        if (peer->confirm != 0 || peer->digest)
            return now_ms;
        if (peer->flying && peer->sent_ms + LATTICE_AGAIN_MS < due)
            due = peer->sent_ms + LATTICE_AGAIN_MS;
        else if (has_news(replica, peer, now_ms))
            return now_ms;
    }
    return due > now_ms ? due : now_ms;
}

bool
lattice_replica_settled(const struct lattice_replica *replica)
{
    for (size_t i = 0; i < replica->n_peers; i++)
        if (replica->peers[i].flying || replica->peers[i].full ||
            replica->peers[i].acked < replica->head)
            return false;
    return true;
}
