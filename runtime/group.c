#include "runtime/core.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/*
 * Process groups: members of this node and, as told by JOIN and LEAVE, of
 * others. A group exists while somebody is in it or watches it. Watchers are
 * told outside of the lock, by whoever caused the change.
 */
enum { NAME_BYTES_MAX = 255, KEY_MAX = 300 };

struct member {
    UT_hash_handle hh;
    struct plex_ref ref;
    uint64_t count;
};
struct group {
    UT_hash_handle hh;
    UT_hash_handle by_id;
    uint64_t id;
    uint32_t scope;
    struct member *members;
    size_t local;
    struct plex_ref *watchers;
    size_t watcher_count, watcher_max;
    char *name; /* in key */
    char key[];
};
struct rt_groups {
    pthread_rwlock_t lock;
    struct group *groups;
    struct group *ids;
    uint64_t next_id;
};

struct rt_groups *
rt_groups_create(void)
{
    struct rt_groups *groups = plex_calloc(1, sizeof *groups);

    (void)pthread_rwlock_init(&groups->lock, NULL);
    return groups;
}

static void
group_free(struct rt_groups *groups, struct group *group)
{
    HASH_DEL(groups->groups, group);
    HASH_DELETE(by_id, groups->ids, group);
    free(group->watchers);
    free(group);
}

void
rt_groups_free(struct rt_groups *groups)
{
    struct group *group, *next;
    struct member *member, *next_member;

    if (groups == NULL)
        return;
    HASH_ITER(hh, groups->groups, group, next)
    {
        HASH_ITER(hh, group->members, member, next_member)
        {
            HASH_DEL(group->members, member);
            free(member);
        }
        group_free(groups, group);
    }
    (void)pthread_rwlock_destroy(&groups->lock);
    free(groups);
}

static struct group *
group_find(struct rt_groups *groups, uint32_t scope, const char *name,
           bool create)
{
    char key[KEY_MAX];
    size_t len = strlen(name);
    struct group *group;

    if (len == 0 || len > NAME_BYTES_MAX)
        return NULL;
    memcpy(key, &scope, sizeof scope);
    memcpy(key + sizeof scope, name, len + 1);
    len += sizeof scope + 1;
    HASH_FIND(hh, groups->groups, key, len, group);
    if (group == NULL && create) {
        group = plex_calloc(1, sizeof *group + len);
        memcpy(group->key, key, len);
        group->name = group->key + sizeof scope;
        group->scope = scope;
        group->id = ++groups->next_id;
        HASH_ADD(hh, groups->groups, key, len, group);
        HASH_ADD(by_id, groups->ids, id, sizeof group->id, group);
    }
    return group;
}

static struct member *
member_find(struct group *group, struct plex_ref ref)
{
    struct member *member;

    HASH_FIND(hh, group->members, &ref, sizeof ref, member);
    return member;
}

/* -- changes -- */

struct notice {
    struct plex_ref *watchers;
    size_t count;
    char name[NAME_BYTES_MAX + 1];
};

static void
notice_of(const struct group *group, struct notice *out)
{
    out->count = group->watcher_count;
    out->watchers = plex_calloc(out->count + 1, sizeof *out->watchers);
    if (out->count > 0)
        memcpy(out->watchers, group->watchers,
               out->count * sizeof *out->watchers);
    memcpy(out->name, group->name, strlen(group->name) + 1);
}

static void
notify(struct rt_exec *exec, struct notice *notice, struct plex_ref who,
       bool join)
{
    for (size_t i = 0; i < notice->count; i++) {
        struct rt_msg *msg = rt_msg_new(exec, (enum rt_kind)PLEX_MSG_GROUP);

        msg->from = who;
        msg->tag = join ? 1 : 0;
        rt_msg_payload(msg, notice->name, strlen(notice->name));
        (void)rt_route(exec, notice->watchers[i], msg);
    }
    free(notice->watchers);
}

static void
tell_nodes(struct rt_exec *exec, struct plex_ref who, uint32_t scope,
           const char *group, uint64_t times, bool join)
{
    struct rt *rt = exec->rt;
    const struct rt_signal signal = {
        .kind = join ? RT_JOIN : RT_LEAVE,
        .from = who,
        .where = rt_scope_text(rt, scope),
        .name = "",
        .text = group,
        .reason = "",
        .call = times,
    };

    if (rt->config.on_remote != NULL &&
        !atomic_load_explicit(&rt->stopping, memory_order_relaxed))
        (void)rt->config.on_remote(rt->config.arg, &signal);
}

