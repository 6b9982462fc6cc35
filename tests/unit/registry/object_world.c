#include "tests/unit/registry/object_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reg_objects *world_objects;
struct reg_when world_when;
/* The last reply, its texts copied; `reply` is freed with the next. */
static struct reg_keep_action reply;
static size_t replies;
/* What the store would have. */
struct reg_object *world_store[WORLD_KEPT];
static uint64_t store_revision;

const struct reg_object_answer *
world_told(void)
{
    return reply.answer;
}

static void
row_store(const struct reg_object_row *row)
{
    int at = -1;

    for (int i = 0; i < WORLD_KEPT; i++)
        if (world_store[i] != NULL &&
            world_store[i]->type == row->object->type &&
            strcmp(world_store[i]->ns, row->object->ns) == 0 &&
            strcmp(world_store[i]->id, row->object->id) == 0)
            at = i;
    for (int i = 0; i < WORLD_KEPT && at < 0; i++)
        if (world_store[i] == NULL)
            at = i;
    ck_assert_int_ge(at, 0);
    free(world_store[at]);
    world_store[at] = row->gone ? NULL : reg_object_copy(row->object);
}

static void
drain(void)
{
    struct reg_keep_action action;

    while (reg_objects_next(world_objects, &action)) {
        if (action.kind == REG_KEEP_ROW) {
            row_store(action.answer);
            reg_object_action_free(&action);
        } else {
            reg_object_action_free(&reply);
            reply = action;
            replies++;
        }
    }
    store_revision = reg_objects_revision(world_objects);
}

void
world_later(uint64_t ms)
{
    world_when.now_ns += ms * MS;
    world_when.wall_ms += ms;
    reg_objects_tick(world_objects, world_when);
    drain();
}

struct reg_object
world_object(uint32_t type, const char *id)
{
    return (struct reg_object){.type = type,
                               .health = REG_HEALTH_HEALTHY,
                               .tenant = "",
                               .ns = "",
                               .id = id,
                               .category = "",
                               .node_id = "",
                               .address = "",
                               .version = "",
                               .reason = ""};
}

struct reg_object_request
world_request(enum reg_object_op op)
{
    return (struct reg_object_request){
        .op = op,
        .tenant = "t",
        .ns = "n",
        .filter = {.category = "", .node_id = "", .id_prefix = ""},
        .page_size = 100};
}

enum plex_status
world_send(const struct reg_object_request *what)
{
    const size_t before = replies;

    reg_objects_request(world_objects, world_objects, what, world_when);
    drain();
    ck_assert_uint_eq(replies, before + 1);
    return reply.status;
}

enum plex_status
world_add(const struct reg_object *what)
{
    struct reg_object_request all = world_request(REG_OBJECT_REGISTER);

    all.object = *what;
    return world_send(&all);
}

enum plex_status
world_add_plain(uint32_t type, const char *id, uint64_t ttl_ms)
{
    struct reg_object what = world_object(type, id);

    what.ttl_ms = ttl_ms;
    return world_add(&what);
}

enum plex_status
world_by_name(enum reg_object_op op, uint32_t type, const char *id)
{
    struct reg_object_request what = world_request(op);

    what.name = (struct reg_object_name){type, id};
    return world_send(&what);
}

enum plex_status
world_look(uint32_t type, const char *id)
{
    return world_by_name(REG_OBJECT_LOOKUP, type, id);
}

enum plex_status
world_beat(uint32_t type, const char *id, uint32_t health, const char *reason)
{
    const struct reg_metric metric = {"load", 0.5};
    const struct reg_object_beat one = {.name = {type, id},
                                        .health = health,
                                        .reason = reason,
                                        .metrics = &metric,
                                        .n_metrics = 1};
    struct reg_object_request what = world_request(REG_OBJECT_HEARTBEAT);

    what.beats = &one;
    what.n_beats = 1;
    return world_send(&what);
}

/* The ids of what is found, in order: "a b". */
const char *
world_found(const struct reg_object_request *what)
{
    static char text[8192];
    size_t len = 0;

    text[0] = '\0';
    ck_assert_int_eq(world_send(what), PLEX_OK);
    for (size_t i = 0; i < world_told()->n_objects; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                             i == 0 ? "" : " ", world_told()->objects[i]->id);
    return text;
}

void
world_restart(void)
{
    reg_objects_free(world_objects);
    world_objects = reg_objects_create(&reg_object_defaults);
    for (int i = 0; i < WORLD_KEPT; i++)
        if (world_store[i] != NULL)
            reg_objects_load(world_objects, world_store[i], world_when);
    reg_objects_loaded(world_objects, store_revision);
}

void
world_setup(void)
{
    world_when = (struct reg_when){5000ULL * MS, 1700000000000};
    world_objects = reg_objects_create(&reg_object_defaults);
}

void
world_teardown(void)
{
    reg_object_action_free(&reply);
    reply = (struct reg_keep_action){0};
    reg_objects_free(world_objects);
    for (int i = 0; i < WORLD_KEPT; i++) {
        free(world_store[i]);
        world_store[i] = NULL;
    }
}
