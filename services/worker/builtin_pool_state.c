/*
 * A pool: {"name","type","min",...,"next","target","members","waiters",
 * "paused","draining","changed_ms","checked_ms", counters}. A member is
 * {"n","checkout","until"}, without the last two while it is idle; the one that
 * has been idle for longest comes first. A waiter is {"id","seen"}.
 */
#include "services/worker/builtin_pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t
number(const json_t *json, const char *field)
{
    return json_integer_value(json_object_get(json, field));
}

static const char *
text(const json_t *json, const char *field)
{
    const char *value = json_string_value(json_object_get(json, field));

    return value == NULL ? "" : value;
}

static void
set(json_t *json, const char *field, int64_t value)
{
    json_object_set_new(json, field, json_integer(value));
}

static void
count(json_t *pool, const char *field)
{
    set(pool, field, number(pool, field) + 1);
}

static json_t *
members_of(const json_t *pool)
{
    return json_object_get(pool, "members");
}

static json_t *
waiters_of(const json_t *pool)
{
    return json_object_get(pool, "waiters");
}

static bool
is_out(const json_t *member)
{
    return json_object_get(member, "checkout") != NULL;
}

static bool
is(const json_t *pool, const char *field)
{
    return json_is_true(json_object_get(pool, field));
}

static int64_t
out_of(const json_t *pool)
{
    int64_t n = 0;
    size_t i;
    json_t *member;

    json_array_foreach(members_of(pool), i, member)
    {
        n += is_out(member);
    }
    return n;
}

static json_t *
find_out(const json_t *pool, const char *id, size_t *at)
{
    json_t *member;
    size_t i;

    json_array_foreach(members_of(pool), i, member)
    {
        *at = i;
        if (strcmp(text(member, "checkout"), id) == 0 && id[0] != '\0')
            return member;
    }
    return NULL;
}

/* -- making ---------------------------------------------------------------- */

static bool
take(const json_t *request, const char *field, int64_t without, int64_t least,
     int64_t most, json_t *pool, struct plex_err *err)
{
    const json_t *given = json_object_get(request, field);
    const int64_t value = given == NULL || number(request, field) == 0
                              ? without
                              : number(request, field);

    if ((given != NULL && !json_is_integer(given)) || value < least ||
        value > most) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "%s must be %" PRId64 " to %" PRId64, field, least,
                           most);
        return false;
    }
    set(pool, field, value);
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
    const char *given = text(request, "strategy");

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
grow_to(json_t *pool, int64_t workers)
{
    while ((int64_t)json_array_size(members_of(pool)) < workers) {
        count(pool, "next");
        json_array_append_new(
            members_of(pool),
            json_pack("{s:I}", "n", (json_int_t)number(pool, "next")));
    }
}

json_t *
work_pool_create(const char *name, const json_t *request, uint64_t now_ms,
                 struct plex_err *err)
{
    const char *type = text(request, "actor_type");
    json_t *pool = json_pack("{s:s, s:s, s:[], s:[]}", "name", name, "type",
                             type, "members", "waiters");
    const bool good =
        take(request, "min", 1, 1, BUILTIN_POOL_MEMBERS_MAX, pool, err) &&
        take(request, "max",
             number(pool, "min") > 10 ? number(pool, "min") : 10,
             number(pool, "min"), BUILTIN_POOL_MEMBERS_MAX, pool, err) &&
        take(request, "initial", number(pool, "min"), number(pool, "min"),
             number(pool, "max"), pool, err) &&
        share(request, "scale_up", 0.8, pool, err) &&
        share(request, "scale_down", 0.3, pool, err) &&
        strategy_take(request, pool, err) &&
        take(request, "step", 1, 1, 10, pool, err) &&
        take(request, "percent", 50, 1, 100, pool, err) &&
        take(request, "check_ms", 10000, 100, 3600000, pool, err) &&
        take(request, "cooldown_ms", 0, 0, 3600000, pool, err) &&
        take(request, "lease_ms", 60000, 100, 86400000, pool, err);

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
    set(pool, "checked_ms", (int64_t)now_ms);
    set(pool, "target", number(pool, "initial"));
    grow_to(pool, number(pool, "initial"));
    return pool;
}

