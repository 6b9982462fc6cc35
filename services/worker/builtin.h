#ifndef SERVICES_WORKER_BUILTIN_H
#define SERVICES_WORKER_BUILTIN_H

#include "sdk/c/include/plexspaces/actor.h"

/*
 * Behaviours that come with the worker: module "builtin" in a manifest. They
 * use the SDK like any other module.
 *
 *   workflow          a run of a definition; the key is the execution's id
 *   workflow-catalog  definitions of a namespace; key "definitions"
 *   workflow-index    what ran; keys "0" to "63"
 *   workflow-http     one request to the outside each, recorded
 *   actor-group...    groups of actors: builtin_group.h
 *   schedule          something that is done again and again; key: its id
 *   schedule-index    the schedules of a namespace; key "schedules"
 *   actor-timers      timers and reminders of an actor; key: TYPE.KEY of it
 *   tuple-eval        an actor's reply that becomes a tuple; key: the eval's id
 *
 * Messages are JSON with an "action"; docs/workflows.md
 * and docs/schedules.md list them.
 */
extern const struct plex_behaviour work_builtin_behaviours[]; /* ends as all */

#endif
