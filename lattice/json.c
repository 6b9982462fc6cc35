#include "lattice/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char known[] =
    "max, min, lww, g_set, or_set, g_counter, pn_counter, vector_clock, pair "
    "and map";

static bool
is_outer(enum lattice_kind kind)
{
    return kind == LATTICE_MAP || kind == LATTICE_PAIR;
}

enum plex_status
lattice_kinds_check(const char *kinds, struct plex_err *err)
{
    unsigned depth = 0;

    for (;;) {
        const size_t len = strcspn(kinds, "/");
        const enum lattice_kind kind = lattice_kind_parse(kinds, len);

        if (kind == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "kind \"%.*s\" is none of %s",
                                (int)(len < 40 ? len : 40), kinds, known);
        if (kinds[len] == '\0')
            return PLEX_OK;
        if (!is_outer(kind))
            return plex_err_set(err, PLEX_INVALID,
                                "kind %s has nothing inside, \"%.40s\" cannot "
                                "follow",
                                lattice_kind_text(kind), kinds + len);
        if (++depth > LATTICE_DEPTH_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "kinds are nested more than %d deep",
                                LATTICE_DEPTH_MAX);
        kinds += len + 1;
    }
}

/* -- updates --------------------------------------------------------------- */

struct update {
    uint64_t self, at_ms;
    const json_t *request, *path;
    const char *op;
    struct plex_err *err;
};

/* The kind at the level that `*kinds` begins with, which moves on. */
static enum lattice_kind
kind_take(const char **kinds)
{
    const size_t len = strcspn(*kinds, "/");
    const enum lattice_kind kind = lattice_kind_parse(*kinds, len);

    *kinds += len + ((*kinds)[len] == '/');
    return kind;
}

static struct lattice *
wrong_op(const struct update *update, enum lattice_kind kind, const char *right)
{
    (void)plex_err_set(update->err, PLEX_INVALID,
                       "op \"%.40s\" is nothing for a %s: it takes %s",
                       update->op, lattice_kind_text(kind), right);
    return NULL;
}

static struct lattice *
update_number(const struct update *update, enum lattice_kind kind)
{
    const json_t *value = json_object_get(update->request, "value");

    if (strcmp(update->op, "set") != 0)
        return wrong_op(update, kind, "set");
    if (!json_is_integer(value)) {
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "value must be a whole number");
        return NULL;
    }
    return lattice_set_number(kind, json_integer_value(value));
}

static struct lattice *
update_value(const struct update *update, const struct lattice *now)
{
    const json_t *value = json_object_get(update->request, "value");
    struct lattice *delta = NULL;
    char *text;

    if (strcmp(update->op, "set") != 0)
        return wrong_op(update, LATTICE_LWW, "set");
    if (value == NULL) {
        (void)plex_err_set(update->err, PLEX_INVALID, "value is missing");
        return NULL;
    }
    text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (text == NULL || strlen(text) > LATTICE_VALUE_MAX)
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "value may be %d bytes at most", LATTICE_VALUE_MAX);
    else
        delta = lattice_set_value(now, update->self, update->at_ms, text,
                                  strlen(text));
    free(text);
    return delta;
}

static struct lattice *
counted(const struct update *update, struct lattice *delta)
{
    if (delta == NULL)
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "one replica counts up to %" PRIu64,
                           lattice_count_max);
    return delta;
}

static struct lattice *
update_set(const struct update *update, enum lattice_kind kind,
           const struct lattice *now)
{
    const json_t *value = json_object_get(update->request, "value");
    const bool removes = strcmp(update->op, "remove") == 0;

    if (!(removes && kind == LATTICE_OR_SET) && strcmp(update->op, "add") != 0)
        return wrong_op(update, kind,
                        kind == LATTICE_OR_SET ? "add and remove" : "add");
    if (!json_is_string(value) ||
        json_string_length(value) > LATTICE_TEXT_MAX) {
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "value must be a text of at most %d bytes",
                           LATTICE_TEXT_MAX);
        return NULL;
    }
    if (removes)
        return lattice_remove(now, json_string_value(value),
                              json_string_length(value));
    return counted(update, lattice_add(kind, now, update->self,
                                       json_string_value(value),
                                       json_string_length(value)));
}

