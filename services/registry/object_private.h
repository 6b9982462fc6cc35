#ifndef SERVICES_REGISTRY_OBJECT_PRIVATE_H
#define SERVICES_REGISTRY_OBJECT_PRIVATE_H

#include "services/registry/object.h"
#include "services/registry/ordered.h"

/* Shared by object.c (life and requests), object_index.c (where objects are
 * found by what they are) and object_copy.c. */

/* All objects of a tenant that have something in common, in the order of their
 * making; the key is the tenant, NUL, what it is, its value. */
struct reg_object_term {
    struct reg_ordered_node node;
    struct reg_ordered map; /* of postings */
    uint8_t key[];
};
struct reg_object_posting {
    struct reg_ordered_node node; /* its key is the object's `order` */
    struct reg_object_entry *entry;
    struct reg_object_term *term;
};
/* How many there are of each in a namespace; the key is tenant, NUL, ns. */
struct reg_object_scope {
    struct reg_ordered_node node;
    uint64_t n;
    uint64_t counts[REG_OBJECT_TYPES + 1][REG_OBJECT_HEALTHS + 1];
    uint8_t key[];
};
struct reg_object_entry {
    struct reg_ordered_node node; /* tenant NUL ns NUL type id */
    struct reg_ordered_node due;  /* when its ttl may be over, and `serial` */
    uint8_t due_key[16];
    uint64_t expires_ns; /* UINT64_MAX: never */
    uint64_t serial;
    uint64_t stored_ms; /* wall clock: its row was last written then */
    struct reg_object *info;
    size_t size;
    struct reg_object_posting *postings; /* that of the health is the first */
    size_t n_postings;
    struct plex_bytes order;       /* when it was made, ns NUL type id */
    bool waits;                    /* `due` is in the map */
    struct reg_object_entry *next; /* of those that are managed */
    bool named;                    /* the same: since managed_begin() */
    uint8_t bytes[];
};
struct reg_objects {
    struct reg_object_config config;
    struct reg_ordered by_name, by_due, terms, scopes;
    uint64_t bytes, revision, serial;
    struct reg_object_entry *managed;
    uint64_t managed_version;
    struct reg_keep_queue queue;
};

struct reg_object_entry *reg_object_find(const struct reg_objects *objects,
                                         const char *tenant, const char *ns,
                                         uint32_t type, const char *id);
/* `info` becomes the entry's. */
struct reg_object_entry *reg_object_add(struct reg_objects *objects,
                                        struct reg_object *info);
void reg_object_replace(struct reg_objects *objects,
                        struct reg_object_entry *entry,
                        struct reg_object *info);
void reg_object_remove(struct reg_objects *objects,
                       struct reg_object_entry *entry);
/* What an entry of it takes. */
size_t reg_object_entry_size(const struct reg_object *info);
/* Its ttl begins anew. */
void reg_object_ttl(struct reg_objects *objects, struct reg_object_entry *entry,
                    struct reg_when when);
void reg_object_row_push(struct reg_objects *objects,
                         struct reg_object_entry *entry, bool gone,
                         struct reg_when when);

/* tenant NUL ns NUL type id, or with type 0 tenant NUL ns NUL; appended. */
void reg_object_path(struct plex_buf *out, const char *tenant, const char *ns,
                     uint32_t type, const char *id);
void reg_object_order(struct plex_buf *out,
                      const struct reg_object_place *place);

void reg_object_index_add(struct reg_objects *objects,
                          struct reg_object_entry *entry);
void reg_object_index_remove(struct reg_objects *objects,
                             struct reg_object_entry *entry);
/* Before info->health becomes `health`. */
void reg_object_index_health(struct reg_objects *objects,
                             struct reg_object_entry *entry, uint32_t health);
/* The next page into `answer`. */
void reg_object_discover(struct reg_objects *objects,
                         const struct reg_object_request *request,
                         struct reg_object_answer *answer,
                         struct reg_when when);
void reg_object_count(struct reg_objects *objects,
                      const struct reg_object_request *request,
                      struct reg_object_answer *answer);
/* A copy with what the time makes of it. */
struct reg_object *reg_object_now(const struct reg_object_entry *entry,
                                  struct reg_when when);

#endif