static void
member_add(struct rt *rt, struct group *group, struct plex_ref who,
           uint64_t times)
{
    struct member *member = member_find(group, who);

    if (member == NULL) {
        member = plex_calloc(1, sizeof *member);
        member->ref = who;
        HASH_ADD(hh, group->members, ref, sizeof member->ref, member);
        group->local += rt_is_local(rt, who);
    }
    member->count += times;
}

static bool
member_remove(struct rt *rt, struct group *group, struct plex_ref who,
              uint64_t times)
{
    struct member *member = member_find(group, who);

    if (member == NULL)
        return false;
    member->count = member->count > times ? member->count - times : 0;
    if (member->count == 0) {
        HASH_DEL(group->members, member);
        free(member);
        group->local -= rt_is_local(rt, who);
    }
    return true;
}

static void
group_settle(struct rt_groups *groups, struct group *group)
{
    if (group->members == NULL && group->watcher_count == 0)
        group_free(groups, group);
}

/* One change by whoever joins or leaves. Gives the group's id, 0: refused. */
static uint64_t
change(struct rt_exec *exec, uint32_t scope, const char *name,
       struct plex_ref who, uint64_t times, bool join)
{
    struct rt_groups *groups = exec->rt->groups;
    struct notice notice;
    struct group *group;
    uint64_t id = 0;

    pthread_rwlock_wrlock(&groups->lock);
    group = group_find(groups, scope, name, join);
    if (group != NULL) {
        if (join)
            member_add(exec->rt, group, who, times);
        if (join || member_remove(exec->rt, group, who, times)) {
            id = group->id;
            notice_of(group, &notice);
        }
        group_settle(groups, group);
    }
    pthread_rwlock_unlock(&groups->lock);
    if (id != 0)
        notify(exec, &notice, who, join);
    return id;
}

int
rt_group_change(struct rt_exec *exec, struct rt_proc *proc, const char *group,
                bool join)
{
    uint32_t scope = atomic_load(&proc->scope);
    struct plex_ref self = rt_ref(exec->rt, proc);
    uint64_t id = change(exec, scope, group, self, 1, join);
    struct rt_rels *rels = &rt_ext(exec, proc)->rels;
    struct rt_rel *row;

    if (id == 0)
        return join ? -PLEX_INVALID : -PLEX_NOT_FOUND;
    row = rt_rel_find(rels, RT_REL_GROUP, self, id);
    if (row == NULL)
        row = rt_rel_add(rels, RT_REL_GROUP, self, id);
    row->aux += join ? 1 : (uint64_t)-1;
    if (row->aux == 0)
        rt_rel_remove(rels, row);
    tell_nodes(exec, self, scope, group, 1, join);
    return 0;
}

void
rt_group_leave_all(struct rt_exec *exec, struct rt_proc *proc,
                   const struct rt_rel *rel)
{
    struct rt_groups *groups = exec->rt->groups;
    struct plex_ref self = rt_ref(exec->rt, proc);
    char name[NAME_BYTES_MAX + 1];
    struct group *group;
    uint32_t scope = 0;

    pthread_rwlock_rdlock(&groups->lock);
    HASH_FIND(by_id, groups->ids, &rel->number, sizeof rel->number, group);
    if (group != NULL) {
        memcpy(name, group->name, strlen(group->name) + 1);
        scope = group->scope;
    }
    pthread_rwlock_unlock(&groups->lock);
    if (group == NULL)
        return;
    (void)change(exec, scope, name, self, rel->aux, false);
    tell_nodes(exec, self, scope, name, rel->aux, false);
}

/* -- other nodes -- */

void
rt_group_remote(struct rt_exec *exec, const struct rt_signal *signal)
{
    uint32_t scope = rt_scope_of(exec->rt, signal->where);

    if (scope != UINT32_MAX && signal->text != NULL &&
        signal->from.node != exec->rt->config.node)
        (void)change(exec, scope, signal->text, signal->from,
                     signal->call == 0 ? 1 : signal->call,
                     signal->kind == RT_JOIN);
}

struct gone {
    struct plex_ref who;
    struct notice notice;
};

/* Everybody of that node, taken out in one walk: a group may be large. */
static struct gone *
remove_of(struct rt_groups *groups, uint64_t node, size_t *count)
{
    struct group *group, *next;
    struct member *member, *next_member;
    struct gone *gone = NULL;
    size_t max = 0;

    *count = 0;
    HASH_ITER(hh, groups->groups, group, next)
    {
        HASH_ITER(hh, group->members, member, next_member)
        {
            if (member->ref.node != node)
                continue;
            if (*count == max) {
                max = max * 2 + 16;
                gone = plex_reallocarray(gone, max, sizeof *gone);
            }
            gone[*count].who = member->ref;
            notice_of(group, &gone[(*count)++].notice);
            HASH_DEL(group->members, member);
            free(member);
        }
        group_settle(groups, group);
    }
    return gone;
}

