/* Requests that write: write, swap, collect, lease. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/query.h"

/* -- limits ---------------------------------------------------------------- */

uint64_t
item_bytes(size_t packed, const struct lease_text *text)
{
    return offsetof(struct item, packed) + packed +
           (text->owner.len + text->meta.len > 0
                ? 3 + text->owner.len + text->meta.len
                : 0);
}

static bool
limited(uint64_t have, uint64_t more, uint64_t max)
{
    return max != 0 && (more > max || have > max - more);
}

bool
core_room(struct tspace_core *core, const struct space *space, void *call,
          uint64_t n, uint64_t bytes)
{
    const struct tspace_config *config = &core->config;
    const struct tenant *tenant = space->realm->tenant;
    const char *full = NULL;
    uint64_t max = 0;

    if (limited(space->tuples, n, space->options.tuples_max)) {
        full = "tuples in the space";
        max = space->options.tuples_max;
    } else if (limited(space->bytes, bytes, space->options.bytes_max)) {
        full = "bytes in the space";
        max = space->options.bytes_max;
    } else if (limited(tenant->tuples, n, config->tenant_tuples_max)) {
        full = "tuples of the tenant";
        max = config->tenant_tuples_max;
    } else if (limited(tenant->bytes, bytes, config->tenant_bytes_max)) {
        full = "bytes of the tenant";
        max = config->tenant_bytes_max;
    } else if (limited(core->stats.tuples, n, config->tuples_max)) {
        full = "tuples in this service";
        max = config->tuples_max;
    } else if (limited(core->stats.bytes, bytes, config->bytes_max)) {
        full = "bytes in this service";
        max = config->bytes_max;
    }
    if (full == NULL)
        return true;
    core_refuse(core, call, PLEX_LIMIT,
                "there may be %llu %s, and there is no room for more",
                (unsigned long long)max, full);
    return false;
}

static bool
ttl_good(struct tspace_core *core, void *call, uint64_t ttl_ms)
{
    if (ttl_ms <= TSPACE_TTL_MAX_MS)
        return true;
    core_refuse(core, call, PLEX_INVALID,
                "a lease lasts at most 30 days, not %llu ms",
                (unsigned long long)ttl_ms);
    return false;
}

static uint64_t
expiry(const struct tspace_core *core, uint64_t ttl_ms)
{
    return ttl_ms == 0 ? 0 : core->now.wall_ms + ttl_ms;
}

/* -- write ----------------------------------------------------------------- */

static bool
write_good(struct tspace_core *core, const struct tspace_write *write)
{
    void *call = write->op.call;

    if (write->n_tuples < 1 || write->n_tuples > TSPACE_WRITE_MAX) {
        core_refuse(core, call, PLEX_INVALID,
                    "a write has 1 to %d tuples, not %u", TSPACE_WRITE_MAX,
                    write->n_tuples);
        return false;
    }
    if (write->owner.len > TSPACE_LEASE_OWNER_MAX ||
        write->meta.len > TSPACE_META_MAX) {
        core_refuse(core, call, PLEX_INVALID,
                    "the owner has at most %d bytes, the metadata %d",
                    TSPACE_LEASE_OWNER_MAX, TSPACE_META_MAX);
        return false;
    }
    return ttl_good(core, call, write->ttl_ms);
}

/* A new tuple in the space: of the transaction, or stored. */
static struct item *
tuple_add(struct tspace_core *core, const struct scope *scope,
          struct space *space, struct item *item)
{
    item->id = core->next_id++;
    core_item_add(core, space, item);
    if (scope->tx != NULL) {
        core_tx_written(core, scope->tx, item);
        shape_link(item->shape, item);
    } else {
        core_put_item(core, item);
    }
    return item;
}

/* Within its transaction a new tuple may satisfy only that one's waiters. */
static void
tuple_show(struct tspace_core *core, const struct scope *scope,
           struct item *item)
{
    if (scope->tx == NULL)
        core_item_show(core, item, true);
    else if (item->shape->waiters.n > 0)
        core_offer(core, item);
}

static void
write_all(struct tspace_core *core, const struct scope *scope,
          const struct tspace_write *write, uint64_t ttl_ms)
{
    const struct lease_text text = {write->owner, write->meta};
    const uint64_t first_id = core->next_id;
    struct item *one[1], **items = one;
    struct answer *answer = core_answer(core, 0);

    if (write->n_tuples > 1)
        items = plex_calloc(write->n_tuples, sizeof(struct item *));
    for (uint32_t i = 0; i < write->n_tuples; i++)
        items[i] = tuple_add(
            core, scope, scope->space,
            item_make(core, write->tuples[i], expiry(core, ttl_ms), &text));
    answer->pub.is_write = true;
    answer->pub.first_id = first_id;
    answer->pub.n = write->n_tuples;
    core_finish(core, scope, answer);
    for (uint32_t i = 0; i < write->n_tuples; i++)
        tuple_show(core, scope, items[i]);
    if (items != one)
        free(items);
}

