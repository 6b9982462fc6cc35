#include "services/registry/wire_lock.h"

#include "common/wire.h"
#include "services/registry/wire_kv.h"

#include "plexspaces/locks/v1/locks.pb-c.h"
#include "plexspaces/registry/v1/rows.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOCK(name) Plexspaces__Locks__V1__##name
#define LOCK_TYPE(name) &plexspaces__locks__v1__##name##__descriptor
#define ROW(name) Plexspaces__Registry__V1__##name

enum { LEASE_DEFAULT_MS = 30000 };

enum method {
    ACQUIRE = REG_LOCK_METHOD_FIRST,
    RENEW,
    RELEASE,
    GET,
    LIST,
    DELETE,
};
_Static_assert(
    (int)DELETE == (int)REG_LOCK_METHOD_LAST &&
        (int)DELETE ==
            (int)PLEXSPACES__LOCKS__V1__LOCK_METHOD__LOCK_METHOD_DELETE_LOCK,
    "the methods are those of the proto, in its order");

/* -- requests -------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *
request_type(enum method method)
{
    switch (method) {
    case ACQUIRE:
        return LOCK_TYPE(acquire_lock_request);
    case RENEW:
        return LOCK_TYPE(renew_lock_request);
    case RELEASE:
        return LOCK_TYPE(release_lock_request);
    case GET:
        return LOCK_TYPE(get_lock_request);
    case LIST:
        return LOCK_TYPE(list_locks_request);
    case DELETE:
        return LOCK_TYPE(delete_lock_request);
    }
    return NULL;
}

static enum plex_status
lease_check(uint64_t lease_ms, struct plex_err *err)
{
    if (lease_ms == 0 || (lease_ms >= REG_LOCK_LEASE_MIN_MS &&
                          lease_ms <= REG_LOCK_LEASE_MAX_MS))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "lease_ms is %" PRIu64
                        ", it must be 1000 to 3600000 (1 s to 1 h)",
                        lease_ms);
}

static enum plex_status
names_check(const struct reg_lock_request *request, struct plex_err *err)
{
    if (reg_wire_text_check("key", request->key, 1, REG_LOCK_KEY_MAX, err) !=
        PLEX_OK)
        return err->status;
    return reg_wire_text_check("holder", request->holder, 1,
                               REG_LOCK_HOLDER_MAX, err);
}

static enum plex_status
acquire_in(const LOCK(AcquireLockRequest) * in, struct reg_lock_request *out,
           struct plex_err *err)
{
    out->op = REG_LOCK_ACQUIRE;
    out->key = in->key;
    out->holder = in->holder;
    out->ns = in->namespace_;
    out->metadata = in->metadata;
    out->lease_ms = in->lease_ms == 0 ? LEASE_DEFAULT_MS : in->lease_ms;
    out->wait_ms = in->wait_ms;
    if (names_check(out, err) != PLEX_OK ||
        lease_check(in->lease_ms, err) != PLEX_OK ||
        reg_wire_text_check("metadata", in->metadata, 0, REG_LOCK_META_MAX,
                            err) != PLEX_OK)
        return err->status;
    if (in->wait_ms > REG_LOCK_WAIT_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "wait_ms is %" PRIu64 ", at most %d is allowed",
                            in->wait_ms, REG_LOCK_WAIT_MAX_MS);
    return PLEX_OK;
}

static enum plex_status
version_check(const char *version, struct plex_err *err)
{
    if (strlen(version) == REG_LOCK_VERSION_LEN)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "version \"%.30s\" is not one that acquiring gave",
                        version);
}

static enum plex_status
renew_in(const LOCK(RenewLockRequest) * in, struct reg_lock_request *out,
         struct plex_err *err)
{
    out->op = REG_LOCK_RENEW;
    out->key = in->key;
    out->holder = in->holder;
    out->version = in->version;
    out->ns = in->namespace_;
    out->lease_ms = in->lease_ms;
    if (names_check(out, err) != PLEX_OK ||
        lease_check(in->lease_ms, err) != PLEX_OK)
        return err->status;
    return version_check(in->version, err);
}

static enum plex_status
release_in(const LOCK(ReleaseLockRequest) * in, struct reg_lock_request *out,
           struct plex_err *err)
{
    out->op = REG_LOCK_RELEASE;
    out->key = in->key;
    out->holder = in->holder;
    out->version = in->version;
    out->ns = in->namespace_;
    if (names_check(out, err) != PLEX_OK)
        return err->status;
    return version_check(in->version, err);
}

static enum plex_status
list_in(const LOCK(ListLocksRequest) * in, struct reg_lock_request *out,
        struct plex_err *err)
{
    out->op = REG_LOCK_LIST;
    out->prefix = in->prefix;
    out->after = in->page_token;
    out->ns = in->namespace_;
    out->holder = in->holder;
    if (reg_wire_text_check("prefix", in->prefix, 0, REG_LOCK_KEY_MAX, err) !=
            PLEX_OK ||
        reg_wire_text_check("page_token", in->page_token, 0, REG_LOCK_KEY_MAX,
                            err) != PLEX_OK ||
        reg_wire_text_check("holder", in->holder, 0, REG_LOCK_HOLDER_MAX,
                            err) != PLEX_OK)
        return err->status;
    return reg_wire_page_check(in->page_size, &out->page_size, err);
}

static enum plex_status
message_in(enum method method, const ProtobufCMessage *message,
           struct reg_lock_request *out, struct plex_err *err)
{
    const LOCK(GetLockRequest) *get = (const void *)message;
    const LOCK(DeleteLockRequest) *del = (const void *)message;

    switch (method) {
    case ACQUIRE:
        return acquire_in((const void *)message, out, err);
    case RENEW:
        return renew_in((const void *)message, out, err);
    case RELEASE:
        return release_in((const void *)message, out, err);
    case LIST:
        return list_in((const void *)message, out, err);
    case GET:
    case DELETE:
        break;
    }
    out->op = method == GET ? REG_LOCK_GET : REG_LOCK_DELETE;
    out->key = method == GET ? get->key : del->key;
    out->ns = method == GET ? get->namespace_ : del->namespace_;
    return reg_wire_text_check("key", out->key, 1, REG_LOCK_KEY_MAX, err);
}

enum plex_status
reg_wire_lock_request(uint32_t method, struct plex_bytes in,
                      struct plex_arena *arena, struct reg_lock_request *out,
                      struct plex_err *err)
{
    ProtobufCMessage *message;

    *out = (struct reg_lock_request){.method = method,
                                     .ns = "",
                                     .holder = "",
                                     .metadata = "",
                                     .prefix = "",
                                     .after = ""};
    if (plex_wire_unpack(request_type((enum method)method), in, arena, &message,
                         err) != PLEX_OK ||
        message_in((enum method)method, message, out, err) != PLEX_OK)
        return err->status;
    return reg_wire_ns_check(out->ns, err);
}

/* -- answers --------------------------------------------------------------- */

