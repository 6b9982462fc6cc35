#ifndef SERVICES_WORKER_CHAIN_H
#define SERVICES_WORKER_CHAIN_H

#include "services/worker/client.h"

/*
 * The chain of calls that a message is part of: who waits for it, outermost
 * first, one a line: the number of the run or turn that waits, a space,
 * type/key. Finds calls that go in a circle.
 */

/* The chain of what a turn asks for that handles `handled` and waits for the
 * answer; `out` is WORK_CHAIN_MAX long. False: it would be longer, or deeper
 * than WORK_CHAIN_DEPTH, and only the outer ones are there. */
enum { WORK_CHAIN_DEPTH = 100 };
bool work_chain_of(const struct plex_actor_id *actor,
                   const struct work_message *handled, char *out);

/* plex_post.id of such a call to a virtual actor's name, where nothing looks
 * at ids but the worker itself. */
#define WORK_ASK_ID UINT64_C(0x706c65782d61736b)

#endif
