/* Claims: tuples taken on condition. They are out of the indexes until the
 * claim is confirmed (they go) or ends otherwise (they return). */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/record.h"

/* Turn and owner, as a key of a record and of a memory. */
static size_t
claim_key(struct plex_bytes owner, uint64_t turn,
          uint8_t out[8 + TSPACE_CLAIM_OWNER_MAX])
{
    core_id_key(turn, out);
    memcpy(out + 8, owner.data, owner.len);
    return 8 + owner.len;
}

static struct plex_bytes
stored_key(const struct claim *claim)
{
    return (struct plex_bytes){claim->key + sizeof(void *),
                               claim->key_len - sizeof(void *)};
}

static size_t
full_key(const struct realm *realm, struct plex_bytes owner, uint64_t turn,
         uint8_t out[sizeof(void *) + 8 + TSPACE_CLAIM_OWNER_MAX])
{
    memcpy(out, &realm, sizeof realm);
    return sizeof realm + claim_key(owner, turn, out + sizeof realm);
}

static struct claim *
claim_find(const struct tspace_core *core, const struct realm *realm,
           struct plex_bytes owner, uint64_t turn)
{
    uint8_t key[sizeof(void *) + 8 + TSPACE_CLAIM_OWNER_MAX];
    const size_t len = full_key(realm, owner, turn, key);
    struct claim *claim;

    HASH_FIND(hh, core->claims, key, len, claim);
    return claim;
}

struct claim *
core_claim_get(struct tspace_core *core, struct realm *realm,
               struct plex_bytes owner, uint64_t turn)
{
    struct claim *claim = claim_find(core, realm, owner, turn);
    uint8_t key[sizeof(void *) + 8 + TSPACE_CLAIM_OWNER_MAX];

    if (claim != NULL)
        return claim;
    claim = plex_calloc(1, sizeof *claim);
    claim->key_len = full_key(realm, owner, turn, key);
    claim->key = plex_calloc(1, claim->key_len);
    memcpy(claim->key, key, claim->key_len);
    claim->realm = realm;
    realm->users++;
    claim->turn = turn;
    claim->owner =
        (struct plex_bytes){claim->key + sizeof(void *) + 8, owner.len};
    TAILQ_INIT(&claim->holds);
    HASH_ADD_KEYPTR(hh, core->claims, claim->key, claim->key_len, claim);
    core->stats.claims++;
    return claim;
}

static struct item *
hold_free(struct claim *claim, struct hold *hold)
{
    struct item *item = hold->item;

    TAILQ_REMOVE(&claim->holds, hold, of_claim);
    claim->n--;
    hold->claim = NULL;
    item_hold_trim(item);
    return item;
}

void
core_claim_free(struct tspace_core *core, struct claim *claim)
{
    while (!TAILQ_EMPTY(&claim->holds))
        hold_free(claim, TAILQ_FIRST(&claim->holds));
    due_remove(&core->wall, &claim->due_place);
    HASH_DEL(core->claims, claim);
    core_realm_release(core, claim->realm);
    core->stats.claims--;
    free(claim->key);
    free(claim);
}

void
core_claim_hold(struct claim *claim, struct item *item)
{
    struct hold *hold = item_hold(item);

    hold->claim = claim;
    TAILQ_INSERT_TAIL(&claim->holds, hold, of_claim);
    claim->n++;
}

static void
claim_store(struct tspace_core *core, const struct claim *claim)
{
    struct plex_buf body = {.max = 64};

    if (core->config.transient)
        return;
    record_put_claim(&body, claim);
    core_record(core, TSPACE_RECORD_CLAIM, NULL, claim->realm,
                stored_key(claim), &body);
    plex_buf_free(&body);
}

static void
member_store(struct tspace_core *core, const struct claim *claim,
             const struct item *item, bool keep)
{
    const struct plex_bytes stored = stored_key(claim);
    uint8_t key[8 + TSPACE_CLAIM_OWNER_MAX + 8];
    struct plex_buf body = {.max = 64};

    if (core->config.transient)
        return;
    memcpy(key, stored.data, stored.len);
    core_id_key(item->id, key + stored.len);
    record_put_member(&body);
    core_record(core, TSPACE_RECORD_CLAIM, NULL, claim->realm,
                (struct plex_bytes){key, stored.len + 8}, keep ? &body : NULL);
    plex_buf_free(&body);
}

void
core_claim_lease(struct tspace_core *core, struct claim *claim,
                 uint64_t expires_ms)
{
    claim->expires_ms = expires_ms;
    due_add(&core->wall, expires_ms, &claim->due_place, DUE_CLAIM);
}

void
core_claim_add(struct tspace_core *core, const struct realm *realm,
               struct item *item, const struct taking *taking)
{
    const uint64_t expires_ms = core->now.wall_ms + taking->claim_ms;
    struct claim *claim = core_claim_get(
        core, (struct realm *)realm, taking->claim_owner, taking->claim_turn);

