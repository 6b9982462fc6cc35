/*
 * A pool: {"name","type","min",...,"next","target","members","waiters",
 * "paused","draining","changed_ms","checked_ms","breaker", counters, spreads}.
 * A member is {"n","checkout","until","since"}, while it is idle {"n","since"};
 * the one that has been idle for longest comes first. A waiter is
 * {"id","seen","since"}. Making, scaling, time; builtin_pool_lend.c lends.
 */
#include "services/worker/builtin_pool_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- making ---------------------------------------------------------------- */

static bool
take(const json_t *request, const char *field, int64_t without, int64_t least,
     int64_t most, json_t *pool, struct plex_err *err)
{
    const json_t *given = json_object_get(request, field);
    const int64_t value = given == NULL || work_json_number(request, field) == 0
                              ? without
                              : work_json_number(request, field);

    if ((given != NULL && !json_is_integer(given)) || value < least ||
        value > most) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "%s must be %" PRId64 " to %" PRId64, field, least,
                           most);
        return false;
    }
    work_json_set(pool, field, value);
    return true;
}

static bool
share(const json_t *request, const char *field, double without, json_t *pool,
      struct plex_err *err)
{
    const json_t *given = json_object_get(request, field);
    const double value = json_is_number(given) && json_number_value(given) > 0
                             ? json_number_value(given)
                             : without;

    if ((given != NULL && !json_is_number(given)) || value > 1) {
        (void)plex_err_set(err, PLEX_INVALID, "%s must be 0 to 1", field);
        return false;
    }
    json_object_set_new(pool, field, json_real(value));
    return true;
}

static bool
strategy_take(const json_t *request, json_t *pool, struct plex_err *err)
{
    const char *given = work_json_text(request, "strategy");

    if (given[0] == '\0')
        given = "incremental";
    if (strcmp(given, "incremental") != 0 && strcmp(given, "percentage") != 0 &&
        strcmp(given, "exponential") != 0) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "strategy is \"%.40s\"; incremental, percentage and "
                           "exponential are known",
                           given);
        return false;
    }
    json_object_set_new(pool, "strategy", json_string(given));
    return true;
}

static void
grow_to(json_t *pool, int64_t workers, uint64_t now_ms)
{
    while ((int64_t)json_array_size(pool_members(pool)) < workers) {
        work_json_count(pool, "next");
        json_array_append_new(
            pool_members(pool),
            json_pack("{s:I, s:I}", "n",
                      (json_int_t)work_json_number(pool, "next"), "since",
                      (json_int_t)now_ms));
    }
}

json_t *
work_pool_create(const char *name, const json_t *request, uint64_t now_ms,
                 struct plex_err *err)
{
    const char *type = work_json_text(request, "actor_type");
    json_t *pool = json_pack("{s:s, s:s, s:[], s:[]}", "name", name, "type",
                             type, "members", "waiters");
    const bool good =
        take(request, "min", 1, 1, BUILTIN_POOL_MEMBERS_MAX, pool, err) &&
        take(request, "max",
             work_json_number(pool, "min") > 10 ? work_json_number(pool, "min")
                                                : 10,
             work_json_number(pool, "min"), BUILTIN_POOL_MEMBERS_MAX, pool,
             err) &&
        take(request, "initial", work_json_number(pool, "min"),
             work_json_number(pool, "min"), work_json_number(pool, "max"), pool,
             err) &&
        share(request, "scale_up", 0.8, pool, err) &&
        share(request, "scale_down", 0.3, pool, err) &&
        strategy_take(request, pool, err) &&
        take(request, "step", 1, 1, 10, pool, err) &&
        take(request, "percent", 50, 1, 100, pool, err) &&
        take(request, "check_ms", 10000, 100, 3600000, pool, err) &&
        take(request, "cooldown_ms", 0, 0, 3600000, pool, err) &&
        take(request, "lease_ms", 60000, 100, 86400000, pool, err) &&
        take(request, "idle_ms", 0, 0, 86400000, pool, err) &&
        take(request, "health_ms", 30000, 100, 86400000, pool, err) &&
        take(request, "failure_threshold", 0, 0, 1000, pool, err) &&
        take(request, "open_ms", 30000, 100, 3600000, pool, err);

