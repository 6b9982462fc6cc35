/* Answers to clients: replies as they are, problems as RFC 9457 says. */
#include "common/json_text.h"
#include "services/gateway/gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Problems are small: every text in them is bounded, escaped six times. */
enum { PROBLEM_MAX = 8 * PLEX_ERR_TEXT_MAX };

static const char *
status_title(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Error";
    }
}

void
gate_answer(struct gate *gate, struct plex_http_exchange *ex, unsigned status,
            const char *content_type, const struct plex_http_header *headers,
            struct plex_bytes body)
{
    const unsigned class = status / 100;

    gate->metrics.answers[class < 6 ? class : 5]->value++;
    plex_http_respond(ex, status, content_type, headers, body);
}

void
gate_answer_problem(struct gate *gate, struct plex_http_exchange *ex,
                    const struct gate_problem *problem, const char *request_id,
                    const struct plex_http_header *headers)
{
    struct plex_http_header all[8] = {{0}};
    char detail[6 * PLEX_ERR_TEXT_MAX + 1], retry[16], body[PROBLEM_MAX];
    size_t n = 0;
    int len;

    while (headers != NULL && headers[n].name != NULL && n < 6) {
        all[n] = headers[n];
        n++;
    }
    if (problem->retry_after_s > 0) {
        (void)snprintf(retry, sizeof retry, "%u", problem->retry_after_s);
        all[n] = (struct plex_http_header){"Retry-After", retry};
    }
    detail[plex_json_escape(detail, sizeof detail - 1, problem->detail,
                            strlen(problem->detail))] = '\0';
    len = snprintf(body, sizeof body,
                   "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                   "\"detail\":\"%s\",\"code\":\"%s\",\"source\":\"%s\"%s%s%s"
                   "%s}\n",
                   status_title(problem->status), problem->status, detail,
                   problem->code, problem->source,
                   request_id[0] == '\0' ? "" : ",\"request_id\":\"",
                   request_id, request_id[0] == '\0' ? "" : "\"",
                   problem->outcome_unknown ? ",\"outcome_unknown\":true"
                   : problem->status >= 500 && problem->source[0] != 'a'
                       ? ",\"outcome_unknown\":false"
                       : "");
    gate_answer(gate, ex, problem->status, "application/problem+json", all,
                (struct plex_bytes){(const uint8_t *)body, (size_t)len});
}

void
gate_answer_error(struct gate *gate, struct plex_http_exchange *ex,
                  unsigned status, const char *code, const char *source,
                  const char *request_id, const char *fmt, ...)
{
    struct gate_problem problem = {.status = status,
                                   .code = code,
                                   .source = source,
                                   .retry_after_s =
                                       status == 503 || status == 429 ? 1 : 0};
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(problem.detail, sizeof problem.detail, fmt, args);
    va_end(args);
    gate_answer_problem(gate, ex, &problem, request_id, NULL);
}
