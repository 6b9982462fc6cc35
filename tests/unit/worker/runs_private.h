#ifndef TESTS_UNIT_WORKER_RUNS_PRIVATE_H
#define TESTS_UNIT_WORKER_RUNS_PRIVATE_H

#include "tests/unit/worker/runs.h"

/* Shared by runs.c and runs_journal.c only. */
void runs_blob_set(struct runs_blob *blob, struct plex_bytes bytes);
struct plex_bytes runs_blob_get(const struct runs_blob *blob);
struct runs_actor *runs_actor_of(struct runs *runs, const char *key);
void runs_do_append(struct runs *runs, const struct work_action *a);
void runs_do_load(struct runs *runs, const struct work_action *a);
void runs_do_lookup(struct runs *runs, const struct work_action *a);
void runs_do_pendings(struct runs *runs, const struct work_action *a);

#endif
