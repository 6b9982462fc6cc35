#include "services/tuplespace/core.h"

#include "services/tuplespace/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct tspace_core *
tspace_core_create(const struct tspace_config *config)
{
    struct tspace_core *core = plex_calloc(1, sizeof *core);

    core->config = *config;
    TAILQ_INIT(&core->by_age);
    TAILQ_INIT(&core->waiters);
    STAILQ_INIT(&core->outputs);
    core->expiry_ms = UINT64_MAX;
    core->wait_until_ns = UINT64_MAX;
    return core;
}

void
tspace_answer_unref(struct answer *answer)
{
    if (answer == NULL || --answer->refs > 0)
        return;
    if (!answer->pub.is_write)
        for (uint32_t i = 0; i < answer->pub.n; i++)
            tspace_held_unref((struct tspace_held *)answer->pub.tuples[i]);
    free(answer->pub.tuples);
    free(answer);
}

static void
output_free(struct output *output)
{
    if (output == NULL)
        return;
    tspace_held_unref(output->held);
    tspace_answer_unref(output->answer);
    free(output);
}

static void
waiter_free(struct tspace_core *core, struct waiter *waiter)
{
    TAILQ_REMOVE(&waiter->space->waiters, waiter, next);
    TAILQ_REMOVE(&core->waiters, waiter, all_next);
    core->stats.waiters--;
    tspace_held_unref(waiter->pattern_bytes);
    free(waiter->patterns);
    free(waiter);
}

static void
entry_free(struct tspace_core *core, struct space *space, struct entry *entry)
{
    TAILQ_REMOVE(&space->entries, entry, next);
    core->stats.tuples--;
    core->stats.bytes -= entry->held->bytes;
    tspace_held_unref(entry->held);
    free(entry);
}

void
tspace_core_free(struct tspace_core *core)
{
    struct space *space, *next;

    if (core == NULL)
        return;
    while (!TAILQ_EMPTY(&core->waiters))
        waiter_free(core, TAILQ_FIRST(&core->waiters));
    while (!TAILQ_EMPTY(&core->by_age))
        tspace_request_free(core, TAILQ_FIRST(&core->by_age));
    while (!STAILQ_EMPTY(&core->outputs)) {
        struct output *output = STAILQ_FIRST(&core->outputs);

        STAILQ_REMOVE_HEAD(&core->outputs, next);
        output_free(output);
    }
    output_free(core->popped);
    HASH_ITER(hh, core->spaces, space, next)
    {
        while (!TAILQ_EMPTY(&space->entries))
            entry_free(core, space, TAILQ_FIRST(&space->entries));
        HASH_DEL(core->spaces, space);
        free(space->tenant);
        free(space);
    }
    free(core);
}

/* -- outputs --------------------------------------------------------------- */

struct output *
tspace_output_add(struct tspace_core *core, enum tspace_action_kind kind,
                  struct space *space)
{
    struct output *output = plex_calloc(1, sizeof *output);

    output->kind = kind;
    output->space = space;
    output->text = "";
    STAILQ_INSERT_TAIL(&core->outputs, output, next);
    return output;
}

static void
output_reply(struct tspace_core *core, void *call, struct answer *answer)
{
    struct output *output = tspace_output_add(core, TSPACE_REPLY, NULL);

    output->call = call;
    output->answer = answer;
    answer->refs++;
}

static void
output_refusal(struct tspace_core *core, void *call, enum plex_status status,
               const char *text)
{
    struct output *output = tspace_output_add(core, TSPACE_REPLY, NULL);

    output->call = call;
    output->status = status;
    output->text = text;
}

bool
tspace_core_next(struct tspace_core *core, struct tspace_action *out)
{
    struct output *output = STAILQ_FIRST(&core->outputs);

    output_free(core->popped);
    core->popped = output;
    if (output == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&core->outputs, next);
    *out = (struct tspace_action){
        .kind = output->kind,
        .tuple = output->held != NULL ? &output->held->tuple : NULL,
        .request_id = {output->request_id, TSPACE_ID_BYTES},
        .expires_ms = output->expires_ms,
        .answer = output->answer != NULL ? &output->answer->pub : NULL,
        .call = output->call,
        .status = output->status,
        .text = output->text,
    };
    if (output->space != NULL)
        out->where = output->space->where;
    return true;
}

