/* Objects: each rule, and random histories with restarts against a model. */
#include "services/registry/object.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000, KEPT = 64 };

static struct reg_objects *objects;
static struct reg_when when;
/* The last reply, its texts copied; `reply` is freed with the next. */
static struct reg_keep_action reply;
static size_t replies;
/* What the store would have. */
static struct reg_object *store[KEPT];
static uint64_t store_revision;

static const struct reg_object_answer *
told(void)
{
    return reply.answer;
}

static void
row_store(const struct reg_object_row *row)
{
    int at = -1;

    for (int i = 0; i < KEPT; i++)
        if (store[i] != NULL && store[i]->type == row->object->type &&
            strcmp(store[i]->ns, row->object->ns) == 0 &&
            strcmp(store[i]->id, row->object->id) == 0)
            at = i;
    for (int i = 0; i < KEPT && at < 0; i++)
        if (store[i] == NULL)
            at = i;
    ck_assert_int_ge(at, 0);
    free(store[at]);
    store[at] = row->gone ? NULL : reg_object_copy(row->object);
}

static void
drain(void)
{
    struct reg_keep_action action;

    while (reg_objects_next(objects, &action)) {
        if (action.kind == REG_KEEP_ROW) {
            row_store(action.answer);
            reg_object_action_free(&action);
        } else {
            reg_object_action_free(&reply);
            reply = action;
            replies++;
        }
    }
    store_revision = reg_objects_revision(objects);
}

static void
later(uint64_t ms)
{
    when.now_ns += ms * MS;
    when.wall_ms += ms;
    reg_objects_tick(objects, when);
    drain();
}

static struct reg_object
object(uint32_t type, const char *id)
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

static struct reg_object_request
request(enum reg_object_op op)
{
    return (struct reg_object_request){
        .op = op,
        .tenant = "t",
        .ns = "n",
        .filter = {.category = "", .node_id = "", .id_prefix = ""},
        .page_size = 100};
}

static enum plex_status
send(const struct reg_object_request *what)
{
    const size_t before = replies;

    reg_objects_request(objects, objects, what, when);
    drain();
    ck_assert_uint_eq(replies, before + 1);
    return reply.status;
}

static enum plex_status
add(const struct reg_object *what)
{
    struct reg_object_request all = request(REG_OBJECT_REGISTER);

    all.object = *what;
    return send(&all);
}

static enum plex_status
add_plain(uint32_t type, const char *id, uint64_t ttl_ms)
{
    struct reg_object what = object(type, id);

    what.ttl_ms = ttl_ms;
    return add(&what);
}

static enum plex_status
by_name(enum reg_object_op op, uint32_t type, const char *id)
{
    struct reg_object_request what = request(op);

    what.name = (struct reg_object_name){type, id};
    return send(&what);
}

static enum plex_status
look(uint32_t type, const char *id)
{
    return by_name(REG_OBJECT_LOOKUP, type, id);
}

static enum plex_status
beat(uint32_t type, const char *id, uint32_t health, const char *reason)
{
    const struct reg_metric metric = {"load", 0.5};
    const struct reg_object_beat one = {.name = {type, id},
                                        .health = health,
                                        .reason = reason,
                                        .metrics = &metric,
                                        .n_metrics = 1};
    struct reg_object_request what = request(REG_OBJECT_HEARTBEAT);

    what.beats = &one;
    what.n_beats = 1;
    return send(&what);
}

/* The ids of what is found, in order: "a b". */
static const char *
found(const struct reg_object_request *what)
{
    static char text[8192];
    size_t len = 0;

    text[0] = '\0';
    ck_assert_int_eq(send(what), PLEX_OK);
    for (size_t i = 0; i < told()->n_objects; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                                i == 0 ? "" : " ", told()->objects[i]->id);
    return text;
}

static void
restart(void)
{
    reg_objects_free(objects);
    objects = reg_objects_create(&reg_object_defaults);
    for (int i = 0; i < KEPT; i++)
        if (store[i] != NULL)
            reg_objects_load(objects, store[i], when);
    reg_objects_loaded(objects, store_revision);
}

static void
setup(void)
{
    when = (struct reg_when){5000ULL * MS, 1700000000000};
    objects = reg_objects_create(&reg_object_defaults);
}

static void
teardown(void)
{
    reg_object_action_free(&reply);
    reply = (struct reg_keep_action){0};
    reg_objects_free(objects);
    for (int i = 0; i < KEPT; i++) {
        free(store[i]);
        store[i] = NULL;
    }
}