    shape_unlink(item->shape, item);
    core_claim_hold(claim, item);
    member_store(core, claim, item, true);
    if (expires_ms <= claim->expires_ms)
        return;
    core_claim_lease(core, claim, expires_ms);
    claim_store(core, claim);
}

/* -- the end --------------------------------------------------------------- */

static int
by_age(const void *a, const void *b)
{
    const uint64_t x = (*(struct item *const *)a)->id;
    const uint64_t y = (*(struct item *const *)b)->id;

    return (x > y) - (x < y);
}

/* The tuples return oldest first. */
static void
claim_end(struct tspace_core *core, struct claim *claim, enum outcome outcome)
{
    struct item **items = plex_calloc(claim->n + 1, sizeof(struct item *));
    const bool lost = outcome == OUTCOME_LAPSED &&
                      core->config.unsafe & TSPACE_UNSAFE_CLAIM_LOST;
    struct answer *answer = core_answer(core, 0);
    struct hold *hold;
    uint32_t n = 0;

    TAILQ_FOREACH(hold, &claim->holds, of_claim)
    {
        items[n++] = hold->item;
        hold->item->refs++;
        member_store(core, claim, hold->item, false);
    }
    answer->pub.number = n;
    core_record(core, TSPACE_RECORD_CLAIM, NULL, claim->realm,
                stored_key(claim), NULL);
    core_memory_add(core, claim->realm, 'c', stored_key(claim), outcome, answer,
                    0, true);
    core_answer_unref(core, answer);
    core_claim_free(core, claim);
    if (n > 1)
        qsort(items, n, sizeof(struct item *), by_age);
    for (uint32_t i = 0; i < n; i++) {
        if (outcome == OUTCOME_CONFIRMED)
            core_item_end(core, items[i], TSPACE_TAKEN);
        else if (core->config.unsafe & TSPACE_UNSAFE_NOT_WOKEN)
            shape_link(items[i]->shape, items[i]);
        else if (!lost)
            core_item_show(core, items[i], false);
        item_unref(items[i]);
    }
    free(items);
}

void
core_claim_lapse(struct tspace_core *core, struct claim *claim)
{
    claim_end(core, claim, OUTCOME_LAPSED);
}

/* -- requests -------------------------------------------------------------- */

static void
ended_again(struct tspace_core *core, const struct scope *scope,
            const struct tspace_claim *request)
{
    uint8_t key[8 + TSPACE_CLAIM_OWNER_MAX];
    const struct plex_bytes stored = {
        key, claim_key(request->claim.owner, request->claim.turn, key)};
    const struct request *ended = NULL;

    if (scope->realm != NULL)
        ended = core_memory_find(core, scope->realm, 'c', stored);
    if (ended == NULL)
        core_refuse(core, scope->op->call, PLEX_NOT_FOUND,
                    "there is no claim of this owner and turn");
    else if ((request->verb == TSPACE_CONFIRM &&
              ended->outcome == OUTCOME_CONFIRMED) ||
             (request->verb == TSPACE_RELEASE &&
              ended->outcome != OUTCOME_CONFIRMED)) {
        core_reply(core, scope->op->call, ended->answer);
    } else {
        core_refuse(core, scope->op->call, PLEX_CONFLICT, "the claim %s",
                    core_outcome_text(ended->outcome));
    }
}

void
tspace_core_claim(struct tspace_core *core, struct tspace_now now,
                  const struct tspace_claim *request)
{
    const struct tspace_claim_of *of = &request->claim;
    struct claim *claim = NULL;
    struct answer *answer;
    struct scope scope;

    if (!core_begin(core, now, &request->op, false, &scope))
        return;
    if (of->owner.len < 1 || of->owner.len > TSPACE_CLAIM_OWNER_MAX ||
        (request->verb == TSPACE_RENEW &&
         (of->lease_ms < 1 || of->lease_ms > TSPACE_TTL_MAX_MS))) {
        core_refuse(core, request->op.call, PLEX_INVALID,
                    "a claim has an owner of 1 to %d bytes and a lease of 1 ms "
                    "to 30 days",
                    TSPACE_CLAIM_OWNER_MAX);
        return;
    }
    if (scope.realm != NULL)
        claim = claim_find(core, scope.realm, of->owner, of->turn);
    /* A lease that is over is over, whether a tick came by or not. */
    if (claim != NULL && claim->expires_ms <= core->now.wall_ms) {
        core_claim_lapse(core, claim);
        claim = NULL;
    }
    if (claim == NULL) {
        ended_again(core, &scope, request);
        return;
    }
    answer = core_answer(core, 0);
    answer->pub.number = claim->n;
    if (request->verb == TSPACE_RENEW) {
        core_claim_lease(core, claim, core->now.wall_ms + of->lease_ms);
        claim_store(core, claim);
    } else {
        claim_end(core, claim,
                  request->verb == TSPACE_CONFIRM ? OUTCOME_CONFIRMED
                                                  : OUTCOME_RELEASED);
    }
    core_finish(core, &scope, answer);
}
