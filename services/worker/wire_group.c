#include "services/worker/wire_group.h"

#include "common/name.h"
#include "common/wire.h"
#include "plexspaces/process_group/v1/process_group.pb-c.h"

#include <string.h>

#define GROUP(name) Plexspaces__ProcessGroup__V1__##name
#define GROUP_TYPE(name) &plexspaces__process_group__v1__##name##__descriptor
#define GROUP_INIT(name) PLEXSPACES__PROCESS_GROUP__V1__##name##__INIT

enum { NAME_MAX_BYTES = 255, PROCESS_MAX_BYTES = 511, PAGE_DEFAULT = 50 };

/* -- requests -------------------------------------------------------------- */

static enum plex_status
name_check(const char *what, const char *text, size_t max, struct plex_err *err)
{
    const size_t len = strlen(text);

    if (len >= 1 && len <= max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "%s has %zu bytes, it must have 1 to %zu", what, len,
                        max);
}

static enum plex_status
list_in(const GROUP(ListProcessGroupsRequest) * in,
        struct work_group_request *out, struct plex_err *err)
{
    out->ns = in->namespace_;
    out->prefix = in->prefix;
    out->after = in->page_token;
    out->page_size = in->page_size == 0 ? PAGE_DEFAULT : in->page_size;
    if (out->page_size > WORK_GROUP_PAGE)
        return plex_err_set(err, PLEX_INVALID,
                            "page_size is %u, it must be 1 to %d",
                            in->page_size, WORK_GROUP_PAGE);
    return PLEX_OK;
}

static enum plex_status
publish_in(const GROUP(PublishToGroupRequest) * in,
           struct work_group_request *out, struct plex_err *err)
{
    out->ns = in->namespace_;
    out->group = in->group;
    out->tag = in->tag;
    out->ttl_ms = in->ttl_ms;
    if (in->payload.len > 0 && in->text[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "give payload or text, not both");
    out->payload =
        in->payload.len > 0
            ? plex_wire_bytes_in(in->payload)
            : (struct plex_bytes){(const uint8_t *)in->text, strlen(in->text)};
    if (out->payload.len > WORK_GROUP_PAYLOAD_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the payload has %zu bytes, at most %d are allowed",
                            out->payload.len, WORK_GROUP_PAYLOAD_MAX);
    return PLEX_OK;
}

static const ProtobufCMessageDescriptor *
request_type(uint32_t method)
{
    switch (method) {
    case WORK_GROUP_LIST:
        return GROUP_TYPE(list_process_groups_request);
    case WORK_GROUP_MEMBERS:
        return GROUP_TYPE(get_group_members_request);
    case WORK_GROUP_PUBLISH:
        return GROUP_TYPE(publish_to_group_request);
    case WORK_GROUP_JOIN:
        return GROUP_TYPE(join_process_group_request);
    default:
        return GROUP_TYPE(leave_process_group_request);
    }
}

static enum plex_status
message_in(uint32_t method, const ProtobufCMessage *message,
           struct work_group_request *out, struct plex_err *err)
{
    const GROUP(GetGroupMembersRequest) *members = (const void *)message;
    const GROUP(JoinProcessGroupRequest) *join = (const void *)message;
    const GROUP(LeaveProcessGroupRequest) *leave = (const void *)message;

    switch (method) {
    case WORK_GROUP_LIST:
        return list_in((const void *)message, out, err);
    case WORK_GROUP_PUBLISH:
        return publish_in((const void *)message, out, err);
    case WORK_GROUP_MEMBERS:
        out->ns = members->namespace_;
        out->group = members->group;
        out->node_id = members->node_id;
        return PLEX_OK;
    case WORK_GROUP_JOIN:
        out->ns = join->namespace_;
        out->group = join->group;
        out->process = join->process;
        break;
    default:
        out->ns = leave->namespace_;
        out->group = leave->group;
        out->process = leave->process;
        break;
    }
    return name_check("process", out->process, PROCESS_MAX_BYTES, err);
}

enum plex_status
work_group_request_unpack(uint32_t method, struct plex_bytes in,
                          struct plex_arena *arena,
                          struct work_group_request *out, struct plex_err *err)
{
    ProtobufCMessage *message;

