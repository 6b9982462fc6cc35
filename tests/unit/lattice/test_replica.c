/* Replicas over a network that loses, repeats, reorders and parts: they become
 * the same, hear of nothing without what its writer knew, and what an owner has
 * kept is there after all of them have died. */
#include "lattice/json.h"
#include "lattice/replica.h"

#include "common/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 4, KEYS = 3, POST_MAX = 4000, LIVES = 20, STEPS = 150 };

struct post {
    int from, to;
    uint64_t sender; /* its life */
    struct plex_buf bytes;
};
static struct lattice_replica *site[SITES];
static uint64_t life[SITES];
static struct post post[POST_MAX];
static size_t n_post;
static bool parted[SITES];
static uint64_t seed, now_ms, lives, written;
static bool causal;
/* By number of the element: what its writer had, in that cell. */
static struct lattice *known[STEPS + 1];
static int key_of[STEPS + 1];

static uint64_t
chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static const char *
key_text(int key)
{
    static char text[KEYS][8];

    (void)snprintf(text[key], sizeof text[key], "key-%d", key);
    return text[key];
}

static const struct lattice *
cell(int at, int key)
{
    return lattice_replica_get(site[at], key_text(key), strlen(key_text(key)));
}

static void
begin(int at)
{
    life[at] = ++lives;
    site[at] = lattice_replica_create(&(struct lattice_replica_config){
        .self = life[at], .causal = causal, .kind = LATTICE_G_SET});
    for (int i = 0; i < SITES; i++)
        if (i != at && site[i] != NULL) {
            lattice_replica_peer_up(site[i], life[at]);
            lattice_replica_peer_up(site[at], life[i]);
        }
}

static void
die(int at)
{
    lattice_replica_free(site[at]);
    site[at] = NULL;
    for (int i = 0; i < SITES; i++)
        if (site[i] != NULL)
            lattice_replica_peer_down(site[i], life[at]);
}

static void
post_drop(size_t i)
{
    plex_buf_free(&post[i].bytes);
    post[i] = post[--n_post];
}

static void
talk(int at, bool bad)
{
    struct plex_buf out = {.max = LATTICE_GOSSIP_MAX};
    uint64_t to;

    while (n_post < POST_MAX - 1 &&
           lattice_replica_next(site[at], now_ms, &to, &out)) {
        const uint64_t copies = !bad ? 1 : chance(4) == 0 ? chance(3) : 1;

        for (uint64_t c = 0; c < copies && n_post < POST_MAX; c++)
            for (int i = 0; i < SITES; i++)
                if (site[i] != NULL && life[i] == to) {
                    struct post *one = &post[n_post++];

                    *one = (struct post){
                        at, i, life[at], {.max = LATTICE_GOSSIP_MAX}};
                    memcpy(plex_buf_grow(&one->bytes, out.len), out.data,
                           out.len);
                }
    }
    plex_buf_free(&out);
}

static struct lattice *
element(uint64_t n)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%05d", (int)n);
    return lattice_add(LATTICE_G_SET, NULL, 1, text, strlen(text));
}

/* Nothing is there without what its writer had. */
static void
closed(int at)
{
    for (uint64_t n = 1; n <= written && causal; n++) {
        const struct lattice *has = cell(at, key_of[n]);
        struct lattice *it = element(n);

        if (has != NULL && lattice_covers(has, it) && known[n] != NULL)
            ck_assert_msg(lattice_covers(has, known[n]),
                          "life %d has change %d without what came before", at,
                          (int)n);
        lattice_free(it);
    }
}

static void
deliver(size_t i)
{
    struct post one = post[i];
    struct plex_err err = {0};

    post[i] = post[--n_post];
    if (site[one.to] != NULL && !parted[one.from] && !parted[one.to]) {
        ck_assert_msg(lattice_replica_receive(
                          site[one.to], now_ms, one.sender,
                          (struct plex_bytes){one.bytes.data, one.bytes.len},
                          &err) == PLEX_OK,
                      "%s", err.text);
        closed(one.to);
    }
    plex_buf_free(&one.bytes);
}

static void
write_at(int at)
{
    const int key = (int)chance(KEYS);
    const struct lattice *has = cell(at, key);
    struct lattice *delta = element(++written);
    struct plex_err err;

    key_of[written] = key;
    known[written] = has == NULL ? NULL : lattice_clone(has);
    ck_assert_int_eq(lattice_replica_change(site[at], key_text(key),
                                            strlen(key_text(key)), delta, false,
                                            &err),
                     PLEX_OK);
    lattice_free(delta);
}

