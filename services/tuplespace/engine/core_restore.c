/* Back from the store: tuples at once, the records that speak of them when
 * all are there. */
#include "services/tuplespace/engine/record.h"

struct saved {
    struct space *space; /* NULL: of the realm */
    struct realm *realm; /* a use */
    enum tspace_record record;
    struct plex_bytes key, body; /* owned, in one block */
};
struct restore {
    struct item **items;
    uint32_t n_items;
    struct saved *saved;
    uint32_t n_saved;
    struct request **requests;
    uint32_t n_requests;
};

/* Doubles whenever the count is a power of two. */
static void *
grown(void *array, uint32_t n, size_t size)
{
    if ((n & (n - 1)) != 0)
        return array;
    return plex_reallocarray(array, n == 0 ? 1 : 2 * (size_t)n, size);
}

static uint64_t
id_of(const uint8_t *key)
{
    uint64_t id = 0;

    for (int i = 0; i < 8; i++)
        id = id << 8 | key[i];
    return id;
}

static void
id_seen(struct tspace_core *core, uint64_t id)
{
    if (id >= core->next_id)
        core->next_id = id + 1;
}

static enum plex_status
corrupt(struct plex_err *err, enum tspace_record record)
{
    return plex_err_set(err, PLEX_CORRUPT,
                        "a record of kind %d does not decode", (int)record);
}

/* -- taking records -------------------------------------------------------- */

static bool
where_good(const struct tspace_where *where)
{
    return strlen(where->tenant) <= 64 && strlen(where->ns) <= 32 &&
           strlen(where->space) <= TSPACE_NAME_MAX;
}

static enum plex_status
restore_tuple(struct tspace_core *core, struct space *space,
              struct plex_bytes key, struct plex_bytes body,
              struct plex_err *err)
{
    struct restore *restore = core->restore;
    struct item *item = NULL;

    if (space != NULL && key.len == 8 &&
        core_item_find(core, id_of(key.data)) == NULL)
        item = record_body(core, id_of(key.data), body);
    if (item == NULL)
        return corrupt(err, TSPACE_RECORD_TUPLE);
    id_seen(core, item->id);
    core_item_add(core, space, item);
    restore->items =
        grown(restore->items, restore->n_items, sizeof(struct item *));
    restore->items[restore->n_items++] = item;
    return PLEX_OK;
}

enum plex_status
tspace_core_restore(struct tspace_core *core, const struct tspace_where *where,
                    enum tspace_record record, struct plex_bytes key,
                    struct plex_bytes body, struct plex_err *err)
{
    struct restore *restore = core->restore;
    struct saved *saved;
    struct space *space = NULL;
    uint8_t *block;

    if (restore == NULL)
        restore = core->restore = plex_calloc(1, sizeof *restore);
    core->restoring = true;
    if (!where_good(where) || key.len < 1 || key.len > TSPACE_KEY_MAX)
        return corrupt(err, record);
    if (where->space[0] != '\0')
        space = core_space_get(core, where);
    if (record == TSPACE_RECORD_TUPLE)
        return restore_tuple(core, space, key, body, err);
    restore->saved =
        grown(restore->saved, restore->n_saved, sizeof *restore->saved);
    saved = &restore->saved[restore->n_saved++];
    block = plex_calloc(1, key.len + body.len);
    memcpy(block, key.data, key.len);
    if (body.len > 0)
        memcpy(block + key.len, body.data, body.len);
    *saved = (struct saved){
        .space = space,
        .realm = core_realm_get(core, where),
        .record = record,
        .key = {block, key.len},
        .body = {block + key.len, body.len},
    };
    return PLEX_OK;
}

/* -- records --------------------------------------------------------------- */

static bool
options_restore(struct tspace_core *core, const struct saved *saved,
                struct record_reader *reader)
{
    struct tspace_options options = {0};

    options.tuples_max = record_u64(reader);
    options.bytes_max = record_u64(reader);
    options.waiters_max = record_u32(reader);
    options.default_ttl_ms = record_u64(reader);
    options.partition_field = record_u32(reader);
    options.n_indexes = record_u32(reader);
    if (options.n_indexes > TSPACE_INDEXES_MAX)
        return false;
    for (uint32_t i = 0; i < options.n_indexes; i++) {
        options.indexes[i].fields = record_u32(reader);
        options.indexes[i].exact = record_u64(reader);
        options.indexes[i].types = record_u64(reader);
        options.indexes[i].ordered = record_u32(reader);
    }
    if (reader->bad || saved->space == NULL || !core_options_good(&options))
        return false;
    core_space_options(core, saved->space, &options);
    return true;
}

