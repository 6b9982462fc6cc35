#include "services/registry/facet.h"
#include "tests/unit/registry/helper.h"

#include <stdio.h>
#include <string.h>

static struct helper h;

static void
setup(void)
{
    helper_open(&h);
}

static void
teardown(void)
{
    helper_close(&h);
}

static const struct reg_actor_type one_type[] = {
    {.name = "counter", .module = "counter"},
};

static struct reg_app_full
app_of(const char *name, const struct reg_actor_type *types, size_t n)
{
    return (struct reg_app_full){
        .app = {.tenant = "default",
                .ns = "",
                .name = name,
                .version = "1.0.0",
                .types = types,
                .n_types = n},
    };
}

START_TEST(a_deployment_fills_in_defaults_and_is_stored_first)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    const struct reg_app *got;
    struct answer answer;

    h.hold = true;
    answer = helper_deploy(&h, &app);
    ck_assert_int_eq(answer.kind, 0);
    ck_assert_uint_eq(reg_core_apps(h.core), 0);
    reg_core_stored(h.core, PLEX_OK, "", h.now);
    answer = helper_take(&h);
    ck_assert_int_eq(answer.kind, REG_ACTION_APP);
    ck_assert_uint_eq(answer.revision, 1);
    got = &reg_core_app(h.core, 0)->full.app;
    ck_assert_str_eq(got->ns, "default");
    ck_assert_int_eq(got->state, REG_APP_RUNNING);
    ck_assert_uint_eq(got->deployed_ms, h.wall);
    ck_assert_str_eq(got->types[0].behaviour, "counter");
    ck_assert_str_eq(got->types[0].pool, "default");
    ck_assert_uint_eq(got->types[0].idle_timeout_ms, 300000);
    ck_assert_uint_eq(got->types[0].mailbox_max, 10000);
    ck_assert_uint_eq(got->types[0].snapshot_every, 1000);
    ck_assert(!got->types[0].is_virtual);
}
END_TEST

START_TEST(deploying_the_same_again_changes_nothing)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    uint64_t version;

    (void)helper_deploy(&h, &app);
    version = reg_core_version(h.core);
    h.wall += 1000;
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 1);
    ck_assert_uint_eq(reg_core_version(h.core), version);
    ck_assert_uint_eq(h.puts, 1);
    app.app.version = "1.0.1";
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 2);
    ck_assert_uint_eq(reg_core_version(h.core), version + 1);
    ck_assert_uint_eq(reg_core_stats(h.core).types, 1);
}
END_TEST

START_TEST(a_type_has_one_application_per_namespace)
{
    struct reg_app_full first = app_of("shop", one_type, 1);
    struct reg_app_full second = app_of("other", one_type, 1);
    struct answer answer;

    (void)helper_deploy(&h, &first);
    answer = helper_deploy(&h, &second);
    ck_assert_int_eq(answer.status, PLEX_EXISTS);
    ck_assert_ptr_nonnull(strstr(answer.text, "\"shop\""));
    ck_assert_ptr_nonnull(strstr(answer.text, "actor_types[0]"));
    second.app.ns = "blue";
    ck_assert_int_eq(helper_deploy(&h, &second).kind, REG_ACTION_APP);
    second.app.ns = "";
    second.app.tenant = "acme";
    ck_assert_int_eq(helper_deploy(&h, &second).kind, REG_ACTION_APP);
}
END_TEST

START_TEST(types_that_are_gone_are_free_again)
{
    static const struct reg_actor_type two[] = {
        {.name = "counter", .module = "m"}, {.name = "cart", .module = "m"}};
    struct reg_app_full shop = app_of("shop", two, 2);
    struct reg_app_full other = app_of("other", one_type, 1);

    (void)helper_deploy(&h, &shop);
    shop.app.types = &two[1];
    shop.app.n_types = 1;
    (void)helper_deploy(&h, &shop);
    ck_assert_int_eq(helper_deploy(&h, &other).kind, REG_ACTION_APP);
}
END_TEST

