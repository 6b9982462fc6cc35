/* Definitions of workflows of one namespace, by id and version. The state is
 * their JSON: {ID: {VERSION: {"language","id","version","text","name",
 * "labels","created_ms"}}}, and under RETENTION, which is no id, how long
 * executions are kept after their end. */
#include "services/worker/builtin_private.h"
#include "workflow/when.h"

#include <stdlib.h>
#include <string.h>

enum { CATALOG_MAX = 1000, VERSIONS_MAX = 100, PAGE_MAX = 1000 };
#define RETENTION "~retention"
#define RETENTION_MAX_MS ((int64_t)3650 * 24 * 3600 * 1000)

struct flow_def *
work_definition_parse(const json_t *definition, struct plex_err *err)
{
    const char *text = json_string_value(json_object_get(definition, "text"));
    const char *language =
        json_string_value(json_object_get(definition, "language"));
    struct flow_def *def;

    if (text == NULL) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "text is missing: the definition in YAML or JSON");
        return NULL;
    }
    if (language != NULL && strcmp(language, "asl") == 0) {
        const struct flow_asl_options options = {
            .id = json_string_value(json_object_get(definition, "id")),
            .version =
                json_string_value(json_object_get(definition, "version")),
            .resources = json_object_get(definition, "resources"),
        };

        if (options.id == NULL) {
            (void)plex_err_set(err, PLEX_INVALID,
                               "id is missing: a state machine has none of its "
                               "own");
            return NULL;
        }
        return flow_asl_parse(text, strlen(text), &options, &def, err) ==
                       PLEX_OK
                   ? def
                   : NULL;
    }
    if (language != NULL && language[0] != '\0' &&
        strcmp(language, "native") != 0) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "language is \"%.40s\"; native and asl are known",
                           language);
        return NULL;
    }
    return flow_def_parse(text, strlen(text), &def, err) == PLEX_OK ? def
                                                                    : NULL;
}

static json_t *
catalog_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    json_t *catalog = state == NULL ? NULL : json_loadb(state, len, 0, NULL);

    return catalog == NULL ? json_object() : catalog;
}

static int
catalog_save(struct plex_ctx *ctx, const json_t *catalog)
{
    char *text = json_dumps(catalog, JSON_COMPACT);

    if (text == NULL || strlen(text) > (8u << 20)) {
        free(text);
        plex_reply_problem(ctx, 413,
                           "the definitions of a namespace may have 8 MiB");
        return -1;
    }
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

/* The newest version of `versions`, or NULL. */
static json_t *
newest(json_t *versions)
{
    const char *version, *best = NULL;
    json_t *entry, *found = NULL;

    json_object_foreach(versions, version, entry)
    {
        if (best == NULL || flow_semver_compare(version, best) > 0) {
            best = version;
            found = entry;
        }
    }
    return found;
}

static json_t *
find(json_t *catalog, const json_t *request)
{
    const char *id = json_string_value(json_object_get(request, "id"));
    const char *version =
        json_string_value(json_object_get(request, "version"));
    json_t *versions = id == NULL ? NULL : json_object_get(catalog, id);

    if (version == NULL || version[0] == '\0')
        return newest(versions);
    return json_object_get(versions, version);
}

/* Every turn that parses sees the same text: only what is right is kept. */
static int
create(struct plex_ctx *ctx, json_t *catalog, const json_t *request,
       bool replace)
{
    struct plex_err err;
    struct flow_def *def = work_definition_parse(request, &err);
    const char *language =
        json_string_value(json_object_get(request, "language"));
    json_t *versions, *entry;
    bool exists;

    if (def == NULL)
        return work_builtin_refuse(ctx, &err);
    versions = json_object_get(catalog, flow_def_id(def));
    exists = json_object_get(versions, flow_def_version(def)) != NULL;
    if ((exists && !replace) ||
        (versions == NULL && json_object_size(catalog) >= CATALOG_MAX) ||
        (!exists && json_object_size(versions) >= VERSIONS_MAX)) {
        plex_reply_problem(ctx, 409,
                           exists
                               ? "%s %s exists; give it another version, or PUT"
                               : "%s %s would be one definition too many: 1000 "
                                 "with 100 versions each are allowed",
                           flow_def_id(def), flow_def_version(def));
        flow_def_unref(def);
        return 0;
    }
    if (versions == NULL) {
        versions = json_object();
        json_object_set_new(catalog, flow_def_id(def), versions);
    }
    entry = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:O, s:I}", "language",
        language == NULL || language[0] == '\0' ? "native" : language, "id",
        flow_def_id(def), "version", flow_def_version(def), "name",
        flow_def_name(def), "text",
        json_string_value(json_object_get(request, "text")), "labels",
        flow_def_labels(def), "created_ms", (json_int_t)plex_turn_ms(ctx));
    if (entry != NULL && json_object_get(request, "resources") != NULL)
        json_object_set(entry, "resources",
                        json_object_get(request, "resources"));
    json_object_set(versions, flow_def_version(def), entry);
    flow_def_unref(def);
    if (catalog_save(ctx, catalog) != 0) {
        json_decref(entry);
        return 0;
    }
    json_object_del(entry, "text"); /* after it was saved */
    return work_builtin_reply(ctx, 200,
                              json_pack("{s:o}", "definition", entry));
}

