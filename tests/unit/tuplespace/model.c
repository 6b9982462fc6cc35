#include "tests/unit/tuplespace/model.h"

#include "common/mem.h"
#include "services/tuplespace/engine/bits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
model_init(struct model *model, const struct tspace_now *now, uint64_t epoch)
{
    memset(model, 0, sizeof *model);
    model->next_id = (epoch << 40) + 1;
    model->now = *now;
}

static void
waiter_remove(struct model *model, int at)
{
    tspace_template_unref(model->waiters[at].template);
    model->n_waiters--;
    memmove(&model->waiters[at], &model->waiters[at + 1],
            (size_t)(model->n_waiters - at) * sizeof model->waiters[0]);
}

void
model_fini(struct model *model)
{
    for (int i = 0; i < model->n; i++) {
        free((uint8_t *)model->tuples[i]->packed.data);
        free(model->tuples[i]);
    }
    while (model->n_waiters > 0)
        waiter_remove(model, 0);
}

struct mtx *
model_tx(struct model *model, uint64_t id)
{
    for (int i = 0; i < MODEL_TXS && id != 0; i++)
        if (model->txs[i].id == id)
            return &model->txs[i];
    return NULL;
}

static const struct mended *
ended_find(const struct model *model, uint64_t id)
{
    for (int i = 0; i < model->n_ended; i++)
        if (model->ended[i].id == id)
            return &model->ended[i];
    return NULL;
}

static struct reply *
answer(struct model *model, unsigned call, enum plex_status status)
{
    struct reply *reply = &model->expected[call];

    *reply = (struct reply){.done = true, .status = status};
    return reply;
}

static void
answer_add(struct reply *reply, const struct mtuple *tuple)
{
    assert(reply->n < IDS_MAX);
    reply->ids[reply->n++] = tuple->id;
}

bool
model_tx_open(struct model *model, unsigned call, uint64_t id)
{
    const struct mtx *tx = model_tx(model, id);

    if (id == 0 || (tx != NULL && !tx->prepared))
        return true;
    answer(model, call,
           tx != NULL || ended_find(model, id) != NULL ? PLEX_CONFLICT
                                                       : PLEX_NOT_FOUND);
    return false;
}

/* -- tuples ---------------------------------------------------------------- */

static struct mtuple *
tuple_new(struct model *model, int space, struct plex_bytes packed,
          uint64_t expires)
{
    struct mtuple *tuple = plex_calloc(1, sizeof *tuple);
    uint8_t *copy = plex_calloc(1, packed.len);

    assert(model->n < MODEL_TUPLES);
    memcpy(copy, packed.data, packed.len);
    tuple->packed = (struct plex_bytes){copy, packed.len};
    tuple->space = space;
    tuple->expires = expires;
    tuple->id = model->next_id++;
    model->tuples[model->n++] = tuple;
    return tuple;
}

static bool
entry_has(const struct mtx *tx, const struct mtuple *tuple)
{
    for (int i = 0; i < tx->n; i++)
        if (tx->entries[i].tuple == tuple)
            return true;
    return false;
}

static bool
visible(struct model *model, const struct mtuple *tuple, uint64_t tx, bool take)
{
    if (tuple->dead || tuple->taker != 0 || tuple->claim != 0 ||
        (tuple->expires != 0 && tuple->expires <= model->now.wall_ms) ||
        (tuple->writer != 0 && tuple->writer != tx))
        return false;
    if (!take || tuple->readers == 0)
        return true;
    return tuple->readers == 1 && tx != 0 &&
           entry_has(model_tx(model, tx), tuple);
}

static bool
matches(const struct tspace_template *template, const struct mtuple *tuple)
{
    bool gave_up = false;

    return tspace_template_match(template, tuple->packed.data, &gave_up);
}

static void
entry_add(struct mtx *tx, struct mtuple *tuple, enum mkind kind)
{
    assert(tx->n < MODEL_ENTRIES);
    tx->entries[tx->n++] = (struct mentry){tuple, kind};
}

static void
entry_remove(struct mtx *tx, const struct mtuple *tuple)
{
    int kept = 0;

    for (int i = 0; i < tx->n; i++)
        if (tx->entries[i].tuple != tuple)
            tx->entries[kept++] = tx->entries[i];
    tx->n = kept;
}