START_TEST(stop_start_and_undeploy)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    struct answer answer;

    (void)helper_deploy(&h, &app);
    reg_core_set_state(h.core, (void *)1, "default", "", "shop",
                       REG_APP_STOPPED, h.now);
    answer = helper_take(&h);
    ck_assert_int_eq(answer.state, REG_APP_STOPPED);
    ck_assert_uint_eq(answer.revision, 1);
    reg_core_set_state(h.core, (void *)1, "default", "default", "shop",
                       REG_APP_STOPPED, h.now);
    ck_assert_int_eq(helper_take(&h).state, REG_APP_STOPPED);
    ck_assert_uint_eq(h.puts, 2);
    /* Deploying starts it. */
    answer = helper_deploy(&h, &app);
    ck_assert_int_eq(answer.state, REG_APP_RUNNING);
    ck_assert_uint_eq(answer.revision, 1);
    reg_core_undeploy(h.core, (void *)1, "default", "", "shop", h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_GONE);
    ck_assert_uint_eq(reg_core_apps(h.core), 0);
    ck_assert_uint_eq(reg_core_stats(h.core).types, 0);
    reg_core_undeploy(h.core, (void *)1, "default", "", "shop", h.now);
    answer = helper_take(&h);
    ck_assert_int_eq(answer.status, PLEX_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(answer.text, "\"shop\""));
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 2);
}
END_TEST

START_TEST(another_tenant_cannot_touch_it)
{
    struct reg_app_full app = app_of("shop", one_type, 1);

    (void)helper_deploy(&h, &app);
    reg_core_undeploy(h.core, (void *)1, "acme", "", "shop", h.now);
    ck_assert_int_eq(helper_take(&h).status, PLEX_NOT_FOUND);
    ck_assert_uint_eq(reg_core_apps(h.core), 1);
}
END_TEST

START_TEST(a_store_that_fails_changes_nothing)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    struct answer answer;

    h.store_status = PLEX_UNAVAILABLE;
    answer = helper_deploy(&h, &app);
    ck_assert_int_eq(answer.status, PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(answer.text, "disk full"));
    ck_assert_uint_eq(reg_core_apps(h.core), 0);
    h.store_status = PLEX_OK;
    ck_assert_int_eq(helper_deploy(&h, &app).kind, REG_ACTION_APP);
}
END_TEST

START_TEST(changes_are_stored_one_at_a_time_in_order)
{
    struct reg_app_full app = app_of("shop", one_type, 1);

    h.hold = true;
    reg_core_deploy(h.core, (void *)2, &app, h.now, h.wall);
    reg_core_undeploy(h.core, (void *)3, "default", "", "shop", h.now);
    reg_core_undeploy(h.core, (void *)4, "default", "", "shop", h.now);
    helper_pump(&h);
    ck_assert_uint_eq(h.puts, 1);
    ck_assert_uint_eq(h.deletes, 0);
    reg_core_stored(h.core, PLEX_OK, "", h.now);
    helper_pump(&h);
    ck_assert_int_eq(h.answers[1].kind, REG_ACTION_APP);
    ck_assert_uint_eq(h.deletes, 1);
    reg_core_stored(h.core, PLEX_OK, "", h.now);
    helper_pump(&h);
    ck_assert_int_eq(h.answers[2].kind, REG_ACTION_GONE);
    ck_assert_int_eq(h.answers[3].status, PLEX_NOT_FOUND);
}
END_TEST

START_TEST(what_was_stored_is_loaded_as_it_is)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    struct plex_err err;

    app.app.ns = "default";
    app.app.revision = 7;
    app.app.state = REG_APP_STOPPED;
    ck_assert_int_eq(reg_core_load(h.core, &app, &err), PLEX_OK);
    reg_core_load_revision(h.core, 9);
    ck_assert_int_eq(reg_core_app(h.core, 0)->full.app.state, REG_APP_STOPPED);
    app.app.version = "2.0.0";
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 10);
}
END_TEST

/* -- validation -------------------------------------------------------------
 */

static void
expect_invalid(const struct reg_app_full *app, const char *text)
{
    const struct answer answer = helper_deploy(&h, app);

    ck_assert_msg(answer.status == PLEX_INVALID, "expected \"%s\"", text);
    ck_assert_msg(strstr(answer.text, text) != NULL,
                  "expected \"%s\" in \"%s\"", text, answer.text);
}

START_TEST(bad_applications_name_the_field)
{
    struct reg_app_full app = app_of("shop", one_type, 1);
    char longer[1100];

    app.app.name = "My Shop";
    expect_invalid(&app, "name");
    app = app_of("shop", one_type, 1);
    app.app.version = "";
    expect_invalid(&app, "version is missing");
    app.app.version = "1.0";
    expect_invalid(&app, "semantic version");
    app = app_of("shop", one_type, 1);
    app.app.ns = "Big";
    expect_invalid(&app, "namespace");
    app = app_of("shop", one_type, 0);
    expect_invalid(&app, "actor_types must be 1 to 1000, not 0");
    app = app_of("shop", one_type, 1001);
    expect_invalid(&app, "actor_types must be 1 to 1000, not 1001");
    app = app_of("shop", one_type, 1);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    app.app.description = longer;
    expect_invalid(&app, "description");
}
END_TEST

