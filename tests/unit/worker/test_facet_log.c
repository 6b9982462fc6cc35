/* Lines of facets in files. */
#include "services/worker/facet_log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char above[64];
static struct work_facet_log *facet_log;

static void
open_log(void)
{
    snprintf(above, sizeof above, "/tmp/plex-facet-log.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(above));
    facet_log = work_facet_log_create(above, "n1", 100);
}

static void
close_log(void)
{
    char command[100];

    work_facet_log_free(facet_log);
    snprintf(command, sizeof command, "rm -rf %s", above);
    ck_assert_int_eq(system(command), 0);
}

static enum plex_status
say(const char *file, const char *text)
{
    const struct work_facet_line line = {"file", file, 2, text};
    struct plex_err err;

    return work_facet_log_line(facet_log, &line, &err);
}

static const char *
content(const char *file)
{
    static char text[4096];
    char path[200];
    size_t len = 0;
    FILE *in;

    snprintf(path, sizeof path, "%s/n1/%s", above, file);
    in = fopen(path, "r");
    if (in != NULL) {
        len = fread(text, 1, sizeof text - 1, in);
        (void)fclose(in);
    }
    text[len] = '\0';
    return text;
}

START_TEST(lines_are_written_when_flushed)
{
    ck_assert_int_eq(say("a.log", "one"), PLEX_OK);
    ck_assert_int_eq(say("a.log", "two"), PLEX_OK);
    ck_assert_int_eq(say("b.log", "three"), PLEX_OK);
    ck_assert_str_eq(content("a.log"), "");
    work_facet_log_flush(facet_log);
    ck_assert_str_eq(content("a.log"), "one\ntwo\n");
    ck_assert_str_eq(content("b.log"), "three\n");
}
END_TEST

START_TEST(a_file_that_is_full_is_put_aside)
{
    char text[64];

    memset(text, 'x', 60);
    text[60] = '\0';
    for (char c = 'a'; c < 'd'; c++) {
        text[0] = c;
        ck_assert_int_eq(say("a.log", text), PLEX_OK);
        work_facet_log_flush(facet_log);
    }
    ck_assert_int_eq(content("a.log")[0], 'c');
    ck_assert_int_eq(content("a.log.1")[0], 'b');
}
END_TEST

START_TEST(there_are_only_so_many_files)
{
    char name[32];

    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "f%d", i);
        ck_assert_int_eq(say(name, "x"), PLEX_OK);
    }
    ck_assert_int_eq(say("one more", "x"), PLEX_LIMIT);
    ck_assert_int_eq(say("f0", "x"), PLEX_OK);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused)
{
    const struct work_facet_line odd = {"printer", "", 2, "x"};
    struct plex_err err;
    char link[200];

    ck_assert_int_eq(work_facet_log_line(facet_log, &odd, &err),
                     PLEX_UNSUPPORTED);
    ck_assert_int_eq(say("a.log", "x"), PLEX_OK); /* the folder is there */
    snprintf(link, sizeof link, "%s/n1/away", above);
    ck_assert_int_eq(symlink("/tmp/elsewhere", link), 0);
    ck_assert_int_eq(say("away", "x"), PLEX_UNAVAILABLE);
    work_facet_log_free(facet_log);
    facet_log = work_facet_log_create("", "n1", 100);
    ck_assert_int_eq(say("a.log", "x"), PLEX_UNSUPPORTED);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("logs of facets");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, open_log, close_log);
    tcase_add_test(all, lines_are_written_when_flushed);
    tcase_add_test(all, a_file_that_is_full_is_put_aside);
    tcase_add_test(all, there_are_only_so_many_files);
    tcase_add_test(all, what_cannot_be_written_is_refused);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
