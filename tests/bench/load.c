#include "tests/bench/load.h"

#include "common/option.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define OPTION(field, type, def, help, low, high)                             \
    {                                                                         \
#field, PLEX_OPTION_##type, offsetof(struct load_config, field), def, \
            help, low, high                                                   \
    }

static const struct plex_option options[] = {
    OPTION(url, STRING, "http://127.0.0.1:8080", "the gateway", 0, 0),
    OPTION(type, STRING, "counter", "actor type to call", 0, 0),
    OPTION(mode, STRING, "increment", "increment or get", 0, 0),
    OPTION(prefix, STRING, "", "of the actors' keys; \"\" makes a new one", 0,
           0),
    OPTION(connections, U32, "64", "keep-alive connections", 1,
           LOAD_CONNECTIONS_MAX),
    OPTION(keys, U32, "1000", "actors called, chosen at random", 1,
           LOAD_KEYS_MAX),
    {"duration", PLEX_OPTION_U32, offsetof(struct load_config, duration_s),
     "10", "seconds of load", 1, 86400},
    OPTION(warmup_s, U32, "0", "seconds at first that are not measured", 0,
           3600),
    OPTION(settle_s, U32, "30", "seconds to go on retrying at the end", 1,
           3600),
    OPTION(retry_ms, U32, "20", "pause before a retry", 1, 10000),
    OPTION(timeout_ms, U32, "35000", "wait for one answer", 1, 3600000),
    OPTION(requests, U64, "0", "stop after so many; 0 for no limit", 0, 0),
    OPTION(seed, U64, "1", "of the choice of keys", 1, 0),
    OPTION(keyed, BOOL, "false",
           "an Idempotency-Key for each increment, retried until answered", 0,
           0),
    OPTION(retry, BOOL, "false", "retry what failed, also without a key", 0, 0),
    OPTION(ledger, BOOL, "false",
           "count what was acknowledged and compare at the end; exit 1 when "
           "it differs",
           0, 0),
    OPTION(sweep, BOOL, "false", "take the keys in order, not at random", 0, 0),
    OPTION(json, BOOL, "false", "print JSON", 0, 0),
    {0},
};

