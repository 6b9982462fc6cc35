/* How runs begin: from a definition, as a child, as a fork of another; and how
 * they move to another version of it. */
#include "services/worker/builtin_workflow.h"

#include "common/mem.h"
#include "common/name.h"
#include "workflow/value.h"

#include <stdlib.h>
#include <string.h>

enum { DEFINITION_MS = 60000 };

/* -- starting -------------------------------------------------------------- */

static void
ask_definition(struct wf *wf, const char *version, uint64_t tag)
{
    json_t *get = json_pack("{s:s, s:O, s:s, s:b}", "action", "get", "id",
                            json_object_get(wf->meta, "definition"), "version",
                            version, "for_run", 1);
    char *text = json_dumps(get, JSON_COMPACT);

    json_decref(get);
    if (text != NULL)
        plex_call(wf->ctx, "workflow-catalog", "definitions", text,
                  strlen(text), DEFINITION_MS, tag);
    free(text);
}

static json_t *
early_of(const json_t *request)
{
    json_t *signal = json_object_get(request, "signal");

    return json_is_object(signal) ? json_pack("[O]", signal) : json_array();
}

void
work_wf_begin(struct wf *wf, const json_t *request)
{
    json_t *input = json_object_get(request, "input");
    json_t *labels = json_object_get(request, "labels");

    wf->meta = json_pack("{s:s, s:s, s:O, s:O, s:I, s:o}", "definition",
                         work_wf_text(request, "definition"), "version",
                         work_wf_text(request, "version"), "input",
                         input == NULL ? json_null() : input, "labels",
                         json_is_object(labels) ? labels : json_null(),
                         "started_ms", (json_int_t)plex_turn_ms(wf->ctx),
                         "early", early_of(request));
    if (json_is_object(json_object_get(request, "parent")))
        json_object_set(wf->meta, "parent", json_object_get(request, "parent"));
    wf->history = json_array();
    work_wf_status(wf, "PENDING", false);
    ask_definition(wf, work_wf_text(request, "version"), WF_TAG_DEFINITION);
}

static bool
start_valid(struct wf *wf, const json_t *request)
{
    const json_t *input = json_object_get(request, "input");
    const json_t *signal = json_object_get(request, "signal");

    if (work_wf_text(request, "definition")[0] == '\0')
        plex_reply_problem(wf->ctx, 400,
                           "definition is missing: the id of one that exists");
    else if (input != NULL &&
             flow_value_size(input, FLOW_VALUE_MAX) > FLOW_VALUE_MAX)
        plex_reply_problem(wf->ctx, 413, "the input is larger than 256 KiB");
    else if (signal != NULL && work_wf_text(signal, "name")[0] == '\0')
        plex_reply_problem(wf->ctx, 400,
                           "signal must be {\"name\", \"value\"}");
    else
        return true;
    return false;
}

int
work_wf_start(struct wf *wf, const json_t *request)
{
    if (!start_valid(wf, request))
        return 0;
    work_wf_begin(wf, request);
    if (work_wf_save(wf) != 0)
        return -1;
    return work_wf_look(wf, request);
}

/* Somebody who waits for its runs asks for one whose id is taken. */
static int
start_for_parent(struct wf *wf, const json_t *request, const json_t *parent)
{
    const json_t *known = json_object_get(wf->meta, "parent");
    const bool same =
        json_is_object(known) && strcmp(work_wf_text(known, "execution"),
                                        work_wf_text(parent, "execution")) == 0;

    if (!same || strcmp(work_wf_text(known, "type"),
                        work_wf_text(parent, "type")) != 0) {
        work_wf_refuse_parent(wf, parent, "EXISTS",
                              "a run with this id is another's");
    } else if (json_equal((json_t *)(uintptr_t)known,
                          (json_t *)(uintptr_t)parent) ||
               work_wf_text(parent, "type")[0] != '\0') {
        /* Asked twice; or an occurrence of a schedule: one run each. */
        json_object_set(wf->meta, "parent", (json_t *)(uintptr_t)parent);
        if (work_wf_ended(wf))
            work_wf_tell(wf, parent);
        return work_wf_save(wf);
    } else if (!work_wf_ended(wf)) {
        /* Another try, while the last one is still being stopped. */
        json_object_set(wf->meta, "next", (json_t *)(uintptr_t)request);
        return work_wf_save(wf);
    } else {
        work_wf_forget(wf);
        work_wf_begin(wf, request);
        return work_wf_save(wf);
    }
    return 0;
}

int
work_wf_start_again(struct wf *wf, const json_t *request)
{
    const json_t *input = json_object_get(request, "input");
    const json_t *first = json_object_get(wf->meta, "input");
    const json_t *parent = json_object_get(request, "parent");

    if (json_is_object(parent))
        return start_for_parent(wf, request, parent);
    if (strcmp(work_wf_text(request, "definition"),
               work_wf_text(wf->meta, "definition")) != 0 ||
        !flow_value_equal(input == NULL ? json_null() : input, first)) {
        plex_reply_problem(wf->ctx, 409,
                           "execution \"%.100s\" exists with another "
                           "definition or input",
                           work_wf_self(wf));
        return 0;
    }
    return work_wf_look(wf, request);
}

