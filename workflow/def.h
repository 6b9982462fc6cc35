#ifndef WORKFLOW_DEF_H
#define WORKFLOW_DEF_H

#include "common/bytes.h"

#include <jansson.h>

/*
 * A definition: parsed, checked, immutable, and the same thing whichever
 * language it was written in. The engine (run.h) knows only this form.
 *
 * Threads: any number may use one definition; flow_def_ref and unref are for
 * the thread that owns it.
 */
struct flow_def;

enum flow_language {
    FLOW_NATIVE, /* docs/workflows.md, in YAML or JSON */
    FLOW_ASL     /* Amazon States Language, JSON (or YAML) */
};

/* Parse and check. Errors are PLEX_INVALID or PLEX_UNSUPPORTED (a part of ASL
 * that is not there), "LINE:COLUMN: path: what would be right". The text is
 * kept with the definition. */
PLEX_MUST_USE enum plex_status flow_def_parse(const char *text, size_t len,
                                              struct flow_def **out,
                                              struct plex_err *err);

struct flow_asl_options {
    const char *id;      /* ASL has none: 1..FLOW_NAME_MAX */
    const char *version; /* semver; NULL: "1.0.0" */
    json_t *resources;   /* object: Resource -> "actor:TYPE[/KEY[/METHOD]]",
                            before the rules of docs/workflows.md; or NULL */
};
PLEX_MUST_USE enum plex_status flow_asl_parse(
    const char *text, size_t len, const struct flow_asl_options *options,
    struct flow_def **out, struct plex_err *err);

struct flow_def *flow_def_ref(struct flow_def *def);
void flow_def_unref(struct flow_def *def);

enum flow_language flow_def_language(const struct flow_def *def);
const char *flow_def_id(const struct flow_def *def);
const char *flow_def_name(const struct flow_def *def);    /* for people */
const char *flow_def_version(const struct flow_def *def); /* semver */
const char *flow_def_text(const struct flow_def *def, size_t *len);
json_t *flow_def_labels(const struct flow_def *def); /* borrowed; object */
/* Changes when the text, the id or the version does. */
uint64_t flow_def_digest(const struct flow_def *def);
/* What the run should be checked and shown by: [{"id", "type", "depends_on",
 * "next", "scope"}]. New reference. */
json_t *flow_def_outline(const struct flow_def *def);

/* "1.2.3" with optional "-pre" and "+build"; compares as semver.org says. */
bool flow_semver_valid(const char *text);
int flow_semver_compare(const char *a, const char *b);

#endif