static void
obtain(struct model *model, struct mtuple *tuple, uint64_t tx_id, bool take,
       int claim, uint64_t claim_ms)
{
    struct mtx *tx = model_tx(model, tx_id);

    if (!take) {
        if (tx != NULL && !entry_has(tx, tuple)) {
            entry_add(tx, tuple, M_READ);
            tuple->readers++;
        }
    } else if (tx != NULL) {
        const bool own = tuple->writer == tx_id;

        if (entry_has(tx, tuple) && !own)
            tuple->readers--;
        entry_remove(tx, tuple);
        if (own) {
            tuple->dead = true;
            return;
        }
        tuple->taker = tx_id;
        entry_add(tx, tuple, M_TAKEN);
    } else if (claim != 0) {
        struct mclaim *of = &model->claims[claim - 1];

        tuple->claim = claim;
        if (!of->open || model->now.wall_ms + claim_ms > of->expires)
            of->expires = model->now.wall_ms + claim_ms;
        of->open = true;
    } else {
        tuple->dead = true;
    }
}

static void
show(struct model *model, struct mtuple *tuple)
{
    for (int i = 0; i < model->n_waiters;) {
        struct mwaiter *waiter = &model->waiters[i];

        if (waiter->space != tuple->space ||
            !visible(model, tuple, waiter->tx, waiter->take) ||
            !matches(waiter->template, tuple)) {
            i++;
            continue;
        }
        answer_add(answer(model, waiter->call, PLEX_OK), tuple);
        obtain(model, tuple, waiter->tx, waiter->take, waiter->claim,
               waiter->claim_ms);
        waiter_remove(model, i);
    }
}

/* -- operations ------------------------------------------------------------ */

void
model_write(struct model *model, unsigned call, int space, uint64_t tx,
            const struct plex_bytes *packed, uint32_t n, uint64_t ttl)
{
    struct reply *reply = answer(model, call, PLEX_OK);
    const int first = model->n;

    for (uint32_t i = 0; i < n; i++) {
        struct mtuple *tuple = tuple_new(
            model, space, packed[i], ttl == 0 ? 0 : model->now.wall_ms + ttl);

        answer_add(reply, tuple);
        if (tx == 0)
            continue;
        tuple->writer = tx;
        entry_add(model_tx(model, tx), tuple, M_WRITTEN);
    }
    for (int i = first; i < model->n; i++)
        show(model, model->tuples[i]);
}

static const struct mread *sorting;

static int
by_order(const void *a, const void *b)
{
    const struct mtuple *x = *(struct mtuple *const *)a;
    const struct mtuple *y = *(struct mtuple *const *)b;
    const int age = x->id < y->id ? -1 : 1;
    struct tspace_value left, right;
    int order;

    if (sorting->order == TSPACE_OLDEST || sorting->order == TSPACE_NEWEST)
        return sorting->order == TSPACE_OLDEST ? age : -age;
    tspace_packed_get(x->packed.data, sorting->order_field, &left);
    tspace_packed_get(y->packed.data, sorting->order_field, &right);
    order = tspace_value_worth(&left, &right);
    if (order == 0)
        return age;
    return sorting->order == TSPACE_LEAST ? order : -order;
}

static int
find(struct model *model, const struct mread *read, struct mtuple **found)
{
    int n = 0;

    for (int i = 0; i < model->n; i++) {
        struct mtuple *tuple = model->tuples[i];

        if (tuple->space == read->space && tuple->id > read->after &&
            visible(model, tuple, read->tx, read->take) &&
            matches(read->template, tuple))
            found[n++] = tuple;
    }
    sorting = read;
    qsort(found, (size_t)n, sizeof *found, by_order);
    return n;
}

