#ifndef TESTS_UNIT_REGISTRY_OBJECT_WORLD_H
#define TESTS_UNIT_REGISTRY_OBJECT_WORLD_H

#include "services/registry/object.h"

/* Objects, a clock and what the store would have, for tests. */
enum { MS = 1000000, WORLD_KEPT = 64 };
extern struct reg_objects *world_objects;
extern struct reg_when world_when;
extern struct reg_object *world_store[WORLD_KEPT];

/* The last reply that was PLEX_OK. */
const struct reg_object_answer *world_told(void);
/* So much later, and what falls due then. */
void world_later(uint64_t ms);
struct reg_object world_object(uint32_t type, const char *id);
struct reg_object_request world_request(enum reg_object_op op);
/* In namespace "n" of tenant "t", unless it says otherwise. */
enum plex_status world_send(const struct reg_object_request *what);
enum plex_status world_add(const struct reg_object *what);
enum plex_status world_add_plain(uint32_t type, const char *id,
                                 uint64_t ttl_ms);
enum plex_status world_by_name(enum reg_object_op op, uint32_t type,
                               const char *id);
enum plex_status world_look(uint32_t type, const char *id);
enum plex_status world_beat(uint32_t type, const char *id, uint32_t health,
                            const char *reason);
/* The ids of what is found, in order: "a b". */
const char *world_found(const struct reg_object_request *what);
/* From the store. */
void world_restart(void);
void world_setup(void);
void world_teardown(void);

#endif
