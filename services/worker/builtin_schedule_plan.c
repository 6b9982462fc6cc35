/* What a schedule's specification means, and what is wrong with it. */
#include "services/worker/builtin_schedule.h"

#include "common/name.h"
#include "workflow/when.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZONE_MAX = 64 << 10 };
#define DAY_MS ((int64_t)86400000)
#define YEAR_MS (366 * DAY_MS)

static const char *
text_of(const json_t *spec, const char *field)
{
    const char *text = json_string_value(json_object_get(spec, field));

    return text == NULL ? "" : text;
}

/* FIELD, a duration as text, or FIELD_ms; *out stays when there is none. */
static enum plex_status
duration_of(const json_t *spec, const char *field, int64_t max, int64_t *out,
            struct plex_err *err)
{
    const char *text = text_of(spec, field);
    char name[32];
    const json_t *ms;

    (void)snprintf(name, sizeof name, "%s_ms", field);
    ms = json_object_get(spec, name);
    if (json_is_integer(ms))
        *out = json_integer_value(ms);
    else if (text[0] != '\0' && !flow_duration_parse(text, out))
        return plex_err_set(err, PLEX_INVALID,
                            "%s \"%.40s\" is no duration such as 90s or 1h30m",
                            field, text);
    if (*out < 0 || *out > max)
        return plex_err_set(err, PLEX_INVALID, "%s must be 0 to %lld ms", field,
                            (long long)max);
    return PLEX_OK;
}

static enum plex_status
time_of(const json_t *spec, const char *field, int64_t *out,
        struct plex_err *err)
{
    const char *text = text_of(spec, field);
    char name[32];
    const json_t *ms;

    (void)snprintf(name, sizeof name, "%s_ms", field);
    ms = json_object_get(spec, name);
    if (json_is_integer(ms))
        *out = json_integer_value(ms);
    else if (text[0] != '\0' && !flow_time_parse(text, out))
        return plex_err_set(err, PLEX_INVALID,
                            "%s \"%.40s\" is no time such as "
                            "2026-12-01T08:00:00Z",
                            field, text);
    return *out >= 0
               ? PLEX_OK
               : plex_err_set(err, PLEX_INVALID, "%s is before 1970", field);
}

static bool
zone_name_valid(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("_-+/", *c) == NULL)
            return false;
    return name[0] != '/' && strlen(name) < 64;
}

static enum plex_status
zone_read(const char *name, struct flow_zone **out, struct plex_err *err)
{
    const char *dir = getenv("TZDIR");
    enum plex_status status;
    char path[512];
    FILE *file;
    char *data;
    size_t len;

    if (!zone_name_valid(name))
        return plex_err_set(err, PLEX_INVALID,
                            "time_zone is \"%.60s\"; Europe/Berlin, UTC and "
                            "+05:30 are such",
                            name);
    (void)snprintf(path, sizeof path, "%.400s/%s",
                   dir == NULL ? "/usr/share/zoneinfo" : dir, name);
    file = fopen(path, "rb");
    data = malloc(ZONE_MAX);
    len = file == NULL || data == NULL ? 0 : fread(data, 1, ZONE_MAX, file);
    if (file != NULL)
        (void)fclose(file);
    status = len > 0
                 ? flow_zone_parse(data, len, out, err)
                 : plex_err_set(err, PLEX_INVALID,
                                "time_zone \"%.60s\" is not known here", name);
    free(data);
    return status;
}

static enum plex_status
zone_of(const json_t *spec, struct flow_zone **out, struct plex_err *err)
{
    const char *name = text_of(spec, "time_zone");
    struct plex_err ignored;

    if (name[0] == '\0')
        name = "UTC";
    if (flow_zone_fixed(name, out, &ignored) == PLEX_OK)
        return PLEX_OK;
    return zone_read(name, out, err);
}

static enum plex_status
overlap_of(const json_t *spec, enum flow_overlap *out, struct plex_err *err)
{
    static const char *const names[] = {"skip", "buffer_one", "buffer_all",
                                        "allow", "cancel"};
    const char *text = text_of(spec, "overlap");

    *out = FLOW_OVERLAP_SKIP;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum flow_overlap)i;
            return PLEX_OK;
        }
    }
    return text[0] == '\0'
               ? PLEX_OK
               : plex_err_set(err, PLEX_INVALID,
                              "overlap is \"%.40s\"; skip, buffer_one, "
                              "buffer_all, allow and cancel are known",
                              text);
}

/* One of cron, every and at. */
static enum plex_status
when_of(const json_t *spec, int64_t anchor_ms, struct flow_schedule *when,
        struct plex_err *err)
{
    const char *cron = text_of(spec, "cron");
    int64_t at = 0;

