#include "services/journal/chain.h"
#include "services/journal/store_backend.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/*
 * Going through the chains of hashes again. A page token is the sequence to go
 * on with, big endian, and the actor's name; sequence 0: with the next actor.
 */
enum {
    BROKEN_MAX = 100,     /* per answer */
    BYTES_MAX = 32 << 20, /* read for one answer */
    TURNS_MAX = 500,      /* read at once */
    TURNS_PER_ANSWER = 10000,
};

struct verify {
    struct journal_store *store;
    struct plex_arena *arena;  /* of the answer */
    struct plex_arena scratch; /* of one read */
    struct journal_verified *out;
    struct journal_broken *broken;
    uint64_t limit;
    const char *tenant;
    size_t bytes;
    /* the actor being looked at */
    struct plex_actor_id actor;
    const char *name;
    struct journal_stored_head head;
    uint64_t next; /* seq expected next */
    bool chained;  /* the turn before was */
    bool sealed;   /* the same, as far as is known */
    uint8_t chain[JOURNAL_CHAIN_BYTES];
};

static bool
is_full(const struct verify *v)
{
    return v->out->turns >= v->limit || v->bytes >= BYTES_MAX ||
           v->out->n_broken == BROKEN_MAX;
}

/* Ends the actor: what comes after a broken link says nothing more. */
static void
broken(struct verify *v, uint64_t seq, const char *text)
{
    v->broken[v->out->n_broken++] =
        (struct journal_broken){v->actor, seq, text};
    v->next = v->head.newest_seq + 1;
}

/* False when the actor is done with. */
static bool
turn_check(struct verify *v, const struct journal_stored *turn)
{
    const struct journal_row *row = &turn->row;
    uint8_t want[JOURNAL_CHAIN_BYTES];

    v->out->turns++;
    v->bytes += row->state.len + row->reply.len + row->record.len;
    v->out->bytes = v->bytes;
    if (row->seq != v->next) {
        broken(v, v->next, "is missing");
        return false;
    }
    if (turn->damaged) {
        broken(v, row->seq, "does not match its checksum");
        return false;
    }
    if (!turn->chained) {
        if (v->chained) {
            broken(v, row->seq, "has no chain though the one before has");
            return false;
        }
        v->out->unchained++;
        v->next++;
        return true;
    }
    if ((row->flags & JOURNAL_FLAG_SEALED) == 0) {
        if (v->sealed && journal_chain_keyed(v->store->chain)) {
            broken(v, row->seq, "is not sealed though the one before is");
            return false;
        }
    } else if (!journal_chain_keyed(v->store->chain)) {
        broken(v, row->seq, "is sealed and there is no master_key_file");
        return false;
    }
    v->sealed = (row->flags & JOURNAL_FLAG_SEALED) != 0;
    journal_chain_next(v->store->chain, v->chain, v->name, strlen(v->name), row,
                       want);
    if (memcmp(want, turn->chain, sizeof want) != 0) {
        broken(v, row->seq, "does not match the chain");
        return false;
    }
    memcpy(v->chain, want, sizeof want);
    v->chained = true;
    v->next++;
    return true;
}

static enum plex_status
turns_check(struct verify *v, struct plex_err *err)
{
    const struct journal_stored_range range = {v->next, v->head.newest_seq,
                                               TURNS_MAX, true};
    struct journal_stored *turns;
    size_t n;

    plex_arena_reset(&v->scratch);
    if (v->store->ops->history->turns(v->store, &v->actor, &range, &v->scratch,
                                      &turns, &n, err) != PLEX_OK)
        return err->status;
    if (n == 0)
        broken(v, v->next, "is missing");
    for (size_t i = 0; i < n && !is_full(v); i++)
        if (!turn_check(v, &turns[i]))
            break;
    return PLEX_OK;
}

/* The chain that turn `seq` continues. */
static enum plex_status
start_at(struct verify *v, uint64_t seq, struct plex_err *err)
{
    struct journal_stored_range before = {seq - 1, seq - 1, 1, true};
    struct journal_stored *turns;
    size_t n = 0;

    memset(v->chain, 0, sizeof v->chain);
    v->chained = v->sealed = false;
    if (seq <= v->head.anchor_seq + 1) { /* also: removed in the meantime */
        v->next = v->head.anchor_seq + 1;
        v->chained = v->head.anchor_chained;
        if (v->chained)
            memcpy(v->chain, v->head.anchor, sizeof v->chain);
        return PLEX_OK;
    }
    v->next = seq;
    if (v->store->ops->history->turns(v->store, &v->actor, &before, &v->scratch,
                                      &turns, &n, err) != PLEX_OK)
        return err->status;
    if (n == 1 && turns[0].chained) {
        v->chained = true;
        memcpy(v->chain, turns[0].chain, sizeof v->chain);
    }
    return PLEX_OK;
}

