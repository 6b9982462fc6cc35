/* What a turn was made of, for people. */
#include "cli/past.h"

#include "services/worker/core.h"
#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include <string.h>

enum { RECORD_ARENA = 64 << 20 };

static void
text_put(json_t *view, const char *field, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(view, field, json_string(text));
}

static json_t *
input_view(const struct work_message *m)
{
    static const char *const kinds[] = {"?",     "call",     "cast",
                                        "timer", "reply",    "resolve",
                                        "guard", "activate", "deactivate"};
    json_t *view = json_object(), *headers = json_object();

    text_put(view, "kind",
             m->kind == WORK_EDIT     ? "edit"
             : m->kind == WORK_UPDATE ? "update"
             : m->kind > 8            ? "?"
                                      : kinds[m->kind]);
    text_put(view, "method", m->method);
    text_put(view, "path", m->path);
    text_put(view, "subpath", m->subpath);
    text_put(view, "query", m->query);
    text_put(view, "contentType", m->content_type);
    text_put(view, "sender", m->sender);
    if (m->kind == WORK_TIMER && m->timer[0] < ' ')
        text_put(view, "timer", "of a sleep");
    else
        text_put(view, m->kind == WORK_TIMER ? "timer" : "what", m->timer);
    if (m->reply_status != PLEX_OK)
        text_put(view, "status", plex_status_name(m->reply_status));
    for (size_t i = 0; i < m->n_headers; i++)
        json_object_set_new(headers, m->headers[i].name,
                            json_string(m->headers[i].value));
    if (m->n_headers > 0)
        json_object_set(view, "headers", headers);
    json_decref(headers);
    if (m->payload.len > 0)
        json_object_set_new(view, "payload", past_view_bytes(m->payload));
    return view;
}

static json_t *
commands_view(const struct work_record *record)
{
    static const char *const kinds[] = {"?", "cast", "call", "set timer",
                                        "cancel timer"};
    json_t *view = json_array();

    for (size_t i = 0; i < record->n_commands; i++) {
        const struct work_command *c = &record->commands[i];
        json_t *row = json_object();

        text_put(row, "kind", kinds[c->kind > 4 ? 0 : c->kind]);
        if (c->type[0] != '\0')
            json_object_set_new(row, "to",
                                json_sprintf("%s/%s", c->type, c->key));
        text_put(row, "timer",
                 c->timer[0] == WORK_TIMER_RUN ? "of a sleep" : c->timer);
        if (c->delay_ms > 0)
            json_object_set_new(row, "ms",
                                json_integer((json_int_t)c->delay_ms));
        if (c->payload.len > 0)
            json_object_set_new(row, "payload", past_view_bytes(c->payload));
        else if (c->payload_bytes > 0)
            json_object_set_new(row, "payloadBytes",
                                json_integer((json_int_t)c->payload_bytes));
        json_array_append_new(view, row);
    }
    return view;
}

void
past_view_record(struct plex_bytes packed, json_t *view)
{
    static const char *const said[] = {NULL,
                                       NULL,
                                       "activated",
                                       NULL,
                                       "went on after a commit",
                                       "was run again after a loss"};
    struct work_message message;
    struct plex_arena arena;
    struct work_record record;
    struct plex_err err;

    if (packed.len == 0)
        return;
    plex_arena_init(&arena, RECORD_ARENA);
    if (work_record_unpack(packed, &arena, &record, &err) == PLEX_OK) {
        if (record.input.len > 0 &&
            work_record_input(record.input, &arena, &message, &err) == PLEX_OK)
            json_object_set_new(view, "input", input_view(&message));
        else if (record.input_bytes > 0)
            json_object_set_new(view, "inputBytes",
                                json_integer((json_int_t)record.input_bytes));
        else if (said[record.what] != NULL)
            json_object_set_new(view, "input", json_string(said[record.what]));
        if (record.n_commands > 0)
            json_object_set_new(view, "commands", commands_view(&record));
    }
    plex_arena_fini(&arena);
}
