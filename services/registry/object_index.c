#include "services/registry/object_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a term is about, in its key. */
enum about {
    ABOUT_ALL = 'a',
    ABOUT_CATEGORY = 'c',
    ABOUT_HEALTH = 'h',
    ABOUT_LABEL = 'l',
    ABOUT_NAMESPACE = 'n',
    ABOUT_NODE = 'o',
    ABOUT_CAPABILITY = 'p',
    ABOUT_TYPE = 't',
};
enum { OR_MAX = REG_OBJECT_LIST_MAX };

/* -- keys ------------------------------------------------------------------ */

static void
put(struct plex_buf *out, const void *data, size_t len)
{
    out->max = SIZE_MAX;
    if (len > 0)
        memcpy(plex_buf_grow(out, len), data, len);
}

static void
put_u8(struct plex_buf *out, unsigned value)
{
    const uint8_t byte = (uint8_t)value;

    put(out, &byte, 1);
}

void
reg_object_path(struct plex_buf *out, const char *tenant, const char *ns,
                uint32_t type, const char *id)
{
    put(out, tenant, strlen(tenant) + 1);
    put(out, ns, strlen(ns) + 1);
    if (type == 0)
        return;
    put_u8(out, type);
    put(out, id, strlen(id));
}

void
reg_object_order(struct plex_buf *out, const struct reg_object_place *place)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        put_u8(out, (unsigned)(place->created_ms >> shift & 0xff));
    put(out, place->ns, strlen(place->ns) + 1);
    put_u8(out, place->type);
    put(out, place->id, strlen(place->id));
}

static void
term_key(struct plex_buf *out, const char *tenant, enum about about,
         const char *value)
{
    out->len = 0;
    put(out, tenant, strlen(tenant) + 1);
    put_u8(out, about);
    put(out, value, strlen(value));
}

/* -- terms and scopes ------------------------------------------------------ */

static struct reg_object_term *
term_find(const struct reg_objects *objects, const char *tenant,
          enum about about, const char *value)
{
    struct plex_buf key = {0};
    struct reg_object_term *term;

    term_key(&key, tenant, about, value);
    term = (struct reg_object_term *)reg_ordered_find(
        &objects->terms, (struct plex_bytes){key.data, key.len});
    plex_buf_free(&key);
    return term;
}

static struct reg_object_term *
term_make(struct reg_objects *objects, const char *tenant, enum about about,
          const char *value)
{
    struct reg_object_term *term = term_find(objects, tenant, about, value);
    struct plex_buf key = {0};

    if (term != NULL)
        return term;
    term_key(&key, tenant, about, value);
    term = plex_calloc(1, sizeof *term + key.len);
    memcpy(term->key, key.data, key.len);
    term->node.key = term->key;
    term->node.len = key.len;
    plex_buf_free(&key);
    reg_ordered_insert(&objects->terms, &term->node);
    return term;
}

/* A number as a text that terms have for their value. */
static const char *
number_text(uint32_t number, char out[2])
{
    assert(number < 10);
    out[0] = (char)('0' + number);
    out[1] = '\0';
    return out;
}

static void
posting_add(struct reg_objects *objects, struct reg_object_entry *entry,
            struct reg_object_posting *posting, enum about about,
            const char *value)
{
    posting->entry = entry;
    posting->term = term_make(objects, entry->info->tenant, about, value);
    posting->node.key = entry->order.data;
    posting->node.len = entry->order.len;
    reg_ordered_insert(&posting->term->map, &posting->node);
}

static void
posting_remove(struct reg_objects *objects, struct reg_object_posting *posting)
{
    struct reg_object_term *term = posting->term;

    reg_ordered_remove(&term->map, &posting->node);
    if (term->map.n > 0)
        return;
    reg_ordered_remove(&objects->terms, &term->node);
    free(term);
}

