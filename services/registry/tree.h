#ifndef SERVICES_REGISTRY_TREE_H
#define SERVICES_REGISTRY_TREE_H

#include "common/arena.h"
#include "services/registry/client.h"

/* The supervision tree of an application, as a value. */
enum {
    REG_TREE_DEPTH_MAX = 32,
    REG_TREE_CHILDREN_MAX = 100000, /* in all */
    REG_CHILD_ID_MAX = 127,
    REG_CHILD_NAME_MAX = 255,
    REG_CHILD_ARGS_MAX = 64 << 10,
    REG_INTENSITY_MAX = 1000000,
    REG_PERIOD_MAX = 3600000,  /* ms */
    REG_SHUTDOWN_MAX = 3600000 /* ms */
};

/* Deep, into `memory`, which must have room. NULL for NULL. */
const struct reg_supervisor *reg_tree_copy(struct plex_arena *memory,
                                           const struct reg_supervisor *from);
bool reg_tree_same(const struct reg_supervisor *a,
                   const struct reg_supervisor *b);

/*
 * May it be deployed? And fill in its defaults: `app` is a copy that nobody
 * else has seen. What a child's type stands for is in the application's types.
 *
 * PLEX_INVALID names the child ("supervisor.children[2].id"), what it holds
 * and what would be right.
 */
PLEX_MUST_USE enum plex_status reg_tree_check(const struct reg_app *app,
                                              struct plex_err *err);
void reg_tree_resolve(struct reg_app *app);

/* Words of the manifest. PLEX_INVALID lists the known ones. "" gives the
 * default; case does not matter. */
enum reg_word { REG_WORD_STRATEGY, REG_WORD_RESTART, REG_WORD_AUTO_SHUTDOWN };
PLEX_MUST_USE enum plex_status reg_word_parse(enum reg_word kind,
                                              const char *text, uint8_t *out,
                                              struct plex_err *err);
const char *reg_word_text(enum reg_word kind, uint8_t value);
/* "brutal_kill", "infinity", "5s"; "" means PLEX_SHUTDOWN_DEFAULT. */
PLEX_MUST_USE enum plex_status reg_shutdown_parse(const char *text,
                                                  uint32_t *out,
                                                  struct plex_err *err);
/* `out` has room for 24 bytes. */
void reg_shutdown_text(uint32_t shutdown_ms, char *out);

#endif
