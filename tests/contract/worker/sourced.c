#include "tests/contract/worker/sourced.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *
dsn_wanted(void)
{
    const char *dsn = getenv("TEST_DSN");

    return dsn == NULL ? "mem:" : dsn;
}

bool
sourced_is(const char *scheme)
{
    return strncmp(dsn_wanted(), scheme, strlen(scheme)) == 0;
}

/* Also of use where no test runs. */
static void
succeed(enum plex_status status, const struct plex_err *err)
{
    if (status == PLEX_OK)
        return;
    (void)fprintf(stderr, "%s\n", err->text);
    abort();
}

/* -- the journal -------------------------------------------------------------
 */

static void
shell(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "failed: %s\n", command);
        abort();
    }
}

static void
dsn_make(struct sourced *s)
{
    const char *pg = getenv("PLEX_TEST_PG");
    char command[1024];

    (void)snprintf(s->folder, sizeof s->folder, "/tmp/plex-sourced-XXXXXX");
    assert(mkdtemp(s->folder) != NULL);
    if (sourced_is("sqlite")) {
        (void)snprintf(s->dsn, sizeof s->dsn, "sqlite:%s/j.db", s->folder);
    } else if (sourced_is("postgres")) {
        (void)snprintf(command, sizeof command,
                       "psql -q -d '%s' -c 'SET client_min_messages = warning; "
                       "DROP SCHEMA IF EXISTS worker_contract CASCADE; "
                       "CREATE SCHEMA worker_contract'",
                       pg);
        shell(command);
        (void)snprintf(s->dsn, sizeof s->dsn,
                       "%s%coptions=-csearch_path%%3Dworker_contract", pg,
                       strchr(pg, '?') ? '&' : '?');
    } else {
        (void)snprintf(s->dsn, sizeof s->dsn, "mem:");
    }
}

static void
store_open(struct sourced *s)
{
    const struct journal_store_config config = {.dsn = s->dsn,
                                                .history = "3600000"};
    struct plex_err err;

    succeed(journal_store_open(&s->store, &config, &err), &err);
}

void
sourced_reopen(struct sourced *s)
{
    if (sourced_is("mem"))
        return; /* forgets */
    journal_store_close(s->store);
    store_open(s);
}

void
sourced_sql(struct sourced *s, const char *text)
{
    char command[2048];

    if (sourced_is("sqlite"))
        (void)snprintf(command, sizeof command, "sqlite3 %s/j.db \"%s\"",
                       s->folder, text);
    else
        (void)snprintf(command, sizeof command,
                       "psql -q -v ON_ERROR_STOP=1 -d '%s' -c \"%s\"", s->dsn,
                       text);
    shell(command);
}

/* -- the worker --------------------------------------------------------------
 */

static void
worker_start(struct sourced *s)
{
    static struct place_worker worker = {"worker-1", "inproc://worker-1", 7};
    struct place_range range = {0, 4095, ++s->epoch, 0};
    const struct place_table table = {.version = s->epoch,
                                      .pool = "default",
                                      .shard_bits = 12,
                                      .workers = &worker,
                                      .n_workers = 1,
                                      .ranges = &range,
                                      .n_ranges = 1};
    struct work_core_config config = work_core_defaults;

    config.node_id = "worker-1";
    config.incarnation = 7;
    s->core = work_core_create(&config);
    work_core_types(s->core, s->t, &s->type, 1);
    work_core_table(s->core, s->t, &table);
    work_core_lease(s->core, s->t, UINT64_MAX, table.version);
}

static void
type_set(struct sourced *s, const struct plex_behaviour *behaviour)
{
    s->type.schema_version = behaviour->schema_version;
    s->type.sourced = behaviour->apply != NULL;
    s->type.migrates = behaviour->migrate != NULL;
    s->type.snapshot_bytes = behaviour->snapshot_bytes;
    s->type.snapshot_ms = behaviour->snapshot_ms;
    s->type.user = behaviour;
}

