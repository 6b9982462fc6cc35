/* Objects: random histories with restarts against a model. */
#include "tests/unit/registry/object_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THINGS = 24, STEPS = 4000, WORDS = 5 };
static uint64_t seed;
static const char *const words[WORDS] = {"alpha", "beta", "gamma", "delta",
                                         "eps"};
/* The model: THINGS world_objects with numbers for texts. */
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
    char id[16];

    snprintf(id, sizeof id, "t%02d", at);
    if (!thing->in)
        thing->created_ms = world_when.wall_ms;
    thing->in = true;
    thing->type = 1 + (uint32_t)at % REG_OBJECT_TYPES;
    thing->health = 1 + random_below(REG_OBJECT_HEALTHS);
    thing->category = random_below(WORDS);
    thing->capabilities = random_below(1U << WORDS);
    thing->labels = random_below(1U << WORDS);
    thing->ttl_ms = random_below(2) == 0 ? 0 : 1000 + random_below(20000);
    thing->heartbeat_ms = world_when.wall_ms;
    thing->expires_ms =
        thing->ttl_ms == 0 ? UINT64_MAX : world_when.wall_ms + thing->ttl_ms;
    what = world_object(thing->type, id);
    what.health = thing->health;
    what.category = words[thing->category];
    what.capabilities = texts_of(thing->capabilities, capabilities);
    what.labels = texts_of(thing->labels, labels);
    what.ttl_ms = thing->ttl_ms;
    ck_assert_int_eq(world_add(&what), PLEX_OK);
}

static void
step_name(int at, bool heartbeat)
{
    struct thing *thing = &things[at];
    const uint32_t health = random_below(REG_OBJECT_HEALTHS + 1);
    char id[16];

    snprintf(id, sizeof id, "t%02d", at);
    ck_assert_int_eq(heartbeat ? world_beat(0, id, health, "")
                               : world_by_name(REG_OBJECT_UNREGISTER, 0, id),
                     thing->in ? PLEX_OK : PLEX_NOT_FOUND);
    if (!heartbeat)
        thing->in = false;
    if (!thing->in)
        return;
    if (health != 0)
        thing->health = health;
    thing->heartbeat_ms = world_when.wall_ms;
    if (thing->ttl_ms != 0)
        thing->expires_ms = world_when.wall_ms + thing->ttl_ms;
}

static void
step_time(void)
{
    world_later(random_below(3000));
    for (int i = 0; i < THINGS; i++)
        if (things[i].in && things[i].expires_ms <= world_when.wall_ms)
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
            world_when.wall_ms - thing->heartbeat_ms <= filter->age_max_ms);
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
    struct reg_object_request find = world_request(REG_OBJECT_DISCOVER);
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
    ck_assert_str_eq(world_found(&find), wanted);
}

/* Heartbeats that the store did not get are forgotten by a restart: it is made
 * where nothing depends on them. */
static void
step_restart(void)
{
    for (int i = 0; i < THINGS; i++)
        if (things[i].in)
            step_register(i);
    world_restart();
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
    Suite *suite = suite_create("registry.object_history");
    TCase *tcase = tcase_create("history");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, world_setup, world_teardown);
    tcase_add_loop_test(tcase, histories_are_as_the_model_has_them, 0, 10);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
