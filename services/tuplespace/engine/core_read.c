/* Requests that look for tuples: read, take, count. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/query.h"

static const char *
read_wrong(const struct tspace_read *read)
{
    const uint32_t n = tspace_template_fields(read->template);
    const struct tspace_claim_of *claim = &read->claim;

    if (read->max_results < 1 || read->max_results > TSPACE_RESULTS_MAX)
        return "between 1 and 10000 tuples can be asked for at once";
    if (read->timeout_ms > TSPACE_WAIT_MAX_MS)
        return "a request waits for an hour at most";
    if (read->order > TSPACE_RANDOM)
        return "there is no such order";
    if (n == 0 && read->timeout_ms > 0)
        return "waiting wants a template with fields";
    if (n == 0 && read->order > TSPACE_NEWEST)
        return "an order by field or chance wants a template with fields";
    if ((read->order == TSPACE_LEAST || read->order == TSPACE_MOST) &&
        read->order_field >= n)
        return "the order is by a field that the template does not have";
    if (read->after != 0 && read->order != TSPACE_OLDEST)
        return "a cursor wants the order \"oldest\"";
    if (claim->owner.len == 0)
        return NULL;
    if (!read->take || read->op.tx != 0)
        return "a claim belongs to a take outside of transactions";
    if (claim->owner.len > TSPACE_CLAIM_OWNER_MAX || claim->lease_ms < 1 ||
        claim->lease_ms > TSPACE_TTL_MAX_MS)
        return "a claim has an owner of at most 512 bytes and a lease of 1 ms "
               "to 30 days";
    return NULL;
}

/* -- what is there --------------------------------------------------------- */

static void
found_add(struct answer **answer, struct tspace_core *core, struct item *item,
          uint32_t max)
{
    struct answer *old = *answer;

    if (old->pub.n == old->room) {
        const uint32_t room = old->room * 4 < max ? old->room * 4 : max;

        *answer = core_answer(core, room);
        for (uint32_t i = 0; i < old->pub.n; i++)
            core_answer_add(*answer, old->items[i]);
        core_answer_unref(core, old);
    }
    core_answer_add(*answer, item);
}

static struct answer *
by_id(struct tspace_core *core, const struct scope *scope,
      const struct tspace_read *read, bool *gave_up)
{
    struct answer *answer = core_answer(core, 1);
    struct item *item = core_item_find(core, read->id);

    if (item != NULL && item->shape->space == scope->space && item->linked &&
        query_visible(core, item, scope->tx, read->take) &&
        tspace_template_match(read->template, item->packed, gave_up))
        core_answer_add(answer, item);
    return answer;
}

static struct answer *
by_search(struct tspace_core *core, const struct scope *scope,
          const struct tspace_read *read, bool *gave_up)
{
    struct query query = {
        .core = core,
        .space = scope->space,
        .template = read->template,
        .tx = scope->tx,
        .take = read->take,
        .order = read->order,
        .order_field = read->order_field,
        .random = read->random,
        .after = read->after,
        .many = read->max_results > 1,
    };
    struct answer *answer = core_answer(core, 1);
    struct item *item;
    uint64_t bytes = 0;

    query_open(&query);
    while ((item = query_next(&query)) != NULL) {
        found_add(&answer, core, item, read->max_results);
        bytes += item->body_bytes;
        if (answer->pub.n < read->max_results && bytes < TSPACE_ANSWER_MAX)
            continue;
        if (read->order == TSPACE_OLDEST && read->max_results > 1)
            answer->pub.cursor = item->id;
        break;
    }
    *gave_up = query.gave_up;
    query_close(&query);
    return answer;
}

void
core_obtain(struct tspace_core *core, struct item *item,
            const struct realm *realm, const struct taking *taking)
{
    if (!taking->take) {
        if (taking->tx != NULL)
            core_tx_read(core, taking->tx, item);
    } else if (taking->tx != NULL) {
        core_tx_take(core, taking->tx, item);
    } else if (taking->claim_owner.len > 0) {
        core_claim_add(core, realm, item, taking);
    } else {
        core_item_end(core, item, TSPACE_TAKEN);
    }
}

static void
read_obtain(struct tspace_core *core, const struct scope *scope,
            const struct tspace_read *read, const struct answer *answer)
{
    const struct taking taking = {scope->tx, read->take, read->claim.owner,
                                  read->claim.turn, read->claim.lease_ms};

    for (uint32_t i = 0; i < answer->pub.n; i++)
        core_obtain(core, answer->items[i], scope->realm, &taking);
}

void
tspace_core_read(struct tspace_core *core, struct tspace_now now,
                 const struct tspace_read *read)
{
    const char *wrong = read_wrong(read);
    struct answer *answer;
    struct scope scope;
    bool gave_up = false;

    if (!core_begin(core, now, &read->op, read->timeout_ms > 0, &scope))
        return;
    if (wrong != NULL) {
        core_refuse(core, read->op.call, PLEX_INVALID, "%s", wrong);
        return;
    }
    answer = read->id != 0 ? by_id(core, &scope, read, &gave_up)
                           : by_search(core, &scope, read, &gave_up);
    if (gave_up) {
        core_gave_up(core, read->op.call);
        core_answer_unref(core, answer);
    } else if (answer->pub.n == 0 && read->timeout_ms > 0) {
        core_answer_unref(core, answer);
        core_wait(core, &scope, read);
    } else if (scope.tx != NULL &&
               !core_tx_room(core, scope.tx, read->op.call, answer->pub.n)) {
        core_answer_unref(core, answer);
    } else {
        read_obtain(core, &scope, read, answer);
        core_finish(core, &scope, answer);
    }
}

void
tspace_core_count(struct tspace_core *core, struct tspace_now now,
                  const struct tspace_count *count)
{
    struct query query = {
        .core = core, .template = count->template, .many = true};
    struct answer *answer;
    struct scope scope;

    if (!core_begin(core, now, &count->op, false, &scope))
        return;
    query.space = scope.space;
    query.tx = scope.tx;
    answer = core_answer(core, 0);
    query_open(&query);
    while (query_next(&query) != NULL)
        answer->pub.number++;
    if (query.gave_up)
        core_gave_up(core, count->op.call);
    else
        core_reply(core, count->op.call, answer);
    core_answer_unref(core, answer);
    query_close(&query);
}
