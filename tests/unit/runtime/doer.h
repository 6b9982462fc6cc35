#ifndef TESTS_UNIT_RUNTIME_DOER_H
#define TESTS_UNIT_RUNTIME_DOER_H

#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Processes under rt_step(): one thread, a given clock. What happens is
 * written into a log, `said`, that the tests compare. */

extern struct rt *rt;
extern uint64_t now;
extern char said[65536];
extern struct plex_ref a, b; /* whom deeds are about */

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void setup(void);
void setup_with(struct rt_config config);
void teardown(void);
/* Run for so long, stopping at every timer. */
void run_ms(uint64_t ms);

/* A process that runs a script: what it is told is a function to call. */
typedef void (*deed_fn)(struct plex_ctx *ctx);
struct doer {
    const char *name;
    struct plex_ref peer;
    uint64_t number;
    int count;
};
extern const struct plex_behaviour doer, trapper; /* that one traps exits */
const char *me(struct plex_ctx *ctx);
struct plex_ref start(const struct plex_behaviour *behaviour, const char *name);
void tell(struct plex_ref who, deed_fn deed);
void crash(struct plex_ref who);
/* Ask b and say what came of it. */
void ask_tag(struct plex_ctx *ctx, uint64_t tag);
/* PLEX_MSG_INFO with these tags to a. */
void send_tags(uint64_t from, uint64_t to);
enum { TAG_DO = 1000, TAG_STOP };

/* Runs the suite; for main(). */
int play(Suite *suite);

#endif
