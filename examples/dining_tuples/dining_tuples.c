/*
 * Dining philosophers over the tuple space, as Linda's books have them: forks
 * and tickets are tuples. One ticket less than there are seats: so somebody can
 * always eat. Calls to dining/KEY: {"seats":5,"meals":4}
 *
 *   ["fork", TABLE, N]   ["ticket", TABLE]   ["eats", TABLE, N]
 *   ["done", TABLE, N, MEALS, WRONG]   WRONG: a neighbour ate at the same time
 */
#include <plexspaces/coordination.h>

enum { SEATS_MAX = 16, MEALS_MAX = 100, WAIT_MS = 20000, LIFE_MS = 600000 };
#define SPACE "dining"

__attribute__((format(printf, 2, 3))) static int
put(struct plex_ctx *ctx, const char *fmt, ...)
{
    char tuple[96];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(tuple, sizeof tuple, fmt, args);
    va_end(args);
    return plex_tuple_out(ctx, SPACE, tuple, LIFE_MS);
}
__attribute__((format(printf, 3, 4))) static int
get(struct plex_ctx *ctx, struct plex_value *out, const char *fmt, ...)
{
    char pattern[128];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(pattern, sizeof pattern, fmt, args);
    va_end(args);
    return plex_tuple_in(ctx, SPACE, pattern, WAIT_MS, out);
}

/* Is the one on that seat eating? */
static bool
eats(struct plex_ctx *ctx, const char *table, int seat)
{
    struct plex_value ignored;
    char pattern[96];

    (void)snprintf(pattern, sizeof pattern, "[\"eats\",\"%s\",%d]", table,
                   seat);
    return plex_tuple_rdp(ctx, SPACE, pattern, &ignored) == 0;
}

static int
meal(struct plex_ctx *ctx, const char *table, int seat, int seats, int *wrong)
{
    const int next = (seat + 1) % seats, before = (seat + seats - 1) % seats;
    struct plex_value ignored;
    int status = get(ctx, &ignored, "[\"ticket\",\"%s\"]", table);

    if (status == 0)
        status = get(ctx, &ignored, "[\"fork\",\"%s\",%d]", table, seat);
    if (status == 0)
        status = get(ctx, &ignored, "[\"fork\",\"%s\",%d]", table, next);
    if (status == 0)
        status = put(ctx, "[\"eats\",\"%s\",%d]", table, seat);
    if (eats(ctx, table, next) || eats(ctx, table, before))
        ++*wrong;
    if (status == 0)
        status = get(ctx, &ignored, "[\"eats\",\"%s\",%d]", table, seat);
    if (status == 0)
        status = put(ctx, "[\"fork\",\"%s\",%d]", table, seat);
    if (status == 0)
        status = put(ctx, "[\"fork\",\"%s\",%d]", table, next);
    if (status == 0)
        status = put(ctx, "[\"ticket\",\"%s\"]", table);
    return status;
}

static int
guest(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t seat = 0, seats = 0, meals = 0;
    int wrong = 0, eaten = 0;
    const char *text = "";
    char table[32];

    (void)msg;
    (void)plex_json_text(ctx, "table", &text);
    (void)plex_json_int(ctx, "seat", &seat);
    (void)plex_json_int(ctx, "seats", &seats);
    (void)plex_json_int(ctx, "meals", &meals);
    if (seats < 3 || seat < 0 || seat >= seats)
        return plex_fail(ctx, "no seat");
    (void)snprintf(table, sizeof table, "%s", text);
    while (eaten < meals &&
           meal(ctx, table, (int)seat, (int)seats, &wrong) == 0)
        eaten++;
    return put(ctx, "[\"done\",\"%s\",%d,%d,%d]", table, (int)seat, eaten,
               wrong);
}

static int
table_set(struct plex_ctx *ctx, const char *table, int seats, int meals)
{
    const char *key = plex_self(ctx, NULL, NULL, NULL);
    char name[128], request[160];
    int status = 0;

    for (int i = 0; i < seats && status == 0; i++) {
        status = put(ctx, "[\"fork\",\"%s\",%d]", table, i);
        if (status == 0 && i > 0)
            status = put(ctx, "[\"ticket\",\"%s\"]", table);
        (void)snprintf(name, sizeof name, "dining_guest/%.64s-%d", key, i);
        (void)snprintf(request, sizeof request,
                       "{\"table\":\"%s\",\"seat\":%d,\"seats\":%d,"
                       "\"meals\":%d}",
                       table, i, seats, meals);
        plex_cast_ref(ctx, plex_whereis(ctx, name), 0, request,
                      strlen(request));
    }
    return status;
}

static uint64_t
left(struct plex_ctx *ctx, const char *what, const char *table,
     const char *more)
{
    char pattern[96];
    uint64_t n = 0;

    (void)snprintf(pattern, sizeof pattern, "[\"%s\",\"%s\"%s]", what, table,
                   more);
    (void)plex_tuple_count(ctx, SPACE, pattern, &n);
    return n;
}

static int
host(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t seats = 5, meals = 4, eaten, wrong, all_eaten = 0, all_wrong = 0;
    uint64_t forks, tickets;
    struct plex_value fields;
    char table[32];
    int status;

    (void)msg;
    (void)plex_json_int(ctx, "seats", &seats);
    (void)plex_json_int(ctx, "meals", &meals);
    if (seats < 3 || seats > SEATS_MAX || meals < 1 || meals > MEALS_MAX) {
        plex_reply_problem(ctx, 400, "seats 3 to %d, meals 1 to %d", SEATS_MAX,
                           MEALS_MAX);
        return 0;
    }
    (void)snprintf(table, sizeof table, "%016llx",
                   (unsigned long long)plex_coord_random(ctx));
    status = table_set(ctx, table, (int)seats, (int)meals);
    for (int i = 0; i < seats && status == 0; i++) {
        status =
            get(ctx, &fields,
                "[\"done\",\"%s\",%d,{\"any\":true},{\"any\":true}]", table, i);
        if (status == 0 && plex_tuple_number(&fields, 3, &eaten) &&
            plex_tuple_number(&fields, 4, &wrong)) {
            all_eaten += eaten;
            all_wrong += wrong;
        }
    }
    forks = left(ctx, "fork", table, ",{\"any\":true}");
    tickets = left(ctx, "ticket", table, "");
    if (status != 0)
        plex_reply_problem(ctx, 503, "not all have come back: %d", status);
    else
        plex_reply_json(
            ctx,
            "{\"ok\":%s,\"meals\":%d,\"wrong\":%d,\"forks\":%d,"
            "\"tickets\":%d}",
            all_eaten == seats * meals && all_wrong == 0 &&
                    forks == (uint64_t)seats && tickets == (uint64_t)seats - 1
                ? "true"
                : "false",
            (int)all_eaten, (int)all_wrong, (int)forks, (int)tickets);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "host", .handle_call = host},
    {.name = "guest", .handle_call = guest, .handle_cast = guest},
    {0},
};
PLEX_MODULE(behaviours);
