/*
 * Messages between processes and virtual actors. A virtual actor's inbox is
 * the core's: what a process sends to its name, or to the process of its
 * activation, is delivered to whoever owns it, and becomes a turn.
 */
#include "services/worker/shell.h"

#include "common/mem.h"
#include "runtime/hosted.h"
#include "services/worker/chain.h"
#include "services/worker/node.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 20, AGAIN_MAX_MS = 640, ALL_MS = 30000, OUTBOX_MAX = 65536 };
enum { UNKNOWN_MS = 2000 }; /* for a type that has just been deployed */
enum { FOUND_BYTES = 16 };
#define FIND_ACTIVE 1 /* tag of WORK_FIND: only who is in memory */

/* One on its way: sent again, under the same id, until somebody took it. */
struct mail {
    struct work_errand errand;
    struct work_state *state;
    struct mail *next, **at; /* of state->mails */
    struct plex_timer *timer;
    struct rt_signal signal; /* strings owned; post.payload too */
    enum work_kind kind;
    int status; /* WORK_REPLY */
    char *tenant, *ns, *type, *key;
    char *name, *reason;
    char *chain; /* NULL: none */
    char sender[PLEX_ACTOR_NAME_MAX + 1];
    char id[40];
    uint64_t deadline;
    uint64_t wait_ms;
};

static void
mail_free(struct mail *mail)
{
    *mail->at = mail->next;
    if (mail->next != NULL)
        mail->next->at = mail->at;
    mail->state->n_mails--;
    plex_timer_free(mail->timer);
    free((void *)(uintptr_t)mail->signal.post.payload);
    free(mail->tenant);
    free(mail->ns);
    free(mail->type);
    free(mail->key);
    free(mail->name);
    free(mail->reason);
    free(mail->chain);
    free(mail);
}

/* -- what comes of it -------------------------------------------------------
 */

static struct rt_signal
signal_to(const struct mail *mail, enum rt_signal_kind kind, struct plex_ref to)
{
    return (struct rt_signal){.kind = kind,
                              .to = to,
                              .where = {mail->tenant, mail->ns},
                              .name = "",
                              .text = "",
                              .reason = "",
                              .call = mail->signal.call};
}

/* What has failed, a caster is not told, as with any process. */
static void
message_done(struct mail *mail, enum plex_status status, const char *text,
             const struct work_reply *reply)
{
    struct rt_signal answer = signal_to(mail, RT_ANSWER, mail->signal.from);

    if (mail->signal.call == 0 || mail->kind != WORK_CALL)
        return;
    answer.status = -(int)status;
    answer.reason = text;
    if (status == PLEX_OK) {
        answer.post.payload = reply->payload.data;
        answer.post.len = reply->payload.len;
        answer.post.tag = reply->http_status;
    }
    work_node_signal(mail->state->node, &answer);
}

static void
found(const struct mail *mail, struct plex_ref ref)
{
    const struct rt_found to = {
        .watcher = mail->signal.from,
        .where = {mail->tenant, mail->ns},
        .name = mail->name,
        .found = ref,
        .monitor = mail->signal.kind == RT_MONITOR ? mail->signal.call : 0,
    };
    struct rt_signal exit = signal_to(mail, RT_EXIT, ref);

    if (mail->signal.kind != RT_EXIT) {
        rt_name_found(mail->state->rt, &to);
        return;
    }
    exit.from = mail->signal.from;
    exit.reason = mail->reason;
    work_node_signal(mail->state->node, &exit);
}

static void
not_found(const struct mail *mail, enum plex_status status)
{
    struct rt_signal end = signal_to(mail, RT_DOWN, mail->signal.from);

    if (mail->signal.kind == RT_EXIT)
        return;
    end.reason = status == PLEX_UNAVAILABLE ? "noconnection" : "noproc";
    if (mail->signal.kind == RT_LINK) {
        end.kind = RT_EXIT;
        end.linked = true;
        end.from = rt_whereis(mail->state->rt, end.where, mail->name);
    }
    rt_deliver(mail->state->rt, &end);
}

static void
find_done(struct mail *mail, enum plex_status status,
          const struct work_reply *reply)
{
    struct plex_ref ref = {0, 0};

    if (status == PLEX_OK && !reply->failed &&
        reply->payload.len == FOUND_BYTES) {
        memcpy(&ref.node, reply->payload.data, sizeof ref.node);
        memcpy(&ref.id, reply->payload.data + 8, sizeof ref.id);
    }
    if (ref.id != 0)
        found(mail, ref);
    else
        not_found(mail, status);
}

static void
mail_end(struct mail *mail, enum plex_status status, const char *text,
         const struct work_reply *reply)
{
    if (mail->kind == WORK_FIND)
        find_done(mail, status, reply);
    else
        message_done(mail, status, text, reply);
    mail_free(mail);
}

