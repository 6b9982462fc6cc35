/* What the operations do. */
#include "services/registry/kv_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reg_kv_answer *
reg_kv_answer(struct reg_kv *kv, void *call, uint32_t method)
{
    struct reg_keep_action *action = reg_keep_push(&kv->queue, REG_KEEP_REPLY);
    struct reg_kv_answer *answer = plex_calloc(1, sizeof *answer);

    answer->method = method;
    action->call = call;
    action->answer = answer;
    return answer;
}

/* -- reading --------------------------------------------------------------- */

static void
answer_add(struct reg_kv_answer *answer, size_t max, struct reg_kv_rec *rec)
{
    if (answer->recs == NULL)
        answer->recs = plex_calloc(max, sizeof(void *));
    answer->recs[answer->n_recs++] = reg_kv_rec_ref(rec);
}

static enum plex_status
not_found(const struct reg_kv_request *request, struct plex_err *err)
{
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "no key \"%.100s\" in namespace \"%s\"", request->key,
                        request->ns);
}

static struct reg_kv_entry *
find(const struct reg_kv *kv, const struct reg_kv_request *request)
{
    return reg_kv_find(kv, request->tenant, request->ns, request->key);
}

static enum plex_status
get(struct reg_kv *kv, const struct reg_kv_request *request,
    struct reg_kv_answer *answer, struct plex_err *err)
{
    struct reg_kv_entry *entry = find(kv, request);

    if (entry == NULL)
        return not_found(request, err);
    answer_add(answer, 1, entry->rec);
    return PLEX_OK;
}

static void
multi_get(struct reg_kv *kv, const struct reg_kv_request *request,
          struct reg_kv_answer *answer)
{
    for (size_t i = 0; i < request->n_pairs; i++) {
        struct reg_kv_entry *entry = reg_kv_find(
            kv, request->tenant, request->ns, request->pairs[i].key);

        if (entry != NULL)
            answer_add(answer, request->n_pairs, entry->rec);
    }
}

static void
list(struct reg_kv *kv, const struct reg_kv_request *request,
     struct reg_kv_answer *answer)
{
    const bool after = request->after[0] != '\0' &&
                       strcmp(request->after, request->prefix) >= 0;
    struct plex_buf prefix = {0}, from = {0};
    struct reg_ordered_node *node;
    uint64_t bytes = 0;

    reg_kv_path(&prefix, request->tenant, request->ns, request->prefix);
    reg_kv_path(&from, request->tenant, request->ns,
                after ? request->after : request->prefix);
    node = reg_ordered_seek(&kv->map, (struct plex_bytes){from.data, from.len},
                            after);
    while (node != NULL &&
           reg_bytes_begin(reg_ordered_key(node),
                           (struct plex_bytes){prefix.data, prefix.len})) {
        struct reg_kv_rec *rec = ((struct reg_kv_entry *)node)->rec;

        answer->more =
            answer->n_recs == request->page_size ||
            (bytes + rec->value.len > REG_KV_BATCH_BYTES && answer->n_recs > 0);
        if (answer->more)
            break;
        bytes += request->with_values ? rec->value.len : 0;
        answer_add(answer, request->page_size, rec);
        node = reg_ordered_seek(&kv->map, reg_ordered_key(node), true);
    }
    answer->revision = kv->revision;
    plex_buf_free(&prefix);
    plex_buf_free(&from);
}

static void
count_one(void *arg, struct reg_ordered_node *node)
{
    (void)node;
    (*(uint64_t *)arg)++;
}

static uint64_t
count(const struct reg_kv *kv, const struct reg_kv_request *request)
{
    const struct reg_kv_space *space =
        reg_kv_space(kv, request->tenant, request->ns);
    struct plex_buf prefix = {0};
    uint64_t n = 0;

    if (request->prefix[0] == '\0')
        return space == NULL ? 0 : space->keys;
    reg_kv_path(&prefix, request->tenant, request->ns, request->prefix);
    reg_ordered_each(&kv->map, (struct plex_bytes){prefix.data, prefix.len},
                     count_one, &n);
    plex_buf_free(&prefix);
    return n;
}

