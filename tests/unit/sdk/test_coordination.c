/* coordination.h over a space that answers as told: what it asks for, and what
 * it makes of refusals. On real spaces: tests/e2e/coordination.sh. */
#include <plexspaces/coordination.h>

#include <check.h>

enum { ASKS_MAX = 64 };
static struct {
    struct {
        int status;
        const char *json;
    } told[ASKS_MAX];
    size_t n_told, n_asked;
    uint32_t methods[ASKS_MAX];
    char asked[ASKS_MAX][512]; /* the JSON of each, cut */
    uint8_t ids[ASKS_MAX][16];
    uint64_t now_ns, random;
    unsigned char answer[2048];
} space;

static const char *
fake_self(struct plex_ctx *ctx, const char **tenant, const char **ns,
          const char **type)
{
    (void)ctx;
    if (tenant != NULL)
        *tenant = "t";
    if (ns != NULL)
        *ns = "n";
    if (type != NULL)
        *type = "type";
    return "key";
}
static void
fake_random(struct plex_ctx *ctx, void *out, size_t len)
{
    (void)ctx;
    memset(out, 0, len);
    space.random++;
    ((unsigned char *)out)[len - 1] = (unsigned char)space.random;
}
static struct plex_ref
fake_ref(struct plex_ctx *ctx)
{
    (void)ctx;
    return (struct plex_ref){1, 2};
}
static uint64_t
fake_now(struct plex_ctx *ctx)
{
    (void)ctx;
    return space.now_ns;
}
static size_t
fake_text(struct plex_ctx *ctx, struct plex_ref ref, char *out, size_t size)
{
    (void)ctx;
    (void)ref;
    return (size_t)snprintf(out, size, "type/key");
}
/* What was told next, or that there is nothing. */
static int
fake_ask(struct plex_ctx *ctx, struct plex_ref to, const struct plex_post *post,
         uint64_t timeout_ms, struct plex_msg *answer)
{
    const size_t i = space.n_asked++;
    struct plex_tuple_wire wire;
    struct plex_tuple_wire_answer head = {0};
    const char *json;

    (void)ctx;
    (void)timeout_ms;
    ck_assert_uint_lt(i, ASKS_MAX);
    ck_assert_uint_eq(to.id, PLEX_SERVICE_TUPLES.id);
    memcpy(&wire, post->payload, sizeof wire);
    json = (const char *)post->payload + sizeof wire + wire.tenant_len +
           wire.ns_len;
    space.methods[i] = wire.method;
    (void)snprintf(space.asked[i], sizeof space.asked[i], "%.*s",
                   (int)wire.json_len, json);
    memcpy(space.ids[i], wire.id, sizeof wire.id);
    if (i >= space.n_told)
        return PLEX_E_UNAVAILABLE;
    head.status = space.told[i].status;
    head.len = (uint32_t)strlen(space.told[i].json);
    memset(space.answer, 0, sizeof space.answer);
    memcpy(space.answer, &head, sizeof head);
    memcpy(space.answer + sizeof head, space.told[i].json, head.len);
    *answer = (struct plex_msg){.payload = space.answer,
                                .len = sizeof head + head.len + 2};
    return 0;
}

static const struct plex_ctx_ops ops = {.self = fake_self,
                                        .random = fake_random};
static const struct plex_process_ops process = {.self = fake_ref,
                                                .now_ns = fake_now,
                                                .ask = fake_ask,
                                                .ref_text = fake_text};
static struct plex_ctx ctx = {&ops, &process, NULL};

static void
begin(void)
{
    memset(&space, 0, sizeof space);
    space.now_ns = UINT64_C(1000000000);
}
static void
tell(int status, const char *json)
{
    space.told[space.n_told].status = status;
    space.told[space.n_told++].json = json;
}
#define NONE "{\"tuples\":[],\"cursor\":\"0\"}"
#define ONE(fields) "{\"tuples\":[{\"id\":\"7\",\"fields\":" fields "}]}"
#define WRITTEN "{\"ids\":[\"9\"]}"
#define SWAPPED "{\"swapped\":true,\"tuple\":{}}"
#define KEPT "{\"swapped\":false}"
#define COUNT "{\"count\":1}"

