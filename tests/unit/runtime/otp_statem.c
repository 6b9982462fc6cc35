#include <assert.h>

#include "sdk/c/include/plexspaces/fsm.h"
#include "tests/unit/runtime/stage.h"

/*
 * Every rule of gen_statem, played by one machine with the states a, b, c whose
 * callbacks follow a program: `setup` is "a/cast1: goto b, postpone; ...": in
 * state a, for a cast with tag 1, do that. What is not in there changes
 * nothing. Kinds: call cast info int st et enter, and t:NAME.
 *
 * Programs for states with enter calls begin with "!"; with "+" for a machine
 * whose states b and c have no function of their own, with "*" for one that has
 * only the function for all states, which says a "*" before the state.
 */
static char program[1024];

static const char *
program_for(const char *state, const char *event)
{
    static char found[512];
    char key[64];
    const char *at;
    size_t len = (size_t)snprintf(key, sizeof key, "%s/%s:", state, event);

    for (at = program; *at != '\0'; at += *at == ';') {
        at += strspn(at, " ");
        if (strncmp(at, key, len) == 0) {
            (void)snprintf(found, sizeof found, "%.*s",
                           (int)strcspn(at + len, ";"), at + len);
            return found;
        }
        at += strcspn(at, ";");
    }
    return "";
}

static struct plex_ctx *current;
static struct plex_from later;
static int outcome;

static int
timeout_op(const char *op, const char *first, const char *second,
           const char *third)
{
    uint64_t never = UINT64_MAX;

    if (strcmp(op, "st") == 0)
        return plex_fsm_state_timeout(
            current, *first == '-' ? never : strtoull(first, NULL, 10),
            strtoull(second, NULL, 10));
    if (strcmp(op, "et") == 0)
        return plex_fsm_event_timeout(
            current, *first == '-' ? never : strtoull(first, NULL, 10),
            strtoull(second, NULL, 10));
    if (strcmp(op, "stu") == 0)
        return plex_fsm_state_timeout_update(current,
                                             strtoull(first, NULL, 10));
    if (strcmp(op, "etu") == 0)
        return plex_fsm_event_timeout_update(current,
                                             strtoull(first, NULL, 10));
    if (strcmp(op, "tu") == 0)
        return plex_fsm_timeout_update(current, first,
                                       strtoull(second, NULL, 10));
    assert(strcmp(op, "t") == 0);
    return plex_fsm_timeout(current, first,
                            *second == '-' ? never : strtoull(second, NULL, 10),
                            strtoull(third, NULL, 10));
}

static void
operation(char *text)
{
    char op[16] = "", first[32] = "", second[32] = "", third[32] = "";
    int status = 0;

    (void)sscanf(text, "%15s %31s %31s %31s", op, first, second, third);
    if (strcmp(op, "goto") == 0)
        status = plex_fsm_goto(current, first);
    else if (strcmp(op, "repeat") == 0)
        status = plex_fsm_repeat_state(current);
    else if (strcmp(op, "postpone") == 0)
        status = plex_fsm_postpone(current);
    else if (strcmp(op, "next") == 0)
        status = plex_fsm_next_event(current, strtoull(first, NULL, 10));
    else if (strcmp(op, "insert") == 0) /* KIND TAG TEXT */
        status = plex_fsm_next_event_of(
            current,
            strcmp(first, "cast") == 0   ? PLEX_FSM_CAST
            : strcmp(first, "info") == 0 ? PLEX_FSM_INFO
            : strcmp(first, "int") == 0  ? PLEX_FSM_INTERNAL
                                         : PLEX_FSM_CALL,
            strtoull(second, NULL, 10), third, strlen(third) + 1);
    else if (strcmp(op, "hibernate") == 0)
        plex_hibernate(current);
    else if (strcmp(op, "where") == 0)
        say("in-%s", plex_fsm_state(current));
    else if (strcmp(op, "reply") == 0)
        plex_reply(current, "text/plain", first, strlen(first));
    else if (strcmp(op, "later") == 0)
        later = plex_reply_later(current);
    else if (strcmp(op, "answer") == 0)
        status = plex_answer(current, &later, first, strlen(first));
    else if (strcmp(op, "fail") == 0)
        outcome = plex_fail(current, first);
    else if (strcmp(op, "exit") == 0)
        plex_exit_self(current, first);
    else
        status = timeout_op(op, first, second, third);
    if (status != 0)
        say("%s", plex_status_name((enum plex_status) - status));
}

