#ifndef TESTS_UNIT_LINK_LINK_FIXTURE_H
#define TESTS_UNIT_LINK_LINK_FIXTURE_H

#include "common/link.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

/* Daemons on threads, and a client on the test's own thread. */
enum {
    METHOD_ECHO = 1,  /* answers the payload */
    METHOD_HOLD = 2,  /* is answered by node_release */
    METHOD_FAIL = 3,  /* PLEX_CONFLICT, "no such luck", payload "seven" */
    METHOD_NOTE = 4,  /* an event */
    METHOD_ORDER = 5, /* payload is a u32 that grows by one */
    METHOD_NONE = 99, /* not served */
    WAIT_MS = 30000,  /* for anything that should happen at once */
};

struct node {
    struct plex_loop *loop;
    struct plex_link *link;
    struct plex_metrics *metrics;
    pthread_t thread;
    bool threaded;
    char url[128];
    struct plex_task task;
    void (*task_fn)(struct node *node);
    atomic_bool task_done;
    /* What its handlers saw. */
    atomic_uint handled;
    atomic_uint notes;
    atomic_uint disorder;
    atomic_uint held;
    atomic_uint told;      /* of held calls that were abandoned */
    atomic_uint abandoned; /* as of node_look */
    uint32_t next_order;
    struct plex_call *calls[64];
    char tenant[65];
    char request_id[65];
    bool had_deadline;
};

/* How one call ended. */
struct outcome {
    unsigned done; /* how often done() ran: must become 1 */
    enum plex_status status;
    bool unknown;
    char text[256];
    size_t len;
    uint8_t bytes[64]; /* the first of the payload */
};

extern const char *const transports[3]; /* "inproc", "ipc", "tcp" */
/* A fresh address of that transport; the same for the same name. */
void url_make(char out[128], int transport, const char *name);

/* A node on a thread of its own. */
struct node *node_start(const char *url);
/* A node whose loop the test runs, by wait_for. */
struct node *node_here(const char *url);
void node_stop(struct node *node); /* joins, closes, frees */
/* Run on the node's loop, and wait for it. */
void node_do(struct node *node, void (*fn)(struct node *node));
void node_release(struct node *node); /* answer all held calls, "late" */
void node_look(struct node *node);    /* count abandoned ones */
void node_drain(struct node *node);

/* Run the loop of `here` until *counter >= want; fails the test after ms. */
void wait_count(struct node *here, const unsigned *counter, unsigned want);
void wait_atomic(struct node *here, atomic_uint *counter, unsigned want);
void run_ms(struct node *here, unsigned ms);

void on_done(void *arg, const struct plex_link_result *result);
uint64_t call_with(struct node *here, const char *peer, uint32_t method,
                   const char *payload, unsigned timeout_ms, bool retry,
                   struct outcome *out);
/* With 10 s, no retry. */
uint64_t call_to(struct node *here, const char *peer, uint32_t method,
                 const char *payload, struct outcome *out);

TCase *tcase_link_peer(void);
TCase *tcase_link_restarts(void);
TCase *tcase_link_bad(void);

#endif