/* As core_tx.c says it, but without a stack. */
static bool
deadlocked(struct model *model, uint64_t start)
{
    bool reached[MODEL_TXS] = {false}, done[MODEL_TXS] = {false};

    reached[model_tx(model, start) - model->txs] = true;
    for (int i = 0; i < MODEL_TXS;) {
        const uint64_t id = model->txs[i].id;
        bool waits = false;

        if (!reached[i] || done[i]) {
            i++;
            continue;
        }
        done[i] = true;
        for (int w = 0; w < model->n_waiters; w++) {
            const struct mwaiter *waiter = &model->waiters[w];
            bool any = false;

            if (waiter->tx != id)
                continue;
            waits = true;
            for (int t = 0; t < MODEL_TXS; t++)
                for (int e = 0; t != i && e < model->txs[t].n; e++) {
                    const struct mentry *entry = &model->txs[t].entries[e];

                    if (entry->tuple->dead ||
                        entry->tuple->space != waiter->space ||
                        (entry->kind == M_READ && !waiter->take) ||
                        !matches(waiter->template, entry->tuple))
                        continue;
                    any = reached[t] = true;
                }
            if (!any)
                return false;
        }
        if (!waits)
            return false;
        i = 0;
    }
    return true;
}

static void tx_end(struct model *model, struct mtx *tx, bool commit);

static void
wait_add(struct model *model, const struct mread *read)
{
    assert(model->n_waiters < MODEL_WAITERS);
    model->waiters[model->n_waiters++] = (struct mwaiter){
        .call = read->call,
        .space = read->space,
        .template = tspace_template_ref(read->template),
        .deadline_ns = model->now.mono_ns + read->timeout_ms * 1000000,
        .tx = read->tx,
        .take = read->take,
        .claim = read->claim,
        .claim_ms = read->claim_ms,
    };
    if (read->tx != 0 && deadlocked(model, read->tx))
        tx_end(model, model_tx(model, read->tx), false);
}

void
model_read(struct model *model, const struct mread *read)
{
    struct mtuple *found[MODEL_TUPLES];
    const int n = find(model, read, found);
    struct reply *reply;

    if (n == 0 && read->timeout_ms > 0) {
        wait_add(model, read);
        return;
    }
    reply = answer(model, read->call, PLEX_OK);
    for (int i = 0; i < n && reply->n < read->max; i++) {
        answer_add(reply, found[i]);
        obtain(model, found[i], read->tx, read->take, read->claim,
               read->claim_ms);
        if (reply->n == read->max && read->max > 1 &&
            read->order == TSPACE_OLDEST)
            reply->cursor = found[i]->id;
    }
}

bool
model_random(struct model *model, const struct mread *read,
             const struct reply *got)
{
    struct mtuple *found[MODEL_TUPLES];
    const int n = find(model, read, found);
    const uint32_t want = (uint32_t)n < read->max ? (uint32_t)n : read->max;
    uint64_t last[IDS_MAX];

    answer(model, read->call, PLEX_OK);
    model->expected[read->call] = *got;
    if (!got->done || got->status != PLEX_OK || got->n != want)
        return false;
    for (uint32_t i = 0; i < got->n; i++) {
        bool possible = false;

        last[i] = got->ids[i];
        for (uint32_t j = 0; j < i; j++)
            if (last[j] == last[i])
                return false;
        for (int j = 0; j < n; j++)
            if (found[j]->id == got->ids[i]) {
                possible = true;
                obtain(model, found[j], read->tx, read->take, read->claim,
                       read->claim_ms);
            }
        if (!possible)
            return false;
    }
    return true;
}

void
model_count(struct model *model, unsigned call, int space, uint64_t tx,
            const struct tspace_template *template)
{
    struct reply *reply = answer(model, call, PLEX_OK);

    for (int i = 0; i < model->n; i++)
        reply->number += model->tuples[i]->space == space &&
                         visible(model, model->tuples[i], tx, false) &&
                         matches(template, model->tuples[i]);
}

void
model_swap(struct model *model, unsigned call, int space,
           const struct tspace_template *template, struct plex_bytes packed)
{
    struct reply *reply = answer(model, call, PLEX_OK);
    uint8_t *copy;

    for (int i = 0; i < model->n; i++) {
        struct mtuple *tuple = model->tuples[i];

        if (tuple->space != space || !visible(model, tuple, 0, true) ||
            !matches(template, tuple))
            continue;
        free((uint8_t *)tuple->packed.data);
        copy = plex_calloc(1, packed.len);
        memcpy(copy, packed.data, packed.len);
        tuple->packed = (struct plex_bytes){copy, packed.len};
        answer_add(reply, tuple);
        show(model, tuple);
        return;
    }
}

