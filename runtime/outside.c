#include "runtime/around.h"
#include "runtime/process_facets.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * Calls and starts from outside: whoever asks is no process, so a small one
 * waits in its place. It is an engine of its own, because fini always runs:
 * the function is called once whatever happens.
 */

enum verb { VERB_CALL, VERB_SPAWN, VERB_FACETS };

struct errand {
    enum verb verb;
    rt_answer_fn answered;
    rt_started_fn started;
    void *arg;
    /* call */
    struct plex_ref to;
    struct plex_post post;
    uint64_t timeout_ms;
    /* spawn */
    struct plex_spawn how;
    struct plex_mailbox mailbox;
};

struct outside_state {
    struct errand errand; /* answered, started: NULL when done */
    char bytes[];         /* payload or arguments, then a name */
};

const struct plex_behaviour rt_outside_behaviour = {.name = "rt-outside"};

static void
done(struct outside_state *state, int status, const struct plex_msg *answer,
     struct plex_ref ref, const char *reason)
{
    struct errand *errand = &state->errand;
    rt_answer_fn answered = errand->answered;
    rt_started_fn started = errand->started;

    errand->answered = NULL;
    errand->started = NULL;
    if (answered != NULL)
        answered(errand->arg, status, answer);
    if (started != NULL)
        started(errand->arg, status, ref, reason);
}

static int
outside_spawn(struct plex_ctx *ctx, struct outside_state *state)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_proc *proc = turn->proc;
    const struct plex_ref nobody = {0, 0};
    const struct rt_start start = {
        .how = &state->errand.how,
        .scope = atomic_load(&proc->scope),
        .starter = {rt_ref(exec->rt, proc), 1},
    };
    struct plex_ref ref;
    int status = rt_start_proc(exec, &start, &ref);

    if (status != 0) {
        done(state, status, NULL, nobody,
             plex_status_text((enum plex_status) - status));
        plex_exit_self(ctx, "normal");
        return 0;
    }
    (void)rt_rel_add(&rt_ext(exec, proc)->rels, RT_REL_START, ref, 1);
    return 0;
}

static int
outside_facets(struct plex_ctx *ctx, struct outside_state *state)
{
    const struct errand *errand = &state->errand;
    struct plex_msg answer;
    const int status =
        rt_ask_engine(ctx, errand->to, RT_FACETS_TAG, errand->post.payload,
                      errand->post.len, errand->timeout_ms, &answer);

    done(state, status, &answer, (struct plex_ref){0, 0}, "");
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
outside_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct outside_state *state = rt_engine_state(ctx);
    struct errand *errand = &state->errand;

    (void)args, (void)len;
    if (errand->verb == VERB_SPAWN)
        return outside_spawn(ctx, state);
    if (errand->verb == VERB_FACETS)
        return outside_facets(ctx, state);
    ctx->process->call(ctx, errand->to, &errand->post, errand->timeout_ms);
    errand->post.release = NULL;
    return 0;
}

static int
outside_reply(struct plex_ctx *ctx, uint64_t tag,
              enum plex_result_status status, const void *payload, size_t len)
{
    const struct rt_msg *msg = rt_turn_of(ctx)->msg;
    struct plex_msg view = {.sender = "",
                            .id = "",
                            .method = "",
                            .path = "",
                            .subpath = "",
                            .query = ""};