/* -- scaling --------------------------------------------------------------- */

/* Idle ones at once, the others as they come back. */
static void
settle(json_t *pool)
{
    const int64_t target = is(pool, "draining") ? 0 : number(pool, "target");
    json_t *members = members_of(pool);

    for (size_t i = json_array_size(members);
         i-- > 0 && (int64_t)json_array_size(members) > target;)
        if (!is_out(json_array_get(members, i)))
            json_array_remove(members, i);
    if (!is(pool, "draining"))
        grow_to(pool, target);
}

static int64_t
change_of(const json_t *pool)
{
    const int64_t target = number(pool, "target");
    const char *strategy = text(pool, "strategy");

    if (strcmp(strategy, "exponential") == 0)
        return target;
    if (strcmp(strategy, "percentage") == 0)
        return (target * number(pool, "percent") + 99) / 100;
    return number(pool, "step");
}

static void
target_set(json_t *pool, int64_t target, uint64_t now_ms)
{
    const int64_t was = number(pool, "target");

    if (target < number(pool, "min"))
        target = number(pool, "min");
    if (target > number(pool, "max"))
        target = number(pool, "max");
    if (target == was)
        return;
    count(pool, target > was ? "grown" : "shrunk");
    set(pool, "target", target);
    set(pool, "changed_ms", (int64_t)now_ms);
    settle(pool);
}

static void
scale(json_t *pool, uint64_t now_ms)
{
    const int64_t target = number(pool, "target");
    const double wanted =
        (double)(out_of(pool) + (int64_t)json_array_size(waiters_of(pool))) /
        (double)target;
    const int64_t change = change_of(pool);

    if (is(pool, "paused") || is(pool, "draining") ||
        (int64_t)now_ms <
            number(pool, "changed_ms") + number(pool, "cooldown_ms"))
        return;
    if (wanted >= json_real_value(json_object_get(pool, "scale_up")))
        target_set(pool, target + change, now_ms);
    else if (wanted < json_real_value(json_object_get(pool, "scale_down")))
        target_set(pool,
                   strcmp(text(pool, "strategy"), "exponential") == 0
                       ? target / 2
                       : target - change,
                   now_ms);
}

/* -- time ------------------------------------------------------------------ */

void
work_pool_look(json_t *pool, uint64_t now_ms)
{
    json_t *members = members_of(pool), *waiters = waiters_of(pool);

    for (size_t i = json_array_size(members); i-- > 0;) {
        json_t *member = json_array_get(members, i);

        /* Nobody knows what its borrower has left it in. */
        if (is_out(member) && number(member, "until") <= (int64_t)now_ms) {
            json_array_remove(members, i);
            count(pool, "expired");
        }
    }
    for (size_t i = json_array_size(waiters); i-- > 0;)
        if (number(json_array_get(waiters, i), "seen") +
                BUILTIN_POOL_WAITER_MS <=
            (int64_t)now_ms)
            json_array_remove(waiters, i);
    settle(pool);
    if ((int64_t)now_ms >=
        number(pool, "checked_ms") + number(pool, "check_ms")) {
        set(pool, "checked_ms", (int64_t)now_ms);
        scale(pool, now_ms);
    }
}

uint64_t
work_pool_due(const json_t *pool, uint64_t now_ms)
{
    int64_t due = number(pool, "checked_ms") + number(pool, "check_ms");
    json_t *member;
    size_t i;

    json_array_foreach(members_of(pool), i, member)
    {
        if (is_out(member) && number(member, "until") < due)
            due = number(member, "until");
    }
    return due <= (int64_t)now_ms ? now_ms + 1 : (uint64_t)due;
}

/* -- lending --------------------------------------------------------------- */

static json_t *
checkout_of(const json_t *pool, const json_t *member)
{
    char key[256];

    (void)snprintf(key, sizeof key, "%.200s~%" PRId64, text(pool, "name"),
                   number(member, "n"));
    return json_pack("{s:s, s:s, s:s, s:I}", "checkout_id",
                     text(member, "checkout"), "actor_type", text(pool, "type"),
                     "actor_key", key, "until_ms",
                     (json_int_t)number(member, "until"));
}