uint64_t
load_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
load_random(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static bool
body_count(const struct load_answer *answer, uint64_t *count)
{
    static const char name[] = "\"count\":";
    const char *at =
        memmem(answer->body, answer->body_len, name, sizeof name - 1);

    if (at == NULL)
        return false;
    *count = strtoull(at + sizeof name - 1, NULL, 10);
    return true;
}

static bool
next_op(struct load *load, struct load_conn *conn, uint64_t now)
{
    if (load->phase == LOAD_PHASE_RUN) {
        if (now >= load->phase_end_ns ||
            (load->config.requests > 0 &&
             load->next_op >= load->config.requests))
            return false;
        conn->kind =
            strcmp(load->config.mode, "get") == 0 ? LOAD_GET : LOAD_INCREMENT;
        conn->op_id = load->next_op++;
        conn->key =
            (uint32_t)((load->config.sweep ? conn->op_id : load_random(load)) %
                       load->config.keys);
    } else {
        if (load->next_key >= load->config.keys)
            return false;
        conn->kind = LOAD_GET;
        conn->key = load->next_key++;
    }
    conn->has_op = true;
    conn->op_maybe_done = false;
    conn->first_ns = now;
    return true;
}

static void
conn_next(struct load_conn *conn, uint64_t now)
{
    if (next_op(conn->load, conn, now)) {
        load_conn_attempt(conn);
        return;
    }
    conn->state = LOAD_CONN_IDLE;
    conn->load->busy--;
}

static void
conn_wait(struct load_conn *conn, uint64_t now)
{
    conn->state = LOAD_CONN_WAITING;
    conn->wake_ns = now + (uint64_t)conn->load->config.retry_ms * 1000000u;
    conn->load->waiting++;
}

static void
record_ok(struct load *load, struct load_conn *conn,
          const struct load_answer *answer)
{
    struct load_stats *stats = &load->stats;
    uint64_t count = 0;

    load->answered++;
    if (load->measuring) {
        load_stats_latency(stats, (answer->now - conn->first_ns) / 1000);
        if (answer->now - stats->last_ok_ns > stats->gap_ns) {
            stats->gap_ns = answer->now - stats->last_ok_ns;
            stats->gap_at_ns = stats->last_ok_ns;
        }
        stats->last_ok_ns = answer->now;
        stats->end_ns = answer->now;
        stats->replayed += answer->replayed;
    }
    if (load->config.ledger && conn->kind == LOAD_INCREMENT) {
        (void)body_count(answer, &count);
        load_ledger_ack(&load->ledger, conn->key, count);
    }
}

static void
record_failure(struct load *load, struct load_conn *conn,
               const struct load_answer *answer)
{
    struct load_stats *stats = &load->stats;

    if (answer->status > 0)
        stats->statuses[answer->status]++;
    else if (answer->timeout)
        stats->timeouts++;
    else if (answer->sent)
        stats->lost++;
    else
        stats->refused++;
    if (answer->status >= 500 || answer->status == 409 ||
        (answer->status == 0 && answer->sent))
        conn->op_maybe_done = true;
}

static void
answered_run(struct load_conn *conn, const struct load_answer *answer)
{
    struct load *load = conn->load;
    bool again = answer->status == 0 || answer->status >= 500 ||
                 answer->status == 429 || answer->status == 409;

    if (answer->status >= 200 && answer->status < 300) {
        record_ok(load, conn, answer);
        conn_next(conn, answer->now);
        return;
    }
    record_failure(load, conn, answer);
    if (again && (load->config.keyed || load->config.retry) &&
        answer->now < load->give_up_ns) {
        conn_wait(conn, answer->now);
        return;
    }
    if (conn->kind == LOAD_INCREMENT && conn->op_maybe_done &&
        load->config.ledger)
        load->ledger.entries[conn->key].unknown++;
    conn->has_op = false;
    if (again)
        conn_wait(conn, answer->now);
    else
        conn_next(conn, answer->now);
}

static void
answered_read(struct load_conn *conn, const struct load_answer *answer)
{
    struct load *load = conn->load;
    struct load_entry *entry = &load->ledger.entries[conn->key];
    uint64_t count;

    if (answer->status == 200 && body_count(answer, &count)) {
        if (load->phase == LOAD_PHASE_BASE)
            entry->base = count;
        else
            entry->final = count;
        conn_next(conn, answer->now);
        return;
    }
    if (answer->now < load->give_up_ns) {
        conn_wait(conn, answer->now);
        return;
    }
    load->incomplete = true;
    conn_next(conn, answer->now);
}

void
load_answered(struct load_conn *conn, const struct load_answer *answer)
{
    if (conn->load->phase == LOAD_PHASE_RUN)
        answered_run(conn, answer);
    else
        answered_read(conn, answer);
}

static void
stats_begin(struct load *load, uint64_t now)
{
    memset(&load->stats, 0, sizeof load->stats);
    load->stats.begin_ns = load->stats.end_ns = now;
    load->stats.last_ok_ns = load->stats.gap_at_ns = now;
    load->measuring = true;
}

static void
phase_begin(struct load *load, enum load_phase phase)
{
    uint64_t now = load_now();
    uint64_t settle = (uint64_t)load->config.settle_s * 1000000000u;

    load->phase = phase;
    if (phase == LOAD_PHASE_DONE)
        return;
    load->next_key = 0;
    load->give_up_ns = now + settle;
    if (phase == LOAD_PHASE_RUN) {
        load->run_begin_ns = now;
        load->phase_end_ns =
            now + (uint64_t)load->config.duration_s * 1000000000u;
        load->give_up_ns = load->phase_end_ns + settle;
        if (load->config.warmup_s == 0)
            stats_begin(load, now);
    }
    load->busy = load->config.connections;
    for (uint32_t i = 0; i < load->config.connections; i++)
        conn_next(&load->conns[i], now);
}

static void
phase_next(struct load *load)
{
    if (load->phase == LOAD_PHASE_BASE)
        phase_begin(load, LOAD_PHASE_RUN);
    else if (load->phase == LOAD_PHASE_RUN && load->config.ledger)
        phase_begin(load, LOAD_PHASE_VERIFY);
    else
        phase_begin(load, LOAD_PHASE_DONE);
}

/* Retries that are due, and requests that nobody answers. */
static void
load_timers(struct load *load, uint64_t now)
{
    uint64_t timeout = (uint64_t)load->config.timeout_ms * 1000000u;

    for (uint32_t i = 0; i < load->config.connections; i++) {
        struct load_conn *conn = &load->conns[i];

        if (conn->state == LOAD_CONN_WAITING && now >= conn->wake_ns) {
            load->waiting--;
            if (conn->has_op)
                load_conn_attempt(conn);
            else
                conn_next(conn, now);
        } else if ((conn->state == LOAD_CONN_CONNECTING ||
                    conn->state == LOAD_CONN_SENDING ||
                    conn->state == LOAD_CONN_READING) &&
                   now > conn->sent_ns + timeout) {
            load_conn_fail(conn, true);
        }
    }
}

static void
load_run(struct load *load)
{
    struct epoll_event events[256];
    uint64_t scanned = 0;

    phase_begin(load, load->config.ledger && load->config.prefix[0] != '\0'
                          ? LOAD_PHASE_BASE
                          : LOAD_PHASE_RUN);
    while (load->phase != LOAD_PHASE_DONE) {
        uint32_t pause = load->config.retry_ms < 5 ? load->config.retry_ms : 5;
        int count = epoll_wait(load->epoll, events, 256,
                               load->waiting > 0 ? (int)pause : 100);
        uint64_t now;

        for (int i = 0; i < count; i++)
            load_conn_event(events[i].data.ptr, events[i].events);
        now = load_now();
        if (load->phase == LOAD_PHASE_RUN && !load->measuring &&
            now >= load->run_begin_ns +
                       (uint64_t)load->config.warmup_s * 1000000000u)
            stats_begin(load, now);
        if (load->waiting > 0 || now - scanned > 100000000u) {
            load_timers(load, now);
            scanned = now;
        }
        while (load->busy == 0 && load->phase != LOAD_PHASE_DONE)
            phase_next(load);
    }
}

static enum plex_status
load_resolve(struct load *load, struct plex_err *err)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *text = load->config.url;
    char name[128];
    char *colon;

    if (strncmp(text, "http://", 7) != 0 || strlen(text + 7) >= sizeof name)
        return plex_err_set(err, PLEX_INVALID,
                            "url %s is not of the form http://host:port", text);
    (void)snprintf(name, sizeof name, "%s", text + 7);
    name[strcspn(name, "/")] = '\0';
    (void)snprintf(load->host, sizeof load->host, "%s", name);
    colon = strrchr(name, ':');
    if (colon != NULL)
        *colon = '\0';
    if (getaddrinfo(name, colon != NULL ? colon + 1 : "80", &hints, &found) !=
        0)
        return plex_err_set(err, PLEX_INVALID, "url %s: unknown host or port",
                            text);
    memcpy(&load->addr, found->ai_addr, sizeof load->addr);
    freeaddrinfo(found);
    return PLEX_OK;
}