START_TEST(what_is_registered_is_found_and_what_is_unregistered_is_not)
{
    ck_assert_int_eq(add_plain(3, "billing", 0), PLEX_OK);
    ck_assert_str_eq(told()->objects[0]->id, "billing");
    ck_assert_int_eq(look(3, "billing"), PLEX_OK);
    ck_assert_int_eq(look(0, "billing"), PLEX_OK);
    ck_assert_int_eq(look(4, "billing"), PLEX_NOT_FOUND);
    ck_assert_int_eq(by_name(REG_OBJECT_UNREGISTER, 4, "billing"),
                     PLEX_NOT_FOUND);
    ck_assert_int_eq(by_name(REG_OBJECT_UNREGISTER, 3, "billing"), PLEX_OK);
    ck_assert_int_eq(look(3, "billing"), PLEX_NOT_FOUND);
    ck_assert_uint_eq(reg_objects_stats(objects).objects, 0);
    ck_assert_uint_eq(reg_objects_stats(objects).bytes, 0);
}
END_TEST

START_TEST(an_id_of_two_types_needs_its_type)
{
    (void)add_plain(3, "x", 0);
    (void)add_plain(4, "x", 0);
    ck_assert_int_eq(look(0, "x"), PLEX_CONFLICT);
    ck_assert_int_eq(look(4, "x"), PLEX_OK);
    ck_assert_uint_eq(told()->objects[0]->type, 4);
}
END_TEST

START_TEST(registering_again_replaces_all_but_the_age)
{
    struct reg_object what = object(3, "x");
    const uint64_t made = when.wall_ms;
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);

    what.category = "old";
    (void)add(&what);
    later(70);
    what.category = "new";
    ck_assert_int_eq(add(&what), PLEX_OK);
    ck_assert_uint_eq(told()->objects[0]->created_ms, made);
    ck_assert_uint_eq(told()->objects[0]->updated_ms, made + 70);
    ck_assert_uint_eq(told()->objects[0]->revision, 2);
    find.filter.category = "old";
    ck_assert_str_eq(found(&find), "");
    find.filter.category = "new";
    ck_assert_str_eq(found(&find), "x");
}
END_TEST

START_TEST(a_ttl_ends_unless_a_heartbeat_comes)
{
    (void)add_plain(3, "x", 5000);
    ck_assert_uint_eq(reg_objects_wake(objects), when.now_ns + 5000ULL * MS);
    later(4000);
    ck_assert_int_eq(beat(3, "x", 0, ""), PLEX_OK);
    ck_assert_uint_eq(told()->objects[0]->left_ms, 5000);
    later(4999);
    ck_assert_int_eq(look(3, "x"), PLEX_OK);
    later(1);
    ck_assert_int_eq(look(3, "x"), PLEX_NOT_FOUND);
    ck_assert_uint_eq(reg_objects_wake(objects), UINT64_MAX);
    ck_assert_ptr_null(store[0]);
}
END_TEST

START_TEST(a_shorter_ttl_counts_at_once_and_none_is_for_ever)
{
    (void)add_plain(3, "x", 50000);
    (void)add_plain(3, "x", 1000);
    (void)add_plain(3, "y", 1000);
    (void)add_plain(3, "y", 0);
    later(1000);
    ck_assert_int_eq(look(3, "x"), PLEX_NOT_FOUND);
    ck_assert_int_eq(look(3, "y"), PLEX_OK);
    ck_assert_uint_eq(told()->objects[0]->left_ms, 0);
}
END_TEST

