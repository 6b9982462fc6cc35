#include <assert.h>

#include "sdk/c/include/plexspaces/supervisor.h"
#include "tests/unit/runtime/puppet.h"

/*
 * What the core of the supervisor cannot show alone: supervisors as processes.
 * `setup` is "STRATEGY INTENSITY; CHILD; CHILD": a child is "NAME KIND OPS",
 * KIND of p, t, x (permanent, transient, temporary) and k, i, or nothing
 * (brutal kill, infinity, 100 ms), OPS what its init does. Two more are there:
 * u, who asks (OPS as puppets do; "ask" below), and the supervisor s, started
 * by u. Events of s are told.
 */
enum { CHILDREN_MAX = 8 };

static struct plex_child children[CHILDREN_MAX + 1];
static char texts[CHILDREN_MAX][128], ids[CHILDREN_MAX][16];
static size_t child_count;
static struct plex_supervisor flags;
static const struct plex_behaviour supervisor = {.name = "s",
                                                 .supervisor = &flags};
static struct plex_ref sup;

/* u: "start": the supervisor; "leave": end; else "VERB NAME". */
static void
ask(struct plex_ctx *ctx, const char *text)
{
    struct plex_supervisor_request request = {.out_max = 1};
    struct plex_child_info infos[CHILDREN_MAX];
    struct plex_child_count count;
    char verb[16] = "", name[16] = "";
    int status;

    (void)sscanf(text, "%15s %15s", verb, name);
    request.id = name;
    if (strcmp(verb, "which") == 0) {
        status = plex_which_children(ctx, sup, infos, CHILDREN_MAX);
        for (int i = 0; i < status; i++)
            say("%s=%s", infos[i].id, puppet_name(infos[i].ref));
        return;
    }
    if (strcmp(verb, "count") == 0) {
        status = plex_count_children(ctx, sup, &count);
        say("%d:%u/%u", status, count.active, count.specs);
        return;
    }
    if (strcmp(verb, "plan") == 0) { /* plan INTENSITY */
        struct plex_plan plan = {.set = PLEX_PLAN_INTENSITY,
                                 .intensity = (uint32_t)atoi(name)};

        if (*name == '\0')
            plan.set = 0;
        status = plex_supervisor_plan(ctx, sup, &plan);
        say("%d:%d/%u/%u", status, (int)plan.strategy, plan.intensity,
            plan.period_ms);
        return;
    }
    if (strcmp(verb, "change") == 0) { /* change NAME: temporary from now on */
        struct plex_child child = {.id = name,
                                   .behaviour = &puppet_behaviour,
                                   .restart = PLEX_TEMPORARY};

        status = plex_change_child(ctx, sup, &child);
        say("=%s", plex_status_name((enum plex_status) - status));
        return;
    }
    request.verb = strcmp(verb, "terminate") == 0 ? PLEX_SUP_TERMINATE
                   : strcmp(verb, "restart") == 0 ? PLEX_SUP_RESTART
                                                  : PLEX_SUP_DELETE;
    status = plex_supervisor_call(ctx, sup, &request);
    say("=%s", plex_status_name((enum plex_status) - status));
}

static int
user_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *text = msg->payload;
    const struct plex_spawn how = {
        .behaviour = &supervisor, .link = true, .wait = true};
    int status;

    if (strcmp(text, "start") == 0) {
        status = plex_spawn(ctx, &how, &sup);
        puppet_know("s", sup);
        say("=%s", plex_status_name((enum plex_status) - status));
    } else if (strncmp(text, "leave", 5) == 0) {
        plex_exit_self(ctx, text + 6);
    } else {
        ask(ctx, text);
    }
    return 0;
}
static int
user_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    if (msg->kind == PLEX_MSG_EXIT)
        say("u<EXIT(%s)", msg->reason);
    return 0;
}
static const struct plex_behaviour user = {.name = "u",
                                           .handle_call = user_call,
                                           .handle_info = user_info,
                                           .trap_exit = true};

static void
child_add(char *text)
{
    char kind[8] = "", *ops;
    int used = 0;
    size_t at = child_count++;

    assert(child_count <= CHILDREN_MAX);
    (void)sscanf(text, "%15s %7s %n", ids[at], kind, &used);
    ops = text + used;
    (void)snprintf(texts[at], sizeof texts[at], "%s %s", ids[at], ops);
    for (char *c = texts[at]; *c != '\0'; c++)
        *c = *c == '+' ? ',' : *c;
    children[at] = (struct plex_child){
        .id = ids[at],
        .behaviour = &puppet_behaviour,
        .args = texts[at],
        .args_len = strlen(texts[at]) + 1,
        .restart = strchr(kind, 't') != NULL   ? PLEX_TRANSIENT
                   : strchr(kind, 'x') != NULL ? PLEX_TEMPORARY
                                               : PLEX_PERMANENT,
        .shutdown_ms = strchr(kind, 'k') != NULL   ? PLEX_BRUTAL_KILL
                       : strchr(kind, 'i') != NULL ? PLEX_SHUTDOWN_INFINITY
                                                   : 100};
}