void
model_collect(struct model *model, unsigned call, int space, int to,
              uint64_t tx, const struct tspace_template *template, bool copy)
{
    struct reply *reply = answer(model, call, PLEX_OK);
    const int n = model->n;

    for (int i = 0; i < n; i++) {
        struct mtuple *tuple = model->tuples[i];

        if (tuple->space != space || !visible(model, tuple, tx, !copy) ||
            !matches(template, tuple))
            continue;
        reply->number++;
        if (to >= 0) {
            struct mtuple *added =
                tuple_new(model, to, tuple->packed, tuple->expires);

            added->writer = tx;
            if (tx != 0)
                entry_add(model_tx(model, tx), added, M_WRITTEN);
        }
        if (!copy || tx != 0)
            obtain(model, tuple, tx, !copy, 0, 0);
    }
    for (int i = n; i < model->n; i++)
        show(model, model->tuples[i]);
}

void
model_lease(struct model *model, unsigned call, int space, uint64_t id,
            uint64_t ttl, bool cancel)
{
    for (int i = 0; i < model->n; i++) {
        struct mtuple *tuple = model->tuples[i];

        if (tuple->id != id || tuple->space != space ||
            !visible(model, tuple, 0, false))
            continue;
        if (cancel && !visible(model, tuple, 0, true)) {
            answer(model, call, PLEX_CONFLICT);
            return;
        }
        answer_add(answer(model, call, PLEX_OK), tuple);
        if (cancel)
            tuple->dead = true;
        else
            tuple->expires = ttl == 0 ? 0 : model->now.wall_ms + ttl;
        return;
    }
    answer(model, call, PLEX_NOT_FOUND);
}

/* -- transactions ---------------------------------------------------------- */

void
model_begin(struct model *model, unsigned call, uint64_t timeout_ms)
{
    struct mtx *tx = model->txs;

    while (tx->id != 0)
        tx++;
    *tx =
        (struct mtx){.id = model->next_id++,
                     .deadline_ns = model->now.mono_ns + timeout_ms * 1000000};
    answer(model, call, PLEX_OK)->number = tx->id;
}

static void
tx_waiters_end(struct model *model, uint64_t id)
{
    for (int i = 0; i < model->n_waiters;) {
        if (model->waiters[i].tx != id) {
            i++;
            continue;
        }
        answer(model, model->waiters[i].call, PLEX_CONFLICT);
        waiter_remove(model, i);
    }
}

static void
tx_end(struct model *model, struct mtx *tx, bool commit)
{
    const struct mtx was = *tx;

    tx_waiters_end(model, was.id);
    assert(model->n_ended < MODEL_ENDED);
    model->ended[model->n_ended++] =
        (struct mended){was.id, commit, commit || was.prepared};
    tx->id = 0;
    tx->n = 0;
    for (int i = 0; i < was.n; i++) {
        struct mtuple *tuple = was.entries[i].tuple;

        if (was.entries[i].kind == M_READ)
            tuple->readers--;
        else if (was.entries[i].kind == M_TAKEN)
            tuple->taker = 0;
        else
            tuple->writer = 0;
        if ((was.entries[i].kind == M_TAKEN && commit) ||
            (was.entries[i].kind == M_WRITTEN && !commit))
            tuple->dead = true;
    }
    for (int i = 0; i < was.n; i++)
        show(model, was.entries[i].tuple);
}

void
model_end(struct model *model, unsigned call, uint64_t id, enum tspace_end how)
{
    const struct mended *ended = ended_find(model, id);
    struct mtx *tx = model_tx(model, id);

    if (tx == NULL) {
        if (ended == NULL)
            answer(model, call, PLEX_NOT_FOUND);
        else
            answer(model, call,
                   how != TSPACE_PREPARE &&
                           ended->committed == (how == TSPACE_COMMIT)
                       ? PLEX_OK
                       : PLEX_CONFLICT);
        return;
    }
    answer(model, call, PLEX_OK);
    if (how != TSPACE_PREPARE) {
        tx_end(model, tx, how == TSPACE_COMMIT);
        return;
    }
    if (!tx->prepared)
        tx_waiters_end(model, id);
    tx->prepared = true;
}

