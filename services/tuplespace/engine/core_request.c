/* Where a request goes, and the memory of those that were answered. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/record.h"

#include <assert.h>

enum { REMEMBER_BYTES = 256 << 20 };

/* -- memory ---------------------------------------------------------------- */

struct plex_bytes
core_id_key(uint64_t id, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(id >> (56 - 8 * i));
    return (struct plex_bytes){key, 8};
}

static size_t
memory_key(const struct realm *realm, char kind, struct plex_bytes key,
           uint8_t out[sizeof(void *) + MEMORY_KEY_MAX])
{
    assert(key.len < MEMORY_KEY_MAX);
    memcpy(out, &realm, sizeof realm);
    out[sizeof realm] = (uint8_t)kind;
    if (key.len > 0)
        memcpy(out + sizeof realm + 1, key.data, key.len);
    return sizeof realm + 1 + key.len;
}

struct request *
core_memory_find(const struct tspace_core *core, const struct realm *realm,
                 char kind, struct plex_bytes key)
{
    uint8_t full[sizeof(void *) + MEMORY_KEY_MAX];
    const size_t len = memory_key(realm, kind, key, full);
    struct request *request;

    HASH_FIND(hh, core->requests, full, len, request);
    if (request != NULL && request->answer != NULL &&
        request->expires_ms <= core->now.wall_ms)
        return NULL;
    return request;
}

static struct plex_bytes
stored_key(const struct request *request)
{
    return (struct plex_bytes){request->key + sizeof(void *),
                               request->key_len - sizeof(void *)};
}

void
core_memory_free(struct tspace_core *core, struct request *request,
                 bool durable)
{
    if (request->answer != NULL) {
        TAILQ_REMOVE(&core->by_age, request, by_age);
        TAILQ_REMOVE(&request->realm->tenant->by_age, request, of_tenant);
        request->realm->tenant->requests--;
        request->realm->tenant->remembered_bytes -= request->bytes;
        core->remembered_bytes -= request->bytes;
        core->stats.requests--;
        if (durable && request->stored)
            core_record(core, TSPACE_RECORD_REQUEST, NULL, request->realm,
                        stored_key(request), NULL);
    }
    HASH_DEL(core->requests, request);
    core_answer_unref(core, request->answer);
    core_realm_release(core, request->realm);
    free(request);
}

void
core_memory_store(struct tspace_core *core, struct request *request)
{
    struct plex_buf body = {.max = TSPACE_BODY_MAX};

    if (core->config.transient || core->restoring)
        return;
    record_put_request(&body, request);
    core_record(core, TSPACE_RECORD_REQUEST, NULL, request->realm,
                stored_key(request), &body);
    request->stored = true;
    plex_buf_free(&body);
}

static struct request *
memory_make(struct tspace_core *core, struct realm *realm, char kind,
            struct plex_bytes key, uint64_t fingerprint)
{
    uint8_t full[sizeof(void *) + MEMORY_KEY_MAX];
    const size_t len = memory_key(realm, kind, key, full);
    struct request *request;

    HASH_FIND(hh, core->requests, full, len, request);
    if (request != NULL)
        core_memory_free(core, request, false);
    request = plex_calloc(1, sizeof *request + len);
    request->realm = realm;
    realm->users++;
    request->fingerprint = fingerprint;
    request->key_len = len;
    memcpy(request->key, full, len);
    HASH_ADD_KEYPTR(hh, core->requests, request->key, len, request);
    return request;
}

static uint64_t
answer_bytes(const struct answer *answer)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; !answer->pub.is_write && i < answer->pub.n; i++)
        bytes += answer->items[i]->body_bytes;
    return bytes;
}

static bool
tenant_remembers_too_much(const struct tspace_config *config,
                          const struct tenant *tenant)
{
    const uint64_t bytes_max = config->tenant_remember_bytes_max;

    return (config->tenant_requests_max != 0 &&
            tenant->requests > config->tenant_requests_max) ||
           (bytes_max != 0 && tenant->remembered_bytes > bytes_max);
}

/* The oldest memories make room, those of a tenant with too many first. */
static void
memory_keep(struct tspace_core *core, struct request *request,
            struct answer *answer)
{
    const struct tspace_config *config = &core->config;
    const uint64_t bytes_max = config->remember_bytes_max != 0
                                   ? config->remember_bytes_max
                                   : REMEMBER_BYTES;
    struct tenant *tenant = request->realm->tenant;

