/* Functions on texts, numbers, times; and those both languages have. */
#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/expr_private.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <nettle/base64.h>
#include <nettle/nettle-meta.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is argument `i` a text? Else a fault. */
static const char *
text_at(struct flow_eval *ev, json_t **args, size_t i)
{
    if (!json_is_string(args[i]))
        flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                        "argument %zu should be a text, not %s", i + 1,
                        flow_type_name(args[i]));
    else if (flow_eval_charge(ev, json_string_length(args[i]) / 16))
        return json_string_value(args[i]);
    return NULL;
}

static bool
number_at(struct flow_eval *ev, json_t **args, size_t i)
{
    if (json_is_number(args[i]))
        return true;
    flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                    "argument %zu should be a number, not %s", i + 1,
                    flow_type_name(args[i]));
    return false;
}

static bool
whole_at(struct flow_eval *ev, json_t **args, size_t i, int64_t *out)
{
    if (json_is_integer(args[i])) {
        *out = json_integer_value(args[i]);
        return true;
    }
    flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                    "argument %zu should be a whole number, not %s", i + 1,
                    flow_type_name(args[i]));
    return false;
}

static json_t *
fn_starts_with(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0), *part = text_at(ev, args, 1);

    (void)n;
    if (text == NULL || part == NULL)
        return NULL;
    return json_boolean(strncmp(text, part, strlen(part)) == 0);
}

static json_t *
fn_ends_with(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0), *part = text_at(ev, args, 1);
    size_t len, plen;

    (void)n;
    if (text == NULL || part == NULL)
        return NULL;
    len = strlen(text);
    plen = strlen(part);
    return json_boolean(len >= plen && strcmp(text + len - plen, part) == 0);
}

/* Greedy with one place to come back to: linear in practice, and never worse
 * than the product of the lengths. */
bool
flow_glob(const char *pattern, const char *text, bool one)
{
    const char *star = NULL, *back = NULL;

    while (*text != '\0') {
        const bool escaped = *pattern == '\\' && pattern[1] != '\0';

        if (!escaped && *pattern == '*') {
            star = ++pattern;
            back = text;
        } else if (!escaped && one && *pattern == '?') {
            const size_t len =
                plex_utf8_char((const uint8_t *)text, strlen(text));

            pattern++;
            text += len > 0 ? len : 1;
        } else if (pattern[escaped] == *text) {
            pattern += 1 + escaped;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static json_t *
fn_matches(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0), *pattern = text_at(ev, args, 1);

    (void)n;
    if (text == NULL || pattern == NULL ||
        !flow_eval_charge(ev, strlen(text) / 16 * (1 + strlen(pattern) / 16)))
        return NULL;
    return json_boolean(flow_glob(pattern, text, true));
}

static json_t *
change_case(struct flow_eval *ev, json_t **args, int (*change)(int))
{
    const char *text = text_at(ev, args, 0);
    json_t *result;
    char *copy;

    if (text == NULL)
        return NULL;
    copy = plex_strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x80)
            *c = (char)change(*c);
    }
    result = json_string(copy);
    free(copy);
    return result;
}

static json_t *
fn_lower(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return change_case(ev, args, tolower);
}

static json_t *
fn_upper(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return change_case(ev, args, toupper);
}

static json_t *
fn_trim(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    size_t len;

    (void)n;
    if (text == NULL)
        return NULL;
    text += strspn(text, " \t\r\n");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    return json_stringn(text, len);
}

static json_t *
fn_split(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0), *by = text_at(ev, args, 1);
    json_t *list;

    (void)n;
    if (text == NULL || by == NULL)
        return NULL;
    if (*by == '\0')
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the separator is empty");
    list = json_array();
    for (;;) {
        const char *end = strstr(text, by);

        json_array_append_new(
            list, end != NULL ? json_stringn(text, (size_t)(end - text))
                              : json_string(text));
        if (end == NULL)
            return list;
        if (!flow_eval_charge(ev, 1)) {
            json_decref(list);
            return NULL;
        }
        text = end + strlen(by);
    }
}

static bool
append(struct flow_eval *ev, struct plex_buf *buf, const char *text, size_t len)
{
    uint8_t *out = plex_buf_grow(buf, len);

    if (out != NULL && len > 0)
        memcpy(out, text, len);
    else if (out == NULL)
        flow_eval_fault(ev, FLOW_FAULT_LIMIT, "the text becomes too large");
    return out != NULL;
}

