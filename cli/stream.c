/* Event streams: letting a namespace have them. */
#include "cli/past.h"
#include "cli/rest.h"

#include <stddef.h>
#include <stdio.h>

struct stream_config {
    const char *ns;
};
const struct plex_option cli_stream_options[] = {
    {"namespace", PLEX_OPTION_STRING, offsetof(struct stream_config, ns),
     "default", "the namespace of the streams", 0, 0},
    {0},
};

int
cli_journal_enable(const struct cli *cli, const struct cli_args *args,
                   const void *config)
{
    static const char *const types[] = {"event-stream", NULL};
    const struct stream_config *stream = config;
    struct plex_err err;

    (void)args;
    if (cli_builtins_deploy(cli, "plexspaces-streams", stream->ns,
                            "Event streams", types, NULL, &err) != PLEX_OK)
        return cli_fail(&err);
    (void)printf("namespace %s has event streams\n", stream->ns);
    return 0;
}
