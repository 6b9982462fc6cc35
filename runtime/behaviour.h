#ifndef RUNTIME_BEHAVIOUR_H
#define RUNTIME_BEHAVIOUR_H

#include "runtime/internal.h"

/* What the behaviour engines share: requests to supervisors as they travel
 * inside this process, with pointers (between workers: supervisor_code.h). */

enum { RT_SUP_ROWS_MAX = 30000 }; /* of one answer to PLEX_SUP_WHICH */

/* Tag of a call to an event manager that is for itself. */
#define RT_EVENT_REQUEST_TAG 0x6576656e74726571u

/* Who called gets this in the place of an answer. */
void rt_engine_refuse(struct plex_ctx *ctx, int status, const char *reason);

struct rt_sup_answer {
    int status; /* 0 or more, or a negative one */
    struct plex_ref ref;
    struct plex_child_count counts;
    struct plex_plan plan;
    struct plex_child_info infos[];
};

/* Memory of *len bytes for free(). */
void *rt_sup_pack(const struct plex_supervisor_request *request, size_t *len);
/* A request as it was read; it points into its bytes and into itself. */
struct rt_sup_read {
    struct plex_supervisor_request request;
    struct plex_child child;
    struct plex_plan plan;
};
/* False: it is none. */
bool rt_sup_unpack(const void *bytes, size_t len, struct rt_sup_read *out);

#endif
