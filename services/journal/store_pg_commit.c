#include "services/journal/store_pg_work.h"

#include <poll.h>
#include <string.h>

/* -- first round trip ------------------------------------------------------ */

static bool
send_messages_get(struct work *w)
{
    journal_pg_array_text(w->store);
    journal_pg_array_bytes(w->store);
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        const struct journal_entry *entry = w->commit->entries[i];
        const struct head *head = &w->heads[w->head_of[i]];

        /* Empty names and ids keep row numbers equal to entry numbers. */
        journal_pg_add_bytes(w->store, 1,
                             (struct plex_bytes){(const uint8_t *)head->name,
                                                 journal_work_has_id(entry)
                                                     ? head->name_len
                                                     : 0});
        journal_pg_add_bytes(w->store, 0,
                             journal_work_has_id(entry)
                                 ? entry->message_id
                                 : (struct plex_bytes){0});
    }
    return journal_pg_send(w->store, PG_MESSAGES_GET);
}

enum { GOT_BEGIN, GOT_LOCK, GOT_VERSION, GOT_HEADS, GOT_MESSAGES, GOT_ALL };

static enum plex_status
first_trip(struct work *w, PGresult **got, struct plex_err *err)
{
    struct pg_store *store = w->store;

    if (!journal_pg_send(store, PG_BEGIN) || !journal_pg_send(store, PG_LOCK) ||
        !journal_pg_send(store, PG_EPOCH_VERSION))
        return journal_pg_failed(store, NULL, err);
    (void)journal_work_param_names(w, false);
    if (!journal_pg_send(store, PG_ACTORS_GET) || !send_messages_get(w))
        return journal_pg_failed(store, NULL, err);
    return journal_pg_collect(store, got, GOT_ALL, err);
}

/* All of them, or false. */
static bool
heads_read(struct work *w, const PGresult *result)
{
    const int n = PQntuples(result);

    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)journal_pg_u64(result, i, 0) - 1;

        if (at < w->n_heads)
            journal_work_head_read(&w->heads[at], result, i);
    }
    return (size_t)n == w->n_heads;
}

/* Some actors are new. */
static enum plex_status
heads_add(struct work *w, struct plex_err *err)
{
    PGresult *got[2];

    (void)journal_work_param_names(w, false);
    if (!journal_pg_send(w->store, PG_ACTORS_MAKE))
        return journal_pg_failed(w->store, NULL, err);
    (void)journal_work_param_names(w, false);
    if (!journal_pg_send(w->store, PG_ACTORS_GET))
        return journal_pg_failed(w->store, NULL, err);
    if (journal_pg_collect(w->store, got, 2, err) != PLEX_OK)
        return err->status;
    if (!heads_read(w, got[1]))
        (void)plex_err_set(err, PLEX_INTERNAL,
                           "Postgres: %d of %zu actors have a row",
                           PQntuples(got[1]), w->n_heads);
    PQclear(got[0]);
    PQclear(got[1]);
    return err->status;
}

static void
messages_read(struct work *w)
{
    for (int i = 0; i < PQntuples(w->recorded); i++) {
        const size_t at = (size_t)journal_pg_u64(w->recorded, i, 0) - 1;
        struct mark *mark;

        if (at >= w->commit->n_entries)
            continue;
        mark = journal_work_mark(w, &w->messages, w->head_of[at],
                                 w->commit->entries[at]->message_id, true);
        mark->recorded = true;
        mark->request_hash = journal_pg_u64(w->recorded, i, 1);
        mark->expires_ms = journal_pg_u64(w->recorded, i, 2);
        mark->reply = journal_pg_bytes(w->recorded, i, 3);
        mark->flags = journal_pg_u64(w->recorded, i, 4);
        mark->reply_seq = journal_pg_u64(w->recorded, i, 5);
    }
}

static enum plex_status
read_first(struct work *w, struct plex_err *err)
{
    PGresult *got[GOT_ALL];
    uint64_t version;
    bool all;

    if (first_trip(w, got, err) != PLEX_OK)
        return err->status;
    version = journal_pg_u64(got[GOT_VERSION], 0, 0);
    w->store->removals = journal_pg_u64(got[GOT_VERSION], 0, 1);
    all = heads_read(w, got[GOT_HEADS]);
    w->recorded = got[GOT_MESSAGES];
    for (int i = 0; i < GOT_MESSAGES; i++)
        PQclear(got[i]);
    messages_read(w);
    if (!all && heads_add(w, err) != PLEX_OK)
        return err->status;
    return journal_pg_epochs_refresh(w->store, version, err);
}

/* -- second round trip ----------------------------------------------------- */

