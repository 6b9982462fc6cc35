#include "runtime/supervisor_code.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum { HEAD = 5 }; /* bytes before a field: its number, its length */

enum { /* fields of a request */
       ASK_VERB = 1,
       ASK_ID,
       ASK_NODE,
       ASK_REF,
       ASK_ROWS,
       ASK_CHILD,
       ASK_PLAN
};
enum { /* of a child in it */
       CHILD_ID = 1,
       CHILD_BEHAVIOUR,
       CHILD_ARGS,
       CHILD_NAME,
       CHILD_NODE,
       CHILD_RESTART,
       CHILD_SHUTDOWN,
       CHILD_SIGNIFICANT
};
enum { /* of an answer */
       ANSWER_COUNT = 1,
       ANSWER_STATUS,
       ANSWER_NODE,
       ANSWER_REF,
       ANSWER_SPECS,
       ANSWER_ACTIVE,
       ANSWER_SUPERVISORS,
       ANSWER_WORKERS,
       ANSWER_ROW,
       ANSWER_PLAN
};
enum { /* of a plan in either */
       PLAN_SET = 1,
       PLAN_STRATEGY,
       PLAN_INTENSITY,
       PLAN_PERIOD,
       PLAN_AUTO_SHUTDOWN,
       PLAN_BACKOFF_INITIAL,
       PLAN_BACKOFF_MAX
};
enum { /* of a row in it */
       ROW_ID = 1,
       ROW_NODE,
       ROW_REF,
       ROW_RESTART,
       ROW_FLAGS,
       ROW_RESTARTS
};
enum { FLAG_SUPERVISOR = 1, FLAG_RESTARTING = 2, FLAG_SIGNIFICANT = 4 };

/* -- writing -- */

struct writer {
    uint8_t *bytes; /* NULL: only count */
    size_t len;
};

static void
head_write(uint8_t *at, unsigned field, size_t len)
{
    at[0] = (uint8_t)field;
    for (int i = 0; i < 4; i++)
        at[i + 1] = (uint8_t)(len >> (8 * i));
}

static void
put(struct writer *w, unsigned field, const void *bytes, size_t len)
{
    if (w->bytes != NULL) {
        head_write(w->bytes + w->len, field, len);
        if (len > 0)
            memcpy(w->bytes + w->len + HEAD, bytes, len);
    }
    w->len += HEAD + len;
}

static void
put_text(struct writer *w, unsigned field, const char *text)
{
    if (text != NULL)
        put(w, field, text, strlen(text) + 1);
}

/* 0 is what is not there. */
static void
put_number(struct writer *w, unsigned field, uint64_t value)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    if (value != 0)
        put(w, field, bytes, sizeof bytes);
}

static void
put_ref(struct writer *w, unsigned field, struct plex_ref ref)
{
    put_number(w, field, ref.node);
    put_number(w, field + 1, ref.id);
}

/* A field of fields: begin, write those, end. */
static size_t
nest(struct writer *w)
{
    const size_t at = w->len;

    w->len += HEAD;
    return at;
}

static void
nested(struct writer *w, size_t at, unsigned field)
{
    if (w->bytes != NULL)
        head_write(w->bytes + at, field, w->len - at - HEAD);
}

static void
put_plan(struct writer *w, unsigned field, const struct plex_plan *plan)
{
    size_t at = nest(w);

    put_number(w, PLAN_SET, plan->set);
    put_number(w, PLAN_STRATEGY, plan->strategy);
    put_number(w, PLAN_INTENSITY, plan->intensity);
    put_number(w, PLAN_PERIOD, plan->period_ms);
    put_number(w, PLAN_AUTO_SHUTDOWN, plan->auto_shutdown);
    put_number(w, PLAN_BACKOFF_INITIAL, plan->backoff_initial_ms);
    put_number(w, PLAN_BACKOFF_MAX, plan->backoff_max_ms);
    nested(w, at, field);
}