void
tspace_core_write(struct tspace_core *core, struct tspace_now now,
                  const struct tspace_write *write)
{
    const struct lease_text text = {write->owner, write->meta};
    struct scope scope;
    uint64_t bytes = 0;

    if (!core_begin(core, now, &write->op, true, &scope))
        return;
    if (!write_good(core, write))
        return;
    for (uint32_t i = 0; i < write->n_tuples; i++)
        bytes += item_bytes(write->tuples[i].len, &text);
    if (!core_room(core, scope.space, write->op.call, write->n_tuples, bytes))
        return;
    if (scope.tx != NULL &&
        !core_tx_room(core, scope.tx, write->op.call, write->n_tuples))
        return;
    write_all(core, &scope, write,
              write->ttl_ms != 0 ? write->ttl_ms
                                 : scope.space->options.default_ttl_ms);
}

/* -- swap ------------------------------------------------------------------ */

/* The oldest that matches and may be taken. */
static struct item *
swap_find(struct tspace_core *core, const struct scope *scope,
          const struct tspace_swap *swap, bool *gave_up)
{
    struct query query = {
        .core = core,
        .space = scope->space,
        .template = swap->template,
        .tx = scope->tx,
        .take = true,
    };
    struct item *item;

    *gave_up = false;
    if (swap->id != 0) {
        item = core_item_find(core, swap->id);
        if (item == NULL || item->shape->space != scope->space ||
            !item->linked || !query_visible(core, item, scope->tx, true) ||
            !tspace_template_match(swap->template, item->packed, gave_up))
            return NULL;
        return item;
    }
    query_open(&query);
    item = query_next(&query);
    *gave_up = query.gave_up;
    query_close(&query);
    return item;
}

static void
swap_do(struct tspace_core *core, const struct scope *scope,
        const struct tspace_swap *swap, struct item *old)
{
    const struct lease_text text = item_text(old);
    struct answer *answer = core_answer(core, 1);
    struct item *item = item_make(
        core, swap->packed,
        swap->ttl_ms == 0 ? old->expires_ms : expiry(core, swap->ttl_ms),
        &text);

    core_item_swap(core, old, item);
    core_put_item(core, item);
    core_notify(core, item, TSPACE_UPDATED);
    core_answer_add(answer, item);
    core_finish(core, scope, answer);
    core_item_show(core, item, false);
}

/* In a transaction the old tuple is taken and another one written, as nobody
 * may see either before the commit. */
static void
swap_in_tx(struct tspace_core *core, const struct scope *scope,
           const struct tspace_swap *swap, struct item *old)
{
    const struct taking taking = {.tx = scope->tx, .take = true};
    const struct lease_text text = item_text(old);
    struct answer *answer;
    struct item *item;

    if (!core_tx_room(core, scope->tx, swap->op.call, 2) ||
        !core_room(core, scope->space, swap->op.call, 1,
                   item_bytes(swap->packed.len, &text)))
        return;
    item = item_make(core, swap->packed,
                     swap->ttl_ms == 0 ? old->expires_ms
                                       : expiry(core, swap->ttl_ms),
                     &text);
    core_obtain(core, old, scope->realm, &taking);
    tuple_add(core, scope, scope->space, item);
    answer = core_answer(core, 1);
    core_answer_add(answer, item);
    core_finish(core, scope, answer);
    tuple_show(core, scope, item);
}

void
tspace_core_swap(struct tspace_core *core, struct tspace_now now,
                 const struct tspace_swap *swap)
{
    const struct tspace_op *op = &swap->op;
    struct scope scope;
    struct item *item = NULL;
    bool gave_up = false;

    if (!core_begin(core, now, op, false, &scope) ||
        !ttl_good(core, op->call, swap->ttl_ms))
        return;
    if (scope.space != NULL)
        item = swap_find(core, &scope, swap, &gave_up);
    if (gave_up) {
        core_gave_up(core, op->call);
        return;
    }
    if (item == NULL) {
        core_finish(core, &scope, core_answer(core, 0));
        return;
    }
    if (scope.tx != NULL) {
        swap_in_tx(core, &scope, swap, item);
        return;
    }
    if (swap->packed.len > tspace_packed_length(item->packed) &&
        !core_room(core, scope.space, op->call, 0,
                   swap->packed.len - tspace_packed_length(item->packed)))
        return;
    swap_do(core, &scope, swap, item);
}

/* -- collect --------------------------------------------------------------- */

struct gathered {
    struct item **items;
    uint32_t n;
    uint64_t bytes;
    bool gave_up;
};

static void
gather(struct query *query, uint64_t max, struct gathered *out)
{
    struct item *item;

    *out = (struct gathered){0};
    query_open(query);
    while (out->n < max && (item = query_next(query)) != NULL) {
        const struct lease_text text = item_text(item);

        if ((out->n & (out->n - 1)) == 0)
            out->items =
                plex_reallocarray(out->items, out->n == 0 ? 1 : 2 * out->n,
                                  sizeof(struct item *));
        out->items[out->n++] = item;
        out->bytes += item_bytes(tspace_packed_length(item->packed), &text);
    }
    out->gave_up = query->gave_up;
    query_close(query);
}