int
work_wf_never(struct wf *wf, const char *status, const char *code,
              const char *cause)
{
    json_object_set_new(wf->meta, "code", json_string(code));
    json_object_set_new(wf->meta, "cause", json_string(cause));
    json_object_del(wf->meta, "early");
    work_wf_status(wf, status, true);
    work_wf_tell(wf, json_object_get(wf->meta, "parent"));
    return work_wf_save(wf);
}

/* The signals that came before it began. */
static void
early_deliver(struct wf *wf, const struct flow_now *now)
{
    json_t *early = json_object_get(wf->meta, "early"), *signal;
    struct plex_err err;
    size_t i;

    json_array_foreach(early, i, signal)
    {
        const struct flow_event event = {.kind = FLOW_EVENT_SIGNAL,
                                         .name = work_wf_text(signal, "name"),
                                         .value =
                                             json_object_get(signal, "value")};

        if (flow_run_event(wf->run, &event, now, &err) != PLEX_OK)
            break; /* it has ended */
    }
    json_object_del(wf->meta, "early");
}

static int
begin_run(struct wf *wf)
{
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_err err;

    json_object_set(wf->meta, "version",
                    json_object_get(wf->definition, "version"));
    wf->def = work_definition_parse(wf->definition, &err);
    if (wf->def == NULL)
        return work_wf_never(wf, "FAILED", "INVALID", err.text);
    wf->run = flow_run_create(wf->def, work_wf_self(wf));
    if (flow_run_start(wf->run, json_object_get(wf->meta, "input"), &now,
                       &err) != PLEX_OK) {
        flow_run_free(wf->run);
        wf->run = NULL;
        return work_wf_never(wf, "FAILED", plex_status_name(err.status),
                             err.text);
    }
    early_deliver(wf, &now);
    return work_wf_apply(wf);
}

/* -- another version ------------------------------------------------------- */

int
work_wf_move(struct wf *wf, const json_t *request)
{
    const char *version = work_wf_text(request, "version");

    if (wf->run == NULL || work_wf_ended(wf)) {
        plex_reply_problem(wf->ctx, 409, "the run is %s",
                           work_wf_text(wf->meta, "status"));
        return 0;
    }
    json_object_set_new(
        wf->meta, "moving",
        json_string(version[0] == '\0' ? "the newest" : version));
    json_object_del(wf->meta, "move_error");
    ask_definition(wf, version, WF_TAG_MOVE);
    if (work_wf_save(wf) != 0)
        return -1;
    return work_builtin_reply(wf->ctx, 202, work_wf_describe(wf));
}

int
work_wf_check_move(struct wf *wf, const json_t *request)
{
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_err err = {.text = ""};
    struct flow_def *def = work_definition_parse(request, &err);
    const char *mine = work_wf_text(wf->definition, "id");
    bool fits = true;

    if (def == NULL)
        return work_builtin_refuse(wf->ctx, &err);
    if (wf->run != NULL && !work_wf_ended(wf)) {
        fits = false;
        if (strcmp(flow_def_id(def), mine) != 0)
            (void)plex_err_set(&err, PLEX_CONFLICT,
                               "it is a run of \"%.100s\", not of \"%.100s\"",
                               mine, flow_def_id(def));
        else /* of what was read for this message, and is not written */
            fits = flow_run_move(wf->run, def, &now, &err) == PLEX_OK;
    }
    flow_def_unref(def);
    return work_builtin_reply(
        wf->ctx, 200,
        json_pack("{s:s, s:s, s:b, s:s}", "execution_id", work_wf_self(wf),
                  "version", work_wf_text(wf->meta, "version"), "fits", fits,
                  "why", fits ? "" : err.text));
}

/* Takes the reference to `definition`, which may be NULL. */
static int
moved(struct wf *wf, json_t *definition)
{
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_err err = {.text = "no such version"};
    struct flow_def *def =
        definition == NULL ? NULL : work_definition_parse(definition, &err);

    json_object_del(wf->meta, "moving");
    if (def != NULL && flow_run_move(wf->run, def, &now, &err) == PLEX_OK) {
        json_decref(wf->definition);
        wf->definition = json_incref(definition);
        json_object_set(wf->meta, "version",
                        json_object_get(definition, "version"));
    } else {
        json_object_set_new(wf->meta, "move_error", json_string(err.text));
    }
    flow_def_unref(def);
    json_decref(definition);
    return work_wf_apply(wf);
}

