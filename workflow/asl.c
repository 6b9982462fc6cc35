#include "workflow/asl.h"

#include "workflow/graph.h"

enum plex_status
flow_asl_compile(struct flow_def *def, const struct flow_at *root,
                 const struct flow_asl_options *options, struct plex_err *err)
{
    (void)def;
    (void)options;
    return flow_at_error(root, err, "not supported yet");
}