static json_t *
finish(struct flow_eval *ev, struct plex_buf *buf)
{
    json_t *result = NULL;

    if (ev->fault->kind == FLOW_FAULT_NONE)
        result = flow_eval_text(
            ev, buf->data != NULL ? (const char *)buf->data : "", buf->len);
    plex_buf_free(buf);
    return result;
}

static json_t *
fn_join(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *by = text_at(ev, args, 1);
    struct plex_buf buf = {.max = FLOW_VALUE_MAX};
    json_t *item;
    size_t i;

    (void)n;
    if (by == NULL)
        return NULL;
    if (!json_is_array(args[0]))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "argument 1 should be a list");
    json_array_foreach(args[0], i, item)
    {
        char *text = NULL;
        bool ok;

        if (i > 0 && !append(ev, &buf, by, strlen(by)))
            break;
        if (!json_is_string(item) &&
            flow_value_size(item, FLOW_VALUE_MAX) <= FLOW_VALUE_MAX)
            text = flow_value_text(item);
        else if (!json_is_string(item))
            flow_eval_fault(ev, FLOW_FAULT_LIMIT,
                            "the text becomes too "
                            "large");
        ok = ev->fault->kind == FLOW_FAULT_NONE && flow_eval_charge(ev, 1) &&
             append(ev, &buf, text != NULL ? text : json_string_value(item),
                    text != NULL ? strlen(text) : json_string_length(item));
        free(text);
        if (!ok)
            break;
    }
    return finish(ev, &buf);
}

static json_t *
fn_replace(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0), *from = text_at(ev, args, 1);
    const char *to = text_at(ev, args, 2), *end;
    struct plex_buf buf = {.max = FLOW_VALUE_MAX};

    (void)n;
    if (text == NULL || from == NULL || to == NULL)
        return NULL;
    if (*from == '\0')
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the text to replace is empty");
    while ((end = strstr(text, from)) != NULL) {
        if (!append(ev, &buf, text, (size_t)(end - text)) ||
            !append(ev, &buf, to, strlen(to)))
            return finish(ev, &buf);
        text = end + strlen(from);
    }
    (void)append(ev, &buf, text, strlen(text));
    return finish(ev, &buf);
}

/* The byte where character `count` begins, at most the end. */
static size_t
char_offset(const char *text, size_t len, int64_t count)
{
    size_t at = 0;

    while (count-- > 0 && at < len) {
        const size_t step =
            plex_utf8_char((const uint8_t *)text + at, len - at);

        at += step > 0 ? step : 1;
    }
    return at;
}

static json_t *
fn_substring(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    int64_t from, count = INT64_MAX;
    size_t start, len;

    if (text == NULL || !whole_at(ev, args, 1, &from) ||
        (n > 2 && !whole_at(ev, args, 2, &count)))
        return NULL;
    if (from < 0 || count < 0)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "start and length are 0 or more");
    len = json_string_length(args[0]);
    start = char_offset(text, len, from);
    return json_stringn(text + start,
                        char_offset(text + start, len - start, count));
}

/* -- numbers ------------------------------------------------------------------
 */

static json_t *
rounded(struct flow_eval *ev, json_t **args, double (*how)(double))
{
    double value;

    if (!number_at(ev, args, 0))
        return NULL;
    if (json_is_integer(args[0]))
        return json_incref(args[0]);
    value = how(json_real_value(args[0]));
    return fabs(value) < 9.2e18 ? json_integer((json_int_t)value)
                                : json_real(value);
}

static json_t *
fn_floor(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return rounded(ev, args, floor);
}

static json_t *
fn_ceil(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return rounded(ev, args, ceil);
}

static json_t *
fn_round(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    return rounded(ev, args, round);
}

static json_t *
fn_abs(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)n;
    if (!number_at(ev, args, 0))
        return NULL;
    if (json_is_real(args[0]))
        return json_real(fabs(json_real_value(args[0])));
    if (json_integer_value(args[0]) == INT64_MIN)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the result does not fit in 64 bits");
    return json_integer(llabs(json_integer_value(args[0])));
}