    request->expires_ms = core->now.wall_ms + TSPACE_REMEMBER_MS;
    request->answer = answer;
    answer->refs++;
    request->bytes = answer_bytes(answer);
    TAILQ_INSERT_TAIL(&core->by_age, request, by_age);
    TAILQ_INSERT_TAIL(&tenant->by_age, request, of_tenant);
    core->stats.requests++;
    tenant->requests++;
    tenant->remembered_bytes += request->bytes;
    core->remembered_bytes += request->bytes;
    while (tenant_remembers_too_much(config, tenant) &&
           TAILQ_FIRST(&tenant->by_age) != request)
        core_memory_free(core, TAILQ_FIRST(&tenant->by_age), true);
    while ((core->stats.requests > config->requests_max ||
            core->remembered_bytes > bytes_max) &&
           TAILQ_FIRST(&core->by_age) != request)
        core_memory_free(core, TAILQ_FIRST(&core->by_age), true);
}

struct request *
core_memory_add(struct tspace_core *core, struct realm *realm, char kind,
                struct plex_bytes key, enum outcome outcome,
                struct answer *answer, uint64_t fingerprint, bool durable)
{
    struct request *request = memory_make(core, realm, kind, key, fingerprint);

    request->outcome = outcome;
    memory_keep(core, request, answer);
    if (durable)
        core_memory_store(core, request);
    return request;
}

struct request *
core_memory_pending(struct tspace_core *core, const struct scope *scope)
{
    if (scope->op->request_id.len == 0)
        return NULL;
    return memory_make(core, scope->realm, 'r', scope->op->request_id,
                       scope->op->fingerprint);
}

void
core_memory_complete(struct tspace_core *core, struct request *request,
                     struct answer *answer)
{
    memory_keep(core, request, answer);
    core_memory_store(core, request);
}

/* -- the scope of a request ------------------------------------------------ */

/* True: it was seen before, and is answered. */
static bool
seen(struct tspace_core *core, const struct tspace_op *op,
     const struct realm *realm)
{
    const struct request *request;

    if (op->request_id.len == 0 || realm == NULL)
        return false;
    request = core_memory_find(core, realm, 'r', op->request_id);
    if (request == NULL)
        return false;
    if (request->fingerprint != op->fingerprint)
        core_refuse(core, op->call, PLEX_MISMATCH,
                    "the request id was used for another request");
    else if (request->answer == NULL)
        core_refuse(core, op->call, PLEX_IN_FLIGHT,
                    "the first request with this id still waits");
    else
        core_reply(core, op->call, request->answer);
    return true;
}

static struct tx *
tx_of(struct tspace_core *core, const struct tspace_op *op,
      const struct realm *realm)
{
    struct tx *tx = core_tx_find(core, op->tx);
    const struct request *ended = NULL;
    uint8_t key[8];

    if (tx != NULL && tx->realm == realm && !tx->prepared)
        return tx;
    if (tx != NULL && tx->realm == realm) {
        core_refuse(core, op->call, PLEX_CONFLICT,
                    "transaction %llu is prepared: commit or abort it",
                    (unsigned long long)op->tx);
        return NULL;
    }
    if (realm != NULL)
        ended = core_memory_find(core, realm, 't', core_id_key(op->tx, key));
    if (ended != NULL)
        core_refuse(core, op->call, PLEX_CONFLICT, "transaction %llu %s",
                    (unsigned long long)op->tx,
                    core_outcome_text(ended->outcome));
    else
        core_refuse(core, op->call, PLEX_NOT_FOUND,
                    "there is no transaction %llu", (unsigned long long)op->tx);
    return NULL;
}

void
core_now(struct tspace_core *core, struct tspace_now now)
{
    if (now.mono_ns > core->now.mono_ns)
        core->now.mono_ns = now.mono_ns;
    if (now.wall_ms > core->now.wall_ms)
        core->now.wall_ms = now.wall_ms;
}

bool
core_begin(struct tspace_core *core, struct tspace_now now,
           const struct tspace_op *op, bool make_space, struct scope *scope)
{
    core_now(core, now);
    *scope = (struct scope){.op = op};
    if (op->request_id.len > TSPACE_REQUEST_ID_MAX) {
        core_refuse(core, op->call, PLEX_INVALID,
                    "a request id has at most %d bytes, not %zu",
                    TSPACE_REQUEST_ID_MAX, op->request_id.len);
        return false;
    }
    if (op->where.space[0] != '\0')
        scope->space = core_space_find(core, &op->where);
    scope->realm = scope->space != NULL ? scope->space->realm
                                        : core_realm_find(core, &op->where);
    if (seen(core, op, scope->realm))
        return false;
    if (op->tx != 0) {
        scope->tx = tx_of(core, op, scope->realm);
        if (scope->tx == NULL)
            return false;
    }
    if (make_space && scope->space == NULL) {
        scope->space = core_space_get(core, &op->where);
        if (scope->space == NULL) {
            core_refuse(core, op->call, PLEX_LIMIT,
                        "there are too many spaces for another");
            return false;
        }
        scope->realm = scope->space->realm;
    }
    return true;
}