static void
step(void)
{
    const int at = (int)chance(SITES);

    now_ms += chance(300);
    switch (chance(8)) {
    case 0:
    case 1:
        write_at(at);
        break;
    case 2:
        parted[at] = chance(3) == 0;
        break;
    default:
        for (uint64_t n = chance(6); n > 0 && n_post > 0; n--)
            deliver((size_t)chance(n_post));
    }
    for (int i = 0; i < SITES; i++)
        talk(i, true);
}

static bool
same_cell(int key)
{
    for (int i = 1; i < SITES; i++)
        if ((cell(i, key) == NULL) != (cell(0, key) == NULL) ||
            (cell(i, key) != NULL &&
             (!lattice_covers(cell(i, key), cell(0, key)) ||
              !lattice_covers(cell(0, key), cell(i, key)))))
            return false;
    return true;
}

static bool
same(void)
{
    for (int key = 0; key < KEYS; key++)
        if (!same_cell(key))
            return false;
    return true;
}

static void
heal(void)
{
    memset(parted, 0, sizeof parted);
    for (int round = 0; round < 200; round++) {
        now_ms += 100;
        for (int i = 0; i < SITES; i++)
            talk(i, false);
        while (n_post > 0)
            deliver(0);
    }
}

static void
clean(void)
{
    while (n_post > 0)
        post_drop(0);
    for (int i = 0; i < SITES; i++) {
        lattice_replica_free(site[i]);
        site[i] = NULL;
    }
    for (uint64_t n = 1; n <= written; n++) {
        lattice_free(known[n]);
        known[n] = NULL;
    }
    written = lives = now_ms = 0;
    memset(parted, 0, sizeof parted);
}

static void
all_written_is_there(int at)
{
    for (uint64_t n = 1; n <= written; n++) {
        struct lattice *it = element(n);

        ck_assert(lattice_covers(cell(at, key_of[n]), it));
        lattice_free(it);
    }
}

START_TEST(replicas_become_the_same)
{
    causal = _i == 1;
    for (uint64_t run = 1; run <= LIVES; run++) {
        seed = run * UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < SITES; i++)
            begin(i);
        for (int s = 0; s < STEPS; s++)
            step();
        heal();
        ck_assert_msg(same(), "run %d", (int)run);
        for (int i = 0; i < SITES; i++)
            all_written_is_there(i);
        /* A causal one has seen every change, in the end. */
        for (int i = 0; i < SITES && causal; i++)
            ck_assert(lattice_covers(lattice_replica_seen(site[i]),
                                     lattice_replica_seen(site[0])));
        clean();
    }
}
END_TEST

START_TEST(what_has_reached_another_survives_its_writer)
{
    causal = _i == 1;
    for (uint64_t run = 1; run <= LIVES; run++) {
        uint64_t before;

        seed = run * UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < SITES; i++)
            begin(i);
        for (int s = 0; s < 30; s++)
            step();
        /* One hears it, the writer dies before the others do. */
        now_ms += LATTICE_AGAIN_MS;
        memset(parted, 0, sizeof parted);
        while (n_post > 0)
            post_drop(0);
        write_at(0);
        before = written;
        parted[2] = parted[3] = true;
        for (int round = 0; round < 10; round++) {
            now_ms += LATTICE_AGAIN_MS;
            talk(0, false);
            talk(1, false);
            while (n_post > 0)
                deliver(0);
        }
        die(0);
        parted[2] = parted[3] = false;
        begin(0);
        heal();
        ck_assert_msg(same(), "run %d", (int)run);
        for (int i = 0; i < SITES; i++) {
            struct lattice *it = element(before);

            ck_assert(lattice_covers(cell(i, key_of[before]), it));
            lattice_free(it);
        }
        clean();
    }
}
END_TEST

/* Who wrote it sees to it; when he dies, who heard of it. */
START_TEST(what_is_to_be_kept_is_named_until_it_is)
{
    const struct lattice *lattice;
    const char *key;
    uint64_t version;
    size_t at = 0, len;

    causal = false;
    seed = 5;
    for (int i = 0; i < SITES; i++)
        begin(i);
    write_at(0);
    heal();
    ck_assert(
        lattice_replica_unkept(site[0], &at, &key, &len, &lattice, &version));
    at = 0;
    ck_assert(
        !lattice_replica_unkept(site[1], &at, &key, &len, &lattice, &version));
    die(0);
    at = 0;
    ck_assert(
        lattice_replica_unkept(site[1], &at, &key, &len, &lattice, &version));
    ck_assert_int_eq(lattice_total(lattice) >= 0, 1);
    lattice_replica_kept(site[1], key, len, version);
    at = 0;
    ck_assert(
        !lattice_replica_unkept(site[1], &at, &key, &len, &lattice, &version));
    clean();
}
END_TEST

