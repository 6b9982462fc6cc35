#include "services/registry/wire_tree.h"

#include "common/wire.h"

#include <string.h>

#define APP(name) Plexspaces__Application__V1__##name

enum {
    PERIOD_DEFAULT_MS = 5000,
    INTENSITY_DEFAULT = 1,
    PLACEMENT_BYTES_MAX = 16384,
};

/* -- in -------------------------------------------------------------------- */

/* What does not fit in 32 bits is too much for the checks as well. */
static uint32_t
narrow(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* As it travels: what it means is placement's business. */
static enum plex_status
placement_in(const APP(Placement) * in, struct plex_arena *arena,
             struct plex_bytes *out, struct plex_err *err)
{
    struct plex_buf packed = {.max = PLACEMENT_BYTES_MAX};
    uint8_t *copy = NULL;

    if (in == NULL)
        return PLEX_OK;
    if (plex_wire_pack(&in->base, &packed, err) != PLEX_OK) {
        plex_buf_free(&packed);
        return plex_err_wrap(err, "placement");
    }
    /* One that asks for nothing is none. */
    copy = plex_arena_alloc(arena, packed.len + 1);
    if (copy != NULL && packed.len > 0) {
        memcpy(copy, packed.data, packed.len);
        *out = (struct plex_bytes){copy, packed.len};
    }
    plex_buf_free(&packed);
    return copy == NULL ? plex_wire_no_room(err) : PLEX_OK;
}

static enum plex_status
child_in(const APP(Child) * in, struct plex_arena *arena, struct reg_child *out,
         struct plex_err *err)
{
    *out = (struct reg_child){
        .id = in->id,
        .type = in->type,
        .module = in->module,
        .behaviour = in->behaviour,
        .name = in->name,
        .args = in->args,
        .node = in->node,
        .significant = in->significant,
    };
    if (reg_word_parse(REG_WORD_RESTART, in->restart, &out->restart, err) !=
            PLEX_OK ||
        reg_shutdown_parse(in->shutdown, &out->shutdown_ms, err) != PLEX_OK)
        return err->status;
    if (placement_in(in->placement, arena, &out->placement, err) != PLEX_OK)
        return err->status;
    return reg_pb_tree_in(in->supervisor, arena, &out->supervisor, err);
}

enum plex_status
reg_pb_tree_in(const APP(Supervisor) * in, struct plex_arena *arena,
               const struct reg_supervisor **out, struct plex_err *err)
{
    struct reg_supervisor *tree;
    struct reg_child *children;

    *out = NULL;
    if (in == NULL)
        return PLEX_OK;
    tree = plex_wire_array(arena, 1, sizeof *tree);
    children = plex_wire_array(arena, in->n_children, sizeof *children);
    if (tree == NULL || children == NULL)
        return plex_wire_no_room(err);
    if (reg_word_parse(REG_WORD_STRATEGY, in->strategy, &tree->strategy, err) !=
            PLEX_OK ||
        reg_word_parse(REG_WORD_AUTO_SHUTDOWN, in->auto_shutdown,
                       &tree->auto_shutdown, err) != PLEX_OK)
        return plex_err_wrap(err, "supervisor");
    tree->intensity =
        in->has_intensity_case ==
                PLEXSPACES__APPLICATION__V1__SUPERVISOR__HAS_INTENSITY_INTENSITY
            ? in->intensity
            : INTENSITY_DEFAULT;
    tree->period_ms =
        in->period_ms == 0 ? PERIOD_DEFAULT_MS : narrow(in->period_ms);
    tree->backoff_initial_ms = narrow(in->backoff_initial_ms);
    tree->backoff_max_ms = narrow(in->backoff_max_ms);
    tree->children = children;
    tree->n_children = in->n_children;
    for (size_t i = 0; i < in->n_children; i++)
        if (child_in(in->children[i], arena, &children[i], err) != PLEX_OK)
            return plex_err_wrap(err, "children[%zu]", i);
    *out = tree;
    return PLEX_OK;
}

/* -- out ------------------------------------------------------------------- */

static enum plex_status
child_out(const struct reg_child *in, struct plex_arena *arena,
          APP(Child) * out, struct plex_err *err)
{
    char shutdown[24];

    plexspaces__application__v1__child__init(out);
    out->id = plex_wire_text(in->id);
    out->type = plex_wire_text(in->type);
    out->module = plex_wire_text(in->module);
    out->behaviour = plex_wire_text(in->behaviour);
    out->name = plex_wire_text(in->name);
    out->args = plex_wire_text(in->args);
    out->node = plex_wire_text(in->node);
    out->significant = in->significant;
    out->restart = plex_wire_text(reg_word_text(REG_WORD_RESTART, in->restart));
    reg_shutdown_text(in->shutdown_ms, shutdown);
    out->shutdown = plex_arena_strndup(arena, shutdown, strlen(shutdown));
    if (out->shutdown == NULL)
        return plex_wire_no_room(err);
    if (in->placement.len > 0) {
        ProtobufCMessage *message;

        if (plex_wire_unpack(
                &plexspaces__application__v1__placement__descriptor,
                in->placement, arena, &message, err) != PLEX_OK)
            return err->status;
        out->placement = (APP(Placement) *)message;
    }
    return reg_pb_tree_out(in->supervisor, arena, &out->supervisor, err);
}

enum plex_status
reg_pb_tree_out(const struct reg_supervisor *in, struct plex_arena *arena,
                APP(Supervisor) * *out, struct plex_err *err)
{
    APP(Supervisor) * tree;
    APP(Child) * children;

    *out = NULL;
    if (in == NULL)
        return PLEX_OK;
    tree = plex_wire_array(arena, 1, sizeof *tree);
    children = plex_wire_array(arena, in->n_children, sizeof *children);
    if (tree == NULL || children == NULL)
        return plex_wire_no_room(err);
    plexspaces__application__v1__supervisor__init(tree);
    tree->strategy =
        plex_wire_text(reg_word_text(REG_WORD_STRATEGY, in->strategy));
    tree->auto_shutdown = plex_wire_text(
        reg_word_text(REG_WORD_AUTO_SHUTDOWN, in->auto_shutdown));
    tree->has_intensity_case =
        PLEXSPACES__APPLICATION__V1__SUPERVISOR__HAS_INTENSITY_INTENSITY;
    tree->intensity = in->intensity;
    tree->period_ms = in->period_ms;
    tree->backoff_initial_ms = in->backoff_initial_ms;
    tree->backoff_max_ms = in->backoff_max_ms;
    tree->n_children = in->n_children;
    tree->children =
        plex_wire_array(arena, in->n_children, sizeof *tree->children);
    if (tree->children == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_children; i++) {
        if (child_out(&in->children[i], arena, &children[i], err) != PLEX_OK)
            return err->status;
        tree->children[i] = &children[i];
    }
    *out = tree;
    return PLEX_OK;
}
