#include "services/journal/client.h"
#include "services/journal/service.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* The daemon on a thread, and a client over a real link. No registry runs:
 * the journal serves from its start, it is only not ready. */
enum { DEADLINE_MS = 20000 };

static char folder[64];
static char url[96], registry_url[96], dsn[96], backups[96];
static struct plex_instance *instance;
static struct plex_loop *loop;
static struct plex_link *link_;
static struct journal_client client;

static struct {
    bool done;
    enum plex_status status;
    char text[256];
    struct journal_result results[16];
    char reply[64], state[64];
    uint64_t newest, last_seq;
    size_t n;
} got;

static const struct plex_method no_methods[] = {{0}};

static void
instance_start(void)
{
    static struct plex_setting settings[8];
    struct plex_err err;
    int n = 0;

    settings[n++] = (struct plex_setting){"node", "journal-1"};
    settings[n++] = (struct plex_setting){"listen_url", url};
    settings[n++] = (struct plex_setting){"registry_url", registry_url};
    settings[n++] = (struct plex_setting){"admin_addr", ""};
    settings[n++] = (struct plex_setting){"store_dsn", dsn};
    settings[n++] = (struct plex_setting){"backup_folder", backups};
    settings[n++] = (struct plex_setting){"log_level", "error"};
    settings[n] = (struct plex_setting){0};
    ck_assert_msg(plex_instance_start(&instance, &journal_service, settings,
                                      &err) == PLEX_OK,
                  "%s", err.text);
}

