/* What leaves the core: actions, and the answers in them. */
#include "services/tuplespace/engine/core_private.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* -- answers --------------------------------------------------------------- */

struct answer *
core_answer(struct tspace_core *core, uint32_t room)
{
    struct answer *answer = core->spare;

    if (room <= 1 && answer != NULL) {
        core->spare = NULL;
        answer->pub = (struct tspace_answer){0};
    } else {
        room = room == 0 ? 1 : room;
        answer = plex_calloc(1, sizeof *answer + room * sizeof(struct item *));
        answer->room = room;
    }
    answer->refs = 1;
    return answer;
}

void
core_answer_add(struct answer *answer, struct item *item)
{
    assert(answer->pub.n < answer->room && !answer->pub.is_write);
    item->refs++;
    answer->items[answer->pub.n++] = item;
}

void
core_answer_unref(struct tspace_core *core, struct answer *answer)
{
    if (answer == NULL || --answer->refs > 0)
        return;
    if (!answer->pub.is_write)
        for (uint32_t i = 0; i < answer->pub.n; i++)
            item_unref(answer->items[i]);
    if (answer->room == 1 && core->spare == NULL)
        core->spare = answer;
    else
        free(answer);
}

static void
tuple_view(const struct item *item, struct tspace_tuple *out)
{
    const struct lease_text text = item_text(item);

    *out = (struct tspace_tuple){
        .id = item->id,
        .expires_ms = item->expires_ms,
        .written_ms = item->written_ms,
        .packed = {item->packed, tspace_packed_length(item->packed)},
        .owner = text.owner,
        .meta = text.meta,
    };
}

void
tspace_answer_tuple(const struct tspace_answer *pub, uint32_t i,
                    struct tspace_tuple *out)
{
    const struct answer *answer =
        container_of((struct tspace_answer *)pub, struct answer, pub);

    assert(i < pub->n && !pub->is_write);
    tuple_view(answer->items[i], out);
}

/* -- actions --------------------------------------------------------------- */

struct output *
core_output(struct tspace_core *core, enum tspace_action_kind kind)
{
    struct output *output;

    if (core->n_outputs == core->outputs_room) {
        core->outputs_room =
            core->outputs_room == 0 ? 64 : core->outputs_room * 2;
        core->outputs = plex_reallocarray(core->outputs, core->outputs_room,
                                          sizeof *core->outputs);
    }
    output = &core->outputs[core->n_outputs++];
    *output = (struct output){.kind = (uint8_t)kind};
    return output;
}

static void
output_fini(struct tspace_core *core, struct output *output)
{
    item_unref(output->item);
    core_answer_unref(core, output->answer);
    free(output->owned);
    if (output->space != NULL)
        output->space->outputs--;
    if (output->realm != NULL)
        core_realm_release(core, output->realm);
}

void
core_outputs_free(struct tspace_core *core)
{
    for (uint32_t i = core->popped; i < core->n_outputs; i++)
        output_fini(core, &core->outputs[i]);
    free(core->outputs);
}

void
core_reply(struct tspace_core *core, void *call, struct answer *answer)
{
    struct output *output = core_output(core, TSPACE_REPLY);

    output->call = call;
    output->answer = answer;
    answer->refs++;
}

