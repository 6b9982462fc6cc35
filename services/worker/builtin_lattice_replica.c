#include "services/worker/builtin_lattice_replica.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/group.h"

#include <stdlib.h>
#include <string.h>

enum {
    TELL_MS = 10,   /* changes that come in that time are told together */
    JOIN_MS = 2000, /* whoever has not told all by then is not waited for */
    KEEP_MS = 500,
    KEEP_AGAIN_MS = 1000,
    KEEP_CALL_MS = 5000,
    KEEPING_MAX = 16, /* calls to owners at once */
    TAG_GOSSIP = 1,   /* INFO between replicas */
    TAG_WAKE = 1,     /* TIMER */
};

/* A call to an owner. */
struct keeping {
    bool used;
    uint64_t version;
    size_t len;
    char key[LATTICE_KEY_MAX + 1];
};
struct site {
    struct work_lattice_site *shared;
    struct keeping keeping[KEEPING_MAX];
    uint64_t join_by; /* ms; 0: it has heard from the others */
    bool keeps;       /* it is going through the cells, and is there: */
    size_t keeps_at;
    uint64_t keep_at; /* ms; not before */
    uint64_t wake;    /* timer; 0: none */
    uint64_t wake_at;
    uint64_t refused; /* said so far */
    bool keep_failed; /* and said so */
};

static uint64_t
now_ms(struct plex_ctx *ctx)
{
    return plex_monotonic_ns(ctx) / 1000000;
}

void
work_lattice_group(const char *type, char out[WORK_LATTICE_GROUP_MAX])
{
    (void)snprintf(out, WORK_LATTICE_GROUP_MAX, "lattice.%s", type);
}