static bool
claim_restore(struct tspace_core *core, const struct saved *saved,
              struct record_reader *reader)
{
    const bool member = record_u8(reader) == RECORD_CLAIM_MEMBER;
    const size_t tail = member ? 8 : 0;
    const struct plex_bytes key = saved->key;
    struct claim *claim;
    struct item *item;

    if (key.len <= 8 + tail || key.len > 8 + TSPACE_CLAIM_OWNER_MAX + tail)
        return false;
    claim = core_claim_get(
        core, saved->realm,
        (struct plex_bytes){key.data + 8, key.len - 8 - tail}, id_of(key.data));
    if (!member) {
        core_claim_lease(core, claim, record_u64(reader));
        return !reader->bad;
    }
    item = core_item_find(core, id_of(key.data + key.len - 8));
    if (item == NULL || item->hold != NULL ||
        item->shape->space->realm != saved->realm)
        return false;
    core_claim_hold(claim, item);
    return true;
}

/* Terms without a tuple end by themselves, but tuples want terms. */
static bool
claims_whole(const struct tspace_core *core)
{
    const struct claim *claim;

    for (claim = core->claims; claim != NULL; claim = claim->hh.next)
        if (claim->due_place == 0)
            return false;
    return true;
}

static bool
tx_written_restore(struct tspace_core *core, struct tx *tx,
                   struct record_reader *reader)
{
    const struct plex_bytes name = record_bytes(reader);
    char space_name[TSPACE_NAME_MAX + 1];
    struct item *item = record_item(core, reader);
    struct tspace_where where;
    struct space *space;

    if (item == NULL || name.len < 1 || name.len > TSPACE_NAME_MAX ||
        core_item_find(core, item->id) != NULL) {
        item_unref(item);
        return false;
    }
    memcpy(space_name, name.data, name.len);
    space_name[name.len] = '\0';
    where = (struct tspace_where){tx->realm->tenant->name, tx->realm->ns,
                                  space_name};
    space = core_space_get(core, &where);
    id_seen(core, item->id);
    core_item_add(core, space, item);
    core_tx_hold(tx, item, ENTRY_WRITTEN);
    core->restore->items = grown(core->restore->items, core->restore->n_items,
                                 sizeof(struct item *));
    core->restore->items[core->restore->n_items++] = item;
    return true;
}

static bool
tx_restore(struct tspace_core *core, const struct saved *saved,
           struct record_reader *reader)
{
    uint32_t n = record_u32(reader);
    struct tx *tx;

    if (saved->key.len != 8 || n > TSPACE_TX_TUPLES_MAX ||
        core_tx_find(core, id_of(saved->key.data)) != NULL)
        return false;
    tx = core_tx_make(core, saved->realm, id_of(saved->key.data));
    tx->prepared = true;
    id_seen(core, tx->id);
    for (; n > 0 && !reader->bad; n--) {
        const unsigned kind = record_u8(reader);
        struct item *item;

        if (kind == ENTRY_WRITTEN) {
            if (!tx_written_restore(core, tx, reader))
                return false;
            continue;
        }
        item = core_item_find(core, record_u64(reader));
        if (kind > ENTRY_READ || (item == NULL && kind == ENTRY_TAKEN) ||
            (item != NULL && item->shape->space->realm != saved->realm))
            return false;
        if (item != NULL && kind == ENTRY_TAKEN && item->hold != NULL)
            return false;
        if (item != NULL)
            core_tx_hold(tx, item, (enum entry_kind)kind);
    }
    return !reader->bad;
}

static bool
subscription_restore(struct tspace_core *core, const struct saved *saved,
                     struct record_reader *reader)
{
    const unsigned events = record_u8(reader);
    const bool guaranteed = record_u8(reader) != 0;
    const uint64_t expires_ms = record_u64(reader);
    const uint64_t acknowledged = record_u64(reader);
    const struct plex_bytes target = record_bytes(reader);
    const struct plex_bytes packed = record_bytes(reader);
    struct tspace_template *template;
    struct subscription *subscription;
    struct plex_err err;