static struct lattice *
update_count(const struct update *update, enum lattice_kind kind,
             const struct lattice *now)
{
    const json_t *by = json_object_get(update->request, "by");
    const json_int_t n = by == NULL ? 1 : json_integer_value(by);
    const bool down = strcmp(update->op, "decrement") == 0;

    if (!(down && kind == LATTICE_PN_COUNTER) &&
        strcmp(update->op, "increment") != 0)
        return wrong_op(update, kind,
                        kind == LATTICE_PN_COUNTER ? "increment and decrement"
                                                   : "increment");
    if ((by != NULL && !json_is_integer(by)) || n < 0) {
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "by must be a whole number, not negative");
        return NULL;
    }
    return counted(update,
                   lattice_count(kind, now, update->self, (uint64_t)n, down));
}

static struct lattice *
update_leaf(const struct update *update, enum lattice_kind kind,
            const struct lattice *now)
{
    switch (kind) {
    case LATTICE_MAX:
    case LATTICE_MIN:
        return update_number(update, kind);
    case LATTICE_LWW:
        return update_value(update, now);
    case LATTICE_G_SET:
    case LATTICE_OR_SET:
        return update_set(update, kind, now);
    default:
        return update_count(update, kind, now);
    }
}

static bool
name_fits(const struct update *update, enum lattice_kind outer, size_t level)
{
    const json_t *name = json_array_get(update->path, level);
    const char *text = json_string_value(name);
    const bool fits =
        text != NULL &&
        (outer == LATTICE_MAP
             ? json_string_length(name) <= LATTICE_TEXT_MAX
             : strcmp(text, "first") == 0 || strcmp(text, "second") == 0);

    if (!fits)
        (void)plex_err_set(
            update->err, PLEX_INVALID, "path[%zu] must be %s", level,
            outer == LATTICE_PAIR ? "\"first\" or \"second\", inside a pair"
                                  : "a name of at most 1024 bytes, inside a "
                                    "map");
    return fits;
}

/* The lattice's own kind counts, then what the request says, then what is
 * declared. */
static enum lattice_kind
kind_choose(const struct update *update, const struct lattice *now,
            const char **asked, const char **declared)
{
    const enum lattice_kind is = now == NULL ? 0 : lattice_kind_of(now);
    const enum lattice_kind asks = kind_take(asked), says = kind_take(declared);
    const enum lattice_kind kind = is != 0 ? is : says != 0 ? says : asks;

    if (kind == 0)
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "kind is missing: it is one of %s", known);
    else if (asks != 0 && asks != kind)
        (void)plex_err_set(update->err, PLEX_CONFLICT,
                           "the lattice is a %s, not a %s",
                           lattice_kind_text(kind), lattice_kind_text(asks));
    else
        return kind;
    return (enum lattice_kind)0;
}

static struct lattice *
update_at(const struct update *update, size_t level, const struct lattice *now,
          const char *asked, const char *declared)
{
    const enum lattice_kind kind = kind_choose(update, now, &asked, &declared);
    const json_t *name = json_array_get(update->path, level);
    const char *text = json_string_value(name);
    struct lattice *inner;

    if (kind == 0)
        return NULL;
    if (level == json_array_size(update->path)) {
        if (!is_outer(kind))
            return update_leaf(update, kind, now);
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "a %s is changed by what is in it: path must say "
                           "which",
                           lattice_kind_text(kind));
        return NULL;
    }
    if (!is_outer(kind)) {
        (void)plex_err_set(update->err, PLEX_INVALID,
                           "path[%zu] goes into a %s, which has nothing inside",
                           level, lattice_kind_text(kind));
        return NULL;
    }
    if (!name_fits(update, kind, level))
        return NULL;
    if (now != NULL)
        now = lattice_inside(now, text, json_string_length(name));
    inner = update_at(update, level + 1, now, asked, declared);
    return inner == NULL
               ? NULL
               : lattice_wrap(kind, text, json_string_length(name), inner);
}

