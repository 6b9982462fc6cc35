/* Targets of subscriptions as they are written, and what channels are sent. */
#include "common/post.h"
#include "services/tuplespace/engine/core_tx.h"
#include "services/tuplespace/target.h"

#include <string.h>

#include "plexspaces/channel/v1/channel.pb-c.h"

enum { CHANNEL_NAME_MAX = 64 };

static enum plex_status
actor_parse(const char *text, struct tspace_target_address *out,
            struct plex_err *err)
{
    const char *slash = strchr(text, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - text);
    const struct plex_actor_id id = {"default", "default", out->type,
                                     slash == NULL ? "" : slash + 1};

    if (len == 0 || len > PLEX_TYPE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "target \"actor:%.60s\" is not actor:TYPE/KEY",
                            text);
    memcpy(out->type, text, len);
    out->type[len] = '\0';
    out->kind = TSPACE_TARGET_ACTOR;
    out->rest = id.key;
    return plex_name_actor(&id, err);
}

enum plex_status
tspace_target_parse(const char *text, struct tspace_target_address *out,
                    struct plex_err *err)
{
    *out = (struct tspace_target_address){.rest = text};
    if (text[0] == '\0')
        return PLEX_OK;
    if (strncmp(text, "actor:", 6) == 0)
        return actor_parse(text + 6, out, err);
    if (strncmp(text, "channel:", 8) == 0) {
        const size_t len = strlen(text + 8);

        out->kind = TSPACE_TARGET_CHANNEL;
        out->rest = text + 8;
        if (len > 0 && len <= CHANNEL_NAME_MAX)
            return PLEX_OK;
        return plex_err_set(err, PLEX_INVALID,
                            "target \"channel:NAME\" has a name of %zu bytes: "
                            "1 to %d are allowed",
                            len, CHANNEL_NAME_MAX);
    }
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) {
        out->kind = TSPACE_TARGET_HTTP;
        return plex_post_check(text, TSPACE_TARGET_MAX, err);
    }
    return plex_err_set(err, PLEX_INVALID,
                        "target \"%.60s\" is not known: there are "
                        "actor:TYPE/KEY, channel:NAME, http://... and "
                        "https://...; without one events wait for PollEvents",
                        text);
}

enum plex_status
tspace_wire_channel_send(const char *channel, const uint8_t id[16],
                         struct plex_bytes payload, struct plex_buf *out,
                         struct plex_err *err)
{
    Plexspaces__Channel__V1__Message message =
        PLEXSPACES__CHANNEL__V1__MESSAGE__INIT;
    Plexspaces__Channel__V1__Message *messages[] = {&message};
    Plexspaces__Channel__V1__SendRequest request =
        PLEXSPACES__CHANNEL__V1__SEND_REQUEST__INIT;
    uint8_t *room;

    message.payload.data = (uint8_t *)payload.data;
    message.payload.len = payload.len;
    request.channel = (char *)channel;
    request.messages = messages;
    request.n_messages = 1;
    request.request_id.data = (uint8_t *)id;
    request.request_id.len = 16;
    room = plex_buf_grow(
        out, plexspaces__channel__v1__send_request__get_packed_size(&request));
    if (room == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the event is too large for a channel");
    (void)plexspaces__channel__v1__send_request__pack(&request, room);
    return PLEX_OK;
}