/* Ids that expired and were taken again. */
static bool
send_forget(struct work *w)
{
    size_t n = 0;

    journal_pg_array_bytes(w->store);
    journal_pg_array_u64(w->store);
    for (struct mark *m = w->messages; m != NULL; m = m->hh.next) {
        if (!m->recorded || m->seq == 0)
            continue;
        journal_pg_add_bytes(w->store, 1, m->id);
        journal_pg_add_u64(w->store, 0, w->heads[m->head].id);
        n++;
    }
    if (n > 0)
        return journal_pg_send(w->store, PG_MESSAGES_FORGET);
    w->store->n_params = 0;
    return true;
}

static bool
send_second(struct work *w)
{
    if (!send_forget(w))
        return false;
    (void)journal_work_param_turns(w);
    return journal_pg_send(w->store, PG_TURNS_ADD) &&
           journal_work_send_others(w) && journal_work_send_epochs(w) &&
           journal_pg_send(w->store, PG_COMMIT);
}

static enum plex_status
second_trip(struct work *w, struct plex_err *err)
{
    const enum plex_status status =
        send_second(w) ? journal_pg_collect_commit(w->store, err)
                       : journal_pg_failed(w->store, NULL, err);

    if (status == PLEX_OK && w->raised)
        w->store->epoch_version++;
    return status;
}

/* -- the whole ------------------------------------------------------------- */

static void
rollback(struct work *w)
{
    struct pg_store *store = w->store;
    struct plex_err err;
    PGresult *result;

    /* One that was made in the transaction is not there. */
    journal_keys_forget(&store->base);
    if (w->raised) {
        journal_epochs_fini(&store->epochs);
        store->epochs = w->before;
        w->before = (struct journal_epochs){0};
        store->epoch_version = 0; /* read them again */
    }
    if (store->conn != NULL &&
        PQtransactionStatus(store->conn) != PQTRANS_IDLE &&
        journal_pg_query(store, PG_ROLLBACK, &result, &err) == PLEX_OK)
        PQclear(result);
}

static enum plex_status
run(struct work *w, struct plex_err *err)
{
    if (journal_pg_connect(w->store, err) != PLEX_OK ||
        read_first(w, err) != PLEX_OK ||
        journal_keys_ensure(&w->store->base, w->commit, err) != PLEX_OK)
        return err->status;
    journal_work_decide(w);
    return second_trip(w, err);
}

static void
replies_place(const struct work *w)
{
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        struct journal_result *result = w->commit->results[i];

        if (result->reply.len > 0)
            result->reply.data =
                w->store->replies.data + (uintptr_t)result->reply.data;
    }
}

static enum plex_status
commit_carefully(struct pg_store *store, struct journal_commit *commit,
                 struct plex_err *err)
{
    struct work w;
    enum plex_status status;

    journal_work_init(&w, store, commit);
    status = run(&w, err);
    if (status == PLEX_OK) {
        replies_place(&w);
        for (size_t i = 0; i < w.n_heads; i++)
            w.heads[i].verified = store->removals;
        journal_pg_heads_keep(&w);
    } else {
        rollback(&w);
    }
    journal_work_fini(&w);
    return status;
}

/* An idle connection may have been closed long ago. Better to notice before
 * anything is sent than to wonder whether it was done. */
static void
notice_closed(struct pg_store *store)
{
    struct pollfd fd = {.events = POLLIN};
    struct plex_err err;

    if (store->conn == NULL)
        return;
    fd.fd = PQsocket(store->conn);
    if (poll(&fd, 1, 0) > 0 && PQconsumeInput(store->conn) == 0)
        (void)journal_pg_failed(store, NULL, &err);
}

static enum plex_status
try_commit(struct pg_store *store, struct journal_commit *commit,
           struct plex_err *err)
{
    enum plex_status status;

    if (journal_pg_connect(store, err) != PLEX_OK ||
        journal_keys_ensure(&store->base, commit, err) != PLEX_OK)
        return err->status;
    status = journal_pg_commit_fast(store, commit, err);
    if (status == PLEX_CONFLICT)
        status = commit_carefully(store, commit, err);
    return status;
}

enum plex_status
journal_pg_commit(struct journal_store *base, struct journal_commit *commit,
                  struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    const bool connected = store->conn != NULL;
    enum plex_status status;

    notice_closed(store);
    status = try_commit(store, commit, err);
    /* Lost on the way, and nothing was written. */
    if (status == PLEX_UNAVAILABLE && connected && store->conn == NULL)
        status = try_commit(store, commit, err);
    return status == PLEX_CONFLICT ? err->status = PLEX_UNAVAILABLE : status;
}