enum plex_status
lattice_update(const struct lattice *now, const char *kinds, uint64_t self,
               uint64_t at_ms, const json_t *request, struct lattice **delta,
               struct plex_err *err)
{
    const json_t *path = json_object_get(request, "path");
    const json_t *kind = json_object_get(request, "kind");
    const char *op = json_string_value(json_object_get(request, "op"));
    const char *asked = json_string_value(kind);
    const struct update update = {
        self, at_ms, request, path, op == NULL ? "" : op, err};

    *delta = NULL;
    err->status = PLEX_OK;
    if ((path != NULL && !json_is_array(path)) ||
        json_array_size(path) > LATTICE_DEPTH_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "path must be a list of at most %d names",
                            LATTICE_DEPTH_MAX);
    if (kind != NULL && asked == NULL)
        return plex_err_set(err, PLEX_INVALID, "kind must be a text");
    if (asked == NULL)
        asked = "";
    if (asked[0] != '\0' && lattice_kinds_check(asked, err) != PLEX_OK)
        return err->status;
    *delta = update_at(&update, 0, now, asked, kinds);
    if (*delta == NULL)
        return err->status;
    if (now != NULL && lattice_room(now, *delta, err) != PLEX_OK) {
        lattice_free(*delta);
        *delta = NULL;
        return err->status;
    }
    return PLEX_OK;
}

/* -- reading --------------------------------------------------------------- */

static json_t *
view_value(const struct lattice *lattice)
{
    size_t len;
    const char *text = lattice_value(lattice, &len);
    json_t *value =
        text == NULL ? NULL : json_loadb(text, len, JSON_DECODE_ANY, NULL);

    return value == NULL ? json_null() : value;
}

static json_t *
view_texts(const struct lattice *lattice)
{
    json_t *list = json_array();
    struct lattice_item item;

    for (size_t at = 0; lattice_next(lattice, &at, &item);)
        (void)json_array_append_new(list, json_stringn(item.text, item.len));
    return list;
}

static json_t *
view_clock(const struct lattice *lattice)
{
    json_t *clock = json_object();
    struct lattice_item item;
    char name[17];

    for (size_t at = 0; lattice_next(lattice, &at, &item);) {
        (void)snprintf(name, sizeof name, "%016" PRIx64, item.replica);
        (void)json_object_set_new(clock, name,
                                  json_integer((json_int_t)item.count));
    }
    return clock;
}

static json_t *
view_inside(const struct lattice *lattice)
{
    json_t *object = json_object();
    struct lattice_item item;
    char name[LATTICE_TEXT_MAX + 1];

    for (size_t at = 0; lattice_next(lattice, &at, &item);) {
        memcpy(name, item.text, item.len);
        name[item.len] = '\0';
        (void)json_object_set_new(object, name, lattice_view(item.inner));
    }
    return object;
}

json_t *
lattice_view(const struct lattice *lattice)
{
    int64_t number;

    switch (lattice_kind_of(lattice)) {
    case LATTICE_MAX:
    case LATTICE_MIN:
        return lattice_number(lattice, &number) ? json_integer(number)
                                                : json_null();
    case LATTICE_LWW:
        return view_value(lattice);
    case LATTICE_G_SET:
    case LATTICE_OR_SET:
        return view_texts(lattice);
    case LATTICE_G_COUNTER:
    case LATTICE_PN_COUNTER:
        return json_integer(lattice_total(lattice));
    case LATTICE_VECTOR_CLOCK:
        return view_clock(lattice);
    default:
        return view_inside(lattice);
    }
}