/* -- fields ------------------------------------------------------------------
 */

START_TEST(fields_are_found_whatever_is_in_them)
{
    static const char json[] =
        "[\"a,\\\"]\",-12,{\"tuple\":[\"x\",[1]]},null,\"\\\\\"]";
    const struct plex_value fields = {json, sizeof json - 1};
    struct plex_value field;
    char text[16];
    int64_t n;

    ck_assert(plex_tuple_number(&fields, 1, &n) && n == -12);
    ck_assert(plex_tuple_field(&fields, 2, &field));
    ck_assert(plex_tuple_field_is(&field, "{\"tuple\":[\"x\",[1]]}"));
    ck_assert(plex_tuple_field(&fields, 0, &field));
    plex_tuple_field_text(&field, text, sizeof text);
    ck_assert_str_eq(text, "a,\"]");
    plex_tuple_field_text(&field, text, 3);
    ck_assert_str_eq(text, "a,");
    ck_assert(plex_tuple_field(&fields, 4, &field));
    plex_tuple_field_text(&field, text, sizeof text);
    ck_assert_str_eq(text, "\\");
    ck_assert(!plex_tuple_field(&fields, 5, &field));
    ck_assert(!plex_tuple_number(&fields, 0, &n));
    ck_assert(!plex_tuple_number(&fields, 3, &n));
}
END_TEST

START_TEST(parties_are_told_apart_by_their_whole_name)
{
    static const char json[] = "{\"tuple\":[\"\",\"ab\",\"a\"]}";
    const struct plex_value list = {json, sizeof json - 1};
    char *text;
    size_t n;

    ck_assert(plex_party_is(&list, "\"a\"", &n) && n == 2);
    ck_assert(!plex_party_is(&list, "\"b\"", &n) && n == 2);
    ck_assert(!plex_party_is(&list, "\"\"", &n)); /* nobody's name */
    text = plex_party_remove(&list, "\"a\"");
    ck_assert_str_eq(text, "{\"tuple\":[\"\",\"ab\"]}");
    free(text);
    text = plex_party_add(&list, "\"c\"");
    ck_assert_str_eq(text, "{\"tuple\":[\"\",\"ab\",\"a\",\"c\"]}");
    free(text);
}
END_TEST

START_TEST(names_are_checked)
{
    struct plex_coord c;
    char name[200];

    begin();
    memset(name, 'x', sizeof name);
    name[129] = '\0';
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", name, "w"), PLEX_E_INVALID);
    name[128] = '\0';
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", name, "w"), 0);
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", "", "w"), PLEX_E_INVALID);
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", "a\tb", "w"),
                     PLEX_E_INVALID);
    ck_assert_int_eq(plex_coord_init(&ctx, &c, name, "a", "w"), PLEX_E_INVALID);
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", "a\"b", NULL), 0);
    ck_assert_str_eq(c.name, "\"a\\\"b\"");
    ck_assert_str_eq(c.who, "\"type/key\"");
}
END_TEST

/* -- made once ---------------------------------------------------------------
 */

START_TEST(what_was_cleared_is_made_under_another_id)
{
    struct plex_coord c;

    begin();
    tell(0, NONE);    /* it is not there */
    tell(0, WRITTEN); /* as somebody wrote it five minutes ago, and no more */
    tell(0, NONE);
    tell(0, WRITTEN);
    tell(0, ONE("[\"m\"]"));
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", "n", "w"), 0);
    ck_assert_int_eq(plex_coord_make(&ctx, &c, plex_tuple_format("[\"m\"]"),
                                     plex_tuple_format("[\"m\"]")),
                     0);
    ck_assert_uint_eq(space.n_asked, 5);
    ck_assert_uint_eq(space.methods[3], PLEX_TUPLE_WRITE);
    ck_assert_int_ne(memcmp(space.ids[1], space.ids[3], 16), 0);
    /* Whoever makes the same uses the same ids, one after the other. */
    space.n_asked = 0;
    ck_assert_int_eq(plex_coord_init(&ctx, &c, "s", "n", "another"), 0);
    {
        uint8_t first[16];

        memcpy(first, space.ids[1], 16);
        ck_assert_int_eq(plex_coord_make(&ctx, &c, plex_tuple_format("[\"m\"]"),
                                         plex_tuple_format("[\"m\"]")),
                         0);
        ck_assert_mem_eq(first, space.ids[1], 16);
    }
}
END_TEST

