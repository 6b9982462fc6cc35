#ifndef RUNTIME_SUPERVISOR_PRIVATE_H
#define RUNTIME_SUPERVISOR_PRIVATE_H

#include <assert.h>
#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits(key, len))
#include <uthash.h>

#include "runtime/supervisor_core.h"

/* Inside of the supervisor's core: the table of children, the queues of what
 * comes in and goes out, and the one operation that is under way. */

enum sup_state {
    SUP_NONE = 0,   /* has no process */
    SUP_BEGINNING,  /* SUP_START is out */
    SUP_RUNNING,    /* also when its end waits in the queue: `ended` */
    SUP_ENDING,     /* SUP_STOP or SUP_KILL is out */
    SUP_RESTARTING, /* waits for its turn or its back-off */
};

enum sup_input_kind {
    SUP_IN_EXIT = 1, /* of a child */
    SUP_IN_RETRY,    /* its start failed */
    SUP_IN_DUE,      /* its back-off is over */
    SUP_IN_PARENT,
    SUP_IN_REQUEST,
};
struct sup_input {
    TAILQ_ENTRY(sup_input) next;
    enum sup_input_kind kind;
    bool queued;
    struct sup_child *child;
    struct plex_supervisor_request asked; /* id copied, child NULL */
    struct sup_spec_box *spec;            /* of asked.child */
    struct plex_plan *plan;               /* of asked.out */
    void *request;
};
TAILQ_HEAD(sup_inputs, sup_input);

/* A spec with its memory; children of simple_one_for_one share one. */
struct sup_spec_box {
    struct sup_spec spec;
    uint32_t refs;
};

struct sup_child {
    TAILQ_ENTRY(sup_child) order; /* of starts */
    struct sup_spec_box *box;
    enum sup_state state;
    bool ended;            /* and `reason` is why */
    char *reason;          /* of its last end, or NULL */
    struct sup_input turn; /* its end, its retry */
    /* Who it is in by_ref: the process; {0, run} when it has none yet. */
    struct plex_ref key;
    uint64_t started_ms;
    bool failed;         /* its last start */
    uint8_t pending;     /* strategy of a restart that is not done; 0: none */
    uint64_t backoff_ms; /* the last one */
    uint32_t restarts;
    UT_hash_handle by_id, by_ref;
};
TAILQ_HEAD(sup_children, sup_child);

enum sup_op {
    SUP_OP_NONE = 0,
    SUP_OP_INIT,      /* start all */
    SUP_OP_ROLLBACK,  /* stop all, then SUP_FAILED */
    SUP_OP_RESTART,   /* stop siblings, then start from `from` */
    SUP_OP_ADD,       /* request: start the new one */
    SUP_OP_AGAIN,     /* request: start one that is not running */
    SUP_OP_TERMINATE, /* request: stop one */
    SUP_OP_MOVE,      /* request: stop one and start it */
    SUP_OP_END,       /* stop all, then SUP_EXIT */
    SUP_OP_OVER,
};

struct sup_core {
    struct plex_supervisor flags;  /* children NULL */
    struct sup_spec_box *template; /* of simple_one_for_one */
    struct sup_children children, gone;
    struct sup_child *by_id, *by_ref;
    uint32_t count;
    uint64_t now_ms;
    uint64_t last_run;

    enum sup_op op;
    enum plex_strategy strategy; /* RESTART: by which it began */
    struct sup_child *from;      /* RESTART: who ended; others: of whom */
    struct sup_child *cursor;    /* who is being started or stopped */
    bool stopping;               /* which of the two */
    uint32_t ending;             /* that are being stopped */
    uint64_t kill_run;           /* timer of the one being stopped, 0 */
    struct sup_input *asked;     /* the request under way */
    char *text;                  /* why it ends or failed */
    char *parent_reason;

    struct sup_inputs inputs;
    uint32_t waiting; /* requests in inputs */
    struct sup_input parent;
    struct sup_action *actions; /* a ring */
    size_t head, actions_count, actions_max;
    uint64_t *times; /* of restarts, a ring */
    size_t times_head, times_count, times_max;
    struct sup_stats stats;
};

/* -- supervisor_child.c: children and specs -- */

enum plex_status sup_spec_make(const struct sup_core *core,
                               const struct plex_child *child,
                               struct sup_spec_box **out, struct plex_err *err);
/* Of simple_one_for_one: the template with what `child` gives (or NULL). */
struct sup_spec_box *sup_spec_instance(const struct sup_core *core,
                                       const struct plex_child *child);
void sup_spec_unref(struct sup_spec_box *box);
/* Takes the box; at the end of the order. */
struct sup_child *sup_child_add(struct sup_core *core,
                                struct sup_spec_box *box);
/* Its memory stays until the actions that name it have been taken. */
void sup_child_remove(struct sup_core *core, struct sup_child *child);
void sup_gone_free(struct sup_core *core);
struct sup_child *sup_child_by_id(struct sup_core *core, const char *id);
struct sup_child *sup_child_by_ref(struct sup_core *core, struct plex_ref ref);
/* State and key together. */
void sup_child_set(struct sup_core *core, struct sup_child *child,
                   enum sup_state state, struct plex_ref key);
bool sup_child_alive(const struct sup_child *child);
void sup_child_list(struct sup_core *core, size_t max, struct sup_action *out);
void sup_child_tally(struct sup_core *core, struct plex_child_count *out);

/* -- supervisor_plan.c -- */

/* What `plan` sets; *why says what is wrong. */
enum plex_status sup_plan_change(struct sup_core *core,
                                 const struct plex_plan *plan,
                                 const char **why);
void sup_plan_tell(const struct sup_core *core, struct plex_plan *out);
/* Takes the box, unless there is no child of its id: false. */
bool sup_spec_replace(struct sup_core *core, struct sup_spec_box *box);

/* -- supervisor_queue.c -- */

struct sup_action *sup_push(struct sup_core *core, enum sup_action_kind kind,
                            const struct sup_child *child);
void sup_input_add(struct sup_core *core, struct sup_input *input);
void sup_input_drop(struct sup_core *core, struct sup_input *input);
/* Count one more restart. False: there were too many. */
bool sup_restart_count(struct sup_core *core);

/* -- supervisor_core.c -- */

void sup_start_one(struct sup_core *core, struct sup_child *child);
/* Stop it. False: there was nothing to wait for. */
bool sup_stop_one(struct sup_core *core, struct sup_child *child);
/* It has no process any more; temporary ones go. */
void sup_stopped(struct sup_core *core, struct sup_child *child);
/* Something was queued. */
void sup_core_wake(struct sup_core *core, uint64_t now_ms);
void sup_end(struct sup_core *core, const char *reason);

/* -- supervisor_request.c -- */

enum plex_status sup_flags_check(const struct plex_supervisor *flags,
                                 struct plex_err *err);
void sup_request_do(struct sup_core *core, struct sup_input *input);
/* The operation of a request is over. */
void sup_request_done(struct sup_core *core, enum plex_status status,
                      struct plex_ref ref, const char *text);
void sup_input_free(struct sup_input *input);

#endif
