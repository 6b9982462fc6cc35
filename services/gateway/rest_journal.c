/* The past of durable actors, and backups: asked of the journal, for actors of
 * the caller's tenant. */
#include "services/gateway/rest.h"

#include "common/json_pb.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "common/wire.h"
#include "services/gateway/rest_state.h"
#include "services/gateway/text.h"
#include "services/journal/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/history/v1/history.pb-c.h"

#define METHOD(name) \
    PLEXSPACES__HISTORY__V1__HISTORY_METHOD__HISTORY_METHOD_##name
#define REQUEST(type, rest) \
    ((const Plexspaces__History__V1__##type##Request *)(rest)->request)

typedef Plexspaces__History__V1__Turn pb_turn;
typedef Plexspaces__History__V1__Backup pb_backup;
typedef Plexspaces__History__V1__Run pb_run;
typedef Plexspaces__History__V1__BrokenChain pb_broken;

enum {
    LIMIT_DEFAULT = 100,
    RUNS_PAGE = 5000, /* pendings looked at; their names fit the arena */
    VERIFY_MAX = 10000,
    DAY_MS = 86400000, /* clocks do not differ by more */
    RESTORE_MS = 600000,
};

/* -- answers ----------------------------------------------------------------
 */

/* Lends `bytes` as text, "" when they are none or too long for the arena. */
static char *
text_from(struct gate_rest *rest, struct plex_bytes bytes)
{
    char *text = NULL;

    if (bytes.len > 0 && memchr(bytes.data, '\0', bytes.len) == NULL &&
        plex_utf8_valid(bytes.data, bytes.len))
        text = plex_arena_strndup(&rest->arena, (const char *)bytes.data,
                                  bytes.len);
    return text == NULL ? plex_wire_text("") : text;
}

static char *
reply_text(struct gate_rest *rest, struct plex_bytes packed)
{
    struct work_reply reply;
    struct plex_err err;

    if (packed.len == 0 ||
        work_reply_unpack(packed, &rest->arena, &reply, &err) != PLEX_OK)
        return plex_wire_text("");
    if (reply.failed)
        return text_from(rest, (struct plex_bytes){(const uint8_t *)reply.error,
                                                   strlen(reply.error)});
    return text_from(rest, reply.payload);
}

/* A status that the journal gave; true: it has been answered with. */
static bool
refused(struct gate_rest *rest, enum plex_status status, const char *text)
{
    if (status == PLEX_OK)
        return false;
    gate_rest_failed(rest, "journal", status, text, false);
    return true;
}

static void
turn_fill(struct gate_rest *rest, pb_turn *out,
          const struct journal_past_turn *turn)
{
    *out = (pb_turn)PLEXSPACES__HISTORY__V1__TURN__INIT;
    out->sequence = turn->seq;
    out->at_ms = turn->at_ms;
    out->expires_ms = turn->expires_ms;
    out->request_hash = turn->request_hash;
    out->message_id = plex_wire_bytes(turn->message_id);
    out->reply = plex_wire_bytes(turn->reply);
    out->reply_text = reply_text(rest, turn->reply);
    out->record = plex_wire_bytes(turn->record);
    out->has_state = turn->has_state;
    out->rebuilds = turn->rebuilds;
    out->schema_version = turn->schema_version;
    out->state = plex_wire_bytes(turn->state);
    out->state_text = text_from(rest, turn->state);
    out->chain = plex_wire_bytes(turn->chain);
}

static void
history_done(void *arg, enum plex_status status, const char *text,
             const struct journal_past *past)
{
    Plexspaces__History__V1__GetActorHistoryResponse m =
        PLEXSPACES__HISTORY__V1__GET_ACTOR_HISTORY_RESPONSE__INIT;
    struct gate_rest *rest = arg;
    pb_turn *turns;
    json_t *json;

    if (refused(rest, status, text))
        return;
    turns = plex_calloc(past->n + 1, sizeof *turns);
    m.turns = plex_calloc(past->n + 1, sizeof(pb_turn *));
    m.n_turns = past->n;
    for (size_t i = 0; i < past->n; i++) {
        turn_fill(rest, &turns[i], &past->turns[i]);
        m.turns[i] = &turns[i];
    }
    m.next_sequence = past->next_seq;
    m.oldest_sequence = past->oldest_seq;
    m.newest_sequence = past->newest_seq;
    json = plex_json_from_pb(&m.base);
    free(m.turns);
    free(turns);
    gate_rest_answer(rest, json);
}

bool
gate_rest_actor(struct gate_rest *rest, const char *actor_id,
                struct plex_actor_id *out)
{
    const size_t len = strlen(actor_id);
    char *name = len > PLEX_ACTOR_NAME_MAX
                     ? NULL
                     : plex_arena_strndup(&rest->arena, actor_id, len);
    struct plex_err err;

    if (name == NULL) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "the actor's id is longer than %d bytes",
                          PLEX_ACTOR_NAME_MAX);
        return false;
    }
    if (plex_actor_parse(name, out, &err) != PLEX_OK ||
        plex_name_actor(out, &err) != PLEX_OK) {
        gate_rest_problem(rest, 400, "INVALID", "gateway", "%s", err.text);
        return false;
    }
    if (strcmp(out->tenant, rest->context.tenant) != 0) {
        gate_rest_problem(rest, 403, "TENANT_FORBIDDEN", "gateway",
                          "the actor belongs to tenant \"%s\", the caller to "
                          "\"%s\"",
                          out->tenant, rest->context.tenant);
        return false;
    }
    rest->context.ns = out->ns;
    return true;
}

