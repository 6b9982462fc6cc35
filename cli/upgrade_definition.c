/* Could the runs of a workflow move to a new definition? Each says so itself;
 * nothing is written. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "/api/v1/workflows/executions"

enum { DEFINITION_MAX = 1 << 20 };

struct check {
    const struct cli *cli;
    const char *ns, *workflow;
    struct rest *rest;
    char *body;
    json_t *rows;
    size_t diverging;
};

static const struct print_column columns[] = {
    {"RUN", "actor", PRINT_TEXT, NULL},
    {"VERDICT", "verdict", PRINT_TEXT, NULL},
    {"WHY", "why", PRINT_TEXT, NULL},
    {0},
};

/* The request that each run gets. */
static enum plex_status
body_make(const struct past_definition *definition, char **out,
          struct plex_err *err)
{
    FILE *file = fopen(definition->file, "rb");
    char *text = malloc(DEFINITION_MAX + 1);
    size_t len = 0;
    json_t *body;

    if (file == NULL || text == NULL)
        (void)plex_err_set(err, PLEX_INVALID, "definition %.180s: %s",
                           definition->file, strerror(errno));
    else
        len = fread(text, 1, DEFINITION_MAX + 1, file);
    if (file != NULL)
        (void)fclose(file);
    if (len > DEFINITION_MAX)
        (void)plex_err_set(err, PLEX_INVALID,
                           "definition %.180s is larger "
                           "than 1 MiB",
                           definition->file);
    else if (file != NULL && text != NULL) {
        body = json_pack("{s:s%, s:s}", "text", text, len, "language",
                         definition->language);
        if (definition->language[0] != '\0')
            json_object_set_new(body, "id", json_string(definition->workflow));
        *out = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
        json_decref(body);
        if (*out == NULL)
            (void)plex_err_set(err, PLEX_INVALID,
                               "definition %.180s is not UTF-8",
                               definition->file);
    }
    free(text);
    return *out != NULL ? PLEX_OK : err->status;
}

static enum plex_status
check_run(struct check *check, const char *id, struct plex_err *err)
{
    struct rest_path path = {0};
    const struct rest_request request = {
        .method = "POST", .path = path.text, .body = check->body};
    struct rest_reply got = {0};
    enum plex_status status;
    bool fits;

    rest_path_add(&path, BASE "/");
    rest_path_segment(&path, id);
    rest_path_add(&path, "/check_move");
    rest_path_param(&path, "namespace", check->ns);
    status = rest_call(check->rest, &request, &got, err);
    if (status == PLEX_OK) {
        const char *why = json_string_value(json_object_get(got.json, "why"));

        fits = json_is_true(json_object_get(got.json, "fits"));
        check->diverging += !fits;
        json_array_append_new(check->rows,
                              json_pack("{s:o, s:s, s:s}", "actor",
                                        json_sprintf("workflow/%s", id),
                                        "verdict", fits ? "fits" : "diverges",
                                        "why", why == NULL ? "" : why));
    }
    /* It may have been removed since the list was made. */
    if (got.status == 404)
        status = PLEX_OK;
    rest_reply_free(&got);
    return status;
}

static enum plex_status
check_all(struct check *check, struct plex_err *err)
{
    static const char *const open[] = {"PENDING", "RUNNING", "PAUSED",
                                       "PARKED"};
    enum plex_status status = PLEX_OK;

    for (size_t i = 0; i < sizeof open / sizeof *open && status == PLEX_OK;
         i++) {
        struct rest_path path = {0};
        json_t *rows, *row;
        size_t k;

        rest_path_add(&path, BASE);
        rest_path_param(&path, "namespace", check->ns);
        rest_path_param(&path, "definition", check->workflow);
        rest_path_param(&path, "status", open[i]);
        status = rest_list(check->cli, path.text, "executions", &rows, err);
        if (status != PLEX_OK)
            break;
        json_array_foreach(rows, k, row)
        {
            const char *id = json_string_value(json_object_get(row, "id"));

            if (status == PLEX_OK && id != NULL)
                status = check_run(check, id, err);
        }
        json_decref(rows);
    }
    return status;
}

int
past_check_definition(const struct cli *cli, const char *ns,
                      const struct past_definition *definition)
{
    struct check check = {.cli = cli,
                          .ns = ns,
                          .workflow = definition->workflow,
                          .rows = json_array()};
    struct plex_err err;
    enum plex_status status;
    int code;

    if (definition->workflow[0] == '\0')
        status = plex_err_set(&err, PLEX_INVALID,
                              "--workflow names the definition's id");
    else
        status = body_make(definition, &check.body, &err);
    if (status == PLEX_OK)
        status = rest_open(&check.rest, cli, &err);
    if (status == PLEX_OK)
        status = check_all(&check, &err);
    if (status != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        code = check.diverging == 0 ? 0 : CLI_EXIT_REFUSED;
        if (cli->json)
            print_json(check.rows);
        else
            print_table(columns, check.rows);
        if (!cli->json)
            (void)printf("%zu runs, %zu would diverge\n",
                         json_array_size(check.rows), check.diverging);
    }
    rest_close(check.rest);
    json_decref(check.rows);
    free(check.body);
    return code;
}
