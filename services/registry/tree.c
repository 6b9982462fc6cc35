/* Supervision trees: copies, comparison, and the words of the manifest. */
#include "services/registry/tree.h"

#include "services/registry/facet.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -- copies ---------------------------------------------------------------- */

static const char *
text(struct plex_arena *memory, const char *from)
{
    const char *copy = "";

    if (from != NULL && from[0] != '\0')
        copy = plex_arena_strndup(memory, from, strlen(from));
    assert(copy != NULL);
    return copy;
}

static struct plex_bytes
bytes(struct plex_arena *memory, struct plex_bytes from)
{
    uint8_t *copy = plex_arena_alloc(memory, from.len + 1);

    assert(copy != NULL);
    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    return (struct plex_bytes){from.len == 0 ? NULL : copy, from.len};
}

/* As deep as the tree, which the wire bounds. */
const struct reg_supervisor *
reg_tree_copy(struct plex_arena *memory, const struct reg_supervisor *from)
{
    struct reg_supervisor *to;
    struct reg_child *children;

    if (from == NULL)
        return NULL;
    to = plex_arena_alloc(memory, sizeof *to);
    children =
        plex_arena_alloc(memory, (from->n_children + 1) * sizeof *children);
    assert(to != NULL && children != NULL);
    *to = *from;
    to->children = children;
    for (size_t i = 0; i < from->n_children; i++) {
        const struct reg_child *child = &from->children[i];

        children[i] = *child;
        children[i].id = text(memory, child->id);
        children[i].type = text(memory, child->type);
        children[i].module = text(memory, child->module);
        children[i].behaviour = text(memory, child->behaviour);
        children[i].name = text(memory, child->name);
        children[i].args = text(memory, child->args);
        children[i].node = text(memory, child->node);
        children[i].placement = bytes(memory, child->placement);
        children[i].supervisor = reg_tree_copy(memory, child->supervisor);
    }
    return to;
}

/* -- comparison ------------------------------------------------------------ */

static bool
child_same(const struct reg_child *a, const struct reg_child *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->type, b->type) == 0 &&
           strcmp(a->module, b->module) == 0 &&
           strcmp(a->behaviour, b->behaviour) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->args, b->args) == 0 &&
           strcmp(a->node, b->node) == 0 &&
           a->placement.len == b->placement.len &&
           (a->placement.len == 0 ||
            memcmp(a->placement.data, b->placement.data, a->placement.len) ==
                0) &&
           a->restart == b->restart && a->significant == b->significant &&
           a->shutdown_ms == b->shutdown_ms &&
           reg_tree_same(a->supervisor, b->supervisor);
}

bool
reg_tree_same(const struct reg_supervisor *a, const struct reg_supervisor *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->strategy != b->strategy || a->auto_shutdown != b->auto_shutdown ||
        a->intensity != b->intensity || a->period_ms != b->period_ms ||
        a->backoff_initial_ms != b->backoff_initial_ms ||
        a->backoff_max_ms != b->backoff_max_ms ||
        a->n_children != b->n_children)
        return false;
    for (size_t i = 0; i < a->n_children; i++)
        if (!child_same(&a->children[i], &b->children[i]))
            return false;
    return true;
}

/* -- words ----------------------------------------------------------------- */

static const struct {
    const char *what;
    uint8_t first; /* number of the first word, which is the default */
    const char *words[5];
} word_lists[] = {
    [REG_WORD_STRATEGY] = {"strategy",
                           1,
                           {"one_for_one", "one_for_all", "rest_for_one",
                            "simple_one_for_one", NULL}},
    [REG_WORD_RESTART] = {"restart",
                          0,
                          {"permanent", "transient", "temporary", NULL}},
    [REG_WORD_AUTO_SHUTDOWN] = {"auto_shutdown",
                                0,
                                {"never", "any_significant", "all_significant",
                                 NULL}},
};

enum plex_status
reg_word_parse(enum reg_word kind, const char *from, uint8_t *out,
               struct plex_err *err)
{
    const char *const *words = word_lists[kind].words;
    char known[80] = "";
    size_t used = 0;

    for (uint8_t i = 0; words[i] != NULL; i++) {
        if (from[0] == '\0' || strcasecmp(from, words[i]) == 0) {
            *out = (uint8_t)(word_lists[kind].first + i);
            return PLEX_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0 ? "" : ", ", words[i]);
    }
    return plex_err_set(err, PLEX_INVALID, "%s \"%.32s\" is unknown; it is %s",
                        word_lists[kind].what, from, known);
}

const char *
reg_word_text(enum reg_word kind, uint8_t value)
{
    return word_lists[kind].words[value - word_lists[kind].first];
}

enum { SHUTDOWN_KILL = 0 };
static const uint32_t shutdown_infinity = 0xffffffffU;
static const uint32_t shutdown_default = 0xfffffffeU;

enum plex_status
reg_shutdown_parse(const char *from, uint32_t *out, struct plex_err *err)
{
    uint64_t ms = 0;

    if (from[0] == '\0')
        *out = shutdown_default;
    else if (strcasecmp(from, "brutal_kill") == 0)
        *out = SHUTDOWN_KILL;
    else if (strcasecmp(from, "infinity") == 0)
        *out = shutdown_infinity;
    else if (reg_duration_parse(from, &ms, err) == PLEX_OK &&
             ms <= REG_SHUTDOWN_MAX)
        *out = (uint32_t)ms;
    else
        return plex_err_set(err, PLEX_INVALID,
                            "shutdown \"%.32s\" must be brutal_kill, infinity "
                            "or a duration like \"5s\", at most 1h",
                            from);
    return PLEX_OK;
}

void
reg_shutdown_text(uint32_t shutdown_ms, char *out)
{
    if (shutdown_ms == shutdown_default)
        out[0] = '\0';
    else if (shutdown_ms == SHUTDOWN_KILL)
        (void)snprintf(out, 24, "brutal_kill");
    else if (shutdown_ms == shutdown_infinity)
        (void)snprintf(out, 24, "infinity");
    else
        (void)snprintf(out, 24, "%ums", shutdown_ms);
}