void
gate_rest_was(struct gate_rest *rest, enum plex_status status, const char *text,
              const struct journal_was *was)
{
    Plexspaces__History__V1__GetActorAtResponse m =
        PLEXSPACES__HISTORY__V1__GET_ACTOR_AT_RESPONSE__INIT;

    if (refused(rest, status, text))
        return;
    m.sequence = was->seq;
    m.newest_sequence = was->newest_seq;
    m.has_state = was->has_state;
    m.state = plex_wire_bytes(was->state);
    m.state_text = text_from(rest, was->state);
    m.schema_version = was->schema_version;
    m.state_sequence = was->state_seq;
    gate_rest_answer(rest, plex_json_from_pb(&m.base));
}

static const char *
at_actor(const struct gate_rest *rest)
{
    switch (rest->route->number) {
    case METHOD(GET_LATEST_CHECKPOINT):
        return REQUEST(GetLatestCheckpoint, rest)->actor_id;
    case METHOD(LOAD_SNAPSHOT):
        return REQUEST(LoadSnapshot, rest)->actor_id;
    default:
        return REQUEST(GetActorAt, rest)->actor_id;
    }
}

static void
at_rebuilt(struct gate_rest *rest, enum plex_status status, const char *text,
           const struct journal_was *was)
{
    if (status != PLEX_OK)
        gate_rest_failed(rest, "worker", status, text, false);
    else
        gate_rest_was(rest, PLEX_OK, "", was);
}

static void
at_folded(struct gate_rest *rest, enum plex_status status, const char *text,
          const struct journal_was *was)
{
    const bool stored = rest->route->number == METHOD(GET_ACTOR_AT) &&
                        REQUEST(GetActorAt, rest)->stored;
    struct plex_actor_id actor;

    if (status != PLEX_OK || stored)
        gate_rest_was(rest, status, text, was);
    else if (gate_rest_actor(rest, at_actor(rest), &actor))
        gate_rest_rebuild(rest, &actor, was, at_rebuilt);
}

static void
at_done(void *arg, enum plex_status status, const char *text,
        const struct journal_was *was)
{
    struct gate_rest *rest = arg;
    struct plex_actor_id actor;

    /* The name was checked when it was asked for. */
    if (!refused(rest, status, text) &&
        gate_rest_actor(rest, at_actor(rest), &actor))
        gate_rest_fold(rest, &actor, was, at_folded);
}

