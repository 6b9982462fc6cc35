#include "workflow/def.h"

#include "common/mem.h"
#include "workflow/graph.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { POOL_MAX = 64 << 20 }; /* a definition is at most 1 MiB of text */

const char *
flow_kind_name(enum flow_kind kind)
{
    static const char *const names[] = {"task",     "pass", "choice",  "wait",
                                        "parallel", "map",  "signal",  "child",
                                        "approval", "http", "succeed", "fail",
                                        "continue"};

    return names[kind];
}

struct flow_def *
flow_def_new(enum flow_language language, const char *text, size_t len)
{
    struct flow_def *def = plex_calloc(1, sizeof *def);

    flow_pool_init(&def->pool, POOL_MAX);
    def->refs = 1;
    def->language = language;
    def->text = plex_calloc(1, len + 1);
    memcpy(def->text, text, len);
    def->text_len = len;
    def->id = def->name = "";
    def->version = "1.0.0";
    def->labels = json_object();
    def->vars = json_object();
    return def;
}

struct flow_def *
flow_def_ref(struct flow_def *def)
{
    def->refs++;
    return def;
}

void
flow_def_unref(struct flow_def *def)
{
    if (def == NULL || --def->refs > 0)
        return;
    json_decref(def->labels);
    json_decref(def->vars);
    flow_pool_fini(&def->pool);
    free(def->nodes);
    free(def->scopes);
    free(def->text);
    free(def);
}

char *
flow_def_strdup(struct flow_def *def, const char *text)
{
    return plex_arena_strndup(&def->pool.arena, text, strlen(text));
}

static const char *
path_of(struct flow_def *def, const struct flow_scope *scope, const char *id)
{
    const struct flow_node *owner;
    size_t size;
    char *path;

    if (scope->owner == FLOW_NONE)
        return flow_def_strdup(def, id);
    owner = def->nodes[scope->owner];
    size = strlen(owner->path) + strlen(scope->name) + strlen(id) + 3;
    path = flow_pool_alloc(&def->pool, size, 1);
    if (path != NULL)
        (void)snprintf(path, size, "%s%s%s/%s", owner->path,
                       scope->name[0] ? "." : "", scope->name, id);
    return path;
}

struct flow_node *
flow_def_add_node(struct flow_def *def, struct flow_scope *scope,
                  const char *id)
{
    struct flow_node *node;

    if (def->n_nodes == FLOW_STEPS_MAX)
        return NULL;
    node = flow_pool_alloc(&def->pool, 1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->id = flow_def_strdup(def, id);
    node->path = path_of(def, scope, id);
    if (node->id == NULL || node->path == NULL)
        return NULL;
    node->title = node->id;
    node->index = def->n_nodes;
    node->scope = FLOW_NONE;
    node->next = node->otherwise = FLOW_NONE;
    for (uint32_t i = 0; i < def->n_scopes; i++) {
        if (def->scopes[i] == scope)
            node->scope = i;
    }
    def->nodes = plex_reallocarray(def->nodes, def->n_nodes + 1,
                                   sizeof(struct flow_node *));
    def->nodes[def->n_nodes++] = node;
    scope->nodes[scope->n_nodes++] = node->index;
    return node;
}

struct flow_scope *
flow_def_add_scope(struct flow_def *def, uint32_t owner, const char *name,
                   size_t nodes)
{
    struct flow_scope *scope;

    if (nodes > FLOW_STEPS_MAX)
        return NULL;
    scope = flow_pool_alloc(&def->pool, 1, sizeof *scope);
    if (scope == NULL)
        return NULL;
    scope->name = flow_def_strdup(def, name);
    scope->owner = owner;
    scope->start = FLOW_NONE;
    scope->net = def->language == FLOW_NATIVE;
    scope->nodes = flow_pool_alloc(&def->pool, nodes, sizeof *scope->nodes);
    scope->by_name = flow_pool_alloc(&def->pool, nodes, sizeof *scope->nodes);
    if (scope->name == NULL || scope->nodes == NULL || scope->by_name == NULL)
        return NULL;
    if (owner != FLOW_NONE)
        scope->depth = def->scopes[def->nodes[owner]->scope]->depth + 1;
    def->scopes = plex_reallocarray(def->scopes, def->n_scopes + 1,
                                    sizeof(struct flow_scope *));
    def->scopes[def->n_scopes++] = scope;
    return scope;
}

static int
by_name(const void *a, const void *b, void *ctx)
{
    const struct flow_def *def = ctx;

    return strcmp(def->nodes[*(const uint32_t *)a]->id,
                  def->nodes[*(const uint32_t *)b]->id);
}

void
flow_scope_sort(struct flow_def *def, struct flow_scope *scope)
{
    if (scope->n_nodes == 0)
        return;
    memcpy(scope->by_name, scope->nodes, scope->n_nodes * sizeof *scope->nodes);
    qsort_r(scope->by_name, scope->n_nodes, sizeof *scope->by_name, by_name,
            def);
}

uint32_t
flow_scope_find(const struct flow_def *def, const struct flow_scope *scope,
                const char *id)
{
    uint32_t low = 0, high = scope->n_nodes;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint32_t index = scope->by_name[middle];
        const int c = strcmp(id, def->nodes[index]->id);

        if (c == 0)
            return index;
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return FLOW_NONE;
}

void
flow_def_seal(struct flow_def *def)
{
    XXH3_state_t *state = XXH3_createState();

    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, def->id, strlen(def->id) + 1);
    XXH3_64bits_update(state, def->version, strlen(def->version) + 1);
    XXH3_64bits_update(state, def->text, def->text_len);
    def->digest = XXH3_64bits_digest(state);
    XXH3_freeState(state);
}

