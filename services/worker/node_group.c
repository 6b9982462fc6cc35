/* Process groups as they are asked about from outside: every worker knows all
 * of their members, and makes its own processes join and leave. */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "services/registry/client.h"
#include "services/worker/wire_group.h"

#include <stdlib.h>
#include <string.h>

static bool
begin(struct work_node *node, struct plex_call *call, uint32_t method,
      struct work_group_request *request)
{
    struct plex_err err;

    plex_arena_reset(&node->arena);
    node->scratch.len = 0;
    if (work_group_request_unpack(method, plex_call_payload(call), &node->arena,
                                  request, &err) == PLEX_OK)
        return true;
    plex_call_refuse(call, &err);
    return false;
}

static struct rt_where
where_of(const struct plex_call *call, const struct work_group_request *request)
{
    return (struct rt_where){plex_call_context(call)->tenant, request->ns};
}

/* Of a node's incarnation; "" of one that has gone from the catalogue. */
static const char *
node_id_of(const struct work_node *node, uint64_t incarnation)
{
    size_t n = 0;
    const struct reg_node *nodes =
        node->catalog == NULL ? NULL : reg_catalog_nodes(node->catalog, &n);

    if (incarnation == node->config.host->incarnation)
        return node->config.host->base->node;
    for (size_t i = 0; i < n; i++)
        if (nodes[i].incarnation == incarnation)
            return nodes[i].node_id;
    return "";
}

/* -- looking --------------------------------------------------------------- */

void
node_on_groups(struct work_node *node, struct plex_call *call)
{
    struct work_group_request request;
    struct rt_group_info *groups;
    struct plex_err err;
    bool more;
    size_t n;

    if (!begin(node, call, WORK_GROUP_LIST, &request))
        return;
    groups = plex_calloc(request.page_size, sizeof *groups);
    n = rt_group_list(node->rt, where_of(call, &request), request.prefix,
                      request.after, groups, request.page_size, &more);
    plex_call_answer(
        call,
        work_groups_pack(groups, n, more, &node->arena, &node->scratch, &err),
        &node->scratch, &err);
    free(groups);
}

/* All of them, as many as there are; owned by the caller. */
static struct rt_member_info *
members_of(struct work_node *node, const struct plex_call *call,
           const struct work_group_request *request, size_t *n)
{
    struct rt_member_info *members = NULL;
    size_t max = 64;

    for (;;) {
        members = plex_reallocarray(members, max, sizeof *members);
        *n = rt_group_look(node->rt, where_of(call, request), request->group,
                           members, max);
        if (*n <= max)
            return members;
        max = *n + 64;
    }
}

/* The name of a process of our own, in the arena. */
static const char *
name_of(struct work_node *node, struct plex_ref ref)
{
    struct rt_info info;
    char *copy;

    if (ref.node != node->config.host->incarnation ||
        rt_inspect(node->rt, ref, &info) != 0)
        return "";
    copy = plex_arena_strndup(&node->arena, info.name, strlen(info.name));
    return copy == NULL ? "" : copy;
}

void
node_on_group_members(struct work_node *node, struct plex_call *call)
{
    struct work_group_request request;
    struct work_group_member *out;
    struct rt_member_info *members;
    struct plex_err err;
    size_t n, kept = 0;

    if (!begin(node, call, WORK_GROUP_MEMBERS, &request))
        return;
    members = members_of(node, call, &request, &n);
    out = plex_calloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n && kept <= WORK_GROUP_MEMBERS_MAX; i++) {
        const struct plex_ref ref = members[i].ref;
        const char *node_id = node_id_of(node, ref.node);

        if (request.node_id[0] == '\0' || strcmp(request.node_id, node_id) == 0)
            out[kept++] = (struct work_group_member){
                ref, node_id, name_of(node, ref), members[i].joined};
    }
    n = kept > WORK_GROUP_MEMBERS_MAX ? WORK_GROUP_MEMBERS_MAX : kept;
    plex_call_answer(call,
                     work_group_members_pack(out, n, kept > n, &node->arena,
                                             &node->scratch, &err),
                     &node->scratch, &err);
    free(out);
    free(members);
}

/* -- publishing ------------------------------------------------------------ */

