/* Distributed locks. */
#include "cli/print.h"
#include "cli/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lock_config {
    const char *ns, *holder, *version, *metadata;
    uint64_t lease_ms, wait_ms;
};
#define ROW(name, type, field, def, help, min, max)                          \
    {                                                                        \
        name, type, offsetof(struct lock_config, field), def, help, min, max \
    }
#define NAMESPACE                                       \
    ROW("namespace", PLEX_OPTION_STRING, ns, "default", \
        "the namespace of the lock", 0, 0)
#define HOLDER                                    \
    ROW("holder", PLEX_OPTION_STRING, holder, "", \
        "who holds it: a name of your own choice", 0, 0)
#define VERSION                                                               \
    ROW("version", PLEX_OPTION_STRING, version, "", "what acquiring it gave", \
        0, 0)

const struct plex_option cli_lock_options[] = {NAMESPACE, {0}};
const struct plex_option cli_lock_acquire_options[] = {
    NAMESPACE,
    HOLDER,
    ROW("lease_ms", PLEX_OPTION_U64, lease_ms, "30000",
        "it lapses unless it is renewed", 1000, 3600000),
    ROW("wait_ms", PLEX_OPTION_U64, wait_ms, "0",
        "how long to wait in turn for it", 0, 3600000),
    ROW("metadata", PLEX_OPTION_STRING, metadata, "", "a note for others", 0,
        0),
    {0},
};
const struct plex_option cli_lock_renew_options[] = {
    NAMESPACE,
    HOLDER,
    VERSION,
    ROW("lease_ms", PLEX_OPTION_U64, lease_ms, "0", "from now on; 0: as before",
        0, 3600000),
    {0},
};
const struct plex_option cli_lock_release_options[] = {
    NAMESPACE, HOLDER, VERSION, {0}};

static const struct print_column columns[] = {
    {"LOCK", "key", PRINT_TEXT, NULL},
    {"HOLDER", "holder", PRINT_TEXT, NULL},
    {"TOKEN", "token", PRINT_TEXT, NULL},
    {"VERSION", "version", PRINT_TEXT, NULL},
    {"LEFT", "leftMs", PRINT_MS, NULL},
    {"WAITERS", "waiters", PRINT_TEXT, NULL},
    {"SINCE", "acquiredMs", PRINT_TIME, NULL},
    {"METADATA", "metadata", PRINT_TEXT, NULL},
    {0},
};
static const struct print_column lines[] = {
    {"lock", "key", PRINT_TEXT, NULL},
    {"holder", "holder", PRINT_TEXT, NULL},
    {"version", "version", PRINT_TEXT, NULL},
    {"token", "token", PRINT_TEXT, NULL},
    {"lease", "leaseMs", PRINT_MS, NULL},
    {"left", "leftMs", PRINT_MS, NULL},
    {"since", "acquiredMs", PRINT_TIME, NULL},
    {"waiters", "waiters", PRINT_TEXT, NULL},
    {"metadata", "metadata", PRINT_TEXT, NULL},
    {0},
};

/* /api/v1/locks/KEY + verb; takes `body`, which may be NULL. `done` is said of
 * an answer without a lock. */
static int
act(const struct cli *cli, const char *method, struct rest_path *path,
    json_t *body, const char *done)
{
    struct rest_request request = {.method = method, .path = path->text};
    struct rest_reply reply = {0};
    struct rest *rest = NULL;
    struct plex_err err;
    const json_t *lock;
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    int code = 0;

    request.body = text;
    if (rest_open(&rest, cli, &err) != PLEX_OK ||
        rest_call(rest, &request, &reply, &err) != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        lock = json_object_get(reply.json, "lock");
        if (cli->json)
            print_json(lock == NULL ? reply.json : lock);
        else if (lock != NULL)
            print_object(lines, lock);
        else
            (void)printf("%s\n", done);
    }
    rest_reply_free(&reply);
    rest_close(rest);
    json_decref(body);
    free(text);
    return code;
}

static void
body_u64(json_t *body, const char *field, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    (void)json_object_set_new(body, field, json_string(text));
}

static json_t *
body_of(const struct lock_config *lock)
{
    json_t *body = json_object();

    (void)json_object_set_new(body, "namespace", json_string(lock->ns));
    (void)json_object_set_new(body, "holder", json_string(lock->holder));
    return body;
}

static void
path_of(struct rest_path *path, const char *key, const char *verb)
{
    rest_path_add(path, "/api/v1/locks/");
    rest_path_segment(path, key);
    rest_path_add(path, verb);
}

int
cli_lock_acquire(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct lock_config *lock = config;
    json_t *body = body_of(lock);
    struct rest_path path = {0};

    body_u64(body, "leaseMs", lock->lease_ms);
    body_u64(body, "waitMs", lock->wait_ms);
    (void)json_object_set_new(body, "metadata", json_string(lock->metadata));
    path_of(&path, args->values[0], ":acquire");
    return act(cli, "POST", &path, body, "");
}

int
cli_lock_renew(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct lock_config *lock = config;
    json_t *body = body_of(lock);
    struct rest_path path = {0};

    body_u64(body, "leaseMs", lock->lease_ms);
    (void)json_object_set_new(body, "version", json_string(lock->version));
    path_of(&path, args->values[0], ":renew");
    return act(cli, "POST", &path, body, "");
}

int
cli_lock_release(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    const struct lock_config *lock = config;
    json_t *body = body_of(lock);
    struct rest_path path = {0};

    (void)json_object_set_new(body, "version", json_string(lock->version));
    path_of(&path, args->values[0], ":release");
    return act(cli, "POST", &path, body, "released");
}

int
cli_lock_status(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], "");
    rest_path_param(&path, "namespace",
                    ((const struct lock_config *)config)->ns);
    return act(cli, "GET", &path, NULL, "");
}

int
cli_lock_delete(const struct cli *cli, const struct cli_args *args,
                const void *config)
{
    struct rest_path path = {0};

    path_of(&path, args->values[0], "");
    rest_path_param(&path, "namespace",
                    ((const struct lock_config *)config)->ns);
    return act(cli, "DELETE", &path, NULL, "deleted");
}

int
cli_lock_list(const struct cli *cli, const struct cli_args *args,
              const void *config)
{
    struct rest_path path = {0};
    struct plex_err err;
    json_t *locks;

    rest_path_add(&path, "/api/v1/locks");
    rest_path_param(&path, "namespace",
                    ((const struct lock_config *)config)->ns);
    rest_path_param(&path, "prefix", args->count > 0 ? args->values[0] : "");
    if (rest_list(cli, path.text, "locks", &locks, &err) != PLEX_OK)
        return cli_fail(&err);
    if (cli->json)
        print_json(locks);
    else
        print_table(columns, locks);
    json_decref(locks);
    return 0;
}
