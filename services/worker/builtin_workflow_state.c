/* The state of a run as an actor: how it is kept, what is told about it. */
#include "services/worker/builtin_workflow.h"

#include "workflow/value.h"
#include "workflow/when.h"

#include <string.h>

enum { STATE_VERSION = 1, STATE_MAX = 8 << 20 };

const char *
work_wf_self(const struct wf *wf)
{
    return plex_self(wf->ctx, NULL, NULL, NULL);
}

const char *
work_wf_text(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

bool
work_wf_ended(const struct wf *wf)
{
    return json_object_get(wf->meta, "ended_ms") != NULL;
}

/* -- state -------------------------------------------------------------------
 */

void
work_wf_forget(struct wf *wf)
{
    flow_run_free(wf->run);
    flow_def_unref(wf->def);
    json_decref(wf->definition);
    json_decref(wf->meta);
    json_decref(wf->history);
    *wf = (struct wf){.ctx = wf->ctx};
}

static int
wf_run_load(struct wf *wf, struct plex_bytes bytes)
{
    struct plex_err err;

    if (bytes.len == 0)
        return 0;
    wf->def = work_definition_parse(wf->definition, &err);
    if (wf->def != NULL &&
        flow_run_decode(wf->def, bytes, &wf->run, &err) == PLEX_OK)
        return 0;
    return plex_fail(wf->ctx, err.text);
}

/* 1: there is a run; 0: there is none; negative: it does not decode. */
int
work_wf_load(struct wf *wf, struct plex_ctx *ctx)
{
    struct flow_reader r = {0};
    struct plex_bytes run;
    const void *state;
    size_t len;

    *wf = (struct wf){.ctx = ctx};
    state = plex_state(ctx, &len);
    if (state == NULL || len == 0)
        return 0;
    r.at = state;
    r.end = r.at + len;
    if (flow_get_u(&r) != STATE_VERSION)
        return plex_fail(ctx, "the run was written by newer code");
    wf->definition = flow_get_value(&r);
    wf->meta = flow_get_value(&r);
    wf->history = flow_get_value(&r);
    run.len = flow_get_max(&r, FLOW_ENCODED_MAX);
    run.data = r.at;
    if (r.bad || run.len > (size_t)(r.end - r.at)) {
        flow_reader_fini(&r);
        return plex_fail(ctx, "the stored run does not decode");
    }
    flow_reader_fini(&r);
    if (json_is_null(wf->definition)) {
        json_decref(wf->definition);
        wf->definition = NULL;
    }
    return wf_run_load(wf, run) == 0 ? 1 : -1;
}

int
work_wf_save(struct wf *wf)
{
    struct plex_buf run = {.max = FLOW_ENCODED_MAX};
    struct plex_buf buf = {.max = STATE_MAX};
    struct flow_writer w = {.buf = &buf};
    struct plex_err err;
    bool ok =
        wf->run == NULL || flow_run_encode(wf->run, &run, &err) == PLEX_OK;
    uint8_t *at;

    flow_put_u(&w, STATE_VERSION);
    flow_put_value(&w, wf->definition);
    flow_put_value(&w, wf->meta);
    flow_put_value(&w, wf->history);
    flow_put_u(&w, run.len);
    at = ok && !w.full ? plex_buf_grow(&buf, run.len) : NULL;
    if (at != NULL && run.len > 0)
        memcpy(at, run.data, run.len);
    if (at != NULL)
        plex_state_put(wf->ctx, buf.data, buf.len);
    flow_writer_fini(&w);
    plex_buf_free(&run);
    plex_buf_free(&buf);
    return at != NULL ? 0
                      : plex_fail(wf->ctx, "the run's state is larger than "
                                           "8 MiB");
}

static void
history_take(struct wf *wf)
{
    struct flow_history h;

    while (flow_run_history(wf->run, &h)) {
        if (json_array_size(wf->history) >= BUILTIN_HISTORY_MAX)
            json_array_remove(wf->history, 0);
        json_array_append_new(
            wf->history,
            json_pack("{s:I, s:I, s:s, s:s, s:I, s:i, s:s}", "seq",
                      (json_int_t)h.seq, "at_ms", (json_int_t)h.at_ms, "what",
                      h.what, "step", h.step, "id", (json_int_t)h.id, "attempt",
                      (int)h.attempt, "detail", h.detail));
    }
}

/* It is forgotten some time after its end, or when so many have ended after
 * it; by how it ended. */
static void
retention_set(struct wf *wf, const char *status, bool final)
{
    const char *outcome =
        strcmp(status, "COMPLETED") == 0 ? "completed"
        : strcmp(status, "FAILED") == 0 || strcmp(status, "TIMED_OUT") == 0
            ? "failed"
            : "cancelled";
    const json_t *kept = json_object_get(wf->meta, "retention");
    const char *text = work_wf_text(kept, outcome);
    char name[32];
    json_int_t max;
    int64_t ms;

    (void)snprintf(name, sizeof name, "%s_max", outcome);
    max = json_integer_value(json_object_get(kept, name));
    if (final && max > 0)
        work_kept_tell(wf->ctx, outcome, work_wf_text(wf->meta, "definition"),
                       work_wf_self(wf), (uint32_t)max);
    if (final && text[0] != '\0' && flow_duration_parse(text, &ms))
        plex_timer_set(wf->ctx, WF_TIMER_RETENTION, (uint64_t)ms, "", 0);
    else if (!final && work_wf_ended(wf))
        plex_timer_cancel(wf->ctx, WF_TIMER_RETENTION);
}

/* All that is left is its actor's name, as if it had never been. */
void
work_wf_erase(struct wf *wf)
{
    work_index_remove(wf->ctx, work_wf_self(wf));
    plex_timer_cancel(wf->ctx, WF_TIMER);
    plex_timer_cancel(wf->ctx, WF_TIMER_RETENTION);
    plex_state_put(wf->ctx, "", 0);
}

void
work_wf_status(struct wf *wf, const char *status, bool final)
{
    json_t *entry;

    if (strcmp(work_wf_text(wf->meta, "status"), status) == 0)
        return;
    retention_set(wf, status, final);
    if (!final) /* also what was reset after its end */
        json_object_del(wf->meta, "ended_ms");
    json_object_set_new(wf->meta, "status", json_string(status));
    if (final)
        json_object_set_new(wf->meta, "ended_ms",
                            json_integer((json_int_t)plex_turn_ms(wf->ctx)));
    entry = json_pack("{s:s, s:s, s:O, s:O, s:O, s:O}", "id", work_wf_self(wf),
                      "status", status, "definition",
                      json_object_get(wf->meta, "definition"), "version",
                      json_object_get(wf->meta, "version"), "labels",
                      json_object_get(wf->meta, "labels"), "started_ms",
                      json_object_get(wf->meta, "started_ms"));
    if (final)
        json_object_set(entry, "ended_ms",
                        json_object_get(wf->meta, "ended_ms"));
    work_index_put(wf->ctx, work_wf_self(wf), entry);
}

/* Everything the engine wants, into this turn. */
int
work_wf_apply(struct wf *wf)
{
    struct flow_command c;
    json_t *next;

    while (flow_run_command(wf->run, &c))
        work_wf_obey(wf, &c);
    history_take(wf);
    work_wf_status(wf, flow_status_name(flow_run_status(wf->run)),
                   flow_status_final(flow_run_status(wf->run)));
    next = json_object_get(wf->meta, "next");
    if (next != NULL && work_wf_ended(wf)) {
        json_incref(next);
        work_wf_forget(wf);
        work_wf_begin(wf, next);
        json_decref(next);
    }
    return work_wf_save(wf);
}

struct flow_now
work_wf_now(struct plex_ctx *ctx)
{
    struct flow_now now = {.ms = (int64_t)plex_turn_ms(ctx)};

    plex_turn_random(ctx, &now.seed, sizeof now.seed);
    return now;
}

json_t *
work_wf_describe(struct wf *wf)
{
    json_t *out = json_pack("{s:s, s:O, s:O, s:O, s:O, s:O}", "execution_id",
                            work_wf_self(wf), "status",
                            json_object_get(wf->meta, "status"), "definition",
                            json_object_get(wf->meta, "definition"), "version",
                            json_object_get(wf->meta, "version"), "labels",
                            json_object_get(wf->meta, "labels"), "started_ms",
                            json_object_get(wf->meta, "started_ms"));
    static const char *const more[] = {"moving", "move_error", "forked_from",
                                       "continued"};
    const char *code = wf->run == NULL ? work_wf_text(wf->meta, "code")
                                       : flow_run_code(wf->run);
    const char *cause = wf->run == NULL ? work_wf_text(wf->meta, "cause")
                                        : flow_run_cause(wf->run);
    json_t *output = wf->run == NULL ? NULL : flow_run_output(wf->run);

    if (json_object_get(wf->meta, "ended_ms") != NULL)
        json_object_set(out, "ended_ms", json_object_get(wf->meta, "ended_ms"));
    if (output != NULL)
        json_object_set(out, "output", output);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (json_object_get(wf->meta, more[i]) != NULL)
            json_object_set(out, more[i], json_object_get(wf->meta, more[i]));
    if (code[0] != '\0')
        json_object_update_new(
            out, json_pack("{s:s, s:s}", "error", code, "cause", cause));
    return out;
}

int
work_wf_look(struct wf *wf, const json_t *request)
{
    const bool waits = json_is_true(json_object_get(request, "wait"));

    return work_builtin_reply(wf->ctx, waits && !work_wf_ended(wf) ? 202 : 200,
                              work_wf_describe(wf));
}
