#ifndef SERVICES_TUPLESPACE_SHELL_H
#define SERVICES_TUPLESPACE_SHELL_H

#include "common/service.h"
#include "services/registry/client.h"
#include "services/tuplespace/engine/part.h"
#include "services/tuplespace/store_lib.h"
#include "services/tuplespace/wire.h"

/*
 * What the files of the shell share. A server is one instance of the service;
 * it has one shell for each shard that it may own, or a single one where the
 * store is its alone. A shell is a core with its store.
 */
struct tspace_server;
enum {
    TSPACE_REPLY_MAX = 16 << 20,
    TSPACE_METHOD_EXISTS = 805,
    TSPACE_METHOD_AT_SHARD = 830, /* shard.proto */
};

typedef void (*tspace_done_fn)(void *arg, enum plex_status status,
                               const char *text, struct plex_bytes payload);

struct tspace_shell_config {
    struct plex_base_config base;
    const char *store_dsn;
    const char *webhook_allow;
    uint64_t spaces_max;
    uint64_t tuples_max;
    uint64_t memory_max_bytes;
    uint64_t tenant_tuples_max;
    uint64_t tenant_bytes_max;
    uint32_t tenant_waiters_max;
    uint32_t tenant_spaces_max;
    uint32_t tenant_transactions_max;
    uint32_t tenant_subscriptions_max;
    uint32_t tenant_requests_max;
    uint64_t remember_max_bytes;
    uint64_t tenant_remember_max_bytes;
    uint32_t waiters_max;
    uint32_t requests_max;
    uint32_t transactions_max;
    uint32_t subscriptions_max;
    uint32_t events_max;
    uint32_t redeliver_ms;
};

/* One request that the core has to answer. */
struct tspace_request {
    struct tspace_shell *shell;
    struct tspace_request *next; /* pooled */
    struct plex_call *call;      /* NULL: the shell's own, or `done`'s */
    tspace_done_fn done;         /* is told instead of the call */
    void *arg;
    enum tspace_reply kind;
    /* Of `subscription`, once this is answered OK. */
    enum {
        TSPACE_ABOUT_NOTHING,
        TSPACE_ABOUT_POLL, /* it exists */
        TSPACE_ABOUT_SUBSCRIBED,
        TSPACE_ABOUT_UNSUBSCRIBED,
        TSPACE_ABOUT_ACKNOWLEDGED,
        TSPACE_ABOUT_TARGET, /* it still exists */
    } about;
    uint64_t subscription;
    uint64_t up_to;
    bool guaranteed;
    bool pushed; /* it has a target */
};

/* Answers and events that leave after the commit; bytes are in `out`. */
struct tspace_outgoing {
    struct tspace_request *request; /* NULL: an event */
    enum plex_status status;
    size_t at, len; /* payload or text */
    uint64_t subscription, number, previous;
    struct tspace_where where; /* of the event's space; the store's */
    bool guaranteed;
    size_t target_at, target_len;
};

/* One request, from its arrival until it is the core's or another shard's. */
struct tspace_asked {
    struct tspace_shell *shell;
    struct plex_call *call; /* NULL: `done` is told */
    tspace_done_fn done;
    void *arg;
    struct tspace_request **made; /* set when it is the core's; or NULL */
    const struct tspace_method *method;
    struct plex_bytes payload;
    struct tspace_where where; /* tenant and namespace */
    bool placed;               /* it is at its shard, and goes no further */
};
struct tspace_method {
    uint32_t id;
    void (*ask)(struct tspace_asked *asked);
};

struct tspace_sub;
struct tspace_spread;
struct tspace_target;
struct tspace_pool;
struct plex_post;

struct tspace_counters {
    struct plex_counter *commits, *failures, *events, *undelivered;
    struct plex_histogram *commit_time;
};

struct tspace_shell {
    struct tspace_server *server;
    const struct plex_host *host;
    const struct tspace_shell_config *config;
    const struct tspace_counters *counters;
    uint32_t shard;
    bool owned;               /* the catalogue says so */
    struct tspace_core *core; /* NULL while the store is lost */
    struct tspace_store *store;
    bool transient;
    struct plex_timer *timer;
    bool committing; /* at the end of the iteration */
    uint64_t sent;   /* when; 0: nothing is on its way to the store */
    bool stores;     /* what is: changes */
    struct tspace_wire wire;
    struct tspace_request *requests; /* pooled */
    struct plex_buf out;
    struct tspace_outgoing *outgoing;
    size_t n_outgoing, outgoing_cap;
    struct tspace_sub *subs; /* by id */
    struct tspace_target *targets;
    struct plex_timer *sweep;
};