    if (!good) {
        json_decref(pool);
        return NULL;
    }
    if (json_real_value(json_object_get(pool, "scale_down")) >=
        json_real_value(json_object_get(pool, "scale_up"))) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "scale_down must be less than scale_up");
        json_decref(pool);
        return NULL;
    }
    if (json_object_get(request, "health_message") != NULL)
        json_object_set(pool, "health_message",
                        json_object_get(request, "health_message"));
    work_json_set(pool, "created_ms", (int64_t)now_ms);
    work_json_set(pool, "checked_ms", (int64_t)now_ms);
    work_json_set(pool, "target", work_json_number(pool, "initial"));
    grow_to(pool, work_json_number(pool, "initial"), now_ms);
    return pool;
}

/* -- scaling --------------------------------------------------------------- */

void
work_pool_settle(json_t *pool, uint64_t now_ms)
{
    const int64_t target =
        pool_is(pool, "draining") ? 0 : work_json_number(pool, "target");
    json_t *members = pool_members(pool);

    for (size_t i = json_array_size(members);
         i-- > 0 && (int64_t)json_array_size(members) > target;)
        if (!pool_is_out(json_array_get(members, i)))
            json_array_remove(members, i);
    if (!pool_is(pool, "draining"))
        grow_to(pool, target, now_ms);
}

static int64_t
change_of(const json_t *pool)
{
    const int64_t target = work_json_number(pool, "target");
    const char *strategy = work_json_text(pool, "strategy");

    if (strcmp(strategy, "exponential") == 0)
        return target;
    if (strcmp(strategy, "percentage") == 0)
        return (target * work_json_number(pool, "percent") + 99) / 100;
    return work_json_number(pool, "step");
}

static void
target_set(json_t *pool, int64_t target, uint64_t now_ms)
{
    const int64_t was = work_json_number(pool, "target");

    if (target < work_json_number(pool, "min"))
        target = work_json_number(pool, "min");
    if (target > work_json_number(pool, "max"))
        target = work_json_number(pool, "max");
    if (target == was)
        return;
    work_json_count(pool, target > was ? "grown" : "shrunk");
    work_json_set(pool, "target", target);
    work_json_set(pool, "changed_ms", (int64_t)now_ms);
    work_pool_settle(pool, now_ms);
}

void
work_pool_adapt(json_t *pool, uint64_t now_ms)
{
    const int64_t target = work_json_number(pool, "target");
    const double wanted = (double)(pool_out(pool) + (int64_t)json_array_size(
                                                        pool_waiters(pool))) /
                          (double)target;
    const int64_t change = change_of(pool);

    if (pool_is(pool, "paused") || pool_is(pool, "draining") ||
        (int64_t)now_ms < work_json_number(pool, "changed_ms") +
                              work_json_number(pool, "cooldown_ms"))
        return;
    if (wanted >= json_real_value(json_object_get(pool, "scale_up")))
        target_set(pool, target + change, now_ms);
    else if (wanted < json_real_value(json_object_get(pool, "scale_down")))
        target_set(pool,
                   strcmp(work_json_text(pool, "strategy"), "exponential") == 0
                       ? target / 2
                       : target - change,
                   now_ms);
}

/* -- time ------------------------------------------------------------------ */

/* Until when an idle member is kept; INT64_MAX: for as long as scaling lets. */
static int64_t
idle_until(const json_t *pool, const json_t *member)
{
    const int64_t idle_ms = work_json_number(pool, "idle_ms");

    return pool_is_out(member) || idle_ms == 0 || pool_is(pool, "paused") ||
                   work_json_number(pool, "target") <=
                       work_json_number(pool, "min")
               ? INT64_MAX
               : work_json_number(member, "since") + idle_ms;
}

/* Members that nobody has wanted for idle_ms go, down to min: those that have
 * been idle for longest come first. */
static void
idle_leave(json_t *pool, uint64_t now_ms)
{
    json_t *members = pool_members(pool);

    for (size_t i = 0; i < json_array_size(members);) {
        if (idle_until(pool, json_array_get(members, i)) > (int64_t)now_ms) {
            i++;
            continue;
        }
        json_array_remove(members, i);
        work_json_set(pool, "target", work_json_number(pool, "target") - 1);
        work_json_count(pool, "shrunk");
    }
}

