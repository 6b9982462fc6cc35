#include "tests/integration/worker/pair.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
short_sleep(void)
{
    const struct timespec moment = {.tv_nsec = 200000};

    (void)nanosleep(&moment, NULL);
}

bool
pair_until(bool (*fn)(void *arg), void *arg)
{
    const uint64_t end = plex_now() + UINT64_C(10000000000);

    while (!fn(arg)) {
        if (plex_now() > end)
            return false;
        short_sleep();
    }
    return true;
}

/* -- one side ---------------------------------------------------------------
 */

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    return work_dist_push(((struct side *)arg)->dist, signal);
}

static const struct plex_behaviour *
find(void *arg, const char *name)
{
    (void)arg;
    for (const struct plex_behaviour *b = pair_behaviours; b->name != NULL; b++)
        if (strcmp(b->name, name) == 0)
            return b;
    return NULL;
}

static void
to_actor(void *arg, const struct rt_signal *signal)
{
    (void)arg;
    (void)signal;
}

static void
on_spawn(void *arg, const struct rt_signal *signal)
{
    rt_deliver(((struct side *)arg)->rt, signal);
}

static void
on_signals(void *state, struct plex_call *call)
{
    work_dist_on_signals(((struct side *)state)->dist, call);
}

static void
on_attach(void *state, struct plex_call *call)
{
    work_dist_on_attach(((struct side *)state)->dist, call);
}

static void
on_reconnect(void *state, struct plex_call *call)
{
    work_dist_on_reconnect(((struct side *)state)->dist, call);
}

static const struct plex_method methods[] = {
    {WORK_METHOD_SIGNALS, "signals", on_signals},
    {WORK_METHOD_ATTACH, "attach", on_attach},
    {WORK_METHOD_RECONNECT, "reconnect", on_reconnect},
    {0},
};

static void *
loop_main(void *arg)
{
    plex_loop_run(((struct side *)arg)->host.loop);
    return NULL;
}

static void
must(enum plex_status status, const struct plex_err *err)
{
    if (status == PLEX_OK)
        return;
    (void)fprintf(stderr, "pair: %s\n", err->text);
    abort();
}

static void
side_start(struct side *side, const char *name, uint64_t incarnation,
           const char *scheme, uint32_t executors)
{
    static char urls[2][64];
    char *url = urls[name[0] - 'a'];
    const struct plex_link_config link = {
        .listen_url = url, .methods = methods, .state = side};
    const struct work_dist_config dist = {
        .host = &side->host,
        .to_actor = to_actor,
        .spawn = on_spawn,
        .arg = side,
    };
    const struct rt_config rt = {
        .executors = executors,
        .node = incarnation,
        .node_id = name,
        .on_remote = on_remote,
        .find = find,
        .arg = side,
    };
    struct plex_loop *loop;
    struct plex_link *opened;
    struct plex_err err;

    if (strcmp(scheme, "inproc") == 0)
        (void)snprintf(url, sizeof urls[0], "inproc://pair-%s", name);
    else
        (void)snprintf(url, sizeof urls[0], "ipc:///tmp/pair-%d-%s",
                       (int)getpid(), name);
    side->name = name;
    side->base = (struct plex_base_config){.node = name, .listen_url = url};
    must(plex_loop_create(&loop, &err), &err);
    must(plex_link_open(&opened, loop, &link, &err), &err);
    side->host = (struct plex_host){.loop = loop,
                                    .link = opened,
                                    .base = &side->base,
                                    .incarnation = incarnation};
    side->dist = work_dist_create(&dist);
    must(rt_create(&rt, &side->rt, &err), &err);
    rt_start(side->rt);
    work_dist_begin(side->dist, side->rt);
    (void)pthread_create(&side->thread, NULL, loop_main, side);
}

struct errand {
    struct plex_task task;
    struct side *side;
    void (*fn)(struct side *side, void *arg);
    void *arg;
    atomic_bool done;
};

static void
on_errand(struct plex_task *task)
{
    struct errand *errand = plex_container_of(task, struct errand, task);

    errand->fn(errand->side, errand->arg);
    atomic_store(&errand->done, true);
}

