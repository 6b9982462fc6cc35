#include "services/gateway/run_path.h"

#include "common/http.h"
#include "common/utf8.h"
#include "services/gateway/text.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255 };

bool
gate_is_run(const struct gate_route *route)
{
    return strcmp(route->served_by, "run") == 0;
}

/* The i-th {field} of the path, decoded. */
static enum plex_status
var_decode(const struct gate_vars *vars, size_t i, struct plex_arena *arena,
           char **out, struct plex_err *err)
{
    *out = gate_alloc(arena, vars->at[i].value_len + 1);
    if (plex_http_unescape(vars->at[i].value, vars->at[i].value_len, false,
                           *out, err) != PLEX_OK)
        return err->status;
    if (!plex_utf8_valid((const uint8_t *)*out, strlen(*out)))
        return plex_err_set(err, PLEX_INVALID, "the path is not UTF-8");
    return PLEX_OK;
}

static enum plex_status
actor_set(char *text, struct work_message *out, struct plex_err *err)
{
    if (plex_actor_parse(text, &out->to, err) != PLEX_OK)
        return plex_err_wrap(err,
                             "an actor is tenant/namespace/type/key, with %%2F "
                             "for its slashes");
    return PLEX_OK;
}

/* "actor~nonce~index"; the key may hold a '~'. */
static enum plex_status
promise_path(char *text, bool keeps, struct plex_arena *arena,
             struct work_message *out, struct plex_err *err)
{
    char *index = strrchr(text, '~'), *nonce, *timer;

    if (index != NULL)
        *index++ = '\0';
    nonce = index == NULL ? NULL : strrchr(text, '~');
    if (nonce == NULL || strlen(nonce + 1) > 8 || strlen(index) > 8)
        return plex_err_set(err, PLEX_INVALID,
                            "that is not the id of a promise");
    *nonce++ = '\0';
    timer = gate_alloc(arena, 40);
    (void)snprintf(timer, 40, "promise:%s:%s", nonce, index);
    out->timer = timer;
    out->reply_status = keeps ? PLEX_OK : PLEX_FAILED;
    return actor_set(text, out, err);
}

/* A signal, a query or an update, by its name. */
static enum plex_status
named_path(const char *action, char *actor, const char *name,
           struct plex_arena *arena, struct work_message *out,
           struct plex_err *err)
{
    char *timer;

    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return plex_err_set(err, PLEX_INVALID,
                            "the name of a signal, query or update must be 1 "
                            "to %d bytes",
                            NAME_MAX_BYTES);
    if (strcmp(action, "signal") == 0) {
        timer = gate_alloc(arena, strlen(name) + 8);
        (void)sprintf(timer, "signal:%s", name);
        out->timer = timer;
    } else {
        out->kind = strcmp(action, "query") == 0 ? WORK_QUERY : WORK_UPDATE;
        out->method = name;
    }
    return actor_set(actor, out, err);
}

enum plex_status
gate_run_path(const struct gate_route *route, const struct gate_vars *vars,
              struct plex_arena *arena, struct work_message *out,
              struct plex_err *err)
{
    const bool resolves = strcmp(route->action, "resolve") == 0;
    char *first, *name;

    out->kind = WORK_RESOLVE;
    out->reply_status = PLEX_OK;
    if (var_decode(vars, 0, arena, &first, err) != PLEX_OK)
        return err->status;
    if (resolves || strcmp(route->action, "reject") == 0)
        return promise_path(first, resolves, arena, out, err);
    if (vars->n > 1)
        return var_decode(vars, 1, arena, &name, err) == PLEX_OK
                   ? named_path(route->action, first, name, arena, out, err)
                   : err->status;
    out->timer = route->action; /* cancel, resume */
    return actor_set(first, out, err);
}
