#ifndef SERVICES_REGISTRY_KV_PRIVATE_H
#define SERVICES_REGISTRY_KV_PRIVATE_H

#include "services/registry/kv.h"
#include "services/registry/ordered.h"

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/* Shared by kv.c (keys, expiry, requests remembered), kv_request.c (what the
 * operations do) and kv_watch.c (events and who waits for them). */

/* A key that exists; the node's key is inside the record: tenant, namespace and
 * key, each but the last with its NUL. */
struct reg_kv_entry {
    struct reg_ordered_node node;
    struct reg_kv_rec *rec;
    uint64_t expires_ns;
    size_t heap_at; /* 1-based; 0: never expires */
};
/* What a namespace holds; the key is "tenant/namespace". */
struct reg_kv_space {
    UT_hash_handle hh;
    uint64_t keys, value_bytes;
    char name[];
};
/* A request id; the key is "tenant/namespace/id". */
struct reg_kv_seen {
    UT_hash_handle hh;
    struct reg_kv_seen *next; /* in order of at_ms */
    uint64_t digest, at_ms;
    struct reg_kv_outcome outcome;
    char name[];
};
struct reg_kv_watcher {
    struct reg_kv_watcher *next;
    void *call;
    char *tenant, *ns, *key; /* or the prefix */
    bool prefix, as_text;
    uint32_t method;
    uint64_t since, deadline_ns;
};

struct reg_kv {
    struct reg_kv_config config;
    struct reg_ordered map;
    struct reg_kv_entry **heap; /* by expires_ns */
    size_t heap_n, heap_cap;
    struct reg_kv_space *spaces;
    uint64_t bytes; /* of records that are in the map */
    uint64_t revision;
    struct reg_kv_seen *seen, *seen_first, **seen_tail;
    struct reg_kv_event *events; /* a ring */
    size_t events_head, events_n;
    uint64_t events_bytes;
    uint64_t forgotten; /* revision of the last event that is not there */
    uint64_t told;      /* watchers know up to here */
    struct reg_kv_watcher *watchers, **watchers_tail;
    uint32_t n_watchers;
    struct reg_keep_queue queue;
};

/* kv.c */
struct reg_kv_rec *reg_kv_rec_make(const char *tenant, const char *ns,
                                   const char *key, struct plex_bytes value);
struct reg_kv_rec *reg_kv_rec_ref(struct reg_kv_rec *rec);
uint64_t reg_kv_rec_bytes(const struct reg_kv_rec *rec);
struct reg_kv_entry *reg_kv_find(const struct reg_kv *kv, const char *tenant,
                                 const char *ns, const char *key);
/* "tenant NUL namespace NUL text" into `out`, whose data is on the heap. */
void reg_kv_path(struct plex_buf *out, const char *tenant, const char *ns,
                 const char *text);
/* The key is `rec` from now on (whose reference is taken), with a revision,
 * an event and a row. */
void reg_kv_put(struct reg_kv *kv, struct reg_kv_rec *rec,
                struct reg_when when);
void reg_kv_remove(struct reg_kv *kv, struct reg_kv_entry *entry,
                   enum reg_kv_event_kind why);
const struct reg_kv_space *reg_kv_space(const struct reg_kv *kv,
                                        const char *tenant, const char *ns);
struct reg_kv_seen *reg_kv_seen_find(const struct reg_kv *kv,
                                     const struct reg_kv_request *request);
void reg_kv_remember(struct reg_kv *kv, const struct reg_kv_request *request,
                     const struct reg_kv_outcome *outcome,
                     struct reg_when when);

/* kv_watch.c */
void reg_kv_event(struct reg_kv *kv, enum reg_kv_event_kind kind,
                  struct reg_kv_rec *rec); /* at kv->revision */
void reg_kv_watch(struct reg_kv *kv, void *call,
                  const struct reg_kv_request *request, struct reg_when when);
/* Answer whoever has something to hear, or has waited long enough. */
void reg_kv_watchers(struct reg_kv *kv, struct reg_when when);
void reg_kv_watch_free(struct reg_kv *kv);
uint64_t reg_kv_watch_wake(const struct reg_kv *kv);

struct reg_kv_answer *reg_kv_answer(struct reg_kv *kv, void *call,
                                    uint32_t method);

#endif