/* -- holds --------------------------------------------------------------------
 */

START_TEST(a_lease_ends_here_before_it_ends_there)
{
    struct plex_semaphore s;

    begin();
    memset(&s, 0, sizeof s);
    ck_assert_int_eq(plex_coord_init(&ctx, &s.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"permit\",\"n\"]"));
    ck_assert_int_eq(plex_semaphore_acquire(&ctx, &s, 1000, 0), 0);
    ck_assert(plex_semaphore_holds(&ctx, &s));
    space.now_ns += 899 * UINT64_C(1000000);
    ck_assert(plex_semaphore_holds(&ctx, &s));
    space.now_ns += UINT64_C(1000000);
    ck_assert(!plex_semaphore_holds(&ctx, &s));
}
END_TEST

START_TEST(a_renewal_that_fails_for_now_loses_nothing)
{
    struct plex_semaphore s;

    begin();
    memset(&s, 0, sizeof s);
    ck_assert_int_eq(plex_coord_init(&ctx, &s.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"permit\",\"n\"]"));
    tell(PLEX_E_UNAVAILABLE, "away");
    tell(0, COUNT);
    tell(PLEX_E_CONFLICT, "the claim lapsed");
    ck_assert_int_eq(plex_semaphore_acquire(&ctx, &s, 1000, 0), 0);
    space.now_ns += 500 * UINT64_C(1000000);
    ck_assert_int_eq(plex_semaphore_renew(&ctx, &s), PLEX_E_UNAVAILABLE);
    ck_assert(plex_semaphore_holds(&ctx, &s));
    ck_assert_int_eq(plex_semaphore_renew(&ctx, &s), 0);
    space.now_ns += 800 * UINT64_C(1000000);
    ck_assert(plex_semaphore_holds(&ctx, &s));
    ck_assert_int_eq(plex_semaphore_renew(&ctx, &s), PLEX_E_CONFLICT);
    ck_assert(!plex_semaphore_holds(&ctx, &s));
    ck_assert_int_eq(plex_semaphore_release(&ctx, &s), PLEX_E_NOT_FOUND);
}
END_TEST

START_TEST(a_seat_without_a_term_is_given_back)
{
    struct plex_election e;

    begin();
    memset(&e, 0, sizeof e);
    ck_assert_int_eq(plex_coord_init(&ctx, &e.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"seat\",\"n\"]"));
    tell(0, ONE("[\"term\",\"n\",4]"));
    tell(0, KEPT); /* a stale leader was faster */
    tell(0, ONE("[\"term\",\"n\",5]"));
    tell(PLEX_E_UNAVAILABLE, "away");
    tell(0, COUNT);
    ck_assert_int_eq(plex_election_campaign(&ctx, &e, 1000, 0),
                     PLEX_E_UNAVAILABLE);
    ck_assert_uint_eq(space.n_asked, 6);
    ck_assert_uint_eq(space.methods[5], PLEX_TUPLE_RELEASE_CLAIM);
    ck_assert(!plex_election_leads(&ctx, &e));
}
END_TEST

START_TEST(who_was_too_slow_to_get_a_term_does_not_lead)
{
    struct plex_election e;

    begin();
    memset(&e, 0, sizeof e);
    ck_assert_int_eq(plex_coord_init(&ctx, &e.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"seat\",\"n\"]"));
    tell(0, ONE("[\"term\",\"n\",4]"));
    tell(0, SWAPPED);
    tell(PLEX_E_CONFLICT, "the claim lapsed");
    ck_assert_int_eq(plex_election_campaign(&ctx, &e, 1000, 0),
                     PLEX_E_CONFLICT);
    ck_assert(!plex_election_leads(&ctx, &e));
    ck_assert_uint_eq(space.n_asked, 4); /* and tells nobody that it leads */
}
END_TEST