    (void)tag, (void)status, (void)payload, (void)len;
    rt_msg_view_all(msg, &view);
    if (rt_msg_http(msg) != NULL)
        view.sender = rt_http_mark;
    view.kind = RT_KIND_ANSWER;
    if (msg->code != 0) {
        view.reason = rt_msg_reason_of(msg);
        view.payload = "";
        view.len = 0;
    } else {
        view.tag = msg->generation; /* the answer's own */
    }
    done(rt_engine_state(ctx), msg->code, &view, (struct plex_ref){0, 0}, "");
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
outside_started(struct plex_ctx *ctx, uint64_t tag, int status,
                struct plex_ref ref, const char *reason)
{
    (void)tag;
    done(rt_engine_state(ctx), status, NULL,
         status == 0 ? ref : (struct plex_ref){0, 0}, reason);
    rt_unlink(rt_turn_of(ctx)->fiber->exec, rt_turn_of(ctx)->proc, ref);
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
outside_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx, (void)msg;
    return 0;
}

static void
outside_fini(struct plex_ctx *ctx, void *state)
{
    static const struct plex_msg none = {.sender = "",
                                         .id = "",
                                         .method = "",
                                         .path = "",
                                         .subpath = "",
                                         .query = "",
                                         .content_type = "",
                                         .payload = "",
                                         .reason = "stopped"};

    struct plex_post *post = &((struct outside_state *)state)->errand.post;

    (void)ctx;
    if (post->release != NULL) /* it has not been sent */
        post->release((void *)(uintptr_t)post->payload, post->len);
    done(state, -PLEX_UNAVAILABLE, &none, (struct plex_ref){0, 0}, "stopped");
}

const struct rt_engine rt_engine_outside = {
    .state_size = sizeof(struct outside_state),
    .init = outside_init,
    .handle = outside_handle,
    .reply = outside_reply,
    .started = outside_started,
    .fini = outside_fini,
};

/* -- what others call -- */

/* The state is there before the process is: whatever ends it, fini runs. */
static int
errand_start(struct rt *rt, uint32_t scope, const struct errand *errand,
             const void *bytes, size_t len, const char *name)
{
    size_t name_len = name == NULL ? 0 : strlen(name) + 1;
    struct outside_state *state =
        plex_calloc(1, sizeof *state + len + name_len);
    const struct plex_spawn how = {.behaviour = &rt_outside_behaviour};
    const struct rt_start start = {
        .how = &how, .scope = scope, .engine_state = state};
    struct plex_ref ref;
    struct rt_exec *exec;
    int status;

    state->errand = *errand;
    if (len > 0)
        memcpy(state->bytes, bytes, len);
    if (name_len > 0)
        memcpy(state->bytes + len, name, name_len);
    if (state->errand.post.release == NULL)
        state->errand.post.payload = state->bytes;
    state->errand.how.args = state->bytes;
    if (name != NULL)
        state->errand.how.name = state->bytes + len;
    if (errand->how.mailbox != NULL)
        state->errand.how.mailbox = &state->errand.mailbox;
    exec = rt_outside_enter(rt);
    status = rt_start_proc(exec, &start, &ref);
    rt_outside_leave(exec);
    if (status != 0)
        free(state);
    return status;
}

int
rt_spawn(struct rt *rt, struct rt_where where, const struct plex_spawn *how,
         rt_started_fn started, void *arg, struct plex_ref *out)
{
    struct rt_start start = {.how = how, .scope = rt_scope_of(rt, where)};
    struct errand errand = {
        .verb = VERB_SPAWN, .started = started, .arg = arg, .how = *how};
    struct plex_ref ref = {0, 0};
    struct rt_exec *exec;
    int status;

    if (out == NULL)
        out = &ref;
    *out = (struct plex_ref){0, 0};
    if (start.scope == UINT32_MAX)
        return -PLEX_INVALID;
    if (how->wait && started != NULL) {
        if (how->args_len > RT_PAYLOAD_MAX - 8192 ||
            (how->name != NULL && strlen(how->name) > 255))
            return -PLEX_INVALID;
        if (how->mailbox != NULL)
            errand.mailbox = *how->mailbox;
        return errand_start(rt, start.scope, &errand, how->args, how->args_len,
                            how->name);
    }
    exec = rt_outside_enter(rt);
    status = rt_start_proc(exec, &start, out);
    rt_outside_leave(exec);
    return status;
}

int
rt_send(struct rt *rt, struct plex_ref to, const struct plex_post *post)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    uint32_t kind = post->kind == PLEX_MSG_CAST ? PLEX_MSG_CAST : PLEX_MSG_INFO;
    struct rt_msg *msg = rt_msg_post(exec, post, (enum rt_kind)kind);
    int status = -PLEX_LIMIT;

    if (msg != NULL && rt_mail_admit(NULL, exec, to, msg, &status))
        (void)rt_route(exec, to, msg);
    rt_outside_leave(exec);
    return status;
}

void
rt_call(struct rt *rt, struct plex_ref to, const struct plex_post *post,
        uint64_t timeout_ms, rt_answer_fn answered, void *arg)
{
    struct errand errand = {.verb = VERB_CALL,
                            .answered = answered,
                            .arg = arg,
                            .to = to,
                            .post = *post,
                            .timeout_ms = timeout_ms};
    const struct plex_msg none = {.sender = "",
                                  .id = "",
                                  .method = "",
                                  .path = "",
                                  .subpath = "",
                                  .query = "",
                                  .content_type = "",
                                  .payload = "",
                                  .reason = "limit reached"};
    int status = -PLEX_LIMIT;

    if (post->release == rt_http_release && post->len <= RT_PAYLOAD_MAX) {
        status = errand_start(rt, 0, &errand, NULL, 0, NULL);
        if (status == 0)
            return;
    }
    errand.post.release = NULL;
    if (post->release != rt_http_release && post->len <= RT_PAYLOAD_MAX - 8192)
        status = errand_start(rt, 0, &errand, post->payload, post->len, NULL);
    if (post->release != NULL)
        post->release((void *)(uintptr_t)post->payload, post->len);
    if (status != 0)
        answered(arg, status, &none);
}

void
rt_facets_ask(struct rt *rt, struct plex_ref to,
              const struct plex_facet_request *request, uint64_t timeout_ms,
              rt_answer_fn answered, void *arg)
{
    struct errand errand = {.verb = VERB_FACETS,
                            .answered = answered,
                            .arg = arg,
                            .to = to,
                            .timeout_ms = timeout_ms};
    const struct plex_msg none = {.sender = "",
                                  .id = "",
                                  .method = "",
                                  .path = "",
                                  .subpath = "",
                                  .query = "",
                                  .content_type = "",
                                  .payload = "",
                                  .reason = "limit reached"};
    struct plex_buf bytes = {.max = 1 << 20};
    int status;

    rt_facets_pack(request, &bytes);
    errand.post.len = bytes.len;
    status = errand_start(rt, 0, &errand, bytes.data, bytes.len, NULL);
    plex_buf_free(&bytes);
    if (status != 0)
        answered(arg, status, &none);
}

void
rt_exit(struct rt *rt, struct plex_ref whom, const char *reason)
{
    struct rt_exec *exec = rt_outside_enter(rt);

    rt_signal(exec, whom, RT_KIND_SIG_EXIT, (struct plex_ref){0, 0}, 0, reason,
              false);
    rt_outside_leave(exec);
}

struct plex_ref
rt_whereis(struct rt *rt, struct rt_where where, const char *name)
{
    uint32_t scope = rt_scope_of(rt, where);

    return scope == UINT32_MAX ? (struct plex_ref){0, 0}
                               : rt_whereis_in(rt, scope, name);
}