static void
lock_out(const struct reg_lock_info *in, LOCK(Lock) * out)
{
    plexspaces__locks__v1__lock__init(out);
    out->key = in->key;
    out->holder = in->holder;
    out->version = plex_wire_text(in->version);
    out->token = in->token;
    out->locked = true;
    out->lease_ms = in->lease_ms;
    out->left_ms = in->left_ms;
    out->expires_ms = in->expires_ms;
    out->acquired_ms = in->acquired_ms;
    out->renewed_ms = in->renewed_ms;
    out->metadata = in->metadata;
    out->waiters = in->waiters;
}

static enum plex_status
list_out(const struct reg_lock_answer *answer, struct plex_arena *arena,
         struct plex_buf *out, struct plex_err *err)
{
    LOCK(ListLocksResponse)
    reply = PLEXSPACES__LOCKS__V1__LIST_LOCKS_RESPONSE__INIT;
    LOCK(Lock) *locks = plex_wire_array(arena, answer->n_locks, sizeof *locks);

    reply.locks = plex_wire_array(arena, answer->n_locks, sizeof *reply.locks);
    if (locks == NULL || reply.locks == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < answer->n_locks; i++) {
        lock_out(&answer->locks[i], &locks[i]);
        reply.locks[i] = &locks[i];
    }
    reply.n_locks = answer->n_locks;
    if (answer->more)
        reply.next_page_token = answer->locks[answer->n_locks - 1].key;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_lock_answer(const struct reg_lock_answer *answer,
                     struct plex_arena *arena, struct plex_buf *out,
                     struct plex_err *err)
{
    /* The answers of acquire, renew and get are one lock in field 1, the others
     * empty. */
    LOCK(GetLockResponse)
    reply = PLEXSPACES__LOCKS__V1__GET_LOCK_RESPONSE__INIT;
    LOCK(Lock) lock;

    if (answer->method == LIST)
        return list_out(answer, arena, out, err);
    if (answer->n_locks > 0) {
        lock_out(&answer->locks[0], &lock);
        reply.lock = &lock;
    }
    return plex_wire_pack(&reply.base, out, err);
}

/* -- rows ------------------------------------------------------------------ */

enum plex_status
reg_wire_lock_row_out(const struct reg_lock_info *lock, struct plex_buf *out,
                      struct plex_err *err)
{
    ROW(LockRow) row = PLEXSPACES__REGISTRY__V1__LOCK_ROW__INIT;

    row.holder = lock->holder;
    row.version = plex_wire_text(lock->version);
    row.token = lock->token;
    row.lease_ms = lock->lease_ms;
    row.acquired_ms = lock->acquired_ms;
    row.renewed_ms = lock->renewed_ms;
    row.metadata = lock->metadata;
    return plex_wire_pack(&row.base, out, err);
}

enum plex_status
reg_wire_lock_row_in(struct plex_bytes in, struct plex_arena *arena,
                     struct reg_lock_info *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const ROW(LockRow) * row;

    if (plex_wire_unpack(&plexspaces__registry__v1__lock_row__descriptor, in,
                         arena, &message, err) != PLEX_OK) {
        err->status = PLEX_CORRUPT;
        return PLEX_CORRUPT;
    }
    row = (const void *)message;
    if (strlen(row->version) != REG_LOCK_VERSION_LEN ||
        row->lease_ms > REG_LOCK_LEASE_MAX_MS)
        return plex_err_set(err, PLEX_CORRUPT,
                            "a lock's row has no version or an absurd lease");
    out->holder = row->holder;
    out->metadata = row->metadata;
    (void)snprintf(out->version, sizeof out->version, "%s", row->version);
    out->token = row->token;
    out->lease_ms = row->lease_ms;
    out->acquired_ms = row->acquired_ms;
    out->renewed_ms = row->renewed_ms;
    return PLEX_OK;
}
