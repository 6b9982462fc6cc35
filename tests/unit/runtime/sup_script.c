#include "tests/unit/runtime/sup_script.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/supervisor_core.h"

enum { ACTORS_MAX = 256, TIMERS_MAX = 64, ID_MAX = 16 };

struct kind { /* of child, by id */
    char id[ID_MAX];
    int failing, ignoring;
    bool slow, stubborn;
};
struct actor { /* a process, or one that begins */
    char name[ID_MAX];
    char id[ID_MAX];
    struct plex_ref ref;
    uint64_t run;
    bool alive, begins, stopping;
};
struct timer {
    uint64_t run, due;
};
struct sup_world {
    struct sup_core *core;
    uint64_t now;
    bool simple;
    struct plex_child table[32];
    char ids[32][ID_MAX];
    struct kind kinds[64];
    struct actor actors[ACTORS_MAX];
    size_t n_actors;
    struct timer timers[TIMERS_MAX];
    size_t n_timers;
    struct plex_child_info *infos;
    bool counting; /* its address: a request that counts */
    bool planning; /* one about the plan */
    char trace[SUP_TRACE_MAX];
};

static const char *const strategies[] = {
    "none",         "one_for_one",        "one_for_all",
    "rest_for_one", "simple_one_for_one", NULL};

static const struct plex_behaviour worker = {.name = "worker"};
static const struct plex_supervisor nested = {.strategy = PLEX_ONE_FOR_ONE};
static const struct plex_behaviour supervisor = {.name = "supervisor",
                                                 .supervisor = &nested};

__attribute__((format(printf, 2, 3))) static void
say(struct sup_world *world, const char *fmt, ...)
{
    size_t len = strlen(world->trace);
    va_list args;

    va_start(args, fmt);
    if (len > 0 && len + 1 < SUP_TRACE_MAX)
        world->trace[len++] = ' ';
    (void)vsnprintf(world->trace + len, SUP_TRACE_MAX - len, fmt, args);
    va_end(args);
}

static struct kind *
kind_of(struct sup_world *world, const char *id)
{
    struct kind *kind = world->kinds;

    while (*kind->id != '\0' && strcmp(kind->id, id) != 0)
        kind++;
    assert(kind < world->kinds + 63);
    (void)snprintf(kind->id, sizeof kind->id, "%s", id);
    return kind;
}

static struct actor *
actor_named(struct sup_world *world, const char *name)
{
    size_t i = world->n_actors;

    while (i-- > 0) {
        if (strcmp(world->actors[i].name, name) == 0)
            return &world->actors[i];
    }
    return NULL;
}

static struct actor *
actor_of(struct sup_world *world, struct plex_ref ref)
{
    size_t i;

    for (i = 0; i < world->n_actors; i++) {
        if (plex_ref_is(world->actors[i].ref, ref))
            return &world->actors[i];
    }
    abort();
}

static void
ends(struct sup_world *world, struct actor *actor, const char *reason)
{
    actor->alive = false;
    (void)sup_core_exited(world->core, world->now, actor->ref, reason);
}

static void
outcome(struct sup_world *world, struct actor *actor, bool good)
{
    actor->begins = false;
    actor->alive = good;
    (void)sup_core_started(
        world->core, world->now, actor->run, good ? PLEX_OK : PLEX_FAILED,
        good ? actor->ref : (struct plex_ref){0}, "bad start");
}

static void
starts(struct sup_world *world, const struct sup_action *action)
{
    struct actor *actor = &world->actors[world->n_actors++];
    struct kind *kind = kind_of(world, action->spec->id);

    assert(world->n_actors < ACTORS_MAX);
    actor->run = action->run;
    actor->ref = (struct plex_ref){1, world->n_actors};
    (void)snprintf(actor->id, ID_MAX, "%s", action->spec->id);
    (void)snprintf(actor->name, ID_MAX, "%s", action->spec->id);
    if (world->simple)
        (void)snprintf(actor->name, ID_MAX, "%.8s%zu", action->spec->id,
                       world->n_actors);
    say(world, ">%s", actor->name);
    actor->begins = true;
    if (kind->slow)
        return;
    if (kind->ignoring > 0) {
        kind->ignoring--;
        actor->begins = false;
        (void)sup_core_started(world->core, world->now, actor->run, PLEX_OK,
                               (struct plex_ref){0}, "");
        return;
    }
    outcome(world, actor, kind->failing <= 0);
    kind->failing -= kind->failing > 0;
}

