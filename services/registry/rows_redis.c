/*
 * Redis: an area is one hash, "plexspaces:AREA:rows", whose fields are
 * "kind/tenant/namespace/name". A commit is one script, so it is atomic; how
 * durable, the server's appendfsync says.
 */
#include "services/registry/rows_backend.h"

#include "common/dsn.h"
#include "common/mem.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_S = 2, COMMAND_S = 5, SCAN = 500 };

static const char commit_script[] =
    "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end "
    "for i = 2, #ARGV, 3 do "
    "if ARGV[i] == 'p' then redis.call('hset', KEYS[2], ARGV[i+1], ARGV[i+2]) "
    "else redis.call('hdel', KEYS[2], ARGV[i+1]) end end return 1";

struct redis_rows {
    struct reg_rows base;
    redisContext *redis; /* NULL: not connected */
    char host[256], password[128];
    int port, db;
    char area[REG_ROWS_AREA_MAX + 1];
    char owner_key[48], rows_key[48];
    char epoch[24];
    /* The open transaction: arguments of the script, owned. */
    char **args;
    size_t *lens;
    size_t n, cap;
};

/* -- connecting ------------------------------------------------------------ */

static enum plex_status
dsn_invalid(struct plex_err *err)
{
    return plex_err_set(err, PLEX_INVALID,
                        "a redis DSN is redis://[:PASSWORD@]HOST:PORT[/DB]");
}

static enum plex_status
dsn_parse(struct redis_rows *rows, const char *dsn, struct plex_err *err)
{
    const char *at = plex_dsn_rest(dsn, "redis");
    const char *sign, *colon;
    char *end;
    long number;

    if (strncmp(at, "//", 2) != 0)
        return dsn_invalid(err);
    at += 2;
    sign = strchr(at, '@');
    if (sign != NULL) {
        colon = memchr(at, ':', (size_t)(sign - at));
        if (colon == NULL || sign - colon > (long)sizeof rows->password)
            return dsn_invalid(err);
        memcpy(rows->password, colon + 1, (size_t)(sign - colon - 1));
        at = sign + 1;
    }
    colon = strrchr(at, ':');
    if (colon == NULL || colon == at || colon - at >= (long)sizeof rows->host)
        return dsn_invalid(err);
    memcpy(rows->host, at, (size_t)(colon - at));
    number = strtol(colon + 1, &end, 10);
    if (number < 1 || number > 65535 || (*end != '\0' && *end != '/'))
        return dsn_invalid(err);
    rows->port = (int)number;
    number = *end == '/' && end[1] != '\0' ? strtol(end + 1, &end, 10) : 0;
    if (number < 0 || number > 10000 || (*end != '\0' && *end != '/'))
        return dsn_invalid(err);
    rows->db = (int)number;
    return PLEX_OK;
}

static void
disconnect(struct redis_rows *rows)
{
    if (rows->redis != NULL)
        redisFree(rows->redis);
    rows->redis = NULL;
}

/* NULL and `err` when there is none, or an error for an answer. */
static redisReply *
answer_check(struct redis_rows *rows, void *answer, struct plex_err *err)
{
    redisReply *reply = answer;

    if (reply != NULL && reply->type != REDIS_REPLY_ERROR)
        return reply;
    if (reply != NULL)
        (void)plex_err_set(
            err,
            strncmp(reply->str, "OOM", 3) == 0 ? PLEX_LIMIT : PLEX_UNAVAILABLE,
            "Redis: %.200s", reply->str);
    else
        (void)plex_err_set(err, PLEX_UNAVAILABLE, "Redis at %.100s:%d: %.100s",
                           rows->host, rows->port, rows->redis->errstr);
    if (reply != NULL)
        freeReplyObject(reply);
    disconnect(rows);
    return NULL;
}

static enum plex_status
simple(struct redis_rows *rows, void *answer, struct plex_err *err)
{
    redisReply *reply = answer_check(rows, answer, err);

    if (reply == NULL)
        return err->status;
    freeReplyObject(reply);
    return PLEX_OK;
}