static void
collect_do(struct tspace_core *core, const struct scope *scope,
           struct space *to, bool copy, struct gathered *gathered)
{
    const struct taking taking = {.tx = scope->tx, .take = true};
    struct answer *answer = core_answer(core, 0);

    for (uint32_t i = 0; i < gathered->n; i++) {
        struct item *item = gathered->items[i];

        if (to != NULL) {
            const struct lease_text text = item_text(item);
            const struct plex_bytes packed = {
                item->packed, tspace_packed_length(item->packed)};

            gathered->items[i] =
                tuple_add(core, scope, to,
                          item_make(core, packed, item->expires_ms, &text));
        }
        if (!copy)
            core_obtain(core, item, scope->realm, &taking);
        else if (scope->tx != NULL)
            core_tx_read(core, scope->tx, item);
    }
    answer->pub.number = gathered->n;
    core_finish(core, scope, answer);
    if (to != NULL)
        for (uint32_t i = 0; i < gathered->n; i++)
            tuple_show(core, scope, gathered->items[i]);
}

void
tspace_core_collect(struct tspace_core *core, struct tspace_now now,
                    const struct tspace_collect *collect)
{
    const struct tspace_op *op = &collect->op;
    const bool clear = collect->to[0] == '\0';
    struct query query = {
        .core = core, .template = collect->template, .take = !collect->copy};
    struct tspace_where where = op->where;
    struct space *to = NULL;
    struct gathered gathered;
    struct scope scope;
    uint64_t max = clear ? UINT32_MAX : TSPACE_RESULTS_MAX;

    if (!core_begin(core, now, op, false, &scope))
        return;
    if (collect->max != 0 && collect->max < max)
        max = collect->max;
    query.space = scope.space;
    query.tx = scope.tx;
    gather(&query, max, &gathered);
    where.space = collect->to;
    if (gathered.gave_up) {
        core_gave_up(core, op->call);
    } else if (clear && collect->copy) {
        core_refuse(core, op->call, PLEX_INVALID, "copied to no space");
    } else if (scope.tx != NULL &&
               !core_tx_room(core, scope.tx, op->call, 2ull * gathered.n)) {
        /* refused */
    } else if (!clear && gathered.n > 0 &&
               (to = core_space_get(core, &where)) == NULL) {
        core_refuse(core, op->call, PLEX_LIMIT, "there are too many spaces");
    } else if (to == NULL ||
               core_room(core, to, op->call, gathered.n, gathered.bytes)) {
        collect_do(core, &scope, to, collect->copy, &gathered);
    }
    free(gathered.items);
}

/* -- lease ----------------------------------------------------------------- */

/* The tuple, or a refusal. */
static struct item *
lease_find(struct tspace_core *core, const struct scope *scope,
           const struct tspace_lease *lease)
{
    struct item *item = core_item_find(core, lease->id);
    struct lease_text text;

    if (item == NULL || item->shape->space != scope->space || !item->linked ||
        !query_visible(core, item, scope->tx, false)) {
        core_refuse(core, lease->op.call, PLEX_NOT_FOUND,
                    "there is no such tuple: it was taken or its lease ended");
        return NULL;
    }
    text = item_text(item);
    if (text.owner.len > 0 &&
        (text.owner.len != lease->owner.len ||
         memcmp(text.owner.data, lease->owner.data, text.owner.len) != 0)) {
        core_refuse(core, lease->op.call, PLEX_DENIED,
                    "the lease belongs to another owner");
        return NULL;
    }
    if (!lease->cancel && scope->tx != NULL &&
        (item->hold == NULL || item->hold->writer != scope->tx)) {
        core_refuse(core, lease->op.call, PLEX_UNSUPPORTED,
                    "a transaction renews the leases of the tuples that it "
                    "wrote; this one is seen by others");
        return NULL;
    }
    if (lease->cancel && !query_visible(core, item, scope->tx, true)) {
        core_refuse(core, lease->op.call, PLEX_CONFLICT,
                    "a transaction has read the tuple");
        return NULL;
    }
    return item;
}

void
tspace_core_lease(struct tspace_core *core, struct tspace_now now,
                  const struct tspace_lease *lease)
{
    struct taking taking = {.take = true};
    const struct tspace_op *op = &lease->op;
    struct answer *answer;
    struct scope scope;
    struct item *item;

    if (!core_begin(core, now, op, false, &scope) ||
        !ttl_good(core, op->call, lease->ttl_ms))
        return;
    item = lease_find(core, &scope, lease);
    if (item == NULL ||
        (scope.tx != NULL && !core_tx_room(core, scope.tx, op->call, 1)))
        return;
    taking.tx = scope.tx;
    answer = core_answer(core, 1);
    core_answer_add(answer, item);
    if (lease->cancel && scope.tx != NULL) {
        core_obtain(core, item, scope.realm, &taking);
    } else if (lease->cancel) {
        core_item_end(core, item, TSPACE_TAKEN);
    } else {
        core_item_lease(core, item, expiry(core, lease->ttl_ms));
        if (scope.tx == NULL)
            core_put_item(core, item);
    }
    core_finish(core, &scope, answer);
}