static void
says_reply(struct sup_world *world, const struct sup_action *action)
{
    size_t i;

    if (action->infos != NULL) {
        say(world, "[");
        for (i = 0; i < action->count; i++)
            say(world, "%s%c", action->infos[i].id,
                action->infos[i].ref.id != 0  ? '+'
                : action->infos[i].restarting ? '~'
                                              : '-');
        say(world, "]");
        free(action->infos);
    } else if (action->request == &world->counting) {
        say(world, "{%u %u %u %u}", action->counts.specs, action->counts.active,
            action->counts.supervisors, action->counts.workers);
    } else if (action->request == &world->planning && action->status == 0) {
        static const char *const autos[] = {"never", "any", "all"};

        say(world, "(%s %u/%u %s %u..%u)", strategies[action->plan.strategy],
            action->plan.intensity, action->plan.period_ms,
            autos[action->plan.auto_shutdown], action->plan.backoff_initial_ms,
            action->plan.backoff_max_ms);
    } else {
        say(world, "=%s", plex_status_name(action->status));
    }
}

static void
timer_cancel(struct sup_world *world, uint64_t run)
{
    size_t i;

    for (i = 0; i < world->n_timers; i++) {
        if (world->timers[i].run == run)
            world->timers[i--] = world->timers[--world->n_timers];
    }
}

static const char *
named(struct sup_world *world, const struct sup_action *action)
{
    return action->ref.id != 0 ? actor_of(world, action->ref)->name
                               : action->spec->id;
}

static void
acts_process(struct sup_world *world, const struct sup_action *action)
{
    struct actor *actor;

    switch (action->kind) {
    case SUP_START:
        starts(world, action);
        return;
    case SUP_STOP:
    case SUP_KILL:
        actor = actor_of(world, action->ref);
        say(world, "%c%s", action->kind == SUP_STOP ? '<' : '#', actor->name);
        if (!actor->alive)
            return;
        if (action->kind == SUP_KILL)
            ends(world, actor, "killed");
        else if (!kind_of(world, actor->id)->stubborn)
            ends(world, actor, "shutdown");
        return;
    case SUP_TIMER:
        assert(world->n_timers < TIMERS_MAX);
        world->timers[world->n_timers++] =
            (struct timer){action->run, world->now + action->ms};
        return;
    case SUP_CANCEL:
        timer_cancel(world, action->run);
        return;
    default:
        abort();
    }
}

static void
acts(struct sup_world *world, const struct sup_action *action)
{
    switch (action->kind) {
    case SUP_REPLY:
        says_reply(world, action);
        break;
    case SUP_STARTED:
        say(world, "+%s", named(world, action));
        break;
    case SUP_RESTARTED:
        say(world, "^%s", named(world, action));
        break;
    case SUP_STOPPED:
        say(world, "-%s:%s", named(world, action), action->text);
        break;
    case SUP_GAVE_UP:
        say(world, "!%s", action->spec->id);
        break;
    case SUP_READY:
        say(world, "ready");
        break;
    case SUP_FAILED:
        say(world, "failed");
        break;
    case SUP_EXIT:
        say(world, "exit:%s", action->text);
        break;
    default:
        acts_process(world, action);
    }
}

static void
settle(struct sup_world *world)
{
    struct sup_action action;

    while (sup_core_pop(world->core, &action))
        acts(world, &action);
}

