/* Nodes and their leases. */
#include "services/registry/core_private.h"

#include "common/mem.h"
#include "common/name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- the list -------------------------------------------------------------- */

size_t
reg_core_nodes(const struct reg_core *core)
{
    return core->n_nodes;
}

size_t
reg_core_node_seek(const struct reg_core *core, const char *node_id)
{
    size_t low = 0, high = core->n_nodes;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (strcmp(core->nodes[mid]->node.node_id, node_id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct reg_node_rec *
node_find(const struct reg_core *core, const char *node_id, size_t *at)
{
    *at = reg_core_node_seek(core, node_id);
    if (*at < core->n_nodes &&
        strcmp(core->nodes[*at]->node.node_id, node_id) == 0)
        return core->nodes[*at];
    return NULL;
}

static void
strings_free(struct reg_node *node)
{
    free((char *)node->kind);
    free((char *)node->url);
    free((char *)node->admin_addr);
    free((char *)node->version);
    free((char *)node->reason);
    free((char *)node->store);
}

static void
node_free(struct reg_node_rec *rec)
{
    strings_free(&rec->node);
    reg_claims_free(rec);
    free((char *)rec->node.node_id);
    free(rec);
}

static void
node_remove(struct reg_core *core, size_t at)
{
    node_free(core->nodes[at]);
    core->n_nodes--;
    memmove(&core->nodes[at], &core->nodes[at + 1],
            (core->n_nodes - at) * sizeof(void *));
}

static struct reg_node_rec *
node_insert(struct reg_core *core, size_t at, const char *node_id)
{
    struct reg_node_rec *rec = plex_calloc(1, sizeof *rec);

    rec->node.node_id = plex_strdup(node_id);
    memmove(&core->nodes[at + 1], &core->nodes[at],
            (core->n_nodes - at) * sizeof(void *));
    core->nodes[at] = rec;
    core->n_nodes++;
    return rec;
}

void
reg_nodes_free(struct reg_core *core)
{
    for (size_t i = 0; i < core->n_nodes; i++)
        node_free(core->nodes[i]);
    free(core->nodes);
}

struct reg_node
reg_core_node(const struct reg_core *core, size_t i, uint64_t now_ns)
{
    const struct reg_node_rec *rec = core->nodes[i];
    struct reg_node node = rec->node;

    if (rec->lost)
        node.status = REG_NODE_LOST;
    node.heartbeat_age_ms =
        now_ns > rec->seen_ns ? (now_ns - rec->seen_ns) / 1000000U : 0;
    node.lease_left_ms = now_ns < rec->lease_end_ns
                             ? (rec->lease_end_ns - now_ns) / 1000000U
                             : 0;
    return node;
}

/* -- announcing ------------------------------------------------------------ */

static bool
has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum plex_status
text_check(const char *what, const char *text, size_t max, struct plex_err *err)
{
    if (text != NULL && strlen(text) > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s must be at most %zu bytes, not %zu", what, max,
                            strlen(text));
    return PLEX_OK;
}

static enum plex_status
node_check(const struct reg_node *node, struct plex_err *err)
{
    const char *url = node->url == NULL ? "" : node->url;
    const char *kind = node->kind == NULL ? "" : node->kind;

    if (plex_name_plain("node_id", node->node_id, strlen(node->node_id), err) !=
            PLEX_OK ||
        plex_name_plain("kind", kind, strlen(kind), err) != PLEX_OK ||
        text_check("url", url, REG_URL_MAX, err) != PLEX_OK ||
        text_check("admin_addr", node->admin_addr, REG_URL_MAX, err) !=
            PLEX_OK ||
        text_check("version", node->version, PLEX_KEY_MAX, err) != PLEX_OK ||
        text_check("reason", node->reason, REG_REASON_MAX, err) != PLEX_OK ||
        text_check("store", node->store, PLEX_KEY_MAX, err) != PLEX_OK)
        return err->status;
    if (!has_prefix(url, "tcp://") && !has_prefix(url, "ipc://") &&
        !has_prefix(url, "inproc://"))
        return plex_err_set(err, PLEX_INVALID,
                            "url \"%.100s\" must begin with tcp://, ipc:// or "
                            "inproc://",
                            url);
    if (node->incarnation == 0)
        return plex_err_set(err, PLEX_INVALID, "incarnation must not be 0");
    if (node->status < REG_NODE_STARTING || node->status > REG_NODE_DRAINING)
        return plex_err_set(err, PLEX_INVALID,
                            "status must be STARTING, READY or DRAINING");
    return PLEX_OK;
}

static bool
differs(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) != 0;
}

/* Load figures change all the time and are not worth a new version. */
static bool
node_differs(const struct reg_node *a, const struct reg_node *b)
{
    return a->status != b->status || a->without_trees != b->without_trees ||
           a->incarnation != b->incarnation || a->started_ms != b->started_ms ||
           differs(a->kind, b->kind) || differs(a->url, b->url) ||
           differs(a->admin_addr, b->admin_addr) ||
           differs(a->version, b->version) || differs(a->reason, b->reason) ||
           differs(a->store, b->store);
}

static const char *
text_own(const char *text)
{
    return plex_strdup(text == NULL ? "" : text);
}

static void
node_copy(struct reg_node *to, const struct reg_node *from)
{
    const char *node_id = to->node_id;

    strings_free(to);
    *to = *from;
    to->node_id = node_id;
    to->kind = text_own(from->kind);
    to->url = text_own(from->url);
    to->admin_addr = text_own(from->admin_addr);
    to->version = text_own(from->version);
    to->reason = text_own(from->reason);
    to->store = text_own(from->store);
    to->claims = NULL;
    to->n_claims = 0;
}

static enum plex_status
node_take(struct reg_core *core, const struct reg_node *node, uint64_t now_ns,
          struct reg_node_rec **out, struct plex_err *err)
{
    size_t at;
    struct reg_node_rec *rec;

    if (node_check(node, err) != PLEX_OK)
        return err->status;
    reg_nodes_expire(core, now_ns);
    rec = node_find(core, node->node_id, &at);
    if (rec != NULL && !rec->lost && rec->node.incarnation != node->incarnation)
        return plex_err_set(
            err, PLEX_EXISTS,
            "node \"%s\" is already running: %s at %s; its lease ends in "
            "%" PRIu64 " ms; give this one another name",
            node->node_id, rec->node.kind, rec->node.url,
            (rec->lease_end_ns - now_ns) / 1000000U);
    if (rec == NULL && core->n_nodes == core->config.nodes_max)
        return plex_err_set(err, PLEX_LIMIT, "there are %u nodes already",
                            core->config.nodes_max);
    *out = rec == NULL ? node_insert(core, at, node->node_id) : rec;
    return PLEX_OK;
}

void
reg_core_announce(struct reg_core *core, void *call,
                  const struct reg_node *node, uint64_t now_ns)
{
    struct reg_node_rec *rec = NULL;
    struct reg_action *action;
    struct plex_err err;
    bool changed;

    if (node_take(core, node, now_ns, &rec, &err) != PLEX_OK) {
        reg_push_fail(core, call, &err);
        return;
    }
    changed = rec->lost || node_differs(&rec->node, node);
    if (rec->node.incarnation != node->incarnation)
        reg_note(core, "node %s joined: %s at %s", node->node_id, node->kind,
                 node->url);
    if (rec->lost && rec->node.incarnation != node->incarnation)
        reg_roots_hold(core, rec);
    changed = reg_claims_take(rec, node) || changed;
    node_copy(&rec->node, node);
    rec->seen_ns = now_ns;
    rec->lease_end_ns = now_ns + reg_ms(core->config.lease_ms);
    rec->lost = false;
    if (changed)
        reg_bump(core, now_ns);
    action = reg_push(core, REG_ACTION_ANNOUNCED, call);
    action->lease_ms = core->config.lease_ms;
    action->version = core->version;
}

void
reg_core_withdraw(struct reg_core *core, void *call, const char *node_id,
                  uint64_t incarnation, uint64_t now_ns)
{
    size_t at;
    struct reg_node_rec *rec = node_find(core, node_id, &at);

    if (rec != NULL && rec->node.incarnation == incarnation) {
        reg_note(core, "node %s left", rec->node.node_id);
        node_remove(core, at);
        reg_bump(core, now_ns);
    }
    reg_push(core, REG_ACTION_WITHDRAWN, call);
}

/* -- time ------------------------------------------------------------------ */

/* When we look much later than we should, it was us who slept (a stopped
 * process, a blocked disk), and the heartbeats are still in the queue. */
static void
leases_extend(struct reg_core *core, uint64_t now_ns)
{
    const uint64_t lease_ns = reg_ms(core->config.lease_ms);
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < core->n_nodes; i++)
        if (!core->nodes[i]->lost && core->nodes[i]->lease_end_ns < due)
            due = core->nodes[i]->lease_end_ns;
    if (due >= now_ns || now_ns - due < lease_ns / 2)
        return;
    for (size_t i = 0; i < core->n_nodes; i++)
        if (!core->nodes[i]->lost)
            core->nodes[i]->lease_end_ns = now_ns + lease_ns;
}

void
reg_nodes_expire(struct reg_core *core, uint64_t now_ns)
{
    const uint64_t forget_ns = reg_ms(core->config.forget_ms);
    bool changed = false;

    leases_extend(core, now_ns);
    for (size_t i = 0; i < core->n_nodes;) {
        struct reg_node_rec *rec = core->nodes[i];

        if (!rec->lost && rec->lease_end_ns <= now_ns) {
            rec->lost = true;
            changed = true;
            reg_note(core, "node %s was lost: %s at %s", rec->node.node_id,
                     rec->node.kind, rec->node.url);
        }
        if (rec->lost && rec->lease_end_ns + forget_ns <= now_ns) {
            node_remove(core, i);
            changed = true;
            continue;
        }
        i++;
    }
    if (changed)
        reg_bump(core, now_ns);
}

uint64_t
reg_nodes_wake(const struct reg_core *core)
{
    uint64_t wake = UINT64_MAX;

    for (size_t i = 0; i < core->n_nodes; i++) {
        const struct reg_node_rec *rec = core->nodes[i];
        const uint64_t at = rec->lease_end_ns +
                            (rec->lost ? reg_ms(core->config.forget_ms) : 0);

        if (at < wake)
            wake = at;
    }
    return wake;
}
