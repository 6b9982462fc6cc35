/*
 * Byzantine generals (Lamport, Shostak, Pease 1982), with oral messages that
 * are tuples. General 0 commands; the others are lieutenants who tell each
 * other what they heard, over and over, and decide by majority. Traitors tell
 * everybody something else. Calls to generals/KEY:
 *
 *   {"generals":7,"rounds":2,"traitors":"03","order":1}
 *
 * With rounds m and at most m traitors among more than 3m generals all loyal
 * lieutenants decide the same, and what a loyal commander ordered.
 *
 *   ["said", BATTLE, PATH, TO, VALUE]   "03": 3 says that 0 said so
 *   ["decided", BATTLE, WHO, VALUE]
 */
#include <plexspaces/coordination.h>

enum {
    GENERALS_MAX = 7,
    ROUNDS_MAX = 2,
    PATH_MAX = ROUNDS_MAX + 2,
    WAIT_MS = 20000
};
#define SPACE "generals"

struct battle {
    char name[32];
    int n, rounds, order;
    bool traitor[GENERALS_MAX];
};

static bool
on_path(const char *path, int who)
{
    return strchr(path, '0' + who) != NULL;
}

/* `path` and who says so; at most PATH_MAX of them. */
static void
path_add(char out[PATH_MAX + 1], const char *path, int who)
{
    const size_t len = strlen(path);

    memcpy(out, path, len);
    out[len] = (char)('0' + who);
    out[len + 1] = '\0';
}

/* What a traitor tells `to`, whatever he heard. */
static int
lie(const char *path, int to)
{
    return (to + (int)strlen(path)) % 2;
}

/* -- what one of them has heard: a value for each path ----------------------
 */

/* Paths are numbers in base 8 with a 1 in front. */
struct heard {
    int8_t value[1 << (3 * PATH_MAX + 1)];
};
static size_t
path_index(const char *path)
{
    size_t index = 1;

    for (; *path != '\0'; path++)
        index = index * 8 + (size_t)(*path - '0');
    return index;
}

/* The majority of what was heard of `path` directly and from all others. */
static int
decide(const struct battle *b, const struct heard *heard, int me,
       const char *path)
{
    const size_t len = strlen(path);
    int attack = heard->value[path_index(path)], all = 1;
    char longer[PATH_MAX + 1];

    if (len == (size_t)b->rounds + 1)
        return attack;
    for (int i = 0; i < b->n; i++)
        if (i != me && !on_path(path, i)) {
            path_add(longer, path, i);
            attack += decide(b, heard, me, longer);
            all++;
        }
    return 2 * attack > all; /* in doubt, retreat */
}

/* -- alone: what everybody would hear ----------------------------------------
 */

static int
would_hear(const struct battle *b, const char *path, int me)
{
    const size_t len = strlen(path);
    const int from = path[len - 1] - '0';
    char shorter[PATH_MAX + 1];

    if (b->traitor[from])
        return lie(path, me);
    if (len == 1)
        return b->order;
    memcpy(shorter, path, len);
    shorter[len - 1] = '\0';
    return would_hear(b, shorter, from);
}
static void
would_hear_all(const struct battle *b, struct heard *heard, int me,
               const char *path)
{
    char longer[PATH_MAX + 1];

    heard->value[path_index(path)] = (int8_t)would_hear(b, path, me);
    for (int i = 0; i < b->n && strlen(path) <= (size_t)b->rounds; i++)
        if (i != me && !on_path(path, i)) {
            path_add(longer, path, i);
            would_hear_all(b, heard, me, longer);
        }
}
static int
would_decide(const struct battle *b, int me)
{
    struct heard heard;

    would_hear_all(b, &heard, me, "0");
    return decide(b, &heard, me, "0");
}

/* -- together ----------------------------------------------------------------
 */

/* General `me` tells all who are not on `path` what he heard of it. */
static int
tell(struct plex_ctx *ctx, const struct battle *b, int me, const char *path,
     int value)
{
    char tuple[128], longer[PATH_MAX + 1];
    int status = 0;

    if (strlen(path) >= PATH_MAX)
        return PLEX_E_INVALID;
    path_add(longer, path, me);
    for (int to = 1; to < b->n && status == 0; to++)
        if (!on_path(longer, to)) {
            (void)snprintf(tuple, sizeof tuple,
                           "[\"said\",\"%s\",\"%s\",%d,%d]", b->name, longer,
                           to, b->traitor[me] ? lie(longer, to) : value);
            status = plex_tuple_out(ctx, SPACE, tuple, 600000);
        }
    return status;
}
static int
hear(struct plex_ctx *ctx, const struct battle *b, int me, const char *path,
     int8_t *value)
{
    struct plex_value fields;
    char pattern[128];
    int64_t said;
    int status;

    (void)snprintf(pattern, sizeof pattern,
                   "[\"said\",\"%s\",\"%s\",%d,{\"any\":true}]", b->name, path,
                   me);
    status = plex_tuple_in(ctx, SPACE, pattern, WAIT_MS, &fields);
    if (status == 0 && !plex_tuple_number(&fields, 4, &said))
        status = PLEX_E_INVALID;
    if (status == 0)
        *value = (int8_t)said;
    return status;
}
/* Hear everything of `path` and what the others say of it. */
static int
hear_all(struct plex_ctx *ctx, const struct battle *b, struct heard *heard,
         int me, const char *path)
{
    int8_t *value = &heard->value[path_index(path)];
    char longer[PATH_MAX + 1];
    int status = hear(ctx, b, me, path, value);

    if (strlen(path) > (size_t)b->rounds)
        return status;
    if (status == 0)
        status = tell(ctx, b, me, path, *value);
    for (int i = 1; i < b->n && status == 0; i++)
        if (i != me && !on_path(path, i)) {
            path_add(longer, path, i);
            status = hear_all(ctx, b, heard, me, longer);
        }
    return status;
}

