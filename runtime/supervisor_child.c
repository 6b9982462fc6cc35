#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/supervisor_private.h"

enum { SHUTDOWN_DEFAULT_MS = 5000 };

static char *
text_copy(const char *text)
{
    return text == NULL ? NULL : plex_strdup(text);
}

static void *
bytes_copy(const void *bytes, size_t len)
{
    void *copy;

    if (bytes == NULL || len == 0)
        return NULL;
    copy = plex_calloc(1, len);
    memcpy(copy, bytes, len);
    return copy;
}

static enum plex_status
spec_check(const struct sup_core *core, const struct plex_child *child,
           struct plex_err *err)
{
    const char *id = child->id;

    if (id == NULL || *id == '\0' ||
        strlen(id) >= sizeof(((struct plex_child_info *)0)->id))
        return plex_err_set(err, PLEX_INVALID,
                            "a child's id wants 1 to 127 bytes");
    if (child->behaviour == NULL)
        return plex_err_set(err, PLEX_INVALID, "child %s has no behaviour", id);
    if (child->restart > PLEX_TEMPORARY)
        return plex_err_set(err, PLEX_INVALID,
                            "child %s: restart wants permanent, transient or "
                            "temporary",
                            id);
    if (child->significant && child->restart == PLEX_PERMANENT)
        return plex_err_set(err, PLEX_INVALID,
                            "child %s is significant and permanent: it never "
                            "ends for good",
                            id);
    if (child->significant && core->flags.auto_shutdown == PLEX_AUTO_NEVER)
        return plex_err_set(err, PLEX_INVALID,
                            "child %s is significant, but auto_shutdown is "
                            "never",
                            id);
    return PLEX_OK;
}

static struct sup_spec_box *
box_make(const struct sup_spec *from)
{
    struct sup_spec_box *box = plex_calloc(1, sizeof *box);

    box->refs = 1;
    box->spec = *from;
    box->spec.id = plex_strdup(from->id);
    box->spec.name = text_copy(from->name);
    box->spec.node = text_copy(from->node);
    box->spec.args = bytes_copy(from->args, from->args_len);
    return box;
}

enum plex_status
sup_spec_make(const struct sup_core *core, const struct plex_child *child,
              struct sup_spec_box **out, struct plex_err *err)
{
    enum plex_status status = spec_check(core, child, err);
    struct sup_spec spec = {.id = child->id,
                            .behaviour = child->behaviour,
                            .args = child->args,
                            .args_len = child->args_len,
                            .name = child->name,
                            .node = child->node,
                            .restart = child->restart,
                            .shutdown_ms = child->shutdown_ms,
                            .significant = child->significant};

    if (status != PLEX_OK)
        return status;
    spec.is_supervisor = child->behaviour->supervisor != NULL;
    if (spec.shutdown_ms == PLEX_SHUTDOWN_DEFAULT)
        spec.shutdown_ms =
            spec.is_supervisor ? PLEX_SHUTDOWN_INFINITY : SHUTDOWN_DEFAULT_MS;
    *out = box_make(&spec);
    return PLEX_OK;
}

struct sup_spec_box *
sup_spec_instance(const struct sup_core *core, const struct plex_child *child)
{
    struct sup_spec spec = core->template->spec;

    if (child == NULL ||
        (child->args == NULL && child->name == NULL && child->node == NULL)) {
        core->template->refs++;
        return core->template;
    }
    if (child->args != NULL) {
        spec.args = child->args;
        spec.args_len = child->args_len;
    }
    if (child->name != NULL)
        spec.name = child->name;
    if (child->node != NULL)
        spec.node = child->node;
    return box_make(&spec);
}

void
sup_spec_unref(struct sup_spec_box *box)
{
    if (box == NULL || --box->refs > 0)
        return;
    free((void *)(uintptr_t)box->spec.id);
    free((void *)(uintptr_t)box->spec.name);
    free((void *)(uintptr_t)box->spec.node);
    free((void *)(uintptr_t)box->spec.args);
    free(box);
}

struct sup_child *
sup_child_add(struct sup_core *core, struct sup_spec_box *box)
{
    struct sup_child *child = plex_calloc(1, sizeof *child);

    child->box = box;
    child->turn.child = child;
    TAILQ_INSERT_TAIL(&core->children, child, order);
    if (core->template == NULL)
        HASH_ADD_KEYPTR(by_id, core->by_id, box->spec.id, strlen(box->spec.id),
                        child);
    core->count++;
    return child;
}

void
sup_child_remove(struct sup_core *core, struct sup_child *child)
{
    sup_input_drop(core, &child->turn);
    sup_child_set(core, child, SUP_NONE, (struct plex_ref){0});
    TAILQ_REMOVE(&core->children, child, order);
    if (core->template == NULL)
        HASH_DELETE(by_id, core->by_id, child);
    core->count--;
    TAILQ_INSERT_TAIL(&core->gone, child, order);
}

void
sup_gone_free(struct sup_core *core)
{
    struct sup_child *child;

    while ((child = TAILQ_FIRST(&core->gone)) != NULL) {
        TAILQ_REMOVE(&core->gone, child, order);
        sup_spec_unref(child->box);
        free(child->reason);
        free(child);
    }
}

struct sup_child *
sup_child_by_id(struct sup_core *core, const char *id)
{
    struct sup_child *child;

    HASH_FIND(by_id, core->by_id, id, strlen(id), child);
    return child;
}

struct sup_child *
sup_child_by_ref(struct sup_core *core, struct plex_ref ref)
{
    struct sup_child *child;

    HASH_FIND(by_ref, core->by_ref, &ref, sizeof ref, child);
    return child;
}

void
sup_child_set(struct sup_core *core, struct sup_child *child,
              enum sup_state state, struct plex_ref key)
{
    if (child->key.id != 0)
        HASH_DELETE(by_ref, core->by_ref, child);
    child->state = state;
    child->key = key;
    child->ended = false;
    if (key.id != 0)
        HASH_ADD(by_ref, core->by_ref, key, sizeof child->key, child);
}

/* In the sense of OTP: has a process, or is about to have one again. */
bool
sup_child_alive(const struct sup_child *child)
{
    return child->state != SUP_NONE;
}

static void
info_fill(const struct sup_child *child, struct plex_child_info *info)
{
    const struct sup_spec *spec = &child->box->spec;

    (void)snprintf(info->id, sizeof info->id, "%s", spec->id);
    if (child->state == SUP_RUNNING || child->state == SUP_ENDING)
        info->ref = child->key;
    info->restart = spec->restart;
    info->is_supervisor = spec->is_supervisor;
    info->restarting = child->state == SUP_RESTARTING;
    info->significant = spec->significant;
    info->restarts = child->restarts;
}

void
sup_child_list(struct sup_core *core, size_t max, struct sup_action *out)
{
    struct sup_child *child;
    size_t many = core->count < max ? core->count : max, at = 0;

    out->infos = plex_calloc(many + 1, sizeof *out->infos);
    TAILQ_FOREACH(child, &core->children, order)
    {
        if (at == many)
            break;
        info_fill(child, &out->infos[at++]);
    }
    out->rows = many;
    out->count = core->count;
}

void
sup_child_tally(struct sup_core *core, struct plex_child_count *out)
{
    struct sup_child *child;
    bool simple = core->template != NULL;

    *out = (struct plex_child_count){.specs = simple ? 1 : core->count};
    TAILQ_FOREACH(child, &core->children, order)
    {
        out->active += child->state == SUP_RUNNING && !child->ended;
        if (child->box->spec.is_supervisor)
            out->supervisors++;
        else
            out->workers++;
    }
}