static struct plex_child
child_parse(char *text, char *id)
{
    char *save = NULL, *part = strtok_r(text, ":", &save);
    struct plex_child child = {.behaviour = &worker,
                               .shutdown_ms = PLEX_SHUTDOWN_DEFAULT};

    (void)snprintf(id, ID_MAX, "%s", part);
    child.id = id;
    while ((part = strtok_r(NULL, ":", &save)) != NULL) {
        if (strcmp(part, "t") == 0)
            child.restart = PLEX_TRANSIENT;
        else if (strcmp(part, "x") == 0)
            child.restart = PLEX_TEMPORARY;
        else if (strcmp(part, "!") == 0)
            child.significant = true;
        else if (strcmp(part, "sup") == 0)
            child.behaviour = &supervisor;
        else if (strcmp(part, "kill") == 0)
            child.shutdown_ms = PLEX_BRUTAL_KILL;
        else if (strcmp(part, "inf") == 0)
            child.shutdown_ms = PLEX_SHUTDOWN_INFINITY;
        else if (strcmp(part, "p") != 0)
            child.shutdown_ms = (uint32_t)strtoul(part, NULL, 10);
    }
    return child;
}

/* 0: none of them. */
static enum plex_strategy
strategy_named(const char *name)
{
    int i = 1;

    while (strategies[i] != NULL && strcmp(strategies[i], name) != 0)
        i++;
    return strategies[i] == NULL ? 0 : (enum plex_strategy)i;
}

static struct plex_supervisor
flags_parse(const char *sup)
{
    struct plex_supervisor flags = {.intensity = 1, .period_ms = 5000};
    char strategy[32] = "", rest[64] = "";
    const char *backoff = strstr(sup, "backoff=");

    (void)sscanf(sup, "%31s %u/%u %63s", strategy, &flags.intensity,
                 &flags.period_ms, rest);
    flags.strategy = strategy_named(strategy);
    if (strcmp(rest, "any") == 0)
        flags.auto_shutdown = PLEX_AUTO_ANY_SIGNIFICANT;
    if (strcmp(rest, "all") == 0)
        flags.auto_shutdown = PLEX_AUTO_ALL_SIGNIFICANT;
    if (backoff != NULL)
        (void)sscanf(backoff, "backoff=%u..%u", &flags.backoff_initial_ms,
                     &flags.backoff_max_ms);
    return flags;
}

struct sup_world *
sup_world_create(const char *sup, const char *children, char *why, size_t size)
{
    struct sup_world *world = plex_calloc(1, sizeof *world);
    struct plex_supervisor flags = flags_parse(sup);
    char *copy = plex_strdup(children), *save = NULL, *part;
    struct plex_err err = {.text = ""};
    size_t n = 0;

    for (part = strtok_r(copy, " ", &save); part != NULL;
         part = strtok_r(NULL, " ", &save)) {
        world->table[n] = child_parse(part, world->ids[n]);
        n++;
    }
    free(copy);
    flags.children = world->table;
    world->simple = flags.strategy == PLEX_SIMPLE_ONE_FOR_ONE;
    world->now = 1000000;
    if (sup_core_create(&flags, &world->core, &err) == PLEX_OK)
        return world;
    (void)snprintf(why, size, "%s", err.text);
    free(world);
    return NULL;
}

void
sup_world_free(struct sup_world *world)
{
    if (world == NULL)
        return;
    sup_core_free(world->core);
    free(world);
}

static void
after(struct sup_world *world, uint64_t ms)
{
    uint64_t until = world->now + ms, run;
    size_t i, first;

    for (;;) {
        first = world->n_timers;
        for (i = 0; i < world->n_timers; i++) {
            if (world->timers[i].due <= until &&
                (first == world->n_timers ||
                 world->timers[i].due < world->timers[first].due))
                first = i;
        }
        if (first == world->n_timers)
            break;
        world->now = world->timers[first].due;
        run = world->timers[first].run;
        timer_cancel(world, run);
        sup_core_timer(world->core, world->now, run);
        settle(world);
    }
    world->now = until;
}

static void
ask(struct sup_world *world, enum plex_supervisor_verb verb, const char *text)
{
    char copy[64], id[ID_MAX];
    struct plex_child child;
    struct plex_supervisor_request asked = {
        .verb = verb, .id = text, .out_max = 100};
    struct actor *actor = actor_named(world, text);
    enum plex_status status;

    if (verb == PLEX_SUP_START || verb == PLEX_SUP_CHANGE) {
        (void)snprintf(copy, sizeof copy, "%s", text);
        child = child_parse(copy, id);
        asked.child = &child;
    }
    if (world->simple && actor != NULL)
        asked.ref = actor->ref;
    status = sup_core_request(world->core, world->now, &asked,
                              verb == PLEX_SUP_COUNT ? (void *)&world->counting
                                                     : world);
    if (status != PLEX_OK)
        say(world, "=%s", plex_status_name(status));
}