static void
broken_fill(struct gate_rest *rest, pb_broken *out,
            const struct journal_broken *broken)
{
    char name[PLEX_ACTOR_NAME_MAX + 1] = "";

    *out = (pb_broken)PLEXSPACES__HISTORY__V1__BROKEN_CHAIN__INIT;
    if (strcmp(broken->actor.tenant, rest->context.tenant) == 0) {
        plex_actor_format(&broken->actor, name, sizeof name);
        out->text = plex_wire_text(broken->text);
    }
    out->actor_id =
        plex_arena_strndup(&rest->arena, name, strlen(name)); /* short */
    if (out->actor_id == NULL)
        out->actor_id = plex_wire_text("");
    out->sequence = broken->seq;
}

static void
verify_done(void *arg, enum plex_status status, const char *text,
            const struct journal_verified *verified)
{
    Plexspaces__History__V1__VerifyJournalResponse m =
        PLEXSPACES__HISTORY__V1__VERIFY_JOURNAL_RESPONSE__INIT;
    struct gate_rest *rest = arg;
    pb_broken *broken;
    json_t *json;

    if (refused(rest, status, text))
        return;
    broken = plex_calloc(verified->n_broken + 1, sizeof *broken);
    m.broken = plex_calloc(verified->n_broken + 1, sizeof(pb_broken *));
    m.n_broken = verified->n_broken;
    for (size_t i = 0; i < verified->n_broken; i++) {
        broken_fill(rest, &broken[i], &verified->broken[i]);
        m.broken[i] = &broken[i];
    }
    m.turns = verified->turns;
    m.actors = verified->actors;
    m.unchained = verified->unchained;
    if (verified->next.len > 0)
        m.next_page_token =
            plex_wire_text(gate_base64url(verified->next, &rest->arena));
    json = plex_json_from_pb(&m.base);
    free(m.broken);
    free(broken);
    gate_rest_answer(rest, json);
}

static void
backup_done(void *arg, enum plex_status status, const char *text,
            const struct journal_backup *backups, size_t n)
{
    Plexspaces__History__V1__ListBackupsResponse m =
        PLEXSPACES__HISTORY__V1__LIST_BACKUPS_RESPONSE__INIT;
    struct gate_rest *rest = arg;
    pb_backup *items;
    json_t *json;

    if (refused(rest, status, text))
        return;
    items = plex_calloc(n + 1, sizeof *items);
    m.backups = plex_calloc(n + 1, sizeof(pb_backup *));
    m.n_backups = n;
    for (size_t i = 0; i < n; i++) {
        items[i] = (pb_backup)PLEXSPACES__HISTORY__V1__BACKUP__INIT;
        items[i].name = plex_wire_text(backups[i].name);
        items[i].backend = plex_wire_text(backups[i].backend);
        items[i].schema = backups[i].schema;
        items[i].at_ms = backups[i].at_ms;
        items[i].bytes = backups[i].bytes;
        m.backups[i] = &items[i];
    }
    json = plex_json_from_pb(&m.base);
    free(m.backups);
    free(items);
    gate_rest_answer(rest, json);
}

/* Its guard: a pending that every open run has (worker/core_open.c). */
static bool
is_run(const struct gate_rest *rest, const struct journal_pending_item *item)
{
    const Plexspaces__History__V1__ListRunsRequest *m = REQUEST(ListRuns, rest);
    const struct plex_bytes id = item->pending.id;

    return id.len >= 2 && memcmp(id.data, "w:", 2) == 0 &&
           strcmp(item->owner.tenant, rest->context.tenant) == 0 &&
           (m->namespace_[0] == '\0' ||
            strcmp(m->namespace_, item->owner.ns) == 0) &&
           (m->type[0] == '\0' || strcmp(m->type, item->owner.type) == 0);
}

static void
runs_done(void *arg, enum plex_status status, const char *text,
          const struct journal_pending_item *items, size_t n,
          struct plex_bytes next)
{
    Plexspaces__History__V1__ListRunsResponse m =
        PLEXSPACES__HISTORY__V1__LIST_RUNS_RESPONSE__INIT;
    struct gate_rest *rest = arg;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    pb_run *runs;
    json_t *json;