/* -- spaces ---------------------------------------------------------------- */

static size_t
where_key(const struct tspace_where *where, char key[NAME_MAX_BYTES])
{
    const char *parts[] = {where->tenant, where->ns, where->space};
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        const size_t part = strlen(parts[i]) + 1;

        assert(len + part <= NAME_MAX_BYTES);
        memcpy(key + len, parts[i], part);
        len += part;
    }
    return len;
}

static struct space *
space_find(const struct tspace_core *core, const struct tspace_where *where)
{
    char key[NAME_MAX_BYTES];
    const size_t len = where_key(where, key);
    struct space *space;

    HASH_FIND(hh, core->spaces, key, len, space);
    return space;
}

struct space *
tspace_space_get(struct tspace_core *core, const struct tspace_where *where)
{
    struct space *space = space_find(core, where);
    char key[NAME_MAX_BYTES];

    if (space != NULL)
        return space;
    space = plex_calloc(1, sizeof *space);
    space->name_len = where_key(where, key);
    space->tenant = plex_calloc(1, space->name_len);
    memcpy(space->tenant, key, space->name_len);
    space->where.tenant = space->tenant;
    space->where.ns = space->tenant + strlen(space->tenant) + 1;
    space->where.space = space->where.ns + strlen(space->where.ns) + 1;
    TAILQ_INIT(&space->entries);
    TAILQ_INIT(&space->waiters);
    HASH_ADD_KEYPTR(hh, core->spaces, space->tenant, space->name_len, space);
    core->stats.spaces++;
    return space;
}

/* NULL, and the caller refused, when there would be too many. */
static struct space *
space_use(struct tspace_core *core, const struct tspace_where *where,
          void *call)
{
    if (core->stats.spaces < core->config.spaces_max ||
        space_find(core, where) != NULL)
        return tspace_space_get(core, where);
    output_refusal(core, call, PLEX_LIMIT, "there are too many spaces");
    return NULL;
}

static bool
expired(const struct tspace_tuple *tuple, struct tspace_now now)
{
    return tuple->expires_ms != 0 && tuple->expires_ms <= now.wall_ms;
}

/* -- waiting --------------------------------------------------------------- */

struct answer *
tspace_answer_make(uint32_t room)
{
    struct answer *answer = plex_calloc(1, sizeof *answer);

    answer->refs = 1;
    if (room > 0)
        answer->pub.tuples =
            plex_calloc(room, sizeof(const struct tspace_tuple *));
    return answer;
}

void
tspace_answer_add(struct answer *answer, struct tspace_held *held)
{
    answer->pub.tuples[answer->pub.n++] = &tspace_held_ref(held)->tuple;
}

/* A waiter's patterns borrow; keep a copy of their fields as one tuple. */
static void
waiter_patterns(struct waiter *waiter, const struct tspace_read *read)
{
    struct tspace_field *fields =
        plex_calloc(read->n_patterns + 1, sizeof *fields);
    struct tspace_tuple tuple = {.fields = fields,
                                 .n_fields = read->n_patterns};

    waiter->n_patterns = read->n_patterns;
    waiter->patterns =
        plex_calloc(read->n_patterns + 1, sizeof *waiter->patterns);
    for (uint32_t i = 0; i < read->n_patterns; i++) {
        fields[i] = read->patterns[i].field;
        if (read->patterns[i].kind != TSPACE_EXACT)
            fields[i].bytes = (struct plex_bytes){0};
    }
    waiter->pattern_bytes = tspace_held_make(&tuple);
    free(fields);
    for (uint32_t i = 0; i < read->n_patterns; i++) {
        waiter->patterns[i].kind = read->patterns[i].kind;
        waiter->patterns[i].field = waiter->pattern_bytes->tuple.fields[i];
    }
}

