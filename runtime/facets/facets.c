#include "runtime/facets/facets.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct plex_facet_type *const rt_facet_builtin[] = {
    &rt_facet_virtual_actor, &rt_facet_timer,
    &rt_facet_metrics,       &rt_facet_logging,
    &rt_facet_tracing,       &rt_facet_event_emitter,
    &rt_facet_key_value,     &rt_facet_http_client,
    &rt_facet_caching,       &rt_facet_circuit_breaker,
    &rt_facet_rate_limit,    &rt_facet_retry,
    &rt_facet_fallback,      NULL,
};

const char *
rt_facet_method(const struct plex_msg *msg)
{
    static const char *const kinds[] = {
        [PLEX_MSG_CALL] = "call",   [PLEX_MSG_CAST] = "cast",
        [PLEX_MSG_INFO] = "info",   [PLEX_MSG_EXIT] = "exit",
        [PLEX_MSG_DOWN] = "down",   [PLEX_MSG_TIMER] = "timer",
        [PLEX_MSG_GROUP] = "group", [PLEX_MSG_CONTINUE] = "continue",
        [PLEX_MSG_IDLE] = "idle",
    };

    if (msg->method != NULL && msg->method[0] != '\0')
        return msg->method;
    if (msg->kind < sizeof kinds / sizeof kinds[0] && kinds[msg->kind] != NULL)
        return kinds[msg->kind];
    return msg->is_cast ? "cast" : "call";
}

bool
rt_facet_is_call(const struct plex_msg *msg)
{
    return !msg->is_cast && (msg->kind == 0 || msg->kind == PLEX_MSG_CALL);
}

char *
rt_facet_text(struct plex_facet *facet, const char *fmt, ...)
{
    va_list args, again;
    char *text;
    int len;

    va_start(args, fmt);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    text = plex_facet_alloc(facet, (size_t)(len < 0 ? 0 : len) + 1);
    if (len >= 0)
        (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

const char *
rt_facet_json(struct plex_facet *facet, const char *text)
{
    char *out = plex_facet_alloc(facet, strlen(text) * 6 + 1), *at = out;

    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20) {
            at += sprintf(at, "\\u%04x", c);
        } else {
            *at++ = (char)c;
        }
    }
    return out;
}

void
rt_facet_log(struct plex_facet *facet, int level, const char *text)
{
    const struct plex_facet_action action = {
        .kind = PLEX_FACET_LOG, .level = level, .text = text};

    plex_facet_act(facet, &action);
}

/* One pattern of `len` bytes; "*" may stand anywhere in it. */
static bool
pattern_matches(const char *pattern, size_t len, const char *text)
{
    const char *end = pattern + len, *star = NULL, *back = NULL;

    while (*text != '\0') {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            back = text;
        } else if (pattern < end && *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++back;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool
rt_facet_glob(const char *list, const char *text)
{
    while (*list != '\0') {
        size_t len;

        list += strspn(list, " ,");
        len = strcspn(list, ",");
        while (len > 0 && list[len - 1] == ' ')
            len--;
        if (len > 0 && pattern_matches(list, len, text))
            return true;
        list += strcspn(list, ",");
    }
    return false;
}