static int
play(struct plex_ctx *ctx, const char *state, const char *event)
{
    char copy[512];

    (void)snprintf(copy, sizeof copy, "%s", program_for(state, event));
    current = ctx;
    outcome = 0;
    stage_each(copy, ',', operation);
    return outcome;
}

static int
handle(struct plex_ctx *ctx, const char *state,
       const struct plex_fsm_event *event)
{
    static const char *const kinds[] = {"",   "call", "cast", "info", "int",
                                        "st", "et",   "t",    "enter"};
    char text[64];

    if (event->kind == PLEX_FSM_ENTER) {
        say("%s:enter<%s", state, event->name);
        return play(ctx, state + (*state == '*'), "enter");
    }
    if (event->kind == PLEX_FSM_TIMEOUT)
        (void)snprintf(text, sizeof text, "t:%s%llu", event->name,
                       (unsigned long long)event->tag);
    else
        (void)snprintf(text, sizeof text, "%s%llu", kinds[event->kind],
                       (unsigned long long)event->tag);
    if (event->msg != NULL && event->msg->len > 0)
        say("%s:%s(%s)", state, text, (const char *)event->msg->payload);
    else
        say("%s:%s", state, text);
    return play(ctx, state + (*state == '*'), text);
}

#define STATE(name)                                          \
    static int in_##name(struct plex_ctx *ctx,               \
                         const struct plex_fsm_event *event) \
    {                                                        \
        return handle(ctx, #name, event);                    \
    }
STATE(a)
STATE(b)
STATE(c)
static int
in_any(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    char state[64];

    (void)snprintf(state, sizeof state, "*%s", plex_fsm_state(ctx));
    return handle(ctx, state, event);
}

static int
init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args;
    (void)len;
    return play(ctx, "init", "init");
}

static void
terminate(struct plex_ctx *ctx, const char *reason)
{
    if (plex_fsm_state(ctx) == NULL || *plex_fsm_state(ctx) != 'a')
        say("end:%s,in-%s", reason, plex_fsm_state(ctx));
    else
        say("end:%s", reason);
}

static const struct plex_fsm_state plain_states[] = {
    {.name = "a", .handle = in_a},
    {.name = "b", .handle = in_b},
    {.name = "c", .handle = in_c},
    {0},
};
static const struct plex_fsm_state enter_states[] = {
    {.name = "a", .handle = in_a, .enter = true},
    {.name = "b", .handle = in_b, .enter = true},
    {.name = "c", .handle = in_c, .enter = true},
    {0},
};
static const struct plex_fsm_state partly_states[] = {
    {.name = "a", .handle = in_a},
    {.name = "b", .enter = true},
    {.name = "c"},
    {.name = PLEX_FSM_ANY, .handle = in_any},
    {0},
};
static const struct plex_fsm_state any_states[] = {
    {.name = PLEX_FSM_ANY, .handle = in_any, .enter = true}, {0}};
static const struct plex_fsm_state no_states[] = {{.name = "a"}, {0}};
static const struct plex_fsm partly_fsm = {partly_states};
static const struct plex_fsm any_fsm = {any_states};
static const struct plex_fsm no_fsm = {no_states};
static const struct plex_fsm plain_fsm = {plain_states};
static const struct plex_fsm enter_fsm = {enter_states};
static const struct plex_behaviour plain = {
    .name = "plain", .init = init, .terminate = terminate, .fsm = &plain_fsm};
static const struct plex_behaviour enters = {
    .name = "enters", .init = init, .terminate = terminate, .fsm = &enter_fsm};
static const struct plex_behaviour partly = {
    .name = "partly", .init = init, .terminate = terminate, .fsm = &partly_fsm};
static const struct plex_behaviour any = {
    .name = "any", .init = init, .terminate = terminate, .fsm = &any_fsm};
static const struct plex_behaviour lacks = {.name = "lacks", .fsm = &no_fsm};

static void
setup(const char *text)
{
    const struct plex_behaviour *behaviour = *text == '!'   ? &enters
                                             : *text == '+' ? &partly
                                             : *text == '*' ? &any
                                             : *text == '-' ? &lacks
                                                            : &plain;

    (void)snprintf(program, sizeof program, "%s", text + (behaviour != &plain));
    (void)stage_spawn(behaviour, "m", NULL);
}

