#ifndef TESTS_UNIT_REGISTRY_HELPER_H
#define TESTS_UNIT_REGISTRY_HELPER_H

#include "services/registry/core.h"

#include <check.h>

/* A core with a fake clock; the store answers store_status at once, unless
 * `hold` is set. */
enum { HELPER_CALLS = 16 };

struct answer {
    enum reg_action_kind kind; /* 0: none yet */
    enum plex_status status;
    uint64_t lease_ms, version, revision;
    enum reg_app_state state;
    bool unchanged;
    char text[REG_NOTE_MAX];
};
struct helper {
    struct reg_core *core;
    uint64_t now, wall; /* ns, ms */
    enum plex_status store_status;
    bool hold, held;
    unsigned puts, deletes;
    struct answer answers[HELPER_CALLS]; /* by call - 1 */
};

void helper_open(struct helper *h);
void helper_close(struct helper *h);
void helper_pump(struct helper *h);
void helper_run(struct helper *h, uint64_t ms);
/* The answer to call 1, which is then forgotten. */
struct answer helper_take(struct helper *h);
struct answer helper_announce(struct helper *h, const char *node_id,
                              uint64_t incarnation,
                              enum reg_node_status status);
struct answer helper_deploy(struct helper *h, const struct reg_app_full *app);
int helper_main(TCase *tc, const char *name);

#endif
