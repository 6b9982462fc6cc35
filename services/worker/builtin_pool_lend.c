/* Lending the members of a pool: to whom, until when, and when not. */
#include "services/worker/builtin_pool_private.h"

#include "runtime/facets/breaker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *
find_out(const json_t *pool, const char *id, size_t *at)
{
    json_t *member;
    size_t i;

    json_array_foreach(pool_members(pool), i, member)
    {
        *at = i;
        if (strcmp(work_json_text(member, "checkout"), id) == 0 &&
            id[0] != '\0')
            return member;
    }
    return NULL;
}

/* -- the breaker ----------------------------------------------------------- */

/* False: the pool has none. */
static bool
breaker_load(const json_t *pool, struct rt_breaker *breaker,
             struct rt_breaker_config *config)
{
    const json_t *is = json_object_get(pool, "breaker");

    *breaker = (struct rt_breaker){
        .state = (enum rt_breaker_state)work_json_number(is, "state"),
        .opened_ns = (uint64_t)work_json_number(is, "opened_ms") * 1000000,
        .in_row = (uint64_t)work_json_number(is, "failures"),
        .under_way = (uint64_t)work_json_number(is, "under_way"),
        .good = (uint64_t)work_json_number(is, "good"),
        .era = (uint64_t)work_json_number(is, "era"),
    };
    *config = (struct rt_breaker_config){
        .mode = RT_BREAKER_CONSECUTIVE,
        .failures = (uint64_t)work_json_number(pool, "failure_threshold"),
        .window_calls = 1,
        .open_ms = (uint64_t)work_json_number(pool, "open_ms"),
        .half_open_calls = 1,
        .successes = 1,
    };
    return config->failures > 0;
}

static void
breaker_store(json_t *pool, const struct rt_breaker *breaker)
{
    json_object_set_new(pool, "breaker",
                        json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "state",
                                  (int)breaker->state, "opened_ms",
                                  (json_int_t)(breaker->opened_ns / 1000000),
                                  "failures", (json_int_t)breaker->in_row,
                                  "under_way", (json_int_t)breaker->under_way,
                                  "good", (json_int_t)breaker->good, "era",
                                  (json_int_t)breaker->era));
}

/* May `member` be lent? */
static bool
breaker_lets(json_t *pool, json_t *member, uint64_t now_ms,
             struct plex_err *err)
{
    struct rt_breaker breaker;
    struct rt_breaker_config config;
    uint64_t ticket;
    bool may;

    if (!breaker_load(pool, &breaker, &config))
        return true;
    may = rt_breaker_begin(&breaker, &config, now_ms * 1000000, &ticket);
    breaker_store(pool, &breaker);
    if (may)
        work_json_set(member, "ticket", (int64_t)ticket);
    else
        (void)plex_err_set(
            err, PLEX_FENCED,
            "the circuit breaker of the pool is open for another %" PRIu64
            " ms: the last members came back unwell or not at all",
            rt_breaker_left_ms(&breaker, &config, now_ms * 1000000));
    return may;
}

void
work_pool_loan_end(json_t *pool, const json_t *member, bool well,
                   uint64_t now_ms)
{
    struct rt_breaker breaker;
    struct rt_breaker_config config;

    work_spread_add(pool, "hold",
                    (int64_t)now_ms - work_json_number(member, "since"));
    if (!breaker_load(pool, &breaker, &config))
        return;
    rt_breaker_done(&breaker, &config, now_ms * 1000000,
                    (uint64_t)work_json_number(member, "ticket"), !well);
    breaker_store(pool, &breaker);
}

json_t *
work_pool_breaker_show(const json_t *pool, uint64_t now_ms)
{
    struct rt_breaker breaker;
    struct rt_breaker_config config;
    json_int_t left;

    if (!breaker_load(pool, &breaker, &config))
        return NULL;
    left = (json_int_t)rt_breaker_left_ms(&breaker, &config, now_ms * 1000000);
    return json_pack("{s:s, s:I, s:I}", "state", rt_breaker_name(breaker.state),
                     "failures", (json_int_t)breaker.in_row, "until_ms",
                     left == 0 ? 0 : (json_int_t)now_ms + left);
}