static json_t *
fn_number(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text;
    json_t *value;

    (void)n;
    if (json_is_number(args[0]))
        return json_incref(args[0]);
    text = text_at(ev, args, 0);
    if (text == NULL)
        return NULL;
    if (strpbrk(text, "[{") != NULL)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "'%.40s' is not a number", text);
    value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (json_is_number(value))
        return value;
    json_decref(value);
    return flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "'%.40s' is not a number",
                           text);
}

static json_t *
fn_text(struct flow_eval *ev, json_t **args, size_t n)
{
    return json_is_string(args[0]) ? json_incref(args[0])
                                   : flow_fn_json(ev, args, n);
}

static json_t *
fn_type(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)ev;
    (void)n;
    return json_string(flow_type_name(args[0]));
}

/* -- time, randomness ---------------------------------------------------------
 */

static json_t *
fn_now(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)args;
    (void)n;
    return json_integer(ev->env->now_ms);
}

static json_t *
fn_time(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    int64_t ms;

    (void)n;
    if (text == NULL)
        return NULL;
    if (!flow_time_parse(text, &ms))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "'%.40s' is not an RFC 3339 time", text);
    return json_integer(ms);
}

static json_t *
fn_format_time(struct flow_eval *ev, json_t **args, size_t n)
{
    char text[FLOW_TIME_TEXT];
    int64_t ms;

    (void)n;
    if (!whole_at(ev, args, 0, &ms))
        return NULL;
    if (ms < -62135596800000 || ms > 253402300799999)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "the time is not in the years 1 to 9999");
    flow_time_format(ms, text);
    return json_string(text);
}

static json_t *
fn_duration(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    int64_t ms;

    (void)n;
    if (text == NULL)
        return NULL;
    if (!flow_duration_parse(text, &ms))
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                               "'%.40s' is not a duration such as \"90s\"",
                               text);
    return json_integer(ms);
}

static json_t *
fn_random(struct flow_eval *ev, json_t **args, size_t n)
{
    (void)args;
    (void)n;
    return json_real((double)(flow_eval_random(ev) >> 11) * 0x1.0p-53);
}

static json_t *
fn_fail(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);

    (void)n;
    ev->column = 0;
    return text != NULL ? flow_eval_fault(ev, FLOW_FAULT_FAILED, "%s", text)
                        : NULL;
}

json_t *
flow_fn_uuid(struct flow_eval *ev, json_t **args, size_t n)
{
    const uint64_t a = flow_eval_random(ev), b = flow_eval_random(ev);
    char text[40];

    (void)args;
    (void)n;
    (void)snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx",
                   (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xFFFF),
                   (unsigned)(a & 0xFFF),
                   (unsigned)((b >> 48 & 0x3FFF) | 0x8000),
                   (unsigned long long)(b & 0xFFFFFFFFFFFFULL));
    return json_string(text);
}

/* -- encodings
 * ------------------------------------------------------------------
 */

json_t *
flow_fn_json(struct flow_eval *ev, json_t **args, size_t n)
{
    const size_t size = flow_value_size(args[0], FLOW_VALUE_MAX);
    json_t *result;
    char *text;

    (void)n;
    if (size > FLOW_VALUE_MAX)
        return flow_eval_fault(ev, FLOW_FAULT_LIMIT,
                               "the text becomes too large");
    if (!flow_eval_charge(ev, size / 16))
        return NULL;
    text = flow_value_text(args[0]);
    result = json_string(text);
    free(text);
    return result;
}

json_t *
flow_fn_parse_json(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    json_error_t error;
    json_t *value;

    (void)n;
    if (text == NULL)
        return NULL;
    if (!flow_json_shallow(text, strlen(text)))
        return flow_eval_fault(ev, FLOW_FAULT_LIMIT, "nested too deep");
    value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return flow_eval_fault(ev, FLOW_FAULT_FUNCTION, "not JSON: %s",
                               error.text);
    if (flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        json_decref(value);
        return flow_eval_fault(ev, FLOW_FAULT_LIMIT, "nested too deep");
    }
    return value;
}