START_TEST(a_heartbeat_brings_health_and_metrics)
{
    struct reg_object_request count = request(REG_OBJECT_COUNT);

    (void)add_plain(3, "x", 0);
    (void)add_plain(3, "y", 0);
    ck_assert_int_eq(beat(3, "x", REG_HEALTH_DEGRADED, "slow"), PLEX_OK);
    ck_assert_uint_eq(told()->objects[0]->health, REG_HEALTH_DEGRADED);
    ck_assert_str_eq(told()->objects[0]->reason, "slow");
    ck_assert_uint_eq(told()->objects[0]->heartbeats, 1);
    ck_assert_str_eq(told()->objects[0]->metrics[0].name, "load");
    ck_assert(told()->objects[0]->metrics[0].value == 0.5);
    (void)beat(0, "x", 0, "");
    ck_assert_uint_eq(told()->objects[0]->health, REG_HEALTH_DEGRADED);
    ck_assert_str_eq(told()->objects[0]->reason, "slow");
    ck_assert_int_eq(send(&count), PLEX_OK);
    ck_assert_uint_eq(told()->counts[3][REG_HEALTH_HEALTHY], 1);
    ck_assert_uint_eq(told()->counts[3][REG_HEALTH_DEGRADED], 1);
    ck_assert_int_eq(beat(3, "z", 0, ""), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(heartbeats_are_stored_when_they_say_something_or_once_a_minute)
{
    (void)add_plain(3, "x", 0);
    later(1000);
    (void)beat(3, "x", REG_HEALTH_HEALTHY, "");
    ck_assert_uint_eq(store[0]->heartbeats, 0);
    (void)beat(3, "x", REG_HEALTH_STOPPING, "");
    ck_assert_uint_eq(store[0]->health, REG_HEALTH_STOPPING);
    ck_assert_uint_eq(store[0]->heartbeats, 2);
    later(REG_OBJECT_STORE_MS - 1);
    (void)beat(3, "x", 0, "");
    ck_assert_uint_eq(store[0]->heartbeats, 2);
    later(1);
    (void)beat(3, "x", 0, "");
    ck_assert_uint_eq(store[0]->heartbeats, 4);
}
END_TEST

START_TEST(many_heartbeats_say_which_objects_are_missing)
{
    const struct reg_object_beat beats[] = {
        {.name = {3, "x"}, .reason = ""},
        {.name = {3, "gone"}, .reason = ""},
        {.name = {0, "y"}, .health = REG_HEALTH_UNHEALTHY, .reason = "no"},
    };
    struct reg_object_request what = request(REG_OBJECT_HEARTBEATS);

    (void)add_plain(3, "x", 0);
    (void)add_plain(1, "y", 0);
    what.beats = beats;
    what.n_beats = 3;
    ck_assert_int_eq(send(&what), PLEX_OK);
    ck_assert_uint_eq(told()->accepted, 2);
    ck_assert_uint_eq(told()->n_missing, 1);
    ck_assert_str_eq(told()->missing[0].id, "gone");
    (void)look(1, "y");
    ck_assert_uint_eq(told()->objects[0]->health, REG_HEALTH_UNHEALTHY);
}
END_TEST

START_TEST(filters_all_hold_and_lists_are_all_and_any)
{
    const char *both[] = {"gpu", "avx"}, *gpu[] = {"gpu"};
    const char *east[] = {"zone=east"}, *west[] = {"zone=west", "ssd"};
    const char *any[] = {"zone=none", "zone=east", "zone=west"};
    struct reg_object what = object(3, "a");
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);

    what.capabilities = (struct reg_texts){both, 2};
    what.labels = (struct reg_texts){east, 1};
    what.node_id = "n1";
    (void)add(&what);
    later(1);
    what = object(4, "b");
    what.capabilities = (struct reg_texts){gpu, 1};
    what.labels = (struct reg_texts){west, 2};
    what.health = REG_HEALTH_STARTING;
    (void)add(&what);
    later(1);
    (void)add_plain(4, "c", 0);

    ck_assert_str_eq(found(&find), "a b c");
    find.filter.capabilities = (struct reg_texts){gpu, 1};
    ck_assert_str_eq(found(&find), "a b");
    find.filter.capabilities = (struct reg_texts){both, 2};
    ck_assert_str_eq(found(&find), "a");
    find.filter.capabilities = (struct reg_texts){0};
    find.filter.labels = (struct reg_texts){any, 3};
    ck_assert_str_eq(found(&find), "a b");
    find.filter.labels = (struct reg_texts){any, 1};
    ck_assert_str_eq(found(&find), "");
    find.filter.labels = (struct reg_texts){0};
    find.filter.types = 1U << 4;
    ck_assert_str_eq(found(&find), "b c");
    find.filter.types = 1U << 4 | 1U << 3;
    find.filter.healths = 1U << REG_HEALTH_STARTING;
    ck_assert_str_eq(found(&find), "b");
    find.filter.healths = 0;
    find.filter.node_id = "n1";
    ck_assert_str_eq(found(&find), "a");
    find.filter.node_id = "";
    find.filter.id_prefix = "c";
    ck_assert_str_eq(found(&find), "c");
    find.filter.id_prefix = "";
    find.filter.age_max_ms = 1;
    ck_assert_str_eq(found(&find), "b c");
}
END_TEST

START_TEST(nobody_finds_what_is_another_tenants)
{
    struct reg_object_request what = request(REG_OBJECT_REGISTER);
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);
    struct reg_object_request count = request(REG_OBJECT_COUNT);

    (void)add_plain(3, "mine", 0);
    later(1);
    what.ns = "other";
    what.object = object(3, "elsewhere");
    (void)send(&what);
    what.tenant = "t2";
    what.ns = "n";
    what.object = object(3, "theirs");
    (void)send(&what);
    ck_assert_str_eq(found(&find), "mine");
    find.ns = "*";
    ck_assert_str_eq(found(&find), "mine elsewhere");
    find.tenant = "t2";
    ck_assert_str_eq(found(&find), "theirs");
    find.tenant = "t3";
    ck_assert_str_eq(found(&find), "");
    count.ns = "*";
    (void)send(&count);
    ck_assert_uint_eq(told()->counts[3][REG_HEALTH_HEALTHY], 2);
    ck_assert_int_eq(look(3, "theirs"), PLEX_NOT_FOUND);
    ck_assert_int_eq(look(3, "elsewhere"), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(pages_are_in_order_of_making_and_complete)
{
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);
    char id[16];
    int next = 0;

    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "o%02d", i);
        (void)add_plain(3, id, 0);
        later((uint64_t)i % 2);
    }
    find.page_size = 7;
    for (;;) {
        ck_assert_int_eq(send(&find), PLEX_OK);
        for (size_t i = 0; i < told()->n_objects; i++) {
            snprintf(id, sizeof id, "o%02d", next++);
            ck_assert_str_eq(told()->objects[i]->id, id);
        }
        ck_assert(told()->more == (told()->last != NULL));
        if (!told()->more)
            break;
        snprintf(id, sizeof id, "%s", told()->last->id);
        find.after = (struct reg_object_place){told()->last->created_ms, "n",
                                               id, told()->last->type};
    }
    ck_assert_int_eq(next, 50);
}
END_TEST

