/*
 * Redis over hiredis. All records of a shard are the fields of one hash; what
 * an iteration changed is done by one script, which Redis runs as a whole, and
 * which looks at the epoch first. It is as durable as Redis is told to be, so
 * a server that does not flush every write is refused, unless the DSN ends in
 * "?relaxed". A connection that was lost ends the store: the service opens a
 * new one, which raises the epoch.
 */
#include "services/tuplespace/store_redis.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    REDIS_PORT = 6379,
    REDIS_TIMEOUT_S = 5,
    REDIS_HOST_MAX = 128,
    REDIS_USER_MAX = 256,
    REDIS_CHANGES_MAX = 400000, /* Redis takes 1 Mi arguments at most */
};

/* ARGV: epoch, how many records are removed, their fields, then fields and
 * bodies of those that are put. */
static const char script[] =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
    "local n = 2 + tonumber(ARGV[2]) "
    "for i = 3, n do redis.call('HDEL', KEYS[2], ARGV[i]) end "
    "for i = n + 1, #ARGV, 2 do "
    "redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end "
    "return 1";

struct address {
    char host[REDIS_HOST_MAX];
    int port;
    char user[REDIS_USER_MAX]; /* "password" or "user:password" */
    unsigned db;
    bool relaxed;
};

/* -- address -----------------------------------------------------------------
 */

static bool
copy_part(char *out, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* "//[[USER]:PASSWORD@]HOST[:PORT][/DB][?relaxed]" */
static enum plex_status
address_parse(const char *rest, struct address *out, struct plex_err *err)
{
    const char *at = rest + 2, *end, *user, *colon;
    char *stop;

    *out = (struct address){.port = REDIS_PORT};
    if (strncmp(rest, "//", 2) != 0)
        goto bad;
    end = at + strcspn(at, "/?");
    user = memrchr(at, '@', (size_t)(end - at));
    if (user != NULL) {
        if (!copy_part(out->user, sizeof out->user, at, (size_t)(user - at)))
            goto bad;
        at = user + 1;
    }
    colon = memchr(at, ':', (size_t)(end - at));
    if (!copy_part(out->host, sizeof out->host, at,
                   (size_t)((colon != NULL ? colon : end) - at)) ||
        out->host[0] == '\0')
        goto bad;
    if (colon != NULL) {
        const long port = strtol(colon + 1, &stop, 10);

        if (stop != end || port < 1 || port > 65535)
            goto bad;
        out->port = (int)port;
    }
    if (*end == '/' && end[1] != '\0' && end[1] != '?') {
        out->db = (unsigned)strtoul(end + 1, &stop, 10);
        if (stop == end + 1 || out->db > 1000000)
            goto bad;
        end = stop;
    } else if (*end == '/') {
        end++;
    }
    out->relaxed = strcmp(end, "?relaxed") == 0;
    if (*end == '\0' || out->relaxed)
        return PLEX_OK;
bad:
    return plex_err_set(err, PLEX_INVALID,
                        "store \"redis:\" is not of the form "
                        "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB][?relaxed]");
}

static enum plex_status
redis_check(const char *rest, struct plex_err *err)
{
    struct address address;

    return address_parse(rest, &address, err);
}

/* -- replies -----------------------------------------------------------------
 */

enum plex_status
tspace_redis_lost(const struct redis_store *store, struct plex_err *err)
{
    return plex_err_set(err, PLEX_UNAVAILABLE, "Redis: %s",
                        store->redis->errstr);
}

/* Takes `reply`; NULL when it is none of the type. */
redisReply *
tspace_redis_reply(const struct redis_store *store, void *reply, int type,
                   struct plex_err *err)
{
    redisReply *r = reply;

    if (r == NULL) {
        (void)tspace_redis_lost(store, err);
        return NULL;
    }
    if (r->type == type)
        return r;
    (void)plex_err_set(err, PLEX_UNAVAILABLE, "Redis: %.200s",
                       r->type == REDIS_REPLY_ERROR ? r->str
                                                    : "unexpected reply");
    freeReplyObject(r);
    return NULL;
}

/* -- opening -----------------------------------------------------------------
 */

static void
redis_close(struct tspace_store *base)
{
    struct redis_store *store = (struct redis_store *)base;

    if (store->redis != NULL)
        redisFree(store->redis);
    plex_buf_free(&store->fields);
    free(store->argv);
    free(store->lengths);
    free(store);
}

static enum plex_status
say(struct redis_store *store, struct plex_err *err, void *reply)
{
    redisReply *r = tspace_redis_reply(store, reply, REDIS_REPLY_STATUS, err);

    if (r == NULL)
        return err->status;
    freeReplyObject(r);
    return PLEX_OK;
}

static enum plex_status
greet(struct redis_store *store, const struct address *address,
      struct plex_err *err)
{
    const char *colon = strchr(address->user, ':');

    if (address->user[0] != '\0') {
        void *reply =
            colon == NULL || colon == address->user
                ? redisCommand(store->redis, "AUTH %s",
                               colon == NULL ? address->user : colon + 1)
                : redisCommand(store->redis, "AUTH %b %s", address->user,
                               (size_t)(colon - address->user), colon + 1);

        if (say(store, err, reply) != PLEX_OK)
            return plex_err_wrap(err, "logging in");
    }
    if (address->db == 0)
        return PLEX_OK;
    return say(store, err,
               redisCommand(store->redis, "SELECT %u", address->db));
}

static bool
setting_is(struct redis_store *store, const char *name, const char *want)
{
    redisReply *r = redisCommand(store->redis, "CONFIG GET %s", name);
    const bool is = r != NULL && r->type == REDIS_REPLY_ARRAY &&
                    r->elements == 2 &&
                    strcasecmp(r->element[1]->str, want) == 0;

    if (r != NULL)
        freeReplyObject(r);
    return is;
}

static enum plex_status
durable_check(struct redis_store *store, const struct address *address,
              struct plex_err *err)
{
    if (address->relaxed || (setting_is(store, "appendonly", "yes") &&
                             setting_is(store, "appendfsync", "always")))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "this Redis may lose what it confirmed: set "
                        "appendonly yes and appendfsync always, or add "
                        "?relaxed to the store's address");
}

