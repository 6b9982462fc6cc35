/* Request ids: the same again gets the first answer. And what a store held. */
#include "services/tuplespace/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
tspace_request_free(struct tspace_core *core, struct request *request)
{
    HASH_DEL(core->requests, request);
    TAILQ_REMOVE(&core->by_age, request, next);
    core->stats.requests--;
    tspace_answer_unref(request->answer);
    free(request);
}

static size_t
request_key(const struct space *space, struct plex_bytes id, uint8_t *key)
{
    assert(id.len == TSPACE_ID_BYTES);
    memcpy(key, space->tenant, space->name_len);
    memcpy(key + space->name_len, id.data, id.len);
    return space->name_len + id.len;
}

struct request *
tspace_request_find(const struct tspace_core *core, const struct space *space,
                    struct plex_bytes id, struct tspace_now now)
{
    uint8_t key[NAME_MAX_BYTES + TSPACE_ID_BYTES];
    const size_t len = request_key(space, id, key);
    struct request *request;

    HASH_FIND(hh, core->requests, key, len, request);
    return request != NULL && request->expires_ms > now.wall_ms ? request
                                                                : NULL;
}

void
tspace_request_forget(struct tspace_core *core, struct request *request)
{
    struct output *output =
        tspace_output_add(core, TSPACE_FORGET, request->space);

    memcpy(output->request_id,
           request->key + request->key_len - TSPACE_ID_BYTES, TSPACE_ID_BYTES);
    tspace_request_free(core, request);
}

static struct request *
request_add(struct tspace_core *core, struct space *space, struct plex_bytes id,
            uint64_t expires_ms, struct answer *answer)
{
    struct request *request = plex_calloc(1, sizeof *request), *old;

    request->key_len = request_key(space, id, request->key);
    request->space = space;
    request->expires_ms = expires_ms;
    request->answer = answer;
    answer->refs++;
    HASH_FIND(hh, core->requests, request->key, request->key_len, old);
    if (old != NULL)
        tspace_request_free(core, old);
    HASH_ADD(hh, core->requests, key, request->key_len, request);
    TAILQ_INSERT_TAIL(&core->by_age, request, next);
    core->stats.requests++;
    return request;
}

void
tspace_request_remember(struct tspace_core *core, struct space *space,
                        struct plex_bytes id, struct tspace_now now,
                        struct answer *answer)
{
    const uint64_t expires_ms = now.wall_ms + TSPACE_REMEMBER_MS;
    struct output *output;

    if (core->stats.requests >= core->config.requests_max)
        tspace_request_forget(core, TAILQ_FIRST(&core->by_age));
    (void)request_add(core, space, id, expires_ms, answer);
    output = tspace_output_add(core, TSPACE_REMEMBER, space);
    memcpy(output->request_id, id.data, TSPACE_ID_BYTES);
    output->expires_ms = expires_ms;
    output->answer = answer;
    answer->refs++;
}

/* -- recovery -------------------------------------------------------------- */

void
tspace_core_restore_tuple(struct tspace_core *core,
                          const struct tspace_where *where,
                          const struct tspace_tuple *tuple)
{
    tspace_entry_add(core, tspace_space_get(core, where),
                     tspace_held_make(tuple));
}

void
tspace_core_restore_request(struct tspace_core *core,
                            const struct tspace_where *where,
                            struct plex_bytes request_id, uint64_t expires_ms,
                            const struct tspace_answer *answer)
{
    struct answer *copy = tspace_answer_make(answer->is_write ? 0 : answer->n);

    copy->pub.is_write = answer->is_write;
    memcpy(copy->pub.first_id, answer->first_id, TSPACE_ID_BYTES);
    if (answer->is_write)
        copy->pub.n = answer->n;
    else
        for (uint32_t i = 0; i < answer->n; i++) {
            struct tspace_held *held = tspace_held_make(answer->tuples[i]);

            tspace_answer_add(copy, held);
            tspace_held_unref(held);
        }
    (void)request_add(core, tspace_space_get(core, where), request_id,
                      expires_ms, copy);
    tspace_answer_unref(copy);
}
