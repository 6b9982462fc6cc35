#ifndef CLI_REST_H
#define CLI_REST_H

#include "cli/cli.h"

/*
 * Calls to a gateway's HTTP surface. Blocking; one connection for the life of
 * the process.
 */
struct rest;

enum { REST_REPLY_MAX = 64 << 20, REST_HEADERS_MAX = 8 };

struct rest_request {
    const char *method;
    const char *path;                      /* with query, percent-encoded */
    const char *body;                      /* NULL: none; else JSON */
    const char *headers[REST_HEADERS_MAX]; /* "Name: value"; NULL ends */
};

struct rest_reply {
    long status;
    char *body; /* NUL-terminated, owned */
    size_t len;
    json_t *json; /* NULL when the body is not JSON; owned */
};

PLEX_MUST_USE enum plex_status rest_open(struct rest **out,
                                         const struct cli *cli,
                                         struct plex_err *err);
void rest_close(struct rest *rest); /* accepts NULL */

/*
 * On PLEX_OK the answer was 2xx. Otherwise the error's text is the problem's
 * detail with its code. PLEX_UNAVAILABLE without an answer has status 0 in
 * `reply`. Free `reply` either way.
 */
PLEX_MUST_USE enum plex_status rest_call(struct rest *rest,
                                         const struct rest_request *request,
                                         struct rest_reply *reply,
                                         struct plex_err *err);
void rest_reply_free(struct rest_reply *reply);

/* One GET that wants a JSON object, with a connection of its own. */
PLEX_MUST_USE enum plex_status rest_get(const struct cli *cli, const char *path,
                                        json_t **out, struct plex_err *err);

/* The same of any method; takes `body`, which may be NULL. */
PLEX_MUST_USE enum plex_status rest_ask(const struct cli *cli,
                                        const char *method, const char *path,
                                        json_t *body, json_t **out,
                                        struct plex_err *err);
/* That, and print what came: the exit code. */
int rest_show(const struct cli *cli, const char *method, const char *path,
              json_t *body);

/* Deploy virtual types of the module "builtin" as an application, durable ones
 * but "~TYPE"; `types` ends with NULL. *out, when not NULL, is the answer. */
PLEX_MUST_USE enum plex_status cli_builtins_deploy(
    const struct cli *cli, const char *application, const char *ns,
    const char *description, const char *const *types, json_t **out,
    struct plex_err *err);

/* All pages of a list: the array `field` of each answer, in one array. `path`
 * may hold a query. */
PLEX_MUST_USE enum plex_status rest_list(const struct cli *cli,
                                         const char *path, const char *field,
                                         json_t **out, struct plex_err *err);

/* A growing path: pieces as they are, values percent-encoded. */
struct rest_path {
    char text[4096];
    size_t len;
    bool query; /* a '?' is there */
};
void rest_path_add(struct rest_path *path, const char *piece);
void rest_path_segment(struct rest_path *path, const char *value);
/* Left out when `value` is "". */
void rest_path_param(struct rest_path *path, const char *name,
                     const char *value);

#endif
