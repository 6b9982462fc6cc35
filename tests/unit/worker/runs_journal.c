/* The journal of the small world in runs.h. */
#include "tests/unit/worker/runs_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
runs_blob_set(struct runs_blob *blob, struct plex_bytes bytes)
{
    uint8_t *data = plex_reallocarray(NULL, 1, bytes.len + 1);

    if (bytes.len > 0)
        memcpy(data, bytes.data, bytes.len);
    free(blob->data);
    *blob = (struct runs_blob){data, bytes.len};
}

struct plex_bytes
runs_blob_get(const struct runs_blob *blob)
{
    return (struct plex_bytes){blob->data, blob->len};
}

struct runs_actor *
runs_actor_of(struct runs *runs, const char *key)
{
    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++) {
        if (runs->actors[i].key[0] == '\0')
            snprintf(runs->actors[i].key, 32, "%s", key);
        if (strcmp(runs->actors[i].key, key) == 0)
            return &runs->actors[i];
    }
    abort();
}

/* -- the journal --------------------------------------------------------------
 */

static void
settle(struct runs *runs, const char *key, struct plex_bytes id)
{
    for (size_t i = 0; i < RUNS_PENDINGS_MAX; i++) {
        struct runs_pending *p = &runs->pendings[i];

        if (p->used && strcmp(p->key, key) == 0 && strlen(p->id) == id.len &&
            memcmp(p->id, id.data, id.len) == 0)
            p->used = false;
    }
}

static void
pending_add(struct runs *runs, const char *key, const struct journal_pending *p)
{
    size_t i = 0;

    settle(runs, key, p->id); /* one of that id is replaced */
    while (runs->pendings[i].used)
        i++;
    assert(i < RUNS_PENDINGS_MAX);
    runs->pendings[i].used = true;
    snprintf(runs->pendings[i].key, 32, "%s", key);
    snprintf(runs->pendings[i].id, 320, "%.*s", (int)p->id.len, p->id.data);
    runs->pendings[i].due_ms = p->due_ms;
    runs_blob_set(&runs->pendings[i].message, p->message);
}

static void
id_keep(struct runs *runs, const struct runs_actor *actor)
{
    struct runs_id *id = &runs->ids[runs->n_ids];

    if (runs->n_ids == RUNS_IDS_MAX)
        return;
    runs->n_ids++;
    memcpy(id->key, actor->key, sizeof id->key);
    memcpy(id->id, actor->id, sizeof id->id);
    id->hash = actor->hash;
    runs_blob_set(&id->reply, runs_blob_get(&actor->reply));
}

static struct journal_result
entry_write(struct runs *runs, const struct journal_entry *e)
{
    struct runs_actor *actor = runs_actor_of(runs, e->actor.key);

    if (e->epoch < runs->epoch)
        return (struct journal_result){.status = PLEX_FENCED,
                                       .newest_epoch = runs->epoch};
    if (e->kind == JOURNAL_TURN) {
        if (e->message_id.len > 0 && strlen(actor->id) == e->message_id.len &&
            memcmp(actor->id, e->message_id.data, e->message_id.len) == 0)
            return (struct journal_result){.status = PLEX_EXISTS,
                                           .request_hash = actor->hash,
                                           .reply =
                                               runs_blob_get(&actor->reply)};
        if (e->seq != actor->seq + 1)
            return (struct journal_result){.status = PLEX_CONFLICT};
        actor->seq++;
        if (e->has_state) {
            runs_blob_set(&actor->state, e->state);
            actor->has_state = true;
            actor->schema = e->schema_version;
            actor->state_seq = e->seq;
            actor->n_records = 0;
        } else if (e->rebuilds) {
            assert(actor->n_records < RUNS_RECORDS_MAX);
            runs_blob_set(&actor->records[actor->n_records++], e->record);
        }
        if (e->message_id.len > 0 && e->message_id.data[0] == 'm') {
            snprintf(actor->id, sizeof actor->id, "%.*s",
                     (int)e->message_id.len, e->message_id.data);
            actor->hash = e->request_hash;
            runs_blob_set(&actor->reply, e->reply);
            id_keep(runs, actor);
        }
        for (size_t i = 0; i < e->n_pending; i++)
            pending_add(runs, actor->key, &e->pending[i]);
    }
    for (size_t i = 0; i < e->n_settled; i++)
        settle(runs, actor->key, e->settled[i]);
    return (struct journal_result){.status = PLEX_OK};
}

