#include "tests/unit/runtime/doer.h"

/* Mailboxes, receiving, timers, becoming, groups. */

/* -- timers -- */

static void
timers_a(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);

    plex_send_after(ctx, plex_self_ref(ctx), 30, 0, 3);
    plex_send_after(ctx, plex_self_ref(ctx), 10, 0, 1);
    data->number = plex_send_after(ctx, plex_self_ref(ctx), 20, 0, 2);
    plex_send_after(ctx, plex_self_ref(ctx), 15, 10, 9);
    plex_timer_set(ctx, "tea", 12, "milk", 4);
}

static void
cancel_a(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);

    say("%d;", plex_cancel_timer(ctx, data->number));
}

START_TEST(timers_fire_in_order_and_can_be_cancelled)
{
    a = start(&doer, "a");
    tell(a, timers_a);
    run_ms(5);
    tell(a, cancel_a);
    run_ms(40);
    ck_assert_str_eq(said, "1;a:timer1;a:tea(milk);a:timer9;a:timer9;a:timer3;"
                           "a:timer9;a:timer9;");
    crash(a);
    run_ms(100);
    ck_assert_uint_eq(rt_due_ns(rt), UINT64_MAX);
}
END_TEST

static void
tick_every_second(struct plex_ctx *ctx)
{
    plex_send_after(ctx, plex_self_ref(ctx), 1000, 1000, 1);
    plex_send_after(ctx, plex_self_ref(ctx), 1500, 60000, 2);
}

static int
count_ticks(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct doer *data = plex_data(ctx);

    if (msg->kind == PLEX_MSG_TIMER) {
        uint64_t late = plex_monotonic_ns(ctx) - data->number;

        ck_assert_uint_eq(late % 500000000, 0); /* no drift */
        data->count += msg->tag == 1;
        if (data->count % 3600 == 0 && msg->tag == 1)
            say("%dh;", data->count / 3600);
        return 0;
    }
    data->number = plex_monotonic_ns(ctx);
    tick_every_second(ctx);
    return 0;
}

static const struct plex_behaviour clock_behaviour = {
    .name = "clock",
    .handle_info = count_ticks,
    .data_size = sizeof(struct doer)};

START_TEST(a_day_of_intervals_does_not_drift)
{
    a = start(&clock_behaviour, "a");
    send_tags(0, 0);
    run_ms(24 * 3600 * 1000 + 1);
    ck_assert_ptr_nonnull(strstr(said, "24h;"));
    ck_assert_ptr_null(strstr(said, "25h;"));
}
END_TEST

/* -- selective receive -- */

static bool
is_tag_2(void *arg, const struct plex_msg *msg)
{
    (void)arg;
    return msg->tag == 2;
}

static void
receive_2(struct plex_ctx *ctx)
{
    struct plex_msg msg = {0}; /* untouched when nothing came */
    int status = plex_receive(ctx, is_tag_2, NULL, 50, &msg);

    say("got%d/%llu;", status, (unsigned long long)msg.tag);
    status = plex_receive(ctx, is_tag_2, NULL, 50, &msg);
    say("got%d;", status);
}

START_TEST(a_selective_receive_leaves_the_others_in_order)
{
    a = start(&doer, "a");
    tell(a, receive_2);
    send_tags(1, 3);
    run_ms(100);
    ck_assert_str_eq(said, "got0/2;got-8;a:info1;a:info3;");
}
END_TEST

START_TEST(who_waits_can_be_killed)
{
    a = start(&doer, "a");
    b = start(&trapper, "b");
    tell(a, receive_2);
    run_ms(1);
    rt_exit(rt, a, "boom");
    run_ms(100);
    ck_assert_str_eq(said, "");
    ck_assert(plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "a")));
}
END_TEST

/* -- mailboxes -- */

static struct plex_ref
start_boxed(struct plex_mailbox box)
{
    const struct plex_spawn how = {
        .behaviour = &doer, .name = "a", .mailbox = &box};
    struct plex_ref ref;

    ck_assert_int_eq(
        rt_spawn(rt, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref), 0);
    run_ms(1);
    return ref;
}

START_TEST(a_full_mailbox_does_as_it_is_told)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = 9};

    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_DROP_OLDEST, 0, 0});
    send_tags(1, 4);
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info4;");
    rt_exit(rt, a, "kill");
    run_ms(1);
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_DROP_NEWEST, 0, 0});
    send_tags(5, 8);
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info4;a:info5;a:info6;");
    rt_exit(rt, a, "kill");
    run_ms(1);
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_ERROR, 0, 0});
    send_tags(1, 2);
    ck_assert_int_eq(rt_send(rt, a, &post), -PLEX_LIMIT);
    run_ms(1);
    ck_assert_int_eq(rt_send(rt, a, &post), 0);
}
END_TEST

static void
flood_a(struct plex_ctx *ctx)
{
    int status[6];

    for (uint64_t i = 0; i < 6; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = i};

        status[i] = plex_post(ctx, a, &post);
    }
    say("sent");
    for (int i = 0; i < 6; i++)
        say("%d", status[i]);
    say(";");
}

static void
nap(struct plex_ctx *ctx)
{
    plex_sleep(ctx, 60000);
}

