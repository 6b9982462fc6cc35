#include "services/registry/object_private.h"

#include "common/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct reg_object_config reg_object_defaults = {
    .objects_max = 200000,
    .bytes_max = 256 << 20,
};

/* -- entries --------------------------------------------------------------- */

struct reg_object_entry *
reg_object_find(const struct reg_objects *objects, const char *tenant,
                const char *ns, uint32_t type, const char *id)
{
    struct plex_buf path = {0};
    struct reg_ordered_node *node;

    reg_object_path(&path, tenant, ns, type, id);
    node = reg_ordered_find(&objects->by_name,
                            (struct plex_bytes){path.data, path.len});
    plex_buf_free(&path);
    return (struct reg_object_entry *)node;
}

static void
due_remove(struct reg_objects *objects, struct reg_object_entry *entry)
{
    if (entry->waits)
        reg_ordered_remove(&objects->by_due, &entry->due);
    entry->waits = false;
}

static uint64_t
due_ns(const struct reg_object_entry *entry)
{
    uint64_t at = 0;

    for (int i = 0; i < 8; i++)
        at = at << 8 | entry->due_key[i];
    return at;
}

/* A later end is noticed when the earlier one comes: a heartbeat moves
 * nothing. */
static void
due_set(struct reg_objects *objects, struct reg_object_entry *entry)
{
    if (entry->waits && due_ns(entry) <= entry->expires_ns &&
        entry->expires_ns != UINT64_MAX)
        return;
    due_remove(objects, entry);
    if (entry->expires_ns == UINT64_MAX)
        return;
    for (int i = 0; i < 8; i++) {
        entry->due_key[i] = (uint8_t)(entry->expires_ns >> (56 - 8 * i));
        entry->due_key[8 + i] = (uint8_t)(entry->serial >> (56 - 8 * i));
    }
    entry->due.key = entry->due_key;
    entry->due.len = sizeof entry->due_key;
    reg_ordered_insert(&objects->by_due, &entry->due);
    entry->waits = true;
}

void
reg_object_ttl(struct reg_objects *objects, struct reg_object_entry *entry,
               struct reg_when when)
{
    entry->expires_ns = entry->info->ttl_ms == 0
                            ? UINT64_MAX
                            : reg_when_after(when, entry->info->ttl_ms);
    due_set(objects, entry);
}

size_t
reg_object_entry_size(const struct reg_object *info)
{
    return sizeof(struct reg_object_entry) + 2 * reg_object_size(info) +
           (6 + info->capabilities.n + info->labels.n) *
               sizeof(struct reg_object_posting);
}

/* `info` is the entry's from here on. */
struct reg_object_entry *
reg_object_add(struct reg_objects *objects, struct reg_object *info)
{
    struct plex_buf path = {0};
    struct reg_object_entry *entry;

    reg_object_path(&path, info->tenant, info->ns, info->type, info->id);
    entry = plex_calloc(1, sizeof *entry + path.len);
    memcpy(entry->bytes, path.data, path.len);
    entry->node.key = entry->bytes;
    entry->node.len = path.len;
    plex_buf_free(&path);
    entry->info = info;
    entry->size = reg_object_entry_size(info);
    entry->serial = ++objects->serial;
    entry->expires_ns = UINT64_MAX;
    objects->bytes += entry->size;
    reg_ordered_insert(&objects->by_name, &entry->node);
    reg_object_index_add(objects, entry);
    return entry;
}

void
reg_object_remove(struct reg_objects *objects, struct reg_object_entry *entry)
{
    due_remove(objects, entry);
    reg_object_index_remove(objects, entry);
    reg_ordered_remove(&objects->by_name, &entry->node);
    objects->bytes -= entry->size;
    free(entry->info);
    free(entry);
}

/* The same object, declared anew. */
void
reg_object_replace(struct reg_objects *objects, struct reg_object_entry *entry,
                   struct reg_object *info)
{
    reg_object_index_remove(objects, entry);
    objects->bytes -= entry->size;
    free(entry->info);
    entry->info = info;
    entry->size = reg_object_entry_size(info);
    objects->bytes += entry->size;
    reg_object_index_add(objects, entry);
}

void
reg_object_row_push(struct reg_objects *objects, struct reg_object_entry *entry,
                    bool gone, struct reg_when when)
{
    struct reg_object_row *row = plex_calloc(1, sizeof *row);

    row->gone = gone;
    row->object = reg_object_copy(entry->info);
    entry->stored_ms = when.wall_ms;
    reg_keep_push(&objects->queue, REG_KEEP_ROW)->answer = row;
}

struct reg_object *
reg_object_now(const struct reg_object_entry *entry, struct reg_when when)
{
    struct reg_object *info = reg_object_copy(entry->info);

    if (entry->expires_ns != UINT64_MAX)
        info->left_ms = entry->expires_ns > when.now_ns
                            ? (entry->expires_ns - when.now_ns) / 1000000U
                            : 0;
    return info;
}

/* -- time ------------------------------------------------------------------ */

