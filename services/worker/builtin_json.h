#ifndef SERVICES_WORKER_BUILTIN_JSON_H
#define SERVICES_WORKER_BUILTIN_JSON_H

#include <jansson.h>
#include <stdint.h>

/* Fields of JSON states and requests; what is not there is "" and 0. */
static inline const char *
work_json_text(const json_t *json, const char *field)
{
    const char *value = json_string_value(json_object_get(json, field));

    return value == NULL ? "" : value;
}
static inline int64_t
work_json_number(const json_t *json, const char *field)
{
    return json_integer_value(json_object_get(json, field));
}
static inline void
work_json_set(json_t *json, const char *field, int64_t value)
{
    json_object_set_new(json, field, json_integer(value));
}
static inline void
work_json_count(json_t *json, const char *field)
{
    work_json_set(json, field, work_json_number(json, field) + 1);
}

/*
 * Durations as a histogram inside a JSON state: counts of buckets that are a
 * quarter of an octave wide, so that a percentile is at most 25 % too high.
 * What came lately counts most: at BUILTIN_SPREAD_MAX all counts are halved.
 */
enum { BUILTIN_SPREAD_MAX = 4096 };
void work_spread_add(json_t *state, const char *field, int64_t ms);
/* {"count","p50_ms","p95_ms","p99_ms","max_ms"}, new: of what it remembers. */
json_t *work_spread_show(const json_t *state, const char *field);

#endif