START_TEST(bad_types_name_the_field)
{
    static const struct {
        struct reg_actor_type type;
        const char *text;
    } bad[] = {
        {{.name = "Counter", .module = "m"}, "actor_types[1]: name: "},
        {{.name = "", .module = "m"}, "actor_types[1]: name: "},
        {{.name = "a", .module = ""}, "actor_types[1]: module is missing"},
        {{.name = "a", .module = "../evil"}, "without folder"},
        {{.name = "a", .module = "counter.so"}, "\".so\""},
        {{.name = "a", .module = "Counter"}, "module"},
        {{.name = "a", .module = "m", .behaviour = "x y"}, "behaviour"},
        {{.name = "a", .module = "m", .mailbox_max = 2000000}, "mailbox_max"},
        {{.name = "a", .module = "m", .snapshot_every = 2000000},
         "snapshot_every"},
        {{.name = "a", .module = "m", .idle_timeout_ms = 1ULL << 40},
         "idle_timeout_ms"},
        {{.name = "a", .module = "m", .pool = "No Pool"}, "pool"},
        {{.name = "a", .module = "m", .pool = "gpu"}, "pool is \"gpu\""},
        {{.name = "first", .module = "m"}, "is that of actor_types[0] too"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct reg_actor_type types[] = {{.name = "first", .module = "m"},
                                               bad[i].type};
        const struct reg_app_full app = app_of("shop", types, 2);

        expect_invalid(&app, bad[i].text);
    }
}
END_TEST

START_TEST(versions_are_semantic)
{
    static const char *const good[] = {"0.0.0", "1.2.3", "10.20.30-rc.1",
                                       "1.0.0-alpha-1+build.5", "1.0.0+x"};
    static const char *const bad[] = {
        "1",      "1.2",   "1.2.3.4",    "v1.0.0", "01.0.0", "1.0.0-",
        "1.0.0+", "a.b.c", "1.0.0-a..b", "1.0.0 ", "1..0"};
    struct reg_app_full app = app_of("shop", one_type, 1);

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        app.app.version = good[i];
        ck_assert_msg(helper_deploy(&h, &app).kind == REG_ACTION_APP, "%s",
                      good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        app.app.version = bad[i];
        expect_invalid(&app, "semantic version");
    }
}
END_TEST

START_TEST(a_thousand_types_are_fine)
{
    static struct reg_actor_type types[1000];
    static char names[1000][16];
    struct reg_app_full app = app_of("shop", types, 1000);

    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "type-%d", i);
        types[i] = (struct reg_actor_type){.name = names[i], .module = "m"};
    }
    ck_assert_int_eq(helper_deploy(&h, &app).kind, REG_ACTION_APP);
    ck_assert_uint_eq(reg_core_stats(h.core).types, 1000);
}
END_TEST

/* -- facets ------------------------------------------------------------------
 */

static struct answer
deploy_facets(const struct reg_facet *facets, size_t n)
{
    const struct reg_type_extra extra = {.facets = facets, .n_facets = n};
    struct reg_app_full app = app_of("shop", one_type, 1);

    app.extras = &extra;
    return helper_deploy(&h, &app);
}

START_TEST(facets_set_what_they_stand_for)
{
    static const struct reg_pair idle[] = {{"idle_timeout", "5m"}};
    static const struct reg_pair every[] = {{"checkpoint_interval", "50"}};
    static const struct reg_facet facets[] = {
        {.type = "virtual_actor", .config = idle, .n_config = 1},
        {.type = "durability", .config = every, .n_config = 1},
        {.type = "timer"},
    };
    const struct reg_actor_type *type;

    ck_assert_int_eq(deploy_facets(facets, 3).kind, REG_ACTION_APP);
    type = &reg_core_app(h.core, 0)->full.app.types[0];
    ck_assert(type->is_virtual);
    ck_assert(type->durable);
    ck_assert_uint_eq(type->idle_timeout_ms, 300000);
    ck_assert_uint_eq(type->snapshot_every, 50);
    ck_assert_str_eq(reg_core_app(h.core, 0)->full.extras[0].facets[1].type,
                     "durability");
}
END_TEST