    if (duration_of(spec, "every", YEAR_MS, &when->every_ms, err) != PLEX_OK ||
        time_of(spec, "at", &at, err) != PLEX_OK ||
        time_of(spec, "start_at", &when->start_ms, err) != PLEX_OK ||
        time_of(spec, "end_at", &when->end_ms, err) != PLEX_OK)
        return err->status;
    if (when->every_ms == 0 &&
        (text_of(spec, "every")[0] != '\0' ||
         json_is_integer(json_object_get(spec, "every_ms"))))
        return plex_err_set(err, PLEX_INVALID, "every must be 1 ms or more");
    if ((cron[0] != '\0') + (when->every_ms > 0) + (at > 0) != 1)
        return plex_err_set(err, PLEX_INVALID,
                            "one of cron, every and at is needed");
    when->by_cron = cron[0] != '\0';
    if (when->by_cron)
        return flow_cron_parse(cron, &when->cron, err);
    if (at > 0) {
        when->start_ms = at;
        when->every_ms = INT64_MAX; /* never a second time */
        when->max_count = 1;
    } else if (when->start_ms == 0) {
        when->start_ms = anchor_ms;
    }
    return PLEX_OK;
}

static enum plex_status
actor_of(const json_t *spec, struct schedule_plan *plan, struct plex_err *err)
{
    const char *actor = text_of(spec, "actor");
    const char *slash = strchr(actor, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - actor);

    if (slash == NULL || len >= sizeof plan->type)
        return plex_err_set(err, PLEX_INVALID,
                            "workflow, a definition's id, or actor, TYPE/KEY, "
                            "is needed");
    memcpy(plan->type, actor, len);
    plan->type[len] = '\0';
    plan->key = slash + 1;
    plan->method = text_of(spec, "method");
    plan->call = json_is_true(json_object_get(spec, "wait"));
    plan->timeout_ms = 60000;
    if (plex_name_type(plan->type, len, err) != PLEX_OK ||
        plex_name_key(plan->key, strlen(plan->key), err) != PLEX_OK)
        return err->status;
    return duration_of(spec, "timeout", 3600000, &plan->timeout_ms, err);
}

static enum plex_status
known_fields(const json_t *spec, struct plex_err *err)
{
    static const char *const known[] = {
        "cron",     "every",   "every_ms",  "at",          "at_ms",
        "start_at", "end_at",  "time_zone", "catch_up",    "catch_up_ms",
        "jitter",   "overlap", "jitter_ms", "workflow",    "version",
        "actor",    "method",  "wait",      "timeout",     "timeout_ms",
        "input",    "note",    "end_at_ms", "start_at_ms", "max_occurrences"};
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)spec, name, value)
    {
        size_t i = 0;

        while (i < sizeof known / sizeof known[0] &&
               strcmp(known[i], name) != 0)
            i++;
        if (i == sizeof known / sizeof known[0])
            return plex_err_set(err, PLEX_INVALID,
                                "field \"%.60s\" is not known", name);
    }
    return PLEX_OK;
}

enum plex_status
work_schedule_plan(const json_t *spec, int64_t anchor_ms,
                   struct schedule_plan *out, struct plex_err *err)
{
    const json_t *max = json_object_get(spec, "max_occurrences");
    struct flow_schedule *when = &out->when;

    *out = (struct schedule_plan){.input = json_object_get(spec, "input")};
    if (json_integer_value(max) < 0)
        return plex_err_set(err, PLEX_INVALID, "max_occurrences is negative");
    when->max_count = (uint64_t)json_integer_value(max);
    when->catchup_ms =
        text_of(spec, "at")[0] == '\0' && json_object_get(spec, "at_ms") == NULL
            ? DAY_MS
            : 0; /* what is to come once comes, if late */
    if (known_fields(spec, err) != PLEX_OK ||
        duration_of(spec, "catch_up", YEAR_MS, &when->catchup_ms, err) !=
            PLEX_OK ||
        duration_of(spec, "jitter", DAY_MS, &when->jitter_ms, err) != PLEX_OK ||
        overlap_of(spec, &when->overlap, err) != PLEX_OK ||
        when_of(spec, anchor_ms, when, err) != PLEX_OK)
        return err->status;
    out->workflow = json_string_value(json_object_get(spec, "workflow"));
    out->version = text_of(spec, "version");
    if (out->workflow == NULL && actor_of(spec, out, err) != PLEX_OK)
        return err->status;
    return zone_of(spec, &out->zone, err);
}

void
work_schedule_plan_fini(struct schedule_plan *plan)
{
    flow_zone_free(plan->zone);
    plan->zone = NULL;
}

json_t *
work_schedule_input(const struct schedule_plan *plan, const char *id,
                    const char *occurrence, int64_t nominal_ms)
{
    json_t *out =
        json_is_object(plan->input) ? json_copy(plan->input) : json_object();
    char at[FLOW_TIME_TEXT];

    flow_time_format(nominal_ms, at);
    if (plan->input != NULL && !json_is_object(plan->input))
        json_object_set(out, "input", plan->input);
    json_object_set_new(out, "schedule",
                        json_pack("{s:s, s:s, s:s, s:I}", "id", id,
                                  "occurrence", occurrence, "at", at, "at_ms",
                                  (json_int_t)nominal_ms));
    if (plan->workflow == NULL && plan->method[0] != '\0')
        json_object_set_new(out, "action", json_string(plan->method));
    return out;
}
