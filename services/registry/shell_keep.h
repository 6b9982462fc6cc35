#ifndef SERVICES_REGISTRY_SHELL_KEEP_H
#define SERVICES_REGISTRY_SHELL_KEEP_H

#include "common/service.h"

struct reg_core;

/*
 * Keys, locks and objects as the daemon serves them: their cores, stores,
 * methods. What one iteration of the loop asked for is stored in one
 * transaction and answered after it.
 */
struct reg_keep;

struct reg_keep_config {
    const char *kv_dsn;
    const char *lock_dsn;
    const char *object_dsn;
    uint64_t kv_keys_max;
    uint64_t kv_memory_max_bytes;
    uint64_t locks_max;
    uint32_t lock_waiters_max;
    uint64_t objects_max;
    uint64_t objects_memory_max_bytes;
    const struct reg_core *catalogue; /* what the suite itself has; borrowed */
};

/* All DSNs, without opening anything. */
PLEX_MUST_USE enum plex_status reg_keep_check(
    const struct reg_keep_config *config, struct plex_err *err);
/* `config` is copied, its strings are borrowed. */
PLEX_MUST_USE enum plex_status reg_keep_start(
    struct reg_keep **out, const struct reg_keep_config *config,
    const struct plex_host *host, struct plex_err *err);
/* Whoever waits is told to ask again. */
void reg_keep_drain(struct reg_keep *keep);
void reg_keep_stop(struct reg_keep *keep); /* accepts NULL */

/* Methods: `state` must begin with a struct reg_keep *. */
#define REG_KEEP_METHODS(X)          \
    X(1501, "keyvalue.get")          \
    X(1502, "keyvalue.put")          \
    X(1503, "keyvalue.delete")       \
    X(1504, "keyvalue.exists")       \
    X(1505, "keyvalue.list")         \
    X(1506, "keyvalue.multi_get")    \
    X(1507, "keyvalue.multi_put")    \
    X(1508, "keyvalue.put_with_ttl") \
    X(1509, "keyvalue.refresh_ttl")  \
    X(1510, "keyvalue.get_ttl")      \
    X(1511, "keyvalue.cas")          \
    X(1512, "keyvalue.increment")    \
    X(1513, "keyvalue.decrement")    \
    X(1514, "keyvalue.clear_prefix") \
    X(1515, "keyvalue.count_prefix") \
    X(1516, "keyvalue.get_stats")    \
    X(1517, "keyvalue.watch")        \
    X(1601, "locks.acquire")         \
    X(1602, "locks.renew")           \
    X(1603, "locks.release")         \
    X(1604, "locks.get")             \
    X(1605, "locks.list")            \
    X(1606, "locks.delete")          \
    X(1701, "objects.register")      \
    X(1702, "objects.unregister")    \
    X(1703, "objects.lookup")        \
    X(1704, "objects.discover")      \
    X(1705, "objects.heartbeat")     \
    X(1706, "objects.heartbeats")    \
    X(1707, "objects.types")
#define X(id, name) void reg_keep_on_##id(void *state, struct plex_call *call);
REG_KEEP_METHODS(X)
#undef X
/* Rows of a table of methods, each with its comma. */
#define REG_KEEP_METHOD_ROW(id, name) {id, name, reg_keep_on_##id},

#endif