/* The same take again while the first still waits: the newer call replaces
 * the older, whose caller has given up or lost its connection. */
static void
waiter_replace(struct tspace_core *core, struct space *space,
               const struct tspace_read *read)
{
    struct waiter *waiter;

    if (read->request_id.len == 0)
        return;
    TAILQ_FOREACH(waiter, &space->waiters, next)
    {
        if (!waiter->has_request_id ||
            memcmp(waiter->request_id, read->request_id.data,
                   TSPACE_ID_BYTES) != 0)
            continue;
        output_refusal(core, waiter->call, PLEX_CANCELLED,
                       "the same request came again");
        waiter_free(core, waiter);
        return;
    }
}

static void
waiter_add(struct tspace_core *core, struct space *space, struct tspace_now now,
           void *call, const struct tspace_read *read)
{
    struct waiter *waiter;

    waiter_replace(core, space, read);
    if (core->stats.waiters >= core->config.waiters_max) {
        output_refusal(core, call, PLEX_LIMIT, "too many callers are waiting");
        return;
    }
    waiter = plex_calloc(1, sizeof *waiter);
    waiter->space = space;
    waiter->call = call;
    waiter->take = read->take;
    waiter->deadline_ns = now.mono_ns + read->timeout_ms * 1000000U;
    waiter->has_request_id = read->request_id.len > 0;
    if (waiter->has_request_id)
        memcpy(waiter->request_id, read->request_id.data, TSPACE_ID_BYTES);
    waiter_patterns(waiter, read);
    TAILQ_INSERT_TAIL(&space->waiters, waiter, next);
    TAILQ_INSERT_TAIL(&core->waiters, waiter, all_next);
    core->stats.waiters++;
    if (waiter->deadline_ns < core->wait_until_ns)
        core->wait_until_ns = waiter->deadline_ns;
}

/* Give a new tuple to those who wait for it. True: it was taken. */
static bool
waiters_serve(struct tspace_core *core, struct space *space,
              struct tspace_now now, struct tspace_held *held)
{
    struct waiter *waiter, *next;

    for (waiter = TAILQ_FIRST(&space->waiters); waiter != NULL; waiter = next) {
        const bool take = waiter->take;
        struct answer *answer;

        next = TAILQ_NEXT(waiter, next);
        if (!tspace_match(&held->tuple, waiter->patterns, waiter->n_patterns))
            continue;
        if (core->config.gone != NULL &&
            core->config.gone(core->config.arg, waiter->call)) {
            output_refusal(core, waiter->call, PLEX_CANCELLED, "caller left");
            waiter_free(core, waiter);
            continue;
        }
        answer = tspace_answer_make(1);
        tspace_answer_add(answer, held);
        if (waiter->has_request_id)
            tspace_request_remember(
                core, space,
                (struct plex_bytes){waiter->request_id, TSPACE_ID_BYTES}, now,
                answer);
        output_reply(core, waiter->call, answer);
        tspace_answer_unref(answer);
        waiter_free(core, waiter);
        if (take)
            return true;
    }
    return false;
}

/* -- requests -------------------------------------------------------------- */

void
tspace_entry_add(struct tspace_core *core, struct space *space,
                 struct tspace_held *held)
{
    struct entry *entry = plex_calloc(1, sizeof *entry);

    entry->held = held;
    TAILQ_INSERT_TAIL(&space->entries, entry, next);
    core->stats.tuples++;
    core->stats.bytes += held->bytes;
    if (held->tuple.expires_ms != 0 && held->tuple.expires_ms < core->expiry_ms)
        core->expiry_ms = held->tuple.expires_ms;
}

static void
tuple_write(struct tspace_core *core, struct space *space,
            struct tspace_now now, const struct tspace_tuple *tuple)
{
    struct tspace_held *held = tspace_held_make(tuple);