START_TEST(an_item_that_cannot_be_counted_is_given_back)
{
    struct plex_work_queue q = {.lease_ms = 1000};
    struct plex_work w;

    begin();
    ck_assert_int_eq(plex_coord_init(&ctx, &q.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"work\",\"n\",0,\"id\",{\"tuple\":[1,2]}]"));
    tell(PLEX_E_UNAVAILABLE, "away");
    tell(0, COUNT);
    ck_assert_int_eq(plex_work_get(&ctx, &q, 0, &w), PLEX_E_UNAVAILABLE);
    ck_assert_uint_eq(space.methods[2], PLEX_TUPLE_RELEASE_CLAIM);
    ck_assert_ptr_null(w.payload);
}
END_TEST

START_TEST(an_item_that_is_lost_meanwhile_is_not_buried)
{
    struct plex_work_queue q = {.lease_ms = 1000, .tries_max = 2};
    struct plex_work w;

    begin();
    ck_assert_int_eq(plex_coord_init(&ctx, &q.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"work\",\"n\",0,\"id\",1]"));
    tell(0, ONE("[\"tries\",\"n\",\"id\",2]"));
    tell(0, SWAPPED);
    tell(PLEX_E_CONFLICT, "the claim lapsed"); /* extend */
    tell(0, NONE);                             /* the next one: none */
    ck_assert_int_eq(plex_work_get(&ctx, &q, 0, &w), PLEX_E_TIMEOUT);
    for (size_t i = 0; i < space.n_asked; i++)
        ck_assert_uint_ne(space.methods[i], PLEX_TUPLE_WRITE);
}
END_TEST

/* -- barriers and ranks
 * -------------------------------------------------------- */

START_TEST(an_arrival_is_tried_until_nobody_is_faster)
{
    struct plex_barrier b = {.parties = 3};
    uint64_t generation = 0;

    begin();
    ck_assert_int_eq(plex_coord_init(&ctx, &b.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"barrier\",\"n\",3,8,{\"tuple\":[\"\"]}]"));
    tell(0, KEPT);
    tell(0, ONE("[\"barrier\",\"n\",3,8,{\"tuple\":[\"\",\"v\",\"u\"]}]"));
    tell(0, SWAPPED);
    ck_assert_int_eq(plex_barrier_wait(&ctx, &b, 1000, &generation), 0);
    ck_assert_uint_eq(generation, 8);
    ck_assert_ptr_nonnull(
        strstr(space.asked[3],
               "\"tuple\":[\"barrier\",\"n\",3,9,{\"tuple\":[\"\"]}]"));
}
END_TEST

START_TEST(who_times_out_while_the_last_one_arrives_has_passed)
{
    struct plex_barrier b = {.parties = 2};
    uint64_t generation = 0;

    begin();
    ck_assert_int_eq(plex_coord_init(&ctx, &b.coord, "s", "n", "w"), 0);
    tell(0, ONE("[\"barrier\",\"n\",2,1,{\"tuple\":[\"\"]}]"));
    tell(0, SWAPPED);
    tell(0, NONE); /* nobody came */
    tell(0, ONE("[\"barrier\",\"n\",2,1,{\"tuple\":[\"\",\"w\"]}]"));
    tell(0, KEPT); /* but now */
    tell(0, ONE("[\"barrier\",\"n\",2,2,{\"tuple\":[\"\"]}]"));
    ck_assert_int_eq(plex_barrier_wait(&ctx, &b, 10, &generation), 0);
}
END_TEST

