#ifndef TESTS_WORKFLOW_WORLD_H
#define TESTS_WORKFLOW_WORLD_H

#include "workflow/run.h"

#include <stdio.h>

/*
 * What is around a run in tests: actors that answer by their type, a clock
 * that jumps to what is due, and, if asked, a crash after every event: the run
 * is then written down, freed and read again.
 *
 * Actors: "echo" gives its input back; "fail" fails with FAILED, or with
 * input.code; "flaky" fails UNAVAILABLE until attempt input.ok_at; "never"
 * does not answer; "big" answers with input.bytes bytes; "add" adds a and b;
 * every other type answers {"TYPE.METHOD": input}.
 */
enum { WORLD_PENDING = 4096 };

struct world {
    struct flow_def *def;
    struct flow_run *run;
    struct flow_now now;
    bool crash;
    enum flow_bug bug;
    int64_t timer_ms; /* 0: none */
    struct world_call {
        enum flow_command_kind kind;
        uint64_t id;
        uint32_t attempt;
        char type[64], method[64];
        bool detached;
        json_t *value;
    } pending[WORLD_PENDING];
    size_t n_pending;
    char *log;  /* calls: "type/key.method(input)" a line */
    char *past; /* history, a line each */
    size_t log_len, past_len;
    FILE *log_file, *past_file;
    uint64_t past_seq;
    json_t *asked; /* the newest approval's value */
    uint64_t asked_id;
    json_t *output;
    char code[160], cause[1100];
    bool shuffle; /* answer in an order that the seed chooses */
    uint64_t random;
    unsigned turns;
};

void world_open(struct world *w, struct flow_def *def);
void world_close(struct world *w);
enum plex_status world_start(struct world *w, json_t *input,
                             struct plex_err *err);
enum plex_status world_event(struct world *w, const struct flow_event *event,
                             struct plex_err *err);
/* Answer and let time pass until nothing more happens by itself; at most
 * `turns` events. */
void world_pump(struct world *w, unsigned turns);
/* One answer or timer; false: there is nothing. */
bool world_step(struct world *w);
const char *world_log(struct world *w);
const char *world_past(struct world *w);

struct flow_def *world_def(const char *text);

#endif