void
side_run(struct side *side, void (*fn)(struct side *side, void *arg), void *arg)
{
    struct errand errand = {
        .task = {.run = on_errand}, .side = side, .fn = fn, .arg = arg};

    plex_loop_post(side->host.loop, &errand.task);
    while (!atomic_load(&errand.done))
        short_sleep();
}

static void
hear(struct side *side, void *arg)
{
    work_dist_catalog(side->dist, arg);
}

void
side_hear(struct side *side, const struct side *other, bool there)
{
    const struct reg_node node = {
        .node_id = other->name,
        .kind = "worker",
        .status = there ? REG_NODE_READY : REG_NODE_LOST,
        .url = other->base.listen_url,
        .incarnation = other->host.incarnation,
    };
    struct reg_catalog *catalog = reg_catalog_make(1, &node, 1, NULL, 0);

    side_run(side, hear, catalog);
    reg_catalog_unref(catalog);
}

static void
stats_get(struct side *side, void *arg)
{
    work_dist_stats(side->dist, arg);
}

struct work_dist_stats
side_stats(struct side *side)
{
    struct work_dist_stats stats;

    side_run(side, stats_get, &stats);
    return stats;
}

bool
pair_is_open(struct pair *pair)
{
    return side_stats(&pair->a).peers == 1 && side_stats(&pair->b).peers == 1;
}

static bool
both_open(void *arg)
{
    return pair_is_open(arg);
}

void
pair_start(struct pair *pair, const char *scheme, uint32_t executors)
{
    memset(pair, 0, sizeof *pair);
    side_start(&pair->a, "a", 1001, scheme, executors);
    side_start(&pair->b, "b", 2002, scheme, executors);
    side_hear(&pair->a, &pair->b, true);
    side_hear(&pair->b, &pair->a, true);
    if (!pair_until(both_open, pair))
        abort();
}

static void
end(struct side *side, void *arg)
{
    (void)arg;
    plex_link_end(side->host.link);
    work_dist_end(side->dist);
}

static void
side_free(struct side *side)
{
    plex_loop_quit(side->host.loop);
    (void)pthread_join(side->thread, NULL);
    plex_loop_flush(side->host.loop);
    work_dist_free(side->dist);
    plex_link_close(side->host.link);
    rt_free(side->rt);
    plex_loop_free(side->host.loop);
}

void
pair_stop(struct pair *pair)
{
    rt_stop(pair->a.rt);
    rt_stop(pair->b.rt);
    side_run(&pair->a, end, NULL);
    side_run(&pair->b, end, NULL);
    side_free(&pair->a);
    side_free(&pair->b);
}

/* -- processes --------------------------------------------------------------
 */

struct plex_ref
pair_spawn(struct side *side, const char *behaviour, const char *name)
{
    const struct plex_spawn how = {.behaviour = find(NULL, behaviour),
                                   .name = name};
    struct plex_ref ref = {0};
    const int status =
        rt_spawn(side->rt, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref);

    assert(status == 0);
    (void)status;
    return ref;
}

static void
answered(void *arg, int status, const struct plex_msg *answer)
{
    struct asked *asked = arg;

    asked->value = status;
    if (status == 0)
        memcpy(&asked->value, answer->payload,
               answer->len < 8 ? answer->len : 8);
    atomic_store(&asked->done, true);
}

void
pair_ask(struct side *side, struct plex_ref to, uint64_t tag, const char *text,
         struct asked *asked)
{
    const struct plex_post post = {.kind = PLEX_MSG_CALL,
                                   .tag = tag,
                                   .payload = text,
                                   .len = text == NULL ? 0 : strlen(text) + 1};

    rt_call(side->rt, to, &post, 10000, answered, asked);
}

int64_t
pair_answer(struct asked *asked)
{
    while (!atomic_load(&asked->done))
        short_sleep();
    return asked->value;
}

int64_t
pair_call(struct side *side, struct plex_ref to, uint64_t tag, const char *text)
{
    struct asked asked = {0};

    pair_ask(side, to, tag, text, &asked);
    return pair_answer(&asked);
}