START_TEST(what_a_rank_gave_before_counts)
{
    struct plex_ranks r;
    int64_t value = 4, sum = 0;
    const struct plex_reducer how = {PLEX_SUM, NULL};

    begin();
    ck_assert_int_eq(plex_ranks_open(&ctx, &r, "s", "g", 0, 2), 0);
    ck_assert_int_eq(plex_ranks_open(&ctx, &r, "s", "g", 2, 2), PLEX_E_INVALID);
    ck_assert_int_eq(plex_ranks_open(&ctx, &r, "s", "g", 0, 1001),
                     PLEX_E_INVALID);
    ck_assert_int_eq(plex_ranks_open(&ctx, &r, "s", "g", 0, 2), 0);
    tell(-14, "another request has this id");
    tell(0, ONE("[\"rank\",\"g\",0,\"reduce\",0,0,\"3 \"]"));
    tell(0, ONE("[\"rank\",\"g\",0,\"reduce\",1,0,\"2 \"]"));
    ck_assert_int_eq(plex_reduce(&ctx, &r, 0, plex_int64s(&value, 1),
                                 plex_int64s(&sum, 1), &how),
                     0);
    ck_assert_int_eq(sum, 5);
    ck_assert_uint_eq(r.round, 1);
}
END_TEST

START_TEST(a_part_of_another_size_is_refused)
{
    struct plex_ranks r;
    int64_t got[2];

    begin();
    ck_assert_int_eq(plex_ranks_open(&ctx, &r, "s", "g", 1, 2), 0);
    tell(0, ONE("[\"rank\",\"g\",0,\"broadcast\",0,-1,\"1 2 3 \"]"));
    tell(0, ONE("[\"rank\",\"g\",0,\"broadcast\",0,-1,\"1 \"]"));
    tell(0, ONE("[\"rank\",\"g\",0,\"broadcast\",0,-1,\"1 x \"]"));
    tell(0, ONE("[\"rank\",\"g\",0,\"broadcast\",0,-1,\"1 -2 \"]"));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(plex_broadcast(&ctx, &r, 0, plex_int64s(got, 2)),
                         PLEX_E_INVALID);
    ck_assert_uint_eq(r.round, 0);
    ck_assert_int_eq(plex_broadcast(&ctx, &r, 0, plex_int64s(got, 2)), 0);
    ck_assert_int_eq(got[1], -2);
    ck_assert_int_eq(plex_broadcast(&ctx, &r, 2, plex_int64s(got, 2)),
                     PLEX_E_INVALID);
}
END_TEST

START_TEST(doubles_come_back_as_they_were)
{
    double in[] = {0.1, -1e300, 5e-324, 1.0 / 3, 0, 123456789.123456789};
    double out[6];
    char *text = plex_array_text(plex_doubles(in, 6));

    ck_assert(plex_array_read(text, plex_doubles(out, 6)));
    ck_assert_mem_eq(in, out, sizeof in);
    free(text);
}
END_TEST

/* -- the space goes away at any moment
 * ------------------------------------------ */

static int
all_of_it(void)
{
    struct plex_ranks r;
    struct plex_semaphore s;
    struct plex_election e;
    struct plex_barrier b;
    struct plex_latch l;
    struct plex_work_queue q;
    struct plex_work w = {0};
    uint64_t generation = 0;
    int64_t n = 1, out;
    const struct plex_reducer how = {PLEX_MIN, NULL};
    int status = plex_semaphore_open(&ctx, &s, "s", "n", "w", 3);

    if (status == 0)
        status = plex_election_open(&ctx, &e, "s", "n", "w");
    if (status == 0)
        status = plex_barrier_open(&ctx, &b, "s", "n", "w", 3);
    if (status == 0)
        status = plex_barrier_wait(&ctx, &b, 10, &generation);
    if (status == 0)
        status = plex_latch_open(&ctx, &l, "s", "n", "w", 3);
    if (status == 0)
        status = plex_latch_count_down(&ctx, &l, NULL);
    if (status == 0)
        status = plex_work_open(&ctx, &q, "s", "n", 1000, 1);
    if (status == 0)
        status = plex_work_put(&ctx, &q, "id", 1, "1");
    if (status == 0)
        status = plex_work_get(&ctx, &q, 0, &w);
    if (status == 0)
        status = plex_work_bury(&ctx, &q, &w, "why not");
    plex_work_free(&w);
    if (status == 0)
        status = plex_ranks_open(&ctx, &r, "s", "g", 0, 1);
    if (status == 0)
        status = plex_allreduce(&ctx, &r, plex_int64s(&n, 1),
                                plex_int64s(&out, 1), &how);
    return status;
}

