#include "services/journal/read.h"

#include "services/journal/wire.h"

static enum plex_status
read_load(struct journal_store *store, const struct journal_load *load,
          uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
          uint64_t *newest, struct plex_err *err)
{
    struct journal_loaded loaded;

    if (journal_store_load(store, load, wall_ms, arena, &loaded, newest, err) !=
        PLEX_OK)
        return err->status;
    return journal_wire_loaded(&loaded, arena, out, err);
}

bool
journal_reads_add(struct journal_reads *reads, struct journal_request *request,
                  struct plex_arena *arena)
{
    reads->requests[reads->n] = request;
    reads->loadings[reads->n].load = &request->load;
    reads->loadings[reads->n].arena = arena;
    return ++reads->n == JOURNAL_LOADS_MAX;
}

void
journal_reads_run(struct journal_reads *reads, struct journal_store *store,
                  uint64_t wall_ms, struct plex_buf *out, journal_read_fn done,
                  void *arg)
{
    if (reads->n > 0)
        journal_store_loads(store, reads->loadings, reads->n, wall_ms);
    for (size_t i = 0; i < reads->n; i++) {
        struct journal_loading *l = &reads->loadings[i];

        out->len = 0;
        if (l->err.status == PLEX_OK)
            l->err.status =
                journal_wire_loaded(&l->out, l->arena, out, &l->err);
        done(arg, reads->requests[i], l->newest_epoch, &l->err);
    }
    reads->n = 0;
}

static enum plex_status
read_lookup(struct journal_store *store, const struct journal_request *request,
            uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
            struct plex_err *err)
{
    struct journal_lookup found;

    if (journal_store_lookup(store, request->tenant, request->message_id,
                             wall_ms, arena, &found, err) != PLEX_OK)
        return err->status;
    return journal_wire_lookup(&found, out, err);
}

static enum plex_status
read_answers(struct journal_store *store, const struct journal_request *request,
             uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
             struct plex_err *err)
{
    struct journal_result results[JOURNAL_ASKED_MAX];

    if (journal_store_answers(store, request->asked, request->n_asked, wall_ms,
                              arena, results, err) != PLEX_OK)
        return err->status;
    return journal_wire_results(results, request->n_asked, arena, out, err);
}

static enum plex_status
read_pending(struct journal_store *store, const struct journal_page *page,
             struct plex_arena *arena, struct plex_buf *out,
             struct plex_err *err)
{
    struct journal_paged paged;

    if (journal_store_pending(store, page, arena, &paged, err) != PLEX_OK)
        return err->status;
    return journal_wire_paged(&paged, arena, out, err);
}

static enum plex_status
read_history(struct journal_store *store, const struct journal_history *want,
             struct plex_arena *arena, struct plex_buf *out,
             struct plex_err *err)
{
    struct journal_past past;

    if (journal_store_history(store, want, arena, &past, err) != PLEX_OK)
        return err->status;
    return journal_wire_past(&past, arena, out, err);
}

static enum plex_status
read_at(struct journal_store *store, const struct journal_at *want,
        struct plex_arena *arena, struct plex_buf *out, struct plex_err *err)
{
    struct journal_was was;

    if (journal_store_at(store, want, arena, &was, err) != PLEX_OK)
        return err->status;
    return journal_wire_was(&was, out, err);
}

static enum plex_status
read_verify(struct journal_store *store, const struct journal_verify *want,
            struct plex_arena *arena, struct plex_buf *out,
            struct plex_err *err)
{
    struct journal_verified verified;

    if (journal_store_verify(store, want, arena, &verified, err) != PLEX_OK)
        return err->status;
    return journal_wire_verified(&verified, arena, out, err);
}

static enum plex_status
do_truncate(struct journal_store *store, const struct journal_at *at,
            uint64_t wall_ms, struct plex_buf *out, struct plex_err *err)
{
    const struct journal_truncate want = {at->actor, at->seq};
    struct journal_truncated truncated;

    if (journal_store_truncate(store, &want, wall_ms, &truncated, err) !=
        PLEX_OK)
        return err->status;
    return journal_wire_truncated(&truncated, out, err);
}

static enum plex_status
do_shred(struct journal_store *store, const char *tenant, struct plex_buf *out,
         struct plex_err *err)
{
    uint64_t keys;

    if (journal_store_shred(store, tenant, &keys, err) != PLEX_OK)
        return err->status;
    return journal_wire_shredded(keys, out, err);
}

enum plex_status
journal_read(struct journal_store *store, const struct journal_request *request,
             uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
             uint64_t *newest_epoch, struct plex_err *err)
{
    switch (request->kind) {
    case JOURNAL_LOAD:
        return read_load(store, &request->load, wall_ms, arena, out,
                         newest_epoch, err);
    case JOURNAL_LOOKUP:
        return read_lookup(store, request, wall_ms, arena, out, err);
    case JOURNAL_ANSWERS:
        return read_answers(store, request, wall_ms, arena, out, err);
    case JOURNAL_PENDING:
        return read_pending(store, &request->page, arena, out, err);
    case JOURNAL_HISTORY:
        return read_history(store, &request->history, arena, out, err);
    case JOURNAL_AT:
        return read_at(store, &request->at, arena, out, err);
    case JOURNAL_VERIFY:
        return read_verify(store, &request->verify, arena, out, err);
    case JOURNAL_TRUNCATE:
        return do_truncate(store, &request->at, wall_ms, out, err);
    case JOURNAL_SHRED:
        return do_shred(store, request->tenant, out, err);
    default:
        return plex_err_set(err, PLEX_INTERNAL, "this is no read");
    }
}