/* -- actors ------------------------------------------------------------------
 */

static bool
battle_read(struct plex_ctx *ctx, struct battle *b)
{
    int64_t n = 4, rounds = 1, order = 1;
    const char *traitors = "", *name = "";

    memset(b, 0, sizeof *b);
    (void)plex_json_int(ctx, "generals", &n);
    (void)plex_json_int(ctx, "rounds", &rounds);
    (void)plex_json_int(ctx, "order", &order);
    (void)plex_json_text(ctx, "battle", &name);
    (void)snprintf(b->name, sizeof b->name, "%s", name);
    b->n = (int)n;
    b->rounds = (int)rounds;
    b->order = (int)order;
    if (n < 3 || n > GENERALS_MAX || rounds < 0 || rounds > ROUNDS_MAX ||
        order < 0 || order > 1)
        return false;
    (void)plex_json_text(ctx, "traitors", &traitors);
    for (; *traitors != '\0'; traitors++) {
        if (*traitors < '0' || *traitors >= '0' + n)
            return false;
        b->traitor[*traitors - '0'] = true;
    }
    return true;
}

static int
lieutenant(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct heard heard;
    struct battle b;
    char tuple[96];
    int64_t me = 0;

    (void)msg;
    (void)plex_json_int(ctx, "me", &me);
    if (!battle_read(ctx, &b) || me < 1 || me >= b.n)
        return plex_fail(ctx, "not a lieutenant of any battle");
    if (hear_all(ctx, &b, &heard, (int)me, "0") != 0)
        return plex_fail(ctx, "somebody is silent");
    (void)snprintf(tuple, sizeof tuple, "[\"decided\",\"%s\",%d,%d]", b.name,
                   (int)me, decide(&b, &heard, (int)me, "0"));
    return plex_tuple_out(ctx, SPACE, tuple, 600000);
}

static void
lieutenants_call(struct plex_ctx *ctx, const struct battle *b)
{
    const char *key = plex_self(ctx, NULL, NULL, NULL);
    char traitors[GENERALS_MAX + 1] = "", name[128], request[256];
    size_t n = 0;

    for (int i = 0; i < b->n; i++)
        if (b->traitor[i])
            traitors[n++] = (char)('0' + i);
    for (int i = 1; i < b->n; i++) {
        (void)snprintf(name, sizeof name, "lieutenant/%.64s-%d", key, i);
        (void)snprintf(request, sizeof request,
                       "{\"battle\":\"%s\",\"generals\":%d,\"rounds\":%d,"
                       "\"order\":%d,\"traitors\":\"%s\",\"me\":%d}",
                       b->name, b->n, b->rounds, b->order, traitors, i);
        plex_cast_ref(ctx, plex_whereis(ctx, name), 0, request,
                      strlen(request));
    }
}

/* Everybody's decision; negative: a status. */
static int
decision_of(struct plex_ctx *ctx, const struct battle *b, int who)
{
    struct plex_value fields;
    char pattern[96];
    int64_t value;
    int status;

    (void)snprintf(pattern, sizeof pattern,
                   "[\"decided\",\"%s\",%d,{\"any\":true}]", b->name, who);
    status = plex_tuple_in(ctx, SPACE, pattern, WAIT_MS, &fields);
    if (status == 0 && !plex_tuple_number(&fields, 3, &value))
        status = PLEX_E_INVALID;
    return status != 0 ? status : (int)value;
}

static int
commander(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    bool ok = true, agree = true, obeyed = true;
    char decisions[GENERALS_MAX] = "";
    int first = -1, status;
    struct battle b;

    (void)msg;
    if (!battle_read(ctx, &b)) {
        plex_reply_problem(ctx, 400,
                           "generals 3 to %d, rounds 0 to %d, order 0 or 1, "
                           "traitors the numbers of some generals",
                           GENERALS_MAX, ROUNDS_MAX);
        return 0;
    }
    (void)snprintf(b.name, sizeof b.name, "%016llx",
                   (unsigned long long)plex_coord_random(ctx));
    lieutenants_call(ctx, &b);
    status = tell(ctx, &b, 0, "", b.order);
    for (int i = 1; i < b.n && status >= 0; i++) {
        status = decision_of(ctx, &b, i);
        decisions[i - 1] = (char)('0' + status);
        ok = ok && status == would_decide(&b, i);
        if (b.traitor[i])
            continue;
        first = first < 0 ? status : first;
        agree = agree && status == first;
        obeyed = obeyed && (b.traitor[0] || status == b.order);
    }
    if (status < 0)
        plex_reply_problem(ctx, 503, "not all have decided: %d", status);
    else
        plex_reply_json(ctx,
                        "{\"ok\":%s,\"agree\":%s,\"obeyed\":%s,"
                        "\"decisions\":\"%s\"}",
                        ok ? "true" : "false", agree ? "true" : "false",
                        obeyed ? "true" : "false", decisions);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "commander", .handle_call = commander},
    {.name = "lieutenant",
     .handle_call = lieutenant,
     .handle_cast = lieutenant},
    {0},
};
PLEX_MODULE(behaviours);
