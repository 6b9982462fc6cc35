/*
 * Templates as bytes: version u8, count u32, then each matcher as kind, type,
 * variable and bounds (one byte each), items u32, its values (each a packed
 * tuple of one field, with its length before it), and its items.
 */
#include "common/arena.h"
#include "services/tuplespace/engine/bits.h"
#include "services/tuplespace/engine/template_private.h"

#include <string.h>

enum { VERSION = 1, MATCHER_BYTES = 8, NEST_MAX = 32, ARENA_MAX = 4 << 20 };
enum { LOW_SET = 1, LOW_OPEN = 2, HIGH_SET = 4, HIGH_OPEN = 8 };

/* -- out ------------------------------------------------------------------- */

static bool
put(struct plex_buf *out, const void *data, size_t len)
{
    uint8_t *room = plex_buf_grow(out, len);

    if (room != NULL)
        memcpy(room, data, len);
    return room != NULL;
}

static bool
put_value(struct plex_buf *out, const struct tspace_value *value)
{
    const size_t at = out->len;
    struct plex_err err;
    uint32_t len = 0;

    if (!put(out, &len, sizeof len) ||
        tspace_pack(value, 1, out, &err) != PLEX_OK)
        return false;
    len = (uint32_t)(out->len - at - sizeof len);
    memcpy(out->data + at, &len, sizeof len);
    return true;
}

static bool
has_value(unsigned kind)
{
    return kind == TSPACE_EXACT ||
           (kind >= TSPACE_PREFIX && kind <= TSPACE_REGEX);
}

static bool
put_nodes(struct plex_buf *out, const struct tspace_template *template,
          uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        const struct node *node = &template->nodes[i];
        const bool range = node->kind == TSPACE_RANGE;
        const uint32_t n_items = range ? 0 : node->n_items;
        const uint8_t head[4] = {node->kind, node->type, node->variable,
                                 (uint8_t)((node->low_set ? LOW_SET : 0) |
                                           (node->low_open ? LOW_OPEN : 0) |
                                           (node->high_set ? HIGH_SET : 0) |
                                           (node->high_open ? HIGH_OPEN : 0))};

        if (!put(out, head, sizeof head) || !put(out, &n_items, sizeof n_items))
            return false;
        if (has_value(node->kind) && !put_value(out, &node->value))
            return false;
        if (node->low_set &&
            !put_value(out, &template->nodes[node->first].value))
            return false;
        if (node->high_set &&
            !put_value(out, &template->nodes[node->first + 1].value))
            return false;
        if (n_items > 0 && !put_nodes(out, template, node->first, n_items))
            return false;
    }
    return true;
}

enum plex_status
tspace_template_pack(const struct tspace_template *template,
                     struct plex_buf *out, struct plex_err *err)
{
    const uint8_t version = VERSION;

    if (put(out, &version, 1) &&
        put(out, &template->n_fields, sizeof template->n_fields) &&
        put_nodes(out, template, 0, template->n_fields))
        return PLEX_OK;
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the packed template is over %zu bytes", out->max);
}

/* -- in -------------------------------------------------------------------- */

struct unpacking {
    const uint8_t *at;
    size_t left;
    struct plex_arena arena;
    uint32_t matchers;
};

static bool
get(struct unpacking *in, void *out, size_t len)
{
    if (in->left < len)
        return false;
    memcpy(out, in->at, len);
    in->at += len;
    in->left -= len;
    return true;
}

static bool
get_value(struct unpacking *in, struct tspace_value *out)
{
    struct plex_bytes packed;
    struct plex_err err;
    uint32_t len;

    if (!get(in, &len, sizeof len) || len > in->left)
        return false;
    packed = (struct plex_bytes){in->at, len};
    if (tspace_packed_check(packed, &err) != PLEX_OK ||
        tspace_packed_fields(packed.data) != 1)
        return false;
    tspace_packed_get(packed.data, 0, out);
    in->at += len;
    in->left -= len;
    return true;
}

static bool
get_matchers(struct unpacking *in, uint32_t n, unsigned nest,
             const struct tspace_matcher **out)
{
    struct tspace_matcher *matchers;

    if (nest > NEST_MAX || n > TSPACE_MATCHERS_MAX - in->matchers ||
        n > in->left / MATCHER_BYTES)
        return false;
    in->matchers += n;
    matchers = plex_arena_alloc(&in->arena, n * sizeof *matchers + 1);
    if (matchers == NULL)
        return false;
    memset(matchers, 0, n * sizeof *matchers);
    for (uint32_t i = 0; i < n; i++) {
        struct tspace_matcher *matcher = &matchers[i];
        uint8_t head[4];

        if (!get(in, head, sizeof head) ||
            !get(in, &matcher->n_items, sizeof matcher->n_items))
            return false;
        matcher->kind = head[0];
        matcher->type = head[1];
        matcher->variable = head[2];
        matcher->low.set = head[3] & LOW_SET;
        matcher->low.open = head[3] & LOW_OPEN;
        matcher->high.set = head[3] & HIGH_SET;
        matcher->high.open = head[3] & HIGH_OPEN;
        if ((has_value(head[0]) && !get_value(in, &matcher->value)) ||
            (matcher->low.set && !get_value(in, &matcher->low.value)) ||
            (matcher->high.set && !get_value(in, &matcher->high.value)) ||
            !get_matchers(in, matcher->n_items, nest + 1, &matcher->items))
            return false;
    }
    *out = matchers;
    return true;
}

enum plex_status
tspace_template_unpack(struct tspace_template **out, struct plex_bytes bytes,
                       struct plex_err *err)
{
    struct unpacking in = {.at = bytes.data, .left = bytes.len};
    const struct tspace_matcher *matchers = NULL;
    uint8_t version = 0;
    uint32_t n = 0;
    enum plex_status status;

    plex_arena_init(&in.arena, ARENA_MAX);
    if (get(&in, &version, 1) && version == VERSION && get(&in, &n, sizeof n) &&
        get_matchers(&in, n, 1, &matchers) && in.left == 0)
        status = tspace_template_create(out, matchers, n, err);
    else
        status = plex_err_set(err, PLEX_INVALID,
                              "the packed template does not decode");
    plex_arena_fini(&in.arena);
    return status;
}
