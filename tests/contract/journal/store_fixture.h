#ifndef TESTS_CONTRACT_JOURNAL_STORE_FIXTURE_H
#define TESTS_CONTRACT_JOURNAL_STORE_FIXTURE_H

#include "services/journal/store.h"

#include <check.h>

/*
 * A store made for one test. TEST_DSN says which: "mem:", "sqlite:" (a file in
 * a fresh folder) or "postgres:" (a fresh schema in PLEX_TEST_PG's database).
 */
struct fixture {
    struct journal_store *store;
    struct plex_arena arena;
    char folder[64];
    char dsn[512];
    const char *history; /* these two: for the next fixture_reopen() */
    char keys[128];      /* master_key_file, "": none */
};
extern struct fixture fx;

void fixture_setup(void);
void fixture_teardown(void);
void fixture_reopen(void);
bool fixture_is(const char *scheme);
/* Seal what is written from now on with these keys, "": do not. */
void fixture_seal(const char *keyring);
/* Run SQL beside the store, where it has any. */
void fixture_sql(const char *text);
/* True, and says why, when there is nothing to test against. */
bool fixture_skipped(void);

enum { NOW = 1000000, SHARD = 7 };

struct plex_bytes bytes_of(const char *text);
struct plex_actor_id actor_of(const char *key);
/* epoch 1, state "s<seq>", reply "r<seq>", id "" unless given. */
struct journal_entry turn_of(const char *key, uint64_t seq, const char *id);
/* Commits them and checks that the commit itself went well. */
void commit_entries(const struct journal_entry *entries, size_t n,
                    struct journal_result *results);
enum plex_status commit_one(const struct journal_entry *entry);
void fence(uint32_t first, uint32_t last, uint64_t epoch);
struct journal_loaded load(const char *key, uint32_t recent_max);
struct journal_paged page_of(uint32_t first, uint32_t last,
                             struct plex_bytes after, uint32_t limit);
#define ck_bytes(b, text)                                              \
    do {                                                               \
        ck_assert_uint_eq((b).len, strlen(text));                      \
        ck_assert(memcmp((b).data ? (const void *)(b).data : "", text, \
                         strlen(text)) == 0);                          \
    } while (0)

void faults_add(Suite *suite);
void shared_add(Suite *suite);
void history_add(Suite *suite);
void records_tests_add(Suite *suite);
void answers_add(TCase *t);
void loads_add(TCase *t);
void past_add(TCase *t);
void truncate_add(TCase *t);
void keys_add(Suite *suite);

#endif
