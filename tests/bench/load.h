#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * plex-load: one thread, many keep-alive connections with one request in
 * flight each, calling the demo's counters over HTTP, and a ledger of what was
 * acknowledged that is compared with what the actors say at the end.
 */
enum {
    LOAD_REQUEST_MAX = 1024,   /* bytes */
    LOAD_RESPONSE_MAX = 16384, /* bytes; a longer one is an error */
    LOAD_CONNECTIONS_MAX = 4096,
    LOAD_KEYS_MAX = 1000000,
};

struct load_config {
    const char *url; /* http://host:port */
    const char *type;
    const char *mode;   /* increment | get */
    const char *prefix; /* of the keys; "" makes a new one */
    uint32_t connections;
    uint32_t keys;
    uint32_t duration_s;
    uint32_t warmup_s;
    uint32_t settle_s;
    uint32_t retry_ms;
    uint32_t timeout_ms;
    uint64_t requests; /* 0: as many as fit the duration */
    uint64_t seed;
    bool keyed;
    bool retry;
    bool ledger;
    bool json;
    bool sweep;
};

/* Log-linear, microseconds, 32 steps for each power of two: error 3 %. */
enum { LOAD_BUCKETS = 32 * 40 };
struct load_stats {
    uint64_t buckets[LOAD_BUCKETS];
    uint64_t count;
    uint64_t max_us;
    uint64_t statuses[600];
    uint64_t refused;  /* not connected: surely not done */
    uint64_t lost;     /* connection ended before the answer */
    uint64_t timeouts; /* no answer in timeout_ms */
    uint64_t replayed; /* answers with Idempotency-Replayed */
    uint64_t gap_ns;   /* longest time without an answer of 2xx */
    uint64_t gap_at_ns;
    uint64_t last_ok_ns;
    uint64_t begin_ns;
    uint64_t end_ns;
};

void load_stats_latency(struct load_stats *stats, uint64_t us);
uint64_t load_stats_quantile(const struct load_stats *stats, double q);
uint64_t load_stats_errors(const struct load_stats *stats);

/* What one key should hold. */
struct load_entry {
    uint64_t base;    /* before the load */
    uint64_t acked;   /* answered increments */
    uint64_t unknown; /* perhaps done, never answered */
    uint64_t final;   /* after the load */
    uint64_t *seen;   /* bit per answered count after base */
    size_t seen_words;
};

struct load_ledger {
    struct load_entry *entries;
    uint32_t count;
    uint64_t repeated; /* counts that two increments were answered with */
};

void load_ledger_init(struct load_ledger *ledger, uint32_t keys);
void load_ledger_free(struct load_ledger *ledger);
void load_ledger_ack(struct load_ledger *ledger, uint32_t key, uint64_t count);

struct load_verdict {
    uint64_t acked;
    uint64_t unknown;
    uint64_t lost;  /* acknowledged and not in the actor */
    uint64_t twice; /* in the actor and not explained, or a repeated answer */
};
/* Prints up to 20 keys that do not add up. */
struct load_verdict load_ledger_verdict(const struct load_ledger *ledger,
                                        const char *prefix);

enum load_kind { LOAD_INCREMENT, LOAD_GET };

enum load_conn_state {
    LOAD_CONN_CLOSED,
    LOAD_CONN_CONNECTING,
    LOAD_CONN_SENDING,
    LOAD_CONN_READING,
    LOAD_CONN_READY,   /* connected, no request */
    LOAD_CONN_WAITING, /* before a retry */
    LOAD_CONN_IDLE,    /* nothing left to do */
};

struct load_conn {
    struct load *load;
    int fd;
    enum load_conn_state state;
    bool want_write; /* what epoll was told */
    bool has_op;
    bool op_maybe_done; /* an attempt may have been executed */
    enum load_kind kind;
    uint32_t key;
    uint64_t op_id;
    uint64_t first_ns; /* of the first attempt */
    uint64_t sent_ns;
    uint64_t wake_ns;
    size_t out_len, out_sent, in_len;
    char out[LOAD_REQUEST_MAX];
    char in[LOAD_RESPONSE_MAX + 1];
};

/* The answer to one attempt. status 0: none, with the reason. */
struct load_answer {
    int status;
    bool close;
    bool replayed;
    bool sent; /* bytes of the request may have reached the server */
    bool timeout;
    const char *body;
    size_t body_len;
    uint64_t now;
};

enum load_phase {
    LOAD_PHASE_BASE,   /* read every key */
    LOAD_PHASE_RUN,    /* the load, and retries of it for settle_s */
    LOAD_PHASE_VERIFY, /* read every key again */
    LOAD_PHASE_DONE,
};

struct load {
    struct load_config config;
    char prefix[64];
    char host[128];
    struct sockaddr_in addr;
    int epoll;
    struct load_conn *conns;
    enum load_phase phase;
    uint64_t phase_end_ns; /* no new operation of RUN after it */
    uint64_t give_up_ns;   /* no retry after it */
    uint64_t run_begin_ns;
    uint64_t next_op;
    uint64_t answered; /* of RUN, warm-up included */
    uint32_t next_key; /* BASE, VERIFY */
    uint32_t busy;     /* connections with an operation */
    uint32_t waiting;  /* connections in WAITING */
    uint64_t random;
    struct load_stats stats;
    struct load_ledger ledger;
    bool measuring;  /* warm-up is over */
    bool incomplete; /* some key could not be read */
};

uint64_t load_now(void);

/* load_conn.c: bytes. Start the attempt of `conn`'s operation, connecting
 * first where needed. The answer comes to load_answered(). */
void load_conn_attempt(struct load_conn *conn);
void load_conn_event(struct load_conn *conn, uint32_t events);
void load_conn_close(struct load_conn *conn);
/* The attempt ends without an answer. */
void load_conn_fail(struct load_conn *conn, bool timeout);

/* load.c: what to do next. */
void load_answered(struct load_conn *conn, const struct load_answer *answer);

/* load_print.c. Returns false when the ledger does not add up. */
bool load_print(const struct load *load);

#endif
