#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stddef.h>

/* Tables for people, from the JSON that the gateway answers with. */

enum print_kind {
    PRINT_TEXT,
    PRINT_ENUM,  /* NODE_STATUS_READY: ready, with `detail` as the prefix */
    PRINT_BYTES, /* 12.3 MiB */
    PRINT_MS,    /* 1.5s, 3m12s */
    PRINT_TIME,  /* ms since 1970 as UTC */
    PRINT_COUNT, /* of the members of an array */
    PRINT_YES_NO,
    PRINT_HEX,
};

struct print_column {
    const char *title; /* NULL ends */
    const char *field;
    enum print_kind kind;
    const char *detail;
};

void print_table(const struct print_column *columns, const json_t *rows);
/* One object, one "title: value" line for each column. */
void print_object(const struct print_column *columns, const json_t *object);
void print_json(const json_t *json);

#endif
