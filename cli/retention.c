/* How long, and how many, ended executions are kept: docs/workflows.md. */
#include "cli/run.h"

#include "cli/print.h"
#include "cli/rest.h"

#include <stdlib.h>

struct retention_config {
    const char *ns, *completed, *failed, *cancelled;
    uint32_t completed_max, failed_max, cancelled_max;
    bool forever;
};
#define KEPT(name, help)                                                    \
    {                                                                       \
#name, PLEX_OPTION_STRING, offsetof(struct retention_config, name), \
            "", help, 0, 0                                                  \
    }
const struct plex_option cli_workflow_retention_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct retention_config, ns),
     "default", "the namespace of the workflow", 0, 0},
    KEPT(completed, "how long those that completed are kept: 12h, 30d"),
    KEPT(failed, "those that failed or timed out"),
    KEPT(cancelled, "those that were cancelled or terminated"),
    {"completed_max", PLEX_OPTION_U32,
     offsetof(struct retention_config, completed_max), "0",
     "so many of each definition, the newest; 0: no bound", 0, 1000},
    {"failed_max", PLEX_OPTION_U32,
     offsetof(struct retention_config, failed_max), "0",
     "the same of those that failed or timed out", 0, 1000},
    {"cancelled_max", PLEX_OPTION_U32,
     offsetof(struct retention_config, cancelled_max), "0",
     "the same of those that were cancelled or terminated", 0, 1000},
    {"forever", PLEX_OPTION_BOOL, offsetof(struct retention_config, forever),
     "false", "keep what no other option names", 0, 0},
    {0},
};

/* Without anything to set it only says what is set. */
int
cli_workflow_retention(const struct cli *cli, const struct cli_args *args,
                       const void *config)
{
    const struct retention_config *retention = config;
    struct rest_path path = {0};
    json_t *body = NULL;

    (void)args;
    rest_path_add(&path, "/api/v1/workflows/retention");
    rest_path_param(&path, "namespace", retention->ns);
    if (retention->completed[0] != '\0' || retention->failed[0] != '\0' ||
        retention->cancelled[0] != '\0' || retention->forever ||
        retention->completed_max + retention->failed_max +
                retention->cancelled_max >
            0)
        body = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "completed",
                         retention->completed, "failed", retention->failed,
                         "cancelled", retention->cancelled, "completed_max",
                         (json_int_t)retention->completed_max, "failed_max",
                         (json_int_t)retention->failed_max, "cancelled_max",
                         (json_int_t)retention->cancelled_max);
    return rest_show(cli, body == NULL ? "GET" : "PUT", path.text, body);
}
