#ifndef SERVICES_TUPLESPACE_CLIENT_JSON_H
#define SERVICES_TUPLESPACE_CLIENT_JSON_H

#include "common/arena.h"

#include <jansson.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

/* What the files client_json*.c share. */
#define PB(name) Plexspaces__Tuplespace__V1__##name

enum {
    TSPACE_JSON_LIST_MAX = 1000, /* fields, values, matchers of one list */
    TSPACE_JSON_DEPTH_MAX = 8,   /* lists and matchers within each other */
};

struct tspace_json {
    struct plex_arena *arena;
    struct plex_err *err;
    unsigned depth;
};

/* NULL: the arena is full, which `err` then says. */
void *tspace_json_alloc(struct tspace_json *in, size_t size);
/* PLEX_INVALID unless it is a list of 1 to TSPACE_JSON_LIST_MAX. */
enum plex_status tspace_json_list(struct tspace_json *in, const json_t *json,
                                  const char *what);

/* Into initialised messages. PLEX_INVALID says what is wrong. */
enum plex_status tspace_json_field(struct tspace_json *in, const json_t *json,
                                   PB(Field) * out);
enum plex_status tspace_json_fields(struct tspace_json *in, const json_t *json,
                                    size_t *n, PB(Field) * **out);
/* {"bytes": ...} and the like: true when the object is a value. */
bool tspace_json_is_value(const json_t *object);

enum plex_status tspace_json_template(struct tspace_json *in,
                                      const json_t *json, PB(Template) * out);
enum plex_status tspace_json_pattern(struct tspace_json *in, const json_t *json,
                                     PB(Pattern) * out);

#endif