/* Of the activation itself: another one has no use for it. */
static bool
is_own(const struct mail *mail)
{
    return mail->kind == WORK_REPLY || mail->kind == WORK_DEACTIVATE;
}

static bool
type_known(const struct mail *mail)
{
    return work_node_type_known(
        mail->state->node,
        &(struct plex_actor_id){mail->tenant, mail->ns, mail->type, mail->key});
}

static void
on_taken(void *arg, enum plex_status status, const char *text,
         const struct work_reply *reply)
{
    struct mail *mail = arg;
    const bool again = status == PLEX_NOT_OWNER || status == PLEX_UNAVAILABLE ||
                       status == PLEX_IN_FLIGHT || status == PLEX_UNKNOWN;

    if (status == PLEX_NOT_OWNER && reply != NULL)
        place_watch_hint(mail->state->watch, reply->table_version);
    if (again && !is_own(mail) && plex_now() < mail->deadline) {
        mail->wait_ms =
            mail->wait_ms < AGAIN_MAX_MS ? mail->wait_ms * 2 : AGAIN_MAX_MS;
        plex_timer_start(mail->timer, mail->wait_ms);
    } else if (status != PLEX_OK) {
        if (again)
            status = type_known(mail) ? PLEX_UNAVAILABLE : PLEX_NOT_FOUND;
        mail_end(mail, status, text, NULL);
    } else if (reply->failed) {
        mail_end(mail, PLEX_FAILED, reply->error, reply);
    } else {
        mail_end(mail, PLEX_OK, "", reply);
    }
}

static void
on_answered(struct work_errand *errand, enum plex_status status,
            const char *text, const struct work_reply *reply)
{
    on_taken(plex_container_of(errand, struct mail, errand), status, text,
             reply);
}

/* -- out --------------------------------------------------------------------
 */

static struct work_message
message_of(const struct mail *mail)
{
    const struct plex_post *post = &mail->signal.post;
    struct work_message m = {
        .to = {mail->tenant, mail->ns, mail->type, mail->key},
        .kind = mail->kind,
        .id = {(const uint8_t *)mail->id, strlen(mail->id)},
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {post->payload, post->len},
        .sender = mail->sender,
        .timer = "",
        .tag = post->tag,
        .process_kind = post->kind,
        .from_node = mail->signal.from.node,
        .from_id = mail->signal.from.id,
    };

    if (mail->kind == WORK_CALL)
        m.chain = mail->chain;
    if (mail->kind == WORK_FIND)
        m.tag = mail->signal.kind == RT_EXIT ? FIND_ACTIVE : 0;
    if (mail->kind == WORK_REPLY) {
        m.tag &= ~WORK_TAG_RUN;
        m.reply_status = (enum plex_status)mail->status;
    }
    return m;
}

/* A stateless type runs on others, too. False: there are none. */
static bool
elsewhere(struct mail *mail, const struct plex_context *context,
          const struct work_message *message)
{
    struct work_state *state = mail->state;
    const char *url =
        is_own(mail) ? NULL
                     : work_core_owner(state->core, &message->to, NULL, NULL);

    if (url == NULL || url[0] == '\0')
        return false;
    (void)work_client_invoke(state->host->link, url, context, message, on_taken,
                             mail);
    return true;
}

static void
mail_send(void *arg)
{
    struct mail *mail = arg;
    struct work_state *state = mail->state;
    const struct place_table *table =
        state->watch == NULL ? NULL : place_watch_table(state->watch);
    const struct work_message message = message_of(mail);
    struct plex_context context = plex_context_none;
    const struct place_worker *owner =
        table == NULL ? NULL
                      : place_table_owner(
                            table, plex_shard_of(plex_actor_hash(&message.to),
                                                 table->shard_bits));
    const bool stateless = work_core_stateless(state->core, &message.to);
    bool here;

    if (owner == NULL && !stateless) {
        on_taken(mail, PLEX_UNAVAILABLE, "nobody owns the actor's shard", NULL);
        return;
    }
    context.tenant = mail->tenant;
    context.ns = mail->ns;
    context.request_id = mail->id;
    context.deadline = mail->deadline;
    here = stateless || owner->incarnation == state->host->incarnation;
    if (stateless && mail->kind == WORK_FIND) {
        mail_end(mail, PLEX_NOT_FOUND, "", NULL); /* its names are of any */
    } else if (stateless && state->draining &&
               elsewhere(mail, &context, &message)) {
        /* An activation on another worker gets it. */
    } else if (!here && is_own(mail)) {
        mail_end(mail, PLEX_NOT_OWNER, "", NULL);
    } else if (here && mail->kind != WORK_FIND) {
        mail->errand.answered = on_answered;
        work_core_deliver(state->core, work_now(),
                          (uint64_t)(uintptr_t)&mail->errand | WORK_ERRAND,
                          &context, &message);
        work_pump(state);
    } else {
        (void)work_client_invoke(state->host->link, owner->url, &context,
                                 &message, on_taken, mail);
    }
}