static void
stats(const struct reg_kv *kv, const struct reg_kv_request *request,
      struct reg_kv_answer *answer)
{
    const struct reg_kv_space *space =
        reg_kv_space(kv, request->tenant, request->ns);

    answer->keys = space == NULL ? 0 : space->keys;
    answer->value_bytes = space == NULL ? 0 : space->value_bytes;
    answer->keys_total = kv->map.n;
    answer->bytes_total = kv->bytes;
    answer->watchers = kv->n_watchers;
    answer->revision = kv->revision;
}

/* -- changing -------------------------------------------------------------- */

static struct reg_kv_rec *
rec_of(const struct reg_kv_request *request, const char *key,
       struct plex_bytes value, uint64_t expires_ms)
{
    struct reg_kv_rec *rec =
        reg_kv_rec_make(request->tenant, request->ns, key, value);

    rec->expires_ms = expires_ms;
    return rec;
}

/* Is there room for `keys` more keys and `bytes` more bytes? */
static enum plex_status
room_check(const struct reg_kv *kv, uint64_t keys, uint64_t bytes,
           struct plex_err *err)
{
    if (kv->map.n + keys > kv->config.keys_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "there are %zu keys, at most %" PRIu64
                            " (kv_keys_max)",
                            kv->map.n, kv->config.keys_max);
    if (kv->bytes + bytes > kv->config.bytes_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "keys and values take %" PRIu64
                            " bytes, at most %" PRIu64 " (kv_memory_max_bytes)",
                            kv->bytes, kv->config.bytes_max);
    return PLEX_OK;
}

/* Takes the record. */
static enum plex_status
put_checked(struct reg_kv *kv, struct reg_kv_entry *old, struct reg_kv_rec *rec,
            struct reg_kv_outcome *out, struct reg_when when,
            struct plex_err *err)
{
    const uint64_t bytes = reg_kv_rec_bytes(rec);
    const uint64_t before = old == NULL ? 0 : reg_kv_rec_bytes(old->rec);

    if (bytes > before &&
        room_check(kv, old == NULL ? 1 : 0, bytes - before, err) != PLEX_OK) {
        reg_kv_rec_unref(rec);
        return err->status;
    }
    reg_kv_put(kv, rec, when);
    out->done = true;
    out->version = kv->revision;
    return PLEX_OK;
}

static enum plex_status
put(struct reg_kv *kv, const struct reg_kv_request *request,
    struct reg_kv_outcome *out, struct reg_when when, struct plex_err *err)
{
    const uint64_t expires_ms =
        request->ttl_ms == 0 ? 0 : when.wall_ms + request->ttl_ms;

    return put_checked(
        kv, find(kv, request),
        rec_of(request, request->key, request->value, expires_ms), out, when,
        err);
}

static enum plex_status
multi_put(struct reg_kv *kv, const struct reg_kv_request *request,
          struct reg_kv_outcome *out, struct reg_when when,
          struct plex_err *err)
{
    uint64_t keys = 0, bytes = 0;

    for (size_t i = 0; i < request->n_pairs; i++) {
        const struct reg_kv_pair *pair = &request->pairs[i];

        keys +=
            reg_kv_find(kv, request->tenant, request->ns, pair->key) == NULL;
        bytes += pair->value.len + strlen(pair->key) + 256;
    }
    if (room_check(kv, keys, bytes, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < request->n_pairs; i++)
        reg_kv_put(
            kv,
            rec_of(request, request->pairs[i].key, request->pairs[i].value, 0),
            when);
    out->done = true;
    out->version = kv->revision;
    return PLEX_OK;
}

static enum plex_status
refresh(struct reg_kv *kv, const struct reg_kv_request *request,
        struct reg_kv_outcome *out, struct reg_when when, struct plex_err *err)
{
    struct reg_kv_entry *entry = find(kv, request);
    const uint64_t expires_ms =
        request->ttl_ms == 0 ? 0 : when.wall_ms + request->ttl_ms;

