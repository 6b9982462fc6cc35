#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/runtime/tree_private.h"

/* What must hold of a world that has come to rest, whatever happened. */

/* Starts and ends of a child take turns in each life of its supervisor. */
static const char *
turns_differ(const struct world *w, const struct tree_log *log)
{
    static char text[256];

    for (size_t i = 0; i < log->n; i++) {
        const struct tree_line *line = &log->lines[i], *before = NULL;

        if (line->sup < 0 || line->what == '!')
            continue;
        for (size_t j = 0; j < i; j++) {
            const struct tree_line *at = &log->lines[j];

            if (at->sup == line->sup && at->life == line->life &&
                at->node == line->node && at->what != '!')
                before = at;
        }
        if ((line->what == '-') == (before != NULL && before->what != '-'))
            continue;
        (void)snprintf(text, sizeof text,
                       "supervisor %d life %d: %c%d after %c", line->sup,
                       line->life, line->what, line->node,
                       before == NULL ? '?' : before->what);
        return text;
    }
    (void)w;
    return NULL;
}

/* All local processes but the client. */
static size_t
processes(struct world *w, struct rt_info *out, size_t max)
{
    uint64_t cursor = 0;
    size_t n = rt_list(w->here, (struct rt_where){"", ""}, &cursor, out, max);

    assert(n < max);
    for (size_t i = 0; i < n; i++) {
        if (plex_ref_is(out[i].ref, w->client))
            out[i] = out[--n];
    }
    return n;
}

static const struct rt_info *
process_of(const struct rt_info *infos, size_t n, struct plex_ref supervisor,
           int c)
{
    for (size_t i = 0; i < n; i++) {
        if (plex_ref_is(infos[i].supervisor, supervisor) &&
            atoi(infos[i].child) == c)
            return &infos[i];
    }
    return NULL;
}

/* Its supervisor lives, and it is the only one of its number there. */
static bool
is_stray(const struct rt_info *infos, size_t n, const struct rt_info *info)
{
    if (process_of(infos, n, info->supervisor, atoi(info->child)) != info)
        return true;
    for (size_t i = 0; i < n; i++) {
        if (plex_ref_is(infos[i].ref, info->supervisor))
            return false;
    }
    return true;
}

static int
missing(const struct world *w, const struct rt_info *infos, size_t n,
        const struct rt_info *sup)
{
    int s = plex_ref_is(sup->ref, w->refs[0]) ? 0 : atoi(sup->child);
    const struct tree_node *node = &w->tree->nodes[s];

    for (int k = 0; k < node->n_kids; k++) {
        int c = node->kids[k];

        if (w->tree->nodes[c].restart == PLEX_PERMANENT &&
            !w->tree->nodes[c].remote && !w->asked[c] &&
            process_of(infos, n, sup->ref, c) == NULL)
            return c;
    }
    return -1;
}

const char *
world_sound(struct world *w, const struct tree_log *log)
{
    static char text[96];
    static struct rt_info infos[4 * TREE_MAX];
    const char *wrong = turns_differ(w, log);
    size_t n = processes(w, infos, sizeof infos / sizeof *infos);
    int c;

    if (wrong != NULL)
        return wrong;
    if (w->asking > 0)
        return "a supervisor does not answer";
    for (size_t i = 0; i < n; i++) {
        if (!plex_ref_is(infos[i].ref, w->refs[0]) &&
            is_stray(infos, n, &infos[i])) {
            (void)snprintf(text, sizeof text, "%s is a stray", infos[i].child);
            return text;
        }
        if (infos[i].is_supervisor &&
            (c = missing(w, infos, n, &infos[i])) >= 0) {
            (void)snprintf(text, sizeof text, "%d is permanent and not there",
                           c);
            return text;
        }
    }
    return NULL;
}