    if (waiters_serve(core, space, now, held)) {
        tspace_held_unref(held); /* taken before it was ever stored */
        return;
    }
    tspace_output_add(core, TSPACE_PUT, space)->held = tspace_held_ref(held);
    tspace_entry_add(core, space, held);
}

static size_t
write_bytes(const struct tspace_write *write)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < write->n_tuples; i++)
        for (uint32_t f = 0; f < write->tuples[i].n_fields; f++)
            bytes += sizeof(struct tspace_field) +
                     write->tuples[i].fields[f].bytes.len;
    return bytes;
}

void
tspace_core_write(struct tspace_core *core, struct tspace_now now, void *call,
                  const struct tspace_write *write)
{
    struct space *space = space_use(core, &write->where, call);
    struct request *known = NULL;
    struct answer *answer;

    if (space == NULL)
        return;
    if (write->request_id.len > 0)
        known = tspace_request_find(core, space, write->request_id, now);
    if (known != NULL) {
        output_reply(core, call, known->answer);
        return;
    }
    if (core->stats.tuples + write->n_tuples > core->config.tuples_max ||
        core->stats.bytes + write_bytes(write) > core->config.bytes_max) {
        output_refusal(core, call, PLEX_LIMIT, "the tuple space is full");
        return;
    }
    answer = tspace_answer_make(0);
    answer->pub.is_write = true;
    answer->pub.n = write->n_tuples;
    memcpy(answer->pub.first_id, write->first_id, TSPACE_ID_BYTES);
    for (uint32_t i = 0; i < write->n_tuples; i++) {
        struct tspace_tuple tuple = write->tuples[i];

        tspace_id_at(write->first_id, i, tuple.id);
        tuple.expires_ms = write->ttl_ms == 0 ? 0 : now.wall_ms + write->ttl_ms;
        tuple_write(core, space, now, &tuple);
    }
    if (write->request_id.len > 0)
        tspace_request_remember(core, space, write->request_id, now, answer);
    output_reply(core, call, answer);
    tspace_answer_unref(answer);
}

/* Collect up to `max` matching tuples; with take they leave the space. */
static void
space_collect(struct tspace_core *core, struct space *space,
              struct tspace_now now, const struct tspace_read *read,
              struct answer *answer)
{
    struct entry *entry, *next;
    size_t bytes = 0;

    for (entry = TAILQ_FIRST(&space->entries);
         entry != NULL && answer->pub.n < read->max_results; entry = next) {
        next = TAILQ_NEXT(entry, next);
        if (expired(&entry->held->tuple, now) ||
            !tspace_match(&entry->held->tuple, read->patterns,
                          read->n_patterns))
            continue;
        bytes += entry->held->bytes;
        if (bytes > REPLY_BYTES_MAX && answer->pub.n > 0)
            return;
        tspace_answer_add(answer, entry->held);
        if (!read->take)
            continue;
        tspace_output_add(core, TSPACE_REMOVE, space)->held =
            tspace_held_ref(entry->held);
        entry_free(core, space, entry);
    }
}

void
tspace_core_read(struct tspace_core *core, struct tspace_now now, void *call,
                 const struct tspace_read *read)
{
    struct space *space = space_use(core, &read->where, call);
    struct request *known = NULL;
    struct answer *answer;

    if (space == NULL)
        return;
    assert(read->max_results > 0 && read->max_results <= TSPACE_RESULTS_MAX);
    if (read->take && read->request_id.len > 0)
        known = tspace_request_find(core, space, read->request_id, now);
    if (known != NULL) {
        output_reply(core, call, known->answer);
        return;
    }
    answer = tspace_answer_make(read->max_results);
    space_collect(core, space, now, read, answer);
    if (answer->pub.n == 0 && read->timeout_ms > 0) {
        waiter_add(core, space, now, call, read);
    } else {
        if (read->take && read->request_id.len > 0 && answer->pub.n > 0)
            tspace_request_remember(core, space, read->request_id, now, answer);
        output_reply(core, call, answer);
    }
    tspace_answer_unref(answer);
}

