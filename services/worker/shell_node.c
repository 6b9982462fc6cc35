/* The worker as a node of processes: node.h and the rest of the shell. */
#include "services/worker/shell.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/worker/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- messages of processes to virtual actors --------------------------------
 */

enum { AGAIN_MS = 20, AGAIN_MAX_MS = 640, ALL_MS = 30000, OUTBOX_MAX = 65536 };

/* One on its way: sent again, under the same id, until somebody took it. */
struct mail {
    struct work_state *state;
    struct mail *next, **at; /* of state->mails */
    struct plex_timer *timer;
    struct rt_signal signal; /* strings owned; post.payload too */
    char *tenant, *ns, *type, *key;
    char id[32];
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
    free(mail);
}

static void
mail_end(struct mail *mail, enum plex_status status, const char *reason,
         struct plex_bytes payload)
{
    const struct rt_signal answer = {
        .kind = RT_ANSWER,
        .to = mail->signal.from,
        .where = {mail->tenant, mail->ns},
        .name = "",
        .text = "",
        .reason = reason,
        .call = mail->signal.call,
        .status = -(int)status,
        .post = {.payload = payload.data, .len = payload.len},
    };

    /* What has failed, a caster is not told, as with any process. */
    if (mail->signal.post.kind == PLEX_MSG_CALL)
        rt_deliver(mail->state->rt, &answer);
    mail_free(mail);
}

static void mail_send(void *arg);

static void
on_taken(void *arg, enum plex_status status, const char *text,
         const struct work_reply *reply)
{
    struct mail *mail = arg;
    const bool again = status == PLEX_NOT_OWNER || status == PLEX_UNAVAILABLE ||
                       status == PLEX_IN_FLIGHT || status == PLEX_UNKNOWN;

    if (status == PLEX_NOT_OWNER && reply != NULL)
        place_watch_hint(mail->state->watch, reply->table_version);
    if (again && plex_now() < mail->deadline) {
        mail->wait_ms =
            mail->wait_ms < AGAIN_MAX_MS ? mail->wait_ms * 2 : AGAIN_MAX_MS;
        plex_timer_start(mail->timer, mail->wait_ms);
    } else if (status != PLEX_OK) {
        mail_end(mail, again ? PLEX_UNAVAILABLE : status, text,
                 (struct plex_bytes){0});
    } else if (reply->failed) {
        mail_end(mail, PLEX_FAILED, reply->error, (struct plex_bytes){0});
    } else {
        mail_end(mail, PLEX_OK, "", reply->payload);
    }
}

static void
mail_send(void *arg)
{
    struct mail *mail = arg;
    struct work_state *state = mail->state;
    const struct plex_post *post = &mail->signal.post;
    const struct place_table *table =
        state->watch == NULL ? NULL : place_watch_table(state->watch);
    struct plex_context context = plex_context_none;
    const struct work_message message = {
        .to = {mail->tenant, mail->ns, mail->type, mail->key},
        .kind = post->kind == PLEX_MSG_CALL ? WORK_CALL : WORK_CAST,
        .id = {(const uint8_t *)mail->id, strlen(mail->id)},
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {post->payload, post->len},
        .sender = "",
        .timer = "",
    };
    const struct place_worker *owner =
        table == NULL ? NULL
                      : place_table_owner(
                            table, plex_shard_of(plex_actor_hash(&message.to),
                                                 table->shard_bits));

    if (owner == NULL) {
        on_taken(mail, PLEX_UNAVAILABLE, "nobody owns the actor's shard", NULL);
        return;
    }
    context.tenant = mail->tenant;
    context.ns = mail->ns;
    context.request_id = mail->id;
    context.deadline = mail->deadline;
    (void)work_client_invoke(state->host->link, owner->url, &context, &message,
                             on_taken, mail);
}

static void
to_actor(void *arg, const struct rt_signal *signal)
{
    struct work_state *state = arg;
    const char *slash = strchr(signal->name, '/');
    struct mail *mail;
    void *payload;

    if (signal->kind != RT_SEND || slash == NULL ||
        state->n_mails >= OUTBOX_MAX)
        return; /* a call ends with its timeout */
    mail = plex_calloc(1, sizeof *mail);
    mail->state = state;
    mail->signal = *signal;
    mail->tenant = plex_strdup(signal->where.tenant);
    mail->ns = plex_strdup(signal->where.ns);
    mail->type = plex_strdup(signal->name);
    mail->type[slash - signal->name] = '\0';
    mail->key = plex_strdup(slash + 1);
    payload = plex_calloc(1, signal->post.len + 1);
    if (signal->post.len > 0)
        memcpy(payload, signal->post.payload, signal->post.len);
    mail->signal.post.payload = payload;
    mail->wait_ms = AGAIN_MS;
    mail->deadline = plex_now() + ALL_MS * UINT64_C(1000000);
    (void)snprintf(mail->id, sizeof mail->id, "p%" PRIx64 "-%" PRIx64,
                   state->host->incarnation, ++state->mail_ids);
    mail->timer = plex_timer_create(state->host->loop, mail_send, mail);
    mail->next = state->mails;
    mail->at = &state->mails;
    if (mail->next != NULL)
        mail->next->at = &mail->next;
    state->mails = mail;
    state->n_mails++;
    mail_send(mail);
}

/* -- life -------------------------------------------------------------------
 */

static void
claims_changed(void *arg)
{
    struct work_state *state = arg;

    if (state->registry != NULL)
        reg_client_announce(state->registry);
}

static const char *
placement_url(void *arg)
{
    const struct work_state *state = arg;

    return state->registry == NULL
               ? NULL
               : reg_client_url(state->registry, "placement");
}

static bool
to_service(void *arg, const struct rt_signal *signal)
{
    return work_facet_service_take(((struct work_state *)arg)->services,
                                   signal);
}

void
work_shell_node_create(struct work_state *state)
{
    const struct work_node_config config = {
        .host = state->host,
        .modules = state->modules,
        .to_actor = to_actor,
        .to_service = to_service,
        .on_event = work_shell_event,
        .placement_url = placement_url,
        .claims_changed = claims_changed,
        .arg = state,
    };

    state->node = work_node_create(&config);
}

/* rt_stop() has been called. */
void
work_shell_node_end(struct work_state *state)
{
    while (state->mails != NULL)
        mail_free(state->mails);
    work_node_end(state->node);
}