static void
part(char *text)
{
    char strategy[16];

    if (flags.children != NULL) {
        child_add(text);
        return;
    }
    (void)sscanf(text, "%15s %u", strategy, &flags.intensity);
    flags.strategy = strcmp(strategy, "one") == 0   ? PLEX_ONE_FOR_ONE
                     : strcmp(strategy, "all") == 0 ? PLEX_ONE_FOR_ALL
                                                    : PLEX_REST_FOR_ONE;
    flags.children = children;
}

static void
setup(const char *text)
{
    puppet_setup(NULL);
    memset(children, 0, sizeof children);
    flags = (struct plex_supervisor){.period_ms = 5000};
    child_count = 0;
    stage_each(text, ';', part);
    (void)stage_spawn(&user, "u", NULL);
    stage_run();
    stage.events = true;
}

static void
input(char *line)
{
    if (strncmp(line, "u: ", 3) == 0)
        stage_send("u", PLEX_MSG_CAST, 0, line + 3);
    else
        puppet_input(line);
}

static const struct stage_rule rules[] = {
    {"a supervisor's start waits for its children",
     "one 1; a p sleep 10; b p",
     {{"u: start", ""}, {"after 10", "a:awake +a +b + =OK"}}},
    {"a start that fails is rolled back: no process, no link",
     "one 1; a p; b p fail no",
     {{"u: start", "+a -a:shutdown =FAILED"}, {"u: leave x", "-u:x"}}},
    {"a child that ignores is there without a process",
     "one 1; a p exit ignore; b p",
     {{"u: start | run | u: which", "+b + =OK a=nobody b=b"}}},
    {"children can be looked up while they live",
     "one 1; a p; b x",
     {{"u: start | run | u: which | u: count", "+a +b + =OK a=a b=b 0:2/2"},
      {"b: exit x | run | u: which", "b!end:x -b:x a=a"}}},
    {"a supervisor ends with its parent, children first, in reverse",
     "one 1; a p trap; b p trap",
     {{"u: start", "+a +b + =OK"},
      {"u: leave gone", "-u:gone b!end:shutdown -b:shutdown a!end:shutdown "
                        "-a:shutdown -:gone"}}},
    {"its parent's end waits for the start under way",
     "one 1; a p sleep 20; b p",
     {{"u: start | after 20", "a:awake +a +b + =OK"},
      {"a: exit crash | run", "a!end:crash -a:crash"},
      {"u: leave gone", "-u:gone"},
      {"after 20", "a:awake ^a -b:shutdown -a:shutdown -:gone"}}},
    {"requests wait while a child starts",
     "one 1; a p sleep 20; b p",
     {{"u: start | after 20", "a:awake +a +b + =OK"},
      {"a: exit crash | run | u: terminate b", "a!end:crash -a:crash"},
      {"after 20", "a:awake ^a -b:shutdown =OK"}}},
    {"a killed supervisor takes its children along by their links",
     "one 1; a p; b p trap",
     {{"u: start", "+a +b + =OK"},
      {"exit s kill", "-:killed b!end:killed u<EXIT(killed)"},
      {"a: say here | b: say here", ""}}},
    {"an exit signal that somebody sends ends neither supervisor nor child",
     "one 1; a p",
     {{"u: start", "+a + =OK"},
      {"a: kill s shutdown | run | u: which", "a=a"}}},
    {"a child that has unlinked itself is stopped all the same",
     "one 1; a p trap",
     {{"u: start", "+a + =OK"},
      {"a: unlink s | run | u: terminate a",
       "a!end:shutdown -a:shutdown =OK"}}},
    {"a child that does not end in time is killed",
     "one 1; a p trap",
     {{"u: start", "+a + =OK"},
      {"a: sleep 1000 | run | u: terminate a", ""},
      {"after 100", "-a:killed =OK"}}},
    {"giving up is told with who was too much, before the rest is stopped",
     "one 1; a p; b p",
     {{"u: start", "+a +b + =OK"},
      {"a: exit one | run | a: exit two",
       "a!end:one -a:one ^a a!end:two -a:two !a:two -b:shutdown -:shutdown "
       "u<EXIT(shutdown)"}}},
    {"its plan can be asked for and changed while it runs",
     "one 0; a p",
     {{"u: start | run | u: plan | run | u: plan 1", "+a + =OK 0:1/0/5000 "
                                                     "0:1/1/5000"},
      {"a: exit x", "a!end:x -a:x ^a"},
      {"a: exit y", "a!end:y -a:y !a:y -:shutdown u<EXIT(shutdown)"}}},
    {"what a child is can be changed while it runs",
     "one 1; a p",
     {{"u: start | run | u: change a | u: change z", "+a + =OK =OK "
                                                     "=NOT_FOUND"},
      {"a: exit x | run | u: count", "a!end:x -a:x 0:0/0"}}},
    {"who asks a supervisor that has ended hears so",
     "one 0; a p",
     {{"u: start", "+a + =OK"},
      {"a: exit x | run | u: terminate a",
       "a!end:x -a:x !a:x -:shutdown u<EXIT(shutdown) =NOT_FOUND"}}},
    {"who asks one that ends meanwhile hears so",
     "one 1; a p trap",
     {{"u: start", "+a + =OK"},
      {"a: sleep 1000 | run | u: terminate a | run | exit s kill",
       "-:killed =FAILED u<EXIT(killed)"}}},
};

int
main(void)
{
    return stage_main("otp_tree", rules, sizeof rules / sizeof *rules, setup,
                      input);
}