static enum plex_status
ready(struct redis_rows *rows, struct plex_err *err)
{
    const struct timeval patience = {.tv_sec = CONNECT_S};
    const struct timeval limit = {.tv_sec = COMMAND_S};

    if (rows->redis != NULL && rows->redis->err == 0)
        return PLEX_OK;
    disconnect(rows);
    rows->redis = redisConnectWithTimeout(rows->host, rows->port, patience);
    if (rows->redis == NULL || rows->redis->err != 0) {
        (void)plex_err_set(err, PLEX_UNAVAILABLE,
                           "could not connect to Redis at %.100s:%d: %.80s",
                           rows->host, rows->port,
                           rows->redis == NULL ? "no memory"
                                               : rows->redis->errstr);
        disconnect(rows);
        return err->status;
    }
    (void)redisSetTimeout(rows->redis, limit);
    if (rows->password[0] != '\0' &&
        simple(rows, redisCommand(rows->redis, "AUTH %s", rows->password),
               err) != PLEX_OK)
        return err->status;
    if (rows->db == 0)
        return PLEX_OK;
    return simple(rows, redisCommand(rows->redis, "SELECT %d", rows->db), err);
}

static void
redis_rollback(struct reg_rows *base)
{
    struct redis_rows *rows = (struct redis_rows *)base;

    for (size_t i = 0; i < rows->n; i++)
        free(rows->args[i]);
    rows->n = 0;
}

static void
redis_close(struct reg_rows *base)
{
    struct redis_rows *rows = (struct redis_rows *)base;

    redis_rollback(base);
    disconnect(rows);
    free(rows->args);
    free(rows->lens);
    free(rows);
}

static enum plex_status
area_take(struct redis_rows *rows, struct plex_err *err)
{
    redisReply *reply;

    if (ready(rows, err) != PLEX_OK)
        return err->status;
    reply = answer_check(
        rows, redisCommand(rows->redis, "INCR %s", rows->owner_key), err);
    if (reply == NULL)
        return err->status;
    (void)snprintf(rows->epoch, sizeof rows->epoch, "%lld", reply->integer);
    freeReplyObject(reply);
    return PLEX_OK;
}

static enum plex_status
redis_open(struct reg_rows **out, const char *dsn, const char *area,
           struct plex_err *err)
{
    struct redis_rows *rows = plex_calloc(1, sizeof *rows);

    rows->base.ops = &reg_rows_redis;
    (void)snprintf(rows->area, sizeof rows->area, "%s", area);
    (void)snprintf(rows->owner_key, sizeof rows->owner_key,
                   "plexspaces:%s:owner", area);
    (void)snprintf(rows->rows_key, sizeof rows->rows_key, "plexspaces:%s:rows",
                   area);
    if (dsn_parse(rows, dsn, err) != PLEX_OK ||
        area_take(rows, err) != PLEX_OK) {
        redis_close(&rows->base);
        return err->status;
    }
    *out = &rows->base;
    return PLEX_OK;
}

/* -- rows ------------------------------------------------------------------ */

static enum plex_status
load_field(struct redis_rows *rows, redisReply *field, const redisReply *body,
           reg_row_fn each, void *arg, struct plex_err *err)
{
    struct reg_row row = {.body = {(const uint8_t *)body->str, body->len}};
    char *at = field->str;
    char *parts[4];

    for (int i = 0; i < 4; i++) {
        parts[i] = at;
        if (i == 3)
            break;
        at = strchr(at, '/');
        if (at == NULL)
            return plex_err_set(err, PLEX_CORRUPT,
                                "%s has a field that is no row's: \"%.64s\"",
                                rows->rows_key, field->str);
        *at++ = '\0';
    }
    row.kind = (enum reg_row_kind)strtoul(parts[0], NULL, 10);
    row.tenant = parts[1];
    row.ns = parts[2];
    row.name = parts[3];
    return each(arg, &row, err);
}