static bool
request(struct sup_world *world, const char *verb, const char *first)
{
    static const char *const verbs[] = {
        "", "add", "terminate", "restart", "delete", "which", "count", "move"};
    size_t i;

    for (i = 1; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verb, verbs[i]) != 0)
            continue;
        ask(world, (enum plex_supervisor_verb)i, first);
        return true;
    }
    return false;
}

static void
plan_part(struct plex_plan *plan, const char *word)
{
    static const char *const autos[] = {"never", "any", "all"};

    if (strchr(word, '/') != NULL) {
        (void)sscanf(word, "%u/%u", &plan->intensity, &plan->period_ms);
        plan->set |= PLEX_PLAN_INTENSITY | PLEX_PLAN_PERIOD;
        return;
    }
    if (sscanf(word, "backoff=%u..%u", &plan->backoff_initial_ms,
               &plan->backoff_max_ms) == 2) {
        plan->set |= PLEX_PLAN_BACKOFF;
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, autos[i]) != 0)
            continue;
        plan->auto_shutdown = (enum plex_auto_shutdown)i;
        plan->set |= PLEX_PLAN_AUTO_SHUTDOWN;
        return;
    }
    plan->strategy = strategy_named(word);
    plan->set |= PLEX_PLAN_STRATEGY;
}

static void
plan(struct sup_world *world, const char *words)
{
    struct plex_plan plan = {0};
    const struct plex_supervisor_request asked = {.verb = PLEX_SUP_PLAN,
                                                  .out = &plan};
    char copy[64], *save = NULL, *word;

    (void)snprintf(copy, sizeof copy, "%s", words);
    for (word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save))
        plan_part(&plan, word);
    if (sup_core_request(world->core, world->now, &asked, &world->planning) !=
        PLEX_OK)
        abort();
}

static void
input(struct sup_world *world, const char *line)
{
    char verb[16] = "", first[32] = "", second[32] = "";
    struct actor *actor;
    struct kind *kind;

    (void)sscanf(line, "%15s %31s %31[^\n]", verb, first, second);
    if (strcmp(verb, "plan") == 0) {
        plan(world, line + strcspn(line, "p") + 4);
        return;
    }
    if (strcmp(verb, "change") == 0) {
        ask(world, PLEX_SUP_CHANGE, first);
        return;
    }
    if (request(world, verb, first))
        return;
    actor = actor_named(world, first);
    kind = kind_of(world, first);
    if (strcmp(verb, "begin") == 0)
        sup_core_begin(world->core, world->now);
    else if (strcmp(verb, "exit") == 0)
        ends(world, actor, second);
    else if (strcmp(verb, "parent") == 0)
        sup_core_stop(world->core, world->now, first);
    else if (strcmp(verb, "after") == 0)
        after(world, strtoull(first, NULL, 10));
    else if (strcmp(verb, "failing") == 0)
        kind->failing = atoi(second);
    else if (strcmp(verb, "ignoring") == 0)
        kind->ignoring = atoi(second);
    else if (strcmp(verb, "slow") == 0)
        kind->slow = true;
    else if (strcmp(verb, "stubborn") == 0)
        kind->stubborn = true;
    else if (strcmp(verb, "ok") == 0 || strcmp(verb, "fail") == 0)
        outcome(world, actor, *verb == 'o');
    else
        abort();
}

const char *
sup_world_do(struct sup_world *world, const char *inputs)
{
    const char *line = inputs;

    world->trace[0] = '\0';
    while (*line != '\0') {
        line += strspn(line, " |");
        if (*line == '\0')
            break;
        char one[96];
        size_t len = strcspn(line, "|");

        assert(len < sizeof one);
        memcpy(one, line, len);
        one[len] = '\0';
        while (len > 0 && one[len - 1] == ' ')
            one[--len] = '\0';
        input(world, one);
        settle(world);
        line += strcspn(line, "|");
    }
    return world->trace;
}
