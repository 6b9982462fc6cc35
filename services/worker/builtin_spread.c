/* Durations as a histogram inside a JSON state: [[bucket, count]...], in the
 * order of the buckets. */
#include "services/worker/builtin_json.h"

#include <assert.h>

enum { EXACT = 8, BUCKETS = 128 };

/* 0..7 are themselves; then four to each doubling. */
static int
bucket_of(int64_t ms)
{
    int octave = 0, bucket;

    if (ms < EXACT)
        return ms < 0 ? 0 : (int)ms;
    while (ms >> octave >= EXACT)
        octave++;
    bucket = octave * 4 + (int)(ms >> octave);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The largest that is in it. */
static int64_t
top_of(int bucket)
{
    const int octave = (bucket - 4) / 4;

    if (bucket < EXACT)
        return bucket;
    return ((int64_t)(bucket - octave * 4 + 1) << octave) - 1;
}

static int64_t
at(const json_t *pair, size_t i)
{
    return json_integer_value(json_array_get(pair, i));
}

static int64_t
total_of(const json_t *spread)
{
    int64_t n = 0;
    size_t i;
    json_t *pair;

    json_array_foreach(spread, i, pair)
    {
        n += at(pair, 1);
    }
    return n;
}

static void
halve(json_t *spread)
{
    for (size_t i = json_array_size(spread); i-- > 0;) {
        json_t *pair = json_array_get(spread, i);

        json_array_set_new(pair, 1, json_integer(at(pair, 1) / 2));
        if (at(pair, 1) == 0)
            json_array_remove(spread, i);
    }
}

void
work_spread_add(json_t *state, const char *field, int64_t ms)
{
    json_t *spread = json_object_get(state, field), *pair = NULL;
    const int bucket = bucket_of(ms);
    size_t i = 0;

    if (!json_is_array(spread)) {
        spread = json_array();
        json_object_set_new(state, field, spread);
    }
    if (total_of(spread) >= BUILTIN_SPREAD_MAX)
        halve(spread);
    while (i < json_array_size(spread)) {
        pair = json_array_get(spread, i);
        if (at(pair, 0) >= bucket)
            break;
        i++;
    }
    if (i < json_array_size(spread) && at(pair, 0) == bucket)
        json_array_set_new(pair, 1, json_integer(at(pair, 1) + 1));
    else
        json_array_insert_new(spread, i, json_pack("[i, i]", bucket, 1));
}

/* The smallest bucket that `share` of 100 are not above. */
static int64_t
percentile(const json_t *spread, int64_t total, int64_t share)
{
    int64_t below = 0;
    size_t i;
    json_t *pair;

    json_array_foreach(spread, i, pair)
    {
        below += at(pair, 1);
        if (below * 100 >= total * share)
            return top_of((int)at(pair, 0));
    }
    return 0;
}

json_t *
work_spread_show(const json_t *state, const char *field)
{
    const json_t *spread = json_object_get(state, field);
    const int64_t total = total_of(spread);

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)total,
                     "p50_ms", (json_int_t)percentile(spread, total, 50),
                     "p95_ms", (json_int_t)percentile(spread, total, 95),
                     "p99_ms", (json_int_t)percentile(spread, total, 99),
                     "max_ms", (json_int_t)percentile(spread, total, 100));
}