/* No two processes have the same ref, ever: so of a life of a replica. */
static uint64_t
id_of(struct plex_ref ref)
{
    uint64_t id = ref.node * UINT64_C(0x9e3779b97f4a7c15) + ref.id;

    id = (id ^ id >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    id = (id ^ id >> 27) * UINT64_C(0x94d049bb133111eb);
    id ^= id >> 31;
    return id == 0 ? 1 : id;
}

/* -- when to do what ------------------------------------------------------- */

static bool
has_unkept(const struct site *site)
{
    const struct lattice *lattice;
    const char *key;
    uint64_t version;
    size_t at = 0, len;

    return site->shared->declared.kept_in[0] != '\0' &&
           lattice_replica_unkept(site->shared->replica, &at, &key, &len,
                                  &lattice, &version);
}

/* The next look is not later than that. */
static void
wake_by(struct plex_ctx *ctx, struct site *site, uint64_t at_ms)
{
    const uint64_t now = now_ms(ctx);

    if (site->wake != 0 && site->wake_at <= at_ms)
        return;
    if (site->wake != 0)
        (void)plex_cancel_timer(ctx, site->wake);
    site->wake_at = at_ms;
    site->wake = plex_send_after(ctx, plex_self_ref(ctx),
                                 at_ms > now ? at_ms - now : 1, 0, TAG_WAKE);
}

static void
changed(struct plex_ctx *ctx, struct site *site)
{
    atomic_store(&site->shared->busy, true);
    wake_by(ctx, site, now_ms(ctx) + TELL_MS);
}

/* -- telling others -------------------------------------------------------- */

static struct plex_ref
ref_of(const struct site *site, uint64_t id)
{
    for (size_t i = 0; i < site->shared->n_peers; i++)
        if (site->shared->peers[i].id == id)
            return site->shared->peers[i].ref;
    return (struct plex_ref){0};
}

static void
tell(struct plex_ctx *ctx, struct site *site)
{
    struct lattice_replica *replica = site->shared->replica;
    const uint64_t refused = lattice_replica_refused(replica);
    uint64_t to;

    while (lattice_replica_next(replica, now_ms(ctx), &to, &site->shared->out))
        plex_send(ctx, ref_of(site, to), TAG_GOSSIP, site->shared->out.data,
                  site->shared->out.len);
    if (refused > site->refused)
        plex_logf(ctx, 1,
                  "%llu cells of %s from other workers do not fit here: they "
                  "will differ",
                  (unsigned long long)(refused - site->refused),
                  site->shared->type);
    site->refused = refused;
}

static void
peer_up(struct site *site, struct plex_ref ref)
{
    const uint64_t id = id_of(ref);

    if (ref_of(site, id).id != 0 || site->shared->n_peers == LATTICE_PEERS_MAX)
        return;
    if (site->shared->n_peers == site->shared->cap_peers) {
        site->shared->cap_peers =
            site->shared->cap_peers == 0 ? 4 : site->shared->cap_peers * 2;
        site->shared->peers =
            plex_reallocarray(site->shared->peers, site->shared->cap_peers,
                              sizeof *site->shared->peers);
    }
    site->shared->peers[site->shared->n_peers++] =
        (struct work_lattice_peer){id, ref};
    lattice_replica_peer_up(site->shared->replica, id);
}

static void
peer_down(struct site *site, struct plex_ref ref)
{
    const uint64_t id = id_of(ref);

    for (size_t i = 0; i < site->shared->n_peers; i++)
        if (site->shared->peers[i].id == id) {
            site->shared->peers[i] =
                site->shared->peers[--site->shared->n_peers];
            lattice_replica_peer_down(site->shared->replica, id);
            return;
        }
}

/* -- keeping --------------------------------------------------------------- */

static bool
is_being_kept(const struct site *site, const char *key, size_t len)
{
    for (size_t i = 0; i < KEEPING_MAX; i++)
        if (site->keeping[i].used && site->keeping[i].len == len &&
            memcmp(site->keeping[i].key, key, len) == 0)
            return true;
    return false;
}

static struct keeping *
keeping_free(struct site *site)
{
    for (size_t i = 0; i < KEEPING_MAX; i++)
        if (!site->keeping[i].used)
            return &site->keeping[i];
    return NULL;
}

/* The owner merges the whole cell, and answers with what it has then. */
static void
keep_one(struct plex_ctx *ctx, struct site *site, struct keeping *keeping,
         const struct lattice *lattice)
{
    char name[LATTICE_KEPT_MAX + LATTICE_KEY_MAX + 2];
    json_t *request = json_pack("{s:s, s:o, s:b}", "action", "merge", "state",
                                work_lattice_text(lattice), "encoded", 1);
    char *text = json_dumps(request, JSON_COMPACT);

    json_decref(request);
    (void)snprintf(name, sizeof name, "%s/%s", site->shared->declared.kept_in,
                   keeping->key);
    keeping->used = true;
    plex_call_ref(ctx, plex_whereis(ctx, name), text, strlen(text),
                  KEEP_CALL_MS, (uint64_t)(keeping - site->keeping));
    free(text);
}

/* Goes through the cells once, as fast as owners answer. */
static void
keep(struct plex_ctx *ctx, struct site *site)
{
    const struct lattice *lattice;
    struct keeping *keeping;
    const char *key;
    uint64_t version;
    size_t len;

    if (!site->keeps)
        site->keeps_at = 0;
    site->keeps = true;
    while ((keeping = keeping_free(site)) != NULL) {
        if (!lattice_replica_unkept(site->shared->replica, &site->keeps_at,
                                    &key, &len, &lattice, &version)) {
            site->keeps = false;
            site->keep_at = now_ms(ctx) + KEEP_MS;
            return;
        }
        if (is_being_kept(site, key, len))
            continue;
        keeping->version = version;
        keeping->len = len;
        memcpy(keeping->key, key, len);
        keeping->key[len] = '\0';
        keep_one(ctx, site, keeping, lattice);
    }
}

/* -- looking around -------------------------------------------------------- */

static void
look(struct plex_ctx *ctx, struct site *site)
{
    const uint64_t now = now_ms(ctx);
    const bool hurry = atomic_load(&site->shared->hurry);
    uint64_t due;
    bool unkept;

    tell(ctx, site);
    unkept = has_unkept(site);
    if (unkept &&
        (site->keeps || now >= site->keep_at || (hurry && !site->keep_failed)))
        keep(ctx, site);
    atomic_store(&site->shared->cells,
                 lattice_replica_cells(site->shared->replica));
    atomic_store(&site->shared->refused,
                 lattice_replica_refused(site->shared->replica));
    atomic_store(&site->shared->busy,
                 unkept || !lattice_replica_settled(site->shared->replica));
    due = lattice_replica_due(site->shared->replica, now);
    if (unkept && site->keep_at < due)
        due = site->keep_at;
    if (due != UINT64_MAX)
        wake_by(ctx, site, due > now + TELL_MS ? due : now + TELL_MS);
}

static int
replica_reply(struct plex_ctx *ctx, uint64_t tag,
              enum plex_result_status status, const void *payload, size_t len)
{
    struct site *site = plex_data(ctx);
    struct keeping *keeping = &site->keeping[tag % KEEPING_MAX];
    json_t *answer =
        status == PLEX_CALL_OK ? json_loadb(payload, len, 0, NULL) : NULL;
    struct lattice *state = NULL;
    struct plex_err err;

    keeping->used = false;
    if (work_lattice_parse(json_object_get(answer, "state"), &state, &err) ==
        PLEX_OK) {
        lattice_replica_kept(site->shared->replica, keeping->key, keeping->len,
                             keeping->version);
        if (lattice_replica_change(site->shared->replica, keeping->key,
                                   keeping->len, state, true, &err) != PLEX_OK)
            plex_logf(ctx, 1, "%s/%s: %s", site->shared->type, keeping->key,
                      err.text);
        site->keep_failed = false;
    } else {
        site->keeps = false;
        site->keep_at = now_ms(ctx) + KEEP_AGAIN_MS;
        if (!site->keep_failed)
            plex_logf(ctx, 1, "%s/%s is not kept in %s yet: %.*s",
                      site->shared->type, keeping->key,
                      site->shared->declared.kept_in,
                      (int)(len < 200 ? len : 200),
                      payload == NULL ? "" : (const char *)payload);
        site->keep_failed = true;
    }
    lattice_free(state);
    json_decref(answer);
    look(ctx, site);
    return 0;
}

static int
replica_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct site *site = plex_data(ctx);
    struct plex_err err;

    if (msg->kind == PLEX_MSG_TIMER) {
        site->wake = 0;
        look(ctx, site);
    } else if (msg->kind == PLEX_MSG_GROUP && msg->tag == 1) {
        if (!plex_ref_is(msg->from, plex_self_ref(ctx)))
            peer_up(site, msg->from);
        changed(ctx, site);
    } else if (msg->kind == PLEX_MSG_GROUP) {
        peer_down(site, msg->from);
        changed(ctx, site);
    } else if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_GOSSIP) {
        if (lattice_replica_receive(
                site->shared->replica, now_ms(ctx), id_of(msg->from),
                (struct plex_bytes){msg->payload, msg->len}, &err) != PLEX_OK)
            plex_logf(ctx, 1, "%s: %s", site->shared->type, err.text);
        tell(ctx, site); /* that it came */
        changed(ctx, site);
    }
    return 0;
}