static enum plex_status
begin(struct redis_store *store, uint32_t shard, struct plex_err *err)
{
    redisReply *r;

    (void)snprintf(store->epoch_key, sizeof store->epoch_key,
                   "plexspaces:tuplespace:{%" PRIu32 "}:epoch", shard);
    (void)snprintf(store->records_key, sizeof store->records_key,
                   "plexspaces:tuplespace:{%" PRIu32 "}:records", shard);
    r = tspace_redis_reply(
        store, redisCommand(store->redis, "INCR %s", store->epoch_key),
        REDIS_REPLY_INTEGER, err);
    if (r == NULL)
        return err->status;
    store->epoch = (uint64_t)r->integer;
    freeReplyObject(r);
    (void)snprintf(store->epoch_text, sizeof store->epoch_text, "%" PRIu64,
                   store->epoch);
    r = tspace_redis_reply(store,
                           redisCommand(store->redis, "SCRIPT LOAD %s", script),
                           REDIS_REPLY_STRING, err);
    if (r == NULL)
        return err->status;
    (void)snprintf(store->sha, sizeof store->sha, "%s", r->str);
    freeReplyObject(r);
    return PLEX_OK;
}

static enum plex_status
redis_open(struct tspace_store **out, const char *rest, uint32_t shard,
           uint64_t *epoch, struct plex_err *err)
{
    const struct timeval limit = {.tv_sec = REDIS_TIMEOUT_S};
    struct redis_store *store;
    struct address address;

    if (address_parse(rest, &address, err) != PLEX_OK)
        return err->status;
    store = plex_calloc(1, sizeof *store);
    store->fields.max = 1 << 30;
    store->redis = redisConnectWithTimeout(address.host, address.port, limit);
    if (store->redis == NULL)
        abort(); /* out of memory */
    if (store->redis->err != 0)
        (void)plex_err_set(err, PLEX_UNAVAILABLE,
                           "could not connect to Redis at %.60s:%d: %s",
                           address.host, address.port, store->redis->errstr);
    else if (redisSetTimeout(store->redis, limit) == REDIS_OK &&
             greet(store, &address, err) == PLEX_OK &&
             durable_check(store, &address, err) == PLEX_OK &&
             begin(store, shard, err) == PLEX_OK) {
        *epoch = store->epoch;
        *out = &store->base;
        return PLEX_OK;
    }
    redis_close(&store->base);
    return err->status;
}

/* -- commit ------------------------------------------------------------------
 */

/* A record's field: its number, tenant, namespace and space with NULs, key. */
static enum plex_status
field_put(struct redis_store *store, const struct tspace_change *change,
          struct plex_err *err)
{
    const struct tspace_where *where = &change->place->where;
    const size_t tenant = strlen(where->tenant) + 1, ns = strlen(where->ns) + 1,
                 space = strlen(where->space) + 1;
    uint8_t *to;

    to = plex_buf_grow(&store->fields,
                       1 + tenant + ns + space + change->key.len);
    if (to == NULL)
        return plex_err_set(err, PLEX_LIMIT, "one transaction is too large");
    *to++ = (uint8_t)change->record;
    memcpy(to, where->tenant, tenant);
    to += tenant;
    memcpy(to, where->ns, ns);
    to += ns;
    memcpy(to, where->space, space);
    memcpy(to + space, change->key.data, change->key.len);
    return PLEX_OK;
}

