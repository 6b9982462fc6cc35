#ifndef TESTS_INTEGRATION_WORKER_CLUSTER_H
#define TESTS_INTEGRATION_WORKER_CLUSTER_H

#include "common/service.h"
#include "services/placement/client.h"
#include "services/worker/client.h"

/*
 * Registry, placement, journal and workers as threads of this process, and a
 * client that routes as a gateway does. The journal keeps its file, so that it
 * can be killed and started again.
 */
enum { CLUSTER_WORKERS = 2, CLUSTER_DEADLINE_MS = 15000 };

void cluster_start(int workers);
void cluster_stop(void);
void cluster_worker_start(int at);
void cluster_worker_stop(int at); /* with drain */
void cluster_worker_kill(int at);
void cluster_journal_start(void);
void cluster_journal_kill(void);
/* Both counters, and "absent" of a module that does not exist. */
void cluster_deploy(void);
/* STOP_APP, START_APP, UNDEPLOY, by method number. */
void cluster_application(uint32_t method);

struct cluster_reply {
    bool done;
    enum plex_status status;
    char text[256];
    char payload[256];
    uint32_t http_status;
    bool failed, replayed, recorded;
    uint64_t table_version;
};
struct cluster_call {
    const char *type; /* NULL: "counter" */
    const char *key;
    const char *payload;
    const char *id; /* NULL: none of it is remembered by us: fresh */
    uint64_t hash;
    uint64_t delay_ms;
    enum work_kind kind; /* 0: call */
    const char *tenant;  /* of the context; NULL: "default" */
};
/* One attempt, to the owner by the newest table, or to `worker` when it is
 * not negative. */
struct cluster_reply cluster_try(const struct cluster_call *call, int worker);
/* Again with the same id while the status says that this may help. */
struct cluster_reply cluster_call(const struct cluster_call *call);
/* Bytes as an INVOKE. */
enum plex_status cluster_raw(struct plex_bytes payload);
/* Number of activations listed; *first gets the first id (256 bytes). */
size_t cluster_list(const char *type, char *first);
/* NOT_FOUND or OK; *state, *sequence. */
enum plex_status cluster_inspect(const char *type, const char *key,
                                 enum work_actor_state *state,
                                 uint64_t *sequence);
/* Whole payload equal, after as many calls as the deadline allows. */
void cluster_until(const struct cluster_call *call, const char *payload);

#endif