void
rt_group_node_down(struct rt_exec *exec, uint64_t node)
{
    struct rt_groups *groups = exec->rt->groups;
    struct gone *gone;
    size_t count;

    pthread_rwlock_wrlock(&groups->lock);
    gone = remove_of(groups, node, &count);
    pthread_rwlock_unlock(&groups->lock);
    for (size_t i = 0; i < count; i++)
        notify(exec, &gone[i].notice, gone[i].who, false);
    free(gone);
}

void
rt_groups_announce(struct rt *rt,
                   void (*emit)(void *arg, const struct rt_signal *signal),
                   void *arg)
{
    struct group *group, *next;
    struct member *member, *next_member;

    pthread_rwlock_rdlock(&rt->groups->lock);
    HASH_ITER(hh, rt->groups->groups, group, next)
    {
        HASH_ITER(hh, group->members, member, next_member)
        {
            struct rt_signal signal = {.kind = RT_JOIN,
                                       .from = member->ref,
                                       .name = "",
                                       .text = group->name,
                                       .reason = "",
                                       .call = member->count};

            if (!rt_is_local(rt, member->ref))
                continue;
            signal.where = rt_scope_text(rt, group->scope);
            emit(arg, &signal);
        }
    }
    pthread_rwlock_unlock(&rt->groups->lock);
}

/* -- looking -- */

size_t
rt_group_members(struct rt *rt, uint32_t scope, const char *name,
                 bool local_only, struct plex_ref *out, size_t max)
{
    struct group *group;
    struct member *member, *next;
    size_t count = 0;

    pthread_rwlock_rdlock(&rt->groups->lock);
    group = group_find(rt->groups, scope, name, false);
    if (group != NULL) {
        HASH_ITER(hh, group->members, member, next)
        {
            if (local_only && !rt_is_local(rt, member->ref))
                continue;
            if (count < max)
                out[count] = member->ref;
            count++;
        }
    }
    pthread_rwlock_unlock(&rt->groups->lock);
    return count;
}

static void
unwatch(struct group *group, struct plex_ref watcher)
{
    for (size_t i = 0; i < group->watcher_count; i++) {
        if (!rt_ref_is(group->watchers[i], watcher))
            continue;
        group->watchers[i] = group->watchers[--group->watcher_count];
        return;
    }
}

int
rt_group_monitor(struct rt_exec *exec, struct rt_proc *proc, const char *name,
                 bool on)
{
    struct rt_groups *groups = exec->rt->groups;
    struct plex_ref self = rt_ref(exec->rt, proc);
    struct rt_rels *rels = &rt_ext(exec, proc)->rels;
    struct group *group;
    struct rt_rel *row;
    int status = 0;

    pthread_rwlock_wrlock(&groups->lock);
    group = group_find(groups, atomic_load(&proc->scope), name, on);
    row = group == NULL
              ? NULL
              : rt_rel_find(rels, RT_REL_GROUP_WATCH, self, group->id);
    if (group == NULL) {
        status = on ? -PLEX_INVALID : 0;
    } else if (on && row == NULL) {
        if (group->watcher_count == group->watcher_max) {
            group->watcher_max = group->watcher_max * 2 + 4;
            group->watchers = plex_reallocarray(
                group->watchers, group->watcher_max, sizeof *group->watchers);
        }
        group->watchers[group->watcher_count++] = self;
        (void)rt_rel_add(rels, RT_REL_GROUP_WATCH, self, group->id);
    } else if (!on && row != NULL) {
        unwatch(group, self);
        rt_rel_remove(rels, row);
        group_settle(groups, group);
    }
    pthread_rwlock_unlock(&groups->lock);
    return status;
}

void
rt_group_unwatch(struct rt_exec *exec, uint64_t id, struct plex_ref watcher)
{
    struct rt_groups *groups = exec->rt->groups;
    struct group *group;

    pthread_rwlock_wrlock(&groups->lock);
    HASH_FIND(by_id, groups->ids, &id, sizeof id, group);
    if (group != NULL) {
        unwatch(group, watcher);
        group_settle(groups, group);
    }
    pthread_rwlock_unlock(&groups->lock);
}

