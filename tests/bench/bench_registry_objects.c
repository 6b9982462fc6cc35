/*
 * The object registry's core with many objects: what registering, heartbeats
 * and discovering cost.
 *
 *   bench_registry_objects [objects, 100000]
 */
#include "services/registry/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct reg_objects *objects;
static struct reg_when when = {1, 1700000000000};

static double
now_us(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

/* Objects in the answer. */
static size_t
send(const struct reg_object_request *request)
{
    struct reg_keep_action action;
    size_t n = 0;

    reg_objects_request(objects, objects, request, when);
    while (reg_objects_next(objects, &action)) {
        if (action.kind == REG_KEEP_REPLY && action.status != PLEX_OK) {
            (void)fprintf(stderr, "%s\n", action.text);
            exit(1);
        }
        if (action.kind == REG_KEEP_REPLY)
            n = ((struct reg_object_answer *)action.answer)->n_objects;
        reg_object_action_free(&action);
    }
    return n;
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

static void
fill(uint32_t n)
{
    struct reg_object_request all = request(REG_OBJECT_REGISTER);

    for (uint32_t i = 0; i < n; i++) {
        char id[16], category[16], node[16], label[16];
        const char *capabilities[] = {i % 2 == 0 ? "even" : "odd",
                                      i % 1000 == 0 ? "rare" : "common"};
        const char *labels[] = {label};

        (void)snprintf(id, sizeof id, "o%07" PRIu32, i);
        (void)snprintf(category, sizeof category, "c%" PRIu32, i % 100);
        (void)snprintf(node, sizeof node, "n%" PRIu32, i % 50);
        (void)snprintf(label, sizeof label, "l%" PRIu32, i % 5000);
        all.object = (struct reg_object){.type = 1 + i % 7,
                                         .health = 1 + i % 6,
                                         .tenant = "",
                                         .ns = "",
                                         .id = id,
                                         .category = category,
                                         .node_id = node,
                                         .address = "10.0.0.1:1",
                                         .version = "",
                                         .reason = "",
                                         .capabilities = {capabilities, 2},
                                         .labels = {labels, 1},
                                         .ttl_ms = 60000};
        when.wall_ms += i % 10 == 0;
        (void)send(&all);
    }
}

static void
beats(uint32_t n)
{
    struct reg_object_request one = request(REG_OBJECT_HEARTBEAT);
    struct reg_object_beat beat = {.reason = ""};
    char id[16];

    one.beats = &beat;
    one.n_beats = 1;
    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "o%07" PRIu32, i);
        beat.name = (struct reg_object_name){1 + i % 7, id};
        (void)send(&one);
    }
}

static void
measure(const char *what, const struct reg_object_request *find)
{
    enum { ROUNDS = 50 };
    const double begin = now_us();
    size_t n = 0;

    for (int i = 0; i < ROUNDS; i++)
        n = send(find);
    (void)printf("%-46s %8.1f us, %zu found\n", what,
                 (now_us() - begin) / ROUNDS, n);
}

static void
finds(void)
{
    const char *rare[] = {"even", "rare"}, *labels[] = {"l1", "l2", "l3"};
    struct reg_object_request find = request(REG_OBJECT_DISCOVER);

    measure("the first page of all", &find);
    find.filter.types = 1U << 3;
    find.filter.healths = 1U << 2;
    measure("a type and a health", &find);
    find.filter.category = "c7";
    measure("a type, a health and a category", &find);
    find = request(REG_OBJECT_DISCOVER);
    find.filter.capabilities = (struct reg_texts){rare, 2};
    measure("two capabilities, one of them rare", &find);
    find = request(REG_OBJECT_DISCOVER);
    find.filter.labels = (struct reg_texts){labels, 3};
    measure("any of three labels", &find);
    find = request(REG_OBJECT_DISCOVER);
    find.filter.age_max_ms = 1;
    when.wall_ms += 1000;
    measure("nothing, after the 10,000 of one page", &find);
    find = request(REG_OBJECT_COUNT);
    measure("counts by type and health", &find);
}

int
main(int argc, char **argv)
{
    const struct reg_object_config config = {.objects_max = UINT64_MAX,
                                             .bytes_max = UINT64_MAX};
    const uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    double begin = now_us();

    objects = reg_objects_create(&config);
    fill(n);
    (void)printf("%" PRIu32 " objects: register %.1f us", n,
                 (now_us() - begin) / n);
    begin = now_us();
    beats(n);
    (void)printf(", heartbeat %.1f us each, %.0f bytes each\n",
                 (now_us() - begin) / n,
                 (double)reg_objects_stats(objects).bytes / n);
    finds();
    reg_objects_free(objects);
    return 0;
}