    if (reader->bad || saved->key.len != 8 || saved->space == NULL ||
        target.len > TSPACE_TARGET_MAX || acknowledged == UINT64_MAX ||
        core_subscription_find(core, id_of(saved->key.data)) != NULL ||
        tspace_template_unpack(&template, packed, &err) != PLEX_OK)
        return false;
    subscription = core_subscription_make(core, saved->space,
                                          id_of(saved->key.data), template);
    tspace_template_unref(template);
    id_seen(core, subscription->id);
    subscription->events = events;
    subscription->guaranteed = guaranteed;
    subscription->acknowledged = acknowledged;
    subscription->next_number = acknowledged + 1;
    core_subscription_terms(core, subscription, target, expires_ms);
    return true;
}

static bool
event_restore(struct tspace_core *core, const struct saved *saved,
              struct record_reader *reader)
{
    const unsigned kind = record_u8(reader);
    const uint64_t lost = record_u64(reader);
    struct subscription *subscription;
    struct event *event;
    struct item *item;

    if (saved->key.len != 16)
        return false;
    subscription = core_subscription_find(core, id_of(saved->key.data));
    item = record_item(core, reader);
    if (subscription == NULL || item == NULL || reader->bad) {
        item_unref(item);
        return false;
    }
    event = plex_calloc(1, sizeof *event);
    event->number = id_of(saved->key.data + 8);
    event->lost = lost;
    event->kind = (enum tspace_event)kind;
    event->item = item;
    core_event_add(core, subscription, event);
    return true;
}

static struct answer *
answer_restore(struct tspace_core *core, bool is_write,
               struct record_reader *reader)
{
    const uint64_t first_id = record_u64(reader), number = record_u64(reader);
    const uint64_t cursor = record_u64(reader);
    const uint32_t n = record_u32(reader);
    struct answer *answer;

    if (n > TSPACE_RESULTS_MAX || reader->bad)
        return NULL;
    answer = core_answer(core, is_write ? 0 : n);
    answer->pub = (struct tspace_answer){first_id, number, cursor, 0, false};
    for (uint32_t i = 0; i < n && !is_write && !reader->bad; i++) {
        struct item *item = record_item(core, reader);

        if (item == NULL)
            break;
        core_answer_add(answer, item);
        item_unref(item);
    }
    answer->pub.is_write = is_write;
    if (is_write)
        answer->pub.n = n;
    if (!reader->bad)
        return answer;
    core_answer_unref(core, answer);
    return NULL;
}

static bool
request_restore(struct tspace_core *core, const struct saved *saved,
                struct record_reader *reader)
{
    const unsigned outcome = record_u8(reader);
    const bool is_write = record_u8(reader) != 0;
    const uint64_t expires_ms = record_u64(reader);
    const uint64_t fingerprint = record_u64(reader);
    struct answer *answer = answer_restore(core, is_write, reader);
    struct restore *restore = core->restore;
    const struct plex_bytes rest = {saved->key.data + 1, saved->key.len - 1};
    struct request *request;

    if (answer == NULL || outcome > OUTCOME_LAPSED ||
        saved->key.len > MEMORY_KEY_MAX) {
        core_answer_unref(core, answer);
        return false;
    }
    request =
        core_memory_add(core, saved->realm, (char)saved->key.data[0], rest,
                        (enum outcome)outcome, answer, fingerprint, false);
    core_answer_unref(core, answer);
    request->stored = true;
    request->expires_ms = expires_ms;
    restore->requests =
        grown(restore->requests, restore->n_requests, sizeof(struct request *));
    restore->requests[restore->n_requests++] = request;
    return true;
}

/* -- all together ---------------------------------------------------------- */