void
core_finish(struct tspace_core *core, const struct scope *scope,
            struct answer *answer)
{
    const struct tspace_op *op = scope->op;
    struct realm *realm;

    if (op->request_id.len > 0) {
        realm = core_realm_get(core, &op->where);
        core_memory_add(core, realm, 'r', op->request_id, OUTCOME_ANSWER,
                        answer, op->fingerprint, true);
        core_realm_release(core, realm);
    }
    core_reply(core, op->call, answer);
    core_answer_unref(core, answer);
}

/* -- requests about spaces ------------------------------------------------- */

static bool
index_good(const struct tspace_index *index)
{
    const uint64_t fields =
        index->fields >= 64 ? UINT64_MAX : (1ull << index->fields) - 1;

    return index->fields >= 1 && index->fields <= TSPACE_FIELDS_MAX &&
           (index->exact & ~fields) == 0 && (index->types & ~fields) == 0 &&
           (index->exact & index->types) == 0 &&
           index->ordered <= index->fields &&
           (index->exact | index->types | index->ordered) != 0;
}

bool
core_options_good(const struct tspace_options *options)
{
    if (options->n_indexes > TSPACE_INDEXES_MAX ||
        options->default_ttl_ms > TSPACE_TTL_MAX_MS)
        return false;
    for (uint32_t i = 0; i < options->n_indexes; i++)
        if (!index_good(&options->indexes[i]))
            return false;
    return options->partition_field <= TSPACE_PARTITION_FIELDS ||
           options->partition_field == TSPACE_PARTITION_OWN;
}

/* What is in a space must be found where requests look for it. */
static bool
is_placed(const struct space *space, uint32_t partition_field)
{
    return space->options.partition_field == partition_field ||
           (space->options.partition_field == 0 && space->tuples == 0 &&
            space->waiters == 0 && space->subscriptions == 0);
}

bool
tspace_core_may_place(const struct tspace_core *core,
                      const struct tspace_where *where,
                      uint32_t partition_field)
{
    const struct space *space =
        core_space_find((struct tspace_core *)core, where);

    return space == NULL || is_placed(space, partition_field);
}

void
core_space_options(struct tspace_core *core, struct space *space,
                   const struct tspace_options *options)
{
    space->realm->apart += options->partition_field != 0;
    space->realm->apart -= space->options.partition_field != 0;
    space->options = *options;
    space->configured = true;
    for (uint32_t i = 0; i < space->n_shapes; i++)
        if (space->shapes[i] != NULL)
            shape_undeclare(space->shapes[i]);
    for (uint32_t i = 0; i < options->n_indexes; i++) {
        const struct tspace_index *index = &options->indexes[i];
        struct shape *shape = core_shape_get(core, space, index->fields);

        shape_declare(shape, &(struct index_def){index->exact, index->types,
                                                 index->ordered});
        shape_build(shape, UINT64_MAX);
    }
}

void
tspace_core_configure(struct tspace_core *core, struct tspace_now now,
                      const struct tspace_op *op,
                      const struct tspace_options *options)
{
    struct plex_buf body = {.max = 4096};
    struct tspace_options merged = *options;
    struct scope scope;

    if (!core_options_good(options)) {
        core_refuse(core, op->call, PLEX_INVALID,
                    "a space has at most %d indexes about fields that are "
                    "there, and a default ttl of at most 30 days",
                    TSPACE_INDEXES_MAX);
        return;
    }
    if (!core_begin(core, now, op, true, &scope))
        return;
    if (options->partition_field == 0)
        merged.partition_field = scope.space->options.partition_field;
    if (!is_placed(scope.space, merged.partition_field)) {
        core_refuse(core, op->call, PLEX_CONFLICT,
                    "space \"%s\" is in use: how it is partitioned can be "
                    "said only while it is new or empty, and once",
                    op->where.space);
        return;
    }
    core_space_options(core, scope.space, &merged);
    record_put_options(&body, &merged);
    core_record(core, TSPACE_RECORD_SPACE, scope.space, NULL,
                (struct plex_bytes){(const uint8_t *)"options", 7}, &body);
    plex_buf_free(&body);
    core_finish(core, &scope, core_answer(core, 0));
}