void
core_refuse(struct tspace_core *core, void *call, enum plex_status status,
            const char *format, ...)
{
    struct output *output = core_output(core, TSPACE_REPLY);
    char text[PLEX_ERR_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    output->call = call;
    output->status = (uint8_t)status;
    output->owned = (uint8_t *)plex_strdup(text);
}

void
core_gave_up(struct tspace_core *core, void *call)
{
    if (core->postponed)
        core_refuse(core, call, PLEX_UNAVAILABLE,
                    "the space is too large to be searched without an index, "
                    "which is being made: try again");
    else
        core_refuse(core, call, PLEX_LIMIT,
                    "the regular expression takes too long");
    core->postponed = false;
}

void
core_put_item(struct tspace_core *core, struct item *item)
{
    struct output *output;

    if (core->config.transient)
        return;
    output = core_output(core, TSPACE_PUT);
    output->record = TSPACE_RECORD_TUPLE;
    output->space = item->shape->space;
    output->space->outputs++;
    output->item = item;
    output->number = item->id;
    item->refs++;
}

void
core_remove_item(struct tspace_core *core, const struct item *item)
{
    struct output *output;

    if (core->config.transient)
        return;
    output = core_output(core, TSPACE_REMOVE);
    output->record = TSPACE_RECORD_TUPLE;
    output->space = item->shape->space;
    output->space->outputs++;
    output->number = item->id;
}

void
core_record(struct tspace_core *core, enum tspace_record record,
            struct space *space, struct realm *realm, struct plex_bytes key,
            const struct plex_buf *body)
{
    const size_t body_len = body != NULL ? body->len : 0;
    struct output *output;

    if (core->config.transient || core->restoring)
        return;
    assert(key.len >= 1 && key.len <= TSPACE_KEY_MAX);
    output = core_output(core, body != NULL ? TSPACE_PUT : TSPACE_REMOVE);
    output->record = (uint8_t)record;
    output->space = space;
    output->realm = space == NULL ? realm : NULL;
    if (space != NULL)
        space->outputs++;
    else
        realm->users++;
    output->owned = plex_calloc(1, key.len + body_len);
    memcpy(output->owned, key.data, key.len);
    if (body_len > 0)
        memcpy(output->owned + key.len, body->data, body_len);
    output->key_len = (uint32_t)key.len;
    output->body_len = (uint32_t)body_len;
}

static void
store_out(struct tspace_core *core, const struct output *output,
          struct tspace_action *out)
{
    out->record = (enum tspace_record)output->record;
    if (output->space != NULL)
        out->where = output->space->where;
    else
        out->where = (struct tspace_where){output->realm->tenant->name,
                                           output->realm->ns, ""};
    if (output->record != TSPACE_RECORD_TUPLE) {
        out->key = (struct plex_bytes){output->owned, output->key_len};
        out->body = (struct plex_bytes){output->owned + output->key_len,
                                        output->body_len};
        return;
    }
    out->key = core_id_key(output->number, core->key);
    if (output->item != NULL)
        out->body =
            (struct plex_bytes){(const uint8_t *)&output->item->written_ms,
                                output->item->body_bytes};
}

static void
notice_out(struct tspace_core *core, const struct output *output,
           struct tspace_action *out)
{
    core->notice = (struct tspace_notice){
        .subscription = output->subscription_id,
        .number = output->number,
        .lost = output->lost,
        .previous = output->previous,
        .event = (enum tspace_event)output->event,
        .guaranteed = output->guaranteed,
        .target = {output->owned, output->body_len},
    };
    tuple_view(output->item, &core->notice.tuple);
    out->notice = &core->notice;
    out->where = output->space->where;
}

bool
tspace_core_next(struct tspace_core *core, struct tspace_action *out)
{
    const struct output *output;

    if (core->popped < core->first_output)
        output_fini(core, &core->outputs[core->popped++]);
    if (core->first_output == core->n_outputs) {
        core->popped = core->first_output = core->n_outputs = 0;
        return false;
    }
    output = &core->outputs[core->first_output++];
    *out = (struct tspace_action){.kind = (enum tspace_action_kind)output->kind,
                                  .text = ""};
    if (output->kind == TSPACE_REPLY) {
        out->call = output->call;
        out->status = (enum plex_status)output->status;
        if (output->owned != NULL)
            out->text = (const char *)output->owned;
        if (output->answer != NULL)
            out->answer = &output->answer->pub;
    } else if (output->kind == TSPACE_NOTIFY) {
        notice_out(core, output, out);
    } else {
        store_out(core, output, out);
    }
    return true;
}
