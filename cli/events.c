/* What happens to processes, line by line. */
#include "cli/process.h"
#include "cli/rest.h"

#include "common/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN_US = 300000 };

struct events_config {
    bool follow;
    const char *type;
    const char *name_pattern;
    const char *node, *actor_pattern, *node_pattern, *tags;
    const char *after;
};
#define ROW(name, type, field, def, help)                                  \
    {                                                                      \
        name, type, offsetof(struct events_config, field), def, help, 0, 0 \
    }
const struct plex_option cli_events_options[] = {
    ROW("follow", PLEX_OPTION_BOOL, follow, "false",
        "go on with what happens from now on"),
    ROW("type", PLEX_OPTION_STRING, type, "",
        "only these: started,stopped,restarted,gave_up,stuck,resumed; failed, "
        "terminated"),
    ROW("name_pattern", PLEX_OPTION_STRING, name_pattern, "",
        "only of processes or children so named, with * and ?"),
    ROW("node", PLEX_OPTION_STRING, node, "", "only of this worker"),
    ROW("actor_pattern", PLEX_OPTION_STRING, actor_pattern, "",
        "only whose name, child id or ref matches the regular expression"),
    ROW("node_pattern", PLEX_OPTION_STRING, node_pattern, "",
        "only of workers that match the regular expression"),
    ROW("tags", PLEX_OPTION_STRING, tags, "",
        "only with all of them: behaviour=cart,namespace=shop"),
    ROW("after", PLEX_OPTION_STRING, after, "",
        "only what came after this place (`next` of the REST answer)"),
    {0},
};

static const char *
text_of(const json_t *event, const char *field)
{
    const char *text = json_string_value(json_object_get(event, field));

    return text == NULL ? "" : text;
}

static void
print_plain(const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    (void)printf(" %s", label);
    for (; *text != '\0'; text++)
        (void)putchar(iscntrl((unsigned char)*text) ? '?' : *text);
}

static void
print_event(const struct cli *cli, const json_t *event)
{
    const uint64_t ms = strtoull(text_of(event, "wallMs"), NULL, 10);
    const time_t seconds = (time_t)(ms / 1000);
    const char *child = text_of(event, "child");
    char when[32] = "";
    struct tm utc;

    if (cli->json) {
        (void)json_dumpf(event, stdout, JSON_COMPACT);
        (void)printf("\n");
        return;
    }
    if (gmtime_r(&seconds, &utc) != NULL)
        (void)strftime(when, sizeof when, "%H:%M:%S", &utc);
    (void)printf("%s.%03u %-9s", when, (unsigned)(ms % 1000),
                 text_of(event, "type"));
    print_plain("", child[0] != '\0' ? child : text_of(event, "name"));
    print_plain("under ", text_of(event, "supervisor"));
    print_plain("on ", text_of(event, "nodeId"));
    print_plain("reason: ", text_of(event, "reason"));
    if (strcmp(text_of(event, "count"), "0") != 0)
        print_plain("times: ", text_of(event, "count"));
    (void)printf("\n");
}

/* One page; the place after it replaces `after`. */
static enum plex_status
page(const struct cli *cli, struct rest *rest,
     const struct events_config *config, bool wait, char *after, size_t size,
     size_t *n, struct plex_err *err)
{
    struct rest_path path = {0};
    struct rest_request request = {.method = "GET", .path = path.text};
    struct rest_reply reply = {0};
    enum plex_status status;
    json_t *event;
    size_t i;

    rest_path_add(&path, "/api/v1/events");
    rest_path_param(&path, "limit", "1000");
    rest_path_param(&path, "wait_ms", wait ? "20000" : "");
    rest_path_param(&path, "type", config->type);
    rest_path_param(&path, "name_pattern", config->name_pattern);
    rest_path_param(&path, "node_id", config->node);
    rest_path_param(&path, "actor_id_pattern", config->actor_pattern);
    rest_path_param(&path, "node_id_pattern", config->node_pattern);
    rest_path_param(&path, "required_tags", config->tags);
    rest_path_param(&path, "after", after);
    status = rest_call(rest, &request, &reply, err);
    if (status == PLEX_OK) {
        json_t *events = json_object_get(reply.json, "events");

        json_array_foreach(events, i, event)
        {
            print_event(cli, event);
        }
        (void)fflush(stdout);
        *n = json_array_size(events);
        (void)snprintf(after, size, "%s", text_of(reply.json, "next"));
    }
    rest_reply_free(&reply);
    return status;
}

int
cli_events(const struct cli *cli, const struct cli_args *args,
           const void *options)
{
    const struct events_config *config = options;
    char after[3000], last[sizeof after];
    struct rest *rest;
    struct plex_err err;
    size_t n = 0;
    bool once = false;

    (void)args;
    (void)snprintf(after, sizeof after, "%s", config->after);
    if (rest_open(&rest, cli, &err) != PLEX_OK)
        return cli_fail(&err);
    for (;;) {
        enum plex_status status;

        memcpy(last, after, sizeof last);
        status = page(cli, rest, config, config->follow && once, after,
                      sizeof after, &n, &err);
        if (status != PLEX_OK) {
            /* A gateway that is away for a moment comes again. */
            if (!config->follow || !once || status != PLEX_UNAVAILABLE) {
                rest_close(rest);
                return cli_fail(&err);
            }
            (void)usleep(AGAIN_US);
            continue;
        }
        once = true;
        if (!config->follow && strcmp(last, after) == 0)
            break;
    }
    rest_close(rest);
    return 0;
}
