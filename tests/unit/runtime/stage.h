#ifndef TESTS_UNIT_RUNTIME_STAGE_H
#define TESTS_UNIT_RUNTIME_STAGE_H

#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/process.h"

/*
 * A runtime without threads for tests: a clock of its own, a trace of what was
 * said, and a table of rules to be played on it.
 */
struct stage {
    struct rt *rt;
    uint64_t now_ns;
    bool events; /* say what happens to processes, too */
    char trace[16384];
};
extern struct stage stage;

void stage_open(uint64_t seed);
void stage_close(void);
/* Until nothing can run. */
void stage_run(void);
/* Let the time pass, timers in their order. */
void stage_after(uint64_t ms);
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
struct plex_ref stage_spawn(const struct plex_behaviour *behaviour,
                            const char *name, const char *args);
struct plex_ref stage_whereis(const char *name);
void stage_send(const char *name, uint32_t kind, uint64_t tag,
                const char *payload);
/* A call from outside; its answer is said as =text, or =STATUS. */
void stage_call(const char *name, uint64_t tag, const char *payload);

/* Split `text` at `sep` (a character) into trimmed pieces, call `each`. */
void stage_each(const char *text, char sep, void (*each)(char *piece));

struct stage_rule {
    const char *says;
    const char *setup; /* what it means is the suite's affair */
    struct {
        const char *in, *out;
    } steps[8];
};
/* Check the trace of each step. */
void stage_play(const struct stage_rule *rule, void (*setup)(const char *text),
                void (*input)(char *line));
/* A suite of one loop test over n rules. */
int stage_main(const char *name, const struct stage_rule *rules, size_t n,
               void (*setup)(const char *text), void (*input)(char *line));

#endif
