/* An expression of either language: parsed, evaluated, its result bounded.
 * The first byte chooses: E native, T template, others paths. */
#include "workflow/expr.h"
#include "workflow/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *world;

static json_t *
root(void *ctx, enum flow_root which, const char *name)
{
    (void)ctx;
    (void)name;
    return which == FLOW_ROOT_RESULT ? NULL : world;
}

static enum plex_status
parse(struct flow_pool *pool, char how, const char *text, struct flow_expr **x,
      struct plex_err *err)
{
    const struct flow_source source = {text, strlen(text)};
    json_t *value;

    if (how == 'E')
        return flow_expr_parse(pool, text, strlen(text), ~0U, x, err);
    if (how != 'T')
        return flow_path_parse(pool, text, true, x, err);
    value = flow_pool_keep(pool, json_string(text));
    if (value == NULL)
        return PLEX_INVALID;
    return flow_template_parse(
        pool, &(struct flow_at){.value = value, .source = &source}, ~0U, x,
        err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t random = 1;
    const struct flow_env env = {root, NULL, 1700000000000, &random};
    struct flow_expr *x = NULL;
    struct flow_fault fault;
    struct flow_pool pool;
    struct plex_err err;
    json_t *value;
    char *text;

    if (size == 0)
        return 0;
    world = json_loads("{\"a\":1,\"b\":[1,2.5,\"x\",null,true],\"c\":{\"d\":["
                       "{\"e\":1},{\"e\":2}]},\"s\":\"a,b,c\"}",
                       0, NULL);
    text = strndup((const char *)data + 1, size - 1);
    flow_pool_init(&pool, 4 << 20);
    if (parse(&pool, (char)data[0], text, &x, &err) == PLEX_OK) {
        (void)flow_expr_steps(&pool, x);
        value = flow_expr_eval(x, &env, &fault);
        if (value == NULL && fault.kind == FLOW_FAULT_NONE)
            abort();
        if (value != NULL &&
            flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX)
            abort();
        json_decref(value);
    }
    flow_pool_fini(&pool);
    free(text);
    json_decref(world);
    return 0;
}
