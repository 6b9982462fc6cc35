#ifndef SERVICES_REGISTRY_SHELL_LANE_H
#define SERVICES_REGISTRY_SHELL_LANE_H

#include "common/arena.h"
#include "services/registry/keep.h"
#include "services/registry/shell_keep.h"

/* Shared by shell_keep.c (stores, commits, requests) and shell_lane.c (what
 * differs between keys, locks and objects). */
struct reg_lane;
struct reg_lane_ops {
    const char *area;
    const char *counter_name;
    void *(*create)(const struct reg_keep_config *config);
    void (*free)(void *core);
    enum plex_status (*load)(struct reg_lane *lane, const struct reg_row *row,
                             struct plex_err *err);
    void (*loaded)(void *core, uint64_t counter, struct reg_when when);
    bool (*next)(void *core, struct reg_keep_action *out);
    void (*action_free)(struct reg_keep_action *action);
    /* `row` without its body, which is appended to `body`. */
    enum plex_status (*row)(struct reg_lane *lane,
                            const struct reg_keep_action *action,
                            struct reg_row *row, struct plex_buf *body,
                            struct plex_err *err);
    enum plex_status (*answer)(struct reg_lane *lane,
                               const struct reg_keep_action *action,
                               struct plex_buf *out, struct plex_err *err);
    uint64_t (*counter)(void *core);
    uint64_t (*wake)(void *core);
    void (*tick)(void *core, struct reg_when when);
    void (*dismiss)(void *core, const char *why);
};

struct reg_lane {
    const struct reg_lane_ops *ops;
    const struct plex_host *host;
    const struct reg_keep_config *config;
    const char *dsn;
    void *core;            /* NULL while the store is lost */
    struct reg_rows *rows; /* the same */
    struct plex_timer *timer;
    struct plex_task commit;
    bool committing; /* `commit` is deferred */
    bool draining;
    uint64_t counter; /* as loaded */
    struct plex_arena arena;
    struct plex_counter *commits, *failures;
};

extern const struct reg_lane_ops reg_lane_kv, reg_lane_lock, reg_lane_object;

static inline struct reg_when
reg_lane_now(void)
{
    return (struct reg_when){plex_now(), plex_wall_ms()};
}

#endif
