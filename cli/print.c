#include "cli/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL_MAX = 256, COLUMNS_MAX = 16 };

/* 64-bit integers arrive as strings. */
static uint64_t
json_u64(const json_t *value)
{
    if (json_is_string(value))
        return strtoull(json_string_value(value), NULL, 10);
    if (json_is_integer(value))
        return (uint64_t)json_integer_value(value);
    return 0;
}

static void
cell_text(const json_t *value, char cell[CELL_MAX])
{
    cell[0] = '\0';
    if (json_is_string(value))
        (void)snprintf(cell, CELL_MAX, "%s", json_string_value(value));
    else if (json_is_integer(value))
        (void)snprintf(cell, CELL_MAX, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(cell, CELL_MAX, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(cell, CELL_MAX, "%s",
                       json_is_true(value) ? "true" : "false");
}

/* An array of texts: "a, b"; an object: "a=1, b=2". */
static void
cell_parts(const json_t *value, char cell[CELL_MAX])
{
    char part[CELL_MAX];
    const char *key;
    json_t *member;
    size_t len = 0, index;

    cell[0] = '\0';
    if (json_is_array(value))
        json_array_foreach(value, index, member)
        {
            cell_text(member, part);
            len += (size_t)snprintf(cell + len, CELL_MAX - len, "%s%s",
                                    len == 0 ? "" : ", ", part);
            if (len >= CELL_MAX)
                return;
        }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        cell_text(member, part);
        len += (size_t)snprintf(cell + len, CELL_MAX - len, "%s%s=%s",
                                len == 0 ? "" : ", ", key, part);
        if (len >= CELL_MAX)
            return;
    }
}

static void
cell_enum(const json_t *value, const char *prefix, char cell[CELL_MAX])
{
    size_t len = strlen(prefix);

    cell_text(value, cell);
    if (strncmp(cell, prefix, len) == 0)
        memmove(cell, cell + len, strlen(cell + len) + 1);
    for (char *c = cell; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : (char)tolower((unsigned char)*c);
}

static void
cell_bytes(uint64_t bytes, char cell[CELL_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double amount = (double)bytes;
    size_t unit = 0;

    while (amount >= 1024 && unit < 4) {
        amount /= 1024;
        unit++;
    }
    (void)snprintf(cell, CELL_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", amount,
                   units[unit]);
}

static void
cell_ms(uint64_t ms, char cell[CELL_MAX])
{
    if (ms < 1000)
        (void)snprintf(cell, CELL_MAX, "%" PRIu64 "ms", ms);
    else if (ms < 60000)
        (void)snprintf(cell, CELL_MAX, "%.1fs", (double)ms / 1000);
    else if (ms < 3600000)
        (void)snprintf(cell, CELL_MAX, "%" PRIu64 "m%" PRIu64 "s", ms / 60000,
                       ms / 1000 % 60);
    else
        (void)snprintf(cell, CELL_MAX, "%" PRIu64 "h%" PRIu64 "m", ms / 3600000,
                       ms / 60000 % 60);
}

static void
cell_time(uint64_t ms, char cell[CELL_MAX])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;

    cell[0] = '\0';
    if (ms != 0 && gmtime_r(&seconds, &utc) != NULL)
        (void)strftime(cell, CELL_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void
cell_format(const struct print_column *column, const json_t *object,
            char cell[CELL_MAX])
{
    const json_t *value = json_object_get(object, column->field);

    switch (column->kind) {
    case PRINT_TEXT:
        if (json_is_array(value) || json_is_object(value))
            cell_parts(value, cell);
        else
            cell_text(value, cell);
        break;
    case PRINT_ENUM:
        cell_enum(value, column->detail, cell);
        break;
    case PRINT_BYTES:
        cell_bytes(json_u64(value), cell);
        break;
    case PRINT_MS:
        cell_ms(json_u64(value), cell);
        break;
    case PRINT_TIME:
        cell_time(json_u64(value), cell);
        break;
    case PRINT_COUNT:
        (void)snprintf(cell, CELL_MAX, "%zu", json_array_size(value));
        break;
    case PRINT_YES_NO:
        (void)snprintf(cell, CELL_MAX, "%s",
                       json_is_true(value) ? "yes" : "no");
        break;
    case PRINT_HEX:
        (void)snprintf(cell, CELL_MAX, "%" PRIx64, json_u64(value));
        break;
    }
    /* Whatever a server sent must not steer the terminal. */
    for (char *c = cell; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            *c = '?';
    }
    if (cell[0] == '\0')
        (void)snprintf(cell, CELL_MAX, "-");
}

void
print_table(const struct print_column *columns, const json_t *rows)
{
    int widths[COLUMNS_MAX] = {0};
    char cell[CELL_MAX];
    size_t index;
    json_t *row;

    for (int i = 0; columns[i].title != NULL; i++) {
        widths[i] = (int)strlen(columns[i].title);
        json_array_foreach((json_t *)(uintptr_t)rows, index, row)
        {
            cell_format(&columns[i], row, cell);
            if ((int)strlen(cell) > widths[i])
                widths[i] = (int)strlen(cell);
        }
    }
    for (int i = 0; columns[i].title != NULL; i++)
        (void)printf("%-*s%s", columns[i + 1].title != NULL ? widths[i] : 0,
                     columns[i].title,
                     columns[i + 1].title != NULL ? "  " : "\n");
    json_array_foreach((json_t *)(uintptr_t)rows, index, row)
    {
        for (int i = 0; columns[i].title != NULL; i++) {
            cell_format(&columns[i], row, cell);
            (void)printf("%-*s%s", columns[i + 1].title != NULL ? widths[i] : 0,
                         cell, columns[i + 1].title != NULL ? "  " : "\n");
        }
    }
}

void
print_object(const struct print_column *columns, const json_t *object)
{
    char cell[CELL_MAX];

    for (; columns->title != NULL; columns++) {
        cell_format(columns, object, cell);
        (void)printf("%-12s %s\n", columns->title, cell);
    }
}

void
print_json(const json_t *json)
{
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)printf("\n");
}