static char *
copy(const char *text)
{
    return plex_strdup(text == NULL ? "" : text);
}

/* NULL: too many are on their way. */
static struct mail *
mail_make(struct work_state *state, const struct rt_signal *signal,
          const struct plex_actor_id *to)
{
    const struct plex_actor_id *from;
    struct mail *mail;
    void *payload;

    if (state->n_mails >= OUTBOX_MAX)
        return NULL;
    mail = plex_calloc(1, sizeof *mail);
    mail->state = state;
    mail->signal = *signal;
    mail->tenant = copy(to->tenant);
    mail->ns = copy(to->ns);
    mail->type = copy(to->type);
    mail->key = copy(to->key);
    mail->name = copy(signal->name);
    mail->reason = copy(signal->reason);
    payload = plex_calloc(1, signal->post.len + 1);
    if (signal->post.len > 0)
        memcpy(payload, signal->post.payload, signal->post.len);
    mail->signal.post.payload = payload;
    from = work_host_actor(state->turns, signal->from);
    if (from != NULL)
        plex_actor_format(from, mail->sender, sizeof mail->sender);
    mail->wait_ms = AGAIN_MS;
    mail->deadline = plex_now() + UINT64_C(1000000) *
                                      (type_known(mail) ? ALL_MS : UNKNOWN_MS);
    (void)snprintf(mail->id, sizeof mail->id, "p%" PRIx64 "-%" PRIx64,
                   state->host->incarnation, ++state->mail_ids);
    mail->timer = plex_timer_create(state->host->loop, mail_send, mail);
    mail->next = state->mails;
    mail->at = &state->mails;
    if (mail->next != NULL)
        mail->next->at = &mail->next;
    state->mails = mail;
    state->n_mails++;
    return mail;
}

static enum work_kind
kind_of(const struct rt_signal *signal)
{
    if (signal->kind != RT_SEND)
        return WORK_FIND;
    if (signal->post.kind == PLEX_MSG_CALL)
        return WORK_CALL;
    return signal->post.kind == PLEX_MSG_CAST ? WORK_CAST : WORK_INFO;
}

static void
refuse(struct work_state *state, const struct rt_signal *signal)
{
    struct rt_signal answer = {
        .kind = RT_ANSWER,
        .to = signal->from,
        .where = signal->where,
        .name = "",
        .text = "",
        .reason = "as many messages as may be are on their way to actors",
        .call = signal->call,
        .status = -PLEX_LIMIT,
    };

    if (signal->kind == RT_MONITOR) {
        answer.kind = RT_DOWN;
        answer.reason = "noconnection";
    } else if (signal->kind != RT_SEND || signal->call == 0) {
        return;
    }
    work_node_signal(state->node, &answer);
}

/* A turn that waits for the answer: calls in a circle are to be found. False:
 * too many others wait for it already. */
static bool
chain_set(struct mail *mail)
{
    char chain[WORK_CHAIN_MAX];
    enum plex_status status;

    if (mail->signal.post.id != WORK_ASK_ID)
        return true;
    status = work_host_chain(mail->state->turns, mail->signal.from, chain);
    if (status == PLEX_OK)
        mail->chain = plex_strdup(chain);
    return status != PLEX_LIMIT;
}

void
work_mail_to_actor(void *arg, const struct rt_signal *signal)
{
    struct work_state *state = arg;
    const char *slash = strchr(signal->name, '/');
    struct mail *mail;
    char type[PLEX_TYPE_MAX + 1];

    if (slash == NULL || (size_t)(slash - signal->name) >= sizeof type ||
        (signal->kind != RT_SEND && signal->kind != RT_MONITOR &&
         signal->kind != RT_LINK && signal->kind != RT_EXIT))
        return;
    memcpy(type, signal->name, (size_t)(slash - signal->name));
    type[slash - signal->name] = '\0';
    mail =
        mail_make(state, signal,
                  &(struct plex_actor_id){signal->where.tenant,
                                          signal->where.ns, type, slash + 1});
    if (mail == NULL) {
        refuse(state, signal);
        return;
    }
    mail->kind = kind_of(signal);
    if (chain_set(mail))
        mail_send(mail);
    else
        mail_end(mail, PLEX_LIMIT,
                 "100 calls wait for this one, or their names are longer than "
                 "16 KiB",
                 NULL);
}

