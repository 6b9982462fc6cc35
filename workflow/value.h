#ifndef WORKFLOW_VALUE_H
#define WORKFLOW_VALUE_H

#include "common/bytes.h"

#include <jansson.h>

/*
 * JSON values as the workflow core uses them: jansson's, never changed once
 * something else refers to them, so that steps share what they pass on.
 */

/* Bytes of the compact text, or anything above `max` once it is larger than
 * that; also above `max` when nested deeper than FLOW_DEPTH_MAX. */
size_t flow_value_size(const json_t *value, size_t max);

/* Does a JSON text nest at most FLOW_DEPTH_MAX deep? Asked before it is parsed:
 * parsing takes stack by depth. */
bool flow_json_shallow(const char *text, size_t len);

/* Compact text, keys in the order they were added. Free with free(). */
char *flow_value_text(const json_t *value);

/* Equal as JSON: 1 and 1.0 are equal, the order of keys does not matter. */
bool flow_value_equal(const json_t *a, const json_t *b);

/* -- the compact form ------------------------------------------------------
 * One tag byte, then varints and raw bytes. A container that occurs twice
 * (shared, not merely equal) is written once. */
struct flow_writer {
    struct plex_buf *buf;
    struct flow_seen *seen; /* containers written so far; NULL at first */
    bool full;              /* `buf` had no room: what is in it is useless */
};

void flow_put_u(struct flow_writer *w, uint64_t number);
void flow_put_i(struct flow_writer *w, int64_t number);
void flow_put_text(struct flow_writer *w, const char *text); /* NULL is kept */
void flow_put_value(struct flow_writer *w, json_t *value);   /* NULL is kept */
void flow_writer_fini(struct flow_writer *w);

/* A value that would be larger than FLOW_STATE_MAX with everything that is
 * shared written out makes the reader bad. */
struct flow_reader {
    const uint8_t *at, *end;
    struct flow_found *found; /* containers read so far; NULL at first */
    bool bad; /* truncated or malformed; every later read gives 0 */
};

uint64_t flow_get_u(struct flow_reader *r);
/* At most `max`, else the reader is bad. */
uint64_t flow_get_max(struct flow_reader *r, uint64_t max);
int64_t flow_get_i(struct flow_reader *r);
char *flow_get_text(struct flow_reader *r, size_t max);
json_t *flow_get_value(struct flow_reader *r);
void flow_reader_fini(struct flow_reader *r);

#endif
