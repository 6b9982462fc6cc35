#include "services/gateway/run_path.h"

#include "common/http.h"
#include "common/utf8.h"
#include "services/gateway/text.h"

#include <stdio.h>
#include <string.h>

#define PROMISES "/api/v1/promises/"
#define RUNS "/api/v1/runs/"
enum { SIGNAL_NAME_MAX = 255 };

static bool
begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

bool
gate_is_run_path(const char *path)
{
    return begins(path, PROMISES) || begins(path, RUNS);
}

static enum plex_status
decode(const char *from, size_t len, struct plex_arena *arena, char **out,
       struct plex_err *err)
{
    *out = gate_alloc(arena, len + 1);
    if (plex_http_unescape(from, len, false, *out, err) != PLEX_OK)
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
promise_path(const char *at, struct plex_arena *arena, struct work_message *out,
             struct plex_err *err)
{
    const char *verb = strrchr(at, ':');
    char *text, *index, *nonce, *timer;

    if (strchr(at, '/') != NULL || verb == NULL ||
        (strcmp(verb, ":resolve") != 0 && strcmp(verb, ":reject") != 0))
        return plex_err_set(err, PLEX_INVALID,
                            "a promise is kept by POST to "
                            "/api/v1/promises/{id}:resolve or :reject");
    if (decode(at, (size_t)(verb - at), arena, &text, err) != PLEX_OK)
        return err->status;
    index = strrchr(text, '~');
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
    out->reply_status = strcmp(verb, ":reject") == 0 ? PLEX_FAILED : PLEX_OK;
    return actor_set(text, out, err);
}

static enum plex_status
signal_path(const char *at, const char *slash, struct plex_arena *arena,
            struct work_message *out, struct plex_err *err)
{
    static const char signals[] = "/signals/";
    const size_t prefix = sizeof signals - 1;
    char *actor, *name, *timer;

    if (strncmp(slash, signals, prefix) != 0 ||
        strchr(slash + prefix, '/') != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "a signal goes to "
                            "/api/v1/runs/{actor}/signals/{name}");
    if (decode(at, (size_t)(slash - at), arena, &actor, err) != PLEX_OK ||
        decode(slash + prefix, strlen(slash + prefix), arena, &name, err) !=
            PLEX_OK)
        return err->status;
    if (name[0] == '\0' || strlen(name) > SIGNAL_NAME_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a signal's name must be 1 to %d bytes",
                            SIGNAL_NAME_MAX);
    timer = gate_alloc(arena, strlen(name) + 8);
    (void)sprintf(timer, "signal:%s", name);
    out->timer = timer;
    return actor_set(actor, out, err);
}

static enum plex_status
run_path(const char *at, struct plex_arena *arena, struct work_message *out,
         struct plex_err *err)
{
    const char *slash = strchr(at, '/');
    const char *verb = strrchr(at, ':');
    char *actor;

    if (slash != NULL)
        return signal_path(at, slash, arena, out, err);
    if (verb == NULL ||
        (strcmp(verb, ":cancel") != 0 && strcmp(verb, ":resume") != 0))
        return plex_err_set(err, PLEX_INVALID,
                            "a run takes :cancel, :resume and "
                            "/signals/{name}");
    if (decode(at, (size_t)(verb - at), arena, &actor, err) != PLEX_OK)
        return err->status;
    out->timer = verb + 1;
    return actor_set(actor, out, err);
}

enum plex_status
gate_run_path(const char *path, struct plex_arena *arena,
              struct work_message *out, struct plex_err *err)
{
    out->kind = WORK_RESOLVE;
    out->reply_status = PLEX_OK;
    if (begins(path, PROMISES))
        return promise_path(path + strlen(PROMISES), arena, out, err);
    return run_path(path + strlen(RUNS), arena, out, err);
}