static enum plex_status
load_open(struct load *load, struct plex_err *err)
{
    const struct load_config *config = &load->config;
    enum plex_status status = load_resolve(load, err);

    if (status != PLEX_OK)
        return status;
    if (strcmp(config->mode, "get") != 0 &&
        strcmp(config->mode, "increment") != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "mode %s is unknown; known are increment and get",
                            config->mode);
    if (strlen(config->prefix) >= 40 || strlen(config->type) > 128)
        return plex_err_set(err, PLEX_INVALID, "prefix or type is too long");
    if (config->prefix[0] != '\0')
        (void)snprintf(load->prefix, sizeof load->prefix, "%s", config->prefix);
    else
        (void)snprintf(load->prefix, sizeof load->prefix, "load-%lx-%x",
                       (long)time(NULL), (unsigned)getpid());
    load->random = config->seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->conns = calloc(config->connections, sizeof *load->conns);
    if (load->epoll < 0 || load->conns == NULL)
        return plex_err_set(err, PLEX_UNAVAILABLE, "no epoll or no memory");
    for (uint32_t i = 0; i < config->connections; i++) {
        load->conns[i].load = load;
        load->conns[i].fd = -1;
    }
    load_ledger_init(&load->ledger, config->keys);
    return PLEX_OK;
}

int
main(int argc, char **argv)
{
    static struct load load;
    const struct plex_option *const tables[] = {options, NULL};
    struct plex_setting given[32] = {0};
    struct plex_err err;
    bool good;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)printf("plex-load: call the demo's counters over HTTP\n\n");
        plex_options_help(options, "load");
        return 0;
    }
    if (plex_options_argv(tables, argc, argv, given, 31, &err) != PLEX_OK ||
        plex_options_load(options, "load", given, &load.config, &err) !=
            PLEX_OK ||
        load_open(&load, &err) != PLEX_OK) {
        (void)fprintf(stderr, "plex-load: %s\n", err.text);
        return 2;
    }
    load_run(&load);
    good = load_print(&load);
    if (load.incomplete) {
        (void)fprintf(stderr, "plex-load: not every key could be read\n");
        good = false;
    }
    good = good && load.stats.count > 0;
    for (uint32_t i = 0; i < load.config.connections; i++)
        load_conn_close(&load.conns[i]);
    (void)close(load.epoll);
    load_ledger_free(&load.ledger);
    free(load.conns);
    return good ? 0 : 1;
}
