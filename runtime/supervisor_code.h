#ifndef RUNTIME_SUPERVISOR_CODE_H
#define RUNTIME_SUPERVISOR_CODE_H

#include "runtime/behaviour.h"

/*
 * Requests to supervisors of other nodes, and their answers, as they travel:
 * fields of a number, a length and that many bytes. Fields that are not known
 * are passed over. Pure.
 */

/* Memory of *len bytes for free(). `behaviour` is what the child's is called
 * there, "" for none: a pointer means nothing to others. */
void *rt_sup_request_write(const struct plex_supervisor_request *request,
                           const char *behaviour, size_t *len);
/* False: malformed. The child's behaviour is NULL and *behaviour the name, ""
 * for none. */
bool rt_sup_request_read(const void *bytes, size_t len, struct rt_sup_read *out,
                         const char **behaviour);
/* That name alone, borrowed; "" for none. */
const char *rt_sup_request_behaviour(const void *bytes, size_t len);

/* The same of an answer with `rows` rows. */
void *rt_sup_answer_write(const struct rt_sup_answer *answer, size_t rows,
                          size_t *len);
/* Memory for free() with *rows rows, at most RT_SUP_ROWS_MAX. NULL: malformed.
 */
struct rt_sup_answer *rt_sup_answer_read(const void *bytes, size_t len,
                                         size_t *rows);

#endif