/* -- from outside ---------------------------------------------------------- */

struct group_ask {
    rt_group_fn done;
    void *arg;
    bool join;
    int status;
    char name[NAME_BYTES_MAX + 2]; /* room to be too long */
};

/* Whatever became of the message: it was looked at, or nobody was there. */
static void
ask_end(void *payload, size_t len)
{
    struct group_ask *ask = payload;

    (void)len;
    ask->done(ask->arg, ask->status);
    free(ask);
}

void
rt_group_ask(struct rt *rt, struct plex_ref whom, const char *group, bool join,
             rt_group_fn done, void *arg)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    struct rt_msg *msg = rt_msg_new(exec, RT_KIND_GROUP);
    struct group_ask *ask = plex_calloc(1, sizeof *ask);

    ask->done = done;
    ask->arg = arg;
    ask->join = join;
    ask->status = -PLEX_NOT_FOUND;
    (void)snprintf(ask->name, sizeof ask->name, "%s", group);
    msg->flags |= RT_MSG_OWNED;
    msg->payload = ask;
    msg->len = sizeof *ask;
    msg->release = ask_end;
    (void)rt_route(exec, whom, msg);
    rt_outside_leave(exec);
}

void
rt_group_asked(struct rt_exec *exec, struct rt_proc *proc,
               const struct rt_msg *msg)
{
    struct group_ask *ask = (struct group_ask *)(uintptr_t)msg->payload;

    if ((proc->flags & RT_PROC_DYING) == 0)
        ask->status = rt_group_change(exec, proc, ask->name, ask->join);
}

static int
group_order(const void *a, const void *b)
{
    return strcmp(((const struct rt_group_info *)a)->name,
                  ((const struct rt_group_info *)b)->name);
}

/* Those that are only watched do not exist. */
static struct rt_group_info *
groups_copy(struct rt *rt, uint32_t scope, const char *prefix,
            const char *after, size_t *n)
{
    struct rt_group_info *all = NULL;
    struct group *group, *next;
    size_t cap = 0;

    pthread_rwlock_rdlock(&rt->groups->lock);
    HASH_ITER(hh, rt->groups->groups, group, next)
    {
        if (group->scope != scope || group->members == NULL ||
            strncmp(group->name, prefix, strlen(prefix)) != 0 ||
            strcmp(group->name, after) <= 0)
            continue;
        if (*n == cap) {
            cap = cap * 2 + 16;
            all = plex_reallocarray(all, cap, sizeof *all);
        }
        (void)snprintf(all[*n].name, sizeof all[*n].name, "%s", group->name);
        all[*n].members = HASH_COUNT(group->members);
        all[(*n)++].local = group->local;
    }
    pthread_rwlock_unlock(&rt->groups->lock);
    return all;
}

size_t
rt_group_list(struct rt *rt, struct rt_where where, const char *prefix,
              const char *after, struct rt_group_info *out, size_t max,
              bool *more)
{
    const uint32_t scope = rt_scope_of(rt, where);
    size_t n = 0;
    struct rt_group_info *all =
        scope == UINT32_MAX ? NULL : groups_copy(rt, scope, prefix, after, &n);

    if (n > 0)
        qsort(all, n, sizeof *all, group_order);
    *more = n > max;
    n = *more ? max : n;
    if (n > 0)
        memcpy(out, all, n * sizeof *all);
    free(all);
    return n;
}

static int
member_order(const void *a, const void *b)
{
    const struct plex_ref x = ((const struct rt_member_info *)a)->ref;
    const struct plex_ref y = ((const struct rt_member_info *)b)->ref;

    if (x.node != y.node)
        return x.node < y.node ? -1 : 1;
    return x.id == y.id ? 0 : x.id < y.id ? -1 : 1;
}

size_t
rt_group_look(struct rt *rt, struct rt_where where, const char *name,
              struct rt_member_info *out, size_t max)
{
    const uint32_t scope = rt_scope_of(rt, where);
    struct member *member, *next;
    struct group *group = NULL;
    size_t count = 0;

    pthread_rwlock_rdlock(&rt->groups->lock);
    if (scope != UINT32_MAX)
        group = group_find(rt->groups, scope, name, false);
    if (group != NULL) {
        HASH_ITER(hh, group->members, member, next)
        {
            if (count < max)
                out[count] =
                    (struct rt_member_info){member->ref, member->count};
            count++;
        }
    }
    pthread_rwlock_unlock(&rt->groups->lock);
    qsort(out, count < max ? count : max, sizeof *out, member_order);
    return count;
}