void
node_on_group_publish(struct work_node *node, struct plex_call *call)
{
    struct work_group_delivery *nodes;
    struct work_group_request request;
    struct rt_member_info *members;
    struct plex_err err;
    size_t n, n_nodes = 0;

    if (!begin(node, call, WORK_GROUP_PUBLISH, &request))
        return;
    members = members_of(node, call, &request, &n);
    nodes = plex_calloc(n + 1, sizeof *nodes);
    for (size_t i = 0; i < n; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_CAST,
                                       .tag = request.tag,
                                       .payload = request.payload.data,
                                       .len = request.payload.len,
                                       .ttl_ms = request.ttl_ms};
        const uint64_t at = members[i].ref.node; /* they are in their order */

        if (n_nodes == 0 || nodes[n_nodes - 1].node != at)
            nodes[n_nodes++] = (struct work_group_delivery){
                .node = at, .node_id = node_id_of(node, at)};
        if (rt_send(node->rt, members[i].ref, &post) == 0)
            nodes[n_nodes - 1].recipients++;
        else
            nodes[n_nodes - 1].failures++;
    }
    plex_call_answer(call,
                     work_group_published_pack(nodes, n_nodes, &node->arena,
                                               &node->scratch, &err),
                     &node->scratch, &err);
    free(nodes);
    free(members);
}

/* -- joining and leaving --------------------------------------------------- */

struct change {
    struct node_note note;
    struct work_node *node;
    struct plex_call *call;
    struct plex_ref ref;
    bool join;
    int status;
    char ns[65];
    char group[256];
};

static void
changed(void *arg, int status)
{
    struct change *change = arg;

    change->status = status;
    node_note_push(change->node, &change->note);
}

void
node_group_drop(struct node_note *note)
{
    free(plex_container_of(note, struct change, note));
}

static uint64_t
joined_of(struct work_node *node, const struct change *change)
{
    const struct work_group_request request = {.ns = change->ns,
                                               .group = change->group};
    size_t n;
    struct rt_member_info *members =
        members_of(node, change->call, &request, &n);
    uint64_t joined = 0;

    for (size_t i = 0; i < n; i++)
        if (plex_ref_is(members[i].ref, change->ref))
            joined = members[i].joined;
    free(members);
    return joined;
}

void
node_group_noted(struct work_node *node, struct node_note *note)
{
    struct change *change = plex_container_of(note, struct change, note);
    struct work_group_member member = {change->ref,
                                       node->config.host->base->node, "", 0};
    struct plex_err err;

    node->scratch.len = 0;
    plex_arena_reset(&node->arena);
    if (change->status == 0) {
        member.name = name_of(node, change->ref);
        member.joined = joined_of(node, change);
        plex_call_answer(
            change->call,
            work_group_member_pack(&member, &node->arena, &node->scratch, &err),
            &node->scratch, &err);
    } else {
        (void)plex_err_set(&err, (enum plex_status) - change->status,
                           change->join
                               ? "the process has just ended"
                               : "the process is not in group \"%.80s\", or "
                                 "has just ended",
                           change->group);
        plex_call_refuse(change->call, &err);
    }
    node_group_drop(note);
}

static void
ask(struct work_node *node, struct plex_call *call, uint32_t method)
{
    struct work_group_request request;
    struct change *change;
    struct plex_ref process;
    struct rt_info info;
    struct plex_err err;

    if (!begin(node, call, method, &request))
        return;
    if (node_process_find(node, call, request.ns, request.process, &process,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    if (rt_inspect(node->rt, process, &info) == 0 &&
        (node_is_internal(&info) || strcmp(info.where.ns, request.ns) != 0)) {
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "no process \"%.80s\" of namespace \"%s\" can be "
                           "in groups",
                           request.process, request.ns);
        plex_call_refuse(call, &err);
        return;
    }
    change = plex_calloc(1, sizeof *change);
    change->note.kind = NOTE_GROUP;
    change->node = node;
    change->call = call;
    change->ref = process;
    change->join = method == WORK_GROUP_JOIN;
    (void)snprintf(change->ns, sizeof change->ns, "%s", request.ns);
    (void)snprintf(change->group, sizeof change->group, "%s", request.group);
    rt_group_ask(node->rt, process, change->group, change->join, changed,
                 change);
}

void
node_on_group_join(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_GROUP_JOIN);
}

void
node_on_group_leave(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_GROUP_LEAVE);
}
