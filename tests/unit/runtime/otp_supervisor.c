#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/runtime/otp_supervisor_rules.h"
#include "tests/unit/runtime/sup_script.h"

/* Every rule of OTP's supervisor, on the core alone. */

static void
follow(const struct rule *rule)
{
    char why[256] = "";
    struct sup_world *world =
        sup_world_create(rule->sup, rule->children, why, sizeof why);
    const char *got;
    size_t i;

    if (world == NULL) {
        ck_assert_msg(strcmp(why, rule->steps[0].out) == 0,
                      "%s: refused: %s, expected: %s", rule->says, why,
                      rule->steps[0].out);
        return;
    }
    for (i = 0; i < 8 && rule->steps[i].in != NULL; i++) {
        got = sup_world_do(world, rule->steps[i].in);
        ck_assert_msg(strcmp(got, rule->steps[i].out) == 0,
                      "%s: after '%s'\n  expected %s\n  got      %s",
                      rule->says, rule->steps[i].in, rule->steps[i].out, got);
    }
    sup_world_free(world);
}

START_TEST(the_core_follows_the_rule)
{
    follow(&otp_supervisor_rules[_i]);
}
END_TEST

START_TEST(the_core_follows_another_plan)
{
    follow(&otp_supervisor_plan[_i]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("otp_supervisor");
    TCase *rules = tcase_create("rules");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(rules, the_core_follows_the_rule, 0,
                        (int)otp_supervisor_rules_count);
    tcase_add_loop_test(rules, the_core_follows_another_plan, 0,
                        (int)otp_supervisor_plan_count);
    suite_add_tcase(suite, rules);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