static int
replica_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    if (msg->tag == WORK_LATTICE_STOP)
        plex_exit_self(ctx, "normal");
    else
        look(ctx, plex_data(ctx));
    return 0;
}

/* -- what the front asks --------------------------------------------------- */

static int
say(struct plex_ctx *ctx, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    json_decref(value);
    if (text == NULL)
        return plex_fail(ctx, "the answer cannot be written as JSON");
    plex_reply(ctx, "application/json", text, strlen(text));
    free(text);
    return 0;
}

static json_t *
refusal(const struct plex_err *err)
{
    return json_pack("{s:i, s:s}", "refused", plex_status_http(err->status),
                     "detail", err->text);
}

/* Has it seen what the token says? A bad token: PLEX_INVALID. */
static enum plex_status
token_check(const struct site *site, const json_t *token, bool *behind,
            struct plex_err *err)
{
    struct lattice *seen;

    *behind = false;
    if (token == NULL || json_string_length(token) == 0)
        return PLEX_OK;
    if (site->shared->declared.consistency != LATTICE_CAUSAL)
        return plex_err_set(err, PLEX_INVALID,
                            "token means nothing here: the type is not causal");
    if (work_lattice_parse(token, &seen, err) != PLEX_OK)
        return plex_err_wrap(err, "token");
    if (lattice_kind_of(seen) != LATTICE_VECTOR_CLOCK)
        err->status = plex_err_set(err, PLEX_INVALID, "token is none of ours");
    else
        *behind =
            !lattice_covers(lattice_replica_seen(site->shared->replica), seen);
    lattice_free(seen);
    return err->status;
}

/* Does it know too little to be read, because it has just begun? */
static bool
joins(struct plex_ctx *ctx, struct site *site)
{
    size_t heard;

    if (site->join_by == 0)
        return false;
    (void)lattice_replica_peers(site->shared->replica, &heard);
    if (heard >= site->shared->others || now_ms(ctx) >= site->join_by)
        site->join_by = 0;
    return site->join_by != 0;
}

static enum plex_status
recalled_take(struct site *site, const char *key, const json_t *request,
              struct plex_err *err)
{
    const json_t *recalled = json_object_get(request, "recalled");
    struct lattice *state;
    enum plex_status status;

    if (!json_is_string(recalled))
        return PLEX_OK;
    if (work_lattice_parse(recalled, &state, err) != PLEX_OK)
        return err->status;
    status = lattice_replica_change(site->shared->replica, key, strlen(key),
                                    state, true, err);
    lattice_free(state);
    return status;
}

static enum plex_status
change(struct plex_ctx *ctx, struct site *site, const char *key,
       struct work_lattice_request *request, struct plex_err *err)
{
    struct lattice_replica *replica = site->shared->replica;
    const struct lattice *now = lattice_replica_get(replica, key, strlen(key));
    const char *kinds = site->shared->declared.kinds;
    const bool kept = json_is_true(json_object_get(request->json, "kept"));
    struct lattice *delta = request->state;
    enum plex_status status = PLEX_OK;