START_TEST(what_is_said_elsewhere_is_pointed_at)
{
    static const struct {
        struct reg_facet facet;
        struct reg_pair pair;
        const char *why; /* NULL: it is taken */
    } rows[] = {
        {{.type = "durability"}, {"replay_on_restart", "true"}, NULL},
        {{.type = "durability"}, {"checkpoint_interval", "100"}, NULL},
        {{.type = "durability"},
         {"cache_side_effects", "false"},
         "it cannot be switched off"},
        {{.type = "durability"}, {"journal_backend", "redis"}, "its store_dsn"},
        {{.type = "durability"}, {"state_schema_version", "2"}, "behaviour"},
        {{.type = "reminder"}, {"reminders", "[]"}, "schedules send by cron"},
        {{.type = "virtual_actor"}, {"deactivation_timeout", "5m"}, NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reg_facet facet = rows[i].facet;
        struct plex_err err = {0};
        enum plex_status status;

        facet.config = &rows[i].pair;
        facet.n_config = 1;
        status = reg_facet_check(&facet, &err);
        if (rows[i].why == NULL)
            ck_assert_msg(status == PLEX_OK, "%s", err.text);
        else
            ck_assert_msg(strstr(err.text, rows[i].why) != NULL, "%s",
                          err.text);
    }
}
END_TEST

START_TEST(stateless_types_keep_nothing)
{
    static const struct reg_pair active[] = {{"max_active", "3"}};
    static const struct reg_pair idle[] = {{"idle_timeout", "5m"}};
    static const struct {
        struct reg_facet facet;
        bool durable;
        uint32_t max_local, snapshot_every;
        const char *text; /* NULL: it may be deployed */
    } rows[] = {
        {{.type = "rate_limit"}, false, 4, 0, NULL},
        {{.type = "virtual_actor", .config = idle, .n_config = 1},
         false,
         0,
         0,
         NULL},
        {{.type = "metrics"}, true, 4, 0, "durable keeps state"},
        {{.type = "metrics"}, false, 4, 9, "snapshot_every keeps state"},
        {{.type = "metrics"}, false, 1001, 0, "max_local is 1001"},
        {{.type = "durability"}, false, 4, 0, "facet durability keeps state"},
        {{.type = "reminder"}, false, 4, 0, "facet reminder keeps state"},
        {{.type = "virtual_actor", .config = active, .n_config = 1},
         false,
         4,
         0,
         "config.max_active means nothing"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct reg_actor_type type = {.name = "resize",
                                            .module = "m",
                                            .is_virtual = true,
                                            .stateless = true,
                                            .route = PLEX_SPREAD_RANDOM,
                                            .max_local = rows[i].max_local,
                                            .durable = rows[i].durable,
                                            .snapshot_every =
                                                rows[i].snapshot_every,
                                            .behaviour = "",
                                            .pool = ""};
        const struct reg_type_extra extra = {.facets = &rows[i].facet,
                                             .n_facets = 1};
        struct reg_app_full app = app_of("shop", &type, 1);
        struct reg_app_rec *rec = NULL;
        struct plex_err err = {0};

        app.extras = &extra;
        if (reg_app_resolve(&app, &rec, &err) == PLEX_OK)
            reg_app_rec_unref(rec);
        if (rows[i].text == NULL)
            ck_assert_msg(err.status == PLEX_OK, "%s", err.text);
        else
            ck_assert_msg(strstr(err.text, rows[i].text) != NULL, "%zu: %s", i,
                          err.text);
    }
}
END_TEST

START_TEST(processes_have_no_facets_that_keep_state)
{
    static const struct reg_actor_type type = {
        .name = "guest", .module = "m", .behaviour = "", .pool = ""};
    static const struct reg_facet keeps = {.type = "durability"};
    static const struct reg_facet limits = {.type = "rate_limit"};
    struct reg_type_extra extra = {.facets = &keeps, .n_facets = 1};
    struct reg_app_full app = app_of("shop", &type, 1);
    struct reg_app_rec *rec = NULL;
    struct plex_err err = {0};

    app.extras = &extra;
    ck_assert_int_eq(reg_app_resolve(&app, &rec, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(
        strstr(err.text, "actor_types[0]: facets[0]: facet durability is for "
                         "virtual actors"));
    extra.facets = &limits;
    ck_assert_int_eq(reg_app_resolve(&app, &rec, &err), PLEX_OK);
    reg_app_rec_unref(rec);
    extra.memory_bytes = 1;
    ck_assert_int_eq(reg_app_resolve(&app, &rec, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "its child says placement"));
}
END_TEST

START_TEST(bad_facets_list_what_is_known)
{
    static const struct reg_pair wrong_key[] = {{"idle", "5m"}};
    static const struct reg_pair wrong_value[] = {{"idle_timeout", "soon"}};
    static const struct reg_pair eager[] = {{"activation_strategy", "eager"}};
    static const struct reg_pair again[] = {{"reentrancy", "sometimes"}};
    static const struct {
        struct reg_facet facet;
        const char *text;
    } bad[] = {
        {{.type = "magic"},
         "facets[0]: facet \"magic\" is unknown; the nearest is "},
        {{.type = ""}, "type is missing"},
        {{.type = "virtual_actor", .config = wrong_key, .n_config = 1},
         "the nearest is \"idle_timeout\""},
        {{.type = "virtual_actor", .config = wrong_value, .n_config = 1},
         "config.idle_timeout: \"soon\" is not a duration"},
        {{.type = "virtual_actor", .config = eager, .n_config = 1},
         "prewarm_keys is missing"},
        {{.type = "virtual_actor", .config = again, .n_config = 1},
         "config.reentrancy: \"sometimes\""},
        {{.type = "timer", .config = eager, .n_config = 1},
         "config.activation_strategy is unknown to timer"},
        {{.type = "timer", .priority = 10001}, "priority"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct answer answer = deploy_facets(&bad[i].facet, 1);

        ck_assert_int_eq(answer.status, PLEX_INVALID);
        ck_assert_msg(strstr(answer.text, bad[i].text) != NULL, "%s",
                      answer.text);
    }
}
END_TEST

START_TEST(turns_of_durable_actors_do_not_interleave)
{
    static const struct {
        const char *policy;
        bool durable, facet, good;
    } rows[] = {
        {"none", true, true, true},         {"call_chain", false, false, true},
        {"always", false, false, true},     {"call_chain", true, false, false},
        {"call_chain", false, true, false}, {"always", true, false, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct reg_pair pair = {"reentrancy", rows[i].policy};
        const struct reg_facet facets[] = {
            {.type = "virtual_actor", .config = &pair, .n_config = 1},
            {.type = "durability"},
        };
        const struct reg_actor_type type = {
            .name = "again", .module = "m", .durable = rows[i].durable};
        const struct reg_type_extra extra = {.facets = facets,
                                             .n_facets = rows[i].facet ? 2 : 1};
        struct reg_app_full app = app_of("shop", &type, 1);
        struct answer answer;

        app.extras = &extra;
        answer = helper_deploy(&h, &app);
        ck_assert_int_eq(answer.status, rows[i].good ? PLEX_OK : PLEX_INVALID);
        if (!rows[i].good)
            ck_assert_ptr_nonnull(
                strstr(answer.text,
                       "actor_types[0]: facets[0].config.reentrancy: \""));
    }
}
END_TEST

START_TEST(durations_have_units)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"300s", 300000}, {"5m", 300000},  {"250ms", 250},
                {"1500", 1500},   {"2h", 7200000}, {"30d", 2592000000}};
    static const char *const bad[] = {
        "", "s", "-5s", "5 s", "31d", "0s", "99999999999999999999", "1.5s"};
    struct plex_err err;
    uint64_t ms;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_int_eq(reg_duration_parse(good[i].text, &ms, &err), PLEX_OK);
        ck_assert_uint_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(reg_duration_parse(bad[i], &ms, &err), PLEX_INVALID);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("app");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_deployment_fills_in_defaults_and_is_stored_first);
    tcase_add_test(tc, deploying_the_same_again_changes_nothing);
    tcase_add_test(tc, a_type_has_one_application_per_namespace);
    tcase_add_test(tc, types_that_are_gone_are_free_again);
    tcase_add_test(tc, stop_start_and_undeploy);
    tcase_add_test(tc, another_tenant_cannot_touch_it);
    tcase_add_test(tc, a_store_that_fails_changes_nothing);
    tcase_add_test(tc, changes_are_stored_one_at_a_time_in_order);
    tcase_add_test(tc, what_was_stored_is_loaded_as_it_is);
    tcase_add_test(tc, bad_applications_name_the_field);
    tcase_add_test(tc, bad_types_name_the_field);
    tcase_add_test(tc, versions_are_semantic);
    tcase_add_test(tc, a_thousand_types_are_fine);
    tcase_add_test(tc, facets_set_what_they_stand_for);
    tcase_add_test(tc, stateless_types_keep_nothing);
    tcase_add_test(tc, what_is_said_elsewhere_is_pointed_at);
    tcase_add_test(tc, processes_have_no_facets_that_keep_state);
    tcase_add_test(tc, bad_facets_list_what_is_known);
    tcase_add_test(tc, turns_of_durable_actors_do_not_interleave);
    tcase_add_test(tc, durations_have_units);
    return helper_main(tc, "registry.app");
}