bool
sourced_open(struct sourced *s, const struct plex_behaviour *behaviour)
{
    memset(s, 0, sizeof *s);
    if (sourced_is("postgres") && getenv("PLEX_TEST_PG") == NULL) {
        printf("SKIP: PLEX_TEST_PG is not set\n");
        return false;
    }
    s->t = (struct work_time){1000000000, 1700000000000};
    s->type = (struct work_type){.tenant = "acme",
                                 .ns = "default",
                                 .name = "cart",
                                 .state = WORK_TYPE_RUNNING,
                                 .durable = true,
                                 .idle_timeout_ms = 1000,
                                 .mailbox_max = 100,
                                 .snapshot_every = 10};
    plex_arena_init(&s->arena, 64 << 20);
    s->handler = work_handler_create();
    dsn_make(s);
    store_open(s);
    type_set(s, behaviour);
    worker_start(s);
    return true;
}

void
sourced_close(struct sourced *s)
{
    char command[128];

    work_core_free(s->core);
    work_handler_free(s->handler);
    journal_store_close(s->store);
    plex_arena_fini(&s->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", s->folder);
    shell(command);
}

void
sourced_restart(struct sourced *s, const struct plex_behaviour *behaviour)
{
    work_core_free(s->core);
    type_set(s, behaviour);
    worker_start(s);
}

/* -- actions -----------------------------------------------------------------
 */

static void
do_run(struct sourced *s, const struct work_action *a)
{
    struct work_action run = *a;
    const struct work_turn turn = {
        .behaviour = a->run.user, .run = &run, .wall_ms = s->t.wall_ms};
    struct work_outcome outcome;

    if (a->run.how == WORK_RUN_RESTORE) {
        s->n_restores++;
        s->n_records += a->run.n_records;
    }
    work_handler_run(s->handler, &turn, &outcome);
    work_core_ran(s->core, s->t, a->token, &outcome);
}

static void
do_answer(struct sourced *s, const struct work_action *a)
{
    struct sourced_answer *answer = &s->answers[a->token];
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    assert(!answer->given);
    answer->given = true;
    answer->status = a->answer.status;
    answer->replayed = a->answer.replayed;
    (void)snprintf(answer->text, sizeof answer->text, "%s", a->answer.text);
    if (a->answer.status != PLEX_OK)
        return;
    plex_arena_init(&arena, 1 << 20);
    succeed(work_reply_unpack(a->answer.reply, &arena, &reply, &err), &err);
    answer->failed = reply.failed;
    if (reply.failed)
        (void)snprintf(answer->text, sizeof answer->text, "%s", reply.error);
    (void)snprintf(
        answer->payload, sizeof answer->payload, "%.*s", (int)reply.payload.len,
        reply.payload.len > 0 ? (const char *)reply.payload.data : "");
    plex_arena_fini(&arena);
}

static void
do_append(struct sourced *s, const struct work_action *a)
{
    const size_t n = a->append.n;
    struct journal_result *results = plex_calloc(n, sizeof *results);
    struct journal_result **at =
        plex_calloc(n, sizeof(struct journal_result *));
    const struct journal_entry **entries =
        plex_calloc(n, sizeof(const struct journal_entry *));
    struct journal_commit commit = {.entries = entries,
                                    .results = at,
                                    .n_entries = n,
                                    .wall_ms = s->t.wall_ms};
    const bool crash = s->crash_at > 0 && --s->crash_at == 0;
    struct plex_err err;

    for (size_t i = 0; i < n; i++) {
        entries[i] = &a->append.entries[i];
        at[i] = &results[i];
        s->n_snapshots += entries[i]->kind == JOURNAL_SNAPSHOT;
    }
    if (!crash || s->crash_written)
        succeed(journal_store_commit(s->store, &commit, &err), &err);
    s->crashed = crash;
    if (!crash)
        work_core_appended(s->core, s->t, a->token, PLEX_OK, "", results, n);
    free(entries);
    free(at);
    free(results);
}

static void
do_load(struct sourced *s, const struct work_action *a)
{
    struct journal_loaded loaded;
    struct plex_arena arena;
    struct plex_err err;
    enum plex_status status;
    uint64_t newest;

    s->n_loads++;
    plex_arena_init(&arena, 64 << 20);
    status = journal_store_load(s->store, &a->load, s->t.wall_ms, &arena,
                                &loaded, &newest, &err);
    work_core_loaded(s->core, s->t, a->token, status,
                     status == PLEX_OK ? "" : err.text, &loaded);
    plex_arena_fini(&arena);
}

/* False when the worker is gone. */
static bool
do_action(struct sourced *s, const struct work_action *a)
{
    switch (a->kind) {
    case WORK_DO_RUN:
        do_run(s, a);
        break;
    case WORK_DO_ANSWER:
        do_answer(s, a);
        break;
    case WORK_DO_LOAD:
        do_load(s, a);
        break;
    case WORK_DO_APPEND:
        do_append(s, a);
        break;
    case WORK_DO_FENCE:
        work_core_fenced(s->core, s->t, a->token, PLEX_OK, 0);
        break;
    case WORK_DO_PENDINGS:
        work_core_pendings(s->core, s->t, a->token, PLEX_OK, NULL, 0,
                           (struct plex_bytes){0}, 0);
        break;
    default:
        break;
    }
    return !s->crashed;
}

static void
go(struct sourced *s)
{
    struct work_action action;
    bool any = true;

    while (any && !s->crashed) {
        any = false;
        while (!s->crashed && work_core_next(s->core, &action)) {
            any = true;
            (void)do_action(s, &action);
        }
        if (!s->crashed)
            work_core_flush(s->core);
    }
    if (!s->crashed)
        return;
    s->crashed = false;
    sourced_restart(s, s->type.user);
    go(s);
}

const struct sourced_answer *
sourced_call(struct sourced *s, const char *key, const char *payload,
             const char *id)
{
    struct plex_context context = plex_context_none;
    const uint64_t call = ++s->calls;
    char fresh[32];
    struct work_message message = {
        .to = {"acme", "default", "cart", key},
        .kind = WORK_CALL,
        .ttl_ms = 600000,
        .method = "POST",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {(const uint8_t *)payload, strlen(payload)},
        .sender = "",
        .timer = "",
        .chain = "",
    };

    assert(call < SOURCED_ANSWERS_MAX);
    (void)snprintf(fresh, sizeof fresh, "m%u", (unsigned)call);
    if (id == NULL)
        id = s->unnamed ? "" : fresh;
    message.keyed = id[0] != '\0';
    message.id = (struct plex_bytes){(const uint8_t *)id, strlen(id)};
    context.tenant = "acme";
    context.ns = "default";
    context.request_id = "r";
    s->t.now_ns += 1000000;
    s->t.wall_ms += 1;
    go(s); /* shards are taken first */
    work_core_deliver(s->core, s->t, call, &context, &message);
    go(s);
    return &s->answers[call];
}

/* -- looking -----------------------------------------------------------------
 */

struct journal_was
sourced_at(struct sourced *s, const char *key, uint64_t seq)
{
    const struct journal_at want = {{"acme", "default", "cart", key}, seq, 0};
    struct journal_was was;
    struct plex_err err;

    succeed(journal_store_at(s->store, &want, &s->arena, &was, &err), &err);
    return was;
}

struct journal_past
sourced_history(struct sourced *s, const char *key, uint64_t first)
{
    const struct journal_history want = {
        .actor = {"acme", "default", "cart", key},
        .first_seq = first,
        .limit = 1000,
        .with_state = true};
    struct journal_past past;
    struct plex_err err;

    succeed(journal_store_history(s->store, &want, &s->arena, &past, &err),
            &err);
    return past;
}