START_TEST(an_error_of_the_space_is_the_callers_wherever_it_comes)
{
    static const char *const told[] = {
        ONE("[\"semaphore\",\"n\",3]"), /* it is there */
        ONE("[\"semaphore\",\"n\",3]"),
        ONE("[\"term\",\"n\",3]"),
        ONE("[\"barrier\",\"n\",3,1,{\"tuple\":[\"\"]}]"),
        ONE("[\"barrier\",\"n\",3,1,{\"tuple\":[\"\"]}]"),
        ONE("[\"barrier\",\"n\",3,1,{\"tuple\":[\"\"]}]"),
        SWAPPED,
        ONE("[\"barrier\",\"n\",3,2,{\"tuple\":[\"\"]}]"),
        ONE("[\"latch\",\"n\",3,3,{\"tuple\":[\"\"]}]"),
        ONE("[\"latch\",\"n\",3,3,{\"tuple\":[\"\"]}]"),
        ONE("[\"latch\",\"n\",3,3,{\"tuple\":[\"\"]}]"),
        SWAPPED,
        WRITTEN, /* put */
        ONE("[\"work\",\"n\",1,\"id\",1]"),
        ONE("[\"tries\",\"n\",\"id\",0]"),
        SWAPPED,
        COUNT, /* bury: extend, look, ack */
        ONE("[\"dead\",\"n\",\"id\",1,1,\"\"]"),
        COUNT,
        NONE, /* its count is taken away */
        WRITTEN,
        ONE("[\"rank\",\"g\",0,\"reduce\",0,0,\"1 \"]"),
        WRITTEN,
    };
    const size_t n = sizeof told / sizeof told[0];

    for (size_t fail = 0; fail <= n; fail++) {
        int status;

        begin();
        for (size_t i = 0; i < fail; i++)
            tell(0, told[i]);
        if (fail < n)
            tell(PLEX_E_LIMIT, "full");
        status = all_of_it();
        /* What remains of an item that is done is no error. */
        if (fail == 19 || fail == n)
            ck_assert_int_ne(status, PLEX_E_LIMIT);
        else
            ck_assert_msg(status == PLEX_E_LIMIT, "at %zu: %d", fail, status);
        if (fail == n)
            ck_assert_int_eq(status, 0);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("coordination");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, fields_are_found_whatever_is_in_them);
    tcase_add_test(tcase, parties_are_told_apart_by_their_whole_name);
    tcase_add_test(tcase, names_are_checked);
    tcase_add_test(tcase, what_was_cleared_is_made_under_another_id);
    tcase_add_test(tcase, a_lease_ends_here_before_it_ends_there);
    tcase_add_test(tcase, a_renewal_that_fails_for_now_loses_nothing);
    tcase_add_test(tcase, a_seat_without_a_term_is_given_back);
    tcase_add_test(tcase, who_was_too_slow_to_get_a_term_does_not_lead);
    tcase_add_test(tcase, an_item_that_cannot_be_counted_is_given_back);
    tcase_add_test(tcase, an_item_that_is_lost_meanwhile_is_not_buried);
    tcase_add_test(tcase, an_arrival_is_tried_until_nobody_is_faster);
    tcase_add_test(tcase, who_times_out_while_the_last_one_arrives_has_passed);
    tcase_add_test(tcase, what_a_rank_gave_before_counts);
    tcase_add_test(tcase, a_part_of_another_size_is_refused);
    tcase_add_test(tcase, doubles_come_back_as_they_were);
    tcase_add_test(tcase,
                   an_error_of_the_space_is_the_callers_wherever_it_comes);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