void
runs_do_append(struct runs *runs, const struct work_action *a)
{
    struct journal_result *results = plex_calloc(a->append.n, sizeof *results);

    for (size_t i = 0; i < a->append.n; i++)
        results[i] = entry_write(runs, &a->append.entries[i]);
    if (runs->lost_append && runs->actions == runs->crash_at) {
        free(results); /* written, and nobody heard of it */
        runs->lost_append = false;
        runs_crash(runs);
        return;
    }
    work_core_appended(runs->core, runs->t, a->token, PLEX_OK, "", results,
                       a->append.n);
    free(results);
}

static struct journal_result
id_find(const struct runs *runs, const struct journal_asked *asked)
{
    for (size_t i = 0; i < runs->n_ids; i++) {
        const struct runs_id *id = &runs->ids[i];

        if (strcmp(id->key, asked->actor.key) == 0 &&
            strlen(id->id) == asked->message_id.len &&
            memcmp(id->id, asked->message_id.data, asked->message_id.len) == 0)
            return (struct journal_result){.status = PLEX_EXISTS,
                                           .request_hash = id->hash,
                                           .reply = runs_blob_get(&id->reply)};
    }
    return (struct journal_result){.status = PLEX_NOT_FOUND};
}

void
runs_do_lookup(struct runs *runs, const struct work_action *a)
{
    struct journal_result results[JOURNAL_ASKED_MAX];
    size_t fit = 0;

    runs->lookups++;
    runs->asked += a->lookup.n;
    for (size_t i = 0; i < a->lookup.n; i++) {
        results[i] = id_find(runs, &a->lookup.asked[i]);
        if (results[i].status == PLEX_EXISTS && runs->one_answer && fit++ > 0)
            results[i].status = PLEX_LIMIT;
    }
    work_core_looked_up(runs->core, runs->t, a->token, PLEX_OK, "", results,
                        a->lookup.n);
}

void
runs_do_load(struct runs *runs, const struct work_action *a)
{
    struct runs_actor *actor = runs_actor_of(runs, a->load.actor.key);
    const struct journal_recorded recent = {
        .message_id = {(const uint8_t *)actor->id, strlen(actor->id)},
        .request_hash = actor->hash,
        .expires_ms = UINT64_MAX,
        .reply = runs_blob_get(&actor->reply),
        .seq = actor->seq};
    /* A page of two records, to have pages. */
    const uint64_t from =
        a->load.records_from == 0 || a->load.records_from <= actor->state_seq
            ? 0
            : a->load.records_from - actor->state_seq - 1;
    struct journal_record records[2];
    struct journal_loaded loaded = {
        .last_seq = actor->seq,
        .state_seq = actor->state_seq,
        .has_state = actor->has_state && a->load.records_from == 0,
        .state = runs_blob_get(&actor->state),
        .schema_version = actor->schema,
        .recent = &recent,
        .n_recent = actor->id[0] == '\0' ? 0 : 1,
        .records = records,
    };

    if (a->load.records_from > 0)
        loaded.n_recent = 0;
    for (size_t i = from; a->load.records_from > 0 && i < actor->n_records &&
                          loaded.n_records < 2;
         i++)
        records[loaded.n_records++] =
            (struct journal_record){.bytes = runs_blob_get(&actor->records[i])};
    if (loaded.n_records == 2 && from + 2 < actor->n_records)
        loaded.next_record = actor->state_seq + from + 3;

    work_core_loaded(runs->core, runs->t, a->token, PLEX_OK, "", &loaded);
}

void
runs_do_pendings(struct runs *runs, const struct work_action *a)
{
    struct journal_pending_item items[RUNS_PENDINGS_MAX];
    uint64_t next_due_ms = 0;
    size_t n = 0;

    for (size_t i = 0; i < RUNS_PENDINGS_MAX; i++) {
        const struct runs_pending *p = &runs->pendings[i];

        if (p->used && p->due_ms >= a->pendings.until_ms)
            next_due_ms = next_due_ms == 0 || p->due_ms < next_due_ms
                              ? p->due_ms
                              : next_due_ms;
        else if (p->used)
            items[n++] = (struct journal_pending_item){
                .owner = {"acme", "default", "flow", p->key},
                .pending = {{(const uint8_t *)p->id, strlen(p->id)},
                            p->due_ms,
                            {p->message.data, p->message.len}}};
    }
    work_core_pendings(runs->core, runs->t, a->token, PLEX_OK, items, n,
                       (struct plex_bytes){0}, next_due_ms);
}