json_t *
flow_fn_base64_encode(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    const size_t len = json_string_length(args[0]);
    json_t *result;
    char *out;

    (void)n;
    if (text == NULL)
        return NULL;
    out = plex_calloc(1, BASE64_ENCODE_RAW_LENGTH(len) + 1);
    base64_encode_raw(out, len, (const uint8_t *)text);
    result = flow_eval_text(ev, out, BASE64_ENCODE_RAW_LENGTH(len));
    free(out);
    return result;
}

json_t *
flow_fn_base64_decode(struct flow_eval *ev, json_t **args, size_t n)
{
    const char *text = text_at(ev, args, 0);
    const size_t len = json_string_length(args[0]);
    struct base64_decode_ctx ctx;
    json_t *result;
    uint8_t *out;
    size_t got = BASE64_DECODE_LENGTH(len) + 1;

    (void)n;
    if (text == NULL)
        return NULL;
    out = plex_calloc(1, got);
    base64_decode_init(&ctx);
    if (base64_decode_update(&ctx, &got, out, len, text) &&
        base64_decode_final(&ctx) && memchr(out, 0, got) == NULL)
        result = flow_eval_text(ev, (char *)out, got);
    else
        result = flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                                 "not the base64 of a text");
    free(out);
    return result;
}

/* The digest as hexadecimal text. */
static json_t *
digest(const struct nettle_hash *hash, const char *text, size_t len)
{
    void *ctx = plex_calloc(1, hash->context_size);
    uint8_t bytes[64];
    char hex[129];

    hash->init(ctx);
    hash->update(ctx, len, (const uint8_t *)text);
    hash->digest(ctx, hash->digest_size, bytes);
    free(ctx);
    for (size_t i = 0; i < hash->digest_size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return json_string(hex);
}

json_t *
flow_fn_hash(struct flow_eval *ev, json_t **args, size_t n)
{
    static const struct {
        const char *name;
        const struct nettle_hash *hash;
    } known[] = {{"MD5", &nettle_md5},
                 {"SHA-1", &nettle_sha1},
                 {"SHA-256", &nettle_sha256},
                 {"SHA-384", &nettle_sha384},
                 {"SHA-512", &nettle_sha512}};
    const char *name = text_at(ev, args, 1);
    json_t *text, *result = NULL;

    (void)n;
    if (name == NULL)
        return NULL;
    text = json_is_string(args[0]) ? json_incref(args[0])
                                   : flow_fn_json(ev, args, 1);
    if (text == NULL || !flow_eval_charge(ev, json_string_length(text) / 16)) {
        json_decref(text);
        return NULL;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0)
            result = digest(known[i].hash, json_string_value(text),
                            json_string_length(text));
    }
    json_decref(text);
    return result != NULL ? result
                          : flow_eval_fault(ev, FLOW_FAULT_FUNCTION,
                                            "'%.20s' is not MD5, SHA-1, "
                                            "SHA-256, SHA-384 or SHA-512",
                                            name);
}

const struct flow_function flow_functions[] = {
    {"starts_with", 2, 2, fn_starts_with},
    {"ends_with", 2, 2, fn_ends_with},
    {"matches", 2, 2, fn_matches},
    {"lower", 1, 1, fn_lower},
    {"upper", 1, 1, fn_upper},
    {"trim", 1, 1, fn_trim},
    {"split", 2, 2, fn_split},
    {"join", 2, 2, fn_join},
    {"replace", 3, 3, fn_replace},
    {"substring", 2, 3, fn_substring},
    {"floor", 1, 1, fn_floor},
    {"ceil", 1, 1, fn_ceil},
    {"round", 1, 1, fn_round},
    {"abs", 1, 1, fn_abs},
    {"number", 1, 1, fn_number},
    {"text", 1, 1, fn_text},
    {"type", 1, 1, fn_type},
    {"now", 0, 0, fn_now},
    {"time", 1, 1, fn_time},
    {"format_time", 1, 1, fn_format_time},
    {"duration", 1, 1, fn_duration},
    {"random", 0, 0, fn_random},
    {"uuid", 0, 0, flow_fn_uuid},
    {"json", 1, 1, flow_fn_json},
    {"parse_json", 1, 1, flow_fn_parse_json},
    {"base64_encode", 1, 1, flow_fn_base64_encode},
    {"base64_decode", 1, 1, flow_fn_base64_decode},
    {"hash", 2, 2, flow_fn_hash},
    {"fail", 1, 1, fn_fail},
    {0},
};