static void
put_request(struct writer *w, const struct plex_supervisor_request *request,
            const char *behaviour)
{
    const struct plex_child *child = request->child;
    size_t at;

    put_number(w, ASK_VERB, request->verb);
    put_text(w, ASK_ID, request->id);
    put_ref(w, ASK_NODE, request->ref);
    put_number(w, ASK_ROWS, request->out_max);
    if (request->verb == PLEX_SUP_PLAN && request->out != NULL)
        put_plan(w, ASK_PLAN, request->out);
    if (child == NULL)
        return;
    at = nest(w);
    put_text(w, CHILD_ID, child->id);
    put_text(w, CHILD_BEHAVIOUR, behaviour);
    if (child->args != NULL && child->args_len > 0)
        put(w, CHILD_ARGS, child->args, child->args_len);
    put_text(w, CHILD_NAME, child->name);
    put_text(w, CHILD_NODE, child->node);
    put_number(w, CHILD_RESTART, child->restart);
    put_number(w, CHILD_SHUTDOWN, child->shutdown_ms);
    put_number(w, CHILD_SIGNIFICANT, child->significant);
    nested(w, at, ASK_CHILD);
}

void *
rt_sup_request_write(const struct plex_supervisor_request *request,
                     const char *behaviour, size_t *len)
{
    struct writer w = {0};

    put_request(&w, request, behaviour);
    *len = w.len;
    w = (struct writer){.bytes = plex_calloc(1, w.len)};
    put_request(&w, request, behaviour);
    return w.bytes;
}

static void
put_row(struct writer *w, const struct plex_child_info *row)
{
    const size_t at = nest(w);

    put_text(w, ROW_ID, row->id);
    put_ref(w, ROW_NODE, row->ref);
    put_number(w, ROW_RESTART, row->restart);
    put_number(w, ROW_FLAGS,
               (row->is_supervisor ? FLAG_SUPERVISOR : 0U) |
                   (row->restarting ? FLAG_RESTARTING : 0U) |
                   (row->significant ? FLAG_SIGNIFICANT : 0U));
    put_number(w, ROW_RESTARTS, row->restarts);
    nested(w, at, ANSWER_ROW);
}

static void
put_answer(struct writer *w, const struct rt_sup_answer *answer, size_t rows)
{
    if (answer->status > 0)
        put_number(w, ANSWER_COUNT, (uint64_t)answer->status);
    else if (answer->status < 0)
        put_number(w, ANSWER_STATUS, (uint64_t)-answer->status);
    put_ref(w, ANSWER_NODE, answer->ref);
    put_number(w, ANSWER_SPECS, answer->counts.specs);
    put_number(w, ANSWER_ACTIVE, answer->counts.active);
    put_number(w, ANSWER_SUPERVISORS, answer->counts.supervisors);
    put_number(w, ANSWER_WORKERS, answer->counts.workers);
    if (answer->plan.strategy != 0)
        put_plan(w, ANSWER_PLAN, &answer->plan);
    for (size_t i = 0; i < rows; i++)
        put_row(w, &answer->infos[i]);
}

void *
rt_sup_answer_write(const struct rt_sup_answer *answer, size_t rows,
                    size_t *len)
{
    struct writer w = {0};

    put_answer(&w, answer, rows);
    *len = w.len;
    w = (struct writer){.bytes = plex_calloc(1, w.len + 1)};
    put_answer(&w, answer, rows);
    return w.bytes;
}

/* -- reading -- */

struct field {
    unsigned number;
    const uint8_t *data;
    size_t len;
    uint64_t value; /* when it is a number */
};
struct reader {
    const uint8_t *at, *end;
    bool wrong;
};

static struct reader
reader_of(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    return (struct reader){.at = at, .end = at == NULL ? NULL : at + len};
}

/* False: there are no more, or what follows is wrong. */
static bool
next(struct reader *r, struct field *out)
{
    if (r->at == r->end)
        return false;
    r->wrong = r->end - r->at < HEAD;
    if (r->wrong)
        return false;
    *out = (struct field){.number = r->at[0], .data = r->at + HEAD};
    for (int i = 0; i < 4; i++)
        out->len |= (size_t)r->at[i + 1] << (8 * i);
    r->wrong = out->len > (size_t)(r->end - out->data);
    if (r->wrong)
        return false;
    for (size_t i = 0; out->len == 8 && i < 8; i++)
        out->value |= (uint64_t)out->data[i] << (8 * i);
    r->at = out->data + out->len;
    return true;
}

