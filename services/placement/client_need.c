/* What a process asks of its worker: application.v1 Placement, checked. */
#include "services/placement/client_wire.h"

#include "common/json_pb.h"
#include "common/name.h"
#include "common/wire.h"

#include "plexspaces/application/v1/application.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define APP(name) Plexspaces__Application__V1__##name

enum {
    CORES_MAX = 1000000,
    GPUS_MAX = 1000000,
    ACTOR_BYTES_MAX = 127,
    JSON_BYTES_MAX = 64 << 10,
};

struct reading {
    const char *tenant, *ns;
    struct plex_arena *arena;
    struct plex_err *err;
};

static enum plex_status
text_check(const char *what, const char *text, bool needed,
           struct plex_err *err)
{
    const size_t len = strlen(text);

    if (len > PLACE_LABEL_BYTES_MAX || (needed && len == 0))
        return plex_err_set(err, PLEX_INVALID,
                            "%s \"%.40s\" must have %d to %d bytes", what, text,
                            needed, PLACE_LABEL_BYTES_MAX);
    return PLEX_OK;
}

static enum plex_status
count_check(const char *what, size_t n, size_t max, struct plex_err *err)
{
    if (n > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s has %zu entries, at most %zu are allowed", what,
                            n, max);
    return PLEX_OK;
}

/* "TENANT/TEXT": what one tenant says is nothing to another. */
static const char *
scoped(const struct reading *r, const char *text, bool with_ns)
{
    char whole[512];

    (void)snprintf(whole, sizeof whole, with_ns ? "%s/%s/%s" : "%s/%.0s%s",
                   r->tenant, r->ns, text);
    return plex_arena_strndup(r->arena, whole, strlen(whole));
}

static enum plex_status
amounts_in(const APP(Placement) * in, struct place_amounts *out,
           struct plex_err *err)
{
    enum place_profile profile;

    if (place_profile_parse(in->profile, &profile, err) != PLEX_OK)
        return err->status;
    if (!isfinite(in->cpu_cores) || in->cpu_cores < 0 ||
        in->cpu_cores > CORES_MAX)
        return plex_err_set(err, PLEX_INVALID, "cpu_cores must be 0 to %d",
                            CORES_MAX);
    if (in->gpus > GPUS_MAX)
        return plex_err_set(err, PLEX_INVALID, "gpus must be 0 to %d",
                            GPUS_MAX);
    out->of[PLACE_CPU] = (uint64_t)ceil(in->cpu_cores * 1000 - 1e-6);
    out->of[PLACE_MEMORY] = in->memory_bytes;
    out->of[PLACE_DISK] = in->disk_bytes;
    out->of[PLACE_IO] = in->io_bytes;
    out->of[PLACE_NETWORK] = in->network_bytes;
    out->of[PLACE_GPU] = in->gpus;
    place_profile_fill(profile, out);
    return PLEX_OK;
}

/* A worker's labels are everybody's, a process's are its tenant's. */
#define LABELS_IN(name, entry)                                               \
    static enum plex_status name(const struct reading *r, const char *what,  \
                                 bool own, entry **in, size_t n,             \
                                 const struct place_label **out)             \
    {                                                                        \
        struct place_label *labels =                                         \
            plex_wire_array(r->arena, n, sizeof *labels);                    \
                                                                             \
        if (labels == NULL)                                                  \
            return plex_wire_no_room(r->err);                                \
        if (count_check(what, n, PLACE_LABELS_MAX, r->err) != PLEX_OK)       \
            return r->err->status;                                           \
        for (size_t i = 0; i < n; i++) {                                     \
            if (text_check(what, in[i]->key, true, r->err) != PLEX_OK ||     \
                text_check(what, in[i]->value, false, r->err) != PLEX_OK)    \
                return r->err->status;                                       \
            labels[i].key = own ? scoped(r, in[i]->key, false) : in[i]->key; \
            labels[i].value = in[i]->value;                                  \
            if (labels[i].key == NULL)                                       \
                return plex_wire_no_room(r->err);                            \
        }                                                                    \
        *out = labels;                                                       \
        return PLEX_OK;                                                      \
    }
LABELS_IN(labels_in, APP(Placement__LabelsEntry))
LABELS_IN(marks_in, APP(Placement__MarksEntry))
#undef LABELS_IN

