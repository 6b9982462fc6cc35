#ifndef SERVICES_JOURNAL_SCHEMA_H
#define SERVICES_JOURNAL_SCHEMA_H

/* deploy/schema/<db>/journal_NNNN_*.sql in order; NULL ends. Migration i takes
 * the schema from version i to i + 1. */
extern const char *const journal_schema_sqlite[];
extern const char *const journal_schema_postgres[];

#endif