START_TEST(much_is_told_in_parts)
{
    char text[1000], key[16];
    struct plex_err err;

    causal = true;
    seed = 9;
    begin(0);
    memset(text, 'x', sizeof text);
    /* More than the log keeps, more than a message takes. */
    for (int i = 0; i < 6000; i++) {
        struct lattice *delta;

        (void)snprintf(text, 8, "%06d", i);
        text[6] = 'x';
        (void)snprintf(key, sizeof key, "k%d", i % 50);
        delta = lattice_add(LATTICE_G_SET, NULL, 1, text, 500);
        ck_assert_int_eq(lattice_replica_change(site[0], key, strlen(key),
                                                delta, true, &err),
                         PLEX_OK);
        lattice_free(delta);
    }
    for (int i = 1; i < SITES; i++)
        begin(i);
    heal();
    for (int i = 1; i < SITES; i++) {
        size_t heard;

        ck_assert_uint_eq(lattice_replica_peers(site[i], &heard), SITES - 1);
        ck_assert_uint_eq(heard, SITES - 1);
        ck_assert_uint_eq(lattice_replica_cells(site[i]), 50);
        ck_assert(lattice_covers(lattice_replica_get(site[i], "k7", 2),
                                 lattice_replica_get(site[0], "k7", 2)));
        ck_assert_uint_eq(lattice_clock(lattice_replica_seen(site[i]), life[0]),
                          6000);
    }
    clean();
}
END_TEST

/* Also one that has nothing to tell says so. */
START_TEST(who_is_new_knows_when_it_has_heard_all)
{
    size_t heard;

    causal = false;
    seed = 4;
    begin(0);
    write_at(0);
    begin(1);
    begin(2);
    ck_assert_uint_eq(lattice_replica_peers(site[2], &heard), 2);
    ck_assert_uint_eq(heard, 0);
    talk(0, false);
    while (n_post > 0)
        deliver(0);
    (void)lattice_replica_peers(site[2], &heard);
    ck_assert_uint_eq(heard, 1);
    ck_assert(cell(2, key_of[1]) != NULL);
    talk(1, false);
    while (n_post > 0)
        deliver(0);
    (void)lattice_replica_peers(site[2], &heard);
    ck_assert_uint_eq(heard, 2);
    clean();
}
END_TEST

START_TEST(nothing_is_said_when_all_is_known)
{
    struct plex_buf out = {.max = LATTICE_GOSSIP_MAX};
    unsigned said = 0;
    uint64_t to;

    causal = false;
    seed = 3;
    for (int i = 0; i < SITES; i++)
        begin(i);
    write_at(1);
    heal();
    now_ms += LATTICE_DIGEST_MS;
    while (lattice_replica_next(site[1], now_ms, &to, &out)) {
        ck_assert_uint_lt(out.len, 40); /* a digest */
        said++;
    }
    ck_assert_uint_eq(said, 1);
    plex_buf_free(&out);
    clean();
}
END_TEST

START_TEST(bad_messages_are_refused)
{
    static const uint8_t bad[] = {0x42, 0x03, 0x0a, 0x01, 'k'};
    struct plex_err err;

    causal = false;
    begin(0);
    lattice_replica_peer_up(site[0], 99);
    ck_assert_int_eq(lattice_replica_receive(site[0], 0, 99,
                                             (struct plex_bytes){bad, 5}, &err),
                     PLEX_INVALID);
    ck_assert_int_eq(lattice_replica_receive(site[0], 0, 99,
                                             (struct plex_bytes){bad, 4}, &err),
                     PLEX_INVALID);
    ck_assert_uint_eq(lattice_replica_cells(site[0]), 0);
    clean();
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("replicas");
    Suite *suite = suite_create("lattice");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 100);
    tcase_add_loop_test(tests, replicas_become_the_same, 0, 2);
    tcase_add_loop_test(tests, what_has_reached_another_survives_its_writer, 0,
                        2);
    tcase_add_test(tests, what_is_to_be_kept_is_named_until_it_is);
    tcase_add_test(tests, much_is_told_in_parts);
    tcase_add_test(tests, who_is_new_knows_when_it_has_heard_all);
    tcase_add_test(tests, nothing_is_said_when_all_is_known);
    tcase_add_test(tests, bad_messages_are_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
