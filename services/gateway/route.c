#include "services/gateway/route.h"

#include <assert.h>
#include <string.h>

/* One path segment against one of the template: literal, or {field} and a
 * literal after it. */
static bool
segment_match(const char *want, size_t want_len, const char *got,
              size_t got_len, struct gate_vars *vars)
{
    const char *close;
    size_t name_len, tail;

    if (want_len == 0 || want[0] != '{')
        return want_len == got_len && memcmp(want, got, got_len) == 0;
    close = memchr(want, '}', want_len);
    assert(close != NULL && vars->n < GATE_VARS_MAX);
    name_len = (size_t)(close - want) - 1;
    tail = want_len - name_len - 2;
    if (got_len <= tail || memcmp(got + got_len - tail, close + 1, tail) != 0)
        return false;
    got_len -= tail;
    vars->at[vars->n].name = want + 1;
    vars->at[vars->n].name_len = name_len;
    vars->at[vars->n].value = got;
    vars->at[vars->n].value_len = got_len;
    vars->n++;
    return true;
}

static bool
path_match(const char *want, const char *got, struct gate_vars *vars)
{
    vars->n = 0;
    for (;;) {
        const size_t want_len = strcspn(want, "/");
        const size_t got_len = strcspn(got, "/");

        if (!segment_match(want, want_len, got, got_len, vars))
            return false;
        want += want_len;
        got += got_len;
        if (*want == '\0' || *got == '\0')
            return *want == *got;
        want++;
        got++;
    }
}

static void
allow_add(char *allow, const char *verb)
{
    if (strstr(allow, verb) != NULL)
        return;
    if (allow[0] != '\0')
        strcat(allow, ", ");
    strcat(allow, verb);
}

/* Among the templates that end in "}:verb", or among the others. */
static const struct gate_route *
find_among(const struct gate_route *routes, bool with_verb, const char *verb,
           const char *path, struct gate_vars *vars, char *allow)
{
    for (const struct gate_route *r = routes; r->path != NULL; r++) {
        if ((strstr(r->path, "}:") != NULL) != with_verb ||
            !path_match(r->path, path, vars))
            continue;
        if (strcmp(r->verb, verb) == 0)
            return r;
        allow_add(allow, r->verb);
        if (strcmp(r->verb, "GET") == 0)
            allow_add(allow, "HEAD");
    }
    return NULL;
}

const struct gate_route *
gate_route_find(const struct gate_route *routes, const char *verb,
                const char *path, struct gate_vars *vars,
                char allow[GATE_ALLOW_MAX])
{
    const struct gate_route *found;

    if (strcmp(verb, "HEAD") == 0)
        verb = "GET";
    allow[0] = '\0';
    /* "x:stop" is x and stop before it is the name "x:stop". */
    found = find_among(routes, true, verb, path, vars, allow);
    if (found == NULL && allow[0] == '\0')
        found = find_among(routes, false, verb, path, vars, allow);
    return found;
}