uint64_t
tspace_core_count(const struct tspace_core *core, struct tspace_now now,
                  const struct tspace_where *where,
                  const struct tspace_pattern *patterns, uint32_t n)
{
    const struct space *space = space_find(core, where);
    const struct entry *entry;
    uint64_t count = 0;

    if (space == NULL)
        return 0;
    TAILQ_FOREACH(entry, &space->entries, next)
    {
        if (!expired(&entry->held->tuple, now) &&
            tspace_match(&entry->held->tuple, patterns, n))
            count++;
    }
    return count;
}

/* -- time ------------------------------------------------------------------ */

static void
waits_end(struct tspace_core *core, struct tspace_now now)
{
    struct waiter *waiter, *next;

    core->wait_until_ns = UINT64_MAX;
    for (waiter = TAILQ_FIRST(&core->waiters); waiter != NULL; waiter = next) {
        next = TAILQ_NEXT(waiter, all_next);
        if (waiter->deadline_ns <= now.mono_ns) {
            struct answer *answer = tspace_answer_make(0);

            output_reply(core, waiter->call, answer);
            tspace_answer_unref(answer);
            waiter_free(core, waiter);
        } else if (waiter->deadline_ns < core->wait_until_ns) {
            core->wait_until_ns = waiter->deadline_ns;
        }
    }
}

static void
tuples_expire(struct tspace_core *core, struct tspace_now now)
{
    struct space *space;

    core->expiry_ms = UINT64_MAX;
    core->swept_ms = now.wall_ms;
    for (space = core->spaces; space != NULL; space = space->hh.next) {
        struct entry *entry, *next;

        for (entry = TAILQ_FIRST(&space->entries); entry != NULL;
             entry = next) {
            const uint64_t at = entry->held->tuple.expires_ms;

            next = TAILQ_NEXT(entry, next);
            if (expired(&entry->held->tuple, now)) {
                tspace_output_add(core, TSPACE_REMOVE, space)->held =
                    tspace_held_ref(entry->held);
                entry_free(core, space, entry);
            } else if (at != 0 && at < core->expiry_ms) {
                core->expiry_ms = at;
            }
        }
    }
}

void
tspace_core_tick(struct tspace_core *core, struct tspace_now now)
{
    if (core->wait_until_ns <= now.mono_ns)
        waits_end(core, now);
    if (core->expiry_ms <= now.wall_ms)
        tuples_expire(core, now);
    while (!TAILQ_EMPTY(&core->by_age) &&
           TAILQ_FIRST(&core->by_age)->expires_ms <= now.wall_ms)
        tspace_request_forget(core, TAILQ_FIRST(&core->by_age));
}

uint64_t
tspace_core_wait_ms(const struct tspace_core *core, struct tspace_now now)
{
    uint64_t wait = UINT64_MAX, sweep = core->expiry_ms;

    if (core->wait_until_ns != UINT64_MAX)
        wait = core->wait_until_ns <= now.mono_ns
                   ? 0
                   : (core->wait_until_ns - now.mono_ns + 999999) / 1000000;
    if (!TAILQ_EMPTY(&core->by_age) &&
        TAILQ_FIRST(&core->by_age)->expires_ms < sweep)
        sweep = TAILQ_FIRST(&core->by_age)->expires_ms;
    if (sweep != UINT64_MAX) {
        const uint64_t left = sweep > now.wall_ms ? sweep - now.wall_ms : 0;
        const uint64_t paced = left < SWEEP_MS ? SWEEP_MS : left;

        wait = paced < wait ? paced : wait;
    }
    return wait;
}

void
tspace_core_fail_waiters(struct tspace_core *core, const char *text)
{
    while (!TAILQ_EMPTY(&core->waiters)) {
        struct waiter *waiter = TAILQ_FIRST(&core->waiters);

        output_refusal(core, waiter->call, PLEX_UNAVAILABLE, text);
        waiter_free(core, waiter);
    }
}

struct tspace_stats
tspace_core_stats(const struct tspace_core *core)
{
    return core->stats;
}