/* -- lending --------------------------------------------------------------- */

void
work_pool_member_key(const json_t *pool, uint64_t number, char out[256])
{
    (void)snprintf(out, 256, "%.200s~%" PRIu64, work_json_text(pool, "name"),
                   number);
}

static json_t *
checkout_of(const json_t *pool, const json_t *member)
{
    char key[256];

    work_pool_member_key(pool, (uint64_t)work_json_number(member, "n"), key);
    return json_pack("{s:s, s:s, s:s, s:I}", "checkout_id",
                     work_json_text(member, "checkout"), "actor_type",
                     work_json_text(pool, "type"), "actor_key", key, "until_ms",
                     (json_int_t)work_json_number(member, "until"));
}

/* How many wait before `id`; all, if it does not. */
static size_t
before(const json_t *pool, const char *id)
{
    json_t *waiter;
    size_t i;

    json_array_foreach(pool_waiters(pool), i, waiter)
    {
        if (strcmp(work_json_text(waiter, "id"), id) == 0)
            return i;
    }
    return json_array_size(pool_waiters(pool));
}

static enum plex_status
queue(json_t *pool, const char *id, bool waits, uint64_t now_ms,
      struct plex_err *err)
{
    json_t *waiters = pool_waiters(pool);
    const size_t at = before(pool, id);

    if (waits && at == json_array_size(waiters)) {
        if (at == BUILTIN_POOL_WAITERS_MAX)
            return plex_err_set(err, PLEX_LIMIT,
                                "%zu checkouts of the pool wait already", at);
        json_array_append_new(waiters, json_pack("{s:s, s:I}", "id", id,
                                                 "since", (json_int_t)now_ms));
    }
    if (waits)
        work_json_set(json_array_get(waiters, at), "seen", (int64_t)now_ms);
    return plex_err_set(err, PLEX_UNAVAILABLE,
                        "all %zu members of the pool are lent, and %zu "
                        "checkouts wait",
                        json_array_size(pool_members(pool)),
                        json_array_size(waiters));
}

/* The one that may be lent to somebody before whom so many wait. */
static json_t *
idle_at(const json_t *pool, size_t skip)
{
    json_t *member;
    size_t i;

    json_array_foreach(pool_members(pool), i, member)
    {
        if (!pool_is_out(member) && skip-- == 0)
            return member;
    }
    return NULL;
}

static void
waited(json_t *pool, const char *id, uint64_t now_ms)
{
    const json_t *waiter = json_array_get(pool_waiters(pool), before(pool, id));

    work_spread_add(pool, "wait",
                    waiter == NULL
                        ? 0
                        : (int64_t)now_ms - work_json_number(waiter, "since"));
}

enum plex_status
work_pool_checkout(json_t *pool, const char *id, bool waits, uint64_t now_ms,
                   json_t **out, struct plex_err *err)
{
    json_t *member;
    size_t at;

    if ((member = find_out(pool, id, &at)) != NULL) {
        *out = checkout_of(pool, member);
        return PLEX_OK;
    }
    if (pool_is(pool, "draining"))
        return plex_err_set(err, PLEX_CONFLICT, "the pool drains");
    if (idle_at(pool, before(pool, id)) == NULL)
        work_pool_adapt(pool, now_ms); /* it may be allowed to grow at once */
    member = idle_at(pool, before(pool, id));
    if (member == NULL)
        return queue(pool, id, waits, now_ms, err);
    if (!breaker_lets(pool, member, now_ms, err)) {
        work_json_count(pool, "refused");
        return err->status;
    }
    waited(pool, id, now_ms);
    work_pool_forget(pool, id);
    json_object_set_new(member, "checkout", json_string(id));
    work_json_set(member, "since", (int64_t)now_ms);
    work_json_set(member, "until",
                  (int64_t)now_ms + work_json_number(pool, "lease_ms"));
    work_json_count(pool, "checkouts");
    *out = checkout_of(pool, member);
    return PLEX_OK;
}

