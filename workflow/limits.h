#ifndef WORKFLOW_LIMITS_H
#define WORKFLOW_LIMITS_H

/* What a definition, a run and one event may hold. All sizes in bytes, of the
 * text or of the encoded form; a value over a limit is refused or parks the
 * run, and the error says which limit it was. */
enum {
    FLOW_TEXT_MAX = 1 << 20,      /* a definition */
    FLOW_NAME_MAX = 128,          /* ids of definitions, steps, signals */
    FLOW_STEPS_MAX = 1000,        /* of one definition, nested ones too */
    FLOW_DEPENDS_MAX = 100,       /* of one step */
    FLOW_NESTING_MAX = 16,        /* parallel and map inside each other */
    FLOW_DEPTH_MAX = 64,          /* nesting of a JSON value */
    FLOW_EXPR_TEXT_MAX = 8 << 10, /* one expression */
    FLOW_EXPR_DEPTH_MAX = 64,     /* nesting of an expression */
    FLOW_EXPR_WORK_MAX = 100000,  /* operations of one evaluation */
    FLOW_VALUE_MAX = 256 << 10,   /* a result, an input, a signal's data */
    FLOW_STATE_MAX = 4 << 20,     /* what a run remembers */
    FLOW_ENCODED_MAX = 16 << 20,  /* a state that flow_run_decode accepts */
    FLOW_ACTIVE_MAX = 10000,      /* steps under way at once */
    FLOW_SIGNALS_MAX = 1000,      /* waiting to be asked for */
    FLOW_TURN_STEPS_MAX = 1000,   /* steps entered by one event */
    FLOW_RUN_STEPS_MAX = 1000000, /* steps entered by one run */
    FLOW_RETRIERS_MAX = 16,
    FLOW_TARGET_MAX = 512, /* an actor's key, a signal's name, a method */
    FLOW_CODE_MAX = 128,   /* an error's code */
    FLOW_CAUSE_MAX = 1024  /* an error's text */
};

#define FLOW_RUN_TIMEOUT_MAX_MS ((int64_t)24 * 3600 * 1000)
#define FLOW_STEP_TIMEOUT_MAX_MS ((int64_t)3600 * 1000)
#define FLOW_WAIT_MAX_MS ((int64_t)366 * 24 * 3600 * 1000)

#endif