static struct reg_object_entry *
due_first(const struct reg_objects *objects)
{
    struct reg_ordered_node *node =
        reg_ordered_seek(&objects->by_due, (struct plex_bytes){0}, false);

    return node == NULL ? NULL
                        : plex_container_of(node, struct reg_object_entry, due);
}

void
reg_objects_tick(struct reg_objects *objects, struct reg_when when)
{
    struct reg_object_entry *entry;

    while ((entry = due_first(objects)) != NULL && due_ns(entry) <= when.now_ns)
        if (entry->expires_ns <= when.now_ns) {
            objects->revision++;
            reg_object_row_push(objects, entry, true, when);
            reg_object_remove(objects, entry);
        } else {
            due_remove(objects, entry);
            due_set(objects, entry);
        }
}

uint64_t
reg_objects_wake(const struct reg_objects *objects)
{
    const struct reg_object_entry *entry = due_first(objects);

    return entry == NULL ? UINT64_MAX : due_ns(entry);
}

/* -- managed objects ------------------------------------------------------- */

void
reg_objects_managed_begin(struct reg_objects *objects, uint64_t version)
{
    objects->managed_version = version;
    for (struct reg_object_entry *entry = objects->managed; entry != NULL;
         entry = entry->next)
        entry->named = false;
}

uint64_t
reg_objects_managed_version(const struct reg_objects *objects)
{
    return objects->managed_version;
}

/* Nothing that they are found by differs; managed ones have no lists. */
static bool
found_alike(const struct reg_object *a, const struct reg_object *b)
{
    assert(b->capabilities.n == 0 && b->labels.n == 0);
    return a->health == b->health && a->created_ms == b->created_ms &&
           strcmp(a->category, b->category) == 0 &&
           strcmp(a->node_id, b->node_id) == 0;
}

void
reg_objects_managed(struct reg_objects *objects,
                    const struct reg_object *object)
{
    struct reg_object_entry *entry = reg_object_find(
        objects, object->tenant, object->ns, object->type, object->id);
    struct reg_object *info;

    if (entry != NULL && !entry->info->managed)
        return;
    info = reg_object_copy(object);
    info->managed = true;
    if (entry == NULL) {
        entry = reg_object_add(objects, info);
        entry->next = objects->managed;
        objects->managed = entry;
    } else if (found_alike(entry->info, info)) {
        free(entry->info);
        entry->info = info;
    } else {
        reg_object_replace(objects, entry, info);
    }
    entry->named = true;
}

void
reg_objects_managed_end(struct reg_objects *objects)
{
    struct reg_object_entry **at = &objects->managed;

    while (*at != NULL) {
        struct reg_object_entry *entry = *at;

        if (entry->named) {
            at = &entry->next;
        } else {
            *at = entry->next;
            reg_object_remove(objects, entry);
        }
    }
}

/* -- life ------------------------------------------------------------------ */

struct reg_objects *
reg_objects_create(const struct reg_object_config *config)
{
    struct reg_objects *objects = plex_calloc(1, sizeof *objects);

    objects->config = *config;
    return objects;
}

void
reg_objects_free(struct reg_objects *objects)
{
    struct reg_keep_action action;

    if (objects == NULL)
        return;
    while (reg_keep_pop(&objects->queue, &action))
        reg_object_action_free(&action);
    while (objects->by_name.root != NULL)
        reg_object_remove(objects,
                          (struct reg_object_entry *)objects->by_name.root);
    free(objects->queue.at);
    free(objects);
}

static void
answer_free(struct reg_object_answer *answer)
{
    for (size_t i = 0; i < answer->n_objects; i++)
        free(answer->objects[i]);
    for (size_t i = 0; i < answer->n_missing; i++)
        free((void *)(uintptr_t)answer->missing[i].id);
    free(answer->objects);
    free(answer->missing);
    free(answer->last);
}

void
reg_object_action_free(struct reg_keep_action *action)
{
    struct reg_object_row *row = action->answer;

    free(action->text);
    if (action->answer == NULL)
        return;
    if (action->kind == REG_KEEP_ROW)
        free(row->object);
    else
        answer_free(action->answer);
    free(action->answer);
}

void
reg_objects_load(struct reg_objects *objects, const struct reg_object *object,
                 struct reg_when when)
{
    struct reg_object_entry *entry;

    if (reg_object_find(objects, object->tenant, object->ns, object->type,
                        object->id) != NULL)
        return;
    entry = reg_object_add(objects, reg_object_copy(object));
    entry->stored_ms = when.wall_ms;
    reg_object_ttl(objects, entry, when);
    if (object->revision > objects->revision)
        objects->revision = object->revision;
}

void
reg_objects_loaded(struct reg_objects *objects, uint64_t revision)
{
    if (revision > objects->revision)
        objects->revision = revision;
}

bool
reg_objects_next(struct reg_objects *objects, struct reg_keep_action *out)
{
    return reg_keep_pop(&objects->queue, out);
}

uint64_t
reg_objects_revision(const struct reg_objects *objects)
{
    return objects->revision;
}

struct reg_object_stats
reg_objects_stats(const struct reg_objects *objects)
{
    return (struct reg_object_stats){objects->by_name.n, objects->bytes};
}
