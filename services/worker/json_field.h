#ifndef SERVICES_WORKER_JSON_FIELD_H
#define SERVICES_WORKER_JSON_FIELD_H

#include "common/bytes.h"

#include <jansson.h>

/*
 * Fields of a JSON object, as plex_json_text and plex_json_int see them. The
 * text is parsed when the first field is asked for.
 */
struct work_json {
    struct plex_bytes text;
    bool parsed;
    json_t *root; /* NULL: no JSON object */
};

void work_json_init(struct work_json *json, struct plex_bytes text);
void work_json_fini(struct work_json *json);
/* 1 found, 0 absent (also: no payload at all), -1 of another type, or the
 * payload is no JSON object. *out is borrowed until fini. */
int work_json_text(struct work_json *json, const char *field, const char **out);
/* Also decimal strings, as query parameters are. */
int work_json_int(struct work_json *json, const char *field, int64_t *out);

#endif
