#ifndef WORKFLOW_TEXT_PRIVATE_H
#define WORKFLOW_TEXT_PRIVATE_H

#include "workflow/text.h"

PLEX_MUST_USE enum plex_status flow_yaml_read(const char *text, size_t len,
                                              json_t **out,
                                              struct plex_err *err);
void flow_yaml_where(const struct flow_source *source, const struct flow_at *at,
                     unsigned *line, unsigned *column);
/* The byte offset of `at` in a text that is known to be JSON. */
bool flow_json_where(const struct flow_source *source, const struct flow_at *at,
                     size_t *offset);

#endif