/* -- claims ---------------------------------------------------------------- */

static void
claim_end(struct model *model, int number, bool confirmed)
{
    struct mclaim *claim = &model->claims[number];
    const int n = model->n;

    claim->open = false;
    claim->ended = confirmed ? 1 : 2;
    claim->n_ended = 0;
    for (int i = 0; i < n; i++)
        claim->n_ended +=
            !model->tuples[i]->dead && model->tuples[i]->claim == number + 1;
    for (int i = 0; i < n; i++) {
        struct mtuple *tuple = model->tuples[i];

        if (tuple->dead || tuple->claim != number + 1)
            continue;
        tuple->claim = -1; /* free, but not to be shown before its turn */
        tuple->dead = confirmed;
    }
}

static void
claim_show(struct model *model)
{
    for (int i = 0; i < model->n; i++)
        if (model->tuples[i]->claim == -1) {
            model->tuples[i]->claim = 0;
            if (!model->tuples[i]->dead)
                show(model, model->tuples[i]);
        }
}

void
model_claim(struct model *model, unsigned call, int number,
            enum tspace_claim_verb verb, uint64_t lease_ms)
{
    struct mclaim *claim = &model->claims[number];
    struct reply *reply;

    if (!claim->open) {
        if (claim->ended == 0)
            answer(model, call, PLEX_NOT_FOUND);
        else if ((verb == TSPACE_CONFIRM && claim->ended == 1) ||
                 (verb == TSPACE_RELEASE && claim->ended == 2))
            answer(model, call, PLEX_OK)->number = (uint64_t)claim->n_ended;
        else
            answer(model, call, PLEX_CONFLICT);
        return;
    }
    reply = answer(model, call, PLEX_OK);
    if (verb == TSPACE_RENEW) {
        for (int i = 0; i < model->n; i++)
            reply->number += !model->tuples[i]->dead &&
                             model->tuples[i]->claim == number + 1;
        claim->expires = model->now.wall_ms + lease_ms;
        return;
    }
    claim_end(model, number, verb == TSPACE_CONFIRM);
    reply->number = (uint64_t)claim->n_ended;
    claim_show(model);
}

/* -- time ------------------------------------------------------------------ */

static bool
mono_due(struct model *model)
{
    uint64_t at = model->now.mono_ns + 1;
    int waiter = -1;
    struct mtx *tx = NULL;

    for (int i = 0; i < model->n_waiters; i++)
        if (model->waiters[i].deadline_ns < at) {
            at = model->waiters[i].deadline_ns;
            waiter = i;
        }
    for (int i = 0; i < MODEL_TXS; i++)
        if (model->txs[i].id != 0 && !model->txs[i].prepared &&
            model->txs[i].deadline_ns < at) {
            at = model->txs[i].deadline_ns;
            tx = &model->txs[i];
        }
    if (tx != NULL) {
        tx_end(model, tx, false);
    } else if (waiter >= 0) {
        answer(model, model->waiters[waiter].call, PLEX_OK);
        waiter_remove(model, waiter);
    } else {
        return false;
    }
    return true;
}

void
model_tick(struct model *model)
{
    while (mono_due(model))
        continue;
    for (;;) {
        int first = -1;

        for (int i = 0; i < MODEL_CLAIMS; i++)
            if (model->claims[i].open &&
                model->claims[i].expires <= model->now.wall_ms &&
                (first < 0 ||
                 model->claims[i].expires < model->claims[first].expires))
                first = i;
        if (first < 0)
            return;
        claim_end(model, first, false);
        claim_show(model);
    }
}

void
model_restart(struct model *model, uint64_t epoch)
{
    int kept = 0;

    while (model->n_waiters > 0)
        waiter_remove(model, 0);
    for (int i = 0; i < MODEL_TXS; i++)
        if (model->txs[i].id != 0 && !model->txs[i].prepared)
            tx_end(model, &model->txs[i], false);
    for (int i = 0; i < model->n_ended; i++)
        if (model->ended[i].durable)
            model->ended[kept++] = model->ended[i];
    model->n_ended = kept;
    model->next_id = (epoch << 40) + 1;
}