static void
input(char *line)
{
    uint64_t tag = 0;
    char verb[16] = "";

    (void)sscanf(line, "%15s %lu", verb, &tag);
    if (strcmp(verb, "call") == 0)
        stage_call("m", tag, NULL);
    else if (strcmp(verb, "cast") == 0)
        stage_send("m", PLEX_MSG_CAST, tag, NULL);
    else if (strcmp(verb, "info") == 0)
        stage_send("m", PLEX_MSG_INFO, tag, NULL);
    else if (strcmp(verb, "after") == 0)
        stage_after(tag);
    else if (strcmp(verb, "run") == 0)
        stage_run();
    else if (strcmp(verb, "start") == 0)
        (void)stage_spawn(&enters, "m", NULL);
    else
        abort();
}

static const struct stage_rule rules[] = {
    {"the first state of the table is the initial one",
     "",
     {{"cast 1 | info 2", "a:cast1 a:info2"}}},
    {"init may choose another initial state",
     "init/init: goto b",
     {{"cast 1", "b:cast1"}}},
    {"next_event, timeouts in init are for the initial state",
     "init/init: next 5, st 0 6, st 10 7",
     {{"cast 1", "a:cast1"}, {"after 10", "a:st7"}}},
    {"the initial state is entered, coming from itself",
     "!",
     {{"cast 1", "a:cast1"}}},
    {"a failing init is no start", "init/init: fail no", {{"cast 1", ""}}},
    {"an unknown state is refused and nothing changes",
     "a/cast1: goto z",
     {{"cast 1 | cast 2", "a:cast1 INVALID a:cast2"}}},
    {"a state change takes effect with the next event",
     "a/cast1: goto b",
     {{"cast 1 | cast 2", "a:cast1 b:cast2"}}},
    {"the last goto of a callback counts",
     "a/cast1: goto b, goto c",
     {{"cast 1 | cast 2", "a:cast1 c:cast2"}}},
    {"a call is answered by a reply in its callback",
     "a/call1: reply yes",
     {{"call 1", "a:call1 =yes"}}},
    {"a call can be answered later, from another event",
     "a/call1: later, goto b; b/cast2: answer done",
     {{"call 1", "a:call1"}, {"cast 2", "b:cast2 =done"}}},
    /* postpone */
    {"a postponed event comes again after the state has changed",
     "a/cast1: postpone; a/cast2: goto b",
     {{"cast 1", "a:cast1"}, {"cast 2", "a:cast2 b:cast1"}}},
    {"postponed events come again oldest first, before those that wait",
     "a/cast1: postpone; a/cast2: postpone; a/cast3: goto b",
     {{"cast 1 | cast 2 | cast 3 | cast 4",
       "a:cast1 a:cast2 a:cast3 b:cast1 b:cast2 b:cast4"}}},
    {"without a state change nothing postponed comes again",
     "a/cast1: postpone; a/cast2: goto a",
     {{"cast 1 | cast 2 | cast 3", "a:cast1 a:cast2 a:cast3"}}},
    {"repeat_state brings nothing postponed back",
     "a/cast1: postpone; a/cast2: repeat",
     {{"cast 1 | cast 2 | cast 3", "a:cast1 a:cast2 a:cast3"}}},
    {"an event can be postponed again",
     "a/cast1: postpone; a/cast2: goto b; b/cast1: postpone; b/cast2: goto c",
     {{"cast 1 | cast 2", "a:cast1 a:cast2 b:cast1"},
      {"cast 2", "b:cast2 c:cast1"}}},
    {"postponed events that change the state bring the rest back once more",
     "a/cast1: postpone; a/cast2: postpone; a/cast3: goto b; b/cast1: goto c",
     {{"cast 1 | cast 2 | cast 3", "a:cast1 a:cast2 a:cast3 b:cast1 c:cast2"}}},
    {"a postponed call is answered when it comes again",
     "a/call1: postpone; a/cast2: goto b; b/call1: reply yes",
     {{"call 1", "a:call1"}, {"cast 2", "a:cast2 b:call1 =yes"}}},
    {"postponing while changing the state: it comes at once in the new one",
     "a/cast1: postpone, goto b",
     {{"cast 1", "a:cast1 b:cast1"}}},
    {"who waits for a postponed call hears when the machine ends",
     "a/call1: postpone; a/cast2: exit normal",
     {{"call 1", "a:call1"}, {"cast 2", "a:cast2 end:normal =FAILED"}}},
    /* next_event */
    {"inserted events come in their order before those that wait",
     "a/cast1: next 7, next 8",
     {{"cast 1 | cast 2", "a:cast1 a:int7 a:int8 a:cast2"}}},
    {"inserted events come before postponed ones that come again",
     "a/cast1: postpone; a/cast2: next 7, goto b",
     {{"cast 1 | cast 2", "a:cast1 a:cast2 b:int7 b:cast1"}}},
    {"what an inserted event inserts comes before the other inserted ones",
     "a/cast1: next 7, next 8; a/int7: next 9",
     {{"cast 1", "a:cast1 a:int7 a:int9 a:int8"}}},
    {"an inserted event can be postponed, too",
     "a/cast1: next 7; a/int7: postpone; a/cast2: goto b",
     {{"cast 1 | cast 2", "a:cast1 a:int7 a:cast2 b:int7"}}},
    /* enter calls */
    {"a state change calls the new state first, with the old one's name",
     "!a/cast1: goto b",
     {{"cast 1 | cast 2", "a:cast1 b:enter<a b:cast2"}}},
    {"no enter call without a state change",
     "!a/cast1: goto a",
     {{"cast 1 | cast 2", "a:cast1 a:cast2"}}},
    {"repeat_state makes the enter call again",
     "!a/cast1: repeat",
     {{"cast 1", "a:cast1 a:enter<a"}}},
    {"the enter call comes before inserted and postponed events",
     "!a/cast1: postpone; a/cast2: next 7, goto b",
     {{"cast 1 | cast 2", "a:cast1 a:cast2 b:enter<a b:int7 b:cast1"}}},
    {"an enter call may set timeouts, of the new state",
     "!a/cast1: goto b; b/enter: st 10 5",
     {{"cast 1", "a:cast1 b:enter<a"}, {"after 10", "b:st5"}}},
    {"an enter call may not change state, postpone, insert",
     "!a/cast1: goto b; b/enter: goto c, postpone, next 1, repeat",
     {{"cast 1 | cast 2",
       "a:cast1 b:enter<a INVALID INVALID INVALID INVALID b:cast2"}}},
    {"an enter call that fails ends the machine",
     "!a/cast1: goto b; b/enter: fail bad",
     {{"cast 1 | cast 2", "a:cast1 b:enter<a end:bad,in-b"}}},
    {"what is set in the transition's callback comes before the enter call's",
     "!a/cast1: goto b, st 10 1; b/enter: st 20 2",
     {{"cast 1 | after 10", "a:cast1 b:enter<a"}, {"after 10", "b:st2"}}},
    /* state timeout */
    {"a state timeout fires in its state",
     "a/cast1: st 10 5",
     {{"cast 1 | after 9", "a:cast1"}, {"after 1", "a:st5"}}},
    {"a state change cancels it",
     "a/cast1: st 10 5; a/cast2: goto b",
     {{"cast 1 | cast 2 | after 100", "a:cast1 a:cast2"}}},
    {"repeating or staying does not",
     "a/cast1: st 10 5; a/cast2: repeat; a/cast3: goto a",
     {{"cast 1 | cast 2 | cast 3 | after 10",
       "a:cast1 a:cast2 a:cast3 a:st5"}}},
    {"one that is set with a state change is of the new state",
     "a/cast1: goto b, st 10 5",
     {{"cast 1 | after 10", "a:cast1 b:st5"}}},
    {"setting it again restarts it with the new time",
     "a/cast1: st 10 5; a/cast2: st 10 6",
     {{"cast 1 | after 9 | cast 2 | after 9", "a:cast1 a:cast2"},
      {"after 1", "a:st6"}}},
    {"infinity cancels it",
     "a/cast1: st 10 5; a/cast2: st - 0",
     {{"cast 1 | cast 2 | after 100", "a:cast1 a:cast2"}}},
    {"other events do not cancel it",
     "a/cast1: st 10 5",
     {{"cast 1 | cast 2 | after 10", "a:cast1 a:cast2 a:st5"}}},
    /* event timeout */
    {"an event timeout fires when no event comes",
     "a/cast1: et 10 5",
     {{"cast 1 | after 10", "a:cast1 a:et5"}}},
    {"any event cancels it",
     "a/cast1: et 10 5",
     {{"cast 1 | info 2 | after 100", "a:cast1 a:info2"}}},
    {"an inserted event cancels it, too",
     "a/cast1: et 10 5, next 7",
     {{"cast 1 | after 100", "a:cast1 a:int7"}}},
    {"a state change does not",
     "a/cast1: et 10 5, goto b",
     {{"cast 1 | after 10", "a:cast1 b:et5"}}},
    {"another timeout cancels it: it is an event",
     "a/cast1: et 20 5, st 10 6",
     {{"cast 1 | after 100", "a:cast1 a:st6"}}},
    /* generic timeouts */
    {"a generic timeout survives state changes and events",
     "a/cast1: t x 10 5, goto b",
     {{"cast 1 | cast 2 | after 10", "a:cast1 b:cast2 b:t:x5"}}},
    {"generic timeouts of different names are independent",
     "a/cast1: t x 10 5, t y 5 6",
     {{"cast 1 | after 10", "a:cast1 a:t:y6 a:t:x5"}}},
    {"the same name again replaces it; infinity cancels it",
     "a/cast1: t x 10 5, t y 10 6; a/cast2: t x 20 7, t y - 0",
     {{"cast 1 | cast 2 | after 10", "a:cast1 a:cast2"},
      {"after 10", "a:t:x7"}}},
    {"a generic timeout wants a name",
     "a/cast1: t",
     {{"cast 1", "a:cast1 INVALID"}}},
    /* timeouts of 0 */
    {"a timeout of 0 comes before what has not come yet",
     "a/cast1: st 0 5",
     {{"cast 1 | cast 2", "a:cast1 a:st5 a:cast2"}}},
    {"a timeout of 0 comes after inserted and postponed events",
     "a/cast1: postpone; a/cast2: st 0 5, next 7, goto b",
     {{"cast 1 | cast 2", "a:cast1 a:cast2 b:int7 b:cast1 b:st5"}}},
    {"timeouts of 0 come in the order in which they were set",
     "a/cast1: t x 0 1, st 0 2, t y 0 3",
     {{"cast 1", "a:cast1 a:t:x1 a:st2 a:t:y3"}}},
    {"an event timeout of 0 comes only when no event waits",
     "a/cast1: et 0 5, next 7; a/cast2: et 0 6",
     {{"cast 1", "a:cast1 a:int7"}, {"cast 2", "a:cast2 a:et6"}}},
    {"a state change cancels a state timeout of 0 that has not come yet",
     "a/cast1: st 0 5, next 7; a/int7: goto b",
     {{"cast 1", "a:cast1 a:int7"}}},
    {"a postponed timeout comes again, too",
     "a/cast1: st 0 5; a/st5: postpone; a/cast2: goto b",
     {{"cast 1 | cast 2", "a:cast1 a:st5 a:cast2 b:st5"}}},
    /* updates */
    {"a timeout that runs can be given something else to say",
     "a/cast1: st 10 5, t x 10 6; a/cast2: stu 7, tu x 8",
     {{"cast 1 | after 9 | cast 2", "a:cast1 a:cast2"},
      {"after 1", "a:st7 a:t:x8"}}},
    {"an update of one that does not run is due at once",
     "a/cast1: stu 7, tu x 8",
     {{"cast 1", "a:cast1 a:st7 a:t:x8"}}},
    {"an event timeout has been cancelled by the event that updates it",
     "a/cast1: et 10 5; a/cast2: etu 7",
     {{"cast 1 | cast 2 | after 10", "a:cast1 a:cast2 a:et7"}}},
    {"an enter call may update, too",
     "!a/cast1: goto b, st 10 5; b/enter: stu 6",
     {{"cast 1 | after 10", "a:cast1 b:enter<a b:st6"}}},
    {"an update of a generic timeout wants a name",
     "a/cast1: tu",
     {{"cast 1", "a:cast1 INVALID"}}},
    /* inserted events of other kinds */
    {"inserted events may carry something and be of other kinds",
     "a/cast1: insert int 7 x, insert cast 8 y, insert info 9 z, next 6",
     {{"cast 1 | cast 2",
       "a:cast1 a:int7(x) a:cast8(y) a:info9(z) a:int6 a:cast2"}}},
    {"an inserted event with a payload keeps it when it is postponed",
     "a/cast1: insert int 7 x; a/int7: postpone; a/cast2: goto b",
     {{"cast 1 | cast 2", "a:cast1 a:int7(x) a:cast2 b:int7(x)"}}},
    {"an inserted event does not take the reply of the call before it",
     "a/call1: later, insert int 7 x; a/int7: answer yes",
     {{"call 1", "a:call1 a:int7(x) =yes"}}},
    {"what was inserted and is not handled any more is given back",
     "a/cast1: insert int 7 x, insert cast 8 y; a/int7: postpone, exit normal",
     {{"cast 1", "a:cast1 a:int7(x) end:normal"}}},
    {"calls cannot be inserted, timeouts neither",
     "a/cast1: insert call 7 x",
     {{"cast 1", "a:cast1 INVALID"}}},
    {"an enter call may not insert those either",
     "!a/cast1: goto b; b/enter: insert int 7 x",
     {{"cast 1", "a:cast1 b:enter<a INVALID"}}},
    /* one function for all states */
    {"states without a function share that for all states",
     "+a/cast1: goto b; b/cast2: goto c",
     {{"cast 1 | cast 2 | cast 3", "a:cast1 *b:enter<a *b:cast2 *c:cast3"}}},
    {"where every state has a row, unknown ones are refused still",
     "+a/cast1: goto z, goto *",
     {{"cast 1 | cast 2", "a:cast1 INVALID INVALID a:cast2"}}},
    {"with one function for all states any name is a state",
     "*init/init: goto idle; idle/cast1: goto busy-7; busy-7/cast2: goto idle",
     {{"cast 1 | cast 2 | cast 3",
       "*idle:cast1 *busy-7:enter<idle *busy-7:cast2 "
       "*idle:enter<busy-7 *idle:cast3"}}},
    {"with it the same name is no state change",
     "*init/init: goto idle; idle/cast1: goto idle; idle/cast2: repeat",
     {{"cast 1 | cast 2", "*idle:cast1 *idle:cast2 *idle:enter<idle"}}},
    {"with it postponed events and state timeouts follow the names",
     "*init/init: goto idle; idle/cast1: postpone, st 10 5; "
     "idle/cast2: goto on, st 20 6",
     {{"cast 1 | cast 2", "*idle:cast1 *idle:cast2 *on:enter<idle *on:cast1"},
      {"after 20", "*on:st6"}}},
    {"with it init has to choose the first state", "*", {{"cast 1", ""}}},
    {"a state without any function is no start", "-", {{"cast 1", ""}}},
    {"callbacks know the state, terminate too",
     "a/cast1: where, goto b, where; b/cast2: exit normal",
     {{"cast 1 | cast 2", "a:cast1 in-a in-a b:cast2 end:normal,in-b"}}},
    /* ends */
    {"stop and reply: the reply leaves before the end",
     "a/call1: reply bye, exit normal",
     {{"call 1", "a:call1 end:normal =bye"}}},
    {"stop and reply: also to one that was postponed",
     "a/call1: postpone; a/cast2: goto b; b/call1: reply bye, exit normal",
     {{"call 1", "a:call1"},
      {"cast 2", "a:cast2 b:call1 end:normal,in-b =bye"}}},
    {"an enter call may end the machine",
     "!a/cast1: goto b; b/enter: exit normal",
     {{"cast 1 | cast 2", "a:cast1 b:enter<a end:normal,in-b"}}},
    {"hibernating changes nothing that is seen",
     "a/cast1: hibernate, st 10 5, postpone; a/cast2: goto b, st 10 6",
     {{"cast 1 | cast 2 | after 10", "a:cast1 a:cast2 b:cast1 b:st6"}}},
    {"a failing callback ends the machine with its reason",
     "a/cast1: fail bad",
     {{"cast 1 | cast 2", "a:cast1 end:bad"}}},
    {"whose call fails hears of it",
     "a/call1: fail bad",
     {{"call 1", "a:call1 end:bad =FAILED"}}},
    {"exiting in the middle leaves the rest",
     "a/cast1: next 7, exit normal",
     {{"cast 1 | cast 2", "a:cast1 end:normal"}}},
    {"a failing inserted event ends it, too",
     "a/cast1: next 7, next 8; a/int7: fail bad",
     {{"cast 1", "a:cast1 a:int7 end:bad"}}},
};

int
main(void)
{
    return stage_main("otp_statem", rules, sizeof rules / sizeof *rules, setup,
                      input);
}
