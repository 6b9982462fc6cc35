#include "tests/unit/registry/helper.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
helper_open(struct helper *h)
{
    memset(h, 0, sizeof *h);
    h->now = 5000000000U;
    h->wall = 1700000000000U;
    h->core = reg_core_create(&reg_core_defaults, h->now, h->wall);
}

void
helper_close(struct helper *h)
{
    helper_pump(h);
    reg_core_free(h->core);
}

void
helper_pump(struct helper *h)
{
    struct reg_action action;

    while (reg_core_next(h->core, &action)) {
        const uintptr_t call = (uintptr_t)action.call;
        struct answer *answer = call == 0 ? NULL : &h->answers[call - 1];

        if (action.kind == REG_ACTION_PUT || action.kind == REG_ACTION_DELETE) {
            h->puts += action.kind == REG_ACTION_PUT;
            h->deletes += action.kind == REG_ACTION_DELETE;
            h->held = h->hold;
            if (!h->hold)
                reg_core_stored(h->core, h->store_status, "disk full", h->now);
        }
        if (answer != NULL) {
            assert(call <= HELPER_CALLS && answer->kind == 0);
            answer->kind = action.kind;
            answer->status = action.status;
            answer->lease_ms = action.lease_ms;
            answer->version = action.version;
            answer->unchanged = action.unchanged;
            snprintf(answer->text, sizeof answer->text, "%s", action.text);
            if (action.app != NULL) {
                answer->revision = action.app->full.app.revision;
                answer->state = action.app->full.app.state;
            }
        }
        reg_app_rec_unref(action.app);
    }
}

void
helper_run(struct helper *h, uint64_t ms)
{
    const uint64_t end = h->now + ms * 1000000U;

    for (int ticks = 0; reg_core_wake(h->core) <= end; ticks++) {
        assert(ticks < 10000);
        if (reg_core_wake(h->core) > h->now)
            h->now = reg_core_wake(h->core);
        reg_core_tick(h->core, h->now);
        helper_pump(h);
    }
    h->now = end;
}

struct answer
helper_take(struct helper *h)
{
    struct answer answer;

    helper_pump(h);
    answer = h->answers[0];
    memset(&h->answers[0], 0, sizeof h->answers[0]);
    return answer;
}

struct answer
helper_announce(struct helper *h, const char *node_id, uint64_t incarnation,
                enum reg_node_status status)
{
    const struct reg_node node = {
        .node_id = node_id,
        .kind = "worker",
        .status = status,
        .url = "tcp://127.0.0.1:7406",
        .admin_addr = "127.0.0.1:9106",
        .incarnation = incarnation,
        .version = "0.1.0",
        .reason = "",
    };

    reg_core_announce(h->core, (void *)1, &node, h->now);
    return helper_take(h);
}

struct answer
helper_deploy(struct helper *h, const struct reg_app_full *app)
{
    reg_core_deploy(h->core, (void *)1, app, h->now, h->wall);
    return helper_take(h);
}

int
helper_main(TCase *tc, const char *name)
{
    Suite *suite = suite_create(name);
    SRunner *runner;
    int failed;

    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