static const char *
text_of(struct reader *r, const struct field *field)
{
    if (field->len == 0 ||
        memchr(field->data, 0, field->len) != field->data + field->len - 1) {
        r->wrong = true;
        return "";
    }
    return (const char *)field->data;
}

static uint64_t
number_of(struct reader *r, const struct field *field, uint64_t max)
{
    if (field->len != 8 || field->value > max)
        r->wrong = true;
    return field->value;
}

static void
child_field(struct reader *r, const struct field *field,
            struct plex_child *child, const char **behaviour)
{
    switch (field->number) {
    case CHILD_ID:
        child->id = text_of(r, field);
        break;
    case CHILD_BEHAVIOUR:
        *behaviour = text_of(r, field);
        break;
    case CHILD_ARGS:
        child->args = field->data;
        child->args_len = field->len;
        break;
    case CHILD_NAME:
        child->name = text_of(r, field);
        break;
    case CHILD_NODE:
        child->node = text_of(r, field);
        break;
    case CHILD_RESTART:
        child->restart = (enum plex_restart)number_of(r, field, UINT8_MAX);
        break;
    case CHILD_SHUTDOWN:
        child->shutdown_ms = (uint32_t)number_of(r, field, UINT32_MAX);
        break;
    case CHILD_SIGNIFICANT:
        child->significant = number_of(r, field, 1) != 0;
        break;
    default:
        break;
    }
}

static void
child_read(struct reader *r, const struct field *all, struct plex_child *child,
           const char **behaviour)
{
    struct reader inner = reader_of(all->data, all->len);
    struct field field;

    *child = (struct plex_child){0};
    while (!inner.wrong && next(&inner, &field))
        child_field(&inner, &field, child, behaviour);
    r->wrong = r->wrong || inner.wrong;
}

static void
plan_read(struct reader *r, const struct field *all, struct plex_plan *plan)
{
    struct reader inner = reader_of(all->data, all->len);
    uint32_t values[PLAN_BACKOFF_MAX + 1] = {0};
    struct field field;

    while (!inner.wrong && next(&inner, &field)) {
        if (field.number <= PLAN_BACKOFF_MAX)
            values[field.number] =
                (uint32_t)number_of(&inner, &field, UINT32_MAX);
    }
    /* Enumerations are checked by who takes them. */
    *plan = (struct plex_plan){
        .set = values[PLAN_SET],
        .strategy = (enum plex_strategy)(values[PLAN_STRATEGY] & 0xff),
        .intensity = values[PLAN_INTENSITY],
        .period_ms = values[PLAN_PERIOD],
        .auto_shutdown =
            (enum plex_auto_shutdown)(values[PLAN_AUTO_SHUTDOWN] & 0xff),
        .backoff_initial_ms = values[PLAN_BACKOFF_INITIAL],
        .backoff_max_ms = values[PLAN_BACKOFF_MAX],
    };
    r->wrong = r->wrong || inner.wrong;
}

static void
request_field(struct reader *r, const struct field *field,
              struct rt_sup_read *out, const char **behaviour)
{
    struct plex_supervisor_request *request = &out->request;

    switch (field->number) {
    case ASK_VERB:
        request->verb =
            (enum plex_supervisor_verb)number_of(r, field, UINT8_MAX);
        break;
    case ASK_ID:
        request->id = text_of(r, field);
        break;
    case ASK_NODE:
        request->ref.node = number_of(r, field, UINT64_MAX);
        break;
    case ASK_REF:
        request->ref.id = number_of(r, field, UINT64_MAX);
        break;
    case ASK_ROWS:
        request->out_max = number_of(r, field, RT_SUP_ROWS_MAX);
        break;
    case ASK_CHILD:
        child_read(r, field, &out->child, behaviour);
        request->child = &out->child;
        break;
    case ASK_PLAN:
        plan_read(r, field, &out->plan);
        request->out = &out->plan;
        break;
    default:
        break;
    }
}

bool
rt_sup_request_read(const void *bytes, size_t len, struct rt_sup_read *out,
                    const char **behaviour)
{
    struct reader r = reader_of(bytes, len);
    struct field field;

    *out = (struct rt_sup_read){0};
    *behaviour = "";
    while (!r.wrong && next(&r, &field))
        request_field(&r, &field, out, behaviour);
    return !r.wrong && out->request.verb != 0;
}