void
work_pool_forget(json_t *pool, const char *id)
{
    const size_t at = before(pool, id);

    if (at < json_array_size(pool_waiters(pool)))
        json_array_remove(pool_waiters(pool), at);
}

static enum plex_status
not_lent(const char *id, struct plex_err *err)
{
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "checkout \"%.80s\" has nothing, or not any more", id);
}

enum plex_status
work_pool_checkin(json_t *pool, const char *id, bool healthy, uint64_t now_ms,
                  struct plex_err *err)
{
    size_t at;
    json_t *member = find_out(pool, id, &at);

    if (member == NULL)
        return not_lent(id, err);
    work_pool_loan_end(pool, member, healthy, now_ms);
    if (healthy) { /* to the end of the queue of the idle */
        json_array_append_new(
            pool_members(pool),
            json_pack("{s:I, s:I}", "n",
                      (json_int_t)work_json_number(member, "n"), "since",
                      (json_int_t)now_ms));
    } else {
        work_json_count(pool, "replaced");
    }
    json_array_remove(pool_members(pool), at);
    work_pool_settle(pool, now_ms);
    return PLEX_OK;
}

enum plex_status
work_pool_renew(json_t *pool, const char *id, uint64_t now_ms, json_t **out,
                struct plex_err *err)
{
    size_t at;
    json_t *member = find_out(pool, id, &at);

    if (member == NULL)
        return not_lent(id, err);
    work_json_set(member, "until",
                  (int64_t)now_ms + work_json_number(pool, "lease_ms"));
    *out = checkout_of(pool, member);
    return PLEX_OK;
}

/* -- health ---------------------------------------------------------------- */

/* When an idle member is to be asked. */
static int64_t
probe_due(const json_t *pool, const json_t *member)
{
    const int64_t since = work_json_number(member, "since");
    const int64_t probed = work_json_number(member, "probed");

    return (probed > since ? probed : since) +
           work_json_number(pool, "health_ms");
}

size_t
work_pool_probe(json_t *pool, uint64_t now_ms,
                uint64_t out[BUILTIN_POOL_PROBES_MAX])
{
    json_t *member;
    size_t i, n = 0;

    if (json_object_get(pool, "health_message") == NULL ||
        pool_is(pool, "draining"))
        return 0;
    json_array_foreach(pool_members(pool), i, member)
    {
        if (n == BUILTIN_POOL_PROBES_MAX)
            break;
        if (pool_is_out(member) || probe_due(pool, member) > (int64_t)now_ms)
            continue;
        work_json_set(member, "probed", (int64_t)now_ms);
        out[n++] = (uint64_t)work_json_number(member, "n");
    }
    return n;
}

int64_t
work_pool_probe_due(const json_t *pool)
{
    int64_t due = INT64_MAX;
    json_t *member;
    size_t i;

    if (json_object_get(pool, "health_message") == NULL ||
        pool_is(pool, "draining"))
        return due;
    json_array_foreach(pool_members(pool), i, member)
    {
        if (!pool_is_out(member) && probe_due(pool, member) < due)
            due = probe_due(pool, member);
    }
    return due;
}

void
work_pool_probed(json_t *pool, uint64_t number, bool well, uint64_t now_ms)
{
    json_t *member;
    size_t i;

    if (well)
        return;
    json_array_foreach(pool_members(pool), i, member)
    {
        /* Lent meanwhile: its borrower says how it is. */
        if (work_json_number(member, "n") != (int64_t)number ||
            pool_is_out(member))
            continue;
        json_array_remove(pool_members(pool), i);
        work_json_count(pool, "unwell");
        work_pool_settle(pool, now_ms);
        return;
    }
}