START_TEST(limits_are_kept)
{
    const struct reg_object_config small = {.objects_max = 2,
                                            .bytes_max = 1 << 20};

    reg_objects_free(objects);
    objects = reg_objects_create(&small);
    ck_assert_int_eq(add_plain(3, "a", 0), PLEX_OK);
    ck_assert_int_eq(add_plain(3, "b", 0), PLEX_OK);
    ck_assert_int_eq(add_plain(3, "c", 0), PLEX_LIMIT);
    ck_assert_int_eq(add_plain(3, "b", 1000), PLEX_OK);
    later(1000);
    ck_assert_int_eq(add_plain(3, "c", 0), PLEX_OK);
}
END_TEST

static void
manage(uint64_t version, const char *a, const char *b)
{
    struct reg_object what;

    reg_objects_managed_begin(objects, version);
    for (int i = 0; i < 2; i++) {
        what = object(REG_OBJECT_NODE, i == 0 ? a : b);
        what.tenant = "t";
        what.ns = "n";
        if (what.id[0] != '\0')
            reg_objects_managed(objects, &what);
    }
    reg_objects_managed_end(objects);
    drain();
}

START_TEST(managed_objects_come_and_go_and_nobody_changes_them)
{
    manage(7, "w1", "w2");
    ck_assert_uint_eq(reg_objects_managed_version(objects), 7);
    ck_assert_int_eq(look(0, "w1"), PLEX_OK);
    ck_assert(told()->objects[0]->managed);
    ck_assert_int_eq(add_plain(REG_OBJECT_NODE, "w1", 0), PLEX_CONFLICT);
    ck_assert_int_eq(beat(REG_OBJECT_NODE, "w1", 0, ""), PLEX_CONFLICT);
    ck_assert_int_eq(by_name(REG_OBJECT_UNREGISTER, 0, "w1"), PLEX_CONFLICT);
    manage(8, "w2", "");
    ck_assert_int_eq(look(0, "w1"), PLEX_NOT_FOUND);
    ck_assert_int_eq(look(0, "w2"), PLEX_OK);
    ck_assert_int_eq(add_plain(REG_OBJECT_NODE, "w1", 0), PLEX_OK);
    manage(9, "w1", "w2");
    (void)look(0, "w1");
    ck_assert(!told()->objects[0]->managed);
    restart();
    ck_assert_int_eq(look(0, "w2"), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_restart_keeps_objects_and_gives_their_whole_ttl_again)
{
    const char *labels[] = {"l"};
    const struct reg_pair pair = {"k", "v"};
    struct reg_object what = object(6, "w");

    what.labels = (struct reg_texts){labels, 1};
    what.metadata = &pair;
    what.n_metadata = 1;
    what.ttl_ms = 5000;
    (void)add(&what);
    later(4000);
    restart();
    later(4999);
    ck_assert_int_eq(look(6, "w"), PLEX_OK);
    ck_assert_str_eq(told()->objects[0]->labels.at[0], "l");
    ck_assert_str_eq(told()->objects[0]->metadata[0].value, "v");
    later(1);
    ck_assert_int_eq(look(6, "w"), PLEX_NOT_FOUND);
    (void)add_plain(6, "next", 0);
    ck_assert_uint_gt(told()->objects[0]->revision, 1);
}
END_TEST

/* -- histories ------------------------------------------------------------- */

enum { THINGS = 24, STEPS = 4000, WORDS = 5 };
static uint64_t seed;
static const char *const words[WORDS] = {"alpha", "beta", "gamma", "delta",
                                         "eps"};
/* The model: THINGS objects with numbers for texts. */
static struct thing {
    bool in;
    uint32_t type, health;
    unsigned category, capabilities, labels; /* masks of words */
    uint64_t created_ms, heartbeat_ms, ttl_ms, expires_ms;
} things[THINGS];

static unsigned
random_below(unsigned n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % n;
}

static struct reg_texts
texts_of(unsigned mask, const char *out[WORDS])
{
    struct reg_texts texts = {out, 0};

    for (unsigned i = 0; i < WORDS; i++)
        if ((mask & 1U << i) != 0)
            out[texts.n++] = words[i];
    return texts;
}

static void
step_register(int at)
{
    const char *capabilities[WORDS], *labels[WORDS];
    struct thing *thing = &things[at];
    struct reg_object what;
    char id[8];

    snprintf(id, sizeof id, "t%02d", at);
    if (!thing->in)
        thing->created_ms = when.wall_ms;
    thing->in = true;
    thing->type = 1 + (uint32_t)at % REG_OBJECT_TYPES;
    thing->health = 1 + random_below(REG_OBJECT_HEALTHS);
    thing->category = random_below(WORDS);
    thing->capabilities = random_below(1U << WORDS);
    thing->labels = random_below(1U << WORDS);
    thing->ttl_ms = random_below(2) == 0 ? 0 : 1000 + random_below(20000);
    thing->heartbeat_ms = when.wall_ms;
    thing->expires_ms =
        thing->ttl_ms == 0 ? UINT64_MAX : when.wall_ms + thing->ttl_ms;
    what = object(thing->type, id);
    what.health = thing->health;
    what.category = words[thing->category];
    what.capabilities = texts_of(thing->capabilities, capabilities);
    what.labels = texts_of(thing->labels, labels);
    what.ttl_ms = thing->ttl_ms;
    ck_assert_int_eq(add(&what), PLEX_OK);
}

static void
step_name(int at, bool heartbeat)
{
    struct thing *thing = &things[at];
    const uint32_t health = random_below(REG_OBJECT_HEALTHS + 1);
    char id[8];

    snprintf(id, sizeof id, "t%02d", at);
    ck_assert_int_eq(heartbeat ? beat(0, id, health, "")
                               : by_name(REG_OBJECT_UNREGISTER, 0, id),
                     thing->in ? PLEX_OK : PLEX_NOT_FOUND);
    if (!heartbeat)
        thing->in = false;
    if (!thing->in)
        return;
    if (health != 0)
        thing->health = health;
    thing->heartbeat_ms = when.wall_ms;
    if (thing->ttl_ms != 0)
        thing->expires_ms = when.wall_ms + thing->ttl_ms;
}

static void
step_time(void)
{
    later(random_below(3000));
    for (int i = 0; i < THINGS; i++)
        if (things[i].in && things[i].expires_ms <= when.wall_ms)
            things[i].in = false;
}

static bool
thing_matches(const struct thing *thing, const struct reg_object_filter *filter,
              unsigned capabilities, unsigned labels)
{
    return thing->in &&
           (filter->types == 0 || (filter->types & 1U << thing->type) != 0) &&
           (filter->healths == 0 ||
            (filter->healths & 1U << thing->health) != 0) &&
           (filter->category[0] == '\0' ||
            strcmp(filter->category, words[thing->category]) == 0) &&
           (thing->capabilities & capabilities) == capabilities &&
           (labels == 0 || (thing->labels & labels) != 0) &&
           (filter->age_max_ms == 0 ||
            when.wall_ms - thing->heartbeat_ms <= filter->age_max_ms);
}

static int
thing_order(const void *a, const void *b)
{
    const int i = *(const int *)a, j = *(const int *)b;

    if (things[i].created_ms != things[j].created_ms)
        return things[i].created_ms < things[j].created_ms ? -1 : 1;
    if (things[i].type != things[j].type)
        return things[i].type < things[j].type ? -1 : 1;
    return i - j;
}

static void
step_discover(void)
{
    const unsigned capabilities =
        random_below(2) == 0 ? 0 : 1U << random_below(WORDS);
    const unsigned labels = random_below(2) == 0 ? 0 : random_below(1 << WORDS);
    const char *capability_texts[WORDS], *label_texts[WORDS];
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);
    char wanted[512] = "";
    int order[THINGS];
    size_t n = 0, len = 0;

    find.ns = random_below(2) == 0 ? "n" : "*";
    find.filter.types = random_below(2) == 0 ? 0 : random_below(256) & ~1U;
    find.filter.healths = random_below(2) == 0 ? 0 : random_below(128) & ~1U;
    find.filter.category =
        random_below(3) == 0 ? words[random_below(WORDS)] : "";
    find.filter.capabilities = texts_of(capabilities, capability_texts);
    find.filter.labels = texts_of(labels, label_texts);
    find.filter.age_max_ms = random_below(3) == 0 ? 2000 : 0;
    for (int i = 0; i < THINGS; i++)
        if (thing_matches(&things[i], &find.filter, capabilities, labels))
            order[n++] = i;
    qsort(order, n, sizeof order[0], thing_order);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%st%02d",
                                i == 0 ? "" : " ", order[i]);
    ck_assert_str_eq(found(&find), wanted);
}