START_TEST(a_sender_waits_for_room)
{
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_BLOCK, 0, 0});
    b = start(&doer, "b");
    tell(b, flood_a);
    run_ms(1);
    ck_assert(strstr(said, "sent000000;") != NULL);
    ck_assert(strstr(said, "a:info5;") != NULL);
    said[0] = '\0';
    tell(a, nap);
    run_ms(1);
    tell(b, flood_a);
    run_ms(19000);
    ck_assert(strstr(said, "sent") == NULL);
    run_ms(2000); /* the first two had room, the others waited 5 s each */
    ck_assert_str_eq(said, "sent00-8-8-8-8;");
}
END_TEST

START_TEST(bands_go_first_and_duplicates_never)
{
    a = start_boxed((struct plex_mailbox){0, 0, true, 8});
    for (uint64_t i = 0; i < 4; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                       .tag = i,
                                       .priority = (uint32_t)i,
                                       .id = 100 + i / 3};

        ck_assert_int_eq(rt_send(rt, a, &post), 0);
        ck_assert_int_eq(rt_send(rt, a, &post), 0);
    }
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info0;");
}
END_TEST

START_TEST(what_is_too_old_is_not_handled)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .tag = 1, .ttl_ms = 10};

    a = start(&doer, "a");
    tell(a, receive_2);
    run_ms(1);
    ck_assert_int_eq(rt_send(rt, a, &post), 0);
    run_ms(200);
    ck_assert_str_eq(said, "got-8/0;got-8;");
}
END_TEST

static int releases;

static void
released(void *payload, size_t len)
{
    ck_assert_uint_eq(len, 100);
    releases++;
    free(payload);
}

START_TEST(a_payload_handed_over_is_released_once)
{
    for (int i = 0; i < 3; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                       .payload = calloc(1, 100),
                                       .len = 100,
                                       .release = released};

        if (i == 0)
            a = start(&doer, "a");
        ck_assert_int_eq(rt_send(rt, a, &post), 0);
        if (i == 1)
            crash(a);
        run_ms(1);
    }
    ck_assert_int_eq(releases, 3);
}
END_TEST

/* -- becoming, forwarding, groups, names -- */

static int
other_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    say("other%llu;", (unsigned long long)msg->tag);
    say("%d;", plex_unbecome(ctx));
    return 0;
}

static const struct plex_behaviour other = {.name = "other",
                                            .handle_info = other_info};

static void
become_other(struct plex_ctx *ctx)
{
    say("%d;", plex_become(ctx, &other));
}

START_TEST(become_and_unbecome)
{
    a = start(&doer, "a");
    tell(a, become_other);
    send_tags(1, 2);
    run_ms(1);
    ck_assert_str_eq(said, "0;other1;0;a:info2;");
}
END_TEST

static void
set_peer_a(struct plex_ctx *ctx)
{
    ((struct doer *)plex_data(ctx))->peer = a;
}

static void
ask_forwarded(struct plex_ctx *ctx)
{
    ask_tag(ctx, 15);
}

static int
echo_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "text/plain", msg->tag == 15 ? "fifteen" : "???????", 7);
    return 0;
}

static const struct plex_behaviour echo = {.name = "echo",
                                           .handle_call = echo_call};

START_TEST(a_forwarded_call_is_answered_by_who_got_it)
{
    struct plex_ref c = start(&doer, "c");

    a = start(&echo, "a");
    b = start(&doer, "b");
    tell(b, set_peer_a);
    tell(c, ask_forwarded);
    run_ms(1);
    ck_assert_str_eq(said, "b:call15;c:ask=0(fifteen);");
}
END_TEST

static void
join(struct plex_ctx *ctx)
{
    say("%d;", plex_group_join(ctx, "g"));
}

static void
watch_group(struct plex_ctx *ctx)
{
    say("%d;", plex_group_monitor(ctx, "g", true));
}

static void
publish(struct plex_ctx *ctx)
{
    struct plex_ref members[4];

    say("%zu", plex_group_members(ctx, "g", false, members, 4));
    say("/%zu;", plex_group_publish(ctx, "g", 5, NULL, 0));
}

START_TEST(groups_have_members_and_watchers)
{
    a = start(&trapper, "a");
    b = start(&doer, "b");
    tell(a, watch_group);
    run_ms(1);
    tell(b, join);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;");
    tell(a, publish);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;1/1;b:cast5;");
    crash(b);
    run_ms(1);
    tell(a, publish);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;1/1;b:cast5;b:end(crash);a:group0;"
                           "0/0;");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("mailbox");
    TCase *c = tcase_create("mailbox");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, timers_fire_in_order_and_can_be_cancelled);
    tcase_add_test(c, a_day_of_intervals_does_not_drift);
    tcase_add_test(c, a_selective_receive_leaves_the_others_in_order);
    tcase_add_test(c, who_waits_can_be_killed);
    tcase_add_test(c, a_full_mailbox_does_as_it_is_told);
    tcase_add_test(c, a_sender_waits_for_room);
    tcase_add_test(c, bands_go_first_and_duplicates_never);
    tcase_add_test(c, what_is_too_old_is_not_handled);
    tcase_add_test(c, a_payload_handed_over_is_released_once);
    tcase_add_test(c, become_and_unbecome);
    tcase_add_test(c, a_forwarded_call_is_answered_by_who_got_it);
    tcase_add_test(c, groups_have_members_and_watchers);
    suite_add_tcase(s, c);
    return play(s);
}
