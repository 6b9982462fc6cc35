#ifndef TESTS_UNIT_RUNTIME_SUP_SCRIPT_H
#define TESTS_UNIT_RUNTIME_SUP_SCRIPT_H

#include <stddef.h>

/*
 * A world around a supervisor's core, driven by text.
 *
 * `sup`: "one_for_all 1/5000 any backoff=100..400": strategy, intensity and
 * period, auto_shutdown, back-off. `children`: "a b:t c:x:!:100": id, then
 * p|t|x (permanent, transient, temporary), ! (significant), sup (a
 * supervisor), kill|inf|ms (shutdown).
 *
 * Inputs, one a line: begin | exit ID REASON | parent REASON | after MS |
 * failing ID N (its next N starts fail) | ignoring ID N | slow ID (its starts
 * wait for `ok ID` or `fail ID`) | ok ID | fail ID | stubborn ID (stops wait
 * for `exit`, or a kill) | add CHILD | terminate ID | restart ID | delete ID |
 * which | count | move ID | plan [STRATEGY] [I/P] [any|all|never]
 * [backoff=A..B] (what is not there stays as it is) | change CHILD. Everything
 * that is not said to be otherwise starts and stops at once.
 *
 * What comes out, in order: >a start, +a started, ^a restarted, <a asked to
 * stop, #a killed, -a:why stopped, !a gave up, ready, failed, exit:why, =OK
 * replies, (one_for_one 1/5000 never 100..400) the plan, [a+ b- c~] children
 * running, not, restarting, {specs active supervisors workers}. Children of
 * simple_one_for_one are numbered.
 */
enum { SUP_TRACE_MAX = 4096 };
struct sup_world;

/* NULL when the core refuses it; `why` is its text. */
struct sup_world *sup_world_create(const char *sup, const char *children,
                                   char *why, size_t size);
void sup_world_free(struct sup_world *world);
/* Do the inputs and give their trace, until the next call. */
const char *sup_world_do(struct sup_world *world, const char *inputs);

#endif
