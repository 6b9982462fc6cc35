#ifndef TESTS_WORKFLOW_SCRIPT_H
#define TESTS_WORKFLOW_SCRIPT_H

/* One run at a time, and what tests say to it and of it, in few words. */
#include "tests/unit/workflow/world.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct plex_err err;

static inline void
begin(const char *text, const char *input, int crash)
{
    struct flow_def *def = world_def(text);
    json_t *value = json_loads(input, JSON_DECODE_ANY, NULL);

    world_open(&w, def);
    w.crash = crash != 0;
    ck_assert_int_eq(world_start(&w, value, &err), PLEX_OK);
    json_decref(value);
    flow_def_unref(def);
}

static inline enum plex_status
send(enum flow_event_kind kind, const char *name, const char *value)
{
    struct flow_event event = {.kind = kind, .name = name, .cause = name};
    enum plex_status status;

    event.value =
        value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    err.text[0] = '\0';
    status = world_event(&w, &event, &err);
    json_decref(event.value);
    return status;
}

static inline enum plex_status
decide(const char *step, bool yes, const char *value)
{
    struct flow_event event = {
        .kind = FLOW_EVENT_APPROVAL, .name = step, .ok = yes};
    enum plex_status status;

    event.value = json_loads(value, 0, NULL);
    status = world_event(&w, &event, &err);
    json_decref(event.value);
    return status;
}

static inline void
is(enum flow_status status)
{
    ck_assert_msg(flow_run_status(w.run) == status, "%s: %s %s\n%s%s",
                  flow_status_name(flow_run_status(w.run)), w.code, w.cause,
                  world_past(&w), world_log(&w));
}

static inline void
output_is(const char *want)
{
    char *text;

    is(FLOW_COMPLETED);
    text = flow_value_text(w.output);
    ck_assert_str_eq(text, want);
    free(text);
}

static inline void
query_is(const char *name, const char *path, const char *want)
{
    json_t *value = flow_run_query(w.run, name, w.now.ms, &err), *at = value;
    char copy[64], *part, *rest = copy, *text;

    ck_assert_msg(value != NULL, "%s: %s", name, err.text);
    (void)snprintf(copy, sizeof copy, "%s", path);
    while ((part = strsep(&rest, "/")) != NULL && part[0] != '\0')
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part))
                               : json_object_get(at, part);
    text = flow_value_text(at);
    ck_assert_msg(strcmp(text, want) == 0, "%s %s: %s", name, path, text);
    free(text);
    json_decref(value);
}

#endif
