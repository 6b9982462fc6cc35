/* Regular expressions with bounded effort: PCRE2 without its compiler to
 * machine code, with limits on steps, depth and memory per match. */
#include "services/tuplespace/engine/template_private.h"

#include "common/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    STEPS_MAX = 20000, /* calls of the matcher's inner function */
    DEPTH_MAX = 1000,
    HEAP_KIB_MAX = 256,
    PARENTHESES_MAX = 50,
};

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

void
tspace_regex_free(struct regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_match_context_free(regex->limits);
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    free(regex);
}

static pcre2_code *
pattern_compile(struct plex_bytes pattern, int *number, size_t *offset)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code;

    if (context != NULL)
        pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
    code = pcre2_compile(pattern.data, pattern.len,
                         PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C |
                             PCRE2_NO_AUTO_CAPTURE,
                         number, offset, context);
    pcre2_compile_context_free(context);
    return code;
}

enum plex_status
tspace_regex_create(struct regex **out, struct plex_bytes pattern,
                    struct plex_err *err)
{
    struct regex *regex;
    pcre2_code *code;
    size_t offset = 0;
    int number = 0;

    if (pattern.len == 0 || pattern.len > TSPACE_REGEX_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a regular expression has 1 to %d bytes, not %zu",
                            TSPACE_REGEX_MAX, pattern.len);
    code = pattern_compile(pattern, &number, &offset);
    if (code == NULL) {
        PCRE2_UCHAR text[120];

        pcre2_get_error_message(number, text, sizeof text);
        return plex_err_set(err, PLEX_INVALID,
                            "the regular expression is wrong at byte %zu: %s",
                            offset, (const char *)text);
    }
    regex = plex_calloc(1, sizeof *regex);
    regex->code = code;
    regex->match = pcre2_match_data_create(1, NULL);
    regex->limits = pcre2_match_context_create(NULL);
    if (regex->match == NULL || regex->limits == NULL) {
        tspace_regex_free(regex);
        return plex_err_set(err, PLEX_LIMIT,
                            "no memory for the regular expression");
    }
    pcre2_set_match_limit(regex->limits, STEPS_MAX);
    pcre2_set_depth_limit(regex->limits, DEPTH_MAX);
    pcre2_set_heap_limit(regex->limits, HEAP_KIB_MAX);
    *out = regex;
    return PLEX_OK;
}

bool
tspace_regex_match(const struct regex *regex, struct plex_bytes text,
                   bool *gave_up)
{
    const int rc = pcre2_match(
        regex->code, text.len > 0 ? text.data : (const uint8_t *)"", text.len,
        0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, regex->match, regex->limits);

    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        *gave_up = true;
    return rc >= 0;
}
