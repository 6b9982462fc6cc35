/* The state of a run at some turn: its log as it was written last as a whole,
 * and what the turns since then have added to it. */
#include "services/gateway/rest_fold.h"

#include "common/mem.h"
#include "services/worker/client.h"

#include <stdlib.h>
#include <string.h>

struct fold {
    struct gate_rest *rest;
    struct plex_actor_id actor;
    gate_rest_was_fn done;
    struct journal_was was;
    uint8_t *state; /* was.state */
    struct plex_bytes *records;
    size_t n;
};

static struct plex_bytes
keep(struct plex_bytes from)
{
    uint8_t *copy = plex_reallocarray(NULL, 1, from.len + 1);

    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    return (struct plex_bytes){copy, from.len};
}

static void
finish(struct fold *fold, enum plex_status status, const char *text)
{
    struct plex_buf whole = {.max = JOURNAL_STATE_MAX};
    struct plex_err err;

    if (status == PLEX_OK && fold->n > 0) {
        status = work_run_fold(fold->was.state, fold->records, fold->n, &whole,
                               &err);
        text = err.text;
        fold->was.state = (struct plex_bytes){whole.data, whole.len};
    }
    fold->was.state_seq = fold->was.seq;
    fold->done(fold->rest, status, text, &fold->was);
    plex_buf_free(&whole);
    for (size_t i = 0; i < fold->n; i++)
        free((void *)(uintptr_t)fold->records[i].data);
    free(fold->records);
    free(fold->state);
    free(fold);
}

static void ask(struct fold *fold, uint64_t from);

static void
on_page(void *arg, enum plex_status status, const char *text,
        const struct journal_past *past)
{
    struct fold *fold = arg;

    if (status != PLEX_OK) {
        finish(fold, status, text);
        return;
    }
    fold->records = plex_reallocarray(fold->records, fold->n + past->n + 1,
                                      sizeof *fold->records);
    for (size_t i = 0; i < past->n; i++)
        if (past->turns[i].rebuilds)
            fold->records[fold->n++] = keep(past->turns[i].record);
    if (past->next_seq != 0)
        ask(fold, past->next_seq);
    else
        finish(fold, PLEX_OK, "");
}

static void
ask(struct fold *fold, uint64_t from)
{
    struct gate_rest *rest = fold->rest;
    struct journal_client journal = {
        rest->gate->host->link,
        reg_client_next_url(rest->gate->registry, "journal")};
    const struct journal_history want = {.actor = fold->actor,
                                         .first_seq = from,
                                         .last_seq = fold->was.seq,
                                         .limit = JOURNAL_HISTORY_MAX};

    journal_client_history(&journal, &rest->context, &want, on_page, fold);
}

void
gate_rest_fold(struct gate_rest *rest, const struct plex_actor_id *actor,
               const struct journal_was *was, gate_rest_was_fn done)
{
    struct fold *fold;

    if (!was->has_state || was->state_seq >= was->seq ||
        (was->schema_version & WORK_SCHEMA_OPEN) == 0) {
        done(rest, PLEX_OK, "", was);
        return;
    }
    fold = plex_calloc(1, sizeof *fold);
    fold->rest = rest;
    fold->actor = *actor; /* in the request's arena */
    fold->done = done;
    fold->was = *was;
    fold->was.state = keep(was->state);
    fold->state = (uint8_t *)(uintptr_t)fold->was.state.data;
    ask(fold, was->state_seq + 1);
}