struct tspace_server {
    const struct plex_host *host;
    struct tspace_shell_config config;
    struct tspace_counters counters;
    struct reg_client *registry;
    bool shared; /* the store; shells come and go with the catalogue */
    bool draining;
    struct plex_task commit;   /* of all shells */
    bool committing;           /* it is deferred */
    struct plex_post *post;    /* NULL: webhooks are not allowed */
    struct tspace_pool *pools; /* of workers */
    struct plex_arena arena;   /* of a request from another tuple space */
    struct plex_arena parts;   /* of what shards are asked and answer */
    struct tspace_spread *spreads;
    uint32_t n_shells;
    struct tspace_shell *shells;
};

struct tspace_now tspace_shell_now(void);

/* -- shell_commit.c ----------------------------------------------------------
 */

/* Store and answer what the core has to say: now, or at the end of the
 * iteration. */
void tspace_shell_commit(struct tspace_shell *shell);
void tspace_shell_commit_later(struct tspace_shell *shell);
void tspace_shell_commit_init(struct tspace_shell *shell);
void tspace_shell_commit_fini(struct tspace_shell *shell);
/* A handle for the core. */
struct tspace_request *tspace_shell_request(struct tspace_shell *shell,
                                            struct plex_call *call,
                                            enum tspace_reply kind);
void tspace_shell_request_free(struct tspace_request *request);
/* False: its answer is on its way. Otherwise it waited, and is forgotten. */
bool tspace_request_cancel(struct tspace_request *request);

/* -- shell.c -----------------------------------------------------------------
 */

void tspace_shell_init(struct tspace_shell *shell, struct tspace_server *server,
                       uint32_t shard);
void tspace_shell_fini(struct tspace_shell *shell);
enum plex_status tspace_shell_open(struct tspace_shell *shell,
                                   struct plex_err *err);
/* Another one is to own the shard, or the service ends: answer what can be
 * answered, and let go of the store. */
void tspace_shell_release(struct tspace_shell *shell, const char *text);
/* The store failed: forget everything, and start again from it. */
void tspace_shell_lost(struct tspace_shell *shell, const struct plex_err *err);
void tspace_shell_arm(struct tspace_shell *shell);

/* -- shell_methods.c ---------------------------------------------------------
 */
extern const struct plex_method tspace_server_methods[];
const struct tspace_method *tspace_method_find(uint32_t id);
void tspace_asked_refuse(const struct tspace_asked *asked,
                         const struct plex_err *err);

/* -- server.c ----------------------------------------------------------------
 */

/* Find the shell that serves the caller's namespace, or of the shard that is
 * set (`placed`), ready to decode. False: the call was answered. */
bool tspace_server_begin(struct tspace_server *server,
                         struct tspace_asked *asked);
/* Of all its shells. */
void tspace_server_stats(const struct tspace_server *server,
                         struct tspace_stats *out);
/* Ready, or not because of the store; tell the registry. */
void tspace_server_status(struct tspace_server *server);

/* -- shell_events.c: subscriptions whose events wait for PollEvents ----------
 */
void tspace_events_poll(struct tspace_shell *shell, struct plex_call *call,
                        const struct tspace_where *where,
                        const struct tspace_wire_poll *poll);
/* What the core said of the subscription that `request` asks for. */
void tspace_events_known(struct tspace_request *request,
                         enum plex_status status, const char *text);
void tspace_events_deliver(struct tspace_shell *shell,
                           const struct tspace_outgoing *event);
void tspace_events_acknowledged(struct tspace_shell *shell, uint64_t id,
                                uint64_t up_to);
void tspace_events_unsubscribed(struct tspace_shell *shell, uint64_t id);
/* A new one; a best effort one is dropped when nobody polls it. */
void tspace_events_subscribed(struct tspace_shell *shell, uint64_t id,
                              const struct tspace_where *where,
                              bool guaranteed);
/* Those who poll are told `text`, and all is forgotten. */
void tspace_events_reset(struct tspace_shell *shell, const char *text);
void tspace_events_init(struct tspace_shell *shell);
void tspace_events_fini(struct tspace_shell *shell);
/* The shell's own request about a subscription. */
void tspace_events_ask(struct tspace_shell *shell,
                       const struct tspace_where *where, uint64_t id,
                       enum tspace_subscription_verb verb, uint64_t up_to,
                       struct tspace_request *request);

/* -- shell_target.c: events that are pushed ----------------------------------
 */
void tspace_target_deliver(struct tspace_shell *shell,
                           const struct tspace_outgoing *event);
void tspace_target_ended(struct tspace_shell *shell, uint64_t id);
/* All is forgotten; the core tells again what is guaranteed. */
void tspace_target_reset(struct tspace_shell *shell);
PLEX_MUST_USE enum plex_status tspace_targets_check(const char *webhook_allow,
                                                    struct plex_err *err);
void tspace_targets_start(struct tspace_server *server);
/* When all shells are gone. */
void tspace_targets_stop(struct tspace_server *server);

#endif
