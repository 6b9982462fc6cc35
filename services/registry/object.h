#ifndef SERVICES_REGISTRY_OBJECT_H
#define SERVICES_REGISTRY_OBJECT_H

#include "services/registry/client.h"
#include "services/registry/keep.h"

/*
 * The object registry of tenants: what exists, how it is, where it can be
 * found. The state machine.
 *
 * An object is named by its type and id within a tenant and namespace. One with
 * a ttl is gone when it has not been heard of for so long. Heartbeats are
 * stored when they change the health, else at most once in STORE_MS; after a
 * restart every object has its whole ttl again, so that none is lost early.
 *
 * Objects of the suite itself are "managed": they come from the catalogue, are
 * never stored, and nobody else changes them.
 */
struct reg_objects;

enum {
    REG_OBJECT_ID_MAX = 512,
    REG_OBJECT_TEXT_MAX = 255, /* category, node, address, ... */
    REG_OBJECT_LIST_MAX = 64,  /* capabilities, labels, metadata, metrics */
    REG_OBJECT_ITEM_MAX = 255, /* one capability, label or metric's name */
    REG_OBJECT_METADATA_MAX = 4096, /* one value */
    REG_OBJECT_BYTES_MAX = 65536,   /* all of it */
    REG_OBJECT_TTL_MIN_MS = 1000,
    REG_OBJECT_PAGE_MAX = 1000,
    REG_OBJECT_PAGE_BYTES = 4 << 20, /* a page ends there */
    REG_OBJECT_SCAN_MAX = 10000,     /* looked at for one page */
    REG_OBJECT_STORE_MS = 60000,
};
#define REG_OBJECT_TTL_MAX_MS UINT64_C(2592000000) /* 30 days */

/* Numbers of the proto, and of stores: they never change. */
enum reg_object_type {
    REG_OBJECT_ACTOR = 1,
    REG_OBJECT_APPLICATION = 5,
    REG_OBJECT_NODE = 7
};
enum reg_object_health {
    REG_HEALTH_UNKNOWN = 1,
    REG_HEALTH_HEALTHY,
    REG_HEALTH_DEGRADED,
    REG_HEALTH_UNHEALTHY,
    REG_HEALTH_STARTING,
    REG_HEALTH_STOPPING,
};
enum { REG_OBJECT_TYPES = 7, REG_OBJECT_HEALTHS = 6 };

struct reg_texts {
    const char *const *at;
    size_t n;
};
struct reg_metric {
    const char *name;
    double value;
};
/* Texts are never NULL. */
struct reg_object {
    uint32_t type, health;
    const char *tenant, *ns, *id;
    const char *category, *node_id, *address, *version, *reason;
    struct reg_texts capabilities, labels;
    const struct reg_pair *metadata;
    size_t n_metadata;
    const struct reg_metric *metrics;
    size_t n_metrics;
    uint64_t ttl_ms; /* 0: for ever */
    /* Not given by who registers. */
    uint64_t left_ms, created_ms, updated_ms, heartbeat_ms, heartbeats;
    uint64_t revision;
    bool managed;
};
/* Bytes of a copy, which is what limits count. */
size_t reg_object_size(const struct reg_object *object);
/* One piece of memory: free(). */
struct reg_object *reg_object_copy(const struct reg_object *object);

enum reg_object_op {
    REG_OBJECT_REGISTER = 1, /* `object` */
    REG_OBJECT_UNREGISTER,   /* `name` */
    REG_OBJECT_LOOKUP,       /* `name` */
    REG_OBJECT_DISCOVER,     /* `filter`, `after`, `page_size` */
    REG_OBJECT_HEARTBEAT,    /* `beats`, exactly one */
    REG_OBJECT_HEARTBEATS,   /* `beats` */
    REG_OBJECT_COUNT,        /* by type and health */
};
struct reg_object_name {
    uint32_t type; /* 0: whichever has the id, if only one has */
    const char *id;
};
struct reg_object_beat {
    struct reg_object_name name;
    uint32_t health;                  /* 0: as it is */
    const char *reason;               /* goes with health */
    const struct reg_metric *metrics; /* none: as they are */
    size_t n_metrics;
};
/* All of it must hold; what is empty always does. */
struct reg_object_filter {
    uint32_t types, healths; /* masks: 1 << number; any */
    const char *category, *node_id, *id_prefix;
    struct reg_texts capabilities; /* all */
    struct reg_texts labels;       /* any */
    uint64_t age_max_ms;           /* of the last heartbeat */
};
/* Where a page goes on: behind this one. */
struct reg_object_place {
    uint64_t created_ms;
    const char *ns, *id;
    uint32_t type; /* 0: from the beginning */
};
/* Checked by the caller (wire_object.h); borrowed for the call. `ns` is "*" for
 * every namespace of the tenant in DISCOVER and COUNT. */
struct reg_object_request {
    enum reg_object_op op;
    const char *tenant, *ns;
    struct reg_object object;
    struct reg_object_name name;
    const struct reg_object_beat *beats;
    size_t n_beats;
    struct reg_object_filter filter;
    struct reg_object_place after;
    uint32_t page_size;
};

/* action.answer of a reply that is PLEX_OK. */
struct reg_object_answer {
    enum reg_object_op op;
    struct reg_object **objects; /* owned, as each is */
    size_t n_objects;
    bool more;
    struct reg_object *last; /* with `more`: the page ends there; owned */
    uint64_t accepted;       /* HEARTBEATS */
    struct reg_object_name *missing; /* HEARTBEATS: owned, as their ids are */
    size_t n_missing;
    uint64_t counts[REG_OBJECT_TYPES + 1][REG_OBJECT_HEALTHS + 1];
};
/* action.answer of a row; with `gone` only its name matters. */
struct reg_object_row {
    bool gone;
    struct reg_object *object; /* owned */
};
void reg_object_action_free(struct reg_keep_action *action);

struct reg_object_config {
    uint64_t objects_max, bytes_max;
};
extern const struct reg_object_config reg_object_defaults;

struct reg_objects *reg_objects_create(const struct reg_object_config *config);
void reg_objects_free(struct reg_objects *objects); /* accepts NULL */
/* At start, in any order, perhaps twice; then reg_objects_loaded(). */
void reg_objects_load(struct reg_objects *objects,
                      const struct reg_object *object, struct reg_when when);
void reg_objects_loaded(struct reg_objects *objects, uint64_t revision);

/* Ends with exactly one reply. Errors: NOT_FOUND, CONFLICT (a managed object,
 * or an id of several types), LIMIT. */
void reg_objects_request(struct reg_objects *objects, void *call,
                         const struct reg_object_request *request,
                         struct reg_when when);
void reg_objects_tick(struct reg_objects *objects, struct reg_when when);

/* Managed objects: begin, one call for each that there is, end, which drops
 * those that were not named. One that a tenant has registered itself stays.
 * `version` is the catalogue's. */
void reg_objects_managed_begin(struct reg_objects *objects, uint64_t version);
void reg_objects_managed(struct reg_objects *objects,
                         const struct reg_object *object);
void reg_objects_managed_end(struct reg_objects *objects);
/* Of the last time; 0 before the first. */
uint64_t reg_objects_managed_version(const struct reg_objects *objects);

bool reg_objects_next(struct reg_objects *objects, struct reg_keep_action *out);
uint64_t reg_objects_wake(const struct reg_objects *objects);
/* The last revision given. */
uint64_t reg_objects_revision(const struct reg_objects *objects);
struct reg_object_stats {
    uint64_t objects, bytes;
};
struct reg_object_stats reg_objects_stats(const struct reg_objects *objects);

#endif