static void
argument(struct redis_store *store, size_t *n, const void *data, size_t len)
{
    if (*n == store->argv_cap) {
        store->argv_cap = store->argv_cap == 0 ? 64 : store->argv_cap * 2;
        store->argv = plex_reallocarray(store->argv, store->argv_cap,
                                        sizeof *store->argv);
        store->lengths = plex_reallocarray(store->lengths, store->argv_cap,
                                           sizeof *store->lengths);
    }
    store->argv[*n] = data;
    store->lengths[(*n)++] = len;
}

static void
argument_text(struct redis_store *store, size_t *n, const char *text)
{
    argument(store, n, text, strlen(text));
}

static enum plex_status
arguments(struct redis_store *store, const struct tspace_change *changes,
          size_t n, size_t *argc, struct plex_err *err)
{
    size_t *ends = plex_calloc(n + 1, sizeof *ends), removed = 0;
    enum plex_status status = PLEX_OK;

    store->fields.len = 0;
    for (size_t i = 0; status == PLEX_OK && i < n; i++) {
        status = field_put(store, &changes[i], err);
        ends[i + 1] = store->fields.len;
        removed += changes[i].remove;
    }
    (void)snprintf(store->removed_text, sizeof store->removed_text, "%zu",
                   removed);
    *argc = 0;
    argument_text(store, argc, "EVALSHA");
    argument_text(store, argc, store->sha);
    argument_text(store, argc, "2");
    argument_text(store, argc, store->epoch_key);
    argument_text(store, argc, store->records_key);
    argument_text(store, argc, store->epoch_text);
    argument_text(store, argc, store->removed_text);
    for (size_t i = 0; status == PLEX_OK && i < n; i++)
        if (changes[i].remove)
            argument(store, argc, store->fields.data + ends[i],
                     ends[i + 1] - ends[i]);
    for (size_t i = 0; status == PLEX_OK && i < n; i++)
        if (!changes[i].remove) {
            argument(store, argc, store->fields.data + ends[i],
                     ends[i + 1] - ends[i]);
            argument(store, argc, changes[i].body.data, changes[i].body.len);
        }
    free(ends);
    return status;
}

static enum plex_status
fenced(const struct redis_store *store, struct plex_err *err)
{
    return plex_err_set(err, PLEX_FENCED,
                        "another service has taken over with an epoch above "
                        "%" PRIu64,
                        store->epoch);
}

static enum plex_status
lost(const struct redis_store *store, struct plex_err *err)
{
    (void)tspace_redis_lost(store, err);
    err->status = PLEX_UNKNOWN;
    return PLEX_UNKNOWN;
}

/* Only into hiredis' buffer; then as much as the socket takes at once. */
static enum plex_status
execute(struct redis_store *store, size_t argc, struct plex_err *err)
{
    int done = 0;

    if (redisAppendCommandArgv(store->redis, (int)argc, store->argv,
                               store->lengths) != REDIS_OK)
        return lost(store, err);
    while (done == 0)
        if (redisBufferWrite(store->redis, &done) != REDIS_OK)
            return lost(store, err);
    return PLEX_OK;
}

static enum plex_status
redis_commit(struct tspace_store *base, const struct tspace_change *changes,
             size_t n, struct plex_err *err)
{
    struct redis_store *store = (struct redis_store *)base;
    size_t argc;

    if (n > REDIS_CHANGES_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "one transaction changes %zu records, at most %d "
                            "are allowed",
                            n, REDIS_CHANGES_MAX);
    if (arguments(store, changes, n, &argc, err) != PLEX_OK)
        return err->status;
    return execute(store, argc, err);
}

/* The script again, which then looks at the epoch and changes nothing. */
static enum plex_status
redis_verify(struct tspace_store *base, struct plex_err *err)
{
    struct redis_store *store = (struct redis_store *)base;
    size_t argc;

    if (arguments(store, NULL, 0, &argc, err) != PLEX_OK)
        return err->status;
    return execute(store, argc, err);
}

static enum plex_status
redis_finish(struct tspace_store *base, struct plex_err *err)
{
    struct redis_store *store = (struct redis_store *)base;
    enum plex_status status = PLEX_OK;
    void *reply = NULL;
    redisReply *r;

    if (redisGetReply(store->redis, &reply) != REDIS_OK || reply == NULL)
        return lost(store, err);
    r = reply;
    if (r->type != REDIS_REPLY_INTEGER)
        status = plex_err_set(
            err, PLEX_UNAVAILABLE, "Redis: %.200s",
            r->type == REDIS_REPLY_ERROR ? r->str : "unexpected reply");
    else if (r->integer != 1)
        status = fenced(store, err);
    freeReplyObject(r);
    return status;
}

const struct tspace_store_ops tspace_store_redis = {
    .scheme = "redis",
    .check = redis_check,
    .open = redis_open,
    .close = redis_close,
    .verify = redis_verify,
    .shared = true,
    .commit = redis_commit,
    .finish = redis_finish,
    .load = tspace_redis_load,
};