static bool
saved_restore(struct tspace_core *core, const struct saved *saved)
{
    struct record_reader reader = {saved->body.data, saved->body.len, false};
    bool good;

    if (record_u8(&reader) != RECORD_VERSION)
        return false;
    switch (saved->record) {
    case TSPACE_RECORD_REQUEST:
        good = request_restore(core, saved, &reader);
        break;
    case TSPACE_RECORD_TX:
        good = tx_restore(core, saved, &reader);
        break;
    case TSPACE_RECORD_CLAIM:
        good = claim_restore(core, saved, &reader);
        break;
    case TSPACE_RECORD_SUBSCRIPTION:
        good = subscription_restore(core, saved, &reader);
        break;
    case TSPACE_RECORD_EVENT:
        good = event_restore(core, saved, &reader);
        break;
    case TSPACE_RECORD_SPACE:
        good = options_restore(core, saved, &reader);
        break;
    default:
        return false;
    }
    return good && !reader.bad && reader.left == 0;
}

static int
item_compare(const void *a, const void *b)
{
    const uint64_t x = (*(struct item *const *)a)->id;
    const uint64_t y = (*(struct item *const *)b)->id;

    return (x > y) - (x < y);
}

static int
request_compare(const void *a, const void *b)
{
    const uint64_t x = (*(struct request *const *)a)->expires_ms;
    const uint64_t y = (*(struct request *const *)b)->expires_ms;

    return (x > y) - (x < y);
}

static void
items_link(struct restore *restore)
{
    if (restore->n_items > 1)
        qsort(restore->items, restore->n_items, sizeof(struct item *),
              item_compare);
    for (uint32_t i = 0; i < restore->n_items; i++) {
        struct item *item = restore->items[i];

        if (item->hold == NULL ||
            (item->hold->taker == NULL && item->hold->claim == NULL))
            shape_link(item->shape, item);
    }
}

static void
requests_sort(struct tspace_core *core, struct restore *restore)
{
    if (restore->n_requests < 2)
        return;
    qsort(restore->requests, restore->n_requests, sizeof(struct request *),
          request_compare);
    for (uint32_t i = 0; i < restore->n_requests; i++) {
        struct request *request = restore->requests[i];
        struct tenant *tenant = request->realm->tenant;

        TAILQ_REMOVE(&core->by_age, request, by_age);
        TAILQ_REMOVE(&tenant->by_age, request, of_tenant);
        TAILQ_INSERT_TAIL(&core->by_age, request, by_age);
        TAILQ_INSERT_TAIL(&tenant->by_age, request, of_tenant);
    }
}

void
core_restore_free(struct tspace_core *core)
{
    struct restore *restore = core->restore;

    if (restore == NULL)
        return;
    for (uint32_t i = 0; i < restore->n_saved; i++) {
        core_realm_release(core, restore->saved[i].realm);
        free((uint8_t *)restore->saved[i].key.data);
    }
    free(restore->items);
    free(restore->saved);
    free(restore->requests);
    free(restore);
    core->restore = NULL;
    core->restoring = false;
}

enum plex_status
tspace_core_restored(struct tspace_core *core, struct tspace_now now,
                     struct plex_err *err)
{
    static const enum tspace_record order[] = {
        TSPACE_RECORD_SPACE,        TSPACE_RECORD_CLAIM, TSPACE_RECORD_TX,
        TSPACE_RECORD_SUBSCRIPTION, TSPACE_RECORD_EVENT, TSPACE_RECORD_REQUEST,
    };
    const struct tspace_config config = core->config;
    struct restore *restore = core->restore;
    struct subscription *subscription;
    uint32_t done = 0;

    core_now(core, now);
    if (restore == NULL)
        return PLEX_OK;
    core->config.requests_max = UINT32_MAX; /* not yet in order of age */
    core->config.tenant_requests_max = 0;
    core->config.remember_bytes_max = UINT64_MAX;
    for (size_t kind = 0; kind < sizeof order / sizeof order[0]; kind++)
        for (uint32_t i = 0; i < restore->n_saved; i++) {
            if (restore->saved[i].record != order[kind])
                continue;
            if (!saved_restore(core, &restore->saved[i]))
                return corrupt(err, order[kind]);
            done++;
        }
    if (!claims_whole(core))
        return corrupt(err, TSPACE_RECORD_CLAIM);
    if (done != restore->n_saved)
        return plex_err_set(err, PLEX_CORRUPT,
                            "records of an unknown kind are in the store");
    core->config = config;
    items_link(restore);
    requests_sort(core, restore);
    core_restore_free(core);
    for (subscription = core->subscriptions; subscription != NULL;
         subscription = subscription->hh.next)
        core_subscription_redeliver(core, subscription);
    return PLEX_OK;
}