    if (refused(rest, status, text))
        return;
    runs = plex_calloc(n + 1, sizeof *runs);
    m.runs = plex_calloc(n + 1, sizeof(pb_run *));
    for (size_t i = 0; i < n; i++) {
        if (!is_run(rest, &items[i]))
            continue;
        plex_actor_format(&items[i].owner, name, sizeof name);
        runs[i] = (pb_run)PLEXSPACES__HISTORY__V1__RUN__INIT;
        runs[i].actor_id = plex_arena_strndup(&rest->arena, name, strlen(name));
        if (runs[i].actor_id != NULL)
            m.runs[m.n_runs++] = &runs[i];
    }
    if (next.len > 0)
        m.next_page_token = plex_wire_text(gate_base64url(next, &rest->arena));
    json = plex_json_from_pb(&m.base);
    free(m.runs);
    free(runs);
    gate_rest_answer(rest, json);
}

/* -- questions --------------------------------------------------------------
 */

static void
ask_history(struct gate_rest *rest, struct journal_client *journal,
            const char *actor_id, struct journal_history *want)
{
    if (want->limit == 0)
        want->limit = LIMIT_DEFAULT;
    if (want->limit > JOURNAL_HISTORY_MAX)
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "limit is %u, at most %d are allowed", want->limit,
                          JOURNAL_HISTORY_MAX);
    else if (gate_rest_actor(rest, actor_id, &want->actor))
        journal_client_history(journal, &rest->context, want, history_done,
                               rest);
}

static void
ask_from(struct gate_rest *rest, struct journal_client *journal,
         const char *actor_id, uint64_t from, uint32_t limit)
{
    struct journal_history want = {
        .first_seq = from == 0 ? 1 : from, .limit = limit, .with_state = true};

    ask_history(rest, journal, actor_id, &want);
}

static void
ask_at(struct gate_rest *rest, struct journal_client *journal,
       const char *actor_id, uint64_t sequence, uint64_t time_ms)
{
    struct journal_at want = {.seq = sequence, .at_ms = time_ms};

    if (sequence != 0 && time_ms != 0) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "either sequence or time_ms says when, not both");
        return;
    }
    if (sequence == 0 && time_ms == 0)
        want.at_ms = plex_wall_ms() + DAY_MS;
    if (gate_rest_actor(rest, actor_id, &want.actor))
        journal_client_at(journal, &rest->context, &want, at_done, rest);
}

/* base64url of `next`; false: it is not. */
static bool
token_take(struct gate_rest *rest, const char *token, struct plex_bytes *out)
{
    struct plex_err err;
    char padded[4 * PLEX_ACTOR_NAME_MAX];
    const int len = snprintf(padded, sizeof padded, "%s%s", token,
                             strlen(token) % 4 == 2   ? "=="
                             : strlen(token) % 4 == 3 ? "="
                                                      : "");

    *out = (struct plex_bytes){0};
    if (token[0] == '\0')
        return true;
    return len > 0 && (size_t)len < sizeof padded &&
           plex_json_unbase64(
               (struct plex_bytes){(const uint8_t *)padded, (size_t)len},
               &rest->arena, out, &err) == PLEX_OK;
}

static void
ask_verify(struct gate_rest *rest, struct journal_client *journal)
{
    const Plexspaces__History__V1__VerifyJournalRequest *m =
        REQUEST(VerifyJournal, rest);
    struct journal_verify want = {.actor = {"", "", "", ""},
                                  .limit =
                                      m->limit == 0 ? VERIFY_MAX : m->limit};

    if (want.limit > VERIFY_MAX)
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "limit is %u, at most %d are allowed", want.limit,
                          VERIFY_MAX);
    else if (!token_take(rest, m->page_token, &want.after))
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_token is not one that was returned");
    else if (m->actor_id[0] == '\0' ||
             gate_rest_actor(rest, m->actor_id, &want.actor))
        journal_client_verify(journal, &rest->context, &want, verify_done,
                              rest);
}

