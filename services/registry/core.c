/* Actions, watching, time. */
#include "services/registry/core_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_MS_MAX = 60000 };

const struct reg_core_config reg_core_defaults = {
    .lease_ms = 1500,
    .grace_ms = 1500,
    .hold_ms = 1500,
    .forget_ms = 600000,
    .nodes_max = 4096,
    .apps_max = 10000,
    .types_max = 100000,
    .watchers_max = 4096,
    .changes_max = 1024,
};

struct reg_core *
reg_core_create(const struct reg_core_config *config, uint64_t now_ns,
                uint64_t wall_ms)
{
    struct reg_core *core = plex_calloc(1, sizeof *core);

    core->config = *config;
    core->version = wall_ms > 0 ? wall_ms : 1;
    core->first_version = core->version;
    core->roots_wake_ns = UINT64_MAX;
    core->grace_end_ns = now_ns + reg_ms(config->grace_ms);
    core->nodes = plex_calloc(config->nodes_max, sizeof(void *));
    core->apps = plex_calloc(config->apps_max, sizeof(void *));
    core->changes_tail = &core->changes;
    core->watchers_tail = &core->watchers;
    return core;
}

static void
watcher_remove(struct reg_core *core, struct reg_watcher **at)
{
    struct reg_watcher *watcher = *at;

    *at = watcher->next;
    if (core->watchers_tail == &watcher->next)
        core->watchers_tail = at;
    core->n_watchers--;
    free(watcher);
}

void
reg_core_free(struct reg_core *core)
{
    struct reg_action action;

    if (core == NULL)
        return;
    while (core->watchers != NULL)
        watcher_remove(core, &core->watchers);
    while (reg_core_next(core, &action))
        reg_app_rec_unref(action.app);
    reg_roots_free(core);
    reg_nodes_free(core);
    reg_apps_free(core);
    free(core->actions);
    free(core);
}

/* -- actions --------------------------------------------------------------- */

struct reg_action *
reg_push(struct reg_core *core, enum reg_action_kind kind, void *call)
{
    struct reg_action *action;

    if (core->actions_tail == core->actions_cap) {
        core->actions_cap = core->actions_cap == 0 ? 16 : core->actions_cap * 2;
        core->actions = plex_reallocarray(core->actions, core->actions_cap,
                                          sizeof *core->actions);
    }
    action = &core->actions[core->actions_tail++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    action->call = call;
    return action;
}

void
reg_push_fail(struct reg_core *core, void *call, const struct plex_err *err)
{
    struct reg_action *action = reg_push(core, REG_ACTION_FAIL, call);

    action->status = err->status;
    snprintf(action->text, sizeof action->text, "%s", err->text);
}

void
reg_note(struct reg_core *core, const char *fmt, ...)
{
    struct reg_action *action = reg_push(core, REG_ACTION_NOTE, NULL);
    va_list args;

    va_start(args, fmt);
    vsnprintf(action->text, sizeof action->text, fmt, args);
    va_end(args);
}

bool
reg_core_next(struct reg_core *core, struct reg_action *out)
{
    if (core->actions_head == core->actions_tail) {
        core->actions_head = core->actions_tail = 0;
        return false;
    }
    *out = core->actions[core->actions_head++];
    return true;
}

/* -- watching -------------------------------------------------------------- */

/* Does somebody with that version have to wait? One from an earlier life of
 * the registry does until the nodes have had time to announce themselves: an
 * almost empty catalogue would make everybody forget everybody. */
static bool
watch_waits(const struct reg_core *core, uint64_t have, uint64_t now_ns)
{
    const bool foreign = have < core->first_version || have > core->version;

    if (have == core->version)
        return true;
    return have != 0 && foreign && now_ns < core->grace_end_ns;
}

static void
watchers_answer(struct reg_core *core, uint64_t now_ns)
{
    struct reg_watcher **at = &core->watchers;

    while (*at != NULL) {
        struct reg_watcher *watcher = *at;
        const bool waits = watch_waits(core, watcher->have, now_ns);
        struct reg_action *action;

        if (waits && watcher->deadline_ns > now_ns) {
            at = &watcher->next;
            continue;
        }
        action = reg_push(core, REG_ACTION_CATALOG, watcher->call);
        action->unchanged = waits;
        action->version = waits ? watcher->have : core->version;
        watcher_remove(core, at);
    }
}

void
reg_bump(struct reg_core *core, uint64_t now_ns)
{
    reg_roots_update(core, now_ns);
    core->version++;
    watchers_answer(core, now_ns);
}

void
reg_core_watch(struct reg_core *core, void *call, uint64_t have_version,
               uint64_t timeout_ms, uint64_t now_ns)
{
    const uint64_t wait_ms =
        timeout_ms < WATCH_MS_MAX ? timeout_ms : WATCH_MS_MAX;
    struct reg_watcher *watcher;
    struct plex_err err;

    if (!watch_waits(core, have_version, now_ns)) {
        reg_push(core, REG_ACTION_CATALOG, call)->version = core->version;
        return;
    }
    if (core->n_watchers == core->config.watchers_max) {
        (void)plex_err_set(&err, PLEX_LIMIT, "%u watchers wait already",
                           core->n_watchers);
        reg_push_fail(core, call, &err);
        return;
    }
    watcher = plex_calloc(1, sizeof *watcher);
    watcher->call = call;
    watcher->have = have_version;
    watcher->deadline_ns = now_ns + reg_ms(wait_ms);
    *core->watchers_tail = watcher;
    core->watchers_tail = &watcher->next;
    core->n_watchers++;
}

void
reg_core_dismiss(struct reg_core *core, const char *why)
{
    struct plex_err err;

    (void)plex_err_set(&err, PLEX_UNAVAILABLE, "%s", why);
    while (core->watchers != NULL) {
        reg_push_fail(core, core->watchers->call, &err);
        watcher_remove(core, &core->watchers);
    }
}

/* -- time ------------------------------------------------------------------ */

void
reg_core_tick(struct reg_core *core, uint64_t now_ns)
{
    reg_nodes_expire(core, now_ns);
    reg_roots_tick(core, now_ns);
    watchers_answer(core, now_ns);
}

uint64_t
reg_core_wake(const struct reg_core *core)
{
    uint64_t wake = reg_nodes_wake(core);
    const struct reg_watcher *watcher;

    if (core->roots_wake_ns < wake)
        wake = core->roots_wake_ns;
    for (watcher = core->watchers; watcher != NULL; watcher = watcher->next) {
        if (watcher->deadline_ns < wake)
            wake = watcher->deadline_ns;
        if (watcher->have != core->version && core->grace_end_ns < wake)
            wake = core->grace_end_ns;
    }
    return wake;
}

uint64_t
reg_core_version(const struct reg_core *core)
{
    return core->version;
}

struct reg_core_stats
reg_core_stats(const struct reg_core *core)
{
    struct reg_core_stats stats = {
        .apps = (uint32_t)core->n_apps,
        .types = HASH_COUNT(core->types),
        .watchers = core->n_watchers,
    };

    for (size_t i = 0; i < core->n_nodes; i++) {
        if (core->nodes[i]->lost)
            stats.nodes_lost++;
        else
            stats.nodes_live++;
    }
    return stats;
}