void
work_mail_inbound(void *arg, const struct work_inbound *in)
{
    struct work_state *state = arg;
    const struct rt_signal signal = {
        .kind = RT_SEND,
        .from = in->from,
        .where = {in->actor.tenant, in->actor.ns},
        .name = "",
        .text = "",
        .reason = "",
        .call = in->call,
        .post = in->post,
    };
    struct mail *mail;

    if (state->core == NULL)
        return; /* stopped meanwhile */
    mail = mail_make(state, &signal, &in->actor);
    if (mail == NULL) {
        refuse(state, &signal);
        return;
    }
    mail->kind = in->kind == WORK_IN_REPLY   ? WORK_REPLY
                 : in->kind == WORK_IN_ENDED ? WORK_DEACTIVATE
                                             : kind_of(&signal);
    mail->status = in->status;
    mail_send(mail);
}

void
work_mails_free(struct work_state *state)
{
    while (state->mails != NULL)
        mail_free(state->mails);
}

/* -- which process is it?
 * ------------------------------------------------------
 */

struct finding {
    struct work_errand errand;
    struct work_state *state;
    struct plex_call *call;
    char *tenant, *ns, *type, *key;
};

static void
on_active(struct work_errand *errand, enum plex_status status, const char *text,
          const struct work_reply *reply)
{
    struct finding *finding = plex_container_of(errand, struct finding, errand);
    struct work_state *state = finding->state;
    const struct plex_actor_id actor = {finding->tenant, finding->ns,
                                        finding->type, finding->key};
    uint64_t activation = 0;

    (void)reply;
    if (status == PLEX_OK)
        activation = work_core_activation(state->core, &actor);
    if (status != PLEX_OK)
        plex_call_fail(finding->call, status, text, (struct plex_bytes){0});
    else if (activation == 0)
        plex_call_fail(finding->call, PLEX_UNAVAILABLE,
                       "the actor has left memory again",
                       (struct plex_bytes){0});
    else
        work_found_reply(state, finding->call,
                         work_host_process(state->turns, activation, &actor));
    free(finding->tenant);
    free(finding->ns);
    free(finding->type);
    free(finding->key);
    free(finding);
}

void
work_found_reply(struct work_state *state, struct plex_call *call,
                 struct plex_ref ref)
{
    uint8_t bytes[FOUND_BYTES];
    const struct work_reply reply = {
        .content_type = "",
        .error = "",
        .payload = {bytes, ref.id == 0 ? 0 : sizeof bytes}};
    struct plex_err err;

    memcpy(bytes, &ref.node, sizeof ref.node);
    memcpy(bytes + 8, &ref.id, sizeof ref.id);
    state->scratch.len = 0;
    plex_call_answer(call, work_reply_pack(&reply, &state->scratch, &err),
                     &state->scratch, &err);
}

void
work_mail_find(struct work_state *state, struct plex_call *call,
               const struct work_message *message)
{
    struct work_message activate = *message;
    struct finding *finding;

    if (message->tag == FIND_ACTIVE &&
        work_core_activation(state->core, &message->to) == 0) {
        work_found_reply(state, call, (struct plex_ref){0, 0});
        return;
    }
    finding = plex_calloc(1, sizeof *finding);
    finding->errand.answered = on_active;
    finding->state = state;
    finding->call = call;
    finding->tenant = copy(message->to.tenant);
    finding->ns = copy(message->to.ns);
    finding->type = copy(message->to.type);
    finding->key = copy(message->to.key);
    activate.kind = WORK_ACTIVATE;
    work_core_deliver(state->core, work_now(),
                      (uint64_t)(uintptr_t)&finding->errand | WORK_ERRAND,
                      plex_call_context(call), &activate);
}

/* -- answers of the core ------------------------------------------------------
 */

void
work_errand_answer(struct work_state *state, const struct work_action *action)
{
    struct work_errand *errand =
        (struct work_errand *)(uintptr_t)(action->token & ~WORK_ERRAND);
    struct work_reply reply = {.content_type = "", .error = ""};
    enum plex_status status = action->answer.status;
    const char *text = action->answer.text;
    struct plex_arena arena;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX * 2);
    if (status == PLEX_NOT_OWNER) {
        reply.table_version = action->answer.table_version;
    } else if (status == PLEX_OK && action->answer.needs_lease &&
               !work_core_lease_holds(state->core, plex_now())) {
        status = PLEX_UNKNOWN;
        text = "the worker's lease has lapsed";
    } else if (status == PLEX_OK &&
               work_reply_unpack(action->answer.reply, &arena, &reply, &err) !=
                   PLEX_OK) {
        status = err.status;
        text = err.text;
    }
    errand->answered(errand, status, text, &reply);
    plex_arena_fini(&arena);
}