static struct reg_object_scope *
scope_of(struct reg_objects *objects, const struct reg_object *object)
{
    struct plex_buf key = {0};
    struct reg_object_scope *scope;

    reg_object_path(&key, object->tenant, object->ns, 0, "");
    scope = (struct reg_object_scope *)reg_ordered_find(
        &objects->scopes, (struct plex_bytes){key.data, key.len});
    if (scope == NULL) {
        scope = plex_calloc(1, sizeof *scope + key.len);
        memcpy(scope->key, key.data, key.len);
        scope->node.key = scope->key;
        scope->node.len = key.len;
        reg_ordered_insert(&objects->scopes, &scope->node);
    }
    plex_buf_free(&key);
    return scope;
}

/* -- objects --------------------------------------------------------------- */

static void
entry_order(struct reg_object_entry *entry)
{
    const struct reg_object_place place = {entry->info->created_ms,
                                           entry->info->ns, entry->info->id,
                                           entry->info->type};
    struct plex_buf order = {0};

    reg_object_order(&order, &place);
    /* The buffer is the entry's from here on. */
    entry->order = (struct plex_bytes){order.data, order.len};
}

void
reg_object_index_add(struct reg_objects *objects,
                     struct reg_object_entry *entry)
{
    const struct reg_object *info = entry->info;
    struct reg_object_posting *at;
    struct reg_object_scope *scope;
    char text[2];

    entry_order(entry);
    entry->n_postings = (size_t)4 + (info->category[0] != '\0' ? 1U : 0U) +
                        (info->node_id[0] != '\0' ? 1U : 0U) +
                        info->capabilities.n + info->labels.n;
    entry->postings = plex_calloc(entry->n_postings, sizeof *entry->postings);
    at = entry->postings;
    posting_add(objects, entry, at++, ABOUT_HEALTH,
                number_text(info->health, text));
    posting_add(objects, entry, at++, ABOUT_ALL, "");
    posting_add(objects, entry, at++, ABOUT_NAMESPACE, info->ns);
    posting_add(objects, entry, at++, ABOUT_TYPE,
                number_text(info->type, text));
    if (info->category[0] != '\0')
        posting_add(objects, entry, at++, ABOUT_CATEGORY, info->category);
    if (info->node_id[0] != '\0')
        posting_add(objects, entry, at++, ABOUT_NODE, info->node_id);
    for (size_t i = 0; i < info->capabilities.n; i++)
        posting_add(objects, entry, at++, ABOUT_CAPABILITY,
                    info->capabilities.at[i]);
    for (size_t i = 0; i < info->labels.n; i++)
        posting_add(objects, entry, at++, ABOUT_LABEL, info->labels.at[i]);
    scope = scope_of(objects, info);
    scope->counts[info->type][info->health]++;
    scope->n++;
}

void
reg_object_index_remove(struct reg_objects *objects,
                        struct reg_object_entry *entry)
{
    struct reg_object_scope *scope = scope_of(objects, entry->info);

    for (size_t i = 0; i < entry->n_postings; i++)
        posting_remove(objects, &entry->postings[i]);
    free(entry->postings);
    free((void *)(uintptr_t)entry->order.data);
    entry->postings = NULL;
    scope->counts[entry->info->type][entry->info->health]--;
    if (--scope->n > 0)
        return;
    reg_ordered_remove(&objects->scopes, &scope->node);
    free(scope);
}

void
reg_object_index_health(struct reg_objects *objects,
                        struct reg_object_entry *entry, uint32_t health)
{
    const struct reg_object *info = entry->info;
    struct reg_object_scope *scope = scope_of(objects, info);
    char text[2];

    posting_remove(objects, &entry->postings[0]);
    entry->postings[0] = (struct reg_object_posting){0};
    posting_add(objects, entry, &entry->postings[0], ABOUT_HEALTH,
                number_text(health, text));
    scope->counts[info->type][info->health]--;
    scope->counts[info->type][health]++;
}

/* -- finding --------------------------------------------------------------- */