static void
ask_runs(struct gate_rest *rest, struct journal_client *journal)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    struct plex_bytes after;

    if (table == NULL)
        gate_rest_problem(rest, 503, "UNAVAILABLE", "gateway",
                          "the shard table is not here yet");
    else if (!token_take(rest, REQUEST(ListRuns, rest)->page_token, &after))
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_token is not one that was returned");
    else
        journal_client_pending(journal, &rest->context, 0,
                               (1U << table->shard_bits) - 1, after, RUNS_PAGE,
                               runs_done, rest);
}

static void
ask_backup(struct gate_rest *rest, struct journal_client *journal,
           enum journal_backup_op op, const char *name)
{
    if (op != JOURNAL_BACKUP_LIST &&
        (name[0] == '\0' || strlen(name) > JOURNAL_BACKUP_NAME_MAX)) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "name is missing or longer than %d bytes",
                          JOURNAL_BACKUP_NAME_MAX);
        return;
    }
    if (op != JOURNAL_BACKUP_LIST)
        rest->context.deadline = plex_loop_now(rest->gate->host->loop) +
                                 (uint64_t)RESTORE_MS * 1000000;
    journal_client_backup(journal, &rest->context, op, name, backup_done, rest);
}

static void
stats_done(void *arg, enum plex_status status, const char *text,
           const struct journal_verified *verified)
{
    Plexspaces__History__V1__GetStatsResponse m =
        PLEXSPACES__HISTORY__V1__GET_STATS_RESPONSE__INIT;
    struct gate_rest *rest = arg;

    if (refused(rest, status, text))
        return;
    m.turns = verified->turns;
    m.actors = verified->actors;
    m.bytes = verified->bytes;
    if (verified->next.len > 0)
        m.next_page_token =
            plex_wire_text(gate_base64url(verified->next, &rest->arena));
    gate_rest_answer(rest, plex_json_from_pb(&m.base));
}

static void
ask_stats(struct gate_rest *rest, struct journal_client *journal)
{
    const Plexspaces__History__V1__GetStatsRequest *m = REQUEST(GetStats, rest);
    struct journal_verify want = {.actor = {"", "", "", ""},
                                  .limit = VERIFY_MAX,
                                  .tenant = rest->context.tenant};

    if (!token_take(rest, m->page_token, &want.after))
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "page_token is not one that was returned");
    else if (m->actor_id[0] == '\0' ||
             gate_rest_actor(rest, m->actor_id, &want.actor))
        journal_client_verify(journal, &rest->context, &want, stats_done, rest);
}

static void
truncate_done(void *arg, enum plex_status status, const char *text,
              const struct journal_truncated *truncated)
{
    Plexspaces__History__V1__TruncateResponse m =
        PLEXSPACES__HISTORY__V1__TRUNCATE_RESPONSE__INIT;
    struct gate_rest *rest = arg;

    if (refused(rest, status, text))
        return;
    m.oldest_sequence = truncated->oldest_seq;
    m.newest_sequence = truncated->newest_seq;
    gate_rest_answer(rest, plex_json_from_pb(&m.base));
}

static void
ask_truncate(struct gate_rest *rest, struct journal_client *journal,
             const char *actor_id, uint64_t sequence)
{
    struct journal_truncate want = {.seq = sequence};

    if (gate_rest_actor(rest, actor_id, &want.actor))
        journal_client_truncate(journal, &rest->context, &want, truncate_done,
                                rest);
}

static void
shred_done(void *arg, enum plex_status status, const char *text, uint64_t keys)
{
    Plexspaces__History__V1__ShredTenantResponse m =
        PLEXSPACES__HISTORY__V1__SHRED_TENANT_RESPONSE__INIT;
    struct gate_rest *rest = arg;

    if (refused(rest, status, text))
        return;
    m.keys = keys;
    gate_rest_answer(rest, plex_json_from_pb(&m.base));
}

static void
ask_shred(struct gate_rest *rest, struct journal_client *journal)
{
    const char *tenant = REQUEST(ShredTenant, rest)->tenant;

    if (strcmp(tenant, rest->context.tenant) != 0)
        gate_rest_problem(rest, 403, "TENANT_FORBIDDEN", "gateway",
                          "tenant is \"%.64s\"; the caller belongs to \"%s\"",
                          tenant, rest->context.tenant);
    else
        journal_client_shred(journal, &rest->context, tenant, shred_done, rest);
}

