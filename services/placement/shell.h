#ifndef SERVICES_PLACEMENT_SHELL_H
#define SERVICES_PLACEMENT_SHELL_H

#include "common/arena.h"
#include "common/service.h"
#include "services/placement/core.h"
#include "services/placement/store.h"
#include "services/registry/client.h"

/* Shared by the shell's own files only. */
enum {
    PLACE_ARENA_MAX = 64 << 20,
    PLACE_REPLY_MAX = 16 << 20,
};

struct place_config {
    struct plex_base_config base;
    const char *store_dsn;
    uint32_t lease_ms;
    uint32_t settle_ms;
    uint32_t leader_ms;
};
struct place_state {
    const struct plex_host *host;
    struct place_config config;
    struct place_core *core;
    struct place_store *store;
    struct reg_client *registry;
    struct plex_timer *timer;
    uint64_t timer_ns; /* when it fires; UINT64_MAX: never */
    struct plex_timer *leader_timer;
    uint64_t leader_epoch; /* 0: not leading */
    struct plex_arena arena;
    struct plex_counter *saves;
    bool draining;
    bool lead_failed;
};

/* shell.c */
/* Do every action of the core. */
void place_pump(struct place_state *state);
/* An answer that is known at once; frees what `out` holds. */
void place_answer(struct place_state *state, struct plex_call *call,
                  enum plex_status status, struct plex_buf *out,
                  struct plex_err *err);

/* shell_schedule.c: methods 421 to 424 */
void place_on_schedule(void *state, struct plex_call *call);
void place_on_status(void *state, struct plex_call *call);
void place_on_capacity(void *state, struct plex_call *call);
void place_on_capacities(void *state, struct plex_call *call);

#endif