/* One condition of a filter: what any of these terms has meets it. */
struct source {
    const struct reg_object_term *terms[OR_MAX];
    size_t n, total;
};
struct search {
    const struct reg_objects *objects;
    const char *tenant;
    struct source best;
    bool any; /* `best` is set */
};

static void
source_term(const struct search *search, struct source *source,
            enum about about, const char *value)
{
    const struct reg_object_term *term =
        term_find(search->objects, search->tenant, about, value);

    if (term == NULL)
        return;
    assert(source->n < OR_MAX);
    source->terms[source->n++] = term;
    source->total += term->map.n;
}

static void
source_consider(struct search *search, const struct source *source)
{
    if (search->any && source->total >= search->best.total)
        return;
    search->best = *source;
    search->any = true;
}

static void
consider_one(struct search *search, enum about about, const char *value)
{
    struct source source = {0};

    source_term(search, &source, about, value);
    source_consider(search, &source);
}

static void
consider_mask(struct search *search, enum about about, uint32_t mask)
{
    struct source source = {0};
    char text[2];

    for (uint32_t i = 1; i < 10; i++)
        if ((mask & 1U << i) != 0)
            source_term(search, &source, about, number_text(i, text));
    source_consider(search, &source);
}

/* The condition that the fewest objects meet. */
static void
search_begin(struct search *search, const struct reg_object_request *request)
{
    const struct reg_object_filter *filter = &request->filter;

    if (strcmp(request->ns, "*") == 0)
        consider_one(search, ABOUT_ALL, "");
    else
        consider_one(search, ABOUT_NAMESPACE, request->ns);
    if (filter->types != 0)
        consider_mask(search, ABOUT_TYPE, filter->types);
    if (filter->healths != 0)
        consider_mask(search, ABOUT_HEALTH, filter->healths);
    if (filter->category[0] != '\0')
        consider_one(search, ABOUT_CATEGORY, filter->category);
    if (filter->node_id[0] != '\0')
        consider_one(search, ABOUT_NODE, filter->node_id);
    for (size_t i = 0; i < filter->capabilities.n; i++)
        consider_one(search, ABOUT_CAPABILITY, filter->capabilities.at[i]);
    if (filter->labels.n > 0) {
        struct source source = {0};

        for (size_t i = 0; i < filter->labels.n; i++)
            source_term(search, &source, ABOUT_LABEL, filter->labels.at[i]);
        source_consider(search, &source);
    }
}

static bool
has(struct reg_texts texts, const char *text)
{
    for (size_t i = 0; i < texts.n; i++)
        if (strcmp(texts.at[i], text) == 0)
            return true;
    return false;
}

static bool
lists_match(const struct reg_object *info,
            const struct reg_object_filter *filter)
{
    bool any = filter->labels.n == 0;

    for (size_t i = 0; i < filter->capabilities.n; i++)
        if (!has(info->capabilities, filter->capabilities.at[i]))
            return false;
    for (size_t i = 0; i < filter->labels.n && !any; i++)
        any = has(info->labels, filter->labels.at[i]);
    return any;
}

static bool
text_matches(const char *wanted, const char *text)
{
    return wanted[0] == '\0' || strcmp(wanted, text) == 0;
}

/* Was it heard of in time? Applications of the suite say nothing. */
static bool
is_fresh(const struct reg_object *info, uint64_t age_max_ms,
         struct reg_when when)
{
    return age_max_ms == 0 || info->heartbeat_ms == 0 ||
           when.wall_ms <= info->heartbeat_ms ||
           when.wall_ms - info->heartbeat_ms <= age_max_ms;
}

static bool
matches(const struct reg_object *info, const struct reg_object_request *request,
        struct reg_when when)
{
    const struct reg_object_filter *filter = &request->filter;

    return (strcmp(request->ns, "*") == 0 ||
            strcmp(request->ns, info->ns) == 0) &&
           (filter->types == 0 || (filter->types & 1U << info->type) != 0) &&
           (filter->healths == 0 ||
            (filter->healths & 1U << info->health) != 0) &&
           is_fresh(info, filter->age_max_ms, when) &&
           text_matches(filter->category, info->category) &&
           text_matches(filter->node_id, info->node_id) &&
           strncmp(filter->id_prefix, info->id, strlen(filter->id_prefix)) ==
               0 &&
           lists_match(info, filter);
}