static enum plex_status
token_make(struct verify *v, uint64_t seq, struct plex_err *err)
{
    const size_t len = strlen(v->name);
    const uint64_t be = htobe64(seq);
    uint8_t *token = plex_arena_alloc(v->arena, sizeof be + len);

    if (token == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for a token");
    memcpy(token, &be, sizeof be);
    memcpy(token + sizeof be, v->name, len);
    v->out->next = (struct plex_bytes){token, sizeof be + len};
    return PLEX_OK;
}

/* From `seq` on, or from the oldest; makes a token when it is not finished. */
static enum plex_status
actor_check(struct verify *v, const char *name, uint64_t seq,
            struct plex_err *err)
{
    v->name = name;
    if (journal_actor_split(name, strlen(name), v->arena, &v->actor, err) !=
        PLEX_OK)
        return err->status;
    plex_arena_reset(&v->scratch);
    v->head = (struct journal_stored_head){0};
    if (v->store->ops->history->head(v->store, &v->actor, &v->head, err) !=
            PLEX_OK ||
        start_at(v, seq, err) != PLEX_OK)
        return err->status;
    while (v->next <= v->head.newest_seq) {
        if (is_full(v))
            return token_make(v, v->next, err);
        if (turns_check(v, err) != PLEX_OK)
            return err->status;
    }
    v->out->actors++;
    return PLEX_OK;
}

/* Names are in order: after the last one of a tenant come others only. */
static bool
of_tenant(const struct verify *v, const char *name)
{
    const size_t len = strlen(v->tenant);

    return len == 0 || (strncmp(name, v->tenant, len) == 0 && name[len] == '/');
}

static enum plex_status
everyone_check(struct verify *v, const char *after, struct plex_err *err)
{
    const char *const *names;
    size_t n;

    do {
        if (v->store->ops->history->actors(v->store, after, 100, v->arena,
                                           &names, &n, err) != PLEX_OK)
            return err->status;
        for (size_t i = 0; i < n; i++) {
            if (!of_tenant(v, names[i]))
                return PLEX_OK;
            if (actor_check(v, names[i], 0, err) != PLEX_OK)
                return err->status;
            if (v->out->next.len > 0)
                return PLEX_OK;
            if (is_full(v))
                return token_make(v, 0, err);
            after = names[i];
        }
    } while (n > 0);
    return PLEX_OK;
}

/* The token's parts; *name is "" when there is none. */
static enum plex_status
token_read(const struct verify *v, struct plex_bytes token, uint64_t *seq,
           const char **name, struct plex_err *err)
{
    uint64_t be;

    *seq = 0;
    *name = "";
    if (token.len == 0)
        return PLEX_OK;
    if (token.len <= sizeof be || token.len > sizeof be + PLEX_ACTOR_NAME_MAX ||
        memchr(token.data + sizeof be, 0, token.len - sizeof be) != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "page token is not one of the journal's, pass the "
                            "`next` of the last answer");
    memcpy(&be, token.data, sizeof be);
    *seq = be64toh(be);
    *name = plex_arena_strndup(v->arena, (const char *)token.data + sizeof be,
                               token.len - sizeof be);
    if (*name == NULL || *seq > INT64_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "page token is not one of the journal's");
    return PLEX_OK;
}

static enum plex_status
run(struct verify *v, const struct journal_verify *want, struct plex_err *err)
{
    const char *name;
    char only[PLEX_ACTOR_NAME_MAX + 1];
    uint64_t seq;

    if (token_read(v, want->after, &seq, &name, err) != PLEX_OK)
        return err->status;
    if (want->actor.key[0] != '\0') {
        (void)journal_actor_name(&want->actor, only);
        return actor_check(v, only, seq, err);
    }
    if (name[0] != '\0' && !of_tenant(v, name))
        return plex_err_set(err, PLEX_INVALID,
                            "page token is of another question");
    if (seq > 0) {
        if (actor_check(v, name, seq, err) != PLEX_OK)
            return err->status;
        if (v->out->next.len > 0 || is_full(v))
            return v->out->next.len > 0 ? PLEX_OK : token_make(v, 0, err);
    }
    if (name[0] == '\0' && v->tenant[0] != '\0') {
        (void)snprintf(only, sizeof only, "%s/", v->tenant);
        name = only;
    }
    return everyone_check(v, name, err);
}

enum plex_status
journal_store_verify(struct journal_store *store,
                     const struct journal_verify *want,
                     struct plex_arena *arena, struct journal_verified *out,
                     struct plex_err *err)
{
    struct verify v = {.store = store, .arena = arena, .out = out};
    enum plex_status status;

    *out = (struct journal_verified){0};
    if (want->limit == 0 || want->limit > TURNS_PER_ANSWER)
        return plex_err_set(err, PLEX_INVALID,
                            "verify limit is %u, 1 to %d are allowed",
                            want->limit, TURNS_PER_ANSWER);
    v.limit = want->limit;
    v.tenant = want->tenant == NULL ? "" : want->tenant;
    v.broken = plex_arena_alloc(arena, BROKEN_MAX * sizeof *v.broken);
    if (v.broken == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for an answer");
    out->broken = v.broken;
    plex_arena_init(&v.scratch, 64 << 20);
    status = run(&v, want, err);
    plex_arena_fini(&v.scratch);
    return status;
}