/* How many wait before `id`; all, if it does not. */
static size_t
before(const json_t *pool, const char *id)
{
    json_t *waiter;
    size_t i;

    json_array_foreach(waiters_of(pool), i, waiter)
    {
        if (strcmp(text(waiter, "id"), id) == 0)
            return i;
    }
    return json_array_size(waiters_of(pool));
}

static enum plex_status
queue(json_t *pool, const char *id, bool waits, uint64_t now_ms,
      struct plex_err *err)
{
    json_t *waiters = waiters_of(pool);
    const size_t at = before(pool, id);

    if (waits && at == json_array_size(waiters)) {
        if (at == BUILTIN_POOL_WAITERS_MAX)
            return plex_err_set(err, PLEX_LIMIT,
                                "%zu checkouts of the pool wait already", at);
        json_array_append_new(waiters, json_pack("{s:s}", "id", id));
    }
    if (waits)
        set(json_array_get(waiters, at), "seen", (int64_t)now_ms);
    return plex_err_set(err, PLEX_UNAVAILABLE,
                        "all %zu members of the pool are lent, and %zu "
                        "checkouts wait",
                        json_array_size(members_of(pool)),
                        json_array_size(waiters));
}

/* The one that may be lent to somebody before whom so many wait. */
static json_t *
idle_at(const json_t *pool, size_t skip)
{
    json_t *member;
    size_t i;

    json_array_foreach(members_of(pool), i, member)
    {
        if (!is_out(member) && skip-- == 0)
            return member;
    }
    return NULL;
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
    if (is(pool, "draining"))
        return plex_err_set(err, PLEX_CONFLICT, "the pool drains");
    if (idle_at(pool, before(pool, id)) == NULL)
        scale(pool, now_ms); /* it may be allowed to grow at once */
    member = idle_at(pool, before(pool, id));
    if (member == NULL)
        return queue(pool, id, waits, now_ms, err);
    work_pool_forget(pool, id);
    json_object_set_new(member, "checkout", json_string(id));
    set(member, "until", (int64_t)now_ms + number(pool, "lease_ms"));
    count(pool, "checkouts");
    *out = checkout_of(pool, member);
    return PLEX_OK;
}

void
work_pool_forget(json_t *pool, const char *id)
{
    const size_t at = before(pool, id);

    if (at < json_array_size(waiters_of(pool)))
        json_array_remove(waiters_of(pool), at);
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

    (void)now_ms;
    if (member == NULL)
        return not_lent(id, err);
    if (healthy) { /* to the end of the queue of the idle */
        json_array_append_new(
            members_of(pool),
            json_pack("{s:I}", "n", (json_int_t)number(member, "n")));
    } else {
        count(pool, "replaced");
    }
    json_array_remove(members_of(pool), at);
    settle(pool);
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
    set(member, "until", (int64_t)now_ms + number(pool, "lease_ms"));
    *out = checkout_of(pool, member);
    return PLEX_OK;
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
    if (is(pool, "draining"))
        return plex_err_set(err, PLEX_CONFLICT, "the pool drains");
    target_set(pool, workers != 0 ? workers : number(pool, "target") + delta,
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
    json_array_clear(waiters_of(pool));
    settle(pool);
}

json_t *
work_pool_stats(const json_t *pool)
{
    static const char *const counters[] = {
        "min", "max", "checkouts", "expired", "replaced", "grown", "shrunk"};
    const int64_t all = (int64_t)json_array_size(members_of(pool));
    const int64_t out = out_of(pool);
    json_t *stats =
        json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "pool_name",
                  text(pool, "name"), "actor_type", text(pool, "type"), "state",
                  !is(pool, "draining") ? "active"
                  : out > 0             ? "draining"
                                        : "drained",
                  "paused", is(pool, "paused"), "workers", (json_int_t)all,
                  "idle", (json_int_t)(all - out), "out", (json_int_t)out,
                  "waiting", (json_int_t)json_array_size(waiters_of(pool)));

    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        set(stats, counters[i], number(pool, counters[i]));
    return stats;
}