/* The next object of any of the terms, in their common order; those that have
 * the same one go on together. */
static struct reg_object_entry *
merge_next(const struct source *source, struct reg_ordered_node *heads[OR_MAX])
{
    struct reg_ordered_node *least = NULL;
    struct plex_bytes key;

    for (size_t i = 0; i < source->n; i++)
        if (heads[i] != NULL &&
            (least == NULL || reg_bytes_compare(reg_ordered_key(heads[i]),
                                                reg_ordered_key(least)) < 0))
            least = heads[i];
    if (least == NULL)
        return NULL;
    key = reg_ordered_key(least);
    for (size_t i = 0; i < source->n; i++)
        if (heads[i] != NULL &&
            reg_bytes_compare(reg_ordered_key(heads[i]), key) == 0)
            heads[i] = reg_ordered_seek(&source->terms[i]->map, key, true);
    return ((struct reg_object_posting *)least)->entry;
}

static void
merge_begin(const struct source *source, const struct reg_object_place *after,
            struct reg_ordered_node *heads[OR_MAX])
{
    struct plex_buf order = {0};

    if (after->type != 0)
        reg_object_order(&order, after);
    for (size_t i = 0; i < source->n; i++)
        heads[i] =
            reg_ordered_seek(&source->terms[i]->map,
                             (struct plex_bytes){order.data, order.len}, true);
    plex_buf_free(&order);
}

void
reg_object_discover(struct reg_objects *objects,
                    const struct reg_object_request *request,
                    struct reg_object_answer *answer, struct reg_when when)
{
    struct search search = {.objects = objects, .tenant = request->tenant};
    const struct reg_object_entry *entry, *last = NULL;
    struct reg_ordered_node *heads[OR_MAX];
    size_t seen = 0, bytes = 0;

    search_begin(&search, request);
    merge_begin(&search.best, &request->after, heads);
    answer->objects = plex_calloc(request->page_size, sizeof(void *));
    while ((entry = merge_next(&search.best, heads)) != NULL) {
        const bool match = matches(entry->info, request, when);

        /* What is just looked at moves on with the page when it ends here. */
        answer->more = (match && (answer->n_objects == request->page_size ||
                                  bytes > REG_OBJECT_PAGE_BYTES)) ||
                       seen == REG_OBJECT_SCAN_MAX;
        if (answer->more)
            break;
        last = entry;
        seen++;
        if (!match)
            continue;
        answer->objects[answer->n_objects++] = reg_object_now(entry, when);
        bytes += entry->size;
    }
    if (answer->more && last != NULL)
        answer->last = reg_object_copy(last->info);
}

/* -- counting -------------------------------------------------------------- */

static void
scope_sum(void *arg, struct reg_ordered_node *node)
{
    const struct reg_object_scope *scope =
        (const struct reg_object_scope *)node;
    struct reg_object_answer *answer = arg;

    for (size_t type = 1; type <= REG_OBJECT_TYPES; type++)
        for (size_t health = 1; health <= REG_OBJECT_HEALTHS; health++)
            answer->counts[type][health] += scope->counts[type][health];
}

void
reg_object_count(struct reg_objects *objects,
                 const struct reg_object_request *request,
                 struct reg_object_answer *answer)
{
    struct plex_buf prefix = {0};

    if (strcmp(request->ns, "*") == 0)
        put(&prefix, request->tenant, strlen(request->tenant) + 1);
    else
        reg_object_path(&prefix, request->tenant, request->ns, 0, "");
    reg_ordered_each(&objects->scopes,
                     (struct plex_bytes){prefix.data, prefix.len}, scope_sum,
                     answer);
    plex_buf_free(&prefix);
}