static enum plex_status
load_page(struct redis_rows *rows, const redisReply *page, reg_row_fn each,
          void *arg, struct plex_err *err)
{
    if (page->type != REDIS_REPLY_ARRAY || page->elements % 2 != 0)
        return plex_err_set(err, PLEX_CORRUPT, "%s is no hash", rows->rows_key);
    for (size_t i = 0; i < page->elements; i += 2)
        if (load_field(rows, page->element[i], page->element[i + 1], each, arg,
                       err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

/* HSCAN may give a field twice; the loader takes the same again. */
static enum plex_status
redis_load(struct reg_rows *base, reg_row_fn each, void *arg,
           struct plex_err *err)
{
    struct redis_rows *rows = (struct redis_rows *)base;
    enum plex_status status = PLEX_OK;
    char cursor[24] = "0";

    do {
        redisReply *reply;

        if (ready(rows, err) != PLEX_OK)
            return err->status;
        reply = answer_check(rows,
                             redisCommand(rows->redis, "HSCAN %s %s COUNT %d",
                                          rows->rows_key, cursor, SCAN),
                             err);
        if (reply == NULL)
            return err->status;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
            status = plex_err_set(err, PLEX_CORRUPT,
                                  "HSCAN's answer has another form");
        else
            status = load_page(rows, reply->element[1], each, arg, err);
        if (status == PLEX_OK)
            (void)snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (status == PLEX_OK && strcmp(cursor, "0") != 0);
    return status;
}

static void
arg_add(struct redis_rows *rows, const void *data, size_t len)
{
    char *copy = plex_calloc(1, len + 1);

    if (rows->n == rows->cap) {
        rows->cap = rows->cap == 0 ? 64 : rows->cap * 2;
        rows->args =
            plex_reallocarray(rows->args, rows->cap, sizeof *rows->args);
        rows->lens =
            plex_reallocarray(rows->lens, rows->cap, sizeof *rows->lens);
    }
    if (len > 0)
        memcpy(copy, data, len);
    rows->args[rows->n] = copy;
    rows->lens[rows->n++] = len;
}

static enum plex_status
redis_begin(struct reg_rows *base, struct plex_err *err)
{
    struct redis_rows *rows = (struct redis_rows *)base;

    if (ready(rows, err) != PLEX_OK)
        return err->status;
    arg_add(rows, "EVAL", 4);
    arg_add(rows, commit_script, sizeof commit_script - 1);
    arg_add(rows, "2", 1);
    arg_add(rows, rows->owner_key, strlen(rows->owner_key));
    arg_add(rows, rows->rows_key, strlen(rows->rows_key));
    arg_add(rows, rows->epoch, strlen(rows->epoch));
    return PLEX_OK;
}

static enum plex_status
redis_apply(struct reg_rows *base, const struct reg_row *row,
            struct plex_err *err)
{
    struct redis_rows *rows = (struct redis_rows *)base;
    char field[16 + 2 * 128 + REG_ROW_NAME_MAX];
    const int len = snprintf(field, sizeof field, "%d/%s/%s/%s", row->kind,
                             row->tenant, row->ns, row->name);

    if (len < 0 || len >= (int)sizeof field)
        return plex_err_set(err, PLEX_TOO_LARGE, "a row's name is too long");
    arg_add(rows, row->gone ? "d" : "p", 1);
    arg_add(rows, field, (size_t)len);
    arg_add(rows, row->body.data, row->gone ? 0 : row->body.len);
    return PLEX_OK;
}

static enum plex_status
redis_commit(struct reg_rows *base, struct plex_err *err)
{
    struct redis_rows *rows = (struct redis_rows *)base;
    redisReply *reply;
    bool owner;

    if (ready(rows, err) != PLEX_OK) {
        redis_rollback(base);
        return err->status;
    }
    reply =
        answer_check(rows,
                     redisCommandArgv(rows->redis, (int)rows->n,
                                      (const char **)rows->args, rows->lens),
                     err);
    redis_rollback(base);
    if (reply == NULL)
        return err->status;
    owner = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    freeReplyObject(reply);
    return owner ? PLEX_OK : reg_rows_fenced(rows->area, err);
}

const struct reg_rows_ops reg_rows_redis = {
    .scheme = "redis",
    .open = redis_open,
    .close = redis_close,
    .load = redis_load,
    .begin = redis_begin,
    .apply = redis_apply,
    .commit = redis_commit,
    .rollback = redis_rollback,
};