    *out = (struct work_group_request){
        .group = "", .process = "", .node_id = "", .prefix = "", .after = ""};
    if (plex_wire_unpack(request_type(method), in, arena, &message, err) !=
            PLEX_OK ||
        message_in(method, message, out, err) != PLEX_OK)
        return err->status;
    if (out->ns[0] == '\0')
        out->ns = "default";
    if (plex_name_namespace(out->ns, strlen(out->ns), err) != PLEX_OK)
        return err->status;
    return method == WORK_GROUP_LIST
               ? PLEX_OK
               : name_check("group", out->group, NAME_MAX_BYTES, err);
}

/* -- answers --------------------------------------------------------------- */

enum plex_status
work_groups_pack(const struct rt_group_info *groups, size_t n, bool more,
                 struct plex_arena *arena, struct plex_buf *out,
                 struct plex_err *err)
{
    GROUP(ListProcessGroupsResponse)
    reply = GROUP_INIT(LIST_PROCESS_GROUPS_RESPONSE);
    GROUP(ProcessGroup) *rows = plex_wire_array(arena, n, sizeof *rows);

    reply.groups = plex_wire_array(arena, n, sizeof *reply.groups);
    if (rows == NULL || reply.groups == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        plexspaces__process_group__v1__process_group__init(&rows[i]);
        rows[i].name = plex_wire_text(groups[i].name);
        rows[i].members = groups[i].members;
        reply.groups[reply.n_groups++] = &rows[i];
    }
    if (more && n > 0)
        reply.next_page_token = plex_wire_text(groups[n - 1].name);
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
member_out(const struct work_group_member *in, struct plex_arena *arena,
           GROUP(GroupMember) * out, struct plex_err *err)
{
    char *ref = plex_arena_alloc(arena, NODE_REF_TEXT);

    if (ref == NULL)
        return plex_wire_no_room(err);
    plexspaces__process_group__v1__group_member__init(out);
    (void)node_ref_text(in->ref, ref);
    out->process = ref;
    out->node_id = plex_wire_text(in->node_id);
    out->name = plex_wire_text(in->name);
    out->joined = in->joined;
    return PLEX_OK;
}

enum plex_status
work_group_members_pack(const struct work_group_member *members, size_t n,
                        bool truncated, struct plex_arena *arena,
                        struct plex_buf *out, struct plex_err *err)
{
    GROUP(GetGroupMembersResponse)
    reply = GROUP_INIT(GET_GROUP_MEMBERS_RESPONSE);
    GROUP(GroupMember) *rows = plex_wire_array(arena, n, sizeof *rows);

    reply.members = plex_wire_array(arena, n, sizeof *reply.members);
    reply.truncated = truncated;
    if (rows == NULL || reply.members == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        if (member_out(&members[i], arena, &rows[i], err) != PLEX_OK)
            return err->status;
        reply.members[reply.n_members++] = &rows[i];
    }
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
work_group_member_pack(const struct work_group_member *member,
                       struct plex_arena *arena, struct plex_buf *out,
                       struct plex_err *err)
{
    /* The answer to LEAVE has the same one field. */
    GROUP(JoinProcessGroupResponse)
    reply = GROUP_INIT(JOIN_PROCESS_GROUP_RESPONSE);
    GROUP(GroupMember) row;

    if (member_out(member, arena, &row, err) != PLEX_OK)
        return err->status;
    reply.member = &row;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
work_group_published_pack(const struct work_group_delivery *nodes, size_t n,
                          struct plex_arena *arena, struct plex_buf *out,
                          struct plex_err *err)
{
    GROUP(PublishToGroupResponse)
    reply = GROUP_INIT(PUBLISH_TO_GROUP_RESPONSE);
    GROUP(NodeDelivery) *rows = plex_wire_array(arena, n, sizeof *rows);

    reply.nodes = plex_wire_array(arena, n, sizeof *reply.nodes);
    if (rows == NULL || reply.nodes == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        plexspaces__process_group__v1__node_delivery__init(&rows[i]);
        rows[i].node_id = plex_wire_text(nodes[i].node_id);
        rows[i].recipients = nodes[i].recipients;
        rows[i].failures = nodes[i].failures;
        reply.recipients_count += nodes[i].recipients;
        reply.failures_count += nodes[i].failures;
        reply.nodes[reply.n_nodes++] = &rows[i];
    }
    return plex_wire_pack(&reply.base, out, err);
}
