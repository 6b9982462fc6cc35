#ifndef SERVICES_WORKER_RECORD_H
#define SERVICES_WORKER_RECORD_H

#include "services/worker/client.h"

/*
 * The record of a turn in the journal: what the turn was made of, beside its
 * id, reply and state. The records of an event-sourced actor rebuild its state:
 * its behaviour's apply() over the events, in order. With the state before,
 * a record is enough to run the turn again anywhere (cli/replay.c).
 */
enum {
    WORK_EVENTS_MAX = 1000, /* of one turn */
    WORK_EVENT_TYPE_MAX = 255,
    WORK_EVENT_BYTES_MAX = 1 << 20,
    WORK_COMMANDS_MAX = 1000,
    WORK_COMMAND_BYTES_MAX = 1024,
    WORK_SEED_BYTES = 32,
};

enum work_record_what { /* in the journal: never renumber */
                        WORK_RECORD_UNKNOWN = 0, /* of an older worker */
                        WORK_RECORD_MESSAGE = 1, /* `input` was handled */
                        WORK_RECORD_ACTIVATED = 2,
                        WORK_RECORD_RESULT = 3,   /* `input` came for the run */
                        WORK_RECORD_CONTINUE = 4, /* the run went on */
                        WORK_RECORD_REPLAY = 5,   /* the same, after a loss */
};
/* A message or timer that the callback asked for. */
struct work_command {
    uint32_t kind;                  /* enum work_output_kind */
    const char *type, *key, *timer; /* never NULL */
    uint64_t delay_ms, tag;
    struct plex_bytes payload; /* up to WORK_COMMAND_BYTES_MAX; else none */
    uint64_t payload_bytes, payload_hash;
};
struct work_run_delta;
struct work_record {
    uint64_t at_ms; /* wall clock that the callback was given */
    const struct work_event *events;
    size_t n_events;
    enum work_record_what what;
    struct plex_bytes input; /* packed like a message, but without receiver */
    uint64_t input_bytes;    /* not 0: it was too large to be kept */
    uint64_t epoch;
    struct plex_bytes seed; /* WORK_SEED_BYTES, or none */
    const struct work_command *commands;
    size_t n_commands;
    const struct work_run_delta *run; /* NULL: none */
};

/* TOO_LARGE over out's maximum. */
PLEX_MUST_USE enum plex_status work_record_pack(
    const struct work_record *record, struct plex_buf *out,
    struct plex_err *err);
/* Bytes are borrowed from `in` or in `arena`. CORRUPT. */
PLEX_MUST_USE enum plex_status work_record_unpack(struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct work_record *out,
                                                  struct plex_err *err);

/* The message in a record. Its receiver is empty. CORRUPT. */
PLEX_MUST_USE enum plex_status work_record_input(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct work_message *out,
                                                 struct plex_err *err);

#endif
