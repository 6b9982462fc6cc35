#ifndef PLEXSPACES_COORD_REQUEST_H
#define PLEXSPACES_COORD_REQUEST_H

#include "tuple_fields.h"

/*
 * What the headers of coordination.h have in common: who, where, requests
 * that may be repeated, and things that are made once.
 */
enum {
    PLEX_COORD_NAME_MAX = 128, /* bytes of a name, and of who */
    PLEX_COORD_TEXT_MAX = 264, /* as JSON, with quotes and the final 0 */
};

/* A thing of that name in a space, and who uses it. Plain data: it may be
 * copied, and kept in plex_data() or in an actor's state. */
struct plex_coord {
    char space[65];
    char name[PLEX_COORD_TEXT_MAX]; /* JSON */
    char who[PLEX_COORD_TEXT_MAX];  /* JSON */
};

/* `text` as JSON: 1 to 128 bytes of printable UTF-8. */
static inline bool
plex_coord_text(const char *text, char out[PLEX_COORD_TEXT_MAX])
{
    const size_t len = strlen(text);

    if (len < 1 || len > PLEX_COORD_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20)
            return false;
    return plex_tuple_quote(text, out, PLEX_COORD_TEXT_MAX);
}
/*
 * `who` tells parties apart, and is the same one after a restart: NULL means
 * "type/key" of this actor, or the process's own name or number.
 * PLEX_E_INVALID: a text that is too long, empty or not printable.
 */
static inline int
plex_coord_init(struct plex_ctx *ctx, struct plex_coord *out, const char *space,
                const char *name, const char *who)
{
    char self[512];

    memset(out, 0, sizeof *out);
    if (ctx->process == NULL)
        return PLEX_E_UNSUPPORTED;
    if (who == NULL) {
        (void)plex_ref_text(ctx, plex_self_ref(ctx), self, sizeof self);
        who = self;
    }
    if (strlen(space) >= sizeof out->space ||
        !plex_coord_text(name, out->name) || !plex_coord_text(who, out->who))
        return PLEX_E_INVALID;
    memcpy(out->space, space, strlen(space));
    return 0;
}

/* A number that nobody else has: 53 bits, which is what JSON has. */
static inline uint64_t
plex_coord_random(struct plex_ctx *ctx)
{
    uint64_t number = 0;

    plex_turn_random(ctx, &number, sizeof number);
    return (number >> 11) | 1;
}
/* 16 bytes that depend on all of `text`. */
static inline void
plex_coord_hash(const char *text, uint8_t out[16])
{
    uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x9e3779b97f4a7c15);

    for (; *text != '\0'; text++) {
        a = (a ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        b = (b + (unsigned char)*text) * UINT64_C(0xff51afd7ed558ccd);
        b ^= b >> 29;
    }
    memcpy(out, &a, sizeof a);
    memcpy(out + 8, &b, sizeof b);
}

/*
 * plex_tuple_do() with a request that plex_tuple_format() made: freed. A
 * change gets a request id, so that it is carried out once however often it
 * has to be sent: while the tuple space restarts it waits.
 */
static inline int
plex_coord_send(struct plex_ctx *ctx, enum plex_tuple_method method,
                uint64_t wait_ms, char *json, struct plex_value *out)
{
    const bool reads = method == PLEX_TUPLE_READ ||
                       method == PLEX_TUPLE_COUNT ||
                       method == PLEX_TUPLE_EXISTS;
    struct plex_tuple_op op = {.method = method};
    uint8_t id[16];
    int status;

    *out = (struct plex_value){"", 0};
    if (json == NULL)
        return PLEX_E_LIMIT;
    plex_turn_random(ctx, id, sizeof id);
    op.json = json;
    op.wait_ms = wait_ms;
    op.id = reads ? NULL : id;
    status = plex_tuple_do(ctx, &op, out);
    free(json);
    return status;
}
/* As plex_tuple_rd(); `pattern` is freed. */
static inline int
plex_coord_read(struct plex_ctx *ctx, const struct plex_coord *c, char *pattern,
                uint64_t wait_ms, struct plex_value *fields)
{
    int status = PLEX_E_LIMIT;

    if (pattern != NULL)
        status = plex_tuple_rd(ctx, c->space, pattern, wait_ms, fields);
    free(pattern);
    return status;
}
/* As plex_tuple_cas(), and safe to be sent again; both are freed. */
static inline int
plex_coord_swap(struct plex_ctx *ctx, const struct plex_coord *c, char *pattern,
                char *tuple, bool *swapped)
{
    static const char yes[] = "{\"swapped\":true";
    struct plex_value answer = {"", 0};
    int status = PLEX_E_LIMIT;

    if (pattern != NULL && tuple != NULL)
        status = plex_coord_send(
            ctx, PLEX_TUPLE_CAS, 0,
            plex_tuple_format("{\"space\":\"%s\",\"template\":%s,\"tuple\":%s}",
                              c->space, pattern, tuple),
            &answer);
    free(pattern);
    free(tuple);
    *swapped = status == 0 && answer.len >= sizeof yes - 1 &&
               memcmp(answer.data, yes, sizeof yes - 1) == 0;
    return status;
}

/* -- made once ------------------------------------------------------------- */

/*
 * Write `tuples` (JSON, without the outer brackets) unless `mark`, a template
 * that one of them matches, is there. However many do so at once, it happens
 * once: they use one request id, which says what is made. That one is
 * remembered for ten minutes, also when the tuples have been cleared since:
 * then the next id serves. Both texts are freed.
 */
static inline int
plex_coord_make(struct plex_ctx *ctx, const struct plex_coord *c, char *mark,
                char *tuples)
{
    struct plex_value ignored;
    int status = mark == NULL || tuples == NULL ? PLEX_E_LIMIT : 0;

    for (int attempt = 0; status == 0; attempt++) {
        char *json, *seed;
        struct plex_tuple_op op = {.method = PLEX_TUPLE_WRITE};
        uint8_t id[16];

        status = plex_tuple_rdp(ctx, c->space, mark, &ignored);
        if (status != PLEX_E_NOT_FOUND || attempt == 1000)
            break;
        json = plex_tuple_format("{\"space\":\"%s\",\"tuples\":[%s]}", c->space,
                                 tuples);
        seed = json == NULL ? NULL : plex_tuple_format("%d:%s", attempt, json);
        status = PLEX_E_LIMIT;
        if (seed != NULL) {
            plex_coord_hash(seed, id);
            op.json = json;
            op.id = id;
            status = plex_tuple_do(ctx, &op, &ignored);
        }
        free(seed);
        free(json);
    }
    free(mark);
    free(tuples);
    return status;
}

#endif