/* Heartbeats that the store did not get are forgotten by a restart: it is made
 * where nothing depends on them. */
static void
step_restart(void)
{
    for (int i = 0; i < THINGS; i++)
        if (things[i].in)
            step_register(i);
    restart();
}

START_TEST(histories_are_as_the_model_has_them)
{
    seed = (uint64_t)_i * 7919 + 1;
    memset(things, 0, sizeof things);
    for (int step = 0; step < STEPS; step++) {
        const int at = (int)random_below(THINGS);

        switch (random_below(8)) {
        case 0:
        case 1:
            step_register(at);
            break;
        case 2:
        case 3:
            step_name(at, true);
            break;
        case 4:
            step_name(at, random_below(3) != 0);
            break;
        case 5:
            step_time();
            break;
        default:
            step_discover();
        }
        if (step % 500 == 499)
            step_restart();
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry.object");
    TCase *tcase = tcase_create("object");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase,
                   what_is_registered_is_found_and_what_is_unregistered_is_not);
    tcase_add_test(tcase, an_id_of_two_types_needs_its_type);
    tcase_add_test(tcase, registering_again_replaces_all_but_the_age);
    tcase_add_test(tcase, a_ttl_ends_unless_a_heartbeat_comes);
    tcase_add_test(tcase, a_shorter_ttl_counts_at_once_and_none_is_for_ever);
    tcase_add_test(tcase, a_heartbeat_brings_health_and_metrics);
    tcase_add_test(
        tcase, heartbeats_are_stored_when_they_say_something_or_once_a_minute);
    tcase_add_test(tcase, many_heartbeats_say_which_objects_are_missing);
    tcase_add_test(tcase, filters_all_hold_and_lists_are_all_and_any);
    tcase_add_test(tcase, nobody_finds_what_is_another_tenants);
    tcase_add_test(tcase, pages_are_in_order_of_making_and_complete);
    tcase_add_test(tcase, limits_are_kept);
    tcase_add_test(tcase, managed_objects_come_and_go_and_nobody_changes_them);
    tcase_add_test(tcase,
                   a_restart_keeps_objects_and_gives_their_whole_ttl_again);
    tcase_add_loop_test(tcase, histories_are_as_the_model_has_them, 0, 10);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