const char *
rt_sup_request_behaviour(const void *bytes, size_t len)
{
    struct rt_sup_read read;
    const char *behaviour;

    return rt_sup_request_read(bytes, len, &read, &behaviour) ? behaviour : "";
}

static void
row_id(struct reader *r, const struct field *field, struct plex_child_info *row)
{
    const char *id = text_of(r, field);

    r->wrong = r->wrong || strlen(id) >= sizeof row->id;
    if (!r->wrong)
        (void)strcpy(row->id, id);
}

static void
row_read(struct reader *r, const struct field *all, struct plex_child_info *row)
{
    struct reader inner = reader_of(all->data, all->len);
    struct field field;
    uint64_t flags = 0;

    while (!inner.wrong && next(&inner, &field)) {
        if (field.number == ROW_ID)
            row_id(&inner, &field, row);
        else if (field.number == ROW_NODE)
            row->ref.node = number_of(&inner, &field, UINT64_MAX);
        else if (field.number == ROW_REF)
            row->ref.id = number_of(&inner, &field, UINT64_MAX);
        else if (field.number == ROW_RESTART)
            row->restart =
                (enum plex_restart)number_of(&inner, &field, PLEX_TEMPORARY);
        else if (field.number == ROW_FLAGS)
            flags = number_of(&inner, &field, UINT64_MAX);
        else if (field.number == ROW_RESTARTS)
            row->restarts = (uint32_t)number_of(&inner, &field, UINT32_MAX);
    }
    row->is_supervisor = (flags & FLAG_SUPERVISOR) != 0;
    row->restarting = (flags & FLAG_RESTARTING) != 0;
    row->significant = (flags & FLAG_SIGNIFICANT) != 0;
    r->wrong = r->wrong || inner.wrong;
}

static void
answer_field(struct reader *r, const struct field *field,
             struct rt_sup_answer *answer, size_t *rows)
{
    switch (field->number) {
    case ANSWER_COUNT:
        answer->status = (int)number_of(r, field, INT32_MAX);
        break;
    case ANSWER_STATUS:
        answer->status = -(int)plex_status_from_wire(
            (unsigned)number_of(r, field, UINT8_MAX));
        break;
    case ANSWER_NODE:
        answer->ref.node = number_of(r, field, UINT64_MAX);
        break;
    case ANSWER_REF:
        answer->ref.id = number_of(r, field, UINT64_MAX);
        break;
    case ANSWER_SPECS:
        answer->counts.specs = (uint32_t)number_of(r, field, UINT32_MAX);
        break;
    case ANSWER_ACTIVE:
        answer->counts.active = (uint32_t)number_of(r, field, UINT32_MAX);
        break;
    case ANSWER_SUPERVISORS:
        answer->counts.supervisors = (uint32_t)number_of(r, field, UINT32_MAX);
        break;
    case ANSWER_WORKERS:
        answer->counts.workers = (uint32_t)number_of(r, field, UINT32_MAX);
        break;
    case ANSWER_ROW:
        row_read(r, field, &answer->infos[(*rows)++]);
        break;
    case ANSWER_PLAN:
        plan_read(r, field, &answer->plan);
        break;
    default:
        break;
    }
}

/* As many as it has: those are room for. */
static size_t
rows_count(const void *bytes, size_t len)
{
    struct reader r = reader_of(bytes, len);
    struct field field;
    size_t rows = 0;

    while (next(&r, &field))
        rows += field.number == ANSWER_ROW;
    return rows;
}

struct rt_sup_answer *
rt_sup_answer_read(const void *bytes, size_t len, size_t *rows)
{
    const size_t count = rows_count(bytes, len);
    struct reader r = reader_of(bytes, len);
    struct rt_sup_answer *answer;
    struct field field;

    *rows = 0;
    if (count > RT_SUP_ROWS_MAX)
        return NULL;
    answer = plex_calloc(1, sizeof *answer + count * sizeof *answer->infos);
    while (!r.wrong && next(&r, &field))
        answer_field(&r, &field, answer, rows);
    if (!r.wrong)
        return answer;
    free(answer);
    return NULL;
}