enum plex_status
flow_def_parse(const char *text, size_t len, struct flow_def **out,
               struct plex_err *err)
{
    const struct flow_source source = {text, len};
    struct flow_at root = {.source = &source};
    struct flow_def *def;
    enum plex_status status;

    *out = NULL;
    status = flow_text_load(text, len, &root.value, err);
    if (status != PLEX_OK)
        return status;
    def = flow_def_new(FLOW_NATIVE, text, len);
    status = flow_native_compile(def, &root, err);
    json_decref(root.value);
    if (status != PLEX_OK) {
        flow_def_unref(def);
        return status;
    }
    flow_def_seal(def);
    *out = def;
    return PLEX_OK;
}

enum plex_status
flow_asl_parse(const char *text, size_t len,
               const struct flow_asl_options *options, struct flow_def **out,
               struct plex_err *err)
{
    const struct flow_source source = {text, len};
    struct flow_at root = {.source = &source};
    struct flow_def *def;
    enum plex_status status;

    *out = NULL;
    if (options->version != NULL && !flow_semver_valid(options->version))
        return plex_err_set(err, PLEX_INVALID,
                            "version '%.40s' should be like 1.2.3",
                            options->version);
    status = flow_text_load(text, len, &root.value, err);
    if (status != PLEX_OK)
        return status;
    def = flow_def_new(FLOW_ASL, text, len);
    def->id = def->name = flow_def_strdup(def, options->id);
    if (options->version != NULL)
        def->version = flow_def_strdup(def, options->version);
    status = flow_asl_compile(def, &root, options, err);
    json_decref(root.value);
    if (status != PLEX_OK) {
        flow_def_unref(def);
        return status;
    }
    flow_def_seal(def);
    *out = def;
    return PLEX_OK;
}

enum flow_language
flow_def_language(const struct flow_def *def)
{
    return def->language;
}

const char *
flow_def_id(const struct flow_def *def)
{
    return def->id;
}

const char *
flow_def_name(const struct flow_def *def)
{
    return def->name;
}

const char *
flow_def_version(const struct flow_def *def)
{
    return def->version;
}

const char *
flow_def_text(const struct flow_def *def, size_t *len)
{
    *len = def->text_len;
    return def->text;
}

json_t *
flow_def_labels(const struct flow_def *def)
{
    return def->labels;
}

uint64_t
flow_def_digest(const struct flow_def *def)
{
    return def->digest;
}

json_t *
flow_def_outline(const struct flow_def *def)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < def->n_nodes; i++) {
        const struct flow_node *node = def->nodes[i];
        json_t *deps = json_array();

        for (uint32_t d = 0; d < node->n_deps; d++)
            json_array_append_new(
                deps, json_string(def->nodes[node->deps[d].from]->id));
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:o, s:s?}", "id", node->id, "path",
                      node->path, "type", flow_kind_name(node->kind),
                      "depends_on", deps, "next",
                      node->next != FLOW_NONE ? def->nodes[node->next]->id
                                              : NULL));
    }
    return list;
}

/* -- semver -------------------------------------------------------------------
 */

static const char *
skip_number(const char *c)
{
    if (*c == '0')
        return c + 1;
    while (isdigit((unsigned char)*c))
        c++;
    return c;
}

bool
flow_semver_valid(const char *text)
{
    static const char tail[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.";
    const char *c = text;

    if (strlen(text) > 64)
        return false;
    for (int part = 0; part < 3; part++) {
        const char *end = skip_number(c);

        if (end == c || end - c > 9 || (part < 2 && *end != '.'))
            return false;
        c = part < 2 ? end + 1 : end;
    }
    for (const char *mark = "-+"; *mark != '\0'; mark++) {
        if (*c == *mark) {
            const size_t len = strspn(c + 1, tail);

            if (len == 0)
                return false;
            c += 1 + len;
        }
    }
    return *c == '\0';
}

/* Numbers below texts; numbers by value. */
static int
compare_part(const char *a, size_t alen, const char *b, size_t blen)
{
    const bool anum = strspn(a, "0123456789") >= alen;
    const bool bnum = strspn(b, "0123456789") >= blen;
    int c;

    if (anum != bnum)
        return anum ? -1 : 1;
    if (anum && alen != blen)
        return alen < blen ? -1 : 1;
    c = memcmp(a, b, alen < blen ? alen : blen);
    return c != 0 ? c : (alen > blen) - (alen < blen);
}

static int
compare_pre(const char *a, const char *b)
{
    while (*a != '\0' && *a != '+' && *b != '\0' && *b != '+') {
        const size_t alen = strcspn(a, ".+"), blen = strcspn(b, ".+");
        const int c = compare_part(a, alen, b, blen);

        if (c != 0)
            return c;
        a += alen + (a[alen] == '.');
        b += blen + (b[blen] == '.');
    }
    return (*a != '\0' && *a != '+') - (*b != '\0' && *b != '+');
}

int
flow_semver_compare(const char *a, const char *b)
{
    for (int part = 0; part < 3; part++) {
        char *aend, *bend;
        const unsigned long x = strtoul(a, &aend, 10);
        const unsigned long y = strtoul(b, &bend, 10);

        if (x != y)
            return x < y ? -1 : 1;
        a = aend + (*aend == '.');
        b = bend + (*bend == '.');
    }
    if (*a != '-' || *b != '-')
        return (*b == '-') - (*a == '-');
    return compare_pre(a + 1, b + 1);
}
