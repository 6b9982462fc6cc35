/* Types that children with facets get. */
#include "services/registry/wire_tree.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define APP(name) Plexspaces__Application__V1__##name
#define INIT(name) PLEXSPACES__APPLICATION__V1__##name##__INIT

static struct plex_arena arena;
static APP(Facet) facet = INIT(FACET), *facets[] = {&facet};
static APP(ActorType) type = INIT(ACTOR_TYPE), *types[] = {&type};
static APP(Child) inner, outer, *inners[] = {&inner}, *outers[] = {&outer};
static APP(Supervisor) root = INIT(SUPERVISOR), below = INIT(SUPERVISOR);
static APP(Application) app;

/* "a": a supervisor; under it "B c": a behaviour of a module. */
static void
open(void)
{
    plex_arena_init(&arena, 1 << 16);
    facet.type = (char *)"logging";
    type.name = (char *)"there";
    plexspaces__application__v1__child__init(&inner);
    plexspaces__application__v1__child__init(&outer);
    inner.id = (char *)"B c";
    inner.module = (char *)"m";
    inner.facets = facets;
    inner.n_facets = 1;
    below.children = inners;
    below.n_children = 1;
    outer.id = (char *)"a";
    outer.supervisor = &below;
    root.children = outers;
    root.n_children = 1;
    plexspaces__application__v1__application__init(&app);
    app.name = (char *)"shop";
    app.supervisor = &root;
    app.actor_types = types;
    app.n_actor_types = 1;
}

static void
close(void)
{
    plex_arena_fini(&arena);
}

START_TEST(a_child_with_facets_becomes_a_type)
{
    struct plex_err err;

    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_OK);
    ck_assert_uint_eq(app.n_actor_types, 2);
    ck_assert_ptr_eq(app.actor_types[0], &type);
    ck_assert_str_eq(app.actor_types[1]->name, "shop-a-b-c");
    ck_assert_str_eq(app.actor_types[1]->module, "m");
    ck_assert_str_eq(app.actor_types[1]->behaviour, "m");
    ck_assert_uint_eq(app.actor_types[1]->n_facets, 1);
    ck_assert_str_eq(inner.type, "shop-a-b-c");
    ck_assert_str_eq(inner.module, "");
    ck_assert_uint_eq(inner.n_facets, 0);
    /* As it is now there is nothing left to do. */
    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_OK);
    ck_assert_uint_eq(app.n_actor_types, 2);
}
END_TEST

START_TEST(what_cannot_have_them_is_refused)
{
    char id[200];
    struct plex_err err;

    inner.type = (char *)"there";
    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_INVALID);
    ck_assert_str_eq(err.text,
                     "children[0]: children[0]: it has those facets that its "
                     "type \"there\" declares: leave out facets, or type");
    inner.type = inner.module = (char *)"";
    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "a supervisor has no facets"));
    inner.module = (char *)"m";
    type.name = (char *)"shop-a-b-c";
    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "which there is already"));
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    inner.id = id;
    ck_assert_int_eq(reg_pb_children_types(&app, &arena, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than 128 bytes"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("types of children");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, open, close);
    tcase_add_test(all, a_child_with_facets_becomes_a_type);
    tcase_add_test(all, what_cannot_have_them_is_refused);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