/* What an actor was; false: it is another question. */
static bool
ask_past(struct gate_rest *rest, struct journal_client *journal)
{
    const Plexspaces__History__V1__GetActorHistoryRequest *h =
        REQUEST(GetActorHistory, rest);
    const Plexspaces__History__V1__GetActorAtRequest *at =
        REQUEST(GetActorAt, rest);
    const Plexspaces__History__V1__ReplayFromRequest *from =
        REQUEST(ReplayFrom, rest);
    const Plexspaces__History__V1__ReadEventsRequest *events =
        REQUEST(ReadEvents, rest);
    const char *id = NULL;

    switch (rest->route->number) {
    case METHOD(GET_ACTOR_HISTORY):
        ask_history(rest, journal, h->actor_id,
                    &(struct journal_history){.first_seq = h->first_sequence,
                                              .last_seq = h->last_sequence,
                                              .from_ms = h->from_ms,
                                              .to_ms = h->to_ms,
                                              .limit = h->limit,
                                              .with_state = h->with_state});
        return true;
    case METHOD(REPLAY_FROM):
        ask_from(rest, journal, from->actor_id, from->from_sequence,
                 from->limit);
        return true;
    case METHOD(READ_EVENTS):
        ask_from(rest, journal, events->actor_id, events->from_sequence,
                 events->limit);
        return true;
    case METHOD(GET_ACTOR_AT):
        ask_at(rest, journal, at->actor_id, at->sequence, at->time_ms);
        return true;
    case METHOD(GET_LATEST_CHECKPOINT):
        id = REQUEST(GetLatestCheckpoint, rest)->actor_id;
        break;
    case METHOD(LOAD_SNAPSHOT):
        id = REQUEST(LoadSnapshot, rest)->actor_id;
        break;
    }
    if (id != NULL)
        ask_at(rest, journal, id, 0, 0);
    return id != NULL;
}

static void
ask(struct gate_rest *rest, struct journal_client *journal)
{
    if (ask_past(rest, journal))
        return;
    switch (rest->route->number) {
    case METHOD(REPLAY_EVENTS_FROM):
        gate_rest_stream(rest);
        break;
    case METHOD(LIST_RUNS):
        ask_runs(rest, journal);
        break;
    case METHOD(VERIFY_JOURNAL):
        ask_verify(rest, journal);
        break;
    case METHOD(GET_STATS):
        ask_stats(rest, journal);
        break;
    case METHOD(TRUNCATE_TO):
        ask_truncate(rest, journal, REQUEST(TruncateTo, rest)->actor_id,
                     REQUEST(TruncateTo, rest)->sequence);
        break;
    case METHOD(TRUNCATE_JOURNAL):
        ask_truncate(rest, journal, REQUEST(TruncateJournal, rest)->actor_id,
                     REQUEST(TruncateJournal, rest)->sequence);
        break;
    case METHOD(SHRED_TENANT):
        ask_shred(rest, journal);
        break;
    case METHOD(CREATE_BACKUP):
        ask_backup(rest, journal, JOURNAL_BACKUP_CREATE,
                   REQUEST(CreateBackup, rest)->name);
        break;
    case METHOD(RESTORE_BACKUP):
        ask_backup(rest, journal, JOURNAL_BACKUP_RESTORE,
                   REQUEST(RestoreBackup, rest)->name);
        break;
    case METHOD(LIST_BACKUPS):
        ask_backup(rest, journal, JOURNAL_BACKUP_LIST, "");
        break;
    default:
        gate_rest_state(rest, journal);
        break;
    }
}

void
gate_rest_journal(struct gate_rest *rest)
{
    struct journal_client journal = {
        rest->gate->host->link,
        reg_client_next_url(rest->gate->registry, "journal")};

    if (journal.url == NULL)
        gate_rest_problem(rest, 503, "UNAVAILABLE", "gateway",
                          "no journal is registered");
    else
        ask(rest, &journal);
}