void
work_pool_look(json_t *pool, uint64_t now_ms)
{
    json_t *members = pool_members(pool), *waiters = pool_waiters(pool);

    for (size_t i = json_array_size(members); i-- > 0;) {
        json_t *member = json_array_get(members, i);

        /* Nobody knows what its borrower has left it in. */
        if (pool_is_out(member) &&
            work_json_number(member, "until") <= (int64_t)now_ms) {
            work_pool_loan_end(pool, member, false, now_ms);
            json_array_remove(members, i);
            work_json_count(pool, "expired");
        }
    }
    for (size_t i = json_array_size(waiters); i-- > 0;)
        if (work_json_number(json_array_get(waiters, i), "seen") +
                BUILTIN_POOL_WAITER_MS <=
            (int64_t)now_ms)
            json_array_remove(waiters, i);
    idle_leave(pool, now_ms);
    work_pool_settle(pool, now_ms);
    if ((int64_t)now_ms >= work_json_number(pool, "checked_ms") +
                               work_json_number(pool, "check_ms")) {
        work_json_set(pool, "checked_ms", (int64_t)now_ms);
        work_pool_adapt(pool, now_ms);
    }
}

uint64_t
work_pool_due(const json_t *pool, uint64_t now_ms)
{
    int64_t due = work_json_number(pool, "checked_ms") +
                  work_json_number(pool, "check_ms");
    json_t *member;
    size_t i;

    json_array_foreach(pool_members(pool), i, member)
    {
        const int64_t until = pool_is_out(member)
                                  ? work_json_number(member, "until")
                                  : idle_until(pool, member);

        if (until < due)
            due = until;
    }
    if (work_pool_probe_due(pool) < due)
        due = work_pool_probe_due(pool);
    return due <= (int64_t)now_ms ? now_ms + 1 : (uint64_t)due;
}

/* -- by hand --------------------------------------------------------------- */

enum plex_status
work_pool_scale(json_t *pool, int64_t workers, int64_t delta, uint64_t now_ms,
                struct plex_err *err)
{
    if ((workers == 0) == (delta == 0) || workers < 0 ||
        workers > BUILTIN_POOL_MEMBERS_MAX ||
        delta > BUILTIN_POOL_MEMBERS_MAX || delta < -BUILTIN_POOL_MEMBERS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "give workers, 1 to %d, or delta, up to %d",
                            BUILTIN_POOL_MEMBERS_MAX, BUILTIN_POOL_MEMBERS_MAX);
    if (pool_is(pool, "draining"))
        return plex_err_set(err, PLEX_CONFLICT, "the pool drains");
    target_set(
        pool, workers != 0 ? workers : work_json_number(pool, "target") + delta,
        now_ms);
    return PLEX_OK;
}

void
work_pool_pause(json_t *pool, bool paused)
{
    json_object_set_new(pool, "paused", json_boolean(paused));
}

void
work_pool_drain(json_t *pool)
{
    json_object_set_new(pool, "draining", json_true());
    json_array_clear(pool_waiters(pool));
    work_pool_settle(pool, 0); /* none comes */
}

json_t *
work_pool_stats(const json_t *pool, uint64_t now_ms)
{
    static const char *const counters[] = {"min",     "max",      "checkouts",
                                           "expired", "replaced", "unwell",
                                           "refused", "grown",    "shrunk"};
    const int64_t all = (int64_t)json_array_size(pool_members(pool));
    const int64_t out = pool_out(pool);
    json_t *breaker,
        *stats = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}",
                           "pool_name", work_json_text(pool, "name"),
                           "actor_type", work_json_text(pool, "type"), "state",
                           !pool_is(pool, "draining") ? "active"
                           : out > 0                  ? "draining"
                                                      : "drained",
                           "paused", pool_is(pool, "paused"), "workers",
                           (json_int_t)all, "idle", (json_int_t)(all - out),
                           "out", (json_int_t)out, "waiting",
                           (json_int_t)json_array_size(pool_waiters(pool)));

    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        work_json_set(stats, counters[i], work_json_number(pool, counters[i]));
    json_object_set_new(stats, "wait", work_spread_show(pool, "wait"));
    json_object_set_new(stats, "hold", work_spread_show(pool, "hold"));
    if ((breaker = work_pool_breaker_show(pool, now_ms)) != NULL)
        json_object_set_new(stats, "breaker", breaker);
    return stats;
}

json_t *
work_pool_row(const json_t *pool)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:I}", "pool_name",
                     work_json_text(pool, "name"), "actor_type",
                     work_json_text(pool, "type"), "min",
                     (json_int_t)work_json_number(pool, "min"), "max",
                     (json_int_t)work_json_number(pool, "max"), "strategy",
                     work_json_text(pool, "strategy"), "created_ms",
                     (json_int_t)work_json_number(pool, "created_ms"));
}