static enum plex_status
nodes_check(const char *what, char **nodes, size_t n, struct plex_err *err)
{
    if (count_check(what, n, PLACE_NODES_MAX, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < n; i++)
        if (plex_name_plain(what, nodes[i], strlen(nodes[i]), err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

static enum plex_status
affinity_in(const struct reading *r, APP(Affinity) * *in, size_t n,
            const struct place_affinity **out)
{
    struct place_affinity *list = plex_wire_array(r->arena, n, sizeof *list);

    if (list == NULL)
        return plex_wire_no_room(r->err);
    if (count_check("affinity", n, PLACE_LABELS_MAX, r->err) != PLEX_OK)
        return r->err->status;
    for (size_t i = 0; i < n; i++) {
        if ((in[i]->actor[0] == '\0') == (in[i]->mark[0] == '\0'))
            return plex_err_set(r->err, PLEX_INVALID,
                                "affinity[%zu] has %s of actor and mark; give "
                                "one",
                                i, in[i]->actor[0] == '\0' ? "none" : "both");
        if (strlen(in[i]->actor) > ACTOR_BYTES_MAX)
            return plex_err_set(r->err, PLEX_INVALID,
                                "affinity[%zu].actor has more than %d bytes", i,
                                ACTOR_BYTES_MAX);
        if (text_check("affinity's mark", in[i]->mark, false, r->err) !=
                PLEX_OK ||
            text_check("affinity's value", in[i]->value, false, r->err) !=
                PLEX_OK)
            return r->err->status;
        list[i].apart = in[i]->apart;
        if (in[i]->actor[0] != '\0')
            list[i].actor = scoped(r, in[i]->actor, true);
        else
            list[i].label = (struct place_label){scoped(r, in[i]->mark, false),
                                                 in[i]->value};
        if (list[i].actor == NULL && list[i].label.key == NULL)
            return plex_wire_no_room(r->err);
    }
    *out = list;
    return PLEX_OK;
}

enum plex_status
place_pb_need_in(struct plex_bytes placement, const char *tenant,
                 const char *ns, struct plex_arena *arena,
                 struct place_need *out, struct plex_err *err)
{
    const struct reading r = {tenant, ns, arena, err};
    const APP(Placement) * in;
    ProtobufCMessage *message;

    *out = (struct place_need){0};
    if (plex_wire_unpack(&plexspaces__application__v1__placement__descriptor,
                         placement, arena, &message, err) != PLEX_OK)
        return err->status;
    in = (const void *)message;
    out->need.n_labels = in->n_labels;
    out->n_marks = in->n_marks;
    out->need.n_affinity = in->n_affinity;
    out->need.prefer = (const char *const *)in->preferred_nodes;
    out->need.n_prefer = in->n_preferred_nodes;
    out->need.avoid = (const char *const *)in->avoided_nodes;
    out->need.n_avoid = in->n_avoided_nodes;
    if (amounts_in(in, &out->need.amounts, err) != PLEX_OK ||
        place_strategy_parse(in->strategy, &out->need.strategy, err) !=
            PLEX_OK ||
        labels_in(&r, "labels", false, in->labels, in->n_labels,
                  &out->need.labels) != PLEX_OK ||
        marks_in(&r, "marks", true, in->marks, in->n_marks, &out->marks) !=
            PLEX_OK ||
        nodes_check("preferred_nodes", in->preferred_nodes,
                    in->n_preferred_nodes, err) != PLEX_OK ||
        nodes_check("avoided_nodes", in->avoided_nodes, in->n_avoided_nodes,
                    err) != PLEX_OK ||
        affinity_in(&r, in->affinity, in->n_affinity, &out->need.affinity) !=
            PLEX_OK)
        return err->status;
    return PLEX_OK;
}

enum plex_status
place_client_need_check(struct plex_bytes placement, struct plex_err *err)
{
    struct place_need need;
    struct plex_arena arena;
    enum plex_status status;

    plex_arena_init(&arena, 1 << 20);
    status = place_pb_need_in(placement, "", "", &arena, &need, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
place_client_need_json(const char *json, struct plex_arena *arena,
                       struct plex_bytes *out, struct plex_err *err)
{
    struct plex_buf packed = {.max = JSON_BYTES_MAX};
    ProtobufCMessage *message;
    json_error_t where;
    json_t *value;
    void *copy = NULL;
    enum plex_status status;

    if (strlen(json) > JSON_BYTES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "placement has %zu bytes, at most %d are read",
                            strlen(json), JSON_BYTES_MAX);
    value = json_loads(json, JSON_REJECT_DUPLICATES, &where);
    if (value == NULL)
        return plex_err_set(err, PLEX_INVALID, "placement is no JSON: %s",
                            where.text);
    status = plex_json_to_pb(
        value, &plexspaces__application__v1__placement__descriptor, arena,
        &message, err);
    json_decref(value);
    if (status != PLEX_OK)
        return plex_err_wrap(err, "placement");
    if (plex_wire_pack(message, &packed, err) == PLEX_OK) {
        copy = plex_arena_alloc(arena, packed.len + 1);
        if (copy == NULL)
            (void)plex_wire_no_room(err);
    }
    if (copy != NULL && packed.len > 0)
        memcpy(copy, packed.data, packed.len);
    *out = (struct plex_bytes){copy, packed.len};
    plex_buf_free(&packed);
    return copy == NULL ? err->status : place_client_need_check(*out, err);
}
