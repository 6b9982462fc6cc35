/* Cells, the log of their changes, and what an owner has of them. */
#include "lattice/replica_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

struct lattice_replica *
lattice_replica_create(const struct lattice_replica_config *config)
{
    struct lattice_replica *replica = plex_calloc(1, sizeof *replica);

    replica->config = *config;
    replica->seen = lattice_create(LATTICE_VECTOR_CLOCK);
    replica->log = plex_calloc(LATTICE_LOG_MAX, sizeof *replica->log);
    return replica;
}

void
lattice_replica_free(struct lattice_replica *replica)
{
    if (replica == NULL)
        return;
    for (size_t i = 0; i < LATTICE_LOG_MAX; i++)
        lattice_free(replica->log[i].delta);
    HASH_CLEAR(hh, replica->by_key);
    for (size_t i = 0; i < replica->n_cells; i++) {
        lattice_free(replica->cells[i]->lattice);
        free(replica->cells[i]);
    }
    free(replica->cells);
    free(replica->log);
    free(replica->peers);
    lattice_free(replica->seen);
    free(replica);
}

/* -- cells ----------------------------------------------------------------- */

static struct cell *
cell_find(const struct lattice_replica *replica, const char *key, size_t len)
{
    struct cell *cell;

    HASH_FIND(hh, replica->by_key, key, len, cell);
    return cell;
}

static struct cell *
cell_make(struct lattice_replica *replica, const char *key, size_t len,
          enum lattice_kind kind)
{
    struct cell *cell = plex_calloc(1, sizeof *cell + len + 1);

    memcpy(cell->key, key, len);
    cell->len = len;
    cell->lattice = lattice_create(kind);
    cell->at = replica->n_cells;
    if (replica->n_cells == replica->cap_cells) {
        replica->cap_cells =
            replica->cap_cells == 0 ? 16 : replica->cap_cells * 2;
        replica->cells = plex_reallocarray(replica->cells, replica->cap_cells,
                                           sizeof *replica->cells);
    }
    replica->cells[replica->n_cells++] = cell;
    HASH_ADD_KEYPTR(hh, replica->by_key, cell->key, len, cell);
    return cell;
}

const struct lattice *
lattice_replica_get(const struct lattice_replica *replica, const char *key,
                    size_t len)
{
    const struct cell *cell = cell_find(replica, key, len);

    return cell == NULL ? NULL : cell->lattice;
}

size_t
lattice_replica_cells(const struct lattice_replica *replica)
{
    return replica->n_cells;
}

/* -- the log --------------------------------------------------------------- */

static void
log_add(struct lattice_replica *replica, struct cell *cell,
        const struct lattice *delta, uint64_t from)
{
    const size_t bytes = lattice_bytes(delta) + sizeof(struct change);
    struct change *change;

    while (replica->n_log > 0 &&
           (replica->n_log == LATTICE_LOG_MAX ||
            replica->log_bytes + bytes > LATTICE_LOG_BYTES)) {
        change = &replica->log[replica->log_at];
        replica->log_bytes -= change->bytes;
        lattice_free(change->delta);
        change->delta = NULL;
        replica->log_at = (replica->log_at + 1) % LATTICE_LOG_MAX;
        replica->n_log--;
    }
    change =
        &replica->log[(replica->log_at + replica->n_log++) % LATTICE_LOG_MAX];
    *change = (struct change){cell, lattice_clone(delta), bytes, from};
    replica->log_bytes += bytes;
    replica->head++;
}

/* -- changes --------------------------------------------------------------- */

static void
count_own(struct lattice_replica *replica)
{
    struct lattice *one = lattice_count(LATTICE_VECTOR_CLOCK, replica->seen,
                                        replica->config.self, 1, false);

    if (one != NULL)
        (void)lattice_merge(replica->seen, one);
    lattice_free(one);
}

enum plex_status
lattice_replica_change(struct lattice_replica *replica, const char *key,
                       size_t len, const struct lattice *delta, bool kept,
                       struct plex_err *err)
{
    struct cell *cell = cell_find(replica, key, len);

    if (len == 0 || len > LATTICE_KEY_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a cell's key is 1 to %d bytes, not %zu",
                            LATTICE_KEY_MAX, len);
    if (lattice_kind_of(delta) != replica->config.kind)
        return plex_err_set(err, PLEX_CONFLICT, "the lattice is a %s, not a %s",
                            lattice_kind_text(replica->config.kind),
                            lattice_kind_text(lattice_kind_of(delta)));
    if (cell == NULL && replica->own_cells >= LATTICE_CELLS_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "a worker begins %d cells of a type at most",
                            LATTICE_CELLS_MAX);
    if (cell != NULL && lattice_room(cell->lattice, delta, err) != PLEX_OK)
        return err->status;
    if (cell == NULL) {
        cell = cell_make(replica, key, len, lattice_kind_of(delta));
        replica->own_cells++;
    }
    if (!lattice_merge(cell->lattice, delta))
        return PLEX_OK;
    if (kept && cell->kept == cell->version)
        cell->kept++;
    cell->version++;
    replica->changes++;
    count_own(replica);
    log_add(replica, cell, delta, 0);
    return PLEX_OK;
}

bool
lattice_replica_hear(struct lattice_replica *replica, uint64_t from,
                     const char *key, size_t len, const struct lattice *heard)
{
    struct cell *cell = cell_find(replica, key, len);
    struct plex_err err;
    bool settled;

    if (lattice_kind_of(heard) != replica->config.kind)
        return false;
    if (cell == NULL && replica->n_cells >= (size_t)LATTICE_CELLS_MAX * 100)
        return false;
    if (cell == NULL)
        cell = cell_make(replica, key, len, lattice_kind_of(heard));
    if (lattice_room(cell->lattice, heard, &err) != PLEX_OK)
        return false;
    settled = cell->kept == cell->version;
    if (!lattice_merge(cell->lattice, heard))
        return true;
    cell->version++;
    cell->foreign = true;
    if (settled) /* who made the change sees to its being kept */
        cell->kept = cell->version;
    replica->changes++;
    if (replica->config.causal)
        log_add(replica, cell, heard, from);
    return true;
}

/* -- keeping --------------------------------------------------------------- */

bool
lattice_replica_unkept(const struct lattice_replica *replica, size_t *at,
                       const char **key, size_t *len,
                       const struct lattice **lattice, uint64_t *version)
{
    for (; *at < replica->n_cells; ++*at) {
        const struct cell *cell = replica->cells[*at];

        if (cell->kept == cell->version)
            continue;
        *key = cell->key;
        *len = cell->len;
        *lattice = cell->lattice;
        *version = cell->version;
        ++*at;
        return true;
    }
    return false;
}

void
lattice_replica_kept(struct lattice_replica *replica, const char *key,
                     size_t len, uint64_t version)
{
    struct cell *cell = cell_find(replica, key, len);

    if (cell != NULL && cell->kept < version)
        cell->kept = version;
}

uint64_t
lattice_replica_refused(const struct lattice_replica *replica)
{
    return replica->refused;
}

const struct lattice *
lattice_replica_seen(const struct lattice_replica *replica)
{
    return replica->seen;
}