static void
setup(void)
{
    char own[96];
    struct plex_err err;

    (void)snprintf(folder, sizeof folder, "/tmp/plex-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(url, sizeof url, "ipc://%s/journal", folder);
    (void)snprintf(registry_url, sizeof registry_url, "ipc://%s/registry",
                   folder);
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/j.db", folder);
    (void)snprintf(backups, sizeof backups, "%s/backups", folder);
    (void)snprintf(own, sizeof own, "ipc://%s/client", folder);
    instance_start();
    ck_assert_int_eq(plex_loop_create(&loop, &err), PLEX_OK);
    ck_assert_int_eq(
        plex_link_open(&link_, loop,
                       &(struct plex_link_config){.listen_url = own,
                                                  .methods = no_methods},
                       &err),
        PLEX_OK);
    client = (struct journal_client){link_, url};
}

static void
teardown(void)
{
    char command[100];

    plex_link_close(link_);
    plex_loop_free(loop);
    plex_instance_stop(instance);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* -- calls, waited for ----------------------------------------------------- */

static struct plex_context
context(void)
{
    struct plex_context c = plex_context_none;

    memset(&got, 0, sizeof got);
    c.tenant = "acme";
    c.ns = "prod";
    c.deadline = plex_now() + (uint64_t)DEADLINE_MS * 1000000;
    return c;
}

static void
finish(enum plex_status status, const char *text)
{
    got.done = true;
    got.status = status;
    (void)snprintf(got.text, sizeof got.text, "%s", text);
}

static void
wait_done(void)
{
    while (!got.done) /* the call's deadline ends it */
        (void)uv_run(plex_loop_uv(loop), UV_RUN_ONCE);
}

static void
on_append(void *arg, enum plex_status status, const char *text,
          const struct journal_result *results, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n && i < 16; i++)
        got.results[i] = results[i];
    if (n > 0 && results[0].reply.len > 0)
        (void)snprintf(got.reply, sizeof got.reply, "%.*s",
                       (int)results[0].reply.len, results[0].reply.data);
    got.n = n;
    finish(status, text);
}

static void
on_load(void *arg, enum plex_status status, const char *text,
        const struct journal_loaded *loaded)
{
    (void)arg;
    if (loaded != NULL) {
        got.last_seq = loaded->last_seq;
        got.n = loaded->n_recent;
        (void)snprintf(got.state, sizeof got.state, "%.*s",
                       (int)loaded->state.len, loaded->state.data);
    }
    finish(status, text);
}

static void
on_fence(void *arg, enum plex_status status, const char *text, uint64_t newest)
{
    (void)arg;
    got.newest = newest;
    finish(status, text);
}

static void
on_lookup(void *arg, enum plex_status status, const char *text,
          const struct journal_lookup *found)
{
    (void)arg;
    if (found != NULL)
        (void)snprintf(got.reply, sizeof got.reply, "%.*s",
                       (int)found->reply.len, found->reply.data);
    finish(status, text);
}

static void
on_pending(void *arg, enum plex_status status, const char *text,
           const struct journal_pending_item *items, size_t n,
           struct plex_bytes next)
{
    (void)arg;
    (void)next;
    got.n = n;
    if (n > 0)
        (void)snprintf(got.state, sizeof got.state, "%s", items[0].owner.key);
    finish(status, text);
}

static struct plex_bytes
bytes(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

static struct journal_entry
turn(uint64_t seq, uint64_t epoch, const char *id)
{
    return (struct journal_entry){.kind = JOURNAL_TURN,
                                  .actor = {"acme", "prod", "counter", "a"},
                                  .shard = 3,
                                  .epoch = epoch,
                                  .seq = seq,
                                  .message_id = bytes(id),
                                  .expires_ms = plex_wall_ms() + 60000,
                                  .reply = bytes("first"),
                                  .has_state = true,
                                  .state = bytes("state")};
}

static void
append(const struct journal_entry *entries, size_t n)
{
    const struct plex_context c = context();

    journal_client_append(&client, &c, entries, n, on_append, NULL);
    wait_done();
}

static void
load(uint64_t epoch)
{
    const struct plex_context c = context();
    const struct journal_load want = {
        {"acme", "prod", "counter", "a"}, 3, epoch, 10};

    journal_client_load(&client, &c, &want, on_load, NULL);
    wait_done();
}

static void
fence(uint32_t first, uint32_t last, uint64_t epoch)
{
    const struct plex_context c = context();
    const struct journal_fence range = {first, last, epoch};

    journal_client_fence(&client, &c, &range, 1, on_fence, NULL);
    wait_done();
}

/* -- tests ----------------------------------------------------------------- */

START_TEST(a_turn_is_appended_loaded_and_looked_up)
{
    const struct journal_pending pending = {bytes("later"), 1, bytes("m")};
    struct journal_entry entries[2] = {turn(1, 1, "id"), turn(2, 1, "id2")};
    struct plex_context c;

    entries[1].pending = &pending;
    entries[1].n_pending = 1;
    fence(0, 4095, 1);
    ck_assert_int_eq(got.status, PLEX_OK);
    append(entries, 2);
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_uint_eq(got.n, 2);
    ck_assert_int_eq(got.results[1].status, PLEX_OK);
    load(1);
    ck_assert_int_eq(got.status, PLEX_OK);
    ck_assert_uint_eq(got.last_seq, 2);
    ck_assert_str_eq(got.state, "state");
    ck_assert_uint_eq(got.n, 2);
    append(entries, 1);
    ck_assert_int_eq(got.results[0].status, PLEX_EXISTS);
    ck_assert_str_eq(got.reply, "first");
    c = context();
    journal_client_lookup(&client, &c, "acme", bytes("id"), on_lookup, NULL);
    wait_done();
    ck_assert_int_eq(got.status, PLEX_OK);
    ck_assert_str_eq(got.reply, "first");
    c = context();
    journal_client_lookup(&client, &c, "acme", bytes("no"), on_lookup, NULL);
    wait_done();
    ck_assert_int_eq(got.status, PLEX_NOT_FOUND);
    c = context();
    journal_client_pending(&client, &c, 0, 4095, (struct plex_bytes){0}, 10,
                           on_pending, NULL);
    wait_done();
    ck_assert_int_eq(got.status, PLEX_OK);
    ck_assert_uint_eq(got.n, 1);
    ck_assert_str_eq(got.state, "a");
}
END_TEST

START_TEST(a_former_owner_is_fenced)
{
    struct journal_entry entry = turn(1, 1, "id");

    fence(0, 4095, 5);
    ck_assert_int_eq(got.status, PLEX_OK);
    append(&entry, 1);
    ck_assert_int_eq(got.status, PLEX_OK);
    ck_assert_int_eq(got.results[0].status, PLEX_FENCED);
    ck_assert_uint_eq(got.results[0].newest_epoch, 5);
    load(4);
    ck_assert_int_eq(got.status, PLEX_FENCED);
    fence(1, 1, 4);
    ck_assert_int_eq(got.status, PLEX_FENCED);
    ck_assert_uint_eq(got.newest, 5);
}
END_TEST

START_TEST(a_bad_request_says_what_is_wrong)
{
    struct journal_entry entry = turn(0, 1, "id");

    append(&entry, 1);
    ck_assert_int_eq(got.status, PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(got.text, "sequences start at 1"));
}
END_TEST

START_TEST(no_known_journal_is_unavailable)
{
    struct journal_entry entry = turn(1, 1, "id");

    client.url = NULL;
    append(&entry, 1);
    ck_assert_int_eq(got.status, PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(what_was_acknowledged_is_there_after_a_restart)
{
    struct journal_entry entry = turn(1, 1, "id");

    append(&entry, 1);
    ck_assert_int_eq(got.status, PLEX_OK);
    plex_instance_kill(instance);
    instance_start();
    load(1);
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_uint_eq(got.last_seq, 1);
    append(&entry, 1);
    ck_assert_int_eq(got.results[0].status, PLEX_EXISTS);
}
END_TEST

static void
on_history(void *arg, enum plex_status status, const char *text,
           const struct journal_past *past)
{
    (void)arg;
    if (past != NULL && past->n > 0) {
        got.n = past->n;
        got.last_seq = past->newest_seq;
        (void)snprintf(got.reply, sizeof got.reply, "%.*s",
                       (int)past->turns[0].record.len,
                       past->turns[0].record.data);
    }
    finish(status, text);
}

static void
on_at(void *arg, enum plex_status status, const char *text,
      const struct journal_was *was)
{
    (void)arg;
    if (was != NULL) {
        got.last_seq = was->state_seq;
        (void)snprintf(got.state, sizeof got.state, "%.*s", (int)was->state.len,
                       was->state.data);
    }
    finish(status, text);
}

static void
on_verify(void *arg, enum plex_status status, const char *text,
          const struct journal_verified *verified)
{
    (void)arg;
    if (verified != NULL) {
        got.n = verified->n_broken;
        got.last_seq = verified->turns;
    }
    finish(status, text);
}

START_TEST(the_past_is_read_over_the_link)
{
    struct journal_entry entries[3] = {turn(1, 1, "1"), turn(2, 1, "2"),
                                       turn(3, 1, "3")};
    struct journal_history want = {
        .actor = entries[0].actor, .first_seq = 2, .limit = 9};
    struct journal_at at = {entries[0].actor, 1, 0};
    const struct journal_verify everyone = {.actor = {"", "", "", ""},
                                            .limit = 100};
    struct plex_context c;

    entries[0].state = bytes("one");
    entries[1].record = bytes("made of this");
    append(entries, 3);
    c = context();
    journal_client_history(&client, &c, &want, on_history, NULL);
    wait_done();
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_uint_eq(got.n, 2);
    ck_assert_uint_eq(got.last_seq, 3);
    ck_assert_str_eq(got.reply, "made of this");
    c = context();
    want.limit = 0;
    journal_client_history(&client, &c, &want, on_history, NULL);
    wait_done();
    ck_assert_int_eq(got.status, PLEX_INVALID);
    c = context();
    journal_client_at(&client, &c, &at, on_at, NULL);
    wait_done();
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_str_eq(got.state, "one");
    c = context();
    at.seq = 9;
    journal_client_at(&client, &c, &at, on_at, NULL);
    wait_done();
    ck_assert_int_eq(got.status, PLEX_NOT_FOUND);
    c = context();
    journal_client_verify(&client, &c, &everyone, on_verify, NULL);
    wait_done();
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_uint_eq(got.n, 0);
    ck_assert_uint_eq(got.last_seq, 3);
}
END_TEST

static void
on_backup(void *arg, enum plex_status status, const char *text,
          const struct journal_backup *list, size_t n)
{
    (void)arg;
    got.n = n;
    if (n > 0)
        (void)snprintf(got.state, sizeof got.state, "%s %s", list[0].name,
                       list[0].backend);
    finish(status, text);
}

static void
backup_do(enum journal_backup_op op, const char *name)
{
    const struct plex_context c = context();

    journal_client_backup(&client, &c, op, name, on_backup, NULL);
    wait_done();
}

START_TEST(a_backup_is_made_listed_and_restored_over_the_link)
{
    struct journal_entry entry = turn(1, 1, "id");

    append(&entry, 1);
    backup_do(JOURNAL_BACKUP_LIST, "");
    ck_assert_int_eq(got.status, PLEX_OK);
    ck_assert_uint_eq(got.n, 0);
    backup_do(JOURNAL_BACKUP_CREATE, "../outside");
    ck_assert_int_eq(got.status, PLEX_INVALID);
    backup_do(JOURNAL_BACKUP_CREATE, "monday");
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_str_eq(got.state, "monday sqlite");
    backup_do(JOURNAL_BACKUP_CREATE, "monday");
    ck_assert_int_eq(got.status, PLEX_EXISTS);
    backup_do(JOURNAL_BACKUP_RESTORE, "monday");
    ck_assert_int_eq(got.status, PLEX_CONFLICT);
    backup_do(JOURNAL_BACKUP_RESTORE, "sunday");
    ck_assert_int_ne(got.status, PLEX_OK);
    load(1);
    ck_assert_int_eq(got.status, PLEX_OK); /* it goes on */
    /* Everything is lost; a new one starts. */
    plex_instance_kill(instance);
    (void)snprintf(dsn, sizeof dsn, "sqlite:%s/new.db", folder);
    instance_start();
    backup_do(JOURNAL_BACKUP_RESTORE, "sunday");
    ck_assert_int_eq(got.status, PLEX_NOT_FOUND);
    backup_do(JOURNAL_BACKUP_RESTORE, "monday");
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    load(1);
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    ck_assert_uint_eq(got.last_seq, 1);
    append(&entry, 1);
    ck_assert_int_eq(got.results[0].status, PLEX_EXISTS);
    backup_do(JOURNAL_BACKUP_LIST, "");
    ck_assert_uint_eq(got.n, 1);
}
END_TEST

START_TEST(a_second_daemon_on_the_same_file_does_not_start)
{
    const struct plex_setting settings[] = {{"node", "journal-2"},
                                            {"listen_url", "tcp://127.0.0.1:0"},
                                            {"registry_url", registry_url},
                                            {"admin_addr", ""},
                                            {"store_dsn", dsn},
                                            {"log_level", "error"},
                                            {0}};
    struct plex_instance *second;
    struct plex_err err;

    ck_assert_int_eq(
        plex_instance_start(&second, &journal_service, settings, &err),
        PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use by another journal"));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("journal service");
    TCase *t = tcase_create("service");
    SRunner *runner;
    int failed;

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_turn_is_appended_loaded_and_looked_up);
    tcase_add_test(t, a_former_owner_is_fenced);
    tcase_add_test(t, a_bad_request_says_what_is_wrong);
    tcase_add_test(t, no_known_journal_is_unavailable);
    tcase_add_test(t, what_was_acknowledged_is_there_after_a_restart);
    tcase_add_test(t, a_second_daemon_on_the_same_file_does_not_start);
    tcase_add_test(t, the_past_is_read_over_the_link);
    tcase_add_test(t, a_backup_is_made_listed_and_restored_over_the_link);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
