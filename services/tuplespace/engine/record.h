#ifndef SERVICES_TUPLESPACE_ENGINE_RECORD_H
#define SERVICES_TUPLESPACE_ENGINE_RECORD_H

/*
 * The bodies of stored records, each beginning with its version. All numbers
 * are little endian; bytes have their length before them.
 */
#include "services/tuplespace/engine/core_private.h"

enum { RECORD_VERSION = 1 };

void record_put_request(struct plex_buf *out, const struct request *request);
void record_put_options(struct plex_buf *out,
                        const struct tspace_options *options);
void record_put_tx(struct plex_buf *out, const struct tx *tx);
/* A claim is a record of its terms, with turn and owner as key, and one record
 * per tuple, whose key ends in the tuple's id. */
enum { RECORD_CLAIM_TERMS = 0, RECORD_CLAIM_MEMBER = 1 };
void record_put_claim(struct plex_buf *out, const struct claim *claim);
void record_put_member(struct plex_buf *out);
void record_put_subscription(struct plex_buf *out,
                             const struct subscription *subscription);
void record_put_event(struct plex_buf *out, const struct event *event);

/* Reading: past the end everything is 0, and `bad` stays set. */
struct record_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};
uint8_t record_u8(struct record_reader *reader);
uint32_t record_u32(struct record_reader *reader);
uint64_t record_u64(struct record_reader *reader);
struct plex_bytes record_bytes(struct record_reader *reader);
/* A tuple's id and body as an item that is in no space; NULL: bad. */
struct item *record_item(struct tspace_core *core,
                         struct record_reader *reader);
/* The body of a tuple's record alone. */
struct item *record_body(struct tspace_core *core, uint64_t id,
                         struct plex_bytes body);

#endif