    request->state = NULL;
    if (request->action == WORK_LATTICE_UPDATE)
        status = lattice_update(now, kinds, id_of(plex_self_ref(ctx)),
                                plex_turn_ms(ctx), request->json, &delta, err);
    else if (delta != NULL)
        status = work_lattice_check(now, delta, kinds, err);
    if (status == PLEX_OK && delta != NULL) {
        status =
            lattice_replica_change(replica, key, strlen(key), delta, kept, err);
        changed(ctx, site);
    }
    lattice_free(delta);
    return status;
}

static json_t *
answer_make(const struct site *site, const char *key,
            const struct work_lattice_request *request)
{
    const struct lattice *cell =
        lattice_replica_get(site->shared->replica, key, strlen(key));
    const enum lattice_consistency c = site->shared->declared.consistency;
    json_t *answer =
        work_lattice_answer(cell, site->shared->declared.kinds,
                            c == LATTICE_READ_COMMITTED, request->json);

    if (c == LATTICE_CAUSAL)
        (void)json_object_set_new(
            answer, "token",
            work_lattice_text(lattice_replica_seen(site->shared->replica)));
    return json_pack("{s:o}", "answer", answer);
}

static json_t *
act(struct plex_ctx *ctx, struct site *site,
    struct work_lattice_request *request)
{
    const char *key = json_string_value(json_object_get(request->json, "key"));
    struct plex_err err = {0};
    bool behind;

    if (key == NULL || key[0] == '\0' || strlen(key) > LATTICE_KEY_MAX) {
        (void)plex_err_set(&err, PLEX_INVALID,
                           "key must be a text of 1 to %d bytes",
                           LATTICE_KEY_MAX);
        return refusal(&err);
    }
    if (token_check(site, json_object_get(request->json, "token"), &behind,
                    &err) != PLEX_OK)
        return refusal(&err);
    if (behind || (request->action == WORK_LATTICE_GET && joins(ctx, site)))
        return json_pack("{s:b}", "behind", 1);
    if (site->shared->declared.kept_in[0] != '\0' &&
        json_object_get(request->json, "recalled") == NULL &&
        lattice_replica_get(site->shared->replica, key, strlen(key)) == NULL)
        return json_pack("{s:b}", "recall", 1);
    if (recalled_take(site, key, request->json, &err) != PLEX_OK ||
        change(ctx, site, key, request, &err) != PLEX_OK)
        return refusal(&err);
    return answer_make(site, key, request);
}

static int
replica_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct work_lattice_request request;
    struct plex_err err;
    json_t *answer;

    if (work_lattice_request_init(&request, msg->payload, msg->len, &err) !=
        PLEX_OK)
        answer = refusal(&err);
    else
        answer = act(ctx, plex_data(ctx), &request);
    work_lattice_request_fini(&request);
    return say(ctx, answer);
}

/* -- life ------------------------------------------------------------------ */

void
work_lattice_site_fini(struct work_lattice_site *site)
{
    lattice_replica_free(site->replica);
    free(site->peers);
    plex_buf_free(&site->out);
    site->replica = NULL;
    site->peers = NULL;
    site->n_peers = site->cap_peers = 0;
}

static int
replica_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct site *site = plex_data(ctx);
    char group[WORK_LATTICE_GROUP_MAX];
    struct plex_ref others[LATTICE_PEERS_MAX];
    struct lattice_replica_config config;
    size_t n;

    if (len != sizeof site->shared)
        return -1;
    memcpy(&site->shared, args, sizeof site->shared);
    config = (struct lattice_replica_config){
        .self = id_of(plex_self_ref(ctx)),
        .causal = site->shared->declared.consistency == LATTICE_CAUSAL,
        .kind = lattice_kind_parse(site->shared->declared.kinds,
                                   strcspn(site->shared->declared.kinds, "/")),
    };
    work_lattice_site_fini(site->shared); /* of a life before */
    site->shared->replica = lattice_replica_create(&config);
    site->shared->out.max = LATTICE_GOSSIP_MAX;
    site->join_by = now_ms(ctx) + JOIN_MS;
    work_lattice_group(site->shared->type, group);
    if (plex_group_monitor(ctx, group, true) != 0 ||
        plex_group_join(ctx, group) != 0)
        return plex_fail(ctx, "the group of replicas cannot be joined");
    n = plex_group_members(ctx, group, false, others, LATTICE_PEERS_MAX);
    for (size_t i = 0; i < n && i < LATTICE_PEERS_MAX; i++)
        if (!plex_ref_is(others[i], plex_self_ref(ctx)))
            peer_up(site, others[i]);
    changed(ctx, site);
    return 0;
}

const struct plex_behaviour work_lattice_replica_behaviour = {
    .name = "lattice-replica",
    .handle_call = replica_call,
    .handle_cast = replica_cast,
    .handle_reply = replica_reply,
    .init = replica_init,
    .handle_info = replica_info,
    .data_size = sizeof(struct site),
};
