/* Who of ours is a member of which group: told to each worker that begins a
 * session, because it has forgotten, or never knew. */
#include "services/worker/dist_private.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 1024 };

static size_t
key_of(const struct rt_signal *signal, char *key)
{
    const int len = snprintf(key, KEY_MAX, "%s/%s/%016llx/%s",
                             signal->where.tenant, signal->where.ns,
                             (unsigned long long)signal->from.id, signal->text);

    return len > 0 && len < KEY_MAX ? (size_t)len : 0;
}

static void
join_free(struct work_dist *dist, struct dist_join *join)
{
    HASH_DEL(dist->joins, join);
    free(join->tenant);
    free(join->ns);
    free(join->group);
    free(join);
}

void
dist_join_note(struct work_dist *dist, const struct rt_signal *signal)
{
    const uint64_t times = signal->call == 0 ? 1 : signal->call;
    struct dist_join *join = NULL;
    char key[KEY_MAX];
    const size_t len = key_of(signal, key);

    if (len == 0)
        return; /* a group's name is never so long */
    HASH_FIND(hh, dist->joins, key, len, join);
    if (signal->kind == RT_LEAVE) {
        if (join == NULL)
            return;
        join->count = join->count > times ? join->count - times : 0;
        if (join->count == 0)
            join_free(dist, join);
        return;
    }
    if (join == NULL) {
        join = plex_calloc(1, sizeof *join + len);
        memcpy(join->key, key, len);
        join->key_len = len;
        join->ref = signal->from;
        join->tenant = plex_strdup(signal->where.tenant);
        join->ns = plex_strdup(signal->where.ns);
        join->group = plex_strdup(signal->text);
        HASH_ADD_KEYPTR(hh, dist->joins, join->key, len, join);
    }
    join->count += times;
}

void
dist_joins_send(struct dist_peer *peer)
{
    struct work_dist *dist = peer->dist;
    struct dist_join *join, *next;

    HASH_ITER(hh, dist->joins, join, next)
    {
        const struct rt_signal signal = {
            .kind = RT_JOIN,
            .from = join->ref,
            .where = {join->tenant, join->ns},
            .name = "",
            .text = join->group,
            .reason = "",
            .call = join->count,
        };
        struct dist_item *item = dist_pack(&signal, dist->self);

        if (item == NULL)
            continue;
        atomic_fetch_add(&dist->slots[peer->slot].bytes, item->len);
        dist_queue(peer, item);
    }
}

void
dist_joins_free(struct work_dist *dist)
{
    struct dist_join *join, *next;

    HASH_ITER(hh, dist->joins, join, next)
    {
        join_free(dist, join);
    }
}