int
work_wf_definition(struct wf *wf, uint64_t tag, enum plex_result_status status,
                   const void *payload, size_t len)
{
    json_t *reply, *definition, *retention;

    reply = status == PLEX_CALL_OK ? json_loadb(payload, len, 0, NULL) : NULL;
    definition = json_incref(json_object_get(reply, "definition"));
    retention = json_incref(json_object_get(reply, "retention"));
    json_decref(reply);
    if (tag == WF_TAG_MOVE && wf->run != NULL) {
        json_decref(retention);
        return moved(wf, definition);
    }
    if (tag == WF_TAG_MOVE || wf->run != NULL || wf->definition != NULL ||
        work_wf_ended(wf)) {
        json_decref(retention);
        json_decref(definition);
        return 0;
    }
    wf->definition = definition;
    if (retention != NULL)
        json_object_set(wf->meta, "retention", retention);
    json_decref(retention);
    if (definition == NULL)
        return work_wf_never(wf, "FAILED", "NOT_FOUND",
                             status == PLEX_CALL_OK
                                 ? "no such definition"
                                 : "the definitions could not be read");
    return begin_run(wf);
}

/* -- forks ----------------------------------------------------------------- */

static char *
hex_of(struct plex_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = plex_calloc(1, bytes.len * 2 + 1);

    for (size_t i = 0; i < bytes.len; i++) {
        text[i * 2] = digits[bytes.data[i] >> 4];
        text[i * 2 + 1] = digits[bytes.data[i] & 15];
    }
    return text;
}

static bool
unhex(const char *text, struct plex_buf *out)
{
    const size_t len = strlen(text);
    uint8_t *at = len % 2 != 0 ? NULL : plex_buf_grow(out, len / 2);

    for (size_t i = 0; at != NULL && i < len; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;

        if (digit < 0)
            return false;
        at[i / 2] = (uint8_t)(at[i / 2] << 4 | digit);
    }
    return at != NULL;
}

/* The other run gets all that this one has done and leaves out what it does
 * again; whether that goes is found out here, where somebody waits. */
int
work_wf_fork(struct wf *wf, const json_t *request)
{
    const char *id = work_wf_text(request, "execution_id");
    const char *step = work_wf_text(request, "step");
    const struct flow_now now = work_wf_now(wf->ctx);
    json_t *kept = json_object_get(wf->meta, "retention");
    struct plex_buf buf = {.max = WF_FORK_MAX};
    struct flow_run *fork = NULL;
    struct plex_err err;
    char *hex;

    if (wf->run == NULL) {
        plex_reply_problem(wf->ctx, 409, "the run is %s",
                           work_wf_text(wf->meta, "status"));
        return 0;
    }
    if (plex_name_key(id, strlen(id), &err) != PLEX_OK ||
        flow_run_fork(wf->run, id, step, &now, &fork, &err) != PLEX_OK ||
        flow_run_encode(wf->run, &buf, &err) != PLEX_OK) {
        flow_run_free(fork);
        plex_buf_free(&buf);
        return work_builtin_refuse(wf->ctx, &err);
    }
    flow_run_free(fork);
    hex = hex_of((struct plex_bytes){buf.data, buf.len});
    plex_buf_free(&buf);
    work_builtin_cast(wf->ctx, "workflow", id,
                      json_pack("{s:s, s:O, s:O, s:O, s:s, s:s, s:s, s:O}",
                                "action", "adopt", "definition", wf->definition,
                                "input", json_object_get(wf->meta, "input"),
                                "labels", json_object_get(wf->meta, "labels"),
                                "state", hex, "step", step, "from",
                                work_wf_self(wf), "retention",
                                kept == NULL ? json_null() : kept));
    free(hex);
    return work_builtin_reply(wf->ctx, 202,
                              json_pack("{s:s, s:s, s:s}", "execution_id", id,
                                        "forked_from", work_wf_self(wf), "step",
                                        step));
}

int
work_wf_adopt(struct wf *wf, const json_t *request)
{
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_buf buf = {.max = WF_FORK_MAX};
    struct flow_run *from = NULL;
    struct plex_err err = {.text = "the state is no text of hex digits"};
    bool ok;

    wf->definition = json_incref(json_object_get(request, "definition"));
    wf->meta = json_pack("{s:s, s:s, s:O, s:O, s:I, s:s}", "definition",
                         work_wf_text(wf->definition, "id"), "version",
                         work_wf_text(wf->definition, "version"), "input",
                         json_object_get(request, "input"), "labels",
                         json_object_get(request, "labels"), "started_ms",
                         (json_int_t)plex_turn_ms(wf->ctx), "forked_from",
                         work_wf_text(request, "from"));
    if (wf->meta == NULL) {
        plex_reply_problem(wf->ctx, 400, "a run adopts what another sends");
        return 0;
    }
    if (json_is_object(json_object_get(request, "retention")))
        json_object_set(wf->meta, "retention",
                        json_object_get(request, "retention"));
    wf->history = json_array();
    wf->def = work_definition_parse(wf->definition, &err);
    ok = wf->def != NULL && unhex(work_wf_text(request, "state"), &buf) &&
         flow_run_decode(wf->def, (struct plex_bytes){buf.data, buf.len}, &from,
                         &err) == PLEX_OK &&
         flow_run_fork(from, work_wf_self(wf), work_wf_text(request, "step"),
                       &now, &wf->run, &err) == PLEX_OK;
    flow_run_free(from);
    plex_buf_free(&buf);
    if (!ok)
        return work_wf_never(wf, "FAILED", "INVALID", err.text);
    return work_wf_apply(wf);
}
