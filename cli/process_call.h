#ifndef CLI_PROCESS_CALL_H
#define CLI_PROCESS_CALL_H

#include "cli/print.h"
#include "cli/process.h"
#include "cli/rest.h"

/* What commands about processes share. */

struct cli_where_config {
    const char *ns;
};
#define CLI_NAMESPACE(type, fallback, help)                              \
    {                                                                    \
        "namespace", PLEX_OPTION_STRING, offsetof(type, ns), (fallback), \
            (help), 0, 0                                                 \
    }

/* One request, with a body (taken) or none; the answer is owned. */
enum plex_status cli_process_call(const struct cli *cli, const char *method,
                                  struct rest_path *path, json_t *body,
                                  json_t **out, struct plex_err *err);
/* Prints the field of the answer (NULL: all of it), which it takes, or the
 * error; the command's exit code. */
int cli_process_show(const struct cli *cli, enum plex_status status,
                     json_t *answer, const char *field,
                     const struct print_column *columns,
                     const struct plex_err *err);

#endif