    if (entry == NULL)
        return not_found(request, err);
    return put_checked(
        kv, entry, rec_of(request, request->key, entry->rec->value, expires_ms),
        out, when, err);
}

static bool
cas_matches(const struct reg_kv_request *request,
            const struct reg_kv_entry *entry)
{
    if (request->expect_version)
        return entry != NULL && entry->rec->version == request->version;
    if (!request->expect_value)
        return entry == NULL;
    return entry != NULL &&
           reg_bytes_compare(entry->rec->value, request->expected) == 0;
}

static enum plex_status
cas(struct reg_kv *kv, const struct reg_kv_request *request,
    struct reg_kv_outcome *out, struct reg_when when, struct plex_err *err)
{
    struct reg_kv_entry *entry = find(kv, request);

    if (!cas_matches(request, entry)) {
        out->version = entry == NULL ? 0 : entry->rec->version;
        return PLEX_OK;
    }
    return put_checked(kv, entry,
                       rec_of(request, request->key, request->value,
                              entry == NULL ? 0 : entry->rec->expires_ms),
                       out, when, err);
}

/* "-12", without leading zeros or blanks. */
static bool
number_parse(struct plex_bytes text, int64_t *out)
{
    char copy[24], back[24];

    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *out = strtoll(copy, NULL, 10);
    (void)snprintf(back, sizeof back, "%" PRId64, *out);
    return strcmp(copy, back) == 0;
}

static enum plex_status
increment(struct reg_kv *kv, const struct reg_kv_request *request,
          struct reg_kv_outcome *out, struct reg_when when,
          struct plex_err *err)
{
    struct reg_kv_entry *entry = find(kv, request);
    int64_t number = 0;
    char text[24];
    int len;

    if (entry != NULL && !number_parse(entry->rec->value, &number))
        return plex_err_set(err, PLEX_INVALID,
                            "the value of \"%.100s\" is no whole number of 64 "
                            "bits as text",
                            request->key);
    if (__builtin_add_overflow(number, request->delta, &number))
        return plex_err_set(err, PLEX_INVALID,
                            "\"%.100s\" would leave the range of 64 bits",
                            request->key);
    len = snprintf(text, sizeof text, "%" PRId64, number);
    out->number = number;
    return put_checked(
        kv, entry,
        rec_of(request, request->key,
               (struct plex_bytes){(const uint8_t *)text, (size_t)len},
               entry == NULL ? 0 : entry->rec->expires_ms),
        out, when, err);
}

struct collecting {
    struct reg_kv_entry **entries;
    size_t n, cap;
};

static void
collect_one(void *arg, struct reg_ordered_node *node)
{
    struct collecting *to = arg;

    if (to->n == to->cap) {
        to->cap = to->cap == 0 ? 64 : to->cap * 2;
        to->entries =
            plex_reallocarray(to->entries, to->cap, sizeof *to->entries);
    }
    to->entries[to->n++] = (struct reg_kv_entry *)node;
}

static void
clear(struct reg_kv *kv, const struct reg_kv_request *request,
      struct reg_kv_outcome *out)
{
    struct collecting found = {0};
    struct plex_buf prefix = {0};

    reg_kv_path(&prefix, request->tenant, request->ns, request->prefix);
    reg_ordered_each(&kv->map, (struct plex_bytes){prefix.data, prefix.len},
                     collect_one, &found);
    for (size_t i = 0; i < found.n; i++)
        reg_kv_remove(kv, found.entries[i], REG_KV_EVENT_DELETE);
    out->count = found.n;
    free(found.entries);
    plex_buf_free(&prefix);
}

static enum plex_status
change(struct reg_kv *kv, const struct reg_kv_request *request,
       struct reg_kv_outcome *out, struct reg_when when, struct plex_err *err)
{
    struct reg_kv_entry *entry;