static int
list(struct plex_ctx *ctx, const json_t *catalog, const json_t *request)
{
    const char *prefix = json_string_value(json_object_get(request, "prefix"));
    const char *labels = json_string_value(json_object_get(request, "labels"));
    json_t *out, *versions, *entry;
    const char *id, *version;

    labels = labels == NULL ? "" : labels;
    if (work_labels_match(NULL, labels) < 0) {
        plex_reply_problem(ctx, 400,
                           "labels is NAME=VALUE, several with commas");
        return 0;
    }
    out = json_array();
    json_object_foreach((json_t *)(uintptr_t)catalog, id, versions)
    {
        if (strcmp(id, RETENTION) == 0)
            continue;
        if (prefix != NULL && strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        json_object_foreach(versions, version, entry)
        {
            json_t *row;

            if (work_labels_match(json_object_get(entry, "labels"), labels) !=
                1)
                continue;
            row = json_copy(entry);
            json_object_del(row, "text");
            json_array_append_new(out, row);
        }
    }
    return work_builtin_reply(ctx, 200, json_pack("{s:o}", "definitions", out));
}

static int delete (struct plex_ctx *ctx, json_t *catalog, const json_t *request)
{
    const char *id = json_string_value(json_object_get(request, "id"));
    const char *version =
        json_string_value(json_object_get(request, "version"));
    json_t *versions = id == NULL ? NULL : json_object_get(catalog, id);

    if (find(catalog, request) == NULL) {
        plex_reply_problem(ctx, 404, "no such definition");
        return 0;
    }
    if (version == NULL || version[0] == '\0')
        json_object_del(catalog, id);
    else
        json_object_del(versions, version);
    if (json_object_size(json_object_get(catalog, id)) == 0)
        json_object_del(catalog, id);
    if (catalog_save(ctx, catalog) != 0)
        return 0;
    return work_builtin_reply(ctx, 200, json_object());
}

/* -- how long ended executions are kept -------------------------------------
 */

static const char *const outcomes[] = {"completed", "failed", "cancelled"};

static int
retention_reply(struct plex_ctx *ctx, const json_t *catalog)
{
    json_t *kept = json_object_get(catalog, RETENTION);

    return work_builtin_reply(
        ctx, 200,
        json_pack("{s:o}", "retention",
                  kept == NULL ? json_object() : json_incref(kept)));
}

/* OUTCOME_max; false: the reply says what is wrong. */
static bool
retention_max(struct plex_ctx *ctx, const char *outcome, const json_t *request,
              json_t *kept)
{
    char name[32];
    json_int_t max;

    (void)snprintf(name, sizeof name, "%s_max", outcome);
    max = json_integer_value(json_object_get(request, name));
    if (max < 0 || max > BUILTIN_KEPT_MAX) {
        plex_reply_problem(ctx, 400, "%s is %lld; 1 to %d runs can be kept",
                           name, (long long)max, BUILTIN_KEPT_MAX);
        return false;
    }
    if (max > 0)
        json_object_set_new(kept, name, json_integer(max));
    return true;
}

static int
retention_set(struct plex_ctx *ctx, json_t *catalog, const json_t *request)
{
    json_t *kept = json_object();
    int64_t ms;

    for (size_t i = 0; i < 3; i++) {
        const char *text =
            json_string_value(json_object_get(request, outcomes[i]));

        if (!retention_max(ctx, outcomes[i], request, kept)) {
            json_decref(kept);
            return 0;
        }
        if (text == NULL || text[0] == '\0')
            continue;
        if (!flow_duration_parse(text, &ms) || ms < 1 ||
            ms > RETENTION_MAX_MS) {
            plex_reply_problem(ctx, 400,
                               "%s is \"%.40s\"; a duration such as 12h or "
                               "30d, at most 3650d, was expected",
                               outcomes[i], text);
            json_decref(kept);
            return 0;
        }
        json_object_set_new(kept, outcomes[i], json_string(text));
    }
    json_object_set_new(catalog, RETENTION, kept);
    if (catalog_save(ctx, catalog) != 0)
        return 0;
    return retention_reply(ctx, catalog);
}

/* A run asks for its definition, and how long it will be kept. */
static int
get(struct plex_ctx *ctx, json_t *catalog, const json_t *request)
{
    json_t *found = find(catalog, request), *reply;

    if (found == NULL) {
        plex_reply_problem(ctx, 404, "no such definition");
        return 0;
    }
    reply = json_pack("{s:O}", "definition", found);
    if (json_is_true(json_object_get(request, "for_run")) &&
        json_object_get(catalog, RETENTION) != NULL)
        json_object_set(reply, "retention",
                        json_object_get(catalog, RETENTION));
    return work_builtin_reply(ctx, 200, reply);
}

int
work_catalog_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *catalog;
    int status = 0;

    if (request == NULL)
        return 0;
    catalog = catalog_load(ctx);
    if (strcmp(action, "create") == 0) {
        status = create(ctx, catalog, request,
                        json_is_true(json_object_get(request, "replace")));
    } else if (strcmp(action, "update") == 0) {
        status = create(ctx, catalog, request, true);
    } else if (strcmp(action, "list") == 0) {
        status = list(ctx, catalog, request);
    } else if (strcmp(action, "delete") == 0) {
        status = delete (ctx, catalog, request);
    } else if (strcmp(action, "get") == 0) {
        status = get(ctx, catalog, request);
    } else if (strcmp(action, "retention") == 0) {
        status = retention_reply(ctx, catalog);
    } else if (strcmp(action, "retention_set") == 0) {
        status = retention_set(ctx, catalog, request);
    } else {
        plex_reply_problem(ctx, 400,
                           "action is \"%.40s\"; create, update, get, list, "
                           "delete, retention and retention_set are known",
                           action);
    }
    json_decref(catalog);
    json_decref(request);
    return status;
}