    switch (request->op) {
    case REG_KV_PUT:
        return put(kv, request, out, when, err);
    case REG_KV_MULTI_PUT:
        return multi_put(kv, request, out, when, err);
    case REG_KV_REFRESH:
        return refresh(kv, request, out, when, err);
    case REG_KV_CAS:
        return cas(kv, request, out, when, err);
    case REG_KV_INCREMENT:
        return increment(kv, request, out, when, err);
    case REG_KV_CLEAR:
        clear(kv, request, out);
        return PLEX_OK;
    default:
        entry = find(kv, request);
        out->done = entry != NULL;
        if (entry != NULL)
            reg_kv_remove(kv, entry, REG_KV_EVENT_DELETE);
        return PLEX_OK;
    }
}

/* -- one request ----------------------------------------------------------- */

static bool
is_change(enum reg_kv_op op)
{
    return op == REG_KV_PUT || op == REG_KV_DELETE || op == REG_KV_MULTI_PUT ||
           op == REG_KV_REFRESH || op == REG_KV_CAS || op == REG_KV_INCREMENT ||
           op == REG_KV_CLEAR;
}

static void
change_request(struct reg_kv *kv, void *call,
               const struct reg_kv_request *request, struct reg_when when)
{
    const struct reg_kv_seen *seen =
        request->request_id[0] == '\0' ? NULL : reg_kv_seen_find(kv, request);
    struct reg_kv_outcome outcome = {0};
    struct plex_err err = {0};

    if (seen != NULL && seen->digest != request->digest) {
        (void)plex_err_set(&err, PLEX_MISMATCH,
                           "request id \"%.64s\" was used for another request",
                           request->request_id);
        reg_keep_fail(&kv->queue, call, &err);
        return;
    }
    if (seen != NULL) {
        reg_kv_answer(kv, call, request->method)->outcome = seen->outcome;
        return;
    }
    if (change(kv, request, &outcome, when, &err) != PLEX_OK) {
        reg_keep_fail(&kv->queue, call, &err);
        return;
    }
    reg_kv_remember(kv, request, &outcome, when);
    reg_kv_answer(kv, call, request->method)->outcome = outcome;
    reg_kv_watchers(kv, when);
}

/* GET is the only one that can fail, and it fails before it is answered. */
static void
read_request(struct reg_kv *kv, void *call,
             const struct reg_kv_request *request, struct reg_when when)
{
    struct reg_kv_answer *answer;
    struct plex_err err = {0};

    if (request->op == REG_KV_GET && find(kv, request) == NULL) {
        (void)not_found(request, &err);
        reg_keep_fail(&kv->queue, call, &err);
        return;
    }
    answer = reg_kv_answer(kv, call, request->method);
    answer->with_values = request->with_values;
    answer->as_text = request->as_text;
    answer->wall_ms = when.wall_ms;
    if (request->op == REG_KV_GET)
        (void)get(kv, request, answer, &err);
    else if (request->op == REG_KV_MULTI_GET)
        multi_get(kv, request, answer);
    else if (request->op == REG_KV_LIST)
        list(kv, request, answer);
    else if (request->op == REG_KV_COUNT)
        answer->outcome.count = count(kv, request);
    else
        stats(kv, request, answer);
}

void
reg_kv_request(struct reg_kv *kv, void *call,
               const struct reg_kv_request *request, struct reg_when when)
{
    reg_kv_tick(kv, when);
    if (request->op == REG_KV_WATCH)
        reg_kv_watch(kv, call, request, when);
    else if (is_change(request->op))
        change_request(kv, call, request, when);
    else
        read_request(kv, call, request, when);
}
